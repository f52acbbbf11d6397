/*
 * A URL from the job → container, blob or prefix, SAS.
 *
 * The URL is the user's, so mistakes are more likely than attacks, but a SAS may be in it: no
 * message repeats any part of a query. What comes out is decoded once; it is encoded anew for every
 * request.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/internal.h"

#define CONTAINER_ADVICE                                                                           \
    "write https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB, or end in '/' for every blob below"

bool span_is_nocase(struct span s, const char *text)
{
    return s.size == strlen(text) &&
           (s.size == 0 || strncasecmp((const char *)s.data, text, s.size) == 0);
}

/* Parameters that choose an operation: the request has its own. */
static const char *const operations[] = {"restype", "comp",    "prefix", "delimiter", "marker",
                                         "include", "timeout", "where",  "maxresults"};

static bool key_is(struct span piece, const char *key)
{
    size_t n = strlen(key);
    return piece.size > n && piece.data[n] == '=' &&
           strncasecmp((const char *)piece.data, key, n) == 0;
}

static bool key_is_operation(struct span piece)
{
    for (size_t i = 0; i < COUNT(operations); i++)
        if (key_is(piece, operations[i]) || span_is_nocase(piece, operations[i]))
            return true;
    return false;
}

static enum status piece_add(struct buf *to, struct span piece, struct error *e)
{
    if (to->size > 0)
        TRY(buf_add(to, SPAN_LITERAL("&"), e));
    return buf_add(to, piece, e);
}

static struct span piece_take(struct span *query)
{
    const uint8_t *end = memchr(query->data, '&', query->size);
    size_t n = end == NULL ? query->size : (size_t)(end - query->data);
    struct span piece = span_of(query->data, n);
    size_t gone = end == NULL ? n : n + 1;
    *query = span_of(query->data + gone, query->size - gone);
    return piece;
}

static bool query_letters_are_sane(struct span query)
{
    for (size_t i = 0; i < query.size; i++)
        if (query.data[i] <= ' ' || query.data[i] >= 0x7f ||
            strchr("#\"<>\\^`{|}", query.data[i]) != NULL)
            return false;
    return true;
}

enum status query_split(struct span query, struct buf *pin, struct buf *sas, struct error *e)
{
    bool is_signed = false;
    if (!query_letters_are_sane(query))
        return fail(e, E_USAGE, "the SAS or query has characters that no URL has");
    while (query.size > 0) {
        struct span piece = piece_take(&query);
        if (key_is_operation(piece))
            return fail(e, E_USAGE, "the query asks for an operation, such as a listing");
        bool pins = key_is(piece, "versionid") || key_is(piece, "snapshot");
        if (pins && (pin->size > 0 || piece.size > 128))
            return fail(e, E_USAGE, "the query names more than one version or snapshot");
        if (piece.size > 0)
            TRY(piece_add(pins ? pin : sas, piece, e));
        is_signed = is_signed || (span_starts(piece, "sig=") && piece.size > 4);
    }
    if (sas->size > 0 && !is_signed) {
        (void)fail(e, E_USAGE, "the query is not a SAS: it has no signature (sig=)");
        advise(e, "copy the SAS completely; in a shell, put the URL in quotes");
        return e->status;
    }
    return OK;
}

bool name_has_dot_segment(const char *name)
{
    for (;;) {
        size_t n = strcspn(name, "/");
        if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
            return true;
        if (name[n] == '\0')
            return false;
        name += n + 1;
    }
}

/* PATH starts with '/' or is empty; the segment behind the slash. */
static struct span segment_take(struct span *path)
{
    if (path->size == 0)
        return (struct span){0};
    struct span rest = span_of(path->data + 1, path->size - 1);
    const uint8_t *slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    size_t n = slash == NULL ? rest.size : (size_t)(slash - rest.data);
    *path = span_of(rest.data + n, rest.size - n);
    return span_of(rest.data, n);
}

static bool letters_are_lower(struct span s, const char *further)
{
    for (size_t i = 0; i < s.size; i++) {
        bool plain =
            (s.data[i] >= 'a' && s.data[i] <= 'z') || (s.data[i] >= '0' && s.data[i] <= '9');
        if (!plain && (s.data[i] == '\0' || strchr(further, s.data[i]) == NULL))
            return false;
    }
    return true;
}

/* "Naming and Referencing Containers, Blobs, and Metadata": 3 to 63 lower-case letters, digits and
 * hyphens; the service's own begin with '$', and hold "root", "web", "logs", "blobchangefeed". */
static bool container_is_sane(struct span name)
{
    bool is_system = name.size > 0 && name.data[0] == '$';
    if (is_system)
        name = span_of(name.data + 1, name.size - 1);
    return name.size >= 3 && name.size <= 63 && name.data[0] != '-' &&
           letters_are_lower(name, is_system ? "" : "-");
}

/* Addresses cannot carry the account in the host's name: emulators have it as the first segment. */
static bool url_has_account_in_path(const struct url *u)
{
    return url_host_is_address(u) || span_is_nocase(u->host, "localhost");
}

static enum status host_check(const struct url *u, struct error *e)
{
    if (!u->https && !url_host_is_local(u))
        return fail(e, E_USAGE, "plain http is for this host only, not for %.*s", (int)u->host.size,
                    (const char *)u->host.data);
    if (url_host_ends(u, ".dfs.core.windows.net")) {
        (void)fail(e, E_USAGE, "%.*s is the account's file system endpoint", (int)u->host.size,
                   (const char *)u->host.data);
        advise(e, "write .blob. instead of .dfs.");
        return e->status;
    }
    return OK;
}

/* Scheme, authority and up to the container; PATH keeps what follows it. */
static enum status container_locate(const struct url *u, struct span *path, struct buf *out,
                                    struct error *e)
{
    struct span account = {0};
    TRY(buf_addf(out, e, "http%s://%.*s", u->https ? "s" : "", (int)u->authority.size,
                 (const char *)u->authority.data));
    if (url_has_account_in_path(u)) {
        account = segment_take(path);
        if (account.size == 0 || account.size > 63 || !letters_are_lower(account, "-"))
            return fail(e, E_USAGE, "the URL of a local store needs /ACCOUNT/CONTAINER/…");
        TRY(buf_addf(out, e, "/%.*s", (int)account.size, (const char *)account.data));
    }
    AUTO(buf_free) struct buf container = BUF(256);
    struct span raw = segment_take(path);
    if (raw.size > 200)
        return fail(e, E_USAGE, "the URL has a container name that is too long");
    TRY(percent_decode(raw, &container, E_USAGE, e));
    if (!container_is_sane(buf_span(&container))) {
        (void)fail(e, E_USAGE,
                   raw.size == 0 ? "the URL names no container"
                                 : "the URL has an impossible container name");
        advise(e, "%s", CONTAINER_ADVICE);
        return e->status;
    }
    return buf_addf(out, e, "/%s", buf_text(&container));
}

static enum status name_locate(struct span path, struct buf *name, struct error *e)
{
    if (path.size == 0) {
        (void)fail(e, E_USAGE, "the URL names a container but no blob");
        advise(e, "%s", CONTAINER_ADVICE);
        return e->status;
    }
    if (path.size > 1)
        TRY(percent_decode(span_of(path.data + 1, path.size - 1), name, E_USAGE, e));
    if (name->size > NAME_BYTES_MAX)
        return fail(e, E_USAGE, "the blob name is longer than any can be");
    if (name->size > 0 && !utf8_is_valid(buf_span(name)))
        return fail(e, E_USAGE, "the blob name is not valid UTF-8");
    if (name_has_dot_segment(buf_text(name)))
        return fail(e, E_USAGE, "the blob name has a segment '.' or '..', which URLs cannot carry");
    return OK;
}

/* Takes the parts over as strings. */
static enum status location_fill(const struct url *u, const struct buf *container,
                                 const struct buf *name, const struct buf *pin,
                                 const struct buf *sas, struct storage_location *out,
                                 struct error *e)
{
    AUTO(storage_location_free) struct storage_location made = {0};
    made.container_url = span_dup(buf_span(container));
    made.host = span_dup(u->host);
    made.name = span_dup(span_text(buf_text(name)));
    made.is_prefix = name->size == 0 || name->data[name->size - 1] == '/';
    made.pin = pin->size == 0 ? NULL : span_dup(buf_span(pin));
    made.sas = sas->size == 0 ? NULL : memory_text(buf_text(sas));
    if (made.container_url == NULL || made.host == NULL || made.name == NULL ||
        (pin->size > 0 && made.pin == NULL) || (sas->size > 0 && made.sas == NULL))
        return fail(e, E_BUG, "no memory");
    *out = made;
    made = (struct storage_location){0};
    return OK;
}

enum status storage_locate(const char *url, struct storage_location *out, struct error *e)
{
    struct url u;
    AUTO(buf_free) struct buf container = BUF(1024);
    AUTO(buf_free) struct buf name = BUF(URL_BYTES_MAX);
    AUTO(buf_free) struct buf pin = BUF(256);
    AUTO(buf_free) struct buf sas = BUF(16 * 1024);

    TRY(url_parse(url, &u, e));
    TRY(host_check(&u, e));
    struct span path = u.path;
    if (u.authority.size > 512 || path.size > URL_BYTES_MAX / 2 || u.query.size > 8 * 1024)
        return fail(e, E_USAGE, "the URL is too long");
    TRY(container_locate(&u, &path, &container, e));
    TRY(name_locate(path, &name, e));
    TRY(query_split(u.query, &pin, &sas, e));
    bool is_prefix = name.size == 0 || name.data[name.size - 1] == '/';
    if (is_prefix && pin.size > 0)
        return fail(e, E_USAGE, "a version or snapshot is that of one blob, not of a prefix");
    return location_fill(&u, &container, &name, &pin, &sas, out, e);
}

void storage_location_free(struct storage_location *location)
{
    free(location->container_url);
    free(location->host);
    free(location->name);
    free(location->pin);
    memory_free(location->sas);
    *location = (struct storage_location){0};
}

/*
 * HEAD: what the service says of one blob, and the checks of single values that listings need as
 * well.
 *
 * Every header is hostile. The ETag goes back to the service in If-Match, so it may have no letter
 * that means something there; the size is believed only as far as later reads confirm it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/internal.h"

bool decimal_parse(struct span text, uint64_t *out)
{
    uint64_t n = 0;
    if (text.size == 0 || text.size > 19)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text.data[i] - '0'), &n))
            return false;
    }
    if (n > INT64_MAX)
        return false;
    *out = n;
    return true;
}

static bool etag_letter_is_sane(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("-_.:+/=", c) != NULL);
}

bool etag_parse(struct span text, char out[static ETAG_SIZE])
{
    size_t n = text.size;
    if (n >= 2 && text.data[0] == '"' && text.data[n - 1] == '"')
        text = span_of(text.data + 1, n - 2);
    if (text.size == 0 || text.size + 3 > ETAG_SIZE)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!etag_letter_is_sane(text.data[i]))
            return false;
    out[0] = '"';
    memcpy(out + 1, text.data, text.size);
    out[text.size + 1] = '"';
    out[text.size + 2] = '\0';
    return true;
}

void blob_free(struct blob *blob)
{
    free(blob->name);
    free(blob->encryption_data);
    *blob = (struct blob){0};
}

static bool reply_is_directory(const struct http_reply *reply)
{
    return span_is_nocase(http_reply_header(reply, "x-ms-resource-type"), "directory") ||
           span_is_nocase(http_reply_header(reply, "x-ms-meta-hdi_isfolder"), "true");
}

static enum status blob_describe(const char *what, const char *name, const struct http_reply *reply,
                                 struct blob *out, struct error *e)
{
    AUTO(blob_free) struct blob made = {0};
    struct span encryption = http_reply_header(reply, "x-ms-meta-encryptiondata");

    if (reply_is_directory(reply)) {
        (void)fail(e, E_NOT_FOUND, "%s: this is a directory, not a blob", what);
        advise(e, "end the URL in '/' for every blob below it");
        return e->status;
    }
    if (!decimal_parse(http_reply_header(reply, "Content-Length"), &made.size))
        return fail(e, E_NETWORK, "%s: the service gives no valid size", what);
    if (!etag_parse(http_reply_header(reply, "ETag"), made.etag))
        return fail(e, E_NETWORK, "%s: the service gives no valid ETag", what);
    made.name = span_dup(span_text(name));
    made.encryption_data = encryption.size == 0 ? NULL : span_dup(encryption);
    if (made.name == NULL || (encryption.size > 0 && made.encryption_data == NULL))
        return fail(e, E_BUG, "no memory");
    *out = made;
    made = (struct blob){0};
    return OK;
}

enum status storage_properties(struct storage *storage, struct http_session *session,
                               struct blob *out, struct error *e)
{
    const char *name = storage->location->name;
    char what[WHAT_SIZE];
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    AUTO(http_reply_free) struct http_reply reply = {0};

    if (storage->location->is_prefix)
        return fail(e, E_BUG, "storage: a prefix has no properties");
    storage_what(storage, name, what);
    TRY(storage_url(storage, name, &url, e));
    struct ask ask = {.what = what, .method = "HEAD", .url = buf_text(&url), .retry = true};
    TRY(ask_send(storage, session, &ask, NULL, &reply, e));
    if (reply.status != 200)
        return storage_refusal(storage, &ask, &reply, e);
    return blob_describe(what, name, &reply, out, e);
}

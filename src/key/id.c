/*
 * Key ids, https://HOST[:PORT]/keys/NAME[/VERSION]: from the job, from blobs and from the vault's
 * answers, so some are hostile. A parsed id holds nothing but letters, digits and '-' after the
 * host, so it can be made part of a URL or of a JSON text as it is. Format: Key Vault REST, "Keys".
 */
#include "key/internal.h"

#include <string.h>
#include <strings.h>

#define NAME_MAX_SIZE 127
#define PREFIX        "/keys/"

static bool name_is_valid(struct span s)
{
    if (s.size == 0 || s.size > NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        const uint8_t c = s.data[i];
        const bool good =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
        if (!good)
            return false;
    }
    return true;
}

static bool path_cut(struct span path, struct key_id *id)
{
    struct span rest;
    const uint8_t *slash;

    if (!span_starts(path, PREFIX))
        return false;
    rest = span_of(path.data + strlen(PREFIX), path.size - strlen(PREFIX));
    slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    if (slash == NULL) {
        id->name = rest;
        return name_is_valid(id->name);
    }
    id->name = span_of(rest.data, (size_t)(slash - rest.data));
    id->version = span_of(slash + 1, rest.size - id->name.size - 1);
    return name_is_valid(id->name) && name_is_valid(id->version);
}

enum status key_id_parse(const char *text, struct key_id *out, struct error *e)
{
    struct key_id id = {0};

    if (url_parse(text, &id.url, e) != OK)
        return wrap(e, "key id");
    if (!id.url.https && !url_host_is_local(&id.url)) {
        (void)fail(e, E_USAGE, "key id: plain http to a host that is not local");
        advise(e, "write the key id as the vault shows it: https://VAULT/keys/NAME");
        return E_USAGE;
    }
    if (id.url.query.size != 0 || !path_cut(id.url.path, &id)) {
        (void)fail(e, E_USAGE, "key id: not of the form https://HOST/keys/NAME[/VERSION]");
        advise(e, "write the key id as the vault shows it, such as https://VAULT/keys/NAME");
        return E_USAGE;
    }
    *out = id;
    return OK;
}

static bool same_word(struct span a, struct span b)
{
    return a.size == b.size &&
           (a.size == 0 || strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0);
}

bool key_id_matches(const struct key_id *a, const struct key_id *b)
{
    const bool versions = a->version.size != 0 && b->version.size != 0;

    return same_word(a->url.host, b->url.host) && a->url.port == b->url.port &&
           same_word(a->name, b->name) && (!versions || same_word(a->version, b->version));
}

enum status key_name(struct kek *k, const char *text, enum status status_if_bad, struct error *e)
{
    const size_t size = strlen(text);

    if (size >= sizeof k->kid)
        return fail(e, status_if_bad, "key id: longer than %zu characters", sizeof k->kid - 1);
    memcpy(k->kid, text, size + 1);
    return OK;
}

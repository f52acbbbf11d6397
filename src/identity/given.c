/*
 * Ready-made access tokens, from a variable or a file that the job names: for places without an
 * identity of their own, such as the init containers of ACI. They are read anew each time, since
 * whoever made them may renew them; what they say of their own expiry is believed only to give a
 * better message.
 */
#include "identity/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORAGE "https://storage.azure.com"

static bool is_storage(const char *audience)
{
    return strncmp(audience, STORAGE, sizeof STORAGE - 1) == 0 &&
           strcmp(audience + sizeof STORAGE - 1 + strspn(audience + sizeof STORAGE - 1, "/"), "") ==
               0;
}

static enum status expiry_check(struct span token, const char *where, struct error *e)
{
    int64_t expires = 0;
    char text[32] = "";
    struct tm tm = {0};

    if (!token_expiry(token, &expires) || expires > clock_unix_s())
        return OK;
    time_t t = (time_t)expires;
    if (!gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(text, sizeof text, "long ago");
    (void)fail(e, E_NO_TOKEN, "the access token in %s expired: %s", where, text);
    advise(e, "put a fresh token there, or let decant get tokens by itself (identity.type)");
    return E_NO_TOKEN;
}

static enum status token_take(struct span text, const char *where, struct access_token *out,
                              struct error *e)
{
    struct span token = span_trim(text);

    if (!token_is_sane(token)) {
        (void)fail(e, E_NO_TOKEN, "%s holds no access token (%zu bytes)", where, token.size);
        advise(e, "put just the token there, without \"Bearer\", quotes or JSON around it");
        return E_NO_TOKEN;
    }
    TRY(expiry_check(token, where, e));
    return secret_copy(&out->text, token, e);
}

enum status given_token(const struct identity *identity, const char *audience,
                        struct access_token *out, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(ACCESS_TOKEN_MAX + 1024);
    bool storage = is_storage(audience);
    const struct identity_token_place *place =
        storage ? &identity->storage_token : &identity->vault_token;
    const char *member = storage ? "storage_token" : "vault_token";
    char where[256];

    if (place->env) {
        const char *value = getenv(place->env);
        (void)snprintf(where, sizeof where, "the variable %s", place->env);
        if (value)
            return token_take(span_text(value), where, out, e);
        (void)fail(e, E_NO_TOKEN, "%s (identity.%s_env) is not set", where, member);
        advise(e, "set it to an access token for %s", audience);
        return E_NO_TOKEN;
    }
    if (place->file) {
        (void)snprintf(where, sizeof where, "the file %s", place->file);
        if (file_read(place->file, text.max, &text, E_NO_TOKEN, e) == OK)
            return token_take(buf_span(&text), where, out, e);
        advise(e, "identity.%s_file must name a file with an access token for %s", member,
               audience);
        return wrap(e, "access token");
    }
    (void)fail(e, E_NO_TOKEN, "no access token for %s was given", audience);
    advise(e,
           "name its place in identity.%s_env or identity.%s_file, or choose another identity.type",
           member, member);
    return E_NO_TOKEN;
}

/*
 * Access tokens as text: the JSON reply of a token endpoint (RFC 6749, section 5.1; the managed
 * identity endpoint writes its numbers as strings), and what a token says of itself. All of it is
 * hostile until checked here. Promises: a token that gets through can stand in a header, and its
 * life is a number that can be calculated with.
 */
#include "identity/internal.h"

#include <string.h>
#include <strings.h>

enum { LIFE_MAX_S = 2 * 86400 };

bool token_is_sane(struct span text)
{
    if (text.size == 0 || text.size > ACCESS_TOKEN_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* A whole number, or its decimal digits as a string. */
static bool number_or_text(const struct cJSON *object, const char *name, uint64_t *out)
{
    const char *text = json_text(object, name);
    uint64_t n = 0;

    if (!text)
        return json_number(object, name, out);
    if (*text == 0 || strlen(text) > 15)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *out = n;
    return true;
}

bool token_expiry(struct span text, int64_t *unix_s)
{
    AUTO(buf_free) struct buf payload = BUF(ACCESS_TOKEN_MAX);
    AUTO(json_free) struct cJSON *claims = NULL;
    struct error ignored = {0};
    uint64_t expires = 0;
    const uint8_t *first = text.size ? memchr(text.data, '.', text.size) : NULL;
    if (!first)
        return false;
    first++;
    size_t left = text.size - (size_t)(first - text.data);
    const uint8_t *second = memchr(first, '.', left);
    if (!second)
        return false;
    struct span part = span_of(first, (size_t)(second - first));
    if (base64_decode(part, BASE64URL, &payload, E_NO_TOKEN, &ignored) != OK ||
        json_parse(buf_span(&payload), E_NO_TOKEN, &claims, &ignored) != OK ||
        !json_number(claims, "exp", &expires))
        return false;
    *unix_s = (int64_t)expires;
    return true;
}

/* How long the token will be good, by the best of what is said. */
static int64_t life_of(const struct cJSON *reply, struct span token)
{
    uint64_t n = 0;
    int64_t life = 0, expires = 0;

    if (number_or_text(reply, "expires_in", &n))
        life = n > LIFE_MAX_S ? LIFE_MAX_S : (int64_t)n;
    else if (number_or_text(reply, "expires_on", &n))
        life = (int64_t)n - clock_unix_s();
    else if (token_expiry(token, &expires))
        life = expires - clock_unix_s();
    if (life < 0)
        return 0;
    return life > LIFE_MAX_S ? LIFE_MAX_S : life;
}

enum status token_parse(struct span body, struct access_token *out, struct error *e)
{
    AUTO(json_free) struct cJSON *reply = NULL;

    TRY(json_parse(body, E_NO_TOKEN, &reply, e));
    struct span token = span_text(json_text(reply, "access_token"));
    if (token.size == 0)
        return fail(e, E_NO_TOKEN, "the answer holds no access token");
    if (!token_is_sane(token))
        return fail(e, E_NO_TOKEN, "the answer's access token is not fit for a header");
    const char *type = json_text(reply, "token_type");
    if (type && strcasecmp(type, "Bearer") != 0)
        return fail(e, E_NO_TOKEN, "the answer's token is of the type \"%.32s\", not Bearer", type);
    int64_t life_s = life_of(reply, token);
    TRY(secret_copy(&out->text, token, e));
    out->life_s = life_s;
    return OK;
}

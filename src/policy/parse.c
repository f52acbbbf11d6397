/* What policies and tokens come wrapped in. Both are hostile: a vault's answer, a file. */
#include "policy/internal.h"

#include <string.h>

/* The REST type KeyReleasePolicy: base64url; some clients write padded base64. */
static enum status unwrap_data(const char *data, struct buf *out, struct error *e)
{
    bool classic = strpbrk(data, "+/") != NULL;
    return base64_decode(span_text(data), classic ? BASE64 : BASE64URL, out, E_NOT_RELEASED, e);
}

enum status policy_parse(struct span text, struct cJSON **out, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(buf_free) struct buf inner = BUF(POLICY_TEXT_MAX);
    if (text.size > POLICY_TEXT_MAX)
        return fail(e, E_NOT_RELEASED, "the release policy has %zu bytes", text.size);
    if (json_parse(text, E_NOT_RELEASED, &tree, e) != OK)
        return wrap(e, "the release policy");
    const char *data = json_text(tree, "data");
    if (data != NULL) {
        if (unwrap_data(data, &inner, e) != OK)
            return wrap(e, "the release policy's data");
        json_free(&tree);
        if (json_parse(buf_span(&inner), E_NOT_RELEASED, &tree, e) != OK)
            return wrap(e, "the release policy");
    }
    if (json_array(tree, "anyOf") == NULL)
        return fail(e, E_NOT_RELEASED, "the release policy has no anyOf");
    *out = tree;
    tree = NULL;
    return OK;
}

/* The middle of "header.payload.signature". */
static bool payload_of(struct span token, struct span *out)
{
    const uint8_t *first = memchr(token.data, '.', token.size);
    const uint8_t *end = token.data + token.size;
    const uint8_t *second =
        first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return false;
    *out = span_of(first + 1, (size_t)(second - first - 1));
    return true;
}

enum status claims_parse(struct span token, struct cJSON **out, struct error *e)
{
    AUTO(buf_free) struct buf json = BUF(POLICY_TOKEN_MAX);
    AUTO(json_free) struct cJSON *tree = NULL;
    struct span text = span_trim(token), payload = {0};
    if (text.size == 0 || text.size > POLICY_TOKEN_MAX)
        return fail(e, E_NOT_ATTESTED, "the token has %zu bytes", text.size);
    if (text.data[0] != '{') {
        if (!payload_of(text, &payload))
            return fail(e, E_NOT_ATTESTED, "the token has not the three parts of a signed JWT");
        if (base64_decode(payload, BASE64URL, &json, E_NOT_ATTESTED, e) != OK)
            return wrap(e, "the token's payload");
        text = buf_span(&json);
    }
    if (json_parse(text, E_NOT_ATTESTED, &tree, e) != OK)
        return wrap(e, "the token's claims");
    if (json_member(tree, "iss") == NULL)
        return fail(e, E_NOT_ATTESTED, "the token has no claim iss");
    *out = tree;
    tree = NULL;
    return OK;
}

/*
 * The release from the vault itself: POST KID/release (Key Vault and Managed HSM REST, 7.4) with
 * the attestation service's token. What comes back is hostile and goes to key_open_release.
 */
#include "key/internal.h"

#include <string.h>

#define API_VERSION "7.4" /* vaults and managed HSMs have had it for years */
#define NONCE_BYTES 32
#define BODY_MAX    (64u * 1024u)
#define URL_MAX     1024
#define TIMEOUT_MS  30000

static enum status add_nonce(struct buf *out, struct error *e)
{
    uint8_t bytes[NONCE_BYTES];

    TRY(random_bytes(bytes, sizeof bytes, e));
    return hex_encode(span_of(bytes, sizeof bytes), out, e);
}

static enum status add_body(struct span token, const char *nonce, struct buf *out, struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("{\"target\":"), e));
    TRY(json_quote(token, out, e));
    return buf_addf(out, e, ",\"enc\":\"" KEY_ENC "\",\"nonce\":\"%s\"}", nonce);
}

static enum status release(struct http_session *session, const struct key_release_request *request,
                           const struct key_id *id, struct kek *out, struct error *e)
{
    AUTO(json_free) struct cJSON *answer = NULL;
    AUTO(buf_free) struct buf url = BUF(URL_MAX);
    AUTO(buf_free) struct buf body = BUF(BODY_MAX);
    AUTO(buf_free) struct buf nonce = BUF(2 * NONCE_BYTES + 1);
    struct key_call post = {
        .what = "key release", .method = "POST", .timeout_ms = TIMEOUT_MS, .patience_ms = request->patience_ms};

    TRY(buf_addf(&url, e, "%s/release?api-version=" API_VERSION, request->kid));
    TRY(add_nonce(&nonce, e));
    TRY(add_body(request->token, buf_text(&nonce), &body, e));
    post.url = buf_text(&url);
    post.bearer = request->bearer;
    post.body = buf_span(&body);
    post.direct = url_host_is_local(&id->url);
    TRY(key_call(session, &post, &answer, e));
    const char *jws = json_text(answer, "value");
    if (jws == NULL)
        return fail(e, E_BAD_KEY, "key release: the answer has no value");
    return key_open_release(span_text(jws), request, buf_text(&nonce), clock_unix_s(), out, e);
}

enum status key_release(struct http_session *session, const struct key_release_request *request,
                        struct kek *out, struct error *e)
{
    struct key_id id;

    TRY(key_id_parse(request->kid, &id, e));
    if (request->token.size == 0 || request->bearer.size == 0)
        return fail(e, E_BUG, "key release: without a token");
    if (release(session, request, &id, out, e) != OK)
        return wrap(e, "key %s", request->kid);
    return OK;
}

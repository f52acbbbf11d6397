/*
 * The release through a sidecar that speaks the HTTP interface of Microsoft's SKR container:
 * POST /key/release. It attests and verifies by itself and hands over a plain JWK, so its answer is
 * hostile and secret: this is only for one on the same host, and the JWK still must be a whole key
 * whose halves belong together. (The sidecar is known to answer 200 with an empty or cut object
 * behind a failure; nothing of that passes here.)
 */
#include "key/internal.h"

#include <string.h>

#define PATH       "/key/release"
#define BODY_MAX   (64u * 1024u)
#define URL_MAX    1024
#define TIMEOUT_MS 120000 /* it attests first */

static enum status check_sidecar(const char *text, struct url *out, struct error *e)
{
    if (url_parse(text, out, e) != OK)
        return wrap(e, "sidecar");
    if (!out->https && !url_host_is_local(out)) {
        (void)fail(e, E_USAGE, "sidecar: plain http to a host that is not local");
        advise(e, "the sidecar's answer is a bare key: let it listen on 127.0.0.1");
        return E_USAGE;
    }
    if (out->query.size != 0)
        return fail(e, E_USAGE, "sidecar: a base URL has no query");
    return OK;
}

static enum status add_member(const char *before, struct span value, struct buf *out,
                              struct error *e)
{
    TRY(buf_add(out, span_text(before), e));
    return json_quote(value, out, e);
}

/* The sidecar writes the key's name into a URL as it is: "name" or "name/version". */
static enum status add_body(const struct key_sidecar_request *request, const struct key_id *id,
                            struct buf *out, struct error *e)
{
    const uint8_t *end =
        id->version.size != 0 ? id->version.data + id->version.size : id->name.data + id->name.size;
    struct url provider;

    if (url_parse(request->provider, &provider, e) != OK)
        return wrap(e, "attestation provider");
    TRY(add_member("{\"maa_endpoint\":", provider.authority, out, e));
    TRY(add_member(",\"akv_endpoint\":", id->url.authority, out, e));
    TRY(add_member(",\"kid\":", span_of(id->name.data, (size_t)(end - id->name.data)), out, e));
    if (request->bearer.size != 0)
        TRY(add_member(",\"access_token\":", request->bearer, out, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

static enum status add_url(const char *base, struct buf *out, struct error *e)
{
    struct span s = span_text(base);

    while (s.size != 0 && s.data[s.size - 1] == '/')
        s.size--;
    TRY(buf_add(out, s, e));
    return buf_add(out, SPAN_LITERAL(PATH), e);
}

static enum status ask(struct http_session *session, const struct key_sidecar_request *request,
                       struct kek *out, struct error *e)
{
    AUTO(json_free) struct cJSON *answer = NULL;
    AUTO(buf_free) struct buf url = BUF(URL_MAX);
    AUTO(buf_free) struct buf body = BUF(BODY_MAX);
    struct key_call post = {.what = "key release by the sidecar", .method = "POST", .timeout_ms = TIMEOUT_MS};
    struct url sidecar;
    struct key_id id;

    TRY(key_id_parse(request->kid, &id, e));
    TRY(check_sidecar(request->sidecar, &sidecar, e));
    TRY(add_url(request->sidecar, &url, e));
    TRY(add_body(request, &id, &body, e));
    post.url = buf_text(&url);
    post.body = buf_span(&body);
    post.direct = url_host_is_local(&sidecar);
    TRY(key_call(session, &post, &answer, e));
    const char *jwk = json_text(answer, "key");
    if (jwk == NULL)
        return fail(e, E_BAD_KEY, "the sidecar's answer has no key");
    if (key_from_jwk(span_text(jwk), out, e) != OK)
        return wrap(e, "the sidecar's answer");
    return OK;
}

enum status key_from_sidecar(struct http_session *session,
                             const struct key_sidecar_request *request, struct kek *out,
                             struct error *e)
{
    AUTO(kek_free) struct kek k = {0};

    if (ask(session, request, &k, e) != OK)
        return wrap(e, "key %s", request->kid);
    TRY(key_name(&k, request->kid, E_USAGE, e)); /* the sidecar's JWK has no kid of its own */
    *out = k;
    k = (struct kek){0};
    return OK;
}

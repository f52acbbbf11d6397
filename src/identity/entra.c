/*
 * Microsoft Entra ID's token endpoint, POST /TENANT/oauth2/v2.0/token with the client credentials
 * grant (RFC 6749, 4.4): a client secret, or the pod's federated token as a client assertion (RFC
 * 7523; AKS workload identity). Secret and assertion go nowhere but into the body of that one
 * request. The answer is hostile until token_parse was content.
 */
#include "identity/internal.h"

#include <stdio.h>
#include <string.h>

static enum status form_add(struct buf *form, const char *name, struct span value, struct error *e)
{
    TRY(buf_addf(form, e, "%s%s=", form->size ? "&" : "", name));
    return percent_encode(value, "", form, e);
}

/* The v2 endpoint takes scopes: the audience, without a slash at its end, and "/.default". */
static enum status scope_add(struct buf *form, const char *audience, struct error *e)
{
    AUTO(buf_free) struct buf scope = BUF(512);
    struct span base = span_text(audience);

    while (base.size && base.data[base.size - 1] == '/')
        base.size--;
    TRY(buf_add(&scope, base, e));
    TRY(buf_add(&scope, SPAN_LITERAL("/.default"), e));
    return form_add(form, "scope", buf_span(&scope), e);
}

/* The file changes during the pod's life, so it is read for every request. */
static enum status assertion_add(const struct identity *identity, struct buf *form, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(ACCESS_TOKEN_MAX + 1024);
    const char *file = identity->federated_token_file;

    if (identity->token_proxy) {
        (void)fail(e, E_NO_TOKEN,
                   "workload identity: AZURE_KUBERNETES_TOKEN_PROXY is set, but AKS identity "
                   "bindings are not supported");
        advise(
            e,
            "use plain workload identity (a federated credential) for this pod, or another identity.type");
        return E_NO_TOKEN;
    }
    if (file_read(file, text.max, &text, E_NO_TOKEN, e) != OK) {
        advise(e, "AZURE_FEDERATED_TOKEN_FILE must name the projected token: is the pod labelled "
                  "azure.workload.identity/use: \"true\", and its service account annotated?");
        return wrap(e, "workload identity");
    }
    struct span token = span_trim(buf_span(&text));
    if (!token_is_sane(token))
        return fail(e, E_NO_TOKEN, "workload identity: %s holds no token", file);
    TRY(form_add(form, "client_assertion_type",
                 SPAN_LITERAL("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), e));
    return form_add(form, "client_assertion", token, e);
}

static enum status form_write(const struct identity *identity, const char *audience,
                              struct buf *form, struct error *e)
{
    TRY(form_add(form, "grant_type", SPAN_LITERAL("client_credentials"), e));
    TRY(form_add(form, "client_id", span_text(identity->client_id), e));
    TRY(scope_add(form, audience, e));
    if (identity->kind == IDENTITY_WORKLOAD)
        return assertion_add(identity, form, e);
    return form_add(form, "client_secret", secret_view(&identity->client_secret), e);
}

static enum status ask(const struct identity *identity, const char *audience,
                       struct http_session *session, struct http_request request,
                       struct access_token *out, struct error *e)
{
    AUTO(buf_free) struct buf form = BUF((size_t)64 << 10);
    AUTO(http_reply_free) struct http_reply reply = {0};

    TRY(form_write(identity, audience, &form, e));
    request.body = buf_span(&form);
    TRY(http_call(session, &request, &reply, e));
    if (reply.status != 200) {
        enum status status = http_refusal(&request, &reply, E_NO_TOKEN, e);
        entra_explain(&reply, e);
        return status;
    }
    if (token_parse(buf_span(&reply.body), out, e) != OK)
        return wrap(e, "%s", request.what);
    return OK;
}

enum status entra_token(const struct identity *identity, const char *audience,
                        struct access_token *out, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(buf_free) struct buf url = BUF(4096);
    const struct http_header headers[] = {
        {"Content-Type", SPAN_LITERAL("application/x-www-form-urlencoded")},
        {"Accept", SPAN_LITERAL("application/json")},
    };
    struct http_retry retry = {0};
    enum status status = OK;

    TRY(buf_addf(&url, e, "%s/%s/oauth2/v2.0/token", identity->login, identity->tenant));
    TRY(http_session_take(identity->http, &session, e));
    const struct http_request request = {
        .what = identity->kind == IDENTITY_WORKLOAD ? "workload identity" : "client secret",
        .method = "POST",
        .url = buf_text(&url),
        .headers = headers,
        .n_headers = COUNT(headers),
        .max_reply = REPLY_MAX,
        .timeout_ms = 30 * 1000,
    };
    do
        status = ask(identity, audience, session, request, out, e);
    while (status != OK && http_again(session, &retry, e));
    if (status == OK)
        return OK;
    if (e->status == E_NO_TOKEN)
        e->transient = false; /* it was waited for long enough */
    return e->status;
}

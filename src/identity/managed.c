/*
 * Managed identities: GET /metadata/identity/oauth2/token of the instance metadata service
 * (Microsoft Entra documentation, "how to use managed identities on a virtual machine to acquire an
 * access token"), in Azure's VMs and in the ordinary containers of ACI. The service is the
 * platform's; whoever sits in its place writes the answer.
 *
 * Its documented troubles are waited out: 404 and 410 while it is updated (410 for up to 70 s),
 * 429, 5xx, and, when a container group has just started, refused connections and answers that are
 * no JSON.
 */
#include "identity/internal.h"

#include <stdio.h>
#include <string.h>

enum {
    START_MS = 20 * 1000, /* what answers for the service in ACI starts along with the containers */
    UPDATE_MS = 70 * 1000, /* documented for HTTP 410 */
    TRY_MS = 10 * 1000,
};

static const char init_advice[] =
    "managed identities work in Azure's VMs and in ordinary ACI containers, never in ACI init containers: there use "
    "identity.type workload, client_secret or token, or run decant as an ordinary container and let the application "
    "wait for .decant/ready.json";

static enum status url_write(const struct identity *identity, const char *audience, struct buf *out,
                             struct error *e)
{
    TRY(buf_addf(out, e, "%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=",
                 identity->imds));
    TRY(percent_encode(span_text(audience), "", out, e));
    if (!identity->client_id)
        return OK;
    TRY(buf_add(out, SPAN_LITERAL("&client_id="), e));
    return percent_encode(span_text(identity->client_id), "", out, e);
}

static bool is_json(struct span body)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    struct error ignored = {0};

    return json_parse(body, E_NO_TOKEN, &tree, &ignored) == OK;
}

static enum status transient(struct error *e)
{
    e->status = E_NETWORK;
    e->transient = true;
    return E_NETWORK;
}

static enum status refuse(const struct http_request *request, const struct http_reply *reply,
                          struct http_retry *retry, struct error *e)
{
    enum status status = http_refusal(request, reply, E_NO_TOKEN, e);

    if (reply->status == 410)
        retry->min_total_ms = UPDATE_MS;
    if (reply->status == 404 || reply->status == 410)
        return transient(e);
    if (status == E_NO_TOKEN)
        advise(
            e,
            "assign a managed identity to this machine or container group, and name it in identity.client_id if "
            "it is user-assigned");
    return status;
}

static enum status ask(struct http_session *session, const struct http_request *request,
                       struct http_retry *retry, bool *unreached, struct access_token *out,
                       struct error *e)
{
    AUTO(http_reply_free) struct http_reply reply = {0};

    if (http_call(session, request, &reply, e) != OK) {
        if (e->transient) /* else it is only the run's time that is over */
            *unreached = e->unreached;
        return e->status;
    }
    *unreached = false;
    if (reply.status != 200)
        return refuse(request, &reply, retry, e);
    if (!is_json(buf_span(&reply.body))) {
        (void)fail(e, E_NETWORK, "%s: the answer is no JSON", request->what);
        return transient(e);
    }
    if (token_parse(buf_span(&reply.body), out, e) != OK)
        return wrap(e, "%s", request->what);
    return OK;
}

enum status managed_token(const struct identity *identity, const char *audience,
                          struct access_token *out, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(buf_free) struct buf url = BUF(4096);
    const struct http_header header = {"Metadata", SPAN_LITERAL("true")};
    struct http_retry retry = {.min_total_ms = START_MS};
    bool unreached = false;
    enum status status = OK;

    TRY(url_write(identity, audience, &url, e));
    TRY(http_session_take(identity->http, &session, e));
    const struct http_request request = {
        .what = "managed identity",
        .method = "GET",
        .url = buf_text(&url),
        .headers = &header,
        .n_headers = 1,
        .max_reply = REPLY_MAX,
        .timeout_ms = TRY_MS,
        .direct = true,
    };
    do
        status = ask(session, &request, &retry, &unreached, out, e);
    while (status != OK && http_again(session, &retry, e));
    if (status == OK)
        return OK;
    status = e->status; /* http_again may have been interrupted */
    if (status != E_NETWORK || !unreached)
        return status;
    e->status = E_NO_TOKEN;
    e->transient = false;
    e->remedy[0] = 0; /* network advice does not help here */
    advise(e, "%s", init_advice);
    return wrap(e, "no managed identity endpoint answers at %s", identity->imds);
}

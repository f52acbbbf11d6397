/*
 * Evidence from a local SKR sidecar, POST /attest/combined
 * (microsoft/confidential-sidecar-containers): it has the device, we have not. Its answer crosses
 * the container's network and is worth no more than any other: a sidecar without a device sends a
 * made-up report with our report data in it, whose signature then fails.
 */
#include "evidence/internal.h"

#include <string.h>

#define SIDECAR_PATH    "/attest/combined"
#define REPLY_MAX       ((size_t)2 * 1024 * 1024)
#define REQUEST_MAX     ((size_t)256 * 1024)
#define URL_SIZE        ((size_t)2048)
#define SIDECAR_TIMEOUT 60000 /* the sidecar may itself be waiting for the firmware */

void combined_free(struct combined *combined)
{
    buf_free(&combined->report);
    buf_free(&combined->endorsements);
    buf_free(&combined->uvm_endorsements);
}

static enum status sidecar_url(const char *base, struct buf *url, struct error *e)
{
    struct span text = span_text(base);
    while (text.size > 0 && text.data[text.size - 1] == '/')
        text.size--;
    TRY(buf_add(url, text, e));
    return buf_add(url, SPAN_LITERAL(SIDECAR_PATH), e);
}

static enum status request_write(struct span runtime_data, struct buf *body, struct error *e)
{
    TRY(buf_add(body, SPAN_LITERAL("{\"runtime_data\":\""), e));
    TRY(base64_encode(runtime_data, BASE64, body, e));
    return buf_add(body, SPAN_LITERAL("\"}"), e);
}

/* A member that must be there, or may be missing if OPTIONAL. */
static enum status member_decode(const struct cJSON *tree, const char *name, bool optional,
                                 struct buf *out, struct error *e)
{
    const char *text = json_text(tree, name);
    if (text == NULL && optional)
        return OK;
    if (text == NULL)
        return fail(e, E_NO_EVIDENCE, "the sidecar's answer has no %s", name);
    if (base64_decode(span_text(text), BASE64, out, E_NO_EVIDENCE, e) != OK)
        return wrap(e, "the sidecar's %s", name);
    return OK;
}

static enum status reply_read(struct span body, struct combined *out, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(combined_free)
    struct combined combined = {BUF(SNP_REPORT_SIZE), BUF(PEM_MAX), BUF(UVM_MAX)};
    if (json_parse(body, E_NO_EVIDENCE, &tree, e) != OK)
        return wrap(e, "the sidecar's answer");
    TRY(member_decode(tree, "evidence", false, &combined.report, e));
    TRY(member_decode(tree, "endorsements", true, &combined.endorsements, e));
    TRY(member_decode(tree, "uvm_endorsements", true, &combined.uvm_endorsements, e));
    *out = combined;
    combined = (struct combined){0};
    return OK;
}

static enum status sidecar_call(struct http *http, const char *url, struct span body,
                                struct combined *out, struct error *e)
{
    const struct http_header json = {"Content-Type", SPAN_LITERAL("application/json")};
    const struct http_request request = {.what = "sidecar",
                                         .method = "POST",
                                         .url = url,
                                         .headers = &json,
                                         .n_headers = 1,
                                         .body = body,
                                         .max_reply = REPLY_MAX,
                                         .timeout_ms = SIDECAR_TIMEOUT,
                                         .retry = true, /* it starts at the same time as we do */
                                         .direct = true};
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(http_reply_free) struct http_reply reply = {0};
    TRY(http_session_take(http, &session, e));
    TRY(http_call(session, &request, &reply, e));
    if (reply.status != 200)
        return http_refusal(&request, &reply, E_NO_EVIDENCE, e);
    return reply_read(buf_span(&reply.body), out, e);
}

enum status sidecar_ask(struct http *http, const char *base, struct span runtime_data,
                        struct combined *out, struct error *e)
{
    AUTO(buf_free) struct buf url = BUF(URL_SIZE);
    AUTO(buf_free) struct buf body = BUF(REQUEST_MAX);
    TRY(sidecar_url(base, &url, e));
    TRY(request_write(runtime_data, &body, e));
    return sidecar_call(http, buf_text(&url), buf_span(&body), out, e);
}

/*
 * One request and its answer: http_call with its retries, http_stream without. What comes back is
 * hostile; reply.c bounds it. It promises that a call ends: by its own time limit, by the run's,
 * and within a fraction of a second (or the request's grace) when the run is stopped.
 */
#include "http/internal.h"

#include <stdio.h>

#define LOOK_UP_MS 100 /* how often a waiting transfer looks whether the run was stopped */

static void headers_drop(struct exchange *x)
{
    curl_slist_free_all(x->headers); /* wiped by the allocator */
    x->headers = NULL;
}

static CURLcode result_of(struct http_session *session)
{
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(session->multi, &left);
    if (message == NULL || message->msg != CURLMSG_DONE)
        return CURLE_FAILED_INIT;
    return message->data.result;
}

static void peer_note(struct exchange *x)
{
    char *address = NULL;
    if (curl_easy_getinfo(x->session->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address)
        (void)snprintf(x->reply->peer, sizeof x->reply->peer, "%s", address);
}

int exchange_count(void *x, char *, char *, int, int)
{
    ((struct exchange *)x)->reply->sent++;
    return CURL_PREREQFUNC_OK;
}

/* UNTIL: 0 before the stop was noticed. */
static bool may_go_on(const struct http_request *request, int64_t *until)
{
    if (stop_reason() == 0)
        return true;
    if (*until == 0)
        *until = clock_ms() + request->grace_ms;
    return clock_ms() < *until;
}

static CURLcode transfer(struct http_session *session, const struct http_request *request)
{
    int64_t until = 0;
    if (curl_multi_add_handle(session->multi, session->easy) != CURLM_OK)
        return CURLE_FAILED_INIT;
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    while (may_go_on(request, &until)) {
        int running = 0;
        CURLMcode step = curl_multi_perform(session->multi, &running);
        if (step == CURLM_OK && running > 0)
            step = curl_multi_poll(session->multi, NULL, 0, LOOK_UP_MS, NULL);
        if (step != CURLM_OK) {
            code = step == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
            break;
        }
        if (running == 0) {
            code = result_of(session);
            break;
        }
    }
    curl_multi_remove_handle(session->multi, session->easy); /* closes what is not finished */
    return code;
}

static enum status exchange_judge(struct exchange *x, CURLcode code)
{
    if (x->status != OK)
        return x->status;
    if (code != CURLE_OK && !x->enough)
        return exchange_failure(x, code);
    if (x->head_complete)
        return OK;
    (void)fail(x->e, E_NETWORK, "%s: the answer was cut short in its header", x->request->what);
    x->e->transient = true;
    return E_NETWORK;
}

enum status exchange_run(struct exchange *x)
{
    size_t max = x->request->max_reply;
    x->reply->headers = BUF(HEADERS_MAX);
    x->reply->body = BUF(max > 0 ? max : REPLY_DEFAULT);
    enum status status = stop_check(x->e);
    if (status == OK)
        status = exchange_set_up(x);
    if (status == OK) {
        atomic_fetch_add(&x->session->http->requests, 1);
        status = exchange_judge(x, transfer(x->session, x->request));
        peer_note(x);
    }
    curl_easy_reset(x->session->easy); /* nothing may point to the caller's memory any more */
    headers_drop(x);
    if (status != OK)
        http_reply_free(x->reply);
    return status;
}

enum status http_stream(struct http_session *session, const struct http_request *request,
                        const struct http_stream *stream, struct http_reply *reply, struct error *e)
{
    struct exchange x = {
        .session = session, .request = request, .stream = stream, .reply = reply, .e = e};
    return exchange_run(&x);
}

static enum status try_once(struct http_session *session, const struct http_request *request,
                            struct http_reply *reply, struct error *e)
{
    struct exchange x = {.session = session, .request = request, .reply = reply, .e = e};
    return exchange_run(&x);
}

enum status http_call(struct http_session *session, const struct http_request *request,
                      struct http_reply *reply, struct error *e)
{
    struct http_retry retry = {0};
    for (;;) {
        enum status status = try_once(session, request, reply, e);
        if (!request->retry || (status == OK && !status_is_transient(reply->status)))
            return status;
        bool answered = status == OK;
        if (answered)
            (void)http_refusal(request, reply, E_NETWORK, e);
        if (answered && reply->status == 429)
            retry.min_total_ms = request->patience_ms;
        bool again = http_again(session, &retry, e);
        if (answered && !again && e->status != E_INTERRUPTED)
            return OK; /* the last answer: the caller judges it */
        http_reply_free(reply);
        if (!again)
            return e->status;
    }
}

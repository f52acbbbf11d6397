#include "wire.h"

#define TRIES       3
#define HEADERS_MAX ((size_t)32 * 1024)
#define REPLY_MAX   ((size_t)64 * 1024)

struct http {
    struct span script;
};

struct http_session {
    struct http *http;
};

static struct http wire;
static struct http_session session = {&wire};

void wire_open(struct span script)
{
    wire.script = script;
}

struct http *wire_http(void)
{
    return &wire;
}

struct http_session *wire_session(void)
{
    return &session;
}

enum status http_session_take(struct http *http, struct http_session **out, struct error *e)
{
    (void)http, (void)e;
    *out = &session;
    return OK;
}

void http_session_give(struct http_session **s)
{
    *s = NULL;
}

bool http_deadline_is_over(const struct http *http)
{
    (void)http;
    return false;
}

/* As the real one, without waiting. */
bool http_again(struct http_session *s, struct http_retry *retry, struct error *e)
{
    (void)s;
    retry->tries++;
    return e->transient && retry->tries < TRIES;
}

struct answer {
    uint8_t how;
    struct chunk headers, body;
};

static void answer_free(struct answer *a)
{
    chunk_free(&a->headers);
    chunk_free(&a->body);
}

/* The head of the next answer; its body waits in A. */
static enum status answer_start(const struct http_request *request, struct answer *a,
                                struct http_reply *reply, struct error *e)
{
    if (wire.script.size == 0)
        return fail(e, E_NETWORK, "%s: no answer", request->what);
    a->how = take_byte(&wire.script);
    if ((a->how & 0x80) != 0) {
        (void)fail(e, E_NETWORK, "%s: the connection broke", request->what);
        e->transient = (a->how & 0x40) != 0;
        return E_NETWORK;
    }
    reply->status = (long)take_number(&wire.script, 2) % 600;
    a->headers = take_chunk(&wire.script);
    a->body = take_chunk(&wire.script);
    reply->headers = BUF(HEADERS_MAX);
    reply->body = BUF(request->max_reply > 0 ? request->max_reply : REPLY_MAX);
    return buf_add(&reply->headers, chunk_span(&a->headers), e) == OK
               ? OK
               : fail(e, E_NETWORK, "%s: too long a header", request->what);
}

enum status http_call(struct http_session *s, const struct http_request *request,
                      struct http_reply *reply, struct error *e)
{
    struct http_retry retry = {0};
    for (;;) {
        AUTO(answer_free) struct answer a = {0};
        enum status status = answer_start(request, &a, reply, e);
        if (status == OK && buf_add(&reply->body, chunk_span(&a.body), e) != OK)
            status = fail(e, E_NETWORK, "%s: too long an answer", request->what);
        if (status == OK)
            return OK;
        http_reply_free(reply);
        if (!request->retry || !http_again(s, &retry, e))
            return status;
    }
}

static enum status stream_feed(const struct answer *a, const struct http_stream *stream,
                               struct error *e)
{
    size_t step = a->how == 0 ? a->body.size : a->how;
    for (size_t at = 0; at < a->body.size; at += step) {
        size_t n = a->body.size - at < step ? a->body.size - at : step;
        AUTO(chunk_free) struct chunk piece = chunk_of(span_of(a->body.data + at, n));
        TRY(stream->take(stream->context, chunk_span(&piece), e));
    }
    return OK;
}

static enum status stream_once(const struct http_request *request, const struct http_stream *stream,
                               struct http_reply *reply, struct error *e)
{
    AUTO(answer_free) struct answer a = {0};
    TRY(answer_start(request, &a, reply, e));
    if (stream->head != NULL)
        TRY(stream->head(stream->context, reply, e));
    if (reply->status >= 200 && reply->status <= 299)
        return stream_feed(&a, stream, e);
    struct span kept = chunk_span(&a.body);
    if (kept.size > reply->body.max)
        kept.size = reply->body.max;
    return buf_add(&reply->body, kept, e);
}

enum status http_stream(struct http_session *s, const struct http_request *request,
                        const struct http_stream *stream, struct http_reply *reply, struct error *e)
{
    (void)s;
    enum status status = stream_once(request, stream, reply, e);
    if (status != OK)
        http_reply_free(reply);
    return status;
}

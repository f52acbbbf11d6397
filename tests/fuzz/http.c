/*
 * An answer as libcurl hands it over: header lines, a body in pieces; and what a refusal says.
 * libcurl's word on the status is the input's (the linker wraps curl_easy_getinfo).
 */
#include "fuzz.h"
#include "http/internal.h"

static long said_status;

CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO what, long *out);
CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO what, long *out)
{
    (void)easy, (void)what;
    *out = said_status;
    return said_status == 599 ? CURLE_BAD_FUNCTION_ARGUMENT : CURLE_OK;
}

static enum status head_take(void *context, const struct http_reply *reply, struct error *e)
{
    (void)context;
    must(reply->body.size == 0);
    return reply->status == 299 ? fail(e, E_MISMATCH, "the stream's own") : OK;
}

static enum status body_take(void *context, struct span bytes, struct error *e)
{
    *(size_t *)context += bytes.size;
    return bytes.size > 0 && bytes.data[0] == 0xff ? fail(e, E_MISMATCH, "the stream's own") : OK;
}

/* One line after the other, each with its end, as libcurl does. */
static bool lines_hand_over(struct exchange *x, struct span block)
{
    while (block.size > 0) {
        const uint8_t *end = memchr(block.data, '\n', block.size);
        size_t size = end != NULL ? (size_t)(end - block.data) + 1 : block.size;
        AUTO(chunk_free) struct chunk line = chunk_of(span_of(block.data, size));
        if (reply_take_header((char *)line.data, 1, size, x) != size)
            return false;
        block = span_of(block.data + size, block.size - size);
    }
    return true;
}

static bool body_hand_over(struct exchange *x, struct span body, size_t piece)
{
    while (body.size > 0) {
        size_t n = piece == 0 || piece > body.size ? body.size : piece;
        AUTO(chunk_free) struct chunk bytes = chunk_of(span_of(body.data, n));
        if (reply_take_body((char *)bytes.data, 1, n, x) != n)
            return false;
        body = span_of(body.data + n, body.size - n);
    }
    return true;
}

static void text_check(const char *text, size_t size)
{
    must(strnlen(text, size) < size);
    for (; *text != '\0'; text++)
        must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void judge(const struct exchange *x, struct error *e)
{
    (void)http_reply_header(x->reply, "Retry-After");
    must(reply_retry_after_ms(x->reply) >= 0);
    enum status status = http_refusal(x->request, x->reply, E_DENIED, e);
    must(status == E_DENIED || (status == E_NETWORK && e->transient));
    text_check(e->text, sizeof e->text);
    text_check(e->service_code, sizeof e->service_code);
    text_check(e->request_id, sizeof e->request_id);
    must(utf8_is_valid(span_text(e->text)));
}

static void exchange_try(struct span *in, const struct http_request *request,
                         const struct http_stream *stream, uint8_t piece)
{
    static struct http http;
    static struct http_session session = {.http = &http};
    AUTO(http_reply_free)
    struct http_reply reply = {.headers = BUF(HEADERS_MAX), .body = BUF(1024)};
    struct error e = {0};
    struct exchange x = {
        .session = &session, .request = request, .stream = stream, .reply = &reply, .e = &e};
    AUTO(chunk_free) struct chunk head = take_chunk(in);
    AUTO(chunk_free) struct chunk body = take_chunk(in);
    bool whole = lines_hand_over(&x, chunk_span(&head)) &&
                 (!x.head_complete || body_hand_over(&x, chunk_span(&body), piece));
    must(reply.headers.size <= HEADERS_MAX && reply.body.size <= 1024);
    must(whole || x.enough || x.status != OK);
    must_fail_as(x.status, &e, E_NETWORK, E_MISMATCH, E_BUG);
    judge(&x, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in), piece = take_byte(&in);
    size_t streamed = 0;
    const struct http_stream stream = {head_take, body_take, &streamed};
    const struct http_request request = {.what = "the answer",
                                         .method = methods[mode / 2 % COUNT(methods)],
                                         .url = "https://example.com/"};
    said_status = (long)take_number(&in, 2) % 600;
    exchange_try(&in, &request, mode % 2 != 0 ? &stream : NULL, piece);
    return 0;
}

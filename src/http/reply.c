/*
 * Takes an answer in as libcurl hands it over, and reads single headers of it. Every byte is
 * written by the peer, or by whoever sits between. It promises that no answer grows over its limit
 * and that what was kept belongs to the last status line, not to an interim answer or a trailer.
 */
#include "http/internal.h"

#include <string.h>
#include <strings.h>

void http_reply_free(struct http_reply *reply)
{
    buf_free(&reply->headers);
    buf_free(&reply->body);
    reply->status = 0;
    reply->peer[0] = '\0';
}

/* The next line of BLOCK without its end; BLOCK moves on. */
static struct span line_next(struct span *block)
{
    const uint8_t *end = block->size > 0 ? memchr(block->data, '\n', block->size) : NULL;
    size_t size = end != NULL ? (size_t)(end - block->data) : block->size;
    size_t step = end != NULL ? size + 1 : size;
    struct span line = span_of(block->data, size);
    *block = span_of(block->data + step, block->size - step);
    return line;
}

struct span http_reply_header(const struct http_reply *reply, const char *name)
{
    size_t length = strlen(name);
    struct span rest = buf_span(&reply->headers);
    while (rest.size > 0) {
        struct span line = line_next(&rest);
        if (line.size > length && line.data[length] == ':' &&
            strncasecmp((const char *)(const void *)line.data, name, length) == 0)
            return span_trim(span_of(line.data + length + 1, line.size - length - 1));
    }
    return span_text("");
}

/* Digits only, at most eleven of them: 3000 years in seconds. */
static bool number_read(struct span text, int64_t *out)
{
    if (text.size == 0 || text.size > 11)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *out = value;
    return true;
}

static int64_t date_wait_ms(struct span text)
{
    char date[64];
    if (text.size == 0 || text.size >= sizeof date)
        return 0;
    memcpy(date, text.data, text.size);
    date[text.size] = '\0';
    int64_t at = (int64_t)curl_getdate(date, NULL);
    int64_t wait_s = at > 0 ? at - clock_unix_s() : 0;
    return wait_s > 0 ? wait_s * 1000 : 0;
}

int64_t reply_retry_after_ms(const struct http_reply *reply)
{
    int64_t value = 0;
    if (number_read(http_reply_header(reply, "retry-after-ms"), &value) ||
        number_read(http_reply_header(reply, "x-ms-retry-after-ms"), &value))
        return value;
    struct span text = http_reply_header(reply, "retry-after");
    return number_read(text, &value) ? value * 1000 : date_wait_ms(text);
}

static size_t give_up(struct exchange *x, enum status status)
{
    x->status = status;
    return 0; /* libcurl takes that as a failure and ends the transfer */
}

static bool is_success(const struct exchange *x)
{
    return x->reply->status >= 200 && x->reply->status <= 299;
}

/* No compression was asked for, so a compressed answer is no answer. A stream is different: there
 * the header is a property that somebody once gave to the blob and says nothing about the transfer.
 */
static enum status encoding_check(struct exchange *x)
{
    struct span coding = http_reply_header(x->reply, "content-encoding");
    if (coding.size == 0 || !is_success(x) || x->stream != NULL ||
        strcmp(x->request->method, "HEAD") == 0 ||
        (coding.size == 8 &&
         strncasecmp((const char *)(const void *)coding.data, "identity", 8) == 0))
        return OK;
    return fail(x->e, E_NETWORK, "%s: the answer is compressed, which nobody asked for",
                x->request->what);
}

/* An answer that just ends with its connection could end anywhere. */
static enum status length_check(struct exchange *x)
{
    if (x->stream == NULL || !is_success(x) || x->reply->status == 204 ||
        strcmp(x->request->method, "HEAD") == 0 ||
        http_reply_header(x->reply, "content-length").size > 0 ||
        http_reply_header(x->reply, "transfer-encoding").size > 0)
        return OK;
    return fail(x->e, E_NETWORK, "%s: the answer does not say how long it is", x->request->what);
}

static enum status head_finish(struct exchange *x)
{
    long status = 0;
    if (curl_easy_getinfo(x->session->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        return fail(x->e, E_BUG, "%s: libcurl tells no status", x->request->what);
    if (status < 200)
        return OK; /* an interim answer: another head follows */
    x->reply->status = status;
    x->head_complete = true;
    TRY(encoding_check(x));
    TRY(length_check(x));
    if (x->stream == NULL || x->stream->head == NULL)
        return OK;
    return x->stream->head(x->stream->context, x->reply, x->e);
}

size_t reply_take_header(char *line, size_t one, size_t size, void *context)
{
    struct exchange *x = context;
    struct span bytes = span_of(line, one * size);
    x->headers_seen += bytes.size;
    if (x->headers_seen > HEADERS_SEEN_MAX)
        return give_up(x, fail(x->e, E_NETWORK, "%s: the answer is all headers", x->request->what));
    if (x->head_complete)
        return bytes.size; /* a trailer: nobody asked */
    if (span_starts(bytes, "HTTP/"))
        buf_clear(&x->reply->headers);
    if (bytes.size > HEADERS_MAX - x->reply->headers.size)
        return give_up(x, fail(x->e, E_NETWORK, "%s: the answer's headers are over %u bytes",
                               x->request->what, HEADERS_MAX));
    enum status status = buf_add(&x->reply->headers, bytes, x->e);
    if (status == OK && span_trim(bytes).size == 0)
        status = head_finish(x);
    return status == OK ? bytes.size : give_up(x, status);
}

/* A refusal's body may be cut: what matters stands at its beginning. */
static enum status refusal_keep(struct exchange *x, struct span bytes)
{
    struct buf *body = &x->reply->body;
    size_t room = body->max - body->size;
    if (bytes.size > room) {
        bytes.size = room;
        x->enough = true;
    }
    return buf_add(body, bytes, x->e);
}

static enum status body_keep(struct exchange *x, struct span bytes)
{
    struct buf *body = &x->reply->body;
    if (bytes.size > body->max - body->size)
        return fail(x->e, E_NETWORK, "%s: the answer is longer than %zu bytes", x->request->what,
                    body->max);
    return buf_add(body, bytes, x->e);
}

size_t reply_take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct exchange *x = context;
    struct span piece = span_of(bytes, one * size);
    atomic_fetch_add(&x->session->http->bytes_received, piece.size);
    enum status status = x->request->grace_ms > 0 ? OK : stop_check(x->e);
    /* a fast stream does not let libcurl return for long */
    if (status != OK)
        return give_up(x, status);
    x->session->streamed += x->stream != NULL ? piece.size : 0;
    if (x->stream == NULL)
        status = body_keep(x, piece);
    else if (is_success(x))
        status = x->stream->take(x->stream->context, piece, x->e);
    else
        status = refusal_keep(x, piece);
    if (status != OK)
        return give_up(x, status);
    return x->enough ? 0 : piece.size;
}

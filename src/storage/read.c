/*
 * A range of a blob into a feed, pinned to one ETag.
 *
 * The service is not trusted to send the range that was asked for: status, Content-Range, total
 * size, ETag and length must all be right before the first byte goes on. A body that breaks off is
 * continued at the exact byte, as a range of its own, so the feed never sees a byte twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/internal.h"

enum { BREAKS_MAX = 100 }; /* of one range, even if each brings some bytes */

struct reading {
    struct storage *storage;
    const struct blob *blob;
    uint64_t at, last; /* what is still to come, LAST included */
    bool complete;     /* nothing is: AT is behind LAST */
    const struct feed *feed;
    bool feed_failed;
    char what[WHAT_SIZE];
};

static enum status size_check(const struct reading *r, const struct http_reply *reply,
                              struct error *e)
{
    uint64_t length = 0;
    char expected[80];
    snprintf(expected, sizeof expected, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r->at, r->last,
             r->blob->size);
    if (!span_is(http_reply_header(reply, "Content-Range"), expected))
        return fail(e, E_NETWORK, "%s: the service sends another range than it was asked for",
                    r->what);
    if (!decimal_parse(http_reply_header(reply, "Content-Length"), &length) ||
        length != r->last - r->at + 1)
        return fail(e, E_NETWORK, "%s: the service announces a wrong length", r->what);
    return OK;
}

static enum status reading_head(void *context, const struct http_reply *reply, struct error *e)
{
    const struct reading *r = context;
    char etag[ETAG_SIZE];
    if (reply->status < 200 || reply->status > 299)
        return OK; /* a refusal: its body says why */
    if (reply->status != 206) {
        (void)fail(e, E_NETWORK, "%s: the service does not serve ranges (HTTP %ld instead of 206)",
                   r->what, reply->status);
        advise(e, "look for a proxy between this host and the store that changes requests");
        return e->status;
    }
    TRY(size_check(r, reply, e));
    if (!etag_parse(http_reply_header(reply, "ETag"), etag))
        return fail(e, E_NETWORK, "%s: the service gives no valid ETag", r->what);
    if (strcmp(etag, r->blob->etag) != 0)
        return fail(e, E_NETWORK, "%s: the service sends another version than it was asked for",
                    r->what);
    return OK;
}

static enum status reading_take(void *context, struct span bytes, struct error *e)
{
    struct reading *r = context;
    if (bytes.size == 0)
        return OK;
    if (r->complete || bytes.size - 1 > r->last - r->at)
        return fail(e, E_NETWORK, "%s: the service sends more than it announced", r->what);
    enum status status = r->feed->take(r->feed->context, bytes, e);
    r->feed_failed = status != OK;
    if (status != OK)
        return status;
    r->complete = bytes.size - 1 == r->last - r->at;
    r->at += bytes.size;
    return OK;
}

static void reading_name(struct reading *r)
{
    storage_what(r->storage, r->blob->name, r->what);
    size_t n = strlen(r->what);
    snprintf(r->what + n, sizeof r->what - n, ": range %" PRIu64 "-%" PRIu64, r->at, r->last);
}

static enum status read_once(struct reading *r, struct http_session *session, const char *url,
                             struct error *e)
{
    char range[64];
    AUTO(http_reply_free) struct http_reply reply = {0};
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, r->at, r->last);
    reading_name(r);
    struct ask ask = {
        .what = r->what,
        .method = "GET",
        .url = url,
        .headers = {{"x-ms-range", span_text(range)}, {"If-Match", span_text(r->blob->etag)}},
        .n_headers = 2};
    struct http_stream stream = {reading_head, reading_take, r};

    TRY(ask_send(r->storage, session, &ask, &stream, &reply, e));
    if (reply.status != 206)
        return storage_refusal(r->storage, &ask, &reply, e);
    if (!r->complete) {
        (void)fail(e, E_NETWORK, "%s: the body ended too early", r->what);
        e->transient = true;
        return E_NETWORK;
    }
    return OK;
}

enum status storage_read(struct storage *storage, struct http_session *session,
                         const struct blob *blob, uint64_t at, uint64_t size,
                         const struct feed *feed, struct error *e)
{
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    struct http_retry retry = {0};
    if (size == 0 || at >= blob->size || size > blob->size - at)
        return fail(e, E_BUG, "storage: a range outside the blob");
    struct reading r = {
        .storage = storage, .blob = blob, .at = at, .last = at + (size - 1), .feed = feed};

    TRY(storage_url(storage, blob->name, &url, e));
    for (int breaks = 0;; breaks++) {
        uint64_t before = r.at;
        if (read_once(&r, session, buf_text(&url), e) == OK)
            return OK;
        if (r.feed_failed || breaks == BREAKS_MAX)
            return e->status;
        if (r.at > before)
            retry = (struct http_retry){.tries = 0}; /* it goes on, if slowly */
        if (!http_again(session, &retry, e))
            return e->status;
    }
}

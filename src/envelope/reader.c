/*
 * Reads one stretch of a blob. The bytes come from the storage service as they arrive, in pieces of
 * any size, and are hostile; the format decides what is genuine. Promise: no byte beyond the
 * stretch is looked at, a reader that failed stays failed until it is started again, and a stretch
 * counts only when all of it went to the sink.
 */
#include "envelope/internal.h"

#include <inttypes.h>

enum status envelope_reader_new(struct envelope_reader **out, struct error *e)
{
    AUTO(envelope_reader_free) struct envelope_reader *r = memory_new(sizeof(*r));
    if (r == NULL)
        return fail(e, E_BUG, "no memory for a reader");
    *r = (struct envelope_reader){0};
    r->cipher = EVP_CIPHER_CTX_new();
    /* A block of slack: OpenSSL may use it as scratch. */
    r->out = memory_new(PIECE_SIZE + 2 * BLOCK_SIZE);
    if (r->cipher == NULL || r->out == NULL)
        return fail(e, E_BUG, "no memory for a reader's %d bytes", PIECE_SIZE);
    *out = r;
    r = NULL;
    return OK;
}

void envelope_reader_free(struct envelope_reader **reader)
{
    struct envelope_reader *r = *reader;
    *reader = NULL;
    if (r == NULL)
        return;
    EVP_CIPHER_CTX_free(r->cipher);
    memory_free(r->out);
    memory_free(r);
}

/* A span that envelope_span gave: whole units inside the blob. */
static bool span_is_whole(const struct envelope *v, const struct envelope_span *s)
{
    if (s->stored_at >= v->stored_size || s->stored_size == 0 ||
        s->stored_size > v->stored_size - s->stored_at)
        return false;
    bool ends = s->stored_size == v->stored_size - s->stored_at;
    return s->stored_at % v->unit_size == 0 && (ends || s->stored_size % v->unit_size == 0) &&
           s->plain_at == s->stored_at / v->unit_size * (v->unit_size - v->unit_overhead);
}

/* Forgets the blob and its key schedule, keeps the memory. */
static void rest(struct envelope_reader *r)
{
    r->envelope = NULL;
    (void)EVP_CIPHER_CTX_reset(r->cipher);
}

enum status envelope_reader_start(struct envelope_reader *reader, struct envelope *envelope,
                                  const struct envelope_span *span, const struct sink *sink,
                                  struct error *e)
{
    rest(reader);
    if (!span_is_whole(envelope, span))
        return fail(e, E_BUG, "bytes %" PRIu64 "+%" PRIu64 " are no stretch of this blob",
                    span->stored_at, span->stored_size);
    reader->span = *span;
    reader->sink = *sink;
    reader->seen = 0;
    reader->plain_at = span->plain_at;
    reader->filled = 0;
    reader->envelope = envelope;
    enum status status = envelope->format->start(reader, e);
    if (status != OK)
        rest(reader);
    return status;
}

enum status reader_flush(struct envelope_reader *r, struct error *e)
{
    if (r->filled == 0)
        return OK;
    TRY(r->sink.write(r->sink.context, r->plain_at, span_of(r->out, r->filled), e));
    r->plain_at += r->filled;
    r->filled = 0;
    return OK;
}

enum status reader_room(struct envelope_reader *r, size_t *room, struct error *e)
{
    /* Not before there is more to come: so the end of a region waits here until its tag was seen,
     * and the end of a CSE_V1 blob until its padding was. */
    if (r->filled == PIECE_SIZE)
        TRY(reader_flush(r, e));
    *room = PIECE_SIZE - r->filled;
    return OK;
}

static enum status feed(struct envelope_reader *r, struct span bytes, struct error *e)
{
    if (bytes.size > r->span.stored_size - r->seen)
        return fail(e, E_NOT_AUTHENTIC,
                    "more than the %" PRIu64 " bytes asked for at byte %" PRIu64 " arrived",
                    r->span.stored_size, r->span.stored_at);
    TRY(r->envelope->format->feed(r, bytes, e));
    r->seen += bytes.size;
    return OK;
}

enum status envelope_reader_feed(struct envelope_reader *reader, struct span bytes, struct error *e)
{
    if (reader->envelope == NULL)
        return fail(e, E_BUG, "bytes were fed to a reader that is not started or has failed");
    if (bytes.size == 0)
        return OK;
    enum status status = feed(reader, bytes, e);
    if (status != OK)
        rest(reader);
    return status;
}

static enum status finish(struct envelope_reader *r, struct error *e)
{
    const struct envelope_span *s = &r->span;
    if (r->seen != s->stored_size)
        return fail(e, E_NOT_AUTHENTIC,
                    "only %" PRIu64 " of the %" PRIu64 " bytes asked for at byte %" PRIu64
                    " arrived",
                    r->seen, s->stored_size, s->stored_at);
    if (r->envelope->format->finish != NULL)
        TRY(r->envelope->format->finish(r, e));
    TRY(reader_flush(r, e));
    struct stretch done = {.from = s->stored_at, .to = s->stored_at + s->stored_size};
    return coverage_add(&r->envelope->coverage, done, e);
}

enum status envelope_reader_finish(struct envelope_reader *reader, struct error *e)
{
    if (reader->envelope == NULL)
        return fail(e, E_BUG, "a reader was finished that is not started or has failed");
    enum status status = finish(reader, e);
    rest(reader);
    return status;
}

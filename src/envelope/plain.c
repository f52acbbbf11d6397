/*
 * No envelope: the blob is copied. Nothing is authenticated here; the job asked for it by name, and
 * its size or digest is the only check there is.
 */
#include "envelope/internal.h"

#include <string.h>

enum {
    WORTH_COPYING = 64 * 1024, /* smaller pieces are gathered: a write costs more than a copy */
};

static enum status plain_open(struct envelope *v, const struct envelope_metadata *m,
                              const struct kek *kek, struct error *e)
{
    (void)m;
    (void)kek;
    (void)e;
    v->unit_size = 1;
    v->plain_size = v->stored_size;
    return OK;
}

static enum status plain_start(struct envelope_reader *r, struct error *e)
{
    (void)r;
    (void)e;
    return OK;
}

static enum status pass(struct envelope_reader *r, struct span piece, struct error *e)
{
    TRY(r->sink.write(r->sink.context, r->plain_at, piece, e));
    r->plain_at += piece.size;
    return OK;
}

static enum status plain_feed(struct envelope_reader *r, struct span bytes, struct error *e)
{
    while (bytes.size > 0) {
        size_t n = 0;
        TRY(reader_room(r, &n, e));
        if (n > bytes.size)
            n = bytes.size;
        if (r->filled == 0 && n >= WORTH_COPYING) {
            TRY(pass(r, span_of(bytes.data, n), e));
        } else {
            memcpy(r->out + r->filled, bytes.data, n);
            r->filled += n;
        }
        bytes = span_of(bytes.data + n, bytes.size - n);
    }
    return OK;
}

const struct format format_plain = {
    .open = plain_open,
    .start = plain_start,
    .feed = plain_feed,
};

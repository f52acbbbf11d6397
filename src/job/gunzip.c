/*
 * gzip (RFC 1952) from one unnamed file to another. The input is verified as a whole by now; still
 * it may be a bomb, so what comes out is counted before it is written.
 */
#include "job/internal.h"

#include <zlib.h>

enum { PIECE = 256 << 10 };

struct gunzip {
    struct run *run;
    struct output_file *from, *to;
    uint64_t size, read, written;
    z_stream stream;
    bool between_members;
    uint8_t *in, *out;
};

static voidpf zlib_new(voidpf context, uInt n, uInt size)
{
    (void)context;
    return memory_array(n, size);
}

static void zlib_free(voidpf context, voidpf data)
{
    (void)context;
    memory_free(data);
}

static void gunzip_free(struct gunzip *g)
{
    (void)inflateEnd(&g->stream);
    memory_free(g->in);
    memory_free(g->out);
}

static enum status refill(struct gunzip *g, struct error *e)
{
    uint64_t left = g->size - g->read;
    size_t wanted = left < PIECE ? (size_t)left : PIECE;
    TRY(output_file_read(g->from, g->read, g->in, wanted, e));
    g->read += wanted;
    g->stream.next_in = g->in;
    g->stream.avail_in = (uInt)wanted;
    return OK;
}

static enum status drain(struct gunzip *g, struct error *e)
{
    size_t n = PIECE - g->stream.avail_out;
    TRY(run_count_plaintext(g->run, n, e));
    TRY(output_file_write(g->to, g->written, span_of(g->out, n), e));
    g->written += n;
    g->stream.next_out = g->out;
    g->stream.avail_out = PIECE;
    return OK;
}

/* A gzip file is one member or several (RFC 1952, 2.2); nothing may stand between or behind them.
 */
static enum status step(struct gunzip *g, struct error *e)
{
    if (g->between_members && inflateReset(&g->stream) != Z_OK)
        return fail(e, E_BUG, "zlib cannot start anew");
    g->between_members = false;
    int result = inflate(&g->stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return fail(e, E_MISMATCH, "\"decompress\": its plaintext is not gzip: %s",
                    g->stream.msg != NULL ? g->stream.msg : "bad data");
    g->between_members = result == Z_STREAM_END;
    return g->stream.avail_out < PIECE ? drain(g, e) : OK;
}

static enum status inflate_all(struct gunzip *g, struct error *e)
{
    while (g->stream.avail_in > 0 || g->read < g->size) {
        TRY(stop_check(e));
        if (g->stream.avail_in == 0)
            TRY(refill(g, e));
        TRY(step(g, e));
    }
    uint64_t before;
    do { /* what zlib still holds though it has all input */
        before = g->written;
        if (!g->between_members)
            TRY(step(g, e));
    } while (g->written > before);
    if (!g->between_members)
        return fail(e, E_MISMATCH, "\"decompress\": its plaintext is cut-off gzip");
    return OK;
}

enum status gunzip(struct run *run, struct output_file *from, uint64_t size, struct output_file *to,
                   uint64_t *written, struct error *e)
{
    AUTO(gunzip_free)
    struct gunzip g = {
        .run = run,
        .from = from,
        .to = to,
        .size = size,
        .in = memory_new(PIECE),
        .out = memory_new(PIECE),
        .stream = {.zalloc = zlib_new, .zfree = zlib_free, .avail_out = PIECE},
    };
    g.stream.next_out = g.out;
    if (g.in == NULL || g.out == NULL || inflateInit2(&g.stream, 16 + MAX_WBITS) != Z_OK)
        return fail(e, E_SPACE, "out of memory");
    TRY(inflate_all(&g, e));
    *written = g.written;
    return OK;
}

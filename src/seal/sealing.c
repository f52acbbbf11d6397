/*
 * One file on its way: read a region, encrypt it where it lies, upload it as a block of its own.
 *
 * The file is read once and must be, at the end, what it was when it was opened. A region that has
 * to be sent again is sent from the same room: it is never read or encrypted a second time.
 */
#include "seal/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, PIECE_SIZE = 64 * 1024 };

static uint64_t size_of(const struct sealing *sealing)
{
    return (uint64_t)sealing->file.before.st_size;
}

/* "PATH: " in front of what went wrong with a file. */
static enum status blame(const struct sealing *sealing, enum status status, struct error *e)
{
    if (status == OK)
        return OK;
    const char *path = sealing->file.path;
    return wrap(e, "%.160s%s%.160s", sealing->output->config->from, path[0] != '\0' ? "/" : "",
                path); /* long names must leave room for the reason */
}

static enum status too_large(const struct sealing *sealing, struct error *e)
{
    (void)fail(e, E_SPACE, "%s: more than %d blocks of %d MiB", sealing->name, STORAGE_BLOCKS_MAX,
               ENVELOPE_REGION_SIZE >> 20);
    advise(e, "split the file");
    return E_SPACE;
}

/* A large upload should not find out at its end that the name is taken; nor should a dry run. */
static enum status look_ahead(struct sealing *sealing, struct http_session *session,
                              struct error *e)
{
    bool exists = false;
    if (sealing->output->config->overwrite ||
        (sealing->regions <= 1 && !sealing->seal->options->dry_run))
        return OK;
    TRY(storage_exists(sealing->output->storage, session, sealing->name, &exists, e));
    if (!exists)
        return OK;
    (void)fail(e, E_NAME, "blob %s: there is a blob of that name already", sealing->name);
    advise(e, "choose another name, delete that blob, or give the output \"overwrite\": true");
    return E_NAME;
}

static enum status prepare(struct sealing *sealing, struct http_session *session, struct error *e)
{
    const uint64_t regions =
        (size_of(sealing) + ENVELOPE_REGION_SIZE - 1) / ENVELOPE_REGION_SIZE;
    TRY(output_blob_name(sealing->output, sealing->file.path, &sealing->name, e));
    if (regions > STORAGE_BLOCKS_MAX && !sealing->output->config->gzip)
        return too_large(sealing, e);
    sealing->regions = (uint32_t)regions;
    TRY(look_ahead(sealing, session, e));
    if (sealing->seal->options->dry_run)
        return OK;
    sealing->upload.name = sealing->name;
    TRY(random_bytes(sealing->upload.id, sizeof(sealing->upload.id), e));
    return envelope_writer_new(&sealing->output->recipient, &sealing->writer, e);
}

enum status sealing_new(struct seal *seal, struct output *output, struct source_file *file,
                        struct http_session *session, struct sealing **out, struct error *e)
{
    AUTO(sealing_free) struct sealing *sealing = memory_array(1, sizeof(*sealing));
    if (sealing == NULL)
        return fail(e, E_SPACE, "out of memory");
    sealing->seal = seal;
    sealing->output = output;
    sealing->file = *file;
    *file = (struct source_file){0};
    TRY(blame(sealing, prepare(sealing, session, e), e));
    *out = sealing;
    sealing = NULL;
    return OK;
}

void sealing_free(struct sealing **sealing)
{
    struct sealing *s = *sealing;
    *sealing = NULL;
    if (s == NULL)
        return;
    envelope_writer_free(&s->writer);
    source_file_close(&s->file);
    memory_free(s->name);
    memory_free(s);
}

/* SIZE bytes from AT: a file that ends before has changed. */
static enum status read_file(const struct sealing *sealing, uint64_t at, uint8_t *out, size_t size,
                             struct error *e)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(sealing->file.fd, out + got, size - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, E_BUG, "it cannot be read");
        if (n == 0)
            return fail(e, E_MISMATCH, "the file became shorter while it was read");
        got += (size_t)n;
    }
    return OK;
}

/* ROOM holds SIZE bytes of plaintext behind the nonce's place. */
static enum status put_region(struct sealing *sealing, uint32_t index, uint8_t *room, size_t size,
                              struct http_session *session, struct error *e)
{
    TRY(envelope_writer_seal(sealing->writer, index, room, size, e));
    const struct span block = span_of(room, size + ENVELOPE_REGION_OVERHEAD);
    TRY(storage_put_block(sealing->output->storage, session, &sealing->upload, index, block, e));
    atomic_fetch_add(&sealing->seal->stored_bytes, block.size);
    return OK;
}

enum status sealing_work(struct sealing *sealing, uint32_t index, struct http_session *session,
                         uint8_t *room, bool *last, struct error *e)
{
    const uint64_t at = (uint64_t)index * ENVELOPE_REGION_SIZE, left = size_of(sealing) - at;
    const size_t size = left < ENVELOPE_REGION_SIZE ? (size_t)left : ENVELOPE_REGION_SIZE;
    TRY(stop_check(e));
    TRY(blame(sealing, read_file(sealing, at, room + ENVELOPE_NONCE_SIZE, size, e), e));
    TRY(put_region(sealing, index, room, size, session, e));
    *last = atomic_fetch_add(&sealing->finished, 1) + 1 == sealing->regions;
    return OK;
}

/* ---- Compressed ---- */

struct packing {
    struct sealing *sealing;
    struct http_session *session;
    uint8_t *room;
    z_stream z;
};

static void packing_end(struct packing *p)
{
    (void)deflateEnd(&p->z);
}

static void room_anew(struct packing *p)
{
    p->z.next_out = p->room + ENVELOPE_NONCE_SIZE;
    p->z.avail_out = ENVELOPE_REGION_SIZE;
}

static enum status put_room(struct packing *p, struct error *e)
{
    struct sealing *sealing = p->sealing;
    const size_t size = ENVELOPE_REGION_SIZE - p->z.avail_out;
    if (sealing->regions >= STORAGE_BLOCKS_MAX)
        return too_large(sealing, e);
    TRY(stop_check(e));
    TRY(put_region(sealing, sealing->regions++, p->room, size, p->session, e));
    room_anew(p);
    return OK;
}

/* Deflates what is given, until zlib wants more or, with Z_FINISH, is at the end. */
static enum status pack(struct packing *p, int flush, struct error *e)
{
    for (;;) {
        int result = deflate(&p->z, flush);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return fail(e, E_BUG, "zlib cannot compress (%d)", result);
        if (p->z.avail_out == 0)
            TRY(put_room(p, e));
        else if (result == Z_STREAM_END || flush != Z_FINISH)
            return OK;
    }
}

static enum status pack_all(struct packing *p, struct error *e)
{
    uint8_t piece[PIECE_SIZE];
    const uint64_t size = size_of(p->sealing);
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);
        TRY(blame(p->sealing, read_file(p->sealing, at, piece, n, e), e));
        p->z.next_in = piece;
        p->z.avail_in = (uInt)n;
        TRY(pack(p, Z_NO_FLUSH, e));
        at += n;
    }
    TRY(pack(p, Z_FINISH, e));
    return p->z.avail_out < ENVELOPE_REGION_SIZE ? put_room(p, e) : OK;
}

enum status sealing_compress(struct sealing *sealing, struct http_session *session, uint8_t *room,
                             struct error *e)
{
    AUTO(packing_end)
    struct packing p = {.sealing = sealing, .session = session, .room = room};
    /* zlib's own defaults, but for the gzip header around it. */
    if (deflateInit2(&p.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return fail(e, E_SPACE, "no memory to compress");
    sealing->regions = 0;
    room_anew(&p);
    return pack_all(&p, e);
}

enum status sealing_finish(struct sealing *sealing, struct error *e)
{
    struct seal *seal = sealing->seal;
    TRY(blame(sealing, source_unchanged(&sealing->file, e), e));
    atomic_fetch_add(&seal->files, 1);
    atomic_fetch_add(&sealing->output->files, 1);
    atomic_fetch_add(&seal->plain_bytes, size_of(sealing));
    atomic_fetch_add(&sealing->output->plain_bytes, size_of(sealing));
    if (seal->options->dry_run)
        return OK;
    struct entry entry = {
        .output = (uint32_t)sealing->output->index,
        .blocks = sealing->regions,
        .plain_size = size_of(sealing),
        .upload = sealing->upload,
        .encryption_data = envelope_writer_metadata(sealing->writer),
    };
    memcpy(entry.pin, envelope_writer_pin(sealing->writer), sizeof(entry.pin));
    LOG(LOG_DEBUG, "staged", LOG_STRING("blob", sealing->name),
        LOG_NUMBER("bytes", entry.plain_size));
    return journal_add(seal->journal, &entry, e);
}

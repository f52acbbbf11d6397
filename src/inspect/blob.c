/*
 * A blob as it is stored, and its metadata item `encryptiondata` in a file beside it. With the key
 * every region is decrypted and verified; the plaintext goes nowhere.
 */
#include "inspect/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope/envelope.h"
#include "key/key.h"

#define METADATA_MAX   ((size_t)64 * 1024)
#define STRETCH_WANTED ((uint64_t)8 << 20)
#define PIECE_SIZE     (64u << 10)

/* ---- Metadata ---- */

/* Names that a copy of the metadata has beside a copy of the blob: blob.bin and blob.meta.json, or
 * blob.bin.meta.json. */
bool blob_metadata_path(const struct inspect_options *options, char *out, size_t size)
{
    if (options->metadata != NULL) {
        int n = snprintf(out, size, "%s", options->metadata);
        return n >= 0 && (size_t)n < size;
    }
    const char *slash = strrchr(options->path, '/'), *point = strrchr(options->path, '.');
    size_t stem = point != NULL && (slash == NULL || point > slash)
                      ? (size_t)(point - options->path)
                      : strlen(options->path);
    const size_t lengths[] = {strlen(options->path), stem};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        int n = snprintf(out, size, "%.*s.meta.json", (int)lengths[i], options->path);
        if (n >= 0 && (size_t)n < size && access(out, F_OK) == 0)
            return true;
    }
    return false;
}

/* The version decides which rules hold; 2.x is asked first, so its refusals are what is told. */
static enum status parse_metadata(const char *text, struct envelope_metadata *out,
                                  enum envelope_format *format, struct error *e)
{
    struct error second = {0};
    *format = ENVELOPE_CSE;
    if (envelope_metadata_parse(text, ENVELOPE_CSE, out, e) == OK)
        return OK;
    *format = ENVELOPE_CSE_V1;
    return envelope_metadata_parse(text, ENVELOPE_CSE_V1, out, &second) == OK ? OK : e->status;
}

static enum status note_pin(struct subject *s, const struct envelope_metadata *m, struct error *e)
{
    uint8_t digest[SHA256_SIZE] = {0};
    TRY(sha256(span_of(m->wrapped, m->wrapped_size), digest, e));
    return note_hex(s, "key_sha256", span_of(digest, sizeof digest), e);
}

static enum status note_metadata(struct subject *s, const struct envelope_metadata *m,
                                 enum envelope_format format, struct error *e)
{
    TRY(finding_note(s->findings, "envelope", e, "%s%s", envelope_name(format, m),
                     format == ENVELOPE_CSE_V1 ? " (legacy: changes cannot be noticed)" : ""));
    TRY(finding_note(s->findings, "key id", e, "%s", m->kid));
    TRY(finding_note(s->findings, "wrapped with", e, "%s, %zu bytes", m->algorithm,
                     m->wrapped_size));
    if (format == ENVELOPE_CSE)
        TRY(finding_note(s->findings, "regions of", e, "%" PRIu64 " bytes", m->region_size));
    if (m->library[0] != '\0')
        TRY(finding_note(s->findings, "written by", e, "%s", m->library));
    return note_pin(s, m, e);
}

/* The value itself, or an object that has it, as the tools print a blob's metadata. */
static enum status read_metadata(const char *path, struct buf *value, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(0);
    AUTO(json_free) struct cJSON *tree = NULL;
    struct error ignored = {0};
    TRY(file_read(path, METADATA_MAX, &text, E_USAGE, e));
    const char *inner = NULL;
    if (json_parse(buf_span(&text), E_USAGE, &tree, &ignored) == OK)
        inner = json_text(tree, "encryptiondata");
    return buf_add(value, inner != NULL ? span_text(inner) : span_trim(buf_span(&text)), e);
}

enum status explain_metadata(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(METADATA_MAX);
    struct envelope_metadata metadata = {0};
    enum envelope_format format = ENVELOPE_CSE;
    TRY(buf_add(&text, c->bytes, e));
    TRY(parse_metadata(buf_text(&text), &metadata, &format, e));
    TRY(note_metadata(s, &metadata, format, e));
    return unverified(s, "content", E_NOT_AUTHENTIC, e, "that needs the blob itself");
}

/* ---- Content ---- */

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static enum status drop(void *context, uint64_t at, struct span bytes, struct error *e)
{
    (void)context;
    (void)at;
    (void)bytes;
    return stop_check(e);
}

static enum status read_stretch(int fd, struct envelope_reader *reader,
                                const struct envelope_span *span, struct error *e)
{
    uint8_t piece[PIECE_SIZE];
    for (uint64_t done = 0; done < span->stored_size;) {
        uint64_t left = span->stored_size - done;
        size_t wanted = left < sizeof piece ? (size_t)left : sizeof piece;
        ssize_t n = pread(fd, piece, wanted, (off_t)(span->stored_at + done));
        if (n <= 0)
            return n < 0 ? fail_errno(e, E_USAGE, "the blob cannot be read")
                         : fail(e, E_USAGE, "the blob became smaller while it was read");
        TRY(envelope_reader_feed(reader, span_of(piece, (size_t)n), e));
        done += (uint64_t)n;
    }
    return envelope_reader_finish(reader, e);
}

static enum status read_all(int fd, struct envelope *envelope, uint64_t *plain_size,
                            struct error *e)
{
    AUTO(envelope_reader_free) struct envelope_reader *reader = NULL;
    const struct sink sink = {.write = drop};
    struct envelope_span span = {0};
    TRY(envelope_reader_new(&reader, e));
    for (uint64_t i = 0; envelope_span(envelope, STRETCH_WANTED, i, &span); i++) {
        TRY(envelope_reader_start(reader, envelope, &span, &sink, e));
        TRY(read_stretch(fd, reader, &span, e));
    }
    return envelope_verdict(envelope, plain_size, e);
}

struct blob {
    const char *path;
    uint64_t size;
    enum envelope_format format;
    struct envelope_metadata metadata;
};

static enum status verify_content(struct subject *s, const struct blob *blob, uint64_t *plain_size,
                                  struct error *e)
{
    AUTO(kek_free) struct kek kek = {0};
    AUTO(envelope_close) struct envelope *envelope = NULL;
    AUTO(descriptor_close) int fd = open(blob->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(e, E_USAGE, "%s", blob->path);
    TRY(key_from_file(s->options->key, blob->metadata.kid, &kek, e));
    TRY(envelope_open(blob->format, &blob->metadata, &kek, blob->size, &envelope, e));
    return read_all(fd, envelope, plain_size, e);
}

static enum status content_findings(struct subject *s, const struct blob *blob, struct error *e)
{
    struct error why = {0};
    uint64_t plain_size = 0;
    if (s->options->key == NULL)
        return unverified(s, "content", E_NOT_AUTHENTIC, e,
                          "that needs the private key (--key-file FILE)");
    enum status status = verify_content(s, blob, &plain_size, &why);
    if (status == E_USAGE || status == E_INTERRUPTED) {
        *e = why;
        return status;
    }
    return finding_check(s->findings, "content", status, &why, e, "%" PRIu64 " bytes%s", plain_size,
                         blob->format == ENVELOPE_CSE_V1
                             ? " (1.0 cannot tell whether they were changed)"
                             : " of plaintext, every region genuine");
}

/* What the size alone tells. Nonce and tag take 28 bytes of each region. */
static enum status size_findings(struct subject *s, const struct blob *blob, struct error *e)
{
    const uint64_t unit = blob->metadata.region_size + ENVELOPE_REGION_OVERHEAD;
    const bool old = blob->format == ENVELOPE_CSE_V1;
    const uint64_t last = blob->size % (old ? 16 : unit);
    struct error why = {0};
    enum status status = OK;
    if (old ? last != 0 || blob->size == 0 : last != 0 && last < ENVELOPE_REGION_OVERHEAD)
        status = fail(&why, E_NOT_AUTHENTIC,
                      "%" PRIu64 " bytes end inside a %s: it was cut or added to", blob->size,
                      old ? "block" : "region");
    if (old)
        return finding_check(s->findings, "stored size", status, &why, e,
                             "%" PRIu64 " bytes, whole blocks", blob->size);
    const uint64_t regions = blob->size / unit + (last != 0);
    return finding_check(s->findings, "stored size", status, &why, e,
                         "%" PRIu64 " bytes: %" PRIu64 " regions, %" PRIu64 " bytes of plaintext",
                         blob->size, regions,
                         status == OK ? blob->size - regions * ENVELOPE_REGION_OVERHEAD : 0);
}

enum status explain_blob(struct subject *s, const char *path, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(METADATA_MAX);
    struct blob blob = {.path = path};
    char metadata_path[PATH_MAX];
    struct stat st;
    if (!blob_metadata_path(s->options, metadata_path, sizeof metadata_path))
        return fail(e, E_USAGE, "a blob's metadata is not beside it: --metadata FILE");
    if (stat(path, &st) != 0)
        return fail_errno(e, E_USAGE, "it cannot be read");
    if (!S_ISREG(st.st_mode))
        return fail(e, E_USAGE, "a blob must be a file");
    blob.size = (uint64_t)st.st_size;
    TRY(read_metadata(metadata_path, &text, e));
    TRY(parse_metadata(buf_text(&text), &blob.metadata, &blob.format, e));
    TRY(note_metadata(s, &blob.metadata, blob.format, e));
    TRY(size_findings(s, &blob, e));
    return content_findings(s, &blob, e);
}

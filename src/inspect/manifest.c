/* What a manifest names, and the digest that a job pins it by. */
#include "inspect/internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "manifest/manifest.h"

#define FILES_SHOWN 1000

static void manifest_drop(struct manifest **manifest)
{
    if (*manifest != NULL)
        manifest_free(manifest);
}

static enum status note_digest(struct subject *s, struct span text, struct error *e)
{
    uint8_t digest[SHA256_SIZE] = {0};
    TRY(sha256(text, digest, e));
    return note_hex(s, "manifest's sha256", span_of(digest, sizeof digest), e);
}

static enum status note_file(struct subject *s, const struct manifest_line *line, struct error *e)
{
    char size[40] = "size not given";
    AUTO(buf_free) struct buf pin = BUF(2 * SHA256_SIZE);
    const uint8_t *digest = line->has_sha256 ? line->sha256 : line->key_sha256;
    TRY(hex_encode(span_of(digest, SHA256_SIZE), &pin, e));
    if (line->has_size)
        (void)snprintf(size, sizeof size, "%" PRIu64 " bytes", line->size);
    return finding_note(s->findings, line->name, e, "%s, %s %s", size,
                        line->has_sha256 ? "sha256" : "key_sha256", buf_text(&pin));
}

static enum status note_totals(struct subject *s, const struct manifest *manifest, struct error *e)
{
    size_t n = manifest_count(manifest), hashed = 0, sized = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const struct manifest_line *line = manifest_at(manifest, i);
        hashed += line->has_sha256;
        sized += line->has_size;
        if (__builtin_add_overflow(bytes, line->size, &bytes))
            return fail(e, E_MISMATCH, "its sizes add up to more than any storage has");
    }
    TRY(finding_note(s->findings, "files", e,
                     "%zu: %zu pinned by their plaintext, %zu by their content key", n, hashed,
                     n - hashed));
    return finding_note(s->findings, "bytes", e, "%" PRIu64 "%s", bytes,
                        sized < n ? ", and files whose size is not given" : "");
}

enum status explain_manifest(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(manifest_drop) struct manifest *manifest = NULL;
    TRY(manifest_parse(c->bytes, NULL, &manifest, e));
    TRY(note_digest(s, c->bytes, e));
    TRY(note_totals(s, manifest, e));
    for (size_t i = 0; i < manifest_count(manifest) && i < FILES_SHOWN; i++)
        TRY(note_file(s, manifest_at(manifest, i), e));
    if (manifest_count(manifest) > FILES_SHOWN)
        TRY(finding_note(s->findings, "…", e, "%zu more files",
                         manifest_count(manifest) - FILES_SHOWN));
    return finding_skip(s->findings, "who made it", e,
                        "a manifest is believed because a job or a receipt has its sha256");
}

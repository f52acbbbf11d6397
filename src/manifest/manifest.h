/*
 * manifest: {"files":[{"name","size","sha256","key_sha256"}, …]}: what a data set consists of, read
 * and written. docs/formats.md describes it.
 *
 * A manifest is believed because its own SHA-256 stands in the job; without that it is hostile.
 */
#ifndef DECANT_MANIFEST_H
#define DECANT_MANIFEST_H

#include "base/base.h"

/* What a reader takes at most, so what a writer makes at most. */
#define MANIFEST_SIZE_MAX (16u << 20)

/* One of the digests is there. */
struct manifest_line {
    const char *name; /* behind the prefix */
    uint64_t size;    /* of the plaintext */
    bool has_size, has_sha256, has_key_sha256, seen;
    uint8_t sha256[SHA256_SIZE];     /* of the plaintext */
    uint8_t key_sha256[SHA256_SIZE]; /* of the wrapped content key */
};

struct manifest;

/* May a run that has MEMORY_MIB for all it does, and took TAKEN bytes of manifests, take one of
 * SIZE bytes more? A quarter is for them: with the list that is made of it, a text takes up to two
 * and a half times its size. E_SPACE. */
enum status manifest_check_room(uint64_t memory_mib, uint64_t taken, uint64_t size,
                                struct error *e);

/* PIN: what its SHA-256 must be; NULL to look at one that nobody vouches for. E_MISMATCH. */
enum status manifest_parse(struct span text, const uint8_t *pin, struct manifest **out,
                           struct error *e);
void manifest_free(struct manifest **manifest);
size_t manifest_count(const struct manifest *manifest);
/* The I-th in the order of names, I below the count. */
const struct manifest_line *manifest_at(const struct manifest *manifest, size_t i);
/* NULL if NAME is not in it. */
struct manifest_line *manifest_find(struct manifest *manifest, const char *name);
const struct manifest_line *manifest_unseen(const struct manifest *manifest);

/* Writing: OUT is empty and has the maximum MANIFEST_SIZE_MAX; add as many lines as there are, then
 * end it. A name must be UTF-8. E_SPACE over the maximum. */
enum status manifest_begin(struct buf *out, struct error *e);
enum status manifest_add(struct buf *out, const struct manifest_line *line, struct error *e);
enum status manifest_end(struct buf *out, struct error *e);

#endif

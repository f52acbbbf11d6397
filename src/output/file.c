/*
 * Files without a name. Their bytes come from the envelope, decrypted, and each region verified
 * before it gets here; the places and sizes follow from the blob's headers, so they are checked for
 * overflow. Until output_file_seal nobody can open them, and the kernel drops them if the process
 * dies.
 */
#include "output/file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_PIECE ((size_t)256 * 1024)

enum status output_file_new(struct volume *volume, const char *name, uint64_t reserve,
                            struct output_file **out, struct error *e)
{
    TRY(output_name_check(name, e));
    if (volume->dry)
        return fail(e, E_BUG, "%.200s: a dry run writes nothing", name);
    AUTO(output_file_free) struct output_file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return fail(e, E_BUG, "out of memory");
    f->fd = -1;
    f->volume = volume;
    f->name = strdup(name);
    if (f->name == NULL)
        return fail(e, E_BUG, "out of memory");
    if (unnamed_open(volume->root, &f->fd, e) != OK)
        return wrap(e, "%.200s", name);
    if (space_reserve(f, reserve, e) != OK)
        return wrap(e, "%.200s", name);
    *out = f;
    f = NULL;
    return OK;
}

void output_file_free(struct output_file **file)
{
    struct output_file *f = *file;
    if (f == NULL)
        return;
    *file = NULL;
    promise_use(f, UINT64_MAX);
    descriptor_close(&f->fd);
    free(f->name);
    free(f);
}

enum status output_file_write(struct output_file *file, uint64_t at, struct span bytes,
                              struct error *e)
{
    enum status s = space_extend(file, bytes.size, e);
    promise_use(file, bytes.size);
    if (s == OK)
        s = bytes_write(file->fd, at, bytes, e);
    if (s == E_SPACE && earlier_make_room(file->volume))
        s = bytes_write(file->fd, at, bytes, e);
    if (s != OK)
        return wrap(e, "%.200s", file->name);
    atomic_fetch_add_explicit(&file->written, bytes.size, memory_order_relaxed);
    return OK;
}

static enum status sink_write(void *context, uint64_t at, struct span bytes, struct error *e)
{
    return output_file_write(context, at, bytes, e);
}

struct sink output_file_sink(struct output_file *file)
{
    return (struct sink){.write = sink_write, .context = file};
}

/* ---- The second pass ---------------------------------------------------------------------------
 */

static void hash_free(EVP_MD_CTX **hash)
{
    EVP_MD_CTX_free(*hash);
    *hash = NULL;
}

struct piece {
    uint8_t *data;
};

static void piece_free(struct piece *p)
{
    memory_free(p->data); /* wipes: it held plaintext */
    p->data = NULL;
}

enum status output_file_read(struct output_file *file, uint64_t at, uint8_t *room, size_t size,
                             struct error *e)
{
    while (size > 0) {
        TRY(stop_check(e));
        ssize_t n = pread(file->fd, room, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, E_BUG, "%.200s: cannot read it back", file->name);
        if (n == 0)
            return fail(e, E_BUG, "%.200s: it ends at byte %llu", file->name,
                        (unsigned long long)at);
        at += (uint64_t)n;
        room += n;
        size -= (size_t)n;
    }
    return OK;
}

static enum status hash_file(struct output_file *f, uint64_t size, EVP_MD_CTX *hash,
                             struct error *e)
{
    AUTO(piece_free) struct piece piece = {memory_new(HASH_PIECE)};
    if (piece.data == NULL)
        return fail(e, E_BUG, "out of memory");
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < HASH_PIECE ? (size_t)(size - at) : HASH_PIECE;
        TRY(output_file_read(f, at, piece.data, n, e));
        if (EVP_DigestUpdate(hash, piece.data, n) != 1)
            return fail_openssl(e, E_BUG, "%.200s: cannot hash it", f->name);
        at += n;
    }
    return OK;
}

enum status output_file_sha256(struct output_file *file, uint64_t size,
                               uint8_t digest[static SHA256_SIZE], struct error *e)
{
    uint8_t result[SHA256_SIZE];
    AUTO(hash_free) EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        return fail_openssl(e, E_BUG, "%.200s: cannot start SHA-256", file->name);
    TRY(hash_file(file, size, hash, e));
    if (EVP_DigestFinal_ex(hash, result, NULL) != 1)
        return fail_openssl(e, E_BUG, "%.200s: cannot hash it", file->name);
    memcpy(digest, result, sizeof result);
    return OK;
}

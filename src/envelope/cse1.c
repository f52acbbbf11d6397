/*
 * Client-side encryption 1.0: AES-256-CBC over the whole blob, PKCS#7 padding, nothing
 * authenticated. Read only when the job asks for it.
 *
 * CVE-2022-30187: who can write the blob and sees how its decryption fails learns plaintext byte by
 * byte. So all failures that depend on decrypted bytes are one sentence and one exit code, and none
 * is worth a retry. Wrong padding is told by the verdict only, after the same work as right padding:
 * whoever compares a digest can do so in both cases, and give one answer.
 */
#include "envelope/internal.h"

#include <inttypes.h>
#include <string.h>

static enum status cse1_open(struct envelope *v, const struct envelope_metadata *m,
                             const struct kek *kek, struct error *e)
{
    const struct protocol *protocol = protocol_find(m->protocol);
    if (protocol == NULL || protocol->format != ENVELOPE_CSE_V1)
        return fail(e, E_NOT_AUTHENTIC, "the metadata is not that of version 1.0");
    if (v->stored_size == 0 || v->stored_size % BLOCK_SIZE != 0)
        return fail(e, E_NOT_AUTHENTIC,
                    "the blob's %" PRIu64
                    " bytes are not whole blocks of 16: it was cut or added to",
                    v->stored_size);
    v->unit_size = v->stored_size;
    v->unit_overhead = 1; /* of padding, at least */
    v->plain_size = v->stored_size - 1;
    memcpy(v->iv, m->iv, sizeof(v->iv));
    return unwrap_content_key(m, kek, &v->key, e);
}

static enum status cse1_start(struct envelope_reader *r, struct error *e)
{
    struct span key = secret_view(&r->envelope->key);
    if (EVP_DecryptInit_ex(r->cipher, EVP_aes_256_cbc(), NULL, key.data, r->envelope->iv) != 1 ||
        EVP_CIPHER_CTX_set_padding(r->cipher, 0) != 1)
        return fail_openssl(e, E_BUG, "AES-CBC cannot be set up");
    r->region_at = 0;
    return OK;
}

static enum status cse1_feed(struct envelope_reader *r, struct span bytes, struct error *e)
{
    while (bytes.size > 0) {
        size_t n = 0;
        TRY(reader_room(r, &n, e));
        n -= (size_t)(r->region_at % BLOCK_SIZE); /* the cipher holds this much of a block back */
        if (n > bytes.size)
            n = bytes.size;
        int got = 0;
        if (EVP_DecryptUpdate(r->cipher, r->out + r->filled, &got, bytes.data, (int)n) != 1)
            return fail_openssl(e, E_BUG, "AES-CBC cannot decrypt");
        r->filled += (size_t)got;
        r->region_at += n;
        bytes = span_of(bytes.data + n, bytes.size - n);
    }
    return OK;
}

/* 1 … 16, or 0 if the padding is wrong; takes the same time for each. */
static unsigned padding_of(const uint8_t block[static BLOCK_SIZE])
{
    const unsigned size = block[BLOCK_SIZE - 1];
    unsigned wrong = (size - 1U) & ~15U; /* not in 1 … 16 */
    for (unsigned i = 0; i < BLOCK_SIZE; i++) {
        unsigned is_padding =
            ((BLOCK_SIZE - 1U - i) - size) >> 31; /* distance from the end < size */
        wrong |= (0U - is_padding) & (block[i] ^ size);
    }
    return wrong == 0 ? size : 0;
}

/* The last block is still in the buffer: it is flushed only when more comes. */
static enum status cse1_finish(struct envelope_reader *r, struct error *e)
{
    if (r->filled < BLOCK_SIZE)
        return fail(e, E_BUG, "the last block of a blob is gone");
    unsigned padding = padding_of(r->out + r->filled - BLOCK_SIZE);
    r->filled -= padding != 0 ? padding : 1; /* room is for all bytes but one */
    atomic_store(&r->envelope->plain_seen, r->envelope->stored_size - padding);
    return OK;
}

enum status cse1_verdict(struct envelope *v, struct error *e)
{
    const uint64_t seen = atomic_load(&v->plain_seen); /* all of it: there was no padding */
    v->plain_size = seen < v->stored_size ? seen : v->stored_size - 1;
    return seen < v->stored_size ? OK : fail(e, E_NOT_AUTHENTIC, "the blob cannot be decrypted");
}

const struct format format_cse1 = {
    .open = cse1_open,
    .start = cse1_start,
    .feed = cse1_feed,
    .finish = cse1_finish,
    .needs_metadata = true,
    .needs_key = true,
};

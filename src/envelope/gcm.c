/*
 * Regions of AES-GCM: nonce(12) ‖ ciphertext ‖ tag(16), no additional data. Client-side
 * encryption 2.x is a row of them; the format aes-gcm is a single one under the key itself.
 *
 * All bytes are hostile. A nonce that does not count its region is refused before anything is
 * decrypted; plaintext goes to the sink as the buffer fills, but a region never begins before the
 * tag of the one in front was verified.
 */
#include "envelope/internal.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <string.h>

static const EVP_CIPHER *cipher_for(size_t key_size)
{
    switch (key_size) {
    case 16:
        return EVP_aes_128_gcm();
    case 24:
        return EVP_aes_192_gcm();
    case 32:
        return EVP_aes_256_gcm();
    default:
        return NULL;
    }
}

static void region_begin(struct envelope_reader *r, uint64_t region)
{
    const struct envelope *v = r->envelope;
    uint64_t at = region * v->unit_size;
    uint64_t left = at < v->stored_size ? v->stored_size - at : 0; /* 0: behind the last one */
    r->region = region;
    r->region_at = 0;
    r->region_size = left < v->unit_size ? left : v->unit_size;
}

static enum status gcm_start(struct envelope_reader *r, struct error *e)
{
    struct span key = secret_view(&r->envelope->key);
    const EVP_CIPHER *cipher = cipher_for(key.size);
    if (cipher == NULL)
        return fail(e, E_BUG, "a key of %zu bytes got as far as AES-GCM", key.size);
    /* Once per stretch; the regions only change the nonce and so keep the key schedule. */
    if (EVP_DecryptInit_ex(r->cipher, cipher, NULL, key.data, NULL) != 1)
        return fail_openssl(e, E_BUG, "AES-GCM cannot be set up");
    region_begin(r, r->span.stored_at / r->envelope->unit_size);
    return OK;
}

static enum status refuse(struct error *e, const struct envelope_reader *r, const char *why)
{
    enum status status = r->envelope->is_ordered
                             ? fail(e, E_NOT_AUTHENTIC, "region %" PRIu64 " %s", r->region, why)
                             : fail(e, E_NOT_AUTHENTIC, "the blob %s", why);
    advise(
        e,
        "The blob is not what its writer stored: upload it again, and look who else can write to the container");
    return status;
}

static enum status nonce_done(struct envelope_reader *r, struct error *e)
{
    struct envelope *v = r->envelope;
    r->fits = v->is_ordered ? nonce_encodings(r->nonce, r->region) : NONCE_ANY;
    if ((atomic_load(&v->encodings) & r->fits) == 0)
        return refuse(e, r, "is out of order");
    if (EVP_DecryptInit_ex(r->cipher, NULL, NULL, NULL, r->nonce) != 1)
        return fail_openssl(e, E_BUG, "AES-GCM does not take a nonce");
    return OK;
}

static enum status tag_done(struct envelope_reader *r, struct error *e)
{
    int none = 0;
    if (EVP_CIPHER_CTX_ctrl(r->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, r->tag) != 1)
        return fail_openssl(e, E_BUG, "AES-GCM does not take a tag");
    if (EVP_DecryptFinal_ex(r->cipher, r->out + r->filled, &none) != 1) {
        ERR_clear_error();
        return refuse(e, r, "is not genuine: its tag does not fit");
    }
    /* Only what was authenticated narrows the choice for the other threads. */
    if ((atomic_fetch_and(&r->envelope->encodings, r->fits) & r->fits) == 0)
        return refuse(e, r, "is out of order");
    return OK;
}

static enum status decrypt(struct envelope_reader *r, struct span *bytes, uint64_t left,
                           struct error *e)
{
    size_t n = 0;
    TRY(reader_room(r, &n, e));
    if (n > left)
        n = (size_t)left;
    if (n > bytes->size)
        n = bytes->size;
    int got = 0;
    if (EVP_DecryptUpdate(r->cipher, r->out + r->filled, &got, bytes->data, (int)n) != 1 ||
        got != (int)n)
        return fail_openssl(e, E_BUG, "AES-GCM cannot decrypt");
    r->filled += n;
    r->region_at += n;
    *bytes = span_of(bytes->data + n, bytes->size - n);
    return OK;
}

/* Collects bytes AT … SIZE of a small field. True when it is complete. */
static bool collect(struct envelope_reader *r, struct span *bytes, uint8_t *field, size_t at,
                    size_t size)
{
    size_t n = size - at < bytes->size ? size - at : bytes->size;
    memcpy(field + at, bytes->data, n);
    r->region_at += n;
    *bytes = span_of(bytes->data + n, bytes->size - n);
    return at + n == size;
}

static enum status gcm_feed(struct envelope_reader *r, struct span bytes, struct error *e)
{
    while (bytes.size > 0) {
        const uint64_t tag_at = r->region_size - TAG_SIZE;
        if (r->region_at < NONCE_SIZE) {
            if (collect(r, &bytes, r->nonce, (size_t)r->region_at, NONCE_SIZE))
                TRY(nonce_done(r, e));
        } else if (r->region_at < tag_at) {
            TRY(decrypt(r, &bytes, tag_at - r->region_at, e));
        } else if (collect(r, &bytes, r->tag, (size_t)(r->region_at - tag_at), TAG_SIZE)) {
            TRY(tag_done(r, e));
            region_begin(r, r->region + 1);
        }
    }
    return OK;
}

/* Stretches end where regions end, so the last tag was checked with the last byte. */
static enum status gcm_finish(struct envelope_reader *r, struct error *e)
{
    return r->region_at == 0 ? OK
                             : fail(e, E_BUG, "a stretch ended inside region %" PRIu64, r->region);
}

/* GCM's counter has 32 bits; two blocks are not for data (NIST SP 800-38D, section 5.2.1.1). */
#define GCM_PLAIN_MAX ((UINT64_C(1) << 36) - 32)

static enum status gcm_open(struct envelope *v, const struct envelope_metadata *m,
                            const struct kek *kek, struct error *e)
{
    (void)m;
    if (v->stored_size < REGION_OVERHEAD)
        return fail(e, E_NOT_AUTHENTIC,
                    "%" PRIu64 " bytes are too few for AES-GCM's nonce and tag of %d",
                    v->stored_size, REGION_OVERHEAD);
    if (v->stored_size - REGION_OVERHEAD > GCM_PLAIN_MAX)
        return fail(e, E_NOT_AUTHENTIC, "%" PRIu64 " bytes are more than one AES-GCM message holds",
                    v->stored_size);
    struct span key = secret_view(&kek->octets);
    if (cipher_for(key.size) == NULL) {
        enum status status =
            fail(e, E_BAD_KEY, "aes-gcm needs a symmetric key of 16, 24 or 32 bytes");
        advise(e, "Name the key that encrypted the blob: a key of type oct, not RSA or EC");
        return status;
    }
    TRY(secret_copy(&v->key, key, e));
    v->unit_size = v->stored_size;
    v->unit_overhead = REGION_OVERHEAD;
    v->plain_size = v->stored_size - REGION_OVERHEAD;
    return OK;
}

const struct format format_gcm = {
    .open = gcm_open,
    .start = gcm_start,
    .feed = gcm_feed,
    .finish = gcm_finish,
    .needs_key = true,
};

const struct format format_cse2 = {
    .open = cse2_open,
    .start = gcm_start,
    .feed = gcm_feed,
    .finish = gcm_finish,
    .needs_metadata = true,
    .needs_key = true,
};

/* Private to envelope: one blob's layout and key, one stretch's reader, and the table of formats.
 */
#ifndef DECANT_ENVELOPE_INTERNAL_H
#define DECANT_ENVELOPE_INTERNAL_H

#include "envelope/envelope.h"

#include <openssl/evp.h>
#include <stdatomic.h>

enum {
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    REGION_OVERHEAD = NONCE_SIZE + TAG_SIZE,
    CONTENT_KEY_SIZE = 32,
    PREFIX_SIZE = 8, /* the protocol in front of a 2.x content key, padded with zeroes */
    BLOCK_SIZE = 16,
    PIECE_SIZE = 256 * 1024, /* what the sink gets at most */
};

#define REGION_SIZE_MAX (UINT64_C(1) << 30) /* the largest that the SDKs write or read */
/* Far above any blob, and low enough that no sum below can overflow. */
#define STORED_SIZE_MAX (UINT64_C(1) << 60)

/* What belongs together in EncryptionAgent; NULL if there is no such protocol. */
struct protocol {
    const char *number, *algorithm;
    const char *name; /* envelope_name */
    enum envelope_format format;
};
const struct protocol *protocol_find(const char *number);

/* Is WrappedContentKey.Algorithm one that is supported? E_NOT_AUTHENTIC. */
enum status wrapping_check(const char *algorithm, struct error *e);
/* Unwraps the 32 bytes that decrypt the content. */
enum status unwrap_content_key(const struct envelope_metadata *m, const struct kek *kek,
                               struct secret *out, struct error *e);

/* Which stretches of the stored bytes are finished: sorted, apart, merged where they touch. */
struct stretch {
    uint64_t from, to;
};
struct coverage {
    pthread_mutex_t lock;
    struct stretch *done;
    size_t n, capacity;
};
void coverage_init(struct coverage *c);
void coverage_free(struct coverage *c);
enum status coverage_add(struct coverage *c, struct stretch s, struct error *e); /* E_BUG if seen */
bool coverage_is(struct coverage *c, uint64_t size); /* 0 … SIZE without a gap */

/* The ways in which the SDKs count regions in their nonces, as a set. */
enum {
    NONCE_PYTHON = 1,
    NONCE_JAVA = 2,
    NONCE_NET = 4,
    NONCE_ANY = NONCE_PYTHON | NONCE_JAVA | NONCE_NET,
};
unsigned nonce_encodings(const uint8_t nonce[static NONCE_SIZE], uint64_t region);

/* Client-side encryption 2.x is rows of AES-GCM regions with a layout and a key of its own. */
enum status cse2_open(struct envelope *v, const struct envelope_metadata *m, const struct kek *kek,
                      struct error *e);

/* Was there padding? E_NOT_AUTHENTIC. Sets the exact size; without padding, that of what went out. */
enum status cse1_verdict(struct envelope *v, struct error *e);

struct format {
    /* Checks sizes, sets the layout and the key. */
    enum status (*open)(struct envelope *v, const struct envelope_metadata *m,
                        const struct kek *kek, struct error *e);
    enum status (*start)(struct envelope_reader *r, struct error *e);
    enum status (*feed)(struct envelope_reader *r, struct span bytes, struct error *e);
    enum status (*finish)(struct envelope_reader *r, struct error *e); /* NULL: nothing to do */
    bool needs_metadata, needs_key;
};
extern const struct format format_cse2, format_cse1, format_gcm, format_plain;

/* Every format is a row of units of UNIT_SIZE stored bytes, the last one shorter, of which
 * UNIT_OVERHEAD (at least, for CSE_V1) are no plaintext. */
struct envelope {
    const struct format *format;
    uint64_t stored_size, plain_size;
    uint64_t unit_size, unit_overhead;
    struct secret key;
    uint8_t iv[BLOCK_SIZE];      /* CSE_V1 */
    bool is_ordered;             /* nonces must count the regions */
    _Atomic unsigned encodings;  /* those that fit all regions verified so far */
    _Atomic uint64_t plain_seen; /* CSE_V1, at its end: the exact size, or all if the padding was wrong */
    struct coverage coverage;
};

struct envelope_reader {
    EVP_CIPHER_CTX *cipher;
    struct envelope *envelope; /* NULL: not started, finished, or failed */
    struct envelope_span span;
    struct sink sink;
    uint64_t seen;     /* stored bytes of the stretch so far */
    uint64_t plain_at; /* place of OUT's first byte in the plaintext */
    uint8_t *out;      /* PIECE_SIZE bytes, of which FILLED wait for the sink */
    size_t filled;

    uint64_t region;      /* its index in the blob */
    uint64_t region_at;   /* stored bytes of the region so far */
    uint64_t region_size; /* stored bytes of the region */
    unsigned fits;        /* encodings of this region's nonce */
    uint8_t nonce[NONCE_SIZE], tag[TAG_SIZE];
};

/* Hands what is filled to the sink. */
enum status reader_flush(struct envelope_reader *r, struct error *e);
/* Gives the room that is left for plaintext, at least one byte: flushes a full buffer first. */
enum status reader_room(struct envelope_reader *r, size_t *room, struct error *e);

#endif

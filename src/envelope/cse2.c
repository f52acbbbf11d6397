/*
 * Client-side encryption 2.0 and 2.1 of the Azure Storage SDKs: layout, and the order of regions by
 * their nonces.
 *
 *     blob = region[0] ‖ … ‖ region[n-1]         region = nonce(12) ‖ ciphertext ‖ tag(16)
 *
 * All regions but the last hold DataLength plaintext bytes. DataLength is not authenticated by
 * itself: a wrong one cuts the blob in the wrong places, so that no tag fits. Nothing authenticates
 * the end: whole regions cut off there are for the caller's size, digest or pin to notice.
 */
#include "envelope/internal.h"

#include <inttypes.h>

enum status cse2_open(struct envelope *v, const struct envelope_metadata *m, const struct kek *kek,
                      struct error *e)
{
    const struct protocol *protocol = protocol_find(m->protocol);
    if (protocol == NULL || protocol->format != ENVELOPE_CSE)
        return fail(e, E_NOT_AUTHENTIC, "the metadata is not that of version 2.0 or 2.1");
    if (m->region_size < 1 || m->region_size > REGION_SIZE_MAX)
        return fail(e, E_NOT_AUTHENTIC, "regions of %" PRIu64 " bytes are not allowed",
                    m->region_size);

    const uint64_t unit = m->region_size + REGION_OVERHEAD;
    const uint64_t last = v->stored_size % unit;
    if (last != 0 && last < REGION_OVERHEAD)
        return fail(e, E_NOT_AUTHENTIC,
                    "the blob's %" PRIu64 " bytes end inside a region: it was cut or added to",
                    v->stored_size);
    const uint64_t regions = v->stored_size / unit + (last != 0);

    v->unit_size = unit;
    v->unit_overhead = REGION_OVERHEAD;
    v->plain_size = v->stored_size - regions * REGION_OVERHEAD;
    v->is_ordered = true;
    return unwrap_content_key(m, kek, &v->key, e);
}

/* The number in the 8 bytes at P, most significant byte first. */
static uint64_t number_of(const uint8_t *p)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return n;
}

static bool are_zero(const uint8_t *p)
{
    return (p[0] | p[1] | p[2] | p[3]) == 0;
}

/* Python: 12-byte big-endian index. Java: 8-byte big-endian index, then zeroes. .NET: zeroes, then
 * 8-byte little-endian index plus one. They are told apart by their place only, hence a set. */
unsigned nonce_encodings(const uint8_t nonce[static NONCE_SIZE], uint64_t region)
{
    unsigned fits = 0;
    if (are_zero(nonce) && number_of(nonce + 4) == region)
        fits |= NONCE_PYTHON;
    if (number_of(nonce) == region && are_zero(nonce + 8))
        fits |= NONCE_JAVA;
    if (are_zero(nonce) && __builtin_bswap64(number_of(nonce + 4)) == region + 1)
        fits |= NONCE_NET;
    return fits;
}

/* SHA-256 and random bytes, from OpenSSL. */
#include "base/base.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

enum status sha256(struct span bytes, uint8_t digest[static SHA256_SIZE], struct error *e)
{
    if (EVP_Digest(bytes.data, bytes.size, digest, NULL, EVP_sha256(), NULL) != 1)
        return fail_openssl(e, E_BUG, "SHA-256");
    return OK;
}

enum status random_bytes(uint8_t *out, size_t size, struct error *e)
{
    if (size > INT32_MAX || RAND_priv_bytes(out, (int)size) != 1)
        return fail_openssl(e, E_BUG, "no random bytes");
    return OK;
}

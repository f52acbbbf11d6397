/*
 * The offer: an RSA pair for this run and the JWK set that carries its public half to the
 * attestation service. Nothing here comes from outside. The set's bytes are the ones the vault's
 * own sidecar sends (members in alphabetical order, no white space), for they are hashed into the
 * hardware report: one buffer serves the hash and the request.
 */
#include "key/internal.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#define OFFER_BITS 2048
#define TEXT_MAX   4096

void key_pkey_free(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
    *pkey = NULL;
}

void key_pkey_context_free(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
    *context = NULL;
}

void key_bn_free(BIGNUM **number)
{
    BN_clear_free(*number);
    *number = NULL;
}

static enum status add_number(EVP_PKEY *pair, const char *name, struct buf *out, struct error *e)
{
    AUTO(key_bn_free) BIGNUM *number = NULL;
    uint8_t bytes[KEY_RSA_BITS_MAX / 8];
    int size;

    if (!EVP_PKEY_get_bn_param(pair, name, &number))
        return fail_openssl(e, E_BUG, "ephemeral key: no RSA number %s", name);
    size = BN_num_bytes(number);
    if (size <= 0 || (size_t)size > sizeof bytes)
        return fail(e, E_BUG, "ephemeral key: number %s of %d bytes", name, size);
    if (BN_bn2bin(number, bytes) != size)
        return fail_openssl(e, E_BUG, "ephemeral key: cannot write number %s", name);
    return base64_encode(span_of(bytes, (size_t)size), BASE64URL, out, e);
}

/* RFC 7638: SHA-256 over the required members in alphabetical order. */
static enum status add_thumbprint(const char *exponent, const char *modulus, struct buf *out,
                                  struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(TEXT_MAX);
    uint8_t digest[SHA256_SIZE];

    TRY(buf_addf(&text, e, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", exponent, modulus));
    TRY(sha256(buf_span(&text), digest, e));
    return base64_encode(span_of(digest, sizeof digest), BASE64URL, out, e);
}

static enum status write_set(EVP_PKEY *pair, struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf exponent = BUF(TEXT_MAX);
    AUTO(buf_free) struct buf modulus = BUF(TEXT_MAX);
    AUTO(buf_free) struct buf thumbprint = BUF(TEXT_MAX);

    TRY(add_number(pair, OSSL_PKEY_PARAM_RSA_E, &exponent, e));
    TRY(add_number(pair, OSSL_PKEY_PARAM_RSA_N, &modulus, e));
    TRY(add_thumbprint(buf_text(&exponent), buf_text(&modulus), &thumbprint, e));
    /* Exactly one key, with key_ops and a kid: the vault takes the first suitable one. */
    return buf_addf(out, e,
                    "{\"keys\":[{\"e\":\"%s\",\"key_ops\":[\"encrypt\"],\"kid\":\"%s\","
                    "\"kty\":\"RSA\",\"n\":\"%s\"}]}",
                    buf_text(&exponent), buf_text(&thumbprint), buf_text(&modulus));
}

enum status key_offer_of(struct evp_pkey_st *pair, struct key_offer *out, struct error *e)
{
    AUTO(buf_free) struct buf set = BUF(TEXT_MAX);

    if (!EVP_PKEY_is_a(pair, "RSA"))
        return fail(e, E_BUG, "ephemeral key: not an RSA pair");
    TRY(write_set(pair, &set, e));
    if (!EVP_PKEY_up_ref(pair))
        return fail_openssl(e, E_BUG, "ephemeral key: no reference");
    *out = (struct key_offer){.pair = pair, .runtime_data = set};
    set = BUF(0);
    return OK;
}

enum status key_offer_new(struct key_offer *out, struct error *e)
{
    AUTO(key_pkey_free) EVP_PKEY *pair = EVP_RSA_gen(OFFER_BITS);

    if (pair == NULL)
        return fail_openssl(e, E_BUG, "cannot make the ephemeral key");
    return key_offer_of(pair, out, e);
}

void key_offer_free(struct key_offer *offer)
{
    key_pkey_free(&offer->pair);
    buf_free(&offer->runtime_data);
}

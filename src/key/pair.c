/*
 * Private keys that somebody gave us: is it RSA or EC of a size we use, and do its halves belong
 * together? The numbers are hostile and secret. RSA is held against RFC 8017 section 3.2 with plain
 * arithmetic: OpenSSL's own check tests the primes too, which costs a tenth of a second and more
 * that a start-up need not spend, and it refuses keys without primes, which JWK allows.
 */
#include "key/internal.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>
#include <string.h>

#define EXPONENT_BITS_MAX 64 /* a longer public exponent only serves to keep us busy */

static const struct key_curve CURVES[] = {
    {"P-256", "prime256v1", 32},
    {"P-384", "secp384r1", 48},
    {"P-521", "secp521r1", 66},
};

const struct key_curve *key_curve_find(const char *crv)
{
    for (size_t i = 0; crv != NULL && i < COUNT(CURVES); i++)
        if (strcmp(CURVES[i].crv, crv) == 0)
            return &CURVES[i];
    return NULL;
}

const struct key_curve *key_curve_of(const EVP_PKEY *key)
{
    char group[64];

    if (!EVP_PKEY_get_group_name(key, group, sizeof group, NULL))
        return NULL;
    for (size_t i = 0; i < COUNT(CURVES); i++)
        if (strcmp(CURVES[i].group, group) == 0)
            return &CURVES[i];
    return NULL;
}

static void bn_context_free(BN_CTX **context)
{
    BN_CTX_free(*context);
    *context = NULL;
}

struct rsa {
    BIGNUM *n, *e, *d;
    BIGNUM *p, *q, *dp, *dq, *qi; /* all or none */
};

static void rsa_free(struct rsa *r)
{
    BIGNUM **const numbers[] = {&r->n, &r->e, &r->d, &r->p, &r->q, &r->dp, &r->dq, &r->qi};

    for (size_t i = 0; i < COUNT(numbers); i++)
        key_bn_free(numbers[i]);
}

static bool rsa_load(EVP_PKEY *pair, struct rsa *r)
{
    if (!EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &r->n) ||
        !EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &r->e) ||
        !EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_D, &r->d))
        return false;
    if (!EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_FACTOR1, &r->p))
        return true;
    return EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_FACTOR2, &r->q) &&
           EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_EXPONENT1, &r->dp) &&
           EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_EXPONENT2, &r->dq) &&
           EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &r->qi);
}

/* (2^e)^d = 2 modulo n. */
static bool rsa_round_trip(const struct rsa *r, BN_CTX *context)
{
    AUTO(key_bn_free) BIGNUM *x = BN_new();

    return x != NULL && BN_set_word(x, 2) && BN_mod_exp(x, x, r->e, r->n, context) &&
           BN_mod_exp_mont_consttime(x, x, r->d, r->n, context, NULL) && BN_is_word(x, 2);
}

/* d modulo (prime - 1) is PART, and e * d is 1 there. */
static bool rsa_prime_fits(const struct rsa *r, const BIGNUM *prime, const BIGNUM *part,
                           BN_CTX *context)
{
    AUTO(key_bn_free) BIGNUM *order = BN_dup(prime);
    AUTO(key_bn_free) BIGNUM *x = BN_new();

    return order != NULL && x != NULL && BN_sub_word(order, 1) && BN_mod(x, r->d, order, context) &&
           BN_cmp(x, part) == 0 && BN_mod_mul(x, r->d, r->e, order, context) && BN_is_one(x);
}

static bool rsa_primes_fit(const struct rsa *r, BN_CTX *context)
{
    AUTO(key_bn_free) BIGNUM *x = BN_new();

    if (x == NULL || BN_is_negative(r->p) || BN_is_negative(r->q) || BN_num_bits(r->p) < 2 ||
        BN_num_bits(r->q) < 2)
        return false;
    return BN_mul(x, r->p, r->q, context) && BN_cmp(x, r->n) == 0 &&
           rsa_prime_fits(r, r->p, r->dp, context) && rsa_prime_fits(r, r->q, r->dq, context) &&
           BN_mod_mul(x, r->q, r->qi, r->p, context) && BN_is_one(x) && BN_cmp(r->qi, r->p) < 0;
}

static enum status rsa_check(EVP_PKEY *pair, struct error *e)
{
    AUTO(rsa_free) struct rsa r = {0};
    AUTO(bn_context_free) BN_CTX *context = BN_CTX_new();
    int bits;

    if (context == NULL || !rsa_load(pair, &r))
        return fail_openssl(e, E_BAD_KEY, "the RSA key lacks a number");
    bits = BN_num_bits(r.n);
    if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX || !BN_is_odd(r.n))
        return fail(e, E_BAD_KEY, "an RSA key of %d bits; %d to %d are good", bits,
                    KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX);
    if (!BN_is_odd(r.e) || BN_is_one(r.e) || BN_num_bits(r.e) > EXPONENT_BITS_MAX ||
        BN_num_bits(r.d) > bits)
        return fail(e, E_BAD_KEY, "the RSA key has an odd exponent out of range");
    if (r.p != NULL && !rsa_primes_fit(&r, context))
        return fail_openssl(e, E_BAD_KEY, "the RSA key's numbers do not belong together");
    if (!rsa_round_trip(&r, context))
        return fail_openssl(e, E_BAD_KEY, "the RSA key's private half is not its public half's");
    return OK;
}

static enum status ec_check(EVP_PKEY *pair, struct error *e)
{
    AUTO(key_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);

    if (key_curve_of(pair) == NULL)
        return fail_openssl(e, E_BAD_KEY, "an EC key on a curve that is not P-256, P-384 or P-521");
    if (context == NULL)
        return fail_openssl(e, E_BUG, "cannot check the EC key");
    if (EVP_PKEY_public_check(context) != 1 || EVP_PKEY_private_check(context) != 1 ||
        EVP_PKEY_pairwise_check(context) != 1)
        return fail_openssl(e, E_BAD_KEY, "the EC key's private half is not its public half's");
    return OK;
}

enum status key_pair_check(EVP_PKEY *pair, struct error *e)
{
    if (EVP_PKEY_is_a(pair, "RSA"))
        return rsa_check(pair, e);
    if (EVP_PKEY_is_a(pair, "EC"))
        return ec_check(pair, e);
    return fail(e, E_BAD_KEY, "neither an RSA nor an EC key");
}

static void pkcs8_free(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
    *info = NULL;
}

enum status key_pair_from_pkcs8(struct span der, enum key_type type, const EVP_PKEY *public_key,
                                EVP_PKEY **out, struct error *e)
{
    const uint8_t *at = der.data;
    AUTO(pkcs8_free)
    PKCS8_PRIV_KEY_INFO *info =
        d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, der.size > INT32_MAX ? 0 : (long)der.size);
    AUTO(key_pkey_free) EVP_PKEY *pair = NULL;

    if (info == NULL)
        return fail_openssl(e, E_BAD_KEY, "the released key is not PKCS#8");
    if (at != der.data + der.size)
        return fail(e, E_BAD_KEY, "the released key has bytes behind its PKCS#8");
    pair = EVP_PKCS82PKEY(info);
    if (pair == NULL)
        return fail_openssl(e, E_BAD_KEY, "the released key's PKCS#8 holds no usable key");
    if (!EVP_PKEY_is_a(pair, type == KEY_RSA ? "RSA" : "EC"))
        return fail(e, E_BAD_KEY, "the released key is of another type than its kty says");
    if (EVP_PKEY_eq(pair, public_key) != 1)
        return fail_openssl(e, E_BAD_KEY, "the released key does not belong to its public half");
    TRY(key_pair_check(pair, e));
    *out = pair;
    pair = NULL;
    return OK;
}

/*
 * A key as a private JWK (RFC 7517, RFC 7518 section 6). The text is put together where it stays, in
 * the secret's own pages: no number of the key passes through other memory but OpenSSL's, which is
 * wiped.
 */
#include "key/internal.h"

#include <openssl/core_names.h>

#define JWK_SIZE (16u * 1024u) /* RSA of 8192 bits takes 7 KiB */

struct number {
    const char *name, *param;
};

static const struct number rsa_numbers[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
    {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};
enum { RSA_NUMBERS_NEEDED = 3 }; /* a key from a JWK may have no primes */

static const struct number ec_numbers[] = {
    {"x", OSSL_PKEY_PARAM_EC_PUB_X}, {"y", OSSL_PKEY_PARAM_EC_PUB_Y}, {"d", OSSL_PKEY_PARAM_PRIV_KEY}};

/* ,"NAME":"base64url" of SIZE bytes, 0: as few as it takes. */
static enum status add_number(const char *name, const BIGNUM *number, size_t size, struct buf *out,
                              struct error *e)
{
    AUTO(secret_free) struct secret bytes = {0};

    if (size == 0)
        size = (size_t)BN_num_bytes(number);
    TRY(secret_new(&bytes, size, e));
    if (BN_bn2binpad(number, secret_room(&bytes), (int)size) < 0)
        return fail_openssl(e, E_BUG, "JWK: the number %s is too long", name);
    TRY(buf_addf(out, e, ",\"%s\":\"", name));
    TRY(base64_encode(secret_view(&bytes), BASE64URL, out, e));
    return buf_add(out, SPAN_LITERAL("\""), e);
}

static enum status add_numbers(EVP_PKEY *pair, const struct number *numbers, size_t n,
                               size_t needed, size_t size, struct buf *out, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(key_bn_free) BIGNUM *number = NULL;

        if (!EVP_PKEY_get_bn_param(pair, numbers[i].param, &number)) {
            if (i == needed)
                return OK;
            return fail_openssl(e, E_BUG, "JWK: the key has no number %s", numbers[i].name);
        }
        TRY(add_number(numbers[i].name, number, size, out, e));
    }
    return OK;
}

static enum status add_ec(EVP_PKEY *pair, struct buf *out, struct error *e)
{
    const struct key_curve *curve = key_curve_of(pair);

    if (curve == NULL)
        return fail(e, E_BUG, "JWK: a key on an unknown curve");
    TRY(buf_addf(out, e, "\"EC\",\"crv\":\"%s\"", curve->crv));
    return add_numbers(pair, ec_numbers, COUNT(ec_numbers), COUNT(ec_numbers), curve->size, out, e);
}

static enum status add_key(const struct kek *kek, struct buf *out, struct error *e)
{
    if (kek->pair == NULL) {
        TRY(buf_addf(out, e, "\"oct\",\"k\":\""));
        TRY(base64_encode(secret_view(&kek->octets), BASE64URL, out, e));
        return buf_add(out, SPAN_LITERAL("\""), e);
    }
    if (!EVP_PKEY_is_a(kek->pair, "RSA"))
        return add_ec(kek->pair, out, e);
    TRY(buf_addf(out, e, "\"RSA\""));
    return add_numbers(kek->pair, rsa_numbers, COUNT(rsa_numbers), RSA_NUMBERS_NEEDED, 0, out, e);
}

enum status key_to_jwk(const struct kek *kek, struct secret *out, struct error *e)
{
    AUTO(secret_free) struct secret text = {0};

    TRY(secret_new(&text, JWK_SIZE, e));
    /* A buffer that neither moves nor grows: it is full before it would. Not to be freed. */
    struct buf in_place = {
        .data = secret_room(&text), .capacity = JWK_SIZE - 1, .max = JWK_SIZE - 1};
    TRY(buf_addf(&in_place, e, "{\"kid\":"));
    TRY(json_quote(span_text(kek->kid), &in_place, e));
    TRY(buf_addf(&in_place, e, ",\"kty\":"));
    TRY(add_key(kek, &in_place, e));
    TRY(buf_add(&in_place, SPAN_LITERAL("}"), e));
    text.size = in_place.size;
    *out = text;
    text = (struct secret){0};
    return OK;
}

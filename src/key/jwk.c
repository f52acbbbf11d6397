/*
 * JWK (RFC 7517, RFC 7518 section 6) to keys: public halves from the vault's signed answer, private
 * keys from a sidecar or a file. All numbers are hostile: lengths are checked before OpenSSL sees
 * them, and a private key must fit its own public half. Private numbers pass through wiped buffers
 * (the parsed tree too: JSON's memory comes from the wiping allocators).
 */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#define NUMBER_MAX   (KEY_RSA_BITS_MAX / 8)
#define EXPONENT_MAX 8
#define JWK_MAX      (64u * 1024u)
#define MEMBERS_MAX  8

enum status key_type_of(const struct cJSON *jwk, enum key_type *out, struct error *e)
{
    static const struct {
        const char *kty;
        enum key_type type;
    } types[] = {{"RSA", KEY_RSA},   {"RSA-HSM", KEY_RSA}, {"EC", KEY_EC},
                 {"EC-HSM", KEY_EC}, {"oct", KEY_OCT},     {"oct-HSM", KEY_OCT}};
    const char *kty = json_text(jwk, "kty");

    if (kty == NULL)
        return fail(e, E_BAD_KEY, "JWK: no kty");
    for (size_t i = 0; i < COUNT(types); i++) {
        if (strcmp(types[i].kty, kty) == 0) {
            *out = types[i].type;
            return OK;
        }
    }
    return fail(e, E_BAD_KEY, "JWK: kty \"%.20s\" is none of RSA, EC and oct", kty);
}

/* Appends member NAME decoded: MIN to MAX bytes. */
static enum status member_bytes(const struct cJSON *jwk, const char *name, size_t min, size_t max,
                                struct buf *out, struct error *e)
{
    const char *text = json_text(jwk, name);

    if (text == NULL)
        return fail(e, E_BAD_KEY, "JWK: no %s", name);
    if (strlen(text) > max / 3 * 4 + 4) /* gives at most MAX + 3 bytes, for which OUT has room */
        return fail(e, E_BAD_KEY, "JWK: %s is too long", name);
    if (base64_decode(span_text(text), BASE64URL, out, E_BAD_KEY, e) != OK)
        return wrap(e, "JWK: %s", name);
    if (out->size < min || out->size > max)
        return fail(e, E_BAD_KEY, "JWK: %s of %zu bytes", name, out->size);
    return OK;
}

/* Numbers for EVP_PKEY_fromdata, freed and wiped together. */
struct numbers {
    OSSL_PARAM_BLD *build;
    OSSL_PARAM *params;
    BIGNUM *number[MEMBERS_MAX];
    size_t n;
};

static void numbers_free(struct numbers *s)
{
    OSSL_PARAM_free(s->params);
    OSSL_PARAM_BLD_free(s->build);
    for (size_t i = 0; i < s->n; i++)
        key_bn_free(&s->number[i]);
    *s = (struct numbers){0};
}

static enum status numbers_new(struct numbers *s, struct error *e)
{
    s->build = OSSL_PARAM_BLD_new();
    return s->build != NULL ? OK : fail_openssl(e, E_BUG, "cannot build a key");
}

static enum status numbers_add(struct numbers *s, const char *param, struct span bytes,
                               struct error *e)
{
    BIGNUM *number = BN_bin2bn(bytes.data, (int)bytes.size, NULL);

    if (number == NULL || s->n == COUNT(s->number)) {
        BN_clear_free(number);
        return fail_openssl(e, E_BUG, "cannot build a key");
    }
    s->number[s->n++] = number;
    if (!OSSL_PARAM_BLD_push_BN(s->build, param, number))
        return fail_openssl(e, E_BUG, "cannot build a key");
    return OK;
}

static enum status numbers_finish(struct numbers *s, const char *type, int selection,
                                  EVP_PKEY **out, struct error *e)
{
    AUTO(key_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    AUTO(key_pkey_free) EVP_PKEY *key = NULL;

    s->params = OSSL_PARAM_BLD_to_param(s->build);
    if (s->params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) <= 0)
        return fail_openssl(e, E_BUG, "cannot build a key");
    if (EVP_PKEY_fromdata(context, &key, selection, s->params) <= 0)
        return fail_openssl(e, E_BAD_KEY, "JWK: no valid %s key", type);
    *out = key;
    key = NULL;
    return OK;
}

/* ---- RSA ---- */

struct rsa_member {
    const char *name, *param;
};

/* Base64urlUInt: as short as can be. */
static enum status add_public(const struct cJSON *jwk, const struct rsa_member *m, size_t min,
                              size_t max, struct numbers *s, struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(max + 4);

    TRY(member_bytes(jwk, m->name, min, max, &bytes, e));
    if (bytes.data[0] == 0)
        return fail(e, E_BAD_KEY, "JWK: %s starts with a zero byte", m->name);
    return numbers_add(s, m->param, buf_span(&bytes), e);
}

static enum status rsa_add_public(const struct cJSON *jwk, struct numbers *s, struct error *e)
{
    static const struct rsa_member n = {"n", OSSL_PKEY_PARAM_RSA_N};
    static const struct rsa_member exponent = {"e", OSSL_PKEY_PARAM_RSA_E};

    TRY(add_public(jwk, &n, KEY_RSA_BITS_MIN / 8, NUMBER_MAX, s, e));
    return add_public(jwk, &exponent, 1, EXPONENT_MAX, s, e);
}

/* d, and the five numbers of the primes: all of them or none. */
static enum status rsa_add_private(const struct cJSON *jwk, struct numbers *s, struct error *e)
{
    static const struct rsa_member members[] = {
        {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };
    size_t n = 1;

    if (json_member(jwk, "oth") != NULL)
        return fail(e, E_BAD_KEY, "JWK: an RSA key of more than two primes");
    for (size_t i = 1; i < COUNT(members); i++)
        if (json_member(jwk, members[i].name) != NULL)
            n = COUNT(members);
    for (size_t i = 0; i < n; i++) {
        AUTO(buf_free) struct buf bytes = BUF(NUMBER_MAX + 4);

        TRY(member_bytes(jwk, members[i].name, 1, NUMBER_MAX, &bytes, e));
        TRY(numbers_add(s, members[i].param, buf_span(&bytes), e));
    }
    return OK;
}

static enum status rsa_build(const struct cJSON *jwk, bool private_key, EVP_PKEY **out,
                             struct error *e)
{
    AUTO(numbers_free) struct numbers s = {0};

    TRY(numbers_new(&s, e));
    TRY(rsa_add_public(jwk, &s, e));
    if (private_key)
        TRY(rsa_add_private(jwk, &s, e));
    return numbers_finish(&s, "RSA", private_key ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, out, e);
}

/* ---- EC ---- */

static enum status ec_add_point(const struct cJSON *jwk, const struct key_curve *curve,
                                struct buf *point, struct numbers *s, struct error *e)
{
    static const char *const names[] = {"x", "y"};

    TRY(buf_add(point, SPAN_LITERAL("\x04"), e)); /* uncompressed: SEC 1, section 2.3.3 */
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO(buf_free) struct buf bytes = BUF(curve->size + 4);

        TRY(member_bytes(jwk, names[i], curve->size, curve->size, &bytes, e));
        TRY(buf_add(point, buf_span(&bytes), e));
    }
    if (!OSSL_PARAM_BLD_push_utf8_string(s->build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(s->build, OSSL_PKEY_PARAM_PUB_KEY, point->data,
                                          point->size))
        return fail_openssl(e, E_BUG, "cannot build a key");
    return OK;
}

static enum status ec_build(const struct cJSON *jwk, bool private_key, EVP_PKEY **out,
                            struct error *e)
{
    const struct key_curve *curve = key_curve_find(json_text(jwk, "crv"));
    AUTO(buf_free) struct buf point = BUF(2 * 66 + 1);
    AUTO(numbers_free) struct numbers s = {0};

    if (curve == NULL)
        return fail(e, E_BAD_KEY, "JWK: crv is none of P-256, P-384 and P-521");
    TRY(numbers_new(&s, e));
    TRY(ec_add_point(jwk, curve, &point, &s, e));
    if (private_key) {
        AUTO(buf_free) struct buf bytes = BUF(curve->size + 4);

        TRY(member_bytes(jwk, "d", curve->size, curve->size, &bytes, e));
        TRY(numbers_add(&s, OSSL_PKEY_PARAM_PRIV_KEY, buf_span(&bytes), e));
    }
    return numbers_finish(&s, "EC", private_key ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, out, e);
}

enum status key_jwk_public(const struct cJSON *jwk, enum key_type type, EVP_PKEY **out,
                           struct error *e)
{
    switch (type) {
    case KEY_RSA:
        return rsa_build(jwk, false, out, e);
    case KEY_EC:
        return ec_build(jwk, false, out, e);
    case KEY_OCT:
        break;
    }
    return fail(e, E_BUG, "a symmetric key has no public half");
}

/* ---- Private keys ---- */

static enum status oct_build(const struct cJSON *jwk, struct secret *out, struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(KEY_AES_SIZE_MAX + 4);

    TRY(member_bytes(jwk, "k", 16, KEY_AES_SIZE_MAX, &bytes, e));
    if (bytes.size % 8 != 0)
        return fail(e, E_BAD_KEY, "JWK: k of %zu bytes", bytes.size);
    return secret_copy(out, buf_span(&bytes), e);
}

enum status key_from_jwk(struct span jwk, struct kek *out, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(kek_free) struct kek k = {0};
    enum key_type type;

    if (jwk.size > JWK_MAX)
        return fail(e, E_BAD_KEY, "JWK: longer than %u bytes", JWK_MAX);
    if (json_parse(jwk, E_BAD_KEY, &tree, e) != OK)
        return wrap(e, "JWK");
    TRY(key_type_of(tree, &type, e));
    if (json_text(tree, "kid") != NULL)
        TRY(key_name(&k, json_text(tree, "kid"), E_BAD_KEY, e));
    switch (type) {
    case KEY_RSA:
        TRY(rsa_build(tree, true, &k.pair, e));
        break;
    case KEY_EC:
        TRY(ec_build(tree, true, &k.pair, e));
        break;
    case KEY_OCT:
        TRY(oct_build(tree, &k.octets, e));
        break;
    }
    if (k.pair != NULL)
        TRY(key_pair_check(k.pair, e));
    *out = k;
    k = (struct kek){0};
    return OK;
}

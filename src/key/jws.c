/*
 * The compact JWS (RFC 7515) that the vault answers with: hostile until key_jws_verify said OK.
 * Only RSA signatures of the table below are understood; what would change the meaning of the text
 * (crit, b64) is refused, and no algorithm is taken from the key or guessed.
 */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#define HEADER_MAX    (256u * 1024u) /* ten certificates of 16 KiB in base64 */
#define PAYLOAD_MAX   (128u * 1024u)
#define SIGNATURE_MAX (KEY_RSA_BITS_MAX / 8)

static enum status add_decoded(struct span part, size_t max, struct buf *out, const char *name,
                               struct error *e)
{
    *out = BUF(max);
    /* The compact form has no padding, and a text that can be written in two ways is not signed as
     * one of them. */
    if (part.size == 0 || memchr(part.data, '=', part.size) != NULL)
        return fail(e, E_BAD_KEY, "JWS: a %s that is empty or padded", name);
    if (part.size / 4 * 3 > max - 3)
        return fail(e, E_BAD_KEY, "JWS: a %s of %zu characters", name, part.size);
    if (base64_decode(part, BASE64URL, out, E_BAD_KEY, e) != OK)
        return wrap(e, "JWS: %s", name);
    return OK;
}

/* Three parts, no more. */
static bool cut_parts(struct span text, struct span parts[static 3])
{
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '.')
            continue;
        if (n == 3)
            return false;
        parts[n++] = span_of(text.data + start, i - start);
        start = i + 1;
    }
    return n == 3;
}

enum status key_jws_parse(struct span text, struct key_jws *out, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    AUTO(buf_free) struct buf header = BUF(0);
    struct span parts[3];

    if (text.size == 0 || text.size > KEY_JWS_MAX)
        return fail(e, E_BAD_KEY, "JWS: %zu bytes; 1 to %u are good", text.size, KEY_JWS_MAX);
    if (!cut_parts(text, parts))
        return fail(e, E_BAD_KEY, "JWS: not of three parts");
    jws.signed_text = span_of(text.data, parts[0].size + 1 + parts[1].size);
    TRY(add_decoded(parts[0], HEADER_MAX, &header, "header", e));
    TRY(add_decoded(parts[1], PAYLOAD_MAX, &jws.payload, "payload", e));
    TRY(add_decoded(parts[2], SIGNATURE_MAX + 4, &jws.signature, "signature", e));
    if (json_parse(buf_span(&header), E_BAD_KEY, &jws.header, e) != OK)
        return wrap(e, "JWS: header");
    *out = jws;
    jws = (struct key_jws){0};
    return OK;
}

void key_jws_free(struct key_jws *jws)
{
    json_free(&jws->header);
    buf_free(&jws->payload);
    buf_free(&jws->signature);
    jws->signed_text = span_of(NULL, 0);
}

/* ---- The signature: RFC 7518, sections 3.3 and 3.5 ---- */

struct algorithm {
    const char *alg;
    const EVP_MD *(*hash)(void);
    bool pss;
};

static const struct algorithm ALGORITHMS[] = {
    {"RS256", EVP_sha256, false}, {"RS384", EVP_sha384, false}, {"RS512", EVP_sha512, false},
    {"PS256", EVP_sha256, true},  {"PS384", EVP_sha384, true},  {"PS512", EVP_sha512, true},
};

static const struct algorithm *algorithm_find(const char *alg)
{
    for (size_t i = 0; alg != NULL && i < COUNT(ALGORITHMS); i++)
        if (strcmp(ALGORITHMS[i].alg, alg) == 0)
            return &ALGORITHMS[i];
    return NULL;
}

static void digest_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
    *context = NULL;
}

static bool verify_prepare(EVP_MD_CTX *context, const struct algorithm *a, EVP_PKEY *key)
{
    EVP_PKEY_CTX *padding = NULL;

    if (context == NULL || EVP_DigestVerifyInit(context, &padding, a->hash(), NULL, key) <= 0)
        return false;
    if (!a->pss)
        return EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(padding, a->hash()) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) > 0;
}

enum status key_signature_verify(const char *alg, EVP_PKEY *key, struct span signed_text,
                                 struct span signature, struct error *e)
{
    AUTO(digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    const struct algorithm *algorithm = algorithm_find(alg);

    if (algorithm == NULL)
        return fail(e, E_BAD_KEY, "JWS: the algorithm is none of RS256 to RS512, PS256 to PS512");
    if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < KEY_RSA_BITS_MIN ||
        EVP_PKEY_get_bits(key) > KEY_RSA_BITS_MAX)
        return fail(e, E_BAD_KEY, "JWS: the signer has no RSA key of %d to %d bits",
                    KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX);
    if (signature.size != (size_t)EVP_PKEY_get_size(key))
        return fail(e, E_BAD_KEY, "JWS: a signature of %zu bytes", signature.size);
    if (!verify_prepare(context, algorithm, key))
        return fail_openssl(e, E_BUG, "JWS: cannot set up the signature check");
    if (EVP_DigestVerify(context, signature.data, signature.size, signed_text.data,
                         signed_text.size) != 1) {
        ERR_clear_error();
        return fail(e, E_BAD_KEY, "JWS: the signature is not by the certificate it names");
    }
    return OK;
}

static enum status header_check(const struct cJSON *header, struct error *e)
{
    static const char *const refused[] = {"crit", "b64"};

    for (size_t i = 0; i < COUNT(refused); i++)
        if (json_member(header, refused[i]) != NULL)
            return fail(e, E_BAD_KEY, "JWS: header with %s, which this program does not know",
                        refused[i]);
    if (algorithm_find(json_text(header, "alg")) == NULL)
        return fail(e, E_BAD_KEY, "JWS: the algorithm is none of RS256 to RS512, PS256 to PS512");
    return OK;
}

static enum status signed_by(const struct key_jws *jws, EVP_PKEY *key, struct error *e)
{
    return key_signature_verify(json_text(jws->header, "alg"), key, jws->signed_text,
                                buf_span(&jws->signature), e);
}

enum status key_jws_verify(const struct key_jws *jws, const struct key_trust *trust,
                           struct error *e)
{
    AUTO(key_pkey_free) EVP_PKEY *leaf = NULL;

    TRY(header_check(jws->header, e));
    TRY(key_chain_verify(jws->header, trust, &leaf, e));
    return signed_by(jws, leaf, e);
}

enum status key_jws_verify_leaf(const struct key_jws *jws, struct error *e)
{
    AUTO(key_pkey_free) EVP_PKEY *leaf = NULL;

    TRY(header_check(jws->header, e));
    TRY(key_chain_leaf(jws->header, &leaf, e));
    return signed_by(jws, leaf, e);
}

/* The one key that KID names. Two of a name would leave it open whose signature it is. */
static enum status set_find(const struct cJSON *set, const char *kid, const struct cJSON **out,
                            struct error *e)
{
    const struct cJSON *keys = json_array(set, "keys"), *key, *found = NULL;

    if (keys == NULL || kid == NULL)
        return fail(e, E_BAD_KEY, "JWS: %s", keys == NULL ? "the key set has no keys"
                                                          : "the header names no kid");
    cJSON_ArrayForEach(key, keys)
    {
        const char *name = json_text(key, "kid");

        if (name == NULL || strcmp(name, kid) != 0)
            continue;
        if (found != NULL)
            return fail(e, E_BAD_KEY, "JWS: the key set has the kid %.100s twice", kid);
        found = key;
    }
    if (found == NULL)
        return fail(e, E_BAD_KEY, "JWS: the key set has no key %.100s", kid);
    *out = found;
    return OK;
}

enum status key_jws_verify_set(const struct key_jws *jws, struct span jwks, struct error *e)
{
    AUTO(key_pkey_free) EVP_PKEY *key = NULL;
    AUTO(json_free) struct cJSON *set = NULL;
    const struct cJSON *entry = NULL;

    TRY(header_check(jws->header, e));
    if (json_parse(jwks, E_BAD_KEY, &set, e) != OK)
        return wrap(e, "JWS: the key set");
    TRY(set_find(set, json_text(jws->header, "kid"), &entry, e));
    if (json_member(entry, "x5c") != NULL)
        TRY(key_chain_leaf(entry, &key, e));
    else
        TRY(key_jwk_public(entry, KEY_RSA, &key, e));
    return signed_by(jws, key, e);
}

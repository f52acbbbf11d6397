/*
 * What the files of this room share. Everything here starts with key_, for all rooms end up in one
 * program. Failures are E_BAD_KEY unless a declaration says otherwise.
 */
#ifndef DECANT_KEY_INTERNAL_H
#define DECANT_KEY_INTERNAL_H

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "key/key.h"

#define KEY_CIPHERTEXT_MAX (16u * 1024u)
#define KEY_RSA_BITS_MIN   2048
#define KEY_RSA_BITS_MAX   8192
#define KEY_AES_SIZE_MAX   32

/* OpenSSL's objects, for AUTO(). */
void key_pkey_free(EVP_PKEY **pkey);
void key_pkey_context_free(EVP_PKEY_CTX **context);
void key_bn_free(BIGNUM **number); /* wipes */

/* ---- Wrapping: how the vault packs a key (unwrap.c) ---- */

struct key_wrapping {
    const char *enc;             /* as the vault names it */
    const EVP_MD *(*hash)(void); /* of OAEP and of its mask */
};

/* What is asked for. */
#define KEY_ENC "RSA_AES_KEY_WRAP_256"

/* NULL if ENC is none of the three. */
const struct key_wrapping *key_wrapping_find(const char *enc);
/* RSA-OAEP(AES-256 key) followed by AES-KWP(key). OUT must be empty. */
enum status key_unwrap(EVP_PKEY *pair, const struct key_wrapping *wrapping, struct span ciphertext,
                       struct secret *out, struct error *e);
/* Its two halves. */
enum status key_oaep_open(EVP_PKEY *pair, const EVP_MD *hash, struct span ciphertext,
                          struct secret *out, struct error *e);
enum status key_kwp_open(struct span kek, struct span wrapped, struct secret *out, struct error *e);

/* ---- JWS (jws.c, chain.c) ---- */

/* Verifies x5c of HEADER and gives the leaf's RSA key. OUT must be NULL. */
enum status key_chain_verify(const struct cJSON *header, const struct key_trust *trust,
                             EVP_PKEY **out, struct error *e);
/* The key of the first certificate in x5c, whoever that is. OUT must be NULL. */
enum status key_chain_leaf(const struct cJSON *object, EVP_PKEY **out, struct error *e);
/* The same algorithm names and rules without a chain. */
enum status key_signature_verify(const char *alg, EVP_PKEY *key, struct span signed_text,
                                 struct span signature, struct error *e);

/* ---- JWK and pairs (jwk.c, pair.c) ---- */

enum key_type { KEY_RSA, KEY_EC, KEY_OCT };

struct key_curve {
    const char *crv;   /* RFC 7518 */
    const char *group; /* OpenSSL */
    size_t size;       /* of a coordinate and of the private number */
};

/* NULL if it is none of P-256, P-384 and P-521. */
const struct key_curve *key_curve_find(const char *crv);

/* That of an EC key; NULL if it is none of them. */
const struct key_curve *key_curve_of(const EVP_PKEY *key);

/* "RSA", "RSA-HSM", "EC", "EC-HSM", "oct", "oct-HSM" */
enum status key_type_of(const struct cJSON *jwk, enum key_type *out, struct error *e);
/* The public key of a JWK: n and e, or crv, x and y. OUT must be NULL. */
enum status key_jwk_public(const struct cJSON *jwk, enum key_type type, EVP_PKEY **out,
                           struct error *e);

/* Refuses what is no RSA or EC pair of a usable size, or whose halves do not belong together. */
enum status key_pair_check(EVP_PKEY *pair, struct error *e);
/* A checked pair of TYPE from all of DER (PKCS#8), whose public half is PUBLIC_KEY. OUT must be
 * NULL. */
enum status key_pair_from_pkcs8(struct span der, enum key_type type, const EVP_PKEY *public_key,
                                EVP_PKEY **out, struct error *e);

/* ---- Exchange (exchange.c) ---- */

struct key_call {
    const char *what;   /* for messages */
    const char *method; /* POST to release, GET to look */
    const char *url;
    struct span bearer; /* empty: none */
    struct span body;   /* of POST: JSON */
    int64_t timeout_ms;
    int64_t patience_ms; /* while the answer is 429 */
    bool direct;
};

/* Status 200 and JSON, or an error: E_NOT_RELEASED with a remedy, E_NETWORK, E_BAD_KEY. ANSWER must
 * be NULL. */
enum status key_call(struct http_session *session, const struct key_call *post,
                     struct cJSON **answer, struct error *e);

/* ---- Ids ---- */

/* Copies TEXT into K->kid. */
enum status key_name(struct kek *k, const char *text, enum status status_if_bad, struct error *e);

#endif

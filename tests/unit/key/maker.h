/*
 * Makes what the vault makes: certificates, JWKs, wrapped keys and whole releases, with OpenSSL and
 * in memory, so that a test can change one thing at a time. All keys in here are worthless test
 * keys.
 */
#ifndef DECANT_KEY_MAKER_H
#define DECANT_KEY_MAKER_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "key/key.h"
#include "testing.h"

#define NOW  INT64_C(1700000000)
#define DAY  INT64_C(86400)
#define ROOM ((size_t)1 << 20)

static inline void must(bool good)
{
    assert_true(good);
}

/* ---- Text ---- */

/* TEXT with FROM, which must be there, made TO. Malloc'd. */
static inline char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    const size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);

    if (at == NULL)
        fail_msg("\"%s\" is not in %s", from, text);
    must(out != NULL &&
         snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
    return out;
}

static inline char *encoded(struct span bytes, enum base64_kind kind)
{
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char *text;

    assert_ok(base64_encode(bytes, kind, &out, &e), &e);
    text = strdup(buf_text(&out));
    must(text != NULL);
    buf_free(&out);
    return text;
}

static inline char *b64u(const void *data, size_t size)
{
    return encoded(span_of(data, size), BASE64URL);
}

static inline char *b64u_text(const char *text)
{
    return b64u(text, strlen(text));
}

/* ---- Keys ---- */

static inline EVP_PKEY *ec_key(const char *group)
{
    EVP_PKEY *key = EVP_EC_gen(group);

    must(key != NULL);
    return key;
}

static inline EVP_PKEY *rsa_key(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    must(key != NULL);
    return key;
}

/* A number of KEY as base64url, of SIZE bytes (0: as short as can be). */
static inline char *number_text(EVP_PKEY *key, const char *param, int size)
{
    uint8_t bytes[1024];
    BIGNUM *number = NULL;
    char *text;

    must(EVP_PKEY_get_bn_param(key, param, &number));
    if (size == 0)
        size = BN_num_bytes(number);
    must(BN_bn2binpad(number, bytes, size) == size);
    text = b64u(bytes, (size_t)size);
    BN_clear_free(number);
    return text;
}

struct jwk_member {
    const char *name, *param;
};

static inline void add_numbers(struct buf *out, EVP_PKEY *key, const struct jwk_member *m, size_t n,
                               int size)
{
    struct error e = {0};

    for (size_t i = 0; i < n; i++) {
        char *text = number_text(key, m[i].param, size);
        assert_ok(buf_addf(out, &e, ",\"%s\":\"%s\"", m[i].name, text), &e);
        free(text);
    }
}

/* "kty":…: the members of a JWK without braces; HSM is "" or "-HSM". Malloc'd. */
static inline char *jwk_members(EVP_PKEY *key, bool private_too, const char *hsm)
{
    static const struct jwk_member rsa[] = {{"n", "n"},
                                            {"e", "e"},
                                            {"d", "d"},
                                            {"p", "rsa-factor1"},
                                            {"q", "rsa-factor2"},
                                            {"dp", "rsa-exponent1"},
                                            {"dq", "rsa-exponent2"},
                                            {"qi", "rsa-coefficient1"}};
    static const struct jwk_member ec[] = {{"x", "qx"}, {"y", "qy"}, {"d", "priv"}};
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char group[64];
    char *text;

    if (EVP_PKEY_is_a(key, "RSA")) {
        assert_ok(buf_addf(&out, &e, "\"kty\":\"RSA%s\"", hsm), &e);
        add_numbers(&out, key, rsa, private_too ? 8 : 2, 0);
    } else {
        must(EVP_PKEY_get_group_name(key, group, sizeof group, NULL));
        const int bits = EVP_PKEY_get_bits(key);
        assert_ok(buf_addf(&out, &e, "\"kty\":\"EC%s\",\"crv\":\"P-%d\"", hsm, bits), &e);
        add_numbers(&out, key, ec, private_too ? 3 : 2, (bits + 7) / 8);
    }
    text = strdup(buf_text(&out));
    must(text != NULL);
    buf_free(&out);
    return text;
}

static inline char *private_jwk(EVP_PKEY *key)
{
    char *members = jwk_members(key, true, "");
    char *text = replaced("{}", "{", "{@");
    char *out = replaced(text, "@", members);

    free(members);
    free(text);
    return out;
}

/* PKCS#8; malloc'd. */
static inline struct span pkcs8(EVP_PKEY *key)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    uint8_t *der = NULL;
    int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    uint8_t *copy = size > 0 ? malloc((size_t)size) : NULL;

    must(info != NULL && copy != NULL);
    memcpy(copy, der, (size_t)size);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
    return span_of(copy, (size_t)size);
}

/* ---- Wrapping ---- */

static inline size_t oaep_seal(EVP_PKEY *key, const EVP_MD *hash, struct span plain, uint8_t *out,
                               size_t room)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    must(EVP_PKEY_encrypt_init(c) > 0 &&
         EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(c, hash) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, hash) > 0 &&
         EVP_PKEY_encrypt(c, out, &room, plain.data, plain.size) > 0);
    EVP_PKEY_CTX_free(c);
    return room;
}

static inline size_t kwp_seal(const uint8_t *kek, size_t kek_size, struct span plain, uint8_t *out)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int size = 0;

    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    must(EVP_EncryptInit_ex(c, kek_size == 32 ? EVP_aes_256_wrap_pad() : EVP_aes_128_wrap_pad(),
                            NULL, kek, NULL) > 0 &&
         EVP_EncryptUpdate(c, out, &size, plain.data, (int)plain.size) > 0);
    EVP_CIPHER_CTX_free(c);
    return (size_t)size;
}

/* ---- Certificates ---- */

struct cert_spec {
    const char *name;
    const char *san;  /* "DNS:…", "IP:…"; NULL: none */
    const char *eku;  /* NULL: none */
    const EVP_MD *md; /* NULL: SHA-256 */
    bool ca;
    int from_days, to_days; /* both 0: a day before to a day after NOW */
};

static inline void cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    if (value == NULL)
        return;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

/* ISSUER NULL: self-signed. */
static inline X509 *cert_make(const struct cert_spec *s, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    static long serial = 1;
    const bool dated = s->from_days != 0 || s->to_days != 0;
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();

    must(cert != NULL && X509_set_version(cert, 2) &&
         ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial) &&
         ASN1_TIME_set(X509_getm_notBefore(cert), NOW + (dated ? s->from_days : -1) * DAY) &&
         ASN1_TIME_set(X509_getm_notAfter(cert), NOW + (dated ? s->to_days : 1) * DAY) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    (const unsigned char *)(const void *)s->name, -1, -1, 0) &&
         X509_set_subject_name(cert, name) && X509_set_pubkey(cert, key) &&
         X509_set_issuer_name(cert, issuer == NULL ? name : X509_get_subject_name(issuer)));
    cert_extend(cert, issuer, NID_basic_constraints, s->ca ? "critical,CA:TRUE" : "CA:FALSE");
    cert_extend(cert, issuer, NID_ext_key_usage, s->eku);
    cert_extend(cert, issuer, NID_subject_alt_name, s->san);
    must(X509_sign(cert, issuer_key, s->md == NULL ? EVP_sha256() : s->md) > 0);
    X509_NAME_free(name);
    return cert;
}

struct pki {
    EVP_PKEY *root_key, *middle_key, *leaf_key;
    X509 *root, *middle, *leaf;
    char ca_file[64];
};

static inline void pem_file(char *path, size_t size, X509 *cert)
{
    int fd;
    FILE *file;

    (void)snprintf(path, size, "/tmp/decant-key-XXXXXX");
    fd = mkstemp(path);
    must(fd >= 0);
    file = fdopen(fd, "w");
    must(file != NULL && PEM_write_X509(file, cert) && fclose(file) == 0);
}

static inline X509 *leaf_make(const struct pki *p, const struct cert_spec *spec)
{
    return cert_make(spec, p->leaf_key, p->middle, p->middle_key);
}

static inline void pki_new(struct pki *p, const char *san)
{
    const struct cert_spec root = {.name = "worthless test root", .ca = true};
    const struct cert_spec middle = {.name = "worthless test issuer", .ca = true};
    const struct cert_spec leaf = {.name = "vault", .san = san, .eku = "serverAuth"};

    *p = (struct pki){
        .root_key = ec_key("P-256"), .middle_key = ec_key("P-256"), .leaf_key = rsa_key(2048)};
    p->root = cert_make(&root, p->root_key, NULL, p->root_key);
    p->middle = cert_make(&middle, p->middle_key, p->root, p->root_key);
    p->leaf = leaf_make(p, &leaf);
    pem_file(p->ca_file, sizeof p->ca_file, p->root);
}

static inline void pki_free(struct pki *p)
{
    (void)unlink(p->ca_file);
    X509_free(p->root);
    X509_free(p->middle);
    X509_free(p->leaf);
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->middle_key);
    EVP_PKEY_free(p->leaf_key);
}

/* ---- JWS ---- */

static inline char *cert_text(X509 *cert)
{
    uint8_t *der = NULL;
    const int size = i2d_X509(cert, &der);
    char *text;

    must(size > 0);
    text = encoded(span_of(der, (size_t)size), BASE64);
    OPENSSL_free(der);
    return text;
}

static inline char *cert_hash(X509 *cert, const EVP_MD *md)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    must(X509_digest(cert, md, digest, &size));
    return b64u(digest, size);
}

static inline struct span signed_with(const char *alg, EVP_PKEY *key, const char *text)
{
    static uint8_t out[1024];
    size_t size = sizeof out;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    const EVP_MD *md = strstr(alg, "384")   ? EVP_sha384()
                       : strstr(alg, "512") ? EVP_sha512()
                                            : EVP_sha256();

    must(EVP_DigestSignInit(c, &padding, md, NULL, key) > 0);
    if (alg[0] == 'P')
        must(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) > 0 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) > 0);
    must(EVP_DigestSign(c, out, &size, (const uint8_t *)(const void *)text, strlen(text)) > 0);
    EVP_MD_CTX_free(c);
    return span_of(out, size);
}

/* {"alg", "x5t", "x5t#S256", "x5c"}; malloc'd. */
static inline char *jws_header(const char *alg, X509 *const *chain, size_t n)
{
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char *sha1 = cert_hash(chain[0], EVP_sha1());
    char *sha2 = cert_hash(chain[0], EVP_sha256());
    char *text;

    assert_ok(buf_addf(&out, &e,
                       "{\"alg\":\"%s\",\"typ\":\"JWT\",\"x5t\":\"%s\",\"x5t#S256\":\"%s\","
                       "\"x5c\":[",
                       alg, sha1, sha2),
              &e);
    for (size_t i = 0; i < n; i++) {
        char *cert = cert_text(chain[i]);
        assert_ok(buf_addf(&out, &e, "%s\"%s\"", i == 0 ? "" : ",", cert), &e);
        free(cert);
    }
    assert_ok(buf_addf(&out, &e, "]}"), &e);
    text = strdup(buf_text(&out));
    must(text != NULL);
    buf_free(&out);
    free(sha1);
    free(sha2);
    return text;
}

static inline char *jws_make(const char *alg, EVP_PKEY *key, const char *header,
                             const char *payload)
{
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char *parts[2] = {b64u_text(header), b64u_text(payload)};
    char *signature, *text;

    assert_ok(buf_addf(&out, &e, "%s.%s", parts[0], parts[1]), &e);
    const struct span bytes = signed_with(alg, key, buf_text(&out));
    signature = b64u(bytes.data, bytes.size);
    assert_ok(buf_addf(&out, &e, ".%s", signature), &e);
    text = strdup(buf_text(&out));
    must(text != NULL);
    buf_free(&out);
    free(parts[0]);
    free(parts[1]);
    free(signature);
    return text;
}

/* ---- A release ---- */

#define VAULT   "https://vault.test"
#define VERSION "0123456789abcdef0123456789abcdef"
#define KID     VAULT "/keys/dataset-kek"
#define NONCE   "00112233445566778899aabbccddeeff"

enum place { NOWHERE, HEADER, PAYLOAD, HSM };

struct change {
    enum place where;
    const char *from, *to;
};

struct release_spec {
    const char *kid; /* without version; NULL: KID */
    const char *enc; /* NULL: RSA_AES_KEY_WRAP_256 */
    const char *alg; /* NULL: RS256 */
    EVP_PKEY *offer; /* whom it is for */
    EVP_PKEY *key;   /* what is released, if OCTETS is empty */
    struct span octets;
    struct span plain;  /* instead of KEY's PKCS#8 */
    size_t inner_size;  /* of the AES key; 0: 32 */
    X509 *const *chain; /* NULL: leaf, middle, root */
    size_t n_chain;
    EVP_PKEY *signer;  /* NULL: the leaf's */
    const char *nonce; /* NULL: NONCE */
    struct change change;
    size_t cut; /* bytes taken off the ciphertext's end */
};

static inline const EVP_MD *enc_hash(const char *enc)
{
    return strstr(enc, "384") ? EVP_sha384() : strstr(enc, "256") ? EVP_sha256() : EVP_sha1();
}

static inline char *changed(char *text, const struct change *change, enum place here)
{
    char *out;

    if (change->where != here)
        return text;
    out = replaced(text, change->from, change->to);
    free(text);
    return out;
}

static inline char *hsm_make(const struct release_spec *s, const char *enc, struct span plain)
{
    static const uint8_t inner[32] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[8192];
    struct buf out = BUF(ROOM);
    struct error e = {0};
    const size_t inner_size = s->inner_size == 0 ? sizeof inner : s->inner_size;
    size_t size =
        oaep_seal(s->offer, enc_hash(enc), span_of(inner, inner_size), bytes, sizeof bytes);
    char *ciphertext, *text, *json;

    size += kwp_seal(inner, inner_size == 16 ? 16 : 32, plain, bytes + size);
    ciphertext = b64u(bytes, size - s->cut);
    assert_ok(buf_addf(&out, &e,
                       "{\"schema_version\":\"1.0\",\"header\":{\"kid\":\"" VAULT
                       "/keys/wrapper/1\",\"alg\":\"dir\",\"enc\":\"%s\"},\"ciphertext\":\"%s\"}",
                       enc, ciphertext),
              &e);
    json = changed(strdup(buf_text(&out)), &s->change, HSM);
    text = b64u_text(json);
    buf_free(&out);
    free(ciphertext);
    free(json);
    return text;
}

static inline char *payload_make(const struct release_spec *s)
{
    const char *enc = s->enc == NULL ? "RSA_AES_KEY_WRAP_256" : s->enc;
    const char *kid = s->kid == NULL ? KID : s->kid;
    struct buf out = BUF(ROOM);
    struct error e = {0};
    const struct span der = s->octets.size != 0 ? span_of(NULL, 0) : pkcs8(s->key);
    struct span plain = s->octets.size != 0 ? s->octets : s->plain.size != 0 ? s->plain : der;
    char *hsm = hsm_make(s, enc, plain);
    char *members =
        s->octets.size != 0 ? strdup("\"kty\":\"oct-HSM\"") : jwk_members(s->key, false, "-HSM");
    char *text;

    assert_ok(buf_addf(&out, &e,
                       "{\"request\":{\"api-version\":\"7.4\",\"enc\":\"%s\",\"kid\":\"%s/" VERSION
                       "\",\"nonce\":\"%s\"},\"response\":{\"key\":{\"key\":{\"kid\":\"%s/" VERSION
                       "\",%s,\"key_ops\":[\"unwrapKey\"],\"key_hsm\":\"%s\"},\"attributes\":{"
                       "\"enabled\":true,\"exportable\":true},\"release_policy\":{\"data\":\"e30\","
                       "\"immutable\":false}}}}",
                       enc, kid, s->nonce == NULL ? NONCE : s->nonce, kid, members, hsm),
              &e);
    text = strdup(buf_text(&out));
    must(text != NULL);
    buf_free(&out);
    free((void *)(uintptr_t)der.data);
    free(hsm);
    free(members);
    return changed(text, &s->change, PAYLOAD);
}

/* A compact JWS, malloc'd. */
static inline char *release_make(const struct pki *p, const struct release_spec *s)
{
    X509 *const usual[] = {p->leaf, p->middle, p->root};
    const char *alg = s->alg == NULL ? "RS256" : s->alg;
    char *payload = payload_make(s);
    char *header = jws_header(alg, s->chain == NULL ? usual : s->chain,
                              s->chain == NULL ? COUNT(usual) : s->n_chain);
    char *jws;

    header = changed(header, &s->change, HEADER);
    jws = jws_make(alg, s->signer == NULL ? p->leaf_key : s->signer, header, payload);
    free(payload);
    free(header);
    return jws;
}

#endif

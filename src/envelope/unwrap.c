/*
 * EncryptedKey + key encryption key → the 32 bytes that decrypt the content.
 *
 * EncryptedKey and its algorithm come from the blob's metadata: hostile. What is inside (Azure
 * Storage SDKs): 1.0 wraps the bare key; 2.x wraps its protocol, padded with zeroes to 8 bytes, and
 * the key, so that a blob cannot be relabelled as another version. RSA authenticates nobody: anyone
 * who has the public key can make a blob that unwraps.
 */
#include "envelope/internal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

enum { WRAP_OVERHEAD = 8 }; /* RFC 3394 */

struct wrapping {
    const char *name;              /* WrappedContentKey.Algorithm, as in RFC 7518 */
    const EVP_MD *(*digest)(void); /* of OAEP and of its mask function */
    const EVP_CIPHER *(*cipher)(void);
    size_t key_size;
};

/* "RSA" is what the sample code of the Python SDK calls OAEP with SHA-1. */
static const struct wrapping wrappings[] = {
    {.name = "RSA-OAEP", .digest = EVP_sha1},
    {.name = "RSA", .digest = EVP_sha1},
    {.name = "RSA-OAEP-256", .digest = EVP_sha256},
    {.name = "A128KW", .cipher = EVP_aes_128_wrap, .key_size = 16},
    {.name = "A192KW", .cipher = EVP_aes_192_wrap, .key_size = 24},
    {.name = "A256KW", .cipher = EVP_aes_256_wrap, .key_size = 32},
};

static const struct wrapping *wrapping_find(const char *name)
{
    for (size_t i = 0; i < COUNT(wrappings); i++)
        if (strcmp(wrappings[i].name, name) == 0)
            return &wrappings[i];
    return NULL;
}

enum status wrapping_check(const char *algorithm, struct error *e)
{
    if (wrapping_find(algorithm) != NULL)
        return OK;
    enum status status = OK;
    if (strcmp(algorithm, "RSA1_5") == 0)
        status = fail(
            e, E_NOT_AUTHENTIC,
            "the content key is wrapped with RSA1_5 (PKCS#1 v1.5), which leaks keys to whoever can "
            "try it often (Bleichenbacher's attack)");
    else if (strcmp(algorithm, "RSA_15") == 0)
        status = fail(
            e, E_NOT_AUTHENTIC,
            "the content key is wrapped with \"RSA_15\", a name of the writer's own, most likely for "
            "PKCS#1 v1.5");
    else
        status = fail(e, E_NOT_AUTHENTIC,
                      "the content key is wrapped with the unknown algorithm \"%.40s\"", algorithm);
    advise(e, "Encrypt the blob again with RSA-OAEP-256, RSA-OAEP or A256KW");
    return status;
}

/* The blob and the key do not belong together. */
static enum status wrong_key(const struct envelope_metadata *m, struct error *e)
{
    ERR_clear_error(); /* OpenSSL's reason is chance: it hangs on the other key's modulus */
    advise(e, "Check that the job's key is the one, and the version, that the blob names: %.200s",
           m->kid);
    return e->status;
}

static void pkey_ctx_free(EVP_PKEY_CTX **c)
{
    EVP_PKEY_CTX_free(*c);
    *c = NULL;
}

static void cipher_ctx_free(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c);
    *c = NULL;
}

/* OAEP with an empty label; the digest of the mask function is not left to a default. */
static enum status oaep_setup(EVP_PKEY *pair, const EVP_MD *digest, EVP_PKEY_CTX **out,
                              struct error *e)
{
    AUTO(pkey_ctx_free) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    if (c == NULL || EVP_PKEY_decrypt_init(c) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(c, digest) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(c, digest) != 1)
        return fail_openssl(e, E_BUG, "RSA-OAEP cannot be set up");
    *out = c;
    c = NULL;
    return OK;
}

static enum status unwrap_rsa(const struct wrapping *w, const struct envelope_metadata *m,
                              const struct kek *kek, struct secret *raw, size_t *size,
                              struct error *e)
{
    if (kek->pair == NULL || !EVP_PKEY_is_a(kek->pair, "RSA")) {
        (void)fail(e, E_BAD_KEY, "the content key is wrapped with %s, but the key is not RSA",
                   w->name);
        return wrong_key(m, e);
    }
    const int modulus = EVP_PKEY_get_size(kek->pair);
    if (modulus <= 0 || m->wrapped_size != (size_t)modulus) {
        (void)fail(e, E_BAD_KEY,
                   "the content key was wrapped with an RSA key of %zu bits, the key has %d",
                   8 * m->wrapped_size, 8 * modulus);
        return wrong_key(m, e);
    }
    AUTO(pkey_ctx_free) EVP_PKEY_CTX *c = NULL;
    TRY(oaep_setup(kek->pair, w->digest(), &c, e));
    TRY(secret_new(raw, (size_t)modulus, e));
    *size = raw->size;
    if (EVP_PKEY_decrypt(c, secret_room(raw), size, m->wrapped, m->wrapped_size) != 1) {
        (void)fail(e, E_BAD_KEY, "the content key cannot be unwrapped with this key (%s)", w->name);
        return wrong_key(m, e);
    }
    return OK;
}

static enum status unwrap_aes(const struct wrapping *w, const struct envelope_metadata *m,
                              const struct kek *kek, struct secret *raw, size_t *size,
                              struct error *e)
{
    struct span key = secret_view(&kek->octets);
    if (key.size != w->key_size) {
        (void)fail(
            e, E_BAD_KEY,
            "the content key is wrapped with %s, but the key is not a symmetric one of %zu bytes",
            w->name, w->key_size);
        return wrong_key(m, e);
    }
    AUTO(cipher_ctx_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL)
        return fail(e, E_BUG, "no memory for a cipher");
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_DecryptInit_ex(c, w->cipher(), NULL, key.data, NULL) != 1)
        return fail_openssl(e, E_BUG, "%s cannot be set up", w->name);
    TRY(secret_new(raw, m->wrapped_size, e));
    int got = 0;
    if (EVP_DecryptUpdate(c, secret_room(raw), &got, m->wrapped, (int)m->wrapped_size) != 1 ||
        got < 0) {
        (void)fail(e, E_BAD_KEY, "the content key cannot be unwrapped with this key (%s)", w->name);
        return wrong_key(m, e);
    }
    *size = (size_t)got;
    return OK;
}

/* Takes the protocol off the front and insists on it. */
static enum status content_key(const struct envelope_metadata *m, struct span raw, size_t expected,
                               struct secret *out, struct error *e)
{
    if (raw.size != expected)
        return fail(e, E_NOT_AUTHENTIC,
                    "the unwrapped content key has %zu bytes, not the %zu of version %s", raw.size,
                    expected, m->protocol);
    const size_t prefix = expected - CONTENT_KEY_SIZE;
    /* m->protocol is padded with zeroes as the prefix is. */
    static_assert(sizeof(m->protocol) == PREFIX_SIZE, "the prefix is compared in full");
    if (CRYPTO_memcmp(raw.data, m->protocol, prefix) != 0)
        return fail(e, E_NOT_AUTHENTIC,
                    "the content key was not made for version %s: the metadata was relabelled",
                    m->protocol);
    return secret_copy(out, span_of(raw.data + prefix, CONTENT_KEY_SIZE), e);
}

enum status unwrap_content_key(const struct envelope_metadata *m, const struct kek *kek,
                               struct secret *out, struct error *e)
{
    TRY(wrapping_check(m->algorithm, e));
    const struct wrapping *w = wrapping_find(m->algorithm);
    const struct protocol *protocol = protocol_find(m->protocol);
    if (w == NULL || protocol == NULL || m->wrapped_size > sizeof(m->wrapped))
        return fail(e, E_BUG, "metadata got here unchecked");
    const bool has_prefix = protocol->format == ENVELOPE_CSE;
    const size_t expected = CONTENT_KEY_SIZE + (has_prefix ? PREFIX_SIZE : 0);
    if (w->cipher != NULL && m->wrapped_size != expected + WRAP_OVERHEAD)
        return fail(e, E_NOT_AUTHENTIC,
                    "EncryptedKey has %zu bytes, not the %zu of %s in version %s", m->wrapped_size,
                    expected + WRAP_OVERHEAD, w->name, m->protocol);

    AUTO(secret_free) struct secret raw = {0};
    size_t size = 0;
    TRY((w->cipher != NULL ? unwrap_aes : unwrap_rsa)(w, m, kek, &raw, &size, e));
    return content_key(m, span_of(secret_view(&raw).data, size), expected, out, e);
}

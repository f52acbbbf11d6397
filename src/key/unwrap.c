/*
 * From what the vault wrapped to the bytes of the key: an AES-256 key under RSA-OAEP to our
 * ephemeral pair, then the key under AES key wrap with padding. The ciphertext is hostile until it
 * opened; the plain bytes live in struct secret only. Formats: PKCS #11 CKM_RSA_AES_KEY_WRAP,
 * RFC 8017 section 7.1, RFC 5649. Both hashes of OAEP are set, the label is empty.
 */
#include "key/internal.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#define KWP_BLOCK 8
#define KWP_MIN   16 /* one block and the integrity check */

static const struct key_wrapping WRAPPINGS[] = {
    {"CKM_RSA_AES_KEY_WRAP", EVP_sha1},
    {"RSA_AES_KEY_WRAP_256", EVP_sha256},
    {"RSA_AES_KEY_WRAP_384", EVP_sha384},
};

const struct key_wrapping *key_wrapping_find(const char *enc)
{
    for (size_t i = 0; enc != NULL && i < COUNT(WRAPPINGS); i++)
        if (strcmp(WRAPPINGS[i].enc, enc) == 0)
            return &WRAPPINGS[i];
    return NULL;
}

static bool oaep_prepare(EVP_PKEY_CTX *context, const EVP_MD *hash)
{
    return context != NULL && EVP_PKEY_decrypt_init(context) > 0 &&
           EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(context, hash) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) > 0;
}

enum status key_oaep_open(EVP_PKEY *pair, const EVP_MD *hash, struct span ciphertext,
                          struct secret *out, struct error *e)
{
    AUTO(key_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    AUTO(secret_free) struct secret room = {0};
    const int modulus_size = EVP_PKEY_get_size(pair);
    size_t size = 0;

    if (modulus_size <= 0 || ciphertext.size != (size_t)modulus_size)
        return fail(e, E_BAD_KEY, "%zu bytes under a key of %d bytes", ciphertext.size,
                    modulus_size);
    if (!oaep_prepare(context, hash))
        return fail_openssl(e, E_BUG, "cannot set up RSA-OAEP");
    size = (size_t)modulus_size;
    TRY(secret_new(&room, size, e));
    if (EVP_PKEY_decrypt(context, secret_room(&room), &size, ciphertext.data, ciphertext.size) <= 0)
        return fail_openssl(e, E_BAD_KEY, "RSA-OAEP");
    if (size > room.size)
        return fail(e, E_BUG, "RSA-OAEP gave %zu bytes", size);
    return secret_copy(out, span_of(secret_view(&room).data, size), e);
}

static void cipher_free(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
    *context = NULL;
}

static const EVP_CIPHER *kwp_cipher(size_t kek_size)
{
    switch (kek_size) {
    case 16:
        return EVP_aes_128_wrap_pad();
    case 24:
        return EVP_aes_192_wrap_pad();
    case 32:
        return EVP_aes_256_wrap_pad();
    default:
        return NULL;
    }
}

enum status key_kwp_open(struct span kek, struct span wrapped, struct secret *out, struct error *e)
{
    AUTO(cipher_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    AUTO(secret_free) struct secret room = {0};
    const EVP_CIPHER *cipher = kwp_cipher(kek.size);
    int size = 0;

    if (cipher == NULL)
        return fail(e, E_BAD_KEY, "an AES key of %zu bytes", kek.size);
    if (wrapped.size < KWP_MIN || wrapped.size % KWP_BLOCK != 0 ||
        wrapped.size > KEY_CIPHERTEXT_MAX)
        return fail(e, E_BAD_KEY, "AES key wrap of %zu bytes", wrapped.size);
    if (context == NULL)
        return fail_openssl(e, E_BUG, "cannot set up AES key wrap");
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_DecryptInit_ex(context, cipher, NULL, kek.data, NULL) <= 0)
        return fail_openssl(e, E_BUG, "cannot set up AES key wrap");
    TRY(secret_new(&room, wrapped.size, e));
    if (EVP_DecryptUpdate(context, secret_room(&room), &size, wrapped.data, (int)wrapped.size) <=
        0) {
        ERR_clear_error();
        return fail(e, E_BAD_KEY, "AES key wrap: the integrity check failed");
    }
    if (size <= 0 || (size_t)size > room.size)
        return fail(e, E_BAD_KEY, "AES key wrap holds nothing");
    return secret_copy(out, span_of(secret_view(&room).data, (size_t)size), e);
}

enum status key_unwrap(EVP_PKEY *pair, const struct key_wrapping *wrapping, struct span ciphertext,
                       struct secret *out, struct error *e)
{
    AUTO(secret_free) struct secret kek = {0};
    const size_t head = (size_t)EVP_PKEY_get_size(pair);
    enum status status;

    if (ciphertext.size > KEY_CIPHERTEXT_MAX || ciphertext.size < head + KWP_MIN)
        return fail(e, E_BAD_KEY, "unwrap failed: a ciphertext of %zu bytes under a key of %zu",
                    ciphertext.size, head);
    status = key_oaep_open(pair, wrapping->hash(), span_of(ciphertext.data, head), &kek, e);
    if (status != OK)
        return wrap(e, "unwrap failed");
    if (kek.size != KEY_AES_SIZE_MAX)
        return fail(e, E_BAD_KEY, "unwrap failed: an inner AES key of %zu bytes", kek.size);
    status = key_kwp_open(secret_view(&kek),
                          span_of(ciphertext.data + head, ciphertext.size - head), out, e);
    return status == OK ? OK : wrap(e, "unwrap failed");
}

/*
 * Plaintext → client-side encryption 2.0, as the Azure Storage SDKs read it.
 *
 * Each blob has a content key of its own, so the nonces may count the regions; they must: readers
 * released since 2026 refuse others. The count is written as the Python SDK does (12 bytes, big
 * endian, from 0). What is wrapped is the protocol, padded with zeroes to 8 bytes, and the key, with
 * RSA-OAEP (SHA-1, RFC 8017), the algorithm that every SDK and Key Vault have.
 *
 * The recipient's key comes from a vault or a file: its type and size are checked. Plaintext is
 * encrypted where it lies, and a region only once.
 */
#include "envelope/internal.h"

#include <assert.h>
#include <openssl/rsa.h>
#include <string.h>

static_assert((int)ENVELOPE_NONCE_SIZE == NONCE_SIZE &&
                  (int)ENVELOPE_REGION_OVERHEAD == REGION_OVERHEAD,
              "the header gives the sizes as numbers");

static const char protocol[PREFIX_SIZE] = "2.0"; /* the rest is zero, as the prefix wants it */

enum { RSA_BITS_MIN = 2048 };

struct envelope_writer {
    struct secret key;
    struct buf metadata;
    uint8_t pin[SHA256_SIZE];
    struct coverage sealed; /* the regions that were encrypted */
};

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

/* The kid goes into a header line and back into a job: visible ASCII only. */
static enum status check_recipient(const struct kek *recipient, struct error *e)
{
    struct span kid = span_text(recipient->kid);
    for (size_t i = 0; i < kid.size; i++)
        if (kid.data[i] <= ' ' || kid.data[i] > '~')
            return fail(e, E_USAGE, "the recipient's key id has letters other than visible ASCII");
    if (kid.size == 0)
        return fail(e, E_USAGE, "the recipient's key has no id: readers find their key by it");
    if (recipient->pair == NULL || !EVP_PKEY_is_a(recipient->pair, "RSA"))
        return fail(e, E_USAGE, "the recipient's key %.200s is not RSA", recipient->kid);
    if (EVP_PKEY_get_bits(recipient->pair) < RSA_BITS_MIN)
        return fail(e, E_USAGE, "the recipient's key %.200s has less than %d bits", recipient->kid,
                    RSA_BITS_MIN);
    return OK;
}

static enum status wrap_for(const struct kek *recipient, struct span raw, struct buf *wrapped,
                            struct error *e)
{
    uint8_t room[1024];
    size_t size = sizeof(room);
    AUTO(pkey_ctx_free)
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, recipient->pair, NULL);
    if (c == NULL || EVP_PKEY_encrypt_init(c) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha1()) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha1()) != 1)
        return fail_openssl(e, E_BUG, "RSA-OAEP cannot be set up");
    if ((size_t)EVP_PKEY_get_size(recipient->pair) > size)
        return fail(e, E_USAGE, "the recipient's key %.200s is larger than %zu bits",
                    recipient->kid, 8 * size);
    if (EVP_PKEY_encrypt(c, room, &size, raw.data, raw.size) != 1)
        return fail_openssl(e, E_USAGE, "no content key can be wrapped for %.200s",
                            recipient->kid);
    return buf_add(wrapped, span_of(room, size), e);
}

/* Members in the order, and with the spaces, of the Python SDK. */
static enum status write_metadata(struct envelope_writer *w, const char *kid, struct span wrapped,
                                  struct error *e)
{
    struct buf *m = &w->metadata;
    TRY(buf_addf(m, e, "{\"WrappedContentKey\": {\"KeyId\": "));
    TRY(json_quote(span_text(kid), m, e));
    TRY(buf_addf(m, e, ", \"EncryptedKey\": \""));
    TRY(base64_encode(wrapped, BASE64, m, e));
    return buf_addf(m, e,
                    "\", \"Algorithm\": \"RSA-OAEP\"}, "
                    "\"EncryptionAgent\": {\"Protocol\": \"%s\", "
                    "\"EncryptionAlgorithm\": \"AES_GCM_256\"}, "
                    "\"EncryptedRegionInfo\": {\"DataLength\": %d, \"NonceLength\": %d}, "
                    "\"KeyWrappingMetadata\": {\"EncryptionLibrary\": \"decant %s\"}, "
                    "\"EncryptionMode\": \"FullBlob\"}",
                    protocol, ENVELOPE_REGION_SIZE, NONCE_SIZE, DECANT_VERSION);
}

static enum status make_key(struct envelope_writer *w, const struct kek *recipient,
                            struct error *e)
{
    AUTO(secret_free) struct secret raw = {0};
    AUTO(buf_free) struct buf wrapped = BUF(1024);
    TRY(secret_new(&w->key, CONTENT_KEY_SIZE, e));
    TRY(random_bytes(secret_room(&w->key), CONTENT_KEY_SIZE, e));
    TRY(secret_new(&raw, PREFIX_SIZE + CONTENT_KEY_SIZE, e));
    memcpy(secret_room(&raw), protocol, PREFIX_SIZE);
    memcpy(secret_room(&raw) + PREFIX_SIZE, secret_view(&w->key).data, CONTENT_KEY_SIZE);
    TRY(wrap_for(recipient, secret_view(&raw), &wrapped, e));
    TRY(sha256(buf_span(&wrapped), w->pin, e));
    return write_metadata(w, recipient->kid, buf_span(&wrapped), e);
}

enum status envelope_writer_new(const struct kek *recipient, struct envelope_writer **out,
                                struct error *e)
{
    TRY(check_recipient(recipient, e));
    AUTO(envelope_writer_free) struct envelope_writer *w = memory_new(sizeof(*w));
    if (w == NULL)
        return fail(e, E_BUG, "no memory for an envelope");
    *w = (struct envelope_writer){.metadata = BUF(4096)};
    coverage_init(&w->sealed);
    TRY(make_key(w, recipient, e));
    *out = w;
    w = NULL;
    return OK;
}

void envelope_writer_free(struct envelope_writer **writer)
{
    struct envelope_writer *w = *writer;
    *writer = NULL;
    if (w == NULL)
        return;
    secret_free(&w->key);
    buf_free(&w->metadata);
    coverage_free(&w->sealed);
    memory_free(w);
}

const char *envelope_writer_metadata(const struct envelope_writer *writer)
{
    return buf_text(&writer->metadata);
}

const uint8_t *envelope_writer_pin(const struct envelope_writer *writer)
{
    return writer->pin;
}

uint64_t envelope_sealed_size(uint64_t size)
{
    const uint64_t regions =
        size / ENVELOPE_REGION_SIZE + (size % ENVELOPE_REGION_SIZE != 0 ? 1 : 0);
    return size + regions * REGION_OVERHEAD;
}

static void write_nonce(uint64_t index, uint8_t nonce[static NONCE_SIZE])
{
    memset(nonce, 0, NONCE_SIZE);
    for (size_t i = 0; i < sizeof(index); i++)
        nonce[NONCE_SIZE - 1 - i] = (uint8_t)(index >> (8 * i));
}

enum status envelope_writer_seal(struct envelope_writer *writer, uint64_t index, uint8_t *room,
                                 size_t size, struct error *e)
{
    if (size < 1 || size > ENVELOPE_REGION_SIZE)
        return fail(e, E_BUG, "a region of %zu bytes", size);
    TRY(coverage_add(&writer->sealed, (struct stretch){index, index + 1}, e));

    uint8_t *text = room + NONCE_SIZE;
    int got = 0, none = 0;
    write_nonce(index, room);
    AUTO(cipher_ctx_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL ||
        EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, secret_view(&writer->key).data, room) != 1 ||
        EVP_EncryptUpdate(c, text, &got, text, (int)size) != 1 || got != (int)size ||
        EVP_EncryptFinal_ex(c, text + size, &none) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + size) != 1) {
        wipe(text, size); /* what is not encrypted must not look as if it were */
        return fail_openssl(e, E_BUG, "AES-GCM cannot encrypt");
    }
    return OK;
}

/* A writer of blobs for the tests of envelope, made from the format's description alone, so that it
 * shares no code with the reader; and a sink in memory. */
#ifndef DECANT_TEST_BLOB_H
#define DECANT_TEST_BLOB_H

#include "testing.h"

#include "envelope/envelope.h"

#include <openssl/evp.h>
#include <stdatomic.h>

#define KID "https://contoso.vault.azure.net/keys/dataset-kek/0123456789abcdef"

enum counting { PYTHON, JAVA, NET, RANDOM };

/* Worthless test keys. */
static const uint8_t test_kek[32] = "worthless test key: kek.........";
static const uint8_t test_cek[32] = "worthless test key: content.....";

static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static inline void fill(uint8_t *out, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(next_random(&seed) >> 11);
}

static inline struct kek kek_of(const void *octets, size_t n)
{
    struct error e = {0};
    struct kek k = {.kid = KID};
    assert_ok(secret_copy(&k.octets, span_of(octets, n), &e), &e);
    return k;
}

static inline void add(struct buf *b, const void *data, size_t n)
{
    struct error e = {0};
    assert_ok(buf_add(b, span_of(data, n), &e), &e);
}

/* RFC 3394. */
static inline size_t wrap_key(const uint8_t *kek, size_t kek_size, struct span raw, uint8_t *out)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    const EVP_CIPHER *cipher = kek_size == 16   ? EVP_aes_128_wrap()
                               : kek_size == 24 ? EVP_aes_192_wrap()
                                                : EVP_aes_256_wrap();
    assert_int_equal(EVP_EncryptInit_ex(c, cipher, NULL, kek, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(c, out, &n, raw.data, (int)raw.size), 1);
    EVP_CIPHER_CTX_free(c);
    return (size_t)n;
}

/* nonce ‖ ciphertext ‖ tag */
static inline void seal_gcm(struct span key, const uint8_t nonce[12], struct span plain,
                            struct buf *out)
{
    uint8_t tag[16];
    int n = 0;
    uint8_t *sealed = malloc(plain.size + 16);
    const EVP_CIPHER *cipher = key.size == 16   ? EVP_aes_128_gcm()
                               : key.size == 24 ? EVP_aes_192_gcm()
                                                : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, cipher, NULL, key.data, nonce), 1);
    if (plain.size > 0)
        assert_int_equal(EVP_EncryptUpdate(c, sealed, &n, plain.data, (int)plain.size), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, sealed + n, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    add(out, nonce, 12);
    add(out, sealed, plain.size);
    add(out, tag, 16);
    EVP_CIPHER_CTX_free(c);
    free(sealed);
}

static inline void count_nonce(enum counting counting, uint64_t i, uint8_t nonce[12])
{
    memset(nonce, 0, 12);
    for (unsigned b = 0; b < 8; b++) {
        if (counting == PYTHON)
            nonce[11 - b] = (uint8_t)(i >> (8 * b));
        else if (counting == JAVA)
            nonce[7 - b] = (uint8_t)(i >> (8 * b));
        else if (counting == NET)
            nonce[4 + b] = (uint8_t)((i + 1) >> (8 * b));
    }
    if (counting == RANDOM)
        fill(nonce, 12, (uint32_t)i + 77);
}

/* Region I of PLAIN, and all of them. */
static inline void seal_region(struct span plain, uint64_t data, uint64_t i, enum counting counting,
                               struct buf *out)
{
    uint8_t nonce[12];
    uint64_t at = i * data;
    size_t n = plain.size - at < data ? (size_t)(plain.size - at) : (size_t)data;
    count_nonce(counting, i, nonce);
    seal_gcm(span_of(test_cek, 32), nonce, span_of(plain.data + at, n), out);
}

static inline void seal_blob(struct span plain, uint64_t data, enum counting counting,
                             struct buf *out)
{
    for (uint64_t i = 0; i * data < plain.size; i++)
        seal_region(plain, data, i, counting, out);
}

static inline void seal_cbc(struct span key, const uint8_t iv[16], struct span plain, bool pad,
                            struct buf *out)
{
    int n = 0, more = 0;
    uint8_t *sealed = malloc(plain.size + 32);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, key.data, iv), 1);
    assert_int_equal(EVP_CIPHER_CTX_set_padding(c, pad), 1);
    if (plain.size > 0)
        assert_int_equal(EVP_EncryptUpdate(c, sealed, &n, plain.data, (int)plain.size), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, sealed + n, &more), 1);
    add(out, sealed, (size_t)(n + more));
    EVP_CIPHER_CTX_free(c);
    free(sealed);
}

/* EncryptedKey for PROTOCOL: the prefix and the content key, or for NULL the bare key. */
static inline size_t wrap_content_key(const char *protocol, uint8_t out[64])
{
    uint8_t raw[40] = {0};
    if (protocol == NULL)
        return wrap_key(test_kek, 32, span_of(test_cek, 32), out);
    memcpy(raw, protocol, strlen(protocol));
    memcpy(raw + 8, test_cek, 32);
    return wrap_key(test_kek, 32, span_of(raw, sizeof(raw)), out);
}

/* The metadata that a writer of PROTOCOL stores. */
static inline char *metadata_text(const char *protocol, uint64_t data)
{
    struct error e = {0};
    bool v1 = strcmp(protocol, "1.0") == 0;
    uint8_t wrapped[64];
    size_t n = wrap_content_key(v1 ? NULL : protocol, wrapped);
    struct buf b = BUF(4096);
    assert_ok(
        buf_addf(&b, &e, "{\"WrappedContentKey\": {\"KeyId\": \"" KID "\", \"EncryptedKey\": \""),
        &e);
    assert_ok(base64_encode(span_of(wrapped, n), BASE64, &b, &e), &e);
    assert_ok(
        buf_addf(&b, &e,
                 "\", \"Algorithm\": \"A256KW\"}, \"EncryptionAgent\": {\"Protocol\": \"%s\", "
                 "\"EncryptionAlgorithm\": \"%s\"}, ",
                 protocol, v1 ? "AES_CBC_256" : "AES_GCM_256"),
        &e);
    if (v1)
        assert_ok(buf_addf(&b, &e, "\"ContentEncryptionIV\": \"AAECAwQFBgcICQoLDA0ODw==\", "), &e);
    else
        assert_ok(buf_addf(&b, &e,
                           "\"EncryptedRegionInfo\": {\"DataLength\": %llu, \"NonceLength\": 12}, ",
                           (unsigned long long)data),
                  &e);
    assert_ok(buf_addf(&b, &e,
                       "\"KeyWrappingMetadata\": {\"EncryptionLibrary\": \"test 1.0\"}, "
                       "\"EncryptionMode\": \"FullBlob\"}"),
              &e);
    char *text = span_dup(buf_span(&b));
    buf_free(&b);
    return text;
}

/* TEXT with its first FROM replaced; TEXT is freed. */
static inline char *replace(char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (at == NULL)
        fail_msg("\"%s\" is not in the metadata", from);
    struct buf b = BUF(65536);
    add(&b, text, (size_t)(at - text));
    add(&b, to, strlen(to));
    add(&b, at + strlen(from), strlen(at + strlen(from)));
    char *out = span_dup(buf_span(&b));
    buf_free(&b);
    free(text);
    return out;
}

/* Plaintext in memory. Stretches do not overlap, so threads need no lock. */
struct memory {
    uint8_t *data;
    size_t size;
    _Atomic uint64_t written;
    _Atomic uint64_t end; /* of the last piece, the largest */
};

static inline enum status memory_write(void *context, uint64_t at, struct span bytes,
                                       struct error *e)
{
    struct memory *m = context;
    if (bytes.size == 0 || bytes.size > 256 * 1024)
        return fail(e, E_BUG, "a piece of %zu bytes", bytes.size);
    if (at > m->size || bytes.size > m->size - at)
        return fail(e, E_BUG, "a piece behind the end of the plaintext");
    memcpy(m->data + at, bytes.data, bytes.size);
    atomic_fetch_add(&m->written, bytes.size);
    uint64_t end = at + bytes.size, old = atomic_load(&m->end);
    while (old < end && !atomic_compare_exchange_weak(&m->end, &old, end))
        ;
    return OK;
}

static inline void memory_sink_new(struct memory *m, size_t size)
{
    m->data = calloc(1, size + 1);
    m->size = size;
    atomic_init(&m->written, 0);
    atomic_init(&m->end, 0);
}

/* One stretch, fed in pieces of 1 … MOST bytes; MOST = 0: all at once. */
static inline enum status read_span(struct envelope_reader *r, struct envelope *v,
                                    const struct envelope_span *s, struct span blob, uint32_t most,
                                    uint32_t *seed, struct memory *m, struct error *e)
{
    struct sink sink = {.write = memory_write, .context = m};
    TRY(envelope_reader_start(r, v, s, &sink, e));
    for (uint64_t at = 0; at < s->stored_size;) {
        uint64_t n = s->stored_size - at;
        if (most > 0) {
            uint64_t piece = 1 + next_random(seed) % most;
            n = piece < n ? piece : n;
        }
        TRY(envelope_reader_feed(r, span_of(blob.data + s->stored_at + at, (size_t)n), e));
        at += n;
    }
    return envelope_reader_finish(r, e);
}

/* All stretches in order, and the verdict. */
static inline enum status read_blob(struct envelope *v, struct span blob, uint64_t wanted,
                                    uint32_t most, struct memory *m, uint64_t *plain_size,
                                    struct error *e)
{
    AUTO(envelope_reader_free) struct envelope_reader *r = NULL;
    uint32_t seed = 4711;
    TRY(envelope_reader_new(&r, e));
    struct envelope_span s;
    for (uint64_t i = 0; envelope_span(v, wanted, i, &s); i++)
        TRY(read_span(r, v, &s, blob, most, &seed, m, e));
    return envelope_verdict(v, plain_size, e);
}

#endif

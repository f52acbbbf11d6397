/* What the writer makes, read by the reader, taken apart by hand, and held against what the Python
 * SDK wrote. */
#include "blob.h"

#include <openssl/rsa.h>
#include <unistd.h>

#define REGION   (4u << 20)
#define SDK_BLOB TEST_FIXTURES "/cse/v2.0/blob-1.meta.json"

static EVP_PKEY *pair;

static int setup(void **state)
{
    (void)state;
    pair = EVP_RSA_gen(2048); /* made for this test, forgotten with it */
    return pair == NULL;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(pair);
    return 0;
}

static struct kek recipient_of(EVP_PKEY *key, const char *kid)
{
    struct kek k = {.pair = key};
    assert_int_equal(EVP_PKEY_up_ref(key), 1);
    assert_true(strlen(kid) < sizeof(k.kid));
    memcpy(k.kid, kid, strlen(kid) + 1);
    return k;
}

static struct envelope_writer *writer_new(void)
{
    struct error e = {0};
    struct envelope_writer *w = NULL;
    AUTO(kek_free) struct kek k = recipient_of(pair, KID);
    assert_ok(envelope_writer_new(&k, &w, &e), &e);
    return w;
}

/* All regions of PLAIN, the last one first. */
static void seal_all(struct envelope_writer *w, struct span plain, struct buf *out)
{
    struct error e = {0};
    uint64_t regions = (plain.size + REGION - 1) / REGION;
    uint8_t *blob = calloc(1, plain.size + regions * 28 + 1);
    for (uint64_t i = regions; i-- > 0;) {
        size_t size = plain.size - i * REGION < REGION ? plain.size - i * REGION : REGION;
        uint8_t *room = blob + i * (REGION + 28);
        memcpy(room + 12, plain.data + i * REGION, size);
        assert_ok(envelope_writer_seal(w, i, room, size, &e), &e);
    }
    add(out, blob, plain.size + regions * 28);
    free(blob);
}

static void check_roundtrip(const uint8_t *source, size_t size)
{
    struct error e = {0};
    struct envelope_metadata m = {0};
    struct memory memory;
    uint64_t plain_size = 77;
    AUTO(envelope_writer_free) struct envelope_writer *w = writer_new();
    AUTO(envelope_close) struct envelope *v = NULL;
    AUTO(buf_free) struct buf blob = BUF(64u << 20);
    AUTO(kek_free) struct kek k = recipient_of(pair, KID);

    seal_all(w, span_of(source, size), &blob);
    assert_int_equal(blob.size, envelope_sealed_size(size));
    assert_ok(envelope_metadata_parse(envelope_writer_metadata(w), ENVELOPE_CSE, &m, &e), &e);
    assert_ok(envelope_open(ENVELOPE_CSE, &m, &k, blob.size, &v, &e), &e);
    memory_sink_new(&memory, size);
    assert_ok(read_blob(v, buf_span(&blob), 8u << 20, 0, &memory, &plain_size, &e), &e);
    assert_int_equal(plain_size, size);
    assert_memory_equal(memory.data, source, size);
    free(memory.data);
}

static void test_reader_reads_what_the_writer_wrote(void **state)
{
    static const size_t sizes[] = {0, 1, REGION - 1, REGION, REGION + 1, 2 * REGION, 3 * REGION + 7};
    uint8_t *source = malloc(3 * REGION + 7);
    (void)state;
    fill(source, 3 * REGION + 7, 5);
    for (size_t i = 0; i < COUNT(sizes); i++)
        check_roundtrip(source, sizes[i]);
    free(source);
}

static void test_metadata_says_what_the_sdks_expect(void **state)
{
    struct error e = {0};
    struct envelope_metadata m = {0};
    uint8_t digest[SHA256_SIZE];
    AUTO(envelope_writer_free) struct envelope_writer *w = writer_new();
    (void)state;
    assert_ok(envelope_metadata_parse(envelope_writer_metadata(w), ENVELOPE_CSE, &m, &e), &e);
    assert_string_equal(m.protocol, "2.0");
    assert_string_equal(m.kid, KID);
    assert_string_equal(m.algorithm, "RSA-OAEP");
    assert_int_equal(m.region_size, REGION);
    assert_int_equal(m.wrapped_size, 256);
    assert_string_equal(m.library, "decant " DECANT_VERSION);
    assert_ok(sha256(span_of(m.wrapped, m.wrapped_size), digest, &e), &e);
    assert_memory_equal(digest, envelope_writer_pin(w), SHA256_SIZE);
}

/* TEXT with what stands between the quotes behind MEMBER replaced by "X". */
static char *blank(char *text, const char *member)
{
    char *from = strstr(text, member);
    assert_non_null(from);
    from = strchr(from + strlen(member), '"') + 1;
    char *to = strchr(from, '"');
    *from = 'X';
    memmove(from + 1, to, strlen(to) + 1);
    return text;
}

static char *blanked(const char *text)
{
    return blank(blank(blank(strdup(text), "\"KeyId\":"), "\"EncryptedKey\":"),
                 "\"EncryptionLibrary\":");
}

/* Byte by byte what the Python SDK writes, but for the key, its name and the library's. */
static void test_metadata_is_spelled_as_the_sdk_spells_it(void **state)
{
    struct error e = {0};
    AUTO(buf_free) struct buf sdk = BUF(8192);
    AUTO(envelope_writer_free) struct envelope_writer *w = writer_new();
    (void)state;
    static const char form[] =
        "{\"WrappedContentKey\": {\"KeyId\": \"X\", \"EncryptedKey\": \"X\", "
        "\"Algorithm\": \"RSA-OAEP\"}, \"EncryptionAgent\": {\"Protocol\": \"2.0\", "
        "\"EncryptionAlgorithm\": \"AES_GCM_256\"}, \"EncryptedRegionInfo\": "
        "{\"DataLength\": 4194304, \"NonceLength\": 12}, \"KeyWrappingMetadata\": "
        "{\"EncryptionLibrary\": \"X\"}, \"EncryptionMode\": \"FullBlob\"}";
    char *ours = blanked(envelope_writer_metadata(w));
    assert_string_equal(ours, form);
    if (access(SDK_BLOB, R_OK) == 0) {
        assert_ok(file_read(SDK_BLOB, 8192, &sdk, E_BUG, &e), &e);
        char *theirs = blanked(buf_text(&sdk));
        assert_string_equal(ours, theirs);
        free(theirs);
    } else {
        print_message("no fixtures: compared with the form in this file only\n");
    }
    free(ours);
}

/* With OpenSSL's calls alone: what is wrapped, how regions are numbered, that no data is added. */
static void test_regions_are_numbered_as_python_does(void **state)
{
    struct error e = {0};
    struct envelope_metadata m = {0};
    uint8_t raw[512], plain[8], nonce[12];
    size_t raw_size = sizeof(raw);
    int n = 0;
    (void)state;
    AUTO(envelope_writer_free) struct envelope_writer *w = writer_new();
    assert_ok(envelope_metadata_parse(envelope_writer_metadata(w), ENVELOPE_CSE, &m, &e), &e);

    EVP_PKEY_CTX *unwrap = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(unwrap), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(unwrap, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_decrypt(unwrap, raw, &raw_size, m.wrapped, m.wrapped_size), 1);
    EVP_PKEY_CTX_free(unwrap);
    assert_int_equal(raw_size, 40);
    assert_memory_equal(raw, "2.0\0\0\0\0\0", 8);

    static const uint64_t regions[] = {0, 1, 256, UINT64_C(0x0102030405060708)};
    for (size_t i = 0; i < COUNT(regions); i++) {
        uint8_t room[12 + 5 + 16] = "............hello";
        assert_ok(envelope_writer_seal(w, regions[i], room, 5, &e), &e);
        count_nonce(PYTHON, regions[i], nonce);
        assert_memory_equal(room, nonce, 12);
        EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        assert_int_equal(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, raw + 8, nonce), 1);
        assert_int_equal(EVP_DecryptUpdate(c, plain, &n, room + 12, 5), 1);
        assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, room + 17), 1);
        assert_int_equal(EVP_DecryptFinal_ex(c, plain + 5, &n), 1);
        assert_memory_equal(plain, "hello", 5);
        EVP_CIPHER_CTX_free(c);
    }
}

static void test_every_blob_has_its_own_key(void **state)
{
    (void)state;
    AUTO(envelope_writer_free) struct envelope_writer *a = writer_new(), *b = writer_new();
    struct error e = {0};
    uint8_t one[12 + 5 + 16] = "............hello", two[12 + 5 + 16] = "............hello";
    assert_memory_not_equal(envelope_writer_pin(a), envelope_writer_pin(b), SHA256_SIZE);
    assert_ok(envelope_writer_seal(a, 0, one, 5, &e), &e);
    assert_ok(envelope_writer_seal(b, 0, two, 5, &e), &e);
    assert_memory_not_equal(one + 12, two + 12, 21);
}

static void test_no_region_is_encrypted_twice(void **state)
{
    struct error e = {0};
    uint8_t room[12 + 5 + 16] = "............hello";
    (void)state;
    AUTO(envelope_writer_free) struct envelope_writer *w = writer_new();
    assert_ok(envelope_writer_seal(w, 3, room, 5, &e), &e);
    assert_ok(envelope_writer_seal(w, 2, room, 5, &e), &e);
    assert_fails(envelope_writer_seal(w, 3, room, 5, &e), E_BUG, "twice", &e);
    assert_fails(envelope_writer_seal(w, 4, room, 0, &e), E_BUG, "0 bytes", &e);
    assert_fails(envelope_writer_seal(w, 4, room, REGION + 1, &e), E_BUG, "4194305 bytes", &e);
}

static void refuse_recipient(EVP_PKEY *key, const char *kid, const char *part)
{
    struct error e = {0};
    struct envelope_writer *w = NULL;
    AUTO(kek_free) struct kek k = recipient_of(key, kid);
    assert_fails(envelope_writer_new(&k, &w, &e), E_USAGE, part, &e);
    assert_null(w);
}

static void test_recipients_that_cannot_be(void **state)
{
    struct error e = {0};
    struct envelope_writer *w = NULL;
    (void)state;
    EVP_PKEY *curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *small = EVP_RSA_gen(1024);
    refuse_recipient(curve, KID, "is not RSA");
    refuse_recipient(small, KID, "less than 2048 bits");
    refuse_recipient(pair, "", "has no id");
    refuse_recipient(pair, "two\nlines", "visible ASCII");
    refuse_recipient(pair, "schl\xC3\xBCssel", "visible ASCII");
    AUTO(kek_free) struct kek symmetric = kek_of(test_kek, 32);
    assert_fails(envelope_writer_new(&symmetric, &w, &e), E_USAGE, "is not RSA", &e);
    EVP_PKEY_free(curve);
    EVP_PKEY_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_reads_what_the_writer_wrote),
        cmocka_unit_test(test_metadata_says_what_the_sdks_expect),
        cmocka_unit_test(test_metadata_is_spelled_as_the_sdk_spells_it),
        cmocka_unit_test(test_regions_are_numbered_as_python_does),
        cmocka_unit_test(test_every_blob_has_its_own_key),
        cmocka_unit_test(test_no_region_is_encrypted_twice),
        cmocka_unit_test(test_recipients_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Blobs of the real Python SDK and the published vectors of Wycheproof, where the fixtures are
 * present. */
#include "blob.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

static bool have(const char *path)
{
    if (access(path, R_OK) == 0)
        return true;
    print_message("skipped: there is no %s\n", path);
    return false;
}

static struct buf read_all(const char *path)
{
    struct error e = {0};
    struct buf b = BUF(0);
    assert_ok(file_read(path, 64 * 1024 * 1024, &b, E_NOT_FOUND, &e), &e);
    return b;
}

static EVP_PKEY *pair_of(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(pair);
    return pair;
}

/* The fixtures' plaintext: SHA-256("cse" ‖ u64be(i)) for i = 0, 1, … */
static uint8_t *expected_plain(size_t size)
{
    struct error e = {0};
    uint8_t *plain = malloc(size + SHA256_SIZE);
    for (uint64_t i = 0; i * SHA256_SIZE < size; i++) {
        uint8_t block[11] = "cse";
        for (unsigned b = 0; b < 8; b++)
            block[10 - b] = (uint8_t)(i >> (8 * b));
        assert_ok(sha256(span_of(block, sizeof(block)), plain + i * SHA256_SIZE, &e), &e);
    }
    return plain;
}

static void check_sdk_blob(const char *folder, enum envelope_format format, const char *name,
                           size_t size, const struct kek *kek)
{
    struct error e = {0};
    char path[512];
    struct envelope_metadata metadata = {0};
    struct envelope *v = NULL;
    struct memory m;
    uint64_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/cse/%s/blob-%zu.meta.json", TEST_FIXTURES, folder, size);
    struct buf text = read_all(path);
    (void)snprintf(path, sizeof(path), "%s/cse/%s/blob-%zu.bin", TEST_FIXTURES, folder, size);
    struct buf blob = read_all(path);
    uint8_t *plain = expected_plain(size);
    assert_ok(envelope_metadata_parse(buf_text(&text), format, &metadata, &e), &e);
    assert_string_equal(
        metadata.kid, "https://kv-test.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef");
    assert_string_equal(metadata.library, "Python 12.31.0b1");
    for (uint32_t most = 0; most < 200000; most = most * 60 + 3) {
        assert_ok(envelope_open(format, &metadata, kek, blob.size, &v, &e), &e);
        assert_string_equal(envelope_name(format, &metadata), name);
        memory_sink_new(&m, size + 16);
        assert_ok(read_blob(v, buf_span(&blob), 1, most, &m, &n, &e), &e);
        assert_int_equal(n, size);
        assert_int_equal(atomic_load(&m.written), size);
        assert_memory_equal(m.data, plain, size);
        envelope_close(&v);
        free(m.data);
    }
    free(plain);
    buf_free(&text);
    buf_free(&blob);
}

static void sdk_blobs(void **state)
{
    (void)state;
    static const size_t v2[] = {0, 1, 15, 16, 4194305}, v1[] = {0, 1, 16};
    if (!have(TEST_FIXTURES "/cse/kek-rsa2048.pem"))
        skip();
    struct buf pem = read_all(TEST_FIXTURES "/cse/kek-rsa2048.pem");
    struct kek kek = {.pair = pair_of(buf_span(&pem))};
    for (size_t i = 0; i < COUNT(v2); i++)
        check_sdk_blob("v2.0", ENVELOPE_CSE, "cse-2.0", v2[i], &kek);
    for (size_t i = 0; i < COUNT(v1); i++)
        check_sdk_blob("v1", ENVELOPE_CSE_V1, "cse-1.0", v1[i], &kek);
    kek_free(&kek);
    buf_free(&pem);
}

/* ---- Wycheproof ---- */

static struct cJSON *parse_file(const char *path)
{
    struct buf text = read_all(path);
    struct cJSON *root = cJSON_ParseWithLength((const char *)text.data, text.size);
    assert_non_null(root);
    buf_free(&text);
    return root;
}

static void add_hex(struct buf *b, const struct cJSON *test, const char *name)
{
    struct error e = {0};
    assert_ok(hex_decode(span_text(json_text(test, name)), b, E_BUG, &e), &e);
}

static bool is_valid(const struct cJSON *test)
{
    return strcmp(json_text(test, "result"), "valid") == 0;
}

static bool number_is(const struct cJSON *object, const char *name, uint64_t expected)
{
    uint64_t n = 0;
    return json_number(object, name, &n) && n == expected;
}

static void check_gcm(const struct cJSON *test)
{
    struct error e = {0};
    struct buf key = BUF(64), blob = BUF(100000), plain = BUF(100000);
    struct envelope *v = NULL;
    struct memory m;
    uint64_t n = 0;
    add_hex(&key, test, "key");
    add_hex(&plain, test, "msg");
    add_hex(&blob, test, "iv");
    add_hex(&blob, test, "ct");
    add_hex(&blob, test, "tag");
    AUTO(kek_free) struct kek kek = kek_of(key.data, key.size);
    assert_ok(envelope_open(ENVELOPE_AES_GCM, NULL, &kek, blob.size, &v, &e), &e);
    memory_sink_new(&m, plain.size);
    enum status status = read_blob(v, buf_span(&blob), 1, 5, &m, &n, &e);
    assert_int_equal(status, is_valid(test) ? OK : E_NOT_AUTHENTIC);
    if (status == OK) {
        assert_int_equal(n, plain.size);
        if (n > 0)
            assert_memory_equal(m.data, plain.data, n);
    }
    free(m.data);
    envelope_close(&v);
    buf_free(&key);
    buf_free(&blob);
    buf_free(&plain);
}

static void wycheproof_gcm(void **state)
{
    (void)state;
    const char *path = TEST_FIXTURES "/wycheproof/aes_gcm_test.json";
    if (!have(path))
        skip();
    struct cJSON *root = parse_file(path);
    const struct cJSON *group = NULL, *test = NULL;
    size_t valid = 0, invalid = 0;
    cJSON_ArrayForEach(group, json_array(root, "testGroups"))
    {
        if (!number_is(group, "ivSize", 96) || !number_is(group, "tagSize", 128))
            continue;
        cJSON_ArrayForEach(test, json_array(group, "tests"))
        {
            if (json_text(test, "aad")[0] != '\0')
                continue;
            check_gcm(test);
            *(is_valid(test) ? &valid : &invalid) += 1;
        }
    }
    print_message("%zu valid, %zu invalid\n", valid, invalid);
    assert_true(valid > 30 && invalid > 0);
    cJSON_Delete(root);
}

/* The vector's MSG really is the content key: decrypt a block under it. */
static void check_key_is(struct envelope *v, const struct envelope_metadata *metadata,
                         struct span key)
{
    struct error e = {0};
    struct memory m;
    uint64_t n = 0;
    struct buf blob = BUF(64);
    seal_cbc(key, metadata->iv, SPAN_LITERAL("a secret text"), true, &blob);
    assert_int_equal(blob.size, 16);
    memory_sink_new(&m, 16);
    assert_ok(read_blob(v, buf_span(&blob), 1, 0, &m, &n, &e), &e);
    assert_int_equal(n, 13);
    assert_memory_equal(m.data, "a secret text", 13);
    free(m.data);
    buf_free(&blob);
}

static void check_wrap(const struct cJSON *test, uint64_t key_bits)
{
    struct error e = {0};
    struct buf key = BUF(64), wrapped = BUF(1024), raw = BUF(1024);
    struct envelope *v = NULL;
    struct envelope_metadata m = {.protocol = "1.0", .kid = KID};
    (void)snprintf(m.algorithm, sizeof(m.algorithm), "A%uKW", (unsigned)key_bits);
    add_hex(&key, test, "key");
    add_hex(&wrapped, test, "ct");
    add_hex(&raw, test, "msg");
    AUTO(kek_free) struct kek kek = kek_of(key.data, key.size);
    m.wrapped_size = wrapped.size;
    if (wrapped.size > 0)
        memcpy(m.wrapped, wrapped.data, wrapped.size);
    enum status status = envelope_open(ENVELOPE_CSE_V1, &m, &kek, 16, &v, &e);
    if (wrapped.size != 40)
        assert_int_equal(status, E_NOT_AUTHENTIC); /* whatever it holds, it is no content key */
    else
        assert_int_equal(status, is_valid(test) ? OK : E_BAD_KEY);
    if (status == OK)
        check_key_is(v, &m, buf_span(&raw));
    envelope_close(&v);
    buf_free(&key);
    buf_free(&wrapped);
    buf_free(&raw);
}

static void wycheproof_wrap(void **state)
{
    (void)state;
    const char *path = TEST_FIXTURES "/wycheproof/aes_wrap_test.json";
    if (!have(path))
        skip();
    struct cJSON *root = parse_file(path);
    const struct cJSON *group = NULL, *test = NULL;
    size_t n = 0;
    cJSON_ArrayForEach(group, json_array(root, "testGroups"))
    {
        uint64_t bits = 0;
        assert_true(json_number(group, "keySize", &bits));
        cJSON_ArrayForEach(test, json_array(group, "tests"))
        {
            check_wrap(test, bits);
            n++;
        }
    }
    assert_true(n > 100);
    cJSON_Delete(root);
}

/* A vector that unwraps to something that is no content key is E_NOT_AUTHENTIC, one that does not
 * unwrap E_BAD_KEY. */
static void check_oaep(const struct cJSON *test, const struct kek *kek, const char *algorithm)
{
    struct error e = {0};
    struct envelope *v = NULL;
    struct envelope_metadata m = {.protocol = "1.0", .kid = KID};
    struct buf wrapped = BUF(1024), raw = BUF(1024);
    add_hex(&wrapped, test, "ct");
    add_hex(&raw, test, "msg");
    memcpy(m.algorithm, algorithm, strlen(algorithm));
    m.wrapped_size = wrapped.size;
    if (wrapped.size > 0)
        memcpy(m.wrapped, wrapped.data, wrapped.size);
    bool unwraps = is_valid(test) && json_text(test, "label")[0] == '\0';
    enum status expected = !unwraps ? E_BAD_KEY : raw.size == 32 ? OK : E_NOT_AUTHENTIC;
    enum status status = envelope_open(ENVELOPE_CSE_V1, &m, kek, 16, &v, &e);
    if (status != expected)
        fail_msg("%s: status %d, expected %d: %s", json_text(test, "comment"), status, expected,
                 e.text);
    if (status == OK)
        check_key_is(v, &m, buf_span(&raw));
    envelope_close(&v);
    buf_free(&wrapped);
    buf_free(&raw);
}

static void wycheproof_oaep(void **state)
{
    (void)state;
    static const struct {
        const char *path, *algorithm;
    } files[] = {
        {TEST_FIXTURES "/wycheproof/rsa_oaep_2048_sha1_mgf1sha1_test.json", "RSA-OAEP"},
        {TEST_FIXTURES "/wycheproof/rsa_oaep_2048_sha256_mgf1sha256_test.json", "RSA-OAEP-256"},
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        if (!have(files[i].path))
            skip();
        struct cJSON *root = parse_file(files[i].path);
        const struct cJSON *group = NULL, *test = NULL;
        size_t n = 0;
        cJSON_ArrayForEach(group, json_array(root, "testGroups"))
        {
            struct kek kek = {.kid = KID,
                              .pair = pair_of(span_text(json_text(group, "privateKeyPem")))};
            cJSON_ArrayForEach(test, json_array(group, "tests"))
            {
                check_oaep(test, &kek, files[i].algorithm);
                n++;
            }
            kek_free(&kek);
        }
        assert_true(n > 30);
        cJSON_Delete(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sdk_blobs),
        cmocka_unit_test(wycheproof_gcm),
        cmocka_unit_test(wycheproof_wrap),
        cmocka_unit_test(wycheproof_oaep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

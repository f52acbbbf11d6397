/* The other formats, layouts at the edge, keys of the wrong kind, and readers that are used
 * wrongly. */
#include "blob.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>

#define V2 ENVELOPE_CSE
#define V1 ENVELOPE_CSE_V1

static struct envelope_metadata metadata_of(const char *protocol, uint64_t data)
{
    struct envelope_metadata m = {.kid = KID, .algorithm = "A256KW", .region_size = data};
    bool v1 = strcmp(protocol, "1.0") == 0;
    memcpy(m.protocol, protocol, strlen(protocol));
    m.wrapped_size = wrap_content_key(v1 ? NULL : protocol, m.wrapped);
    return m;
}

static enum status try_open(enum envelope_format format, const struct envelope_metadata *m,
                            uint64_t stored, struct envelope **v, struct error *e)
{
    AUTO(kek_free) struct kek kek = kek_of(test_kek, 32);
    return envelope_open(format, m, &kek, stored, v, e);
}

#define TIB (UINT64_C(1) << 40)

static void layouts(void **state)
{
    (void)state;
    static const struct {
        uint64_t data, stored, plain; /* plain = UINT64_MAX: refused */
    } cases[] = {
        {4194304, 0, 0},
        {4194304, 29, 1},
        {4194304, 43, 15},
        {4194304, 44, 16},
        {4194304, 4194331, 4194303},
        {4194304, 4194332, 4194304},
        {4194304, 4194361, 4194305},
        {4194304, 8388664, 8388608},
        {4194304, 10485851, 10485767},
        {4194304, 28, 0},
        {4194304, 4194332 + 28, 4194304},
        {4194304, 1, UINT64_MAX},
        {4194304, 27, UINT64_MAX},
        {4194304, 4194333, UINT64_MAX},
        {4194304, 4194332 + 27, UINT64_MAX},
        {1, 29 * TIB, TIB},
        {1073741824, 1073741852 * UINT64_C(1000), 1073741824 * UINT64_C(1000)},
        {16, UINT64_MAX, UINT64_MAX},
        {16, UINT64_MAX - 27, UINT64_MAX},
        {16, UINT64_C(1) << 63, UINT64_MAX},
        {0, 44, UINT64_MAX},
        {1073741825, 44, UINT64_MAX},
        {UINT64_MAX, 44, UINT64_MAX},
        {UINT64_MAX - 27, 44, UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        struct envelope_metadata m = metadata_of("2.0", cases[i].data);
        enum status status = try_open(V2, &m, cases[i].stored, &v, &e);
        if (status != (cases[i].plain == UINT64_MAX ? E_NOT_AUTHENTIC : OK))
            fail_msg("case %zu: status %d: %s", i, status, e.text);
        if (status == OK)
            assert_int_equal(envelope_plain_size(v), cases[i].plain);
        envelope_close(&v);
    }
}

/* Stretches at the far end of a huge blob, and indices and wishes that would overflow. */
static void huge_spans(void **state)
{
    (void)state;
    struct error e = {0};
    struct envelope *v = NULL;
    struct envelope_span s = {0};
    struct envelope_metadata m = metadata_of("2.1", 16);
    const uint64_t regions = UINT64_C(1) << 50;
    assert_ok(try_open(V2, &m, regions * 44 - 3, &v, &e), &e);
    assert_true(envelope_span(v, 44, regions - 1, &s));
    assert_int_equal(s.stored_at, (regions - 1) * 44);
    assert_int_equal(s.stored_size, 41);
    assert_int_equal(s.plain_at, (regions - 1) * 16);
    assert_int_equal(s.plain_size, 13);
    assert_false(envelope_span(v, 44, regions, &s));
    assert_false(envelope_span(v, 44, UINT64_MAX, &s));
    assert_false(envelope_span(v, UINT64_MAX, 1, &s));
    assert_false(envelope_span(v, UINT64_C(1) << 60, UINT64_C(1) << 40, &s));
    assert_true(envelope_span(v, UINT64_MAX, 0, &s));
    assert_int_equal(s.stored_size, regions * 44 - 3);
    assert_int_equal(s.plain_size, envelope_plain_size(v));
    envelope_close(&v);
}

static void spans_of_8_mib_hold_two_regions(void **state)
{
    (void)state;
    struct error e = {0};
    struct envelope *v = NULL;
    struct envelope_span s = {0};
    struct envelope_metadata m = metadata_of("2.0", 4194304);
    assert_ok(try_open(V2, &m, 5 * 4194332, &v, &e), &e);
    assert_true(envelope_span(v, 8 * 1024 * 1024, 0, &s));
    assert_int_equal(s.stored_size, 2 * 4194332);
    assert_true(envelope_span(v, 8 * 1024 * 1024, 2, &s));
    assert_int_equal(s.stored_size, 4194332);
    assert_int_equal(s.plain_at, 4 * 4194304);
    assert_true(envelope_span(v, 0, 4, &s));
    envelope_close(&v);
}

static void gcm(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 262143, 262144, 262145, 1000000};
    static const size_t keys[] = {16, 24, 32};
    uint8_t *plain = malloc(1000000);
    fill(plain, 1000000, 6);
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < COUNT(keys); k++) {
            struct error e = {0};
            struct envelope *v = NULL;
            struct memory m;
            struct buf blob = BUF(1100000);
            uint64_t n = 0;
            AUTO(kek_free) struct kek kek = kek_of(test_kek, keys[k]);
            seal_gcm(span_of(test_kek, keys[k]), (const uint8_t *)"any nonce...",
                     span_of(plain, sizes[i]), &blob);
            assert_ok(envelope_open(ENVELOPE_AES_GCM, NULL, &kek, blob.size, &v, &e), &e);
            assert_string_equal(envelope_name(ENVELOPE_AES_GCM, NULL), "aes-gcm");
            assert_int_equal(envelope_plain_size(v), sizes[i]);
            memory_sink_new(&m, sizes[i]);
            assert_ok(
                read_blob(v, buf_span(&blob), 1, k == 0 && sizes[i] < 2000 ? 1 : 9999, &m, &n, &e),
                &e);
            assert_int_equal(n, sizes[i]);
            assert_memory_equal(m.data, plain, sizes[i]);
            envelope_close(&v);

            blob.data[(sizes[i] * 7) % blob.size] ^= 0x10;
            assert_ok(envelope_open(ENVELOPE_AES_GCM, NULL, &kek, blob.size, &v, &e), &e);
            assert_fails(read_blob(v, buf_span(&blob), 1, 9999, &m, &n, &e), E_NOT_AUTHENTIC,
                         "not genuine", &e);
            assert_fails(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC, "not all", &e);
            envelope_close(&v);
            free(m.data);
            buf_free(&blob);
        }
    free(plain);
}

static void gcm_refuses(void **state)
{
    (void)state;
    static const struct {
        size_t key;
        uint64_t stored;
        enum status expected;
    } cases[] = {
        {32, 27, E_NOT_AUTHENTIC},
        {32, 0, E_NOT_AUTHENTIC},
        {32, (UINT64_C(1) << 36) - 3, E_NOT_AUTHENTIC}, /* one byte more than GCM may encrypt */
        {32, (UINT64_C(1) << 36) - 4, OK},
        {32, UINT64_MAX, E_NOT_AUTHENTIC},
        {31, 100, E_BAD_KEY},
        {8, 100, E_BAD_KEY},
        {64, 100, E_BAD_KEY},
    };
    uint8_t bytes[64] = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        AUTO(kek_free) struct kek kek = kek_of(bytes, cases[i].key);
        assert_int_equal(envelope_open(ENVELOPE_AES_GCM, NULL, &kek, cases[i].stored, &v, &e),
                         cases[i].expected);
        envelope_close(&v);
    }
    struct error e = {0};
    struct envelope *v = NULL;
    struct kek none = {0};
    assert_fails(envelope_open(ENVELOPE_AES_GCM, NULL, &none, 100, &v, &e), E_BAD_KEY, "symmetric",
                 &e);
    assert_fails(envelope_open(ENVELOPE_AES_GCM, NULL, NULL, 100, &v, &e), E_BUG, "", &e);
}

static void cbc(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,      1,      15,     16,     17,     1000,
                                   262127, 262128, 262143, 262144, 262145, 600000};
    uint8_t *plain = malloc(600000);
    fill(plain, 600000, 12);
    struct envelope_metadata m = metadata_of("1.0", 0);
    fill(m.iv, 16, 13);
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (uint32_t most = 0; most < 4; most++) {
            struct error e = {0};
            struct envelope *v = NULL;
            struct memory memory;
            struct buf blob = BUF(700000);
            uint64_t n = 0;
            static const uint32_t cuts[] = {0, 1, 17, 100000};
            if (cuts[most] == 1 && sizes[i] > 2000)
                continue;
            seal_cbc(span_of(test_cek, 32), m.iv, span_of(plain, sizes[i]), true, &blob);
            assert_ok(try_open(V1, &m, blob.size, &v, &e), &e);
            assert_string_equal(envelope_name(V1, &m), "cse-1.0");
            assert_true(envelope_plain_size(v) >= sizes[i]);
            assert_int_equal(envelope_plain_size(v), blob.size - 1);
            memory_sink_new(&memory, blob.size - 1);
            assert_ok(read_blob(v, buf_span(&blob), 1, cuts[most], &memory, &n, &e), &e);
            assert_int_equal(n, sizes[i]);
            assert_int_equal(envelope_plain_size(v), sizes[i]);
            assert_int_equal(atomic_load(&memory.written), sizes[i]);
            assert_memory_equal(memory.data, plain, sizes[i]);
            envelope_close(&v);
            free(memory.data);
            buf_free(&blob);
        }
    free(plain);
}

/* Whatever is wrong with the padding: one sentence. */
static void cbc_padding(void **state)
{
    (void)state;
    static const struct {
        uint8_t last[16];
        bool good;
    } cases[] = {
        {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1}, true},
        {{16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}, true},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3}, true},
        {{0}, false},
        {{17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17}, false},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255}, false},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3}, false},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 3}, false},
        {{15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}, false},
    };
    char sentence[sizeof(((struct error *)0)->text)] = "";
    struct envelope_metadata m = metadata_of("1.0", 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        struct memory memory;
        struct buf blob = BUF(64);
        uint64_t n = 77;
        seal_cbc(span_of(test_cek, 32), m.iv, span_of(cases[i].last, 16), false, &blob);
        assert_ok(try_open(V1, &m, blob.size, &v, &e), &e);
        memory_sink_new(&memory, 16);
        enum status status = read_blob(v, buf_span(&blob), 1, 5, &memory, &n, &e);
        assert_int_equal(status, cases[i].good ? OK : E_NOT_AUTHENTIC);
        if (cases[i].good) {
            assert_int_equal(n, 16 - cases[i].last[15]);
        } else {
            assert_int_equal(n, 15); /* as much as can be compared: no answer before it was */
            assert_int_equal(atomic_load(&memory.written), 15);
            assert_int_equal(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC);
            assert_true(sentence[0] == 0 || strcmp(sentence, e.text) == 0);
            memcpy(sentence, e.text, sizeof(sentence));
        }
        envelope_close(&v);
        free(memory.data);
        buf_free(&blob);
    }
}

static void cbc_sizes(void **state)
{
    (void)state;
    static const uint64_t bad[] = {0, 1, 15, 17, 31, UINT64_MAX, UINT64_MAX - 15};
    struct envelope_metadata m = metadata_of("1.0", 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        assert_fails(try_open(V1, &m, bad[i], &v, &e), E_NOT_AUTHENTIC, "", &e);
    }
}

/* Metadata of one version under the key or the format of another. */
static void relabelled(void **state)
{
    (void)state;
    struct error e = {0};
    struct envelope *v = NULL;
    struct envelope_metadata v1 = metadata_of("1.0", 0), v2 = metadata_of("2.0", 64);
    assert_fails(try_open(V2, &v1, 92, &v, &e), E_NOT_AUTHENTIC, "", &e);
    assert_fails(try_open(V1, &v2, 96, &v, &e), E_NOT_AUTHENTIC, "", &e);
    memcpy(v1.protocol, "2.0", 4);
    v1.region_size = 64;
    assert_fails(try_open(V2, &v1, 92, &v, &e), E_NOT_AUTHENTIC, "EncryptedKey has 40 bytes", &e);
    memcpy(v2.protocol, "1.0", 4);
    assert_fails(try_open(V1, &v2, 96, &v, &e), E_NOT_AUTHENTIC, "EncryptedKey has 48 bytes", &e);
    assert_null(v);
}

/* The prefix is compared in full: 8 bytes, of which 5 are zero. */
static void prefixes(void **state)
{
    (void)state;
    static const struct {
        uint8_t prefix[8];
        enum status expected;
    } cases[] = {
        {"2.0", OK},
        {"2.1", E_NOT_AUTHENTIC},
        {"2.0\1", E_NOT_AUTHENTIC},
        {{'2', '.', '0', 0, 0, 0, 0, 1}, E_NOT_AUTHENTIC},
        {"", E_NOT_AUTHENTIC},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        struct envelope_metadata m = metadata_of("2.0", 64);
        uint8_t raw[40] = {0};
        memcpy(raw, cases[i].prefix, 8);
        memcpy(raw + 8, test_cek, 32);
        m.wrapped_size = wrap_key(test_kek, 32, span_of(raw, 40), m.wrapped);
        assert_int_equal(try_open(V2, &m, 92, &v, &e), cases[i].expected);
        envelope_close(&v);
    }
}

static size_t wrap_rsa(EVP_PKEY *pair, const EVP_MD *digest, const EVP_MD *mask, struct span raw,
                       uint8_t out[1024])
{
    size_t n = 1024;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pair, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(c, digest), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(c, mask), 1);
    assert_int_equal(EVP_PKEY_encrypt(c, out, &n, raw.data, raw.size), 1);
    EVP_PKEY_CTX_free(c);
    return n;
}

static void rsa(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        bool digest_256, mask_256;
        size_t extra; /* bytes more than the 40 */
        enum status expected;
    } cases[] = {
        {"RSA-OAEP", false, false, 0, OK},
        {"RSA", false, false, 0, OK},
        {"RSA-OAEP-256", true, true, 0, OK},
        {"RSA-OAEP", true, true, 0, E_BAD_KEY},
        {"RSA-OAEP-256", false, false, 0, E_BAD_KEY},
        {"RSA-OAEP-256", true, false, 0, E_BAD_KEY},
        {"RSA-OAEP", false, true, 0, E_BAD_KEY},
        {"RSA-OAEP", false, false, 1, E_NOT_AUTHENTIC},
        {"A256KW", false, false, 0, E_NOT_AUTHENTIC},
    };
    struct kek kek = {.kid = KID, .pair = EVP_RSA_gen(2048)};
    struct kek other = {.kid = KID, .pair = EVP_RSA_gen(2048)};
    struct kek longer = {.kid = KID, .pair = EVP_RSA_gen(3072)};
    struct kek curve = {.kid = KID, .pair = EVP_EC_gen("P-256")};
    uint8_t raw[41] = "2.0";
    memcpy(raw + 8, test_cek, 32);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct envelope *v = NULL;
        struct envelope_metadata m = {.protocol = "2.0", .kid = KID, .region_size = 64};
        memcpy(m.algorithm, cases[i].algorithm, strlen(cases[i].algorithm));
        m.wrapped_size = wrap_rsa(kek.pair, cases[i].digest_256 ? EVP_sha256() : EVP_sha1(),
                                  cases[i].mask_256 ? EVP_sha256() : EVP_sha1(),
                                  span_of(raw, 40 + cases[i].extra), m.wrapped);
        enum status status = envelope_open(V2, &m, &kek, 92, &v, &e);
        if (status != cases[i].expected)
            fail_msg("case %zu: status %d: %s", i, status, e.text);
        envelope_close(&v);
        if (cases[i].expected != OK)
            continue;
        assert_fails(envelope_open(V2, &m, &other, 92, &v, &e), E_BAD_KEY, "cannot be unwrapped",
                     &e);
        assert_non_null(strstr(e.remedy, KID));
        assert_fails(envelope_open(V2, &m, &longer, 92, &v, &e), E_BAD_KEY,
                     "2048 bits, the key has 3072", &e);
        assert_fails(envelope_open(V2, &m, &curve, 92, &v, &e), E_BAD_KEY, "not RSA", &e);
        assert_fails(try_open(V2, &m, 92, &v, &e), E_BAD_KEY, "not RSA", &e);
        m.wrapped[7] ^= 1;
        assert_fails(envelope_open(V2, &m, &kek, 92, &v, &e), E_BAD_KEY, "", &e);
    }
    kek_free(&kek);
    kek_free(&other);
    kek_free(&longer);
    kek_free(&curve);
}

/* OpenSSL has one reason for a number above the modulus and another for bad padding; which of them
 * another key's blob meets is chance. */
static void one_sentence_for_every_wrong_key(void **state)
{
    (void)state;
    struct kek kek = {.kid = KID, .pair = EVP_RSA_gen(2048)};
    struct envelope_metadata m = {
        .protocol = "2.0", .kid = KID, .algorithm = "RSA-OAEP", .region_size = 64};
    struct error below = {0}, above = {0};
    struct envelope *v = NULL;
    m.wrapped_size = 256;
    memset(m.wrapped, 0x01, m.wrapped_size);
    assert_fails(envelope_open(V2, &m, &kek, 92, &v, &below), E_BAD_KEY, "cannot be unwrapped",
                 &below);
    memset(m.wrapped, 0xff, m.wrapped_size);
    assert_fails(envelope_open(V2, &m, &kek, 92, &v, &above), E_BAD_KEY, "cannot be unwrapped",
                 &above);
    assert_string_equal(above.text, below.text);
    kek_free(&kek);
}

static void symmetric_keys_of_all_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        size_t size;
    } cases[] = {{"A128KW", 16}, {"A192KW", 24}, {"A256KW", 32}};
    uint8_t raw[40] = "2.1";
    memcpy(raw + 8, test_cek, 32);
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t k = 0; k < COUNT(cases); k++) {
            struct error e = {0};
            struct envelope *v = NULL;
            AUTO(kek_free) struct kek kek = kek_of(test_kek, cases[k].size);
            struct envelope_metadata m = {.protocol = "2.1", .kid = KID, .region_size = 64};
            memcpy(m.algorithm, cases[i].algorithm, 6);
            m.wrapped_size = wrap_key(test_kek, cases[i].size, span_of(raw, 40), m.wrapped);
            assert_int_equal(envelope_open(V2, &m, &kek, 92, &v, &e), i == k ? OK : E_BAD_KEY);
            envelope_close(&v);
        }
}

static void plain_is_copied(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 262144, 262145, 1000000};
    uint8_t *source = malloc(1000000);
    fill(source, 1000000, 8);
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (uint32_t most = 1; most < 10000000; most *= 70) {
            struct error e = {0};
            struct envelope *v = NULL;
            struct memory m;
            uint64_t n = 1;
            if (most == 1 && sizes[i] > 300000)
                continue;
            memory_sink_new(&m, sizes[i]);
            assert_ok(envelope_open(ENVELOPE_PLAIN, NULL, NULL, sizes[i], &v, &e), &e);
            assert_string_equal(envelope_name(ENVELOPE_PLAIN, NULL), "plain");
            assert_ok(read_blob(v, span_of(source, sizes[i]), 300000, most, &m, &n, &e), &e);
            assert_int_equal(n, sizes[i]);
            assert_int_equal(atomic_load(&m.written), sizes[i]);
            assert_memory_equal(m.data, source, sizes[i]);
            envelope_close(&v);
            free(m.data);
        }
    free(source);
}

static enum status sink_is_full(void *context, uint64_t at, struct span bytes, struct error *e)
{
    (void)context;
    (void)at;
    (void)bytes;
    return fail(e, E_SPACE, "the sink is full");
}

/* Account is kept of each stretch: none is left out, none counts twice, and only whole ones count.
 */
static void stretches_are_counted(void **state)
{
    (void)state;
    struct error e = {0};
    struct envelope *v = NULL;
    struct envelope_reader *r = NULL;
    struct envelope_span s[3] = {0};
    struct memory m;
    struct buf blob = BUF(1024);
    uint8_t source[192];
    uint32_t seed = 1;
    uint64_t n = 77;
    struct envelope_metadata metadata = metadata_of("2.0", 64);
    fill(source, sizeof(source), 4);
    seal_blob(span_of(source, sizeof(source)), 64, PYTHON, &blob);
    memory_sink_new(&m, sizeof(source));
    struct sink sink = {.write = memory_write, .context = &m}, full = {.write = sink_is_full};
    assert_ok(try_open(V2, &metadata, blob.size, &v, &e), &e);
    assert_ok(envelope_reader_new(&r, &e), &e);
    for (size_t i = 0; i < 3; i++)
        assert_true(envelope_span(v, 1, i, &s[i]));
    assert_false(envelope_span(v, 1, 3, &s[0]));

    assert_fails(envelope_reader_feed(r, buf_span(&blob), &e), E_BUG, "not started", &e);
    assert_fails(envelope_reader_finish(r, &e), E_BUG, "not started", &e);
    assert_fails(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC, "not all", &e);

    assert_ok(read_span(r, v, &s[0], buf_span(&blob), 9, &seed, &m, &e), &e);
    assert_fails(envelope_reader_finish(r, &e), E_BUG, "not started", &e);
    assert_fails(read_span(r, v, &s[0], buf_span(&blob), 9, &seed, &m, &e), E_BUG, "finished twice",
                 &e);
    assert_ok(read_span(r, v, &s[2], buf_span(&blob), 9, &seed, &m, &e), &e);
    assert_fails(read_span(r, v, &s[2], buf_span(&blob), 9, &seed, &m, &e), E_BUG, "finished twice",
                 &e);
    assert_fails(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC, "not all", &e);

    /* one byte too many, too few, too few at the tag's edge, and a sink that fails */
    const uint8_t *region = blob.data + 92;
    assert_ok(envelope_reader_start(r, v, &s[1], &sink, &e), &e);
    assert_fails(envelope_reader_feed(r, span_of(region, 93), &e), E_NOT_AUTHENTIC,
                 "more than the 92", &e);
    assert_fails(envelope_reader_finish(r, &e), E_BUG, "", &e);
    for (size_t cut = 1; cut <= 92; cut++) {
        assert_ok(envelope_reader_start(r, v, &s[1], &sink, &e), &e);
        assert_ok(envelope_reader_feed(r, span_of(region, 92 - cut), &e), &e);
        assert_fails(envelope_reader_finish(r, &e), E_NOT_AUTHENTIC, "of the 92 bytes", &e);
    }
    assert_ok(envelope_reader_start(r, v, &s[1], &full, &e), &e);
    assert_ok(envelope_reader_feed(r, span_of(region, 92), &e), &e);
    assert_fails(envelope_reader_finish(r, &e), E_SPACE, "the sink is full", &e);
    assert_fails(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC, "not all", &e);
    assert_int_equal(n, 77);

    /* a stretch that was given up is started anew */
    assert_ok(envelope_reader_start(r, v, &s[1], &sink, &e), &e);
    assert_ok(envelope_reader_feed(r, span_of(region, 50), &e), &e);
    assert_ok(read_span(r, v, &s[1], buf_span(&blob), 9, &seed, &m, &e), &e);
    assert_ok(envelope_verdict(v, &n, &e), &e);
    assert_int_equal(n, sizeof(source));
    assert_memory_equal(m.data, source, sizeof(source));

    for (size_t i = 0; i < 3; i++)
        assert_fails(read_span(r, v, &s[i], buf_span(&blob), 9, &seed, &m, &e), E_BUG,
                     "finished twice", &e);

    /* spans that no envelope gave */
    struct envelope_span odd[] = {s[1], s[1], s[1], s[1], s[1]};
    odd[0].stored_at++;
    odd[1].stored_size++;
    odd[2].stored_size = UINT64_MAX;
    odd[3].plain_at++;
    odd[4].stored_size = 0;
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_fails(envelope_reader_start(r, v, &odd[i], &sink, &e), E_BUG, "no stretch", &e);

    envelope_reader_free(&r);
    assert_null(r);
    envelope_reader_free(&r);
    envelope_close(&v);
    envelope_close(&v);
    free(m.data);
    buf_free(&blob);
}

/* All regions but one, whichever: no verdict. */
static void one_stretch_is_missing(void **state)
{
    (void)state;
    struct buf blob = BUF(1024);
    uint8_t source[192];
    struct envelope_metadata metadata = metadata_of("2.0", 64);
    fill(source, sizeof(source), 4);
    seal_blob(span_of(source, sizeof(source)), 64, PYTHON, &blob);
    for (uint64_t missing = 0; missing < 3; missing++) {
        struct error e = {0};
        struct envelope *v = NULL;
        struct envelope_reader *r = NULL;
        struct envelope_span s = {0};
        struct memory m;
        uint32_t seed = 1;
        uint64_t n = 0;
        memory_sink_new(&m, sizeof(source));
        assert_ok(try_open(V2, &metadata, blob.size, &v, &e), &e);
        assert_ok(envelope_reader_new(&r, &e), &e);
        for (uint64_t i = 3; i-- > 0;)
            if (i != missing && envelope_span(v, 1, i, &s))
                assert_ok(read_span(r, v, &s, buf_span(&blob), 9, &seed, &m, &e), &e);
        assert_fails(envelope_verdict(v, &n, &e), E_NOT_AUTHENTIC, "not all", &e);
        assert_true(envelope_span(v, 1, missing, &s));
        assert_ok(read_span(r, v, &s, buf_span(&blob), 9, &seed, &m, &e), &e);
        assert_ok(envelope_verdict(v, &n, &e), &e);
        envelope_reader_free(&r);
        envelope_close(&v);
        free(m.data);
    }
    buf_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(huge_spans),
        cmocka_unit_test(spans_of_8_mib_hold_two_regions),
        cmocka_unit_test(gcm),
        cmocka_unit_test(gcm_refuses),
        cmocka_unit_test(cbc),
        cmocka_unit_test(cbc_padding),
        cmocka_unit_test(cbc_sizes),
        cmocka_unit_test(relabelled),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(rsa),
        cmocka_unit_test(one_sentence_for_every_wrong_key),
        cmocka_unit_test(symmetric_keys_of_all_sizes),
        cmocka_unit_test(plain_is_copied),
        cmocka_unit_test(stretches_are_counted),
        cmocka_unit_test(one_stretch_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

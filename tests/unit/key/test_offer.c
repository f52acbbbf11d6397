/* The offer's exact bytes, and key ids. */
#include <cjson/cJSON.h>

#include "maker.h"

/* RFC 7638, section 3.1. */
#define RFC_N                                                                                      \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"   \
    "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"   \
    "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"   \
    "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

static EVP_PKEY *rsa_public(const char *modulus)
{
    struct buf bytes = BUF(1024);
    struct error e = {0};
    uint8_t n[256];
    unsigned exponent = 65537;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);

    assert_ok(base64_decode(span_text(modulus), BASE64URL, &bytes, E_USAGE, &e), &e);
    assert_int_equal(bytes.size, sizeof n);
    for (size_t i = 0; i < sizeof n; i++) /* native order: little-endian */
        n[i] = bytes.data[sizeof n - 1 - i];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, sizeof n),
        OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent),
        OSSL_PARAM_construct_end(),
    };
    must(EVP_PKEY_fromdata_init(c) > 0 &&
         EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
    EVP_PKEY_CTX_free(c);
    buf_free(&bytes);
    return key;
}

static void known_thumbprint(void **state)
{
    static const char expected[] =
        "{\"keys\":[{\"e\":\"AQAB\",\"key_ops\":[\"encrypt\"],\"kid\":"
        "\"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\",\"kty\":\"RSA\",\"n\":\"" RFC_N "\"}]}";
    EVP_PKEY *key = rsa_public(RFC_N);
    AUTO(key_offer_free) struct key_offer offer = {0};
    struct error e = {0};
    (void)state;
    assert_ok(key_offer_of(key, &offer, &e), &e);
    EVP_PKEY_free(key); /* the offer has a reference of its own */
    assert_string_equal(buf_text(&offer.runtime_data), expected);
    assert_int_equal(offer.runtime_data.size, 458);
    assert_int_equal(EVP_PKEY_get_bits(offer.pair), 2048);
}

static void known_set(void **state)
{
    AUTO(buf_free) struct buf text = BUF(1 << 20);
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(key_offer_free) struct key_offer offer = {0};
    struct error e = {0};
    (void)state;
    if (file_read(TEST_FIXTURES "/kat.json", 1 << 20, &text, E_USAGE, &e) != OK) {
        print_message("skipped: no fixture kat.json\n");
        skip();
    }
    assert_ok(json_parse(buf_span(&text), E_USAGE, &tree, &e), &e);
    BIO *bio = BIO_new_mem_buf(json_text(json_object(tree, "rsa_aes_unwrap"), "pem"), -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    assert_ok(key_offer_of(key, &offer, &e), &e);
    assert_string_equal(buf_text(&offer.runtime_data),
                        json_text(json_object(tree, "jwk_set"), "json"));
    EVP_PKEY_free(key);
    (void)BIO_free(bio);
}

static void fresh_every_time(void **state)
{
    AUTO(key_offer_free) struct key_offer a = {0};
    AUTO(key_offer_free) struct key_offer b = {0};
    struct error e = {0};
    (void)state;
    assert_ok(key_offer_new(&a, &e), &e);
    assert_ok(key_offer_new(&b, &e), &e);
    assert_int_equal(EVP_PKEY_get_bits(a.pair), 2048);
    assert_int_equal(EVP_PKEY_eq(a.pair, b.pair), 0);
    assert_false(span_equal(buf_span(&a.runtime_data), buf_span(&b.runtime_data)));
}

static void not_rsa(void **state)
{
    EVP_PKEY *key = ec_key("P-256");
    struct key_offer offer = {0};
    struct error e = {0};
    (void)state;
    assert_fails(key_offer_of(key, &offer, &e), E_BUG, "RSA", &e);
    assert_null(offer.pair);
    EVP_PKEY_free(key);
}

static void ids(void **state)
{
    static const struct {
        const char *text, *name, *version; /* name NULL: refused */
    } cases[] = {
        {"https://v.vault.azure.net/keys/a", "a", ""},
        {"https://v.vault.azure.net:8443/keys/a-B9/0123", "a-B9", "0123"},
        {"https://[::1]:8443/keys/a", "a", ""},
        {"http://localhost:8443/keys/a", "a", ""},
        {"http://127.0.0.1:8443/keys/a/b", "a", "b"},
        {"http://v.vault.azure.net/keys/a", NULL, NULL},
        {"https://v.vault.azure.net", NULL, NULL},
        {"https://v.vault.azure.net/", NULL, NULL},
        {"https://v.vault.azure.net/keys", NULL, NULL},
        {"https://v.vault.azure.net/keys/", NULL, NULL},
        {"https://v.vault.azure.net/keys//", NULL, NULL},
        {"https://v.vault.azure.net/keys/a/", NULL, NULL},
        {"https://v.vault.azure.net/keys//b", NULL, NULL},
        {"https://v.vault.azure.net/keys/a/b/c", NULL, NULL},
        {"https://v.vault.azure.net/Keys/a", NULL, NULL},
        {"https://v.vault.azure.net/secrets/a", NULL, NULL},
        {"https://v.vault.azure.net/keys/a?x=y", NULL, NULL},
        {"https://v.vault.azure.net/keys/a%2e", NULL, NULL},
        {"https://v.vault.azure.net/keys/..", NULL, NULL},
        {"https://v.vault.azure.net/keys/a_b", NULL, NULL},
        {"https://user@v.vault.azure.net/keys/a", NULL, NULL},
        {"v.vault.azure.net/keys/a", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key_id id = {0};
        struct error e = {0};
        const enum status status = key_id_parse(cases[i].text, &id, &e);

        if (status != (cases[i].name == NULL ? E_USAGE : OK))
            fail_msg("%s: %d %s", cases[i].text, status, e.text);
        if (cases[i].name == NULL)
            continue;
        assert_true(span_is(id.name, cases[i].name));
        assert_true(span_is(id.version, cases[i].version));
    }
}

static void long_names(void **state)
{
    char text[256];
    struct key_id id;
    struct error e = {0};
    (void)state;
    (void)snprintf(text, sizeof text, "https://v.test/keys/%0127d", 0);
    assert_ok(key_id_parse(text, &id, &e), &e);
    (void)snprintf(text, sizeof text, "https://v.test/keys/%0128d", 0);
    assert_fails(key_id_parse(text, &id, &e), E_USAGE, "keys/NAME", &e);
}

static void matches(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"https://v.test/keys/a", "https://v.test/keys/a", true},
        {"https://v.test/keys/a", "https://V.TEST:443/keys/A", true},
        {"https://v.test/keys/a", "https://v.test/keys/a/1", true},
        {"https://v.test/keys/a/1", "https://v.test/keys/a", true},
        {"https://v.test/keys/a/1", "https://v.test/keys/a/1", true},
        {"https://v.test/keys/a/1", "https://v.test/keys/a/2", false},
        {"https://v.test/keys/a/1", "https://v.test/keys/a/11", false},
        {"https://v.test/keys/a", "https://v.test/keys/ab", false},
        {"https://v.test/keys/a", "https://w.test/keys/a", false},
        {"https://v.test/keys/a", "https://v.test:444/keys/a", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct key_id a, b;
        struct error e = {0};

        assert_ok(key_id_parse(cases[i].a, &a, &e), &e);
        assert_ok(key_id_parse(cases[i].b, &b, &e), &e);
        if (key_id_matches(&a, &b) != cases[i].same || key_id_matches(&b, &a) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_thumbprint),
        cmocka_unit_test(known_set),
        cmocka_unit_test(fresh_every_time),
        cmocka_unit_test(not_rsa),
        cmocka_unit_test(ids),
        cmocka_unit_test(long_names),
        cmocka_unit_test(matches),
    };
    return cmocka_run_group_tests_name("key offer and ids", tests, NULL, NULL);
}

/* JWK and key files: whole private keys are taken; with one number changed, missing or odd not. */
#include "maker.h"

#include <sys/stat.h>

static EVP_PKEY *rsa, *p256, *p384, *p521;

static int set_up(void **state)
{
    (void)state;
    rsa = rsa_key(2048);
    p256 = ec_key("P-256");
    p384 = ec_key("P-384");
    p521 = ec_key("P-521");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(p521);
    return 0;
}

static void pairs(void **state)
{
    EVP_PKEY *big = rsa_key(3072);
    EVP_PKEY *const keys[] = {rsa, p256, p384, p521, big};
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        char *jwk = private_jwk(keys[i]);
        char *named = replaced(jwk, "{", "{\"kid\":\"here\",\"use\":\"enc\",");
        AUTO(kek_free) struct kek k = {0};
        AUTO(kek_free) struct kek l = {0};
        struct error e = {0};

        assert_ok(key_from_jwk(span_text(jwk), &k, &e), &e);
        assert_int_equal(EVP_PKEY_eq(k.pair, keys[i]), 1);
        assert_string_equal(k.kid, "");
        assert_ok(key_from_jwk(span_text(named), &l, &e), &e);
        assert_string_equal(l.kid, "here");
        free(jwk);
        free(named);
    }
    EVP_PKEY_free(big);
}

/* What is written can be read again and is the same key; nothing of it is left out or made up. */
static void written(void **state)
{
    EVP_PKEY *const keys[] = {rsa, p256, p384, p521};
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        char *jwk = private_jwk(keys[i]);
        AUTO(kek_free) struct kek k = {0};
        AUTO(kek_free) struct kek again = {0};
        AUTO(secret_free) struct secret text = {0};
        struct error e = {0};

        assert_ok(key_from_jwk(span_text(jwk), &k, &e), &e);
        (void)snprintf(k.kid, sizeof k.kid, "https://x/keys/\"\\");
        assert_ok(key_to_jwk(&k, &text, &e), &e);
        assert_int_equal(secret_view(&text).data[secret_view(&text).size - 1], '}');
        assert_ok(key_from_jwk(secret_view(&text), &again, &e), &e);
        assert_int_equal(EVP_PKEY_eq(again.pair, keys[i]), 1);
        assert_string_equal(again.kid, k.kid);
        free(jwk);
    }
}

static void written_oct(void **state)
{
    AUTO(kek_free) struct kek k = {0};
    AUTO(secret_free) struct secret text = {0};
    struct error e = {0};
    (void)state;
    assert_ok(secret_copy(&k.octets, SPAN_LITERAL("0123456789abcdef"), &e), &e);
    assert_ok(key_to_jwk(&k, &text, &e), &e);
    assert_true(span_is(secret_view(&text),
                        "{\"kid\":\"\",\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZg\"}"));
}

/* A key read from a JWK opens what its public half closed. */
static void pair_works(EVP_PKEY *pair)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    uint8_t closed[512], opened[512];
    size_t size = sizeof opened;

    const size_t n =
        oaep_seal(rsa, EVP_sha256(), SPAN_LITERAL("content key"), closed, sizeof closed);
    must(EVP_PKEY_decrypt_init(c) > 0 &&
         EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) > 0 &&
         EVP_PKEY_decrypt(c, opened, &size, closed, n) > 0);
    assert_int_equal(size, 11);
    assert_memory_equal(opened, "content key", 11);
    EVP_PKEY_CTX_free(c);
}

/* The JWK without its primes: n, e and d alone. */
static char *short_jwk(void)
{
    char *n = number_text(rsa, "n", 0), *d = number_text(rsa, "d", 0);
    struct buf out = BUF(ROOM);
    struct error e = {0};
    char *text;

    assert_ok(
        buf_addf(&out, &e, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\",\"d\":\"%s\"}", n, d), &e);
    text = strdup(buf_text(&out));
    buf_free(&out);
    free(n);
    free(d);
    return text;
}

static void without_primes(void **state)
{
    char *jwk = short_jwk();
    char *wrong = replaced(jwk, "\"d\":\"", "\"d\":\"AAAA");
    AUTO(kek_free) struct kek k = {0};
    AUTO(kek_free) struct kek l = {0};
    struct error e = {0};
    (void)state;
    assert_ok(key_from_jwk(span_text(jwk), &k, &e), &e);
    pair_works(k.pair);
    assert_ok(key_from_jwk(span_text(wrong), &l, &e), &e); /* the same number */
    free(wrong);
    wrong = strdup(jwk);
    char *at = strstr(wrong, "\"d\":\"") + 20;
    *at = *at == 'A' ? 'B' : 'A';
    kek_free(&l);
    assert_fails(key_from_jwk(span_text(wrong), &l, &e), E_BAD_KEY, "private half", &e);
    free(wrong);
    free(jwk);
}

/* MEMBER's value with one letter in its middle changed. */
static char *spoiled(const char *jwk, const char *member)
{
    char *out = strdup(jwk), mark[16];
    char *at;

    (void)snprintf(mark, sizeof mark, "\"%s\":\"", member);
    at = strstr(out, mark);
    must(at != NULL);
    at += strlen(mark) + 9;
    *at = *at == 'A' ? 'B' : 'A';
    return out;
}

static void refuse(const char *jwk, const char *what)
{
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    const enum status status = key_from_jwk(span_text(jwk), &k, &e);

    if (status != E_BAD_KEY || k.pair != NULL || k.octets.pages != NULL)
        fail_msg("%s: %d %s", what, status, e.text);
}

static void spoiled_numbers(void **state)
{
    static const char *const rsa_members[] = {"n", "d", "p", "q", "dp", "dq", "qi"};
    static const char *const ec_members[] = {"x", "y", "d"};
    EVP_PKEY *const curves[] = {p256, p384, p521};
    char *jwk = private_jwk(rsa);
    (void)state;
    for (size_t i = 0; i < COUNT(rsa_members); i++) {
        char *wrong = spoiled(jwk, rsa_members[i]);
        refuse(wrong, rsa_members[i]);
        free(wrong);
    }
    free(jwk);
    for (size_t i = 0; i < COUNT(curves) * COUNT(ec_members); i++) {
        jwk = private_jwk(curves[i / COUNT(ec_members)]);
        char *wrong = spoiled(jwk, ec_members[i % COUNT(ec_members)]);
        refuse(wrong, ec_members[i % COUNT(ec_members)]);
        free(wrong);
        free(jwk);
    }
}

static void changed_rsa(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"\"kty\":\"RSA\"", "\"kty\":\"EC\""},
        {"\"kty\":\"RSA\"", "\"kty\":\"oct\""},
        {"\"kty\":\"RSA\"", "\"kty\":\"rsa\""},
        {"\"kty\":\"RSA\",", ""},
        {"\"kty\":\"RSA\"", "\"kty\":1"},
        {"\"n\":", "\"N\":"},
        {"\"n\":\"", "\"n\":\"AAAA"}, /* leading zeros */
        {
            "\"n\":\"",
            "\"n\":\"=",
        },
        {"\"e\":\"AQAB\"", "\"e\":\"AQAD\""},
        {"\"e\":\"AQAB\"", "\"e\":\"AQ\""},
        {"\"e\":\"AQAB\"", "\"e\":\"AAEAAQ\""},
        {"\"e\":\"AQAB\"", "\"e\":\"\""},
        {"\"e\":\"AQAB\"", "\"e\":\"AQAAAAAAAAAB\""},
        {"\"e\":\"AQAB\"", "\"e\":65537"},
        {"\"d\":", "\"D\":"},
        {"\"p\":", "\"P\":"},
        {"\"q\":", "\"Q\":"},
        {"\"dp\":", "\"DP\":"},
        {"\"dq\":", "\"DQ\":"},
        {"\"qi\":", "\"QI\":"},
        {"\"qi\":\"", "\"qi\":\"!"},
        {"\"qi\":\"", "\"qi\":\"\",\"x\":\""},
        {"{", "{\"oth\":[],"},
        {"{", "{\"n\":\"AQAB\","},
        {"{", "[{"},
        {"}", "}}"},
        {"}", "} {"},
        {"}", ""},
    };
    char *jwk = private_jwk(rsa);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *wrong = replaced(jwk, cases[i].from, cases[i].to);
        refuse(wrong, cases[i].to);
        free(wrong);
    }
    free(jwk);
}

static void changed_ec(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"P-256", "P-384"},
        {"P-256", "secp256k1"},
        {"P-256", "prime256v1"},
        {"P-256", ""},
        {"\"crv\"", "\"Crv\""},
        {"\"x\":", "\"X\":"},
        {"\"y\":", "\"Y\":"},
        {"\"d\":", "\"D\":"},
        {"\"x\":\"", "\"x\":\"AAAA"},
        {"\"d\":\"", "\"d\":\"AAAA"},
        {"\"d\":\"", "\"d\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"z\":\""},
        {"\"d\":\"", "\"d\":\"_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE\",\"z\":\""},
    };
    char *jwk = private_jwk(p256);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *wrong = replaced(jwk, cases[i].from, cases[i].to);
        refuse(wrong, cases[i].to);
        free(wrong);
    }
    free(jwk);
}

/* The base point, whose private number is 1; the order and one more would give it, too. */
static void number_out_of_range(void **state)
{
#define BASE_POINT                                                                                 \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","     \
    "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\",\"d\":\""
    static const char one[] = BASE_POINT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}";
    static const char more[] = BASE_POINT "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVI\"}";
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    (void)state;
    assert_ok(key_from_jwk(span_text(one), &k, &e), &e);
    assert_int_equal(strlen(one), strlen(more));
    refuse(more, "the order and one");
}

static void small_rsa(void **state)
{
    EVP_PKEY *small = rsa_key(1024);
    char *jwk = private_jwk(small);
    (void)state;
    refuse(jwk, "RSA-1024");
    free(jwk);
    EVP_PKEY_free(small);
}

static void octets(void **state)
{
    static const size_t sizes[] = {0, 1, 8, 15, 16, 17, 20, 24, 31, 32, 33, 40, 64};
    static const uint8_t bytes[64] = {1, 2, 3};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *text = b64u(bytes, sizes[i]), jwk[256];
        const bool good = sizes[i] == 16 || sizes[i] == 24 || sizes[i] == 32;
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        (void)snprintf(jwk, sizeof jwk, "{\"kty\":\"oct\",\"k\":\"%s\",\"key_ops\":[]}", text);
        if (good) {
            assert_ok(key_from_jwk(span_text(jwk), &k, &e), &e);
            assert_true(span_equal(secret_view(&k.octets), span_of(bytes, sizes[i])));
        } else {
            refuse(jwk, text);
        }
        free(text);
    }
    refuse("", "nothing");
    refuse("{}", "no kty");
    refuse("null", "null");
    refuse("{\"kty\":\"oct\"}", "no k");
}

static void long_kid(void **state)
{
    char jwk[1024];
    (void)state;
    (void)snprintf(jwk, sizeof jwk,
                   "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"kid\":\"%0512d\"}", 0);
    refuse(jwk, "kid of 512");
}

/* ---- Files ---- */

static void write_text(char *path, size_t size, const char *text)
{
    int fd;

    (void)snprintf(path, size, "/tmp/decant-file-XXXXXX");
    fd = mkstemp(path);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static char *pem_text(EVP_PKEY *key, bool traditional, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text;

    must(traditional ? PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL)
                     : PEM_write_bio_PKCS8PrivateKey(
                           bio, key, password == NULL ? NULL : EVP_aes_128_cbc(), password,
                           password == NULL ? 0 : (int)strlen(password), NULL, NULL));
    const long size = BIO_get_mem_data(bio, &data);
    text = strndup(data, (size_t)size);
    (void)BIO_free(bio);
    return text;
}

static enum status read_text(const char *text, struct kek *out, struct error *e)
{
    char path[64];

    write_text(path, sizeof path, text);
    const enum status status = key_from_file(path, KID, out, e);
    if (status != OK) /* the sentence names the file */
        assert_non_null(strstr(e->text, path));
    (void)unlink(path);
    return status;
}

static void good_files(void **state)
{
    EVP_PKEY *const keys[] = {rsa, p256, p521};
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        char *texts[] = {pem_text(keys[i], false, NULL), pem_text(keys[i], true, NULL),
                         private_jwk(keys[i]), NULL};

        texts[3] = replaced(texts[2], "{", "\n \t{\n");
        for (size_t j = 0; j < COUNT(texts); j++) {
            AUTO(kek_free) struct kek k = {0};
            struct error e = {0};

            assert_ok(read_text(texts[j], &k, &e), &e);
            assert_string_equal(k.kid, KID);
            assert_int_equal(EVP_PKEY_eq(k.pair, keys[i]), 1);
            free(texts[j]);
        }
    }
}

static void bad_files(void **state)
{
    EVP_PKEY *small = rsa_key(1024), *odd = ec_key("secp256k1"),
             *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    char *texts[] = {strdup(""),
                     strdup("hello"),
                     strdup("{}"),
                     strdup("{\"kty\":\"RSA\"}"),
                     strdup("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                     pem_text(rsa, false, "secret"),
                     pem_text(small, false, NULL),
                     pem_text(odd, false, NULL),
                     pem_text(ed, false, NULL)};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO(kek_free) struct kek k = {0};
        struct error e = {0};

        if (read_text(texts[i], &k, &e) != E_USAGE || e.status != E_USAGE || k.pair != NULL)
            fail_msg("file %zu: %d %s", i, e.status, e.text);
        assert_string_not_equal(e.remedy, "");
        free(texts[i]);
    }
    EVP_PKEY_free(small);
    EVP_PKEY_free(odd);
    EVP_PKEY_free(ed);
}

static void no_file(void **state)
{
    AUTO(kek_free) struct kek k = {0};
    struct error e = {0};
    char *large = malloc(70000);
    (void)state;
    assert_fails(key_from_file("/nonexistent/key.pem", KID, &k, &e), E_USAGE, "/nonexistent", &e);
    assert_fails(key_from_file("/tmp", KID, &k, &e), E_USAGE, "/tmp", &e);
    must(large != NULL);
    memset(large, ' ', 69999);
    large[69999] = 0;
    assert_fails(read_text(large, &k, &e), E_USAGE, "", &e);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(written),
        cmocka_unit_test(written_oct),
        cmocka_unit_test(without_primes),
        cmocka_unit_test(spoiled_numbers),
        cmocka_unit_test(changed_rsa),
        cmocka_unit_test(changed_ec),
        cmocka_unit_test(small_rsa),
        cmocka_unit_test(number_out_of_range),
        cmocka_unit_test(octets),
        cmocka_unit_test(long_kid),
        cmocka_unit_test(good_files),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(no_file),
    };
    return cmocka_run_group_tests_name("JWK and key files", tests, set_up, tear_down);
}

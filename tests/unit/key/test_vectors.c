/*
 * Published vectors against the room's insides: RFC 5649, PKCS #11 RSA-AES key wrap, Wycheproof's
 * AES-KWP, RSA-OAEP and JWS, and a genuine release recorded in 2022.
 */
#include <cjson/cJSON.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "key/internal.h"
#include "testing.h"

#define FILE_MAX ((size_t)4 << 20)

/* The file of the fixtures as JSON; skips the test if it is not there. */
static struct cJSON *fixture(const char *name)
{
    struct buf text = BUF(FILE_MAX);
    struct error e = {0};
    struct cJSON *tree;
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", TEST_FIXTURES, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: no fixture %s\n", name);
        skip();
    }
    assert_ok(file_read(path, FILE_MAX, &text, E_USAGE, &e), &e);
    tree = cJSON_Parse(buf_text(&text));
    assert_non_null(tree);
    buf_free(&text);
    return tree;
}

static struct buf from_hex(const char *text)
{
    struct buf out = BUF(FILE_MAX);
    struct error e = {0};

    assert_non_null(text);
    assert_ok(hex_decode(span_text(text), &out, E_USAGE, &e), &e);
    return out;
}

static EVP_PKEY *from_pem(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    assert_non_null(key);
    (void)BIO_free(bio);
    return key;
}

/* PLAIN NULL: must be refused. */
static void check_kwp(const char *what, const char *kek_hex, const char *wrapped_hex,
                      const char *plain_hex)
{
    AUTO(buf_free) struct buf kek = from_hex(kek_hex);
    AUTO(buf_free) struct buf wrapped = from_hex(wrapped_hex);
    AUTO(secret_free) struct secret out = {0};
    struct error e = {0};
    const enum status status = key_kwp_open(buf_span(&kek), buf_span(&wrapped), &out, &e);

    if (plain_hex == NULL) {
        if (status != E_BAD_KEY || out.pages != NULL)
            fail_msg("%s: not refused (%d)", what, status);
        return;
    }
    AUTO(buf_free) struct buf plain = from_hex(plain_hex);
    if (status != OK || !span_equal(buf_span(&plain), secret_view(&out)))
        fail_msg("%s: %d %s", what, status, e.text);
}

static void rfc5649(void **state)
{
    static const struct {
        const char *kek, *wrapped, *plain;
    } cases[] = {
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
         "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
         "c37b7e6492584340bed12207808941155068f738"},
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "afbeb0f07dfbf5419200f2ccb50bb24f",
         "466f7250617369"},
        {"5840df6e29b02af1ab493b70ddf16ea1ae8338f4dcc176a8",
         "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", NULL},
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
         "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6b", NULL},
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "afbeb0f07dfbf5419200f2ccb50bb2",
         NULL},
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "afbeb0f07dfbf541", NULL},
        {"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "", NULL},
        {"5840df6e29b02af1ab493b705bf16ea1", "afbeb0f07dfbf5419200f2ccb50bb24f", NULL},
        {"5840df6e29b02af1ab493b705bf1", "afbeb0f07dfbf5419200f2ccb50bb24f", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_kwp("RFC 5649", cases[i].kek, cases[i].wrapped, cases[i].plain);
}

static void wycheproof_kwp(void **state)
{
    struct cJSON *tree = fixture("wycheproof/aes_kwp_test.json");
    const struct cJSON *group, *t;
    size_t n = 0;
    (void)state;
    cJSON_ArrayForEach(group, json_array(tree, "testGroups"))
    {
        cJSON_ArrayForEach(t, json_array(group, "tests"))
        {
            /* "acceptable": short keys that RFC 5649 allows */
            const bool bad = strcmp(json_text(t, "result"), "invalid") == 0;
            check_kwp(json_text(t, "comment"), json_text(t, "key"), json_text(t, "ct"),
                      bad ? NULL : json_text(t, "msg"));
            n++;
        }
    }
    assert_true(n > 100);
    json_free(&tree);
}

static const EVP_MD *hash_of(const char *name)
{
    return strcmp(name, "SHA-1") == 0     ? EVP_sha1()
           : strcmp(name, "SHA-256") == 0 ? EVP_sha256()
           : strcmp(name, "SHA-384") == 0 ? EVP_sha384()
                                          : NULL;
}

static bool check_oaep(EVP_PKEY *key, const EVP_MD *hash, const struct cJSON *t)
{
    AUTO(buf_free) struct buf ciphertext = from_hex(json_text(t, "ct"));
    AUTO(buf_free) struct buf plain = from_hex(json_text(t, "msg"));
    AUTO(secret_free) struct secret out = {0};
    struct error e = {0};
    const char *label = json_text(t, "label");
    const bool good = strcmp(json_text(t, "result"), "invalid") != 0;
    /* A label is never used here, so a ciphertext made with one must not open. */
    const bool opens = good && label[0] == 0;
    const enum status status = key_oaep_open(key, hash, buf_span(&ciphertext), &out, &e);

    return opens ? status == OK && span_equal(buf_span(&plain), secret_view(&out))
                 : status == E_BAD_KEY && out.pages == NULL;
}

static size_t oaep_file(const char *name)
{
    struct cJSON *tree = fixture(name);
    const struct cJSON *group, *t;
    size_t n = 0;

    cJSON_ArrayForEach(group, json_array(tree, "testGroups"))
    {
        const EVP_MD *hash = hash_of(json_text(group, "sha"));

        if (hash == NULL || strcmp(json_text(group, "sha"), json_text(group, "mgfSha")) != 0)
            continue;
        EVP_PKEY *key = from_pem(json_text(group, "privateKeyPem"));
        cJSON_ArrayForEach(t, json_array(group, "tests"))
        {
            if (!check_oaep(key, hash, t))
                fail_msg("%s: case %d (%s)", name, json_member(t, "tcId")->valueint,
                         json_text(t, "comment"));
            n++;
        }
        EVP_PKEY_free(key);
    }
    json_free(&tree);
    return n;
}

static void wycheproof_oaep(void **state)
{
    (void)state;
    assert_true(oaep_file("wycheproof/rsa_oaep_2048_sha1_mgf1sha1_test.json") > 25);
    assert_true(oaep_file("wycheproof/rsa_oaep_2048_sha256_mgf1sha256_test.json") > 25);
    assert_true(oaep_file("wycheproof/rsa_oaep_2048_sha384_mgf1sha384_test.json") > 25);
    assert_true(oaep_file("wycheproof/rsa_oaep_misc_test.json") > 25);
}

/* Parses and verifies like a release, but with the key at hand instead of a chain. */
static enum status jws_open(const char *text, EVP_PKEY *key, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};

    TRY(key_jws_parse(span_text(text), &jws, e));
    return key_signature_verify(json_text(jws.header, "alg"), key, jws.signed_text,
                                buf_span(&jws.signature), e);
}

/* A JWK can say for which algorithm its key is; a certificate cannot, so such cases say nothing. */
static bool other_algorithm(const char *text, const char *alg)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    struct error e = {0};

    return key_jws_parse(span_text(text), &jws, &e) == OK && json_text(jws.header, "alg") != NULL &&
           json_text(jws.header, "alg")[0] != 'H' && strcmp(json_text(jws.header, "alg"), alg) != 0;
}

static size_t jws_group(const struct cJSON *group)
{
    const struct cJSON *public_jwk = json_object(group, "public"), *t;
    const char *alg = json_text(public_jwk, "alg");
    EVP_PKEY *key = NULL;
    struct error e = {0};
    size_t n = 0;

    if (alg == NULL || strcmp(json_text(public_jwk, "kty"), "RSA") != 0)
        return 0;
    assert_ok(key_jwk_public(public_jwk, KEY_RSA, &key, &e), &e);
    cJSON_ArrayForEach(t, json_array(group, "tests"))
    {
        if (other_algorithm(json_text(t, "jws"), alg))
            continue;
        const bool good = strcmp(json_text(t, "result"), "valid") == 0;
        const enum status status = jws_open(json_text(t, "jws"), key, &e);

        if (strcmp(json_text(t, "comment"), "emptyPayload") == 0)
            assert_int_equal(status, E_BAD_KEY); /* a release is never empty */
        else if (status != (good ? OK : E_BAD_KEY))
            fail_msg("JWS case %d (%s): %d %s", json_member(t, "tcId")->valueint,
                     json_text(t, "comment"), status, e.text);
        n++;
    }
    EVP_PKEY_free(key);
    return n;
}

static void wycheproof_jws(void **state)
{
    struct cJSON *tree = fixture("wycheproof/json_web_signature_test.json");
    const struct cJSON *group;
    size_t n = 0;
    (void)state;
    cJSON_ArrayForEach(group, json_array(tree, "testGroups")) n += jws_group(group);
    assert_true(n > 250);
    json_free(&tree);
}

static void rsa_aes_unwrap(void **state)
{
    struct cJSON *tree = fixture("kat.json");
    const struct cJSON *t = json_object(tree, "rsa_aes_unwrap");
    EVP_PKEY *key = from_pem(json_text(t, "pem")), *other = EVP_RSA_gen(2048);
    AUTO(buf_free) struct buf ciphertext = BUF(FILE_MAX);
    AUTO(buf_free) struct buf plain = from_hex(json_text(t, "plain"));
    AUTO(buf_free) struct buf kek = from_hex(json_text(t, "kek"));
    AUTO(secret_free) struct secret out = {0};
    const struct key_wrapping *wrapping = key_wrapping_find(json_text(t, "alg"));
    struct error e = {0};
    (void)state;
    assert_ok(base64_decode(span_text(json_text(t, "ciphertext_b64url")), BASE64URL, &ciphertext,
                            E_USAGE, &e),
              &e);
    const struct span all = buf_span(&ciphertext);
    assert_non_null(wrapping);
    assert_ok(key_unwrap(key, wrapping, all, &out, &e), &e);
    assert_true(span_equal(secret_view(&out), buf_span(&plain)));
    secret_free(&out);
    assert_ok(key_oaep_open(key, EVP_sha1(), span_of(all.data, 256), &out, &e), &e);
    assert_true(span_equal(secret_view(&out), buf_span(&kek)));
    secret_free(&out);
    assert_fails(key_unwrap(key, key_wrapping_find("RSA_AES_KEY_WRAP_256"), all, &out, &e),
                 E_BAD_KEY, "unwrap failed", &e);
    assert_fails(key_unwrap(other, wrapping, all, &out, &e), E_BAD_KEY, "unwrap failed", &e);
    for (size_t size = 0; size < all.size; size += size < 250 ? 50 : 1)
        assert_fails(key_unwrap(key, wrapping, span_of(all.data, size), &out, &e), E_BAD_KEY,
                     "unwrap failed", &e);
    for (size_t i = 0; i < all.size; i += 3) {
        ciphertext.data[i] ^= 0x10;
        assert_fails(key_unwrap(key, wrapping, all, &out, &e), E_BAD_KEY, "unwrap failed", &e);
        ciphertext.data[i] ^= 0x10;
    }
    assert_null(key_wrapping_find("RSA_AES_KEY_WRAP_512"));
    assert_null(key_wrapping_find(NULL));
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    json_free(&tree);
}

/* ---- The genuine release of 6 May 2022 ---- */

#define THEN INT64_C(1651868800)
#define KID  "https://gearamakv1.vault.azure.net/keys/ReleaseKey2"

/* The root that the release itself carries, as a trust store: right for this test only. */
static void write_root(const char *jws, char *path, size_t size)
{
    AUTO(key_jws_free) struct key_jws parsed = {0};
    struct error e = {0};
    const struct cJSON *x5c;
    FILE *file;
    int fd;

    assert_ok(key_jws_parse(span_text(jws), &parsed, &e), &e);
    x5c = json_array(parsed.header, "x5c");
    (void)snprintf(path, size, "/tmp/decant-root-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(x5c, cJSON_GetArraySize(x5c) - 1));
    (void)fputs("-----BEGIN CERTIFICATE-----\n", file);
    for (size_t i = 0; i < strlen(text); i += 64)
        (void)fprintf(file, "%.64s\n", text + i);
    (void)fputs("-----END CERTIFICATE-----\n", file);
    assert_int_equal(fclose(file), 0);
}

static enum status open_genuine(const char *jws, const char *kid, int64_t now, const char *ca_file,
                                const struct key_offer *offer, struct error *e)
{
    const struct key_release_request request = {.kid = kid, .offer = offer, .ca_file = ca_file};
    AUTO(kek_free) struct kek k = {0};

    return key_open_release(span_text(jws), &request, NULL, now, &k, e);
}

static void genuine_release(void **state)
{
    struct cJSON *tree = fixture("akv-release/c3c28aad.release-response.json");
    char *jws = strdup(json_text(tree, "value"));
    AUTO(key_offer_free) struct key_offer offer = {0};
    struct error e = {0};
    char ca_file[64];
    (void)state;
    assert_non_null(jws);
    assert_ok(key_offer_new(&offer, &e), &e);
    write_root(jws, ca_file, sizeof ca_file);
    /* Everything holds but the wrapped key, which was for somebody else. */
    assert_fails(open_genuine(jws, KID, THEN, ca_file, &offer, &e), E_BAD_KEY, "unwrap failed", &e);
    assert_fails(
        open_genuine(jws, KID "/c3c28aadd7d54867beb596461e6640bd", THEN, ca_file, &offer, &e),
        E_BAD_KEY, "unwrap failed", &e);
    assert_fails(
        open_genuine(jws, KID "/c3c28aadd7d54867beb596461e6640be", THEN, ca_file, &offer, &e),
        E_BAD_KEY, "kid", &e);
    assert_fails(open_genuine(jws, "https://gearamakv2.vault.azure.net/keys/ReleaseKey2", THEN,
                              ca_file, &offer, &e),
                 E_BAD_KEY, "kid", &e);
    assert_fails(open_genuine(jws, "https://gearamakv1.vault.example.net/keys/ReleaseKey2", THEN,
                              ca_file, &offer, &e),
                 E_BAD_KEY, "ostname", &e);
    assert_fails(open_genuine(jws, KID, clock_unix_s(), ca_file, &offer, &e), E_BAD_KEY, "expired",
                 &e);
    const size_t size = strlen(jws);
    for (size_t i = 0; i < size; i += 19) {
        jws[i] = (char)(jws[i] ^ (1 << i % 7));
        if (jws[i] != 0 && (open_genuine(jws, KID, THEN, ca_file, &offer, &e) != E_BAD_KEY ||
                            strstr(e.text, "unwrap failed") != NULL))
            fail_msg("byte %zu flipped: %s", i, e.text);
        jws[i] = (char)(jws[i] ^ (1 << i % 7));
    }
    (void)unlink(ca_file);
    free(jws);
    json_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5649),         cmocka_unit_test(wycheproof_kwp),
        cmocka_unit_test(wycheproof_oaep), cmocka_unit_test(wycheproof_jws),
        cmocka_unit_test(rsa_aes_unwrap),  cmocka_unit_test(genuine_release),
    };
    return cmocka_run_group_tests_name("key vectors", tests, NULL, NULL);
}

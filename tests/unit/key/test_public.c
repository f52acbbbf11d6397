/* A recipient's public key: from a vault, a file, a text; and what is none. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include "peer.h"

#include "key/key.h"

static EVP_PKEY *pair, *curve, *small;

static int set_up(void **)
{
    pair = EVP_RSA_gen(2048);
    small = EVP_RSA_gen(1024);
    curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return pair != NULL && small != NULL && curve != NULL ? 0 : -1;
}

static int tear_down(void **)
{
    EVP_PKEY_free(pair);
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
    return 0;
}

/* "kty":…,"n":…,"e":… of an RSA key. */
static void add_members(EVP_PKEY *key, struct buf *out)
{
    struct error e = {0};
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    assert_ok(buf_addf(out, &e, "\"kty\":\"RSA-HSM\""), &e);
    for (size_t i = 0; i < 2; i++) {
        BIGNUM *number = NULL;
        uint8_t bytes[256];
        assert_int_equal(EVP_PKEY_get_bn_param(key, names[i], &number), 1);
        int n = BN_bn2bin(number, bytes);
        assert_ok(buf_addf(out, &e, ",\"%s\":\"", i == 0 ? "n" : "e"), &e);
        assert_ok(base64_encode(span_of(bytes, (size_t)n), BASE64URL, out, &e), &e);
        assert_ok(buf_addf(out, &e, "\""), &e);
        BN_free(number);
    }
}

static void add_pem(EVP_PKEY *key, struct buf *out)
{
    struct error e = {0};
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long n = BIO_get_mem_data(bio, &text);
    assert_ok(buf_add(out, span_of(text, (size_t)n), &e), &e);
    BIO_free(bio);
}

/* ---- The vault ---- */

struct script {
    int status;
    const char *headers;
    struct buf body;
    char path[128], authorization[64], method[8];
};

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *s = context;
    (void)snprintf(s->path, sizeof s->path, "%s", q->path);
    (void)snprintf(s->method, sizeof s->method, "%s", q->method);
    peer_header(q, "Authorization", s->authorization, sizeof s->authorization);
    peer_reply(a, s->status, s->headers, buf_text(&s->body));
}

/* Asks for URL/keys/out; the answer names HOST (NULL: the peer) + PATH as its kid, and has MORE. */
static enum status ask(struct script *s, EVP_PKEY *key, const char *host, const char *path,
                       const char *more, struct kek *out, struct error *e)
{
    struct peer peer;
    char kid[128];
    struct http *http = NULL;
    struct http_session *session = NULL;
    const struct http_options options = {.deadline_ms = DEADLINE_NEVER, .tries = 1};
    peer_start(&peer, answer, s);
    (void)snprintf(kid, sizeof kid, "%s/keys/out", peer_url(&peer));
    if (s->status == 200) {
        assert_ok(buf_addf(&s->body, e, "{\"key\":{\"kid\":\"%s%s\",",
                           host != NULL ? host : peer_url(&peer), path),
                  e);
        add_members(key, &s->body);
        assert_ok(buf_addf(&s->body, e, "}%s}", more), e);
    }
    assert_ok(http_new(&options, &http, e), e);
    assert_ok(http_session_take(http, &session, e), e);
    enum status status = key_public_from_vault(session, kid, SPAN_LITERAL("bearer"), out, e);
    http_session_give(&session);
    http_free(&http);
    peer_stop(&peer);
    return status;
}

static void the_vault_gives_the_newest_version(void **)
{
    struct error e = {0};
    AUTO(kek_free) struct kek k = {0};
    struct script s = {.status = 200, .body = BUF(8192)};
    assert_ok(ask(&s, pair, NULL, "/keys/out/v7", ",\"attributes\":{\"enabled\":true}", &k, &e), &e);
    assert_string_equal(s.method, "GET");
    assert_string_equal(s.path, "/keys/out?api-version=7.4");
    assert_string_equal(s.authorization, "Bearer bearer");
    assert_non_null(strstr(k.kid, "/keys/out/v7"));
    assert_int_equal(EVP_PKEY_eq(k.pair, pair), 1);
    buf_free(&s.body);
}

static void answers_that_are_no_recipient(void **)
{
    const struct {
        EVP_PKEY *key;
        const char *host, *path, *more;
        enum status status;
        const char *part;
    } cases[] = {
        {pair, "http://127.0.0.1:1", "/keys/out/v7", "", E_BAD_KEY, "for another key"},
        {pair, NULL, "/keys/other/v7", "", E_BAD_KEY, "for another key"},
        {pair, NULL, "/keys/out", "", E_BAD_KEY, "for another key"},
        {pair, NULL, "/keys/", "", E_BAD_KEY, "no key id"},
        {pair, NULL, "/keys/out/v7", ",\"attributes\":{\"enabled\":false}", E_NOT_RELEASED,
         "disabled"},
        {small, NULL, "/keys/out/v7", "", E_BAD_KEY, "JWK: n of 128 bytes"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct kek k = {0};
        struct script s = {.status = 200, .body = BUF(8192)};
        assert_fails(
            ask(&s, cases[i].key, cases[i].host, cases[i].path, cases[i].more, &k, &e),
            cases[i].status, cases[i].part, &e);
        assert_null(k.pair);
        buf_free(&s.body);
    }
}

static void refusals_of_the_vault(void **)
{
    static const struct {
        int status;
        const char *body, *remedy;
    } cases[] = {
        {403, "{\"error\":{\"code\":\"Forbidden\",\"message\":\"x\"}}", "Key Vault Crypto User"},
        {404, "{\"error\":{\"code\":\"KeyNotFound\",\"message\":\"x\"}}", "check name and version"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct kek k = {0};
        struct script s = {.status = cases[i].status, .body = BUF(8192)};
        assert_ok(buf_addf(&s.body, &e, "%s", cases[i].body), &e);
        assert_fails(ask(&s, pair, NULL, "", "", &k, &e), E_NOT_RELEASED, "/keys/out", &e);
        assert_non_null(strstr(e.remedy, cases[i].remedy));
        buf_free(&s.body);
    }
}

/* ---- Texts and files ---- */

static void texts(void **)
{
    struct error e = {0};
    AUTO(kek_free) struct kek a = {0}, b = {0};
    AUTO(buf_free) struct buf pem = BUF(8192), jwk = BUF(8192);
    add_pem(pair, &pem);
    assert_ok(key_public_from_text(buf_span(&pem), "results", &a, &e), &e);
    assert_string_equal(a.kid, "results");
    assert_int_equal(EVP_PKEY_eq(a.pair, pair), 1);
    assert_ok(buf_addf(&jwk, &e, " \n{"), &e);
    add_members(pair, &jwk);
    assert_ok(buf_addf(&jwk, &e, "}"), &e);
    assert_ok(key_public_from_text(buf_span(&jwk), "results", &b, &e), &e);
    assert_int_equal(EVP_PKEY_eq(b.pair, pair), 1);
}

static void refuse(struct span text, const char *part)
{
    struct error e = {0};
    struct kek k = {0};
    assert_fails(key_public_from_text(text, "results", &k, &e), E_USAGE, part, &e);
    assert_non_null(strstr(e.remedy, "RSA public key"));
    assert_null(k.pair);
}

static void texts_that_are_no_recipient(void **)
{
    AUTO(buf_free) struct buf pem = BUF(8192), jwk = BUF(8192);
    struct error e = {0};
    add_pem(curve, &pem);
    refuse(buf_span(&pem), "not an RSA key");
    assert_ok(buf_addf(&jwk, &e, "{"), &e);
    add_members(small, &jwk);
    assert_ok(buf_addf(&jwk, &e, "}"), &e);
    refuse(buf_span(&jwk), "n of 128 bytes");
    refuse(SPAN_LITERAL(""), "neither JWK nor");
    refuse(SPAN_LITERAL("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
           "neither JWK nor");
    refuse(SPAN_LITERAL("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAA\"}"), "kty is not RSA");
    refuse(SPAN_LITERAL("{\"kty\":\"RSA\"}"), "no n");
    refuse(SPAN_LITERAL("{\"kty\":\"RSA\""), "");
}

static void files(void **)
{
    struct error e = {0};
    char path[] = "/tmp/decant-key-XXXXXX";
    AUTO(kek_free) struct kek k = {0};
    AUTO(buf_free) struct buf pem = BUF(8192);
    int fd = mkstemp(path);
    add_pem(pair, &pem);
    assert_int_equal(write(fd, pem.data, pem.size), pem.size);
    assert_ok(key_public_from_file(path, "results", &k, &e), &e);
    assert_int_equal(ftruncate(fd, 40), 0);
    kek_free(&k);
    assert_fails(key_public_from_file(path, "results", &k, &e), E_USAGE, path, &e);
    close(fd);
    unlink(path);
    assert_fails(key_public_from_file(path, "results", &k, &e), E_USAGE, path, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vault_gives_the_newest_version),
        cmocka_unit_test(answers_that_are_no_recipient),
        cmocka_unit_test(refusals_of_the_vault),
        cmocka_unit_test(texts),
        cmocka_unit_test(texts_that_are_no_recipient),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* A token is compared with what was sent: one change at a time must be noticed. */
#include "attestation/attestation.h"
#include "attestation/tokens.h"

static uint8_t report[1184];

static struct attestation_request good_request(void)
{
    good_report(report);
    return (struct attestation_request){
        .provider = "https://Example.neu.attest.azure.net/",
        .report = span_of(report, sizeof report),
        .certificates = SPAN_LITERAL("x"),
        .runtime_data = SPAN_LITERAL(TOKEN_RUNTIME),
    };
}

#define NONCE "0123456789abcdef"

static enum status check(const char *header, const struct claim *change, size_t n, struct error *e)
{
    AUTO(buf_free) struct buf token = BUF(1 << 17);
    const struct attestation_request request = good_request();
    token_make(&token, header, change, n);
    return attestation_check(buf_span(&token), &request, NONCE, TOKEN_NOW, e);
}

static void good(void **state)
{
    (void)state;
    static const struct claim harmless[] = {
        {"iss", "\"https://example.neu.attest.azure.net\""},
        {"iss", "\"https://example.neu.attest.azure.net:443/\""},
        {"nbf", NULL},
        {"nbf", "1700000299"}, /* our clock is somewhat slow */
        {"exp", "1699999701"}, /* or fast */
        {"x-ms-sevsnpvm-reportdata", NULL},
        {"x-ms-sevsnpvm-is-debuggable", "false"},
    };
    struct error e = {0};
    assert_ok(check(GOOD_HEADER, NULL, 0, &e), &e);
    for (size_t i = 0; i < COUNT(harmless); i++)
        assert_ok(check(GOOD_HEADER, &harmless[i], 1, &e), &e);
}

static void claims(void **state)
{
    (void)state;
    static const struct {
        struct claim change;
        const char *part;
    } cases[] = {
        {{"nonce", "\"0123456789abcdee\""}, "nonce"},
        {{"nonce", "123"}, "nonce"},
        {{"nonce", NULL}, "nonce"},
        {{"exp", "1699999699"}, "expired"},
        {{"exp", NULL}, "expires"},
        {{"exp", "\"1700028800\""}, "expires"},
        {{"exp", "-1"}, "expires"},
        {{"nbf", "1700000301"}, "not valid before"},
        {{"nbf", "\"x\""}, "nbf"},
        {{"iss", NULL}, "issued by"},
        {{"iss", "\"https://evil.neu.attest.azure.net\""}, "issued by"},
        {{"iss", "\"http://example.neu.attest.azure.net\""}, "issued by"},
        {{"iss", "\"https://example.neu.attest.azure.net:444\""}, "issued by"},
        {{"iss", "\"https://example.neu.attest.azure.net.evil.com\""}, "issued by"},
        {{"iss", "\"example.neu.attest.azure.net\""}, "issued by"},
        {{"x-ms-attestation-type", "\"sgx\""}, "x-ms-attestation-type"},
        {{"x-ms-attestation-type", NULL}, "x-ms-attestation-type"},
        {{"x-ms-runtime", NULL}, "x-ms-runtime"},
        {{"x-ms-runtime", "{}"}, "x-ms-runtime"},
        {{"x-ms-runtime", "{\"keys\":[]}"}, "x-ms-runtime"},
        {{"x-ms-runtime", "{\"keys\":[" TOKEN_KEY("v965-_") "," TOKEN_KEY("v965-_") "]}"},
         "x-ms-runtime"},
        {{"x-ms-runtime", "{\"keys\":[" TOKEN_KEY("v965-A") "]}"}, "\"n\""},
        {{"x-ms-runtime",
          "{\"keys\":[{\"e\":\"Aw\",\"kid\":\"thumb\",\"kty\":\"RSA\",\"n\":\"v965-_\"}]}"},
         "\"e\""},
        {{"x-ms-runtime",
          "{\"keys\":[{\"e\":\"AQAB\",\"kid\":\"x\",\"kty\":\"RSA\",\"n\":\"v965-_\"}]}"},
         "\"kid\""},
        {{"x-ms-runtime", "{\"keys\":[7]}"}, "another key"},
        {{"x-ms-sevsnpvm-reportdata", "\"00\""}, "reportdata"},
        {{"x-ms-sevsnpvm-reportdata",
          "\"00" ZEROS_16 ZEROS_16 ZEROS_16 "000000000000000000000000000002\""},
         "reportdata"},
        {{"x-ms-sevsnpvm-reportdata", "null"}, "reportdata"},
        {{"x-ms-sevsnpvm-hostdata", "\"c2" ZEROS_16 "000000000000000000000000000000\""},
         "hostdata"},
        {{"x-ms-sevsnpvm-launchmeasurement", "\"\""}, "launchmeasurement"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        assert_fails(check(GOOD_HEADER, &cases[i].change, 1, &e), E_NOT_ATTESTED, cases[i].part,
                     &e);
    }
}

static void clock_is_named(void **state)
{
    (void)state;
    const struct claim late = {"nbf", "1700009999"};
    struct error e = {0};
    assert_fails(check(GOOD_HEADER, &late, 1, &e), E_NOT_ATTESTED, "2023-11-14T22:13:20Z", &e);
    assert_non_null(strstr(e.remedy, "clock"));
}

static void headers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"rs256\"}",
        "{\"alg\":\"ES256\"}",
        "{}",
        "[]",
        "{\"alg\":[\"RS256\"]}",
        "{\"alg\":\"RS256\"",
        "{\"alg\":\"RS256\",\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\",\"crit\":[\"b64\"]}",
        "",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error e = {0};
        assert_fails(check(bad[i], NULL, 0, &e), E_NOT_ATTESTED, "", &e);
    }
}

/* Forms that are no compact JWS. %s stands for the good token. */
static void forms(void **state)
{
    (void)state;
    static const char *const forms[] = {"",     "%s.",  "%s.x", ".%s", "a.b",      "a.b.c.d", "..",
                                        "%s=x", "%s\n", " %s",  "x",   "%s.x.y.z", "%s~"};
    AUTO(buf_free) struct buf token = BUF(1 << 17);
    token_make(&token, GOOD_HEADER, NULL, 0);
    const struct attestation_request request = good_request();
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf text = BUF(1 << 18);
        const char *at = strstr(forms[i], "%s");
        int before = at ? (int)(at - forms[i]) : (int)strlen(forms[i]);
        assert_ok(buf_addf(&text, &e, "%.*s%s%s", before, forms[i], at ? buf_text(&token) : "",
                           at ? at + 2 : ""),
                  &e);
        assert_fails(attestation_check(buf_span(&text), &request, NONCE, TOKEN_NOW, &e),
                     E_NOT_ATTESTED, "", &e);
    }
}

/* Cut anywhere, it is refused, and nothing is read behind its end. */
static void cuts(void **state)
{
    (void)state;
    AUTO(buf_free) struct buf token = BUF(1 << 17);
    token_make(&token, GOOD_HEADER, NULL, 0);
    const struct attestation_request request = good_request();
    size_t signature = token.size - strlen("c2lnbmF0dXJl");
    for (size_t n = 0; n <= signature; n++) {
        struct error e = {0};
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, token.data, n);
        enum status status = attestation_check(span_of(exact, n), &request, NONCE, TOKEN_NOW, &e);
        free(exact);
        assert_int_equal(status, E_NOT_ATTESTED);
    }
}

/* Runtime data that are no key set must come back as a whole. */
static void other_runtime(void **state)
{
    (void)state;
    const struct claim same = {"x-ms-runtime", "{\"b\":2,\"a\":1}"};
    const struct claim other = {"x-ms-runtime", "{\"a\":1,\"b\":3}"};
    struct attestation_request request = good_request();
    request.runtime_data = SPAN_LITERAL("{\"a\":1, \"b\":2}");
    for (int i = 0; i < 2; i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf token = BUF(1 << 17);
        token_make(&token, GOOD_HEADER, i ? &other : &same, 1);
        assert_int_equal(attestation_check(buf_span(&token), &request, NONCE, TOKEN_NOW, &e),
                         i ? E_NOT_ATTESTED : OK);
    }
}

/* A genuine token of a confidential container group: it lacks our nonce, so just that is missed. */
static void genuine(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf token = BUF(0);
    if (file_read(TEST_FIXTURES "/maa/sev-snp-caci-sharedweu-test.jwt", 65536, &token, E_BUG, &e) !=
        OK) {
        print_message("skipped: %s\n", e.text);
        skip();
    }
    const struct attestation_request request = good_request();
    assert_fails(attestation_check(span_trim(buf_span(&token)), &request, NONCE, 1744090000, &e),
                 E_NOT_ATTESTED, "no claim nonce", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),           cmocka_unit_test(claims),
        cmocka_unit_test(clock_is_named), cmocka_unit_test(headers),
        cmocka_unit_test(forms),          cmocka_unit_test(cuts),
        cmocka_unit_test(other_runtime),  cmocka_unit_test(genuine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Release policies held against claims: which claim differs, and what hostile input gives. */
#include "policy/policy.h"

#include "testing.h"

#define ISS "https://sharedneu.neu.attest.azure.net"
#define CLAIMS                                                                                     \
    "{\"iss\":\"" ISS "\",\"type\":\"sevsnpvm\",\"debug\":false,\"vmpl\":0,\"list\":[1],"          \
    "\"x-ms-isolation-tee\":{\"x-ms-compliance-status\":\"azure-compliant-cvm\"},"                 \
    "\"text\":\"x\",\"nothing\":null}"
#define ENVIRONMENT(authority, conditions)                                                         \
    "{\"authority\":\"" authority "\",\"allOf\":[" conditions "]}"
#define POLICY(environments) "{\"version\":\"1.0.0\",\"anyOf\":[" environments "]}"
#define IS(claim, value)     "{\"claim\":\"" claim "\",\"equals\":" value "}"
#define ANY(conditions)      "{\"anyOf\":[" conditions "]}"
#define ALL(conditions)      "{\"allOf\":[" conditions "]}"

#define HOLDS(conditions)                                                                          \
    {                                                                                              \
        POLICY(ENVIRONMENT(ISS, conditions)), NULL                                                 \
    }
#define DIFFERS(conditions, part)                                                                  \
    {                                                                                              \
        POLICY(ENVIRONMENT(ISS, conditions)), part                                                 \
    }

static void test_outcomes(void **state)
{
    static const struct {
        const char *policy, *part; /* NULL: holds */
    } cases[] = {
        HOLDS(IS("type", "\"sevsnpvm\"")),
        HOLDS(IS("debug", "\"false\"")), /* both ways to write it are in public use */
        HOLDS(IS("debug", "false")),
        HOLDS(IS("vmpl", "0")),
        HOLDS(IS("vmpl", "\"0\"")),
        HOLDS(IS("x-ms-isolation-tee.x-ms-compliance-status", "\"azure-compliant-cvm\"")),
        HOLDS(ANY(IS("type", "\"sgx\"") "," IS("type", "\"sevsnpvm\""))),
        HOLDS(ANY(ALL(IS("type", "\"sgx\"")) "," ALL(IS("vmpl", "0") "," IS("text", "\"x\"")))),
        DIFFERS(IS("type", "\"sgx\""), "claim type is \"sevsnpvm\"; the policy wants \"sgx\""),
        DIFFERS(IS("type", "\"sevsnpv\""), "claim type is"),
        DIFFERS(IS("debug", "true"), "claim debug is \"false\"; the policy wants \"true\""),
        DIFFERS(IS("vmpl", "1"), "claim vmpl is \"0\"; the policy wants \"1\""),
        DIFFERS(IS("gone", "\"x\""), "no claim gone; the policy wants \"x\""),
        DIFFERS(IS("gone", "\"\""), "no claim gone"),
        DIFFERS(IS("nothing", "\"\""), "no single value"),
        DIFFERS(IS("list", "\"1\""), "no single value"),
        DIFFERS(IS("list.0", "\"1\""), "no claim list.0"),
        DIFFERS(IS("text.x", "\"x\""), "no claim text.x"),
        DIFFERS(IS("x-ms-isolation-tee", "\"x\""), "no single value"),
        DIFFERS(IS("x-ms-isolation-tee.x-ms-compliance-status", "\"azure-compliant-uvm\""),
                "x-ms-isolation-tee.x-ms-compliance-status is \"azure-compliant-cvm\""),
        /* the first of several */
        DIFFERS(IS("vmpl", "0") "," IS("type", "\"sgx\"") "," IS("gone", "1"), "claim type is"),
        DIFFERS(ANY(IS("type", "\"sgx\"") "," IS("vmpl", "3")),
                "none of 2 alternatives holds, the first: the claim type"),
        DIFFERS(ALL(IS("vmpl", "0") "," ANY(IS("vmpl", "1"))), "none of 1 alternatives"),
        {POLICY(ENVIRONMENT(ISS "/", IS("vmpl", "0"))), NULL},
        {POLICY(ENVIRONMENT("https://SHAREDneu.neu.attest.azure.net:443", IS("vmpl", "0"))), NULL},
        {POLICY(ENVIRONMENT("https://other.attest.azure.net", IS("vmpl", "0"))),
         "was issued by \"" ISS "\"; the policy wants a token of https://other.attest.azure.net"},
        {POLICY(ENVIRONMENT("http://sharedneu.neu.attest.azure.net", IS("vmpl", "0"))), "issued by"},
        {POLICY(ENVIRONMENT(ISS ":8443", IS("vmpl", "0"))), "issued by"},
        {POLICY(ENVIRONMENT(ISS "/x", IS("vmpl", "0"))), "issued by"},
        {POLICY(ENVIRONMENT(ISS ".evil.net", IS("vmpl", "0"))), "issued by"},
        /* one of two environments of the issuer is enough, in either order */
        {POLICY(ENVIRONMENT(ISS, IS("vmpl", "1")) "," ENVIRONMENT(ISS, IS("vmpl", "0"))), NULL},
        {POLICY(ENVIRONMENT(ISS, IS("vmpl", "0")) "," ENVIRONMENT(ISS, IS("vmpl", "1"))), NULL},
        {POLICY(ENVIRONMENT(ISS, IS("vmpl", "7")) "," ENVIRONMENT(ISS, IS("vmpl", "8"))), "\"7\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(findings_free) struct findings each = {0};
        struct span policy = span_text(cases[i].policy);
        if (cases[i].part == NULL) {
            assert_ok(policy_evaluate(policy, SPAN_LITERAL(CLAIMS), &each, &e), &e);
            assert_ok(findings_verdict(&each, &e), &e);
        } else {
            assert_fails(policy_evaluate(policy, SPAN_LITERAL(CLAIMS), &each, &e), E_NOT_RELEASED,
                         cases[i].part, &e);
            assert_fails(findings_verdict(&each, &e), E_NOT_RELEASED, "", &e);
        }
        assert_int_equal(policy_evaluate(policy, SPAN_LITERAL(CLAIMS), NULL, &e),
                         cases[i].part == NULL ? OK : E_NOT_RELEASED);
    }
}

/* Every claim has its line, also behind the first that differs. */
static void test_each_claim(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings each = {0};
    AUTO(buf_free) struct buf out = BUF(4096);
    static const char policy[] =
        POLICY(ENVIRONMENT(ISS, IS("type", "\"sgx\"") "," ANY(IS("vmpl", "1") "," IS("vmpl", "0"))));
    assert_fails(policy_evaluate(span_text(policy), SPAN_LITERAL(CLAIMS), &each, &e),
                 E_NOT_RELEASED, "", &e);
    assert_ok(findings_text(&each, &out, &e), &e);
    assert_string_equal(buf_text(&out),
                        "ok    authority  " ISS "\n"
                        "FAIL  type       the claim type is \"sevsnpvm\"; the policy wants \"sgx\"\n"
                        "note  vmpl       the claim vmpl is \"0\"; the policy wants \"1\"\n"
                        "ok    vmpl       \"0\"\n");
}

/* A policy that the vault could not read is never said to hold. */
static void test_broken_policies(void **state)
{
    static const char *const broken[] = {
        "", "{", "[]", "{}", "{\"anyOf\":{}}", "{\"anyOf\":[]}", "{\"anyOf\":[1]}",
        "{\"anyOf\":[{}]}", "{\"anyOf\":[],\"anyOf\":[]}", "{\"allOf\":[" IS("vmpl", "0") "]}",
        "{\"anyOf\":[{\"authority\":\"" ISS "\"}]}",
        "{\"anyOf\":[{\"authority\":1,\"allOf\":[" IS("vmpl", "0") "]}]}",
        POLICY("{\"authority\":\"" ISS "\",\"allOf\":[" IS("vmpl", "0") "],\"anyOf\":["
               IS("vmpl", "0") "]}"),
        POLICY("{\"authority\":\"" ISS "\",\"noneOf\":[" IS("vmpl", "0") "]}"),
        POLICY(ENVIRONMENT(ISS, "")),
        POLICY(ENVIRONMENT(ISS, "{}")),
        POLICY(ENVIRONMENT(ISS, "7")),
        POLICY(ENVIRONMENT(ISS, ANY(""))),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"vmpl\"}")),
        POLICY(ENVIRONMENT(ISS, "{\"equals\":\"0\"}")),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"\",\"equals\":\"0\"}")),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"vmpl\",\"equals\":null}")),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"vmpl\",\"equals\":[0]}")),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"vmpl\",\"greater\":0}")),
        POLICY(ENVIRONMENT(ISS, "{\"claim\":\"vmpl\",\"equals\":0,\"greater\":0}")),
        POLICY(ENVIRONMENT(ISS, "{\"anyOf\":[" IS("vmpl", "0") "],\"claim\":\"vmpl\"}")),
        POLICY(ENVIRONMENT(ISS, "{\"anyOf\":7}")),
        /* broken behind a part that holds */
        POLICY(ENVIRONMENT(ISS, IS("vmpl", "0") ",{}")),
        POLICY(ENVIRONMENT(ISS, ANY(IS("vmpl", "0") ",{}"))),
        POLICY(ENVIRONMENT(ISS, IS("vmpl", "0")) ",7"),
        "{\"data\":\"*\"}", "{\"data\":\"e30\"}", "{\"data\":\"\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct error e = {0};
        AUTO(findings_free) struct findings each = {0};
        enum status status =
            policy_evaluate(span_text(broken[i]), SPAN_LITERAL(CLAIMS), &each, &e);
        if (status != E_NOT_RELEASED)
            fail_msg("%s: status %d", broken[i], status);
        assert_non_null(strstr(e.text, "release policy"));
    }
}

static void test_broken_tokens(void **state)
{
    static const char *const broken[] = {
        "", "x", "a.b", "a.b.c.d", "a.!.c", "a.e30.c" /* {} */, "..", "{", "{\"a\":1}",
        "{\"iss\":1}", "[]", "a.eyJpc3MiOjF9.c" /* {"iss":1} */,
    };
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct error e = {0};
        enum status status =
            policy_evaluate(SPAN_LITERAL(POLICY(ENVIRONMENT(ISS, IS("vmpl", "0")))),
                            span_text(broken[i]), NULL, &e);
        if (status != E_NOT_ATTESTED)
            fail_msg("%s: status %d", broken[i], status);
    }
}

/* As a vault hands it out, in both alphabets; and a token as a service does. */
static void test_wrapped(void **state)
{
    (void)state;
    static const char policy[] = POLICY(ENVIRONMENT(ISS, IS("vmpl", "0")));
    static const enum base64_kind kinds[] = {BASE64, BASE64URL, BASE64URL_PADDED};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf wrapped = BUF(4096), token = BUF(4096);
        assert_ok(buf_addf(&wrapped, &e, "{\"immutable\":false,\"data\":\""), &e);
        assert_ok(base64_encode(span_text(policy), kinds[i], &wrapped, &e), &e);
        assert_ok(buf_addf(&wrapped, &e, "\"}"), &e);
        assert_ok(buf_addf(&token, &e, "e30."), &e);
        assert_ok(base64_encode(SPAN_LITERAL(CLAIMS), BASE64URL, &token, &e), &e);
        assert_ok(buf_addf(&token, &e, ".c2ln\n"), &e);
        assert_ok(policy_evaluate(buf_span(&wrapped), buf_span(&token), NULL, &e), &e);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf big = BUF(POLICY_TEXT_MAX + 1);
    while (big.size <= POLICY_TEXT_MAX)
        assert_ok(buf_add(&big, SPAN_LITERAL(" "), &e), &e);
    assert_fails(policy_evaluate(buf_span(&big), SPAN_LITERAL(CLAIMS), NULL, &e), E_NOT_RELEASED,
                 "bytes", &e);
    big.data[0] = '{';
    big.data[big.size - 1] = '}';
    assert_fails(policy_evaluate(SPAN_LITERAL(POLICY(ENVIRONMENT(ISS, IS("vmpl", "0")))),
                                 buf_span(&big), NULL, &e),
                 E_NOT_ATTESTED, "bytes", &e);
}

/* What decant writes, decant and so the vault reads; the real token lacks nothing it asks for. */
static void test_real_token(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf token = BUF(0), policy = BUF(POLICY_TEXT_MAX);
    static const char *const service = "https://sharedweu.weu.test.attest.azure.net";
    struct policy_wish wish = {.attestation = &service, .n_attestation = 1, .debug_off = true};
    if (file_read(TEST_FIXTURES "/maa/sev-snp-caci-sharedweu-test.jwt", POLICY_TOKEN_MAX, &token,
                  E_USAGE, &e) != OK) {
        print_message("skipped: no fixtures: %s\n", e.text);
        skip();
    }
    assert_ok(policy_host_data_hex(
                  SPAN_LITERAL("73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20"),
                  wish.host_data, &e),
              &e);
    assert_ok(policy_write(&wish, &policy, &e), &e);
    assert_ok(policy_evaluate(buf_span(&policy), buf_span(&token), NULL, &e), &e);
    buf_clear(&policy);
    wish.compliance = POLICY_COMPLIANCE_ACI;
    assert_ok(policy_write(&wish, &policy, &e), &e);
    assert_fails(policy_evaluate(buf_span(&policy), buf_span(&token), NULL, &e), E_NOT_RELEASED,
                 "no claim x-ms-compliance-status", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),        cmocka_unit_test(test_each_claim),
        cmocka_unit_test(test_broken_policies), cmocka_unit_test(test_broken_tokens),
        cmocka_unit_test(test_wrapped),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_real_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

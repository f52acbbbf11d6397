/* Release policies as they are written, to the byte; what cannot be written is refused. */
#include "policy/policy.h"

#include "testing.h"

#define NEU "https://sharedneu.neu.attest.azure.net"
#define WEU "https://sharedweu.weu.attest.azure.net"
#define HOST_DATA "4f4448c67f3c8dfc8de8a5e37125d807dadcc41f06cf23f615dbd52eec777d10"

static const char *const services[] = {NEU, WEU "/"};

static struct policy_wish wish_of(size_t n)
{
    struct error e = {0};
    struct policy_wish wish = {.attestation = services, .n_attestation = n};
    assert_ok(policy_host_data_hex(SPAN_LITERAL(HOST_DATA), wish.host_data, &e), &e);
    return wish;
}

static void test_all_options(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(POLICY_TEXT_MAX);
    struct policy_wish wish = wish_of(1);
    wish.compliance = POLICY_COMPLIANCE_ACI;
    wish.debug_off = true;
    wish.has_svn = true;
    wish.svn_min = 100;
    wish.svn_max = 101;
    assert_ok(policy_write(&wish, &out, &e), &e);
    assert_string_equal(
        buf_text(&out),
        "{\n  \"version\": \"1.0.0\",\n  \"anyOf\": [\n    {\n      \"authority\": \"" NEU "\",\n"
        "      \"allOf\": [\n"
        "        {\"claim\": \"x-ms-attestation-type\", \"equals\": \"sevsnpvm\"},\n"
        "        {\"claim\": \"x-ms-sevsnpvm-hostdata\", \"equals\": \"" HOST_DATA "\"},\n"
        "        {\"claim\": \"x-ms-compliance-status\", \"equals\": \"azure-compliant-uvm\"},\n"
        "        {\"claim\": \"x-ms-sevsnpvm-is-debuggable\", \"equals\": \"false\"},\n"
        "        {\"anyOf\": [\n"
        "          {\"claim\": \"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn\", "
        "\"equals\": \"100\"},\n"
        "          {\"claim\": \"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn\", "
        "\"equals\": \"101\"}\n"
        "        ]}\n      ]\n    }\n  ]\n}\n");
}

static void test_several_services(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(POLICY_TEXT_MAX);
    AUTO(json_free) struct cJSON *tree = NULL;
    struct policy_wish wish = wish_of(2);
    assert_ok(policy_write(&wish, &out, &e), &e);
    assert_ok(json_parse(buf_span(&out), E_BUG, &tree, &e), &e);
    assert_non_null(strstr(buf_text(&out), "\"authority\": \"" NEU "\""));
    assert_non_null(strstr(buf_text(&out), "\"authority\": \"" WEU "\"")); /* without its slash */
    assert_null(strstr(buf_text(&out), "compliance"));
    assert_null(strstr(buf_text(&out), "debuggable"));
    assert_null(strstr(buf_text(&out), "guestsvn"));
}

static void test_refused_wishes(void **state)
{
    static const struct {
        const char *service, *part;
        uint32_t min, max;
    } cases[] = {
        {"http://sharedneu.neu.attest.azure.net", "https", 1, 1},
        {"sharedneu.neu.attest.azure.net", "--attestation", 1, 1},
        {NEU "/attest", "path", 1, 1},
        {NEU "?a=b", "path", 1, 1},
        {NEU "/\"", "--attestation", 1, 1},
        {NEU, "--svn", 2, 1},
        {NEU, "--svn", 1, POLICY_SVN_MAX + 1},
        {NEU, "--svn", 0, UINT32_MAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(POLICY_TEXT_MAX);
        struct policy_wish wish = wish_of(1);
        wish.attestation = &cases[i].service;
        wish.has_svn = true;
        wish.svn_min = cases[i].min;
        wish.svn_max = cases[i].max;
        assert_fails(policy_write(&wish, &out, &e), E_USAGE, cases[i].part, &e);
    }
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(POLICY_TEXT_MAX);
    struct policy_wish none = wish_of(0);
    assert_fails(policy_write(&none, &out, &e), E_USAGE, "no attestation service", &e);
}

static void test_versions_at_the_end_of_the_range(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(POLICY_TEXT_MAX);
    struct policy_wish wish = wish_of(1);
    wish.has_svn = true;
    wish.svn_min = UINT32_MAX - POLICY_SVN_MAX + 1;
    wish.svn_max = UINT32_MAX;
    assert_ok(policy_write(&wish, &out, &e), &e);
    assert_non_null(strstr(buf_text(&out), "\"equals\": \"4294967295\"}\n        ]}"));
}

static void test_host_data(void **state)
{
    (void)state;
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(80);
    /* printf 'package policy\n' | sha256sum */
    assert_ok(policy_host_data(SPAN_LITERAL(" cGFja2FnZSBwb2xpY3kK\n"), digest, &e), &e);
    assert_ok(hex_encode(span_of(digest, sizeof digest), &hex, &e), &e);
    assert_string_equal(buf_text(&hex),
                        "89d09cb5c2f579afa733a1f68ae0dd5ff13e59efa75b870c64ca9fd62e9ec139");
    assert_fails(policy_host_data(SPAN_LITERAL(" \n"), digest, &e), E_USAGE, "empty", &e);
    assert_fails(policy_host_data(SPAN_LITERAL("package policy"), digest, &e), E_USAGE,
                 "container policy", &e);
}

static void test_host_data_hex(void **state)
{
    (void)state;
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    assert_fails(policy_host_data_hex(SPAN_LITERAL("4f44"), digest, &e), E_USAGE, "64", &e);
    assert_fails(policy_host_data_hex(
                     SPAN_LITERAL(
                         "zf4448c67f3c8dfc8de8a5e37125d807dadcc41f06cf23f615dbd52eec777d10"),
                     digest, &e),
                 E_USAGE, "host data", &e);
}

/* The policy of a real security context directory: facts known from the producer. */
static void test_real_container_policy(void **state)
{
    (void)state;
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf text = BUF(POLICY_CCE_MAX), hex = BUF(80);
    if (file_read(TEST_FIXTURES "/snp/c-aci-report/uvm_security_policy.base64", POLICY_CCE_MAX,
                  &text, E_USAGE, &e) != OK) {
        print_message("skipped: no fixtures: %s\n", e.text);
        skip();
    }
    assert_ok(policy_host_data(buf_span(&text), digest, &e), &e);
    assert_ok(hex_encode(span_of(digest, sizeof digest), &hex, &e), &e);
    assert_string_equal(buf_text(&hex),
                        "cadd74f71ebb8fbf9782baab649612520f3c416bc5ce9ac768808ddc8d9b031c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_several_services),
        cmocka_unit_test(test_refused_wishes),
        cmocka_unit_test(test_versions_at_the_end_of_the_range),
        cmocka_unit_test(test_host_data),
        cmocka_unit_test(test_host_data_hex),
        cmocka_unit_test(test_real_container_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

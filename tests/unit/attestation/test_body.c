/* The request's body, against a known answer and by its parts. */
#include "attestation/attestation.h"
#include "testing.h"

#include <unistd.h>

#include <cjson/cJSON.h>

static void file_get(const char *path, struct buf *out)
{
    struct error e = {0};
    assert_ok(file_read(path, 1 << 20, out, E_BUG, &e), &e);
}

static struct cJSON *json_get(struct span text)
{
    struct error e = {0};
    struct cJSON *tree = NULL;
    assert_ok(json_parse(text, E_BUG, &tree, &e), &e);
    return tree;
}

static void decode(const char *text, struct buf *out)
{
    struct error e = {0};
    assert_non_null(text);
    assert_ok(base64_decode(span_text(text), BASE64URL_PADDED, out, E_BUG, &e), &e);
}

/* A genuine report of a confidential container group with its files, and the request that must come
 * of it. */
static void known_answer(void **state)
{
    (void)state;
    struct error e = {0};
    if (access(TEST_FIXTURES "/maa_request_derived.json", R_OK) != 0) {
        print_message("skipped: %s is not there\n", TEST_FIXTURES);
        skip();
    }
    AUTO(buf_free) struct buf report = BUF(0), pem = BUF(0), cose = BUF(0), expected = BUF(0);
    AUTO(buf_free) struct buf runtime = BUF(4096), body = BUF(1 << 20), inner = BUF(1 << 20);
    file_get(TEST_FIXTURES "/snp/c-aci-report/snp_report.bin", &report);
    file_get(TEST_FIXTURES "/snp/c-aci-report/uvm_host_amd_certificate.pem", &pem);
    file_get(TEST_FIXTURES "/snp/c-aci-report/body.uvm_reference_info.bin", &cose);
    file_get(TEST_FIXTURES "/maa_request_derived.json", &expected);
    AUTO(json_free) struct cJSON *want = json_get(buf_span(&expected));
    decode(json_text(json_object(want, "runtimeData"), "data"), &runtime);

    const struct attestation_request request = {
        .provider = "https://example.attest.azure.net",
        .report = buf_span(&report),
        .certificates = buf_span(&pem),
        .uvm_endorsements = buf_span(&cose),
        .runtime_data = buf_span(&runtime),
    };
    assert_ok(attestation_body(&request, "1", &body, &e), &e);
    AUTO(json_free) struct cJSON *got = json_get(buf_span(&body));
    decode(json_text(got, "report"), &inner);
    assert_int_equal(inner.size, 29637);
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(80);
    assert_ok(sha256(buf_span(&inner), digest, &e), &e);
    assert_ok(hex_encode(span_of(digest, sizeof digest), &hex, &e), &e);
    assert_string_equal(buf_text(&hex),
                        "39998931321fac3a7452676fe06cbe0ba68420e5d207c4f502544b42cb80b531");
    static const char *const members[] = {"report", "runtimeData", "initTimeData"};
    for (size_t i = 0; i < COUNT(members); i++)
        assert_true(
            cJSON_Compare(json_member(got, members[i]), json_member(want, members[i]), true));
    assert_string_equal(json_text(got, "nonce"), "1");
    assert_int_equal(cJSON_GetArraySize(got), 4);
}

/* Sizes that give every length of padding, with and without endorsements. */
static void parts(void **state)
{
    (void)state;
    struct error e = {0};
    uint8_t report[1184];
    memset(report, 0xfb, sizeof report); /* letters that differ between base64 and base64url */
    for (size_t n = 0; n < 4; n++) {
        AUTO(buf_free) struct buf body = BUF(1 << 16), inner = BUF(1 << 16), bytes = BUF(1 << 16);
        AUTO(buf_free) struct buf list = BUF(1 << 16), cose = BUF(64), runtime = BUF(64);
        const struct attestation_request request = {
            .report = span_of(report, sizeof report),
            .certificates = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\n"),
            .uvm_endorsements = span_of(report, n),
            .runtime_data = SPAN_LITERAL("{ \"a\":1}"),
        };
        assert_ok(attestation_body(&request, "00ff", &body, &e), &e);
        assert_null(strpbrk(buf_text(&body), "+/\n "));
        AUTO(json_free) struct cJSON *got = json_get(buf_span(&body));
        assert_string_equal(json_text(got, "nonce"), "00ff");
        assert_string_equal(json_text(json_object(got, "runtimeData"), "dataType"), "JSON");
        decode(json_text(json_object(got, "runtimeData"), "data"), &runtime);
        assert_string_equal(buf_text(&runtime), "{ \"a\":1}");
        decode(json_text(got, "report"), &inner);
        AUTO(json_free) struct cJSON *document = json_get(buf_span(&inner));
        decode(json_text(document, "SnpReport"), &bytes);
        assert_true(span_equal(buf_span(&bytes), request.report));
        assert_int_equal(cJSON_GetArraySize(document), n ? 3 : 2);
        if (n == 0)
            continue;
        decode(json_text(document, "Endorsements"), &list);
        AUTO(json_free) struct cJSON *uvm = json_get(buf_span(&list));
        decode(cJSON_GetStringValue(cJSON_GetArrayItem(json_array(uvm, "Uvm"), 0)), &cose);
        assert_true(span_equal(buf_span(&cose), request.uvm_endorsements));
    }
}

static void sizes(void **state)
{
    (void)state;
    static const uint8_t zeros[1185];
    const struct {
        size_t report, certificates, runtime;
        enum status expected;
    } cases[] = {
        {1184, 1, 1, OK},         {1183, 1, 1, E_NO_EVIDENCE}, {1185, 1, 1, E_NO_EVIDENCE},
        {0, 1, 1, E_NO_EVIDENCE}, {1184, 0, 1, E_NO_EVIDENCE}, {1184, 1, 0, E_BUG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf body = BUF(1 << 16);
        const struct attestation_request request = {
            .report = span_of(zeros, cases[i].report),
            .certificates = span_of(zeros, cases[i].certificates),
            .runtime_data = span_of(zeros, cases[i].runtime),
        };
        assert_int_equal(attestation_body(&request, "1", &body, &e), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answer),
        cmocka_unit_test(parts),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

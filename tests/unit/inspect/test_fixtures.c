/* Genuine things, with what their README says of each; and each refused with one thing changed.
 * Skipped, with the reason, where the fixtures are not. */
#include "look.h"

#define FIXTURES TEST_FIXTURES "/"
#define ACI      FIXTURES "snp/c-aci-report/"
#define NEGATIVE FIXTURES "snp/negative/"
#define CSE      FIXTURES "cse/"
#define AKV      FIXTURES "akv-release/"
#define MAA      FIXTURES "maa/"
#define IN_2022  1651795200 /* 2022-05-06: the release */
#define IN_JUNE  1654041600 /* 2022-06-01: the token */

static void need_fixtures(void)
{
    if (access(FIXTURES "README.md", R_OK) != 0) {
        print_message("skipped: no fixtures at %s\n", FIXTURES);
        skip();
    }
}

static void test_known_answers(void **state)
{
    static const struct {
        const char *path, *kind;
        struct inspect_options wish;
        enum status status; /* with --verify */
        const char *steps[8];
    } cases[] = {
        {ACI "snp_report.bin", "report",
         {.certificates = ACI "uvm_host_amd_certificate.json",
          .policy = ACI "uvm_security_policy.base64"},
         OK, {"certificates", "root", "VCEK", "VCEK dates", "signature", "host data"}},
        {ACI "snp_report.bin", "report", {.certificates = ACI "uvm_host_amd_certificate.pem"}, OK,
         {"root", "signature"}},
        {ACI "uvm_host_amd_certificate.json", "thim", {0}, OK, {"tcbm", "certificates", "root"}},
        {ACI "body.uvm_reference_info.bin", "endorsement", {0}, OK,
         {"endorsement", "its certificates", "its issuer"}},
        {FIXTURES "snp/security-context", "security-context",
         {.host_data = "4f4448c67f3c8dfc8de8a5e37125d807dadcc41f06cf23f615dbd52eec777d10"}, OK,
         {"host data", "endorsement", "its certificates", "its issuer", "tcbm", "certificates", "root"}},
        {FIXTURES "snp/security-context/host-amd-cert-base64", "thim", {0}, OK, {"root"}},
        {FIXTURES "snp/security-context/reference-info-base64", "endorsement", {0}, OK,
         {"endorsement"}},
        {MAA "sgx-shared-wus-2022-06.jwt", "token",
         {.jwks = MAA "sgx-shared-wus-2022-06.certs.jwks.json", .now_unix_s = IN_JUNE}, OK,
         {"issuer", "token's dates", "token's signature"}},
        {MAA "sgx-shared-wus-2022-06.attest-response.json", "token",
         {.jwks = MAA "sgx-shared-wus-2022-06.certs.jwks.json", .now_unix_s = IN_JUNE}, OK,
         {"token's signature"}},
        {MAA "sgx-shared-wus-2022-06.jwt", "token",
         {.jwks = MAA "sgx-shared-wus-2022-06.certs.jwks.json"}, E_NOT_ATTESTED,
         {"token's signature"}}, /* over */
        {MAA "sev-snp-caci-sharedweu-test.jwt", "token",
         {.host_data = "73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20",
          .jwks = MAA "sgx-shared-wus-2022-06.certs.jwks.json", .now_unix_s = 1744100000},
         E_NOT_ATTESTED, {"host data", "issuer", "token's dates"}}, /* another service's keys */
        {AKV "c3c28aad.jws", "release", {0}, E_BAD_KEY, {"signature", "key id"}}, /* over */
        {CSE "v2.0/blob-0.bin", "blob", {.key = CSE "kek-rsa2048.pem"}, OK, {"stored size", "content"}},
        {CSE "v2.0/blob-1.bin", "blob", {.key = CSE "kek-rsa2048.pem"}, OK, {"stored size", "content"}},
        {CSE "v2.0/blob-4194305.bin", "blob", {.key = CSE "kek-rsa2048.pem"}, OK, {"content"}},
        {CSE "v1/blob-16.bin", "blob", {.key = CSE "kek-rsa2048.pem"}, OK, {"stored size", "content"}},
        {CSE "v2.0/blob-1.bin", "blob", {0}, E_NOT_AUTHENTIC, {"stored size"}}, /* no key */
        {CSE "v2.0/blob-1.bin", "blob",
         {.metadata = CSE "v2.0/blob-15.meta.json", .key = CSE "kek-rsa2048.pem"}, E_NOT_AUTHENTIC,
         {"stored size"}},
    };
    (void)state;
    need_fixtures();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        struct inspect_options wish = cases[i].wish;
        wish.verify = true;
        enum status status = look(wish, cases[i].path, &seen, &e);
        if (status != cases[i].status || strcmp(seen.kind, cases[i].kind) != 0)
            fail_msg("%s: %d, %s", cases[i].path, status, e.text);
        for (size_t n = 0; n < COUNT(cases[i].steps) && cases[i].steps[n] != NULL; n++)
            assert_step(&seen, cases[i].steps[n], FINDING_OK, "");
    }
}

/* Certificates of two files, one behind the other, as PEM. */
static const char *chain_of(const char *der_path, const char *pem_path)
{
    struct error e = {0};
    AUTO(buf_free) struct buf der = BUF(0), pem = BUF(1 << 17);
    read_or_die(der_path, &der);
    const unsigned char *at = der.data;
    X509 *vcek = d2i_X509(NULL, &at, (long)der.size);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_X509(bio, vcek), 1);
    long size = BIO_get_mem_data(bio, &text);
    assert_ok(buf_add(&pem, span_of(text, (size_t)size), &e), &e);
    BIO_free(bio);
    X509_free(vcek);
    AUTO(buf_free) struct buf rest = BUF(0);
    read_or_die(pem_path, &rest);
    assert_ok(buf_add(&pem, buf_span(&rest), &e), &e);
    return file_of("chain.pem", buf_span(&pem));
}

#define MILAN_CHAIN FIXTURES "snp/milan-turin/cert_chain_milan"

static void test_reports_with_their_chips(void **state)
{
    static const struct {
        const char *report, *vcek;
        enum status status;
        const char *part;
    } cases[] = {
        {FIXTURES "snp/milan-turin/report_milan.hex", FIXTURES "snp/milan-turin/vcek_milan.der", OK, ""},
        {NEGATIVE "test-report.bin", NEGATIVE "test-vcek.der", OK, ""},
        {NEGATIVE "test-report.bin", NEGATIVE "test-vcek-invalid-legacy.der", E_NO_EVIDENCE, ""},
        {NEGATIVE "test-report.bin", NEGATIVE "test-vcek-invalid-new.der", E_NO_EVIDENCE, ""},
        {NEGATIVE "test-report.bin", FIXTURES "snp/milan-turin/vcek_milan.der", E_NO_EVIDENCE,
         "another chip"},
        {NEGATIVE "test-vlek-report.bin", NEGATIVE "test-vlek.der", E_NO_EVIDENCE, ""},
    };
    (void)state;
    need_fixtures();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        struct inspect_options wish = {.certificates = chain_of(cases[i].vcek, MILAN_CHAIN),
                                       .verify = true};
        enum status status = look(wish, cases[i].report, &seen, &e);
        if (status != cases[i].status || (status != OK && strstr(e.text, cases[i].part) == NULL))
            fail_msg("%s, %s: %d, %s", cases[i].report, cases[i].vcek, status, e.text);
    }
}

static void test_chain_of_turin(void **state)
{
    (void)state;
    need_fixtures();
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    const char *chain = chain_of(FIXTURES "snp/milan-turin/vcek_turin.der",
                                 FIXTURES "snp/milan-turin/cert_chain_turin");
    assert_ok(look((struct inspect_options){.verify = true}, chain, &seen, &e), &e);
    assert_string_equal(seen.kind, "certificates");
    assert_step(&seen, "root", FINDING_OK, "AMD's for Turin");
    assert_step(&seen, "chip", FINDING_NOTE, "1e550a8ee5cf9f4d");
    /* Turin's chip under Milan's chain */
    chain = chain_of(FIXTURES "snp/milan-turin/vcek_turin.der", MILAN_CHAIN);
    assert_fails(look((struct inspect_options){0}, chain, &seen, &e), E_NO_EVIDENCE, "", &e);
}

/* The chain of the release leads to a root that systems still carry. */
static void test_release_at_its_time(void **state)
{
    (void)state;
    need_fixtures();
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0) {
        print_message("skipped: no root certificates on this system\n");
        skip();
    }
    struct inspect_options wish = {.now_unix_s = IN_2022, .verify = true,
                                   .ca_file = "/etc/ssl/certs/ca-certificates.crt"};
    assert_ok(look(wish, AKV "c3c28aad.release-response.json", &seen, &e), &e);
    assert_step(&seen, "certificates", FINDING_OK, "gearamakv1.vault.azure.net");
    assert_step(&seen, "key itself", FINDING_SKIP, "");
    wish.now_unix_s = NOW;
    assert_fails(look(wish, AKV "c3c28aad.jws", &seen, &e), E_BAD_KEY, "expired", &e);
}

/* Every bit that is changed in a signed text is noticed, and every cut. */
static void sweep(const char *path, size_t from, size_t to, size_t step,
                  struct inspect_options wish)
{
    AUTO(buf_free) struct buf text = BUF(0);
    read_or_die(path, &text);
    for (size_t at = from; at < text.size && at < to; at += step) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        text.data[at] ^= 1;
        if (look(wish, file_of("thing", buf_span(&text)), &seen, &e) == OK)
            fail_msg("%s: nobody noticed the change at %zu", path, at);
        text.data[at] ^= 1;
        if (look(wish, file_of("thing", span_of(text.data, at)), &seen, &e) == OK)
            fail_msg("%s: nobody noticed the cut at %zu", path, at);
    }
}

static void test_changes_are_noticed(void **state)
{
    (void)state;
    need_fixtures();
    /* Between both lies the unprotected header, which nobody signs. */
    sweep(ACI "body.uvm_reference_info.bin", 0, 5070, 127,
          (struct inspect_options){.as = "endorsement"});
    sweep(ACI "body.uvm_reference_info.bin", 10309, SIZE_MAX, 13,
          (struct inspect_options){.as = "endorsement"});
    sweep(MAA "sgx-shared-wus-2022-06.jwt", 0, SIZE_MAX, 61,
          (struct inspect_options){.as = "token",
                                   .jwks = MAA "sgx-shared-wus-2022-06.certs.jwks.json",
                                   .now_unix_s = IN_JUNE});
    sweep(AKV "c3c28aad.jws", 0, SIZE_MAX, 301, (struct inspect_options){.as = "release",
                                                               .now_unix_s = IN_2022});
    struct inspect_options blob = {.as = "blob", .metadata = CSE "v2.0/blob-16.meta.json",
                                   .key = CSE "kek-rsa2048.pem"};
    sweep(CSE "v2.0/blob-16.bin", 1, SIZE_MAX, 1, blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_reports_with_their_chips),
        cmocka_unit_test(test_chain_of_turin),
        cmocka_unit_test(test_release_at_its_time),
        cmocka_unit_test(test_changes_are_noticed),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

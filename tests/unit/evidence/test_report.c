/* Reports: what parsing reads, and that verification notices every change. */
#include "forge.h"

#include <unistd.h>

static struct snp_report parse_file(const char *path)
{
    struct error e = {0};
    struct snp_report report = {0};
    AUTO(buf_free) struct buf bytes = BUF(SNP_REPORT_SIZE);
    read_or_die(path, &bytes);
    assert_ok(snp_report_parse(buf_span(&bytes), &report, &e), &e);
    return report;
}

static void reads_milan(void **state)
{
    (void)state;
    struct snp_report r = parse_file(DATA "milan.bin");
    assert_int_equal(r.version, 3);
    assert_int_equal(r.guest_svn, 7);
    assert_int_equal(r.product, SNP_MILAN);
    assert_true(r.product_known);
    assert_false(r.debug_allowed);
    assert_false(r.chip_id_masked);
    assert_int_equal(r.signature_algorithm, 1);
    assert_int_equal(r.signing_key, 0);
    assert_int_equal(r.reported_tcb_raw, 0xdb18000000000004);
    assert_int_equal(r.reported_tcb.boot_loader, 4);
    assert_int_equal(r.reported_tcb.snp, 24);
    assert_int_equal(r.reported_tcb.microcode, 219);
    assert_int_equal(r.chip_id[0], 0x40);
    assert_int_equal(r.measurement[47], 47);
    assert_int_equal(r.host_data[31], 31);
}

static void reads_turin(void **state)
{
    (void)state;
    struct snp_report r = parse_file(DATA "turin.bin");
    assert_int_equal(r.product, SNP_TURIN);
    assert_int_equal(r.reported_tcb.fmc, 1);
    assert_int_equal(r.reported_tcb.boot_loader, 2);
    assert_int_equal(r.reported_tcb.tee, 3);
    assert_int_equal(r.reported_tcb.snp, 4);
    assert_int_equal(r.reported_tcb.microcode, 130);
}

/* Processors by family and model; version 2 does not say. */
static void knows_processors(void **state)
{
    (void)state;
    static const struct {
        uint8_t version, family, model;
        bool fine, known;
        enum snp_product product;
    } cases[] = {
        {2, 0x00, 0x00, true, false, SNP_MILAN}, {3, 0x19, 0x00, true, true, SNP_MILAN},
        {3, 0x19, 0x0f, true, true, SNP_MILAN},  {3, 0x19, 0x11, true, true, SNP_GENOA},
        {3, 0x19, 0xa0, true, true, SNP_GENOA},  {5, 0x1a, 0x11, true, true, SNP_TURIN},
        {3, 0x19, 0x20, false, false, 0},        {3, 0x1b, 0x01, false, false, 0},
        {1, 0x00, 0x00, false, false, 0},        {0, 0x19, 0x01, false, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct snp_report report = {0};
        uint8_t bytes[SNP_REPORT_SIZE] = {cases[i].version};
        bytes[392] = cases[i].family;
        bytes[393] = cases[i].model;
        enum status status = snp_report_parse(span_of(bytes, sizeof bytes), &report, &e);
        assert_int_equal(status, cases[i].fine ? OK : E_NO_EVIDENCE);
        if (cases[i].fine) {
            assert_int_equal(report.product, cases[i].product);
            assert_int_equal(report.product_known, cases[i].known);
        }
    }
}

static void refuses_other_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4, 672, 1183, 1185, 4000};
    uint8_t bytes[4000] = {3};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct error e = {0};
        struct snp_report report = {.version = 77};
        assert_fails(snp_report_parse(span_of(bytes, sizes[i]), &report, &e), E_NO_EVIDENCE,
                     "1184 bytes", &e);
        assert_int_equal(report.version, 77);
    }
}

static void verifies_own(void **state)
{
    (void)state;
    static const char *const names[] = {"milan", "milan-newer", "turin"};
    for (size_t i = 0; i < COUNT(names); i++)
        for (size_t j = 0; j < COUNT(names); j++) {
            struct error e = {0};
            char path[512];
            AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
            AUTO(buf_free) struct buf pem = BUF(1 << 16);
            (void)snprintf(path, sizeof path, DATA "%s.bin", names[i]);
            read_or_die(path, &report);
            (void)snprintf(path, sizeof path, DATA "%s.pem", names[j]);
            read_or_die(path, &pem);
            if (i == j)
                assert_ok(snp_report_verify(buf_span(&report), buf_span(&pem), &e), &e);
            else
                assert_fails(snp_report_verify(buf_span(&report), buf_span(&pem), &e),
                             E_NO_EVIDENCE, "VCEK is for another", &e);
        }
}

/* Every byte that is signed or is the signature: R and S, 48 bytes each and zeros above. */
static void notices_every_byte(void **state)
{
    (void)state;
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    read_or_die(DATA "milan.bin", &report);
    read_or_die(DATA "milan.pem", &pem);
    for (size_t i = 0; i < 672 + 2 * 72; i++) {
        struct error e = {0};
        uint8_t bit = (uint8_t)(1u << (i % 8));
        report.data[i] ^= bit;
        enum status status = snp_report_verify(buf_span(&report), buf_span(&pem), &e);
        if (status != E_NO_EVIDENCE)
            fail_msg("byte %zu: status %d", i, status);
        report.data[i] ^= bit;
    }
}

/* What a good signature does not mend. */
static void refuses_signed(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *part;
    } cases[] = {
        {72, 1 << 2, "VLEK"},
        {72, 7 << 2, "masks the chip's key"},
        {72, 2, "masks the chip's key"},
        {72, 2 << 2, "unknown kind"},
        {52, 2, "signature algorithm"},
        {0, 1, "version 1"},
        {384, 5, "boot loader level is 4, the report's 5"},
        {385, 1, "TEE level"},
        {390, 25, "SNP firmware level"},
        {391, 220, "microcode level is 219, the report's 220"},
        {391, 219 & 0x7f, "microcode level"},
        {479, 0, "another chip"},
        {416, 0, "another chip"},
    };
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    read_or_die(DATA "milan.pem", &pem);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
        read_or_die(DATA "milan.bin", &report);
        report.data[cases[i].at] = cases[i].value;
        report_sign(report.data);
        assert_fails(snp_report_verify(buf_span(&report), buf_span(&pem), &e), E_NO_EVIDENCE,
                     cases[i].part, &e);
    }
}

/* Re-signed without a change it is accepted: the cases above fail for their own reason. */
static void accepts_signed_again(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    read_or_die(DATA "milan.bin", &report);
    read_or_die(DATA "milan.pem", &pem);
    report.data[80] ^= 1;
    report_sign(report.data);
    assert_ok(snp_report_verify(buf_span(&report), buf_span(&pem), &e), &e);
    memset(report.data + 416, 0, 64); /* a masked chip id */
    report_sign(report.data);
    assert_ok(snp_report_verify(buf_span(&report), buf_span(&pem), &e), &e);
}

static bool fixtures_are_here(void)
{
    if (access(TEST_FIXTURES "/snp", R_OK) == 0)
        return true;
    print_message("skipped: the fixtures' folder is not here: real reports are not tried\n");
    return false;
}

static void add_der(const char *path, struct buf *pem)
{
    struct error e = {0};
    AUTO(buf_free) struct buf der = BUF(1 << 16);
    read_or_die(path, &der);
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    long size = BIO_get_mem_data(bio, &text);
    assert_ok(buf_add(pem, span_of(text, (size_t)size), &e), &e);
    BIO_free(bio);
    X509_free(certificate);
}

static void add_hex(const char *path, struct buf *out)
{
    struct error e = {0};
    AUTO(buf_free) struct buf text = BUF(1 << 16);
    read_or_die(path, &text);
    assert_ok(hex_decode(span_trim(buf_span(&text)), out, E_BUG, &e), &e);
}

static void verifies_real_reports(void **state)
{
    (void)state;
#define SNP TEST_FIXTURES "/snp/"
    static const struct {
        const char *report, *vcek, *chain, *part; /* PART: NULL if it verifies */
    } cases[] = {
        {SNP "c-aci-report/snp_report.bin", NULL, SNP "c-aci-report/uvm_host_amd_certificate.pem",
         NULL},
        {SNP "milan-turin/report_milan.hex", SNP "milan-turin/vcek_milan.der",
         SNP "milan-turin/cert_chain_milan", NULL},
        {SNP "negative/test-report.bin", SNP "negative/test-vcek.der",
         SNP "milan-turin/cert_chain_milan", NULL},
        {SNP "negative/test-report.bin", SNP "negative/test-vcek-invalid-legacy.der",
         SNP "milan-turin/cert_chain_milan", "another chip"},
        {SNP "negative/test-report.bin", SNP "negative/test-vcek-invalid-new.der",
         SNP "milan-turin/cert_chain_milan", "another chip"},
        {SNP "negative/test-vlek-report.bin", SNP "negative/test-vlek.der",
         SNP "milan-turin/cert_chain_milan", "VLEK"},
        {SNP "negative/test-report.bin", SNP "milan-turin/vcek_milan.der",
         SNP "milan-turin/cert_chain_milan", "another chip"},
        {SNP "milan-turin/report_milan.hex", SNP "milan-turin/vcek_milan.der",
         SNP "milan-turin/cert_chain_turin", "not issued by"},
    };
    if (!fixtures_are_here())
        skip();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
        AUTO(buf_free) struct buf pem = BUF(1 << 16);
        if (strstr(cases[i].report, ".hex") != NULL)
            add_hex(cases[i].report, &report);
        else
            read_or_die(cases[i].report, &report);
        if (cases[i].vcek != NULL)
            add_der(cases[i].vcek, &pem);
        read_or_die(cases[i].chain, &pem);
        if (cases[i].part == NULL)
            assert_ok(snp_report_verify(buf_span(&report), buf_span(&pem), &e), &e);
        else
            assert_fails(snp_report_verify(buf_span(&report), buf_span(&pem), &e), E_NO_EVIDENCE,
                         cases[i].part, &e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_milan),           cmocka_unit_test(reads_turin),
        cmocka_unit_test(knows_processors),      cmocka_unit_test(refuses_other_sizes),
        cmocka_unit_test(verifies_own),          cmocka_unit_test(notices_every_byte),
        cmocka_unit_test(refuses_signed),        cmocka_unit_test(accepts_signed_again),
        cmocka_unit_test(verifies_real_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

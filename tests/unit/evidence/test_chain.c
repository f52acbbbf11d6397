/* Chains: each link that is wrong in one thing is refused, for that thing. */
#include "forge.h"

#define OID "1.3.6.1.4.1.3704.1."

static enum status verify(struct span pem, struct error *e)
{
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    read_or_die(DATA "milan.bin", &report);
    return snp_report_verify(buf_span(&report), pem, e);
}

static void judges_forgeries(void **state)
{
    (void)state;
    uint8_t wrapped[66] = {4, 64}; /* the chip id in an OCTET STRING, as old certificates have it */
    for (size_t i = 0; i < 64; i++)
        wrapped[2 + i] = (uint8_t)(0x40 + i);
    const struct {
        const char *part; /* NULL: accepted */
        struct forgery forgery;
    } cases[] = {
        {NULL, {0}},
        {NULL, {.oid = OID "4", .value = span_of(wrapped, 66)}},
        {"another chip", {.oid = OID "4", .value = span_of(wrapped, 65)}},
        {"another chip", {.oid = OID "4", .value = span_of(wrapped + 2, 63)}},
        {"another chip", {.oid = OID "4", .value = span_of(wrapped + 2, 8)}},
        {"does not say its chip", {.oid = OID "4"}},
        {"does not say its boot loader level", {.oid = OID "3.1"}},
        {"does not say its microcode level", {.oid = OID "3.8"}},
        {"microcode level", {.oid = OID "3.8", .value = SPAN_LITERAL("\x02\x01\xdb")}},
        {"microcode level", {.oid = OID "3.8", .value = SPAN_LITERAL("\x02\x02\x01\xdb")}},
        {"microcode level", {.oid = OID "3.8", .value = SPAN_LITERAL("\x04\x02\x00\xdb")}},
        {"microcode level", {.oid = OID "3.8", .value = SPAN_LITERAL("\xdb")}},
        {"microcode level", {.oid = OID "3.8", .value = SPAN_LITERAL("\x02\x02\x00\xdb\x00")}},
        {"boot loader level", {.oid = OID "3.1", .value = SPAN_LITERAL("\x02\x02\x00\x04")}},
        {"boot loader level is 5", {.oid = OID "3.1", .value = SPAN_LITERAL("\x02\x01\x05")}},
        {"does not say its microcode level",
         {.second = OID "3.8", .value2 = SPAN_LITERAL("\x02\x02\x00\xdb")}},
        {"is a VLEK", {.second = OID "5", .value2 = SPAN_LITERAL("azure")}},
        {"RSASSA-PSS and SHA-384", {.digest = EVP_sha256()}},
        {"RSASSA-PSS and SHA-384", {.pkcs1 = true}},
        {"VCEK's signature by the ASK", {.vcek_by_ark = true}},
        {"ASK's signature by the ARK", {.ask_by_itself = true}},
        {"ARK's signature by the ARK", {.root_unsigned = true}},
        {"two certificates for the same place", {.ask_no_authority = true}},
        {"not issued by this ASK", {.other_issuer = true}},
        {"no P-384 key", {.p256 = true}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf pem = BUF(1 << 16);
        chain_forge(&cases[i].forgery, &pem);
        if (cases[i].part == NULL)
            assert_ok(verify(buf_span(&pem), &e), &e);
        else
            assert_fails(verify(buf_span(&pem), &e), E_NO_EVIDENCE, cases[i].part, &e);
    }
}

/* The N-th certificate of PEM. */
static struct span nth(const struct buf *pem, int n)
{
    const char *start = buf_text(pem), *end = NULL;
    for (int i = 0; i <= n; i++) {
        start = end == NULL ? start : end;
        end = strstr(start, "-----END CERTIFICATE-----\n");
        assert_non_null(end);
        end += strlen("-----END CERTIFICATE-----\n");
    }
    return span_of(start, (size_t)(end - start));
}

/* Digits: which of VCEK, ASK, ARK in which order. */
static void sorts_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *order, *part;
    } cases[] = {
        {"012", NULL},          {"210", NULL},
        {"102", NULL},          {"0121", NULL},
        {"01", "no ARK"},       {"02", "no ASK"},
        {"12", "no VCEK"},      {"", "0 bytes"},
        {"0123", "same place"}, {"012012012", "more than"},
    };
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    AUTO(buf_free) struct buf other = BUF(1 << 16);
    read_or_die(DATA "milan.pem", &pem);
    read_or_die(DATA "milan-newer.pem", &other);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf text = BUF(1 << 16);
        for (const char *at = cases[i].order; *at != '\0'; at++) {
            struct span one = *at == '3' ? nth(&other, 0) : nth(&pem, *at - '0');
            assert_ok(buf_add(&text, one, &e), &e);
        }
        if (cases[i].part == NULL)
            assert_ok(verify(buf_span(&text), &e), &e);
        else
            assert_fails(verify(buf_span(&text), &e), E_NO_EVIDENCE, cases[i].part, &e);
    }
}

static void refuses_broken_pem(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf pem = BUF(1 << 20);
    read_or_die(DATA "milan.pem", &pem);
    assert_fails(verify(span_of(pem.data, 100), &e), E_NO_EVIDENCE, "no PEM", &e);
    assert_fails(verify(span_text("hello"), &e), E_NO_EVIDENCE, "no VCEK", &e);
    for (size_t at = 40; at < pem.size; at += 101) {
        uint8_t before = pem.data[at];
        pem.data[at] = before == 'A' ? 'B' : 'A';
        enum status status = verify(buf_span(&pem), &e);
        if (status != E_NO_EVIDENCE)
            fail_msg("byte %zu: status %d", at, status);
        pem.data[at] = before;
    }
    while (pem.size < 70000)
        assert_ok(buf_add(&pem, SPAN_LITERAL("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"), &e), &e);
    assert_fails(verify(buf_span(&pem), &e), E_NO_EVIDENCE, "bytes is none", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_forgeries),
        cmocka_unit_test(sorts_and_counts),
        cmocka_unit_test(refuses_broken_pem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

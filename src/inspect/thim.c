/*
 * A chip's certificates as PEM, and as Azure's certificate service (THIM) sends them: with "tcbm", the
 * TCB that the VCEK is for, as a number in hexadecimal: its first digits are the last byte of the
 * eight in the report.
 */
#include "inspect/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t tcb_number(const struct snp_tcb *t, bool turin)
{
    if (turin)
        return (uint64_t)t->microcode << 56 | (uint64_t)t->snp << 24 | (uint64_t)t->tee << 16 |
               (uint64_t)t->boot_loader << 8 | t->fmc;
    return (uint64_t)t->microcode << 56 | (uint64_t)t->snp << 48 | (uint64_t)t->tee << 8 |
           t->boot_loader;
}

static bool read_tcbm(const char *text, uint64_t *out)
{
    size_t n = strlen(text);
    if (n == 0 || n > 16 || strspn(text, "0123456789abcdefABCDEF") != n)
        return false;
    *out = strtoull(text, NULL, 16);
    return true;
}

static enum status check_tcbm(struct subject *s, const struct cJSON *json,
                              const struct snp_tcb *tcb, bool turin, struct error *e)
{
    const char *text = json_text(json, "tcbm");
    uint64_t number = 0, certified = tcb_number(tcb, turin);
    struct error why = {0};
    enum status status = OK;
    if (json_member(json, "tcbm") == NULL)
        return finding_skip(s->findings, "tcbm", e, "not there");
    if (text == NULL || !read_tcbm(text, &number))
        status = fail(&why, E_NO_EVIDENCE, "not 16 hexadecimal letters");
    else if (number != certified)
        status = fail(&why, E_NO_EVIDENCE, "%016" PRIx64 ", but the VCEK is for %016" PRIx64,
                      number, certified);
    return finding_check(s->findings, "tcbm", status, &why, e, "%016" PRIx64 ", the VCEK's",
                         number);
}

static enum status explain_vcek(struct subject *s, const struct cJSON *json, struct span pem,
                                struct error *e)
{
    struct snp_vcek vcek = {0};
    char text[128];
    TRY(snp_vcek_read(pem, &vcek, e));
    bool turin = strncmp(vcek.product, "Turin", 5) == 0;
    TRY(finding_note(s->findings, "product", e, "%s", vcek.product));
    TRY(note_hex(s, "chip", span_of(vcek.chip_id, turin ? 8 : SNP_CHIP_ID_SIZE), e));
    tcb_text(&vcek.tcb, turin, text, sizeof text);
    TRY(finding_note(s->findings, "TCB", e, "%s", text));
    if (json != NULL)
        TRY(check_tcbm(s, json, &vcek.tcb, turin, e));
    return check_dates(s, "VCEK dates", vcek.not_before_unix_s, vcek.not_after_unix_s,
                       E_NO_EVIDENCE, e);
}

enum status explain_certificates(struct subject *s, const struct content *c, struct error *e)
{
    TRY(explain_vcek(s, NULL, c->bytes, e));
    return verify_chain(s, c->bytes, e);
}

enum status explain_thim(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(buf_free) struct buf pem = BUF((size_t)128 * 1024);
    TRY(snp_thim_certificates(c->bytes, &pem, e));
    TRY(explain_vcek(s, c->json, buf_span(&pem), e));
    return verify_chain(s, buf_span(&pem), e);
}

/* An attestation report of SEV-SNP, and AMD's certificates for it (evidence.h has the documents). */
#include "inspect/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLICY_SMT_BIT       16
#define POLICY_MIGRATION_BIT 18
#define PEM_MAX_SIZE         ((size_t)64 * 1024)
#define VMPL_HOST            UINT32_MAX /* the host asked for the report, not a guest */

void tcb_text(const struct snp_tcb *tcb, bool turin, char *out, size_t size)
{
    char fmc[24] = "";
    if (turin)
        (void)snprintf(fmc, sizeof fmc, "FMC %u, ", tcb->fmc);
    (void)snprintf(out, size, "%sboot loader %u, TEE %u, SNP %u, microcode %u", fmc,
                   tcb->boot_loader, tcb->tee, tcb->snp, tcb->microcode);
}

static enum status note_tcbs(struct subject *s, const struct snp_report *r, struct error *e)
{
    const struct {
        const char *step;
        const struct snp_tcb *tcb;
    } tcbs[] = {{"reported TCB", &r->reported_tcb},
                {"current TCB", &r->current_tcb},
                {"committed TCB", &r->committed_tcb},
                {"launch TCB", &r->launch_tcb}};
    for (size_t i = 0; i < COUNT(tcbs); i++) {
        char text[128];
        tcb_text(tcbs[i].tcb, r->product == SNP_TURIN, text, sizeof text);
        TRY(finding_note(s->findings, tcbs[i].step, e, "%s", text));
    }
    return OK;
}

static enum status note_header(struct subject *s, const struct snp_report *r, struct error *e)
{
    TRY(finding_note(s->findings, "version", e, "%" PRIu32, r->version));
    TRY(finding_note(s->findings, "product", e, "%s%s", snp_product_name(r->product),
                     r->product_known ? "" : " (assumed: version 2 does not say)"));
    TRY(note_number(s, "guest SVN", r->guest_svn, e));
    if (r->vmpl == VMPL_HOST)
        TRY(finding_note(s->findings, "VMPL", e, "none: the host asked for this report"));
    else
        TRY(note_number(s, "VMPL", r->vmpl, e));
    bool smt = (r->policy >> POLICY_SMT_BIT & 1) != 0;
    bool migration = (r->policy >> POLICY_MIGRATION_BIT & 1) != 0;
    return finding_note(s->findings, "guest policy", e,
                        "0x%" PRIx64 ": debugging by the host %s, migration %s, SMT %s", r->policy,
                        r->debug_allowed ? "ALLOWED" : "not allowed",
                        migration ? "ALLOWED" : "not allowed", smt ? "allowed" : "not allowed");
}

enum status report_findings(struct subject *s, const struct snp_report *r, struct error *e)
{
    size_t chip = r->product == SNP_TURIN ? 8 : SNP_CHIP_ID_SIZE;
    TRY(note_header(s, r, e));
    TRY(note_hex(s, "measurement", span_of(r->measurement, sizeof r->measurement), e));
    TRY(check_host_data(s, span_of(r->host_data, sizeof r->host_data), e));
    TRY(note_hex(s, "report data", span_of(r->report_data, sizeof r->report_data), e));
    if (r->chip_id_masked)
        TRY(finding_note(s->findings, "chip", e, "masked by the host"));
    else
        TRY(note_hex(s, "chip", span_of(r->chip_id, chip), e));
    return note_tcbs(s, r, e);
}

/* Certificates of a file: PEM, or what THIM sends. */
static enum status read_certificates(const char *path, struct buf *pem, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(0);
    TRY(file_read(path, 2 * PEM_MAX_SIZE, &text, E_USAGE, e));
    struct span trimmed = span_trim(buf_span(&text));
    enum status status = trimmed.size > 0 && trimmed.data[0] == '{'
                             ? snp_thim_certificates(trimmed, pem, e)
                             : buf_add(pem, trimmed, e);
    return status == OK ? OK : wrap(e, "%s", path);
}

enum status explain_report(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(buf_free) struct buf pem = BUF(PEM_MAX_SIZE);
    struct snp_report report = {0};
    TRY(snp_report_parse(c->bytes, &report, e));
    TRY(report_findings(s, &report, e));
    if (s->options->certificates == NULL)
        return unverified(s, "signature", E_NO_EVIDENCE, e,
                          "that needs the chip's certificates (--certificates FILE: PEM of VCEK, "
                          "ASK and ARK, or THIM's JSON)");
    TRY(read_certificates(s->options->certificates, &pem, e));
    return verify_report(s, c->bytes, buf_span(&pem), e);
}

/* ---- Verifying ---- */

static enum status check_given_root(struct subject *s, struct span pem, struct error *e)
{
    AUTO(buf_free) struct buf root = BUF(0);
    struct error why = {0};
    TRY(file_read(s->options->amd_root, PEM_MAX_SIZE, &root, E_USAGE, e));
    enum status status = snp_root_is(pem, buf_span(&root), &why);
    return finding_check(s->findings, "root", status, &why, e,
                         "the one of --amd-root, which is not AMD's");
}

static enum status check_root(struct subject *s, struct span pem, struct error *e)
{
    enum snp_product product = SNP_MILAN;
    struct error why = {0};
    if (s->options->amd_root != NULL)
        return check_given_root(s, pem, e);
    enum status status = snp_root_verify(pem, &product, &why);
    return finding_check(s->findings, "root", status, &why, e, "AMD's for %s",
                         snp_product_name(product));
}

enum status verify_chain(struct subject *s, struct span certificates_pem, struct error *e)
{
    struct error why = {0};
    enum status status = snp_chain_verify(certificates_pem, &why);
    TRY(finding_check(s->findings, "certificates", status, &why, e,
                      "VCEK, ASK and ARK: each is signed by the next"));
    return status == OK ? check_root(s, certificates_pem, e)
                        : finding_skip(s->findings, "root", e, "there is no chain to it");
}

/* The processor that a report names is the one of the root: AMD has a root for each product. */
static enum status check_product(struct subject *s, const struct snp_report *report,
                                 struct span pem, struct error *e)
{
    enum snp_product product = SNP_MILAN;
    struct error why = {0};
    if (!report->product_known || s->options->amd_root != NULL ||
        snp_root_verify(pem, &product, &why) != OK)
        return OK;
    enum status status = OK;
    if (product != report->product)
        status = fail(&why, E_NO_EVIDENCE, "the report is a %s's, the root is for %s",
                      snp_product_name(report->product), snp_product_name(product));
    return finding_check(s->findings, "processor", status, &why, e, "%s in report and root",
                         snp_product_name(product));
}

enum status verify_report(struct subject *s, struct span report, struct span certificates_pem,
                          struct error *e)
{
    struct error why = {0};
    struct snp_report parsed = {0};
    struct snp_vcek vcek = {0};
    TRY(verify_chain(s, certificates_pem, e));
    TRY(snp_report_parse(report, &parsed, e));
    TRY(check_product(s, &parsed, certificates_pem, e));
    enum status status = snp_vcek_fits(report, certificates_pem, &why);
    TRY(finding_check(s->findings, "VCEK", status, &why, e, "of this chip%s, at its reported TCB",
                      parsed.chip_id_masked ? " (masked, so not compared)" : ""));
    status = snp_vcek_read(certificates_pem, &vcek, &why);
    if (status == OK)
        TRY(check_dates(s, "VCEK dates", vcek.not_before_unix_s, vcek.not_after_unix_s,
                        E_NO_EVIDENCE, e));
    status = snp_signature_verify(report, certificates_pem, &why);
    return finding_check(s->findings, "signature", status, &why, e,
                         "the report is signed with the VCEK");
}

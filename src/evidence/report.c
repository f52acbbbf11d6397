/*
 * The attestation report of SEV-SNP firmware, bytes to struct: AMD 56860 (SEV-SNP ABI), table
 * "ATTESTATION_REPORT".
 *
 * The bytes come from the device, through a host that may be hostile, or from a file that someone
 * wants explained. Every offset is a constant below the one size that is accepted. Nothing here is
 * believed: snp_report_verify does that.
 */
#include "evidence/internal.h"

#include <string.h>

enum offset {
    AT_VERSION = 0,
    AT_GUEST_SVN = 4,
    AT_POLICY = 8,
    AT_VMPL = 48,
    AT_SIGNATURE_ALGORITHM = 52,
    AT_CURRENT_TCB = 56,
    AT_KEY_INFO = 72,
    AT_REPORT_DATA = 80,
    AT_MEASUREMENT = 144,
    AT_HOST_DATA = 192,
    AT_REPORTED_TCB = 384,
    AT_CPUID_FAMILY = 392,
    AT_CPUID_MODEL = 393,
    AT_CHIP_ID = 416,
    AT_COMMITTED_TCB = 480,
    AT_LAUNCH_TCB = 496,
};

#define POLICY_DEBUG_BIT   19
#define OLDEST_VERSION     2
#define VERSION_WITH_CPUID 3

uint32_t read_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t read_le64(const uint8_t *at)
{
    return (uint64_t)read_le32(at) | (uint64_t)read_le32(at + 4) << 32;
}

struct span report_chip_id(const struct snp_report *report)
{
    return span_of(report->chip_id,
                   report->product == SNP_TURIN ? TURIN_CHIP_ID_SIZE : SNP_CHIP_ID_SIZE);
}

/* Families and models: AMD 56860 has the CPUID fields, AMD 57230 the products' names for the KDS.
 */
static const struct processor {
    uint8_t family, first_model, last_model;
    enum snp_product product;
} processors[] = {
    {0x19, 0x00, 0x0f, SNP_MILAN},
    {0x19, 0x10, 0x1f, SNP_GENOA},
    {0x19, 0xa0, 0xaf, SNP_GENOA}, /* Bergamo and Siena have Genoa's keys */
    {0x1a, 0x00, 0x1f, SNP_TURIN},
};

static enum status read_product(const uint8_t *bytes, struct snp_report *out, struct error *e)
{
    out->product = SNP_MILAN;
    if (out->version < VERSION_WITH_CPUID)
        return OK;
    uint8_t family = bytes[AT_CPUID_FAMILY], model = bytes[AT_CPUID_MODEL];
    for (size_t i = 0; i < COUNT(processors); i++) {
        const struct processor *p = &processors[i];
        if (family == p->family && model >= p->first_model && model <= p->last_model) {
            out->product = p->product;
            out->product_known = true;
            return OK;
        }
    }
    return fail(
        e, E_NO_EVIDENCE,
        "the report comes from a processor that is not known here (family 0x%02x, model 0x%02x)",
        family, model);
}

static struct snp_tcb read_tcb(const uint8_t *at, enum snp_product product)
{
    if (product == SNP_TURIN)
        return (struct snp_tcb){
            .fmc = at[0], .boot_loader = at[1], .tee = at[2], .snp = at[3], .microcode = at[7]};
    return (struct snp_tcb){.boot_loader = at[0], .tee = at[1], .snp = at[6], .microcode = at[7]};
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void read_fields(const uint8_t *bytes, struct snp_report *out)
{
    out->guest_svn = read_le32(bytes + AT_GUEST_SVN);
    out->policy = read_le64(bytes + AT_POLICY);
    out->debug_allowed = (out->policy >> POLICY_DEBUG_BIT & 1) != 0;
    out->vmpl = read_le32(bytes + AT_VMPL);
    out->signature_algorithm = read_le32(bytes + AT_SIGNATURE_ALGORITHM);
    out->signing_key = read_le32(bytes + AT_KEY_INFO) >> 2 & 7;
    memcpy(out->report_data, bytes + AT_REPORT_DATA, sizeof out->report_data);
    memcpy(out->measurement, bytes + AT_MEASUREMENT, sizeof out->measurement);
    memcpy(out->host_data, bytes + AT_HOST_DATA, sizeof out->host_data);
    memcpy(out->chip_id, bytes + AT_CHIP_ID, sizeof out->chip_id);
    out->chip_id_masked = all_zero(out->chip_id, sizeof out->chip_id);
}

enum status snp_report_parse(struct span bytes, struct snp_report *out, struct error *e)
{
    if (bytes.size != SNP_REPORT_SIZE)
        return fail(e, E_NO_EVIDENCE, "an attestation report has %d bytes, not %zu",
                    SNP_REPORT_SIZE, bytes.size);
    struct snp_report report = {.version = read_le32(bytes.data + AT_VERSION)};
    /* Newer firmware only gives meaning to reserved bytes: no upper limit. */
    if (report.version < OLDEST_VERSION)
        return fail(e, E_NO_EVIDENCE,
                    "the attestation report has version %u; real ones start at %d", report.version,
                    OLDEST_VERSION);
    TRY(read_product(bytes.data, &report, e));
    read_fields(bytes.data, &report);
    report.current_tcb = read_tcb(bytes.data + AT_CURRENT_TCB, report.product);
    report.reported_tcb = read_tcb(bytes.data + AT_REPORTED_TCB, report.product);
    report.committed_tcb = read_tcb(bytes.data + AT_COMMITTED_TCB, report.product);
    report.launch_tcb = read_tcb(bytes.data + AT_LAUNCH_TCB, report.product);
    report.reported_tcb_raw = read_le64(bytes.data + AT_REPORTED_TCB);
    *out = report;
    return OK;
}

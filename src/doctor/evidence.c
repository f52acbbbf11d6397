/* The hardware's evidence, piece by piece, and what the attestation service makes of it. */
#include "doctor/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "inspect/inspect.h"

enum { DAY_S = 86400, EXPIRY_NOTE_DAYS = 30 };

static enum status check_device(struct doctor *d, struct error *e)
{
    const char *name = NULL;
    struct error why = {0};
    if (d->job->attestation.evidence == CONFIG_EVIDENCE_SIDECAR) {
        d->has_device = true;
        return finding_note(d->findings, "device", e, "the sidecar's, at %.200s",
                            d->job->attestation.sidecar);
    }
    enum status status = attest_device(d->job, &name, &why);
    d->has_device = status == OK;
    return finding_check(d->findings, "device", status, &why, e, "%s", name);
}

/* ---- The report and the certificates, which were appraised together ---- */

static enum status tell_report(struct doctor *d, struct error *e)
{
    const struct snp_report *r = &d->report;
    struct error why = {0};
    if (r->debug_allowed) {
        (void)!fail(&why, E_NO_EVIDENCE, "the guest's policy lets the host debug it: nothing here is confidential");
        advise(&why, "run this in a container group that is made confidential (sku: Confidential)");
        return finding_fail(d->findings, "report", &why, e);
    }
    return finding_ok(d->findings, "report", e,
                      "signed over our data; %s%s, VMPL %" PRIu32
                      ", TCB: boot loader %u, TEE %u, SNP %u, microcode %u",
                      snp_product_name(r->product), r->product_known ? "" : " (assumed)", r->vmpl,
                      r->reported_tcb.boot_loader, r->reported_tcb.tee, r->reported_tcb.snp,
                      r->reported_tcb.microcode);
}

static enum status tell_expiry(struct doctor *d, const struct snp_vcek *vcek, struct error *e)
{
    struct error why = {0};
    long long days = (vcek->not_after_unix_s - clock_unix_s()) / DAY_S;
    if (vcek->not_after_unix_s < clock_unix_s()) {
        (void)!fail(&why, E_NO_EVIDENCE, "that of the chip expired %lld days ago", -days);
        advise(&why, "set attestation.certificates to a certificate service that has a new one");
        return finding_fail(d->findings, "certificates expire", &why, e);
    }
    if (vcek->not_before_unix_s > clock_unix_s())
        return finding_note(d->findings, "certificates expire", e,
                            "that of the chip is not valid yet: is the clock right?");
    if (days < EXPIRY_NOTE_DAYS)
        return finding_note(d->findings, "certificates expire", e, "in %lld days, that of the chip",
                            days);
    return finding_ok(d->findings, "certificates expire", e, "in %lld days", days);
}

static enum status tell_certificates(struct doctor *d, struct error *e)
{
    struct span pem = buf_span(&d->attested.evidence.certificates);
    enum snp_product product = SNP_MILAN;
    struct snp_vcek vcek = {0};
    struct error why = {0};
    bool amd = snp_root_verify(pem, &product, &why) == OK;
    TRY(finding_ok(d->findings, "certificates", e,
                   "of this chip%s at its reported TCB, from %s", d->report.chip_id_masked ? " (masked)" : "",
                   d->attested.evidence.certificates_source));
    if (!amd)
        TRY(finding_note(d->findings, "root", e,
                         "not one of AMD's that are known here: the attestation service judges it"));
    else
        TRY(finding_ok(d->findings, "root", e, "AMD's for %s", snp_product_name(product)));
    enum status status = snp_vcek_read(pem, &vcek, &why);
    return status == OK ? tell_expiry(d, &vcek, e)
                        : finding_fail(d->findings, "certificates expire", &why, e);
}

static enum status check_report(struct doctor *d, struct error *e)
{
    struct error why = {0};
    if (d->job->attestation.evidence == CONFIG_EVIDENCE_SIDECAR &&
        host_is_lost(d, "report", d->job->attestation.sidecar, e))
        return OK;
    enum status status = attest_evidence(&d->services, &d->attested, &why);
    if (status == OK)
        status = snp_report_parse(buf_span(&d->attested.evidence.report), &d->report, &why);
    d->has_evidence = status == OK;
    if (!d->has_evidence)
        return finding_fail(d->findings, "report", &why, e);
    TRY(tell_report(d, e));
    return tell_certificates(d, e);
}

/* ---- What stands beside it ---- */

static enum status check_host_data(struct doctor *d, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE), policy = BUF(2 * SHA256_SIZE);
    uint8_t digest[SHA256_SIZE] = {0};
    bool found = false;
    struct error why = {0};
    TRY(hex_encode(span_of(d->report.host_data, sizeof d->report.host_data), &hex, e));
    enum status status = evidence_container_policy(digest, &found, &why);
    if (status == OK && !found)
        return finding_note(d->findings, "host data", e,
                            "%s; there is no container policy beside this container to compare with",
                            buf_text(&hex));
    TRY(hex_encode(span_of(digest, sizeof digest), &policy, e));
    if (status == OK && memcmp(digest, d->report.host_data, sizeof digest) != 0) {
        status = fail(&why, E_MISMATCH,
                      "the report has %s, but the container policy beside this container is %s",
                      buf_text(&hex), buf_text(&policy));
        advise(&why, "the host shows another policy than it started this container group with: use the report's for "
                     "release policies (decant policy --host-data)");
    }
    return finding_check(d->findings, "host data", status, &why, e,
                         "%s, the digest of the container policy", buf_text(&hex));
}

/* The first thing that is wrong with it, or its version. */
static enum status tell_endorsement(struct doctor *d, const struct findings *found, struct error *e)
{
    struct error why = {0};
    const char *version = "";
    for (size_t i = 0; i < found->n; i++)
        if (strcmp(found->list[i].step, "endorsed version") == 0)
            version = found->list[i].text;
    if (findings_verdict(found, &why) == OK)
        return finding_ok(d->findings, "utility VM", e, "endorsed, version %s", version);
    advise(&why, "the host shows an endorsement of another utility VM: start again on another host");
    return finding_fail(d->findings, "utility VM", &why, e);
}

static enum status check_utility_vm(struct doctor *d, struct error *e)
{
    AUTO(findings_free) struct findings found = {0};
    struct span endorsement = buf_span(&d->attested.evidence.uvm_endorsements);
    struct error why = {0};
    if (endorsement.size == 0)
        return finding_note(d->findings, "utility VM", e,
                            "no endorsement here (reference-info-base64): the token will have no "
                            "x-ms-compliance-status");
    enum status status =
        inspect_endorsement(endorsement,
                            span_of(d->report.measurement, sizeof d->report.measurement), &found,
                            &why);
    return status == OK ? tell_endorsement(d, &found, e)
                        : finding_fail(d->findings, "utility VM", &why, e);
}

enum status check_evidence(struct doctor *d, struct error *e)
{
    if (!job_attests(d->job))
        return finding_skip(d->findings, "evidence", e,
                            "not needed: no key of this job comes from a vault");
    TRY(check_device(d, e));
    if (!d->has_device || !d->has_services)
        TRY(finding_skip(d->findings, "report", e, "not asked for: %s",
                         d->has_device ? "there is no trust store" : "there is no device"));
    else
        TRY(check_report(d, e));
    if (!d->has_evidence)
        return finding_skip(d->findings, "certificates, host data", e,
                            "not compared: there is no report");
    TRY(check_host_data(d, e));
    return check_utility_vm(d, e);
}

/* ---- The service ---- */

static enum status tell_token(struct doctor *d, struct error *e)
{
    AUTO(json_free) struct cJSON *claims = NULL;
    struct error why = {0};
    uint64_t expires = 0;
    enum status status = attested_claims(&d->attested, &d->claims, &why);
    if (status == OK)
        status = json_parse(buf_span(&d->claims), E_NOT_ATTESTED, &claims, &why);
    if (status != OK)
        return finding_fail(d->findings, "attestation", &why, e);
    d->has_claims = true;
    (void)json_number(claims, "exp", &expires);
    const char *compliance = json_text(claims, "x-ms-compliance-status");
    return finding_ok(d->findings, "attestation", e,
                      "%.200s gave a token for %lld minutes; x-ms-compliance-status: %.100s",
                      d->job->attestation.provider,
                      ((long long)expires - (long long)clock_unix_s()) / 60,
                      compliance != NULL ? compliance : "none");
}

enum status check_attestation(struct doctor *d, struct error *e)
{
    struct error why = {0};
    if (!job_attests(d->job))
        return OK;
    if (!d->has_evidence)
        return finding_skip(d->findings, "attestation", e, "not asked: there is no evidence");
    if (host_is_lost(d, "attestation", d->job->attestation.provider, e))
        return OK;
    if (attest_token(&d->services, &d->attested, &why) != OK)
        return finding_fail(d->findings, "attestation", &why, e);
    return tell_token(d, e);
}

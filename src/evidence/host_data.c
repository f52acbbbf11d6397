/* The host data of where we run, for the owner who writes a release policy. Nothing is verified
 * here: a policy for the wrong container releases nothing. */
#include "evidence/internal.h"

#include <stdio.h>
#include <string.h>

/* NAME stays NULL without a device. */
static enum status from_report(uint8_t out[static SHA256_SIZE], const char **name, struct error *e)
{
    const struct reporter *reporter = reporter_find(EVIDENCE_AUTO);
    const uint8_t nothing[REPORT_DATA_SIZE] = {0};
    AUTO(buf_free) struct buf bytes = BUF(SNP_REPORT_SIZE);
    struct snp_report report = {0};
    if (reporter == NULL)
        return OK;
    TRY(reporter->report(reporter->path, nothing, &bytes, e));
    TRY(snp_report_parse(buf_span(&bytes), &report, e));
    memcpy(out, report.host_data, SHA256_SIZE);
    *name = reporter->name;
    return OK;
}

enum status evidence_container_policy(uint8_t out[static SHA256_SIZE], bool *found,
                                      struct error *e)
{
    AUTO(buf_free) struct buf rego = BUF(POLICY_MAX);
    TRY(platform_container_policy(&rego, e));
    *found = rego.size > 0;
    return *found ? sha256(buf_span(&rego), out, e) : OK;
}

enum status evidence_host_data(uint8_t out[static SHA256_SIZE],
                               char source[static EVIDENCE_SOURCE_SIZE], struct error *e)
{
    AUTO(buf_free) struct buf rego = BUF(POLICY_MAX);
    uint8_t reported[SHA256_SIZE] = {0}, hashed[SHA256_SIZE] = {0};
    const char *name = NULL;
    TRY(from_report(reported, &name, e));
    TRY(platform_container_policy(&rego, e));
    if (name == NULL && rego.size == 0) {
        (void)fail(e, E_NO_EVIDENCE, "neither a device nor a container policy here");
        advise(e, "run this in the confidential container, or give its policy");
        return E_NO_EVIDENCE;
    }
    TRY(sha256(buf_span(&rego), hashed, e));
    if (name != NULL && rego.size > 0 && memcmp(reported, hashed, SHA256_SIZE) != 0)
        return fail(e, E_MISMATCH,
                    "the container policy beside this container is not the one in the report");
    memcpy(out, name != NULL ? reported : hashed, SHA256_SIZE);
    (void)snprintf(source, EVIDENCE_SOURCE_SIZE, "%s",
                   name != NULL ? name : "the container policy beside this container");
    return OK;
}

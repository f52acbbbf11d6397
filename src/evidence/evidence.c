/*
 * Evidence, from start to end: choose who makes reports, learn the chip and its TCB from a first
 * one, find certificates for it, and later get the report that counts and pair both again.
 *
 * A report is the host's word until snp_report_verify has passed it; nothing leaves this file
 * before that. What the platform or a sidecar adds (the utility VM's endorsement) is passed on as
 * it came: the attestation service judges it.
 */
#include "evidence/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct evidence_source {
    struct evidence_options options;
    struct http *http;
    const struct reporter *reporter; /* NULL: the sidecar */
    struct buf uvm_endorsements;     /* the platform's; a sidecar sends its own */
    struct snp_report first;         /* whose chip and TCB FOUND fits */
    struct found found;
};

static const struct reporter *const reporters[] = {&reporter_sev_guest, &reporter_sev,
                                                   &reporter_tsm};

void evidence_free(struct evidence *evidence)
{
    buf_free(&evidence->report);
    buf_free(&evidence->certificates);
    buf_free(&evidence->uvm_endorsements);
    evidence->source[0] = '\0';
    evidence->certificates_source[0] = '\0';
}

void evidence_close(struct evidence_source **source)
{
    if (*source == NULL)
        return;
    buf_free(&(*source)->uvm_endorsements);
    found_free(&(*source)->found);
    free(*source);
    *source = NULL;
}

/* Too much of anything is the host's doing, not a lack of memory here. */
static enum status settle(enum status status, struct error *e)
{
    if (status == E_SPACE)
        e->status = status = E_NO_EVIDENCE;
    return status;
}

const struct reporter *reporter_find(enum evidence_kind kind)
{
    for (size_t i = 0; i < COUNT(reporters); i++)
        if ((kind == EVIDENCE_AUTO || kind == reporters[i]->kind) &&
            access(reporters[i]->path, F_OK) == 0)
            return reporters[i];
    return NULL;
}

static enum status choose_reporter(enum evidence_kind kind, const struct reporter **out,
                                   struct error *e)
{
    *out = reporter_find(kind);
    if (*out != NULL)
        return OK;
    enum status status =
        fail(e, E_NO_EVIDENCE, "no hardware evidence here: there is no %s",
             kind == EVIDENCE_TSM      ? "/sys/kernel/config/tsm/report"
             : kind == EVIDENCE_DEVICE ? "/dev/sev-guest and no /dev/sev"
                                       : "/dev/sev-guest, no /dev/sev and no configfs-tsm");
    advise(
        e,
        "run this in a confidential (SEV-SNP) container, with its device given to the container");
    return status;
}

enum status evidence_device(enum evidence_kind kind, const char **name, struct error *e)
{
    const struct reporter *reporter = NULL;
    TRY(choose_reporter(kind, &reporter, e));
    *name = reporter->name;
    return OK;
}

static enum status hash_report_data(struct span runtime_data, uint8_t out[static REPORT_DATA_SIZE],
                                    struct error *e)
{
    memset(out, 0, REPORT_DATA_SIZE);
    return sha256(runtime_data, out, e);
}

/* One report, with what a sidecar adds to it; parsed, and over the data that was asked. */
static enum status take(const struct evidence_source *source, struct span runtime_data,
                        struct combined *out, struct snp_report *parsed, struct error *e)
{
    uint8_t data[REPORT_DATA_SIZE] = {0};
    AUTO(combined_free)
    struct combined combined = {BUF(SNP_REPORT_SIZE), BUF(PEM_MAX), BUF(UVM_MAX)};
    TRY(hash_report_data(runtime_data, data, e));
    if (source->reporter != NULL)
        TRY(source->reporter->report(source->reporter->path, data, &combined.report, e));
    else
        TRY(sidecar_ask(source->http, source->options.sidecar, runtime_data, &combined, e));
    TRY(snp_report_parse(buf_span(&combined.report), parsed, e));
    if (!span_equal(span_of(parsed->report_data, REPORT_DATA_SIZE), span_of(data, sizeof data)))
        return fail(e, E_NO_EVIDENCE, "the report is not over the data that was asked for");
    *out = combined;
    combined = (struct combined){0};
    return OK;
}

static enum status take_and_explain(const struct evidence_source *source, struct span runtime_data,
                                    struct combined *out, struct snp_report *parsed,
                                    struct error *e)
{
    enum status status = take(source, runtime_data, out, parsed, e);
    if (status == OK || source->reporter != NULL)
        return status;
    if (status == E_NETWORK)
        advise(e, "see that the sidecar runs in this container group and listens at that address");
    else if (status == E_NO_EVIDENCE)
        advise(e,
               "see that the sidecar runs in a confidential container: without a device it makes "
               "its reports up");
    return wrap(e, "sidecar %s", source->options.sidecar);
}

static enum status find_certificates(const struct evidence_source *source,
                                     const struct combined *combined, struct found *out,
                                     struct error *e)
{
    return lookup_certificates(&source->options, source->http, buf_span(&combined->report),
                               buf_span(&combined->endorsements), out, e);
}

static enum status source_start(struct evidence_source *source, struct error *e)
{
    AUTO(combined_free) struct combined combined = {0};
    source->uvm_endorsements = BUF(UVM_MAX);
    if (source->options.kind != EVIDENCE_SIDECAR) {
        TRY(choose_reporter(source->options.kind, &source->reporter, e));
        TRY(platform_uvm_endorsements(&source->uvm_endorsements, e));
    } else if (source->options.sidecar == NULL || source->http == NULL) {
        return fail(e, E_USAGE, "evidence from a sidecar needs the sidecar's URL");
    }
    TRY(take_and_explain(source, SPAN_LITERAL("decant"), &combined, &source->first, e));
    return find_certificates(source, &combined, &source->found, e);
}

enum status evidence_open(const struct evidence_options *options, struct http *http,
                          struct evidence_source **source, struct error *e)
{
    AUTO(evidence_close) struct evidence_source *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return fail(e, E_BUG, "no memory for the evidence source");
    opened->options = *options;
    opened->http = http;
    TRY(settle(source_start(opened, e), e));
    *source = opened;
    opened = NULL;
    return OK;
}

static bool same_tcb(const struct snp_report *a, const struct snp_report *b)
{
    return a->reported_tcb_raw == b->reported_tcb_raw && a->product == b->product &&
           span_equal(report_chip_id(a), report_chip_id(b));
}

/* A guest can be moved, or its host updated, between the first report and this one. */
static enum status pair_again(struct evidence_source *source, const struct combined *combined,
                              const struct snp_report *parsed, struct error *e)
{
    struct found found = {0};
    if (same_tcb(parsed, &source->first))
        return snp_report_verify(buf_span(&combined->report), buf_span(&source->found.pem), e);
    TRY(find_certificates(source, combined, &found, e));
    found_free(&source->found);
    source->found = found;
    source->first = *parsed;
    return OK;
}

static enum status fill(const struct evidence_source *source, struct combined *combined,
                        struct evidence *out, struct error *e)
{
    AUTO(evidence_free)
    struct evidence evidence = {.certificates = BUF(PEM_MAX), .uvm_endorsements = BUF(UVM_MAX)};
    const struct buf *uvm =
        source->reporter != NULL ? &source->uvm_endorsements : &combined->uvm_endorsements;
    TRY(buf_add(&evidence.certificates, buf_span(&source->found.pem), e));
    if (uvm->size > 0)
        TRY(buf_add(&evidence.uvm_endorsements, buf_span(uvm), e));
    if (source->reporter != NULL)
        (void)snprintf(evidence.source, sizeof evidence.source, "%s", source->reporter->name);
    else
        (void)snprintf(evidence.source, sizeof evidence.source, "sidecar %.40s",
                       source->options.sidecar);
    memcpy(evidence.certificates_source, source->found.source, sizeof source->found.source);
    evidence.report = combined->report;
    combined->report = (struct buf){0};
    *out = evidence;
    evidence = (struct evidence){0};
    return OK;
}

static enum status collect(struct evidence_source *source, struct span runtime_data,
                           struct evidence *out, struct error *e)
{
    AUTO(combined_free) struct combined combined = {0};
    struct snp_report parsed = {0};
    TRY(take_and_explain(source, runtime_data, &combined, &parsed, e));
    TRY(pair_again(source, &combined, &parsed, e));
    return fill(source, &combined, out, e);
}

enum status evidence_collect(struct evidence_source *source, struct span runtime_data,
                             struct evidence *out, struct error *e)
{
    return settle(collect(source, runtime_data, out, e), e);
}

/*
 * Which certificates go with a report? Each place that may know is asked in turn, nearest first,
 * and its answer counts only if the report verifies under it: a stale, foreign or forged chain is
 * passed over, and named if none is left.
 */
#include "evidence/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FABRIC_VARIABLE "Fabric_NodeIPOrFQDN"
/* Virtual nodes on ACI put the address in the place of a variable's value that is exactly
 * ===VIRTUALNODE2.CC.THIM.ENDPOINT===; the variable's name is ours. */
#define NODE_VARIABLE "THIM_ENDPOINT"
#define THIM_URL      "http://169.254.169.254/metadata/THIM/amd/certification"
#define THIM_TRIES    3
#define GUESS_TRIES   2   /* an address that nobody configured */
#define ANSWER_SIZE   160 /* of one place, in the final sentence */
#define ANSWERS_SIZE  520

void found_free(struct found *found)
{
    buf_free(&found->pem);
    found->source[0] = '\0';
}

struct lookup {
    const struct evidence_options *options;
    struct http *http;
    struct span report, offered;
    struct snp_report parsed;
    char answers[ANSWERS_SIZE]; /* "place: what was wrong; …" */
    bool disturbed;             /* one that was reached may know it later */
};

/* A place to ask. ASK appends PEM; SOURCE already holds the place's name and may get a better one.
 */
struct place {
    const char *name;
    bool network;
    bool (*applies)(const struct lookup *lookup);
    enum status (*ask)(const struct lookup *lookup, struct buf *pem, struct error *e);
};

static bool always(const struct lookup *lookup)
{
    (void)lookup;
    return true;
}

static bool offered_applies(const struct lookup *lookup)
{
    return lookup->offered.size > 0;
}

static enum status ask_offered(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    return buf_add(pem, lookup->offered, e);
}

static enum status ask_platform(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    (void)lookup;
    return platform_certificates(pem, e);
}

static enum status ask_thim(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    const char *node = getenv(FABRIC_VARIABLE);
    const char *endpoint = getenv(NODE_VARIABLE);
    if (lookup->options->certificates != NULL)
        return fetch_thim(lookup->http, lookup->options->certificates, THIM_TRIES, pem, e);
    if (endpoint != NULL && strncmp(endpoint, "http", 4) == 0)
        return fetch_thim(lookup->http, endpoint, THIM_TRIES, pem, e);
    if (node == NULL || node[0] == '\0')
        return fetch_thim(lookup->http, THIM_URL, GUESS_TRIES, pem, e);
    AUTO(buf_free) struct buf url = BUF(512);
    TRY(fabric_url(node, &url, e));
    return fetch_thim(lookup->http, buf_text(&url), THIM_TRIES, pem, e);
}

static bool may_be(const struct lookup *lookup, enum snp_product product)
{
    const struct snp_report *report = &lookup->parsed;
    if (report->product_known)
        return report->product == product;
    return product != SNP_TURIN; /* version 2: before Turin */
}

static bool may_be_milan(const struct lookup *lookup)
{
    return may_be(lookup, SNP_MILAN);
}

static bool may_be_genoa(const struct lookup *lookup)
{
    return may_be(lookup, SNP_GENOA);
}

static bool may_be_turin(const struct lookup *lookup)
{
    return may_be(lookup, SNP_TURIN);
}

static enum status ask_milan(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    return fetch_kds(lookup->http, &lookup->parsed, SNP_MILAN, pem, e);
}

static enum status ask_genoa(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    return fetch_kds(lookup->http, &lookup->parsed, SNP_GENOA, pem, e);
}

static enum status ask_turin(const struct lookup *lookup, struct buf *pem, struct error *e)
{
    return fetch_kds(lookup->http, &lookup->parsed, SNP_TURIN, pem, e);
}

static const struct place places[] = {
    {"sidecar", false, offered_applies, ask_offered},
    {"platform file", false, always, ask_platform},
    {"THIM", true, always, ask_thim},
    {"AMD KDS (Milan)", true, may_be_milan, ask_milan},
    {"AMD KDS (Genoa)", true, may_be_genoa, ask_genoa},
    {"AMD KDS (Turin)", true, may_be_turin, ask_turin},
};

static void answer_note(struct lookup *lookup, const char *place, const struct error *e)
{
    size_t used = strlen(lookup->answers);
    (void)snprintf(lookup->answers + used, sizeof lookup->answers - used, "%s%s: %.*s",
                   used > 0 ? "; " : "", place, ANSWER_SIZE, e->text);
}

/* OUT gets the sorted chain if it verifies the report. */
static enum status try_place(const struct lookup *lookup, const struct place *place,
                             struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf pem = BUF(PEM_MAX);
    AUTO(chain_free) struct chain chain = {0};
    if (place->network && lookup->http == NULL)
        return fail(e, E_NO_EVIDENCE, "not asked");
    TRY(place->ask(lookup, &pem, e));
    TRY(snp_report_verify(lookup->report, buf_span(&pem), e));
    TRY(chain_parse(buf_span(&pem), &chain, e));
    return chain_write(&chain, out, e);
}

static enum status lookup_failed(const struct lookup *lookup, struct error *e)
{
    bool later = lookup->disturbed || (lookup->http != NULL && http_deadline_is_over(lookup->http));
    enum status status = fail(e, later ? E_NETWORK : E_NO_EVIDENCE,
                              "no certificates fit this machine's report: %s", lookup->answers);
    if (later)
        advise(e, "start again later, or raise limits.timeout_s; a certificate service of the "
                  "host's own is named in attestation.certificates");
    else if (lookup->options->kind == EVIDENCE_SIDECAR)
        advise(e, "make sure that the sidecar runs in a confidential container: without a device "
                  "it makes its reports up");
    else
        advise(e, "set attestation.certificates to the URL of the host's certificate service "
                  "(THIM), or let the container reach https://kdsintf.amd.com");
    return status;
}

enum status lookup_certificates(const struct evidence_options *options, struct http *http,
                                struct span report, struct span offered, struct found *out,
                                struct error *e)
{
    struct lookup lookup = {.options = options, .http = http, .report = report, .offered = offered};
    TRY(snp_report_parse(report, &lookup.parsed, e));
    TRY(report_is_signed(report, e));
    for (size_t i = 0; i < COUNT(places); i++) {
        AUTO(buf_free) struct buf pem = BUF(PEM_MAX);
        if (!places[i].applies(&lookup))
            continue;
        enum status status = try_place(&lookup, &places[i], &pem, e);
        if (status == E_INTERRUPTED || status == E_BUG)
            return status;
        if (status == OK) {
            *out = (struct found){.pem = pem};
            (void)snprintf(out->source, sizeof out->source, "%s", places[i].name);
            pem = (struct buf){0};
            return OK;
        }
        lookup.disturbed |= e->transient && !e->unreached;
        answer_note(&lookup, places[i].name, e);
    }
    return lookup_failed(&lookup, e);
}

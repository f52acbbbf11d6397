/*
 * The body of POST /attest/SevSnpVm, as the REST specification of Microsoft Azure Attestation
 * (AttestSevSnpVmRequest) has it. Report, certificates and endorsements come from our own evidence
 * room; their sizes are checked all the same, because the platform's files stand behind them.
 * Promises: the runtime data in the body are the very bytes that were hashed into the report.
 */
#include "attestation/internal.h"

#include <stdio.h>

/* "NAME":"base64url(bytes)", with padding: what the service's own clients send. */
static enum status add_member(struct buf *out, const char *name, struct span bytes, struct error *e)
{
    TRY(buf_addf(out, e, "\"%s\":\"", name));
    TRY(base64_encode(bytes, BASE64URL_PADDED, out, e));
    return buf_add(out, SPAN_LITERAL("\""), e);
}

static enum status add_endorsements(struct buf *out, struct span cose, struct error *e)
{
    AUTO(buf_free) struct buf list = BUF(2 * (size_t)ENDORSEMENTS_MAX);
    if (cose.size == 0)
        return OK;
    TRY(buf_add(&list, SPAN_LITERAL("{\"Uvm\":[\""), e));
    TRY(base64_encode(cose, BASE64URL_PADDED, &list, e));
    TRY(buf_add(&list, SPAN_LITERAL("\"]}"), e));
    TRY(buf_add(out, SPAN_LITERAL(","), e));
    return add_member(out, "Endorsements", buf_span(&list), e);
}

/* The document that the member "report" wraps. */
static enum status report_document(const struct attestation_request *request, struct buf *out,
                                   struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("{"), e));
    TRY(add_member(out, "SnpReport", request->report, e));
    TRY(buf_add(out, SPAN_LITERAL(","), e));
    TRY(add_member(out, "VcekCertChain", request->certificates, e));
    TRY(add_endorsements(out, request->uvm_endorsements, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

static enum status sizes_check(const struct attestation_request *request, struct error *e)
{
    const struct {
        const char *what;
        size_t size, min, max;
    } parts[] = {
        {"hardware report", request->report.size, REPORT_SIZE, REPORT_SIZE},
        {"certificate chain", request->certificates.size, 1, CERTIFICATES_MAX},
        {"UVM endorsement", request->uvm_endorsements.size, 0, ENDORSEMENTS_MAX},
    };
    for (size_t i = 0; i < COUNT(parts); i++)
        if (parts[i].size < parts[i].min || parts[i].size > parts[i].max)
            return fail(e, E_NO_EVIDENCE, "attestation: the %s has %zu bytes, which cannot be",
                        parts[i].what, parts[i].size);
    if (request->runtime_data.size == 0 || request->runtime_data.size > RUNTIME_MAX)
        return fail(e, E_BUG, "attestation: %zu bytes of runtime data", request->runtime_data.size);
    return OK;
}

enum status attestation_body(const struct attestation_request *request, const char *nonce,
                             struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf report = BUF(4 * (size_t)ENDORSEMENTS_MAX);

    TRY(sizes_check(request, e));
    TRY(report_document(request, &report, e));
    TRY(buf_add(out, SPAN_LITERAL("{"), e));
    TRY(add_member(out, "report", buf_span(&report), e));
    TRY(buf_add(out, SPAN_LITERAL(",\"runtimeData\":{"), e));
    TRY(add_member(out, "data", request->runtime_data, e));
    /* A confidential container's policy is Rego, which no data type of init-time data fits: sent
     * empty. */
    TRY(buf_add(out,
                SPAN_LITERAL(",\"dataType\":\"JSON\"},"
                             "\"initTimeData\":{\"data\":\"\",\"dataType\":\"\"},\"nonce\":"),
                e));
    TRY(json_quote(span_text(nonce), out, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

enum status provider_parse(const char *provider, struct url *out, struct error *e)
{
    struct url url = {0};

    if (!provider || url_parse(provider, &url, e) != OK) {
        (void)fail(e, E_USAGE, "attestation: the provider is no URL");
    } else if (url.query.size) {
        (void)fail(e, E_USAGE, "attestation: the provider's URL has a query");
    } else {
        *out = url;
        return OK;
    }
    advise(
        e,
        "give attestation.provider as a base URL, such as https://sharedneu.neu.attest.azure.net");
    return E_USAGE;
}

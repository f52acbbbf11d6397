/* One attestation: pair, evidence over it, token. The pair is made while the certificates are looked
 * up. */
#include "access/access.h"
#include "attestation/attestation.h"

#include <string.h>

/* The runtime data are one object: ALSO goes in front of its last brace. */
static enum status add_members(struct buf *runtime_data, const char *also, struct error *e)
{
    AUTO(buf_free) struct buf whole = BUF(runtime_data->size + strlen(also) + 2);
    struct span text = buf_span(runtime_data);
    TRY(buf_add(&whole, span_of(text.data, text.size - 1), e));
    TRY(buf_addf(&whole, e, ",%s}", also));
    buf_free(runtime_data);
    *runtime_data = whole;
    whole = BUF(0);
    return OK;
}

static enum status make_offer(void *context, struct error *e)
{
    struct attested *attested = context;
    TRY(key_offer_new(&attested->offer, e));
    return attested->also != NULL ? add_members(&attested->offer.runtime_data, attested->also, e)
                                  : OK;
}

static const enum evidence_kind kinds[] = {
    [CONFIG_EVIDENCE_AUTO] = EVIDENCE_AUTO,
    [CONFIG_EVIDENCE_DEVICE] = EVIDENCE_DEVICE,
    [CONFIG_EVIDENCE_TSM] = EVIDENCE_TSM,
    [CONFIG_EVIDENCE_SIDECAR] = EVIDENCE_SIDECAR,
};

enum status attest_device(const struct job *job, const char **name, struct error *e)
{
    *name = job->attestation.sidecar;
    if (job->attestation.evidence == CONFIG_EVIDENCE_SIDECAR)
        return OK;
    return evidence_device(kinds[job->attestation.evidence], name, e);
}

static enum status collect(const struct services *services, struct task *offer,
                           struct attested *out, struct error *e)
{
    const struct job *job = services->job;
    const struct evidence_options options = {
        .kind = kinds[job->attestation.evidence],
        .sidecar = job->attestation.sidecar,
        .certificates = job->attestation.certificates,
    };
    AUTO(evidence_close) struct evidence_source *source = NULL;
    TRY(evidence_open(&options, services->http, &source, e));
    TRY(task_join(offer, e));
    TRY(evidence_collect(source, buf_span(&out->offer.runtime_data), &out->evidence, e));
    LOG(LOG_INFO, "evidence", LOG_STRING("source", out->evidence.source),
        LOG_STRING("certificates", out->evidence.certificates_source));
    return OK;
}

enum status attest_evidence(const struct services *services, struct attested *out, struct error *e)
{
    AUTO(task_abandon) struct task offer = {0};
    TRY(task_start(&offer, make_offer, out, e));
    return collect(services, &offer, out, e);
}

enum status attest_token(const struct services *services, struct attested *out, struct error *e)
{
    const struct attestation_request request = {
        .provider = services->job->attestation.provider,
        .report = buf_span(&out->evidence.report),
        .certificates = buf_span(&out->evidence.certificates),
        .uvm_endorsements = buf_span(&out->evidence.uvm_endorsements),
        .runtime_data = buf_span(&out->offer.runtime_data),
    };
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(http_session_take(services->http, &session, e));
    return attestation_token(session, &request, &out->token, e);
}

/* attestation_token looked at the token's form: it has three parts. */
enum status attested_claims(const struct attested *attested, struct buf *out, struct error *e)
{
    struct span token = secret_view(&attested->token);
    const uint8_t *first = token.size > 0 ? memchr(token.data, '.', token.size) : NULL;
    const uint8_t *end = token.data + token.size;
    const uint8_t *last =
        first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (last == NULL)
        return fail(e, E_BUG, "there is no token");
    return base64_decode(span_of(first + 1, (size_t)(last - first - 1)), BASE64URL, out,
                         E_NOT_ATTESTED, e);
}

enum status attest(const struct services *services, struct attested *out, struct error *e)
{
    int64_t start = clock_ms();
    TRY(attest_evidence(services, out, e));
    TRY(attest_token(services, out, e));
    out->ms = clock_ms() - start;
    LOG(LOG_INFO, "attested", LOG_STRING("provider", services->job->attestation.provider),
        LOG_NUMBER("ms", out->ms));
    return OK;
}

void attested_free(struct attested *attested)
{
    secret_free(&attested->token);
    evidence_free(&attested->evidence);
    key_offer_free(&attested->offer);
}

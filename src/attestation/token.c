/*
 * One exchange with the attestation service: POST /attest/SevSnpVm (REST specification of Microsoft
 * Azure Attestation, 2022-08-01), which needs no access token. The answer is hostile until
 * attestation_check has compared it with what was sent. Promises: a token that is given out answers
 * this very request.
 */
#include "attestation/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ATTEST_PATH "/attest/SevSnpVm?api-version=2022-08-01"

enum { NONCE_BYTES = 16, REPLY_MAX = 256 << 10 };

/* Why a service refuses, and what helps; the first row that fits counts. */
static const struct cause {
    long http;        /* 0: any */
    const char *code; /* the service's code; NULL: any */
    const char *word; /* in the service's message, in any case of letters; NULL: any */
    const char *advice;
} causes[] = {
    {404, NULL, NULL,
     "check attestation.provider: it is the base URL of an attestation provider, such as "
     "https://sharedneu.neu.attest.azure.net"},
    {401, NULL, NULL,
     "this provider asks for authorization, which SEV-SNP attestation does not need: check attestation.provider"},
    {403, NULL, NULL,
     "this provider does not accept calls from here: look at its network rules, or use a shared provider"},
    {0, "PolicyEvaluationError", NULL,
     "the provider's SevSnpVm policy denies this evidence: its owner must allow it, or use another provider"},
    {0, "PolicyParsingError", NULL,
     "the provider's SevSnpVm policy is broken: its owner must set it again, or use another provider"},
    {0, NULL, "tcb",
     "the firmware of this host is older than the service accepts, or the certificate chain is of another firmware "
     "version: start again on another host, or set attestation.certificates to get another chain"},
    {0, NULL, "vcek",
     "the certificate chain does not fit this chip and its firmware: set attestation.certificates to get it from "
     "another place"},
    {0, NULL, "runtime",
     "the report does not hold the hash of the runtime data: evidence and request are of different runs"},
    {0, "InvalidParameter", NULL,
     "the service could not verify the evidence: start again on another host; if it stays so, ask the provider's owner"
     " with the request id"},
};

static bool holds_word(struct span text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.size; i++)
        if (strncasecmp((const char *)text.data + i, word, n) == 0)
            return true;
    return false;
}

/* Codes may come as "Outer/Inner". */
static bool has_code(const struct error *e, const char *code)
{
    size_t n = strlen(code);
    return strncmp(e->service_code, code, n) == 0 &&
           (e->service_code[n] == 0 || e->service_code[n] == '/');
}

static void advise_by_cause(const struct http_reply *reply, struct error *e)
{
    for (size_t i = 0; i < COUNT(causes); i++) {
        const struct cause *c = &causes[i];
        if ((c->http && c->http != reply->status) || (c->code && !has_code(e, c->code)) ||
            (c->word && !holds_word(buf_span(&reply->body), c->word)))
            continue;
        advise(e, "%s", c->advice);
        return;
    }
    advise(e, "ask the provider's owner, with the request id");
}

static enum status nonce_new(struct buf *out, struct error *e)
{
    uint8_t bits[NONCE_BYTES];
    TRY(random_bytes(bits, sizeof bits, e));
    return hex_encode(span_of(bits, sizeof bits), out, e);
}

static enum status token_take(const struct http_reply *reply,
                              const struct attestation_request *request, const char *nonce,
                              struct secret *token, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;

    if (json_parse(buf_span(&reply->body), E_NOT_ATTESTED, &tree, e) != OK) {
        advise(
            e,
            "check attestation.provider: what answered does not speak as an attestation service does");
        return wrap(e, "the answer (HTTP %ld)", reply->status);
    }
    struct span text = span_text(json_text(tree, "token"));
    if (text.size == 0)
        return fail(e, E_NOT_ATTESTED, "the answer (HTTP %ld) holds no token", reply->status);
    TRY(attestation_check(text, request, nonce, clock_unix_s(), e));
    return secret_copy(token, text, e);
}

/* The attestation path below the provider's URL, however many slashes that ends in. */
static enum status url_write(const char *provider, struct buf *out, struct error *e)
{
    struct span base = span_text(provider);

    while (base.size && base.data[base.size - 1] == '/')
        base.size--;
    TRY(buf_add(out, base, e));
    return buf_add(out, SPAN_LITERAL(ATTEST_PATH), e);
}

static enum status exchange(struct http_session *session, const char *what,
                            const struct attestation_request *request, const char *nonce,
                            struct http_reply *reply, struct error *e)
{
    AUTO(buf_free) struct buf url = BUF(8192);
    AUTO(buf_free) struct buf body = BUF((size_t)8 << 20);
    const struct http_header headers[] = {
        {"Content-Type", SPAN_LITERAL("application/json")},
        {"Accept", SPAN_LITERAL("application/json")},
    };

    TRY(url_write(request->provider, &url, e));
    TRY(attestation_body(request, nonce, &body, e));
    const struct http_request call = {
        .what = what,
        .method = "POST",
        .url = buf_text(&url),
        .headers = headers,
        .n_headers = COUNT(headers),
        .body = buf_span(&body),
        .max_reply = REPLY_MAX,
        .retry = true, /* attesting twice changes nothing at the service */
    };
    TRY(http_call(session, &call, reply, e));
    if (reply->status / 100 == 2)
        return OK;
    enum status status = http_refusal(&call, reply, E_NOT_ATTESTED, e);
    if (status == E_NOT_ATTESTED)
        advise_by_cause(reply, e);
    return status;
}

enum status attestation_token(struct http_session *session,
                              const struct attestation_request *request, struct secret *token,
                              struct error *e)
{
    AUTO(buf_free) struct buf nonce = BUF(64);
    AUTO(http_reply_free) struct http_reply reply = {0};
    struct url provider = {0};
    char what[160];

    TRY(provider_parse(request->provider, &provider, e));
    (void)snprintf(what, sizeof what, "attestation by %.*s", (int)provider.authority.size,
                   (const char *)provider.authority.data);
    TRY(nonce_new(&nonce, e));
    TRY(exchange(session, what, request, buf_text(&nonce), &reply, e));
    if (token_take(&reply, request, buf_text(&nonce), token, e) != OK)
        return wrap(e, "%s", what);
    return OK;
}

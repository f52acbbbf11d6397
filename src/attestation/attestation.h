/*
 * attestation: evidence + runtime data → token of Microsoft Azure Attestation (POST
 * /attest/SevSnpVm). What the token must agree with is compared here, so that a mistake is named
 * here and not by the vault. The token's signature is the vault's business: it alone decides on the
 * strength of it.
 */
#ifndef DECANT_ATTESTATION_H
#define DECANT_ATTESTATION_H

#include "base/base.h"
#include "http/http.h"

struct attestation_request {
    const char *provider;         /* base URL */
    struct span report;           /* raw SNP report */
    struct span certificates;     /* PEM: VCEK, ASK, ARK */
    struct span uvm_endorsements; /* COSE_Sign1, or empty */
    struct span runtime_data; /* JSON with one key: the very bytes whose SHA-256 the report holds */
};

/* The JWT, in ASCII. E_NOT_ATTESTED if the service refuses or its token does not agree (nonce,
 * expiry, issuer, key); E_NETWORK. TOKEN must be empty. */
enum status attestation_token(struct http_session *session,
                              const struct attestation_request *request, struct secret *token,
                              struct error *e);

/* The body of the request. */
enum status attestation_body(const struct attestation_request *request, const char *nonce,
                             struct buf *out, struct error *e);

/* What attestation_token checks of an answer. TOKEN is hostile. */
enum status attestation_check(struct span token, const struct attestation_request *request,
                              const char *nonce, int64_t now_unix_s, struct error *e);

#endif

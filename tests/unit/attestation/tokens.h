/* Attestation tokens made for tests: the claims that a good one has, and changes to them. */
#ifndef DECANT_TEST_TOKENS_H
#define DECANT_TEST_TOKENS_H

#include "testing.h"

#define TOKEN_NOW 1700000000

#define TOKEN_KEY(n)                                                                               \
    "{\"e\":\"AQAB\",\"key_ops\":[\"encrypt\"],\"kid\":\"thumb\",\"kty\":\"RSA\",\"n\":\"" n "\"}"
#define TOKEN_RUNTIME "{\"keys\":[" TOKEN_KEY("v965-_") "]}"
#define ZEROS_16      "00000000000000000000000000000000"

struct claim {
    const char *name, *value; /* VALUE: JSON; NULL: no such claim */
};

static const struct claim good_claims[] = {
    {"iss", "\"https://example.neu.attest.azure.net\""},
    {"nonce", "\"0123456789abcdef\""},
    {"iat", "1700000000"},
    {"nbf", "1700000000"},
    {"exp", "1700028800"},
    {"x-ms-attestation-type", "\"sevsnpvm\""},
    {"x-ms-runtime", TOKEN_RUNTIME},
    {"x-ms-sevsnpvm-is-debuggable", "true"}, /* for the vault's policy to judge */
    {"x-ms-sevsnpvm-reportdata",
     "\"01" ZEROS_16 ZEROS_16 ZEROS_16 "000000000000000000000000000002\""},
    {"x-ms-sevsnpvm-launchmeasurement",
     "\"0a" ZEROS_16 ZEROS_16 "0000000000000000000000000000Bc\""},
    {"x-ms-sevsnpvm-hostdata", "\"c1" ZEROS_16 "000000000000000000000000000000\""},
};

/* The report that these claims are of. */
static inline void good_report(uint8_t report[static 1184])
{
    memset(report, 0, 1184);
    report[80] = 0x01;
    report[143] = 0x02;
    report[144] = 0x0a;
    report[190] = 0x00;
    report[191] = 0xbc;
    report[192] = 0xc1;
}

/* HEADER and the good claims, with the CHANGES in place of those of the same name, and new ones
 * behind. */
static inline void token_make(struct buf *out, const char *header, const struct claim *changes,
                              size_t n_changes)
{
    struct error e = {0};
    AUTO(buf_free) struct buf claims = BUF(1 << 16);
    assert_ok(buf_addf(&claims, &e, "{\"x-ms-ver\":\"1.0\""), &e);
    for (size_t i = 0; i < COUNT(good_claims); i++) {
        const char *value = good_claims[i].value;
        for (size_t k = 0; k < n_changes; k++)
            if (strcmp(changes[k].name, good_claims[i].name) == 0)
                value = changes[k].value;
        if (value)
            assert_ok(buf_addf(&claims, &e, ",\"%s\":%s", good_claims[i].name, value), &e);
    }
    assert_ok(buf_addf(&claims, &e, "}"), &e);
    assert_ok(base64_encode(span_text(header), BASE64URL, out, &e), &e);
    assert_ok(buf_addf(out, &e, "."), &e);
    assert_ok(base64_encode(buf_span(&claims), BASE64URL, out, &e), &e);
    assert_ok(buf_addf(out, &e, ".c2lnbmF0dXJl"), &e);
}

#define GOOD_HEADER                                                                                \
    "{\"alg\":\"RS256\",\"jku\":\"https://example.neu.attest.azure.net/certs\",\"kid\":\"k\",\"typ\":\"JWT\"}"

#endif

/*
 * The attestation service's token against what was sent. Mode 0: any text. Mode 1: header and
 * claims as JSON, packed as a compact JWS here. Mode 2: the answers of the service to a whole
 * exchange, whose nonce nobody can foresee.
 */
#include "attestation/attestation.h"
#include "wire.h"

#define NOW INT64_C(1700000000)
#define RUNTIME                                                                                    \
    "{\"keys\":[{\"e\":\"AQAB\",\"key_ops\":[\"encrypt\"],\"kid\":\"thumb\",\"kty\":\"RSA\",\"n\":\"v965-_\"}]}"

static uint8_t report[1184];

static struct attestation_request request_of(const char *runtime)
{
    return (struct attestation_request){
        .provider = "https://example.neu.attest.azure.net",
        .report = span_of(report, sizeof report),
        .certificates = SPAN_LITERAL("certificates"),
        .uvm_endorsements = SPAN_LITERAL("endorsements"),
        .runtime_data = span_text(runtime),
    };
}

static void packed_check(struct span *in, const struct attestation_request *request)
{
    AUTO(chunk_free) struct chunk header = take_chunk(in);
    AUTO(chunk_free) struct chunk claims = take_chunk(in);
    AUTO(buf_free) struct buf text = BUF((size_t)1 << 20);
    struct error e = {0};
    must(base64_encode(chunk_span(&header), BASE64URL, &text, &e) == OK);
    must(buf_addf(&text, &e, ".") == OK);
    must(base64_encode(chunk_span(&claims), BASE64URL, &text, &e) == OK);
    must(buf_addf(&text, &e, ".c2lnbmF0dXJl") == OK);
    must_fail_as(attestation_check(buf_span(&text), request, "0123456789abcdef", NOW, &e), &e,
                 E_NOT_ATTESTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct error e = {0};
    uint8_t mode = take_byte(&in);
    struct attestation_request request = request_of((mode & 4) != 0 ? "{\"other\":1}" : RUNTIME);
    if (mode % 4 == 0) {
        must_fail_as(attestation_check(in, &request, "0123456789abcdef", NOW, &e), &e,
                     E_NOT_ATTESTED);
    } else if (mode % 4 == 1) {
        packed_check(&in, &request);
    } else {
        AUTO(secret_free) struct secret token = {0};
        wire_open(in);
        must_fail_as(attestation_token(wire_session(), &request, &token, &e), &e, E_NOT_ATTESTED,
                     E_NETWORK);
    }
    return 0;
}

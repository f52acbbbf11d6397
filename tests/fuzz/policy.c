/*
 * A release policy and a token (or claims): does the one let the other have the key? And a
 * container policy's digest. Mode 0: both are the input's text. 1: the token's payload is, and the
 * policy comes in the vault's wrapping. 2: what becomes host data.
 */
#include "fuzz.h"
#include "policy/internal.h"

#define ROOM ((size_t)1 << 18)

static void evaluate_try(struct span policy, struct span token)
{
    AUTO(findings_free) struct findings each = {0};
    struct error e = {0}, again = {0};
    enum status status = policy_evaluate(policy, token, &each, &e);
    must_fail_as(status, &e, E_NOT_RELEASED, E_NOT_ATTESTED, E_SPACE);
    must(policy_evaluate(policy, token, NULL, &again) == status);
    must(status != OK || findings_verdict(&each, &again) == OK);
}

static void wrapped_try(struct span policy, struct span claims)
{
    AUTO(buf_free) struct buf outer = BUF(ROOM), token = BUF(ROOM);
    struct error e = {0};
    must(buf_add(&outer, SPAN_LITERAL("{\"data\":\""), &e) == OK &&
         base64_encode(policy, BASE64URL, &outer, &e) == OK &&
         buf_add(&outer, SPAN_LITERAL("\"}"), &e) == OK);
    must(buf_add(&token, SPAN_LITERAL("e30."), &e) == OK &&
         base64_encode(claims, BASE64URL, &token, &e) == OK &&
         buf_add(&token, SPAN_LITERAL(".c2ln"), &e) == OK);
    evaluate_try(buf_span(&outer), buf_span(&token));
}

static void digest_try(struct span text)
{
    uint8_t digest[SHA256_SIZE];
    struct error e = {0};
    must_fail_as(policy_host_data(text, digest, &e), &e, E_USAGE);
    must_fail_as(policy_host_data_hex(text, digest, &e), &e, E_USAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in);
    AUTO(chunk_free) struct chunk policy = take_chunk(&in);
    AUTO(chunk_free) struct chunk token = chunk_of(in);
    if (mode % 3 == 0)
        evaluate_try(chunk_span(&policy), chunk_span(&token));
    else if (mode % 3 == 1)
        wrapped_try(chunk_span(&policy), chunk_span(&token));
    else
        digest_try(chunk_span(&token));
    return 0;
}

/* A release policy from what its owner wants to hold. */
#include "policy/policy.h"

#include <string.h>

#define CLAIM_SVN "x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn"

enum status policy_host_data(struct span cce_policy, uint8_t out[static SHA256_SIZE],
                             struct error *e)
{
    AUTO(buf_free) struct buf rego = BUF(POLICY_CCE_MAX);
    struct span text = span_trim(cce_policy);
    if (text.size == 0)
        return fail(e, E_USAGE, "the container policy is empty");
    if (base64_decode(text, BASE64, &rego, E_USAGE, e) != OK) {
        advise(e, "give the value of ccePolicy as it stands in the template: base64 of Rego");
        return wrap(e, "the container policy");
    }
    return sha256(buf_span(&rego), out, e);
}

enum status policy_host_data_hex(struct span hex, uint8_t out[static SHA256_SIZE], struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(SHA256_SIZE);
    if (hex.size != (size_t)2 * SHA256_SIZE)
        return fail(e, E_USAGE, "host data have %d hexadecimal letters, not %zu", 2 * SHA256_SIZE,
                    hex.size);
    if (hex_decode(hex, &bytes, E_USAGE, e) != OK)
        return wrap(e, "host data");
    memcpy(out, bytes.data, SHA256_SIZE);
    return OK;
}

/* The vault compares the authority with the token's issuer: a base URL and nothing behind it. */
static enum status add_authority(const char *text, struct buf *out, struct error *e)
{
    struct url url = {0};
    if (url_parse(text, &url, e) != OK)
        return wrap(e, "--attestation");
    if (!url.https && !url_host_is_local(&url))
        return fail(e, E_USAGE, "--attestation: %s is no https address", text);
    if (url.query.size != 0 || (url.path.size != 0 && !span_is(url.path, "/")))
        return fail(e, E_USAGE, "--attestation: %s has a path; a base URL has none", text);
    struct span base = span_text(text);
    base.size -= url.path.size;
    return json_quote(base, out, e);
}

static enum status add_claim(const char *name, const char *value, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, ",\n        {\"claim\": \"%s\", \"equals\": ", name));
    TRY(json_quote(span_text(value), out, e));
    return buf_addf(out, e, "}");
}

/* A vault knows no "at least": every version that is good stands here. */
static enum status add_versions(const struct policy_wish *wish, struct buf *out, struct error *e)
{
    if (wish->svn_min > wish->svn_max || wish->svn_max - wish->svn_min >= POLICY_SVN_MAX)
        return fail(e, E_USAGE, "--svn wants MIN-MAX of 1 to %d versions, not %u-%u",
                    POLICY_SVN_MAX, wish->svn_min, wish->svn_max);
    TRY(buf_addf(out, e, ",\n        {\"anyOf\": ["));
    for (uint32_t i = 0; i <= wish->svn_max - wish->svn_min; i++)
        TRY(buf_addf(out, e, "%s\n          {\"claim\": \"" CLAIM_SVN "\", \"equals\": \"%u\"}",
                     i > 0 ? "," : "", wish->svn_min + i));
    return buf_addf(out, e, "\n        ]}");
}

static enum status add_environment(const struct policy_wish *wish, const char *authority,
                                   struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF((size_t)2 * SHA256_SIZE + 1);
    TRY(hex_encode(span_of(wish->host_data, SHA256_SIZE), &hex, e));
    TRY(buf_addf(out, e, "    {\n      \"authority\": "));
    TRY(add_authority(authority, out, e));
    TRY(buf_addf(out, e,
                 ",\n      \"allOf\": [\n"
                 "        {\"claim\": \"x-ms-attestation-type\", \"equals\": \"sevsnpvm\"}"));
    TRY(add_claim("x-ms-sevsnpvm-hostdata", buf_text(&hex), out, e));
    if (wish->compliance != NULL)
        TRY(add_claim("x-ms-compliance-status", wish->compliance, out, e));
    if (wish->debug_off)
        TRY(add_claim("x-ms-sevsnpvm-is-debuggable", "false", out, e));
    if (wish->has_svn)
        TRY(add_versions(wish, out, e));
    return buf_addf(out, e, "\n      ]\n    }");
}

enum status policy_write(const struct policy_wish *wish, struct buf *out, struct error *e)
{
    if (wish->n_attestation == 0) {
        (void)fail(e, E_USAGE, "no attestation service");
        advise(e, "name whose tokens the vault is to believe: --attestation URL");
        return E_USAGE;
    }
    TRY(buf_addf(out, e, "{\n  \"version\": \"1.0.0\",\n  \"anyOf\": [\n"));
    for (size_t i = 0; i < wish->n_attestation; i++) {
        TRY(buf_addf(out, e, "%s", i > 0 ? ",\n" : ""));
        TRY(add_environment(wish, wish->attestation[i], out, e));
    }
    return buf_addf(out, e, "\n  ]\n}\n");
}

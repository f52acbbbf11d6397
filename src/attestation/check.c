/*
 * What the token of the attestation service says, compared with what was sent. The token is
 * hostile: whoever answers in the service's place writes it. It is read as a compact JWS (RFC 7515)
 * of a JWT (RFC 7519) with the claims of a SevSnpVm token (Azure Attestation, "claim sets").
 * Promises: a token that passes answers this nonce, is of this provider, is in date, and vouches
 * for this report and this key. The signature is left to the vault.
 */
#include "attestation/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

enum { CLOCK_SKEW_S = 300 };

/* Claims that repeat a part of the report, in hexadecimal. Offsets: AMD 56860, ATTESTATION_REPORT.
 */
static const struct part {
    const char *claim;
    size_t at, size;
} parts[] = {
    {"x-ms-sevsnpvm-reportdata", 80, 64},
    {"x-ms-sevsnpvm-launchmeasurement", 144, 48},
    {"x-ms-sevsnpvm-hostdata", 192, 32},
};

/* One of the three parts of a compact JWS; TOKEN moves on behind it and its point. */
static struct span part_next(struct span *token)
{
    const uint8_t *point = token->size ? memchr(token->data, '.', token->size) : NULL;
    size_t n = point ? (size_t)(point - token->data) : token->size;
    struct span part = span_of(token->data, n);

    *token = point ? span_of(point + 1, token->size - n - 1) : span_of(token->data + n, 0);
    return part;
}

static enum status part_decode(struct span part, const char *what, struct buf *out, struct error *e)
{
    if (part.size == 0)
        return fail(e, E_NOT_ATTESTED, "the token has no %s", what);
    if (base64_decode(part, BASE64URL, out, E_NOT_ATTESTED, e) != OK)
        return wrap(e, "the token's %s", what);
    return OK;
}

static enum status part_parse(struct span part, const char *what, struct cJSON **out,
                              struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(TOKEN_MAX);

    TRY(part_decode(part, what, &text, e));
    if (json_parse(buf_span(&text), E_NOT_ATTESTED, out, e) != OK)
        return wrap(e, "the token's %s", what);
    return OK;
}

static enum status header_check(struct span part, struct error *e)
{
    AUTO(json_free) struct cJSON *header = NULL;

    TRY(part_parse(part, "header", &header, e));
    const char *algorithm = json_text(header, "alg");
    /* The service signs with RS256 only; "none" and the HMACs are the classic ways to forge. */
    if (!algorithm || strcmp(algorithm, "RS256") != 0)
        return fail(e, E_NOT_ATTESTED, "the token is signed with \"%.32s\" instead of RS256",
                    algorithm ? algorithm : "");
    if (json_member(header,
                    "crit")) /* RFC 7515, 4.1.11: what we do not understand we must refuse */
        return fail(e, E_NOT_ATTESTED, "the token's header has critical extensions");
    return OK;
}

static enum status text_check(const struct cJSON *claims, const char *name, const char *expected,
                              struct error *e)
{
    const char *text = json_text(claims, name);
    if (!text)
        return fail(e, E_NOT_ATTESTED, "the token has no claim %s", name);
    if (strcmp(text, expected) != 0)
        return fail(e, E_NOT_ATTESTED, "the token's claim %s is \"%.64s\" instead of \"%.64s\"",
                    name, text, expected);
    return OK;
}

static bool same_letters(struct span a, struct span b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

static enum status issuer_check(const struct cJSON *claims, const char *provider, struct error *e)
{
    struct url want = {0}, got = {0};
    struct error ignored = {0};
    const char *issuer = json_text(claims, "iss");

    TRY(provider_parse(provider, &want, e));
    if (!issuer || url_parse(issuer, &got, &ignored) != OK || got.https != want.https ||
        got.port != want.port || !same_letters(got.host, want.host))
        return fail(e, E_NOT_ATTESTED, "the token was issued by \"%.128s\", not by %.128s",
                    issuer ? issuer : "", provider);
    return OK;
}

static void time_show(int64_t unix_s, char out[static 32])
{
    struct tm tm = {0};
    time_t t = (time_t)unix_s;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, 32, "(no time)");
}

static enum status time_refuse(const char *how, int64_t then_s, int64_t now_s, struct error *e)
{
    char then[32], now[32];
    time_show(then_s, then);
    time_show(now_s, now);
    (void)fail(e, E_NOT_ATTESTED, "the token %s %s, and the clock here says %s", how, then, now);
    advise(e, "a token that was just issued is in date: set this machine's clock");
    return E_NOT_ATTESTED;
}

static enum status times_check(const struct cJSON *claims, int64_t now_s, struct error *e)
{
    uint64_t expires = 0, from = 0;

    if (!json_number(claims, "exp", &expires))
        return fail(e, E_NOT_ATTESTED, "the token does not say when it expires");
    if ((int64_t)expires <= now_s - CLOCK_SKEW_S)
        return time_refuse("expired at", (int64_t)expires, now_s, e);
    if (!json_member(claims, "nbf"))
        return OK;
    if (!json_number(claims, "nbf", &from))
        return fail(e, E_NOT_ATTESTED, "the token's claim nbf is no time");
    if ((int64_t)from > now_s + CLOCK_SKEW_S)
        return time_refuse("is not valid before", (int64_t)from, now_s, e);
    return OK;
}

/* The members of an RSA JWK that make it this key. */
static enum status key_check(const struct cJSON *got, const struct cJSON *want, struct error *e)
{
    static const char *const members[] = {"kty", "kid", "n", "e"};

    for (size_t i = 0; i < COUNT(members); i++) {
        const char *a = json_text(got, members[i]), *b = json_text(want, members[i]);
        if (!b)
            return fail(e, E_BUG, "attestation: the runtime data's key has no \"%s\"", members[i]);
        if (!a || strcmp(a, b) != 0)
            return fail(e, E_NOT_ATTESTED,
                        "the token vouches for another key: \"%s\" differs from what was sent",
                        members[i]);
    }
    return OK;
}

/* The runtime data come back parsed, as the claim x-ms-runtime. A vault takes its first key. */
static enum status runtime_check(const struct cJSON *claims, struct span runtime_data,
                                 struct error *e)
{
    AUTO(json_free) struct cJSON *sent = NULL;
    const struct cJSON *got = json_object(claims, "x-ms-runtime");

    if (json_parse(runtime_data, E_BUG, &sent, e) != OK)
        return wrap(e, "runtime data");
    if (!got)
        return fail(e, E_NOT_ATTESTED, "the token has no claim x-ms-runtime");
    const struct cJSON *want_keys = json_array(sent, "keys");
    const struct cJSON *got_keys = json_array(got, "keys");
    if (want_keys) {
        if (!got_keys || cJSON_GetArraySize(got_keys) != cJSON_GetArraySize(want_keys))
            return fail(e, E_NOT_ATTESTED,
                        "the token's claim x-ms-runtime has not the key that was sent");
        return key_check(cJSON_GetArrayItem(got_keys, 0), cJSON_GetArrayItem(want_keys, 0), e);
    }
    if (!cJSON_Compare(got, sent, true))
        return fail(e, E_NOT_ATTESTED, "the token's claim x-ms-runtime is not what was sent");
    return OK;
}

static enum status report_check(const struct cJSON *claims, struct span report, struct error *e)
{
    for (size_t i = 0; i < COUNT(parts); i++) {
        AUTO(buf_free) struct buf hex = BUF(256);
        const char *text = json_text(claims, parts[i].claim);

        if (!json_member(claims, parts[i].claim))
            continue; /* a provider's policy may leave claims out */
        if (report.size < parts[i].at + parts[i].size)
            return fail(e, E_BUG, "attestation: the report has %zu bytes", report.size);
        TRY(hex_encode(span_of(report.data + parts[i].at, parts[i].size), &hex, e));
        if (!text || !same_letters(span_text(text), buf_span(&hex)))
            return fail(e, E_NOT_ATTESTED, "the token's claim %s is not what the report says",
                        parts[i].claim);
    }
    return OK;
}

static enum status claims_check(const struct cJSON *claims,
                                const struct attestation_request *request, const char *nonce,
                                int64_t now_unix_s, struct error *e)
{
    TRY(text_check(claims, "nonce", nonce, e));
    TRY(issuer_check(claims, request->provider, e));
    TRY(times_check(claims, now_unix_s, e));
    TRY(text_check(claims, "x-ms-attestation-type", "sevsnpvm", e));
    TRY(runtime_check(claims, request->runtime_data, e));
    return report_check(claims, request->report, e);
}

enum status attestation_check(struct span token, const struct attestation_request *request,
                              const char *nonce, int64_t now_unix_s, struct error *e)
{
    AUTO(json_free) struct cJSON *claims = NULL;
    AUTO(buf_free) struct buf signature = BUF(TOKEN_MAX);

    if (token.size == 0 || token.size > TOKEN_MAX)
        return fail(e, E_NOT_ATTESTED, "the token has %zu bytes", token.size);
    struct span rest = token;
    struct span header = part_next(&rest), payload = part_next(&rest), tail = part_next(&rest);
    if (rest.size || token.data[token.size - 1] == '.')
        return fail(e, E_NOT_ATTESTED, "the token has not the three parts of a signed JWT");
    TRY(header_check(header, e));
    TRY(part_parse(payload, "payload", &claims, e));
    TRY(part_decode(tail, "signature", &signature, e));
    return claims_check(claims, request, nonce, now_unix_s, e);
}

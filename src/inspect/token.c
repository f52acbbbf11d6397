/*
 * A token of the attestation service: a JWT (RFC 7519), signed with RS256 by a key of the set that
 * the service publishes. The set is given as a file here: offline there is nobody to ask.
 */
#include "inspect/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#include "key/key.h"

#define CLAIMS_MAX    300
#define NAME_MAX_SIZE 128
#define CLAIM_DEPTH   6

bool looks_like_jws(struct span text)
{
    size_t points = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
        points += text.data[i] == '.';
    }
    return points == 2 && span_starts(text, "ey");
}

static enum status parse(struct span token, struct key_jws *jws, struct cJSON **claims,
                         struct error *e)
{
    TRY(key_jws_parse(token, jws, e));
    return json_parse(buf_span(&jws->payload), E_BAD_KEY, claims, e);
}

enum status token_claims(struct span token, struct cJSON **out, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    return parse(token, &jws, out, e);
}

/* ---- Claims ---- */

static enum status note_claim(struct subject *s, const char *name, const struct cJSON *claim,
                              struct error *e)
{
    if (cJSON_IsString(claim))
        return finding_note(s->findings, name, e, "%s", claim->valuestring);
    if (cJSON_IsNumber(claim))
        return finding_note(s->findings, name, e, "%.17g", claim->valuedouble);
    if (cJSON_IsBool(claim))
        return finding_note(s->findings, name, e, "%s", cJSON_IsTrue(claim) ? "true" : "false");
    return finding_note(s->findings, name, e, "%s",
                        cJSON_IsArray(claim) ? "(a list)" : "(nothing)");
}

/* Nested claims by their path, as a release policy names them. */
static enum status note_claims(struct subject *s, const char *prefix, const struct cJSON *object,
                               int depth, struct error *e)
{
    const struct cJSON *claim = NULL;
    cJSON_ArrayForEach(claim, object)
    {
        char name[NAME_MAX_SIZE];
        const char *own = claim->string != NULL ? claim->string : "";
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", own);
        if (s->findings->n > CLAIMS_MAX)
            return finding_note(s->findings, "…", e, "more claims than are shown");
        if (cJSON_IsObject(claim) && depth < CLAIM_DEPTH)
            TRY(note_claims(s, name, claim, depth + 1, e));
        else
            TRY(note_claim(s, name, claim, e));
    }
    return OK;
}

/* ---- Verifying ---- */

static enum status check_signature(struct subject *s, const struct key_jws *jws, struct error *e)
{
    AUTO(buf_free) struct buf set = BUF(0);
    const char *url = json_text(jws->header, "jku");
    struct error why = {0};
    if (s->options->jwks == NULL)
        return unverified(s, "token's signature", E_NOT_ATTESTED, e,
                          "that needs the service's keys (--jwks FILE, from %.200s)",
                          url != NULL ? url : "its /certs");
    TRY(file_read(s->options->jwks, TEXT_MAX, &set, E_USAGE, e));
    enum status status = key_jws_verify_set(jws, buf_span(&set), &why);
    if (status == E_BAD_KEY)
        why.status = status = E_NOT_ATTESTED;
    return finding_check(s->findings, "token's signature", status, &why, e,
                         "by the key \"%.100s\" of the given set",
                         json_text(jws->header, "kid"));
}

/* A token may name any address for its keys: they are the issuer's only at the issuer's host. */
static enum status check_issuer(struct subject *s, const struct key_jws *jws,
                                const struct cJSON *claims, struct error *e)
{
    const char *issuer = json_text(claims, "iss"), *keys = json_text(jws->header, "jku");
    struct url a = {0}, b = {0};
    struct error why = {0};
    enum status status = OK;
    if (issuer == NULL || url_parse(issuer, &a, &why) != OK)
        status = fail(&why, E_NOT_ATTESTED, "the claim iss is no address");
    else if (keys != NULL &&
             (url_parse(keys, &b, &why) != OK || a.port != b.port || a.https != b.https ||
              a.host.size != b.host.size ||
              strncasecmp((const char *)a.host.data, (const char *)b.host.data, a.host.size) != 0))
        status = fail(&why, E_NOT_ATTESTED, "%.200s, but its keys are to be had at %.200s", issuer,
                      keys);
    return finding_check(s->findings, "issuer", status, &why, e, "%.200s", issuer);
}

static enum status check_times(struct subject *s, const struct cJSON *claims, struct error *e)
{
    uint64_t from = 0, to = 0;
    struct error why = {0};
    if (!json_number(claims, "exp", &to) ||
        (json_member(claims, "nbf") != NULL && !json_number(claims, "nbf", &from))) {
        (void)!fail(&why, E_NOT_ATTESTED, "the claims exp and nbf are no times");
        return finding_fail(s->findings, "token's dates", &why, e);
    }
    return check_dates(s, "token's dates", (int64_t)from, (int64_t)to, E_NOT_ATTESTED, e);
}

/* A receipt's token was good when the receipt was made, and is not needed afterwards: OFFLINE. */
enum status verify_token(struct subject *s, struct span token, bool offline, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    AUTO(json_free) struct cJSON *claims = NULL;
    TRY(parse(token, &jws, &claims, e));
    TRY(check_issuer(s, &jws, claims, e));
    if (!offline)
        TRY(check_times(s, claims, e));
    if (offline && s->options->jwks == NULL)
        return finding_skip(s->findings, "token's signature", e,
                            "not verified: that needs the service's keys (--jwks FILE)");
    return check_signature(s, &jws, e);
}

static enum status check_claimed_host_data(struct subject *s, const struct cJSON *claims,
                                           struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(128);
    const char *hex = json_text(claims, "x-ms-sevsnpvm-hostdata");
    struct error why = {0};
    if (!s->expects_host_data)
        return OK;
    if (hex != NULL && hex_decode(span_text(hex), &bytes, E_MISMATCH, &why) == OK)
        return check_host_data(s, buf_span(&bytes), e);
    (void)!fail(&why, E_MISMATCH, "the token has no host data");
    return finding_fail(s->findings, "host data", &why, e);
}

enum status explain_token(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    AUTO(json_free) struct cJSON *claims = NULL;
    struct span token = span_trim(c->json != NULL ? span_text(json_text(c->json, "token"))
                                                  : c->bytes);
    TRY(parse(token, &jws, &claims, e));
    TRY(note_claims(s, "header", jws.header, 0, e));
    TRY(note_claims(s, "", claims, 0, e));
    TRY(verify_token(s, token, false, e));
    return check_claimed_host_data(s, claims, e);
}

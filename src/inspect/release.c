/*
 * A vault's release of a key: a JWS whose signer is the vault, by its TLS certificate. The key in it
 * is wrapped to an ephemeral pair: nobody but that run can open it.
 */
#include "inspect/internal.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "key/key.h"

static enum status note_text(struct subject *s, const char *step, const struct cJSON *object,
                             const char *name, struct error *e)
{
    const char *text = json_text(object, name);
    return finding_note(s->findings, step, e, "%s", text != NULL ? text : "it does not say");
}

/* The policy that the key has, as far as its authorities. */
static enum status note_policy(struct subject *s, const struct cJSON *key, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(TEXT_MAX), names = BUF(TEXT_MAX);
    AUTO(json_free) struct cJSON *policy = NULL;
    const char *data = json_text(json_object(key, "release_policy"), "data");
    const struct cJSON *environment = NULL;
    struct error ignored = {0};
    if (data == NULL ||
        base64_decode(span_text(data), BASE64URL, &text, E_BAD_KEY, &ignored) != OK ||
        json_parse(buf_span(&text), E_BAD_KEY, &policy, &ignored) != OK)
        return finding_note(s->findings, "release policy", e, "none that can be read");
    cJSON_ArrayForEach(environment, json_array(policy, "anyOf"))
    {
        const char *authority = json_text(environment, "authority");
        TRY(buf_addf(&names, e, "%s%s", names.size > 0 ? ", " : "",
                     authority != NULL ? authority : "?"));
    }
    return finding_note(s->findings, "release policy", e, "%zu bytes, for tokens of %s", text.size,
                        names.size > 0 ? buf_text(&names) : "nobody");
}

static enum status note_payload(struct subject *s, const struct cJSON *payload, struct error *e)
{
    const struct cJSON *request = json_object(payload, "request");
    const struct cJSON *key = json_object(json_object(payload, "response"), "key");
    const struct cJSON *jwk = json_object(key, "key");
    TRY(note_text(s, "asked for", request, "kid", e));
    TRY(note_text(s, "wrapping", request, "enc", e));
    TRY(note_text(s, "nonce", request, "nonce", e));
    TRY(note_text(s, "key", jwk, "kid", e));
    TRY(note_text(s, "key type", jwk, "kty", e));
    TRY(note_policy(s, key, e));
    return finding_skip(s->findings, "key itself", e,
                        "wrapped to a pair that only the asking run had");
}

/* What was released is what was asked for. */
static enum status check_kids(struct subject *s, const struct cJSON *payload, struct error *e)
{
    const struct cJSON *key = json_object(json_object(payload, "response"), "key");
    const char *asked = json_text(json_object(payload, "request"), "kid");
    const char *got = json_text(json_object(key, "key"), "kid");
    struct key_id a = {0}, b = {0};
    struct error why = {0};
    enum status status = OK;
    if (asked == NULL || got == NULL || key_id_parse(asked, &a, &why) != OK ||
        key_id_parse(got, &b, &why) != OK || !key_id_matches(&a, &b))
        status = fail(&why, E_BAD_KEY, "the key is not the one that was asked for");
    return finding_check(s->findings, "key id", status, &why, e, "the key is what was asked for");
}

static enum status check_chain(struct subject *s, const struct key_jws *jws,
                               const struct cJSON *payload, struct error *e)
{
    const char *kid = json_text(json_object(payload, "request"), "kid");
    struct key_id id = {0};
    struct error why = {0};
    char now[DATE_SIZE];
    enum status status = key_id_parse(kid != NULL ? kid : "", &id, &why);
    if (status == OK) {
        const struct key_trust trust = {.ca_file = s->options->ca_file,
                                        .host = &id.url,
                                        .now_unix_s = s->options->now_unix_s};
        status = key_jws_verify(jws, &trust, &why);
    } else {
        why.status = status = E_BAD_KEY;
    }
    return finding_check(s->findings, "certificates", status, &why, e,
                         "to a root of %s, for %.*s, good at %s",
                         s->options->ca_file != NULL ? s->options->ca_file : "this system",
                         (int)id.url.host.size, (const char *)id.url.host.data,
                         date_text(s->options->now_unix_s, now));
}

enum status explain_release(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(key_jws_free) struct key_jws jws = {0};
    AUTO(json_free) struct cJSON *payload = NULL;
    struct error why = {0};
    struct span text = span_trim(c->json != NULL ? span_text(json_text(c->json, "value"))
                                                 : c->bytes);
    TRY(key_jws_parse(text, &jws, e));
    TRY(json_parse(buf_span(&jws.payload), E_BAD_KEY, &payload, e));
    TRY(note_text(s, "algorithm", jws.header, "alg", e));
    TRY(note_payload(s, payload, e));
    TRY(check_kids(s, payload, e));
    enum status status = key_jws_verify_leaf(&jws, &why);
    TRY(finding_check(s->findings, "signature", status, &why, e,
                      "by the certificate that it brings along"));
    return check_chain(s, &jws, payload, e);
}

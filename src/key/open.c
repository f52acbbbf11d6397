/*
 * Opening a release: everything the vault's answer says is held against what was asked before its
 * key is unwrapped, and the key against its own public half afterwards. The answer is hostile, also
 * once its signature holds: it could be the good answer to another question. Format: Key Vault REST
 * "release", the payload {"request": {…}, "response": {"key": {"key": {…}, "attributes": {…}}}}.
 */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <string.h>

#define KEY_HSM_MAX (32u * 1024u)

struct release {
    const struct cJSON *request; /* these borrow from the payload's tree */
    const struct cJSON *jwk;
    const struct cJSON *attributes;
    const char *kid;
    const struct key_wrapping *wrapping;
};

/* The same key, and of the version asked for if one was asked for. */
static enum status check_kid(const struct key_id *asked, const char *text, const char *where,
                             struct error *e)
{
    struct key_id got;

    if (text == NULL)
        return fail(e, E_BAD_KEY, "release: %s has no kid", where);
    if (key_id_parse(text, &got, e) != OK)
        return fail(e, E_BAD_KEY, "release: the kid of %s is no key id", where);
    if (!key_id_matches(asked, &got) || (asked->version.size != 0 && got.version.size == 0))
        return fail(e, E_BAD_KEY, "release: the kid of %s is not the key that was asked for",
                    where);
    return OK;
}

static enum status check_request(struct release *r, const struct key_id *asked, const char *nonce,
                                 struct error *e)
{
    const char *enc = json_text(r->request, "enc");
    const char *echo = json_text(r->request, "nonce");

    TRY(check_kid(asked, json_text(r->request, "kid"), "the request", e));
    r->wrapping = key_wrapping_find(enc);
    if (r->wrapping == NULL)
        return fail(e, E_BAD_KEY, "release: enc is none of the known ways to wrap");
    if (nonce != NULL && strcmp(enc, KEY_ENC) != 0)
        return fail(e, E_BAD_KEY, "release: enc is not what was asked for");
    if (nonce != NULL && (echo == NULL || !span_is(span_text(nonce), echo)))
        return fail(e, E_BAD_KEY, "release: the nonce is not the one that was sent");
    return OK;
}

static enum status check_response(struct release *r, const struct key_id *asked, struct error *e)
{
    const struct cJSON *enabled = json_member(r->attributes, "enabled");

    r->kid = json_text(r->jwk, "kid");
    TRY(check_kid(asked, r->kid, "the response", e));
    if (enabled != NULL && !cJSON_IsTrue(enabled))
        return fail(e, E_BAD_KEY, "release: the key is not enabled");
    return OK;
}

static enum status read_payload(const struct cJSON *payload, const struct key_id *asked,
                                const char *nonce, struct release *r, struct error *e)
{
    const struct cJSON *key = json_object(json_object(payload, "response"), "key");

    *r = (struct release){.request = json_object(payload, "request"),
                          .jwk = json_object(key, "key"),
                          .attributes = json_member(key, "attributes")};
    if (r->request == NULL || r->jwk == NULL)
        return fail(e, E_BAD_KEY, "release: the answer lacks its request or its key");
    if (r->attributes != NULL && !cJSON_IsObject(r->attributes))
        return fail(e, E_BAD_KEY, "release: the key's attributes are no object");
    TRY(check_request(r, asked, nonce, e));
    return check_response(r, asked, e);
}

/* key_hsm: base64url of {"schema_version", "header": {"kid", "alg", "enc"}, "ciphertext"}. A member
 * that says another format than the one known here is refused. */
static enum status read_ciphertext(const struct release *r, struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(KEY_HSM_MAX);
    AUTO(json_free) struct cJSON *tree = NULL;
    const char *packed = json_text(r->jwk, "key_hsm");
    const struct cJSON *header;
    const char *ciphertext;

    if (packed == NULL || strlen(packed) > KEY_HSM_MAX)
        return fail(e, E_BAD_KEY, "release: no key_hsm, or a very long one");
    if (base64_decode(span_text(packed), BASE64URL, &text, E_BAD_KEY, e) != OK ||
        json_parse(buf_span(&text), E_BAD_KEY, &tree, e) != OK)
        return wrap(e, "release: key_hsm");
    header = json_object(tree, "header");
    const struct {
        const struct cJSON *in;
        const char *name, *value;
        bool required;
    } fixed[] = {{tree, "schema_version", "1.0", false},
                 {header, "alg", "dir", false},
                 {header, "enc", r->wrapping->enc, true}};
    for (size_t i = 0; i < COUNT(fixed); i++) {
        const char *value = json_text(fixed[i].in, fixed[i].name);
        const bool absent = json_member(fixed[i].in, fixed[i].name) == NULL;

        if (absent ? fixed[i].required : value == NULL || strcmp(value, fixed[i].value) != 0)
            return fail(e, E_BAD_KEY, "release: the %s of key_hsm is not %s", fixed[i].name,
                        fixed[i].value);
    }
    ciphertext = json_text(tree, "ciphertext");
    if (ciphertext == NULL || strlen(ciphertext) > KEY_CIPHERTEXT_MAX / 3 * 4)
        return fail(e, E_BAD_KEY, "release: no ciphertext, or a very long one");
    if (base64_decode(span_text(ciphertext), BASE64URL, out, E_BAD_KEY, e) != OK)
        return wrap(e, "release: ciphertext");
    return OK;
}

static enum status take_octets(struct span plain, struct kek *k, struct error *e)
{
    if (plain.size != 16 && plain.size != 24 && plain.size != 32)
        return fail(e, E_BAD_KEY, "release: a symmetric key of %zu bytes", plain.size);
    return secret_copy(&k->octets, plain, e);
}

static enum status take_pair(struct span plain, const struct release *r, enum key_type type,
                             struct kek *k, struct error *e)
{
    AUTO(key_pkey_free) EVP_PKEY *public_key = NULL;

    if (key_jwk_public(r->jwk, type, &public_key, e) != OK)
        return wrap(e, "release: the public half");
    if (key_pair_from_pkcs8(plain, type, public_key, &k->pair, e) != OK)
        return wrap(e, "release");
    return OK;
}

static enum status unwrap_key(const struct release *r, EVP_PKEY *pair, struct kek *out,
                              struct error *e)
{
    AUTO(buf_free) struct buf ciphertext = BUF(KEY_CIPHERTEXT_MAX + 4);
    AUTO(secret_free) struct secret plain = {0};
    AUTO(kek_free) struct kek k = {0};
    enum key_type type;

    if (key_type_of(r->jwk, &type, e) != OK)
        return wrap(e, "release");
    TRY(key_name(&k, r->kid, E_BAD_KEY, e));
    TRY(read_ciphertext(r, &ciphertext, e));
    if (key_unwrap(pair, r->wrapping, buf_span(&ciphertext), &plain, e) != OK)
        return wrap(e, "release");
    if (type == KEY_OCT)
        TRY(take_octets(secret_view(&plain), &k, e));
    else
        TRY(take_pair(secret_view(&plain), r, type, &k, e));
    *out = k;
    k = (struct kek){0};
    return OK;
}

enum status key_open_release(struct span jws, const struct key_release_request *request,
                             const char *nonce, int64_t now_unix_s, struct kek *out,
                             struct error *e)
{
    AUTO(key_jws_free) struct key_jws parsed = {0};
    AUTO(json_free) struct cJSON *payload = NULL;
    struct key_id asked;
    struct release release;

    TRY(key_id_parse(request->kid, &asked, e));
    const struct key_trust trust = {
        .ca_file = request->ca_file, .host = &asked.url, .now_unix_s = now_unix_s};
    TRY(key_jws_parse(jws, &parsed, e));
    TRY(key_jws_verify(&parsed, &trust, e));
    if (json_parse(buf_span(&parsed.payload), E_BAD_KEY, &payload, e) != OK)
        return wrap(e, "release: payload");
    TRY(read_payload(payload, &asked, nonce, &release, e));
    return unwrap_key(&release, request->offer->pair, out, e);
}

/*
 * The public half of a recipient's key: from a vault (GET KID, Key Vault and Managed HSM REST, 7.4),
 * from a file, or from the job itself. Nothing is released and nothing attested for it.
 *
 * Who answers for the vault decides who can read what is sealed: the answer is believed because of
 * its TLS connection, and must name the key that was asked for.
 */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define API_VERSION "7.4"
#define TEXT_MAX    (64u * 1024u)
#define TIMEOUT_MS  30000

static void bio_free(BIO **bio)
{
    (void)BIO_free(*bio);
    *bio = NULL;
}

static enum status from_jwk(const struct cJSON *jwk, struct kek *out, struct error *e)
{
    enum key_type type;
    TRY(key_type_of(jwk, &type, e));
    if (type != KEY_RSA)
        return fail(e, E_BAD_KEY, "JWK: kty is not RSA, and only RSA keys can be recipients");
    return key_jwk_public(jwk, type, &out->pair, e);
}

static enum status from_pem(struct span text, struct kek *out, struct error *e)
{
    AUTO(bio_free) BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    AUTO(key_pkey_free) EVP_PKEY *key = NULL;

    if (bio == NULL)
        return fail_openssl(e, E_BUG, "cannot read PEM");
    key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    if (key == NULL) {
        ERR_clear_error();
        return fail(e, E_BAD_KEY, "neither JWK nor a PEM public key");
    }
    if (!EVP_PKEY_is_a(key, "RSA"))
        return fail(e, E_BAD_KEY, "not an RSA key, and only RSA keys can be recipients");
    out->pair = key;
    key = NULL;
    return OK;
}

static enum status from_text(struct span text, struct kek *out, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;

    text = span_trim(text);
    if (text.size > TEXT_MAX)
        return fail(e, E_BAD_KEY, "more than %u bytes", TEXT_MAX);
    if (!span_starts(text, "{"))
        return from_pem(text, out, e);
    TRY(json_parse(text, E_BAD_KEY, &tree, e));
    return from_jwk(tree, out, e);
}

enum status key_public_from_text(struct span text, const char *kid, struct kek *out,
                                 struct error *e)
{
    AUTO(kek_free) struct kek k = {0};
    enum status status = from_text(text, &k, e);

    if (status == E_BAD_KEY) {
        e->status = E_USAGE; /* the job gave it */
        advise(e, "give an RSA public key as PEM (-----BEGIN PUBLIC KEY-----) or as a JWK");
        return E_USAGE;
    }
    TRY(status);
    TRY(key_name(&k, kid, E_USAGE, e));
    *out = k;
    k = (struct kek){0};
    return OK;
}

enum status key_public_from_file(const char *path, const char *kid, struct kek *out,
                                 struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(TEXT_MAX);

    TRY(file_read(path, TEXT_MAX, &text, E_USAGE, e));
    if (key_public_from_text(buf_span(&text), kid, out, e) != OK)
        return wrap(e, "key file %s", path);
    return OK;
}

/* ---- From the vault ---- */

/* The id in the answer, which has a version: blobs name the version that they were made for. */
static enum status take_id(const struct cJSON *key, const struct key_id *asked, struct kek *out,
                           struct error *e)
{
    struct key_id told;
    const char *kid = json_text(key, "kid");

    if (kid == NULL || key_id_parse(kid, &told, e) != OK)
        return fail(e, E_BAD_KEY, "the vault's answer has no key id");
    if (!key_id_matches(&told, asked) || told.version.size == 0)
        return fail(e, E_BAD_KEY, "the vault's answer is for another key, %.200s", kid);
    return key_name(out, kid, E_BAD_KEY, e);
}

static enum status take_answer(const struct cJSON *answer, const struct key_id *asked,
                               struct kek *out, struct error *e)
{
    const struct cJSON *key = json_object(answer, "key");
    const struct cJSON *enabled = json_member(json_object(answer, "attributes"), "enabled");

    if (key == NULL)
        return fail(e, E_BAD_KEY, "the vault's answer has no key");
    if (cJSON_IsFalse(enabled)) {
        (void)fail(e, E_NOT_RELEASED, "the key is disabled: nobody could read what is sealed");
        advise(e, "enable the key in the vault, or choose another");
        return E_NOT_RELEASED;
    }
    TRY(take_id(key, asked, out, e));
    return from_jwk(key, out, e);
}

static enum status ask(struct http_session *session, const struct key_id *id, const char *kid,
                       struct span bearer, struct kek *out, struct error *e)
{
    AUTO(json_free) struct cJSON *answer = NULL;
    AUTO(buf_free) struct buf url = BUF(1024);
    AUTO(kek_free) struct kek k = {0};

    TRY(buf_addf(&url, e, "%s?api-version=" API_VERSION, kid));
    const struct key_call get = {
        .what = "public key",
        .method = "GET",
        .url = buf_text(&url),
        .bearer = bearer,
        .timeout_ms = TIMEOUT_MS,
        .direct = url_host_is_local(&id->url),
    };
    TRY(key_call(session, &get, &answer, e));
    TRY(take_answer(answer, id, &k, e));
    *out = k;
    k = (struct kek){0};
    return OK;
}

enum status key_public_from_vault(struct http_session *session, const char *kid, struct span bearer,
                                  struct kek *out, struct error *e)
{
    struct key_id id;

    TRY(key_id_parse(kid, &id, e));
    if (ask(session, &id, kid, bearer, out, e) != OK)
        return wrap(e, "key %s", kid);
    return OK;
}

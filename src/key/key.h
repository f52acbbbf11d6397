/*
 * key: from an ephemeral RSA pair, over the vault's or a sidecar's release, to a `struct kek`.
 * Sources: Key Vault and Managed HSM REST "release", RFC 7515 (JWS), RFC 7517 (JWK), RFC 7638
 * (thumbprint), RFC 5649 (AES key wrap with padding), PKCS #11 CKM_RSA_AES_KEY_WRAP.
 */
#ifndef DECANT_KEY_H
#define DECANT_KEY_H

#include "base/base.h"
#include "http/http.h"

/* ---- The offer: the ephemeral pair that the released key is wrapped to ---- */

struct key_offer {
    struct evp_pkey_st *pair; /* RSA-2048, made for this run */
    struct buf runtime_data;  /* {"keys":[{…}]}: hashed into the report and sent, one buffer */
};

enum status key_offer_new(struct key_offer *out, struct error *e);
/* The same from a given pair (takes a reference), for known-answer tests. */
enum status key_offer_of(struct evp_pkey_st *pair, struct key_offer *out, struct error *e);
void key_offer_free(struct key_offer *offer);

/* ---- Key ids ---- */

/* https://HOST[:PORT]/keys/NAME[/VERSION] */
struct key_id {
    struct url url;
    struct span name, version; /* version may be empty */
};

/* E_USAGE. Borrows from TEXT. */
enum status key_id_parse(const char *text, struct key_id *out, struct error *e);
/* The same host, port, name and, if both have one, version; letters in any case. */
bool key_id_matches(const struct key_id *a, const struct key_id *b);

/* ---- Three ways to a key ---- */

struct key_release_request {
    const char *kid;    /* key id URL */
    struct span token;  /* of the attestation service */
    struct span bearer; /* access token for the vault */
    const struct key_offer *offer;
    const char *ca_file; /* trust store for the JWS's x5c chain; NULL: the system's */
    int64_t patience_ms; /* how long to wait one's turn at a vault that throttles */
};

/* POST KID/release, verify the answer fully, unwrap. E_NOT_RELEASED, E_BAD_KEY, E_NETWORK. OUT must
 * be empty. */
enum status key_release(struct http_session *session, const struct key_release_request *request,
                        struct kek *out, struct error *e);

/* What key_release does with the service's answer; JWS is hostile. NONCE is what was sent, NULL to
 * accept any (for `inspect` and recorded answers). E_BAD_KEY. */
enum status key_open_release(struct span jws, const struct key_release_request *request,
                             const char *nonce, int64_t now_unix_s, struct kek *out,
                             struct error *e);

struct key_sidecar_request {
    const char *sidecar;  /* base URL of the SKR sidecar */
    const char *kid;      /* key id URL */
    const char *provider; /* attestation service: its host goes into the request */
    struct span bearer;   /* access token for the vault, or empty: the sidecar's own */
};

enum status key_from_sidecar(struct http_session *session,
                             const struct key_sidecar_request *request, struct kek *out,
                             struct error *e);

/* PEM (PKCS#8, PKCS#1, SEC1; unencrypted) or JWK (private RSA or EC, or oct). E_USAGE if it is not
 * there or not one. */
enum status key_from_file(const char *path, const char *kid, struct kek *out, struct error *e);

/* A private JWK (RFC 7517, RFC 7518). JWK is hostile and secret. E_BAD_KEY. */
enum status key_from_jwk(struct span jwk, struct kek *out, struct error *e);

/* The private JWK of KEK, one line: what key_from_jwk takes. OUT must be empty. */
enum status key_to_jwk(const struct kek *kek, struct secret *out, struct error *e);

/* ---- A key as its vault describes it: nothing is released ---- */

struct key_facts {
    char kid[512]; /* with its version */
    char kty[16];
    bool enabled, exportable;
    struct buf release_policy; /* JSON, wrapped as the vault does ({"data": …}); empty: none */
};

void key_facts_free(struct key_facts *facts);
/* GET KID. E_NOT_RELEASED (the vault refuses: who may release a key may not always read it),
 * E_BAD_KEY, E_NETWORK. OUT must be empty. */
enum status key_look(struct http_session *session, const char *kid, struct span bearer,
                     struct key_facts *out, struct error *e);

/* ---- Signed texts (JWS, RFC 7515), for whoever explains them; hostile. E_BAD_KEY. ---- */

#define KEY_JWS_MAX (384u * 1024u)

/* Cut and decoded, nothing of it believed yet. */
struct key_jws {
    struct span signed_text; /* borrows: "header.payload" */
    struct cJSON *header;
    struct buf payload, signature;
};

enum status key_jws_parse(struct span text, struct key_jws *out, struct error *e);
void key_jws_free(struct key_jws *jws);

/* Whom to believe: a chain to CA_FILE (NULL: the system's store), good at NOW_UNIX_S, for HOST. */
struct key_trust {
    const char *ca_file;
    const struct url *host;
    int64_t now_unix_s;
};

/* The signature is by the leaf of the header's x5c, and that leaf can be trusted. */
enum status key_jws_verify(const struct key_jws *jws, const struct key_trust *trust,
                           struct error *e);
/* The signature is by the leaf of the header's x5c, whoever that is. */
enum status key_jws_verify_leaf(const struct key_jws *jws, struct error *e);
/* The signature is by the key in the set JWKS (RFC 7517: x5c, or n and e) that the header's kid
 * names. Who gave the set is the caller's business. */
enum status key_jws_verify_set(const struct key_jws *jws, struct span jwks, struct error *e);

/* ---- Recipients: the public half is enough to seal for somebody ---- */

/* GET KID from its vault. OUT has the id with its version. RSA only. E_NOT_RELEASED (the vault
 * refuses, or the key is disabled), E_BAD_KEY, E_NETWORK. OUT must be empty. */
enum status key_public_from_vault(struct http_session *session, const char *kid, struct span bearer,
                                  struct kek *out, struct error *e);
/* PEM (SubjectPublicKeyInfo) or JWK; KID is what readers will call it. RSA only. E_USAGE. */
enum status key_public_from_text(struct span text, const char *kid, struct kek *out,
                                 struct error *e);
enum status key_public_from_file(const char *path, const char *kid, struct kek *out,
                                 struct error *e);

#endif

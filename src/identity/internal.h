/* identity, among its own files: where tokens come from (managed.c, entra.c, given.c) and the cache
 * (identity.c). */
#ifndef DECANT_IDENTITY_INTERNAL_H
#define DECANT_IDENTITY_INTERNAL_H

#include "identity/identity.h"

enum {
    AUDIENCES_MAX = 4,
    ACCESS_TOKEN_MAX = 16 << 10,
    REPLY_MAX = 64 << 10,
};

/* A token on its way into the cache. */
struct access_token {
    struct secret text;
    int64_t life_s; /* from the moment of the request; 0: not to be kept */
};

/* What the cache has for one audience. */
struct slot {
    char *audience; /* NULL: unused */
    struct secret token;
    int64_t refresh_ms, last_use_ms; /* on clock_ms() */
    bool busy;                       /* one thread is asking */
    uint64_t round;                  /* how often an answer came */
    enum status status;              /* of the last one */
    struct error error;
};

struct identity {
    enum identity_kind kind; /* never IDENTITY_AUTO */
    struct http *http;
    struct identity_token_place vault_token, storage_token;
    char *client_id, *tenant,
        *federated_token_file; /* from the job or the environment; NULL: not set */
    char *login;               /* base URL of Microsoft Entra ID, without '/' at its end */
    char *imds;                /* base URL of the managed identity endpoint, likewise */
    bool token_proxy; /* AKS identity bindings: the federated token is for a proxy of the cluster */
    struct secret client_secret;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t answered;
    struct slot slots[AUDIENCES_MAX];
};

/* Each asks once for a new token, with its own retries. OUT must be empty. E_NO_TOKEN, E_NETWORK.
 */
enum status managed_token(const struct identity *identity, const char *audience,
                          struct access_token *out, struct error *e);
enum status entra_token(const struct identity *identity, const char *audience,
                        struct access_token *out, struct error *e);
enum status given_token(const struct identity *identity, const char *audience,
                        struct access_token *out, struct error *e);

/* The reply of a token endpoint (RFC 6749, 5.1). It is hostile. */
enum status token_parse(struct span body, struct access_token *out, struct error *e);
/* Whether TEXT may stand in an Authorization header. */
bool token_is_sane(struct span text);
/* When the JWT expires by its own words; false if TEXT is no JWT or does not say. */
bool token_expiry(struct span text, int64_t *unix_s);

/* Find Entra's own number ("AADSTS700024") in what http_refusal left in E, make it the service code
 * and give advice. */
void entra_explain(const struct http_reply *reply, struct error *e);

/* The login host of the cloud that HOST belongs to. */
const char *cloud_login(const char *host);

#endif

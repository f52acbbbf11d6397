/*
 * identity: audience → access token of Microsoft Entra ID, cached, refreshed before it expires.
 * Sources: facts of the IMDS token endpoint, workload identity federation, client credentials
 * (OAuth 2.0, v2 endpoint).
 */
#ifndef DECANT_IDENTITY_H
#define DECANT_IDENTITY_H

#include "base/base.h"
#include "http/http.h"

enum identity_kind {
    IDENTITY_AUTO, /* workload if its three variables are set, else client secret if its are, else
                      managed */
    IDENTITY_MANAGED,
    IDENTITY_WORKLOAD,
    IDENTITY_CLIENT_SECRET,
    IDENTITY_TOKEN, /* ready-made tokens, one per audience */
    IDENTITY_NONE,
};

/* Where a ready-made token is: the name of a variable or of a file; both NULL: nowhere. */
struct identity_token_place {
    const char *env, *file;
};

struct identity_options {
    enum identity_kind kind;
    const char *client_id;  /* of a user-assigned identity; NULL: AZURE_CLIENT_ID, else the
                               system-assigned one */
    const char *cloud_host; /* a host of the vault or account, whose suffix tells the cloud's login
                               host; may be NULL */
    struct identity_token_place vault_token, storage_token;
};

struct identity;

/* The options' texts must outlive the identity. The environment (AZURE_…) is read here, the token
 * files each time. */
enum status identity_new(const struct identity_options *options, struct http *http,
                         struct identity **out, struct error *e);
void identity_free(struct identity **identity);

/* The access token for AUDIENCE. Thread-safe: one request per audience at a time, others wait for
 * its result. E_NO_TOKEN; E_NETWORK. */
enum status identity_token(struct identity *identity, const char *audience, struct secret *out,
                           struct error *e);
struct token_source identity_source(struct identity *identity);
const char *identity_name(
    const struct identity *identity); /* "managed", "workload", …, for the log */

/* The audience for a service, by its host name's suffix (sovereign clouds, Managed HSM). Static
 * texts. */
const char *audience_of_vault(const struct url *vault);
const char *audience_of_storage(const struct url *account);

#endif

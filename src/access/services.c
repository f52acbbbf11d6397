/* Http and identity as the job wants them, and what follows from both: tokens for vaults, ways into
 * storage. */
#include "access/access.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAS_MAX = 8192 };

/* The URL whose host tells the cloud: the first key that is in a vault, else the first blob. */
static const char *cloud_url(const struct job *job)
{
    for (size_t i = 0; i < job->n_keys; i++)
        if (job->keys[i].file == NULL)
            return job->keys[i].kid;
    if (job->n_inputs > 0)
        return job->inputs[0].from;
    return job->n_outputs > 0 ? job->outputs[0].to : "";
}

static void find_cloud_host(struct services *services)
{
    struct error ignored;
    struct url url;
    if (url_parse(cloud_url(services->job), &url, &ignored) == OK)
        (void)snprintf(services->cloud_host, sizeof(services->cloud_host), "%.*s",
                       (int)url.host.size, (const char *)url.host.data);
}

static enum status open_identity(struct services *services, struct error *e)
{
    static const enum identity_kind kinds[] = {IDENTITY_AUTO,     IDENTITY_MANAGED,
                                               IDENTITY_WORKLOAD, IDENTITY_CLIENT_SECRET,
                                               IDENTITY_TOKEN,    IDENTITY_NONE};
    const struct job *job = services->job;
    find_cloud_host(services);
    const struct identity_options options = {
        .kind = kinds[job->identity.type],
        .client_id = job->identity.client_id,
        .cloud_host = services->cloud_host,
        .vault_token = {job->identity.vault_token.env, job->identity.vault_token.file},
        .storage_token = {job->identity.storage_token.env, job->identity.storage_token.file},
    };
    TRY(identity_new(&options, services->http, &services->identity, e));
    services->tokens = identity_source(services->identity);
    return OK;
}

/* The variable that curl and every program with OpenSSL honours; the job goes first. */
static const char *ca_file(const struct job *job)
{
    const char *variable = getenv("SSL_CERT_FILE");
    bool is_set = variable != NULL && variable[0] != '\0';
    return job->network.ca_file == NULL && is_set ? variable : job->network.ca_file;
}

static enum status open_http(struct services *services, struct error *e)
{
    const struct job *job = services->job;
    int64_t limit_ms = (int64_t)job->limits.timeout_s * 1000;
    const struct http_options options = {
        .ca_file = ca_file(job),
        .proxy = job->network.proxy,
        .env_proxy = job->network.proxy == NULL,
        .deadline_ms = limit_ms > 0 ? clock_ms() + limit_ms : DEADLINE_NEVER,
        .tries = services->tries,
    };
    return http_new(&options, &services->http, e);
}

enum status services_open(const struct job *job, struct services *out, struct error *e)
{
    out->job = job;
    TRY(open_http(out, e));
    return open_identity(out, e);
}

void services_close(struct services *services)
{
    identity_free(&services->identity);
    http_free(&services->http);
}

enum status services_vault_token(const struct services *services, const char *kid,
                                 struct secret *bearer, struct error *e)
{
    struct key_id id;
    TRY(key_id_parse(kid, &id, e));
    return identity_token(services->identity, audience_of_vault(&id.url), bearer, e);
}

static enum status read_sas(const struct config_place *place, struct buf *sas, struct error *e)
{
    if (place->env != NULL) {
        const char *value = getenv(place->env);
        if (value == NULL || value[0] == '\0')
            return fail(e, E_USAGE, "sas_env: the variable %s is not set", place->env);
        TRY(buf_add(sas, span_text(value), e));
    } else if (place->file != NULL) {
        TRY(file_read(place->file, SAS_MAX, sas, E_USAGE, e));
    }
    return OK;
}

static struct span without_mark(struct span sas)
{
    sas = span_trim(sas);
    return span_starts(sas, "?") ? span_of(sas.data + 1, sas.size - 1) : sas;
}

enum status services_storage(const struct services *services,
                             const struct storage_location *location,
                             const struct config_place *place, struct storage **out,
                             struct error *e)
{
    AUTO(buf_free) struct buf sas = BUF(SAS_MAX);
    struct url url;
    TRY(read_sas(place, &sas, e));
    TRY(url_parse(location->container_url, &url, e));
    const struct storage_options options = {
        .sas = without_mark(buf_span(&sas)),
        .tokens =
            services->job->identity.type == CONFIG_IDENTITY_NONE ? NULL : &services->tokens,
        .audience = audience_of_storage(&url),
    };
    return storage_open(location, &options, out, e);
}

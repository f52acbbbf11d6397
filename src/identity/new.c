/*
 * An identity from the job and the environment: the variables of the Azure SDKs (AZURE_CLIENT_ID,
 * AZURE_TENANT_ID, AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE, AZURE_AUTHORITY_HOST,
 * AZURE_POD_IDENTITY_AUTHORITY_HOST), which in a container the platform may have set. Promises:
 * secrets are never sent to a plain http host that is not local.
 */
#include "identity/internal.h"

#include <stdlib.h>
#include <string.h>

#define IMDS "http://169.254.169.254"

/* The value of a variable; NULL if it is not set or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static enum status text_keep(const char *text, char **out, struct error *e)
{
    if (text && !(*out = strdup(text)))
        return fail(e, E_BUG, "no memory");
    return OK;
}

static enum identity_kind kind_of(const struct identity_options *options)
{
    bool client = options->client_id || variable("AZURE_CLIENT_ID");
    bool application = client && variable("AZURE_TENANT_ID");

    if (options->kind != IDENTITY_AUTO)
        return options->kind;
    if (application && variable("AZURE_FEDERATED_TOKEN_FILE"))
        return IDENTITY_WORKLOAD;
    if (application && variable("AZURE_CLIENT_SECRET"))
        return IDENTITY_CLIENT_SECRET;
    return IDENTITY_MANAGED;
}

/* A base URL from the environment, "https://" in front if it is a bare host, without slashes
 * behind. */
static enum status base_url(const char *name, const char *value, const char *otherwise, char **out,
                            struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(2048);
    struct url url = {0};
    const char *given = value ? value : otherwise;
    struct span base = span_trim(span_text(given));

    while (base.size && base.data[base.size - 1] == '/')
        base.size--;
    if (!strstr(given, "://"))
        TRY(buf_add(&text, SPAN_LITERAL("https://"), e));
    TRY(buf_add(&text, base, e));
    if (url_parse(buf_text(&text), &url, e) != OK || url.query.size) {
        (void)fail(e, E_NO_TOKEN, "%s is no base URL", name);
        advise(e, "unset %s, or set it to something like %s", name, otherwise);
        return E_NO_TOKEN;
    }
    if (!url.https && !url_host_is_local(&url)) {
        (void)fail(e, E_NO_TOKEN, "%s is plain http to a host that is not local", name);
        advise(e, "use https in %s", name);
        return E_NO_TOKEN;
    }
    return text_keep(buf_text(&text), out, e);
}

static enum status missing(const struct identity *identity, const char *name, struct error *e)
{
    (void)fail(e, E_NO_TOKEN, "identity \"%s\": the variable %s is not set",
               identity_name(identity), name);
    if (identity->kind == IDENTITY_WORKLOAD)
        advise(e, "label the pod azure.workload.identity/use: \"true\" and give it the annotated "
                  "service account");
    else
        advise(e, "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET");
    return E_NO_TOKEN;
}

/* What both ways to Entra ID need. */
static enum status application_read(struct identity *identity, struct error *e)
{
    const char *tenant = variable("AZURE_TENANT_ID");

    if (!identity->client_id)
        return missing(identity, "AZURE_CLIENT_ID", e);
    if (!tenant)
        return missing(identity, "AZURE_TENANT_ID", e);
    /* It becomes a part of the URL's path. */
    for (const char *c = tenant; *c; c++)
        if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_", *c))
            return fail(e, E_NO_TOKEN,
                        "AZURE_TENANT_ID is neither a tenant's id nor a domain name");
    return text_keep(tenant, &identity->tenant, e);
}

static enum status entra_read(struct identity *identity, const char *cloud_host, struct error *e)
{
    const char *name =
        identity->kind == IDENTITY_WORKLOAD ? "AZURE_FEDERATED_TOKEN_FILE" : "AZURE_CLIENT_SECRET";
    const char *value = variable(name);

    TRY(application_read(identity, e));
    if (!value)
        return missing(identity, name, e);
    TRY(base_url("AZURE_AUTHORITY_HOST", variable("AZURE_AUTHORITY_HOST"),
                 cloud_login(cloud_host ? cloud_host : ""), &identity->login, e));
    if (identity->kind == IDENTITY_CLIENT_SECRET)
        return secret_copy(&identity->client_secret, span_text(value), e);
    identity->token_proxy = variable("AZURE_KUBERNETES_TOKEN_PROXY") != NULL;
    return text_keep(value, &identity->federated_token_file, e);
}

static enum status environment_read(struct identity *identity,
                                    const struct identity_options *options, struct error *e)
{
    TRY(text_keep(options->client_id ? options->client_id : variable("AZURE_CLIENT_ID"),
                  &identity->client_id, e));
    switch (identity->kind) {
    case IDENTITY_MANAGED:
        return base_url("AZURE_POD_IDENTITY_AUTHORITY_HOST",
                        variable("AZURE_POD_IDENTITY_AUTHORITY_HOST"), IMDS, &identity->imds, e);
    case IDENTITY_WORKLOAD:
    case IDENTITY_CLIENT_SECRET:
        return entra_read(identity, options->cloud_host, e);
    case IDENTITY_AUTO:
    case IDENTITY_TOKEN:
    case IDENTITY_NONE:
        break;
    }
    return OK;
}

enum status identity_new(const struct identity_options *options, struct http *http,
                         struct identity **out, struct error *e)
{
    AUTO(identity_free) struct identity *identity = calloc(1, sizeof *identity);

    if (!identity)
        return fail(e, E_BUG, "no memory");
    if (pthread_mutex_init(&identity->lock, NULL) != 0 || /* neither can fail on Linux */
        pthread_cond_init(&identity->answered, NULL) != 0)
        return fail(e, E_BUG, "no lock");
    identity->kind = kind_of(options);
    identity->http = http;
    identity->vault_token = options->vault_token;
    identity->storage_token = options->storage_token;
    TRY(environment_read(identity, options, e));
    *out = identity;
    identity = NULL;
    return OK;
}

void identity_free(struct identity **identity)
{
    struct identity *i = *identity;

    if (!i)
        return;
    for (size_t n = 0; n < AUDIENCES_MAX; n++) {
        secret_free(&i->slots[n].token);
        free(i->slots[n].audience);
    }
    secret_free(&i->client_secret);
    free(i->client_id);
    free(i->tenant);
    free(i->federated_token_file);
    free(i->login);
    free(i->imds);
    (void)pthread_mutex_destroy(&i->lock);
    (void)pthread_cond_destroy(&i->answered);
    free(i);
    *identity = NULL;
}

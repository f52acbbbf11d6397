/*
 * The job's keys. A blob's metadata says which one it wants; that is hostile text and only ever
 * picks from the job's list. The attestation starts at once and beside everything else; a key is
 * released when the first blob names it, once, and dies with the keyring.
 */
#include "access/access.h"

#include <stdio.h>
#include <string.h>

/* A fleet that starts together waits its turn: at ten releases in ten seconds each shard needs one
 * second, and an unlucky one half as much again. The run's own time limit still counts. */
enum { PATIENCE_MS = 5 * 60 * 1000, PATIENCE_PER_SHARD_MS = 1500 };

struct held_key {
    char asked[1024]; /* the key id that was asked for */
    struct kek kek;
};

struct keyring {
    const struct services *services;
    uint32_t shards;
    pthread_mutex_t mutex;       /* over everything below */
    struct task attestation;     /* until joined */
    struct task vault_login;     /* the first vault's access token, fetched beside */
    const char *first_vault_kid; /* NULL: nothing to attest for */
    struct attested attested;
    struct keyring_counters counters;
    struct held_key **held;
    size_t n_held;
};

static enum status attest_ahead(void *context, struct error *e)
{
    struct keyring *keyring = context;
    return attest(keyring->services, &keyring->attested, e);
}

static const char *first_vault_kid(const struct job *job)
{
    for (size_t i = 0; i < job->n_keys; i++)
        if (job->keys[i].file == NULL && !job->keys[i].from_sidecar)
            return job->keys[i].kid;
    return NULL;
}

static enum status log_in_ahead(void *context, struct error *e)
{
    struct keyring *keyring = context;
    AUTO(secret_free) struct secret bearer = {0}; /* the identity keeps it */
    return services_vault_token(keyring->services, keyring->first_vault_kid, &bearer, e);
}

enum status keyring_check(const struct job *job, struct error *e)
{
    struct key_id id;
    for (size_t i = 0; i < job->n_keys; i++)
        if (job->keys[i].file == NULL && key_id_parse(job->keys[i].kid, &id, e) != OK)
            return wrap(e, "keys[%zu]", i);
    return OK;
}

enum status keyring_open(const struct services *services, uint32_t shards, struct keyring **out,
                         struct error *e)
{
    AUTO(keyring_close) struct keyring *keyring = memory_array(1, sizeof(*keyring));
    if (keyring == NULL)
        return fail(e, E_SPACE, "out of memory");
    keyring->services = services;
    keyring->shards = shards;
    (void)pthread_mutex_init(&keyring->mutex, NULL);
    keyring->first_vault_kid = first_vault_kid(services->job);
    if (keyring->first_vault_kid != NULL) {
        TRY(task_start(&keyring->attestation, attest_ahead, keyring, e));
        TRY(task_start(&keyring->vault_login, log_in_ahead, keyring, e));
    }
    *out = keyring;
    keyring = NULL;
    return OK;
}

void keyring_close(struct keyring **keyring)
{
    struct keyring *k = *keyring;
    if (k == NULL)
        return;
    task_abandon(&k->attestation);
    task_abandon(&k->vault_login);
    for (size_t i = 0; i < k->n_held; i++) {
        kek_free(&k->held[i]->kek);
        memory_free(k->held[i]);
    }
    memory_free(k->held);
    attested_free(&k->attested);
    (void)pthread_mutex_destroy(&k->mutex);
    memory_free(k);
    *keyring = NULL;
}

static enum status release(struct keyring *keyring, const char *asked, struct kek *kek,
                           struct error *e)
{
    AUTO(secret_free) struct secret bearer = {0};
    TRY(services_vault_token(keyring->services, asked, &bearer, e));
    const struct key_release_request request = {
        .kid = asked,
        .token = secret_view(&keyring->attested.token),
        .bearer = secret_view(&bearer),
        .offer = &keyring->attested.offer,
        .ca_file = http_ca_file(keyring->services->http),
        .patience_ms = PATIENCE_MS + (int64_t)keyring->shards * PATIENCE_PER_SHARD_MS,
    };
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(http_session_take(keyring->services->http, &session, e));
    return key_release(session, &request, kek, e);
}

static enum status ask_sidecar(struct keyring *keyring, const char *asked, struct kek *kek,
                               struct error *e)
{
    const struct job *job = keyring->services->job;
    AUTO(secret_free) struct secret bearer = {0};
    /* A sidecar has an identity of its own; only a token that was given for this is handed on. */
    if (job->identity.vault_token.env != NULL || job->identity.vault_token.file != NULL)
        TRY(services_vault_token(keyring->services, asked, &bearer, e));
    const struct key_sidecar_request request = {
        .sidecar = job->attestation.sidecar,
        .kid = asked,
        .provider = job->attestation.provider,
        .bearer = secret_view(&bearer),
    };
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(http_session_take(keyring->services->http, &session, e));
    return key_from_sidecar(session, &request, kek, e);
}

/* A vault lets ten releases through in ten seconds (Key Vault's service limits, HSM keys): when
 * many shards start together, those beyond ten come one second after the other on average, instead
 * of all at once and again. */
static enum status spread_out(uint32_t shards, struct error *e)
{
    uint32_t random, beyond = shards > 10 ? shards - 10 : 0;
    if (beyond == 0)
        return OK;
    TRY(random_bytes((uint8_t *)&random, sizeof(random), e));
    return stop_sleep_ms(random % (1000 * (beyond < 60 ? beyond : 60)), e);
}

static enum status fetch_key(struct keyring *keyring, const struct config_key *config,
                             const char *asked, struct kek *kek, struct error *e)
{
    if (config->file == NULL) {
        TRY(task_join(&keyring->attestation, e));
        TRY(task_join(&keyring->vault_login, e));
        TRY(spread_out(keyring->shards, e));
    }
    int64_t start = clock_ms();
    const char *source = config->file != NULL ? "file" : config->from_sidecar ? "sidecar" : "vault";
    if (config->file != NULL)
        TRY(key_from_file(config->file, asked, kek, e));
    else if (config->from_sidecar)
        TRY(ask_sidecar(keyring, asked, kek, e));
    else
        TRY(release(keyring, asked, kek, e));
    keyring->counters.keys++;
    keyring->counters.release_ms += clock_ms() - start;
    LOG(LOG_INFO, "released", LOG_STRING("key", kek->kid), LOG_STRING("source", source),
        LOG_NUMBER("ms", clock_ms() - start));
    return OK;
}

static void held_key_free(struct held_key **held)
{
    if (*held != NULL)
        kek_free(&(*held)->kek);
    memory_free(*held);
    *held = NULL;
}

static enum status hold_key(struct keyring *keyring, const struct config_key *config,
                            const char *asked, const struct kek **out, struct error *e)
{
    for (size_t i = 0; i < keyring->n_held; i++) {
        if (strcmp(keyring->held[i]->asked, asked) == 0) {
            *out = &keyring->held[i]->kek;
            return OK;
        }
    }
    AUTO(held_key_free) struct held_key *held = memory_array(1, sizeof(*held));
    struct held_key **more =
        memory_resize(keyring->held, (keyring->n_held + 1) * sizeof(struct held_key *));
    if (more != NULL)
        keyring->held = more;
    if (held == NULL || more == NULL)
        return fail(e, E_SPACE, "out of memory");
    if ((size_t)snprintf(held->asked, sizeof(held->asked), "%s", asked) >= sizeof(held->asked))
        return fail(e, E_BAD_KEY, "a key id longer than %zu bytes", sizeof(held->asked) - 1);
    TRY(fetch_key(keyring, config, asked, &held->kek, e));
    test_point("key released");
    *out = &held->kek;
    keyring->held[keyring->n_held++] = held;
    held = NULL;
    return OK;
}

static bool is_named_exactly(const struct config_key *key, const char *kid)
{
    for (size_t i = 0; i < key->n_aliases; i++)
        if (strcmp(key->aliases[i], kid) == 0)
            return true;
    return strcmp(key->kid, kid) == 0;
}

static bool is_same_but_version(const struct config_key *key, const char *kid)
{
    struct error ignored;
    struct key_id ours, theirs;
    return key_id_parse(key->kid, &ours, &ignored) == OK &&
           key_id_parse(kid, &theirs, &ignored) == OK && key_id_matches(&ours, &theirs);
}

/* Which key id to ask for: the blob's own if it adds the version that the job leaves open. */
static const char *asked_for(const struct config_key *key, const char *kid)
{
    struct error ignored;
    struct key_id ours, theirs;
    bool blob_knows_better = key->file == NULL && is_same_but_version(key, kid) &&
                             key_id_parse(key->kid, &ours, &ignored) == OK &&
                             key_id_parse(kid, &theirs, &ignored) == OK && ours.version.size == 0 &&
                             theirs.version.size > 0;
    return blob_knows_better ? kid : key->kid;
}

static const struct config_key *match_key(const struct job *job, const char *kid)
{
    for (size_t i = 0; i < job->n_keys; i++)
        if (is_named_exactly(&job->keys[i], kid))
            return &job->keys[i];
    for (size_t i = 0; i < job->n_keys; i++)
        if (is_same_but_version(&job->keys[i], kid))
            return &job->keys[i];
    return NULL;
}

enum status keyring_allows(const struct job *job, const char *kid, const struct config_key **which,
                           struct error *e)
{
    const struct config_key *found = match_key(job, kid);
    if (which != NULL)
        *which = found;
    if (found != NULL)
        return OK;
    (void)fail(e, E_BAD_KEY, "it wants the key \"%s\", which the job does not allow", kid);
    advise(e, "If that key is right, add it to \"keys\", or its id to that key's \"aliases\"");
    return E_BAD_KEY;
}

enum status keyring_find(struct keyring *keyring, const char *kid, const struct kek **out,
                         struct error *e)
{
    const struct config_key *key = NULL;
    TRY(keyring_allows(keyring->services->job, kid, &key, e));
    (void)pthread_mutex_lock(&keyring->mutex);
    enum status status = hold_key(keyring, key, asked_for(key, kid), out, e);
    (void)pthread_mutex_unlock(&keyring->mutex);
    return status;
}

struct keyring_counters keyring_counters(const struct keyring *keyring)
{
    struct keyring_counters counters = keyring->counters;
    counters.attest_ms = keyring->attested.ms;
    return counters;
}

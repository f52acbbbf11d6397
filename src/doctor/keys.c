/* The identity's tokens, and each key: as its vault describes it, its release policy held against our
 * own token, and, where that is asked for, its release. */
#include "doctor/internal.h"

#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

/* ---- Tokens ---- */

/* Who we are to those who give roles: claims of Entra ID's tokens, for showing only. */
static void tell_principal(struct span token, char out[static TEXT_SIZE])
{
    AUTO(buf_free) struct buf json = BUF(64 << 10);
    AUTO(json_free) struct cJSON *claims = NULL;
    struct error ignored = {0};
    const uint8_t *first = token.size > 0 ? memchr(token.data, '.', token.size) : NULL;
    const uint8_t *end = token.data + token.size;
    const uint8_t *last = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    out[0] = '\0';
    if (last == NULL ||
        base64_decode(span_of(first + 1, (size_t)(last - first - 1)), BASE64URL, &json, E_NO_TOKEN,
                      &ignored) != OK ||
        json_parse(buf_span(&json), E_NO_TOKEN, &claims, &ignored) != OK)
        return;
    const char *object = json_text(claims, "oid"), *application = json_text(claims, "appid");
    if (object != NULL || application != NULL)
        (void)snprintf(out, TEXT_SIZE, "%s%.64s%s%.64s", object != NULL ? ", object id " : "",
                       object != NULL ? object : "", application != NULL ? ", application " : "",
                       application != NULL ? application : "");
}

static enum status check_token(struct doctor *d, const char *name, struct error *e)
{
    AUTO(secret_free) struct secret token = {0};
    struct error why = {0};
    char step[STEP_SIZE], principal[TEXT_SIZE];
    for (size_t i = 0; i < d->n_audiences; i++)
        if (strcmp(d->audiences[i].name, name) == 0)
            return OK;
    if (d->n_audiences == AUDIENCES_MAX)
        return OK;
    struct audience *audience = &d->audiences[d->n_audiences++];
    audience->name = name;
    const char *host = strstr(name, "://") != NULL ? strstr(name, "://") + 3 : name;
    (void)snprintf(step, sizeof step, "token for %.*s", (int)strcspn(host, "/"), host);
    enum status status = identity_token(d->services.identity, name, &token, &why);
    audience->has_token = status == OK;
    tell_principal(secret_view(&token), principal);
    return finding_check(d->findings, step, status, &why, e, "identity \"%s\"%s",
                         identity_name(d->services.identity), principal);
}

static enum status check_vault_token(struct doctor *d, const char *kid, struct error *e)
{
    struct key_id id;
    struct error ignored = {0};
    return key_id_parse(kid, &id, &ignored) == OK ? check_token(d, audience_of_vault(&id.url), e)
                                                  : OK;
}

static enum status check_storage_token(struct doctor *d, const char *at,
                                       const struct config_place *sas, struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    struct url url = {0};
    struct error ignored = {0};
    if (storage_locate(at, &location, &ignored) != OK ||
        !location_needs_token(d->job, &location, sas) ||
        url_parse(location.container_url, &url, &ignored) != OK)
        return OK;
    return check_token(d, audience_of_storage(&url), e);
}

enum status check_tokens(struct doctor *d, struct error *e)
{
    const struct job *job = d->job;
    if (!d->has_services)
        return finding_skip(d->findings, "tokens", e, "not asked for: there is no trust store");
    for (size_t i = 0; i < job->n_keys; i++)
        if (key_is_vaulted(&job->keys[i]))
            TRY(check_vault_token(d, job->keys[i].kid, e));
    for (size_t i = 0; i < job->n_outputs; i++)
        if (job->outputs[i].key_file == NULL && job->outputs[i].key_inline == NULL)
            TRY(check_vault_token(d, job->outputs[i].key, e));
    for (size_t i = 0; i < job->n_inputs; i++)
        TRY(check_storage_token(d, job->inputs[i].from, &job->inputs[i].sas, e));
    for (size_t i = 0; i < job->n_outputs; i++)
        TRY(check_storage_token(d, job->outputs[i].to, &job->outputs[i].sas, e));
    if (d->n_audiences == 0)
        return finding_note(d->findings, "tokens", e, "none is needed");
    return OK;
}

bool token_is_lost(struct doctor *d, const char *step, const char *audience, struct error *e)
{
    for (size_t i = 0; i < d->n_audiences; i++)
        if (strcmp(d->audiences[i].name, audience) == 0 && !d->audiences[i].has_token)
            return finding_skip(d->findings, step, e, "not asked: there is no token for %s",
                                audience) == OK;
    return false;
}

/* ---- Keys ---- */

static enum status look(struct doctor *d, const char *kid, struct key_facts *out, struct error *why)
{
    AUTO(secret_free) struct secret bearer = {0};
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(services_vault_token(&d->services, kid, &bearer, why));
    TRY(http_session_take(d->services.http, &session, why));
    return key_look(session, kid, secret_view(&bearer), out, why);
}

/* The role that a run needs lets a key be released, not read: then the vault's 403 says nothing of the
 * job. A firewall's does. */
static bool only_unreadable(const struct error *why)
{
    return why->status == E_NOT_RELEASED &&
           (strstr(why->service_code, "Forbidden") != NULL ||
            strstr(why->service_code, "AccessDenied") != NULL) &&
           strstr(why->service_code, "Firewall") == NULL &&
           strstr(why->service_code, "Connection") == NULL;
}

static enum status check_facts(const struct key_facts *facts, struct error *why)
{
    if (!facts->enabled) {
        (void)fail(why, E_NOT_RELEASED, "%s is disabled", facts->kid);
        advise(why, "enable the key in the vault");
    } else if (!facts->exportable) {
        (void)fail(why, E_NOT_RELEASED, "%s is not exportable, so it can never be released",
                   facts->kid);
        advise(why, "an existing key cannot be made exportable: create a new one with exportable "
                    "and a release policy, in a Premium vault or a managed HSM");
    } else if (facts->release_policy.size == 0) {
        (void)fail(why, E_NOT_RELEASED, "%s has no release policy", facts->kid);
        advise(why, "set one: decant policy prints it");
    }
    return why->status;
}

static enum status check_policy(struct doctor *d, const char *name, const struct key_facts *facts,
                                struct error *e)
{
    AUTO(findings_free) struct findings each = {0};
    struct error why = {0};
    char step[STEP_SIZE];
    (void)snprintf(step, sizeof step, "policy of %.100s", name);
    if (facts->release_policy.size == 0)
        return finding_skip(d->findings, step, e, "not evaluated: it was not read");
    if (!d->has_claims)
        return finding_skip(d->findings, step, e,
                            "not evaluated: there is no token of the attestation service");
    enum status status = policy_evaluate(buf_span(&facts->release_policy), buf_span(&d->claims),
                                         &each, &why);
    advise(&why, "change the key's release policy (decant policy prints one for this container), or run "
                 "what the policy is for");
    size_t held = 0;
    for (size_t i = 0; i < each.n; i++)
        held += each.list[i].result == FINDING_OK;
    return finding_check(d->findings, step, status, &why, e,
                         "our token meets it: authority and claims, %zu in all", held);
}

static enum status check_vaulted(struct doctor *d, const char *step, const char *name,
                                 const char *kid, struct error *e)
{
    AUTO(key_facts_free) struct key_facts facts = {0};
    struct error why = {0};
    enum status status = look(d, kid, &facts, &why);
    if (status != OK && only_unreadable(&why)) {
        TRY(finding_skip(d->findings, step, e,
                         "this identity may not read it (%s), which a run need not", why.service_code));
        finding_advise(d->findings, "to have it looked at, give the identity the role Key Vault "
                                    "Crypto User for a while, or try the release with --release");
        return check_policy(d, name, &facts, e);
    }
    if (status == OK)
        status = check_facts(&facts, &why);
    TRY(finding_check(d->findings, step, status, &why, e, "%s: %s, enabled, exportable", facts.kid,
                      facts.kty));
    return check_policy(d, name, &facts, e);
}

static enum status check_file(struct doctor *d, const char *step, const struct config_key *key,
                              struct error *e)
{
    AUTO(kek_free) struct kek kek = {0};
    struct error why = {0};
    enum status status = key_from_file(key->file, key->kid, &kek, &why);
    return finding_check(d->findings, step, status, &why, e,
                         "a private key in %.200s: for development", key->file);
}

static enum status check_key(struct doctor *d, const struct config_key *key, struct error *e)
{
    struct key_id id;
    struct error why = {0};
    char step[STEP_SIZE], name[STEP_SIZE];
    (void)snprintf(step, sizeof step, "key %.100s", key->kid);
    if (key->file != NULL)
        return check_file(d, step, key, e);
    if (key_id_parse(key->kid, &id, &why) != OK)
        return finding_fail(d->findings, step, &why, e);
    (void)snprintf(name, sizeof name, "%.*s", (int)id.name.size, (const char *)id.name.data);
    (void)snprintf(step, sizeof step, "key %.120s", name);
    if (key->from_sidecar)
        return finding_skip(d->findings, step, e,
                            "the sidecar asks for it, with its own evidence and identity; try it with --release");
    if (host_is_lost(d, step, key->kid, e) ||
        token_is_lost(d, step, audience_of_vault(&id.url), e))
        return OK;
    return check_vaulted(d, step, name, key->kid, e);
}

enum status check_keys(struct doctor *d, struct error *e)
{
    for (size_t i = 0; i < d->job->n_keys; i++)
        TRY(check_key(d, &d->job->keys[i], e));
    return OK;
}

/* ---- Releases ---- */

static enum status release(struct doctor *d, struct keyring *keyring, const char *kid,
                           struct error *e)
{
    const struct kek *kek = NULL;
    struct error why = {0};
    char step[STEP_SIZE];
    const char *slash = strstr(kid, "/keys/");
    (void)snprintf(step, sizeof step, "release of %.100s", slash != NULL ? slash + 6 : kid);
    enum status status = keyring_find(keyring, kid, &kek, &why);
    return finding_check(d->findings, step, status, &why, e, "%s, a whole key; forgotten again",
                         kek != NULL ? kek->kid : "");
}

enum status check_releases(struct doctor *d, struct error *e)
{
    AUTO(keyring_close) struct keyring *keyring = NULL;
    struct error why = {0};
    if (!d->options->release || d->job->n_keys == 0)
        return OK;
    if (!d->has_services)
        return finding_skip(d->findings, "release", e, "not tried: there is no trust store");
    if (keyring_open(&d->services, 1, &keyring, &why) != OK)
        return finding_fail(d->findings, "release", &why, e);
    for (size_t i = 0; i < d->job->n_keys; i++)
        if (d->job->keys[i].file == NULL)
            TRY(release(d, keyring, d->job->keys[i].kid, e));
    return OK;
}

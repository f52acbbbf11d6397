/* Each output: is its container there, may we write, and is there a key to seal for? Nothing is
 * written, so that much is known only as far as the service or the SAS tells it. */
#include "doctor/internal.h"

#include <stdio.h>

struct place {
    const struct config_output *config;
    char step[STEP_SIZE], step_key[STEP_SIZE];
    struct storage_location location;
    struct storage *storage;
    bool exists; /* the blob itself, of an output that is one */
};

static void place_close(struct place *p)
{
    storage_close(&p->storage);
    storage_location_free(&p->location);
}

/* A blob of the output's name is asked for: a container that is not there shows in the answer. */
static enum status look(struct doctor *d, struct place *p, struct error *why)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(buf_free) struct buf name = BUF(8192);
    TRY(services_storage(&d->services, &p->location, &p->config->sas, &p->storage, why));
    TRY(http_session_take(d->services.http, &session, why));
    TRY(buf_addf(&name, why, "%s%s", p->location.name, p->location.is_prefix ? "x" : ""));
    return storage_exists(p->storage, session, buf_text(&name), &p->exists, why);
}

static enum status tell_container(struct doctor *d, const struct place *p, struct error *e)
{
    struct error why = {0};
    bool by_token = location_needs_token(d->job, &p->location, &p->config->sas);
    if (p->exists && !p->location.is_prefix && !p->config->overwrite) {
        (void)!fail(&why, E_NAME, "%s is there already", p->location.name);
        advise(&why, "choose another name, or set \"overwrite\"");
        return finding_fail(d->findings, p->step, &why, e);
    }
    if (by_token)
        return finding_note(d->findings, p->step, e,
                            "%s is not missing; whether the identity may write, only writing shows",
                            p->location.container_url);
    if (storage_sas_gives(p->storage, "w") ||
        (storage_sas_gives(p->storage, "c") && !p->config->overwrite))
        return finding_ok(d->findings, p->step, e, "%s is not missing, and the SAS gives writing",
                          p->location.container_url);
    (void)!fail(&why, E_DENIED, "the SAS for %s does not give writing (sp)",
                p->location.container_url);
    advise(&why, "make a SAS with the permissions create, write and delete (delete only to undo a failed seal)");
    return finding_fail(d->findings, p->step, &why, e);
}

static enum status find_recipient(struct doctor *d, const struct config_output *config,
                                  struct kek *out, struct error *why)
{
    if (config->key_file != NULL)
        return key_public_from_file(config->key_file, config->key, out, why);
    if (config->key_inline != NULL)
        return key_public_from_text(span_text(config->key_inline), config->key, out, why);
    AUTO(secret_free) struct secret bearer = {0};
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(services_vault_token(&d->services, config->key, &bearer, why));
    TRY(http_session_take(d->services.http, &session, why));
    return key_public_from_vault(session, config->key, secret_view(&bearer), out, why);
}

static enum status check_recipient(struct doctor *d, const struct place *p, struct error *e)
{
    const struct config_output *config = p->config;
    AUTO(kek_free) struct kek recipient = {0};
    struct key_id id;
    struct error why = {0};
    if (config->key_file == NULL && config->key_inline == NULL) {
        if (key_id_parse(config->key, &id, &why) != OK)
            return finding_fail(d->findings, p->step_key, &why, e);
        if (host_is_lost(d, p->step_key, config->key, e) ||
            token_is_lost(d, p->step_key, audience_of_vault(&id.url), e))
            return OK;
    }
    enum status status = find_recipient(d, config, &recipient, &why);
    return finding_check(d->findings, p->step_key, status, &why, e, "%s", recipient.kid);
}

static bool is_lost(struct doctor *d, const struct place *p, struct error *e)
{
    struct url url = {0};
    struct error ignored = {0};
    if (host_is_lost(d, p->step, p->location.container_url, e))
        return true;
    return location_needs_token(d->job, &p->location, &p->config->sas) &&
           url_parse(p->location.container_url, &url, &ignored) == OK &&
           token_is_lost(d, p->step, audience_of_storage(&url), e);
}

static enum status check_place(struct doctor *d, struct place *p, struct error *e)
{
    struct error why = {0};
    if (storage_locate(p->config->to, &p->location, &why) != OK)
        return finding_fail(d->findings, p->step, &why, e);
    if (is_lost(d, p, e))
        return OK;
    if (look(d, p, &why) != OK)
        return finding_fail(d->findings, p->step, &why, e);
    return tell_container(d, p, e);
}

enum status check_outputs(struct doctor *d, struct error *e)
{
    for (size_t i = 0; i < d->job->n_outputs; i++) {
        AUTO(place_close) struct place p = {.config = &d->job->outputs[i]};
        (void)snprintf(p.step, sizeof p.step, "outputs[%zu]", i);
        (void)snprintf(p.step_key, sizeof p.step_key, "outputs[%zu]'s key", i);
        TRY(check_place(d, &p, e));
        TRY(check_recipient(d, &p, e));
    }
    return OK;
}

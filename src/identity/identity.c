/*
 * The cache in front of the sources of tokens: one slot per audience, one request per audience at a
 * time. A token is renewed before it expires; when that fails, the old one serves as long as it
 * is good.
 */
#include "identity/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_S =
        5 * 60,      /* before the end of its life, a token is renewed; half a short life before */
    LAST_USE_S = 30, /* so long before it, an old token serves no more; a quarter of a short life */
    NEXT_TRY_MS = 30000, /* after renewing failed */
};

static enum status none_token([[maybe_unused]] const struct identity *identity,
                              const char *audience, [[maybe_unused]] struct access_token *out,
                              struct error *e)
{
    (void)fail(e, E_NO_TOKEN, "an access token for %s is needed, but the identity is \"none\"",
               audience);
    advise(
        e,
        "set identity.type (auto, managed, workload, client_secret, token), or give inputs a SAS");
    return E_NO_TOKEN;
}

static const struct {
    const char *name;
    enum status (*get)(const struct identity *identity, const char *audience,
                       struct access_token *out, struct error *e);
} kinds[] = {
    [IDENTITY_AUTO] = {"auto", none_token}, /* never: identity_new decides */
    [IDENTITY_MANAGED] = {"managed", managed_token},
    [IDENTITY_WORKLOAD] = {"workload", entra_token},
    [IDENTITY_CLIENT_SECRET] = {"client_secret", entra_token},
    [IDENTITY_TOKEN] = {"token", given_token},
    [IDENTITY_NONE] = {"none", none_token},
};

const char *identity_name(const struct identity *identity)
{
    return kinds[identity->kind].name;
}

/* The slot of AUDIENCE, new or old. Call with the lock held. */
static enum status slot_find(struct identity *identity, const char *audience, struct slot **out,
                             struct error *e)
{
    for (size_t i = 0; i < AUDIENCES_MAX; i++) {
        struct slot *slot = &identity->slots[i];
        if (!slot->audience) {
            slot->audience = strdup(audience);
            if (!slot->audience)
                return fail(e, E_BUG, "no memory");
        } else if (strcmp(slot->audience, audience) != 0) {
            continue;
        }
        *out = slot;
        return OK;
    }
    return fail(e, E_BUG, "tokens for more than %d audiences", AUDIENCES_MAX);
}

static int64_t shorter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void slot_keep(struct slot *slot, struct access_token *token, int64_t asked_ms)
{
    int64_t end_ms = asked_ms + token->life_s * 1000;

    secret_free(&slot->token);
    slot->token = token->text;
    token->text = (struct secret){0};
    slot->refresh_ms = end_ms - shorter(REFRESH_S * 1000, token->life_s * 1000 / 2);
    slot->last_use_ms = end_ms - shorter(LAST_USE_S * 1000, token->life_s * 1000 / 4);
}

/* What the cache makes of the answer, which becomes the slot's last. Call with the lock held. */
static enum status slot_settle(struct slot *slot, enum status status, struct access_token *token,
                               int64_t asked_ms, struct error *e)
{
    int64_t now_ms = clock_ms();

    if (status == OK) {
        slot_keep(slot, token, asked_ms);
    } else if (status != E_INTERRUPTED && now_ms < slot->last_use_ms) {
        slot->refresh_ms = shorter(now_ms + NEXT_TRY_MS, slot->last_use_ms);
        status = OK;
    }
    slot->status = status;
    slot->error = status == OK ? (struct error){0} : *e;
    slot->busy = false;
    slot->round++;
    return status;
}

/* Ask for a new token, without the lock, while the slot is busy. */
static enum status slot_renew(struct identity *identity, struct slot *slot, struct error *e)
{
    struct access_token token = {0};
    int64_t asked_ms = clock_ms();

    slot->busy = true;
    (void)pthread_mutex_unlock(&identity->lock);
    enum status status = kinds[identity->kind].get(identity, slot->audience, &token, e);
    (void)pthread_mutex_lock(&identity->lock);
    status = slot_settle(slot, status, &token, asked_ms, e);
    (void)pthread_cond_broadcast(&identity->answered);
    secret_free(&token.text);
    return status;
}

static enum status slot_get(struct identity *identity, struct slot *slot, struct error *e)
{
    uint64_t round = slot->round;

    while (slot->busy && slot->round == round)
        (void)pthread_cond_wait(&identity->answered, &identity->lock);
    if (slot->round != round) { /* somebody asked for us */
        *e = slot->status == OK ? *e : slot->error;
        return slot->status;
    }
    if (slot->token.size && clock_ms() < slot->refresh_ms)
        return OK;
    return slot_renew(identity, slot, e);
}

enum status identity_token(struct identity *identity, const char *audience, struct secret *out,
                           struct error *e)
{
    struct slot *slot = NULL;

    (void)pthread_mutex_lock(&identity->lock);
    enum status status = slot_find(identity, audience, &slot, e);
    if (status == OK)
        status = slot_get(identity, slot, e);
    if (status == OK)
        status = secret_copy(out, secret_view(&slot->token), e);
    (void)pthread_mutex_unlock(&identity->lock);
    return status;
}

static enum status source_get(void *context, const char *audience, struct secret *out,
                              struct error *e)
{
    return identity_token(context, audience, out, e);
}

struct token_source identity_source(struct identity *identity)
{
    return (struct token_source){.get = source_get, .context = identity};
}

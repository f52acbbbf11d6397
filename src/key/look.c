/* What a vault says of a key to whoever may read it (GET KID, Key Vault and Managed HSM REST, 7.4). The
 * answer is hostile and for showing only. */
#include "key/internal.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define API_VERSION "7.4"
#define POLICY_MAX  (64u * 1024u)
#define TIMEOUT_MS  30000

void key_facts_free(struct key_facts *facts)
{
    buf_free(&facts->release_policy);
    *facts = (struct key_facts){0};
}

static bool is_true(const struct cJSON *object, const char *name)
{
    return cJSON_IsTrue(json_member(object, name));
}

static enum status take_policy(const struct cJSON *answer, struct buf *out, struct error *e)
{
    const char *data = json_text(json_object(answer, "release_policy"), "data");

    *out = BUF(POLICY_MAX);
    if (data == NULL)
        return OK;
    TRY(buf_addf(out, e, "{\"data\":"));
    TRY(json_quote(span_text(data), out, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

static enum status take(const struct cJSON *answer, const struct key_id *asked,
                        struct key_facts *out, struct error *e)
{
    const struct cJSON *key = json_object(answer, "key");
    const struct cJSON *attributes = json_object(answer, "attributes");
    const char *kid = json_text(key, "kid"), *kty = json_text(key, "kty");
    struct key_id told;

    if (kid == NULL || kty == NULL || key_id_parse(kid, &told, e) != OK)
        return fail(e, E_BAD_KEY, "the vault's answer has no key id and type");
    if (!key_id_matches(&told, asked))
        return fail(e, E_BAD_KEY, "the vault's answer is for another key, %.200s", kid);
    (void)snprintf(out->kid, sizeof out->kid, "%s", kid);
    (void)snprintf(out->kty, sizeof out->kty, "%s", kty);
    out->enabled = is_true(attributes, "enabled");
    out->exportable = is_true(attributes, "exportable");
    return take_policy(answer, &out->release_policy, e);
}

enum status key_look(struct http_session *session, const char *kid, struct span bearer,
                     struct key_facts *out, struct error *e)
{
    AUTO(json_free) struct cJSON *answer = NULL;
    AUTO(buf_free) struct buf url = BUF(1024);
    AUTO(key_facts_free) struct key_facts facts = {0};
    struct key_id id;

    TRY(key_id_parse(kid, &id, e));
    TRY(buf_addf(&url, e, "%s?api-version=" API_VERSION, kid));
    const struct key_call get = {
        .what = "key",
        .method = "GET",
        .url = buf_text(&url),
        .bearer = bearer,
        .timeout_ms = TIMEOUT_MS,
        .direct = url_host_is_local(&id.url),
    };
    TRY(key_call(session, &get, &answer, e));
    TRY(take(answer, &id, &facts, e));
    *out = facts;
    facts = (struct key_facts){0};
    return OK;
}

/*
 * A release policy held against a token's claims, as the vault does it. A vault answers only "does
 * not meet key release policy requirements": here it is said which claim, what is wanted and what
 * is there.
 *
 * Values are compared by their text: policies in public use write "false" and false for a claim
 * that the token has as a boolean, and vaults take both.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#define NAME_MAX_SIZE  256
#define VALUE_MAX_SIZE 512

struct trial {
    const struct cJSON *claims;
    struct findings each;
};

static enum status condition_list(struct trial *t, const struct cJSON *object, bool required,
                                  bool *holds, struct error *why, struct error *e);

/* A value's text, "" for what is none. */
static void value_text(const struct cJSON *value, char out[static VALUE_MAX_SIZE])
{
    if (cJSON_IsString(value))
        (void)snprintf(out, VALUE_MAX_SIZE, "%s", value->valuestring);
    else if (cJSON_IsBool(value))
        (void)snprintf(out, VALUE_MAX_SIZE, "%s", cJSON_IsTrue(value) ? "true" : "false");
    else if (cJSON_IsNumber(value))
        (void)snprintf(out, VALUE_MAX_SIZE, "%.17g", value->valuedouble);
    else
        out[0] = '\0';
}

static bool is_value(const struct cJSON *value)
{
    return (cJSON_IsString(value) && strlen(value->valuestring) < VALUE_MAX_SIZE) ||
           cJSON_IsBool(value) || cJSON_IsNumber(value);
}

/* "a.b.c" walks through objects; lists are not walked. NULL if the token has no such claim. */
static const struct cJSON *claim_find(const struct cJSON *claims, const char *name)
{
    char part[NAME_MAX_SIZE];
    while (claims != NULL) {
        size_t n = strcspn(name, ".");
        if (n >= sizeof(part))
            return NULL;
        memcpy(part, name, n);
        part[n] = '\0';
        claims = json_member(claims, part);
        if (name[n] == '\0')
            return claims;
        name += n + 1;
    }
    return NULL;
}

/* {"claim": NAME, "equals": VALUE} and nothing else. */
static enum status leaf_parse(const struct cJSON *leaf, const char **name,
                              const struct cJSON **wanted, struct error *e)
{
    *name = json_text(leaf, "claim");
    *wanted = json_member(leaf, "equals");
    if (*name == NULL || (*name)[0] == '\0' || strlen(*name) >= NAME_MAX_SIZE)
        return fail(e, E_NOT_RELEASED,
                    "the release policy has a condition without claim, allOf or anyOf");
    if (*wanted == NULL || cJSON_GetArraySize(leaf) != 2)
        return fail(e, E_NOT_RELEASED,
                    "the release policy's condition on %s is not equals alone; vaults evaluate "
                    "nothing else",
                    *name);
    if (!is_value(*wanted))
        return fail(e, E_NOT_RELEASED,
                    "the release policy's condition on %s has no text, number, true or false",
                    *name);
    return OK;
}

/* REQUIRED: its failure alone makes the environment fail. WHY gets the difference. */
static enum status leaf_check(struct trial *t, const struct cJSON *leaf, bool required, bool *holds,
                              struct error *why, struct error *e)
{
    const char *name = NULL;
    const struct cJSON *wanted = NULL;
    char want[VALUE_MAX_SIZE], got[VALUE_MAX_SIZE];
    TRY(leaf_parse(leaf, &name, &wanted, e));
    const struct cJSON *found = claim_find(t->claims, name);
    value_text(wanted, want);
    value_text(found, got);
    *holds = is_value(found) && strcmp(want, got) == 0;
    if (*holds)
        return finding_ok(&t->each, name, e, "\"%s\"", got);
    if (found == NULL)
        (void)!fail(why, E_NOT_RELEASED, "the token has no claim %s; the policy wants \"%.200s\"",
                    name, want);
    else if (!is_value(found))
        (void)!fail(why, E_NOT_RELEASED,
                    "the claim %s is no single value; the policy wants \"%.200s\"", name, want);
    else
        (void)!fail(why, E_NOT_RELEASED, "the claim %s is \"%.200s\"; the policy wants \"%.200s\"",
                    name, got, want);
    return required ? finding_fail(&t->each, name, why, e)
                    : finding_note(&t->each, name, e, "%s", why->text);
}

static bool is_list(const struct cJSON *object)
{
    return json_member(object, "allOf") != NULL || json_member(object, "anyOf") != NULL;
}

static enum status condition_check(struct trial *t, const struct cJSON *condition, bool required,
                                   bool *holds, struct error *why, struct error *e)
{
    if (!is_list(condition))
        return leaf_check(t, condition, required, holds, why, e);
    if (cJSON_GetArraySize(condition) != 1)
        return fail(e, E_NOT_RELEASED,
                    "the release policy has a condition of more than one allOf or anyOf");
    return condition_list(t, condition, required, holds, why, e);
}

static enum status any_check(struct trial *t, const struct cJSON *list, bool required, bool *holds,
                             struct error *why, struct error *e)
{
    const struct cJSON *item = NULL;
    struct error first = {0};
    *holds = false;
    cJSON_ArrayForEach(item, list)
    {
        struct error reason = {0};
        bool one = false;
        TRY(condition_check(t, item, false, &one, &reason, e));
        *holds = *holds || one;
        first = first.status == OK && !one ? reason : first;
    }
    if (*holds)
        return OK;
    (void)!fail(why, E_NOT_RELEASED, "none of %d alternatives holds, the first: %s",
                cJSON_GetArraySize(list), first.text);
    return required ? finding_fail(&t->each, "anyOf", why, e) : OK;
}

static enum status all_check(struct trial *t, const struct cJSON *list, bool required, bool *holds,
                             struct error *why, struct error *e)
{
    const struct cJSON *item = NULL;
    *holds = true;
    cJSON_ArrayForEach(item, list)
    {
        struct error reason = {0};
        bool one = false;
        TRY(condition_check(t, item, required, &one, &reason, e));
        if (*holds && !one)
            *why = reason;
        *holds = *holds && one;
    }
    return OK;
}

/* OBJECT has allOf or anyOf, not both. Goes no deeper than json_parse lets it. */
static enum status condition_list(struct trial *t, const struct cJSON *object, bool required,
                                  bool *holds, struct error *why, struct error *e)
{
    const struct cJSON *all = json_array(object, "allOf"), *any = json_array(object, "anyOf");
    const struct cJSON *list = all != NULL ? all : any;
    if ((all == NULL) == (any == NULL) || cJSON_GetArraySize(list) == 0)
        return fail(e, E_NOT_RELEASED,
                    "the release policy wants one list of conditions at each place, allOf or anyOf");
    return list == all ? all_check(t, list, required, holds, why, e)
                       : any_check(t, list, required, holds, why, e);
}

static struct span without_slash(struct span path)
{
    while (path.size > 0 && path.data[path.size - 1] == '/')
        path.size--;
    return path;
}

/* With and without a slash at the end, hosts in any case of letters. */
static bool same_authority(const char *a, const char *b)
{
    struct url left = {0}, right = {0};
    struct error ignored = {0};
    if (url_parse(a, &left, &ignored) != OK || url_parse(b, &right, &ignored) != OK)
        return false;
    return left.https == right.https && left.port == right.port &&
           left.host.size == right.host.size &&
           strncasecmp((const char *)left.host.data, (const char *)right.host.data,
                       left.host.size) == 0 &&
           span_equal(without_slash(left.path), without_slash(right.path)) &&
           span_equal(left.query, right.query);
}

static enum status findings_move(struct findings *from, struct findings *to, struct error *e)
{
    for (size_t i = 0; to != NULL && i < from->n; i++)
        TRY(finding_copy(to, &from->list[i], e));
    return OK;
}

struct outcome {
    size_t tried; /* environments of the token's issuer */
    bool holds;
    struct findings each; /* of the one that holds, else of the first that was tried */
    struct error why;
};

static enum status environment_try(const struct cJSON *environment, const struct cJSON *claims,
                                   const char *issuer, struct outcome *out, struct error *e)
{
    AUTO(findings_free) struct findings spare = {0};
    struct trial trial = {.claims = claims};
    struct error why = {0};
    bool holds = false;
    enum status status = finding_ok(&trial.each, "authority", e, "%s", issuer);
    if (status == OK)
        status = condition_list(&trial, environment, true, &holds, &why, e);
    spare = trial.each;
    if (status != OK || (out->tried++ > 0 && (out->holds || !holds)))
        return status;
    out->holds = holds;
    out->why = why;
    spare = out->each;
    out->each = trial.each;
    return OK;
}

/* Every environment is read, also behind one that holds: a vault refuses a policy that is broken
 * anywhere. AUTHORITIES gets their names for the message. */
static enum status environments_try(const struct cJSON *policy, const struct cJSON *claims,
                                    const char *issuer, struct outcome *out,
                                    struct buf *authorities, struct error *e)
{
    const struct cJSON *environment = NULL, *list = json_array(policy, "anyOf");
    if (cJSON_GetArraySize(list) == 0)
        return fail(e, E_NOT_RELEASED, "the release policy names no authority");
    cJSON_ArrayForEach(environment, list)
    {
        const char *authority = json_text(environment, "authority");
        if (authority == NULL || cJSON_GetArraySize(environment) != 2)
            return fail(e, E_NOT_RELEASED,
                        "the release policy has a part that is not an authority and its conditions");
        TRY(buf_addf(authorities, e, "%s%s", authorities->size > 0 ? ", " : "", authority));
        if (same_authority(authority, issuer))
            TRY(environment_try(environment, claims, issuer, out, e));
    }
    return OK;
}

static enum status verdict(const struct outcome *outcome, const char *issuer,
                           const char *authorities, struct findings *each, struct error *e)
{
    struct error why = outcome->why;
    if (outcome->tried == 0) {
        (void)!fail(&why, E_NOT_RELEASED,
                    "the token was issued by \"%.200s\"; the policy wants a token of %.300s", issuer,
                    authorities);
        advise(&why, "attest with the service that the key's release policy names, or add this one "
                     "to the policy (decant policy --attestation URL)");
        if (each != NULL)
            TRY(finding_fail(each, "authority", &why, e));
    }
    if (outcome->holds)
        return OK;
    *e = why;
    return why.status;
}

static enum status evaluate(const struct cJSON *policy, const struct cJSON *claims,
                            struct findings *each, struct error *e)
{
    AUTO(buf_free) struct buf authorities = BUF(2 * POLICY_TEXT_MAX);
    struct outcome outcome = {0};
    const char *issuer = json_text(claims, "iss");
    if (issuer == NULL)
        return fail(e, E_NOT_ATTESTED, "the token's claim iss is no text");
    enum status status = environments_try(policy, claims, issuer, &outcome, &authorities, e);
    AUTO(findings_free) struct findings found = outcome.each;
    TRY(status);
    TRY(findings_move(&found, each, e));
    return verdict(&outcome, issuer, buf_text(&authorities), each, e);
}

enum status policy_evaluate(struct span policy, struct span token, struct findings *each,
                            struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(json_free) struct cJSON *claims = NULL;
    TRY(policy_parse(policy, &tree, e));
    TRY(claims_parse(token, &claims, e));
    return evaluate(tree, claims, each, e);
}

/*
 * One request to the vault or to a sidecar, and its JSON answer. The answer is hostile. A
 * refusal becomes an error with the service's own code and request id, and with the remedy for the
 * cases that the documents of Key Vault name; only its text tells some of them apart.
 */
#include "key/internal.h"

#include <string.h>

#define REPLY_MAX (512u * 1024u)

/* For the first row whose status (0: any) and words fit. */
struct remedy {
    long status;
    const char *words;  /* somewhere in the answer, in any case */
    const char *method; /* NULL: any */
    const char *advice;
};
static const struct remedy REMEDIES[] = {
    {0, "does not meet key release policy requirements", NULL,
     "compare the key's release policy with the container's policy (host data) and the provider's "
     "claims"},
    {0, "attestation statement cannot be verified", NULL,
     "the key's release policy must name this job's attestation.provider as its authority, and the "
     "vault must be able to reach that provider"},
    {0, "ForbiddenByFirewall", NULL, "let the vault's firewall admit this network"},
    {0, "caller is not a trusted service", NULL, "let the vault's firewall admit this network"},
    {0, "KeyDisabled", NULL, "enable the key in the vault"},
    {0, "does not have keys release permission", NULL,
     "this vault has access policies instead of roles: give the identity the key permission "
     "\"release\""},
    {0, "KeyNotFound", NULL, "check name and version of the key id, and that it names the right vault"},
    {400, NULL, "POST",
     "the key must be exportable and have a release policy, in a Premium vault or a managed HSM"},
    {401, NULL, NULL,
     "the access token must be for the audience https://vault.azure.net (a managed HSM: "
     "https://managedhsm.azure.net) and from the tenant of the vault"},
    {403, NULL, "GET",
     "give the identity the right to read this key (role Key Vault Crypto User, or the access policy "
     "\"get\" for keys), or give the public key itself as a file"},
    {403, NULL, "POST",
     "give the identity the role Key Vault Crypto Service Release User (or Managed HSM Crypto "
     "Service Release User) for this key; a new role takes minutes to count"},
    {404, NULL, NULL, "check name and version of the key id, and that it names the right vault"},
    {409, NULL, NULL, "the key may be deleted: recover it in the vault"},
};

static void advise_refusal(const char *method, const struct http_reply *reply, struct error *e)
{
    for (size_t i = 0; i < COUNT(REMEDIES); i++) {
        const struct remedy *r = &REMEDIES[i];

        if (r->words != NULL && strcasestr(buf_text(&reply->body), r->words) == NULL)
            continue;
        if (r->method != NULL && strcmp(r->method, method) != 0)
            continue;
        if (r->status == 0 || r->status == reply->status) {
            advise(e, "%s", r->advice);
            return;
        }
    }
}

static enum status call(struct http_session *session, const struct key_call *post,
                        struct http_reply *reply, struct error *e)
{
    struct http_header headers[3] = {
        {"Content-Type", SPAN_LITERAL("application/json")},
        {"Accept", SPAN_LITERAL("application/json")},
    };
    AUTO(buf_free) struct buf bearer = BUF(post->bearer.size + 16);
    size_t n = 2;

    if (post->bearer.size != 0) {
        TRY(buf_add(&bearer, SPAN_LITERAL("Bearer "), e));
        TRY(buf_add(&bearer, post->bearer, e));
        headers[n++] = (struct http_header){"Authorization", buf_span(&bearer)};
    }
    const struct http_request request = {
        .what = post->what,
        .method = post->method,
        .url = post->url,
        .headers = headers,
        .n_headers = n,
        .body = post->body,
        .max_reply = REPLY_MAX,
        .timeout_ms = post->timeout_ms,
        .retry = true, /* neither changes anything at the vault */
        .patience_ms = post->patience_ms,
        .direct = post->direct,
    };
    TRY(http_call(session, &request, reply, e));
    if (reply->status == 200)
        return OK;
    const enum status status = http_refusal(&request, reply, E_NOT_RELEASED, e);
    if (status == E_NOT_RELEASED)
        advise_refusal(post->method, reply, e);
    return status;
}

enum status key_call(struct http_session *session, const struct key_call *post,
                     struct cJSON **answer, struct error *e)
{
    AUTO(http_reply_free) struct http_reply reply = {0};

    TRY(call(session, post, &reply, e));
    if (json_parse(buf_span(&reply.body), E_BAD_KEY, answer, e) == OK)
        return OK;
    (void)wrap(e, "%s: the answer", post->what);
    advise(e, "check that %s is the service it should be", post->url);
    return e->status;
}

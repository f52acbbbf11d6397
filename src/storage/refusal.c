/*
 * What a refusal by the service means, and what the user can do about it.
 *
 * The codes are those of "Blob service error codes" and "Common REST API error codes". The
 * service's message is hostile like all it says; should it repeat the SAS, the signature is struck
 * out.
 */
#include <stdio.h>
#include <string.h>

#include "storage/internal.h"

/* TO_WRITE: only of a request that writes; such rows stand before the others of their code. */
enum { WITH_SAS = 1, WITH_BEARER = 2, WITH_NOTHING = 4, WITH_ANY = 7, TO_WRITE = 8 };

static const struct remedy {
    const char *code;
    int with;
    enum status status;
    const char *text;
} remedies[] = {
    {"AuthenticationFailed", WITH_SAS, E_DENIED,
     "check the SAS: it may be cut, be not valid yet, or be signed with a key that was renewed"},
    {"AuthenticationFailed", WITH_BEARER, E_DENIED,
     "check that the identity is of the storage account's tenant, and this machine's clock"},
    {"InvalidAuthenticationInfo", WITH_BEARER, E_DENIED,
     "check that the token is one for storage (https://storage.azure.com) and still valid"},
    {"AuthorizationPermissionMismatch", WITH_BEARER | TO_WRITE, E_DENIED,
     "give the identity the role Storage Blob Data Contributor on the container; a new role takes minutes"},
    {"AuthorizationPermissionMismatch", WITH_SAS | TO_WRITE, E_DENIED,
     "make a SAS with the permissions create, write and delete (delete only to undo a failed seal)"},
    {"AuthorizationFailure", WITH_SAS | TO_WRITE, E_DENIED,
     "check that the SAS is for this container and gives create, write and delete; else the account's network rules may "
     "keep this network out"},
    {"UnauthorizedBlobOverwrite", WITH_ANY | TO_WRITE, E_NAME,
     "the blob is there already and the SAS gives create only: choose another name, or a SAS with write"},
    {"InvalidBlobOrBlock", WITH_ANY | TO_WRITE, E_DENIED,
     "another program left an unfinished upload of that name: choose another name, or let it finish (the service "
     "forgets it after a week)"},
    {"InvalidBlockList", WITH_ANY | TO_WRITE, E_MISMATCH,
     "somebody else wrote this blob meanwhile, which drops unfinished uploads: run again"},
    {"InvalidBlobType", WITH_ANY | TO_WRITE, E_NAME,
     "there is an append or page blob of that name: choose another name, or delete it"},
    {"BlobImmutableDueToPolicy", WITH_ANY | TO_WRITE, E_DENIED,
     "the container's immutability policy keeps the blob that is there: choose another name"},
    {"LeaseIdMissing", WITH_ANY | TO_WRITE, E_DENIED,
     "somebody holds a lease on the blob: wait until it ends, or break it"},
    {"InvalidUri", WITH_ANY | TO_WRITE, E_NAME, "no blob can have this name: choose another"},
    {"InvalidResourceName", WITH_ANY | TO_WRITE, E_NAME,
     "no blob can have this name: choose another"},
    {"AuthorizationPermissionMismatch", WITH_BEARER, E_DENIED,
     "give the identity the role Storage Blob Data Reader on the container; a new role takes minutes"},
    {"AuthorizationPermissionMismatch", WITH_SAS, E_DENIED,
     "make a SAS with the permissions read and, for a prefix, list"},
    {"AuthorizationFailure", WITH_SAS, E_DENIED,
     "check that the SAS is for this container and gives read and list; else the account's network rules may keep this "
     "network out"},
    {"AuthorizationFailure", WITH_ANY, E_DENIED,
     "the account's network rules may keep this network out: allow it, or use a private endpoint"},
    {"AuthorizationSourceIPMismatch", WITH_SAS, E_DENIED,
     "the SAS is bound to other addresses (sip): make one for this network"},
    {"AuthorizationProtocolMismatch", WITH_SAS, E_DENIED,
     "the SAS asks for https: use an https URL"},
    {"AuthorizationResourceTypeMismatch", WITH_SAS, E_DENIED,
     "the SAS is for another kind of resource: make one for the container (sr=c)"},
    {"AuthorizationServiceMismatch", WITH_SAS, E_DENIED,
     "the SAS is for another service: make one for blobs"},
    {"KeyBasedAuthenticationNotPermitted", WITH_ANY, E_DENIED,
     "the account takes no SAS signed with its keys: use a user delegation SAS, or an identity"},
    {"PublicAccessNotPermitted", WITH_ANY, E_DENIED,
     "the account allows nobody in without a credential: give a SAS or an identity"},
    {"NoAuthenticationInformation", WITH_ANY, E_DENIED,
     "the container is private: give a SAS or an identity"},
    {"InsufficientAccountPermissions", WITH_ANY, E_DENIED,
     "check the permissions of the SAS or the roles of the identity"},
    {"AccountIsDisabled", WITH_ANY, E_DENIED, "enable the storage account"},
    {"BlobUsesCustomerSpecifiedEncryption", WITH_ANY, E_DENIED,
     "the blob has a customer-provided server-side key, which is not supported: copy it without one"},
    {"BlobArchived", WITH_ANY, E_NOT_FOUND,
     "the blob is in the archive tier: move it to hot or cool first"},
    {"BlobBeingRehydrated", WITH_ANY, E_NOT_FOUND,
     "the blob is on its way back from the archive tier: wait until it is there"},
    {"ContainerBeingDeleted", WITH_ANY, E_NOT_FOUND, "the container is being deleted"},
    {"ContainerNotFound", WITH_NOTHING, E_NOT_FOUND,
     "check the container's name; a private container looks absent to whoever has no credential"},
    {"ResourceNotFound", WITH_NOTHING, E_NOT_FOUND,
     "check the name; a private container looks absent to whoever has no credential"},
    {"ContainerNotFound", WITH_ANY, E_NOT_FOUND, "check the account and the container's name"},
    {"BlobNotFound", WITH_ANY, E_NOT_FOUND, "check the blob's name: letter case counts"},
    {"InvalidHeaderValue", WITH_ANY, E_NETWORK,
     "the service may not know the version " STORAGE_VERSION
     " of its interface: is this a blob endpoint?"},
};

static const struct {
    long http;
    enum status status;
    const char *advice;
} answers[] = {
    {401, E_DENIED, "check the SAS or the identity"},
    {403, E_DENIED, "check the SAS or the roles of the identity"},
    {404, E_NOT_FOUND, "check the URL"},
    {409, E_DENIED, ""},
    {412, E_MISMATCH, "run again; if it happens again, find out who writes this blob"},
    {416, E_MISMATCH, "run again; if it happens again, find out who writes this blob"},
};

static enum status status_of(long http)
{
    for (size_t i = 0; i < COUNT(answers); i++)
        if (answers[i].http == http)
            return answers[i].status;
    return E_NETWORK;
}

static struct span sas_value(const struct storage *storage, const char *key)
{
    struct span sas = secret_view(&storage->sas);
    size_t n = strlen(key);
    for (size_t at = 0; at + n <= sas.size; at++) {
        bool first = at == 0 || sas.data[at - 1] == '&';
        if (!first || memcmp(sas.data + at, key, n) != 0)
            continue;
        const uint8_t *start = sas.data + at + n;
        const uint8_t *end = memchr(start, '&', sas.size - at - n);
        return span_of(start, end == NULL ? sas.size - at - n : (size_t)(end - start));
    }
    return (struct span){0};
}

bool storage_sas_gives(const struct storage *storage, const char *letters)
{
    struct span permissions = sas_value(storage, "sp=");
    for (size_t i = 0; i < permissions.size; i++)
        if (permissions.data[i] != '\0' && strchr(letters, permissions.data[i]) != NULL)
            return true;
    return false;
}

/* "se" is ISO 8601 in UTC, a date or a date and a time; its ':' may be escaped. */
static bool sas_is_expired(const struct storage *storage)
{
    AUTO(buf_free) struct buf text = BUF(64);
    struct error ignored = {0};
    struct tm t = {0};
    if (percent_decode(sas_value(storage, "se="), &text, E_USAGE, &ignored) != OK)
        return false;
    if (sscanf(buf_text(&text), "%4d-%2d-%2dT%2d:%2d:%2d", &t.tm_year, &t.tm_mon, &t.tm_mday,
               &t.tm_hour, &t.tm_min, &t.tm_sec) < 3 ||
        t.tm_year < 2000 || t.tm_year > 9999)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return (int64_t)timegm(&t) < clock_unix_s();
}

static void strike_out(char *text, struct span secret)
{
    if (secret.size < 4)
        return;
    size_t size = strlen(text);
    for (char *at = memmem(text, size, secret.data, secret.size); at != NULL;
         at = memmem(text, size, secret.data, secret.size))
        memset(at, '*', secret.size);
}

/* The service's words may repeat the signature, as it came or decoded. */
static void signature_strike_out(const struct storage *storage, struct error *e)
{
    AUTO(buf_free) struct buf decoded = BUF(16 * 1024);
    struct error ignored = {0};
    struct span signature = sas_value(storage, "sig=");
    char *const texts[] = {e->text, e->service_code, e->request_id, e->remedy};
    if (percent_decode(signature, &decoded, E_USAGE, &ignored) != OK)
        buf_clear(&decoded);
    struct span bare = buf_span(&decoded);
    while (bare.size > 0 && bare.data[bare.size - 1] == '=')
        bare.size--; /* the padding may be lost on the way */
    for (size_t i = 0; i < COUNT(texts); i++) {
        strike_out(texts[i], signature);
        strike_out(texts[i], bare);
    }
}

static const struct remedy *remedy_find(const char *code, int with, bool writes)
{
    for (size_t i = 0; i < COUNT(remedies); i++)
        if ((remedies[i].with & with) != 0 && (writes || (remedies[i].with & TO_WRITE) == 0) &&
            strcmp(remedies[i].code, code) == 0)
            return &remedies[i];
    return NULL;
}

static bool ask_writes(const struct ask *ask)
{
    return strcmp(ask->method, "PUT") == 0 || strcmp(ask->method, "DELETE") == 0;
}

static void remedy_add(const struct storage *storage, const struct ask *ask, long http,
                       struct error *e)
{
    int with = storage_has_sas(storage)      ? WITH_SAS
               : storage_has_bearer(storage) ? WITH_BEARER
                                             : WITH_NOTHING;
    const struct remedy *remedy = remedy_find(e->service_code, with, ask_writes(ask));
    if (remedy != NULL)
        e->status = remedy->status;
    if (e->status == E_DENIED && with == WITH_SAS && sas_is_expired(storage))
        advise(e, "the SAS has expired: make a new one");
    if (e->status == E_DENIED && with == WITH_NOTHING)
        advise(e, "the request had no credential: give a SAS or an identity");
    if (remedy != NULL)
        advise(e, "%s", remedy->text);
    for (size_t i = 0; i < COUNT(answers); i++)
        if (answers[i].http == http && answers[i].advice[0] != '\0')
            advise(e, "%s", answers[i].advice);
}

/* The same error in other words; what the service said of itself stays. */
static void restate(struct error *e, const char *what, const char *text)
{
    struct error old = *e;
    (void)fail(e, old.status, "%s: %s", what, text);
    memcpy(e->service_code, old.service_code, sizeof e->service_code);
    memcpy(e->request_id, old.request_id, sizeof e->request_id);
}

enum status storage_refusal(const struct storage *storage, const struct ask *ask,
                            const struct http_reply *reply, struct error *e)
{
    struct http_request request = {.what = ask->what, .method = ask->method, .url = ask->url};
    enum status status = http_refusal(&request, reply, status_of(reply->status), e);
    if (reply->status == 412 && !ask_writes(ask))
        restate(e, ask->what, "the blob changed while it was read");
    else if (reply->status == 416)
        restate(e, ask->what, "the blob is smaller than it was said to be");
    if (!e->transient)
        remedy_add(storage, ask, reply->status, e);
    signature_strike_out(storage, e);
    return e->status == OK ? status : e->status;
}

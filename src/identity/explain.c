/*
 * Entra ID's refusals: "AADSTS" and a number, in the member error_codes and at the head of
 * error_description (Microsoft Entra documentation, "authentication and authorization error
 * codes"). The text is the service's.
 */
#include "identity/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static const struct {
    uint32_t number;
    bool passes; /* gone in a moment: a federated credential takes some seconds to be known
                    everywhere */
    const char *advice;
} refusals[] = {
    {50001, false,
     "the tenant does not know the service that the token is for: check the cloud (AZURE_AUTHORITY_HOST)"},
    {500011, false,
     "the tenant does not know the service that the token is for: check AZURE_TENANT_ID and the cloud "
     "(AZURE_AUTHORITY_HOST)"},
    {53003, false,
     "a conditional access policy of the tenant blocks this identity: ask the tenant's administrator"},
    {70021, true,
     "no federated credential fits the pod's token: its issuer, subject (namespace and service account) and audience "
     "must match exactly"},
    {700211, false,
     "no federated credential has this cluster's issuer: compare it with the cluster's OIDC issuer URL"},
    {700212, false,
     "no federated credential has the token's audience: it must be api://AzureADTokenExchange; identity bindings are "
     "not supported"},
    {700213, true,
     "no federated credential has the token's subject: it must be system:serviceaccount:NAMESPACE:NAME of this pod"},
    {70025, false,
     "the identity has no federated credential: create one for this pod's service account"},
    {700016, false,
     "the tenant does not know this client id: check AZURE_CLIENT_ID (identity.client_id) and AZURE_TENANT_ID"},
    {700024, false,
     "the pod's federated token is out of date: check the clock, and that AZURE_FEDERATED_TOKEN_FILE is the projected "
     "volume itself and not a copy"},
    {700027, false,
     "the client's assertion was not signed by a key the application knows: check its credentials"},
    {7000215, false, "AZURE_CLIENT_SECRET is wrong: it must be the secret's value, not its id"},
    {7000222, false, "the client secret has expired: create a new one"},
    {7000112, false, "the application is disabled: ask the tenant's administrator"},
    {90002, false,
     "there is no such tenant: check AZURE_TENANT_ID and the cloud (AZURE_AUTHORITY_HOST)"},
    {900023, false, "AZURE_TENANT_ID is neither a tenant's id nor a domain name"},
    {90033, true, "Microsoft Entra ID has trouble of its own: try again later"},
};

/* The number, 0 if there is none. */
static uint32_t number_of(const struct cJSON *reply)
{
    static const char prefix[] = "AADSTS";
    const struct cJSON *first = cJSON_GetArrayItem(json_array(reply, "error_codes"), 0);
    const char *text = json_text(reply, "error_description");
    double number = cJSON_IsNumber(first) ? first->valuedouble : 0;

    if (number >= 1 && number < 1e9)
        return (uint32_t)number;
    text = text ? strstr(text, prefix) : NULL;
    unsigned long n = text ? strtoul(text + sizeof prefix - 1, NULL, 10) : 0;
    return n < 1000000000 ? (uint32_t)n : 0;
}

void entra_explain(const struct http_reply *reply, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    struct error ignored = {0};

    if (json_parse(buf_span(&reply->body), E_NO_TOKEN, &tree, &ignored) != OK)
        return;
    uint32_t number = number_of(tree);
    if (number == 0)
        return;
    (void)snprintf(e->service_code, sizeof e->service_code, "AADSTS%u", number);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (refusals[i].number != number)
            continue;
        e->transient = e->transient || refusals[i].passes;
        e->remedy[0] = 0; /* better than anything general */
        advise(e, "%s", refusals[i].advice);
        return;
    }
    advise(e, "Microsoft documents AADSTS%u among the error codes of Microsoft Entra ID", number);
}

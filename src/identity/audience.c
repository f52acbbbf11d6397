/*
 * Clouds by the suffixes of their hosts: which audience a token must have, and who issues it. The
 * hosts come from the job. The tables are Azure's documented service endpoints of the public cloud,
 * US Government and China.
 */
#include "identity/internal.h"

#define VAULT "https://vault.azure.net"

static const struct {
    const char *suffix, *audience;
} vaults[] = {
    {".vault.azure.net", VAULT},
    {".vaultcore.azure.net", VAULT},
    {".managedhsm.azure.net", "https://managedhsm.azure.net"},
    {".vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"},
    {".vaultcore.usgovcloudapi.net", "https://vault.usgovcloudapi.net"},
    {".managedhsm.usgovcloudapi.net", "https://managedhsm.usgovcloudapi.net"},
    {".vault.azure.cn", "https://vault.azure.cn"},
    {".vaultcore.azure.cn", "https://vault.azure.cn"},
    {".managedhsm.azure.cn", "https://managedhsm.azure.cn"},
};

static const struct {
    const char *suffix, *login;
} clouds[] = {
    {".usgovcloudapi.net", "https://login.microsoftonline.us"},
    {".azure.us", "https://login.microsoftonline.us"},
    {".azure.cn", "https://login.chinacloudapi.cn"},
    {".chinacloudapi.cn", "https://login.chinacloudapi.cn"},
};

const char *audience_of_vault(const struct url *vault)
{
    for (size_t i = 0; i < COUNT(vaults); i++)
        if (url_host_ends(vault, vaults[i].suffix))
            return vaults[i].audience;
    return VAULT; /* a private name or a test double */
}

const char *audience_of_storage([[maybe_unused]] const struct url *account)
{
    return "https://storage.azure.com/"; /* the same in all clouds; the slash belongs to it */
}

const char *cloud_login(const char *host)
{
    const struct url url = {.host = span_text(host)};

    for (size_t i = 0; i < COUNT(clouds); i++)
        if (url_host_ends(&url, clouds[i].suffix))
            return clouds[i].login;
    return "https://login.microsoftonline.com";
}

/* Workload identity and client secrets: the exchange with the token endpoint, played by a peer. */
#include "identity/scene.h"

#define TENANT "11111111-2222-3333-4444-555555555555"
#define GOOD                                                                                       \
    "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,\"access_token\":\"ey.entra.token\"}"

struct script {
    int status;
    const char *body;
    size_t times; /* then the good answer */
};

static void serve(void *context, const struct peer_request *q, struct peer_answer *a)
{
    const struct script *s = context;
    bool trouble = q->number < s->times;
    peer_reply(a, trouble ? s->status : 200, JSON, trouble ? s->body : GOOD);
}

static void environment_set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static enum status ask(enum identity_kind kind, struct script *script, const char *audience,
                       struct peer *peer, struct secret *token, struct error *e)
{
    const struct identity_options options = {.kind = kind};
    environment_clear();
    peer_start(peer, serve, script);
    char *file = file_make("ey.federated+.token\n");
    environment_set("AZURE_AUTHORITY_HOST", peer_url(peer));
    environment_set("AZURE_TENANT_ID", TENANT);
    environment_set("AZURE_CLIENT_ID", "client id");
    if (kind == IDENTITY_CLIENT_SECRET)
        environment_set("AZURE_CLIENT_SECRET", "s&cret=1~");
    else
        environment_set("AZURE_FEDERATED_TOKEN_FILE", file);
    enum status status = ask_once(&options, audience, token, 5000, e);
    file_drop(file);
    environment_clear();
    return status;
}

static void request(void **state)
{
    (void)state;
    static const struct {
        enum identity_kind kind;
        const char *audience, *form;
    } cases[] = {
        {IDENTITY_WORKLOAD, STORAGE,
         "grant_type=client_credentials&client_id=client%20id&scope=https%3A%2F%2Fstorage.azure.com%2F.default&"
         "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"
         "client_assertion=ey.federated%2B.token"},
        {IDENTITY_AUTO, VAULT,
         "grant_type=client_credentials&client_id=client%20id&scope=https%3A%2F%2Fvault.azure.net%2F.default&"
         "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"
         "client_assertion=ey.federated%2B.token"},
        {IDENTITY_CLIENT_SECRET, VAULT,
         "grant_type=client_credentials&client_id=client%20id&scope=https%3A%2F%2Fvault.azure.net%2F.default&"
         "client_secret=s%26cret%3D1~"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        struct script script = {0};
        char type[64];
        AUTO(secret_free) struct secret token = {0};
        assert_ok(ask(cases[i].kind, &script, cases[i].audience, &peer, &token, &e), &e);
        assert_true(span_is(secret_view(&token), "ey.entra.token"));
        const char *record = peer.records[0], *body = strstr(record, "\r\n\r\n");
        static const char line[] = "POST /" TENANT "/oauth2/v2.0/token HTTP/1.1\r\n";
        assert_memory_equal(record, line, sizeof line - 1);
        assert_non_null(body);
        assert_string_equal(body + 4, cases[i].form);
        peer_recorded_header(record, "Content-Type", type, sizeof type);
        assert_string_equal(type, "application/x-www-form-urlencoded");
        peer_stop(&peer);
    }
}

static void refused(void **state)
{
    (void)state;
#define REFUSAL(n)                                                                                 \
    "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS" #n                              \
    ": Said so. Trace ID: 1\",\"error_codes\":[" #n "]}"
    static const struct {
        int status;
        const char *body;
        size_t requests;
        const char *code, *remedy;
    } cases[] = {
        {401, REFUSAL(7000215), 1, "AADSTS7000215", "AZURE_CLIENT_SECRET"},
        {400, REFUSAL(700016), 1, "AADSTS700016", "AZURE_CLIENT_ID"},
        {400, REFUSAL(90002), 1, "AADSTS90002", "AZURE_TENANT_ID"},
        {401, REFUSAL(700024), 1, "AADSTS700024", "AZURE_FEDERATED_TOKEN_FILE"},
        {401, REFUSAL(70021), 4, "AADSTS70021", "federated credential"},
        {401, REFUSAL(700213), 4, "AADSTS700213", "subject"},
        {401, REFUSAL(700212), 1, "AADSTS700212", "api://AzureADTokenExchange"},
        {400, REFUSAL(500011), 1, "AADSTS500011", "cloud"},
        {400, REFUSAL(50001), 1, "AADSTS50001", "cloud"},
        {400, REFUSAL(123456), 1, "AADSTS123456", "AADSTS123456"},
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700024: late\"}", 1,
         "AADSTS700024", "out of date"},
        {400, "{\"error\":\"invalid_request\"}", 1, "invalid_request", ""},
        {400, "{\"error\":\"x\",\"error_codes\":[-5]}", 1, "x", ""},
        {400, "nothing", 1, "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        struct script script = {cases[i].status, cases[i].body, SIZE_MAX};
        AUTO(secret_free) struct secret token = {0};
        assert_fails(ask(IDENTITY_WORKLOAD, &script, VAULT, &peer, &token, &e), E_NO_TOKEN,
                     "workload identity", &e);
        assert_string_equal(e.service_code, cases[i].code);
        assert_false(e.transient);
        assert_int_equal(peer.n_requests, cases[i].requests);
        if (!strstr(e.remedy, cases[i].remedy))
            fail_msg("%s: \"%s\"", cases[i].code, e.remedy);
        assert_null(strstr(e.text, "federated+"));
        peer_stop(&peer);
    }
}

/* A credential that was just created is not known everywhere at once. */
static void waited_out(void **state)
{
    (void)state;
    static const struct script troubles[] = {
        {401, REFUSAL(70021), 2}, {400, REFUSAL(90033), 1}, {503, "", 1}, {429, "{}", 1}};
    for (size_t i = 0; i < COUNT(troubles); i++) {
        struct error e = {0};
        struct peer peer;
        struct script script = troubles[i];
        AUTO(secret_free) struct secret token = {0};
        assert_ok(ask(IDENTITY_WORKLOAD, &script, VAULT, &peer, &token, &e), &e);
        assert_int_equal(peer.n_requests, troubles[i].times + 1);
        peer_stop(&peer);
    }
}

static void outlasted(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    struct script script = {503, "", SIZE_MAX};
    AUTO(secret_free) struct secret token = {0};
    assert_fails(ask(IDENTITY_CLIENT_SECRET, &script, VAULT, &peer, &token, &e), E_NETWORK, "503",
                 &e);
    assert_true(e.transient);
    peer_stop(&peer);
}

/* What is wrong with the environment is said before anything is sent. */
static void environment(void **state)
{
    (void)state;
    static const struct {
        enum identity_kind kind;
        const char *name, *value, *part; /* VALUE NULL: unset */
    } cases[] = {
        {IDENTITY_WORKLOAD, "AZURE_CLIENT_ID", NULL, "AZURE_CLIENT_ID"},
        {IDENTITY_WORKLOAD, "AZURE_TENANT_ID", NULL, "AZURE_TENANT_ID"},
        {IDENTITY_WORKLOAD, "AZURE_TENANT_ID", "a/b", "AZURE_TENANT_ID"},
        {IDENTITY_WORKLOAD, "AZURE_TENANT_ID", "a?b", "AZURE_TENANT_ID"},
        {IDENTITY_WORKLOAD, "AZURE_FEDERATED_TOKEN_FILE", "", "AZURE_FEDERATED_TOKEN_FILE"},
        {IDENTITY_WORKLOAD, "AZURE_FEDERATED_TOKEN_FILE", "/nonexistent", "/nonexistent"},
        {IDENTITY_WORKLOAD, "AZURE_FEDERATED_TOKEN_FILE", "/dev/null", "/dev/null"},
        {IDENTITY_WORKLOAD, "AZURE_KUBERNETES_TOKEN_PROXY", "https://proxy", "identity bindings"},
        {IDENTITY_WORKLOAD, "AZURE_AUTHORITY_HOST", "http://login.example.com",
         "AZURE_AUTHORITY_HOST"},
        {IDENTITY_WORKLOAD, "AZURE_AUTHORITY_HOST", "https://", "AZURE_AUTHORITY_HOST"},
        {IDENTITY_CLIENT_SECRET, "AZURE_CLIENT_SECRET", NULL, "AZURE_CLIENT_SECRET"},
    };
    char *file = file_make("ey.federated.token");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret token = {0};
        const struct identity_options options = {.kind = cases[i].kind};
        environment_clear();
        environment_set("AZURE_AUTHORITY_HOST", "http://127.0.0.1:9");
        environment_set("AZURE_TENANT_ID", TENANT);
        environment_set("AZURE_CLIENT_ID", "id");
        environment_set("AZURE_CLIENT_SECRET", "secret");
        environment_set("AZURE_FEDERATED_TOKEN_FILE", file);
        if (cases[i].value)
            environment_set(cases[i].name, cases[i].value);
        else
            (void)unsetenv(cases[i].name);
        assert_fails(ask_once(&options, VAULT, &token, 200, &e), E_NO_TOKEN, cases[i].part, &e);
    }
    file_drop(file);
    environment_clear();
}

static void kinds(void **state)
{
    (void)state;
    static const struct {
        const char *client, *tenant, *file, *secret, *job_client, *expected;
        enum identity_kind kind;
    } cases[] = {
        {NULL, NULL, NULL, NULL, NULL, "managed", IDENTITY_AUTO},
        {"c", NULL, NULL, NULL, NULL, "managed", IDENTITY_AUTO},
        {"c", "t", "f", "s", NULL, "workload", IDENTITY_AUTO},
        {"c", "t", NULL, "s", NULL, "client_secret", IDENTITY_AUTO},
        {NULL, "t", "f", NULL, "j", "workload", IDENTITY_AUTO},
        {"c", "t", "", "", NULL, "managed", IDENTITY_AUTO},
        {"c", "t", "f", "s", NULL, "managed", IDENTITY_MANAGED},
        {"c", "t", "f", "s", NULL, "client_secret", IDENTITY_CLIENT_SECRET},
        {"c", "t", "f", "s", NULL, "token", IDENTITY_TOKEN},
        {"c", "t", "f", "s", NULL, "none", IDENTITY_NONE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(identity_free) struct identity *identity = NULL;
        const char *const pairs[][2] = {{"AZURE_CLIENT_ID", cases[i].client},
                                        {"AZURE_TENANT_ID", cases[i].tenant},
                                        {"AZURE_FEDERATED_TOKEN_FILE", cases[i].file},
                                        {"AZURE_CLIENT_SECRET", cases[i].secret}};
        const struct identity_options options = {.kind = cases[i].kind,
                                                 .client_id = cases[i].job_client};
        environment_clear();
        for (size_t k = 0; k < COUNT(pairs); k++)
            if (pairs[k][1])
                environment_set(pairs[k][0], pairs[k][1]);
        assert_ok(identity_new(&options, NULL, &identity, &e), &e);
        assert_string_equal(identity_name(identity), cases[i].expected);
    }
    environment_clear();
}

/* Which login host is asked, as a proxy sees it. */
static void clouds(void **state)
{
    (void)state;
    static const struct {
        const char *cloud_host, *authority, *line;
    } cases[] = {
        {NULL, NULL, "CONNECT login.microsoftonline.com:443 "},
        {"contoso.vault.azure.net", NULL, "CONNECT login.microsoftonline.com:443 "},
        {"Contoso.vault.usgovcloudapi.net", NULL, "CONNECT login.microsoftonline.us:443 "},
        {"contoso.vault.azure.cn", NULL, "CONNECT login.chinacloudapi.cn:443 "},
        {"contoso.blob.core.chinacloudapi.cn", NULL, "CONNECT login.chinacloudapi.cn:443 "},
        {"contoso.vault.azure.cn", "https://login.example.com/", "CONNECT login.example.com:443 "},
        {NULL, "login.example.com", "CONNECT login.example.com:443 "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        struct script script = {403, "", SIZE_MAX};
        AUTO(secret_free) struct secret token = {0};
        AUTO(identity_free) struct identity *identity = NULL;
        AUTO(http_free) struct http *http = NULL;
        const struct identity_options options = {.kind = IDENTITY_CLIENT_SECRET,
                                                 .cloud_host = cases[i].cloud_host};
        peer_start(&peer, serve, &script);
        const struct http_options settings = {
            .proxy = peer_url(&peer), .deadline_ms = clock_ms() + 5000, .tries = 1};
        environment_clear();
        environment_set("AZURE_TENANT_ID", TENANT);
        environment_set("AZURE_CLIENT_ID", "id");
        environment_set("AZURE_CLIENT_SECRET", "secret");
        if (cases[i].authority)
            environment_set("AZURE_AUTHORITY_HOST", cases[i].authority);
        assert_ok(http_new(&settings, &http, &e), &e);
        assert_ok(identity_new(&options, http, &identity, &e), &e);
        assert_fails(identity_token(identity, VAULT, &token, &e), E_NETWORK, "", &e);
        assert_non_null(peer.records[0]);
        assert_memory_equal(peer.records[0], cases[i].line, strlen(cases[i].line));
        peer_stop(&peer);
    }
    environment_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request),   cmocka_unit_test(refused),     cmocka_unit_test(waited_out),
        cmocka_unit_test(outlasted), cmocka_unit_test(environment), cmocka_unit_test(kinds),
        cmocka_unit_test(clouds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

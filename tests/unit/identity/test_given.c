/* Ready-made tokens, the identity "none", and the tables of audiences. */
#include "identity/scene.h"

#include <time.h>

static enum status ask(struct identity_options options, const char *audience, struct secret *token,
                       struct error *e)
{
    options.kind = IDENTITY_TOKEN;
    return ask_once(&options, audience, token, 100, e);
}

static void places(void **state)
{
    (void)state;
    char *file = file_make(" \n ey.storage\r\n");
    assert_int_equal(setenv("DECANT_TEST_TOKEN", "ey.vault\n", 1), 0);
    const struct identity_options options = {
        .vault_token = {.env = "DECANT_TEST_TOKEN"},
        .storage_token = {.file = file},
    };
    static const struct {
        const char *audience, *token;
    } cases[] = {
        {VAULT, "ey.vault"},
        {"https://managedhsm.azure.net", "ey.vault"},
        {STORAGE, "ey.storage"},
        {"https://storage.azure.com", "ey.storage"},
        {"https://storage.azure.com.evil", "ey.vault"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret token = {0};
        assert_ok(ask(options, cases[i].audience, &token, &e), &e);
        assert_true(span_is(secret_view(&token), cases[i].token));
    }
    (void)unsetenv("DECANT_TEST_TOKEN");
    file_drop(file);
}

/* The file is read each time: no cache stands in front of it. */
static void renewed(void **state)
{
    (void)state;
    struct error e = {0};
    char *file = file_make("first");
    AUTO(identity_free) struct identity *identity = NULL;
    AUTO(secret_free) struct secret token = {0};
    const struct identity_options options = {.kind = IDENTITY_TOKEN, .vault_token = {.file = file}};
    assert_ok(identity_new(&options, NULL, &identity, &e), &e);
    assert_ok(identity_token(identity, VAULT, &token, &e), &e);
    assert_true(span_is(secret_view(&token), "first"));
    file_write(file, "second");
    assert_ok(identity_token(identity, VAULT, &token, &e), &e);
    assert_true(span_is(secret_view(&token), "second"));
    file_write(file, "");
    assert_fails(identity_token(identity, VAULT, &token, &e), E_NO_TOKEN, "no access token", &e);
    file_drop(file);
}

static void bad(void **state)
{
    (void)state;
    char expired[256], good[256], huge[16386];
    jwt_make(expired, sizeof expired, 1000000000);
    jwt_make(good, sizeof good, time(NULL) + 600);
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const struct {
        const char *value; /* NULL: not set */
        enum status expected;
        const char *part;
    } cases[] = {
        {good, OK, ""},
        {"no.jwt.atall", OK, ""},
        {"e30.e30.", OK, ""},
        {expired, E_NO_TOKEN, "2001-09-09T01:46:40Z"},
        {NULL, E_NO_TOKEN, "DECANT_TEST_TOKEN"},
        {"", E_NO_TOKEN, "DECANT_TEST_TOKEN"},
        {"Bearer ey", E_NO_TOKEN, "no access token"},
        {"ey\x7f", E_NO_TOKEN, "no access token"},
        {"ey\xc3\xa9", E_NO_TOKEN, "no access token"},
        {"ey\r\nX:y", E_NO_TOKEN, "no access token"},
        {huge, E_NO_TOKEN, "no access token"},
        {huge + 1, OK, ""},
    };
    const struct identity_options options = {.vault_token = {.env = "DECANT_TEST_TOKEN"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret token = {0};
        (void)unsetenv("DECANT_TEST_TOKEN");
        if (cases[i].value)
            assert_int_equal(setenv("DECANT_TEST_TOKEN", cases[i].value, 1), 0);
        assert_int_equal(ask(options, VAULT, &token, &e), cases[i].expected);
        assert_non_null(strstr(e.text, cases[i].part));
    }
    (void)unsetenv("DECANT_TEST_TOKEN");
}

static void nowhere(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(secret_free) struct secret token = {0};
    const struct identity_options none = {.kind = IDENTITY_NONE};
    const struct identity_options options = {.vault_token = {.file = "/nonexistent/token"}};
    assert_fails(ask(options, VAULT, &token, &e), E_NO_TOKEN, "/nonexistent/token", &e);
    assert_fails(ask(options, STORAGE, &token, &e), E_NO_TOKEN, STORAGE, &e);
    assert_non_null(strstr(e.remedy, "storage_token_env"));
    assert_fails(ask_once(&none, VAULT, &token, 100, &e), E_NO_TOKEN, "none", &e);
}

static void audiences(void **state)
{
    (void)state;
    static const struct {
        const char *url, *vault;
    } cases[] = {
        {"https://contoso.vault.azure.net/keys/k", VAULT},
        {"https://CONTOSO.VAULT.AZURE.NET", VAULT},
        {"https://contoso.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"},
        {"https://contoso.vault.azure.cn", "https://vault.azure.cn"},
        {"https://contoso.managedhsm.azure.net", "https://managedhsm.azure.net"},
        {"https://contoso.managedhsm.usgovcloudapi.net", "https://managedhsm.usgovcloudapi.net"},
        {"https://contoso.managedhsm.azure.cn", "https://managedhsm.azure.cn"},
        {"https://managedhsm.azure.net.example.com", VAULT},
        {"http://127.0.0.1:8080", VAULT},
        {"https://vault.internal", VAULT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct url url = {0};
        assert_ok(url_parse(cases[i].url, &url, &e), &e);
        assert_string_equal(audience_of_vault(&url), cases[i].vault);
        assert_string_equal(audience_of_storage(&url), STORAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),  cmocka_unit_test(renewed),   cmocka_unit_test(bad),
        cmocka_unit_test(nowhere), cmocka_unit_test(audiences),
    };
    environment_clear();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

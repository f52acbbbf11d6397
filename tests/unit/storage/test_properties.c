/* HEAD, credentials, and what refusals say. */
#include "store.h"

struct script {
    int status;
    const char *headers; /* with Content-Length */
    int times_401;
};

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *script = context;
    (void)q;
    if (script->times_401 > 0) {
        script->times_401--;
        peer_text(a, "HTTP/1.1 401 Scripted\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    char line[64];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d Scripted\r\n", script->status);
    peer_text(a, line);
    peer_text(a, script->headers);
    peer_text(a, "\r\n");
}

#define GOOD "Content-Length: 4194332\r\nETag: \"0x8DABC\"\r\n"

static void good_answers(void **)
{
    static const struct {
        const char *headers, *etag, *encryption;
    } cases[] = {
        {GOOD, "\"0x8DABC\"", NULL},
        {GOOD "x-ms-meta-encryptiondata: {\"a\": 1}\r\n", "\"0x8DABC\"", "{\"a\": 1}"},
        {GOOD "X-MS-Meta-EncryptionData:  {}  \r\n", "\"0x8DABC\"", "{}"},
        {GOOD "x-ms-meta-encryptiondata: \r\n", "\"0x8DABC\"", NULL},
        {GOOD "x-ms-resource-type: file\r\nx-ms-meta-hdi_isfolder: false\r\n", "\"0x8DABC\"", NULL},
        {GOOD "Content-Encoding: gzip\r\n", "\"0x8DABC\"", NULL},
        {"content-length: 4194332\r\nEtag: 0x1D-a_b\r\n", "\"0x1D-a_b\"", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store s;
        struct script script = {200, cases[i].headers, 0};
        AUTO(blob_free) struct blob blob = {0};
        store_open(&s, answer, &script, "train/a%20b%25", NULL);
        assert_ok(storage_properties(s.storage, s.session, &blob, &s.e), &s.e);
        assert_string_equal(blob.name, "train/a b%");
        assert_int_equal(blob.size, 4194332);
        assert_string_equal(blob.etag, cases[i].etag);
        if (cases[i].encryption == NULL)
            assert_null(blob.encryption_data);
        else
            assert_string_equal(blob.encryption_data, cases[i].encryption);
        assert_non_null(strstr(s.peer.records[0], "HEAD /acct/data/train/a%20b%25 HTTP"));
        assert_non_null(strstr(s.peer.records[0], "x-ms-version: 2021-12-02"));
        assert_null(strstr(s.peer.records[0], "Authorization"));
        store_close(&s);
    }
}

static void hostile_answers(void **)
{
    static const struct {
        int status;
        const char *headers;
        enum status expected;
        const char *part;
    } cases[] = {
        {200, "Content-Length: 5\r\n", E_NETWORK, "no valid ETag"},
        {200, "Content-Length: 5\r\nETag: \"\"\r\n", E_NETWORK, "no valid ETag"},
        {200, "Content-Length: 5\r\nETag: *\r\n", E_NETWORK, "no valid ETag"},
        {200, "Content-Length: 5\r\nETag: W/\"0x1\"\r\n", E_NETWORK, "no valid ETag"},
        {200, "Content-Length: 5\r\nETag: \"a\", \"b\"\r\n", E_NETWORK, "no valid ETag"},
        {200, "Content-Length: 5\r\nETag: \"a\xff\"\r\n", E_NETWORK, "no valid ETag"},
        {200,
         "Content-Length: 5\r\nETag: "
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\r\n",
         E_NETWORK, "no valid ETag"},
        {200, "ETag: \"0x1\"\r\n", E_NETWORK, "no valid size"},
        {200, GOOD "x-ms-resource-type: directory\r\n", E_NOT_FOUND, "directory"},
        {200, GOOD "x-ms-meta-Hdi_isfolder: True\r\n", E_NOT_FOUND, "directory"},
        {204, GOOD, E_NETWORK, "204"},
        {301, "Content-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n", E_NETWORK, "301"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store s;
        struct script script = {cases[i].status, cases[i].headers, 0};
        AUTO(blob_free) struct blob blob = {0};
        store_open(&s, answer, &script, "x", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        print_message("case %zu\n", i);
        assert_fails(storage_properties(s.storage, s.session, &blob, &s.e), cases[i].expected,
                     cases[i].part, &s.e);
        assert_non_null(strstr(s.e.text, "blob data/x"));
        assert_null(blob.name);
        store_close(&s);
    }
}

static enum status token_get(void *context, const char *audience, struct secret *out,
                             struct error *e)
{
    int *n = context;
    char text[64];
    (void)snprintf(text, sizeof text, "worthless-%d-%s", ++*n, audience);
    return secret_copy(out, span_text(text), e);
}

#define CODE(code) "Content-Length: 0\r\nx-ms-error-code: " code "\r\nx-ms-request-id: id-7\r\n"
#define OLD_SAS    "se=2020-01-01T00%3A00%3A00Z&sig=" SIGNATURE

static void refusals(void **)
{
    enum { NOTHING, BEARER, SIGNED, EXPIRED };
    static const struct {
        int status, with;
        const char *headers;
        enum status expected;
        const char *code, *remedy;
    } cases[] = {
        {404, BEARER, CODE("BlobNotFound"), E_NOT_FOUND, "BlobNotFound", "letter case"},
        {404, NOTHING, CODE("ResourceNotFound"), E_NOT_FOUND, "ResourceNotFound", "no credential"},
        {404, SIGNED, CODE("ContainerNotFound"), E_NOT_FOUND, "ContainerNotFound", "container's"},
        {404, SIGNED, "Content-Length: 0\r\n", E_NOT_FOUND, "", "URL"},
        {403, BEARER, CODE("AuthorizationPermissionMismatch"), E_DENIED,
         "AuthorizationPermissionMismatch", "Storage Blob Data Reader"},
        {403, SIGNED, CODE("AuthorizationPermissionMismatch"), E_DENIED,
         "AuthorizationPermissionMismatch", "permissions read"},
        {403, SIGNED, CODE("AuthenticationFailed"), E_DENIED, "AuthenticationFailed", "be cut"},
        {403, EXPIRED, CODE("AuthenticationFailed"), E_DENIED, "AuthenticationFailed", "expired"},
        {403, BEARER, CODE("AuthorizationFailure"), E_DENIED, "AuthorizationFailure", "network"},
        {403, SIGNED, CODE("KeyBasedAuthenticationNotPermitted"), E_DENIED,
         "KeyBasedAuthenticationNotPermitted", "user delegation"},
        {409, NOTHING, CODE("PublicAccessNotPermitted"), E_DENIED, "PublicAccessNotPermitted",
         "credential"},
        {401, NOTHING, CODE("NoAuthenticationInformation"), E_DENIED, "NoAuthenticationInformation",
         "credential"},
        {401, BEARER, CODE("InvalidAuthenticationInfo"), E_DENIED, "InvalidAuthenticationInfo",
         "token"},
        {409, BEARER, CODE("BlobArchived"), E_NOT_FOUND, "BlobArchived", "archive"},
        {400, SIGNED, CODE("InvalidHeaderValue"), E_NETWORK, "InvalidHeaderValue", "2021-12-02"},
        {503, SIGNED, CODE("ServerBusy"), E_NETWORK, "ServerBusy", ""},
        /* a service that sends back what it was told */
        {403, SIGNED, CODE(SIGNATURE), E_DENIED, "*****", ""},
        {403, SIGNED, "Content-Length: 0\r\nx-ms-request-id: " SIGNATURE "=\r\n", E_DENIED, "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int tokens = 0;
        struct token_source source = {token_get, &tokens};
        struct store s;
        struct script script = {cases[i].status, cases[i].headers, 0};
        AUTO(blob_free) struct blob blob = {0};
        struct storage_options o = {.audience = "aud"};
        if (cases[i].with == BEARER)
            o.tokens = &source;
        else if (cases[i].with != NOTHING)
            o.sas = span_text(cases[i].with == SIGNED ? SAS : OLD_SAS);
        store_open(&s, answer, &script, "x", &o);
        print_message("case %zu\n", i);
        assert_fails(storage_properties(s.storage, s.session, &blob, &s.e), cases[i].expected,
                     "blob data/x", &s.e);
        assert_non_null(strstr(s.e.service_code, cases[i].code));
        assert_non_null(strstr(s.e.remedy, cases[i].remedy));
        store_close(&s);
    }
}

/* Escaped or decoded, with or without padding. */
static void echoed_signatures_are_struck_out(void **)
{
    static const char *const echoes[] = {CODE("no+worthless+test+signature="),
                                         CODE("no%2Bworthless%2Btest%2Bsignature%3D"),
                                         CODE("said-no+worthless+test+signature")};
    for (size_t i = 0; i < COUNT(echoes); i++) {
        struct script script = {403, echoes[i], 0};
        struct storage_options o = {
            .sas = SPAN_LITERAL("sp=r&sig=no%2Bworthless%2Btest%2Bsignature%3D")};
        AUTO(blob_free) struct blob blob = {0};
        struct store s;
        store_open(&s, answer, &script, "x", &o);
        assert_fails(storage_properties(s.storage, s.session, &blob, &s.e), E_DENIED, "403", &s.e);
        assert_non_null(strstr(s.e.service_code, "****"));
        assert_null(strstr(s.e.service_code, "worthless"));
        assert_null(strstr(s.e.text, "worthless"));
        store_close(&s);
    }
}

static void bearer_is_renewed_once(void **)
{
    static const struct {
        int times_401;
        enum status expected;
        int tokens;
    } cases[] = {{0, OK, 1}, {1, OK, 2}, {2, E_DENIED, 2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int tokens = 0;
        struct token_source source = {token_get, &tokens};
        struct storage_options o = {.tokens = &source, .audience = "aud"};
        struct script script = {200, GOOD, cases[i].times_401};
        AUTO(blob_free) struct blob blob = {0};
        struct store s;
        store_open(&s, answer, &script, "x", &o);
        assert_fails(storage_properties(s.storage, s.session, &blob, &s.e), cases[i].expected, "",
                     &s.e);
        assert_int_equal(tokens, cases[i].tokens);
        assert_int_equal(s.peer.n_requests, cases[i].tokens);
        char value[64];
        peer_recorded_header(s.peer.records[s.peer.n_requests - 1], "Authorization", value,
                             sizeof value);
        assert_string_equal(value, cases[i].tokens == 1 ? "Bearer worthless-1-aud"
                                                        : "Bearer worthless-2-aud");
        assert_null(strstr(s.e.text, "worthless"));
        store_close(&s);
    }
}

static enum status token_refuse(void *, const char *, struct secret *, struct error *e)
{
    return fail(e, E_NO_TOKEN, "no identity");
}

static void token_failures_come_back(void **)
{
    struct token_source source = {token_refuse, NULL};
    struct storage_options o = {.tokens = &source, .audience = "aud"};
    struct script script = {200, GOOD, 0};
    AUTO(blob_free) struct blob blob = {0};
    struct store s;
    store_open(&s, answer, &script, "x", &o);
    assert_fails(storage_properties(s.storage, s.session, &blob, &s.e), E_NO_TOKEN, "no identity",
                 &s.e);
    assert_int_equal(s.peer.n_requests, 0);
    store_close(&s);
}

static void sas_goes_first_and_unchanged(void **)
{
    static const struct {
        const char *path, *sas, *line;
    } cases[] = {
        {"x?" SAS, "", "HEAD /acct/data/x?" SAS " HTTP"},
        {"x?sig=other", SAS, "HEAD /acct/data/x?" SAS " HTTP"},
        {"x", "?" SAS "\n", "HEAD /acct/data/x?" SAS " HTTP"},
        {"x?versionid=2021-09-28T19:26:25Z&" SAS, "",
         "HEAD /acct/data/x?versionid=2021-09-28T19:26:25Z&" SAS " HTTP"},
        {"x?snapshot=7", "", "HEAD /acct/data/x?snapshot=7 HTTP"},
        {"a%2Fb%26c%3Fd%23e", "", "HEAD /acct/data/a/b%26c%3Fd%23e HTTP"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int tokens = 0;
        struct token_source source = {token_get, &tokens};
        struct storage_options o = {
            .sas = span_text(cases[i].sas), .tokens = &source, .audience = "aud"};
        struct script script = {200, GOOD, 0};
        AUTO(blob_free) struct blob blob = {0};
        struct store s;
        store_open(&s, answer, &script, cases[i].path, &o);
        assert_ok(storage_properties(s.storage, s.session, &blob, &s.e), &s.e);
        if (strstr(s.peer.records[0], cases[i].line) != s.peer.records[0])
            fail_msg("%s: %.200s", cases[i].line, s.peer.records[0]);
        assert_int_equal(tokens, strstr(cases[i].line, "sig=") == NULL);
        store_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers),
        cmocka_unit_test(hostile_answers),
        cmocka_unit_test(refusals),
        cmocka_unit_test(echoed_signatures_are_struck_out),
        cmocka_unit_test(bearer_is_renewed_once),
        cmocka_unit_test(token_failures_come_back),
        cmocka_unit_test(sas_goes_first_and_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

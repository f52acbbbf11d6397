/* The managed identity endpoint, played by a peer: its answers and its troubles. */
#include "identity/scene.h"

static const struct step {
    int status;
    const char *headers, *body;
} token_answer = {
    200, JSON,
    "{\"access_token\":\"ey.managed.token\",\"refresh_token\":\"\",\"expires_in\":\"86400\","
    "\"expires_on\":\"4000000000\",\"not_before\":\"1\",\"resource\":\"x\",\"token_type\":\"Bearer\"}"};

/* The answers in order; the last one stays. */
struct script {
    const struct step *steps;
    size_t n_steps;
};

static void serve(void *context, const struct peer_request *q, struct peer_answer *a)
{
    const struct script *s = context;
    const struct step *step = &s->steps[q->number < s->n_steps ? q->number : s->n_steps - 1];
    if (step->status)
        peer_reply(a, step->status, step->headers, step->body);
    else
        peer_text(a, step->body); /* as it is */
    a->close = step->status == 0;
}

static enum status ask(const struct step *steps, size_t n, const char *client_id,
                       const char *audience, int64_t patience_ms, struct peer *peer,
                       struct secret *token, struct error *e)
{
    struct script script = {steps, n};
    const struct identity_options options = {.kind = IDENTITY_MANAGED, .client_id = client_id};
    environment_clear();
    peer_start(peer, serve, &script);
    assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", peer_url(peer), 1), 0);
    enum status status = ask_once(&options, audience, token, patience_ms, e);
    environment_clear();
    return status;
}

static void request(void **state)
{
    (void)state;
    static const struct {
        const char *client_id, *audience, *path;
    } cases[] = {
        {NULL, VAULT, "resource=https%3A%2F%2Fvault.azure.net HTTP/1.1"},
        {NULL, STORAGE, "resource=https%3A%2F%2Fstorage.azure.com%2F HTTP/1.1"},
        {"a&b=c", VAULT, "resource=https%3A%2F%2Fvault.azure.net&client_id=a%26b%3Dc HTTP/1.1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        char metadata[16], line[256];
        AUTO(secret_free) struct secret token = {0};
        assert_ok(
            ask(&token_answer, 1, cases[i].client_id, cases[i].audience, 5000, &peer, &token, &e),
            &e);
        (void)snprintf(line, sizeof line,
                       "GET /metadata/identity/oauth2/token?api-version=2018-02-01&%s\r\n",
                       cases[i].path);
        assert_memory_equal(peer.records[0], line, strlen(line));
        peer_recorded_header(peer.records[0], "Metadata", metadata, sizeof metadata);
        assert_string_equal(metadata, "true");
        assert_true(span_is(secret_view(&token), "ey.managed.token"));
        peer_stop(&peer);
    }
}

/* Each of these passes; the token comes at the second try. */
static void waited_out(void **state)
{
    (void)state;
    static const struct step troubles[] = {
        {404, NULL, ""},
        {410, JSON, "{\"error\":\"gone\"}"},
        {429, JSON, "{}"},
        {500, JSON,
         "{\"error\":\"unknown\",\"error_description\":\"Received invalid token. Please try again.\"}"},
        {503, NULL, "Request failed"},
        {200, NULL, "Request failed"},
        {200, NULL, ""},
        {0, NULL, ""},
        {0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"},
    };
    for (size_t i = 0; i < COUNT(troubles); i++) {
        struct error e = {0};
        struct peer peer;
        AUTO(secret_free) struct secret token = {0};
        const struct step steps[] = {troubles[i], token_answer};
        assert_ok(ask(steps, 2, NULL, VAULT, 5000, &peer, &token, &e), &e);
        assert_int_equal(peer.n_requests, 2);
        peer_stop(&peer);
    }
}

/* HTTP 410 is waited out for longer than the tries would last. */
static void update(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    struct step steps[9];
    AUTO(secret_free) struct secret token = {0};
    for (size_t i = 0; i < COUNT(steps); i++)
        steps[i] = i < 8 ? (struct step){410, NULL, ""} : token_answer;
    assert_ok(ask(steps, COUNT(steps), NULL, VAULT, 20000, &peer, &token, &e), &e);
    peer_stop(&peer);
}

static void outlasted(void **state)
{
    (void)state;
    static const struct step troubles[] = {
        {503, NULL, ""}, {429, NULL, ""}, {404, NULL, ""}, {200, NULL, "x"}};
    for (size_t i = 0; i < COUNT(troubles); i++) {
        struct error e = {0};
        struct peer peer;
        AUTO(secret_free) struct secret token = {0};
        assert_fails(ask(&troubles[i], 1, NULL, VAULT, 500, &peer, &token, &e), E_NETWORK,
                     "managed identity", &e);
        assert_true(peer.n_requests > 1);
        peer_stop(&peer);
    }
}

static void final(void **state)
{
    (void)state;
    static const struct {
        struct step step;
        const char *part;
    } cases[] = {
        {{400, JSON,
          "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}"},
         "Identity not found"},
        {{401, JSON, "{\"error\":\"unauthorized_client\"}"}, "401"},
        {{403, NULL, "no"}, "403"},
        {{302, "Location: http://127.0.0.1/\r\n", ""}, "302"},
        {{200, JSON, "{}"}, "no access token"},
        {{200, JSON, "{\"access_token\":7}"}, "no access token"},
        {{200, JSON, "{\"access_token\":\"a b\"}"}, "not fit"},
        {{200, JSON, "{\"access_token\":\"a\\r\\nX: y\"}"}, "not fit"},
        {{200, JSON, "{\"access_token\":\"\xc3\xa9\"}"}, "not fit"},
        {{200, JSON, "{\"access_token\":\"a\",\"token_type\":\"pop\"}"}, "pop"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        AUTO(secret_free) struct secret token = {0};
        assert_fails(ask(&cases[i].step, 1, NULL, VAULT, 5000, &peer, &token, &e), E_NO_TOKEN,
                     cases[i].part, &e);
        assert_int_equal(peer.n_requests, 1);
        assert_int_equal(token.size, 0);
        peer_stop(&peer);
    }
}

static void too_long(void **state)
{
    (void)state;
    for (size_t n = 16384; n <= 16385; n++) {
        struct error e = {0};
        struct peer peer;
        AUTO(secret_free) struct secret token = {0};
        char *body = malloc(n + 64);
        assert_non_null(body);
        int at = snprintf(body, 64, "{\"access_token\":\"");
        memset(body + at, 'x', n);
        (void)snprintf(body + at + n, 8, "\"}");
        const struct step step = {200, JSON, body};
        assert_int_equal(ask(&step, 1, NULL, VAULT, 5000, &peer, &token, &e),
                         n == 16384 ? OK : E_NO_TOKEN);
        peer_stop(&peer);
        free(body);
    }
}

static void unreachable(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    AUTO(secret_free) struct secret token = {0};
    const struct identity_options options = {.kind = IDENTITY_AUTO};
    environment_clear();
    peer_start(&peer, serve, NULL);
    assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", peer_url(&peer), 1), 0);
    peer_stop(&peer);
    assert_fails(ask_once(&options, VAULT, &token, 200, &e), E_NO_TOKEN, "endpoint", &e);
    assert_false(e.transient);
    assert_non_null(strstr(e.remedy, "init containers"));
    assert_non_null(strstr(e.remedy, "ready.json"));
    environment_clear();
}

static void hang_up(void *context, const struct peer_request *q, struct peer_answer *a)
{
    (void)context;
    (void)q;
    a->close = true;
}

/* Somebody is there: so it is a disturbance, and no place without identities. */
static void reached_but_silent(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    AUTO(secret_free) struct secret token = {0};
    const struct identity_options options = {.kind = IDENTITY_MANAGED};
    environment_clear();
    peer_start(&peer, hang_up, NULL);
    assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", peer_url(&peer), 1), 0);
    assert_fails(ask_once(&options, VAULT, &token, 400, &e), E_NETWORK, "closed", &e);
    peer_stop(&peer);
    environment_clear();
}

/* The metadata service is on this host: a proxy never sees the request. */
static void direct(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer, proxy;
    struct script script = {&token_answer, 1};
    const struct identity_options options = {.kind = IDENTITY_MANAGED};
    AUTO(secret_free) struct secret token = {0};
    AUTO(identity_free) struct identity *identity = NULL;
    AUTO(http_free) struct http *http = NULL;
    environment_clear();
    peer_start(&peer, serve, &script);
    peer_start(&proxy, serve, &script);
    assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", peer_url(&peer), 1), 0);
    const struct http_options settings = {.proxy = peer_url(&proxy),
                                          .deadline_ms = clock_ms() + 5000};
    assert_ok(http_new(&settings, &http, &e), &e);
    assert_ok(identity_new(&options, http, &identity, &e), &e);
    assert_ok(identity_token(identity, VAULT, &token, &e), &e);
    assert_int_equal(peer.n_requests, 1);
    assert_int_equal(proxy.n_requests, 0);
    peer_stop(&peer);
    peer_stop(&proxy);
    environment_clear();
}

/* The run's time is over before anybody was asked: that says nothing about identities. */
static void out_of_time(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    AUTO(secret_free) struct secret token = {0};
    assert_fails(ask(&token_answer, 1, NULL, VAULT, -1, &peer, &token, &e), E_NETWORK, "time", &e);
    peer_stop(&peer);
}

static void hosts(void **state)
{
    (void)state;
    static const char *const bad[] = {"http://example.com", "http://169.253.1.1", "ftp://127.0.0.1",
                                      "http://127.0.0.1/?a", "http://a b"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret token = {0};
        const struct identity_options options = {.kind = IDENTITY_MANAGED};
        environment_clear();
        assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", bad[i], 1), 0);
        assert_fails(ask_once(&options, VAULT, &token, 200, &e), E_NO_TOKEN,
                     "AZURE_POD_IDENTITY_AUTHORITY_HOST", &e);
    }
    environment_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request),
        cmocka_unit_test(waited_out),
        cmocka_unit_test(update),
        cmocka_unit_test(outlasted),
        cmocka_unit_test(final),
        cmocka_unit_test(too_long),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(hosts),
        cmocka_unit_test(direct),
        cmocka_unit_test(out_of_time),
        cmocka_unit_test(reached_but_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

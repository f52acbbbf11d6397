/* The cache: one request per audience, renewed in time, shared by threads. */
#include "identity/scene.h"

#include <time.h>

struct service {
    const char *life; /* members of the answer; NULL: HTTP 400 */
    int64_t delay_ms;
    int status; /* 0: 200 */
};

static void serve(void *context, const struct peer_request *q, struct peer_answer *a)
{
    const struct service *s = context;
    char body[512];
    const char *resource = strstr(q->path, "resource=");
    (void)snprintf(body, sizeof body, "{\"access_token\":\"%.60s.%zu\"%s}",
                   resource ? resource : "", q->number, s->life ? s->life : "");
    a->delay_ms = s->delay_ms;
    peer_reply(a, s->status ? s->status : 200, JSON, s->status ? "{\"error\":\"x\"}" : body);
}

struct scene {
    struct peer peer;
    struct http *http;
    struct identity *identity;
};

static void scene_open(struct scene *s, struct service *service, int64_t patience_ms)
{
    struct error e = {0};
    const struct identity_options options = {.kind = IDENTITY_MANAGED};
    environment_clear();
    *s = (struct scene){0};
    peer_start(&s->peer, serve, service);
    assert_int_equal(setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", peer_url(&s->peer), 1), 0);
    s->http = http_make(patience_ms);
    assert_ok(identity_new(&options, s->http, &s->identity, &e), &e);
    environment_clear();
}

static void scene_close(struct scene *s)
{
    identity_free(&s->identity);
    http_free(&s->http);
    peer_stop(&s->peer);
}

/* How many requests the peer gets when the same audience is asked three times. */
static void lives(void **state)
{
    (void)state;
    char soon[64], later[64], past[64], jwt[256], in_jwt[300];
    (void)snprintf(soon, sizeof soon, ",\"expires_on\":\"%lld\"", (long long)time(NULL) + 3600);
    (void)snprintf(later, sizeof later, ",\"expires_on\":%lld", (long long)time(NULL) + 3600);
    (void)snprintf(past, sizeof past, ",\"expires_on\":\"%lld\"", (long long)time(NULL) - 10);
    jwt_make(jwt, sizeof jwt, time(NULL) + 3600);
    (void)snprintf(in_jwt, sizeof in_jwt, ",\"x\":\"%s\"", jwt);
    const struct {
        const char *life;
        size_t requests;
    } cases[] = {
        {",\"expires_in\":3599", 1},
        {",\"expires_in\":\"3599\"", 1},
        {",\"expires_in\":\"999999999999999\"", 1},
        {",\"expires_in\":60", 1}, /* short, but half of it is left */
        {soon, 1},
        {later, 1},
        {past, 3},
        {in_jwt, 3}, /* the token itself does not say */
        {",\"expires_in\":0", 3},
        {",\"expires_in\":\"\"", 3},
        {",\"expires_in\":\"9007199254740993\"", 3},
        {",\"expires_in\":\"12x\"", 3},
        {",\"expires_in\":\"99999999999999999999999\"", 3},
        {",\"expires_in\":-5", 3},
        {"", 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct scene s;
        struct service service = {.life = cases[i].life};
        AUTO(secret_free) struct secret token = {0};
        scene_open(&s, &service, 20000);
        for (int k = 0; k < 3; k++)
            assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
        if (s.peer.n_requests != cases[i].requests)
            fail_msg("%s: %zu requests", cases[i].life, s.peer.n_requests);
        scene_close(&s);
    }
}

/* A life of 2 s is renewed after 1 s. */
static void renewed(void **state)
{
    (void)state;
    struct error e = {0};
    struct scene s;
    struct service service = {.life = ",\"expires_in\":2"};
    AUTO(secret_free) struct secret token = {0};
    scene_open(&s, &service, 20000);
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    assert_int_equal(s.peer.n_requests, 1);
    (void)usleep(1100 * 1000);
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    assert_int_equal(s.peer.n_requests, 2);
    scene_close(&s);
}

/* A token that cannot be renewed serves on for a while, and the service is not asked each time. */
static void service_down(void **state)
{
    (void)state;
    struct error e = {0};
    struct scene s;
    struct service service = {.life = ",\"expires_in\":6"};
    AUTO(secret_free) struct secret token = {0};
    scene_open(&s, &service, 3400);
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    service.status = 503;
    (void)usleep(3100 * 1000); /* half of its life is over */
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    size_t n = s.peer.n_requests;
    assert_true(n > 1);
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    assert_int_equal(s.peer.n_requests, n);
    (void)usleep(1500 * 1000); /* three quarters */
    assert_fails(identity_token(s.identity, VAULT, &token, &e), E_NETWORK, "", &e);
    scene_close(&s);
}

static void audiences(void **state)
{
    (void)state;
    static const char *const names[] = {VAULT, STORAGE, "https://a", "https://b"};
    struct error e = {0};
    struct scene s;
    struct service service = {.life = ",\"expires_in\":3599"};
    AUTO(secret_free) struct secret token = {0};
    scene_open(&s, &service, 20000);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT(names); i++) {
            char expected[128];
            AUTO(buf_free) struct buf name = BUF(100);
            assert_ok(percent_encode(span_text(names[i]), "", &name, &e), &e);
            (void)snprintf(expected, sizeof expected, "resource=%s.%zu", buf_text(&name), i);
            assert_ok(identity_token(s.identity, names[i], &token, &e), &e);
            assert_true(span_is(secret_view(&token), expected));
        }
    assert_int_equal(s.peer.n_requests, COUNT(names));
    assert_fails(identity_token(s.identity, "https://c", &token, &e), E_BUG, "audiences", &e);
    scene_close(&s);
}

struct caller {
    struct task task;
    struct identity *identity;
    const char *audience;
    struct secret token;
};

static enum status call(void *context, struct error *e)
{
    struct caller *c = context;
    return identity_token(c->identity, c->audience, &c->token, e);
}

/* Many threads at once, good answers and bad: one request for each audience, the same result for
 * all. */
static void threads(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        struct error e = {0};
        struct scene s;
        struct service service = {
            .life = ",\"expires_in\":3599", .delay_ms = 300, .status = bad ? 400 : 0};
        struct caller callers[12] = {0};
        scene_open(&s, &service, 20000);
        for (size_t i = 0; i < COUNT(callers); i++) {
            callers[i].identity = s.identity;
            callers[i].audience = i % 2 ? VAULT : STORAGE;
            assert_ok(task_start(&callers[i].task, call, &callers[i], &e), &e);
        }
        for (size_t i = 0; i < COUNT(callers); i++) {
            assert_int_equal(task_join(&callers[i].task, &e), bad ? E_NO_TOKEN : OK);
            if (bad)
                assert_non_null(strstr(e.text, "400"));
            else
                assert_true(
                    span_equal(secret_view(&callers[i].token), secret_view(&callers[i % 2].token)));
        }
        for (size_t i = 0; i < COUNT(callers); i++)
            secret_free(&callers[i].token);
        assert_int_equal(s.peer.n_requests, 2);
        scene_close(&s);
    }
}

/* A failure is not kept: whoever asks later asks the service again. */
static void failure_is_not_kept(void **state)
{
    (void)state;
    struct error e = {0};
    struct scene s;
    struct service service = {.life = ",\"expires_in\":3599", .status = 400};
    AUTO(secret_free) struct secret token = {0};
    scene_open(&s, &service, 20000);
    assert_fails(identity_token(s.identity, VAULT, &token, &e), E_NO_TOKEN, "400", &e);
    service.status = 0;
    assert_ok(identity_token(s.identity, VAULT, &token, &e), &e);
    const struct token_source source = identity_source(s.identity);
    assert_ok(source.get(source.context, VAULT, &token, &e), &e);
    assert_int_equal(s.peer.n_requests, 2);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives),
        cmocka_unit_test(renewed),
        cmocka_unit_test(audiences),
        cmocka_unit_test(threads),
        cmocka_unit_test(failure_is_not_kept),
        cmocka_unit_test(service_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

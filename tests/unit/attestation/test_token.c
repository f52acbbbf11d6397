/* The exchange with a service, played by a peer that looks at the request. */
#include "attestation/attestation.h"
#include "attestation/tokens.h"
#include "peer.h"

#include <time.h>

struct service {
    const char *url;
    const char *script; /* what the peer does */
    bool well_formed;   /* the last request was as it must be */
    char nonces[8][64];
};

static uint8_t report[1184];

static void answer_token(struct service *s, const char *nonce, struct peer_answer *a)
{
    struct error e = {0};
    char issuer[128], quoted[80], expires[32];
    AUTO(buf_free) struct buf token = BUF(1 << 16), body = BUF(1 << 17);
    (void)snprintf(issuer, sizeof issuer, "\"%s\"", s->url);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", strcmp(s->script, "replay") ? nonce : "00");
    (void)snprintf(expires, sizeof expires, "%lld", (long long)time(NULL) + 28800);
    const struct claim changes[] = {
        {"iss", issuer}, {"nonce", quoted}, {"exp", expires}, {"nbf", NULL}};
    token_make(&token, GOOD_HEADER, changes, COUNT(changes));
    if (buf_addf(&body, &e, "{\"token\":\"%s\"}", buf_text(&token)) != OK)
        abort();
    peer_reply(a, 200, "Content-Type: application/json\r\n", buf_text(&body));
}

static void serve(void *context, const struct peer_request *q, struct peer_answer *a)
{
    static const struct {
        const char *script;
        int status;
        const char *body;
    } answers[] = {
        {"policy", 400,
         "{\"error\":{\"code\":\"PolicyEvaluationError\",\"message\":\"Policy denied\"}}"},
        {"tcb", 400,
         "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"reported TCB is below the baseline\"}}"},
        {"invalid", 400, "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"bad quote\"}}"},
        {"unknown", 404, "Not here"},
        {"forbidden", 403, "{\"error\":{\"code\":\"Forbidden\",\"message\":\"no\"}}"},
        {"busy", 503, ""},
        {"empty", 200, "{}"},
        {"html", 200, "<html>"},
        {"number", 200, "{\"token\":1}"},
    };
    struct service *s = context;
    struct error e = {0};
    AUTO(json_free) struct cJSON *body = NULL;
    char type[64];
    peer_header(q, "Content-Type", type, sizeof type);
    s->well_formed = strcmp(q->method, "POST") == 0 &&
                     strcmp(q->path, "/attest/SevSnpVm?api-version=2022-08-01") == 0 &&
                     strcmp(type, "application/json") == 0 &&
                     strstr(q->head, "Authorization") == NULL &&
                     json_parse(q->body, E_BUG, &body, &e) == OK;
    const char *nonce = json_text(body, "nonce");
    (void)snprintf(s->nonces[q->number % 8], sizeof s->nonces[0], "%s", nonce ? nonce : "");
    for (size_t i = 0; i < COUNT(answers); i++)
        if (strcmp(s->script, answers[i].script) == 0) {
            peer_reply(a, answers[i].status, NULL, answers[i].body);
            return;
        }
    if (strcmp(s->script, "late") == 0 && q->number < 2)
        peer_reply(a, q->number ? 500 : 429, NULL, "");
    else
        answer_token(s, nonce ? nonce : "", a);
}

static enum status attest(struct service *s, const char *slash, struct secret *token,
                          struct peer *peer, struct error *e)
{
    AUTO(http_free) struct http *http = NULL;
    AUTO(http_session_give) struct http_session *session = NULL;
    char provider[128];
    good_report(report);
    peer_start(peer, serve, s);
    s->url = peer_url(peer);
    (void)snprintf(provider, sizeof provider, "%s%s", s->url, slash);
    const struct http_options options = {
        .deadline_ms = DEADLINE_NEVER, .tries = 3, .retry_delay_ms = 1};
    assert_ok(http_new(&options, &http, e), e);
    assert_ok(http_session_take(http, &session, e), e);
    const struct attestation_request request = {
        .provider = provider,
        .report = span_of(report, sizeof report),
        .certificates = SPAN_LITERAL("PEM"),
        .runtime_data = SPAN_LITERAL(TOKEN_RUNTIME),
    };
    enum status status = attestation_token(session, &request, token, e);
    http_session_give(&session);
    http_free(&http);
    peer_stop(peer);
    return status;
}

static void good(void **state)
{
    (void)state;
    static const char *const slashes[] = {"", "/", "//"};
    for (size_t i = 0; i < COUNT(slashes); i++) {
        struct error e = {0};
        struct peer peer;
        struct service s = {.script = "good"};
        AUTO(secret_free) struct secret token = {0};
        assert_ok(attest(&s, slashes[i], &token, &peer, &e), &e);
        assert_true(s.well_formed);
        assert_int_equal(strlen(s.nonces[0]), 32);
        assert_true(span_starts(secret_view(&token), "eyJ"));
        assert_int_equal(peer.n_requests, 1);
    }
}

static void nonces_differ(void **state)
{
    (void)state;
    struct service s[2] = {{.script = "good"}, {.script = "good"}};
    for (int i = 0; i < 2; i++) {
        struct error e = {0};
        struct peer peer;
        AUTO(secret_free) struct secret token = {0};
        assert_ok(attest(&s[i], "", &token, &peer, &e), &e);
    }
    assert_string_not_equal(s[0].nonces[0], s[1].nonces[0]);
}

static void late(void **state)
{
    (void)state;
    struct error e = {0};
    struct peer peer;
    struct service s = {.script = "late"};
    AUTO(secret_free) struct secret token = {0};
    assert_ok(attest(&s, "", &token, &peer, &e), &e);
    assert_int_equal(peer.n_requests, 3);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum status status;
        size_t requests;
        const char *code, *text, *remedy;
    } cases[] = {
        {"policy", E_NOT_ATTESTED, 1, "PolicyEvaluationError", "Policy denied", "policy"},
        {"tcb", E_NOT_ATTESTED, 1, "InvalidParameter", "below the baseline", "firmware"},
        {"invalid", E_NOT_ATTESTED, 1, "InvalidParameter", "bad quote", "another host"},
        {"unknown", E_NOT_ATTESTED, 1, "", "404", "attestation.provider"},
        {"forbidden", E_NOT_ATTESTED, 1, "Forbidden", "403", "network rules"},
        {"busy", E_NETWORK, 3, "", "503", ""},
        {"empty", E_NOT_ATTESTED, 1, "", "no token", ""},
        {"number", E_NOT_ATTESTED, 1, "", "no token", ""},
        {"html", E_NOT_ATTESTED, 1, "", "answer", "attestation.provider"},
        {"replay", E_NOT_ATTESTED, 1, "", "nonce", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct peer peer;
        struct service s = {.script = cases[i].script};
        AUTO(secret_free) struct secret token = {0};
        assert_fails(attest(&s, "", &token, &peer, &e), cases[i].status, cases[i].text, &e);
        assert_int_equal(token.size, 0);
        assert_int_equal(peer.n_requests, cases[i].requests);
        assert_string_equal(e.service_code, cases[i].code);
        if (!strstr(e.remedy, cases[i].remedy))
            fail_msg("%s: \"%s\"", cases[i].script, e.remedy);
        assert_non_null(strstr(e.text, "127.0.0.1"));
    }
}

static void providers(void **state)
{
    (void)state;
    static const char *const bad[] = {NULL, "", "example.attest.azure.net", "https://h/?a=b"};
    good_report(report);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret token = {0};
        const struct attestation_request request = {
            .provider = bad[i],
            .report = span_of(report, sizeof report),
            .certificates = SPAN_LITERAL("PEM"),
            .runtime_data = SPAN_LITERAL(TOKEN_RUNTIME),
        };
        assert_fails(attestation_token(NULL, &request, &token, &e), E_USAGE, "provider", &e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),    cmocka_unit_test(nonces_differ), cmocka_unit_test(late),
        cmocka_unit_test(refused), cmocka_unit_test(providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

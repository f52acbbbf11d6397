/*
 * One exchange: what goes out, what is refused before it goes out, and what a hostile or broken
 * answer may do (nothing but fail in the right class).
 */
#include "scripted.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\nok"

static const struct answer good[] = {{.raw = GOOD}};

static void test_request_arrives_as_written(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    stage_open(&s, good, 1, &(struct http_options){0});
    const struct http_header headers[] = {{"Authorization", span_text("Bearer abc")},
                                          {"x-empty", span_text("")}};
    struct http_request q = get(&s);
    (void)snprintf(s.url, sizeof s.url, "%s/a/../b%%2F./c?x=%%2e", peer_url(&s.peer));
    q.headers = headers;
    q.n_headers = COUNT(headers);
    struct http_reply reply = {0};
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(reply.status, 200);
    assert_string_equal(buf_text(&reply.body), "ok");
    const char *record = s.peer.records[0];
    assert_non_null(strstr(record, "GET /a/../b%2F./c?x=%2e HTTP/1.1\r\n"));
    assert_non_null(strstr(record, "\r\nAuthorization: Bearer abc\r\n"));
    assert_non_null(strstr(record, "\r\nx-empty:"));
    assert_non_null(strstr(record, "\r\nUser-Agent: decant/"));
    assert_null(strcasestr(record, "\r\nAccept-Encoding:"));
    assert_null(strcasestr(record, "\r\nCookie:"));
    http_reply_free(&reply);
    assert_int_equal(http_counters(s.http).requests, 1);
    assert_int_equal(http_counters(s.http).bytes_received, 2);
    stage_close(&s);
}

static void test_body_is_sent(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT"};
    struct stage s;
    struct error e = {0};
    stage_open(&s, good, 1, &(struct http_options){0});
    size_t size = (1 << 20) + 7;
    char *body = malloc(size);
    assert_non_null(body);
    memset(body, 'b', size);
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct http_request q = get(&s);
        q.method = methods[i];
        q.body = span_of(body, size);
        struct http_reply reply = {0};
        assert_ok(http_call(s.session, &q, &reply, &e), &e);
        const char *record = s.peer.records[i];
        assert_memory_equal(record, methods[i], strlen(methods[i]));
        char value[64];
        peer_recorded_header(record, "Content-Length", value, sizeof value);
        assert_int_equal(strtoul(value, NULL, 10), size);
        peer_recorded_header(record, "Content-Type", value, sizeof value);
        assert_string_equal(value, ""); /* nobody named one */
        peer_recorded_header(record, "Expect", value, sizeof value);
        assert_string_equal(value, "");
        const char *sent = strstr(record, "\r\n\r\n") + 4;
        assert_memory_equal(sent, body, size);
        http_reply_free(&reply);
    }
    free(body);
    stage_close(&s);
}

static void test_empty_put_and_head(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"},
        {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Encoding: gzip\r\n\r\n"}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 2, &(struct http_options){0});
    struct http_request q = get(&s);
    struct http_reply reply = {0};
    q.method = "PUT";
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(reply.status, 201);
    assert_non_null(strcasestr(s.peer.records[0], "\r\nContent-Length: 0\r\n"));
    http_reply_free(&reply);
    q.method = "HEAD"; /* its Content-Encoding is a property of the blob */
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(reply.body.size, 0);
    assert_true(span_is(http_reply_header(&reply, "content-length"), "5000"));
    http_reply_free(&reply);
    stage_close(&s);
}

static void test_redirect_is_not_followed(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 302 Found\r\nLocation: /elsewhere?SECRET\r\nContent-Length: 0\r\n\r\n"},
        {.raw = GOOD}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 2, &(struct http_options){0});
    struct http_request q = get(&s);
    q.retry = true;
    struct http_reply reply = {0};
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(reply.status, 302);
    assert_int_equal(s.peer.n_requests, 1);
    assert_fails(http_refusal(&q, &reply, E_DENIED, &e), E_DENIED, "redirect refused", &e);
    assert_null(strstr(e.text, "SECRET"));
    http_reply_free(&reply);
    stage_close(&s);
}

static const struct bad_answer {
    const char *name;
    struct answer answer;
    bool transient;
    const char *part;
} bad_answers[] = {
    {"cut",
     {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", .close = true},
     true,
     "cut short"},
    {"chunk cut",
     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", .close = true},
     true,
     "thing"},
    {"last chunk missing",
     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", .close = true},
     true,
     "thing"},
    {"closed", {"", .close = true}, true, "without an answer"},
    {"reset", {"", .reset = true}, true, "connection broke"},
    {"header cut", {"HTTP/1.1 200 OK\r\nContent-Le", .close = true}, true, "in its header"},
    {"chunk size",
     {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
     true,
     "thing"},
    {"not HTTP", {"SSH-2.0-OpenSSH_9.2p1\r\n", .close = true}, false, "does not speak HTTP"},
    {"compressed",
     {.raw = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"},
     false,
     "compressed"},
};

static void test_bad_answers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_answers); i++) {
        const struct bad_answer *bad = &bad_answers[i];
        struct stage s;
        struct error e = {0};
        print_message("  %s\n", bad->name);
        stage_open(&s, &bad->answer, 1, &(struct http_options){0});
        struct http_request q = get(&s);
        struct http_reply reply = {0};
        assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, bad->part, &e);
        assert_null(strstr(e.text, "SECRET"));
        assert_int_equal(e.transient, bad->transient);
        assert_int_equal(reply.body.size, 0); /* nothing is left of it */
        assert_int_equal(reply.headers.size, 0);
        stage_close(&s);
    }
}

/* An answer with BODY bytes of body and HEAD bytes of padding in its headers. */
static char *answer_of(size_t head, size_t body)
{
    char *raw = calloc(1, head + body + 256);
    assert_non_null(raw);
    int n = snprintf(raw, 200, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n", body);
    size_t at = (size_t)n;
    for (size_t done = 0; done < head; done += 100) {
        memset(raw + at, 'h', 98);
        raw[at + 1] = ':';
        memcpy(raw + at + 98, "\r\n", 2);
        at += 100;
    }
    memcpy(raw + at, "\r\n", 2);
    memset(raw + at + 2, 'b', body);
    return raw;
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        size_t head, body, max;
        const char *refusal;
    } cases[] = {
        {0, 1000, 1000, NULL},
        {0, 1001, 1000, "longer than 1000 bytes"},
        {0, 65536, 0, NULL}, /* the default */
        {0, 65537, 0, "longer than 65536 bytes"},
        {32600, 1, 1000, NULL},
        {32800, 1, 1000, "headers"},
        {200000, 1, 1000, "headers"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage s;
        struct error e = {0};
        char *raw = answer_of(cases[i].head, cases[i].body);
        const struct answer answer = {.raw = raw};
        stage_open(&s, &answer, 1, &(struct http_options){0});
        struct http_request q = get(&s);
        q.max_reply = cases[i].max;
        struct http_reply reply = {0};
        if (cases[i].refusal == NULL) {
            assert_ok(http_call(s.session, &q, &reply, &e), &e);
            assert_int_equal(reply.body.size, cases[i].body);
        } else {
            assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, cases[i].refusal, &e);
            assert_false(e.transient);
        }
        http_reply_free(&reply);
        stage_close(&s);
        free(raw);
    }
}

static void test_endless_interim_answers_are_refused(void **state)
{
    (void)state;
    static const char interim[] =
        "HTTP/1.1 100 Continue\r\nX-Pad: 0123456789012345678901234\r\n\r\n";
    size_t n = 4000, size = sizeof interim - 1;
    char *raw = calloc(1, n * size + sizeof GOOD);
    assert_non_null(raw);
    for (size_t i = 0; i < n; i++)
        memcpy(raw + i * size, interim, size);
    memcpy(raw + n * size, GOOD, sizeof GOOD);
    const struct answer answers[] = {
        {.raw = raw}, {.raw = "HTTP/1.1 103 Early Hints\r\nX-One: early\r\n\r\n" GOOD}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 2, &(struct http_options){0});
    struct http_request q = get(&s);
    struct http_reply reply = {0};
    assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, "all headers", &e);
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_true(span_is(http_reply_header(&reply, "X-One"), "1")); /* of the final answer only */
    assert_null(strstr(buf_text(&reply.headers), "early"));
    http_reply_free(&reply);
    stage_close(&s);
    free(raw);
}

static void test_trailers_do_not_count(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-late\r\n"
                "content-encoding: identity\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n"}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    struct http_reply reply = {0};
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_string_equal(buf_text(&reply.body), "ok");
    assert_int_equal(http_reply_header(&reply, "x-late").size, 0);
    http_reply_free(&reply);
    stage_close(&s);
}

static void test_header_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct error e = {0};
    struct http_reply reply = {.headers = BUF(1000)};
    assert_ok(buf_add(&reply.headers,
                      span_text("HTTP/1.1 200 OK\r\nx-ms-long: no\r\nX-MS: \t yes, sir \r\n"
                                " folded: in\r\nempty:\r\nx-ms: second\r\n\r\n"),
                      &e),
              &e);
    static const char *const cases[][2] = {
        {"x-ms", "yes, sir"},
        {"X-Ms-Long", "no"},
        {"empty", ""},
        {"folded", ""},
        {"x", ""},
        {"long", ""},
        {"absent", ""},
        {"HTTP/1.1 200 OK", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_true(span_is(http_reply_header(&reply, cases[i][0]), cases[i][1]));
    http_reply_free(&reply);
    assert_int_equal(http_reply_header(&reply, "x-ms").size, 0);
}

static void test_requests_that_never_go_out(void **state)
{
    (void)state;
    static const char with_nul[] = {'a', 0, 'b'};
    const struct {
        const char *url, *method;
        struct http_header header;
        enum status status;
        const char *part;
    } cases[] = {
        {"http://example.com/?sig=SECRET", "GET", {"a", span_text("b")}, E_USAGE, "plain http"},
        {"http://10.0.0.4/", "GET", {"a", span_text("b")}, E_USAGE, "plain http"},
        {"ftp://127.0.0.1/", "GET", {"a", span_text("b")}, E_USAGE, "thing"},
        {"file:///etc/passwd", "GET", {"a", span_text("b")}, E_USAGE, "thing"},
        {"https://user:pw@127.0.0.1/", "GET", {"a", span_text("b")}, E_USAGE, "thing"},
        {NULL, "GET", {"a", span_text("b\r\nEvil: 1")}, E_BUG, "control"},
        {NULL, "GET", {"a", span_text("b\nEvil: 1")}, E_BUG, "control"},
        {NULL, "GET", {"a", span_text("b\r")}, E_BUG, "control"},
        {NULL, "GET", {"a", span_of(with_nul, 3)}, E_BUG, "control"},
        {NULL, "GET", {"a\r\nEvil", span_text("b")}, E_BUG, "name of a header"},
        {NULL, "GET", {"a b", span_text("b")}, E_BUG, "name of a header"},
        {NULL, "GET", {"a:", span_text("b")}, E_BUG, "name of a header"},
        {NULL, "GET", {"", span_text("b")}, E_BUG, "name of a header"},
        {NULL, "CONNECT", {"a", span_text("b")}, E_BUG, "method"},
        {NULL, "GET\r\nX: y", {"a", span_text("b")}, E_BUG, "method"},
    };
    struct stage s;
    stage_open(&s, good, 1, &(struct http_options){0});
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct http_request q = get(&s);
        q.url = cases[i].url != NULL ? cases[i].url : s.url;
        q.method = cases[i].method;
        q.headers = &cases[i].header;
        q.n_headers = 1;
        q.retry = true;
        struct http_reply reply = {0};
        assert_fails(http_call(s.session, &q, &reply, &e), cases[i].status, cases[i].part, &e);
        assert_null(strstr(e.text, "SECRET"));
        assert_null(strstr(e.text, "Evil: 1"));
    }
    assert_int_equal(s.peer.n_requests, 0);
    assert_int_equal(http_counters(s.http).requests, 0);
    stage_close(&s);
}

static void test_closed_port(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    stage_open(&s, good, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    q.url = "http://127.0.0.1:1/x?sig=SECRET";
    struct http_reply reply = {0};
    assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, "thing: 127.0.0.1:1:", &e);
    assert_true(e.transient);
    assert_true(e.remedy[0] != '\0');
    assert_null(strstr(e.text, "SECRET"));
    stage_close(&s);
}

static const struct answer slow[] = {{.raw = GOOD, .delay_ms = 8000}};

static void test_slow_peer(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    stage_open(&s, slow, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    q.timeout_ms = 200;
    struct http_reply reply = {0};
    int64_t start = clock_ms();
    assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, "in time", &e);
    assert_true(e.transient);
    assert_true(clock_ms() - start >= 190);
    assert_true(clock_ms() - start < 4000);
    stage_close(&s);
}

static void test_deadline_of_the_run(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    int64_t start = clock_ms();
    stage_open(&s, slow, 1, &(struct http_options){.deadline_ms = start + 300});
    struct http_request q = get(&s);
    q.retry = true;
    struct http_reply reply = {0};
    for (int i = 0; i < 2; i++) { /* the second does not even go out */
        assert_fails(http_call(s.session, &q, &reply, &e), E_NETWORK, "limits.timeout_s", &e);
        assert_false(e.transient);
        assert_true(clock_ms() - start < 4000);
    }
    assert_int_equal(http_counters(s.http).requests, 1);
    stage_close(&s);
}

static enum status stop_soon(void *context, struct error *e)
{
    (void)context, (void)e;
    (void)usleep(200000);
    stop_request(STOP_ON_FAILURE);
    return OK;
}

static void test_stop_ends_a_waiting_transfer(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    struct task stopper = {0};
    stage_open(&s, slow, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    q.retry = true;
    struct http_reply reply = {0};
    int64_t start = clock_ms();
    assert_ok(task_start(&stopper, stop_soon, NULL, &e), &e);
    assert_fails(http_call(s.session, &q, &reply, &e), E_INTERRUPTED, "", &e);
    assert_true(clock_ms() - start < 1500);
    assert_fails(http_call(s.session, &q, &reply, &e), E_INTERRUPTED, "", &e);
    task_abandon(&stopper);
    stop_reset();
    assert_int_equal(http_counters(s.http).requests, 1);
    stage_close(&s);
}

/* What happens whether we hear of it or not is waited for, but not for ever. */
static void test_grace_of_a_stop(void **state)
{
    static const struct answer late[] = {{.raw = GOOD, .delay_ms = 700}};
    static const struct {
        const struct answer *script;
        int64_t grace_ms;
        enum status status;
    } cases[] = {{late, 6000, OK}, {late, 100, E_INTERRUPTED}, {slow, 500, E_INTERRUPTED}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage s;
        struct error e = {0};
        struct task stopper = {0};
        stage_open(&s, cases[i].script, 1, &(struct http_options){0});
        struct http_request q = get(&s);
        q.grace_ms = cases[i].grace_ms;
        AUTO(http_reply_free) struct http_reply reply = {0};
        int64_t start = clock_ms();
        assert_ok(task_start(&stopper, stop_soon, NULL, &e), &e);
        assert_int_equal(http_call(s.session, &q, &reply, &e), cases[i].status);
        assert_true(clock_ms() - start < 3000);
        struct http_reply none = {0};
        assert_fails(http_call(s.session, &q, &none, &e), E_INTERRUPTED, "", &e);
        task_abandon(&stopper);
        stop_reset();
        stage_close(&s);
    }
}

static void test_sessions_keep_their_connection(void **state)
{
    (void)state;
    struct stage s;
    struct error e = {0};
    stage_open(&s, good, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    struct http_session *first = s.session;
    for (int i = 0; i < 3; i++) {
        struct http_reply reply = {0};
        assert_ok(http_call(s.session, &q, &reply, &e), &e);
        http_reply_free(&reply);
        http_session_give(&s.session);
        assert_null(s.session);
        assert_ok(http_session_take(s.http, &s.session, &e), &e);
        assert_ptr_equal(s.session, first);
    }
    assert_int_equal(s.peer.n_connections, 1);
    struct http_session *second = NULL;
    assert_ok(http_session_take(s.http, &second, &e), &e);
    assert_ptr_not_equal(second, first);
    struct http_reply reply = {0};
    assert_ok(http_call(second, &q, &reply, &e), &e);
    http_reply_free(&reply);
    assert_int_equal(s.peer.n_connections, 2);
    http_session_give(&second);
    stage_close(&s);
}

/* 192.0.2.1 is for documentation (RFC 5737): whoever answers for it can only be the proxy. */
static void test_proxy_only_where_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *option, *environment;
        bool env_proxy, direct, local, expected;
    } cases[] = {
        {"peer", "", false, false, false, true},    {"peer", "", false, true, false, false},
        {"peer", "", false, false, true, false},    {"", "peer", false, false, false, false},
        {"", "peer", true, false, false, true},     {"", "peer", true, true, false, false},
        {"peer", "none", true, false, false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage s;
        struct error e = {0};
        stage_open(&s, good, 1, &(struct http_options){0});
        const char *proxy = cases[i].option[0] != '\0' ? peer_url(&s.peer) : NULL;
        if (strcmp(cases[i].environment, "peer") == 0)
            (void)setenv("http_proxy", peer_url(&s.peer), 1);
        struct http *http = NULL;
        struct http_session *session = NULL;
        assert_ok(http_new(&(struct http_options){.proxy = proxy, .env_proxy = cases[i].env_proxy},
                           &http, &e),
                  &e);
        assert_ok(http_session_take(http, &session, &e), &e);
        struct http_request q = get(&s);
        q.plain_http = true;
        q.direct = cases[i].direct;
        q.timeout_ms = 150;
        q.url = cases[i].local ? s.url : "http://192.0.2.1/";
        struct http_reply reply = {0};
        enum status status = http_call(session, &q, &reply, &e);
        http_reply_free(&reply);
        if (cases[i].local) {
            assert_int_equal(status, OK);
            assert_memory_equal(s.peer.records[0], "GET /path", 9);
        } else {
            assert_int_equal(s.peer.n_requests, cases[i].expected ? 1 : 0);
            assert_int_equal(status == OK, cases[i].expected);
        }
        http_session_give(&session);
        http_free(&http);
        (void)unsetenv("http_proxy");
        stage_close(&s);
    }
}

static void test_proxy_that_refuses(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 1, &(struct http_options){0});
    struct http *http = NULL;
    struct http_session *session = NULL;
    assert_ok(http_new(&(struct http_options){.proxy = peer_url(&s.peer)}, &http, &e), &e);
    assert_ok(http_session_take(http, &session, &e), &e);
    struct http_request q = get(&s);
    q.url = "https://192.0.2.1/";
    struct http_reply reply = {0};
    assert_fails(http_call(session, &q, &reply, &e), E_NETWORK, "proxy refused", &e);
    assert_false(e.transient);
    http_session_give(&session);
    http_free(&http);
    stage_close(&s);
}

static void test_missing_ca_file(void **state)
{
    (void)state;
    struct error e = {0};
    struct http *http = NULL;
    assert_fails(http_new(&(struct http_options){.ca_file = "/nonexistent/ca.pem"}, &http, &e),
                 E_USAGE, "/nonexistent/ca.pem", &e);
    assert_null(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_arrives_as_written),
        cmocka_unit_test(test_body_is_sent),
        cmocka_unit_test(test_empty_put_and_head),
        cmocka_unit_test(test_redirect_is_not_followed),
        cmocka_unit_test(test_bad_answers_are_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_endless_interim_answers_are_refused),
        cmocka_unit_test(test_trailers_do_not_count),
        cmocka_unit_test(test_header_is_found_by_its_whole_name),
        cmocka_unit_test(test_requests_that_never_go_out),
        cmocka_unit_test(test_closed_port),
        cmocka_unit_test(test_slow_peer),
        cmocka_unit_test(test_grace_of_a_stop),
        cmocka_unit_test(test_deadline_of_the_run),
        cmocka_unit_test(test_stop_ends_a_waiting_transfer),
        cmocka_unit_test(test_sessions_keep_their_connection),
        cmocka_unit_test(test_proxy_only_where_wanted),
        cmocka_unit_test(test_proxy_that_refuses),
        cmocka_unit_test(test_missing_ca_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

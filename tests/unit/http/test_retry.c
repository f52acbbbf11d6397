/* Which failures are tried again, how often, after what wait, and what ends it. */
#include "scripted.h"

#include <signal.h>

#define GOOD    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BUSY    "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
#define QUICKLY .retry_delay_ms = 1

static void test_what_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        struct answer answers[3];
        size_t n;
        bool retry;
        enum status status;
        long http_status;
        size_t requests;
    } cases[] = {
        {{{.raw = BUSY}, {.raw = BUSY}, {.raw = GOOD}}, 3, true, OK, 200, 3},
        {{{.raw = BUSY}, {.raw = GOOD}}, 2, false, OK, 503, 1},
        {{{.raw = BUSY}}, 1, true, OK, 503, 3}, /* the last answer is the caller's */
        {{{.raw = "", .reset = true}, {.raw = GOOD}}, 2, true, OK, 200, 2},
        {{{.raw = "", .reset = true}, {.raw = GOOD}}, 2, false, E_NETWORK, 0, 1},
        {{{.raw = "", .close = true}}, 1, true, E_NETWORK, 0, 3},
        {{{.raw = GOOD, .close = true}}, 1, true, OK, 200, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage s;
        struct error e = {0};
        stage_open(&s, cases[i].answers, cases[i].n, &(struct http_options){.tries = 3, QUICKLY});
        struct http_request q = get(&s);
        q.retry = cases[i].retry;
        struct http_reply reply = {0};
        assert_int_equal(http_call(s.session, &q, &reply, &e), cases[i].status);
        assert_int_equal(reply.status, cases[i].http_status);
        assert_int_equal(s.peer.n_requests, cases[i].requests);
        assert_int_equal(http_counters(s.http).requests, cases[i].requests);
        assert_int_equal(http_counters(s.http).retries, cases[i].requests - 1);
        if (cases[i].status != OK && cases[i].retry)
            assert_non_null(strstr(e.text, "after 3 tries: thing"));
        http_reply_free(&reply);
        stage_close(&s);
    }
}

static void test_statuses_that_pass(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool again;
    } cases[] = {{200, false}, {304, false}, {400, false}, {401, false}, {403, false}, {404, false},
                 {408, true},  {409, false}, {410, false}, {412, false}, {429, true},  {500, true},
                 {501, false}, {502, true},  {503, true},  {504, true},  {505, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char raw[100];
        struct stage s;
        struct error e = {0};
        (void)snprintf(raw, sizeof raw, "HTTP/1.1 %d Some\r\n%s\r\n", cases[i].status,
                       cases[i].status == 304 ? "" : "Content-Length: 0\r\n");
        const struct answer answer = {.raw = raw};
        stage_open(&s, &answer, 1, &(struct http_options){.tries = 2, QUICKLY});
        struct http_request q = get(&s);
        q.retry = true;
        struct http_reply reply = {0};
        assert_ok(http_call(s.session, &q, &reply, &e), &e);
        assert_int_equal(reply.status, cases[i].status);
        assert_int_equal(s.peer.n_requests, cases[i].again ? 2 : 1);
        http_reply_free(&reply);
        stage_close(&s);
    }
}

static void test_body_goes_out_again(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = BUSY}, {.raw = "", .reset = true}, {.raw = GOOD}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 3, &(struct http_options){QUICKLY});
    struct http_request q = get(&s);
    q.method = "POST";
    q.body = span_text("{\"a\":1}");
    q.retry = true;
    struct http_reply reply = {0};
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(s.peer.n_requests, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(strstr(s.peer.records[i], "\r\n\r\n") + 4, "{\"a\":1}");
    assert_string_equal(buf_text(&reply.body), "ok"); /* nothing of "busy" before it */
    http_reply_free(&reply);
    stage_close(&s);
}

static void date_header(char *out, size_t size, int64_t seconds)
{
    time_t at = time(NULL) + (time_t)seconds;
    struct tm parts;
    assert_non_null(gmtime_r(&at, &parts));
    assert_true(strftime(out, size, "Retry-After: %a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
}

/* What a busy machine may take; what is not understood would be a wait of a minute or more. */
enum { BUSY_MS = 30000 };

static void test_wait_is_as_the_service_says(void **state)
{
    (void)state;
    char date[100], past[100];
    date_header(date, sizeof date, 2); /* first in the table: it does not wait for us */
    date_header(past, sizeof past, -100);
    const struct {
        const char *header;
        int64_t min_ms, max_ms;
    } cases[] = {
        {date, 900, BUSY_MS},
        {"Retry-After: 1", 1000, BUSY_MS},
        {"retry-after-ms: 300", 300, BUSY_MS},
        {"x-ms-retry-after-ms: 150\r\nRetry-After: 100", 150, BUSY_MS},
        {past, 0, BUSY_MS},
        {"Retry-After: -5", 0, BUSY_MS},
        {"Retry-After: 99999999999999999999", 0, BUSY_MS}, /* no number of ours */
        {"Retry-After: soon", 0, BUSY_MS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char raw[300];
        struct stage s;
        struct error e = {0};
        (void)snprintf(raw, sizeof raw, "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n%s\r\n\r\n",
                       cases[i].header);
        const struct answer answers[] = {{.raw = raw}, {.raw = GOOD}};
        stage_open(&s, answers, 2, &(struct http_options){QUICKLY});
        struct http_request q = get(&s);
        q.retry = true;
        struct http_reply reply = {0};
        int64_t start = clock_ms();
        assert_ok(http_call(s.session, &q, &reply, &e), &e);
        int64_t took = clock_ms() - start;
        if (took < cases[i].min_ms || took > cases[i].max_ms)
            fail_msg("%s: took %lld ms", cases[i].header, (long long)took);
        assert_int_equal(reply.status, 200);
        http_reply_free(&reply);
        stage_close(&s);
    }
}

static void test_no_wait_beyond_the_deadline(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: 60\r\n\r\n"}};
    struct stage s;
    struct error e = {0};
    int64_t start = clock_ms();
    stage_open(&s, answers, 1, &(struct http_options){.deadline_ms = start + 20000});
    struct http_request q = get(&s);
    q.retry = true;
    struct http_reply reply = {0};
    assert_ok(http_call(s.session, &q, &reply, &e), &e);
    assert_int_equal(reply.status, 429);
    assert_true(clock_ms() - start < 5000); /* not waited for in vain */
    assert_int_equal(s.peer.n_requests, 1);
    assert_fails(http_refusal(&q, &reply, E_DENIED, &e), E_NETWORK, "429", &e);
    assert_int_equal(e.retry_after_ms, 60000);
    struct http_retry retry = {0};
    assert_false(http_again(s.session, &retry, &e));
    assert_non_null(strstr(e.text, "no time is left"));
    assert_int_equal(e.status, E_NETWORK);
    assert_int_equal(http_counters(s.http).retries, 0);
    http_reply_free(&reply);
    stage_close(&s);
}

static void transient(struct error *e)
{
    (void)fail(e, E_NETWORK, "thing: broke");
    e->transient = true;
}

static void test_loops_of_ones_own(void **state)
{
    (void)state;
    static const struct answer none[] = {{.raw = GOOD}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, none, 1, &(struct http_options){.tries = 3, QUICKLY});
    struct http_retry retry = {0};
    transient(&e);
    assert_true(http_again(s.session, &retry, &e));
    transient(&e);
    assert_true(http_again(s.session, &retry, &e));
    transient(&e);
    assert_false(http_again(s.session, &retry, &e));
    assert_int_equal(retry.tries, 3);
    assert_string_equal(e.text, "after 3 tries: thing: broke");

    struct http_retry other = {.max_tries = 2};
    transient(&e);
    assert_true(http_again(s.session, &other, &e));
    transient(&e);
    assert_false(http_again(s.session, &other, &e));

    struct http_retry firm = {0};
    (void)fail(&e, E_DENIED, "no");
    assert_false(http_again(s.session, &firm, &e));
    assert_string_equal(e.text, "no");
    assert_int_equal(http_counters(s.http).retries, 3);
    stage_close(&s);
}

static void test_going_on_for_a_minimum_time(void **state)
{
    (void)state;
    static const struct answer none[] = {{.raw = GOOD}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, none, 1, &(struct http_options){.tries = 2, .retry_delay_ms = 40});
    struct http_retry retry = {.min_total_ms = 300};
    int64_t start = clock_ms();
    do
        transient(&e);
    while (http_again(s.session, &retry, &e));
    assert_true(clock_ms() - start >= 300);
    assert_true(retry.tries > 2);
    stage_close(&s);
}

static void test_stop_ends_the_wait(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 30\r\n\r\n"}};
    struct stage s;
    struct error e = {0};
    assert_ok(stop_on_signals(&e), &e);
    stage_open(&s, answers, 1, &(struct http_options){0});
    struct http_request q = get(&s);
    q.retry = true;
    struct http_reply reply = {0};
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(
        timer_settime(timer, 0, &(struct itimerspec){.it_value = {.tv_nsec = 300000000}}, NULL), 0);
    int64_t start = clock_ms();
    assert_fails(http_call(s.session, &q, &reply, &e), E_INTERRUPTED, "SIGTERM", &e);
    assert_true(clock_ms() - start < 3000);
    assert_int_equal(reply.headers.size, 0);
    (void)timer_delete(timer);
    stop_reset();
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_tried_again),
        cmocka_unit_test(test_statuses_that_pass),
        cmocka_unit_test(test_body_goes_out_again),
        cmocka_unit_test(test_wait_is_as_the_service_says),
        cmocka_unit_test(test_no_wait_beyond_the_deadline),
        cmocka_unit_test(test_loops_of_ones_own),
        cmocka_unit_test(test_going_on_for_a_minimum_time),
        cmocka_unit_test(test_stop_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

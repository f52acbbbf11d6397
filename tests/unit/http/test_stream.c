/* Streamed answers: order, whose failure is whose, and what happens to a refusal's body. */
#include "scripted.h"

struct taker {
    size_t heads, pieces, size;
    size_t fail_at; /* the piece that fails, from 1 */
    bool fail_head, body_at_head;
    long status;
    uint32_t sum; /* of the bytes and their places: order counts */
};

static enum status take_head(void *context, const struct http_reply *reply, struct error *e)
{
    struct taker *t = context;
    t->heads++;
    t->status = reply->status;
    t->body_at_head = reply->body.size > 0;
    if (!t->fail_head)
        return OK;
    (void)fail(e, E_MISMATCH, "head says no");
    e->retry_after_ms = 77;
    return E_MISMATCH;
}

static uint32_t sum_of(uint32_t sum, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        sum = sum * 31 + bytes.data[i];
    return sum;
}

static enum status take_piece(void *context, struct span bytes, struct error *e)
{
    struct taker *t = context;
    t->pieces++;
    t->size += bytes.size;
    t->sum = sum_of(t->sum, bytes);
    return t->pieces == t->fail_at ? fail(e, E_NOT_AUTHENTIC, "piece says no") : OK;
}

static enum status stream(struct stage *s, struct taker *t, struct http_request q,
                          struct http_reply *reply, struct error *e)
{
    const struct http_stream stream = {.head = take_head, .take = take_piece, .context = t};
    return http_stream(s->session, &q, &stream, reply, e);
}

/* A whole answer with 8 MiB of BODY. */
static const char *big(struct span *body)
{
    static char raw[(8 << 20) + 200];
    size_t size = 8 << 20;
    int n = snprintf(raw, 200, "HTTP/1.1 206 Part\r\nContent-Length: %zu\r\n\r\n", size);
    for (size_t i = 0; i < size; i++)
        raw[(size_t)n + i] = (char)('a' + (i * 7 + i / 1000) % 26);
    *body = span_of(raw + n, size);
    return raw;
}

static void test_body_comes_in_order(void **state)
{
    (void)state;
    struct span body;
    const struct answer answers[] = {{.raw = big(&body)}};
    struct stage s;
    struct error e = {0};
    stage_open(&s, answers, 1, &(struct http_options){0});
    for (int i = 0; i < 2; i++) {
        struct taker t = {0};
        struct http_reply reply = {0};
        assert_ok(stream(&s, &t, get(&s), &reply, &e), &e); /* MAX_REPLY is not for this body */
        assert_int_equal(t.heads, 1);
        assert_false(t.body_at_head);
        assert_int_equal(reply.status, 206);
        assert_int_equal(t.size, body.size);
        assert_int_equal(t.sum, sum_of(0, body));
        assert_int_equal(reply.body.size, 0);
        http_reply_free(&reply);
    }
    assert_int_equal(s.peer.n_connections, 1);
    assert_int_equal(http_counters(s.http).bytes_received, 2 * body.size);
    stage_close(&s);
}

#define HEAD_OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"

static const struct {
    const char *name;
    struct answer answer;
    struct taker taker;
    enum status status;
    const char *part;
    bool transient;
    size_t taken; /* bytes that TAKE saw */
} cases[] = {
    {"good", {.raw = HEAD_OK "\r\nhello"}, {0}, OK, "", false, 5},
    {"a blob may have a Content-Encoding",
     {.raw = HEAD_OK "Content-Encoding: gzip\r\n\r\nhello"},
     {0},
     OK,
     "",
     false,
     5},
    {"chunked",
     {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
     {0},
     OK,
     "",
     false,
     5},
    {"too much is not taken", {.raw = HEAD_OK "\r\nhello world"}, {0}, OK, "", false, 5},
    {"head fails",
     {.raw = HEAD_OK "\r\nhello"},
     {.fail_head = true},
     E_MISMATCH,
     "head says no",
     false,
     0},
    {"take fails",
     {.raw = HEAD_OK "\r\nhello"},
     {.fail_at = 1},
     E_NOT_AUTHENTIC,
     "piece says no",
     false,
     5},
    {"cut", {.raw = HEAD_OK "\r\nhel", .close = true}, {0}, E_NETWORK, "cut short", true, 3},
    {"no length",
     {.raw = "HTTP/1.1 200 OK\r\n\r\nhello", .close = true},
     {0},
     E_NETWORK,
     "how long",
     false,
     0},
    {"reset before the answer", {.raw = "", .reset = true}, {0}, E_NETWORK, "thing", true, 0},
    {"refused",
     {.raw = "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhello"},
     {0},
     OK,
     "",
     false,
     0},
};

static void test_whose_failure_is_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage s;
        struct error e = {0};
        struct taker t = cases[i].taker;
        struct http_reply reply = {0};
        print_message("  %s\n", cases[i].name);
        stage_open(&s, &cases[i].answer, 1, &(struct http_options){0});
        struct http_request q = get(&s);
        q.retry = true; /* not here: one try */
        enum status status = stream(&s, &t, q, &reply, &e);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(t.size, cases[i].taken);
        if (status != OK) {
            assert_non_null(strstr(e.text, cases[i].part));
            assert_int_equal(e.transient, cases[i].transient);
            assert_int_equal(e.retry_after_ms, t.fail_head ? 77 : 0); /* untouched */
            assert_int_equal(reply.headers.size, 0);
        }
        assert_int_equal(s.peer.n_requests, 1);
        http_reply_free(&reply);
        stage_close(&s);
    }
}

static void test_refusal_is_kept_for_the_caller(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {.raw = "HTTP/1.1 412 Changed\r\nContent-Length: 10\r\n\r\n0123456789"}};
    static const struct {
        size_t max, kept;
    } limits[] = {{0, 10}, {10, 10}, {9, 9}, {1, 1}, {5000, 10}};
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct stage s;
        struct error e = {0};
        struct taker t = {0};
        struct http_reply reply = {0};
        stage_open(&s, answers, 1, &(struct http_options){0});
        struct http_request q = get(&s);
        q.max_reply = limits[i].max;
        assert_ok(stream(&s, &t, q, &reply, &e), &e);
        assert_int_equal(t.status, 412);
        assert_int_equal(t.pieces, 0);
        assert_int_equal(reply.body.size, limits[i].kept);
        assert_memory_equal(reply.body.data, "0123456789", limits[i].kept);
        http_reply_free(&reply);
        stage_close(&s);
    }
}

static enum status stop_in_the_middle(void *context, struct span bytes, struct error *e)
{
    (void)context, (void)bytes, (void)e;
    stop_request(STOP_ON_FAILURE);
    return OK;
}

static void test_stop_in_the_middle(void **state)
{
    (void)state;
    struct span body;
    const struct answer answers[] = {{.raw = big(&body)}};
    struct stage s;
    struct error e = {0};
    struct http_reply reply = {0};
    stage_open(&s, answers, 1, &(struct http_options){0});
    const struct http_request q = get(&s);
    const struct http_stream stream = {.take = stop_in_the_middle};
    assert_fails(http_stream(s.session, &q, &stream, &reply, &e), E_INTERRUPTED, "", &e);
    stop_reset();
    assert_true(http_counters(s.http).bytes_received < body.size);
    /* the broken connection is not used again */
    struct taker t = {0};
    struct http_reply whole = {0};
    const struct http_stream again = {.take = take_piece, .context = &t};
    assert_ok(http_stream(s.session, &q, &again, &whole, &e), &e);
    assert_int_equal(t.sum, sum_of(0, body));
    http_reply_free(&whole);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_comes_in_order),
        cmocka_unit_test(test_whose_failure_is_it),
        cmocka_unit_test(test_refusal_is_kept_for_the_caller),
        cmocka_unit_test(test_stop_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ranges: the bytes of one ETag in order, whatever breaks; nothing else is taken. */
#include "store.h"

enum { BLOB_SIZE = 1000000, STEPS_MAX = 8 };

static uint8_t stored[BLOB_SIZE];

/* What the peer does to one request. */
enum act {
    GIVE,    /* as it should be */
    BREAK,   /* announce all, send some, close */
    RESET,   /* the same with a reset */
    DRIBBLE, /* one byte, then close */
    BUSY,    /* 503 */
    REFUSE,  /* STATUS and CODE */
    SHIFT,   /* another range, well announced */
    SHORTEN, /* a shorter range, well announced */
    TOTAL,   /* another total size */
    NO_RANGE,
    BAD_RANGE,
    OTHER_ETAG,
    NO_ETAG,
    WHOLE,   /* 200 and the whole blob */
    LONGER,  /* Content-Length and body longer than the range */
    CHUNKED, /* no Content-Length */
};

struct script {
    enum act acts[STEPS_MAX]; /* per request; the last one stays */
    size_t n;
    int status;
    const char *code;
};

static void range_send(struct peer_answer *a, const char *range, const char *etag, size_t from,
                       size_t length, size_t sent)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 206 Partial\r\n%s%s\r\n%s%s\r\nContent-Length: %zu\r\n\r\n",
                   range[0] == '\0' ? "X-None: " : "Content-Range: ", range,
                   etag[0] == '\0' ? "X-No-Tag: " : "ETag: ", etag, length);
    peer_text(a, head);
    peer_send(a, stored + from, sent);
    a->close = sent < length;
}

static void act_do(enum act act, const struct script *script, size_t from, size_t to,
                   struct peer_answer *a)
{
    static const char tag[] = "\"0x8D\"";
    char range[96], headers[256];
    size_t n = to - from + 1;
    (void)snprintf(range, sizeof range, "bytes %zu-%zu/%d", from, to, BLOB_SIZE);
    (void)snprintf(headers, sizeof headers, "x-ms-error-code: %s\r\n",
                   script->code == NULL ? "" : script->code);
    switch (act) {
    case GIVE:
        range_send(a, range, tag, from, n, n);
        break;
    case BREAK:
    case RESET:
        range_send(a, range, tag, from, n, n / 2);
        a->reset = act == RESET;
        break;
    case DRIBBLE:
        range_send(a, range, tag, from, n, 1);
        break;
    case BUSY:
        peer_reply(a, 503, "x-ms-error-code: ServerBusy\r\n", "");
        break;
    case REFUSE:
        peer_reply(a, script->status, headers, "");
        break;
    case SHIFT:
        (void)snprintf(range, sizeof range, "bytes %zu-%zu/%d", from + 1, to + 1, BLOB_SIZE);
        range_send(a, range, tag, from + 1, n, n);
        break;
    case SHORTEN:
        (void)snprintf(range, sizeof range, "bytes %zu-%zu/%d", from, to - 1, BLOB_SIZE);
        range_send(a, range, tag, from, n - 1, n - 1);
        break;
    case TOTAL:
        (void)snprintf(range, sizeof range, "bytes %zu-%zu/%d", from, to, BLOB_SIZE + 1);
        range_send(a, range, tag, from, n, n);
        break;
    case NO_RANGE:
        range_send(a, "", tag, from, n, n);
        break;
    case BAD_RANGE:
        range_send(a, "bytes */1000000", tag, from, n, n);
        break;
    case OTHER_ETAG:
        range_send(a, range, "\"0x8E\"", from, n, n);
        break;
    case NO_ETAG:
        range_send(a, range, "", from, n, n);
        break;
    case WHOLE:
        peer_reply_bytes(a, 200, "ETag: \"0x8D\"\r\n", stored, BLOB_SIZE);
        break;
    case LONGER:
        range_send(a, range, tag, from, n + 1, n + 1);
        break;
    case CHUNKED:
        (void)snprintf(headers, sizeof headers,
                       "HTTP/1.1 206 Partial\r\nContent-Range: %s\r\nETag: %s\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n",
                       range, tag);
        peer_text(a, headers);
        peer_text(a, "0\r\n\r\n");
        break;
    }
}

static void answer(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct script *script = context;
    char range[64], match[64];
    size_t from = 0, to = 0, last = script->n - 1;
    peer_header(q, "x-ms-range", range, sizeof range);
    peer_header(q, "If-Match", match, sizeof match);
    if (sscanf(range, "bytes=%zu-%zu", &from, &to) != 2 || to < from || to >= BLOB_SIZE - 1 ||
        strcmp(match, "\"0x8D\"") != 0)
        peer_reply(a, 400, "x-ms-error-code: TestAskedWrongly\r\n", "");
    else
        act_do(script->acts[q->number < last ? q->number : last], script, from, to, a);
}

struct taker {
    uint64_t at; /* where the next byte belongs */
    size_t taken, fail_behind;
    bool wrong;
};

static enum status take(void *context, struct span bytes, struct error *e)
{
    struct taker *t = context;
    if (t->at + bytes.size > BLOB_SIZE || memcmp(stored + t->at, bytes.data, bytes.size) != 0)
        t->wrong = true;
    t->at += bytes.size;
    t->taken += bytes.size;
    if (t->fail_behind > 0 && t->taken >= t->fail_behind) {
        (void)fail(e, E_NOT_AUTHENTIC, "region 1 is not authentic");
        e->transient = true; /* nonsense, but no reason to go on */
        return E_NOT_AUTHENTIC;
    }
    return OK;
}

static int prepare(void **)
{
    for (size_t i = 0; i < BLOB_SIZE; i++)
        stored[i] = (uint8_t)(i * 2654435761U >> 13);
    return 0;
}

static enum status read_range(struct store *s, struct taker *t, uint64_t at, uint64_t size)
{
    char name[] = "x y";
    struct blob blob = {.name = name, .size = BLOB_SIZE, .etag = "\"0x8D\""};
    struct feed feed = {take, t};
    t->at = at;
    return storage_read(s->storage, s->session, &blob, at, size, &feed, &s->e);
}

static void good_reads(void **)
{
    static const struct {
        enum act acts[STEPS_MAX];
        size_t n, requests;
    } cases[] = {
        {{GIVE}, 1, 1},
        {{BREAK, GIVE}, 2, 2},
        {{RESET, GIVE}, 2, 2},
        {{BUSY, BUSY, GIVE}, 3, 3},
        {{BUSY, BREAK, BUSY, BREAK, BUSY, GIVE}, 6, 6}, /* progress: the count starts anew */
        {{DRIBBLE, DRIBBLE, DRIBBLE, DRIBBLE, DRIBBLE, GIVE}, 6, 6},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {.n = cases[i].n};
        struct taker t = {0};
        struct store s;
        memcpy(script.acts, cases[i].acts, sizeof script.acts);
        store_open(&s, answer, &script, "", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        print_message("case %zu\n", i);
        assert_ok(read_range(&s, &t, 1234, 700000), &s.e);
        assert_false(t.wrong);
        assert_int_equal(t.taken, 700000);
        assert_int_equal(s.peer.n_requests, cases[i].requests);
        assert_non_null(strstr(s.peer.records[0], "GET /acct/data/x%20y?" SAS " HTTP"));
        assert_non_null(strstr(s.peer.records[0], "x-ms-range: bytes=1234-701233\r\n"));
        s.e = (struct error){0};
        store_close(&s);
    }
}

static void resume_is_exact(void **)
{
    struct script script = {{DRIBBLE, GIVE}, 2, 0, NULL};
    struct taker t = {0};
    struct store s;
    store_open(&s, answer, &script, "", NULL);
    assert_ok(read_range(&s, &t, 500, 3), &s.e);
    assert_false(t.wrong);
    assert_int_equal(t.taken, 3);
    assert_non_null(strstr(s.peer.records[1], "x-ms-range: bytes=501-502\r\n"));
    store_close(&s);
}

static void hostile_reads(void **)
{
    static const struct {
        enum act acts[STEPS_MAX];
        size_t n;
        enum status expected;
        const char *part;
        size_t requests, taken_most;
    } cases[] = {
        {{SHIFT}, 1, E_NETWORK, "another range", 1, 0},
        {{SHORTEN}, 1, E_NETWORK, "another range", 1, 0},
        {{TOTAL}, 1, E_NETWORK, "another range", 1, 0},
        {{NO_RANGE}, 1, E_NETWORK, "another range", 1, 0},
        {{BAD_RANGE}, 1, E_NETWORK, "another range", 1, 0},
        {{OTHER_ETAG}, 1, E_NETWORK, "another version", 1, 0},
        {{NO_ETAG}, 1, E_NETWORK, "ETag", 1, 0},
        {{WHOLE}, 1, E_NETWORK, "instead of 206", 1, 0},
        {{LONGER}, 1, E_NETWORK, "wrong length", 1, 0},
        {{CHUNKED}, 1, E_NETWORK, "wrong length", 1, 0},
        {{BUSY}, 1, E_NETWORK, "503", 3, 0},
        {{BREAK, SHIFT}, 2, E_NETWORK, "another range", 2, 350000},
        {{BREAK, OTHER_ETAG}, 2, E_NETWORK, "another version", 2, 350000},
        {{BREAK, WHOLE}, 2, E_NETWORK, "instead of 206", 2, 350000},
        {{DRIBBLE}, 1, E_NETWORK, "range", 101, 101}, /* progress, but not for ever */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {.n = cases[i].n};
        struct taker t = {0};
        struct store s;
        memcpy(script.acts, cases[i].acts, sizeof script.acts);
        store_open(&s, answer, &script, "", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        print_message("case %zu\n", i);
        assert_fails(read_range(&s, &t, 1234, 700000), cases[i].expected, cases[i].part, &s.e);
        assert_non_null(strstr(s.e.text, "blob data/x y: range "));
        assert_false(t.wrong);
        assert_true(t.taken <= cases[i].taken_most);
        assert_int_equal(s.peer.n_requests, cases[i].requests);
        store_close(&s);
    }
}

static void refusals(void **)
{
    static const struct {
        int status;
        const char *code;
        enum status expected;
        const char *part;
    } cases[] = {
        {412, "ConditionNotMet", E_MISMATCH, "changed while it was read"},
        {404, "BlobNotFound", E_NOT_FOUND, "404"},
        {403, "AuthorizationPermissionMismatch", E_DENIED, "403"},
        {401, "NoAuthenticationInformation", E_DENIED, "401"},
        {409, "BlobArchived", E_NOT_FOUND, "409"},
        {416, "InvalidRange", E_MISMATCH, "smaller than"},
        {304, "ConditionNotMet", E_NETWORK, "304"},
        {302, "Found", E_NETWORK, "302"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {{REFUSE}, 1, cases[i].status, cases[i].code};
        struct taker t = {0};
        struct store s;
        store_open(&s, answer, &script, "", &(struct storage_options){.sas = SPAN_LITERAL(SAS)});
        assert_fails(read_range(&s, &t, 8388608, 1), E_BUG, "outside", &s.e);
        assert_fails(read_range(&s, &t, 0, 0), E_BUG, "outside", &s.e);
        assert_fails(read_range(&s, &t, 1, BLOB_SIZE), E_BUG, "outside", &s.e);
        assert_int_equal(s.peer.n_requests, 0);
        assert_fails(read_range(&s, &t, 10, 20), cases[i].expected, cases[i].part, &s.e);
        assert_non_null(strstr(s.e.text, "blob data/x y: range 10-29"));
        assert_string_equal(s.e.service_code, cases[i].code);
        assert_int_equal(s.peer.n_requests, 1);
        assert_int_equal(t.taken, 0);
        store_close(&s);
    }
}

static void feed_failures_come_back(void **)
{
    struct script script = {{GIVE}, 1, 0, NULL};
    struct taker t = {.fail_behind = 1000};
    struct store s;
    store_open(&s, answer, &script, "", NULL);
    assert_fails(read_range(&s, &t, 0, 700000), E_NOT_AUTHENTIC, "region 1 is not authentic", &s.e);
    assert_string_equal(s.e.text, "region 1 is not authentic");
    assert_int_equal(s.peer.n_requests, 1);
    store_close(&s);
}

static void dot_segments_are_never_asked_for(void **)
{
    static char names[][16] = {"..", "../other/x", "a/../x", "a/.", "./x"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct script script = {{GIVE}, 1, 0, NULL};
        struct taker t = {0};
        struct store s;
        struct blob blob = {.name = names[i], .size = 10, .etag = "\"0x8D\""};
        struct feed feed = {take, &t};
        store_open(&s, answer, &script, "", NULL);
        assert_fails(storage_read(s.storage, s.session, &blob, 0, 5, &feed, &s.e), E_NAME,
                     "segment", &s.e);
        assert_int_equal(s.peer.n_requests, 0);
        store_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_reads),
        cmocka_unit_test(resume_is_exact),
        cmocka_unit_test(hostile_reads),
        cmocka_unit_test(refusals),
        cmocka_unit_test(feed_failures_come_back),
        cmocka_unit_test(dot_segments_are_never_asked_for),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}

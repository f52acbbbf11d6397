/* The log: whatever the values hold, a line is one line, and JSON lines parse back. */
#include "testing.h"

#include <unistd.h>

#include <cjson/cJSON.h>

static char captured[1 << 16];

/* Standard error goes to a pipe until capture_end. */
static int capture_begin(int *pipe_out)
{
    int ends[2];
    int before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    *pipe_out = ends[0];
    return before;
}

static const char *capture_end(int before, int from)
{
    size_t n = 0;
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    for (ssize_t got = 1; got > 0; n += (size_t)got)
        got = read(from, captured + n, sizeof(captured) - 1 - n);
    captured[n] = '\0';
    (void)close(from);
    return captured;
}

#define CAPTURE(statements)                                                                        \
    do {                                                                                           \
        int pipe_, before_ = capture_begin(&pipe_);                                                \
        statements;                                                                                \
        (void)capture_end(before_, pipe_);                                                         \
    } while (0)

static const char *const values[] = {
    "plain",
    "",
    "two words",
    "a=b",
    "quote\" back\\slash",
    "line\nbreak\rand\ttab",
    "\x1B[31mred\x1B]0;t\x07",
    "caf\xC3\xA9",
    "\xC2\x9B[31m", /* C1 */
    "broken \xFF\xE2\x82",
};

static void assert_one_line(void)
{
    size_t n = strlen(captured);
    assert_true(n > 0 && captured[n - 1] == '\n');
    assert_ptr_equal(strchr(captured, '\n'), captured + n - 1);
    for (size_t i = 0; i + 1 < n; i++)
        assert_true((uint8_t)captured[i] >= 0x20 && captured[i] != 0x7F);
    assert_null(strstr(captured, "\xC2\x9B"));
    assert_true(utf8_is_valid(span_text(captured)));
}

static void test_json_lines(void **state)
{
    (void)state;
    log_open(LOG_DEBUG, LOG_JSON);
    for (size_t i = 0; i < COUNT(values); i++) {
        struct error e = {0};
        AUTO(json_free) struct cJSON *tree = NULL;
        CAPTURE(LOG(LOG_WARN, "blob", LOG_STRING("name", values[i]), LOG_NUMBER("size", -5)));
        assert_one_line();
        assert_ok(json_parse(span_text(captured), E_BUG, &tree, &e), &e);
        assert_string_equal(json_text(tree, "level"), "warn");
        assert_string_equal(json_text(tree, "event"), "blob");
        assert_int_equal(strlen(json_text(tree, "time")), strlen("2000-01-01T00:00:00.000Z"));
        assert_true(json_member(tree, "size")->valuedouble == -5);
        if (utf8_is_valid(span_text(values[i])))
            assert_string_equal(json_text(tree, "name"), values[i]);
        else
            assert_string_equal(json_text(tree, "name"), "broken \xEF\xBF\xBD\xEF\xBF\xBD");
        assert_int_equal(cJSON_GetArraySize(tree), 5);
    }
}

static void test_text_lines(void **state)
{
    (void)state;
    log_open(LOG_INFO, LOG_TEXT);
    for (size_t i = 0; i < COUNT(values); i++) {
        CAPTURE(LOG(LOG_INFO, "blob", LOG_STRING("name", values[i]), LOG_NUMBER("size", 12)));
        assert_one_line();
        assert_non_null(strstr(captured, " info  blob name="));
        assert_non_null(strstr(captured, " size=12\n"));
    }
    CAPTURE(LOG(LOG_INFO, "e", LOG_STRING("a", "x"), LOG_STRING("b", "x y"), LOG_STRING("c", "")));
    assert_non_null(strstr(captured, " e a=x b=\"x y\" c=\"\"\n"));
}

static void test_levels(void **state)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    (void)state;
    for (size_t open = 0; open < COUNT(levels); open++) {
        log_open(levels[open], LOG_TEXT);
        for (size_t level = 0; level < COUNT(levels); level++) {
            CAPTURE(log_event(levels[level], "x", NULL, 0));
            assert_int_equal(captured[0] != '\0', level <= open);
            assert_int_equal(log_wants(levels[level]), level <= open);
        }
    }
}

static void test_final_as_json(void **state)
{
    static const struct {
        const char *code, *request;
        int members; /* time, level, event, message, exit_code, … */
    } cases[] = {{"", "", 5}, {"Busy", "", 6}, {"", "r1", 6}, {"Busy", "r1", 7}};
    (void)state;
    log_open(LOG_ERROR, LOG_JSON);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t code = 0;
        struct error e = {0}, shown = {.status = E_NETWORK};
        AUTO(json_free) struct cJSON *tree = NULL;
        (void)snprintf(shown.service_code, sizeof(shown.service_code), "%s", cases[i].code);
        (void)snprintf(shown.request_id, sizeof(shown.request_id), "%s", cases[i].request);
        CAPTURE(log_final("decant run: \"x\" failed.", &shown));
        assert_one_line();
        assert_ok(json_parse(span_text(captured), E_BUG, &tree, &e), &e);
        assert_int_equal(cJSON_GetArraySize(tree), cases[i].members);
        assert_string_equal(json_text(tree, "message"), "decant run: \"x\" failed.");
        assert_true(json_number(tree, "exit_code", &code) && code == 22);
        const char *service_code = json_text(tree, "service_code");
        const char *request_id = json_text(tree, "request_id");
        assert_string_equal(service_code != NULL ? service_code : "", cases[i].code);
        assert_string_equal(request_id != NULL ? request_id : "", cases[i].request);
    }
}

static void test_final_as_text(void **state)
{
    (void)state;
    struct error shown = {.status = E_BUG};
    log_open(LOG_ERROR, LOG_TEXT);
    CAPTURE(log_final("decant run: it failed.", &shown));
    assert_string_equal(captured, "decant run: it failed.\n");
}

static void test_progress_line(void **state)
{
    (void)state;
    log_open(LOG_INFO, LOG_TEXT);
    CAPTURE(log_progress(""));
    assert_string_equal(captured, "");
    CAPTURE(log_progress("half"); LOG(LOG_INFO, "x", LOG_NUMBER("n", 1)); log_progress(""));
    assert_memory_equal(captured, "\r\033[Khalf\r\033[K2", 12); /* taken away above a log line */
    assert_int_equal(captured[strlen(captured) - 1], '\n');
    CAPTURE(log_progress("half"); log_progress("whole"); log_progress(""));
    assert_string_equal(captured, "\r\033[Khalf\r\033[Kwhole\r\033[K");
}

static void test_long_values(void **state)
{
    static char text[20000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    log_open(LOG_INFO, LOG_JSON);
    CAPTURE(LOG(LOG_INFO, "x", LOG_STRING("value", text)));
    if (captured[0] != '\0') { /* whole or not at all, never half a line */
        struct error e = {0};
        AUTO(json_free) struct cJSON *tree = NULL;
        assert_one_line();
        assert_ok(json_parse(span_text(captured), E_BUG, &tree, &e), &e);
    }
    text[7000] = '\0';
    CAPTURE(LOG(LOG_INFO, "x", LOG_STRING("value", text)));
    assert_one_line();
    assert_non_null(strstr(captured, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_lines),    cmocka_unit_test(test_text_lines),
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_final_as_json),
        cmocka_unit_test(test_final_as_text), cmocka_unit_test(test_progress_line),
        cmocka_unit_test(test_long_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Buffers: the maximum holds to the byte, a NUL always stands behind, old memory is wiped. */
#include "wiped.h"

static struct span marks(size_t n)
{
    static uint8_t bytes[5000];
    assert_true(n <= sizeof(bytes));
    memset(bytes, MARK, sizeof(bytes));
    return span_of(bytes, n);
}

static void test_empty(void **state)
{
    (void)state;
    struct buf b = BUF(4);
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(buf_span(&b).size, 0);
    buf_clear(&b);
    buf_free(&b);
    buf_free(&b);
    assert_int_equal(b.max, 4);
}

static void test_maximum(void **state)
{
    static const struct {
        size_t max, first, second;
        enum status status; /* of the second */
    } cases[] = {
        {0, 0, 0, OK},
        {0, 0, 1, E_SPACE},
        {4, 4, 0, OK},
        {4, 4, 1, E_SPACE},
        {4, 3, 1, OK},
        {4, 3, 2, E_SPACE},
        {4, 1, SIZE_MAX, E_SPACE}, /* the sum overflows */
        {256, 255, 1, OK},
        {256, 255, 2, E_SPACE},
        {300, 256, 44, OK},
        {300, 256, 45, E_SPACE},
        {5000, 1, 4999, OK},
        {5000, 1, 5000, E_SPACE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf b = BUF(cases[i].max);
        assert_ok(buf_add(&b, marks(cases[i].first), &e), &e);
        struct span second = {marks(1).data, cases[i].second};
        if (cases[i].status == OK)
            assert_ok(buf_add(&b, second, &e), &e);
        else
            assert_fails(buf_add(&b, second, &e), cases[i].status, "more than", &e);
        size_t size = cases[i].first + (cases[i].status == OK ? cases[i].second : 0);
        assert_int_equal(b.size, size);
        assert_int_equal(b.data[size], 0);
    }
}

static void test_format(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf b = BUF(10);
    assert_ok(buf_addf(&b, &e, "%d-%s", 12, "abc"), &e);
    assert_ok(buf_addf(&b, &e, "%04d", 7), &e);
    assert_string_equal(buf_text(&b), "12-abc0007");
    assert_fails(buf_addf(&b, &e, "%d", 1), E_SPACE, "more than 10 bytes", &e);
    assert_string_equal(buf_text(&b), "12-abc0007");
    assert_ok(buf_addf(&b, &e, "%s", ""), &e);
}

static void test_clear_wipes(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf b = BUF(100);
    assert_ok(buf_add(&b, marks(100), &e), &e);
    const uint8_t *memory = b.data;
    buf_clear(&b);
    assert_ptr_equal(b.data, memory);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    assert_int_equal(b.size, 0);
    assert_ok(buf_add(&b, marks(100), &e), &e);
}

static void test_move_and_free_wipe(void **state)
{
    (void)state;
    struct error e = {0};
    struct buf b = BUF(5000);
    assert_ok(buf_add(&b, marks(200), &e), &e);
    wiped_marks = 0;
    assert_ok(buf_add(&b, marks(4000), &e), &e);
    assert_int_equal(wiped_marks, 200);
    buf_free(&b);
    assert_int_equal(wiped_marks, 200 + 4200);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
}

static void test_memory_wipes(void **state)
{
    (void)state;
    char *text = memory_text("abc");
    assert_string_equal(text, "abc");
    memory_free(text);
    memory_free(NULL);
    uint8_t *data = memory_new(100);
    memset(data, MARK, 100);
    wiped_marks = 0;
    data = memory_resize(data, 4000);
    assert_int_equal(wiped_marks, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(data[i], MARK);
    memory_free(data);
    assert_int_equal(wiped_marks, 200);
    assert_null(memory_array(SIZE_MAX / 2, 3));
    uint8_t *zeros = memory_array(10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    memory_free(zeros);
}

static void test_spans(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal, starts; /* A starts with B */
    } cases[] = {
        {"", "", true, true},       {"abc", "abc", true, true},   {"abc", "abd", false, false},
        {"abc", "ab", false, true}, {"ab", "abc", false, false},  {"abc", "", false, true},
        {"", "a", false, false},    {"xbc", "abc", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span a = span_text(cases[i].a), b = span_text(cases[i].b);
        assert_int_equal(span_equal(a, b), cases[i].equal);
        assert_int_equal(span_is(a, cases[i].b), cases[i].equal);
        assert_int_equal(span_starts(a, cases[i].b), cases[i].starts);
    }
    assert_true(span_equal(span_text(NULL), SPAN_LITERAL("")));
    assert_false(span_equal(SPAN_LITERAL("a\0b"), SPAN_LITERAL("a\0c")));
    assert_true(span_is(span_trim(SPAN_LITERAL(" \t\r\na b\n")), "a b"));
    assert_int_equal(span_trim(SPAN_LITERAL(" \n ")).size, 0);
    assert_true(span_is(span_trim(SPAN_LITERAL("\va")), "\va"));
    char *copy = span_dup(SPAN_LITERAL("abc"));
    assert_string_equal(copy, "abc");
    memory_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_clear_wipes),
        cmocka_unit_test(test_move_and_free_wipe),
        cmocka_unit_test(test_memory_wipes),
        cmocka_unit_test(test_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

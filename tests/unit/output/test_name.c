/* Names that a flat namespace of blobs can hold, and what may become a file. */
#include "testing.h"

#include "output/output.h"

static const char *const good[] = {
    "a",         "a/b/c.bin",     "train/0001.parquet",
    "..a",       "a..",           "...",
    "a/...b",    "a b",           "ü/日本",
    "-rf",       "%2e%2e/x",      "a.decant/x",
    "x/.decant", "x/.decant/y",   ".decant2",
    ".DECANT",   "a:b",           "a*?",
    "nul",       "trailing dot.",
};

static void good_names_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct error e = {0};
        assert_ok(output_name_check(good[i], &e), &e);
    }
}

static void hostile_names_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *because;
    } cases[] = {
        {"", "empty"},
        {"/", "empty segment"},
        {"/etc/passwd", "empty segment"},
        {"a//b", "empty segment"},
        {"a/", "empty segment"},
        {"//", "empty segment"},
        {".", "'.'"},
        {"a/./b", "'.'"},
        {"./a", "'.'"},
        {"..", "'..'"},
        {"../x", "'..'"},
        {"a/../../x", "'..'"},
        {"a/..", "'..'"},
        {".decant", ".decant"},
        {".decant/ready.json", ".decant"},
        {".decant/stage/x", ".decant"},
        {"a\\b", "backslash"},
        {"..\\x", "backslash"},
        {"a\nb", "control"},
        {"a\x1b[2J", "control"},
        {"a\x7f", "control"},
        {"a\xc2\x81", "control"},
        {"a\xff", "UTF-8"},
        {"a\xc0\xaf.", "UTF-8"},
        {"a\xc0\xae\xc0\xae/x", "UTF-8"},
        {"a\xed\xa0\x80", "UTF-8"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        assert_fails(output_name_check(cases[i].name, &e), E_NAME, cases[i].because, &e);
        assert_true(e.remedy[0] != '\0');
    }
    struct error e = {0};
    assert_fails(output_name_check(NULL, &e), E_NAME, "empty", &e);
}

/* SIZE bytes in segments of SEGMENT letters; 'x' last, so that it never ends with a slash. */
static void long_name(char *out, size_t size, size_t segment)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (i + 1) % (segment + 1) == 0 ? '/' : 'x';
    out[size - 1] = 'x';
    out[size] = '\0';
}

static void lengths_have_limits(void **state)
{
    (void)state;
    static const struct {
        size_t size, segment;
        enum status status;
    } cases[] = {
        {255, 1000, OK}, {256, 1000, E_NAME}, {4096, 254, OK},
        {4096, 1, OK},   {4097, 254, E_NAME}, {4097, 1, E_NAME},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char name[4200];
        struct error e = {0};
        long_name(name, cases[i].size, cases[i].segment);
        enum status s = output_name_check(name, &e);
        if (s != cases[i].status)
            fail_msg("%zu bytes in segments of %zu: %d", cases[i].size, cases[i].segment, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names_pass),
        cmocka_unit_test(hostile_names_are_refused),
        cmocka_unit_test(lengths_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Globs: what matches, what does not, and that hostile names cost little. */
#include "testing.h"

#include "storage/storage.h"

static const struct {
    const char *pattern, *text;
    bool matches;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"abc", "ab", false},
    {"abc", "ABC", false},
    {"*", "", true},
    {"*", "abc", true},
    {"*", "a/b", false},
    {"*.bin", "x.bin", true},
    {"*.bin", ".bin", true},
    {"*.bin", "a/x.bin", false},
    {"*.bin", "x.bin.gz", false},
    {"*a*b*", "xxaxxbxx", true},
    {"*a*b*", "xxbxxa", false},
    {"a/*", "a/b", true},
    {"a/*", "a/b/c", false},
    {"a/*/c", "a/b/c", true},
    {"a/*/c", "a//c", true},
    {"a*/b", "a/b", true},
    {"a*/b", "ax/b", true},
    {"a*/b", "ax/y/b", false},
    {"**", "", true},
    {"**", "a/b/c", true},
    {"**.bin", "a/b/x.bin", true},
    {"a**z", "a/b/z", true},
    {"**/x", "x", true},
    {"**/x", "a/x", true},
    {"**/x", "a/b/x", true},
    {"**/x", "ax", false},
    {"**/x", "a/bx", false},
    {"a/**", "a/b/c", true},
    {"a/**", "b/a/c", false},
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "a/xb", false},
    {"**/*.bin", "x.bin", true},
    {"**/*.bin", "a/b/x.bin", true},
    {"**/a/**/b/*.c", "q/a/b/x.c", true},
    {"**/a/**/b/*.c", "q/a/r/s/b/x.c", true},
    {"**/a/**/b/*.c", "q/a/r/s/b/t/x.c", false},
    {"?", "a", true},
    {"?", "", false},
    {"?", "/", false},
    {"?", "\xc3\xa9", true},
    {"??", "\xc3\xa9", false},
    {"?", "\xf0\x9f\x98\x80", true},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[!a-c]", "d", true},
    {"[!a-c]", "b", false},
    {"[^a-c]", "d", true},
    {"[^a-c]", "b", false},
    {"[!a]", "/", false},
    {"[.-0]", "/", false},
    {"[]a]", "]", true},
    {"[!]a]", "]", false},
    {"[a-]", "-", true},
    {"[*]", "*", true},
    {"[*]", "a", false},
    {"[", "[", true},
    {"[ab", "[ab", true},
    {"[\xc3\xa0-\xc3\xa9]", "\xc3\xa5", true},
    {"[\xc3\xa0-\xc3\xa9]", "\xc3\xbf", false},
    {"shard-[0-9][0-9].bin", "shard-07.bin", true},
    {"shard-[0-9][0-9].bin", "shard-7.bin", false},
    {"***", "a/b", true},
    {"\xc0\xaa", "x", false}, /* long forms of '*', '/', '?' and NUL are none of these */
    {"\xe0\x80\xaa", "x", false},
    {"\xf0\x80\x80\xaa", "x", false},
    {"\xc0\xaa", "\xc0\xaa", true},
    {"a\xc0\xaf" "b", "a/b", false},
    {"\xc0\xbf", "x", false},
    {"x\xc0\x80", "x", false},
    {"*", "\xc0\xaf", true},
    {"\\*", "\\x", true},
    {"a", "\xff", false},
    {"*", "\xff\xc3", true},
};

static void table(void **)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        if (storage_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("\"%s\" and \"%s\": expected %d", cases[i].pattern, cases[i].text,
                     cases[i].matches);
}

static void work_is_bounded(void **)
{
    char pattern[STORAGE_PATTERN_MAX + 2] = "", text[4097];
    memset(text, 'a', 4096);
    text[4096] = '\0';
    for (size_t i = 0; i + 4 < 400; i += 4)
        memcpy(pattern + i, i % 8 == 0 ? "**a*" : "*a*a", 5);
    strcat(pattern, "b");
    int64_t start = clock_ms();
    assert_false(storage_match(pattern, text));
    assert_true(clock_ms() - start < 5000); /* backtracking would take for ever */
    text[4095] = 'b';
    assert_true(storage_match(pattern, text));
}

/* The same where every token may match nothing, or looks for its end. */
static void chains_are_bounded(void **)
{
    static const char *const pieces[] = {"**/", "["};
    char pattern[STORAGE_PATTERN_MAX + 2], text[4097];
    memset(text, '/', 4096);
    text[4096] = '\0';
    int64_t start = clock_ms();
    for (size_t k = 0; k < 2 * COUNT(pieces); k++) {
        const char *piece = pieces[k % COUNT(pieces)];
        pattern[0] = '\0';
        for (size_t n = 0; n + strlen(piece) <= STORAGE_PATTERN_MAX; n += strlen(piece))
            strcat(pattern, piece);
        assert_true(storage_match(pattern, text) == (piece[0] == '*'));
    }
    assert_true(clock_ms() - start < 2000);
}

static void long_patterns_match_nothing(void **)
{
    char pattern[STORAGE_PATTERN_MAX + 2];
    memset(pattern, '*', STORAGE_PATTERN_MAX + 1);
    pattern[STORAGE_PATTERN_MAX] = '\0';
    assert_true(storage_match(pattern, "a"));
    pattern[STORAGE_PATTERN_MAX] = '*';
    pattern[STORAGE_PATTERN_MAX + 1] = '\0';
    assert_false(storage_match(pattern, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(chains_are_bounded),
        cmocka_unit_test(long_patterns_match_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

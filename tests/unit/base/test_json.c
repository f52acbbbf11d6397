/* JSON: what RFC 8259 allows is read, what parsers understand differently is refused. */
#include "testing.h"

#include <cjson/cJSON.h>

static void test_accepted(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "null",
        "true",
        "0",
        "-0",
        "\"\"",
        " \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
        "{\"a\":{\"a\":{\"a\":1}}}", /* the same name on different levels */
        "[{\"a\":1},{\"a\":2}]",     /* or in different objects */
        "{\"a\":1,\"A\":2}",         /* names differ by case */
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"\\\\u0000\"", /* a backslash and "u0000" */
        "\"\\u0001\\u001f\"",
        "\"\\ud83d\\ude00\"",
        "\"{[{[{[\"",
        "[0,10,-1,1.5,-0.5,1e5,1E+5,1e-5,0.0e0]",
        "\"-\"",
        "\"caf\xC3\xA9 \x7F\"",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct error e = {0};
        AUTO(json_free) struct cJSON *tree = NULL;
        if (json_parse(span_text(texts[i]), E_BUG, &tree, &e) != OK)
            fail_msg("%s: %s", texts[i], e.text);
        assert_non_null(tree);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "not valid JSON"},
        {"  ", "not valid JSON"},
        {"{", "not valid JSON"},
        {"[1,]", "not valid JSON"},
        {"{\"a\":1,}", "not valid JSON"},
        {"{a:1}", "not valid JSON"},
        {"{'a':1}", "not valid JSON"},
        {"{\"a\" 1}", "not valid JSON"},
        {"nul", "not valid JSON"},
        {"NaN", "not valid JSON"},
        {"Infinity", "not valid JSON"},
        {"\"a", "not valid JSON"},
        {"\"\\x\"", "not valid JSON"},
        {"\"\\ud83d\"", "not valid JSON"}, /* half a pair */
        {"\"\\ude00\"", "not valid JSON"},
        {"\"\\u12\"", "not valid JSON"},
        {"// comment\n{}", "not valid JSON"},
        /* a tail */
        {"{}x", "not valid JSON"},
        {"{} {}", "not valid JSON"},
        {"{},", "not valid JSON"},
        {"nullx", "not valid JSON"},
        {"1 2", "not valid JSON"},
        {"1-2", "not valid JSON"},
        /* numbers that strtod would read */
        {"01", "not a JSON number"},
        {"-01", "not a JSON number"},
        {"[1.]", "not a JSON number"},
        {"-.5", "not a JSON number"},
        {"1e", "not a JSON number"},
        {"1e+", "not a JSON number"},
        {"-", "not a JSON number"},
        {"-Infinity", "not a JSON number"},
        {"0x10", "not valid JSON"},
        {"+1", "not valid JSON"},
        {".5", "not valid JSON"},
        /* names */
        {"{\"a\":1,\"a\":1}", "a: this JSON member stands twice"},
        {"{\"a\":1,\"b\":2,\"\\u0061\":1}", "a: this JSON member stands twice"},
        {"{\"x\":[1,{\"y\":{\"z\":1,\"z\":2}}]}", "x[1].y.z: this JSON member stands twice"},
        {"[[{\"\":1,\"\":1}]]", "[0][0].: this JSON member stands twice"},
        {"{\"\x7F\":1,\"\x7F\":1}", "?: this JSON member stands twice"},
        /* characters */
        {"\"\\u0000\"", "NUL"},
        {"{\"a\\u0000b\":1}", "NUL"},
        {"\"\\\\\\u0000\"", "NUL"},
        {"\"a\nb\"", "line 1, column 3: a control character in a JSON string"},
        {"\"a\tb\"", "control character in a JSON string"},
        {"{\n \"a\":\"\x01\"}", "line 2, column 7: a control character in a JSON string"},
        {"[1,\x01 2]", "control character in JSON"},
        {"\x1B[]", "control character in JSON"},
        {"[1,\x0B 2]", "control character in JSON"},
        {"\"\xFF\"", "UTF-8"},
        {"\"\xC0\xAF\"", "UTF-8"},
        {"\"\xED\xA0\x80\"", "UTF-8"},
        {"{\n\n  \"a\": x}", "line 3, column 8"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct cJSON *tree = NULL;
        assert_fails(json_parse(span_text(cases[i].text), E_NOT_AUTHENTIC, &tree, &e),
                     E_NOT_AUTHENTIC, cases[i].part, &e);
        assert_null(tree);
    }
    struct error e = {0};
    struct cJSON *tree = NULL;
    assert_fails(json_parse(SPAN_LITERAL("{}\0"), E_USAGE, &tree, &e), E_USAGE, "UTF-8", &e);
    assert_fails(json_parse((struct span){0}, E_USAGE, &tree, &e), E_USAGE, "not valid", &e);
}

/* N levels of [ or {"a": around a number. */
static void nest(struct buf *out, const char *open, const char *shut, size_t n)
{
    struct error e = {0};
    for (size_t i = 0; i < n; i++)
        assert_ok(buf_add(out, span_text(open), &e), &e);
    assert_ok(buf_add(out, SPAN_LITERAL("1"), &e), &e);
    for (size_t i = 0; i < n; i++)
        assert_ok(buf_add(out, span_text(shut), &e), &e);
}

static void test_depth(void **state)
{
    static const struct {
        const char *open, *shut;
    } kinds[] = {{"[", "]"}, {"{\"a\":", "}"}, {"[{\"]\":", "}]"}};
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct error e = {0};
        size_t n = k == 2 ? 16 : 32;
        AUTO(json_free) struct cJSON *tree = NULL, *none = NULL;
        AUTO(buf_free) struct buf good = BUF(1 << 20), bad = BUF(1 << 20), worse = BUF(1 << 20);
        nest(&good, kinds[k].open, kinds[k].shut, n);
        nest(&bad, kinds[k].open, kinds[k].shut, n + 1);
        nest(&worse, kinds[k].open, kinds[k].shut, 50000);
        assert_ok(json_parse(buf_span(&good), E_USAGE, &tree, &e), &e);
        assert_fails(json_parse(buf_span(&bad), E_USAGE, &none, &e), E_USAGE, "32 levels", &e);
        assert_fails(json_parse(buf_span(&worse), E_USAGE, &none, &e), E_USAGE, "32 levels", &e);
    }
    struct error e = {0};
    AUTO(json_free) struct cJSON *tree = NULL;
    AUTO(buf_free) struct buf wide = BUF(1 << 20);
    assert_ok(buf_add(&wide, SPAN_LITERAL("[0"), &e), &e);
    for (size_t i = 0; i < 1000; i++)
        assert_ok(buf_add(&wide, SPAN_LITERAL(",[{}]"), &e), &e);
    assert_ok(buf_add(&wide, SPAN_LITERAL("]"), &e), &e);
    assert_ok(json_parse(buf_span(&wide), E_USAGE, &tree, &e), &e);
}

static void test_member_count(void **state)
{
    (void)state;
    for (size_t n = 20000; n <= 20001; n++) {
        struct error e = {0};
        AUTO(json_free) struct cJSON *tree = NULL;
        AUTO(buf_free) struct buf text = BUF(1 << 20);
        for (size_t i = 0; i < n; i++)
            assert_ok(buf_addf(&text, &e, "%c\"m%zu\":0", i == 0 ? '{' : ',', i), &e);
        assert_ok(buf_add(&text, SPAN_LITERAL("}"), &e), &e);
        if (n == 20000)
            assert_ok(json_parse(buf_span(&text), E_USAGE, &tree, &e), &e);
        else
            assert_fails(json_parse(buf_span(&text), E_USAGE, &tree, &e), E_USAGE, "20000", &e);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1", true, 1},
        {"1e3", true, 1000},
        {"4294967296", true, 4294967296},
        {"9007199254740991", true, 9007199254740991},
        {"9007199254740992", true, 9007199254740992},
        {"9007199254740994", false, 0},
        {"18446744073709551616", false, 0},
        {"1e300", false, 0},
        {"1e999", false, 0},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
        {"[1]", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(json_free) struct cJSON *tree = NULL;
        AUTO(buf_free) struct buf text = BUF(100);
        uint64_t value = 77;
        assert_ok(buf_addf(&text, &e, "{\"n\":%s}", cases[i].text), &e);
        assert_ok(json_parse(buf_span(&text), E_BUG, &tree, &e), &e);
        if (json_number(tree, "n", &value) != cases[i].good)
            fail_msg("%s", cases[i].text);
        assert_true(value == (cases[i].good ? cases[i].value : 77));
    }
}

static void test_members(void **state)
{
    static const char text[] = "{\"o\":{\"in\":1},\"a\":[{}],\"t\":\"x\",\"n\":5,\"z\":null}";
    (void)state;
    struct error e = {0};
    uint64_t n = 0;
    AUTO(json_free) struct cJSON *tree = NULL;
    assert_ok(json_parse(span_text(text), E_BUG, &tree, &e), &e);
    assert_true(json_number(json_object(tree, "o"), "in", &n) && n == 1);
    assert_non_null(json_array(tree, "a"));
    assert_string_equal(json_text(tree, "t"), "x");
    assert_non_null(json_member(tree, "z"));
    assert_null(json_member(tree, "T"));
    assert_null(json_object(tree, "a"));
    assert_null(json_array(tree, "o"));
    assert_null(json_text(tree, "n"));
    assert_null(json_text(tree, "z"));
    assert_null(json_member(NULL, "t"));
    assert_null(json_text(json_object(tree, "none"), "t"));
    assert_null(json_member(json_array(tree, "a"), "t"));
    assert_false(json_number(NULL, "n", &n));
    json_free(&tree);
    json_free(&tree);
    assert_null(tree);
}

static void test_quote(void **state)
{
    static const struct {
        const char *raw, *quoted;
    } cases[] = {
        {"", "\"\""},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\x01\x1B\n\x7F", "\"\\u0001\\u001b\\u000a\\u007f\""},
        {"caf\xC3\xA9 \xF0\x9F\x98\x80", "\"caf\xC3\xA9 \xF0\x9F\x98\x80\""},
        {"\xC2\x9B"
         "31m\xC2\xA0",
         "\"\\u009b31m\xC2\xA0\""}, /* C1 controls */
        {"\xFF", "\"\xEF\xBF\xBD\""},
        {"a\x80"
         "b",
         "\"a\xEF\xBF\xBD"
         "b\""}, /* the good neighbours stay */
        {"\"\x80", "\"\\\"\xEF\xBF\xBD\""},
        {"\n\x80", "\"\\u000a\xEF\xBF\xBD\""},
        {"\xC3\xA9\x80z", "\"\xC3\xA9\xEF\xBF\xBDz\""},
        {"\xE2\x82", "\"\xEF\xBF\xBD\""},
        {"\xE2\x82z", "\"\xEF\xBF\xBDz\""},
        {"\xED\xA0\x80z", "\"\xEF\xBF\xBDz\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(100);
        AUTO(json_free) struct cJSON *tree = NULL;
        assert_ok(json_quote(span_text(cases[i].raw), &out, &e), &e);
        assert_string_equal(buf_text(&out), cases[i].quoted);
        assert_ok(json_parse(buf_span(&out), E_BUG, &tree, &e), &e);
        if (utf8_is_valid(span_text(cases[i].raw)))
            assert_string_equal(cJSON_GetStringValue(tree), cases[i].raw);
    }
}

/* Laid out, and still the same: numbers keep their letters, what commands a terminal is escaped. */
static void test_indent(void **state)
{
    static const struct {
        const char *text, *laid;
    } cases[] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"1.50", "1.50"},
        {"{\"a\":1,\"b\":[true,{}]}", "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {}\n  ]\n}"},
        {"{\"a{,\\\"}\":\"\\\\\"}", "{\n  \"a{,\\\"}\": \"\\\\\"\n}"},
        {"\"\x1b[2J\xC2\x9B\xC3\xA9\x7F\"", "\"\\u001b[2J\\u009b\xC3\xA9\\u007f\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(buf_free) struct buf out = BUF(1024);
        struct error e = {0};
        assert_int_equal(json_indent(span_text(cases[i].text), &out, &e), OK);
        assert_string_equal(buf_text(&out), cases[i].laid);
    }
}

/* ---- A long list, one element at a time ---- */

/* Goes through the list "list" of TEXT; OUT becomes the members "n" of its elements. */
static enum status walk(const char *text, struct buf *out, struct error *e)
{
    AUTO(json_free) struct cJSON *rest = NULL;
    AUTO(json_free) struct cJSON *element = NULL;
    struct json_list list;
    size_t n = 0;
    TRY(json_list_open(span_text(text), "list", E_MISMATCH, &list, &rest, e));
    assert_non_null(json_array(rest, "list"));
    assert_int_equal(cJSON_GetArraySize(json_array(rest, "list")), 0);
    size_t count = json_list_count(&list);
    for (;; n++) {
        TRY(json_list_next(&list, &element, e));
        if (element == NULL)
            break;
        const char *text_of = json_text(element, "n");
        TRY(buf_addf(out, e, "%s,", text_of != NULL ? text_of : "-"));
    }
    assert_int_equal(n, count);
    return OK;
}

static void test_list(void **state)
{
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"{\"list\":[]}", ""},
        {" { \"list\" : [ ] } ", ""},
        {"{\"list\":[{}]}", "-,"},
        {"{\"a\":\"list\",\"list\"\n:\t[{\"n\":\"1\"} , {\"n\":\"2\"}\r\n],\"b\":{}}", "1,2,"},
        {"{\"a\":{\"list\":[{\"n\":\"no\"}]},\"list\":[{\"n\":\"yes\"}]}", "yes,"},
        {"{\"a\":[[\"list\",[{\"n\":\"no\"}]]],\"list\":[{\"n\":\"yes\"}]}", "yes,"},
        {"{\"list\":[{\"n\":\"]},{[\\\"\",\"m\":[{\"n\":\"x\"},[]]},{\"n\":\"\\\\\"}]}",
         "]},{[\",\\,"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(100);
        assert_ok(walk(cases[i].text, &out, &e), &e);
        assert_string_equal(buf_text(&out), cases[i].found);
    }
}

/* What json_parse would refuse as a whole is refused in pieces. */
static void test_list_refused(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no JSON object with a list \"list\""},
        {"[]", "no JSON object"},
        {"{\"list\":{}}", "no JSON object"},
        {"{\"list\"", "no JSON object"},
        {"{\"list", "no JSON object"},
        {"{\"", "no JSON object"},
        {"{\"a\":{\"list\":[]}}", "no JSON object"},
        {"{}\"list\":[]}", "no JSON object"},
        {"{\"list\":[", "the list \"list\" does not end"},
        {"{\"list\":[[]", "around the list"},
        {"{\"list\":[]", "around the list"},
        {"{\"list\":[}", "does not end"},
        {"{\"list\":[{\"n\":\"1\"}}", "does not end"},
        {"{\"list\":[]}x", "around the list"},
        {"{x,\"list\":[]}", "around the list"},
        {"{\"list\":[],\"list\":[{}]}", "list: this JSON member stands twice"},
        {"{\"list\":[],\"l\\u0069st\":[{}]}", "list: this JSON member stands twice"},
        {"{\"list\":[1]}", "list[0]: not a JSON object"},
        {"{\"list\":[,{}]}", "list[0]: not a JSON object"},
        {"{\"list\":[{},]}", "list[1]: not a JSON object"},
        {"{\"list\":[{},[]]}", "list[1]: not a JSON object"},
        {"{\"list\":[{}{}]}", "list[1]: not valid JSON"},
        {"{\"list\":[{}x]}", "list[1]: not valid JSON"},
        {"{\"list\":[{\"n\":1]]}", "list[0]: line 1, column 7: not valid JSON"},
        {"{\"list\":[{},{\"n\":01}]}", "list[1]: line 1, column 6: not a JSON number"},
        {"{\"list\":[{\"n\":1,\"n\":1}]}", "list[0]: n: this JSON member stands twice"},
        {"{\"list\":[{\"n\":\"\\u0000\"}]}", "list[0]: line 1, column 7: a NUL"},
        {"{\"list\":[{\"n\":\"\xFF\"}]}", "list[0]: not valid UTF-8"},
        {"{\"list\":[{}\xC2\xA0]}", "list[1]: not valid JSON"},
        {"{\"\xFF\":1,\"list\":[{}]}", "around the list \"list\": not valid UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(100);
        assert_fails(walk(cases[i].text, &out, &e), E_MISMATCH, cases[i].part, &e);
    }
}

/* Cut off anywhere, it is refused; nothing behind the text is looked at (AddressSanitizer). */
static void test_list_cut(void **state)
{
    static const char text[] = "{\"a\":[1],\"list\":[{\"n\":\"\\\\\"},{\"m\":[{}]}],\"b\":\"c\"}";
    (void)state;
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        struct error e = {0};
        char *exact = memory_new(size);
        memcpy(exact, text, size);
        AUTO(json_free) struct cJSON *rest = NULL;
        struct json_list list;
        assert_int_equal(json_list_open(span_of(exact, size), "list", E_MISMATCH, &list, &rest, &e),
                         E_MISMATCH);
        memory_free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),    cmocka_unit_test(test_member_count),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_members),
        cmocka_unit_test(test_quote),    cmocka_unit_test(test_indent),
        cmocka_unit_test(test_list),     cmocka_unit_test(test_list_refused),
        cmocka_unit_test(test_list_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

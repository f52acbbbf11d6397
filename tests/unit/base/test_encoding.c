/* Base64 and hex by the vectors of RFC 4648, 10; what strict decoding refuses; percent-encoding;
 * UTF-8 by the tables of RFC 3629. */
#include "testing.h"

static const struct {
    const char *bytes, *base64, *base64url, *hex;
} vectors[] = {
    {"", "", "", ""},
    {"f", "Zg==", "Zg", "66"},
    {"fo", "Zm8=", "Zm8", "666f"},
    {"foo", "Zm9v", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "Zm9vYg", "666f6f62"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
    {"\xFB\xEF\xBE\xFF", "++++/w==", "----_w", "fbefbeff"},
};

static void assert_decodes(const char *text, enum base64_kind kind, const char *bytes)
{
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(64);
    assert_ok(base64_decode(span_text(text), kind, &out, E_BAD_KEY, &e), &e);
    assert_true(span_is(buf_span(&out), bytes));
}

static void test_base64_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf padded = BUF(64), url = BUF(64), url_padded = BUF(64);
        struct span bytes = span_text(vectors[i].bytes);
        assert_ok(base64_encode(bytes, BASE64, &padded, &e), &e);
        assert_ok(base64_encode(bytes, BASE64URL, &url, &e), &e);
        assert_ok(base64_encode(bytes, BASE64URL_PADDED, &url_padded, &e), &e);
        assert_string_equal(buf_text(&padded), vectors[i].base64);
        assert_string_equal(buf_text(&url), vectors[i].base64url);
        assert_int_equal(url_padded.size, padded.size);
        assert_memory_equal(buf_text(&url_padded), vectors[i].base64url,
                            strlen(vectors[i].base64url));
        assert_decodes(vectors[i].base64, BASE64, vectors[i].bytes);
        assert_decodes(vectors[i].base64url, BASE64URL, vectors[i].bytes);
        assert_decodes(vectors[i].base64url, BASE64URL_PADDED, vectors[i].bytes);
        assert_decodes(buf_text(&url_padded), BASE64URL, vectors[i].bytes);
        assert_decodes(buf_text(&url_padded), BASE64URL_PADDED, vectors[i].bytes);
    }
}

static void test_base64_refused(void **state)
{
    static const struct {
        const char *text, *part;
        enum base64_kind kind;
    } cases[] = {
        {"Zg", "length", BASE64},
        {"Zg=", "length", BASE64},
        {"Zm8", "length", BASE64},
        {"Z", "length", BASE64},
        {"Z", "length", BASE64URL},
        {"Zm9vY", "length", BASE64URL},
        {"Zg=", "length", BASE64URL},
        {"Zm8==", "length", BASE64URL},
        {"=", "length", BASE64},
        {"==", "length", BASE64URL},
        {"====", "not base64", BASE64},
        {"Z===", "not base64", BASE64},
        {"Zm9v====", "not base64", BASE64},
        {"Zm9v==", "length", BASE64},
        {"Zh==", "stray bits", BASE64},
        {"Zh", "stray bits", BASE64URL},
        {"Zm9=", "stray bits", BASE64},
        {"Zm9", "stray bits", BASE64URL},
        {"Zn==", "stray bits", BASE64},
        {"Zm+=", "stray bits", BASE64},
        {"Z=g=", "not base64", BASE64},
        {"Zg==Zg==", "not base64", BASE64},
        {"Zm9v\n", "length", BASE64},
        {"Zm9vZm9\n", "not base64", BASE64},
        {" Zm9vYg=", "not base64", BASE64},
        {"Zm 9", "not base64", BASE64},
        {"----", "not base64", BASE64},
        {"____", "not base64", BASE64},
        {"++++", "not base64url", BASE64URL},
        {"////", "not base64url", BASE64URL_PADDED},
        {"Zm9\xC3", "not base64", BASE64},
        {"Zm9.", "not base64", BASE64URL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(64);
        assert_fails(base64_decode(span_text(cases[i].text), cases[i].kind, &out, E_BAD_KEY, &e),
                     E_BAD_KEY, cases[i].part, &e);
    }
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(64), small = BUF(2);
    assert_fails(base64_decode(SPAN_LITERAL("Zm9\0"), BASE64, &out, E_BUG, &e), E_BUG, "", &e);
    assert_fails(base64_decode(SPAN_LITERAL("Zm9v"), BASE64, &small, E_BUG, &e), E_SPACE, "", &e);
    assert_fails(base64_encode(SPAN_LITERAL("f"), BASE64, &small, &e), E_SPACE, "", &e);
    assert_ok(base64_encode(SPAN_LITERAL("f"), BASE64URL, &small, &e), &e);
}

static void test_hex(void **state)
{
    static const char *const bad[] = {"6", "666", "6g", "0x66", " 6", "6 ", "66\n", "-1", "6:"};
    (void)state;
    struct error e = {0};
    for (size_t i = 0; i < COUNT(vectors); i++) {
        AUTO(buf_free) struct buf text = BUF(64), bytes = BUF(64);
        assert_ok(hex_encode(span_text(vectors[i].bytes), &text, &e), &e);
        assert_string_equal(buf_text(&text), vectors[i].hex);
        assert_ok(hex_decode(buf_span(&text), &bytes, E_USAGE, &e), &e);
        assert_true(span_is(buf_span(&bytes), vectors[i].bytes));
    }
    AUTO(buf_free) struct buf upper = BUF(64);
    assert_ok(hex_decode(SPAN_LITERAL("FBefBEff"), &upper, E_USAGE, &e), &e);
    assert_true(span_is(buf_span(&upper), "\xFB\xEF\xBE\xFF"));
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_free) struct buf out = BUF(64);
        assert_fails(hex_decode(span_text(bad[i]), &out, E_MISMATCH, &e), E_MISMATCH, "hex", &e);
    }
}

static void test_percent(void **state)
{
    static const struct {
        const char *bytes, *keep, *text;
    } cases[] = {
        {"", "", ""},
        {"AZaz09-._~", "", "AZaz09-._~"},
        {"a/b c", "", "a%2Fb%20c"},
        {"a/b c", "/", "a/b%20c"},
        {"100%", "", "100%25"},
        {"%41", "", "%2541"},
        {"?#[]@!$&'()*+,;=:", "", "%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A"},
        {"\xC3\xA9\xFF\x01\n", "/", "%C3%A9%FF%01%0A"},
    };
    static const char *const bad[] = {"%", "%4", "a%", "%4g", "%g4", "%%41", "% 4", "%-1"};
    (void)state;
    struct error e = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(buf_free) struct buf text = BUF(128), bytes = BUF(128);
        assert_ok(percent_encode(span_text(cases[i].bytes), cases[i].keep, &text, &e), &e);
        assert_string_equal(buf_text(&text), cases[i].text);
        assert_ok(percent_decode(buf_span(&text), &bytes, E_USAGE, &e), &e);
        assert_true(span_is(buf_span(&bytes), cases[i].bytes));
    }
    AUTO(buf_free) struct buf nul = BUF(8), decoded = BUF(8);
    assert_ok(percent_encode(SPAN_LITERAL("a\0"), "/", &nul, &e), &e);
    assert_string_equal(buf_text(&nul), "a%00");
    assert_ok(percent_decode(SPAN_LITERAL("%2f+%00"), &decoded, E_USAGE, &e), &e);
    assert_true(span_equal(buf_span(&decoded), SPAN_LITERAL("/+\0")));
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_free) struct buf out = BUF(64);
        assert_fails(percent_decode(span_text(bad[i]), &out, E_NAME, &e), E_NAME, "%", &e);
    }
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"ascii \x01\x7F", true},
        {"\xC2\x80", true},
        {"\xDF\xBF", true},
        {"\xE0\xA0\x80", true},
        {"\xED\x9F\xBF", true},
        {"\xEE\x80\x80", true},
        {"\xEF\xBF\xBF", true},
        {"\xF0\x90\x80\x80", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xC0\x80", false}, /* overlong: NUL */
        {"\xC1\xBF", false},
        {"\xE0\x9F\xBF", false},
        {"\xE0\x80\xAF", false}, /* overlong: '/' */
        {"\xF0\x8F\xBF\xBF", false},
        {"\xED\xA0\x80", false}, /* surrogates */
        {"\xED\xBF\xBF", false},
        {"\xF4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", false},
        {"\xF8\x88\x80\x80\x80", false},
        {"\xFF", false},
        {"\x80", false},
        {"a\xBF", false},
        {"\xC3", false}, /* cut */
        {"\xE2\x82", false},
        {"\xF0\x9F\x98", false},
        {"\xC3\xC3\xA9", false},
        {"\xE2\x28\xA1", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (utf8_is_valid(span_text(cases[i].text)) != cases[i].valid)
            fail_msg("case %zu", i);
    assert_false(utf8_is_valid(SPAN_LITERAL("a\0b")));
}

/* FIPS 180-4's example, and that random bytes are not constant. */
static void test_digest_and_random(void **state)
{
    (void)state;
    struct error e = {0};
    uint8_t digest[SHA256_SIZE], a[32] = {0}, b[32] = {0};
    AUTO(buf_free) struct buf hex = BUF(64);
    assert_ok(sha256(SPAN_LITERAL("abc"), digest, &e), &e);
    assert_ok(hex_encode(span_of(digest, sizeof(digest)), &hex, &e), &e);
    assert_string_equal(buf_text(&hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_ok(random_bytes(a, sizeof(a), &e), &e);
    assert_ok(random_bytes(b, sizeof(b), &e), &e);
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_refused),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_digest_and_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

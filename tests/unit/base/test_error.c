/* Errors: what a terminal may be shown, what is kept when a text is too long, the last sentence. */
#include "testing.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/evp.h>

static void test_printable(void **state)
{
    static const struct {
        const char *raw, *shown;
    } cases[] = {
        {"plain text, 100 %", "plain text, 100 %"},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\x1B[31mred\x1B]0;title\x07", "?[31mred?]0;title?"},
        {"a\tb\nc\rd\x7F", "a?b?c?d?"},
        {"\xC2\x9B"
         "31m",
         "??31m"}, /* C1: CSI in one character */
        {"\xC2\x80\xC2\x9F\xC2\xA0", "????\xC2\xA0"},
        {"\x9B"
         "31m",
         "?31m"},
        {"cut \xE2\x82", "cut ??"},
        {"cut \xF0\x9F\x98", "cut ???"},
        {"\xE2\x82z", "??z"},
        {"\xC0\x9B", "??"}, /* overlong escape */
        {"\xE0\x80\x9B", "???"},
        {"\xED\xA0\x80", "???"},      /* surrogate */
        {"\xF4\x90\x80\x80", "????"}, /* above U+10FFFF */
        {"\xFF\xFE", "??"},
        {"\x80\x80", "??"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        assert_fails(fail(&e, E_NETWORK, "%s", cases[i].raw), E_NETWORK, "", &e);
        assert_string_equal(e.text, cases[i].shown);
        e.text[0] = '\0';
        assert_int_equal(wrap(&e, "%s", cases[i].raw), E_NETWORK);
        assert_memory_equal(e.text, cases[i].shown, strlen(cases[i].shown));
        assert_string_equal(e.text + strlen(cases[i].shown), ": ");
        advise(&e, "%s", cases[i].raw);
        assert_string_equal(e.remedy, cases[i].shown);
    }
}

static void test_fail_forgets(void **state)
{
    (void)state;
    struct error e = {.transient = true,
                      .retry_after_ms = 9,
                      .service_code = "Busy",
                      .request_id = "r",
                      .remedy = "Wait"};
    assert_int_equal(fail(&e, E_NAME, "no"), E_NAME);
    assert_int_equal(e.status, E_NAME);
    assert_false(e.transient);
    assert_int_equal(e.retry_after_ms, 0);
    assert_string_equal(e.service_code, "");
    assert_string_equal(e.request_id, "");
    assert_string_equal(e.remedy, "");
}

static void test_reasons(void **state)
{
    (void)state;
    struct error e = {0};
    errno = ENOSPC;
    assert_int_equal(fail_errno(&e, E_SPACE, "writing %s", "x"), E_SPACE);
    assert_string_equal(e.text, "writing x: No space left on device");
    ERR_clear_error();
    uint8_t out[16];
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptUpdate(context, out, &n, out, 1), 0); /* no cipher set */
    EVP_CIPHER_CTX_free(context);
    assert_int_equal(fail_openssl(&e, E_BAD_KEY, "key %d", 1), E_BAD_KEY);
    assert_memory_equal(e.text, "key 1: ", 7);
    assert_true(strlen(e.text) > 7);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(fail_openssl(&e, E_BAD_KEY, "key"), E_BAD_KEY);
    assert_string_equal(e.text, "key");
}

static void test_wrap_keeps(void **state)
{
    (void)state;
    struct error e = {0};
    (void)!fail(&e, E_DENIED, "HTTP %d", 403);
    e.transient = true;
    (void)snprintf(e.service_code, sizeof(e.service_code), "AuthorizationFailure");
    advise(&e, "grant it");
    advise(&e, "something outer");
    assert_int_equal(wrap(&e, "blob %s", "b"), E_DENIED);
    assert_int_equal(wrap(&e, "inputs[%d]", 0), E_DENIED);
    assert_string_equal(e.text, "inputs[0]: blob b: HTTP 403");
    assert_string_equal(e.service_code, "AuthorizationFailure");
    assert_string_equal(e.remedy, "grant it");
    assert_true(e.transient);
}

/* Texts at and around the limit: cut, ended, and what came last is what is missing. */
static void test_truncation(void **state)
{
    (void)state;
    struct error e = {0};
    char text[1000];
    const size_t room = sizeof(e.text) - 1;
    for (size_t n = room - 5; n <= room + 5; n++) {
        memset(text, 'x', n);
        text[n] = '\0';
        (void)!fail(&e, E_BUG, "%s", text);
        assert_int_equal(strlen(e.text), n < room ? n : room);
        (void)!wrap(&e, "outer");
        assert_int_equal(strlen(e.text), room);
        assert_memory_equal(e.text, "outer: xxx", 10);
        (void)!fail(&e, E_BUG, "inner");
        (void)!wrap(&e, "%s", text);
        assert_true(strlen(e.text) <= room);
        assert_memory_equal(e.text, text, n < room ? n : room);
        advise(&e, "%s", text);
        assert_int_equal(strlen(e.remedy), sizeof(e.remedy) - 1);
        e.remedy[0] = '\0';
    }
    memset(text, 'x', room - 1);
    (void)snprintf(text + room - 1, 10, "\xE2\x82\xAC"); /* its first byte is the last that fits */
    (void)!fail(&e, E_BUG, "%s", text);
    assert_int_equal(strlen(e.text), room);
    assert_int_equal(e.text[room - 1], '?');
}

static void test_sentence(void **state)
{
    static const struct {
        const char *command, *text, *code, *request, *remedy, *sentence;
    } cases[] = {
        {"run", "it failed", "", "", "", "decant run: it failed."},
        {"run", "it failed", "Busy", "", "", "decant run: it failed (code Busy)."},
        {"run", "it failed", "", "r1", "", "decant run: it failed (request r1)."},
        {"run", "it failed", "Busy", "r1", "", "decant run: it failed (code Busy, request r1)."},
        {"run", "it failed", "", "", "wait", "decant run: it failed. Wait."},
        {"run", "it failed", "", "", "Wait.", "decant run: it failed. Wait."},
        {"run", "it failed", "B", "r", "x", "decant run: it failed (code B, request r). X."},
        {"run", "100 %s", "%n", "%s", "%d", "decant run: 100 %s (code %n, request %s). %d."},
        {"\x1B[2J", "unknown", "\x07", "\xC2\x9B", "",
         "decant ?[2J: unknown (code ?, request \?\?)."},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0}, shown = {.status = E_BUG};
        (void)snprintf(shown.text, sizeof(shown.text), "%s", cases[i].text);
        (void)snprintf(shown.service_code, sizeof(shown.service_code), "%s", cases[i].code);
        (void)snprintf(shown.request_id, sizeof(shown.request_id), "%s", cases[i].request);
        (void)snprintf(shown.remedy, sizeof(shown.remedy), "%s", cases[i].remedy);
        AUTO(buf_free) struct buf out = BUF(2048);
        assert_ok(error_sentence(cases[i].command, &shown, &out, &e), &e);
        assert_string_equal(buf_text(&out), cases[i].sentence);
        AUTO(buf_free) struct buf small = BUF(strlen(cases[i].sentence) - 1);
        assert_fails(error_sentence(cases[i].command, &shown, &small, &e), E_SPACE, "", &e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_printable),  cmocka_unit_test(test_fail_forgets),
        cmocka_unit_test(test_reasons),    cmocka_unit_test(test_wrap_keeps),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

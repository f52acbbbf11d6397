/* Services' error forms, good and hostile, in one table. */
#include "testing.h"

#include "http/http.h"

#define TOKEN "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAxMjM0NTY3ODkwIn0"

static const struct refusal_case {
    const char *name;
    long status;
    const char *headers, *body;
    enum status want;
    bool transient;
    const char *text, *code, *id;
    int64_t wait_ms;
} cases[] = {
    {"no body", 403, "", "", E_DENIED, false, "thing: HTTP 403", "", "", 0},
    {"headers only", 404, "x-ms-error-code: BlobNotFound\r\nx-ms-request-id: 1-2-3\r\n", "",
     E_DENIED, false, "thing: HTTP 404", "BlobNotFound", "1-2-3", 0},
    {"JSON", 403, "x-ms-request-id: abc\r\n",
     "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Target environment attestation does not meet "
     "key release policy requirements.\"}}",
     E_DENIED, false,
     "thing: HTTP 403: Target environment attestation does not meet key release policy requirements",
     "Forbidden", "abc", 0},
    {"JSON, inner code", 403, "",
     "{\"error\":{\"code\":\"Forbidden\",\"message\":\"No\",\"innererror\":{\"code\":"
     "\"ForbiddenByFirewall\"}}}",
     E_DENIED, false, "thing: HTTP 403: No", "Forbidden/ForbiddenByFirewall", "", 0},
    {"JSON, null inner", 404, "",
     "{\"error\":{\"code\":\"KeyNotFound\",\"message\":\"A\",\"innererror\":null}}", E_DENIED,
     false, "thing: HTTP 404: A", "KeyNotFound", "", 0},
    {"OAuth", 400, "",
     "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret "
     "provided.\\r\\nTrace ID: 1\"}",
     E_DENIED, false, "thing: HTTP 400: AADSTS7000215: Invalid client secret provided",
     "invalid_client", "", 0},
    {"XML", 403, "x-ms-request-id: r\r\n",
     "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code>"
     "<Message>Server failed &amp; so.\nRequestId:r\nTime:2026</Message><AuthenticationErrorDetail>"
     "Signature did not match SECRET</AuthenticationErrorDetail></Error>",
     E_DENIED, false, "thing: HTTP 403: Server failed & so", "AuthenticationFailed", "r", 0},
    {"header code wins", 409, "x-ms-error-code: BlobArchived\r\n",
     "<Error><Code>Other</Code><Message>m</Message></Error>", E_DENIED, false, "thing: HTTP 409: m",
     "BlobArchived", "", 0},
    {"throttled", 429, "Retry-After: 7\r\n", "", E_NETWORK, true, "thing: HTTP 429", "", "", 7000},
    {"time-out", 408, "", "", E_NETWORK, true, "thing: HTTP 408", "", "", 0},
    {"server", 500, "", "", E_NETWORK, true, "thing: HTTP 500", "", "", 0},
    {"busy", 503, "x-ms-error-code: ServerBusy\r\nx-ms-retry-after-ms: 250\r\nRetry-After: 9\r\n",
     "", E_NETWORK, true, "thing: HTTP 503", "ServerBusy", "", 250},
    {"599", 599, "", "", E_NETWORK, true, "thing: HTTP 599", "", "", 0},
    {"600", 600, "", "", E_DENIED, false, "thing: HTTP 600", "", "", 0},
    {"redirect", 307, "Location: https://evil.example/?SECRET\r\n", "", E_DENIED, false,
     "thing: HTTP 307: redirect refused", "", "", 0},
    {"not modified", 304, "", "", E_DENIED, false, "thing: HTTP 304", "", "", 0},
    /* hostile */
    {"token sent back", 401, "",
     "{\"error\":{\"code\":\"c\",\"message\":\"bad Bearer " TOKEN "." TOKEN " here\"}}", E_DENIED,
     false, "thing: HTTP 401: bad Bearer [...].[...] here", "c", "", 0},
    {"entities", 400, "",
     "<!DOCTYPE Error [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;&a;\">]><Error><Code>&b;</Code></Error>",
     E_DENIED, false, "thing: HTTP 400", "", "", 0},
    {"other root", 400, "", "<Html><Code>c</Code><Message>m</Message></Html>", E_DENIED, false,
     "thing: HTTP 400", "", "", 0},
    {"too deep", 400, "", "<Error><Inner><Code>c</Code></Inner></Error>", E_DENIED, false,
     "thing: HTTP 400", "", "", 0},
    {"XML cut", 400, "", "<Error><Code>Early</Code><Message>be", E_DENIED, false,
     "thing: HTTP 400: be", "Early", "", 0},
    {"JSON cut", 400, "", "{\"error\":{\"code\":\"c\"", E_DENIED, false, "thing: HTTP 400", "", "",
     0},
    {"member twice", 400, "", "{\"error\":{\"code\":\"a\",\"code\":\"b\"}}", E_DENIED, false,
     "thing: HTTP 400", "", "", 0},
    {"wrong types", 400, "", "{\"error\":{\"code\":7,\"message\":[]}}", E_DENIED, false,
     "thing: HTTP 400", "", "", 0},
    {"text", 400, "", "SECRET of a proxy's page", E_DENIED, false, "thing: HTTP 400", "", "", 0},
    {"terminal", 400, "", "{\"error\":{\"code\":\"\\u001b[2J\",\"message\":\"a\\u001b[31mb\"}}",
     E_DENIED, false, "thing: HTTP 400: a?[31mb", "?[2J", "", 0},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct refusal_case *c = &cases[i];
        const struct http_request q = {.what = "thing", .url = "https://x.example/?sig=SECRET"};
        struct http_reply reply = {.status = c->status, .headers = BUF(5000), .body = BUF(5000)};
        struct error e = {0};
        print_message("  %s\n", c->name);
        assert_ok(buf_addf(&reply.headers, &e, "HTTP/1.1 %ld X\r\n%s\r\n", c->status, c->headers),
                  &e);
        assert_ok(buf_add(&reply.body, span_text(c->body), &e), &e);
        assert_fails(http_refusal(&q, &reply, E_DENIED, &e), c->want, "", &e);
        assert_int_equal(e.status, c->want);
        assert_string_equal(e.text, c->text);
        assert_string_equal(e.service_code, c->code);
        assert_string_equal(e.request_id, c->id);
        assert_int_equal(e.transient, c->transient);
        assert_int_equal(e.retry_after_ms, c->wait_ms);
        assert_null(strstr(e.text, "SECRET"));
        assert_null(strstr(e.remedy, "SECRET"));
        http_reply_free(&reply);
    }
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    const struct http_request q = {.what = "thing", .url = "https://x.example/"};
    char words[3001] = "";
    for (size_t i = 0; i + 3 < sizeof words; i += 3)
        memcpy(words + i, "\xc3\xa4 ", 4); /* two bytes each: must not be cut in two */
    for (size_t i = 0; i < 2; i++) {
        char body[7000];
        struct error e = {0};
        struct http_reply reply = {.status = 400, .body = BUF(sizeof body)};
        (void)snprintf(body, sizeof body,
                       i == 0 ? "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}"
                              : "<Error><Code>%s</Code><Message>%s</Message></Error>",
                       words, words);
        assert_ok(buf_add(&reply.body, span_text(body), &e), &e);
        assert_fails(http_refusal(&q, &reply, E_DENIED, &e), E_DENIED, "HTTP 400: \xc3\xa4 ", &e);
        assert_true(strlen(e.text) > 200 && strlen(e.text) < 400);
        assert_true(utf8_is_valid(span_text(e.text)));
        assert_true(strlen(e.service_code) > 50 && strlen(e.service_code) < sizeof e.service_code);
        http_reply_free(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the tests of identity share: a clean environment, an http, and a token asked for. */
#ifndef DECANT_TEST_SCENE_H
#define DECANT_TEST_SCENE_H

#include "identity/identity.h"
#include "peer.h"

#define VAULT   "https://vault.azure.net"
#define STORAGE "https://storage.azure.com/"
#define JSON    "Content-Type: application/json\r\n"

static inline void environment_clear(void)
{
    static const char *const names[] = {
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_AUTHORITY_HOST",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "AZURE_KUBERNETES_TOKEN_PROXY",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unsetenv(names[i]);
}

/* Gives up after PATIENCE_MS in all; the waits between tries are a few milliseconds. */
static inline struct http *http_make(int64_t patience_ms)
{
    struct error e = {0};
    struct http *http = NULL;
    const struct http_options options = {
        .deadline_ms = clock_ms() + patience_ms, .tries = 4, .retry_delay_ms = 2};
    assert_ok(http_new(&options, &http, &e), &e);
    return http;
}

/* A new identity of KIND, asked once. */
static inline enum status ask_once(const struct identity_options *options, const char *audience,
                                   struct secret *token, int64_t patience_ms, struct error *e)
{
    AUTO(http_free) struct http *http = http_make(patience_ms);
    AUTO(identity_free) struct identity *identity = NULL;
    TRY(identity_new(options, http, &identity, e));
    return identity_token(identity, audience, token, e);
}

/* A file in /tmp with TEXT; give it back to file_drop. */
static inline char *file_make(const char *text)
{
    char *path = strdup("/tmp/decant-test-XXXXXX");
    assert_non_null(path);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    return path;
}

static inline void file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static inline void file_drop(char *path)
{
    (void)unlink(path);
    free(path);
}

/* "e30." and {"exp":EXPIRES} and ".c2ln" */
static inline void jwt_make(char *out, size_t size, int64_t expires)
{
    struct error e = {0};
    char claims[64];
    AUTO(buf_free) struct buf part = BUF(128);
    (void)snprintf(claims, sizeof claims, "{\"exp\":%lld}", (long long)expires);
    assert_ok(base64_encode(span_text(claims), BASE64URL, &part, &e), &e);
    (void)snprintf(out, size, "e30.%s.c2ln", buf_text(&part));
}

#endif

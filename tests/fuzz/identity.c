/* Answers of the token endpoints, and ready-made tokens. The first byte picks. */
#include <sys/mman.h>
#include <unistd.h>

#include "identity/internal.h"
#include "wire.h"

static char imds[] = "http://169.254.169.254", login[] = "https://login.microsoftonline.com";
static char tenant[] = "tenant", client[] = "client";

static void token_check(enum status status, const struct access_token *t, struct error *e)
{
    must_fail_as(status, e, E_NO_TOKEN, E_NETWORK);
    if (status == OK)
        must(token_is_sane(secret_view(&t->text)) && t->life_s >= 0 && t->life_s <= 2 * 86400);
}

/* Ready-made, from a variable or a file. */
static void given_try(struct span in, bool from_file, struct identity *identity,
                      struct access_token *token)
{
    AUTO(text_free) char *text = strndup(in.size > 0 ? (const char *)in.data : "", in.size);
    struct error e = {0};
    char path[64];
    int fd = memfd_create("token", MFD_CLOEXEC);
    must(text != NULL && setenv("FUZZ_TOKEN", text, 1) == 0);
    must(fd >= 0 && write(fd, in.data, in.size) == (ssize_t)in.size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    identity->kind = IDENTITY_TOKEN;
    identity->vault_token.env = from_file ? NULL : "FUZZ_TOKEN";
    identity->vault_token.file = from_file ? path : NULL;
    token_check(given_token(identity, "https://vault.azure.net", token, &e), token, &e);
    static const struct identity_token_place nowhere[] = {
        {.env = "FUZZ_TOKEN_UNSET"}, {.file = "/nonexistent/token"}, {.env = NULL}};
    for (size_t i = 0; i < COUNT(nowhere); i++) {
        struct access_token none = {0};
        identity->storage_token = nowhere[i];
        must(given_token(identity, "https://storage.azure.com/", &none, &e) == E_NO_TOKEN);
    }
    identity->vault_token = identity->storage_token = (struct identity_token_place){0};
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct identity identity = {
        .http = wire_http(), .imds = imds, .login = login, .tenant = tenant};
    struct access_token token = {0};
    struct error e = {0};
    uint8_t way = take_byte(&in);
    identity.client_id = (way & 4) != 0 ? client : NULL;
    if (way % 4 == 0) {
        token_check(token_parse(in, &token, &e), &token, &e);
    } else if (way % 4 == 1) {
        identity.kind = IDENTITY_MANAGED;
        wire_open(in);
        token_check(managed_token(&identity, "https://vault.azure.net", &token, &e), &token, &e);
    } else if (way % 4 == 2) {
        identity.kind = IDENTITY_CLIENT_SECRET;
        identity.client_id = client;
        must(secret_copy(&identity.client_secret, SPAN_LITERAL("worthless"), &e) == OK);
        wire_open(in);
        token_check(entra_token(&identity, "https://vault.azure.net/", &token, &e), &token, &e);
    } else {
        given_try(in, (way & 8) != 0, &identity, &token);
    }
    secret_free(&identity.client_secret);
    secret_free(&token.text);
    return 0;
}

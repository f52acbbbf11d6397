/*
 * Whom TLS believes: a server with a certificate of its own (tests/data/http), played by `openssl
 * s_server`, must be trusted through ca_file only, under its own name only, and from TLS 1.2 on.
 */
#include "testing.h"

#include "http/http.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CERTIFICATE TEST_DATA "/http/peer.pem"
#define OTHER       TEST_DATA "/http/other.pem"
#define KEY         TEST_DATA "/http/worthless-test-key.pem"

struct server {
    pid_t pid;
    FILE *says;
    unsigned port;
};

/* VERSION: "-tls1_3" and the like. The port is the kernel's choice; s_server tells it. */
static bool server_start(struct server *s, char *version)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *s = (struct server){.pid = fork()};
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        char *const arguments[] = {(char[]){"openssl"},
                                   (char[]){"s_server"},
                                   (char[]){"-accept"},
                                   (char[]){"127.0.0.1:0"},
                                   (char[]){"-www"},
                                   (char[]){"-cert"},
                                   (char[]){CERTIFICATE},
                                   (char[]){"-key"},
                                   (char[]){KEY},
                                   (char[]){"-cipher"},
                                   (char[]){"DEFAULT@SECLEVEL=0"},
                                   version,
                                   NULL};
        (void)dup2(ends[1], 1);
        (void)dup2(ends[1], 2);
        execvp("openssl", arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    s->says = fdopen(ends[0], "r");
    assert_non_null(s->says);
    char line[300];
    while (fgets(line, sizeof line, s->says) != NULL) {
        if (sscanf(line, "ACCEPT 127.0.0.1:%u", &s->port) == 1)
            return true;
    }
    return false;
}

static void server_stop(struct server *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    (void)fclose(s->says);
}

static const struct {
    const char *name, *version, *ca_file, *host;
    const char *refusal; /* NULL: trusted */
} cases[] = {
    {"named in ca_file", "-tls1_3", CERTIFICATE, "127.0.0.1", NULL},
    {"TLS 1.2", "-tls1_2", CERTIFICATE, "127.0.0.1", NULL},
    {"unknown to the system", "-tls1_3", NULL, "127.0.0.1", "not trusted"},
    {"unknown to ca_file", "-tls1_3", OTHER, "127.0.0.1", "not trusted"},
    {"wrong name", "-tls1_3", CERTIFICATE, "localhost", "not trusted"},
    {"TLS 1.1", "-tls1_1", CERTIFICATE, "127.0.0.1", "no agreement on TLS"},
    {"ca_file holds no certificate", "-tls1_3", KEY, "127.0.0.1", "trust store"},
};

static void test_trust(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct server server;
        struct error e = {0};
        char version[16], url[100];
        print_message("  %s\n", cases[i].name);
        (void)snprintf(version, sizeof version, "%s", cases[i].version);
        if (!server_start(&server, version)) {
            server_stop(&server);
            print_message("skipped: the openssl command is missing or has no %s\n", version);
            skip();
        }
        (void)snprintf(url, sizeof url, "https://%s:%u/", cases[i].host, server.port);
        struct http *http = NULL;
        struct http_session *session = NULL;
        struct http_reply reply = {0};
        assert_ok(http_new(&(struct http_options){.ca_file = cases[i].ca_file}, &http, &e), &e);
        assert_ok(http_session_take(http, &session, &e), &e);
        const struct http_request q = {.what = "thing",
                                       .method = "GET",
                                       .url = url,
                                       .max_reply = 100000,
                                       .timeout_ms = 20000,
                                       .retry = true};
        if (cases[i].refusal == NULL) {
            assert_ok(http_call(session, &q, &reply, &e), &e);
            assert_int_equal(reply.status, 200);
        } else {
            enum status want = strcmp(cases[i].refusal, "trust store") == 0 ? E_USAGE : E_NETWORK;
            assert_fails(http_call(session, &q, &reply, &e), want, cases[i].refusal, &e);
            assert_false(e.transient);
            assert_true(e.remedy[0] != '\0');
        }
        assert_int_equal(http_counters(http).retries, 0);
        http_reply_free(&reply);
        http_session_give(&session);
        http_free(&http);
        server_stop(&server);
    }
}

static void test_ca_file_is_told(void **state)
{
    (void)state;
    struct error e = {0};
    struct http *http = NULL;
    assert_ok(http_new(&(struct http_options){.ca_file = CERTIFICATE}, &http, &e), &e);
    assert_string_equal(http_ca_file(http), CERTIFICATE);
    http_free(&http);
    assert_null(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_ca_file_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

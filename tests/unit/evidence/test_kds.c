/*
 * AMD's Key Distribution Service, played by `openssl s_server -HTTP` behind a proxy that leads
 * every CONNECT to it: a file per request path, so that a URL which is not exactly AMD's finds
 * nothing. The device is played as well.
 */
#include "forge.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KDS_NAME "kdsintf.amd.com"

static char folder[] = "/tmp/decant-kds-XXXXXX";
static unsigned server_port, proxy_port;
static pid_t server_pid;
static int proxy_listener = -1;
static pthread_t proxy_thread;

static const char *in_folder(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- the server ---- */

/* A self-signed certificate for KDS_NAME, and its key. */
static void write_server_files(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certificate_start(KDS_NAME, KDS_NAME, key, true);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:" KDS_NAME);
    assert_int_equal(X509_add_ext(certificate, names, -1), 1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *f = fopen(in_folder("server.pem"), "w");
    assert_int_equal(PEM_write_X509(f, certificate), 1);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void server_start(void)
{
    int ends[2];
    char line[300];
    assert_int_equal(pipe(ends), 0);
    server_pid = fork();
    assert_true(server_pid >= 0);
    if (server_pid == 0) {
        char *const arguments[] = {(char[]){"openssl"},    (char[]){"s_server"},
                                   (char[]){"-accept"},    (char[]){"127.0.0.1:0"},
                                   (char[]){"-HTTP"},      (char[]){"-cert"},
                                   (char[]){"server.pem"}, NULL};
        (void)unsetenv("LD_PRELOAD");
        (void)dup2(ends[1], 1);
        (void)dup2(ends[1], 2);
        if (chdir(folder) == 0)
            execvp("openssl", arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *says = fdopen(ends[0], "r");
    assert_non_null(says);
    while (server_port == 0 && fgets(line, sizeof line, says) != NULL)
        (void)sscanf(line, "ACCEPT 127.0.0.1:%u", &server_port);
    assert_true(server_port != 0); /* SAYS stays open: the server must be able to go on speaking */
}

/* ---- the proxy ---- */

static int connect_to_server(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)server_port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&where, sizeof where) != 0)
        abort();
    return fd;
}

/* Bytes both ways until one side ends. */
static void relay(int a, int b)
{
    struct pollfd ends[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    char bytes[8192];
    while (poll(ends, 2, 20000) > 0)
        for (int i = 0; i < 2; i++) {
            if ((ends[i].revents & (POLLIN | POLLHUP)) == 0)
                continue;
            ssize_t n = recv(ends[i].fd, bytes, sizeof bytes, 0);
            if (n <= 0 || send(ends[1 - i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
                return;
        }
}

static void *proxy_serve(void *unused)
{
    static const char yes[] = "HTTP/1.1 200 OK\r\n\r\n", no[] = "HTTP/1.1 403 No\r\n\r\n";
    static const char wanted[] = "CONNECT " KDS_NAME ":443 ";
    (void)unused;
    for (int fd; (fd = accept(proxy_listener, NULL, NULL)) >= 0; (void)close(fd)) {
        char request[4096] = "";
        size_t size = 0;
        while (strstr(request, "\r\n\r\n") == NULL && size < sizeof request - 1) {
            ssize_t n = recv(fd, request + size, sizeof request - 1 - size, 0);
            if (n <= 0)
                break;
            size += (size_t)n;
            request[size] = '\0';
        }
        bool good = strncmp(request, wanted, sizeof wanted - 1) == 0;
        (void)!send(fd, good ? yes : no, good ? sizeof yes - 1 : sizeof no - 1, MSG_NOSIGNAL);
        if (!good)
            continue;
        int server = connect_to_server();
        relay(fd, server);
        (void)close(server);
    }
    return NULL;
}

static void proxy_start(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    proxy_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy_listener, (const struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(proxy_listener, 16), 0);
    assert_int_equal(getsockname(proxy_listener, (struct sockaddr *)&where, &size), 0);
    proxy_port = ntohs(where.sin_port);
    assert_int_equal(pthread_create(&proxy_thread, NULL, proxy_serve, NULL), 0);
}

/* ---- what the service has ---- */

static void write_answer(const char *path, struct span body)
{
    FILE *f = fopen(in_folder(path), "w");
    assert_non_null(f);
    (void)fprintf(f, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", body.size);
    assert_int_equal(fwrite(body.data, 1, body.size, f), body.size);
    assert_int_equal(fclose(f), 0);
}

/* The VCEK as DER and the rest as PEM, as AMD has them. */
static void write_product(const char *product, const char *pem_path, const char *query)
{
    char path[512];
    unsigned char *der = NULL;
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    read_or_die(pem_path, &pem);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *vcek = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int size = i2d_X509(vcek, &der);
    assert_true(size > 0);
    const char *rest = strstr(buf_text(&pem) + 1, "-----BEGIN");
    assert_non_null(rest);
    (void)snprintf(path, sizeof path, "vcek/v1/%s", product);
    (void)mkdir(in_folder(path), 0700);
    (void)snprintf(path, sizeof path, "vcek/v1/%s/cert_chain", product);
    write_answer(path, span_text(rest));
    (void)snprintf(path, sizeof path, "vcek/v1/%s/%s", product, query);
    write_answer(path, span_of(der, (size_t)size));
    OPENSSL_free(der);
    X509_free(vcek);
    BIO_free(bio);
}

#define MILAN_CHIP                                                                                 \
    "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"                             \
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"

static int all_start(void **state)
{
    (void)state;
    write_server_files();
    (void)mkdir(in_folder("vcek"), 0700);
    (void)mkdir(in_folder("vcek/v1"), 0700);
    write_product("Milan", DATA "milan.pem", MILAN_CHIP "?blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219");
    write_product("Genoa", DATA "milan-newer.pem",
                  MILAN_CHIP "?blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=220");
    write_product("Turin", DATA "turin.pem",
                  "a0a1a2a3a4a5a6a7?fmcSPL=1&blSPL=2&teeSPL=3&snpSPL=4&ucodeSPL=130");
    server_start();
    proxy_start();
    return 0;
}

static int all_stop(void **state)
{
    (void)state;
    (void)shutdown(proxy_listener, SHUT_RDWR);
    (void)pthread_join(proxy_thread, NULL);
    (void)close(proxy_listener);
    (void)kill(server_pid, SIGKILL);
    (void)waitpid(server_pid, NULL, 0);
    return 0;
}

/* Opens with the report in REPORT_PATH; THIM is a port where nobody listens. */
static enum status open_source(const char *report_path, struct evidence_source **source,
                               struct http **http, struct error *e)
{
    char proxy[64], ca[1024];
    static const struct evidence_options options = {.certificates = "http://127.0.0.1:1/"};
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", proxy_port);
    (void)snprintf(ca, sizeof ca, "%s", in_folder("server.pem"));
    const struct http_options settings = {
        .ca_file = ca, .proxy = proxy, .deadline_ms = DEADLINE_NEVER, .retry_delay_ms = 1};
    setenv("DOUBLE_SEV", "guest", 1);
    setenv("DOUBLE_SEV_KEY", DATA "vcek.key", 1);
    setenv("DOUBLE_SEV_REPORT", report_path, 1);
    setenv("UVM_SECURITY_CONTEXT_DIR", "/nonexistent", 1);
    unsetenv("UVM_HOST_AMD_CERTIFICATE");
    assert_ok(http_new(&settings, http, e), e);
    return evidence_open(&options, *http, source, e);
}

static void finds(const char *report_path, const char *place)
{
    struct error e = {0};
    struct http *http = NULL;
    struct evidence_source *source = NULL;
    struct evidence evidence = {0};
    assert_ok(open_source(report_path, &source, &http, &e), &e);
    assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
    assert_string_equal(evidence.certificates_source, place);
    evidence_free(&evidence);
    evidence_close(&source);
    http_free(&http);
}

static void finds_milan(void **state)
{
    (void)state;
    finds(DATA "milan.bin", "AMD KDS (Milan)");
}

static void finds_turin(void **state)
{
    (void)state;
    finds(DATA "turin.bin", "AMD KDS (Turin)");
}

/* Version 2 does not say its product; only "Genoa" has this one. */
static void finds_genoa_by_asking(void **state)
{
    (void)state;
    char path[1024];
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    read_or_die(DATA "milan-newer.bin", &report);
    report.data[0] = 2;
    (void)snprintf(path, sizeof path, "%s", in_folder("v2.bin"));
    FILE *f = fopen(path, "w");
    assert_int_equal(fwrite(report.data, 1, report.size, f), report.size);
    assert_int_equal(fclose(f), 0);
    finds(path, "AMD KDS (Genoa)");
}

/* A chip that hides its id cannot be looked up. */
static void cannot_ask_for_a_masked_chip(void **state)
{
    (void)state;
    char path[1024];
    struct error e = {0};
    struct http *http = NULL;
    struct evidence_source *source = NULL;
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    read_or_die(DATA "milan.bin", &report);
    memset(report.data + 416, 0, 64);
    (void)snprintf(path, sizeof path, "%s", in_folder("masked.bin"));
    FILE *f = fopen(path, "w");
    assert_int_equal(fwrite(report.data, 1, report.size, f), report.size);
    assert_int_equal(fclose(f), 0);
    assert_fails(open_source(path, &source, &http, &e), E_NO_EVIDENCE, "does not say its chip", &e);
    http_free(&http);
}

int main(void)
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload == NULL || strstr(preload, "double_sev_device") == NULL) {
        (void)printf("skipped: run this through ctest: it needs LD_PRELOAD=libdouble_sev_device.so\n");
        return 77;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_milan),
        cmocka_unit_test(finds_turin),
        cmocka_unit_test(finds_genoa_by_asking),
        cmocka_unit_test(cannot_ask_for_a_masked_chip),
    };
    int failed = cmocka_run_group_tests(tests, all_start, all_stop);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    (void)!system(command);
    return failed;
}

/*
 * Certificates and evidence over the network: THIM as configured, by the host's variable and in
 * what order, AMD's service behind a proxy that refuses, and a sidecar that is honest, stale, or
 * makes its report up. The device is played by tests/double/sev_device.c (preloaded by CTest).
 */
#include "forge.h"
#include "peer.h"

#define THIM_PATH "/metadata/THIM/amd/certification"

struct world {
    struct peer peer;
    struct http *http;
    char url[128], proxy[64];
    const char *pem;    /* whose chain THIM has; NULL: an answer of its own, below */
    const char *answer; /* of THIM */
    int status;         /* of THIM and the sidecar */
    int busy;           /* so many 503s first */
    const char *sidecar_report, *sidecar_key, *sidecar_pem; /* files */
    bool stale_data; /* the sidecar's report is over something else */
    bool no_evidence, no_endorsements, bad_base64;
    size_t thim, sidecar, connects;
    char metadata[32], runtime[256];
};

static void add_json_text(struct buf *out, const char *name, struct span text)
{
    struct error e = {0};
    if (buf_addf(out, &e, "%s\"%s\":", out->size > 0 ? "," : "{", name) != OK ||
        json_quote(text, out, &e) != OK)
        abort();
}

static void add_base64(struct buf *out, const char *name, struct span bytes)
{
    struct error e = {0};
    AUTO(buf_free) struct buf text = BUF(1 << 20);
    if (base64_encode(bytes, BASE64, &text, &e) != OK)
        abort();
    add_json_text(out, name, buf_span(&text));
}

static void read_in_peer(const char *path, struct buf *out)
{
    struct error e = {0};
    if (file_read(path, 1 << 20, out, E_BUG, &e) != OK)
        abort();
}

static void play_thim(struct world *w, const struct peer_request *q, struct peer_answer *a)
{
    AUTO(buf_free) struct buf json = BUF(1 << 20);
    AUTO(buf_free) struct buf pem = BUF(1 << 20);
    peer_header(q, "Metadata", w->metadata, sizeof w->metadata);
    w->thim++;
    if (w->pem != NULL) {
        struct error e = {0};
        read_in_peer(w->pem, &pem);
        add_json_text(&json, "vcekCert", SPAN_LITERAL(""));
        add_json_text(&json, "certificateChain", buf_span(&pem));
        if (buf_addf(&json, &e, "}") != OK)
            abort();
    }
    peer_reply(a, w->status, NULL, w->pem != NULL ? buf_text(&json) : w->answer);
}

/* As the sidecar does: the report's data is the SHA-256 of the decoded runtime data. */
static void make_report(const struct world *w, struct buf *report)
{
    struct error e = {0};
    AUTO(buf_free) struct buf data = BUF(1 << 16);
    read_in_peer(w->sidecar_report, report);
    if (base64_decode(span_text(w->runtime), BASE64, &data, E_BUG, &e) != OK)
        abort();
    memset(report->data + 80, 0, 64);
    if (sha256(buf_span(&data), report->data + 80, &e) != OK)
        abort();
    report->data[80] ^= w->stale_data ? 1 : 0;
    if (w->sidecar_key != NULL)
        report_sign(report->data);
}

static void play_sidecar(struct world *w, const struct peer_request *q, struct peer_answer *a)
{
    struct error e = {0};
    AUTO(buf_free) struct buf json = BUF(1 << 20);
    AUTO(buf_free) struct buf pem = BUF(1 << 20);
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    AUTO(json_free) struct cJSON *tree = NULL;
    w->sidecar++;
    if (json_parse(q->body, E_BUG, &tree, &e) != OK || json_text(tree, "runtime_data") == NULL)
        return peer_reply(a, 400, NULL, "{\"error\":\"bad request\"}");
    (void)snprintf(w->runtime, sizeof w->runtime, "%s", json_text(tree, "runtime_data"));
    make_report(w, &report);
    if (w->sidecar_pem != NULL)
        read_in_peer(w->sidecar_pem, &pem);
    add_json_text(&json, "endorsed_tcb", SPAN_LITERAL("ffffffffffffffff"));
    if (!w->no_endorsements)
        add_base64(&json, "endorsements", buf_span(&pem));
    if (!w->no_evidence && !w->bad_base64)
        add_base64(&json, "evidence", buf_span(&report));
    if (w->bad_base64)
        add_json_text(&json, "evidence", SPAN_LITERAL("AA A="));
    add_base64(&json, "uvm_endorsements", SPAN_LITERAL("cose"));
    if (buf_addf(&json, &e, "}") != OK)
        abort();
    peer_reply(a, w->status, NULL, buf_text(&json));
}

static void play(void *context, const struct peer_request *q, struct peer_answer *a)
{
    struct world *w = context;
    if (w->busy > 0) {
        w->busy--;
        peer_reply(a, 503, NULL, "");
    } else if (strcmp(q->method, "CONNECT") == 0) {
        w->connects++;
        peer_reply(a, 403, NULL, "");
    } else if (strcmp(q->path, THIM_PATH) == 0) {
        play_thim(w, q, a);
    } else if (strcmp(q->path, "/attest/combined") == 0 && strcmp(q->method, "POST") == 0) {
        play_sidecar(w, q, a);
    } else {
        peer_reply(a, 404, NULL, "");
    }
}

/* AMD's service is behind the proxy, which is the peer as well, so that no test leaves this
 * machine. */
static void world_open(struct world *w)
{
    struct error e = {0};
    *w = (struct world){.pem = DATA "milan.pem",
                        .status = 200,
                        .sidecar_report = DATA "milan.bin",
                        .sidecar_key = DATA "vcek.key",
                        .sidecar_pem = DATA "milan.pem"};
    peer_start(&w->peer, play, w);
    (void)snprintf(w->url, sizeof w->url, "%s" THIM_PATH, peer_url(&w->peer));
    (void)snprintf(w->proxy, sizeof w->proxy, "%s", peer_url(&w->peer));
    struct http_options options = {
        .proxy = w->proxy, .deadline_ms = DEADLINE_NEVER, .retry_delay_ms = 1};
    assert_ok(http_new(&options, &w->http, &e), &e);
    setenv("DOUBLE_SEV", "guest", 1);
    setenv("DOUBLE_SEV_KEY", DATA "vcek.key", 1);
    setenv("DOUBLE_SEV_REPORT", DATA "milan.bin", 1);
    setenv("UVM_SECURITY_CONTEXT_DIR", "/nonexistent", 1);
    unsetenv("UVM_HOST_AMD_CERTIFICATE");
    unsetenv("UVM_REFERENCE_INFO");
    unsetenv("Fabric_NodeIPOrFQDN");
    unsetenv("THIM_ENDPOINT");
}

static void world_close(struct world *w)
{
    http_free(&w->http);
    peer_stop(&w->peer);
}

/* It answers, if only that it is busy: starting again may help, as it would not if nobody knew. */
static void says_when_it_is_worth_a_retry(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    world_open(&w);
    struct evidence_options options = {.certificates = w.url};
    struct evidence_source *source = NULL;
    w.busy = 100;
    assert_fails(evidence_open(&options, w.http, &source, &e), E_NETWORK, "THIM: ", &e);
    assert_non_null(strstr(e.remedy, "later"));
    assert_null(source);
    world_close(&w);
}

static void asks_thim(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    world_open(&w);
    struct evidence_options options = {.certificates = w.url};
    struct evidence_source *source = NULL;
    struct evidence evidence = {0};
    w.busy = 2;
    assert_ok(evidence_open(&options, w.http, &source, &e), &e);
    assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
    assert_string_equal(evidence.certificates_source, "THIM");
    assert_int_equal(w.thim, 1);
    assert_int_equal(w.connects, 0);
    assert_string_equal(w.metadata, "true");
    evidence_free(&evidence);
    evidence_close(&source);
    world_close(&w);
}

static void lists_all_answers(void **state)
{
    (void)state;
    static const struct {
        const char *pem, *answer;
        int status;
        const char *part;
    } cases[] = {
        {DATA "milan-newer.pem", NULL, 200, "THIM: the VCEK is for another TCB"},
        {DATA "turin.pem", NULL, 200, "THIM: the VCEK is for another chip"},
        {NULL, "{", 200, "THIM: "},
        {NULL, "{\"vcekCert\":1}", 200, "THIM: no vcekCert"},
        {NULL, "{\"vcekCert\":\"\",\"certificateChain\":\"\"}", 200, "THIM: the chain has no VCEK"},
        {NULL, "", 404, "THIM: certificates: HTTP 404"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct world w;
        struct evidence_source *source = NULL;
        world_open(&w);
        w.pem = cases[i].pem;
        w.answer = cases[i].answer;
        w.status = cases[i].status;
        struct evidence_options options = {.certificates = w.url};
        assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE, cases[i].part,
                     &e);
        assert_non_null(strstr(e.remedy, "attestation.certificates"));
        assert_non_null(strstr(e.text, "platform file: none here"));
        assert_non_null(strstr(e.text, "AMD KDS (Milan): "));
        assert_null(strstr(e.text, "Genoa")); /* the report says that it is Milan */
        assert_true(w.connects > 0);
        assert_null(source);
        world_close(&w);
    }
}

/* Version 2 does not say the product: Milan is asked, then Genoa. */
static void guesses_the_product(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    char path[] = "/tmp/decant-report-XXXXXX";
    struct evidence_source *source = NULL;
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    world_open(&w);
    w.status = 404;
    read_or_die(DATA "milan.bin", &report);
    report.data[0] = 2;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, report.data, report.size), SNP_REPORT_SIZE);
    (void)close(fd);
    setenv("DOUBLE_SEV_REPORT", path, 1);
    struct evidence_options options = {.certificates = w.url};
    assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE, "(Milan)", &e);
    assert_non_null(strstr(e.text, "(Genoa)"));
    (void)unlink(path);
    world_close(&w);
}

/* The host's variable is no way to other places. */
static void distrusts_the_fabric_variable(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "127.0.0.1:80/x",
        "a/b",
        "user@host",
        "a b",
        "host?x",
        "host#x",
        "-a",
        "a-",
        ".a",
        "a..b",
        "http://host",
        "[::1]",
        "%31",
        "a.",
        "::1%lo",
        "1",
        "0x7f.1",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct error e = {0};
    struct world w;
    struct evidence_source *source = NULL;
    struct evidence_options options = {0};
    world_open(&w);
    for (size_t i = 0; i < COUNT(bad); i++) {
        setenv("Fabric_NodeIPOrFQDN", bad[i], 1);
        assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE,
                     "THIM: Fabric_NodeIPOrFQDN is neither", &e);
    }
    /* Nobody listens on port 2377 here: a good value is asked, and answers nothing. */
    setenv("Fabric_NodeIPOrFQDN", "127.0.0.1", 1);
    assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE, "THIM: after", &e);
    world_close(&w);
}

/* As virtual nodes on ACI fill it in; where nothing was filled in, it does not count. */
static void asks_the_virtual_node(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    struct evidence_source *source = NULL;
    struct evidence_options options = {0};
    world_open(&w);
    setenv("Fabric_NodeIPOrFQDN", "not a host", 1);
    setenv("THIM_ENDPOINT", w.url, 1);
    assert_ok(evidence_open(&options, w.http, &source, &e), &e);
    assert_int_equal(w.thim, 1);
    evidence_close(&source);
    setenv("THIM_ENDPOINT", "===VIRTUALNODE2.CC.THIM.ENDPOINT===", 1);
    assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE,
                 "THIM: Fabric_NodeIPOrFQDN is neither", &e);
    world_close(&w);
}

static void uses_a_sidecar(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    char base[128];
    struct evidence_source *source = NULL;
    struct evidence evidence = {0};
    world_open(&w);
    setenv("DOUBLE_SEV", "none", 1);
    (void)snprintf(base, sizeof base, "%s/", peer_url(&w.peer));
    struct evidence_options options = {
        .kind = EVIDENCE_SIDECAR, .sidecar = base, .certificates = w.url};
    w.busy = 2; /* it is starting */
    assert_ok(evidence_open(&options, w.http, &source, &e), &e);
    assert_ok(evidence_collect(source, SPAN_LITERAL("runtime"), &evidence, &e), &e);
    assert_string_equal(w.runtime, "cnVudGltZQ==");
    assert_string_equal(buf_text(&evidence.uvm_endorsements), "cose");
    assert_string_equal(evidence.certificates_source, "sidecar");
    assert_non_null(strstr(evidence.source, "sidecar http://127.0.0.1"));
    assert_ok(snp_report_verify(buf_span(&evidence.report), buf_span(&evidence.certificates), &e),
              &e);
    assert_int_equal(w.thim, 0);
    evidence_free(&evidence);
    evidence_close(&source);
    world_close(&w);
}

/* Its certificates are stale, or it has none: they are looked for elsewhere. */
static void mends_a_stale_sidecar(void **state)
{
    (void)state;
    static const char *const chains[] = {DATA "milan-newer.pem", NULL};
    for (size_t i = 0; i < COUNT(chains); i++) {
        struct error e = {0};
        struct world w;
        struct evidence_source *source = NULL;
        struct evidence evidence = {0};
        world_open(&w);
        struct evidence_options options = {
            .kind = EVIDENCE_SIDECAR, .sidecar = peer_url(&w.peer), .certificates = w.url};
        w.sidecar_pem = chains[i];
        w.no_endorsements = chains[i] == NULL;
        assert_ok(evidence_open(&options, w.http, &source, &e), &e);
        assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
        assert_string_equal(evidence.certificates_source, "THIM");
        evidence_free(&evidence);
        evidence_close(&source);
        world_close(&w);
    }
}

/* The made-up report: the data is patched in, nothing signs it. */
static void refuses_a_lying_sidecar(void **state)
{
    (void)state;
    static const struct {
        bool unsigned_report, stale_data, no_evidence, bad_base64;
        int status;
        const char *part;
    } cases[] = {
        {.unsigned_report = true, .status = 200, .part = "signature does not verify"},
        {.stale_data = true, .status = 200, .part = "not over the data"},
        {.no_evidence = true, .status = 200, .part = "has no evidence"},
        {.bad_base64 = true, .status = 200, .part = "the sidecar's evidence"},
        {.status = 403, .part = "HTTP 403"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct world w;
        struct evidence_source *source = NULL;
        world_open(&w);
        struct evidence_options options = {
            .kind = EVIDENCE_SIDECAR, .sidecar = peer_url(&w.peer), .certificates = w.url};
        w.sidecar_key = cases[i].unsigned_report ? NULL : DATA "vcek.key";
        w.stale_data = cases[i].stale_data;
        w.no_evidence = cases[i].no_evidence;
        w.bad_base64 = cases[i].bad_base64;
        w.status = cases[i].status;
        assert_fails(evidence_open(&options, w.http, &source, &e), E_NO_EVIDENCE, cases[i].part,
                     &e);
        assert_null(source);
        world_close(&w);
    }
}

/* Honest at first, a liar when it counts. */
static void refuses_a_sidecar_that_turns(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    struct evidence_source *source = NULL;
    struct evidence evidence = {0};
    world_open(&w);
    struct evidence_options options = {
        .kind = EVIDENCE_SIDECAR, .sidecar = peer_url(&w.peer), .certificates = w.url};
    assert_ok(evidence_open(&options, w.http, &source, &e), &e);
    w.sidecar_key = NULL;
    assert_fails(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), E_NO_EVIDENCE,
                 "signature does not verify", &e);
    assert_null(evidence.report.data);
    evidence_close(&source);
    world_close(&w);
}

/* A sidecar elsewhere would send the evidence of elsewhere: plain http is for this pod only. */
static void wants_a_local_sidecar(void **state)
{
    (void)state;
    struct error e = {0};
    struct world w;
    struct evidence_source *source = NULL;
    world_open(&w);
    struct evidence_options options = {.kind = EVIDENCE_SIDECAR, .sidecar = "http://example.com"};
    assert_fails(evidence_open(&options, w.http, &source, &e), E_USAGE, "plain http", &e);
    options.sidecar = "http://127.0.0.1:1";
    assert_fails(evidence_open(&options, w.http, &source, &e), E_NETWORK, "sidecar http://127", &e);
    assert_true(e.transient);
    options.sidecar = NULL;
    assert_fails(evidence_open(&options, w.http, &source, &e), E_USAGE, "sidecar's URL", &e);
    world_close(&w);
}

int main(void)
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload == NULL || strstr(preload, "double_sev_device") == NULL) {
        (void)printf("skipped: run this through ctest: it needs LD_PRELOAD=libdouble_sev_device.so\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_thim),
        cmocka_unit_test(says_when_it_is_worth_a_retry),
        cmocka_unit_test(lists_all_answers),
        cmocka_unit_test(guesses_the_product),
        cmocka_unit_test(distrusts_the_fabric_variable),
        cmocka_unit_test(asks_the_virtual_node),
        cmocka_unit_test(uses_a_sidecar),
        cmocka_unit_test(mends_a_stale_sidecar),
        cmocka_unit_test(refuses_a_lying_sidecar),
        cmocka_unit_test(refuses_a_sidecar_that_turns),
        cmocka_unit_test(wants_a_local_sidecar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

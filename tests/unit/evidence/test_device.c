/*
 * Evidence from the devices that tests/double/sev_device.c plays (preloaded by CTest): requests as
 * the kernel wants them, busy firmware, broken answers, and certificates from the platform's files.
 */
#include "forge.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/decant-evidence-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, struct span content)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content.data, 1, content.size, f), content.size);
    assert_int_equal(fclose(f), 0);
}

static void write_base64(const char *name, struct span content)
{
    struct error e = {0};
    AUTO(buf_free) struct buf text = BUF(1 << 20);
    assert_ok(base64_encode(content, BASE64, &text, &e), &e);
    write_file(name, buf_span(&text));
}

/* THIM's JSON of the chain in PEM, whose order may be any. */
static void write_chain(const char *pem_path)
{
    struct error e = {0};
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    AUTO(buf_free) struct buf json = BUF(1 << 17);
    read_or_die(pem_path, &pem);
    assert_ok(buf_addf(&json, &e, "{\"vcekCert\":\"\",\"certificateChain\":"), &e);
    assert_ok(json_quote(buf_span(&pem), &json, &e), &e);
    assert_ok(buf_addf(&json, &e, "}"), &e);
    write_base64("host-amd-cert-base64", buf_span(&json));
}

static int start(void **state)
{
    (void)state;
    setenv("DOUBLE_SEV", "guest", 1);
    setenv("DOUBLE_SEV_KEY", DATA "vcek.key", 1);
    setenv("DOUBLE_SEV_REPORT", DATA "milan.bin", 1);
    unsetenv("DOUBLE_SEV_FAIL");
    unsetenv("UVM_REFERENCE_INFO");
    unsetenv("UVM_HOST_AMD_CERTIFICATE");
    setenv("UVM_SECURITY_CONTEXT_DIR", folder, 1);
    (void)unlink(in_folder("reference-info-base64"));
    write_chain(DATA "milan.pem");
    return 0;
}

static const struct evidence_options automatic = {.kind = EVIDENCE_AUTO};

static void opens_and_collects(const char *devices, enum evidence_kind kind, const char *name)
{
    struct error e = {0};
    struct evidence_options options = {.kind = kind};
    uint8_t digest[SHA256_SIZE];
    struct snp_report parsed = {0};
    static const uint8_t zero[32];
    AUTO(evidence_close) struct evidence_source *source = NULL;
    AUTO(evidence_free) struct evidence evidence = {0};
    setenv("DOUBLE_SEV", devices, 1);
    assert_ok(evidence_open(&options, NULL, &source, &e), &e);
    assert_ok(evidence_collect(source, SPAN_LITERAL("runtime data"), &evidence, &e), &e);
    assert_string_equal(evidence.source, name);
    assert_string_equal(evidence.certificates_source, "platform file");
    assert_ok(sha256(SPAN_LITERAL("runtime data"), digest, &e), &e);
    assert_ok(snp_report_parse(buf_span(&evidence.report), &parsed, &e), &e);
    assert_memory_equal(parsed.report_data, digest, sizeof digest);
    assert_memory_equal(parsed.report_data + 32, zero, sizeof zero);
    assert_ok(snp_report_verify(buf_span(&evidence.report), buf_span(&evidence.certificates), &e),
              &e);
}

static void every_device(void **state)
{
    (void)state;
    opens_and_collects("guest,sev,tsm", EVIDENCE_AUTO, "/dev/sev-guest");
    opens_and_collects("guest,sev,tsm", EVIDENCE_DEVICE, "/dev/sev-guest");
    opens_and_collects("sev,tsm", EVIDENCE_AUTO, "/dev/sev");
    opens_and_collects("tsm", EVIDENCE_AUTO, "configfs-tsm");
    opens_and_collects("guest,sev,tsm", EVIDENCE_TSM, "configfs-tsm");
}

static void turin(void **state)
{
    (void)state;
    setenv("DOUBLE_SEV_REPORT", DATA "turin.bin", 1);
    write_chain(DATA "turin.pem");
    opens_and_collects("guest", EVIDENCE_AUTO, "/dev/sev-guest");
}

static void no_device(void **state)
{
    (void)state;
    static const struct {
        const char *devices, *part;
        enum evidence_kind kind;
    } cases[] = {
        {"none", "no configfs-tsm", EVIDENCE_AUTO},
        {"tsm", "no /dev/sev", EVIDENCE_DEVICE},
        {"guest,sev", "tsm/report", EVIDENCE_TSM},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct evidence_options options = {.kind = cases[i].kind};
        AUTO(evidence_close) struct evidence_source *source = NULL;
        setenv("DOUBLE_SEV", cases[i].devices, 1);
        assert_fails(evidence_open(&options, NULL, &source, &e), E_NO_EVIDENCE, cases[i].part, &e);
        assert_null(source);
        assert_true(strlen(e.remedy) > 0);
    }
}

static void broken_firmware(void **state)
{
    (void)state;
    static const struct {
        const char *devices, *failure, *part; /* PART: NULL if it works in the end */
    } cases[] = {
        {"guest", "throttle:2", NULL},
        {"guest", "busy:2", NULL},
        {"sev", "throttle:2", NULL},
        {"tsm", "throttle:2", NULL},
        {"guest", "status:0x16", "status 0x16"},
        {"sev", "status:0x27", "status 0x27"},
        {"tsm", "status:1", "outblob"},
        {"guest", "size:1183", "1183 bytes"},
        {"sev", "size:4294967295", "4294967295 bytes"},
        {"tsm", "size:1183", "1183 bytes"},
        {"tsm", "size:0", "0 bytes"},
        {"guest", "eio", "firmware error 0xffffffff"},
        {"sev", "eio", "no report"},
        {"tsm", "eio", "outblob"},
        {"guest", "data", "not over the data"},
        {"sev", "data", "not over the data"},
        {"tsm", "data", "not over the data"},
        {"tsm", "provider", "not made by sev_guest"},
        {"tsm", "generation", "someone else"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(evidence_close) struct evidence_source *source = NULL;
        setenv("DOUBLE_SEV", cases[i].devices, 1);
        setenv("DOUBLE_SEV_FAIL", cases[i].failure, 1);
        int64_t started_ms = clock_ms();
        if (cases[i].part == NULL) {
            assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
            assert_true(clock_ms() - started_ms >= 600); /* it did wait: 200 and 400 ms */
        } else
            assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE, cases[i].part,
                         &e);
        setenv("DOUBLE_SEV_FAIL", "", 1);
    }
}

/* A stopped run does not sit out the firmware's throttle. */
static void stops_waiting(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(evidence_close) struct evidence_source *source = NULL;
    setenv("DOUBLE_SEV_FAIL", "throttle:1000", 1);
    stop_request(STOP_ON_FAILURE);
    assert_fails(evidence_open(&automatic, NULL, &source, &e), E_INTERRUPTED, "", &e);
    stop_reset();
}

static void certificates_must_fit(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(evidence_close) struct evidence_source *source = NULL;
    write_chain(DATA "milan-newer.pem");
    assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE,
                 "platform file: the VCEK is for another TCB", &e);
    write_file("host-amd-cert-base64", SPAN_LITERAL("e30"));
    assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE, "platform file:", &e);
    write_base64("host-amd-cert-base64", SPAN_LITERAL("{}"));
    assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE, "no vcekCert", &e);
    assert_int_equal(unlink(in_folder("host-amd-cert-base64")), 0);
    assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE,
                 "platform file: none here", &e);
    assert_null(source);
}

/* The host was updated between the first report and the one that counts. */
static void pairs_again(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(evidence_close) struct evidence_source *source = NULL;
    AUTO(evidence_free) struct evidence evidence = {0};
    assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
    setenv("DOUBLE_SEV_REPORT", DATA "milan-newer.bin", 1);
    assert_fails(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), E_NO_EVIDENCE,
                 "another TCB", &e);
    assert_null(evidence.report.data);
    write_chain(DATA "milan-newer.pem");
    assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
    assert_ok(snp_report_verify(buf_span(&evidence.report), buf_span(&evidence.certificates), &e),
              &e);
}

/* A report under a key that the certificate does not have. */
static void refuses_other_key(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(evidence_close) struct evidence_source *source = NULL;
    AUTO(evidence_free) struct evidence evidence = {0};
    EVP_PKEY *key = EVP_EC_gen("P-384");
    FILE *f = fopen(in_folder("other.key"), "w");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
    EVP_PKEY_free(key);
    assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
    setenv("DOUBLE_SEV_KEY", in_folder("other.key"), 1);
    assert_fails(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), E_NO_EVIDENCE,
                 "signature does not verify", &e);
    assert_null(evidence.report.data);
}

static void uvm_information(void **state)
{
    (void)state;
    struct error e = {0};
    static const struct {
        const char *file, *variable, *expected; /* EXPECTED: NULL if refused */
    } cases[] = {
        {NULL, NULL, ""},           {"Y29zZQ==", NULL, "cose"},  {"Y29zZQ==\n", NULL, "cose"},
        {NULL, "Y29zZQ==", "cose"}, {"b25l", "dHdv", "one"},     {"Y29zZQ", NULL, NULL},
        {"Y29 zZQ==", NULL, NULL},  {NULL, "not base64!", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(evidence_close) struct evidence_source *source = NULL;
        AUTO(evidence_free) struct evidence evidence = {0};
        (void)start(NULL);
        if (cases[i].file != NULL)
            write_file("reference-info-base64", span_text(cases[i].file));
        if (cases[i].variable != NULL)
            setenv("UVM_REFERENCE_INFO", cases[i].variable, 1);
        if (cases[i].expected == NULL) {
            assert_fails(evidence_open(&automatic, NULL, &source, &e), E_NO_EVIDENCE, "", &e);
            continue;
        }
        assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
        assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
        assert_string_equal(buf_text(&evidence.uvm_endorsements), cases[i].expected);
    }
}

/* The older way: everything in the environment. */
static void certificates_from_environment(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf text = BUF(1 << 17);
    AUTO(evidence_close) struct evidence_source *source = NULL;
    read_or_die(in_folder("host-amd-cert-base64"), &text);
    setenv("UVM_HOST_AMD_CERTIFICATE", buf_text(&text), 1);
    setenv("UVM_SECURITY_CONTEXT_DIR", "/nonexistent", 1);
    assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
}

/* The order and the bytes are those of the platform's own text. */
static void keeps_real_chain(void **state)
{
    (void)state;
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    struct error e = {0};
    AUTO(evidence_close) struct evidence_source *source = NULL;
    AUTO(evidence_free) struct evidence evidence = {0};
    read_or_die(DATA "milan.pem", &pem);
    assert_ok(evidence_open(&automatic, NULL, &source, &e), &e);
    assert_ok(evidence_collect(source, SPAN_LITERAL("x"), &evidence, &e), &e);
    assert_true(span_equal(buf_span(&evidence.certificates), buf_span(&pem)));
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

static void leaves_nothing_open(void **state)
{
    (void)state;
    struct error e = {0};
    static const char *const devices[] = {"guest", "sev", "tsm"};
    static const char *const failures[] = {"", "status:3", "eio", "size:3", "provider"};
    size_t before = open_descriptors();
    for (size_t i = 0; i < COUNT(devices) * COUNT(failures) * 3; i++) {
        AUTO(evidence_close) struct evidence_source *source = NULL;
        setenv("DOUBLE_SEV", devices[i % 3], 1);
        setenv("DOUBLE_SEV_FAIL", failures[i / 3 % COUNT(failures)], 1);
        /* The eight entries that the double has room for would be used up if any were left behind.
         */
        (void)!evidence_open(&automatic, NULL, &source, &e);
        assert_null(strstr(e.text, "cannot make a report entry"));
    }
    assert_int_equal(open_descriptors(), before);
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
#define TEST(function) cmocka_unit_test_setup(function, start)
    const struct CMUnitTest tests[] = {
        TEST(every_device),     TEST(turin),
        TEST(no_device),        TEST(broken_firmware),
        TEST(stops_waiting),    TEST(certificates_must_fit),
        TEST(pairs_again),      TEST(refuses_other_key),
        TEST(uvm_information),  TEST(certificates_from_environment),
        TEST(keeps_real_chain), TEST(leaves_nothing_open),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(in_folder("host-amd-cert-base64"));
    (void)unlink(in_folder("reference-info-base64"));
    (void)unlink(in_folder("other.key"));
    (void)rmdir(folder);
    return failed;
}

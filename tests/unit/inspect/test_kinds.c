/* What a thing is told to be, in each form it comes in; what is nothing; what cannot be verified. */
#include "look.h"

static void add_file(const char *path, struct buf *out)
{
    struct error e = {0};
    AUTO(buf_free) struct buf text = BUF(0);
    read_or_die(path, &text);
    assert_ok(buf_add(out, buf_span(&text), &e), &e);
}

static void test_report_in_three_forms(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf binary = BUF(4096), hex = BUF(4096), base64 = BUF(4096);
    AUTO(inspection_free) struct inspection seen = {0};
    add_file(DATA "milan.bin", &binary);
    assert_ok(hex_encode(buf_span(&binary), &hex, &e), &e);
    assert_ok(base64_encode(buf_span(&binary), BASE64, &base64, &e), &e);
    assert_ok(buf_add(&base64, SPAN_LITERAL("\n"), &e), &e);
    const struct buf *forms[] = {&binary, &hex, &base64};
    for (size_t i = 0; i < COUNT(forms); i++) {
        assert_ok(look((struct inspect_options){0}, file_of("thing", buf_span(forms[i])), &seen, &e),
                  &e);
        assert_string_equal(seen.kind, "report");
        assert_step(&seen, "product", FINDING_NOTE, "Milan");
        assert_step(&seen, "reported TCB", FINDING_NOTE, "boot loader 4, TEE 0, SNP 24, microcode 219");
        assert_step(&seen, "signature", FINDING_SKIP, "--certificates");
    }
}

/* What a version 5 report of Turin has elsewhere. */
static void test_turin(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    struct inspect_options wish = {.certificates = DATA "turin.pem", .amd_root = test_root()};
    assert_ok(look(wish, DATA "turin.bin", &seen, &e), &e);
    assert_step(&seen, "version", FINDING_NOTE, "5");
    assert_step(&seen, "chip", FINDING_NOTE, "a0a1a2a3a4a5a6a7");
    assert_int_equal(strlen(step_of(&seen, "chip")->text), 16);
    assert_step(&seen, "reported TCB", FINDING_NOTE, "FMC 1, boot loader 2, TEE 3, SNP 4");
    assert_step(&seen, "VCEK", FINDING_OK, "");
}

/* The host wrote it: what is broken there is not the user's mistake. */
static void test_broken_policy_of_the_host(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    const char *policy = file_of("security-policy-base64", SPAN_LITERAL("!"));
    assert_fails(look((struct inspect_options){0}, folder, &seen, &e), E_NO_EVIDENCE, "base64", &e);
    assert_step(&seen, "security-policy-base64", FINDING_FAIL, "base64");
    assert_int_equal(unlink(policy), 0);
}

static void test_verify_wants_all(void **state)
{
    static const struct {
        const char *path;
        enum status status;
    } cases[] = {{DATA "milan.bin", E_NO_EVIDENCE}, {NULL, E_NOT_ATTESTED}};
    (void)state;
    const char *token = file_of("token", SPAN_LITERAL("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuYiIs"
                                                      "ImV4cCI6OTk5OTk5OTk5OX0.c2ln"));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        const char *path = cases[i].path != NULL ? cases[i].path : token;
        assert_ok(look((struct inspect_options){0}, path, &seen, &e), &e);
        assert_fails(look((struct inspect_options){.verify = true}, path, &seen, &e),
                     cases[i].status, "not verified", &e);
    }
}

static void test_the_root_must_be_amds(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    struct inspect_options wish = {.certificates = DATA "milan.pem"};
    assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_NO_EVIDENCE, "none of AMD's", &e);
    assert_step(&seen, "signature", FINDING_OK, "");
    wish.amd_root = test_root();
    assert_ok(look(wish, DATA "milan.bin", &seen, &e), &e);
    assert_step(&seen, "root", FINDING_OK, "not AMD's");
    AUTO(buf_free) struct buf pem = BUF(1 << 16);
    chain_forge(&(struct forgery){0}, &pem);
    wish.amd_root = DATA "milan.pem"; /* its first certificate is the VCEK */
    assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_NO_EVIDENCE, "not the given one", &e);
}

/* One link or value at a time: its own step fails. */
static void test_report_refusals(void **state)
{
    static const struct {
        struct forgery forgery;
        const char *step, *part;
    } cases[] = {
        {{.vcek_by_ark = true}, "certificates", "does not verify"},
        {{.ask_by_itself = true}, "certificates", ""},
        {{.root_unsigned = true}, "certificates", ""},
        {{.oid = "1.3.6.1.4.1.3704.1.3.8", .value = {(const uint8_t *)"\x02\x01\x01", 3}},
         "VCEK", "microcode level is 1"},
        {{.oid = "1.3.6.1.4.1.3704.1.4", .value = {(const uint8_t *)
          "0123456789012345678901234567890123456789012345678901234567890123", 64}},
         "VCEK", "another chip"},
        {{.p256 = true}, "signature", "P-384"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        AUTO(buf_free) struct buf pem = BUF(1 << 16);
        chain_forge(&cases[i].forgery, &pem);
        struct inspect_options wish = {.certificates = file_of("chain.pem", buf_span(&pem)),
                                       .amd_root = test_root(),
                                       .now_unix_s = (int64_t)time(NULL) + 60};
        assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_NO_EVIDENCE, cases[i].part, &e);
        assert_step(&seen, cases[i].step, FINDING_FAIL, cases[i].part);
        size_t failed = 0;
        for (size_t n = 0; n < seen.findings.n; n++)
            failed += seen.findings.list[n].result == FINDING_FAIL;
        assert_int_equal(failed, 1);
    }
}

static void test_report_dates_and_host_data(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    struct inspect_options wish = {
        .certificates = DATA "milan.pem",
        .amd_root = test_root(),
        .host_data = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    assert_ok(look(wish, DATA "milan.bin", &seen, &e), &e);
    assert_step(&seen, "host data", FINDING_OK, "as expected");
    wish.now_unix_s = 1000000000;
    assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_NO_EVIDENCE, "not yet", &e);
    wish.now_unix_s = 3000000000;
    assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_NO_EVIDENCE, "over at", &e);
    wish.now_unix_s = NOW;
    wish.host_data = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    assert_fails(look(wish, DATA "milan.bin", &seen, &e), E_MISMATCH, "expected was ff01", &e);
}

static void test_report_signature(void **state)
{
    (void)state;
    AUTO(buf_free) struct buf report = BUF(4096);
    add_file(DATA "milan.bin", &report);
    for (size_t at = 100; at < 700; at += 61) { /* report data to signature */
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        report.data[at] ^= 1;
        struct inspect_options wish = {.certificates = DATA "milan.pem", .amd_root = test_root()};
        assert_fails(look(wish, file_of("report", buf_span(&report)), &seen, &e), E_NO_EVIDENCE, "",
                     &e);
        report.data[at] ^= 1;
    }
}

static void test_thim(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    AUTO(buf_free) struct buf json = BUF(1 << 16);
    struct inspect_options wish = {.amd_root = test_root()};
    assert_ok(look(wish, DATA "thim.json", &seen, &e), &e);
    assert_string_equal(seen.kind, "thim");
    assert_step(&seen, "tcbm", FINDING_OK, "db18000000000004");
    add_file(DATA "thim.json", &json);
    char *tcbm = strstr((char *)json.data, "18000000000004");
    assert_non_null(tcbm);
    static const char *const broken[] = {"28000000000004", "1800000000000x"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        memcpy(tcbm, broken[i], strlen(broken[i]));
        assert_fails(look(wish, file_of("thim", buf_span(&json)), &seen, &e), E_NO_EVIDENCE,
                     "tcbm", &e);
    }
}

static void test_manifest(void **state)
{
    static const char text[] =
        "{\"files\":[{\"name\":\"b\\u001b\",\"size\":43,\"key_sha256\":"
        "\"3b630bf620a557096b32fcbf249bac79117a291a1b16087f52a19954523443bd\"},{\"name\":\"a\","
        "\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]}";
    (void)state;
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    assert_ok(look((struct inspect_options){0}, file_of("m", span_text(text)), &seen, &e), &e);
    assert_string_equal(seen.kind, "manifest");
    assert_step(&seen, "files", FINDING_NOTE, "2: 1 pinned by their plaintext, 1 by their content");
    assert_step(&seen, "bytes", FINDING_NOTE, "43, and files whose size is not given");
    assert_step(&seen, "a", FINDING_NOTE, "size not given, sha256 ba78");
    assert_step(&seen, "b?", FINDING_NOTE, "43 bytes, key_sha256 3b63");
    assert_fails(look((struct inspect_options){0},
                      file_of("m", SPAN_LITERAL("{\"files\":[{\"name\":\"a\"}]}")), &seen, &e),
                 E_MISMATCH, "neither", &e);
    assert_fails(look((struct inspect_options){0},
                      file_of("m", SPAN_LITERAL("{\"files\":[{\"name\":\"a\",\"size\":9007199254740992,"
                                                "\"sha256\":\"x\"}]}")),
                      &seen, &e),
                 E_MISMATCH, "hex", &e);
}

static void test_nothing_known(void **state)
{
    static const char *const things[] = {
        "", "x", "{}", "[]", "{\"a\":1}", "eyJ.x.y", "a.b.c", "eyJhIjoxfQ.eyJhIjoxfQ.c2ln" /* no iss */,
        "AAAA", "7b7d", "{\"files\":1}", "{\"token\":1}", "{\"value\":\"x\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(things); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        enum status status =
            look((struct inspect_options){0}, file_of("thing", span_text(things[i])), &seen, &e);
        if (status != E_USAGE || strstr(e.text, "nothing that is known") == NULL)
            fail_msg("%s: %d, %s", things[i], status, e.text);
    }
    struct error e = {0};
    AUTO(inspection_free) struct inspection seen = {0};
    assert_fails(look((struct inspect_options){0}, "/no/such", &seen, &e), E_USAGE, "/no/such", &e);
    assert_fails(look((struct inspect_options){0}, "/etc", &seen, &e), E_USAGE,
                 "none of its files", &e);
}

/* --as is believed, and refused by whoever must read it. */
static void test_as(void **state)
{
    static const struct {
        const char *as;
        enum status status;
    } cases[] = {
        {"report", E_NO_EVIDENCE},      {"thim", E_NO_EVIDENCE},   {"certificates", E_NO_EVIDENCE},
        {"receipt", E_NOT_AUTHENTIC},   {"manifest", E_MISMATCH},  {"metadata", E_NOT_AUTHENTIC},
        {"release", E_BAD_KEY},         {"token", E_BAD_KEY},      {"endorsement", E_NO_EVIDENCE},
        {"blob", E_USAGE},              {"security-context", E_USAGE}, {"song", E_USAGE},
    };
    static const char *const contents[] = {"", "{}", "x", "\xd2\x84", "eyJ.e30.x",
                                           "{\"value\":7,\"token\":7}", "-----BEGIN"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t n = 0; n < COUNT(contents); n++) {
            struct error e = {0};
            AUTO(inspection_free) struct inspection seen = {0};
            enum status status = look((struct inspect_options){.as = cases[i].as},
                                      file_of("thing", span_text(contents[n])), &seen, &e);
            if (status != cases[i].status)
                fail_msg("%s as %s: %d, %s", contents[n], cases[i].as, status, e.text);
        }
    }
}

/* CBOR that is cut, endless, too deep, or lies about its lengths. */
static void test_broken_endorsements(void **state)
{
#define CASE(text) {(const uint8_t *)(text), sizeof(text) - 1}
    static const struct span broken[] = {
        CASE("\xd2\x84"), CASE("\xd2\x83\x40\xa0\x40"), CASE("\xd3\x84\x40\xa0\x40\x40"),
        CASE("\x84\x40\xa0\x40\x40"),                     /* an empty header */
        CASE("\x84\x41\xa0\xa0\x40\x40"),                 /* no certificates */
        CASE("\x84\x41\xa0\xa0\x40\x40\x00"),             /* something behind */
        CASE("\x84\x41\xa0\xa0\x40"),                     /* three parts */
        CASE("\x84\x41\xa0\xa0\x60\x40"),                 /* text for bytes */
        CASE("\x84\x5b\xff\xff\xff\xff\xff\xff\xff\xff"), /* more than there is */
        CASE("\x84\x5f\x41\x00\xff\xa0\x40\x40"),         /* no definite length */
        CASE("\x84\x41\xa0\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x40\x40"),
        CASE("\x84\x41\xa0\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00\x40\x40"), /* deep */
        CASE("\x84\x41\xbf\xa0\x40\x40"),
        CASE("\x84\x44\xa1\x18\x21\x80\xa0\x40\x40"),      /* a list of no certificates */
        CASE("\x84\x44\xa1\x18\x21\x01\xa0\x40\x40"),      /* a number for certificates */
        CASE("\x84\x44\xa1\x18\x21\x99\xa0\x40\x40"),
        CASE("\x84\x43\xa1\x01\x40\xa0\x40\x40"),          /* bytes for the algorithm */
        CASE("\x84\x46\xa1\x63iss\x01\xa0\x40\x40"),
        CASE("\x84\x43\xa1\x41\x00\xa0\x40\x40"),          /* bytes for a name */
        CASE("\x84\x42\xa0\x00\xa0\x40\x40"),              /* something behind the header */
        CASE("\x84\x44\xa1\x18\x21\x40\xa0\x42{}\x40"),    /* a certificate of no bytes */
    };
#undef CASE
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct error e = {0};
        AUTO(inspection_free) struct inspection seen = {0};
        enum status status = look((struct inspect_options){.as = "endorsement"},
                                  file_of("cose", broken[i]), &seen, &e);
        if (status != E_NO_EVIDENCE)
            fail_msg("case %zu: %d, %s", i, status, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_in_three_forms),
        cmocka_unit_test(test_turin),
        cmocka_unit_test(test_broken_policy_of_the_host),
        cmocka_unit_test(test_verify_wants_all),
        cmocka_unit_test(test_the_root_must_be_amds),
        cmocka_unit_test(test_report_refusals),
        cmocka_unit_test(test_report_dates_and_host_data),
        cmocka_unit_test(test_report_signature),
        cmocka_unit_test(test_thim),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_as),
        cmocka_unit_test(test_broken_endorsements),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

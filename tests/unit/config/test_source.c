/* Where a job comes from: a file, standard input, the variable DECANT_JOB, the flags. */
#include "testing.h"

#include <unistd.h>

#include "config/config.h"

static char folder[] = "/tmp/decant-test-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/job.json", folder);
    return unsetenv("DECANT_JOB");
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_file(void **state)
{
    (void)state;
    char source[256];
    struct error e = {0};
    AUTO(job_free) struct job job = {0}, none = {0};
    put("{\"volume\":{\"path\":\"/from-file\"}}");
    assert_int_equal(setenv("DECANT_JOB", "{\"volume\":{\"path\":\"/from-env\"}}", 1), 0);
    assert_ok(job_load(path, source, &job, &e), &e); /* -c comes first */
    assert_string_equal(job.volume.path, "/from-file");
    assert_string_equal(source, path);
    (void)unsetenv("DECANT_JOB");
    put("{\"volume\":{\"path\":1}}");
    assert_fails(job_load(path, source, &none, &e), E_USAGE, path, &e);
    assert_non_null(strstr(e.text, "job.json: volume.path: expected a string"));
    assert_fails(job_load("/nonexistent", source, &none, &e), E_USAGE,
                 "the job cannot be read: /nonexistent: No such file", &e);
    assert_string_equal(e.remedy, ""); /* the user named the file */
    assert_null(none.tree);
}

static void test_default(void **state)
{
    (void)state;
    char source[256];
    struct error e = {0};
    AUTO(job_free) struct job job = {0};
    if (access("/etc/decant/job.json", F_OK) == 0) {
        print_message("skipped: there is an /etc/decant/job.json here\n");
        skip();
    }
    assert_int_equal(setenv("DECANT_JOB", "", 1), 0); /* empty is not set */
    assert_fails(job_load(NULL, source, &job, &e), E_USAGE, "/etc/decant/job.json", &e);
    assert_non_null(strstr(e.remedy, "-c FILE"));
    assert_string_equal(source, "/etc/decant/job.json");
    (void)unsetenv("DECANT_JOB");
}

static void test_standard_input(void **state)
{
    (void)state;
    char source[256];
    int ends[2];
    struct error e = {0};
    static const char text[] = "{\"volume\":{\"path\":\"/from-stdin\"}}";
    AUTO(job_free) struct job job = {0};
    int before = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    assert_int_equal(write(ends[1], text, sizeof(text) - 1), sizeof(text) - 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    enum status status = job_load("-", source, &job, &e);
    if (before >= 0)
        (void)dup2(before, STDIN_FILENO);
    (void)close(before);
    assert_ok(status, &e);
    assert_string_equal(job.volume.path, "/from-stdin");
    assert_string_equal(source, "standard input");
}

static void test_variable(void **state)
{
    static const struct {
        const char *value, *part; /* PART NULL: it is good */
    } cases[] = {
        {"{\"volume\":{\"path\":\"/from-env\"}}", NULL},
        {" \n{\"volume\":{\"path\":\"/from-env\"}}\n", NULL},
        {"eyJ2b2x1bWUiOnsicGF0aCI6Ii9mcm9tLWVudiJ9fQ==", NULL},
        {" eyJ2b2x1bWUiOnsicGF0aCI6Ii9mcm9tLWVudiJ9fQ==\n", NULL},
        {"eyJ2b2x1bWUiOnsicGF0aCI6Ii9mcm9tLWVudiJ9fQ", "DECANT_JOB: neither JSON nor base64"},
        {"garbage!", "DECANT_JOB: neither JSON nor base64"},
        {"/etc/decant/job.json", "DECANT_JOB: "},
        {"aGVsbG8=", "DECANT_JOB: line 1, column 1: not valid JSON"},
        {"{\"volume\":{\"path\":1}}", "DECANT_JOB: volume.path: expected a string"},
        {"{", "DECANT_JOB: line 1"},
        {"[]", "DECANT_JOB: neither JSON nor base64"},
        {" ", "DECANT_JOB: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char source[256];
        struct error e = {0};
        AUTO(job_free) struct job job = {0};
        assert_int_equal(setenv("DECANT_JOB", cases[i].value, 1), 0);
        if (cases[i].part == NULL) {
            assert_ok(job_load(NULL, source, &job, &e), &e);
            assert_string_equal(job.volume.path, "/from-env");
        } else {
            assert_fails(job_load(NULL, source, &job, &e), E_USAGE, cases[i].part, &e);
        }
        assert_string_equal(source, "DECANT_JOB");
    }
    (void)unsetenv("DECANT_JOB");
}

static void test_flags(void **state)
{
    static const struct {
        struct job_flags flags;
        const char *part;
    } bad[] = {
        {{.from = "https://s.example/c/b"}, "--from and --to"},
        {{.to = "/v"}, "--from and --to"},
        {{.attestation = "https://p.example", .key = "k"}, "--from and --to"},
        {{.from = "https://s.example/c/b", .to = "/v"}, "--attestation URL and --key KID"},
        {{.from = "https://s.example/c/b", .to = "/v", .key = "k"}, "--attestation"},
        {{.from = "https://s.example/c/b", .to = "/v", .attestation = "https://p.example"},
         "--key"},
        {{.from = "http://s.example/c/b",
          .to = "/v",
          .attestation = "https://p.example",
          .key = "https://v.example/keys/k"},
         "plain http"},
        {{.from = "https://s.example/c/b",
          .to = "/v",
          .attestation = "p.example",
          .key = "https://v.example/keys/k"},
         "https://"},
        {{.from = "https://s.example/c/b",
          .to = "",
          .attestation = "https://p.example",
          .key = "https://v.example/keys/k"},
         "expected 1 to"},
    };
    (void)state;
    struct error e = {0};
    const struct job_flags good = {.from = "https://s.example/c/p/?sig=a%2Fb",
                                   .to = "/v \"quoted\" \\ \xC3\xA9",
                                   .attestation = "https://p.example",
                                   .key = "https://v.example/keys/k"};
    AUTO(job_free) struct job job = {0};
    assert_ok(job_from_flags(&good, &job, &e), &e);
    assert_string_equal(job.attestation.provider, good.attestation);
    assert_int_equal(job.n_keys, 1);
    assert_string_equal(job.keys[0].kid, good.key);
    assert_int_equal(job.n_inputs, 1);
    assert_string_equal(job.inputs[0].from, good.from);
    assert_null(job.inputs[0].to);
    assert_true(job.inputs[0].is_prefix);
    assert_string_equal(job.volume.path, good.to);
    assert_int_equal(job.volume.require, CONFIG_REQUIRE_CONFIDENTIAL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(job_free) struct job none = {0};
        assert_fails(job_from_flags(&bad[i].flags, &none, &e), E_USAGE, bad[i].part, &e);
        assert_null(none.tree);
    }
}

/* "E_USAGE names the flag": a flag's value that is refused. */
static void test_flags_are_named(void **state)
{
    static const struct {
        struct job_flags flags;
        const char *start;
    } cases[] = {
        {{"s.example", "/v", "https://p.example", "https://v.example/keys/k"}, "--from: a URL"},
        {{"https://s.example/c/b", "", "https://p.example", "https://v.example/keys/k"},
         "--to: expected"},
        {{"https://s.example/c/b", "/v", "http://p.example", "https://v.example/keys/k"},
         "--attestation: plain http"},
        {{"https://s.example/c/b", "/v", "https://p.example", "k"}, "--key: a URL"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(job_free) struct job job = {0};
        assert_fails(job_from_flags(&cases[i].flags, &job, &e), E_USAGE, "", &e);
        if (strncmp(e.text, cases[i].start, strlen(cases[i].start)) != 0)
            fail_msg("\"%s\" does not start with \"%s\"", e.text, cases[i].start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),           cmocka_unit_test(test_default),
        cmocka_unit_test(test_standard_input), cmocka_unit_test(test_variable),
        cmocka_unit_test(test_flags),          cmocka_unit_test(test_flags_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

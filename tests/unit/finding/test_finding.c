/* Findings: the two forms to the byte, hostile texts, the verdict, the bounds. */
#include "finding/finding.h"

#include <cjson/cJSON.h>

#include "testing.h"

static void fill(struct findings *f, struct error *e)
{
    struct error why = {0};
    (void)!fail(&why, E_NOT_RELEASED, "the vault refused");
    (void)snprintf(why.service_code, sizeof(why.service_code), "Forbidden");
    (void)snprintf(why.request_id, sizeof(why.request_id), "r-1");
    advise(&why, "grant the role");
    assert_ok(finding_ok(f, "report", e, "version %d", 2), e);
    assert_ok(finding_fail(f, "key a", &why, e), e);
    assert_ok(finding_skip(f, "volume", e, "no job"), e);
    assert_ok(finding_note(f, "clock", e, "2026"), e);
}

static void test_text(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    AUTO(buf_free) struct buf out = BUF(4096);
    fill(&f, &e);
    assert_ok(findings_text(&f, &out, &e), &e);
    assert_string_equal(
        buf_text(&out),
        "ok    report  version 2\n"
        "FAIL  key a   the vault refused (code Forbidden, request r-1). Grant the role.\n"
        "skip  volume  no job\n"
        "note  clock   2026\n");
}

static void test_json(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    AUTO(buf_free) struct buf out = BUF(4096);
    fill(&f, &e);
    assert_ok(findings_json(&f, &out, &e), &e);
    assert_string_equal(buf_text(&out),
                        "[{\"step\":\"report\",\"result\":\"ok\",\"text\":\"version 2\"},"
                        "{\"step\":\"key a\",\"result\":\"FAIL\",\"text\":\"the vault refused (code "
                        "Forbidden, request r-1)\",\"remedy\":\"grant the role\",\"exit_code\":13},"
                        "{\"step\":\"volume\",\"result\":\"skip\",\"text\":\"no job\"},"
                        "{\"step\":\"clock\",\"result\":\"note\",\"text\":\"2026\"}]");
}

/* Whatever a service sends stays one line, and no terminal takes it for a command. */
static void test_hostile(void **state)
{
    static const char hostile[] = "a\x1b[2J\nb\r\xff\xc2\x9b\"";
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    AUTO(buf_free) struct buf text = BUF(4096), json = BUF(4096);
    assert_ok(finding_note(&f, hostile, &e, "%s", hostile), &e);
    finding_advise(&f, "%s", hostile);
    assert_ok(findings_text(&f, &text, &e), &e);
    assert_string_equal(buf_text(&text),
                        "note  a?[2J?b????\"  a?[2J?b????\". A?[2J?b????\".\n");
    assert_ok(findings_json(&f, &json, &e), &e);
    AUTO(json_free) struct cJSON *tree = NULL;
    assert_ok(json_parse(buf_span(&json), E_BUG, &tree, &e), &e);
    assert_string_equal(json_text(cJSON_GetArrayItem(tree, 0), "step"), "a?[2J?b????\"");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    assert_ok(finding_ok(&f, "s", &e, "%0*d", 5000, 1), &e);
    assert_int_equal(strlen(f.list[0].text), sizeof(f.list[0].text) - 1);
    assert_string_equal(f.list[0].text + sizeof(f.list[0].text) - 4, "...");
}

static void test_columns(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    AUTO(buf_free) struct buf out = BUF(4096);
    assert_ok(finding_ok(&f, "\xc3\xa4", &e, "one wide"), &e);
    assert_ok(finding_ok(&f, "abc", &e, "three wide"), &e);
    assert_ok(finding_ok(&f, "a step that is longer than any column", &e, "x"), &e);
    assert_ok(findings_text(&f, &out, &e), &e);
    assert_string_equal(buf_text(&out), "ok    \xc3\xa4    one wide\n"
                                        "ok    abc  three wide\n"
                                        "ok    a step that is longer than any column  x\n");
}

static void test_verdict(void **state)
{
    (void)state;
    struct error e = {0}, why = {0};
    AUTO(findings_free) struct findings f = {0};
    assert_ok(findings_verdict(&f, &e), &e);
    assert_ok(finding_skip(&f, "a", &e, "x"), &e);
    assert_ok(finding_note(&f, "b", &e, "x"), &e);
    assert_ok(findings_verdict(&f, &e), &e);
    fill(&f, &e);
    assert_fails(findings_verdict(&f, &e), E_NOT_RELEASED, "key a: the vault refused", &e);
    assert_string_equal(e.remedy, "grant the role");
    (void)!fail(&why, E_MISMATCH, "digest");
    assert_ok(finding_check(&f, "c", E_MISMATCH, &why, &e, "fine"), &e);
    assert_fails(findings_verdict(&f, &e), E_NOT_RELEASED, "2 steps failed, the first: key a", &e);
}

static void test_check(void **state)
{
    (void)state;
    struct error e = {0}, why = {0};
    AUTO(findings_free) struct findings f = {0};
    assert_ok(finding_check(&f, "s", OK, &why, &e, "all %d", 3), &e);
    assert_int_equal(f.list[0].result, FINDING_OK);
    assert_string_equal(f.list[0].text, "all 3");
    (void)!fail(&e, E_VOLUME, "bad");
    assert_ok(finding_check(&f, "s", E_VOLUME, &e, &e, "unused"), &e);
    assert_int_equal(f.list[1].result, FINDING_FAIL);
    assert_int_equal(f.list[1].status, E_VOLUME);
    assert_string_equal(f.list[1].text, "bad");
}

static void test_bound(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(findings_free) struct findings f = {0};
    for (int i = 0; i < FINDINGS_MAX; i++)
        assert_ok(finding_note(&f, "s", &e, "%d", i), &e);
    assert_fails(finding_note(&f, "s", &e, "one more"), E_SPACE, "findings", &e);
    assert_int_equal(f.n, FINDINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_check),   cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

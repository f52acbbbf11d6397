/* Manifests: believed by their digest only; every odd line is refused. */
#include "testing.h"

#include "manifest/manifest.h"

#define SHA_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PIN   "\"sha256\":\"" SHA_A "\""

static enum status parse(const char *text, struct manifest **out, struct error *e)
{
    uint8_t pin[SHA256_SIZE];
    TRY(sha256(span_text(text), pin, e));
    return manifest_parse(span_text(text), pin, out, e);
}

static bool is_hex(const uint8_t digest[static SHA256_SIZE], const char *hex)
{
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(2 * SHA256_SIZE);
    assert_ok(hex_encode(span_of(digest, SHA256_SIZE), &out, &e), &e);
    return strcmp(buf_text(&out), hex) == 0;
}

static void test_lines(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(manifest_free) struct manifest *manifest = NULL;
    assert_ok(parse("{\"version\":1,\"files\":["
                    "{\"name\":\"z/last\",\"sha256\":\"" SHA_A "\",\"size\":3},"
                    "{\"name\":\"a\",\"key_sha256\":\"" SHA_B "\"},"
                    "{\"name\":\"m\",\"sha256\":\"" SHA_B "\",\"key_sha256\":\"" SHA_A
                    "\",\"size\":0}]}",
                    &manifest, &e),
              &e);
    const struct manifest_line *z = manifest_find(manifest, "z/last"),
                               *a = manifest_find(manifest, "a"), *m = manifest_find(manifest, "m");
    assert_true(z->has_sha256 && is_hex(z->sha256, SHA_A));
    assert_false(z->has_key_sha256);
    assert_true(z->has_size && z->size == 3);
    assert_false(a->has_sha256);
    assert_true(a->has_key_sha256 && is_hex(a->key_sha256, SHA_B));
    assert_false(a->has_size);
    assert_true(m->has_sha256 && is_hex(m->sha256, SHA_B));
    assert_true(m->has_key_sha256 && is_hex(m->key_sha256, SHA_A));
    assert_true(m->has_size && m->size == 0);
    assert_null(manifest_find(manifest, "z"));
    assert_null(manifest_find(manifest, "A"));
    assert_null(manifest_find(manifest, ""));
}

static void test_unseen(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(manifest_free) struct manifest *manifest = NULL, *empty = NULL;
    assert_ok(
        parse("{\"files\":[{\"name\":\"b\"," PIN "},{\"name\":\"a\"," PIN "}]}", &manifest, &e),
        &e);
    assert_string_equal(manifest_unseen(manifest)->name, "a");
    manifest_find(manifest, "a")->seen = true;
    assert_string_equal(manifest_unseen(manifest)->name, "b");
    manifest_find(manifest, "b")->seen = true;
    assert_null(manifest_unseen(manifest));
    assert_ok(parse("{\"files\":[]}", &empty, &e), &e);
    assert_null(manifest_unseen(empty));
    assert_null(manifest_find(empty, "a"));
}

/* One bit of the text or of the pin. */
static void test_pin(void **state)
{
    static const char text[] = "{\"files\":[{\"name\":\"a\"," PIN "}]}";
    (void)state;
    struct error e = {0};
    uint8_t pin[SHA256_SIZE];
    struct manifest *none = NULL;
    assert_ok(sha256(span_text(text), pin, &e), &e);
    for (size_t at = 0; at < sizeof(text); at++) { /* the last one changes nothing */
        char changed[sizeof(text)];
        AUTO(manifest_free) struct manifest *manifest = NULL;
        memcpy(changed, text, sizeof(text));
        if (at + 1 == sizeof(text)) {
            assert_ok(manifest_parse(span_text(changed), pin, &manifest, &e), &e);
            continue;
        }
        changed[at] ^= 1;
        assert_fails(manifest_parse(span_of(changed, sizeof(text) - 1), pin, &manifest, &e),
                     E_MISMATCH, "SHA-256", &e);
    }
    for (size_t at = 0; at < SHA256_SIZE; at++) {
        pin[at] ^= 0x80;
        assert_fails(manifest_parse(span_text(text), pin, &none, &e), E_MISMATCH, "SHA-256", &e);
        pin[at] ^= 0x80;
    }
    assert_null(none);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no JSON object with a list \"files\""},
        {"{\"files\":[]", "around the list \"files\": line 1, column 11: not valid JSON"},
        {"{\"files\":[]},", "around the list"},
        {"{\"files\":[{\"name\":\"a\"," PIN "}", "does not end"},
        {"{\"files\":[{\"name\":\"a\"," PIN "},]}", "files[1]: not a JSON object"},
        {"[]", "no JSON object with a list"},
        {"{}", "no JSON object with a list"},
        {"{\"version\":2,\"files\":[]}", "not of version 1"},
        {"{\"version\":\"1\",\"files\":[]}", "not of version 1"},
        {"{\"files\":{}}", "no JSON object with a list"},
        {"{\"files\":[],\"files\":[]}", "files: this JSON member stands twice"},
        {"{\"files\":[{\"name\":\"a\"," PIN "," PIN "}]}", "files[0]: sha256: this JSON member"},
        {"{\"files\":[1]}", "files[0]: not a JSON object"},
        {"{\"files\":[\"a\"]}", "files[0]: not a JSON object"},
        {"{\"files\":[{" PIN "}]}", "no name"},
        {"{\"files\":[{\"name\":1," PIN "}]}", "no name"},
        {"{\"files\":[{\"name\":\"a\"}]}", "a: neither \"sha256\" nor \"key_sha256\""},
        {"{\"files\":[{\"name\":\"a\",\"size\":3}]}", "a: neither"},
        {"{\"files\":[{\"name\":\"a\",\"sha256\":\"\"}]}", "a: \"sha256\""},
        {"{\"files\":[{\"name\":\"a\",\"sha256\":\"ba78\"}]}", "a: \"sha256\""},
        {"{\"files\":[{\"name\":\"a\",\"sha256\":\"" SHA_A "0\"}]}", "a: \"sha256\""},
        {"{\"files\":[{\"name\":\"a\"," PIN ",\"key_sha256\":\"x\"}]}", "a: \"key_sha256\""},
        {"{\"files\":[{\"name\":\"a\"," PIN ",\"key_sha256\":7}]}", "a: \"key_sha256\""},
        {"{\"files\":[{\"name\":\"a\"," PIN ",\"key_sha256\":null}]}", "a: \"key_sha256\""},
        {"{\"files\":[{\"name\":\"a\"," PIN ",\"size\":\"3\"}]}", "a: \"size\""},
        {"{\"files\":[{\"name\":\"a\"," PIN ",\"size\":-1}]}", "a: \"size\""},
        {"{\"files\":[{\"name\":\"a\",\"sha256\":"
         "\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\"}]}",
         "a: \"sha256\""},
        {"{\"files\":[{\"name\":\"a\"," PIN "},{\"name\":\"b\"," PIN "},{\"name\":\"a\"," PIN "}]}",
         "a: twice in the manifest"},
        {"{\"files\":[{\"name\":\"a\"," PIN "},{\"name\":\"\\u0061\"," PIN "}]}", "a: twice"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct manifest *manifest = NULL;
        assert_fails(parse(cases[i].text, &manifest, &e), E_MISMATCH, cases[i].part, &e);
        assert_null(manifest);
    }
}

static void test_many(void **state)
{
    (void)state;
    struct error e = {0};
    char name[32];
    AUTO(manifest_free) struct manifest *manifest = NULL;
    AUTO(buf_free) struct buf text = BUF(4 << 20);
    assert_ok(buf_add(&text, SPAN_LITERAL("{\"files\":["), &e), &e);
    for (int i = 30000; i > 0; i--) /* more than a JSON object may have members */
        assert_ok(buf_addf(&text, &e, "{\"name\":\"f%d\"," PIN ",\"size\":%d}%s", i, i,
                           i > 1 ? "," : "]}"),
                  &e);
    assert_ok(parse(buf_text(&text), &manifest, &e), &e);
    for (int i = 1; i <= 30000; i += 97) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(manifest_find(manifest, name)->size, i);
    }
}

/* Written, then read: the same lines, whatever the names. */
static void test_written(void **state)
{
    struct manifest_line lines[] = {
        {.name = "z", .has_sha256 = true, .size = 3, .has_size = true},
        {.name = "a \"quoted\" \\ name", .has_key_sha256 = true},
        {.name = "m\xC3\xA4/\xF0\x9F\x8D\xB7",
         .has_sha256 = true,
         .has_key_sha256 = true,
         .has_size = true},
    };
    (void)state;
    struct error e = {0};
    AUTO(manifest_free) struct manifest *manifest = NULL;
    AUTO(buf_free) struct buf text = BUF(MANIFEST_SIZE_MAX);
    assert_ok(manifest_begin(&text, &e), &e);
    for (size_t i = 0; i < COUNT(lines); i++) {
        memset(lines[i].sha256, 0xA0 + (int)i, lines[i].has_sha256 ? SHA256_SIZE : 0);
        memset(lines[i].key_sha256, 0x0B + (int)i, lines[i].has_key_sha256 ? SHA256_SIZE : 0);
    }
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_ok(manifest_add(&text, &lines[i], &e), &e);
    assert_ok(manifest_end(&text, &e), &e);
    assert_ok(parse(buf_text(&text), &manifest, &e), &e);
    assert_int_equal(manifest_count(manifest), COUNT(lines));
    assert_string_equal(manifest_at(manifest, 2)->name, "z");
    for (size_t i = 0; i < COUNT(lines); i++) {
        const struct manifest_line *read = manifest_find(manifest, lines[i].name);
        assert_non_null(read);
        assert_int_equal(read->has_size, lines[i].has_size);
        assert_int_equal(read->size, lines[i].size);
        assert_int_equal(read->has_sha256, lines[i].has_sha256);
        assert_int_equal(read->has_key_sha256, lines[i].has_key_sha256);
        assert_memory_equal(read->sha256, lines[i].sha256, SHA256_SIZE);
        assert_memory_equal(read->key_sha256, lines[i].key_sha256, SHA256_SIZE);
    }
}

static void test_written_within_bounds(void **state)
{
    static const struct manifest_line line = {.name = "a", .has_sha256 = true},
                                      bare = {.name = "a"};
    (void)state;
    struct error e = {0};
    AUTO(manifest_free) struct manifest *empty = NULL;
    AUTO(buf_free) struct buf text = BUF(4096), small = BUF(100);
    assert_ok(manifest_begin(&text, &e), &e);
    assert_fails(manifest_add(&text, &bare, &e), E_BUG, "without a pin", &e);
    assert_ok(manifest_end(&text, &e), &e);
    assert_ok(parse(buf_text(&text), &empty, &e), &e);
    assert_int_equal(manifest_count(empty), 0);
    assert_ok(manifest_begin(&small, &e), &e);
    assert_fails(manifest_add(&small, &line, &e), E_SPACE, "the manifest", &e);
    assert_non_null(strstr(e.remedy, "in parts"));
}

static void test_unpinned(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(manifest_free) struct manifest *manifest = NULL;
    assert_ok(
        manifest_parse(SPAN_LITERAL("{\"files\":[{\"name\":\"a\"," PIN "}]}"), NULL, &manifest, &e),
        &e);
    assert_int_equal(manifest_count(manifest), 1);
}

/* A quarter of what the run has, and never more than a reader takes. */
static void test_room(void **state)
{
    (void)state;
    struct error e = {0};
    const uint64_t mib = 1 << 20;
    assert_ok(manifest_check_room(32, 0, 8 * mib, &e), &e);
    assert_fails(manifest_check_room(32, 0, 8 * mib + 1, &e), E_SPACE, "more than 8 MiB", &e);
    assert_non_null(strstr(e.remedy, "memory_mib to 64"));
    assert_ok(manifest_check_room(64, 10 * mib, 6 * mib, &e), &e);
    assert_fails(manifest_check_room(64, 10 * mib, 6 * mib + 1, &e), E_SPACE, "more than 16", &e);
    assert_fails(manifest_check_room(65536, 0, 16 * mib + 1, &e), E_SPACE, "more than 16", &e);
    assert_fails(manifest_check_room(64, 17 * mib, 0, &e), E_SPACE, "more than 16", &e);
    assert_fails(manifest_check_room(64, mib, UINT64_MAX, &e), E_SPACE, "more than 16", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_pin),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many),     cmocka_unit_test(test_written),
        cmocka_unit_test(test_room),     cmocka_unit_test(test_written_within_bounds),
        cmocka_unit_test(test_unpinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

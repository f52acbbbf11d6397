/* What others see of a job on its volume: ready.json that is whole, or a failed run's mark. */
#include "scratch.h"

#include <time.h>

#define SENTENCE "decant run: blob a/b: not there (code BlobNotFound). Look for it."

static void path_of(const struct scratch *s, const char *leaf, char out[static PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%s/%s", s->path, leaf);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static enum status look(const struct scratch *s, bool *ready, struct error *waiting,
                        struct error *e)
{
    char path[PATH_SIZE];
    path_of(s, ".decant/ready.json", path);
    return ready_look(path, ready, waiting, e);
}

static struct volume *volume_of(const struct scratch *s, bool dry)
{
    struct error e = {0};
    struct volume *v = NULL;
    const struct volume_options options = {
        .path = s->path, .require = VOLUME_ANY, .mode = 0440, .uid = (uid_t)-1, .gid = (gid_t)-1};
    assert_ok(volume_open(&options, dry, &v, &e), &e);
    return v;
}

static void fail_on(struct scratch *s, int code)
{
    struct error e = {0};
    AUTO(volume_close) struct volume *v = volume_of(s, false);
    assert_ok(volume_mark_failed(v, code, SPAN_LITERAL(SENTENCE), &e), &e);
}

static void publish_on(struct scratch *s, const char *name, const char *text)
{
    struct error e = {0};
    AUTO(volume_close) struct volume *v = volume_of(s, false);
    AUTO(output_file_free) struct output_file *file = NULL;
    const struct output_entry entry = {.name = name,
                                       .size = strlen(text),
                                       .from = "https://a/b",
                                       .etag = "1",
                                       .envelope = "plain",
                                       .kid = "",
                                       .content_key_sha256 = ""};
    assert_ok(output_file_new(v, name, strlen(text), &file, &e), &e);
    assert_ok(output_file_write(file, 0, span_text(text), &e), &e);
    assert_ok(output_file_seal(&file, &entry, &e), &e);
    assert_ok(volume_publish(v, SPAN_LITERAL("\"version\":1"), &e), &e);
}

static void not_yet(const struct scratch *s, const char *why)
{
    bool ready = true;
    struct error waiting = {0}, e = {0};
    assert_ok(look(s, &ready, &waiting, &e), &e);
    assert_false(ready);
    if (strstr(waiting.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", waiting.text, why);
}

static void is_ready(const struct scratch *s)
{
    bool ready = false;
    struct error waiting = {0}, e = {0};
    assert_ok(look(s, &ready, &waiting, &e), &e);
    if (!ready)
        fail_msg("not ready: %s", waiting.text);
}

static void mark_fails(const struct scratch *s, enum status status, const char *text)
{
    bool ready = true;
    struct error waiting = {0}, e = {0};
    assert_fails(look(s, &ready, &waiting, &e), status, text, &e);
    assert_false(ready);
}

static void test_ready_when_published(void **state)
{
    struct scratch *s = *state;
    if (s == NULL)
        skip();
    not_yet(s, "is not there");
    publish_on(s, "x/a", "hello");
    is_ready(s);
}

static void test_a_file_that_is_not_whole(void **state)
{
    struct scratch *s = *state;
    char path[PATH_SIZE], other[PATH_SIZE];
    if (s == NULL)
        skip();
    publish_on(s, "a", "hello");
    path_of(s, "a", path);
    path_of(s, "other", other);
    assert_int_equal(rename(path, other), 0);
    not_yet(s, "a is not there in its whole size");
    assert_int_equal(symlink(other, path), 0);
    not_yet(s, "a is not there in its whole size");
    assert_int_equal(unlink(path) | mkdir(path, 0700), 0);
    not_yet(s, "a is not there in its whole size");
    assert_int_equal(rmdir(path) | rename(other, path), 0);
    is_ready(s);
    assert_int_equal(truncate(path, 4), 0);
    not_yet(s, "a is not there in its whole size");
    assert_int_equal(truncate(path, 6), 0);
    not_yet(s, "a is not there in its whole size");
    assert_int_equal(truncate(path, 5), 0);
    is_ready(s);
}

/* What lies there is hostile: another container may have written it. */
static void test_ready_file_of_another_form(void **state)
{
    struct scratch *s = *state;
    char path[PATH_SIZE], other[PATH_SIZE];
    if (s == NULL)
        skip();
    publish_on(s, "a", "hello");
    path_of(s, ".decant/ready.json", path);
    path_of(s, "elsewhere", other);
    static const char *const texts[] = {
        "",
        "{",
        "{}\n",
        "{\"files\":[]}\n",
        "[]\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":5}",
        "{\"files\":[\n{\"name\":\"a\",\"size\":5}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":5},\n",
        "{\"files\":[\nx]}\n",
        "{\"files\":[\n{\"name\":\"a\"}]}\n",
        "{\"files\":[\n{\"size\":5}]}\n",
        "{\"files\":[\n{\"name\":5,\"size\":5}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":-5}]}\n",
        "{\"files\":[\n{\"name\":\"../x\",\"size\":5}]}\n",
        "{\"files\":[\n{\"name\":\"/etc/passwd\",\"size\":5}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":5,\"size\":5}]}\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(unlink(path), 0);
        write_text(path, texts[i]);
        not_yet(s, "ready.json: ");
    }
    assert_int_equal(unlink(path), 0);
    write_text(path, "{\"files\":[\n{\"name\":\"a\",\"size\":5}]}\n");
    is_ready(s);
    assert_int_equal(rename(path, other) | symlink(other, path), 0);
    not_yet(s, "is not there");
}

static void test_mark(void **state)
{
    struct scratch *s = *state;
    char path[PATH_SIZE];
    struct stat st;
    if (s == NULL)
        skip();
    fail_on(s, 20);
    mark_fails(s, E_NOT_FOUND, "the job failed: decant run: blob a/b: not there");
    path_of(s, ".decant/failed.json", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
    fail_on(s, 22); /* the second replaces the first */
    mark_fails(s, E_NETWORK, "blob a/b");
    publish_on(s, "a", "hello");
    assert_int_equal(stat(path, &st), -1);
    is_ready(s);
    fail_on(s, 30); /* the last word counts, what is published stays */
    mark_fails(s, E_NOT_AUTHENTIC, "blob a/b");
    path_of(s, ".decant/ready.json", path);
    assert_int_equal(stat(path, &st), 0);
}

static void test_a_run_takes_the_mark_away(void **state)
{
    struct scratch *s = *state;
    char path[PATH_SIZE];
    struct stat st;
    if (s == NULL)
        skip();
    fail_on(s, 20);
    struct volume *v = volume_of(s, true);
    volume_close(&v);
    mark_fails(s, E_NOT_FOUND, "blob a/b"); /* a dry run changes nothing */
    v = volume_of(s, false);
    not_yet(s, "a run is at work");
    volume_close(&v);
    path_of(s, ".decant", path);
    assert_int_equal(stat(path, &st), -1); /* nor is its folder left */
}

static void test_no_mark(void **state)
{
    struct scratch *s = *state;
    struct error e = {0};
    if (s == NULL)
        skip();
    {
        AUTO(volume_close) struct volume *dry = volume_of(s, true);
        assert_ok(volume_mark_failed(dry, 20, SPAN_LITERAL(SENTENCE), &e), &e);
    }
    not_yet(s, "is not there");
    {
        AUTO(volume_close) struct volume *v = volume_of(s, false);
        assert_ok(volume_publish(v, SPAN_LITERAL("\"version\":1"), &e), &e);
        assert_ok(volume_mark_failed(v, 20, SPAN_LITERAL(SENTENCE), &e), &e);
    }
    char path[PATH_SIZE];
    struct stat st;
    path_of(s, ".decant/failed.json", path);
    assert_int_equal(stat(path, &st), -1);
}

static void test_mark_of_another_form(void **state)
{
    struct scratch *s = *state;
    char path[PATH_SIZE], folder[PATH_SIZE];
    if (s == NULL)
        skip();
    path_of(s, ".decant", folder);
    path_of(s, ".decant/failed.json", path);
    assert_int_equal(mkdir(folder, 0755), 0);
    static const char *const texts[] = {
        "",
        "{}",
        "{\"exit_code\":20}",
        "{\"message\":\"x\"}",
        "{\"exit_code\":0,\"message\":\"x\"}",
        "{\"exit_code\":256,\"message\":\"x\"}",
        "{\"exit_code\":\"20\",\"message\":\"x\"}",
        "{\"exit_code\":20,\"message\":7}",
        "{\"exit_code\":20,\"message\":\"x\"} x",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        write_text(path, texts[i]);
        mark_fails(s, E_BUG, "failed.json");
    }
    write_text(path, "{\"exit_code\":20,\"message\":\"\\u001b[2Jx\"}");
    mark_fails(s, E_NOT_FOUND, "the job failed: ?[2Jx"); /* no command to the terminal */
    assert_int_equal(unlink(path) | symlink("/etc/passwd", path), 0);
    mark_fails(s, E_BUG, "failed.json");
    assert_int_equal(unlink(path) | mkfifo(path, 0600), 0);
    mark_fails(s, E_BUG, "failed.json"); /* and does not hang */
    char *large = malloc(70000);
    assert_non_null(large);
    memset(large, ' ', 69999);
    large[69999] = '\0';
    assert_int_equal(unlink(path), 0);
    write_text(path, large);
    free(large);
    mark_fails(s, E_BUG, "failed.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready_when_published),       TEST(test_a_file_that_is_not_whole),
        TEST(test_ready_file_of_another_form), TEST(test_mark),
        TEST(test_a_run_takes_the_mark_away),  TEST(test_no_mark),
        TEST(test_mark_of_another_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

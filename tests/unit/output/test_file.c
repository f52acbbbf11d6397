/* Unnamed files: room, places, digests, collisions of names, and what a killed process leaves. */
#include "scratch.h"

#include <signal.h>

static struct output_entry entry_of(const char *name, uint64_t size)
{
    return (struct output_entry){.name = name, .size = size};
}

static void bytes_go_to_their_places(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    uint8_t expected[SHA256_SIZE];
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(output_file_free) struct output_file *f = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(output_file_new(v, "f", 64, &f, &e), &e);
    struct sink sink = output_file_sink(f);
    assert_ok(sink.write(sink.context, 5, span_text("world"), &e), &e);
    assert_ok(sink.write(sink.context, 0, span_text("hello"), &e), &e);
    assert_ok(output_file_sha256(f, 10, digest, &e), &e);
    assert_ok(sha256(span_text("helloworld"), expected, &e), &e);
    assert_memory_equal(digest, expected, sizeof digest);
    assert_fails(output_file_sha256(f, 65, digest, &e), E_BUG, "ends at byte", &e);
    struct output_entry entry = entry_of("f", 10); /* less than was reserved */
    assert_ok(output_file_seal(&f, &entry, &e), &e);
    assert_null(f);
    assert_false(exists(root, "f")); /* sealed is not published */
    assert_string_equal(file_text(root, ".decant/stage/tree/f"), "helloworld");
}

static void a_large_file_hashes_in_pieces(void **state)
{
    static uint8_t bytes[700001];
    const char *root = scratch_path(state);
    struct error e = {0};
    uint8_t digest[SHA256_SIZE];
    uint8_t expected[SHA256_SIZE];
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(output_file_free) struct output_file *f = NULL;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(output_file_new(v, "f", 0, &f, &e), &e);
    assert_ok(output_file_write(f, 0, span_of(bytes, sizeof bytes), &e), &e);
    assert_ok(output_file_sha256(f, sizeof bytes, digest, &e), &e);
    assert_ok(sha256(span_of(bytes, sizeof bytes), expected, &e), &e);
    assert_memory_equal(digest, expected, sizeof digest);
}

static void hostile_places_are_refused(void **state)
{
    const char *root = scratch_path(state);
    static const uint64_t places[] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX,
                                      (uint64_t)INT64_MAX + 1};
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(output_file_free) struct output_file *f = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(output_file_new(v, "f", 0, &f, &e), &e);
    for (size_t i = 0; i < COUNT(places); i++)
        assert_fails(output_file_write(f, places[i], span_text("xx"), &e), E_SPACE, "f: ", &e);
    struct output_file *g = NULL;
    assert_fails(output_file_new(v, "g", UINT64_MAX, &g, &e), E_SPACE, "bytes needed", &e);
    assert_fails(output_file_new(v, "g", (uint64_t)INT64_MAX, &g, &e), E_SPACE, "bytes needed", &e);
    assert_fails(output_file_new(v, "../g", 1, &g, &e), E_NAME, "'..'", &e);
    assert_null(g);
}

static void a_file_with_missing_bytes_is_not_sealed(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(output_file_free) struct output_file *f = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(output_file_new(v, "f", 100, &f, &e), &e);
    assert_ok(output_file_write(f, 0, span_text("some"), &e), &e);
    struct output_entry entry = entry_of("f", 5);
    assert_fails(output_file_seal(&f, &entry, &e), E_BUG, "only 4 of 5", &e);
    assert_null(f);
    assert_ok(put(v, "f", "", &e), &e); /* the name is still free, and a file may be empty */
}

static void colliding_names_are_refused(void **state)
{
    const char *root = scratch_path(state);
    static const struct {
        const char *first, *second, *because;
    } cases[] = {
        {"a", "a", "two blobs"},
        {"a/b", "a/b", "two blobs"},
        {"a", "a/b", "a file in another blob's"},
        {"a/b", "a", "another blob's name has it as a directory"},
        {"a", "a/b/c", "a file in another blob's"},
        {"a/b/c", "a/b", "another blob's name has it as a directory"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(volume_close) struct volume *v = NULL;
        assert_ok(volume_at(root, &v, &e), &e);
        assert_ok(put(v, cases[i].first, "1", &e), &e);
        assert_fails(put(v, cases[i].second, "2", &e), E_NAME, cases[i].because, &e);
        assert_true(e.remedy[0] != '\0');
        assert_ok(put(v, "b/a", "3", &e), &e); /* not everything collides */
        assert_ok(put(v, "A", "4", &e), &e);
    }
}

static void the_entry_s_name_is_checked(void **state)
{
    const char *root = scratch_path(state);
    static const char *const names[] = {"../f", "/f", ".decant/ready.json", "a//b", ""};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct error e = {0};
        AUTO(volume_close) struct volume *v = NULL;
        struct output_file *f = NULL;
        assert_ok(volume_at(root, &v, &e), &e);
        assert_ok(output_file_new(v, "good", 0, &f, &e), &e);
        struct output_entry entry = entry_of(names[i], 0);
        assert_fails(output_file_seal(&f, &entry, &e), E_NAME, "cannot be published", &e);
    }
}

/* ---- A full volume --------------------------------------------------------------------------- */

static void full_body(const char *root)
{
    static uint8_t half[512 * 1024];
    static uint8_t more[520 * 1024];
    struct error e = {0};
    struct volume *v = NULL;
    struct output_file *f = NULL;
    struct output_file *g = NULL;
    if (mount("none", root, "tmpfs", 0, "size=1m") != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK(volume_facts(v)->available <= 1024 * 1024);
    CHECK_STATUS(volume_has_room(v, 900 * 1024, &e), OK, &e);
    CHECK_STATUS(volume_has_room(v, 1024 * 1024 + 1, &e), E_SPACE, &e);
    CHECK(strstr(e.text, "1048577") != NULL && e.remedy[0] != '\0');

    CHECK_STATUS(output_file_new(v, "big", 2 * 1024 * 1024, &f, &e), E_SPACE, &e);
    CHECK(f == NULL && strstr(e.text, "big: no space: 2097152 bytes needed") != NULL);
    CHECK(e.remedy[0] != '\0');
    CHECK_STATUS(volume_has_room(v, 900 * 1024, &e), OK, &e); /* what was taken was given back */

    CHECK_STATUS(output_file_new(v, "f", sizeof half, &f, &e), OK, &e);
    CHECK_STATUS(volume_has_room(v, 600 * 1024, &e), E_SPACE, &e); /* reserved is reserved */
    CHECK_STATUS(output_file_new(v, "g", 0, &g, &e), OK, &e);
    CHECK_STATUS(output_file_write(g, 0, span_of(more, sizeof more), &e), E_SPACE, &e);
    CHECK(strstr(e.text, "g: ") == e.text && e.remedy[0] != '\0');
    CHECK_STATUS(output_file_write(f, 0, span_of(half, sizeof half), &e), OK, &e);
    output_file_free(&g);
    struct output_entry entry = entry_of("f", sizeof half);
    CHECK_STATUS(output_file_seal(&f, &entry, &e), OK, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(exists(root, "f") && !exists(root, "g"));
}

static void a_full_volume_is_told_early(void **state)
{
    in_namespace(full_body, scratch_path(state));
}

static void surplus_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    struct output_file *f = NULL;
    if (mount("none", root, "tmpfs", 0, "size=1m") != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(output_file_new(v, "f", 900 * 1024, &f, &e), OK, &e);
    CHECK_STATUS(output_file_write(f, 0, span_text("short"), &e), OK, &e);
    struct output_entry entry = entry_of("f", 5);
    CHECK_STATUS(output_file_seal(&f, &entry, &e), OK, &e);
    CHECK_STATUS(volume_has_room(v, 900 * 1024, &e), OK, &e);
    volume_close(&v);
}

static void sealing_gives_surplus_back(void **state)
{
    in_namespace(surplus_body, scratch_path(state));
}

/* ---- A killed process ---- */

static int count_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)walk;
    /* Outside of the stage, which nobody else can enter, nothing may have a name. */
    return kind == FTW_F && strstr(path, "/.decant/stage/") == NULL;
}

static void a_killed_run_leaves_no_partial_file(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    int result = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct volume *v = NULL;
        struct output_file *f = NULL;
        CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
        CHECK_STATUS(put(v, "whole/one", "1", &e), OK, &e);
        CHECK_STATUS(output_file_new(v, "partial", 4096, &f, &e), OK, &e);
        CHECK_STATUS(output_file_write(f, 0, span_text("half"), &e), OK, &e);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(nftw(root, count_one, 16, FTW_PHYS), 0);
    assert_false(exists(root, ".decant/stage/tree/partial"));
    assert_true(exists(root, ".decant/stage/tree/whole/one"));
    assert_int_equal(mode_of(root, ".decant/stage") & 0777, 0700);

    /* The next run clears it, and if it fails too, nothing at all is left. */
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(exists(root, ".decant/stage/tree/whole"));
    volume_close(&v);
    assert_false(exists(root, ".decant"));
}

/* ---- Threads --------------------------------------------------------------------------------- */

#define PER_THREAD 200

struct worker {
    struct volume *volume;
    unsigned int number;
};

static enum status seal_many(void *context, struct error *e)
{
    const struct worker *w = context;
    for (unsigned int i = 0; i < PER_THREAD; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "d%u/e%u/%u-%u", i % 3, i % 7, w->number, i);
        TRY(put(w->volume, name, name, e));
    }
    return OK;
}

static void threads_seal_side_by_side(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    struct worker workers[4];
    struct task tasks[4] = {0};
    for (unsigned int i = 0; i < 4; i++) {
        workers[i] = (struct worker){v, i};
        assert_ok(task_start(&tasks[i], seal_many, &workers[i], &e), &e);
    }
    for (unsigned int i = 0; i < 4; i++)
        assert_ok(task_join(&tasks[i], &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    for (unsigned int n = 0; n < 4; n++)
        for (unsigned int i = 0; i < PER_THREAD; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "d%u/e%u/%u-%u", i % 3, i % 7, n, i);
            assert_string_equal(file_text(root, name), name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_to_their_places),
        TEST(a_large_file_hashes_in_pieces),
        TEST(hostile_places_are_refused),
        TEST(a_file_with_missing_bytes_is_not_sealed),
        TEST(colliding_names_are_refused),
        TEST(the_entry_s_name_is_checked),
        TEST(a_full_volume_is_told_early),
        TEST(sealing_gives_surplus_back),
        TEST(a_killed_run_leaves_no_partial_file),
        TEST(threads_seal_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

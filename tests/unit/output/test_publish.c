/* Publishing: all or nothing, over an earlier run's files, and never through a link. */
#include "scratch.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>

static int files_in(const char *root)
{
    AUTO(json_free) struct cJSON *tree = ready_of(root);
    return cJSON_GetArraySize(json_array(tree, "files"));
}

static void assert_only_ready(const char *root)
{
    assert_true(exists(root, ".decant/ready.json"));
    assert_int_equal(unlink(below(root, ".decant/ready.json")), 0);
    assert_int_equal(rmdir(below(root, ".decant")), 0);
}

static void publish_pair(const char *root, const char *name1, const char *name2, const char *text)
{
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, name1, text, &e), &e);
    assert_ok(put(v, name2, text, &e), &e);
    assert_ok(volume_publish(v, span_text("\"version\":1"), &e), &e);
}

/* ---- What is published ----------------------------------------------------------------------- */

static void files_and_ready_appear(void **state)
{
    const char *root = scratch_path(state);
    publish_pair(root, "a/b/c", "ü \"q\"", "text");
    assert_string_equal(file_text(root, "a/b/c"), "text");
    assert_string_equal(file_text(root, "ü \"q\""), "text");
    assert_int_equal(mode_of(root, "a/b/c") & 07777, 0440);
    assert_int_equal(mode_of(root, "a/b") & 07777, 0755);
    AUTO(json_free) struct cJSON *tree = ready_of(root);
    uint64_t version = 0;
    assert_true(json_number(tree, "version", &version));
    assert_int_equal(version, 1);
    const struct cJSON *files = json_array(tree, "files");
    assert_int_equal(cJSON_GetArraySize(files), 2);
    assert_string_equal(json_text(cJSON_GetArrayItem(files, 0), "name"), "a/b/c");
    assert_string_equal(json_text(cJSON_GetArrayItem(files, 1), "name"), "ü \"q\"");
    assert_only_ready(root);
}

static void nothing_where_nobody_would_find_it(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    char path[4096];
    char away[4096];
    (void)snprintf(path, sizeof path, "%s", below(root, "volume"));
    (void)snprintf(away, sizeof away, "%s", below(root, "away"));
    assert_int_equal(mkdir(path, 0755), 0);
    assert_ok(volume_at(path, &v, &e), &e);
    assert_ok(put(v, "a", "text", &e), &e);
    assert_int_equal(rename(path, away), 0);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_BUG, "another directory is there", &e);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_BUG, "another directory is there", &e);
    assert_false(exists(path, "a"));
    assert_false(exists(away, "a"));
    volume_close(&v);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(away), 0);
}

static void an_entry_tells_what_there_is(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct output_file *f = NULL;
    struct output_entry entry = {.name = "f",
                                 .size = 3,
                                 .from = "https://a.example/c/f",
                                 .etag = "\"0x1\"",
                                 .envelope = "cse-v2",
                                 .kid = "https://v/k",
                                 .content_key_sha256 = "00ff",
                                 .has_sha256 = true};
    struct output_entry bare = {.name = "g", .size = 0, .kid = "", .content_key_sha256 = ""};
    memset(entry.sha256, 0xAB, sizeof entry.sha256);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(output_file_new(v, "f", 3, &f, &e), &e);
    assert_ok(output_file_write(f, 0, span_text("abc"), &e), &e);
    assert_ok(output_file_seal(&f, &entry, &e), &e);
    assert_ok(output_file_new(v, "g", 0, &f, &e), &e);
    assert_ok(output_file_seal(&f, &bare, &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);

    AUTO(json_free) struct cJSON *tree = ready_of(root);
    const struct cJSON *first = cJSON_GetArrayItem(json_array(tree, "files"), 0);
    const struct cJSON *second = cJSON_GetArrayItem(json_array(tree, "files"), 1);
    uint64_t size = 0;
    assert_true(json_number(first, "size", &size));
    assert_int_equal(size, 3);
    assert_string_equal(json_text(first, "from"), "https://a.example/c/f");
    assert_string_equal(json_text(first, "etag"), "\"0x1\"");
    assert_string_equal(json_text(first, "envelope"), "cse-v2");
    assert_string_equal(json_text(first, "key"), "https://v/k");
    assert_string_equal(json_text(first, "content_key_sha256"), "00ff");
    assert_string_equal(json_text(first, "sha256"),
                        "abababababababababababababababababababababababababababababababab");
    assert_int_equal(cJSON_GetArraySize(second), 2); /* name and size */
}

static void nothing_to_publish_is_a_list_too(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    assert_int_equal(files_in(root), 0);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_BUG, "before", &e);
    volume_close(&v);
    assert_only_ready(root);
}

static void a_rerun_replaces(void **state)
{
    const char *root = scratch_path(state);
    publish_pair(root, "a/b", "c", "old");
    int reader = open(below(root, "a/b"), O_RDONLY | O_CLOEXEC);
    assert_true(reader >= 0);
    publish_pair(root, "a/b", "d", "new");
    assert_string_equal(file_text(root, "a/b"), "new");
    assert_string_equal(file_text(root, "d"), "new");
    assert_string_equal(file_text(root, "c"), "old"); /* not this run's business */
    char text[8] = "";
    assert_int_equal(read(reader, text, sizeof text), 3); /* an open reader keeps what it had */
    assert_string_equal(text, "old");
    assert_int_equal(close(reader), 0);
    assert_int_equal(files_in(root), 2);
    assert_only_ready(root);
}

static void a_link_in_a_file_s_place_is_replaced_not_followed(void **state)
{
    const char *root = scratch_path(state);
    assert_true(file_put(root, "outside", "outside"));
    assert_int_equal(mkdir(below(root, "v"), 0755), 0);
    assert_int_equal(symlink("../outside", below(root, "v/f")), 0);
    assert_int_equal(symlink("nowhere", below(root, "v/g")), 0);
    publish_pair(below(root, "v"), "f", "g", "new");
    assert_true(S_ISREG(mode_of(root, "v/f")));
    assert_string_equal(file_text(root, "v/f"), "new");
    assert_string_equal(file_text(root, "v/g"), "new");
    assert_string_equal(file_text(root, "outside"), "outside");
    assert_false(exists(root, "v/nowhere"));
}

static void owner_and_mode_are_the_job_s(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct volume_options o = options_for(root);
    struct stat st;
    o.mode = 04755; /* never set-user-ID */
    o.uid = geteuid() == 0 ? 12345 : geteuid();
    o.gid = geteuid() == 0 ? 23456 : getegid();
    assert_ok(volume_open(&o, false, &v, &e), &e);
    assert_ok(put(v, "f", "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    assert_int_equal(lstat(below(root, "f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(st.st_uid, o.uid);
    assert_int_equal(st.st_gid, o.gid);
    assert_int_equal(lstat(below(root, ".decant/ready.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(st.st_uid, o.uid);
}

static void the_mode_never_sets_a_user_id(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct volume_options o = options_for(root); /* no owner: a chown would clear the bits itself */
    o.mode = 06755;
    assert_ok(volume_open(&o, false, &v, &e), &e);
    assert_ok(put(v, "f", "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    assert_int_equal(mode_of(root, "f") & 07777, 0755);
}

/* main makes the process untraceable, which hands its /proc entries to root. */
static void an_untraceable_process_can_publish(void **state)
{
    const char *root = scratch_path(state);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
    publish_pair(root, "a", "b", "text");
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    assert_string_equal(file_text(root, "a"), "text");
}

/* What a reader could see, in order: the old ready.json goes, files come, the new one comes last.
 */
static void ready_goes_first_and_comes_last(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    publish_pair(root, "a", "b", "old");
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, "a", "new", &e), &e);
    assert_ok(put(v, "c", "new", &e), &e);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(watch >= 0);
    assert_true(inotify_add_watch(watch, root, IN_MOVED_TO) >= 0);
    assert_true(inotify_add_watch(watch, below(root, ".decant"), IN_MOVE) >= 0);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);

    char seen[128] = "";
    _Alignas(struct inotify_event) char events[4096];
    ssize_t n = read(watch, events, sizeof events);
    assert_int_equal(close(watch), 0);
    for (ssize_t at = 0; at < n;) {
        struct inotify_event event;
        memcpy(&event, events + at, sizeof event);
        size_t used = strlen(seen);
        int more = snprintf(seen + used, sizeof seen - used, "%c%s ",
                            event.mask & IN_MOVED_FROM ? '-' : '+', events + at + sizeof event);
        assert_in_range(more, 1, sizeof seen - used - 1);
        at += (ssize_t)(sizeof event + event.len);
    }
    assert_string_equal(seen, "-ready.json +a +c +ready.json ");
}

/* ---- What is not ---- */

/* An earlier run published old/f and z; this one would publish new/deep/f, old/f and BAD, whose
 * place is spoilt. */
static void failing_run(const char *volume, const char *bad, enum status expected,
                        const char *because)
{
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(volume, &v, &e), &e);
    assert_ok(put(v, "new/deep/f", "new", &e), &e);
    assert_ok(put(v, "old/f", "new", &e), &e);
    assert_ok(put(v, bad, "new", &e), &e);
    assert_fails(volume_publish(v, span_text("\"version\":2"), &e), expected, because, &e);
    assert_true(e.remedy[0] != '\0');
    volume_close(&v);

    assert_string_equal(file_text(volume, "old/f"), "old");
    assert_string_equal(file_text(volume, "z"), "old");
    assert_false(exists(volume, "new"));
    AUTO(json_free) struct cJSON *tree = ready_of(volume);
    uint64_t version = 0;
    assert_true(json_number(tree, "version", &version));
    assert_int_equal(version, 1);
    assert_int_equal(files_in(volume), 2);
    assert_false(exists(volume, ".decant/stage"));
}

static void a_spoilt_place_undoes_everything(void **state)
{
    const char *root = scratch_path(state);
    char volume[PATH_SIZE];
    (void)snprintf(volume, sizeof volume, "%s", below(root, "v"));
    assert_int_equal(mkdir(volume, 0755), 0);
    assert_int_equal(mkdir(below(root, "outside"), 0755), 0);
    assert_true(file_put(root, "outside/f", "outside"));
    publish_pair(volume, "old/f", "z", "old");

    assert_int_equal(mkdir(below(volume, "dir"), 0755), 0);
    assert_true(file_put(volume, "dir/kept", "kept"));
    failing_run(volume, "dir", E_NAME, "is a directory");
    assert_string_equal(file_text(volume, "dir/kept"), "kept");

    assert_int_equal(symlink("../outside", below(volume, "link")), 0);
    failing_run(volume, "link/f", E_NAME, "a link or a file");
    failing_run(volume, "link/sub/g", E_NAME, "a link or a file");
    assert_string_equal(file_text(root, "outside/f"), "outside");
    assert_false(exists(root, "outside/sub"));

    assert_int_equal(symlink("..", below(volume, "dir/up")), 0);
    failing_run(volume, "dir/up/outside/f", E_NAME, "a link or a file");
    failing_run(volume, "z/below", E_NAME, "a link or a file");
    assert_string_equal(file_text(root, "outside/f"), "outside");
}

static void an_interrupted_publish_changes_nothing(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    publish_pair(root, "a", "b", "old");
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, "a", "new", &e), &e);
    stop_request(SIGTERM);
    enum status s = volume_publish(v, (struct span){0}, &e);
    stop_reset();
    assert_int_equal(s, E_INTERRUPTED);
    assert_string_equal(file_text(root, "a"), "old");
    assert_int_equal(files_in(root), 2);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e); /* and may be tried again */
    assert_string_equal(file_text(root, "a"), "new");
    assert_int_equal(files_in(root), 1);
}

static void undone_once_published_then(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_true(file_put(root, "b", "theirs"));
    assert_int_equal(mkdir(below(root, "c"), 0755), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, "a/x", "new", &e), &e);
    assert_ok(put(v, "b", "new", &e), &e);
    assert_ok(put(v, "c", "new", &e), &e);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_NAME, "c: its place", &e);
    assert_string_equal(file_text(root, "b"), "theirs");
    assert_false(exists(root, "a"));
    assert_false(exists(root, ".decant/ready.json"));
    assert_int_equal(rmdir(below(root, "c")), 0);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    assert_string_equal(file_text(root, "a/x"), "new");
    assert_string_equal(file_text(root, "b"), "new");
    assert_string_equal(file_text(root, "c"), "new");
    volume_close(&v);
    assert_only_ready(root);
}

/* Room for the files, none for ready.json: found out before anything moves. */
static void full_body(const char *root)
{
    static uint8_t bytes[4096];
    struct error e = {0};
    struct volume *v = NULL;
    struct output_file *f = NULL;
    if (mount("none", root, "tmpfs", 0, "size=256k") != 0)
        _exit(CHILD_SKIP);
    CHECK(file_put(root, "a", "theirs"));
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(put(v, "a", "new", &e), OK, &e);
    CHECK_STATUS(put(v, "d/b", "new", &e), OK, &e);
    CHECK_STATUS(output_file_new(v, "filler", 0, &f, &e), OK, &e);
    for (uint64_t at = 0; e.status == OK; at += sizeof bytes)
        if (output_file_write(f, at, span_of(bytes, sizeof bytes), &e) != OK)
            break;
    CHECK(e.status == E_SPACE);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), E_SPACE, &e);
    CHECK(e.remedy[0] != '\0');
    CHECK(strcmp(file_text(root, "a"), "theirs") == 0 && !exists(root, "d"));
    output_file_free(&f);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(strcmp(file_text(root, "a"), "new") == 0 && exists(root, "d/b"));
}

static void no_room_for_ready_publishes_nothing(void **state)
{
    in_namespace(full_body, scratch_path(state));
}

/* A place on another file system mounted inside the volume: it might be no confidential one. */
static void mount_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    CHECK(mkdir(below(root, "m"), 0755) == 0);
    if (mount("none", below(root, "m"), "tmpfs", 0, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(put(v, "a", "new", &e), OK, &e);
    CHECK_STATUS(put(v, "m/d/f", "new", &e), OK, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), E_NAME, &e);
    CHECK(strstr(e.text, "another file system") != NULL);
    CHECK(!exists(root, "a") && !exists(root, "m/d"));
    volume_close(&v);
    CHECK(!exists(root, ".decant"));
}

static void a_mount_inside_the_volume_is_refused(void **state)
{
    in_namespace(mount_body, scratch_path(state));
}

/* ---- Many ---- */

#define MANY 20000

static void twenty_thousand_files_cost_no_memory(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    size_t before = 0;
    assert_ok(volume_at(root, &v, &e), &e);
    for (unsigned int i = 0; i < MANY; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "part-%u/of-the-data/%u.bin", i / 1000, i);
        if (i == 1000)
            before = heap_in_use();
        assert_ok(put(v, name, "x", &e), &e);
    }
    assert_in_range(heap_in_use(), 0, before + 4096);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    assert_in_range(heap_in_use(), 0, before + 4096);
    volume_close(&v);
    assert_int_equal(files_in(root), MANY);
    assert_true(exists(root, "part-19/of-the-data/19999.bin"));
    assert_only_ready(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_and_ready_appear),
        TEST(nothing_where_nobody_would_find_it),
        TEST(an_entry_tells_what_there_is),
        TEST(nothing_to_publish_is_a_list_too),
        TEST(a_rerun_replaces),
        TEST(a_link_in_a_file_s_place_is_replaced_not_followed),
        TEST(owner_and_mode_are_the_job_s),
        TEST(the_mode_never_sets_a_user_id),
        TEST(an_untraceable_process_can_publish),
        TEST(ready_goes_first_and_comes_last),
        TEST(a_spoilt_place_undoes_everything),
        TEST(an_interrupted_publish_changes_nothing),
        TEST(undone_once_published_then),
        TEST(no_room_for_ready_publishes_nothing),
        TEST(a_mount_inside_the_volume_is_refused),
        TEST(twenty_thousand_files_cost_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

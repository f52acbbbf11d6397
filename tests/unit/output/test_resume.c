/* Resuming: what an earlier run published, or a killed one sealed, is kept if it is still right. */
#include "scratch.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

#define FROM       "https://a.example/c/b"
#define CONTENT_ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct output_entry entry_for(const char *name)
{
    return (struct output_entry){.name = name,
                                 .from = FROM,
                                 .etag = "\"0x8D\"",
                                 .envelope = "cse-v2",
                                 .kid = "https://v.example/keys/k/1",
                                 .content_key_sha256 = CONTENT_ID};
}

static enum status seal_as(struct volume *v, struct output_entry entry, const char *text,
                           struct error *e)
{
    AUTO(output_file_free) struct output_file *f = NULL;
    entry.size = strlen(text);
    TRY(output_file_new(v, entry.name, entry.size, &f, e));
    TRY(output_file_write(f, 0, span_text(text), e));
    return output_file_seal(&f, &entry, e);
}

static enum status seal(struct volume *v, const char *name, const char *text, struct error *e)
{
    return seal_as(v, entry_for(name), text, e);
}

/* Whether the file is kept; its size must then be that of TEXT. */
static bool keeps_as(struct volume *v, struct output_entry wanted, const char *text)
{
    struct error e = {0};
    bool kept = true;
    uint64_t size = 12345;
    wanted.size = 999; /* is ignored */
    assert_ok(output_keep(v, &wanted, &kept, &size, &e), &e);
    assert_int_equal(size, kept ? strlen(text) : 12345);
    return kept;
}

static bool keeps(struct volume *v, const char *name, const char *text)
{
    return keeps_as(v, entry_for(name), text);
}

static void publish(const char *root, const char *const *names, size_t n, const char *text)
{
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    for (size_t i = 0; i < n; i++)
        assert_ok(seal(v, names[i], text, &e), &e);
    assert_ok(volume_publish(v, span_text("\"version\":1"), &e), &e);
}

#define PUBLISH(root, text, ...)                                                                   \
    publish((root), (const char *const[]){__VA_ARGS__},                                            \
            COUNT(((const char *const[]){__VA_ARGS__})), (text))

/* A run of its own that seals NAMES, has one more file open, and dies. */
static void kill_run(const char *root, const char *const *names, size_t n, const char *text)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error e = {0};
        struct volume *v = NULL;
        struct output_file *open_file = NULL;
        CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
        for (size_t i = 0; i < n; i++)
            CHECK_STATUS(seal(v, names[i], text, &e), OK, &e);
        CHECK_STATUS(output_file_new(v, "half", 65536, &open_file, &e), OK, &e);
        CHECK_STATUS(output_file_write(open_file, 0, span_text("half"), &e), OK, &e);
        (void)raise(SIGKILL);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
}

#define KILL_RUN(root, text, ...)                                                                  \
    kill_run((root), (const char *const[]){__VA_ARGS__},                                           \
             COUNT(((const char *const[]){__VA_ARGS__})), (text))

static ino_t inode_of(const char *root, const char *rel)
{
    struct stat st;
    return lstat(below(root, rel), &st) == 0 ? st.st_ino : 0;
}

static bool ready_lists(const char *root, const char *const *names, size_t n)
{
    AUTO(json_free) struct cJSON *tree = ready_of(root);
    const struct cJSON *files = json_array(tree, "files");
    bool all = cJSON_GetArraySize(files) == (int)n;
    for (size_t i = 0; all && i < n; i++)
        all = strcmp(json_text(cJSON_GetArrayItem(files, (int)i), "name"), names[i]) == 0;
    return all;
}

#define READY_LISTS(root, ...)                                                                     \
    ready_lists((root), (const char *const[]){__VA_ARGS__},                                        \
                COUNT(((const char *const[]){__VA_ARGS__})))

/* ---- After a run that published ----------------------------------------------------------------
 */

static void nothing_is_kept_on_an_empty_volume(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps(v, "a", ""));
    assert_ok(seal(v, "a", "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
}

static void what_was_published_is_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    PUBLISH(root, "text", "a", "d/ü \"q\"", "d/e/c");
    ino_t inode = inode_of(root, "d/e/c");
    char before[8192];
    (void)snprintf(before, sizeof before, "%s", file_text(root, ".decant/ready.json"));
    for (int run = 0; run < 3; run++) {
        AUTO(volume_close) struct volume *v = NULL;
        assert_ok(volume_at(root, &v, &e), &e);
        assert_true(keeps(v, "a", "text"));
        assert_true(keeps(v, "d/ü \"q\"", "text"));
        assert_true(keeps(v, "d/e/c", "text"));
        assert_false(keeps(v, "b", ""));
        assert_ok(volume_publish(v, span_text("\"version\":1"), &e), &e);
        volume_close(&v);
        assert_string_equal(file_text(root, ".decant/ready.json"), before);
        assert_int_equal(inode_of(root, "d/e/c"), inode);
        assert_false(exists(root, ".decant/stage"));
    }
}

static void kept_and_new_are_published_together(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "old", "a", "b", "d/c", "gone");
    ino_t inode = inode_of(root, "d/c");
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(seal(v, "b", "new", &e), &e);
    assert_true(keeps(v, "d/c", "old"));
    assert_ok(seal(v, "d/n", "new", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_true(READY_LISTS(root, "b", "d/c", "d/n"));
    assert_string_equal(file_text(root, "b"), "new");
    assert_string_equal(file_text(root, "d/c"), "old");
    assert_string_equal(file_text(root, "d/n"), "new");
    assert_int_equal(inode_of(root, "d/c"), inode);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "b", "new"));
    assert_true(keeps(v, "d/c", "old"));
    assert_true(keeps(v, "d/n", "new"));
    assert_false(keeps(v, "a", "")); /* the run between did not have it */
}

/* What makes the entry another. */
static void another_blob_is_not_kept(void **state)
{
    const char *root = scratch_path(state);
    static const struct {
        const char *from, *etag, *envelope, *kid, *content_key, *decompress;
    } cases[] = {
        {.from = FROM "2"},
        {.from = ""},
        {.etag = "\"0x8E\""},
        {.etag = ""},
        {.etag = "\"0x8D\"\xFF"},
        {.etag = "\"0x8D\",\"envelope\":\"cse-v2"},
        {.envelope = "cse-v1"},
        {.kid = "https://v.example/keys/k"},
        {.kid = "https://v.example/keys/k/2"},
        {.kid = ""},
        {.content_key = "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
        {.content_key = ""},
        {.decompress = "gzip"},
    };
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "text", "a");
    assert_ok(volume_at(root, &v, &e), &e);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct output_entry wanted = entry_for("a");
        wanted.from = cases[i].from != NULL ? cases[i].from : wanted.from;
        wanted.etag = cases[i].etag != NULL ? cases[i].etag : wanted.etag;
        wanted.envelope = cases[i].envelope != NULL ? cases[i].envelope : wanted.envelope;
        wanted.kid = cases[i].kid != NULL ? cases[i].kid : wanted.kid;
        wanted.content_key_sha256 =
            cases[i].content_key != NULL ? cases[i].content_key : wanted.content_key_sha256;
        wanted.decompress = cases[i].decompress;
        if (keeps_as(v, wanted, ""))
            fail_msg("case %zu was kept", i);
    }
    assert_true(keeps(v, "a", "text"));
}

static void text_that_is_no_utf8_is_never_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct output_entry odd = entry_for("a");
    odd.etag = "\xFF";
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(seal_as(v, odd, "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps_as(v, odd, "x"));
    odd.etag = "\xFE"; /* is written the same way */
    assert_false(keeps_as(v, odd, "x"));
    odd.etag = "\xEF\xBF\xBD"; /* is what was written */
    assert_true(keeps_as(v, odd, "x"));
}

static void a_digest_must_be_the_one_that_was_computed(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct output_entry hashed = entry_for("hashed");
    struct output_entry bare = {.name = "bare"};
    hashed.has_sha256 = true;
    memset(hashed.sha256, 0xAB, sizeof hashed.sha256);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(seal_as(v, hashed, "text", &e), &e);
    assert_ok(seal_as(v, bare, "", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);

    assert_ok(volume_at(root, &v, &e), &e);
    hashed.sha256[31] ^= 1;
    assert_false(keeps_as(v, hashed, ""));
    hashed.sha256[31] ^= 1;
    bare.has_sha256 = true; /* nobody computed it */
    assert_false(keeps_as(v, bare, ""));
    bare.has_sha256 = false;
    assert_true(keeps_as(v, bare, ""));
    assert_true(keeps_as(v, hashed, "text"));
    volume_close(&v);

    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "hashed", "text")); /* not asked for, and listed all the same */
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    AUTO(json_free) struct cJSON *tree = ready_of(root);
    const struct cJSON *files = json_array(tree, "files");
    assert_int_equal(cJSON_GetArraySize(files), 1);
    assert_int_equal(strlen(json_text(cJSON_GetArrayItem(files, 0), "sha256")), 64);
}

/* ---- A file that was touched -------------------------------------------------------------------
 */

static bool overwrite(const char *root)
{
    int fd =
        chmod(below(root, "d/f"), 0640) == 0 ? open(below(root, "d/f"), O_WRONLY | O_CLOEXEC) : -1;
    bool good = fd >= 0 && pwrite(fd, "T", 1, 0) == 1 && fchmod(fd, 0440) == 0;
    return close(fd) == 0 && good;
}

static bool overwrite_and_hide(const char *root)
{
    struct stat st;
    struct timespec times[2];
    if (stat(below(root, "d/f"), &st) != 0 || !overwrite(root))
        return false;
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    return utimensat(AT_FDCWD, below(root, "d/f"), times, 0) == 0;
}

static bool cut(const char *root)
{
    return chmod(below(root, "d/f"), 0640) == 0 && truncate(below(root, "d/f"), 2) == 0 &&
           chmod(below(root, "d/f"), 0440) == 0;
}

static bool replace(const char *root)
{
    return file_put(root, "d/other", "text") && chmod(below(root, "d/other"), 0440) == 0 &&
           rename(below(root, "d/other"), below(root, "d/f")) == 0;
}

static bool change_mode(const char *root)
{
    return chmod(below(root, "d/f"), 0444) == 0;
}

static bool change_mode_and_back(const char *root)
{
    return chmod(below(root, "d/f"), 0444) == 0 && chmod(below(root, "d/f"), 0440) == 0;
}

static bool link_twice(const char *root)
{
    return link(below(root, "d/f"), below(root, "d/other")) == 0;
}

static bool take_away(const char *root)
{
    return unlink(below(root, "d/f")) == 0;
}

static bool link_instead(const char *root)
{
    return rename(below(root, "d/f"), below(root, "d/g")) == 0 &&
           symlink("g", below(root, "d/f")) == 0;
}

static bool directory_instead(const char *root)
{
    return take_away(root) && mkdir(below(root, "d/f"), 0440) == 0;
}

static bool parent_link(const char *root)
{
    return rename(below(root, "d"), below(root, "e")) == 0 && symlink("e", below(root, "d")) == 0;
}

static void a_touched_file_is_not_kept(void **state)
{
    const char *root = scratch_path(state);
    static const struct {
        const char *what;
        bool (*spoil)(const char *root);
    } cases[] = {
        {"overwritten", overwrite},
        {"overwritten, its mtime put back", overwrite_and_hide},
        {"cut", cut},
        {"replaced", replace},
        {"of another mode", change_mode},
        {"of another mode and back", change_mode_and_back},
        {"linked twice", link_twice},
        {"taken away", take_away},
        {"a link", link_instead},
        {"a directory", directory_instead},
        {"below a link", parent_link},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(volume_close) struct volume *v = NULL;
        PUBLISH(root, "text", "d/f", "x/other"); /* and at once, within one tick of the clock */
        assert_true(cases[i].spoil(root));
        assert_ok(volume_at(root, &v, &e), &e);
        if (keeps(v, "d/f", "text"))
            fail_msg("a file that is %s was kept", cases[i].what);
        assert_true(keeps(v, "x/other", "text"));
        volume_close(&v);
        scratch_empty(below(root, "d"));
        scratch_empty(below(root, "e"));
    }
}

static void another_mode_in_the_job_is_not_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct volume_options o = options_for(root);
    PUBLISH(root, "text", "a");
    o.mode = 0444;
    assert_ok(volume_open(&o, false, &v, &e), &e);
    assert_false(keeps(v, "a", ""));
    volume_close(&v);
    if (geteuid() == 0) {
        o = options_for(root);
        o.uid = 12345;
        assert_ok(volume_open(&o, false, &v, &e), &e);
        assert_false(keeps(v, "a", ""));
        assert_ok(seal(v, "a", "text", &e), &e);
        assert_ok(volume_publish(v, (struct span){0}, &e), &e);
        volume_close(&v);
        assert_ok(volume_open(&o, false, &v, &e), &e);
        assert_true(keeps(v, "a", "text"));
        volume_close(&v);
    }
    assert_ok(volume_at(root, &v, &e), &e);
    assert_int_equal(keeps(v, "a", "text"), geteuid() != 0);
}

static void a_file_touched_before_publishing_fails_the_run(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "text", "d/f", "z");
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(seal(v, "a", "new", &e), &e);
    assert_true(keeps(v, "d/f", "text"));
    assert_true(change_mode_and_back(root));
    assert_fails(volume_publish(v, (struct span){0}, &e), E_BUG, "d/f: ", &e);
    assert_true(e.remedy[0] != '\0');
    volume_close(&v);
    assert_false(exists(root, "a"));
    assert_true(READY_LISTS(root, "d/f", "z"));
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps(v, "d/f", ""));
    assert_true(keeps(v, "z", "text"));
}

/* ---- Names -------------------------------------------------------------------------------------
 */

static void a_name_is_kept_or_sealed_once(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    bool kept = false;
    uint64_t size = 0;
    PUBLISH(root, "text", "a", "b", "d/f", "g");
    KILL_RUN(root, "text", "killed");
    AUTO(volume_close) struct volume *v = NULL;
    struct output_entry a = entry_for("a");
    struct output_entry b = entry_for("b");
    struct output_entry killed = entry_for("killed");
    struct output_entry f = entry_for("d/f");
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "a", "text"));
    assert_fails(output_keep(v, &a, &kept, &size, &e), E_NAME, "a: two blobs", &e);
    a.etag = "other";
    assert_fails(output_keep(v, &a, &kept, &size, &e), E_NAME, "a: two blobs", &e);
    assert_true(e.remedy[0] != '\0');
    assert_fails(seal(v, "a", "new", &e), E_NAME, "a: two blobs", &e);
    assert_fails(seal(v, "a/x", "new", &e), E_NAME, "a/x: ", &e);
    assert_ok(seal(v, "b", "new", &e), &e);
    assert_fails(output_keep(v, &b, &kept, &size, &e), E_NAME, "b: two blobs", &e);
    assert_true(keeps(v, "killed", "text"));
    assert_fails(output_keep(v, &killed, &kept, &size, &e), E_NAME, "killed: two blobs", &e);
    assert_fails(seal(v, "killed", "new", &e), E_NAME, "killed: two blobs", &e);
    assert_ok(seal(v, "d", "new", &e), &e); /* where there was a directory */
    assert_fails(output_keep(v, &f, &kept, &size, &e), E_NAME, "d/f: ", &e);
    assert_false(kept);
    struct output_entry hostile = entry_for("../x");
    assert_fails(output_keep(v, &hostile, &kept, &size, &e), E_NAME, "cannot be published", &e);
}

struct crowd {
    struct volume *volume;
    _Atomic unsigned int kept, taken, other;
};

static enum status crowd_work(void *context, struct error *e)
{
    struct crowd *crowd = context;
    for (unsigned int i = 0; i < 200; i++) {
        char name[32];
        bool kept = false;
        uint64_t size = 0;
        (void)snprintf(name, sizeof name, "d/%u", i);
        struct output_entry wanted = entry_for(name);
        enum status s = output_keep(crowd->volume, &wanted, &kept, &size, e);
        if (s == OK && kept)
            crowd->kept++;
        else if (s == E_NAME)
            crowd->taken++;
        else
            crowd->other++;
    }
    return OK;
}

static void of_many_threads_one_keeps_a_file(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    for (unsigned int i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "d/%u", i);
        assert_ok(seal(v, name, "x", &e), &e);
    }
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_ok(volume_at(root, &v, &e), &e);
    struct crowd crowd = {.volume = v};
    struct task tasks[4] = {0};
    for (size_t i = 0; i < COUNT(tasks); i++)
        assert_ok(task_start(&tasks[i], crowd_work, &crowd, &e), &e);
    for (size_t i = 0; i < COUNT(tasks); i++)
        assert_ok(task_join(&tasks[i], &e), &e);
    assert_int_equal(crowd.kept, 200);
    assert_int_equal(crowd.taken, 600);
    assert_int_equal(crowd.other, 0);
}

/* ---- Runs that failed between ------------------------------------------------------------------
 */

static void failed_runs_do_not_spoil_what_can_be_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "old", "a", "b");
    assert_int_equal(mkdir(below(root, "dir"), 0755), 0);
    for (int run = 0; run < 3; run++) {
        assert_ok(volume_at(root, &v, &e), &e);
        assert_true(keeps(v, "a", "old"));
        assert_ok(seal(v, run == 0 ? "b" : "n", "new", &e), &e);
        assert_ok(seal(v, "dir", "new", &e), &e);
        if (run > 0) /* one that does not come to publishing, then some that have to undo it */
            assert_fails(volume_publish(v, (struct span){0}, &e), E_NAME, "dir: its place", &e);
        volume_close(&v);
        assert_string_equal(file_text(root, "a"), "old");
        assert_string_equal(file_text(root, "b"), "old");
        assert_false(exists(root, "n"));
        assert_false(exists(root, ".decant/stage"));
        assert_true(READY_LISTS(root, "a", "b"));
    }
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "a", "old"));
    assert_true(keeps(v, "b", "old"));
}

static void after_an_undone_publish_the_kept_stay_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "old", "a");
    KILL_RUN(root, "old", "k");
    assert_int_equal(mkdir(below(root, "dir"), 0755), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "a", "old"));
    assert_true(keeps(v, "k", "old"));
    assert_ok(seal(v, "dir", "new", &e), &e);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_NAME, "dir: its place", &e);
    assert_false(exists(root, "k"));
    assert_int_equal(rmdir(below(root, "dir")), 0);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_true(READY_LISTS(root, "a", "k", "dir"));
    assert_string_equal(file_text(root, "k"), "old");
}

static void an_edited_ready_is_not_believed(void **state)
{
    const char *root = scratch_path(state);
    static const char start[] = "{\"version\":1,\"files\":[\n";
    static const char good[] = "{\"name\":\"a\",\"size\":4}";
    static const char *const texts[] = {
        "",
        "\n",
        "{}\n",
        "{\"files\":[]}\n",
        "{\"files\":[{\"name\":\"a\",\"size\":4}]}\n",
        "{\n\"files\":[\n{\"name\":\"a\",\"size\":4}]}\n",
        "{\"other\":[\n{\"name\":\"a\",\"size\":4}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4}]}",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4},\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4}\n]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4}]}\n\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4},\n{\"size\":4}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4},\n{\"name\":\"b]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4},\n{\"name\":\"b\\]}\n",
        "{\"files\":[\n{\"name\": \"a\",\"size\":4}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":04}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4.0}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":-4}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":18446744073709551620}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4,\"more\":1}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4,\"sha256\":\"00\"}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4,\"sha256\":\"" CONTENT_ID "\"]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4,\"sha256\":\"" CONTENT_ID "\"}}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":4,\"sha256\":\"x" CONTENT_ID "\"}]}\n",
        "{\"files\":[\n{\"name\":\"a\",\"size\":5}]}\n",
        "{\"files\":[\n{\"name\":\"a\"}]}\n",
        "{\"files\":[\n{\"name\":\"a\"]}\n",
    };
    for (size_t i = 0; i <= COUNT(texts); i++) {
        struct error e = {0};
        AUTO(volume_close) struct volume *v = NULL;
        char text[512];
        (void)snprintf(text, sizeof text, "%s%s]}\n", start, good); /* the last one is right */
        scratch_empty(below(root, "a"));
        scratch_empty(below(root, ".decant"));
        assert_int_equal(mkdir(below(root, ".decant"), 0755), 0);
        assert_true(file_put(root, "a", "text"));
        assert_int_equal(chmod(below(root, "a"), 0440), 0);
        assert_int_equal(usleep(20000), 0);
        assert_true(file_put(root, ".decant/ready.json", i < COUNT(texts) ? texts[i] : text));
        assert_int_equal(chmod(below(root, ".decant/ready.json"), 0440), 0);
        assert_ok(volume_at(root, &v, &e), &e);
        struct output_entry wanted = {.name = "a"};
        if (keeps_as(v, wanted, "text") != (i == COUNT(texts)))
            fail_msg("ready.json number %zu: %s", i, i < COUNT(texts) ? texts[i] : text);
    }
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_int_equal(chmod(below(root, ".decant/ready.json"), 0640), 0); /* not as we leave it */
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps_as(v, (struct output_entry){.name = "a"}, ""));
    volume_close(&v);
    assert_int_equal(unlink(below(root, ".decant/ready.json")), 0);
    assert_int_equal(mkfifo(below(root, ".decant/ready.json"), 0440), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps_as(v, (struct output_entry){.name = "a"}, ""));
}

/* ---- Runs that were killed ---------------------------------------------------------------------
 */

static void what_a_killed_run_sealed_is_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    KILL_RUN(root, "text", "a", "d/b", "d/c", "unwanted");
    assert_false(exists(root, "a"));
    assert_true(exists(root, ".decant/stage/tree/d/c"));
    assert_false(exists(root, ".decant/stage/tree/half"));
    ino_t inode = inode_of(root, ".decant/stage/tree/d/c");
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "d/c", "text"));
    assert_false(keeps(v, "half", ""));
    struct output_entry other = entry_for("d/b");
    other.etag = "other";
    assert_false(keeps_as(v, other, ""));
    assert_false(exists(root, ".decant/stage/earlier/tree/d/b")); /* its room is needed */
    assert_true(exists(root, ".decant/stage/earlier/tree/unwanted"));
    assert_ok(seal_as(v, other, "new", &e), &e);
    assert_true(keeps(v, "a", "text"));
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_true(READY_LISTS(root, "d/c", "d/b", "a"));
    assert_string_equal(file_text(root, "a"), "text");
    assert_string_equal(file_text(root, "d/b"), "new");
    assert_int_equal(inode_of(root, "d/c"), inode);
    assert_int_equal(mode_of(root, "d/c") & 07777, 0440);
    assert_false(exists(root, "unwanted"));
    assert_false(exists(root, ".decant/stage"));
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "d/c", "text"));
}

static void a_failed_run_after_a_killed_one_leaves_nothing(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    KILL_RUN(root, "text", "a", "d/b");
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "a", "text"));
    volume_close(&v);
    assert_int_equal(rmdir(root), 0); /* empty, then */
    assert_int_equal(mkdir(root, 0700), 0);
}

static void a_touched_staged_file_is_not_kept(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    KILL_RUN(root, "text", "d/f", "mode", "fine", "link");
    char tree[PATH_SIZE];
    (void)snprintf(tree, sizeof tree, "%s", below(root, ".decant/stage/tree"));
    assert_true(overwrite_and_hide(tree));
    assert_int_equal(chmod(below(root, ".decant/stage/tree/mode"), 0644), 0);
    assert_int_equal(
        rename(below(root, ".decant/stage/tree/link"), below(root, ".decant/stage/tree/file")), 0);
    assert_int_equal(symlink("file", below(root, ".decant/stage/tree/link")), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps(v, "d/f", ""));
    assert_false(keeps(v, "mode", ""));
    assert_false(keeps(v, "link", ""));
    assert_true(keeps(v, "fine", "text"));
}

static void a_stage_that_others_can_reach_is_not_used(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    KILL_RUN(root, "text", "a");
    assert_int_equal(chmod(below(root, ".decant/stage"), 0777), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps(v, "a", ""));
}

/* Cut at every byte of the last record, as a kill in the middle of a write does. */
static void a_torn_journal_keeps_what_is_whole(void **state)
{
    const char *root = scratch_path(state);
    const char *path = below(root, ".decant/stage/journal");
    struct error e = {0};
    struct stat two;
    struct stat three;
    KILL_RUN(root, "text", "a", "b");
    assert_int_equal(stat(path, &two), 0);
    scratch_empty(below(root, ".decant"));
    KILL_RUN(root, "text", "a", "b", "c");
    assert_int_equal(stat(path, &three), 0);
    for (off_t size = three.st_size; size >= two.st_size; size -= size == three.st_size ? 1 : 7) {
        AUTO(volume_close) struct volume *v = NULL;
        scratch_empty(below(root, ".decant"));
        KILL_RUN(root, "text", "a", "b", "c");
        assert_int_equal(truncate(below(root, ".decant/stage/journal"), size), 0);
        assert_ok(volume_at(root, &v, &e), &e);
        assert_true(keeps(v, "a", "text"));
        assert_true(keeps(v, "b", "text"));
        assert_int_equal(keeps(v, "c", "text"), size == three.st_size);
        assert_ok(volume_publish(v, (struct span){0}, &e), &e);
        volume_close(&v);
        assert_int_equal(exists(root, "c"), size == three.st_size);
        assert_false(exists(root, ".decant/stage"));
        (void)unlink(below(root, "c"));
    }
}

/* Bytes of the journal changed, one after the other: it is refused or harmless, and never obeyed.
 */
static void a_damaged_journal_does_no_harm(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    struct stat st;
    KILL_RUN(root, "text", "a", "b");
    assert_int_equal(stat(below(root, ".decant/stage/journal"), &st), 0);
    unsigned int kept = 0;
    for (off_t at = 0; at < st.st_size; at += 3) {
        AUTO(volume_close) struct volume *v = NULL;
        uint8_t byte = 0;
        scratch_empty(below(root, ".decant"));
        KILL_RUN(root, "text", "a", "b");
        int fd = open(below(root, ".decant/stage/journal"), O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0xFF;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(close(fd), 0);
        assert_ok(volume_at(root, &v, &e), &e);
        bool a = keeps(v, "a", "text");
        bool b = keeps(v, "b", "text");
        kept += a && b;
        if (at >= 40 && at < 99) /* the title: another version, or another boot of the machine */
            assert_false(a || b);
    }
    assert_int_equal(kept, 24 / 3); /* the title's stamp means nothing */
}

static void runs_killed_in_a_row_add_up(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    char name[16];
    for (int run = 0; run < 12; run++) {
        (void)snprintf(name, sizeof name, "f%d", run);
        KILL_RUN(root, "text", name);
    }
    assert_ok(volume_at(root, &v, &e), &e);
    for (int run = 0; run < 12; run++) {
        (void)snprintf(name, sizeof name, "f%d", run);
        assert_int_equal(keeps(v, name, "text"), run >= 4); /* eight are remembered */
    }
    char deep[256] = ".decant/stage";
    for (int i = 0; i < 8; i++)
        (void)snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "/earlier");
    assert_true(exists(root, deep));
    (void)snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "/earlier");
    assert_false(exists(root, deep));
    volume_close(&v);
    assert_false(exists(root, ".decant"));
}

/* As a run leaves it that is killed while it publishes: the old ready.json aside, one file
 * exchanged with the old one, one not yet. */
static void a_run_killed_while_publishing_is_no_trap(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    PUBLISH(root, "old!", "a", "b", "c");
    KILL_RUN(root, "new!", "a", "b");
    assert_int_equal(
        rename(below(root, ".decant/ready.json"), below(root, ".decant/stage/ready.old")), 0);
    assert_int_equal(renameat2(AT_FDCWD, below(root, ".decant/stage/tree/a"), AT_FDCWD,
                               below(root, "a"), RENAME_EXCHANGE),
                     0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(keeps(v, "a", "")); /* the entry is the new file's, the file the old one */
    assert_true(keeps(v, "c", "old!"));
    assert_true(keeps(v, "b", "old!")); /* in its place, and its entry fits as well */
    assert_ok(seal(v, "a", "now!", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    assert_string_equal(file_text(root, "a"), "now!");
    assert_true(READY_LISTS(root, "c", "b", "a"));
}

/* ---- Space -------------------------------------------------------------------------------------
 */

static uint64_t free_bytes(const char *root)
{
    struct statvfs s;
    CHECK(statvfs(root, &s) == 0);
    return (uint64_t)s.f_bfree * s.f_frsize;
}

/* Seals SIZE bytes as NAME and dies. */
static void big_run_killed(const char *root, const char *name, uint64_t size)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct error e = {0};
        struct volume *v = NULL;
        struct output_file *f = NULL;
        struct output_file *half = NULL;
        static uint8_t bytes[4096];
        struct output_entry entry = entry_for(name);
        entry.size = size;
        CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
        CHECK_STATUS(output_file_new(v, name, size, &f, &e), OK, &e);
        for (uint64_t at = 0; at < size; at += sizeof bytes)
            CHECK_STATUS(output_file_write(f, at, span_of(bytes, sizeof bytes), &e), OK, &e);
        CHECK_STATUS(output_file_seal(&f, &entry, &e), OK, &e);
        CHECK_STATUS(output_file_new(v, "half", 65536, &half, &e), OK, &e);
        (void)raise(SIGKILL);
    }
    int result = 0;
    CHECK(waitpid(child, &result, 0) == child && WIFSIGNALED(result));
}

#define BIG ((uint64_t)640 * 1024)

static void space_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    struct output_file *f = NULL;
    static uint8_t bytes[4096];
    bool kept = false;
    uint64_t size = 0;
    struct output_entry wanted = entry_for("big");
    if (mount("none", root, "tmpfs", 0, "size=1m") != 0)
        _exit(CHILD_SKIP);
    uint64_t before = free_bytes(root);

    big_run_killed(root, "big", BIG); /* a run that fails after it gives everything back */
    CHECK(free_bytes(root) <= before - BIG && free_bytes(root) + 65536 > before - BIG);
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    volume_close(&v);
    CHECK(free_bytes(root) == before && !exists(root, ".decant"));

    big_run_killed(root, "big", BIG); /* one that keeps it needs no room for it */
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(output_keep(v, &wanted, &kept, &size, &e), OK, &e);
    CHECK(kept && size == BIG);
    CHECK_STATUS(output_file_new(v, "more", BIG, &f, &e), E_SPACE, &e); /* this run's stays */
    CHECK(exists(root, ".decant/stage/tree/big"));
    volume_close(&v);
    CHECK(free_bytes(root) == before);

    big_run_killed(root, "other", BIG); /* what nobody asked for makes room: when reserving */
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(output_file_new(v, "big", BIG, &f, &e), OK, &e);
    output_file_free(&f);
    volume_close(&v);
    CHECK(free_bytes(root) == before);

    big_run_killed(root, "other", BIG); /* and when writing */
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(output_file_new(v, "big", 0, &f, &e), OK, &e);
    for (uint64_t at = 0; at < BIG; at += sizeof bytes)
        CHECK_STATUS(output_file_write(f, at, span_of(bytes, sizeof bytes), &e), OK, &e);
    wanted.size = BIG;
    CHECK_STATUS(output_file_seal(&f, &wanted, &e), OK, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(exists(root, "big") && !exists(root, "other") && !exists(root, ".decant/stage"));
    CHECK(free_bytes(root) + BIG + 4096 >= before);
}

static void a_killed_run_costs_no_space(void **state)
{
    in_namespace(space_body, scratch_path(state));
}

static void fill(const char *root, const char *rel)
{
    int fd = open(below(root, rel), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && fallocate(fd, 0, 0, (off_t)free_bytes(root)) == 0 && close(fd) == 0);
    CHECK(free_bytes(root) == 0);
}

/* The killed run's files fill the volume to the last page. */
static void full_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    if (mount("none", root, "tmpfs", 0, "size=1m") != 0)
        _exit(CHILD_SKIP);
    big_run_killed(root, "big", BIG);
    fill(root, ".decant/stage/tree/filler");
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK(!exists(root, ".decant/stage/earlier"));
    CHECK_STATUS(seal(v, "a", "text", &e), OK, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(strcmp(file_text(root, "a"), "text") == 0);

    big_run_killed(root, "big", BIG); /* nor if only ready.json has no room any more */
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK_STATUS(seal(v, "a", "text", &e), OK, &e);
    fill(root, "filler");
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
}

static void a_full_volume_is_no_dead_end(void **state)
{
    in_namespace(full_body, scratch_path(state));
}

/* ---- Looking only ------------------------------------------------------------------------------
 */

static void a_dry_run_looks_and_changes_nothing(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct volume_options o = options_for(root);
    PUBLISH(root, "text", "a");
    KILL_RUN(root, "text", "b", "c");
    assert_ok(volume_open(&o, true, &v, &e), &e);
    assert_true(keeps(v, "a", "text"));
    assert_true(keeps(v, "b", "text"));
    struct output_entry other = entry_for("c");
    other.etag = "other";
    assert_false(keeps_as(v, other, ""));
    assert_false(keeps(v, "absent", ""));
    volume_close(&v);
    assert_true(exists(root, ".decant/stage/tree/b"));
    assert_true(exists(root, ".decant/stage/tree/c"));
    assert_false(exists(root, ".decant/stage.new"));
    assert_ok(volume_at(root, &v, &e), &e);
    assert_true(keeps(v, "a", "text"));
    assert_true(keeps(v, "b", "text"));
    assert_true(keeps(v, "c", "text"));
}

/* ---- Many --------------------------------------------------------------------------------------
 */

#define MANY 20000

static const char *many_name(unsigned int i)
{
    static char name[64];
    (void)snprintf(name, sizeof name, "part-%u/of-the-data/%u.bin", i / 1000, i);
    return name;
}

static void twenty_thousand_files_are_kept_in_little_memory(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    for (unsigned int i = 0; i < MANY; i++)
        assert_ok(seal(v, many_name(i), "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);

    assert_ok(volume_at(root, &v, &e), &e);
    size_t before = heap_in_use();
    for (unsigned int i = 0; i < MANY; i++)
        assert_int_equal(keeps(v, many_name(MANY - 1 - i), "x"), true);
    assert_in_range(heap_in_use(), 0, before + (size_t)2 * 16 * MANY);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    volume_close(&v);
    AUTO(json_free) struct cJSON *tree = ready_of(root);
    assert_int_equal(cJSON_GetArraySize(json_array(tree, "files")), MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_kept_on_an_empty_volume),
        TEST(what_was_published_is_kept),
        TEST(kept_and_new_are_published_together),
        TEST(another_blob_is_not_kept),
        TEST(text_that_is_no_utf8_is_never_kept),
        TEST(a_digest_must_be_the_one_that_was_computed),
        TEST(a_touched_file_is_not_kept),
        TEST(another_mode_in_the_job_is_not_kept),
        TEST(a_file_touched_before_publishing_fails_the_run),
        TEST(a_name_is_kept_or_sealed_once),
        TEST(of_many_threads_one_keeps_a_file),
        TEST(failed_runs_do_not_spoil_what_can_be_kept),
        TEST(after_an_undone_publish_the_kept_stay_kept),
        TEST(an_edited_ready_is_not_believed),
        TEST(what_a_killed_run_sealed_is_kept),
        TEST(a_failed_run_after_a_killed_one_leaves_nothing),
        TEST(a_touched_staged_file_is_not_kept),
        TEST(a_stage_that_others_can_reach_is_not_used),
        TEST(a_torn_journal_keeps_what_is_whole),
        TEST(a_damaged_journal_does_no_harm),
        TEST(runs_killed_in_a_row_add_up),
        TEST(a_run_killed_while_publishing_is_no_trap),
        TEST(a_killed_run_costs_no_space),
        TEST(a_full_volume_is_no_dead_end),
        TEST(a_dry_run_looks_and_changes_nothing),
        TEST(twenty_thousand_files_are_kept_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Opening a volume: what it is made of, who else is at work, what was left behind, and leaving no
 * trace. */
#include "scratch.h"

#include <sys/resource.h>
#include <sys/sysmacros.h>

static void tmpfs_is_confidential(void **state)
{
    const char *root = scratch_path(state);
    static const enum volume_requirement requirements[] = {VOLUME_CONFIDENTIAL, VOLUME_TMPFS,
                                                           VOLUME_ANY};
    for (size_t i = 0; i < COUNT(requirements); i++) {
        struct error e = {0};
        AUTO(volume_close) struct volume *v = NULL;
        struct volume_options o = options_for(root);
        o.require = requirements[i];
        assert_ok(volume_open(&o, false, &v, &e), &e);
        assert_string_equal(volume_facts(v)->kind, "tmpfs");
        assert_true(volume_facts(v)->confidential);
        assert_true(volume_facts(v)->available > 0);
    }
}

static void a_volume_must_be_a_directory(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    struct volume *v = NULL;
    assert_true(file_put(root, "file", "x"));
    assert_fails(volume_at(below(root, "file"), &v, &e), E_USAGE, "not a directory", &e);
    assert_fails(volume_at(below(root, "absent"), &v, &e), E_USAGE, "No such file", &e);
    assert_true(e.remedy[0] != '\0');
    assert_null(v);
}

static void a_second_decant_is_refused(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *first = NULL;
    struct volume *second = NULL;
    assert_ok(volume_at(root, &first, &e), &e);
    assert_ok(put(first, "a", "x", &e), &e);
    assert_fails(volume_at(root, &second, &e), E_BUG, "another decant", &e);
    struct volume_options o = options_for(root);
    assert_fails(volume_open(&o, true, &second, &e), E_BUG, "another decant", &e);
    assert_true(exists(root, ".decant/stage/tree/a")); /* the refused one took nothing away */
    volume_close(&first);
    assert_null(first);
    assert_ok(volume_at(root, &second, &e), &e);
    volume_close(&second);
    assert_false(exists(root, ".decant"));
}

static void a_dry_run_changes_nothing(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    struct volume_options o = options_for(root);
    assert_ok(volume_open(&o, true, &v, &e), &e);
    assert_false(exists(root, ".decant"));
    struct output_file *f = NULL;
    assert_fails(output_file_new(v, "a", 1, &f, &e), E_BUG, "dry run", &e);
    assert_fails(volume_publish(v, (struct span){0}, &e), E_BUG, "dry run", &e);
    assert_ok(volume_has_room(v, 1, &e), &e);
    volume_close(&v);

    assert_int_equal(mkdir(below(root, ".decant"), 0755), 0);
    assert_int_equal(mkdir(below(root, ".decant/stage"), 0700), 0);
    assert_ok(volume_open(&o, true, &v, &e), &e);
    volume_close(&v);
    assert_true(exists(root, ".decant/stage"));
}

static void a_failed_run_leaves_nothing(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(output_file_free) struct output_file *open_file = NULL;
    assert_ok(volume_at(root, &v, &e), &e);
    assert_int_equal(mode_of(root, ".decant") & 07777, 0755);
    assert_int_equal(mode_of(root, ".decant/stage") & 07777, 0700);
    assert_ok(put(v, "a/b/c", "x", &e), &e);
    assert_ok(output_file_new(v, "d", 4096, &open_file, &e), &e);
    output_file_free(&open_file);
    volume_close(&v);
    assert_int_equal(rmdir(root), 0); /* empty, then */
    assert_int_equal(mkdir(root, 0700), 0);
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    mode_t old = umask(077);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, "d/f", "x", &e), &e);
    assert_ok(volume_publish(v, (struct span){0}, &e), &e);
    (void)umask(old);
    assert_int_equal(mode_of(root, ".decant") & 07777, 0755);
    assert_int_equal(mode_of(root, "d") & 07777, 0755);
    assert_int_equal(mode_of(root, "d/f") & 07777, 0440);
    assert_int_equal(mode_of(root, ".decant/ready.json") & 07777, 0440);
}

/* ---- What others left behind ---- */

static void a_stale_stage_is_removed_without_following_links(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_int_equal(mkdir(below(root, "outside"), 0755), 0);
    assert_true(file_put(root, "outside/kept", "kept"));
    assert_int_equal(mkdir(below(root, ".decant"), 0755), 0);
    assert_int_equal(mkdir(below(root, ".decant/stage"), 0700), 0);
    assert_int_equal(mkdir(below(root, ".decant/stage/tree"), 0700), 0);
    assert_true(file_put(root, ".decant/stage/tree/old", "old"));
    assert_int_equal(symlink("../../../outside", below(root, ".decant/stage/tree/link")), 0);
    assert_int_equal(symlink("../../../outside/kept", below(root, ".decant/stage/tree/link2")), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_false(exists(root, ".decant/stage/tree/old"));
    assert_false(exists(root, ".decant/stage/tree/link"));
    volume_close(&v);
    assert_false(exists(root, ".decant"));
    assert_string_equal(file_text(root, "outside/kept"), "kept");
}

static void a_stage_that_is_a_link_is_only_unlinked(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    assert_int_equal(mkdir(below(root, "outside"), 0755), 0);
    assert_true(file_put(root, "outside/kept", "kept"));
    assert_int_equal(mkdir(below(root, ".decant"), 0755), 0);
    assert_int_equal(symlink("../outside", below(root, ".decant/stage")), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, "a", "x", &e), &e);
    assert_false(exists(root, "outside/tree"));
    assert_string_equal(file_text(root, "outside/kept"), "kept");
}

static void a_decant_that_is_a_link_is_refused(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    struct volume *v = NULL;
    struct volume_options o = options_for(root);
    assert_int_equal(mkdir(below(root, "outside"), 0755), 0);
    assert_int_equal(symlink("outside", below(root, ".decant")), 0);
    assert_fails(volume_open(&o, false, &v, &e), E_NAME, ".decant", &e);
    assert_fails(volume_open(&o, true, &v, &e), E_NAME, ".decant", &e);
    assert_false(exists(root, "outside/stage"));
    assert_int_equal(unlink(below(root, ".decant")), 0);
    assert_true(file_put(root, ".decant", "x"));
    assert_fails(volume_open(&o, false, &v, &e), E_NAME, ".decant", &e);
    assert_string_equal(file_text(root, ".decant"), "x");
}

/* The longest and deepest name: more levels than a process has descriptors. */
static void two_thousand_levels_come_and_go(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(volume_close) struct volume *v = NULL;
    char name[4096];
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = i % 2 == 0 ? 'd' : '/';
    name[sizeof name - 1] = '\0';
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_ok(volume_at(root, &v, &e), &e);
    assert_ok(put(v, name, "x", &e), &e);
    volume_close(&v);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(exists(root, ".decant"));
}

/* ---- Under a faked /sys and /proc ---- */

static bool device_fake(unsigned int major_number, unsigned int minor_number, const char *rel,
                        const char *uuid)
{
    char device[300];
    (void)snprintf(device, sizeof device, "/sys/dev/block/%u:%u%s", major_number, minor_number,
                   rel);
    if (mkdir(device, 0755) != 0 && errno != EEXIST)
        return false;
    if (mkdir(below(device, "slaves"), 0755) != 0)
        return false;
    if (uuid == NULL)
        return true;
    return mkdir(below(device, "dm"), 0755) == 0 && file_put(device, "dm/uuid", uuid);
}

/* A volume on the disk that carries /tmp, which pretends to be this or that. */
static void dm_crypt_body(const char *root)
{
    static const struct {
        const char *uuid, *slave1, *slave2;
        bool encrypted;
    } cases[] = {
        {"CRYPT-LUKS2-0123-x\n", NULL, NULL, true},
        {"CRYPT-PLAIN-x\n", NULL, NULL, true},
        {"CRYPT-LUKS1-0123-x\n", "", NULL, true},
        {"LVM-0123", "CRYPT-LUKS2-0123-x", NULL, true},
        {"LVM-0123", "CRYPT-LUKS2-0123-x", "CRYPT-LUKS2-0124-y", true},
        {NULL, "CRYPT-LUKS2-0123-x", NULL, true}, /* md */
        {NULL, NULL, NULL, false},
        {"LVM-0123", NULL, NULL, false},
        {"LVM-0123", "", NULL, false},
        {"LVM-0123", "CRYPT-LUKS2-0123-x", "", false},
        {"LVM-0123", "", "CRYPT-LUKS2-0123-x", false},
        {"CRYPT-VERITY-0123-x", NULL, NULL, false},
        {"CRYPT-INTEGRITY-0123-x", "", NULL, false},
        {"CRYPT-SUBDEV-0123-x", "", NULL, false},
        {"CRYPT-LUKS2-OPAL-0123-x", "", NULL, false},
        {"xCRYPT-LUKS2-0123-x", "", NULL, false},
        {"CRYPT-", NULL, NULL, false},
        {"", NULL, NULL, false},
    };
    struct stat st;
    char path[] = "/tmp/decant-test-XXXXXX";
    (void)root;
    if (stat("/tmp", &st) != 0 || major(st.st_dev) == 0 ||
        mount("none", "/sys/dev/block", "tmpfs", 0, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK(mkdtemp(path) != NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        unsigned int a = major(st.st_dev);
        unsigned int b = minor(st.st_dev);
        char device[64];
        CHECK(device_fake(a, b, "", cases[i].uuid));
        CHECK(cases[i].slave1 == NULL || device_fake(a, b, "/slaves/dm-1", cases[i].slave1));
        CHECK(cases[i].slave2 == NULL || device_fake(a, b, "/slaves/dm-2", cases[i].slave2));

        struct volume *v = NULL;
        struct volume_options o = options_for(path);
        CHECK_STATUS(volume_open(&o, true, &v, &e), cases[i].encrypted ? OK : E_VOLUME, &e);
        CHECK(cases[i].encrypted == (v != NULL));
        CHECK(v == NULL || strstr(volume_facts(v)->kind, " on dm-crypt") != NULL);
        CHECK(v == NULL || (volume_facts(v)->confidential && !volume_facts(v)->swap));
        CHECK(v != NULL || (strstr(e.text, "on device") != NULL && e.remedy[0] != '\0'));
        volume_close(&v);
        o.require = VOLUME_TMPFS;
        CHECK_STATUS(volume_open(&o, true, &v, &e), E_VOLUME, &e);
        o.require = VOLUME_ANY;
        CHECK_STATUS(volume_open(&o, true, &v, &e), OK, &e);
        CHECK(volume_facts(v)->confidential == cases[i].encrypted);
        volume_close(&v);
        (void)snprintf(device, sizeof device, "/sys/dev/block/%u:%u", a, b);
        scratch_empty(device);
    }
    CHECK(rmdir(path) == 0);
}

static void only_a_disk_on_dm_crypt_is_confidential(void **state)
{
    in_namespace(dm_crypt_body, scratch_path(state));
}

/* The same disk, pretending to be encrypted: the whole way to ready.json, where syncing is not
 * idle. */
static void disk_body(const char *root)
{
    struct stat st;
    struct error e = {0};
    struct volume *v = NULL;
    char path[] = "/tmp/decant-test-XXXXXX";
    (void)root;
    if (stat("/tmp", &st) != 0 || major(st.st_dev) == 0 ||
        mount("none", "/sys/dev/block", "tmpfs", 0, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK(mkdtemp(path) != NULL);
    CHECK(device_fake(major(st.st_dev), minor(st.st_dev), "", "CRYPT-LUKS2-0123-x"));
    CHECK_STATUS(volume_at(path, &v, &e), OK, &e);
    CHECK_STATUS(put(v, "d/f", "text", &e), OK, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(strcmp(file_text(path, "d/f"), "text") == 0);
    CHECK(exists(path, ".decant/ready.json") && !exists(path, ".decant/stage"));
    scratch_empty(path);
}

static void a_disk_serves_like_tmpfs(void **state)
{
    in_namespace(disk_body, scratch_path(state));
}

static void swaps_body(const char *root)
{
    static const char heading[] = "Filename\tType\tSize\tUsed\tPriority\n";
    struct error e = {0};
    struct volume *v = NULL;
    char text[256];
    CHECK(file_put(root, "swaps", heading));
    if (mount(below(root, "swaps"), "/proc/swaps", "none", MS_BIND, NULL) != 0)
        _exit(CHILD_SKIP);
    struct volume_options o = options_for(root);
    CHECK_STATUS(volume_open(&o, true, &v, &e), OK, &e);
    CHECK(!volume_facts(v)->swap);
    volume_close(&v);

    (void)snprintf(text, sizeof text, "%s/swapfile file\t\t1048572\t0\t-2\n", heading);
    CHECK(file_put(root, "swaps", text));
    CHECK_STATUS(volume_open(&o, true, &v, &e), OK, &e);
    CHECK(volume_facts(v)->swap);
    volume_close(&v);

    CHECK(mkdir(below(root, "m"), 0755) == 0);
    if (mount("none", below(root, "m"), "tmpfs", 0, "size=1m,noswap") != 0)
        return; /* only the real root may, since Linux 6.4 */
    o.path = below(root, "m");
    CHECK_STATUS(volume_open(&o, true, &v, &e), OK, &e);
    CHECK(!volume_facts(v)->swap);
    volume_close(&v);
}

static void swap_is_noticed(void **state)
{
    in_namespace(swaps_body, scratch_path(state));
}

static void ramfs_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    if (mount("none", root, "ramfs", 0, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), OK, &e);
    CHECK(strcmp(volume_facts(v)->kind, "ramfs") == 0);
    CHECK(volume_facts(v)->available == UINT64_MAX && !volume_facts(v)->swap);
    CHECK_STATUS(volume_has_room(v, UINT64_MAX, &e), OK, &e);
    CHECK_STATUS(put(v, "d/f", "text", &e), OK, &e);
    struct output_file *f = NULL;
    CHECK_STATUS(output_file_new(v, "big", UINT64_MAX, &f, &e), E_SPACE, &e);
    CHECK_STATUS(volume_publish(v, (struct span){0}, &e), OK, &e);
    volume_close(&v);
    CHECK(strcmp(file_text(root, "d/f"), "text") == 0);
}

static void ramfs_has_no_limit(void **state)
{
    in_namespace(ramfs_body, scratch_path(state));
}

static void other_device_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    CHECK(mkdir(below(root, ".decant"), 0755) == 0);
    if (mount("none", below(root, ".decant"), "tmpfs", 0, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), E_VOLUME, &e);
}

static void a_decant_on_another_file_system_is_refused(void **state)
{
    in_namespace(other_device_body, scratch_path(state));
}

static void read_only_body(const char *root)
{
    struct error e = {0};
    struct volume *v = NULL;
    if (mount("none", root, "tmpfs", MS_RDONLY, NULL) != 0)
        _exit(CHILD_SKIP);
    CHECK_STATUS(volume_at(root, &v, &e), E_USAGE, &e);
    CHECK(strstr(e.remedy, "writable") != NULL);
}

static void a_read_only_volume_is_refused(void **state)
{
    in_namespace(read_only_body, scratch_path(state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tmpfs_is_confidential),
        TEST(a_volume_must_be_a_directory),
        TEST(a_second_decant_is_refused),
        TEST(a_dry_run_changes_nothing),
        TEST(a_failed_run_leaves_nothing),
        TEST(modes_do_not_depend_on_the_umask),
        TEST(a_stale_stage_is_removed_without_following_links),
        TEST(a_stage_that_is_a_link_is_only_unlinked),
        TEST(a_decant_that_is_a_link_is_refused),
        TEST(two_thousand_levels_come_and_go),
        TEST(only_a_disk_on_dm_crypt_is_confidential),
        TEST(a_disk_serves_like_tmpfs),
        TEST(swap_is_noticed),
        TEST(ramfs_has_no_limit),
        TEST(a_decant_on_another_file_system_is_refused),
        TEST(a_read_only_volume_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A volume to try things on: a directory on tmpfs, gone at the end; and children in a mount
 * namespace. */
#ifndef DECANT_TEST_SCRATCH_H
#define DECANT_TEST_SCRATCH_H

#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output/output.h"

#define SCRATCH_TMPFS 0x01021994
#define PATH_SIZE     512

struct scratch {
    char path[64];
};

static inline int scratch_setup(void **state)
{
    static struct scratch s;
    struct statfs fs;
    (void)snprintf(s.path, sizeof s.path, "/dev/shm/decant-test-XXXXXX");
    if (mkdtemp(s.path) == NULL || statfs(s.path, &fs) != 0 ||
        (unsigned long)fs.f_type != SCRATCH_TMPFS) {
        print_message("skipped: no tmpfs at /dev/shm to test on\n");
        *state = NULL;
        return 0;
    }
    *state = &s;
    return 0;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int kind,
                                     struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

static inline void scratch_empty(const char *path)
{
    (void)nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int scratch_teardown(void **state)
{
    const struct scratch *s = *state;
    if (s != NULL)
        scratch_empty(s->path);
    return 0;
}

static inline const char *scratch_path(void **state)
{
    const struct scratch *s = *state;
    if (s == NULL)
        skip();
    return s->path;
}

/* ROOT/REL in one of four buffers. */
static inline const char *below(const char *root, const char *rel)
{
    static char paths[4][PATH_SIZE];
    static unsigned int next;
    char *path = paths[next++ % 4];
    if (snprintf(path, PATH_SIZE, "%s/%s", root, rel) >= PATH_SIZE)
        abort();
    return path;
}

static inline bool exists(const char *root, const char *rel)
{
    struct stat st;
    return lstat(below(root, rel), &st) == 0;
}

static inline mode_t mode_of(const char *root, const char *rel)
{
    struct stat st;
    return lstat(below(root, rel), &st) == 0 ? st.st_mode : 0;
}

static inline bool file_put(const char *root, const char *rel, const char *text)
{
    FILE *f = fopen(below(root, rel), "w");
    if (f == NULL)
        return false;
    bool good = fputs(text, f) >= 0;
    return fclose(f) == 0 && good;
}

/* The file's text in a static buffer; "" if there is none. */
static inline const char *file_text(const char *root, const char *rel)
{
    static char text[8192];
    size_t n = 0;
    FILE *f = fopen(below(root, rel), "r");
    if (f != NULL) {
        n = fread(text, 1, sizeof text - 1, f);
        (void)fclose(f);
    }
    text[n] = '\0';
    return text;
}

static inline struct volume_options options_for(const char *path)
{
    return (struct volume_options){.path = path,
                                   .require = VOLUME_CONFIDENTIAL,
                                   .mode = 0440,
                                   .uid = (uid_t)-1,
                                   .gid = (gid_t)-1};
}

static inline enum status volume_at(const char *path, struct volume **out, struct error *e)
{
    struct volume_options o = options_for(path);
    return volume_open(&o, false, out, e);
}

/* One whole file: new, write, seal. */
static inline enum status put(struct volume *v, const char *name, const char *text, struct error *e)
{
    AUTO(output_file_free) struct output_file *f = NULL;
    struct span bytes = span_text(text);
    TRY(output_file_new(v, name, bytes.size, &f, e));
    TRY(output_file_write(f, 0, bytes, e));
    struct output_entry entry = {.name = name,
                                 .size = bytes.size,
                                 .from = "https://a.example/c/b",
                                 .etag = "0x8D",
                                 .envelope = "cse-v2",
                                 .kid = "https://v.example/keys/k"};
    return output_file_seal(&f, &entry, e);
}

/* The published ready.json. */
static inline struct cJSON *ready_of(const char *root)
{
    struct error e = {0};
    struct cJSON *tree = NULL;
    AUTO(buf_free) struct buf text = BUF((size_t)16 << 20);
    assert_ok(file_read(below(root, ".decant/ready.json"), (size_t)16 << 20, &text, E_BUG, &e), &e);
    assert_ok(json_parse(buf_span(&text), E_BUG, &tree, &e), &e);
    return tree;
}

#if defined(__SANITIZE_ADDRESS__)
#define HEAP_BY_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_BY_SANITIZER 1
#endif
#endif

#ifdef HEAP_BY_SANITIZER
size_t __sanitizer_get_current_allocated_bytes(void);
static inline size_t heap_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
static inline size_t heap_in_use(void)
{
    return mallinfo2().uordblks;
}
#endif

/* ---- Children in a mount namespace: cmocka's assertions would return into the parent's runner
 * ---- */

#define CHILD_SKIP 77
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)
#define CHECK_STATUS(call, expected, error)                                                        \
    do {                                                                                           \
        enum status status_ = (call);                                                              \
        if (status_ != (expected)) {                                                               \
            (void)fprintf(stderr, "%s:%d: %s: status %d, not %d: %s\n", __FILE__, __LINE__, #call, \
                          status_, (expected), (error)->text);                                     \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline bool namespace_enter(void)
{
    char map[64];
    int uid = (int)geteuid();
    int gid = (int)getegid();
    if (uid == 0 && unshare(CLONE_NEWNS) == 0)
        return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    (void)snprintf(map, sizeof map, "0 %d 1", uid);
    if (!file_put("/proc/self", "setgroups", "deny") || !file_put("/proc/self", "uid_map", map))
        return false;
    (void)snprintf(map, sizeof map, "0 %d 1", gid);
    return file_put("/proc/self", "gid_map", map) &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Runs BODY where it may mount; skips the test if that is not allowed here. */
static inline void in_namespace(void (*body)(const char *root), const char *root)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!namespace_enter())
            _exit(CHILD_SKIP);
        body(root);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    if (WIFEXITED(result) && WEXITSTATUS(result) == CHILD_SKIP) {
        print_message("skipped: this needs a mount namespace of one's own, or something else not here\n");
        skip();
    }
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

#endif

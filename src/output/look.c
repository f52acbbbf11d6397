/*
 * For those who wait: what a job's ready.json, or its failed.json, says to another process, perhaps
 * in another container. Both are small words of ours on a volume that others may write to, so their
 * form is checked; the files are held against the list by name and size.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define MARKER_MAX ((size_t)64 * 1024)

/* The directory that holds PATH's last segment, and that one's parent: .decant and the volume. */
struct places {
    int own, root;
};

#define PLACES_NONE ((struct places){-1, -1})

static void places_free(struct places *p)
{
    descriptor_close(&p->own);
    descriptor_close(&p->root);
}

/* False if they are not there yet. */
static bool places_open(const char *path, struct places *out)
{
    AUTO(buf_free) struct buf folder = BUF(NAME_SIZE);
    struct error ignored = {0};
    const char *slash = strrchr(path, '/');
    size_t size = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (buf_add(&folder, size > 0 ? span_of(path, size) : SPAN_LITERAL("."), &ignored) != OK)
        return false;
    out->own = open(buf_text(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    out->root = out->own >= 0 ? openat(out->own, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return out->root >= 0;
}

static enum status marker_read(int fd, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(MARKER_MAX);
    AUTO(json_free) struct cJSON *tree = NULL;
    char path[64];
    struct stat st;
    uint64_t code = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) /* a pipe would make us wait for its writer */
        return fail(e, E_BUG, "it is no file");
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY(file_read(path, MARKER_MAX, &text, E_BUG, e));
    TRY(json_parse(buf_span(&text), E_BUG, &tree, e));
    const char *message = json_text(tree, "message");
    if (message == NULL || !json_number(tree, "exit_code", &code) || code < 1 || code > 255)
        return fail(e, E_BUG, "it is not of decant's form");
    size_t size = strlen(message);
    return fail(e, (enum status)code, "the job failed: %.*s",
                (int)(size > 0 && message[size - 1] == '.' ? size - 1 : size), message);
}

/* OK if there is none. */
static enum status marker_look(int own, struct error *e)
{
    AUTO(descriptor_close)
    int fd = openat(own, FAILED_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? OK : fail_errno(e, E_BUG, "cannot open " OWN_NAME "/" FAILED_NAME);
    if (marker_read(fd, e) == E_BUG)
        return wrap(e, OWN_NAME "/" FAILED_NAME);
    return e->status;
}

/* Is the file of OBJECT there, of its size? If not, WAITING says so. */
static enum status file_look(int root, struct span object, struct error *waiting, bool *there)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    struct stat st;
    uint64_t size = 0;
    TRY(json_parse(object, E_MISMATCH, &tree, waiting));
    const char *name = json_text(tree, "name");
    if (name == NULL || !json_number(tree, "size", &size))
        return fail(waiting, E_MISMATCH, "a file without name or size");
    TRY(output_name_check(name, waiting));
    *there = fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
             (uint64_t)st.st_size == size;
    if (!*there)
        return fail(waiting, E_MISMATCH, "%.200s is not there in its whole size", name);
    return OK;
}

static enum status files_look(const struct places *p, int ready, struct error *waiting)
{
    AUTO(buf_free) struct buf object = BUF(RECORD_TEXT_MAX + 2);
    uint64_t at = 0;
    bool last = false, there = false;
    if (!ready_begin(ready, &at))
        return fail(waiting, E_MISMATCH, "it is not of decant's form");
    while (!last) {
        if (!ready_next(ready, &at, &object, &last))
            return fail(waiting, E_MISMATCH, "it is not of decant's form");
        TRY(file_look(p->root, buf_span(&object), waiting, &there));
    }
    return OK;
}

/* From a run's first look at the volume until its end: what an earlier one published may be half
 * replaced in a moment. It stays behind a run that was killed, until the next one. */
static bool run_is_on(const struct places *p)
{
    struct stat st;
    return fstatat(p->own, STAGE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum status ready_look(const char *path, bool *ready, struct error *waiting, struct error *e)
{
    AUTO(places_free) struct places p = PLACES_NONE;
    const char *slash = strrchr(path, '/');
    const char *leaf = slash != NULL ? slash + 1 : path;
    *ready = false;
    (void)fail(waiting, E_NETWORK, "%.300s is not there", path);
    if (!places_open(path, &p))
        return OK;
    TRY(marker_look(p.own, e));
    if (run_is_on(&p)) {
        (void)fail(waiting, E_NETWORK, "a run is at work on the volume of %.300s, or was killed",
                   path);
        return OK;
    }
    AUTO(descriptor_close)
    int fd = openat(p.own, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return OK;
    *ready = files_look(&p, fd, waiting) == OK;
    if (!*ready)
        (void)wrap(waiting, "%.300s", path);
    return OK;
}

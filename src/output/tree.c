/*
 * Directories on the volume: walking to a file's parent, and removing a whole tree. The names were
 * checked by output_name_check, but what is on the volume was perhaps put there by others (an
 * earlier run, another container): each step opens one component below a descriptor and refuses to
 * follow a link.
 */
#include "output/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The umask may have taken permissions that readers need; a set-group-ID bit is inherited and
 * stays. */
static int permissions_add(int fd, mode_t mode)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    mode_t now = st.st_mode & 07777;
    return (now & mode) == mode ? 0 : fchmod(fd, now | mode);
}

static enum status directory_open(int parent, const char *name, int *out, struct error *e)
{
    int fd = openat(parent, name, OPEN_DIRECTORY);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return fail(e, E_NAME, "%.200s is there and is not a directory", name);
    if (fd < 0)
        return fail_errno(e, status_of(errno), "cannot open the directory %.200s", name);
    *out = fd;
    return OK;
}

enum status directory_make(int parent, const char *name, mode_t mode, int *out, bool *made,
                           struct error *e)
{
    bool new = mkdirat(parent, name, mode) == 0;
    if (!new &&errno != EEXIST)
        return fail_errno(e, status_of(errno), "cannot make the directory %.200s", name);
    AUTO(descriptor_close) int fd = -1;
    enum status s = directory_open(parent, name, &fd, e);
    if (s == OK && new &&permissions_add(fd, mode) != 0)
        s = fail_errno(e, status_of(errno), "cannot set the mode of %.200s", name);
    if (s != OK) {
        if (new)
            (void)unlinkat(parent, name, AT_REMOVEDIR);
        return s;
    }
    *out = fd;
    *made = new;
    fd = -1;
    return OK;
}

/* One step down from DIRECTORY into SEGMENT, the end of the path PREFIX. */
static enum status step_down(const struct walk *w, int directory, const char *segment,
                             const char *prefix, int *out, struct error *e)
{
    int fd = openat(directory, segment, OPEN_DIRECTORY);
    if (fd >= 0) {
        *out = fd;
        return OK;
    }
    if (errno == ENOTDIR || errno == ELOOP)
        return fail(e, E_NAME, "%.200s is %s", prefix, w->obstacle);
    if (errno != ENOENT || !w->make)
        return fail_errno(e, status_of(errno), "cannot open the directory %.200s", prefix);

    /* Noted before it is done: what is not in the list cannot be undone. */
    uint64_t before = w->made != NULL ? w->made->size : 0;
    if (w->made != NULL)
        TRY(journal_append(w->made, &(struct note){.kind = MADE_DIRECTORY, .name = prefix}, e));
    bool new = false;
    enum status s = directory_make(directory, segment, w->mode, out, &new, e);
    if (w->made != NULL && !new)
        w->made->size = before;
    return s;
}

enum status walk_parent(const struct walk *w, const char *name, int *parent, const char **leaf,
                        struct error *e)
{
    char path[NAME_SIZE + 1];
    size_t size = strlen(name);
    if (size > NAME_SIZE)
        return fail(e, E_NAME, "the name \"%.200s\" is too long", name);
    memcpy(path, name, size + 1);

    AUTO(descriptor_close) int here = fcntl(w->root, F_DUPFD_CLOEXEC, 0);
    if (here < 0)
        return fail_errno(e, status_of(errno), "cannot open the volume again");
    size_t start = 0;
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(path + start, '/')) {
        int next = -1;
        *slash = '\0';
        TRY(step_down(w, here, path + start, path, &next, e));
        *slash = '/';
        descriptor_close(&here);
        here = next;
        start = (size_t)(slash - path) + 1;
    }
    *parent = here;
    *leaf = name + start;
    here = -1;
    return OK;
}

/* ---- Removal -----------------------------------------------------------------------------------
 */

/* A name may have 2,000 levels, more than there are descriptors: directories below this depth are
 * moved up to the top first and removed from there. */
#define REMOVE_DEPTH 16

struct removal {
    int top;
    unsigned int moved; /* how many directories were moved up, which numbers their new names */
    bool failed;
};

static void directory_close(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
    *d = NULL;
}

static bool move_up(struct removal *r, int parent, const char *name)
{
    char to[32];
    for (int tries = 0; tries < 1000; tries++) {
        (void)snprintf(to, sizeof to, "deep.%u", r->moved++);
        if (renameat(parent, name, r->top, to) == 0)
            return true;
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
            return false;
    }
    return false;
}

static void directory_empty(struct removal *r, int fd, int depth);

static void entry_remove(struct removal *r, int parent,
                         const char *name, // NOLINT(misc-no-recursion)
                         int depth)
{
    if (unlinkat(parent, name, 0) == 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return;
    if (depth >= REMOVE_DEPTH) {
        r->failed |= !move_up(r, parent, name);
        return;
    }
    AUTO(descriptor_close) int fd = openat(parent, name, OPEN_DIRECTORY);
    if (fd >= 0)
        directory_empty(r, fd, depth + 1);
    r->failed |= fd < 0 || unlinkat(parent, name, AT_REMOVEDIR) != 0;
}

static void directory_empty(struct removal *r, int fd, int depth) // NOLINT(misc-no-recursion)
{
    int own = openat(fd, ".", OPEN_DIRECTORY); /* readdir keeps a descriptor for itself */
    AUTO(directory_close) DIR *d = own >= 0 ? fdopendir(own) : NULL;
    if (d == NULL) {
        descriptor_close(&own);
        r->failed = true;
        return;
    }
    for (const struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            entry_remove(r, fd, entry->d_name, depth);
}

static bool tree_remove_once(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    AUTO(descriptor_close) int top = openat(parent, name, OPEN_DIRECTORY);
    if (top < 0)
        return false;
    struct removal r = {.top = top};
    unsigned int before = 0;
    do { /* again while directories were moved up: each round takes 16 levels off them */
        before = r.moved;
        directory_empty(&r, top, 0);
    } while (r.moved != before && !r.failed);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

/* Twice: nothing is to stay because one call had no descriptor or no memory at the moment. */
bool tree_remove(int parent, const char *name)
{
    bool gone = tree_remove_once(parent, name);
    return gone || tree_remove_once(parent, name);
}

/*
 * The files of an output. The tree belongs to whoever runs decant, but what it holds was made by a
 * workload, so nothing is followed and nothing is guessed: symbolic links, devices, pipes and
 * sockets are refused by name, a file counts only if it is the same after it was read as when it
 * was opened, and a directory only if nothing came or went while it was listed.
 *
 * A directory at a time: memory grows with the depth of the tree, not with its files.
 */
#include "seal/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 254, PATH_BYTES_MAX = 16384 }; /* more segments no blob's name can have */

#define OWN_NAME ".decant" /* what a run keeps on its volume */

struct source {
    char *root; /* as it was given, for messages */
    int file; /* if the output is one file that was not given out yet, else -1 */
    bool is_directory;
    struct level {
        DIR *directory;
        size_t end;              /* of its name in PATH */
        struct timespec changed; /* when it was opened */
    } levels[DEPTH_MAX];         /* the directories on the way to where we are */
    size_t depth;
    struct buf path;
};

void source_file_close(struct source_file *file)
{
    if (file->path != NULL)
        (void)close(file->fd);
    memory_free(file->path);
    *file = (struct source_file){0};
}

static enum status refuse(struct source *source, const char *path, const char *what,
                          struct error *e)
{
    (void)fail(e, E_NAME, "%s%s%s is %s, which cannot be sealed", source->root,
               path[0] != '\0' ? "/" : "", path, what);
    advise(e, "seal a directory that holds regular files and directories only");
    return E_NAME;
}

static enum status vanished(struct source *source, const char *path, struct error *e)
{
    (void)fail_errno(e, errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? E_MISMATCH : E_BUG,
                     "%s/%s was there and cannot be opened", source->root, path);
    advise(e, e->status == E_MISMATCH
                  ? "seal when nobody writes to the output any more"
                  : "decant must be able to read every file of the output: see its owner and mode");
    return e->status;
}

static struct level *innermost(struct source *source)
{
    return &source->levels[source->depth - 1];
}

static enum status push(struct source *source, int fd, struct error *e)
{
    struct stat facts;
    DIR *directory =
        source->depth < DEPTH_MAX && fstat(fd, &facts) == 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        (void)close(fd);
        return source->depth < DEPTH_MAX
                   ? fail_errno(e, E_BUG, "%s cannot be listed", source->root)
                   : refuse(source, buf_text(&source->path), "too deep a directory", e);
    }
    source->levels[source->depth++] = (struct level){
        .directory = directory, .end = source->path.size, .changed = facts.st_mtim};
    return OK;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* What came into the innermost directory or went while it was listed may be missing. */
static enum status unchanged(struct source *source, struct error *e)
{
    struct stat now;
    const struct level *level = innermost(source);
    if (fstat(dirfd(level->directory), &now) != 0)
        return fail_errno(e, E_BUG, "%s cannot be listed", source->root);
    if (same_time(now.st_mtim, level->changed))
        return OK;
    (void)fail(e, E_MISMATCH, "files came or went in %s%s%.*s while it was read", source->root,
               level->end > 0 ? "/" : "", (int)level->end, buf_text(&source->path));
    advise(e, "seal when nobody writes to the output any more");
    return E_MISMATCH;
}

static enum status pop(struct source *source, struct error *e)
{
    TRY(unchanged(source, e));
    (void)closedir(source->levels[--source->depth].directory);
    return OK;
}

enum status source_open(const char *path, struct source **out, struct error *e)
{
    struct stat facts;
    AUTO(source_close) struct source *source = memory_array(1, sizeof(*source));
    if (source == NULL)
        return fail(e, E_SPACE, "out of memory");
    source->file = -1;
    source->root = memory_text(path);
    if (source->root == NULL)
        return fail(e, E_SPACE, "out of memory");
    source->path = BUF(PATH_BYTES_MAX);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(e, errno == ENOENT ? E_NOT_FOUND : E_USAGE, "%s cannot be opened", path);
    source->file = fd;
    if (fstat(fd, &facts) != 0)
        return fail_errno(e, E_BUG, "%s", path);
    source->is_directory = S_ISDIR(facts.st_mode);
    if (!source->is_directory && !S_ISREG(facts.st_mode))
        return refuse(source, "", "neither a directory nor a file", e);
    if (source->is_directory) {
        source->file = -1;
        TRY(push(source, fd, e));
    }
    *out = source;
    source = NULL;
    return OK;
}

void source_close(struct source **source)
{
    struct source *s = *source;
    *source = NULL;
    if (s == NULL)
        return;
    while (s->depth > 0)
        (void)closedir(s->levels[--s->depth].directory);
    if (s->file >= 0)
        (void)close(s->file);
    buf_free(&s->path);
    memory_free(s->root);
    memory_free(s);
}

bool source_is_directory(const struct source *source)
{
    return source->is_directory;
}

/* FD moves into OUT. */
static enum status give(int fd, const char *path, struct source_file *out, struct error *e)
{
    struct source_file file = {.fd = fd, .path = memory_text(path)};
    enum status status = OK;
    if (file.path == NULL) {
        (void)close(fd);
        return fail(e, E_SPACE, "out of memory");
    }
    if (fstat(fd, &file.before) != 0)
        status = fail_errno(e, E_BUG, "%s", path);
    else if (!S_ISREG(file.before.st_mode))
        status = fail(e, E_MISMATCH, "%s became something else while it was opened", path);
    if (status != OK)
        source_file_close(&file);
    else
        *out = file;
    return status;
}

static const char *kind_of(mode_t mode)
{
    return S_ISLNK(mode)                    ? "a symbolic link"
           : S_ISFIFO(mode)                 ? "a pipe"
           : S_ISSOCK(mode)                 ? "a socket"
           : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
                                            : NULL;
}

/* The entry whose name PATH ends in: a directory is entered, a file given. */
static enum status visit(struct source *source, const char *name, struct source_file *out,
                         bool *found, struct error *e)
{
    struct stat facts;
    const int directory = dirfd(innermost(source)->directory);
    const char *path = buf_text(&source->path);
    if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return vanished(source, path, e);
    if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) {
        const char *kind = kind_of(facts.st_mode);
        return refuse(source, path, kind != NULL ? kind : "of an unknown kind", e);
    }
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, name, flags | (S_ISDIR(facts.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0)
        return vanished(source, path, e);
    if (S_ISDIR(facts.st_mode))
        return push(source, fd, e);
    *found = true;
    return give(fd, path, out, e);
}

static bool is_skipped(const struct source *source, const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           (source->depth == 1 && strcmp(name, OWN_NAME) == 0);
}

/* PATH up to the innermost directory, and NAME. */
static enum status spell(struct source *source, const char *name, struct error *e)
{
    source->path.size = innermost(source)->end;
    if (source->path.size > 0)
        TRY(buf_add(&source->path, SPAN_LITERAL("/"), e));
    return buf_add(&source->path, span_text(name), e);
}

static enum status step(struct source *source, struct source_file *out, bool *found,
                        struct error *e)
{
    errno = 0;
    const struct dirent *entry = readdir(innermost(source)->directory);
    if (entry == NULL && errno != 0)
        return fail_errno(e, E_BUG, "%s cannot be listed", source->root);
    if (entry == NULL)
        return pop(source, e);
    if (is_skipped(source, entry->d_name))
        return OK;
    TRY(spell(source, entry->d_name, e));
    return visit(source, entry->d_name, out, found, e);
}

enum status source_next(struct source *source, struct source_file *out, bool *found,
                        struct error *e)
{
    *found = source->file >= 0;
    if (*found) {
        int fd = source->file;
        source->file = -1;
        return give(fd, "", out, e);
    }
    while (source->depth > 0 && !*found)
        TRY(step(source, out, found, e));
    return OK;
}

enum status source_unchanged(const struct source_file *file, struct error *e)
{
    struct stat now;
    const struct stat *before = &file->before;
    if (fstat(file->fd, &now) != 0)
        return fail_errno(e, E_BUG, "%s", file->path);
    if (now.st_nlink > 0 && now.st_size == before->st_size &&
        same_time(now.st_mtim, before->st_mtim) && same_time(now.st_ctim, before->st_ctim))
        return OK;
    (void)fail(e, E_MISMATCH, "the file %s while it was read",
               now.st_nlink == 0 ? "was deleted or replaced" : "changed");
    advise(e, "seal when nobody writes to the output any more");
    return E_MISMATCH;
}

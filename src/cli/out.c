/* Where a result goes that is not for everybody: standard output, or a file that only its owner may
 * read, which has its name only when it is whole. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status out_folder(const char *path, char out[static PATH_MAX], struct error *e)
{
    char copy[PATH_MAX];
    int n = snprintf(copy, sizeof copy, "%s", path);
    if (n <= 0 || (size_t)n >= sizeof copy)
        return fail(e, E_USAGE, "--out: the path is empty or too long");
    (void)snprintf(out, PATH_MAX, "%s", dirname(copy));
    return OK;
}

static enum status check_target(const char *path, struct error *e)
{
    struct stat st;
    if (lstat(path, &st) != 0 || S_ISREG(st.st_mode))
        return OK;
    (void)fail(e, E_USAGE, "--out %s: it is there, and is no file", path);
    advise(e, "Give the name of a file; without --out it goes to standard output");
    return e->status;
}

enum status out_open(const char *path, struct out *out, struct error *e)
{
    char folder[PATH_MAX - 32];
    char whole[PATH_MAX];
    *out = (struct out){.fd = STDOUT_FILENO};
    if (path == NULL)
        return OK;
    TRY(check_target(path, e));
    TRY(out_folder(path, whole, e));
    int n = snprintf(folder, sizeof folder, "%s", whole);
    if (n < 0 || (size_t)n >= sizeof folder)
        return fail(e, E_USAGE, "--out: the path is too long");
    (void)snprintf(out->temporary, sizeof out->temporary, "%s/.decant-out-XXXXXX", folder);
    out->fd = mkostemp(out->temporary, O_CLOEXEC); /* mode 0600 */
    if (out->fd < 0) {
        out->temporary[0] = '\0';
        return fail_errno(e, E_USAGE, "--out %s", path);
    }
    out->path = path;
    return OK;
}

void out_close(struct out *out)
{
    if (out->path == NULL)
        return;
    if (out->fd >= 0)
        (void)close(out->fd);
    if (out->temporary[0] != '\0')
        (void)unlink(out->temporary);
    *out = (struct out){.fd = -1};
}

/* Not stdio, whose buffers nobody wipes. */
static enum status write_all(int fd, struct span text, struct error *e)
{
    while (text.size > 0) {
        ssize_t n = write(fd, text.data, text.size);
        if (n < 0 && errno == EINTR) {
            TRY(stop_check(e));
            continue;
        }
        if (n < 0)
            return fail_errno(e, E_BUG, "the result could not be written");
        text = span_of(text.data + n, text.size - (size_t)n);
    }
    return OK;
}

enum status out_write(struct out *out, struct span text, struct error *e)
{
    TRY(write_all(out->fd, text, e));
    TRY(write_all(out->fd, SPAN_LITERAL("\n"), e));
    if (out->path == NULL)
        return OK;
    if (fsync(out->fd) != 0 || rename(out->temporary, out->path) != 0)
        return fail_errno(e, E_BUG, "--out %s", out->path);
    out->temporary[0] = '\0';
    return OK;
}

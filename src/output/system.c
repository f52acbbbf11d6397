/*
 * The few system calls that every file of this room makes, with the class and the advice that their
 * failures have: files without a name, writing at a place.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

bool time_is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

enum status status_of(int number)
{
    static const struct {
        int number;
        enum status status;
    } classes[] = {
        {ENOSPC, E_SPACE}, {EDQUOT, E_SPACE},      {EFBIG, E_SPACE}, {ENOMEM, E_SPACE},
        {EXDEV, E_NAME},   {ENAMETOOLONG, E_NAME}, {EBUSY, E_NAME},  {EROFS, E_USAGE},
        {EACCES, E_USAGE}, {EPERM, E_USAGE},
    };
    for (size_t i = 0; i < COUNT(classes); i++)
        if (classes[i].number == number)
            return classes[i].status;
    return E_BUG;
}

void advise_space(struct error *e)
{
    advise(e, "make the volume larger (sizeLimit of the emptyDir, size= of the tmpfs), "
              "and with it the container's memory limit");
}

enum status unnamed_open(int root, int *out, struct error *e)
{
    int fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        *out = fd;
        return OK;
    }
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return fail_errno(e, status_of(errno), "cannot make a file on the volume");
    (void)fail(e, E_VOLUME, "the volume's file system has no unnamed files (O_TMPFILE)");
    advise(e, "use a tmpfs, or xfs or ext4 on dm-crypt");
    return E_VOLUME;
}

/* The first way needs a capability (or Linux 6.10), the second one, which is slower, needs /proc. */
int unnamed_link(int fd, int parent, const char *leaf)
{
    char path[40];
    if (linkat(fd, "", parent, leaf, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, parent, leaf, AT_SYMLINK_FOLLOW);
}

enum status bytes_write(int fd, uint64_t at, struct span bytes, struct error *e)
{
    uint64_t end = 0;
    if (__builtin_add_overflow(at, (uint64_t)bytes.size, &end) || end > INT64_MAX)
        return fail(e, E_SPACE, "a file cannot reach byte %llu", (unsigned long long)at);
    while (bytes.size > 0) {
        ssize_t n = pwrite(fd, bytes.data, bytes.size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)fail_errno(e, status_of(errno), "cannot write at byte %llu",
                             (unsigned long long)at);
            if (e->status == E_SPACE)
                advise_space(e);
            return e->status;
        }
        if (n == 0) /* the kernel never says so of a regular file; but do not spin */
            return fail(e, E_SPACE, "the volume takes no more at byte %llu",
                        (unsigned long long)at);
        bytes.data += n;
        bytes.size -= (size_t)n;
        at += (uint64_t)n;
    }
    return OK;
}

enum status volume_dress(const struct volume *v, int fd, mode_t mode, const char *name,
                         struct error *e)
{
    if (fchmod(fd, mode) != 0)
        return fail_errno(e, status_of(errno), "cannot set the mode of %.200s", name);
    if (v->uid == (uid_t)-1 && v->gid == (gid_t)-1)
        return OK;
    if (fchown(fd, v->uid, v->gid) == 0)
        return OK;
    (void)fail_errno(e, E_USAGE, "cannot give %.200s to the owner that the job names", name);
    advise(e, "leave out volume.uid and volume.gid, or run as root with the capability CHOWN");
    return E_USAGE;
}

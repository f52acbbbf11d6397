/* Reading a small file whole. Not stdio: no copy of a secret stays in a stream's buffer. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* Standard input is not opened anew: that fails for sockets, and for pipes of another user. */
static int descriptor_open(const char *path)
{
    if (strcmp(path, "/dev/stdin") == 0)
        return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static enum status read_all(int fd, const char *path, size_t max, struct buf *out,
                            enum status status_if_bad, struct error *e)
{
    uint8_t piece[4096];
    enum status status = OK;
    while (status == OK) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            status = stop_check(e);
        else if (n < 0)
            status = fail_errno(e, status_if_bad, "%s", path);
        else if ((size_t)n > max - out->size)
            status = fail(e, status_if_bad, "%s: larger than %zu bytes", path, max);
        else
            status = buf_add(out, span_of(piece, (size_t)n), e);
    }
    wipe(piece, sizeof(piece));
    return status;
}

enum status file_read(const char *path, size_t max, struct buf *out, enum status status_if_bad,
                      struct error *e)
{
    AUTO(descriptor_close) int fd = descriptor_open(path);
    if (fd < 0)
        return fail_errno(e, status_if_bad, "%s", path);
    AUTO(buf_free) struct buf text = BUF(max);
    TRY(read_all(fd, path, max, &text, status_if_bad, e));
    if (out->max < out->size + text.size)
        out->max = out->size + text.size;
    return buf_add(out, buf_span(&text), e);
}

/* Reading a small file whole. Not stdio: no copy of a secret stays in a stream's buffer. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

enum { WRITER_WAIT_MS = 10000, LOOK_MS = 10 };

/* Standard input is not opened anew: that fails for sockets, and for pipes of another user. */
static int descriptor_open(const char *path)
{
    if (strcmp(path, "/dev/stdin") == 0)
        return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* A pipe may have no writer yet, or one that takes its time; a signal must end the wait. */
static enum status wait_for_writer(const char *path, int64_t *waited_ms, enum status status_if_bad,
                                   struct error *e)
{
    *waited_ms += LOOK_MS;
    if (*waited_ms > WRITER_WAIT_MS)
        return fail(e, status_if_bad, "%s: nobody writes to this pipe", path);
    return stop_sleep_ms(LOOK_MS, e);
}

static bool is_pipe(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static enum status take_piece(int fd, const char *path, struct buf *out, bool *end,
                              int64_t *waited_ms, enum status status_if_bad, struct error *e)
{
    uint8_t piece[4096];
    ssize_t n = read(fd, piece, sizeof(piece));
    if (n < 0 && errno == EINTR)
        return stop_check(e);
    if ((n < 0 && errno == EAGAIN) ||
        (n == 0 && out->size == 0 && fd != STDIN_FILENO && is_pipe(fd)))
        return wait_for_writer(path, waited_ms, status_if_bad, e);
    if (n < 0)
        return fail_errno(e, status_if_bad, "%s", path);
    *end = n == 0;
    enum status status = (size_t)n > out->max - out->size
                             ? fail(e, status_if_bad, "%s: larger than %zu bytes", path, out->max)
                             : buf_add(out, span_of(piece, (size_t)n), e);
    wipe(piece, sizeof(piece));
    return status;
}

static enum status read_all(int fd, const char *path, struct buf *out, enum status status_if_bad,
                            struct error *e)
{
    bool end = false;
    int64_t waited_ms = 0;
    while (!end)
        TRY(take_piece(fd, path, out, &end, &waited_ms, status_if_bad, e));
    return OK;
}

enum status file_read(const char *path, size_t max, struct buf *out, enum status status_if_bad,
                      struct error *e)
{
    AUTO(descriptor_close) int fd = descriptor_open(path);
    if (fd < 0)
        return fail_errno(e, status_if_bad, "%s", path);
    AUTO(buf_free) struct buf text = BUF(max);
    TRY(read_all(fd, path, &text, status_if_bad, e));
    if (out->max < out->size + text.size)
        out->max = out->size + text.size;
    return buf_add(out, buf_span(&text), e);
}

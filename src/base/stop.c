/*
 * One stop for the whole run. A signal handler may only set a flag and write to a descriptor;
 * sleepers wait on that descriptor, so that they all wake at once.
 */
#include "base/base.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int reason;
static atomic_int wake_fd = -1;

void stop_request(int why)
{
    int none = 0;
    int saved = errno;
    if (atomic_compare_exchange_strong(&reason, &none, why) && atomic_load(&wake_fd) >= 0) {
        const uint64_t one = 1;
        (void)!write(atomic_load(&wake_fd), &one, sizeof(one));
    }
    errno = saved;
}

int stop_reason(void)
{
    return atomic_load(&reason);
}

void stop_reset(void)
{
    uint64_t count;
    if (atomic_load(&wake_fd) >= 0)
        (void)!read(atomic_load(&wake_fd), &count, sizeof(count));
    atomic_store(&reason, 0);
}

static void on_signal(int number)
{
    stop_request(number);
}

enum status stop_on_signals(struct error *e)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return fail_errno(e, E_BUG, "eventfd");
    atomic_store(&wake_fd, fd);
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGINT, &stop, NULL) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0)
        return fail_errno(e, E_BUG, "sigaction");
    return OK;
}

int exit_code(const struct error *e)
{
    if (e->status == E_INTERRUPTED && stop_reason() > 0)
        return 128 + stop_reason();
    return (int)e->status;
}

enum status stop_check(struct error *e)
{
    int why = stop_reason();
    if (why == 0)
        return OK;
    if (why == STOP_ON_FAILURE)
        return fail(e, E_INTERRUPTED, "stopped because another part of the run failed");
    return fail(e, E_INTERRUPTED, "interrupted by %s", why == SIGTERM ? "SIGTERM" : "SIGINT");
}

enum status stop_sleep_ms(int64_t ms, struct error *e)
{
    int64_t until = clock_ms() + ms;
    for (;;) {
        TRY(stop_check(e));
        int64_t left = until - clock_ms();
        if (left <= 0)
            return OK;
        struct pollfd wake = {.fd = atomic_load(&wake_fd), .events = POLLIN};
        (void)poll(&wake, 1, left > 60000 ? 60000 : (int)left);
    }
}

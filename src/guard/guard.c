/* What is taken, in order, and what the log says of it. */
#include "guard/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef DECANT_HARDENING_DEFAULT
#define DECANT_HARDENING_DEFAULT GUARD_ON
#endif

enum status guard_mode_of_environment(enum guard_mode *out, struct error *e)
{
    static const char *const names[] = {
        [GUARD_OFF] = "off", [GUARD_ON] = "on", [GUARD_REQUIRE] = "require"};
    const char *value = getenv("DECANT_HARDENING");
    *out = DECANT_HARDENING_DEFAULT;
    if (value == NULL || value[0] == '\0')
        return OK;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *out = (enum guard_mode)i;
            return OK;
        }
    }
    return fail(e, E_USAGE, "DECANT_HARDENING is off, on or require, not \"%.40s\"", value);
}

static void directory_close(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

int descriptors_close(void)
{
    int closed = 0;
    AUTO(directory_close) DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* the kernel's digits; "." and ".." give 0 */
        int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0 && close(fd) == 0)
            closed++;
    }
    return closed;
}

enum status guard_enter(const struct guard_options *options, struct error *e)
{
    char landlock[WHAT_SIZE] = "off", seccomp[WHAT_SIZE] = "off";
    if (options->mode == GUARD_OFF) {
        LOG(LOG_DEBUG, "hardening", LOG_STRING("landlock", landlock),
            LOG_STRING("seccomp", seccomp));
        return OK;
    }
    int closed = options->keep_descriptors ? 0 : descriptors_close();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno(e, E_BUG, "new privileges cannot be given up");
    bool all = landlock_enter(options, landlock);
    all = seccomp_enter(seccomp) && all;
    LOG(LOG_INFO, "hardening", LOG_STRING("landlock", landlock), LOG_STRING("seccomp", seccomp),
        LOG_NUMBER("closed", closed));
    if (all || options->mode != GUARD_REQUIRE)
        return OK;
    (void)fail(e, E_BUG, "hardening is required: landlock is %s, seccomp is %s", landlock, seccomp);
    advise(e, "Run on a kernel that has both, or set DECANT_HARDENING=on to take what there is");
    return e->status;
}

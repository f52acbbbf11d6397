/*
 * Landlock (Documentation/userspace-api/landlock.rst): nothing is written, made, moved or removed
 * but below the job's own places; no program is started; no port is opened for others. Reading
 * stays free: certificates, resolver and the job's secrets lie anywhere, and what may be read is
 * measured with the container. The numbers are the kernel's, since Debian 12's header knows ABI 2
 * only.
 */
#include "guard/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

enum { CREATE_VERSION = 1, RULE_PATH = 1 };

#define ACCESS_EXECUTE  (1ULL << 0)
#define ACCESS_WRITE    (1ULL << 1)
#define ACCESS_MAKE     (((1ULL << 13) - 1) & ~((1ULL << 4) - 1)) /* remove and make, bits 4 to 12 */
#define ACCESS_REFER    (1ULL << 13)                              /* ABI 2 */
#define ACCESS_TRUNCATE (1ULL << 14)                              /* ABI 3 */
#define BIND_TCP        (1ULL << 0)                               /* ABI 4 */
#define SCOPE_ALL       3ULL /* ABI 6: abstract sockets and signals to others */

/* The kernel's struct landlock_ruleset_attr of ABI 6; older ones take a shorter one. */
struct ruleset {
    uint64_t files, network, scoped;
};

static size_t ruleset_size(long abi)
{
    if (abi < 4)
        return sizeof(uint64_t);
    return abi < 6 ? 2 * sizeof(uint64_t) : sizeof(struct ruleset);
}

static struct ruleset ruleset_for(long abi)
{
    return (struct ruleset){
        .files = ACCESS_EXECUTE | ACCESS_WRITE | ACCESS_MAKE | (abi >= 2 ? ACCESS_REFER : 0) |
                 (abi >= 3 ? ACCESS_TRUNCATE : 0),
        .network = abi >= 4 ? BIND_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_ALL : 0,
    };
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static bool allow(int rules, const char *path, uint64_t handled)
{
    AUTO(descriptor_close) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    uint64_t allowed = handled & ~ACCESS_EXECUTE;
    if (!S_ISDIR(st.st_mode))
        allowed &= ACCESS_WRITE | ACCESS_TRUNCATE;
    const struct landlock_path_beneath_attr rule = {.allowed_access = allowed, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0) == 0 ||
           errno == EBADFD; /* a pipe or a socket, which are not Landlock's business */
}

bool landlock_enter(const struct guard_options *options, char what[static WHAT_SIZE])
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    if (abi < 2) { /* without REFER nothing can be moved from stage to place */
        (void)snprintf(what, WHAT_SIZE, "%s", abi < 0 ? "not in this kernel" : "too old");
        return false;
    }
    const struct ruleset wanted = ruleset_for(abi);
    AUTO(descriptor_close)
    int rules = (int)syscall(SYS_landlock_create_ruleset, &wanted, ruleset_size(abi), 0);
    bool good = rules >= 0;
    for (size_t i = 0; good && i < options->n_writable; i++)
        if (options->writable[i] != NULL)
            good = allow(rules, options->writable[i], wanted.files);
    if (!good || syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
        (void)snprintf(what, WHAT_SIZE, "failed: %s", strerror(errno));
        return false;
    }
    (void)snprintf(what, WHAT_SIZE, "abi %ld", abi);
    return true;
}

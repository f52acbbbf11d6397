/*
 * A seccomp filter: what decant and its libraries never call, and what somebody who took it over
 * would: other programs, other processes' memory, other namespaces, the kernel's own tools. It is a
 * list of what is forbidden, not of what is allowed: name resolution loads modules of the machine's
 * choice. A forbidden call fails with EPERM. Optional at build time.
 */
#include "guard/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef DECANT_SECCOMP

#include <sched.h>
#include <seccomp.h>

static const char *const forbidden[] = {
    /* other programs */
    "execve",
    "execveat",
    "fork",
    "vfork",
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    /* namespaces and mounts */
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "open_by_handle_at",
    "mknod",
    "mknodat",
    /* the kernel's own tools, where its faults were */
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "request_key",
    "keyctl",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "lookup_dcookie",
    "vmsplice",
    "modify_ldt",
    "personality",
    "quotactl",
    "nfsservctl",
    /* the machine */
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "syslog",
    "iopl",
    "ioperm",
    "vhangup",
    /* who we are */
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "capset",
};

static void filter_free(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}

/* Threads, but no processes. clone3 hides its flags in memory: ENOSYS makes the C library take
 * clone. */
static int forbid_processes(scmp_filter_ctx filter)
{
    int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return failed != 0 ? failed
                       : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int forbid(scmp_filter_ctx filter)
{
    int failed = forbid_processes(filter);
    for (size_t i = 0; failed == 0 && i < COUNT(forbidden); i++) {
        int number = seccomp_syscall_resolve_name(forbidden[i]);
        if (number >= 0) /* else this machine's processor has none of that name */
            failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    return failed;
}

bool seccomp_enter(char what[static WHAT_SIZE])
{
    AUTO(filter_free) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int failed = filter != NULL ? forbid(filter) : -ENOMEM;
    if (failed == 0)
        failed = seccomp_load(filter);
    (void)snprintf(what, WHAT_SIZE, failed == 0 ? "filter" : "failed: %s", strerror(-failed));
    return failed == 0;
}

#else

bool seccomp_enter(char what[static WHAT_SIZE])
{
    (void)snprintf(what, WHAT_SIZE, "not in this build");
    return false;
}

#endif

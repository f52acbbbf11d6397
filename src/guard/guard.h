/*
 * guard: what this process takes from itself before it talks to anybody, so that whoever takes it
 * over through a parser finds little: no new privileges, no program to start, no file to write but
 * those that the job needs, no descriptor of its caller's.
 */
#ifndef DECANT_GUARD_H
#define DECANT_GUARD_H

#include "base/base.h"

enum guard_mode {
    GUARD_OFF,
    GUARD_ON,      /* as much as the kernel and the build have */
    GUARD_REQUIRE, /* or not at all */
};

/* Of DECANT_HARDENING: off, on, require; unset: on, but off in builds with a sanitizer, whose
 * runtimes need what is forbidden here. E_USAGE. */
enum status guard_mode_of_environment(enum guard_mode *out, struct error *e);

struct guard_options {
    enum guard_mode mode;
    const char *const *writable; /* files, and directories with all below; NULL and what is not
                                    there are left out */
    size_t n_writable;
    bool keep_descriptors; /* inherited ones are needed yet: /dev/fd/3 */
};

/* For a process with one thread that starts no program; it cannot be undone. Logs what was done as
 * "hardening". E_BUG in mode GUARD_REQUIRE if something is not to be had. */
enum status guard_enter(const struct guard_options *options, struct error *e);

#endif

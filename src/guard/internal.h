/* The parts of the guard. Each says in WHAT what it did, for the log. */
#ifndef DECANT_GUARD_INTERNAL_H
#define DECANT_GUARD_INTERNAL_H

#include "guard/guard.h"

enum { WHAT_SIZE = 64 };

/* False if the kernel (or the build) has it not; *WHAT is "abi N" or why not. */
bool landlock_enter(const struct guard_options *options, char what[static WHAT_SIZE]);
bool seccomp_enter(char what[static WHAT_SIZE]);

/* Closes what our caller left open. Ours are all marked to close on exec, what came through an exec
 * is not. Returns how many. */
int descriptors_close(void);

#endif

/*
 * child: another program, started in our place or beside us, without our secrets: signals are passed
 * on, its status comes back. Fit for process 1 of a container, which inherits orphans.
 */
#ifndef DECANT_CHILD_H
#define DECANT_CHILD_H

#include "base/base.h"

/* The variables that a started program does not get, whatever the caller adds: NULL at the end. */
extern const char *const child_secret_variables[];

struct child_options {
    char *const *argv;          /* ends with NULL; argv[0] is looked for in PATH */
    const char *const *without; /* further variables that it does not get */
    size_t n_without;
};

struct child {
    pid_t pid;
};

/* Starts it with the signal dispositions that we were started with and nothing blocked. From here on, signals to us wait
 * for child_wait. E_NOT_STARTED. */
enum status child_start(const struct child_options *options, struct child *out, struct error *e);

/* Passes HUP, INT, QUIT, TERM, USR1, USR2, WINCH and CONT on to it, takes in every orphan that ends,
 * and returns when it ended: its exit status, or 128 and the signal that killed it. Signals to us
 * count as before then. */
enum status child_wait(const struct child *child, int *exit_status, struct error *e);

/* Becomes the program ARGV, with all of our environment: for who has no secrets there. Returns only
 * if it could not. E_NOT_STARTED. */
enum status child_become(char *const *argv, struct error *e);

#endif

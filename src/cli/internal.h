/* What the files of the command line share. */
#ifndef DECANT_CLI_INTERNAL_H
#define DECANT_CLI_INTERNAL_H

#include "cli/cli.h"
#include "config/config.h"
#include "finding/finding.h"
#include "job/job.h"
#include "seal/seal.h"

#include <limits.h>

struct cli_options {
    const char *job; /* -c */
    const char *report;
    struct job_flags flags;
    enum log_level log_level;
    enum log_format log_format;
    bool no_progress, dry_run, help;
    bool has_timeout;
    uint64_t timeout_s;
    uint32_t shard, shards; /* shards 0: not given */
    const char *services[16]; /* every --attestation */
    size_t n_services;
    const char *cce_policy, *host_data, *compliance, *token, *release_policy;
    bool json, allow_debug, has_svn;
    const char *as, *at, *metadata, *jwks, *certificates, *ca_file, *amd_root; /* inspect */
    const char *manifest_files[16];
    size_t n_manifest_files;
    bool verify;
    bool raw, as_token, claims; /* attest */
    const char *out;            /* attest, key */
    bool release;               /* doctor */
    const char *key_file; /* seal, inspect */
    bool overwrite, manifest, gzip;
    uint32_t svn_min, svn_max;
    char **operands;        /* what is no option, before "--" */
    size_t n_operands;
    char **command;   /* behind "--", ends with NULL; NULL if there was no "--" */
    int *exit_status; /* what to exit with after success: exec's command has a status of its own */
};

/* ---- Commands: each is a file of its name ---- */

enum {
    IN_RUN = 1 << 0,
    IN_EXEC = 1 << 1,
    IN_WAIT = 1 << 2,
    IN_SEAL = 1 << 3,
    IN_KEY = 1 << 4,
    IN_ATTEST = 1 << 5,
    IN_DOCTOR = 1 << 6,
    IN_POLICY = 1 << 10,
    IN_INSPECT = 1 << 11,
    IN_ALL = ~0u,
};

struct command {
    const char *name, *help;
    enum status (*run)(const struct cli_options *options, struct error *e);
    unsigned id;         /* IN_… */
    const char *operand; /* what it is called in messages; NULL: none is taken */
    size_t operands_min, operands_max;
    bool takes_command; /* "-- CMD ARGS…" */
    bool quiet;         /* logs from warnings on, unless told otherwise */
};

enum status command_run(const struct cli_options *options, struct error *e);
enum status command_exec(const struct cli_options *options, struct error *e);
enum status command_wait(const struct cli_options *options, struct error *e);
enum status command_seal(const struct cli_options *options, struct error *e);
enum status command_key(const struct cli_options *options, struct error *e);
enum status command_attest(const struct cli_options *options, struct error *e);
enum status command_doctor(const struct cli_options *options, struct error *e);
enum status command_policy(const struct cli_options *options, struct error *e);
enum status command_inspect(const struct cli_options *options, struct error *e);

extern const char help_text[], help_run_text[], help_exec_text[], help_wait_text[],
    help_policy_text[], help_inspect_text[], help_seal_text[], help_key_text[], help_attest_text[],
    help_doctor_text[];

/* A run of JOB with its progress shown. */
enum status run_shown(const struct job *job, const struct cli_options *options,
                      struct run_summary *summary, struct error *e);

/* The last thing of a command that did its work: JSON for standard output and the report. What is
 * done stays done: that nobody takes the summary does not make it a failure. */
void tell_summary(const struct cli_options *options, struct span json);
/* What was done stands, even if nothing can be said of it: WHY is logged. */
void untold(const struct error *why);

/* ---- Arguments ---- */

/* Everything behind the command's name, ARGV[0] being that. E_USAGE. */
enum status options_parse(const struct command *command, int argc, char **argv,
                          struct cli_options *out, struct error *e);

/* The job of -c, of the single-blob options, of the environment; --timeout goes over its limit. */
enum status load_job(const struct cli_options *options, struct job *job, struct error *e);

/* The job that --attestation makes, and KID if not NULL; --timeout counts. */
enum status load_service_job(const struct cli_options *options, const char *kid, struct job *job,
                             struct error *e);

/* Takes from this process what JOB does not need (guard). After the job was read, before any thread
 * or secret; not for commands that start others. E_USAGE, E_BUG. */
enum status harden(const struct job *job, const struct cli_options *options, struct error *e);

/* ---- Output ---- */

/* Shows how a run goes on: a line on a terminal, a log line every ten seconds elsewhere. */
struct progress_display;
enum status progress_start(const struct run_progress *progress, bool on_terminal,
                           struct progress_display **out, struct error *e);
void progress_stop(struct progress_display **display);

/* TEXT and a line end on standard output. */
enum status print_line(struct span text, struct error *e);

/* Where a result goes that is not for everybody. Start from `{.fd = -1}`. */
struct out {
    int fd;
    const char *path; /* NULL: standard output */
    char temporary[PATH_MAX];
};
/* Before the work: PATH can be made there. NULL: standard output. E_USAGE. Borrows PATH. */
enum status out_open(const char *path, struct out *out, struct error *e);
/* TEXT and a line end, and then the file's name: once. */
enum status out_write(struct out *out, struct span text, struct error *e);
/* Leaves nothing of a file that was not written. */
void out_close(struct out *out);
/* The directory that PATH is made in. E_USAGE. */
enum status out_folder(const char *path, char out[static PATH_MAX], struct error *e);

/* The findings on standard output, as lines or as JSON. */
enum status print_findings(const struct findings *findings, bool json, struct error *e);

/* Can it be written? Before a run, whose files would be there if only its report failed. E_USAGE. */
enum status report_check(const char *path, struct error *e);
/* TEXT and a line end to PATH, replacing what was there. */
enum status report_write(const char *path, struct span text, struct error *e);
/* The final line of a failure: standard error, /dev/termination-log if it is there, the report if
 * asked. */
void report_failure(const char *command, const struct cli_options *options, const struct error *e);

#endif

/* What the files of the command line share. */
#ifndef DECANT_CLI_INTERNAL_H
#define DECANT_CLI_INTERNAL_H

#include "config/config.h"
#include "job/job.h"

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
};

/* Everything behind the command's name. E_USAGE. */
enum status options_parse(int argc, char **argv, struct cli_options *out, struct error *e);

extern const char help_text[], help_run_text[];

/* Shows how a run goes on: a line on a terminal, a log line every ten seconds elsewhere. */
struct progress_display;
enum status progress_start(const struct run_progress *progress, bool on_terminal,
                           struct progress_display **out, struct error *e);
void progress_stop(struct progress_display **display);

/* TEXT and a line end to PATH, replacing what was there. */
/* Can it be written? Before a run, whose files would be there if only its report failed. E_USAGE.
 */
enum status report_check(const char *path, struct error *e);
enum status report_write(const char *path, struct span text, struct error *e);
/* The final line of a failure: standard error, /dev/termination-log if it is there, the report if
 * asked. */
void report_failure(const char *command, const struct cli_options *options, const struct error *e);

#endif

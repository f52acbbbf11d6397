/* decant run. */
#include "cli/internal.h"

#include <stdlib.h>
#include <unistd.h>

/* From --shard, or as a Kubernetes Indexed Job says it: limits.shards and JOB_COMPLETION_INDEX. */
static enum status choose_shard(const struct job *job, const struct cli_options *options,
                                struct run_options *out, struct error *e)
{
    out->shard = options->shard;
    out->shards = options->shards;
    if (options->shards > 0 || job->limits.shards == 0)
        return OK;
    const char *index = getenv("JOB_COMPLETION_INDEX");
    char *end = NULL;
    unsigned long shard = index != NULL ? strtoul(index, &end, 10) : 0;
    if (index == NULL || index[0] < '0' || index[0] > '9' || *end != '\0' ||
        shard >= job->limits.shards)
        return fail(e, E_USAGE, "limits.shards is %llu, but JOB_COMPLETION_INDEX is %s",
                    (unsigned long long)job->limits.shards, index != NULL ? index : "not set");
    out->shard = (uint32_t)shard;
    out->shards = (uint32_t)job->limits.shards;
    return OK;
}

enum status run_shown(const struct job *job, const struct cli_options *options,
                      struct run_summary *summary, struct error *e)
{
    struct run_progress progress = {0};
    struct run_options run_options = {.dry_run = options->dry_run};
    TRY(choose_shard(job, options, &run_options, e));
    AUTO(progress_stop) struct progress_display *display = NULL;
    bool terminal = isatty(STDERR_FILENO) && options->log_format == LOG_TEXT;
    if (!options->no_progress || !terminal)
        TRY(progress_start(&progress, terminal, &display, e));
    return job_run(job, &run_options, &progress, summary, e);
}

void tell_summary(const struct cli_options *options, struct span json)
{
    struct error e = {0};
    if (options->report != NULL && report_write(options->report, json, &e) != OK)
        untold(&e);
    if (print_line(json, &e) != OK)
        untold(&e);
}

void untold(const struct error *why)
{
    LOG(LOG_WARN, "summary_not_written", LOG_STRING("reason", why->text));
}

enum status command_run(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(buf_free) struct buf json = BUF(4096);
    struct run_summary summary;
    TRY(load_job(options, &job, e));
    if (options->report != NULL)
        TRY(report_check(options->report, e));
    TRY(harden(&job, options, e));
    TRY(run_shown(&job, options, &summary, e));
    if (run_summary_json(&summary, &json, e) == OK)
        tell_summary(options, buf_span(&json));
    else
        untold(e);
    return OK;
}

/* The commands. Standard output carries results only; everything else goes to standard error. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/internal.h"

static enum status print_line(struct span text, struct error *e)
{
    if (fwrite(text.data, 1, text.size, stdout) != text.size || putchar('\n') == EOF ||
        fflush(stdout) != 0)
        return fail_errno(e, E_BUG, "standard output");
    return OK;
}

static bool has_flags(const struct job_flags *flags)
{
    return flags->from || flags->to || flags->attestation || flags->key;
}

static enum status load_job(const struct cli_options *options, struct job *job, struct error *e)
{
    char source[256] = "the command line";
    TRY(has_flags(&options->flags) ? job_from_flags(&options->flags, job, e)
                                   : job_load(options->job, source, job, e));
    if (options->has_timeout)
        job->limits.timeout_s = options->timeout_s;
    return OK;
}

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

static enum status run_shown(const struct job *job, const struct cli_options *options,
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

/* What is published stays published: that nobody takes the summary does not make the run a failure.
 */
static void tell_summary(const struct cli_options *options, struct span json)
{
    struct error e = {0};
    if (options->report != NULL && report_write(options->report, json, &e) != OK)
        LOG(LOG_WARN, "summary_not_written", LOG_STRING("reason", e.text));
    if (print_line(json, &e) != OK)
        LOG(LOG_WARN, "summary_not_written", LOG_STRING("reason", e.text));
}

static enum status command_run(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(buf_free) struct buf json = BUF(4096);
    struct run_summary summary;
    TRY(load_job(options, &job, e));
    if (options->report != NULL)
        TRY(report_check(options->report, e));
    TRY(run_shown(&job, options, &summary, e));
    TRY(run_summary_json(&summary, &json, e));
    tell_summary(options, buf_span(&json));
    return OK;
}

static const struct command {
    const char *name, *help;
    enum status (*run)(const struct cli_options *options, struct error *e);
} commands[] = {
    {"run", help_run_text, command_run},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static enum status run_command(const struct command *command, const struct cli_options *options,
                               struct error *e)
{
    if (options->help)
        return fputs(command->help, stdout) != EOF && fflush(stdout) == 0
                   ? OK
                   : fail_errno(e, E_BUG, "standard output");
    TRY(stop_on_signals(e));
    return command->run(options, e);
}

static int exit_code(const struct error *e)
{
    if (e->status == E_INTERRUPTED && stop_reason() > 0)
        return 128 + stop_reason();
    return (int)e->status;
}

static int failed(const char *command, const struct cli_options *options, struct error *e)
{
    if (e->status == E_USAGE)
        advise(e, "See decant %s --help", command);
    struct error shown = *e;
    shown.status = (enum status)exit_code(e);
    report_failure(command, options, &shown);
    return exit_code(e);
}

int cli_main(int argc, char **argv)
{
    struct error e = {0};
    struct cli_options options = {.log_format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON};
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0)
        return printf("decant %s\n", DECANT_VERSION) > 0 && fflush(stdout) == 0 ? 0 : 1;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return fputs(help_text, argc > 1 ? stdout : stderr) != EOF && argc > 1 ? 0 : 2;
    const struct command *command = find_command(name);
    log_open(LOG_INFO, options.log_format);
    if (command == NULL) {
        (void)!fail(&e, E_USAGE, "unknown command");
        advise(&e, "See decant --help");
        return failed(name, &options, &e);
    }
    if (options_parse(argc - 1, argv + 1, &options, &e) != OK)
        return failed(name, &options, &e);
    log_open(options.log_level, options.log_format);
    return run_command(command, &options, &e) == OK ? 0 : failed(name, &options, &e);
}

/*
 * decant exec: run the job, then the workload as our child, then seal what it made. The keys are
 * gone before the workload starts; its standard streams are its own, so that our summaries go to
 * the log and the report only.
 */
#include "child/child.h"
#include "cli/internal.h"
#include "seal/seal.h"

const char help_exec_text[] =
    "decant exec: run the job, then a command as a child, then seal the job's outputs\n"
    "\n"
    "  decant exec -c job.json -- python3 train.py /mnt/plain/train\n"
    "\n"
    "The command starts when every file is published and the keys are wiped. Signals are passed on\n"
    "to it, orphans taken in (fit for process 1). Exits with its status, 128+N if signal N killed\n"
    "it, 50 if it could not be started; with a code of decant's if run or sealing fails.\n"
    "It gets neither DECANT_JOB, nor AZURE_CLIENT_SECRET, nor the variables of the job's tokens\n"
    "and SAS. Outputs are sealed if it succeeded, those with \"when\": \"always\" in any case.\n"
    "\n"
    "  -c, --job FILE        the job (JSON), - for standard input; else the variable DECANT_JOB,\n"
    "                        else /etc/decant/job.json\n"
    "      --shard I/N       as for run\n"
    "      --timeout SECONDS for the run, and again for sealing; not for the command\n"
    "      --report FILE     the summary as JSON, on failure the error\n"
    "      --no-progress     no progress line on a terminal\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help            this text\n"
    "\n"
    "Standard output is the command's own.\n";

/* The variables that the job takes secrets from: the workload has no need of them. */
struct withheld {
    const char **names;
    size_t n;
};

static void withheld_free(struct withheld *w)
{
    memory_free(w->names);
    *w = (struct withheld){0};
}

static enum status withheld_of(const struct job *job, struct withheld *out, struct error *e)
{
    out->names = memory_array(job->n_inputs + job->n_outputs + 2, sizeof(*out->names));
    if (out->names == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (size_t i = 0; i < job->n_inputs; i++)
        out->names[out->n++] = job->inputs[i].sas.env;
    for (size_t i = 0; i < job->n_outputs; i++)
        out->names[out->n++] = job->outputs[i].sas.env;
    out->names[out->n++] = job->identity.vault_token.env;
    out->names[out->n++] = job->identity.storage_token.env;
    return OK;
}

/* A part of the report; empty if there is none. */
static void tell_later(enum status made, struct buf *json, const struct error *why)
{
    if (made == OK)
        return;
    untold(why);
    buf_clear(json);
}

static const char *part_of_report(const struct buf *json)
{
    return json->size > 0 ? buf_text(json) : "null";
}

static enum status pour(const struct job *job, const struct cli_options *options, struct buf *json,
                        struct error *e)
{
    struct run_summary summary = {0};
    if (job->n_inputs == 0)
        return OK;
    TRY(run_shown(job, options, &summary, e));
    LOG(LOG_INFO, "published", LOG_NUMBER("files", summary.files),
        LOG_NUMBER("bytes", summary.plain_bytes), LOG_NUMBER("ms", summary.total_ms));
    tell_later(run_summary_json(&summary, json, e), json, e);
    return OK;
}

static enum status work(const struct job *job, const struct cli_options *options, int *exit_status,
                        struct error *e)
{
    AUTO(withheld_free) struct withheld withheld = {0};
    struct child child;
    TRY(withheld_of(job, &withheld, e));
    const struct child_options command = {
        .argv = options->command, .without = withheld.names, .n_without = withheld.n};
    TRY(child_start(&command, &child, e));
    LOG(LOG_INFO, "started", LOG_STRING("command", options->command[0]),
        LOG_NUMBER("pid", child.pid));
    TRY(child_wait(&child, exit_status, e));
    LOG(LOG_INFO, "ended", LOG_STRING("command", options->command[0]),
        LOG_NUMBER("exit_status", *exit_status));
    return OK;
}

/* ---- Sealing ---- */

/* The outputs to be sealed after EXIT_STATUS, as a job of their own that borrows from JOB. */
static enum status choose_outputs(const struct job *job, int exit_status, struct job *out,
                                  struct error *e)
{
    *out = *job;
    out->n_outputs = 0;
    out->outputs = memory_array(job->n_outputs + 1, sizeof(*out->outputs));
    if (out->outputs == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (size_t i = 0; i < job->n_outputs; i++)
        if (exit_status == 0 || job->outputs[i].always)
            out->outputs[out->n_outputs++] = job->outputs[i];
    return OK;
}

static void outputs_free(struct job *chosen)
{
    memory_free(chosen->outputs);
}

static enum status seal(const struct job *job, int exit_status, struct buf *json, struct error *e)
{
    const struct seal_options wish = {0};
    AUTO(seal_summary_free) struct seal_summary summary = {0};
    AUTO(outputs_free) struct job chosen = {0};
    TRY(choose_outputs(job, exit_status, &chosen, e));
    if (chosen.n_outputs < job->n_outputs)
        LOG(LOG_WARN, "not_sealed", LOG_NUMBER("outputs", job->n_outputs - chosen.n_outputs),
            LOG_NUMBER("exit_status", exit_status));
    if (chosen.n_outputs == 0)
        return OK;
    if (seal_outputs(&chosen, &wish, &summary, e) != OK)
        return wrap(e, "the command ended with %d, but its outputs are not sealed", exit_status);
    LOG(LOG_INFO, "sealed", LOG_NUMBER("files", summary.files),
        LOG_NUMBER("bytes", summary.plain_bytes), LOG_NUMBER("ms", summary.total_ms));
    tell_later(seal_summary_json(&summary, json, e), json, e);
    return OK;
}

static enum status report(const struct cli_options *options, const struct buf *run,
                          const struct buf *sealed, struct error *e)
{
    AUTO(buf_free) struct buf json = BUF(2 << 20);
    if (options->report == NULL)
        return OK;
    TRY(buf_addf(&json, e, "{\"result\":\"done\",\"exit_status\":%d,\"run\":%s,\"seal\":%s}",
                 *options->exit_status, part_of_report(run), part_of_report(sealed)));
    return report_write(options->report, buf_span(&json), e);
}

enum status command_exec(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(buf_free) struct buf run = BUF(4096), sealed = BUF(1 << 20);
    if (options->command == NULL || options->command[0] == NULL)
        return fail(e, E_USAGE, "the command is missing: decant exec -c JOB -- CMD ARGS");
    TRY(load_job(options, &job, e));
    if (options->report != NULL)
        TRY(report_check(options->report, e));
    TRY(pour(&job, options, &run, e));
    TRY(work(&job, options, options->exit_status, e));
    TRY(seal(&job, *options->exit_status, &sealed, e));
    if (report(options, &run, &sealed, e) != OK)
        untold(e);
    return OK;
}

/* decant doctor: would this job run here, and if not, why not? */
#include "cli/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "doctor/doctor.h"

const char help_doctor_text[] =
    "decant doctor: check every precondition of a job, one line each, and change nothing\n"
    "\n"
    "  decant doctor -c job.json\n"
    "  decant doctor -c job.json --release       and have each key released\n"
    "  decant doctor -c job.json --json | jq '.findings[] | select(.result == \"FAIL\")'\n"
    "\n"
    "  -c, --job FILE        the job (JSON), - for standard input; else the variable DECANT_JOB\n"
    "                        (JSON or base64 of it), else /etc/decant/job.json\n"
    "      --release         also have each key released, and forget it: what a run needs most,\n"
    "                        but it is in the vault's log as a release\n"
    "      --json            one JSON object: the result and each finding\n"
    "      --timeout SECONDS for the whole (limits.timeout_s; 0: none)\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help            this text\n"
    "\n"
    "Looked at, in this order: the job; trust store, proxy, each host (name, route, TLS), the\n"
    "clock; device, report, certificates, host data, utility VM; the attestation service; a token\n"
    "for each audience; each key and its release policy, claim by claim against our own token; each\n"
    "input and its first blob; each output; the volume, space, memory.\n"
    "\n"
    "ok: as it should be. FAIL: a run would fail, and what to do. skip: not looked at, and why.\n"
    "note: worth knowing. Exit code: 0 if nothing failed, else that of the first failure, as a run's.\n";

static void tell(const char *about)
{
    char line[128];
    (void)snprintf(line, sizeof line, "looking at %s", about);
    log_progress(line);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static enum status tell_job(const struct job *job, struct findings *f, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE);
    TRY(hex_encode(span_of(job->sha256, sizeof job->sha256), &hex, e));
    return finding_ok(f, "job", e, "%zu key%s, %zu input%s, %zu output%s; SHA-256 %s", job->n_keys,
                      plural(job->n_keys), job->n_inputs, plural(job->n_inputs), job->n_outputs,
                      plural(job->n_outputs), buf_text(&hex));
}

/* Without a job there is nothing to look at, which is a finding, too. */
static enum status examine(const struct cli_options *options, struct findings *f, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    struct error why = {0};
    const bool terminal = isatty(STDERR_FILENO) && options->log_format == LOG_TEXT;
    const struct doctor_options wish = {.release = options->release, .tell = terminal ? tell : NULL};
    if (load_job(options, &job, &why) != OK) {
        TRY(finding_fail(f, "job", &why, e));
        finding_advise(f, "correct it; the schema (job.schema.json) says what a job may have");
        return finding_skip(f, "all else", e, "there is no job");
    }
    TRY(tell_job(&job, f, e));
    TRY(harden(&job, options, e));
    enum status status = doctor(&job, &wish, f, e);
    if (terminal)
        log_progress("");
    return status;
}

static enum status print(const struct cli_options *options, const struct findings *f,
                         struct error *e)
{
    AUTO(buf_free) struct buf out = BUF((size_t)16 << 20);
    struct error verdict = {0};
    if (!options->json)
        return print_findings(f, false, e);
    enum status status = findings_verdict(f, &verdict);
    TRY(buf_addf(&out, e, "{\"result\":\"%s\",\"exit_code\":%d,\"findings\":",
                 status == OK ? "ok" : "failed", (int)status));
    TRY(findings_json(f, &out, e));
    TRY(buf_addf(&out, e, "}"));
    return print_line(buf_span(&out), e);
}

enum status command_doctor(const struct cli_options *options, struct error *e)
{
    AUTO(findings_free) struct findings findings = {0};
    struct error printing = {0};
    enum status status = examine(options, &findings, e);
    if (print(options, &findings, &printing) != OK && status == OK) {
        *e = printing;
        return printing.status;
    }
    return status == OK ? findings_verdict(&findings, e) : status;
}

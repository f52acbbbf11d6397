/* decant attest: what the hardware says of us, and what the attestation service makes of it. */
#include "cli/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"

const char help_attest_text[] =
    "decant attest: print evidence of the hardware, or the attestation service's word on it\n"
    "\n"
    "  decant attest --attestation https://sharedneu.neu.attest.azure.net\n"
    "  decant attest -c job.json --token --out token.jwt\n"
    "  decant attest --raw > evidence.json\n"
    "  decant attest --raw | jq -r .evidence | base64 -d > report.bin\n"
    "\n"
    "One of:\n"
    "      --claims             the claims of the service's token, as JSON: unless told otherwise\n"
    "      --token              the token (JWT); decant policy --token holds it against a policy\n"
    "      --raw                the evidence alone, no service is asked: JSON as the SKR sidecar's\n"
    "                           /attest/combined gives it, in base64: evidence (the SNP report),\n"
    "                           endorsements (PEM: VCEK, ASK, ARK), uvm_endorsements (COSE_Sign1)\n"
    "                           and runtime_data, whose SHA-256 is the report data\n"
    "From:\n"
    "  -c, --job FILE           a job (JSON), - for standard input; else the variable DECANT_JOB,\n"
    "                           else /etc/decant/job.json; --raw does without\n"
    "      --attestation URL    the attestation service, instead of a job\n"
    "To:\n"
    "      --out FILE           instead of standard output; only its owner may read it, and it has\n"
    "                           its name only when it is whole\n"
    "\n"
    "      --timeout SECONDS    for the whole\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help               this text\n"
    "\n"
    "The token is for an ephemeral key that is forgotten at the end: nothing can be released with\n"
    "it. Exit codes: 10 no evidence here, 11 the service refused it, 22 it cannot be reached.\n";

static bool has_job(const struct cli_options *options)
{
    const char *variable = getenv("DECANT_JOB");
    return options->job != NULL || (variable != NULL && variable[0] != '\0') ||
           access("/etc/decant/job.json", F_OK) == 0;
}

static enum status load(const struct cli_options *options, struct job *job, struct error *e)
{
    if (options->flags.attestation != NULL || (options->raw && !has_job(options)))
        TRY(load_service_job(options, NULL, job, e));
    else
        TRY(load_job(options, job, e));
    if (options->raw || job->attestation.provider != NULL)
        return OK;
    (void)fail(e, E_USAGE, "attestation.provider: missing");
    advise(e, "Name the attestation service in the job, or give --attestation URL");
    return e->status;
}

static enum status add_base64(const char *before, struct span bytes, struct buf *out,
                              struct error *e)
{
    TRY(buf_add(out, span_text(before), e));
    TRY(base64_encode(bytes, BASE64, out, e));
    return buf_add(out, SPAN_LITERAL("\""), e);
}

static enum status write_raw(const struct attested *attested, struct buf *out, struct error *e)
{
    const struct evidence *evidence = &attested->evidence;
    struct snp_report report = {0};
    TRY(snp_report_parse(buf_span(&evidence->report), &report, e));
    TRY(add_base64("{\"evidence\":\"", buf_span(&evidence->report), out, e));
    TRY(add_base64(",\"endorsements\":\"", buf_span(&evidence->certificates), out, e));
    TRY(add_base64(",\"uvm_endorsements\":\"", buf_span(&evidence->uvm_endorsements), out, e));
    TRY(buf_addf(out, e, ",\"endorsed_tcb\":\"%016" PRIx64 "\"", report.reported_tcb_raw));
    TRY(add_base64(",\"runtime_data\":\"", buf_span(&attested->offer.runtime_data), out, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

static enum status write_claims(const struct attested *attested, struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf claims = BUF(256 << 10);
    TRY(attested_claims(attested, &claims, e));
    return json_indent(buf_span(&claims), out, e);
}

static enum status get(const struct cli_options *options, const struct job *job, struct buf *out,
                       struct error *e)
{
    AUTO(services_close) struct services services = {0};
    AUTO(attested_free) struct attested attested = {0};
    TRY(services_open(job, &services, e));
    if (options->raw) {
        TRY(attest_evidence(&services, &attested, e));
        return write_raw(&attested, out, e);
    }
    TRY(attest(&services, &attested, e));
    return options->as_token ? buf_add(out, secret_view(&attested.token), e)
                             : write_claims(&attested, out, e);
}

enum status command_attest(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(buf_free) struct buf text = BUF((size_t)8 << 20);
    AUTO(out_close) struct out out = {.fd = -1};
    struct job bare;
    if (options->raw + options->as_token + options->claims > 1)
        return fail(e, E_USAGE, "--raw, --token and --claims exclude each other");
    TRY(load(options, &job, e));
    bare = job;
    bare.n_outputs = 0;
    bare.volume.path = NULL; /* for the guard: nothing is written there */
    TRY(harden(&bare, options, e));
    TRY(out_open(options->out, &out, e));
    TRY(get(options, &bare, &text, e));
    return out_write(&out, buf_span(&text), e);
}

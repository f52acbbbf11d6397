/* decant seal. */
#include "cli/internal.h"

const char help_seal_text[] =
    "decant seal: encrypt files for somebody's key and upload them, all or none\n"
    "\n"
    "  decant seal -c job.json                   the outputs of a job\n"
    "  decant seal --from DIR --to https://acct.blob.core.windows.net/data/train/ \\\n"
    "      --key https://vault.vault.azure.net/keys/dataset-kek --manifest\n"
    "\n"
    "Needs no confidential VM: data owners prepare inputs with it. The blobs are client-side\n"
    "encrypted as the Azure SDKs do it, version 2.0.\n"
    "\n"
    "  -c, --job FILE        the job (JSON), - for standard input; else the variable DECANT_JOB,\n"
    "                        else /etc/decant/job.json\n"
    "      --from PATH       a directory (everything below it) or a file\n"
    "      --to URL          a blob, or a prefix that ends in '/'\n"
    "      --key KID         the recipient's key, as the vault names it\n"
    "      --key-file FILE   its public half (PEM or JWK), instead of asking the vault\n"
    "      --manifest        upload the list of the files beside the prefix; its SHA-256 is printed\n"
    "      --overwrite       replace blobs that are there\n"
    "      --gzip            compress each file first\n"
    "\n"
    "  Without -c, AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_TOKEN and AZURE_VAULT_TOKEN hold a SAS\n"
    "  or access tokens; else the identity is found as the Azure SDKs find it.\n"
    "\n"
    "      --dry-run         everything up to the first write\n"
    "      --timeout SECONDS for the whole (limits.timeout_s; 0: none)\n"
    "      --report FILE     the summary as JSON, on failure the error\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help            this text\n"
    "\n"
    "On success standard output carries one line of JSON.\n";

static enum status load(const struct cli_options *options, struct job *job, struct error *e)
{
    const struct seal_flags flags = {
        .from = options->flags.from,
        .to = options->flags.to,
        .key = options->flags.key,
        .key_file = options->key_file,
        .overwrite = options->overwrite,
        .manifest = options->manifest,
        .gzip = options->gzip,
    };
    if (flags.from == NULL && flags.to == NULL && flags.key == NULL) {
        if (flags.key_file != NULL || flags.overwrite || flags.manifest || flags.gzip)
            return fail(e, E_USAGE,
                        "--key-file, --overwrite, --manifest and --gzip go with --from; a job says "
                        "it for each output");
        return load_job(options, job, e);
    }
    TRY(job_from_seal_flags(&flags, job, e));
    if (options->has_timeout)
        job->limits.timeout_s = options->timeout_s;
    return OK;
}

enum status command_seal(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(seal_summary_free) struct seal_summary summary = {0};
    AUTO(buf_free) struct buf json = BUF(1 << 20);
    const struct seal_options wish = {.dry_run = options->dry_run};
    TRY(load(options, &job, e));
    if (options->report != NULL)
        TRY(report_check(options->report, e));
    TRY(harden(&job, options, e));
    TRY(seal_outputs(&job, &wish, &summary, e));
    if (seal_summary_json(&summary, &json, e) == OK)
        tell_summary(options, buf_span(&json));
    else
        untold(e);
    return OK;
}

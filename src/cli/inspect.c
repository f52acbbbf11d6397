/* decant inspect: what a thing is, what it says, whether it is genuine. Offline. */
#include "cli/internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "inspect/inspect.h"

const char help_inspect_text[] =
    "decant inspect: explain a file or directory, offline, and verify what can be verified\n"
    "\n"
    "  decant inspect report.bin --certificates host-amd-cert.json\n"
    "  decant inspect token.jwt --jwks certs.json\n"
    "  decant inspect $UVM_SECURITY_CONTEXT_DIR\n"
    "  decant inspect model.bin --metadata encryptiondata.json --key-file kek.pem\n"
    "  decant inspect receipt.json --verify --cce-policy FILE --manifest-file manifest.json\n"
    "\n"
    "THING (- for standard input) tells by its content what it is; hexadecimal and base64 are\n"
    "undone: report (SNP), certificates (of a chip) or thim (the same from Azure's service), token\n"
    "(of the attestation service), release (of a key), endorsement (of the utility VM), manifest,\n"
    "receipt, metadata (of a blob); blob by its metadata; security-context: a directory.\n"
    "      --as KIND            it is this, whatever it looks like\n"
    "      --verify             whatever could not be verified, or is wrong, makes the exit code:\n"
    "                           10, 11, 14 evidence, token, key; 30 not genuine; 31 no match\n"
    "      --json               one JSON object: the kind and each finding\n"
    "      --at DATE            dates are judged then: 2026-11-24 or 2026-11-24T08:00:00Z\n"
    "What to verify it with:\n"
    "      --host-data HEX      what a report, token or receipt must have, or\n"
    "      --cce-policy FILE    the container policy (base64) that it is the digest of\n"
    "      --certificates FILE  a report's: PEM, or the certificate service's JSON\n"
    "      --jwks FILE          a token's: the attestation service's /certs\n"
    "      --ca-file FILE       a release's: the roots to believe\n"
    "      --metadata FILE      a blob's encryptiondata; else THING.meta.json\n"
    "      --key-file FILE      a blob's private key, PEM or JWK: every region is verified\n"
    "      --manifest-file FILE a receipt's, output's or input's; may be repeated\n"
    "  -c, --job FILE           a receipt's job\n"
    "      --amd-root FILE      believe this root instead of AMD's: for tests\n";

/* UTC: a date, or a date and a time. */
static enum status read_time(const char *text, int64_t *out, struct error *e)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end == NULL || *end != '\0')
            continue;
        *out = (int64_t)timegm(&tm);
        return OK;
    }
    return fail(e, E_USAGE, "--at wants a date such as 2026-11-24, not \"%s\"", text);
}

static enum status print_json(const struct inspection *inspection, struct error *e)
{
    AUTO(buf_free) struct buf out = BUF((size_t)16 << 20);
    TRY(buf_addf(&out, e, "{\"kind\":\"%s\",\"findings\":", inspection->kind));
    TRY(findings_json(&inspection->findings, &out, e));
    TRY(buf_addf(&out, e, "}"));
    return print_line(buf_span(&out), e);
}

static enum status print_inspection(const struct cli_options *options,
                                    const struct inspection *inspection, struct error *e)
{
    if (options->json)
        return print_json(inspection, e);
    TRY(print_line(span_text(inspection->kind), e));
    return print_findings(&inspection->findings, false, e);
}

enum status command_inspect(const struct cli_options *options, struct error *e)
{
    AUTO(inspection_free) struct inspection inspection = {0};
    struct inspect_options wish = {
        .path = options->operands[0],
        .as = options->as,
        .metadata = options->metadata,
        .key = options->key_file,
        .jwks = options->jwks,
        .certificates = options->certificates,
        .ca_file = options->ca_file,
        .amd_root = options->amd_root,
        .policy = options->cce_policy,
        .host_data = options->host_data,
        .job = options->job,
        .manifests = options->manifest_files,
        .n_manifests = options->n_manifest_files,
        .verify = options->verify,
        .now_unix_s = clock_unix_s(),
    };
    if (options->at != NULL)
        TRY(read_time(options->at, &wish.now_unix_s, e));
    if (options->cce_policy != NULL && options->host_data != NULL)
        return fail(e, E_USAGE, "--cce-policy and --host-data exclude each other");
    TRY(inspect(&wish, &inspection, e));
    TRY(print_inspection(options, &inspection, e));
    return options->verify ? findings_verdict(&inspection.findings, e) : OK;
}

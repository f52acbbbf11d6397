/* decant policy: the release policy of a key, for its owner; or what it makes of a given token. */
#include "cli/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/evidence.h"
#include "policy/policy.h"

const char help_policy_text[] =
    "decant policy: the release policy that a key in Key Vault or Managed HSM is created with\n"
    "\n"
    "  decant policy --attestation https://sharedneu.neu.attest.azure.net --cce-policy FILE\n"
    "  decant policy --attestation URL --attestation URL2 --host-data HEX > release-policy.json\n"
    "  decant policy --attestation URL --token token.jwt     would this token get the key?\n"
    "  decant policy --release-policy key-policy.json --token token.jwt\n"
    "\n"
    "Which container group:\n"
    "      --cce-policy FILE    its ccePolicy, base64 as in the template (- for standard input)\n"
    "      --host-data HEX      the SHA-256 of its policy, as az confcom prints it\n"
    "                           without either: the container this runs in\n"
    "What else must hold:\n"
    "      --attestation URL    an attestation service whose tokens count; may be repeated\n"
    "      --compliance STATUS  x-ms-compliance-status; azure-compliant-uvm unless given;\n"
    "                           none leaves it out (Kata on AKS: azure-signed-katacc-uvm)\n"
    "      --allow-debug        also release to a guest that the host can debug\n"
    "      --svn MIN-MAX        versions of the utility VM's endorsement: each is listed, because\n"
    "                           a vault's policy knows no \"at least\" (at most 64)\n"
    "Instead of printing it:\n"
    "      --token FILE         hold a token (JWT or its claims as JSON) against the policy, claim\n"
    "                           by claim; exit code 0: released, 13: refused\n"
    "      --release-policy FILE    against this one: the policy, or the vault's {\"data\": …}\n"
    "      --json               the findings as JSON\n"
    "\n"
    "The file is what az keyvault key create wants as the key's policy.\n";

static enum status read_given(const char *path, size_t max, struct buf *out, struct error *e)
{
    return file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, max, out, E_USAGE, e);
}

static enum status find_host_data(const struct cli_options *options, struct policy_wish *wish,
                                  struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(0);
    char source[EVIDENCE_SOURCE_SIZE] = "";
    if (options->cce_policy != NULL && options->host_data != NULL)
        return fail(e, E_USAGE, "--cce-policy and --host-data exclude each other");
    if (options->host_data != NULL)
        return policy_host_data_hex(span_text(options->host_data), wish->host_data, e);
    if (options->cce_policy != NULL) {
        TRY(read_given(options->cce_policy, POLICY_CCE_MAX, &text, e));
        return policy_host_data(buf_span(&text), wish->host_data, e);
    }
    if (evidence_host_data(wish->host_data, source, e) != OK) {
        advise(e, "Give the container policy: --cce-policy FILE or --host-data HEX");
        return wrap(e, "host data of this container");
    }
    LOG(LOG_INFO, "host_data", LOG_STRING("source", source));
    return OK;
}

static bool makes_one(const struct cli_options *options)
{
    return options->n_services > 0 || options->cce_policy != NULL || options->host_data != NULL ||
           options->compliance != NULL || options->allow_debug || options->has_svn;
}

static enum status make(const struct cli_options *options, struct buf *out, struct error *e)
{
    struct policy_wish wish = {
        .attestation = options->services,
        .n_attestation = options->n_services,
        .compliance = options->compliance != NULL ? options->compliance : POLICY_COMPLIANCE_ACI,
        .debug_off = !options->allow_debug,
        .has_svn = options->has_svn,
        .svn_min = options->svn_min,
        .svn_max = options->svn_max,
    };
    if (strcmp(wish.compliance, "none") == 0)
        wish.compliance = NULL;
    if (wish.n_attestation > 0) /* else policy_write says that before any device is asked */
        TRY(find_host_data(options, &wish, e));
    return policy_write(&wish, out, e);
}

static enum status get_policy(const struct cli_options *options, struct buf *out, struct error *e)
{
    if (options->release_policy == NULL)
        return make(options, out, e);
    if (makes_one(options))
        return fail(e, E_USAGE, "--release-policy gives the policy: no option that makes one");
    if (options->token == NULL)
        return fail(e, E_USAGE, "--release-policy wants a --token to hold against it");
    return read_given(options->release_policy, POLICY_TEXT_MAX, out, e);
}

enum status print_findings(const struct findings *findings, bool json, struct error *e)
{
    AUTO(buf_free) struct buf out = BUF((size_t)16 << 20);
    if (json)
        TRY(findings_json(findings, &out, e));
    else
        TRY(findings_text(findings, &out, e));
    struct span text = buf_span(&out);
    if (!json && text.size > 0)
        text.size--; /* print_line ends the line */
    return print_line(text, e);
}

static enum status try_token(const struct cli_options *options, struct span policy, struct error *e)
{
    AUTO(findings_free) struct findings each = {0};
    AUTO(buf_free) struct buf token = BUF(0);
    struct error printing = {0};
    TRY(read_given(options->token, POLICY_TOKEN_MAX, &token, e));
    enum status status = policy_evaluate(policy, buf_span(&token), &each, e);
    if (each.n > 0 && print_findings(&each, options->json, &printing) != OK) {
        *e = printing;
        return printing.status;
    }
    return status;
}

enum status command_policy(const struct cli_options *options, struct error *e)
{
    AUTO(buf_free) struct buf policy = BUF(POLICY_TEXT_MAX);
    TRY(get_policy(options, &policy, e));
    if (options->token != NULL)
        return try_token(options, buf_span(&policy), e);
    if (options->json)
        return fail(e, E_USAGE, "--json is for --token: a policy is JSON in any case");
    return print_line(span_trim(buf_span(&policy)), e);
}

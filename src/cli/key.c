/* decant key: one key, for programs that want it itself. The one command that prints a secret. */
#include "cli/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/access.h"

const char help_key_text[] =
    "decant key: release one key, and print it as a JWK (private: RSA, EC or oct)\n"
    "\n"
    "  decant key https://vault.vault.azure.net/keys/data-kek -c job.json | program\n"
    "  decant key https://vault.vault.azure.net/keys/data-kek --out /mnt/plain/key.json \\\n"
    "      --attestation https://sharedneu.neu.attest.azure.net\n"
    "\n"
    "KID is one of the job's keys, as its \"kid\" or an alias has it; the job says where it comes\n"
    "from: a vault, a sidecar or a file. With --attestation it is any key in a vault.\n"
    "\n"
    "  -c, --job FILE           the job (JSON), - for standard input; else the variable DECANT_JOB,\n"
    "                           else /etc/decant/job.json\n"
    "      --attestation URL    the attestation service, instead of a job\n"
    "      --out FILE           instead of standard output; only its owner may read it, and it has\n"
    "                           its name only when it is whole\n"
    "      --timeout SECONDS    for the whole\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help               this text\n"
    "\n"
    "Whoever sees this output can read what the key protects. Keep it in memory: a pipe, or a file\n"
    "on the confidential volume. A terminal or a file that others can read is warned of.\n";

/* What age-keygen warns of, and a terminal, whose scrollback keeps the key. */
static void warn_of_readers(const struct out *out)
{
    struct stat st;
    const char *note = NULL;
    if (out->path != NULL)
        return;
    if (isatty(out->fd))
        note = "the private key is shown on a terminal; give --out FILE, or a pipe";
    else if (fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0077) != 0)
        note = "the private key goes to a file that others can read; give --out FILE";
    if (note != NULL)
        LOG(LOG_WARN, "key_readable", LOG_STRING("note", note));
}

/* JOB with KID as its only key: else the attestation for the others would go on beside. A key that it
 * does not have is a mistake on the command line, not a blob's. Borrows from JOB. */
static enum status choose(const struct job *job, const char *kid, struct job *out, struct error *e)
{
    const struct config_key *key = NULL;
    if (keyring_allows(job, kid, &key, e) != OK) {
        (void)fail(e, E_USAGE, "the job has no key \"%s\"", kid);
        advise(e, "Give one of the job's \"keys\" as it stands there, or add this one");
        return e->status;
    }
    *out = *job;
    out->keys = job->keys + (key - job->keys);
    out->n_keys = 1;
    out->n_outputs = 0;
    out->volume.path = NULL; /* for the guard: nothing is written there */
    return keyring_check(out, e);
}

static enum status get(const struct job *job, const char *kid, struct secret *jwk, struct error *e)
{
    AUTO(services_close) struct services services = {0};
    AUTO(keyring_close) struct keyring *keyring = NULL;
    const struct kek *kek = NULL;
    TRY(services_open(job, &services, e));
    TRY(keyring_open(&services, 1, &keyring, e));
    TRY(keyring_find(keyring, kid, &kek, e));
    return key_to_jwk(kek, jwk, e);
}

enum status command_key(const struct cli_options *options, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    AUTO(secret_free) struct secret jwk = {0};
    AUTO(out_close) struct out out = {.fd = -1};
    struct job chosen;
    const char *kid = options->operands[0];
    TRY(options->flags.attestation != NULL ? load_service_job(options, kid, &job, e)
                                           : load_job(options, &job, e));
    TRY(choose(&job, kid, &chosen, e));
    TRY(harden(&chosen, options, e));
    TRY(out_open(options->out, &out, e));
    TRY(get(&chosen, kid, &jwk, e));
    warn_of_readers(&out);
    return out_write(&out, secret_view(&jwk), e);
}

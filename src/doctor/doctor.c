/* The order of the checks: that in which a run needs what they look at. */
#include "doctor/internal.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *about;
    enum status (*run)(struct doctor *d, struct error *e);
} checks[] = {
    {"the network", check_network},
    {"the clock", check_clock},
    {"the hardware's evidence", check_evidence},
    {"the attestation service", check_attestation},
    {"access tokens", check_tokens},
    {"the keys", check_keys},
    {"the release of the keys", check_releases},
    {"the inputs", check_inputs},
    {"the outputs", check_outputs},
    {"the volume", check_volume},
    {"the volume's space", check_space},
    {"memory", check_memory},
    {"locked memory", check_locked_memory},
};

bool key_is_vaulted(const struct config_key *key)
{
    return key->file == NULL && !key->from_sidecar;
}

bool job_attests(const struct job *job)
{
    bool needs = false;
    for (size_t i = 0; i < job->n_keys; i++)
        needs = needs || key_is_vaulted(&job->keys[i]);
    for (size_t i = 0; i < job->n_outputs; i++)
        needs = needs || job->outputs[i].receipt;
    return needs;
}

bool location_needs_token(const struct job *job, const struct storage_location *location,
                          const struct config_place *sas)
{
    return location->sas == NULL && sas->env == NULL && sas->file == NULL &&
           job->identity.type != CONFIG_IDENTITY_NONE;
}

const char *size_text(uint64_t bytes, char out[static SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < COUNT(units); unit++)
        size /= 1024;
    (void)snprintf(out, SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return out;
}

static enum status run_checks(struct doctor *d, struct error *e)
{
    for (size_t i = 0; i < COUNT(checks); i++) {
        TRY(stop_check(e));
        if (d->options->tell != NULL)
            d->options->tell(checks[i].about);
        TRY(checks[i].run(d, e));
    }
    return stop_check(e);
}

/* What helps against most failures of a class; docs/operations.md has more. */
static const struct {
    enum status class;
    const char *advice;
} remedies[] = {
    {E_USAGE, "correct the job"},
    {E_NO_EVIDENCE, "start the container group again, which may bring it to another host; look at the "
                    "evidence with decant attest --raw"},
    {E_NOT_ATTESTED, "ask the attestation service's owner, with the request id"},
    {E_NO_TOKEN, "assign the identity, or choose another type in \"identity\""},
    {E_NOT_RELEASED, "look at the key, its release policy and who may release it"},
    {E_BAD_KEY, "check that what answers is the vault itself, and the job's \"keys\""},
    {E_NOT_FOUND, "check the name; letters' case counts"},
    {E_DENIED, "check the SAS, or the identity's roles"},
    {E_NETWORK, "try again; if it stays, look at the service's health and the network between"},
    {E_NOT_AUTHENTIC, "ask the data's owner to upload it again"},
    {E_MISMATCH, "compare with what the data's owner has: it was replaced, or the job is out of date"},
};

static void add_remedies(struct findings *f, size_t from)
{
    for (size_t i = from; i < f->n; i++)
        for (size_t j = 0; j < COUNT(remedies); j++)
            if (f->list[i].result == FINDING_FAIL && f->list[i].remedy[0] == '\0' &&
                f->list[i].status == remedies[j].class)
                (void)snprintf(f->list[i].remedy, sizeof f->list[i].remedy, "%s",
                               remedies[j].advice);
}

enum status doctor(const struct job *job, const struct doctor_options *options,
                   struct findings *out, struct error *e)
{
    struct doctor d = {.job = job,
                       .options = options,
                       .findings = out,
                       .services = {.tries = 2}, /* a service that stumbles once is well */
                       .claims = BUF(256 << 10)};
    size_t before = out->n;
    enum status status = run_checks(&d, e);
    add_remedies(out, before);
    buf_free(&d.claims);
    attested_free(&d.attested);
    services_close(&d.services);
    return status;
}

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

enum status doctor(const struct job *job, const struct doctor_options *options,
                   struct findings *out, struct error *e)
{
    struct doctor d = {.job = job,
                       .options = options,
                       .findings = out,
                       .services = {.tries = 2}, /* a service that stumbles once is well */
                       .claims = BUF(256 << 10)};
    enum status status = run_checks(&d, e);
    buf_free(&d.claims);
    attested_free(&d.attested);
    services_close(&d.services);
    return status;
}

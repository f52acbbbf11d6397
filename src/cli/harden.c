/* Which places a job needs to write, for the guard. */
#include "cli/internal.h"
#include "guard/guard.h"

#include <string.h>

/* The report is asked of no descriptor that would be gone: /dev/fd/3, /proc/self/fd/3. */
static bool is_descriptor(const char *path)
{
    return path != NULL && (strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/", 6) == 0);
}

static bool needs_descriptors(const struct job *job, const struct cli_options *options)
{
    bool needs = is_descriptor(options->report) || is_descriptor(job->network.ca_file) ||
                 is_descriptor(job->identity.vault_token.file) ||
                 is_descriptor(job->identity.storage_token.file);
    for (size_t i = 0; i < job->n_keys; i++)
        needs = needs || is_descriptor(job->keys[i].file);
    for (size_t i = 0; i < job->n_inputs; i++)
        needs = needs || is_descriptor(job->inputs[i].sas.file);
    for (size_t i = 0; i < job->n_outputs; i++)
        needs = needs || is_descriptor(job->outputs[i].sas.file) ||
                is_descriptor(job->outputs[i].from) || is_descriptor(job->outputs[i].key_file);
    return needs;
}

enum status harden(const struct job *job, const struct cli_options *options, struct error *e)
{
    char folder[PATH_MAX] = ""; /* where a file is made and then named */
    if (options->out != NULL)
        TRY(out_folder(options->out, folder, e));
    const char *const writable[] = {
        job->volume.path,
        options->out != NULL ? folder : NULL,
        options->report,
        "/dev/termination-log",
        "/dev/sev-guest",
        "/dev/sev",
        "/sys/kernel/config/tsm/report",    /* evidence through configfs-tsm: a folder per report */
        job->n_outputs > 0 ? "/tmp" : NULL, /* seal's list of files, if there is no volume */
    };
    struct guard_options guard = {
        .writable = writable,
        .n_writable = COUNT(writable),
        .keep_descriptors = needs_descriptors(job, options),
    };
    TRY(guard_mode_of_environment(&guard.mode, e));
    return guard_enter(&guard, e);
}

/* What a job must fulfil as a whole. */
#include "config/internal.h"

#include <string.h>

static enum status check_place(const struct config_place *place, struct job_path *path,
                               const char *name, struct error *e)
{
    if (place->env == NULL || place->file == NULL)
        return OK;
    path_push(path, ".%s_env", name);
    return refuse(path, e, "stands beside %s_file; give one of both", name);
}

static enum status check_vault_url(const char *kid, struct job_path *path, const char *member,
                                   struct error *e)
{
    struct url url;
    if (url_parse(kid, &url, e) != OK) {
        path_push(path, ".%s", member);
        return wrap(e, "%s", path->text);
    }
    if (url.https || url_host_is_local(&url))
        return OK;
    path_push(path, ".%s", member);
    return refuse(path, e, "plain http is only for loopback and link-local addresses; use https");
}

static enum status check_key(const struct job *job, const struct config_key *key,
                             struct job_path *path, struct error *e)
{
    bool from_vault = key->file == NULL;
    if (key->file != NULL && key->from_sidecar)
        return refuse(path, e, "\"file\" and \"source\" exclude each other");
    if (from_vault)
        TRY(check_vault_url(key->kid, path, "kid", e));
    if (from_vault && job->attestation.provider == NULL)
        return fail(e, E_USAGE, "attestation.provider: missing, and %s is to be released",
                    path->text);
    if (key->from_sidecar && job->attestation.sidecar == NULL)
        return fail(e, E_USAGE, "attestation.sidecar: missing, and %s comes from a sidecar",
                    path->text);
    return OK;
}

static enum status check_single(const struct config_input *input, struct job_path *path,
                                struct error *e)
{
    if (input->match != NULL)
        path_push(path, ".match");
    else if (input->manifest.from != NULL)
        path_push(path, ".manifest");
    else
        return OK;
    return refuse(path, e, "only for a prefix (a \"from\" that ends in '/')");
}

static enum status check_prefix(const struct config_input *input, struct job_path *path,
                                struct error *e)
{
    if (input->has_sha256)
        path_push(path, ".sha256");
    else if (input->has_size)
        path_push(path, ".size");
    else
        return OK;
    return refuse(path, e, "only for a single blob; a prefix is pinned by its \"manifest\"");
}

static enum status check_input(const struct job *job, const struct config_input *input,
                               struct job_path *path, struct error *e)
{
    bool plain = input->format == CONFIG_FORMAT_PLAIN;
    TRY(check_place(&input->sas, path, "sas", e));
    TRY(input->is_prefix ? check_prefix(input, path, e) : check_single(input, path, e));
    if (!plain && job->n_keys == 0)
        return refuse(path, e,
                      "is encrypted, but the job has no \"keys\" (format \"plain\" copies "
                      "unencrypted blobs)");
    if (input->key != NULL && input->format != CONFIG_FORMAT_AES_GCM) {
        path_push(path, ".key");
        return refuse(path, e, "only for format \"aes-gcm\"; other blobs name their key");
    }
    if (input->format == CONFIG_FORMAT_AES_GCM && input->key == NULL && job->n_keys > 1)
        return refuse(path, e, "format \"aes-gcm\" with several keys needs \"key\"");
    return OK;
}

static enum status check_output(const struct job *job, const struct config_output *output,
                                struct job_path *path, struct error *e)
{
    TRY(check_place(&output->sas, path, "sas", e));
    if (output->key_file != NULL && output->key_inline != NULL) {
        path_push(path, ".key_file");
        return refuse(path, e, "stands beside key_inline; give one of both");
    }
    if (output->key_file == NULL && output->key_inline == NULL &&
        check_vault_url(output->key, path, "key", e) != OK) {
        advise(e, "Give the id of a key in a vault, or the public key with key_file or key_inline");
        return e->status;
    }
    if (output->receipt && job->attestation.provider == NULL)
        return fail(e, E_USAGE, "attestation.provider: missing, and %s wants a receipt",
                    path->text);
    return OK;
}

static enum status check_identity(const struct job *job, struct error *e)
{
    struct job_path path = {0};
    path_push(&path, "identity");
    TRY(check_place(&job->identity.vault_token, &path, "vault_token", e));
    TRY(check_place(&job->identity.storage_token, &path, "storage_token", e));
    bool tokens = job->identity.vault_token.env || job->identity.vault_token.file ||
                  job->identity.storage_token.env || job->identity.storage_token.file;
    if (tokens && job->identity.type != CONFIG_IDENTITY_TOKEN)
        return refuse(&path, e, "ready-made tokens need \"type\": \"token\"");
    if (!tokens && job->identity.type == CONFIG_IDENTITY_TOKEN)
        return refuse(&path, e,
                      "\"type\": \"token\" needs vault_token_env, vault_token_file, "
                      "storage_token_env or storage_token_file");
    return OK;
}

enum status job_check(const struct job *job, struct error *e)
{
    if (job->attestation.evidence == CONFIG_EVIDENCE_SIDECAR && job->attestation.sidecar == NULL)
        return fail(e, E_USAGE,
                    "attestation.sidecar: missing, and attestation.evidence is \"sidecar\"");
    TRY(check_identity(job, e));
    for (size_t i = 0; i < job->n_keys; i++) {
        struct job_path path = {0};
        path_push(&path, "keys[%zu]", i);
        TRY(check_key(job, &job->keys[i], &path, e));
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        struct job_path path = {0};
        path_push(&path, "inputs[%zu]", i);
        TRY(check_input(job, &job->inputs[i], &path, e));
    }
    for (size_t i = 0; i < job->n_outputs; i++) {
        struct job_path path = {0};
        path_push(&path, "outputs[%zu]", i);
        TRY(check_output(job, &job->outputs[i], &path, e));
    }
    return OK;
}

/*
 * One output of the job: whose key it is sealed for, where its blobs go, and what they are called.
 *
 * Manifest and receipt are no part of the data set: below the prefix they would be, to whoever reads
 * it back, files that do not belong there. They lie beside it.
 */
#include "seal/internal.h"

#include <string.h>

static enum status check_location(const struct output *output, struct error *e)
{
    if (output->config->is_prefix != output->location.is_prefix)
        return fail(e, E_USAGE, "\"to\" names no blob; a prefix ends in '/'");
    if (output->location.pin != NULL)
        return fail(e, E_USAGE, "\"to\" names a version or snapshot, which cannot be written");
    return output->location.is_prefix ? OK : storage_name_check(output->location.name, e);
}

/* "a/b/" or "a/b", and ENDING behind "a/b". */
static enum status name_beside(const struct output *output, const char *member, const char *ending,
                               char **out, struct error *e)
{
    AUTO(buf_free) struct buf name = BUF(8192);
    struct span base = span_text(output->location.name);
    while (base.size > 0 && base.data[base.size - 1] == '/')
        base.size--;
    if (base.size == 0) {
        (void)fail(e, E_USAGE, "\"%s\" has no place beside a whole container", member);
        advise(e, "Give \"to\" a prefix, such as …/results/");
        return E_USAGE;
    }
    TRY(buf_add(&name, base, e));
    TRY(buf_add(&name, span_text(ending), e));
    *out = memory_text(buf_text(&name));
    return *out != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

static enum status name_manifest(struct output *output, struct error *e)
{
    const struct config_output *config = output->config;
    if (!config->has_manifest && !config->receipt)
        return OK;
    if (config->manifest == NULL)
        return name_beside(output, "manifest", ".manifest.json", &output->manifest, e);
    if (output->location.is_prefix &&
        strncmp(config->manifest, output->location.name, strlen(output->location.name)) == 0)
        return fail(e, E_USAGE, "the manifest %s lies below the prefix that it lists",
                    config->manifest);
    TRY(storage_name_check(config->manifest, e));
    output->manifest = memory_text(config->manifest);
    return output->manifest != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

static enum status check(const struct job *job, struct output *output, struct error *e)
{
    (void)job;
    struct key_id id;
    const struct config_output *config = output->config;
    TRY(storage_locate(config->to, &output->location, e));
    TRY(check_location(output, e));
    if (config->key_file == NULL && config->key_inline == NULL)
        TRY(key_id_parse(config->key, &id, e));
    TRY(name_manifest(output, e));
    if (config->receipt)
        TRY(name_beside(output, "receipt", ".receipt.json", &output->receipt, e));
    return OK;
}

enum status output_check(const struct job *job, size_t index, struct output *out, struct error *e)
{
    out->config = &job->outputs[index];
    out->index = index;
    return check(job, out, e) == OK ? OK : wrap(e, "outputs[%zu]", index);
}

static enum status find_recipient(struct output *output, const struct services *services,
                                  struct error *e)
{
    const struct config_output *config = output->config;
    if (config->key_file != NULL)
        return key_public_from_file(config->key_file, config->key, &output->recipient, e);
    if (config->key_inline != NULL)
        return key_public_from_text(span_text(config->key_inline), config->key, &output->recipient,
                                    e);
    AUTO(secret_free) struct secret bearer = {0};
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(services_vault_token(services, config->key, &bearer, e));
    TRY(http_session_take(services->http, &session, e));
    return key_public_from_vault(session, config->key, secret_view(&bearer), &output->recipient, e);
}

enum status output_open(struct output *output, const struct services *services, struct error *e)
{
    TRY(services_storage(services, &output->location, &output->config->sas, &output->storage, e));
    if (find_recipient(output, services, e) != OK)
        return wrap(e, "outputs[%zu]", output->index);
    LOG(LOG_INFO, "recipient", LOG_STRING("key", output->recipient.kid));
    return OK;
}

void output_close(struct output *output)
{
    memory_free(output->manifest);
    memory_free(output->receipt);
    kek_free(&output->recipient);
    storage_close(&output->storage);
    storage_location_free(&output->location);
}

static enum status spell(const struct output *output, const char *path, struct buf *name,
                         struct error *e)
{
    TRY(buf_add(name, span_text(output->location.name), e));
    if (!output->location.is_prefix)
        return OK;
    if (path[0] != '\0')
        return buf_add(name, span_text(path), e);
    const char *slash = strrchr(output->config->from, '/');
    return buf_add(name, span_text(slash != NULL ? slash + 1 : output->config->from), e);
}

enum status output_blob_name(const struct output *output, const char *path, char **out,
                             struct error *e)
{
    AUTO(buf_free) struct buf name = BUF(32768);
    TRY(spell(output, path, &name, e));
    TRY(storage_name_check(buf_text(&name), e));
    const char *const taken[] = {output->manifest, output->receipt};
    for (size_t i = 0; i < COUNT(taken); i++)
        if (taken[i] != NULL && strcmp(taken[i], buf_text(&name)) == 0)
            return fail(e, E_NAME, "%s is the name of the output's manifest or receipt", taken[i]);
    *out = memory_text(buf_text(&name));
    return *out != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

enum status output_url(const struct output *output, const char *name, struct buf *out,
                       struct error *e)
{
    TRY(buf_addf(out, e, "%s/", output->location.container_url));
    return percent_encode(span_text(name), "/", out, e);
}

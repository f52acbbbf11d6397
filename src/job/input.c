/*
 * One input of the job: where its blobs are, how to get at them, what they are called on the
 * volume, and what its manifest says of them. Names come from the service and are hostile: each is
 * checked before it becomes a name on the volume.
 */
#include "job/internal.h"

#include <stdlib.h>
#include <string.h>

enum status input_blob_url(const struct input *input, const struct blob *blob, struct buf *out,
                           struct error *e)
{
    TRY(buf_addf(out, e, "%s/", input->location.container_url));
    return percent_encode(span_text(blob->name), "/", out, e);
}

enum status input_blame(const struct input *input, const struct blob *blob, enum status status,
                        struct error *e)
{
    const char *container = strrchr(input->location.container_url, '/');
    if (status == OK)
        return OK;
    return wrap(e, "blob %s/%s", container != NULL ? container + 1 : "", blob->name);
}

static enum status add_bytes(void *context, struct span bytes, struct error *e)
{
    return buf_add(context, bytes, e);
}

static enum status fetch_manifest(struct input *input, struct storage *storage, struct buf *text,
                                  struct run *run, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(blob_free) struct blob blob = {0};
    TRY(http_session_take(run->services.http, &session, e));
    TRY(storage_properties(storage, session, &blob, e));
    TRY(manifest_check_room(run->job->limits.memory_mib, run->manifest_bytes, blob.size, e));
    run->manifest_bytes += blob.size; /* each is held until the run ends */
    const struct feed feed = {.take = add_bytes, .context = text};
    if (blob.size > 0)
        TRY(storage_read(storage, session, &blob, 0, blob.size, &feed, e));
    return manifest_parse(buf_span(text), input->config->manifest.sha256, &input->manifest, e);
}

static enum status locate_input(const struct config_input *config, struct storage_location *out,
                                struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    TRY(storage_locate(config->from, &location, e));
    if (!config->is_prefix && location.is_prefix)
        return fail(e, E_USAGE, "\"from\" names no blob; a prefix ends in '/'");
    *out = location;
    location = (struct storage_location){0};
    return OK;
}

static enum status locate_manifest(const struct config_input *config, struct storage_location *out,
                                   struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    TRY(storage_locate(config->manifest.from, &location, e));
    if (location.is_prefix)
        return fail(e, E_USAGE, "manifest.from is not the URL of a blob");
    *out = location;
    location = (struct storage_location){0};
    return OK;
}

enum status input_check(const struct config_input *config, struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    AUTO(storage_location_free) struct storage_location manifest = {0};
    TRY(locate_input(config, &location, e));
    return config->manifest.from != NULL ? locate_manifest(config, &manifest, e) : OK;
}

static enum status open_manifest(struct run *run, struct input *input, struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    AUTO(storage_close) struct storage *storage = NULL;
    AUTO(buf_free) struct buf text = BUF(MANIFEST_SIZE_MAX);
    TRY(locate_manifest(input->config, &location, e));
    TRY(services_storage(&run->services, &location, &input->config->sas, &storage, e));
    if (fetch_manifest(input, storage, &text, run, e) != OK)
        return wrap(e, "manifest %s", location.name);
    return OK;
}

enum status input_open(struct run *run, const struct config_input *config, struct input *input,
                       struct error *e)
{
    input->config = config;
    TRY(locate_input(config, &input->location, e));
    TRY(services_storage(&run->services, &input->location, &config->sas, &input->storage, e));
    return config->manifest.from != NULL ? open_manifest(run, input, e) : OK;
}

void input_close(struct input *input)
{
    manifest_free(&input->manifest);
    storage_close(&input->storage);
    storage_location_free(&input->location);
}

const char *input_rest_of(const struct input *input, const struct blob *blob)
{
    return blob->name + strlen(input->location.name);
}

bool input_wants(const struct input *input, const struct blob *blob)
{
    return input->config->match == NULL ||
           storage_match(input->config->match, input_rest_of(input, blob));
}

/* Below a prefix: "to" and the rest of the blob's name. A single blob: "to", else the last segment
 * of its name. */
enum status input_name(const struct input *input, const struct blob *blob, char **out,
                       struct error *e)
{
    AUTO(buf_free) struct buf name = BUF(8192);
    const struct config_input *config = input->config;
    if (config->is_prefix) {
        struct span to = span_text(config->to);
        while (to.size > 0 && to.data[to.size - 1] == '/')
            to.size--;
        TRY(buf_add(&name, to, e));
        if (to.size > 0)
            TRY(buf_add(&name, SPAN_LITERAL("/"), e));
        TRY(buf_add(&name, span_text(input_rest_of(input, blob)), e));
    } else {
        const char *slash = strrchr(blob->name, '/');
        const char *last = slash != NULL ? slash + 1 : blob->name;
        TRY(buf_add(&name, span_text(config->to != NULL ? config->to : last), e));
    }
    TRY(output_name_check(buf_text(&name), e));
    *out = memory_text(buf_text(&name));
    return *out != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

enum status input_check_listed(struct input *input, const struct blob *blob, struct error *e)
{
    if (input->manifest == NULL)
        return OK;
    struct manifest_line *line = manifest_find(input->manifest, input_rest_of(input, blob));
    if (line == NULL)
        return fail(e, E_MISMATCH, "it is not in the manifest");
    line->seen = true;
    return OK;
}

static void expect_line(const struct manifest_line *line, struct expectation *out)
{
    out->source = "the manifest";
    out->has_size = line->has_size;
    out->size = line->size;
    out->has_key_sha256 = line->has_key_sha256;
    memcpy(out->key_sha256, line->key_sha256, SHA256_SIZE);
    out->has_sha256 = line->has_sha256;
    memcpy(out->sha256, line->sha256, SHA256_SIZE);
}

enum status input_expects(const struct input *input, const struct blob *blob,
                          struct expectation *out, struct error *e)
{
    const struct config_input *config = input->config;
    *out = (struct expectation){.source = "the job",
                                .has_size = config->has_size,
                                .size = config->size,
                                .has_sha256 = config->has_sha256};
    memcpy(out->sha256, config->sha256, SHA256_SIZE);
    if (input->manifest == NULL)
        return OK;
    const struct manifest_line *line = manifest_find(input->manifest, input_rest_of(input, blob));
    if (line == NULL)
        return fail(e, E_BUG, "it was not looked up in the manifest");
    expect_line(line, out);
    return OK;
}

enum status input_check_complete(const struct input *input, struct error *e)
{
    const struct manifest_line *missing =
        input->manifest != NULL ? manifest_unseen(input->manifest) : NULL;
    if (missing != NULL)
        return fail(e, E_MISMATCH, "the manifest names %s, which is not there", missing->name);
    return OK;
}

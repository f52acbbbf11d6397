/*
 * The job's inputs as a stream of blobs. A listing is held one page at a time, so that memory does
 * not grow with the number of blobs. Names come from the service and are hostile: each is checked
 * before it becomes a name on the volume.
 */
#include "job/internal.h"

#include <stdlib.h>
#include <string.h>

enum { SAS_MAX = 8192, MANIFEST_MAX = 16 << 20 };

struct input {
    const struct config_input *config;
    struct storage_location location;
    struct storage *storage;
    struct manifest *manifest;
    pthread_mutex_t manifest_mutex;
    bool taken; /* at least one blob */
};

struct plan {
    struct run *run;
    pthread_mutex_t mutex; /* over what follows INPUTS */
    struct token_source tokens;
    struct input *inputs;
    size_t at;   /* the input whose blobs come next */
    bool failed; /* one worker has the error; to the others this is the end */
    bool in_listing;
    struct storage_page page;
    size_t page_at;
    char *marker;
};

void plan_item_free(struct plan_item *item)
{
    blob_free(&item->blob);
    memory_free(item->name);
    *item = (struct plan_item){0};
}

struct storage *input_storage(struct input *input)
{
    return input->storage;
}

enum status input_blob_url(struct input *input, const struct blob *blob, struct buf *out,
                           struct error *e)
{
    TRY(buf_addf(out, e, "%s/", input->location.container_url));
    return percent_encode(span_text(blob->name), "/", out, e);
}

static enum status read_sas(const struct config_place *place, struct buf *sas, struct error *e)
{
    if (place->env != NULL) {
        const char *value = getenv(place->env);
        if (value == NULL || value[0] == '\0')
            return fail(e, E_USAGE, "sas_env: the variable %s is not set", place->env);
        TRY(buf_add(sas, span_text(value), e));
    } else if (place->file != NULL) {
        TRY(file_read(place->file, SAS_MAX, sas, E_USAGE, e));
    }
    return OK;
}

static struct span without_mark(struct span sas)
{
    sas = span_trim(sas);
    return span_starts(sas, "?") ? span_of(sas.data + 1, sas.size - 1) : sas;
}

static enum status open_storage(struct plan *plan, const struct storage_location *location,
                                const struct config_place *place, struct storage **out,
                                struct error *e)
{
    AUTO(buf_free) struct buf sas = BUF(SAS_MAX);
    TRY(read_sas(place, &sas, e));
    struct url url;
    TRY(url_parse(location->container_url, &url, e));
    bool anonymous = plan->run->job->identity.type == CONFIG_IDENTITY_NONE;
    const struct storage_options options = {
        .sas = without_mark(buf_span(&sas)),
        .tokens = anonymous ? NULL : &plan->tokens,
        .audience = audience_of_storage(&url),
    };
    return storage_open(location, &options, out, e);
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
    TRY(http_session_take(run->http, &session, e));
    TRY(storage_properties(storage, session, &blob, e));
    if (blob.size > MANIFEST_MAX)
        return fail(e, E_SPACE, "the manifest is larger than %d bytes", MANIFEST_MAX);
    const struct feed feed = {.take = add_bytes, .context = text};
    if (blob.size > 0)
        TRY(storage_read(storage, session, &blob, 0, blob.size, &feed, e));
    return manifest_parse(buf_span(text), input->config->manifest.sha256, &input->manifest, e);
}

static enum status open_manifest(struct plan *plan, struct input *input, struct error *e)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    AUTO(storage_close) struct storage *storage = NULL;
    AUTO(buf_free) struct buf text = BUF(MANIFEST_MAX);
    TRY(storage_locate(input->config->manifest.from, &location, e));
    if (location.is_prefix)
        return fail(e, E_USAGE, "manifest.from is not the URL of a blob");
    TRY(open_storage(plan, &location, &input->config->sas, &storage, e));
    if (fetch_manifest(input, storage, &text, plan->run, e) != OK)
        return wrap(e, "manifest %s", location.name);
    return OK;
}

/* No requests here but for manifests: each worker lists and asks for itself, beside the
 * attestation. */
static enum status open_input(struct plan *plan, size_t i, struct error *e)
{
    struct input *input = &plan->inputs[i];
    input->config = &plan->run->job->inputs[i];
    TRY(storage_locate(input->config->from, &input->location, e));
    if (!input->config->is_prefix && input->location.is_prefix)
        return fail(e, E_USAGE, "\"from\" names no blob; a prefix ends in '/'");
    TRY(open_storage(plan, &input->location, &input->config->sas, &input->storage, e));
    return input->config->manifest.from != NULL ? open_manifest(plan, input, e) : OK;
}

enum status plan_open(struct run *run, struct plan **out, struct error *e)
{
    AUTO(plan_close) struct plan *plan = memory_array(1, sizeof(*plan));
    if (plan == NULL)
        return fail(e, E_SPACE, "out of memory");
    (void)pthread_mutex_init(&plan->mutex, NULL);
    plan->run = run;
    plan->tokens = identity_source(run->identity);
    plan->inputs = memory_array(run->job->n_inputs, sizeof(*plan->inputs));
    if (plan->inputs == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (size_t i = 0; i < run->job->n_inputs; i++)
        (void)pthread_mutex_init(&plan->inputs[i].manifest_mutex, NULL);
    for (size_t i = 0; i < run->job->n_inputs; i++)
        if (open_input(plan, i, e) != OK)
            return wrap(e, "inputs[%zu]", i);
    *out = plan;
    plan = NULL;
    return OK;
}

void plan_close(struct plan **plan)
{
    struct plan *p = *plan;
    if (p == NULL)
        return;
    for (size_t i = 0; p->inputs != NULL && i < p->run->job->n_inputs; i++) {
        manifest_free(&p->inputs[i].manifest);
        storage_close(&p->inputs[i].storage);
        storage_location_free(&p->inputs[i].location);
        (void)pthread_mutex_destroy(&p->inputs[i].manifest_mutex);
    }
    memory_free(p->inputs);
    storage_page_free(&p->page);
    memory_free(p->marker);
    (void)pthread_mutex_destroy(&p->mutex);
    memory_free(p);
    *plan = NULL;
}

/* NAME on the volume: "to" and, below a prefix, the rest of the blob's name. */
static enum status name_on_volume(const struct config_input *config, const char *rest, char **out,
                                  struct error *e)
{
    AUTO(buf_free) struct buf name = BUF(8192);
    if (config->is_prefix) {
        struct span to = span_text(config->to);
        while (to.size > 0 && to.data[to.size - 1] == '/')
            to.size--;
        TRY(buf_add(&name, to, e));
        if (to.size > 0)
            TRY(buf_add(&name, SPAN_LITERAL("/"), e));
        TRY(buf_add(&name, span_text(rest), e));
    } else {
        const char *slash = strrchr(rest, '/');
        const char *last = slash != NULL ? slash + 1 : rest;
        TRY(buf_add(&name, span_text(config->to != NULL ? config->to : last), e));
    }
    TRY(output_name_check(buf_text(&name), e));
    *out = memory_text(buf_text(&name));
    return *out != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

static enum status next_single(struct plan *plan, struct plan_item *item, struct error *e)
{
    struct input *input = &plan->inputs[plan->at++];
    atomic_fetch_add(&plan->run->progress->blobs_found, 1);
    item->config = input->config;
    item->input = input;
    TRY(name_on_volume(input->config, input->location.name, &item->name, e));
    item->blob.name = memory_text(input->location.name);
    return item->blob.name != NULL ? OK : fail(e, E_SPACE, "out of memory");
}

/* What is known to come, for the progress line. */
static void count_found(struct plan *plan, const struct input *input)
{
    struct run_progress *progress = plan->run->progress;
    size_t prefix = strlen(input->location.name);
    for (size_t i = 0; i < plan->page.n; i++) {
        const struct blob *blob = &plan->page.blobs[i];
        if (input->config->match != NULL &&
            !storage_match(input->config->match, blob->name + prefix))
            continue;
        atomic_fetch_add(&progress->blobs_found, 1);
        atomic_fetch_add(&progress->bytes_found, blob->size);
    }
}

static enum status turn_page(struct plan *plan, struct http_session *session, struct error *e)
{
    struct input *input = &plan->inputs[plan->at];
    storage_page_free(&plan->page);
    plan->page_at = 0;
    TRY(storage_list(input->storage, session, plan->in_listing ? plan->marker : NULL, &plan->page,
                     e));
    memory_free(plan->marker);
    plan->marker = plan->page.next;
    plan->page.next = NULL;
    plan->in_listing = true;
    count_found(plan, input);
    return OK;
}

static enum status take_listed(struct plan *plan, struct blob *blob, struct plan_item *item,
                               bool *found, struct error *e)
{
    struct input *input = &plan->inputs[plan->at];
    const char *rest = blob->name + strlen(input->location.name);
    if (input->config->match != NULL && !storage_match(input->config->match, rest))
        return OK;
    item->config = input->config;
    item->input = input;
    item->has_properties = true;
    if (name_on_volume(input->config, rest, &item->name, e) != OK)
        return wrap(e, "blob %s", blob->name);
    item->blob = *blob;
    *blob = (struct blob){0};
    *found = input->taken = true;
    return OK;
}

/* Silence would look like success: a prefix with nothing below it is most likely a wrong one. */
static enum status end_listing(struct plan *plan, struct error *e)
{
    const struct input *input = &plan->inputs[plan->at++];
    plan->in_listing = false;
    if (input->taken)
        return OK;
    (void)fail(e, E_NOT_FOUND, "no blob below %s/%s%s", input->location.container_url,
               input->location.name, input->config->match != NULL ? " fits \"match\"" : "");
    advise(e, "Check the prefix, and \"match\" if there is one");
    return e->status;
}

static enum status next_listed(struct plan *plan, struct http_session *session,
                               struct plan_item *item, bool *found, struct error *e)
{
    if (!plan->in_listing)
        TRY(turn_page(plan, session, e));
    while (!*found) {
        while (!*found && plan->page_at < plan->page.n)
            TRY(take_listed(plan, &plan->page.blobs[plan->page_at++], item, found, e));
        if (*found)
            return OK;
        if (plan->marker == NULL)
            return end_listing(plan, e);
        TRY(turn_page(plan, session, e));
    }
    return OK;
}

static enum status next_locked(struct plan *plan, struct http_session *session,
                               struct plan_item *item, bool *found, struct error *e)
{
    while (!*found && plan->at < plan->run->job->n_inputs) {
        size_t i = plan->at;
        enum status status;
        if (plan->inputs[i].config->is_prefix) {
            status = next_listed(plan, session, item, found, e);
        } else {
            status = next_single(plan, item, e);
            *found = true;
        }
        if (status != OK)
            return wrap(e, "inputs[%zu]", i);
    }
    return OK;
}

enum status plan_next(struct plan *plan, struct http_session *session, struct plan_item *item,
                      bool *found, struct error *e)
{
    *found = false;
    (void)pthread_mutex_lock(&plan->mutex);
    enum status status = plan->failed ? OK : next_locked(plan, session, item, found, e);
    plan->failed = plan->failed || status != OK;
    bool at_end = !plan->failed && !*found;
    (void)pthread_mutex_unlock(&plan->mutex);
    if (at_end)
        atomic_store(&plan->run->progress->all_found, true);
    if (status != OK)
        plan_item_free(item);
    return status;
}

static enum status check_sha256_pin(const char *pin, struct output_file *file, uint64_t size,
                                    struct error *e)
{
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE);
    TRY(output_file_sha256(file, size, digest, e));
    TRY(hex_encode(span_of(digest, sizeof(digest)), &hex, e));
    if (!span_is(buf_span(&hex), pin))
        return fail(e, E_MISMATCH, "its SHA-256 is not the one in the manifest");
    return OK;
}

enum status plan_check_pin(struct plan *plan, const struct plan_item *item, uint64_t plain_size,
                           const char *key_sha256, struct output_file *file, struct error *e)
{
    (void)plan;
    struct input *input = item->input;
    if (input->manifest == NULL)
        return OK;
    const char *rest = item->blob.name + strlen(input->location.name);
    (void)pthread_mutex_lock(&input->manifest_mutex);
    struct manifest_line *line = manifest_find(input->manifest, rest);
    if (line != NULL)
        line->seen = true;
    (void)pthread_mutex_unlock(&input->manifest_mutex);
    if (line == NULL)
        return fail(e, E_MISMATCH, "it is not in the manifest");
    if (line->has_size && line->size != plain_size)
        return fail(e, E_MISMATCH, "%llu bytes of plaintext, %llu in the manifest",
                    (unsigned long long)plain_size, (unsigned long long)line->size);
    if (line->key_sha256 != NULL && strcmp(line->key_sha256, key_sha256) != 0)
        return fail(e, E_MISMATCH, "its content key is not the one in the manifest");
    return line->sha256 != NULL ? check_sha256_pin(line->sha256, file, plain_size, e) : OK;
}

enum status plan_check_complete(struct plan *plan, struct error *e)
{
    for (size_t i = 0; i < plan->run->job->n_inputs; i++) {
        const struct manifest *manifest = plan->inputs[i].manifest;
        const struct manifest_line *missing = manifest != NULL ? manifest_unseen(manifest) : NULL;
        if (missing != NULL)
            return fail(e, E_MISMATCH, "inputs[%zu]: the manifest names %s, which is not there", i,
                        missing->name);
    }
    return OK;
}

/* Each input: can it be listed, and is its first blob what a run takes? Names and metadata come from
 * the service and are hostile. */
#include "doctor/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "envelope/envelope.h"
#include "manifest/manifest.h"

enum { PAGES_MAX = 10 }; /* so far the first blob is looked for */

static const enum envelope_format formats[] = {
    [CONFIG_FORMAT_AUTO] = ENVELOPE_CSE,      [CONFIG_FORMAT_CSE] = ENVELOPE_CSE,
    [CONFIG_FORMAT_CSE_V1] = ENVELOPE_CSE_V1, [CONFIG_FORMAT_AES_GCM] = ENVELOPE_AES_GCM,
    [CONFIG_FORMAT_PLAIN] = ENVELOPE_PLAIN,
};

/* One input, looked at. */
struct seen {
    const struct config_input *config;
    char step[STEP_SIZE], step_first[STEP_SIZE], step_manifest[STEP_SIZE];
    struct storage_location location;
    struct storage *storage;
    struct blob first; /* NAME is NULL if there is none */
    uint64_t blobs, bytes;
    bool more; /* there are further pages */
};

static void seen_close(struct seen *s)
{
    blob_free(&s->first);
    storage_close(&s->storage);
    storage_location_free(&s->location);
}

/* ---- Listing ---- */

static void take_page(struct seen *s, struct storage_page *page)
{
    size_t prefix = strlen(s->location.name);
    for (size_t i = 0; i < page->n; i++) {
        struct blob *blob = &page->blobs[i];
        if (s->config->match != NULL && !storage_match(s->config->match, blob->name + prefix))
            continue;
        s->blobs++;
        s->bytes += blob->size;
        if (s->first.name != NULL)
            continue;
        s->first = *blob;
        *blob = (struct blob){0};
    }
}

static enum status list(struct seen *s, struct http_session *session, struct error *why)
{
    AUTO(storage_page_free) struct storage_page page = {0};
    char *marker = NULL;
    enum status status = OK;
    for (int pages = 0; status == OK && pages < PAGES_MAX && s->first.name == NULL; pages++) {
        if (pages > 0 && marker == NULL)
            break;
        storage_page_free(&page);
        status = storage_list(s->storage, session, marker, &page, why);
        if (status != OK)
            break;
        take_page(s, &page);
        memory_free(marker);
        marker = page.next;
        page.next = NULL;
    }
    s->more = marker != NULL;
    memory_free(marker);
    return status;
}

static enum status look(struct doctor *d, struct seen *s, struct error *why)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(http_session_take(d->services.http, &session, why));
    if (s->config->is_prefix)
        return list(s, session, why);
    TRY(storage_properties(s->storage, session, &s->first, why));
    s->blobs = 1;
    s->bytes = s->first.size;
    return OK;
}

static enum status nothing_found(struct doctor *d, const struct seen *s, struct error *e)
{
    struct error why = {0};
    const char *match = s->config->match != NULL ? " fits \"match\"" : "";
    if (s->more)
        return finding_note(d->findings, s->step, e,
                            "none of the first blobs below %s/%s%s; there are more, which were not listed",
                            s->location.container_url, s->location.name, match);
    (void)!fail(&why, E_NOT_FOUND, "no blob below %s/%s%s", s->location.container_url,
                s->location.name, match);
    advise(&why, "check the prefix, and \"match\" if there is one");
    return finding_fail(d->findings, s->step, &why, e);
}

static enum status tell_listing(struct doctor *d, const struct seen *s, struct error *e)
{
    char size[SIZE_TEXT];
    if (!s->config->is_prefix)
        return finding_ok(d->findings, s->step, e, "%s, %s", s->first.name,
                          size_text(s->bytes, size));
    return finding_ok(d->findings, s->step, e, "%" PRIu64 " blob%s%s below %s/%s, %s", s->blobs,
                      s->blobs == 1 ? "" : "s", s->more ? " and more" : "",
                      s->location.container_url, s->location.name, size_text(s->bytes, size));
}

/* ---- The first blob ---- */

static enum status check_cse(const struct job *job, const struct seen *s,
                             struct envelope_metadata *metadata, struct error *why)
{
    TRY(envelope_metadata_parse(s->first.encryption_data, formats[s->config->format], metadata,
                                why));
    return keyring_allows(job, metadata->kid, NULL, why);
}

static enum status check_first(struct doctor *d, const struct seen *s, struct error *e)
{
    struct envelope_metadata metadata = {0};
    struct error why = {0};
    enum envelope_format format = formats[s->config->format];
    if (format == ENVELOPE_PLAIN)
        return finding_note(d->findings, s->step_first, e,
                            "format \"plain\": copied as it is, whoever wrote it");
    if (format == ENVELOPE_AES_GCM)
        return finding_note(d->findings, s->step_first, e,
                            "format \"aes-gcm\" has no metadata: only the key shows what it is");
    enum status status = check_cse(d->job, s, &metadata, &why);
    if (status != OK)
        (void)wrap(&why, "%.200s", s->first.name);
    return finding_check(d->findings, s->step_first, status, &why, e,
                         "%.200s: %s, for the key %.250s", s->first.name,
                         envelope_name(format, &metadata), metadata.kid);
}

/* ---- Its manifest ---- */

static enum status add_bytes(void *context, struct span bytes, struct error *e)
{
    return buf_add(context, bytes, e);
}

static enum status fetch_manifest(struct doctor *d, const struct config_input *config,
                                  size_t *lines, struct error *why)
{
    AUTO(storage_location_free) struct storage_location location = {0};
    AUTO(storage_close) struct storage *storage = NULL;
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(blob_free) struct blob blob = {0};
    AUTO(buf_free) struct buf text = BUF(MANIFEST_SIZE_MAX);
    AUTO(manifest_free) struct manifest *manifest = NULL;
    const struct feed feed = {.take = add_bytes, .context = &text};
    TRY(storage_locate(config->manifest.from, &location, why));
    TRY(services_storage(&d->services, &location, &config->sas, &storage, why));
    TRY(http_session_take(d->services.http, &session, why));
    TRY(storage_properties(storage, session, &blob, why));
    TRY(manifest_check_room(d->job->limits.memory_mib, 0, blob.size, why));
    if (blob.size > 0)
        TRY(storage_read(storage, session, &blob, 0, blob.size, &feed, why));
    TRY(manifest_parse(buf_span(&text), config->manifest.sha256, &manifest, why));
    *lines = manifest_count(manifest);
    return OK;
}

static enum status check_manifest(struct doctor *d, const struct seen *s, struct error *e)
{
    struct error why = {0};
    size_t lines = 0;
    if (s->config->manifest.from == NULL)
        return OK;
    enum status status = fetch_manifest(d, s->config, &lines, &why);
    return finding_check(d->findings, s->step_manifest, status, &why, e,
                         "%zu files, with the digest that the job has", lines);
}

/* ---- All of it ---- */

static bool is_lost(struct doctor *d, const struct seen *s, struct error *e)
{
    struct url url = {0};
    struct error ignored = {0};
    if (host_is_lost(d, s->step, s->location.container_url, e))
        return true;
    return location_needs_token(d->job, &s->location, &s->config->sas) &&
           url_parse(s->location.container_url, &url, &ignored) == OK &&
           token_is_lost(d, s->step, audience_of_storage(&url), e);
}

static enum status open_input(struct doctor *d, struct seen *s, struct error *why)
{
    TRY(services_storage(&d->services, &s->location, &s->config->sas, &s->storage, why));
    return look(d, s, why);
}

/* Its blobs, or why there is none to look at. */
static enum status check_listing(struct doctor *d, struct seen *s, struct error *e)
{
    struct error why = {0};
    if (storage_locate(s->config->from, &s->location, &why) != OK)
        return finding_fail(d->findings, s->step, &why, e);
    if (is_lost(d, s, e))
        return OK;
    if (open_input(d, s, &why) != OK)
        return finding_fail(d->findings, s->step, &why, e);
    return s->first.name != NULL ? tell_listing(d, s, e) : nothing_found(d, s, e);
}

static enum status check_input(struct doctor *d, struct seen *s, struct error *e)
{
    TRY(check_listing(d, s, e));
    if (s->first.name == NULL)
        return finding_skip(d->findings, s->step_first, e, "there is none to look at");
    TRY(check_first(d, s, e));
    return check_manifest(d, s, e);
}

enum status check_inputs(struct doctor *d, struct error *e)
{
    bool is_more = false;
    for (size_t i = 0; i < d->job->n_inputs; i++) {
        AUTO(seen_close) struct seen s = {.config = &d->job->inputs[i]};
        (void)snprintf(s.step, sizeof s.step, "inputs[%zu]", i);
        (void)snprintf(s.step_first, sizeof s.step_first, "inputs[%zu]'s first blob", i);
        (void)snprintf(s.step_manifest, sizeof s.step_manifest, "inputs[%zu]'s manifest", i);
        TRY(check_input(d, &s, e));
        d->data_size += s.bytes;
        is_more = is_more || s.more || s.first.name == NULL || s.config->gunzip;
    }
    d->data_is_more = is_more;
    return OK;
}

/*
 * decant seal: recipients, files, manifests, receipts, commits, in this order. Whatever fails
 * before the commits leaves nothing that anybody could see.
 */
#include "seal/internal.h"

#include <inttypes.h>
#include <string.h>

static void seal_close(struct seal *seal)
{
    for (size_t i = 0; seal->outputs != NULL && i < seal->n_outputs; i++)
        output_close(&seal->outputs[i]);
    memory_free(seal->outputs);
    services_close(&seal->services);
    journal_free(&seal->journal);
}

static enum status open_outputs(struct seal *seal, struct error *e)
{
    const struct job *job = seal->job;
    if (job->n_outputs == 0)
        return fail(e, E_USAGE, "outputs: the job has none, so there is nothing to seal");
    seal->outputs = memory_array(job->n_outputs, sizeof(*seal->outputs));
    if (seal->outputs == NULL)
        return fail(e, E_SPACE, "out of memory");
    seal->n_outputs = job->n_outputs;
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(output_check(job, i, &seal->outputs[i], e));
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(receipt_check(seal, &seal->outputs[i], e));
    TRY(services_open(job, &seal->services, e));
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(output_open(&seal->outputs[i], &seal->services, e));
    return journal_new(&seal->journal, e);
}

/* ---- Manifests ---- */

static enum status add_line(const struct entry *entry, const struct output *output,
                            struct buf *text, struct error *e)
{
    const struct storage_location *location = &output->location;
    const char *slash = strrchr(entry->upload.name, '/');
    const char *last = slash != NULL ? slash + 1 : entry->upload.name;
    struct manifest_line line = {
        .name = location->is_prefix ? entry->upload.name + strlen(location->name) : last,
        .size = entry->plain_size,
        .has_size = true,
        .has_key_sha256 = true,
    };
    memcpy(line.key_sha256, entry->pin, sizeof(line.key_sha256));
    return manifest_add(text, &line, e);
}

static enum status write_manifest(const struct seal *seal, const struct output *output,
                                  struct buf *text, struct error *e)
{
    AUTO(journal_reader_free) struct journal_reader reader = JOURNAL_READER(seal->journal);
    struct entry entry;
    bool found = true;
    TRY(manifest_begin(text, e));
    for (;;) {
        TRY(journal_read(&reader, &entry, &found, e));
        if (!found)
            return manifest_end(text, e);
        if (entry.output == output->index && entry.encryption_data != NULL)
            TRY(add_line(&entry, output, text, e));
    }
}

static enum status stage_manifest(struct seal *seal, struct output *output, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(MANIFEST_SIZE_MAX);
    if (output->manifest == NULL)
        return OK;
    TRY(write_manifest(seal, output, &text, e));
    TRY(sha256(buf_span(&text), output->manifest_sha256, e));
    return stage_plain(seal, output, output->manifest, buf_span(&text), e);
}

/* ---- Summary ---- */

static enum status tell_manifest(const struct output *output, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, ",\"manifest\":\""));
    TRY(output_url(output, output->manifest, out, e));
    TRY(buf_addf(out, e, "\",\"manifest_sha256\":\""));
    TRY(hex_encode(span_of(output->manifest_sha256, SHA256_SIZE), out, e));
    TRY(buf_addf(out, e, "\""));
    if (output->receipt == NULL)
        return OK;
    TRY(buf_addf(out, e, ",\"receipt\":\""));
    TRY(output_url(output, output->receipt, out, e));
    return buf_addf(out, e, "\"");
}

static enum status tell_output(const struct seal *seal, const struct output *output,
                               struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, "%s{\"to\":\"", out->size > 1 ? "," : ""));
    TRY(output_url(output, output->location.name, out, e));
    TRY(buf_addf(out, e, "\",\"key\":"));
    TRY(json_quote(span_text(output->recipient.kid), out, e));
    TRY(buf_addf(out, e, ",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64, output->files,
                 output->plain_bytes));
    if (output->manifest != NULL && !seal->options->dry_run)
        TRY(tell_manifest(output, out, e));
    return buf_addf(out, e, "}");
}

static enum status tell_outputs(const struct seal *seal, struct seal_summary *out, struct error *e)
{
    out->outputs = BUF(seal->n_outputs * 16384 + 16);
    TRY(buf_addf(&out->outputs, e, "["));
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(tell_output(seal, &seal->outputs[i], &out->outputs, e));
    return buf_addf(&out->outputs, e, "]");
}

static void count(const struct seal *seal, int64_t start, struct seal_summary *out)
{
    const struct http_counters counters = http_counters(seal->services.http);
    out->dry_run = seal->options->dry_run;
    out->files = seal->files;
    out->plain_bytes = seal->plain_bytes;
    out->stored_bytes = seal->stored_bytes;
    out->requests = counters.requests;
    out->retries = counters.retries;
    out->total_ms = clock_ms() - start;
}

static enum status stage_what_is_about_them(struct seal *seal, struct error *e)
{
    seal->files_end = journal_end(seal->journal);
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(stage_manifest(seal, &seal->outputs[i], e));
    LOG(LOG_INFO, "staged", LOG_NUMBER("files", seal->files),
        LOG_NUMBER("bytes", seal->plain_bytes));
    for (size_t i = 0; i < seal->n_outputs; i++)
        if (seal->outputs[i].receipt != NULL)
            TRY(receipt_stage(seal, &seal->outputs[i], e));
    return stop_check(e);
}

/* Once the blobs are there, nothing can fail any more. */
enum status seal_outputs(const struct job *job, const struct seal_options *options,
                         struct seal_summary *out, struct error *e)
{
    AUTO(seal_close) struct seal seal = {.job = job, .options = options};
    int64_t start = clock_ms();
    TRY(open_outputs(&seal, e));
    TRY(stage_all(&seal, e));
    if (!options->dry_run)
        TRY(stage_what_is_about_them(&seal, e));
    TRY(tell_outputs(&seal, out, e));
    if (!options->dry_run)
        TRY(commit_all(&seal, e));
    count(&seal, start, out);
    return OK;
}

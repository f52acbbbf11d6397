/*
 * One blob on its way: properties, envelope, content key, an unnamed file with its space reserved;
 * then stretches, read by as many workers as come; then the verdict, and only then a name.
 */
#include "job/internal.h"

#include <string.h>

enum { STRETCH_SIZE = 8 << 20, URL_SIZE_MAX = 16 << 10 };

struct transfer {
    struct run *run;
    struct plan_item item;
    struct buf url;
    struct envelope *envelope;
    char kid[512];
    char key_sha256[2 * SHA256_SIZE + 1]; /* of the wrapped content key, or "" */
    struct output_file *file;             /* plaintext; compressed if the input is */
    _Atomic uint64_t next;                /* stretch */
};

static const enum envelope_format formats[] = {
    [CONFIG_FORMAT_AUTO] = ENVELOPE_CSE,      [CONFIG_FORMAT_CSE] = ENVELOPE_CSE,
    [CONFIG_FORMAT_CSE_V1] = ENVELOPE_CSE_V1, [CONFIG_FORMAT_AES_GCM] = ENVELOPE_AES_GCM,
    [CONFIG_FORMAT_PLAIN] = ENVELOPE_PLAIN,
};

static enum status wrap_blob(const struct transfer *transfer, struct error *e)
{
    return wrap(e, "blob %s", transfer->item.blob.name);
}

static enum status fingerprint(struct transfer *transfer, struct span wrapped, struct error *e)
{
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE);
    TRY(sha256(wrapped, digest, e));
    TRY(hex_encode(span_of(digest, sizeof(digest)), &hex, e));
    memcpy(transfer->key_sha256, buf_text(&hex), hex.size + 1);
    return OK;
}

static enum status open_cse(struct transfer *transfer, enum envelope_format format, struct error *e)
{
    struct envelope_metadata metadata;
    const struct kek *kek = NULL;
    const struct blob *blob = &transfer->item.blob;
    TRY(envelope_metadata_parse(blob->encryption_data, format, &metadata, e));
    TRY(keyring_find(transfer->run->keyring, metadata.kid, &kek, e));
    memcpy(transfer->kid, kek->kid, sizeof(transfer->kid));
    TRY(fingerprint(transfer, span_of(metadata.wrapped, metadata.wrapped_size), e));
    return envelope_open(format, &metadata, kek, blob->size, &transfer->envelope, e);
}

static enum status open_envelope(struct transfer *transfer, struct error *e)
{
    const struct config_input *config = transfer->item.input->config;
    enum envelope_format format = formats[config->format];
    const struct kek *kek = NULL;
    if (format == ENVELOPE_CSE || format == ENVELOPE_CSE_V1)
        return open_cse(transfer, format, e);
    if (format == ENVELOPE_AES_GCM) {
        TRY(keyring_named(transfer->run->keyring, config->key, &kek, e));
        memcpy(transfer->kid, kek->kid, sizeof(transfer->kid));
    }
    return envelope_open(format, NULL, kek, transfer->item.blob.size, &transfer->envelope, e);
}

static enum status check_size(const struct transfer *transfer, uint64_t size, struct error *e)
{
    const struct config_input *config = transfer->item.input->config;
    if (config->has_size && config->size != size)
        return fail(e, E_MISMATCH, "%llu bytes of plaintext, the job says %llu",
                    (unsigned long long)size, (unsigned long long)config->size);
    return OK;
}

/* For CSE_V1 the size is known only at the end. */
static bool size_is_exact(const struct transfer *transfer)
{
    return !transfer->item.input->config->gunzip &&
           transfer->item.input->config->format != CONFIG_FORMAT_CSE_V1;
}

static enum status reserve(struct transfer *transfer, struct error *e)
{
    uint64_t size = envelope_plain_size(transfer->envelope);
    if (size_is_exact(transfer))
        TRY(check_size(transfer, size, e));
    if (!transfer->item.input->config->gunzip)
        TRY(run_count_plaintext(transfer->run, size, e));
    if (transfer->run->options->dry_run)
        return volume_has_room(transfer->run->volume, size, e);
    return output_file_new(transfer->run->volume, transfer->item.name, size, &transfer->file, e);
}

static enum status prepare(struct transfer *transfer, struct error *e)
{
    TRY(input_blob_url(transfer->item.input, &transfer->item.blob, &transfer->url, e));
    TRY(open_envelope(transfer, e));
    return reserve(transfer, e);
}

enum status transfer_open(struct run *run, struct http_session *session, struct plan_item *item,
                          struct transfer **out, struct error *e)
{
    if (!item->has_properties) {
        struct blob blob = {0};
        TRY(storage_properties(item->input->storage, session, &blob, e));
        blob_free(&item->blob);
        item->blob = blob;
        atomic_fetch_add(&run->progress->bytes_found, blob.size);
    }
    AUTO(transfer_close) struct transfer *transfer = memory_array(1, sizeof(*transfer));
    if (transfer == NULL)
        return fail(e, E_SPACE, "out of memory");
    *transfer = (struct transfer){.run = run, .item = *item, .url = BUF(URL_SIZE_MAX)};
    *item = (struct plan_item){0};
    if (prepare(transfer, e) != OK)
        return wrap_blob(transfer, e);
    *out = transfer;
    transfer = NULL;
    return OK;
}

void transfer_close(struct transfer **transfer)
{
    struct transfer *t = *transfer;
    if (t == NULL)
        return;
    output_file_free(&t->file);
    envelope_close(&t->envelope);
    buf_free(&t->url);
    plan_item_free(&t->item);
    memory_free(t);
    *transfer = NULL;
}

bool transfer_is_shared(const struct transfer *transfer)
{
    struct envelope_span ignored;
    return envelope_span(transfer->envelope, STRETCH_SIZE, 1, &ignored);
}

struct stretch {
    const struct transfer *transfer;
    struct envelope_reader *reader;
};

static enum status decrypt(void *context, struct span bytes, struct error *e)
{
    const struct stretch *stretch = context;
    atomic_fetch_add(&stretch->transfer->run->progress->bytes_done, bytes.size);
    if (envelope_reader_feed(stretch->reader, bytes, e) != OK)
        return wrap_blob(stretch->transfer, e);
    return OK;
}

static enum status read_stretch(struct transfer *transfer, struct http_session *session,
                                struct envelope_reader *reader, const struct envelope_span *span,
                                struct error *e)
{
    const struct sink sink = output_file_sink(transfer->file);
    struct stretch stretch = {.transfer = transfer, .reader = reader};
    const struct feed feed = {.take = decrypt, .context = &stretch};
    if (envelope_reader_start(reader, transfer->envelope, span, &sink, e) != OK)
        return wrap_blob(transfer, e);
    TRY(storage_read(transfer->item.input->storage, session, &transfer->item.blob, span->stored_at,
                     span->stored_size, &feed, e));
    return envelope_reader_finish(reader, e) == OK ? OK : wrap_blob(transfer, e);
}

enum status transfer_work(struct transfer *transfer, struct http_session *session,
                          struct envelope_reader *reader, struct error *e)
{
    struct envelope_span span;
    while (envelope_span(transfer->envelope, STRETCH_SIZE, atomic_fetch_add(&transfer->next, 1),
                         &span)) {
        TRY(stop_check(e));
        TRY(read_stretch(transfer, session, reader, &span, e));
    }
    return OK;
}

static enum status inflate_file(struct transfer *transfer, uint64_t *size, struct error *e)
{
    AUTO(output_file_free) struct output_file *plain = NULL;
    TRY(output_file_new(transfer->run->volume, transfer->item.name, 0, &plain, e));
    TRY(gunzip(transfer->run, transfer->file, *size, plain, size, e));
    output_file_free(&transfer->file);
    transfer->file = plain;
    plain = NULL;
    return OK;
}

static enum status check_digest(struct transfer *transfer, struct output_entry *entry,
                                struct error *e)
{
    const struct config_input *config = transfer->item.input->config;
    if (!config->has_sha256)
        return OK;
    TRY(output_file_sha256(transfer->file, entry->size, entry->sha256, e));
    entry->has_sha256 = true;
    if (!span_equal(span_of(entry->sha256, SHA256_SIZE), span_of(config->sha256, SHA256_SIZE)))
        return fail(e, E_MISMATCH, "its SHA-256 is not the one in the job");
    return OK;
}

static enum status seal(struct transfer *transfer, uint64_t size, struct error *e)
{
    struct output_entry entry = {
        .name = transfer->item.name,
        .size = size,
        .from = buf_text(&transfer->url),
        .etag = transfer->item.blob.etag,
        .envelope = envelope_name(transfer->envelope),
        .kid = transfer->kid,
        .content_key_sha256 = transfer->key_sha256,
    };
    TRY(check_digest(transfer, &entry, e));
    TRY(input_check_pin(transfer->item.input, &transfer->item.blob, size, transfer->key_sha256,
                        transfer->file, e));
    return output_file_seal(&transfer->file, &entry, e);
}

static enum status judge(struct transfer *transfer, uint64_t *size, struct error *e)
{
    TRY(envelope_verdict(transfer->envelope, size, e));
    if (transfer->item.input->config->gunzip)
        TRY(inflate_file(transfer, size, e));
    TRY(check_size(transfer, *size, e));
    return seal(transfer, *size, e);
}

enum status transfer_finish(struct transfer *transfer, struct error *e)
{
    uint64_t size = envelope_plain_size(transfer->envelope);
    if (!transfer->run->options->dry_run && judge(transfer, &size, e) != OK)
        return wrap_blob(transfer, e);
    atomic_fetch_add(&transfer->run->progress->blobs_done, 1);
    LOG(LOG_DEBUG, "blob", LOG_STRING("name", transfer->item.name), LOG_NUMBER("bytes", size),
        LOG_STRING("envelope", envelope_name(transfer->envelope)));
    return OK;
}

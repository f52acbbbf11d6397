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
    struct envelope_metadata metadata; /* of the client-side encrypted formats */
    const char *kid;                   /* as the blob or the job names it; "" if there is none */
    uint8_t key_sha256[SHA256_SIZE];   /* of the wrapped content key, of the same formats */
    char key_hex[2 * SHA256_SIZE + 1]; /* the same, or "" */
    struct expectation expected;
    struct envelope *envelope;
    struct output_file *file; /* plaintext; compressed if the input is */
    _Atomic uint64_t next;    /* stretch */
};

static const enum envelope_format formats[] = {
    [CONFIG_FORMAT_AUTO] = ENVELOPE_CSE,      [CONFIG_FORMAT_CSE] = ENVELOPE_CSE,
    [CONFIG_FORMAT_CSE_V1] = ENVELOPE_CSE_V1, [CONFIG_FORMAT_AES_GCM] = ENVELOPE_AES_GCM,
    [CONFIG_FORMAT_PLAIN] = ENVELOPE_PLAIN,
};

/* What goes wrong with a blob names it; what goes wrong with a key or a service does not. */
static enum status of_blob(const struct transfer *transfer, enum status status, struct error *e)
{
    return input_blame(transfer->item.input, &transfer->item.blob, status, e);
}

static const struct config_input *config_of(const struct transfer *transfer)
{
    return transfer->item.input->config;
}

static bool is_cse(const struct transfer *transfer)
{
    enum envelope_format format = formats[config_of(transfer)->format];
    return format == ENVELOPE_CSE || format == ENVELOPE_CSE_V1;
}

static enum status fingerprint(struct transfer *transfer, struct error *e)
{
    const struct envelope_metadata *metadata = &transfer->metadata;
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE);
    TRY(sha256(span_of(metadata->wrapped, metadata->wrapped_size), transfer->key_sha256, e));
    TRY(hex_encode(span_of(transfer->key_sha256, SHA256_SIZE), &hex, e));
    memcpy(transfer->key_hex, buf_text(&hex), hex.size + 1);
    return OK;
}

static enum status read_metadata(struct transfer *transfer, struct error *e)
{
    const struct config_input *config = config_of(transfer);
    struct envelope_metadata *metadata = &transfer->metadata;
    transfer->kid = "";
    if (config->format == CONFIG_FORMAT_AES_GCM)
        transfer->kid = config->key != NULL ? config->key : transfer->run->job->keys[0].kid;
    if (!is_cse(transfer))
        return OK;
    TRY(envelope_metadata_parse(transfer->item.blob.encryption_data, formats[config->format],
                                metadata, e));
    TRY(keyring_allows(transfer->run->job, metadata->kid, NULL, e));
    transfer->kid = metadata->kid;
    return fingerprint(transfer, e);
}

/* The blob is genuine, but another than the job means. */
static enum status mismatch(struct error *e)
{
    advise(e, "It may be older, cut at its end, or another's: compare with the owner's list");
    return E_MISMATCH;
}

static enum status check_size(const struct transfer *transfer, uint64_t size, struct error *e)
{
    const struct expectation *expected = &transfer->expected;
    if (!expected->has_size || expected->size == size)
        return OK;
    (void)fail(e, E_MISMATCH, "%llu bytes of plaintext, %s says %llu", (unsigned long long)size,
               expected->source, (unsigned long long)expected->size);
    return mismatch(e);
}

/* All that can be said without the key: what the blob is, and that it is the one that is meant. */
static enum status describe(struct transfer *transfer, struct error *e)
{
    struct expectation *expected = &transfer->expected;
    TRY(input_blob_url(transfer->item.input, &transfer->item.blob, &transfer->url, e));
    TRY(read_metadata(transfer, e));
    TRY(input_expects(transfer->item.input, &transfer->item.blob, expected, e));
    if (!expected->has_key_sha256)
        return OK;
    if (is_cse(transfer) && span_equal(span_of(expected->key_sha256, SHA256_SIZE),
                                       span_of(transfer->key_sha256, SHA256_SIZE)))
        return OK;
    (void)fail(e, E_MISMATCH, "its content key is not the one in %s", expected->source);
    return mismatch(e);
}

static const char *name_of_envelope(const struct transfer *transfer)
{
    return envelope_name(formats[config_of(transfer)->format],
                         is_cse(transfer) ? &transfer->metadata : NULL);
}

static struct output_entry entry_of(const struct transfer *transfer, uint64_t size)
{
    struct output_entry entry = {
        .name = transfer->item.name,
        .size = size,
        .from = buf_text(&transfer->url),
        .etag = transfer->item.blob.etag,
        .envelope = name_of_envelope(transfer),
        .kid = transfer->kid,
        .content_key_sha256 = transfer->key_hex,
        .decompress = config_of(transfer)->gunzip ? "gzip" : "",
        .has_sha256 = transfer->expected.has_sha256,
    };
    memcpy(entry.sha256, transfer->expected.sha256, sizeof(entry.sha256));
    return entry;
}

static void count_done(const struct transfer *transfer)
{
    atomic_fetch_add(&transfer->run->progress->blobs_done, 1);
}

/* A file of an earlier run that is still right is not fetched again. */
static enum status keep(struct transfer *transfer, bool *kept, struct error *e)
{
    const struct output_entry wanted = entry_of(transfer, 0);
    uint64_t size = 0;
    TRY(output_keep(transfer->run->volume, &wanted, kept, &size, e));
    if (!*kept)
        return OK;
    TRY(check_size(transfer, size, e));
    TRY(run_count_plaintext(transfer->run, size, e));
    atomic_fetch_add(&transfer->run->kept, 1);
    atomic_fetch_add(&transfer->run->progress->bytes_done, transfer->item.blob.size);
    count_done(transfer);
    LOG(LOG_DEBUG, "kept", LOG_STRING("name", transfer->item.name), LOG_NUMBER("bytes", size));
    return OK;
}

static enum status find_key(struct transfer *transfer, const struct kek **kek, struct error *e)
{
    *kek = NULL;
    return transfer->kid[0] == '\0' ? OK
                                    : keyring_find(transfer->run->keyring, transfer->kid, kek, e);
}

/* Of CSE_V1 and gzip the size is known only at the end. */
static bool size_is_exact(const struct transfer *transfer)
{
    return !config_of(transfer)->gunzip && config_of(transfer)->format != CONFIG_FORMAT_CSE_V1;
}

static enum status reserve(struct transfer *transfer, struct error *e)
{
    uint64_t size = envelope_plain_size(transfer->envelope);
    if (size_is_exact(transfer))
        TRY(check_size(transfer, size, e));
    if (!config_of(transfer)->gunzip)
        TRY(run_count_plaintext(transfer->run, size, e));
    if (transfer->run->options->dry_run)
        return volume_has_room(transfer->run->volume, size, e);
    return output_file_new(transfer->run->volume, transfer->item.name, size, &transfer->file, e);
}

static enum status unlock(struct transfer *transfer, const struct kek *kek, struct error *e)
{
    TRY(envelope_open(formats[config_of(transfer)->format],
                      is_cse(transfer) ? &transfer->metadata : NULL, kek, transfer->item.blob.size,
                      &transfer->envelope, e));
    return reserve(transfer, e);
}

static enum status ask_properties(struct run *run, struct http_session *session,
                                  struct plan_item *item, struct error *e)
{
    struct blob blob = {0};
    TRY(storage_properties(item->input->storage, session, &blob, e));
    blob_free(&item->blob);
    item->blob = blob;
    atomic_fetch_add(&run->progress->bytes_found, blob.size);
    return OK;
}

enum status transfer_open(struct run *run, struct http_session *session, struct plan_item *item,
                          struct transfer **out, struct error *e)
{
    const struct kek *kek = NULL;
    bool kept = false;
    if (!item->has_properties)
        TRY(ask_properties(run, session, item, e));
    AUTO(transfer_close) struct transfer *transfer = memory_array(1, sizeof(*transfer));
    if (transfer == NULL)
        return fail(e, E_SPACE, "out of memory");
    *transfer = (struct transfer){.run = run, .item = *item, .url = BUF(URL_SIZE_MAX)};
    *item = (struct plan_item){0};
    TRY(of_blob(transfer, describe(transfer, e), e));
    TRY(of_blob(transfer, keep(transfer, &kept, e), e));
    if (kept)
        return OK;
    TRY(find_key(transfer, &kek, e));
    TRY(of_blob(transfer, unlock(transfer, kek, e), e));
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
    return of_blob(stretch->transfer, envelope_reader_feed(stretch->reader, bytes, e), e);
}

static enum status read_stretch(struct transfer *transfer, struct http_session *session,
                                struct envelope_reader *reader, const struct envelope_span *span,
                                struct error *e)
{
    const struct sink sink = output_file_sink(transfer->file);
    struct stretch stretch = {.transfer = transfer, .reader = reader};
    const struct feed feed = {.take = decrypt, .context = &stretch};
    TRY(of_blob(transfer, envelope_reader_start(reader, transfer->envelope, span, &sink, e), e));
    TRY(storage_read(transfer->item.input->storage, session, &transfer->item.blob, span->stored_at,
                     span->stored_size, &feed, e));
    return of_blob(transfer, envelope_reader_finish(reader, e), e);
}

enum status transfer_work(struct transfer *transfer, struct http_session *session,
                          struct envelope_reader *reader, uint64_t *bytes, struct error *e)
{
    struct envelope_span span;
    *bytes = 0;
    if (!envelope_span(transfer->envelope, STRETCH_SIZE, atomic_fetch_add(&transfer->next, 1),
                       &span))
        return OK;
    TRY(stop_check(e));
    TRY(read_stretch(transfer, session, reader, &span, e));
    *bytes = span.stored_size;
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

static enum status check_digest(struct transfer *transfer, uint64_t size, struct error *e)
{
    const struct expectation *expected = &transfer->expected;
    uint8_t digest[SHA256_SIZE];
    if (!expected->has_sha256)
        return OK;
    TRY(output_file_sha256(transfer->file, size, digest, e));
    if (span_equal(span_of(digest, SHA256_SIZE), span_of(expected->sha256, SHA256_SIZE)))
        return OK;
    (void)fail(e, E_MISMATCH, "its SHA-256 is not the one in %s", expected->source);
    return mismatch(e);
}

static enum status judge_content(struct transfer *transfer, uint64_t *size, struct error *e)
{
    if (config_of(transfer)->gunzip)
        TRY(inflate_file(transfer, size, e));
    TRY(check_size(transfer, *size, e));
    return check_digest(transfer, *size, e);
}

/*
 * Version 1.0 has no tag. Whoever can write such a blob and sees whether its padding, its digest,
 * its size or its gzip was wrong would learn its plaintext (CVE-2022-30187): so everything is
 * looked at whatever the padding is, and all answers but yes are one.
 */
static enum status judge_v1(struct transfer *transfer, uint64_t *size, struct error *e)
{
    enum status verdict = envelope_verdict(transfer->envelope, size, e);
    if (verdict != OK && verdict != E_NOT_AUTHENTIC)
        return verdict;
    enum status content = judge_content(transfer, size, e);
    if (verdict == OK && content == OK)
        return OK;
    if (content != OK && content != E_NOT_AUTHENTIC && content != E_MISMATCH && content != E_SPACE)
        return content;
    (void)fail(e, E_NOT_AUTHENTIC, "the blob does not decrypt to what the job expects");
    advise(e,
           "Version 1.0 is not authenticated, so no more is told: let its owner encrypt it again "
           "with version 2.0");
    return E_NOT_AUTHENTIC;
}

static enum status judge_verified(struct transfer *transfer, uint64_t *size, struct error *e)
{
    TRY(envelope_verdict(transfer->envelope, size, e));
    return judge_content(transfer, size, e);
}

static enum status judge(struct transfer *transfer, uint64_t *size, struct error *e)
{
    const bool is_v1 = config_of(transfer)->format == CONFIG_FORMAT_CSE_V1;
    TRY((is_v1 ? judge_v1 : judge_verified)(transfer, size, e));
    const struct output_entry entry = entry_of(transfer, *size);
    return output_file_seal(&transfer->file, &entry, e);
}

enum status transfer_finish(struct transfer *transfer, struct error *e)
{
    uint64_t size = envelope_plain_size(transfer->envelope);
    if (!transfer->run->options->dry_run)
        TRY(of_blob(transfer, judge(transfer, &size, e), e));
    count_done(transfer);
    LOG(LOG_DEBUG, "blob", LOG_STRING("name", transfer->item.name), LOG_NUMBER("bytes", size),
        LOG_STRING("envelope", name_of_envelope(transfer)));
    return OK;
}

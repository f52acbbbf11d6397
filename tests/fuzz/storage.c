/*
 * What a storage service answers: a listing's XML in pieces, and whole answers to a listing, to a
 * question for properties, and to a read of 64 bytes.
 */
#include "storage/internal.h"
#include "wire.h"

#define CONTAINER "https://contoso.blob.core.windows.net/data"
#define SAS       "sv=2021-12-02&se=2024-01-01T00%3A00%3A00Z&sr=c&sp=rl&sig=abcdefghijklmnop%3D"

static enum status token_get(void *context, const char *audience, struct secret *out,
                             struct error *e)
{
    (void)context, (void)audience;
    return secret_copy(out, SPAN_LITERAL("token"), e);
}

static const struct token_source tokens = {.get = token_get};

struct bench {
    struct storage_location location;
    struct storage *storage;
};

static void bench_close(struct bench *b)
{
    storage_close(&b->storage);
    storage_location_free(&b->location);
}

/* With a SAS, a bearer token, or nothing. */
static void bench_open(struct bench *b, bool prefix, uint8_t credential)
{
    struct storage_options options = {0};
    struct error e = {0};
    must(storage_locate(prefix ? CONTAINER "/train/" : CONTAINER "/train/a.bin", &b->location,
                        &e) == OK);
    if (credential % 3 == 1)
        options.sas = SPAN_LITERAL(SAS);
    if (credential % 3 == 2)
        options =
            (struct storage_options){.tokens = &tokens, .audience = "https://storage.azure.com"};
    must(storage_open(&b->location, &options, &b->storage, &e) == OK);
}

static void page_check(const struct storage_page *page)
{
    must(page->n <= PAGE_ENTRIES_MAX);
    for (size_t i = 0; i < page->n; i++) {
        const struct blob *blob = &page->blobs[i];
        must(utf8_is_valid(span_text(blob->name)) && span_starts(span_text(blob->name), "train/"));
        must(blob->size <= INT64_MAX && strlen(blob->etag) < sizeof blob->etag);
        must(blob->encryption_data == NULL || strlen(blob->encryption_data) < (size_t)1 << 20);
    }
}

/* Pieces of 1 … 255 bytes, as STEP says; the rest of IN is the document. */
static void page_try(struct span in, uint8_t step)
{
    AUTO(page_reader_free) struct page_reader *reader = NULL;
    AUTO(storage_page_free) struct storage_page page = {0};
    struct error e = {0};
    size_t piece = step == 0 ? in.size : step;
    must(page_reader_new("container data", "train/", &reader, &e) == OK);
    for (size_t at = 0; at < in.size; at += piece) {
        size_t n = in.size - at < piece ? in.size - at : piece;
        AUTO(chunk_free) struct chunk bytes = chunk_of(span_of(in.data + at, n));
        enum status status = page_reader_take(reader, chunk_span(&bytes), &e);
        must_fail_as(status, &e, E_NETWORK, E_SPACE);
        if (status != OK)
            return;
    }
    enum status status = page_reader_finish(reader, &page, &e);
    must_fail_as(status, &e, E_NETWORK, E_SPACE);
    if (status == OK)
        page_check(&page);
}

/* What the service says about a SAS does not repeat its signature. */
static void refusal_check(const struct bench *b, const struct error *e)
{
    const char *const texts[] = {e->text, e->service_code, e->request_id, e->remedy};
    for (size_t i = 0; i < COUNT(texts); i++)
        must(!storage_has_sas(b->storage) || strstr(texts[i], "abcdefghijklmnop") == NULL);
}

static void list_try(struct span script, uint8_t credential)
{
    AUTO(bench_close) struct bench b = {0};
    AUTO(storage_page_free) struct storage_page page = {0};
    struct error e = {0};
    bench_open(&b, true, credential);
    wire_open(script);
    enum status status = storage_list(b.storage, wire_session(), "marker", &page, &e);
    must_fail_as(status, &e, E_NETWORK, E_NOT_FOUND, E_DENIED, E_MISMATCH, E_SPACE);
    refusal_check(&b, &e);
    if (status == OK)
        page_check(&page);
}

static void properties_try(struct span script, uint8_t credential)
{
    AUTO(bench_close) struct bench b = {0};
    AUTO(blob_free) struct blob blob = {0};
    struct error e = {0};
    bench_open(&b, false, credential);
    wire_open(script);
    enum status status = storage_properties(b.storage, wire_session(), &blob, &e);
    must_fail_as(status, &e, E_NETWORK, E_NOT_FOUND, E_DENIED, E_MISMATCH);
    refusal_check(&b, &e);
    must(status != OK || (strcmp(blob.name, "train/a.bin") == 0 && blob.etag[0] == '"'));
}

static enum status count(void *context, struct span bytes, struct error *e)
{
    *(size_t *)context += bytes.size;
    return bytes.size > 0 && bytes.data[0] == 0xff ? fail(e, E_MISMATCH, "the feed's own") : OK;
}

static void read_try(struct span script, uint8_t credential)
{
    static char name[] = "train/a.bin";
    const struct blob blob = {.name = name, .size = 100, .etag = "\"0x8D1\""};
    AUTO(bench_close) struct bench b = {0};
    size_t got = 0;
    const struct feed feed = {.take = count, .context = &got};
    struct error e = {0};
    bench_open(&b, false, credential);
    wire_open(script);
    enum status status = storage_read(b.storage, wire_session(), &blob, 16, 64, &feed, &e);
    must_fail_as(status, &e, E_NETWORK, E_NOT_FOUND, E_DENIED, E_MISMATCH);
    refusal_check(&b, &e);
    must(got <= 64 && (status != OK || got == 64));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in), more = take_byte(&in);
    switch (mode % 4) {
    case 0:
        page_try(in, more);
        break;
    case 1:
        list_try(in, more);
        break;
    case 2:
        properties_try(in, more);
        break;
    default:
        read_try(in, more);
    }
    return 0;
}

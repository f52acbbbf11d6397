/*
 * List Blobs: one page into memory, parsed while it arrives.
 *
 * A page that breaks off on its way is asked for again as a whole. The listing is no snapshot and
 * is not authentic: what it says of a blob is only a claim, which storage_read holds the service
 * to.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/internal.h"

struct listing {
    const struct ask *ask;
    struct page_reader *reader;
};

static enum status listing_head(void *context, const struct http_reply *reply, struct error *e)
{
    const struct listing *listing = context;
    if (reply->status >= 200 && reply->status < 300 && reply->status != 200)
        return fail(e, E_NETWORK, "%s: a listing does not answer HTTP %ld", listing->ask->what,
                    reply->status);
    return OK;
}

static enum status listing_take(void *context, struct span bytes, struct error *e)
{
    struct listing *listing = context;
    return page_reader_take(listing->reader, bytes, e);
}

static enum status page_once(struct storage *storage, struct http_session *session,
                             const struct ask *ask, struct storage_page *out, struct error *e)
{
    AUTO(page_reader_free) struct page_reader *reader = NULL;
    AUTO(http_reply_free) struct http_reply reply = {0};

    TRY(page_reader_new(ask->what, storage->location->name, &reader, e));
    struct listing listing = {ask, reader};
    struct http_stream stream = {listing_head, listing_take, &listing};
    TRY(ask_send(storage, session, ask, &stream, &reply, e));
    if (reply.status != 200)
        return storage_refusal(storage, ask, &reply, e);
    return page_reader_finish(reader, out, e);
}

static enum status list_url(const struct storage *storage, const char *marker, struct buf *url,
                            struct error *e)
{
    TRY(storage_url(storage, NULL, url, e));
    TRY(buf_addf(url, e, "?restype=container&comp=list&include=metadata&maxresults=%d",
                 PAGE_ENTRIES_MAX));
    if (storage->location->name[0] != '\0') {
        TRY(buf_add(url, SPAN_LITERAL("&prefix="), e));
        TRY(percent_encode(span_text(storage->location->name), "", url, e));
    }
    if (marker == NULL)
        return OK;
    TRY(buf_add(url, SPAN_LITERAL("&marker="), e));
    return percent_encode(span_text(marker), "", url, e);
}

enum status storage_list(struct storage *storage, struct http_session *session, const char *marker,
                         struct storage_page *out, struct error *e)
{
    char what[WHAT_SIZE];
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    AUTO(storage_page_free) struct storage_page page = {0};
    struct http_retry retry = {0};
    enum status status;

    storage_what(storage, NULL, what);
    TRY(list_url(storage, marker, &url, e));
    struct ask ask = {.what = what, .method = "GET", .url = buf_text(&url)};
    do
        status = page_once(storage, session, &ask, &page, e);
    while (status != OK && http_again(session, &retry, e));
    if (status != OK)
        return e->status;
    if (marker != NULL && page.next != NULL && strcmp(marker, page.next) == 0)
        return fail(e, E_NETWORK, "%s: the service's listing goes round in a circle", what);
    *out = page;
    page = (struct storage_page){0};
    return OK;
}

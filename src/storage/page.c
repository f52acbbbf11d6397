/*
 * One page of List Blobs, read by expat while it arrives ("List Blobs" of the Blob service REST
 * API).
 *
 * All of it is hostile. Refused: document types (and with them entities), depth, sizes of page and
 * fields, more entries than were asked for, fields that come twice, names outside the prefix.
 * Unknown elements are skipped. One page in memory is bounded by PAGE_BYTES_MAX, whatever it
 * claims.
 */
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "storage/internal.h"

enum {
    PAGE_BYTES_MAX =
        24 * 1024 * 1024,         /* 1,000 blobs of 8 KiB metadata and 1,024 escaped characters */
    TOKEN_BYTES_MAX = 256 * 1024, /* one tag: expat reads it anew with each piece that comes */
    DEPTH_MAX = 12,
};

/* Where the parser stands. Those from P_NEXT_MARKER on are leaves, with text of interest. */
enum place {
    P_ELSEWHERE,
    P_DOCUMENT,
    P_ROOT,
    P_BLOBS,
    P_BLOB,
    P_PROPERTIES,
    P_METADATA,
    P_NEXT_MARKER,
    P_ENTRY_FIELD, /* and an enum entry_field above it */
};

static const struct rule {
    enum place in;
    const char *element;
    enum place place;
} rules[] = {
    {P_DOCUMENT, "EnumerationResults", P_ROOT},
    {P_ROOT, "Blobs", P_BLOBS},
    {P_ROOT, "NextMarker", P_NEXT_MARKER},
    {P_BLOBS, "Blob", P_BLOB},
    {P_BLOB, "Name", P_ENTRY_FIELD + FIELD_NAME},
    {P_BLOB, "Snapshot", P_ENTRY_FIELD + FIELD_SNAPSHOT},
    {P_BLOB, "Deleted", P_ENTRY_FIELD + FIELD_DELETED},
    {P_BLOB, "IsCurrentVersion", P_ENTRY_FIELD + FIELD_CURRENT},
    {P_BLOB, "Properties", P_PROPERTIES},
    {P_BLOB, "Metadata", P_METADATA},
    {P_PROPERTIES, "Content-Length", P_ENTRY_FIELD + FIELD_SIZE},
    {P_PROPERTIES, "Etag", P_ENTRY_FIELD + FIELD_ETAG},
    {P_PROPERTIES, "ResourceType", P_ENTRY_FIELD + FIELD_RESOURCE_TYPE},
    {P_METADATA, "encryptiondata", P_ENTRY_FIELD + FIELD_ENCRYPTION},
    {P_METADATA, "hdi_isfolder", P_ENTRY_FIELD + FIELD_IS_FOLDER},
};

struct page_reader {
    XML_Parser parser;
    const char *what, *prefix;
    struct storage_page page;
    size_t room, entries, taken;
    enum place places[DEPTH_MAX + 1];
    size_t depth;
    struct entry entry;
    bool seen_marker, is_encoded;
    struct buf text;    /* of the leaf */
    enum status status; /* of a handler that stopped the parser */
    struct error *e;    /* of the call that is running */
};

static bool is_leaf(enum place place)
{
    return place >= P_NEXT_MARKER;
}

static void stop(struct page_reader *r, enum status status)
{
    if (status == OK || r->status != OK)
        return;
    r->status = status;
    XML_StopParser(r->parser, XML_FALSE);
}

static void refuse(struct page_reader *r, const char *why)
{
    if (r->status == OK)
        stop(r, fail(r->e, E_NETWORK, "%s: the service's listing: %s", r->what, why));
}

static enum place place_find(enum place in, const char *element)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rules[i].in == in &&
            (in == P_METADATA ? span_is_nocase(span_text(element), rules[i].element)
                              : strcmp(element, rules[i].element) == 0))
            return rules[i].place;
    return P_ELSEWHERE;
}

static bool attributes_say_encoded(const XML_Char **attributes)
{
    for (size_t i = 0; attributes[i] != NULL && attributes[i + 1] != NULL; i += 2)
        if (strcmp(attributes[i], "Encoded") == 0)
            return span_is_nocase(span_text(attributes[i + 1]), "true");
    return false;
}

static void entry_begin(struct page_reader *r)
{
    entry_free(&r->entry);
    if (++r->entries > PAGE_ENTRIES_MAX)
        refuse(r, "more entries than were asked for");
}

static void leaf_begin(struct page_reader *r, enum place place, const XML_Char **attributes)
{
    if (place == P_NEXT_MARKER && r->seen_marker)
        refuse(r, "two markers");
    if (place == P_NEXT_MARKER)
        r->seen_marker = true;
    buf_clear(&r->text);
    r->is_encoded = attributes_say_encoded(attributes);
}

static void XMLCALL on_start(void *context, const XML_Char *element, const XML_Char **attributes)
{
    struct page_reader *r = context;
    enum place in = r->places[r->depth], place = place_find(in, element);

    if (r->status != OK)
        return;
    if (r->depth >= DEPTH_MAX) {
        refuse(r, "nested too deep");
        return;
    }
    if (in == P_DOCUMENT && place != P_ROOT)
        refuse(r, "this is none");
    else if (is_leaf(in))
        refuse(r, "an element where a value belongs");
    r->places[++r->depth] = place;
    if (place == P_BLOB)
        entry_begin(r);
    else if (is_leaf(place))
        leaf_begin(r, place, attributes);
}

static void XMLCALL on_text(void *context, const XML_Char *text, int size)
{
    struct page_reader *r = context;
    if (r->status != OK || size <= 0 || !is_leaf(r->places[r->depth]))
        return;
    if (r->text.size + (size_t)size > FIELD_BYTES_MAX)
        refuse(r, "a value that is too long");
    else
        stop(r, buf_add(&r->text, span_of(text, (size_t)size), r->e));
}

static enum status page_add(struct page_reader *r, struct blob *blob, struct error *e)
{
    if (r->page.n == r->room) {
        size_t room = r->room == 0 ? 64 : r->room * 2;
        struct blob *blobs = reallocarray(r->page.blobs, room, sizeof *blobs);
        if (blobs == NULL)
            return fail(e, E_BUG, "no memory");
        r->page.blobs = blobs;
        r->room = room;
    }
    r->page.blobs[r->page.n++] = *blob;
    *blob = (struct blob){0};
    return OK;
}

static void leaf_end(struct page_reader *r, enum place place)
{
    struct span text = buf_span(&r->text);
    if (place == P_NEXT_MARKER) {
        r->page.next = text.size == 0 ? NULL : span_dup(text);
        if (text.size > 0 && r->page.next == NULL)
            stop(r, fail(r->e, E_BUG, "no memory"));
        return;
    }
    enum status status = entry_set(&r->entry, (enum entry_field)(place - P_ENTRY_FIELD), text,
                                   r->is_encoded, r->prefix, r->e);
    if (status != OK)
        stop(r, wrap(r->e, "%s: the service's listing", r->what));
}

static void entry_end(struct page_reader *r)
{
    bool is_wanted = false;
    if (entry_judge(&r->entry, &is_wanted, r->e) != OK)
        stop(r, wrap(r->e, "%s: the service's listing", r->what));
    else if (is_wanted)
        stop(r, page_add(r, &r->entry.blob, r->e));
}

static void XMLCALL on_end(void *context, const XML_Char *)
{
    struct page_reader *r = context;
    if (r->status != OK || r->depth == 0)
        return;
    enum place place = r->places[r->depth--];
    if (place == P_BLOB)
        entry_end(r);
    else if (is_leaf(place))
        leaf_end(r, place);
}

/* Without document types there are no entities but the five of XML itself. */
static void XMLCALL on_doctype(void *context, const XML_Char *, const XML_Char *, const XML_Char *,
                               int)
{
    refuse(context, "a document type");
}

enum status page_reader_new(const char *what, const char *prefix, struct page_reader **out,
                            struct error *e)
{
    static const XML_Memory_Handling_Suite memory = {memory_new, memory_resize, memory_free};
    AUTO(page_reader_free) struct page_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return fail(e, E_BUG, "no memory");
    r->parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
    if (r->parser == NULL)
        return fail(e, E_BUG, "no memory");
    r->what = what;
    r->prefix = prefix;
    r->places[0] = P_DOCUMENT;
    r->text = BUF(FIELD_BYTES_MAX);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    *out = r;
    r = NULL;
    return OK;
}

void page_reader_free(struct page_reader **reader)
{
    struct page_reader *r = *reader;
    if (r == NULL)
        return;
    if (r->parser != NULL)
        XML_ParserFree(r->parser);
    entry_free(&r->entry);
    storage_page_free(&r->page);
    buf_free(&r->text);
    free(r);
    *reader = NULL;
}

static enum status parse(struct page_reader *r, struct span bytes, bool last, struct error *e)
{
    r->e = e;
    enum XML_Status ok =
        XML_Parse(r->parser, (const char *)bytes.data, (int)bytes.size, last ? 1 : 0);
    r->e = NULL;
    if (r->status != OK)
        return r->status;
    if (ok != XML_STATUS_OK)
        return fail(e, E_NETWORK, "%s: the service's listing: no valid XML: %s", r->what,
                    XML_ErrorString(XML_GetErrorCode(r->parser)));
    return OK;
}

/* Bytes that expat holds back because their token is not complete. */
static size_t pending(const struct page_reader *r)
{
    XML_Index at = XML_GetCurrentByteIndex(r->parser);
    return at < 0 || (size_t)at > r->taken ? r->taken : r->taken - (size_t)at;
}

enum status page_reader_take(struct page_reader *r, struct span bytes, struct error *e)
{
    if (bytes.size > PAGE_BYTES_MAX - r->taken)
        return fail(e, E_NETWORK, "%s: the service's listing: a page over %d MiB", r->what,
                    PAGE_BYTES_MAX / (1024 * 1024));
    r->taken += bytes.size;
    TRY(parse(r, bytes, false, e));
    if (pending(r) > TOKEN_BYTES_MAX)
        return fail(e, E_NETWORK, "%s: the service's listing: a tag that is too long", r->what);
    return OK;
}

enum status page_reader_finish(struct page_reader *r, struct storage_page *out, struct error *e)
{
    TRY(parse(r, SPAN_LITERAL(""), true, e));
    *out = r->page;
    r->page = (struct storage_page){0};
    return OK;
}

void storage_page_free(struct storage_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        blob_free(&page->blobs[i]);
    free(page->blobs);
    free(page->next);
    *page = (struct storage_page){0};
}

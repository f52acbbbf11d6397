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
    FIELD_BYTES_MAX = 3 * NAME_BYTES_MAX,
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
    P_NAME,
    P_SNAPSHOT,
    P_DELETED,
    P_CURRENT,
    P_SIZE,
    P_ETAG,
    P_RESOURCE_TYPE,
    P_ENCRYPTION,
    P_IS_FOLDER,
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
    {P_BLOB, "Name", P_NAME},
    {P_BLOB, "Snapshot", P_SNAPSHOT},
    {P_BLOB, "Deleted", P_DELETED},
    {P_BLOB, "IsCurrentVersion", P_CURRENT},
    {P_BLOB, "Properties", P_PROPERTIES},
    {P_BLOB, "Metadata", P_METADATA},
    {P_PROPERTIES, "Content-Length", P_SIZE},
    {P_PROPERTIES, "Etag", P_ETAG},
    {P_PROPERTIES, "ResourceType", P_RESOURCE_TYPE},
    {P_METADATA, "encryptiondata", P_ENCRYPTION},
    {P_METADATA, "hdi_isfolder", P_IS_FOLDER},
};

struct entry {
    struct blob blob;
    bool is_folder, is_past; /* past: a snapshot, an old version, deleted */
};

struct page_reader {
    XML_Parser parser;
    const char *what, *prefix;
    struct storage_page page;
    size_t room, entries, taken;
    enum place places[DEPTH_MAX + 1];
    size_t depth;
    struct entry entry;
    uint32_t seen; /* one bit for each leaf of this entry */
    bool seen_root, seen_marker, is_encoded;
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
        stop(r, fail(r->e, E_NETWORK, "%s: the service's listing %s", r->what, why));
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
    blob_free(&r->entry.blob);
    r->entry = (struct entry){0};
    r->seen = 0;
    if (++r->entries > PAGE_ENTRIES_MAX)
        refuse(r, "has more entries than were asked for");
}

static void leaf_begin(struct page_reader *r, enum place place, const XML_Char **attributes)
{
    bool again = place == P_NEXT_MARKER ? r->seen_marker : (r->seen & 1U << place) != 0;
    if (again)
        refuse(r, "has a field twice");
    if (place == P_NEXT_MARKER)
        r->seen_marker = true;
    r->seen |= 1U << place;
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
        refuse(r, "is nested too deep");
        return;
    }
    if (in == P_DOCUMENT && place != P_ROOT)
        refuse(r, "is no listing");
    else if (is_leaf(in))
        refuse(r, "has an element where a value belongs");
    r->places[++r->depth] = place;
    r->seen_root = true;
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
        refuse(r, "has a value that is too long");
    else
        stop(r, buf_add(&r->text, span_of(text, (size_t)size), r->e));
}

static void text_keep(struct page_reader *r, struct span text, char **out)
{
    if (text.size == 0)
        return;
    *out = span_dup(text);
    if (*out == NULL)
        stop(r, fail(r->e, E_BUG, "no memory"));
}

static void name_end(struct page_reader *r)
{
    AUTO(buf_free) struct buf decoded = BUF(FIELD_BYTES_MAX);
    struct span name = buf_span(&r->text);
    if (r->is_encoded) {
        if (percent_decode(name, &decoded, E_NETWORK, r->e) != OK) {
            refuse(r, "has a name with a broken escape");
            return;
        }
        name = buf_span(&decoded);
    }
    if (name.size == 0 || name.size > NAME_BYTES_MAX || !utf8_is_valid(name))
        refuse(r, "has an impossible name");
    else if (!span_starts(name, r->prefix))
        refuse(r, "has a name outside the prefix");
    else
        text_keep(r, name, &r->entry.blob.name);
}

static void leaf_end(struct page_reader *r, enum place place)
{
    struct span text = buf_span(&r->text), trimmed = span_trim(text);
    struct entry *entry = &r->entry;
    switch (place) {
    case P_NEXT_MARKER:
        text_keep(r, text, &r->page.next);
        break;
    case P_NAME:
        name_end(r);
        break;
    case P_SNAPSHOT:
        entry->is_past = entry->is_past || trimmed.size > 0;
        break;
    case P_DELETED:
        entry->is_past = entry->is_past || span_is_nocase(trimmed, "true");
        break;
    case P_CURRENT:
        entry->is_past = entry->is_past || span_is_nocase(trimmed, "false");
        break;
    case P_SIZE:
        if (!decimal_parse(trimmed, &entry->blob.size))
            refuse(r, "has an impossible size");
        break;
    case P_ETAG:
        if (!etag_parse(trimmed, entry->blob.etag))
            refuse(r, "has an impossible ETag");
        break;
    case P_RESOURCE_TYPE:
        entry->is_folder = entry->is_folder || span_is_nocase(trimmed, "directory");
        break;
    case P_IS_FOLDER:
        entry->is_folder = entry->is_folder || span_is_nocase(trimmed, "true");
        break;
    case P_ENCRYPTION:
        text_keep(r, text, &entry->blob.encryption_data);
        break;
    default:
        break;
    }
}

static bool entry_is_marker(const struct entry *entry)
{
    size_t n = strlen(entry->blob.name);
    return entry->is_folder || (entry->blob.size == 0 && entry->blob.name[n - 1] == '/');
}

static void entry_end(struct page_reader *r)
{
    struct entry *entry = &r->entry;
    if (entry->is_past)
        return;
    if (entry->blob.name == NULL) {
        refuse(r, "has an entry without a name");
        return;
    }
    bool complete = (r->seen & 1U << P_SIZE) != 0 && (r->seen & 1U << P_ETAG) != 0;
    if (!complete && !entry->is_folder) {
        refuse(r, "has an entry without a size or an ETag");
        return;
    }
    if (entry_is_marker(entry))
        return;
    if (r->page.n == r->room) {
        size_t room = r->room == 0 ? 64 : r->room * 2;
        struct blob *blobs = reallocarray(r->page.blobs, room, sizeof *blobs);
        if (blobs == NULL) {
            stop(r, fail(r->e, E_BUG, "no memory"));
            return;
        }
        r->page.blobs = blobs;
        r->room = room;
    }
    r->page.blobs[r->page.n++] = entry->blob;
    *entry = (struct entry){0};
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
    refuse(context, "has a document type");
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
    blob_free(&r->entry.blob);
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
        return fail(e, E_NETWORK, "%s: the service's listing is no valid XML: %s", r->what,
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
        return fail(e, E_NETWORK, "%s: the service's listing has a page over %d MiB", r->what,
                    PAGE_BYTES_MAX / (1024 * 1024));
    r->taken += bytes.size;
    TRY(parse(r, bytes, false, e));
    if (pending(r) > TOKEN_BYTES_MAX)
        return fail(e, E_NETWORK, "%s: the service's listing has a tag that is too long", r->what);
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

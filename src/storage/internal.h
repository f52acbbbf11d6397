/* What the files of the storage room share. */
#ifndef DECANT_STORAGE_INTERNAL_H
#define DECANT_STORAGE_INTERNAL_H

#include "storage/storage.h"

/* Pinned: 2021-02-12 began to escape names that XML cannot carry, bearer tokens need 2017-11-09,
 * nothing later is needed, and emulators and older stamps refuse versions that they do not know. */
#define STORAGE_VERSION "2021-12-02"

enum {
    NAME_BYTES_MAX = 4096,     /* 1,024 characters of up to four bytes */
    URL_BYTES_MAX = 64 * 1024, /* name or prefix and marker, escaped, and a SAS */
    REFUSAL_BYTES_MAX = 64 * 1024,
    WHAT_SIZE = 320,
    ETAG_SIZE = sizeof(((struct blob *)0)->etag),
};

struct storage {
    const struct storage_location *location;
    const struct token_source *tokens;
    const char *audience;
    struct secret sas; /* without '?'; empty if there is none */
};

/* ---- location.c ---- */

/* Cut a query into what pins a version ("versionid=…" or "snapshot=…") and the SAS; each part keeps
 * its bytes. E_USAGE for anything that is neither; the text is never repeated. */
enum status query_split(struct span query, struct buf *pin, struct buf *sas, struct error *e);
/* "." and ".." segments mean something else in a URL than in a blob's name. */
bool name_has_dot_segment(const char *name);

/* ---- storage.c: one request, with the credential that this storage has ---- */

struct ask {
    const char *what, *method;
    const char *url; /* without the SAS */
    struct http_header headers[6];
    size_t n_headers;
    struct span body; /* PUT */
    int64_t grace_ms; /* as http_request has it */
    bool retry;
};

/* http_call, or http_stream if STREAM is given. A 401 against a bearer token is tried once more
 * with the token that the source gives then. OK means that an answer came. */
enum status ask_send(const struct storage *storage, struct http_session *session,
                     const struct ask *ask, const struct http_stream *stream,
                     struct http_reply *reply, struct error *e);
bool storage_has_sas(const struct storage *storage);
bool storage_has_bearer(const struct storage *storage); /* a SAS goes first */

/* Appends the URL of the blob NAME (pinned if the location is), or of the container for NULL. */
enum status storage_url(const struct storage *storage, const char *name, struct buf *url,
                        struct error *e);
/* "blob data/x" or "container data", for messages. */
void storage_what(const struct storage *storage, const char *name, char what[static WHAT_SIZE]);

/* ---- refusal.c ---- */

/* An answer that is no success as an error, with the remedy that fits the credential. */
enum status storage_refusal(const struct storage *storage, const struct ask *ask,
                            const struct http_reply *reply, struct error *e);

/* ---- properties.c ---- */

/* False if TEXT is no strong entity tag; OUT gets it with quotes whether it had them or not. */
bool etag_parse(struct span text, char out[static ETAG_SIZE]);
bool decimal_parse(struct span text, uint64_t *out); /* 0 … 2^63-1, digits only */
bool span_is_nocase(struct span s, const char *text);

/* ---- entry.c: one blob of a listing ---- */

enum { FIELD_BYTES_MAX = 3 * NAME_BYTES_MAX }; /* a name with every byte escaped */

enum entry_field {
    FIELD_NAME,
    FIELD_SNAPSHOT,
    FIELD_DELETED,
    FIELD_CURRENT,
    FIELD_SIZE,
    FIELD_ETAG,
    FIELD_RESOURCE_TYPE,
    FIELD_ENCRYPTION,
    FIELD_IS_FOLDER,
};

struct entry {
    struct blob blob;
    bool is_folder, is_past; /* past: a snapshot, an old version, deleted */
    uint32_t seen;           /* one bit for each field */
};

void entry_free(struct entry *entry);
/* The text of one field, each at most once. E_NETWORK if it cannot be. */
enum status entry_set(struct entry *entry, enum entry_field field, struct span text,
                      bool is_encoded, const char *prefix, struct error *e);
/* Once it is complete: is it a blob of today? */
enum status entry_judge(const struct entry *entry, bool *is_wanted, struct error *e);

/* ---- page.c: one page of a listing, from XML that comes in pieces ---- */

enum { PAGE_ENTRIES_MAX = 1000 };

struct page_reader;
/* WHAT and PREFIX are borrowed. */
enum status page_reader_new(const char *what, const char *prefix, struct page_reader **out,
                            struct error *e);
void page_reader_free(struct page_reader **reader);
enum status page_reader_take(struct page_reader *reader, struct span bytes, struct error *e);
/* The page, once the document is complete. */
enum status page_reader_finish(struct page_reader *reader, struct storage_page *out,
                               struct error *e);

#endif

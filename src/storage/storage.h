/*
 * storage: Azure Blob REST: where blobs are, what the listing says of them, their bytes pinned to
 * one ETag; and blobs to be, put as blocks and committed at once. Everything that the service says
 * (names, sizes, metadata) is hostile.
 */
#ifndef DECANT_STORAGE_H
#define DECANT_STORAGE_H

#include "base/base.h"
#include "http/http.h"

/* A container and what of it is meant. Made from a URL; owns its texts. */
struct storage_location {
    char *container_url; /* https://acct.blob.core.windows.net/data or
                            http://127.0.0.1:10000/acct/data */
    char *host;          /* for messages and for the audience */
    char *name; /* blob name or prefix, percent-decoded; a prefix ends in '/' or is empty */
    bool is_prefix;
    char *pin; /* "versionid=…" or "snapshot=…" of a single blob's URL, or NULL */
    char *sas; /* the rest of the URL's query, if it is a SAS, as it was, or NULL; secret */
};

/* E_USAGE. A query that is not a SAS (no "sig=") is refused, but for versionid and snapshot (they
 * pin). */
enum status storage_locate(const char *url, struct storage_location *out, struct error *e);
void storage_location_free(struct storage_location *location);

struct storage_options {
    struct span sas;                   /* without '?'; overrides the location's; empty: none */
    const struct token_source *tokens; /* NULL: no bearer token */
    const char *audience;              /* for TOKENS */
};

/* A location with the means to get in. Thread-safe. Both arguments must outlive it; the SAS is
 * copied into locked memory. */
struct storage;
enum status storage_open(const struct storage_location *location,
                         const struct storage_options *options, struct storage **out,
                         struct error *e);
void storage_close(struct storage **storage);

/* What is known of a blob before it is read. */
struct blob {
    char *name;            /* valid UTF-8, as the service has it */
    uint64_t size;         /* stored bytes */
    char etag[64];         /* as an If-Match value, with quotes */
    char *encryption_data; /* metadata item `encryptiondata`, or NULL */
};

void blob_free(struct blob *blob);

/* HEAD. E_NOT_FOUND, E_DENIED, E_NETWORK. */
enum status storage_properties(struct storage *storage, struct http_session *session,
                               struct blob *out, struct error *e);

/* One page of the blobs below the prefix, in the service's order, without directory markers. */
struct storage_page {
    struct blob *blobs;
    size_t n;
    char *next; /* marker for the next page, or NULL at the end */
};

void storage_page_free(struct storage_page *page);
/* MARKER: NULL for the first page. A page may be empty and still have a next. */
enum status storage_list(struct storage *storage, struct http_session *session, const char *marker,
                         struct storage_page *out, struct error *e);

/* SIZE bytes of BLOB from AT into FEED, in order, pinned to the blob's ETag; a broken body goes on
 * at the exact byte where it broke. The answer must be 206 with just that range (and total size),
 * else E_NETWORK. A blob that changed: E_MISMATCH. A failure of FEED comes back as it is. SIZE > 0.
 */
enum status storage_read(struct storage *storage, struct http_session *session,
                         const struct blob *blob, uint64_t at, uint64_t size,
                         const struct feed *feed, struct error *e);

/* ---- Writing ---- */

enum { STORAGE_BLOCKS_MAX = 50000, STORAGE_UPLOAD_ID_SIZE = 12 };

/* A blob to be. Nobody sees its blocks before they are committed; those that never are, the service
 * forgets after a week. ID: random, tells this upload from others of the same name. */
struct storage_upload {
    const char *name; /* of the blob, UTF-8 */
    uint8_t id[STORAGE_UPLOAD_ID_SIZE];
};

/* What the SAS gives by its own words ("sp"): any of LETTERS, such as "cw". False also if there is no
 * SAS, or a stored access policy has its permissions. */
bool storage_sas_gives(const struct storage *storage, const char *letters);
/* May a blob have this name, and keep it on its way through URLs and other clients? E_NAME. */
enum status storage_name_check(const char *name, struct error *e);
/* Is there a blob of that name? False also where this credential may not look. E_NOT_FOUND if the
 * container is not there, E_NETWORK. */
enum status storage_exists(struct storage *storage, struct http_session *session, const char *name,
                           bool *exists, struct error *e);
/* Block INDEX (below STORAGE_BLOCKS_MAX) of 1 byte or more, retried by itself. Thread-safe. */
enum status storage_put_block(struct storage *storage, struct http_session *session,
                              const struct storage_upload *upload, uint32_t index,
                              struct span bytes, struct error *e);

struct storage_commit {
    uint32_t blocks;             /* blocks 0 … BLOCKS - 1 are the blob, in this order */
    const char *encryption_data; /* metadata item `encryptiondata`, or NULL */
    const char *content_type;    /* or NULL */
    bool overwrite;              /* else a blob of that name is E_NAME */
};
struct storage_made {
    char etag[64]; /* an If-Match value */
    bool replaced; /* there was an older blob of that name */
    bool refused;  /* after a failure: the service said no, and was asked only once. Else nobody
                      knows whether the blob was made. */
};
/* Makes the blob, all at once. A blob that is there already because the answer to an earlier try of
 * this upload was lost, counts as made. Fills in OUT whatever this returns. */
enum status storage_commit(struct storage *storage, struct http_session *session,
                           const struct storage_upload *upload, const struct storage_commit *commit,
                           struct storage_made *out, struct error *e);
/* Takes back what storage_commit made, or may have made (ETAG "": a commit without an answer may be
 * carried out late, so it is looked for twice, two seconds apart). Deletes nothing that is not of
 * this upload; *GONE: nothing of it is there any more. */
enum status storage_take_back(struct storage *storage, struct http_session *session,
                              const struct storage_upload *upload, const char *etag, bool *gone,
                              struct error *e);

/* Glob for `match`: '*' within a segment, '**' across, '?', '[a-z]', '[!a-z]'; only '**' matches
 * '/', and a whole segment "**" stands for any number of segments, none included. TEXT is the name
 * without the prefix. A pattern longer than STORAGE_PATTERN_MAX bytes matches nothing. */
#define STORAGE_PATTERN_MAX 1024
bool storage_match(const char *pattern, const char *text);

#endif

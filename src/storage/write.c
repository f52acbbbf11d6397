/*
 * A blob to be: its blocks, the commit that makes it, and the way back.
 *
 * Sources: "Put Block", "Put Block List", "Delete Blob", "Naming and referencing containers, blobs,
 * and metadata". Blocks are invisible until they are committed; all ids of one blob must have the
 * same length. The blob carries the upload's id as metadata item `decantupload`: when the answer to
 * a commit is lost, the next try finds a blob of that name, and the item tells whether it is ours.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/internal.h"

enum {
    BLOCK_ID_SIZE = 32,         /* of 16 bytes in base64, with room to spare */
    BLOCK_LINE_SIZE = 64,       /* of a block list */
    SEGMENTS_MAX = 254,         /* of a name */
    NAME_CHARACTERS_MAX = 1024, /* as UTF-16 counts them, which is how the service does */
    COMMIT_GRACE_MS = 10000, /* nobody who is stopped should have to guess what came of a commit */
    LATE_MS = 2000,          /* that a commit without an answer may still take */
};

#define UPLOAD_ITEM "x-ms-meta-decantupload"

/* ---- Names ---- */

static size_t utf16_length(struct span text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        n += (text.data[i] & 0xC0) != 0x80; /* a character starts */
        n += text.data[i] >= 0xF0;          /* as a surrogate pair */
    }
    return n;
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < ' ' || c == 0x7F)
            return true;
        if (c == 0xC2 && i + 1 < text.size && text.data[i + 1] < 0xA0)
            return true;
    }
    return false;
}

/* The service and its clients cut dots at the end of segments, or take them for another name. */
static const char *segments_fault(struct span name)
{
    size_t start = 0, segments = 0;
    for (size_t i = 0; i <= name.size; i++) {
        if (i < name.size && name.data[i] != '/')
            continue;
        if (i == start)
            return "has an empty segment (it starts or ends with '/', or has '//')";
        if (name.data[i - 1] == '.')
            return "has a segment that ends in '.'";
        start = i + 1;
        segments++;
    }
    return segments > SEGMENTS_MAX ? "has more than 254 segments" : NULL;
}

static const char *name_fault(struct span name)
{
    if (name.size == 0)
        return "is empty";
    if (!utf8_is_valid(name))
        return "is not UTF-8";
    if (utf16_length(name) > NAME_CHARACTERS_MAX)
        return "has more than 1024 characters";
    if (has_control(name))
        return "has a control character";
    if (memchr(name.data, '\\', name.size) != NULL)
        return "has a backslash, which some clients take for '/'";
    return segments_fault(name);
}

enum status storage_name_check(const char *name, struct error *e)
{
    const char *fault = name_fault(span_text(name));
    if (fault == NULL)
        return OK;
    (void)fail(e, E_NAME, "no blob can be named \"%.200s\": it %s", name, fault);
    advise(e, "rename the file, or choose another name");
    return E_NAME;
}

/* ---- Requests ---- */

static enum status upload_hex(const struct storage_upload *upload, struct buf *out, struct error *e)
{
    return hex_encode(span_of(upload->id, sizeof upload->id), out, e);
}

/* The upload's id and the block's place: the same length for all. */
static enum status block_id(const struct storage_upload *upload, uint32_t index, struct buf *out,
                            struct error *e)
{
    uint8_t raw[STORAGE_UPLOAD_ID_SIZE + 4];
    memcpy(raw, upload->id, STORAGE_UPLOAD_ID_SIZE);
    for (size_t i = 0; i < 4; i++)
        raw[STORAGE_UPLOAD_ID_SIZE + i] = (uint8_t)(index >> (24 - 8 * i));
    return base64_encode(span_of(raw, sizeof raw), BASE64, out, e);
}

/* HEAD; the answer as it is. */
static enum status look(struct storage *storage, struct http_session *session, const char *name,
                        struct http_reply *reply, struct error *e)
{
    char what[WHAT_SIZE];
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    storage_what(storage, name, what);
    TRY(storage_url(storage, name, &url, e));
    const struct ask ask = {.what = what, .method = "HEAD", .url = buf_text(&url), .retry = true};
    TRY(ask_send(storage, session, &ask, NULL, reply, e));
    bool expected = reply->status == 200 || reply->status == 401 || reply->status == 403 ||
                    reply->status == 404;
    return expected ? OK : storage_refusal(storage, &ask, reply, e);
}

enum status storage_exists(struct storage *storage, struct http_session *session, const char *name,
                           bool *exists, struct error *e)
{
    AUTO(http_reply_free) struct http_reply reply = {0};
    TRY(look(storage, session, name, &reply, e));
    if (span_is(http_reply_header(&reply, "x-ms-error-code"), "ContainerNotFound")) {
        char what[WHAT_SIZE];
        storage_what(storage, NULL, what);
        (void)fail(e, E_NOT_FOUND, "%s: the service says it is not there", what);
        advise(e, "check the account and the container's name; decant makes no containers");
        return E_NOT_FOUND;
    }
    *exists = reply.status == 200;
    return OK;
}

enum status storage_put_block(struct storage *storage, struct http_session *session,
                              const struct storage_upload *upload, uint32_t index,
                              struct span bytes, struct error *e)
{
    char what[WHAT_SIZE];
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX), id = BUF(BLOCK_ID_SIZE);
    AUTO(http_reply_free) struct http_reply reply = {0};

    if (index >= STORAGE_BLOCKS_MAX || bytes.size == 0)
        return fail(e, E_BUG, "storage: block %" PRIu32 " of %zu bytes", index, bytes.size);
    storage_what(storage, upload->name, what);
    TRY(storage_url(storage, upload->name, &url, e));
    TRY(block_id(upload, index, &id, e));
    TRY(buf_addf(&url, e, "?comp=block&blockid="));
    TRY(percent_encode(buf_span(&id), "", &url, e));
    const struct ask ask = {
        .what = what, .method = "PUT", .url = buf_text(&url), .body = bytes, .retry = true};
    TRY(ask_send(storage, session, &ask, NULL, &reply, e));
    if (reply.status != 201)
        return storage_refusal(storage, &ask, &reply, e);
    return OK;
}

/* ---- The commit ---- */

static enum status block_list(const struct storage_upload *upload, uint32_t blocks, struct buf *out,
                              struct error *e)
{
    TRY(buf_addf(out, e, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"));
    for (uint32_t i = 0; i < blocks; i++) {
        AUTO(buf_free) struct buf id = BUF(BLOCK_ID_SIZE);
        TRY(block_id(upload, i, &id, e));
        TRY(buf_addf(out, e, "<Uncommitted>%s</Uncommitted>", buf_text(&id)));
    }
    return buf_addf(out, e, "</BlockList>");
}

/* The blob of that name, if it is of this upload. E_DENIED if this credential may not look. */
static enum status find_ours(struct storage *storage, struct http_session *session,
                             const struct storage_upload *upload, bool *ours,
                             char etag[static ETAG_SIZE], struct error *e)
{
    char what[WHAT_SIZE];
    AUTO(http_reply_free) struct http_reply reply = {0};
    AUTO(buf_free) struct buf id = BUF(2 * STORAGE_UPLOAD_ID_SIZE);
    storage_what(storage, upload->name, what);
    TRY(upload_hex(upload, &id, e));
    TRY(look(storage, session, upload->name, &reply, e));
    if (reply.status != 200 && reply.status != 404)
        return fail(e, E_DENIED, "%s: it may be there, but this credential may not look", what);
    *ours = reply.status == 200 &&
            span_equal(http_reply_header(&reply, UPLOAD_ITEM), buf_span(&id)) &&
            etag_parse(http_reply_header(&reply, "ETag"), etag);
    return OK;
}

/* Answers that a second try gets when the first one made the blob and its answer was lost: the blob
 * is there; its blocks are not uncommitted any more. */
static bool may_be_done(const struct http_reply *reply)
{
    static const char *const codes[] = {"BlobAlreadyExists", "ConditionNotMet",
                                        "TargetConditionNotMet", "InvalidBlockList"};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (span_is(http_reply_header(reply, "x-ms-error-code"), codes[i]))
            return true;
    return false;
}

/* A commit's request, and the texts that it borrows. */
struct committing {
    char what[WHAT_SIZE];
    struct buf url, id, list;
    struct ask ask;
};

static void committing_free(struct committing *c)
{
    buf_free(&c->url);
    buf_free(&c->id);
    buf_free(&c->list);
}

static void add_header(struct ask *ask, const char *name, struct span value)
{
    ask->headers[ask->n_headers++] = (struct http_header){name, value};
}

/* CONDITIONAL: only if there is no blob of that name. */
static enum status committing_new(const struct storage *storage,
                                  const struct storage_upload *upload,
                                  const struct storage_commit *commit, bool conditional,
                                  struct committing *c, struct error *e)
{
    const char *type = commit->content_type;
    c->url = BUF(URL_BYTES_MAX);
    c->id = BUF(2 * STORAGE_UPLOAD_ID_SIZE);
    c->list = BUF((size_t)(commit->blocks + 2) * BLOCK_LINE_SIZE);
    storage_what(storage, upload->name, c->what);
    TRY(storage_url(storage, upload->name, &c->url, e));
    TRY(buf_addf(&c->url, e, "?comp=blocklist"));
    TRY(upload_hex(upload, &c->id, e));
    TRY(block_list(upload, commit->blocks, &c->list, e));
    c->ask = (struct ask){.what = c->what,
                          .method = "PUT",
                          .url = buf_text(&c->url),
                          .body = buf_span(&c->list),
                          .grace_ms = COMMIT_GRACE_MS,
                          .retry = true};
    add_header(&c->ask, UPLOAD_ITEM, buf_span(&c->id));
    add_header(&c->ask, "x-ms-blob-content-type",
               span_text(type != NULL ? type : "application/octet-stream"));
    if (commit->encryption_data != NULL)
        add_header(&c->ask, "x-ms-meta-encryptiondata", span_text(commit->encryption_data));
    if (conditional)
        add_header(&c->ask, "If-None-Match", SPAN_LITERAL("*"));
    return OK;
}

/* The answer was no 201. *TAKEN: the blob of another upload is in the way. */
static enum status commit_refused(struct storage *storage, struct http_session *session,
                                  const struct storage_upload *upload, const struct ask *ask,
                                  const struct http_reply *reply, char etag[static ETAG_SIZE],
                                  bool *taken, struct error *e)
{
    bool ours = false;
    if (!may_be_done(reply))
        return storage_refusal(storage, ask, reply, e);
    enum status status = find_ours(storage, session, upload, &ours, etag, e);
    if (ours || (status != OK && status != E_DENIED))
        return status;
    *taken = reply->status == 409 || reply->status == 412;
    if (!*taken)
        return storage_refusal(storage, ask, reply, e);
    (void)fail(e, E_NAME, "%s: there is a blob of that name already", ask->what);
    advise(e, "choose another name, delete that blob, or give the output \"overwrite\": true");
    return E_NAME;
}

/* One way to commit. *TAKEN as above; OUT gets the ETag of what was made, or whether it was
 * refused. */
static enum status commit_try(struct storage *storage, struct http_session *session,
                              const struct storage_upload *upload,
                              const struct storage_commit *commit, bool conditional, bool *taken,
                              struct storage_made *out, struct error *e)
{
    AUTO(committing_free) struct committing c = {0};
    AUTO(http_reply_free) struct http_reply reply = {0};
    TRY(committing_new(storage, upload, commit, conditional, &c, e));
    TRY(ask_send(storage, session, &c.ask, NULL, &reply, e));
    if (reply.status != 201) {
        enum status status =
            commit_refused(storage, session, upload, &c.ask, &reply, out->etag, taken, e);
        out->refused =
            reply.sent == 1 && (status == E_DENIED || status == E_NAME || status == E_NOT_FOUND);
        return status;
    }
    if (!etag_parse(http_reply_header(&reply, "ETag"), out->etag))
        return fail(e, E_NETWORK, "%s: the service gives no valid ETag", c.what);
    return OK;
}

enum status storage_commit(struct storage *storage, struct http_session *session,
                           const struct storage_upload *upload, const struct storage_commit *commit,
                           struct storage_made *out, struct error *e)
{
    bool taken = false;
    *out = (struct storage_made){0};
    enum status status = commit_try(storage, session, upload, commit, true, &taken, out, e);
    if (status != E_NAME || !taken || !commit->overwrite)
        return status;
    *out = (struct storage_made){.replaced = true};
    return commit_try(storage, session, upload, commit, false, &taken, out, e);
}

/* ---- The way back ---- */

static enum status delete_pinned(struct storage *storage, struct http_session *session,
                                 const char *name, const char *etag, bool *gone, struct error *e)
{
    char what[WHAT_SIZE];
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    AUTO(http_reply_free) struct http_reply reply = {0};

    storage_what(storage, name, what);
    TRY(storage_url(storage, name, &url, e));
    const struct ask ask = {.what = what,
                            .method = "DELETE",
                            .url = buf_text(&url),
                            .headers = {{"If-Match", span_text(etag)}},
                            .n_headers = 1,
                            .retry = true};
    TRY(ask_send(storage, session, &ask, NULL, &reply, e));
    /* 404: an earlier try did it. 412: somebody wrote another blob there since; it is theirs. */
    *gone = reply.status == 202 || reply.status == 404 || reply.status == 412;
    return *gone ? OK : storage_refusal(storage, &ask, &reply, e);
}

enum status storage_take_back(struct storage *storage, struct http_session *session,
                              const struct storage_upload *upload, const char *etag, bool *gone,
                              struct error *e)
{
    char found[ETAG_SIZE];
    bool ours = etag[0] != '\0';
    if (!ours) {
        TRY(find_ours(storage, session, upload, &ours, found, e));
        etag = found;
    }
    if (!ours) {
        TRY(stop_sleep_ms(LATE_MS, e));
        TRY(find_ours(storage, session, upload, &ours, found, e));
    }
    *gone = true;
    return ours ? delete_pinned(storage, session, upload->name, etag, gone, e) : OK;
}

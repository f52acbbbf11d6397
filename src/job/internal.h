/* The parts of a run, each in the file of its name. */
#ifndef DECANT_JOB_INTERNAL_H
#define DECANT_JOB_INTERNAL_H

#include "access/access.h"
#include "envelope/envelope.h"
#include "job/job.h"
#include "manifest/manifest.h"
#include "output/output.h"

/* What all parts of one run share. Borrowed by them; job_run owns it. */
struct run {
    const struct job *job;
    const struct run_options *options;
    struct run_progress *progress;
    struct run_summary *summary; /* written by one thread at a time: see each part */
    struct services services;
    struct volume *volume;
    struct keyring *keyring;
    struct plan *plan;
    uint64_t manifest_bytes;      /* of all inputs, before the workers start */
    _Atomic uint64_t plain_bytes; /* promised or written so far */
    _Atomic uint64_t kept;        /* files of an earlier run that were still right */
};

/* ---- input: one of the job's inputs ---- */

struct input {
    const struct config_input *config;
    struct storage_location location;
    struct storage *storage;
    struct manifest *manifest; /* NULL: none */
};

/* Asks for the manifest if there is one. INPUT is zeroed; input_close whatever this returns. */
/* Its URLs, before anything is asked of anybody. E_USAGE. */
enum status input_check(const struct config_input *config, struct error *e);
enum status input_open(struct run *run, const struct config_input *config, struct input *input,
                       struct error *e);
void input_close(struct input *input);
/* The blob's name behind the prefix; for a listed blob. */
const char *input_rest_of(const struct input *input, const struct blob *blob);
bool input_wants(const struct input *input, const struct blob *blob); /* does "match" fit? */
/* BLOB's name on the volume, checked; the caller frees it. E_NAME. */
enum status input_name(const struct input *input, const struct blob *blob, char **out,
                       struct error *e);
/* URL of the blob without its query, for messages and ready.json. */
enum status input_blob_url(const struct input *input, const struct blob *blob, struct buf *out,
                           struct error *e);
/* "blob CONTAINER/NAME: " in front of E's text, unless STATUS is OK; returns STATUS. */
enum status input_blame(const struct input *input, const struct blob *blob, enum status status,
                        struct error *e);
/* The manifest, if there is one: a listed blob must be in it (one thread at a time), and at the end
 * none may be missing. E_MISMATCH. */
enum status input_check_listed(struct input *input, const struct blob *blob, struct error *e);
enum status input_check_complete(const struct input *input, struct error *e);

/* What the job or its manifest says that a blob's plaintext is. */
struct expectation {
    const char *source; /* "the job", "the manifest" */
    bool has_size, has_sha256;
    uint64_t size;
    uint8_t sha256[SHA256_SIZE];
    bool has_key_sha256;
    uint8_t key_sha256[SHA256_SIZE]; /* of the wrapped content key */
};
enum status input_expects(const struct input *input, const struct blob *blob,
                          struct expectation *out, struct error *e);

/* ---- plan: the job's inputs as a stream of blobs, a page at a time ---- */

struct plan_item {
    struct input *input;
    struct blob blob;
    bool has_properties; /* false for a single blob: ask for them before use */
    char *name;          /* on the volume; checked */
};

void plan_item_free(struct plan_item *item);

/* The URLs of JOB's inputs, before anything is asked of anybody. E_USAGE. */
enum status plan_check(const struct job *job, struct error *e);
enum status plan_open(struct run *run, struct plan **out, struct error *e);
void plan_close(struct plan **plan);
/* The next blob; *FOUND is false behind the last. Thread-safe. */
enum status plan_next(struct plan *plan, struct http_session *session, struct plan_item *item,
                      bool *found, struct error *e);
/* At the end: nothing that a manifest names is missing. E_MISMATCH. */
enum status plan_check_complete(struct plan *plan, struct error *e);

/* ---- shard: whose is which blob ---- */

struct shard_list;

enum status shard_list_new(struct shard_list **out, struct error *e);
void shard_list_free(struct shard_list **list);
/* Every blob of the data set, in the listing's order. */
enum status shard_add(struct shard_list *list, const char *name, uint64_t size, struct error *e);
/* MINE: 0 … SHARDS - 1. Balanced by size, the same in every run over the same list. */
enum status shard_assign(struct shard_list *list, uint32_t mine, uint32_t shards, struct error *e);
/* Is the I-th blob ours? E_NETWORK if it is not the one that was added as the I-th. */
enum status shard_check(const struct shard_list *list, size_t i, const char *name, uint64_t size,
                        bool *mine, struct error *e);

/* ---- transfer: one blob from its properties to a sealed file ---- */

struct transfer;

/* Properties, envelope, content key, file with its space reserved (in a dry run no file). *OUT
 * stays NULL if the file of an earlier run is still right: then nothing is left to do. */
enum status transfer_open(struct run *run, struct http_session *session, struct plan_item *item,
                          struct transfer **out, struct error *e); /* empties ITEM */
void transfer_close(struct transfer **transfer);
/* More than one worker can help with it. */
bool transfer_is_shared(const struct transfer *transfer);
/* Reads the next stretch: *BYTES of it, 0 if none is left. Thread-safe. */
enum status transfer_work(struct transfer *transfer, struct http_session *session,
                          struct envelope_reader *reader, uint64_t *bytes, struct error *e);
/* After every worker came back OK: verdict, checks, seal. By one thread. */
enum status transfer_finish(struct transfer *transfer, struct error *e);

/* ---- pace: how many connections one large blob is worth ---- */

struct pace {
    size_t limit, most; /* how many may work on it now, and ever */
    size_t before;      /* the limit before it was doubled last */
    bool settled;
    uint64_t rate; /* bytes per second with BEFORE */
    size_t stretches;
    uint64_t bytes; /* since SINCE_MS */
    int64_t since_ms;
};

void pace_start(struct pace *pace, size_t most);
/* A stretch of BYTES was read by NOW_MS (of clock_ms). True if more may work on it from now on. */
bool pace_note(struct pace *pace, uint64_t bytes, int64_t now_ms);

/* ---- gunzip ---- */

/* Inflates the first SIZE bytes of FROM, all verified by now, into TO. What comes out counts as the
 * run's plaintext before it is written. E_MISMATCH if FROM is not whole gzip members and nothing
 * else. */
enum status gunzip(struct run *run, struct output_file *from, uint64_t size, struct output_file *to,
                   uint64_t *written, struct error *e);

/* ---- fetch: the workers ---- */

enum status fetch_all(struct run *run, struct error *e);

/* Adds SIZE to the run's plaintext; E_SPACE over limits.max_plaintext_mib. Thread-safe. */
enum status run_count_plaintext(struct run *run, uint64_t size, struct error *e);

#endif

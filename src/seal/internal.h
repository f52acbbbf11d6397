/* The parts of a seal, each in the file of its name. */
#ifndef DECANT_SEAL_INTERNAL_H
#define DECANT_SEAL_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "access/access.h"
#include "envelope/envelope.h"
#include "manifest/manifest.h"
#include "seal/seal.h"
#include "storage/storage.h"

/* ---- output: one of the job's outputs ---- */

struct output {
    const struct config_output *config;
    size_t index; /* in the job */
    struct storage_location location;
    struct storage *storage;
    struct kek recipient;
    char *manifest, *receipt; /* names of their blobs, or NULL: none */
    uint8_t manifest_sha256[SHA256_SIZE];
    _Atomic uint64_t files, plain_bytes;
};

/* Names and URLs, before anything is asked of anybody. E_USAGE, E_NAME. OUT is zeroed; output_close
 * whatever this returns. */
enum status output_check(const struct job *job, size_t index, struct output *out, struct error *e);
/* The recipient's key, and the way into storage. SERVICES must outlive it. */
enum status output_open(struct output *output, const struct services *services, struct error *e);
void output_close(struct output *output);
/* What a file below the output's directory (or the file itself, for "") is called; checked. The
 * caller frees it. E_NAME. */
enum status output_blob_name(const struct output *output, const char *path, char **out,
                             struct error *e);
/* The blob's URL without a query. */
enum status output_url(const struct output *output, const char *name, struct buf *out,
                       struct error *e);

/* ---- source: the files of an output ---- */

struct source;

struct source_file {
    int fd;
    struct stat before; /* when it was opened */
    char *path;         /* below the directory; "" if the output is a file */
};

void source_file_close(struct source_file *file);
/* PATH: a directory or a regular file. E_NOT_FOUND if there is none. */
enum status source_open(const char *path, struct source **out, struct error *e);
void source_close(struct source **source);
bool source_is_directory(const struct source *source);
/* The next regular file; *FOUND is false behind the last. E_NAME for what is neither file nor
 * directory, E_MISMATCH if it goes away meanwhile. One thread at a time. */
enum status source_next(struct source *source, struct source_file *out, bool *found,
                        struct error *e);
/* Is it still what it was when it was opened? E_MISMATCH. */
enum status source_unchanged(const struct source_file *file, struct error *e);

/* ---- journal: what was uploaded, in an unnamed file, so that memory does not grow with it ---- */

struct journal;

enum entry_state {
    ENTRY_STAGED,   /* its blocks are there */
    ENTRY_TRIED,    /* its commit may have happened */
    ENTRY_MADE,     /* it is a blob now; ETAG says which */
    ENTRY_REPLACED, /* so is it, and an older one is gone */
};

struct entry {
    uint32_t output; /* index */
    uint32_t blocks;
    uint64_t plain_size;
    uint8_t pin[SHA256_SIZE]; /* of the content key; meaningless without ENCRYPTION_DATA */
    struct storage_upload upload;
    const char *encryption_data; /* NULL: not encrypted */
    /* These change while blobs are committed. */
    enum entry_state state;
    char etag[64];
};

enum status journal_new(struct journal **out, struct error *e);
void journal_free(struct journal **journal);
/* Thread-safe. */
enum status journal_add(struct journal *journal, const struct entry *entry, struct error *e);

/* Behind its last entry: where a reader starts at later ones. */
uint64_t journal_end(const struct journal *journal);

struct journal_reader {
    const struct journal *journal;
    uint64_t at, next; /* of the entry that was read, and of the one behind it */
    struct buf texts;  /* what the entry's pointers point into */
};
#define JOURNAL_READER(journal_)                                                                   \
    {                                                                                              \
        .journal = (journal_), .texts = BUF(16384)                                                 \
    }

/* The next entry; it borrows from the reader until the next call. *FOUND is false behind the last. */
enum status journal_read(struct journal_reader *reader, struct entry *out, bool *found,
                         struct error *e);
/* The state and ETag of the entry that READER read last. */
enum status journal_note(const struct journal_reader *reader, enum entry_state state,
                         const char *etag, struct error *e);
void journal_reader_free(struct journal_reader *reader);

/* ---- crew: threads that do the same ---- */

/* How many files are uploaded and blobs committed at the same time. */
size_t crew_size(const struct job *job);
/* N threads do WORK with CONTEXT. The first failure stops the others (stop_request), and is what
 * comes back. */
enum status crew_run(size_t n, enum status (*work)(void *context, struct error *e), void *context,
                     struct error *e);

/* ---- the whole ---- */

struct seal {
    const struct job *job;
    const struct seal_options *options;
    struct services services;
    struct output *outputs;
    size_t n_outputs;
    struct journal *journal;
    uint64_t files_end; /* in the journal: manifests and receipts stand behind it */
    _Atomic uint64_t files, plain_bytes, stored_bytes;
};

/* ---- sealing: one file on its way into blocks ---- */

struct sealing {
    struct sealing *previous, *next; /* in the stage's list */
    struct seal *seal;
    struct output *output;
    struct source_file file;
    char *name; /* of the blob */
    struct envelope_writer *writer;
    struct storage_upload upload;
    uint32_t regions;          /* unknown before the end where the output is compressed */
    uint32_t taken;            /* of them; the stage's lock is over it */
    _Atomic uint32_t finished; /* of them */
};

/* FILE moves into it. In a dry run nothing is made, and only looked whether the blob is there. */
enum status sealing_new(struct seal *seal, struct output *output, struct source_file *file,
                        struct http_session *session, struct sealing **out, struct error *e);
void sealing_free(struct sealing **sealing);
/* Region INDEX: read, encrypted in ROOM, uploaded. *LAST: it was the last one to be finished. */
enum status sealing_work(struct sealing *sealing, uint32_t index, struct http_session *session,
                         uint8_t *room, bool *last, struct error *e);
/* The whole file, compressed. */
enum status sealing_compress(struct sealing *sealing, struct http_session *session, uint8_t *room,
                             struct error *e);
/* All regions are uploaded: the file must not have changed; then it is entered into the journal. */
enum status sealing_finish(struct sealing *sealing, struct error *e);

enum { SEALING_ROOM = ENVELOPE_REGION_SIZE + ENVELOPE_REGION_OVERHEAD };

/* ---- stage: all files of all outputs ---- */

enum status stage_all(struct seal *seal, struct error *e);
/* A small blob as it is, staged like the others: BYTES under NAME. */
enum status stage_plain(struct seal *seal, struct output *output, const char *name,
                        struct span bytes, struct error *e);

/* ---- receipt: which program, on which hardware, made this output ---- */

/* Before hours of uploading: is there anything that evidence could come from? E_NO_EVIDENCE. */
enum status receipt_check(const struct seal *seal, const struct output *output, struct error *e);
/* Attests and stages it. The output's manifest must be staged. E_NO_EVIDENCE, E_NOT_ATTESTED. */
enum status receipt_stage(struct seal *seal, struct output *output, struct error *e);

/* ---- commit: what is staged becomes blobs, all of it, or is taken back ---- */

enum status commit_all(struct seal *seal, struct error *e);

#endif

/*
 * seal: a job's outputs → encrypted blobs. All of them or none: every block is uploaded first,
 * where nobody sees it, then all blobs are committed, and a failure takes back what was.
 */
#ifndef DECANT_SEAL_H
#define DECANT_SEAL_H

#include "base/base.h"
#include "config/config.h"

struct seal_options {
    bool dry_run; /* everything up to the first write */
};

/* seal_summary_free whatever seal_outputs returns. Zero-initialise. */
struct seal_summary {
    bool dry_run;
    uint64_t files;
    uint64_t plain_bytes, stored_bytes;
    uint64_t requests, retries;
    int64_t total_ms;
    struct buf outputs; /* JSON array: what each output became */
};

/* decant seal: JOB's outputs. The sources are read as they are and must not change meanwhile
 * (E_MISMATCH). E_NOT_FOUND if an output has no file, E_NAME for what cannot be or is there already.
 */
enum status seal_outputs(const struct job *job, const struct seal_options *options,
                         struct seal_summary *out, struct error *e);

/* One JSON object without line end, for standard output and --report. */
enum status seal_summary_json(const struct seal_summary *summary, struct buf *out, struct error *e);
void seal_summary_free(struct seal_summary *summary);

#endif

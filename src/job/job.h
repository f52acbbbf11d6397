/*
 * job: the order of the stages. The only room that knows two of them; what travels between them are
 * base types.
 */
#ifndef DECANT_JOB_H
#define DECANT_JOB_H

#include <stdatomic.h>

#include "base/base.h"
#include "config/config.h"

/* Counted while a run goes on; for whoever shows it. Zero-initialise. */
struct run_progress {
    _Atomic uint64_t blobs_found, blobs_done;
    _Atomic uint64_t bytes_found, bytes_done; /* stored bytes */
    atomic_bool all_found;                    /* the last page of the last listing was seen */
    _Atomic(const char *) phase; /* "attesting", "decanting", "publishing"; static texts */
};

struct run_summary {
    bool dry_run;
    uint64_t files, kept; /* of the files, those of an earlier run that were still right */
    uint64_t plain_bytes, stored_bytes;
    uint64_t requests, retries, keys;
    int64_t attest_ms, release_ms, total_ms; /* 0: did not happen */
};

struct run_options {
    bool dry_run;           /* everything up to the first write */
    uint32_t shard, shards; /* this run takes part SHARD (from 0) of SHARDS; 0 and 1 are one: all */
};

/* decant run. Publishes all or nothing. The job's text and PROGRESS must outlive the call. */
enum status job_run(const struct job *job, const struct run_options *options,
                    struct run_progress *progress, struct run_summary *out, struct error *e);

/* The summary as one JSON object without line end, for standard output and --report. */
enum status run_summary_json(const struct run_summary *summary, struct buf *out, struct error *e);

#endif

/* The run's summary as JSON: one line for standard output, and the report. */
#include "job/job.h"

enum status run_summary_json(const struct run_summary *summary, struct buf *out, struct error *e)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"files", summary->files},
        {"kept", summary->kept},
        {"bytes", summary->plain_bytes},
        {"stored_bytes", summary->stored_bytes},
        {"keys", summary->keys},
        {"requests", summary->requests},
        {"retries", summary->retries},
        {"attest_ms", (uint64_t)summary->attest_ms},
        {"release_ms", (uint64_t)summary->release_ms},
        {"total_ms", (uint64_t)summary->total_ms},
    };
    TRY(buf_addf(out, e, "{\"result\":\"%s\"", summary->dry_run ? "dry-run" : "done"));
    for (size_t i = 0; i < COUNT(members); i++)
        TRY(buf_addf(out, e, ",\"%s\":%llu", members[i].name,
                     (unsigned long long)members[i].value));
    return buf_addf(out, e, "}");
}

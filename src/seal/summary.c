/* What was sealed, as JSON: one line for standard output, and the report. */
#include "seal/seal.h"

void seal_summary_free(struct seal_summary *summary)
{
    buf_free(&summary->outputs);
}

enum status seal_summary_json(const struct seal_summary *summary, struct buf *out, struct error *e)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"files", summary->files},
        {"bytes", summary->plain_bytes},
        {"stored_bytes", summary->stored_bytes},
        {"requests", summary->requests},
        {"retries", summary->retries},
        {"total_ms", (uint64_t)summary->total_ms},
    };
    TRY(buf_addf(out, e, "{\"result\":\"%s\"", summary->dry_run ? "dry-run" : "sealed"));
    for (size_t i = 0; i < COUNT(members); i++)
        TRY(buf_addf(out, e, ",\"%s\":%llu", members[i].name,
                     (unsigned long long)members[i].value));
    return buf_addf(out, e, ",\"outputs\":%s}",
                    summary->outputs.size > 0 ? buf_text(&summary->outputs) : "[]");
}

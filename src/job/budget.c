/* How much plaintext a run may make. */
#include "job/internal.h"

enum status run_count_plaintext(struct run *run, uint64_t size, struct error *e)
{
    uint64_t limit = run->job->limits.max_plaintext_mib << 20;
    uint64_t total = atomic_fetch_add(&run->plain_bytes, size) + size;
    if (limit == 0 || total <= limit)
        return OK;
    (void)fail(e, E_SPACE, "more than %llu MiB of plaintext",
               (unsigned long long)run->job->limits.max_plaintext_mib);
    advise(e, "Raise limits.max_plaintext_mib, or choose fewer inputs");
    return e->status;
}

/*
 * gzip: from one file into another, where both are the input's memory and a counter. (The linker
 * takes these three functions instead of the rooms' own.)
 */
#include "fuzz.h"
#include "job/internal.h"

#define PLAIN_MAX ((uint64_t)4 << 20)

static struct span stored;
static uint64_t written, counted;

enum status output_file_read(struct output_file *file, uint64_t at, uint8_t *room, size_t size,
                             struct error *e)
{
    (void)file;
    if (at > stored.size || size > stored.size - at)
        return fail(e, E_BUG, "a read behind the end");
    memcpy(room, stored.data + at, size);
    return OK;
}

enum status output_file_write(struct output_file *file, uint64_t at, struct span bytes,
                              struct error *e)
{
    (void)file;
    if (at != written || counted < written + bytes.size)
        return fail(e, E_BUG, "written out of order, or before it was counted");
    written += bytes.size;
    return OK;
}

enum status run_count_plaintext(struct run *run, uint64_t size, struct error *e)
{
    (void)run;
    counted += size;
    return counted <= PLAIN_MAX ? OK : fail(e, E_SPACE, "a bomb");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t told = 0;
    struct error e = {0};
    stored = span_of(data, size);
    written = counted = 0;
    enum status status = gunzip(NULL, NULL, size, NULL, &told, &e);
    must_fail_as(status, &e, E_MISMATCH, E_SPACE);
    must(status != OK || told == written);
    return 0;
}

/* The unnamed file, as file.c fills and stage.c seals it. */
#ifndef DECANT_OUTPUT_FILE_H
#define DECANT_OUTPUT_FILE_H


#include "output/internal.h"

struct output_file {
    struct volume *volume;
    int fd;
    char *name; /* for messages; the entry's name counts */
    /* Bytes written, some perhaps twice (a range that was asked for again). Fewer than the file's
     * size mean a hole, which would read as zeros. */
    _Atomic uint64_t written;
    _Atomic uint64_t promised; /* of the volume's promises: what this file may still write */
};

/* promise.c: room for SIZE bytes, so that a file that does not fit is refused before its download.
 * E_SPACE. */
enum status space_reserve(struct output_file *file, uint64_t size, struct error *e);
/* Before a write of SIZE bytes that nobody promised: it must not take what others were promised.
 * E_SPACE. */
enum status space_extend(struct output_file *file, uint64_t size, struct error *e);
/* SIZE bytes of the promise are about to be written, or (UINT64_MAX) the file is done. */
void promise_use(struct output_file *file, uint64_t size);

#endif

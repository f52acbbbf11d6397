/* The unnamed file, as file.c fills and stage.c seals it. */
#ifndef DECANT_OUTPUT_FILE_H
#define DECANT_OUTPUT_FILE_H

#include <stdatomic.h>

#include "output/internal.h"

struct output_file {
    struct volume *volume;
    int fd;
    char *name; /* for messages; the entry's name counts */
    /* Bytes written, some perhaps twice (a range that was asked for again). Fewer than the file's
     * size mean a hole, which would read as zeros. */
    _Atomic uint64_t written;
};

#endif

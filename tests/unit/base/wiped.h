/* Sees what is wiped: this program's explicit_bzero takes the place of libc's. */
#ifndef DECANT_TEST_WIPED_H
#define DECANT_TEST_WIPED_H

#include "testing.h"

static size_t wiped_marks; /* bytes of MARK that were wiped so far */

enum { MARK = 0xA7 };

void explicit_bzero(void *data, size_t size)
{
    volatile uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        wiped_marks += bytes[i] == MARK;
        bytes[i] = 0;
    }
}

#endif

/* The versions of client-side encryption, and what goes with each. */
#include "envelope/internal.h"

#include <string.h>

static const struct protocol protocols[] = {
    {"1.0", "AES_CBC_256", "cse-1.0", ENVELOPE_CSE_V1},
    {"2.0", "AES_GCM_256", "cse-2.0", ENVELOPE_CSE},
    {"2.1", "AES_GCM_256", "cse-2.1", ENVELOPE_CSE},
};

const struct protocol *protocol_find(const char *number)
{
    for (size_t i = 0; i < COUNT(protocols); i++)
        if (strcmp(protocols[i].number, number) == 0)
            return &protocols[i];
    return NULL;
}

/* attestation, among its own files. */
#ifndef DECANT_ATTESTATION_INTERNAL_H
#define DECANT_ATTESTATION_INTERNAL_H

#include "attestation/attestation.h"

enum {
    TOKEN_MAX = 64 << 10, /* real tokens have 3 to 12 KiB */
    REPORT_SIZE = 1184,   /* AMD 56860, table of ATTESTATION_REPORT */
    CERTIFICATES_MAX = 1 << 16,
    ENDORSEMENTS_MAX = 1 << 20,
    RUNTIME_MAX = 1 << 16,
};

/* The provider's URL, fit to be the base of a request. E_USAGE. */
enum status provider_parse(const char *provider, struct url *out, struct error *e);

#endif

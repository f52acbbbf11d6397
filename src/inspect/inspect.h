/*
 * inspect: what a file or directory is, what it says, and whether it is genuine, offline. Everything
 * that is looked at is hostile. What cannot be verified here is said, not passed over.
 */
#ifndef DECANT_INSPECT_H
#define DECANT_INSPECT_H

#include "base/base.h"
#include "finding/finding.h"

struct inspect_options {
    const char *path;         /* a file, a directory, or "-" for standard input */
    const char *as;           /* the kind's name; NULL: by its content */
    const char *metadata;     /* a blob's: file with the value of encryptiondata, or NULL */
    const char *key;          /* a blob's: file with the private key, or NULL */
    const char *jwks;         /* a token's: file with the service's keys, or NULL */
    const char *certificates; /* a report's: file with its chain, PEM or THIM's JSON, or NULL */
    const char *ca_file;      /* a release's: trust store; NULL: the system's */
    const char *amd_root;     /* PEM of a root to believe instead of AMD's: for tests; or NULL */
    const char *policy;       /* file with the container policy to expect, or NULL */
    const char *host_data;    /* its digest in hex, or NULL */
    const char *job;          /* a receipt's: file whose digest must be its job's, or NULL */
    const char *const *manifests; /* a receipt's: files whose digests it must name */
    size_t n_manifests;
    bool verify;              /* what could not be verified for want of something is a failure */
    int64_t now_unix_s;       /* dates are judged at this time */
};

struct inspection {
    const char *kind; /* "report", "token", … */
    struct findings findings;
};

void inspection_free(struct inspection *inspection);

/* Explains it; what is wrong with it is among the findings, and findings_verdict has its class:
 * E_NO_EVIDENCE, E_NOT_ATTESTED, E_BAD_KEY, E_NOT_AUTHENTIC, E_MISMATCH. E_USAGE: it cannot be read,
 * or is nothing that is known here. OUT must be empty. */
enum status inspect(const struct inspect_options *options, struct inspection *out, struct error *e);

/* Findings about an endorsement of the utility VM that launched with MEASUREMENT, but for its issuer,
 * whom the attestation service judges. ENDORSEMENT is hostile. E_NO_EVIDENCE: it is none. */
enum status inspect_endorsement(struct span endorsement, struct span measurement,
                                struct findings *out, struct error *e);

/* The kinds' names with ", " between them, for help and messages. */
enum status inspect_kinds(struct buf *out, struct error *e);

#endif

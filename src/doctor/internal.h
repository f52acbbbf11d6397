/* What the files of this room share. */
#ifndef DECANT_DOCTOR_INTERNAL_H
#define DECANT_DOCTOR_INTERNAL_H

#include "access/access.h"
#include "doctor/doctor.h"
#include "output/output.h"

enum { HOSTS_MAX = 32, AUDIENCES_MAX = 8, TEXT_SIZE = 640, STEP_SIZE = 128 };

struct host {
    char authority[300];
    bool answers;
};

struct audience {
    const char *name; /* static */
    bool has_token;
};

/* What is known so far. Each check adds to it; a check whose ground is missing says so and is
 * skipped. */
struct doctor {
    const struct job *job;
    const struct doctor_options *options;
    struct findings *findings;
    struct services services;
    bool has_services;
    struct host hosts[HOSTS_MAX];
    size_t n_hosts;
    bool has_date; /* SKEW_S: our clock against a service's */
    int64_t skew_s;
    char date_of[300];
    struct audience audiences[AUDIENCES_MAX];
    size_t n_audiences;
    bool has_device, has_evidence, has_claims;
    struct attested attested;
    struct snp_report report;
    struct buf claims;
    uint64_t data_size; /* stored bytes of the inputs, as far as they were listed */
    bool data_is_more;
    bool has_volume, volume_is_memory;
    uint64_t available;
};

/* Each appends what it finds. A failure is one of the list alone. */
enum status check_network(struct doctor *d, struct error *e);
enum status check_clock(struct doctor *d, struct error *e);
enum status check_evidence(struct doctor *d, struct error *e);
enum status check_attestation(struct doctor *d, struct error *e);
enum status check_tokens(struct doctor *d, struct error *e);
enum status check_keys(struct doctor *d, struct error *e);
enum status check_releases(struct doctor *d, struct error *e);
enum status check_inputs(struct doctor *d, struct error *e);
enum status check_outputs(struct doctor *d, struct error *e);
enum status check_volume(struct doctor *d, struct error *e);
enum status check_space(struct doctor *d, struct error *e);
enum status check_memory(struct doctor *d, struct error *e);
enum status check_locked_memory(struct doctor *d, struct error *e);

/* ---- Whether there is ground to stand on ---- */

/* Appends a skip and is true if nothing can be asked of URL's host. */
bool host_is_lost(struct doctor *d, const char *step, const char *url, struct error *e);
/* The same for a token for AUDIENCE. */
bool token_is_lost(struct doctor *d, const char *step, const char *audience, struct error *e);

/* Is KEY released by a vault to ourselves? */
bool key_is_vaulted(const struct config_key *key);
/* Does anything of the job need a token of the attestation service? */
bool job_attests(const struct job *job);
/* Is a place of storage entered with the identity's token? */
bool location_needs_token(const struct job *job, const struct storage_location *location,
                          const struct config_place *sas);

/* ---- Words ---- */

/* "1.5 MiB" */
#define SIZE_TEXT 32
const char *size_text(uint64_t bytes, char out[static SIZE_TEXT]);

#endif

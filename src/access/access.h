/*
 * access: from a job to the right to use its services and keys: http and identity, attestation, the
 * job's keys. What run, seal, key, attest and doctor share; the only room that brings evidence,
 * attestation, identity and key together.
 */
#ifndef DECANT_ACCESS_H
#define DECANT_ACCESS_H

#include "config/config.h"
#include "evidence/evidence.h"
#include "http/http.h"
#include "identity/identity.h"
#include "key/key.h"
#include "storage/storage.h"

/* ---- Services: who we are and how we talk ---- */

/* JOB is borrowed. Does not move once it is open: TOKENS and the identity point into it. */
struct services {
    int tries; /* set before: of each request; 0: as many as are usual */
    const struct job *job;
    struct http *http;
    struct identity *identity;
    struct token_source tokens; /* of the identity */
    char cloud_host[256];       /* what tells the cloud: a vault's or an account's host, or "" */
};

/* Asks nobody yet. OUT is zeroed but for TRIES; services_close whatever this returns. */
enum status services_open(const struct job *job, struct services *out, struct error *e);
void services_close(struct services *services);

/* The access token for the vault of key KID. E_USAGE, E_NO_TOKEN, E_NETWORK. */
enum status services_vault_token(const struct services *services, const char *kid,
                                 struct secret *bearer, struct error *e);
/* LOCATION, entered with the SAS of PLACE, else with the one of the location's URL, else with the
 * identity's token. LOCATION and SERVICES must outlive *OUT. E_USAGE if PLACE names nothing. */
enum status services_storage(const struct services *services,
                             const struct storage_location *location,
                             const struct config_place *place, struct storage **out,
                             struct error *e);

/* ---- Attestation ---- */

/* What one attestation gives: a pair of our own, the hardware's word on it, the service's token. */
struct attested {
    const char *also; /* set before: further members of the runtime data, such as "\"a\":1"; or NULL */
    struct key_offer offer;
    struct evidence evidence;
    struct secret token; /* empty until attest_token */
    int64_t ms;          /* what all of it took, if it was one step */
};

void attested_free(struct attested *attested);
/* Where the job's evidence comes from: a device's name, or the sidecar's address, a static text or
 * the job's. Nothing is asked of it. E_NO_EVIDENCE if there is no such device. */
enum status attest_device(const struct job *job, const char **name, struct error *e);
/* The pair and evidence over it; no attestation service. OUT is empty but for ALSO. E_NO_EVIDENCE. */
enum status attest_evidence(const struct services *services, struct attested *out, struct error *e);
/* The token for this evidence, of the job's attestation service. E_NOT_ATTESTED, E_NETWORK. */
enum status attest_token(const struct services *services, struct attested *out, struct error *e);
/* The token's claims: the JSON as it is signed. Appends to OUT. E_NOT_ATTESTED. */
enum status attested_claims(const struct attested *attested, struct buf *out, struct error *e);
/* Both in one step. E_NO_EVIDENCE, E_NOT_ATTESTED, E_NETWORK. */
enum status attest(const struct services *services, struct attested *out, struct error *e);

/* ---- Keyring: the job's keys, each released at most once, when it is first asked for ---- */

struct keyring;

struct keyring_counters {
    uint64_t keys;
    int64_t attest_ms, release_ms; /* 0: did not happen */
};

/* The ids of JOB's keys, before anything is asked of anybody. E_USAGE. */
enum status keyring_check(const struct job *job, struct error *e);
/* Starts the attestation on a thread of its own, if any key is to be released with it. SHARDS: how
 * many of us start together (0, 1: only we): beyond ten, releases wait a random while. SERVICES must
 * outlive it. */
enum status keyring_open(const struct services *services, uint32_t shards, struct keyring **out,
                         struct error *e);
void keyring_close(struct keyring **keyring);
/* May a blob name this key? E_BAD_KEY if not. WHICH of the job's keys it means; may be NULL. */
enum status keyring_allows(const struct job *job, const char *kid, const struct config_key **which,
                           struct error *e);
/* The key that a blob names; E_BAD_KEY if the job does not allow it. Thread-safe; *OUT lives as
 * long as the keyring. */
enum status keyring_find(struct keyring *keyring, const char *kid, const struct kek **out,
                         struct error *e);
/* For one thread, after the others are done with the keyring. */
struct keyring_counters keyring_counters(const struct keyring *keyring);

#endif

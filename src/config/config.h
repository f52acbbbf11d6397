/*
 * config: a job's text → a validated `struct job`. Every refusal names the JSON path and what was
 * expected there.
 */
#ifndef DECANT_CONFIG_H
#define DECANT_CONFIG_H

#include "base/base.h"

enum config_evidence {
    CONFIG_EVIDENCE_AUTO,
    CONFIG_EVIDENCE_DEVICE,
    CONFIG_EVIDENCE_TSM,
    CONFIG_EVIDENCE_SIDECAR
};
enum config_identity {
    CONFIG_IDENTITY_AUTO,
    CONFIG_IDENTITY_MANAGED,
    CONFIG_IDENTITY_WORKLOAD,
    CONFIG_IDENTITY_CLIENT_SECRET,
    CONFIG_IDENTITY_TOKEN,
    CONFIG_IDENTITY_NONE
};
enum config_format {
    CONFIG_FORMAT_AUTO,
    CONFIG_FORMAT_CSE,
    CONFIG_FORMAT_CSE_V1,
    CONFIG_FORMAT_AES_GCM,
    CONFIG_FORMAT_PLAIN
};
enum config_require { CONFIG_REQUIRE_CONFIDENTIAL, CONFIG_REQUIRE_TMPFS, CONFIG_REQUIRE_ANY };

/* A secret that stands elsewhere: the name of a variable or of a file; both NULL: none. */
struct config_place {
    const char *env, *file;
};

struct config_key {
    const char *kid;
    const char **aliases;
    size_t n_aliases;
    bool from_sidecar;
    const char *file;
};

struct config_manifest {
    const char *from; /* NULL: none */
    uint8_t sha256[SHA256_SIZE];
};

struct config_input {
    const char *from, *to;
    bool is_prefix; /* FROM ends in '/' (before its query) */
    const char *match;
    struct config_place sas;
    enum config_format format;
    const char *key; /* kid, for formats without metadata (aes-gcm); NULL: the job's only key */
    bool gunzip;
    bool has_sha256, has_size;
    uint8_t sha256[SHA256_SIZE];
    uint64_t size;
    struct config_manifest manifest;
};

struct config_output {
    const char *from; /* a directory or a file, below the volume unless absolute */
    const char *to;
    bool is_prefix;         /* TO ends in '/' (before its query) */
    const char *key;        /* the key's id in a vault, or what the blobs call it */
    const char *key_file;   /* where its public half is, PEM or JWK; NULL: */
    const char *key_inline; /* PEM or JWK; NULL: ask the vault */
    struct config_place sas;
    bool overwrite, gzip, receipt;
    bool always; /* exec: also when the command failed */
    bool has_manifest;
    const char *manifest; /* name of a blob in TO's container; NULL: derived from TO */
};

/* Owns its texts (all `const char *` above point into it). */
struct job {
    struct {
        const char *provider, *sidecar, *certificates;
        enum config_evidence evidence;
    } attestation;
    struct {
        enum config_identity type;
        const char *client_id;
        struct config_place vault_token, storage_token;
    } identity;
    struct config_key *keys;
    size_t n_keys;
    struct config_input *inputs;
    size_t n_inputs;
    struct config_output *outputs;
    size_t n_outputs;
    struct {
        const char *path;
        enum config_require require;
        mode_t mode; /* 0440 unless given */
        uid_t uid;   /* (uid_t)-1 unless given */
        gid_t gid;
    } volume;
    struct {
        const char *ca_file, *proxy;
    } network;
    struct {
        uint64_t parallel, memory_mib;
        uint64_t timeout_s, max_plaintext_mib; /* 0: no limit */
        uint64_t shards;                       /* 0: not spread */
    } limits;
    uint8_t sha256[SHA256_SIZE]; /* of the text */
    const char *schema;          /* "$schema", for editors */
    struct cJSON *tree;
};

/* TEXT: at most 1 MiB of JSON. E_USAGE. OUT must be empty. */
enum status job_parse(struct span text, struct job *out, struct error *e);
void job_free(struct job *job);

/* Where the job is: PATH ("-" is standard input), or if NULL the variable DECANT_JOB (JSON or
 * base64 of it), or /etc/decant/job.json. SOURCE gets its name for messages (at least 256 bytes).
 */
enum status job_load(const char *path, char source[static 256], struct job *out, struct error *e);

/* The job of a single blob, or of all below a prefix: decant run --from URL --to DIR --attestation
 * URL --key KID. NULL: not given. E_USAGE names the flag. */
struct job_flags {
    const char *from, *to, *attestation, *key;
};
enum status job_from_flags(const struct job_flags *flags, struct job *out, struct error *e);

/* The job of decant attest --attestation URL, of decant key KID with it (KEY is that id), and of
 * decant attest --raw without anything: FROM and TO are not used. E_USAGE names the flag. */
enum status job_from_service_flags(const struct job_flags *flags, struct job *out, struct error *e);

/* The job of decant seal --from PATH --to URL --key KID …: its volume is the working directory. A
 * SAS in the variable AZURE_STORAGE_SAS_TOKEN, and access tokens in AZURE_STORAGE_TOKEN and
 * AZURE_VAULT_TOKEN, count where they are set. E_USAGE names the flag. */
struct seal_flags {
    const char *from, *to, *key;
    const char *key_file; /* NULL: ask the vault */
    bool overwrite, manifest, gzip;
};
enum status job_from_seal_flags(const struct seal_flags *flags, struct job *out, struct error *e);

#endif

/* The tables of the job's members (the JSON Schema in docs/job.schema.json says the same), and
 * where a job's text comes from. */
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { JOB_TEXT_MAX = 1 << 20 };

static const struct choice evidence_choices[] = {{"auto", CONFIG_EVIDENCE_AUTO},
                                                 {"device", CONFIG_EVIDENCE_DEVICE},
                                                 {"tsm", CONFIG_EVIDENCE_TSM},
                                                 {"sidecar", CONFIG_EVIDENCE_SIDECAR},
                                                 {NULL, 0}};
static const struct choice identity_choices[] = {{"auto", CONFIG_IDENTITY_AUTO},
                                                 {"managed", CONFIG_IDENTITY_MANAGED},
                                                 {"workload", CONFIG_IDENTITY_WORKLOAD},
                                                 {"client_secret", CONFIG_IDENTITY_CLIENT_SECRET},
                                                 {"token", CONFIG_IDENTITY_TOKEN},
                                                 {"none", CONFIG_IDENTITY_NONE},
                                                 {NULL, 0}};
static const struct choice format_choices[] = {
    {"auto", CONFIG_FORMAT_AUTO},     {"cse", CONFIG_FORMAT_CSE},
    {"cse-v1", CONFIG_FORMAT_CSE_V1}, {"aes-gcm", CONFIG_FORMAT_AES_GCM},
    {"plain", CONFIG_FORMAT_PLAIN},   {NULL, 0}};
static const struct choice require_choices[] = {{"confidential", CONFIG_REQUIRE_CONFIDENTIAL},
                                                {"tmpfs", CONFIG_REQUIRE_TMPFS},
                                                {"any", CONFIG_REQUIRE_ANY},
                                                {NULL, 0}};
static const struct choice source_choices[] = {{"vault", false}, {"sidecar", true}, {NULL, 0}};
static const struct choice when_choices[] = {{"success", false}, {"always", true}, {NULL, 0}};
static const struct choice compress_choices[] = {{"gzip", true}, {NULL, 0}};

static const struct range size_range = {0, 1ULL << 48}, parallel_range = {1, 256},
                          memory_range = {32, 1 << 20}, time_range = {0, 10 * 365 * 86400},
                          plaintext_range = {0, 1ULL << 40}, id_range = {0, UINT32_MAX - 1},
                          shards_range = {1, 100000};

#define FIELDS(members_, type)                                                                     \
    {                                                                                              \
        .members = (members_), .n = COUNT(members_), .size = sizeof(type)                          \
    }

static enum status read_flag(const struct cJSON *value, const struct member *member, void *at,
                             struct job_path *path, struct error *e)
{
    int chosen = 0;
    TRY(read_choice(value, member, &chosen, path, e));
    *(bool *)at = chosen != 0;
    return OK;
}

static enum status read_bool(const struct cJSON *value, const struct member *member, void *at,
                             struct job_path *path, struct error *e)
{
    (void)member;
    if (!cJSON_IsBool(value))
        return refuse(path, e, "expected true or false");
    *(bool *)at = cJSON_IsTrue(value);
    return OK;
}

/* JSON has no octal numbers: the mode is a string, as for chmod. */
static enum status read_mode(const struct cJSON *value, const struct member *member, void *at,
                             struct job_path *path, struct error *e)
{
    (void)member;
    const char *text = cJSON_GetStringValue(value);
    unsigned mode = 0;
    size_t n = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < n; i++)
        mode = text[i] >= '0' && text[i] <= '7' && n <= 4 ? mode * 8 + (unsigned)(text[i] - '0')
                                                          : 010000;
    if (n < 3 || mode > 0777)
        return refuse(path, e, "expected file permissions as an octal string such as \"0440\"");
    *(mode_t *)at = mode;
    return OK;
}

static enum status read_id(const struct cJSON *value, const struct member *member, void *at,
                           struct job_path *path, struct error *e)
{
    uint64_t id;
    TRY(read_number(value, member, &id, path, e));
    *(uint32_t *)at = (uint32_t)id;
    return OK;
}

/* For an optional value whose presence counts: a bool stands right before it in the struct's reader
 * below. */
static enum status read_input_size(const struct cJSON *value, const struct member *member, void *at,
                                   struct job_path *path, struct error *e)
{
    struct config_input *input = at;
    input->has_size = true;
    return read_number(value, member, &input->size, path, e);
}

static enum status read_input_digest(const struct cJSON *value, const struct member *member,
                                     void *at, struct job_path *path, struct error *e)
{
    struct config_input *input = at;
    input->has_sha256 = true;
    return read_digest(value, member, input->sha256, path, e);
}

static const struct member key_members[] = {
    MEMBER(struct config_key, kid, "kid", read_text, .required = true),
    MEMBER(struct config_key, aliases, "aliases", read_texts),
    MEMBER(struct config_key, from_sidecar, "source", read_flag, .more = source_choices),
    MEMBER(struct config_key, file, "file", read_text),
};
static const struct member manifest_members[] = {
    MEMBER(struct config_manifest, from, "from", read_url, .required = true),
    MEMBER(struct config_manifest, sha256, "sha256", read_digest, .required = true),
};
static const struct fields manifest_fields = FIELDS(manifest_members, struct config_manifest);
static const struct member input_members[] = {
    MEMBER(struct config_input, from, "from", read_url, .required = true),
    MEMBER(struct config_input, to, "to", read_text),
    MEMBER(struct config_input, match, "match", read_text),
    MEMBER(struct config_input, sas.env, "sas_env", read_text),
    MEMBER(struct config_input, sas.file, "sas_file", read_text),
    MEMBER(struct config_input, format, "format", read_choice, .more = format_choices),
    MEMBER(struct config_input, key, "key", read_text),
    MEMBER(struct config_input, gunzip, "decompress", read_flag, .more = compress_choices),
    {.name = "sha256", .read = read_input_digest},
    {.name = "size", .read = read_input_size, .more = &size_range},
    MEMBER(struct config_input, manifest, "manifest", read_object, .more = &manifest_fields),
};
/* A name, or true for the one that follows from the output's URL. */
static enum status read_manifest(const struct cJSON *value, const struct member *member, void *at,
                                 struct job_path *path, struct error *e)
{
    struct config_output *output = at;
    if (!cJSON_IsBool(value) && !cJSON_IsString(value))
        return refuse(path, e, "expected true, false or the name of a blob");
    output->has_manifest = !cJSON_IsFalse(value);
    return cJSON_IsString(value) ? read_text(value, member, &output->manifest, path, e) : OK;
}

static const struct member output_members[] = {
    MEMBER(struct config_output, from, "from", read_text, .required = true),
    MEMBER(struct config_output, to, "to", read_url, .required = true),
    MEMBER(struct config_output, key, "key", read_text, .required = true),
    MEMBER(struct config_output, key_file, "key_file", read_text),
    MEMBER(struct config_output, key_inline, "key_inline", read_text),
    MEMBER(struct config_output, overwrite, "overwrite", read_bool),
    MEMBER(struct config_output, gzip, "compress", read_flag, .more = compress_choices),
    {.name = "manifest", .read = read_manifest},
    MEMBER(struct config_output, receipt, "receipt", read_bool),
    MEMBER(struct config_output, always, "when", read_flag, .more = when_choices),
    MEMBER(struct config_output, sas.env, "sas_env", read_text),
    MEMBER(struct config_output, sas.file, "sas_file", read_text),
};
static const struct member attestation_members[] = {
    MEMBER(struct job, attestation.provider, "provider", read_url),
    MEMBER(struct job, attestation.evidence, "evidence", read_choice, .more = evidence_choices),
    MEMBER(struct job, attestation.sidecar, "sidecar", read_url),
    MEMBER(struct job, attestation.certificates, "certificates", read_any_url),
};
static const struct member identity_members[] = {
    MEMBER(struct job, identity.type, "type", read_choice, .more = identity_choices),
    MEMBER(struct job, identity.client_id, "client_id", read_text),
    MEMBER(struct job, identity.vault_token.env, "vault_token_env", read_text),
    MEMBER(struct job, identity.vault_token.file, "vault_token_file", read_text),
    MEMBER(struct job, identity.storage_token.env, "storage_token_env", read_text),
    MEMBER(struct job, identity.storage_token.file, "storage_token_file", read_text),
};
static const struct member volume_members[] = {
    MEMBER(struct job, volume.path, "path", read_text, .required = true),
    MEMBER(struct job, volume.require, "require", read_choice, .more = require_choices),
    MEMBER(struct job, volume.mode, "mode", read_mode),
    MEMBER(struct job, volume.uid, "uid", read_id, .more = &id_range),
    MEMBER(struct job, volume.gid, "gid", read_id, .more = &id_range),
};
static const struct member network_members[] = {
    MEMBER(struct job, network.ca_file, "ca_file", read_text),
    MEMBER(struct job, network.proxy, "proxy", read_any_url),
};
static const struct member limits_members[] = {
    MEMBER(struct job, limits.parallel, "parallel", read_number, .more = &parallel_range),
    MEMBER(struct job, limits.memory_mib, "memory_mib", read_number, .more = &memory_range),
    MEMBER(struct job, limits.timeout_s, "timeout_s", read_number, .more = &time_range),
    MEMBER(struct job, limits.max_plaintext_mib, "max_plaintext_mib", read_number,
           .more = &plaintext_range),
    MEMBER(struct job, limits.shards, "shards", read_number, .more = &shards_range),
};
static const struct fields attestation_fields = FIELDS(attestation_members, struct job),
                           identity_fields = FIELDS(identity_members, struct job),
                           volume_fields = FIELDS(volume_members, struct job),
                           network_fields = FIELDS(network_members, struct job),
                           limits_fields = FIELDS(limits_members, struct job),
                           key_fields = FIELDS(key_members, struct config_key),
                           input_fields = FIELDS(input_members, struct config_input),
                           output_fields = FIELDS(output_members, struct config_output);
static const struct member job_members[] = {
    {.name = "attestation", .read = read_object, .more = &attestation_fields},
    {.name = "identity", .read = read_object, .more = &identity_fields},
    MEMBER(struct job, keys, "keys", read_list, .more = &key_fields),
    MEMBER(struct job, inputs, "inputs", read_list, .more = &input_fields),
    MEMBER(struct job, outputs, "outputs", read_list, .more = &output_fields),
    {.name = "volume", .read = read_object, .more = &volume_fields, .required = true},
    {.name = "network", .read = read_object, .more = &network_fields},
    {.name = "limits", .read = read_object, .more = &limits_fields},
    {.name = "$schema", .read = read_text, .offset = offsetof(struct job, schema)},
};
static const struct fields job_fields = FIELDS(job_members, struct job);

static void set_defaults(struct job *job)
{
    job->volume.mode = 0440;
    job->volume.uid = (uid_t)-1;
    job->volume.gid = (gid_t)-1;
    job->limits.parallel = 16;
    job->limits.memory_mib = 64;
    job->limits.timeout_s = 3600;
}

static bool url_is_prefix(const char *url)
{
    size_t n = strcspn(url, "?");
    return n > 0 && url[n - 1] == '/';
}

enum status job_parse(struct span text, struct job *out, struct error *e)
{
    AUTO(job_free) struct job job = {0};
    struct job_path path = {0};
    if (text.size > JOB_TEXT_MAX)
        return fail(e, E_USAGE, "the job is larger than %d bytes", JOB_TEXT_MAX);
    set_defaults(&job);
    TRY(sha256(text, job.sha256, e));
    TRY(json_parse(text, E_USAGE, &job.tree, e));
    TRY(read_fields(job.tree, &job_fields, &job, &path, e));
    for (size_t i = 0; i < job.n_inputs; i++)
        job.inputs[i].is_prefix = url_is_prefix(job.inputs[i].from);
    for (size_t i = 0; i < job.n_outputs; i++)
        job.outputs[i].is_prefix = url_is_prefix(job.outputs[i].to);
    TRY(job_check(&job, e));
    *out = job;
    job = (struct job){0};
    return OK;
}

void job_free(struct job *job)
{
    for (size_t i = 0; i < job->n_keys; i++)
        memory_free(job->keys[i].aliases);
    memory_free(job->keys);
    memory_free(job->inputs);
    memory_free(job->outputs);
    json_free(&job->tree);
    *job = (struct job){0};
}

/* In the environment a job may stand as base64, where quoting JSON is a nuisance. */
static enum status parse_variable(const char *value, struct job *out, struct error *e)
{
    struct span text = span_trim(span_text(value));
    if (span_starts(text, "{"))
        return job_parse(text, out, e);
    AUTO(buf_free) struct buf letters = BUF(2 * JOB_TEXT_MAX), decoded = BUF(JOB_TEXT_MAX);
    for (size_t i = 0; i < text.size; i++) /* base64(1) breaks its lines */
        if (strchr(" \t\r\n", text.data[i]) == NULL)
            TRY(buf_add(&letters, span_of(text.data + i, 1), e));
    if (base64_decode(buf_span(&letters), BASE64, &decoded, E_USAGE, e) != OK)
        return wrap(e, "neither JSON nor base64 of JSON");
    return job_parse(buf_span(&decoded), out, e);
}

enum status job_load(const char *path, char source[static 256], struct job *out, struct error *e)
{
    const char *variable = getenv("DECANT_JOB");
    if (path == NULL && variable != NULL && variable[0] != '\0') {
        (void)snprintf(source, 256, "DECANT_JOB");
        return parse_variable(variable, out, e) == OK ? OK : wrap(e, "DECANT_JOB");
    }
    bool by_default = path == NULL;
    if (by_default)
        path = "/etc/decant/job.json";
    bool standard_input = strcmp(path, "-") == 0;
    (void)snprintf(source, 256, "%s", standard_input ? "standard input" : path);
    AUTO(buf_free) struct buf text = BUF(JOB_TEXT_MAX);
    if (file_read(standard_input ? "/dev/stdin" : path, JOB_TEXT_MAX, &text, E_USAGE, e) != OK) {
        if (by_default)
            advise(e, "Give the job with -c FILE, in the variable DECANT_JOB, or as "
                      "/etc/decant/job.json");
        return wrap(e, "the job cannot be read");
    }
    return job_parse(buf_span(&text), out, e) == OK ? OK : wrap(e, "%s", source);
}

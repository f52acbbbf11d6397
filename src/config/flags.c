/* The single-blob flags, written as a job, so that they pass the same checks. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

static enum status add_member(struct buf *text, const char *before, const char *value,
                              const char *after, struct error *e)
{
    TRY(buf_add(text, span_text(before), e));
    TRY(json_quote(span_text(value), text, e));
    return buf_add(text, span_text(after), e);
}

/* The user gave flags and knows no paths: puts the flag's name in the place of its member's. */
static enum status name_flag(struct error *e)
{
    static const struct {
        const char *path, *flag; /* which is never the longer one */
    } names[] = {{"attestation.provider", "--attestation"},
                 {"keys[0].kid", "--key"},
                 {"inputs[0].from", "--from"},
                 {"outputs[0].from", "--from"},
                 {"outputs[0].to", "--to"},
                 {"outputs[0].key_file", "--key-file"},
                 {"outputs[0].key", "--key"},
                 {"volume.path", "--to"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t n = strlen(names[i].path), shorter = strlen(names[i].flag);
        if (strncmp(e->text, names[i].path, n) != 0 || e->text[n] != ':')
            continue;
        memmove(e->text + shorter, e->text + n, strlen(e->text + n) + 1);
        memcpy(e->text, names[i].flag, shorter);
    }
    return e->status;
}

enum status job_from_flags(const struct job_flags *flags, struct job *out, struct error *e)
{
    if (flags->from == NULL || flags->to == NULL)
        return fail(e, E_USAGE, "--from and --to belong together");
    if (flags->attestation == NULL || flags->key == NULL)
        return fail(e, E_USAGE, "--from needs --attestation URL and --key KID");
    AUTO(buf_free) struct buf text = BUF(64 << 10);
    TRY(add_member(&text, "{\"attestation\":{\"provider\":", flags->attestation, "},", e));
    TRY(add_member(&text, "\"keys\":[{\"kid\":", flags->key, "}],", e));
    TRY(add_member(&text, "\"inputs\":[{\"from\":", flags->from, "}],", e));
    TRY(add_member(&text, "\"volume\":{\"path\":", flags->to, "}}", e));
    return job_parse(buf_span(&text), out, e) == OK ? OK : name_flag(e);
}

enum status job_from_service_flags(const struct job_flags *flags, struct job *out, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(64 << 10);
    TRY(buf_addf(&text, e, "{"));
    if (flags->attestation != NULL)
        TRY(add_member(&text, "\"attestation\":{\"provider\":", flags->attestation, "},", e));
    if (flags->key != NULL)
        TRY(add_member(&text, "\"keys\":[{\"kid\":", flags->key, "}],", e));
    TRY(buf_addf(&text, e, "\"volume\":{\"path\":\".\"}}"));
    return job_parse(buf_span(&text), out, e) == OK ? OK : name_flag(e);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

/* Ready-made tokens, as `az account get-access-token` gives them. */
static enum status add_tokens(struct buf *text, struct error *e)
{
    static const char storage[] = "AZURE_STORAGE_TOKEN", vault[] = "AZURE_VAULT_TOKEN";
    if (!is_set(storage) && !is_set(vault))
        return OK;
    TRY(buf_addf(text, e, "\"identity\":{\"type\":\"token\""));
    if (is_set(storage))
        TRY(buf_addf(text, e, ",\"storage_token_env\":\"%s\"", storage));
    if (is_set(vault))
        TRY(buf_addf(text, e, ",\"vault_token_env\":\"%s\"", vault));
    return buf_addf(text, e, "},");
}

static enum status add_output(const struct seal_flags *flags, struct buf *text, struct error *e)
{
    static const char sas[] = "AZURE_STORAGE_SAS_TOKEN";
    TRY(add_member(text, "\"outputs\":[{\"from\":", flags->from, ",", e));
    TRY(add_member(text, "\"to\":", flags->to, ",", e));
    TRY(add_member(text, "\"key\":", flags->key, "", e));
    if (flags->key_file != NULL)
        TRY(add_member(text, ",\"key_file\":", flags->key_file, "", e));
    if (flags->gzip)
        TRY(buf_addf(text, e, ",\"compress\":\"gzip\""));
    if (is_set(sas) && strstr(flags->to, "sig=") == NULL)
        TRY(buf_addf(text, e, ",\"sas_env\":\"%s\"", sas));
    return buf_addf(text, e, ",\"overwrite\":%s,\"manifest\":%s}]",
                    flags->overwrite ? "true" : "false", flags->manifest ? "true" : "false");
}

enum status job_from_seal_flags(const struct seal_flags *flags, struct job *out, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(64 << 10);
    if (flags->from == NULL || flags->to == NULL || flags->key == NULL)
        return fail(e, E_USAGE, "--from, --to and --key belong together");
    TRY(buf_addf(&text, e, "{"));
    TRY(add_tokens(&text, e));
    TRY(add_output(flags, &text, e));
    TRY(buf_addf(&text, e, ",\"volume\":{\"path\":\".\"}}"));
    return job_parse(buf_span(&text), out, e) == OK ? OK : name_flag(e);
}

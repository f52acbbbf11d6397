/* The single-blob flags, written as a job, so that they pass the same checks. */
#include "config/internal.h"

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

/* The single-blob flags, written as a job, so that they pass the same checks. */
#include "config/internal.h"

static enum status add_member(struct buf *text, const char *before, const char *value,
                              const char *after, struct error *e)
{
    TRY(buf_add(text, span_text(before), e));
    TRY(json_quote(span_text(value), text, e));
    return buf_add(text, span_text(after), e);
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
    return job_parse(buf_span(&text), out, e);
}

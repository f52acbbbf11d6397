/*
 * A receipt: what was made of what, and the hardware's word that this program, in this container,
 * says so. docs/formats.md has it member by member.
 *
 * The body is hashed as text, and the hash is a member of the runtime data that the report and the
 * attestation service's token are made over. So whoever checks a receipt needs no canonical JSON,
 * and a body cannot be exchanged for another.
 */
#include "seal/internal.h"

#include <inttypes.h>
#include <string.h>

enum { RECEIPT_MAX = 1 << 20 };

static enum status add_hex(struct buf *out, const char *name, const uint8_t digest[SHA256_SIZE],
                           struct error *e)
{
    TRY(buf_addf(out, e, ",\"%s\":\"", name));
    TRY(hex_encode(span_of(digest, SHA256_SIZE), out, e));
    return buf_addf(out, e, "\"");
}

static enum status add_quoted(struct buf *out, const char *before, struct span text,
                              struct error *e)
{
    TRY(buf_add(out, span_text(before), e));
    return json_quote(text, out, e);
}

static enum status add_base64(struct buf *out, const char *name, struct span bytes,
                              struct error *e)
{
    TRY(buf_addf(out, e, ",\"%s\":\"", name));
    TRY(base64_encode(bytes, BASE64, out, e));
    return buf_addf(out, e, "\"");
}

/* ---- The body ---- */

static enum status add_made(struct buf *out, struct error *e)
{
    char text[32];
    struct tm parts;
    time_t now = (time_t)clock_unix_s();
    if (gmtime_r(&now, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return fail(e, E_BUG, "the clock says %lld", (long long)now);
    return buf_addf(out, e, ",\"made\":\"%s\"", text);
}

/* The query may be a SAS. */
static struct span without_query(const char *url)
{
    return span_of(url, strcspn(url, "?"));
}

static enum status add_inputs(const struct job *job, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, ",\"inputs\":["));
    for (size_t i = 0; i < job->n_inputs; i++) {
        const struct config_input *input = &job->inputs[i];
        TRY(add_quoted(out, i > 0 ? ",{\"from\":" : "{\"from\":", without_query(input->from), e));
        if (input->manifest.from != NULL)
            TRY(add_hex(out, "manifest_sha256", input->manifest.sha256, e));
        TRY(buf_addf(out, e, "}"));
    }
    return buf_addf(out, e, "]");
}

static enum status add_output(const struct output *output, struct buf *out, struct error *e)
{
    AUTO(buf_free) struct buf manifest = BUF(16384);
    TRY(output_url(output, output->manifest, &manifest, e));
    TRY(add_quoted(out, ",\"output\":{\"to\":", without_query(output->config->to), e));
    TRY(add_quoted(out, ",\"manifest\":", buf_span(&manifest), e));
    TRY(add_hex(out, "manifest_sha256", output->manifest_sha256, e));
    return buf_addf(out, e, ",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", output->files,
                    output->plain_bytes);
}

static enum status write_body(const struct seal *seal, const struct output *output,
                              struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, "{\"version\":1,\"decant\":\"%s\"", DECANT_VERSION));
    TRY(add_made(out, e));
    TRY(add_hex(out, "job_sha256", seal->job->sha256, e));
    TRY(add_inputs(seal->job, out, e));
    TRY(add_output(output, out, e));
    return buf_addf(out, e, "}");
}

/* ---- Around it ---- */

static enum status attest_body(const struct seal *seal, struct span body, struct attested *out,
                               struct error *e)
{
    uint8_t digest[SHA256_SIZE];
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE), also = BUF(128);
    TRY(sha256(body, digest, e));
    TRY(hex_encode(span_of(digest, sizeof(digest)), &hex, e));
    TRY(buf_addf(&also, e, "\"receipt_sha256\":\"%s\"", buf_text(&hex)));
    out->also = buf_text(&also);
    enum status status = attest(&seal->services, out, e);
    out->also = NULL;
    return status;
}

static enum status write_receipt(struct span body, const struct attested *attested, struct buf *out,
                                 struct error *e)
{
    const struct evidence *evidence = &attested->evidence;
    TRY(add_quoted(out, "{\"decant_receipt\":1,\"body\":", body, e));
    TRY(add_quoted(out, ",\"evidence\":{\"runtime_data\":", buf_span(&attested->offer.runtime_data),
                   e));
    TRY(add_base64(out, "report", buf_span(&evidence->report), e));
    TRY(add_quoted(out, ",\"certificates\":", buf_span(&evidence->certificates), e));
    if (evidence->uvm_endorsements.size > 0)
        TRY(add_base64(out, "uvm_endorsements", buf_span(&evidence->uvm_endorsements), e));
    TRY(add_quoted(out, ",\"token\":", secret_view(&attested->token), e));
    return buf_addf(out, e, "}}\n");
}

static enum status make_and_stage(struct seal *seal, struct output *output, struct error *e)
{
    AUTO(buf_free) struct buf body = BUF(RECEIPT_MAX), text = BUF(RECEIPT_MAX);
    AUTO(attested_free) struct attested attested = {0};
    TRY(write_body(seal, output, &body, e));
    TRY(attest_body(seal, buf_span(&body), &attested, e));
    TRY(write_receipt(buf_span(&body), &attested, &text, e));
    return stage_plain(seal, output, output->receipt, buf_span(&text), e);
}

enum status receipt_check(const struct seal *seal, const struct output *output, struct error *e)
{
    const char *device;
    if (output->receipt == NULL || attest_device(seal->job, &device, e) == OK)
        return OK;
    return wrap(e, "outputs[%zu]: receipt", output->index);
}

enum status receipt_stage(struct seal *seal, struct output *output, struct error *e)
{
    if (make_and_stage(seal, output, e) != OK)
        return wrap(e, "outputs[%zu]: receipt", output->index);
    return OK;
}

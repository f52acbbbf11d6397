/*
 * A receipt (docs/formats.md): which program, on which hardware, made which outputs from which
 * inputs. It comes from wherever the outputs come from, so each step of the way from the body to
 * AMD's root is held: body → receipt_sha256 → runtime data → report data → report → VCEK → root.
 *
 * The token repeats it for those who trust the attestation service; nothing here rests on it.
 */
#include "inspect/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

struct receipt {
    const char *body, *runtime_data, *certificates, *token; /* borrow from the receipt's tree */
    struct cJSON *body_json, *runtime_json;
    struct buf report, endorsements;
    struct snp_report parsed;
};

static void receipt_free(struct receipt *r)
{
    json_free(&r->body_json);
    json_free(&r->runtime_json);
    buf_free(&r->report);
    buf_free(&r->endorsements);
}

static enum status no_receipt(const char *what, struct error *e)
{
    return fail(e, E_NOT_AUTHENTIC, "the receipt has no %s, or one that cannot be read", what);
}

static enum status read_base64(const struct cJSON *evidence, const char *name, struct buf *out,
                               struct error *e)
{
    const char *text = json_text(evidence, name);
    if (text == NULL || base64_decode(span_text(text), BASE64, out, E_NOT_AUTHENTIC, e) != OK)
        return no_receipt(name, e);
    return OK;
}

static enum status read_strings(const struct cJSON *tree, struct receipt *out, struct error *e)
{
    const struct cJSON *evidence = json_object(tree, "evidence");
    const struct {
        const struct cJSON *in;
        const char *name, **place;
    } texts[] = {{tree, "body", &out->body},
                 {evidence, "runtime_data", &out->runtime_data},
                 {evidence, "certificates", &out->certificates},
                 {evidence, "token", &out->token}};
    uint64_t version = 0;
    if (!json_number(tree, "decant_receipt", &version) || version != 1)
        return fail(e, E_NOT_AUTHENTIC, "the receipt is not of version 1");
    for (size_t i = 0; i < COUNT(texts); i++) {
        *texts[i].place = json_text(texts[i].in, texts[i].name);
        if (*texts[i].place == NULL)
            return no_receipt(texts[i].name, e);
    }
    return OK;
}

static enum status read_receipt(const struct cJSON *tree, struct receipt *out, struct error *e)
{
    const struct cJSON *evidence = json_object(tree, "evidence");
    out->report = BUF(SNP_REPORT_SIZE);
    out->endorsements = BUF(TEXT_MAX);
    TRY(read_strings(tree, out, e));
    if (json_parse(span_text(out->body), E_NOT_AUTHENTIC, &out->body_json, e) != OK)
        return no_receipt("body", e);
    if (json_parse(span_text(out->runtime_data), E_NOT_AUTHENTIC, &out->runtime_json, e) != OK)
        return no_receipt("runtime_data", e);
    TRY(read_base64(evidence, "report", &out->report, e));
    if (json_member(evidence, "uvm_endorsements") != NULL)
        TRY(read_base64(evidence, "uvm_endorsements", &out->endorsements, e));
    return snp_report_parse(buf_span(&out->report), &out->parsed, e);
}

/* ---- The body ---- */

static enum status note_inputs(struct subject *s, const struct cJSON *inputs, struct error *e)
{
    const struct cJSON *input = NULL;
    cJSON_ArrayForEach(input, inputs)
    {
        const char *from = json_text(input, "from"), *pin = json_text(input, "manifest_sha256");
        if (from == NULL)
            return no_receipt("from at an input", e);
        TRY(finding_note(s->findings, "input", e, "%s, %s%s", from,
                         pin != NULL ? "manifest " : "not pinned", pin != NULL ? pin : ""));
    }
    return OK;
}

static enum status note_output(struct subject *s, const struct cJSON *output, struct error *e)
{
    uint64_t files = 0, bytes = 0;
    const char *to = json_text(output, "to"), *manifest = json_text(output, "manifest");
    const char *digest = json_text(output, "manifest_sha256");
    if (to == NULL || manifest == NULL || digest == NULL || !json_number(output, "files", &files) ||
        !json_number(output, "bytes", &bytes))
        return no_receipt("output", e);
    TRY(finding_note(s->findings, "output", e, "%s, %" PRIu64 " files, %" PRIu64 " bytes", to,
                     files, bytes));
    return finding_note(s->findings, "output's manifest", e, "%s, sha256 %s", manifest, digest);
}

static enum status note_body(struct subject *s, const struct cJSON *body, struct error *e)
{
    static const char *const names[] = {"decant", "made", "job_sha256"};
    uint64_t version = 0;
    if (!json_number(body, "version", &version) || version != 1)
        return fail(e, E_NOT_AUTHENTIC, "the receipt's body is not of version 1");
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *text = json_text(body, names[i]);
        if (text == NULL)
            return no_receipt(names[i], e);
        TRY(finding_note(s->findings, names[i], e, "%s", text));
    }
    if (json_array(body, "inputs") == NULL)
        return no_receipt("inputs", e);
    TRY(note_inputs(s, json_array(body, "inputs"), e));
    return note_output(s, json_object(body, "output"), e);
}

/* ---- What the user has: the digests in the body must be theirs ---- */

static enum status file_digest(const char *path, struct buf *hex, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(0);
    uint8_t digest[SHA256_SIZE] = {0};
    TRY(file_read(path, THING_MAX, &text, E_USAGE, e));
    TRY(sha256(buf_span(&text), digest, e));
    return hex_encode(span_of(digest, sizeof digest), hex, e);
}

static bool names_digest(const struct cJSON *object, const char *digest)
{
    const char *text = json_text(object, "manifest_sha256");
    return text != NULL && strcmp(text, digest) == 0;
}

static enum status check_manifest(struct subject *s, const struct receipt *r, const char *path,
                                  struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE + 1);
    const struct cJSON *input = NULL;
    struct error why = {0};
    bool of_output = false, of_input = false;
    TRY(file_digest(path, &hex, e));
    of_output = names_digest(json_object(r->body_json, "output"), buf_text(&hex));
    cJSON_ArrayForEach(input, json_array(r->body_json, "inputs")) of_input =
        of_input || names_digest(input, buf_text(&hex));
    enum status status = OK;
    if (!of_output && !of_input)
        status = fail(&why, E_MISMATCH, "%s has the sha256 %s, which the receipt does not name",
                      path, buf_text(&hex));
    return finding_check(s->findings, "manifest", status, &why, e, "%s is %s%s%s", path,
                         of_output ? "the output's" : "", of_output && of_input ? " and " : "",
                         of_input ? "an input's" : "");
}

static enum status check_job(struct subject *s, const struct receipt *r, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE + 1);
    const char *wanted = json_text(r->body_json, "job_sha256");
    struct error why = {0};
    if (s->options->job == NULL)
        return OK;
    TRY(file_digest(s->options->job, &hex, e));
    enum status status = OK;
    if (wanted == NULL || !span_is(buf_span(&hex), wanted))
        status = fail(&why, E_MISMATCH, "%s has the sha256 %s, the receipt's job another",
                      s->options->job, buf_text(&hex));
    return finding_check(s->findings, "job", status, &why, e, "%s is the receipt's",
                         s->options->job);
}

/* ---- From the body to the report ---- */

static enum status check_body(struct subject *s, const struct receipt *r, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(2 * SHA256_SIZE + 1);
    uint8_t digest[SHA256_SIZE] = {0};
    const char *named = json_text(r->runtime_json, "receipt_sha256");
    struct error why = {0};
    enum status status = OK;
    TRY(sha256(span_text(r->body), digest, e));
    TRY(hex_encode(span_of(digest, sizeof digest), &hex, e));
    if (named == NULL || !span_is(buf_span(&hex), named))
        status = fail(&why, E_MISMATCH, "the runtime data are about another body than this");
    return finding_check(s->findings, "body", status, &why, e,
                         "its sha256 is in the runtime data: %s", buf_text(&hex));
}

static enum status check_runtime_data(struct subject *s, const struct receipt *r, struct error *e)
{
    uint8_t wanted[64] = {0};
    struct error why = {0};
    enum status status = OK;
    TRY(sha256(span_text(r->runtime_data), wanted, e));
    if (memcmp(wanted, r->parsed.report_data, sizeof wanted) != 0)
        status = fail(&why, E_MISMATCH, "the report is about other runtime data than these");
    return finding_check(s->findings, "runtime data", status, &why, e,
                         "their sha256 is the report's data");
}

static enum status check_debug(struct subject *s, const struct receipt *r, struct error *e)
{
    struct error why = {0};
    enum status status = OK;
    if (r->parsed.debug_allowed)
        status = fail(&why, E_NO_EVIDENCE,
                      "the host could read and change this guest: its policy allows debugging");
    return finding_check(s->findings, "debugging", status, &why, e, "not allowed");
}

/* ---- The token ---- */

static bool claim_is(const struct cJSON *claims, const char *name, struct span bytes)
{
    AUTO(buf_free) struct buf hex = BUF(256);
    struct error ignored = {0};
    const char *text = json_text(claims, name);
    return text != NULL && hex_encode(bytes, &hex, &ignored) == OK &&
           strcasecmp(text, buf_text(&hex)) == 0;
}

static enum status token_agrees(const struct receipt *r, const struct cJSON *claims,
                                struct error *e)
{
    const struct snp_report *p = &r->parsed;
    const struct {
        const char *claim;
        struct span bytes;
    } parts[] = {
        {"x-ms-sevsnpvm-reportdata", span_of(p->report_data, sizeof p->report_data)},
        {"x-ms-sevsnpvm-hostdata", span_of(p->host_data, sizeof p->host_data)},
        {"x-ms-sevsnpvm-launchmeasurement", span_of(p->measurement, sizeof p->measurement)}};
    if (!cJSON_Compare(json_object(claims, "x-ms-runtime"), r->runtime_json, true))
        return fail(e, E_MISMATCH, "its x-ms-runtime is not the receipt's runtime data");
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!claim_is(claims, parts[i].claim, parts[i].bytes))
            return fail(e, E_MISMATCH, "its %s is not what the report says", parts[i].claim);
    return OK;
}

static enum status check_token(struct subject *s, const struct receipt *r, struct error *e)
{
    AUTO(json_free) struct cJSON *claims = NULL;
    struct error why = {0};
    enum status status = token_claims(span_text(r->token), &claims, &why);
    if (status != OK)
        why.status = E_NOT_AUTHENTIC;
    else
        status = token_agrees(r, claims, &why);
    TRY(finding_check(s->findings, "token", status, &why, e,
                      "about the same runtime data and report"));
    return claims != NULL ? verify_token(s, span_text(r->token), true, e) : OK;
}

static enum status check_endorsement(struct subject *s, const struct receipt *r, struct error *e)
{
    struct error why = {0};
    if (r->endorsements.size == 0 && s->options->amd_root != NULL)
        return finding_skip(s->findings, "endorsement", e, "none, as in a test");
    if (r->endorsements.size == 0) /* the host data mean what the utility VM makes of them */
        return unverified(s, "endorsement", E_NO_EVIDENCE, e,
                          "the receipt has none: whose utility VM it was, is not known");
    if (endorsement_findings(s, buf_span(&r->endorsements),
                             span_of(r->parsed.measurement, sizeof r->parsed.measurement),
                             &why) == OK)
        return OK;
    return finding_fail(s->findings, "endorsement", &why, e);
}

static enum status verify_evidence(struct subject *s, const struct receipt *r, struct error *e)
{
    TRY(check_body(s, r, e));
    TRY(check_runtime_data(s, r, e));
    TRY(verify_report(s, buf_span(&r->report), span_text(r->certificates), e));
    TRY(report_findings(s, &r->parsed, e));
    TRY(check_debug(s, r, e));
    if (!s->expects_host_data)
        TRY(finding_skip(s->findings, "which container", e,
                         "not judged: that needs the container policy that you trust "
                         "(--cce-policy FILE or --host-data HEX)"));
    TRY(check_endorsement(s, r, e));
    return check_token(s, r, e);
}

enum status explain_receipt(struct subject *s, const struct content *c, struct error *e)
{
    AUTO(receipt_free) struct receipt receipt = {0};
    TRY(read_receipt(c->json, &receipt, e));
    TRY(note_body(s, receipt.body_json, e));
    for (size_t i = 0; i < s->options->n_manifests; i++)
        TRY(check_manifest(s, &receipt, s->options->manifests[i], e));
    TRY(check_job(s, &receipt, e));
    return verify_evidence(s, &receipt, e);
}

/*
 * What is it? A file tells by its content: its size, its first bytes, the members of its JSON. What
 * is base64 or hexadecimal is looked into.
 */
#include "inspect/internal.h"

#include <string.h>
#include <sys/stat.h>

#include "policy/policy.h"

static bool has_member(const struct content *c, const char *name)
{
    return json_member(c->json, name) != NULL;
}

/* {"NAME": "header.payload.signature"} or the text alone. */
static struct span jws_of(const struct content *c, const char *name)
{
    struct span text = span_trim(c->json != NULL ? span_text(json_text(c->json, name)) : c->bytes);
    return looks_like_jws(text) ? text : (struct span){0};
}

static bool payload_has(struct span jws, const char *member)
{
    AUTO(json_free) struct cJSON *claims = NULL;
    struct error ignored = {0};
    return jws.size > 0 && token_claims(jws, &claims, &ignored) == OK &&
           json_member(claims, member) != NULL;
}

static bool is_report(const struct content *c)
{
    return c->bytes.size == SNP_REPORT_SIZE;
}

static bool is_thim(const struct content *c)
{
    return has_member(c, "vcekCert");
}

static bool is_certificates(const struct content *c)
{
    return span_starts(span_trim(c->bytes), "-----BEGIN CERTIFICATE-----");
}

/* CBOR: tag 18 (COSE_Sign1) or none, and a list of four. */
static bool is_endorsement(const struct content *c)
{
    return c->bytes.size > 2 && (c->bytes.data[0] == 0x84 ||
                                 (c->bytes.data[0] == 0xd2 && c->bytes.data[1] == 0x84));
}

static bool is_release(const struct content *c)
{
    return payload_has(jws_of(c, "value"), "response");
}

static bool is_token(const struct content *c)
{
    return payload_has(jws_of(c, "token"), "iss");
}

static bool is_metadata(const struct content *c)
{
    return has_member(c, "WrappedContentKey");
}

static bool is_receipt(const struct content *c)
{
    return has_member(c, "decant_receipt");
}

static bool is_manifest(const struct content *c)
{
    return json_array(c->json, "files") != NULL;
}

static const struct kind {
    const char *name;
    bool (*fits)(const struct content *c);
    enum status (*explain)(struct subject *s, const struct content *c, struct error *e);
} kinds[] = {
    {"report", is_report, explain_report},       {"thim", is_thim, explain_thim},
    {"certificates", is_certificates, explain_certificates},
    {"receipt", is_receipt, explain_receipt},    {"metadata", is_metadata, explain_metadata},
    {"manifest", is_manifest, explain_manifest}, {"release", is_release, explain_release},
    {"token", is_token, explain_token},          {"endorsement", is_endorsement, explain_endorsement},
};

/* Not told by what is in them. */
static const char kind_blob[] = "blob", kind_directory[] = "security-context";

enum status inspect_kinds(struct buf *out, struct error *e)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        TRY(buf_addf(out, e, "%s, ", kinds[i].name));
    return buf_addf(out, e, "%s, %s", kind_blob, kind_directory);
}

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; name != NULL && i < COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static const struct kind *kind_of(const struct content *c)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].fits(c))
            return &kinds[i];
    return NULL;
}

/* Base64 or hexadecimal of something; OUT stays empty if it is neither. */
static enum status peel(struct span text, struct buf *out, struct error *e)
{
    struct error ignored = {0};
    if (text.size == 0 || text.size > THING_MAX)
        return OK;
    if (text.size == (size_t)2 * SNP_REPORT_SIZE && hex_decode(text, out, E_USAGE, &ignored) == OK)
        return OK;
    buf_clear(out);
    if (base64_decode(text, BASE64, out, E_USAGE, &ignored) != OK)
        buf_clear(out);
    return memory_ran_out() ? fail(e, E_SPACE, "no memory for what is inspected") : OK;
}

static void read_json(struct content *c)
{
    struct error ignored = {0};
    struct span text = span_trim(c->bytes);
    json_free(&c->json);
    if (text.size > 0 && text.data[0] == '{')
        (void)!json_parse(text, E_USAGE, &c->json, &ignored);
}

static void content_free(struct content *c)
{
    json_free(&c->json);
}

/* WANTED: what the user says that it is. */
static enum status explain_content(struct subject *s, struct span bytes, const struct kind *wanted,
                                   const char **name, struct error *e)
{
    AUTO(buf_free) struct buf inner = BUF(THING_MAX);
    AUTO(content_free) struct content c = {.bytes = bytes};
    read_json(&c);
    const struct kind *kind = kind_of(&c);
    if (kind == NULL && c.json == NULL) {
        TRY(peel(span_trim(bytes), &inner, e));
        struct content peeled = {.bytes = buf_span(&inner)};
        read_json(&peeled);
        kind = kind_of(&peeled);
        if (kind != NULL)
            c = peeled;
        else
            json_free(&peeled.json);
    }
    kind = wanted != NULL ? wanted : kind;
    if (kind == NULL) {
        (void)fail(e, E_USAGE, "it is nothing that is known here");
        advise(e, "say what it is (--as KIND); a blob needs its metadata beside it (--metadata FILE)");
        return E_USAGE;
    }
    *name = kind->name;
    return kind->explain(s, &c, e);
}

static enum status expect(struct subject *s, struct error *e)
{
    const struct inspect_options *options = s->options;
    AUTO(buf_free) struct buf text = BUF(0);
    s->expects_host_data = options->policy != NULL || options->host_data != NULL;
    if (options->host_data != NULL)
        return policy_host_data_hex(span_text(options->host_data), s->expected, e);
    if (options->policy == NULL)
        return OK;
    TRY(file_read(options->policy, POLICY_CCE_MAX, &text, E_USAGE, e));
    return policy_host_data(buf_span(&text), s->expected, e);
}

static bool is_kind(const struct inspect_options *options, const char *kind)
{
    return options->as != NULL && strcmp(options->as, kind) == 0;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_blob(const struct inspect_options *options)
{
    char path[4096];
    return is_kind(options, kind_blob) ||
           (options->as == NULL && blob_metadata_path(options, path, sizeof path));
}

static enum status check_kind(const char *as, struct error *e)
{
    AUTO(buf_free) struct buf names = BUF(512);
    if (as == NULL || kind_named(as) != NULL || strcmp(as, kind_blob) == 0 ||
        strcmp(as, kind_directory) == 0)
        return OK;
    TRY(inspect_kinds(&names, e));
    return fail(e, E_USAGE, "--as cannot be \"%s\": it is one of %s", as, buf_text(&names));
}

static enum status explain(struct subject *s, const char **name, struct error *e)
{
    const struct inspect_options *options = s->options;
    AUTO(buf_free) struct buf bytes = BUF(0);
    TRY(check_kind(options->as, e));
    TRY(expect(s, e));
    if (is_kind(options, kind_directory) || is_directory(options->path)) {
        *name = kind_directory;
        return explain_directory(s, options->path, e);
    }
    if (is_blob(options)) {
        *name = kind_blob;
        return explain_blob(s, options->path, e);
    }
    const char *path = strcmp(options->path, "-") == 0 ? "/dev/stdin" : options->path;
    TRY(file_read(path, THING_MAX, &bytes, E_USAGE, e));
    return explain_content(s, buf_span(&bytes), kind_named(options->as), name, e);
}

void inspection_free(struct inspection *inspection)
{
    findings_free(&inspection->findings);
    inspection->kind = NULL;
}

enum status inspect(const struct inspect_options *options, struct inspection *out, struct error *e)
{
    AUTO(findings_free) struct findings findings = {0};
    struct subject s = {.options = options, .findings = &findings};
    const char *name = NULL;
    if (explain(&s, &name, e) != OK)
        return wrap(e, "%s", options->path);
    out->kind = name;
    out->findings = findings;
    findings = (struct findings){0};
    return OK;
}

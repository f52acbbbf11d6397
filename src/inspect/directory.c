/* The security context directory that confidential ACI shows to each container: three files, each of
 * them optional, all of them written by the host. */
#include "inspect/internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy.h"

static enum status explain_policy(struct subject *s, struct span text, struct error *e)
{
    uint8_t digest[SHA256_SIZE] = {0};
    if (policy_host_data(text, digest, e) != OK)
        return e->status = E_NO_EVIDENCE; /* the host wrote it, not the user */
    TRY(finding_note(s->findings, "container policy", e, "%zu letters; its digest:", text.size));
    return check_host_data(s, span_of(digest, sizeof digest), e);
}

static enum status decode(struct span text, struct buf *out, struct error *e)
{
    return base64_decode(text, BASE64, out, E_NO_EVIDENCE, e);
}

static enum status explain_reference(struct subject *s, struct span text, struct error *e)
{
    AUTO(buf_free) struct buf cose = BUF(THING_MAX);
    TRY(decode(text, &cose, e));
    return endorsement_findings(s, buf_span(&cose), (struct span){0}, e);
}

static enum status explain_host_certificates(struct subject *s, struct span text, struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(THING_MAX);
    AUTO(json_free) struct cJSON *json = NULL;
    TRY(decode(text, &bytes, e));
    TRY(json_parse(buf_span(&bytes), E_NO_EVIDENCE, &json, e));
    const struct content content = {.bytes = buf_span(&bytes), .json = json};
    return explain_thim(s, &content, e);
}

static const struct part {
    const char *file;
    enum status (*explain)(struct subject *s, struct span text, struct error *e);
} parts[] = {{"security-policy-base64", explain_policy},
             {"reference-info-base64", explain_reference},
             {"host-amd-cert-base64", explain_host_certificates}};

/* A file that is broken does not keep the others from being looked at. */
static enum status explain_part(struct subject *s, const struct part *part, const char *path,
                                struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(0);
    struct error why = {0};
    enum status status = file_read(path, THING_MAX, &text, E_NO_EVIDENCE, &why);
    if (status == OK)
        status = part->explain(s, span_trim(buf_span(&text)), &why);
    return status == OK ? OK : finding_fail(s->findings, part->file, &why, e);
}

enum status explain_directory(struct subject *s, const char *path, struct error *e)
{
    size_t found = 0;
    for (size_t i = 0; i < COUNT(parts); i++) {
        char file[PATH_MAX];
        int n = snprintf(file, sizeof file, "%s/%s", path, parts[i].file);
        if (n < 0 || (size_t)n >= sizeof file)
            return fail(e, E_USAGE, "the path is too long");
        if (access(file, F_OK) != 0) {
            TRY(finding_skip(s->findings, parts[i].file, e, "not there"));
            continue;
        }
        found++;
        TRY(explain_part(s, &parts[i], file, e));
    }
    if (found == 0)
        return fail(e, E_USAGE, "no security context directory: none of its files is there");
    return OK;
}

/*
 * What confidential ACI and Kata put beside a container: a directory with the host's certificates
 * and the endorsement of the utility VM, as base64. Older hosts give the same in environment
 * variables.
 *
 * The host writes all of it. Each file may be missing. The certificates prove themselves against
 * the report; the endorsement is for the attestation service to judge.
 */
#include "evidence/internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_VARIABLE "UVM_SECURITY_CONTEXT_DIR"
#define DIRECTORY_PREFIX   "security-context-"
#define DIRECTORY_KATA     "/opt/confidential-containers/share/kata-containers"

static const struct item {
    const char *file, *variable;
} uvm_item = {"reference-info-base64", "UVM_REFERENCE_INFO"},
  certificate_item = {"host-amd-cert-base64", "UVM_HOST_AMD_CERTIFICATE"},
  policy_item = {"security-policy-base64", "UVM_SECURITY_POLICY"};

static void directory_close(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
    *directory = NULL;
}

static bool is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* The first by name, so that two runs agree. */
static bool find_in_root(char out[static PATH_MAX])
{
    AUTO(directory_close) DIR *root = opendir("/");
    bool found = false;
    for (struct dirent *d = NULL; root != NULL && (d = readdir(root)) != NULL;) {
        char path[PATH_MAX] = "";
        if (strncmp(d->d_name, DIRECTORY_PREFIX, strlen(DIRECTORY_PREFIX)) != 0)
            continue;
        (void)snprintf(path, sizeof path, "/%s", d->d_name);
        if (is_directory(path) && (!found || strcmp(path, out) < 0)) {
            memcpy(out, path, sizeof path);
            found = true;
        }
    }
    return found;
}

static enum status find_directory(char out[static PATH_MAX], struct error *e)
{
    const char *given = getenv(DIRECTORY_VARIABLE);
    if ((given == NULL || given[0] == '\0') && find_in_root(out))
        return OK;
    if (given == NULL || given[0] == '\0')
        given = DIRECTORY_KATA;
    int length = snprintf(out, PATH_MAX, "%s", given);
    if (length < 0 || length >= PATH_MAX)
        return fail(e, E_NO_EVIDENCE, "%s is too long", DIRECTORY_VARIABLE);
    return OK;
}

/* The decoded item; OUT stays empty if there is neither file nor variable. WHERE says what was
 * read. */
static enum status item_read(const struct item *item, size_t max, struct buf *out,
                             char where[static PATH_MAX], struct error *e)
{
    char directory[PATH_MAX] = "";
    AUTO(buf_free) struct buf text = BUF(max);
    TRY(find_directory(directory, e));
    int length = snprintf(where, PATH_MAX, "%s/%s", directory, item->file);
    const char *variable = getenv(item->variable);
    if (length > 0 && length < PATH_MAX && access(where, F_OK) == 0) {
        TRY(file_read(where, max, &text, E_NO_EVIDENCE, e));
    } else if (variable != NULL) {
        (void)snprintf(where, PATH_MAX, "%s", item->variable);
        TRY(buf_add(&text, span_text(variable), e));
    }
    struct span trimmed = span_trim(buf_span(&text));
    if (trimmed.size == 0)
        return OK;
    if (base64_decode(trimmed, BASE64, out, E_NO_EVIDENCE, e) != OK)
        return wrap(e, "%s", where);
    return OK;
}

enum status platform_uvm_endorsements(struct buf *out, struct error *e)
{
    char where[PATH_MAX] = "";
    return item_read(&uvm_item, UVM_MAX, out, where, e);
}

enum status platform_container_policy(struct buf *out, struct error *e)
{
    char where[PATH_MAX] = "";
    return item_read(&policy_item, POLICY_MAX, out, where, e);
}

enum status thim_parse(struct span json, struct buf *pem, struct error *e)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    TRY(json_parse(json, E_NO_EVIDENCE, &tree, e));
    const char *vcek = json_text(tree, "vcekCert"), *rest = json_text(tree, "certificateChain");
    if (vcek == NULL || rest == NULL)
        return fail(e, E_NO_EVIDENCE, "no vcekCert and certificateChain in the answer");
    TRY(buf_add(pem, span_text(vcek), e));
    TRY(buf_add(pem, SPAN_LITERAL("\n"), e));
    return buf_add(pem, span_text(rest), e);
}

enum status platform_certificates(struct buf *pem, struct error *e)
{
    char where[PATH_MAX] = "";
    AUTO(buf_free) struct buf json = BUF(THIM_MAX);
    TRY(item_read(&certificate_item, THIM_MAX, &json, where, e));
    if (json.size == 0)
        return fail(e, E_NO_EVIDENCE, "none here");
    return thim_parse(buf_span(&json), pem, e);
}

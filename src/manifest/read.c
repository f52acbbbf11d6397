/* A manifest's text, pinned or hostile, as a list that is sorted by name. */
#include "manifest/manifest.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

struct manifest {
    struct cJSON *tree;
    struct manifest_line *lines; /* sorted by name */
    size_t n;
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const struct manifest_line *)a)->name, ((const struct manifest_line *)b)->name);
}

static bool is_digest(const char *text)
{
    return text == NULL ||
           (strlen(text) == 2 * SHA256_SIZE && strspn(text, "0123456789abcdef") == 2 * SHA256_SIZE);
}

/* A member of a wrong type is no pin that may be overlooked. */
static enum status read_pin(const cJSON *item, const char *name, const char **out, struct error *e)
{
    *out = json_text(item, name);
    if (json_member(item, name) == NULL || (*out != NULL && is_digest(*out)))
        return OK;
    return fail(e, E_MISMATCH, "\"%s\" in the manifest is not 64 lower-case hex digits", name);
}

static enum status read_pins(const cJSON *item, struct manifest_line *line, struct error *e)
{
    TRY(read_pin(item, "sha256", &line->sha256, e));
    TRY(read_pin(item, "key_sha256", &line->key_sha256, e));
    line->has_size = json_member(item, "size") != NULL;
    if (line->has_size && !json_number(item, "size", &line->size))
        return fail(e, E_MISMATCH, "\"size\" in the manifest is not a number of bytes");
    if (line->sha256 == NULL && line->key_sha256 == NULL)
        return fail(e, E_MISMATCH, "neither \"sha256\" nor \"key_sha256\" in the manifest");
    return OK;
}

static enum status read_line(const cJSON *item, struct manifest_line *line, struct error *e)
{
    *line = (struct manifest_line){.name = json_text(item, "name")};
    if (line->name == NULL)
        return fail(e, E_MISMATCH, "an entry of the manifest has no name");
    return read_pins(item, line, e) == OK ? OK : wrap(e, "%s", line->name);
}

static enum status check_version(const struct manifest *manifest, struct error *e)
{
    uint64_t version = 1; /* for whoever writes a list by hand */
    if (json_member(manifest->tree, "version") != NULL &&
        (!json_number(manifest->tree, "version", &version) || version != 1))
        return fail(e, E_MISMATCH, "the manifest is not of version 1");
    return OK;
}

static enum status read_lines(struct manifest *manifest, struct error *e)
{
    const cJSON *files = json_array(manifest->tree, "files"), *item;
    if (files == NULL)
        return fail(e, E_MISMATCH, "the manifest has no list \"files\"");
    size_t n = (size_t)cJSON_GetArraySize(files);
    manifest->lines = memory_array(n, sizeof(*manifest->lines));
    if (manifest->lines == NULL)
        return fail(e, E_SPACE, "out of memory");
    cJSON_ArrayForEach(item, files) TRY(read_line(item, &manifest->lines[manifest->n++], e));
    qsort(manifest->lines, n, sizeof(*manifest->lines), compare_lines);
    for (size_t i = 1; i < n; i++)
        if (compare_lines(&manifest->lines[i - 1], &manifest->lines[i]) == 0)
            return fail(e, E_MISMATCH, "%s: twice in the manifest", manifest->lines[i].name);
    return OK;
}

static enum status check_pin(struct span text, const uint8_t *pin, struct error *e)
{
    uint8_t digest[SHA256_SIZE];
    if (pin == NULL)
        return OK;
    TRY(sha256(text, digest, e));
    if (!span_equal(span_of(digest, sizeof(digest)), span_of(pin, SHA256_SIZE)))
        return fail(e, E_MISMATCH, "its SHA-256 is not the one in the job");
    return OK;
}

enum status manifest_parse(struct span text, const uint8_t *pin, struct manifest **out,
                           struct error *e)
{
    TRY(check_pin(text, pin, e));
    AUTO(manifest_free) struct manifest *manifest = memory_array(1, sizeof(*manifest));
    if (manifest == NULL)
        return fail(e, E_SPACE, "out of memory");
    TRY(json_parse(text, E_MISMATCH, &manifest->tree, e));
    TRY(check_version(manifest, e));
    TRY(read_lines(manifest, e));
    *out = manifest;
    manifest = NULL;
    return OK;
}

void manifest_free(struct manifest **manifest)
{
    if (*manifest != NULL) {
        json_free(&(*manifest)->tree);
        memory_free((*manifest)->lines);
        memory_free(*manifest);
    }
    *manifest = NULL;
}

size_t manifest_count(const struct manifest *manifest)
{
    return manifest->n;
}

const struct manifest_line *manifest_at(const struct manifest *manifest, size_t i)
{
    return &manifest->lines[i];
}

struct manifest_line *manifest_find(struct manifest *manifest, const char *name)
{
    const struct manifest_line wanted = {.name = name};
    return bsearch(&wanted, manifest->lines, manifest->n, sizeof(wanted), compare_lines);
}

const struct manifest_line *manifest_unseen(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->n; i++)
        if (!manifest->lines[i].seen)
            return &manifest->lines[i];
    return NULL;
}

/* A manifest's text, pinned or hostile, as a list that is sorted by name. */
#include "manifest/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

struct manifest {
    struct manifest_line *lines; /* sorted by name */
    char **names;                /* what the lines borrow, in the order of the text */
    size_t n;
};

enum status manifest_check_room(uint64_t memory_mib, uint64_t taken, uint64_t size, struct error *e)
{
    uint64_t room = memory_mib << 18;
    if (room > MANIFEST_SIZE_MAX)
        room = MANIFEST_SIZE_MAX;
    if (taken <= room && size <= room - taken)
        return OK;
    (void)!fail(e, E_SPACE,
                "more than %" PRIu64 " MiB of manifests, a quarter of limits.memory_mib",
                room >> 20);
    advise(e, "Raise limits.memory_mib to %u, or split the data set", MANIFEST_SIZE_MAX >> 18);
    return e->status;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const struct manifest_line *)a)->name, ((const struct manifest_line *)b)->name);
}

/* A member of a wrong type is no pin that may be overlooked. */
static enum status read_pin(const cJSON *item, const char *name, bool *found,
                            uint8_t out[static SHA256_SIZE], struct error *e)
{
    const char *text = json_text(item, name);
    AUTO(buf_free) struct buf digest = BUF(SHA256_SIZE);
    if (json_member(item, name) == NULL)
        return OK;
    if (text == NULL || strlen(text) != (size_t)2 * SHA256_SIZE ||
        strspn(text, "0123456789abcdef") != (size_t)2 * SHA256_SIZE)
        return fail(e, E_MISMATCH, "\"%s\" in the manifest is not 64 lower-case hex digits", name);
    TRY(hex_decode(span_text(text), &digest, E_MISMATCH, e));
    memcpy(out, digest.data, SHA256_SIZE);
    *found = true;
    return OK;
}

static enum status read_pins(const cJSON *item, struct manifest_line *line, struct error *e)
{
    TRY(read_pin(item, "sha256", &line->has_sha256, line->sha256, e));
    TRY(read_pin(item, "key_sha256", &line->has_key_sha256, line->key_sha256, e));
    line->has_size = json_member(item, "size") != NULL;
    if (line->has_size && !json_number(item, "size", &line->size))
        return fail(e, E_MISMATCH, "\"size\" in the manifest is not a number of bytes");
    if (!line->has_sha256 && !line->has_key_sha256)
        return fail(e, E_MISMATCH, "neither \"sha256\" nor \"key_sha256\" in the manifest");
    return OK;
}

static enum status read_line(const cJSON *item, struct manifest *manifest, struct error *e)
{
    const char *name = json_text(item, "name");
    if (name == NULL)
        return fail(e, E_MISMATCH, "an entry of the manifest has no name");
    struct manifest_line *line = &manifest->lines[manifest->n];
    line->name = manifest->names[manifest->n] = memory_text(name);
    if (line->name == NULL)
        return fail(e, E_SPACE, "out of memory");
    manifest->n++;
    return read_pins(item, line, e) == OK ? OK : wrap(e, "%s", name);
}

static enum status check_version(const cJSON *object, struct error *e)
{
    uint64_t version = 1; /* for whoever writes a list by hand */
    if (json_member(object, "version") != NULL &&
        (!json_number(object, "version", &version) || version != 1))
        return fail(e, E_MISMATCH, "the manifest is not of version 1");
    return OK;
}

static enum status read_lines(struct json_list *list, struct manifest *manifest, struct error *e)
{
    AUTO(json_free) struct cJSON *item = NULL;
    size_t room = json_list_count(list);
    manifest->lines = memory_array(room, sizeof(*manifest->lines));
    manifest->names = memory_array(room, sizeof(*manifest->names));
    if (manifest->lines == NULL || manifest->names == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (;;) {
        TRY(json_list_next(list, &item, e));
        if (item == NULL)
            return OK;
        TRY(read_line(item, manifest, e));
    }
}

static enum status sort_lines(struct manifest *manifest, struct error *e)
{
    struct manifest_line *lines = manifest->lines;
    qsort(lines, manifest->n, sizeof(*lines), compare_lines);
    for (size_t i = 1; i < manifest->n; i++)
        if (compare_lines(&lines[i - 1], &lines[i]) == 0)
            return fail(e, E_MISMATCH, "%s: twice in the manifest", lines[i].name);
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
    AUTO(json_free) struct cJSON *object = NULL;
    struct json_list list;
    TRY(check_pin(text, pin, e));
    AUTO(manifest_free) struct manifest *manifest = memory_array(1, sizeof(*manifest));
    if (manifest == NULL)
        return fail(e, E_SPACE, "out of memory");
    if (json_list_open(text, "files", E_MISMATCH, &list, &object, e) != OK)
        return wrap(e, "the manifest");
    TRY(check_version(object, e));
    TRY(read_lines(&list, manifest, e));
    TRY(sort_lines(manifest, e));
    *out = manifest;
    manifest = NULL;
    return OK;
}

void manifest_free(struct manifest **manifest)
{
    struct manifest *m = *manifest;
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->n; i++)
        memory_free(m->names[i]);
    memory_free(m->names);
    memory_free(m->lines);
    memory_free(m);
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

/* Reading the members of an object by a table: unknown members, wrong types and odd values are
 * refused by their path. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { LIST_MAX = 10000, TEXT_MAX = 8192 };

size_t path_push(struct job_path *path, const char *format, ...)
{
    size_t before = path->size;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(path->text + before, sizeof(path->text) - before, format, arguments);
    va_end(arguments);
    size_t room = sizeof(path->text) - 1 - before;
    if (n > 0)
        path->size += (size_t)n < room ? (size_t)n : room;
    return before;
}

void path_pop(struct job_path *path, size_t size)
{
    path->size = size;
    path->text[size] = '\0';
}

enum status refuse(const struct job_path *path, struct error *e, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return fail(e, E_USAGE, "%s: %s", path->size > 0 ? path->text : "the job", text);
}

static const struct member *member_of(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->n; i++)
        if (strcmp(fields->members[i].name, name) == 0)
            return &fields->members[i];
    return NULL;
}

static enum status refuse_unknown(const struct fields *fields, struct job_path *path,
                                  struct error *e)
{
    char known[320] = "";
    for (size_t i = 0, n = 0; i < fields->n && n < sizeof(known); i++)
        n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i > 0 ? ", " : "",
                              fields->members[i].name);
    return refuse(path, e, "unknown member; expected one of: %s", known);
}

enum status read_fields(const struct cJSON *object, const struct fields *fields, void *at,
                        struct job_path *path, struct error *e)
{
    if (!cJSON_IsObject(object))
        return refuse(path, e, "expected an object");
    const char *dot = path->size > 0 ? "." : "";
    const cJSON *value;
    cJSON_ArrayForEach(value, object)
    {
        const struct member *member = member_of(fields, value->string);
        size_t before = path_push(path, "%s%.64s", dot, value->string);
        if (member == NULL)
            return refuse_unknown(fields, path, e);
        TRY(member->read(value, member, (char *)at + member->offset, path, e));
        path_pop(path, before);
    }
    for (size_t i = 0; i < fields->n; i++) {
        if (!fields->members[i].required || json_member(object, fields->members[i].name) != NULL)
            continue;
        path_push(path, "%s%s", dot, fields->members[i].name);
        return refuse(path, e, "missing");
    }
    return OK;
}

enum status read_text(const struct cJSON *value, const struct member *member, void *at,
                      struct job_path *path, struct error *e)
{
    (void)member;
    const char *text = cJSON_GetStringValue(value);
    if (text == NULL)
        return refuse(path, e, "expected a string");
    if (text[0] == '\0' || strlen(text) > TEXT_MAX)
        return refuse(path, e, "expected 1 to %d bytes of text", TEXT_MAX);
    *(const char **)at = text;
    return OK;
}

static enum status read_checked_url(const struct cJSON *value, bool plain_anywhere, void *at,
                                    struct job_path *path, struct error *e)
{
    struct url url;
    const char *text = NULL;
    TRY(read_text(value, NULL, &text, path, e));
    if (url_parse(text, &url, e) != OK)
        return wrap(e, "%s", path->text);
    if (!url.https && !plain_anywhere && !url_host_is_local(&url))
        return refuse(path, e,
                      "plain http is only for loopback and link-local addresses; use https");
    *(const char **)at = text;
    return OK;
}

enum status read_url(const struct cJSON *value, const struct member *member, void *at,
                     struct job_path *path, struct error *e)
{
    (void)member;
    return read_checked_url(value, false, at, path, e);
}

enum status read_any_url(const struct cJSON *value, const struct member *member, void *at,
                         struct job_path *path, struct error *e)
{
    (void)member;
    return read_checked_url(value, true, at, path, e);
}

enum status read_number(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e)
{
    const struct range *range = member->more;
    double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (!(number >= (double)range->least && number <= (double)range->most) ||
        number != (double)(uint64_t)number)
        return refuse(path, e, "expected a whole number from %llu to %llu",
                      (unsigned long long)range->least, (unsigned long long)range->most);
    *(uint64_t *)at = (uint64_t)number;
    return OK;
}

enum status read_choice(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e)
{
    char known[200] = "";
    size_t n = 0;
    const char *text = cJSON_GetStringValue(value);
    for (const struct choice *choice = member->more; choice->name != NULL; choice++) {
        if (text != NULL && strcmp(text, choice->name) == 0) {
            *(int *)at = choice->value;
            return OK;
        }
        n += (size_t)snprintf(known + n, sizeof(known) - n, "%s\"%s\"", n > 0 ? ", " : "",
                              choice->name);
    }
    return refuse(path, e, "expected one of: %s", known);
}

enum status read_object(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e)
{
    return read_fields(value, member->more, at, path, e);
}

static enum status new_list(const struct cJSON *value, size_t element, void **list, size_t *n,
                            struct job_path *path, struct error *e)
{
    if (!cJSON_IsArray(value))
        return refuse(path, e, "expected a list");
    size_t count = (size_t)cJSON_GetArraySize(value);
    if (count > LIST_MAX)
        return refuse(path, e, "expected at most %d elements", LIST_MAX);
    *list = memory_array(count, element);
    if (*list == NULL)
        return fail(e, E_SPACE, "out of memory");
    *n = count;
    return OK;
}

enum status read_list(const struct cJSON *value, const struct member *member, void *at,
                      struct job_path *path, struct error *e)
{
    const struct fields *fields = member->more;
    void **list = at;
    size_t *n = (size_t *)(list + 1);
    TRY(new_list(value, fields->size, list, n, path, e));
    size_t i = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, value)
    {
        size_t before = path_push(path, "[%zu]", i);
        TRY(read_fields(element, fields, (char *)*list + i++ * fields->size, path, e));
        path_pop(path, before);
    }
    return OK;
}

enum status read_texts(const struct cJSON *value, const struct member *member, void *at,
                       struct job_path *path, struct error *e)
{
    void **list = at;
    size_t *n = (size_t *)(list + 1);
    TRY(new_list(value, sizeof(const char *), list, n, path, e));
    size_t i = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, value)
    {
        size_t before = path_push(path, "[%zu]", i);
        TRY(read_text(element, member, (const char **)*list + i++, path, e));
        path_pop(path, before);
    }
    return OK;
}

enum status read_digest(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e)
{
    (void)member;
    AUTO(buf_free) struct buf digest = BUF(SHA256_SIZE);
    const char *text = cJSON_GetStringValue(value);
    if (text == NULL || strlen(text) != 2 * SHA256_SIZE ||
        hex_decode(span_text(text), &digest, E_USAGE, e) != OK)
        return refuse(path, e, "expected a SHA-256 as 64 hex digits");
    memcpy(at, digest.data, SHA256_SIZE);
    return OK;
}

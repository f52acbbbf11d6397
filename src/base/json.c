/*
 * JSON, read strictly. cJSON does the parsing; what it lets pass and we do not (duplicate names,
 * NUL in strings, invalid UTF-8, a tail, great depth) is refused here. All texts are hostile.
 */
#include "base/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { LEVELS_MAX = 32, MEMBERS_MAX = 20000 };

/* Before cJSON sees the text: it recurses up to a thousand levels, ends strings at \u0000, and
 * takes raw control characters. */
static enum status check_text(struct span text, enum status status_if_bad, struct error *e)
{
    if (!utf8_is_valid(text))
        return fail(e, status_if_bad, "not valid UTF-8");
    bool in_string = false;
    size_t level = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (in_string && c < 0x20)
            return fail(e, status_if_bad, "a control character in a JSON string at byte %zu", i);
        if (in_string && c == '\\') {
            if (span_starts(span_of(text.data + i, text.size - i), "\\u0000"))
                return fail(e, status_if_bad, "a NUL character in a JSON string at byte %zu", i);
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[') && ++level > LEVELS_MAX) {
            return fail(e, status_if_bad, "JSON nested deeper than %d levels", LEVELS_MAX);
        } else if (!in_string && (c == '}' || c == ']') && level > 0) {
            level--;
        }
    }
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_free(const char ***names)
{
    memory_free(*names);
}

static enum status check_names(const cJSON *object, enum status status_if_bad, struct error *e)
{
    size_t n = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, object) n++;
    if (n > MEMBERS_MAX)
        return fail(e, status_if_bad, "a JSON object with more than %d members", MEMBERS_MAX);
    AUTO(names_free) const char **names = memory_array(n, sizeof(*names));
    if (names == NULL)
        return fail(e, E_SPACE, "out of memory");
    n = 0;
    cJSON_ArrayForEach(member, object) names[n++] = member->string;
    qsort(names, n, sizeof(*names), compare_names);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return fail(e, status_if_bad, "the JSON member \"%.64s\" stands twice", names[i]);
    return OK;
}

/* Recursion is bounded by LEVELS_MAX, checked on the text. */
static enum status check_tree(const cJSON *item, enum status status_if_bad, struct error *e)
{
    if (cJSON_IsObject(item))
        TRY(check_names(item, status_if_bad, e));
    const cJSON *child;
    cJSON_ArrayForEach(child, item) TRY(check_tree(child, status_if_bad, e));
    return OK;
}

static void line_and_column(struct span text, const char *at, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (const char *c = (const char *)text.data; c < at; c++) {
        *column = *c == '\n' ? 1 : *column + 1;
        *line += *c == '\n';
    }
}

enum status json_parse(struct span text, enum status status_if_bad, struct cJSON **out,
                       struct error *e)
{
    text = span_trim(text);
    TRY(check_text(text, status_if_bad, e));
    const char *end = NULL;
    AUTO(json_free)
    cJSON *tree = cJSON_ParseWithLengthOpts((const char *)text.data, text.size, &end, false);
    const char *text_end = (const char *)text.data + text.size;
    if (tree == NULL || end != text_end) {
        size_t line, column;
        line_and_column(text, end != NULL ? end : text_end, &line, &column);
        return fail(e, status_if_bad, "not valid JSON at line %zu, column %zu", line, column);
    }
    TRY(check_tree(tree, status_if_bad, e));
    *out = tree;
    tree = NULL;
    return OK;
}

void json_free(struct cJSON **tree)
{
    cJSON_Delete(*tree);
    *tree = NULL;
}

const struct cJSON *json_member(const struct cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const struct cJSON *json_object(const struct cJSON *object, const char *name)
{
    const cJSON *member = json_member(object, name);
    return cJSON_IsObject(member) ? member : NULL;
}

const struct cJSON *json_array(const struct cJSON *object, const char *name)
{
    const cJSON *member = json_member(object, name);
    return cJSON_IsArray(member) ? member : NULL;
}

const char *json_text(const struct cJSON *object, const char *name)
{
    return cJSON_GetStringValue(json_member(object, name));
}

bool json_number(const struct cJSON *object, const char *name, uint64_t *out)
{
    const cJSON *member = json_member(object, name);
    if (!cJSON_IsNumber(member))
        return false;
    double value = member->valuedouble;
    if (!(value >= 0 && value <= 9007199254740992.0) || value != floor(value))
        return false;
    *out = (uint64_t)value;
    return true;
}

enum status json_quote(struct span text, struct buf *out, struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("\""), e));
    for (size_t i = 0; i < text.size;) {
        uint8_t c = text.data[i];
        size_t n = 1;
        while (n < 4 && n < text.size - i && (text.data[i + n] & 0xC0) == 0x80)
            n++;
        struct span character = span_of(text.data + i, n);
        if (c == '"' || c == '\\')
            TRY(buf_addf(out, e, "\\%c", c));
        else if (c < 0x20 || c == 0x7F)
            TRY(buf_addf(out, e, "\\u%04x", c));
        else if (utf8_is_valid(character))
            TRY(buf_add(out, character, e));
        else
            TRY(buf_add(out, SPAN_LITERAL("\xEF\xBF\xBD"), e));
        i += n;
    }
    return buf_add(out, SPAN_LITERAL("\""), e);
}

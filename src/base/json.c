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

static size_t count_digits(struct span text, size_t at)
{
    size_t n = 0;
    while (at + n < text.size && text.data[at + n] >= '0' && text.data[at + n] <= '9')
        n++;
    return n;
}

/* The length of the number at the start of TEXT (RFC 8259, 6: no leading zero, digits on both sides
 * of the point), 0 if it is none. */
static size_t number_size(struct span text)
{
    size_t at = span_starts(text, "-") ? 1 : 0;
    size_t n = count_digits(text, at);
    if (n == 0 || (n > 1 && text.data[at] == '0'))
        return 0;
    at += n;
    if (at < text.size && text.data[at] == '.') {
        n = count_digits(text, at + 1);
        at += 1 + n;
    }
    if (n > 0 && at < text.size && (text.data[at] | 0x20) == 'e') {
        at++;
        at += at < text.size && (text.data[at] == '+' || text.data[at] == '-');
        n = count_digits(text, at);
        at += n;
    }
    return n > 0 ? at : 0;
}

/* REST starts inside a string; *SIZE is how much of it was judged. */
static enum status check_in_string(struct span rest, bool *in_string, size_t *size,
                                   enum status status_if_bad, struct error *e)
{
    if (rest.data[0] < 0x20)
        return fail(e, status_if_bad, "a control character in a JSON string");
    if (span_starts(rest, "\\u0000"))
        return fail(e, status_if_bad, "a NUL character in a JSON string");
    *in_string = rest.data[0] != '"';
    *size = rest.data[0] == '\\' ? 2 : 1;
    return OK;
}

static enum status check_outside(struct span rest, bool *in_string, size_t *size, size_t *level,
                                 enum status status_if_bad, struct error *e)
{
    uint8_t c = rest.data[0];
    *size = 1;
    *in_string = c == '"';
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
        return fail(e, status_if_bad, "a control character in JSON");
    if ((c == '{' || c == '[') && ++*level > LEVELS_MAX)
        return fail(e, status_if_bad, "JSON nested deeper than %d levels", LEVELS_MAX);
    if ((c == '}' || c == ']') && *level > 0)
        --*level;
    if (c == '-' || (c >= '0' && c <= '9')) {
        *size = number_size(rest);
        if (*size == 0)
            return fail(e, status_if_bad, "not a JSON number");
    }
    return OK;
}

/* Before cJSON sees the text: it recurses up to a thousand levels, ends strings at \u0000, takes
 * raw control characters, also between values, and numbers as strtod does. */
static enum status check_text(struct span text, size_t *at, enum status status_if_bad,
                              struct error *e)
{
    bool in_string = false;
    size_t level = 0, n = 0;
    for (*at = 0; *at < text.size; *at += n) {
        struct span rest = span_of(text.data + *at, text.size - *at);
        if (in_string)
            TRY(check_in_string(rest, &in_string, &n, status_if_bad, e));
        else
            TRY(check_outside(rest, &in_string, &n, &level, status_if_bad, e));
    }
    return OK;
}

/* The way down to a value, for messages. */
struct step {
    const struct step *up;
    const char *name; /* NULL: element AT of an array */
    size_t at;
};

static enum status add_path(const struct step *step, struct buf *out, struct error *e)
{
    if (step == NULL)
        return OK;
    TRY(add_path(step->up, out, e));
    if (step->name == NULL)
        return buf_addf(out, e, "[%zu]", step->at);
    return buf_addf(out, e, "%s%.64s", out->size > 0 ? "." : "", step->name);
}

static enum status refuse_twice(const struct step *step, enum status status_if_bad, struct error *e)
{
    AUTO(buf_free) struct buf path = BUF(LEVELS_MAX * 96);
    TRY(add_path(step, &path, e));
    return fail(e, status_if_bad, "%s: this JSON member stands twice", buf_text(&path));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_free(const char ***names)
{
    memory_free(*names);
}

static enum status check_names(const cJSON *object, const struct step *up,
                               enum status status_if_bad, struct error *e)
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
            return refuse_twice(&(struct step){.up = up, .name = names[i]}, status_if_bad, e);
    return OK;
}

/* Recursion is bounded by LEVELS_MAX, checked on the text. */
static enum status check_tree(const cJSON *item, const struct step *up, enum status status_if_bad,
                              struct error *e)
{
    if (cJSON_IsObject(item))
        TRY(check_names(item, up, status_if_bad, e));
    struct step step = {.up = up};
    const cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        step.name = child->string;
        TRY(check_tree(child, &step, status_if_bad, e));
        step.at++;
    }
    return OK;
}

/* Says where in TEXT the failure that E describes is. */
static enum status refuse_at(struct span text, size_t at, struct error *e)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text.data[i] == '\n' ? 1 : column + 1;
        line += text.data[i] == '\n';
    }
    return wrap(e, "line %zu, column %zu", line, column);
}

enum status json_parse(struct span text, enum status status_if_bad, struct cJSON **out,
                       struct error *e)
{
    text = span_trim(text);
    size_t at = 0;
    if (!utf8_is_valid(text))
        return fail(e, status_if_bad, "not valid UTF-8");
    if (check_text(text, &at, status_if_bad, e) != OK)
        return refuse_at(text, at, e);
    if (text.size == 0) { /* there may be no address to count from */
        (void)!fail(e, status_if_bad, "not valid JSON");
        return refuse_at(text, 0, e);
    }
    const char *end = NULL;
    AUTO(json_free)
    cJSON *tree = cJSON_ParseWithLengthOpts((const char *)text.data, text.size, &end, false);
    const char *text_end = (const char *)text.data + text.size;
    if (tree == NULL || end != text_end) {
        (void)!fail(e, status_if_bad, "not valid JSON");
        return refuse_at(text, end != NULL ? (size_t)(end - (const char *)text.data) : 0, e);
    }
    TRY(check_tree(tree, NULL, status_if_bad, e));
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

/* How long the UTF-8 character at the start of TEXT is, or the broken beginning of one. */
static size_t character_size(struct span text)
{
    uint8_t lead = text.data[0];
    size_t most = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    size_t n = 1;
    while (n < most && n < text.size && (text.data[n] & 0xC0) == 0x80)
        n++;
    return n;
}

enum status json_quote(struct span text, struct buf *out, struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("\""), e));
    for (size_t i = 0; i < text.size;) {
        uint8_t c = text.data[i];
        size_t n = character_size(span_of(text.data + i, text.size - i));
        struct span character = span_of(text.data + i, n);
        if (c == '"' || c == '\\')
            TRY(buf_addf(out, e, "\\%c", c));
        else if (c < 0x20 || c == 0x7F)
            TRY(buf_addf(out, e, "\\u%04x", c));
        else if (c == 0xC2 && n == 2 && character.data[1] < 0xA0) /* C1: commands to terminals */
            TRY(buf_addf(out, e, "\\u%04x", character.data[1]));
        else if (utf8_is_valid(character))
            TRY(buf_add(out, character, e));
        else
            TRY(buf_add(out, SPAN_LITERAL("\xEF\xBF\xBD"), e));
        i += n;
    }
    return buf_add(out, SPAN_LITERAL("\""), e);
}

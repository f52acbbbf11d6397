/*
 * A long list in a JSON text, one element at a time: memory holds the text and the tree of one
 * element, where the tree of the whole takes six times the text. The text is cut by quotes and
 * brackets alone; each element, and the object around the list, is then read by json_parse, so
 * nothing passes here that does not pass there.
 */
#include "base/base.h"

#include <string.h>

#include <cjson/cJSON.h>

/* 0 behind the end. */
static uint8_t byte_at(struct span text, size_t at)
{
    return at < text.size ? text.data[at] : 0;
}

static size_t skip_space(struct span text, size_t at)
{
    while (at < text.size && strchr(" \t\r\n", text.data[at]) != NULL && text.data[at] != 0)
        at++;
    return at;
}

/* Behind the string that starts at AT; text.size if it does not end. */
static size_t skip_string(struct span text, size_t at)
{
    for (at++; at < text.size; at++) {
        if (text.data[at] == '"')
            return at + 1;
        if (text.data[at] == '\\')
            at++;
    }
    return text.size;
}

static bool opens(uint8_t c)
{
    return c == '{' || c == '[';
}

/* Behind the object or list that starts at AT; text.size if it does not end. */
static size_t skip_nested(struct span text, size_t at)
{
    size_t level = 0;
    while (at < text.size) {
        uint8_t c = text.data[at];
        level += opens(c);
        if ((c == '}' || c == ']') && --level == 0)
            return at + 1;
        at = c == '"' ? skip_string(text, at) : at + 1;
    }
    return text.size;
}

/* Where the list starts that is the value of the member whose name starts at AT and ends before
 * END; text.size if it is another member or no list. */
static size_t list_of_member(struct span text, size_t at, size_t end, const char *name)
{
    if (end - at < 2 || !span_is(span_of(text.data + at + 1, end - at - 2), name))
        return text.size;
    size_t colon = skip_space(text, end);
    size_t value = skip_space(text, colon + 1);
    return byte_at(text, colon) == ':' && byte_at(text, value) == '[' ? value : text.size;
}

static size_t find_list(struct span text, const char *name)
{
    size_t at = skip_space(text, 0);
    if (byte_at(text, at) != '{')
        return text.size;
    for (at++; at < text.size && text.data[at] != '}';) {
        uint8_t c = text.data[at];
        if (c == '"') {
            size_t end = skip_string(text, at);
            size_t list = list_of_member(text, at, end, name);
            if (list < text.size)
                return list;
            at = end;
        } else {
            at = opens(c) ? skip_nested(text, at) : at + 1;
        }
    }
    return text.size;
}

enum status json_list_open(struct span text, const char *name, enum status status_if_bad,
                           struct json_list *out, struct cJSON **rest, struct error *e)
{
    size_t start = find_list(text, name);
    if (start == text.size)
        return fail(e, status_if_bad, "no JSON object with a list \"%s\"", name);
    size_t end = skip_nested(text, start);
    if (text.data[end - 1] != ']')
        return fail(e, status_if_bad, "the list \"%s\" does not end", name);
    AUTO(buf_free) struct buf around = BUF(text.size);
    TRY(buf_add(&around, span_of(text.data, start + 1), e));
    TRY(buf_add(&around, span_of(text.data + end - 1, text.size - end + 1), e));
    if (json_parse(buf_span(&around), status_if_bad, rest, e) != OK)
        return wrap(e, "around the list \"%s\"", name);
    *out = (struct json_list){
        .text = text, .name = name, .at = start + 1, .status_if_bad = status_if_bad};
    return OK;
}

/* The next element's text, of size 0 at the end of the list. */
static enum status cut(struct json_list *list, struct span *element, struct error *e)
{
    size_t at = skip_space(list->text, list->at);
    *element = SPAN_LITERAL("");
    if (byte_at(list->text, at) == ']')
        return OK;
    if (list->taken > 0) {
        if (byte_at(list->text, at) != ',')
            return fail(e, list->status_if_bad, "%s[%zu]: not valid JSON", list->name, list->taken);
        at = skip_space(list->text, at + 1);
    }
    if (byte_at(list->text, at) != '{')
        return fail(e, list->status_if_bad, "%s[%zu]: not a JSON object", list->name, list->taken);
    list->at = skip_nested(list->text, at);
    *element = span_of(list->text.data + at, list->at - at);
    list->taken++;
    return OK;
}

size_t json_list_count(const struct json_list *list)
{
    struct json_list rest = *list;
    struct error ignored = {0};
    struct span element;
    while (cut(&rest, &element, &ignored) == OK && element.size > 0)
        continue;
    return rest.taken - list->taken;
}

enum status json_list_next(struct json_list *list, struct cJSON **out, struct error *e)
{
    struct span element;
    json_free(out);
    TRY(cut(list, &element, e));
    if (element.size == 0 || json_parse(element, list->status_if_bad, out, e) == OK)
        return OK;
    return wrap(e, "%s[%zu]", list->name, list->taken - 1);
}

/* JSON laid out for people. Only white space and escapes change, so that numbers stay as exact as they
 * came. */
#include "base/base.h"

#include <string.h>

static enum status line_start(size_t depth, struct buf *out, struct error *e)
{
    return buf_addf(out, e, "\n%*s", (int)(2 * depth), "");
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* From its opening quote to its closing one; with escapes in the place of control characters. */
static enum status copy_string(struct span text, size_t *at, struct buf *out, struct error *e)
{
    bool escaped = false;
    for (size_t i = *at; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool c1 = c == 0xC2 && i + 1 < text.size && text.data[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || c1)
            TRY(buf_addf(out, e, "\\u%04x", c1 ? text.data[++i] : c));
        else
            TRY(buf_add(out, span_of(text.data + i, 1), e));
        if (c == '"' && !escaped && i > *at) {
            *at = i;
            return OK;
        }
        escaped = c == '\\' && !escaped;
    }
    return fail(e, E_BUG, "JSON with an open string");
}

static bool is_empty(struct span text, size_t at)
{
    for (at++; at < text.size && is_space(text.data[at]);)
        at++;
    return at < text.size && (text.data[at] == '}' || text.data[at] == ']');
}

static enum status copy_mark(struct span text, size_t at, size_t *depth, bool *closes_empty,
                             struct buf *out, struct error *e)
{
    uint8_t c = text.data[at];
    bool opens = c == '{' || c == '[', closes = c == '}' || c == ']', empty = *closes_empty;
    if (closes && *depth > 0)
        (*depth)--;
    if (closes && !empty)
        TRY(line_start(*depth, out, e));
    TRY(buf_add(out, span_of(&c, 1), e));
    *closes_empty = opens && is_empty(text, at);
    *depth += opens;
    if (c == ':')
        return buf_add(out, SPAN_LITERAL(" "), e);
    return c == ',' || (opens && !*closes_empty) ? line_start(*depth, out, e) : OK;
}

enum status json_indent(struct span text, struct buf *out, struct error *e)
{
    size_t depth = 0;
    bool closes_empty = false;
    for (size_t at = 0; at < text.size; at++) {
        uint8_t c = text.data[at];
        if (c == '"')
            TRY(copy_string(text, &at, out, e));
        else if (c != '\0' && strchr("{}[],:", c) != NULL)
            TRY(copy_mark(text, at, &depth, &closes_empty, out, e));
        else if (!is_space(c))
            TRY(buf_add(out, span_of(&c, 1), e));
    }
    return OK;
}

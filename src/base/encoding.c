/* Base64 and hex (RFC 4648), percent-encoding (RFC 3986), UTF-8 (RFC 3629). The texts to decode are
 * hostile. */
#include "base/base.h"

#include <string.h>

static const char letters_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char letters_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum status base64_encode(struct span bytes, enum base64_kind kind, struct buf *out,
                          struct error *e)
{
    const char *letters = kind == BASE64 ? letters_standard : letters_url;
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t n = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        if (n > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (n > 2)
            group |= bytes.data[at + 2];
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63],
                        n > 1 ? letters[group >> 6 & 63] : '=', n > 2 ? letters[group & 63] : '='};
        TRY(buf_add(out, span_of(four, kind == BASE64URL ? n + 1 : 4), e));
        wipe(four, sizeof(four));
    }
    return OK;
}

static int letter_value(uint8_t c, enum base64_kind kind)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (kind == BASE64 ? '+' : '-'))
        return 62;
    return c == (kind == BASE64 ? '/' : '_') ? 63 : -1;
}

static enum status decode_group(struct span group, enum base64_kind kind, struct buf *out,
                                enum status status_if_bad, struct error *e)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < group.size; i++) {
        int value = letter_value(group.data[i], kind);
        if (value < 0)
            return fail(e, status_if_bad, "not base64%s", kind == BASE64 ? "" : "url");
        bits |= (uint32_t)value << (18 - 6 * i);
    }
    size_t n = group.size - 1;
    if (n < 3 && (bits & (0xFFFFFFU >> (8 * n))) != 0)
        return fail(e, status_if_bad, "base64 with stray bits at its end");
    uint8_t three[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    enum status status = buf_add(out, span_of(three, n), e);
    wipe(three, sizeof(three));
    return status;
}

enum status base64_decode(struct span text, enum base64_kind kind, struct buf *out,
                          enum status status_if_bad, struct error *e)
{
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    bool whole = text.size % 4 == 0;
    text.size -= padding;
    if (text.size % 4 == 1 || (padding > 0 && !whole) || (kind == BASE64 && !whole))
        return fail(e, status_if_bad, "base64 of a wrong length");
    for (size_t at = 0; at < text.size; at += 4) {
        size_t n = text.size - at < 4 ? text.size - at : 4;
        TRY(decode_group(span_of(text.data + at, n), kind, out, status_if_bad, e));
    }
    return OK;
}

enum status hex_encode(struct span bytes, struct buf *out, struct error *e)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        char two[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        TRY(buf_add(out, span_of(two, 2), e));
    }
    return OK;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_byte(const uint8_t *two, uint8_t *out)
{
    int high = hex_value(two[0]), low = hex_value(two[1]);
    *out = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    return high >= 0 && low >= 0;
}

enum status hex_decode(struct span text, struct buf *out, enum status status_if_bad,
                       struct error *e)
{
    if (text.size % 2 != 0)
        return fail(e, status_if_bad, "an odd number of hex digits");
    for (size_t at = 0; at < text.size; at += 2) {
        uint8_t byte;
        if (!hex_byte(text.data + at, &byte))
            return fail(e, status_if_bad, "not hex");
        TRY(buf_add(out, span_of(&byte, 1), e));
    }
    return OK;
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

enum status percent_encode(struct span bytes, const char *keep, struct buf *out, struct error *e)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        if (is_unreserved(c) || (c != '\0' && strchr(keep, c) != NULL))
            TRY(buf_add(out, span_of(&c, 1), e));
        else
            TRY(buf_addf(out, e, "%%%02X", c));
    }
    return OK;
}

enum status percent_decode(struct span text, struct buf *out, enum status status_if_bad,
                           struct error *e)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (text.size - i < 3 || !hex_byte(text.data + i + 1, &c))
                return fail(e, status_if_bad, "a '%%' without two hex digits");
            i += 2;
        }
        TRY(buf_add(out, span_of(&c, 1), e));
    }
    return OK;
}

/* The length of the character at the start of TEXT, 0 if it is not valid. */
static size_t utf8_character(struct span text)
{
    static const struct {
        uint8_t mask, lead;
        size_t size;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 1},
                 {0xE0, 0xC0, 2, 0x80},
                 {0xF0, 0xE0, 3, 0x800},
                 {0xF8, 0xF0, 4, 0x10000}};
    for (size_t f = 0; f < COUNT(forms); f++) {
        if ((text.data[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (text.size < forms[f].size)
            return 0;
        uint32_t point = text.data[0] & (uint8_t)~forms[f].mask;
        for (size_t i = 1; i < forms[f].size; i++) {
            if ((text.data[i] & 0xC0) != 0x80)
                return 0;
            point = point << 6 | (text.data[i] & 0x3F);
        }
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        return point >= forms[f].least && point <= 0x10FFFF && !surrogate ? forms[f].size : 0;
    }
    return 0;
}

bool utf8_is_valid(struct span text)
{
    while (text.size > 0) {
        size_t n = utf8_character(text);
        if (n == 0)
            return false;
        text = span_of(text.data + n, text.size - n);
    }
    return true;
}

/* Borrowed bytes: comparing, trimming, duplicating. */
#include "base/base.h"

#include <string.h>

#include <openssl/crypto.h>

struct span span_of(const void *data, size_t size)
{
    return (struct span){data, size};
}

struct span span_text(const char *text)
{
    return (struct span){(const uint8_t *)text, text ? strlen(text) : 0};
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
    while (s.size > 0 && is_space(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && is_space(s.data[s.size - 1]))
        s.size--;
    return s;
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}

bool span_is(struct span s, const char *text)
{
    return span_equal(s, span_text(text));
}

bool span_starts(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.size >= n && span_equal(span_of(s.data, n), span_of(prefix, n));
}

char *span_dup(struct span s)
{
    char *text = memory_new(s.size + 1);
    if (text == NULL)
        return NULL;
    if (s.size > 0)
        memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    return text;
}

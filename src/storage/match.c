/*
 * Globs for the job's `match`.
 *
 * The pattern is the user's, the names are the service's and hostile. All places where the pattern
 * may stand are kept at once, so the work is at most pattern × name, whatever both look like.
 */
#include <string.h>

#include "storage/internal.h"

enum kind { LETTER, ANY, SET, STAR, STARS, FOLDERS, END };

struct token {
    enum kind kind;
    size_t next;     /* offset behind it */
    uint32_t letter; /* LETTER */
    size_t set;      /* SET: offset behind the '[' */
};

struct letter {
    uint32_t value;
    size_t size;
};

/* One character of UTF-8; a byte that begins none stands for itself, so any text ends. */
static struct letter letter_at(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t size = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 1;
    uint32_t value = size == 1 ? p[0] : p[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return (struct letter){p[0], 1};
        value = value << 6 | (p[i] & 0x3fU);
    }
    return (struct letter){value, size};
}

/* Offset behind the ']' of the set that starts at AT, or 0: then '[' is a letter. A ']' at once is
 * a member. */
static size_t set_end(const char *pattern, size_t at)
{
    if (pattern[at] == '!' || pattern[at] == '^')
        at++;
    if (pattern[at] == ']')
        at++;
    const char *end = strchr(pattern + at, ']');
    return end == NULL ? 0 : (size_t)(end - pattern) + 1;
}

static bool set_has(const char *pattern, size_t at, uint32_t letter)
{
    size_t end = set_end(pattern, at) - 1;
    bool negative = pattern[at] == '!' || pattern[at] == '^';
    bool found = false;
    at += negative;
    while (at < end) {
        struct letter low = letter_at(pattern + at), high = low;
        at += low.size;
        if (pattern[at] == '-' && at + 1 < end) {
            high = letter_at(pattern + at + 1);
            at += 1 + high.size;
        }
        found = found || (letter >= low.value && letter <= high.value);
    }
    return letter != '/' && found != negative;
}

static struct token token_at(const char *pattern, size_t at)
{
    struct letter c = letter_at(pattern + at);
    if (c.value == '\0')
        return (struct token){END, at, 0, 0};
    if (c.value == '?')
        return (struct token){ANY, at + 1, 0, 0};
    if (c.value == '[' && set_end(pattern, at + 1) != 0)
        return (struct token){SET, set_end(pattern, at + 1), 0, at + 1};
    if (c.value != '*')
        return (struct token){LETTER, at + c.size, c.value, 0};
    size_t n = strspn(pattern + at, "*");
    bool opens = at == 0 || pattern[at - 1] == '/';
    if (n >= 2 && opens && pattern[at + n] == '/')
        return (struct token){FOLDERS, at + n + 1, 0, 0};
    return (struct token){n >= 2 ? STARS : STAR, at + n, 0, 0};
}

/* The pattern may stand at AT, and so behind everything there that may match nothing. */
static void place_add(const char *pattern, bool *places, size_t at)
{
    for (;;) {
        places[at] = true;
        struct token t = token_at(pattern, at);
        if (t.kind != STAR && t.kind != STARS && t.kind != FOLDERS)
            return;
        at = t.next;
    }
}

static void place_step(const char *pattern, size_t at, uint32_t c, bool *next)
{
    struct token t = token_at(pattern, at);
    switch (t.kind) {
    case LETTER:
        if (c == t.letter)
            place_add(pattern, next, t.next);
        break;
    case ANY:
        if (c != '/')
            place_add(pattern, next, t.next);
        break;
    case SET:
        if (set_has(pattern, t.set, c))
            place_add(pattern, next, t.next);
        break;
    case STAR:
        if (c != '/')
            place_add(pattern, next, at);
        break;
    case STARS:
        place_add(pattern, next, at);
        break;
    case FOLDERS: /* inside a folder's name the rest cannot begin */
        next[at] = true;
        if (c == '/')
            place_add(pattern, next, t.next);
        break;
    case END:
        break;
    }
}

bool storage_match(const char *pattern, const char *text)
{
    size_t n = strnlen(pattern, STORAGE_PATTERN_MAX + 1);
    bool places[STORAGE_PATTERN_MAX + 1] = {false}, next[STORAGE_PATTERN_MAX + 1];
    if (n > STORAGE_PATTERN_MAX)
        return false;
    place_add(pattern, places, 0);
    while (*text != '\0') {
        struct letter c = letter_at(text);
        text += c.size;
        memset(next, 0, n + 1);
        for (size_t at = 0; at < n; at++)
            if (places[at])
                place_step(pattern, at, c.value, next);
        memcpy(places, next, n + 1);
    }
    return places[n];
}

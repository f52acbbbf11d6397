/*
 * Globs for the job's `match`.
 *
 * The pattern is the user's, the names are the service's and hostile. All places where the name may
 * stand in the pattern are kept at once, each reached once per letter, so the work is at most
 * pattern × name, whatever both look like.
 */
#include <assert.h>
#include <string.h>

#include "storage/internal.h"

enum kind { LETTER, ANY, SET, STAR, STARS, FOLDERS, END };

struct token {
    enum kind kind;
    uint32_t letter; /* LETTER */
    uint16_t next;   /* offset behind it */
    uint16_t set;    /* SET: offset behind the '[' */
};
static_assert(STORAGE_PATTERN_MAX < UINT16_MAX, "offsets are kept small, for the stack's sake");

struct letter {
    uint32_t value;
    size_t size;
};

/* One character of UTF-8; a byte that begins none stands for itself, so any text ends. Nor does the
 * long form of a short one count: only the byte '*' is a star. */
static struct letter letter_at(const char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)text;
    size_t size = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 1;
    uint32_t value = size == 1 ? p[0] : p[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return (struct letter){p[0], 1};
        value = value << 6 | (p[i] & 0x3fU);
    }
    return value < least[size] ? (struct letter){p[0], 1} : (struct letter){value, size};
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

static struct token token_of(enum kind kind, size_t next, uint32_t letter, size_t set)
{
    return (struct token){kind, letter, (uint16_t)next, (uint16_t)set};
}

static struct token token_at(const char *pattern, size_t at)
{
    struct letter c = letter_at(pattern + at);
    if (c.value == '\0')
        return token_of(END, at, 0, 0);
    if (c.value == '?')
        return token_of(ANY, at + 1, 0, 0);
    if (c.value == '[' && set_end(pattern, at + 1) != 0)
        return token_of(SET, set_end(pattern, at + 1), 0, at + 1);
    if (c.value != '*')
        return token_of(LETTER, at + c.size, c.value, 0);
    size_t n = strspn(pattern + at, "*");
    bool opens = at == 0 || pattern[at - 1] == '/';
    if (n >= 2 && opens && pattern[at + n] == '/')
        return token_of(FOLDERS, at + n + 1, 0, 0);
    return token_of(n >= 2 ? STARS : STAR, at + n, 0, 0);
}

/* A pattern, cut into tokens once: TOKENS[i] is where a place may be. */
struct glob {
    const char *pattern;
    size_t n; /* the END is TOKENS[n] */
    struct token tokens[STORAGE_PATTERN_MAX + 1];
};

static void glob_cut(const char *pattern, struct glob *g)
{
    g->pattern = pattern;
    g->n = 0;
    for (size_t at = 0;; at = g->tokens[g->n++].next) {
        g->tokens[g->n] = token_at(pattern, at);
        if (g->tokens[g->n].kind == END)
            return;
    }
}

/* What PLACES holds of a token. */
enum {
    NOWHERE,
    WITHIN, /* in the middle of a folder's name: what follows the FOLDERS cannot begin here */
    HERE,
};

/* The name may stand at token I, and so behind every token there that may match nothing. Where it
 * stands already, that was done. */
static void place_add(const struct glob *g, uint8_t *places, size_t i)
{
    while (places[i] != HERE) {
        enum kind kind = g->tokens[i].kind;
        places[i] = HERE;
        if (kind != STAR && kind != STARS && kind != FOLDERS)
            return;
        i++;
    }
}

static void place_step(const struct glob *g, size_t i, uint32_t c, uint8_t *next)
{
    const struct token *t = &g->tokens[i];
    switch (t->kind) {
    case LETTER:
        if (c == t->letter)
            place_add(g, next, i + 1);
        break;
    case ANY:
        if (c != '/')
            place_add(g, next, i + 1);
        break;
    case SET:
        if (set_has(g->pattern, t->set, c))
            place_add(g, next, i + 1);
        break;
    case STAR:
        if (c != '/')
            place_add(g, next, i);
        break;
    case STARS:
        place_add(g, next, i);
        break;
    case FOLDERS:
        if (c == '/')
            place_add(g, next, i);
        else if (next[i] == NOWHERE)
            next[i] = WITHIN;
        break;
    case END:
        break;
    }
}

bool storage_match(const char *pattern, const char *text)
{
    uint8_t places[STORAGE_PATTERN_MAX + 1] = {NOWHERE}, next[STORAGE_PATTERN_MAX + 1];
    struct glob g;
    if (strnlen(pattern, STORAGE_PATTERN_MAX + 1) > STORAGE_PATTERN_MAX)
        return false;
    glob_cut(pattern, &g);
    place_add(&g, places, 0);
    while (*text != '\0') {
        struct letter c = letter_at(text);
        text += c.size;
        memset(next, NOWHERE, g.n + 1);
        for (size_t i = 0; i < g.n; i++)
            if (places[i] != NOWHERE)
                place_step(&g, i, c.value, next);
        memcpy(places, next, g.n + 1);
    }
    return places[g.n] == HERE;
}

/*
 * A file's object in ready.json. Its name and the rest of it are text that other rooms took from
 * the service, hence quoted. Read again by a later run, it is compared with the object that this
 * run would write, byte for byte: nothing that another hand or another version wrote passes.
 */
#include "output/internal.h"

#include <string.h>

static const char size_member[] = ",\"size\":";
static const char sha256_member[] = ",\"sha256\":\"";

/* ---- Writing -----------------------------------------------------------------------------------
 */

static enum status member_add(struct buf *out, const char *member, const char *text,
                              struct error *e)
{
    if (text == NULL || text[0] == '\0')
        return OK;
    TRY(buf_addf(out, e, ",\"%s\":", member));
    return json_quote(span_text(text), out, e);
}

static enum status members_add(struct buf *out, const struct output_entry *entry, struct error *e)
{
    const struct {
        const char *member, *text;
    } members[] = {
        {"from", entry->from},
        {"etag", entry->etag},
        {"envelope", entry->envelope},
        {"key", entry->kid},
        {"content_key_sha256", entry->content_key_sha256},
        {"decompress", entry->decompress},
    };
    for (size_t i = 0; i < COUNT(members); i++)
        TRY(member_add(out, members[i].member, members[i].text, e));
    return OK;
}

static enum status digest_add(struct buf *out, const struct output_entry *entry, struct error *e)
{
    if (!entry->has_sha256)
        return OK;
    TRY(buf_add(out, span_text(sha256_member), e));
    TRY(hex_encode(span_of(entry->sha256, SHA256_SIZE), out, e));
    return buf_add(out, SPAN_LITERAL("\""), e);
}

enum status entry_start(const char *name, struct buf *out, struct error *e)
{
    TRY(buf_add(out, SPAN_LITERAL("{\"name\":"), e));
    return json_quote(span_text(name), out, e);
}

enum status entry_describe(const struct output_entry *entry, struct buf *out, struct error *e)
{
    TRY(entry_start(entry->name, out, e));
    TRY(buf_addf(out, e, "%s%llu", size_member, (unsigned long long)entry->size));
    TRY(members_add(out, entry, e));
    TRY(digest_add(out, entry, e));
    return buf_add(out, SPAN_LITERAL("}"), e);
}

/* ---- Comparing ---------------------------------------------------------------------------------
 */

struct span entry_start_of(struct span object)
{
    static const char start[] = "{\"name\":\"";
    if (!span_starts(object, start))
        return (struct span){0};
    for (size_t i = sizeof start - 1; i < object.size; i++) {
        if (object.data[i] == '"')
            return span_of(object.data, i + 1);
        if (object.data[i] == '\\')
            i++;
    }
    return (struct span){0};
}

static bool take(struct span *rest, struct span expected)
{
    if (rest->size < expected.size || !span_equal(span_of(rest->data, expected.size), expected))
        return false;
    *rest = span_of(rest->data + expected.size, rest->size - expected.size);
    return true;
}

/* Digits, as printf writes them. */
static bool take_size(struct span *rest, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < rest->size && rest->data[n] >= '0' && rest->data[n] <= '9'; n++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(rest->data[n] - '0'), &value))
            return false;
    if (n == 0 || (n > 1 && rest->data[0] == '0') || value > INT64_MAX)
        return false;
    *rest = span_of(rest->data + n, rest->size - n);
    *out = value;
    return true;
}

/* Some SHA-256, of an earlier run that was asked for it. */
static bool take_any_digest(struct span *rest)
{
    struct error ignored = {0};
    AUTO(buf_free) struct buf digest = BUF(SHA256_SIZE);
    if (!take(rest, span_text(sha256_member)))
        return true;
    if (rest->size < (size_t)2 * SHA256_SIZE ||
        hex_decode(span_of(rest->data, (size_t)2 * SHA256_SIZE), &digest, E_BUG, &ignored) != OK)
        return false;
    *rest = span_of(rest->data + (size_t)2 * SHA256_SIZE, rest->size - (size_t)2 * SHA256_SIZE);
    return take(rest, SPAN_LITERAL("\""));
}

/* What is no UTF-8 is not written as it is, so it cannot be compared. */
static bool entry_is_exact(const struct output_entry *entry)
{
    const char *const texts[] = {
        entry->name,       entry->from, entry->etag,
        entry->envelope,   entry->kid,  entry->content_key_sha256,
        entry->decompress,
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!utf8_is_valid(span_text(texts[i])))
            return false;
    return true;
}

enum status entry_matches(struct span object, const struct output_entry *wanted, bool *same,
                          uint64_t *size, struct error *e)
{
    uint64_t found = 0;
    AUTO(buf_free) struct buf expected = BUF(RECORD_TEXT_MAX);
    TRY(entry_start(wanted->name, &expected, e));
    bool matches = entry_is_exact(wanted) && take(&object, buf_span(&expected)) &&
                   take(&object, span_text(size_member)) && take_size(&object, &found);
    buf_clear(&expected);
    TRY(members_add(&expected, wanted, e));
    TRY(digest_add(&expected, wanted, e));
    matches = matches && take(&object, buf_span(&expected)) &&
              (wanted->has_sha256 || take_any_digest(&object)) && span_is(object, "}");
    *same = matches;
    if (matches)
        *size = found;
    return OK;
}

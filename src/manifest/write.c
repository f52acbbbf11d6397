/* A manifest, a line at a time, so that whoever makes it holds nothing but its text. */
#include "manifest/manifest.h"

#include <inttypes.h>
#include <string.h>

static const char opening[] = "{ \"version\": 1, \"files\": [";

enum status manifest_begin(struct buf *out, struct error *e)
{
    return buf_add(out, span_of(opening, strlen(opening)), e);
}

static enum status add_pin(struct buf *out, const char *name, const uint8_t pin[static SHA256_SIZE],
                           struct error *e)
{
    TRY(buf_addf(out, e, ", \"%s\": \"", name));
    TRY(hex_encode(span_of(pin, SHA256_SIZE), out, e));
    return buf_add(out, SPAN_LITERAL("\""), e);
}

static enum status add_line(struct buf *out, const struct manifest_line *line, struct error *e)
{
    TRY(buf_addf(out, e, "%s\n  { \"name\": ", out->size > strlen(opening) ? "," : ""));
    TRY(json_quote(span_text(line->name), out, e));
    if (line->has_size)
        TRY(buf_addf(out, e, ", \"size\": %" PRIu64, line->size));
    if (line->has_sha256)
        TRY(add_pin(out, "sha256", line->sha256, e));
    if (line->has_key_sha256)
        TRY(add_pin(out, "key_sha256", line->key_sha256, e));
    return buf_addf(out, e, " }");
}

enum status manifest_add(struct buf *out, const struct manifest_line *line, struct error *e)
{
    if (!line->has_sha256 && !line->has_key_sha256)
        return fail(e, E_BUG, "a line of a manifest without a pin");
    if (add_line(out, line, e) == OK)
        return OK;
    if (e->status == E_SPACE)
        advise(e,
               "a manifest holds %u MiB: seal the data set in parts, each below a prefix of its "
               "own",
               MANIFEST_SIZE_MAX >> 20);
    return wrap(e, "the manifest");
}

enum status manifest_end(struct buf *out, struct error *e)
{
    return buf_addf(out, e, "\n] }\n");
}

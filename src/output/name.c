/*
 * Which names may be published. The names come from the service's listings or from a manifest:
 * whoever may write to the container chooses them, and a flat namespace takes `../x`, `a//b`, `/x`
 * and `a/` as they are (Azure Storage, "Naming and referencing containers, blobs, and metadata").
 * They are refused, never repaired: a repaired name is another name. What passes here is still
 * walked without following links.
 */
#include "output/internal.h"

#include <string.h>

/* C0, DEL, and C1 as UTF-8 writes it (C2 80 … C2 9F): terminals take them for commands. */
static bool has_control(struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c < 0x20 || c == 0x7F)
            return true;
        if (c == 0xC2 && i + 1 < name.size && name.data[i + 1] >= 0x80 && name.data[i + 1] <= 0x9F)
            return true;
    }
    return false;
}

static const char *segment_fault(struct span s)
{
    if (s.size == 0)
        return "has an empty segment (it starts or ends with '/', or has '//')";
    if (span_is(s, "."))
        return "has a segment '.'";
    if (span_is(s, ".."))
        return "has a segment '..'";
    if (s.size > SEGMENT_SIZE)
        return "has a segment of more than 255 bytes";
    return NULL;
}

static const char *segments_fault(struct span name)
{
    size_t start = 0;
    for (size_t i = 0; i <= name.size; i++) {
        if (i < name.size && name.data[i] != '/')
            continue;
        struct span segment = span_of(name.data + start, i - start);
        const char *fault = segment_fault(segment);
        if (fault != NULL)
            return fault;
        if (start == 0 && span_is(segment, OWN_NAME))
            return "lies in " OWN_NAME ", which decant keeps for itself";
        start = i + 1;
    }
    return NULL;
}

static const char *name_fault(struct span name)
{
    if (name.size == 0)
        return "is empty";
    if (name.size > NAME_SIZE)
        return "has more than 4096 bytes";
    if (has_control(name))
        return "has a control character";
    if (!utf8_is_valid(name))
        return "is not UTF-8";
    if (memchr(name.data, '\\', name.size) != NULL)
        return "has a backslash";
    return segments_fault(name);
}

enum status output_name_check(const char *name, struct error *e)
{
    struct span s = span_text(name);
    const char *fault = name_fault(s);
    if (fault == NULL)
        return OK;
    (void)fail(e, E_NAME, "the name \"%.200s\" cannot be published: it %s",
               name != NULL ? name : "", fault);
    advise(e, "rename the blob, give it a name of its own with inputs[].to, or leave it out with "
              "inputs[].match");
    return E_NAME;
}

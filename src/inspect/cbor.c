/* CBOR heads. The text is hostile: each length is held against what is left. */
#include "inspect/cbor.h"

#define DEPTH_MAX 8

static bool take_number(struct span *rest, unsigned bytes, uint64_t *out)
{
    uint64_t number = 0;
    if (rest->size < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | rest->data[i];
    *rest = span_of(rest->data + bytes, rest->size - bytes);
    *out = number;
    return true;
}

bool cbor_take(struct span *rest, struct cbor_item *out)
{
    struct span at = *rest;
    uint64_t head = 0;
    if (!take_number(&at, 1, &head))
        return false;
    unsigned low = head & 0x1f;
    struct cbor_item item = {.type = (enum cbor_type)(head >> 5), .value = low};
    if (low > 27 || (item.type == CBOR_SIMPLE && low > 23)) /* indefinite, reserved, floats */
        return false;
    if (low >= 24 && !take_number(&at, 1u << (low - 24), &item.value))
        return false;
    if (item.type == CBOR_BYTES || item.type == CBOR_TEXT) {
        if (item.value > at.size)
            return false;
        item.content = span_of(at.data, (size_t)item.value);
        at = span_of(at.data + item.value, at.size - (size_t)item.value);
    }
    *rest = at;
    *out = item;
    return true;
}

static bool skip(struct span *rest, int depth)
{
    struct cbor_item item = {0};
    if (depth > DEPTH_MAX || !cbor_take(rest, &item))
        return false;
    uint64_t entries = item.type == CBOR_ARRAY || item.type == CBOR_MAP ? item.value
                       : item.type == CBOR_TAG                         ? 1
                                                                       : 0;
    if (entries > rest->size) /* each takes a byte at least */
        return false;
    for (uint64_t i = 0; i < (item.type == CBOR_MAP ? 2 * entries : entries); i++)
        if (!skip(rest, depth + 1))
            return false;
    return true;
}

bool cbor_skip(struct span *rest)
{
    return skip(rest, 0);
}

bool cbor_expect(struct span *rest, enum cbor_type type, struct cbor_item *out)
{
    return cbor_take(rest, out) && out->type == type;
}

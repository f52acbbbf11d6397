/* Just enough of CBOR (RFC 8949) to read a COSE document: definite lengths, no floats. */
#ifndef DECANT_INSPECT_CBOR_H
#define DECANT_INSPECT_CBOR_H

#include "base/base.h"

enum cbor_type {
    CBOR_UNSIGNED,
    CBOR_NEGATIVE, /* VALUE v means -1 - v */
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_SIMPLE,
};

/* The head of one item, and for bytes and text their content. */
struct cbor_item {
    enum cbor_type type;
    uint64_t value;      /* number, tag, or how many entries follow */
    struct span content; /* CBOR_BYTES and CBOR_TEXT; borrows */
};

/* Takes one head from REST, which is hostile. False: cut off, or of a form not known here. */
bool cbor_take(struct span *rest, struct cbor_item *out);
/* Passes over one whole item, with all that is in it. False if it is cut off or too deep. */
bool cbor_skip(struct span *rest);
/* Takes an item of just this type. */
bool cbor_expect(struct span *rest, enum cbor_type type, struct cbor_item *out);

#endif

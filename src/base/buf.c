/* A growable buffer with a maximum. It always moves to new memory and wipes the old. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

static enum status reserve(struct buf *b, size_t more, struct error *e)
{
    size_t size;
    if (__builtin_add_overflow(b->size, more, &size) || size > b->max)
        return fail(e, E_SPACE, "more than %zu bytes", b->max);
    if (b->data != NULL && size <= b->capacity)
        return OK;
    size_t capacity = b->capacity > 0 ? b->capacity : 256;
    while (capacity < size)
        capacity = capacity > b->max / 2 ? b->max : capacity * 2;
    uint8_t *data = memory_new(capacity + 1);
    if (data == NULL)
        return fail(e, E_SPACE, "out of memory");
    if (b->data != NULL)
        memcpy(data, b->data, b->size);
    data[b->size] = '\0';
    memory_free(b->data);
    b->data = data;
    b->capacity = capacity;
    return OK;
}

enum status buf_add(struct buf *b, struct span bytes, struct error *e)
{
    TRY(reserve(b, bytes.size, e));
    if (bytes.size > 0)
        memcpy(b->data + b->size, bytes.data, bytes.size);
    b->size += bytes.size;
    b->data[b->size] = '\0';
    return OK;
}

enum status buf_addf(struct buf *b, struct error *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return fail(e, E_BUG, "a text could not be formatted");
    TRY(reserve(b, (size_t)length, e));
    va_start(arguments, format);
    (void)vsnprintf((char *)b->data + b->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)length;
    return OK;
}

struct span buf_span(const struct buf *b)
{
    return span_of(b->data, b->size);
}

const char *buf_text(const struct buf *b)
{
    return b->data != NULL ? (const char *)b->data : "";
}

void buf_clear(struct buf *b)
{
    if (b->data != NULL) {
        wipe(b->data, b->size);
        b->data[0] = '\0';
    }
    b->size = 0;
}

void buf_free(struct buf *b)
{
    memory_free(b->data);
    *b = BUF(b->max);
}

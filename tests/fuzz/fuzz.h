/*
 * What every fuzz target needs. A target is a file with LLVMFuzzerTestOneInput: clang links it with
 * libFuzzer (make fuzz), any compiler with replay.c, which runs it over files (make check).
 *
 * Structured input is taken from the front: bytes, numbers (little endian) and chunks (a length of
 * two bytes, then what is left of that many). Whatever the bytes are, they can be taken apart: at
 * the end everything is zero or empty. seeds.py writes the same form.
 */
#ifndef DECANT_FUZZ_H
#define DECANT_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A failure is one of the classes that the function's contract names, and says something. */
#define must_fail_as(result, error_, ...)                                                          \
    do {                                                                                           \
        const enum status result_ = (result), classes_[] = {OK, __VA_ARGS__};                      \
        const struct error *said_ = (error_);                                                      \
        bool known_ = false;                                                                       \
        for (size_t i_ = 0; i_ < COUNT(classes_); i_++)                                            \
            known_ = known_ || classes_[i_] == result_;                                            \
        if (!known_)                                                                               \
            (void)fprintf(stderr, "status %d: %s\n", (int)result_, said_->text);                   \
        must(known_);                                                                              \
        must(result_ == OK || (said_->status == result_ && said_->text[0] != '\0'));               \
    } while (0)

static inline uint8_t take_byte(struct span *in)
{
    if (in->size == 0)
        return 0;
    uint8_t byte = in->data[0];
    *in = span_of(in->data + 1, in->size - 1);
    return byte;
}

static inline uint32_t take_number(struct span *in, int bytes)
{
    uint32_t n = 0;
    for (int i = 0; i < bytes; i++)
        n |= (uint32_t)take_byte(in) << (8 * i);
    return n;
}

/* Owned by the caller: memory of just that size, so that one byte too many is noticed. */
struct chunk {
    uint8_t *data;
    size_t size;
};

static inline void chunk_free(struct chunk *c)
{
    free(c->data);
    *c = (struct chunk){0};
}

static inline struct chunk chunk_of(struct span bytes)
{
    struct chunk c = {.data = malloc(bytes.size > 0 ? bytes.size : 1), .size = bytes.size};
    must(c.data != NULL);
    if (bytes.size > 0)
        memcpy(c.data, bytes.data, bytes.size);
    return c;
}

static inline struct chunk take_chunk(struct span *in)
{
    size_t size = take_number(in, 2);
    if (size > in->size)
        size = in->size;
    struct chunk c = chunk_of(span_of(in->data, size));
    *in = span_of(in->data + size, in->size - size);
    return c;
}

/* The same as text: it ends at the first NUL. free() it. */
static inline char *take_text(struct span *in)
{
    AUTO(chunk_free) struct chunk c = take_chunk(in);
    char *text = strndup((const char *)c.data, c.size);
    must(text != NULL);
    return text;
}

static inline void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

static inline struct span chunk_span(const struct chunk *c)
{
    return span_of(c->data, c->size);
}

/* A file of the test data; to be read once and kept. */
static inline struct buf data_read(const char *path)
{
    struct buf out = BUF((size_t)1 << 20);
    struct error e = {0};
    if (file_read(path, out.max, &out, E_BUG, &e) != OK)
        (void)fprintf(stderr, "%s\n", e.text);
    must(out.size > 0);
    return out;
}

#endif

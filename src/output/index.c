/*
 * Where the entry of a name stands in the lists of earlier runs: a sorted array of hashes and
 * offsets. The names are not in it, so that a hundred thousand files cost a megabyte and a half;
 * whoever finds a mark reads the entry and compares. The hash is SHA-256, cut to 64 bits: names
 * come from the service, and nobody shall choose them so that they all fall together.
 */
#include "output/internal.h"

#include <stdlib.h>
#include <string.h>

#define MARKS_MAX ((size_t)1 << 19) /* 8 MiB; the files beyond are fetched again */

static bool key_hash(struct span key, uint64_t *out)
{
    struct error ignored = {0};
    uint8_t digest[SHA256_SIZE];
    if (sha256(key, digest, &ignored) != OK)
        return false;
    memcpy(out, digest, sizeof *out);
    return true;
}

static bool index_grow(struct index *x)
{
    size_t capacity = x->capacity > 0 ? x->capacity * 2 : 64;
    if (capacity > MARKS_MAX)
        return false;
    struct mark *larger = reallocarray(x->marks, capacity, sizeof *larger);
    if (larger == NULL)
        return false;
    x->marks = larger;
    x->capacity = capacity;
    return true;
}

bool index_add(struct index *x, struct span key, uint64_t place)
{
    uint64_t hash = 0;
    if (!key_hash(key, &hash) || (x->count == x->capacity && !index_grow(x)))
        return false;
    x->marks[x->count++] = (struct mark){.hash = hash, .place = place};
    return true;
}

static int marks_compare(const void *a, const void *b)
{
    const struct mark *left = a;
    const struct mark *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->place > right->place) - (left->place < right->place);
}

void index_sort(struct index *x)
{
    if (x->count > 1)
        qsort(x->marks, x->count, sizeof *x->marks, marks_compare);
}

const struct mark *index_find(const struct index *x, struct span key, size_t *count)
{
    uint64_t hash = 0;
    size_t low = 0;
    size_t high = x->count;
    *count = 0;
    if (x->count == 0 || !key_hash(key, &hash))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (x->marks[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + *count < x->count && x->marks[low + *count].hash == hash)
        ++*count;
    return *count > 0 ? x->marks + low : NULL;
}

void index_free(struct index *x)
{
    free(x->marks);
    *x = (struct index){0};
}

/*
 * Which blobs are whose when a data set is spread over several runs. Each run reads the whole
 * listing and comes to the same assignment by itself: the largest blob goes first, each to the
 * shard with the least so far (Graham's LPT rule), ties by the listing's order and the shard's
 * number. Sixteen bytes per blob; sizes and names are the service's word, so a wrong one can
 * unbalance the shards but not overlap them.
 */
#include "job/internal.h"

#include <stdlib.h>

enum { BLOBS_MAX = 16 << 20, SHARDS_MAX = 100000 };

/* What a blob costs besides its bytes: a request, an unwrap, a file. */
static const uint64_t blob_cost = 256 << 10;

struct shard_blob {
    uint64_t size;
    uint32_t hash; /* of the name: tells whether the second reading is the first one's */
    uint32_t shard;
};

struct shard_list {
    struct shard_blob *blobs;
    size_t n, room;
    uint32_t mine;
};

struct load {
    uint64_t bytes;
    uint32_t shard;
};

enum status shard_list_new(struct shard_list **out, struct error *e)
{
    struct shard_list *list = memory_array(1, sizeof(*list));
    if (list == NULL)
        return fail(e, E_SPACE, "out of memory");
    *out = list;
    return OK;
}

void shard_list_free(struct shard_list **list)
{
    if (*list != NULL)
        memory_free((*list)->blobs);
    memory_free(*list);
    *list = NULL;
}

static uint32_t hash_name(const char *name) /* FNV-1a */
{
    uint32_t hash = 2166136261U;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619U;
    return hash;
}

enum status shard_add(struct shard_list *list, const char *name, uint64_t size, struct error *e)
{
    if (list->n == list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 1024;
        struct shard_blob *more =
            room > BLOBS_MAX ? NULL : memory_resize(list->blobs, room * sizeof(*more));
        if (more == NULL)
            return fail(e, E_SPACE, "more than %zu blobs cannot be spread over shards", list->n);
        list->blobs = more;
        list->room = room;
    }
    list->blobs[list->n++] = (struct shard_blob){.size = size, .hash = hash_name(name)};
    return OK;
}

static bool is_lighter(const struct load *a, const struct load *b)
{
    return a->bytes != b->bytes ? a->bytes < b->bytes : a->shard < b->shard;
}

/* The lightest shard stands at the root of a binary heap; it got heavier: let it sink. */
static void sink_root(struct load *heap, size_t n)
{
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (is_lighter(&heap[child], &heap[least]))
                least = child;
        if (least == at)
            return;
        struct load swapped = heap[at];
        heap[at] = heap[least];
        heap[least] = swapped;
        at = least;
    }
}

static int compare_sizes(const void *a, const void *b)
{
    const struct shard_blob *x = *(struct shard_blob *const *)a,
                            *y = *(struct shard_blob *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x < y ? -1 : x > y; /* the listing's order */
}

static void order_free(struct shard_blob ***order)
{
    memory_free(*order);
}

static void heap_free(struct load **heap)
{
    memory_free(*heap);
}

enum status shard_assign(struct shard_list *list, uint32_t mine, uint32_t shards, struct error *e)
{
    AUTO(order_free) struct shard_blob **order = memory_array(list->n, sizeof(struct shard_blob *));
    AUTO(heap_free) struct load *heap = memory_array(shards, sizeof(*heap));
    if (order == NULL || heap == NULL || shards > SHARDS_MAX)
        return fail(e, E_SPACE, "no memory for %u shards", shards);
    for (size_t i = 0; i < list->n; i++)
        order[i] = &list->blobs[i];
    for (uint32_t i = 0; i < shards; i++)
        heap[i].shard = i;
    qsort(order, list->n, sizeof(struct shard_blob *), compare_sizes);
    for (size_t i = 0; i < list->n; i++) {
        order[i]->shard = heap[0].shard;
        if (__builtin_add_overflow(heap[0].bytes, order[i]->size, &heap[0].bytes) ||
            __builtin_add_overflow(heap[0].bytes, blob_cost, &heap[0].bytes))
            heap[0].bytes = UINT64_MAX;
        sink_root(heap, shards);
    }
    list->mine = mine;
    return OK;
}

enum status shard_check(const struct shard_list *list, size_t i, const char *name, uint64_t size,
                        bool *mine, struct error *e)
{
    if (i < list->n && list->blobs[i].hash == hash_name(name) && list->blobs[i].size == size) {
        *mine = list->blobs[i].shard == list->mine;
        return OK;
    }
    (void)fail(e, E_NETWORK, "the listing changed while it was spread over shards, at %s", name);
    advise(e, "Try again when nobody writes to the container, or pin the set by a manifest");
    return e->status;
}

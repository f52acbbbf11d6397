/*
 * Which stretches of a blob are finished. The numbers come from our own spans, not from the
 * network; the promise is that a stretch that was left out or finished twice cannot look like a
 * whole blob.
 *
 * Stretches mostly finish in order, so the list stays as short as the number of threads.
 */
#include "envelope/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void coverage_init(struct coverage *c)
{
    *c = (struct coverage){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void coverage_free(struct coverage *c)
{
    free(c->done);
    c->done = NULL;
    c->n = c->capacity = 0;
    (void)pthread_mutex_destroy(&c->lock);
}

static enum status insert(struct coverage *c, size_t at, struct stretch s, struct error *e)
{
    if (c->n == c->capacity) {
        size_t capacity = c->capacity > 0 ? 2 * c->capacity : 16;
        struct stretch *grown = reallocarray(c->done, capacity, sizeof(*grown));
        if (grown == NULL)
            return fail(e, E_SPACE, "no memory to keep account of %zu stretches", capacity);
        c->done = grown;
        c->capacity = capacity;
    }
    memmove(&c->done[at + 1], &c->done[at], (c->n - at) * sizeof(*c->done));
    c->done[at] = s;
    c->n++;
    return OK;
}

static void remove_at(struct coverage *c, size_t at)
{
    c->n--;
    memmove(&c->done[at], &c->done[at + 1], (c->n - at) * sizeof(*c->done));
}

static enum status add(struct coverage *c, struct stretch s, struct error *e)
{
    size_t at = c->n; /* of the first stretch behind S */
    while (at > 0 && c->done[at - 1].from >= s.from)
        at--;
    struct stretch *before = at > 0 ? &c->done[at - 1] : NULL;
    struct stretch *after = at < c->n ? &c->done[at] : NULL;
    if ((before != NULL && before->to > s.from) || (after != NULL && after->from < s.to))
        return fail(e, E_BUG, "the stretch at byte %" PRIu64 " was finished twice", s.from);

    bool joins_before = before != NULL && before->to == s.from;
    bool joins_after = after != NULL && after->from == s.to;
    if (joins_before) {
        before->to = joins_after ? after->to : s.to;
        if (joins_after)
            remove_at(c, at);
        return OK;
    }
    if (joins_after) {
        after->from = s.from;
        return OK;
    }
    return insert(c, at, s, e);
}

enum status coverage_add(struct coverage *c, struct stretch s, struct error *e)
{
    (void)pthread_mutex_lock(&c->lock);
    enum status status = add(c, s, e);
    (void)pthread_mutex_unlock(&c->lock);
    return status;
}

bool coverage_is(struct coverage *c, uint64_t size)
{
    (void)pthread_mutex_lock(&c->lock);
    bool whole = size == 0 ? c->n == 0 : c->n == 1 && c->done[0].from == 0 && c->done[0].to == size;
    (void)pthread_mutex_unlock(&c->lock);
    return whole;
}

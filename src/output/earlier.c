/*
 * What earlier runs left on the volume: the ready.json of the last one that published, and the
 * stages of those that were killed since, one inside the other. Everything here lay on the volume
 * while nobody watched; what cannot be read, or has not just the form that decant gives it, is as
 * if it were not there, and its files are fetched again. Nothing here fails.
 */
#include "output/internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SOURCE_SHIFT 56

size_t place_source(uint64_t place)
{
    return (size_t)(place >> SOURCE_SHIFT);
}

uint64_t place_at(uint64_t place)
{
    return place & (((uint64_t)1 << SOURCE_SHIFT) - 1);
}

static uint64_t place_of(size_t source, uint64_t at)
{
    return (uint64_t)source << SOURCE_SHIFT | at;
}

/* ---- Opening and closing -----------------------------------------------------------------------
 */

/* A ready.json that was moved aside by a run that was killed then is as good as one in its place:
 * its time is still that of the run that wrote it. */
static void ready_open(struct earlier *x, int directory, const char *name)
{
    if (x->ready < 0)
        x->ready = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static bool generation_open(struct earlier *x, int stage)
{
    struct generation *g = &x->generations[x->count];
    *g = (struct generation){.tree = openat(stage, TREE_NAME, OPEN_DIRECTORY),
                             .journal = {.fd = -1}};
    x->count++;
    return g->tree >= 0 && journal_reopen(&g->journal, stage);
}

static void generation_close(struct generation *g)
{
    descriptor_close(&g->tree);
    journal_close(&g->journal);
}

void earlier_open(struct volume *v)
{
    struct earlier *x = &v->earlier;
    if (v->own < 0)
        return;
    ready_open(x, v->own, READY_NAME);
    /* A dry run leaves the stage of a killed one where it is. */
    AUTO(descriptor_close)
    int stage = v->dry ? openat(v->own, STAGE_NAME, OPEN_DIRECTORY)
                       : openat(v->stage, EARLIER_NAME, OPEN_DIRECTORY);
    while (stage >= 0) {
        ready_open(x, stage, OLD_NAME);
        if (!generation_open(x, stage))
            generation_close(&x->generations[x->count - 1]);
        bool enough = x->count == EARLIER_MAX;
        if (enough && !v->dry)
            (void)tree_remove(stage, EARLIER_NAME);
        int next = enough ? -1 : openat(stage, EARLIER_NAME, OPEN_DIRECTORY);
        descriptor_close(&stage);
        stage = next;
    }
}

void earlier_close(struct earlier *x)
{
    for (size_t i = 0; i < x->count; i++)
        generation_close(&x->generations[i]);
    descriptor_close(&x->ready);
    index_free(&x->index);
    *x = EARLIER_EMPTY;
}

void earlier_drop(struct volume *v)
{
    struct earlier *x = &v->earlier;
    if (v->dry || x->count == 0)
        return;
    for (size_t i = 0; i < x->count; i++)
        generation_close(&x->generations[i]);
    (void)tree_remove(v->stage, EARLIER_NAME);
}

bool earlier_make_room(struct volume *v)
{
    (void)pthread_mutex_lock(&v->lock);
    earlier_drop(v);
    bool any = !v->dry && v->earlier.count > 0; /* perhaps dropped by another thread just now */
    (void)pthread_mutex_unlock(&v->lock);
    return any;
}

/* ---- Reading the lists -------------------------------------------------------------------------
 */

static bool look_find(struct volume *v)
{
    struct error ignored = {0};
    AUTO(descriptor_close) int fd = -1;
    return unnamed_open(v->root, &fd, &ignored) == OK &&
           volume_dress(v, fd, v->mode, "it", &ignored) == OK && fstat(fd, &v->earlier.look) == 0;
}

/* Written by a run that gave it the mode and the owner that this one would give it. */
static bool ready_is_ours(const struct volume *v, const struct stat *st)
{
    const struct stat *look = &v->earlier.look;
    return S_ISREG(st->st_mode) && (st->st_mode & 07777) == (v->mode & 0444) &&
           st->st_uid == look->st_uid && st->st_gid == look->st_gid && st->st_dev == look->st_dev;
}

static bool ready_list(struct earlier *x, uint64_t size)
{
    AUTO(buf_free) struct buf object = BUF(RECORD_TEXT_MAX + 2);
    uint64_t at = 0;
    bool last = false;
    if (!ready_begin(x->ready, &at))
        return false;
    while (!last) {
        uint64_t start = at;
        if (!ready_next(x->ready, &at, &object, &last))
            return false;
        struct span key = entry_start_of(buf_span(&object));
        if (key.size == 0)
            return false;
        if (!index_add(&x->index, key, place_of(PLACE_READY, start)))
            return true; /* full: what is in it can be used */
    }
    return at == size;
}

static void ready_load(struct volume *v)
{
    struct earlier *x = &v->earlier;
    struct stat st;
    if (x->ready < 0)
        return;
    if (fstat(x->ready, &st) == 0 && ready_is_ours(v, &st) && ready_list(x, (uint64_t)st.st_size)) {
        x->written = st.st_mtim;
        return;
    }
    descriptor_close(&x->ready);
    x->index.count = 0;
}

static void generation_load(struct earlier *x, size_t number)
{
    const struct journal *j = &x->generations[number].journal;
    AUTO(record_free) struct record entry = RECORD_EMPTY;
    struct error ignored = {0};
    for (uint64_t at = j->first; at < j->size;) {
        uint64_t start = at;
        if (journal_next(j, &at, &entry, &ignored) != OK)
            return; /* torn when the process was killed */
        struct span key = entry_start_of(buf_span(&entry.text));
        if (entry.kind == SEALED && key.size > 0 &&
            !index_add(&x->index, key, place_of(1 + number, start)))
            return;
    }
}

void earlier_load(struct volume *v)
{
    struct earlier *x = &v->earlier;
    if (x->loaded)
        return;
    x->loaded = true;
    if ((x->ready < 0 && x->count == 0) || !look_find(v))
        return;
    ready_load(v);
    for (size_t i = 0; i < x->count; i++)
        if (x->generations[i].tree >= 0)
            generation_load(x, i);
    index_sort(&x->index);
}

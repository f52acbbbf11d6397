/*
 * Keeping a file of an earlier run instead of fetching it again. What was wanted comes from this
 * run's job and the service; what is there, from the volume. It is kept only if the entry that an
 * earlier run wrote is the one that this run would write, and if the kernel says that the file was
 * not touched since. (On tmpfs the kernel does not notice who writes through a shared mapping; but
 * published files are readable only, unless the job says otherwise.)
 *
 * A file in its place stays there, not even linked: that would be a touch, after which a run that
 * fails could not be followed by one that keeps it. An empty file holds its name in the stage,
 * where names collide. A file that a killed run had sealed moves from that run's stage to ours.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A name that is asked for, and where it goes in the stage. */
struct keeping {
    struct volume *volume;
    const struct output_entry *wanted;
    int parent; /* -1: a dry run */
    const char *leaf;
    bool kept;
    uint64_t size;
};

static void keeping_free(struct keeping *k)
{
    descriptor_close(&k->parent);
}

struct found {
    int parent;
    const char *leaf;
    struct stat st;
};

#define FOUND_EMPTY ((struct found){.parent = -1})

static void found_free(struct found *f)
{
    descriptor_close(&f->parent);
}

static bool file_find(int root, const char *name, struct found *out)
{
    struct error ignored = {0};
    struct walk walk = {.root = root, .obstacle = "not a directory"};
    return walk_parent(&walk, name, &out->parent, &out->leaf, &ignored) == OK &&
           fstatat(out->parent, out->leaf, &out->st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool looks_right(const struct volume *v, const struct stat *st, uint64_t size)
{
    const struct stat *look = &v->earlier.look;
    return S_ISREG(st->st_mode) && (st->st_mode & 07777) == (look->st_mode & 07777) &&
           st->st_uid == look->st_uid && st->st_gid == look->st_gid && st->st_dev == look->st_dev &&
           (uint64_t)st->st_size == size;
}

static bool stamps_equal(struct stamp a, struct stamp b)
{
    return a.inode == b.inode && a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
}

/* ---- In its place ------------------------------------------------------------------------------
 */

static enum status name_hold(const struct keeping *k, struct error *e)
{
    AUTO(descriptor_close)
    int fd = openat(k->parent, k->leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        return OK;
    if (errno == EEXIST)
        return stage_taken(k->parent, k->leaf, e);
    return fail_errno(e, status_of(errno), "cannot hold the file's name");
}

static enum status keep_in_place(struct keeping *k, uint64_t at, struct error *e)
{
    struct volume *v = k->volume;
    const char *name = k->wanted->name;
    AUTO(buf_free) struct buf object = BUF(RECORD_TEXT_MAX + 2);
    AUTO(found_free) struct found found = FOUND_EMPTY;
    bool last = false;
    bool same = false;
    if (!ready_next(v->earlier.ready, &at, &object, &last))
        return OK;
    TRY(entry_matches(buf_span(&object), k->wanted, &same, &k->size, e));
    if (!same || !file_find(v->root, name, &found) || !looks_right(v, &found.st, k->size) ||
        !time_is_before(found.st.st_ctim, v->earlier.written))
        return OK;
    if (!v->dry) {
        const struct note note = {
            .kind = KEPT, .name = name, .stamp = stamp_of(&found.st), .text = buf_span(&object)};
        TRY(name_hold(k, e));
        TRY(stage_note(v, &note, e));
    }
    k->kept = true;
    return OK;
}

enum status kept_check(const struct volume *v, const struct record *entry, struct error *e)
{
    AUTO(found_free) struct found found = FOUND_EMPTY;
    if (file_find(v->root, entry->name, &found) && S_ISREG(found.st.st_mode) &&
        stamps_equal(stamp_of(&found.st), entry->stamp))
        return OK;
    (void)fail(e, E_BUG, "it was right when the run began, and somebody has touched it since");
    advise(e, "run again: then the file is fetched; and leave the volume alone meanwhile");
    return E_BUG;
}

/* ---- In the stage of a killed run --------------------------------------------------------------
 */

static enum status move_here(struct keeping *k, const struct found *from, struct span text,
                             struct error *e)
{
    struct stat st;
    if (renameat2(from->parent, from->leaf, k->parent, k->leaf, RENAME_NOREPLACE) != 0)
        return errno == EEXIST ? stage_taken(k->parent, k->leaf, e) : OK;
    if (fstatat(k->parent, k->leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(e, E_BUG, "cannot examine the file in the stage");
    const struct note note = {
        .kind = SEALED, .name = k->wanted->name, .stamp = stamp_of(&st), .text = text};
    TRY(stage_note(k->volume, &note, e));
    k->kept = true;
    return OK;
}

static enum status keep_from_stage(struct keeping *k, const struct generation *g, uint64_t at,
                                   struct error *e)
{
    struct volume *v = k->volume;
    AUTO(record_free) struct record entry = RECORD_EMPTY;
    AUTO(found_free) struct found found = FOUND_EMPTY;
    struct error ignored = {0};
    bool same = false;
    if (g->tree < 0 || journal_next(&g->journal, &at, &entry, &ignored) != OK ||
        strcmp(entry.name, k->wanted->name) != 0 || !file_find(g->tree, entry.name, &found))
        return OK;
    TRY(entry_matches(buf_span(&entry.text), k->wanted, &same, &k->size, e));
    if (same && looks_right(v, &found.st, k->size) &&
        stamps_equal(stamp_of(&found.st), entry.stamp)) {
        if (!v->dry)
            return move_here(k, &found, buf_span(&entry.text), e);
        k->kept = true;
    } else if (!v->dry) {
        (void)unlinkat(found.parent, found.leaf, 0); /* room for the right one */
    }
    return OK;
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

/* The name's place in the stage, which nobody may have. */
static enum status name_find(struct keeping *k, struct error *e)
{
    struct stat st;
    if (k->volume->dry)
        return OK;
    TRY(stage_find(k->volume, k->wanted->name, &k->parent, &k->leaf, e));
    if (fstatat(k->parent, k->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return stage_taken(k->parent, k->leaf, e);
    return OK;
}

static enum status keep(struct keeping *k, struct error *e)
{
    struct earlier *x = &k->volume->earlier;
    AUTO(buf_free) struct buf key = BUF(RECORD_TEXT_MAX);
    size_t count = 0;
    earlier_load(k->volume);
    TRY(entry_start(k->wanted->name, &key, e));
    const struct mark *marks = index_find(&x->index, buf_span(&key), &count);
    if (count > 0) /* else the file is fetched, and finds its place when it is sealed */
        TRY(name_find(k, e));
    for (size_t i = 0; i < count && !k->kept; i++) {
        size_t source = place_source(marks[i].place);
        uint64_t at = place_at(marks[i].place);
        TRY(source == PLACE_READY ? keep_in_place(k, at, e)
                                  : keep_from_stage(k, &x->generations[source - 1], at, e));
    }
    return OK;
}

enum status output_keep(struct volume *volume, const struct output_entry *wanted, bool *kept,
                        uint64_t *size, struct error *e)
{
    AUTO(keeping_free) struct keeping k = {.volume = volume, .wanted = wanted, .parent = -1};
    TRY(output_name_check(wanted->name, e));
    (void)pthread_mutex_lock(&volume->lock);
    enum status s = keep(&k, e);
    (void)pthread_mutex_unlock(&volume->lock);
    if (s != OK)
        return wrap(e, "%.200s", wanted->name);
    *kept = k.kept;
    if (k.kept)
        *size = k.size;
    return OK;
}

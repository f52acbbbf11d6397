/*
 * Publishing, all or nothing. The order makes it so:
 *   1. What killed runs left and nobody took goes. ready.json is written whole, into the stage: if
 * there is no room for it, nothing was touched yet.
 *   2. An old ready.json moves aside, so that nobody takes half-replaced files for a finished run.
 *   3. Each staged file moves to its place: into a free one by RENAME_NOREPLACE; one that has a
 * file or link by RENAME_EXCHANGE, which leaves the old one in the stage. Each step is noted
 * beforehand. A kept file is in its place already: it must still be as it was.
 *   4. ready.json moves to its place: one rename, the point of no return.
 * A failure or a signal before 4 undoes the notes in reverse. Names were checked and proved free of
 * collisions among themselves (stage.c); what already lies on the volume is not trusted: no link is
 * followed.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOVED     'n'
#define EXCHANGED 'x'

struct publication {
    struct volume *volume;
    struct journal done; /* what to undo */
    int ready;           /* the new ready.json */
    bool old_aside;
};

static void publication_free(struct publication *p)
{
    journal_close(&p->done);
    descriptor_close(&p->ready);
}

static enum status old_ready_aside(struct publication *p, struct error *e)
{
    const struct volume *v = p->volume;
    p->old_aside = renameat(v->own, READY_NAME, v->stage, OLD_NAME) == 0;
    if (!p->old_aside && errno != ENOENT)
        return fail_errno(e, status_of(errno), "cannot move the old " READY_NAME " aside");
    return OK;
}

/* ---- Moving one file ---------------------------------------------------------------------------
 */

struct places {
    int from, to; /* the directories: below the stage, and on the volume */
    const char *leaf;
};

#define PLACES_EMPTY ((struct places){-1, -1, NULL})

static void places_free(struct places *p)
{
    descriptor_close(&p->from);
    descriptor_close(&p->to);
}

static enum status places_find(struct publication *p, bool make, const char *name,
                               struct places *out, struct error *e)
{
    const struct volume *v = p->volume;
    struct walk staged = {.root = v->tree, .obstacle = "not a directory in the stage"};
    struct walk placed = {.root = v->root,
                          .make = make,
                          .mode = 0755,
                          .made = make ? &p->done : NULL,
                          .obstacle =
                              "a link or a file on the volume, and files should go below it"};
    TRY(walk_parent(&staged, name, &out->from, &out->leaf, e));
    return walk_parent(&placed, name, &out->to, &out->leaf, e);
}

static enum status rename_failed(struct error *e)
{
    if (errno == EINVAL || errno == ENOSYS)
        return fail(e, E_VOLUME, "the volume's file system cannot exchange files (renameat2)");
    if (errno == EXDEV)
        return fail(e, E_NAME, "its place is on another file system than the volume");
    return fail_errno(e, status_of(errno), "cannot move the file to its place");
}

/* Notes KIND, then renames; the note goes again if that failed. Leaves errno as the rename set it.
 */
static enum status rename_noted(struct publication *p, const struct places *at, const char *name,
                                char kind, int *number, struct error *e)
{
    uint64_t before = p->done.size;
    unsigned int how = kind == EXCHANGED ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    TRY(journal_append(&p->done, &(struct note){.kind = kind, .name = name}, e));
    *number = 0;
    if (renameat2(at->from, at->leaf, at->to, at->leaf, how) == 0)
        return OK;
    *number = errno;
    p->done.size = before;
    return OK;
}

static enum status file_move(struct publication *p, const char *name, struct error *e)
{
    AUTO(places_free) struct places at = PLACES_EMPTY;
    int number = 0;
    struct stat st;
    TRY(places_find(p, true, name, &at, e));
    TRY(rename_noted(p, &at, name, MOVED, &number, e));
    if (number == EEXIST) {
        if (fstatat(at.to, at.leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            return fail(e, E_NAME, "its place on the volume is a directory");
        TRY(rename_noted(p, &at, name, EXCHANGED, &number, e));
    }
    if (number == 0)
        return OK;
    errno = number;
    return rename_failed(e);
}

static enum status files_move(struct publication *p, struct error *e)
{
    const struct volume *v = p->volume;
    AUTO(record_free) struct record entry = RECORD_EMPTY;
    for (uint64_t at = v->entries.first; at < v->entries.size;) {
        TRY(stop_check(e));
        TRY(journal_next(&v->entries, &at, &entry, e));
        enum status s = entry.kind == KEPT ? kept_check(v, &entry, e) : file_move(p, entry.name, e);
        if (s != OK) {
            (void)wrap(e, "%.200s", entry.name);
            if (e->status == E_NAME)
                advise(
                    e,
                    "remove what is in the way, or give the file another place with inputs[].to");
            return e->status;
        }
    }
    return OK;
}

/* ---- Undoing -----------------------------------------------------------------------------------
 */

static enum status step_undo(struct publication *p, const struct record *step, struct error *e)
{
    struct walk placed = {.root = p->volume->root, .obstacle = "not a directory any more"};
    if (step->kind == MADE_DIRECTORY) {
        AUTO(descriptor_close) int parent = -1;
        const char *leaf = NULL;
        TRY(walk_parent(&placed, step->name, &parent, &leaf, e));
        if (unlinkat(parent, leaf, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY)
            return fail_errno(e, E_BUG, "cannot remove the directory");
        return OK; /* somebody else put something into it: theirs now */
    }
    AUTO(places_free) struct places at = PLACES_EMPTY;
    TRY(places_find(p, false, step->name, &at, e));
    unsigned int how = step->kind == EXCHANGED ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(at.to, at.leaf, at.from, at.leaf, how) != 0)
        return fail_errno(e, E_BUG, "cannot take the file back");
    return OK;
}

static enum status undo_steps(struct publication *p, struct error *e)
{
    AUTO(record_free) struct record step = RECORD_EMPTY;
    enum status first = OK;
    for (uint64_t at = p->done.size; at > 0;) {
        struct error one = {0};
        TRY(journal_previous(&p->done, &at, &step, e));
        if (step_undo(p, &step, &one) != OK && first == OK) {
            *e = one;
            first = wrap(e, "%.200s", step.name);
        }
    }
    return first;
}

/* E says why publishing failed, and keeps its status. The old ready.json comes back only over a
 * volume that is as it was: it must not vouch for anything else. */
static void publish_undo(struct publication *p, struct error *e)
{
    const struct volume *v = p->volume;
    struct error why = {0};
    if (undo_steps(p, &why) != OK) {
        char text[sizeof e->text];
        (void)snprintf(text, sizeof text, "%s", e->text);
        (void)snprintf(e->text, sizeof e->text, "%.300s; and undoing failed: %.300s", text,
                       why.text);
        return;
    }
    if (p->old_aside)
        (void)renameat(v->stage, OLD_NAME, v->own, READY_NAME);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static enum status publish_steps(struct publication *p, struct error *e)
{
    const struct volume *v = p->volume;
    TRY(old_ready_aside(p, e));
    TRY(files_move(p, e));
    TRY(ready_touch(p->ready, e));
    if (!v->memory && syncfs(v->root) != 0) /* all data before the name that vouches for it */
        return fail_errno(e, status_of(errno), "cannot write the volume out");
    TRY(stop_check(e));
    if (renameat(v->stage, READY_NAME, v->own, READY_NAME) != 0)
        return fail_errno(e, status_of(errno), "cannot move " READY_NAME " to its place");
    if (!v->memory)
        (void)fsync(v->own); /* too late to fail: readers have seen it */
    return OK;
}

static enum status publish_or_undo(struct volume *v, struct span summary, struct error *e)
{
    AUTO(publication_free)
    struct publication p = {.volume = v, .done = {.fd = -1}, .ready = -1};
    TRY(stop_check(e));
    (void)earlier_make_room(v);
    TRY(ready_stage(v, summary, &p.ready, e));
    TRY(journal_open(&p.done, v->root, e));
    enum status s = publish_steps(&p, e);
    if (s != OK)
        publish_undo(&p, e);
    return s;
}

/* Unmounted, moved away or covered by another mount, the directory that we hold is still good to
 * write to, but nobody would find there what we publish. */
static enum status root_check(const struct volume *v, struct error *e)
{
    struct stat held;
    struct stat named;
    if (fstat(v->root, &held) == 0 && stat(v->path, &named) == 0 && held.st_dev == named.st_dev &&
        held.st_ino == named.st_ino)
        return OK;
    (void)fail(e, E_BUG, "another directory is there than when the run began, or none");
    advise(e, "leave the volume mounted where it is for as long as decant runs");
    return E_BUG;
}

enum status volume_publish(struct volume *volume, struct span summary, struct error *e)
{
    if (volume->dry || volume->published)
        return fail(e, E_BUG, "nothing to publish: %s",
                    volume->dry ? "a dry run" : "it was published before");
    if (root_check(volume, e) != OK || publish_or_undo(volume, summary, e) != OK)
        return wrap(e, "cannot publish to %.200s", volume->path);
    volume->published = true;
    return OK;
}

/*
 * Sealing. A verified file gets its later name below .decant/stage/tree, where mode 0700 keeps
 * readers out, so that the file system finds names that collide: `a` and `a/b`, or one name twice.
 * What ready.json will say of it goes to the journal, .decant/stage/journal. If the process is
 * killed, both stay: the next run puts them aside as .decant/stage/earlier, to keep what is still
 * right (keep.c). The names are hostile (see name.c).
 */
#include "output/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The directory -----------------------------------------------------------------------------
 */

/* What a killed run sealed can be used again (keep.c), if nobody else could reach it. */
static bool stage_is_reusable(const struct volume *v)
{
    struct stat st;
    AUTO(descriptor_close) int fd = openat(v->own, STAGE_NAME, OPEN_DIRECTORY);
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
           fstatat(fd, JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool stage_remove(const struct volume *v)
{
    bool next = tree_remove(v->own, NEXT_NAME);
    return tree_remove(v->own, STAGE_NAME) && next;
}

/* Made whole under another name, so that a stage is always one that the next run can read. */
static enum status stage_make(struct volume *v, struct error *e)
{
    bool made = false;
    TRY(directory_make(v->own, NEXT_NAME, 0700, &v->stage, &made, e));
    TRY(directory_make(v->stage, TREE_NAME, 0700, &v->tree, &made, e));
    TRY(journal_create(&v->entries, v->stage, e));
    if (stage_is_reusable(v))
        (void)renameat(v->own, STAGE_NAME, v->stage, EARLIER_NAME);
    if (!tree_remove(v->own, STAGE_NAME))
        return fail_errno(e, E_VOLUME, "cannot remove what a killed run left in %.200s/" OWN_NAME,
                          v->path);
    if (renameat(v->own, NEXT_NAME, v->own, STAGE_NAME) != 0)
        return fail_errno(e, status_of(errno), "cannot make the directory " STAGE_NAME);
    return OK;
}

enum status stage_open(struct volume *v, struct error *e)
{
    struct stat st;
    if (fstatat(v->own, STAGE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
        fstatat(v->own, NEXT_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
        v->ours |= fstatat(v->own, READY_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0;
    if (!tree_remove(v->own, NEXT_NAME))
        return fail_errno(e, E_VOLUME, "cannot remove what a killed run left in %.200s/" OWN_NAME,
                          v->path);
    enum status s = stage_make(v, e);
    if (s != E_SPACE)
        return s;
    journal_close(&v->entries); /* what was left takes all the room: then without it */
    descriptor_close(&v->tree);
    descriptor_close(&v->stage);
    return stage_remove(v) ? stage_make(v, e) : E_SPACE;
}

void stage_close(struct volume *v)
{
    descriptor_close(&v->tree);
    descriptor_close(&v->stage);
    if (v->locked)
        (void)stage_remove(v);
}

/* ---- The file ----------------------------------------------------------------------------------
 */

static enum status file_cut(const struct output_file *f, uint64_t size, struct error *e)
{
    uint64_t written = atomic_load_explicit(&f->written, memory_order_relaxed);
    if (size > INT64_MAX || written < size)
        return fail(e, E_BUG, "only %llu of %llu bytes were written", (unsigned long long)written,
                    (unsigned long long)size);
    if (written == size && f->volume->memory)
        return OK; /* each byte once, and nothing allocated behind */
    while (ftruncate(f->fd, (off_t)size) != 0)
        if (errno != EINTR)
            return fail_errno(e, status_of(errno), "cannot cut it to %llu bytes",
                              (unsigned long long)size);
    return OK;
}

enum status stage_taken(int parent, const char *leaf, struct error *e)
{
    struct stat st;
    bool directory = fstatat(parent, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    (void)fail(e, E_NAME,
               directory ? "it would be a file, and another blob's name has it as a directory"
                         : "two blobs would be this one file");
    advise(e,
           "give one of them another place with inputs[].to, or leave it out with inputs[].match");
    return E_NAME;
}

enum status stage_find(const struct volume *v, const char *name, int *parent, const char **leaf,
                       struct error *e)
{
    struct walk walk = {.root = v->tree,
                        .make = true,
                        .mode = 0700,
                        .obstacle = "a directory in this name and a file in another blob's"};
    if (walk_parent(&walk, name, parent, leaf, e) == OK)
        return OK;
    advise(e,
           "give one of them another place with inputs[].to, or leave it out with inputs[].match");
    return e->status;
}

static enum status file_place(const struct volume *v, int fd, const char *name, struct error *e)
{
    AUTO(descriptor_close) int parent = -1;
    const char *leaf = NULL;
    TRY(stage_find(v, name, &parent, &leaf, e));
    if (unnamed_link(fd, parent, leaf) == 0)
        return OK;
    if (errno == EEXIST)
        return stage_taken(parent, leaf, e);
    return fail_errno(e, status_of(errno), "cannot give the file a name");
}

struct stamp stamp_of(const struct stat *st)
{
    return (struct stamp){
        .inode = st->st_ino, .seconds = st->st_ctim.tv_sec, .nanoseconds = st->st_ctim.tv_nsec};
}

enum status stage_note(struct volume *v, const struct note *note, struct error *e)
{
    enum status s = journal_append(&v->entries, note, e);
    if (s != E_SPACE || v->earlier.count == 0)
        return s;
    earlier_drop(v);
    return journal_append(&v->entries, note, e);
}

/* After the file has its place: what is in the list is there, whenever the process dies. */
static enum status entry_note(struct volume *v, int fd, const struct output_entry *entry,
                              struct error *e)
{
    struct stat st;
    AUTO(buf_free) struct buf text = BUF(RECORD_TEXT_MAX);
    TRY(entry_describe(entry, &text, e));
    if (fstat(fd, &st) != 0)
        return fail_errno(e, status_of(errno), "cannot examine the file");
    const struct note note = {
        .kind = SEALED, .name = entry->name, .stamp = stamp_of(&st), .text = buf_span(&text)};
    (void)pthread_mutex_lock(&v->lock);
    enum status s = stage_note(v, &note, e);
    (void)pthread_mutex_unlock(&v->lock);
    return s;
}

enum status output_file_seal(struct output_file **file, const struct output_entry *entry,
                             struct error *e)
{
    AUTO(output_file_free) struct output_file *f = *file;
    *file = NULL;
    struct volume *v = f->volume;
    TRY(output_name_check(entry->name, e));
    if (file_cut(f, entry->size, e) != OK || volume_dress(v, f->fd, v->mode, "it", e) != OK ||
        file_place(v, f->fd, entry->name, e) != OK || entry_note(v, f->fd, entry, e) != OK)
        return wrap(e, "%.200s", entry->name);
    return OK;
}

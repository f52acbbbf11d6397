/*
 * Sealing. A verified file gets its later name below .decant/stage/tree, where mode 0700 keeps
 * readers out, so that the file system finds names that collide: `a` and `a/b`, or one name twice.
 * What ready.json will say of it goes to the journal. The names are hostile (see name.c), the rest
 * of an entry is text that other rooms took from the service, hence quoted.
 */
#include "output/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum status stage_open(struct volume *v, struct error *e)
{
    struct stat st;
    if (fstatat(v->own, STAGE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        v->ours |= fstatat(v->own, READY_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0;
        if (!tree_remove(v->own, STAGE_NAME))
            return fail_errno(e, E_VOLUME,
                              "cannot remove what a killed run left in %.200s/" OWN_NAME, v->path);
    }
    bool made = false;
    TRY(directory_make(v->own, STAGE_NAME, 0700, &v->stage, &made, e));
    return directory_make(v->stage, TREE_NAME, 0700, &v->tree, &made, e);
}

void stage_close(struct volume *v)
{
    descriptor_close(&v->tree);
    descriptor_close(&v->stage);
    if (v->locked)
        (void)tree_remove(v->own, STAGE_NAME);
}

/* ---- The object in ready.json ------------------------------------------------------------------
 */

static enum status member_add(struct buf *out, const char *member, const char *text,
                              struct error *e)
{
    if (text == NULL || text[0] == '\0')
        return OK;
    TRY(buf_addf(out, e, ",\"%s\":", member));
    return json_quote(span_text(text), out, e);
}

static enum status entry_describe(const struct output_entry *entry, struct buf *out,
                                  struct error *e)
{
    const struct {
        const char *member, *text;
    } members[] = {
        {"from", entry->from},
        {"etag", entry->etag},
        {"envelope", entry->envelope},
        {"key", entry->kid},
        {"content_key_sha256", entry->content_key_sha256},
    };
    TRY(buf_add(out, SPAN_LITERAL("{\"name\":"), e));
    TRY(json_quote(span_text(entry->name), out, e));
    TRY(buf_addf(out, e, ",\"size\":%llu", (unsigned long long)entry->size));
    for (size_t i = 0; i < COUNT(members); i++)
        TRY(member_add(out, members[i].member, members[i].text, e));
    if (entry->has_sha256) {
        TRY(buf_add(out, SPAN_LITERAL(",\"sha256\":\""), e));
        TRY(hex_encode(span_of(entry->sha256, SHA256_SIZE), out, e));
        TRY(buf_add(out, SPAN_LITERAL("\""), e));
    }
    return buf_add(out, SPAN_LITERAL("}"), e);
}

/* ---- The file ----------------------------------------------------------------------------------
 */

static enum status file_cut(const struct output_file *f, uint64_t size, struct error *e)
{
    uint64_t written = atomic_load_explicit(&f->written, memory_order_relaxed);
    if (size > INT64_MAX || written < size)
        return fail(e, E_BUG, "only %llu of %llu bytes were written", (unsigned long long)written,
                    (unsigned long long)size);
    while (ftruncate(f->fd, (off_t)size) != 0)
        if (errno != EINTR)
            return fail_errno(e, status_of(errno), "cannot cut it to %llu bytes",
                              (unsigned long long)size);
    return OK;
}

static enum status name_taken(int parent, const char *leaf, struct error *e)
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

static enum status file_place(const struct volume *v, int fd, const char *name, struct error *e)
{
    struct walk walk = {.root = v->tree,
                        .make = true,
                        .mode = 0700,
                        .obstacle = "a directory in this name and a file in another blob's"};
    AUTO(descriptor_close) int parent = -1;
    const char *leaf = NULL;
    if (walk_parent(&walk, name, &parent, &leaf, e) != OK) {
        advise(
            e,
            "give one of them another place with inputs[].to, or leave it out with inputs[].match");
        return e->status;
    }
    if (unnamed_link(fd, parent, leaf) == 0)
        return OK;
    if (errno == EEXIST)
        return name_taken(parent, leaf, e);
    return fail_errno(e, status_of(errno), "cannot give the file a name");
}

static enum status entry_note(struct volume *v, const struct output_entry *entry, struct error *e)
{
    AUTO(buf_free) struct buf text = BUF(RECORD_TEXT_MAX);
    TRY(entry_describe(entry, &text, e));
    (void)pthread_mutex_lock(&v->lock);
    enum status s = journal_append(&v->entries, 'f', entry->name, buf_span(&text), e);
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
        file_place(v, f->fd, entry->name, e) != OK || entry_note(v, entry, e) != OK)
        return wrap(e, "%.200s", entry->name);
    return OK;
}

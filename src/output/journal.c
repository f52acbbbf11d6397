/*
 * A list of records in a file on the volume: what was sealed, and what publishing has done so far.
 * A million entries cost no memory. What publishing does is nobody else's business: that list has
 * no name. What was sealed is for the next run, should this one be killed: so its bytes may have
 * been written by another process, perhaps half of the last record only, and lengths are checked
 * before they are used.
 *
 * A record: head, name, text, and once more the record's size, so that the list reads backwards
 * too. A list with a name starts with a record that tells its version and the machine's boot id.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define TITLE   't'

struct head {
    uint32_t kind, name_size, text_size, reserved;
    struct stamp stamp;
};

typedef uint32_t tail;

#define RECORD_MAX (sizeof(struct head) + NAME_SIZE + RECORD_TEXT_MAX + sizeof(tail))

enum status journal_open(struct journal *j, int root, struct error *e)
{
    TRY(unnamed_open(root, &j->fd, e));
    j->first = j->size = 0;
    return OK;
}

void journal_close(struct journal *j)
{
    descriptor_close(&j->fd);
    j->first = j->size = 0;
}

void record_free(struct record *r)
{
    buf_free(&r->text);
}

enum status journal_append(struct journal *j, const struct note *note, struct error *e)
{
    struct span n = span_text(note->name);
    struct span text = note->text;
    if (n.size > NAME_SIZE || text.size > RECORD_TEXT_MAX)
        return fail(e, E_BUG, "the record of \"%.200s\" is too long", note->name);
    struct head head = {.kind = (unsigned char)note->kind,
                        .name_size = (uint32_t)n.size,
                        .text_size = (uint32_t)text.size,
                        .stamp = note->stamp};
    tail end = (tail)(sizeof head + n.size + text.size + sizeof(tail));

    AUTO(buf_free) struct buf bytes = BUF(RECORD_MAX);
    TRY(buf_add(&bytes, span_of(&head, sizeof head), e));
    TRY(buf_add(&bytes, n, e));
    TRY(buf_add(&bytes, text, e));
    TRY(buf_add(&bytes, span_of(&end, sizeof end), e));
    if (bytes_write(j->fd, j->size, buf_span(&bytes), e) != OK)
        return wrap(e, "the list of files");
    j->size += bytes.size; /* only now: a torn record is overwritten by the next */
    return OK;
}

static enum status journal_read(const struct journal *j, uint64_t at, void *out, size_t size,
                                struct error *e)
{
    if (at > j->size || size > j->size - at)
        return fail(e, E_BUG, "the list of files ends early");
    uint8_t *to = out;
    while (size > 0) {
        ssize_t n = pread(j->fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, E_BUG, "cannot read the list of files");
        if (n == 0)
            return fail(e, E_BUG, "the list of files ends early");
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return OK;
}

/* Most records are small: one read brings all of it. */
struct window {
    uint64_t at;
    size_t size;
    uint8_t bytes[1024];
};

static enum status window_open(const struct journal *j, uint64_t at, struct window *out,
                               struct error *e)
{
    uint64_t left = at < j->size ? j->size - at : 0;
    out->at = at;
    out->size = left < sizeof out->bytes ? (size_t)left : sizeof out->bytes;
    return journal_read(j, at, out->bytes, out->size, e);
}

static enum status window_read(const struct journal *j, const struct window *w, uint64_t at,
                               void *out, size_t size, struct error *e)
{
    if (at < w->at || at - w->at > w->size || size > w->size - (at - w->at))
        return journal_read(j, at, out, size, e);
    memcpy(out, w->bytes + (at - w->at), size);
    return OK;
}

static enum status read_text(const struct journal *j, const struct window *w, uint64_t at,
                             uint32_t size, struct buf *out, struct error *e)
{
    uint8_t piece[4096];
    buf_clear(out);
    while (size > 0) {
        uint32_t n = size < sizeof piece ? size : (uint32_t)sizeof piece;
        TRY(window_read(j, w, at, piece, n, e));
        TRY(buf_add(out, span_of(piece, n), e));
        at += n;
        size -= n;
    }
    return OK;
}

enum status journal_next(const struct journal *j, uint64_t *at, struct record *out, struct error *e)
{
    struct head head = {0};
    tail end = 0;
    struct window window;
    TRY(window_open(j, *at, &window, e));
    TRY(window_read(j, &window, *at, &head, sizeof head, e));
    if (head.kind > UINT8_MAX || head.reserved != 0 || head.name_size > NAME_SIZE ||
        head.text_size > RECORD_TEXT_MAX)
        return fail(e, E_BUG, "the list of files is damaged");
    uint64_t name_at = *at + sizeof head;
    uint64_t text_at = name_at + head.name_size;
    TRY(window_read(j, &window, name_at, out->name, head.name_size, e));
    TRY(read_text(j, &window, text_at, head.text_size, &out->text, e));
    TRY(window_read(j, &window, text_at + head.text_size, &end, sizeof end, e));
    if (end != text_at + head.text_size + sizeof end - *at)
        return fail(e, E_BUG, "the list of files is damaged");
    out->name[head.name_size] = '\0';
    out->kind = (char)head.kind;
    out->stamp = head.stamp;
    *at += end;
    return OK;
}

enum status journal_previous(const struct journal *j, uint64_t *at, struct record *out,
                             struct error *e)
{
    tail size = 0;
    if (*at < sizeof size)
        return fail(e, E_BUG, "the list of files is damaged");
    TRY(journal_read(j, *at - sizeof size, &size, sizeof size, e));
    if (size > *at)
        return fail(e, E_BUG, "the list of files is damaged");
    uint64_t start = *at - size;
    uint64_t end = start;
    TRY(journal_next(j, &end, out, e));
    *at = start;
    return OK;
}

/* ---- With a name -------------------------------------------------------------------------------
 */

static bool title_compose(char title[static 128])
{
    struct error ignored = {0};
    AUTO(buf_free) struct buf id = BUF(64);
    if (file_read(BOOT_ID, 64, &id, E_BUG, &ignored) != OK)
        return false;
    struct span text = span_trim(buf_span(&id));
    (void)snprintf(title, 128, "decant journal 1, boot %.*s", (int)text.size,
                   (const char *)text.data);
    return text.size > 0;
}

enum status journal_create(struct journal *j, int directory, struct error *e)
{
    char title[128] = ""; /* which no later run takes for its own */
    (void)title_compose(title);
    j->fd =
        openat(directory, JOURNAL_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (j->fd < 0)
        return fail_errno(e, status_of(errno), "cannot make the list of files");
    j->first = j->size = 0;
    TRY(journal_append(j, &(struct note){.kind = TITLE, .name = title}, e));
    j->first = j->size;
    return OK;
}

static bool title_matches(struct journal *j)
{
    struct error ignored = {0};
    char title[128] = "";
    AUTO(record_free) struct record first = RECORD_EMPTY;
    return title_compose(title) && journal_next(j, &j->first, &first, &ignored) == OK &&
           first.kind == TITLE && strcmp(first.name, title) == 0;
}

bool journal_reopen(struct journal *j, int directory)
{
    struct stat st;
    j->fd = openat(directory, JOURNAL_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (j->fd < 0)
        return false;
    j->first = 0;
    if (fstat(j->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()) {
        j->size = (uint64_t)st.st_size;
        if (title_matches(j))
            return true;
    }
    journal_close(j);
    return false;
}

/*
 * A list of records in an unnamed file on the volume: what was sealed, and what publishing has done
 * so far. A million entries cost no memory, and the list vanishes with the process. Its bytes are
 * decant's own (no other process can open the file), but lengths are checked all the same before
 * they are used.
 *
 * A record: head, name, text, and once more the record's size, so that the list reads backwards
 * too.
 */
#include "output/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct head {
    uint32_t kind, name_size, text_size;
};

typedef uint32_t tail;

#define RECORD_MAX (sizeof(struct head) + NAME_SIZE + RECORD_TEXT_MAX + sizeof(tail))

enum status journal_open(struct journal *j, int root, struct error *e)
{
    TRY(unnamed_open(root, &j->fd, e));
    j->size = 0;
    return OK;
}

void journal_close(struct journal *j)
{
    descriptor_close(&j->fd);
    j->size = 0;
}

void record_free(struct record *r)
{
    buf_free(&r->text);
}

enum status journal_append(struct journal *j, char kind, const char *name, struct span text,
                           struct error *e)
{
    struct span n = span_text(name);
    if (n.size > NAME_SIZE || text.size > RECORD_TEXT_MAX)
        return fail(e, E_BUG, "the record of \"%.200s\" is too long", name);
    struct head head = {(unsigned char)kind, (uint32_t)n.size, (uint32_t)text.size};
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

static enum status read_text(const struct journal *j, uint64_t at, uint32_t size, struct buf *out,
                             struct error *e)
{
    uint8_t piece[4096];
    buf_clear(out);
    while (size > 0) {
        uint32_t n = size < sizeof piece ? size : (uint32_t)sizeof piece;
        TRY(journal_read(j, at, piece, n, e));
        TRY(buf_add(out, span_of(piece, n), e));
        at += n;
        size -= n;
    }
    return OK;
}

enum status journal_next(const struct journal *j, uint64_t *at, struct record *out, struct error *e)
{
    struct head head = {0};
    TRY(journal_read(j, *at, &head, sizeof head, e));
    if (head.name_size > NAME_SIZE || head.text_size > RECORD_TEXT_MAX)
        return fail(e, E_BUG, "the list of files is damaged");
    uint64_t name_at = *at + sizeof head;
    uint64_t text_at = name_at + head.name_size;
    TRY(journal_read(j, name_at, out->name, head.name_size, e));
    TRY(read_text(j, text_at, head.text_size, &out->text, e));
    out->name[head.name_size] = '\0';
    out->kind = (char)head.kind;
    *at = text_at + head.text_size + sizeof(tail);
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

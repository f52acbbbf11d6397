/*
 * ready.json as a text: one object whose files stand one per line. Writing it, as the last step of
 * a run; and reading what an earlier run wrote, line by line, so that its length costs no memory.
 * What is read lay on the volume, where others may have edited it: a text that is not just of the
 * form that ready_compose gives it counts for nothing.
 *
 * Its mtime says when the run was complete: renaming does not change it, and files that were
 * touched since have a later ctime (keep.c).
 */
#include "output/internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE_SIZE ((size_t)64 * 1024)
#define LINE_PIECE 4096
#define TICKS_MAX  100 /* ms; the clock of file systems moves every 1 to 10 */

static const char list_start[] = "\"files\":[";
static const char list_end[] = "]}";

/* ---- Writing -----------------------------------------------------------------------------------
 */

/* Bytes on their way into a new file. */
struct writer {
    int fd;
    uint64_t at;
    struct buf piece;
};

static void writer_free(struct writer *w)
{
    descriptor_close(&w->fd);
    buf_free(&w->piece);
}

static enum status writer_flush(struct writer *w, struct error *e)
{
    TRY(bytes_write(w->fd, w->at, buf_span(&w->piece), e));
    w->at += w->piece.size;
    buf_clear(&w->piece);
    return OK;
}

static enum status writer_add(struct writer *w, struct span bytes, struct error *e)
{
    TRY(buf_add(&w->piece, bytes, e));
    return w->piece.size >= PIECE_SIZE ? writer_flush(w, e) : OK;
}

static enum status ready_compose(const struct volume *v, struct writer *w, struct span summary,
                                 struct error *e)
{
    AUTO(record_free) struct record entry = RECORD_EMPTY;
    TRY(writer_add(w, SPAN_LITERAL("{"), e));
    TRY(writer_flush(w, e));
    TRY(bytes_write(w->fd, w->at, summary, e)); /* of any size, so not through the piece */
    w->at += summary.size;
    TRY(writer_add(w, span_text(summary.size > 0 ? "," : ""), e));
    TRY(writer_add(w, span_text(list_start), e));
    for (uint64_t at = v->entries.first; at < v->entries.size;) {
        TRY(writer_add(w, span_text(at > v->entries.first ? ",\n" : "\n"), e));
        TRY(journal_next(&v->entries, &at, &entry, e));
        TRY(writer_add(w, buf_span(&entry.text), e));
    }
    TRY(writer_add(w, span_text(list_end), e));
    TRY(writer_add(w, SPAN_LITERAL("\n"), e));
    return writer_flush(w, e);
}

/* It may be read by whoever may read the files. */
enum status ready_stage(const struct volume *v, struct span summary, int *out, struct error *e)
{
    AUTO(writer_free) struct writer w = {.fd = -1, .piece = BUF(PIECE_SIZE + RECORD_TEXT_MAX)};
    TRY(unnamed_open(v->root, &w.fd, e));
    TRY(ready_compose(v, &w, summary, e));
    TRY(volume_dress(v, w.fd, v->mode & 0444, READY_NAME, e));
    (void)unlinkat(v->stage, READY_NAME, 0); /* of an attempt that was undone */
    if (unnamed_link(w.fd, v->stage, READY_NAME) != 0)
        return fail_errno(e, status_of(errno), "cannot give " READY_NAME " its name");
    *out = w.fd;
    w.fd = -1;
    return OK;
}

/* File systems take their time from a clock that ticks. Once it is past the moment at which the
 * last file had its place, ready.json is later than all of them, and what is touched afterwards is
 * no earlier than ready.json. Writing the first byte again sets the time, and needs no permission
 * that we do not have. */
enum status ready_touch(int ready, struct error *e)
{
    struct timespec moved = {0};
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &moved);
    for (int ms = 0; ms < TICKS_MAX && !time_is_before(moved, now); ms++) {
        TRY(stop_sleep_ms(1, e));
        (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    }
    return bytes_write(ready, 0, SPAN_LITERAL("{"), e);
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

/* The line at *AT without its end; *AT moves on to the next. */
static bool line_read(int fd, uint64_t *at, struct buf *line)
{
    struct error ignored = {0};
    uint8_t piece[LINE_PIECE];
    buf_clear(line);
    for (;;) {
        ssize_t n = pread(fd, piece, sizeof piece, (off_t)(*at + line->size));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        const uint8_t *end = memchr(piece, '\n', (size_t)n);
        size_t size = end != NULL ? (size_t)(end - piece) : (size_t)n;
        if (buf_add(line, span_of(piece, size), &ignored) != OK)
            return false;
        if (end != NULL) {
            *at += line->size + 1;
            return true;
        }
    }
}

static bool line_ends(const struct buf *line, const char *end)
{
    size_t size = strlen(end);
    return line->size >= size && memcmp(line->data + line->size - size, end, size) == 0;
}

bool ready_begin(int ready, uint64_t *at)
{
    AUTO(buf_free) struct buf line = BUF(RECORD_TEXT_MAX);
    *at = 0;
    return line_read(ready, at, &line) && line_ends(&line, list_start);
}

bool ready_next(int ready, uint64_t *at, struct buf *object, bool *last)
{
    if (!line_read(ready, at, object))
        return false;
    *last = line_ends(object, list_end);
    if (!*last && !line_ends(object, ","))
        return false;
    object->size -= *last ? strlen(list_end) : 1;
    object->data[object->size] = '\0';
    return true;
}

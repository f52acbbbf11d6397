/*
 * A failed run's last word: .decant/failed.json, beside the ready.json that others wait for. It
 * appears atomically, as the last thing that a failed run does on its volume, and the next run
 * takes it away first.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SENTENCE_MAX 4096

static enum status marker_compose(int code, struct span sentence, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, "{\"version\":1,\"exit_code\":%d,\"message\":", code));
    TRY(json_quote(sentence, out, e));
    return buf_add(out, SPAN_LITERAL("}\n"), e);
}

enum status volume_mark_failed(struct volume *volume, int code, struct span sentence,
                               struct error *e)
{
    AUTO(descriptor_close) int fd = -1;
    AUTO(buf_free) struct buf text = BUF(8 * SENTENCE_MAX);
    if (volume->dry || volume->published || volume->own < 0)
        return OK;
    stage_close(volume); /* gives room back, where that is what failed */
    TRY(marker_compose(code, sentence, &text, e));
    TRY(unnamed_open(volume->root, &fd, e));
    TRY(bytes_write(fd, 0, buf_span(&text), e));
    TRY(volume_dress(volume, fd, volume->mode & 0444, FAILED_NAME, e));
    if (unnamed_link(fd, volume->own, FAILED_NAME) != 0)
        return fail_errno(e, status_of(errno), "cannot give " FAILED_NAME " its name");
    return OK;
}

/* Of the run before. A .decant that only held it is there for no run that published. */
enum status marker_remove(struct volume *v, struct error *e)
{
    struct stat st;
    if (v->dry || v->own < 0)
        return OK;
    if (unlinkat(v->own, FAILED_NAME, 0) == 0)
        v->ours |= fstatat(v->own, READY_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0;
    else if (errno != ENOENT)
        return fail_errno(e, status_of(errno), "cannot remove " OWN_NAME "/" FAILED_NAME);
    return OK;
}

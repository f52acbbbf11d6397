/* The last words: to standard error, to Kubernetes' termination log, to a report. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What Kubernetes keeps of a container's message. */
static const char termination_log[] = "/dev/termination-log";

static enum status write_all(int fd, struct span text, struct error *e)
{
    while (text.size > 0) {
        ssize_t n = write(fd, text.data, text.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, E_BUG, "it could not be written");
        text = span_of(text.data + n, text.size - (size_t)n);
    }
    return OK;
}

enum status report_check(const char *path, struct error *e)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return OK; /* a pipe's reader would take the closing for the end */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return fail_errno(e, E_USAGE, "report %s", path);
    (void)close(fd);
    return OK;
}

enum status report_write(const char *path, struct span text, struct error *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return fail_errno(e, E_BUG, "report %s", path);
    enum status status = write_all(fd, text, e);
    if (status == OK)
        status = write_all(fd, SPAN_LITERAL("\n"), e);
    if (close(fd) != 0 && status == OK)
        status = fail_errno(e, E_BUG, "it could not be written");
    return status == OK ? OK : wrap(e, "report %s", path);
}

static void write_termination_log(struct span sentence)
{
    int fd = open(termination_log, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return;
    struct error ignored;
    (void)!write_all(fd, sentence, &ignored);
    (void)close(fd);
}

static enum status failure_json(const char *sentence, const struct error *shown, struct buf *out,
                                struct error *e)
{
    const struct {
        const char *name, *value;
    } members[] = {{"message", sentence},
                   {"service_code", shown->service_code},
                   {"request_id", shown->request_id},
                   {"remedy", shown->remedy}};
    TRY(buf_addf(out, e, "{\"result\":\"failed\",\"exit_code\":%d", (int)shown->status));
    for (size_t i = 0; i < COUNT(members); i++) {
        TRY(buf_addf(out, e, ",\"%s\":", members[i].name));
        TRY(json_quote(span_text(members[i].value), out, e));
    }
    return buf_addf(out, e, "}");
}

void report_failure(const char *command, const struct cli_options *options, const struct error *e)
{
    struct error second;
    AUTO(buf_free) struct buf sentence = BUF(4096), json = BUF(16384);
    if (error_sentence(command, e, &sentence, &second) != OK)
        return;
    if (options->report != NULL && (failure_json(buf_text(&sentence), e, &json, &second) != OK ||
                                    report_write(options->report, buf_span(&json), &second) != OK))
        LOG(LOG_ERROR, "report_failed", LOG_STRING("reason", second.text));
    write_termination_log(buf_span(&sentence));
    log_final(buf_text(&sentence), e);
}

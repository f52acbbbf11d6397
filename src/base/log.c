/*
 * The log: one line per event on standard error, as text or as JSON. Values come from everywhere,
 * so every one of them is quoted; nothing secret is ever given to it.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex;
    enum log_level level;
    enum log_format format;
    bool progress_shown;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

enum { LINE_MAX_SIZE = 8192 };

void log_open(enum log_level level, enum log_format format)
{
    state.level = level;
    state.format = format;
}

bool log_wants(enum log_level level)
{
    return level <= state.level;
}

static enum status add_time(struct buf *line, struct error *e)
{
    struct timespec now;
    struct tm utc;
    char text[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    return buf_addf(line, e, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static bool is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= 0x20 || *c > 0x7E || *c == '"' || *c == '=' || *c == '\\')
            return false;
    return text[0] != '\0';
}

static enum status add_text_fields(struct buf *line, const struct log_field *fields, size_t n,
                                   struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        TRY(buf_addf(line, e, " %s=", fields[i].key));
        if (fields[i].text == NULL)
            TRY(buf_addf(line, e, "%lld", (long long)fields[i].number));
        else if (is_plain(fields[i].text))
            TRY(buf_add(line, span_text(fields[i].text), e));
        else
            TRY(json_quote(span_text(fields[i].text), line, e));
    }
    return OK;
}

static enum status add_json_fields(struct buf *line, const struct log_field *fields, size_t n,
                                   struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        TRY(buf_addf(line, e, ",\"%s\":", fields[i].key));
        if (fields[i].text == NULL)
            TRY(buf_addf(line, e, "%lld", (long long)fields[i].number));
        else
            TRY(json_quote(span_text(fields[i].text), line, e));
    }
    return OK;
}

static void put_line(struct buf *line)
{
    struct error ignored;
    if (buf_add(line, SPAN_LITERAL("\n"), &ignored) != OK)
        line->data[line->size - 1] = '\n';
    (void)pthread_mutex_lock(&state.mutex);
    if (state.progress_shown)
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
    state.progress_shown = false;
    (void)!write(STDERR_FILENO, line->data, line->size);
    (void)pthread_mutex_unlock(&state.mutex);
}

static enum status format_event(struct buf *line, enum log_level level, const char *event,
                                const struct log_field *fields, size_t n, struct error *e)
{
    if (state.format == LOG_TEXT) {
        TRY(add_time(line, e));
        TRY(buf_addf(line, e, " %-5s %s", level_names[level], event));
        return add_text_fields(line, fields, n, e);
    }
    TRY(buf_add(line, SPAN_LITERAL("{\"time\":\""), e));
    TRY(add_time(line, e));
    TRY(buf_addf(line, e, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event));
    TRY(add_json_fields(line, fields, n, e));
    return buf_add(line, SPAN_LITERAL("}"), e);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    if (!log_wants(level))
        return;
    struct error ignored;
    AUTO(buf_free) struct buf line = BUF(LINE_MAX_SIZE);
    if (format_event(&line, level, event, fields, n, &ignored) == OK)
        put_line(&line);
}

void log_final(const char *sentence, const struct error *e)
{
    struct error ignored;
    AUTO(buf_free) struct buf line = BUF(LINE_MAX_SIZE);
    struct log_field fields[4] = {LOG_STRING("message", sentence),
                                  LOG_NUMBER("exit_code", e->status)};
    size_t n = 2;
    if (e->service_code[0] != '\0')
        fields[n++] = (struct log_field)LOG_STRING("service_code", e->service_code);
    if (e->request_id[0] != '\0')
        fields[n++] = (struct log_field)LOG_STRING("request_id", e->request_id);
    enum status status = state.format == LOG_TEXT
                             ? buf_add(&line, span_text(sentence), &ignored)
                             : format_event(&line, LOG_ERROR, "failed", fields, n, &ignored);
    if (status == OK)
        put_line(&line);
}

void log_progress(const char *line)
{
    (void)pthread_mutex_lock(&state.mutex);
    if (state.progress_shown || line[0] != '\0') {
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
        (void)!write(STDERR_FILENO, line, strlen(line));
    }
    state.progress_shown = line[0] != '\0';
    (void)pthread_mutex_unlock(&state.mutex);
}

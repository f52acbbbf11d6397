/*
 * Errors: made where they are noticed, wrapped on the way up. Names and messages of services find
 * their way in here, so this is the one place where bytes are made fit to be shown on a terminal.
 */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

/* The length of the UTF-8 character at TEXT, or 0 if it is none that may be shown. */
static size_t printable(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t n = at[0] < 0x80 ? 1 : at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if (n == 1)
        return at[0] >= 0x20 && at[0] != 0x7F;
    bool c1_control = at[0] == 0xC2 && at[1] < 0xA0;
    return !c1_control && utf8_is_valid(span_of(text, n)) ? n : 0;
}

void text_make_printable(char *text)
{
    while (*text != '\0') {
        size_t n = printable(text);
        if (n == 0)
            *text = '?';
        text += n > 0 ? n : 1;
    }
}

PRINTF_LIKE(3, 0)
static void set_text(struct error *e, enum status status, const char *format, va_list arguments)
{
    *e = (struct error){.status = status};
    (void)vsnprintf(e->text, sizeof(e->text), format, arguments);
    text_make_printable(e->text);
}

static void append(struct error *e, const char *text)
{
    size_t n = strlen(e->text);
    (void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", text);
    text_make_printable(e->text);
}

enum status fail(struct error *e, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(e, status, format, arguments);
    va_end(arguments);
    return status;
}

enum status fail_errno(struct error *e, enum status status, const char *format, ...)
{
    int number = errno;
    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    set_text(e, status, format, arguments);
    va_end(arguments);
    append(e, strerror_r(number, reason, sizeof(reason)));
    return status;
}

enum status fail_openssl(struct error *e, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(e, status, format, arguments);
    va_end(arguments);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (reason != NULL)
        append(e, reason);
    ERR_clear_error();
    return status;
}

enum status wrap(struct error *e, const char *format, ...)
{
    char text[sizeof(e->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size_t n = strlen(text);
    if (n < sizeof(text) - 3) {
        memcpy(text + n, ": ", 3);
        n += 2;
        size_t room = sizeof(text) - 1 - n, old = strlen(e->text);
        memcpy(text + n, e->text, old < room ? old : room);
        text[n + (old < room ? old : room)] = '\0';
    }
    memcpy(e->text, text, sizeof(e->text));
    text_make_printable(e->text);
    return e->status;
}

void advise(struct error *e, const char *format, ...)
{
    if (e->remedy[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(e->remedy, sizeof(e->remedy), format, arguments);
    va_end(arguments);
    text_make_printable(e->remedy);
}

enum status error_sentence(const char *command, const struct error *shown, struct buf *out,
                           struct error *e)
{
    const char *separator = " (", *end = "";
    size_t before = out->size;
    TRY(buf_addf(out, e, "decant %s: %s", command, shown->text));
    if (shown->service_code[0] != '\0') {
        TRY(buf_addf(out, e, "%scode %s", separator, shown->service_code));
        separator = ", ";
        end = ")";
    }
    if (shown->request_id[0] != '\0') {
        TRY(buf_addf(out, e, "%srequest %s", separator, shown->request_id));
        end = ")";
    }
    TRY(buf_addf(out, e, "%s.", end));
    text_make_printable((char *)out->data + before); /* COMMAND may be any word of the command line */
    if (shown->remedy[0] == '\0')
        return OK;
    char first = shown->remedy[0];
    first = first >= 'a' && first <= 'z' ? (char)(first - 'a' + 'A') : first;
    size_t n = strlen(shown->remedy);
    return buf_addf(out, e, " %c%s%s", first, shown->remedy + 1,
                    shown->remedy[n - 1] == '.' ? "" : ".");
}

/* Nobody is to be accused of what a lack of memory did (memory_ran_out). */
void error_settle(struct error *e)
{
    if (!memory_ran_out() || e->status == E_SPACE || e->status == E_INTERRUPTED)
        return;
    e->status = E_SPACE;
    e->remedy[0] = '\0';
    (void)!wrap(e, "out of memory");
    advise(e, "give the container more memory");
}

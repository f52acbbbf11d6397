/* Findings that more than one kind has. */
#include "inspect/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum status unverified(struct subject *s, const char *step, enum status class, struct error *e,
                       const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!s->options->verify)
        return finding_skip(s->findings, step, e, "not verified: %s", text);
    struct error why = {0};
    (void)!fail(&why, class, "not verified: %s", text);
    return finding_fail(s->findings, step, &why, e);
}

enum status note_hex(struct subject *s, const char *step, struct span bytes, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(512);
    TRY(hex_encode(bytes, &hex, e));
    return finding_note(s->findings, step, e, "%s", buf_text(&hex));
}

enum status note_number(struct subject *s, const char *step, uint64_t number, struct error *e)
{
    return finding_note(s->findings, step, e, "%" PRIu64, number);
}

enum status check_host_data(struct subject *s, struct span got, struct error *e)
{
    AUTO(buf_free) struct buf hex = BUF(256), wanted = BUF(128);
    struct error why = {0};
    TRY(hex_encode(got, &hex, e));
    if (!s->expects_host_data)
        return finding_note(s->findings, "host data", e, "%s", buf_text(&hex));
    TRY(hex_encode(span_of(s->expected, sizeof s->expected), &wanted, e));
    enum status status = OK;
    if (!span_equal(got, span_of(s->expected, sizeof s->expected)))
        status = fail(&why, E_MISMATCH, "%s; expected was %s", buf_text(&hex), buf_text(&wanted));
    return finding_check(s->findings, "host data", status, &why, e, "%s, as expected",
                         buf_text(&hex));
}

const char *date_text(int64_t unix_s, char out[static DATE_SIZE])
{
    struct tm tm = {0};
    time_t t = (time_t)unix_s;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, DATE_SIZE, "(no time)");
    return out;
}

enum status check_dates(struct subject *s, const char *step, int64_t from_s, int64_t to_s,
                        enum status class, struct error *e)
{
    char from[DATE_SIZE], to[DATE_SIZE], now[DATE_SIZE];
    int64_t now_s = s->options->now_unix_s;
    enum status status = OK;
    struct error why = {0};
    date_text(from_s, from);
    date_text(to_s, to);
    if (now_s < from_s || now_s > to_s)
        status = fail(&why, class, "valid from %s to %s, which is %s at %s", from, to,
                      now_s < from_s ? "not yet" : "over", date_text(now_s, now));
    return finding_check(s->findings, step, status, &why, e, "valid from %s to %s", from, to);
}

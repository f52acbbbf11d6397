/* The list of findings. */
#include "finding/finding.h"

#include <stdio.h>
#include <string.h>

void findings_free(struct findings *f)
{
    memory_free(f->list);
    *f = (struct findings){0};
}

static enum status append(struct findings *f, enum finding_result result, const char *step,
                          struct finding **out, struct error *e)
{
    if (f->n >= FINDINGS_MAX)
        return fail(e, E_SPACE, "more than %d findings", FINDINGS_MAX);
    if (f->n == f->capacity) {
        size_t capacity = f->capacity > 0 ? 2 * f->capacity : 16;
        struct finding *list = memory_resize(f->list, capacity * sizeof(*list));
        if (list == NULL)
            return fail(e, E_SPACE, "no memory for findings");
        f->list = list;
        f->capacity = capacity;
    }
    struct finding *added = &f->list[f->n++];
    *added = (struct finding){.result = result};
    (void)snprintf(added->step, sizeof(added->step), "%s", step);
    text_make_printable(added->step);
    *out = added;
    return OK;
}

/* Into a place of SIZE bytes; what is cut ends in "...". */
PRINTF_LIKE(3, 0)
static void set(char *place, size_t size, const char *format, va_list arguments)
{
    int n = vsnprintf(place, size, format, arguments);
    if (n < 0 || (size_t)n >= size)
        memcpy(place + size - sizeof("..."), "...", sizeof("..."));
    text_make_printable(place);
}

#define ADD(result)                                                                                \
    do {                                                                                           \
        struct finding *added = NULL;                                                              \
        TRY(append(f, (result), step, &added, e));                                                 \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        set(added->text, sizeof(added->text), format, arguments);                                  \
        va_end(arguments);                                                                         \
        return OK;                                                                                 \
    } while (0)

enum status finding_ok(struct findings *f, const char *step, struct error *e, const char *format,
                       ...)
{
    ADD(FINDING_OK);
}

enum status finding_skip(struct findings *f, const char *step, struct error *e, const char *format,
                         ...)
{
    ADD(FINDING_SKIP);
}

enum status finding_note(struct findings *f, const char *step, struct error *e, const char *format,
                         ...)
{
    ADD(FINDING_NOTE);
}

PRINTF_LIKE(3, 4)
static void setf(char *place, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(place, size, format, arguments);
    va_end(arguments);
}

/* WHY may be E itself: it is read before E is written. */
enum status finding_fail(struct findings *f, const char *step, const struct error *why,
                         struct error *e)
{
    struct finding *added = NULL;
    struct error reason = *why;
    TRY(append(f, FINDING_FAIL, step, &added, e));
    added->status = reason.status != OK ? reason.status : E_BUG;
    bool code = reason.service_code[0] != '\0', request = reason.request_id[0] != '\0';
    setf(added->text, sizeof(added->text), "%s%s%s%s%s%s%s", reason.text,
         code || request ? " (" : "", code ? "code " : "", reason.service_code,
         request ? (code ? ", request " : "request ") : "", reason.request_id,
         code || request ? ")" : "");
    setf(added->remedy, sizeof(added->remedy), "%s", reason.remedy);
    return OK;
}

enum status finding_check(struct findings *f, const char *step, enum status status,
                          const struct error *why, struct error *e, const char *format, ...)
{
    if (status != OK)
        return finding_fail(f, step, why, e);
    ADD(FINDING_OK);
}

enum status finding_copy(struct findings *f, const struct finding *other, struct error *e)
{
    struct finding *added = NULL, copy = *other; /* OTHER may be in the list that moves */
    TRY(append(f, copy.result, copy.step, &added, e));
    *added = copy;
    return OK;
}

void finding_advise(struct findings *f, const char *format, ...)
{
    struct finding *last = f->n > 0 ? &f->list[f->n - 1] : NULL;
    if (last == NULL || last->remedy[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    set(last->remedy, sizeof(last->remedy), format, arguments);
    va_end(arguments);
}

enum status findings_verdict(const struct findings *f, struct error *e)
{
    const struct finding *first = NULL;
    size_t failed = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (f->list[i].result != FINDING_FAIL)
            continue;
        first = first == NULL ? &f->list[i] : first;
        failed++;
    }
    if (first == NULL)
        return OK;
    enum status status = failed == 1
                             ? fail(e, first->status, "%s: %s", first->step, first->text)
                             : fail(e, first->status, "%zu steps failed, the first: %s: %s", failed,
                                    first->step, first->text);
    if (first->remedy[0] != '\0')
        advise(e, "%s", first->remedy);
    return status;
}

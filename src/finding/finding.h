/*
 * finding: what a diagnosis found, step by step, as text for people or as JSON. `inspect` and
 * `doctor` write down what they see here and nowhere else.
 *
 * Texts may hold names and messages of hostile origin: they are made fit for a terminal when they
 * are added, and cut (with "...") where they are longer than their place.
 */
#ifndef DECANT_FINDING_H
#define DECANT_FINDING_H

#include "base/base.h"

enum finding_result {
    FINDING_OK,   /* looked at, and as it should be */
    FINDING_FAIL, /* looked at, and wrong */
    FINDING_SKIP, /* not looked at; the text says why */
    FINDING_NOTE, /* nothing to judge, only to tell */
};

struct finding {
    enum finding_result result;
    enum status status; /* of a FINDING_FAIL: its exit code, else OK */
    char step[128];     /* what was looked at: "certificates", "key https://…" */
    char text[640];     /* what was found */
    char remedy[320];   /* what to do about it, or "" */
};

#define FINDINGS_MAX 4096 /* more of them nobody reads */

/* Owns its list. Start from `{ 0 }`. */
struct findings {
    struct finding *list;
    size_t n, capacity;
};

void findings_free(struct findings *f);

/* Each appends one finding. E_SPACE over FINDINGS_MAX. */
enum status finding_ok(struct findings *f, const char *step, struct error *e, const char *format,
                       ...) PRINTF_LIKE(4, 5);
enum status finding_skip(struct findings *f, const char *step, struct error *e, const char *format,
                         ...) PRINTF_LIKE(4, 5);
enum status finding_note(struct findings *f, const char *step, struct error *e, const char *format,
                         ...) PRINTF_LIKE(4, 5);
/* A failure: WHY has the class, the text, the service's code and request id, and the remedy. */
enum status finding_fail(struct findings *f, const char *step, const struct error *why,
                         struct error *e);
/* What a check told: FINDING_OK with the given text if its STATUS is OK, else finding_fail of WHY,
 * which that check has filled in. */
enum status finding_check(struct findings *f, const char *step, enum status status,
                          const struct error *why, struct error *e, const char *format, ...)
    PRINTF_LIKE(6, 7);
/* Appends a copy of one, such as of another list's. */
enum status finding_copy(struct findings *f, const struct finding *other, struct error *e);
/* Puts a remedy to the last finding, unless it has one. */
void finding_advise(struct findings *f, const char *format, ...) PRINTF_LIKE(2, 3);

/* OK if nothing failed; else the class of the first failure, and a sentence with its text. */
enum status findings_verdict(const struct findings *f, struct error *e);

/* One line each: result, step, text and remedy, in columns. Appends to OUT. */
enum status findings_text(const struct findings *f, struct buf *out, struct error *e);
/* An array of {"step", "result": "ok" | "FAIL" | "skip" | "note", "text"}, with "remedy" where
 * there is one and "exit_code" at what failed. Appends to OUT. */
enum status findings_json(const struct findings *f, struct buf *out, struct error *e);

#endif

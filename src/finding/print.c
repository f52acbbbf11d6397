/* Findings for people and for programs. */
#include "finding/finding.h"

#include <string.h>

static const char *const results[] = {
    [FINDING_OK] = "ok", [FINDING_FAIL] = "FAIL", [FINDING_SKIP] = "skip", [FINDING_NOTE] = "note"};

/* A step that is longer does not push the others' texts to the right. */
#define WIDEST_COLUMN 32

/* Characters, not bytes: what counts on a terminal (each taken as one column wide). */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((uint8_t)*text & 0xC0) != 0x80;
    return n;
}

static size_t column(const struct findings *f)
{
    size_t widest = 0;
    for (size_t i = 0; i < f->n; i++) {
        size_t n = width(f->list[i].step);
        widest = n > widest && n <= WIDEST_COLUMN ? n : widest;
    }
    return widest;
}

/* "Remedy.": a sentence of its own behind the text. */
static enum status add_remedy(const struct finding *finding, struct buf *out, struct error *e)
{
    const char *remedy = finding->remedy;
    if (remedy[0] == '\0')
        return OK;
    char first = remedy[0] >= 'a' && remedy[0] <= 'z' ? (char)(remedy[0] - 'a' + 'A') : remedy[0];
    bool stopped = remedy[strlen(remedy) - 1] == '.';
    return buf_addf(out, e, ". %c%s%s", first, remedy + 1, stopped ? "" : ".");
}

enum status findings_text(const struct findings *f, struct buf *out, struct error *e)
{
    size_t wide = column(f);
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *finding = &f->list[i];
        size_t n = width(finding->step);
        int padding = n < wide ? (int)(wide - n) : 0;
        TRY(buf_addf(out, e, "%-4s  %s%*s  %s", results[finding->result], finding->step, padding,
                     "", finding->text));
        TRY(add_remedy(finding, out, e));
        TRY(buf_add(out, SPAN_LITERAL("\n"), e));
    }
    return OK;
}

static enum status add_object(const struct finding *finding, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, "{\"step\":"));
    TRY(json_quote(span_text(finding->step), out, e));
    TRY(buf_addf(out, e, ",\"result\":\"%s\",\"text\":", results[finding->result]));
    TRY(json_quote(span_text(finding->text), out, e));
    if (finding->remedy[0] != '\0') {
        TRY(buf_addf(out, e, ",\"remedy\":"));
        TRY(json_quote(span_text(finding->remedy), out, e));
    }
    if (finding->result == FINDING_FAIL)
        TRY(buf_addf(out, e, ",\"exit_code\":%d", (int)finding->status));
    return buf_addf(out, e, "}");
}

enum status findings_json(const struct findings *f, struct buf *out, struct error *e)
{
    TRY(buf_addf(out, e, "["));
    for (size_t i = 0; i < f->n; i++) {
        TRY(buf_addf(out, e, "%s", i > 0 ? "," : ""));
        TRY(add_object(&f->list[i], out, e));
    }
    return buf_addf(out, e, "]");
}

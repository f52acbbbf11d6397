/* For the tests of inspect: temporary files, one look at a thing, and what was found in it. */
#ifndef TEST_INSPECT_LOOK_H
#define TEST_INSPECT_LOOK_H

#include "evidence/forge.h"
#include "inspect/inspect.h"

#include <unistd.h>

#define NOW 1764000000 /* 2025-11-24T16:00:00Z */

static char folder[] = "/tmp/decant-inspect-XXXXXX";

static inline int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static inline int folder_remove(void **state)
{
    char command[64];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A file of CONTENT; its path lives for the next 64 calls. */
static inline const char *file_of(const char *name, struct span content)
{
    static char paths[64][128];
    static size_t turn;
    char *path = paths[turn++ % COUNT(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content.data, 1, content.size, f), content.size);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* The test chain's ARK alone: what these tests believe in AMD's place. */
static inline const char *test_root(void)
{
    AUTO(buf_free) struct buf pem = BUF(0);
    read_or_die(DATA "milan.pem", &pem);
    const char *last = buf_text(&pem), *next = last;
    while ((next = strstr(next + 1, "-----BEGIN")) != NULL)
        last = next;
    return file_of("root.pem", span_text(last));
}

static inline const struct finding *step_of(const struct inspection *seen, const char *step)
{
    for (size_t i = 0; i < seen->findings.n; i++)
        if (strcmp(seen->findings.list[i].step, step) == 0)
            return &seen->findings.list[i];
    fail_msg("there is no step \"%s\"", step);
    return NULL;
}

static inline void assert_step(const struct inspection *seen, const char *step,
                               enum finding_result result, const char *part)
{
    const struct finding *found = step_of(seen, step);
    if (found->result != result || strstr(found->text, part) == NULL)
        fail_msg("%s: result %d, \"%s\"; expected %d, \"%s\"", step, found->result, found->text,
                 result, part);
}

/* Looks at PATH as WISH says, and gives the verdict. */
static inline enum status look(struct inspect_options wish, const char *path,
                               struct inspection *out, struct error *e)
{
    wish.path = path;
    if (wish.now_unix_s == 0)
        wish.now_unix_s = NOW;
    inspection_free(out);
    TRY(inspect(&wish, out, e));
    return findings_verdict(&out->findings, e);
}

#endif

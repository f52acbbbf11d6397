/* Secrets: pages of their own, wiped before they are given back, gone in children. */
#include "wiped.h"

#include <unistd.h>

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void test_new(void **state)
{
    const size_t sizes[] = {0, 1, 32, page() - 1, page(), page() + 1};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct error e = {0};
        AUTO(secret_free) struct secret s = {0};
        assert_ok(secret_new(&s, sizes[i], &e), &e);
        assert_int_equal(secret_view(&s).size, sizes[i]);
        assert_int_equal((uintptr_t)secret_view(&s).data % page(), 0);
        assert_int_equal(s.mapped, sizes[i] > page() ? 2 * page() : page());
        for (size_t at = 0; at < s.size; at++)
            assert_int_equal(secret_view(&s).data[at], 0);
    }
    struct error e = {0};
    struct secret s = {0};
    assert_fails(secret_new(&s, SIZE_MAX, &e), E_SPACE, "", &e);
    assert_null(s.pages);
}

static void test_free_wipes(void **state)
{
    (void)state;
    struct error e = {0};
    struct secret s = {0};
    secret_free(&s);
    assert_ok(secret_new(&s, 50, &e), &e);
    memset(secret_room(&s), MARK, 50);
    wiped_marks = 0;
    secret_free(&s);
    assert_int_equal(wiped_marks, 50);
    assert_null(s.pages);
    assert_int_equal(s.size + s.mapped, 0);
}

static void test_copy_replaces(void **state)
{
    uint8_t marks[100];
    memset(marks, MARK, sizeof(marks));
    (void)state;
    struct error e = {0};
    AUTO(secret_free) struct secret s = {0};
    assert_ok(secret_copy(&s, span_of(marks, 100), &e), &e);
    assert_true(span_equal(secret_view(&s), span_of(marks, 100)));
    wiped_marks = 0;
    assert_ok(secret_copy(&s, SPAN_LITERAL("short"), &e), &e);
    assert_int_equal(wiped_marks, 100);
    assert_true(span_is(secret_view(&s), "short"));
    for (size_t i = 5; i < s.mapped; i++)
        assert_int_equal(s.pages[i], 0);
    assert_ok(secret_copy(&s, SPAN_LITERAL(""), &e), &e);
    assert_int_equal(secret_view(&s).size, 0);
}

static void test_copy_grows(void **state)
{
    static uint8_t large[20000];
    memset(large, MARK, sizeof(large));
    (void)state;
    struct error e = {0};
    AUTO(secret_free) struct secret s = {0};
    assert_ok(secret_copy(&s, span_of(large, 10), &e), &e);
    wiped_marks = 0;
    assert_ok(secret_copy(&s, span_of(large, sizeof(large)), &e), &e);
    assert_int_equal(wiped_marks, 10);
    assert_true(span_equal(secret_view(&s), span_of(large, sizeof(large))));
}

/* VmFlags of the pages in /proc/self/smaps: lo = locked, dd = not dumped, dc = not in children. */
static bool page_flags(const void *at, char out[static 256])
{
    char line[512], start[32];
    bool here = false, found = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (maps == NULL)
        return false;
    (void)snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)at);
    while (!found && fgets(line, sizeof(line), maps) != NULL) {
        here = here || strncmp(line, start, strlen(start)) == 0;
        found = here && strncmp(line, "VmFlags:", 8) == 0;
    }
    (void)fclose(maps);
    (void)snprintf(out, 256, "%.255s", found ? line : "");
    return found;
}

static void test_pages_stay_here(void **state)
{
    (void)state;
    struct error e = {0};
    char flags[256];
    AUTO(secret_free) struct secret s = {0};
    assert_ok(secret_new(&s, 32, &e), &e);
    if (!page_flags(s.pages, flags)) {
        print_message("skipped: no /proc/self/smaps with VmFlags here\n");
        skip();
    }
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " dc"));
#ifndef __SANITIZE_ADDRESS__ /* its mlock does nothing */
    assert_int_equal(strstr(flags, " lo") != NULL, secrets_are_locked());
#endif
}

static void test_kek_free(void **state)
{
    (void)state;
    struct error e = {0};
    struct kek k = {.kid = "https://v.example/keys/k"};
    assert_ok(secret_new(&k.octets, 32, &e), &e);
    memset(secret_room(&k.octets), MARK, 32);
    wiped_marks = 0;
    kek_free(&k);
    assert_int_equal(wiped_marks, 32);
    assert_string_equal(k.kid, "");
    kek_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_free_wipes),
        cmocka_unit_test(test_copy_replaces),
        cmocka_unit_test(test_copy_grows),
        cmocka_unit_test(test_pages_stay_here),
        cmocka_unit_test(test_kek_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

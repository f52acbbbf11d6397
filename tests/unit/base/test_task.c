/* Threads: their result and their error come back, once and again. */
#include "testing.h"

#include <stdatomic.h>
#include <unistd.h>

static enum status work(void *context, struct error *e)
{
    const int *n = context;
    (void)usleep(10000);
    if (*n == 0)
        return OK;
    (void)!fail(e, E_DENIED, "number %d", *n);
    advise(e, "Give 0");
    return e->status;
}

static void test_error_comes_back(void **state)
{
    (void)state;
    int number = 7;
    struct task t = {0};
    for (int i = 0; i < 2; i++) { /* joining again says the same again */
        struct error e = {0};
        if (i == 0)
            assert_ok(task_start(&t, work, &number, &e), &e);
        assert_fails(task_join(&t, &e), E_DENIED, "number 7", &e);
        assert_int_equal(e.status, E_DENIED);
        assert_string_equal(e.remedy, "Give 0");
        assert_false(t.running);
    }
}

static void test_success_leaves_the_error(void **state)
{
    (void)state;
    int number = 0;
    struct error e = {0};
    struct task t = {0};
    assert_ok(task_start(&t, work, &number, &e), &e);
    (void)!fail(&e, E_NAME, "mine");
    assert_ok(task_join(&t, &e), &e);
    assert_string_equal(e.text, "mine");
}

static enum status count(void *context, struct error *e)
{
    (void)e;
    (void)usleep(20000);
    atomic_fetch_add((atomic_int *)context, 1);
    return OK;
}

static void test_abandon_waits(void **state)
{
    (void)state;
    atomic_int counted = 0;
    struct error e = {0};
    struct task never = {0};
    task_abandon(&never);
    assert_ok(task_join(&never, &e), &e);
    {
        AUTO(task_abandon) struct task t = {0};
        assert_ok(task_start(&t, count, &counted, &e), &e);
    }
    assert_int_equal(counted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_comes_back),
        cmocka_unit_test(test_success_leaves_the_error),
        cmocka_unit_test(test_abandon_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

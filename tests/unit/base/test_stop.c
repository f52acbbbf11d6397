/* Stopping: the first reason stays, sleepers wake at once, signals are reasons. */
#include "testing.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int reset(void **state)
{
    (void)state;
    stop_reset();
    return 0;
}

static void test_reasons(void **state)
{
    static const struct {
        int reason;
        const char *part;
    } cases[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {STOP_ON_FAILURE, "another part"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        stop_reset();
        assert_int_equal(stop_reason(), 0);
        assert_ok(stop_check(&e), &e);
        assert_ok(stop_sleep_ms(0, &e), &e);
        errno = ENOENT;
        stop_request(cases[i].reason);
        stop_request(SIGHUP);
        assert_int_equal(errno, ENOENT);
        assert_int_equal(stop_reason(), cases[i].reason);
        assert_fails(stop_check(&e), E_INTERRUPTED, cases[i].part, &e);
        assert_fails(stop_sleep_ms(0, &e), E_INTERRUPTED, cases[i].part, &e);
    }
}

static void test_sleep_lasts(void **state)
{
    (void)state;
    struct error e = {0};
    int64_t start = clock_ms();
    assert_ok(stop_sleep_ms(50, &e), &e);
    assert_true(clock_ms() - start >= 50);
    start = clock_ms();
    assert_ok(stop_sleep_ms(-5, &e), &e);
    assert_true(clock_ms() - start < 5000);
}

static enum status sleep_long(void *context, struct error *e)
{
    (void)context;
    return stop_sleep_ms(60000, e);
}

/* Two sleep, both must wake; then sleeping works again after a reset. */
static void wakes_sleepers(void (*cause)(void))
{
    struct error e = {0};
    AUTO(task_abandon) struct task a = {0}, b = {0};
    assert_ok(stop_on_signals(&e), &e);
    int64_t start = clock_ms();
    assert_ok(task_start(&a, sleep_long, NULL, &e), &e);
    assert_ok(task_start(&b, sleep_long, NULL, &e), &e);
    (void)usleep(50000);
    cause();
    assert_fails(task_join(&a, &e), E_INTERRUPTED, "", &e);
    assert_fails(task_join(&b, &e), E_INTERRUPTED, "", &e);
    assert_true(clock_ms() - start < 30000);
    stop_reset();
    start = clock_ms();
    clock_t busy = clock();
    assert_ok(stop_sleep_ms(200, &e), &e);
    assert_true(clock_ms() - start >= 200);
    assert_true(clock() - busy < CLOCKS_PER_SEC / 10); /* asleep, not turning in circles */
}

static enum status request(void *context, struct error *e)
{
    (void)context, (void)e;
    stop_request(STOP_ON_FAILURE);
    return OK;
}

static void request_from_thread(void)
{
    struct error e = {0};
    AUTO(task_abandon) struct task t = {0};
    assert_ok(task_start(&t, request, NULL, &e), &e);
    assert_ok(task_join(&t, &e), &e);
}

static void send_sigterm(void)
{
    (void)raise(SIGTERM);
}

static void test_wakes_on_request(void **state)
{
    (void)state;
    wakes_sleepers(request_from_thread);
}

static void test_wakes_on_signal(void **state)
{
    (void)state;
    wakes_sleepers(send_sigterm);
}

static void test_signals(void **state)
{
    (void)state;
    struct error e = {0};
    assert_ok(stop_on_signals(&e), &e);
    (void)raise(SIGPIPE); /* ignored */
    assert_int_equal(stop_reason(), 0);
    (void)raise(SIGINT);
    (void)raise(SIGTERM);
    assert_int_equal(stop_reason(), SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reasons, reset, reset),
        cmocka_unit_test_setup_teardown(test_sleep_lasts, reset, reset),
        cmocka_unit_test_setup_teardown(test_wakes_on_request, reset, reset),
        cmocka_unit_test_setup_teardown(test_wakes_on_signal, reset, reset),
        cmocka_unit_test_setup_teardown(test_signals, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

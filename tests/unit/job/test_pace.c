/* How many connections a large blob gets: more while they pay, and no more than that. */
#include "job/internal.h"
#include "testing.h"

enum { STRETCH = 8 << 20 };

/* Reads stretches at RATE(limit) bytes per second until the pace is settled; the limit then. */
static size_t settle(size_t most, uint64_t (*rate)(size_t connections))
{
    struct pace pace;
    int64_t now_us = 1000000;
    pace_start(&pace, most);
    for (int i = 0; i < 10000 && !pace.settled; i++) {
        now_us += (int64_t)STRETCH * 1000000 / (int64_t)rate(pace.limit);
        (void)pace_note(&pace, STRETCH, now_us / 1000);
        assert_true(pace.limit >= 1 && pace.limit <= most);
    }
    assert_true(pace.settled);
    return pace.limit;
}

static uint64_t each_has_its_share(size_t connections)
{
    return connections * 60000000;
}

static uint64_t the_wire_is_full(size_t connections)
{
    return 1000000000 + connections;
}

static uint64_t more_is_worse(size_t connections)
{
    return 8000000000 / connections;
}

static uint64_t full_with_eight(size_t connections)
{
    return (connections < 8 ? connections : 8) * 100000000;
}

static void more_connections_while_they_pay(void **state)
{
    (void)state;
    assert_int_equal(settle(16, each_has_its_share), 16);
    assert_int_equal(settle(24, each_has_its_share), 24);
    assert_int_equal(settle(16, the_wire_is_full), 4);
    assert_int_equal(settle(16, more_is_worse), 4);
    assert_int_equal(settle(64, full_with_eight), 8);
}

static void a_small_limit_is_kept(void **state)
{
    (void)state;
    for (size_t most = 1; most <= 4; most++)
        assert_int_equal(settle(most, each_has_its_share), most);
}

/* A clock that stands still decides nothing. */
static void no_time_no_rate(void **state)
{
    struct pace pace;
    (void)state;
    pace_start(&pace, 16);
    for (int i = 0; i < 1000; i++)
        assert_false(pace_note(&pace, STRETCH, 5));
    assert_int_equal(pace.limit, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_connections_while_they_pay),
        cmocka_unit_test(a_small_limit_is_kept),
        cmocka_unit_test(no_time_no_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

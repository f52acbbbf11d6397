/* Shards: disjoint, complete, the same for everybody, balanced by size. */
#include "testing.h"

#include "job/internal.h"

enum { BLOBS = 3000 };

static uint64_t sizes[BLOBS];
static char names[BLOBS][16];

/* Heavy-tailed, as data sets are: Pareto with exponent about 1.2, cut at a thousandth of the whole.
 */
static void make_list(void)
{
    uint64_t state = 88172645463325252ULL;
    for (int i = 0; i < BLOBS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t u = state % 1000 + 1;
        uint64_t size = (uint64_t)(1 << 20) * 1000 / u;
        sizes[i] = size > (300ULL << 20) ? 300ULL << 20 : size;
        (void)snprintf(names[i], sizeof(names[i]), "blob-%05d", i);
    }
}

static struct shard_list *new_list(uint32_t mine, uint32_t shards)
{
    struct error e = {0};
    struct shard_list *list = NULL;
    assert_ok(shard_list_new(&list, &e), &e);
    for (int i = 0; i < BLOBS; i++)
        assert_ok(shard_add(list, names[i], sizes[i], &e), &e);
    assert_ok(shard_assign(list, mine, shards, &e), &e);
    return list;
}

static void test_disjoint_complete_balanced(void **unused)
{
    (void)unused;
    static const uint32_t counts[] = {2, 3, 16, 64};
    make_list();
    for (size_t c = 0; c < COUNT(counts); c++) {
        static int owners[BLOBS];
        memset(owners, 0, sizeof(owners));
        uint64_t largest = 0, total = 0;
        for (uint32_t shard = 0; shard < counts[c]; shard++) {
            struct error e = {0};
            struct shard_list *list = new_list(shard, counts[c]);
            uint64_t mine_bytes = 0;
            for (size_t i = 0; i < BLOBS; i++) {
                bool mine = false;
                assert_ok(shard_check(list, i, names[i], sizes[i], &mine, &e), &e);
                owners[i] += mine;
                mine_bytes += mine ? sizes[i] : 0;
            }
            largest = mine_bytes > largest ? mine_bytes : largest;
            total += mine_bytes;
            shard_list_free(&list);
        }
        for (size_t i = 0; i < BLOBS; i++)
            assert_int_equal(owners[i], 1);
        double ratio = (double)largest * counts[c] / (double)total;
        if (ratio > 1.1)
            fail_msg("%u shards: largest over mean is %.3f", counts[c], ratio);
    }
}

static void test_many_empty_blobs_are_spread(void **unused)
{
    (void)unused;
    struct error e = {0};
    struct shard_list *list = NULL;
    int mine_count = 0;
    assert_ok(shard_list_new(&list, &e), &e);
    for (int i = 0; i < 100; i++)
        assert_ok(shard_add(list, "x", 0, &e), &e);
    assert_ok(shard_assign(list, 3, 10, &e), &e);
    for (size_t i = 0; i < 100; i++) {
        bool mine = false;
        assert_ok(shard_check(list, i, "x", 0, &mine, &e), &e);
        mine_count += mine;
    }
    assert_int_equal(mine_count, 10);
    shard_list_free(&list);
}

/* The second reading must be the first one's: one thing changed is refused. */
static void test_changed_listing_is_refused(void **unused)
{
    (void)unused;
    struct error e = {0};
    struct shard_list *list = NULL;
    bool mine = false;
    assert_ok(shard_list_new(&list, &e), &e);
    assert_ok(shard_add(list, "a", 1, &e), &e);
    assert_ok(shard_assign(list, 0, 2, &e), &e);
    assert_ok(shard_check(list, 0, "a", 1, &mine, &e), &e);
    assert_fails(shard_check(list, 0, "b", 1, &mine, &e), E_NETWORK, "changed", &e);
    assert_fails(shard_check(list, 0, "a", 2, &mine, &e), E_NETWORK, "changed", &e);
    assert_fails(shard_check(list, 1, "a", 1, &mine, &e), E_NETWORK, "changed", &e);
    shard_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disjoint_complete_balanced),
        cmocka_unit_test(test_many_empty_blobs_are_spread),
        cmocka_unit_test(test_changed_listing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

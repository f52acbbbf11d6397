/* Blobs of all three ways to count nonces, in all sizes at which layouts go wrong, read in all
 * orders. */
#include "blob.h"

#define MIB (1024 * 1024)

static uint8_t *source; /* 3 × 4 MiB + 7 bytes of plaintext */
static const size_t source_size = 12 * MIB + 7;

static int setup(void **state)
{
    (void)state;
    source = malloc(source_size);
    fill(source, source_size, 99);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(source);
    return 0;
}

static struct envelope *open_sealed(const char *protocol, uint64_t data, uint64_t stored)
{
    struct error e = {0};
    struct envelope_metadata m = {0};
    struct envelope *v = NULL;
    AUTO(kek_free) struct kek kek = kek_of(test_kek, 32);
    char *text = metadata_text(protocol, data);
    assert_ok(envelope_metadata_parse(text, ENVELOPE_CSE, &m, &e), &e);
    assert_ok(envelope_open(ENVELOPE_CSE, &m, &kek, stored, &v, &e), &e);
    free(text);
    return v;
}

/* Two threads take stretches from one shuffled list. */
struct crew {
    struct envelope *envelope;
    struct span blob;
    uint64_t wanted;
    uint32_t most;
    const uint64_t *order;
    size_t n;
    _Atomic size_t next;
    struct memory *memory;
};

static enum status crew_work(void *context, struct error *e)
{
    struct crew *c = context;
    AUTO(envelope_reader_free) struct envelope_reader *r = NULL;
    TRY(envelope_reader_new(&r, e));
    uint32_t seed = 31;
    for (size_t i = atomic_fetch_add(&c->next, 1); i < c->n; i = atomic_fetch_add(&c->next, 1)) {
        struct envelope_span s;
        if (!envelope_span(c->envelope, c->wanted, c->order[i], &s))
            return fail(e, E_BUG, "a stretch is gone");
        TRY(read_span(r, c->envelope, &s, c->blob, c->most, &seed, c->memory, e));
    }
    return OK;
}

/* How many stretches there are; they must follow each other without gap and hold all plaintext. */
static size_t count_spans(const struct envelope *v, uint64_t wanted, uint64_t stored)
{
    size_t n = 0;
    uint64_t stored_at = 0, plain_at = 0;
    struct envelope_span s;
    for (; envelope_span(v, wanted, n, &s); n++) {
        assert_int_equal(s.stored_at, stored_at);
        assert_int_equal(s.plain_at, plain_at);
        assert_true(s.stored_size > 0);
        stored_at += s.stored_size;
        plain_at += s.plain_size;
    }
    assert_int_equal(stored_at, stored);
    assert_int_equal(plain_at, envelope_plain_size(v));
    return n;
}

static void shuffle(uint64_t *order, size_t n)
{
    uint32_t seed = 5;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t j = next_random(&seed) % i;
        uint64_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

static void read_by_two(struct envelope *v, struct span blob, uint64_t wanted, uint32_t most,
                        struct memory *m)
{
    struct error e = {0};
    size_t n = count_spans(v, wanted, blob.size);
    uint64_t *order = calloc(n + 1, sizeof(*order));
    shuffle(order, n);
    struct crew crew = {.envelope = v,
                        .blob = blob,
                        .wanted = wanted,
                        .most = most,
                        .order = order,
                        .n = n,
                        .memory = m};
    struct task tasks[2] = {0};
    for (size_t i = 0; i < 2; i++)
        assert_ok(task_start(&tasks[i], crew_work, &crew, &e), &e);
    for (size_t i = 0; i < 2; i++)
        assert_ok(task_join(&tasks[i], &e), &e);
    free(order);
}

static void check_one(const char *protocol, uint64_t data, enum counting counting, size_t size,
                      uint64_t wanted, uint32_t most, bool by_two)
{
    struct error e = {0};
    struct buf blob = BUF(source_size * 3 + 1024);
    struct memory m;
    uint64_t plain_size = 12345;
    seal_blob(span_of(source, size), data, counting, &blob);
    struct envelope *v = open_sealed(protocol, data, blob.size);
    assert_int_equal(envelope_plain_size(v), size);
    memory_sink_new(&m, size);
    if (by_two) {
        read_by_two(v, buf_span(&blob), wanted, most, &m);
        assert_ok(envelope_verdict(v, &plain_size, &e), &e);
    } else {
        assert_ok(read_blob(v, buf_span(&blob), wanted, most, &m, &plain_size, &e), &e);
    }
    assert_int_equal(plain_size, size);
    assert_int_equal(atomic_load(&m.written), size);
    assert_memory_equal(m.data, source, size);
    free(m.data);
    envelope_close(&v);
    assert_null(v);
    buf_free(&blob);
}

static void check_sizes(uint64_t data, bool in_single_bytes)
{
    const size_t d = (size_t)data;
    const size_t sizes[] = {0, 1, 15, 16, d - 1, d, d + 1, 2 * d, 3 * d + 7};
    static const enum counting countings[] = {PYTHON, JAVA, NET};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < COUNT(countings); k++) {
            const char *protocol = (i + k) % 2 == 0 ? "2.0" : "2.1";
            uint32_t most = in_single_bytes && k == 0 ? 1 : k == 1 ? 1000 : 300000;
            check_one(protocol, data, countings[k], sizes[i], data, most, true);
            check_one(protocol, data, countings[k], sizes[i], 8 * MIB, k == 2 ? 0 : most, false);
        }
}

static void tiny_regions(void **state)
{
    (void)state;
    check_sizes(16, true);
    check_sizes(64, true);
    check_sizes(1000, true);
    check_sizes(1, true);
}

static void regions_of_1_mib(void **state)
{
    (void)state;
    check_sizes(MIB, false);
}

static void regions_of_4_mib(void **state)
{
    (void)state;
    check_sizes(4 * MIB, false);
}

/* Past 255, so that the counters carry; many stretches finish out of order. */
static void many_regions(void **state)
{
    (void)state;
    check_one("2.0", 16, PYTHON, 16 * 70000 + 3, 16 * 44, 0, true);
    check_one("2.1", 64, JAVA, 64 * 700 + 3, 92, 13, true);
    check_one("2.0", 64, NET, 64 * 700 + 3, 1, 91, true);
    check_one("2.1", 1000, NET, 1000000, 100000, 5000, true);
}

/* A Java writer whose source ends with an empty buffer adds a region of nothing. */
static void last_region_is_empty(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t data;
    } cases[] = {{0, 64}, {64, 64}, {192, 64}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        struct buf blob = BUF(4096);
        struct memory m;
        uint8_t nonce[12];
        uint64_t plain_size = 0;
        seal_blob(span_of(source, cases[i].size), cases[i].data, JAVA, &blob);
        count_nonce(JAVA, cases[i].size / cases[i].data, nonce);
        seal_gcm(span_of(test_cek, 32), nonce, span_of(source, 0), &blob);
        struct envelope *v = open_sealed("2.0", cases[i].data, blob.size);
        memory_sink_new(&m, cases[i].size);
        assert_ok(read_blob(v, buf_span(&blob), 1, 3, &m, &plain_size, &e), &e);
        assert_int_equal(plain_size, cases[i].size);
        assert_memory_equal(m.data, source, cases[i].size);
        envelope_close(&v);

        blob.data[blob.size - 1] ^= 1;
        v = open_sealed("2.0", cases[i].data, blob.size);
        assert_fails(read_blob(v, buf_span(&blob), 1, 3, &m, &plain_size, &e), E_NOT_AUTHENTIC,
                     "not genuine", &e);
        envelope_close(&v);
        free(m.data);
        buf_free(&blob);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_regions),         cmocka_unit_test(regions_of_1_mib),
        cmocka_unit_test(regions_of_4_mib),     cmocka_unit_test(many_regions),
        cmocka_unit_test(last_region_is_empty),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

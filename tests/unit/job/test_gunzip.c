/* gzip: one member or several and nothing else; what comes out is counted before it is written. */
#include "testing.h"

#include <zlib.h>

#include "job/internal.h"
#include "output/scratch.h"

struct scene {
    struct job job;
    struct run run;
    struct volume *volume;
    struct output_file *from, *to;
};

static void scene_close(struct scene *s)
{
    output_file_free(&s->from);
    output_file_free(&s->to);
    volume_close(&s->volume);
}

static void scene_open(struct scene *s, const char *root, struct span bytes)
{
    struct error e = {0};
    s->run = (struct run){.job = &s->job};
    assert_ok(volume_at(root, &s->volume, &e), &e);
    assert_ok(output_file_new(s->volume, "from", bytes.size, &s->from, &e), &e);
    assert_ok(output_file_new(s->volume, "to", 0, &s->to, &e), &e);
    if (bytes.size > 0)
        assert_ok(output_file_write(s->from, 0, bytes, &e), &e);
}

/* Adds one gzip member that inflates to TEXT. */
static void compress_to(struct buf *out, struct span text)
{
    static uint8_t room[1 << 20];
    struct error e = {0};
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)text.data;
    z.avail_in = (uInt)text.size;
    z.next_out = room;
    z.avail_out = sizeof(room);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_ok(buf_add(out, span_of(room, sizeof(room) - z.avail_out), &e), &e);
    (void)deflateEnd(&z);
}

static struct span pattern(size_t n)
{
    static uint8_t bytes[3 << 20];
    uint32_t x = 1;
    assert_true(n <= sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 28); /* four bits of noise: deflates, but not to nothing */
    }
    return span_of(bytes, n);
}

static void assert_inflates(const char *root, const struct buf *packed, struct span expected)
{
    struct error e = {0};
    uint64_t written = 99;
    AUTO(scene_close) struct scene s = {0};
    scene_open(&s, root, buf_span(packed));
    assert_ok(gunzip(&s.run, s.from, packed->size, s.to, &written, &e), &e);
    assert_int_equal(written, expected.size);
    assert_int_equal(s.run.plain_bytes, expected.size);
    uint8_t *back = memory_new(expected.size);
    if (expected.size > 0)
        assert_ok(output_file_read(s.to, 0, back, expected.size, &e), &e);
    assert_true(span_equal(span_of(back, expected.size), expected));
    memory_free(back);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0,      1, 1000, (256 << 10) - 1, 256 << 10, (256 << 10) + 1,
                                   1 << 20};
    const char *root = scratch_path(state);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        AUTO(buf_free) struct buf packed = BUF(4 << 20);
        compress_to(&packed, pattern(sizes[i]));
        assert_inflates(root, &packed, pattern(sizes[i]));
    }
}

static void test_members(void **state)
{
    const char *root = scratch_path(state);
    const struct span whole = pattern(700000);
    static const size_t cuts[] = {0, 100, 100, 300000, 700000};
    AUTO(buf_free) struct buf packed = BUF(4 << 20);
    for (size_t i = 1; i < COUNT(cuts); i++) /* one of them is empty */
        compress_to(&packed, span_of(whole.data + cuts[i - 1], cuts[i] - cuts[i - 1]));
    assert_inflates(root, &packed, whole);
}

/* A member that ends just where a piece of the input does. */
static void test_stored_name(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    AUTO(buf_free) struct buf body = BUF(4 << 20), packed = BUF(4 << 20);
    compress_to(&body, pattern(1000));
    const size_t padding = (256 << 10) - body.size - 1;
    assert_ok(buf_add(&packed, span_of(body.data, 10), &e), &e);
    packed.data[3] = 0x08; /* FNAME: a name up to its NUL follows the header */
    for (size_t i = 0; i < padding; i++)
        assert_ok(buf_add(&packed, SPAN_LITERAL("n"), &e), &e);
    assert_ok(buf_add(&packed, SPAN_LITERAL("\0"), &e), &e);
    assert_ok(buf_add(&packed, span_of(body.data + 10, body.size - 10), &e), &e);
    assert_int_equal(packed.size, 256 << 10);
    assert_inflates(root, &packed, pattern(1000));
}

static void assert_refused(const char *root, struct span bytes, const char *part)
{
    struct error e = {0};
    uint64_t written = 99;
    AUTO(scene_close) struct scene s = {0};
    scene_open(&s, root, bytes);
    assert_fails(gunzip(&s.run, s.from, bytes.size, s.to, &written, &e), E_MISMATCH, part, &e);
    assert_int_equal(written, 99);
}

static void test_not_gzip(void **state)
{
    static const char *const tails[] = {"x", "\x1F", "\x1F\x8B", "\x1F\x8B\x08", "garbage garbage",
                                        "\n"};
    const char *root = scratch_path(state);
    struct error e = {0};
    assert_refused(root, SPAN_LITERAL(""), "cut-off");
    assert_refused(root, SPAN_LITERAL("plain text, not gzip"), "not gzip");
    assert_refused(root, SPAN_LITERAL("\x78\x9C\x03\x00\x00\x00\x00\x01"), "not gzip"); /* zlib */
    for (size_t i = 0; i < COUNT(tails); i++) {
        AUTO(buf_free) struct buf packed = BUF(4 << 20);
        compress_to(&packed, pattern(1000));
        assert_ok(buf_add(&packed, span_text(tails[i]), &e), &e);
        assert_refused(root, buf_span(&packed), "gzip");
    }
    AUTO(buf_free) struct buf zeros = BUF(4 << 20);
    compress_to(&zeros, pattern(1000));
    assert_ok(buf_add(&zeros, SPAN_LITERAL("\0\0\0\0"), &e), &e);
    assert_refused(root, buf_span(&zeros), "gzip");
}

static void test_cut_and_changed(void **state)
{
    const char *root = scratch_path(state);
    AUTO(buf_free) struct buf packed = BUF(4 << 20);
    compress_to(&packed, pattern(300));
    for (size_t n = 0; n < packed.size; n++)
        assert_refused(root, span_of(packed.data, n), "cut-off");
    for (size_t back = 1; back <= 8; back++) { /* the CRC and the size */
        packed.data[packed.size - back] ^= 1;
        assert_refused(root, buf_span(&packed), "not gzip");
        packed.data[packed.size - back] ^= 1;
    }
    assert_inflates(root, &packed, pattern(300));
}

/* 1 MiB of zeros in 1 KiB; the limit is one for all files together. */
static void test_bomb(void **state)
{
    static const uint8_t zeros[1 << 20];
    const char *root = scratch_path(state);
    AUTO(buf_free) struct buf packed = BUF(4 << 20);
    compress_to(&packed, span_of(zeros, sizeof(zeros)));
    for (uint64_t before = 0; before <= 1; before++) {
        struct error e = {0};
        uint64_t written = 99;
        AUTO(scene_close) struct scene s = {.job.limits.max_plaintext_mib = 1};
        scene_open(&s, root, buf_span(&packed));
        s.run.plain_bytes = before;
        enum status status = gunzip(&s.run, s.from, packed.size, s.to, &written, &e);
        if (before == 0)
            assert_ok(status, &e);
        else
            assert_fails(status, E_SPACE, "more than 1 MiB", &e);
    }
}

static void test_stop(void **state)
{
    const char *root = scratch_path(state);
    struct error e = {0};
    uint64_t written;
    AUTO(buf_free) struct buf packed = BUF(4 << 20);
    AUTO(scene_close) struct scene s = {0};
    compress_to(&packed, pattern(1000));
    scene_open(&s, root, buf_span(&packed));
    stop_request(STOP_ON_FAILURE);
    enum status status = gunzip(&s.run, s.from, packed.size, s.to, &written, &e);
    stop_reset();
    assert_fails(status, E_INTERRUPTED, "", &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sizes),           TEST(test_members), TEST(test_stored_name), TEST(test_not_gzip),
        TEST(test_cut_and_changed), TEST(test_bomb),    TEST(test_stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

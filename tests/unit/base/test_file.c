/* Reading files: the limit holds to the byte, for files, pipes, sockets and /proc. */
#include "testing.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/decant-test-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void put(size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        (void)fputc((int)('a' + i % 26), f);
    assert_int_equal(fclose(f), 0);
}

static void test_limits(void **state)
{
    static const struct {
        size_t size, max;
        bool good;
    } cases[] = {
        {0, 0, true},       {1, 0, false},       {10, 10, true},       {11, 10, false},
        {4096, 4096, true}, {4097, 4096, false}, {10000, 10000, true}, {10001, 10000, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error e = {0};
        AUTO(buf_free) struct buf out = BUF(0);
        put(cases[i].size);
        if (!cases[i].good) {
            assert_fails(file_read(path, cases[i].max, &out, E_NO_TOKEN, &e), E_NO_TOKEN,
                         "larger than", &e);
            assert_int_equal(out.size, 0);
            continue;
        }
        assert_ok(file_read(path, cases[i].max, &out, E_NO_TOKEN, &e), &e);
        assert_int_equal(out.size, cases[i].size);
        for (size_t at = 0; at < out.size; at++)
            assert_int_equal(out.data[at], 'a' + at % 26);
    }
}

static void test_appends(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(2);
    assert_ok(buf_add(&out, SPAN_LITERAL("> "), &e), &e);
    put(3);
    assert_ok(file_read(path, 100, &out, E_BUG, &e), &e);
    assert_string_equal(buf_text(&out), "> abc");
}

static void test_failures(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(0);
    put(1);
    assert_fails(file_read("/nonexistent/file", 10, &out, E_USAGE, &e), E_USAGE,
                 "/nonexistent/file: No such file", &e);
    assert_fails(file_read(folder, 10, &out, E_USAGE, &e), E_USAGE, "Is a directory", &e);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0)
        assert_fails(file_read(path, 10, &out, E_USAGE, &e), E_USAGE, "Permission denied", &e);
}

static void test_proc(void **state)
{
    (void)state;
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(0);
    assert_ok(file_read("/proc/self/status", 1 << 16, &out, E_BUG, &e), &e); /* its size is 0 */
    assert_true(span_starts(buf_span(&out), "Name:"));
    assert_fails(file_read("/dev/zero", 1 << 16, &out, E_BUG, &e), E_BUG, "larger than", &e);
}

/* A socket cannot be opened through /dev/stdin, yet it may be standard input. */
static void read_standard_input(int reader, int writer)
{
    struct error e = {0};
    AUTO(buf_free) struct buf out = BUF(0);
    int before = dup(STDIN_FILENO);
    assert_true(dup2(reader, STDIN_FILENO) >= 0);
    assert_int_equal(write(writer, "job", 3), 3);
    (void)close(writer);
    enum status status = file_read("/dev/stdin", 3, &out, E_USAGE, &e);
    if (before >= 0)
        (void)dup2(before, STDIN_FILENO);
    (void)close(before);
    (void)close(reader);
    assert_ok(status, &e);
    assert_string_equal(buf_text(&out), "job");
}

static void test_standard_input(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    read_standard_input(ends[0], ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    read_standard_input(ends[0], ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_appends),
        cmocka_unit_test(test_failures),       cmocka_unit_test(test_proc),
        cmocka_unit_test(test_standard_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* What the guard takes is gone, what a job needs is left. Each case in a process of its own, since
 * nothing of it can be undone. */
#include "testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/guard.h"

enum { HELD = 0, NOT_HELD = 1, NOT_ENTERED = 2 };

static char folder[64], outside[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/decant-guard-XXXXXX");
    (void)snprintf(outside, sizeof(outside), "/tmp/decant-guard-XXXXXX");
    return mkdtemp(folder) != NULL && mkdtemp(outside) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/b", folder);
    (void)unlink(path);
    return rmdir(folder) | rmdir(outside);
}

/* What CHECK says in a process that entered the guard in MODE. */
static int judge(bool (*check)(void), enum guard_mode mode)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct error e = {0};
        const char *const writable[] = {folder, NULL, "/no/such/place"};
        const struct guard_options options = {
            .mode = mode, .writable = writable, .n_writable = COUNT(writable)};
        log_open(LOG_ERROR, LOG_TEXT);
        if (guard_enter(&options, &e) != OK)
            _exit(NOT_ENTERED);
        _exit(check() ? HELD : NOT_HELD);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void forbids(bool (*check)(void))
{
    assert_int_equal(judge(check, GUARD_OFF), NOT_HELD);
    int judged = judge(check, GUARD_REQUIRE);
    if (judged == NOT_ENTERED) {
        print_message("skipped: this kernel or this build lacks Landlock or seccomp\n");
        skip();
    }
    assert_int_equal(judged, HELD);
}

static bool cannot_write_outside(void)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a", outside);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int number = errno;
    (void)unlink(path);
    return fd < 0 && number == EACCES;
}

static bool cannot_remove_outside(void)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/d", outside);
    (void)mkdir(path, 0700);
    return rmdir(path) != 0;
}

static bool cannot_start_a_program(void)
{
    char program[] = "/bin/true";
    char *arguments[] = {program, NULL}, *environment[] = {NULL};
    int status = -1;
    pid_t pid = (pid_t)syscall(SYS_fork);
    if (pid == 0) {
        (void)execve(program, arguments, environment);
        _exit(1);
    }
    return pid < 0 || (waitpid(pid, &status, 0) == pid && status != 0);
}

static bool cannot_trace(void)
{
    return syscall(SYS_ptrace, 0 /* PTRACE_TRACEME */, 0, 0, 0) != 0;
}

static bool cannot_take_namespaces(void)
{
    return syscall(SYS_unshare, 0) != 0; /* without flags it always succeeds */
}

static bool cannot_gain_privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static void test_forbidden(void **state)
{
    (void)state;
    forbids(cannot_write_outside);
    forbids(cannot_remove_outside);
    forbids(cannot_start_a_program);
    forbids(cannot_trace);
    forbids(cannot_take_namespaces);
    forbids(cannot_gain_privileges);
}

static void *in_thread(void *context)
{
    *(int *)context = 1;
    return NULL;
}

/* As output does it: an unnamed file that gets its name in another folder, and moves. */
static bool publishes(void)
{
    char path[128], other[128], unnamed[64];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    (void)snprintf(path, sizeof(path), "%s/sub", folder);
    (void)snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", fd);
    bool good = fd >= 0 && mkdir(path, 0700) == 0 && write(fd, "x", 1) == 1;
    (void)snprintf(path, sizeof(path), "%s/sub/a", folder);
    (void)snprintf(other, sizeof(other), "%s/b", folder);
    good = good && linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 &&
           rename(path, other) == 0 && truncate(other, 0) == 0;
    (void)snprintf(path, sizeof(path), "%s/sub", folder);
    return rmdir(path) == 0 && good;
}

static bool works(void)
{
    int ran = 0;
    pthread_t thread;
    bool good = pthread_create(&thread, NULL, in_thread, &ran) == 0 &&
                pthread_join(thread, NULL) == 0 && ran == 1;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    good = good && fd >= 0 && peer >= 0 &&
           connect(peer, (const struct sockaddr *)&nobody, sizeof(nobody)) != 0 &&
           errno == ECONNREFUSED;
    return good && publishes();
}

static void test_what_a_job_needs_is_left(void **state)
{
    (void)state;
    assert_int_equal(judge(works, GUARD_ON), HELD);
}

static int inherited = -1;

static bool inherited_is_closed(void)
{
    return fcntl(inherited, F_GETFD) == -1 && fcntl(STDERR_FILENO, F_GETFD) != -1;
}

static void test_descriptors(void **state)
{
    (void)state;
    inherited = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as what came through an exec */
    assert_true(inherited > STDERR_FILENO);
    assert_int_equal(judge(inherited_is_closed, GUARD_OFF), NOT_HELD);
    assert_int_equal(judge(inherited_is_closed, GUARD_ON), HELD);
    assert_int_equal(close(inherited), 0);
    inherited = open("/dev/null", O_RDONLY | O_CLOEXEC); /* ours */
    assert_int_equal(judge(inherited_is_closed, GUARD_ON), NOT_HELD);
    assert_int_equal(close(inherited), 0);
}

static void test_mode(void **state)
{
    (void)state;
    struct error e = {0};
    enum guard_mode mode = GUARD_OFF;
    assert_int_equal(setenv("DECANT_HARDENING", "require", 1), 0);
    assert_ok(guard_mode_of_environment(&mode, &e), &e);
    assert_int_equal(mode, GUARD_REQUIRE);
    assert_int_equal(setenv("DECANT_HARDENING", "on", 1), 0);
    assert_ok(guard_mode_of_environment(&mode, &e), &e);
    assert_int_equal(mode, GUARD_ON);
    assert_int_equal(setenv("DECANT_HARDENING", "no", 1), 0);
    assert_fails(guard_mode_of_environment(&mode, &e), E_USAGE, "off, on or require", &e);
    assert_int_equal(unsetenv("DECANT_HARDENING"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forbidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_job_needs_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test(test_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Another program beside us: its environment, its status, its signals, and the orphans it leaves.
 */
#include "testing.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"

/* Runs `sh -c SCRIPT` to its end. */
static int status_of_script(const char *script, const char *const *without, size_t n)
{
    struct error e = {0};
    struct child child = {0};
    int status = -1;
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)script, NULL};
    const struct child_options options = {.argv = argv, .without = without, .n_without = n};
    assert_ok(child_start(&options, &child, &e), &e);
    assert_ok(child_wait(&child, &status, &e), &e);
    return status;
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(status_of_script("exit 0", NULL, 0), 0);
    assert_int_equal(status_of_script("exit 7", NULL, 0), 7);
    assert_int_equal(status_of_script("exit 255", NULL, 0), 255);
    assert_int_equal(status_of_script("kill -KILL $$", NULL, 0), 128 + SIGKILL);
    assert_int_equal(status_of_script("kill -TERM $$", NULL, 0), 128 + SIGTERM);
}

static void start_fails(const char *command, const char *text, const char *remedy)
{
    struct error e = {0};
    struct child child = {0};
    char *argv[] = {(char *)(uintptr_t)command, NULL};
    const struct child_options options = {.argv = argv};
    assert_fails(child_start(&options, &child, &e), E_NOT_STARTED, text, &e);
    assert_non_null(strstr(e.text, command));
    assert_non_null(strstr(e.remedy, remedy));
    sigset_t blocked;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    assert_false(sigismember(&blocked, SIGTERM));
}

static void test_cannot_be_started(void **state)
{
    (void)state;
    start_fails("no-such-command", "No such file", "PATH");
    start_fails("/no/such/command", "No such file", "name");
    start_fails("/etc/passwd", "Permission denied", "executable");
    start_fails("/", "Permission denied", "executable");
}

static void test_cannot_become(void **state)
{
    (void)state;
    struct error e = {0};
    char command[] = "no-such-command";
    char *argv[] = {command, NULL};
    assert_fails(child_become(argv, &e), E_NOT_STARTED, "No such file", &e);
}

static void test_environment(void **state)
{
    (void)state;
    const char *const without[] = {"MY_SAS", NULL, "NOT_SET"};
    assert_int_equal(setenv("MY_SAS", "secret", 1), 0);
    assert_int_equal(setenv("MY_SAS_ACCOUNT", "public", 1), 0);
    assert_int_equal(setenv("DECANT_JOB", "{}", 1), 0);
    assert_int_equal(setenv("AZURE_CLIENT_SECRET", "secret", 1), 0);
    assert_int_equal(setenv("AZURE_CLIENT_ID", "public", 1), 0);
    assert_int_equal(
        status_of_script("test \"${MY_SAS+x}${DECANT_JOB+x}${AZURE_CLIENT_SECRET+x}\" = '' && "
                         "test \"$MY_SAS_ACCOUNT$AZURE_CLIENT_ID\" = publicpublic",
                         without, COUNT(without)),
        0);
    assert_int_equal(status_of_script("test \"$MY_SAS\" = secret", NULL, 0), 0);
    assert_string_equal(getenv("DECANT_JOB"), "{}");
    assert_int_equal(unsetenv("DECANT_JOB") | unsetenv("AZURE_CLIENT_SECRET"), 0);
}

/* Starts SCRIPT, which must create the file READY when it can take a signal, and sends NUMBER. */
static int status_after_signal(const char *script, int number)
{
    struct error e = {0};
    struct child child = {0};
    struct stat st;
    int status = -1;
    char ready[] = "/tmp/decant-child-XXXXXX";
    int fd = mkstemp(ready);
    assert_true(fd >= 0);
    assert_int_equal(close(fd) | unlink(ready) | setenv("READY", ready, 1), 0);
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)script, NULL};
    const struct child_options options = {.argv = argv};
    assert_ok(child_start(&options, &child, &e), &e);
    for (int i = 0; i < 1000 && stat(ready, &st) != 0; i++)
        (void)usleep(10000);
    assert_int_equal(unlink(ready), 0);
    assert_int_equal(kill(getpid(), number), 0);
    assert_ok(child_wait(&child, &status, &e), &e);
    return status;
}

static void test_signals_are_passed_on(void **state)
{
    (void)state;
    static const char script[] = "trap 'exit 31' HUP; trap 'exit 32' INT; trap 'exit 33' QUIT; "
                                 "trap 'exit 34' TERM; trap 'exit 35' USR1; trap 'exit 36' USR2; "
                                 ": > $READY; while :; do sleep 0.02; done";
    assert_int_equal(status_after_signal(script, SIGHUP), 31);
    assert_int_equal(status_after_signal(script, SIGINT), 32);
    assert_int_equal(status_after_signal(script, SIGQUIT), 33);
    assert_int_equal(status_after_signal(script, SIGTERM), 34);
    assert_int_equal(status_after_signal(script, SIGUSR1), 35);
    assert_int_equal(status_after_signal(script, SIGUSR2), 36);
    assert_int_equal(status_after_signal(": > $READY; exec sleep 60", SIGTERM), 128 + SIGTERM);
}

static void test_what_it_does_not_end_for_ends_nobody(void **state)
{
    (void)state;
    assert_int_equal(
        status_after_signal(
            "trap 'n=1' TERM; : > $READY; while [ -z \"$n\" ]; do sleep 0.02; done; exit 9",
            SIGTERM),
        9);
    assert_int_equal(stop_reason(), 0);
}

static void test_signals_count_again_afterwards(void **state)
{
    (void)state;
    assert_int_equal(status_of_script("exit 0", NULL, 0), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(stop_reason(), SIGTERM);
    stop_reset();
}

static void test_stopped_before(void **state)
{
    (void)state;
    struct error e = {0};
    struct child child = {0};
    char command[] = "true";
    char *argv[] = {command, NULL};
    const struct child_options options = {.argv = argv};
    stop_request(SIGTERM);
    assert_fails(child_start(&options, &child, &e), E_INTERRUPTED, "SIGTERM", &e);
    assert_int_equal(child.pid, 0);
    stop_reset();
}

/* Bits of a signal set in /proc/self/status, as the child sees them: nothing blocked, and what the
 * caller ignored is still ignored, what decant ignores is not. */
static void test_dispositions(void **state)
{
    (void)state;
    static const char script[] =
        "blocked=$(sed -n 's/^SigBlk:[^0-9a-f]*//p' /proc/self/status); "
        "ignored=$(sed -n 's/^SigIgn:[^0-9a-f]*//p' /proc/self/status); "
        "test $((0x$blocked)) -eq 0 || exit 1; test $((0x$ignored & 0x5002)) -eq 0 || exit 2; "
        "test $((0x$ignored & 1)) -eq $WANTED || exit 3";
    assert_int_equal(setenv("WANTED", "0", 1), 0);
    assert_int_equal(status_of_script(script, NULL, 0), 0);
    assert_ptr_not_equal(signal(SIGHUP, SIG_IGN), SIG_ERR);
    assert_int_equal(setenv("WANTED", "1", 1), 0);
    assert_int_equal(status_of_script(script, NULL, 0), 0);
    assert_ptr_not_equal(signal(SIGHUP, SIG_DFL), SIG_ERR);
}

/* Who starts us may ignore SIGCHLD; then the kernel takes in children by itself. */
static void test_ignored_sigchld(void **state)
{
    (void)state;
    assert_ptr_not_equal(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    (void)alarm(20); /* it would wait for ever */
    assert_int_equal(status_of_script("exit 5", NULL, 0), 5);
    (void)alarm(0);
}

/* As a subreaper we inherit orphans, as process 1 does. None may stay a zombie. */
static void test_orphans_are_taken_in(void **state)
{
    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    static const char script[] =
        "i=0; while [ $i -lt 20 ]; do (sleep 0.05 & ) ; i=$((i+1)); done; "
        "sleep 0.6; grep -l \"^PPid:[^0-9]*$PPID$\" /proc/[0-9]*/status 2>/dev/null | "
        "xargs grep -h '^State:' | grep -c Z; exit 0";
    struct error e = {0};
    struct child child = {0};
    int status = -1, ends[2];
    char text[16] = "";
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDOUT_FILENO);
    assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)script, NULL};
    const struct child_options options = {.argv = argv};
    enum status started = child_start(&options, &child, &e);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    assert_int_equal(close(saved) | close(ends[1]), 0);
    assert_ok(started, &e);
    assert_ok(child_wait(&child, &status, &e), &e);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "0\n");
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static int group_setup(void **state)
{
    (void)state;
    struct error e = {0};
    return stop_on_signals(&e) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_cannot_be_started),
        cmocka_unit_test(test_cannot_become),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_signals_are_passed_on),
        cmocka_unit_test(test_what_it_does_not_end_for_ends_nobody),
        cmocka_unit_test(test_signals_count_again_afterwards),
        cmocka_unit_test(test_stopped_before),
        cmocka_unit_test(test_dispositions),
        cmocka_unit_test(test_ignored_sigchld),
        cmocka_unit_test(test_orphans_are_taken_in),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}

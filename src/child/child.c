/*
 * Starting a program, and standing between it and the world. The parent blocks all signals that it
 * would pass on and takes them with sigwaitinfo, so that none is lost between two looks; the child
 * starts with none blocked. What a terminal sends goes to its whole foreground process group
 * anyway: such a signal has reached the child already.
 */
#include "child/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The job may hold SAS; the others are credentials that decant takes for itself. */
const char *const child_secret_variables[] = {
    "DECANT_JOB",          "AZURE_CLIENT_SECRET", "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN", "AZURE_VAULT_TOKEN",   NULL};

static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
                                SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

static void watched_signals(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGCHLD);
    for (size_t i = 0; i < COUNT(passed_on); i++)
        (void)sigaddset(out, passed_on[i]);
}

/* ---- The environment without secrets ---- */

static bool is_variable(const char *entry, const char *name)
{
    size_t size = strlen(name);
    return strncmp(entry, name, size) == 0 && entry[size] == '=';
}

static bool is_withheld(const struct child_options *options, const char *entry)
{
    for (size_t i = 0; child_secret_variables[i] != NULL; i++)
        if (is_variable(entry, child_secret_variables[i]))
            return true;
    for (size_t i = 0; i < options->n_without; i++)
        if (options->without[i] != NULL && is_variable(entry, options->without[i]))
            return true;
    return false;
}

/* Borrows the entries; the caller frees the list. */
static char **environment_of(const struct child_options *options)
{
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **list = memory_array(n + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && i < n; i++)
        if (!is_withheld(options, environ[i]))
            list[kept++] = environ[i];
    return list;
}

static void list_free(char ***list)
{
    memory_free(*list);
    *list = NULL;
}

/* ---- Starting ---- */

/* What decant ignores or handles itself. What its caller ignored (nohup) stays ignored. */
static void changed_dispositions(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGINT);
    (void)sigaddset(out, SIGTERM);
    (void)sigaddset(out, SIGPIPE);
    (void)sigaddset(out, SIGCHLD);
}

static enum status not_started(const char *command, int number, struct error *e)
{
    errno = number;
    (void)fail_errno(e, E_NOT_STARTED, "the command %.200s could not be started", command);
    advise(e,
           number == ENOENT
               ? "check its name, the PATH of this container, and the interpreter if it is a script"
               : "check that it is an executable file for this machine");
    return e->status;
}

static int spawn(const struct child_options *options, char **environment, pid_t *pid)
{
    posix_spawnattr_t attributes;
    sigset_t ours, none;
    (void)sigemptyset(&none);
    changed_dispositions(&ours);
    int number = posix_spawnattr_init(&attributes);
    if (number != 0)
        return number;
    (void)posix_spawnattr_setsigdefault(&attributes, &ours);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    number = posix_spawnp(pid, options->argv[0], NULL, &attributes, options->argv, environment);
    (void)posix_spawnattr_destroy(&attributes);
    return number;
}

enum status child_start(const struct child_options *options, struct child *out, struct error *e)
{
    sigset_t watched;
    AUTO(list_free) char **environment = environment_of(options);
    if (environment == NULL)
        return fail(e, E_SPACE, "out of memory");
    watched_signals(&watched);
    (void)signal(SIGCHLD, SIG_DFL); /* who inherited "ignore" would never learn that it ended */
    if (pthread_sigmask(SIG_BLOCK, &watched, NULL) != 0)
        return fail(e, E_BUG, "signals cannot be blocked");
    if (stop_check(e) != OK) { /* what came before is not for the child */
        (void)pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
        return e->status;
    }
    int number = spawn(options, environment, &out->pid);
    if (number == 0)
        return OK;
    (void)pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
    return not_started(options->argv[0], number, e);
}

enum status child_become(char *const *argv, struct error *e)
{
    (void)signal(SIGPIPE, SIG_DFL); /* the one disposition that would stay */
    (void)execvp(argv[0], argv);
    return not_started(argv[0], errno, e);
}

/* ---- Standing by ---- */

/* Takes in all that have ended; true when the child is among them. */
static bool reap(pid_t child, int *status)
{
    int one = 0;
    bool ended = false;
    for (pid_t pid = waitpid(-1, &one, WNOHANG); pid > 0; pid = waitpid(-1, &one, WNOHANG)) {
        if (pid == child) {
            *status = WIFSIGNALED(one) ? 128 + WTERMSIG(one) : WEXITSTATUS(one);
            ended = true;
        }
    }
    return ended;
}

/* Of a terminal that hangs up only its session's leader hears. */
static bool came_from_terminal(const siginfo_t *info)
{
    return info->si_code == SI_KERNEL && info->si_signo != SIGHUP;
}

enum status child_wait(const struct child *child, int *exit_status, struct error *e)
{
    sigset_t watched;
    siginfo_t info;
    watched_signals(&watched);
    while (!reap(child->pid, exit_status)) {
        int number = sigwaitinfo(&watched, &info);
        if (number < 0 && errno != EINTR)
            return fail_errno(e, E_BUG, "signals cannot be waited for");
        if (number > 0 && number != SIGCHLD && !came_from_terminal(&info))
            (void)kill(child->pid, number);
    }
    /* What is still pending was meant for the child. */
    const struct timespec now = {0};
    while (sigtimedwait(&watched, NULL, &now) > 0)
        continue;
    if (pthread_sigmask(SIG_UNBLOCK, &watched, NULL) != 0)
        return fail_errno(e, E_BUG, "signals cannot be let in again");
    return OK;
}

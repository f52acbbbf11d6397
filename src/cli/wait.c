/* decant wait: until a job's ready.json is there and whole; then the command in our place. */
#include "child/child.h"
#include "cli/internal.h"
#include "output/output.h"

const char help_wait_text[] =
    "decant wait: until a job has published; then, if given, become a command\n"
    "\n"
    "  decant wait /mnt/plain/.decant/ready.json -- ./server\n"
    "  decant wait /mnt/plain/.decant/ready.json --timeout 600\n"
    "\n"
    "For a container beside the one that runs decant, on the same volume. It is ready when\n"
    "READY-FILE is there, every file that it lists has its whole size, and no run is at work there.\n"
    "If the job failed (failed.json lies beside READY-FILE), wait ends at once with that job's exit\n"
    "code and reason.\n"
    "\n"
    "      --timeout SECONDS then give up, with exit code 22; 0, the default: never\n"
    "      --log-format text|json|auto    --log-level error|warn|info|debug\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit codes: 0 ready (without a command); 50 the command could not be started.\n";

enum { LOOK_EVERY_MS = 100 };

static enum status time_is_up(const struct error *waiting, struct error *e)
{
    (void)fail(e, E_NETWORK, "the time is up: %.500s", waiting->text);
    advise(e, "see why decant has not published: its own log and exit code; or give it more time "
              "with --timeout");
    return e->status;
}

static enum status wait_until_ready(const char *path, int64_t deadline_ms, struct error *e)
{
    struct error waiting = {0};
    bool ready = false;
    for (;;) {
        TRY(ready_look(path, &ready, &waiting, e));
        if (ready)
            return OK;
        if (clock_ms() >= deadline_ms)
            return time_is_up(&waiting, e);
        TRY(stop_sleep_ms(LOOK_EVERY_MS, e));
    }
}

enum status command_wait(const struct cli_options *options, struct error *e)
{
    int64_t deadline_ms = options->has_timeout && options->timeout_s > 0
                              ? clock_ms() + (int64_t)options->timeout_s * 1000
                              : DEADLINE_NEVER;
    if (options->command != NULL && options->command[0] == NULL)
        return fail(e, E_USAGE, "the command behind -- is missing");
    TRY(wait_until_ready(options->operands[0], deadline_ms, e));
    LOG(LOG_INFO, "ready", LOG_STRING("file", options->operands[0]));
    return options->command != NULL ? child_become(options->command, e) : OK;
}

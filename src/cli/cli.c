/* The commands. Standard output carries results only; everything else goes to standard error. */
#include "cli/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum status print_line(struct span text, struct error *e)
{
    if (fwrite(text.data, 1, text.size, stdout) != text.size || putchar('\n') == EOF ||
        fflush(stdout) != 0)
        return fail_errno(e, E_BUG, "standard output");
    return OK;
}

static bool has_flags(const struct job_flags *flags)
{
    return flags->from || flags->to || flags->attestation || flags->key;
}

enum status load_job(const struct cli_options *options, struct job *job, struct error *e)
{
    char source[256] = "the command line";
    TRY(has_flags(&options->flags) ? job_from_flags(&options->flags, job, e)
                                   : job_load(options->job, source, job, e));
    if (options->has_timeout)
        job->limits.timeout_s = options->timeout_s;
    return OK;
}

enum status load_service_job(const struct cli_options *options, const char *kid, struct job *job,
                             struct error *e)
{
    const struct job_flags flags = {.attestation = options->flags.attestation, .key = kid};
    TRY(job_from_service_flags(&flags, job, e));
    if (options->has_timeout)
        job->limits.timeout_s = options->timeout_s;
    return OK;
}

static const struct command commands[] = {
    {.name = "run", .help = help_run_text, .run = command_run, .id = IN_RUN},
    {.name = "seal", .help = help_seal_text, .run = command_seal, .id = IN_SEAL},
    {.name = "exec",
     .help = help_exec_text,
     .run = command_exec,
     .id = IN_EXEC,
     .takes_command = true},
    {.name = "wait",
     .help = help_wait_text,
     .run = command_wait,
     .id = IN_WAIT,
     .operand = "READY-FILE",
     .operands_min = 1,
     .operands_max = 1,
     .takes_command = true},
    {.name = "key",
     .help = help_key_text,
     .run = command_key,
     .id = IN_KEY,
     .operand = "KID",
     .operands_min = 1,
     .operands_max = 1,
     .quiet = true},
    {.name = "attest",
     .help = help_attest_text,
     .run = command_attest,
     .id = IN_ATTEST,
     .quiet = true},
    {.name = "policy", .help = help_policy_text, .run = command_policy, .id = IN_POLICY},
    {.name = "inspect",
     .help = help_inspect_text,
     .run = command_inspect,
     .id = IN_INSPECT,
     .operand = "THING",
     .operands_min = 1,
     .operands_max = 1},
    {.name = "doctor",
     .help = help_doctor_text,
     .run = command_doctor,
     .id = IN_DOCTOR,
     .quiet = true},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static enum status run_command(const struct command *command, const struct cli_options *options,
                               struct error *e)
{
    if (options->help)
        return fputs(command->help, stdout) != EOF && fflush(stdout) == 0
                   ? OK
                   : fail_errno(e, E_BUG, "standard output");
    TRY(stop_on_signals(e));
    return command->run(options, e);
}

static int failed(const char *command, const struct cli_options *options, struct error *e)
{
    error_settle(e);
    if (e->status == E_USAGE)
        advise(e, "See decant %s --help", command);
    struct error shown = *e;
    shown.status = (enum status)exit_code(e);
    report_failure(command, options, &shown);
    return exit_code(e);
}

int cli_main(int argc, char **argv)
{
    struct error e = {0};
    int exit_status = 0;
    struct cli_options options = {.log_format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON};
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0)
        return printf("decant %s\n", DECANT_VERSION) > 0 && fflush(stdout) == 0 ? 0 : 1;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return fputs(help_text, argc > 1 ? stdout : stderr) != EOF && argc > 1 ? 0 : 2;
    const struct command *command = find_command(name);
    log_open(LOG_INFO, options.log_format);
    if (command == NULL) {
        (void)!fail(&e, E_USAGE, "unknown command");
        advise(&e, "See decant --help");
        return failed(name, &options, &e);
    }
    if (options_parse(command, argc - 1, argv + 1, &options, &e) != OK)
        return failed(name, &options, &e);
    log_open(options.log_level, options.log_format);
    options.exit_status = &exit_status;
    return run_command(command, &options, &e) == OK ? exit_status : failed(name, &options, &e);
}

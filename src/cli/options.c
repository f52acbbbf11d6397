/* The options of a command, from its arguments. */
#include "cli/internal.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum option_id {
    OPT_JOB = 'c',
    OPT_HELP = 'h',
    OPT_FROM = 256,
    OPT_TO,
    OPT_ATTESTATION,
    OPT_KEY,
    OPT_LOG_FORMAT,
    OPT_LOG_LEVEL,
    OPT_REPORT,
    OPT_NO_PROGRESS,
    OPT_TIMEOUT,
    OPT_DRY_RUN,
    OPT_SHARD,
};

static const struct option long_options[] = {
    {"job", required_argument, NULL, OPT_JOB},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"attestation", required_argument, NULL, OPT_ATTESTATION},
    {"key", required_argument, NULL, OPT_KEY},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"report", required_argument, NULL, OPT_REPORT},
    {"no-progress", no_argument, NULL, OPT_NO_PROGRESS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"shard", required_argument, NULL, OPT_SHARD},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static enum status choose(const char *option, const char *value, const char *const *names, size_t n,
                          int *out, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, names[i]) == 0) {
            *out = (int)i;
            return OK;
        }
    }
    return fail(e, E_USAGE, "%s cannot be \"%s\"", option, value);
}

static enum status parse_timeout(const char *value, struct cli_options *options, struct error *e)
{
    char *end;
    unsigned long long seconds = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || seconds > 10ULL * 365 * 86400)
        return fail(e, E_USAGE, "--timeout wants a number of seconds, not \"%s\"", value);
    options->has_timeout = true;
    options->timeout_s = seconds;
    return OK;
}

/* I/N, I from 0: as JOB_COMPLETION_INDEX counts. */
static enum status parse_shard(const char *value, struct cli_options *options, struct error *e)
{
    char *slash, *end;
    unsigned long shard = strtoul(value, &slash, 10);
    unsigned long shards = *slash == '/' ? strtoul(slash + 1, &end, 10) : 0;
    bool digits = value[0] >= '0' && value[0] <= '9' && *slash == '/' && slash[1] >= '0' &&
                  slash[1] <= '9' && *end == '\0';
    if (!digits || shard >= shards || shards > 100000)
        return fail(e, E_USAGE, "--shard wants I/N with I from 0 to N-1, not \"%s\"", value);
    options->shard = (uint32_t)shard;
    options->shards = (uint32_t)shards;
    return OK;
}

static enum status parse_log_option(int id, const char *value, struct cli_options *options,
                                    struct error *e)
{
    static const char *const formats[] = {"text", "json", "auto"};
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    int chosen = 0;
    if (id == OPT_LOG_FORMAT) {
        TRY(choose("--log-format", value, formats, COUNT(formats), &chosen, e));
        if (chosen < 2)
            options->log_format = (enum log_format)chosen;
    } else {
        TRY(choose("--log-level", value, levels, COUNT(levels), &chosen, e));
        options->log_level = (enum log_level)chosen;
    }
    return OK;
}

static enum status parse_option(int id, const char *value, struct cli_options *options,
                                struct error *e)
{
    const struct {
        int id;
        const char **place;
    } texts[] = {
        {OPT_JOB, &options->job},         {OPT_REPORT, &options->report},
        {OPT_FROM, &options->flags.from}, {OPT_TO, &options->flags.to},
        {OPT_KEY, &options->flags.key},   {OPT_ATTESTATION, &options->flags.attestation},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i].id == id) {
            *texts[i].place = value;
            return OK;
        }
    }
    switch (id) {
    case OPT_NO_PROGRESS:
        options->no_progress = true;
        return OK;
    case OPT_DRY_RUN:
        options->dry_run = true;
        return OK;
    case OPT_HELP:
        options->help = true;
        return OK;
    case OPT_TIMEOUT:
        return parse_timeout(value, options, e);
    case OPT_SHARD:
        return parse_shard(value, options, e);
    default:
        return parse_log_option(id, value, options, e);
    }
}

static enum status check_together(const struct cli_options *options, struct error *e)
{
    const struct job_flags *flags = &options->flags;
    bool single = flags->from || flags->to || flags->attestation || flags->key;
    if (single && options->job != NULL)
        return fail(e, E_USAGE, "-c and --from, --to, --attestation, --key exclude each other");
    return OK;
}

enum status options_parse(int argc, char **argv, struct cli_options *out, struct error *e)
{
    struct cli_options options = {
        .log_level = LOG_INFO,
        .log_format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON,
    };
    optind = 1;
    opterr = 0;
    int id;
    while ((id = getopt_long(argc, argv, ":c:h", long_options, NULL)) != -1) {
        if (id == ':')
            return fail(e, E_USAGE, "%s wants a value", argv[optind - 1]);
        if (id == '?')
            return fail(e, E_USAGE, "unknown option %s", argv[optind - 1]);
        TRY(parse_option(id, optarg, &options, e));
    }
    if (optind < argc)
        return fail(e, E_USAGE, "unexpected argument \"%s\"", argv[optind]);
    TRY(check_together(&options, e));
    *out = options;
    return OK;
}

/* The options of a command, from its arguments: one table says which there are and who takes them. */
#include "cli/internal.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static enum status take_timeout(const char *value, struct cli_options *options, struct error *e)
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
static enum status take_shard(const char *value, struct cli_options *options, struct error *e)
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

/* Commands that want one service take the last. */
static enum status take_attestation(const char *value, struct cli_options *options, struct error *e)
{
    if (options->n_services == COUNT(options->services))
        return fail(e, E_USAGE, "--attestation is given more than %zu times",
                    COUNT(options->services));
    options->services[options->n_services++] = value;
    options->flags.attestation = value;
    return OK;
}

static enum status take_manifest_file(const char *value, struct cli_options *options,
                                      struct error *e)
{
    if (options->n_manifest_files == COUNT(options->manifest_files))
        return fail(e, E_USAGE, "--manifest-file is given more than %zu times",
                    COUNT(options->manifest_files));
    options->manifest_files[options->n_manifest_files++] = value;
    return OK;
}

static bool take_number(const char **text, uint32_t *out)
{
    char *end = NULL;
    if (**text < '0' || **text > '9')
        return false;
    unsigned long number = strtoul(*text, &end, 10);
    *text = end;
    *out = (uint32_t)number;
    return number <= UINT32_MAX;
}

/* MIN-MAX, or one version. */
static enum status take_svn(const char *value, struct cli_options *options, struct error *e)
{
    const char *at = value;
    bool good = take_number(&at, &options->svn_min);
    options->svn_max = options->svn_min;
    if (good && *at == '-') {
        at++;
        good = take_number(&at, &options->svn_max);
    }
    if (!good || *at != '\0')
        return fail(e, E_USAGE, "--svn wants MIN-MAX, not \"%s\"", value);
    options->has_svn = true;
    return OK;
}

static enum status take_log_format(const char *value, struct cli_options *options, struct error *e)
{
    static const char *const formats[] = {"text", "json", "auto"};
    int chosen = 0;
    TRY(choose("--log-format", value, formats, COUNT(formats), &chosen, e));
    if (chosen < 2)
        options->log_format = (enum log_format)chosen;
    return OK;
}

static enum status take_log_level(const char *value, struct cli_options *options, struct error *e)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    int chosen = 0;
    TRY(choose("--log-level", value, levels, COUNT(levels), &chosen, e));
    options->log_level = (enum log_level)chosen;
    return OK;
}

/* A row has one of: a text's place, a flag's place, a function that takes the value. */
static const struct rule {
    const char *name;
    int letter; /* of the short form, or 0 */
    unsigned commands;
    enum { TEXT, FLAG, TAKE } kind;
    size_t place;
    enum status (*take)(const char *value, struct cli_options *options, struct error *e);
} rules[] = {
#define AT(member) offsetof(struct cli_options, member)
    {"job", 'c', IN_RUN | IN_EXEC | IN_SEAL | IN_INSPECT | IN_KEY | IN_ATTEST | IN_DOCTOR, TEXT, AT(job), NULL},
    {"from", 0, IN_RUN | IN_SEAL, TEXT, AT(flags.from), NULL},
    {"to", 0, IN_RUN | IN_SEAL, TEXT, AT(flags.to), NULL},
    {"attestation", 0, IN_RUN | IN_POLICY | IN_KEY | IN_ATTEST, TAKE, 0, take_attestation},
    {"key", 0, IN_RUN | IN_SEAL, TEXT, AT(flags.key), NULL},
    {"report", 0, IN_RUN | IN_EXEC | IN_SEAL, TEXT, AT(report), NULL},
    {"no-progress", 0, IN_RUN | IN_EXEC, FLAG, AT(no_progress), NULL},
    {"dry-run", 0, IN_RUN | IN_SEAL, FLAG, AT(dry_run), NULL},
    {"shard", 0, IN_RUN | IN_EXEC, TAKE, 0, take_shard},
    {"timeout", 0, IN_RUN | IN_EXEC | IN_WAIT | IN_SEAL | IN_KEY | IN_ATTEST | IN_DOCTOR, TAKE, 0, take_timeout},
    {"cce-policy", 0, IN_POLICY | IN_INSPECT, TEXT, AT(cce_policy), NULL},
    {"host-data", 0, IN_POLICY | IN_INSPECT, TEXT, AT(host_data), NULL},
    {"compliance", 0, IN_POLICY, TEXT, AT(compliance), NULL},
    {"allow-debug", 0, IN_POLICY, FLAG, AT(allow_debug), NULL},
    {"svn", 0, IN_POLICY, TAKE, 0, take_svn},
    {"token", 0, IN_POLICY, TEXT, AT(token), NULL},
    {"release-policy", 0, IN_POLICY, TEXT, AT(release_policy), NULL},
    {"json", 0, IN_POLICY | IN_INSPECT | IN_DOCTOR, FLAG, AT(json), NULL},
    {"as", 0, IN_INSPECT, TEXT, AT(as), NULL},
    {"at", 0, IN_INSPECT, TEXT, AT(at), NULL},
    {"metadata", 0, IN_INSPECT, TEXT, AT(metadata), NULL},
    {"jwks", 0, IN_INSPECT, TEXT, AT(jwks), NULL},
    {"certificates", 0, IN_INSPECT, TEXT, AT(certificates), NULL},
    {"ca-file", 0, IN_INSPECT, TEXT, AT(ca_file), NULL},
    {"amd-root", 0, IN_INSPECT, TEXT, AT(amd_root), NULL},
    {"manifest-file", 0, IN_INSPECT, TAKE, 0, take_manifest_file},
    {"verify", 0, IN_INSPECT, FLAG, AT(verify), NULL},
    {"log-format", 0, IN_ALL, TAKE, 0, take_log_format},
    {"log-level", 0, IN_ALL, TAKE, 0, take_log_level},
    {"key-file", 0, IN_SEAL | IN_INSPECT, TEXT, AT(key_file), NULL},
    {"overwrite", 0, IN_SEAL, FLAG, AT(overwrite), NULL},
    {"manifest", 0, IN_SEAL, FLAG, AT(manifest), NULL},
    {"gzip", 0, IN_SEAL, FLAG, AT(gzip), NULL},
    {"raw", 0, IN_ATTEST, FLAG, AT(raw), NULL},
    {"token", 0, IN_ATTEST, FLAG, AT(as_token), NULL},
    {"claims", 0, IN_ATTEST, FLAG, AT(claims), NULL},
    {"out", 0, IN_KEY | IN_ATTEST, TEXT, AT(out), NULL},
    {"release", 0, IN_DOCTOR, FLAG, AT(release), NULL},
    {"help", 'h', IN_ALL, FLAG, AT(help), NULL},
#undef AT
};

enum { FIRST_VALUE = 256 }; /* getopt's value of rules[0]; behind all letters */

/* What getopt_long wants, for the options that COMMAND takes. */
struct getopt_table {
    struct option rows[COUNT(rules) + 1];
    char letters[2 + 2 * COUNT(rules) + 1];
};

static void fill_table(unsigned command, struct getopt_table *out)
{
    size_t n = 0, l = 0;
    *out = (struct getopt_table){0};
    out->letters[l++] = ':';
    for (size_t i = 0; i < COUNT(rules); i++) {
        if ((rules[i].commands & command) == 0)
            continue;
        int value = rules[i].kind == FLAG ? no_argument : required_argument;
        out->rows[n++] = (struct option){rules[i].name, value, NULL, FIRST_VALUE + (int)i};
        if (rules[i].letter == 0)
            continue;
        out->letters[l++] = (char)rules[i].letter;
        if (value == required_argument)
            out->letters[l++] = ':';
    }
}

static const struct rule *rule_of(int id)
{
    size_t i = id >= FIRST_VALUE ? (size_t)(id - FIRST_VALUE) : 0;
    while (id < FIRST_VALUE && i + 1 < COUNT(rules) && rules[i].letter != id)
        i++;
    return &rules[i]; /* getopt gives nothing that is not in the table */
}

static enum status apply(const struct rule *rule, const char *value, struct cli_options *options,
                         struct error *e)
{
    char *base = (char *)options;
    if (rule->kind == TAKE)
        return rule->take(value, options, e);
    if (rule->kind == FLAG)
        *(bool *)(void *)(base + rule->place) = true;
    else
        *(const char **)(void *)(base + rule->place) = value;
    return OK;
}

/* An option that other commands have is worth another sentence. */
static enum status refuse(const char *word, const char *command, struct error *e)
{
    size_t size = strcspn(word, "=");
    for (size_t i = 0; i < COUNT(rules); i++)
        if (size > 2 && strlen(rules[i].name) == size - 2 &&
            strncmp(word + 2, rules[i].name, size - 2) == 0)
            return fail(e, E_USAGE, "%s does not take the option --%s", command, rules[i].name);
    return fail(e, E_USAGE, "unknown option %s", word);
}

static enum status check_together(const struct cli_options *options, struct error *e)
{
    const struct job_flags *flags = &options->flags;
    bool single = flags->from || flags->to || flags->attestation || flags->key;
    if (single && options->job != NULL)
        return fail(e, E_USAGE, "-c and --from, --to, --attestation, --key exclude each other");
    return OK;
}

static enum status check_operands(const struct command *command, const struct cli_options *options,
                                  struct error *e)
{
    if (options->help)
        return OK;
    if (options->n_operands > command->operands_max)
        return fail(e, E_USAGE, "unexpected argument \"%s\"",
                    options->operands[command->operands_max]);
    if (options->n_operands < command->operands_min)
        return fail(e, E_USAGE, "%s is missing", command->operand);
    if (options->command != NULL && !command->takes_command)
        return fail(e, E_USAGE, "%s takes no command behind --", command->name);
    return OK;
}

/* Where "--" stands, or ARGC. What is behind it belongs to somebody else. */
static int end_of_ours(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return i;
    return argc;
}

enum status options_parse(const struct command *command, int argc, char **argv,
                          struct cli_options *out, struct error *e)
{
    struct cli_options options = {
        .log_level = command->quiet ? LOG_WARN : LOG_INFO,
        .log_format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON,
    };
    struct getopt_table table;
    int id, ours = end_of_ours(argc, argv);
    fill_table(command->id, &table);
    optind = 1;
    opterr = 0;
    while ((id = getopt_long(ours, argv, table.letters, table.rows, NULL)) != -1) {
        if (id == ':')
            return fail(e, E_USAGE, "%s wants a value", argv[optind - 1]);
        if (id == '?')
            return refuse(argv[optind - 1], command->name, e);
        TRY(apply(rule_of(id), optarg, &options, e));
    }
    options.operands = argv + optind;
    options.n_operands = (size_t)(ours - optind);
    options.command = ours < argc ? argv + ours + 1 : NULL;
    TRY(check_operands(command, &options, e));
    TRY(check_together(&options, e));
    *out = options;
    return OK;
}

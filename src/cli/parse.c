/* SPDX-License-Identifier: MIT */
/*
 * parse.c - the command line: [command] [flags] [operand] [CONF.json], in any order.
 *
 * Flags are written as --flag or, as Go's and thus Ghostferry's are, as -flag; -flag=value and -flag value; switches
 * also as -flag=false. Each value carries the level it comes from (options.h), so sources may be read in the order in
 * which they become known: flags, environment, option file, CONF.json.
 */
#include "parse.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "options.h"

/* clang-format off */
const cli_command cli_commands[] = {
    {"run",          GF_CMD_RUN,          NULL,         true,  true,  "copy, then follow; run again to resume (the default command)"},
    {"check",        GF_CMD_CHECK,        NULL,         true,  true,  "preflight: servers, grants, settings, tables; changes nothing"},
    {"receive",      GF_CMD_RECEIVE,      NULL,         true,  true,  "only pull the source's binlog into the checkpoint directory, for a job begun"},
    {"status",       GF_CMD_STATUS,       NULL,         false, true,  "progress of a running or stopped job [--json]"},
    {"verify",       GF_CMD_VERIFY,       NULL,         true,  true,  "compare the rows of source and target, of a job that streams or is done [--json]"},
    {"cutover",      GF_CMD_CUTOVER,      NULL,         false, true,  "tell a running job to cut over once the stream has caught up"},
    {"pause",        GF_CMD_PAUSE,        NULL,         false, true,  "hold readers and writers of a running job"},
    {"resume",       GF_CMD_RESUME,       NULL,         false, true,  "let a paused job go on"},
    {"stop",         GF_CMD_STOP,         NULL,         false, true,  "end a running job in good order; it can be resumed"},
    {"export-state", GF_CMD_EXPORT_STATE, NULL,         false, true,  "print the state as JSON [--format=ghostferry|native]"},
    {"import-state", GF_CMD_IMPORT_STATE, "STATE.json", false, true,  "make a state dump, ours or Ghostferry's, the one to resume from"},
    {"docs",         GF_CMD_DOCS,         "SECTION",    false, false, "print generated documentation: configuration, man"},
    {"help",         GF_CMD_HELP,         NULL,         false, false, "print a summary"},
    {"version",      GF_CMD_VERSION,      NULL,         false, false, "print the version"},
};
/* clang-format on */
const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];

enum { FIRST_FLAG = 256 }; /* getopt's value of option i is FIRST_FLAG + i: no character */

static bool is_switch(const cli_option *o)
{
    return o->type == OPT_BOOL || o->type == OPT_ATOMIC_BOOL;
}

static struct option *long_options(void)
{
    struct option *list = gf_calloc(cli_option_count + 1, sizeof *list);
    size_t n = 0;

    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->flag == NULL)
            continue;
        list[n++] = (struct option){.name = o->flag,
                                    .has_arg = is_switch(o) ? optional_argument : required_argument,
                                    .val = FIRST_FLAG + (int)i};
    }
    return list;
}

/* What was written, without dashes and value: for messages, so that no value is shown. Owned. */
static char *written_name(const char *arg)
{
    arg += strspn(arg, "-");
    return gf_strndup(arg, strcspn(arg, "="));
}

static bool bad_flag(const char *arg, bool lacks_value, gf_error *err)
{
    char *name = written_name(arg);
    char near[64];

    if (lacks_value)
        gf_fail(err, GF_ERR_CONFIG, "--%s needs a value", name);
    else if (cli_nearest(near, name, false))
        gf_fail(err, GF_ERR_CONFIG, "unknown or ambiguous flag --%s; the nearest known one is --%s", name, near);
    else
        gf_fail(err, GF_ERR_CONFIG, "unknown flag --%s; \"gfreplica help\" lists them", name);
    free(name);
    return false;
}

static bool take_flag(cli_input *in, const cli_option *o, const char *value, gf_error *err)
{
    char *where;
    bool ok;

    if (o->type == OPT_SECRET)
        return gf_fail(err, GF_ERR_CONFIG,
                       "--%s: a password is not taken as an argument, every user of this machine could read it; use "
                       "--%s-file FILE, the environment or an option file",
                       o->flag, o->flag);
    where = gf_asprintf("--%s", o->flag);
    ok = cli_set(in, o, FROM_FLAG, value == NULL ? "true" : value, where, err);
    free(where);
    return ok;
}

/* Takes all flags; argv is reordered so that operands stand at its end, from *operands on. */
static bool take_flags(cli_input *in, int *operands, int argc, char **argv, gf_error *err)
{
    struct option *list = long_options();
    bool ok = true;
    int c;

    opterr = 0; /* its messages are ours to write */
    optind = 0; /* also forget an earlier call */
    while (ok && (c = getopt_long_only(argc, argv, ":hV", list, NULL)) != -1) {
        if (c >= FIRST_FLAG)
            ok = take_flag(in, &cli_options[c - FIRST_FLAG], optarg, err);
        else if (c == 'h')
            in->help = true;
        else if (c == 'V')
            in->version = true;
        else
            ok = bad_flag(argv[optind - 1], c == ':', err);
    }
    *operands = optind;
    free(list);
    return ok;
}

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    }
    return NULL;
}

/* [command] [operand] [CONF.json] */
static bool take_operands(cli_input *in, const cli_command **command, int argc, char **argv, gf_error *err)
{
    int i = 0;

    *command = argc > 0 ? find_command(argv[0]) : NULL;
    if (argc > 0 && *command == NULL && access(argv[0], F_OK) != 0)
        return gf_fail(err, GF_ERR_CONFIG, "\"%s\" is neither a command nor a file", argv[0]);
    i += *command != NULL ? 1 : 0;
    if (*command == NULL)
        *command = &cli_commands[0];
    if ((*command)->operand != NULL && i < argc)
        in->cli.file = gf_strdup(argv[i++]);
    else if ((*command)->operand != NULL)
        return gf_fail(err, GF_ERR_CONFIG, "%s: %s is missing", (*command)->name, (*command)->operand);
    if ((*command)->command == GF_CMD_DOCS && !cli_docs_has(in->cli.file))
        return gf_fail(err, GF_ERR_CONFIG, "docs: there is no section \"%s\"", in->cli.file);
    if ((*command)->config && i < argc)
        in->cli.config.config_path = gf_strdup(argv[i++]);
    if (i < argc) /* Ghostferry ignores what follows; we do not do so silently */
        gf_log_warn("\"%s\" and what follows it on the command line are ignored", argv[i]);
    in->cli.command = (*command)->command;
    return true;
}

static bool read_sources(cli_input *in, const cli_command *command, gf_error *err)
{
    const char *conf = in->cli.config.config_path;

    return cli_read_environment(in, err) && cli_read_option_file(in, err) &&
           (conf == NULL || cli_read_json(in, conf, err)) && cli_read_password_files(in, err) &&
           cli_settle(in, command->servers, err);
}

static bool parse(cli_input *in, int argc, char **argv, gf_error *err)
{
    const cli_command *command;
    int operands;

    cli_defaults(in);
    if (!take_flags(in, &operands, argc, argv, err))
        return false;
    if (in->help || in->version) {
        in->cli.command = in->help ? GF_CMD_HELP : GF_CMD_VERSION;
        return true;
    }
    return take_operands(in, &command, argc - operands, argv + operands, err) &&
           (!command->config || read_sources(in, command, err));
}

bool gf_cli_parse(gf_cli *out, int argc, char **argv, gf_error *err)
{
    cli_input in = {0};
    char **copy = gf_malloc(((size_t)argc + 1) * sizeof *copy); /* getopt reorders it */
    bool ok;

    memcpy(copy, argv, ((size_t)argc + 1) * sizeof *copy);
    in.levels = gf_calloc(cli_option_count, sizeof *in.levels);
    ok = parse(&in, argc, copy, err);
    free(copy);
    if (ok) {
        *out = in.cli;
        in.cli = (gf_cli){0}; /* taken */
    }
    cli_input_free(&in);
    return ok;
}

void gf_cli_free(gf_cli *cli)
{
    cli_input in = {.cli = *cli};

    cli_input_free(&in);
    *cli = (gf_cli){0};
}

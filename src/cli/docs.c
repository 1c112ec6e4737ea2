/* SPDX-License-Identifier: MIT */
/*
 * docs.c - the summary, docs/configuration.md and the man page, all from the options table.
 *
 * The settings of the three servers are the same; they are told once, for the source.
 */
#include <stdlib.h>

#include "gfreplica/version.h"
#include "options.h"
#include "parse.h"

static const char *argument_of(const cli_option *o)
{
    static const char *const names[] = {
        [OPT_BOOL] = "",       [OPT_ATOMIC_BOOL] = "", [OPT_UINT] = "N",       [OPT_ATOMIC_UINT] = "N",
        [OPT_SIZE] = "SIZE",   [OPT_BYTES] = "SIZE",   [OPT_SECONDS] = "TIME", [OPT_MILLIS] = "TIME",
        [OPT_STRING] = "TEXT", [OPT_SECRET] = "TEXT",  [OPT_CHOICE] = "WORD",  [OPT_NAMES] = "A,B",
        [OPT_MAP] = "A=B",     [OPT_JSON] = "",        [OPT_URL] = "URL",      [OPT_IGNORED] = "",
        [OPT_REFUSED] = "",
    };

    return names[o->type];
}

static const char *type_of(const cli_option *o)
{
    static const char *const names[] = {
        [OPT_BOOL] = "true or false",
        [OPT_ATOMIC_BOOL] = "true or false",
        [OPT_UINT] = "number",
        [OPT_ATOMIC_UINT] = "number",
        [OPT_SIZE] = "size",
        [OPT_BYTES] = "size",
        [OPT_SECONDS] = "seconds",
        [OPT_MILLIS] = "milliseconds",
        [OPT_STRING] = "text",
        [OPT_SECRET] = "text",
        [OPT_CHOICE] = "word",
        [OPT_NAMES] = "list of names",
        [OPT_MAP] = "map of names",
        [OPT_JSON] = "object",
        [OPT_URL] = "URL",
        [OPT_IGNORED] = "any",
        [OPT_REFUSED] = "null only",
    };

    return names[o->type];
}

/* Is it one of the settings that each server has, of the target or the writer? Those are told with the source's. */
static bool told_with_source(const cli_option *o)
{
    const char *name = o->section == SECTION_TARGET ? "target" : "source-primary";

    return (o->section == SECTION_TARGET || o->section == SECTION_PRIMARY) && o->flag != NULL &&
           strncmp(o->flag, name, strlen(name)) == 0;
}

/* A password has a name as a flag only so that whoever tries it is told better. */
static bool is_flag(const cli_option *o)
{
    return o->flag != NULL && o->type != OPT_SECRET;
}

static void put_choices(gf_buf *out, const cli_option *o)
{
    /* Log levels of other loggers are understood, but not advertised. */
    for (unsigned i = 0; o->type == OPT_CHOICE && o->choices[i] != NULL && i < 5 && strcmp(o->choices[i], "panic") != 0;
         i++)
        gf_buf_printf(out, "%s%s", i == 0 ? ": " : ", ", o->choices[i]);
}

/* ---- the summary ---- */

static void usage_option(gf_buf *out, const cli_option *o)
{
    const char *arg = argument_of(o);
    char *left = gf_asprintf("--%s%s%s", o->flag, *arg == '\0' ? "" : " ", arg);

    gf_buf_printf(out, "  %-32s %s", left, o->help);
    put_choices(out, o);
    if (o->initial != NULL)
        gf_buf_printf(out, " [%s]", o->initial);
    gf_buf_str(out, "\n");
    free(left);
}

static void usage_section(gf_buf *out, opt_section section)
{
    bool any = false;

    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->section != section || !is_flag(o) || told_with_source(o))
            continue;
        if (!any)
            gf_buf_printf(out, "\n%s:\n", cli_section_titles[section]);
        any = true;
        usage_option(out, o);
    }
    if (section == SECTION_SOURCE)
        gf_buf_str(out,
                   "  The same with --target and --target-..., --source-primary and --source-primary-...\n"
                   "  Passwords: GFREPLICA_SOURCE_PASSWORD, GFREPLICA_TARGET_PASSWORD, an option file, \"Pass\"\n");
}

static void usage_commands(gf_buf *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const cli_command *c = &cli_commands[i];
        char *left =
            gf_asprintf("%s%s%s", c->name, c->operand == NULL ? "" : " ", c->operand == NULL ? "" : c->operand);

        gf_buf_printf(out, "  %-24s %s\n", left, c->help);
        free(left);
    }
}

void gf_cli_usage(gf_buf *out)
{
    gf_buf_str(out, "gfreplica " GF_VERSION ": moves live MySQL and MariaDB data as a replica of its source\n\n"
                    "usage: gfreplica [command] [flags] [CONF.json]\n\nCommands:\n");
    usage_commands(out);
    for (opt_section s = 0; s < SECTION_LIMIT; s++)
        usage_section(out, s);
    gf_buf_str(out,
               "\nFlags win over GFREPLICA_<FLAG> in the environment, that over option files, that over CONF.json.\n"
               "CONF.json takes the keys of ghostferry-copydb. See gfreplica(1) and docs/configuration.md.\n");
}

/* ---- markdown ---- */

static void put_cell(gf_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            gf_buf_byte(out, '\\');
        gf_buf_byte(out, (uint8_t)*text);
    }
}

static void markdown_row(gf_buf *out, const cli_option *o)
{
    gf_buf_str(out, "| ");
    if (is_flag(o))
        gf_buf_printf(out, "`--%s`", o->flag);
    gf_buf_str(out, " | ");
    if (o->json != NULL)
        gf_buf_printf(out, "`%s`", o->json);
    gf_buf_printf(out, " | %s", type_of(o));
    put_choices(out, o);
    gf_buf_str(out, " | ");
    if (o->initial != NULL)
        gf_buf_printf(out, "`%s`", o->initial);
    gf_buf_str(out, " | ");
    put_cell(out, o->help);
    gf_buf_str(out, " |\n");
}

static void markdown_section(gf_buf *out, opt_section section)
{
    gf_buf_printf(out, "\n## %s\n\n", section == SECTION_SOURCE ? "Servers" : cli_section_titles[section]);
    if (section == SECTION_SOURCE)
        gf_buf_str(
            out,
            "For each of source, target and the writer behind a source that is a replica: the flags below begin\n"
            "with `--source`, `--target` or `--source-primary`, the keys are those of the objects `Source`, `Target`\n"
            "and `SourceReplicationMaster` (which has no default user).\n\n");
    if (section == SECTION_IGNORED) {
        gf_buf_str(out, "Keys of Ghostferry that are accepted and warned about, or refused because the result would\n"
                        "not be what they ask for.\n\n| key | | why |\n|---|---|---|\n");
        for (size_t i = 0; i < cli_option_count; i++) {
            const cli_option *o = &cli_options[i];

            if (o->section == SECTION_IGNORED)
                gf_buf_printf(out, "| `%s` | %s | %s |\n", o->json, o->type == OPT_REFUSED ? "refused" : "no effect",
                              o->help);
        }
        return;
    }
    gf_buf_str(out, "| flag | key in CONF.json | type | default | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < cli_option_count; i++) {
        if (cli_options[i].section == section && !told_with_source(&cli_options[i]))
            markdown_row(out, &cli_options[i]);
    }
}

static const char markdown_intro[] =
    "# Configuration\n"
    "\n"
    "Generated by `gfreplica docs configuration` from the table that the program itself reads (`make docs`).\n"
    "\n"
    "Every setting can be given in four places. The first of these that names it wins:\n"
    "\n"
    "1. a **flag**: `--flag value`, `--flag=value`, or with one dash as in Go; switches alone or as `--flag=false`;\n"
    "2. the **environment**: `GFREPLICA_` and the flag's name in capitals, `-` as `_`: `GFREPLICA_CHECKPOINT_DIR`;\n"
    "3. an **option file**, `~/.my.cnf` or `--defaults-file FILE`: sections `[gfreplica-source]`, `[gfreplica-target]`\n"
    "   and `[gfreplica-source-primary]` with `host`, `port`, `socket`, `user`, `password`, `ssl-ca`, ... and the flags'\n"
    "   names without their beginning; section `[gfreplica]` with any flag's name;\n"
    "4. **CONF.json**, with the keys of `ghostferry-copydb` as they are, in either case. Unknown keys are warned about\n"
    "   with the nearest known one, wrong types are errors.\n"
    "\n"
    "Lists and maps are replaced as a whole, not merged. Durations are numbers in the unit of the type column or text\n"
    "like `\"1.5s\"`, `\"10m\"`, `\"1h30m\"`; sizes are bytes or text like `\"64K\"`, `\"2M\"` (powers of 1024).\n"
    "\n"
    "Passwords are never taken from arguments: use `--source-password-file FILE` (its first line),\n"
    "`GFREPLICA_SOURCE_PASSWORD` and `GFREPLICA_TARGET_PASSWORD`, an option file, or `Pass` in CONF.json.\n"
    "\n"
    "A CONF.json to begin with:\n"
    "\n"
    "```json\n"
    "{\n"
    "  \"Source\": {\"Host\": \"db1\", \"User\": \"mover\", \"Pass\": \"...\"},\n"
    "  \"Target\": {\"Host\": \"db2\", \"User\": \"mover\", \"Pass\": \"...\"},\n"
    "  \"Databases\": {\"Whitelist\": [\"shop\"]},\n"
    "  \"AutomaticCutover\": false\n"
    "}\n"
    "```\n";

static void put_markdown(gf_buf *out)
{
    gf_buf_str(out, markdown_intro);
    for (opt_section s = 0; s < SECTION_LIMIT; s++) {
        if (s != SECTION_TARGET)
            markdown_section(out, s);
    }
}

/* ---- man page ---- */

/* Text for roff: backslashes and dashes escaped, no line begins with a control character. */
static void put_roff(gf_buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        gf_buf_str(out, "\\&");
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            gf_buf_str(out, "\\e");
        else if (*text == '-')
            gf_buf_str(out, "\\-");
        else
            gf_buf_byte(out, (uint8_t)*text);
    }
}

static void man_option(gf_buf *out, const cli_option *o)
{
    char *flag = gf_asprintf("--%s", o->flag);

    gf_buf_str(out, ".TP\n\\fB");
    put_roff(out, flag);
    gf_buf_printf(out, "\\fR \\fI%s\\fR\n", argument_of(o));
    put_roff(out, o->help);
    put_choices(out, o);
    if (o->initial != NULL) {
        gf_buf_str(out, " (default ");
        put_roff(out, o->initial);
        gf_buf_str(out, ")");
    }
    if (o->json != NULL) {
        gf_buf_str(out, "\n.br\nKey: ");
        put_roff(out, o->json);
    }
    gf_buf_str(out, "\n");
    free(flag);
}

static void man_commands(gf_buf *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        gf_buf_str(out, ".TP\n\\fB");
        put_roff(out, cli_commands[i].name);
        gf_buf_printf(out, "\\fR%s%s\n", cli_commands[i].operand == NULL ? "" : " ",
                      cli_commands[i].operand == NULL ? "" : cli_commands[i].operand);
        put_roff(out, cli_commands[i].help);
        gf_buf_str(out, "\n");
    }
}

static void man_section(gf_buf *out, opt_section section)
{
    bool any = false;

    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->section != section || !is_flag(o) || told_with_source(o))
            continue;
        if (!any)
            gf_buf_printf(out, ".SS %s\n", cli_section_titles[section]);
        any = true;
        man_option(out, o);
    }
    if (section == SECTION_SOURCE)
        gf_buf_str(
            out, ".PP\nThe same flags exist for the target (\\-\\-target, \\-\\-target\\-host, ...) and for the writer "
                 "behind a source that is itself a replica (\\-\\-source\\-primary, ...).\n");
}

static const char man_head[] =
    ".TH GFREPLICA 1 \"\" \"gfreplica " GF_VERSION "\"\n"
    ".SH NAME\n"
    "gfreplica \\- move live MySQL and MariaDB data as a replica of its source\n"
    ".SH SYNOPSIS\n"
    ".B gfreplica\n"
    "[\\fIcommand\\fR] [\\fIflags\\fR] [\\fICONF.json\\fR]\n"
    ".SH DESCRIPTION\n"
    "Registers with the source server as a replica, copies the chosen databases to the target while it applies the "
    "source's transactions, and stays a live replica until it is told to cut over. It may be stopped or killed at any "
    "moment; the same command resumes.\n"
    ".SH COMMANDS\n";

static const char man_tail[] =
    ".SH ENVIRONMENT\n"
    "Each flag is also read from GFREPLICA_ and its name in capitals with _ for \\-. Passwords are read from "
    "GFREPLICA_SOURCE_PASSWORD and GFREPLICA_TARGET_PASSWORD.\n"
    ".SH FILES\n"
    ".TP\n"
    "\\fI~/.my.cnf\\fR\n"
    "sections [gfreplica\\-source], [gfreplica\\-target], [gfreplica]\n"
    ".TP\n"
    "\\fICONF.gfreplica/\\fR\n"
    "the checkpoint directory of CONF.json, unless \\-\\-checkpoint\\-dir names another\n"
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n"
    ".TP\n1\nwrong flags or configuration file\n"
    ".TP\n2\nrefused by the preflight; nothing was changed\n"
    ".TP\n3\nstopped; the same command resumes\n"
    ".TP\n4\nfailed; the same command resumes\n"
    ".TP\n5\nfailed, can't be resumed\n"
    ".TP\n6\nverification found a difference\n";

static void put_man(gf_buf *out)
{
    gf_buf_str(out, man_head);
    man_commands(out);
    gf_buf_str(out, ".SH OPTIONS\nFlags win over the environment, that over option files, that over CONF.json.\n");
    for (opt_section s = 0; s < SECTION_LIMIT; s++)
        man_section(out, s);
    gf_buf_str(out, man_tail);
}

static const struct {
    const char *name;
    void (*put)(gf_buf *out);
} doc_sections[] = {{"configuration", put_markdown}, {"man", put_man}};
enum { DOC_SECTIONS = sizeof doc_sections / sizeof doc_sections[0] };

bool cli_docs_has(const char *section)
{
    for (size_t i = 0; i < DOC_SECTIONS; i++) {
        if (strcmp(doc_sections[i].name, section) == 0)
            return true;
    }
    return false;
}

void gf_cli_docs(gf_buf *out, const char *section)
{
    for (size_t i = 0; i < DOC_SECTIONS; i++) {
        if (strcmp(doc_sections[i].name, section) == 0)
            doc_sections[i].put(out);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * parse.h - the commands, for the parser and for the texts about them.
 */
#ifndef GFREPLICA_CLI_PARSE_H
#define GFREPLICA_CLI_PARSE_H

#include "gfreplica/cli.h"

typedef struct {
    const char *name;
    gf_command command;
    const char *operand; /* what stands before CONF.json: "STATE.json", "SECTION"; NULL = nothing */
    bool servers;        /* needs to know source and target */
    bool config;         /* reads settings at all */
    const char *help;
} cli_command;

extern const cli_command cli_commands[];
extern const size_t cli_command_count;

bool cli_docs_has(const char *section); /* of gf_cli_docs */

#endif

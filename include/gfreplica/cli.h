/* SPDX-License-Identifier: MIT */
/*
 * cli.h - from argv to a configuration and a command.
 *
 * One options table (src/cli/options.c) feeds the flag parser, the JSON reader, --help, docs/configuration.md, the
 * man page and the unknown-key hints.
 */
#ifndef GFREPLICA_CLI_H
#define GFREPLICA_CLI_H

#include "gfreplica/config.h"

typedef enum {
    GF_CMD_RUN,
    GF_CMD_CHECK,
    GF_CMD_RECEIVE,
    GF_CMD_STATUS,
    GF_CMD_VERIFY,
    GF_CMD_CUTOVER,
    GF_CMD_PAUSE,
    GF_CMD_RESUME,
    GF_CMD_STOP,
    GF_CMD_EXPORT_STATE,
    GF_CMD_IMPORT_STATE,
    GF_CMD_DOCS,
    GF_CMD_HELP,
    GF_CMD_VERSION
} gf_command;

typedef struct {
    gf_command command;
    char *file;  /* STATE.json of import-state, docs section, ... */
    bool json;   /* status, verify: --json */
    bool native; /* export-state --format=native */
    gf_config config;
} gf_cli;

/* Flags win over environment, environment over option file, that over CONF.json, that over defaults.
   CONFIG error for anything wrong; unknown JSON keys are warned about with the nearest known one. */
GF_MUST_CHECK bool gf_cli_parse(gf_cli *out, int argc, char **argv, gf_error *err);
void gf_cli_free(gf_cli *cli);
void gf_cli_usage(gf_buf *out);
void gf_cli_docs(gf_buf *out, const char *section); /* "configuration" (markdown), "man" */
void gf_config_digest(char out[65], const gf_config *c);

#endif

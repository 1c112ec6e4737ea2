/* SPDX-License-Identifier: MIT */
/*
 * options.h - the one table of everything that can be set, and the one function that sets it.
 *
 * The table feeds the flag parser, the JSON reader, option files, the environment, --help, docs/configuration.md, the
 * man page and the hints for unknown names.
 */
#ifndef GFREPLICA_CLI_OPTIONS_H
#define GFREPLICA_CLI_OPTIONS_H

#include "gfreplica/cli.h"

typedef enum {
    OPT_BOOL,
    OPT_ATOMIC_BOOL,
    OPT_UINT,
    OPT_ATOMIC_UINT,
    OPT_SIZE,    /* size_t in bytes: 2M, 96MiB */
    OPT_BYTES,   /* the same into an unsigned */
    OPT_SECONDS, /* unsigned: 90, "90s", "1.5m"; fractions are rounded up */
    OPT_MILLIS,  /* unsigned: 500 (milliseconds), "1.5s" */
    OPT_STRING,
    OPT_SECRET,  /* a string that no flag takes and no output shows */
    OPT_CHOICE,  /* unsigned: index into choices */
    OPT_NAMES,   /* gf_names: a,b */
    OPT_MAP,     /* gf_renames: a=b,c=d */
    OPT_JSON,    /* a JSON value kept as its text */
    OPT_URL,     /* a server as mysql://user@host:port/?...; sets the options that begin with its name */
    OPT_IGNORED, /* accepted so that existing files work; without effect, for the reason in help */
    OPT_REFUSED  /* would change what is moved and can't be honoured: an error, for the reason in help */
} opt_type;

/* Where a value came from; a higher one is never overwritten by a lower one. */
typedef enum { FROM_NOWHERE, FROM_DEFAULT, FROM_JSON_OLD, FROM_JSON, FROM_FILE, FROM_ENV, FROM_FLAG } opt_level;

typedef enum {
    SECTION_SOURCE,
    SECTION_TARGET,
    SECTION_PRIMARY,
    SECTION_WHAT,
    SECTION_STATE,
    SECTION_REPLICA,
    SECTION_COPY,
    SECTION_LIMITS,
    SECTION_CUTOVER,
    SECTION_CONTROL,
    SECTION_OUTPUT,
    SECTION_COMMAND,
    SECTION_IGNORED,
    SECTION_LIMIT
} opt_section;

typedef struct {
    const char *flag; /* without dashes; NULL = no flag */
    const char *json; /* dotted path of keys; NULL = not in CONF.json */
    opt_type type;
    const char *initial; /* default as one would write it, NULL = unset */
    size_t offset;       /* into cli_input */
    opt_section section;
    unsigned min, max;          /* UINT, BYTES, SECONDS, MILLIS; max 0 = no bounds */
    const char *const *choices; /* CHOICE; of an ignored key all that it may say: NULL-terminated */
    const char *env;            /* besides GFREPLICA_<FLAG> */
    bool old;                   /* JSON: a deprecated or weaker spelling of another key */
    const char *help;
} cli_option;

enum { SERVERS = 3 }; /* source, target, source primary */

/* What parsing fills. */
typedef struct {
    gf_cli cli;
    char *net[SERVERS], *password_file[SERVERS]; /* owned */
    bool run_from_replica;
    char *defaults_file; /* owned */
    char *format;        /* owned: export-state --format */
    bool help, version;
    unsigned log_backend; /* index into its choices */
    opt_level *levels;    /* owned, one per option: where its value came from */
} cli_input;

extern const cli_option cli_options[];
extern const size_t cli_option_count;
extern const char *const cli_section_titles[SECTION_LIMIT];
extern const char *const cli_server_names[SERVERS]; /* "source", "target", "source-primary" */

gf_server_config *cli_server(cli_input *in, unsigned which);

const cli_option *cli_find_flag(const char *flag);
/* By dotted path, letters of either case as in Go. NULL if there is none; *object is set when it is a group of keys. */
const cli_option *cli_find_json(const char *path, bool *object);

/* Set from text. `where` names flag, variable or file and key in errors. A lower level than the value's present one
   changes nothing; a higher one begins lists anew, the same one adds to them. */
GF_MUST_CHECK bool cli_set(cli_input *in, const cli_option *o, opt_level level, const char *text, const char *where,
                           gf_error *err);
/* Lists and maps: begin anew at this level. False when a higher level has set it. */
bool cli_begin(cli_input *in, const cli_option *o, opt_level level);
void cli_add_name(gf_names *list, const char *name);
void cli_add_pair(gf_renames *map, const char *from, const char *to);
void *cli_at(cli_input *in, const cli_option *o);

/* The known flag (json false) or key nearest to `name` by edit distance; false when nothing is near. For keys, `name`
   is a dotted path, and the answer is as deep: it may be the name of a group. */
bool cli_nearest(char out[64], const char *name, bool json);

/* "1.5s", "10m", "1h30m", "250ms" in milliseconds. */
bool cli_duration(uint64_t *ms, const char *text);

opt_level cli_level(cli_input *in, const cli_option *o); /* where the present value came from */
/* The option "SERVER-PART", which must exist: cli_server_option(0, "host"). */
const cli_option *cli_server_option(unsigned which, const char *part);

/* Sets what mysql://user@host:port/?part=value names of the server; the text is never printed (url.c). */
GF_MUST_CHECK bool cli_set_url(cli_input *in, const char *server, opt_level level, const char *text, const char *where,
                               gf_error *err);
/* Read at their level: CONF.json (json_config.c), option files, the environment, password files (sources.c). */
GF_MUST_CHECK bool cli_read_json(cli_input *in, const char *path, gf_error *err);
GF_MUST_CHECK bool cli_read_option_file(cli_input *in, gf_error *err);
GF_MUST_CHECK bool cli_read_environment(cli_input *in, gf_error *err);
GF_MUST_CHECK bool cli_read_password_files(cli_input *in, gf_error *err);
/* A whole file of at most `max` bytes; CONFIG error when it can't be read. Appended. */
GF_MUST_CHECK bool cli_read_file(gf_buf *out, const char *path, size_t max, gf_error *err);
/* What only makes sense once all is read: conflicts, derived defaults (settle.c). servers: does the command need them? */
GF_MUST_CHECK bool cli_settle(cli_input *in, bool servers, gf_error *err);

void cli_defaults(cli_input *in);
void cli_input_free(cli_input *in);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * settle.c - from what was given to what is meant: conflicts, defaults that depend on other settings.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "options.h"

static void replace(char **at, char *owned)
{
    free(*at);
    *at = owned;
}

/* ---- servers ---- */

/* Which of host and socket is meant: the one that was set at the higher level, the socket where both are equal. */
static bool settle_address(cli_input *in, unsigned which, gf_error *err)
{
    gf_server_config *s = cli_server(in, which);
    const char *net = in->net[which], *name = cli_server_names[which];
    opt_level host = cli_level(in, cli_server_option(which, "host"));

    if (net != NULL && *net != '\0' && strcmp(net, "tcp") != 0 && strcmp(net, "unix") != 0)
        return gf_fail(err, GF_ERR_CONFIG, "%s: Net \"%.32s\" is neither \"tcp\" nor \"unix\"", name, net);
    if (net != NULL && strcmp(net, "unix") == 0 && s->host != NULL && s->socket == NULL &&
        cli_level(in, cli_server_option(which, "net")) >= host) {
        s->socket = s->host; /* Ghostferry's way: the host is the socket's path */
        s->host = NULL;
    } else if (s->socket != NULL && cli_level(in, cli_server_option(which, "socket")) < host) {
        replace(&s->socket, NULL);
    } else if (s->socket != NULL) {
        replace(&s->host, NULL);
    }
    if (s->host != NULL && *s->host == '\0')
        replace(&s->host, NULL);
    return true;
}

static void drop_param(gf_renames *params, size_t i)
{
    free(params->from[i]);
    free(params->to[i]);
    params->count--;
    params->from[i] = params->from[params->count];
    params->to[i] = params->to[params->count];
}

/* Two variables are ours: rows would differ with other values. Their one right value may be written down. */
static bool fixed_variable(bool *fixed, const char *server, const char *name, const char *value, gf_error *err)
{
    static const char *const values[][2] = {{"time_zone", "+00:00"},
                                            {"sql_mode", "STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES"}};

    *fixed = false;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        size_t len = strlen(value);

        if (strcasecmp(values[i][0], name) != 0)
            continue;
        *fixed = true;
        if (len >= 2 && (value[0] == '\'' || value[0] == '"')) {
            value++;
            len -= 2;
        }
        if (len != strlen(values[i][1]) || strncasecmp(value, values[i][1], len) != 0)
            return gf_fail(err, GF_ERR_CONFIG, "%s: Params: %s can't be chosen, rows would change with it", server,
                           name);
    }
    return true;
}

/* Settings of Go's MySQL driver, which Ghostferry takes in Params as well. They are no variables of a server. */
static bool driver_setting(const char *name)
{
    static const char *const names[] = {"allowAllFiles",
                                        "allowCleartextPasswords",
                                        "allowFallbackToPlaintext",
                                        "allowNativePasswords",
                                        "allowOldPasswords",
                                        "charset",
                                        "checkConnLiveness",
                                        "clientFoundRows",
                                        "collation",
                                        "columnsWithAlias",
                                        "compress",
                                        "connectionAttributes",
                                        "interpolateParams",
                                        "loc",
                                        "maxAllowedPacket",
                                        "multiStatements",
                                        "parseTime",
                                        "readTimeout",
                                        "rejectReadOnly",
                                        "serverPubKey",
                                        "strict",
                                        "timeTruncate",
                                        "timeout",
                                        "writeTimeout"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* The driver's "tls": the only one of its settings that must not be lost. */
static bool driver_tls(gf_server_config *s, const char *server, const char *value, gf_error *err)
{
    static const struct {
        const char *value;
        gf_tls_mode mode;
    } modes[] = {{"true", GF_TLS_VERIFY_IDENTITY},
                 {"skip-verify", GF_TLS_REQUIRED},
                 {"preferred", GF_TLS_PREFERRED},
                 {"false", GF_TLS_OFF}};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcasecmp(modes[i].value, value) == 0) {
            if (s->tls == GF_TLS_PREFERRED)
                s->tls = modes[i].mode;
            return true;
        }
    }
    return gf_fail(err, GF_ERR_CONFIG, "%s: Params: tls \"%.32s\" is not known; use TLS.Mode", server, value);
}

/* Names become part of SET statements. */
static bool is_variable_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.')
            return false;
    }
    return *name != '\0';
}

static bool settle_params(gf_server_config *s, const char *server, gf_error *err)
{
    size_t i = 0;

    while (i < s->params.count) {
        const char *name = s->params.from[i], *value = s->params.to[i];
        bool drop = false;

        if (!fixed_variable(&drop, server, name, value, err))
            return false;
        if (!drop && strcmp(name, "tls") == 0) {
            if (!driver_tls(s, server, value, err))
                return false;
            drop = true;
        } else if (!drop && driver_setting(name)) {
            gf_log_warn("%s: Params: %s has no effect here: it is a setting of another driver", server, name);
            drop = true;
        } else if (!drop && !is_variable_name(name)) {
            return gf_fail(err, GF_ERR_CONFIG, "%s: Params: \"%.64s\" is no variable's name", server, name);
        }
        if (drop)
            drop_param(&s->params, i);
        else
            i++;
    }
    return true;
}

static bool settle_server(cli_input *in, unsigned which, gf_error *err)
{
    gf_server_config *s = cli_server(in, which);
    const char *name = cli_server_names[which];

    replace(&s->role, gf_strdup(which == 2 ? "source primary" : name));
    if (!settle_address(in, which, err) || !settle_params(s, name, err))
        return false;
    s->silence_ms = 2 * in->cli.config.heartbeat_ms;
    /* Whoever says which CA to trust wants to know who answers. */
    if (s->tls == GF_TLS_PREFERRED && s->tls_ca != NULL)
        s->tls = GF_TLS_VERIFY_IDENTITY;
    if ((s->tls_cert == NULL) != (s->tls_key == NULL))
        return gf_fail(err, GF_ERR_CONFIG, "%s: a client certificate and its key go together", name);
    if (s->tls == GF_TLS_OFF && (s->tls_ca != NULL || s->tls_cert != NULL))
        return gf_fail(err, GF_ERR_CONFIG, "%s: TLS is off, but certificates are given", name);
    if (s->marginalia != NULL && strstr(s->marginalia, "*/") != NULL)
        return gf_fail(err, GF_ERR_CONFIG, "%s: Marginalia may not hold \"*/\"", name);
    return true;
}

static bool present(const gf_server_config *s)
{
    return s->host != NULL || s->socket != NULL;
}

/* Without the switch, SourceReplicationMaster is not looked at, as in Ghostferry. */
static bool settle_primary(cli_input *in, gf_error *err)
{
    gf_config *c = &in->cli.config;

    if (!in->run_from_replica) {
        replace(&c->source_primary.host, NULL);
        replace(&c->source_primary.socket, NULL);
        return true;
    }
    if (!present(&c->source_primary))
        return gf_fail(err, GF_ERR_CONFIG, "RunFerryFromReplica needs SourceReplicationMaster, the server written to");
    if (c->replicated_position_query == NULL || *c->replicated_position_query == '\0')
        return gf_fail(err, GF_ERR_CONFIG, "RunFerryFromReplica needs ReplicatedMasterPositionQuery");
    return true;
}

static bool servers_given(const gf_config *c, gf_error *err)
{
    const gf_server_config *missing = !present(&c->source) ? &c->source : !present(&c->target) ? &c->target : NULL;

    if (missing == NULL)
        return true;
    return gf_fail(err, GF_ERR_CONFIG,
                   "no %s is given: use --%s mysql://user@host or \"%s\": {\"Host\": ...} in CONF.json", missing->role,
                   missing->role, missing == &c->source ? "Source" : "Target");
}

/* ---- what is moved ---- */

static bool one_list(const gf_names *white, const gf_names *black, const char *what, gf_error *err)
{
    if (white->count == 0 || black->count == 0)
        return true;
    return gf_fail(err, GF_ERR_CONFIG, "%s: Whitelist and Blacklist exclude each other, give one", what);
}

/* Two tables in one place would be mixed. */
static bool distinct_targets(const gf_renames *map, const char *what, gf_error *err)
{
    for (size_t i = 0; i < map->count; i++) {
        if (*map->to[i] == '\0')
            return gf_fail(err, GF_ERR_CONFIG, "%s.Rewrites: \"%s\" has an empty name on the target", what,
                           map->from[i]);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(map->to[i], map->to[k]) == 0)
                return gf_fail(err, GF_ERR_CONFIG, "%s.Rewrites: \"%s\" and \"%s\" would both become \"%s\"", what,
                               map->from[k], map->from[i], map->to[i]);
        }
    }
    return true;
}

static bool settle_filter(const gf_filter *f, gf_error *err)
{
    return one_list(&f->db_whitelist, &f->db_blacklist, "Databases", err) &&
           one_list(&f->table_whitelist, &f->table_blacklist, "Tables", err) &&
           distinct_targets(&f->db_renames, "Databases", err) && distinct_targets(&f->table_renames, "Tables", err);
}

/* ---- the rest ---- */

static void default_checkpoint_dir(gf_config *c)
{
    size_t len;

    if (c->checkpoint_dir != NULL && *c->checkpoint_dir != '\0')
        return;
    if (c->config_path == NULL) {
        replace(&c->checkpoint_dir, gf_strdup("./gfreplica-checkpoint"));
        return;
    }
    len = strlen(c->config_path);
    if (len > 5 && strcasecmp(c->config_path + len - 5, ".json") == 0 && c->config_path[len - 6] != '/')
        len -= 5;
    replace(&c->checkpoint_dir, gf_asprintf("%.*s.gfreplica", (int)len, c->config_path));
}

/* ":8000" means all addresses, as in Go. */
static bool settle_bind(gf_config *c, gf_error *err)
{
    const char *colon = strrchr(c->control_bind, ':');
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);

    if (!c->control_enabled)
        return true;
    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) || port > 65535)
        return gf_fail(err, GF_ERR_CONFIG, "ServerBindAddr: \"%.64s\" is not of the form address:port",
                       c->control_bind);
    if (colon == c->control_bind)
        replace(&c->control_bind, gf_asprintf("0.0.0.0%s", c->control_bind));
    return true;
}

static void settle_logs(cli_input *in)
{
    /* The levels that only other loggers have: panic, fatal, trace, warning. */
    static const gf_log_level others[] = {GF_LOG_ERROR, GF_LOG_ERROR, GF_LOG_DEBUG, GF_LOG_WARN};
    gf_config *c = &in->cli.config;

    if (c->log_level > GF_LOG_DEBUG)
        c->log_level = others[c->log_level - GF_LOG_DEBUG - 1];
    if (c->verbose)
        c->log_level = GF_LOG_DEBUG;
    c->log_json = c->log_json || in->log_backend == 1;
    if (cli_level(in, cli_find_flag("progress")) == FROM_NOWHERE)
        c->progress_line = isatty(STDERR_FILENO) == 1;
}

static bool settle_names(const gf_config *c, gf_error *err)
{
    if (*c->job == '\0' || strlen(c->job) > 64)
        return gf_fail(err, GF_ERR_CONFIG, "--job: a name of 1 to 64 bytes");
    if (*c->marker_db == '\0' || strlen(c->marker_db) > 64)
        return gf_fail(err, GF_ERR_CONFIG, "--marker-database: a name of 1 to 64 bytes");
    if (c->memory_bytes < (size_t)16 << 20)
        return gf_fail(err, GF_ERR_CONFIG, "--memory: at least 16M");
    if (c->relay_bytes < (size_t)1 << 20)
        return gf_fail(err, GF_ERR_CONFIG, "--relay-limit: at least 1M");
    if (c->server_uuid != NULL &&
        (strlen(c->server_uuid) != 36 || strspn(c->server_uuid, "0123456789abcdefABCDEF-") != 36))
        return gf_fail(err, GF_ERR_CONFIG, "--server-uuid: \"%.40s\" is no UUID", c->server_uuid);
    return true;
}

bool cli_settle(cli_input *in, bool servers, gf_error *err)
{
    gf_config *c = &in->cli.config;

    for (unsigned i = 0; i < SERVERS; i++) {
        if (!settle_server(in, i, err))
            return false;
    }
    if (!settle_primary(in, err) || (servers && !servers_given(c, err)) || !settle_filter(&c->filter, err) ||
        !settle_bind(c, err) || !settle_names(c, err))
        return false;
    c->filter.marker_db = c->marker_db;
    settle_logs(in);
    default_checkpoint_dir(c);
    c->progress_ms = c->progress_ms == 0 ? 10000 : c->progress_ms;
    c->state_ms = c->state_ms == 0 ? 10000 : c->state_ms;
    if (c->resume_state != NULL && *c->resume_state == '\0') /* Go's empty default */
        replace(&c->resume_state, NULL);
    if (c->resume_state != NULL)
        replace(&c->resume_text, NULL);
    if (in->format != NULL && strcmp(in->format, "native") != 0 && strcmp(in->format, "ghostferry") != 0)
        return gf_fail(err, GF_ERR_CONFIG, "--format: \"%.32s\" is neither ghostferry nor native", in->format);
    in->cli.native = in->format != NULL && strcmp(in->format, "native") == 0;
    gf_config_digest(c->digest, c);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * check_server.c - versions and settings of both servers.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"
#include "gfreplica/log.h"

/* ---- versions ---- */

static const struct {
    gf_flavor flavor;
    const char *name;
    unsigned first, next; /* supported: first <= version < next */
    const char *range;
} versions[] = {
    {GF_FLAVOR_MYSQL, "MySQL", 50700, 100000, "5.7 to 9"},
    {GF_FLAVOR_MARIADB, "MariaDB", 100500, 120000, "10.5 to 11"},
};

static void check_version(gf_check *c, const char *side, const gf_server_info *info)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (versions[i].flavor != info->flavor)
            continue;
        if (info->version < versions[i].first)
            gf_check_problem(c, "%s: %s %s is too old: supported is %s", side, versions[i].name, info->version_text,
                             versions[i].range);
        else if (info->version >= versions[i].next)
            gf_check_warning(c, "%s: %s %s is newer than what is tested (%s)", side, versions[i].name,
                             info->version_text, versions[i].range);
    }
}

/* ---- source ---- */

/* Settings without which changes are lost or can't be applied exactly. A server that lacks the variable always does
   what we need. */
static const struct {
    const char *variable, *value;
    int flavors; /* gf_flavor bits */
    const char *why;
} source_settings[] = {
    {"binlog_format", "ROW", GF_FLAVOR_MYSQL | GF_FLAVOR_MARIADB,
     "changes that are logged as statements can't be applied exactly"},
    {"binlog_row_image", "FULL", GF_FLAVOR_MYSQL | GF_FLAVOR_MARIADB, "partial row images are refused for now"},
    {"binlog_row_value_options", "", GF_FLAVOR_MYSQL, "partial JSON updates are refused for now"},
    {"binlog_order_commits", "ON", GF_FLAVOR_MARIADB, /* rule S6 */
     "a snapshot's position says what it contains only if commits are ordered"},
};

static bool check_source_settings(gf_check *c, gf_error *err)
{
    for (size_t i = 0; i < sizeof source_settings / sizeof source_settings[0]; i++) {
        const char *name = source_settings[i].variable, *wanted = source_settings[i].value;
        char *value = NULL;

        if ((source_settings[i].flavors & (int)c->source_info->flavor) == 0)
            continue;
        if (!gf_check_variable(&value, c->source, name, err))
            return false;
        if (value != NULL && strcasecmp(value, wanted) != 0)
            gf_check_problem(c,
                             "source: %s is %s, needed is '%s' (%s): SET GLOBAL %s='%s', also in the server's option "
                             "file, and let sessions that are open now connect again",
                             name, value, wanted, source_settings[i].why, name, wanted);
        free(value);
    }
    return true;
}

static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; (p = strstr(p, name)) != NULL; p++)
        if ((p == list || p[-1] == ',') && (p[len] == ',' || p[len] == '\0'))
            return true;
    return false;
}

/* binlog-do-db and binlog-ignore-db: what they leave out never reaches us. */
static void check_binlog_filters(gf_check *c, const char *only, const char *ignored)
{
    const char *last = NULL;

    for (size_t i = 0; i < c->table_count; i++) {
        const char *db = c->tables[i]->db;
        bool same = last != NULL && strcmp(last, db) == 0;

        last = db;
        if (same)
            continue;
        if (only != NULL && only[0] != '\0' && !in_list(only, db))
            gf_check_problem(c,
                             "source: binlog_do_db (%s) leaves %s out of the binlog: add it to the server's options, "
                             "restart the server",
                             only, db);
        if (ignored != NULL && in_list(ignored, db))
            gf_check_problem(c,
                             "source: binlog_ignore_db (%s) leaves %s out of the binlog: take it off the server's "
                             "options, restart the server",
                             ignored, db);
    }
}

/* Grants for it are checked elsewhere; here a refusal says nothing. */
static void check_binlog_status(gf_check *c)
{
    bool new_name = c->source_info->flavor == GF_FLAVOR_MYSQL && c->source_info->version >= 80200;
    gf_error ignored;
    MYSQL_RES *result = gf_server_query(c->source, "read the binlog's state", &ignored, "%s",
                                        new_name ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS");
    MYSQL_ROW row;

    if (result == NULL)
        return;
    row = mysql_fetch_row(result);
    if (row != NULL && mysql_num_fields(result) >= 4)
        check_binlog_filters(c, row[2], row[3]);
    mysql_free_result(result);
}

/* The first of some variables that the server has; *name says which. */
static bool first_variable(char **out, const char **name, MYSQL *db, const char *const *names, size_t count,
                           gf_error *err)
{
    *out = NULL;
    for (size_t i = 0; *out == NULL && i < count; i++) {
        *name = names[i];
        if (!gf_check_variable(out, db, names[i], err))
            return false;
    }
    return true;
}

static bool is_replica(gf_check *c, bool *unknown)
{
    bool new_name = c->source_info->flavor == GF_FLAVOR_MYSQL && c->source_info->version >= 80022;
    gf_error ignored;
    MYSQL_RES *result = gf_server_query(c->source, "ask whether the source is a replica", &ignored, "%s",
                                        new_name ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS");
    bool found;

    *unknown = result == NULL;
    found = result != NULL && mysql_num_rows(result) > 0;
    mysql_free_result(result);
    return found;
}

/* A replica that does not log what it replicates has no binlog that we could follow. */
static bool check_replica_updates(gf_check *c, gf_error *err)
{
    static const char *const names[] = {"log_replica_updates", "log_slave_updates"};
    const char *name;
    char *value = NULL;
    bool off, unknown = false;

    if (!first_variable(&value, &name, c->source, names, 2, err))
        return false;
    off = value != NULL && strcasecmp(value, "OFF") == 0;
    free(value);
    if (off && is_replica(c, &unknown))
        gf_check_problem(c,
                         "source: it is a replica with %s=OFF, so changes that come from its own source are not in its "
                         "binlog: set %s=ON and restart it, or move from its source",
                         name, name);
    else if (off && unknown)
        gf_check_warning(c, "source: %s=OFF: if it is a replica itself, changes from its own source would be missed",
                         name);
    return true;
}

static bool check_retention(gf_check *c, gf_error *err)
{
    static const char *const names[] = {"binlog_expire_logs_seconds", "expire_logs_days"};
    const char *name;
    char *value = NULL;
    double amount, hours;

    if (!first_variable(&value, &name, c->source, names, 2, err))
        return false;
    amount = value != NULL ? strtod(value, NULL) : 0;
    hours = name == names[0] ? amount / 3600 : amount * 24;
    if (amount > 0)
        gf_check_warning(c,
                         "source: its binlog is kept for %.4g hours (%s=%s): a job that is stopped for longer can't "
                         "go on",
                         hours, name, value);
    free(value);
    return true;
}

static bool check_source(gf_check *c, gf_error *err)
{
    const gf_server_info *info = c->source_info;

    if (!info->log_bin)
        gf_check_problem(c, "source: it writes no binlog: set log_bin in its options and restart it");
    if (info->server_id == 0)
        gf_check_problem(c,
                         "source: server_id is 0, so it accepts no replica: SET GLOBAL server_id=1 or another number "
                         "of its own");
    if (info->flavor == GF_FLAVOR_MYSQL && !info->gtids)
        gf_check_warning(c,
                         "source: gtid_mode is %s: the job can go on from this server only, and rows are read with "
                         "short locks",
                         info->gtid_mode);
    if (!check_source_settings(c, err) || !check_replica_updates(c, err))
        return false;
    check_binlog_status(c);
    return check_retention(c, err);
}

/* ---- target ---- */

static bool may_write_read_only(const gf_check *c)
{
    const gf_server_info *info = c->target_info;
    bool super = gf_grants_have(&c->target_grants, "SUPER", NULL, NULL);

    if (info->flavor == GF_FLAVOR_MYSQL)
        return super || gf_grants_have(&c->target_grants, "CONNECTION ADMIN", NULL, NULL);
    return (super && info->version < 101100) || gf_grants_have(&c->target_grants, "READ ONLY ADMIN", NULL, NULL);
}

static bool is_off(const char *value)
{
    return value == NULL || strcmp(value, "0") == 0 || strcasecmp(value, "OFF") == 0;
}

/* A job that has begun may meet a failover when it is started again, as one that runs does: it waits as well. */
static bool refuse_read_only(gf_check *c, const char *name, gf_error *err)
{
    if (c->resuming)
        return gf_fail(err, GF_ERR_RETRY, "target: %s is ON: SET GLOBAL %s=OFF", name, name);
    gf_check_problem(c, "target: %s is ON: SET GLOBAL %s=OFF", name, name);
    return true;
}

static bool check_read_only(gf_check *c, gf_error *err)
{
    static const char *const names[] = {"super_read_only", "read_only"};

    for (size_t i = 0; i < 2; i++) {
        char *value = NULL;
        bool on;

        if (!gf_check_variable(&value, c->target, names[i], err))
            return false;
        on = !is_off(value);
        free(value);
        if (!on)
            continue;
        if (i == 0 || !may_write_read_only(c))
            return refuse_read_only(c, names[i], err);
        gf_check_warning(c, "target: read_only is ON; this account may write all the same");
    }
    return true;
}

static bool check_target_binlog(gf_check *c, gf_error *err)
{
    char *format = NULL;

    if (!c->target_info->log_bin)
        return true;
    if (!gf_check_variable(&format, c->target, "binlog_format", err))
        return false;
    if (format != NULL && strcasecmp(format, "STATEMENT") == 0)
        gf_check_problem(c, "target: binlog_format is STATEMENT, under which READ COMMITTED transactions can't write: "
                            "SET GLOBAL binlog_format='ROW'");
    free(format);
    return true;
}

/* A statement holds a chunk or a batch of changes, or one row, whichever is larger. */
static void check_packets(gf_check *c)
{
    uint64_t source = c->source_info->max_allowed_packet, target = c->target_info->max_allowed_packet;
    uint64_t needed = c->config->chunk_bytes > c->config->batch_bytes ? c->config->chunk_bytes : c->config->batch_bytes;

    if (target < needed)
        gf_check_problem(c,
                         "target: max_allowed_packet is %" PRIu64 ", less than a chunk or batch (%" PRIu64
                         " bytes): SET GLOBAL max_allowed_packet=%" PRIu64 ", or make chunks and batches smaller",
                         target, needed, source > needed ? source : 2 * needed);
    else if (target < source)
        gf_check_warning(c,
                         "target: max_allowed_packet is %" PRIu64 ", the source's is %" PRIu64
                         ": a row that is larger than the target's will stop the run: SET GLOBAL "
                         "max_allowed_packet=%" PRIu64,
                         target, source, source);
}

static void check_copy_method(gf_check *c)
{
    if (c->target_info->local_infile || c->config->copy_method == GF_COPY_INSERT)
        return;
    if (c->config->copy_method == GF_COPY_LOAD)
        gf_check_problem(c, "target: local_infile is OFF, and --copy-method load needs it: SET GLOBAL local_infile=ON");
    else
        gf_log_info("target: local_infile is OFF: rows are copied with REPLACE; LOAD DATA would cost it a third less");
}

/* ---- both ---- */

static bool same_server(const gf_check *c)
{
    return c->source_info->identity[0] != '\0' && strcmp(c->source_info->identity, c->target_info->identity) == 0;
}

/* Moving within one server is fine under other names, if what is written is not read again. */
static void check_same_server(gf_check *c)
{
    gf_check_names same = {0}, loops = {0};

    for (size_t i = 0; same_server(c) && i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        if (strcmp(t->db, t->target_db) == 0 && strcmp(t->name, t->target_name) == 0)
            gf_check_name(&same, t->label);
        else if (gf_filter_table(&c->config->filter, t->target_db, t->target_name))
            gf_check_name(&loops, t->label);
    }
    if (same.count > 0)
        gf_check_problem(c, "target: it is the source itself, under the same names (%s): give another target or rename",
                         gf_check_names_text(&same));
    if (loops.count > 0)
        gf_check_problem(c,
                         "target: it is the source itself, and the new names are selected to be moved again (%s): "
                         "leave them out",
                         gf_check_names_text(&loops));
    gf_check_names_free(&same);
    gf_check_names_free(&loops);
}

bool gf_check_servers(gf_check *c, gf_error *err)
{
    check_version(c, "source", c->source_info);
    check_version(c, "target", c->target_info);
    if (!check_source(c, err) || !check_read_only(c, err) || !check_target_binlog(c, err))
        return false;
    check_packets(c);
    check_copy_method(c);
    check_same_server(c);
    return true;
}

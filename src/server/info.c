/* SPDX-License-Identifier: MIT */
/*
 * info.c - what a server is, and where its binlog ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/server.h"

static const char WHAT[] = "read the server's settings";

/* Columns of the query below, in its order. */
enum { VERSION, SERVER_ID, LOG_BIN, LOWER_CASE, MAX_PACKET, READ_ONLY, HOSTNAME, PORT, DATADIR, INFILE, COLUMNS };

/* "10.11.19-MariaDB-log" -> 101119, "9.7.4" -> 90704 */
static unsigned version_number(const char *text)
{
    unsigned major = 0, minor = 0, patch = 0;

    if (sscanf(text, "%u.%u.%u", &major, &minor, &patch) < 2)
        return 0;
    return major * 10000 + minor * 100 + patch;
}

static bool is_on(const char *value)
{
    return value != NULL && strcmp(value, "0") != 0 && strcasecmp(value, "OFF") != 0;
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "" : from);
}

/* A variable that only some versions have: *out = NULL where there is none. */
static bool variable(char **out, MYSQL *db, const char *name, gf_error *err)
{
    MYSQL_RES *result = gf_server_query(db, WHAT, err, "SHOW GLOBAL VARIABLES LIKE '%s'", name);
    MYSQL_ROW row;

    *out = NULL;
    if (result == NULL)
        return false;
    row = mysql_fetch_row(result);
    if (row != NULL && row[1] != NULL)
        *out = gf_strdup(row[1]);
    mysql_free_result(result);
    return true;
}

static bool flag(bool *out, MYSQL *db, const char *name, gf_error *err)
{
    char *value;

    if (!variable(&value, db, name, err))
        return false;
    *out = is_on(value);
    free(value);
    return true;
}

static bool read_mysql(gf_server_info *out, MYSQL *db, gf_error *err)
{
    char *value;
    bool super = false, cascades_in_engine = true;

    if (!variable(&value, db, "server_uuid", err))
        return false;
    copy_text(out->uuid, sizeof out->uuid, value);
    free(value);
    if (!variable(&value, db, "gtid_mode", err))
        return false;
    copy_text(out->gtid_mode, sizeof out->gtid_mode, value);
    free(value);
    if (!flag(&super, db, "super_read_only", err))
        return false;
    /* MySQL 9.6 moved cascades out of InnoDB, and with that into the binlog; the variable brings the old way back. */
    if (out->version >= 90600 && !flag(&cascades_in_engine, db, "innodb_native_foreign_keys", err))
        return false;
    out->gtids = strcmp(out->gtid_mode, "ON") == 0;
    out->read_only = out->read_only || super;
    out->logs_cascades = !cascades_in_engine;
    copy_text(out->identity, sizeof out->identity, out->uuid);
    return true;
}

/* MariaDB has no UUID of its own. What is hashed is that part which may be long. */
static void read_mariadb(gf_server_info *out, char *const *row)
{
    const char *datadir = row[DATADIR] == NULL ? "" : row[DATADIR];

    copy_text(out->gtid_mode, sizeof out->gtid_mode, "ON");
    out->gtids = true;
    snprintf(out->identity, sizeof out->identity, "%u/%.60s/%s/%016llx", out->server_id,
             row[HOSTNAME] == NULL ? "" : row[HOSTNAME], row[PORT] == NULL ? "" : row[PORT],
             (unsigned long long)gf_hash(datadir, strlen(datadir), 0));
}

bool gf_server_info_read(gf_server_info *out, MYSQL *db, gf_error *err)
{
    MYSQL_RES *result = gf_server_query(db, WHAT, err,
                                        "SELECT VERSION(), @@server_id, @@log_bin, @@lower_case_table_names, "
                                        "@@global.max_allowed_packet, @@global.read_only, @@hostname, @@port, "
                                        "@@datadir, @@global.local_infile");
    MYSQL_ROW row;
    bool ok = false;

    memset(out, 0, sizeof *out);
    if (result == NULL)
        return false;
    row = mysql_fetch_row(result);
    if (row == NULL || mysql_num_fields(result) != COLUMNS || row[VERSION] == NULL) {
        gf_fail(err, GF_ERR_DATA, "%s: the server gave no version", WHAT);
        goto out;
    }
    copy_text(out->version_text, sizeof out->version_text, row[VERSION]);
    out->version = version_number(row[VERSION]);
    out->flavor =
        strcasestr(row[VERSION], "mariadb") != NULL || mariadb_connection(db) ? GF_FLAVOR_MARIADB : GF_FLAVOR_MYSQL;
    out->server_id = row[SERVER_ID] == NULL ? 0 : (unsigned)strtoul(row[SERVER_ID], NULL, 10);
    out->log_bin = is_on(row[LOG_BIN]);
    out->lower_case = row[LOWER_CASE] == NULL ? 0 : (unsigned)strtoul(row[LOWER_CASE], NULL, 10);
    out->max_allowed_packet = row[MAX_PACKET] == NULL ? 0 : strtoull(row[MAX_PACKET], NULL, 10);
    out->read_only = is_on(row[READ_ONLY]);
    out->local_infile = is_on(row[INFILE]);
    if (out->flavor == GF_FLAVOR_MARIADB)
        read_mariadb(out, row);
    ok = out->flavor == GF_FLAVOR_MARIADB || read_mysql(out, db, err);
out:
    mysql_free_result(result);
    return ok;
}

bool gf_server_json_types(const gf_server_info *source, const gf_server_info *target)
{
    return source->flavor == GF_FLAVOR_MYSQL && source->version >= 80004 && target->flavor == GF_FLAVOR_MYSQL &&
           target->version >= 80004;
}

/* ---- the binlog's end ---- */

static const char *end_statement(const gf_server_info *info)
{
    return info->flavor == GF_FLAVOR_MYSQL && info->version >= 80200 ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

static const char *end_grant(const gf_server_info *info)
{
    return info->flavor == GF_FLAVOR_MARIADB && info->version >= 100502 ? "BINLOG MONITOR" : "REPLICATION CLIENT";
}

bool gf_server_binlog_end(gf_position *out, MYSQL *db, const gf_server_info *info, gf_error *err)
{
    MYSQL_RES *result = gf_server_query(db, "read the binlog's end", err, "%s", end_statement(info));
    MYSQL_ROW row;
    bool ok = false;

    if (result == NULL) {
        if (mysql_errno(db) == 1227) /* ER_SPECIFIC_ACCESS_DENIED_ERROR */
            gf_fail_context(err, "missing grant, run GRANT %s ON *.* TO ... on the source", end_grant(info));
        return false;
    }
    row = mysql_fetch_row(result);
    if (row == NULL || row[0] == NULL || row[1] == NULL)
        gf_fail(err, GF_ERR_CONFIG, "the server writes no binlog: start it with log_bin");
    else
        ok = gf_position_parse(out, info->flavor, row[0], strtoull(row[1], NULL, 10), NULL, err);
    mysql_free_result(result);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * session.c - session variables by what a connection is for.
 *
 * A server's defaults, init_connect and the account's own settings may be anything, so whatever decides how a
 * statement is read, how a value is stored or how long a session lives is set here. Variables that every supported
 * version has go out as one SET and must succeed. The others (one flavour, newer versions, or restricted to
 * privileged accounts) are asked for one by one, and a refusal is no error: preflight tells what follows from it.
 */
#include "session.h"

#include <ctype.h>
#include <stdlib.h>

#include "gfreplica/log.h"

enum {
    PLAIN = 1U << GF_CONN_PLAIN,
    READER = 1U << GF_CONN_READER,
    WRITER = 1U << GF_CONN_WRITER,
    ALL = PLAIN | READER | WRITER,
    MYSQL_ONLY = 1,
    MARIADB_ONLY = 2,
    BOTH = MYSQL_ONLY | MARIADB_ONLY
};

/* Strict, so that nothing is altered silently; NO_AUTO_VALUE_ON_ZERO, because 0 is a value; ALLOW_INVALID_DATES and
   no NO_ZERO_DATE, because the source may hold any date that a server has ever accepted. */
#define SQL_MODE "'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'"

static const struct {
    unsigned uses;
    const char *assignment;
} required[] = {
    {ALL, "sql_mode=" SQL_MODE},
    {ALL, "time_zone='+00:00'"},
    {PLAIN | READER, "autocommit=1"},
    {WRITER, "autocommit=0"},
    {ALL, "sql_quote_show_create=1"},
    {ALL, "sql_big_selects=1"},
    {ALL, "sql_select_limit=18446744073709551615"},
    {ALL, "sql_safe_updates=0"},
    {ALL, "sql_auto_is_null=0"},
    {ALL, "group_concat_max_len=1073741824"}, /* max_allowed_packet counts as well */
    {ALL, "completion_type=0"},
    /* What the target computes itself, as the servers' defaults have it. */
    {WRITER, "lc_time_names='en_US'"},
    {WRITER, "div_precision_increment=4"},
    {WRITER, "foreign_key_checks=0"},
    {WRITER, "unique_checks=1"},
};

/* The operator's own (Params) win over these. A reader that waits for a slow target, or a source that waits for a stopped
   one, must not be cut off. */
static const char defaults[] = "SET SESSION wait_timeout=2147483," /* the largest that every platform takes */
                               "SESSION net_write_timeout=3600,SESSION net_read_timeout=3600";

static const struct {
    unsigned uses, flavors;
    const char *assignment;
} wanted[] = {
    {ALL, MYSQL_ONLY, "max_execution_time=0"},
    {ALL, MARIADB_ONLY, "max_statement_time=0"},
    {PLAIN | READER, MYSQL_ONLY, "show_gipk_in_create_table_and_information_schema=ON"},
    {PLAIN, MYSQL_ONLY, "information_schema_stats_expiry=86400"},
    /* For tables of the source's making: no key, row formats and TIMESTAMP columns as they are there. */
    {PLAIN | WRITER, MYSQL_ONLY, "sql_require_primary_key=0"},
    {PLAIN | WRITER, MYSQL_ONLY, "sql_generate_invisible_primary_key=OFF"},
    {PLAIN | WRITER, MYSQL_ONLY, "restrict_fk_on_non_standard_key=0"},
    {PLAIN | WRITER, BOTH, "innodb_strict_mode=0"},
    {PLAIN | WRITER, BOTH, "explicit_defaults_for_timestamp=1"},
    /* Rows that the source holds are written even if a check that came later would refuse them. */
    {WRITER, MARIADB_ONLY, "check_constraint_checks=0"},
    {WRITER, MARIADB_ONLY, "system_versioning_insert_history=1"},
    {WRITER, MARIADB_ONLY, "idle_transaction_timeout=0"},
    {WRITER, MARIADB_ONLY, "idle_write_transaction_timeout=0"},
};

static const char *const before_use[] = {
    [GF_CONN_PLAIN] = "SET NAMES utf8mb4",
    [GF_CONN_READER] = "SET NAMES binary",
    [GF_CONN_WRITER] = "SET NAMES binary",
};

static const char *const transaction_mode[] = {
    [GF_CONN_PLAIN] = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
    [GF_CONN_READER] = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
    [GF_CONN_WRITER] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
};

static bool set_required(MYSQL *db, gf_conn_use use, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if ((required[i].uses & 1U << use) != 0)
            gf_buf_printf(&sql, "%s SESSION %s", sql.len == 0 ? "SET" : ",", required[i].assignment);
    }
    ok = gf_server_run(db, "set up the session", gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    return ok;
}

/* ER_UNKNOWN_SYSTEM_VARIABLE, ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_GLOBAL_VARIABLE, ER_INCORRECT_GLOBAL_LOCAL_VAR,
   ER_WRONG_VALUE_FOR_VAR: the variable is not ours to set on this server. */
static bool is_refusal(unsigned code)
{
    return code == 1193 || code == 1227 || code == 1229 || code == 1238 || code == 1231;
}

static bool set_wanted(MYSQL *db, gf_conn_use use, gf_error *err)
{
    unsigned flavor = mariadb_connection(db) ? MARIADB_ONLY : MYSQL_ONLY;

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if ((wanted[i].uses & 1U << use) == 0 || (wanted[i].flavors & flavor) == 0)
            continue;
        if (gf_server_exec(db, "set up the session", err, "SET SESSION %s", wanted[i].assignment))
            continue;
        if (!is_refusal(mysql_errno(db)))
            return false;
        gf_log_debug("session variable not set: %s: %s", wanted[i].assignment, mysql_error(db));
    }
    return true;
}

static bool is_variable_name(const char *name)
{
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        if (!isalnum((unsigned char)name[len]) && name[len] != '_')
            return false;
    }
    return len > 0;
}

/* A quoted number is refused for numeric variables, an unquoted word for others. */
static bool is_number(const char *text)
{
    char *end;

    if (!isdigit((unsigned char)text[text[0] == '-']))
        return false;
    strtod(text, &end);
    return *end == '\0' && strpbrk(text, "xX") == NULL;
}

static bool set_param(MYSQL *db, const char *name, const char *value, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    if (!is_variable_name(name))
        return gf_fail(err, GF_ERR_CONFIG, "'%.60s' is no name of a session variable: see the connection's Params",
                       name);
    gf_buf_printf(&sql, "SET SESSION %s=", name);
    if (is_number(value))
        gf_buf_str(&sql, value);
    else
        gf_buf_quote(&sql, value, strlen(value));
    ok = gf_server_run(db, "set a session variable of the connection's Params", gf_slice_of(sql.data, sql.len), err);
    if (!ok && gf_mysql_error_kind(err->native) != GF_ERR_RETRY)
        err->kind = GF_ERR_CONFIG;
    gf_buf_free(&sql);
    return ok;
}

static bool set_collation(MYSQL *db, const char *collation, gf_error *err)
{
    if (gf_server_exec(db, "set the connection's Collation", err, "SET SESSION collation_connection='%s'", collation))
        return true;
    if (gf_mysql_error_kind(err->native) != GF_ERR_RETRY)
        err->kind = GF_ERR_CONFIG;
    return false;
}

static bool set_params(MYSQL *db, const gf_renames *params, gf_error *err)
{
    for (size_t i = 0; i < params->count; i++)
        if (!set_param(db, params->from[i], params->to[i], err))
            return false;
    return true;
}

bool gf_session_setup(MYSQL *db, const gf_server_config *cfg, gf_conn_use use, gf_error *err)
{
    if (use == GF_CONN_STREAM) /* the replica sets what a dump needs, nothing else matters there */
        return true;
    if (!gf_server_exec(db, "set up the session", err, "%s", defaults) || !set_params(db, &cfg->params, err) ||
        !gf_server_exec(db, "set up the session", err, "%s", before_use[use]) || !set_required(db, use, err) ||
        !set_wanted(db, use, err) || !gf_server_exec(db, "set up the session", err, "%s", transaction_mode[use]))
        return false;
    /* Row literals name their character sets; only what people typed is compared by the connection's collation. */
    if (use == GF_CONN_PLAIN && cfg->collation != NULL && cfg->collation[0] != '\0') {
        if (!is_variable_name(cfg->collation))
            return gf_fail(err, GF_ERR_CONFIG, "'%.60s' is no name of a collation", cfg->collation);
        if (!set_collation(db, cfg->collation, err))
            return false;
    }
    return true;
}

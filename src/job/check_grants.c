/* SPDX-License-Identifier: MIT */
/*
 * check_grants.c - what the accounts may do, read from SHOW GRANTS, and the GRANT statements that are missing.
 *
 * Both families list the grants of the account and of its active roles:
 *
 *     GRANT SELECT, INSERT (`a`, `b`) ON `db`.* TO `u`@`h`      GRANT EXECUTE ON PROCEDURE `db`.`p` TO ...
 *     GRANT `role`@`%` TO `u`@`h`                               REVOKE SELECT ON `db`.* FROM `u`@`h`
 *
 * Privileges on some columns only, on routines and for proxies count for nothing here; a database's name is a pattern.
 * Reading a table is also tried where no grant is seen, since trying is harmless; creating and writing can't be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "check_parts.h"
#include "gfreplica/target.h"

/* The server's refusals for lack of a grant. */
enum {
    ER_DBACCESS_DENIED = 1044,
    ER_TABLEACCESS_DENIED = 1142,
    ER_COLUMNACCESS_DENIED = 1143,
    ER_NO_SUCH_TABLE = 1146,
    ER_BAD_FIELD = 1054,
    ER_SPECIFIC_ACCESS_DENIED = 1227,
    ER_XAER_RMERR = 1401
};

/* ---- reading SHOW GRANTS ---- */

/* Behind a quoted name that starts at p, the name unquoted in *out (owned). */
static const char *read_name(char **out, const char *p)
{
    char quote = *p++;
    gf_buf b = {0};

    for (; *p != '\0'; p++) {
        if (*p == quote && *++p != quote)
            break;
        gf_buf_byte(&b, (uint8_t)*p);
    }
    *out = gf_strdup(gf_buf_cstr(&b));
    gf_buf_free(&b);
    return p;
}

static const char *skip_name(const char *p)
{
    char *name;

    p = read_name(&name, p);
    free(name);
    return p;
}

static bool is_quote(char c)
{
    return c == '`' || c == '"' || c == '\'';
}

/* Appends "SELECT," and its like; a privilege with a column list is left out. Stops at " ON ", or returns NULL. */
static const char *read_privileges(gf_buf *out, const char *p)
{
    gf_buf word = {0};
    bool columns = false;

    gf_buf_byte(out, ',');
    while (*p != '\0') {
        bool end = strncmp(p, " ON ", 4) == 0;

        if (end || *p == ',') {
            if (!columns && word.len > 0)
                gf_buf_printf(out, "%s,", gf_buf_cstr(&word));
            gf_buf_reset(&word);
            columns = false;
        }
        if (end)
            break;
        if (*p == '(') {
            columns = true;
            while (*p != '\0' && *p != ')')
                p = is_quote(*p) ? skip_name(p) : p + 1;
        } else if (is_quote(*p)) { /* a role */
            p = skip_name(p);
            continue;
        } else if (*p != ',' && !(*p == ' ' && word.len == 0)) {
            gf_buf_byte(&word, (uint8_t)(*p == '_' ? ' ' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p));
        }
        if (*p != '\0')
            p++;
    }
    gf_buf_free(&word);
    return *p != '\0' ? p + 4 : NULL;
}

/* Database and table behind ON; false when it is something else (a routine, a proxy). */
static bool read_object(gf_grant *g, const char *p)
{
    if (strncmp(p, "TABLE ", 6) == 0)
        p += 6;
    if (strncmp(p, "*.*", 3) == 0)
        return true;
    if (*p != '`' && *p != '"')
        return false;
    p = read_name(&g->db, p);
    if (*p++ != '.')
        return false;
    if (*p == '`' || *p == '"')
        read_name(&g->table, p);
    return true;
}

static void free_grant(gf_grant *g)
{
    free(g->db);
    free(g->table);
    free(g->privileges);
}

void gf_grants_add(gf_grants *g, const char *line)
{
    bool revoked = strncmp(line, "REVOKE ", 7) == 0;
    gf_grant new = {.revoked = revoked};
    gf_buf privileges = {0};
    const char *object = NULL;

    if (revoked || strncmp(line, "GRANT ", 6) == 0)
        object = read_privileges(&privileges, line + (revoked ? 7 : 6));
    if (object != NULL && read_object(&new, object)) {
        new.privileges = gf_strdup(gf_buf_cstr(&privileges));
        g->items = gf_realloc(g->items, (g->count + 1) * sizeof *g->items);
        g->items[g->count++] = new;
    } else {
        free_grant(&new);
    }
    gf_buf_free(&privileges);
}

void gf_grants_free(gf_grants *g)
{
    for (size_t i = 0; i < g->count; i++)
        free_grant(&g->items[i]);
    free(g->items);
    free(g->user);
    *g = (gf_grants){0};
}

/* 'user'@'host' from user@host; the host has no @. */
static bool read_user(gf_grants *out, MYSQL *db, gf_error *err)
{
    char *account = NULL;
    const char *at;
    gf_buf b = {0};

    if (!gf_server_scalar(&account, db, "read the account", err, "SELECT CURRENT_USER()"))
        return false;
    at = account != NULL ? strrchr(account, '@') : NULL;
    if (at != NULL) {
        gf_buf_quote(&b, account, (size_t)(at - account));
        gf_buf_byte(&b, '@');
        gf_buf_quote(&b, at + 1, strlen(at + 1));
    } else {
        gf_buf_str(&b, "CURRENT_USER()");
    }
    out->user = gf_strdup(gf_buf_cstr(&b));
    gf_buf_free(&b);
    free(account);
    return true;
}

bool gf_grants_read(gf_grants *out, MYSQL *db, gf_error *err)
{
    MYSQL_RES *result;
    MYSQL_ROW row;

    if (!read_user(out, db, err))
        return false;
    result = gf_server_query(db, "read the account's grants", err, "SHOW GRANTS");
    if (result == NULL)
        return false;
    while ((row = mysql_fetch_row(result)) != NULL)
        if (row[0] != NULL)
            gf_grants_add(out, row[0]);
    mysql_free_result(result);
    return true;
}

/* ---- asking them ---- */

/* LIKE with backslash as escape, as the servers match databases of grants. */
static bool like(const char *pattern, const char *text)
{
    for (; *pattern != '\0'; pattern++, text++) {
        if (*pattern == '%') {
            for (;; text++) {
                if (like(pattern + 1, text))
                    return true;
                if (*text == '\0')
                    return false;
            }
        }
        if (*text == '\0')
            return false;
        if (*pattern == '_')
            continue;
        if (*pattern == '\\' && pattern[1] != '\0')
            pattern++;
        if (*pattern != *text)
            return false;
    }
    return *text == '\0';
}

static bool covers(const gf_grant *g, const char *db, const char *table)
{
    if (g->db == NULL)
        return true;
    if (db == NULL || (strcmp(g->db, db) != 0 && !like(g->db, db)))
        return false;
    return g->table == NULL || (table != NULL && strcmp(g->table, table) == 0);
}

static bool includes(const gf_grant *g, const char *privilege)
{
    char word[64];

    snprintf(word, sizeof word, ",%s,", privilege);
    return strstr(g->privileges, word) != NULL || strstr(g->privileges, ",ALL PRIVILEGES,") != NULL ||
           strstr(g->privileges, ",ALL,") != NULL;
}

bool gf_grants_have(const gf_grants *g, const char *privilege, const char *db, const char *table)
{
    bool have = false;

    for (size_t i = 0; i < g->count; i++) {
        if (!covers(&g->items[i], db, table) || !includes(&g->items[i], privilege))
            continue;
        if (g->items[i].revoked)
            return false;
        have = true;
    }
    return have;
}

/* ---- source ---- */

char *gf_check_quoted(const char *name)
{
    gf_buf b = {0};
    char *text;

    gf_buf_ident(&b, name);
    text = gf_strdup(gf_buf_cstr(&b));
    gf_buf_free(&b);
    return text;
}

static void missing_select(gf_check *c, const char *db, const char *what)
{
    char *name = gf_check_quoted(db);

    gf_check_problem(c, "source: no right to read %s: GRANT SELECT ON %s.* TO %s", what, name, c->source_grants.user);
    free(name);
}

/* All columns by name, so that one that may not be read is noticed and invisible ones are asked for too. */
static bool try_select(gf_check *c, const gf_table *t, bool *denied, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    *denied = false;
    gf_buf_str(&sql, "SELECT ");
    for (unsigned i = 0; i < t->column_count; i++) {
        if (i > 0)
            gf_buf_byte(&sql, ',');
        gf_buf_ident(&sql, t->columns[i].name);
    }
    gf_buf_printf(&sql, " FROM %s LIMIT 0", t->source_sql);
    ok = gf_server_run(c->source, t->label, gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    if (ok)
        return true;
    switch (mysql_errno(c->source)) {
    case ER_DBACCESS_DENIED:
    case ER_TABLEACCESS_DENIED:
    case ER_COLUMNACCESS_DENIED: *denied = true; return true;
    case ER_NO_SUCH_TABLE: /* on resume the catalog is of an earlier time; DDL is in the stream */
    case ER_BAD_FIELD: return true;
    default: return false;
    }
}

static bool have_on_tables_only(const gf_grants *g, const char *privilege, const char *db)
{
    if (gf_grants_have(g, privilege, db, NULL))
        return false;
    for (size_t i = 0; i < g->count; i++)
        if (g->items[i].table != NULL && covers(&g->items[i], db, g->items[i].table) &&
            includes(&g->items[i], privilege))
            return true;
    return false;
}

/* The servers hide tables that may not be read: where tables are not chosen by name, those would be left out unseen. */
static void check_hidden_tables(gf_check *c)
{
    if (c->config->filter.table_whitelist.count > 0)
        return;
    for (size_t i = 0; i < c->table_count; i++) {
        const char *db = c->tables[i]->db;
        char *name;

        if ((i > 0 && strcmp(db, c->tables[i - 1]->db) == 0) || !have_on_tables_only(&c->source_grants, "SELECT", db))
            continue;
        name = gf_check_quoted(db);
        gf_check_problem(c,
                         "source: only some tables of %s may be read, others would be left out unseen: "
                         "GRANT SELECT ON %s.* TO %s, or name the tables (--tables)",
                         db, name, c->source_grants.user);
        free(name);
    }
}

static bool check_select(gf_check *c, gf_error *err)
{
    gf_check_names denied = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < c->table_count; i++) {
        const gf_table *t = c->tables[i];
        bool refused = false, last = i + 1 == c->table_count || strcmp(t->db, c->tables[i + 1]->db) != 0;

        if (!gf_grants_have(&c->source_grants, "SELECT", t->db, t->name))
            ok = try_select(c, t, &refused, err);
        if (refused)
            gf_check_name(&denied, t->label);
        if (last && denied.count > 0) {
            missing_select(c, t->db, gf_check_names_text(&denied));
            gf_check_names_free(&denied);
        }
    }
    gf_check_names_free(&denied);
    return ok;
}

static bool has_tables(const gf_check *c, const char *db)
{
    for (size_t i = 0; i < c->table_count; i++)
        if (strcasecmp(c->tables[i]->db, db) == 0)
            return true;
    return false;
}

/* The servers don't show what may not be read: a database without tables may be one without grants. */
static void check_listed_databases(gf_check *c)
{
    const gf_names *list = &c->config->filter.db_whitelist;

    for (size_t i = 0; i < list->count; i++) {
        const char *db = list->items[i];

        if (has_tables(c, db))
            continue;
        if (gf_grants_have(&c->source_grants, "SELECT", db, NULL))
            gf_check_warning(c, "source: no table of database %s is selected, or there is no such database", db);
        else
            missing_select(c, db, db);
    }
}

static void need_global(gf_check *c, const char *privilege, const char *why)
{
    if (!gf_grants_have(&c->source_grants, privilege, NULL, NULL))
        gf_check_problem(c, "source: %s: GRANT %s ON *.* TO %s", why, privilege, c->source_grants.user);
}

/* MariaDB 10.5 renamed it, and lists the new name. */
static bool may_see_binlog(const gf_check *c)
{
    return gf_grants_have(&c->source_grants, "REPLICATION CLIENT", NULL, NULL) ||
           gf_grants_have(&c->source_grants, "BINLOG MONITOR", NULL, NULL) ||
           gf_grants_have(&c->source_grants, "SUPER", NULL, NULL);
}

static bool check_source(gf_check *c, gf_error *err)
{
    need_global(c, "REPLICATION SLAVE", "no right to receive the binlog");
    if (!may_see_binlog(c))
        need_global(c, "REPLICATION CLIENT", "no right to see where the binlog is");
    if (!check_select(c, err))
        return false;
    check_hidden_tables(c);
    check_listed_databases(c);
    return true;
}

/* ---- target ---- */

typedef enum { FOR_ROWS, FOR_FOREIGN_KEYS, FOR_COUNTERS, FOR_LATER } purpose;

static const struct {
    const char *privilege;
    purpose purpose;
} target_privileges[] = {
    {"SELECT", FOR_ROWS}, {"INSERT", FOR_ROWS},    {"UPDATE", FOR_ROWS},
    {"DELETE", FOR_ROWS}, {"CREATE", FOR_ROWS},    {"REFERENCES", FOR_FOREIGN_KEYS},
    {"DROP", FOR_LATER},  {"ALTER", FOR_COUNTERS}, {"INDEX", FOR_LATER},
};

static bool has_foreign_keys(const gf_check *c, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (c->tables[i]->create_sql != NULL && strstr(c->tables[i]->create_sql, " FOREIGN KEY (") != NULL)
            return true;
    return false;
}

static bool has_counters(const gf_check *c, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        for (unsigned k = 0; k < c->tables[i]->column_count; k++)
            if (c->tables[i]->columns[k].auto_increment)
                return true;
    return false;
}

static bool wants_indexes_later(const gf_check *c, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (gf_deferral_pays(c->config, c->tables[i]))
            return true;
    return false;
}

/* Else it is for cases that may not come. */
static bool is_needed(const gf_check *c, purpose p, size_t first, size_t end)
{
    switch (p) {
    case FOR_ROWS: return true;
    case FOR_FOREIGN_KEYS: return has_foreign_keys(c, first, end);
    case FOR_COUNTERS: /* the cutover raises them */
        return has_counters(c, first, end) ||
               (c->config->defer_indexes == GF_DEFER_ALWAYS && wants_indexes_later(c, first, end));
    case FOR_LATER: break;
    }
    return false;
}

/* Tables first..end are those that go to the database; none: the whole database. */
static bool have_on_all(const gf_check *c, const char *privilege, const char *db, size_t first, size_t end)
{
    if (first == end)
        return gf_grants_have(&c->target_grants, privilege, db, NULL);
    for (size_t i = first; i < end; i++)
        if (!gf_grants_have(&c->target_grants, privilege, c->tables[i]->target_db, c->tables[i]->target_name))
            return false;
    return true;
}

static void missing_on_target(gf_check *c, const char *db, size_t first, size_t end, bool needed)
{
    char *name = gf_check_quoted(db);
    gf_check_names missing = {0};

    for (size_t i = 0; i < sizeof target_privileges / sizeof target_privileges[0]; i++)
        if (is_needed(c, target_privileges[i].purpose, first, end) == needed &&
            !have_on_all(c, target_privileges[i].privilege, db, first, end))
            gf_check_name(&missing, target_privileges[i].privilege);
    if (missing.count > 0) {
        const char *list = gf_check_names_text(&missing);

        if (needed)
            gf_check_problem(c, "target: %s lacks %s: GRANT %s ON %s.* TO %s", name, list, list, name,
                             c->target_grants.user);
        else
            gf_check_warning(c, "target: %s lacks %s, which some steps may need later: GRANT %s ON %s.* TO %s", name,
                             list, list, name, c->target_grants.user);
    }
    gf_check_names_free(&missing);
    free(name);
}

static void check_target_databases(gf_check *c)
{
    size_t first = 0;

    for (size_t i = 1; i <= c->table_count; i++) {
        if (i < c->table_count && strcmp(c->tables[i]->target_db, c->tables[first]->target_db) == 0)
            continue;
        missing_on_target(c, c->tables[first]->target_db, first, i, true);
        missing_on_target(c, c->tables[first]->target_db, first, i, false);
        first = i;
    }
}

/* ALTER adds indexes, to small tables as well where those were there without them; INDEX is for CREATE INDEX alone. */
static void check_alter(gf_check *c)
{
    c->report->may_alter = true;
    for (size_t i = 0; i < c->table_count; i++)
        if (c->tables[i]->create_sql != NULL && strstr(c->tables[i]->create_sql, "\n  KEY ") != NULL &&
            !gf_grants_have(&c->target_grants, "ALTER", c->tables[i]->target_db, c->tables[i]->target_name))
            c->report->may_alter = false;
}

/* Of databases whose tables the source does not show yet, so that both sides' grants are told at once. */
static void check_unseen_databases(gf_check *c)
{
    const gf_names *list = &c->config->filter.db_whitelist;

    for (size_t i = 0; i < list->count; i++)
        if (!has_tables(c, list->items[i]) && !gf_grants_have(&c->source_grants, "SELECT", list->items[i], NULL))
            missing_on_target(c, gf_filter_target_db(&c->config->filter, list->items[i]), 0, 0, true);
}

static void check_marker(gf_check *c)
{
    static const char *const needed[] = {"CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"};
    const char *db = c->config->marker_db;
    gf_check_names missing = {0};
    char *name;

    c->marker = false;
    if (c->config->no_marker)
        return;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!gf_grants_have(&c->target_grants, needed[i], db, NULL))
            gf_check_name(&missing, needed[i]);
    c->marker = missing.count == 0;
    if (!c->marker) {
        const char *list = gf_check_names_text(&missing);

        name = gf_check_quoted(db);
        gf_check_warning(c,
                         "target: no right to keep the marker in %s (lacks %s): the job falls back to its checkpoint "
                         "alone, which can't notice that the target lost commits: GRANT %s ON %s.* TO %s",
                         name, list, list, name, c->target_grants.user);
        free(name);
    }
    gf_check_names_free(&missing);
}

/* ---- prepared transactions ---- */

/* Rule S4: none may be prepared at the start. */
static bool xa_names(gf_check *c, gf_check_names *out, bool *allowed, gf_error *err)
{
    bool maria = c->source_info->flavor == GF_FLAVOR_MARIADB;
    MYSQL_RES *result = gf_server_query(c->source, "look for prepared XA transactions", err, "XA RECOVER %s",
                                        maria ? "FORMAT='SQL'" : "CONVERT XID");
    MYSQL_ROW row;

    *allowed = result != NULL;
    if (result == NULL)
        return mysql_errno(c->source) == ER_XAER_RMERR || mysql_errno(c->source) == ER_SPECIFIC_ACCESS_DENIED;
    while ((row = mysql_fetch_row(result)) != NULL)
        gf_check_name(out, row[3] != NULL ? row[3] : "?");
    mysql_free_result(result);
    return true;
}

/* Rule S4. One that is about to be committed is given a moment. */
static bool check_xa(gf_check *c, gf_error *err)
{
    enum { TRIES = 10, PAUSE_NS = 200000000 };
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    gf_check_names names = {0};
    bool allowed = false, ok = true;

    for (int i = 0; i < TRIES; i++) {
        gf_check_names_free(&names);
        ok = xa_names(c, &names, &allowed, err);
        if (!ok || !allowed || names.count == 0)
            break;
        nanosleep(&pause, NULL);
    }
    if (ok && !allowed)
        gf_check_warning(c,
                         "source: no right to look for prepared XA transactions: if there is one, its XA COMMIT will "
                         "stop the run: GRANT XA_RECOVER_ADMIN ON *.* TO %s",
                         c->source_grants.user);
    if (ok && names.count > 0)
        gf_check_problem(c,
                         "source: XA transactions are prepared (%s): their changes can't be read before they end: "
                         "XA COMMIT or XA ROLLBACK them, then start again",
                         gf_check_names_text(&names));
    gf_check_names_free(&names);
    return ok;
}

bool gf_check_grants(gf_check *c, gf_error *err)
{
    if (!gf_grants_read(&c->source_grants, c->source, err) || !gf_grants_read(&c->target_grants, c->target, err))
        return false;
    if (!check_source(c, err))
        return false;
    check_target_databases(c);
    check_alter(c);
    check_unseen_databases(c);
    check_marker(c);
    return c->begun || check_xa(c, err);
}

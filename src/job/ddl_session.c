/* SPDX-License-Identifier: MIT */
/*
 * ddl_session.c - the session of a repeated statement: what its event tells, and nothing of our own.
 *
 * A QUERY event carries the variables that its statement depends on, for the server's own replicas; so what they do with
 * them is done here: collations by their ids, sql_mode by its bits. A variable that has the value already is left alone,
 * because some may be set by privileged accounts only.
 */
#include "ddl_session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

enum { LOCK_WAIT_SECONDS = 60, EXPLICIT_TS_LOGGED = 100802, FULL_COLLATIONS = 101001, CHARSET_COLLATIONS = 110200 };

static const char what[] = "set up a session as the source's was";

/* ---- what the event has to tell ---- */

static bool same_answer(const gf_ddl_place *p, const char *sql, bool *same, gf_error *err)
{
    char *there = NULL, *here = NULL;
    bool ok = gf_server_scalar(&there, p->source_db, what, err, "%s", sql) &&
              gf_server_scalar(&here, p->target_db, what, err, "%s", sql);

    *same = ok && there != NULL && here != NULL && strcmp(there, here) == 0;
    free(there);
    free(here);
    return ok;
}

/* SYSTEM is the source machine's zone. */
static bool zone_known(const gf_ddl_place *p, gf_slice zone, gf_error *err)
{
    bool same = true;

    if (zone.len != 6 || strncasecmp((const char *)zone.data, "SYSTEM", 6) != 0)
        return true;
    if (!same_answer(p, "SELECT @@global.system_time_zone", &same, err))
        return false;
    return same || gf_fail(err, GF_ERR_DATA, "it depends on the source's system time zone, which the target's is not");
}

bool gf_ddl_session_known(const gf_ddl_place *p, const gf_statement *s, gf_error *err)
{
    const gf_stmt_session *e = &s->session;

    if (e->unknown)
        return gf_fail(err, GF_ERR_DATA, "its event holds a session variable that is not known");
    if (!e->has_flags || !e->has_sql_mode || !e->has_charset)
        return gf_fail(err, GF_ERR_DATA, "its event does not tell the session's sql_mode, flags and character set");
    if (e->two_phase)
        return gf_fail(err, GF_ERR_DATA, "it was logged in two phases (binlog_alter_two_phase)");
    if (e->db_collation != 0 && p->source->flavor == GF_FLAVOR_MYSQL)
        return gf_fail(err, GF_ERR_DATA, "its session had a collation_database of its own");
    return zone_known(p, e->time_zone, err);
}

/* ---- setting it ---- */

/* MariaDB tells it from 10.8.2 on; before that it is the server's and can't be set. */
static bool explicit_ts(const gf_ddl_place *p, const gf_statement *s, bool *known, bool *on, gf_error *err)
{
    char *value = NULL;
    bool ok = true;

    *known = s->session.has_explicit_ts;
    *on = s->session.explicit_ts;
    if (p->source->flavor != GF_FLAVOR_MARIADB)
        return true;
    *known = true;
    *on = (s->session.flags & GF_SESSION_EXPLICIT_TS) != 0;
    if (p->source->version < EXPLICIT_TS_LOGGED) {
        ok = gf_server_scalar(&value, p->source_db, what, err, "SELECT @@global.explicit_defaults_for_timestamp");
        *on = ok && value != NULL && strcmp(value, "1") == 0;
    }
    free(value);
    return ok;
}

static bool set_when_other(MYSQL *db, const char *name, bool on, gf_error *err)
{
    char *now = NULL;
    bool ok = gf_server_scalar(&now, db, what, err, "SELECT @@session.%s", name);

    if (ok && (now == NULL || (strcmp(now, "1") == 0) != on))
        ok = gf_server_exec(db, what, err, "SET SESSION %s=%d", name, on ? 1 : 0);
    free(now);
    return ok;
}

static bool set_explicit_ts(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, gf_error *err)
{
    bool known, on;

    return explicit_ts(p, s, &known, &on, err) &&
           (!known || set_when_other(db, "explicit_defaults_for_timestamp", on, err));
}

static bool set_utf8mb4(MYSQL *db, unsigned id, gf_error *err)
{
    char *same = NULL;
    bool ok;

    if (id == 0)
        return true;
    ok = gf_server_scalar(&same, db, what, err,
                          "SELECT @@session.default_collation_for_utf8mb4 = "
                          "(SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID=%u)",
                          id);
    if (ok && (same == NULL || strcmp(same, "1") != 0))
        ok = gf_server_exec(db, what, err, "SET SESSION default_collation_for_utf8mb4=%u", id);
    free(same);
    return ok;
}

static bool set_mysql(MYSQL *db, const gf_statement *s, gf_error *err)
{
    const gf_stmt_session *e = &s->session;

    return set_utf8mb4(db, e->utf8mb4, err) &&
           (!e->has_encryption || set_when_other(db, "default_table_encryption", e->encryption, err));
}

/* "utf8mb4=utf8mb4_uca1400_ai_ci": character set and collation, both by a collation's id. */
static bool add_pair(gf_buf *out, MYSQL *ask, unsigned charset, unsigned collation, gf_error *err)
{
    char *from = NULL, *to = NULL;
    bool ok =
        gf_server_scalar(&from, ask, what, err,
                         "SELECT CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY "
                         "WHERE ID=%u",
                         charset) &&
        gf_server_scalar(&to, ask, what, err,
                         "SELECT FULL_COLLATION_NAME FROM "
                         "information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID=%u",
                         collation);

    if (ok && (from == NULL || to == NULL))
        ok = gf_fail(err, GF_ERR_DATA, "the target has no collation of id %u", from == NULL ? charset : collation);
    if (ok)
        gf_buf_printf(out, "%s%s=%s", out->len == 0 ? "" : ",", from, to);
    free(from);
    free(to);
    return ok;
}

/* An event that does not tell is of a server without them, or of a session that had none. */
static bool set_collations(MYSQL *db, const gf_ddl_place *p, gf_slice pairs, gf_error *err)
{
    gf_cursor in = gf_cursor_of(pairs.data, pairs.len);
    gf_buf text = {0};
    bool ok = true;

    if (p->target->version < CHARSET_COLLATIONS)
        return pairs.len == 0 || gf_fail(err, GF_ERR_DATA, "the target has no character_set_collations");
    while (ok && gf_cursor_left(&in) > 0) {
        unsigned charset = gf_cursor_u16(&in), collation = gf_cursor_u16(&in);

        ok = add_pair(&text, p->target_db, charset, collation, err);
    }
    ok = ok && gf_server_exec(db, what, err, "SET SESSION character_set_collations='%s'", gf_buf_cstr(&text));
    gf_buf_free(&text);
    return ok;
}

static bool set_mariadb(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, gf_error *err)
{
    const gf_stmt_session *e = &s->session;

    if (!gf_server_exec(db, what, err, "SET SESSION check_constraint_checks=%d",
                        (e->flags & GF_SESSION_NO_CONSTRAINT_CHECKS) == 0))
        return false;
    /* Also of sessions that never set it: those without a default database that had another's thread. */
    if (e->db_collation != 0 && !gf_server_exec(db, what, err, "SET SESSION collation_database=%u", e->db_collation))
        return false;
    if ((e->flags & GF_SESSION_IF_EXISTS) != 0 && !gf_server_exec(db, what, err, "SET SESSION sql_if_exists=1"))
        return false;
    return set_collations(db, p, e->collations, err);
}

static bool set_family(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, gf_error *err)
{
    return p->source->flavor == GF_FLAVOR_MARIADB ? set_mariadb(db, p, s, err) : set_mysql(db, s, err);
}

/* By name: a client's character set is told by any of its collations, and MariaDB takes only the first of each. */
static bool client_charset(char **name, const gf_ddl_place *p, unsigned id, gf_error *err)
{
    bool full = p->target->flavor == GF_FLAVOR_MARIADB && p->target->version >= FULL_COLLATIONS;
    bool ok = gf_server_scalar(name, p->target_db, what, err,
                               "SELECT CHARACTER_SET_NAME FROM information_schema.%s WHERE ID=%u",
                               full ? "COLLATION_CHARACTER_SET_APPLICABILITY" : "COLLATIONS", id);

    return ok && (*name != NULL || gf_fail(err, GF_ERR_DATA, "the target has no collation of id %u", id));
}

/* What every version has, in one statement. Last: from here on the connection speaks the source's character set. */
static bool set_common(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, gf_error *err)
{
    const gf_stmt_session *e = &s->session;
    gf_buf sql = {0};
    char *client = NULL;
    bool ok;

    if (!client_charset(&client, p, s->charset_client, err))
        return false;
    gf_buf_printf(&sql,
                  "SET SESSION lock_wait_timeout=%d, foreign_key_checks=%d, unique_checks=%d, lc_time_names=%u, "
                  "timestamp=%lu.%06lu, sql_mode=%" PRIu64,
                  LOCK_WAIT_SECONDS, !p->lax && (e->flags & GF_SESSION_NO_FOREIGN_KEYS) == 0,
                  (e->flags & GF_SESSION_NO_UNIQUE_CHECKS) == 0, e->lc_time_names, (unsigned long)e->timestamp,
                  (unsigned long)e->microseconds, s->sql_mode);
    if (e->time_zone.len > 0) {
        gf_buf_str(&sql, ", time_zone=");
        gf_buf_quote(&sql, e->time_zone.data, e->time_zone.len);
    }
    gf_buf_printf(&sql, ", collation_server=%u, collation_connection=%u, character_set_client=%s", s->collation_server,
                  s->collation_connection, client);
    ok = gf_server_run(db, what, gf_slice_of(sql.data, sql.len), err);
    free(client);
    gf_buf_free(&sql);
    return ok;
}

bool gf_ddl_session_setup(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, const char *database, gf_error *err)
{
    if (database != NULL && mysql_select_db(db, database) != 0)
        return gf_fail_mysql(err, db, "use %s", database);
    return gf_server_exec(db, what, err, "SET SESSION default_storage_engine=InnoDB") &&
           set_explicit_ts(db, p, s, err) && set_family(db, p, s, err) && set_common(db, p, s, err);
}

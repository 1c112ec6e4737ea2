/* SPDX-License-Identifier: MIT */
/*
 * barrier_allow.c - what may be repeated: the two servers, the statement's text, the tables that it names, what a new
 * table takes over from its surroundings, and the tables that came out of it.
 *
 * A statement is refused unless its outcome depends on nothing but tables that are compared and a session that its event
 * tells. What can be told without touching the target is told before it is gf_touched.
 */
#include <stdlib.h>
#include <strings.h>

#include "barrier_parts.h"
#include "gfreplica/check.h"

/* ---- may it be repeated? ---- */

static bool refuse(gf_error *err, const char *why)
{
    return gf_fail(err, GF_ERR_DATA, "%s", why);
}

static bool family_allows(const gf_barrier *b, gf_error *err)
{
    const gf_server_info *source = b->opt.source, *target = b->opt.target;

    if (source->flavor != target->flavor)
        return refuse(err, "source and target are of different families");
    if (target->version / 100 < source->version / 100)
        return refuse(err, "the target is of an older version than the source");
    if (source->lower_case != 0 || target->lower_case != 0)
        return refuse(err, "lower_case_table_names is not 0");
    return true;
}

static bool text_allows(const gf_barrier *b, const gf_statement *s, const gf_ddl *d, gf_error *err)
{
    const gf_server_info *source = b->opt.source;

    if (d->refused != NULL)
        return refuse(err, d->refused);
    if (d->conditional && (source->version != b->opt.target->version ||
                           (d->kind != GF_DDL_CREATE && d->kind != GF_DDL_CHANGE) || s->object_count != 1))
        return refuse(err, "parts of it stand in a comment for some versions only");
    if (d->acts && !source->logs_cascades && !b->opt.config->skip_foreign_keys_check)
        return refuse(err, "its foreign key changes rows by itself, which this server does not log");
    return true;
}

static bool is_renamed(const gf_filter *f, const char *db, const char *name)
{
    return strcmp(gf_filter_target_db(f, db), db) != 0 || strcmp(gf_filter_target_table(f, name), name) != 0;
}

static bool object_allowed(const gf_barrier *b, const gf_stmt_object *o, gf_error *err)
{
    const gf_filter *f = &b->opt.config->filter;
    char *db = gf_strndup(o->db, o->db_len), *name = gf_strndup(o->table, o->table_len);
    bool ok = true;

    if (o->table_len == 0)
        ok = gf_fail(err, GF_ERR_DATA, "it is about the database %s as a whole", db);
    else if (!gf_filter_table(f, db, name))
        ok = gf_fail(err, GF_ERR_DATA, "it names %s.%s too, which is not selected", db, name);
    else if (is_renamed(f, db, name))
        ok = gf_fail(err, GF_ERR_DATA, "%s.%s has another name on the target", db, name);
    free(db);
    free(name);
    return ok;
}

static bool objects_allowed(const gf_barrier *b, const gf_statement *s, gf_error *err)
{
    for (size_t i = 0; i < s->object_count; i++) {
        if (!object_allowed(b, &s->objects[i], err))
            return false;
    }
    if (b->opt.config->map_collation.count > 0)
        return refuse(err, "collations have other names on the target (--map-collation)");
    return s->like == NULL || object_allowed(b, s->like, err);
}

static bool gives_counter(const gf_table *t, const gf_ddl *d)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        const char *name = t->columns[i].name;

        if (t->columns[i].auto_increment && strlen(name) == d->counter.len &&
            strncasecmp(name, (const char *)d->counter.data, d->counter.len) == 0)
            return false;
    }
    return true;
}

/*
 * MariaDB's old_mode decides which utf8 is meant (UTF8_IS_UTF8MB3) and which date a TIME gets (ZERO_DATE_TIME_CAST). A session
 * may have its own, and no event tells. What is only defined otherwise is found at the cutover; rows that were converted are not.
 */
static bool old_mode_allows(const gf_table *t, const gf_statement *s, const gf_ddl *d, gf_error *err)
{
    for (unsigned i = 0; d->retypes && i < t->column_count; i++) {
        const gf_column *c = &t->columns[i];

        if (d->utf8 && c->charset != NULL && strcmp(c->charset, "utf8mb4") == 0)
            return gf_fail(
                err, GF_ERR_DATA,
                "it names the character set utf8, and the session's old_mode, which is not logged, says which "
                "one that is: %s has columns in utf8mb4, whose rows would suffer. Say utf8mb3 or utf8mb4",
                t->label);
        if (d->dates && c->type == GF_T_TIME && gf_ddl_concerns(s, c->name))
            return gf_fail(err, GF_ERR_DATA,
                           "it makes a date of column %s of %s, and the session's old_mode, which is not logged, says "
                           "which one",
                           c->name, t->label);
    }
    return true;
}

static bool table_allows(const gf_barrier *b, const gf_table *t, const gf_ddl *d, const gf_txn_info *txn, gf_error *err)
{
    if (!t->transactional && d->kind != GF_DDL_TRUNCATE) /* which may be repeated, whatever it has left */
        return gf_fail(err, GF_ERR_DATA, "%s is of an engine without transactions (%s)", t->label, t->engine);
    if (t->system_versioned)
        return gf_fail(err, GF_ERR_DATA, "%s is system-versioned", t->label);
    if (t->identity < 0 &&
        (!gf_plan_whole(b->opt.plan, t) || b->opt.in_snapshot(b->opt.ctx, t, txn->file, txn->offset)))
        return gf_fail(err, GF_ERR_DATA, "%s has no key and its rows were copied as they are later", t->label);
    if (d->counter.data != NULL && gives_counter(t, d))
        return refuse(err, "it numbers rows by their order on disk");
    return true;
}

static bool same_object(const gf_stmt_object *a, const gf_stmt_object *b)
{
    return a->db_len == b->db_len && a->table_len == b->table_len && memcmp(a->db, b->db, a->db_len) == 0 &&
           memcmp(a->table, b->table, a->table_len) == 0;
}

/* Is there a table where the statement wants one: in the catalog, or renamed to this name by the statement itself? */
static bool is_there(const gf_barrier *b, const gf_statement *s, size_t index)
{
    const gf_stmt_object *o = &s->objects[index];

    for (size_t i = 1; i < index; i += 2) {
        if (same_object(&s->objects[i], o))
            return true;
    }
    return gf_catalog_find(b->opt.catalog, o->db, o->db_len, o->table, o->table_len) != NULL;
}

/* The source executed it: a table that we don't know is a view, a sequence, or a mistake of ours. */
static bool all_known(const gf_barrier *b, const gf_statement *s, const gf_ddl *d, gf_error *err)
{
    if (d->kind == GF_DDL_CREATE || d->kind == GF_DDL_DROP)
        return true;
    for (size_t i = 0; i < s->object_count; i += 2) {
        if (!is_there(b, s, i))
            return gf_fail(err, GF_ERR_DATA, "%.*s.%.*s is not a table that is moved", (int)s->objects[i].db_len,
                           s->objects[i].db, (int)s->objects[i].table_len, s->objects[i].table);
    }
    return true;
}

static bool tables_allow(const gf_barrier *b, const gf_statement *s, const gf_ddl *d, const gf_txn_info *txn,
                         gf_error *err)
{
    for (size_t i = 0; i < s->object_count; i++) {
        const gf_stmt_object *o = &s->objects[i];
        const gf_table *t = gf_catalog_find(b->opt.catalog, o->db, o->db_len, o->table, o->table_len);

        if (t != NULL && !table_allows(b, t, d, txn, err))
            return false;
        if (t != NULL && b->opt.source->flavor == GF_FLAVOR_MARIADB && !old_mode_allows(t, s, d, err))
            return false;
    }
    return true;
}

/* The catalog may be of before or after it, and nobody can tell. */
static bool time_allows(const gf_barrier *b, const gf_txn_info *txn, gf_error *err)
{
    if (b->opt.schema_file[0] == '\0' ||
        gf_binlog_cmp(txn->file, txn->offset, b->opt.schema_file, b->opt.schema_offset) >= 0)
        return true;
    return gf_fail(err, GF_ERR_DATA, "the source's definitions were read behind it, at %s:%llu", b->opt.schema_file,
                   (unsigned long long)b->opt.schema_offset);
}

bool gf_barrier_allows(const gf_barrier *b, const gf_statement *s, const gf_txn_info *txn, gf_error *err)
{
    gf_ddl d;

    gf_ddl_read(&d, s);
    return time_allows(b, txn, err) && family_allows(b, err) && objects_allowed(b, s, err) &&
           text_allows(b, s, &d, err) && all_known(b, s, &d, err) && tables_allow(b, s, &d, txn, err);
}

/* ---- what a new table takes from its surroundings ---- */

static const char *text_of(const char *s)
{
    return s != NULL ? s : "";
}

static bool ask_both(char *answers[2], const gf_barrier *b, const char *sql, gf_error *err)
{
    return gf_server_scalar(&answers[0], b->links[GF_LINK_SOURCE], "look at the source", err, "%s", sql) &&
           gf_server_scalar(&answers[1], b->links[GF_LINK_CONTROL], "look at the target", err, "%s", sql);
}

static bool same_on_both(const gf_barrier *b, const char *sql, const char *of_what, gf_error *err)
{
    char *answers[2] = {NULL, NULL};
    bool ok = ask_both(answers, b, sql, err);

    if (ok && strcmp(text_of(answers[0]), text_of(answers[1])) != 0)
        ok = gf_fail(err, GF_ERR_DATA, "%s is '%s' on the source and '%s' on the target", of_what, text_of(answers[0]),
                     text_of(answers[1]));
    free(answers[0]);
    free(answers[1]);
    return ok;
}

static void add_where(gf_buf *sql, const char *column, const char *value)
{
    gf_buf_printf(sql, "%s=", column);
    gf_buf_quote(sql, value, strlen(value));
}

static bool same_default_collation(const gf_barrier *b, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_str(&sql, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE ");
    add_where(&sql, "SCHEMA_NAME", b->tables[0].db);
    ok = same_on_both(b, gf_buf_cstr(&sql), "the database's default collation", err);
    gf_buf_free(&sql);
    return ok;
}

/* No event tells the default engine of its session: the server's must be ours, and the source's table, if it is there
   still, must have it. */
static bool default_engine(const gf_barrier *b, gf_error *err)
{
    char *engine = NULL, *made = NULL;
    gf_buf sql = {0};
    bool ok;

    gf_buf_str(&sql, "SELECT ENGINE FROM information_schema.TABLES WHERE ");
    add_where(&sql, "TABLE_SCHEMA", b->tables[0].db);
    add_where(&sql, " AND TABLE_NAME", b->tables[0].name);
    ok = gf_server_scalar(&engine, b->links[GF_LINK_SOURCE], "look at the source", err,
                          "SELECT @@global.default_storage_engine") &&
         gf_server_scalar(&made, b->links[GF_LINK_SOURCE], "look at the source", err, "%s", gf_buf_cstr(&sql));
    if (ok && (strcasecmp(text_of(engine), "InnoDB") != 0 || (made != NULL && strcasecmp(made, "InnoDB") != 0)))
        ok = gf_fail(err, GF_ERR_DATA, "it names no engine, and the source's is not always InnoDB");
    free(engine);
    free(made);
    gf_buf_free(&sql);
    return ok;
}

bool gf_barrier_surroundings_allow(const gf_barrier *b, gf_error *err)
{
    if (b->opt.source->flavor == GF_FLAVOR_MARIADB && !same_on_both(b, "SELECT @@global.old_mode", "old_mode", err))
        return false;
    if (b->ddl.kind != GF_DDL_CREATE || b->s->like != NULL)
        return true;
    return same_default_collation(b, err) && (b->ddl.names_engine || default_engine(b, err));
}

/* ---- what came out of it ---- */

bool gf_barrier_result_allows(const gf_barrier *b, const gf_touched *t, gf_error *err)
{
    const gf_table *now = t->now, *old = t->from >= 0 ? b->tables[t->from].old : NULL;

    for (unsigned i = 0; i < now->column_count; i++)
        if (now->columns[i].type == GF_T_UNKNOWN)
            return gf_fail(err, GF_ERR_DATA, "column %s of %s is of a type that is not supported (%s)",
                           now->columns[i].name, now->label, now->columns[i].type_text);
    if (now->system_versioned || (!now->transactional && b->ddl.kind != GF_DDL_TRUNCATE))
        return gf_fail(err, GF_ERR_DATA, "%s has become a table that can't be moved (engine %s%s)", now->label,
                       now->engine, now->system_versioned ? ", system-versioned" : "");
    if (now->identity < 0 && old != NULL && old->identity >= 0 && !gf_plan_whole(b->opt.plan, old))
        return gf_fail(err, GF_ERR_DATA, "%s has lost its key while it is being copied", now->label);
    if (gf_check_acts(now) && !b->opt.source->logs_cascades && !b->opt.config->skip_foreign_keys_check)
        return gf_fail(err, GF_ERR_DATA, "a foreign key of %s changes rows by itself, which this server does not log",
                       now->label);
    return true;
}

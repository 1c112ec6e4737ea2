/* SPDX-License-Identifier: MIT */
/*
 * create.c - databases and tables on the target.
 *
 * A table that is there already is used when it is empty (a run that was killed in here left it) or when the operator
 * allows it, and only when its columns and unique keys are the source's: rows are written by position and found by
 * key. What the server made of a definition is compared too when the two servers are of different versions.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/log.h"
#include "gfreplica/target.h"

/* What all functions here need. */
struct maker {
    MYSQL *db;
    const gf_config *config;
    const gf_server_info *source, *target;
    const gf_deferral *deferral; /* NULL: every table is made with all its indexes */
    char *last_db;               /* owned: known to be there */
    char **names;                /* owned, sorted: its tables when we came to it */
    size_t name_count;
};

/* ---- comparing ---- */

/* "int(10) unsigned" and "int unsigned" are the same: the display width says nothing about values. */
static char *plain_type(const gf_column *c)
{
    static const char *const widths[] = {"tinyint(", "smallint(", "mediumint(", "int(", "bigint(", "year("};
    gf_buf out = {0};
    const char *p = c->type_text, *comment = strstr(p, " /*");
    const char *end = comment != NULL ? comment : p + strlen(p);
    char *text;

    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        size_t len = strlen(widths[i]);
        const char *close = strncmp(p, widths[i], len) == 0 ? strchr(p, ')') : NULL;

        if (close == NULL || strstr(p, "zerofill") != NULL)
            continue;
        gf_buf_add(&out, p, len - 1);
        p = close + 1;
        break;
    }
    gf_buf_add(&out, p, (size_t)(end - p));
    if (strncmp(p, "geomcollection", 14) == 0) { /* MySQL's name for it since 8.0 */
        gf_buf_reset(&out);
        gf_buf_str(&out, "geometrycollection");
    }
    text = gf_strdup(gf_buf_cstr(&out));
    gf_buf_free(&out);
    return text;
}

static const char *without_mb3(const char *collation)
{
    return strncasecmp(collation, "utf8mb3_", 8) == 0 ? collation + 7 : collation + 4;
}

static bool same_collation(const gf_config *config, const char *source, const char *target)
{
    const gf_renames *map = &config->map_collation;

    if (source == NULL || target == NULL)
        return source == target;
    for (size_t i = 0; i < map->count; i++) {
        if (strcasecmp(map->from[i], source) == 0) {
            source = map->to[i];
            break;
        }
    }
    if (strncasecmp(source, "utf8_", 5) == 0 || strncasecmp(source, "utf8mb3_", 8) == 0) /* two names of one */
        return (strncasecmp(target, "utf8_", 5) == 0 || strncasecmp(target, "utf8mb3_", 8) == 0) &&
               strcasecmp(without_mb3(source), without_mb3(target)) == 0;
    return strcasecmp(source, target) == 0;
}

/* MySQL's JSON is a LONGTEXT with a check on MariaDB. */
static bool is_json_pair(const gf_column *a, const gf_column *b)
{
    return a->type == GF_T_JSON && b->type == GF_T_TEXT && strcmp(b->type_text, "longtext") == 0;
}

static bool same_type(const gf_column *a, const gf_column *b)
{
    char *x, *y;
    bool same;

    if (is_json_pair(a, b))
        return true;
    x = plain_type(a);
    y = plain_type(b);
    same = a->type == b->type && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

/* The next of the differences: "a, b". */
static void differs(gf_buf *out, const char *fmt, ...) GF_PRINTF(2, 3);

static void differs(gf_buf *out, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        gf_oom();
    va_end(ap);
    gf_buf_printf(out, "%s%s", out->len > 0 ? ", " : "", text);
    free(text);
}

static void compare_column(gf_buf *out, const struct maker *m, const gf_table *t, unsigned i, const gf_column *b)
{
    const gf_column *a = &t->columns[i];

    if (strcasecmp(a->name, b->name) != 0) {
        differs(out, "column %u is `%s`, on the source `%s`", i + 1, b->name, a->name);
        return;
    }
    if (!same_type(a, b))
        differs(out, "column `%s` is %s, on the source %s", a->name, b->type_text, a->type_text);
    else if (!is_json_pair(a, b) && !same_collation(m->config, a->collation, b->collation))
        differs(out, "column `%s` has the collation %s, on the source %s", a->name,
                b->collation != NULL ? b->collation : "(none)", a->collation != NULL ? a->collation : "(none)");
    if (a->nullable != b->nullable && a->generated == GF_GEN_NONE)
        differs(out, "column `%s` is %s, on the source %s", a->name, b->nullable ? "NULL" : "NOT NULL",
                a->nullable ? "NULL" : "NOT NULL");
    if ((a->generated == GF_GEN_NONE) != (b->generated == GF_GEN_NONE))
        differs(out, "column `%s` is generated on one of the servers only", a->name);
}

static bool same_key(const gf_table *s, const gf_key *a, const gf_table *t, const gf_key *b)
{
    if (a->part_count != b->part_count || a->functional != b->functional)
        return false;
    for (unsigned i = 0; i < a->part_count; i++) {
        if (strcasecmp(s->columns[a->parts[i].column].name, t->columns[b->parts[i].column].name) != 0 ||
            a->parts[i].prefix != b->parts[i].prefix)
            return false;
    }
    return true;
}

static bool has_key(const gf_table *s, const gf_key *key, const gf_table *t)
{
    for (unsigned i = 0; i < t->key_count; i++)
        if (same_key(s, key, t, &t->keys[i]))
            return true;
    return false;
}

/* Rows are replaced by unique keys, so a missing one duplicates rows and a further one removes some. */
static void compare_keys(gf_buf *out, const gf_table *s, const gf_table *t)
{
    for (unsigned i = 0; i < s->key_count; i++)
        if (!has_key(s, &s->keys[i], t))
            differs(out, "it lacks the source's unique key `%s`", s->keys[i].name);
    for (unsigned i = 0; i < t->key_count; i++)
        if (!has_key(t, &t->keys[i], s))
            differs(out, "it has a unique key `%s` that the source has not", t->keys[i].name);
}

static void compare_tables(gf_buf *out, const struct maker *m, const gf_table *s, const gf_table *t)
{
    if (s->transactional && !t->transactional)
        differs(out, "its engine %s has no transactions, %s has", t->engine, s->engine);
    if (s->column_count != t->column_count)
        differs(out, "it has %u columns, on the source %u", t->column_count, s->column_count);
    for (unsigned i = 0; i < s->column_count && i < t->column_count; i++)
        compare_column(out, m, s, i, &t->columns[i]);
    compare_keys(out, s, t);
}

/* *found false when there is no such table on the target. Differences are appended. */
static bool find_differences(gf_buf *out, const struct maker *m, const gf_table *t, bool *found, gf_error *err)
{
    gf_table *there = NULL;

    if (!gf_catalog_load_table(&there, m->db, m->target->flavor, &m->config->filter, t->db, t->name, t->target_db,
                               t->target_name, err))
        return false;
    *found = there != NULL;
    if (there != NULL)
        compare_tables(out, m, t, there);
    gf_table_free(there);
    return true;
}

static bool compare_with_target(const struct maker *m, const gf_table *t, bool *found, gf_error *err)
{
    gf_buf differences = {0};
    bool ok =
        find_differences(&differences, m, t, found, err) &&
        (differences.len == 0 || gf_fail(err, GF_ERR_CONFIG, "table %s on the target is not like the source's %s: %s",
                                         t->target_sql, t->label, gf_buf_cstr(&differences)));

    gf_buf_free(&differences);
    return ok;
}

bool gf_target_differences(gf_buf *out, MYSQL *target, const gf_config *config, const gf_server_info *info,
                           const gf_table *t, gf_error *err)
{
    struct maker m = {.db = target, .config = config, .target = info};
    bool found;

    return find_differences(out, &m, t, &found, err);
}

/* ---- creating ---- */

static bool ask(const struct maker *m, bool *yes, gf_error *err, const char *what, const gf_buf *sql)
{
    char *answer = NULL;

    if (!gf_server_scalar(&answer, m->db, what, err, "%.*s", (int)sql->len, (const char *)sql->data))
        return false;
    *yes = answer != NULL;
    free(answer);
    return true;
}

/* A database that is there needs no right to create one. */
static bool make_database(const struct maker *m, const char *db, gf_error *err)
{
    gf_buf sql = {0};
    bool there = false, ok;

    gf_buf_str(&sql, "SELECT 1 FROM information_schema.schemata WHERE schema_name=");
    gf_buf_quote(&sql, db, strlen(db));
    ok = ask(m, &there, err, "look for a database on the target", &sql);
    if (ok && !there) {
        gf_buf_reset(&sql);
        gf_buf_str(&sql, "CREATE DATABASE IF NOT EXISTS ");
        gf_buf_ident(&sql, db);
        ok = gf_server_run(m->db, "create a database on the target", gf_slice_of(sql.data, sql.len), err);
    }
    gf_buf_free(&sql);
    return ok;
}

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static void forget_database(struct maker *m)
{
    for (size_t i = 0; i < m->name_count; i++)
        free(m->names[i]);
    free(m->names);
    free(m->last_db);
    m->names = NULL;
    m->name_count = 0;
    m->last_db = NULL;
}

/* All at once: asking for each of 60,000 tables takes minutes. */
static bool list_tables(struct maker *m, const char *db, gf_error *err)
{
    gf_buf sql = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    gf_buf_str(&sql, "SELECT table_name FROM information_schema.tables WHERE table_schema=");
    gf_buf_quote(&sql, db, strlen(db));
    res = gf_server_query(m->db, "list the target's tables", err, "%s", gf_buf_cstr(&sql));
    gf_buf_free(&sql);
    if (res == NULL)
        return false;
    m->names = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof(char *));
    while ((row = mysql_fetch_row(res)) != NULL)
        m->names[m->name_count++] = gf_strdup(row[0]);
    qsort(m->names, m->name_count, sizeof(char *), compare_names);
    mysql_free_result(res);
    return true;
}

static bool is_inside(const struct maker *m, const char *db)
{
    return m->last_db != NULL && strcmp(m->last_db, db) == 0;
}

/* It need not be there. */
static bool look_into(struct maker *m, const char *db, gf_error *err)
{
    if (is_inside(m, db))
        return true;
    forget_database(m);
    if (!list_tables(m, db, err))
        return false;
    m->last_db = gf_strdup(db);
    return true;
}

static bool enter_database(struct maker *m, const char *db, gf_error *err)
{
    return is_inside(m, db) || (make_database(m, db, err) && look_into(m, db, err));
}

/* Case aside: a table that is there after all only costs a look. */
static bool may_be_there(const struct maker *m, const gf_table *t)
{
    return m->name_count > 0 &&
           bsearch(&t->target_name, m->names, m->name_count, sizeof(char *), compare_names) != NULL;
}

bool gf_target_has_rows(bool *rows, MYSQL *target, const gf_table *t, gf_error *err)
{
    char *row = NULL;
    bool ok = gf_server_scalar(&row, target, "look into a table of the target", err, "SELECT 1 FROM %s LIMIT 1",
                               t->target_sql);

    *rows = row != NULL;
    free(row);
    return ok;
}

static bool check_existing(const struct maker *m, const gf_table *t, gf_error *err)
{
    bool rows, ok = gf_target_has_rows(&rows, m->db, t, err);

    if (!ok || !rows || m->config->allow_existing)
        return ok;
    return gf_fail(
        err, GF_ERR_CONFIG,
        "table %s on the target holds rows already: empty it (it need not be dropped), or allow it (AllowExistingTargetTable)",
        t->target_sql);
}

static bool run_create(const struct maker *m, const gf_table *t, bool defer, gf_error *err)
{
    char *sql = NULL;
    bool ok, found;

    if (!(defer ? gf_deferral_create_sql(&sql, m->deferral, t, err)
                : gf_target_create_sql(&sql, t, m->config, m->source, m->target, err)))
        return false;
    ok = gf_server_run(m->db, "create on the target", gf_slice_str(sql), err) || gf_fail_context(err, "%s", t->label);
    free(sql);
    /* Servers of one version read a definition alike; else see what was made of it. */
    if (ok && strcmp(m->source->version_text, m->target->version_text) != 0)
        ok = compare_with_target(m, t, &found, err);
    return ok;
}

static bool create_table(struct maker *m, const gf_table *t, bool defer, gf_error *err)
{
    bool found = false;

    if (!enter_database(m, t->target_db, err) || (may_be_there(m, t) && !compare_with_target(m, t, &found, err)))
        return false;
    return found ? check_existing(m, t, err) : run_create(m, t, defer, err);
}

static bool is_named(const gf_names *names, const gf_table *t)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], t->label) == 0)
            return true;
    return false;
}

/* ---- several at once ---- */

/* What makers that work side by side share. */
struct crew {
    const struct maker *first; /* what all of them are told; its connection is the first one's */
    const gf_table *const *tables;
    const bool *deferred; /* NULL: none is */
    size_t count;
    atomic_size_t next; /* of the tables */
    atomic_bool failed;

    pthread_mutex_t lock; /* guards below */
    gf_error failure;     /* the first one, once failed */
};

static void fail_crew(struct crew *c, const gf_error *err)
{
    pthread_mutex_lock(&c->lock);
    if (!atomic_load(&c->failed))
        c->failure = *err;
    atomic_store(&c->failed, true);
    pthread_mutex_unlock(&c->lock);
}

/* Servers lock a foreign key's other table too, so those are made one after the other, at the end. */
static bool has_foreign_key(const gf_table *t)
{
    return t->create_sql != NULL && strstr(t->create_sql, "FOREIGN KEY") != NULL;
}

static bool is_for_crew(const struct maker *m, const gf_table *t)
{
    return !has_foreign_key(t) && !is_named(&m->config->create_first, t);
}

static bool is_deferred(const bool *deferred, size_t i)
{
    return deferred != NULL && deferred[i];
}

static void make_tables(struct crew *c, struct maker *m)
{
    gf_error err;
    size_t i;

    while (!atomic_load(&c->failed) && (i = atomic_fetch_add(&c->next, 1)) < c->count) {
        if (is_for_crew(m, c->tables[i]) && !create_table(m, c->tables[i], is_deferred(c->deferred, i), &err))
            fail_crew(c, &err);
    }
    forget_database(m);
}

static bool ignore_foreign_keys(MYSQL *db, gf_error *err)
{
    return gf_server_exec(db, "create tables", err, "SET SESSION foreign_key_checks=0");
}

/* One that gets no connection is no failure: the others do its work. */
static void *run_maker(void *arg)
{
    struct crew *c = arg;
    struct maker m = {.config = c->first->config,
                      .source = c->first->source,
                      .target = c->first->target,
                      .deferral = c->first->deferral};
    gf_error err;

    gf_log_thread("create");
    if (gf_server_connect(&m.db, &m.config->target, GF_CONN_PLAIN, &err) && ignore_foreign_keys(m.db, &err))
        make_tables(c, &m);
    else
        gf_log_debug("%s", err.text);
    gf_server_close(m.db);
    mysql_thread_end();
    return NULL;
}

/* A CREATE TABLE mostly waits for the disk: several at once take little longer than one. */
static bool create_side_by_side(struct maker *m, const gf_table *const *tables, const bool *deferred, size_t count,
                                gf_error *err)
{
    enum { TABLES_EACH = 16, MOST = 8 };
    struct crew c = {.first = m, .tables = tables, .deferred = deferred, .count = count};
    pthread_t threads[MOST];
    size_t wanted = count / TABLES_EACH, started = 0;

    if (wanted > m->config->copy_writers)
        wanted = m->config->copy_writers;
    pthread_mutex_init(&c.lock, NULL);
    while (started + 1 < wanted && started < MOST && pthread_create(&threads[started], NULL, run_maker, &c) == 0)
        started++;
    make_tables(&c, m);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&c.lock);
    if (atomic_load(&c.failed))
        *err = c.failure;
    return !atomic_load(&c.failed);
}

static bool create_first(struct maker *m, const gf_table *const *tables, const bool *deferred, size_t count,
                         gf_error *err)
{
    const gf_names *first = &m->config->create_first;

    for (size_t i = 0; i < first->count; i++)
        for (size_t j = 0; j < count; j++)
            if (strcmp(first->items[i], tables[j]->label) == 0 &&
                !create_table(m, tables[j], is_deferred(deferred, j), err))
                return false;
    return true;
}

static bool create_rest(struct maker *m, const gf_table *const *tables, const bool *deferred, size_t count,
                        gf_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!is_for_crew(m, tables[i]) && !is_named(&m->config->create_first, tables[i]) &&
            !create_table(m, tables[i], is_deferred(deferred, i), err))
            return false;
    return true;
}

bool gf_target_create(MYSQL *target, const gf_config *config, const gf_server_info *source, const gf_server_info *info,
                      const gf_table *const *tables, size_t count, const gf_deferral *deferral, const bool *deferred,
                      gf_error *err)
{
    struct maker m = {.db = target, .config = config, .source = source, .target = info, .deferral = deferral};
    gf_error second;
    bool ok;

    if (!ignore_foreign_keys(target, err))
        return false;
    ok = create_first(&m, tables, deferred, count, err) && create_side_by_side(&m, tables, deferred, count, err) &&
         create_rest(&m, tables, deferred, count, err);
    forget_database(&m);
    if (!gf_server_exec(target, "create tables", ok ? err : &second, "SET SESSION foreign_key_checks=DEFAULT"))
        return false;
    return ok;
}

bool gf_target_missing(bool *missing, MYSQL *target, const gf_config *config, const gf_table *const *tables,
                       size_t count, gf_error *err)
{
    struct maker m = {.db = target, .config = config};
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++) {
        ok = look_into(&m, tables[i]->target_db, err);
        missing[i] = ok && !may_be_there(&m, tables[i]);
    }
    forget_database(&m);
    return ok;
}

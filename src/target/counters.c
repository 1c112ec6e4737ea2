/* SPDX-License-Identifier: MIT */
/*
 * counters.c - AUTO_INCREMENT counters at the cutover.
 *
 * The applications stand still meanwhile, so the counters of a database are read by one query from each server: asked
 * one by one, those of ten thousand tables take ten to twenty seconds, together a twentieth of that.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/log.h"
#include "gfreplica/target.h"

enum { FEW = 100 }; /* that many tables of a database are asked for by their names */

typedef struct {
    const char *schema, *name; /* borrowed */
    uint64_t value;            /* 0: there is none */
} counter;

/* A server may have folded the case of names; where it has not, two may differ by it alone. */
static int by_name(const void *a, const void *b)
{
    const counter *x = a, *y = b;
    int order = strcmp(x->schema, y->schema);

    if (order == 0)
        order = strcasecmp(x->name, y->name);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* The counter of that name among those of one database, else the one whose name differs by case; NULL: none. */
static counter *find_counter(counter *c, size_t count, const char *name)
{
    counter *folded = NULL;
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcasecmp(c[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && strcasecmp(c[low].name, name) == 0; low++) {
        if (strcmp(c[low].name, name) == 0)
            return &c[low];
        folded = &c[low];
    }
    return folded;
}

static void put_names(gf_buf *sql, const counter *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        gf_buf_str(sql, i == 0 ? " AND table_name IN (" : ",");
        gf_buf_quote(sql, c[i].name, strlen(c[i].name));
    }
    gf_buf_byte(sql, ')');
}

/* Of `count` tables of one database. */
static bool read_database(counter *c, size_t count, MYSQL *db, gf_error *err)
{
    gf_buf sql = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    gf_buf_str(&sql, "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema=");
    gf_buf_quote(&sql, c->schema, strlen(c->schema));
    if (count <= FEW)
        put_names(&sql, c, count);
    res = gf_server_query(db, "read AUTO_INCREMENT counters", err, "%s", gf_buf_cstr(&sql));
    gf_buf_free(&sql);
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        counter *found = row[0] == NULL ? NULL : find_counter(c, count, row[0]);

        if (found != NULL && row[1] != NULL)
            found->value = strtoull(row[1], NULL, 10);
    }
    mysql_free_result(res);
    return res != NULL || gf_fail_context(err, "%s", c->schema);
}

/* Fills the values, and leaves the counters in the order of by_name. MySQL answers from a cache unless told otherwise. */
static bool read_counters(counter *c, size_t count, MYSQL *db, gf_error *err)
{
    bool ok = mariadb_connection(db) || gf_server_exec(db, "read AUTO_INCREMENT counters", err,
                                                       "/*!80000 SET SESSION information_schema_stats_expiry=0 */");

    qsort(c, count, sizeof *c, by_name);
    for (size_t i = 0, end; ok && i < count; i = end) {
        for (end = i + 1; end < count && strcmp(c[end].schema, c[i].schema) == 0; end++)
            continue;
        ok = read_database(c + i, end - i, db, err);
    }
    return ok;
}

static uint64_t value_of(const counter *c, size_t count, const char *schema, const char *name)
{
    const counter wanted = {.schema = schema, .name = name};
    const counter *found = bsearch(&wanted, c, count, sizeof *c, by_name);

    return found == NULL ? 0 : found->value;
}

static bool has_counter(const gf_table *t)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (t->columns[i].auto_increment)
            return true;
    return false;
}

static bool raise_counter(MYSQL *target, const gf_table *t, uint64_t want, uint64_t have, gf_error *err)
{
    if (want <= have)
        return true;
    gf_log_debug("%s: AUTO_INCREMENT %" PRIu64 " -> %" PRIu64, t->label, have, want);
    return gf_server_exec(target, t->label, err, "ALTER TABLE %s AUTO_INCREMENT=%" PRIu64, t->target_sql, want);
}

bool gf_target_auto_increment(MYSQL *source, MYSQL *target, const gf_table *const *tables, size_t count, gf_error *err)
{
    counter *wanted = gf_calloc(count + 1, sizeof *wanted), *had = gf_calloc(count + 1, sizeof *had);
    size_t n = 0;
    bool ok;

    for (size_t i = 0; i < count; i++) {
        const gf_table *t = tables[i];

        if (!has_counter(t))
            continue;
        wanted[n] = (counter){.schema = t->db, .name = t->name};
        had[n++] = (counter){.schema = t->target_db, .name = t->target_name};
    }
    ok = read_counters(wanted, n, source, err) && read_counters(had, n, target, err);
    for (size_t i = 0; ok && i < count; i++)
        if (has_counter(tables[i]))
            ok = raise_counter(target, tables[i], value_of(wanted, n, tables[i]->db, tables[i]->name),
                               value_of(had, n, tables[i]->target_db, tables[i]->target_name), err);
    free(wanted);
    free(had);
    return ok;
}

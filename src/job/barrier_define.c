/* SPDX-License-Identifier: MIT */
/*
 * barrier_define.c - the tables that a statement names: whose rows each has afterwards, and its new definition into
 * catalog, plan and marker (step 2 of barrier.c).
 */
#include <stdlib.h>

#include "barrier_parts.h"
#include "gfreplica/log.h"
#include "gfreplica/state.h"

/* ---- the tables that it names ---- */

static void free_touched(gf_touched *t)
{
    free(t->db);
    free(t->name);
    gf_table_free(t->now);
    free(t->ranges);
}

static int index_of(const gf_barrier *b, const gf_stmt_object *o)
{
    for (size_t i = 0; i < b->count; i++) {
        const gf_touched *t = &b->tables[i];

        if (strlen(t->db) == o->db_len && strlen(t->name) == o->table_len && memcmp(t->db, o->db, o->db_len) == 0 &&
            memcmp(t->name, o->table, o->table_len) == 0)
            return (int)i;
    }
    return -1;
}

void gf_barrier_list_tables(gf_barrier *b)
{
    const gf_statement *s = b->s;

    b->tables = gf_calloc(s->object_count + 1, sizeof *b->tables);
    for (size_t i = 0; i < s->object_count; i++) {
        const gf_stmt_object *o = &s->objects[i];
        gf_touched *t = &b->tables[b->count];

        if (index_of(b, o) >= 0)
            continue;
        t->db = gf_strndup(o->db, o->db_len);
        t->name = gf_strndup(o->table, o->table_len);
        t->old = gf_catalog_find(b->opt.catalog, t->db, o->db_len, t->name, o->table_len);
        b->count++;
    }
}

void gf_barrier_forget_tables(gf_barrier *b)
{
    for (size_t i = 0; i < b->count; i++)
        free_touched(&b->tables[i]);
    free(b->tables);
    b->tables = NULL;
    b->count = 0;
}

/* ---- whose rows are where afterwards ---- */

static void move(gf_barrier *b, const gf_stmt_object *from, const gf_stmt_object *to)
{
    gf_touched *f = &b->tables[index_of(b, from)], *t = &b->tables[index_of(b, to)];

    t->from = f->from;
    if (f != t)
        f->from = GF_FROM_NOWHERE;
}

/* What the statement means for each name: without it, a table that is there afterwards could be anybody's. */
void gf_barrier_foresee(gf_barrier *b)
{
    const gf_statement *s = b->s;

    for (size_t i = 0; i < b->count; i++)
        b->tables[i].from = b->tables[i].old != NULL ? (int)i : GF_FROM_NOWHERE;
    if (b->ddl.kind == GF_DDL_RENAME || (b->ddl.kind == GF_DDL_CHANGE && s->object_count == 2)) {
        for (size_t i = 0; i + 1 < s->object_count; i += 2)
            move(b, &s->objects[i], &s->objects[i + 1]);
    } else if (b->ddl.kind == GF_DDL_DROP) {
        for (size_t i = 0; i < b->count; i++)
            b->tables[i].from = GF_FROM_NOWHERE;
    } else if (b->ddl.kind == GF_DDL_CREATE && (b->tables[0].old == NULL || b->ddl.replaces)) {
        b->tables[0].from = GF_FROM_NEW;
    }
}

/* ---- afterwards ---- */

bool gf_barrier_load_results(gf_barrier *b, gf_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        gf_touched *t = &b->tables[i];

        if (!gf_barrier_load(&t->now, b, t->db, t->name, err))
            return false;
        if ((t->now == NULL) != (t->from == GF_FROM_NOWHERE))
            return gf_fail(err, GF_ERR_DATA, "afterwards %s.%s is %son the target, unlike on the source", t->db,
                           t->name, t->now == NULL ? "not " : "still ");
        if (t->now != NULL && !gf_barrier_result_allows(b, t, err))
            return false;
    }
    return true;
}

/* ---- step 2: catalog, plan, marker ---- */

typedef struct {
    const gf_table *table;
    gf_touched *into;
} collector;

static void collect_range(void *ctx, const gf_range *r)
{
    collector *c = ctx;
    gf_touched *t = c->into;

    if (r->table != c->table)
        return;
    t->ranges = gf_realloc(t->ranges, (t->range_count + 1) * sizeof *t->ranges);
    t->ranges[t->range_count++] = r;
}

static void collect_ranges(gf_barrier *b)
{
    for (size_t i = 0; i < b->count; i++) {
        collector c = {b->tables[i].old, &b->tables[i]};

        if (c.table != NULL)
            gf_plan_each(b->opt.plan, collect_range, &c);
    }
}

static void put_in_catalog(gf_barrier *b)
{
    for (size_t i = 0; i < b->count; i++)
        gf_catalog_remove(b->opt.catalog, b->tables[i].db, b->tables[i].name);
    for (size_t i = 0; i < b->count; i++) {
        gf_touched *t = &b->tables[i];

        t->current = t->now;
        if (t->now != NULL)
            gf_catalog_put(b->opt.catalog, t->now);
        t->now = NULL;
    }
}

typedef void range_sql(gf_buf *out, const gf_marker *m, const gf_range *r);

static void add_ranges(const gf_barrier *b, gf_batch *batch, const gf_touched *t, range_sql *write)
{
    gf_buf sql = {0};

    for (size_t i = 0; i < t->range_count; i++) {
        if (write == gf_marker_range_add_sql && t->ranges[i]->gone)
            continue;
        gf_buf_reset(&sql);
        write(&sql, b->opt.marker, t->ranges[i]);
        gf_batch_statement(batch, gf_slice_of(sql.data, sql.len));
    }
    gf_buf_free(&sql);
}

/* The name under which the rows of table i are afterwards; NULL: they are gone. */
static const gf_touched *where_to(const gf_barrier *b, size_t i)
{
    for (size_t k = 0; k < b->count; k++) {
        if (b->tables[k].from == (int)i)
            return &b->tables[k];
    }
    return NULL;
}

static bool concerns_key(const gf_statement *s, const gf_table *t)
{
    const gf_key *k;
    bool concerned = false;

    if (t->identity < 0)
        return false;
    k = &t->keys[t->identity];
    for (unsigned i = 0; i < k->part_count && !concerned; i++) {
        const gf_column *c = &t->columns[k->parts[i].column];

        concerned = c->generated != GF_GEN_NONE || gf_ddl_concerns(s, c->name);
    }
    return concerned || gf_ddl_concerns(s, k->name);
}

/* A key of the same columns as before may be one of other values: ALTER TABLE can give a column's name to another one, and
   compute a generated one anew. It cannot without naming it, or the key. */
static bool same_values(const gf_barrier *b, const gf_table *old, const gf_table *now)
{
    if (b->ddl.kind != GF_DDL_CHANGE || strcmp(b->s->verb, "CREATE INDEX") == 0)
        return true;
    return !concerns_key(b->s, old) && (now == NULL || !concerns_key(b->s, now));
}

static bool renew(const gf_barrier *b, const gf_table *old, const gf_table *now)
{
    bool whole = gf_plan_whole(b->opt.plan, old), kept = gf_plan_renew(b->opt.plan, old, now, same_values(b, old, now));

    if (!kept && !whole)
        gf_log_warn("%s: its key may hold other values after this change, so it is copied from the beginning",
                    old->label);
    return kept;
}

/* Ranges carry a table's name in the marker, so those of renamed tables are written anew: all away first, since names
   change around. A table that keeps its name and its key keeps its rows there. */
static void carry_ranges(gf_barrier *b, gf_batch *batch)
{
    bool *again = gf_calloc(b->count + 1, sizeof *again);

    for (size_t i = 0; i < b->count; i++) {
        again[i] = b->tables[i].old != NULL && where_to(b, i) != &b->tables[i];
        if (again[i])
            add_ranges(b, batch, &b->tables[i], gf_marker_range_drop_sql);
    }
    for (size_t i = 0; i < b->count; i++) {
        const gf_touched *to = where_to(b, i);

        if (b->tables[i].old == NULL)
            continue;
        if (!renew(b, b->tables[i].old, to != NULL ? to->current : NULL) && !again[i]) {
            again[i] = true;
            add_ranges(b, batch, &b->tables[i], gf_marker_range_drop_sql);
        }
    }
    for (size_t i = 0; i < b->count; i++) {
        if (again[i])
            add_ranges(b, batch, &b->tables[i], gf_marker_range_add_sql);
    }
    free(again);
}

/* A new table is empty, so all of it is copied. */
static void add_new_ranges(gf_barrier *b, gf_batch *batch)
{
    static const gf_slice open = {NULL, 0};

    for (size_t i = 0; i < b->count; i++) {
        gf_touched *t = &b->tables[i];
        gf_buf sql = {0};

        if (t->from != GF_FROM_NEW)
            continue;
        gf_marker_range_add_sql(&sql, b->opt.marker,
                                gf_plan_add(b->opt.plan, t->current, 0, open, open, open, true, 0));
        gf_batch_statement(batch, gf_slice_of(sql.data, sql.len));
        gf_buf_free(&sql);
    }
}

static void note_schemas(const gf_barrier *b, gf_batch *batch)
{
    gf_buf sql = {0};

    for (size_t i = 0; i < b->count; i++) {
        gf_marker_schema schema = {.db = b->tables[i].db, .name = b->tables[i].name};

        if (b->tables[i].current != NULL)
            gf_schema_encode(&schema.schema, b->tables[i].current);
        gf_buf_reset(&sql);
        gf_marker_schema_sql(&sql, b->opt.marker, &schema);
        gf_batch_statement(batch, gf_slice_of(sql.data, sql.len));
        gf_buf_free(&schema.schema);
    }
    gf_buf_reset(&sql);
    gf_marker_schema_end_sql(&sql, b->opt.marker);
    gf_batch_statement(batch, gf_slice_of(sql.data, sql.len));
    gf_buf_free(&sql);
}

void gf_barrier_pass(gf_barrier *b, gf_merger *merger, gf_batch *batch)
{
    b->opt.passing(b->opt.ctx);
    for (size_t i = 0; i < b->count; i++) {
        if (b->tables[i].old != NULL)
            gf_merger_invalidate(merger, b->tables[i].old);
    }
    collect_ranges(b);
    put_in_catalog(b);
    carry_ranges(b, batch);
    add_new_ranges(b, batch);
    note_schemas(b, batch);
}

/* SPDX-License-Identifier: MIT */
/*
 * tables.c - table maps, and rows events as rows.
 *
 * The definition is looked up at the first rows event, not at the map: servers map tables that a statement only
 * reads (foreign keys), and those may be unknown to us without harm.
 */
#include "tables.h"

#include <stdlib.h>

#include "payload.h"

typedef struct {
    uint64_t id;
    const char *db, *name; /* in the arena, like all that cols points to */
    bool selected;
    gf_event_columns cols; /* of selected tables */
    const gf_table *table; /* borrowed; NULL until the first rows event */
} table_map;

struct gf_tables {
    gf_catalog *catalog;     /* borrowed */
    const gf_filter *filter; /* borrowed */
    table_map *maps;         /* owned */
    size_t count, cap;
    gf_arena arena;           /* of the maps: reset with them */
    gf_arena row_arena;       /* of one row's values */
    gf_value *before, *after; /* owned, value_cap slots each */
    size_t value_cap;
    gf_buf inflated;
};

gf_tables *gf_tables_new(gf_catalog *catalog, const gf_filter *filter)
{
    gf_tables *ts = gf_calloc(1, sizeof *ts);

    ts->catalog = catalog;
    ts->filter = filter;
    return ts;
}

void gf_tables_free(gf_tables *ts)
{
    if (ts == NULL)
        return;
    free(ts->maps);
    free(ts->before);
    free(ts->after);
    gf_arena_free(&ts->arena);
    gf_arena_free(&ts->row_arena);
    gf_buf_free(&ts->inflated);
    free(ts);
}

void gf_tables_clear(gf_tables *ts)
{
    ts->count = 0;
    gf_arena_reset(&ts->arena);
}

static table_map *find_map(gf_tables *ts, uint64_t id)
{
    for (size_t i = 0; i < ts->count; i++) {
        if (ts->maps[i].id == id)
            return &ts->maps[i];
    }
    return NULL;
}

static table_map *new_map(gf_tables *ts, uint64_t id)
{
    table_map *map = find_map(ts, id); /* a statement of several rows events may map its tables again */

    if (map == NULL) {
        if (ts->count == ts->cap) {
            ts->cap = 2 * ts->cap + 8;
            ts->maps = gf_realloc(ts->maps, ts->cap * sizeof *ts->maps);
        }
        map = &ts->maps[ts->count++];
    }
    *map = (table_map){.id = id};
    return map;
}

static const char *copy_name(gf_tables *ts, gf_slice name)
{
    char *copy = gf_arena_alloc(&ts->arena, name.len + 1);

    if (name.len > 0)
        memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    return copy;
}

bool gf_tables_map(gf_tables *ts, const gf_event *ev, gf_error *err)
{
    gf_ev_table_map read;
    table_map *map;

    if (!gf_event_table_map(&read, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed table map");
    map = new_map(ts, read.id);
    map->db = copy_name(ts, read.db);
    map->name = copy_name(ts, read.table);
    map->selected =
        gf_filter_table(ts->filter, map->db, map->name) && !gf_catalog_is_sequence(ts->catalog, map->db, map->name);
    if (map->selected && !gf_event_columns_read(&map->cols, &read, &ts->arena))
        return gf_fail(err, GF_ERR_DATA, "%s.%s: malformed table map", map->db, map->name);
    return true;
}

/* ---- rows ---- */

static bool resolve(gf_tables *ts, table_map *map, gf_error *err)
{
    const gf_table *t = gf_catalog_find(ts->catalog, map->db, strlen(map->db), map->name, strlen(map->name));

    if (t == NULL)
        return gf_fail(err, GF_ERR_DATA,
                       "%s.%s changes and is selected, but its definition is not known (was it made after the "
                       "start?): leave it out of the filter or start the job anew",
                       map->db, map->name);
    if (!gf_rowimage_check(t, &map->cols, err))
        return false;
    if (ts->value_cap < t->column_count) {
        ts->value_cap = t->column_count;
        ts->before = gf_realloc(ts->before, ts->value_cap * sizeof *ts->before);
        ts->after = gf_realloc(ts->after, ts->value_cap * sizeof *ts->after);
    }
    map->table = t;
    return true;
}

static bool has_columns(gf_slice bitmap, unsigned columns)
{
    for (unsigned i = 0; i < columns; i++) {
        if ((bitmap.data[i / 8] & 1U << i % 8) != 0)
            return true;
    }
    return false;
}

/* Without columns a row takes no bytes, and nobody can tell how many there are. */
static bool check_shape(const gf_ev_rows *rows, const table_map *map, gf_error *err)
{
    if (rows->columns != map->cols.count)
        return gf_fail(err, GF_ERR_DATA, "%s.%s: a rows event of %lu columns for a table map of %u", map->db, map->name,
                       (unsigned long)rows->columns, map->cols.count);
    if (rows->columns == 0 || !has_columns(rows->op == GF_OP_INSERT ? rows->after : rows->before, rows->columns))
        return gf_fail(err, GF_ERR_DATA,
                       "%s.%s: a row image without any column: set binlog_row_image=FULL on the source and for every "
                       "session",
                       map->db, map->name);
    return true;
}

static bool read_image(gf_tables *ts, gf_value *row, gf_cursor *in, const table_map *map, gf_slice present,
                       gf_error *err)
{
    if (present.data == NULL)
        return true;
    return gf_rowimage_read(row, in, map->table, &map->cols, present.data, &ts->row_arena, err);
}

static bool each_row(gf_tables *ts, const gf_ev_rows *rows, const table_map *map, gf_slice data, gf_row_handler *row,
                     void *ctx, gf_error *err)
{
    gf_cursor in = gf_cursor_of(data.data, data.len);

    while (gf_cursor_left(&in) > 0) {
        const uint8_t *start = in.p;

        gf_arena_reset(&ts->row_arena);
        if (!read_image(ts, ts->before, &in, map, rows->before, err) ||
            !read_image(ts, ts->after, &in, map, rows->after, err))
            return false;
        if (in.bad || in.p == start)
            return gf_fail(err, GF_ERR_DATA, "%s.%s: a row is cut short", map->db, map->name);
        if (!row(ctx, map->table, rows->op, rows->before.data == NULL ? NULL : ts->before,
                 rows->after.data == NULL ? NULL : ts->after, rows->flags, err))
            return false;
    }
    return true;
}

static bool decode(gf_tables *ts, const gf_ev_rows *rows, table_map *map, gf_row_handler *row, void *ctx, gf_error *err)
{
    gf_slice data = rows->rows;

    if (rows->partial)
        return gf_fail(err, GF_ERR_DATA,
                       "%s.%s: a partial update of JSON can't be applied exactly yet: set "
                       "binlog_row_value_options='' on the source and for every session, and start the job anew",
                       map->db, map->name);
    if ((map->table == NULL && !resolve(ts, map, err)) || !check_shape(rows, map, err))
        return false;
    if (rows->compressed) {
        gf_buf_reset(&ts->inflated);
        if (!gf_payload_inflate(&ts->inflated, data, err))
            return gf_fail_context(err, "%s", map->table->label);
        data = gf_slice_of(ts->inflated.data, ts->inflated.len);
    }
    return each_row(ts, rows, map, data, row, ctx, err);
}

bool gf_tables_rows(gf_tables *ts, const gf_event *ev, gf_row_handler *row, void *ctx, gf_error *err)
{
    static const uint64_t NO_TABLE = 0xffffff; /* only says that the statement ends */
    gf_ev_rows rows;
    table_map *map;

    if (!gf_event_rows(&rows, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed rows event");
    map = find_map(ts, rows.table_id);
    if (map == NULL && rows.table_id != NO_TABLE)
        return gf_fail(err, GF_ERR_DATA, "a rows event refers to table id %llu, which was not mapped",
                       (unsigned long long)rows.table_id);
    if (map != NULL && map->selected && !decode(ts, &rows, map, row, ctx, err))
        return false;
    if ((rows.flags & GF_ROWS_STMT_END) != 0)
        gf_tables_clear(ts);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * state.c - a state's memory, and whether an imported schema still holds.
 */
#include "gfreplica/state.h"

#include <stdlib.h>

static void table_free(gf_state_table *t)
{
    for (size_t i = 0; i < t->range_count; i++) {
        gf_buf_free(&t->ranges[i].lower);
        gf_buf_free(&t->ranges[i].upper);
        gf_buf_free(&t->ranges[i].frontier);
    }
    free(t->ranges);
    gf_table_free(t->table);
    free(t->db);
    free(t->name);
    free(t->import_key);
    free(t->import_key_column);
    free(t->import_schema);
}

void gf_state_free(gf_state *s)
{
    for (size_t i = 0; i < s->table_count; i++)
        table_free(&s->tables[i]);
    free(s->tables);
    gf_position_free(&s->position);
    gf_position_free(&s->final);
    memset(s, 0, sizeof *s);
}

/* The next line of *at into *line; false at the end. */
static bool next_line(gf_slice *line, const char **at)
{
    size_t len = strcspn(*at, "\n");

    if (**at == '\0')
        return false;
    *line = gf_slice_of(*at, len);
    *at += len + ((*at)[len] == '\n' ? 1 : 0);
    return true;
}

static bool schema_differs(const gf_table *now, gf_slice was, unsigned column, gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG,
                   "%s.%s: column %u was \"%.*s\" when the state was dumped and is \"%s %s\" now; the table was "
                   "altered since, so its binlog can't be read by this state: start a new copy",
                   now->db, now->name, column + 1, (int)was.len, (const char *)was.data,
                   column < now->column_count ? now->columns[column].name : "missing",
                   column < now->column_count ? now->columns[column].type_text : "");
}

bool gf_state_schema_check(const gf_state_table *st, const gf_table *now, gf_error *err)
{
    const char *at = st->import_schema;
    gf_slice line;
    unsigned i = 0;

    if (at == NULL)
        return true;
    for (; next_line(&line, &at); i++) {
        bool same = false;

        if (i < now->column_count) {
            char *want = gf_asprintf("%s\t%s", now->columns[i].name, now->columns[i].type_text);

            same = gf_slice_eq(line, gf_slice_str(want));
            free(want);
        }
        if (!same)
            return schema_differs(now, line, i, err);
    }
    if (i != now->column_count)
        return schema_differs(now, gf_slice_str("missing"), i, err);
    return true;
}

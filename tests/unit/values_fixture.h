/* SPDX-License-Identifier: MIT */
/*
 * values_fixture.h - columns and tables by hand, for the tests of row images, literals and text fields.
 */
#ifndef VALUES_FIXTURE_H
#define VALUES_FIXTURE_H

#include <stdlib.h>

#include "gfreplica/catalog.h"

/* A table whose columns are named a, b, c ... in the order of `columns`; owned by the caller. */
static inline gf_table *make_table(const gf_column *columns, unsigned count)
{
    gf_table *t = gf_table_new("shop", "orders");

    t->columns = gf_calloc(count, sizeof *t->columns);
    t->column_count = count;
    for (unsigned i = 0; i < count; i++) {
        char name[2] = {(char)('a' + i), '\0'};

        t->columns[i] = columns[i];
        t->columns[i].name = gf_strdup(name);
        t->columns[i].type_text = gf_strdup("its type");
        if (columns[i].charset != NULL) {
            t->columns[i].charset = gf_strdup(columns[i].charset);
            t->columns[i].collation = gf_strdup("its collation");
        }
    }
    return t;
}

/* The primary key over the first `count` columns; those in the bit mask `descending` turn round. Finishes the table. */
static inline void add_primary(gf_table *t, unsigned count, unsigned descending)
{
    t->keys = gf_calloc(1, sizeof *t->keys);
    t->key_count = 1;
    t->keys[0] = (gf_key){.name = gf_strdup("PRIMARY"), .part_count = count, .unique = true};
    t->keys[0].parts = gf_calloc(count, sizeof *t->keys[0].parts);
    for (unsigned i = 0; i < count; i++)
        t->keys[0].parts[i] = (gf_key_part){.column = i, .descending = (descending >> i & 1) != 0};
    gf_table_finish(t, "shop", "orders");
}

#endif

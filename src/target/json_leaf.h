/* SPDX-License-Identifier: MIT */
/*
 * json_leaf.h - a scalar of a MySQL JSON document as an SQL expression of the type that its mark tells.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_TARGET_JSON_LEAF_H
#define GFREPLICA_TARGET_JSON_LEAF_H

#include "gfreplica/value.h"

/* Values that have to be columns of a table: t.c0, t.c1 ... of one row. */
typedef struct {
    gf_buf values, columns; /* owned */
    unsigned count;
    size_t width; /* bytes of the row */
} gf_json_columns;

/* `leaf` as it stands in the document's text, a string with its quotes. Appended; to c as well, where it takes a column. */
void gf_json_leaf(gf_buf *out, gf_json_columns *c, gf_json_mark mark, gf_slice leaf);

/* " FROM JSON_TABLE(...) t)", which ends the SELECT whose columns they are. Appended. */
void gf_json_columns_put(gf_buf *out, const gf_json_columns *c);
bool gf_json_columns_full(const gf_json_columns *c); /* the next value needs another table */
void gf_json_columns_free(gf_json_columns *c);       /* back to {0} */

/* How many tables a row's text opens, at most: the server keeps all that a statement has at once. */
unsigned gf_json_tables_in(gf_slice text);

#endif

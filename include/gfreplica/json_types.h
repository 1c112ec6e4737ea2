/* SPDX-License-Identifier: MIT */
/*
 * json_types.h - what the text of a MySQL JSON document does not tell: the types of the values inside.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_JSON_TYPES_H
#define GFREPLICA_JSON_TYPES_H

#include "gfreplica/arena.h"
#include "gfreplica/catalog.h"

/* The field that stands behind the column's own in a SELECT. Appended. */
void gf_json_types_select(gf_buf *out, const gf_column *col);

/*
 * `text` with marks (value.h), by that field, which ends with a NUL; NULL: there was none. Borrowed from `text` or the
 * arena. What does not fit together is marked as a whole: the writer refuses it then, and names the row.
 */
gf_slice gf_json_types_mark(gf_slice text, const char *types, gf_arena *arena);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * literal.h - values as SQL text, for a session set up with GF_CONN_WRITER or GF_CONN_READER.
 *
 * Under SET NAMES binary a plain '...' is stored byte for byte into a column of any character set, and is
 * compared as binary: so a value that is stored and a value that is compared need different forms.
 */
#ifndef GFREPLICA_LITERAL_H
#define GFREPLICA_LITERAL_H

#include "gfreplica/catalog.h"

/* The text that MySQL prints for a double within JSON ("32.0", "1e300"), not NUL-terminated; returns its length. */
#define GF_JSON_DOUBLE_MAX 40
size_t gf_json_double(char out[GF_JSON_DOUBLE_MAX], double v);

/* The value to be stored into the column (on a target of that flavour). Appended. *relaxed is set when strict mode
   would refuse it (ENUM index 0), left alone otherwise. */
void gf_literal_store(gf_buf *out, const gf_column *col, const gf_value *v, bool *relaxed);
/* The value to be compared with the column, so that the column's collation rules and its index serves:
   strings get their introducer. NULL gives NULL: use with <=>. Appended. */
void gf_literal_compare(gf_buf *out, const gf_column *col, const gf_value *v);

/* "(v,v,...)" of the columns that are written, in order. Appended. */
void gf_literal_tuple(gf_buf *out, const gf_table *t, const gf_value *row, bool *relaxed);
/* What names this row in WHERE, see gf_change.before_where: by identity, or all columns when keyless. Appended. */
void gf_literal_where(gf_buf *out, const gf_table *t, const gf_value *row);
/* "(`a`=1 AND `b`='x')" of a canonical key: that row; by_bytes: text must be the same, not only equal on the target. Appended. */
GF_MUST_CHECK bool gf_literal_identity(gf_buf *out, const gf_table *t, gf_slice encoded, bool by_bytes, gf_error *err);
/* "`g`<=>5 AND ...": that the table's stored generated columns are, to the byte, what they are in this row; nothing where
   none can be compared (gf_table.computes) or the row has none. Appended. */
void gf_literal_computed(gf_buf *out, const gf_table *t, const gf_value *row);
/* The predicate "behind `key` in key order" (strict) or "not behind it", for chunk reads: expanded so that the
   servers use the index: `a`>1 OR (`a`=1 AND `b`>2); descending parts turn round. `encoded` is canonical. */
GF_MUST_CHECK bool gf_literal_after(gf_buf *out, const gf_table *t, gf_slice encoded, gf_error *err);
GF_MUST_CHECK bool gf_literal_upto(gf_buf *out, const gf_table *t, gf_slice encoded, gf_error *err);
/* "`a`,`b` DESC": ORDER BY of the identity. Appended. */
void gf_literal_order(gf_buf *out, const gf_table *t);

#endif

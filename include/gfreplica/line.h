/* SPDX-License-Identifier: MIT */
/*
 * line.h - rows as lines of LOAD DATA LOCAL INFILE: fields between tabs, backslash escapes, the columns' own bytes.
 *
 * A server takes such lines for two thirds of the CPU that the same rows cost it as SQL. But a field is no literal:
 * under CHARACTER SET binary it is stored into its column as a binary string, which is right for most types, while
 * others have to pass through an expression. gf_line_columns names them all.
 */
#ifndef GFREPLICA_LINE_H
#define GFREPLICA_LINE_H

#include "gfreplica/catalog.h"

/* False when a column is of a type that was not shown to arrive to the bit, or when rows have no identity to REPLACE. */
bool gf_line_fits(const gf_table *t);
/* "field\tfield\n" of the columns that are written. Appended. False, with nothing appended, for a row that needs an
   INSERT: an ENUM's index 0, JSON with decimals inside. */
bool gf_line_row(gf_buf *out, const gf_table *t, const gf_value *row);
/* What stands behind INTO TABLE t: format, columns, "SET `e`=CAST(@c4 AS UNSIGNED)". Appended. */
void gf_line_columns(gf_buf *out, const gf_table *t);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * column.h - from a row of information_schema.columns to a gf_column; private to the catalog room.
 */
#ifndef CATALOG_COLUMN_H
#define CATALOG_COLUMN_H

#include "gfreplica/catalog.h"

/* The row's fields as the server gave them; NULL where it gave NULL. All borrowed. */
typedef struct {
    const char *name, *data_type, *column_type, *is_nullable, *octet_length, *precision, *scale, *fsp;
    const char *charset, *collation, *extra, *generation;
} gf_column_facts;

/* Fill a zeroed column. A type that we do not know stays GF_T_UNKNOWN: preflight and decoder refuse it by name. */
void gf_column_fill(gf_column *col, const gf_column_facts *facts);

/* The members in "enum('a','b''c')" or "set(...)", owned by the caller; their number. */
unsigned gf_column_members(char ***out, const char *column_type);

#endif

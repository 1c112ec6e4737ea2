/* SPDX-License-Identifier: MIT */
/*
 * rows.h - rows of a SELECT become rows of a chunk: tuple, key, claims.
 *
 * Threads: one at a time.
 */
#ifndef GFREPLICA_COPIER_ROWS_H
#define GFREPLICA_COPIER_ROWS_H

#include "gfreplica/copier.h"

/* How rows of one table are read; made once per table. */
typedef struct {
    const gf_table *table; /* borrowed */
    gf_buf fields;         /* owned: what stands between SELECT and FROM */
    unsigned *columns;     /* owned: which column the i-th field is */
    unsigned count;
    bool lines;       /* rows become lines (line.h) where they can */
    gf_value *row;    /* owned: a slot for each column, ABSENT where it is not read */
    uint64_t *claims; /* owned: scratch */
    gf_arena arena;   /* of one row's values */
} gf_rows;

/* All columns that are written or that a unique key needs, or those of `key` alone. lines: for a target that takes LOAD DATA. */
void gf_rows_init(gf_rows *r, const gf_table *t, const gf_key *key, gf_flavor flavor, bool lines);
void gf_rows_free(gf_rows *r); /* back to {0} */
/* Are the result's fields of the columns' types? A table may be altered on the source before the stream tells. DATA error
   ER_TABLE_DEF_CHANGED; ask it before the first row. */
GF_MUST_CHECK bool gf_rows_fit(const gf_rows *r, MYSQL_RES *res, gf_error *err);
/* The fields of a result row as values in r->row, valid until the next call. */
void gf_rows_parse(gf_rows *r, MYSQL_ROW row, const unsigned long *lengths);
/* Parses and adds to the chunk; keyless rows get no key and no claim. */
void gf_rows_add(gf_chunk *c, gf_rows *r, MYSQL_ROW row, const unsigned long *lengths);
/* What the chunk takes in memory now. */
size_t gf_chunk_memory(const gf_chunk *c);
/* Gives back what the growing buffers hold beyond their contents, and sets chunk->bytes. */
void gf_chunk_trim(gf_chunk *c);

#endif

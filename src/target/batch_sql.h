/* SPDX-License-Identifier: MIT */
/*
 * batch_sql.h - a batch or a chunk as few multi-row statements.
 *
 * Pure: makes text and says what the server's answer must be; whoever runs the statements compares.
 * Threads: none.
 */
#ifndef GFREPLICA_TARGET_BATCH_SQL_H
#define GFREPLICA_TARGET_BATCH_SQL_H

#include "gfreplica/batch.h"

typedef struct {
    size_t aim;         /* bytes: a statement is closed before it would exceed them */
    size_t packet;      /* the target's max_allowed_packet: what no statement may exceed */
    const char *prefix; /* in front of every statement, "" for nothing */
    bool single;        /* one row a statement: to find the row that differs */
    bool unlike;        /* the target may hold strings equal that the source tells apart, or the other way round */
    /* No row takes another one's place in a unique key; but where changes come again. The sums alone would not tell: a row
       that comes out as it was counts less than it may, and hides one that counts more. */
    bool guards;
    bool fresh; /* what the batch inserts is not there yet */
    /* Of a batch only the changes whose held[] is `want` (overlap.h); NULL: all. */
    const bool *held;
    bool want;
} gf_sql_options;

typedef struct {
    const gf_table *table;
    gf_slice sql; /* borrowed until the callback returns */
    bool deletes; /* else it inserts or replaces */
    bool relaxed; /* to be run without strict mode */
    gf_slice key; /* canonical key of its first row; none for keyless tables */
    unsigned rows;
    /* Bounds of the affected rows. They hold for the sum over the table's statements of this kind: what one of them
       misses, a unique value or a key that only differs in case may have made another do. */
    uint64_t least, most;
    bool last;  /* of the table's statements of this kind */
    bool alone; /* its own count must be within the bounds: there is no other like it */
    bool sure;  /* the bounds hold whether the source's rows are all there or not */
    bool
        compares; /* finds, by a DELETE that has to find nothing, rows for which the target has computed something else */
} gf_stmt;

typedef bool gf_stmt_fn(void *ctx, const gf_stmt *stmt, gf_error *err);

/* Net effect of the batch. False with the callback's error, or CONFIG for a row that max_allowed_packet forbids. */
GF_MUST_CHECK bool gf_batch_sql(const gf_batch *b, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err);
/* What the target has computed for the chunk's rows; after they are written. */
GF_MUST_CHECK bool gf_chunk_computed_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx,
                                         gf_error *err);
/* The rows of the chunk that rule M4 has left, those apart that are lines; none of them is there already. */
GF_MUST_CHECK bool gf_chunk_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err);
/* Takes away what the target has under the keys of those rows, the same to the byte, whatever it is. */
GF_MUST_CHECK bool gf_chunk_clear_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx,
                                      gf_error *err);

/* "shop.orders (id=42)" for messages; just the table when there is no key. Appended. */
void gf_row_label(gf_buf *out, const gf_table *t, gf_slice key);

#endif

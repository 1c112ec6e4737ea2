/* SPDX-License-Identifier: MIT */
/*
 * load.h - a chunk's lines through LOAD DATA LOCAL INFILE, from memory.
 *
 * Threads: as the connection's.
 */
#ifndef GFREPLICA_TARGET_LOAD_H
#define GFREPLICA_TARGET_LOAD_H

#include "batch_sql.h"
#include "gfreplica/server.h"

/* What the server is reading now: the handlers' context. {0}: nothing, whatever it asks for is refused. */
typedef struct {
    const gf_chunk *chunk; /* borrowed while the statement runs */
    size_t row, stop;      /* next row to look at, where to end */
    size_t at, end;        /* the run of rows being sent, offsets into chunk->text */
} gf_load_feed;

/* From now on the connection serves `feed` (borrowed, as long as the connection lives). */
void gf_load_serve(MYSQL *db, gf_load_feed *feed);

/* REPLACE those of the chunk's rows [from, to) that are lines and that rule M4 has left; *rows is how many, *replaced how
   many rows had to go for them. The caller says in front of an error what was written, and looks at the warnings. */
GF_MUST_CHECK bool gf_load_rows(uint64_t *rows, uint64_t *replaced, MYSQL *db, gf_load_feed *feed, const gf_chunk *c,
                                size_t from, size_t to, const gf_sql_options *o, gf_error *err);

#endif

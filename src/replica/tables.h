/* SPDX-License-Identifier: MIT */
/*
 * tables.h - the table maps of the running statement, and the rows events that refer to them.
 *
 * A map lives until a rows event ends its statement. Rows of tables that the filter does not select are passed over
 * unread; a selected table that we have no definition for, or another one than the event's, is an error.
 *
 * Threads: the decoder's.
 */
#ifndef GFREPLICA_REPLICA_TABLES_H
#define GFREPLICA_REPLICA_TABLES_H

#include "event.h"

typedef struct gf_tables gf_tables;

/* One row; as gf_sink.row. */
typedef bool gf_row_handler(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                            unsigned event_flags, gf_error *err);

gf_tables *gf_tables_new(gf_catalog *catalog, const gf_filter *filter); /* both borrowed */
void gf_tables_free(gf_tables *ts);
void gf_tables_clear(gf_tables *ts);

GF_MUST_CHECK bool gf_tables_map(gf_tables *ts, const gf_event *ev, gf_error *err);
/* Calls `row` for each row of a selected table. */
GF_MUST_CHECK bool gf_tables_rows(gf_tables *ts, const gf_event *ev, gf_row_handler *row, void *ctx, gf_error *err);

#endif

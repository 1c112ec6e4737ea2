/* SPDX-License-Identifier: MIT */
/*
 * barrier.h - a definition statement of the source, repeated on the target at its place in the stream (rule C4).
 *
 *     gf_barrier_allows     nothing touched; DATA error that says why it can't be repeated exactly
 *     (everything before it is committed)
 *     gf_barrier_run        pending in the marker, executed, definitions read back, ranges follow, SQL for the marker
 *     (the batch with that SQL and the position behind the statement is committed)
 *     gf_barrier_end        the place is left
 *
 * Threads: the stream thread's, but for gf_barrier_stop.
 */
#ifndef GFREPLICA_JOB_BARRIER_H
#define GFREPLICA_JOB_BARRIER_H

#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "gfreplica/target.h"
#include "indexes.h"

typedef struct gf_barrier gf_barrier;

typedef struct {
    const gf_config *config; /* borrowed, like all here, and outlives the barrier */
    const gf_server_info *source, *target;
    gf_catalog *catalog;
    gf_plan *plan;
    gf_marker *marker;
    gf_indexes *indexes; /* NULL: no table lacks any */
    gf_slice pending;    /* what the marker held when the attempt began; no data: nothing */
    /* Where the source's binlog ended when the catalog was read from it: what altered a definition before is in the
       catalog already. file "": the catalog is of the position. */
    const char *schema_file;
    uint64_t schema_offset;
    /* Rule K: is a change that starts there in the table's snapshot already? */
    bool (*in_snapshot)(void *ctx, const gf_table *t, const char *file, uint64_t offset);
    /* The schemas that the job holds are behind one more DDL from here on: called before the first of them changes. */
    void (*passing)(void *ctx);
    void *ctx;
} gf_barrier_options;

gf_barrier *gf_barrier_new(const gf_barrier_options *opt);
void gf_barrier_free(gf_barrier *b); /* NULL is fine */

/* Some object of it is selected. May it be repeated? */
GF_MUST_CHECK bool gf_barrier_allows(const gf_barrier *b, const gf_statement *s, const gf_txn_info *txn, gf_error *err);
/* Between gf_merger_enter and _leave, with nothing in flight. What the marker has to learn is added to `batch`. */
GF_MUST_CHECK bool gf_barrier_run(gf_barrier *b, const gf_statement *s, const gf_txn_info *txn, gf_merger *merger,
                                  gf_batch *batch, gf_error *err);
void gf_barrier_end(gf_barrier *b);
/* Breaks what it waits for; it fails then. From any thread. */
void gf_barrier_stop(gf_barrier *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * builder.h - the stream's row changes as batches for the applier.
 *
 * Neighbouring source transactions are gathered in one batch, whole and in order. A transaction that is larger than
 * a batch leaves in pieces. Threads: the stream thread alone.
 */
#ifndef GFREPLICA_JOB_BUILDER_H
#define GFREPLICA_JOB_BUILDER_H

#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "gfreplica/target.h"

typedef struct {
    /* Set before the first transaction. */
    gf_applier *applier; /* borrowed */
    unsigned max_rows, max_bytes;

    gf_batch *batch;                           /* owned: what is being gathered, NULL when nothing is */
    size_t txn_changes, txn_claims, txn_bytes; /* where the current transaction starts in it */
    bool in_pieces;                            /* the current transaction has sent a piece already */
    bool exact;
    gf_buf scratch;                  /* owned */
    struct gf_savepoint *savepoints; /* owned, of the current transaction */
    size_t savepoint_count, savepoint_cap;
} gf_builder;

void gf_builder_begin(gf_builder *b, const gf_txn_info *txn);
/* Adds one change; records its keys in the merger (rule M1). May submit a piece. */
GF_MUST_CHECK bool gf_builder_row(gf_builder *b, gf_merger *merger, const gf_table *t, gf_op op, const gf_value *before,
                                  const gf_value *after, gf_error *err);
GF_MUST_CHECK bool gf_builder_savepoint(gf_builder *b, gf_slice name, bool rollback_to, gf_error *err);
/* The transaction is complete: the batch may be submitted from now on. */
GF_MUST_CHECK bool gf_builder_commit(gf_builder *b, const gf_position *end, uint64_t commit_us, gf_error *err);
/* The transaction is undone, but for what it did to tables of engines without transactions: that stays. */
GF_MUST_CHECK bool gf_builder_rollback(gf_builder *b, gf_error *err);
/* All of the current transaction's changes go: they are kept elsewhere (XA). */
void gf_builder_withdraw(gf_builder *b);
/* Keys of the changes from this one on go into the merger (those that did not come through gf_builder_row). */
void gf_builder_record(gf_builder *b, gf_merger *merger, size_t change);
/* The position moved without a change. */
void gf_builder_moved(gf_builder *b, const gf_position *pos);
bool gf_builder_full(const gf_builder *b);                          /* submit it now */
bool gf_builder_untouched(const gf_builder *b);                     /* the current transaction has no change so far */
bool gf_builder_fresh(const gf_builder *b);                         /* has neither a change nor a position */
bool gf_builder_changes(const gf_builder *b);                       /* holds row changes */
GF_MUST_CHECK bool gf_builder_submit(gf_builder *b, gf_error *err); /* nothing to do when empty */
void gf_builder_free(gf_builder *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * xa.h - XA transactions between PREPARE and their end (rule S4).
 *
 * A prepared transaction's rows are in the binlog at PREPARE but count at COMMIT. Until then its changes are kept, as
 * one block of bytes, in the marker (in the transaction that passes PREPARE's position) and here.
 * Threads: the stream thread's alone.
 */
#ifndef GFREPLICA_JOB_XA_H
#define GFREPLICA_JOB_XA_H

#include "gfreplica/target.h"

typedef struct {
    gf_marker_xa *items; /* owned */
    size_t count;
    size_t bytes;
} gf_xa_store;

/* The prepared transactions that the marker knows; copied. */
void gf_xa_load(gf_xa_store *s, const gf_marker_xa *items, size_t count);
/* Keeps the changes and claims of `b` from these counts on; they stay in b too. DATA error beyond 64 MiB in all. */
GF_MUST_CHECK bool gf_xa_keep(gf_xa_store *s, gf_slice xid, const gf_batch *b, size_t change, size_t claim,
                              gf_error *err);
/* The kept block, borrowed until the next change of the store; NULL data: unknown. */
gf_slice gf_xa_find(const gf_xa_store *s, gf_slice xid);
/* Appends what the block holds to the batch; tables by name. DATA error for a block that makes no sense. */
GF_MUST_CHECK bool gf_xa_unpack(gf_batch *b, gf_slice block, gf_catalog *catalog, gf_error *err);
void gf_xa_drop(gf_xa_store *s, gf_slice xid);
void gf_xa_free(gf_xa_store *s);

#endif

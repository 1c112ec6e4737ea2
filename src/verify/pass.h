/* SPDX-License-Identifier: MIT */
/*
 * pass.h - walk over a part of a table on both sides at once, and collect the keys of rows that look unlike.
 *
 * Threads: one at a time, the pair's.
 */
#ifndef GFREPLICA_VERIFY_PASS_H
#define GFREPLICA_VERIFY_PASS_H

#include "settle.h"

/* {0} before a walk; kept from chunk to chunk, and when one failed: it is read again. */
typedef struct {
    gf_place lead;         /* the side whose key order is walked in */
    bool ordered;          /* so does the other side (gf_pair_ordered): one walk will do */
    gf_slice lower, upper; /* borrowed canonical keys: (lower, upper]; no data = open */
    gf_buf cursor;         /* owned: how far we are; empty: at lower */
    unsigned limit;        /* rows of the next chunk; 0: not known yet */
    bool last;             /* the walk is over */
    bool overflow;         /* the other side has far more rows: settle, then the chunk comes again */
    gf_rowset rows[2];     /* owned: of this chunk */
    uint64_t compared;     /* rows of the leading side */
} gf_pass;

/* Reads the next chunk on both sides. */
GF_MUST_CHECK bool gf_pass_chunk(gf_suspects *out, gf_pass *w, gf_pair *p, gf_error *err);
void gf_pass_free(gf_pass *w); /* back to {0} */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * settle.h - rows that looked unlike: is it a change on its way, or a difference? (rule V)
 *
 * Threads: one at a time, the pair's.
 */
#ifndef GFREPLICA_VERIFY_SETTLE_H
#define GFREPLICA_VERIFY_SETTLE_H

#include "pair.h"

typedef enum { GF_OPEN, GF_ALIKE, GF_UNLIKE } gf_verdict;

typedef struct {
    gf_slice key; /* in the list's arena; none: the whole of a table without identity */
    gf_verdict verdict;
    gf_digest before, there, after; /* of this round: source, target, source; {0}: no such row */
    gf_digest struck_source, struck_target;
    unsigned strikes; /* rounds in a row in which they were those two, and unlike */
    bool read;        /* in this round */
} gf_suspect;

/* {0} is an empty list. */
typedef struct {
    gf_suspect *list; /* owned */
    size_t count, cap;
    gf_arena keys;
} gf_suspects;

void gf_suspects_add(gf_suspects *s, gf_slice key); /* copied */
void gf_suspects_clear(gf_suspects *s);
void gf_suspects_free(gf_suspects *s); /* back to {0} */

/* Gives each its verdict; GF_OPEN stays what changed too often. May be called again after a failure. */
GF_MUST_CHECK bool gf_settle(gf_suspects *s, gf_pair *p, gf_error *err);
/* The columns in which a row differs now, "`a`, `b`"; nothing when it is not on both sides any more. Appended. */
GF_MUST_CHECK bool gf_settle_columns(gf_buf *out, gf_pair *p, gf_slice key, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * status.h - what the status documents of this room share.
 */
#ifndef GFREPLICA_CONTROL_STATUS_H
#define GFREPLICA_CONTROL_STATUS_H

#include "gfreplica/state.h"

typedef enum { GF_TABLE_WAITING, GF_TABLE_COPYING, GF_TABLE_DONE } gf_table_progress;
gf_table_progress gf_status_table(const gf_state_table *t);
size_t gf_status_count(const gf_state *s, gf_table_progress progress); /* tables of that kind */
uint64_t gf_status_rows(const gf_state_table *t);

/* How long the source will still keep what the job needs next: *until_ms, wall clock, at least; 0: for ever. False when
   that is not known, or of no interest: the job is done. */
bool gf_status_kept(uint64_t *until_ms, const gf_state *s);

#endif

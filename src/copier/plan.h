/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what merger and readers need of the plan and nobody else: where a range's reading goes on.
 *
 * The cursor of a range moves forward when a chunk is handed over and back when one is thrown. Both are done by the
 * merger under its own lock, which is taken before the plan's.
 */
#ifndef GFREPLICA_COPIER_PLAN_H
#define GFREPLICA_COPIER_PLAN_H

#include "gfreplica/copier.h"

/* Where the next chunk of `r` starts, copied; its table's definition; was it put back since the last call? False when
   there is nothing left to read. */
bool gf_plan_next(gf_buf *cursor, const gf_table **t, bool *again, gf_plan *p, gf_range *r);
void gf_plan_advance(gf_plan *p, gf_range *r, gf_slice cursor, bool last);
/* Chunks from `cursor` on are to be read again. Empty: from the range's start. */
void gf_plan_put_back(gf_plan *p, gf_range *r, gf_slice cursor);
bool gf_plan_keyed_read(gf_plan *p); /* every range but those of keyless tables was read to its end */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * overlap.h - which changes of a batch have to wait for the batches before it (rule C1).
 *
 * Pure. Threads: none.
 */
#ifndef GFREPLICA_TARGET_OVERLAP_H
#define GFREPLICA_TARGET_OVERLAP_H

#include "gfreplica/batch.h"

/* held[i] of the batch's change i: it has one of the contested claims, or shares one with a change that is held, or its
   claims are not known. So what is held and what is not have no key and no unique value in common. Owned by the
   caller. */
bool *gf_overlap(const gf_batch *b, const uint64_t *contested, size_t count);

#endif

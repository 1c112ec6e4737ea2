/* SPDX-License-Identifier: MIT */
/*
 * found.h - tables that the target had before the job began, and the keys of the source's that they lack.
 *
 * Emptied or filled by another job, restored, or made by hand: unique keys must be the source's (gf_target_create), others
 * may lack, which nobody would notice before the applications do.
 *
 * Threads: the main thread's alone, before any other starts.
 */
#ifndef GFREPLICA_JOB_FOUND_H
#define GFREPLICA_JOB_FOUND_H

#include "internal.h"

typedef struct {
    const gf_table *const *tables; /* borrowed, like all here; count of them */
    size_t count;
    const bool *missing; /* missing[i]: the target has no tables[i] */
    const char *why_not; /* no index may be built later, because of this; NULL: may be */
} gf_found;

/* Sets deferred[i] where tables[i] is there and lacks keys that are built after its rows; what is not built is warned of,
   with its reason. Those that are set already are left so. */
GF_MUST_CHECK bool gf_found_choose(bool *deferred, gf_job *j, const gf_found *f, gf_error *err);

#endif

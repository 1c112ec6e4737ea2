/* SPDX-License-Identifier: MIT */
/*
 * indexes.h - the indexes that were left for later: chosen at the start, built when a table's rows are copied.
 *
 * Which tables may lack some is in the marker before they are made; which indexes they lack is asked of the target. So
 * there is nothing to lose: a run that was killed leaves its notes, and the next one looks again.
 */
#ifndef GFREPLICA_JOB_INDEXES_H
#define GFREPLICA_JOB_INDEXES_H

#include "gfreplica/copier.h"
#include "gfreplica/target.h"

typedef struct gf_indexes gf_indexes;

typedef struct {
    const gf_config *config; /* borrowed, like all here, and outlives the builders */
    const gf_deferral *deferral;
    const gf_marker *marker;
    gf_plan *plan;
    const gf_table *const *tables; /* that may lack indexes; count of them */
    size_t count;
} gf_indexes_options;

typedef struct {
    const gf_config *config; /* borrowed, like all here */
    const gf_deferral *deferral;
    bool allowed;                  /* it may be done at all */
    const gf_table *const *tables; /* count of them */
    const bool *missing;           /* missing[i]: the target has no tables[i] */
    size_t count;
    const gf_marker_table *noted; /* of the marker, in its order */
    size_t noted_count;
} gf_indexes_choice;

/* deferred[i]: tables[i] is to be made without them, because that pays and is allowed, or was made so by a start that was
   broken off. */
GF_MUST_CHECK bool gf_indexes_choose(bool *deferred, const gf_indexes_choice *c, gf_error *err);

/* Threads that build, at most config->copy_writers: none when there is nothing to do, which gives NULL. */
GF_MUST_CHECK bool gf_indexes_start(gf_indexes **out, const gf_indexes_options *opt, gf_error *err);
/* Looks which tables' rows are all there: their indexes are built from now on. Again and again. */
void gf_indexes_look(gf_indexes *x);
/* Before a schema change, which is meant for tables as the source has them: builds what is missing of all of them, copied
   or not, and waits for it. From the stream's thread. STOPPED by gf_indexes_stop; NULL is fine. */
GF_MUST_CHECK bool gf_indexes_finish(gf_indexes *x, gf_error *err);
/* How many of the tables are finished; NULL: none of none. */
void gf_indexes_count(gf_indexes *x, size_t *done, size_t *total);
bool gf_indexes_failed(gf_indexes *x, gf_error *err);
/* Breaks the links and returns at once; what a server has begun it goes on with. From any thread. */
void gf_indexes_stop(gf_indexes *x);
void gf_indexes_join(gf_indexes *x); /* waits, frees; NULL is fine */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * in_memory.h - tables of the engine MEMORY, which a restart of their server empties.
 *
 * Threads: the main thread's alone, but for is_emptied, which belongs to whoever has the catalog.
 */
#ifndef GFREPLICA_JOB_IN_MEMORY_H
#define GFREPLICA_JOB_IN_MEMORY_H

#include "gfreplica/decoder.h"
#include "internal.h"

/* Is it the statement that a restarted source logs when such a table is opened for the first time? */
bool gf_memory_is_emptied(gf_catalog *c, const gf_statement *s);
/* False, with what to do now that the source's are empty: RETRY, and the next attempt copies them again; DATA where that
   can't be. Once everything before the emptying is applied. */
GF_MUST_CHECK bool gf_memory_again(gf_job *j, gf_error *err);
/* At the cutover's end position: as many rows on both sides? It need not have been logged. Else as memory_again, once. */
GF_MUST_CHECK bool gf_memory_counts(gf_job *j, gf_error *err);

/* A job that begins: what it is going to write there is not lost yet. */
GF_MUST_CHECK bool gf_memory_begin(gf_job *j, gf_error *err);
/* A job that goes on: where the target has lost them they are copied again, in the marker and in *m. */
GF_MUST_CHECK bool gf_memory_resume(gf_job *j, gf_marker_content *m, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * in_memory.h - tables of the engine MEMORY, which a restart of their server empties.
 *
 * Threads: the main thread's alone, at the start of an attempt: a restart ends all connections.
 */
#ifndef GFREPLICA_JOB_IN_MEMORY_H
#define GFREPLICA_JOB_IN_MEMORY_H

#include "internal.h"

/* A server that has emptied such a table writes TRUNCATE TABLE to its binlog when somebody opens it for the first time: we
   do. RETRY or CONFIG error of the source's. */
GF_MUST_CHECK bool gf_memory_open_all(gf_job *j, gf_error *err);
/* A job that begins: what it is going to write there is not lost yet. */
GF_MUST_CHECK bool gf_memory_begin(gf_job *j, gf_error *err);
/* A job that goes on: where the target has lost them they are copied again, in the marker and in *m. */
GF_MUST_CHECK bool gf_memory_resume(gf_job *j, gf_marker_content *m, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * hidden_ddl.h - schema changes that the source's binlog does not have.
 *
 * Threads: the main thread's alone.
 */
#ifndef GFREPLICA_JOB_HIDDEN_DDL_H
#define GFREPLICA_JOB_HIDDEN_DDL_H

#include "internal.h"

/* At the cutover's end position: the source's tables have the columns by which their rows were read. DATA error that
   names the first that has not, is gone or is new. */
GF_MUST_CHECK bool gf_hidden_ddl_none(gf_job *j, gf_error *err);

#endif

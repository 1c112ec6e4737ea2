/* SPDX-License-Identifier: MIT */
/*
 * anew.h - see anew.c. All of it is the main thread's, between attempts.
 */
#ifndef GFREPLICA_JOB_ANEW_H
#define GFREPLICA_JOB_ANEW_H

#include "internal.h"

/* The checkpoint knows of a job that the target's marker does not: *yes, its tables are all there, and empty. */
GF_MUST_CHECK bool gf_anew_possible(bool *yes, gf_job *j, gf_error *err);
/* From here on the job has not begun: neither for this process nor for a later one. */
GF_MUST_CHECK bool gf_anew_forget(gf_job *j, gf_error *err);
/* Tables that the target has from the first beginning, and the source has not any more. */
void gf_anew_tell_dropped(const gf_job *j, gf_catalog *before);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * job.h - one move from start to done: starting -> copying -> streaming -> cutover -> done.
 *
 * Threads: gf_job_run is called by main; the gf_job_* requests may be called from any thread (control, signals).
 */
#ifndef GFREPLICA_JOB_H
#define GFREPLICA_JOB_H

#include "gfreplica/config.h"
#include "gfreplica/state.h"

typedef struct gf_job gf_job;

/* Exit codes: an interface, documented in docs/operations.md. */
typedef enum {
    GF_EXIT_DONE = 0,
    GF_EXIT_USAGE = 1,        /* wrong flags or configuration file */
    GF_EXIT_REFUSED = 2,      /* preflight or configuration refused by the servers; nothing was changed */
    GF_EXIT_INTERRUPTED = 3,  /* stopped by a signal or `stop`; the same command resumes */
    GF_EXIT_FAILED = 4,       /* failed, resumable */
    GF_EXIT_FAILED_FINAL = 5, /* failed, not resumable */
    GF_EXIT_MISMATCH = 6      /* verification found a difference */
} gf_exit;

gf_job *gf_job_new(gf_config *config); /* borrows config */
int gf_job_run(gf_job *j);             /* returns a gf_exit */
int gf_job_receive(gf_job *j);         /* only fills the relay, needs no target; likewise */
void gf_job_free(gf_job *j);

/* `gfreplica verify`: compares the rows of source and target, of a job that streams or is done. The report, as text or JSON,
   is appended; returns a gf_exit. *err is filled when that is REFUSED, or FAILED with an empty report. */
int gf_job_verify(gf_buf *report, gf_config *config, bool json, gf_error *err);

void gf_job_stop(gf_job *j, const char *why); /* at the next transaction boundary; twice: at once */
/* As if AutomaticCutover had been set. True when the checkpoint has it, so that a run resumed after a crash goes on with
   it; false when that takes longer than two seconds (between attempts nothing is saved): then only this process knows. */
GF_MUST_CHECK bool gf_job_cutover(gf_job *j);
void gf_job_no_cutover(gf_job *j); /* what gf_job_cutover asked for is forgotten */
void gf_job_pause(gf_job *j, bool paused);
/* For the status of a job that does not run: asks its source, where the configuration names one that answers, how long it
   will keep what the job needs. */
void gf_job_ask_source(const gf_config *c, gf_state *s);
/* A copy of the current state, without table schemas. Owned by the caller (gf_state_free). */
void gf_job_state(gf_job *j, gf_state *out);

#endif

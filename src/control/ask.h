/* SPDX-License-Identifier: MIT */
/*
 * ask.h - what can be asked of a running job, the same over HTTP and over the socket.
 *
 * Threads: any; it calls only what job.h and config.h allow from any thread.
 */
#ifndef GFREPLICA_CONTROL_ASK_H
#define GFREPLICA_CONTROL_ASK_H

#include "gfreplica/control.h"

typedef enum {
    GF_ASK_STATUS,
    GF_ASK_PAUSE,
    GF_ASK_RESUME,
    GF_ASK_CUTOVER,   /* now, or as soon as the copy is complete; not taken back */
    GF_ASK_AUTOMATIC, /* AutomaticCutover on: the same, until it is set off again */
    GF_ASK_MANUAL,    /* AutomaticCutover off */
    GF_ASK_STOP
} gf_ask;

/* Both borrowed; they outlive the control. */
typedef struct {
    gf_config *config;
    gf_job *job;
} gf_asked;

/* The request of that name: "cutover", "pause", "resume", "stop", "status". */
bool gf_ask_parse(gf_ask *out, const char *name);

/* Does it and appends one line of JSON: the status document, or {"Message": what happens now, "Stage": ...}.
   CONFIG error when the stage does not allow it any more. `via` is for the log: "http", "control.sock". */
GF_MUST_CHECK bool gf_ask_do(gf_buf *answer, const gf_asked *asked, gf_ask ask, const char *via, gf_error *err);

/* {"Error": text} as a line. Appended. */
void gf_ask_refusal(gf_buf *answer, const char *text);

#endif

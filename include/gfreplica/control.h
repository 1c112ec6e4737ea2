/* SPDX-License-Identifier: MIT */
/*
 * control.h - talk to a running job: HTTP on loopback (Ghostferry's paths) and DIR/control.sock.
 *
 * Threads: libmicrohttpd's own; it calls only what job.h allows from any thread.
 */
#ifndef GFREPLICA_CONTROL_H
#define GFREPLICA_CONTROL_H

#include "gfreplica/job.h"

typedef struct gf_control gf_control;

/* HTTP on config->control_bind (if enabled) and the unix socket control.sock in the checkpoint directory, mode 0600.
   A port in use is a warning when it is the default one, an error when it was configured. The caller holds the
   directory's lock. config is borrowed; only its gf_live is written. */
GF_MUST_CHECK bool gf_control_start(gf_control **out, gf_config *config, gf_job *job, gf_error *err);
/* "127.0.0.1:8000" or "" */
const char *gf_control_address(const gf_control *c);
void gf_control_stop(gf_control *c); /* NULL is fine */

/* Client side: one request to the job that runs on `dir`; the JSON answer is appended to *answer (may be NULL).
   CONFIG error when no job runs there. request: "cutover", "pause", "resume", "stop", "status". */
GF_MUST_CHECK bool gf_control_request(gf_buf *answer, const char *dir, const char *request, gf_error *err);

/* A state as Ghostferry's status document with our own fields beside its: one line of JSON. Appended. */
void gf_control_status_json(gf_buf *out, const gf_state *s);
/* Its progress document: what the progress callback carries; custom_payload comes back in it (may be NULL). */
void gf_control_progress_json(gf_buf *out, const gf_state *s, const char *custom_payload);
/* For people: stage, tables, lag, rate, ETA, the last stop's cause, what to do next. Some 30 lines at most. Appended. */
void gf_control_status_text(gf_buf *out, const gf_state *s);

/* Does the process that wrote this state still run here? A process id may have been given to another program
   since: good enough for a status, no ground for a decision. */
bool gf_status_alive(const gf_state *s);

/* POST {"Payload": payload_json}, the configured payload when that is NULL; true on status 200, no redirects, 10 s in
   all. https is verified against the system's certificates. CONFIG error for a URI or certificate that is wrong, RETRY
   for the rest. */
GF_MUST_CHECK bool gf_callback_post(const gf_callback_config *cb, const char *payload_json, gf_error *err);
/* The same, given up (STOPPED) as soon as *stop is not 0. */
GF_MUST_CHECK bool gf_callback_post_unless(const gf_callback_config *cb, const char *payload_json,
                                           const atomic_uint *stop, gf_error *err);

#endif

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
   A port in use is a warning when it is the default one, an error when it was configured. */
GF_MUST_CHECK bool gf_control_start(gf_control **out, const gf_config *config, gf_job *job, gf_error *err);
/* "127.0.0.1:8000" or "" */
const char *gf_control_address(const gf_control *c);
void gf_control_stop(gf_control *c); /* NULL is fine */

/* Client side: one request to the job that runs on `dir`; the JSON answer is appended to *answer (may be NULL).
   CONFIG error when no job runs there. request: "cutover", "pause", "resume", "stop", "status". */
GF_MUST_CHECK bool gf_control_request(gf_buf *answer, const char *dir, const char *request, gf_error *err);

/* Ghostferry's status document (compat section 5.8/5.9) of a state. Appended. */
void gf_control_status_json(gf_buf *out, const gf_state *s);

/* POST a callback; true on status 200. RETRY error otherwise. Plain http only; timeout 10 s. */
GF_MUST_CHECK bool gf_callback_post(const gf_callback_config *cb, const char *payload_json, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * http.h - the job over HTTP: Ghostferry's paths.
 *
 *   GET  /              names the paths
 *   GET  /api/status    the status document
 *   POST /api/pause /api/unpause /api/stop
 *   POST /api/cutover   type=automatic|manual as form or JSON sets AutomaticCutover; no type: cut over
 *   GET, POST /api/config   {"DataIterationBatchSize": N}
 *   POST /api/verify /api/script   501: not over HTTP
 *
 * Threads: one of libmicrohttpd's, started and joined here.
 */
#ifndef GFREPLICA_CONTROL_HTTP_H
#define GFREPLICA_CONTROL_HTTP_H

#include "ask.h"
#include "listen.h"

typedef struct gf_http gf_http;

/* Takes listener->fd, also on failure. */
GF_MUST_CHECK bool gf_http_start(gf_http **out, const gf_listener *listener, const gf_asked *asked, gf_error *err);
const char *gf_http_address(const gf_http *h); /* "127.0.0.1:8000" */
/* No new requests; those being answered get up to a second to finish, so that who asked for the stop hears of it. */
void gf_http_stop(gf_http *h); /* NULL is fine */

#endif

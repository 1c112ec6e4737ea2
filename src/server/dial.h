/* SPDX-License-Identifier: MIT */
/*
 * dial.h - a connection that is coming about, and can be given up.
 *
 * Between begin and end the call's socket is known here, so that gf_server_interrupt, from whatever thread, ends its
 * waiting: for a name that does not answer, a greeting that does not come, a session that is being set up.
 *
 * Threads: a gf_dial is its caller's, but for what the list of all of them does under its lock.
 */
#ifndef GFREPLICA_SERVER_DIAL_H
#define GFREPLICA_SERVER_DIAL_H

#include "gfreplica/server.h"

enum { GF_CONNECT_TIMEOUT = 10 }; /* seconds, where the configuration gives none */

typedef struct gf_dial {
    gf_lifeline lifeline;
    struct gf_dial *next;
} gf_dial;

void gf_dial_begin(gf_dial *d);
void gf_dial_end(gf_dial *d);

/* This is the socket now (-1: none yet). It is broken at once if everything was interrupted before. */
void gf_dial_socket(gf_dial *d, int fd);

/* Has gf_server_interrupt been called? */
bool gf_dial_interrupted(void);

/* mysql_real_connect, which reports its errors as ever, but within connect_timeout in all and not after an interrupt. */
GF_MUST_CHECK bool gf_dial_connect(gf_dial *d, MYSQL *db, const gf_server_config *cfg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the job over DIR/control.sock: one line asked, one line of JSON answered.
 *
 * Only the job's own user may connect (mode 0600 in a directory of mode 0700).
 *
 * Threads: one of its own, started and joined here; requests are served one after the other.
 */
#ifndef GFREPLICA_CONTROL_SOCKET_H
#define GFREPLICA_CONTROL_SOCKET_H

#include <sys/un.h>

#include "ask.h"

#define GF_CONTROL_SOCKET "control.sock"

typedef struct gf_socket gf_socket;

/* The caller holds the checkpoint directory's lock: a socket that is there already is a dead process's. */
GF_MUST_CHECK bool gf_socket_start(gf_socket **out, const char *dir, const gf_asked *asked, gf_error *err);
/* Ends after the request being answered, at most a second; removes the socket. */
void gf_socket_stop(gf_socket *s); /* NULL is fine */

/* Fills the address of DIR/control.sock. *dir_fd is owned by the caller (-1 when not needed): the address is only
   good while it is open. */
GF_MUST_CHECK bool gf_socket_address(struct sockaddr_un *out, int *dir_fd, const char *dir, gf_error *err);

#endif

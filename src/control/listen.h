/* SPDX-License-Identifier: MIT */
/*
 * listen.h - a listening TCP socket from "host:port".
 */
#ifndef GFREPLICA_CONTROL_LISTEN_H
#define GFREPLICA_CONTROL_LISTEN_H

#include "gfreplica/error.h"

typedef struct {
    int fd;            /* owned by the caller */
    bool loopback;     /* only this machine can reach it */
    char host[256];    /* as given, without brackets */
    char address[300]; /* where it listens: numbers, with the port that was found for port 0 */
} gf_listener;

/* "127.0.0.1:8000", "[::1]:8000", "localhost:0"; an empty host (":8000") is every address. CONFIG error when the text
   or the address is wrong, its native EADDRINUSE when the port is taken. */
GF_MUST_CHECK bool gf_listen(gf_listener *out, const char *bind_to, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * lifeline.c - how one thread breaks another one's connection: by shutting down a duplicate of its socket.
 *
 * The library may close its own socket at any moment, and its number may be another file's then; the duplicate keeps its
 * number ours, and no memory of the library is touched. It is not handed on to programs that we start.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gfreplica/server.h"

void gf_lifeline_hold(gf_lifeline *l, int fd, bool stopping)
{
    if (l->held)
        close(l->fd);
    l->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    l->held = l->fd >= 0;
    if (stopping)
        gf_lifeline_break(l);
}

void gf_lifeline_break(const gf_lifeline *l)
{
    if (l->held)
        shutdown(l->fd, SHUT_RDWR);
}

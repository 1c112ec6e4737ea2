/* SPDX-License-Identifier: MIT */
/*
 * stop.h - ends a comparison from outside, also while a server hangs: the connections of all its threads, to be broken.
 *
 * Threads: all functions take an inner lock.
 */
#ifndef GFREPLICA_VERIFY_STOP_H
#define GFREPLICA_VERIFY_STOP_H

#include "gfreplica/server.h"

typedef struct gf_stop gf_stop;

gf_stop *gf_stop_new(size_t links);
void gf_stop_free(gf_stop *s); /* no link is held any more; NULL is fine */
/* The link of this slot from now on; NULL: none. Broken at once when all are to be. */
void gf_stop_hold(gf_stop *s, size_t slot, MYSQL *db);
void gf_stop_break(gf_stop *s); /* all links, those to come included */
void gf_stop_end(gf_stop *s);   /* the comparison is over */
/* Waits for that at most so long; false when it is not over. */
bool gf_stop_wait(gf_stop *s, unsigned ms);

#endif

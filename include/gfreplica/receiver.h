/* SPDX-License-Identifier: MIT */
/*
 * receiver.h - the thread that pulls the source's binlog into the relay, whatever the target does.
 *
 * A link that breaks is made anew from the relay's end, after a look at whether it is the same server with the same
 * history. What it cannot mend by itself ends it: gf_receiver_failed.
 *
 * Threads: started and stopped by one thread; the questions may come from any.
 */
#ifndef GFREPLICA_RECEIVER_H
#define GFREPLICA_RECEIVER_H

#include "gfreplica/relay.h"
#include "gfreplica/replica.h"

typedef struct gf_receiver gf_receiver;

typedef struct {
    gf_replica_options replica; /* server and strings borrowed, *info copied */
    gf_relay *relay;            /* borrowed; holds a place to go on from */
    unsigned retry_timeout;     /* seconds without a link until it gives up */
} gf_receiver_options;

GF_MUST_CHECK bool gf_receiver_start(gf_receiver **out, const gf_receiver_options *opt, gf_error *err);
bool gf_receiver_linked(gf_receiver *r); /* registered at the source and receiving */
/* It has ended. RETRY: what the source is has to be asked anew; else all that came before is in the relay. */
bool gf_receiver_failed(gf_receiver *r, gf_error *err);
/* Waits for the thread and frees it; NULL is fine. The source's id of the connection that it had, which the source notices
   to be gone with its next heartbeats; 0: none. */
unsigned long gf_receiver_stop(gf_receiver *r);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * writer.h - a thread with a connection to the target: takes items, writes them, commits them.
 *
 * Threads: a gf_writer belongs to its thread; socket and socket_lock alone are shared with whoever stops it.
 */
#ifndef GFREPLICA_TARGET_WRITER_H
#define GFREPLICA_TARGET_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "gfreplica/target.h"
#include "load.h"
#include "scheduler.h"
#include "sender.h"

/* What was committed since the start. */
typedef struct {
    atomic_uint_least64_t transactions, changes, chunks, rows;
} gf_counts;

typedef struct gf_writer {
    /* Set before the thread starts, only read afterwards. */
    const gf_applier_options *opt; /* borrowed */
    gf_sched *sched;               /* borrowed */
    gf_counts *counts;             /* borrowed */
    gf_lane lane;
    unsigned index; /* within its lane: a stream writer's slot in the marker */
    pthread_t thread;

    pthread_mutex_t socket_lock; /* guards the two below */
    gf_lifeline lifeline;        /* broken to wake the thread */
    bool interrupted;

    /* The thread's own. */
    MYSQL *db; /* owned */
    gf_sender sender;
    gf_load_feed feed;       /* of LOAD DATA */
    char *prefix;            /* owned: comment in front of every write, "" */
    const gf_table *cleared; /* of which a chunk last found rows that were there; only compared */
    unsigned clear_more;     /* so many more of its chunks are expected to */
} gf_writer;

/* Connect and set up the session, in the writer's thread. */
GF_MUST_CHECK bool gf_writer_open(gf_writer *w, gf_error *err);
/* Take and write until the scheduler says that it is time to end; failures go to it. */
void gf_writer_run(gf_writer *w);
void gf_writer_close(gf_writer *w);
/* From any thread: whatever the writer is waiting for from the server fails now. */
void gf_writer_interrupt(gf_writer *w);

#endif

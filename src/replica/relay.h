/* SPDX-License-Identifier: MIT */
/*
 * relay.h - the relay's inside, for the files that keep it: relay.c the files and who appends, relay_load.c what a start
 * finds, relay_read.c who reads.
 */
#ifndef GFREPLICA_REPLICA_RELAY_INTERNAL_H
#define GFREPLICA_REPLICA_RELAY_INTERNAL_H

#include "gfreplica/decoder.h"
#include "gfreplica/relay.h"
#include "gfreplica/thread.h"
#include "relay_file.h"

typedef struct {
    unsigned number;
    gf_position start;  /* owned */
    uint64_t head;      /* bytes of its head */
    uint64_t bytes;     /* all that readers may read */
    uint64_t passed_ms; /* when the target was first seen behind its end; 0: not yet */
} gf_relay_part;

struct gf_relay {
    /* Set at opening. */
    char *dir; /* owned */
    int folder;
    uint64_t limit, part_bytes; /* of all files, of one */

    /* The appending thread's. */
    int fd;                 /* of the last file; -1: none */
    unsigned number;        /* of the last file */
    uint64_t head, written; /* bytes of its head; of all that is in it */
    uint64_t boundary;      /* offset in it, `out` counted, of the end of the last whole transaction */
    gf_buf out;             /* records not written yet */
    uint64_t disk_left;     /* bytes until the disk's room is looked at again */
    bool exceeding;         /* the transaction at hand may go beyond the limit */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    gf_decoder *tracker;  /* owned: knows where transactions end; NULL while the relay is empty */
    gf_relay_part *parts; /* owned, oldest first */
    size_t count;
    uint64_t older;       /* bytes of all parts but the last */
    unsigned last_number; /* the highest that was ever used */
    char identity[128];
    gf_flavor flavor;
    gf_relay_state state;
    bool stopped;
    unsigned damaged; /* number of a file that is, 0: none known */
    uint64_t events;
    uint32_t timestamp;
    gf_relay_reader *reader; /* borrowed; NULL without one */
};

struct gf_relay_reader {
    gf_relay *relay;    /* borrowed */
    gf_relay_file file; /* the reading thread's */

    /* Guarded by the relay's lock. */
    uint64_t limit; /* how far its file may be read */
    bool more;      /* another file follows */
    bool waiting, kicked, broken;
    uint64_t idle_since_ms; /* while waiting */
};

/* A decoder that selects no table: it only follows files, transactions and GTIDs. */
gf_decoder *gf_relay_tracker(gf_flavor flavor, const gf_position *from);
uint32_t gf_relay_timestamp(gf_slice event, uint32_t before); /* of the event, `before` where it has none */

/* ---- relay_load.c ---- */
GF_MUST_CHECK bool gf_relay_load(gf_relay *r, gf_error *err); /* nobody appends or reads; parts are there */
void gf_relay_drop_parts(gf_relay *r, size_t first);          /* files and memory of parts[first] and later */

#endif

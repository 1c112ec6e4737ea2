/* SPDX-License-Identifier: MIT */
/*
 * replica.h - stand before a source as a replica and receive its binlog.
 *
 * gf_replica owns one replication connection: it registers (COM_REGISTER_SLAVE), asks for the dump from a
 * position, verifies checksums, watches heartbeats. It does not reconnect by itself: a broken link is an error
 * of kind RETRY and the caller opens anew from what it has consumed. Protocol: MySQL internals manual,
 * "Replication Protocol"; MariaDB Knowledge Base, "Replication protocol".
 *
 * Threads: one thread opens, reads and closes; gf_replica_stop may be called from any other.
 */
#ifndef GFREPLICA_REPLICA_H
#define GFREPLICA_REPLICA_H

#include "gfreplica/server.h"

typedef struct gf_replica gf_replica;

typedef struct {
    const gf_server_config *server; /* borrowed */
    const gf_server_info *info;     /* borrowed */
    unsigned server_id;
    const char *uuid; /* 36 characters */
    const char *report_host;
    unsigned report_port;
    unsigned heartbeat_ms;  /* a link that is silent for two of them is dead */
    bool by_file;           /* start at the position's file and offset although GTIDs are known */
    unsigned long *session; /* borrowed: the source's id of our last connection, 0 at first; is updated */
} gf_replica_options;

/* A server id that no replica and not the source itself uses; CONFIG error naming the clash when `wanted` is taken
   (by another UUID than ours) and stays so for patience_ms, in which the source notices that a replica is gone. Replicas of
   other programs that can't be listed (MariaDB, no grant) count as none. our_uuid NULL: we have never registered. */
GF_MUST_CHECK bool gf_replica_choose_id(unsigned *out, MYSQL *source, const gf_server_info *info, unsigned wanted,
                                        const char *our_uuid, unsigned patience_ms, gf_error *err);
/* The session `stream` takes the id for itself, as far as others of this program are concerned, until it ends; CONFIG when
   another holds it. What our UUID still has there is ended, unless it has come after *opt->session. */
GF_MUST_CHECK bool gf_replica_hold_id(MYSQL *stream, const gf_replica_options *opt, gf_error *err);
/* Is this very place in the source's binlog? *found false where the file is purged or not known. GONE when something else
   is there: after RESET MASTER, or on another server, the old names, offsets and GTIDs mean other transactions. */
GF_MUST_CHECK bool gf_replica_same_place(bool *found, MYSQL *source, const gf_server_info *info,
                                         const gf_position *from, gf_error *err);
/* Is what we need still there? GONE, naming what is missing, what is there, and the retention setting. */
GF_MUST_CHECK bool gf_replica_available(MYSQL *source, const gf_server_info *info, const gf_position *from,
                                        gf_error *err);
/* How long the source keeps a binlog file after its last event, in seconds; 0: for ever, as far as age goes. */
GF_MUST_CHECK bool gf_replica_retention(uint64_t *seconds, MYSQL *source, gf_error *err);
/* *found: the source has that binlog file; *newest: it is the one that is being written. */
GF_MUST_CHECK bool gf_replica_has_file(bool *found, bool *newest, MYSQL *source, const gf_server_info *info,
                                       const char *file, gf_error *err);
GF_MUST_CHECK bool gf_replica_open(gf_replica **out, const gf_replica_options *opt, const gf_position *from,
                                   gf_error *err);

/* The next event: header and body, checksum verified and cut off; borrowed until the next read.
   Heartbeats are handed out too (types 27 and 41). RETRY when the link broke, STOPPED after gf_replica_stop. */
GF_MUST_CHECK bool gf_replica_read(gf_slice *event, gf_replica *r, gf_error *err);
/* Has more of the stream arrived already? A guess that may be wrong both ways, for who gathers before writing. */
bool gf_replica_pending(gf_replica *r);
void gf_replica_stop(gf_replica *r);
void gf_replica_close(gf_replica *r); /* NULL is fine */

#endif

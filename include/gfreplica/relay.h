/* SPDX-License-Identifier: MIT */
/*
 * relay.h - what has been received from the source and not yet been committed on the target, in files.
 *
 * The relay is one unbroken piece of one source's history: whole transactions from its start on, and at its end perhaps
 * the beginning of one that is being received. Events are written before anyone reads them, so whatever dies, a restart
 * finds them, even if the source has purged its binlog meanwhile. Files: DIR/relay-N, mode 0600 (relay_file.h); those
 * that the target has passed are removed.
 *
 * Threads: one appends (the receiver), one reads, one (main) does the rest; gf_relay_begin and gf_relay_rewind only
 * while nobody appends.
 */
#ifndef GFREPLICA_RELAY_H
#define GFREPLICA_RELAY_H

#include "gfreplica/position.h"

typedef struct gf_relay gf_relay;
typedef struct gf_relay_reader gf_relay_reader;

/* Opens what DIR has (the caller holds its lock). What is torn at the end is cut off; from where a file is damaged, all
   is removed with a warning, because the source can send it again. */
GF_MUST_CHECK bool gf_relay_open(gf_relay **out, const char *dir, uint64_t limit_bytes, gf_error *err);
void gf_relay_close(gf_relay *r); /* the files stay; NULL is fine */

/* Is there anything, of this source? Then *end (may be NULL) is the position behind its last whole transaction. */
bool gf_relay_holds(gf_relay *r, const char *identity, gf_position *end);
/* Removes what there is and begins anew: what is appended from now on follows `from`. */
GF_MUST_CHECK bool gf_relay_begin(gf_relay *r, const char *identity, gf_flavor flavor, const gf_position *from,
                                  gf_error *err);
void gf_relay_remove(gf_relay *r); /* all files: the job is done */

/* ---- the receiver's ---- */

/* The next event of the stream, as gf_replica_read gives it. What repeats the place where we are is left out. Waits while
   the relay or the disk is full; STOPPED after gf_relay_stop. */
GF_MUST_CHECK bool gf_relay_append(gf_relay *r, gf_slice event, gf_error *err);
/* Nothing more comes for the moment: readers may have all whole transactions. */
GF_MUST_CHECK bool gf_relay_flush(gf_relay *r, gf_error *err);
/* The link was lost, or is about to be made anew: the beginning of a transaction goes away. A reader that has had some of
   it fails with RETRY. Also ends a gf_relay_stop. */
GF_MUST_CHECK bool gf_relay_rewind(gf_relay *r, gf_error *err);
void gf_relay_stop(gf_relay *r); /* nobody waits in append any more; from any thread */

/* ---- main's ---- */

/* All up to `pos` is committed on the target: files that end before it are removed, not at once, since a target that
   crashes may go back by a second or two. */
void gf_relay_passed(gf_relay *r, const gf_position *pos);

typedef enum { GF_RELAY_OPEN, GF_RELAY_FULL, GF_RELAY_NO_DISK } gf_relay_state;

typedef struct {
    uint64_t bytes, events; /* on disk; appended by this process */
    gf_relay_state state;
    bool damaged;                  /* it has to be rewound */
    char file[GF_BINLOG_NAME_MAX]; /* the end of what is received, on the source */
    uint64_t offset;
    uint32_t timestamp; /* of the last event, seconds; 0 when none has come */
} gf_relay_status;

void gf_relay_look(gf_relay *r, gf_relay_status *out);

/* ---- the reader's ---- */

/* A reader of what follows `at`, which must be a place between two transactions; *out = NULL, still true, where the relay
   does not hold it. One reader at a time. */
GF_MUST_CHECK bool gf_relay_find(gf_relay_reader **out, gf_relay *r, const gf_position *at, gf_error *err);
/* The next event: borrowed until the next call. data NULL after `wait_ms` or a kick. RETRY when what was read has been
   taken back or a file is damaged: begin again from the marker. */
GF_MUST_CHECK bool gf_relay_read(gf_slice *event, gf_relay_reader *reader, unsigned wait_ms, gf_error *err);
void gf_relay_kick(gf_relay_reader *reader);         /* a waiting or the next read returns at once; from any thread */
bool gf_relay_idle(gf_relay_reader *reader);         /* it waits and has had all there is; from any thread */
void gf_relay_reader_close(gf_relay_reader *reader); /* NULL is fine */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * scheduler.h - who may be written when, and who may commit when (rules C1, C2, C2a).
 *
 * Knows nothing of servers: it hands out items whose claims are free and keeps the order of commits.
 *
 *                submit                take                    turn: COMMIT            committed
 *   submitter ──────────► waiting ──► ready ──────► running ──────────────► committing ─────────► gone
 *                        (claims)                     ▲  │ turn: AGAIN, or a lock conflict
 *                                                     └──┘ again
 *
 * Two lanes: the stream's batches commit strictly in the order of their submission; chunks commit when they are
 * ready. A lane has threads of its own, so that neither can starve the other.
 *
 * A batch that shares only some of its claims with batches before it is handed out at once, with those it shares: its
 * writer may write the rows without them, and the others once `clear` says so.
 *
 * Threads: one submitter, any number of writers; all functions take an inner lock and none does I/O under it.
 */
#ifndef GFREPLICA_TARGET_SCHEDULER_H
#define GFREPLICA_TARGET_SCHEDULER_H

#include <pthread.h>

#include "gfreplica/batch.h"

typedef struct gf_sched gf_sched;

typedef enum { GF_LANE_STREAM, GF_LANE_COPY, GF_LANE_COUNT } gf_lane;

typedef struct gf_claim gf_claim; /* scheduler.c */

/* A batch or a chunk on its way. Between take and committed the first two fields are the writer's. */
typedef struct gf_item {
    gf_batch *batch; /* owned; exactly one of the two is set */
    gf_chunk *chunk; /* owned */
    /* Owned, set before take: the batch's claims that earlier items had when it was submitted. */
    uint64_t *contested;
    size_t contested_count;

    /* Guarded by the scheduler's lock. */
    gf_lane lane;
    uint64_t ticket; /* order of submission over both lanes */
    uint64_t turn;   /* stream: place in the order of commits */
    bool wild, taken, queued, written;
    unsigned blockers; /* earlier items, not committed, that share a claim */
    unsigned barriers; /* those of them that have to be gone before any of its rows is written */
    uint64_t marked;   /* ticket of the last item that was made to wait for this one */
    unsigned attempts; /* times it was run again */
    size_t bytes;      /* what of it is still in memory */
    gf_claim *claims;  /* owned */
    size_t claim_count;
    struct gf_item **followers; /* owned: items that wait for this one */
    size_t follower_count, follower_cap;
    pthread_cond_t go;                     /* its writer: turn, blockers, pieces, or an end */
    struct gf_item *prev, *next;           /* all live items, in order of submission */
    struct gf_item *next_ready;            /* its lane's queue */
    struct gf_item *next_turn;             /* the stream's order of commits */
    struct gf_piece *pieces, **pieces_end; /* owned: what has arrived of a large transaction */
} gf_item;

typedef enum { GF_TURN_COMMIT, GF_TURN_AGAIN, GF_TURN_STOP } gf_turn;

/* stream_writers: threads that take from GF_LANE_STREAM. */
gf_sched *gf_sched_new(unsigned stream_writers, size_t max_bytes);
void gf_sched_free(gf_sched *s); /* after all threads have ended; frees what is left. NULL is fine */

/* Submitter. Both take their argument, also on failure, and block while too much is in memory. */
GF_MUST_CHECK bool gf_sched_batch(gf_sched *s, gf_batch *b, gf_error *err);
GF_MUST_CHECK bool gf_sched_chunk(gf_sched *s, gf_chunk *c, gf_error *err);
GF_MUST_CHECK bool gf_sched_drain(gf_sched *s, gf_error *err); /* until everything submitted is committed */

/* Writers. The next item that may be written, see the top; NULL when it is time to end. */
gf_item *gf_sched_take(gf_sched *s, gf_lane lane);
/* A chunk that is ready now and takes at most so many bytes, of a table with transactions, or NULL: to share a target
   transaction with others. */
gf_item *gf_sched_take_small(gf_sched *s, size_t max_bytes);
/* A large transaction's next piece takes the place of item->batch, which is freed; false when it is time to end. */
bool gf_sched_piece(gf_sched *s, gf_item *item);
/* Does an earlier item, not yet committed, share one of its contested claims? */
bool gf_sched_blocked(gf_sched *s, gf_item *item);
/* All rows without a contested claim are written: waits until the others may be (COMMIT). AGAIN and STOP as below. */
gf_turn gf_sched_clear(gf_sched *s, gf_item *item);
/* All but COMMIT is done: waits for the item's turn. AGAIN: it may stand in the way of an earlier one, so roll back,
   call gf_sched_again, run it once more (rule C2a). */
gf_turn gf_sched_turn(gf_sched *s, gf_item *item);
/* It was rolled back: waits until it makes sense to run it again; false when it is time to end. When the item whose
   turn it is was blocked by a lock, those that wait behind it are told to roll back. */
bool gf_sched_again(gf_sched *s, gf_item *item);
/* It is committed: frees it and lets go those that waited for it. */
void gf_sched_committed(gf_sched *s, gf_item *item);

/* From any thread. The first error stays; everybody ends. */
void gf_sched_fail(gf_sched *s, const gf_error *err);
void gf_sched_stop(gf_sched *s);
bool gf_sched_failed(gf_sched *s, gf_error *err); /* copies the first error */
bool gf_sched_ending(gf_sched *s);                /* stopped or failed */
/* Batches that are all but committed. */
unsigned gf_sched_written(gf_sched *s);
size_t gf_sched_bytes(gf_sched *s, unsigned *retries);

#endif

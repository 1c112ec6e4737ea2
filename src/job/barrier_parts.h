/* SPDX-License-Identifier: MIT */
/*
 * barrier_parts.h - what the files of the barrier share: the statement at hand, and each file's part in it.
 *
 *   barrier.c         the order of the steps, connections, the lock on the target, the statement's execution
 *   barrier_allow.c   what may be repeated
 *   barrier_look.c    what the target has
 *   barrier_define.c  new definitions into catalog, plan and marker
 *
 * Threads: the stream thread's, but for what the lock guards.
 */
#ifndef GFREPLICA_JOB_BARRIER_PARTS_H
#define GFREPLICA_JOB_BARRIER_PARTS_H

#include <pthread.h>

#include "barrier.h"

enum { GF_FROM_NOWHERE = -1, GF_FROM_NEW = -2 };
/* The source, to ask; the target, to ask; the target, for the statement and the lock. */
enum { GF_LINK_SOURCE, GF_LINK_CONTROL, GF_LINK_WORK, GF_LINKS };

/* A table that the statement names. */
typedef struct {
    char *db, *name;         /* owned */
    const gf_table *old;     /* borrowed from the catalog; NULL: there is none */
    gf_table *now;           /* owned until the catalog takes it: as the target has it after the statement */
    const gf_table *current; /* `now` once it is in the catalog */
    int from;                /* whose rows it has afterwards: an index, GF_FROM_NOWHERE (no table), GF_FROM_NEW */
    const gf_range **ranges; /* owned list: of `old` */
    size_t range_count;
} gf_touched;

struct gf_barrier {
    gf_barrier_options opt; /* set at creation */
    gf_buf pending;         /* owned: found in the marker, until its statement has come */

    /* Of the statement at hand. */
    const gf_statement *s;
    const gf_txn_info *txn;
    gf_ddl ddl;
    gf_touched *tables; /* owned */
    size_t count;
    MYSQL *links[GF_LINKS]; /* owned */

    pthread_mutex_t lock; /* guards all below */
    bool stopping;
    gf_lifeline lifelines[GF_LINKS];
};

/* ---- barrier_allow.c ---- */
/* Before: what no event tells and a new table or an old expression depends on is the same on both servers. */
GF_MUST_CHECK bool gf_barrier_surroundings_allow(const gf_barrier *b, gf_error *err);
/* Afterwards: can t->now be moved? */
GF_MUST_CHECK bool gf_barrier_result_allows(const gf_barrier *b, const gf_touched *t, gf_error *err);

/* ---- barrier_look.c ---- */
/* The target's table now; *out owned by the caller, NULL: there is none. */
GF_MUST_CHECK bool gf_barrier_load(gf_table **out, const gf_barrier *b, const char *db, const char *name,
                                   gf_error *err);
/* Which statement it is: the same for the same one, from whatever server it is delivered. A line, appended. */
void gf_barrier_print_statement(gf_buf *out, const gf_barrier *b);
/* A line for each table as the target has it, appended. compare: DATA error unless it is as the source had it. */
GF_MUST_CHECK bool gf_barrier_look(gf_buf *prints, const gf_barrier *b, bool compare, gf_error *err);

/* ---- barrier_define.c ---- */
/* Fills b->tables from the statement. */
void gf_barrier_list_tables(gf_barrier *b);
void gf_barrier_forget_tables(gf_barrier *b);
/* What the statement means for each name: fills `from`. */
void gf_barrier_foresee(gf_barrier *b);
/* Fills `now` from the target, where the statement has been executed; DATA error when that is not what was foreseen. */
GF_MUST_CHECK bool gf_barrier_load_results(gf_barrier *b, gf_error *err);
/* Step 2: the new definitions are in force from here on; what the marker has to learn is added to `batch`. */
void gf_barrier_pass(gf_barrier *b, gf_merger *merger, gf_batch *batch);

#endif

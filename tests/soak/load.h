/* SPDX-License-Identifier: MIT */
/*
 * load.h - tables made by a seed, and applications that write to them at random.
 *
 * Beside the fixed tables of the harness's workload these have random keys (integers, decimals, text of several
 * collations, bytes, dates, composites, none), random columns and random secondary unique keys. Their writers also use
 * XA transactions.
 *
 * Threads: a load is used by one thread; its writers are its own.
 */
#ifndef SOAK_LOAD_H
#define SOAK_LOAD_H

#include "harness/harness.h"

typedef struct {
    unsigned tables, rows, threads, rate; /* rate: transactions per second and thread */
    bool keyless, mariadb;                /* a table without a key among them; what only that family has */
    uint64_t seed;
} load_options;

typedef struct load load; /* opaque: defined in load.c */

/* Create the database with its tables and fill them. Owned by the caller (load_stop). */
load *load_new(h_server *source, const char *database, const load_options *options);

/* Begin to write. `database` and the server have to live until load_stop. */
void load_start(load *l);

/* From now on, XA transactions too: not before a job has begun, because it refuses to begin with prepared ones. */
void load_allow_xa(load *l);

/* No XA transaction is prepared between these two: a server killed between the steps of its own XA PREPARE may
 * remember it in its binlog alone, and then it has to be decided by hand. */
void load_hold_xa(load *l);
void load_release_xa(load *l);

/* Wait for the writers and free it; returns transactions ended. Fails by h_fail on what no application should see. */
uint64_t load_stop(load *l);

#endif

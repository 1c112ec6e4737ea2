/* SPDX-License-Identifier: MIT */
/*
 * soak.h - one round of the soak: its servers, its job, and what may happen to them.
 *
 * Every choice comes from the round's `random`. Whatever is not as it should be ends the process by h_fail; h_keep has
 * seen to it that servers' data, logs and checkpoints stay.
 */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include "harness/harness.h"
#include "harness/random.h"
#include "soak/load.h"

enum { FAULTS_MAX = 48 };

typedef struct {
    unsigned number;
    uint64_t seed;
    h_rng random;
    bool mariadb, marker, keyless, xa;
    bool lives; /* the process is never ended in this round: one process, and its memory, from start to end */

    h_server *source, *target; /* owned; as root */
    char *dir;                 /* owned: checkpoint directory */
    char *arguments[40];       /* owned: of gfreplica, NULL at the end */
    h_run *run;                /* owned: the process that runs or has ended last */
    load *made;
    h_workload *fixed;

    unsigned counts[FAULTS_MAX]; /* of each fault */
    unsigned runs;               /* processes started */
    double slowest_stop;         /* seconds, of those in good order */
} soak_round;

/* faults.c */

typedef struct {
    const char *name;
    unsigned weight; /* chance against the others */
    bool ends_us;    /* the process has ended, as it should, when it returns */
    void (*happens)(soak_round *r);
} soak_fault;

extern const soak_fault soak_faults[];
extern const unsigned soak_fault_count;

/* One of them by chance, counted. True when it ended the process. */
bool soak_fault_happens(soak_round *r);

/* What may happen between two runs, to the directory and to the servers. */
void soak_between_runs(soak_round *r);

#endif

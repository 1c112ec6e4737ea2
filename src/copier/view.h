/* SPDX-License-Identifier: MIT */
/*
 * view.h - a view of the source for one chunk: opened when all up to A is visible (rule M2), closed with the position
 * that nothing in it is behind (rule M3).
 *
 *     gf_view_open(a) ; SELECT ... gf_view_clause ; all rows read ; gf_view_close(fence)
 *
 * Threads: one at a time, the connection's.
 */
#ifndef GFREPLICA_COPIER_VIEW_H
#define GFREPLICA_COPIER_VIEW_H

#include <stdatomic.h>

#include "gfreplica/server.h"

typedef enum {
    GF_VIEW_GTIDS,   /* MySQL with GTIDs: wait for A in gtid_executed, then one statement in autocommit */
    GF_VIEW_LOCKS,   /* MySQL without, MariaDB with XA: a locking read in autocommit */
    GF_VIEW_SNAPSHOT /* MariaDB: a snapshot that tells its own position */
} gf_view_kind;

typedef struct {
    /* Set by the owner. */
    MYSQL *db;                  /* borrowed; a GF_CONN_READER connection */
    const gf_server_info *info; /* borrowed */
    bool (*stopped)(void *ctx); /* asked while waiting: may be called often */
    const atomic_bool *xa_seen; /* MariaDB: see view.c; NULL: none is */
    void *ctx;

    gf_view_kind kind;    /* of the view that is open */
    bool may_lock;        /* the connection is set up for locking reads */
    gf_position position; /* owned: of the snapshot */
} gf_view;

/* STOPPED when stopped. */
GF_MUST_CHECK bool gf_view_open(gf_view *v, const gf_position *a, gf_error *err);
const char *gf_view_clause(const gf_view *v); /* at the end of the SELECT, "" or with a blank in front */
/* db may be another connection than at the opening when the rows were not read to their end. */
GF_MUST_CHECK bool gf_view_close(gf_position *fence, gf_view *v, gf_error *err);
/* MariaDB: opens a snapshot without waiting for anything. *at is its position. */
GF_MUST_CHECK bool gf_view_snapshot(gf_position *at, MYSQL *db, gf_error *err);
void gf_view_free(gf_view *v);

#endif

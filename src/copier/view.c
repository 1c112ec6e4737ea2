/* SPDX-License-Identifier: MIT */
/*
 * view.c - how each family says what a SELECT sees.
 *
 * A server sends a transaction to its replicas before its own SELECTs show it. So A, which we know from the stream,
 * can be ahead of what a view opened now would show (rule M2), and the end of the binlog, read after the rows, can't be
 * behind it (rule M3). What tells that A is visible:
 *
 * MySQL with GTIDs: a GTID gets into gtid_executed after the engine's commit. (gtid_executed as a fence would be wrong
 * for the same reason: the view may show what is not in it yet.)
 * MySQL without: row locks go after the engine's commit, so a locking read of a row waits for every earlier writer.
 * READ COMMITTED keeps it from locking the gaps as well, which nothing here needs and the source's writers would feel.
 * MariaDB: the snapshot and its binlog position are taken under the lock that orders commits; it needs
 * binlog_order_commits=ON (rule S6, checked at the start). XA COMMIT is not under that lock: a snapshot whose position
 * is behind one may still show the rows before it (seen on 10.11). So from the first sign of XA on, MariaDB's chunks are
 * locking reads as well: a prepared transaction keeps its row locks until the engine has committed it.
 *
 * The snapshot's position would do as a fence for rows, but not for definitions, which are no part of a snapshot: a SELECT
 * in it reads what a RENAME behind it has put in the table's place. So the fence is the end of the binlog here too: a DDL
 * is logged before the table's lock is released, and our SELECT had that lock.
 *
 * Positions are file and offset of the server that is read, and only of it (rule S5).
 */
#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/log.h"

enum {
    FIRST_PAUSE_US = 1000,
    LAST_PAUSE_US = 50 * 1000,
    SAY_SO_MS = 10 * 1000,
    LOCK_WAIT_SECONDS = 5 /* then the chunk gives up its locks and is tried again */
};

static gf_view_kind kind_of(const gf_view *v)
{
    if (v->info->flavor != GF_FLAVOR_MARIADB)
        return v->info->gtids ? GF_VIEW_GTIDS : GF_VIEW_LOCKS;
    return v->xa_seen != NULL && atomic_load(v->xa_seen) ? GF_VIEW_LOCKS : GF_VIEW_SNAPSHOT;
}

static bool set_up_locks(gf_view *v, gf_error *err)
{
    if (v->may_lock)
        return true;
    v->may_lock = gf_server_exec(v->db, "set the isolation of chunk reads", err,
                                 "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED") &&
                  gf_server_exec(v->db, "set innodb_lock_wait_timeout", err, "SET SESSION innodb_lock_wait_timeout=%d",
                                 LOCK_WAIT_SECONDS);
    return v->may_lock;
}

const char *gf_view_clause(const gf_view *v)
{
    return v->kind == GF_VIEW_LOCKS ? " LOCK IN SHARE MODE" : "";
}

static bool stopped(const gf_view *v, gf_error *err)
{
    return v->stopped != NULL && v->stopped(v->ctx) && !gf_fail(err, GF_ERR_STOPPED, "stopped");
}

/* One line, once, when the source takes long to show what it has sent: semi-sync without a replica that answers. */
static void say_so(uint64_t *since, const gf_position *a)
{
    gf_buf text = {0};

    if (*since == 0 || gf_now_ms() - *since < SAY_SO_MS)
        return;
    *since = 0;
    gf_position_text(a, &text);
    gf_log_warn("the source does not show yet what it has sent up to %s: chunks wait", gf_buf_cstr(&text));
    gf_buf_free(&text);
}

/* ---- MySQL with GTIDs ---- */

/* Rule M2: what is in gtid_executed is visible to every view opened later. */
static bool wait_for_gtids(gf_view *v, const gf_position *a, gf_error *err)
{
    gf_buf set = {0}, quoted = {0};
    uint64_t since = gf_now_ms();
    bool ok = true, there = false;

    there = a->gtids == NULL || gf_gtid_set_empty(a->gtids);
    gf_position_gtid_text(a, &set);
    gf_buf_quote(&quoted, set.data, set.len);
    while (ok && !there && !stopped(v, err)) {
        char *answer = NULL;

        ok = gf_server_scalar(&answer, v->db, "wait for GTIDs", err, "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 1)",
                              gf_buf_cstr(&quoted));
        there = answer != NULL && strcmp(answer, "0") == 0; /* 1: not yet */
        free(answer);
        say_so(&since, a);
    }
    gf_buf_free(&set);
    gf_buf_free(&quoted);
    return ok && there;
}

/* ---- MariaDB ---- */

static bool read_snapshot_position(gf_position *at, MYSQL *db, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(db, "read the snapshot's position", err, "SHOW STATUS LIKE 'binlog_snapshot_%%'");
    gf_position pos = {0};
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    while ((row = mysql_fetch_row(res)) != NULL) {
        if (strcasecmp(row[0], "binlog_snapshot_file") == 0)
            snprintf(pos.file, sizeof pos.file, "%s", row[1]);
        else if (strcasecmp(row[0], "binlog_snapshot_position") == 0)
            pos.offset = strtoull(row[1], NULL, 10);
    }
    mysql_free_result(res);
    if (pos.file[0] == '\0')
        return gf_fail(err, GF_ERR_CONFIG,
                       "the source tells no binlog_snapshot_file in a consistent snapshot: switch its binary log on");
    gf_position_copy(at, &pos);
    return true;
}

bool gf_view_snapshot(gf_position *at, MYSQL *db, gf_error *err)
{
    return gf_server_exec(db, "open a snapshot", err, "START TRANSACTION WITH CONSISTENT SNAPSHOT") &&
           read_snapshot_position(at, db, err);
}

static bool end_snapshot(gf_view *v, gf_error *err)
{
    return gf_server_exec(v->db, "end a snapshot", err, "COMMIT");
}

/* Rule M2. A without a file: since the start nothing was scheduled, and what was before it is visible (S3, R5). */
static bool shows(const gf_position *snapshot, const gf_position *a)
{
    return a->file[0] == '\0' || gf_position_cmp(snapshot, a) >= 0;
}

static bool wait_for_snapshot(gf_view *v, const gf_position *a, gf_error *err)
{
    uint64_t since = gf_now_ms();
    unsigned pause = FIRST_PAUSE_US;

    for (;;) {
        if (stopped(v, err) || !gf_view_snapshot(&v->position, v->db, err))
            return false;
        if (shows(&v->position, a))
            return true;
        if (!end_snapshot(v, err))
            return false;
        say_so(&since, a);
        usleep(pause);
        pause = pause < LAST_PAUSE_US / 2 ? 2 * pause : LAST_PAUSE_US;
    }
}

/* ---- all ---- */

bool gf_view_open(gf_view *v, const gf_position *a, gf_error *err)
{
    v->kind = kind_of(v);
    switch (v->kind) {
    case GF_VIEW_GTIDS: return wait_for_gtids(v, a, err);
    case GF_VIEW_SNAPSHOT: return wait_for_snapshot(v, a, err);
    case GF_VIEW_LOCKS: return set_up_locks(v, err); /* the SELECT itself waits */
    }
    return true;
}

bool gf_view_close(gf_position *fence, gf_view *v, gf_error *err)
{
    if (!gf_server_binlog_end(fence, v->db, v->info, err)) /* rule M3: after the rows */
        return false;
    /* A connection made since then has no transaction, and COMMIT does nothing. */
    return v->kind != GF_VIEW_SNAPSHOT || end_snapshot(v, err);
}

void gf_view_free(gf_view *v)
{
    gf_position_free(&v->position);
}

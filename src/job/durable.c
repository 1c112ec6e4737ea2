/* SPDX-License-Identifier: MIT */
/*
 * durable.c - "done" is said when the target has all rows on disk.
 *
 * With innodb_flush_log_at_trx_commit=0 or 2 a server keeps its commits safe about once a second. While the job runs, what a
 * crash takes is applied again, since the marker goes with it; after its end nobody would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/log.h"
#include "internal.h"

enum { WAIT_MS = 10000, POLL_MS = 50, BLIND_MS = 2000 };

/* Log sequence numbers; 0: the server does not tell. */
struct redo_log {
    uint64_t written, flushed;
};

/* MariaDB and MySQL (8.0.30 and later) name them differently. */
static bool look(struct redo_log *l, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "look at the target's redo log", err,
                                     "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', "
                                     "'Innodb_lsn_flushed', 'Innodb_redo_log_current_lsn', "
                                     "'Innodb_redo_log_flushed_to_disk_lsn')");
    MYSQL_ROW row;

    *l = (struct redo_log){0};
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        *(strcasestr(row[0], "current") != NULL ? &l->written : &l->flushed) = strtoull(row[1], NULL, 10);
    mysql_free_result(res);
    return res != NULL;
}

static bool commits_are_safe(bool *safe, MYSQL *target, gf_error *err)
{
    char *value = NULL;
    bool ok = gf_server_scalar(&value, target, "read how the target commits", err,
                               "SELECT @@global.innodb_flush_log_at_trx_commit");

    *safe = value != NULL && (strcmp(value, "1") == 0 || strcmp(value, "3") == 0); /* 3: MariaDB's, even safer */
    free(value);
    return ok;
}

static void pause_a_moment(gf_job *j)
{
    pthread_mutex_lock(&j->lock);
    if (atomic_load(&j->stop_requests) == 0)
        gf_cond_wait_ms(&j->changed, &j->lock, POLL_MS);
    pthread_mutex_unlock(&j->lock);
}

static bool give_up(gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG,
                   "all is applied, but the target has not written its redo log to disk for %d s "
                   "(innodb_flush_log_at_timeout), and would lose it in a crash: SET GLOBAL "
                   "innodb_flush_log_at_trx_commit=1 on the target",
                   WAIT_MS / 1000);
}

/* A server that does not tell gets the time in which it writes its log by default. */
static bool wait_for(uint64_t written, gf_job *j, gf_error *err)
{
    uint64_t start = gf_now_ms();
    struct redo_log now = {0};

    while (now.flushed < written || (written == 0 && gf_now_ms() - start < BLIND_MS)) {
        if (gf_stop_wanted(j, err) || !look(&now, j->target, err))
            return false;
        if (now.flushed < written && gf_now_ms() - start > WAIT_MS)
            return give_up(err);
        pause_a_moment(j);
    }
    return true;
}

bool gf_durable_wait(gf_job *j, gf_error *err)
{
    struct redo_log log;
    bool safe;

    if (!commits_are_safe(&safe, j->target, err) || safe)
        return safe;
    gf_log_info(
        "the target's commits are safe about once a second only (innodb_flush_log_at_trx_commit): waiting until "
        "all are on its disk");
    return look(&log, j->target, err) && wait_for(log.written, j, err);
}

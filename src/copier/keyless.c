/* SPDX-License-Identifier: MIT */
/*
 * keyless.c - rule K: a table without identity is read in one exact snapshot.
 *
 * A change of such a row can't be repeated, so the stream must apply exactly the changes behind the snapshot, and the
 * snapshot's position must be exact, not a bound like a chunk's fence.
 *
 * MariaDB tells it. On MySQL two connections make it: one holds FLUSH TABLES t WITH READ LOCK, which is granted when
 * every transaction that wrote to t has committed in the engine, and keeps others from starting; so the end of the
 * binlog read then is exact for t. The other opens its snapshot before the lock goes. (One connection can't do both:
 * START TRANSACTION releases the lock before it opens the snapshot.)
 */
#include <sys/socket.h>

#include "gfreplica/log.h"
#include "rows.h"
#include "view.h"

enum {
    LOCK_WAIT_SECONDS = 10, /* while FLUSH waits for a long transaction, everybody who writes to t waits behind it */
    LOCK_TRIES = 6
};

typedef struct {
    const gf_config *config;
    const gf_server_info *info;
    const gf_table *table;
    MYSQL *db; /* holds the snapshot */
    gf_position position;
} snapshot;

/* ---- MySQL ---- */

static bool try_lock(MYSQL *locker, const gf_table *t, gf_error *err)
{
    if (gf_server_exec(locker, "lock a table for its snapshot", err, "FLUSH TABLES %s WITH READ LOCK", t->source_sql))
        return true;
    if (err->kind == GF_ERR_CONFIG)
        gf_fail_context(err,
                        "copy %s, which has no key: grant LOCK TABLES on it and RELOAD (or FLUSH_TABLES), or leave"
                        " it out",
                        t->label);
    return false;
}

static bool lock_table(MYSQL *locker, const gf_table *t, gf_error *err)
{
    if (!gf_server_exec(locker, "set lock_wait_timeout", err, "SET SESSION lock_wait_timeout=%d", LOCK_WAIT_SECONDS))
        return false;
    for (int i = 1; !try_lock(locker, t, err); i++) {
        if (err->kind != GF_ERR_RETRY || i == LOCK_TRIES)
            return false;
        gf_log_warn("copy %s, which has no key: %s: trying again", t->label, err->text);
    }
    return true;
}

static bool open_locked(snapshot *s, gf_error *err)
{
    MYSQL *locker = NULL;
    bool ok = false;

    if (!s->config->lock_keyless)
        return gf_fail(err, GF_ERR_CONFIG,
                       "copy %s: it has no primary or unique NOT NULL key, and on MySQL an exact"
                       " snapshot takes a short read lock: allow it, or leave the table out",
                       s->table->label);
    if (!gf_server_connect(&locker, &s->config->source, GF_CONN_PLAIN, err) || !lock_table(locker, s->table, err))
        goto out;
    if (!gf_server_binlog_end(&s->position, locker, s->info, err) ||
        !gf_server_exec(s->db, "open a snapshot", err, "START TRANSACTION WITH CONSISTENT SNAPSHOT"))
        goto out;
    ok = gf_server_exec(locker, "unlock a table", err, "UNLOCK TABLES");
out:
    gf_server_close(locker);
    return ok;
}

/* ---- both ---- */

static bool open_snapshot(snapshot *s, gf_error *err)
{
    if (!gf_server_connect(&s->db, &s->config->source, GF_CONN_READER, err))
        return false;
    return s->info->flavor == GF_FLAVOR_MARIADB ? gf_view_snapshot(&s->position, s->db, err) : open_locked(s, err);
}

static gf_chunk *new_chunk(const snapshot *s, gf_range *range)
{
    gf_chunk *c = gf_chunk_new(range);

    gf_position_copy(&c->start, &s->position);
    gf_position_copy(&c->fence, &s->position);
    /* Rows without a key have nothing of their own to claim: each change of the table claims all of it. */
    c->claims = gf_malloc(sizeof *c->claims);
    c->claims[0] = gf_table_claim(s->table);
    c->claim_count = c->claim_cap = 1;
    return c;
}

typedef bool chunk_taker(void *ctx, gf_chunk *chunk, gf_error *err);

static bool send_rows(const snapshot *s, gf_range *range, gf_rows *rows, MYSQL_RES *res, chunk_taker *each, void *ctx,
                      gf_error *err)
{
    gf_chunk *c = new_chunk(s, range);
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(res)) != NULL) {
        gf_rows_add(c, rows, row, mysql_fetch_lengths(res));
        if (c->text.len < s->config->chunk_bytes)
            continue;
        gf_chunk_trim(c);
        if (!each(ctx, c, err))
            return false;
        c = new_chunk(s, range);
    }
    if (mysql_errno(s->db) != 0) {
        gf_chunk_free(c);
        return gf_fail_mysql(err, s->db, "read %s", s->table->label);
    }
    c->last = true;
    gf_chunk_trim(c);
    return each(ctx, c, err);
}

static bool copy_rows(const snapshot *s, gf_range *range, chunk_taker *each, void *ctx, gf_error *err)
{
    gf_rows rows = {0};
    gf_buf sql = {0};
    MYSQL_RES *res = NULL;
    bool ok = false;

    gf_rows_init(&rows, s->table, NULL, s->info->flavor, false);
    gf_buf_str(&sql, "SELECT ");
    gf_buf_slice(&sql, gf_slice_of(rows.fields.data, rows.fields.len));
    gf_buf_printf(&sql, " FROM %s", s->table->source_sql);
    if (mysql_real_query(s->db, (const char *)sql.data, sql.len) != 0 || (res = mysql_use_result(s->db)) == NULL)
        gf_fail_mysql(err, s->db, "read %s", s->table->label);
    else
        ok = gf_rows_fit(&rows, res, err) && send_rows(s, range, &rows, res, each, ctx, err);
    if (!ok) /* so that freeing the result does not read the rest */
        shutdown((int)mysql_get_socket(s->db), SHUT_RDWR);
    if (res != NULL)
        mysql_free_result(res);
    gf_buf_free(&sql);
    gf_rows_free(&rows);
    return ok;
}

bool gf_copy_keyless(gf_position *at, gf_range *range, const gf_config *config, const gf_server_info *info,
                     bool (*at_position)(void *ctx, const gf_position *), chunk_taker *each, void *ctx, gf_error *err)
{
    snapshot s = {.config = config, .info = info, .table = range->table};
    bool ok = open_snapshot(&s, err);

    if (ok) {
        gf_position_copy(at, &s.position);
        ok = at_position(ctx, &s.position) || gf_fail(err, GF_ERR_STOPPED, "stopped");
    }
    ok = ok && copy_rows(&s, range, each, ctx, err);
    gf_server_close(s.db);
    gf_position_free(&s.position);
    return ok;
}

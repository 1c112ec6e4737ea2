/* SPDX-License-Identifier: MIT */
/*
 * writer.c - one item = one target transaction: rows, marker, COMMIT. Small chunks that are ready together share one.
 *
 * COMMIT is sent only when every statement before it, the marker's included, has been answered (rule R2). A lock
 * conflict rolls back and runs the item again from memory; any other error ends the applier, and the job starts again
 * from the marker (rule R3), for a broken link may or may not have carried the commit.
 *
 * A large transaction is one item whose batch is replaced piece by piece. Its earlier pieces are gone from memory, so
 * it cannot be run again; nothing of ours runs beside it, and strangers' locks it waits for as long as retry_timeout.
 */
#include "writer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "overlap.h"
#include "warnings.h"

enum {
    LOCK_WAIT_S = 2,     /* short: behind a wait there may be a circle that no server sees (rule C2a) */
    BATCH_AIM = 1 << 20, /* bytes of a statement */
    CHUNK_AIM = 2 << 20,
    CLEAR_MORE = 16 /* chunks of a table after one that met rows */
};

/* Errors after which the server has rolled back, or we can, and the same transaction may well succeed. */
static const unsigned lock_conflicts[] = {
    1205, /* ER_LOCK_WAIT_TIMEOUT */
    1213, /* ER_LOCK_DEADLOCK; also a certification failure of Galera */
    1614, /* ER_XA_RBDEADLOCK */
    1020, /* ER_CHECKREAD: MariaDB, innodb_snapshot_isolation */
    3101, /* ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication's certification */
};

/* ---- session ---- */

static bool set_lock_wait(gf_writer *w, unsigned seconds, gf_error *err)
{
    return gf_server_exec(w->db, "set up a writer", err,
                          "SET SESSION innodb_lock_wait_timeout=%u, lock_wait_timeout=%u", seconds, seconds);
}

static void publish_socket(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    gf_lifeline_hold(&w->lifeline, (int)mysql_get_socket(w->db), w->interrupted);
    pthread_mutex_unlock(&w->socket_lock);
}

bool gf_writer_open(gf_writer *w, gf_error *err)
{
    const char *comment = w->opt->config->target.marginalia;

    gf_log_thread("%s[%u]", w->lane == GF_LANE_STREAM ? "writer" : "copy-writer", w->index);
    w->prefix = comment != NULL && *comment != '\0' ? gf_asprintf("/*%s*/ ", comment) : gf_strdup("");
    if (!gf_server_connect(&w->db, &w->opt->config->target, GF_CONN_WRITER, err))
        return false;
    gf_load_serve(w->db, &w->feed);
    publish_socket(w);
    return gf_sender_open(&w->sender, w->db, w->opt->config, w->opt->target, err) && set_lock_wait(w, LOCK_WAIT_S, err);
}

void gf_writer_close(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    gf_lifeline_hold(&w->lifeline, -1, false);
    pthread_mutex_unlock(&w->socket_lock);
    gf_server_close(w->db);
    w->db = NULL;
    gf_sender_close(&w->sender);
    free(w->prefix);
}

void gf_writer_interrupt(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    w->interrupted = true;
    gf_lifeline_break(&w->lifeline);
    pthread_mutex_unlock(&w->socket_lock);
}

/* ---- one run of an item, up to COMMIT ---- */

static gf_sql_options sql_options(const gf_writer *w, size_t aim, bool single)
{
    uint64_t packet = w->opt->target->max_allowed_packet;

    return (gf_sql_options){.aim = packet != 0 && packet < aim ? (size_t)packet : aim,
                            .packet = packet != 0 ? (size_t)packet : SIZE_MAX,
                            .prefix = w->prefix,
                            .single = single,
                            .unlike = w->opt->unlike};
}

/* held: which changes wait, NULL when there are none; want: those or the others. Some may not have been sent yet. */
static bool write_changes(gf_writer *w, const gf_batch *b, gf_send_mode mode, const bool *held, bool want,
                          gf_error *err)
{
    gf_sql_options o = sql_options(w, BATCH_AIM, mode.single);

    /* Without a marker a resume repeats changes, and then the counts mean nothing (rule R4). */
    mode.exact = b->exact && w->opt->marker != NULL;
    o.guards = w->opt->marker != NULL || b->exact; /* without a marker not while changes may come once more */
    o.fresh = mode.exact;
    gf_sender_begin(&w->sender, mode);
    o.held = held;
    o.want = want;
    return gf_batch_sql(b, &o, gf_sender_statement, &w->sender, err);
}

/* False. */
static bool batch_context(const gf_batch *b, gf_error *err)
{
    return b->first_gtid[0] != '\0' && gf_fail_context(err, "transaction %s", b->first_gtid);
}

/* Rule C1 by rows: what shares no claim with the batches before, and what does when they are committed. Without COMMIT
   in *turn the second half was not written. */
static bool write_batch(gf_writer *w, gf_item *item, bool single, gf_turn *turn, gf_error *err)
{
    const gf_batch *b = item->batch;
    gf_send_mode mode = {.single = single};
    bool *held, ok;

    if (!gf_sched_blocked(w->sched, item))
        return write_changes(w, b, mode, NULL, false, err);
    held = gf_overlap(b, item->contested, item->contested_count);
    ok = write_changes(w, b, mode, held, false, err) && gf_sender_flush(&w->sender, err);
    if (ok)
        *turn = gf_sched_clear(w->sched, item);
    if (ok && *turn == GF_TURN_COMMIT)
        ok = write_changes(w, b, mode, held, true, err);
    free(held);
    return ok;
}

/* What transactions of the batch keep in the marker or take out of it. */
static bool send_statements(gf_writer *w, const gf_batch *b, gf_error *err)
{
    bool ok = true;

    for (size_t i = 0; i < b->statement_count && ok; i++)
        ok = gf_sender_marker(&w->sender, b->statements[i], err);
    return ok;
}

/* Rule C3: in the transaction of the rows. Rule R2: all of it is answered in the end. */
static bool mark_batch(gf_writer *w, const gf_item *item, gf_error *err)
{
    const gf_batch *b = item->batch;
    gf_buf sql = {0};
    bool ok;

    if (w->opt->marker == NULL)
        return gf_sender_flush(&w->sender, err);
    ok = send_statements(w, b, err);
    gf_marker_position_sql(&sql, w->opt->marker, w->index, w->opt->seq + item->turn, &b->end);
    ok = ok && gf_sender_marker(&w->sender, gf_slice_of(sql.data, sql.len), err) && gf_sender_flush(&w->sender, err);
    gf_buf_free(&sql);
    return ok;
}

static uint64_t rows_written(const gf_chunk *c)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < c->row_count; i++)
        rows += !c->rows[i].dropped;
    return rows;
}

static bool load_rows(gf_writer *w, const gf_chunk *c, size_t from, size_t to, const gf_sql_options *o, gf_error *err)
{
    gf_stmt stmt = {.table = c->range->table, .rows = (unsigned)(to - from)};
    uint64_t rows, replaced;

    if (to - from == 1)
        stmt.key = gf_slice_of(c->keys.data + c->rows[from].key, c->rows[from].key_len);
    if (!gf_load_rows(&rows, &replaced, w->db, &w->feed, c, from, to, o, err))
        return gf_stmt_context(&stmt, err);
    if (replaced > 0 && gf_is_countable(stmt.table)) {
        gf_fail(err, GF_ERR_DIVERGED,
                "it takes the place of %llu other rows of the target, which hold the same in a unique key",
                (unsigned long long)replaced);
        return gf_stmt_context(&stmt, err);
    }
    return rows == 0 || gf_warnings_check(w->db, &stmt, err);
}

static bool load_lines(gf_writer *w, const gf_chunk *c, const gf_sql_options *o, gf_error *err)
{
    bool ok = true;

    if (!c->lines || !o->single)
        return !c->lines || load_rows(w, c, 0, c->row_count, o, err);
    for (size_t i = 0; i < c->row_count && ok; i++)
        ok = load_rows(w, c, i, i + 1, o, err);
    return ok;
}

/* What the stream has written before the copy came there, or a copy that is not in the marker. */
static bool clear_rows(gf_writer *w, const gf_chunk *c, const gf_sql_options *o, gf_error *err)
{
    return gf_chunk_clear_sql(c, o, gf_sender_statement, &w->sender, err) && gf_sender_flush(&w->sender, err);
}

/*
 * No row of a chunk may take another's place: that would be a row lost, where the target holds values equal that the source
 * tells apart (a mapped collation, an expression that a session's settings decide). REPLACE would not tell, so when it finds
 * rows there already, the chunk is written once more: `clear` takes away the rows of its own keys first.
 */
static bool write_chunk(gf_writer *w, const gf_chunk *c, bool clear, bool single, gf_error *err)
{
    gf_sql_options o = sql_options(w, CHUNK_AIM, single);
    gf_slice frontier = gf_slice_of(c->frontier.data, c->frontier.len);
    gf_buf sql = {0};
    bool ok;

    gf_sender_begin(&w->sender, (gf_send_mode){.single = single, .exact = true});
    if ((clear && !clear_rows(w, c, &o, err)) || !load_lines(w, c, &o, err) ||
        !gf_chunk_sql(c, &o, gf_sender_statement, &w->sender, err) ||
        !gf_chunk_computed_sql(c, &o, gf_sender_statement, &w->sender, err))
        return false;
    if (w->opt->marker == NULL)
        return gf_sender_flush(&w->sender, err);
    gf_marker_range_sql(&sql, w->opt->marker, c->range, frontier, c->last, rows_written(c),
                        c->range->table->identity < 0 ? &c->fence : NULL);
    ok = gf_sender_marker(&w->sender, gf_slice_of(sql.data, sql.len), err) && gf_sender_flush(&w->sender, err);
    gf_buf_free(&sql);
    return ok;
}

struct attempts {
    bool single, clear; /* how it is written: row by row, a chunk with its keys cleared before */
    uint64_t since;     /* ms of the first lock conflict in a row; 0 = none */
};

/* All but COMMIT. *turn: COMMIT, or what the scheduler said in the middle of it. */
static bool write_item(gf_writer *w, gf_item *item, const struct attempts *a, gf_turn *turn, gf_error *err)
{
    *turn = GF_TURN_COMMIT;
    if (item->chunk != NULL)
        return write_chunk(w, item->chunk, a->clear, a->single, err) || gf_fail_context(err, "copy");
    return (write_batch(w, item, a->single, turn, err) && (*turn != GF_TURN_COMMIT || mark_batch(w, item, err))) ||
           batch_context(item->batch, err);
}

/* ---- commit ---- */

static void announce(gf_writer *w, gf_item *item, uint64_t changes)
{
    if (item->chunk != NULL) {
        uint64_t rows = rows_written(item->chunk);

        atomic_fetch_add(&w->counts->chunks, 1);
        atomic_fetch_add(&w->counts->rows, rows);
        if (w->opt->chunk_committed != NULL)
            w->opt->chunk_committed(w->opt->ctx, item->chunk, rows);
        return;
    }
    atomic_fetch_add(&w->counts->transactions, item->batch->transactions);
    atomic_fetch_add(&w->counts->changes, changes);
    if (w->opt->batch_committed != NULL)
        w->opt->batch_committed(w->opt->ctx, item->batch);
}

/* The announcement comes before the next one's turn, so batches are announced in the source's order. */
static bool commit(gf_writer *w, gf_item *item, uint64_t changes, gf_error *err)
{
    if (!gf_sender_text(&w->sender, "COMMIT", err)) /* rule R2: all before it was answered */
        return false;
    announce(w, item, changes);
    gf_sched_committed(w->sched, item);
    if (w->lane == GF_LANE_STREAM && w->opt->batch_gone != NULL)
        w->opt->batch_gone(w->opt->ctx);
    return true;
}

static bool is_lock_conflict(const gf_error *err)
{
    for (size_t i = 0; i < sizeof(lock_conflicts) / sizeof(lock_conflicts[0]); i++)
        if (err->native == lock_conflicts[i])
            return true;
    return false;
}

/* ---- running items ---- */

/* After a failed run: true when the item is to be run once more; *err stays the reason else. */
static bool try_again(gf_writer *w, gf_item *item, struct attempts *a, gf_error *err)
{
    uint64_t now = gf_now_ms();

    if (w->sender.warned) /* once more statement by statement */
        return gf_sender_roll_back(&w->sender, err);
    if (err->kind == GF_ERR_DIVERGED && item->chunk != NULL && item->chunk->range->table->identity >= 0 && !a->clear) {
        a->clear = true;
        w->cleared = item->chunk->range->table;
        w->clear_more = CLEAR_MORE;
        return gf_sender_roll_back(&w->sender, err);
    }
    /* Once more row by row: it will fail again, and the message names the row. */
    if ((err->kind == GF_ERR_DIVERGED || err->kind == GF_ERR_DATA) && !is_lock_conflict(err) && !a->single) {
        a->single = true;
        return gf_sender_roll_back(&w->sender, err);
    }
    if (!is_lock_conflict(err))
        return false;
    if (a->since == 0)
        a->since = now;
    if (now - a->since > (uint64_t)w->opt->config->retry_timeout * 1000)
        return gf_fail_context(err, "gave up after %u s: another session on the target holds a lock",
                               w->opt->config->retry_timeout);
    gf_log_debug("%s: rolled back, will be run again", err->text);
    return gf_sender_roll_back(&w->sender, err) && gf_sched_again(w->sched, item);
}

static bool expects_rows(gf_writer *w, const gf_item *item)
{
    if (item->chunk == NULL || item->chunk->range->table != w->cleared || w->clear_more == 0)
        return false;
    w->clear_more--;
    return true;
}

/* False with *err, or with the scheduler ending. */
static bool run_item(gf_writer *w, gf_item *item, gf_error *err)
{
    /* A table of which one chunk met rows will have others that do. */
    struct attempts attempts = {.clear = expects_rows(w, item)};

    for (;;) {
        gf_turn turn;

        if (!write_item(w, item, &attempts, &turn, err)) {
            if (!try_again(w, item, &attempts, err))
                return false;
            continue;
        }
        if (turn == GF_TURN_COMMIT)
            turn = gf_sched_turn(w->sched, item);
        if (turn == GF_TURN_COMMIT) {
            if (commit(w, item, item->batch != NULL ? item->batch->count : 0, err))
                return true;
            if (!try_again(w, item, &attempts, err))
                return false;
        } else if (turn == GF_TURN_STOP || !gf_sender_roll_back(&w->sender, err) || !gf_sched_again(w->sched, item)) {
            return false;
        }
        attempts.since = turn == GF_TURN_AGAIN ? 0 : attempts.since; /* it ran through: no stranger's lock */
    }
}

/* The first piece has the statements of the transactions before the large one; the last one's go with the position. */
static bool write_piece(gf_writer *w, const gf_batch *b, gf_error *err)
{
    if (!write_changes(w, b, (gf_send_mode){.alone = true}, NULL, false, err))
        return false;
    return b->ends || w->opt->marker == NULL || (send_statements(w, b, err) && gf_sender_flush(&w->sender, err));
}

static bool run_large(gf_writer *w, gf_item *item, gf_error *err)
{
    uint64_t changes = 0;

    if (!set_lock_wait(w, w->opt->config->retry_timeout, err))
        return false;
    for (;;) {
        changes += item->batch->count;
        if (!write_piece(w, item->batch, err))
            return batch_context(item->batch, err) || gf_fail_context(err, "large transaction");
        if (item->batch->ends)
            break;
        if (!gf_sched_piece(w->sched, item))
            return false;
    }
    return mark_batch(w, item, err) && commit(w, item, changes, err) && set_lock_wait(w, LOCK_WAIT_S, err);
}

/* ---- small chunks together ---- */

/* What waits for the disk is COMMIT, and a database may have thousands of tables of some rows. */
enum { TOGETHER_MAX = 64, TOGETHER_BYTES = 256 << 10 };

struct group {
    gf_item *items[TOGETHER_MAX];
    unsigned count;
};

/* The chunk, and those that are ready beside it: so they share no claim, and their order does not matter. */
static void gather(gf_writer *w, struct group *g, gf_item *first)
{
    size_t bytes = first->chunk->bytes;
    gf_item *more;

    g->items[0] = first;
    g->count = 1;
    while (first->chunk->range->table->transactional && bytes < TOGETHER_BYTES && g->count < TOGETHER_MAX &&
           (more = gf_sched_take_small(w->sched, TOGETHER_BYTES - bytes)) != NULL) {
        bytes += more->chunk->bytes;
        g->items[g->count++] = more;
    }
}

static bool commit_together(gf_writer *w, const struct group *g, gf_error *err)
{
    gf_turn turn;

    for (unsigned i = 0; i < g->count; i++)
        if (!write_item(w, g->items[i], &(struct attempts){0}, &turn, err))
            return false;
    if (gf_sched_turn(w->sched, g->items[0]) != GF_TURN_COMMIT)
        return gf_fail(err, GF_ERR_STOPPED, "writing to the target was stopped");
    if (!gf_sender_text(&w->sender, "COMMIT", err)) /* rule R2: all before it was answered */
        return false;
    for (unsigned i = 0; i < g->count; i++) {
        announce(w, g->items[i], 0);
        gf_sched_committed(w->sched, g->items[i]);
    }
    return true;
}

/* What goes wrong with several is tried again one by one: there it is known what to do. */
static bool run_chunks(gf_writer *w, gf_item *first, gf_error *err)
{
    struct group g;
    gf_error second;
    bool ok = true;

    gather(w, &g, first);
    if (g.count == 1)
        return run_item(w, first, err);
    if (commit_together(w, &g, err))
        return true;
    if (err->kind == GF_ERR_STOPPED || !gf_sender_roll_back(&w->sender, &second))
        return false;
    for (unsigned i = 0; i < g.count && ok; i++)
        ok = run_item(w, g.items[i], err);
    return ok;
}

/* A batch, a chunk with what is ready beside it, or a transaction in pieces. */
static bool run_any(gf_writer *w, gf_item *item, gf_error *err)
{
    if (item->chunk != NULL)
        return run_chunks(w, item, err);
    return item->batch->ends ? run_item(w, item, err) : run_large(w, item, err);
}

void gf_writer_run(gf_writer *w)
{
    gf_item *item;

    while ((item = gf_sched_take(w->sched, w->lane)) != NULL) {
        gf_error err = {0};

        if (run_any(w, item, &err))
            continue;
        /* Nobody has asked for an end: so there is an error, and all end with it. */
        if (!gf_sched_ending(w->sched))
            gf_sched_fail(w->sched, &err);
        return;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * stream.c - from events to batches: one thread that reads the relay.
 *
 *   relay -> decoder -> on_* (sink) -> builder -> applier
 *                          \-> merger: windows, fences, due chunks -> applier
 *
 * When a batch is sent. At once while few batches are under way, so that an idle link adds no delay; else it keeps
 * growing until it is full or a batch in flight is committed (gf_stream_batch_done kicks the reader). So the worse
 * the target keeps up, the more transactions share one commit. Commits follow each other, so a batch that is written
 * and waits for its own holds the next one back too: sent now it would only wait behind it, smaller.
 */
#include "stream.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "builder.h"
#include "gfreplica/log.h"
#include "gfreplica/thread.h"
#include "in_memory.h"
#include "xa.h"

enum {
    TICK_MS = 200,            /* how long the stream thread sleeps at the most */
    POSITION_EVERY_MS = 1000, /* how often a position without changes is made durable */
    HOLD_MS = 20
};

struct gf_stream {
    gf_stream_options opt; /* set at creation */
    gf_merger *merger;     /* owned */

    /* The stream thread's alone while it runs. */
    gf_decoder *decoder;
    gf_builder builder;
    gf_txn_info txn;
    gf_xa_store xa;
    bool in_txn, in_xa;
    bool at_limit_local;
    uint64_t last_submit_ms;

    pthread_t thread;
    bool started;

    atomic_uint under_way; /* batches submitted and not yet committed */
    atomic_bool exact, stopping, hold_wanted;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool holding, ended, at_limit;
    gf_position scheduled, limit;
    bool failed;
    gf_error failure;
};

static void fail(gf_stream *s, const gf_error *err)
{
    pthread_mutex_lock(&s->lock);
    if (!s->failed) {
        s->failed = true;
        s->failure = *err;
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- submitting ---- */

static bool submit(gf_stream *s, gf_error *err)
{
    if (s->builder.batch == NULL)
        return true;
    s->builder.exact = atomic_load(&s->exact);
    s->last_submit_ms = gf_now_ms();
    atomic_fetch_add(&s->under_way, 1);
    return gf_builder_submit(&s->builder, err);
}

/* What is gathered is sent, and all of it committed. A batch of which nothing is known yet stays. */
static bool flush(gf_stream *s, gf_error *err)
{
    return (gf_builder_fresh(&s->builder) || submit(s, err)) && gf_applier_drain(s->opt.applier, err);
}

/* Between transactions: is it time to send what is gathered? */
static bool submit_when_due(gf_stream *s, gf_error *err)
{
    if (s->builder.batch == NULL)
        return true;
    if (gf_builder_full(&s->builder))
        return submit(s, err);
    if (!gf_builder_changes(&s->builder) && gf_now_ms() - s->last_submit_ms < POSITION_EVERY_MS)
        return true;
    if (atomic_load(&s->under_way) >= s->opt.config->writers || gf_applier_written(s->opt.applier) > 0)
        return true;
    return submit(s, err);
}

/* The merger's turn for a chunk (rule M4): what the stream has before it goes first. */
static bool on_due(void *ctx, gf_chunk *chunk, gf_error *err)
{
    gf_stream *s = ctx;

    if (!submit(s, err)) {
        gf_chunk_free(chunk);
        return false;
    }
    return gf_applier_chunk(s->opt.applier, chunk, err);
}

/* The stream has dealt with everything up to `end`. */
static bool scheduled(gf_stream *s, const gf_position *end, gf_error *err)
{
    pthread_mutex_lock(&s->lock);
    gf_position_copy(&s->scheduled, end);
    if (s->limit.file[0] != '\0' && gf_position_cmp(end, &s->limit) >= 0)
        s->at_limit_local = true;
    pthread_mutex_unlock(&s->lock);
    s->in_txn = false;
    if (!gf_merger_leave(s->merger, end, err))
        return false;
    return submit_when_due(s, err);
}

/* ---- sink ---- */

static bool name_transaction(gf_stream *s, gf_error *err)
{
    return gf_fail_context(err, "transaction %s at %s:%llu", s->txn.gtid[0] != '\0' ? s->txn.gtid : "without GTID",
                           s->txn.file, (unsigned long long)s->txn.offset);
}

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    gf_stream *s = ctx;

    (void)err;
    s->txn = *txn;
    s->in_xa = txn->xid != NULL;
    s->txn.xid = NULL; /* borrowed only for the call */
    s->in_txn = true;
    gf_merger_enter(s->merger);
    gf_builder_begin(&s->builder, txn);
    return true;
}

/* Rule M6: a row image with columns missing can't be written by key without knowing the rest. */
static bool is_whole(const gf_table *t, const gf_value *row, gf_error *err)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        if (row[i].kind == GF_V_ABSENT && t->writes[i])
            return gf_fail(err, GF_ERR_DATA,
                           "%s: the row image lacks column %s: a session or the server runs with "
                           "binlog_row_image other than FULL, set it to FULL and start again",
                           t->label, t->columns[i].name);
    }
    return true;
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    gf_stream *s = ctx;

    (void)event_flags;
    /* Rule K: whether the snapshot has them is told by the place of their COMMIT, which is not known yet. */
    if (s->in_xa && t->identity < 0) {
        gf_fail(err, GF_ERR_DATA, "%s has no key, so changes of XA transactions can't be applied to it exactly",
                t->label);
        return name_transaction(s, err);
    }
    if (s->opt.in_snapshot(s->opt.ctx, t, s->txn.file, s->txn.offset)) /* rule K; else rule M5: nothing is skipped */
        return true;
    if ((op != GF_OP_INSERT && !is_whole(t, before, err)) || (op != GF_OP_DELETE && !is_whole(t, after, err)))
        return name_transaction(s, err);
    return gf_builder_row(&s->builder, s->merger, t, op, before, after, err) || name_transaction(s, err);
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    gf_stream *s = ctx;

    if (!gf_builder_savepoint(&s->builder, name, rollback_to, err))
        return name_transaction(s, err);
    if (rollback_to)
        gf_merger_undone(s->merger);
    return true;
}

static bool on_commit(void *ctx, const gf_position *end, gf_error *err)
{
    gf_stream *s = ctx;
    uint64_t commit_us = s->txn.commit_us;

    if (commit_us == 0) /* MariaDB and older MySQL tell only the second in which it began */
        commit_us = 1000000ULL * s->txn.timestamp;
    if (s->builder.in_pieces) /* the commit sends the last piece */
        atomic_fetch_add(&s->under_way, 1);
    return gf_builder_commit(&s->builder, end, commit_us, err) && scheduled(s, end, err);
}

static bool on_moved(void *ctx, const gf_position *pos, gf_error *err)
{
    gf_stream *s = ctx;

    if (s->in_txn || gf_position_cmp(pos, &s->scheduled) != 0) /* a heartbeat alone is nothing to remember */
        gf_builder_moved(&s->builder, pos);
    return scheduled(s, pos, err);
}

static bool on_rollback(void *ctx, const gf_position *end, gf_error *err)
{
    gf_stream *s = ctx;

    if (!gf_builder_rollback(&s->builder, err))
        return name_transaction(s, err);
    gf_merger_undone(s->merger);
    if (gf_builder_untouched(&s->builder))
        return on_moved(ctx, end, err);
    return on_commit(ctx, end, err); /* of what can't be rolled back on the source either */
}

/* What a PREPARE writes into the marker the decision takes away: they follow each other, whatever rows they have. */
static void claim_xid(gf_stream *s, gf_slice xid)
{
    uint64_t hash = gf_hash(xid.data, xid.len, 0x786964);

    gf_batch_claim(s->builder.batch, &hash, 1);
}

/* PREPARE: the changes leave the batch and wait in the marker and in memory (rule S4). What was recorded of them must
   not make copied rows go away, because the stream may never write them. */
static bool xa_prepare(gf_stream *s, gf_slice xid, const gf_position *end, gf_error *err)
{
    gf_builder *b = &s->builder;
    bool any = !gf_builder_untouched(b);
    gf_buf sql = {0};

    if (b->in_pieces || (any && s->opt.marker == NULL))
        return gf_fail(err, GF_ERR_DATA, "%s",
                       b->in_pieces ? "it is larger than a batch" : "without a marker on the target it can't be kept");
    if (!gf_xa_keep(&s->xa, xid, b->batch, b->txn_changes, b->txn_claims, err))
        return false;
    if (any)
        gf_merger_undone(s->merger);
    gf_builder_withdraw(b);
    if (s->opt.marker != NULL) {
        gf_marker_xa_keep_sql(&sql, s->opt.marker, xid, gf_xa_find(&s->xa, xid));
        gf_batch_statement(b->batch, gf_slice_of(sql.data, sql.len));
        claim_xid(s, xid);
        gf_buf_free(&sql);
    }
    return gf_builder_commit(b, end, s->txn.commit_us, err);
}

static void xa_forget(gf_stream *s, gf_slice xid)
{
    gf_buf sql = {0};

    gf_xa_drop(&s->xa, xid);
    if (s->opt.marker == NULL)
        return;
    gf_marker_xa_drop_sql(&sql, s->opt.marker, xid);
    gf_batch_statement(s->builder.batch, gf_slice_of(sql.data, sql.len));
    claim_xid(s, xid);
    gf_buf_free(&sql);
}

/* COMMIT: here the changes take their place in the stream. */
static bool xa_decide(gf_stream *s, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    gf_slice block = gf_xa_find(&s->xa, xid);
    size_t first = s->builder.batch->count;

    if (kind == GF_XA_COMMIT)
        atomic_store(s->opt.xa_seen, true);
    if (block.data == NULL && kind == GF_XA_COMMIT)
        return gf_fail(err, GF_ERR_DATA,
                       "it was prepared before the job started, so its changes were never seen: start "
                       "the job anew, with no prepared transaction (XA RECOVER)");
    if (block.data == NULL) /* what nobody has seen is undone: nothing to do */
        return gf_builder_commit(&s->builder, end, s->txn.commit_us, err);
    if (kind == GF_XA_COMMIT) {
        if (!gf_xa_unpack(s->builder.batch, block, s->opt.catalog, err))
            return false;
        gf_builder_record(&s->builder, s->merger, first);
    }
    xa_forget(s, xid);
    return gf_builder_commit(&s->builder, end, s->txn.commit_us, err);
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    gf_stream *s = ctx;
    static const char *const names[] = {"PREPARE", "COMMIT", "ROLLBACK"};
    bool ok = kind == GF_XA_PREPARE ? xa_prepare(s, xid, end, err) : xa_decide(s, kind, xid, end, err);

    if (ok)
        return scheduled(s, end, err);
    gf_fail_context(err, "XA %s %.*s", names[kind], (int)xid.len, (const char *)xid.data);
    return name_transaction(s, err);
}

/* The first object of the statement that the filter selects; NULL when there is none. */
static const gf_stmt_object *selected_object(const gf_stream *s, const gf_statement *st)
{
    for (size_t i = 0; i < st->object_count; i++) {
        const gf_stmt_object *o = &st->objects[i];
        char *db = gf_strndup(o->db, o->db_len), *table = gf_strndup(o->table, o->table_len);
        bool selected = o->table_len == 0 ? gf_filter_db(&s->opt.config->filter, db)
                                          : gf_filter_table(&s->opt.config->filter, db, table);

        free(db);
        free(table);
        if (selected)
            return o;
    }
    return NULL;
}

static bool refuse_change(gf_stream *s, const gf_statement *st, const gf_stmt_object *o, gf_error *err)
{
    if (o != NULL)
        gf_fail(err, GF_ERR_DATA,
                "%s of %.*s.%.*s is logged as a statement: only row format can be applied exactly; set "
                "binlog_format=ROW for every session and start the job anew",
                st->verb, (int)o->db_len, o->db, (int)o->table_len, o->table);
    else
        gf_fail(err, GF_ERR_DATA,
                "%s of %.*s.%.*s, which is not selected, is logged as a statement: triggers and functions may change "
                "selected tables with it unseen; set binlog_format=ROW for every session and start the job anew, or "
                "say --allow-unselected-statements if no trigger or function of that table does",
                st->verb, (int)st->objects[0].db_len, st->objects[0].db, (int)st->objects[0].table_len,
                st->objects[0].table);
    return name_transaction(s, err);
}

static bool refuse_statement(gf_stream *s, const gf_statement *st, const gf_stmt_object *o, gf_error *err)
{
    int sql_len = st->sql.len > 200 ? 200 : (int)st->sql.len;

    if (st->kind == GF_STMT_DDL)
        gf_fail(err, GF_ERR_DATA,
                "%s of %.*s.%.*s, which is not repeated on the target: definitions must not change during the move; "
                "start the job anew",
                st->verb, (int)o->db_len, o->db, (int)o->table_len, o->table);
    else
        gf_fail(err, GF_ERR_DATA, "statement not understood, so it may change selected tables: %.*s", sql_len,
                (const char *)st->sql.data);
    return name_transaction(s, err);
}

/* Rule C4: all before it is committed, all after it waits. */
static bool repeat_ddl(gf_stream *s, const gf_statement *st, const gf_position *end, gf_error *err)
{
    gf_builder *b = &s->builder;

    if (!flush(s, err))
        return false;
    gf_builder_begin(b, &s->txn);
    if (!gf_barrier_run(s->opt.barrier, st, &s->txn, s->merger, b->batch, err) ||
        !gf_builder_commit(b, end, s->txn.commit_us, err) || !flush(s, err))
        return false;
    gf_barrier_end(s->opt.barrier);
    return true;
}

static bool pass_ddl(gf_stream *s, const gf_statement *st, const gf_stmt_object *o, const gf_position *end,
                     gf_error *err)
{
    bool allowed = s->xa.count == 0 ? gf_barrier_allows(s->opt.barrier, st, &s->txn, err)
                                    : gf_fail(err, GF_ERR_DATA, "XA transactions are prepared");

    if (allowed && repeat_ddl(s, st, end, err))
        return scheduled(s, end, err);
    if (!allowed)
        gf_fail_context(err, "can't be repeated exactly on the target, start the job anew");
    gf_fail_context(err, "%s of %.*s.%.*s", st->verb, (int)o->db_len, o->db, (int)o->table_len, o->table);
    return name_transaction(s, err);
}

static bool on_statement(void *ctx, const gf_statement *st, bool inside, const gf_position *end, gf_error *err)
{
    gf_stream *s = ctx;
    const gf_stmt_object *o = selected_object(s, st);

    if (!inside && o != NULL && gf_memory_is_emptied(s->opt.catalog, st)) {
        s->opt.emptied(s->opt.ctx, end);
        return on_moved(ctx, end, err);
    }
    if (st->kind == GF_STMT_DML && (o != NULL || !s->opt.config->allow_statements)) /* it may fire triggers */
        return refuse_change(s, st, o, err);
    if (st->kind == GF_STMT_DDL && o != NULL && !inside && s->opt.barrier != NULL)
        return pass_ddl(s, st, o, end, err);
    if (st->kind == GF_STMT_UNKNOWN || (st->kind == GF_STMT_DDL && o != NULL))
        return refuse_statement(s, st, o, err);
    return inside || on_moved(ctx, end, err);
}

/* ---- the stream thread ---- */

static bool held(gf_stream *s)
{
    return atomic_load(&s->hold_wanted) || atomic_load(&s->opt.config->live.paused);
}

/* Between transactions, while asked to: a pause and the cutover want the stream to stand still. */
static void hold_if_wanted(gf_stream *s)
{
    if (s->in_txn || !held(s))
        return;
    pthread_mutex_lock(&s->lock);
    s->holding = true;
    pthread_cond_broadcast(&s->changed);
    while (held(s) && !atomic_load(&s->stopping))
        gf_cond_wait_ms(&s->changed, &s->lock, HOLD_MS);
    s->holding = false;
    pthread_mutex_unlock(&s->lock);
}

static bool feed(gf_stream *s, gf_slice event, gf_error *err)
{
    hold_if_wanted(s);
    return s->at_limit_local || gf_decoder_feed(s->decoder, event, err);
}

/* Nothing came for a while, a batch was committed or a chunk is ready. */
static bool between(gf_stream *s, gf_error *err)
{
    hold_if_wanted(s);
    if (s->in_txn)
        return true;
    if (!gf_merger_leave(s->merger, NULL, err))
        return false;
    return s->at_limit_local ? submit(s, err) : submit_when_due(s, err);
}

static void tell_limit(gf_stream *s)
{
    if (!s->at_limit_local || s->builder.batch != NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->at_limit = true;
    pthread_mutex_unlock(&s->lock);
}

static void *stream(void *arg)
{
    gf_stream *s = arg;
    gf_error err;
    bool ok = true;

    gf_log_thread("stream");
    while (ok && !atomic_load(&s->stopping)) {
        gf_slice event;

        ok = gf_relay_read(&event, s->opt.reader, TICK_MS, &err);
        if (ok && event.data != NULL)
            ok = feed(s, event, &err);
        if (ok && (event.data == NULL || s->at_limit_local))
            ok = between(s, &err);
        tell_limit(s);
    }
    if (!ok)
        fail(s, &err);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- life ---- */

static void kick(void *ctx)
{
    gf_relay_kick(((gf_stream *)ctx)->opt.reader);
}

gf_stream *gf_stream_new(const gf_stream_options *opt)
{
    gf_stream *s = gf_calloc(1, sizeof *s);
    const gf_sink sink = {.ctx = s,
                          .begin = on_begin,
                          .row = on_row,
                          .savepoint = on_savepoint,
                          .commit = on_commit,
                          .rollback = on_rollback,
                          .xa = on_xa,
                          .statement = on_statement,
                          .moved = on_moved};

    s->opt = *opt;
    pthread_mutex_init(&s->lock, NULL);
    gf_cond_init(&s->changed);
    s->merger = gf_merger_new(opt->plan, opt->from, on_due, s);
    gf_merger_on_ready(s->merger, kick, s);
    s->decoder = gf_decoder_new(opt->source->flavor, opt->catalog, &opt->config->filter, opt->from, &sink);
    gf_xa_load(&s->xa, opt->xas, opt->xa_count);
    s->builder.applier = opt->applier;
    s->builder.max_rows = opt->config->batch_rows;
    s->builder.max_bytes = opt->config->batch_bytes;
    gf_position_copy(&s->scheduled, opt->from);
    return s;
}

gf_merger *gf_stream_merger(gf_stream *s)
{
    return s->merger;
}

bool gf_stream_start(gf_stream *s, gf_error *err)
{
    if (pthread_create(&s->thread, NULL, stream, s) != 0)
        return gf_fail_errno(err, "start the stream thread");
    s->started = true;
    return true;
}

void gf_stream_batch_done(gf_stream *s)
{
    atomic_fetch_sub(&s->under_way, 1);
    gf_relay_kick(s->opt.reader);
}

void gf_stream_exact(gf_stream *s, bool exact)
{
    atomic_store(&s->exact, exact);
}

bool gf_stream_hold(gf_stream *s, bool wanted)
{
    bool holding;

    atomic_store(&s->hold_wanted, wanted);
    gf_relay_kick(s->opt.reader);
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    if (wanted && !s->holding && !s->ended)
        gf_cond_wait_ms(&s->changed, &s->lock, HOLD_MS);
    holding = s->holding;
    pthread_mutex_unlock(&s->lock);
    return holding;
}

void gf_stream_limit(gf_stream *s, const gf_position *end)
{
    pthread_mutex_lock(&s->lock);
    gf_position_copy(&s->limit, end);
    s->at_limit_local = gf_position_cmp(&s->scheduled, end) >= 0; /* it holds: nobody else writes this now */
    pthread_mutex_unlock(&s->lock);
}

bool gf_stream_at_limit(gf_stream *s)
{
    bool at;

    pthread_mutex_lock(&s->lock);
    at = s->at_limit;
    pthread_mutex_unlock(&s->lock);
    return at;
}

void gf_stream_scheduled(gf_stream *s, gf_position *out)
{
    pthread_mutex_lock(&s->lock);
    gf_position_copy(out, &s->scheduled);
    pthread_mutex_unlock(&s->lock);
}

bool gf_stream_failed(gf_stream *s, gf_error *err)
{
    bool failed;

    pthread_mutex_lock(&s->lock);
    failed = s->failed && s->ended;
    if (failed)
        *err = s->failure;
    pthread_mutex_unlock(&s->lock);
    return failed;
}

void gf_stream_stop(gf_stream *s)
{
    atomic_store(&s->stopping, true);
    gf_merger_stop(s->merger);
    if (s->opt.barrier != NULL)
        gf_barrier_stop(s->opt.barrier);
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    gf_relay_kick(s->opt.reader);
}

void gf_stream_join(gf_stream *s)
{
    if (s == NULL)
        return;
    gf_stream_stop(s);
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
}

void gf_stream_free(gf_stream *s)
{
    if (s == NULL)
        return;
    gf_stream_join(s);
    gf_decoder_free(s->decoder);
    gf_builder_free(&s->builder);
    gf_xa_free(&s->xa);
    gf_merger_free(s->merger);
    gf_position_free(&s->scheduled);
    gf_position_free(&s->limit);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

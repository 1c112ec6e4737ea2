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
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batch_sql.h"
#include "gfreplica/log.h"
#include "overlap.h"

enum {
    LOCK_WAIT_S = 2,     /* short: behind a wait there may be a circle that no server sees (rule C2a) */
    BATCH_AIM = 1 << 20, /* bytes of a statement */
    CHUNK_AIM = 2 << 20
};

/* Errors after which the server has rolled back, or we can, and the same transaction may well succeed. */
static const unsigned lock_conflicts[] = {
    1205, /* ER_LOCK_WAIT_TIMEOUT */
    1213, /* ER_LOCK_DEADLOCK; also a certification failure of Galera */
    1614, /* ER_XA_RBDEADLOCK */
    1020, /* ER_CHECKREAD: MariaDB, innodb_snapshot_isolation */
    3101, /* ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication's certification */
};

/* Warnings that say nothing about the data. */
static const struct {
    unsigned code;
    const char *why;
} harmless[] = {
    {1287, "deprecated syntax: the introducer of a value's character set (_utf8mb3, _ucs2)"},
    {1592, "unsafe for statement format: speaks of the target's own binlog, which records rows or the statement"},
    {1681, "deprecated syntax without replacement"},
    {3719, "deprecated name of a character set: utf8"},
    {3778, "deprecated name of a collation: utf8_..."},
    {6414, "deprecated: engines with and without transactions in one transaction, as on the source"},
};

enum { WARN_TRUNCATED = 1265 /* what a relaxed row's ENUM or SET gives */ };

/* What is known of the item while it runs. */
struct run {
    gf_writer *w;
    bool exact;                     /* affected rows are compared */
    bool single;                    /* one row a statement, to name the key that differs */
    uint64_t affected, least, most; /* of the table's statements so far */
    gf_slice suspect;               /* single: the first row that was short, else over */
    bool suspect_short;
};

/* ---- session ---- */

static bool execute(gf_writer *w, const char *sql, size_t len, const char *what, gf_error *err)
{
    if (mysql_real_query(w->db, sql, (unsigned long)len) != 0)
        return gf_fail_mysql(err, w->db, "%s", what);
    return true;
}

static bool execute_text(gf_writer *w, const char *sql, gf_error *err)
{
    return execute(w, sql, strlen(sql), sql, err);
}

/* "SET SESSION sql_mode='A,B'" of the mode as it is, with or without its strict parts. */
static char *mode_statement(const char *mode, bool strict)
{
    gf_buf sql = {0};
    const char *comma = "";

    gf_buf_str(&sql, "SET SESSION sql_mode='");
    for (const char *p = mode; *p != '\0';) {
        size_t len = strcspn(p, ",");

        if (strict || strncmp(p, "STRICT_", 7) != 0) {
            gf_buf_printf(&sql, "%s%.*s", comma, (int)len, p);
            comma = ",";
        }
        p += len + (p[len] == ',');
    }
    gf_buf_str(&sql, "'");
    gf_buf_cstr(&sql);
    return (char *)sql.data;
}

static bool read_mode(gf_writer *w, gf_error *err)
{
    char *mode = NULL;

    if (!gf_server_scalar(&mode, w->db, "read the writer's sql_mode", err, "SELECT @@SESSION.sql_mode"))
        return false;
    w->strict = mode_statement(mode != NULL ? mode : "", true);
    w->relaxed = mode_statement(mode != NULL ? mode : "", false);
    free(mode);
    return true;
}

static bool set_lock_wait(gf_writer *w, unsigned seconds, gf_error *err)
{
    return gf_server_exec(w->db, "set up a writer", err,
                          "SET SESSION innodb_lock_wait_timeout=%u, lock_wait_timeout=%u", seconds, seconds);
}

static void publish_socket(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    w->socket = dup((int)mysql_get_socket(w->db));
    if (w->interrupted)
        shutdown(w->socket, SHUT_RDWR);
    pthread_mutex_unlock(&w->socket_lock);
}

/* All warnings have to be seen, not the first 64. MySQL wants SESSION_VARIABLES_ADMIN for that; without it a statement
   with more warnings than are listed is refused (check_warnings). */
static bool list_all_warnings(gf_writer *w, gf_error *err)
{
    enum { ACCESS_DENIED = 1227 };

    return gf_server_exec(w->db, "set up a writer", err, "SET SESSION max_error_count=65535") ||
           err->native == ACCESS_DENIED;
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
    return read_mode(w, err) && set_lock_wait(w, LOCK_WAIT_S, err) && list_all_warnings(w, err);
}

void gf_writer_close(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    if (w->socket >= 0)
        close(w->socket);
    w->socket = -1;
    pthread_mutex_unlock(&w->socket_lock);
    gf_server_close(w->db);
    w->db = NULL;
    free(w->strict);
    free(w->relaxed);
    free(w->prefix);
}

void gf_writer_interrupt(gf_writer *w)
{
    pthread_mutex_lock(&w->socket_lock);
    w->interrupted = true;
    if (w->socket >= 0)
        shutdown(w->socket, SHUT_RDWR);
    pthread_mutex_unlock(&w->socket_lock);
}

/* ---- warnings ---- */

static bool is_harmless(unsigned code)
{
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (harmless[i].code == code)
            return true;
    return false;
}

/* The server names the column in quotes, whatever its language. */
static bool is_expected(const gf_stmt *stmt, unsigned code, const char *text)
{
    bool found = false;

    if (!stmt->relaxed || code != WARN_TRUNCATED)
        return false;
    for (unsigned i = 0; i < stmt->table->column_count && !found; i++) {
        const gf_column *col = &stmt->table->columns[i];
        char *quoted;

        if (col->type != GF_T_ENUM && col->type != GF_T_SET)
            continue;
        quoted = gf_asprintf("'%s'", col->name);
        found = strstr(text, quoted) != NULL;
        free(quoted);
    }
    return found;
}

/* "write db.t (id=5)": with the key where the statement holds one row. Owned by the caller. */
static char *describe(const gf_stmt *stmt)
{
    gf_buf text = {0};

    gf_buf_str(&text, stmt->deletes ? "delete from " : "write ");
    gf_row_label(&text, stmt->table, stmt->rows == 1 ? stmt->key : (gf_slice){0});
    gf_buf_cstr(&text);
    return (char *)text.data;
}

static bool statement_context(const gf_stmt *stmt, gf_error *err)
{
    char *what = describe(stmt);

    gf_fail_context(err, "%s", what);
    free(what);
    return false;
}

static bool check_warnings(gf_writer *w, const gf_stmt *stmt, gf_error *err)
{
    unsigned count = mysql_warning_count(w->db);
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool ok = true;

    if (count == 0)
        return true;
    res = gf_server_query(w->db, "read warnings", err, "SHOW WARNINGS");
    if (res == NULL)
        return false;
    while (ok && (row = mysql_fetch_row(res)) != NULL) {
        unsigned code = (unsigned)strtoul(row[1] != NULL ? row[1] : "0", NULL, 10);
        const char *text = row[2] != NULL ? row[2] : "";

        if (!is_harmless(code) && !is_expected(stmt, code, text))
            ok = gf_fail(err, GF_ERR_DATA, "the target warns: %s (%u)", text, code);
    }
    if (ok && mysql_num_rows(res) < count) /* what is not listed cannot be judged */
        ok = gf_fail(err, GF_ERR_DATA, "the target has %u warnings and lists only %" PRIu64, count,
                     (uint64_t)mysql_num_rows(res));
    mysql_free_result(res);
    return ok || statement_context(stmt, err);
}

/* ---- affected rows ---- */

static bool diverged(struct run *run, const gf_stmt *stmt, gf_error *err)
{
    gf_buf label = {0};

    gf_row_label(&label, stmt->table, run->single ? run->suspect : (gf_slice){0});
    gf_fail(err, GF_ERR_DIVERGED,
            "%s %s: %" PRIu64 " rows affected where the source's changes mean %" PRIu64 "%s: the target differs there",
            stmt->deletes ? "delete from" : "write", gf_buf_cstr(&label), run->affected,
            run->affected < run->least ? run->least : run->most, run->least == run->most ? "" : " at the outside");
    gf_buf_free(&label);
    return false;
}

/* Where is the row that the sum misses? The first one that was short, else the first one over. */
static void suspect(struct run *run, const gf_stmt *stmt, uint64_t affected)
{
    bool is_short = affected < stmt->least;

    if (!run->single || (affected >= stmt->least && affected <= stmt->most))
        return;
    if (run->suspect.len == 0 || (is_short && !run->suspect_short)) {
        run->suspect = stmt->key;
        run->suspect_short = is_short;
    }
}

/* Other engines keep a half of what a crash broke off, and a versioned table's history may count too. */
static bool is_countable(const gf_table *t)
{
    return t->transactional && !t->system_versioned;
}

static bool check_affected(struct run *run, const gf_stmt *stmt, uint64_t affected, gf_error *err)
{
    bool ok;

    if (!run->exact && !stmt->alone)
        return true;
    run->affected += affected;
    run->least += stmt->least;
    run->most += stmt->most;
    suspect(run, stmt, affected);
    if (!stmt->alone && !stmt->last)
        return true;
    ok = run->affected >= run->least && run->affected <= run->most;
    if (!ok && (stmt->alone || is_countable(stmt->table)))
        return diverged(run, stmt, err);
    run->affected = run->least = run->most = 0;
    run->suspect = (gf_slice){0};
    return true;
}

static bool run_statement(void *ctx, const gf_stmt *stmt, gf_error *err)
{
    struct run *run = ctx;
    gf_writer *w = run->w;
    uint64_t affected;

    if (stmt->relaxed && !execute_text(w, w->relaxed, err))
        return false;
    if (mysql_real_query(w->db, (const char *)stmt->sql.data, (unsigned long)stmt->sql.len) != 0) {
        char *what = describe(stmt);

        gf_fail_mysql(err, w->db, "%s", what);
        free(what);
        return false;
    }
    affected = mysql_affected_rows(w->db);
    if (!check_warnings(w, stmt, err) || (stmt->relaxed && !execute_text(w, w->strict, err)))
        return false;
    return check_affected(run, stmt, affected, err);
}

/* ---- one run of an item, up to COMMIT ---- */

/* Rule R3: of our generation, or nothing is committed. Rule C3: in the transaction of the rows. */
static bool update_marker(gf_writer *w, gf_slice sql, gf_error *err)
{
    if (!execute(w, (const char *)sql.data, sql.len, "update the marker", err))
        return false;
    if (mysql_affected_rows(w->db) == 1)
        return true;
    return gf_fail(err, GF_ERR_CONFIG,
                   "update the marker: its row is not ours any more: another instance has taken over job '%s', or the "
                   "marker was removed from database %s; this instance stops, nothing of this transaction was written",
                   w->opt->config->job, w->opt->config->marker_db);
}

static gf_sql_options sql_options(const gf_writer *w, size_t aim, bool single)
{
    uint64_t packet = w->opt->target->max_allowed_packet;

    return (gf_sql_options){.aim = packet != 0 && packet < aim ? (size_t)packet : aim,
                            .packet = packet != 0 ? (size_t)packet : SIZE_MAX,
                            .prefix = w->prefix,
                            .single = single};
}

/* held: which changes wait, NULL when there are none; want: those or the others. */
static bool write_changes(gf_writer *w, const gf_batch *b, bool single, const bool *held, bool want, gf_error *err)
{
    gf_sql_options o = sql_options(w, BATCH_AIM, single);
    /* Without a marker a resume repeats changes, and then the counts mean nothing (rule R4). */
    struct run run = {.w = w, .single = single, .exact = b->exact && w->opt->marker != NULL};

    o.held = held;
    o.want = want;
    if (gf_batch_sql(b, &o, run_statement, &run, err))
        return true;
    if (b->first_gtid[0] != '\0')
        gf_fail_context(err, "transaction %s", b->first_gtid);
    return false;
}

/* Rule C1 by rows: what shares no claim with the batches before, and what does when they are committed. Without COMMIT
   in *turn the second half was not written. */
static bool write_batch(gf_writer *w, gf_item *item, bool single, gf_turn *turn, gf_error *err)
{
    const gf_batch *b = item->batch;
    bool *held, ok;

    if (!gf_sched_blocked(w->sched, item))
        return write_changes(w, b, single, NULL, false, err);
    held = gf_overlap(b, item->contested, item->contested_count);
    ok = write_changes(w, b, single, held, false, err);
    if (ok)
        *turn = gf_sched_clear(w->sched, item);
    if (ok && *turn == GF_TURN_COMMIT)
        ok = write_changes(w, b, single, held, true, err);
    free(held);
    return ok;
}

static bool mark_batch(gf_writer *w, const gf_item *item, gf_error *err)
{
    const gf_batch *b = item->batch;
    gf_buf sql = {0};
    bool ok = true;

    if (w->opt->marker == NULL)
        return true;
    for (size_t i = 0; i < b->statement_count && ok; i++)
        ok = update_marker(w, b->statements[i], err);
    gf_marker_position_sql(&sql, w->opt->marker, w->index, w->opt->seq + item->turn, &b->end);
    ok = ok && update_marker(w, gf_slice_of(sql.data, sql.len), err);
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
    uint64_t rows;

    if (to - from == 1)
        stmt.key = gf_slice_of(c->keys.data + c->rows[from].key, c->rows[from].key_len);
    if (!gf_load_rows(&rows, w->db, &w->feed, c, from, to, o, err))
        return statement_context(&stmt, err);
    return rows == 0 || check_warnings(w, &stmt, err);
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

static bool write_chunk(gf_writer *w, const gf_chunk *c, bool single, gf_error *err)
{
    gf_sql_options o = sql_options(w, CHUNK_AIM, single);
    struct run run = {.w = w};
    gf_slice frontier = gf_slice_of(c->frontier.data, c->frontier.len);
    gf_buf sql = {0};
    bool ok;

    if (!load_lines(w, c, &o, err) || !gf_chunk_sql(c, &o, run_statement, &run, err))
        return gf_fail_context(err, "copy");
    if (w->opt->marker == NULL)
        return true;
    gf_marker_range_sql(&sql, w->opt->marker, c->range, frontier, c->last, rows_written(c),
                        c->range->table->identity < 0 ? &c->fence : NULL);
    ok = update_marker(w, gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    return ok;
}

/* All but COMMIT. *turn: COMMIT, or what the scheduler said in the middle of it. */
static bool write_item(gf_writer *w, gf_item *item, bool single, gf_turn *turn, gf_error *err)
{
    *turn = GF_TURN_COMMIT;
    if (item->chunk != NULL)
        return write_chunk(w, item->chunk, single, err);
    return write_batch(w, item, single, turn, err) && (*turn != GF_TURN_COMMIT || mark_batch(w, item, err));
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
    if (!execute(w, "COMMIT", 6, "commit", err)) /* rule R2: all before it was answered */
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

static bool roll_back(gf_writer *w, gf_error *err)
{
    /* A relaxed row may have been the one that failed. */
    return execute_text(w, "ROLLBACK", err) && execute_text(w, w->strict, err);
}

/* ---- running items ---- */

struct attempts {
    bool single;
    uint64_t since; /* ms of the first lock conflict in a row; 0 = none */
};

/* After a failed run: true when the item is to be run once more; *err stays the reason else. */
static bool try_again(gf_writer *w, gf_item *item, struct attempts *a, gf_error *err)
{
    uint64_t now = gf_now_ms();

    /* Once more row by row: it will fail again, and the message names the row. */
    if ((err->kind == GF_ERR_DIVERGED || err->kind == GF_ERR_DATA) && !is_lock_conflict(err) && !a->single) {
        a->single = true;
        return roll_back(w, err);
    }
    if (!is_lock_conflict(err))
        return false;
    if (a->since == 0)
        a->since = now;
    if (now - a->since > (uint64_t)w->opt->config->retry_timeout * 1000)
        return gf_fail_context(err, "gave up after %u s: another session on the target holds a lock",
                               w->opt->config->retry_timeout);
    gf_log_debug("%s: rolled back, will be run again", err->text);
    return roll_back(w, err) && gf_sched_again(w->sched, item);
}

/* False with *err, or with the scheduler ending. */
static bool run_item(gf_writer *w, gf_item *item, gf_error *err)
{
    struct attempts attempts = {0};

    for (;;) {
        gf_turn turn;

        if (!write_item(w, item, attempts.single, &turn, err)) {
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
        } else if (turn == GF_TURN_STOP || !roll_back(w, err) || !gf_sched_again(w->sched, item)) {
            return false;
        }
        attempts.since = turn == GF_TURN_AGAIN ? 0 : attempts.since; /* it ran through: no stranger's lock */
    }
}

static bool run_large(gf_writer *w, gf_item *item, gf_error *err)
{
    uint64_t changes = 0;

    if (!set_lock_wait(w, w->opt->config->retry_timeout, err))
        return false;
    for (;;) {
        changes += item->batch->count;
        if (!write_changes(w, item->batch, false, NULL, false, err))
            return gf_fail_context(err, "large transaction");
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
    while (bytes < TOGETHER_BYTES && g->count < TOGETHER_MAX &&
           (more = gf_sched_take_small(w->sched, TOGETHER_BYTES - bytes)) != NULL) {
        bytes += more->chunk->bytes;
        g->items[g->count++] = more;
    }
}

static bool commit_together(gf_writer *w, const struct group *g, gf_error *err)
{
    gf_turn turn;

    for (unsigned i = 0; i < g->count; i++)
        if (!write_item(w, g->items[i], false, &turn, err))
            return false;
    if (gf_sched_turn(w->sched, g->items[0]) != GF_TURN_COMMIT)
        return gf_fail(err, GF_ERR_STOPPED, "writing to the target was stopped");
    if (!execute(w, "COMMIT", 6, "commit", err)) /* rule R2: all before it was answered */
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
    if (err->kind == GF_ERR_STOPPED || !roll_back(w, &second))
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

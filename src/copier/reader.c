/* SPDX-License-Identifier: MIT */
/*
 * reader.c - the reader threads.
 *
 * Each takes a range and reads chunk after chunk of it: turn (memory free, source at ease, not paused) -> window
 * (rule M1) -> view (M2) -> rows -> fence (M3) -> hand over. A chunk that fails is given up with its window and read
 * again: nothing of it has left the reader. What passes by itself (a lost link, a killed query, a lock wait) is tried again on a new
 * connection for up to retry_timeout; a definition that no longer fits is tried once more when the stream has passed
 * what was in the binlog then, because the DDL that explains it may be on its way to us.
 *
 * Memory: a reader reserves what its last chunk took before it reads the next one, and settles when it knows. A chunk
 * leaves the account by gf_copier_freed, or when the merger throws it.
 *
 * Locks: the copier's is the innermost. It is never held while the merger, the plan or a server is called.
 */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdlib.h>

#include "chunk.h"
#include "gfreplica/log.h"
#include "gfreplica/thread.h"
#include "merger.h"
#include "plan.h"
#include "throttle.h"

enum {
    LOOK_AGAIN_MS = 50, /* for a pause to end, for the last chunks to be merged */
    FIRST_BACKOFF_MS = 100,
    LAST_BACKOFF_MS = 5000,
    LARGE_BUFFER = 8 << 20 /* a connection that has grown so large is not kept */
};

typedef struct {
    gf_copier *copier;
    unsigned index;
    pthread_t thread;
    gf_lifeline lifeline; /* guarded by the copier's lock: a stop breaks it */

    /* The thread's alone. */
    MYSQL *db; /* owned, NULL when not connected */
    gf_view view;
    gf_chunk_reader chunks; /* for the table of the range that it holds */
    size_t reserved, last_bytes;
    uint64_t failing_since; /* ms; 0: the last attempt went well */
    unsigned backoff;
    uint64_t turn_since;     /* ms: it counts as reading; 0: it does not */
    const gf_table *refused; /* the definition that did not fit at the last attempt */
} reader;

struct gf_copier {
    gf_copier_options opt; /* set before the threads start, like the next three */
    reader *readers;       /* owned */
    gf_throttle *throttle; /* owned */
    unsigned count;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool stopping, failed;
    gf_error failure; /* the first one, once failed */
    size_t in_flight; /* bytes reserved or in chunks */
};

/* ---- stopping, waiting ---- */

static bool is_stopping(gf_copier *c)
{
    bool stopping;

    pthread_mutex_lock(&c->lock);
    stopping = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return stopping;
}

static bool reader_stopped(void *ctx)
{
    return is_stopping(((reader *)ctx)->copier);
}

/* False when stopping. */
static bool pause_reader(gf_copier *c, unsigned ms)
{
    uint64_t until = gf_now_ms() + ms, now;
    bool go_on;

    pthread_mutex_lock(&c->lock);
    while (!c->stopping && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&c->changed, &c->lock, (unsigned)(until - now));
    go_on = !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void stop_all(gf_copier *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    for (unsigned i = 0; i < c->count; i++)
        gf_lifeline_break(&c->readers[i].lifeline);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    gf_merger_stop(c->opt.merger);
}

/* The first error counts. What fails because of a stop is no failure. */
static void fail_copier(gf_copier *c, const gf_error *err)
{
    bool first;

    pthread_mutex_lock(&c->lock);
    first = !c->failed && !c->stopping && err->kind != GF_ERR_STOPPED;
    if (first) {
        c->failed = true;
        c->failure = *err;
    }
    pthread_mutex_unlock(&c->lock);
    if (first)
        stop_all(c);
}

/* ---- memory ---- */

static bool paused(const gf_copier *c)
{
    return atomic_load(&c->opt.config->live.paused);
}

/* Waits until there is room for a chunk. One is always allowed, or a large one would never be read. */
static bool take_memory(reader *r)
{
    gf_copier *c = r->copier;
    size_t need = r->last_bytes > c->opt.config->chunk_bytes ? r->last_bytes : c->opt.config->chunk_bytes;
    bool go_on;

    pthread_mutex_lock(&c->lock);
    while (!c->stopping && (paused(c) || (c->in_flight > 0 && c->in_flight + need > c->opt.max_bytes)))
        gf_cond_wait_ms(&c->changed, &c->lock, LOOK_AGAIN_MS);
    go_on = !c->stopping;
    if (go_on)
        c->in_flight += need;
    pthread_mutex_unlock(&c->lock);
    r->reserved = go_on ? need : 0;
    return go_on;
}

void gf_copier_freed(gf_copier *c, size_t bytes)
{
    pthread_mutex_lock(&c->lock);
    c->in_flight -= bytes;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void on_thrown(void *ctx, const gf_chunk *chunk)
{
    gf_copier_freed(ctx, chunk->bytes);
}

/* The reservation becomes what the chunk takes; 0: there is none. */
static void settle(reader *r, size_t bytes)
{
    gf_copier *c = r->copier;

    pthread_mutex_lock(&c->lock);
    c->in_flight = c->in_flight - r->reserved + bytes;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    r->reserved = 0;
}

/* ---- the connection ---- */

static void hold_lifeline(reader *r, int fd)
{
    gf_copier *c = r->copier;

    pthread_mutex_lock(&c->lock);
    gf_lifeline_hold(&r->lifeline, fd, c->stopping);
    pthread_mutex_unlock(&c->lock);
}

static void disconnect(reader *r)
{
    hold_lifeline(r, -1);
    gf_server_close(r->db);
    r->db = r->view.db = NULL;
}

/* Rule S5: positions of another server behind the same address mean nothing to the stream. After a failover the stream's
   own link is lost too, and the next attempt decides (R5). */
static bool check_server(reader *r, gf_error *err)
{
    const gf_server_info *info = r->copier->opt.info;
    gf_server_info now = {0};

    if (!gf_server_info_read(&now, r->db, err))
        return false;
    if (strcmp(now.identity, info->identity) == 0)
        return true;
    return gf_fail(err, GF_ERR_RETRY,
                   "another server (%s) answers at the source's address than the one streamed from"
                   " (%s): give an address that always leads to the same server",
                   now.identity, info->identity);
}

static bool connect_reader(reader *r, gf_error *err)
{
    const gf_copier_options *opt = &r->copier->opt;

    if (r->db != NULL)
        return true;
    if (!gf_server_connect(&r->db, &opt->config->source, GF_CONN_READER, err))
        return false;
    r->view.db = r->db;
    hold_lifeline(r, (int)mysql_get_socket(r->db));
    r->view.may_lock = false;
    if (check_server(r, err))
        return true;
    disconnect(r);
    return false;
}

/* ---- the source's load ---- */

/* What goes wrong here goes wrong with the chunk as well, and is told there. */
static void ask_for_load(reader *r)
{
    gf_error ignored;
    MYSQL_RES *res;
    MYSQL_ROW row;

    if (!connect_reader(r, &ignored))
        return;
    res = gf_server_query(r->db, "read the source's load", &ignored, "SHOW GLOBAL STATUS LIKE 'Threads_running'");
    if (res == NULL) {
        disconnect(r);
        return;
    }
    if ((row = mysql_fetch_row(res)) != NULL)
        gf_throttle_answer(r->copier->throttle, (unsigned)strtoul(row[1], NULL, 10));
    mysql_free_result(res);
}

/* Waits until this reader may read, before a window is open: one that waits would grow. False when stopping. */
static bool take_turn(reader *r)
{
    gf_copier *c = r->copier;

    if (!take_memory(r))
        return false;
    for (;;) {
        if (gf_throttle_asks(c->throttle, gf_now_ms()))
            ask_for_load(r);
        if (!paused(c) && gf_throttle_begin(c->throttle, gf_now_ms()))
            break;
        if (!pause_reader(c, LOOK_AGAIN_MS))
            return false;
    }
    r->turn_since = gf_now_ms();
    return true;
}

static void leave_turn(reader *r)
{
    uint64_t now = gf_now_ms();

    if (r->turn_since != 0)
        gf_throttle_end(r->copier->throttle, now, now - r->turn_since);
    r->turn_since = 0;
}

/* ---- one chunk ---- */

static void use_table(reader *r, const gf_table *t)
{
    if (r->chunks.rows.table == t)
        return;
    gf_chunk_reader_free(&r->chunks);
    gf_chunk_reader_init(&r->chunks, t, r->copier->opt.config, r->copier->opt.info->flavor, r->copier->opt.lines);
}

/* A reader whose link we have cut ourselves needs a new one for the fence. */
static bool read_chunk(reader *r, gf_chunk *c, const gf_window *w, gf_error *err)
{
    const gf_config *config = r->copier->opt.config;
    bool broken = false;

    if (!connect_reader(r, err) || !gf_view_open(&r->view, &c->start, err) ||
        !gf_chunk_read(c, &broken, &r->chunks, &r->view, gf_window_cursor(w), config, err))
        return false;
    if (broken)
        disconnect(r);
    return connect_reader(r, err) && gf_view_close(&c->fence, &r->view, err);
}

/* ---- what to do when it failed ---- */

/* The table is not as its definition says. */
static bool definition_differs(const gf_error *err)
{
    return err->native == ER_BAD_FIELD_ERROR || err->native == ER_NO_SUCH_TABLE || err->native == ER_BAD_DB_ERROR ||
           err->native == ER_KEY_DOES_NOT_EXISTS || err->native == ER_TABLE_DEF_CHANGED;
}

static bool passes_by_itself(const gf_error *err)
{
    enum { QUERY_TIMEOUT_MYSQL = 3024 }; /* MySQL's max_execution_time; not in MariaDB's header */

    return err->kind == GF_ERR_RETRY || err->native == ER_QUERY_INTERRUPTED || err->native == QUERY_TIMEOUT_MYSQL;
}

static bool wait_for_stream(reader *r, gf_error *err)
{
    gf_position end = {0};
    bool ok = connect_reader(r, err) && gf_server_binlog_end(&end, r->db, r->copier->opt.info, err);

    if (ok && !gf_merger_wait(r->copier->opt.merger, &end))
        ok = gf_fail(err, GF_ERR_STOPPED, "stopped");
    gf_position_free(&end);
    return ok;
}

/* True: read again. Whatever the server does not like may come of a definition that is another one by now: an unknown
   column, or a function of a column that was JSON. It is waited once for what the stream brings. An index that the server does
   not let us name (MySQL's invisible ones) is left to it. */
static bool mend_definition(reader *r, const gf_table *t, gf_error *err)
{
    if (err->native == ER_KEY_DOES_NOT_EXISTS && !r->chunks.any_index) {
        r->chunks.any_index = true;
        return true;
    }
    if (r->refused == t)
        return false;
    r->refused = t;
    gf_log_info("copy %s: %s: waiting for what the stream brings", t->label, err->text);
    return wait_for_stream(r, err);
}

static bool try_later(reader *r, const gf_table *t, gf_error *err)
{
    uint64_t now = gf_now_ms();

    disconnect(r);
    if (r->failing_since == 0) {
        r->failing_since = now;
        r->backoff = FIRST_BACKOFF_MS;
        gf_log_warn("copy %s: %s: trying again", t->label, err->text);
    }
    if (now - r->failing_since > 1000ULL * r->copier->opt.config->retry_timeout)
        return gf_fail_context(err, "copy %s: given up after %u s", t->label, r->copier->opt.config->retry_timeout);
    if (r->chunks.limit > 1) /* a time limit on the source: the same chunk would meet it again */
        r->chunks.limit = (r->chunks.limit + 1) / 2;
    if (!pause_reader(r->copier, r->backoff))
        return gf_fail(err, GF_ERR_STOPPED, "stopped");
    r->backoff = r->backoff < LAST_BACKOFF_MS / 2 ? 2 * r->backoff : LAST_BACKOFF_MS;
    return true;
}

/* True: the chunk is to be read again. */
static bool mend(reader *r, const gf_table *t, gf_error *err)
{
    if (is_stopping(r->copier))
        return gf_fail(err, GF_ERR_STOPPED, "stopped");
    if (err->native != 0 && !passes_by_itself(err) && mend_definition(r, t, err))
        return true;
    if (passes_by_itself(err))
        return try_later(r, t, err);
    if (err->kind == GF_ERR_STOPPED)
        return false;
    return gf_fail_context(err,
                           definition_differs(err)
                               ? "copy %s: the table is not as it was when the copy started and no DDL in the stream "
                                 "tells why"
                               : "copy %s",
                           t->label);
}

static void went_well(reader *r, const gf_chunk *c)
{
    r->failing_since = 0;
    r->refused = NULL;
    r->last_bytes = c->bytes;
}

/* ---- one range ---- */

/* Reads the chunk of an open window. False: *err, and the window is given up. */
static bool serve_window(reader *r, gf_range *range, gf_window *w, const gf_position *a, gf_error *err)
{
    gf_merger *m = r->copier->opt.merger;
    gf_chunk *c = gf_chunk_new(range);

    gf_position_copy(&c->start, a);
    use_table(r, gf_window_table(w));
    if (!read_chunk(r, c, w, err)) {
        gf_merger_abandon(m, w);
        gf_chunk_free(c);
        settle(r, 0);
        return false;
    }
    went_well(r, c);
    settle(r, c->bytes);
    gf_merger_hand_over(m, w, c);
    return true;
}

/* After a throw: from a window opened when the stream is near the end of the binlog little is recorded. */
static bool catch_up(reader *r, gf_window *w, gf_error *err)
{
    gf_merger_abandon(r->copier->opt.merger, w);
    settle(r, 0);
    return wait_for_stream(r, err);
}

static bool read_range(reader *r, gf_range *range, gf_error *err)
{
    gf_position a = {0};
    bool ok = true;

    while (ok && take_turn(r)) {
        gf_window *w = gf_merger_open(&a, r->copier->opt.merger, range);
        const gf_table *t;

        if (w == NULL) /* read to its end, or stopped */
            break;
        t = gf_window_table(w);
        if (gf_window_again(w))
            ok = catch_up(r, w, err) || mend(r, t, err);
        else
            ok = serve_window(r, range, w, &a, err) || mend(r, t, err);
        leave_turn(r);
    }
    leave_turn(r);
    settle(r, 0);
    gf_position_free(&a);
    return ok;
}

/* ---- the thread ---- */

/* A range to read; NULL: all is read and merged, or stopping. */
static gf_range *next_range(gf_copier *c)
{
    const gf_copier_options *opt = &c->opt;
    gf_range *range;

    while (!is_stopping(c) && !gf_merger_stopped(opt->merger)) {
        range = gf_plan_take(opt->plan);
        if (range != NULL)
            return range;
        if (gf_merger_finished(opt->merger))
            return NULL;
        pause_reader(c, LOOK_AGAIN_MS);
    }
    return NULL;
}

/* libmariadb's buffer grows to the largest row and stays. */
static void drop_large_connection(reader *r)
{
    if (r->db != NULL && r->db->net.max_packet > LARGE_BUFFER)
        disconnect(r);
}

static void *run_reader(void *arg)
{
    reader *r = arg;
    gf_copier *c = r->copier;
    gf_error err;
    gf_range *range;
    bool ok = true;

    gf_log_thread("reader[%u]", r->index);
    while (ok && (range = next_range(c)) != NULL) {
        ok = read_range(r, range, &err);
        gf_plan_release(c->opt.plan, range);
        drop_large_connection(r);
    }
    if (!ok)
        fail_copier(c, &err);
    disconnect(r);
    gf_chunk_reader_free(&r->chunks);
    gf_view_free(&r->view);
    mysql_thread_end();
    return NULL;
}

/* ---- the copier ---- */

static void free_copier(gf_copier *c)
{
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    gf_throttle_free(c->throttle);
    free(c->readers);
    free(c);
}

static bool start_reader(gf_copier *c, unsigned index, gf_error *err)
{
    reader *r = &c->readers[index];
    int rc;

    r->copier = c;
    r->index = index;
    r->view = (gf_view){.info = c->opt.info, .stopped = reader_stopped, .xa_seen = c->opt.xa_seen, .ctx = r};
    rc = pthread_create(&r->thread, NULL, run_reader, r);
    if (rc != 0)
        return gf_fail(err, GF_ERR_SYSTEM, "start reader thread %u: error %d", index, rc);
    pthread_mutex_lock(&c->lock);
    c->count++;
    pthread_mutex_unlock(&c->lock);
    return true;
}

bool gf_copier_start(gf_copier **out, const gf_copier_options *opt, gf_error *err)
{
    gf_copier *c = gf_calloc(1, sizeof *c);
    unsigned wanted = opt->config->readers > 0 ? opt->config->readers : 1;

    c->opt = *opt;
    c->readers = gf_calloc(wanted, sizeof *c->readers);
    c->throttle = gf_throttle_new(opt->config->max_source_load);
    pthread_mutex_init(&c->lock, NULL);
    gf_cond_init(&c->changed);
    gf_merger_on_thrown(opt->merger, on_thrown, c);
    *out = c; /* before the first chunk: whoever writes it tells the copier when it is gone */
    for (unsigned i = 0; i < wanted; i++) {
        if (!start_reader(c, i, err)) {
            gf_copier_stop(c);
            gf_copier_join(c);
            *out = NULL;
            return false;
        }
    }
    return true;
}

bool gf_copier_failed(gf_copier *c, gf_error *err)
{
    bool failed;

    pthread_mutex_lock(&c->lock);
    failed = c->failed;
    if (failed)
        *err = c->failure;
    pthread_mutex_unlock(&c->lock);
    return failed;
}

void gf_copier_stop(gf_copier *c)
{
    stop_all(c);
}

void gf_copier_join(gf_copier *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->count; i++)
        pthread_join(c->readers[i].thread, NULL);
    gf_merger_on_thrown(c->opt.merger, NULL, NULL);
    free_copier(c);
}

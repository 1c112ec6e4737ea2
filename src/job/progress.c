/* SPDX-License-Identifier: MIT */
/*
 * progress.c - what is known of the job at this moment: for status, for the checkpoint, for the callbacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "internal.h"

enum {
    POLL_MS = 1000,   /* source's binlog end */
    STILL_MS = 30000, /* a position that stands still is looked at */
    STILL_MOST_MS = 16 * STILL_MS,
    SAVE_MS = 1000, /* checkpoint; longer where a save takes long (many tables) */
    SAVE_SHARE = 20,
    CALL_SHARE = 5, /* callbacks take at most one part in so many of the main thread's time, and one more */
    RATE_MS = 2000,
    LINE_MS = 10000
};

/* ---- stage and copies of the state ---- */

gf_stage gf_stage_now(gf_job *j)
{
    gf_stage stage;

    pthread_mutex_lock(&j->lock);
    stage = j->state.stage;
    pthread_mutex_unlock(&j->lock);
    return stage;
}

/* starting -> copying -> streaming -> cutover -> done; a lost target can throw the job back to copying. */
void gf_stage_enter(gf_job *j, gf_stage stage)
{
    gf_buf at = {0};
    bool changed;

    pthread_mutex_lock(&j->lock);
    changed = j->state.stage != stage;
    j->state.stage = stage;
    gf_position_text(&j->state.position, &at);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    if (changed)
        gf_log_info("stage %s at %s", gf_stage_name(stage), gf_buf_cstr(&at));
    gf_buf_free(&at);
}

bool gf_stop_wanted(gf_job *j, gf_error *err)
{
    if (atomic_load(&j->stop_requests) == 0)
        return false;
    pthread_mutex_lock(&j->lock);
    gf_fail(err, GF_ERR_STOPPED, "%s", j->stop_reason);
    pthread_mutex_unlock(&j->lock);
    return true;
}

static void copy_state_locked(gf_job *j, gf_state *out)
{
    *out = j->state;
    out->position = (gf_position){0};
    out->final = (gf_position){0};
    gf_position_copy(&out->position, &j->state.position);
    gf_position_copy(&out->final, &j->state.final);
    out->tables = NULL;
    out->table_count = 0;
    out->paused = atomic_load(&j->config->live.paused);
    out->automatic_cutover = atomic_load(&j->config->live.automatic_cutover);
    out->cutover_requested = atomic_load(&j->cutover_requested);
}

void gf_snapshot_state(gf_job *j, gf_state *out)
{
    pthread_mutex_lock(&j->lock);
    copy_state_locked(j, out);
    pthread_mutex_unlock(&j->lock);
}

/* ---- tables ---- */

struct collect {
    gf_state *out;
    bool with_schema;
    const gf_table *current;
};

static void copy_key(gf_buf *to, gf_slice from)
{
    gf_buf_slice(to, from);
}

static gf_state_table *add_table(struct collect *c, const gf_table *t)
{
    gf_state *s = c->out;
    gf_state_table *st;

    if ((s->table_count & (s->table_count + 1)) == 0) /* grows at 0, 1, 3, 7, ... */
        s->tables = gf_realloc(s->tables, (2 * s->table_count + 1) * sizeof *s->tables);
    st = &s->tables[s->table_count++];
    *st = (gf_state_table){.db = gf_strdup(t->db), .name = gf_strdup(t->name), .done = true};
    if (c->with_schema) /* borrowed for the save, see gf_progress_save */
        st->table = (gf_table *)(uintptr_t)t;
    c->current = t;
    return st;
}

static void add_range(void *ctx, const gf_range *r)
{
    struct collect *c = ctx;
    gf_state_table *st = c->current == r->table ? &c->out->tables[c->out->table_count - 1] : add_table(c, r->table);
    gf_state_range *to;

    st->ranges = gf_realloc(st->ranges, (st->range_count + 1) * sizeof *st->ranges);
    to = &st->ranges[st->range_count++];
    *to = (gf_state_range){.index = r->index, .done = r->done, .rows = r->rows};
    copy_key(&to->lower, r->lower);
    copy_key(&to->upper, r->upper);
    copy_key(&to->frontier, gf_slice_of(r->frontier.data, r->frontier.len));
    st->done = st->done && r->done;
}

static void fill_tables_locked(gf_job *j, gf_state *out, bool with_schema)
{
    struct collect c = {.out = out, .with_schema = with_schema};

    if (j->plan != NULL)
        gf_plan_each(j->plan, add_range, &c);
}

/* The schemas of a state made here belong to the catalog. */
static void free_borrowing(gf_state *s)
{
    for (size_t i = 0; i < s->table_count; i++)
        s->tables[i].table = NULL;
    gf_state_free(s);
}

bool gf_progress_save(gf_job *j, gf_error *err)
{
    gf_state s;
    bool ok;

    pthread_mutex_lock(&j->lock);
    copy_state_locked(j, &s);
    fill_tables_locked(j, &s, true);
    pthread_mutex_unlock(&j->lock);
    s.saved_ms = gf_wall_ms();
    ok = gf_checkpoint_save(j->checkpoint, &s, err);
    if (ok) {
        pthread_mutex_lock(&j->lock);
        j->cutover_kept = s.cutover_requested;
        pthread_cond_broadcast(&j->changed); /* gf_job_cutover waits for it */
        pthread_mutex_unlock(&j->lock);
    }
    free_borrowing(&s);
    return ok;
}

void gf_job_json(gf_job *j, gf_buf *out, bool with_schema)
{
    gf_state s;

    pthread_mutex_lock(&j->lock);
    copy_state_locked(j, &s);
    fill_tables_locked(j, &s, true);
    pthread_mutex_unlock(&j->lock);
    s.saved_ms = gf_wall_ms();
    gf_state_json(out, &s, GF_FORMAT_GHOSTFERRY, with_schema);
    free_borrowing(&s);
}

void gf_job_state(gf_job *j, gf_state *out)
{
    pthread_mutex_lock(&j->lock);
    copy_state_locked(j, out);
    fill_tables_locked(j, out, false);
    pthread_mutex_unlock(&j->lock);
}

/* ---- lag ---- */

/* Bytes of binlog between two positions in different files, from SHOW BINARY LOGS; 0 when it can't be told. */
static uint64_t bytes_between(MYSQL *source, const gf_position *from, const gf_position *to)
{
    MYSQL_RES *res = gf_server_query(source, "list binlogs", NULL, "SHOW BINARY LOGS");
    uint64_t sum = 0;
    MYSQL_ROW row;

    if (res == NULL)
        return 0;
    while ((row = mysql_fetch_row(res)) != NULL) {
        if (row[0] == NULL || row[1] == NULL || gf_binlog_cmp(row[0], 0, from->file, 0) < 0 ||
            gf_binlog_cmp(row[0], 0, to->file, 0) >= 0)
            continue;
        sum += strtoull(row[1], NULL, 10);
        if (strcmp(row[0], from->file) == 0)
            sum -= from->offset < sum ? from->offset : sum;
    }
    mysql_free_result(res);
    return sum + to->offset;
}

/* How old is what the target shows? When something is missing: as old as the last change applied, but not older than
   the last moment at which nothing was missing. < 0: not known. */
static double seconds_behind_locked(const gf_job *j, uint64_t now_ms)
{
    uint64_t since = j->last_commit_us / 1000;

    if (j->caught_up_ms > since)
        since = j->caught_up_ms;
    if (since == 0)
        return -1;
    return since > now_ms ? 0 : (double)(now_ms - since) / 1000;
}

static uint64_t bytes_behind(gf_job *j, const gf_position *at, const gf_position *end)
{
    if (gf_position_cmp(at, end) >= 0)
        return 0;
    return strcmp(at->file, end->file) == 0 ? end->offset - at->offset : bytes_between(j->source, at, end);
}

bool gf_progress_same_binlog(gf_job *j, gf_error *err)
{
    gf_position at = {0};
    bool found, ok;

    pthread_mutex_lock(&j->lock);
    gf_position_copy(&at, &j->state.position);
    pthread_mutex_unlock(&j->lock);
    ok = gf_replica_same_place(&found, j->source, &j->source_info, &at, err);
    gf_position_free(&at);
    return ok;
}

/* RESET MASTER under a running dump is told to nobody: MariaDB goes on reading the file that was deleted, and is silent
   for ever. A reset binlog ends before what was read of it; one that has grown again shows by a position that stands
   still behind its end. */
static bool watch_for_reset(struct pipeline *p, const gf_position *at, gf_error *err)
{
    uint64_t now = gf_now_ms();

    if (gf_binlog_cmp(p->source_end.file, p->source_end.offset, at->file, at->offset) < 0)
        return gf_progress_same_binlog(p->job, err) &&
               gf_fail(err, GF_ERR_RETRY, "the source's binlog ends at %s:%llu, before our position %s:%llu",
                       p->source_end.file, (unsigned long long)p->source_end.offset, at->file,
                       (unsigned long long)at->offset);
    if (p->moved_ms == 0 || gf_position_cmp(at, &p->moved_to) != 0 || gf_position_cmp(at, &p->source_end) >= 0) {
        gf_position_copy(&p->moved_to, at);
        p->moved_ms = now;
        p->still_ms = STILL_MS;
        return true;
    }
    if (now - p->moved_ms < p->still_ms)
        return true;
    /* A pause, a long transaction, a target that is away: look again, ever later, for MariaDB reads the file for it. */
    p->moved_ms = now;
    p->still_ms *= p->still_ms < STILL_MOST_MS ? 2 : 1;
    return gf_progress_same_binlog(p->job, err);
}

static void note_lag(struct pipeline *p, const gf_position *at)
{
    gf_job *j = p->job;
    uint64_t bytes = bytes_behind(j, at, &p->source_end);

    pthread_mutex_lock(&j->lock);
    if (bytes == 0)
        j->caught_up_ms = gf_wall_ms();
    j->state.lag_bytes = bytes;
    j->state.lag_seconds = bytes == 0 ? 0 : seconds_behind_locked(j, gf_wall_ms());
    pthread_mutex_unlock(&j->lock);
}

static bool poll_source(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    gf_position at = {0};
    bool ok;

    /* The position first: the end that is asked for afterwards can't be before it. */
    pthread_mutex_lock(&j->lock);
    gf_position_copy(&at, &j->state.position);
    pthread_mutex_unlock(&j->lock);
    ok = gf_server_binlog_end(&p->source_end, j->source, &j->source_info, err);
    p->has_end = ok;
    ok = ok && gf_receiving_tick(j, &p->source_end, err);
    if (ok)
        gf_receiving_passed(j);
    /* After a start by GTID the place in the binlog is told by the stream's first events. */
    if (ok && at.file[0] != '\0') {
        ok = watch_for_reset(p, &at, err);
        note_lag(p, &at);
    }
    gf_position_free(&at);
    return ok;
}

/* ---- rates ---- */

/* Rows left at the present speed, plus the backlog at the speed at which it shrinks. */
static void update_rates(struct pipeline *p)
{
    gf_job *j = p->job;
    uint64_t now = gf_now_ms();
    double eta = 0, dt = (double)(now - p->rate_ms) / 1000, bytes_rate;

    pthread_mutex_lock(&j->lock);
    if (p->rate_ms != 0 && dt > 0) {
        double rate = (double)(j->state.rows_copied - p->rate_rows) / dt;

        j->state.rows_per_second = j->state.rows_per_second == 0 ? rate : 0.6 * j->state.rows_per_second + 0.4 * rate;
        bytes_rate = ((double)p->rate_lag - (double)j->state.lag_bytes) / dt;
        if (j->state.stage == GF_STAGE_COPYING && j->state.rows_estimate > j->state.rows_copied)
            eta = j->state.rows_per_second > 0
                      ? (double)(j->state.rows_estimate - j->state.rows_copied) / j->state.rows_per_second
                      : -1;
        if (eta >= 0 && j->state.lag_bytes > 0)
            eta = bytes_rate > 0 ? eta + (double)j->state.lag_bytes / bytes_rate : eta > 0 ? eta : -1;
        j->state.eta_seconds = eta;
    }
    p->rate_rows = j->state.rows_copied;
    p->rate_lag = j->state.lag_bytes;
    p->rate_ms = now;
    pthread_mutex_unlock(&j->lock);
}

/* For a person a line that redraws itself, for a log one line now and then. */
static void show_line(struct pipeline *p, uint64_t now)
{
    bool person = isatty(STDERR_FILENO);
    char line[256];
    gf_state s;

    if (!p->job->config->progress_line || (!person && now < p->next_line_ms))
        return;
    p->next_line_ms = now + LINE_MS;
    gf_snapshot_state(p->job, &s);
    snprintf(line, sizeof line, "%s: %llu of about %llu rows, %.0f rows/s, %llu changes applied, lag %.0f s",
             gf_stage_name(s.stage), (unsigned long long)s.rows_copied, (unsigned long long)s.rows_estimate,
             s.rows_per_second, (unsigned long long)s.changes_applied, s.lag_seconds < 0 ? 0 : s.lag_seconds);
    if (person)
        fprintf(stderr, "\r\033[K%s", line);
    else
        gf_log_info("%s", line);
    gf_state_free(&s);
}

static void call_back(gf_job *j, const gf_callback_config *cb, void (*write)(gf_job *, gf_buf *), const char *what)
{
    gf_buf body = {0};
    gf_error err;

    write(j, &body);
    if (!gf_callback_post_unless(cb, gf_buf_cstr(&body), &j->stop_requests, &err) && err.kind != GF_ERR_STOPPED)
        gf_log_warn("%s callback: %s", what, err.text);
    gf_buf_free(&body);
}

static void write_progress(gf_job *j, gf_buf *out)
{
    gf_state s;

    gf_job_state(j, &s);
    gf_control_progress_json(out, &s, j->config->on_progress.payload);
    gf_state_free(&s);
}

static void write_dump(gf_job *j, gf_buf *out)
{
    gf_job_json(j, out, !j->config->dump_without_schema);
}

void gf_progress_callbacks(gf_job *j)
{
    if (j->config->on_progress.uri != NULL)
        call_back(j, &j->config->on_progress, write_progress, "progress");
}

/* When to call next: a receiver that hangs must not hold the job's own steps up time after time. */
static uint64_t next_call(uint64_t began, unsigned period_ms)
{
    uint64_t now = gf_now_ms(), least = CALL_SHARE * (now - began);

    return now + (least > period_ms ? least : period_ms);
}

static void run_callbacks(struct pipeline *p)
{
    const gf_config *c = p->job->config;
    uint64_t now = gf_now_ms();

    if (c->on_progress.uri != NULL && now >= p->next_callback_ms) {
        gf_progress_callbacks(p->job);
        p->next_callback_ms = next_call(now, c->progress_ms);
        now = gf_now_ms();
    }
    if (c->on_state.uri != NULL && now >= p->next_state_ms) {
        call_back(p->job, &c->on_state, write_dump, "state");
        p->next_state_ms = next_call(now, c->state_ms);
    }
}

/* A change of stage and a request are remembered at once. */
static bool has_news(struct pipeline *p)
{
    bool requested = atomic_load(&p->job->cutover_requested), news;
    gf_stage stage = gf_stage_now(p->job);

    news = stage != p->saved_stage || requested != p->saved_request;
    p->saved_stage = stage;
    p->saved_request = requested;
    return news;
}

bool gf_progress_tick(struct pipeline *p, gf_error *err)
{
    uint64_t now = gf_now_ms();

    if (now >= p->next_poll_ms) {
        if (!poll_source(p, err))
            return false;
        p->next_poll_ms = now + POLL_MS;
    }
    if (now >= p->next_rate_ms) {
        update_rates(p);
        show_line(p, now);
        p->next_rate_ms = now + RATE_MS;
    }
    if (now >= p->next_save_ms || has_news(p)) {
        uint64_t took;

        if (!gf_progress_save(p->job, err))
            return false;
        took = gf_now_ms() - now;
        p->next_save_ms = now + (took * SAVE_SHARE > SAVE_MS ? took * SAVE_SHARE : SAVE_MS);
    }
    run_callbacks(p);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * pipeline.c - the threads of one attempt: started, watched, stopped.
 *
 * A lost link or a crash of the target ends the attempt; the next one begins at the marker. So a retry inside the
 * process and a resume by a new one are the same code (design section 8).
 */
#include <stdlib.h>

#include "gfreplica/log.h"
#include "in_memory.h"
#include "internal.h"

enum { WATCH_MS = 50 };

/* ---- from the writers ---- */

/* Rule R4: the position that the checkpoint will hold moves only behind the commit. */
static void on_batch_committed(void *ctx, const gf_batch *b)
{
    struct pipeline *p = ctx;
    gf_job *j = p->job;

    pthread_mutex_lock(&j->lock);
    gf_position_copy(&j->state.position, &b->end);
    j->state.changes_applied += b->earlier + b->count;
    j->state.transactions_applied += b->transactions;
    if (b->commit_us != 0)
        j->last_commit_us = b->commit_us;
    pthread_mutex_unlock(&j->lock);
}

static void on_batch_gone(void *ctx)
{
    gf_stream_batch_done(((struct pipeline *)ctx)->stream);
}

static void on_chunk_committed(void *ctx, const gf_chunk *c, uint64_t rows_written)
{
    struct pipeline *p = ctx;
    gf_job *j = p->job;

    gf_plan_committed(j->plan, c->range, gf_slice_of(c->frontier.data, c->frontier.len), c->last, rows_written);
    if (p->copier != NULL)
        gf_copier_freed(p->copier, c->bytes);
    pthread_mutex_lock(&j->lock);
    j->state.rows_copied += rows_written;
    pthread_mutex_unlock(&j->lock);
}

static bool in_snapshot(void *ctx, const gf_table *t, const char *file, uint64_t offset)
{
    const gf_job *j = ((struct pipeline *)ctx)->job;

    if (t->identity >= 0)
        return false;
    for (size_t i = 0; i < j->snapshot_count; i++) {
        if (j->snapshots[i].table == t)
            return gf_binlog_cmp(file, offset, j->snapshots[i].file, j->snapshots[i].offset) < 0;
    }
    return false;
}

/* ---- rule K: tables without a key, before the stream starts ---- */

struct keyless {
    struct pipeline *p;
    gf_range *range;
    gf_error *err;
    gf_range **todo;
    size_t count;
};

static void collect_keyless(void *ctx, const gf_range *r)
{
    struct keyless *k = ctx;

    if (r->table->identity >= 0 || r->done)
        return;
    k->todo = gf_realloc(k->todo, (k->count + 1) * sizeof(gf_range *));
    k->todo[k->count++] = (gf_range *)(uintptr_t)r; /* the plan's own; it outlives this pass */
}

static bool keyless_at(void *ctx, const gf_position *at)
{
    struct keyless *k = ctx;

    gf_start_snapshot(k->p->job, k->range->table, at->file, at->offset);
    return true;
}

static bool keyless_chunk(void *ctx, gf_chunk *chunk, gf_error *err)
{
    struct keyless *k = ctx;

    if (gf_stop_wanted(k->p->job, err)) {
        gf_chunk_free(chunk);
        return false;
    }
    return gf_applier_chunk(k->p->applier, chunk, err);
}

/* Rows have no identity, so what an earlier attempt wrote can't be repeated: away with it. */
static bool copy_keyless_table(struct keyless *k, gf_error *err)
{
    gf_job *j = k->p->job;
    const gf_table *t = k->range->table;
    gf_position at = {0};
    bool ok;

    gf_log_info("%s has no key: copied in one exact snapshot before the stream goes on", t->label);
    ok = gf_marker_empty_table(j->marker, j->target, t, err) &&
         gf_copy_keyless(&at, k->range, j->config, &j->source_info, keyless_at, keyless_chunk, k, err) &&
         gf_applier_drain(k->p->applier, err);
    gf_position_free(&at);
    return ok;
}

static bool copy_keyless(struct pipeline *p, gf_error *err)
{
    struct keyless k = {.p = p};
    bool ok = true;

    gf_plan_each(p->job->plan, collect_keyless, &k);
    for (size_t i = 0; ok && i < k.count; i++) {
        k.range = k.todo[i];
        ok = copy_keyless_table(&k, err);
    }
    free(k.todo);
    return ok;
}

/* ---- start and stop ---- */

static bool start_applier(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    const gf_applier_options opt = {
        .config = j->config,
        .marker = j->marker,
        .target = &j->target_info,
        .unlike = j->config->map_collation.count > 0 || j->source_info.flavor != j->target_info.flavor,
        .seq = j->seq,
        .max_bytes = j->config->memory_bytes / 2,
        .batch_committed = on_batch_committed,
        .batch_gone = on_batch_gone,
        .chunk_committed = on_chunk_committed,
        .ctx = p,
    };
    return gf_applier_start(&p->applier, &opt, err);
}

/* The schemas of the job, which the checkpoint keeps, are counted before they change: see schemas_at in start.c. */
static void on_passing(void *ctx)
{
    gf_job *j = ((struct pipeline *)ctx)->job;

    pthread_mutex_lock(&j->lock);
    j->state.schema_changes++;
    pthread_mutex_unlock(&j->lock);
}

static bool start_indexes(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    const gf_indexes_options opt = {
        .config = j->config,
        .deferral = j->deferral,
        .marker = j->marker,
        .plan = j->plan,
        .tables = j->deferred,
        .count = j->deferred_count,
    };

    return gf_indexes_start(&p->indexes, &opt, err);
}

/* Without a marker nobody could tell after a crash whether a statement had been executed. */
static void make_barrier(struct pipeline *p)
{
    gf_job *j = p->job;
    const gf_barrier_options opt = {
        .config = j->config,
        .source = &j->source_info,
        .target = &j->target_info,
        .catalog = j->catalog,
        .plan = j->plan,
        .marker = j->marker,
        .indexes = p->indexes,
        .pending = gf_slice_of(j->pending_ddl.data, j->pending_ddl.len),
        .schema_file = j->state.schema_file,
        .schema_offset = j->state.schema_offset,
        .in_snapshot = in_snapshot,
        .passing = on_passing,
        .ctx = p,
    };

    if (j->marker != NULL && j->config->ddl == GF_DDL_APPLY)
        p->barrier = gf_barrier_new(&opt);
}

static void on_emptied(void *ctx, const gf_position *end)
{
    struct pipeline *p = ctx;

    pthread_mutex_lock(&p->job->lock);
    gf_position_copy(&p->job->emptied_at, end);
    pthread_mutex_unlock(&p->job->lock);
}

static bool start_stream(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    const gf_stream_options opt = {
        .config = j->config,
        .source = &j->source_info,
        .catalog = j->catalog,
        .reader = j->reader,
        .from = &j->start,
        .applier = p->applier,
        .plan = j->plan,
        .marker = j->marker,
        .xa_seen = &j->xa_seen,
        .xas = j->xas,
        .xa_count = j->xa_count,
        .barrier = p->barrier,
        .in_snapshot = in_snapshot,
        .emptied = on_emptied,
        .ctx = p,
    };

    p->stream = gf_stream_new(&opt);
    return gf_stream_start(p->stream, err);
}

static bool start_copier(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    const gf_copier_options opt = {
        .config = j->config,
        .lines = j->config->copy_method != GF_COPY_INSERT && j->target_info.local_infile,
        .info = &j->source_info,
        .plan = j->plan,
        .merger = gf_stream_merger(p->stream),
        .max_bytes = j->config->memory_bytes / 4,
        .xa_seen = &j->xa_seen,
    };

    if (gf_plan_done(j->plan))
        return true;
    return gf_copier_start(&p->copier, &opt, err);
}

/* Replays after a start may meet rows that are newer than the replayed change: until they are behind us, what a
   statement touches proves nothing. */
static bool start_exactness(struct pipeline *p, gf_error *err)
{
    return gf_server_binlog_end(&p->exact_after, p->job->source, &p->job->source_info, err);
}

static bool start(struct pipeline *p, gf_error *err)
{
    if (!start_indexes(p, err))
        return false;
    make_barrier(p);
    return start_applier(p, err) && copy_keyless(p, err) && start_exactness(p, err) && start_stream(p, err) &&
           start_copier(p, err);
}

/* Order matters: first nobody waits any more, then the threads are joined; who calls another ends before it. */
static void stop(struct pipeline *p)
{
    if (p->copier != NULL)
        gf_copier_stop(p->copier);
    if (p->stream != NULL)
        gf_stream_stop(p->stream);
    if (p->applier != NULL)
        gf_applier_stop(p->applier);
    gf_indexes_stop(p->indexes);
    gf_stream_join(p->stream);
    gf_applier_join(p->applier); /* its writers tell the copier of chunks until they end */
    p->applier = NULL;
    gf_copier_join(p->copier); /* and the copier uses the stream's merger until it ends */
    p->copier = NULL;
    gf_indexes_join(p->indexes);
    p->indexes = NULL;
    gf_stream_free(p->stream);
    p->stream = NULL;
    gf_barrier_free(p->barrier);
    p->barrier = NULL;
    gf_receiving_close_reader(p->job);
    gf_position_free(&p->exact_after);
    gf_position_free(&p->copied_at);
    gf_position_free(&p->source_end);
    gf_position_free(&p->moved_to);
}

/* ---- watching ---- */

static bool failed(struct pipeline *p, gf_error *err)
{
    /* A writer's error is the cause where the stream merely could not hand over. */
    return gf_applier_failed(p->applier, err) || gf_stream_failed(p->stream, err) ||
           (p->copier != NULL && gf_copier_failed(p->copier, err)) || gf_indexes_failed(p->indexes, err) ||
           gf_receiving_failed(p->job, err);
}

static bool applied_locked(const gf_job *j, const gf_position *pos)
{
    return j->state.position.file[0] != '\0' && gf_position_cmp(&j->state.position, pos) >= 0;
}

static bool applied(gf_job *j, const gf_position *pos)
{
    bool yes;

    pthread_mutex_lock(&j->lock);
    yes = applied_locked(j, pos);
    pthread_mutex_unlock(&j->lock);
    return yes;
}

static bool memory_is_kept(gf_job *j, gf_error *err)
{
    bool lost;

    pthread_mutex_lock(&j->lock);
    lost = j->emptied_at.file[0] != '\0' && applied_locked(j, &j->emptied_at);
    pthread_mutex_unlock(&j->lock);
    return !lost || gf_memory_again(j, err);
}

/* True when no table lacks an index any more. */
static bool look_at_indexes(struct pipeline *p)
{
    gf_job *j = p->job;
    size_t done, total;

    gf_indexes_look(p->indexes);
    gf_indexes_count(p->indexes, &done, &total);
    pthread_mutex_lock(&j->lock);
    j->state.indexed_tables = done;
    j->state.deferred_tables = total;
    pthread_mutex_unlock(&j->lock);
    return done == total;
}

/* The copy is complete when every chunk is committed and every index built, the marker has passed what was scheduled
   then, and replays are behind us (rule C2: a chunk cannot claim a row that was deleted before it was read, so until that DELETE is committed
   a reader of the target may see it gone too early). From here on the target shows the source's history, and affected
   rows must be what the stream promises. */
static void complete_copy(struct pipeline *p)
{
    if (p->copy_complete || !look_at_indexes(p) || !gf_plan_done(p->job->plan) ||
        !gf_merger_idle(gf_stream_merger(p->stream)))
        return;
    if (p->copied_at.file[0] == '\0')
        gf_stream_scheduled(p->stream, &p->copied_at);
    if (!gf_receiver_linked(p->job->receiver) || !applied(p->job, &p->copied_at) || !applied(p->job, &p->exact_after))
        return;
    p->copy_complete = true;
    gf_stream_exact(p->stream, true);
    gf_stage_enter(p->job, GF_STAGE_STREAMING);
}

static void nap(gf_job *j)
{
    pthread_mutex_lock(&j->lock);
    if (atomic_load(&j->stop_requests) == 0)
        gf_cond_wait_ms(&j->changed, &j->lock, WATCH_MS);
    pthread_mutex_unlock(&j->lock);
}

static bool watch(struct pipeline *p, gf_error *err)
{
    bool done = false;

    while (!done) {
        if (gf_stop_wanted(p->job, err) || failed(p, err) || !gf_progress_tick(p, err) || !memory_is_kept(p->job, err))
            return false;
        complete_copy(p);
        if (p->copy_complete && !gf_cutover_step(p, &done, err))
            return false;
        if (!done)
            nap(p->job);
    }
    return true;
}

bool gf_pipeline_run(gf_job *j, gf_error *err)
{
    struct pipeline p = {.job = j};
    bool ok = start(&p, err) && watch(&p, err);

    stop(&p);
    return ok && gf_cutover_finish(j, err);
}

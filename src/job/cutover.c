/* SPDX-License-Identifier: MIT */
/*
 * cutover.c - from a live replica to a finished move (rule X1).
 *
 * STREAMING -> (asked for and caught up) -> CUTOVER -> lock callback -> the stream is held, the end position is read
 * and becomes its limit -> applied up to it -> DONE.
 * The source's writers are the operator's to stop, before asking or in the lock callback.
 */
#include <stdlib.h>
#include <unistd.h>

#include "definitions.h"
#include "gfreplica/log.h"
#include "hidden_ddl.h"
#include "in_memory.h"
#include "internal.h"
#include "objects.h"
#include "sequences.h"

/* A paused job's stream stands still, so it would not reach the end position. */
static bool wanted(struct pipeline *p)
{
    if (atomic_load(&p->job->config->live.paused))
        return false;
    return atomic_load(&p->job->cutover_requested) || atomic_load(&p->job->config->live.automatic_cutover);
}

/* Has the stream passed the binlog's end of the last poll, a second ago at the most? */
static bool caught_up(struct pipeline *p)
{
    gf_position at = {0};
    bool yes;

    if (!p->has_end)
        return false;
    gf_stream_scheduled(p->stream, &at);
    yes = at.file[0] != '\0' && gf_position_cmp(&at, &p->source_end) >= 0;
    gf_position_free(&at);
    return yes;
}

static bool call_lock(struct pipeline *p, gf_error *err)
{
    const gf_config *c = p->job->config;
    unsigned tries = c->cutover_retries == 0 ? 1 : c->cutover_retries;

    if (c->cutover_lock.uri == NULL)
        return true;
    for (unsigned i = 0; i < tries; i++) {
        if (gf_callback_post_unless(&c->cutover_lock, NULL, &p->job->stop_requests, err))
            return true;
        if (gf_stop_wanted(p->job, err))
            return false;
        gf_log_warn("cutover lock callback, try %u of %u: %s", i + 1, tries, err->text);
        for (unsigned s = 0; i + 1 < tries && s < 10 * c->cutover_retry_wait; s++) {
            if (gf_stop_wanted(p->job, err))
                return false;
            usleep(100 * 1000);
        }
    }
    err->kind = GF_ERR_CONFIG;
    return gf_fail_context(err, "cutover lock callback");
}

static void warn_if_writable(gf_job *j)
{
    char *read_only = NULL;
    gf_error err;

    if (gf_server_scalar(&read_only, j->source, "read_only", &err, "SELECT @@global.read_only") && read_only != NULL &&
        strcmp(read_only, "0") == 0)
        gf_log_warn("the source is not read_only: what is written to it after the cutover's end position stays there");
    free(read_only);
}

/* The source is a replica: everything that its primary has written must have arrived there first. */
static bool wait_for_replication(gf_job *j, gf_error *err)
{
    const gf_config *c = j->config;
    gf_server_info info;
    gf_position primary_end = {0};
    MYSQL *primary = NULL;
    uint64_t started = gf_now_ms();
    bool ok = false;

    if (c->source_primary.host == NULL && c->source_primary.socket == NULL)
        return true;
    if (!gf_server_connect(&primary, &c->source_primary, GF_CONN_PLAIN, err) ||
        !gf_server_info_read(&info, primary, err) || !gf_server_binlog_end(&primary_end, primary, &info, err))
        goto out;
    while (!ok) {
        MYSQL_RES *res =
            gf_server_query(j->source, "ReplicatedMasterPositionQuery", err, "%s", c->replicated_position_query);
        MYSQL_ROW row = res == NULL ? NULL : mysql_fetch_row(res);

        if (row == NULL || mysql_num_fields(res) < 2 || row[0] == NULL || row[1] == NULL) {
            if (res != NULL)
                gf_fail(err, GF_ERR_CONFIG, "ReplicatedMasterPositionQuery gave no file and position");
            mysql_free_result(res);
            goto out;
        }
        ok = gf_binlog_cmp(row[0], strtoull(row[1], NULL, 10), primary_end.file, primary_end.offset) >= 0;
        mysql_free_result(res);
        if (ok || gf_stop_wanted(j, err))
            break;
        if (c->wait_for_replication > 0 && gf_now_ms() - started > 1000ULL * c->wait_for_replication) {
            gf_fail(err, GF_ERR_CONFIG, "the source has not replicated its primary's %s:%llu within %u s",
                    primary_end.file, (unsigned long long)primary_end.offset, c->wait_for_replication);
            break;
        }
        usleep(200 * 1000);
    }
out:
    gf_position_free(&primary_end);
    gf_server_close(primary);
    return ok;
}

/* A binlog that was reset ends before our place in the first second, which is seen (rule X1, and each poll): unless it has
   reached it again by then. Not so far behind a file's start, where to look for our place takes the source seconds. */
static bool could_have_grown_again(gf_job *j)
{
    enum { A_SECONDS_BINLOG = 128 << 20 };
    bool yes;

    pthread_mutex_lock(&j->lock);
    yes = j->state.position.offset <= A_SECONDS_BINLOG;
    pthread_mutex_unlock(&j->lock);
    return yes;
}

/* Enters the stage: nothing is fixed yet, and coming here again after a crash does no harm. */
static bool begin(struct pipeline *p, gf_error *err)
{
    gf_stage_enter(p->job, GF_STAGE_CUTOVER);
    if (!gf_progress_save(p->job, err)) /* the lock may take its time */
        return false;
    gf_progress_callbacks(p->job);
    /* Before the applications are held: the end of a binlog that was reset could be one that we have "reached". */
    if (could_have_grown_again(p->job) && !gf_progress_same_binlog(p->job, err))
        return false;
    if (!call_lock(p, err))
        return false;
    p->lock_called = true;
    warn_if_writable(p->job);
    return wait_for_replication(p->job, err);
}

static bool not_behind_us(gf_job *j, const gf_position *end, gf_error *err)
{
    bool behind;

    pthread_mutex_lock(&j->lock);
    behind = gf_position_cmp(end, &j->state.position) < 0;
    pthread_mutex_unlock(&j->lock);
    return !behind || gf_fail(err, GF_ERR_RETRY, "the source's binlog ends at %s:%llu, before our position", end->file,
                              (unsigned long long)end->offset);
}

/* Rule X1: the end is read while the stream stands still, so nothing behind it has been handed on. */
static bool fix_end(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    gf_position end = {0};
    gf_buf text = {0};

    if (!gf_stream_hold(p->stream, true))
        return true; /* in the middle of a transaction: again at the next step */
    if (!gf_server_binlog_end(&end, j->source, &j->source_info, err) || !not_behind_us(j, &end, err))
        return false;
    gf_stream_limit(p->stream, &end);
    p->limit_set = true;
    p->limit_ms = gf_now_ms();
    gf_stream_hold(p->stream, false);
    pthread_mutex_lock(&j->lock);
    gf_position_copy(&j->state.final, &end);
    pthread_mutex_unlock(&j->lock);
    gf_position_text(&end, &text);
    gf_log_info("cutover: applying up to the source's end position %s", gf_buf_cstr(&text));
    gf_buf_free(&text);
    gf_position_free(&end);
    return gf_progress_save(j, err);
}

static bool applied_to_end(struct pipeline *p)
{
    gf_job *j = p->job;
    bool yes;

    if (!gf_stream_at_limit(p->stream))
        return false;
    pthread_mutex_lock(&j->lock);
    yes = gf_position_cmp(&j->state.position, &j->state.final) >= 0;
    pthread_mutex_unlock(&j->lock);
    return yes;
}

/* The applications stand still meanwhile: better to go back to the source than to wait for ever. */
static bool in_time(struct pipeline *p, gf_error *err)
{
    gf_job *j = p->job;
    gf_buf at = {0};

    if (j->config->cutover_timeout == 0 || gf_now_ms() - p->limit_ms <= 1000ULL * j->config->cutover_timeout)
        return true;
    pthread_mutex_lock(&j->lock);
    gf_position_text(&j->state.position, &at);
    pthread_mutex_unlock(&j->lock);
    gf_fail(err, GF_ERR_CONFIG, "the cutover's end position was not reached within %u s (--cutover-timeout), only %s",
            j->config->cutover_timeout, gf_buf_cstr(&at));
    gf_buf_free(&at);
    return false;
}

bool gf_cutover_step(struct pipeline *p, bool *done, gf_error *err)
{
    if (!p->lock_called) {
        if (!wanted(p) || !caught_up(p))
            return true;
        return begin(p, err);
    }
    if (!p->limit_set)
        return fix_end(p, err);
    *done = applied_to_end(p);
    return *done || in_time(p, err);
}

static bool raise_counters(gf_job *j, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(j->catalog, &tables);
    bool ok = gf_target_auto_increment(j->source, j->target, tables, count, err);

    free(tables);
    return ok;
}

/* Rule R3 holds for what acts as well: it is noted, and the note is on the target's disk with all before, when it comes. */
static bool announced(void *ctx, const gf_marker_object *acting, size_t count, gf_error *err)
{
    gf_job *j = ctx;

    if (count == 0)
        return gf_durable_wait(j, err);
    if (j->marker == NULL)
        return gf_fail(
            err, GF_ERR_CONFIG,
            "triggers and events are not created without a marker, which tells a run that has to go on of them: "
            "run it without --create-objects, and create them by hand");
    return gf_marker_note_objects(j->marker, j->target, acting, count, err) && gf_durable_wait(j, err);
}

static bool still_ours(void *ctx, gf_error *err)
{
    gf_job *j = ctx;

    return gf_marker_is_ours(j->marker, j->target, err);
}

static bool drop_all(gf_job *j, const gf_marker_object *objects, size_t count, gf_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!gf_objects_drop(j->target, &objects[i], err))
            return false;
    return count == 0 || gf_marker_forget_objects(j->marker, j->target, err);
}

bool gf_cutover_take_back(gf_job *j, gf_error *err)
{
    gf_marker_object *objects;
    size_t count;
    bool ok;

    if (j->marker == NULL)
        return true;
    if (!gf_marker_is_ours(j->marker, j->target, err) ||
        !gf_marker_objects(&objects, &count, j->marker, j->target, err))
        return false;
    ok = drop_all(j, objects, count, err);
    gf_marker_objects_free(objects, count);
    return ok;
}

/* Waits for the target's disk as well (announced). After a lost link the next attempt takes back. */
static bool create_objects(gf_job *j, gf_error *err)
{
    const gf_objects_job job = {.source = j->source,
                                .target = j->target,
                                .config = j->config,
                                .announced = announced,
                                .still_ours = still_ours,
                                .ctx = j};
    gf_error late;

    if (gf_objects_create(&job, err))
        return true;
    if (err->kind != GF_ERR_RETRY && err->kind != GF_ERR_STOPPED && !gf_cutover_take_back(j, &late))
        gf_log_error("%s", late.text);
    return false;
}

static bool finish_objects(gf_job *j, gf_error *err)
{
    gf_buf_reset(&j->left_out);
    if (j->config->create_objects)
        return create_objects(j, err);
    return gf_durable_wait(j, err) && gf_objects_list(&j->left_out, j->source, &j->config->filter, err);
}

/* After the last change. Every step may be repeated by a resumed run. */
bool gf_cutover_finish(gf_job *j, gf_error *err)
{
    if (!gf_hidden_ddl_none(j, err) || !gf_memory_counts(j, err) || !gf_definitions_agree(j, err) ||
        !gf_verifying_at_cutover(j, err) || !raise_counters(j, err) ||
        !gf_sequences_raise(j->source, j->target, &j->source_info, &j->target_info, j->config, err) ||
        !finish_objects(j, err))
        return false;
    if (j->marker != NULL && !gf_marker_stage(j->marker, j->target, gf_stage_name(GF_STAGE_DONE), err))
        return false;
    gf_stage_enter(j, GF_STAGE_DONE);
    if (!gf_progress_save(j, err))
        return false;
    gf_progress_callbacks(j);
    if (j->config->cutover_unlock.uri != NULL && !gf_callback_post(&j->config->cutover_unlock, NULL, err)) {
        err->kind = GF_ERR_CONFIG;
        return gf_fail_context(err, "the move is done, but the cutover unlock callback failed");
    }
    return true;
}

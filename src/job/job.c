/* SPDX-License-Identifier: MIT */
/*
 * job.c - the loop of attempts, requests from outside, and how a run ends.
 *
 *   open -> [attempt: connect, prepare, position, pipeline] -> done | stopped | failed
 *             ^------------- back-off, while RETRY ----------'
 *
 * A fault that passes by itself is ridden through for --retry-timeout, counted from the last time that the job got
 * anything done. What a run leaves is always the same: a checkpoint with the cause, and the marker.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/cli.h"
#include "gfreplica/log.h"
#include "internal.h"

enum { BACKOFF_MIN_MS = 250, BACKOFF_MAX_MS = 10000, KEPT_MS = 2000 };

gf_job *gf_job_new(gf_config *config)
{
    gf_job *j = gf_calloc(1, sizeof *j);

    j->config = config;
    pthread_mutex_init(&j->lock, NULL);
    gf_cond_init(&j->changed);
    snprintf(j->state.job, sizeof j->state.job, "%s", config->job);
    j->state.lag_seconds = j->state.eta_seconds = -1;
    j->state.started_ms = gf_wall_ms();
    j->state.pid = (int)getpid();
    return j;
}

void gf_job_free(gf_job *j)
{
    if (j == NULL)
        return;
    gf_plan_free(j->plan);
    gf_marker_free(j->marker);
    gf_catalog_free(j->catalog);
    gf_state_free(&j->state);
    gf_state_free(&j->loaded);
    gf_position_free(&j->start);
    gf_position_free(&j->first);
    gf_position_free(&j->emptied_at);
    gf_buf_free(&j->left_out);
    free(j->snapshots);
    gf_buf_free(&j->pending_ddl);
    gf_start_forget_xas(j);
    gf_start_forget_deferred(j);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

/* ---- requests ---- */

void gf_job_stop(gf_job *j, const char *why)
{
    pthread_mutex_lock(&j->lock);
    if (atomic_fetch_add(&j->stop_requests, 1) == 0)
        snprintf(j->stop_reason, sizeof j->stop_reason, "%s", why);
    for (int i = 0; i < 2; i++)
        gf_lifeline_break(&j->links[i]);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    gf_server_interrupt();
}

static void wake(gf_job *j)
{
    pthread_mutex_lock(&j->lock);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

bool gf_job_cutover(gf_job *j)
{
    const uint64_t until = gf_now_ms() + KEPT_MS;
    uint64_t now;
    bool kept;

    if (!atomic_exchange(&j->cutover_requested, true))
        gf_log_info("cutover requested");
    pthread_mutex_lock(&j->lock);
    pthread_cond_broadcast(&j->changed);
    while (!(kept = j->cutover_kept) && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&j->changed, &j->lock, (unsigned)(until - now));
    pthread_mutex_unlock(&j->lock);
    return kept;
}

void gf_job_no_cutover(gf_job *j)
{
    if (atomic_exchange(&j->cutover_requested, false))
        gf_log_warn("the cutover that was asked for is called off: it has to be asked for again");
    pthread_mutex_lock(&j->lock);
    j->cutover_kept = false;
    pthread_mutex_unlock(&j->lock);
}

void gf_job_pause(gf_job *j, bool paused)
{
    if (atomic_exchange(&j->config->live.paused, paused) != paused)
        gf_log_info("%s", paused ? "paused" : "goes on after a pause");
    wake(j);
}

/* ---- opening ---- */

/* A dry run neither makes the directory nor takes its lock: it may look at what a running job has there. */
static bool load_kept(gf_job *j, bool *found, gf_error *err)
{
    const char *dir = j->config->checkpoint_dir;

    *found = false;
    if (j->config->dry_run)
        return access(dir, F_OK) != 0 || gf_checkpoint_peek(&j->loaded, found, dir, err);
    return gf_checkpoint_open(&j->checkpoint, dir, err) && gf_checkpoint_load(&j->loaded, found, j->checkpoint, err);
}

/* A state given with the command counts where the directory has none of its own. */
static bool load_state(gf_job *j, gf_error *err)
{
    bool found;

    if (!load_kept(j, &found, err))
        return false;
    j->resumed = found && j->loaded.stage != GF_STAGE_STARTING; /* that one keeps who we are, and nothing of a job */
    if (!gf_import_given(j->config))
        return true;
    if (!j->resumed) {
        if (!gf_import_read(&j->loaded, j->config, err))
            return false;
        j->resumed = j->loaded.imported;
        return true;
    }
    gf_log_info("%s holds this job's own checkpoint: it is used, not the state given", j->config->checkpoint_dir);
    return true;
}

/* What outlives the process goes from the loaded state into ours. */
static void adopt_state(gf_job *j)
{
    gf_state *s = &j->state, *old = &j->loaded;

    memcpy(s->our_uuid, old->our_uuid, sizeof s->our_uuid);
    s->our_server_id = old->our_server_id;
    if (!j->resumed)
        return;
    gf_position_copy(&s->position, &old->position);
    s->flavor = old->flavor;
    if (old->started_ms != 0)
        s->started_ms = old->started_ms;
    s->generation = old->generation;
    s->changes_applied = old->changes_applied;
    s->transactions_applied = old->transactions_applied;
    if (gf_import_foreign(old))
        return;
    memcpy(s->source_identity, old->source_identity, sizeof s->source_identity);
    s->marker = old->marker;
    s->schema_changes = old->schema_changes;
    memcpy(s->schema_file, old->schema_file, sizeof s->schema_file);
    s->schema_offset = old->schema_offset;
    s->stage = old->stage;
    j->begun = !old->imported && old->stage != GF_STAGE_STARTING; /* a dump may be older than what the target has */
    atomic_store(&j->cutover_requested, old->cutover_requested);
}

static bool open_job(gf_job *j, gf_error *err)
{
    const char *address;

    if (!load_state(j, err))
        return false;
    adopt_state(j);
    if (j->state.stage == GF_STAGE_DONE || j->config->dry_run)
        return true;
    if (j->receive_only && !j->begun)
        return gf_fail(err, GF_ERR_CONFIG,
                       "%s holds no job that has begun: start one with gfreplica run, then it can be received for",
                       j->config->checkpoint_dir);
    if (!gf_control_start(&j->control, j->config, j, err))
        return false;
    address = gf_control_address(j->control);
    snprintf(j->state.control, sizeof j->state.control, "%s", address);
    return gf_receiving_open(j, err);
}

/* ---- attempts ---- */

static bool attempt(gf_job *j, gf_error *err)
{
    if (!gf_start_source(j, err))
        return false;
    if (j->receive_only)
        return gf_receive_run(j, err);
    if (j->begun && !j->config->dry_run && !gf_receiving_resume(j, err))
        return false;
    if (!gf_start_target(j, err) || !gf_start_prepare(j, err))
        return false;
    if (j->config->dry_run)
        return true;
    if (!gf_start_position(j, err))
        return false;
    if (gf_stage_now(j) != GF_STAGE_DONE && !gf_pipeline_run(j, err))
        return false;
    gf_receiving_leave(j);
    return true;
}

static uint64_t work_done(gf_job *j)
{
    gf_relay_status relay;
    uint64_t sum;

    if (j->receive_only) {
        gf_relay_look(j->relay, &relay);
        return relay.events;
    }
    pthread_mutex_lock(&j->lock);
    sum = j->state.rows_copied + j->state.transactions_applied;
    pthread_mutex_unlock(&j->lock);
    return sum;
}

static void back_off(gf_job *j, unsigned ms)
{
    uint64_t until = gf_now_ms() + ms, now;

    pthread_mutex_lock(&j->lock);
    while (atomic_load(&j->stop_requests) == 0 && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&j->changed, &j->lock, (unsigned)(until - now));
    pthread_mutex_unlock(&j->lock);
}

/* Since when it has been going wrong, and what was said of it. */
typedef struct {
    uint64_t since, work; /* 0: all is well; what the job had done by then */
    unsigned wait_ms;
    gf_error told;
} trouble;

/* One line for a change of state: the same trouble is told again only to those who want everything. */
static void tell_trouble(trouble *t, const gf_job *j, const gf_error *err)
{
    if (strcmp(t->told.text, err->text) == 0)
        gf_log_debug("%s; trying again in %u ms", err->text, t->wait_ms);
    else
        gf_log_warn("%s; trying again in %u ms, and so on for %u s", err->text, t->wait_ms, j->config->retry_timeout);
    t->told = *err;
}

/* False when it lasts for too long. An attempt that got something done begins the count anew. */
static bool may_try_again(trouble *t, gf_job *j, gf_error *err)
{
    uint64_t now = gf_now_ms(), work = work_done(j);

    if (t->since == 0 || work != t->work)
        *t = (trouble){.since = now, .work = work, .wait_ms = BACKOFF_MIN_MS};
    if (now - t->since > 1000ULL * j->config->retry_timeout)
        return gf_fail_context(err, "gave up after %u s", j->config->retry_timeout);
    tell_trouble(t, j, err);
    return true;
}

/* Rule R3: whatever link was lost, the next attempt begins at the marker. */
static bool run_attempts(gf_job *j, gf_error *err)
{
    trouble t = {0};

    while (!attempt(j, err)) {
        gf_error stop;

        gf_start_disconnect(j);
        if (gf_stop_wanted(j, &stop)) { /* whatever broke, it was our stop that broke it */
            *err = stop;
            return false;
        }
        if (err->kind != GF_ERR_RETRY || !may_try_again(&t, j, err))
            return false;
        back_off(j, t.wait_ms);
        t.wait_ms = 2 * t.wait_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : 2 * t.wait_ms;
    }
    gf_start_disconnect(j);
    return true;
}

/* ---- endings ---- */

static gf_exit exit_of(gf_job *j, const gf_error *err)
{
    if (err->kind == GF_ERR_SYSTEM && j->checkpoint == NULL && !j->config->dry_run)
        return GF_EXIT_USAGE; /* the directory given can't be used */
    switch (err->kind) {
    case GF_ERR_STOPPED: return GF_EXIT_INTERRUPTED;
    case GF_ERR_CONFIG: return j->had_attempt ? GF_EXIT_FAILED : GF_EXIT_REFUSED;
    case GF_ERR_GONE: return GF_EXIT_FAILED_FINAL;
    case GF_ERR_DIVERGED: return j->mismatch ? GF_EXIT_MISMATCH : GF_EXIT_FAILED;
    case GF_ERR_DATA:
    case GF_ERR_RETRY:
    case GF_ERR_SYSTEM: return GF_EXIT_FAILED;
    }
    return GF_EXIT_FAILED;
}

/* What a run that ended before its plan was whole began with: that is still how far the job has got. *kept: the
   directory has it, not only the state given. */
static bool earlier_state(gf_job *j, gf_state *out, bool *kept)
{
    gf_error err;

    *kept = false;
    if (j->checkpoint == NULL || !j->resumed)
        return false;
    if (!gf_checkpoint_peek(out, kept, j->config->checkpoint_dir, &err) ||
        (!*kept && !(gf_import_given(j->config) && gf_import_read(out, j->config, &err) && out->imported)))
        return false;
    memcpy(out->cause, j->state.cause, sizeof out->cause);
    out->resumable = j->state.resumable;
    out->cutover_requested = atomic_load(&j->cutover_requested);
    out->pid = 0;
    out->control[0] = '\0';
    return true;
}

/* One document: of a run that had not begun yet it says just that. */
static void dump_state(gf_job *j)
{
    bool schema = !j->config->dump_without_schema;
    gf_state earlier = {0};
    gf_buf json = {0};
    bool kept;

    if (!j->plan_ready && earlier_state(j, &earlier, &kept))
        gf_state_json(&json, &earlier, GF_FORMAT_GHOSTFERRY, schema);
    else
        gf_job_json(j, &json, schema);
    gf_state_free(&earlier);
    if (fwrite(json.data, 1, json.len, stdout) != json.len || fflush(stdout) != 0)
        gf_log_error("could not write the state dump to stdout; gfreplica export-state --checkpoint-dir %s prints it",
                     j->config->checkpoint_dir);
    gf_buf_free(&json);
}

static void post_error(gf_job *j, const gf_error *err)
{
    gf_buf dump = {0};
    gf_error failed;
    json_t *body;
    char *text;

    if (j->config->on_error.uri == NULL || err->kind == GF_ERR_STOPPED)
        return;
    gf_job_json(j, &dump, !j->config->dump_without_schema);
    body = json_pack("{s:s, s:s, s:s}", "ErrFrom", gf_error_kind_name(err->kind), "ErrMessage", err->text, "StateDump",
                     gf_buf_cstr(&dump));
    text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    if (text != NULL && !gf_callback_post(&j->config->on_error, text, &failed))
        gf_log_error("error callback: %s", failed.text);
    free(text);
    json_decref(body);
    gf_buf_free(&dump);
}

static void say_why(gf_job *j, const gf_error *err, gf_exit code)
{
    if (code == GF_EXIT_INTERRUPTED)
        gf_log_info("stopped: %s; the same command goes on from here (%s)", err->text, j->config->checkpoint_dir);
    else if (code == GF_EXIT_FAILED && err->kind == GF_ERR_DATA) /* the same command would end here again */
        gf_log_error("%s; the job is kept in %s", err->text, j->config->checkpoint_dir);
    else if (code == GF_EXIT_FAILED)
        gf_log_error("%s; the job is kept in %s: mend the cause and run the same command", err->text,
                     j->config->checkpoint_dir);
    else
        gf_log_error("%s", err->text);
}

/* Before the plan is whole the checkpoint on disk knows more than we do: only the cause is new. A refusal leaves no
   trace. */
static void keep_cause(gf_job *j, gf_exit code)
{
    gf_state earlier = {0};
    gf_error failed;
    bool kept, ok = true;

    if (j->plan_ready)
        ok = gf_progress_save(j, &failed);
    else if ((code == GF_EXIT_FAILED || code == GF_EXIT_FAILED_FINAL) && earlier_state(j, &earlier, &kept) && kept)
        ok = gf_checkpoint_save(j->checkpoint, &earlier, &failed);
    if (!ok)
        gf_log_error("%s", failed.text);
    gf_state_free(&earlier);
}

/* The checkpoint keeps the cause; a state dump goes to stdout where the configuration wants one. */
static gf_exit end_badly(gf_job *j, const gf_error *err)
{
    gf_exit code = exit_of(j, err);

    pthread_mutex_lock(&j->lock);
    memcpy(j->state.cause, err->text, sizeof j->state.cause);
    j->state.resumable = code != GF_EXIT_FAILED_FINAL;
    j->state.pid = 0;
    j->state.control[0] = '\0';
    pthread_mutex_unlock(&j->lock);
    say_why(j, err, code);
    /* An interrupted run goes on with its cutover; after a failure the applications may have gone back to the source. */
    if (code == GF_EXIT_FAILED || code == GF_EXIT_FAILED_FINAL)
        gf_job_no_cutover(j);
    keep_cause(j, code);
    if (j->config->dump_on_signal || j->config->dump_on_error)
        dump_state(j);
    post_error(j, err);
    return code;
}

/* Rows that were in the target's tables before are replaced where the source has them, and else left. */
static const char *outcome(const gf_config *config)
{
    return config->allow_existing ? "target has all of the source's rows, and may have others that were there before "
                                    "(AllowExistingTargetTable),"
                                  : "target equals source";
}

static gf_exit end_well(gf_job *j)
{
    gf_buf at = {0};
    gf_error err;

    pthread_mutex_lock(&j->lock);
    j->state.cause[0] = '\0';
    j->state.pid = 0;
    j->state.control[0] = '\0';
    gf_position_text(&j->state.position, &at);
    pthread_mutex_unlock(&j->lock);
    if (j->plan_ready && !gf_progress_save(j, &err))
        gf_log_warn("%s", err.text);
    gf_log_info("done: %llu rows copied, %llu changes of %llu transactions applied, %s at %s",
                (unsigned long long)j->state.rows_copied, (unsigned long long)j->state.changes_applied,
                (unsigned long long)j->state.transactions_applied, outcome(j->config), gf_buf_cstr(&at));
    if (j->left_out.len > 0) {
        gf_log_info("left out, create them on the target yourself (or use --create-objects next time):");
        gf_log_lines(GF_LOG_INFO, &j->left_out);
    }
    gf_buf_free(&at);
    return GF_EXIT_DONE;
}

int gf_job_receive(gf_job *j)
{
    j->receive_only = true;
    return gf_job_run(j);
}

int gf_job_run(gf_job *j)
{
    gf_error err = {0};
    bool ok = open_job(j, &err);
    gf_exit code;

    if (ok && j->state.stage == GF_STAGE_DONE) {
        gf_log_info("%s: this job is done; remove the directory to start another one", j->config->checkpoint_dir);
        gf_checkpoint_close(j->checkpoint);
        return GF_EXIT_DONE;
    }
    ok = ok && run_attempts(j, &err);
    if (ok && j->config->dry_run) {
        printf("dry run: all checks passed, nothing was changed\n");
        code = GF_EXIT_DONE;
    } else {
        code = ok ? end_well(j) : end_badly(j, &err);
    }
    gf_receiving_end(j);
    gf_control_stop(j->control);
    j->control = NULL;
    gf_checkpoint_close(j->checkpoint);
    j->checkpoint = NULL;
    return (int)code;
}

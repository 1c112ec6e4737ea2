/* SPDX-License-Identifier: MIT */
/*
 * receiving.c - the job's relay and receiver: they outlive the attempts, so that the source's binlog is pulled on while
 * the target is away.
 *
 * Where they start: at the relay's end, if the relay is of this source and the source's history still has that place;
 * else at the place that the target needs. Whether the stream reads on from the relay is decided by the marker: it does if
 * the relay holds the marker's position, and then the source need not have it any more.
 */
#include <stdlib.h>
#include <time.h>

#include "gfreplica/log.h"
#include "internal.h"

enum { RETENTION_MS = 60000, SAVE_MS = 1000, WATCH_MS = 50 };

/* ---- starting ---- */

bool gf_receiving_open(gf_job *j, gf_error *err)
{
    return gf_relay_open(&j->relay, j->config->checkpoint_dir, j->config->relay_bytes, err);
}

static bool running(gf_job *j)
{
    gf_relay_status relay;
    gf_error err;

    gf_relay_look(j->relay, &relay);
    return j->receiver != NULL && !gf_receiver_failed(j->receiver, &err) && !relay.damaged;
}

/* The source's id of its connection; 0: none. */
static unsigned long stop_receiver(gf_job *j)
{
    unsigned long session = gf_receiver_stop(j->receiver);

    j->receiver = NULL;
    return session;
}

static bool start_receiver(gf_job *j, gf_error *err)
{
    const gf_receiver_options opt = {
        .replica = {.server = &j->config->source,
                    .info = &j->source_info,
                    .server_id = j->state.our_server_id,
                    .uuid = j->state.our_uuid,
                    .report_host = j->config->report_host,
                    .report_port = j->config->report_port,
                    .heartbeat_ms = j->config->heartbeat_ms},
        .relay = j->relay,
        .retry_timeout = j->config->retry_timeout,
    };

    return gf_receiver_start(&j->receiver, &opt, err);
}

/* *yes: the relay is of this source, whose history has the relay's end. Nobody appends. */
static bool may_go_on(bool *yes, gf_job *j, gf_error *err)
{
    gf_position end = {0};

    *yes = false;
    if (!gf_relay_rewind(j->relay, err))
        return false;
    if (!gf_relay_holds(j->relay, j->state.source_identity, &end))
        return true;
    *yes = gf_replica_available(j->source, &j->source_info, &end, err);
    gf_position_free(&end);
    if (*yes || err->kind != GF_ERR_GONE)
        return *yes;
    gf_log_warn("the relay can't be continued: %s", err->text);
    return true;
}

static bool begin_at(gf_job *j, const gf_position *at, gf_error *err)
{
    return gf_replica_available(j->source, &j->source_info, at, err) &&
           gf_relay_begin(j->relay, j->state.source_identity, j->source_info.flavor, at, err);
}

/* The checkpoint's position is not ahead of the marker's, unless the target has lost commits: then gf_receiving_from will
   begin anew. What is gone here is for it to judge. */
static bool resume(gf_job *j, gf_error *err)
{
    bool yes;

    if (running(j))
        return true;
    stop_receiver(j);
    if (!may_go_on(&yes, j, err))
        return false;
    if (!yes && !gf_relay_holds(j->relay, j->state.source_identity, NULL))
        yes = begin_at(j, &j->state.position, err);
    return yes ? start_receiver(j, err) : err->kind == GF_ERR_GONE && !j->receive_only;
}

/* *held: the stream can read on from the relay. */
static bool read_on(bool *held, gf_job *j, gf_error *err)
{
    *held = false;
    if (!gf_relay_holds(j->relay, j->state.source_identity, NULL))
        return true;
    if (!gf_relay_find(&j->reader, j->relay, &j->start, err))
        return false;
    *held = j->reader != NULL;
    if (!*held || running(j))
        return true;
    gf_receiving_close_reader(j); /* going on may cut the relay */
    stop_receiver(j);
    if (!may_go_on(held, j, err))
        return false;
    return !*held || (gf_relay_find(&j->reader, j->relay, &j->start, err) &&
                      (*held = j->reader != NULL, !*held || start_receiver(j, err)));
}

bool gf_receiving_from(gf_job *j, gf_error *err)
{
    bool held;

    gf_receiving_close_reader(j);
    if (!read_on(&held, j, err) || held)
        return held;
    stop_receiver(j);
    if (!begin_at(j, &j->start, err) || !gf_relay_find(&j->reader, j->relay, &j->start, err))
        return false;
    if (j->reader == NULL)
        return gf_fail(err, GF_ERR_SYSTEM, "the relay in %s was changed by somebody else", j->config->checkpoint_dir);
    return start_receiver(j, err);
}

void gf_receiving_close_reader(gf_job *j)
{
    gf_relay_reader_close(j->reader);
    j->reader = NULL;
}

/* What came before a failure is dealt with first, unless the source has to be looked at anew. */
bool gf_receiving_failed(gf_job *j, gf_error *err)
{
    return gf_receiver_failed(j->receiver, err) &&
           (err->kind == GF_ERR_RETRY || j->reader == NULL || gf_relay_idle(j->reader));
}

/* The source would find out with its heartbeats, and another job may want the same server id now. */
void gf_receiving_leave(gf_job *j)
{
    unsigned long session;
    gf_error err;

    gf_receiving_close_reader(j);
    session = stop_receiver(j);
    if (session != 0 &&
        !gf_server_exec(j->source, "end our stream on the source", &err, "KILL CONNECTION %lu", session))
        gf_log_debug("%s", err.text);
}

void gf_receiving_end(gf_job *j)
{
    gf_receiving_close_reader(j);
    stop_receiver(j);
    if (j->relay != NULL && gf_stage_now(j) == GF_STAGE_DONE)
        gf_relay_remove(j->relay);
    gf_relay_close(j->relay);
    j->relay = NULL;
}

/* ---- what is known of it ---- */

/* Until when was the file that is needed next certainly being written? Only from then on does its age count. */
static void note_needed_locked(gf_job *j, const gf_relay_status *relay, const gf_position *source_end)
{
    gf_state *s = &j->state;
    uint64_t now = gf_wall_ms(), written = 1000ULL * relay->timestamp;

    if (strcmp(s->received_file, relay->file) != 0)
        s->needed_ms = 0;
    if (written > now) /* sessions may set the time */
        written = now;
    if (strcmp(relay->file, source_end->file) == 0)
        written = now;
    if (written > s->needed_ms)
        s->needed_ms = written;
    memcpy(s->received_file, relay->file, sizeof s->received_file);
    s->received_offset = relay->offset;
}

static bool ask_retention(gf_job *j, gf_error *err)
{
    uint64_t now = gf_now_ms(), seconds;

    if (now < j->next_retention_ms)
        return true;
    if (!gf_replica_retention(&seconds, j->source, err))
        return false;
    j->next_retention_ms = now + RETENTION_MS;
    pthread_mutex_lock(&j->lock);
    j->state.source_keeps_s = seconds;
    j->state.retention_known = true;
    pthread_mutex_unlock(&j->lock);
    return true;
}

bool gf_receiving_tick(gf_job *j, const gf_position *source_end, gf_error *err)
{
    gf_relay_status relay;

    gf_relay_look(j->relay, &relay);
    pthread_mutex_lock(&j->lock);
    j->state.relay_bytes = relay.bytes;
    j->state.relay_full = relay.state != GF_RELAY_OPEN;
    note_needed_locked(j, &relay, source_end);
    pthread_mutex_unlock(&j->lock);
    return ask_retention(j, err);
}

void gf_receiving_passed(gf_job *j)
{
    gf_position at = {0};

    pthread_mutex_lock(&j->lock);
    gf_position_copy(&at, &j->state.position);
    pthread_mutex_unlock(&j->lock);
    gf_relay_passed(j->relay, &at);
    gf_position_free(&at);
}

/* The checkpoint that was found, with what is new of receiving: before the plan is made it knows more than we do. */
static bool save_found(gf_job *j, bool running_now, gf_error *err)
{
    gf_state *s = &j->loaded;
    char cause[sizeof s->cause];
    bool ok;

    pthread_mutex_lock(&j->lock);
    s->relay_bytes = j->state.relay_bytes;
    s->relay_full = j->state.relay_full;
    s->needed_ms = j->state.needed_ms;
    s->source_keeps_s = j->state.source_keeps_s;
    s->retention_known = j->state.retention_known;
    memcpy(s->received_file, j->state.received_file, sizeof s->received_file);
    s->received_offset = j->state.received_offset;
    s->our_server_id = j->state.our_server_id;
    memcpy(s->our_uuid, j->state.our_uuid, sizeof s->our_uuid);
    s->control[0] = '\0';
    if (running_now)
        memcpy(s->control, j->state.control, sizeof s->control);
    pthread_mutex_unlock(&j->lock);
    s->receiving = running_now && j->receive_only;
    s->pid = running_now ? j->state.pid : 0;
    s->saved_ms = gf_wall_ms();
    memcpy(cause, s->cause, sizeof cause); /* of the job's last stop: not what happens now */
    if (running_now)
        s->cause[0] = '\0';
    ok = gf_checkpoint_save(j->checkpoint, s, err);
    memcpy(s->cause, cause, sizeof cause);
    return ok;
}

/* While there is no pipeline to do it. */
static bool note(gf_job *j, gf_error *err)
{
    gf_position end = {0};
    bool ok = gf_server_binlog_end(&end, j->source, &j->source_info, err) && gf_receiving_tick(j, &end, err);

    gf_position_free(&end);
    if (ok && j->plan_ready)
        return gf_progress_save(j, err);
    return ok && (j->prepared || save_found(j, true, err));
}

bool gf_receiving_resume(gf_job *j, gf_error *err)
{
    return resume(j, err) && note(j, err);
}

/* ---- gfreplica receive ---- */

static void say_received(gf_job *j)
{
    gf_relay_status relay;

    gf_relay_look(j->relay, &relay);
    gf_log_info("received up to %s:%llu, the relay has %llu bytes", relay.file, (unsigned long long)relay.offset,
                (unsigned long long)relay.bytes);
}

static bool watch(gf_job *j, gf_error *err)
{
    uint64_t next_ms = 0;
    bool ok = true;

    while (ok && !gf_stop_wanted(j, err) && !gf_receiving_failed(j, err)) {
        if (gf_now_ms() >= next_ms) {
            ok = note(j, err);
            next_ms = gf_now_ms() + SAVE_MS;
        }
        pthread_mutex_lock(&j->lock);
        if (atomic_load(&j->stop_requests) == 0)
            gf_cond_wait_ms(&j->changed, &j->lock, WATCH_MS);
        pthread_mutex_unlock(&j->lock);
    }
    return false;
}

bool gf_receive_run(gf_job *j, gf_error *err)
{
    gf_error late;

    if (!gf_receiving_resume(j, err))
        return false;
    gf_log_info("receiving only: nothing is written to the target");
    (void)watch(j, err);
    say_received(j);
    if (!save_found(j, false, &late))
        gf_log_error("%s", late.text);
    return false;
}

/* ---- a stopped job, seen from outside ---- */

static bool look_at_source(gf_state *s, MYSQL *db, gf_error *err)
{
    gf_server_info info;
    bool found, newest;

    if (!gf_server_info_read(&info, db, err) || !gf_replica_retention(&s->source_keeps_s, db, err) ||
        !gf_replica_has_file(&found, &newest, db, &info, s->received_file, err))
        return false;
    if (strcmp(info.identity, s->source_identity) != 0)
        return gf_fail(err, GF_ERR_CONFIG, "another server (%s) answers there", info.identity);
    s->retention_known = true;
    s->needed_gone = !found;
    if (newest)
        s->needed_ms = gf_wall_ms();
    return true;
}

void gf_job_ask_source(const gf_config *c, gf_state *s)
{
    gf_server_config source = c->source;
    MYSQL *db = NULL;
    gf_error err;
    bool ok;

    if ((source.host == NULL && source.socket == NULL) || s->received_file[0] == '\0')
        return;
    source.connect_timeout = source.read_timeout = 5;
    ok = gf_server_connect(&db, &source, GF_CONN_PLAIN, &err) && look_at_source(s, db, &err);
    if (!ok)
        gf_log_warn("the source was not asked, what is told of it is as last known: %s", err.text);
    gf_server_close(db);
}

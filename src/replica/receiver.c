/* SPDX-License-Identifier: MIT */
/*
 * receiver.c - link, relay, and the link again.
 *
 *   [open_link] -> gf_replica_read -> gf_relay_append ... until the link breaks -> [back_off] -> [same_source] -> open_link
 *
 * Before a link is made anew the source is asked what it is: another server, or the same one after RESET, may answer at
 * its address, and the relay is one piece of one history.
 */
#include "gfreplica/receiver.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/thread.h"
#include "torn.h"

enum { BACKOFF_MIN_MS = 250, BACKOFF_MAX_MS = 5000 };

struct gf_receiver {
    gf_receiver_options opt; /* set at creation */
    gf_server_info info;     /* likewise */
    pthread_t thread;

    /* The thread's alone. */
    char torn[GF_BINLOG_NAME_MAX]; /* the file in which the last link ended for good; empty: none */
    gf_position behind_torn;       /* where the next link starts instead of at the relay's end, once by_file */
    bool by_file;
    unsigned long session; /* of the source, by which we linked last; 0: none yet */

    atomic_bool stopping;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    gf_replica *link;     /* owned by the thread; set while it is up, so that a stop can break it */
    gf_lifeline question; /* of the connection on which the source is asked, likewise */
    bool linked, failed;
    gf_error failure;
};

/* ---- what a stop breaks ---- */

/* False when the stop came first: then nobody would break it any more. */
static bool publish(gf_receiver *r, gf_replica *link, int question)
{
    bool go;

    pthread_mutex_lock(&r->lock);
    go = !atomic_load(&r->stopping);
    r->link = go ? link : NULL;
    r->linked = r->link != NULL;
    gf_lifeline_hold(&r->question, question, false);
    pthread_mutex_unlock(&r->lock);
    return go;
}

static bool fail_stopped(gf_error *err)
{
    return gf_fail(err, GF_ERR_STOPPED, "receiving was stopped");
}

/* ---- the source ---- */

static bool ask(gf_receiver *r, MYSQL *db, gf_error *err)
{
    gf_server_info now;
    gf_position end = {0};
    bool ok;

    if (!gf_server_info_read(&now, db, err))
        return false;
    if (!gf_relay_holds(r->opt.relay, now.identity, &end))
        return gf_fail(err, GF_ERR_RETRY, "another server (%s) answers at the source's address", now.identity);
    ok = gf_replica_available(db, &r->info, &end, err);
    if (!ok && err->kind == GF_ERR_GONE) /* not the end yet: it may still have what the target needs */
        err->kind = GF_ERR_RETRY;
    if (ok && r->torn[0] != '\0')
        ok = r->by_file = gf_torn_step_over(&r->behind_torn, db, r->torn, &end, err);
    gf_position_free(&end);
    return ok;
}

static bool same_source(gf_receiver *r, gf_error *err)
{
    MYSQL *db = NULL;
    bool ok;

    if (!gf_server_connect(&db, r->opt.replica.server, GF_CONN_PLAIN, err))
        return false;
    ok = publish(r, NULL, (int)mysql_get_socket(db)) ? ask(r, db, err) : fail_stopped(err);
    publish(r, NULL, -1);
    gf_server_close(db);
    return ok;
}

static bool open_link(gf_replica **out, gf_receiver *r, gf_error *err)
{
    gf_replica_options opt = r->opt.replica;
    gf_position end = {0};
    bool ok;

    *out = NULL;
    opt.by_file = r->by_file;
    opt.session = &r->session;
    r->by_file = false; /* from then on the relay's end is behind it */
    r->torn[0] = '\0';
    ok = gf_relay_rewind(r->opt.relay, err) &&
         (gf_relay_holds(r->opt.relay, r->info.identity, &end) ||
          gf_fail(err, GF_ERR_RETRY, "nothing of the relay could be kept")) &&
         gf_replica_open(out, &opt, opt.by_file ? &r->behind_torn : &end, err);
    gf_position_free(&end);
    return ok;
}

/* ---- the thread ---- */

/* Until the link breaks. *got: it has brought something. */
static bool pull(gf_receiver *r, gf_replica *link, bool *got, gf_error *err)
{
    gf_slice event;

    for (;;) {
        if (!gf_replica_read(&event, link, err))
            return false;
        *got = true;
        if (!gf_relay_append(r->opt.relay, event, err))
            return false;
        if (!gf_replica_pending(link) && !gf_relay_flush(r->opt.relay, err))
            return false;
    }
}

static void receive_once(gf_receiver *r, bool *got, gf_error *err)
{
    gf_replica *link;

    if (!open_link(&link, r, err))
        return;
    if (publish(r, link, -1)) {
        gf_log_debug("receiving");
        (void)pull(r, link, got, err);
        publish(r, NULL, -1);
    } else {
        fail_stopped(err);
    }
    gf_replica_close(link);
}

static bool back_off(gf_receiver *r, unsigned ms)
{
    uint64_t until = gf_now_ms() + ms, now;

    pthread_mutex_lock(&r->lock);
    while (!atomic_load(&r->stopping) && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&r->changed, &r->lock, (unsigned)(until - now));
    pthread_mutex_unlock(&r->lock);
    return !atomic_load(&r->stopping);
}

/* Comes back when the source may be asked for the stream again; false with the reason when it may not. */
static bool wait_for_source(gf_receiver *r, gf_error *err)
{
    uint64_t since = gf_now_ms();
    unsigned wait_ms = BACKOFF_MIN_MS;

    gf_log_warn("%s; linking to the source again", err->text);
    for (;;) {
        if (!back_off(r, wait_ms))
            return fail_stopped(err);
        if (same_source(r, err))
            return true;
        if (err->kind != GF_ERR_RETRY)
            return false;
        if (gf_now_ms() - since > 1000ULL * r->opt.retry_timeout)
            return gf_fail_context(err, "no link to the source for %u s", r->opt.retry_timeout);
        wait_ms = 2 * wait_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : 2 * wait_ms;
    }
}

static void *run(void *arg)
{
    gf_receiver *r = arg;
    gf_error err = {0}, late;

    gf_log_thread("receiver");
    for (;;) {
        bool got = false;

        receive_once(r, &got, &err);
        if (gf_torn_named(r->torn, sizeof r->torn, &err))
            err.kind = GF_ERR_RETRY;
        if (atomic_load(&r->stopping) || err.kind != GF_ERR_RETRY || !got || !wait_for_source(r, &err))
            break;
    }
    /* What is whole should outlive us, and who reads should have it before the failure counts. */
    if (!gf_relay_flush(r->opt.relay, &late))
        gf_log_debug("%s", late.text);
    pthread_mutex_lock(&r->lock);
    r->failed = true;
    r->failure = err;
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- life ---- */

bool gf_receiver_start(gf_receiver **out, const gf_receiver_options *opt, gf_error *err)
{
    gf_receiver *r = gf_calloc(1, sizeof *r);

    r->opt = *opt;
    r->info = *opt->replica.info;
    r->opt.replica.info = &r->info;
    pthread_mutex_init(&r->lock, NULL);
    gf_cond_init(&r->changed);
    if (pthread_create(&r->thread, NULL, run, r) == 0) {
        *out = r;
        return true;
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return gf_fail_errno(err, "start the receiver thread");
}

bool gf_receiver_linked(gf_receiver *r)
{
    bool linked;

    pthread_mutex_lock(&r->lock);
    linked = r->linked;
    pthread_mutex_unlock(&r->lock);
    return linked;
}

bool gf_receiver_failed(gf_receiver *r, gf_error *err)
{
    bool failed;

    pthread_mutex_lock(&r->lock);
    failed = r->failed;
    if (failed)
        *err = r->failure;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

unsigned long gf_receiver_stop(gf_receiver *r)
{
    unsigned long session = 0;

    if (r == NULL)
        return 0;
    atomic_store(&r->stopping, true);
    pthread_mutex_lock(&r->lock);
    if (r->link != NULL) {
        session = r->session;
        gf_replica_stop(r->link);
    }
    gf_lifeline_break(&r->question);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    gf_relay_stop(r->opt.relay);
    pthread_join(r->thread, NULL);
    gf_position_free(&r->behind_torn);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return session;
}

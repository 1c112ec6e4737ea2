/* SPDX-License-Identifier: MIT */
/*
 * applier.c - the scheduler and its writers as one thing: start, stop, drain, count.
 *
 * config->writers threads write the stream, config->copy_writers the chunks. The first error of any of them ends all;
 * connections are not opened again here, because after a lost one the marker has to be read first (rule R3).
 */
#include <stdlib.h>

#include "gfreplica/log.h"
#include "writer.h"

struct gf_applier {
    gf_applier_options opt; /* set once */
    gf_sched *sched;        /* owned */
    gf_writer *writers;     /* owned */
    unsigned writer_count, started;
    gf_counts counts;

    pthread_mutex_t lock;  /* guards below */
    pthread_cond_t opened; /* pending has changed */
    unsigned pending;      /* writers that have not connected, nor failed to */
};

typedef struct {
    gf_applier *applier;
    gf_writer *writer;
} start_arg;

static void one_less_pending(gf_applier *a)
{
    pthread_mutex_lock(&a->lock);
    a->pending--;
    pthread_cond_signal(&a->opened);
    pthread_mutex_unlock(&a->lock);
}

static void *writer_main(void *p)
{
    start_arg *arg = p;
    gf_applier *a = arg->applier;
    gf_writer *w = arg->writer;
    gf_error err = {0};
    bool open;

    free(arg);
    open = gf_writer_open(w, &err);
    if (!open)
        gf_sched_fail(a->sched, &err);
    one_less_pending(a);
    if (open)
        gf_writer_run(w);
    gf_writer_close(w);
    return NULL;
}

static bool start_writer(gf_applier *a, gf_lane lane, unsigned index, gf_error *err)
{
    gf_writer *w = &a->writers[a->started];
    start_arg *arg = gf_malloc(sizeof(*arg));
    int rc;

    *arg = (start_arg){a, w};
    w->opt = &a->opt;
    w->sched = a->sched;
    w->counts = &a->counts;
    w->lane = lane;
    w->index = index;
    pthread_mutex_init(&w->socket_lock, NULL);
    pthread_mutex_lock(&a->lock);
    a->pending++;
    pthread_mutex_unlock(&a->lock);
    rc = pthread_create(&w->thread, NULL, writer_main, arg);
    if (rc == 0) {
        a->started++;
        return true;
    }
    free(arg);
    pthread_mutex_destroy(&w->socket_lock);
    one_less_pending(a);
    return gf_fail(err, GF_ERR_SYSTEM, "start a writer thread: %s", strerror(rc));
}

static bool start_all(gf_applier *a, gf_error *err)
{
    for (unsigned i = 0; i < a->opt.config->writers; i++)
        if (!start_writer(a, GF_LANE_STREAM, i, err))
            return false;
    for (unsigned i = 0; i < a->opt.config->copy_writers; i++)
        if (!start_writer(a, GF_LANE_COPY, i, err))
            return false;
    pthread_mutex_lock(&a->lock);
    while (a->pending > 0)
        pthread_cond_wait(&a->opened, &a->lock);
    pthread_mutex_unlock(&a->lock);
    return !gf_sched_failed(a->sched, err);
}

bool gf_applier_start(gf_applier **out, const gf_applier_options *opt, gf_error *err)
{
    gf_applier *a = gf_calloc(1, sizeof(*a));

    a->opt = *opt;
    a->sched = gf_sched_new(opt->config->writers, opt->max_bytes);
    a->writer_count = opt->config->writers + opt->config->copy_writers;
    a->writers = gf_calloc(a->writer_count, sizeof(*a->writers));
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->opened, NULL);
    if (!start_all(a, err)) {
        gf_applier_join(a);
        return false;
    }
    *out = a;
    return true;
}

bool gf_applier_batch(gf_applier *a, gf_batch *b, gf_error *err)
{
    return gf_sched_batch(a->sched, b, err);
}

bool gf_applier_chunk(gf_applier *a, gf_chunk *c, gf_error *err)
{
    return gf_sched_chunk(a->sched, c, err);
}

bool gf_applier_drain(gf_applier *a, gf_error *err)
{
    return gf_sched_drain(a->sched, err);
}

unsigned gf_applier_written(gf_applier *a)
{
    return gf_sched_written(a->sched);
}

bool gf_applier_failed(gf_applier *a, gf_error *err)
{
    return gf_sched_failed(a->sched, err);
}

void gf_applier_stop(gf_applier *a)
{
    gf_sched_stop(a->sched);
    for (unsigned i = 0; i < a->started; i++)
        gf_writer_interrupt(&a->writers[i]);
}

void gf_applier_join(gf_applier *a)
{
    if (a == NULL)
        return;
    gf_applier_stop(a);
    for (unsigned i = 0; i < a->started; i++) {
        pthread_join(a->writers[i].thread, NULL);
        pthread_mutex_destroy(&a->writers[i].socket_lock);
    }
    gf_sched_free(a->sched);
    free(a->writers);
    pthread_cond_destroy(&a->opened);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void gf_applier_read_stats(gf_applier *a, gf_applier_stats *out)
{
    out->transactions = atomic_load(&a->counts.transactions);
    out->changes = atomic_load(&a->counts.changes);
    out->chunks = atomic_load(&a->counts.chunks);
    out->rows = atomic_load(&a->counts.rows);
    out->bytes_in_flight = gf_sched_bytes(a->sched, &out->retries);
}

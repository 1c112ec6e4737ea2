/* SPDX-License-Identifier: MIT */
/*
 * indexes.c - threads that build indexes beside the stream.
 *
 * A table passes through: copying -> ready [gf_indexes_look] -> building [take] -> built [build_next]. An ALTER is the
 * target's work, a builder only waits for it; so there are few of them, each with a connection of its own.
 *
 * The stream goes on: both families add a plain index while rows change. An ALTER needs the table for itself for a
 * moment at its beginning and end; a writer that stands in its way behind another one, which waits for its turn, gives
 * up after two seconds as in any other circle (rule C2a).
 */
#include "indexes.h"

#include <pthread.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/thread.h"

enum { LOOK_EVERY_MS = 200 };

struct job_table {
    const gf_table *table; /* borrowed */
    size_t open;           /* main thread's alone: ranges that are not done, while it looks */
    enum { COPYING, READY, BUILDING, BUILT } state;
};

struct builder {
    gf_indexes *all;
    unsigned index;
    pthread_t thread;
    gf_lifeline lifeline; /* guarded by the lock */
};

struct gf_indexes {
    gf_indexes_options opt;
    atomic_bool stopping;
    uint64_t next_look_ms; /* the main thread's alone */

    struct builder *builders; /* owned; the first builder_count have a thread */
    unsigned builder_count;

    pthread_mutex_t lock; /* guards below */
    pthread_cond_t changed;
    struct job_table *tables; /* owned, by address of their table */
    size_t built;
    bool hurried; /* by a schema change: nothing is waited for, neither rows nor the end of a pause */
    bool failed;
    gf_error failure; /* the first one, once failed */
};

/* ---- choosing ---- */

static int by_names(const void *a, const void *b)
{
    const gf_marker_table *x = a, *y = b;
    int order = strcmp(x->db, y->db);

    return order != 0 ? order : strcmp(x->name, y->name);
}

static bool is_noted(const gf_table *t, const gf_marker_table *noted, size_t count)
{
    const gf_marker_table wanted = {.db = t->db, .name = t->name};

    return count > 0 && bsearch(&wanted, noted, count, sizeof *noted, by_names) != NULL;
}

bool gf_indexes_choose(bool *deferred, const gf_indexes_choice *c, gf_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        unsigned indexes = 0;

        if (c->allowed && c->missing[i] && gf_deferral_pays(c->config, c->tables[i]) &&
            !gf_deferral_count(&indexes, c->deferral, c->tables[i], err))
            return false;
        deferred[i] = indexes > 0 || (!c->missing[i] && is_noted(c->tables[i], c->noted, c->noted_count));
    }
    return true;
}

/* ---- builders ---- */

static void publish_socket(struct builder *b, MYSQL *db)
{
    gf_indexes *x = b->all;

    pthread_mutex_lock(&x->lock);
    gf_lifeline_hold(&b->lifeline, db == NULL ? -1 : (int)mysql_get_socket(db), atomic_load(&x->stopping));
    pthread_mutex_unlock(&x->lock);
}

static struct job_table *find_ready_locked(gf_indexes *x)
{
    for (size_t i = 0; i < x->opt.count; i++)
        if (x->tables[i].state == READY)
            return &x->tables[i];
    return NULL;
}

/* The next table whose rows are there; NULL: all are built, or it is over. A paused job begins nothing new. */
static struct job_table *take(gf_indexes *x)
{
    struct job_table *t = NULL;

    pthread_mutex_lock(&x->lock);
    while (!atomic_load(&x->stopping) && !x->failed && x->built < x->opt.count &&
           ((atomic_load(&x->opt.config->live.paused) && !x->hurried) || (t = find_ready_locked(x)) == NULL))
        gf_cond_wait_ms(&x->changed, &x->lock, LOOK_EVERY_MS);
    if (t != NULL && !atomic_load(&x->stopping))
        t->state = BUILDING;
    else
        t = NULL;
    pthread_mutex_unlock(&x->lock);
    return t;
}

static void fail(gf_indexes *x, const gf_error *err)
{
    pthread_mutex_lock(&x->lock);
    if (!x->failed && !atomic_load(&x->stopping))
        x->failure = *err;
    x->failed = true;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

static void note_built(gf_indexes *x, struct job_table *t)
{
    pthread_mutex_lock(&x->lock);
    t->state = BUILT;
    x->built++;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

/* An ALTER says nothing for hours: no time limit for an answer. */
static bool connect_builder(struct builder *b, MYSQL **db, gf_error *err)
{
    gf_server_config target = b->all->opt.config->target;

    target.read_timeout = 0;
    if (!gf_server_connect(db, &target, GF_CONN_PLAIN, err))
        return false;
    publish_socket(b, *db);
    return true;
}

/* *db is connected at the first table. */
static bool build(struct builder *b, MYSQL **db, struct job_table *t, gf_error *err)
{
    gf_indexes *x = b->all;

    if (*db == NULL && !connect_builder(b, db, err))
        return false;
    if (!gf_deferral_build(*db, x->opt.deferral, x->opt.marker, t->table, &x->stopping, err))
        return false;
    note_built(x, t);
    return true;
}

static void *run(void *arg)
{
    struct builder *b = arg;
    struct job_table *t;
    MYSQL *db = NULL;
    gf_error err;

    gf_log_thread("indexes[%u]", b->index);
    while ((t = take(b->all)) != NULL) {
        if (build(b, &db, t, &err))
            continue;
        fail(b->all, &err);
        break;
    }
    publish_socket(b, NULL);
    gf_server_close(db);
    mysql_thread_end();
    return NULL;
}

/* ---- for the job ---- */

static int by_table(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct job_table *)a)->table, y = (uintptr_t)((const struct job_table *)b)->table;

    return (x > y) - (x < y);
}

static bool start_builders(gf_indexes *x, gf_error *err)
{
    unsigned wanted = x->opt.config->copy_writers;

    if (wanted > x->opt.count)
        wanted = (unsigned)x->opt.count;
    x->builders = gf_calloc(wanted, sizeof *x->builders);
    for (unsigned i = 0; i < wanted; i++) {
        struct builder *b = &x->builders[i];

        *b = (struct builder){.all = x, .index = i};
        if (pthread_create(&b->thread, NULL, run, b) != 0)
            return gf_fail_errno(err, "start a thread to build indexes");
        x->builder_count++;
    }
    return true;
}

bool gf_indexes_start(gf_indexes **out, const gf_indexes_options *opt, gf_error *err)
{
    gf_indexes *x;

    if (opt->count == 0)
        return true;
    x = *out = gf_calloc(1, sizeof *x);
    x->opt = *opt;
    pthread_mutex_init(&x->lock, NULL);
    gf_cond_init(&x->changed);
    x->tables = gf_calloc(opt->count, sizeof *x->tables);
    for (size_t i = 0; i < opt->count; i++)
        x->tables[i].table = opt->tables[i];
    qsort(x->tables, opt->count, sizeof *x->tables, by_table);
    return start_builders(x, err);
}

static void count_open(void *ctx, const gf_range *r)
{
    gf_indexes *x = ctx;
    const struct job_table wanted = {.table = r->table};
    struct job_table *t;

    if (r->done)
        return;
    t = bsearch(&wanted, x->tables, x->opt.count, sizeof *x->tables, by_table);
    if (t != NULL)
        t->open++;
}

/* Those whose rows are all there, or all. */
static void make_ready_locked(gf_indexes *x, bool all)
{
    for (size_t i = 0; i < x->opt.count; i++)
        if (x->tables[i].state == COPYING && (all || x->tables[i].open == 0))
            x->tables[i].state = READY;
    pthread_cond_broadcast(&x->changed);
}

void gf_indexes_look(gf_indexes *x)
{
    uint64_t now = gf_now_ms();

    if (x == NULL || now < x->next_look_ms)
        return;
    x->next_look_ms = now + LOOK_EVERY_MS;
    for (size_t i = 0; i < x->opt.count; i++)
        x->tables[i].open = 0;
    gf_plan_each(x->opt.plan, count_open, x);
    pthread_mutex_lock(&x->lock);
    make_ready_locked(x, false);
    pthread_mutex_unlock(&x->lock);
}

static void hurry_locked(gf_indexes *x)
{
    if (x->built == x->opt.count)
        return;
    gf_log_info("a schema change is next: first %zu tables get the indexes that they lack", x->opt.count - x->built);
    x->hurried = true;
    make_ready_locked(x, true);
}

bool gf_indexes_finish(gf_indexes *x, gf_error *err)
{
    bool done;

    if (x == NULL)
        return true;
    pthread_mutex_lock(&x->lock);
    hurry_locked(x);
    while (!atomic_load(&x->stopping) && !x->failed && x->built < x->opt.count)
        gf_cond_wait_ms(&x->changed, &x->lock, LOOK_EVERY_MS);
    done = x->built == x->opt.count;
    pthread_mutex_unlock(&x->lock);
    if (done)
        return true;
    if (atomic_load(&x->stopping) || !gf_indexes_failed(x, err))
        return gf_fail(err, GF_ERR_STOPPED, "stopped");
    return false;
}

void gf_indexes_count(gf_indexes *x, size_t *done, size_t *total)
{
    *done = *total = 0;
    if (x == NULL)
        return;
    pthread_mutex_lock(&x->lock);
    *done = x->built;
    *total = x->opt.count;
    pthread_mutex_unlock(&x->lock);
}

bool gf_indexes_failed(gf_indexes *x, gf_error *err)
{
    bool failed;

    if (x == NULL)
        return false;
    pthread_mutex_lock(&x->lock);
    failed = x->failed;
    if (failed)
        *err = x->failure;
    pthread_mutex_unlock(&x->lock);
    return failed;
}

void gf_indexes_stop(gf_indexes *x)
{
    if (x == NULL)
        return;
    atomic_store(&x->stopping, true);
    pthread_mutex_lock(&x->lock);
    for (unsigned i = 0; i < x->builder_count; i++)
        gf_lifeline_break(&x->builders[i].lifeline);
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

void gf_indexes_join(gf_indexes *x)
{
    if (x == NULL)
        return;
    for (unsigned i = 0; i < x->builder_count; i++)
        pthread_join(x->builders[i].thread, NULL);
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->lock);
    free(x->builders);
    free(x->tables);
    free(x);
}

/* SPDX-License-Identifier: MIT */
/*
 * verify.c - threads that take parts of tables, and what becomes of a table whose definition changes meanwhile.
 *
 * Large tables are cut into ranges as for the copy. A part is walked once in the source's order; where the target may
 * order the rows otherwise, once more in the target's, so that no row of either side is left out. Unlike rows are gathered
 * and settled by the hundreds, since each settling waits for the target to follow.
 *
 * A table that turns out to be no more what its definition says is put aside. When all others are done, the target is waited
 * for, and such tables are compared with the definitions of then. What still fails at the last try is a difference.
 */
#include "gfreplica/verify.h"

#include <mysqld_error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/copier.h"
#include "gfreplica/log.h"
#include "gfreplica/thread.h"
#include "pass.h"
#include "report.h"

enum {
    SETTLE_AT = 500, /* suspects */
    TRIES = 4,       /* of a table that is altered meanwhile */
    WATCH_MS = 50,
    FIRST_BACKOFF_MS = 100,
    LAST_BACKOFF_MS = 5000
};

/* A table in this try. */
typedef struct {
    const gf_table *table; /* borrowed */
    atomic_uint parts;     /* that are not compared yet */
    atomic_bool enough;    /* it has so many differences that the rest does not matter */
    atomic_bool altered;
    pthread_mutex_t lock;
    gf_error why; /* guarded by the lock: what made it altered */
} subject;

typedef struct {
    subject *of;
    const gf_range *range; /* borrowed from the plan; NULL: all of a table without identity */
} part;

typedef struct {
    const gf_verify_options *opt; /* borrowed, like the next two */
    gf_report *report;
    gf_stop *stop;
    part *parts; /* owned, like the subjects */
    subject *subjects;
    size_t part_count, subject_count;
    gf_plan *plan; /* owned */
    atomic_size_t next;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool failed;
    gf_error failure; /* the first one, once failed */
} comparison;

typedef struct {
    comparison *c;
    unsigned index;
    pthread_t thread;
    /* The thread's alone. */
    gf_pair pair;
    bool open;
    gf_suspects suspects;
    uint64_t failing_since; /* ms; 0: all is well */
    unsigned backoff;
} worker;

/* ---- failures ---- */

static bool has_failed(comparison *c)
{
    bool failed;

    pthread_mutex_lock(&c->lock);
    failed = c->failed;
    pthread_mutex_unlock(&c->lock);
    return failed;
}

static void fail_all(comparison *c, const gf_error *err)
{
    pthread_mutex_lock(&c->lock);
    if (!c->failed)
        c->failure = *err;
    c->failed = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* The table is not what its definition says, on either side. */
static bool means_altered(const gf_error *err)
{
    switch (err->native) {
    case ER_NO_SUCH_TABLE:
    case ER_BAD_FIELD_ERROR:
    case ER_TABLE_DEF_CHANGED:
    case ER_KEY_DOES_NOT_EXISTS: return true;
    default: return err->kind == GF_ERR_DIVERGED;
    }
}

static void put_aside(subject *s, const gf_error *err)
{
    pthread_mutex_lock(&s->lock);
    s->why = *err;
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->altered, true);
}

static void back_off(worker *w)
{
    comparison *c = w->c;
    uint64_t until = gf_now_ms() + w->backoff, now;

    w->backoff = 2 * w->backoff < LAST_BACKOFF_MS ? 2 * w->backoff : LAST_BACKOFF_MS;
    pthread_mutex_lock(&c->lock);
    while (!c->failed && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&c->changed, &c->lock, (unsigned)(until - now));
    pthread_mutex_unlock(&c->lock);
}

static bool is_stopped(const gf_verify_options *opt)
{
    return opt->stopped != NULL && opt->stopped(opt->ctx);
}

/* After a failure: true when it is to be tried again, on new connections. */
static bool may_go_on(worker *w, subject *s, gf_error *err)
{
    gf_pair_close(&w->pair);
    w->open = false;
    if (is_stopped(w->c->opt)) {
        gf_fail(err, GF_ERR_STOPPED, "stopped");
        fail_all(w->c, err);
        return false;
    }
    if (means_altered(err)) {
        put_aside(s, err);
        return false;
    }
    if (w->failing_since == 0) {
        w->failing_since = gf_now_ms();
        w->backoff = FIRST_BACKOFF_MS;
    }
    if (err->kind != GF_ERR_RETRY || gf_now_ms() - w->failing_since > 1000ULL * w->c->opt->config->retry_timeout) {
        gf_fail_context(err, "compare %s", s->table->label);
        fail_all(w->c, err);
        return false;
    }
    gf_log_warn("compare %s: %s: trying again", s->table->label, err->text);
    back_off(w);
    return true;
}

/* ---- a part ---- */

static bool prepare(worker *w, subject *s, gf_error *err)
{
    if (w->open && gf_pair_is_large(&w->pair)) {
        gf_pair_close(&w->pair);
        w->open = false;
    }
    if (!w->open) {
        w->open = true; /* what was opened before a failure is closed after it */
        if (!gf_pair_open(&w->pair, w->c->opt, w->c->stop, GF_PAIR_LINKS * (size_t)w->index, err))
            return false;
    }
    return gf_pair_table(&w->pair, s->table, err);
}

static bool settle(worker *w, subject *s, gf_error *err)
{
    bool enough;

    if (w->suspects.count == 0)
        return true;
    if (!gf_settle(&w->suspects, &w->pair, err) ||
        !gf_report_suspects(&enough, w->c->report, &w->pair, &w->suspects, err))
        return false;
    gf_log_debug("%s: %zu rows that looked unlike are settled", s->table->label, w->suspects.count);
    gf_suspects_clear(&w->suspects);
    if (enough)
        atomic_store(&s->enough, true);
    return true;
}

static bool is_over(const subject *s)
{
    return atomic_load(&s->enough) || atomic_load(&s->altered);
}

static bool walk_on(worker *w, gf_pass *pass, subject *s, gf_error *err)
{
    pass->ordered = gf_pair_ordered(&w->pair);
    while (!pass->last && !is_over(s) && !has_failed(w->c)) {
        uint64_t before = pass->compared;

        if (!gf_pass_chunk(&w->suspects, pass, &w->pair, err))
            return false;
        w->failing_since = 0;
        gf_report_rows(w->c->report, pass->lead == GF_AT_SOURCE ? pass->compared - before : 0);
        if ((pass->overflow || w->suspects.count >= SETTLE_AT) && !settle(w, s, err))
            return false;
    }
    return settle(w, s, err);
}

/* False when the part is given up. */
static bool walk(worker *w, gf_pass *pass, subject *s)
{
    gf_error err;

    for (;;) {
        if (prepare(w, s, &err) && walk_on(w, pass, s, &err))
            return !has_failed(w->c);
        if (!may_go_on(w, s, &err))
            return false;
    }
}

static void compare_range(worker *w, const part *p)
{
    gf_pass pass = {.lead = GF_AT_SOURCE, .lower = p->range->lower, .upper = p->range->upper};
    bool ok = walk(w, &pass, p->of);

    ok = ok && !pass.ordered && p->range->index == 0 && !is_over(p->of);
    gf_pass_free(&pass);
    if (ok) {
        pass = (gf_pass){.lead = GF_AT_TARGET};
        walk(w, &pass, p->of);
        gf_pass_free(&pass);
    }
}

static bool compare_whole(worker *w, subject *s, gf_error *err)
{
    gf_digest here, there;
    uint64_t rows, rows_there;

    if (!prepare(w, s, err) || !gf_pair_read_all(&here, &rows, &w->pair, GF_AT_SOURCE, "", err) ||
        !gf_pair_read_all(&there, &rows_there, &w->pair, GF_AT_TARGET, "", err))
        return false;
    if (!gf_digest_eq(here, there))
        gf_suspects_add(&w->suspects, (gf_slice){0});
    if (!settle(w, s, err))
        return false;
    gf_report_rows(w->c->report, rows);
    return true;
}

static void compare_keyless(worker *w, subject *s)
{
    gf_error err;

    while (!has_failed(w->c) && !compare_whole(w, s, &err)) {
        gf_suspects_clear(&w->suspects);
        if (!may_go_on(w, s, &err))
            return;
    }
    w->failing_since = 0;
}

static void compare_part(worker *w, const part *p)
{
    subject *s = p->of;

    if (is_over(s))
        return;
    if (p->range != NULL)
        compare_range(w, p);
    else
        compare_keyless(w, s);
    gf_suspects_clear(&w->suspects);
    if (atomic_fetch_sub(&s->parts, 1) == 1 && !is_over(s) && !has_failed(w->c))
        gf_report_table(w->c->report, s->table->label);
}

static void *work(void *arg)
{
    worker *w = arg;
    comparison *c = w->c;
    size_t i;

    gf_log_thread("verify[%u]", w->index);
    while (!has_failed(c) && (i = atomic_fetch_add(&c->next, 1)) < c->part_count)
        compare_part(w, &c->parts[i]);
    if (w->open)
        gf_pair_close(&w->pair);
    gf_suspects_free(&w->suspects);
    mysql_thread_end();
    return NULL;
}

/* ---- one try ---- */

typedef struct {
    comparison *c;
    subject *of;
} part_adder;

static void add_part(comparison *c, subject *s, const gf_range *range)
{
    c->parts = gf_realloc(c->parts, (c->part_count + 1) * sizeof *c->parts);
    c->parts[c->part_count++] = (part){s, range};
    atomic_fetch_add(&s->parts, 1);
}

/* The plan's ranges stand in the order of their tables. */
static void take_range(void *ctx, const gf_range *r)
{
    part_adder *a = ctx;

    while (a->of->table != r->table)
        a->of++;
    add_part(a->c, a->of, r->table->identity < 0 ? NULL : r);
}

static bool plan_parts(comparison *c, const gf_table *const *tables, size_t count, MYSQL *reader, gf_error *err)
{
    part_adder adder = {c, NULL};

    c->plan = gf_plan_new();
    c->subjects = gf_calloc(count, sizeof *c->subjects);
    c->subject_count = count;
    for (size_t i = 0; i < count; i++) {
        c->subjects[i].table = tables[i];
        pthread_mutex_init(&c->subjects[i].lock, NULL);
        if (!gf_plan_split(c->plan, tables[i], reader, c->opt->config->range_rows, err))
            return false;
    }
    adder.of = c->subjects;
    if (count > 0)
        gf_plan_each(c->plan, take_range, &adder);
    return true;
}

static bool run_threads(comparison *c, gf_error *err)
{
    unsigned count = c->opt->config->readers, started = 0;
    worker *workers = gf_calloc(count, sizeof *workers);
    bool ok = true;

    for (; ok && started < count; started += ok) {
        workers[started] = (worker){.c = c, .index = started};
        ok = pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0;
    }
    if (!ok) {
        gf_fail(err, GF_ERR_SYSTEM, "cannot start a thread");
        fail_all(c, err);
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    free(workers);
    if (c->failed)
        *err = c->failure;
    return !c->failed;
}

static comparison *new_comparison(const gf_verify_options *opt, gf_report *report, gf_stop *stop)
{
    comparison *c = gf_calloc(1, sizeof *c);

    c->opt = opt;
    c->report = report;
    c->stop = stop;
    pthread_mutex_init(&c->lock, NULL);
    gf_cond_init(&c->changed);
    return c;
}

static void free_comparison(comparison *c)
{
    for (size_t i = 0; i < c->subject_count; i++)
        pthread_mutex_destroy(&c->subjects[i].lock);
    free(c->subjects);
    free(c->parts);
    gf_plan_free(c->plan);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- tables that were altered ---- */

/* The tables of the next try: owned, with the definitions of the source's now. */
typedef struct {
    gf_table **list;
    size_t count;
} table_list;

static void free_tables(table_list *t)
{
    for (size_t i = 0; i < t->count; i++)
        gf_table_free(t->list[i]);
    free(t->list);
    *t = (table_list){0};
}

static bool load_again(table_list *out, const gf_verify_options *o, const gf_table *t, MYSQL *source, gf_error *err)
{
    gf_table *now;

    if (!gf_catalog_load_table(&now, source, o->source->flavor, &o->config->filter, t->db, t->name, t->db, t->name,
                               err))
        return false;
    if (now == NULL) /* it was dropped: nothing to compare */
        return true;
    out->list = gf_realloc(out->list, (out->count + 1) * sizeof *out->list);
    out->list[out->count++] = now;
    return true;
}

/* What was altered in this try; at the last one it is a difference. */
static bool gather_altered(table_list *out, comparison *c, bool last_try, MYSQL *source, gf_error *err)
{
    for (size_t i = 0; i < c->subject_count; i++) {
        subject *s = &c->subjects[i];

        if (!atomic_load(&s->altered))
            continue;
        gf_report_forget(c->report, s->table->label);
        if (last_try)
            gf_report_unlike(c->report, s->table->label, s->why.text);
        else if (!load_again(out, c->opt, s->table, source, err))
            return false;
    }
    return true;
}

/* ---- all ---- */

/* The thread that plans. */
typedef struct {
    const gf_verify_options *opt; /* borrowed, like the next two */
    gf_report *report;
    gf_stop *stop;
    gf_pair links; /* of no table */
    MYSQL *source; /* GF_CONN_PLAIN */
    bool ok;       /* once it is over, like err */
    gf_error *err; /* borrowed */
} driver;

static bool let_follow(driver *d, gf_error *err)
{
    gf_position end = {0};
    bool ok = gf_server_binlog_end(&end, d->source, d->opt->source, err) &&
              d->opt->reached(d->opt->ctx, d->links.control, &end, err);

    gf_position_free(&end);
    return ok;
}

static bool compare_all(driver *d, gf_error *err)
{
    const gf_table *const *tables = d->opt->tables;
    table_list now = {0}, next;
    size_t count = d->opt->count;
    bool ok = true;

    for (int try = 1; ok && try <= TRIES && (try == 1 || count > 0); try++) {
        comparison *c = new_comparison(d->opt, d->report, d->stop);

        next = (table_list){0};
        ok = (try == 1 || let_follow(d, err)) && plan_parts(c, tables, count, d->links.sides[GF_AT_SOURCE].db, err) &&
             run_threads(c, err) && gather_altered(&next, c, try == TRIES, d->source, err);
        free_comparison(c);
        free_tables(&now);
        now = next;
        tables = (const gf_table *const *)now.list;
        count = now.count;
    }
    free_tables(&now);
    return ok;
}

static void *drive(void *arg)
{
    driver *d = arg;
    size_t slot = GF_PAIR_LINKS * (size_t)d->opt->config->readers; /* behind the workers' */

    gf_log_thread("verify");
    d->ok = gf_pair_open(&d->links, d->opt, d->stop, slot, d->err) &&
            gf_server_connect(&d->source, &d->opt->config->source, GF_CONN_PLAIN, d->err);
    if (d->ok) {
        gf_stop_hold(d->stop, slot + GF_PAIR_LINKS, d->source);
        d->ok = compare_all(d, d->err);
        gf_stop_hold(d->stop, slot + GF_PAIR_LINKS, NULL);
    }
    gf_pair_close(&d->links);
    gf_server_close(d->source);
    mysql_thread_end();
    gf_stop_end(d->stop);
    return NULL;
}

/* Until it is over; a stop from outside breaks what it waits for. */
static void watch(const driver *d)
{
    while (!gf_stop_wait(d->stop, WATCH_MS)) {
        if (is_stopped(d->opt))
            gf_stop_break(d->stop);
    }
}

bool gf_verify_run(gf_verify_result *out, const gf_verify_options *opt, gf_error *err)
{
    driver d = {.opt = opt, .report = gf_report_new(opt), .err = err};
    pthread_t thread;

    d.stop = gf_stop_new(GF_PAIR_LINKS * ((size_t)opt->config->readers + 1) + 1);
    if (pthread_create(&thread, NULL, drive, &d) == 0) {
        watch(&d);
        pthread_join(thread, NULL);
    } else {
        gf_fail(err, GF_ERR_SYSTEM, "cannot start a thread");
    }
    gf_stop_free(d.stop);
    gf_report_end(out, d.report);
    return d.ok;
}

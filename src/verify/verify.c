/* SPDX-License-Identifier: MIT */
/*
 * verify.c - threads that take parts of tables, and what becomes of a table whose definition changes meanwhile.
 *
 * Large tables are cut into ranges as for the copy. A part is walked once in the source's order; where the target may
 * order the rows otherwise, once more in the target's, so that no row of either side is left out. Unlike rows are gathered
 * and settled by the hundreds, since each settling waits for the target to follow.
 *
 * A table that turns out to be no more what its definition says, or of which the target has passed a schema change meanwhile, is put
 * aside: nothing that was read of it counts. When all others are done, and the target has passed what was in the source's
 * binlog then, such tables are compared with the definitions of then. What still fails at the last try is a difference; what is
 * altered all the time has no verdict.
 */
#include "gfreplica/verify.h"

#include <mysqld_error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
    uint64_t passed;       /* schema changes of it, when the try began */
    atomic_uint parts;     /* that are not compared yet */
    atomic_bool enough;    /* it has so many differences that the rest does not matter */
    atomic_bool altered;
    pthread_mutex_t lock;
    gf_error why; /* guarded by the lock: what made it altered; no text: the marker says so */
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
    bool passing;  /* a schema change was passed between the reading of the definitions and the plan */
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

/* Something of this table alone, which says nothing of the others: no right to read it, a damaged file ... */
static bool is_of_table(const gf_error *err)
{
    return err->kind == GF_ERR_CONFIG || err->kind == GF_ERR_DATA;
}

static void give_up(worker *w, subject *s, gf_error *err)
{
    if (means_altered(err)) {
        put_aside(s, err);
    } else if (is_of_table(err)) {
        gf_report_whole(w->c->report, GF_VERIFY_UNSETTLED, s->table->label, err->text);
        atomic_store(&s->enough, true);
    } else {
        gf_fail_context(err, "compare %s", s->table->label);
        fail_all(w->c, err);
    }
}

/* After a failure: true when it is to be tried again, on new connections. */
static bool may_go_on(worker *w, subject *s, gf_error *err)
{
    gf_pair_close(&w->pair);
    w->open = false;
    if (is_stopped(w->c->opt))
        gf_fail(err, GF_ERR_STOPPED, "stopped");
    if (err->kind == GF_ERR_RETRY && w->failing_since == 0) {
        w->failing_since = gf_now_ms();
        w->backoff = FIRST_BACKOFF_MS;
    }
    if (means_altered(err) || err->kind != GF_ERR_RETRY ||
        gf_now_ms() - w->failing_since > 1000ULL * w->c->opt->config->retry_timeout) {
        give_up(w, s, err);
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
    w->failing_since = 0;
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

    ok = ok && !pass.ordered && p->range->index == 0 && !is_over(p->of) && !w->c->opt->config->allow_existing;
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

    if (!is_over(s) && p->range != NULL)
        compare_range(w, p);
    else if (!is_over(s))
        compare_keyless(w, s);
    gf_suspects_clear(&w->suspects);
    if (atomic_fetch_sub(&s->parts, 1) == 1 && !atomic_load(&s->altered) && !has_failed(w->c))
        gf_report_table(w->c->report);
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

static bool ask_passed(const gf_verify_options *o, uint64_t *count, MYSQL *control, const gf_table *t, gf_error *err)
{
    *count = 0;
    return o->passed == NULL || o->passed(o->ctx, count, control, t, err);
}

static bool plan_subject(comparison *c, subject *s, gf_pair *links, gf_error *err)
{
    if (!ask_passed(c->opt, &s->passed, links->control, s->table, err))
        return false;
    return gf_plan_split(c->plan, s->table, links->sides[GF_AT_SOURCE].db, c->opt->config->range_rows, err);
}

static bool plan_parts(comparison *c, const gf_table *const *tables, size_t count, gf_pair *links, gf_error *err)
{
    part_adder adder = {c, NULL};

    c->plan = gf_plan_new();
    c->subjects = gf_calloc(count, sizeof *c->subjects);
    c->subject_count = count;
    for (size_t i = 0; i < count; i++) {
        c->subjects[i].table = tables[i];
        pthread_mutex_init(&c->subjects[i].lock, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (!plan_subject(c, &c->subjects[i], links, err))
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

/* ---- the thread that plans ---- */

/* Tables of one try: their definitions are the caller's at the first, the source's of then later. */
typedef struct {
    const gf_table *const *list;
    gf_table **owned; /* owned, like the tables; NULL at the first try */
    size_t count;
    uint64_t passed; /* schema changes in all, before they were read */
} table_list;

typedef struct {
    const gf_verify_options *opt; /* borrowed, like the next two */
    gf_report *report;
    gf_stop *stop;
    gf_pair links; /* of no table */
    MYSQL *source; /* GF_CONN_PLAIN */
    comparison *c; /* the try at hand */
    table_list now, next;
    bool last_try;
    bool ok;       /* once it is over, like err */
    gf_error *err; /* borrowed */
} driver;

static void free_tables(table_list *t)
{
    for (size_t i = 0; t->owned != NULL && i < t->count; i++)
        gf_table_free(t->owned[i]);
    free(t->owned);
    *t = (table_list){0};
}

/* ---- its steps; each may be repeated ---- */

static bool plan(driver *d, gf_error *err)
{
    uint64_t all;

    if (d->c != NULL)
        free_comparison(d->c);
    d->c = new_comparison(d->opt, d->report, d->stop);
    if (!plan_parts(d->c, d->now.list, d->now.count, &d->links, err) ||
        !ask_passed(d->opt, &all, d->links.control, NULL, err))
        return false;
    d->c->passing = all != d->now.passed;
    return true;
}

static bool let_follow(driver *d, gf_error *err)
{
    gf_position end = {0};
    bool ok = gf_server_binlog_end(&end, d->source, d->opt->source, err) &&
              d->opt->reached(d->opt->ctx, d->links.control, &end, err);

    gf_position_free(&end);
    return ok;
}

/* A statement that broke no SELECT may have given a table other columns or another order of keys. */
static bool look_for_changes(driver *d, gf_error *err)
{
    uint64_t all, of_table;

    if (!let_follow(d, err) || !ask_passed(d->opt, &all, d->links.control, NULL, err))
        return false;
    for (size_t i = 0; all != d->now.passed && i < d->c->subject_count; i++) {
        subject *s = &d->c->subjects[i];

        if (!ask_passed(d->opt, &of_table, d->links.control, s->table, err))
            return false;
        if (of_table != s->passed || (of_table > 0 && d->c->passing))
            put_aside(s, &(gf_error){.kind = GF_ERR_RETRY});
    }
    return true;
}

static bool load_again(driver *d, const gf_table *t, gf_error *err)
{
    const gf_verify_options *o = d->opt;
    gf_table *now;

    if (!gf_catalog_load_table(&now, d->source, o->source->flavor, &o->config->filter, t->db, t->name, t->db, t->name,
                               err))
        return false;
    if (now == NULL) {
        gf_log_warn("%s was dropped or renamed on the source meanwhile: it is not compared", t->label);
        return true;
    }
    d->next.owned = gf_realloc(d->next.owned, (d->next.count + 1) * sizeof(gf_table *));
    d->next.owned[d->next.count++] = now;
    return true;
}

static void end_with(driver *d, const subject *s)
{
    bool changes = s->why.text[0] == '\0';

    gf_report_whole(d->report, changes ? GF_VERIFY_UNSETTLED : GF_VERIFY_TABLE, s->table->label,
                    changes ? "it was altered again and again" : s->why.text);
}

static bool gather_altered(driver *d, gf_error *err)
{
    free_tables(&d->next);
    if (!ask_passed(d->opt, &d->next.passed, d->links.control, NULL, err))
        return false;
    for (size_t i = 0; i < d->c->subject_count; i++) {
        subject *s = &d->c->subjects[i];

        if (!atomic_load(&s->altered))
            continue;
        gf_report_forget(d->report, s->table->label);
        if (d->last_try)
            end_with(d, s);
        else if (!load_again(d, s->table, err))
            return false;
    }
    d->next.list = (const gf_table *const *)d->next.owned;
    return true;
}

/* ---- all of it ---- */

static void close_links(driver *d)
{
    gf_stop_hold(d->stop, GF_PAIR_LINKS * ((size_t)d->opt->config->readers + 1), NULL);
    gf_server_close(d->source);
    d->source = NULL;
    gf_pair_close(&d->links);
}

static bool open_links(driver *d, gf_error *err)
{
    size_t slot = GF_PAIR_LINKS * (size_t)d->opt->config->readers; /* behind the workers' */

    if (d->source != NULL)
        return true;
    if (!gf_pair_open(&d->links, d->opt, d->stop, slot, err) ||
        !gf_server_connect(&d->source, &d->opt->config->source, GF_CONN_PLAIN, err))
        return false;
    gf_stop_hold(d->stop, slot + GF_PAIR_LINKS, d->source);
    return true;
}

/* Rides through lost links for --retry-timeout. */
static bool patiently(driver *d, bool (*step)(driver *d, gf_error *err), gf_error *err)
{
    uint64_t since = gf_now_ms();
    unsigned pause = FIRST_BACKOFF_MS;

    while (!open_links(d, err) || !step(d, err)) {
        close_links(d);
        if (is_stopped(d->opt))
            return gf_fail(err, GF_ERR_STOPPED, "stopped");
        if (err->kind != GF_ERR_RETRY || gf_now_ms() - since > 1000ULL * d->opt->config->retry_timeout)
            return false;
        gf_log_warn("%s: trying again", err->text);
        for (unsigned waited = 0; waited < pause && !is_stopped(d->opt); waited += WATCH_MS)
            usleep(1000 * WATCH_MS);
        pause = 2 * pause < LAST_BACKOFF_MS ? 2 * pause : LAST_BACKOFF_MS;
    }
    return true;
}

static bool compare_all(driver *d, gf_error *err)
{
    bool ok = true;

    for (int try = 1; ok && try <= TRIES && (try == 1 || d->now.count > 0); try++) {
        d->last_try = try == TRIES;
        ok = patiently(d, plan, err);
        close_links(d); /* they would be idle for hours */
        ok = ok && run_threads(d->c, err) && patiently(d, look_for_changes, err) && patiently(d, gather_altered, err);
        if (d->c != NULL)
            free_comparison(d->c);
        d->c = NULL;
        free_tables(&d->now);
        d->now = d->next;
        d->next = (table_list){0};
    }
    return ok;
}

static void *drive(void *arg)
{
    driver *d = arg;

    gf_log_thread("verify");
    d->now = (table_list){.list = d->opt->tables, .count = d->opt->count, .passed = d->opt->passed_before};
    d->ok = compare_all(d, d->err);
    close_links(d);
    free_tables(&d->now);
    free_tables(&d->next);
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

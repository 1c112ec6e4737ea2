/* SPDX-License-Identifier: MIT */
/*
 * plan.c - the list of ranges and what is known of each.
 *
 * A range passes through: free -> taken (a reader reads chunks of it) -> read -> done (committed). It goes back when a
 * chunk is thrown (put_back) or the pipeline starts anew (rewind). `keyed` and `keyless` count what is not read, `open`
 * what is not done, so that the questions asked all the time cost nothing; `hint` is where a free range may be found
 * first, so that taking 60,000 tables one by one does not look at all of them each time.
 */
#include "plan.h"

#include <pthread.h>
#include <stdlib.h>

struct gf_plan {
    pthread_mutex_t lock; /* guards all below and, of each range, what batch.h says */
    gf_range **ranges;    /* owned, in the order of adding */
    size_t count, cap;
    size_t hint;           /* no free range is before it */
    size_t keyed, keyless; /* ranges that are not read to their end */
    size_t open;           /* ranges that are not done */
};

gf_plan *gf_plan_new(void)
{
    gf_plan *p = gf_calloc(1, sizeof *p);

    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void free_range(gf_range *r)
{
    free((void *)r->lower.data);
    free((void *)r->upper.data);
    gf_buf_free(&r->cursor);
    gf_buf_free(&r->frontier);
    free(r);
}

void gf_plan_free(gf_plan *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        free_range(p->ranges[i]);
    free(p->ranges);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static gf_slice copy_bound(gf_slice key)
{
    uint8_t *copy;

    if (key.len == 0)
        return (gf_slice){NULL, 0};
    copy = gf_malloc(key.len);
    memcpy(copy, key.data, key.len);
    return gf_slice_of(copy, key.len);
}

static void set_buf(gf_buf *b, gf_slice s)
{
    gf_buf_reset(b);
    gf_buf_slice(b, s);
}

static gf_slice slice_of(const gf_buf *b)
{
    return gf_slice_of(b->data, b->len);
}

/* The only writer of read_all: keeps the counts. */
static void set_read_locked(gf_plan *p, gf_range *r, bool read_all)
{
    size_t *unread = r->table->identity < 0 ? &p->keyless : &p->keyed;

    if (r->read_all == read_all)
        return;
    r->read_all = read_all;
    *unread += read_all ? (size_t)-1 : 1;
    if (!read_all)
        p->hint = 0;
}

static void set_done_locked(gf_plan *p, gf_range *r)
{
    set_read_locked(p, r, true);
    if (!r->done)
        p->open--;
    r->done = true;
}

gf_range *gf_plan_add(gf_plan *p, const gf_table *t, unsigned index, gf_slice lower, gf_slice upper, gf_slice frontier,
                      bool done, uint64_t rows)
{
    gf_range *r = gf_calloc(1, sizeof *r);

    r->table = t;
    r->index = index;
    r->lower = copy_bound(lower);
    r->upper = copy_bound(upper);
    r->rows = rows;
    gf_buf_slice(&r->frontier, frontier);
    gf_buf_slice(&r->cursor, frontier);

    pthread_mutex_lock(&p->lock);
    if (p->count == p->cap) {
        p->cap = p->cap > 0 ? 2 * p->cap : 64;
        p->ranges = gf_realloc(p->ranges, p->cap * sizeof *p->ranges);
    }
    p->ranges[p->count++] = r;
    p->open++;
    *(t->identity < 0 ? &p->keyless : &p->keyed) += 1;
    if (done)
        set_done_locked(p, r);
    pthread_mutex_unlock(&p->lock);
    return r;
}

gf_range *gf_plan_take(gf_plan *p)
{
    gf_range *found = NULL;

    pthread_mutex_lock(&p->lock);
    for (; p->hint < p->count && found == NULL; p->hint++) {
        gf_range *r = p->ranges[p->hint];

        if (!r->taken && !r->read_all && r->table->identity >= 0)
            found = r;
    }
    if (found != NULL)
        found->taken = true;
    pthread_mutex_unlock(&p->lock);
    return found;
}

void gf_plan_release(gf_plan *p, gf_range *r)
{
    pthread_mutex_lock(&p->lock);
    r->taken = false;
    if (!r->read_all)
        p->hint = 0;
    pthread_mutex_unlock(&p->lock);
}

bool gf_plan_next(gf_buf *cursor, const gf_table **t, bool *again, gf_plan *p, gf_range *r)
{
    bool more;

    pthread_mutex_lock(&p->lock);
    more = !r->read_all;
    *t = r->table;
    *again = r->again;
    r->again = false;
    set_buf(cursor, slice_of(&r->cursor));
    pthread_mutex_unlock(&p->lock);
    return more;
}

void gf_plan_advance(gf_plan *p, gf_range *r, gf_slice cursor, bool last)
{
    pthread_mutex_lock(&p->lock);
    set_buf(&r->cursor, cursor);
    set_read_locked(p, r, last);
    pthread_mutex_unlock(&p->lock);
}

void gf_plan_put_back(gf_plan *p, gf_range *r, gf_slice cursor)
{
    pthread_mutex_lock(&p->lock);
    set_buf(&r->cursor, cursor);
    set_read_locked(p, r, false);
    r->again = true;
    pthread_mutex_unlock(&p->lock);
}

void gf_plan_committed(gf_plan *p, gf_range *r, gf_slice frontier, bool last, uint64_t rows)
{
    pthread_mutex_lock(&p->lock);
    if (frontier.len > 0)
        set_buf(&r->frontier, frontier);
    r->rows += rows;
    if (last)
        set_done_locked(p, r);
    pthread_mutex_unlock(&p->lock);
}

bool gf_plan_all_read(gf_plan *p)
{
    bool all;

    pthread_mutex_lock(&p->lock);
    all = p->keyed == 0 && p->keyless == 0;
    pthread_mutex_unlock(&p->lock);
    return all;
}

bool gf_plan_keyed_read(gf_plan *p)
{
    bool all;

    pthread_mutex_lock(&p->lock);
    all = p->keyed == 0;
    pthread_mutex_unlock(&p->lock);
    return all;
}

bool gf_plan_done(gf_plan *p)
{
    bool done;

    pthread_mutex_lock(&p->lock);
    done = p->open == 0;
    pthread_mutex_unlock(&p->lock);
    return done;
}

void gf_plan_rewind(gf_plan *p)
{
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->count; i++) {
        gf_range *r = p->ranges[i];

        if (r->done)
            continue;
        set_buf(&r->cursor, slice_of(&r->frontier));
        set_read_locked(p, r, false);
        r->taken = false;
    }
    p->hint = 0;
    pthread_mutex_unlock(&p->lock);
}

/* ---- a table's definition changes ---- */

static bool same_column(const gf_column *a, const gf_column *b)
{
    const char *ca = a->collation != NULL ? a->collation : "", *cb = b->collation != NULL ? b->collation : "";

    return strcmp(a->name, b->name) == 0 && strcmp(a->type_text, b->type_text) == 0 && strcmp(ca, cb) == 0;
}

/* Canonical keys and the order of the old identity hold in the new one only when it consists of the same columns. */
static bool same_identity(const gf_table *a, const gf_table *b)
{
    const gf_key *ka, *kb;

    if (a->identity < 0 || b->identity < 0)
        return a->identity < 0 && b->identity < 0;
    ka = &a->keys[a->identity];
    kb = &b->keys[b->identity];
    if (ka->part_count != kb->part_count)
        return false;
    for (unsigned i = 0; i < ka->part_count; i++) {
        if (ka->parts[i].descending != kb->parts[i].descending ||
            !same_column(&a->columns[ka->parts[i].column], &b->columns[kb->parts[i].column]))
            return false;
    }
    return true;
}

static void reset_bound(gf_slice *bound)
{
    free((void *)bound->data);
    *bound = (gf_slice){NULL, 0};
}

/* Counts are per kind of table: leave the old kind as read, enter the new one. */
static void change_table_locked(gf_plan *p, gf_range *r, const gf_table *now)
{
    bool read_all = r->read_all;

    set_read_locked(p, r, true);
    r->table = now;
    set_read_locked(p, r, read_all);
}

static void set_gone_locked(gf_plan *p, gf_range *r)
{
    set_done_locked(p, r);
    r->gone = true;
}

/* Index 0 becomes the whole table, to be read from the start unless all of it was copied; the others go. */
static void restart_range_locked(gf_plan *p, gf_range *r, bool whole)
{
    if (r->index != 0) {
        set_gone_locked(p, r);
        return;
    }
    reset_bound(&r->lower);
    reset_bound(&r->upper);
    gf_buf_reset(&r->cursor);
    gf_buf_reset(&r->frontier);
    if (whole)
        return;
    set_read_locked(p, r, false);
    if (r->done)
        p->open++;
    r->done = false;
    r->rows = 0;
}

static bool whole_locked(const gf_plan *p, const gf_table *t)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->ranges[i]->table == t && !p->ranges[i]->done)
            return false;
    }
    return true;
}

bool gf_plan_whole(gf_plan *p, const gf_table *t)
{
    bool whole;

    pthread_mutex_lock(&p->lock);
    whole = whole_locked(p, t);
    pthread_mutex_unlock(&p->lock);
    return whole;
}

bool gf_plan_renew(gf_plan *p, const gf_table *old, const gf_table *now, bool same_values)
{
    bool same = now == NULL || (same_values && same_identity(old, now)), whole;

    pthread_mutex_lock(&p->lock);
    whole = whole_locked(p, old);
    for (size_t i = 0; i < p->count; i++) {
        gf_range *r = p->ranges[i];

        if (r->table != old || r->gone)
            continue;
        if (now == NULL) {
            set_gone_locked(p, r);
            continue;
        }
        change_table_locked(p, r, now);
        if (!same)
            restart_range_locked(p, r, whole);
    }
    pthread_mutex_unlock(&p->lock);
    return same;
}

void gf_plan_each(gf_plan *p, void (*fn)(void *ctx, const gf_range *r), void *ctx)
{
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->count; i++) {
        if (!p->ranges[i]->gone)
            fn(ctx, p->ranges[i]);
    }
    pthread_mutex_unlock(&p->lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * merger.c - where the copy and the stream meet (design section 4, rules M1-M4).
 *
 * The life of a window, and the function behind each step:
 *
 *     READING --hand_over--> WAITING --next_due, merge--> gone (its chunk went to `due`)
 *        |  \                   |
 *        |   `--throw_window----+----> gone (its range's cursor is back at the window's start)
 *     abandon -> ENDED --reap--> gone
 *
 * Rule M1: a window opens only while no transaction is passing, so it holds whole transactions, all those behind A.
 * Rule M4: recording goes on until the rows are dropped. Both are done by the stream thread inside gf_merger_leave,
 * so nothing passes between the decision and the place that the chunk gets.
 *
 * Keys are recorded once per table (keyset.h), stamped with the number of windows opened so far: a key is in a window
 * when its stamp is not less than the window's. The sets are bounded together; beyond the limit what no open window
 * needs is forgotten, then the oldest windows are thrown until half the limit is free. Their readers wait for the
 * stream before they read again (gf_merger_wait), because only a shorter way from A to the fence makes a smaller set.
 *
 * Chunks are merged strictly in the order of hand-over. Fences of different readers are milliseconds apart, so this
 * costs nothing, and a range's chunks can't change places.
 *
 * Ownership of places and windows: while `passing`, the stream thread's alone, without lock, because record() runs for
 * each row change; otherwise guarded by the lock. `passing` itself changes under the lock only.
 */
#include "merger.h"

#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/thread.h"
#include "keyset.h"
#include "plan.h"

enum { RECORD_LIMIT = 32 * 1024 * 1024 };

typedef struct place place;

struct gf_window {
    gf_range *range;       /* borrowed from the plan */
    const gf_table *table; /* the definition that it is read with */
    place *at;
    uint64_t stamp;  /* keys of this stamp or later are in the window */
    gf_buf cursor;   /* where its chunk starts */
    gf_chunk *chunk; /* owned, once handed over */
    bool thrown;     /* still with its reader, who frees it */
    bool again;      /* a chunk of its range was thrown before it */
    gf_window *peer; /* the next of the same table, opened before this one */
    gf_window *next; /* in the queue of those handed over, or of those ended */
};

/* A table, whatever its definition: windows must meet the stream's changes across a DDL. */
struct place {
    char *db, *name;
    gf_window *windows; /* open ones, the newest first */
    gf_keyset keys;
    size_t bytes;     /* of keys, as counted in gf_merger.recorded */
    uint64_t passing; /* the last transaction that touched it while windows were open */
    place *next;      /* in its bucket */
};

/* From a definition to its place without hashing names; valid while `table` is the same. */
typedef struct {
    const gf_table *table;
    place *at;
} known_table;

enum { BUCKETS = 4096 };

struct gf_merger {
    /* Set before the threads start, only read afterwards. */
    gf_plan *plan; /* borrowed */
    bool (*due)(void *ctx, gf_chunk *chunk, gf_error *err);
    void *ctx;
    size_t limit;

    /* The stream thread's while passing, else guarded by the lock. */
    place *buckets[BUCKETS]; /* owned */
    known_table *known;      /* owned, indexed by table id */
    size_t known_count;
    size_t open;          /* windows in places */
    size_t recorded;      /* bytes of all key sets */
    uint64_t stamp;       /* windows opened so far */
    uint64_t transaction; /* transactions entered so far */

    pthread_mutex_t lock; /* guards all below; taken before the plan's and the copier's */
    pthread_cond_t changed;
    bool passing, stopped;
    unsigned openers;         /* threads in gf_merger_open that wait for the end of a transaction */
    size_t alive;             /* windows that are neither merged nor thrown nor given up */
    gf_position scheduled;    /* owned: A */
    gf_window *first, **last; /* handed over, in order */
    gf_window *ended;         /* abandoned while a transaction was passing */
    void (*kick)(void *ctx);
    void *kick_ctx;
    void (*thrown)(void *ctx, const gf_chunk *chunk);
    void *thrown_ctx;
};

/* ---- making, places ---- */

gf_merger *gf_merger_new(gf_plan *plan, const gf_position *start,
                         bool (*due)(void *ctx, gf_chunk *chunk, gf_error *err), void *ctx)
{
    gf_merger *m = gf_calloc(1, sizeof *m);

    m->plan = plan;
    m->due = due;
    m->ctx = ctx;
    m->limit = RECORD_LIMIT;
    m->last = &m->first;
    gf_position_copy(&m->scheduled, start);
    pthread_mutex_init(&m->lock, NULL);
    gf_cond_init(&m->changed);
    return m;
}

void gf_merger_limit(gf_merger *m, size_t bytes)
{
    m->limit = bytes;
}

static void free_window(gf_window *w)
{
    gf_chunk_free(w->chunk);
    gf_buf_free(&w->cursor);
    free(w);
}

static void free_place(place *p)
{
    while (p->windows != NULL) {
        gf_window *w = p->windows;

        p->windows = w->peer;
        free_window(w);
    }
    gf_keyset_free(&p->keys);
    free(p->db);
    free(p->name);
    free(p);
}

void gf_merger_free(gf_merger *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (m->buckets[i] != NULL) {
            place *p = m->buckets[i];

            m->buckets[i] = p->next;
            free_place(p);
        }
    }
    free(m->known);
    gf_position_free(&m->scheduled);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static place *find_or_add_place(gf_merger *m, const gf_table *t)
{
    uint64_t hash = gf_hash(t->name, strlen(t->name), gf_hash(t->db, strlen(t->db), 0));
    place **bucket = &m->buckets[hash % BUCKETS], *p;

    for (p = *bucket; p != NULL; p = p->next) {
        if (strcmp(p->name, t->name) == 0 && strcmp(p->db, t->db) == 0)
            return p;
    }
    p = gf_calloc(1, sizeof *p);
    p->db = gf_strdup(t->db);
    p->name = gf_strdup(t->name);
    p->next = *bucket;
    *bucket = p;
    return p;
}

static place *place_of(gf_merger *m, const gf_table *t)
{
    if (t->id >= m->known_count) {
        size_t count = 2 * ((size_t)t->id + 8);

        m->known = gf_realloc(m->known, count * sizeof *m->known);
        memset(m->known + m->known_count, 0, (count - m->known_count) * sizeof *m->known);
        m->known_count = count;
    }
    if (m->known[t->id].table != t)
        m->known[t->id] = (known_table){t, find_or_add_place(m, t)};
    return m->known[t->id].at;
}

static void count_bytes(gf_merger *m, place *p)
{
    size_t now = gf_keyset_bytes(&p->keys);

    m->recorded += now - p->bytes;
    p->bytes = now;
}

/* Takes w out of its place. With the last window goes what was recorded for them. */
static void unlink_window(gf_merger *m, gf_window *w)
{
    gf_window **link = &w->at->windows;

    while (*link != w)
        link = &(*link)->peer;
    *link = w->peer;
    m->open--;
    if (w->at->windows == NULL) {
        gf_keyset_free(&w->at->keys);
        count_bytes(m, w->at);
    }
}

/* ---- throwing ---- */

static void unqueue_locked(gf_merger *m, gf_window *w)
{
    gf_window **link = &m->first;

    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
    if (m->last == &w->next)
        m->last = link;
}

static void discard_locked(gf_merger *m, gf_window *w)
{
    if (w->chunk != NULL && m->thrown != NULL)
        m->thrown(m->thrown_ctx, w->chunk);
    free_window(w);
}

/* Windows that their readers gave up while a transaction was passing. */
static void reap_locked(gf_merger *m)
{
    while (m->ended != NULL) {
        gf_window *w = m->ended;

        m->ended = w->next;
        unlink_window(m, w);
        free_window(w);
    }
}

static void throw_window_locked(gf_merger *m, gf_window *w)
{
    unlink_window(m, w);
    m->alive--;
    if (w->chunk == NULL) {
        w->thrown = true; /* its reader finds out when it hands over or gives up */
        return;
    }
    unqueue_locked(m, w);
    discard_locked(m, w);
}

/* Throws the oldest window of the place and all of the same range, which are behind it: their chunks would leave a
   hole where the thrown one was. Nothing of that range is committed behind the cursor that is put back. */
static void throw_oldest_locked(gf_merger *m, place *p)
{
    gf_window *oldest = p->windows, *next;
    gf_range *range;

    while (oldest->peer != NULL)
        oldest = oldest->peer;
    range = oldest->range;
    gf_plan_put_back(m->plan, range, gf_slice_of(oldest->cursor.data, oldest->cursor.len));
    for (gf_window *w = p->windows; w != NULL; w = next) {
        next = w->peer;
        if (w->range == range)
            throw_window_locked(m, w);
    }
}

static void throw_all_locked(gf_merger *m, place *p)
{
    while (p->windows != NULL)
        throw_oldest_locked(m, p);
}

void gf_merger_invalidate(gf_merger *m, const gf_table *t)
{
    pthread_mutex_lock(&m->lock);
    reap_locked(m);
    throw_all_locked(m, place_of(m, t));
    pthread_mutex_unlock(&m->lock);
}

void gf_merger_undone(gf_merger *m)
{
    pthread_mutex_lock(&m->lock);
    reap_locked(m);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (place *p = m->buckets[i]; p != NULL; p = p->next) {
            if (p->passing == m->transaction)
                throw_all_locked(m, p);
        }
    }
    pthread_mutex_unlock(&m->lock);
}

/* ---- the stream thread ---- */

void gf_merger_enter(gf_merger *m)
{
    pthread_mutex_lock(&m->lock);
    /* Readers that have waited for the last transaction's end come first, or a busy stream would starve them. */
    while (m->openers > 0 && !m->stopped)
        pthread_cond_wait(&m->changed, &m->lock);
    m->passing = true;
    m->transaction++;
    reap_locked(m);
    pthread_mutex_unlock(&m->lock);
}

static place *heaviest_place(gf_merger *m)
{
    place *found = NULL;

    for (size_t i = 0; i < BUCKETS; i++) {
        for (place *p = m->buckets[i]; p != NULL; p = p->next) {
            if (found == NULL || p->bytes > found->bytes)
                found = p;
        }
    }
    return found;
}

static void purge(gf_merger *m, place *p)
{
    const gf_window *oldest = p->windows;

    if (oldest == NULL)
        return;
    while (oldest->peer != NULL)
        oldest = oldest->peer;
    gf_keyset_purge(&p->keys, oldest->stamp);
    count_bytes(m, p);
}

/* The key sets have outgrown their limit. */
static void make_room(gf_merger *m)
{
    place *p;
    size_t thrown = 0;

    pthread_mutex_lock(&m->lock);
    reap_locked(m);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (p = m->buckets[i]; p != NULL; p = p->next)
            purge(m, p);
    }
    while (m->recorded > m->limit / 2 && (p = heaviest_place(m)) != NULL && p->windows != NULL) {
        throw_oldest_locked(m, p);
        purge(m, p);
        thrown++;
    }
    pthread_mutex_unlock(&m->lock);
    if (thrown > 0)
        gf_log_info("too many changes pass while chunks wait for the stream: %zu are read again", thrown);
}

/* Rule M1: from the opening of a window until its rows are dropped. */
void gf_merger_record(gf_merger *m, const gf_table *t, gf_slice key)
{
    place *p;

    if (m->open == 0 || t->identity < 0)
        return;
    p = place_of(m, t);
    if (p->windows == NULL)
        return;
    p->passing = m->transaction;
    gf_keyset_touch(&p->keys, key, m->stamp);
    count_bytes(m, p);
    if (m->recorded > m->limit)
        make_room(m);
}

/* Rule M4: has the stream passed the fence? Without a file name nothing was received yet. */
static bool reached_locked(const gf_merger *m, const gf_position *pos)
{
    return m->scheduled.file[0] != '\0' && gf_position_cmp(pos, &m->scheduled) <= 0;
}

/* The next window whose place is now, out of the queue; NULL: none, and windows may open again. */
static gf_window *next_due(gf_merger *m)
{
    gf_window *w;

    pthread_mutex_lock(&m->lock);
    reap_locked(m);
    w = m->first;
    if (w != NULL && reached_locked(m, &w->chunk->fence)) {
        unqueue_locked(m, w);
        m->alive--;
    } else {
        w = NULL;
        m->passing = false;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return w;
}

/* Rule M4: rows whose key passed are written by the stream already, or deleted; their claims stay (rule C2). */
static void drop_touched_rows(const gf_window *w)
{
    gf_chunk *c = w->chunk;

    for (size_t i = 0; i < c->row_count; i++) {
        gf_slice key = gf_slice_of(c->keys.data + c->rows[i].key, c->rows[i].key_len);

        if (gf_keyset_stamp(&w->at->keys, key) >= w->stamp)
            c->rows[i].dropped = true;
    }
}

/* Rule M4: no transaction passes between the drop and the place that `due` gives the chunk. */
static bool merge(gf_merger *m, gf_window *w, gf_error *err)
{
    gf_chunk *chunk = w->chunk;

    drop_touched_rows(w);
    unlink_window(m, w);
    w->chunk = NULL;
    free_window(w);
    return m->due(m->ctx, chunk, err);
}

bool gf_merger_leave(gf_merger *m, const gf_position *scheduled, gf_error *err)
{
    bool ok = true;
    gf_window *w;

    pthread_mutex_lock(&m->lock);
    m->passing = true; /* still, or again after a kick: `due` is called without the lock */
    if (scheduled != NULL)
        gf_position_copy(&m->scheduled, scheduled);
    pthread_mutex_unlock(&m->lock);
    while (ok && (w = next_due(m)) != NULL)
        ok = merge(m, w, err);
    if (!ok) /* the stream ends here: what waits for it must not wait for ever */
        gf_merger_stop(m);
    return ok;
}

bool gf_merger_idle(gf_merger *m)
{
    bool idle;

    pthread_mutex_lock(&m->lock);
    idle = m->alive == 0;
    pthread_mutex_unlock(&m->lock);
    return idle;
}

void gf_merger_on_ready(gf_merger *m, void (*kick)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&m->lock);
    m->kick = kick;
    m->kick_ctx = ctx;
    pthread_mutex_unlock(&m->lock);
}

void gf_merger_on_thrown(gf_merger *m, void (*thrown)(void *ctx, const gf_chunk *chunk), void *ctx)
{
    pthread_mutex_lock(&m->lock);
    m->thrown = thrown;
    m->thrown_ctx = ctx;
    pthread_mutex_unlock(&m->lock);
}

/* ---- reader threads ---- */

gf_window *gf_merger_open(gf_position *a, gf_merger *m, gf_range *r)
{
    gf_window *w = gf_calloc(1, sizeof *w);

    pthread_mutex_lock(&m->lock);
    m->openers++;
    while (m->passing && !m->stopped) /* rule M1 */
        pthread_cond_wait(&m->changed, &m->lock);
    if (--m->openers == 0)
        pthread_cond_broadcast(&m->changed);
    if (m->stopped || !gf_plan_next(&w->cursor, &w->table, &w->again, m->plan, r)) {
        pthread_mutex_unlock(&m->lock);
        free_window(w);
        return NULL;
    }
    w->range = r;
    w->at = place_of(m, w->table);
    w->peer = w->at->windows;
    w->at->windows = w;
    w->stamp = ++m->stamp;
    m->open++;
    m->alive++;
    gf_position_copy(a, &m->scheduled);
    pthread_mutex_unlock(&m->lock);
    return w;
}

gf_slice gf_window_cursor(const gf_window *w)
{
    return gf_slice_of(w->cursor.data, w->cursor.len);
}

const gf_table *gf_window_table(const gf_window *w)
{
    return w->table;
}

bool gf_window_again(const gf_window *w)
{
    return w->again;
}

void gf_merger_hand_over(gf_merger *m, gf_window *w, gf_chunk *chunk)
{
    void (*kick)(void *ctx) = NULL;
    void *kick_ctx;

    pthread_mutex_lock(&m->lock);
    w->chunk = chunk;
    if (w->thrown) {
        discard_locked(m, w);
    } else {
        gf_plan_advance(m->plan, w->range, gf_slice_of(chunk->frontier.data, chunk->frontier.len), chunk->last);
        w->next = NULL;
        *m->last = w;
        m->last = &w->next;
        /* A passing transaction's leave will look by itself. */
        if (!m->passing && reached_locked(m, &m->first->chunk->fence))
            kick = m->kick;
    }
    kick_ctx = m->kick_ctx;
    pthread_mutex_unlock(&m->lock);
    if (kick != NULL)
        kick(kick_ctx);
}

void gf_merger_abandon(gf_merger *m, gf_window *w)
{
    pthread_mutex_lock(&m->lock);
    if (w->thrown) {
        free_window(w);
    } else {
        m->alive--;
        w->next = m->ended;
        m->ended = w;
        if (!m->passing)
            reap_locked(m);
    }
    pthread_mutex_unlock(&m->lock);
}

bool gf_merger_wait(gf_merger *m, const gf_position *pos)
{
    bool reached;

    pthread_mutex_lock(&m->lock);
    while (!(reached = reached_locked(m, pos)) && !m->stopped)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
    return reached;
}

void gf_merger_stop(gf_merger *m)
{
    pthread_mutex_lock(&m->lock);
    m->stopped = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

bool gf_merger_stopped(gf_merger *m)
{
    bool stopped;

    pthread_mutex_lock(&m->lock);
    stopped = m->stopped;
    pthread_mutex_unlock(&m->lock);
    return stopped;
}

bool gf_merger_finished(gf_merger *m)
{
    bool finished;

    pthread_mutex_lock(&m->lock);
    finished = m->alive == 0 && gf_plan_keyed_read(m->plan);
    pthread_mutex_unlock(&m->lock);
    return finished;
}

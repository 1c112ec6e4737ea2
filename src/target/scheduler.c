/* SPDX-License-Identifier: MIT */
/*
 * scheduler.c - claims, ready queues and the order of commits.
 *
 * Claims (C1). A hash table holds, for every claim, the last item that was submitted with it and is not committed
 * yet. A new item waits for the items it finds there and takes their places; since each of them has waited for its
 * own predecessor, waiting for the last is waiting for all. A wild item waits for every live item, and whatever comes
 * later waits for it.
 *
 * Not all of an item has to wait. While the stream is behind, batches hold hundreds of rows, and neighbours nearly
 * always have some in common: waiting as a whole they would run one by one. So a batch whose claims are mostly free of
 * batches before it is ready at once, and the scheduler only says which claims are contested; rows that share one, by
 * whatever way (overlap.c), are written when those before have been committed. Chunks and wild items are barriers.
 *
 * Order (C2). Stream items get turns 1, 2, 3, ...; `turn` is the next to commit. A writer may run an item before its
 * turn, but the last free writer takes the head alone: else all writers could sit on later items, waiting for a head
 * that nobody is left to run.
 *
 * Way (C2a). Claims don't know of gap locks, so a later item that waits for its turn may hold a lock that the head
 * needs, and no server sees that circle. When the head has not come through after `patience`, all that wait behind it
 * roll back and run again once it has committed. How long is right depends on the server, so patience is learnt: it
 * grows when the head went on being slow without them (they were not in its way), and shrinks when it came through,
 * but never below some times what heads usually take: on a busy server every batch is slow.
 *
 * Who is woken. Each waits where only what it waits for wakes it: at hundreds of commits a second a writer that wakes in
 * vain takes the processor from the one that has work.
 */
#include "scheduler.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    FIRST_BUCKETS = 1024,
    PATIENCE_MS = 20,
    PATIENCE_MIN_MS = 3,
    PATIENCE_MAX_MS = 1000,
    USUAL_TIMES = 4,  /* patience with a head, at least: so often what heads usually take */
    USUAL_TURNS = 16, /* after about so many turns the slowest one is forgotten */
    BACKOFF_MS = 5,
    BACKOFF_MAX_MS = 500
};

struct gf_claim {
    uint64_t hash;
    gf_item *owner;
    gf_claim *next; /* in its bucket */
};

typedef struct gf_piece {
    gf_batch *batch; /* owned */
    struct gf_piece *next;
} piece;

struct gf_sched {
    unsigned stream_writers; /* set once */
    size_t max_bytes;        /* set once */

    pthread_mutex_t lock;               /* guards all below and the items */
    pthread_cond_t room;                /* the submitter: bytes or items are gone */
    pthread_cond_t work[GF_LANE_COUNT]; /* idle writers: something may be taken */
    pthread_cond_t passed;              /* those that rolled back: the turn is over */
    gf_claim **buckets;                 /* owned */
    size_t bucket_count, claim_count;
    gf_item *first, *last; /* live items, in order of submission */
    gf_item *wild;         /* the last live wild one */
    gf_item *large;        /* a large transaction that still misses pieces */
    gf_item *ready[GF_LANE_COUNT];
    gf_item *head, *tail;    /* live stream items, in order of turns */
    unsigned running;        /* stream items taken */
    unsigned written;        /* of them those that are all but committed */
    uint64_t tickets, turns; /* given out */
    uint64_t turn;           /* next to commit */
    uint64_t turn_since;     /* ms */
    uint64_t patience;       /* ms, as learnt from giving way */
    uint64_t usual;          /* ms: what the slower of the last heads took that nobody gave way to */
    uint64_t gave_way;       /* ms: when the first one rolled back for this head; 0 = none did */
    bool head_blocked;       /* the head ran into a lock: make way at once */
    size_t bytes;
    unsigned retries;
    bool stopping, failed;
    gf_error failure; /* the first one, once failed */
};

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* the clock of gf_now_ms */
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

gf_sched *gf_sched_new(unsigned stream_writers, size_t max_bytes)
{
    gf_sched *s = gf_calloc(1, sizeof(*s));

    s->stream_writers = stream_writers;
    s->max_bytes = max_bytes;
    s->bucket_count = FIRST_BUCKETS;
    s->buckets = gf_calloc(s->bucket_count, sizeof(gf_claim *));
    s->turn = 1;
    s->patience = PATIENCE_MS;
    pthread_mutex_init(&s->lock, NULL);
    init_cond(&s->room);
    init_cond(&s->passed);
    for (unsigned lane = 0; lane < GF_LANE_COUNT; lane++)
        init_cond(&s->work[lane]);
    return s;
}

static void free_item(gf_item *item)
{
    for (piece *p = item->pieces; p != NULL;) {
        piece *next = p->next;

        gf_batch_free(p->batch);
        free(p);
        p = next;
    }
    gf_batch_free(item->batch);
    gf_chunk_free(item->chunk);
    free(item->claims);
    free(item->contested);
    free(item->followers);
    pthread_cond_destroy(&item->go);
    free(item);
}

void gf_sched_free(gf_sched *s)
{
    if (s == NULL)
        return;
    while (s->first != NULL) {
        gf_item *next = s->first->next;

        free_item(s->first);
        s->first = next;
    }
    free(s->buckets);
    pthread_cond_destroy(&s->room);
    pthread_cond_destroy(&s->passed);
    for (unsigned lane = 0; lane < GF_LANE_COUNT; lane++)
        pthread_cond_destroy(&s->work[lane]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- claims ---- */

static gf_claim **bucket_locked(const gf_sched *s, uint64_t hash)
{
    return &s->buckets[(hash ^ (hash >> 32)) & (s->bucket_count - 1)];
}

static void grow_buckets_locked(gf_sched *s)
{
    gf_claim **old = s->buckets;
    size_t count = s->bucket_count;

    s->bucket_count *= 2;
    s->buckets = gf_calloc(s->bucket_count, sizeof(gf_claim *));
    for (size_t i = 0; i < count; i++) {
        for (gf_claim *c = old[i]; c != NULL;) {
            gf_claim *next = c->next, **bucket = bucket_locked(s, c->hash);

            c->next = *bucket;
            *bucket = c;
            c = next;
        }
    }
    free(old);
}

/* Only between two batches that are told apart by claims there are rows that need not wait. */
static bool is_barrier(const gf_item *item, const gf_item *earlier)
{
    return item->batch == NULL || earlier->batch == NULL || item->wild || earlier->wild;
}

static void wait_for_locked(gf_item *item, gf_item *earlier)
{
    if (earlier == NULL || earlier == item || earlier->marked == item->ticket)
        return;
    if (earlier->follower_count == earlier->follower_cap) {
        earlier->follower_cap = earlier->follower_cap == 0 ? 4 : earlier->follower_cap * 2;
        earlier->followers = gf_realloc(earlier->followers, earlier->follower_cap * sizeof(gf_item *));
    }
    earlier->followers[earlier->follower_count++] = item;
    earlier->marked = item->ticket;
    item->blockers++;
    item->barriers += is_barrier(item, earlier);
}

/* The item becomes the last one with this claim. */
static void claim_locked(gf_sched *s, gf_item *item, uint64_t hash)
{
    gf_claim **link = bucket_locked(s, hash), *mine;

    while (*link != NULL && (*link)->hash != hash)
        link = &(*link)->next;
    if (*link != NULL && (*link)->owner == item) /* twice in one item */
        return;
    mine = &item->claims[item->claim_count++];
    mine->hash = hash;
    mine->owner = item;
    mine->next = NULL;
    if (*link != NULL) {
        wait_for_locked(item, (*link)->owner);
        if (item->contested != NULL)
            item->contested[item->contested_count++] = hash;
        mine->next = (*link)->next;
    } else {
        s->claim_count++;
    }
    *link = mine;
    if (s->claim_count > s->bucket_count)
        grow_buckets_locked(s);
}

/* Those of its claims that no later item has taken over. */
static void unclaim_locked(gf_sched *s, gf_item *item)
{
    for (size_t i = 0; i < item->claim_count; i++) {
        gf_claim **link = bucket_locked(s, item->claims[i].hash);

        while (*link != NULL && *link != &item->claims[i])
            link = &(*link)->next;
        if (*link != NULL) {
            *link = (*link)->next;
            s->claim_count--;
        }
    }
}

/* Rule C2: chunks of one range follow each other, so that its frontier never has a gap. */
static uint64_t range_claim(const gf_range *range)
{
    return gf_hash(&range, sizeof(range), 0x72616e6765);
}

static void claim_all_locked(gf_sched *s, gf_item *item)
{
    const uint64_t *claims = item->batch != NULL ? item->batch->claims : item->chunk->claims;
    size_t count = item->batch != NULL ? item->batch->claim_count : item->chunk->claim_count;

    wait_for_locked(item, s->wild);
    if (item->wild) {
        for (gf_item *i = s->first; i != item; i = i->next)
            wait_for_locked(item, i);
        s->wild = item;
        return; /* whatever comes later waits for s->wild, and so for its claims */
    }
    item->claims = gf_calloc(count + 1, sizeof(gf_claim));
    if (item->batch != NULL)
        item->contested = gf_calloc(count + 1, sizeof(uint64_t));
    for (size_t i = 0; i < count; i++)
        claim_locked(s, item, claims[i]);
    if (item->chunk != NULL)
        claim_locked(s, item, range_claim(item->chunk->range));
}

/* ---- submitter ---- */

static bool ending_locked(const gf_sched *s)
{
    return s->stopping || s->failed;
}

static bool say_why_locked(const gf_sched *s, gf_error *err)
{
    if (!s->failed)
        return gf_fail(err, GF_ERR_STOPPED, "writing to the target was stopped");
    if (err != NULL)
        *err = s->failure;
    return false;
}

/* Something larger than all the memory may pass alone. */
static bool room_locked(gf_sched *s, size_t bytes, gf_error *err)
{
    while (!ending_locked(s) && s->bytes > 0 && s->bytes + bytes > s->max_bytes)
        pthread_cond_wait(&s->room, &s->lock);
    return !ending_locked(s) || say_why_locked(s, err);
}

/* Written in two, a batch costs twice the statements: not where most of it waits anyway. */
static bool is_ready_locked(const gf_item *item)
{
    return item->blockers == 0 || (item->barriers == 0 && item->contested_count * 2 <= item->claim_count);
}

/* The last free writer is kept for the head, see the top. */
static bool may_take_locked(const gf_sched *s, const gf_item *item)
{
    if (item->lane != GF_LANE_STREAM || item == s->head || s->head->taken)
        return true;
    return s->running + 1 < s->stream_writers;
}

/* One idle writer is enough: when it has taken, it wakes the next. */
static void wake_writer_locked(gf_sched *s, gf_lane lane)
{
    if (s->ready[lane] != NULL && may_take_locked(s, s->ready[lane]))
        pthread_cond_signal(&s->work[lane]);
}

/* Rule C1: ready queues are kept in order of submission, writers get their work in order. */
static void make_ready_locked(gf_sched *s, gf_item *item)
{
    gf_item **link = &s->ready[item->lane];

    if (item->queued || !is_ready_locked(item))
        return;
    item->queued = true;
    while (*link != NULL && (*link)->ticket < item->ticket)
        link = &(*link)->next_ready;
    item->next_ready = *link;
    *link = item;
    wake_writer_locked(s, item->lane);
}

static void append_locked(gf_sched *s, gf_item *item)
{
    item->prev = s->last;
    if (s->last != NULL)
        s->last->next = item;
    else
        s->first = item;
    s->last = item;
    if (item->lane != GF_LANE_STREAM)
        return;
    item->turn = ++s->turns;
    if (s->head != NULL) {
        s->tail->next_turn = item;
    } else {
        s->head = item;
        s->turn_since = gf_now_ms();
    }
    s->tail = item;
}

static void submit_locked(gf_sched *s, gf_item *item)
{
    item->ticket = ++s->tickets;
    item->pieces_end = &item->pieces;
    s->bytes += item->bytes;
    append_locked(s, item);
    claim_all_locked(s, item);
    make_ready_locked(s, item);
}

static gf_item *new_item(gf_lane lane)
{
    gf_item *item = gf_calloc(1, sizeof(*item));

    init_cond(&item->go);
    item->lane = lane;
    return item;
}

static gf_item *batch_item(gf_batch *b)
{
    gf_item *item = new_item(GF_LANE_STREAM);

    item->batch = b;
    item->bytes = b->bytes;
    item->wild = b->wild || !b->ends; /* a large transaction runs alone: it cannot be run again */
    return item;
}

static void add_piece_locked(gf_sched *s, gf_batch *b)
{
    piece *p = gf_calloc(1, sizeof(*p));

    p->batch = b;
    *s->large->pieces_end = p;
    s->large->pieces_end = &p->next;
    s->large->bytes += b->bytes;
    s->bytes += b->bytes;
    pthread_cond_signal(&s->large->go);
    if (b->ends)
        s->large = NULL;
}

bool gf_sched_batch(gf_sched *s, gf_batch *b, gf_error *err)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    ok = room_locked(s, b->bytes, err);
    if (!ok) {
        gf_batch_free(b);
    } else if (!b->begins) {
        assert(s->large != NULL); /* a piece follows the one that began */
        add_piece_locked(s, b);
    } else {
        gf_item *item = batch_item(b);

        assert(s->large == NULL);
        if (!b->ends)
            s->large = item;
        submit_locked(s, item);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

bool gf_sched_chunk(gf_sched *s, gf_chunk *c, gf_error *err)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    ok = room_locked(s, c->bytes, err);
    if (ok) {
        gf_item *item = new_item(GF_LANE_COPY);

        item->chunk = c;
        item->bytes = c->bytes;
        item->wild = c->wild;
        submit_locked(s, item);
    } else {
        gf_chunk_free(c);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

bool gf_sched_drain(gf_sched *s, gf_error *err)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    while (!ending_locked(s) && s->first != NULL)
        pthread_cond_wait(&s->room, &s->lock);
    ok = !ending_locked(s) || say_why_locked(s, err);
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* ---- writers ---- */

static void wait_until_locked(gf_sched *s, pthread_cond_t *cond, uint64_t ms)
{
    struct timespec at = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    pthread_cond_timedwait(cond, &s->lock, &at);
}

static gf_item *pop_ready_locked(gf_sched *s, gf_lane lane)
{
    gf_item *item = s->ready[lane];

    s->ready[lane] = item->next_ready;
    item->taken = true;
    if (lane == GF_LANE_STREAM)
        s->running++;
    return item;
}

gf_item *gf_sched_take(gf_sched *s, gf_lane lane)
{
    gf_item *item = NULL;

    pthread_mutex_lock(&s->lock);
    while (!ending_locked(s) && (s->ready[lane] == NULL || !may_take_locked(s, s->ready[lane])))
        pthread_cond_wait(&s->work[lane], &s->lock);
    if (!ending_locked(s)) {
        item = pop_ready_locked(s, lane);
        wake_writer_locked(s, lane); /* others may take now what only the head's writer could before */
    }
    pthread_mutex_unlock(&s->lock);
    return item;
}

gf_item *gf_sched_take_small(gf_sched *s, size_t max_bytes)
{
    gf_item *item = NULL, *ready;

    pthread_mutex_lock(&s->lock);
    ready = s->ready[GF_LANE_COPY];
    if (!ending_locked(s) && ready != NULL && ready->bytes <= max_bytes && ready->chunk->range->table->transactional)
        item = pop_ready_locked(s, GF_LANE_COPY);
    pthread_mutex_unlock(&s->lock);
    return item;
}

bool gf_sched_piece(gf_sched *s, gf_item *item)
{
    gf_batch *done = item->batch;
    piece *p = NULL;

    pthread_mutex_lock(&s->lock);
    /* Memory first: the submitter may be waiting for it with the next piece. */
    s->bytes -= done->bytes;
    item->bytes -= done->bytes;
    done->bytes = 0;
    pthread_cond_signal(&s->room);
    while (!ending_locked(s) && item->pieces == NULL)
        pthread_cond_wait(&item->go, &s->lock);
    if (!ending_locked(s)) {
        p = item->pieces;
        item->pieces = p->next;
        if (item->pieces == NULL)
            item->pieces_end = &item->pieces;
        item->batch = p->batch;
    }
    pthread_mutex_unlock(&s->lock);
    if (p == NULL)
        return false;
    gf_batch_free(done);
    free(p);
    return true;
}

/* ms: when those behind the head roll back. */
static uint64_t patience_ends_locked(const gf_sched *s)
{
    uint64_t usual = USUAL_TIMES * s->usual;
    uint64_t patience = s->patience > usual ? s->patience : usual;

    return s->turn_since + (patience < PATIENCE_MAX_MS ? patience : PATIENCE_MAX_MS);
}

static bool give_way_locked(gf_sched *s)
{
    uint64_t now = gf_now_ms();

    if (!s->head_blocked && now < patience_ends_locked(s))
        return false;
    if (s->gave_way == 0)
        s->gave_way = now;
    return true;
}

static bool is_its_turn_locked(const gf_sched *s, const gf_item *item)
{
    return item->lane != GF_LANE_STREAM || item->turn == s->turn; /* rule C2 */
}

static bool is_clear_locked(const gf_sched *s, const gf_item *item)
{
    (void)s;
    return item->blockers == 0; /* rule C1 */
}

static void set_written_locked(gf_sched *s, gf_item *item, bool written)
{
    if (item->lane != GF_LANE_STREAM || item->written == written)
        return;
    item->written = written;
    s->written += written ? 1 : -1U;
}

static gf_turn await_locked(gf_sched *s, gf_item *item, bool (*may_go)(const gf_sched *s, const gf_item *item))
{
    while (!ending_locked(s)) {
        if (may_go(s, item))
            return GF_TURN_COMMIT;
        if (give_way_locked(s)) /* rule C2a */
            return GF_TURN_AGAIN;
        wait_until_locked(s, &item->go, patience_ends_locked(s));
    }
    return GF_TURN_STOP;
}

gf_turn gf_sched_turn(gf_sched *s, gf_item *item)
{
    gf_turn answer;

    pthread_mutex_lock(&s->lock);
    set_written_locked(s, item, true);
    answer = await_locked(s, item, is_its_turn_locked);
    pthread_mutex_unlock(&s->lock);
    return answer;
}

gf_turn gf_sched_clear(gf_sched *s, gf_item *item)
{
    gf_turn answer;

    pthread_mutex_lock(&s->lock);
    answer = await_locked(s, item, is_clear_locked);
    pthread_mutex_unlock(&s->lock);
    return answer;
}

unsigned gf_sched_written(gf_sched *s)
{
    unsigned written;

    pthread_mutex_lock(&s->lock);
    written = s->written;
    pthread_mutex_unlock(&s->lock);
    return written;
}

bool gf_sched_blocked(gf_sched *s, gf_item *item)
{
    bool blocked;

    pthread_mutex_lock(&s->lock);
    blocked = item->blockers > 0;
    pthread_mutex_unlock(&s->lock);
    return blocked;
}

/* The head and chunks wait only for strangers' locks, so for a short time; the others for the head. */
static bool ripe_locked(const gf_sched *s, const gf_item *item, uint64_t turn, uint64_t until)
{
    if (item->lane == GF_LANE_STREAM && item->turn != s->turn)
        return s->turn != turn;
    return s->turn != turn || gf_now_ms() >= until;
}

/* Those that have a writer: whoever else is told when it gets one. */
static void wake_all_behind_locked(gf_sched *s)
{
    for (gf_item *i = s->head; i != NULL; i = i->next_turn)
        if (i->taken)
            pthread_cond_signal(&i->go);
}

bool gf_sched_again(gf_sched *s, gf_item *item)
{
    uint64_t pause = BACKOFF_MS, until, turn;
    bool go;

    pthread_mutex_lock(&s->lock);
    set_written_locked(s, item, false);
    s->retries++;
    for (unsigned i = 0; i < item->attempts && pause < BACKOFF_MAX_MS; i++)
        pause *= 2;
    item->attempts++;
    until = gf_now_ms() + pause;
    turn = s->turn;
    if (item->lane == GF_LANE_STREAM && item->turn == turn) {
        s->head_blocked = true;
        wake_all_behind_locked(s);
    }
    while (!ending_locked(s) && !ripe_locked(s, item, turn, until))
        wait_until_locked(s, &s->passed, until > gf_now_ms() ? until : gf_now_ms() + BACKOFF_MAX_MS);
    go = !ending_locked(s);
    pthread_mutex_unlock(&s->lock);
    return go;
}

static void learn_usual_locked(gf_sched *s, uint64_t took)
{
    uint64_t faded = s->usual - (s->usual + USUAL_TURNS - 1) / USUAL_TURNS;

    s->usual = took > faded ? took : faded;
}

static void learn_patience_locked(gf_sched *s, uint64_t now)
{
    if (s->gave_way == 0) {
        learn_usual_locked(s, now - s->turn_since);
        return;
    }
    if (now - s->gave_way < s->patience)
        s->patience = s->patience * 3 / 4;
    else
        s->patience *= 2;
    if (s->patience < PATIENCE_MIN_MS)
        s->patience = PATIENCE_MIN_MS;
    if (s->patience > PATIENCE_MAX_MS)
        s->patience = PATIENCE_MAX_MS;
}

static void next_turn_locked(gf_sched *s, gf_item *item)
{
    uint64_t now = gf_now_ms(), ended = patience_ends_locked(s);

    assert(item == s->head && item->turn == s->turn);
    learn_patience_locked(s, now);
    s->head = item->next_turn;
    s->turn++;
    s->turn_since = now;
    s->gave_way = 0;
    s->head_blocked = false;
    s->running--;
    set_written_locked(s, item, false);
    pthread_cond_broadcast(&s->passed);
    if (patience_ends_locked(s) < ended) /* they sleep until then */
        wake_all_behind_locked(s);
    else if (s->head != NULL)
        pthread_cond_signal(&s->head->go);
    wake_writer_locked(s, GF_LANE_STREAM);
}

void gf_sched_committed(gf_sched *s, gf_item *item)
{
    pthread_mutex_lock(&s->lock);
    if (item->lane == GF_LANE_STREAM)
        next_turn_locked(s, item);
    unclaim_locked(s, item);
    for (size_t i = 0; i < item->follower_count; i++) {
        gf_item *follower = item->followers[i];

        follower->blockers--;
        follower->barriers -= is_barrier(follower, item);
        make_ready_locked(s, follower);
        if (follower->blockers == 0)
            pthread_cond_signal(&follower->go);
    }
    if (s->wild == item)
        s->wild = NULL;
    *(item->prev != NULL ? &item->prev->next : &s->first) = item->next;
    *(item->next != NULL ? &item->next->prev : &s->last) = item->prev;
    s->bytes -= item->bytes;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
    free_item(item);
}

/* ---- from any thread ---- */

static void wake_everybody_locked(gf_sched *s)
{
    pthread_cond_broadcast(&s->room);
    pthread_cond_broadcast(&s->passed);
    for (unsigned lane = 0; lane < GF_LANE_COUNT; lane++)
        pthread_cond_broadcast(&s->work[lane]);
    for (gf_item *i = s->first; i != NULL; i = i->next)
        pthread_cond_signal(&i->go);
}

void gf_sched_fail(gf_sched *s, const gf_error *err)
{
    pthread_mutex_lock(&s->lock);
    if (!s->failed && !s->stopping) { /* what breaks while it is being stopped is no failure */
        s->failed = true;
        s->failure = *err;
    }
    wake_everybody_locked(s);
    pthread_mutex_unlock(&s->lock);
}

void gf_sched_stop(gf_sched *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    wake_everybody_locked(s);
    pthread_mutex_unlock(&s->lock);
}

bool gf_sched_failed(gf_sched *s, gf_error *err)
{
    bool failed;

    pthread_mutex_lock(&s->lock);
    failed = s->failed;
    if (failed && err != NULL)
        *err = s->failure;
    pthread_mutex_unlock(&s->lock);
    return failed;
}

bool gf_sched_ending(gf_sched *s)
{
    bool ending;

    pthread_mutex_lock(&s->lock);
    ending = ending_locked(s);
    pthread_mutex_unlock(&s->lock);
    return ending;
}

size_t gf_sched_bytes(gf_sched *s, unsigned *retries)
{
    size_t bytes;

    pthread_mutex_lock(&s->lock);
    bytes = s->bytes;
    *retries = s->retries;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

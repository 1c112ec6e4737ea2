/* SPDX-License-Identifier: MIT */
/*
 * test_merger.c - the merger alone, then between threads that play the source, the stream and the readers.
 *
 * The play (`run_play`) is the model of the algorithm in threads: a transaction is flushed first and visible later; the
 * stream gets it when it is flushed, readers see what is visible. After every transaction and every chunk the target
 * must be exactly the source at the stream's position, for all keys that were copied or touched. A play with one rule
 * left out must be caught, or the check is worth nothing.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/copier/merger.h"
#include "../../src/copier/plan.h"
#include "gfreplica/log.h"
#include "run_suite.h"

static const gf_slice none = {NULL, 0};

static gf_position position_at(uint64_t n)
{
    gf_position p = {0};

    snprintf(p.file, sizeof p.file, "bin.000001");
    p.offset = 4 + n;
    return p;
}

static gf_key the_key = {.name = (char *)"PRIMARY"};
static gf_table table_of(const char *name, uint32_t id)
{
    return (gf_table){.id = id, .db = (char *)"d", .name = (char *)name, .keys = &the_key, .key_count = 1};
}

static void add_row(gf_chunk *c, const char *key, const char *tuple)
{
    gf_chunk_row *row;

    c->rows = gf_realloc(c->rows, (c->row_count + 1) * sizeof *c->rows);
    row = memset(&c->rows[c->row_count++], 0, sizeof *row);
    row->key = (uint32_t)c->keys.len;
    row->key_len = (uint32_t)strlen(key);
    gf_buf_str(&c->keys, key);
    row->tuple = (uint32_t)c->text.len;
    row->tuple_len = (uint32_t)strlen(tuple);
    gf_buf_str(&c->text, tuple);
    gf_buf_reset(&c->frontier);
    gf_buf_str(&c->frontier, key);
}

/* ================================================== one thread ================================================== */

typedef struct {
    gf_table table, other;
    gf_plan *plan;
    gf_range *range;
    gf_merger *merger;
    gf_chunk *due[8];
    unsigned due_count, kicks, thrown;
    bool refuse;
} stage;

static bool keep_due(void *ctx, gf_chunk *chunk, gf_error *err)
{
    stage *s = ctx;

    if (s->refuse) {
        gf_chunk_free(chunk);
        return gf_fail(err, GF_ERR_RETRY, "the target is gone");
    }
    s->due[s->due_count++] = chunk;
    return true;
}

static void count_kick(void *ctx)
{
    ((stage *)ctx)->kicks++;
}

static void count_thrown(void *ctx, const gf_chunk *chunk)
{
    (void)chunk;
    ((stage *)ctx)->thrown++;
}

static void set_up(stage *s)
{
    gf_position start = position_at(0);

    *s = (stage){.table = table_of("t", 1), .other = table_of("u", 2)};
    s->plan = gf_plan_new();
    s->range = gf_plan_add(s->plan, &s->table, 0, none, none, none, false, 0);
    s->merger = gf_merger_new(s->plan, &start, keep_due, s);
    gf_merger_on_ready(s->merger, count_kick, s);
    gf_merger_on_thrown(s->merger, count_thrown, s);
}

static void tear_down(stage *s)
{
    for (unsigned i = 0; i < s->due_count; i++)
        gf_chunk_free(s->due[i]);
    gf_merger_free(s->merger);
    gf_plan_free(s->plan);
}

static gf_window *open_window(stage *s)
{
    gf_position a = {0};
    gf_window *w = gf_merger_open(&a, s->merger, s->range);

    gf_position_free(&a);
    return w;
}

/* A chunk of the keys in `keys`, one letter each. */
static void hand_over(stage *s, gf_window *w, const char *keys, uint64_t fence, bool last)
{
    gf_chunk *c = gf_chunk_new(s->range);

    for (; *keys != '\0'; keys++)
        add_row(c, (char[]){*keys, '\0'}, "(1)");
    c->last = last;
    c->fence = position_at(fence);
    gf_merger_hand_over(s->merger, w, c);
}

static void record(stage *s, const char *keys)
{
    for (; *keys != '\0'; keys++)
        gf_merger_record(s->merger, &s->table, gf_slice_of(keys, 1));
}

/* A transaction that touches these keys and ends at `end`. */
static void pass(stage *s, const char *keys, uint64_t end)
{
    gf_position at = position_at(end);
    gf_error err;

    gf_merger_enter(s->merger);
    record(s, keys);
    ck_assert(gf_merger_leave(s->merger, &at, &err));
}

static bool cursor_at(const gf_window *w, const char *expected)
{
    return gf_slice_eq(gf_window_cursor(w), gf_slice_str(expected));
}

START_TEST(leave__drops_rows_whose_keys_passed_since_the_window_opened)
{
    stage s;
    gf_window *w;

    set_up(&s);
    pass(&s, "a", 1);
    w = open_window(&s);
    pass(&s, "b", 2);
    hand_over(&s, w, "abc", 3, true);
    ck_assert_uint_eq(s.due_count, 0);
    pass(&s, "c", 3);
    ck_assert_uint_eq(s.due_count, 1);
    ck_assert(!s.due[0]->rows[0].dropped); /* passed before the window: the value read is the same or newer */
    ck_assert(s.due[0]->rows[1].dropped);
    ck_assert(s.due[0]->rows[2].dropped);
    ck_assert(gf_merger_idle(s.merger));
    tear_down(&s);
}
END_TEST

START_TEST(leave__records_until_the_drop_not_only_until_the_fence)
{
    stage s;
    gf_window *w;
    gf_error err;

    set_up(&s);
    w = open_window(&s);
    pass(&s, "", 5); /* the fence is passed before the chunk is handed over */
    pass(&s, "a", 6);
    hand_over(&s, w, "a", 5, true);
    ck_assert_uint_eq(s.kicks, 1);
    ck_assert(gf_merger_leave(s.merger, NULL, &err));
    ck_assert_uint_eq(s.due_count, 1);
    ck_assert(s.due[0]->rows[0].dropped);
    tear_down(&s);
}
END_TEST

START_TEST(record__is_for_the_windows_of_its_table_alone)
{
    stage s;
    gf_window *w;
    gf_position at = position_at(1);
    gf_error err;

    set_up(&s);
    w = open_window(&s);
    gf_merger_enter(s.merger);
    gf_merger_record(s.merger, &s.other, gf_slice_str("a"));
    ck_assert(gf_merger_leave(s.merger, &at, &err));
    hand_over(&s, w, "a", 1, true);
    ck_assert(gf_merger_leave(s.merger, NULL, &err));
    ck_assert(!s.due[0]->rows[0].dropped);
    tear_down(&s);
}
END_TEST

START_TEST(record__meets_a_window_of_another_definition_of_the_table)
{
    stage s;
    gf_table newer = table_of("t", 9);
    gf_window *w;
    gf_position at = position_at(1);
    gf_error err;

    set_up(&s);
    w = open_window(&s);
    gf_merger_enter(s.merger);
    gf_merger_record(s.merger, &newer, gf_slice_str("a"));
    ck_assert(gf_merger_leave(s.merger, &at, &err));
    hand_over(&s, w, "a", 1, true);
    ck_assert(gf_merger_leave(s.merger, NULL, &err));
    ck_assert(s.due[0]->rows[0].dropped);
    tear_down(&s);
}
END_TEST

START_TEST(leave__merges_in_the_order_of_hand_over)
{
    stage s;

    set_up(&s);
    hand_over(&s, open_window(&s), "ab", 3, false);
    hand_over(&s, open_window(&s), "cd", 2, true);
    pass(&s, "", 2);
    ck_assert_uint_eq(s.due_count, 0);
    pass(&s, "", 3);
    ck_assert_uint_eq(s.due_count, 2);
    ck_assert_uint_eq(s.due[0]->rows[0].key_len, 1);
    ck_assert_int_eq(s.due[0]->keys.data[0], 'a');
    ck_assert_int_eq(s.due[1]->keys.data[0], 'c');
    tear_down(&s);
}
END_TEST

START_TEST(hand_over__kicks_only_when_the_fence_is_passed)
{
    stage s;

    set_up(&s);
    pass(&s, "", 4);
    hand_over(&s, open_window(&s), "a", 5, false);
    ck_assert_uint_eq(s.kicks, 0);
    pass(&s, "", 5);
    hand_over(&s, open_window(&s), "b", 5, true);
    ck_assert_uint_eq(s.kicks, 1);
    tear_down(&s);
}
END_TEST

START_TEST(invalidate__throws_all_chunks_of_the_range_and_puts_its_cursor_back)
{
    stage s;
    gf_window *w, *reading;

    set_up(&s);
    hand_over(&s, open_window(&s), "ab", 1, false);
    pass(&s, "", 1);
    ck_assert_uint_eq(s.due_count, 1); /* this one has its place */
    hand_over(&s, open_window(&s), "cd", 9, false);
    hand_over(&s, open_window(&s), "ef", 9, false);
    reading = open_window(&s);
    ck_assert(cursor_at(reading, "f"));
    gf_merger_enter(s.merger);
    gf_merger_invalidate(s.merger, &s.table);
    pass(&s, "", 9);
    ck_assert_uint_eq(s.due_count, 1);
    ck_assert_uint_eq(s.thrown, 2);
    hand_over(&s, reading, "gh", 9, true); /* its reader did not know */
    ck_assert_uint_eq(s.thrown, 3);
    ck_assert(!gf_plan_all_read(s.plan));
    w = open_window(&s);
    ck_assert(cursor_at(w, "b"));
    ck_assert(gf_window_again(w));
    gf_merger_abandon(s.merger, w);
    ck_assert(gf_merger_idle(s.merger));
    tear_down(&s);
}
END_TEST

START_TEST(undone__throws_only_what_the_transaction_may_have_touched)
{
    stage s;
    gf_range *other;
    gf_window *w, *kept;
    gf_position a = {0};
    gf_error err;

    set_up(&s);
    other = gf_plan_add(s.plan, &s.other, 0, none, none, none, false, 0);
    w = open_window(&s);
    kept = gf_merger_open(&a, s.merger, other);
    gf_merger_enter(s.merger);
    record(&s, "a");
    gf_merger_undone(s.merger);
    ck_assert(gf_merger_leave(s.merger, NULL, &err));
    hand_over(&s, w, "a", 0, true);
    ck_assert_uint_eq(s.thrown, 1);
    ck_assert_uint_eq(s.due_count, 0);
    ck_assert(!gf_merger_idle(s.merger)); /* the other one is open still */
    gf_merger_abandon(s.merger, kept);
    gf_position_free(&a);
    tear_down(&s);
}
END_TEST

START_TEST(abandon__leaves_the_cursor_where_it_was)
{
    stage s;
    gf_window *w;

    set_up(&s);
    hand_over(&s, open_window(&s), "ab", 9, false);
    w = open_window(&s);
    gf_merger_enter(s.merger); /* given up while a transaction is passing */
    gf_merger_abandon(s.merger, w);
    pass(&s, "x", 2);
    w = open_window(&s);
    ck_assert(cursor_at(w, "b"));
    ck_assert(!gf_window_again(w));
    gf_merger_abandon(s.merger, w);
    tear_down(&s);
}
END_TEST

START_TEST(record__throws_the_oldest_windows_when_too_much_is_kept)
{
    stage s;
    gf_window *w;
    gf_position at = position_at(1);
    gf_error err;
    char key[32];

    set_up(&s);
    gf_merger_limit(s.merger, 64 * 1024);
    hand_over(&s, open_window(&s), "ab", 9, false);
    gf_merger_enter(s.merger);
    for (int i = 0; i < 100000; i++)
        gf_merger_record(s.merger, &s.table, gf_slice_of(key, (size_t)snprintf(key, sizeof key, "key-%d", i)));
    ck_assert(gf_merger_leave(s.merger, &at, &err));
    ck_assert_uint_eq(s.thrown, 1);
    w = open_window(&s);
    ck_assert(cursor_at(w, ""));
    hand_over(&s, w, "ab", 1, true);
    ck_assert(gf_merger_leave(s.merger, NULL, &err));
    ck_assert_uint_eq(s.due_count, 1);
    ck_assert(!s.due[0]->rows[0].dropped);
    tear_down(&s);
}
END_TEST

/* What no open window needs is forgotten before a window is thrown. */
START_TEST(record__forgets_what_passed_before_all_open_windows)
{
    stage s;
    gf_window *old, *w;
    gf_position at = position_at(1);
    gf_error err;
    char key[32];

    set_up(&s);
    gf_merger_limit(s.merger, 64 * 1024);
    for (int round = 0; round < 50; round++) {
        old = open_window(&s);
        gf_merger_enter(s.merger);
        for (int i = 0; i < 300; i++)
            gf_merger_record(s.merger, &s.table,
                             gf_slice_of(key, (size_t)snprintf(key, sizeof key, "key-%d-%d", round, i)));
        ck_assert(gf_merger_leave(s.merger, &at, &err));
        w = open_window(&s); /* so that the set never gets empty */
        gf_merger_abandon(s.merger, old);
        old = open_window(&s);
        gf_merger_abandon(s.merger, w);
        gf_merger_abandon(s.merger, old);
    }
    w = open_window(&s);
    ck_assert(!gf_window_again(w));
    gf_merger_abandon(s.merger, w);
    tear_down(&s);
}
END_TEST

START_TEST(leave__passes_on_the_failure_of_due_and_refuses_windows)
{
    stage s;
    gf_error err;
    gf_position at = position_at(1);

    set_up(&s);
    s.refuse = true;
    hand_over(&s, open_window(&s), "a", 1, false);
    ck_assert(!gf_merger_leave(s.merger, &at, &err));
    ck_assert_str_eq(err.text, "the target is gone");
    ck_assert_ptr_null(open_window(&s));
    tear_down(&s);
}
END_TEST

START_TEST(open__gives_nothing_when_the_range_is_read)
{
    stage s;

    set_up(&s);
    hand_over(&s, open_window(&s), "a", 1, true);
    ck_assert_ptr_null(open_window(&s));
    tear_down(&s);
}
END_TEST

/* =================================================== the play =================================================== */

typedef enum {
    ALL_RULES,
    NOT_VISIBLE,   /* M2: reads without waiting for A */
    FENCE_IGNORED, /* M3, M4: merged at A */
    FENCE_BEFORE,  /* M3: H is taken before the rows */
    RECORD_SHORT,  /* M4: recording stops at H, not at the drop */
    NOT_UNDONE     /* keys of a rolled back transaction stay recorded */
} variant;

enum { KEYS = 60, RANGES = 3, READERS = 3, TRANSACTIONS = 400, PER_RANGE = KEYS / RANGES, CHUNK = 6 };

typedef struct {
    unsigned keys[3], values[3], count; /* value 0: deleted */
    bool rolled_back;
} transaction;

typedef struct {
    variant what;
    unsigned seed;
    unsigned show_us, stream_us; /* who is slow: the source in showing, or the stream */
    gf_table table;
    gf_plan *plan;
    gf_merger *merger;
    atomic_uint wrong; /* violations seen */
    atomic_bool copied_all;
    atomic_ulong stop_record_at; /* RECORD_SHORT: the fence of the only chunk, 0: none */

    pthread_mutex_t lock; /* guards the source */
    transaction log[TRANSACTIONS];
    unsigned flushed, visible;
    unsigned state[TRANSACTIONS + 1][KEYS]; /* after so many transactions */

    /* The stream thread's. */
    unsigned scheduled;
    unsigned target[KEYS];
    bool touched[KEYS], copied[KEYS];
    unsigned merged_to[RANGES];
    atomic_uint kicks;
} play;

static unsigned random_below(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % n;
}

static void nap(unsigned *seed, unsigned most_us)
{
    if (random_below(seed, 3) == 0)
        usleep(random_below(seed, most_us));
}

static unsigned key_index(gf_slice key)
{
    return (unsigned)(key.data[0] - '0') * 10 + (unsigned)(key.data[1] - '0');
}

static void key_name(char out[4], unsigned index)
{
    snprintf(out, 4, "%02u", index % 100);
}

/* ---- the source ---- */

static void *write_source(void *arg)
{
    play *p = arg;
    unsigned seed = p->seed + 1;

    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        transaction t = {.count = 1 + random_below(&seed, 3), .rolled_back = random_below(&seed, 8) == 0};

        for (unsigned c = 0; c < t.count; c++) {
            t.keys[c] = random_below(&seed, KEYS);
            t.values[c] = random_below(&seed, 3) == 0 ? 0 : i + 1;
        }
        pthread_mutex_lock(&p->lock);
        memcpy(p->state[i + 1], p->state[i], sizeof p->state[i]);
        for (unsigned c = 0; c < t.count && !t.rolled_back; c++)
            p->state[i + 1][t.keys[c]] = t.values[c];
        p->log[i] = t;
        p->flushed = i + 1;
        pthread_mutex_unlock(&p->lock);
        nap(&seed, 150);
    }
    return NULL;
}

/* Makes transactions visible in order, some time after they were flushed. */
static void *show_source(void *arg)
{
    play *p = arg;
    unsigned seed = p->seed + 2, visible = 0;

    while (visible < TRANSACTIONS) {
        usleep(random_below(&seed, p->show_us));
        pthread_mutex_lock(&p->lock);
        if (p->visible < p->flushed)
            p->visible += 1 + random_below(&seed, p->flushed - p->visible);
        visible = p->visible;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

static unsigned look(play *p, const unsigned *what)
{
    unsigned n;

    pthread_mutex_lock(&p->lock);
    n = *what;
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* ---- the stream and the target ---- */

static void check_exact(play *p)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned expected = p->copied[k] || p->touched[k] ? p->state[p->scheduled][k] : 0;

        if (p->target[k] != expected)
            atomic_fetch_add(&p->wrong, 1);
    }
    pthread_mutex_unlock(&p->lock);
}

/* read_us carries the index of the chunk's first key. */
static bool take_chunk(void *ctx, gf_chunk *c, gf_error *err)
{
    play *p = ctx;
    unsigned from = (unsigned)c->read_us, r = c->range->index, to = from;

    (void)err;
    if (from != p->merged_to[r]) /* a hole, or a chunk twice */
        atomic_fetch_add(&p->wrong, 1);
    for (size_t i = 0; i < c->row_count; i++) {
        unsigned k = key_index(gf_slice_of(c->keys.data + c->rows[i].key, c->rows[i].key_len));

        if (!c->rows[i].dropped)
            p->target[k] = (unsigned)strtoul((const char *)c->text.data + c->rows[i].tuple, NULL, 10);
        to = k + 1;
    }
    if (c->last)
        to = (r + 1) * PER_RANGE;
    for (unsigned k = from; k < to; k++)
        p->copied[k] = true;
    p->merged_to[r] = to;
    check_exact(p);
    gf_plan_committed(p->plan, c->range, gf_slice_of(c->frontier.data, c->frontier.len), c->last, c->row_count);
    gf_chunk_free(c);
    return true;
}

static void apply_change(play *p, const transaction *t, unsigned c)
{
    char name[4];
    uint64_t stop = atomic_load(&p->stop_record_at);

    if (!t->rolled_back) {
        p->target[t->keys[c]] = t->values[c];
        p->touched[t->keys[c]] = true;
    }
    key_name(name, t->keys[c]);
    if (stop == 0 || p->scheduled < stop)
        gf_merger_record(p->merger, &p->table, gf_slice_of(name, 2));
}

static void pass_transaction(play *p, unsigned *seed)
{
    transaction t;
    gf_position at = position_at(p->scheduled + 1);
    gf_error err;

    pthread_mutex_lock(&p->lock);
    t = p->log[p->scheduled];
    pthread_mutex_unlock(&p->lock);
    gf_merger_enter(p->merger);
    for (unsigned c = 0; c < t.count; c++)
        apply_change(p, &t, c);
    if (t.rolled_back && p->what != NOT_UNDONE)
        gf_merger_undone(p->merger);
    if (random_below(seed, 60) == 0) /* a DDL */
        gf_merger_invalidate(p->merger, &p->table);
    p->scheduled++;
    if (!gf_merger_leave(p->merger, &at, &err))
        atomic_fetch_add(&p->wrong, 1);
    check_exact(p);
}

static void kick_stream(void *ctx)
{
    atomic_fetch_add(&((play *)ctx)->kicks, 1);
}

static void *run_stream(void *arg)
{
    play *p = arg;
    unsigned seed = p->seed + 3, kicks = 0;
    gf_error err;

    while (p->scheduled < TRANSACTIONS || !atomic_load(&p->copied_all)) {
        if (p->scheduled < look(p, &p->flushed)) {
            pass_transaction(p, &seed);
            nap(&seed, p->stream_us);
            continue;
        }
        if (atomic_load(&p->kicks) != kicks) {
            kicks = atomic_load(&p->kicks);
            if (!gf_merger_leave(p->merger, NULL, &err))
                atomic_fetch_add(&p->wrong, 1);
        }
        usleep(50);
    }
    return NULL;
}

/* ---- readers ---- */

/* A view of the source at `seen` transactions: up to CHUNK rows from key `from` of the range. */
static void read_rows(play *p, gf_chunk *c, unsigned from, unsigned seen)
{
    unsigned end = (c->range->index + 1) * PER_RANGE;
    char name[4], value[16];

    pthread_mutex_lock(&p->lock);
    for (unsigned k = from; k < end && c->row_count < CHUNK; k++) {
        if (p->state[seen][k] == 0)
            continue;
        key_name(name, k);
        snprintf(value, sizeof value, "%u,", p->state[seen][k]);
        add_row(c, name, value);
    }
    pthread_mutex_unlock(&p->lock);
    gf_buf_byte(&c->text, '\0');
    c->last = c->row_count < CHUNK;
    c->read_us = from;
}

/* Rules M2 and M3; or not, as the variant says. */
static void read_view(play *p, gf_chunk *c, unsigned from, unsigned a, unsigned *seed)
{
    unsigned before = look(p, &p->flushed), h;

    while (p->what != NOT_VISIBLE && look(p, &p->visible) < a)
        usleep(20);
    nap(seed, 200);
    read_rows(p, c, from, look(p, &p->visible));
    nap(seed, 200);
    h = p->what == FENCE_IGNORED ? a : p->what == FENCE_BEFORE ? before : look(p, &p->flushed);
    c->fence = position_at(h);
    if (p->what == RECORD_SHORT) {
        atomic_store(&p->stop_record_at, h > 0 ? h : 1);
        usleep(3000);
    }
}

static void read_chunk(play *p, gf_range *range, gf_window *w, unsigned a, unsigned *seed)
{
    gf_slice cursor = gf_window_cursor(w);
    gf_chunk *c = gf_chunk_new(range);
    unsigned from = cursor.len > 0 ? key_index(cursor) + 1 : range->index * PER_RANGE;

    read_view(p, c, from, a, seed);
    if (c->row_count == 0)
        gf_buf_slice(&c->frontier, cursor);
    if (random_below(seed, 10) == 0) {
        gf_merger_abandon(p->merger, w);
        gf_chunk_free(c);
    } else {
        gf_merger_hand_over(p->merger, w, c);
    }
    if (p->what == RECORD_SHORT) {
        while (!gf_merger_idle(p->merger))
            usleep(20);
        atomic_store(&p->stop_record_at, 0);
    }
    nap(seed, 2000);
}

static void *run_reader(void *arg)
{
    play *p = arg;
    static atomic_uint number;
    unsigned seed = p->seed + 10 + atomic_fetch_add(&number, 1);
    gf_position a = {0};

    while (!gf_merger_finished(p->merger)) {
        gf_range *range = gf_plan_take(p->plan);
        gf_window *w;

        while (range != NULL && (w = gf_merger_open(&a, p->merger, range)) != NULL)
            read_chunk(p, range, w, (unsigned)(a.offset - 4), &seed);
        if (range != NULL)
            gf_plan_release(p->plan, range);
        usleep(50);
    }
    gf_position_free(&a);
    return NULL;
}

/* ---- all of it ---- */

static void prepare(play *p)
{
    gf_position start = position_at(0);
    unsigned seed = p->seed;

    p->show_us = p->seed % 2 == 0 ? 1000 : 50;
    p->stream_us = p->seed % 3 == 0 ? 50 : 400;
    p->table = table_of("t", 1);
    p->plan = gf_plan_new();
    p->merger = gf_merger_new(p->plan, &start, take_chunk, p);
    gf_merger_on_ready(p->merger, kick_stream, p);
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned k = 0; k < KEYS; k++)
        p->state[0][k] = random_below(&seed, 2) == 0 ? 0 : 1000 + k;
    for (unsigned r = 0; r < RANGES; r++) {
        gf_plan_add(p->plan, &p->table, r, none, none, none, false, 0);
        p->merged_to[r] = r * PER_RANGE;
    }
}

/* Violations of one play. */
static unsigned run_play(variant what, unsigned seed)
{
    play *p = calloc(1, sizeof *p);
    pthread_t writer, shower, stream, readers[READERS];
    unsigned wrong, reader_count = what == RECORD_SHORT ? 1 : READERS;

    p->what = what;
    p->seed = seed;
    prepare(p);
    pthread_create(&writer, NULL, write_source, p);
    pthread_create(&shower, NULL, show_source, p);
    pthread_create(&stream, NULL, run_stream, p);
    for (unsigned i = 0; i < reader_count; i++)
        pthread_create(&readers[i], NULL, run_reader, p);
    for (unsigned i = 0; i < reader_count; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&p->copied_all, true);
    pthread_join(writer, NULL);
    pthread_join(shower, NULL);
    pthread_join(stream, NULL);
    for (unsigned k = 0; k < KEYS; k++) {
        if (!p->copied[k] || p->target[k] != p->state[TRANSACTIONS][k])
            atomic_fetch_add(&p->wrong, 1);
    }
    if (!gf_plan_done(p->plan))
        atomic_fetch_add(&p->wrong, 1);
    wrong = atomic_load(&p->wrong);
    gf_merger_free(p->merger);
    gf_plan_free(p->plan);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return wrong;
}

START_TEST(play__target_is_the_source_at_every_position)
{
    for (unsigned seed = 1; seed <= 12; seed++)
        ck_assert_msg(run_play(ALL_RULES, seed) == 0, "seed %u", seed);
}
END_TEST

/* The check above is worth something: each rule left out is caught. */
START_TEST(play__is_caught_when_a_rule_is_left_out)
{
    unsigned caught = 0;

    for (unsigned seed = 1; seed <= 200 && caught == 0; seed++)
        caught = run_play((variant)_i, seed);
    ck_assert_uint_gt(caught, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("merger");
    TCase *alone = tcase_create("alone"), *threads = tcase_create("threads");

    gf_log_set_level(GF_LOG_WARN);
    tcase_add_test(alone, leave__drops_rows_whose_keys_passed_since_the_window_opened);
    tcase_add_test(alone, leave__records_until_the_drop_not_only_until_the_fence);
    tcase_add_test(alone, record__is_for_the_windows_of_its_table_alone);
    tcase_add_test(alone, record__meets_a_window_of_another_definition_of_the_table);
    tcase_add_test(alone, leave__merges_in_the_order_of_hand_over);
    tcase_add_test(alone, hand_over__kicks_only_when_the_fence_is_passed);
    tcase_add_test(alone, invalidate__throws_all_chunks_of_the_range_and_puts_its_cursor_back);
    tcase_add_test(alone, undone__throws_only_what_the_transaction_may_have_touched);
    tcase_add_test(alone, abandon__leaves_the_cursor_where_it_was);
    tcase_add_test(alone, record__throws_the_oldest_windows_when_too_much_is_kept);
    tcase_add_test(alone, record__forgets_what_passed_before_all_open_windows);
    tcase_add_test(alone, leave__passes_on_the_failure_of_due_and_refuses_windows);
    tcase_add_test(alone, open__gives_nothing_when_the_range_is_read);
    tcase_add_test(threads, play__target_is_the_source_at_every_position);
    tcase_add_loop_test(threads, play__is_caught_when_a_rule_is_left_out, NOT_VISIBLE, NOT_UNDONE + 1);
    tcase_set_timeout(threads, 120);
    suite_add_tcase(suite, alone);
    suite_add_tcase(suite, threads);
    return run_suite(suite);
}

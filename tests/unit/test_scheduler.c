/* SPDX-License-Identifier: MIT */
/*
 * Random items from one submitter, run by several threads. A model of a database (one cell per claim) tells whether
 * what the scheduler let happen equals applying the items one after the other.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/target/scheduler.h"
#include "run_suite.h"

static const gf_table safe = {.transactional = true}, unsafe = {.transactional = false};

enum { CELLS = 24, ITEMS = 1000, STREAM_WRITERS = 4, COPY_WRITERS = 3 };

struct world {
    gf_sched *sched;
    uint64_t cells[CELLS]; /* written without a lock: the scheduler has to keep writers apart (TSan looks) */
    atomic_uint_least64_t last_turn;
    atomic_uint again, in_two;
    atomic_bool wrong_order;
    unsigned writer_count;
    gf_range ranges[3];
    uint64_t range_steps[3]; /* number of the last chunk of each range */
};

/* An item's effect depends on what is there, so any other order gives other cells. */
static void apply(uint64_t *cells, const uint64_t *claims, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        cells[claims[i]] = cells[claims[i]] * 31 + id;
}

/* What a transaction has written, to roll it back. */
struct undo {
    uint64_t cells[CELLS], values[CELLS];
    size_t count;
};

static void write_cell(struct world *w, struct undo *u, uint64_t cell, uint64_t id)
{
    u->cells[u->count] = cell;
    u->values[u->count++] = w->cells[cell];
    apply(w->cells, &cell, 1, id);
}

static void roll_back(struct world *w, struct undo *u)
{
    while (u->count > 0) {
        u->count--;
        w->cells[u->cells[u->count]] = u->values[u->count];
    }
}

static bool is_contested(const gf_item *item, uint64_t claim)
{
    for (size_t i = 0; i < item->contested_count; i++)
        if (item->contested[i] == claim)
            return true;
    return false;
}

static void write_claims(struct world *w, struct undo *u, const gf_item *item, bool contested)
{
    const gf_batch *b = item->batch;

    for (size_t i = 0; i < b->claim_count; i++)
        if (is_contested(item, b->claims[i]) == contested)
            write_cell(w, u, b->claims[i], b->transactions);
}

/* As a writer does, up to COMMIT: in two, when something of it has to wait. */
static gf_turn write_cells(struct world *w, struct undo *u, gf_item *item)
{
    gf_turn turn = GF_TURN_COMMIT;

    if (item->batch->wild) {
        for (uint64_t i = 0; i < CELLS; i++)
            write_cell(w, u, i, item->batch->transactions);
        return turn;
    }
    write_claims(w, u, item, false);
    if (gf_sched_blocked(w->sched, item)) {
        atomic_fetch_add(&w->in_two, 1);
        turn = gf_sched_clear(w->sched, item);
    }
    if (turn == GF_TURN_COMMIT)
        write_claims(w, u, item, true);
    return turn;
}

static void run_batch(struct world *w, gf_item *item, unsigned *seed)
{
    struct undo u = {.count = 0};

    while (rand_r(seed) % 8 == 0) { /* lock conflicts */
        atomic_fetch_add(&w->again, 1);
        if (!gf_sched_again(w->sched, item))
            return;
    }
    for (;;) {
        gf_turn turn = write_cells(w, &u, item);

        if (rand_r(seed) % 128 == 0)
            usleep(60000); /* longer than patience */
        if (turn == GF_TURN_COMMIT)
            turn = gf_sched_turn(w->sched, item);
        if (turn == GF_TURN_COMMIT)
            break;
        roll_back(w, &u);
        if (turn == GF_TURN_STOP || !gf_sched_again(w->sched, item))
            return;
        atomic_fetch_add(&w->again, 1);
    }
    if (atomic_exchange(&w->last_turn, item->turn) + 1 != item->turn)
        atomic_store(&w->wrong_order, true);
    gf_sched_committed(w->sched, item);
}

static void run_chunk(struct world *w, gf_item *item)
{
    gf_chunk *c = item->chunk;
    uint64_t *step = &w->range_steps[c->range->index];

    apply(w->cells, c->claims, c->claim_count, c->read_us);
    if (++*step != c->fence.offset)
        atomic_store(&w->wrong_order, true);
    gf_sched_committed(w->sched, item);
}

/* As a writer does with small chunks: several are held at once, and committed one after the other. */
static void run_chunks(struct world *w, gf_item *first)
{
    gf_item *items[4] = {first};
    unsigned count = 1;

    while (count < 4 && (items[count] = gf_sched_take_small(w->sched, 60)) != NULL)
        count++;
    for (unsigned i = 0; i < count; i++)
        run_chunk(w, items[i]);
}

struct thread {
    struct world *world;
    gf_lane lane;
    unsigned seed;
    pthread_t id;
};

static void *writer(void *arg)
{
    struct thread *t = arg;
    gf_item *item;

    while ((item = gf_sched_take(t->world->sched, t->lane)) != NULL) {
        if (rand_r(&t->seed) % 32 == 0)
            usleep((unsigned)rand_r(&t->seed) % 500);
        if (item->batch != NULL)
            run_batch(t->world, item, &t->seed);
        else
            run_chunks(t->world, item);
    }
    return NULL;
}

static size_t random_claims(uint64_t *out, unsigned *seed)
{
    size_t count = (size_t)rand_r(seed) % 4;

    for (size_t i = 0; i < count; i++)
        out[i] = (uint64_t)rand_r(seed) % CELLS;
    return count;
}

static void submit_batch(struct world *w, uint64_t *model, uint64_t id, unsigned *seed)
{
    gf_batch *b = gf_batch_new();
    uint64_t claims[4];
    size_t count = random_claims(claims, seed);

    b->wild = rand_r(seed) % 50 == 0;
    b->transactions = id;
    b->bytes = (size_t)rand_r(seed) % 100;
    gf_batch_claim(b, claims, count);
    if (b->wild)
        for (uint64_t i = 0; i < CELLS; i++)
            apply(model, &i, 1, id);
    else
        apply(model, claims, count, id);
    ck_assert(gf_sched_batch(w->sched, b, NULL));
}

static void submit_chunk(struct world *w, uint64_t *model, uint64_t id, uint64_t *steps, unsigned *seed)
{
    unsigned range = (unsigned)rand_r(seed) % 3;
    gf_chunk *c = gf_chunk_new(&w->ranges[range]);
    uint64_t claims[4];

    c->claim_count = random_claims(claims, seed);
    c->claims = gf_malloc(sizeof(claims));
    memcpy(c->claims, claims, sizeof(claims));
    c->read_us = id;
    c->fence.offset = ++steps[range];
    c->bytes = 50;
    apply(model, claims, c->claim_count, id);
    ck_assert(gf_sched_chunk(w->sched, c, NULL));
}

static void start(struct world *w, struct thread *threads, unsigned stream, unsigned copy)
{
    w->writer_count = stream + copy;
    for (unsigned i = 0; i < stream + copy; i++) {
        threads[i] = (struct thread){.world = w, .lane = i < stream ? GF_LANE_STREAM : GF_LANE_COPY, .seed = i + 1};
        pthread_create(&threads[i].id, NULL, writer, &threads[i]);
    }
}

static void stop(struct world *w, struct thread *threads)
{
    gf_sched_stop(w->sched);
    for (unsigned i = 0; i < w->writer_count; i++)
        pthread_join(threads[i].id, NULL);
    gf_sched_free(w->sched);
}

static void compare_with_serial(unsigned stream, unsigned copy, unsigned first_seed)
{
    struct world w = {.sched = gf_sched_new(stream, 2000)};
    struct thread threads[STREAM_WRITERS + COPY_WRITERS];
    uint64_t model[CELLS] = {0}, steps[3] = {0};
    unsigned seed = first_seed, retries;

    for (unsigned i = 0; i < 3; i++)
        w.ranges[i] = (gf_range){.table = &safe, .index = i};
    start(&w, threads, stream, copy);
    for (uint64_t id = 1; id <= ITEMS; id++) {
        if (copy > 0 && rand_r(&seed) % 3 == 0)
            submit_chunk(&w, model, id, steps, &seed);
        else
            submit_batch(&w, model, id, &seed);
    }
    ck_assert(gf_sched_drain(w.sched, NULL));
    ck_assert_uint_eq(gf_sched_bytes(w.sched, &retries), 0);
    ck_assert_uint_eq(retries, atomic_load(&w.again));
    stop(&w, threads);
    ck_assert(!atomic_load(&w.wrong_order));
    ck_assert(stream == 1 || atomic_load(&w.in_two) > 0);
    ck_assert_mem_eq(w.cells, model, sizeof(model));
}

START_TEST(scheduler__equals_serial_application_with_many_writers)
{
    compare_with_serial(STREAM_WRITERS, COPY_WRITERS, 1000 + (unsigned)_i);
}
END_TEST

START_TEST(scheduler__equals_serial_application_with_one_writer)
{
    compare_with_serial(1, 1, 2000);
}
END_TEST

static gf_batch *batch_with(uint64_t claim)
{
    gf_batch *b = gf_batch_new();

    gf_batch_claim(b, &claim, 1);
    b->bytes = 10;
    return b;
}

START_TEST(take__keeps_the_last_writer_for_the_head)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_range range = {.table = &safe};
    gf_chunk *c = gf_chunk_new(&range);
    gf_item *chunk, *later, *head;
    uint64_t claim = 1;

    c->claims = gf_malloc(sizeof(claim));
    c->claims[0] = claim;
    c->claim_count = 1;
    ck_assert(gf_sched_chunk(s, c, NULL));
    ck_assert(gf_sched_batch(s, batch_with(1), NULL)); /* the head: waits for the chunk */
    ck_assert(gf_sched_batch(s, batch_with(2), NULL));
    ck_assert(gf_sched_batch(s, batch_with(3), NULL));
    later = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert_uint_eq(later->turn, 2);
    chunk = gf_sched_take(s, GF_LANE_COPY);
    gf_sched_committed(s, chunk);
    head = gf_sched_take(s, GF_LANE_STREAM); /* not turn 3, which was free before it */
    ck_assert_uint_eq(head->turn, 1);
    ck_assert_int_eq(gf_sched_turn(s, head), GF_TURN_COMMIT);
    gf_sched_committed(s, head);
    ck_assert_int_eq(gf_sched_turn(s, later), GF_TURN_COMMIT);
    gf_sched_free(s);
}
END_TEST

static gf_batch *batch_of(uint64_t first, uint64_t last)
{
    gf_batch *b = batch_with(first);

    while (first++ < last)
        gf_batch_claim(b, &first, 1);
    return b;
}

START_TEST(clear__lets_go_when_those_before_are_committed)
{
    gf_sched *s = gf_sched_new(4, 1000);
    gf_item *items[3];

    ck_assert(gf_sched_batch(s, batch_of(1, 4), NULL));
    ck_assert(gf_sched_batch(s, batch_of(4, 7), NULL));
    ck_assert(gf_sched_batch(s, batch_of(6, 7), NULL)); /* all of it waits, so it is not ready */
    ck_assert(gf_sched_batch(s, batch_of(8, 9), NULL));
    for (int i = 0; i < 3; i++)
        items[i] = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert(!gf_sched_blocked(s, items[0]));
    ck_assert(gf_sched_blocked(s, items[1]));
    ck_assert_uint_eq(items[1]->contested_count, 1);
    ck_assert_uint_eq(items[1]->contested[0], 4);
    ck_assert_uint_eq(items[2]->turn, 4);
    gf_sched_committed(s, items[0]);
    ck_assert_int_eq(gf_sched_clear(s, items[1]), GF_TURN_COMMIT);
    ck_assert(!gf_sched_blocked(s, items[1]));
    gf_sched_committed(s, items[1]);
    ck_assert_uint_eq(gf_sched_take(s, GF_LANE_STREAM)->turn, 3);
    gf_sched_free(s);
}
END_TEST

START_TEST(clear__gives_way_to_a_head_that_is_blocked)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_item *head, *later;

    ck_assert(gf_sched_batch(s, batch_of(1, 4), NULL));
    ck_assert(gf_sched_batch(s, batch_of(4, 7), NULL));
    head = gf_sched_take(s, GF_LANE_STREAM);
    later = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert(gf_sched_again(s, head)); /* it ran into a lock */
    ck_assert_int_eq(gf_sched_clear(s, later), GF_TURN_AGAIN);
    gf_sched_committed(s, head);
    ck_assert(gf_sched_again(s, later));
    ck_assert_int_eq(gf_sched_clear(s, later), GF_TURN_COMMIT);
    gf_sched_free(s);
}
END_TEST

START_TEST(take__leaves_a_batch_that_shares_a_claim_with_a_chunk)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_range range = {.table = &safe};
    gf_chunk *c = gf_chunk_new(&range);
    gf_item *chunk;

    c->claims = gf_malloc(sizeof(*c->claims));
    c->claims[0] = 4;
    c->claim_count = 1;
    ck_assert(gf_sched_chunk(s, c, NULL));
    ck_assert(gf_sched_batch(s, batch_of(1, 4), NULL));
    ck_assert(gf_sched_batch(s, batch_of(8, 9), NULL));
    ck_assert_uint_eq(gf_sched_take(s, GF_LANE_STREAM)->turn, 2);
    chunk = gf_sched_take(s, GF_LANE_COPY);
    gf_sched_committed(s, chunk);
    ck_assert_uint_eq(gf_sched_take(s, GF_LANE_STREAM)->turn, 1);
    gf_sched_free(s);
}
END_TEST

/* A busy server is slow with every batch: nobody is in anybody's way then. */
START_TEST(turn__is_patient_where_heads_usually_take_long)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_item *head, *later;

    ck_assert(gf_sched_batch(s, batch_with(1), NULL));
    head = gf_sched_take(s, GF_LANE_STREAM);
    usleep(60000);
    gf_sched_committed(s, head);
    ck_assert(gf_sched_batch(s, batch_with(1), NULL));
    ck_assert(gf_sched_batch(s, batch_with(2), NULL));
    head = gf_sched_take(s, GF_LANE_STREAM);
    later = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert_uint_eq(head->turn, 2);
    uint64_t since = gf_now_ms();
    ck_assert_int_eq(gf_sched_turn(s, later), GF_TURN_AGAIN);
    ck_assert_uint_ge(gf_now_ms() - since, 200);
    gf_sched_free(s);
}
END_TEST

START_TEST(turn__gives_way_when_the_head_does_not_come_through)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_item *head, *later;

    ck_assert(gf_sched_batch(s, batch_with(1), NULL));
    ck_assert(gf_sched_batch(s, batch_with(2), NULL));
    head = gf_sched_take(s, GF_LANE_STREAM);
    later = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert_int_eq(gf_sched_turn(s, later), GF_TURN_AGAIN);
    ck_assert_int_eq(gf_sched_turn(s, head), GF_TURN_COMMIT);
    gf_sched_committed(s, head);
    ck_assert(gf_sched_again(s, later));
    ck_assert_int_eq(gf_sched_turn(s, later), GF_TURN_COMMIT);
    gf_sched_free(s);
}
END_TEST

static gf_batch *piece(bool begins, bool ends, uint64_t id)
{
    gf_batch *b = batch_with(id);

    b->begins = begins;
    b->ends = ends;
    b->transactions = id;
    b->bytes = 600;
    return b;
}

static void *submit_pieces(void *arg)
{
    gf_sched *s = arg;

    for (uint64_t i = 1; i <= 20; i++) /* 12,000 bytes through a memory of 1,000 */
        ck_assert(gf_sched_batch(s, piece(i == 1, i == 20, i), NULL));
    ck_assert(gf_sched_batch(s, batch_with(99), NULL));
    return NULL;
}

START_TEST(piece__comes_one_after_the_other_in_bounded_memory)
{
    gf_sched *s = gf_sched_new(2, 1000);
    gf_item *large;
    pthread_t submitter;
    uint64_t next = 1;
    unsigned retries;

    pthread_create(&submitter, NULL, submit_pieces, s);
    large = gf_sched_take(s, GF_LANE_STREAM);
    for (;;) {
        ck_assert_uint_eq(large->batch->transactions, next++);
        ck_assert_uint_le(gf_sched_bytes(s, &retries), 1200);
        if (large->batch->ends)
            break;
        ck_assert(gf_sched_piece(s, large));
    }
    ck_assert_uint_eq(next, 21);
    ck_assert_int_eq(gf_sched_turn(s, large), GF_TURN_COMMIT);
    gf_sched_committed(s, large);
    pthread_join(submitter, NULL);
    large = gf_sched_take(s, GF_LANE_STREAM);
    ck_assert_uint_eq(large->turn, 2);
    gf_sched_committed(s, large);
    ck_assert_uint_eq(gf_sched_bytes(s, &retries), 0);
    gf_sched_free(s);
}
END_TEST

static void *fail_soon(void *arg)
{
    gf_error err = {.kind = GF_ERR_RETRY, .text = "the link broke"};

    usleep(20000);
    gf_sched_fail(arg, &err);
    return NULL;
}

START_TEST(fail__wakes_whoever_waits_with_the_first_error)
{
    gf_sched *s = gf_sched_new(2, 15);
    gf_error err = {0};
    pthread_t other;

    ck_assert(gf_sched_batch(s, batch_with(1), NULL));
    pthread_create(&other, NULL, fail_soon, s);
    ck_assert(!gf_sched_batch(s, batch_with(2), &err)); /* no room */
    ck_assert_int_eq(err.kind, GF_ERR_RETRY);
    ck_assert_str_eq(err.text, "the link broke");
    ck_assert(!gf_sched_drain(s, &err));
    ck_assert_ptr_null(gf_sched_take(s, GF_LANE_STREAM));
    pthread_join(other, NULL);
    gf_sched_free(s);
}
END_TEST

START_TEST(take_small__leaves_what_is_large_or_not_ready)
{
    gf_sched *s = gf_sched_new(1, 1000);
    gf_range ranges[2] = {{.table = &safe, .index = 0}, {.table = &safe, .index = 1}};
    gf_range loose = {.table = &unsafe};
    const size_t bytes[] = {10, 20, 30}; /* the second follows the first in its range */
    gf_chunk *c;
    gf_item *item;

    for (unsigned i = 0; i < 3; i++) {
        c = gf_chunk_new(&ranges[i / 2]);
        c->bytes = bytes[i];
        ck_assert(gf_sched_chunk(s, c, NULL));
    }
    item = gf_sched_take(s, GF_LANE_COPY);
    ck_assert_uint_eq(item->bytes, 10);
    ck_assert_ptr_null(gf_sched_take_small(s, 29));
    ck_assert_uint_eq(gf_sched_take_small(s, 30)->bytes, 30);
    ck_assert_ptr_null(gf_sched_take_small(s, 1000));
    gf_sched_committed(s, item);
    ck_assert_uint_eq(gf_sched_take_small(s, 1000)->bytes, 20);
    c = gf_chunk_new(&loose);
    ck_assert(gf_sched_chunk(s, c, NULL));
    ck_assert_ptr_null(gf_sched_take_small(s, 1000)); /* what cannot be rolled back is not written with others */
    gf_sched_free(s);
}
END_TEST

START_TEST(stop__is_no_failure)
{
    gf_sched *s = gf_sched_new(1, 100);
    gf_error err = {.kind = GF_ERR_RETRY};

    gf_sched_stop(s);
    gf_sched_fail(s, &err);
    ck_assert(!gf_sched_failed(s, &err));
    ck_assert(!gf_sched_batch(s, batch_with(1), &err));
    ck_assert_int_eq(err.kind, GF_ERR_STOPPED);
    gf_sched_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tc = tcase_create("all");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, scheduler__equals_serial_application_with_many_writers, 0, 4);
    tcase_add_test(tc, scheduler__equals_serial_application_with_one_writer);
    tcase_add_test(tc, take__keeps_the_last_writer_for_the_head);
    tcase_add_test(tc, take__leaves_a_batch_that_shares_a_claim_with_a_chunk);
    tcase_add_test(tc, clear__lets_go_when_those_before_are_committed);
    tcase_add_test(tc, clear__gives_way_to_a_head_that_is_blocked);
    tcase_add_test(tc, turn__is_patient_where_heads_usually_take_long);
    tcase_add_test(tc, turn__gives_way_when_the_head_does_not_come_through);
    tcase_add_test(tc, piece__comes_one_after_the_other_in_bounded_memory);
    tcase_add_test(tc, fail__wakes_whoever_waits_with_the_first_error);
    tcase_add_test(tc, take_small__leaves_what_is_large_or_not_ready);
    tcase_add_test(tc, stop__is_no_failure);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

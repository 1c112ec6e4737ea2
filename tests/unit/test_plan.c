/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "../../src/copier/plan.h"
#include "run_suite.h"

static const gf_slice none = {NULL, 0};

/* A table `name` with one column and a key on it; identity -1 when keyless. */
typedef struct {
    gf_table table;
    gf_column column;
    gf_key_part part;
    gf_key key;
} fixture;

static const gf_table *make_table(fixture *f, const char *type, int identity)
{
    *f = (fixture){0};
    f->column = (gf_column){.name = (char *)"id", .type_text = (char *)type};
    f->key = (gf_key){.name = (char *)"PRIMARY", .parts = &f->part, .part_count = 1};
    f->table = (gf_table){.db = (char *)"d",
                          .name = (char *)"t",
                          .columns = &f->column,
                          .column_count = 1,
                          .keys = &f->key,
                          .key_count = 1,
                          .identity = identity};
    return &f->table;
}

static gf_range *add(gf_plan *p, const gf_table *t, unsigned index)
{
    return gf_plan_add(p, t, index, none, none, none, false, 0);
}

static bool cursor_is(gf_plan *p, gf_range *r, const char *expected)
{
    gf_buf cursor = {0};
    const gf_table *t;
    bool again, same;

    gf_plan_next(&cursor, &t, &again, p, r);
    same = gf_slice_eq(gf_slice_of(cursor.data, cursor.len), gf_slice_str(expected));
    gf_buf_free(&cursor);
    return same;
}

START_TEST(take__gives_each_range_once)
{
    gf_plan *p = gf_plan_new();
    fixture f;
    gf_range *a = add(p, make_table(&f, "int", 0), 0), *b = add(p, &f.table, 1);

    ck_assert_ptr_eq(gf_plan_take(p), a);
    ck_assert_ptr_eq(gf_plan_take(p), b);
    ck_assert_ptr_null(gf_plan_take(p));
    gf_plan_release(p, a);
    ck_assert_ptr_eq(gf_plan_take(p), a);
    gf_plan_free(p);
}
END_TEST

START_TEST(take__gives_no_range_that_is_read_done_or_keyless)
{
    gf_plan *p = gf_plan_new();
    fixture keyed, keyless;
    gf_range *read = add(p, make_table(&keyed, "int", 0), 0);

    gf_plan_add(p, &keyed.table, 1, none, none, gf_slice_str("k"), true, 10);
    add(p, make_table(&keyless, "int", -1), 0);
    gf_plan_advance(p, read, gf_slice_str("z"), true);
    ck_assert_ptr_null(gf_plan_take(p));
    ck_assert(gf_plan_keyed_read(p));
    ck_assert(!gf_plan_all_read(p));
    gf_plan_free(p);
}
END_TEST

START_TEST(put_back__makes_a_read_range_free_again)
{
    gf_plan *p = gf_plan_new();
    fixture f;
    gf_range *r = add(p, make_table(&f, "int", 0), 0);
    gf_buf cursor = {0};
    const gf_table *t;
    bool again;

    ck_assert_ptr_eq(gf_plan_take(p), r);
    gf_plan_advance(p, r, gf_slice_str("m"), false);
    gf_plan_advance(p, r, gf_slice_str("z"), true);
    gf_plan_release(p, r);
    ck_assert(gf_plan_all_read(p));
    gf_plan_put_back(p, r, gf_slice_str("m"));
    ck_assert(!gf_plan_all_read(p));
    ck_assert_ptr_eq(gf_plan_take(p), r);
    ck_assert(gf_plan_next(&cursor, &t, &again, p, r));
    ck_assert(again);
    ck_assert(gf_plan_next(&cursor, &t, &again, p, r));
    ck_assert(!again);
    ck_assert(gf_slice_eq(gf_slice_of(cursor.data, cursor.len), gf_slice_str("m")));
    gf_buf_free(&cursor);
    gf_plan_free(p);
}
END_TEST

START_TEST(committed__moves_the_frontier_and_ends_with_the_last_chunk)
{
    gf_plan *p = gf_plan_new();
    fixture f;
    gf_range *r = add(p, make_table(&f, "int", 0), 0);

    gf_plan_advance(p, r, gf_slice_str("z"), true);
    gf_plan_committed(p, r, gf_slice_str("m"), false, 5);
    ck_assert(!gf_plan_done(p));
    gf_plan_committed(p, r, none, true, 0); /* an empty last chunk keeps the frontier */
    ck_assert(gf_plan_done(p));
    ck_assert(gf_slice_eq(gf_slice_of(r->frontier.data, r->frontier.len), gf_slice_str("m")));
    ck_assert_uint_eq(r->rows, 5);
    gf_plan_free(p);
}
END_TEST

START_TEST(rewind__goes_back_to_what_is_committed)
{
    gf_plan *p = gf_plan_new();
    fixture f;
    gf_range *r = add(p, make_table(&f, "int", 0), 0);

    ck_assert_ptr_eq(gf_plan_take(p), r);
    gf_plan_advance(p, r, gf_slice_str("m"), false);
    gf_plan_advance(p, r, gf_slice_str("z"), true);
    gf_plan_committed(p, r, gf_slice_str("m"), false, 3);
    gf_plan_rewind(p);
    ck_assert(!gf_plan_all_read(p));
    ck_assert(cursor_is(p, r, "m"));
    ck_assert_ptr_eq(gf_plan_take(p), r);
    gf_plan_free(p);
}
END_TEST

START_TEST(renew__keeps_ranges_when_the_identity_is_the_same)
{
    gf_plan *p = gf_plan_new();
    fixture old, now;
    gf_range *r = gf_plan_add(p, make_table(&old, "int", 0), 1, gf_slice_str("a"), none, gf_slice_str("k"), false, 4);

    ck_assert(gf_plan_renew(p, &old.table, make_table(&now, "int", 0), true));
    ck_assert_ptr_eq(r->table, &now.table);
    ck_assert(cursor_is(p, r, "k"));
    ck_assert_uint_eq(r->lower.len, 1);
    gf_plan_free(p);
}
END_TEST

START_TEST(renew__starts_anew_when_the_identity_changed)
{
    gf_plan *p = gf_plan_new();
    fixture old, now;
    gf_range *first =
        gf_plan_add(p, make_table(&old, "int", 0), 0, none, gf_slice_str("g"), gf_slice_str("g"), true, 9);
    gf_range *second = gf_plan_add(p, &old.table, 1, gf_slice_str("g"), none, gf_slice_str("k"), false, 4);

    ck_assert(!gf_plan_renew(p, &old.table, make_table(&now, "bigint", 0), true));
    ck_assert(second->done && second->gone);
    ck_assert(!first->done && !first->gone);
    ck_assert_ptr_null(first->upper.data);
    ck_assert(cursor_is(p, first, ""));
    ck_assert_ptr_eq(gf_plan_take(p), first);
    ck_assert(!gf_plan_done(p));
    gf_plan_committed(p, first, gf_slice_str("z"), true, 1);
    ck_assert(gf_plan_done(p));
    gf_plan_free(p);
}
END_TEST

static void none_is_left(void *ctx, const gf_range *r)
{
    (void)ctx;
    ck_abort_msg("range %u is still in the list", r->index);
}

START_TEST(renew__keeps_a_table_that_is_wholly_copied)
{
    gf_plan *p = gf_plan_new();
    fixture old, now;
    gf_range *first =
        gf_plan_add(p, make_table(&old, "int", 0), 0, none, gf_slice_str("g"), gf_slice_str("g"), true, 9);
    gf_range *second = gf_plan_add(p, &old.table, 1, gf_slice_str("g"), none, gf_slice_str("k"), true, 4);

    ck_assert(gf_plan_whole(p, &old.table));
    ck_assert(!gf_plan_renew(p, &old.table, make_table(&now, "bigint", 0), true));
    ck_assert(first->done && !first->gone && second->gone);
    ck_assert_ptr_null(first->upper.data);
    ck_assert_uint_eq(first->frontier.len, 0);
    ck_assert(gf_plan_done(p));
    ck_assert_ptr_null(gf_plan_take(p));
    gf_plan_free(p);
}
END_TEST

START_TEST(renew__ends_the_ranges_of_a_dropped_table)
{
    gf_plan *p = gf_plan_new();
    fixture f;

    add(p, make_table(&f, "int", 0), 0);
    ck_assert(!gf_plan_whole(p, &f.table));
    ck_assert(gf_plan_renew(p, &f.table, NULL, true));
    ck_assert(gf_plan_done(p));
    gf_plan_each(p, none_is_left, NULL);
    ck_assert_ptr_null(gf_plan_take(p));
    gf_plan_free(p);
}
END_TEST

static void count_range(void *ctx, const gf_range *r)
{
    unsigned *seen = ctx;

    ck_assert_uint_eq(r->index, *seen);
    ++*seen;
}

START_TEST(each__goes_in_the_order_of_adding)
{
    gf_plan *p = gf_plan_new();
    fixture f;
    unsigned seen = 0;

    make_table(&f, "int", 0);
    for (unsigned i = 0; i < 100; i++)
        add(p, &f.table, i);
    gf_plan_each(p, count_range, &seen);
    ck_assert_uint_eq(seen, 100);
    gf_plan_free(p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *all = tcase_create("all");

    tcase_add_test(all, take__gives_each_range_once);
    tcase_add_test(all, take__gives_no_range_that_is_read_done_or_keyless);
    tcase_add_test(all, put_back__makes_a_read_range_free_again);
    tcase_add_test(all, committed__moves_the_frontier_and_ends_with_the_last_chunk);
    tcase_add_test(all, rewind__goes_back_to_what_is_committed);
    tcase_add_test(all, renew__keeps_ranges_when_the_identity_is_the_same);
    tcase_add_test(all, renew__starts_anew_when_the_identity_changed);
    tcase_add_test(all, renew__keeps_a_table_that_is_wholly_copied);
    tcase_add_test(all, renew__ends_the_ranges_of_a_dropped_table);
    tcase_add_test(all, each__goes_in_the_order_of_adding);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}

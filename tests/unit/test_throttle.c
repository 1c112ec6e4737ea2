/* SPDX-License-Identifier: MIT */
#include <check.h>

#include "../../src/copier/throttle.h"
#include "run_suite.h"

enum { LIMIT = 4, OURS = 2 };

START_TEST(throttle__never_asks_without_a_limit)
{
    gf_throttle *t = gf_throttle_new(0);

    ck_assert(!gf_throttle_asks(t, 1000));
    ck_assert(gf_throttle_begin(t, 1000));
    gf_throttle_end(t, 1100, 100);
    ck_assert(gf_throttle_begin(t, 1100));
    gf_throttle_free(t);
}
END_TEST

START_TEST(throttle__asks_ten_times_a_second_whoever_comes)
{
    gf_throttle *t = gf_throttle_new(LIMIT);

    ck_assert(gf_throttle_asks(t, 1000));
    ck_assert(!gf_throttle_asks(t, 1099));
    ck_assert(gf_throttle_asks(t, 1100));
    gf_throttle_free(t);
}
END_TEST

START_TEST(throttle__does_not_count_our_own_sessions)
{
    gf_throttle *t = gf_throttle_new(LIMIT);

    ck_assert(gf_throttle_begin(t, 1000));
    ck_assert(gf_throttle_begin(t, 1000));
    gf_throttle_answer(t, LIMIT + OURS + 2);
    ck_assert(gf_throttle_begin(t, 1000));
    gf_throttle_answer(t, LIMIT + OURS + 4);
    ck_assert(!gf_throttle_begin(t, 1000));
    gf_throttle_answer(t, 0);
    ck_assert(gf_throttle_begin(t, 1000));
    gf_throttle_free(t);
}
END_TEST

START_TEST(throttle__lets_one_read_and_rest_while_the_source_is_busy)
{
    gf_throttle *t = gf_throttle_new(LIMIT);

    gf_throttle_answer(t, 100);
    ck_assert(gf_throttle_begin(t, 1000));
    ck_assert(!gf_throttle_begin(t, 1000));
    gf_throttle_end(t, 1050, 50);
    ck_assert(!gf_throttle_begin(t, 1499));
    ck_assert(gf_throttle_begin(t, 1500));
    gf_throttle_end(t, 1600, 100);
    gf_throttle_answer(t, OURS);
    ck_assert(gf_throttle_begin(t, 1600));
    gf_throttle_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("throttle");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, throttle__never_asks_without_a_limit);
    tcase_add_test(tc, throttle__asks_ten_times_a_second_whoever_comes);
    tcase_add_test(tc, throttle__does_not_count_our_own_sessions);
    tcase_add_test(tc, throttle__lets_one_read_and_rest_while_the_source_is_busy);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

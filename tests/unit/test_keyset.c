/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/copier/keyset.h"
#include "run_suite.h"

static gf_slice key_of(char *buf, unsigned n)
{
    return gf_slice_of(buf, (size_t)snprintf(buf, 32, "key-%u", n));
}

START_TEST(stamp__is_zero_for_what_never_passed)
{
    gf_keyset s = {0};

    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_str("a")), 0);
    gf_keyset_touch(&s, gf_slice_str("b"), 1);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_str("a")), 0);
    gf_keyset_free(&s);
}
END_TEST

START_TEST(touch__keeps_the_latest_stamp_and_one_copy)
{
    gf_keyset s = {0};

    gf_keyset_touch(&s, gf_slice_str("a"), 1);
    gf_keyset_touch(&s, gf_slice_str("a"), 7);
    ck_assert_uint_eq(s.count, 1);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_str("a")), 7);
    gf_keyset_free(&s);
}
END_TEST

START_TEST(touch__tells_keys_apart_by_their_bytes)
{
    gf_keyset s = {0};

    gf_keyset_touch(&s, gf_slice_of("a\0b", 3), 1);
    gf_keyset_touch(&s, gf_slice_of("a\0c", 3), 2);
    gf_keyset_touch(&s, gf_slice_of("a", 1), 3);
    gf_keyset_touch(&s, gf_slice_of("", 0), 4);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_of("a\0b", 3)), 1);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_of("a\0c", 3)), 2);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_of("a", 1)), 3);
    ck_assert_uint_eq(gf_keyset_stamp(&s, gf_slice_of("", 0)), 4);
    gf_keyset_free(&s);
}
END_TEST

/* Against a plain array, through many growths. */
START_TEST(touch__agrees_with_a_plain_array)
{
    enum { KEYS = 5000, STEPS = 40000 };
    uint64_t *expected = calloc(KEYS, sizeof *expected);
    gf_keyset s = {0};
    char buf[32];

    srand(7);
    for (unsigned i = 1; i <= STEPS; i++) {
        unsigned n = (unsigned)rand() % KEYS;

        gf_keyset_touch(&s, key_of(buf, n), i);
        expected[n] = i;
    }
    for (unsigned n = 0; n < KEYS; n++)
        ck_assert_uint_eq(gf_keyset_stamp(&s, key_of(buf, n)), expected[n]);
    gf_keyset_free(&s);
    free(expected);
}
END_TEST

START_TEST(purge__forgets_only_what_is_older)
{
    gf_keyset s = {0};
    char buf[32];
    size_t before;

    for (unsigned n = 1; n <= 1000; n++)
        gf_keyset_touch(&s, key_of(buf, n), n);
    before = gf_keyset_bytes(&s);
    gf_keyset_purge(&s, 901);
    ck_assert_uint_eq(s.count, 100);
    ck_assert_uint_lt(gf_keyset_bytes(&s), before / 4);
    ck_assert_uint_eq(gf_keyset_stamp(&s, key_of(buf, 900)), 0);
    ck_assert_uint_eq(gf_keyset_stamp(&s, key_of(buf, 901)), 901);
    gf_keyset_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyset");
    TCase *all = tcase_create("all");

    tcase_add_test(all, stamp__is_zero_for_what_never_passed);
    tcase_add_test(all, touch__keeps_the_latest_stamp_and_one_copy);
    tcase_add_test(all, touch__tells_keys_apart_by_their_bytes);
    tcase_add_test(all, touch__agrees_with_a_plain_array);
    tcase_add_test(all, purge__forgets_only_what_is_older);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}

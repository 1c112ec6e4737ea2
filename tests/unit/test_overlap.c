/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "../../src/target/overlap.h"
#include "run_suite.h"

/* A change with its claims; 0 ends them. */
static void change(gf_batch *b, uint64_t first, uint64_t second, uint64_t third)
{
    const uint64_t claims[] = {first, second, third};
    gf_change *c = gf_batch_add(b);

    c->claims_from = b->claim_count;
    for (int i = 0; i < 3 && claims[i] != 0; i++)
        gf_batch_claim(b, &claims[i], 1);
    c->claims_to = b->claim_count;
}

static void expect(const gf_batch *b, uint64_t contested, const char *held)
{
    bool *found = gf_overlap(b, &contested, 1);

    for (size_t i = 0; i < b->count; i++)
        ck_assert_msg(found[i] == (held[i] == 'x'), "change %zu with %d contested", i, (int)contested);
    free(found);
}

START_TEST(overlap__holds_all_changes_of_a_row)
{
    gf_batch *b = gf_batch_new();

    change(b, 1, 0, 0);
    change(b, 2, 0, 0);
    change(b, 1, 0, 0);
    expect(b, 1, "x-x");
    expect(b, 2, "-x-");
    expect(b, 3, "---");
    gf_batch_free(b);
}
END_TEST

/* Row 1 gives up the unique value 11, row 2 takes it and gives up 12, which row 3 takes. */
START_TEST(overlap__follows_unique_values_both_ways)
{
    gf_batch *b = gf_batch_new();

    change(b, 1, 11, 0);
    change(b, 2, 12, 11);
    change(b, 3, 12, 0);
    change(b, 4, 13, 0);
    expect(b, 1, "xxx-");
    expect(b, 3, "xxx-");
    expect(b, 12, "xxx-");
    expect(b, 13, "---x");
    gf_batch_free(b);
}
END_TEST

START_TEST(overlap__holds_what_has_no_claims)
{
    gf_batch *b = gf_batch_new();

    change(b, 1, 0, 0);
    change(b, 0, 0, 0);
    expect(b, 2, "-x");
    gf_batch_free(b);
}
END_TEST

/* Each link is found only after the one behind it. */
START_TEST(overlap__follows_a_chain_that_leads_back)
{
    gf_batch *b = gf_batch_new();
    char held[101] = {0};

    for (uint64_t i = 0; i < 100; i++) {
        change(b, i + 1, i + 2, 0);
        held[i] = 'x';
    }
    expect(b, 101, held);
    expect(b, 1, held);
    gf_batch_free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("overlap");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, overlap__holds_all_changes_of_a_row);
    tcase_add_test(tc, overlap__follows_unique_values_both_ways);
    tcase_add_test(tc, overlap__holds_what_has_no_claims);
    tcase_add_test(tc, overlap__follows_a_chain_that_leads_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

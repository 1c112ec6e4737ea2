/* SPDX-License-Identifier: MIT */
/* What is selected, and its names on the target. */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/catalog.h"
#include "run_suite.h"

static char *shop_only[] = {"shop"};
static char *logs[] = {"logs", "tmp"};
static char *from[] = {"shop"};
static char *to[] = {"store"};

START_TEST(filter__selects_all_but_the_servers_own_schemas_when_empty)
{
    gf_filter f = {0};

    ck_assert(gf_filter_db(&f, "shop"));
    ck_assert(!gf_filter_db(&f, "mysql"));
    ck_assert(!gf_filter_db(&f, "information_schema"));
    ck_assert(!gf_filter_db(&f, "INFORMATION_SCHEMA"));
    ck_assert(!gf_filter_db(&f, "performance_schema"));
    ck_assert(!gf_filter_db(&f, "sys"));
}
END_TEST

START_TEST(filter__never_selects_a_system_schema_even_when_whitelisted)
{
    char *names[] = {"mysql", "_gfreplica"};
    gf_filter f = {.db_whitelist = {names, 2}};

    ck_assert(!gf_filter_db(&f, "mysql"));
    ck_assert(!gf_filter_db(&f, "_gfreplica"));
}
END_TEST

START_TEST(filter__leaves_out_the_marker_database_under_its_configured_name)
{
    gf_filter f = {.marker_db = "moves"};

    ck_assert(!gf_filter_db(&f, "moves"));
    ck_assert(gf_filter_db(&f, "_gfreplica"));
}
END_TEST

START_TEST(filter__combines_database_and_table_lists)
{
    gf_filter f = {.db_whitelist = {shop_only, 1}, .table_blacklist = {logs, 2}};

    ck_assert(gf_filter_table(&f, "shop", "orders"));
    ck_assert(!gf_filter_table(&f, "shop", "tmp"));
    ck_assert(!gf_filter_table(&f, "other", "orders"));
}
END_TEST

START_TEST(filter__lets_the_blacklist_win_over_the_whitelist)
{
    gf_filter f = {.table_whitelist = {logs, 2}, .table_blacklist = {logs, 1}};

    ck_assert(!gf_filter_table(&f, "shop", "logs"));
    ck_assert(gf_filter_table(&f, "shop", "tmp"));
    ck_assert(!gf_filter_table(&f, "shop", "orders"));
}
END_TEST

START_TEST(filter__compares_names_exactly_unless_the_server_folds_case)
{
    gf_filter f = {.db_whitelist = {shop_only, 1}, .db_renames = {from, to, 1}};

    ck_assert(!gf_filter_db(&f, "Shop"));
    ck_assert_str_eq(gf_filter_target_db(&f, "Shop"), "Shop");
    f.fold_case = true;
    ck_assert(gf_filter_db(&f, "Shop"));
    ck_assert_str_eq(gf_filter_target_db(&f, "Shop"), "store");
}
END_TEST

START_TEST(filter__renames_what_is_listed_and_nothing_else)
{
    gf_filter f = {.db_renames = {from, to, 1}, .table_renames = {from, to, 1}};

    ck_assert_str_eq(gf_filter_target_db(&f, "shop"), "store");
    ck_assert_str_eq(gf_filter_target_db(&f, "shop2"), "shop2");
    ck_assert_str_eq(gf_filter_target_table(&f, "shop"), "store");
    ck_assert_str_eq(gf_filter_target_table(&f, "a`b.c"), "a`b.c");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("filter");
    TCase *tc = tcase_create("filter");

    tcase_add_test(tc, filter__selects_all_but_the_servers_own_schemas_when_empty);
    tcase_add_test(tc, filter__never_selects_a_system_schema_even_when_whitelisted);
    tcase_add_test(tc, filter__leaves_out_the_marker_database_under_its_configured_name);
    tcase_add_test(tc, filter__combines_database_and_table_lists);
    tcase_add_test(tc, filter__lets_the_blacklist_win_over_the_whitelist);
    tcase_add_test(tc, filter__compares_names_exactly_unless_the_server_folds_case);
    tcase_add_test(tc, filter__renames_what_is_listed_and_nothing_else);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

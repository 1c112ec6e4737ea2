/* SPDX-License-Identifier: MIT */
/* SHOW GRANTS as both families print it, and what it allows. */
#include <check.h>
#include <stdlib.h>

#include "../../src/job/check_parts.h"
#include "run_suite.h"

static gf_grants grants;

static void clear(void)
{
    gf_grants_free(&grants);
}

START_TEST(grants__on_everything_reach_every_table)
{
    gf_grants_add(&grants, "GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD "
                           "'*B69027D44F6E5EDC07F1AEAD1477967B16F28227'");
    ck_assert(gf_grants_have(&grants, "SELECT", "shop", "orders"));
    ck_assert(gf_grants_have(&grants, "SELECT", NULL, NULL));
    ck_assert(gf_grants_have(&grants, "BINLOG MONITOR", NULL, NULL));
    ck_assert(!gf_grants_have(&grants, "INSERT", "shop", "orders"));
    ck_assert(!gf_grants_have(&grants, "REPLICATION", NULL, NULL));
}
END_TEST

START_TEST(grants__on_a_database_do_not_reach_others)
{
    gf_grants_add(&grants, "GRANT SELECT, INSERT ON `shop`.* TO `u`@`h`");
    ck_assert(gf_grants_have(&grants, "INSERT", "shop", NULL));
    ck_assert(gf_grants_have(&grants, "INSERT", "shop", "orders"));
    ck_assert(!gf_grants_have(&grants, "INSERT", "shop2", NULL));
    ck_assert(!gf_grants_have(&grants, "INSERT", NULL, NULL));
}
END_TEST

START_TEST(grants__take_a_databases_name_as_a_pattern)
{
    gf_grants_add(&grants, "GRANT SELECT ON `my\\_shop%`.* TO `u`@`h`");
    gf_grants_add(&grants, "GRANT INSERT ON `a_b`.* TO `u`@`h`");
    ck_assert(gf_grants_have(&grants, "SELECT", "my_shop", NULL));
    ck_assert(gf_grants_have(&grants, "SELECT", "my_shop_two", NULL));
    ck_assert(!gf_grants_have(&grants, "SELECT", "myxshop", NULL));
    ck_assert(gf_grants_have(&grants, "INSERT", "axb", NULL));
    ck_assert(!gf_grants_have(&grants, "INSERT", "ab", NULL));
}
END_TEST

START_TEST(grants__on_a_table_are_for_it_alone_and_names_may_hold_anything)
{
    gf_grants_add(&grants, "GRANT SELECT ON `sh``op`.`or.ders ON x` TO `u`@`h`");
    ck_assert(gf_grants_have(&grants, "SELECT", "sh`op", "or.ders ON x"));
    ck_assert(!gf_grants_have(&grants, "SELECT", "sh`op", "others"));
    ck_assert(!gf_grants_have(&grants, "SELECT", "sh`op", NULL));
}
END_TEST

START_TEST(grants__on_columns_count_for_nothing)
{
    gf_grants_add(&grants, "GRANT SELECT (`a`, `b) ON c`), INSERT, UPDATE (`x`) ON `shop`.`t` TO `u`@`h`");
    ck_assert(!gf_grants_have(&grants, "SELECT", "shop", "t"));
    ck_assert(gf_grants_have(&grants, "INSERT", "shop", "t"));
    ck_assert(!gf_grants_have(&grants, "UPDATE", "shop", "t"));
}
END_TEST

START_TEST(grants__know_all_privileges_in_both_spellings)
{
    gf_grants_add(&grants, "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`h` WITH GRANT OPTION");
    ck_assert(gf_grants_have(&grants, "DELETE", "shop", NULL));
    ck_assert(!gf_grants_have(&grants, "DELETE", "store", NULL));
}
END_TEST

START_TEST(grants__of_roles_routines_and_proxies_are_none_of_tables)
{
    gf_grants_add(&grants, "GRANT `rr`@`%`,`r ON *.*`@`%` TO `u`@`h`");
    gf_grants_add(&grants, "GRANT `rr` TO `u`@`h`");
    gf_grants_add(&grants, "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION");
    gf_grants_add(&grants, "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`h`");
    gf_grants_add(&grants, "SET DEFAULT ROLE `rr` FOR `u`@`h`");
    gf_grants_add(&grants, "");
    ck_assert_uint_eq(grants.count, 0);
}
END_TEST

START_TEST(grants__are_taken_away_by_a_partial_revoke)
{
    gf_grants_add(&grants, "GRANT SELECT, INSERT ON *.* TO `u`@`h`");
    gf_grants_add(&grants, "REVOKE INSERT ON `hr`.* FROM `u`@`h`");
    ck_assert(gf_grants_have(&grants, "SELECT", "hr", "pay"));
    ck_assert(!gf_grants_have(&grants, "INSERT", "hr", "pay"));
    ck_assert(gf_grants_have(&grants, "INSERT", "shop", NULL));
}
END_TEST

START_TEST(grants__know_dynamic_privileges_with_underscores)
{
    gf_grants_add(&grants, "GRANT BACKUP_ADMIN,FLUSH_TABLES,XA_RECOVER_ADMIN ON *.* TO `u`@`h`");
    ck_assert(gf_grants_have(&grants, "FLUSH TABLES", NULL, NULL));
    ck_assert(gf_grants_have(&grants, "XA RECOVER ADMIN", NULL, NULL));
}
END_TEST

START_TEST(grants__survive_a_line_cut_short_anywhere)
{
    static const char line[] = "GRANT SELECT (`a`), INSERT ON `sh``op`.`t` TO `u`@`h`";

    for (size_t len = 0; len < sizeof line; len++) {
        char *cut = gf_strndup(line, len);

        gf_grants_add(&grants, cut);
        free(cut);
    }
    ck_assert(gf_grants_have(&grants, "INSERT", "sh`op", "t"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("check_grants");
    TCase *tc = tcase_create("check_grants");

    tcase_add_checked_fixture(tc, NULL, clear);
    tcase_add_test(tc, grants__on_everything_reach_every_table);
    tcase_add_test(tc, grants__on_a_database_do_not_reach_others);
    tcase_add_test(tc, grants__take_a_databases_name_as_a_pattern);
    tcase_add_test(tc, grants__on_a_table_are_for_it_alone_and_names_may_hold_anything);
    tcase_add_test(tc, grants__on_columns_count_for_nothing);
    tcase_add_test(tc, grants__know_all_privileges_in_both_spellings);
    tcase_add_test(tc, grants__of_roles_routines_and_proxies_are_none_of_tables);
    tcase_add_test(tc, grants__are_taken_away_by_a_partial_revoke);
    tcase_add_test(tc, grants__know_dynamic_privileges_with_underscores);
    tcase_add_test(tc, grants__survive_a_line_cut_short_anywhere);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

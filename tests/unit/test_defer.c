/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "../../src/target/defer.h"
#include "run_suite.h"

/* e.t with the columns id (AUTO_INCREMENT), a, and v (virtual). */
static gf_table *make(void)
{
    gf_table *t = gf_table_new("d", "t");

    t->columns = gf_calloc(3, sizeof(*t->columns));
    t->column_count = 3;
    t->columns[0] =
        (gf_column){.name = gf_strdup("id"), .type_text = gf_strdup("int"), .type = GF_T_LONG, .auto_increment = true};
    t->columns[1] = (gf_column){.name = gf_strdup("a"), .type_text = gf_strdup("int"), .type = GF_T_LONG};
    t->columns[2] = (gf_column){
        .name = gf_strdup("v"), .type_text = gf_strdup("int"), .type = GF_T_LONG, .generated = GF_GEN_VIRTUAL};
    t->engine = gf_strdup("InnoDB");
    gf_table_finish(t, "e", "t");
    return t;
}

#define TABLE(elements) "CREATE TABLE `e`.`t` (\n  `id` int NOT NULL,\n  `a` int" elements "\n) ENGINE=InnoDB"

static void splits(const char *sql, const gf_references *refs, const gf_names *there, const char *rest,
                   const char *added)
{
    static const gf_references none;
    gf_table *t = make();
    gf_buf create = {0}, add = {0};
    unsigned count = gf_defer_split(&create, &add, t, sql, refs != NULL ? refs : &none, there), wanted = 0;

    for (const char *p = added; (p = strstr(p, "ADD KEY")) != NULL; p++)
        wanted++;
    ck_assert_str_eq(gf_buf_cstr(&create), rest);
    ck_assert_str_eq(gf_buf_cstr(&add), added);
    ck_assert_uint_eq(count, wanted);
    gf_buf_free(&create);
    gf_buf_free(&add);
    gf_table_free(t);
}

START_TEST(split__plain_keys_follow_and_the_rest_stays)
{
    splits(TABLE(",\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`a`),\n  KEY `k` (`a`),\n  KEY `l` (`a` DESC,`b`(10)) "
                 "COMMENT 'a, (b) \\'c'' `d`' /*!80000 INVISIBLE */,\n  CONSTRAINT `c` CHECK ((`a` > 0))"),
           NULL, NULL, TABLE(",\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`a`),\n  CONSTRAINT `c` CHECK ((`a` > 0))"),
           "ADD KEY `k` (`a`), ADD KEY `l` (`a` DESC,`b`(10)) COMMENT 'a, (b) \\'c'' `d`' /*!80000 INVISIBLE */");
}
END_TEST

START_TEST(split__nothing_follows_where_there_is_no_plain_key)
{
    splits(TABLE(""), NULL, NULL, TABLE(""), "");
    splits(TABLE(",\n  PRIMARY KEY (`id`)\n/*!50100 PARTITION BY KEY (`id`) */"), NULL, NULL,
           TABLE(",\n  PRIMARY KEY (`id`)\n/*!50100 PARTITION BY KEY (`id`) */"), "");
}
END_TEST

START_TEST(split__a_key_that_stays_keeps_those_before_it)
{
    splits(TABLE(",\n  KEY `k` (`a`),\n  SPATIAL KEY `s` (`g`),\n  KEY `l` (`a`),\n  KEY `f` ((`a` + 1))"), NULL, NULL,
           TABLE(",\n  KEY `k` (`a`),\n  SPATIAL KEY `s` (`g`),\n  KEY `f` ((`a` + 1))"), "ADD KEY `l` (`a`)");
    splits(TABLE(",\n  KEY `k` (`a`),\n  SPATIAL KEY `s` (`g`)"), NULL, NULL,
           TABLE(",\n  KEY `k` (`a`),\n  SPATIAL KEY `s` (`g`)"), "");
    splits(TABLE(",\n  KEY `v` (`v`),\n  KEY `k` (`a`),\n  KEY `id` (`id`),\n  KEY `l` (`v`),\n  KEY `m` (`a`)"), NULL,
           NULL, TABLE(",\n  KEY `v` (`v`),\n  KEY `k` (`a`),\n  KEY `id` (`id`)"),
           "ADD KEY `l` (`v`), ADD KEY `m` (`a`)");
}
END_TEST

START_TEST(split__a_key_over_an_expression_keeps_those_over_virtual_columns)
{
    splits(TABLE(",\n  KEY `k` (`a`),\n  KEY `u` (`a`,`v`),\n  KEY `f` ((`a` + 1)),\n  KEY `v` (`v`)"), NULL, NULL,
           TABLE(",\n  KEY `u` (`a`,`v`),\n  KEY `f` ((`a` + 1))"), "ADD KEY `k` (`a`), ADD KEY `v` (`v`)");
    splits(TABLE(",\n  KEY `k` (`b`(9),`v`),\n  KEY `l` (`b`(9),`a`),\n  KEY `m` (`b`(10),(lower(`b`)))"), NULL, NULL,
           TABLE(",\n  KEY `k` (`b`(9),`v`),\n  KEY `m` (`b`(10),(lower(`b`)))"), "ADD KEY `l` (`b`(9),`a`)");
    splits(TABLE(",\n  KEY `k` (`a`),\n  KEY `m` (`a`,(lower(`b`)))"), NULL, NULL,
           TABLE(",\n  KEY `m` (`a`,(lower(`b`)))"), "ADD KEY `k` (`a`)");
}
END_TEST

START_TEST(split__fulltext_keys_stay_but_are_sorted_last_anyway)
{
    splits(TABLE(",\n  KEY `k` (`a`),\n  FULLTEXT KEY `f` (`b`) /*!50100 WITH PARSER `ngram` */"), NULL, NULL,
           TABLE(",\n  FULLTEXT KEY `f` (`b`) /*!50100 WITH PARSER `ngram` */"), "ADD KEY `k` (`a`)");
}
END_TEST

START_TEST(split__the_counters_key_stays)
{
    splits(TABLE(",\n  KEY `id` (`id`),\n  KEY `both` (`a`,`id`),\n  KEY `k` (`a`)"), NULL, NULL,
           TABLE(",\n  KEY `id` (`id`),\n  KEY `both` (`a`,`id`)"), "ADD KEY `k` (`a`)");
}
END_TEST

START_TEST(split__keys_of_foreign_keys_stay_on_either_side)
{
    gf_references refs = {0};
    gf_table *t = make();

    splits(TABLE(",\n  KEY `f` (`a`),\n  KEY `k` (`b`),\n  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `p` (`id`)"),
           NULL, NULL, TABLE(",\n  KEY `f` (`a`),\n  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `p` (`id`)"),
           "ADD KEY `k` (`b`)");
    gf_references_add(&refs, t, TABLE(",\n  CONSTRAINT `c` FOREIGN KEY (`x`,`y`) REFERENCES `t` (`b`,`c`)"));
    gf_references_add(&refs, t, TABLE(",\n  CONSTRAINT `c` FOREIGN KEY (`x`) REFERENCES `other`.`t` (`d`)"));
    ck_assert_uint_eq(refs.count, 3);
    ck_assert_str_eq(refs.items[2].db, "other");
    splits(TABLE(",\n  KEY `k` (`b`),\n  KEY `l` (`d`)"), &refs, NULL, TABLE(",\n  KEY `k` (`b`)"),
           "ADD KEY `l` (`d`)");
    gf_references_free(&refs);
    gf_table_free(t);
}
END_TEST

START_TEST(split__what_is_there_is_not_added_again)
{
    char *names[] = {(char *)"K", (char *)"we`ird,\n  KEY"};
    const gf_names there = {names, 2};

    splits(TABLE(",\n  KEY `k` (`a`),\n  KEY `we``ird,\n  KEY` (`a`),\n  KEY `l` (`a`)"), NULL, &there, TABLE(""),
           "ADD KEY `l` (`a`)");
}
END_TEST

START_TEST(split__texts_and_names_that_look_like_keys_are_none)
{
    splits(TABLE(" DEFAULT '),\n  KEY `x` (`a`)' COMMENT ',\n  KEY',\n  `KEY` int,\n  KEY `k` (`KEY`)"), NULL, NULL,
           TABLE(" DEFAULT '),\n  KEY `x` (`a`)' COMMENT ',\n  KEY',\n  `KEY` int"), "ADD KEY `k` (`KEY`)");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("defer");
    TCase *tc = tcase_create("split");

    tcase_add_test(tc, split__plain_keys_follow_and_the_rest_stays);
    tcase_add_test(tc, split__nothing_follows_where_there_is_no_plain_key);
    tcase_add_test(tc, split__a_key_that_stays_keeps_those_before_it);
    tcase_add_test(tc, split__a_key_over_an_expression_keeps_those_over_virtual_columns);
    tcase_add_test(tc, split__fulltext_keys_stay_but_are_sorted_last_anyway);
    tcase_add_test(tc, split__the_counters_key_stays);
    tcase_add_test(tc, split__keys_of_foreign_keys_stay_on_either_side);
    tcase_add_test(tc, split__what_is_there_is_not_added_again);
    tcase_add_test(tc, split__texts_and_names_that_look_like_keys_are_none);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

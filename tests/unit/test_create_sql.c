/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/target.h"
#include "run_suite.h"

static const gf_server_info mysql9 = {.flavor = GF_FLAVOR_MYSQL, .version = 90704, .version_text = "9.7.4"};
static const gf_server_info mysql57 = {.flavor = GF_FLAVOR_MYSQL, .version = 50744, .version_text = "5.7.44"};
static const gf_server_info maria10 = {.flavor = GF_FLAVOR_MARIADB, .version = 101119, .version_text = "10.11.19"};

static char *from_db[] = {(char *)"d"}, *to_db[] = {(char *)"e"};
static char *from_name[] = {(char *)"p"}, *to_name[] = {(char *)"q"};
static char *from_collation[] = {(char *)"utf8mb4_0900_ai_ci"}, *to_collation[] = {(char *)"utf8mb4_unicode_ci"};

static gf_config config;
static gf_error err;

static void setup(void)
{
    config = (gf_config){0};
    config.filter.db_renames = (gf_renames){from_db, to_db, 1};
    config.filter.table_renames = (gf_renames){from_name, to_name, 1};
    config.map_collation = (gf_renames){from_collation, to_collation, 1};
}

/* d.t with the columns a (INT) and x (TEXT, latin1_swedish_ci). */
static gf_table *make(const char *create)
{
    gf_table *t = gf_table_new("d", "t");

    t->columns = gf_calloc(2, sizeof(*t->columns));
    t->column_count = 2;
    t->columns[0] = (gf_column){.name = gf_strdup("a"), .type_text = gf_strdup("int"), .type = GF_T_LONG};
    t->columns[1] = (gf_column){.name = gf_strdup("x"), .type_text = gf_strdup("text"), .type = GF_T_TEXT};
    t->columns[1].charset = gf_strdup("latin1");
    t->columns[1].collation = gf_strdup("latin1_swedish_ci");
    t->collation = gf_strdup("utf8mb4_general_ci");
    t->engine = gf_strdup("InnoDB");
    t->create_sql = gf_strdup(create);
    gf_table_finish(t, "e", "t");
    return t;
}

static void rewrite(const char *create, const gf_server_info *source, const gf_server_info *target,
                    const char *expected)
{
    gf_table *t = make(create);
    char *sql = NULL;

    ck_assert_msg(gf_target_create_sql(&sql, t, &config, source, target, &err), "%s", err.text);
    ck_assert_str_eq(sql, expected);
    free(sql);
    gf_table_free(t);
}

static void refused(const char *create, const gf_server_info *source, const gf_server_info *target, const char *why)
{
    gf_table *t = make(create);
    char *sql = NULL;

    ck_assert(!gf_target_create_sql(&sql, t, &config, source, target, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "d.t") != NULL && strstr(err.text, why) != NULL, "%s", err.text);
    gf_table_free(t);
}

START_TEST(create_sql__renames_the_table_and_what_it_refers_to)
{
    rewrite("CREATE TABLE `t` (\n  `a` int NOT NULL COMMENT 'REFERENCES `p` (`a`), ''COLLATE''',\n"
            "  CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`),\n"
            "  CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES `d`.`t` (`a`),\n"
            "  CONSTRAINT `h` FOREIGN KEY (`a`) REFERENCES `o``r`.`z` (`a`)\n) ENGINE=InnoDB AUTO_INCREMENT=7",
            &mysql9, &mysql9,
            "CREATE TABLE `e`.`t` (\n  `a` int NOT NULL COMMENT 'REFERENCES `p` (`a`), ''COLLATE''',\n"
            "  CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `q` (`a`),\n"
            "  CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES `t` (`a`),\n"
            "  CONSTRAINT `h` FOREIGN KEY (`a`) REFERENCES `o``r`.`z` (`a`)\n) ENGINE=InnoDB AUTO_INCREMENT=7");
}
END_TEST

START_TEST(create_sql__what_mariadb_prints_of_sequences_and_literals)
{
    rewrite(
        "CREATE TABLE `t` (\n  `a` int NOT NULL DEFAULT nextval(`d`.`p`),\n  `x` text DEFAULT (lastval(`o`.`p`) + "
        "`nextval`),\n  KEY (`a`)\n) COMMENT='nextval(`d`.`p`)'",
        &maria10, &maria10,
        "CREATE TABLE `e`.`t` (\n  `a` int NOT NULL DEFAULT nextval(`e`.`q`),\n  `x` text DEFAULT (lastval(`o`.`q`) + "
        "`nextval`),\n  KEY (`a`)\n) COMMENT='nextval(`d`.`p`)'");
    refused("CREATE TABLE `t` (`a` int, `x` text DEFAULT (_utf8mb4'a\\x08'))", &maria10, &maria10,
            "prints this literal");
    refused("CREATE TABLE `t` (`a` int, `x` text DEFAULT (_latin1 X'C9'))", &mysql9, &maria10, "outside ASCII");
}
END_TEST

START_TEST(create_sql__leaves_a_table_for_the_same_version_alone)
{
    const char *body = " (\n  `a` int DEFAULT NULL /*!80023 INVISIBLE */,\n  `x` text CHARACTER SET latin1,\n"
                       "  KEY `k` (`a`) /*!80000 INVISIBLE */\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4\n"
                       "/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 4 */";
    char *create = gf_asprintf("CREATE TABLE `t`%s", body), *expected = gf_asprintf("CREATE TABLE `e`.`t`%s", body);

    rewrite(create, &mysql9, &mysql9, expected);
    free(create);
    free(expected);
}
END_TEST

START_TEST(create_sql__maps_collations_and_spells_out_defaults)
{
    rewrite("CREATE TABLE `t` (`a` int, `x` text CHARACTER SET latin1 COLLATE latin1_bin) DEFAULT CHARSET=utf8mb4 "
            "COLLATE=utf8mb4_0900_ai_ci",
            &mysql9, &mysql9,
            "CREATE TABLE `e`.`t` (`a` int, `x` text CHARACTER SET latin1 COLLATE latin1_bin) DEFAULT CHARSET=utf8mb4 "
            "COLLATE=utf8mb4_unicode_ci");
    rewrite("CREATE TABLE `t` (`a` int, `x` text CHARACTER SET latin1) DEFAULT CHARSET=utf8mb4", &mysql57, &mysql9,
            "CREATE TABLE `e`.`t` (`a` int, `x` text CHARACTER SET latin1 COLLATE latin1_swedish_ci) DEFAULT "
            "CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci");
    rewrite("CREATE TABLE `t` (`a` int, `x` text COLLATE utf8_bin)", &mysql57, &mysql9,
            "CREATE TABLE `e`.`t` (`a` int, `x` text COLLATE utf8mb3_bin)");
    config.map_collation.count = 0;
    refused("CREATE TABLE `t` (`a` int) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci", &mysql9, &maria10,
            "--map-collation utf8mb4_0900_ai_ci=");
    refused("CREATE TABLE `t` (`a` int) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci", &maria10, &mysql9,
            "utf8mb4_uca1400_ai_ci");
}
END_TEST

START_TEST(create_sql__turns_mysqls_comments_into_mariadbs_words)
{
    rewrite("CREATE TABLE `t` (\n  `a` int DEFAULT NULL /*!80023 INVISIBLE */,\n"
            "  `x` text GENERATED ALWAYS AS (`a`) VIRTUAL NOT NULL,\n  KEY `k` (`a`) /*!80000 INVISIBLE */\n"
            ") /*!50100 TABLESPACE `ts` */ ENGINE=InnoDB COMPRESSION='zlib' /*!80016 ENCRYPTION='Y' */ "
            "DATA DIRECTORY='/x'\n/*!50100 PARTITION BY HASH (`a`) */",
            &mysql9, &maria10,
            "CREATE TABLE `e`.`t` (\n  `a` int DEFAULT NULL INVISIBLE,\n"
            "  `x` text GENERATED ALWAYS AS (`a`) VIRTUAL,\n  KEY `k` (`a`)\n"
            ") /*!50100 */ ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`) */");
    refused("CREATE TABLE `t` (`a` int, CONSTRAINT `c` CHECK (`a` > 0) /*!80016 NOT ENFORCED */)", &mysql9, &maria10,
            "NOT ENFORCED");
    refused("CREATE TABLE `t` (`a` int) /*!90900 SOMETHING new */", &mysql9, &maria10, "SOMETHING new");
    refused("CREATE TABLE `t` (`a` int, CONSTRAINT `c` CHECK (`a` > 0) /*!80016 NOT ENFORCED */)", &mysql9, &mysql57,
            "NOT ENFORCED");
}
END_TEST

START_TEST(create_sql__turns_mariadbs_words_into_mysqls)
{
    rewrite("CREATE TABLE `t` (\n  `a` int(11) DEFAULT current_timestamp() ON UPDATE current_timestamp(),\n"
            "  `x` text /*M!100301 COMPRESSED*/ DEFAULT 'it''s',\n  `y` char(36) DEFAULT uuid()\n"
            ") ENGINE=InnoDB PAGE_CHECKSUM=1 TRANSACTIONAL=0 `PAGE_COMPRESSED`=1 `ENCRYPTED`='YES'",
            &maria10, &mysql9,
            "CREATE TABLE `e`.`t` (\n  `a` int(11) DEFAULT current_timestamp() ON UPDATE current_timestamp(),\n"
            "  `x` text DEFAULT ('it''s'),\n  `y` char(36) DEFAULT uuid()\n) ENGINE=InnoDB");
    rewrite("CREATE TABLE `t` (`a` char(36) DEFAULT concat('a,)', uuid()) NOT NULL, `x` text DEFAULT NULL)", &maria10,
            &mysql9,
            "CREATE TABLE `e`.`t` (`a` char(36) DEFAULT (concat('a,)', uuid())) NOT NULL, `x` text DEFAULT NULL)");
    refused("CREATE TABLE `t` (`a` int) WITH SYSTEM VERSIONING", &maria10, &mysql9, "SYSTEM VERSIONING");
    refused("CREATE TABLE `t` (`a` int, PERIOD FOR `p` (`s`, `e`))", &maria10, &mysql9, "PERIOD FOR");
}
END_TEST

START_TEST(create_sql__stands_a_definition_cut_short_anywhere)
{
    static const char whole[] =
        "CREATE TABLE `t` (\n `a` int /*!80023 INVISIBLE */ DEFAULT uuid(1,(2)),\n `x` text "
        "CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'a\\'b''c', CONSTRAINT `f` FOREIGN KEY "
        "(`a`) REFERENCES `d`.`p` (`a`)) DATA DIRECTORY='x' /*M!100301 COMPRESSED*/ COLLATE=b";
    const gf_server_info *servers[] = {&mysql9, &maria10};

    for (size_t len = 0; len < sizeof(whole); len++) {
        for (int i = 0; i < 4; i++) {
            char *text = gf_strndup(whole, len), *sql = NULL;
            gf_table *t = make(text);

            if (gf_target_create_sql(&sql, t, &config, servers[i / 2], servers[i % 2], &err))
                free(sql);
            gf_table_free(t);
            free(text);
        }
    }
}
END_TEST

START_TEST(create_sql__what_a_mysql_column_has_from_its_table_stays_so)
{
    rewrite(
        "CREATE TABLE `t` (`a` int, `x` text COLLATE utf8mb4_general_ci) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
        &mysql9, &mysql9,
        "CREATE TABLE `e`.`t` (`a` int, `x` text) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci");
    rewrite(
        "CREATE TABLE `t` (`x` text CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci COMMENT 'COLLATE') COLLATE=utf8mb4_general_ci",
        &mysql9, &mysql9,
        "CREATE TABLE `e`.`t` (`x` text CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci COMMENT 'COLLATE') COLLATE=utf8mb4_general_ci");
}
END_TEST

START_TEST(create_sql__what_mariadb_cannot_read_gets_its_own_spelling)
{
    const char *mysql_text = "CREATE TABLE `t` (`a` int, `x` text DEFAULT (concat(_utf8mb4'y',_latin1'it\\'s')))";

    rewrite(mysql_text, &mysql9, &maria10,
            "CREATE TABLE `e`.`t` (`a` int, `x` text DEFAULT (concat(_utf8mb4'y','it\\'s')))");
    rewrite(mysql_text, &mysql9, &mysql9,
            "CREATE TABLE `e`.`t` (`a` int, `x` text DEFAULT (concat(_utf8mb4'y',_latin1'it\\'s')))");
    refused("CREATE TABLE `t` (`a` int, `x` text DEFAULT (_latin1'\\'\xc3\xa9'))", &mysql9, &maria10, "literal");
    rewrite("CREATE TABLE `t` (`a` geomcollection)", &mysql9, &maria10,
            "CREATE TABLE `e`.`t` (`a` geometrycollection)");
    refused("CREATE TABLE `t` (`a` int, UNIQUE KEY `k` (`a`,(lower(`x`)) DESC))", &mysql9, &maria10, "expressions");
    refused("CREATE TABLE `t` (`a` int, KEY `k` (((`a` + 1))))", &mysql9, &maria10, "expressions");
    rewrite("CREATE TABLE `t` (`a` int, KEY `k` (`a`,`x`(10)), CHECK ((`a` > 1)))", &mysql9, &maria10,
            "CREATE TABLE `e`.`t` (`a` int, KEY `k` (`a`,`x`(10)), CHECK ((`a` > 1)))");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("create_sql");
    TCase *tc = tcase_create("all");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, create_sql__renames_the_table_and_what_it_refers_to);
    tcase_add_test(tc, create_sql__what_a_mysql_column_has_from_its_table_stays_so);
    tcase_add_test(tc, create_sql__what_mariadb_cannot_read_gets_its_own_spelling);
    tcase_add_test(tc, create_sql__what_mariadb_prints_of_sequences_and_literals);
    tcase_add_test(tc, create_sql__leaves_a_table_for_the_same_version_alone);
    tcase_add_test(tc, create_sql__maps_collations_and_spells_out_defaults);
    tcase_add_test(tc, create_sql__turns_mysqls_comments_into_mariadbs_words);
    tcase_add_test(tc, create_sql__turns_mariadbs_words_into_mysqls);
    tcase_add_test(tc, create_sql__stands_a_definition_cut_short_anywhere);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_repeat.c - which definition statements may be repeated on another server, by their text.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/replica/statement.h"
#include "run_suite.h"

enum { UTF8MB4 = 45 };

/* refused: a part of the reason, NULL: nothing in the text forbids it. */
static const struct {
    const char *sql, *refused;
} cases[] = {
    {"ALTER TABLE t ADD c INT NOT NULL DEFAULT 5, DROP d", NULL},
    {"ALTER TABLE t ADD c DATETIME(6) DEFAULT NOW(6)", NULL},
    {"ALTER TABLE t AUTO_INCREMENT=5", NULL},
    {"ALTER TABLE t AUTO_INCREMENT 5, ENGINE = innodb", NULL},
    {"ALTER TABLE t ADD id INT AUTO_INCREMENT PRIMARY KEY", "order on disk"},
    {"ALTER TABLE t ADD COLUMN (a INT, id INT AUTO_INCREMENT UNIQUE)", "order on disk"},
    {"ALTER TABLE t ADD a INT, ADD id SERIAL", "order on disk"},
    {"ALTER IGNORE TABLE t ADD UNIQUE (a)", "order on disk"},
    {"ALTER ONLINE IGNORE TABLE t ADD UNIQUE (a)", "order on disk"},
    {"ALTER TABLE t ADD u CHAR(36) DEFAULT (UUID())", "draw anew"},
    {"ALTER TABLE t ADD r DOUBLE DEFAULT rand ()", "draw anew"},
    {"ALTER TABLE t ADD r INT DEFAULT (1 + SysDate())", "draw anew"},
    {"ALTER TABLE t ADD u VARCHAR(99) DEFAULT CURRENT_USER", "draw anew"},
    {"ALTER TABLE t ADD n INT DEFAULT NEXT VALUE FOR s", "sequence"},
    {"ALTER TABLE t ADD n INT DEFAULT s.nextval", "draw anew"},
    {"ALTER TABLE t ADD w INT AS (WEEK(d)) STORED", "not logged"},
    {"ALTER TABLE t ADD w INT AS (week(d, 3)) STORED, ADD week INT", "not logged"},
    {"ALTER TABLE t ADD w INT, ADD week INT, ADD KEY week (week), ADD KEY (password)", NULL},
    {"ALTER TABLE t ADD CHECK (v RLIKE '^a')", "not logged"},
    {"ALTER TABLE t ADD q DECIMAL(9,4) AS (n / 3) STORED", "div_precision_increment"},
    {"ALTER TABLE t ADD q INT /* a / b */ DEFAULT (n DIV 3)", NULL},
    {"ALTER TABLE t ADD n INT DEFAULT (@a)", "variable"},
    {"ALTER TABLE t ADD user VARCHAR(9), ADD KEY user (user), ADD INDEX version (a)", NULL},
    {"ALTER TABLE t ADD engine VARCHAR(9), ADD COLUMN period INT, ADD import INT, ADD rand INT", NULL},
    {"ALTER TABLE t COMMENT 'UUID() EXCHANGE PARTITION'", NULL},
    {"ALTER TABLE t ENGINE=MyISAM", "engine"},
    {"CREATE TABLE t (id INT) ENGINE Aria", "engine"},
    {"ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", "between tables"},
    {"ALTER TABLE t CONVERT TABLE u TO PARTITION p VALUES LESS THAN (1)", "between tables"},
    {"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", NULL},
    {"ALTER TABLE t DISCARD TABLESPACE", "files"},
    {"ALTER TABLE t IMPORT PARTITION p TABLESPACE", "files"},
    {"ALTER TABLE t ADD SYSTEM VERSIONING", "versioning"},
    {"CREATE TABLE t (a DATE, b DATE, PERIOD FOR p(a,b))", "period"},
    {"ALTER TABLE t CHANGE a b INT, CHANGE b a INT", NULL},
    {"ALTER TABLE t CHANGE a b INT AFTER c, CHANGE b a INT FIRST", "several columns"},
    {"ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a, MODIFY c INT FIRST", "several columns"},
    {"ALTER TABLE t RENAME TO u, RENAME TO v", "several tables"},
    {"SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD c INT", "sets variables"},
    {"CREATE DATABASE d", "not about a table"},
    {"ALTER DATABASE d CHARACTER SET latin1", "not about a table"},
    {"CREATE TABLE t (u CHAR(36) DEFAULT (UUID()), id INT AUTO_INCREMENT PRIMARY KEY)", NULL}, /* it is empty */
    {"CREATE UNIQUE INDEX i ON t (a)", NULL},
    {"ALTER TABLE t DROP COLUMN prev, CHANGE cur prev INT, ADD COLUMN cur INT", "drops, renames and adds"},
    {"ALTER TABLE t RENAME COLUMN cur TO prev, ADD cur INT, DROP KEY k", "drops, renames and adds"},
    {"ALTER TABLE t DROP COLUMN a, ADD COLUMN a INT", NULL},
    {"DROP TABLE a, b", NULL},
    {"RENAME TABLE a TO b, b TO c", NULL},
    {"TRUNCATE t", NULL},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void read_ddl(gf_ddl *out, gf_statement *s, gf_arena *arena, const char *sql)
{
    gf_statement_scan_as(s, arena, gf_slice_str(sql), "d", 0, UTF8MB4);
    gf_ddl_read(out, s);
}

START_TEST(read__refuses_what_depends_on_more_than_the_text)
{
    gf_arena arena = {0};
    gf_statement s;
    gf_ddl d;

    read_ddl(&d, &s, &arena, cases[_i].sql);
    if (cases[_i].refused == NULL)
        ck_assert_msg(d.refused == NULL, "%s: %s", cases[_i].sql, d.refused);
    else
        ck_assert_msg(d.refused != NULL && strstr(d.refused, cases[_i].refused) != NULL, "%s: %s", cases[_i].sql,
                      d.refused);
    gf_arena_free(&arena);
}
END_TEST

START_TEST(read__tells_what_old_mode_decides)
{
    static const struct {
        const char *sql;
        bool retypes, utf8, dates;
    } told[] = {
        {"ALTER TABLE t MODIFY a DATETIME", true, false, true},
        {"ALTER TABLE t ADD a DATE", false, false, true},
        {"ALTER TABLE t CONVERT TO CHARACTER SET utf8", true, true, false},
        {"ALTER TABLE t CONVERT TO CHARACTER SET 'UTF8' COLLATE \"utf8mb4_bin\"", true, true, false},
        {"ALTER TABLE t CHANGE a b TEXT COLLATE utf8_bin", true, true, false},
        {"ALTER TABLE t MODIFY a TEXT CHARSET utf8mb3 COLLATE utf8mb3_bin", true, false, false},
        {"ALTER TABLE t MODIFY a TEXT COMMENT 'utf8 or DATE'", true, false, false},
    };

    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        gf_arena arena = {0};
        gf_statement s;
        gf_ddl d;

        read_ddl(&d, &s, &arena, told[i].sql);
        ck_assert_msg(d.retypes == told[i].retypes && d.utf8 == told[i].utf8 && d.dates == told[i].dates, "%s",
                      told[i].sql);
        gf_arena_free(&arena);
    }
}
END_TEST

START_TEST(read__tells_what_the_caller_has_to_look_at)
{
    gf_arena arena = {0};
    gf_statement s;
    gf_ddl d;

    read_ddl(&d, &s, &arena, "ALTER TABLE t MODIFY COLUMN `id` BIGINT AUTO_INCREMENT, COMMENT=''");
    ck_assert_int_eq(d.kind, GF_DDL_CHANGE);
    ck_assert(gf_slice_eq(d.counter, gf_slice_str("id")));
    read_ddl(&d, &s, &arena, "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES b (c) ON DELETE SET NULL");
    ck_assert(d.references && d.acts);
    read_ddl(&d, &s, &arena, "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES b (c) ON DELETE RESTRICT");
    ck_assert(d.references && !d.acts);
    read_ddl(&d, &s, &arena, "CREATE OR REPLACE TABLE t LIKE x.y");
    ck_assert_int_eq(d.kind, GF_DDL_CREATE);
    ck_assert(d.replaces && !d.names_engine);
    ck_assert_uint_eq(s.object_count, 1);
    ck_assert(s.like != NULL && strncmp(s.like->db, "x", s.like->db_len) == 0);
    read_ddl(&d, &s, &arena, "CREATE TABLE t (LIKE y)");
    ck_assert(s.like != NULL && strncmp(s.like->table, "y", s.like->table_len) == 0);
    read_ddl(&d, &s, &arena, "CREATE TABLE t (id INT) /*!50100 ENGINE=InnoDB */");
    ck_assert(d.conditional && d.names_engine);
    gf_arena_free(&arena);
}
END_TEST

/* Whatever the text holds, no byte behind it is read. */
START_TEST(read__takes_every_cut)
{
    size_t whole = strlen(cases[_i].sql);
    gf_arena arena = {0};

    for (size_t len = 0; len < whole; len++) {
        char *exact = gf_malloc(len);
        gf_statement s;
        gf_ddl d;

        memcpy(exact, cases[_i].sql, len);
        gf_statement_scan_as(&s, &arena, gf_slice_of(exact, len), "d", 0, UTF8MB4);
        gf_ddl_read(&d, &s);
        free(exact);
        gf_arena_reset(&arena);
    }
    gf_arena_free(&arena);
}
END_TEST

/* Of a key `k` over the column `id`. */
static const struct {
    const char *sql;
    bool id, k;
} concerns[] = {
    {"ALTER TABLE t DROP COLUMN id, RENAME COLUMN v TO id", true, false},
    {"ALTER TABLE t DROP id, CHANGE v ID INT NOT NULL", true, false},
    {"ALTER TABLE t CHANGE COLUMN `v` `id` INT", true, false},
    {"ALTER TABLE t CHANGE IF EXISTS v id INT", true, false},
    {"ALTER TABLE t MODIFY id BIGINT", true, false},
    {"ALTER TABLE t ADD COLUMN IF NOT EXISTS id INT FIRST", true, false},
    {"ALTER TABLE t RENAME INDEX a TO k, RENAME KEY k TO b", false, true},
    {"ALTER TABLE t DROP KEY k", false, true},
    {"DROP INDEX k ON t", false, true},
    {"ALTER TABLE t ADD UNIQUE KEY k (id)", false, true},
    {"ALTER TABLE t ADD CONSTRAINT k UNIQUE (v)", false, true},
    {"ALTER TABLE t ADD c INT AFTER id", false, false},
    {"ALTER TABLE t ADD KEY x (v, id), ADD FOREIGN KEY (v) REFERENCES u (id)", false, false},
    {"ALTER TABLE t COMMENT 'DROP id', ADD c INT /* DROP id */", false, false},
    {"ALTER TABLE t CHANGE v w INT COMMENT 'id', ALTER id SET DEFAULT 5", false, false},
    {"ALTER TABLE t ADD c VARCHAR(9) DEFAULT 'open", true, true}, /* cut off: who knows */
};
enum { CONCERNS = sizeof concerns / sizeof concerns[0] };

START_TEST(concerns__tells_whether_a_key_may_be_another_one)
{
    gf_arena arena = {0};
    gf_statement s;

    gf_statement_scan_as(&s, &arena, gf_slice_str(concerns[_i].sql), "d", 0, UTF8MB4);
    ck_assert_int_eq(gf_ddl_concerns(&s, "id"), concerns[_i].id);
    ck_assert_int_eq(gf_ddl_concerns(&s, "k"), concerns[_i].k);
    ck_assert(gf_ddl_concerns(&s, "clé") && gf_ddl_concerns(&s, "a`b"));
    gf_arena_free(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repeat");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, read__refuses_what_depends_on_more_than_the_text, 0, CASES);
    tcase_add_test(tc, read__tells_what_the_caller_has_to_look_at);
    tcase_add_test(tc, read__tells_what_old_mode_decides);
    tcase_add_loop_test(tc, read__takes_every_cut, 0, CASES);
    tcase_add_loop_test(tc, concerns__tells_whether_a_key_may_be_another_one, 0, CONCERNS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

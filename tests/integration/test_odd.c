/* SPDX-License-Identifier: MIT */
/*
 * test_odd.c - tables and names that are rare but allowed, moved under writes, killed once, and equal.
 */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "integration/scene.h"
#include "run_suite.h"

enum { BOTH = 3, MARIA = 1, MYSQL_ONLY = 2 };

/* A table each: what comes behind its name, its first rows, and statements that are run while it is copied and again
   while it is followed. In all, @T is the table. */
static const struct odd {
    int families; /* bits of family + 1 */
    const char *name, *definition, *rows, *writes;
} odds[] = {
    {BOTH, "ints", "(id BIGINT PRIMARY KEY, v INT)",
     "INSERT INTO @T VALUES (0, 1), (-1, 2), (1, 3), (-9223372036854775808, 4), (9223372036854775807, 5)",
     "UPDATE @T SET id = id + 10 WHERE id BETWEEN -1 AND 1; UPDATE @T SET v = v + 1; INSERT INTO @T SELECT COUNT(*), 7 "
     "FROM @T x"},
    {BOTH, "uints", "(id BIGINT UNSIGNED PRIMARY KEY, v INT)",
     "INSERT INTO @T VALUES (0, 1), (1, 3), (18446744073709551615, 4), (9223372036854775808, 5)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET id = id - 1 WHERE id > 9223372036854775807 ORDER BY id"},
    {BOTH, "mediums", "(id MEDIUMINT UNSIGNED, t TINYINT, s SMALLINT UNSIGNED, PRIMARY KEY (t, s, id))",
     "INSERT INTO @T VALUES (16777215, -128, 65535), (8388608, 0, 0), (0, 127, 1)",
     "UPDATE @T SET id = id - 1 WHERE id > 0; UPDATE @T SET t = -t WHERE t <> -128"},
    {BOTH, "general", "(id VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)",
     "INSERT INTO @T VALUES ('', 0), ('a', 1), ('B', 2), ('ß', 3), ('Zürich', 4), ('zz', 5), ('😀', 6), ('日本', 7), ('''q', 8)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET id = UPPER(id) WHERE id = 'a'; UPDATE @T SET id = CONCAT(id, 'x') WHERE id "
     "LIKE 'z%'"},
    {BOTH, "latin", "(id CHAR(8) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY, v INT)",
     "INSERT INTO @T VALUES ('', 0), ('a ', 1), ('Ä', 2), ('ö', 3), ('_', 4), ('%', 5)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET id = LOWER(id) WHERE v > 2; DELETE FROM @T WHERE id = 'a'"},
    {BOTH, "bin", "(id VARBINARY(20), b BINARY(4), v INT, PRIMARY KEY (id, b))",
     "INSERT INTO @T VALUES ('', '', 0), (X'00', X'00', 1), (X'0000', X'FF', 2), (X'FF', 'a ', 3), ('a', X'61', 4)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET b = X'0102' WHERE id = ''; UPDATE @T SET id = CONCAT(id, X'00') WHERE id = 'a'"},
    {BOTH, "decimals", "(id DECIMAL(30,10), v INT, PRIMARY KEY (id))",
     "INSERT INTO @T VALUES (0, 1), (-0.0000000001, 2), (99999999999999999999.9999999999, 3), (-99999999999999999999, 4)",
     "UPDATE @T SET id = id * -1; UPDATE @T SET v = v + 1; INSERT INTO @T SELECT COUNT(*) + 0.5, 7 FROM @T x"},
    {BOTH, "times",
     "(d DATE, t TIME(6), dt DATETIME(3), ts TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), y YEAR, v INT, "
     "PRIMARY KEY (d, t, dt, ts, y))",
     "INSERT INTO @T VALUES ('1000-01-01', '-838:59:59', '9999-12-31 23:59:59.999', '1970-01-01 00:00:01', 1901, 1), "
     "('9999-12-31', '838:59:59', '1000-01-01', '2038-01-19 03:14:07', 2155, 2), "
     "('2024-02-29', '00:00:00.000001', '2024-02-29 12:00:00.5', '2024-03-31 01:30:00.123456', 0, 3)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET t = t + INTERVAL 1 SECOND WHERE v < 3 AND t < 0"},
    {BOTH, "enums",
     "(e ENUM('b', 'a', 'x,y', 'it''s') NOT NULL, s SET('one', 'two', 'three') NOT NULL, v INT, "
     "PRIMARY KEY (e, s))",
     "INSERT INTO @T VALUES ('b', '', 1), ('a', 'one', 2), ('x,y', 'one,three', 3), ('it''s', 'two', 4)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET e = 'b' WHERE e = 'x,y'"},
    {BOTH, "bits", "(b BIT(64), v INT, PRIMARY KEY (b))",
     "INSERT INTO @T VALUES (0, 1), (1, 2), (X'FFFFFFFFFFFFFFFF', 3)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET b = 5 WHERE b = 1"},
    {BOTH, "floats", "(f DOUBLE, v INT, PRIMARY KEY (f))",
     "INSERT INTO @T VALUES (0, 1), (-1.5e300, 2), (0.1, 3), (1e-300, 4)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET f = f * 3 WHERE v < 4"},
    {BOTH, "only_unique",
     "(a INT NOT NULL, b VARCHAR(10) CHARACTER SET utf8mb4 NOT NULL, c INT, UNIQUE KEY (c), "
     "UNIQUE KEY k (b, a))",
     "INSERT INTO @T VALUES (1, 'x', NULL), (2, 'x', NULL), (3, 'y', 1)",
     "UPDATE @T SET a = a + 10; UPDATE @T SET c = NULL WHERE c = 1; INSERT INTO @T SELECT MAX(a) + 1, 'z', NULL FROM @T x"},
    {BOTH, "secondary",
     "(id INT PRIMARY KEY, u INT, v VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, "
     "UNIQUE KEY (u), UNIQUE KEY (v))",
     "INSERT INTO @T VALUES (1, 10, 'a'), (2, 20, 'B'), (3, 30, NULL), (4, NULL, NULL), (5, NULL, 'c')",
     "UPDATE @T SET u = u + 1 ORDER BY u DESC; DELETE FROM @T WHERE id = 2; INSERT INTO @T VALUES (2, 99, 'b');"
     "UPDATE @T SET u = NULL WHERE id = 2; UPDATE @T SET v = 'tmp' WHERE id = 1; UPDATE @T SET v = 'A' WHERE id = 5;"
     "UPDATE @T SET v = 'c' WHERE id = 1; UPDATE @T SET v = 'tmp' WHERE id = 1; UPDATE @T SET v = 'c' WHERE id = 5; UPDATE @T "
     "SET v = 'a' WHERE id = 1; UPDATE @T SET id = id + 100 ORDER BY id DESC; UPDATE @T SET id = id - 100 ORDER BY id"},
    {BOTH, "generated", "(a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a * 2) STORED, id INT PRIMARY KEY, KEY (v))",
     "INSERT INTO @T (id, a) VALUES (1, 1), (2, NULL), (3, -5)",
     "UPDATE @T SET a = a + 1; UPDATE @T SET id = id + 10 WHERE id = 3; DELETE FROM @T WHERE id = 13; INSERT INTO @T (id, a) "
     "VALUES (3, 3)"},
    {MYSQL_ONLY, "stored_key", "(a INT NOT NULL, k INT AS (a + 1) STORED NOT NULL, v INT, UNIQUE KEY (k))",
     "INSERT INTO @T (a, v) VALUES (1, 1), (2, 2)", "UPDATE @T SET v = v + 1; UPDATE @T SET a = a + 100 WHERE a = 2"},
    {BOTH, "invisible", "(id INT PRIMARY KEY, hidden INT DEFAULT 7 INVISIBLE, v INT)",
     "INSERT INTO @T (id, hidden, v) VALUES (1, 1, 1), (2, NULL, 2); INSERT INTO @T (id, v) VALUES (3, 3)",
     "UPDATE @T SET hidden = id * 3; INSERT INTO @T (id, v) SELECT MAX(id) + 1, 4 FROM @T x; UPDATE @T SET v = v + 1"},
    {BOTH, "parts",
     "(id INT, v INT, PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), "
     "PARTITION p1 VALUES LESS THAN MAXVALUE)",
     "INSERT INTO @T VALUES (1, 1), (5, 2), (50, 3)",
     "UPDATE @T SET id = id + 5 ORDER BY id DESC; UPDATE @T SET v = v + 1"},
    {BOTH, "defaults",
     "(id INT PRIMARY KEY, ts TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, t TEXT NOT NULL, n INT NOT "
     "NULL DEFAULT 5, CHECK (n > 0), FULLTEXT KEY (t)) CHARACTER SET utf8mb4 COMMENT 'it''s \"one\" \\\\ `two`'",
     "INSERT INTO @T (id, t) VALUES (1, ''), (2, 'a\\nb'), (3, REPEAT('x', 70000))",
     "UPDATE @T SET n = n + 1; UPDATE @T SET t = CONCAT(t, '\\0\\'\\\\') WHERE id = 2"},
    {BOTH, "blob_prefix", "(id INT PRIMARY KEY, b LONGBLOB, KEY (b(5)))",
     "INSERT INTO @T VALUES (1, NULL), (2, ''), (3, X'00FF27225C'), (4, REPEAT('z', 300000))",
     "UPDATE @T SET b = CONCAT(b, X'27005C') WHERE id > 1"},
    {BOTH, "points", "(id INT PRIMARY KEY, g GEOMETRY NOT NULL, SPATIAL KEY (g)) ENGINE=InnoDB",
     "INSERT INTO @T VALUES (1, ST_GeomFromText('POINT(1 2)')), (2, ST_GeomFromText('LINESTRING(0 0,1 1)'))",
     "UPDATE @T SET g = ST_GeomFromText('POINT(3 4)') WHERE id = 1"},
    {BOTH, "json", "(id INT PRIMARY KEY, j JSON)",
     "INSERT INTO @T VALUES (1, '{\"a\": [1, 2.50, null, \"x\"]}'), (2, '3'), (3, NULL)",
     "UPDATE @T SET j = '{\"b\": {\"c\": 1}}' WHERE id = 2; UPDATE @T SET j = NULL WHERE id = 1; UPDATE @T SET j = '[]' WHERE id "
     "= 1"},
    {MARIA, "long_unique", "(a TEXT NOT NULL, v INT, UNIQUE KEY (a)) CHARACTER SET utf8mb4",
     "INSERT INTO @T VALUES (REPEAT('a', 5000), 1), ('b', 2)", "UPDATE @T SET v = v + 1"},
    {MARIA, "inet", "(i INET6 PRIMARY KEY, u UUID, v INT)",
     "INSERT INTO @T VALUES ('::1', UUID(), 1), ('2001:db8::ff', UUID(), 2), ('::', NULL, 3)",
     "UPDATE @T SET v = v + 1; UPDATE @T SET i = '::7' WHERE v = 2"},
    {MARIA, "ignored", "(id INT PRIMARY KEY, v INT, KEY k (v) IGNORED) ENGINE=InnoDB ROW_FORMAT=COMPRESSED",
     "INSERT INTO @T VALUES (1, 1), (2, 2)", "UPDATE @T SET v = v + 1"},
    {MARIA, "aria", "(id INT PRIMARY KEY, v INT) ENGINE=Aria", "INSERT INTO @T VALUES (1, 1), (2, 2)",
     "UPDATE @T SET v = v + 1"},
    {MARIA, "keyless", "(a INT, b VARCHAR(20) CHARACTER SET utf8mb4, c DOUBLE)",
     "INSERT INTO @T VALUES (1, 'x', 0.1), (1, 'x', 0.1), (NULL, NULL, NULL), (NULL, NULL, NULL), (2, '', -0.0)",
     "UPDATE @T SET a = a + 1 LIMIT 1; DELETE FROM @T WHERE a IS NULL LIMIT 1; INSERT INTO @T VALUES (1, 'x', 0.1), (NULL, 'n', "
     "1e100)"},
    {MYSQL_ONLY, "descending", "(a INT, b INT, v INT, PRIMARY KEY (a DESC, b))",
     "INSERT INTO @T VALUES (1, 1, 1), (1, 2, 2), (-5, 0, 3), (7, 7, 4)", "UPDATE @T SET b = b + 1 ORDER BY b DESC"},
    {MYSQL_ONLY, "functional", "(id INT PRIMARY KEY, v VARCHAR(10), UNIQUE KEY f ((LOWER(v))))",
     "INSERT INTO @T VALUES (1, 'A'), (2, 'b'), (3, NULL)",
     "UPDATE @T SET v = 'tmp' WHERE id = 1; UPDATE @T SET v = 'a' WHERE id = 2; UPDATE @T SET v = 'B' WHERE id = 1; UPDATE @T "
     "SET v = 'tmp' WHERE id = 1; UPDATE @T SET v = 'b' WHERE id = 2; UPDATE @T SET v = 'A' WHERE id = 1"},
    {MYSQL_ONLY, "vectors", "(id INT PRIMARY KEY, e VECTOR(3))",
     "INSERT INTO @T VALUES (1, STRING_TO_VECTOR('[1,2,3]')), (2, NULL)",
     "UPDATE @T SET e = STRING_TO_VECTOR('[4,5,6]')"},
    {MYSQL_ONLY, "archive_like", "(id INT PRIMARY KEY, v INT) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
     "INSERT INTO @T VALUES (1, 1), (2, 2)", "UPDATE @T SET v = v + 1"},
};
enum { ODDS = sizeof odds / sizeof odds[0] };

static char *on_table(const scene *s, const struct odd *o, const char *text)
{
    char *name = h_format("`%s`.`%s`", s->db, o->name), *out = h_format("%s", ""), *more;
    const char *found;

    for (; (found = strstr(text, "@T")) != NULL; text = found + 2) {
        more = h_format("%s%.*s%s", out, (int)(found - text), text, name);
        free(out);
        out = more;
    }
    more = h_format("%s%s", out, text);
    free(out);
    free(name);
    return more;
}

static void each_odd(scene *s, int family, size_t which)
{
    for (size_t i = 0; i < ODDS; i++) {
        const struct odd *o = &odds[i];
        const char *text = which == 0 ? o->rows : o->writes;
        char *sql;

        if ((o->families & (family + 1)) == 0)
            continue;
        if (which == 0)
            h_sql(s->source, "CREATE TABLE `%s`.`%s` %s", s->db, o->name, o->definition);
        sql = on_table(s, o, text);
        h_sql(s->source, "%s", sql);
        free(sql);
    }
}

START_TEST(odd__tables_of_every_kind_end_equal)
{
    scene s = begin_scene(_i, "odd", "{\"SkipForeignKeyConstraintsCheck\": true}");
    h_run *run;

    h_sql(s.source, "SET NAMES utf8mb4; SET time_zone='+00:00'; SET sql_mode=''");
    each_odd(&s, _i, 0);
    run = h_start("--chunk-rows", "1", s.conf);
    each_odd(&s, _i, 1);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    each_odd(&s, _i, 1);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    each_odd(&s, _i, 1);
    run = h_start(s.conf);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* --- names ------------------------------------------------------------------------------------------------------------- */

static const char *const names[] = {"a23456789012345678901234567890123456789012345678901234567890abcd", /* 64 */
                                    "with`tick",
                                    "with space",
                                    "with.dot",
                                    "with'quote",
                                    "with\"double",
                                    "with\\slash",
                                    "percent%s%n",
                                    "select",
                                    "MiXeD",
                                    "ünïcode",
                                    "数据表",
                                    "tab\tin it",
                                    "-- comment",
                                    "/* c */",
                                    "semi;colon",
                                    "1",
                                    "$dollar",
                                    "@at",
                                    "a=b"};
enum { NAMES = sizeof names / sizeof names[0] };

static char *ident(const char *name)
{
    char *out = h_format("%s", "`");

    for (; *name != '\0'; name++) {
        char *more = h_format("%s%s%c", out, *name == '`' ? "`" : "", *name);

        free(out);
        out = more;
    }
    {
        char *more = h_format("%s`", out);

        free(out);
        return more;
    }
}

START_TEST(odd__names_of_every_kind_end_equal)
{
    scene s = {.source = sources[_i], .target = targets[_i]};
    h_run *run;

    s.db = h_format("%s", "odd `db` with.all 'kinds' of\\things");
    s.folder = h_path("names");
    ck_assert_int_eq(mkdir(s.folder, 0700), 0);
    s.conf = h_format("%s/my conf's.json", s.folder);
    s.dir = h_format("%s/state dir", s.folder);
    {
        char *db = ident(s.db), *made = h_config(s.source, s.target, s.db, "{\"Job\": \"odd 'names`\"}");

        ck_assert_int_eq(rename(made, s.conf), 0);
        h_sql(s.source, "SET NAMES utf8mb4; CREATE DATABASE %s; USE %s", db, db);
        free(db);
        free(made);
    }
    for (int i = 0; i < NAMES; i++) {
        char *name = ident(names[i]), *column = ident(names[(i + 1) % NAMES]);

        h_sql(s.source, "CREATE TABLE %s (%s INT PRIMARY KEY, v INT, UNIQUE KEY %s (v)) CHARACTER SET utf8mb4", name,
              column, column);
        h_sql(s.source, "INSERT INTO %s VALUES (1, 1), (2, 2)", name);
        free(name);
        free(column);
    }
    run = h_start("--checkpoint-dir", s.dir, s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    for (int i = 0; i < NAMES; i++) {
        char *name = ident(names[i]);

        h_sql(s.source, "UPDATE %s SET v = v + 10; INSERT INTO %s VALUES (3, 3)", name, name);
        free(name);
    }
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    run = h_start("--checkpoint-dir", s.dir, s.conf);
    cut_over(&s, run);
    h_run_free(run);
    for (int side = 0; side < 2; side++) {
        char *db = ident(s.db);

        h_sql(side == 0 ? s.source : s.target, "DROP DATABASE %s", db);
        free(db);
    }
    free(s.db);
    free(s.folder);
    free(s.conf);
    free(s.dir);
}
END_TEST

/* --- tables without a key ---------------------------------------------------------------------------------------------- */

static void keyless_writes(scene *s, int from)
{
    for (int i = from; i < from + 20; i++)
        h_sql(s->source,
              "INSERT INTO %s.k VALUES (%d, 'x'), (%d, 'x'), (NULL, NULL); UPDATE %s.k SET b='y' WHERE a=%d LIMIT 1;"
              "DELETE FROM %s.k WHERE a=%d LIMIT 1",
              s->db, i, i, s->db, i, s->db, i - 5);
}

START_TEST(odd__keyless_tables_are_exact_or_refused_by_name)
{
    scene s = begin_scene(_i, "keyless", NULL);
    char *err;
    h_run *run;

    h_sql(s.source,
          "USE %s; CREATE TABLE k (a INT, b VARCHAR(10)); CREATE TABLE nullable (a INT, UNIQUE KEY (a));"
          "CREATE TABLE prefixed (a VARCHAR(100) NOT NULL, UNIQUE KEY (a(5)));"
          "INSERT INTO k VALUES (1, 'x'), (1, 'x'), (NULL, 'n'), (NULL, 'n'); INSERT INTO nullable VALUES (1), (NULL), "
          "(NULL); INSERT INTO prefixed VALUES ('abcdef'), ('bcdefg')",
          s.db);
    if (_i == 1) {
        ck_assert_int_eq(h_exec(NULL, &err, 30, s.conf), 2);
        ck_assert_msg(strstr(err, ".k ") != NULL && strstr(err, ".nullable") != NULL &&
                          strstr(err, ".prefixed") != NULL && strstr(err, "--lock-keyless-tables") != NULL,
                      "%s", err);
        free(err);
    }
    run = h_start("--lock-keyless-tables", s.conf);
    keyless_writes(&s, 10);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    keyless_writes(&s, 30);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    keyless_writes(&s, 50);
    run = h_start("--lock-keyless-tables", s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "UPDATE %s.nullable SET a = 5 WHERE a IS NULL LIMIT 1; DELETE FROM %s.nullable WHERE a IS NULL",
          s.db, s.db);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* --- nothing, and things that are not tables ----------------------------------------------------------------------------- */

START_TEST(odd__empty_tables_and_databases)
{
    scene s = begin_scene(_i, "nothing", NULL);
    char *list = h_format("%s,nothing_else%d", s.db, _i), *made, *err;
    h_run *run;

    h_sql(s.source,
          "CREATE DATABASE nothing_else%d; CREATE TABLE %s.e1 (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=77;"
          "CREATE TABLE %s.e2 (a VARCHAR(10) PRIMARY KEY, b INT)",
          _i, s.db, s.db);
    made = h_config(s.source, s.target, list, "{\"AutomaticCutover\": true}");
    run = h_start("--checkpoint-dir", s.dir, "--job", s.db, made);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    err = h_stderr(run);
    ck_assert_ptr_nonnull(strstr(err, "nothing_else"));
    ck_assert_int_eq(h_number(s.target,
                              "SELECT auto_increment FROM information_schema.tables WHERE table_schema='%s' AND "
                              "table_name='e1'",
                              s.db),
                     77);
    h_run_free(run);
    h_sql(s.source, "DROP DATABASE nothing_else%d", _i);
    free(err);
    free(list);
    free(made);
    end_scene(&s);
}
END_TEST

static void make_objects(scene *s)
{
    h_sql(s->source,
          "USE %s; CREATE TABLE t (id INT PRIMARY KEY, v INT, log INT DEFAULT 0); INSERT INTO t VALUES (1, 1, 0);"
          "CREATE VIEW v1 AS SELECT id FROM t; CREATE VIEW a_view AS SELECT id FROM v1;"
          "CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;"
          "CREATE VIEW with_function AS SELECT twice(id) d FROM t;"
          "CREATE PROCEDURE nothing() SELECT 1;"
          "CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW SET NEW.log = OLD.log + 1;"
          "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO SELECT 1",
          s->db);
}

static long long objects(scene *s, h_server *server)
{
    return h_number(server,
                    "SELECT (SELECT COUNT(*) FROM information_schema.views WHERE table_schema='%s') + "
                    "(SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema='%s') * 10 + "
                    "(SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema='%s') * 100 + "
                    "(SELECT COUNT(*) FROM information_schema.events WHERE event_schema='%s') * 1000",
                    s->db, s->db, s->db, s->db);
}

START_TEST(odd__views_triggers_routines_events_are_left_out_or_created)
{
    scene s = begin_scene(_i, "objects", NULL);
    static const char *const each[] = {"VIEW", "TRIGGER", "FUNCTION", "PROCEDURE", "EVENT"};
    char *err;
    h_run *run;

    make_objects(&s);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "UPDATE %s.t SET v = 2", s.db); /* the trigger's work is in the binlog, and not to be done twice */
    cut_over(&s, run);
    err = h_stderr(run);
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
        ck_assert_msg(strstr(strstr(err, "left out"), each[i]) != NULL, "%s is not in: %s", each[i], err);
    ck_assert_int_eq(objects(&s, s.target), 0);
    free(err);
    h_run_free(run);
    h_sql(s.target,
          "DROP DATABASE %s; DELETE FROM _gfreplica.job WHERE job='%s'; DELETE FROM _gfreplica.slot WHERE job='%s';"
          "DELETE FROM _gfreplica.table_range WHERE job='%s'",
          s.db, s.db, s.db, s.db);
    remove_folder(s.dir);

    run = h_start("--create-objects", s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "UPDATE %s.t SET v = 3", s.db);
    cut_over(&s, run);
    ck_assert_int_eq(objects(&s, s.source), 1213);
    ck_assert_int_eq(objects(&s, s.target), 1213);
    ck_assert_int_eq(h_number(s.target, "SELECT log FROM %s.t", s.db), 2);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* What a session gives to what is made in it: two time zones, modes, character sets, and a database collation that is no
   longer the database's. */
static void make_objects_of_sessions(scene *s)
{
    h_sql(
        s->source,
        "ALTER DATABASE %s COLLATE utf8mb4_bin; USE %s; CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);"
        "SET time_zone='+05:00'; CREATE EVENT e2 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO DO 1;"
        "CREATE EVENT e3 ON SCHEDULE AT '2030-06-01 03:00:00' DO DO 1;"
        "SET time_zone='SYSTEM'; CREATE EVENT e4 ON SCHEDULE EVERY 1 HOUR STARTS '2030-01-01 03:30:00' DO DO 1;"
        "SET NAMES latin1 COLLATE latin1_german1_ci; SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT';"
        "CREATE FUNCTION f(x VARCHAR(10)) RETURNS VARCHAR(20) DETERMINISTIC RETURN '\xe9' || x;"
        "CREATE VIEW v AS SELECT '\xe9' || \"id\" AS c FROM \"t\";"
        "CREATE TRIGGER zz BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 2 * NEW.v;"
        "CREATE TRIGGER aa BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1 + NEW.v;"
        "SET sql_mode='NO_BACKSLASH_ESCAPES'; ALTER DATABASE %s COLLATE utf8mb4_general_ci;"
        "CREATE PROCEDURE p(x VARCHAR(10)) SELECT x, '\\', '\xe9'; CREATE EVENT e5 ON SCHEDULE EVERY 1 DAY STARTS "
        "'2030-01-01 04:00:00' DISABLE DO SELECT '\xe9'; SET NAMES utf8mb4; SET sql_mode=DEFAULT;"
        "CREATE PROCEDURE `p\u00e4`() SELECT '\u00e4'",
        s->db, s->db, s->db);
}

/* All that the servers tell of them, in one text. MySQL keeps the ; behind one of several statements. */
static char *attributes(scene *s, h_server *server)
{
    return h_scalar(
        server,
        "SELECT GROUP_CONCAT(x ORDER BY x SEPARATOR '\n') FROM ("
        "SELECT CONCAT_WS(' ', EVENT_NAME, TIME_ZONE, IFNULL(STARTS, '-'), IFNULL(EXECUTE_AT, '-'), STATUS, SQL_MODE,"
        " CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION, DEFINER, TRIM(TRAILING ';' FROM EVENT_DEFINITION)) x"
        " FROM information_schema.EVENTS WHERE EVENT_SCHEMA='%s' UNION ALL "
        "SELECT CONCAT_WS(' ', ROUTINE_NAME, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION,"
        " DEFINER, TRIM(TRAILING ';' FROM ROUTINE_DEFINITION)) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='%s' UNION ALL "
        "SELECT CONCAT_WS(' ', SPECIFIC_NAME, PARAMETER_NAME, COLLATION_NAME) FROM information_schema.PARAMETERS"
        " WHERE SPECIFIC_SCHEMA='%s' UNION ALL "
        "SELECT CONCAT_WS(' ', TRIGGER_NAME, ACTION_ORDER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION,"
        " DATABASE_COLLATION, DEFINER, TRIM(TRAILING ';' FROM ACTION_STATEMENT)) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='%s'"
        " UNION ALL SELECT CONCAT_WS(' ', TABLE_NAME, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DEFINER,"
        " VIEW_DEFINITION) FROM information_schema.VIEWS WHERE TABLE_SCHEMA='%s') a",
        s->db, s->db, s->db, s->db, s->db);
}

START_TEST(odd__objects_keep_what_their_sessions_gave_them)
{
    scene s = begin_scene(_i, "sessions", "{\"AutomaticCutover\": true, \"CreateObjects\": true}");
    char *here, *there, *out;
    h_run *run;

    make_objects_of_sessions(&s);
    run = h_start(s.conf);
    ends_with(run, 0, FOREVER);
    here = attributes(&s, s.source);
    there = attributes(&s, s.target);
    ck_assert_str_eq(there, here);
    ck_assert_ptr_nonnull(strstr(here, "e2 +05:00 2030-01-01 03:00:00"));
    ck_assert_ptr_nonnull(strstr(here, "e4 SYSTEM 2030-01-01 03:30:00"));
    free(there);
    there = h_scalar(s.target, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='%s'",
                     s.db);
    ck_assert_str_eq(there, "utf8mb4_general_ci");
    free(there);
    free(here);
    h_run_free(run);

    h_sql(s.source, "USE mysql; INSERT INTO time_zone (Time_zone_id) VALUES (99); INSERT INTO time_zone_name VALUES "
                    "('Test/Zone', 99); INSERT INTO time_zone_transition_type VALUES (99, 0, 7200, 0, 'T')");
    h_sql(s.source,
          "SET time_zone='Test/Zone'; CREATE EVENT %s.zoned ON SCHEDULE EVERY 1 DAY DO DO 1; SET time_zone=DEFAULT",
          s.db);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "check", "--checkpoint-dir", "elsewhere", s.conf), 2);
    ck_assert_msg(strstr(out, "does not know the time zone Test/Zone of event") != NULL, "%s", out);
    ck_assert_msg(strstr(out, "holds a finished job 'sessions") != NULL, "%s", out);
    ck_assert_msg(strstr(out, "tables hold rows already: sessions") != NULL, "%s", out);
    free(out);
    end_scene(&s);
}
END_TEST

/* A database of routines alone, which is moved when it is selected; MariaDB's packages. */
START_TEST(odd__objects_of_a_database_without_tables)
{
    scene s = begin_scene(_i, "routines", NULL);
    char *extra = h_format("{\"AutomaticCutover\": true, \"CreateObjects\": true, \"Databases\": {\"Whitelist\": "
                           "[\"%s\", \"%s_only\"]}}",
                           s.db, s.db);
    const bool packages = strcmp(sources[_i]->family, "mariadb") == 0;
    char *there;
    h_run *run;

    write_conf(&s, extra);
    h_sql(s.source,
          "CREATE TABLE %s.t (id INT PRIMARY KEY); CREATE DATABASE %s_only COLLATE utf8mb4_bin; USE %s_only; CREATE "
          "PROCEDURE p() SELECT 1",
          s.db, s.db, s.db);
    if (packages)
        h_sql(
            s.source,
            "USE %s_only; SET sql_mode='ORACLE'; CREATE PACKAGE pk AS FUNCTION f RETURN INT; END; CREATE PACKAGE BODY "
            "pk AS FUNCTION f RETURN INT IS BEGIN RETURN 42; END; END",
            s.db);
    run = h_start(s.conf);
    ends_with(run, 0, FOREVER);
    there = h_scalar(s.target,
                     "SELECT GROUP_CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME ORDER BY 1) FROM information_schema.ROUTINES "
                     "WHERE ROUTINE_SCHEMA='%s_only'",
                     s.db);
    ck_assert_str_eq(there, packages ? "PACKAGE pk,PACKAGE BODY pk,PROCEDURE p" : "PROCEDURE p");
    if (packages)
        ck_assert_int_eq(h_number(s.target, "SELECT %s_only.pk.f()", s.db), 42);
    free(there);
    there = h_scalar(
        s.target, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='%s_only'", s.db);
    ck_assert_str_eq(there, "utf8mb4_bin");
    free(there);
    h_sql(s.source, "DROP DATABASE %s_only", s.db);
    h_sql(s.target, "DROP DATABASE %s_only", s.db);
    free(extra);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

static long long acting(scene *s, h_server *server)
{
    return h_number(server,
                    "SELECT (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema='%s') + "
                    "(SELECT COUNT(*) FROM information_schema.events WHERE event_schema='%s') * 10",
                    s->db, s->db);
}

static void write_to_triggers(scene *s)
{
    h_sql(s->source, "INSERT INTO %s.t (v) VALUES ('a'), ('b'); UPDATE %s.t SET v = 'c' WHERE id = 1", s->db, s->db);
}

/* Triggers and events that are made at a cutover which fails, or is killed, would act on what is applied afterwards. */
START_TEST(odd__triggers_do_not_outlive_a_cutover_that_fails)
{
    scene s = begin_scene(_i, "acting", "{\"CreateObjects\": true}");
    h_run *run;

    h_sql(s.source,
          "USE %s; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)); CREATE TABLE audit (id INT "
          "AUTO_INCREMENT PRIMARY KEY, w VARCHAR(20)); CREATE TRIGGER tb BEFORE INSERT ON t FOR EACH ROW SET NEW.v = "
          "CONCAT(NEW.v, '!'); CREATE TRIGGER ta AFTER INSERT ON t FOR EACH ROW INSERT INTO audit (w) VALUES (NEW.v);"
          "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO INSERT INTO t (v) VALUES ('event')",
          s.db);
    write_to_triggers(&s);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "USE mysql; INSERT INTO time_zone (Time_zone_id) VALUES (98); INSERT INTO time_zone_name VALUES "
                    "('Test/Acting', 98); INSERT INTO time_zone_transition_type VALUES (98, 0, 7200, 0, 'T')");
    h_sql(s.source,
          "SET time_zone='Test/Acting'; CREATE EVENT %s.zoned ON SCHEDULE EVERY 1 DAY DO DO 1; SET time_zone=DEFAULT",
          s.db);
    ck_assert_int_eq(h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", s.dir), 0);
    ends_with(run, 4, FOREVER);
    ck_assert(h_wait_log(run, "zoned was not created", 1));
    ck_assert_int_eq(acting(&s, s.target), 0);
    h_run_free(run);

    /* The applications have gone back to the source. */
    write_to_triggers(&s);
    h_sql(s.source, "DROP EVENT %s.zoned", s.db);
    run = h_start(s.conf);
    cut_over(&s, run);
    ck_assert_int_eq(acting(&s, s.target), 12);
    h_run_free(run);

    /* As a kill before the last commit leaves it. */
    h_sql(s.target, "UPDATE _gfreplica.job SET stage='copying' WHERE job='%s'", s.db);
    remove_folder(s.dir);
    h_sql(s.source, "DROP TRIGGER %s.ta", s.db);
    write_to_triggers(&s);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert_int_eq(acting(&s, s.target), 0);
    cut_over(&s, run);
    ck_assert_int_eq(acting(&s, s.target), 11);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

static long long next_value(h_server *server, scene *s, const char *sequence)
{
    return h_number(server, "SELECT NEXTVAL(%s.`%s`)", s->db, sequence);
}

START_TEST(odd__sequences_go_on_where_they_stood)
{
    scene s = begin_scene(_i, "sequences", NULL);
    h_run *run;

    h_sql(
        s.source,
        "USE %s; CREATE SEQUENCE ids START WITH 5 CACHE 10; CREATE SEQUENCE `down``s` START WITH -1 INCREMENT BY -3 "
        "NOCACHE; CREATE SEQUENCE unused; CREATE SEQUENCE dropped; CREATE TABLE t (id BIGINT DEFAULT NEXTVAL(ids) PRIMARY KEY, v INT);"
        "INSERT INTO t (v) VALUES (1), (2), (3)",
        s.db);
    next_value(s.source, &s, "down``s");
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "INSERT INTO %s.t (v) VALUES (4), (5); SELECT SETVAL(%s.ids, 1000)", s.db, s.db);
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    h_sql(s.source, "INSERT INTO %s.t (v) VALUES (6)", s.db);
    next_value(s.source, &s, "down``s");
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(
        s.source,
        "INSERT INTO %s.t (v) VALUES (7); ALTER SEQUENCE %s.ids INCREMENT BY 7; CREATE OR REPLACE SEQUENCE %s.unused START "
        "WITH 1 MAXVALUE 50 CYCLE; DROP SEQUENCE %s.dropped",
        s.db, s.db, s.db, s.db);
    cut_over(&s, run);
    ck_assert(h_wait_log(run, ".dropped that the source has not (any more): it stays", 0));
    ck_assert_int_eq(next_value(s.target, &s, "down``s"), next_value(s.source, &s, "down``s"));
    ck_assert_int_eq(h_number(s.target, "SELECT increment FROM %s.ids", s.db), 7);
    ck_assert_int_eq(h_number(s.target, "SELECT maximum_value+cycle_option FROM %s.unused", s.db), 51);
    ck_assert_int_gt(next_value(s.target, &s, "ids"), h_number(s.source, "SELECT MAX(id) FROM %s.t", s.db));
    ck_assert_int_eq(next_value(s.target, &s, "unused"), 1);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

START_TEST(odd__foreign_keys_hold_and_cascades_are_refused)
{
    scene s = begin_scene(_i, "foreign", NULL);
    char *err;
    h_run *run;
    bool logged;

    h_sql(
        s.source,
        "USE %s; CREATE TABLE z_parent (id INT PRIMARY KEY); CREATE TABLE a_child (id INT PRIMARY KEY, p INT, "
        "FOREIGN KEY fk (p) REFERENCES z_parent (id)); CREATE TABLE self (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) "
        "REFERENCES self (id)); INSERT INTO z_parent VALUES (1), (2), (3); INSERT INTO a_child VALUES (1, 1), (2, 3);"
        "INSERT INTO self VALUES (5, NULL), (1, 5), (9, 1)",
        s.db);
    run = h_start("--chunk-rows", "1", s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    for (int i = 10; i < 30; i++)
        h_sql(s.source,
              "START TRANSACTION; INSERT INTO %s.z_parent VALUES (%d); INSERT INTO %s.a_child VALUES (%d, %d); COMMIT;"
              "INSERT INTO %s.self VALUES (%d, %d)",
              s.db, i, s.db, i, i, s.db, i, i == 10 ? 9 : i - 1);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);

    s = begin_scene(_i, "cascade", NULL);
    h_sql(s.source,
          "USE %s; CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) "
          "REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO p VALUES (1), (2), (3); INSERT INTO c "
          "VALUES (1, 1), (2, 2), (3, 3)",
          s.db);
    logged =
        h_exec(NULL, &err, 30, "check", s.conf) == 0; /* MySQL 9.6 and later write what cascades do to the binlog */
    free(err);
    ck_assert(logged == (_i == 1));
    if (logged) {
        run = h_start(s.conf);
        ck_assert(h_wait_log(run, "stage streaming", FOREVER));
        h_sql(s.source, "DELETE FROM %s.p WHERE id=1; UPDATE %s.p SET id=20 WHERE id=2", s.db, s.db);
        cut_over(&s, run);
        h_run_free(run);
    }
    end_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("odd");
    TCase *t = tcase_create("odd");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, odd__tables_of_every_kind_end_equal, 0, FAMILIES);
    tcase_add_loop_test(t, odd__names_of_every_kind_end_equal, 0, FAMILIES);
    tcase_add_loop_test(t, odd__keyless_tables_are_exact_or_refused_by_name, 0, FAMILIES);
    tcase_add_loop_test(t, odd__empty_tables_and_databases, 0, FAMILIES);
    tcase_add_loop_test(t, odd__views_triggers_routines_events_are_left_out_or_created, 0, FAMILIES);
    tcase_add_loop_test(t, odd__objects_keep_what_their_sessions_gave_them, 0, FAMILIES);
    tcase_add_loop_test(t, odd__objects_of_a_database_without_tables, 0, FAMILIES);
    tcase_add_loop_test(t, odd__triggers_do_not_outlive_a_cutover_that_fails, 0, FAMILIES);
    tcase_add_loop_test(t, odd__sequences_go_on_where_they_stood, 0, 1);
    tcase_add_loop_test(t, odd__foreign_keys_hold_and_cascades_are_refused, 0, FAMILIES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

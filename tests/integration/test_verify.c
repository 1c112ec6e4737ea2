/* SPDX-License-Identifier: MIT */
/*
 * test_verify.c - `gfreplica verify` and --verify: what is equal is said to be, whatever changes meanwhile; what differs
 * is named, each row, and nothing else.
 */
#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "integration/scene.h"
#include "run_suite.h"

enum { VERIFY_SECONDS = 100 };

/* The workload's tables make their own database. */
static scene begin_busy(int family, const char *name, unsigned rows, uint64_t seed)
{
    scene s = begin_scene(family, name, NULL);

    h_sql(s.source, "DROP DATABASE %s", s.db);
    h_workload_schema(s.source, s.db);
    h_workload_fill(s.source, s.db, rows, seed);
    return s;
}

static h_run *start_job(scene *s)
{
    h_run *job = h_start("--checkpoint-dir", s->dir, s->conf);

    ck_assert(h_wait_log(job, "stage streaming", FOREVER));
    return job;
}

static void stop_job(h_run *job)
{
    h_signal(job, SIGTERM);
    ends_with(job, 3, 10);
    h_run_free(job);
}

/* The exit code must be this one. Its report and its log, owned by the caller; either may be NULL. */
static void verify(scene *s, int code, char **report, char **log)
{
    char *out, *err;
    int got = h_exec(&out, &err, VERIFY_SECONDS, "verify", "--checkpoint-dir", s->dir, s->conf);

    ck_assert_msg(got == code, "exit code %d, not %d: %s%s", got, code, out, err);
    if (report != NULL)
        *report = out;
    else
        free(out);
    if (log != NULL)
        *log = err;
    else
        free(err);
}

static void says(const char *text, const char *wanted)
{
    ck_assert_msg(strstr(text, wanted) != NULL, "'%s' is not in: %s", wanted, text);
}

static void equal(scene *s, const char *summary)
{
    char *report;

    verify(s, 0, &report, NULL);
    says(report, summary);
    says(report, ": 0 differences");
    free(report);
}

static void refuses(scene *s, int code, const char *why)
{
    char *out, *err;
    int got = h_exec(&out, &err, VERIFY_SECONDS, "verify", "--checkpoint-dir", s->dir, s->conf);

    ck_assert_msg(got == code, "exit code %d, not %d: %s%s", got, code, out, err);
    ck_assert_str_eq(out, "");
    says(err, why);
    free(out);
    free(err);
}

/* ---- equal ---- */

/* Rows change under many hands, some of them all the time, and one table is altered again and again. */
START_TEST(verify__is_content_while_applications_write)
{
    scene s = begin_busy(_i, "busy", 3000, 7);
    h_workload *load;
    h_run *job;

    h_sql(s.source,
          "CREATE TABLE %s.counter (n BIGINT UNSIGNED, id INT PRIMARY KEY); INSERT INTO %s.counter VALUES (0, 1)", s.db,
          s.db);
    h_sql(s.source,
          "CREATE EVENT %s.tick ON SCHEDULE EVERY 1 SECOND DO BEGIN DECLARE i INT DEFAULT 0; WHILE i < 300 DO"
          " UPDATE %s.counter SET n = n + 1; SET i = i + 1; END WHILE; END; SET GLOBAL event_scheduler = ON",
          s.db, s.db);
    load = h_workload_start(s.source, s.db, 4, 3000, 60, 8);
    job = start_job(&s);
    for (int i = 0; i < 3; i++)
        verify(&s, 0, NULL, NULL);
    ck_assert_int_eq(h_wait(job, 0), -1);
    h_sql(s.source, "SET GLOBAL event_scheduler = OFF");
    h_workload_stop(load);
    while (h_number(s.source, "SELECT n %% 300 FROM %s.counter", s.db) != 0) /* the last one goes on to its end */
        h_sleep(0.1);
    cut_over(&s, job);
    verify(&s, 0, NULL, NULL);
    h_run_free(job);
    end_scene(&s);
}
END_TEST

/* A paused job is behind: verify waits for it rather than to take for a difference what is on its way. */
START_TEST(verify__waits_for_a_target_that_is_behind)
{
    scene s = begin_scene(_i, "behind", NULL);
    h_run *job, *v;

    fill(&s, 3000);
    job = start_job(&s);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "pause", "--checkpoint-dir", s.dir), 0);
    h_sql(s.source, "UPDATE %s.table1 SET data = 'new' WHERE id %% 7 = 0; DELETE FROM %s.table1 WHERE id %% 11 = 0",
          s.db, s.db);
    v = h_start("verify", "--checkpoint-dir", s.dir, s.conf);
    ck_assert_int_eq(h_wait(v, 3), -1);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "resume", "--checkpoint-dir", s.dir), 0);
    ends_with(v, 0, FOREVER);
    h_run_free(v);
    stop_job(job);
    end_scene(&s);
}
END_TEST

START_TEST(verify__follows_tables_that_are_altered)
{
    scene s = begin_scene(_i, "altered", NULL);
    h_run *job, *v;

    fill(&s, 9000);
    job = start_job(&s);
    v = h_start("verify", "--checkpoint-dir", s.dir, s.conf);
    for (int i = 0; i < 6; i++) {
        h_sql(s.source, "ALTER TABLE %s.table1 ADD COLUMN c%d INT DEFAULT %d; UPDATE %s.table1 SET c%d = id %% 5", s.db,
              i, i, s.db, i);
        if (i % 2 == 1)
            h_sql(s.source, "ALTER TABLE %s.table1 DROP COLUMN c%d", s.db, i - 1);
    }
    ends_with(v, 0, FOREVER);
    h_run_free(v);
    equal(&s, "1 table, 9003 rows compared");
    cut_over(&s, job);
    h_run_free(job);
    end_scene(&s);
}
END_TEST

static void kill_connections(h_server *server)
{
    for (;;) {
        char *id = h_scalar(server, "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND"
                                    " command IN ('Sleep', 'Query') AND user = 'root' LIMIT 1");

        if (id == NULL)
            return;
        h_sql_try(server, NULL, "KILL %s", id);
        free(id);
    }
}

/* All of its connections, while it waits for a target that is behind. */
START_TEST(verify__rides_through_lost_connections)
{
    scene s = begin_busy(_i, "killed", 3000, 9);
    h_run *job, *v;

    job = start_job(&s);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "pause", "--checkpoint-dir", s.dir), 0);
    h_sql(s.source, "DELETE FROM %s.w_hot", s.db);
    v = h_start("verify", "--checkpoint-dir", s.dir, s.conf);
    for (double deadline = h_now() + FOREVER; !h_wait_log(v, "trying again", 1);) {
        ck_assert(h_now() < deadline);
        kill_connections(s.target);
    }
    kill_connections(s.source);
    h_sleep(1);
    ck_assert_int_eq(h_wait(v, 0), -1);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "resume", "--checkpoint-dir", s.dir), 0);
    ends_with(v, 0, FOREVER);
    h_run_free(v);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* ---- different ---- */

static void several_tables(scene *s)
{
    h_sql(s->source,
          "CREATE TABLE %s.plain (id INT PRIMARY KEY, v VARCHAR(10), w DOUBLE, g INT AS (id + 1) STORED);"
          "INSERT INTO %s.plain (id, v, w) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4);"
          "CREATE TABLE %s.pair (a VARCHAR(20) COLLATE utf8mb4_general_ci, b INT, v BLOB, PRIMARY KEY (b, a));"
          "INSERT INTO %s.pair VALUES ('x', 1, 'one'), ('y', 1, NULL), ('z', 2, '');"
          "CREATE TABLE %s.heap (v INT); INSERT INTO %s.heap VALUES (1), (1), (2);"
          "CREATE TABLE %s.nothing (id INT PRIMARY KEY)",
          s->db, s->db, s->db, s->db, s->db, s->db, s->db);
}

/* One row of each kind of difference; what is named is exactly those. */
START_TEST(verify__names_each_difference)
{
    scene s = begin_scene(_i, "named", "{\"LockKeylessTables\": true}");
    char *report, *out;
    json_t *doc;
    h_run *job;

    several_tables(&s);
    job = start_job(&s);
    equal(&s, "4 tables, 10 rows compared");
    h_sql(s.target,
          "SET SESSION foreign_key_checks = 0; USE %s; UPDATE plain SET v = 'B', w = 2.0000000000000004 WHERE id = 2;"
          "DELETE FROM plain WHERE id = 3; INSERT INTO plain (id) VALUES (9); UPDATE pair SET v = '' WHERE a = 'y';"
          "UPDATE pair SET a = 'X' WHERE a = 'x'; INSERT INTO heap VALUES (2); INSERT INTO nothing VALUES (0)",
          s.db);
    verify(&s, 6, &report, NULL);
    says(report, "plain: row id=2 differs in `v`, `w`\n");
    says(report, "plain: row id=3 is missing on the target\n");
    says(report, "plain: row id=9 is on the target alone\n");
    says(report, "pair: row b=1, a='y' differs in `v`\n");
    says(report, "pair: row b=1, a='x' is missing on the target\n");
    says(report, "pair: row b=1, a='X' is on the target alone\n");
    says(report, "heap: the table differs: its rows (it has no key to name them by)\n");
    says(report, "nothing: row id=0 is on the target alone\n");
    says(report, "4 tables, 10 rows compared: 8 differences\n");
    free(report);
    h_sql(s.target, "DELETE FROM %s.heap WHERE v = 2 LIMIT 1", s.db); /* which takes its time to be sure of */
    ck_assert_int_eq(h_exec(&out, NULL, VERIFY_SECONDS, "verify", "--json", "--checkpoint-dir", s.dir, s.conf), 6);
    doc = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(doc);
    ck_assert(json_is_false(json_object_get(doc, "Equal")));
    ck_assert_int_eq(json_integer_value(json_object_get(doc, "Differences")), 7);
    ck_assert_uint_eq(json_array_size(json_object_get(doc, "List")), 7);
    json_decref(doc);
    free(out);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* Differences are found beside applications that write, and only they are. */
START_TEST(verify__finds_one_bit_under_load)
{
    scene s = begin_busy(_i, "onebit", 2000, 17);
    h_workload *load;
    char *report;
    h_run *job;

    fill(&s, 5000);
    job = start_job(&s);
    load = h_workload_start(s.source, s.db, 3, 2000, 60, 18);
    h_sql(s.target, "UPDATE %s.table1 SET data = 'row 433' WHERE id = 4321", s.db);
    verify(&s, 6, &report, NULL);
    says(report, "table1: row id=4321 differs in `data`\n");
    says(report, ": 1 difference\n");
    free(report);
    h_workload_stop(load);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* A table that is another one altogether: the first hundred rows tell. */
START_TEST(verify__does_not_name_a_million_rows)
{
    scene s = begin_scene(_i, "many", NULL);
    char *report;
    h_run *job;

    fill(&s, 8000);
    h_sql(s.source, "CREATE TABLE %s.few (id INT PRIMARY KEY); INSERT INTO %s.few VALUES (1)", s.db, s.db);
    job = start_job(&s);
    h_sql(s.target,
          "UPDATE %s.table1 SET data = CONCAT(data, '!'); SET SESSION sql_mode = '';"
          "INSERT INTO %s.few SELECT id FROM %s.table1 WHERE id > 1",
          s.db, s.db, s.db);
    verify(&s, 6, &report, NULL);
    says(report, "differs in `data`\n");
    says(report, "few: row id=");
    says(report, "not compared to its end\n");
    says(report, ": 200 differences\n");
    free(report);
    stop_job(job);
    end_scene(&s);
}
END_TEST

START_TEST(verify__misses_no_table_and_no_column)
{
    scene s = begin_scene(_i, "tables", "{\"LockKeylessTables\": true}");
    char *report;
    h_run *job;

    several_tables(&s);
    job = start_job(&s);
    h_sql(s.target, "DROP TABLE %s.nothing; ALTER TABLE %s.pair DROP COLUMN v", s.db, s.db);
    verify(&s, 6, &report, NULL);
    says(report, "nothing: the table differs: the target has no such table\n");
    says(report, "pair: the table differs: column `v` is missing on one side\n");
    says(report, ": 2 differences\n");
    free(report);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* Keys that the target orders otherwise: rows of either side alone are found nevertheless. */
START_TEST(verify__walks_in_the_targets_order_too)
{
    scene s = begin_scene(_i, "ordered", NULL);
    char *report, *map;
    h_run *job;

    h_sql(s.source,
          "CREATE TABLE %s.t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);"
          "INSERT INTO %s.t VALUES ('a', 1), ('B', 2), ('c', 3), ('D', 4), ('e', 5), ('\xc3\xa9z', 6)",
          s.db, s.db);
    map = h_format("utf8mb4_general_ci=utf8mb4_bin");
    job = h_start("--checkpoint-dir", s.dir, "--map-collation", map, s.conf);
    ck_assert(h_wait_log(job, "stage streaming", FOREVER));
    h_sql(s.target, "INSERT INTO %s.t VALUES ('A', 7), ('b', 8), ('\xc3\x89z', 9); DELETE FROM %s.t WHERE k = 'D'",
          s.db, s.db);
    ck_assert_int_eq(
        h_exec(&report, NULL, VERIFY_SECONDS, "verify", "--checkpoint-dir", s.dir, "--map-collation", map, s.conf), 6);
    says(report, "row k='A' is on the target alone\n");
    says(report, "row k='b' is on the target alone\n");
    says(report, "row k='D' is missing on the target\n");
    says(report, ": 4 differences\n");
    free(report);
    free(map);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* Frozen in the middle of its walk: it has found rows that look unlike, and waits for a job that is paused. */
static h_run *frozen_walk(scene *s, const char *change)
{
    h_run *v;

    ck_assert_int_eq(h_exec(NULL, NULL, 10, "pause", "--checkpoint-dir", s->dir), 0);
    h_sql(s->source, "%s", change);
    v = h_start("verify", "--readers", "1", "--checkpoint-dir", s->dir, s->conf);
    h_sleep(3);
    ck_assert_int_eq(h_wait(v, 0), -1);
    h_signal(v, SIGSTOP);
    return v;
}

static void thaw(h_run *v, const char *said)
{
    char *report;

    h_signal(v, SIGCONT);
    ends_with(v, 6, FOREVER);
    report = h_stdout(v);
    says(report, said);
    says(report, ": 1 difference\n");
    free(report);
    h_run_free(v);
}

static void resume_until(scene *s, const char *column, const char *wanted)
{
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "resume", "--checkpoint-dir", s->dir), 0);
    for (double deadline = h_now() + FOREVER;;) {
        char *now = h_scalar(s->target,
                             "SELECT CONCAT(column_type, ' ', COALESCE(collation_name, '')) FROM"
                             " information_schema.columns WHERE table_schema = '%s' AND column_name = '%s'",
                             s->db, column);
        bool there = now != NULL && strstr(now, wanted) != NULL;

        free(now);
        if (there)
            return;
        ck_assert(h_now() < deadline);
        h_sleep(0.05);
    }
}

/* Schema changes that break no SELECT: a new column, another order of keys. */
START_TEST(verify__begins_anew_with_a_table_that_was_altered)
{
    scene s = begin_scene(_i, "midwalk", NULL);
    char *sql;
    h_run *job, *v;

    fill(&s, 9000);
    job = start_job(&s);
    sql = h_format("UPDATE %s.table1 SET data = 'new' WHERE id < 1500", s.db);
    v = frozen_walk(&s, sql);
    h_sql(s.source, "ALTER TABLE %s.table1 ADD c INT NOT NULL DEFAULT 5", s.db);
    resume_until(&s, "c", "int");
    h_sql(s.target, "UPDATE %s.table1 SET c = 6 WHERE id = 700", s.db);
    thaw(v, "row id=700 differs in `c`\n");
    free(sql);
    stop_job(job);
    end_scene(&s);
}
END_TEST

START_TEST(verify__leaves_out_no_row_when_the_order_changes)
{
    scene s = begin_scene(_i, "reordered", NULL);
    char *sql;
    h_run *job, *v;

    fill(&s, 4000);
    h_sql(
        s.source,
        "CREATE TABLE %s.t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v INT); INSERT INTO %s.t"
        " SELECT CONCAT(IF(id %% 2, 'B', 'a'), id), 1 FROM %s.table1 WHERE id > 0; DROP TABLE %s.table1",
        s.db, s.db, s.db, s.db);
    job = start_job(&s);
    sql = h_format("UPDATE %s.t SET v = 2 WHERE k LIKE 'B%%'", s.db);
    v = frozen_walk(&s, sql);
    h_sql(s.source, "ALTER TABLE %s.t MODIFY k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
          s.db);
    resume_until(&s, "k", "general_ci");
    h_sql(s.target, "UPDATE %s.t SET v = -1 WHERE k = 'a1002'", s.db);
    thaw(v, "row k='a1002' differs in `v`\n");
    free(sql);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* Somebody has dropped the target's key, and put in rows twice. */
START_TEST(verify__counts_rows_of_one_key)
{
    scene s = begin_scene(_i, "twice", NULL);
    char *report;
    h_run *job;

    several_tables(&s);
    h_sql(s.source, "DROP TABLE %s.heap", s.db);
    job = start_job(&s);
    h_sql(s.target,
          "ALTER TABLE %s.plain DROP PRIMARY KEY; INSERT INTO %s.plain (id, v, w) VALUES (2, 'b', 2), (3, '!', 3)",
          s.db, s.db);
    verify(&s, 6, &report, NULL);
    says(report, "plain: row id=2 differs\n");
    says(report, "plain: row id=3 differs\n");
    says(report, ": 2 differences\n");
    free(report);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* A stranger keeps a row on the source that has nothing to do with those that differ. */
START_TEST(verify__waits_for_no_other_row)
{
    scene s = begin_scene(_i, "held", NULL);
    MYSQL *stranger;
    char *report, *sql;
    h_run *job;
    double began;

    fill(&s, 200);
    job = start_job(&s);
    h_sql(s.target, "UPDATE %s.table1 SET data = 'other' WHERE id BETWEEN 50 AND 90", s.db);
    stranger = h_connect(s.source);
    sql = h_format("UPDATE %s.table1 SET data = 'held' WHERE id = 199", s.db);
    ck_assert_int_eq(mysql_query(stranger, "BEGIN"), 0);
    ck_assert_int_eq(mysql_query(stranger, sql), 0);
    began = h_now();
    verify(&s, 6, &report, NULL);
    ck_assert(h_now() - began < 20);
    says(report, ": 41 differences\n");
    mysql_close(stranger);
    free(report);
    free(sql);
    stop_job(job);
    end_scene(&s);
}
END_TEST

static void *toggle(void *arg)
{
    scene *s = arg;
    MYSQL *db = h_connect(s->source);
    char *sql = h_format("UPDATE %s.table1 SET data = IF(data = 'on', 'off', 'on') WHERE id IN (1, 2, 3)", s->db);

    for (double until = h_now() + 12; h_now() < until;)
        if (mysql_query(db, sql) != 0)
            h_fail("%s", mysql_error(db));
    mysql_close(db);
    free(sql);
    mysql_thread_end();
    return NULL;
}

/* Rows that go to and fro as fast as they can are none that differ. */
START_TEST(verify__is_not_taken_in_by_rows_that_toggle)
{
    scene s = begin_scene(_i, "toggles", NULL);
    pthread_t thread;
    h_run *job;

    fill(&s, 50);
    job = start_job(&s);
    ck_assert_int_eq(pthread_create(&thread, NULL, toggle, &s), 0);
    for (int i = 0; i < 8; i++) {
        char *report;
        int code = h_exec(&report, NULL, VERIFY_SECONDS, "verify", "--checkpoint-dir", s.dir, s.conf);

        ck_assert_msg((code == 0 || code == 4) && strstr(report, ": 0 differences\n") != NULL, "%d: %s", code, report);
        free(report);
    }
    pthread_join(thread, NULL);
    equal(&s, "1 table, 53 rows compared");
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* Under other names, descending, beside rows that were there before. */
START_TEST(verify__knows_the_targets_names_and_its_own_rows)
{
    scene s = begin_scene(_i, "renamed", NULL);
    char *conf = h_format(
             "{\"AllowExistingTargetTable\": true, \"DatabaseRewrites\": {\"%s\": \"%s_new\"}, \"TableRewrites\":"
             " {\"t\": \"u\"}}",
             s.db, s.db),
         *report;
    h_run *job;

    write_conf(&s, conf);
    h_sql(
        s.source,
        "CREATE TABLE %s.t (a INT, b VARCHAR(10), v INT, PRIMARY KEY (a DESC, b)); INSERT INTO %s.t VALUES (1, 'x', 1),"
        " (1, 'y', 2), (2, 'x', 3), (3, '', 4)",
        s.db, s.db);
    h_sql(
        s.target,
        "CREATE DATABASE %s_new; CREATE TABLE %s_new.u (a INT, b VARCHAR(10), v INT, PRIMARY KEY (a DESC, b)); INSERT INTO"
        " %s_new.u VALUES (7, 'x', 7), (1, 'xx', 1)",
        s.db, s.db, s.db);
    job = start_job(&s);
    equal(&s, "1 table, 4 rows compared");
    h_sql(s.target, "UPDATE %s_new.u SET v = 9 WHERE a = 2; DELETE FROM %s_new.u WHERE a = 3", s.db, s.db);
    verify(&s, 6, &report, NULL);
    says(report, "t: row a=2, b='x' differs in `v`\n");
    says(report, "t: row a=3, b='' is missing on the target\n");
    says(report, ": 2 differences\n");
    free(report);
    free(conf);
    stop_job(job);
    h_sql(s.target, "DROP DATABASE %s_new", s.db);
    end_scene(&s);
}
END_TEST

/* ---- jobs ---- */

START_TEST(verify__wants_a_job_that_has_copied_and_runs)
{
    scene s = begin_scene(_i, "wants", NULL), other;
    h_run *job;

    fill(&s, 100);
    refuses(&s, 2, "there is no checkpoint directory");
    job = start_job(&s);
    other = s;
    other.conf = h_config(s.source, s.target, "mysql_other", NULL);
    refuses(&other, 2, "use its configuration");
    free(other.conf);
    stop_job(job);
    equal(&s, "1 table, 103 rows compared"); /* nothing looked unlike: nothing to wait for */
    h_sql(s.source, "DELETE FROM %s.table1 WHERE id = 0", s.db);
    refuses(&s, 4, "the job does not run");
    job = start_job(&s);
    equal(&s, "1 table, 102 rows compared");
    cut_over(&s, job);
    h_run_free(job);
    equal(&s, "1 table, 102 rows compared");
    end_scene(&s);
}
END_TEST

START_TEST(verify__of_a_job_that_is_done_says_what_came_later)
{
    scene s = begin_scene(_i, "later", NULL);
    char *report, *log;
    h_run *job;

    fill(&s, 100);
    job = start_job(&s);
    cut_over(&s, job);
    h_run_free(job);
    h_sql(s.source, "UPDATE %s.table1 SET data = 'late' WHERE id = 50", s.db);
    verify(&s, 6, &report, &log);
    says(report, "row id=50 differs in `data`\n");
    says(log, "has gone on to");
    free(report);
    free(log);
    end_scene(&s);
}
END_TEST

START_TEST(verify__works_without_a_marker)
{
    scene s = begin_scene(_i, "nomarker", "{\"NoMarker\": true}");
    char *report;
    h_run *job;

    fill(&s, 500);
    job = start_job(&s);
    h_sql(s.source, "UPDATE %s.table1 SET data = 'new' WHERE id %% 3 = 0", s.db);
    equal(&s, "1 table, 503 rows compared");
    h_sql(s.target, "DELETE FROM %s.table1 WHERE id = -1", s.db);
    verify(&s, 6, &report, NULL);
    says(report, "row id=-1 is missing on the target\n");
    free(report);
    stop_job(job);
    end_scene(&s);
}
END_TEST

/* ---- at the cutover ---- */

START_TEST(cutover__is_not_done_while_a_row_differs)
{
    scene s = begin_scene(_i, "atend", "{\"VerifyAtCutover\": true}");
    char *log;
    h_run *job;

    fill(&s, 2000);
    job = start_job(&s);
    h_sql(s.target, "UPDATE %s.table1 SET data = 'other' WHERE id = 1000", s.db);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    ends_with(job, 6, FOREVER);
    log = h_stderr(job);
    says(log, "table1: row id=1000 differs in `data`");
    free(log);
    h_run_free(job);
    h_sql(s.source, "UPDATE %s.table1 SET data = 'mended' WHERE id = 1000", s.db);
    job = start_job(&s);
    cut_over(&s, job);
    log = h_stderr(job);
    says(log, "2003 rows of 1 tables are equal");
    free(log);
    h_run_free(job);
    end_scene(&s);
}
END_TEST

/* A stranger keeps a table: the comparison waits in the server, and a stop does not. */
START_TEST(cutover__that_compares_can_be_stopped_at_once)
{
    scene s = begin_scene(_i, "stopped", "{\"VerifyAtCutover\": true}");
    MYSQL *stranger;
    h_run *job;
    char *sql;

    fill(&s, 100);
    job = start_job(&s);
    stranger = h_connect(s.target);
    sql = h_format("LOCK TABLES %s.table1 WRITE", s.db);
    ck_assert_int_eq(mysql_query(stranger, sql), 0);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    ck_assert(h_wait_log(job, "comparing all rows", FOREVER));
    h_sleep(1);
    h_signal(job, SIGTERM);
    ends_with(job, 3, 2);
    h_run_free(job);
    mysql_close(stranger);
    job = start_job(&s);
    ends_with(job, 0, FOREVER); /* the cutover that was asked for goes on */
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(job);
    free(sql);
    end_scene(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tc = tcase_create("verify");
    const TTest *const tests[] = {
        verify__is_content_while_applications_write,
        verify__waits_for_a_target_that_is_behind,
        verify__follows_tables_that_are_altered,
        verify__rides_through_lost_connections,
        verify__names_each_difference,
        verify__finds_one_bit_under_load,
        verify__does_not_name_a_million_rows,
        verify__misses_no_table_and_no_column,
        verify__walks_in_the_targets_order_too,
        verify__begins_anew_with_a_table_that_was_altered,
        verify__leaves_out_no_row_when_the_order_changes,
        verify__counts_rows_of_one_key,
        verify__waits_for_no_other_row,
        verify__is_not_taken_in_by_rows_that_toggle,
        verify__knows_the_targets_names_and_its_own_rows,
        verify__wants_a_job_that_has_copied_and_runs,
        verify__of_a_job_that_is_done_says_what_came_later,
        verify__works_without_a_marker,
        cutover__is_not_done_while_a_row_differs,
        cutover__that_compares_can_be_stopped_at_once,
    };

    tcase_add_unchecked_fixture(tc, start_servers, end_servers);
    tcase_set_timeout(tc, 240);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_loop_test(tc, tests[i], 0, FAMILIES);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

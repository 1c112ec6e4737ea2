/* SPDX-License-Identifier: MIT */
/*
 * test_move.c - the main job, end to end: a live database is copied, followed, cut over, and equal.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { FOREVER = 120 };

/* One per way to follow a source: rules S1, S2 and S3. Rows are copied by LOAD DATA where the target has local_infile on,
   as MariaDB has by itself, and by REPLACE on the last one. */
static const struct way {
    const char *family, *source_options, *target_options;
} ways[] = {
    {"mariadb", NULL, NULL},
    {"mysql", NULL, "--local-infile=ON"},
    {"mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF", NULL},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static h_server *sources[WAYS], *targets[WAYS];

static void start_servers(void)
{
    for (int i = 0; i < WAYS; i++)
        h_server_start_pair(&sources[i], &targets[i], ways[i].family, ways[i].source_options, ways[i].target_options);
}

static void end_servers(void)
{
    for (int i = 0; i < WAYS; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

/* Each test has databases and a job of its own on the shared servers. */
static char *config(int way, const char *databases, const char *extra)
{
    return h_config(sources[way], targets[way], databases, extra);
}

static void ends_equal(int way, h_run *run, const char *databases)
{
    int code = h_wait(run, FOREVER);

    if (code != 0) {
        char *log = h_stderr(run);

        fprintf(stderr, "%s\n", log);
        free(log);
    }
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(h_compare(sources[way], targets[way], databases), 0);
}

START_TEST(move__ends_equal_under_live_writes)
{
    char *db = h_format("live%d", _i), *dir = h_path("checkpoints"), *conf;
    h_workload *load;
    h_run *run;

    h_workload_schema(sources[_i], db);
    h_workload_fill(sources[_i], db, 3000, 1);
    conf = config(_i, db, NULL);
    load = h_workload_start(sources[_i], db, 4, 3000, 50, 2);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(2);
    h_workload_stop(load);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir), 0);
    ends_equal(_i, run, db);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

START_TEST(move__an_idle_source_is_copied_and_cut_over_by_itself)
{
    char *db = h_format("idle%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_workload_schema(sources[_i], db);
    h_workload_fill(sources[_i], db, 500, 3);
    h_sql(sources[_i], "CREATE TABLE %s.empty_one (id INT PRIMARY KEY, t TEXT)", db);
    conf = config(_i, db, "{\"AutomaticCutover\": true}");
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ends_equal(_i, run, db);
    h_run_free(run);

    /* The same command again: done is done. */
    ck_assert_int_eq(h_exec(NULL, NULL, 30, "--checkpoint-dir", dir, "--job", db, conf), 0);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

START_TEST(move__names_are_renamed_and_filtered)
{
    char *dir = h_path("checkpoints"), *conf, *job = h_format("names%d", _i);
    h_run *run;

    h_sql(sources[_i], "CREATE DATABASE `from``a`");
    h_sql(sources[_i], "CREATE TABLE `from``a`.`one two` (`i``d` INT PRIMARY KEY, `a'b` VARCHAR(10))");
    h_sql(sources[_i], "CREATE TABLE `from``a`.left_out (id INT PRIMARY KEY)");
    h_sql(sources[_i], "INSERT INTO `from``a`.`one two` VALUES (1, 'x'), (0, ''), (-5, NULL)");
    conf = config(_i, "from`a",
                  "{\"AutomaticCutover\": true,"
                  " \"Databases\": {\"Rewrites\": {\"from`a\": \"to.b\"}},"
                  " \"Tables\": {\"Blacklist\": [\"left_out\"], \"Rewrites\": {\"one two\": \"three\"}}}");
    run = h_start("--checkpoint-dir", dir, "--job", job, conf);
    ends_equal(_i, run, "from`a=to.b,from`a.one two=three,!from`a.left_out");
    ck_assert_int_eq(h_number(targets[_i], "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='to.b'"),
                     1);
    h_run_free(run);
    free(conf);
    free(dir);
    free(job);
}
END_TEST

START_TEST(move__large_transaction_is_streamed)
{
    char *db = h_format("large%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(sources[_i], "CREATE DATABASE %s", db);
    h_sql(sources[_i], "CREATE TABLE %s.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100), UNIQUE (v))", db);
    h_sql(sources[_i], "INSERT INTO %s.t (v) VALUES (UUID())", db);
    conf = config(_i, db, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(sources[_i],
          "SET autocommit=0; USE %s;"
          "INSERT INTO t (v) SELECT CONCAT('row ', seq) FROM "
          "(WITH RECURSIVE s AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM s WHERE seq < 900) "
          "SELECT a.seq * 1000 + b.seq AS seq FROM s a JOIN s b ON b.seq <= 60) x;"
          "UPDATE t SET v = CONCAT(v, '!') WHERE id %% 3 = 0; DELETE FROM t WHERE id %% 7 = 0;"
          "COMMIT; SET autocommit=1",
          db);
    h_sql(sources[_i], "INSERT INTO %s.t (v) VALUES ('after')", db);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir), 0);
    ends_equal(_i, run, db);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

START_TEST(move__shows_up_as_a_replica)
{
    char *db = h_format("listed%d", _i), *dir = h_path("checkpoints"), *conf, *found;
    bool mysql = strcmp(ways[_i].family, "mysql") == 0;
    h_run *run;
    MYSQL *m;
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool seen = false;

    h_sql(sources[_i], "CREATE DATABASE %s", db);
    h_sql(sources[_i], "CREATE TABLE %s.t (id INT PRIMARY KEY)", db);
    conf = config(_i, db, "{\"MyServerId\": 4711}");
    run = h_start("--checkpoint-dir", dir, "--job", db, "--report-host", "mover.test", "--report-port", "3999", conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    m = h_connect(sources[_i]);
    ck_assert_int_eq(mysql_query(m, mysql ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS"), 0);
    res = mysql_store_result(m);
    while ((row = mysql_fetch_row(res)) != NULL)
        seen =
            seen || (strcmp(row[0], "4711") == 0 && strcmp(row[1], "mover.test") == 0 && strcmp(row[2], "3999") == 0);
    ck_assert(seen);
    mysql_free_result(res);
    mysql_close(m);
    h_signal(run, SIGTERM);
    ck_assert_int_eq(h_wait(run, 5), 3);
    found = h_stdout(run);
    ck_assert_str_eq(found, "");
    free(found);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

START_TEST(move__statement_format_change_stops_naming_the_table)
{
    char *db = h_format("stmt%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;
    char *log;

    h_sql(sources[_i], "CREATE DATABASE %s", db);
    h_sql(sources[_i], "CREATE TABLE %s.orders (id INT PRIMARY KEY, v INT)", db);
    conf = config(_i, db, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(sources[_i],
          "SET SESSION binlog_format=STATEMENT; INSERT INTO %s.orders VALUES (1, 2); "
          "SET SESSION binlog_format=ROW",
          db);
    ck_assert_int_eq(h_wait(run, 30), 4);
    log = h_stderr(run);
    ck_assert_ptr_nonnull(strstr(log, "orders"));
    ck_assert_ptr_nonnull(strstr(log, "statement"));
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("move");
    TCase *t = tcase_create("move");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, move__an_idle_source_is_copied_and_cut_over_by_itself, 0, WAYS);
    tcase_add_loop_test(t, move__ends_equal_under_live_writes, 0, WAYS);
    tcase_add_loop_test(t, move__names_are_renamed_and_filtered, 0, WAYS);
    tcase_add_loop_test(t, move__large_transaction_is_streamed, 0, WAYS);
    tcase_add_loop_test(t, move__shows_up_as_a_replica, 0, WAYS);
    tcase_add_loop_test(t, move__statement_format_change_stops_naming_the_table, 0, WAYS);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

/* SPDX-License-Identifier: MIT */
/*
 * test_budget.c - what a fixed job may cost in statements, commits and bytes, so that a regression fails without a
 * clock.
 *
 * The bounds are some 15 % above what was measured when they were set; who has a reason to raise one says it in the
 * commit. Time steers the size of chunks, so it is switched off here.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { FOREVER = 180, TABLES = 4, ROWS = 10000, TRANSACTIONS = 400 };

static const struct way {
    const char *family, *target_options, *method, *statement;
} ways[] = {
    {"mariadb", NULL, "load", "load"},
    {"mariadb", NULL, "insert", "replace"},
    {"mysql", "--local-infile=ON", "load", "load"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static h_server *sources[WAYS], *targets[WAYS];

static void start_servers(void)
{
    for (int i = 0; i < WAYS; i++)
        h_server_start_pair(&sources[i], &targets[i], ways[i].family, NULL, ways[i].target_options);
}

static void end_servers(void)
{
    for (int i = 0; i < WAYS; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

/* ---- counting ---- */

enum { BYTES_IN, BYTES_OUT, WRITES, SELECTS, COMMITS, UPDATES, REPLACES, DELETES, COUNTERS };

typedef struct {
    long long n[COUNTERS];
} counters;

static long long status(h_server *server, const char *name)
{
    MYSQL *db = h_connect(server);
    char *sql = h_format("SHOW GLOBAL STATUS LIKE '%s'", name);
    long long value;
    MYSQL_RES *res;
    MYSQL_ROW row;

    ck_assert_int_eq(mysql_query(db, sql), 0);
    res = mysql_store_result(db);
    row = mysql_fetch_row(res);
    ck_assert_msg(row != NULL, "%s", sql);
    value = strtoll(row[1], NULL, 10);
    mysql_free_result(res);
    mysql_close(db);
    free(sql);
    return value;
}

static counters read_counters(h_server *server, int way)
{
    char *writes = h_format("Com_%s", ways[way].statement);
    counters c = {{[BYTES_IN] = status(server, "Bytes_received"),
                   [BYTES_OUT] = status(server, "Bytes_sent"),
                   [WRITES] = status(server, writes),
                   [SELECTS] = status(server, "Com_select"),
                   [COMMITS] = status(server, "Com_commit"),
                   [UPDATES] = status(server, "Com_update"),
                   [REPLACES] = status(server, "Com_replace"),
                   [DELETES] = status(server, "Com_delete")}};

    free(writes);
    return c;
}

static counters spent(h_server *server, int way, const counters *before)
{
    counters c = read_counters(server, way);

    for (int i = 0; i < COUNTERS; i++)
        c.n[i] -= before->n[i];
    return c;
}

static void within(const char *what, long long value, long long most)
{
    fprintf(stderr, "    %s: %lld of at most %lld\n", what, value, most);
    ck_assert_msg(value <= most, "%s: %lld instead of at most %lld", what, value, most);
}

/* ---- the job ---- */

static void make_tables(int way, const char *db)
{
    h_sql(sources[way], "CREATE DATABASE %s; USE %s; SET SESSION %s=1000000", db, db,
          strcmp(ways[way].family, "mysql") == 0 ? "cte_max_recursion_depth" : "max_recursive_iterations");
    for (int i = 0; i < TABLES; i++)
        h_sql(
            sources[way],
            "CREATE TABLE t%d (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL,"
            " KEY (k));"
            "INSERT INTO t%d WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < %d)"
            " SELECT n, n * 7919 %% 10007, RPAD(SHA2(n, 256), 119, SHA2(n + 1, 256)), SUBSTR(SHA2(n + 2, 256), 6) FROM s",
            i, i, ROWS);
    h_sql(sources[way], "ANALYZE TABLE t0, t1, t2, t3");
}

static h_run *start_job(int way, const char *db, const char *dir, const char *conf)
{
    return h_start("--checkpoint-dir", dir, "--job", db, "--copy-method", ways[way].method, "--chunk-time", "60s",
                   conf);
}

static void follow_and_stop(int way, const char *db, const char *dir)
{
    char *conf = h_config(sources[way], targets[way], db, NULL);
    h_run *run = start_job(way, db, dir, conf);

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_signal(run, SIGTERM);
    ck_assert_int_eq(h_wait(run, 30), 3);
    h_run_free(run);
    free(conf);
}

static void move(int way, const char *db, const char *dir)
{
    char *conf = h_config(sources[way], targets[way], db, "{\"AutomaticCutover\": true}");
    h_run *run = start_job(way, db, dir, conf);
    int code = h_wait(run, FOREVER);

    ck_assert_int_eq(code, 0);
    h_run_free(run);
    free(conf);
}

/* 185 bytes a row as a line or a tuple, and its quotes. Chunks grow from 500 rows to 2 MiB: six to a table. */
START_TEST(budget__of_a_copy)
{
    char *db = h_format("copied%d", _i), *dir = h_path("checkpoints");
    counters source, target;

    make_tables(_i, db);
    source = read_counters(sources[_i], _i);
    target = read_counters(targets[_i], _i);
    move(_i, db, dir);
    source = spent(sources[_i], _i, &source);
    target = spent(targets[_i], _i, &target);
    within("bytes to the target", target.n[BYTES_IN], 205LL * TABLES * ROWS);
    within("bytes from the source", source.n[BYTES_OUT], 205LL * TABLES * ROWS);
    within("statements of rows", target.n[WRITES], 6LL * TABLES);
    within("commits on the target", target.n[COMMITS], 6LL * TABLES + 10);
    within("updates of the marker", target.n[UPDATES], 6LL * TABLES + 10);
    within("questions to the source", source.n[SELECTS], 6LL * TABLES + 150);
    ck_assert_uint_eq(h_compare(sources[_i], targets[_i], db), 0);
    free(dir);
    free(db);
}
END_TEST

/* What the target gets when it has to catch up with what run_backlog does meanwhile. */
static counters catch_up(int way, const char *db, const char *dir, void (*run_backlog)(int way))
{
    counters target;

    make_tables(way, db);
    follow_and_stop(way, db, dir);
    run_backlog(way);
    target = read_counters(targets[way], way);
    move(way, db, dir);
    target = spent(targets[way], way, &target);
    ck_assert_uint_eq(h_compare(sources[way], targets[way], db), 0);
    return target;
}

static void spread_transactions(int way)
{
    for (int i = 0; i < TRANSACTIONS; i++)
        h_sql(sources[way], "UPDATE t%d SET k = k + 1 WHERE id = %d", i % TABLES, i * 7 % ROWS + 1);
}

/* While behind, transactions share a commit: the first few leave at once, the rest is less than one full batch. */
START_TEST(budget__of_a_backlog)
{
    char *db = h_format("behind%d", _i), *dir = h_path("checkpoints");
    counters target = catch_up(_i, db, dir, spread_transactions);

    within("bytes to the target for 400 transactions", target.n[BYTES_IN], 400LL * TRANSACTIONS);
    within("statements of rows", target.n[REPLACES], 12LL * TABLES);
    within("commits on the target", target.n[COMMITS], 12 + 10);
    within("updates of the marker", target.n[UPDATES], 12 + 20);
    free(dir);
    free(db);
}
END_TEST

static void hot_transactions(int way)
{
    for (int i = 0; i < TRANSACTIONS; i++)
        h_sql(sources[way], "UPDATE t0 SET k = k + 1 WHERE id = %d", i % 10 + 1);
}

/* Of a row that was changed many times only the last image is written. */
START_TEST(budget__of_a_backlog_of_hot_rows)
{
    char *db = h_format("hot%d", _i), *dir = h_path("checkpoints");
    counters target = catch_up(_i, db, dir, hot_transactions);

    within("bytes to the target for 400 transactions", target.n[BYTES_IN], 70LL * TRANSACTIONS);
    within("statements of rows", target.n[REPLACES], 12 * 2);
    within("commits on the target", target.n[COMMITS], 12 + 10);
    free(dir);
    free(db);
}
END_TEST

enum { ONE_BY_ONE = 40 };

static void wait_for_k(int way, long long k)
{
    double until = h_now() + 60;

    while (h_number(targets[way], "SELECT k FROM t0 WHERE id = 1") != k && h_now() < until)
        h_sleep(0.02);
    ck_assert_int_eq(h_number(targets[way], "SELECT k FROM t0 WHERE id = 1"), k);
}

/* A transaction that comes alone costs its rows, the marker and a COMMIT. */
START_TEST(budget__of_single_transactions)
{
    char *db = h_format("single%d", _i), *dir = h_path("checkpoints"), *conf;
    counters target;
    h_run *run;

    make_tables(_i, db);
    conf = h_config(sources[_i], targets[_i], db, NULL);
    run = start_job(_i, db, dir, conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(targets[_i], "USE %s", db);
    target = read_counters(targets[_i], _i);
    for (int i = 1; i <= ONE_BY_ONE; i++) {
        h_sql(sources[_i], "UPDATE t0 SET k = %d WHERE id = 1", 1000000 + i);
        wait_for_k(_i, 1000000 + i);
    }
    target = spent(targets[_i], _i, &target);
    within("statements of rows", target.n[REPLACES] + target.n[DELETES], ONE_BY_ONE);
    within("commits on the target", target.n[COMMITS], 2LL * ONE_BY_ONE); /* once a second the position alone */
    within("updates of the marker", target.n[UPDATES], 2LL * ONE_BY_ONE);
    h_signal(run, SIGTERM);
    ck_assert_int_eq(h_wait(run, 30), 3);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tc = tcase_create("budget");

    tcase_add_unchecked_fixture(tc, start_servers, end_servers);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, budget__of_a_copy, 0, WAYS);
    tcase_add_loop_test(tc, budget__of_a_backlog, 0, WAYS);
    tcase_add_loop_test(tc, budget__of_a_backlog_of_hot_rows, 0, WAYS);
    tcase_add_loop_test(tc, budget__of_single_transactions, 0, WAYS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

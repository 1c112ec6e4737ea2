/* SPDX-License-Identifier: MIT */
/*
 * test_xa.c - XA transactions that are prepared and decided while the source is followed (rule S4).
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

static const struct way {
    const char *family, *source_options;
} ways[] = {
    {"mariadb", NULL},
    {"mysql", NULL},
    {"mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static h_server *sources[WAYS], *targets[WAYS];

static void start_servers(void)
{
    for (int i = 0; i < WAYS; i++)
        h_server_start_pair(&sources[i], &targets[i], ways[i].family, ways[i].source_options, NULL);
}

static void end_servers(void)
{
    for (int i = 0; i < WAYS; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

/* On a connection of its own: a prepared transaction outlives it. */
static void xa(int way, const char *db, const char *xid, const char *changes, const char *end)
{
    MYSQL *m = h_connect(sources[way]);
    char *all = h_format("XA START '%s'|USE %s|%s|XA END '%s'|%s", xid, db, changes, xid, end), *save = NULL;

    for (char *sql = strtok_r(all, "|", &save); sql != NULL; sql = strtok_r(NULL, "|", &save)) {
        if (mysql_query(m, sql) != 0)
            h_fail("%s: %s", sql, mysql_error(m));
    }
    mysql_close(m);
    free(all);
}

static void make_tables(int way, const char *db)
{
    h_sql(sources[way], "CREATE DATABASE %s", db);
    h_sql(sources[way], "CREATE TABLE %s.t (id INT PRIMARY KEY, v VARCHAR(20), u INT, UNIQUE (u))", db);
    h_sql(sources[way], "INSERT INTO %s.t VALUES (1,'a',1),(2,'b',2),(3,'c',3),(4,'d',4),(5,'e',5)", db);
}

static h_run *start_streaming(const char *dir, const char *db, const char *conf)
{
    h_run *run = h_start("--checkpoint-dir", dir, "--job", db, conf);

    ck_assert(h_wait_log(run, "stage streaming", 60));
    return run;
}

/* Ends the test: takes all that it had. */
static void end_equal(int way, h_run *run, char *dir, char *conf, char *db)
{
    int code = h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);

    if (code == 0)
        code = h_wait(run, 60);
    if (code != 0) {
        char *log = h_stderr(run);

        fprintf(stderr, "%s\n", log);
        free(log);
    }
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(h_compare(sources[way], targets[way], db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}

START_TEST(xa__counts_where_it_is_decided)
{
    char *db = h_format("xa%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;

    make_tables(_i, db);
    conf = h_config(sources[_i], targets[_i], db, NULL);
    run = start_streaming(dir, db, conf);
    xa(_i, db, "late", "UPDATE t SET v='late' WHERE id=1|INSERT INTO t VALUES (10,'ten',10)", "XA PREPARE 'late'");
    xa(_i, db, "undone", "DELETE FROM t WHERE id=2", "XA PREPARE 'undone'");
    h_sql(sources[_i], "UPDATE %s.t SET v='between' WHERE id=3", db);
    xa(_i, db, "one", "UPDATE t SET v='one phase' WHERE id=4", "XA COMMIT 'one' ONE PHASE");
    h_sql(sources[_i], "XA ROLLBACK 'undone'");
    h_sql(sources[_i], "DELETE FROM %s.t WHERE id=2", db);
    h_sql(sources[_i], "XA COMMIT 'late'");
    h_sql(sources[_i], "UPDATE %s.t SET v='after' WHERE id=10", db);
    end_equal(_i, run, dir, conf, db);
}
END_TEST

START_TEST(xa__prepared_changes_survive_a_kill)
{
    char *db = h_format("xakill%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;

    make_tables(_i, db);
    conf = h_config(sources[_i], targets[_i], db, NULL);
    run = start_streaming(dir, db, conf);
    xa(_i, db, "kept", "UPDATE t SET v='kept', u=50 WHERE id=5", "XA PREPARE 'kept'");
    h_sql(sources[_i], "UPDATE %s.t SET v='seen' WHERE id=1", db);
    for (int i = 0; i < 100; i++) { /* until PREPARE's place is passed on the target */
        if (h_number(targets[_i], "SELECT COUNT(*) FROM %s.t WHERE v='seen'", db) == 1)
            break;
        h_sleep(0.1);
    }
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    run = start_streaming(dir, db, conf);
    ck_assert_int_eq(h_number(targets[_i], "SELECT COUNT(*) FROM %s.t WHERE v='kept'", db), 0);
    h_sql(sources[_i], "XA COMMIT 'kept'");
    end_equal(_i, run, dir, conf, db);
}
END_TEST

/* While the job is stopped, so that the next run gets all of it at once: XA, and a transaction that goes in pieces. */
static h_run *fall_behind(h_run *run, int family, const char *db, const char *dir, const char *conf, bool prepares)
{
    h_signal(run, SIGTERM);
    ck_assert_int_eq(h_wait(run, 10), 3);
    h_run_free(run);
    h_sql(sources[family], "UPDATE %s.t SET v='before' WHERE id=1", db);
    if (prepares)
        xa(family, db, "again", "UPDATE t SET v='prepared' WHERE id=2", "XA PREPARE 'again'");
    else
        h_sql(sources[family], "XA COMMIT 'again'");
    h_sql(sources[family], "UPDATE %s.big SET v=v+1", db);
    run = start_streaming(dir, db, conf);
    return run;
}

START_TEST(xa__is_kept_beside_a_transaction_in_pieces)
{
    char *db = h_format("xalarge%d", _i), *dir = h_path("checkpoints"), *conf;
    h_run *run;

    make_tables(_i, db);
    h_sql(sources[_i], "CREATE TABLE %s.big (id INT PRIMARY KEY, v INT); INSERT INTO %s.big VALUES (1, 0)", db, db);
    for (int have = 1; have < 20000; have *= 2)
        h_sql(sources[_i], "INSERT INTO %s.big SELECT id+%d, 0 FROM %s.big", db, have, db);
    conf = h_config(sources[_i], targets[_i], db, NULL);
    run = start_streaming(dir, db, conf);
    run = fall_behind(run, _i, db, dir, conf, true);
    run = fall_behind(run, _i, db, dir, conf, false);
    xa(_i, db, "again", "UPDATE t SET v='another' WHERE id=3", "XA PREPARE 'again'");
    h_sql(sources[_i], "UPDATE %s.t SET v='later' WHERE id=2", db);
    h_sql(sources[_i], "XA COMMIT 'again'");
    end_equal(_i, run, dir, conf, db);
}
END_TEST

/* Somebody holds up the writer that keeps the PREPARE; the ROLLBACK shares no row with it and must wait all the same. */
START_TEST(xa__a_decision_follows_its_preparation)
{
    char *db = h_format("xaorder%d", _i), *dir = h_path("checkpoints"), *conf;
    MYSQL *stranger = h_connect(targets[_i]);
    h_run *run;

    make_tables(_i, db);
    conf = h_config(sources[_i], targets[_i], db, NULL);
    run = start_streaming(dir, db, conf);
    mysql_query(stranger, "BEGIN");
    ck_assert_int_eq(mysql_query(stranger, "SELECT * FROM _gfreplica.xa FOR UPDATE"), 0);
    mysql_free_result(mysql_store_result(stranger));
    xa(_i, db, "x", "UPDATE t SET v='undone' WHERE id=1", "XA PREPARE 'x'");
    h_sql(sources[_i], "UPDATE %s.t SET v='with it' WHERE id=2",
          db); /* what has no rows waits for some that go along */
    h_sleep(0.5);
    h_sql(sources[_i], "XA ROLLBACK 'x'");
    h_sql(sources[_i], "UPDATE %s.t SET v='with it' WHERE id=3", db);
    h_sleep(0.5);
    mysql_query(stranger, "ROLLBACK");
    mysql_close(stranger);
    end_equal(_i, run, dir, conf, db);
}
END_TEST

START_TEST(xa__prepared_before_the_start_is_refused)
{
    char *db = h_format("xaold%d", _i), *dir = h_path("checkpoints"), *conf, *err;

    make_tables(_i, db);
    xa(_i, db, "old", "UPDATE t SET v='old' WHERE id=5", "XA PREPARE 'old'");
    conf = h_config(sources[_i], targets[_i], db, NULL);
    ck_assert_int_eq(h_exec(NULL, &err, 60, "--checkpoint-dir", dir, "--job", db, conf), 2);
    ck_assert(strstr(err, "old") != NULL || strcasestr(err, "6F6C64") != NULL); /* in hex where XA RECOVER says so */
    ck_assert_ptr_nonnull(strstr(err, "XA"));
    h_sql(sources[_i], "XA ROLLBACK 'old'");
    free(err);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("xa");
    TCase *t = tcase_create("xa");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, xa__counts_where_it_is_decided, 0, WAYS);
    tcase_add_loop_test(t, xa__prepared_changes_survive_a_kill, 0, WAYS);
    tcase_add_loop_test(t, xa__is_kept_beside_a_transaction_in_pieces, 0, WAYS);
    tcase_add_loop_test(t, xa__a_decision_follows_its_preparation, 0, WAYS);
    tcase_add_loop_test(t, xa__prepared_before_the_start_is_refused, 0, WAYS);
    suite_add_tcase(s, t);
    return run_suite(s);
}

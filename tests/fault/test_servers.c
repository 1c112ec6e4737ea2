/* SPDX-License-Identifier: MIT */
/*
 * test_servers.c - what happens to the servers and links while a job copies and while it streams, under load.
 *
 * Every cell of the matrix: a live source, the job in the wanted stage, the fault, some more seconds of load, cutover,
 * and both sides equal. All of these are ridden through by the same process.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"

enum { ROWS = 1500 };

static const char *const families[] = {"mariadb", "mysql"};
enum { FAMILIES = 2 };

static h_server *source, *target;

struct cell {
    const char *db;
    h_run *run;
};

/* ---- faults ---- */

/* KILLs the connections whose line in the process list has `word` in it. */
static void kill_connections(h_server *server, const char *word)
{
    MYSQL *m = h_connect(server);
    MYSQL_RES *res;
    MYSQL_ROW row;

    if (mysql_query(m, "SHOW FULL PROCESSLIST") != 0)
        h_fail("process list: %s", mysql_error(m));
    res = mysql_store_result(m);
    while ((row = mysql_fetch_row(res)) != NULL) {
        char *kill_it;

        if ((row[4] == NULL || strstr(row[4], word) == NULL) && (row[7] == NULL || strstr(row[7], word) == NULL))
            continue;
        if (row[7] != NULL && strstr(row[7], "PROCESSLIST") != NULL)
            continue;
        kill_it = h_format("KILL %s", row[0]);
        if (mysql_query(m, kill_it) != 0 && mysql_errno(m) != 1094) /* it may have ended by itself */
            h_fail("%s: %s", kill_it, mysql_error(m));
        free(kill_it);
    }
    mysql_free_result(res);
    mysql_close(m);
}

static void source_crash(struct cell *c)
{
    (void)c;
    h_server_kill(source);
    h_server_restart(source, NULL);
}

static void source_restart(struct cell *c)
{
    (void)c;
    h_server_stop(source);
    h_server_restart(source, NULL);
}

/* It runs with innodb_flush_log_at_trx_commit=0: the last second of commits is gone, the marker's with them. A job whose
   very start is lost has to be started anew: it is given the time to become durable. */
static void target_crash(struct cell *c)
{
    (void)c;
    h_sleep(1.5);
    h_server_kill(target);
    h_server_restart(target, NULL);
}

static void target_read_only(struct cell *c)
{
    (void)c;
    h_sql(target, "SET GLOBAL read_only=ON");
    h_sleep(2);
    h_sql(target, "SET GLOBAL read_only=OFF");
}

static void dump_thread_killed(struct cell *c)
{
    (void)c;
    kill_connections(source, "Binlog Dump");
}

static void reads_killed(struct cell *c)
{
    (void)c;
    for (int i = 0; i < 20; i++) {
        kill_connections(source, "FORCE INDEX");
        h_sleep(0.02);
    }
}

static void writers_killed(struct cell *c)
{
    (void)c;
    for (int i = 0; i < 10; i++) {
        kill_connections(target, "REPLACE INTO");
        h_sleep(0.05);
    }
}

static void binlog_rotated(struct cell *c)
{
    (void)c;
    for (int i = 0; i < 5; i++)
        h_sql(source, "FLUSH BINARY LOGS");
}

static void process_frozen(struct cell *c)
{
    h_signal(c->run, SIGSTOP);
    h_sleep(3);
    h_signal(c->run, SIGCONT);
}

/* A stranger's transaction on the target holds rows that we need. */
static void rows_locked(struct cell *c)
{
    MYSQL *m = h_connect(target);
    char *sql = h_format("SELECT COUNT(*) FROM %s.w_hot FOR UPDATE", c->db);

    if (mysql_query(m, "BEGIN") != 0 || mysql_query(m, sql) != 0)
        h_fail("%s: %s", sql, mysql_error(m));
    mysql_free_result(mysql_store_result(m));
    h_sleep(4);
    mysql_close(m);
    free(sql);
}

static const struct fault {
    const char *name;
    void (*happens)(struct cell *c);
} faults[] = {
    {"source_crash", source_crash},      {"source_restart", source_restart},
    {"target_crash", target_crash},      {"target_read_only", target_read_only},
    {"dump_thread", dump_thread_killed}, {"reads", reads_killed},
    {"writers", writers_killed},         {"rotate", binlog_rotated},
    {"frozen", process_frozen},          {"locks", rows_locked},
};
enum { FAULTS = sizeof faults / sizeof faults[0], STAGES = 2 };

static void tell(h_run *run)
{
    char *log = h_stderr(run);

    fprintf(stderr, "%s\n", log);
    free(log);
}

static void run_cell(const char *family, const struct fault *f, bool streaming)
{
    char *db = h_format("%s_%s_%s", family, f->name, streaming ? "s" : "c"), *dir = h_path("checkpoints"), *conf;
    struct cell c = {.db = db};
    h_workload *load;
    int code;

    h_workload_schema(source, db);
    h_workload_fill(source, db, ROWS, 1);
    /* Tiny chunks make the copy last; a stage that is over would prove nothing. */
    conf = h_config(source, target, db, streaming ? NULL : "{\"UpdatableConfig\": {\"DataIterationBatchSize\": 20}}");
    load = h_workload_start(source, db, 2, ROWS, 30, 2);
    c.run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    if (!h_wait_log(c.run, streaming ? "stage streaming" : "stage copying", 60))
        tell(c.run);
    h_sleep(0.3);
    f->happens(&c);
    h_sleep(1);
    h_workload_stop(load);
    if (!h_wait_log(c.run, "stage streaming", 90))
        tell(c.run);
    code = h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    if (code == 0)
        code = h_wait(c.run, 90);
    if (code != 0)
        tell(c.run);
    ck_assert_msg(code == 0, "%s: exit code %d", db, code);
    ck_assert_msg(h_compare(source, target, db) == 0, "%s differs", db);
    h_run_free(c.run);
    h_sql(source, "DROP DATABASE %s", db);
    h_sql(target, "DROP DATABASE %s", db);
    free(conf);
    free(dir);
    free(db);
}

START_TEST(servers__faults_are_ridden_through)
{
    const char *family = families[_i / STAGES];

    h_server_start_pair(&source, &target, family, NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    for (int f = 0; f < FAULTS; f++)
        run_cell(family, &faults[f], _i % STAGES == 1);
    h_server_free(source);
    h_server_free(target);
}
END_TEST

/* A row of ours changed by somebody else: reported, never papered over. */
START_TEST(servers__a_strangers_change_is_a_divergence)
{
    char *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;
    int code;

    h_server_start_pair(&source, &target, families[_i], NULL, NULL);
    h_sql(source,
          "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1,1),(2,2)");
    conf = h_config(source, target, "d", NULL);
    run = h_start("--checkpoint-dir", dir, conf);
    ck_assert(h_wait_log(run, "stage streaming", 60));
    h_sql(source, "UPDATE d.t SET v=10 WHERE id=1");
    h_sleep(2);
    h_sql(target, "DELETE FROM d.t WHERE id=2");
    h_sql(source, "DELETE FROM d.t WHERE id=2");
    code = h_wait(run, 30);
    log = h_stderr(run);
    ck_assert_int_eq(code, 4);
    ck_assert_ptr_nonnull(strstr(log, "d.t"));
    ck_assert_ptr_nonnull(strstr(log, "id=2"));
    free(log);
    h_run_free(run);
    h_server_free(source);
    h_server_free(target);
    free(conf);
    free(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("servers");
    TCase *t = tcase_create("servers");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 900);
    tcase_add_loop_test(t, servers__faults_are_ridden_through, 0, FAMILIES * STAGES);
    tcase_add_loop_test(t, servers__a_strangers_change_is_a_divergence, 0, FAMILIES);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

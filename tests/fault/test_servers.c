/* SPDX-License-Identifier: MIT */
/*
 * test_servers.c - what happens to the servers, their connections and our process, at every stage of a job.
 *
 * All of it is ridden through, or gone on with by the same command where our process was killed: a row written then
 * arrives, and at the end both sides are equal. In `make test` most faults come one after the other upon one job;
 * `make fault` gives each, at each stage, a job of its own.
 */
#include "fault/cell.h"
#include "run_suite.h"

static h_server *source, *target;

/* ---- faults ---- */

/* KILLs the connections of that user, command, or with that in their statement. */
static void kill_by(MYSQL *m, const char *word)
{
    MYSQL_RES *res;
    MYSQL_ROW row;

    if (mysql_query(m, "SHOW FULL PROCESSLIST") != 0)
        h_fail("process list: %s", mysql_error(m));
    res = mysql_store_result(m);
    while ((row = mysql_fetch_row(res)) != NULL) {
        char *kill_it;

        if ((row[4] == NULL || strstr(row[4], word) == NULL) && (row[7] == NULL || strstr(row[7], word) == NULL) &&
            strcmp(row[1], word) != 0)
            continue;
        if (row[7] != NULL && strstr(row[7], "PROCESSLIST") != NULL)
            continue;
        kill_it = h_format("KILL %s", row[0]);
        if (mysql_query(m, kill_it) != 0 && mysql_errno(m) != 1094) /* it may have ended by itself */
            h_fail("%s: %s", kill_it, mysql_error(m));
        free(kill_it);
    }
    mysql_free_result(res);
}

static void kill_connections(h_server *server, const char *word)
{
    MYSQL *m = h_connect(server);

    kill_by(m, word);
    mysql_close(m);
}

static void source_crash(cell *c)
{
    h_server_kill(c->source);
    h_server_restart(c->source, NULL);
}

static void source_restart(cell *c)
{
    h_server_restart(c->source, NULL);
}

/* It runs with innodb_flush_log_at_trx_commit=0: the last second of commits is gone, the marker's with them. */
static void target_crash(cell *c)
{
    h_server_kill(c->target);
    h_server_restart(c->target, NULL);
}

static void target_restart(cell *c)
{
    h_server_restart(c->target, NULL);
}

static void target_read_only(cell *c)
{
    bool mariadb = strcmp(c->target->family, "mariadb") == 0;

    h_sql(c->target, "SET GLOBAL %s=ON", mariadb ? "read_only" : "super_read_only");
    h_sleep(2);
    h_sql(c->target, "SET GLOBAL read_only=OFF");
}

static void dump_thread_killed(cell *c)
{
    kill_connections(c->source, "Binlog Dump");
}

static void reads_killed(cell *c)
{
    for (int i = 0; i < 20; i++) {
        kill_connections(c->source, "FORCE INDEX");
        h_sleep(0.02);
    }
}

static void writers_killed(cell *c)
{
    for (int i = 0; i < 10; i++) {
        kill_connections(c->target, c->stage == ALTERING ? "ALTER TABLE" : "REPLACE INTO");
        h_sleep(0.05);
    }
}

static void binlog_rotated(cell *c)
{
    for (int i = 0; i < 5; i++)
        h_sql(c->source, "FLUSH BINARY LOGS");
}

static void binlog_purged(cell *c)
{
    char *newest;

    binlog_rotated(c);
    cell_beat(c, FOREVER); /* all before is applied */
    newest = h_scalar(c->source,
                      strcmp(c->source->family, "mariadb") == 0 ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
    h_sql(c->source, "PURGE BINARY LOGS TO '%s'", newest);
    free(newest);
}

static void process_killed(cell *c)
{
    if (h_wait(c->run, 0) < 0)
        h_signal(c->run, SIGKILL);
}

/* One signal, and in good order. */
static void process_stopped(cell *c)
{
    if (h_wait(c->run, 0) >= 0)
        return;
    h_signal(c->run, SIGTERM);
    cell_assert(c, h_wait(c->run, 2) == 3 || (c->stage == CUTOVER && h_wait(c->run, 0) == 0), "%s: exit code %d", c->db,
                h_wait(c->run, 0));
}

static void process_interrupted_twice(cell *c)
{
    if (h_wait(c->run, 0) < 0)
        h_signal(c->run, SIGINT);
    h_sleep(0.01);
    if (h_wait(c->run, 0) < 0)
        h_signal(c->run, SIGINT);
}

static void process_frozen(cell *c)
{
    if (h_wait(c->run, 0) >= 0)
        return;
    h_signal(c->run, SIGSTOP);
    h_sleep(whole_matrix() ? 60 : 3);
    h_signal(c->run, SIGCONT);
}

/* A stranger's transaction on the target holds rows that we need. */
static void rows_locked(cell *c)
{
    MYSQL *m = h_connect(c->target);
    char *sql = h_format("SELECT COUNT(*) FROM %s.w_hot FOR UPDATE", c->db);

    if (mysql_query(m, "BEGIN") != 0 || mysql_query(m, sql) != 0)
        h_fail("%s: %s", sql, mysql_error(m));
    mysql_free_result(mysql_store_result(m));
    h_sleep(4);
    mysql_close(m);
    free(sql);
}

/* A stranger takes rows from both ends of what we write, again and again, and gives them back. */
static void deadlocks_provoked(cell *c)
{
    MYSQL *m = h_connect(c->target);
    char *one = h_format("SELECT COUNT(*) FROM %s.w_hot FOR UPDATE", c->db);
    char *other = h_format("DELETE FROM %s.w_int WHERE id < 40", c->db);

    mysql_query(m, "SET SESSION innodb_lock_wait_timeout=2");
    for (int i = 0; i < 12; i++) { /* whichever of us loses */
        mysql_query(m, "BEGIN");
        mysql_query(m, i % 2 == 0 ? one : other);
        mysql_free_result(mysql_store_result(m));
        h_sleep(0.1);
        mysql_query(m, i % 2 == 0 ? other : one);
        mysql_free_result(mysql_store_result(m));
        mysql_query(m, "ROLLBACK");
    }
    mysql_close(m);
    free(one);
    free(other);
}

/* Ours are killed and meet a full server; this connection is open before, since more than the limit may be. */
static void no_connection_left(h_server *server, const char *user, const char *ours)
{
    MYSQL *m = h_connect(server), *others[11] = {NULL};

    if (mysql_query(m, "SET GLOBAL max_connections=10") != 0)
        h_fail("max_connections: %s", mysql_error(m));
    kill_by(m, ours);
    for (unsigned i = 0; i < 11; i++) { /* takes what is free */
        others[i] = mysql_init(NULL);
        mysql_real_connect(others[i], server->host, user, "", NULL, server->port, NULL, 0);
    }
    h_sleep(3);
    for (unsigned i = 0; i < 11; i++)
        mysql_close(others[i]);
    if (mysql_query(m, "SET GLOBAL max_connections=151") != 0)
        h_fail("max_connections: %s", mysql_error(m));
    mysql_close(m);
}

static void target_full(cell *c)
{
    no_connection_left(c->target, "mover", "mover");
}

static void source_full(cell *c)
{
    no_connection_left(c->source, c->source->user, "Binlog Dump");
}

static const struct fault {
    const char *name;
    void (*happens)(cell *c);
    bool kills;    /* our process */
    bool needs_us; /* at work, or it would be another fault */
    bool waits;    /* for statements of the target's that are under way: it can't come in the middle of an ALTER */
} faults[] = {
    {"reads", reads_killed, false, false, false},
    {"kill", process_killed, true, false, false},
    {"source_crash", source_crash, false, false, false},
    {"target_crash", target_crash, false, false, false},
    {"writers", writers_killed, false, false, false},
    {"dump_thread", dump_thread_killed, false, false, false},
    {"sigint_twice", process_interrupted_twice, true, false, false},
    {"locks", rows_locked, false, false, false},
    {"target_read_only", target_read_only, false, false, true},
    {"deadlocks", deadlocks_provoked, false, false, false},
    {"source_restart", source_restart, false, false, false},
    {"target_restart", target_restart, false, false, false},
    {"rotate", binlog_rotated, false, false, false},
    {"purge", binlog_purged, false, true, false},
    {"frozen", process_frozen, false, false, false},
    {"target_full", target_full, false, false, false},
    {"sigterm", process_stopped, true, false, false},
    {"source_full", source_full, false, false, false},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

/* faults_copying: so many come while rows are copied. */
static void begin(cell *c, const char *family, const char *name, cell_stage stage, unsigned faults_copying)
{
    char *db = h_format("%s_%s_%s", family, name, cell_stages[stage]);

    *c = (cell){.source = source, .target = target, .user = "mover"};
    c->rows = stage == COPYING ? 2000 + 1000 * faults_copying : 800;
    cell_begin(c, db, stage);
    free(db);
}

static bool makes_sense(const struct fault *f, cell_stage stage)
{
    if (f->happens == process_stopped && stage == STOPPING) /* that would be two signals */
        return false;
    if (stage == ALTERING)
        return !f->needs_us && !f->waits;
    return !f->needs_us || stage == COPYING || stage == STREAMING || stage == LAGGING || stage == IDLE;
}

static void happen(cell *c, const struct fault *f, cell_stage stage)
{
    if (!makes_sense(f, stage))
        return;
    cell_reach(c, stage);
    fprintf(stderr, "%s %s\n", f->name, cell_stages[stage]);
    f->happens(c);
    cell_go_on(c, f->kills);
}

static void a_job_each(const char *family, cell_stage stage, unsigned first, unsigned step)
{
    for (unsigned i = first; i < FAULTS; i += step) {
        cell c;

        if (!makes_sense(&faults[i], stage) || !is_wanted_fault(faults[i].name))
            continue;
        begin(&c, family, faults[i].name, stage, 1);
        h_sleep(0.3);
        happen(&c, &faults[i], stage);
        cell_cut_over(&c);
        cell_free(&c);
    }
}

/* Those of the copy first, while it lasts. Each fault has one of these two stages, and one or two of the others. */
static void one_job_for_all(const char *family)
{
    cell c;

    begin(&c, family, "all", COPYING, FAULTS / 2);
    for (unsigned i = 0; i < FAULTS; i += 2)
        happen(&c, &faults[i], COPYING);
    for (unsigned i = 1; i < FAULTS; i += 2)
        happen(&c, &faults[i], STREAMING);
    for (cell_stage stage = LAGGING; stage <= IDLE; stage++)
        for (unsigned i = stage % 3; i < FAULTS; i += 3)
            happen(&c, &faults[i], stage);
    cell_cut_over(&c);
    cell_free(&c);
    a_job_each(family, CUTOVER, 1, 4);
}

static void start_servers(const char *family)
{
    h_server_start_pair(&source, &target, family, NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    cell_make_user(target);
}

static void stop_servers(void)
{
    h_server_free(source);
    h_server_free(target);
}

START_TEST(servers__faults_are_ridden_through)
{
    start_servers(families[_i]);
    if (whole_matrix())
        for (cell_stage stage = COPYING; stage < STAGES; stage++)
            if (is_wanted(stage))
                a_job_each(families[_i], stage, 0, 1);
    if (!whole_matrix())
        one_job_for_all(families[_i]);
    stop_servers();
}
END_TEST

/* Kills the target at once when the job has begun; `killed`: our process as well. False when its log was written before. */
static bool lose_beginning(cell *c, bool killed)
{
    cell_beat(c, FOREVER);
    if (killed)
        cell_kill(c);
    cell_stop_load(c);
    h_server_kill(target);
    h_sql(source, "DROP TABLE %s.w_hot; CREATE TABLE %s.late (id INT PRIMARY KEY); INSERT INTO %s.late VALUES (1), (2)",
          c->db, c->db, c->db); /* the schema of the second beginning */
    h_server_restart(target, NULL);
    if (h_number(target, "SELECT COUNT(*) FROM _gfreplica.job WHERE job='%s'", c->db) > 0)
        return false;
    if (killed) {
        cell_run(c);
        cell_assert(c, h_wait_log(c->run, "beginning once more", FOREVER), "no second beginning");
        h_sleep(0.02); /* in the middle of it, or a little behind */
        cell_kill(c);
    }
    return true;
}

/* A MariaDB that writes its redo log when it must: all since the last DDL is gone, the marker's first commit with it.
   (MySQL's log writer hands its log to the system at once, so that a crash of the process alone loses nothing.) */
START_TEST(servers__the_jobs_very_beginning_is_lost)
{
    const bool killed = _i == 1;
    bool lost = false;
    cell c;

    h_server_start_pair(&source, &target, "mariadb", NULL,
                        "--innodb-flush-log-at-trx-commit=0 --innodb-flush-log-at-timeout=2000");
    for (int i = 0; i < 8 && !lost; i++) {
        c = (cell){.source = source, .target = target, .rows = 100};
        cell_begin(&c, i % 2 == 0 ? "beginning" : "again", STREAMING);
        lost = lose_beginning(&c, killed); /* restarts the target, with its options */
        if (killed)
            cell_run(&c);
        cell_beat(&c, FOREVER);
        if (lost && !killed)
            cell_expect_said(&c, "`.`w_hot`, is left there: drop it");
        if (lost)
            h_sql(target, "DROP TABLE %s.w_hot", c.db);
        h_sql(target, "SET GLOBAL innodb_flush_log_at_trx_commit=1"); /* else it is never done */
        cell_cut_over(&c);
        cell_free(&c);
        h_sql(target, "DELETE FROM _gfreplica.job; SET GLOBAL innodb_flush_log_at_trx_commit=0");
    }
    ck_assert(lost);

    /* With a row in any table it is not that. */
    c = (cell){.source = source, .target = target, .rows = 200};
    cell_begin(&c, "filled", STREAMING);
    cell_stop(&c);
    h_sql(target, "DELETE FROM _gfreplica.job WHERE job='filled'; DELETE FROM filled.w_hot");
    cell_run(&c);
    cell_expect_exit(&c, 5, 20);
    cell_expect_said(&c, "knows nothing of job 'filled'");
    cell_free(&c);
    stop_servers();
}
END_TEST

/* What a target keeps safe once a second it may not lose when the job is done: nobody would bring it again. */
START_TEST(servers__what_is_done_outlives_the_target)
{
    cell c;

    start_servers(families[_i]);
    for (int i = 0; i < 2; i++) {
        begin(&c, families[_i], "done", STREAMING, 0);
        cell_stop_load(&c);
        cell_command(&c, "cutover");
        cell_expect_exit(&c, 0, FOREVER);
        h_server_kill(target);
        h_server_restart(target, NULL);
        cell_assert(&c, h_compare(source, target, c.db) == 0, "%s differs", c.db);
        cell_free(&c);
        h_sql(target, "DELETE FROM _gfreplica.job");
    }
    stop_servers();
}
END_TEST

static void expect_rows(cell *c, unsigned rows)
{
    unsigned there;

    cell_beat(c, FOREVER);
    cell_wait_stage(c, "streaming");
    there = (unsigned)h_number(target, "SELECT COUNT(*) FROM %s.in_memory", c->db);
    cell_assert(c, there == rows, "%s: %u rows, not %u", c->db, there, rows);
}

static void expect_emptied(cell *c)
{
    double until = h_now() + FOREVER;

    while (h_number(target, "SELECT COUNT(*) FROM %s.in_memory", c->db) > 0) {
        cell_assert(c, h_now() < until && h_wait(c->run, 0) < 0, "%s: what the source has lost is there", c->db);
        h_sleep(0.05);
    }
}

/* A job of its own, with such a table from the start: DDL that makes one is not repeated. */
static void begin_in_memory(cell *c)
{
    cell_begin(c, "in_memory", STREAMING);
    cell_stop_load(c);
    cell_stop(c);
    h_sql(target, "DROP DATABASE %s; DELETE FROM _gfreplica.job", c->db);
    cell_shell("rm -r %s", c->dir);
    h_sql(source,
          "CREATE TABLE %s.in_memory (id INT PRIMARY KEY) ENGINE=MEMORY; INSERT INTO %s.in_memory VALUES (1), (2), (3)",
          c->db, c->db);
    cell_run(c);
}

START_TEST(servers__what_memory_loses_is_copied_again)
{
    const char *options = _i == 0 ? NULL : "--gtid-mode=OFF --enforce-gtid-consistency=OFF";
    static const char lost[] = "in_memory lives in memory, and a restart has lost it";
    cell job = {.rows = 100}, *c = &job;

    h_server_start_pair(&source, &target, families[_i], options, options);
    job.source = source;
    job.target = target;
    begin_in_memory(c);
    expect_rows(c, 3);
    h_server_kill(target);
    h_server_restart(target, NULL);
    cell_beat(c, FOREVER);
    cell_expect_count(c, lost, 1);
    expect_rows(c, 3);
    cell_stop(c);
    h_server_restart(target, NULL);
    cell_run(c);
    cell_beat(c, FOREVER);
    cell_expect_count(c, lost, 1);
    expect_rows(c, 3);
    cell_stop(c); /* nothing is lost, nothing is copied again */
    cell_run(c);
    expect_rows(c, 3);
    cell_expect_count(c, lost, 0);
    h_server_restart(source, NULL); /* which empties its own, and logs that when somebody looks */
    h_number(source, "SELECT COUNT(*) FROM %s.in_memory", c->db);
    expect_emptied(c);
    h_sql(source, "INSERT INTO %s.in_memory VALUES (7), (8)", c->db);
    expect_rows(c, 2);
    h_server_restart(source, NULL);
    if (_i == 1) /* then it does not */
        h_sql(source, "SET information_schema_stats_expiry=0");
    h_number(source,
             "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA='%s' AND TABLE_NAME='in_memory'",
             c->db);
    cell_cut_over(c);
    cell_free(c);
    stop_servers();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("servers");
    TCase *t = tcase_create("servers"), *lost = tcase_create("lost");

    tcase_set_timeout(t, 3600);
    tcase_add_loop_test(t, servers__faults_are_ridden_through, 0, FAMILIES);
    tcase_set_timeout(lost, 600);
    tcase_add_loop_test(lost, servers__what_is_done_outlives_the_target, 0, FAMILIES);
    tcase_add_loop_test(lost, servers__what_memory_loses_is_copied_again, 0, FAMILIES);
    tcase_add_loop_test(lost, servers__the_jobs_very_beginning_is_lost, 0, 2);
    suite_add_tcase(s, t);
    suite_add_tcase(s, lost);
    return run_suite(s);
}

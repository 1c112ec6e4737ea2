/* SPDX-License-Identifier: MIT */
/*
 * test_races.c - a replica knows a transaction before a SELECT on the source shows it. Semi-sync without a replica that
 * acknowledges stretches these milliseconds to as long as a test wants: the commit is in the binlog and has been sent, and
 * no SELECT shows it. Copied rows must not be older than what the stream has written, at whatever moment that is.
 *
 * Each test shows that the commit was really held: the source still has the old row while the target has the new one, or
 * while the job says that its chunks wait.
 */
#include <check.h>
#include <mysql.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { ROWS = 12000, FOREVER = 120 };

static const struct variant {
    const char *family, *source_options;
    bool says; /* the log tells that chunks wait; locking reads wait for a row's lock instead */
} variants[] = {
    {"mariadb", NULL, true},
    {"mysql", NULL, true},
    {"mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF", false},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static h_server *sources[VARIANTS], *targets[VARIANTS];

static bool is_maria(int v)
{
    return strcmp(variants[v].family, "mariadb") == 0;
}

static void start_servers(void)
{
    for (int v = 0; v < VARIANTS; v++) {
        h_server_start_pair(&sources[v], &targets[v], variants[v].family, variants[v].source_options, NULL);
        if (!is_maria(v))
            h_sql(sources[v], "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
    }
}

static void end_servers(void)
{
    for (int v = 0; v < VARIANTS; v++) {
        h_server_free(sources[v]);
        h_server_free(targets[v]);
    }
}

/* ---- a commit that is held ---- */

typedef struct {
    int variant;
    h_server *source, *target;
    char *db, *dir, *conf;
    MYSQL *writer; /* its COMMIT is on the way */
} scene;

static void semi_sync(scene *s, bool on)
{
    const char *name = is_maria(s->variant) ? "rpl_semi_sync_master" : "rpl_semi_sync_source";

    if (on)
        h_sql(s->source, "SET GLOBAL %s_wait_point=AFTER_SYNC; SET GLOBAL %s_timeout=3600000; SET GLOBAL %s_enabled=ON",
              name, name, name);
    else
        h_sql(s->source, "SET GLOBAL %s_enabled=OFF", name);
}

static char *binlog_end(scene *s)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    MYSQL *db = h_connect(s->source);
    char *place;

    if (mysql_query(db, is_maria(s->variant) ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS") != 0)
        h_fail("binlog's end: %s", mysql_error(db));
    res = mysql_store_result(db);
    row = mysql_fetch_row(res);
    place = h_format("%s:%s", row[0], row[1]);
    mysql_free_result(res);
    mysql_close(db);
    return place;
}

static void run(MYSQL *db, const char *sql)
{
    if (mysql_query(db, sql) != 0)
        h_fail("%s: %s", sql, mysql_error(db));
}

/* A change, a deletion, a new row and a moved one, at both ends of the table and in its middle. */
static void hold(scene *s)
{
    static const char *const statements[] = {
        "UPDATE t SET v = 'new' WHERE id IN (1, 6000, 12000)",
        "DELETE FROM t WHERE id IN (2, 6001, 11999)",
        "INSERT INTO t VALUES (0, 'new'), (20000, 'new')",
        "UPDATE t SET id = id + 30000 WHERE id IN (3, 6003, 11990)",
    };
    char *before;

    semi_sync(s, true);
    before = binlog_end(s);
    s->writer = h_connect(s->source);
    if (mysql_select_db(s->writer, s->db) != 0)
        h_fail("%s", mysql_error(s->writer));
    run(s->writer, "BEGIN");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        run(s->writer, statements[i]);
    ck_assert_int_eq(mysql_send_query(s->writer, "COMMIT", 6), 0);
    for (double deadline = h_now() + FOREVER;;) { /* until it is in the binlog */
        char *now = binlog_end(s);
        bool moved = strcmp(now, before) != 0;

        free(now);
        if (moved)
            break;
        ck_assert(h_now() < deadline);
        h_sleep(0.05);
    }
    free(before);
}

static bool source_shows(scene *s)
{
    return h_number(s->source, "SELECT COUNT(*) FROM %s.t WHERE v = 'new'", s->db) > 0;
}

static bool target_shows(scene *s)
{
    return h_sql_try(s->target, NULL, "SELECT 1 FROM %s.t LIMIT 0", s->db) == 0 &&
           h_number(s->target, "SELECT COUNT(*) FROM %s.t WHERE v = 'new'", s->db) > 0;
}

static void release(scene *s)
{
    ck_assert_msg(!source_shows(s), "the commit was not held");
    semi_sync(s, false);
    if (mysql_read_query_result(s->writer) != 0)
        h_fail("COMMIT: %s", mysql_error(s->writer));
    mysql_close(s->writer);
    s->writer = NULL;
    ck_assert(source_shows(s));
}

/* ---- scenes ---- */

static scene begin(int variant, const char *name)
{
    scene s = {.variant = variant, .source = sources[variant], .target = targets[variant]};
    char *extra;

    s.db = h_format("%s%d", name, variant);
    s.dir = h_path("checkpoints");
    h_sql(s.source,
          "CREATE DATABASE %s; CREATE TABLE %s.t (id INT PRIMARY KEY, v VARCHAR(20));"
          "SET SESSION %s = 100000;"
          "INSERT INTO %s.t WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
          " SELECT i, 'old' FROM n",
          s.db, s.db, is_maria(variant) ? "max_recursive_iterations" : "cte_max_recursion_depth", s.db, ROWS);
    /* Small chunks: the copy has to be met in its middle, and those that are ready share a commit. */
    extra = h_format("{\"Job\": \"%s\", \"UpdatableConfig\": {\"DataIterationBatchSize\": 4}}", s.db);
    s.conf = h_config(s.source, s.target, s.db, extra);
    free(extra);
    return s;
}

static void end(scene *s)
{
    h_sql(s->source, "DROP DATABASE %s", s->db);
    h_sql(s->target, "DROP DATABASE %s", s->db);
    free(s->db);
    free(s->dir);
    free(s->conf);
}

static h_run *start_job(scene *s)
{
    return h_start("--checkpoint-dir", s->dir, "--job", s->db, "--readers", "1", s->conf);
}

static void tell(scene *s, const char *what)
{
    ck_assert_int_eq(h_exec(NULL, NULL, 20, what, "--checkpoint-dir", s->dir), 0);
}

static void ends_equal(scene *s, h_run *job, bool ask)
{
    int code;

    if (ask) {
        ck_assert(h_wait_log(job, "stage streaming", FOREVER));
        tell(s, "cutover");
    }
    code = h_wait(job, FOREVER);
    if (code != 0) {
        char *log = h_stderr(job);

        fprintf(stderr, "%s\n", log);
        free(log);
    }
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(h_compare(s->source, s->target, s->db), 0);
    h_run_free(job);
}

/* The target has it, or chunks wait for it; the source shows nothing of it all the while. */
static void wait_for_race(scene *s, h_run *job)
{
    for (double deadline = h_now() + FOREVER; !target_shows(s);) {
        ck_assert_int_eq(h_wait(job, 0), -1);
        ck_assert(h_now() < deadline);
        h_sleep(0.05);
    }
    ck_assert(!source_shows(s));
}

/* ---- tests ---- */

/* In the binlog before the job asks where it starts, visible long after its first chunk. */
START_TEST(race__at_the_start)
{
    scene s = begin(_i, "starts");
    h_run *job;

    hold(&s);
    job = start_job(&s);
    ck_assert(h_wait_log(job, "stage copying", FOREVER));
    h_sleep(4);
    ck_assert_int_eq(h_wait(job, 0), -1);
    release(&s);
    ends_equal(&s, job, true);
    end(&s);
}
END_TEST

/* The stream has passed it while most chunks are still to be read: they wait until the source shows it. */
START_TEST(race__at_chunk_reads_and_deletes)
{
    scene s = begin(_i, "chunks");
    h_run *job = start_job(&s);
    char *log;

    ck_assert(h_wait_rows(job, s.target, s.db, "t", 100, FOREVER));
    tell(&s, "pause");
    hold(&s);
    tell(&s, "resume");
    if (variants[_i].says) {
        wait_for_race(&s, job);
        ck_assert(h_wait_log(job, "chunks wait", 60));
    } else {
        h_sleep(7); /* longer than a chunk waits for a lock before it tries again */
    }
    log = h_stderr(job);
    ck_assert_ptr_null(strstr(log, "stage streaming"));
    free(log);
    ck_assert_int_lt(h_number(s.target, "SELECT COUNT(*) FROM %s.t", s.db), ROWS - 20);
    release(&s);
    ends_equal(&s, job, true);
    end(&s);
}
END_TEST

/* What the source has not shown yet is part of the move: it is in front of the final position. */
START_TEST(race__at_the_cutover)
{
    scene s = begin(_i, "cutover");
    h_run *job = start_job(&s);

    ck_assert(h_wait_log(job, "stage streaming", FOREVER));
    hold(&s);
    tell(&s, "cutover");
    ck_assert_int_eq(h_wait(job, FOREVER), 0);
    ck_assert(target_shows(&s));
    release(&s);
    ends_equal(&s, job, false);
    end(&s);
}
END_TEST

/* The target has it, the source does not show it: that is no difference, and verify does not say so. */
START_TEST(race__at_the_verification)
{
    scene s = begin(_i, "verified");
    h_run *job = start_job(&s), *v;
    char *log;

    ck_assert(h_wait_log(job, "stage streaming", FOREVER));
    hold(&s);
    wait_for_race(&s, job);
    v = h_start("verify", "--verbose", "--checkpoint-dir", s.dir, "--job", s.db, s.conf);
    ck_assert_int_eq(h_wait(v, 7), -1); /* longer than a locking read waits before it tries again */
    release(&s);
    ck_assert_int_eq(h_wait(v, FOREVER), 0);
    log = h_stderr(v);
    ck_assert_ptr_nonnull(strstr(log, "rows that looked unlike are settled"));
    free(log);
    h_run_free(v);
    ends_equal(&s, job, true);
    end(&s);
}
END_TEST

/* Killed while the target is ahead of what the source shows, and again while chunks wait. */
START_TEST(race__and_a_kill)
{
    scene s = begin(_i, "killed");
    h_run *job = start_job(&s);

    ck_assert(h_wait_rows(job, s.target, s.db, "t", 100, FOREVER));
    tell(&s, "pause");
    hold(&s);
    tell(&s, "resume");
    h_sleep(1);
    for (int i = 0; i < 2; i++) {
        h_signal(job, SIGKILL);
        h_wait(job, 10);
        h_run_free(job);
        job = start_job(&s);
        h_sleep(7); /* longer than the source may take to record what it has sent */
        ck_assert_int_eq(h_wait(job, 0), -1);
    }
    release(&s);
    ends_equal(&s, job, true);
    end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("races");
    const TTest *const tests[] = {
        race__at_the_start, race__at_chunk_reads_and_deletes, race__at_the_verification, race__at_the_cutover,
        race__and_a_kill,
    };

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        TCase *tc = tcase_create(tests[i]->name);

        tcase_add_unchecked_fixture(tc, start_servers, end_servers);
        tcase_set_timeout(tc, 240);
        tcase_add_loop_test(tc, tests[i], 0, VARIANTS);
        suite_add_tcase(suite, tc);
    }
    return run_suite(suite);
}

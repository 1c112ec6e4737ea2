/* SPDX-License-Identifier: MIT */
/*
 * test_harness.c - does the comparison find what differs, and does the workload write what it says?
 *
 * All other tests end with "no differences": this one proves that the answer means something. The loop tests (_i)
 * are run once per family.
 */
#include "harness/harness.h"
#include "run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *const families[] = {"mariadb", "mysql"};

/* Check's fixtures take no argument. */
static h_server *sources[2], *targets[2];

static void on_both(int i, const char *sql)
{
    h_sql(sources[i], "%s", sql);
    h_sql(targets[i], "%s", sql);
}

static void start_servers(void)
{
    for (int i = 0; i < 2; i++) {
        h_server_start_pair(&sources[i], &targets[i], families[i], NULL, NULL);
        on_both(i, "CREATE DATABASE c CHARACTER SET utf8mb4; USE c;"
                   "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), f FLOAT, b BLOB, ts TIMESTAMP(6) NULL);"
                   "CREATE TABLE n (a INT, b VARCHAR(10)); CREATE TABLE k (name VARCHAR(20) PRIMARY KEY, v INT)");
    }
}

static void stop_servers(void)
{
    for (int i = 0; i < 2; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

/* What one change on the target makes the comparison say; owned by the caller. */
static char *report_after(int i, const char *change, uint64_t *found)
{
    char *text = NULL;
    size_t size = 0;
    FILE *report = open_memstream(&text, &size);

    on_both(i, "USE c; SET time_zone = '+00:00'; START TRANSACTION; DELETE FROM t; DELETE FROM n; DELETE FROM k;"
               "INSERT INTO t VALUES (-2, 'a', 0.1, x'00', '2020-01-01 00:00:00'), (3, 'é', 16777216, x'ff', NULL),"
               " (11, '', 1, '', NULL);"
               "INSERT INTO n VALUES (1, 'x'), (1, 'x'), (NULL, NULL);"
               "INSERT INTO k VALUES ('b', 1), ('A', 2), ('c', 3); COMMIT");
    h_sql(targets[i], "%s", change);
    *found = h_compare_totals(sources[i], targets[i], "c", report, NULL);
    fclose(report);
    return text;
}

typedef struct {
    const char *change;
    uint64_t differences;
    const char *told; /* part of the report */
    const char *undo; /* of a change of definitions */
} difference;

static const difference differences[] = {
    {"DO 0", 0, "", NULL},
    {"UPDATE t SET s = 'A' WHERE id = -2", 1, "c.t: id=-2: column s: source 0x61, target 0x41", NULL},
    {"UPDATE t SET s = 'e' WHERE id = 3", 1, "source 0xc3a9, target 0x65", NULL},
    {"UPDATE t SET s = NULL WHERE id = 11", 1, "c.t: id=11: column s: source 0x, target NULL", NULL},
    {"UPDATE t SET f = 0.100000001 WHERE id = -2", 0, "", NULL}, /* the same float */
    {"UPDATE t SET f = 0.10000002 WHERE id = -2", 1, "column f", NULL},
    {"UPDATE t SET f = 16777218 WHERE id = 3", 1, "column f", NULL}, /* MySQL prints both as 1.67772e7 */
    {"UPDATE t SET b = x'0000' WHERE id = -2", 1, "source 0x00, target 0x0000", NULL},
    {"SET time_zone = '+01:00'; UPDATE t SET ts = '2020-01-01 00:00:00' WHERE id = -2", 1, "column ts", NULL},
    {"DELETE FROM t WHERE id = -2", 1, "c.t: id=-2: only on the source", NULL},
    {"INSERT INTO t (id) VALUES (4)", 1, "c.t: id=4: only on the target", NULL},
    {"UPDATE t SET id = 12 WHERE id = 11", 2, "id=11: only on the source", NULL},
    {"DELETE FROM n WHERE a = 1 LIMIT 1", 1, "only on the source", NULL},
    {"UPDATE n SET b = '' WHERE a IS NULL", 2, "c.n: row with digest", NULL},
    {"UPDATE k SET name = 'B' WHERE name = 'b'", 2, "c.k: name=0x62: only on the source", NULL},
    {"DROP TABLE n", 1, "no table c.n on the target", "CREATE TABLE n (a INT, b VARCHAR(10))"},
    {"CREATE TABLE more (a INT)", 1, "c.more: only on the target", "DROP TABLE more"},
    {"ALTER TABLE t MODIFY s VARCHAR(21)", 1, "definitions differ", "ALTER TABLE t MODIFY s VARCHAR(20)"},
    {"ALTER TABLE t DROP COLUMN b", 1, "the columns differ", "ALTER TABLE t ADD COLUMN b BLOB AFTER f"},
    {"ALTER TABLE k AUTO_INCREMENT = 5", 0, "", NULL},
};

#define DIFFERENCES (int)(sizeof differences / sizeof *differences)

START_TEST(compare__names_each_kind_of_difference)
{
    const difference *d = &differences[_i / 2];
    uint64_t found;
    char *report = report_after(_i % 2, d->change, &found);

    if (d->undo != NULL)
        h_sql(targets[_i % 2], "%s", d->undo);
    ck_assert_msg(found == d->differences && strstr(report, d->told) != NULL, "%s: %llu differences: %s", d->change,
                  (unsigned long long)found, report);
    free(report);
}
END_TEST

START_TEST(compare__follows_renames_and_exclusions)
{
    h_sql(sources[_i], "CREATE DATABASE ra; CREATE TABLE ra.t (a INT PRIMARY KEY); CREATE TABLE ra.u (a INT);"
                       "CREATE TABLE ra.skip (a INT); INSERT INTO ra.u VALUES (7)");
    h_sql(targets[_i], "CREATE DATABASE rb; CREATE TABLE rb.t (a INT PRIMARY KEY); CREATE TABLE rb.v (a INT);"
                       "INSERT INTO rb.v VALUES (7)");

    ck_assert_uint_eq(h_compare(sources[_i], targets[_i], "ra=rb,ra.u=rb.v,!ra.skip"), 0);
    ck_assert_uint_ge(h_compare(sources[_i], targets[_i], "ra=rb,!ra.skip"), 2);
}
END_TEST

START_TEST(workload__fills_alike_and_then_writes)
{
    h_server *source = sources[_i], *target = targets[_i];

    h_workload_schema(source, "w");
    h_workload_schema(target, "w");
    h_workload_fill(source, "w", 1000, 5);
    h_workload_fill(target, "w", 1000, 5);
    ck_assert_uint_eq(h_compare(source, target, "w"), 0);

    h_workload *load = h_workload_start(source, "w", 4, 1000, 0, 5);
    h_sleep(3);
    h_workload_counts counts = h_workload_stop(load);

    ck_assert_uint_gt(counts.transactions, 50);
    ck_assert_uint_gt(counts.rolled_back, 0);
    ck_assert_uint_gt(counts.inserts, 0);
    ck_assert_uint_gt(counts.updates, 0);
    ck_assert_uint_gt(counts.deletes, 0);
    ck_assert_uint_gt(counts.key_changes, 0);
    FILE *nowhere = fopen("/dev/null", "w");
    ck_assert_uint_gt(h_compare_totals(source, target, "w", nowhere, NULL), 0);
    fclose(nowhere);
}
END_TEST

START_TEST(workload__outlives_a_killed_server)
{
    h_server *source = sources[_i];

    h_sql(source, "DROP DATABASE IF EXISTS w2");
    h_workload_schema(source, "w2");
    h_workload *load = h_workload_start(source, "w2", 2, 100, 0, 1);
    h_sleep(0.3);
    h_server_kill(source);
    h_server_restart(source, NULL);
    uint64_t before = h_workload_peek(load).transactions;
    h_sleep(1);
    h_workload_counts counts = h_workload_stop(load);

    ck_assert_uint_gt(counts.reconnects, 0);
    ck_assert_uint_gt(counts.transactions, before);
}
END_TEST

START_TEST(process__waits_signals_and_reads_output)
{
    setenv("GFREPLICA", "/bin/sh", 1);
    h_run *run = h_start("-c", "echo out; echo ready >&2; exec sleep 100");

    ck_assert(h_wait_log(run, "ready", 5));
    ck_assert_int_eq(h_wait(run, 0.1), -1);
    h_signal(run, 15);
    ck_assert_int_eq(h_wait(run, 5), 128 + 15);
    ck_assert(!h_wait_log(run, "never", 5));
    char *out = h_stdout(run);
    ck_assert_str_eq(out, "out\n");
    free(out);
    h_run_free(run);

    char *err;
    ck_assert_int_eq(h_exec(NULL, &err, 5, "-c", "echo no >&2; exit 3"), 3);
    ck_assert_str_eq(err, "no\n");
    free(err);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("harness");
    TCase *servers = tcase_create("servers"), *process = tcase_create("process");

    tcase_add_unchecked_fixture(servers, start_servers, stop_servers);
    tcase_add_loop_test(servers, compare__names_each_kind_of_difference, 0, 2 * DIFFERENCES);
    tcase_add_loop_test(servers, compare__follows_renames_and_exclusions, 0, 2);
    tcase_add_loop_test(servers, workload__fills_alike_and_then_writes, 0, 2);
    tcase_add_loop_test(servers, workload__outlives_a_killed_server, 0, 2);
    suite_add_tcase(suite, servers);
    tcase_add_test(process, process__waits_signals_and_reads_output);
    suite_add_tcase(suite, process);
    return run_suite(suite);
}

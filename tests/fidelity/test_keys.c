/* SPDX-License-Identifier: MIT */
/*
 * test_keys.c - keys that change while their table is copied, and tables without one.
 *
 * keys.h has a table for every kind of key; here it is the moment that is hostile: chunks of a few rows, so that the
 * copy lasts, and statements all the while that carry rows over its border in both directions.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum { LONG = 180, ROWS = 2500, FIRST = 900 /* as deep as a server recurses unasked */, KILLS = 8 };

static const char *const families[] = {"mariadb", "mysql"};
enum { FAMILIES = 2 };

static h_server *sources[FAMILIES], *targets[FAMILIES];

static const char small_chunks[] =
    "{\"LockKeylessTables\": true, \"UpdatableConfig\": {\"DataIterationBatchSize\": 5}}";

static void start_servers(void)
{
    for (int i = 0; i < FAMILIES; i++)
        h_server_start_pair(&sources[i], &targets[i], families[i], NULL, NULL);
}

static void end_servers(void)
{
    for (int i = 0; i < FAMILIES; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

static unsigned seed = 4711;

static unsigned below(unsigned limit)
{
    seed = seed * 1103515245U + 12345U;
    return (seed >> 8) % limit;
}

static void cut_over(h_run *run, const char *dir)
{
    if (!h_wait_log(run, "stage streaming", LONG))
        f_ends(run, 0, 1);
    ck_assert_int_eq(h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", dir), 0);
    f_ends(run, 0, LONG);
}

/* ---- over the border ---- */

static void fill(h_server *source, const char *table)
{
    h_sql(source,
          "INSERT INTO %s SELECT n, CONCAT('k', LPAD(n, 6, '0')), n FROM (WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL"
          " SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s LIMIT %d) x",
          table, FIRST, FIRST);
    for (int rows = FIRST; rows < ROWS; rows *= 2)
        h_sql(source, "INSERT INTO %s SELECT n + %d, CONCAT('k', LPAD(n + %d, 6, '0')), v FROM %s WHERE n + %d <= %d",
              table, rows, rows, table, rows, ROWS);
}

/* A few rows change their place: forward, back, by case alone, by leaving and coming again, by changing with another. */
static void disturb(h_server *source)
{
    unsigned n = 1 + below(ROWS);

    h_sql(source, "UPDATE IGNORE numbers SET n=n+100000 WHERE n=%u; UPDATE IGNORE numbers SET n=n-100000 WHERE n=%u", n,
          100001 + below(ROWS));
    h_sql(source,
          "UPDATE IGNORE words SET k=CONCAT('z', k) WHERE n=%u; UPDATE IGNORE words SET k=UPPER(k) WHERE n=%u;"
          "UPDATE IGNORE words SET k=CONCAT('A', k) WHERE n=%u",
          n, 1 + below(ROWS), 1 + below(ROWS));
    h_sql(source, "BEGIN; DELETE FROM numbers WHERE n=%u; INSERT IGNORE INTO numbers VALUES (%u,'again',-1); COMMIT",
          1 + below(ROWS), 1 + below(ROWS));
    h_sql(source,
          "BEGIN; UPDATE IGNORE numbers SET n=-1 WHERE n=%u; UPDATE IGNORE numbers SET n=%u WHERE n=%u;"
          "UPDATE IGNORE numbers SET n=%u WHERE n=-1; DELETE FROM numbers WHERE n=-1; COMMIT",
          n, n, n + 1, n + 1);
    h_sql(source, "DELETE FROM shrinking ORDER BY n %s LIMIT 40; INSERT IGNORE INTO growing VALUES (%u,'g',1)",
          below(2) ? "DESC" : "ASC", below(ROWS));
}

START_TEST(keys__that_cross_the_border_of_the_copy)
{
    char *db = h_format("border%d", _i), *dir = h_path("checkpoints"), *conf;
    h_server *source = sources[_i];
    h_run *run;
    int rounds = 0;

    f_database(source, db);
    h_sql(source, "CREATE TABLE numbers (n INT PRIMARY KEY, k VARCHAR(20), v INT);"
                  "CREATE TABLE words (n INT, k VARCHAR(20) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT);"
                  "CREATE TABLE shrinking LIKE numbers; CREATE TABLE growing LIKE numbers");
    fill(source, "numbers");
    h_sql(source, "INSERT INTO words SELECT * FROM numbers; INSERT INTO shrinking SELECT * FROM numbers");
    conf = h_config(source, targets[_i], db, small_chunks);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ck_assert(h_wait_log(run, "stage copying", LONG));
    do {
        disturb(source);
        rounds++;
    } while (!h_wait_log(run, "stage streaming", 0) && h_wait(run, 0) < 0);
    h_sql(source, "DELETE FROM shrinking");
    fprintf(stderr, "border: %d rounds while it was copied\n", rounds);
    cut_over(run, dir);
    ck_assert_int_gt(rounds, 10);
    ck_assert_uint_eq(h_compare(source, targets[_i], db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

/* ---- without a key ---- */

static void disturb_keyless(h_server *source, unsigned round)
{
    h_sql(source, "INSERT INTO bare VALUES (%u,'dup',NULL,0.5),(%u,'dup',NULL,0.5),(1,'same',1,1)", round % 5,
          round % 5);
    h_sql(source,
          "UPDATE bare SET s='DUP' WHERE a=%u LIMIT 1; DELETE FROM bare WHERE a=1 LIMIT 2;"
          "UPDATE bare SET f=f+1 WHERE a=%u LIMIT 3; UPDATE nullable SET u=NULL WHERE u=%u",
          below(5), below(5), below(100));
    h_sql(source, "BEGIN; INSERT INTO nullable VALUES (NULL,'n'),(NULL,'n'); DELETE FROM nullable WHERE u IS NULL"
                  " LIMIT 1; INSERT INTO bare SELECT * FROM bare LIMIT 1; COMMIT");
}

START_TEST(keys__tables_without_one_stay_exact_through_kills)
{
    char *db = h_format("keyless%d", _i), *dir = h_path("checkpoints"), *conf;
    h_server *source = sources[_i];
    unsigned round = 0;
    h_run *run;

    f_database(source, db);
    h_sql(
        source,
        "CREATE TABLE bare (a INT, s VARCHAR(10), n INT, f FLOAT) COLLATE utf8mb4_unicode_ci;"
        "CREATE TABLE nullable (u INT, s CHAR(5), UNIQUE (u)); INSERT INTO nullable VALUES (1,'a'),(2,'b'),(NULL,'b')");
    for (; round < 60; round++)
        disturb_keyless(source, round);
    conf = h_config(source, targets[_i], db, small_chunks);
    for (int i = 0; i < KILLS; i++) {
        double until;

        run = h_start("--checkpoint-dir", dir, "--job", db, conf);
        ck_assert(h_wait_log(run, "checkpoint directory", 20));
        until = h_now() + 0.2 + below(100) / 100.0 * (i < 3 ? 1.0 : 2.5);
        while (h_now() < until)
            disturb_keyless(source, round++);
        h_signal(run, SIGKILL);
        h_wait(run, 10);
        h_run_free(run);
    }
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, targets[_i], db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keys");
    TCase *t = tcase_create("keys");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 400);
    tcase_add_loop_test(t, keys__that_cross_the_border_of_the_copy, 0, FAMILIES);
    tcase_add_loop_test(t, keys__tables_without_one_stay_exact_through_kills, 0, FAMILIES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

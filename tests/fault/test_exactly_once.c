/* SPDX-License-Identifier: MIT */
/*
 * test_exactly_once.c - no committed transaction is applied twice or not at all, and a reader of the target sees the
 * source's history: whole transactions, in their order, never backwards; over kill after kill.
 *
 * Rows that are written by key hide a repetition, so it is looked for where it shows: in a table without a key, and by a
 * trigger on the target that counts.
 */
#include <check.h>
#include <mysql.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { FOREVER = 120, KILLS = 12, WRITERS = 4, ACCOUNTS = 40, OPENING = 1000 };

static const char *const families[] = {"mariadb", "mysql"};
enum { FAMILIES = 2 };

static h_server *source, *target;
static char *dir, *conf;

static void begin(int family, const char *extra)
{
    h_server_start_pair(&source, &target, families[family], NULL, NULL);
    h_sql(source, "CREATE DATABASE d");
    dir = h_path("checkpoints");
    conf = h_config(source, target, "d", extra);
}

static void end(void)
{
    h_server_free(source);
    h_server_free(target);
    free(dir);
    free(conf);
}

static h_run *start_job(void)
{
    return h_start("--checkpoint-dir", dir, conf);
}

static h_run *stream(void)
{
    h_run *run = start_job();

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    return run;
}

/* At moments that differ from round to round: while it starts, while it repeats, while it streams. */
static h_run *kill_again_and_again(h_run *run)
{
    for (int i = 0; i < KILLS; i++) {
        if (i % 3 == 1)
            ck_assert(h_wait_log(run, "stage streaming", FOREVER));
        h_sleep(0.3 + 0.17 * (double)(i * 5 % 9));
        h_signal(run, SIGKILL);
        h_wait(run, 10);
        h_run_free(run);
        run = start_job();
    }
    return run;
}

static void finish(h_run *run)
{
    int code;

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert_int_eq(h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", dir), 0);
    code = h_wait(run, FOREVER);
    if (code != 0) {
        char *log = h_stderr(run);

        fprintf(stderr, "%s\n", log);
        free(log);
    }
    ck_assert_int_eq(code, 0);
    h_run_free(run);
}

/* ---- writers on the source ---- */

typedef struct {
    pthread_t thread;
    unsigned number, seed;
    void (*step)(MYSQL *db, unsigned number, unsigned *seed, unsigned i);
} writer;

static atomic_bool stop_writing;

static unsigned below(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % n;
}

static void run_sql(MYSQL *db, const char *sql)
{
    if (mysql_query(db, sql) != 0)
        h_fail("%s: %s", sql, mysql_error(db));
}

static void *write_on(void *arg)
{
    writer *w = arg;
    MYSQL *db = h_connect(source);

    run_sql(db, "USE d");
    for (unsigned i = 0; !atomic_load(&stop_writing); i++) {
        w->step(db, w->number, &w->seed, i);
        h_sleep(0.01);
    }
    mysql_close(db);
    return NULL;
}

static void start_writers(writer *writers, void (*step)(MYSQL *db, unsigned number, unsigned *seed, unsigned i))
{
    atomic_store(&stop_writing, false);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.number = i, .seed = i + 1, .step = step};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
}

static void stop_writers(writer *writers)
{
    atomic_store(&stop_writing, true);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
}

/* ---- a table without a key ---- */

/* Equal rows among others: a change of one of them must change one of them. */
static void keyless_step(MYSQL *db, unsigned number, unsigned *seed, unsigned i)
{
    unsigned what = below(seed, 10), n = below(seed, 20);
    char *sql = what < 7   ? h_format("INSERT INTO t VALUES (%u, 'w%u')", n, number)
                : what < 9 ? h_format("UPDATE t SET v = 'u%u' WHERE n = %u LIMIT 1", i % 3, n)
                           : h_format("DELETE FROM t WHERE n = %u LIMIT 1", n);

    if (mysql_query(db, sql) != 0 && mysql_errno(db) != 1213) /* a deadlock changes nothing */
        h_fail("%s: %s", sql, mysql_error(db));
    free(sql);
}

static char *contents(h_server *server)
{
    return h_scalar(server, "SELECT GROUP_CONCAT(CONCAT(n, v, 'x', c) ORDER BY n, v SEPARATOR ' ') FROM "
                            "(SELECT n, v, COUNT(*) c FROM d.t GROUP BY n, v) x");
}

START_TEST(exactly_once__in_a_table_without_a_key)
{
    writer writers[WRITERS];
    char *ours, *theirs;
    h_run *run;

    begin(_i, "{\"LockKeylessTables\": true}");
    h_sql(source, "CREATE TABLE d.t (n INT NOT NULL, v VARCHAR(10) NOT NULL); INSERT INTO d.t VALUES (1,'a'),(1,'a')");
    start_writers(writers, keyless_step);
    run = kill_again_and_again(stream());
    stop_writers(writers);
    finish(run);
    ck_assert_int_gt(h_number(source, "SELECT COUNT(*) FROM d.t"), 100);
    h_sql(source, "SET GLOBAL group_concat_max_len = 1000000");
    h_sql(target, "SET GLOBAL group_concat_max_len = 1000000");
    ours = contents(target);
    theirs = contents(source);
    ck_assert_str_eq(ours, theirs);
    free(ours);
    free(theirs);
    end();
}
END_TEST

/* ---- a trigger that counts ---- */

static void insert_step(MYSQL *db, unsigned number, unsigned *seed, unsigned i)
{
    char *sql = h_format("INSERT INTO t VALUES (%u, %u)", 1000000 * (number + 1) + i, below(seed, 1000));

    run_sql(db, sql);
    free(sql);
}

START_TEST(exactly_once__as_a_trigger_counts_it)
{
    writer writers[WRITERS];
    h_run *run;

    begin(_i, NULL);
    h_sql(source, "CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1)");
    run = stream();
    h_sql(target, "CREATE DATABASE seen; CREATE TABLE seen.hits (id INT PRIMARY KEY, n INT);"
                  "CREATE TRIGGER d.hit BEFORE INSERT ON d.t FOR EACH ROW"
                  " INSERT INTO seen.hits VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1");
    start_writers(writers, insert_step);
    run = kill_again_and_again(run);
    stop_writers(writers);
    finish(run);
    ck_assert_int_gt(h_number(target, "SELECT COUNT(*) FROM seen.hits"), 100);
    ck_assert_int_eq(h_number(target, "SELECT COUNT(*) FROM seen.hits WHERE n <> 1"), 0);
    ck_assert_int_eq(h_number(target, "SELECT COUNT(*) FROM d.t"),
                     h_number(target, "SELECT COUNT(*) + 1 FROM seen.hits"));
    ck_assert_uint_eq(h_compare(source, target, "d"), 0);
    end();
}
END_TEST

/* ---- what a reader sees ---- */

/* Money moves, nothing is made of nothing; each writer counts its transactions, and so do they all together. */
static void transfer_step(MYSQL *db, unsigned number, unsigned *seed, unsigned i)
{
    unsigned from = below(seed, ACCOUNTS), to = below(seed, ACCOUNTS), amount = 1 + below(seed, 50);
    char *sql[5] = {h_format("UPDATE a SET balance = balance - %u WHERE id = %u", amount, from),
                    h_format("UPDATE b SET balance = balance + %u WHERE id = %u", amount, to),
                    h_format("UPDATE counters SET n = n + 1 WHERE id = %u", number),
                    h_format("INSERT INTO ledger VALUES (%u, %u)", number, i),
                    h_format("UPDATE counters SET n = n + 1 WHERE id = 100")};
    bool ok = true;

    run_sql(db, "BEGIN");
    for (int k = 0; k < 5; k++) {
        if (ok && mysql_query(db, sql[k]) != 0) {
            if (mysql_errno(db) != 1213)
                h_fail("%s: %s", sql[k], mysql_error(db));
            ok = false; /* the server has rolled it back */
        }
        free(sql[k]);
    }
    if (ok)
        run_sql(db, "COMMIT");
}

typedef struct {
    long long money, counted, sum_of_writers, ledger;
} sight;

/* All of one snapshot. False when the server or the tables are not there. */
static bool look(MYSQL *db, sight *out)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool ok;

    if (mysql_query(db, "SELECT (SELECT SUM(balance) FROM d.a) + (SELECT SUM(balance) FROM d.b),"
                        " (SELECT n FROM d.counters WHERE id = 100),"
                        " (SELECT SUM(n) FROM d.counters WHERE id < 100), (SELECT COUNT(*) FROM d.ledger)") != 0)
        return false;
    res = mysql_store_result(db);
    row = mysql_fetch_row(res);
    ok = row != NULL && row[0] != NULL && row[1] != NULL && row[2] != NULL && row[3] != NULL;
    if (ok)
        *out = (sight){strtoll(row[0], NULL, 10), strtoll(row[1], NULL, 10), strtoll(row[2], NULL, 10),
                       strtoll(row[3], NULL, 10)};
    mysql_free_result(res);
    return ok;
}

static atomic_bool stop_reading;
static atomic_uint sights, moves; /* how often it looked, and saw something new */

static void *read_on(void *arg)
{
    MYSQL *db = h_connect(target);
    sight now, before = {0};

    (void)arg;
    run_sql(db, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    while (!atomic_load(&stop_reading)) {
        if (!look(db, &now))
            h_fail("the reader: %s", mysql_error(db));
        if (now.money != 2LL * ACCOUNTS * OPENING || now.counted != now.sum_of_writers || now.counted != now.ledger)
            h_fail("a transaction in part: %lld of money, %lld counted, %lld by the writers, %lld in the ledger",
                   now.money, now.counted, now.sum_of_writers, now.ledger);
        if (now.counted < before.counted)
            h_fail("time went back from %lld to %lld", before.counted, now.counted);
        atomic_fetch_add(&moves, now.counted != before.counted);
        atomic_fetch_add(&sights, 1);
        before = now;
        h_sleep(0.003);
    }
    mysql_close(db);
    return NULL;
}

static void open_bank(void)
{
    h_sql(source,
          "USE d; CREATE TABLE a (id INT PRIMARY KEY, balance INT); CREATE TABLE b LIKE a;"
          "CREATE TABLE counters (id INT PRIMARY KEY, n INT);"
          "CREATE TABLE ledger (writer INT, i INT, PRIMARY KEY (writer, i)); INSERT INTO counters VALUES (100, 0)");
    for (int i = 0; i < ACCOUNTS; i++)
        h_sql(source, "INSERT INTO d.a VALUES (%d, %d); INSERT INTO d.b VALUES (%d, %d)", i, OPENING, i, OPENING);
    for (int i = 0; i < WRITERS; i++)
        h_sql(source, "INSERT INTO d.counters VALUES (%d, 0)", i);
}

START_TEST(reader__sees_the_sources_history)
{
    writer writers[WRITERS];
    pthread_t reader;
    h_run *run;

    begin(_i, NULL);
    open_bank();
    start_writers(writers, transfer_step);
    run = stream();
    atomic_store(&stop_reading, false);
    ck_assert_int_eq(pthread_create(&reader, NULL, read_on, NULL), 0);
    run = kill_again_and_again(run);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(1);
    stop_writers(writers);
    finish(run);
    atomic_store(&stop_reading, true);
    pthread_join(reader, NULL);
    fprintf(stderr, "    %u looks, %u of them at something new, %lld transactions\n", atomic_load(&sights),
            atomic_load(&moves), h_number(target, "SELECT COUNT(*) FROM d.ledger"));
    ck_assert_uint_gt(atomic_load(&moves), KILLS / 2);
    ck_assert_uint_eq(h_compare(source, target, "d"), 0);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exactly_once");
    TCase *tc = tcase_create("exactly_once");

    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, exactly_once__in_a_table_without_a_key, 0, FAMILIES);
    tcase_add_loop_test(tc, exactly_once__as_a_trigger_counts_it, 0, FAMILIES);
    tcase_add_loop_test(tc, reader__sees_the_sources_history, 0, FAMILIES);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

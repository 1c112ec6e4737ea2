/* SPDX-License-Identifier: MIT */
/*
 * long_transaction.c - one transaction larger than a binlog position has bits, through bounded memory.
 *
 * MEGABYTES (default 4400): more than 4 GiB, so that the transaction's own events pass the point where the 32 bits of
 * an event's position wrap. It needs about three times that on the disk. Part of `make fidelity-long`.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum { ROW_BYTES = 1000000, ROWS_AT_ONCE = 10, MEMORY_KIB = 256 * 1024, HOURS = 2 * 3600 };

static const char *const families[] = {"mysql", "mariadb"};

#define FAST                                                                                                           \
    "--sync-binlog=0 --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=OFF --max-allowed-packet=64M "            \
    "--innodb-buffer-pool-size=256M --skip-innodb-adaptive-hash-index"

/* The most memory that the process has ever had, as the kernel counts it. */
static long peak_kib(pid_t pid)
{
    char *path = h_format("/proc/%d/status", (int)pid), line[256];
    FILE *f = fopen(path, "r");
    long kib = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        fclose(f);
    free(path);
    return kib;
}

static void write_large(h_server *source, int megabytes)
{
    h_sql(source, "USE big; BEGIN");
    for (int id = 1; id <= megabytes; id += ROWS_AT_ONCE)
        h_sql(source,
              "INSERT INTO t SELECT %d+n, REPEAT(CHAR(%d+n), %d) FROM (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2"
              " UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7"
              " UNION ALL SELECT 8 UNION ALL SELECT 9) d",
              id, id, ROW_BYTES);
    h_sql(source,
          "UPDATE t SET v=CONCAT(LEFT(v,10),'changed') WHERE id %% 50 = 3; DELETE FROM t WHERE id %% 70 = 5; COMMIT");
}

START_TEST(transaction__larger_than_memory_and_4_gib_arrives)
{
    const char *wanted = getenv("MEGABYTES");
    int megabytes = wanted != NULL ? atoi(wanted) : 4400;
    char *dir = h_path("checkpoints"), *conf;
    h_server *source, *target;
    long peak = 0;
    h_run *run;

    h_server_start_pair(&source, &target, families[_i], FAST, FAST);
    h_sql(source,
          "CREATE DATABASE big; CREATE TABLE big.t (id INT PRIMARY KEY, v LONGBLOB); INSERT INTO big.t VALUES (0,'x')");
    conf = h_config(source, target, "big", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "big", conf);
    if (!h_wait_log(run, "stage streaming", 120))
        f_ends(run, 0, 1);
    write_large(source, megabytes);
    h_sql(source, "INSERT INTO big.t VALUES (-1,'after')");
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    while (h_wait(run, 0.2) == -1)
        peak = peak_kib(run->pid) > peak ? peak_kib(run->pid) : peak;
    f_ends(run, 0, 1);
    fprintf(stderr, "%s: %d MB in one transaction, at most %ld KiB of memory\n", families[_i], megabytes, peak);
    ck_assert_int_lt(peak, MEMORY_KIB);
    ck_assert_uint_eq(h_compare(source, target, "big"), 0);
    h_run_free(run);
    h_server_free(source);
    h_server_free(target);
    free(conf);
    free(dir);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("long transaction");

    for (int i = 0; i < 2; i++) {
        TCase *t = tcase_create(families[i]);

        tcase_set_timeout(t, HOURS);
        tcase_add_loop_test(t, transaction__larger_than_memory_and_4_gib_arrives, i, i + 1);
        suite_add_tcase(s, t);
    }
    return s;
}

int main(void)
{
    return run_suite(suite());
}

/* SPDX-License-Identifier: MIT */
/*
 * long_tables.c - as many tables as somebody once had: TABLES of them (default 60000), a row or two each, on MariaDB.
 *
 * What must fit in memory is their names and definitions, and a table costs the start no round trip of its own. The
 * largest resident size of gfreplica is printed, so are the seconds to the stream. Every hundredth table changes
 * meanwhile and afterwards.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum { PER_STATEMENT = 200, HOURS = 7000 };

static unsigned wanted(void)
{
    const char *text = getenv("TABLES");

    return text != NULL && atoi(text) > 0 ? (unsigned)atoi(text) : 60000;
}

/* The same for every step-th table, many in one text. */
static void on_each(h_server *source, unsigned tables, unsigned step, const char *before, const char *behind)
{
    for (unsigned first = 0; first < tables; first += PER_STATEMENT * step) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        for (unsigned i = first; i < tables && i < first + PER_STATEMENT * step; i += step)
            fprintf(out, "%s t%05u %s;", before, i, behind);
        fclose(out);
        h_sql(source, "BEGIN; %s COMMIT", text);
        free(text);
    }
}

START_TEST(tables__sixty_thousand)
{
    static const char options[] = "--innodb-flush-log-at-trx-commit=2 --sync-binlog=0 --table-open-cache=20000"
                                  " --open-files-limit=200000 --table-definition-cache=70000";
    unsigned tables = wanted();
    char *dir = h_path("checkpoints"), *conf;
    struct rusage usage;
    h_server *source, *target;
    double since;
    h_run *run;

    h_server_start_pair(&source, &target, "mariadb", options, options);
    f_database(source, "many");
    on_each(source, tables, 1, "CREATE TABLE", "(id INT PRIMARY KEY, v VARCHAR(20))");
    on_each(source, tables, 1, "INSERT INTO", "VALUES (1,'one')");
    conf = h_config(source, target, "many", NULL);
    since = h_now();
    run = h_start("--checkpoint-dir", dir, conf);
    ck_assert(h_wait_log(run, "stage copying", HOURS));
    fprintf(stderr, "%u tables: copying after %.0f s\n", tables, h_now() - since);
    on_each(source, tables, 100, "INSERT INTO", "VALUES (2,'two')");
    ck_assert(h_wait_log(run, "stage streaming", HOURS));
    fprintf(stderr, "%u tables: streaming after %.0f s\n", tables, h_now() - since);
    on_each(source, tables, 100, "UPDATE", "SET id=id+1, v='three' ORDER BY id DESC");
    ck_assert_int_eq(h_exec(NULL, NULL, 60, "cutover", "--checkpoint-dir", dir), 0);
    f_ends(run, 0, HOURS);
    getrusage(RUSAGE_CHILDREN, &usage);
    fprintf(stderr, "%u tables: done after %.0f s, %ld MiB resident at most\n", tables, h_now() - since,
            usage.ru_maxrss / 1024);
    ck_assert_uint_eq(h_compare(source, target, "many"), 0);
    h_run_free(run);
    h_server_free(source);
    h_server_free(target);
    free(conf);
    free(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("many tables");
    TCase *t = tcase_create("many tables");

    tcase_set_timeout(t, 2 * HOURS);
    tcase_add_test(t, tables__sixty_thousand);
    suite_add_tcase(s, t);
    return run_suite(s);
}

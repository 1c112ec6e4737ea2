/* SPDX-License-Identifier: MIT */
/*
 * test_kill.c - the main job killed and stopped again and again under load, and equal at the end.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { KILLS = 20, ROWS = 4000 };

static const char *const families[] = {"mariadb", "mysql"};

static h_server *source, *target;
static unsigned seed = 4711;

static double a_moment(double longest)
{
    seed = seed * 1103515245U + 12345U;
    return longest * (double)(seed >> 16) / 65536.0;
}

static void tell(h_run *run)
{
    char *log = h_stderr(run);

    fprintf(stderr, "%s\n", log);
    free(log);
}

/* A stop in good order takes less than two seconds and says that it can go on (exit code 3). */
static void interrupt(h_run *run, int number)
{
    double since = h_now();
    int code;

    h_signal(run, number);
    code = h_wait(run, 10);
    if (number == SIGKILL)
        return;
    if (code != 3)
        tell(run);
    ck_assert_int_eq(code, 3);
    ck_assert_msg(h_now() - since < 2.0, "the stop took %.1f s", h_now() - since);
}

START_TEST(kill__twenty_kills_and_twenty_stops_end_equal)
{
    char *dir = h_path("checkpoints"), *conf;
    h_workload *load;
    h_run *run;
    int code;

    h_server_start_pair(&source, &target, families[_i], NULL, NULL);
    h_workload_schema(source, "shop");
    h_workload_fill(source, "shop", ROWS, 1);
    /* Small chunks and a slow copy, so that the kills meet it at every stage. */
    conf = h_config(source, target, "shop", "{\"UpdatableConfig\": {\"DataIterationBatchSize\": 100}}");
    load = h_workload_start(source, "shop", 4, ROWS, 40, 2);
    for (int i = 0; i < 2 * KILLS; i++) {
        run = h_start("--checkpoint-dir", dir, conf);
        ck_assert(
            h_wait_log(run, "checkpoint directory", 10)); /* main has begun: before it, a signal is the system's */
        h_sleep(0.1 + a_moment(i < KILLS ? 1.2 : 2.0));
        interrupt(run, i % 2 == 0 ? SIGKILL : i % 4 == 1 ? SIGTERM : SIGINT);
        h_run_free(run);
    }
    run = h_start("--checkpoint-dir", dir, conf);
    ck_assert(h_wait_log(run, "stage streaming", 120));
    h_workload_stop(load);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir), 0);
    code = h_wait(run, 120);
    if (code != 0)
        tell(run);
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(h_compare(source, target, "shop"), 0);
    h_run_free(run);
    h_server_free(source);
    h_server_free(target);
    free(conf);
    free(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kill");
    TCase *t = tcase_create("kill");

    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, kill__twenty_kills_and_twenty_stops_end_equal, 0, 2);
    suite_add_tcase(s, t);
    return run_suite(s);
}

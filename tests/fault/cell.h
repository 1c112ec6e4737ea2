/* SPDX-License-Identifier: MIT */
/*
 * cell.h - a cell of the fault matrix: a live source, a job in the wanted stage, faults, some more load, cutover, equal.
 *
 * `beat` says that the job lives: a row that is written to the source after the fault has to reach the target.
 */
#ifndef GFREPLICA_TESTS_CELL_H
#define GFREPLICA_TESTS_CELL_H

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"

enum { FAMILIES = 2, FOREVER = 90, HEARTBEAT = 1, NOTICED = 3 /* seconds; the program's least patience */ };

static const char *const families[] = {"mariadb", "mysql"};

/* In this stage the fault happens. */
typedef enum {
    COPYING,
    STREAMING, /* under load */
    LAGGING,   /* the same, with some seconds to catch up */
    STARTING,  /* of a job that is resumed under load */
    STOPPING,  /* after SIGTERM, under load */
    ALTERING,  /* at the barrier of DDL, which is repeated on the target, under load */
    IDLE,      /* streaming, nothing to do */
    CUTOVER,   /* asked for */
    STAGES
} cell_stage;
static const char *const cell_stages[STAGES] = {"copying",  "streaming", "lagging", "starting",
                                                "stopping", "altering",  "idle",    "cutover"};

typedef struct {
    h_server *source, *target;      /* borrowed */
    h_proxy *to_source, *to_target; /* borrowed; NULL: the job connects directly */
    cell_stage stage;
    unsigned rows;        /* of each of the workload's tables; 0: 1500 */
    const char *flags[4]; /* more of the job's, NULL at the end */
    const char *user;     /* of the target; NULL: root */
    char *db, *dir;       /* owned */
    const char *argv[24]; /* of the job; conf last and owned */
    h_run *run;           /* owned */
    h_workload *load;     /* owned */
    MYSQL *blocker;       /* owned: a stranger's transaction on the target, for which the repeated ALTER waits */
    unsigned beats, alters;
} cell;

static inline void cell_tell(const cell *c)
{
    char *log = h_stderr(c->run);

    fprintf(stderr, "%s\n", log);
    free(log);
}

#define cell_assert(c, what, ...)                                                                                      \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            cell_tell(c);                                                                                              \
            ck_abort_msg(__VA_ARGS__);                                                                                 \
        }                                                                                                              \
    } while (0)

static inline void cell_add(cell *c, const char *argument)
{
    unsigned i = 0;

    while (c->argv[i] != NULL)
        i++;
    ck_assert_uint_lt(i + 1, sizeof c->argv / sizeof c->argv[0]);
    c->argv[i] = argument;
}

/* For a job that shall have no more rights on the target than it needs: as cell.user. */
static inline void cell_make_user(h_server *target)
{
    h_sql(target, "CREATE USER mover@127.0.0.1; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX,"
                  " REFERENCES ON *.* TO mover@127.0.0.1");
}

/* The job's process; also again, after it has ended. */
static inline void cell_run(cell *c)
{
    h_run_free(c->run);
    c->run = h_start_argv(c->argv);
    cell_assert(c, h_wait_log(c->run, "checkpoint directory", FOREVER), "%s: no start", c->db);
}

static inline void cell_wait_stage(cell *c, const char *stage)
{
    char *line = h_format("stage %s", stage);

    cell_assert(c, h_wait_log(c->run, line, FOREVER), "%s: not %s", c->db, stage);
    free(line);
}

static inline void cell_arguments(cell *c)
{
    h_server source = c->to_source != NULL ? h_proxy_view(c->to_source) : *c->source;
    h_server target = c->to_target != NULL ? h_proxy_view(c->to_target) : *c->target;

    if (c->user != NULL)
        snprintf(target.user, sizeof target.user, "%s", c->user);
    /* In the clear, so that the proxy can tell links apart. */
    for (const char *const *a = (const char *const[]){"--checkpoint-dir", c->dir, "--job", c->db, "--heartbeat", "1s",
                                                      "--source-tls", "off", "--target-tls", "off", NULL};
         *a != NULL; a++)
        cell_add(c, *a);
    /* Tiny chunks of one reader make the copy last; a stage that is over would prove nothing. */
    if (c->stage == COPYING)
        for (const char *const *a = (const char *const[]){"--chunk-rows", "15", "--readers", "1", NULL}; *a != NULL;
             a++)
            cell_add(c, *a);
    for (const char *const *a = c->flags; *a != NULL; a++)
        cell_add(c, *a);
    cell_add(c, h_config(&source, &target, c->db, NULL));
}

/* `c` has its servers, and its proxies if any; `name` is the database's and the job's. */
static inline void cell_begin(cell *c, const char *name, cell_stage stage)
{
    c->db = h_format("%s", name);
    c->dir = h_path("checkpoints");
    c->stage = stage;
    c->rows = c->rows > 0 ? c->rows : 1500;
    h_workload_schema(c->source, c->db);
    h_sql(c->source,
          "CREATE TABLE %s.beat (id INT PRIMARY KEY); CREATE TABLE %s.altered (id INT PRIMARY KEY); INSERT INTO "
          "%s.altered VALUES (1), (2)",
          c->db, c->db, c->db);
    h_workload_fill(c->source, c->db, c->rows, 1);
    c->load = h_workload_start(c->source, c->db, 2, c->rows, 25, 2);
    cell_arguments(c);
    cell_run(c);
    cell_wait_stage(c, stage == COPYING ? "copying" : "streaming");
}

/* Does what is written now arrive? */
static inline void cell_beat(cell *c, double seconds)
{
    double until = h_now() + seconds;
    unsigned beat = ++c->beats;

    h_sql(c->source, "INSERT INTO %s.beat VALUES (%u)", c->db, beat);
    while (h_sql_try(c->target, NULL, "SELECT 1 FROM %s.beat LIMIT 0", c->db) != 0 ||
           h_number(c->target, "SELECT COUNT(*) FROM %s.beat WHERE id=%u", c->db, beat) == 0) {
        cell_assert(c, h_wait(c->run, 0) < 0, "%s: ended with %d", c->db, h_wait(c->run, 0));
        cell_assert(c, h_now() < until, "%s: no beat after %.0f s", c->db, seconds);
        h_sleep(0.05);
    }
}

static inline unsigned cell_count_log(const cell *c, const char *text)
{
    char *log = h_stderr(c->run);
    unsigned count = 0;

    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        count++;
    free(log);
    return count;
}

/* False when it is not said within so many seconds once more than `before` times. */
static inline bool cell_says(cell *c, const char *text, unsigned before, double seconds)
{
    double until = h_now() + seconds;

    while (cell_count_log(c, text) <= before) {
        if (h_now() > until)
            return false;
        h_sleep(0.05);
    }
    return true;
}

static inline void cell_expect_exit(cell *c, int code, double seconds)
{
    int got = h_wait(c->run, seconds);

    cell_assert(c, got == code, "%s: exit code %d after %.0f s, not %d", c->db, got, seconds, code);
}

/* Its last lines have this in them. */
static inline void cell_expect_said(cell *c, const char *text)
{
    cell_assert(c, cell_count_log(c, text) > 0, "%s: did not say '%s'", c->db, text);
}

static inline void cell_stop_load(cell *c)
{
    if (c->load != NULL)
        h_workload_stop(c->load);
    c->load = NULL;
}

static inline void cell_command(cell *c, const char *verb)
{
    int code = h_exec(NULL, NULL, 20, verb, "--checkpoint-dir", c->dir);

    cell_assert(c, code == 0, "%s: gfreplica %s: %d", c->db, verb, code);
}

static inline void cell_pause_a_while(cell *c)
{
    cell_command(c, "pause");
    h_sleep(2);
    cell_command(c, "resume");
}

/* The fault finds an ALTER under way on the target. */
static inline void cell_alter(cell *c)
{
    unsigned told = cell_count_log(c, "schema change at");
    char *read = h_format("SELECT COUNT(*) FROM %s.altered", c->db);

    c->blocker = h_connect(c->target);
    if (mysql_query(c->blocker, "BEGIN") != 0 || mysql_query(c->blocker, read) != 0)
        h_fail("%s: %s", read, mysql_error(c->blocker));
    mysql_free_result(mysql_store_result(c->blocker));
    h_sql(c->source, "ALTER TABLE %s.altered ADD c%u INT DEFAULT 7", c->db, ++c->alters);
    cell_assert(c, cell_says(c, "schema change at", told, FOREVER), "%s: no schema change", c->db);
    h_sleep(0.3);
    free(read);
}

static inline void cell_unblock(cell *c)
{
    if (c->blocker != NULL)
        mysql_close(c->blocker);
    c->blocker = NULL;
}

/* From wherever the job is to the moment of the fault. */
static inline void cell_reach(cell *c, cell_stage stage)
{
    c->stage = stage;
    if (stage == COPYING)
        return;
    cell_wait_stage(c, "streaming");
    if (stage == IDLE || stage == CUTOVER)
        cell_stop_load(c);
    if (stage == IDLE)
        cell_beat(c, FOREVER);
    if (stage == LAGGING)
        cell_pause_a_while(c);
    if (stage == STARTING) {
        h_signal(c->run, SIGTERM);
        cell_expect_exit(c, 3, 10);
        cell_run(c);
    }
    if (stage == STOPPING)
        h_signal(c->run, SIGTERM);
    if (stage == ALTERING)
        cell_alter(c);
    if (stage == CUTOVER)
        cell_command(c, "cutover");
}

/* After the fault: what was stopped or killed is started again by the same command. */
static inline void cell_go_on(cell *c, bool killed)
{
    int code = c->stage == STOPPING || killed ? h_wait(c->run, 10) : h_wait(c->run, 0);

    cell_unblock(c);
    if (c->stage == CUTOVER && code == 0)
        return; /* the fault came too late, or passed by */
    if (c->stage == STOPPING || killed) {
        cell_assert(c, code == 3 || code == 130 || code == 137, "%s: exit code %d", c->db, code);
        cell_run(c);
    } else {
        cell_assert(c, code < 0, "%s: ended with %d", c->db, code);
    }
    if (c->stage != CUTOVER)
        cell_beat(c, FOREVER);
}

static inline void cell_cut_over(cell *c)
{
    cell_stop_load(c);
    if (c->stage != CUTOVER) { /* asked for: goes on by itself, over faults and kills */
        cell_wait_stage(c, "streaming");
        cell_command(c, "cutover");
    }
    cell_expect_exit(c, 0, FOREVER);
    cell_assert(c, h_compare(c->source, c->target, c->db) == 0, "%s differs", c->db);
}

static inline void cell_free(cell *c)
{
    unsigned last = 0;

    cell_stop_load(c);
    cell_unblock(c);
    h_run_free(c->run);
    h_sql(c->source, "DROP DATABASE %s", c->db);
    h_sql(c->target, "DROP DATABASE IF EXISTS %s", c->db);
    while (c->argv[last + 1] != NULL)
        last++;
    free((void *)(uintptr_t)c->argv[last]);
    free(c->dir);
    free(c->db);
}

/* Is the whole matrix wanted, or what fits in every day's tests? */
static inline bool whole_matrix(void)
{
    const char *which = getenv("FAULTS");

    return which != NULL && strcmp(which, "all") == 0;
}

#endif

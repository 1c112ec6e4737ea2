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
#include <stdarg.h>
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
    char *db;             /* owned */
    char *dir;            /* owned; NULL: one of its own */
    const char *argv[32]; /* of the job; conf last and owned */
    h_run *run;           /* owned */
    h_workload *load;     /* owned */
    MYSQL *blocker;       /* owned: a stranger's transaction on the target, for which the repeated ALTER waits */
    unsigned beats, alters;
    bool slow; /* the copy: until cell_finish_copy */
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

/* In shell; it has to succeed. */
static inline void cell_shell(const char *fmt, ...) H_PRINTF(1, 2);

static inline void cell_shell(const char *fmt, ...)
{
    char *command = NULL;
    va_list args;

    va_start(args, fmt);
    ck_assert_int_gt(vasprintf(&command, fmt, args), 0);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
    free(command);
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
    /* A row a chunk and one reader make the copy last; a stage that is over would prove nothing. */
    c->slow = c->stage == COPYING;
    if (c->slow)
        for (const char *const *a = (const char *const[]){"--chunk-rows", "1", "--readers", "1", "--control",
                                                          "--control-bind", "127.0.0.1:0", NULL};
             *a != NULL; a++)
            cell_add(c, *a);
    for (const char *const *a = c->flags; *a != NULL; a++)
        cell_add(c, *a);
    cell_add(c, h_config(&source, &target, c->db, NULL));
}

/* `c` has its servers, and its proxies if any; `name` is the database's and the job's. */
static inline void cell_begin(cell *c, const char *name, cell_stage stage)
{
    c->db = h_format("%s", name);
    c->dir = c->dir != NULL ? c->dir : h_path("checkpoints");
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

static inline void cell_expect_count(const cell *c, const char *text, unsigned count)
{
    unsigned found = cell_count_log(c, text);

    cell_assert(c, found == count, "%s: '%s' %u times, not %u", c->db, text, found, count);
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

static inline void cell_stop(cell *c)
{
    h_signal(c->run, SIGTERM);
    cell_expect_exit(c, 3, 10);
}

static inline void cell_kill(cell *c)
{
    h_signal(c->run, SIGKILL);
    cell_expect_exit(c, 137, 10);
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

/* Much is written while it is paused: what happens right afterwards finds it some seconds behind. */
static inline void cell_fall_behind(cell *c)
{
    h_workload *more;

    cell_command(c, "pause");
    more = h_workload_start(c->source, c->db, 4, c->rows, 0, 3);
    h_sleep(2);
    h_workload_stop(more);
    h_sql(c->source, "INSERT INTO %s.beat VALUES (%u)", c->db, ++c->beats);
    cell_command(c, "resume");
    cell_assert(c, h_number(c->target, "SELECT COUNT(*) FROM %s.beat WHERE id=%u", c->db, c->beats) == 0, "%s: no lag",
                c->db);
}

/* The rest of the copy takes no time. */
static inline void cell_finish_copy(cell *c)
{
    static const char name[] = "\"ControlAddress\":\"";
    const char *address;
    char *json;

    if (c->slow && cell_count_log(c, "stage streaming") == 0) {
        ck_assert_int_eq(h_exec(&json, NULL, 20, "status", "--json", "--checkpoint-dir", c->dir), 0);
        address = strstr(json, name);
        ck_assert_msg(address != NULL, "%s", json);
        address += strlen(name);
        cell_shell("curl -sf -d '{\"DataIterationBatchSize\": 1000}' http://%.*s/api/config >/dev/null",
                   (int)strcspn(address, "\""), address);
        free(json);
    }
    cell_wait_stage(c, "streaming");
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
    if (stage == COPYING) { /* one that is over would prove nothing */
        cell_assert(c, cell_count_log(c, "stage streaming") == 0, "%s: all is copied", c->db);
        return;
    }
    cell_finish_copy(c);
    if (stage == IDLE || stage == CUTOVER)
        cell_stop_load(c);
    if (stage == IDLE)
        cell_beat(c, FOREVER);
    if (stage == LAGGING)
        cell_fall_behind(c);
    if (stage == STARTING) {
        cell_stop(c);
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

/* Where the cutover that was asked for may have been called off, or forgotten with the file that knew of it. */
static inline void cell_ask_again(cell *c)
{
    if (h_wait_log(c->run, "stage streaming", FOREVER)) /* else it was done before */
        (void)h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", c->dir);
}

/* The definitions of before a schema change that is under way are nowhere but in the checkpoint directory: without it
   the job is refused, and has to be begun anew. */
static inline void cell_begin_anew(cell *c)
{
    cell_run(c);
    cell_expect_exit(c, 4, 20);
    cell_expect_said(c, "start the job anew");
    h_sql(c->target, "DROP DATABASE %s; DELETE FROM _gfreplica.job WHERE job='%s'", c->db, c->db);
    cell_shell("rm -r %s", c->dir);
}

static inline void cell_cut_over(cell *c)
{
    cell_stop_load(c);
    if (c->stage != CUTOVER) { /* asked for: goes on by itself, over faults and kills */
        cell_finish_copy(c);
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

static inline bool is_named(const char *variable, const char *name)
{
    const char *wanted = getenv(variable);

    return wanted == NULL || strcmp(wanted, name) == 0;
}

/* FAULT_STAGE=altering, FAULT=kill: of the whole matrix that stage alone, that fault alone. */
static inline bool is_wanted(cell_stage stage)
{
    return is_named("FAULT_STAGE", cell_stages[stage]);
}

static inline bool is_wanted_fault(const char *name)
{
    return is_named("FAULT", name);
}

/* Sets of stages. */
#define AT(stage) (1U << (stage))
enum { EVERYWHERE = AT(STAGES) - 1 };

/* A test of a stage, HERE, which is its _i: at all of these, every day at some of them. */
#define HERE ((cell_stage)_i)
#define cell_add_test(t, test, stages, every_day)                                                                      \
    do {                                                                                                               \
        for (int at = 0; at < STAGES; at++)                                                                            \
            if (((whole_matrix() ? (stages) : (every_day)) & AT(at)) != 0 && is_wanted((cell_stage)at) &&              \
                is_wanted_fault((test)->name))                                                                         \
                tcase_add_loop_test(t, test, at, at + 1);                                                              \
    } while (0)

#endif

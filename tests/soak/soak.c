/* SPDX-License-Identifier: MIT */
/*
 * soak.c - moves under random load and random faults, round after round, compared at the end of each.
 *
 *     soak FAMILY MINUTES SEED [ROUND]
 *
 * A round has a fresh pair of servers, tables made by its seed, writers, a job with random settings and a fault every
 * few seconds; whenever the process has ended it is started again by the same command. After about three minutes the
 * writers stop, the job is cut over (not without faults), and both sides are compared byte for byte. In every third
 * round the process is not ended, so that its memory and descriptors are those of one process over the round.
 *
 * The first difference, and the first exit that no fault explains, end the soak; the folder that it names then has the
 * servers' data with their binlogs, every log and the checkpoint directory. ROUND repeats that round alone: its tables,
 * settings and faults are the same, its timing is not.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soak/soak.h"

enum { ROUND_SECONDS = 150, PATIENCE = 240 };

/* --- a round's choices -------------------------------------------------------------------------------------------- */

typedef struct {
    const char *mariadb, *mysql; /* server option of each family, NULL: none */
    unsigned percent;
} maybe;

static const maybe source_options[] = {
    {NULL, "--gtid-mode=OFF --enforce-gtid-consistency=OFF", 25},
    {"--log-bin-compress=ON --log-bin-compress-min-len=64", "--binlog-transaction-compression=ON", 25},
    {"--max-binlog-size=1M", "--max-binlog-size=1M", 50},
    {"--binlog-checksum=NONE", "--binlog-checksum=NONE", 15},
    {"--binlog-row-metadata=FULL", "--binlog-row-metadata=FULL", 30},
    {"--binlog-annotate-row-events=OFF", "--binlog-rows-query-log-events=ON", 30},
};

static const maybe target_options[] = {
    {"--local-infile=ON", "--local-infile=ON", 50},
};

static char *choose_options(soak_round *r, const maybe *list, size_t count, const char *always)
{
    char *all = h_format("%s", always);

    for (size_t i = 0; i < count; i++) {
        const char *option = r->mariadb ? list[i].mariadb : list[i].mysql;
        char *longer;

        if (!h_chance(&r->random, list[i].percent) || option == NULL)
            continue;
        longer = h_format("%s %s", all, option);
        free(all);
        all = longer;
    }
    return all;
}

/* A flag and the values that it may get; NULL: left out. */
static const struct {
    const char *name, *values[5];
} flags[] = {
    {"--readers", {"1", "2", "4", NULL, NULL}},
    {"--writers", {"1", "2", "4", "8", NULL}},
    {"--copy-writers", {"1", "2", "4", NULL, NULL}},
    {"--memory", {"16M", "32M", NULL, NULL, NULL}},
    {"--batch-rows", {"50", "200", NULL, NULL, NULL}},
    {"--batch-bytes", {"64K", NULL, NULL, NULL, NULL}},
    {"--range-rows", {"1000", "2000", NULL, NULL, NULL}},
    {"--chunk-rows", {"20", "50", "100", "400", NULL}},
    {"--copy-method", {"insert", "auto", NULL, NULL, NULL}},
    {"--heartbeat", {"1s", "2s", NULL, NULL, NULL}},
};

static void add_argument(soak_round *r, const char *text)
{
    size_t i = 0;

    while (r->arguments[i] != NULL)
        i++;
    if (i + 1 >= sizeof r->arguments / sizeof r->arguments[0])
        h_fail("too many arguments");
    r->arguments[i] = h_format("%s", text);
}

static void choose_arguments(soak_round *r)
{
    r->dir = h_path("checkpoints");
    add_argument(r, "--checkpoint-dir");
    add_argument(r, r->dir);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const char *value = flags[i].values[h_below(&r->random, 5)];

        if (value == NULL)
            continue;
        add_argument(r, flags[i].name);
        add_argument(r, value);
    }
    if (!r->marker)
        add_argument(r, "--no-marker");
    if (r->keyless && !r->mariadb)
        add_argument(r, "--lock-keyless-tables");
}

/* --- servers and job ---------------------------------------------------------------------------------------------- */

/* The grants of docs/operations.md, none more: a target that is read-only is so for us too. */
static void create_users(soak_round *r)
{
    h_sql(r->source, "CREATE USER mover@127.0.0.1 IDENTIFIED BY 'secret'; GRANT SELECT, LOCK TABLES ON w.* TO"
                     " mover@127.0.0.1; GRANT SELECT, LOCK TABLES ON g.* TO mover@127.0.0.1;"
                     "GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO mover@127.0.0.1");
    if (!r->mariadb)
        h_sql(r->source, "GRANT XA_RECOVER_ADMIN ON *.* TO mover@127.0.0.1");
    h_sql(r->target, "CREATE USER mover@127.0.0.1 IDENTIFIED BY 'secret'");
    for (const char *const *db = (const char *const[]){"w", "g", NULL}; *db != NULL; db++)
        h_sql(r->target,
              "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON %s.* TO"
              " mover@127.0.0.1",
              *db);
    if (r->marker)
        h_sql(r->target, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON _gfreplica.* TO mover@127.0.0.1");
}

static h_server as_mover(const h_server *server)
{
    h_server mover = *server;

    mover.admin = NULL;
    snprintf(mover.user, sizeof mover.user, "mover");
    snprintf(mover.password, sizeof mover.password, "secret");
    return mover;
}

static void start_servers(soak_round *r)
{
    char *source = choose_options(r, source_options, sizeof source_options / sizeof source_options[0],
                                  "--sync-binlog=1 --max-connections=151");
    /* With the marker a target may lose its last second in a crash; without it, it must not. */
    char *target = choose_options(r, target_options, sizeof target_options / sizeof target_options[0],
                                  r->marker ? "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0"
                                            : "--innodb-flush-log-at-trx-commit=1");

    fprintf(stderr, "round %u: source %s; target %s\n", r->number, source, target);
    h_server_start_pair(&r->source, &r->target, r->mariadb ? "mariadb" : "mysql", source, target);
    free(source);
    free(target);
}

static void start_load(soak_round *r)
{
    unsigned rows = 300 + h_below(&r->random, 3000);
    load_options options = {.tables = 3 + h_below(&r->random, 5),
                            .rows = rows,
                            .threads = 2,
                            .rate = 8,
                            .keyless = r->keyless,
                            .mariadb = r->mariadb,
                            .seed = h_next(&r->random) >> 16};

    h_workload_schema(r->source, "w");
    h_workload_fill(r->source, "w", rows, options.seed);
    r->made = load_new(r->source, "g", &options);
    create_users(r);
    r->fixed = h_workload_start(r->source, "w", 2, rows, 8, options.seed);
    load_start(r->made);
}

static void start_job(soak_round *r)
{
    if (r->run != NULL) {
        unlink(r->run->stdout_path);
        h_run_free(r->run);
    }
    r->run = h_start_argv((const char *const *)r->arguments);
    r->runs++;
    fprintf(stderr, "%.3f round %u: run %u, %s\n", h_now(), r->number, r->runs, r->run->stderr_path);
    if (!h_wait_log(r->run, "checkpoint directory", 20)) /* before it, a signal is the system's */
        h_fail("the job does not start, see %s", r->run->stderr_path);
}

/* A round that may use XA begins to do so once the job has its start position. */
static void allow_xa_when_begun(soak_round *r)
{
    if (r->xa && h_wait_log(r->run, "stage copying", 0)) {
        load_allow_xa(r->made);
        r->xa = false;
    }
}

static void expect_running(soak_round *r)
{
    int code = h_wait(r->run, 0);

    if (code >= 0)
        h_fail("gfreplica ended by itself with exit code %d, see %s", code, r->run->stderr_path);
}

/* --- what the process uses ---------------------------------------------------------------------------------------- */

typedef struct {
    long rss_kib;
    unsigned descriptors;
} usage;

static usage sample(pid_t pid)
{
    usage u = {0};
    char *path = h_format("/proc/%d/status", (int)pid), line[256];
    FILE *f = fopen(path, "re");
    DIR *d;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            u.rss_kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        fclose(f);
    free(path);
    path = h_format("/proc/%d/fd", (int)pid);
    d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        u.descriptors++;
    if (d != NULL)
        closedir(d);
    free(path);
    return u;
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

static void shake(soak_round *r, double until, usage *early)
{
    while (h_now() < until) {
        h_sleep((double)h_below(&r->random, 5000) / 1000.0);
        allow_xa_when_begun(r);
        expect_running(r);
        if (early->rss_kib == 0)
            *early = sample(r->run->pid);
        if (soak_fault_happens(r)) {
            soak_between_runs(r);
            start_job(r);
        }
    }
}

/* The last faults meet the cutover; after them the same command goes on, and the cutover may have to be asked again. */
static void cut_over(soak_round *r)
{
    double deadline = h_now() + PATIENCE, next = 0;
    unsigned faults = h_chance(&r->random, 50) ? 1 + h_below(&r->random, 2) : 0;

    for (;;) {
        int code = h_wait(r->run, 0.05);

        if (code == 0)
            return;
        if (code > 0)
            h_fail("gfreplica ended by itself with exit code %d at the cutover, see %s", code, r->run->stderr_path);
        if (h_now() > deadline)
            h_fail("no cutover within %d s, see %s", PATIENCE, r->run->stderr_path);
        if (h_now() < next)
            continue;
        h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", r->dir);
        next = h_now() + 2;
        if (faults == 0)
            continue;
        faults--;
        h_sleep((double)h_below(&r->random, 600) / 1000.0);
        if (h_wait(r->run, 0) < 0 && soak_fault_happens(r))
            start_job(r);
    }
}

/* The program's own comparison, which must find nothing: beside the load, and of a job that is done. */
static void verify(soak_round *r, bool busy)
{
    const char *argv[sizeof r->arguments / sizeof r->arguments[0] + 1] = {"verify"};
    char *report, *log;
    int code;

    memcpy(argv + 1, r->arguments, sizeof r->arguments);
    code = h_exec_argv(&report, &log, PATIENCE, argv);
    if (code != 0 && !(busy && code == 4 && strstr(report, ": 0 differences") != NULL))
        h_fail("verify ended with exit code %d: %s%s", code, report, log);
    free(report);
    free(log);
}

static uint64_t finish(soak_round *r, usage *late)
{
    h_workload_counts counts;
    uint64_t transactions;

    if (!h_wait_log(r->run, "stage streaming", PATIENCE))
        h_fail("not streaming within %d s, see %s", PATIENCE, r->run->stderr_path);
    expect_running(r);
    *late = sample(r->run->pid);
    verify(r, true);
    transactions = load_stop(r->made);
    counts = h_workload_stop(r->fixed);
    r->fixed = NULL;
    cut_over(r);
    verify(r, false);
    return transactions + counts.transactions;
}

static void print_faults(FILE *out, const unsigned *counts)
{
    for (unsigned i = 0; i < soak_fault_count; i++)
        if (counts[i] > 0)
            fprintf(out, " %s %u", soak_faults[i].name, counts[i]);
}

static void free_round(soak_round *r)
{
    char *command = h_format("rm -rf '%s'/*-%d-*", h_run_dir(), (int)getpid());

    h_run_free(r->run);
    h_server_free(r->source);
    h_server_free(r->target);
    for (size_t i = 0; r->arguments[i] != NULL; i++)
        free(r->arguments[i]);
    free(r->dir);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove the round's files\n");
    free(command);
}

typedef struct {
    unsigned rounds, runs, faults[FAULTS_MAX];
    uint64_t rows, transactions;
    usage first, last; /* at the end of the first and of the last round */
    double slowest_stop, started;
} totals;

static void add_round(totals *t, const soak_round *r, const h_totals *compared, uint64_t transactions, usage late)
{
    for (unsigned i = 0; i < soak_fault_count; i++)
        t->faults[i] += r->counts[i];
    if (t->rounds++ == 0)
        t->first = late;
    t->last = late;
    t->runs += r->runs;
    t->rows += compared->rows;
    t->transactions += transactions;
    if (r->slowest_stop > t->slowest_stop)
        t->slowest_stop = r->slowest_stop;
}

static void prepare_round(soak_round *r)
{
    h_server source, target;
    char *conf;

    r->random = h_seeded(r->seed);
    r->marker = h_chance(&r->random, 85);
    r->keyless = r->marker && h_chance(&r->random, 50);
    r->xa = r->marker && h_chance(&r->random, 50);
    r->lives = r->number % 3 == 2;
    start_servers(r);
    start_load(r);
    choose_arguments(r);
    source = as_mover(r->source);
    target = as_mover(r->target);
    conf = h_config(&source, &target, "w,g", NULL);
    add_argument(r, conf);
    free(conf);
}

static void run_round(totals *t, bool mariadb, unsigned number, uint64_t seed)
{
    soak_round r = {.number = number, .seed = seed, .mariadb = mariadb};
    double since = h_now();
    usage early = {0}, late;
    h_totals compared = {0};
    uint64_t transactions;
    bool keyless, xa;

    prepare_round(&r);
    keyless = r.keyless;
    xa = r.xa;
    start_job(&r);
    shake(&r, h_now() + ROUND_SECONDS, &early);
    transactions = finish(&r, &late);
    if (h_compare_totals(r.source, r.target, "w,g", stderr, &compared) != 0)
        h_fail("round %u, seed %" PRIu64 ": %" PRIu64 " differences", number, seed, compared.differences);
    printf("round %u seed %" PRIu64 " %s%s%s%s%s: %u runs, %" PRIu64 " transactions, %" PRIu64
           " rows equal, %.0f s, rss %ld/%ld MiB, fds %u/%u;",
           number, seed, mariadb ? "mariadb" : "mysql", r.marker ? "" : " no-marker", keyless ? " keyless" : "",
           xa ? " xa" : "", r.lives ? " one-process" : "", r.runs, transactions, compared.rows, h_now() - since,
           early.rss_kib / 1024, late.rss_kib / 1024, early.descriptors, late.descriptors);
    print_faults(stdout, r.counts);
    putchar('\n');
    fflush(stdout);
    add_round(t, &r, &compared, transactions, late);
    free_round(&r);
}

static void print_totals(const totals *t)
{
    unsigned faults = 0;

    for (unsigned i = 0; i < soak_fault_count; i++)
        faults += t->faults[i];
    printf("\n%.0f minutes, %u rounds, %u runs, %u faults, %" PRIu64 " transactions, %" PRIu64
           " rows compared: 0 differences\n",
           (h_now() - t->started) / 60, t->rounds, t->runs, faults, t->transactions, t->rows);
    for (unsigned i = 0; i < soak_fault_count; i++)
        printf("  %-16s %u\n", soak_faults[i].name, t->faults[i]);
    printf("  rss first %ld MiB, last %ld MiB; descriptors first %u, last %u; slowest stop %.1f s\n",
           t->first.rss_kib / 1024, t->last.rss_kib / 1024, t->first.descriptors, t->last.descriptors, t->slowest_stop);
}

int main(int argc, char **argv)
{
    totals t = {.started = h_now()};
    bool mariadb;
    uint64_t seed;
    double end;

    if (argc < 4 || argc > 5 || (strcmp(argv[1], "mariadb") != 0 && strcmp(argv[1], "mysql") != 0)) {
        fputs("usage: soak mariadb|mysql MINUTES SEED [ROUND]\n", stderr);
        return 2;
    }
    mariadb = strcmp(argv[1], "mariadb") == 0;
    end = h_now() + 60 * strtod(argv[2], NULL);
    seed = strtoull(argv[3], NULL, 10);
    h_keep(true);
    printf("soak: %s, %s minutes, seed %" PRIu64 ", in %s\n", argv[1], argv[2], seed, h_run_dir());
    fflush(stdout);
    if (argc == 5) {
        unsigned number = (unsigned)atoi(argv[4]);

        run_round(&t, mariadb, number, seed * 10000 + number);
    }
    for (unsigned number = 1; argc == 4 && (number == 1 || h_now() < end); number++)
        run_round(&t, mariadb, number, seed * 10000 + number);
    print_totals(&t);
    h_keep(false);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * faults.c - what the soak does to us, to the servers and to the checkpoint directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soak/soak.h"

static double seconds(soak_round *r, unsigned from_ms, unsigned to_ms)
{
    return (double)(from_ms + h_below(&r->random, to_ms - from_ms)) / 1000.0;
}

/* --- our process -------------------------------------------------------------------------------------------------- */

static void kill_us(soak_round *r)
{
    h_signal(r->run, SIGKILL);
    if (h_wait(r->run, 20) < 0)
        h_fail("gfreplica outlived SIGKILL");
}

/* In good order: exit code 3, and soon. */
static void stop_us(soak_round *r)
{
    double since = h_now();
    int code;

    h_signal(r->run, h_chance(&r->random, 50) ? SIGTERM : SIGINT);
    code = h_wait(r->run, 20);
    if (code != 3)
        h_fail("a signal to stop ended in exit code %d (-1: it runs on) after %.1f s", code, h_now() - since);
    if (h_now() - since > r->slowest_stop)
        r->slowest_stop = h_now() - since;
}

static void stop_us_twice(soak_round *r)
{
    h_signal(r->run, SIGTERM);
    h_signal(r->run, SIGINT);
    if (h_wait(r->run, 20) < 0)
        h_fail("gfreplica outlived two signals to stop");
}

static void freeze_us(soak_round *r)
{
    h_signal(r->run, SIGSTOP);
    h_sleep(seconds(r, 500, 9000));
    h_signal(r->run, SIGCONT);
}

/* The directory is taken: refused, and the first one does not notice. */
static void second_process(soak_round *r)
{
    h_run *second = h_start_argv((const char *const *)r->arguments);
    int code = h_wait(second, 20);

    if (code <= 0 || code == 3)
        h_fail("a second process on the same directory ended with %d", code);
    h_run_free(second);
}

static void pause_us(soak_round *r)
{
    h_exec(NULL, NULL, 20, "pause", "--checkpoint-dir", r->dir);
    h_sleep(seconds(r, 200, 4000));
    h_exec(NULL, NULL, 20, "resume", "--checkpoint-dir", r->dir);
}

/* --- servers ------------------------------------------------------------------------------------------------------ */

static void kill_source(soak_round *r)
{
    load_hold_xa(r->made);
    h_server_kill(r->source);
    h_sleep(seconds(r, 0, 3000));
    h_server_restart(r->source, NULL);
    load_release_xa(r->made);
}

static void restart_source(soak_round *r)
{
    load_hold_xa(r->made);
    h_server_restart(r->source, NULL);
    load_release_xa(r->made);
}

static void kill_target(soak_round *r)
{
    h_server_kill(r->target);
    h_sleep(seconds(r, 0, 3000));
    h_server_restart(r->target, NULL);
}

static void restart_target(soak_round *r)
{
    h_server_restart(r->target, NULL);
}

static void kill_both(soak_round *r)
{
    load_hold_xa(r->made);
    h_server_kill(r->source);
    h_server_kill(r->target);
    h_server_restart(r->target, NULL);
    h_server_restart(r->source, NULL);
    load_release_xa(r->made);
}

static void flush_logs(soak_round *r)
{
    for (unsigned n = 1 + h_below(&r->random, 6); n > 0; n--)
        h_sql(r->source, "FLUSH BINARY LOGS");
}

static void flip_read_only(soak_round *r)
{
    const char *variable = r->mariadb ? "read_only" : "super_read_only";

    if (r->runs == 1 && !h_wait_log(r->run, "stage copying", 30)) /* before that it is refused, and rightly */
        return;
    h_sql(r->target, "SET GLOBAL %s=ON", variable);
    h_sleep(seconds(r, 300, 5000));
    h_sql(r->target, "SET GLOBAL read_only=OFF"); /* MySQL's super_read_only goes with it */
}

/* A stranger's transaction holds rows that we need, and lets them go as they were. */
static void lock_rows(soak_round *r)
{
    static const char *const statements[] = {
        "SELECT COUNT(*) FROM w.w_hot FOR UPDATE",
        "DELETE FROM w.w_int ORDER BY id LIMIT 300",
        "UPDATE g.g1 SET c0 = 0 ORDER BY k0 LIMIT 300",
        "DELETE FROM w.w_big",
    };
    MYSQL *m = h_connect(r->target);
    const char *sql = statements[h_below(&r->random, sizeof statements / sizeof statements[0])];

    /* Not there yet, or a deadlock that it loses: nothing held, nothing changed. */
    if (mysql_query(m, "SET SESSION innodb_lock_wait_timeout=2") == 0 && mysql_query(m, "BEGIN") == 0 &&
        mysql_query(m, sql) == 0) {
        mysql_free_result(mysql_store_result(m));
        h_sleep(seconds(r, 200, 7000));
    }
    mysql_query(m, "ROLLBACK");
    mysql_close(m);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

/* KILL the connections of our user whose command or statement has `word` in it. */
static void kill_connections(MYSQL *m, const char *word)
{
    MYSQL_RES *result;
    MYSQL_ROW row;

    if (mysql_query(m, "SHOW FULL PROCESSLIST") != 0)
        h_fail("process list: %s", mysql_error(m));
    result = mysql_store_result(m);
    while ((row = mysql_fetch_row(result)) != NULL) {
        char *sql;

        if (strcmp(row[1], "mover") != 0 ||
            ((row[4] == NULL || strstr(row[4], word) == NULL) && (row[7] == NULL || strstr(row[7], word) == NULL)))
            continue;
        sql = h_format("KILL %s", row[0]);
        mysql_query(m, sql); /* it may have ended by itself */
        free(sql);
    }
    mysql_free_result(result);
}

static void kill_often(soak_round *r, const h_server *server, const char *word, unsigned times)
{
    MYSQL *m = h_connect(server);

    for (; times > 0; times--) {
        kill_connections(m, word);
        h_sleep(seconds(r, 0, 60));
    }
    mysql_close(m);
}

static void kill_dump(soak_round *r)
{
    kill_often(r, r->source, "Binlog Dump", 1);
}

static void kill_reads(soak_round *r)
{
    kill_often(r, r->source, "SELECT", 5 + h_below(&r->random, 15));
}

static void kill_writers(soak_round *r)
{
    kill_often(r, r->target, "", 5 + h_below(&r->random, 15));
}

/* Ours are killed and meet a full server; this connection is open before, since more than the limit may be. */
static void limit_connections(soak_round *r)
{
    const h_server *server = h_chance(&r->random, 50) ? r->source : r->target;
    MYSQL *m = h_connect(server);

    if (mysql_query(m, "SET GLOBAL max_connections=10") != 0)
        h_fail("max_connections: %s", mysql_error(m));
    kill_connections(m, "");
    h_sleep(seconds(r, 500, 5000));
    if (mysql_query(m, "SET GLOBAL max_connections=151") != 0)
        h_fail("max_connections: %s", mysql_error(m));
    mysql_close(m);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

const soak_fault soak_faults[] = {
    {"kill", 14, true, kill_us},
    {"stop", 10, true, stop_us},
    {"stop-twice", 3, true, stop_us_twice},
    {"freeze", 4, false, freeze_us},
    {"second-process", 2, false, second_process},
    {"pause", 3, false, pause_us},
    {"source-kill", 6, false, kill_source},
    {"source-restart", 4, false, restart_source},
    {"target-kill", 9, false, kill_target},
    {"target-restart", 4, false, restart_target},
    {"both-kill", 3, false, kill_both},
    {"flush-logs", 6, false, flush_logs},
    {"read-only", 6, false, flip_read_only},
    {"row-locks", 8, false, lock_rows},
    {"kill-dump", 7, false, kill_dump},
    {"kill-reads", 7, false, kill_reads},
    {"kill-writers", 7, false, kill_writers},
    {"max-connections", 4, false, limit_connections},
};
const unsigned soak_fault_count = sizeof soak_faults / sizeof soak_faults[0];

_Static_assert(sizeof soak_faults / sizeof soak_faults[0] <= FAULTS_MAX, "a round counts each of them");

static bool may_happen(const soak_round *r, const soak_fault *f)
{
    return !(f->ends_us && r->lives);
}

bool soak_fault_happens(soak_round *r)
{
    unsigned sum = 0, i, dice;

    for (i = 0; i < soak_fault_count; i++)
        sum += may_happen(r, &soak_faults[i]) ? soak_faults[i].weight : 0;
    dice = h_below(&r->random, sum);
    for (i = 0; !may_happen(r, &soak_faults[i]) || dice >= soak_faults[i].weight; i++)
        dice -= may_happen(r, &soak_faults[i]) ? soak_faults[i].weight : 0;
    r->counts[i]++;
    fprintf(stderr, "%.3f round %u: %s\n", h_now(), r->number, soak_faults[i].name);
    soak_faults[i].happens(r);
    return soak_faults[i].ends_us;
}

/* --- between two runs --------------------------------------------------------------------------------------------- */

/* The newest whole checkpoint's path, if there is one before it to fall back to; owned by the caller. */
static char *newest_checkpoint(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned long newest = 0;
    unsigned count = 0;
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char *end;
        unsigned long n;

        if (strncmp(e->d_name, "checkpoint-", 11) != 0)
            continue;
        n = strtoul(e->d_name + 11, &end, 10);
        if (strcmp(end, ".msgpack") != 0)
            continue;
        count++;
        newest = n > newest ? n : newest;
    }
    if (d != NULL)
        closedir(d);
    return count >= 2 ? h_format("%s/checkpoint-%lu.msgpack", dir, newest) : NULL;
}

static void flip_bit(soak_round *r, int fd, off_t size)
{
    off_t at = (off_t)h_below(&r->random, (unsigned)size);
    unsigned char byte;

    if (pread(fd, &byte, 1, at) != 1)
        h_fail("cannot read the checkpoint");
    byte ^= (unsigned char)(1U << h_below(&r->random, 8));
    if (pwrite(fd, &byte, 1, at) != 1)
        h_fail("cannot damage the checkpoint");
}

/* As a disk or a power cut may leave it: cut short, empty, or with a bit turned over. */
static void damage_checkpoint(soak_round *r)
{
    char *path = newest_checkpoint(r->dir);
    struct stat st;
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
        if (h_chance(&r->random, 50))
            flip_bit(r, fd, st.st_size);
        else if (ftruncate(fd, (off_t)h_below(&r->random, (unsigned)st.st_size)) != 0)
            h_fail("cannot cut %s", path);
        fprintf(stderr, "%.3f round %u: damaged %s\n", h_now(), r->number, path);
    }
    if (fd >= 0)
        close(fd);
    free(path);
}

void soak_between_runs(soak_round *r)
{
    static void (*const events[])(soak_round *) = {flush_logs, kill_target, kill_source, restart_source};

    if (h_chance(&r->random, 30))
        damage_checkpoint(r);
    if (h_chance(&r->random, 25))
        events[h_below(&r->random, sizeof events / sizeof events[0])](r);
    if (h_chance(&r->random, 50))
        h_sleep(seconds(r, 0, 3000));
}

/* SPDX-License-Identifier: MIT */
/*
 * test_state.c - what a start finds in the checkpoint directory of a job that was killed, at whatever stage.
 *
 * With the marker on the target the loss of files costs nothing. Files that would lead astray are refused by name, and
 * the same command goes on once they are away. In `make test` each damage has a stage of its own, another one in each
 * family; `make fault` has each at each stage, on a job of its own.
 */
#include <glob.h>

#include "fault/cell.h"
#include "run_suite.h"

static h_server *source, *target;
static char *other_dir; /* of another job */

static void make_other_job(void)
{
    cell other = {.source = source, .target = target, .rows = 50};

    cell_begin(&other, "other", STREAMING);
    cell_stop(&other);
    other_dir = h_format("%s", other.dir);
    cell_free(&other);
}

static void start_mariadb(void)
{
    h_server_start_pair(&source, &target, "mariadb", NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    make_other_job();
}

static void start_mysql(void)
{
    h_server_start_pair(&source, &target, "mysql", NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    make_other_job();
}

static void stop_servers(void)
{
    h_server_free(source);
    h_server_free(target);
    free(other_dir);
}

/* In shell, in the directory; $new is the newest checkpoint, $kept and $other are folders beside. */
static const struct damage {
    const char *name, *how;
    int code;           /* with which the next start ends; -1: it goes on */
    const char *said;   /* by it; NULL: nothing */
    const char *mended; /* how, where it has to be */
    bool lost;          /* all that there was, for good */
} damages[] = {
    {"cut", "truncate -s 100 $new", -1, "is refused", NULL, false},
    {"half", "truncate -s $(($(stat -c %s $new) / 2)) $new", -1, "is refused", NULL, false},
    {"empty", ": >$new", -1, "is refused", NULL, false},
    {"bit", "printf '\\377' | dd of=$new bs=1 seek=200 conv=notrunc status=none", -1, "is refused", NULL, false},
    {"foreign", "echo 'somebody elses file' >$new", -1, "is refused", NULL, false},
    {"unfinished", "head -c 50 $new >checkpoint-999.msgpack.tmp", -1, NULL, NULL, false},
    {"none", "rm -f checkpoint-*", -1, "the target knows job", NULL, true},
    {"no_directory", "rm -rf $PWD", -1, "the target knows job", NULL, true},
    {"all_cut", "truncate -s 100 checkpoint-*.msgpack", 4, "is whole", "rm checkpoint-*.msgpack", true},
    {"another_job", "mkdir -p $kept && mv checkpoint-* $kept && cp $other/checkpoint-* .", 2, "job",
     "rm checkpoint-* && mv $kept/checkpoint-* .", false},
};
enum { DAMAGES = sizeof damages / sizeof damages[0] };

static cell begin(const char *name, cell_stage stage)
{
    char *db = h_format("%s_%s_%s", source->family, name, cell_stages[stage]);
    cell c = {.source = source, .target = target, .rows = stage == COPYING ? 1500 : 500};

    cell_begin(&c, db, stage);
    free(db);
    return c;
}

/* There has to be one to go back to. */
static void wait_generations(const cell *c)
{
    char *pattern = h_format("%s/checkpoint-*.msgpack", c->dir);
    double until = h_now() + FOREVER;
    glob_t found = {0};

    while (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc < 2) {
        cell_assert(c, h_now() < until, "%s: no generations", c->db);
        globfree(&found);
        h_sleep(0.05);
    }
    globfree(&found);
    free(pattern);
}

static void in_directory(const cell *c, const char *what)
{
    cell_shell("cd %s && kept=%s.kept other=%s new=$(ls -t checkpoint-*.msgpack | head -n 1) && %s", c->dir, c->dir,
               other_dir, what);
}

/* False when the job was done before. */
static bool dies(cell *c)
{
    int code;

    if (h_wait(c->run, 0) < 0)
        h_signal(c->run, SIGKILL);
    code = h_wait(c->run, 10);
    cell_unblock(c);
    cell_assert(c, code == 137 || (c->stage == STOPPING && code == 3) || (c->stage == CUTOVER && code == 0),
                "%s: exit code %d", c->db, code);
    return code != 0;
}

static void go_on(cell *c, bool lost)
{
    if (lost && c->stage == ALTERING)
        cell_begin_anew(c);
    cell_run(c);
    if (c->stage == CUTOVER)
        cell_ask_again(c);
    else
        cell_beat(c, FOREVER);
}

static void refused(cell *c, const struct damage *d)
{
    cell_run(c);
    cell_expect_exit(c, d->code, 20);
    cell_expect_said(c, d->said);
    in_directory(c, d->mended);
}

static void happen(cell *c, const struct damage *d, cell_stage stage)
{
    fprintf(stderr, "%s %s\n", d->name, cell_stages[stage]);
    wait_generations(c);
    cell_reach(c, stage);
    if (!dies(c))
        return;
    in_directory(c, d->how);
    if (d->code >= 0)
        refused(c, d);
    go_on(c, d->lost);
    if (d->code < 0 && d->said != NULL && !(d->lost && stage == ALTERING))
        cell_expect_said(c, d->said);
    cell_shell("test ! -e %s/checkpoint-999.msgpack.tmp", c->dir);
}

static void a_job_each(cell_stage stage, unsigned first, unsigned step)
{
    for (unsigned i = first; i < DAMAGES; i += step) {
        cell c;

        if (!is_wanted_fault(damages[i].name))
            continue;
        c = begin(damages[i].name, stage);
        happen(&c, &damages[i], stage);
        cell_cut_over(&c);
        cell_free(&c);
    }
}

static void one_job_for_all(void)
{
    unsigned first = strcmp(source->family, "mysql") == 0 ? 5 : 0;
    cell c = begin("all", COPYING);

    for (cell_stage stage = COPYING; stage <= IDLE; stage++)
        happen(&c, &damages[(first + stage) % DAMAGES], stage);
    cell_cut_over(&c);
    cell_free(&c);
    a_job_each(CUTOVER, (first + 7) % DAMAGES, DAMAGES);
}

START_TEST(state__damaged_files_cost_nothing)
{
    if (whole_matrix())
        for (cell_stage stage = COPYING; stage < STAGES; stage++)
            if (is_wanted(stage))
                a_job_each(stage, 0, 1);
    if (!whole_matrix())
        one_job_for_all();
}
END_TEST

static void add_family(Suite *s, const char *family, SFun start)
{
    TCase *t = tcase_create(family);

    tcase_set_timeout(t, 3600);
    tcase_add_unchecked_fixture(t, start, stop_servers);
    tcase_add_test(t, state__damaged_files_cost_nothing);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("state");

    add_family(s, "mariadb", start_mariadb);
    add_family(s, "mysql", start_mysql);
    return run_suite(s);
}

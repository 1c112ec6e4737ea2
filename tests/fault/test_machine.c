/* SPDX-License-Identifier: MIT */
/*
 * test_machine.c - what the machine under us does, at every stage of a job: its memory, its clock, the file system with
 * our checkpoint directory.
 *
 * What can't be remembered is not done: the job stops and says why, and the same command goes on with it, once that is
 * mended. In `make test` the faults come one after the other upon one job of each family; `make fault` gives each, at
 * each stage, a job of its own. Disks that are full or read-only are mounts of the test's own, for which it has to be
 * root: otherwise it says that those were left out.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/cell.h"
#include "run_suite.h"

enum { ENDS = 20 /* seconds */ };

static h_server *source, *target;
static bool may_mount;

static void look_for_rights(void)
{
    char *folder = h_path("probe");

    may_mount = mkdir(folder, 0700) == 0 && h_mount_small(folder, 1);
    if (may_mount)
        h_unmount(folder);
    else
        fprintf(stderr, "left out, without the right to mount: full and read-only disks\n");
    free(folder);
}

static void start_servers(const char *family)
{
    h_server_start_pair(&source, &target, family, NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    look_for_rights();
}

static void start_mariadb(void)
{
    start_servers("mariadb");
}

static void start_mysql(void)
{
    start_servers("mysql");
}

static void stop_servers(void)
{
    h_server_free(source);
    h_server_free(target);
}

/* Our programs are to be bound by permissions, as root's are not. */
static void be_ordinary(void)
{
    if (prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0)
        ck_assert_int_ne(geteuid(), 0);
}

/* The job's directory is a folder on a small disk. */
static cell begin(const char *name, cell_stage stage)
{
    char *db = h_format("%s_%s_%s", source->family, name, cell_stages[stage]), *disk = h_path("disk");
    cell c = {.source = source, .target = target, .rows = stage == COPYING ? 1500 : 500};

    be_ordinary();
    ck_assert(mkdir(disk, 0700) == 0 && (!may_mount || h_mount_small(disk, 32)));
    c.dir = h_format("%s/job", disk);
    cell_begin(&c, db, stage);
    free(disk);
    free(db);
    return c;
}

static void finish(cell *c)
{
    char *disk = h_format("%.*s", (int)(strlen(c->dir) - strlen("/job")), c->dir);

    cell_cut_over(c);
    cell_free(c);
    if (may_mount)
        h_unmount(disk);
    free(disk);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

/* No page more than it has: whatever it needs next it does not get. It may get along with what it has. */
static void no_memory(cell *c)
{
    struct rlimit none = {1 << 20, 1 << 20};

    if (prlimit(c->run->pid, RLIMIT_AS, &none, NULL) == 0 && h_wait(c->run, 5) < 0)
        h_signal(c->run, SIGKILL);
}

/* Also what the job gives back, old files of its own. */
static void fill_disk(cell *c)
{
    double until = h_now() + ENDS;

    do {
        cell_shell("cat /dev/zero >>%s/../ballast 2>/dev/null || true", c->dir);
        h_sleep(0.02);
    } while (h_wait(c->run, 0) < 0 && h_now() < until);
}

static void empty_disk(cell *c)
{
    cell_shell("rm %s/../ballast", c->dir);
}

static void mount_read_only(cell *c)
{
    ck_assert(h_mount_read_only(c->dir));
}

static void unmount(cell *c)
{
    h_unmount(c->dir);
}

static void take_right_to_write(cell *c)
{
    ck_assert_int_eq(chmod(c->dir, 0500), 0);
}

static void give_right_to_write(cell *c)
{
    ck_assert_int_eq(chmod(c->dir, 0700), 0);
}

/* The job is writing there. */
static void delete_directory(cell *c)
{
    cell_shell("until rm -rf %s 2>/dev/null; do :; done", c->dir);
}

static const struct fault {
    const char *name;
    void (*happens)(cell *c);
    void (*mended)(cell *c); /* NULL: nothing to mend, and it comes when the job has started; else it is there before */
    int code, start_code;    /* of its end, and where it starts so; 0: any but a good one */
    const char *said;        /* then; NULL: whatever */
    bool mounts;
} faults[] = {
    {"memory", no_memory, NULL, 0, 0, NULL, false},
    {"full", fill_disk, empty_disk, 4, 4, "No space left on device", true},
    {"no_right", take_right_to_write, give_right_to_write, 4, 4, "Permission denied", false},
    {"deleted", delete_directory, NULL, 4, 4, "No such file or directory", false},
    {"read_only", mount_read_only, unmount, 4, 1, "Read-only file system", true},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

/* A file system with files that are open for writing can't become read-only. */
static bool makes_sense(const struct fault *f, cell_stage stage)
{
    return (may_mount || !f->mounts) && (stage == STARTING || f->happens != mount_read_only);
}

static void come_about(cell *c, const struct fault *f, cell_stage stage)
{
    bool before = stage == STARTING && f->mended != NULL;

    fprintf(stderr, "%s %s\n", f->name, cell_stages[stage]);
    if (!before)
        cell_reach(c, stage);
    else
        cell_stop(c);
    f->happens(c);
    c->stage = stage;
    if (before)
        cell_run(c);
}

/* The stop that is under way, and the cutover, may be quicker. True when it ended well. */
static bool ends(cell *c, const struct fault *f)
{
    int code = h_wait(c->run, ENDS), wanted = c->stage == STARTING ? f->start_code : f->code;

    if ((c->stage == STOPPING && code == 3) || (c->stage == CUTOVER && code == 0))
        return code == 0;
    cell_assert(c, code > 0 && (wanted == 0 || code == wanted), "%s: exit code %d", c->db, code);
    if (f->said != NULL)
        cell_expect_said(c, f->said);
    return false;
}

static void happen(cell *c, const struct fault *f, cell_stage stage)
{
    bool well;

    if (!makes_sense(f, stage))
        return;
    come_about(c, f, stage);
    well = ends(c, f);
    cell_unblock(c);
    if (f->mended != NULL)
        f->mended(c);
    if (well)
        return;
    if (f->happens == delete_directory && stage == ALTERING)
        cell_begin_anew(c);
    cell_run(c);
    if (stage == CUTOVER)
        cell_ask_again(c);
    else
        cell_beat(c, FOREVER);
}

static void a_job_each(cell_stage stage, unsigned first, unsigned step)
{
    for (unsigned i = first; i < FAULTS; i += step) {
        cell c;

        if (!makes_sense(&faults[i], stage) || !is_wanted_fault(faults[i].name))
            continue;
        c = begin(faults[i].name, stage);
        h_sleep(0.3);
        happen(&c, &faults[i], stage);
        finish(&c);
    }
}

/* Another fault at each stage, and in each family. */
static void one_job_for_all(void)
{
    const unsigned first = strcmp(source->family, "mysql") == 0 ? 2 : 0, everywhere = 4;
    cell c = begin("all", COPYING);

    for (cell_stage stage = COPYING; stage <= IDLE; stage++)
        happen(&c, &faults[(first + stage) % everywhere], stage);
    happen(&c, &faults[everywhere], STARTING);
    finish(&c);
    a_job_each(CUTOVER, 1 + first, FAULTS);
}

START_TEST(machine__a_job_stops_and_goes_on)
{
    if (whole_matrix())
        for (cell_stage stage = COPYING; stage < STAGES; stage++)
            if (is_wanted(stage))
                a_job_each(stage, 0, 1);
    if (!whole_matrix())
        one_job_for_all();
}
END_TEST

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Another library first is more than a sanitizer's own allows. */
static bool use_shim(const char *file)
{
    const char *program = getenv("GFREPLICA");
    char *shim = realpath("build/tests/fault/clock_shim.so", NULL);
    bool possible =
        shim != NULL && (program == NULL || (strstr(program, "asan") == NULL && strstr(program, "tsan") == NULL));

    if (possible) {
        setenv("GFREPLICA_TEST_CLOCK", file, 1);
        setenv("LD_PRELOAD", shim, 1);
    } else {
        fprintf(stderr, "left out: the clock's shim is not for this build\n");
    }
    free(shim);
    return possible;
}

/* By a day and by half a century, both ways, and back. */
static void jump(const char *file, unsigned far)
{
    static const long jumps[][2] = {{86400, -86400}, {-1500000000, 1500000000}};

    for (unsigned i = 0; i < 2; i++) {
        cell_shell("echo %ld >%s", jumps[far][i], file);
        h_sleep(0.7);
    }
    cell_shell("echo 0 >%s", file);
}

/* Only what is shown may care. */
START_TEST(machine__a_clock_that_jumps_is_not_noticed)
{
    char *file = h_path("clock");
    cell c;

    if (!use_shim(file))
        return;
    c = begin("clock", COPYING);
    for (cell_stage stage = COPYING; stage < STAGES; stage++) {
        if (!is_wanted(stage))
            continue;
        cell_reach(&c, stage);
        jump(file, stage % 2);
        cell_assert(&c, cell_count_log(&c, "trying again") == 0, "a clock that jumps broke a link");
        cell_go_on(&c, false);
    }
    finish(&c);
    unsetenv("LD_PRELOAD");
    free(file);
}
END_TEST

static void add_family(Suite *s, const char *family, SFun start)
{
    TCase *t = tcase_create(family);

    tcase_set_timeout(t, 3600);
    tcase_add_unchecked_fixture(t, start, stop_servers);
    tcase_add_test(t, machine__a_job_stops_and_goes_on);
    tcase_add_test(t, machine__a_clock_that_jumps_is_not_noticed);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("machine");

    add_family(s, "mariadb", start_mariadb);
    add_family(s, "mysql", start_mysql);
    return run_suite(s);
}

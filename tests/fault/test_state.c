/* SPDX-License-Identifier: MIT */
/*
 * test_state.c - what happens to our checkpoint directory, our memory and our clock.
 *
 * With the marker on the target the directory's loss costs nothing; what stops the run says so and leaves a job that
 * the same command goes on with. Disks that are full or read-only are small file systems of the test's own, for which
 * it has to be root: otherwise those tests say that they were left out.
 */
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/cell.h"
#include "run_suite.h"

static h_server *source, *target;

static void start_servers(void)
{
    h_server_start_pair(&source, &target, "mariadb", NULL, NULL);
}

static void stop_servers(void)
{
    h_server_free(source);
    h_server_free(target);
}

static cell begin(const char *name)
{
    cell c = {.source = source, .target = target, .rows = 500};

    cell_begin(&c, name, STREAMING);
    h_sleep(2.5); /* some generations of the checkpoint */
    return c;
}

static void finish(cell *c)
{
    cell_beat(c, FOREVER);
    cell_cut_over(c);
    cell_free(c);
}

static void shell(const char *fmt, ...) H_PRINTF(1, 2);

static void shell(const char *fmt, ...)
{
    char *command = NULL;
    va_list args;

    va_start(args, fmt);
    ck_assert_int_gt(vasprintf(&command, fmt, args), 0);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
    free(command);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* Shell, in the directory; $new is the newest checkpoint. */
static const struct damage {
    const char *name, *how, *said;
} damages[] = {
    {"cut", "truncate -s 100 $new", "is refused"},
    {"half", "truncate -s $(($(stat -c %s $new) / 2)) $new", "is refused"},
    {"empty", ": >$new", "is refused"},
    {"bit", "printf '\\377' | dd of=$new bs=1 seek=200 conv=notrunc status=none", "is refused"},
    {"foreign", "echo 'somebody elses file' >$new", "is refused"},
    {"torn_tmp", "head -c 50 $new >checkpoint-999.msgpack.tmp", "going on"},
    {"none", "rm -f checkpoint-*", "the target knows job"},
    {"no_directory", "rm -rf $PWD", "the target knows job"},
};
enum { DAMAGES = sizeof damages / sizeof damages[0] };

START_TEST(files__damage_is_noticed_and_costs_nothing)
{
    cell c = begin("files");

    for (unsigned i = 0; i < DAMAGES; i++) {
        const char *said = damages[i].said;

        h_signal(c.run, SIGKILL);
        cell_expect_exit(&c, 137, 10);
        shell("cd %s && new=$(ls -t checkpoint-*.msgpack | head -n 1) && %s", c.dir, damages[i].how);
        cell_run(&c);
        cell_beat(&c, FOREVER);
        if (strcmp(damages[i].name, "torn_tmp") != 0)
            cell_expect_said(&c, said);
        h_sleep(2.5);
    }
    finish(&c);
}
END_TEST

/* Nothing whole is left: that is said, and not taken for a new job. Without the files the marker alone is enough. */
START_TEST(files__all_damaged_stop_and_can_be_removed)
{
    cell c = begin("alldamaged");

    h_signal(c.run, SIGKILL);
    cell_expect_exit(&c, 137, 10);
    shell("truncate -s 100 %s/checkpoint-*.msgpack", c.dir);
    cell_run(&c);
    cell_expect_exit(&c, 4, 20);
    cell_expect_said(&c, "is whole");
    shell("rm %s/checkpoint-*.msgpack", c.dir);
    cell_run(&c);
    finish(&c);
}
END_TEST

/* A checkpoint of another job in our directory: refused before anything is touched. */
START_TEST(files__of_another_job_are_refused)
{
    cell c = begin("mine"), other = begin("other");

    h_signal(c.run, SIGTERM);
    cell_expect_exit(&c, 3, 10);
    h_signal(other.run, SIGTERM);
    cell_expect_exit(&other, 3, 10);
    shell("mkdir %s.kept && mv %s/checkpoint-* %s.kept && cp %s/checkpoint-* %s", c.dir, c.dir, c.dir, other.dir,
          c.dir);
    cell_run(&c);
    cell_assert(&c, h_wait(c.run, 30) > 0 && h_wait(c.run, 0) != 3, "not refused");
    shell("rm %s/checkpoint-* && mv %s.kept/checkpoint-* %s", c.dir, c.dir, c.dir);
    cell_run(&c);
    finish(&c);
    cell_run(&other);
    finish(&other);
}
END_TEST

/* The directory goes while the job runs. It can't remember any more, so it stops, and says so. */
START_TEST(files__directory_deleted_under_a_running_job)
{
    cell c = begin("deleted");

    shell("rm -rf %s", c.dir);
    cell_expect_exit(&c, 4, 20);
    cell_expect_said(&c, "No such file or directory");
    cell_run(&c);
    finish(&c);
}
END_TEST

/* --- disks -------------------------------------------------------------------------------------------------------- */

static char *mounted; /* what an end of the test, whichever, has to take down */

static void unmount(void)
{
    if (mounted != NULL)
        (void)umount2(mounted, MNT_DETACH);
    mounted = NULL;
}

/* A file system of 2 MiB there; false when we may not make one. */
static bool mount_small(char *dir)
{
    if (mkdir(dir, 0700) == 0 && mount("none", dir, "tmpfs", 0, "size=2m") == 0) {
        mounted = dir;
        atexit(unmount);
        return true;
    }
    rmdir(dir);
    fprintf(stderr, "left out: no right to mount a file system of our own\n");
    return false;
}

static cell begin_at(const char *name, char *dir)
{
    cell c = begin(name);

    /* Move to the small disk: a directory is found by its path alone. */
    h_signal(c.run, SIGTERM);
    cell_expect_exit(&c, 3, 10);
    shell("cp %s/checkpoint-*.msgpack %s", c.dir, dir);
    c.argv[1] = dir;
    free(c.dir);
    c.dir = h_format("%s", dir);
    cell_run(&c);
    cell_beat(&c, FOREVER);
    return c;
}

START_TEST(disk__full_stops_resumable)
{
    char *dir = h_path("small");
    cell c;

    if (!mount_small(dir))
        return;
    c = begin_at("full", dir);
    shell("cat /dev/zero >%s/ballast 2>/dev/null || true", dir);
    cell_expect_exit(&c, 4, 30);
    cell_expect_said(&c, "No space left");
    cell_run(&c); /* still full: it says so again */
    cell_assert(&c, h_wait(c.run, 30) > 0, "runs on a full disk");
    shell("rm %s/ballast", dir);
    cell_run(&c);
    finish(&c);
    unmount();
    free(dir);
}
END_TEST

START_TEST(disk__read_only_is_refused)
{
    char *dir = h_path("readonly");
    cell c;

    if (!mount_small(dir))
        return;
    c = begin_at("readonly", dir);
    h_signal(c.run, SIGTERM);
    cell_expect_exit(&c, 3, 10);
    ck_assert_int_eq(mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    h_run_free(c.run);
    c.run = h_start_argv(c.argv);
    cell_assert(&c, h_wait(c.run, 30) > 0, "not refused");
    cell_expect_said(&c, "Read-only file system");
    ck_assert_int_eq(mount("none", dir, NULL, MS_REMOUNT, NULL), 0);
    cell_run(&c);
    finish(&c);
    unmount();
    free(dir);
}
END_TEST

/* --- memory and time ---------------------------------------------------------------------------------------------- */

/* No page more than it has: whatever it needs next it does not get. It ends, somehow, and nothing is lost. */
START_TEST(memory__none_left)
{
    cell c = begin("memory");

    for (int i = 0; i < 3; i++) {
        struct rlimit none = {1 << 20, 1 << 20};

        ck_assert_int_eq(prlimit(c.run->pid, RLIMIT_AS, &none, NULL), 0);
        if (h_wait(c.run, 8) < 0) /* it got along with what it had */
            h_signal(c.run, SIGKILL);
        cell_assert(&c, h_wait(c.run, 10) > 0, "ended well");
        cell_run(&c);
        cell_beat(&c, FOREVER);
    }
    finish(&c);
}
END_TEST

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

/* The wall clock jumps, by a day and by a century, both ways: only what is shown may care. */
START_TEST(clock__jumps_are_not_noticed)
{
    static const char *const jumps[] = {"86400", "-86400", "0", "-1500000000", "1500000000"};
    char *file = h_path("clock");
    cell c;

    if (!use_shim(file))
        return;
    c = begin("clock");
    for (unsigned i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        shell("echo %s >%s", jumps[i], file);
        cell_beat(&c, 15);
        h_sleep(1.5);
        cell_assert(&c, cell_count_log(&c, "trying again") == 0, "a clock that jumps broke a link");
        cell_command(&c, "status");
    }
    finish(&c);
    unsetenv("LD_PRELOAD");
    free(file);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("state");
    TCase *t = tcase_create("state");

    tcase_set_timeout(t, 600);
    tcase_add_unchecked_fixture(t, start_servers, stop_servers);
    tcase_add_test(t, files__damage_is_noticed_and_costs_nothing);
    tcase_add_test(t, files__all_damaged_stop_and_can_be_removed);
    tcase_add_test(t, files__of_another_job_are_refused);
    tcase_add_test(t, files__directory_deleted_under_a_running_job);
    tcase_add_test(t, disk__full_stops_resumable);
    tcase_add_test(t, disk__read_only_is_refused);
    tcase_add_test(t, memory__none_left);
    tcase_add_test(t, clock__jumps_are_not_noticed);
    suite_add_tcase(s, t);
    return run_suite(s);
}

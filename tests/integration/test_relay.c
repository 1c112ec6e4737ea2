/* SPDX-License-Identifier: MIT */
/*
 * test_relay.c - what has been received outlives a target that is away, our own death, and a source that purges its
 * binlog meanwhile; and what a full relay does.
 */
#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/harness.h"
#include "integration/scene.h"
#include "run_suite.h"

enum { ROWS = 100 };

static const struct variant {
    const char *family, *source_options;
} variants[] = {
    {"mariadb", NULL},
    {"mysql", NULL},
    {"mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF"},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

typedef struct {
    h_server *source, *target;
    char *dir, *conf;
    int variant;
} job;

static job begin(int variant)
{
    job j = {.variant = variant, .dir = h_path("checkpoints")};

    h_server_start_pair(&j.source, &j.target, variants[variant].family, variants[variant].source_options, NULL);
    h_sql(j.source,
          "CREATE DATABASE d; CREATE DATABASE other; CREATE TABLE other.t (id INT PRIMARY KEY);"
          "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(4000)); INSERT INTO d.t VALUES (1, 'a'), (2, 'b')");
    j.conf = h_config(j.source, j.target, "d", NULL);
    return j;
}

static void end(job *j)
{
    h_server_free(j->source);
    h_server_free(j->target);
    free(j->dir);
    free(j->conf);
}

static h_run *follow(job *j)
{
    h_run *run = h_start("--checkpoint-dir", j->dir, j->conf);

    if (!h_wait_log(run, "stage streaming", FOREVER))
        tell(run);
    return run;
}

static void move_to_end(job *j)
{
    h_run *run = follow(j);

    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", j->dir), 0);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(j->source, j->target, "d"), 0);
    h_run_free(run);
}

static char *binlog_end(job *j, char **file)
{
    MYSQL *db = h_connect(j->source);
    MYSQL_RES *res;
    MYSQL_ROW row;
    char *place;

    if (mysql_query(db, j->variant == 0 ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS") != 0)
        h_fail("binlog's end: %s", mysql_error(db));
    res = mysql_store_result(db);
    row = mysql_fetch_row(res);
    place = h_format("%s:%s", row[0], row[1]);
    if (file != NULL)
        *file = h_format("%s", row[0]);
    mysql_free_result(res);
    mysql_close(db);
    return place;
}

static json_t *status(job *j)
{
    json_t *root;
    char *text;

    ck_assert_int_eq(h_exec(&text, NULL, 20, "status", "--json", "--checkpoint-dir", j->dir), 0);
    root = json_loads(text, 0, NULL);
    ck_assert_msg(root != NULL, "%s", text);
    free(text);
    return root;
}

static bool is_at(job *j, const char *key, const char *place)
{
    json_t *root = status(j);
    const char *at = json_string_value(json_object_get(root, key));
    bool same = at != NULL && strcmp(at, place) == 0;

    json_decref(root);
    return same;
}

static void wait_at(job *j, const char *key)
{
    double deadline = h_now() + FOREVER;

    for (;;) {
        char *place = binlog_end(j, NULL); /* MariaDB adds a checkpoint of its own some time after a rotation */
        bool there = is_at(j, key, place);

        ck_assert_msg(there || h_now() < deadline, "%s is not %s", key, place);
        free(place);
        if (there)
            return;
        h_sleep(0.3);
    }
}

static void write_rows(job *j, int first)
{
    for (int i = 0; i < ROWS; i++) {
        h_sql(j->source, "INSERT INTO d.t VALUES (%d, REPEAT('x', %d)); UPDATE d.t SET v = '%d' WHERE id = %d",
              first + i, i * 7 % 4000, i, 1 + i % 2);
        if (i % 40 == 20)
            h_sql(j->source, "FLUSH BINARY LOGS");
    }
    h_sql(j->source, "DELETE FROM d.t WHERE id = %d; FLUSH BINARY LOGS", first);
}

/* Only the file that is being written stays. A dump that still reads an older one, or its ghost, keeps that for a while. */
static void purge(job *j)
{
    double deadline = h_now() + FOREVER;

    for (;;) {
        char *file, *oldest, *place = binlog_end(j, &file);
        bool done;

        h_sql(j->source, "PURGE BINARY LOGS TO '%s'", file);
        oldest = h_scalar(j->source, "SHOW BINARY LOGS");
        done = strcmp(oldest, file) == 0;
        free(file);
        free(oldest);
        free(place);
        if (done)
            return;
        ck_assert(h_now() < deadline);
        h_sleep(0.3);
    }
}

static void stop(h_run *run)
{
    h_signal(run, SIGTERM);
    ends_with(run, 3, 20);
    h_run_free(run);
}

static unsigned long long relay_bytes(job *j)
{
    DIR *d = opendir(j->dir);
    unsigned long long sum = 0;
    struct dirent *e;
    struct stat st;

    ck_assert_ptr_nonnull(d);
    while ((e = readdir(d)) != NULL) {
        char *path = h_format("%s/%s", j->dir, e->d_name);

        if (strncmp(e->d_name, "relay-", 6) == 0 && stat(path, &st) == 0) {
            ck_assert_int_eq(st.st_mode & 07777, 0600);
            sum += (unsigned long long)st.st_size;
        }
        free(path);
    }
    closedir(d);
    return sum;
}

/* ---- tests ---- */

START_TEST(relay__outlives_target_process_and_binlog)
{
    job j = begin(_i);
    h_run *run = follow(&j);

    wait_at(&j, "Position");
    h_server_kill(j.target);
    write_rows(&j, 10);
    wait_at(&j, "ReceivedPosition");
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    purge(&j);

    /* Started while the target is still away: it goes on receiving. */
    run = h_start("--checkpoint-dir", j.dir, j.conf);
    ck_assert(h_wait_log(run, "trying again", FOREVER));
    write_rows(&j, 1000);
    wait_at(&j, "ReceivedPosition");
    purge(&j);
    h_server_restart(j.target, NULL);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    wait_at(&j, "Position");
    stop(run);
    move_to_end(&j);
    ck_assert_uint_eq(relay_bytes(&j), 0);
    end(&j);
}
END_TEST

START_TEST(receive__pulls_without_a_target)
{
    job j = begin(_i);
    h_run *run = follow(&j);
    char *text;

    wait_at(&j, "Position");
    stop(run);
    h_server_stop(j.target);
    run = h_start("receive", "--checkpoint-dir", j.dir, j.conf);
    ck_assert(h_wait_log(run, "receiving only", FOREVER));
    write_rows(&j, 10);
    wait_at(&j, "ReceivedPosition");
    ck_assert_int_eq(h_exec(&text, NULL, 20, "status", "--checkpoint-dir", j.dir), 0);
    ck_assert_msg(strstr(text, "receiving only") != NULL, "%s", text);
    free(text);
    stop(run);
    purge(&j);
    ck_assert_int_eq(h_exec(&text, NULL, 20, "status", "--checkpoint-dir", j.dir, j.conf), 0);
    ck_assert_msg(strstr(text, "not running") != NULL && strstr(text, "needed next") != NULL, "%s", text);
    free(text);
    h_server_restart(j.target, NULL);
    move_to_end(&j);
    end(&j);
}
END_TEST

START_TEST(receive__wants_a_job_that_has_begun)
{
    job j = begin(_i);
    char *err;

    ck_assert_int_eq(h_exec(NULL, &err, 20, "receive", "--checkpoint-dir", j.dir, j.conf), 2);
    ck_assert_msg(strstr(err, "holds no job that has begun") != NULL, "%s", err);
    free(err);
    end(&j);
}
END_TEST

/* Paused, so that nothing is applied; more than the limit is written. */
START_TEST(relay__full_waits_and_says_so)
{
    job j = begin(_i);
    h_run *run = h_start("--checkpoint-dir", j.dir, "--relay-limit", "1M", j.conf);
    json_t *root;
    char *text;

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "pause", "--checkpoint-dir", j.dir), 0);
    for (int i = 0; i < 100; i++)
        h_sql(j.source, "REPLACE INTO d.t SELECT %d + id, REPEAT('%d', 3000) FROM d.t LIMIT 20", 10 + 7 * i, i % 10);
    ck_assert(h_wait_log(run, "the relay is full", FOREVER));
    h_sleep(1.5);
    ck_assert_uint_le(relay_bytes(&j), 1 << 20);
    root = status(&j);
    ck_assert(json_is_true(json_object_get(root, "RelayFull")));
    json_decref(root);
    ck_assert_int_eq(h_exec(&text, NULL, 20, "status", "--checkpoint-dir", j.dir), 0);
    ck_assert_msg(strstr(text, "full") != NULL && strstr(text, "needed next") != NULL, "%s", text);
    free(text);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "resume", "--checkpoint-dir", j.dir), 0);
    ck_assert(h_wait_log(run, "has room again", FOREVER));
    wait_at(&j, "Position");
    stop(run);
    move_to_end(&j);
    end(&j);
}
END_TEST

/* Nothing of ours changes, and still the place moves: what the source has to keep is not the whole history. */
START_TEST(position__advances_without_changes_of_ours)
{
    job j = begin(_i);
    h_run *run = follow(&j);

    for (int i = 0; i < 20; i++)
        h_sql(j.source, "INSERT INTO other.t VALUES (%d)", i);
    h_sql(j.source, "FLUSH BINARY LOGS; INSERT INTO other.t VALUES (100)");
    wait_at(&j, "Position");
    h_sleep(1.5); /* and the checkpoint's too */
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    wait_at(&j, "Position");
    purge(&j);
    move_to_end(&j);
    end(&j);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay");
    TCase *tc = tcase_create("relay");

    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, relay__outlives_target_process_and_binlog, 0, VARIANTS);
    tcase_add_loop_test(tc, receive__pulls_without_a_target, 0, VARIANTS);
    tcase_add_loop_test(tc, receive__wants_a_job_that_has_begun, 0, 1);
    tcase_add_loop_test(tc, relay__full_waits_and_says_so, 0, VARIANTS);
    tcase_add_loop_test(tc, position__advances_without_changes_of_ours, 0, VARIANTS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

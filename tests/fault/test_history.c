/* SPDX-License-Identifier: MIT */
/*
 * test_history.c - the source becomes another server or loses its binlogs; the target loses what we put there; at
 * every stage of a job.
 *
 * A server with the same transactions is gone on with. Where going on would be wrong the run stops before any harm, and
 * says why. A job that is stopping, or whose cutover is under way, may be quicker than what happens: then the next start
 * finds it, or nobody has to.
 */
#include <sys/stat.h>

#include "fault/cell.h"
#include "run_suite.h"

static h_server *source, *target;
static h_proxy *to_source;

static bool is_maria(void)
{
    return strcmp(source->family, "mariadb") == 0;
}

static void start_family(const char *family)
{
    h_server_start_pair(&source, &target, family, "--log-slave-updates=ON", NULL);
}

static void start_mariadb(void)
{
    start_family("mariadb");
}

static void start_mysql(void)
{
    start_family("mysql");
}

static void stop_servers(void)
{
    h_server_free(source);
    h_server_free(target);
}

/* Of each test: a thread of the runner's would not be in its fork. */
static void start_proxy(void)
{
    to_source = h_proxy_start(source);
}

static void stop_proxy(void)
{
    h_proxy_free(to_source);
}

static void begin_with(cell *c, const char *name, cell_stage stage, const char *flag)
{
    char *db = h_format("%s_%s", name, cell_stages[stage]);

    *c = (cell){.source = source,
                .target = target,
                .to_source = to_source,
                .rows = stage == COPYING ? 1500 : 300,
                .flags = {flag}};
    cell_begin(c, db, stage);
    cell_beat(c, FOREVER);
    free(db);
}

static void begin(cell *c, const char *name, cell_stage stage)
{
    begin_with(c, name, stage, NULL);
}

/* Ends with this code and these words, now or when it is started again. False when it was done before. */
static bool is_refused(cell *c, int code, const char *said)
{
    int got;

    cell_unblock(c);
    got = h_wait(c->run, FOREVER);
    if (c->stage == CUTOVER && got == 0)
        return false;
    if (c->stage == STOPPING && got == 3) {
        cell_run(c);
        got = h_wait(c->run, FOREVER);
    }
    cell_assert(c, got == code, "%s: exit code %d, not %d", c->db, got, code);
    cell_expect_said(c, said);
    return true;
}

/* Started again it ends with this code and these words. */
static void expect_refusal(cell *c, int code, const char *said)
{
    cell_run(c);
    cell_expect_exit(c, code, 60);
    cell_expect_said(c, said);
}

static void finish(cell *c)
{
    if (c->stage != CUTOVER)
        cell_beat(c, FOREVER);
    cell_cut_over(c);
    cell_free(c);
}

/* Another process: what it was done to is behind it for good. */
static void die_and_finish(cell *c)
{
    if (c->stage != CUTOVER) {
        cell_kill(c);
        cell_run(c);
    }
    finish(c);
}

/* --- failover of the source --------------------------------------------------------------------------------------- */

/* `replica` gets all that `primary` has. */
static void follow(h_server *replica, const h_server *primary)
{
    if (is_maria())
        h_sql(replica,
              "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%u, MASTER_USER='root', MASTER_USE_GTID=slave_pos;"
              "START SLAVE",
              primary->port);
    else
        h_sql(replica,
              "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=%u, SOURCE_USER='root',"
              " SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA",
              primary->port);
}

static void stop_following(h_server *replica)
{
    h_sql(replica, is_maria() ? "STOP SLAVE; RESET SLAVE ALL" : "STOP REPLICA; RESET REPLICA ALL");
}

/* All that was written, and nothing more, is on the replica too, which becomes a server of its own. */
static void promote(h_server *replica, cell *c)
{
    double until = h_now() + FOREVER;

    cell_stop_load(c);
    h_sql(c->source, "INSERT INTO %s.beat VALUES (%u)", c->db, ++c->beats);
    while (h_sql_try(replica, NULL, "SELECT 1 FROM %s.beat LIMIT 0", c->db) != 0 ||
           h_number(replica, "SELECT COUNT(*) FROM %s.beat WHERE id=%u", c->db, c->beats) == 0) {
        ck_assert(h_now() < until);
        h_sleep(0.1);
    }
    stop_following(replica);
}

/* What is over soon has to find the replica promoted. */
static void reach_promoted(cell *c, cell_stage stage, h_server *replica)
{
    bool soon = stage == STARTING || stage == CUTOVER;

    if (soon)
        promote(replica, c);
    cell_reach(c, stage);
    if (!soon)
        promote(replica, c);
}

START_TEST(history__a_source_with_the_same_gtids_is_gone_on_with)
{
    h_server *replica = h_server_start(source->family, "--log-slave-updates=ON");
    cell c;

    follow(replica, source);
    begin(&c, "failover", HERE);
    reach_promoted(&c, HERE, replica);
    h_server_kill(source);
    h_proxy_retarget(to_source, replica);
    c.source = replica;
    cell_go_on(&c, false);
    die_and_finish(&c);
    h_server_free(replica);
    h_server_restart(source, NULL);
}
END_TEST

/* A server that was built anew under the old one's id, and has counted further than we have come. */
static void reach_our_numbers(h_server *stranger, const cell *c)
{
    h_sql(stranger, "SET SESSION server_id=%u, SESSION gtid_seq_no=100000000; INSERT INTO %s.beat VALUES (1000000)",
          (unsigned)h_number(source, "SELECT @@server_id"), c->db);
}

START_TEST(history__a_source_without_our_gtids_is_refused)
{
    h_server *stranger;
    cell c;

    stranger = h_server_start(source->family, NULL);
    begin(&c, "stranger", HERE);
    h_workload_schema(stranger, c.db);
    h_sql(stranger, "CREATE TABLE %s.beat (id INT PRIMARY KEY)", c.db);
    cell_reach(&c, HERE);
    h_proxy_retarget(to_source, stranger);
    if (is_refused(&c, 5, "transactions")) {
        expect_refusal(&c, 5, "transactions");
        if (is_maria()) {
            reach_our_numbers(stranger, &c);
            expect_refusal(&c, 5, "missing the GTID");
            expect_refusal(&c, 5, "another server"); /* by now the relay stands in the new one's first file */
        }
        h_proxy_retarget(to_source, source);
        cell_run(&c);        /* no harm was done: with its own source it goes on */
        c.stage = STREAMING; /* a cutover that was asked for has been called off */
    }
    finish(&c);
    h_server_free(stranger);
}
END_TEST

/* --- the source's binlogs ----------------------------------------------------------------------------------------- */

static void reset_binlogs(void)
{
    h_sql(source, is_maria() ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS");
}

/* What the dump thread of a process that has gone still holds is kept for a moment. */
static void purge_all(void)
{
    double until = h_now() + FOREVER;
    char *newest, *oldest = NULL;

    h_sql(source, "FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    newest = h_scalar(source, is_maria() ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
    do {
        ck_assert(h_now() < until);
        free(oldest);
        h_sql(source, "PURGE BINARY LOGS TO '%s'", newest);
        oldest = h_scalar(source, "SHOW BINARY LOGS");
        h_sleep(0.2);
    } while (strcmp(oldest, newest) != 0);
    free(oldest);
    free(newest);
}

static void clear_target(cell *c)
{
    cell_stop_load(c);
    cell_free(c);
}

/* An event's length becomes more than the file has. */
static void patch(const char *path, off_t offset)
{
    FILE *f = fopen(path, "r+e");

    ck_assert(f != NULL && fseek(f, (long)offset, SEEK_SET) == 0 && fwrite("\xff\xff\x0f", 3, 1, f) == 1 &&
              fclose(f) == 0);
}

/* The path of the newest binlog, on disk. */
static char *newest_binlog(void)
{
    char *command = h_format("ls %s/%s/data/binlog.0* | tail -n 1", h_run_dir(), source->name), line[512];
    FILE *pipe = popen(command, "re");

    ck_assert(pipe != NULL && fgets(line, sizeof line, pipe) != NULL);
    pclose(pipe);
    free(command);
    line[strcspn(line, "\n")] = '\0';
    return h_format("%s", line);
}

/* What a killed server leaves when it was writing: the first bytes of an event of a thousand. */
static void tear(void)
{
    static const unsigned char head[60] = {0, 0, 0, 0, 30, 1, 0, 0, 0, 0xe8, 3};
    char *path;
    FILE *f;

    h_server_kill(source);
    path = newest_binlog();
    f = fopen(path, "ae");
    ck_assert(f != NULL && fwrite(head, sizeof head, 1, f) == 1 && fclose(f) == 0);
    free(path);
    h_server_restart(source, NULL);
}

/* The server has rolled that event's transaction back, so nothing is missing behind it. */
START_TEST(history__a_binlog_that_ends_in_the_middle_of_an_event)
{
    cell c;

    begin(&c, "torn", STREAMING);
    tear(); /* under load */
    cell_beat(&c, FOREVER);
    cell_stop(&c);
    tear(); /* while we are away */
    cell_run(&c);
    cell_beat(&c, FOREVER);
    tear(); /* and nothing has been written since */
    cell_assert(&c, !is_maria() || h_wait_log(c.run, "in the middle of an event, as a crash leaves it", FOREVER),
                "%s: the torn end was not told", c.db);
    finish(&c);
}
END_TEST

/* The same error, but whole transactions are behind the place. */
START_TEST(history__a_binlog_damaged_in_its_middle_stops_the_run)
{
    struct stat end;
    char *path;
    cell c;

    if (!is_maria()) /* its own checks find that, and say so in other words */
        return;
    h_sql(source, "SET GLOBAL binlog_checksum=NONE");
    begin(&c, "damaged", STREAMING);
    cell_stop_load(&c);
    cell_beat(&c, FOREVER);
    cell_stop(&c);
    path = newest_binlog();
    ck_assert_int_eq(stat(path, &end), 0);
    h_sql(source, "INSERT INTO %s.beat VALUES (1000); FLUSH BINARY LOGS; INSERT INTO %s.beat VALUES (1001)", c.db,
          c.db);
    patch(path, end.st_size + 9);
    cell_run(&c);
    cell_expect_exit(&c, 4, 60);
    cell_expect_said(&c, "truncated in the middle");
    clear_target(&c);
    h_sql(source, "SET GLOBAL binlog_checksum=CRC32");
    purge_all();
    free(path);
}
END_TEST

START_TEST(history__reset_binlogs_stop_the_run)
{
    cell c;

    begin(&c, "reset", HERE);
    if (HERE == CUTOVER)
        cell_stop_load(&c);
    cell_reach(&c, HERE);
    cell_stop_load(&c);
    reset_binlogs();
    h_sql(source, "INSERT INTO %s.beat VALUES (1000)", c.db);
    if (is_refused(&c, 5, "source"))
        expect_refusal(&c, 5, "source");
    clear_target(&c);
}
END_TEST

/* By a job that was killed, whose relay goes on no further. */
START_TEST(history__purged_binlogs_that_are_needed_stop_the_run)
{
    cell c;

    begin(&c, "purged", HERE);
    cell_reach(&c, HERE);
    if (h_wait(c.run, 0) < 0)
        h_signal(c.run, SIGKILL);
    h_sleep(1);
    cell_unblock(&c);
    cell_stop_load(&c);
    h_sql(source, "INSERT INTO %s.beat VALUES (1000)", c.db);
    purge_all();
    if (h_wait(c.run, 0) != 0)
        expect_refusal(&c, 5, "no longer has");
    clear_target(&c);
}
END_TEST

/* --- a replica with our server id --------------------------------------------------------------------------------- */

/* Two of one identity would take the dump from each other: the second one is refused, and the first one lives. */
START_TEST(history__a_second_replica_of_our_server_id_is_refused)
{
    cell c = {.source = source, .target = target, .to_source = to_source, .flags = {"--server-id=777001"}}, other = c;
    char *db = h_format("first_%s", cell_stages[HERE]);

    c.rows = HERE == COPYING ? 1500 : 100;
    cell_begin(&c, db, HERE);
    other.db = h_format("second");
    other.dir = h_path("checkpoints");
    h_sql(source, "CREATE DATABASE second; CREATE TABLE second.t (id INT PRIMARY KEY)");
    cell_arguments(&other);
    cell_reach(&c, HERE);
    expect_refusal(&other, 2, "777001");
    cell_free(&other);
    cell_go_on(&c, false);
    finish(&c);
    free(db);
}
END_TEST

/* --- the target --------------------------------------------------------------------------------------------------- */

/* Its replica takes over under load, without the last commits perhaps: the marker in it says where it stands. */
START_TEST(history__a_target_fails_over_to_its_replica)
{
    char *db = h_format("target_failover_%s", cell_stages[HERE]);
    cell c = {.source = source, .target = target, .to_source = to_source, .rows = HERE == COPYING ? 1500 : 300};
    h_server *replica;

    replica = h_server_start(target->family, NULL);
    follow(replica, target);
    c.to_target = h_proxy_start(target);
    cell_begin(&c, db, HERE);
    cell_beat(&c, FOREVER);
    h_sleep(2); /* the very start of the job has to be there, or it is none of ours */
    cell_reach(&c, HERE);
    h_server_kill(target);
    stop_following(replica);
    h_proxy_retarget(c.to_target, replica);
    c.target = replica;
    cell_go_on(&c, false);
    die_and_finish(&c);
    h_proxy_free(c.to_target);
    h_server_free(replica);
    h_server_restart(target, NULL);
    h_sql(target, "DROP DATABASE %s; DROP DATABASE _gfreplica", db);
    free(db);
}
END_TEST

/* Where it has no change any more, the cutover looks. */
START_TEST(history__a_table_dropped_on_the_target_stops_the_run)
{
    bool changes = HERE != IDLE && HERE != CUTOVER;
    cell c;

    begin(&c, "dropped", HERE);
    cell_reach(&c, HERE);
    h_sql(target, "DROP TABLE %s.w_hot", c.db);
    if (HERE == IDLE)
        cell_command(&c, "cutover");
    if (is_refused(&c, 4, "w_hot") && changes)
        expect_refusal(&c, 4, "w_hot");
    clear_target(&c);
}
END_TEST

/* A row of ours changed by somebody else: reported, never papered over. */
START_TEST(history__a_row_taken_on_the_target_is_a_divergence)
{
    cell c;

    begin(&c, "taken", HERE); /* with a beat, which has arrived */
    cell_reach(&c, HERE);
    h_sql(target, "DELETE FROM %s.beat WHERE id=1", c.db);
    h_sql(source, "DELETE FROM %s.beat WHERE id=1", c.db);
    ck_assert(is_refused(&c, 4, ".beat"));
    cell_expect_said(&c, "id=1");
    clear_target(&c);
}
END_TEST

static void expect_verify(cell *c, int code, const char *said)
{
    const char *argv[sizeof c->argv / sizeof c->argv[0] + 1] = {"verify"};
    char *report, *log;
    int got;

    memcpy(argv + 1, c->argv, sizeof c->argv);
    got = h_exec_argv(&report, &log, FOREVER, argv);
    cell_assert(c, got == code && strstr(report, said) != NULL, "%s: verify: %d, %s%s", c->db, got, report, log);
    free(report);
    free(log);
}

/* A row that the source never changes again: nothing of the stream's meets it, so it takes a comparison. */
START_TEST(history__a_row_put_on_the_target_is_named_by_a_comparison)
{
    static const char said[] = ".beat: row id=1000000 is on the target alone";
    cell c;

    begin_with(&c, "put", HERE, "--verify");
    cell_reach(&c, HERE);
    h_sql(target, "INSERT INTO %s.beat VALUES (1000000)", c.db);
    cell_go_on(&c, false);
    cell_stop_load(&c);
    if (HERE != CUTOVER) {
        cell_finish_copy(&c);
        expect_verify(&c, 6, said);
        cell_command(&c, "cutover");
    }
    if (is_refused(&c, 6, said)) {
        h_sql(target, "DELETE FROM %s.beat WHERE id=1000000", c.db);
        cell_run(&c);
        cell_ask_again(&c);
        cell_expect_exit(&c, 0, FOREVER);
        expect_verify(&c, 0, ": 0 differences");
        ck_assert_uint_eq(h_compare(source, target, c.db), 0);
    }
    cell_free(&c);
}
END_TEST

/* The database's folder on the target becomes a small disk, which fills up and is given room again. */
static bool small_disk(const char *db, char **folder)
{
    *folder = h_format("%s/%s/data/%s", h_run_dir(), target->name, db);
    h_sql(target, "CREATE DATABASE %s CHARACTER SET utf8mb4", db);
    if (h_mount_small(*folder, 128))
        return true;
    fprintf(stderr, "left out: no right to mount a file system of our own\n");
    return false;
}

/* A folder with a mount on it is one that a server can't remove, nor likes to find afterwards. */
static void drop_mounted(const char *db, const char *folder)
{
    (void)h_sql_try(target, NULL, "DROP DATABASE %s", db);
    h_unmount(folder);
    cell_shell("rm -r %s", folder);
}

static void fill_and_write(const cell *c, const char *folder)
{
    cell_shell("cat /dev/zero >%s/ballast 2>/dev/null || true", folder);
    h_sql(source, "INSERT INTO %s.w_text (id, b) SELECT id + 100000, REPEAT('x', 30000) FROM %s.w_text", c->db, c->db);
}

START_TEST(history__a_full_disk_on_the_target_is_waited_for)
{
    char *db = h_format("fulldisk_%s", cell_stages[HERE]), *folder;
    cell c = {0};

    if (small_disk(db, &folder)) {
        begin(&c, "fulldisk", HERE);
        if (HERE == CUTOVER) /* it has to find something to do */
            fill_and_write(&c, folder);
        cell_reach(&c, HERE);
        if (HERE != CUTOVER)
            fill_and_write(&c, folder);
        cell_unblock(&c);
        if (HERE != STOPPING)
            cell_assert(&c, cell_says(&c, "trying again", 0, 60), "the disk was not full");
        h_sleep(2);
        cell_shell("rm %s/ballast", folder);
        h_server_restart(target, NULL); /* MariaDB may have given up itself over the full disk */
        cell_go_on(&c, false);
        cell_cut_over(&c);
        drop_mounted(c.db, folder);
        cell_free(&c);
    }
    free(folder);
    free(db);
}
END_TEST

enum { AT_WORK = EVERYWHERE & ~(AT(STARTING) | AT(STOPPING) | AT(CUTOVER)) };

static void add_family(Suite *s, const char *family, SFun start)
{
    TCase *t = tcase_create(family);

    tcase_set_timeout(t, 900);
    tcase_add_unchecked_fixture(t, start, stop_servers);
    tcase_add_checked_fixture(t, start_proxy, stop_proxy);
    /* First, while its binlogs are whole. */
    cell_add_test(t, history__a_source_with_the_same_gtids_is_gone_on_with, EVERYWHERE, AT(STREAMING));
    cell_add_test(t, history__a_target_fails_over_to_its_replica, EVERYWHERE, AT(STREAMING));
    cell_add_test(t, history__a_second_replica_of_our_server_id_is_refused, AT_WORK, AT(STREAMING));
    cell_add_test(t, history__a_table_dropped_on_the_target_stops_the_run, EVERYWHERE, AT(STREAMING));
    cell_add_test(t, history__a_row_taken_on_the_target_is_a_divergence, AT_WORK & ~AT(COPYING), AT(STREAMING));
    cell_add_test(t, history__a_row_put_on_the_target_is_named_by_a_comparison, EVERYWHERE, AT(COPYING));
    tcase_add_test(t, history__a_binlog_that_ends_in_the_middle_of_an_event);
    tcase_add_test(t, history__a_binlog_damaged_in_its_middle_stops_the_run);
    cell_add_test(t, history__purged_binlogs_that_are_needed_stop_the_run, EVERYWHERE, AT(STREAMING));
    cell_add_test(t, history__a_source_without_our_gtids_is_refused, EVERYWHERE, AT(STREAMING));
    cell_add_test(t, history__reset_binlogs_stop_the_run, EVERYWHERE, AT(STREAMING) | AT(STOPPING));
    cell_add_test(t, history__a_full_disk_on_the_target_is_waited_for, EVERYWHERE, AT(STREAMING));
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("history");

    add_family(s, "mariadb", start_mariadb);
    add_family(s, "mysql", start_mysql);
    return run_suite(s);
}

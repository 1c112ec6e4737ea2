/* SPDX-License-Identifier: MIT */
/*
 * test_interface.c - the program from outside: what it refuses and how it says so, the accounts and links that it needs,
 * its commands, its HTTP port, its callbacks, its exit codes.
 */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "integration/listener.h"
#include "integration/scene.h"

enum { MARIADB, MYSQL_9 };

static char *tls;

static void start_tls_servers(void)
{
    char *options;

    tls = h_tls_dir();
    options = h_format("--ssl-ca=%s/ca.pem --ssl-cert=%s/server-cert.pem --ssl-key=%s/server-key.pem", tls, tls, tls);
    for (int i = 0; i < FAMILIES; i++)
        h_server_start_pair(&sources[i], &targets[i], families[i], options, options);
    free(options);
}

static void end_tls_servers(void)
{
    end_servers();
    free(tls);
}

/* A run that is expected to be over soon: exit code and what it must have said on stderr. */
static void refused(int code, const char *const said[], const char *const arguments[])
{
    char *out, *err;
    int got = h_exec_argv(&out, &err, 60, arguments);

    ck_assert_msg(got == code, "exit code %d, not %d: %s", got, code, err);
    for (const char *const *text = said; *text != NULL; text++)
        ck_assert_msg(strstr(err, *text) != NULL, "'%s' is not in: %s", *text, err);
    ck_assert_str_eq(out, "");
    free(out);
    free(err);
}
#define REFUSED(code, said, ...)                                                                                       \
    refused(code, (const char *const[]){said, NULL}, (const char *const[]){__VA_ARGS__, NULL})

static void small_table(scene *s)
{
    h_sql(s->source,
          "CREATE TABLE %s.t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO %s.t VALUES (1, 'a'), (2, 'b')", s->db,
          s->db);
}

static void stop(h_run *run)
{
    h_signal(run, SIGTERM);
    ends_with(run, 3, 5);
    h_run_free(run);
}

/* --- wrong commands and configurations ----------------------------------------------------------------------------------- */

START_TEST(interface__wrong_commands_end_with_1)
{
    scene s = begin_scene(MARIADB, "commands", NULL);
    char *path = h_format("%s/broken.json", s.folder), *err;

    save_text(path, "{\"Source\": ");
    REFUSED(1, "broken.json", path);
    save_text(path, "{\"AutomaticCutover\": \"perhaps\"}");
    REFUSED(1, "AutomaticCutover", path);
    REFUSED(1, "no-such-file", "/no-such-file.json");
    REFUSED(1, "--no-such-flag", "--no-such-flag", s.conf);
    REFUSED(1, "no checkpoint", "status", "--checkpoint-dir", s.dir);
    REFUSED(1, "no checkpoint", "export-state", "--checkpoint-dir", s.dir);
    REFUSED(1, s.dir, "cutover", "--checkpoint-dir", s.dir);
    write_conf(&s, "{\"DumpStateOnSignall\": true}");
    (void)h_exec(NULL, &err, 30, "check", s.conf);
    ck_assert_ptr_nonnull(strstr(err, "DumpStateOnSignall"));
    ck_assert_ptr_nonnull(strstr(err, "DumpStateOnSignal"));
    free(err);
    free(path);
    end_scene(&s);
}
END_TEST

START_TEST(interface__what_cannot_work_is_refused_before_anything_is_changed)
{
    scene s = begin_scene(_i, "refused", NULL);
    char *id = h_format("%lld", h_number(s.source, "SELECT @@server_id")), *socket;

    REFUSED(2, "no table", s.conf);
    small_table(&s);
    REFUSED(2, "the source's own", "--server-id", id, s.conf);
    REFUSED(2, "Access denied", "--source-user", "nobody", s.conf);
    REFUSED(4, "gave up after 1 s", "--source-port", "1", "--retry-timeout", "1", s.conf);
    socket = h_format("%s.away", s.source->socket);
    REFUSED(4, "gave up after 1 s", "--target-socket", socket, "--retry-timeout", "1", s.conf);
    h_sql(s.target,
          "CREATE DATABASE %s; CREATE TABLE %s.t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO %s.t VALUES "
          "(7, 'mine')",
          s.db, s.db, s.db);
    REFUSED(2, "hold rows already", s.conf);
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM %s.t", s.db), 1);
    h_sql(s.target, "DROP TABLE %s.t; CREATE TABLE %s.t (id INT PRIMARY KEY, other VARCHAR(10))", s.db, s.db);
    REFUSED(2, "other", s.conf);
    h_sql(s.target, "DROP DATABASE %s; SET GLOBAL read_only=ON", s.db);
    h_sql(s.target,
          "CREATE USER reader_%s IDENTIFIED BY 'p'; GRANT ALL ON %s.* TO reader_%s; GRANT ALL ON _gfreplica.* "
          "TO reader_%s",
          s.db, s.db, s.db, s.db);
    {
        char *extra = h_format("{\"Target\": {\"User\": \"reader_%s\", \"Pass\": \"p\"}}", s.db);

        write_conf(&s, extra);
        free(extra);
    }
    REFUSED(2, "read_only is ON", s.conf);
    h_sql(s.target, "SET GLOBAL read_only=OFF; DROP USER reader_%s", s.db);
    write_conf(&s, NULL);
    h_sql(s.source, "SET GLOBAL binlog_format='STATEMENT'");
    REFUSED(2, "binlog_format", s.conf);
    h_sql(s.source, "SET GLOBAL binlog_format='ROW'");
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='%s'", s.db),
                     0);
    free(socket);
    free(id);
    end_scene(&s);
}
END_TEST

START_TEST(interface__all_problems_are_told_at_once)
{
    scene s = begin_scene(_i, "problems", NULL);
    char *out, *extra;

    small_table(&s);
    h_sql(s.source, "CREATE USER poor_%s IDENTIFIED BY 'p'", s.db);
    h_sql(s.target, "CREATE USER poor_%s IDENTIFIED BY 'p'", s.db);
    extra =
        h_format("{\"Source\": {\"User\": \"poor_%s\", \"Pass\": \"p\"}, \"Target\": {\"User\": \"poor_%s\", \"Pass\":"
                 " \"p\"}}",
                 s.db, s.db);
    write_conf(&s, extra);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "check", s.conf), 2);
    for (const char *const *said = (const char *const[]){"GRANT SELECT ON", "GRANT REPLICATION SLAVE ON *.*",
                                                         "GRANT REPLICATION CLIENT ON *.*", NULL};
         *said != NULL; said++)
        ck_assert_msg(strstr(out, *said) != NULL, "%s is not in: %s", *said, out);
    free(out);
    /* Tables that can't be seen can't be told on the target's side either. */
    h_sql(s.source, "GRANT SELECT ON %s.* TO poor_%s", s.db, s.db);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "check", s.conf), 2);
    for (const char *const *said =
             (const char *const[]){"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON", "_gfreplica", NULL};
         *said != NULL; said++)
        ck_assert_msg(strstr(out, *said) != NULL, "%s is not in: %s", *said, out);
    h_sql(s.source, "DROP USER poor_%s", s.db);
    h_sql(s.target, "DROP USER poor_%s", s.db);
    free(extra);
    free(out);
    end_scene(&s);
}
END_TEST

START_TEST(interface__dryrun_says_one_line_and_changes_nothing)
{
    scene s = begin_scene(_i, "dry", NULL);
    char *out;

    small_table(&s);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "-dryrun", s.conf), 0);
    ck_assert_ptr_nonnull(strchr(out, '\n'));
    ck_assert_str_eq(strchr(out, '\n'), "\n");
    ck_assert_int_eq(
        h_number(s.target, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='%s'", s.db), 0);
    ck_assert_int_ne(access(s.dir, F_OK), 0);
    free(out);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "check", s.conf), 0);
    ck_assert_ptr_nonnull(strstr(out, "0 problems"));
    free(out);
    end_scene(&s);
}
END_TEST

/* --- one job, one directory, one marker ------------------------------------------------------------------------------------ */

START_TEST(interface__a_directory_and_a_server_id_are_of_one_process)
{
    scene s = begin_scene(_i, "one", "{\"MyServerId\": 70001}"), other = begin_scene(_i, "another", NULL);
    h_run *run;

    small_table(&s);
    small_table(&other);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    REFUSED(2, "in use by process", s.conf);
    REFUSED(2, "server id 70001 is used", "--server-id", "70001", other.conf);
    REFUSED(2, "other servers, databases, tables or renames", "--checkpoint-dir", other.dir, "--job", s.db, other.conf);
    ck_assert_int_eq(h_wait(run, 0), -1); /* nobody has taken its marker */
    stop(run);
    REFUSED(2, "belongs to a job with other servers, databases", "--checkpoint-dir", s.dir, other.conf);

    /* Given up: its name may be had. */
    run = h_start("--take-over", "--automatic-cutover", "--checkpoint-dir", other.dir, "--job", s.db, other.conf);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(other.source, other.target, other.db), 0);
    h_run_free(run);
    end_scene(&s);
    end_scene(&other);
}
END_TEST

/* --- a source that has changed ------------------------------------------------------------------------------------------- */

/* These tests empty binlogs and, the last one, stop the source: servers for them alone, used in this order. */
static void stopped_job(scene *s)
{
    h_run *run;

    small_table(s);
    run = h_start(s->conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s->source, "INSERT INTO %s.t VALUES (3, 'c')", s->db);
    h_sleep(1);
    stop(run);
}

START_TEST(interface__binlogs_that_are_gone_are_named)
{
    scene s = begin_scene(_i, "purged", NULL);
    char *err, *file;

    stopped_job(&s);
    h_sql(s.source, "INSERT INTO %s.t VALUES (4, 'd'); FLUSH BINARY LOGS", s.db);
    file = h_scalar(s.source, _i == MARIADB ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
    for (int tries = 0; tries < 60; tries++) { /* MariaDB keeps it for the ghost of our dump for a while */
        h_sql(s.source, "PURGE BINARY LOGS TO '%s'", file);
        if (strcmp(h_scalar(s.source, "SHOW BINARY LOGS"), file) == 0)
            break;
        h_sleep(0.5);
    }
    ck_assert_int_eq(h_exec(NULL, &err, 60, s.conf), 5);
    ck_assert_msg(strstr(err, "retention") != NULL && strstr(err, "no longer has what is needed") != NULL, "%s", err);
    ck_assert_ptr_nonnull(strstr(err, _i == MARIADB ? "domain 0 behind" : "have been purged"));
    free(err);
    ck_assert_int_eq(h_exec(&err, NULL, 60, "status", "--checkpoint-dir", s.dir), 0);
    ck_assert_msg(strstr(err, "no longer has what is needed") != NULL, "%s", err);
    free(err);
    free(file);
    end_scene(&s);
}
END_TEST

START_TEST(interface__a_reset_binlog_is_noticed)
{
    static const char *const reset[] = {"RESET MASTER", "RESET BINARY LOGS AND GTIDS"};
    scene s = begin_scene(_i, "reset", NULL);
    char *err;

    stopped_job(&s);
    h_sql(s.source, "%s", reset[_i]);
    REFUSED(5, "reset", s.conf);
    /* And when it has got further than it was: the same names and numbers, other transactions. */
    for (int i = 10; i < 60; i++)
        h_sql(s.source, "INSERT INTO %s.t VALUES (%d, 'other')", s.db, i);
    ck_assert_int_eq(h_exec(NULL, &err, 60, s.conf), 5);
    ck_assert_msg(strstr(err, "reset") != NULL, "%s", err);
    free(err);
    end_scene(&s);
}
END_TEST

START_TEST(interface__another_server_at_the_address_is_noticed)
{
    scene s = begin_scene(_i, "impostor", NULL);
    h_server *other;
    char *options;

    stopped_job(&s);
    h_server_stop(s.source);
    options = h_format("--port=%u", s.source->port);
    other = h_server_start(families[_i], options);
    other->port = s.source->port;
    h_sql(other, "CREATE DATABASE %s; CREATE TABLE %s.t (id INT PRIMARY KEY, v VARCHAR(10))", s.db, s.db);
    for (int i = 10; i < 60; i++)
        h_sql(other, "INSERT INTO %s.t VALUES (%d, 'other')", s.db, i);
    REFUSED(5, "another server", s.conf);
    h_server_free(other);
    h_sql(s.target, "DROP DATABASE %s", s.db);
    free(options);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("interface");
    TCase *t = tcase_create("shared servers"), *own = tcase_create("servers of their own");

    tcase_add_unchecked_fixture(t, start_tls_servers, end_tls_servers);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, interface__wrong_commands_end_with_1);
    tcase_add_loop_test(t, interface__what_cannot_work_is_refused_before_anything_is_changed, 0, FAMILIES);
    tcase_add_loop_test(t, interface__all_problems_are_told_at_once, 0, FAMILIES);
    tcase_add_loop_test(t, interface__dryrun_says_one_line_and_changes_nothing, 0, FAMILIES);
    tcase_add_loop_test(t, interface__a_directory_and_a_server_id_are_of_one_process, 0, FAMILIES);
    suite_add_tcase(s, t);
    tcase_add_unchecked_fixture(own, start_servers, end_servers);
    tcase_set_timeout(own, 120);
    tcase_add_loop_test(own, interface__binlogs_that_are_gone_are_named, 0, FAMILIES);
    tcase_add_loop_test(own, interface__a_reset_binlog_is_noticed, 0, FAMILIES);
    tcase_add_loop_test(own, interface__another_server_at_the_address_is_noticed, 0, FAMILIES);
    suite_add_tcase(s, own);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

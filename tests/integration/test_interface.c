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
#include "run_suite.h"

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

#define CHECK_SAYS(code, said, ...) check_says(code, said, (const char *const[]){"check", __VA_ARGS__, NULL})

static void check_says(int code, const char *said, const char *const arguments[])
{
    char *out;
    int got = h_exec_argv(&out, NULL, 60, arguments);

    ck_assert_msg(got == code && strstr(out, said) != NULL, "exit code %d, '%s' wanted: %s", got, said, out);
    free(out);
}

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

START_TEST(interface__create_objects_needs_the_right_to_see_and_to_make_them)
{
    scene s = begin_scene(_i, "objgrants", "{\"CreateObjects\": true}");
    char *out, *extra;

    small_table(&s);
    h_sql(s.source,
          "CREATE USER o_%s IDENTIFIED BY 'p'; GRANT SELECT ON %s.* TO o_%s; GRANT REPLICATION SLAVE, REPLICATION "
          "CLIENT ON *.* TO o_%s",
          s.db, s.db, s.db, s.db);
    h_sql(s.target, "CREATE USER o_%s IDENTIFIED BY 'p'; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON %s.* TO o_%s",
          s.db, s.db, s.db);
    extra =
        h_format("{\"CreateObjects\": true, \"Source\": {\"User\": \"o_%s\", \"Pass\": \"p\"}, \"Target\": {\"User\": "
                 "\"o_%s\", \"Pass\": \"p\"}}",
                 s.db, s.db);
    write_conf(&s, extra);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "check", s.conf), 2);
    for (const char *const *said =
             (const char *const[]){"GRANT SHOW VIEW, TRIGGER, EVENT ON",
                                   "GRANT CREATE VIEW, TRIGGER, CREATE ROUTINE, EVENT, ALTER ON",
                                   _i == MARIADB ? "SELECT ON mysql.proc" : "SHOW_ROUTINE ON *.*", NULL};
         *said != NULL; said++)
        ck_assert_msg(strstr(out, *said) != NULL, "%s is not in: %s", *said, out);
    h_sql(s.source, "DROP USER o_%s", s.db);
    h_sql(s.target, "DROP USER o_%s", s.db);
    free(extra);
    free(out);
    end_scene(&s);
}
END_TEST

/* With stdout and stderr closed a server's socket must not get their numbers. */
START_TEST(interface__closed_streams_are_not_written_into_servers)
{
    scene s = begin_scene(_i, "closed", "{\"DumpStateOnSignal\": true, \"AutomaticCutover\": true}");
    const char *program = getenv("GFREPLICA");
    char *command =
        h_format("exec '%s' -verbose '%s' <&- >&- 2>&-", program == NULL ? "build/gfreplica" : program, s.conf);

    small_table(&s);
    ck_assert_int_eq(system(command), 0);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    free(command);
    command = h_format("test $(stat -c %%s '%s/lock') -lt 20", s.dir);
    ck_assert_int_eq(system(command), 0);
    free(command);
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

START_TEST(interface__an_unlike_table_stops_every_start_before_it_changes_anything)
{
    scene s = begin_scene(_i, "unlike", NULL);
    char *out;
    long long markers = h_number(s.target, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name="
                                           "'_gfreplica'");

    small_table(&s);
    h_sql(s.source, "CREATE TABLE %s.k (id INT PRIMARY KEY, v VARCHAR(30))", s.db);
    h_sql(s.target, "CREATE DATABASE %s; CREATE TABLE %s.k (id INT PRIMARY KEY, v VARCHAR(20))", s.db, s.db);
    ck_assert_int_eq(h_exec(&out, NULL, 30, "-dryrun", s.conf), 2);
    free(out);
    REFUSED(2, "column `v` is varchar(20)", s.conf);
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='%s'", s.db),
                     1);
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name="
                                        "'_gfreplica'"),
                     markers);
    end_scene(&s);
}
END_TEST

START_TEST(interface__the_closing_line_does_not_claim_what_rows_from_before_make_untrue)
{
    scene s = begin_scene(_i, "before",
                          "{\"AutomaticCutover\": true, \"AllowExistingTargetTable\": true, "
                          "\"SkipBinlogRowImageCheck\": true}");
    char *err;

    small_table(&s);
    h_sql(s.target,
          "CREATE DATABASE %s; USE %s; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES "
          "(2, 'old'), (9, 'z')",
          s.db, s.db);
    ck_assert_int_eq(h_exec(NULL, &err, FOREVER, s.conf), 0);
    ck_assert_msg(strstr(err, "target has all of the source's rows, and may have others") != NULL, "%s", err);
    ck_assert_ptr_null(strstr(err, "target equals source"));
    ck_assert_msg(strstr(err, "a row image other than FULL stops the run") != NULL, "%s", err);
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM %s.t WHERE v IN ('a', 'b', 'z')", s.db), 3);
    free(err);
    end_scene(&s);
}
END_TEST

/* --- one job, one directory, one marker ------------------------------------------------------------------------------------ */

START_TEST(interface__a_directory_and_a_server_id_are_of_one_process)
{
    scene s = begin_scene(_i, "one", "{\"MyServerId\": 70001}"), other = begin_scene(_i, "another", NULL);
    char *id = h_scalar(s.source, "SELECT @@server_id");
    h_run *run;

    small_table(&s);
    small_table(&other);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    REFUSED(2, "in use by process", s.conf);
    REFUSED(2, "server id 70001 is used", "--heartbeat", "1s", "--server-id", "70001", other.conf);
    CHECK_SAYS(2, "server id 70001 is used", "--server-id", "70001", other.conf);
    CHECK_SAYS(2, "is the source's own", "--server-id", id, other.conf);
    CHECK_SAYS(0, "0 problems", s.conf); /* it meets itself */
    REFUSED(2, "other servers, databases, tables or renames", "--checkpoint-dir", other.dir, "--job", s.db, other.conf);
    CHECK_SAYS(2, "other servers, databases, tables or renames", "--job", s.db, other.conf);
    ck_assert_int_eq(h_wait(run, 0), -1); /* nobody has taken its marker */
    stop(run);
    REFUSED(2, "belongs to a job with other servers, databases", "--checkpoint-dir", s.dir, other.conf);

    /* Given up: its name may be had. */
    run = h_start("--take-over", "--automatic-cutover", "--checkpoint-dir", other.dir, "--job", s.db, other.conf);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(other.source, other.target, other.db), 0);
    h_run_free(run);
    free(id);
    end_scene(&s);
    end_scene(&other);
}
END_TEST

/* --- accounts and links ------------------------------------------------------------------------------------------------ */

/* Users of just what docs/operations.md asks for; `how` is what IDENTIFIED and REQUIRE say. */
static void least_users(scene *s, const char *how)
{
    h_sql(s->source,
          "CREATE USER m_%s %s; GRANT SELECT ON %s.* TO m_%s; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* "
          "TO m_%s",
          s->db, how, s->db, s->db, s->db);
    h_sql(
        s->target,
        "CREATE USER m_%s %s; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON %s.* TO m_%s;"
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON _gfreplica.* TO m_%s",
        s->db, how, s->db, s->db, s->db);
}

static void drop_users(scene *s)
{
    h_sql(s->source, "DROP USER m_%s", s->db);
    h_sql(s->target, "DROP USER m_%s", s->db);
}

/* conf.json with that user on both sides; `more` is merged into both servers' objects. */
static void users_conf(scene *s, const char *password, const char *more)
{
    char *side =
        h_format("{\"User\": \"m_%s\", \"Pass\": \"%s\"%s%s}", s->db, password, more[0] == '\0' ? "" : ", ", more);
    char *extra = h_format("{\"Source\": %s, \"Target\": %s}", side, side);

    write_conf(s, extra);
    free(extra);
    free(side);
}

/* MariaDB lists replicas to few: there ours are known by their locks. */
START_TEST(interface__a_server_id_is_seen_to_be_taken_with_the_least_grants)
{
    scene s = begin_scene(_i, "idone", "{\"MyServerId\": 70002}"), other = begin_scene(_i, "idother", NULL);
    h_run *run;

    small_table(&s);
    small_table(&other);
    least_users(&other, "IDENTIFIED BY 'p'");
    users_conf(&other, "p", "");
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    CHECK_SAYS(2, "server id 70002 is used", "--server-id", "70002", other.conf);
    REFUSED(2, "server id 70002 is used", "--heartbeat", "1s", "--server-id", "70002", other.conf);
    ck_assert_int_eq(h_wait(run, 0), -1); /* nobody has taken its link */
    h_signal(run, SIGKILL);
    h_run_free(run);

    /* What the kill has left on the source is its own. */
    run = h_start("--automatic-cutover", s.conf);
    ends_with(run, 0, FOREVER);
    ck_assert(!h_wait_log(run, "waiting until it notices", 0));
    h_run_free(run);
    drop_users(&other);
    end_scene(&s);
    end_scene(&other);
}
END_TEST

static void write_some(scene *s, int first)
{
    for (int i = first; i < first + 40; i++)
        h_sql(s->source, "INSERT INTO %s.t VALUES (%d, 'late'); UPDATE %s.t SET v='%d' WHERE id=1", s->db, i, s->db, i);
}

/* Runs the GRANT and SET GLOBAL statements that check has named, as docs/operations.md lists them. */
START_TEST(interface__objects_are_created_with_the_grants_that_check_asks_for)
{
    scene s = begin_scene(_i, "objleast", NULL);
    char *out, *extra;
    h_run *run;

    small_table(&s);
    h_sql(
        s.source,
        "USE %s; CREATE DEFINER=root@localhost VIEW vw AS SELECT id FROM t; CREATE DEFINER=root@localhost FUNCTION f() "
        "RETURNS INT DETERMINISTIC RETURN 1; CREATE DEFINER=root@localhost VIEW vf AS SELECT f();"
        "CREATE DEFINER=root@localhost PROCEDURE p() SELECT 1; CREATE DEFINER=root@localhost TRIGGER tr BEFORE UPDATE ON "
        "t FOR EACH ROW SET NEW.v = OLD.v; CREATE DEFINER=root@localhost EVENT ev ON SCHEDULE EVERY 1 DAY DO DO 1",
        s.db);
    least_users(&s, "IDENTIFIED BY 'p'");
    h_sql(s.source, "GRANT SHOW VIEW, TRIGGER, EVENT, EXECUTE ON %s.* TO m_%s; GRANT %s TO m_%s", s.db, s.db,
          _i == MARIADB ? "SELECT ON mysql.proc" : "SHOW_ROUTINE ON *.*", s.db);
    h_sql(s.target, "GRANT CREATE VIEW, TRIGGER, CREATE ROUTINE, EVENT ON %s.* TO m_%s", s.db, s.db);
    extra = h_format("{\"CreateObjects\": true, \"AutomaticCutover\": true, \"Source\": {\"User\": \"m_%s\", \"Pass\": "
                     "\"p\"}, \"Target\": {\"User\": \"m_%s\", \"Pass\": \"p\"}}",
                     s.db, s.db);
    write_conf(&s, extra);
    h_exec(&out, NULL, 30, "check", s.conf);
    ck_assert_msg(strstr(out, "SET GLOBAL log_bin_trust_function_creators=ON") != NULL, "%s", out);
    ck_assert_msg(strstr(out, _i == MARIADB ? "GRANT SET USER ON *.*" : "GRANT SET_ANY_DEFINER ON *.*") != NULL, "%s",
                  out);
    if (_i != MARIADB) {
        ck_assert_msg(strstr(out, "GRANT SYSTEM_USER, ALLOW_NONEXISTENT_DEFINER ON *.*") != NULL, "%s", out);
        free(out);
        h_sql(s.target, "GRANT SELECT ON mysql.* TO m_%s", s.db);
        h_exec(&out, NULL, 30, "check", s.conf);
        ck_assert_msg(strstr(out, "only by those who have it ('root'@'localhost'): GRANT SYSTEM_USER ON") != NULL, "%s",
                      out);
        ck_assert_ptr_null(strstr(out, "ALLOW_NONEXISTENT_DEFINER"));
    }
    free(out);
    h_sql(s.target, "SET GLOBAL log_bin_trust_function_creators=ON; GRANT %s ON *.* TO m_%s",
          _i == MARIADB ? "SET USER" : "SET_ANY_DEFINER, SYSTEM_USER", s.db);
    CHECK_SAYS(0, "0 problems", s.conf);
    run = h_start(s.conf);
    ends_with(run, 0, FOREVER);
    ck_assert_int_eq(h_number(s.target,
                              "SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='%s' AND "
                              "DEFINER='root@localhost') + (SELECT COUNT(*) FROM information_schema.VIEWS WHERE "
                              "TABLE_SCHEMA='%s' AND DEFINER='root@localhost')",
                              s.db, s.db),
                     4);
    h_sql(s.target, "SET GLOBAL log_bin_trust_function_creators=OFF");
    h_run_free(run);
    free(extra);
    drop_users(&s);
    end_scene(&s);
}
END_TEST

START_TEST(interface__the_least_grants_are_enough)
{
    scene s = begin_scene(_i, "least", NULL);
    h_run *run;

    small_table(&s);
    h_sql(s.source,
          "USE %s; CREATE TABLE parent (id INT PRIMARY KEY); CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY,"
          " p INT, FOREIGN KEY (p) REFERENCES parent (id)); INSERT INTO parent VALUES (1), (2);"
          "INSERT INTO child (p) VALUES (1), (2), (NULL); DELETE FROM child WHERE id=3",
          s.db);
    least_users(&s, "IDENTIFIED BY 'p'");
    users_conf(&s, "p", "");
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    write_some(&s, 100);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    write_some(&s, 200);
    run = h_start(s.conf);
    cut_over(&s, run);
    ck_assert_int_eq(h_number(s.target,
                              "SELECT auto_increment FROM information_schema.tables WHERE table_schema='%s' AND "
                              "table_name='child'",
                              s.db),
                     4);
    h_run_free(run);
    drop_users(&s);
    end_scene(&s);
}
END_TEST

START_TEST(interface__without_the_markers_grant_it_says_so_and_resumes_from_the_checkpoint)
{
    scene s = begin_scene(_i, "nomarker", NULL);
    h_run *run;

    small_table(&s);
    least_users(&s, "IDENTIFIED BY 'p'");
    h_sql(s.target,
          "REVOKE ALL PRIVILEGES, GRANT OPTION FROM m_%s; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP,"
          " INDEX, REFERENCES ON %s.* TO m_%s",
          s.db, s.db, s.db);
    users_conf(&s, "p", "");
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert(h_wait_log(run, "marker", 1));
    write_some(&s, 100);
    h_sleep(1.5);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    h_sql(s.source, "DELETE FROM %s.t WHERE id > 130; UPDATE %s.t SET id = 131 WHERE id = 105", s.db, s.db);
    run = h_start(s.conf);
    cut_over(&s, run);
    h_run_free(run);
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM _gfreplica.job WHERE job='%s'", s.db), 0);
    drop_users(&s);
    end_scene(&s);
}
END_TEST

static int dry(scene *s, const char *mode, const char *ca)
{
    char *out, *err;
    int code = h_exec(&out, &err, 30, "-dryrun", "--source-tls", mode, "--source-tls-ca", ca, s->conf);

    if (code != 0)
        ck_assert_msg(strstr(err, "certificate") != NULL, "%s", err);
    free(out);
    free(err);
    return code;
}

START_TEST(interface__tls_is_as_strict_as_it_is_told)
{
    scene s = begin_scene(_i, "tls", NULL);
    char *ca = h_format("%s/ca.pem", tls), *other = h_format("%s/other-ca.pem", tls), *more;
    h_run *run;

    small_table(&s);
    least_users(&s, "IDENTIFIED BY 'p' REQUIRE X509");
    users_conf(&s, "p", "");
    REFUSED(2, "Access denied", s.conf);

    /* Both links of a whole run, with our own certificate. */
    more = h_format(
        "\"TLS\": {\"Mode\": \"verify-identity\", \"CertPath\": \"%s\", \"ClientCertPath\": \"%s/client-cert.pem\","
        " \"ClientKeyPath\": \"%s/client-key.pem\"}",
        ca, tls, tls);
    users_conf(&s, "p", more);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    write_some(&s, 100);
    cut_over(&s, run);
    h_run_free(run);
    free(more);
    drop_users(&s);

    write_conf(&s, NULL);
    remove_folder(s.dir);
    h_sql(s.target, "DROP DATABASE %s; DELETE FROM _gfreplica.job WHERE job='%s'", s.db, s.db);
    ck_assert_int_eq(dry(&s, "required", ca), 0);
    ck_assert_int_eq(dry(&s, "verify-ca", ca), 0);
    ck_assert_int_eq(dry(&s, "verify-identity", ca), 0);
    ck_assert_int_eq(dry(&s, "verify-ca", other), 2);
    ck_assert_int_eq(dry(&s, "verify-identity", other), 2);
    /* Ghostferry's form: an authority is there to be verified. */
    more = h_format("{\"Source\": {\"TLS\": {\"CertPath\": \"%s\", \"ServerName\": \"localhost\"}}}", ca);
    write_conf(&s, more);
    ck_assert_int_eq(h_exec(NULL, NULL, 30, "-dryrun", s.conf), 0);
    free(more);
    more = h_format("{\"Source\": {\"TLS\": {\"CertPath\": \"%s\", \"ServerName\": \"elsewhere.invalid\"}}}", ca);
    write_conf(&s, more);
    REFUSED(2, "elsewhere.invalid", "-dryrun", s.conf);
    free(more);
    free(ca);
    free(other);
    end_scene(&s);
}
END_TEST

START_TEST(interface__users_of_every_plugin_log_in)
{
    scene s = begin_scene(_i, "plugin", NULL);
    h_run *run;

    small_table(&s);
    if (_i == MARIADB) {
        h_sql_try(s.source, NULL, "INSTALL SONAME 'auth_ed25519'");
        h_sql_try(s.target, NULL, "INSTALL SONAME 'auth_ed25519'");
    }
    least_users(&s, _i == MARIADB ? "IDENTIFIED VIA ed25519 USING PASSWORD('p')"
                                  : "IDENTIFIED WITH caching_sha2_password BY 'p'");
    users_conf(&s, "p",
               "\"TLS\": {\"Mode\": \"off\"}"); /* the harder way for caching_sha2: with the server's RSA key */
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    write_some(&s, 100);
    cut_over(&s, run);
    h_run_free(run);
    drop_users(&s);
    end_scene(&s);
}
END_TEST

START_TEST(interface__sockets_will_do)
{
    scene s = begin_scene(_i, "socket", NULL);
    char *extra = h_format(
        "{\"Source\": {\"Net\": \"unix\", \"Host\": \"%s\"}, \"Target\": {\"Net\": \"unix\", \"Host\": \"%s\"}}",
        s.source->socket, s.target->socket);
    h_run *run;

    small_table(&s);
    write_conf(&s, extra);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    write_some(&s, 100);
    cut_over(&s, run);
    h_run_free(run);
    free(extra);
    end_scene(&s);
}
END_TEST

/* --- commands, the HTTP port, callbacks ---------------------------------------------------------------------------------- */

/* One request to the job's port: the status, and the body in *body (owned by the caller) if wanted. */
static unsigned http(unsigned port, const char *request, const char *content_type, const char *content, char **body)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *text = h_format("%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                          "Connection: close\r\n\r\n%s",
                          request, port, content_type, strlen(content), content);
    char *answer = calloc(1, 1 << 20);
    size_t len = 0;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned status = 0;

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    while (len < (1 << 20) - 1 && (n = recv(fd, answer + len, (1 << 20) - 1 - len, 0)) > 0)
        len += (size_t)n;
    close(fd);
    ck_assert_msg(sscanf(answer, "HTTP/1.1 %u", &status) == 1, "no answer to %s: '%s'", request, answer);
    if (body != NULL)
        *body = h_format("%s", strstr(answer, "\r\n\r\n") + 4);
    free(answer);
    free(text);
    return status;
}

static json_t *http_status(unsigned port)
{
    char *body;
    json_t *root;

    ck_assert_uint_eq(http(port, "GET /api/status", "application/json", "", &body), 200);
    root = json_loads(body, 0, NULL);
    ck_assert_msg(root != NULL, "%s", body);
    free(body);
    return root;
}

static void stage_is(unsigned port, const char *state, const char *stage)
{
    json_t *root = http_status(port);

    ck_assert_str_eq(json_string_value(json_object_get(root, "OverallState")), state);
    ck_assert_str_eq(json_string_value(json_object_get(root, "Stage")), stage);
    json_decref(root);
}

static void check_status_fields(scene *s, unsigned port)
{
    static const char *const ghostferry[] = {"GhostferryVersion",
                                             "SourceHostPort",
                                             "TargetHostPort",
                                             "OverallState",
                                             "StartTime",
                                             "CurrentTime",
                                             "TimeTaken",
                                             "ETA",
                                             "BinlogStreamerLag",
                                             "AutomaticCutover",
                                             "BinlogStreamerStopRequested",
                                             "CompletedTableCount",
                                             "TotalTableCount",
                                             "TableStatuses",
                                             "AllTableNames",
                                             "AllDatabaseNames",
                                             "VerifierSupport",
                                             "VerifierAvailable",
                                             "VerificationStarted",
                                             "VerificationDone",
                                             "CurrentState",
                                             "Throttled",
                                             "LastSuccessfulBinlogPos",
                                             "ActiveDataIterators",
                                             "PaginationKeysPerSecond",
                                             "Tables",
                                             NULL};
    json_t *root = http_status(port);
    char *name = h_format("%s.t", s->db);

    for (const char *const *key = ghostferry; *key != NULL; key++)
        ck_assert_msg(json_object_get(root, *key) != NULL, "%s is missing", *key);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "TotalTableCount")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "CompletedTableCount")), 2);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(root, "Tables"), name));
    ck_assert_int_eq((int)json_array_size(json_object_get(root, "TableStatuses")), 2);
    free(name);
    json_decref(root);
}

static unsigned free_port(void)
{
    listener *l = listener_start(200);
    unsigned port = l->port;

    listener_stop(l);
    return port;
}

static void wait_value(scene *s, const char *value, bool comes)
{
    double deadline = h_now() + (comes ? 20 : 1.5);
    bool there = false;

    while (!there && h_now() < deadline) {
        there = h_number(s->target, "SELECT COUNT(*) FROM %s.t WHERE v='%s'", s->db, value) == 1;
        h_sleep(0.05);
    }
    ck_assert(there == comes);
}

START_TEST(interface__the_http_port_is_ghostferrys)
{
    scene s = begin_scene(_i, "http", NULL);
    unsigned port = free_port();
    char *extra =
        h_format("{\"ControlServerConfig\": {\"Enabled\": true, \"ServerBindAddr\": \"127.0.0.1:%u\"}}", port);
    h_run *run;

    small_table(&s);
    h_sql(s.source, "CREATE TABLE %s.empty (id INT PRIMARY KEY)", s.db);
    write_conf(&s, extra);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(1.2);
    stage_is(port, "wait-for-cutover", "streaming");
    check_status_fields(&s, port);

    ck_assert_uint_eq(http(port, "POST /api/pause", "application/json", "", NULL), 200);
    h_sql(s.source, "INSERT INTO %s.t VALUES (9, 'paused')", s.db);
    wait_value(&s, "paused", false);
    ck_assert_uint_eq(http(port, "POST /api/unpause", "application/json", "", NULL), 200);
    wait_value(&s, "paused", true);

    ck_assert_uint_eq(http(port, "POST /api/config", "application/json", "{\"DataIterationBatchSize\": 77}", NULL),
                      200);
    ck_assert_uint_eq(http(port, "POST /api/config", "application/json", "{\"Other\": 1}", NULL), 400);
    ck_assert_uint_eq(http(port, "POST /api/verify", "application/json", "", NULL), 501);
    ck_assert_uint_eq(http(port, "POST /api/cutover", "application/json", "{\"type\": \"sometime\"}", NULL), 400);
    ck_assert_uint_eq(http(port, "GET /nothing", "application/json", "", NULL), 404);
    ck_assert_int_eq(h_wait(run, 0), -1);
    ck_assert_uint_eq(http(port, "POST /api/cutover", "application/x-www-form-urlencoded", "type=automatic", NULL),
                      303);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(run);
    free(extra);
    end_scene(&s);
}
END_TEST

static void command(const char *verb, scene *s)
{
    ck_assert_int_eq(h_exec(NULL, NULL, 10, verb, "--checkpoint-dir", s->dir), 0);
}

static void status_says(scene *s, const char *text)
{
    char *out;

    ck_assert_int_eq(h_exec(&out, NULL, 10, "status", "--checkpoint-dir", s->dir), 0);
    ck_assert_msg(strstr(out, text) != NULL, "'%s' is not in: %s", text, out);
    free(out);
}

START_TEST(interface__commands_reach_a_running_job)
{
    scene s = begin_scene(_i, "verbs", NULL);
    char *out;
    json_t *root;
    h_run *run;

    small_table(&s);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(1.2);
    status_says(&s, "streaming");
    ck_assert_int_eq(h_exec(&out, NULL, 10, "status", "--json", "--checkpoint-dir", s.dir), 0);
    root = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert(json_is_true(json_object_get(root, "Running")));
    json_decref(root);
    free(out);

    command("pause", &s);
    h_sql(s.source, "INSERT INTO %s.t VALUES (9, 'paused')", s.db);
    wait_value(&s, "paused", false);
    h_sleep(1);
    status_says(&s, "paused");
    command("cutover", &s); /* waits for the end of the pause */
    h_sleep(1);
    ck_assert_int_eq(h_wait(run, 0), -1);
    command("stop", &s);
    ends_with(run, 3, 3);
    h_run_free(run);
    status_says(&s, "not running");

    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    wait_value(&s, "paused", true);
    command("pause", &s);
    command("resume", &s);
    h_sql(s.source, "INSERT INTO %s.t VALUES (10, 'resumed')", s.db);
    wait_value(&s, "resumed", true);
    command("cutover", &s);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(run);
    status_says(&s, "done");
    REFUSED(1, s.dir, "stop", "--checkpoint-dir", s.dir);
    end_scene(&s);
}
END_TEST

static json_t *payload(char *body)
{
    json_t *outer = json_loads(body, 0, NULL), *inner;
    const char *text = json_string_value(json_object_get(outer, "Payload"));

    ck_assert_msg(text != NULL, "no payload in %s", body);
    inner = json_loads(text, JSON_DECODE_ANY, NULL);
    json_decref(outer);
    free(body);
    return inner;
}

START_TEST(interface__callbacks_are_called)
{
    listener *l = listener_start(200);
    char *uri = h_format("http://127.0.0.1:%u", l->port);
    char *extra = h_format(
        "{\"ProgressCallback\": {\"URI\": \"%s/progress\", \"Payload\": \"mine\"}, \"ProgressReportFrequency\":"
        " 300, \"StateCallback\": {\"URI\": \"%s/state\"}, \"StateReportFrequency\": 300, \"ErrorCallback\":"
        " {\"URI\": \"%s/error\"}, \"CutoverLock\": {\"URI\": \"%s/lock\", \"Payload\": \"now\"},"
        " \"CutoverUnlock\": {\"URI\": \"%s/unlock\"}}",
        uri, uri, uri, uri, uri);
    scene s = begin_scene(_i, "calls", extra);
    json_t *root, *dump;
    char *body;
    h_run *run;

    small_table(&s);
    run = h_start(s.conf);
    body = listener_wait(l, "/progress", 2, FOREVER);
    ck_assert_ptr_nonnull(body);
    root = payload(body);
    ck_assert_str_eq(json_string_value(json_object_get(root, "CustomPayload")), "mine");
    ck_assert_ptr_nonnull(json_object_get(root, "CurrentState"));
    json_decref(root);
    body = listener_wait(l, "/state", 2, 20);
    ck_assert_ptr_nonnull(body);
    root = payload(body);
    ck_assert_ptr_nonnull(json_object_get(root, "CopyStage"));
    json_decref(root);

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source,
          "SET SESSION binlog_format=STATEMENT; UPDATE %s.t SET v='y' WHERE id=1; SET SESSION binlog_format=ROW", s.db);
    ends_with(run, 4, 20);
    body = listener_wait(l, "/error", 1, 5);
    ck_assert_ptr_nonnull(body);
    root = payload(body);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(root, "ErrMessage")), "statement"));
    dump = json_loads(json_string_value(json_object_get(root, "StateDump")), 0, NULL);
    ck_assert_ptr_nonnull(json_object_get(dump, "LastWrittenBinlogPosition"));
    json_decref(dump);
    json_decref(root);
    h_run_free(run);
    end_scene(&s);

    s = begin_scene(_i, "locks", extra);
    small_table(&s);
    run = h_start("--automatic-cutover", s.conf);
    ends_with(run, 0, FOREVER);
    body = listener_wait(l, "/lock", 1, 1);
    ck_assert_ptr_nonnull(body);
    ck_assert_str_eq(body, "{\"Payload\":\"now\"}");
    free(body);
    body = listener_wait(l, "/unlock", 1, 1);
    ck_assert_ptr_nonnull(body);
    free(body);
    h_run_free(run);
    end_scene(&s);
    listener_stop(l);
    free(extra);
    free(uri);
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
    tcase_add_loop_test(t, interface__create_objects_needs_the_right_to_see_and_to_make_them, 0, FAMILIES);
    tcase_add_loop_test(t, interface__closed_streams_are_not_written_into_servers, 0, FAMILIES);
    tcase_add_loop_test(t, interface__dryrun_says_one_line_and_changes_nothing, 0, FAMILIES);
    tcase_add_loop_test(t, interface__an_unlike_table_stops_every_start_before_it_changes_anything, 0, FAMILIES);
    tcase_add_loop_test(t, interface__the_closing_line_does_not_claim_what_rows_from_before_make_untrue, 0, FAMILIES);
    tcase_add_loop_test(t, interface__a_directory_and_a_server_id_are_of_one_process, 0, FAMILIES);
    tcase_add_loop_test(t, interface__a_server_id_is_seen_to_be_taken_with_the_least_grants, 0, FAMILIES);
    tcase_add_loop_test(t, interface__objects_are_created_with_the_grants_that_check_asks_for, 0, FAMILIES);
    tcase_add_loop_test(t, interface__the_least_grants_are_enough, 0, FAMILIES);
    tcase_add_loop_test(t, interface__without_the_markers_grant_it_says_so_and_resumes_from_the_checkpoint, 0,
                        FAMILIES);
    tcase_add_loop_test(t, interface__tls_is_as_strict_as_it_is_told, 0, FAMILIES);
    tcase_add_loop_test(t, interface__users_of_every_plugin_log_in, 0, FAMILIES);
    tcase_add_loop_test(t, interface__sockets_will_do, 0, FAMILIES);
    tcase_add_loop_test(t, interface__the_http_port_is_ghostferrys, 0, FAMILIES);
    tcase_add_loop_test(t, interface__commands_reach_a_running_job, 0, FAMILIES);
    tcase_add_loop_test(t, interface__callbacks_are_called, 0, FAMILIES);
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
    return run_suite(suite());
}

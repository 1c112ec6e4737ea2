/* SPDX-License-Identifier: MIT */
/*
 * test_servers.c - settings of servers, and names, that must make no difference.
 *
 * One pair per family, with defaults as odd as they can be set, and an account that init_connect is run for (it spares
 * administrators). What the settings would do to a session that took them as they are: read our quotes and backslashes
 * otherwise, shift times, pad CHARs, translate text, never commit, or hang up after seconds.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum { FOREVER = 120, MIB = 1 << 20 };

#define ODD_MODE                                                                                                       \
    "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,PAD_CHAR_TO_FULL_LENGTH,"                \
    "NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT,NO_ZERO_DATE,NO_ZERO_IN_DATE,STRICT_TRANS_TABLES"
#define ODD_BOTH                                                                                                       \
    ODD_MODE " --autocommit=0 --wait-timeout=5 --interactive-timeout=5 --net-read-timeout=1 --net-write-timeout=1"     \
             " --explicit-defaults-for-timestamp=0 --innodb-strict-mode=0 --max-allowed-packet=256M"                   \
             " --group-concat-max-len=64 --lock-wait-timeout=1 --innodb-lock-wait-timeout=1"

static const struct {
    const char *family, *source, *target;
} pairs[] = {
    {"mariadb",
     ODD_BOTH " --lower-case-table-names=1 --character-set-server=ucs2 --collation-server=ucs2_general_ci"
              " --default-time-zone=-11:30",
     ODD_BOTH " --character-set-server=gbk --collation-server=gbk_bin --default-time-zone=+13:00"
              " --innodb-default-row-format=redundant --old-mode="},
    {"mysql",
     ODD_BOTH " --character-set-server=utf16 --collation-server=utf16_bin --default-time-zone=-11:30"
              " --sql-require-primary-key=ON --sql-generate-invisible-primary-key=ON --innodb-redo-log-capacity=1G",
     ODD_BOTH " --character-set-server=sjis --collation-server=sjis_bin --default-time-zone=+13:00"
              " --sql-require-primary-key=ON --sql-generate-invisible-primary-key=ON --innodb-redo-log-capacity=1G"
              " --innodb-default-row-format=redundant"},
    {"mysql", ODD_BOTH " --lower-case-table-names=1", ODD_BOTH},
};
enum { PAIRS = sizeof pairs / sizeof pairs[0], ODDEST = 2 /* the first two differ in all else as well */ };

static h_server *sources[PAIRS], *targets[PAIRS];
static h_server source_user[PAIRS], target_user[PAIRS]; /* the same servers for an account that is no administrator */

static void add_user(h_server *user, h_server *server, const char *grants)
{
    f_use(server, "mysql");
    h_sql(server, "SET autocommit=1; CREATE USER mover@'%%' IDENTIFIED BY 'it''s'; GRANT %s TO mover@'%%'", grants);
    h_sql(server, "SET GLOBAL init_connect='SET NAMES latin1, time_zone=''+05:45'', sql_select_limit=3'");
    *user = *server;
    user->admin = NULL;
    snprintf(user->user, sizeof user->user, "mover");
    snprintf(user->password, sizeof user->password, "it's");
}

static void start_servers(void)
{
    for (int i = 0; i < PAIRS; i++) {
        h_server_start_pair(&sources[i], &targets[i], pairs[i].family, pairs[i].source, pairs[i].target);
        add_user(&source_user[i], sources[i],
                 "SELECT, SHOW VIEW, TRIGGER, LOCK TABLES, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.*");
        add_user(&target_user[i], targets[i],
                 "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES ON *.*");
    }
}

static void end_servers(void)
{
    for (int i = 0; i < PAIRS; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

static char *config(int i, const char *databases, const char *extra)
{
    return h_config(&source_user[i], &target_user[i], databases, extra);
}

static void create(int i, const char *database)
{
    h_sql(sources[i], "SET SESSION sql_mode='', autocommit=1");
    f_database(sources[i], database);
}

static void cut_over(h_run *run, const char *dir)
{
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    ck_assert_int_eq(h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", dir), 0);
    f_ends(run, 0, FOREVER);
}

/* ---- settings ---- */

/* Values that each of the settings would alter, if our sessions let it. */
static void write_delicate(int i, int from)
{
    h_sql(
        sources[i],
        "INSERT INTO delicate VALUES (%d,'back\\\\slash ''\"\"','ab','2024-01-01 12:00:00',1.1,'0000-00-00',0,'é','x'),"
        "(%d,'\\\\','','1970-01-02 00:00:01',-1e-300,'2024-00-00',18446744073709551615,'ß||','\\\\''')",
        from, from + 1);
}

START_TEST(servers__odd_settings_make_no_difference)
{
    char *db = h_format("Odd%d", _i), *dir = h_path("checkpoints"), *conf, *lower;
    h_run *run;

    create(_i, db);
    h_sql(sources[_i],
          "CREATE TABLE delicate (id INT PRIMARY KEY, s VARCHAR(50), c CHAR(10), ts TIMESTAMP NULL,"
          " d DOUBLE, z DATE, u BIGINT UNSIGNED, l VARCHAR(20) CHARACTER SET latin1, w TEXT CHARACTER SET ucs2)"
          " CHARACTER SET utf8mb4");
    h_sql(sources[_i], "CREATE TABLE stamped (id INT PRIMARY KEY, a TIMESTAMP, b TIMESTAMP, n INT)");
    h_sql(sources[_i], "CREATE TABLE `Quoted` (id INT PRIMARY KEY, `a\"b` VARCHAR(10) DEFAULT 'it''s \\\\')");
    write_delicate(_i, 0);
    h_sql(sources[_i], "INSERT INTO stamped (id,n) VALUES (1,1),(2,2)");
    conf = config(_i, db, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    h_sleep(6); /* longer than every timeout of the servers */
    f_use(sources[_i], db);
    write_delicate(_i, 10);
    h_sql(sources[_i], "UPDATE delicate SET c='yz', s=CONCAT(s, '\\\\') WHERE id IN (0,10); UPDATE stamped SET n=3");
    cut_over(run, dir);
    lower = h_scalar(sources[_i], "SELECT IF(@@lower_case_table_names=1, LOWER('%s'), '%s')", db, db);
    ck_assert_uint_eq(h_compare(sources[_i], targets[_i], lower), 0);
    free(lower);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

/* ---- names ---- */

static const char *const names[] = {
    "select", "a b",         "back``tick", "it's",          "say \"so\"", "dot.ted",
    "100%s",  "back\\slash", "näme 表 ж",  "#hash--/*x*/;", "1234",       "$dollar@at",
};

static const char *const databases[] = {"group", "d b", "back``tick", "it's \"so\"", "dät 表 50%", "x@y#z--"};

static void make_named(int i, const char *db, const char *name)
{
    h_sql(sources[i],
          "CREATE TABLE `%s`.`%s` (`%s` INT, `k %s` VARCHAR(20), id INT, PRIMARY KEY (`%s`), UNIQUE `%s` (`k %s`),"
          " CONSTRAINT `c %s` CHECK (`%s` > -100)) COMMENT 'x'",
          db, name, name, name, name, name, name, name, name);
    h_sql(sources[i], "INSERT INTO `%s`.`%s` VALUES (1,'a',1),(2,'b',2),(0,'c',3)", db, name);
}

/* 64 characters each. Of wider ones a file system takes fewer, for the servers write them as five. */
static void make_long(int i)
{
    static const char ascii[] = "l23456789o123456789o123456789o123456789o123456789o123456789o1234";
    static const char cyrillic[] = "жжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжж"
                                   "жжжжжжжжжжжжжжжжжжжжжжжжжжжжжжжж";
    static const char wide[] = "表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表"
                               "表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表表";
    const char *tables[] = {ascii, cyrillic};

    for (size_t n = 0; n < 2; n++)
        h_sql(sources[i],
              "CREATE TABLE `%s` (`%s` INT PRIMARY KEY, v INT, UNIQUE `%s` (v)); INSERT INTO `%s` VALUES (1,2)",
              tables[n], wide, wide, tables[n]);
}

START_TEST(servers__names_of_all_kinds)
{
    char *dir = h_path("checkpoints"), *job = h_format("names%d", _i), *conf;
    char *list = h_format("group,d b,back`tick,it's \"so\",dät 表 50%%,x@y#z--");
    h_run *run;

    for (size_t d = 0; d < sizeof databases / sizeof *databases; d++) {
        create(_i, databases[d]);
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (d == 0 || n % 6 == d)
                make_named(_i, databases[d], names[n]);
    }
    f_use(sources[_i], databases[0]);
    make_long(_i);
    conf = config(_i, list, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", job, conf);
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    for (size_t d = 0; d < sizeof databases / sizeof *databases; d++) {
        f_use(sources[_i], databases[d]);
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (d == 0 || n % 6 == d)
                h_sql(sources[_i],
                      "INSERT INTO `%s` VALUES (5,'x',9); UPDATE `%s` SET `%s`=-7 WHERE id=1;"
                      "DELETE FROM `%s` WHERE id=2",
                      names[n], names[n], names[n], names[n]);
    }
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(sources[_i], targets[_i], list), 0);
    h_run_free(run);
    free(conf);
    free(list);
    free(job);
    free(dir);
}
END_TEST

/* ---- a target that takes no writes ---- */

START_TEST(servers__a_read_only_target_is_refused_or_waited_for)
{
    const char *variable = _i == 0 ? "read_only" : "super_read_only";
    char *db = h_format("ro%d", _i), *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;

    create(_i, db);
    h_sql(sources[_i], "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    conf = config(_i, db, NULL);
    h_sql(targets[_i], "SET GLOBAL %s=1", variable);
    ck_assert_int_eq(h_exec(NULL, &log, 60, "--checkpoint-dir", dir, "--job", db, conf), 2);
    ck_assert_ptr_nonnull(strstr(log, variable));
    free(log);

    h_sql(targets[_i], "SET GLOBAL %s=0; SET GLOBAL read_only=0", variable);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    h_sql(targets[_i], "SET GLOBAL %s=1", variable);
    f_use(sources[_i], db);
    h_sql(sources[_i], "INSERT INTO t VALUES (2); UPDATE t SET id=-1 WHERE id=1");
    h_sleep(3);
    ck_assert_int_eq(h_wait(run, 0), -1);
    h_sql(targets[_i], "SET GLOBAL %s=0; SET GLOBAL read_only=0", variable);
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(sources[_i], targets[_i], db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

/* ---- a row of 64 MiB: within each family, and to the other one ---- */

START_TEST(servers__a_row_of_64_mib_both_ways)
{
    const int from = _i % 2, to = _i < 2 ? from : 1 - from;
    char *db = h_format("large%d", _i), *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;

    create(from, db);
    h_sql(sources[from], "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, n INT)");
    h_sql(sources[from], "INSERT INTO t SELECT 1, REPEAT(X'00275CFF', %d), 0", 64 * MIB / 4);
    h_sql(sources[from],
          "CREATE TABLE document (id INT PRIMARY KEY, j JSON);"
          "INSERT INTO document SELECT 1, CONCAT('[', REPEAT('1234567,', %d), '0.5]')",
          10 * MIB / 8);
    conf = h_config(&source_user[from], &target_user[to], db, NULL);

    /* Too small a packet on the target: the row, its size and the setting are named. */
    h_sql(targets[to], "SET GLOBAL max_allowed_packet=%d", 32 * MIB);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    f_ends(run, 4, FOREVER);
    log = h_stderr(run);
    ck_assert_msg(strstr(log, "raise max_allowed_packet") != NULL && strstr(log, "id=1") != NULL, "%s", log);
    free(log);
    h_run_free(run);

    h_sql(targets[to], "SET GLOBAL max_allowed_packet=%d", 256 * MIB);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    f_use(sources[from], db);
    h_sql(sources[from], "INSERT INTO t SELECT 2, REPEAT('it''s \\\\ \\0', %d), 0", 64 * MIB / 8);
    h_sql(sources[from], "INSERT INTO document SELECT 2, CONCAT('{\"k\": \"', REPEAT('é', %d), '\"}')", 10 * MIB / 2);
    h_sql(sources[from], "UPDATE t SET n=n+1, b=CONCAT('x', SUBSTR(b, 2)) WHERE id=1");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(sources[from], targets[to], db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("servers");
    TCase *t = tcase_create("servers");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 400);
    tcase_add_loop_test(t, servers__odd_settings_make_no_difference, 0, PAIRS);
    tcase_add_loop_test(t, servers__names_of_all_kinds, 0, ODDEST);
    tcase_add_loop_test(t, servers__a_read_only_target_is_refused_or_waited_for, 0, ODDEST);
    tcase_add_loop_test(t, servers__a_row_of_64_mib_both_ways, 0, 2 * ODDEST);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

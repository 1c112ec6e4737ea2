/* SPDX-License-Identifier: MIT */
/*
 * test_schemas.c - schemas that no one here wrote: applications that Debian packages, moved while they are written to.
 *
 * scripts/schemas.sh has them. Their tables get rows from a generator that knows only information_schema (and Zabbix
 * its own rows as well), before the copy and while the run streams, then updates of keys and other columns, and
 * deletes. On MySQL foreign keys cascade, and what they change has to arrive. MariaDB does not log that: there the
 * preflight has to name the tables, and the move is made with the check switched off and no cascade happening.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum { LONG = 300, OWN_ROWS = 3000 };

static const char *const applications[] = {"zabbix", "roundcube", "cacti", "pdns"};
enum { APPLICATIONS = sizeof applications / sizeof applications[0] };

#define FAST      "--sync-binlog=0 --innodb-flush-log-at-trx-commit=2"
#define DATABASES "zabbix,roundcube,cacti,pdns"

static const char *const families[] = {"mysql", "mariadb"};

/* ---- loading ---- */

static char *schema_folder(void)
{
    char path[512] = "";
    FILE *p = popen("scripts/schemas.sh", "r");

    if (p == NULL || fgets(path, sizeof path, p) == NULL || pclose(p) != 0)
        h_fail("scripts/schemas.sh failed");
    path[strcspn(path, "\n")] = '\0';
    return h_format("%s", path);
}

/* Through the client, because some of the files are written for it (DELIMITER). */
static void load(h_server *server, const char *database, const char *source)
{
    char *command = h_format("%s | mariadb --no-defaults -uroot -h127.0.0.1 -P%u --init-command=\"SET sql_mode=''\" %s",
                             source, server->port, database);

    if (system(command) != 0)
        h_fail("failed: %s", command);
    free(command);
}

static void load_all(h_server *server, const char *folder)
{
    for (int i = 0; i < APPLICATIONS; i++) {
        char *cat = h_format("cat %s/%s.sql", folder, applications[i]);

        h_sql(server, "CREATE DATABASE %s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", applications[i]);
        load(server, applications[i], cat);
        free(cat);
    }
}

/* Zabbix's own rows as one transaction; generated writes may have removed what they refer to. */
static void load_rows(h_server *server, const char *folder, int from, int to)
{
    char *part = h_format(
        "(echo 'SET foreign_key_checks=0; START TRANSACTION;'; sed -n '%d,%dp' %s/zabbix-data.sql; echo 'COMMIT;')",
        from, to, folder);

    load(server, "zabbix", part);
    free(part);
}

/* ---- generated writes ---- */

/* An expression for a column of each type; %u: a seed of its own. */
#define EXPRESSION                                                                                                     \
    "CASE WHEN data_type IN ('tinyint','bool') THEN CONCAT('FLOOR(RAND(', s, ')*100)')"                                \
    " WHEN data_type IN ('smallint','mediumint','int','bigint') THEN CONCAT('FLOOR(RAND(', s, ')*30000)')"             \
    " WHEN data_type IN ('decimal','float','double') THEN CONCAT('ROUND(RAND(', s, ')*90,2)')"                         \
    " WHEN data_type IN ('enum','set') THEN CONCAT('1+FLOOR(RAND(', s, ')*2)')"                                        \
    " WHEN data_type IN ('date','datetime','timestamp') THEN CONCAT("                                                  \
    "'''2001-02-03 04:05:06'' + INTERVAL FLOOR(RAND(', s, ')*9e8) SECOND')"                                            \
    " WHEN data_type IN ('char','varchar') THEN CONCAT('LEFT(CONCAT(MD5(RAND(', s, ')),''\\\\''é\\\"''),',"           \
    " LEAST(character_maximum_length, 30), ')')"                                                                       \
    " WHEN data_type LIKE '%%text' THEN CONCAT('REPEAT(MD5(RAND(', s, ')),5)')"                                        \
    " ELSE CONCAT('UNHEX(MD5(RAND(', s, ')))') END"

#define COLUMNS                                                                                                        \
    "(SELECT c.*, ordinal_position*131+%u s FROM information_schema.columns c WHERE table_schema='%s'"                 \
    " AND table_name='%s' AND extra NOT LIKE '%%GENERATED%%') x"

/* Rows that meet a unique value or a foreign key are left out, here and there. */
static void write_table(h_server *server, const char *db, const char *table, unsigned seed)
{
    char *names = h_scalar(server, "SELECT GROUP_CONCAT('`',column_name,'`' ORDER BY ordinal_position) FROM " COLUMNS,
                           seed, db, table);
    char *values = h_scalar(server, "SELECT GROUP_CONCAT(" EXPRESSION " ORDER BY ordinal_position) FROM " COLUMNS, seed,
                            db, table);
    char *sets = h_scalar(
        server, "SELECT GROUP_CONCAT('`',column_name,'`='," EXPRESSION ") FROM " COLUMNS " WHERE column_key=''",
        seed + 1, db, table);
    char *key = h_scalar(server,
                         "SELECT CONCAT('`',column_name,'`=`',column_name,'`+40000') FROM " COLUMNS
                         " WHERE column_key='PRI' AND data_type IN ('int','bigint') LIMIT 1",
                         seed, db, table);

    h_sql_try(server, NULL,
              "INSERT IGNORE INTO %s.`%s` (%s) SELECT %s FROM (SELECT 1 n UNION ALL SELECT 2 UNION ALL"
              " SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) d",
              db, table, names, values);
    if (sets != NULL)
        h_sql_try(server, NULL, "UPDATE IGNORE %s.`%s` SET %s LIMIT 2", db, table, sets);
    if (key != NULL)
        h_sql_try(server, NULL, "UPDATE %s.`%s` SET %s LIMIT 1", db, table, key);
    h_sql_try(server, NULL, "DELETE FROM %s.`%s` LIMIT 1", db, table);
    free(names);
    free(values);
    free(sets);
    free(key);
}

/* Inserts need no parents; deletes and key changes cascade where that is logged. */
static void write_all(h_server *server, unsigned seed)
{
    MYSQL *db = h_connect(server);
    MYSQL_RES *result;
    MYSQL_ROW row;

    h_sql(server, "SET sql_mode='', group_concat_max_len=1000000, foreign_key_checks=%d",
          f_family(server) == ON_MYSQL && seed % 2 == 0);
    if (mysql_query(db, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type='BASE TABLE'"
                        " AND FIND_IN_SET(table_schema, '" DATABASES "') ORDER BY 1, 2") != 0)
        h_fail("%s", mysql_error(db));
    result = mysql_store_result(db);
    h_sql(server, "BEGIN");
    while ((row = mysql_fetch_row(result)) != NULL)
        write_table(server, row[0], row[1], seed);
    h_sql(server, "COMMIT");
    mysql_free_result(result);
    mysql_close(db);
}

/* ---- the move ---- */

static void expect_refusal(h_server *source, h_server *target)
{
    char *conf = h_config(source, target, DATABASES, NULL), *dir = h_path("checkpoints"), *err = NULL;

    ck_assert_int_eq(h_exec(NULL, &err, 60, "--checkpoint-dir", dir, "--job", "refused", conf), 2);
    ck_assert_ptr_nonnull(strstr(err, "CASCADE"));
    ck_assert_ptr_nonnull(strstr(err, "roundcube.contacts (")); /* the tables by name */
    free(err);
    free(dir);
    free(conf);
}

START_TEST(schemas__of_others_arrive)
{
    h_server *source, *target;
    char *folder = schema_folder(), *dir = h_path("checkpoints"), *conf;
    bool mysql = strcmp(families[_i], "mysql") == 0;
    h_run *run;

    /* Cacti has MEMORY tables, which a MySQL target takes only without that. */
    h_server_start_pair(&source, &target, families[_i], FAST,
                        mysql ? FAST " --gtid-mode=OFF --enforce-gtid-consistency=OFF" : FAST);
    load_all(source, folder);
    load_rows(source, folder, 2, OWN_ROWS);
    write_all(source, 1);
    if (!mysql)
        expect_refusal(source, target);
    conf = h_config(source, target, DATABASES, mysql ? NULL : "{\"SkipForeignKeyConstraintsCheck\": true}");
    run = h_start("--checkpoint-dir", dir, "--job", "schemas", "--lock-keyless-tables", conf);
    if (!h_wait_log(run, "stage copying", LONG))
        f_ends(run, 0, 1);
    write_all(source, 3);
    if (!h_wait_log(run, "stage streaming", LONG))
        f_ends(run, 0, 1);
    load_rows(source, folder, OWN_ROWS + 1, 2 * OWN_ROWS);
    write_all(source, 4);
    write_all(source, 6);
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    f_ends(run, 0, LONG);
    ck_assert_uint_eq(h_compare(source, target, DATABASES), 0);
    h_run_free(run);
    h_server_free(source);
    h_server_free(target);
    free(conf);
    free(dir);
    free(folder);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("schemas");

    for (int i = 0; i < 2; i++) {
        TCase *t = tcase_create(families[i]);

        tcase_set_timeout(t, 900);
        tcase_add_loop_test(t, schemas__of_others_arrive, i, i + 1);
        suite_add_tcase(s, t);
    }
    return s;
}

int main(void)
{
    return run_suite(suite());
}

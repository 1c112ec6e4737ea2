/* SPDX-License-Identifier: MIT */
/* The preflight against real servers of both families: one problem at a time is planted and has to be named. */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/check.h"
#include "harness/harness.h"
#include "run_suite.h"

static const char *const families[] = {"mariadb", "mysql"};
static h_server *sources[2], *targets[2];

static void start_servers(void)
{
    for (int i = 0; i < 2; i++)
        h_server_start_pair(&sources[i], &targets[i], families[i], NULL, NULL);
}

static void stop_servers(void)
{
    for (int i = 0; i < 2; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

static bool is_maria(int i)
{
    return i == 0;
}

/* One check: configuration, accounts, and what came out. */
typedef struct {
    gf_config config;
    h_server source, target;
    char *dbs[2], *rename_to[2];
    bool resuming;
    unsigned source_version; /* what the source is taken for; 0: what it says */
    gf_check_report report;
} fixture;

static fixture *fixture_of(h_server *source, h_server *target, const char *db)
{
    fixture *f = gf_calloc(1, sizeof *f);

    f->source = *source;
    f->target = *target;
    f->source.admin = f->target.admin = NULL;
    f->dbs[0] = gf_strdup(db);
    f->config.filter.db_whitelist = (gf_names){f->dbs, 1};
    f->config.marker_db = gf_strdup("_gfreplica");
    f->config.job = gf_strdup("default");
    f->config.chunk_bytes = f->config.batch_bytes = 1 << 20;
    return f;
}

static fixture *fixture_for(int i, const char *db)
{
    return fixture_of(sources[i], targets[i], db);
}

static void run(fixture *f)
{
    MYSQL *source = h_connect(&f->source), *target = h_connect(&f->target);
    gf_server_info source_info, target_info;
    gf_catalog *c = gf_catalog_new();
    gf_error err = {0};

    gf_check_free(&f->report);
    ck_assert_msg(gf_server_info_read(&source_info, source, &err) && gf_server_info_read(&target_info, target, &err),
                  "%s", err.text);
    if (f->source_version != 0)
        source_info.version = f->source_version;
    ck_assert_msg(
        gf_catalog_load(c, source, source_info.flavor, &f->config.filter, NULL, &err) &&
            gf_check_run(&f->report, &f->config, source, &source_info, target, &target_info, c, f->resuming, &err),
        "%s", err.text);
    gf_catalog_free(c);
    mysql_close(source);
    mysql_close(target);
}

static void done(fixture *f)
{
    gf_check_free(&f->report);
    free(f->config.marker_db);
    free(f->config.job);
    free(f->dbs[0]);
    free(f->rename_to[0]);
    free(f);
}

static void assert_problem(fixture *f, const char *text)
{
    ck_assert_msg(strstr(gf_buf_cstr(&f->report.problems), text) != NULL, "no '%s' in:\n%s", text,
                  (const char *)f->report.problems.data);
}

static void assert_warning(fixture *f, const char *text)
{
    ck_assert_msg(strstr(gf_buf_cstr(&f->report.warnings), text) != NULL, "no '%s' in:\n%s", text,
                  (const char *)f->report.warnings.data);
}

static void assert_fine(fixture *f)
{
    ck_assert_msg(f->report.problem_count == 0, "problems:\n%s", gf_buf_cstr(&f->report.problems));
}

START_TEST(check__is_content_with_an_ordinary_table)
{
    fixture *f = fixture_for(_i, "plain");

    h_sql(sources[_i], "CREATE DATABASE plain; CREATE TABLE plain.t (a INT PRIMARY KEY, b VARCHAR(9))");
    run(f);
    assert_fine(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "marker"));
    done(f);
}
END_TEST

START_TEST(check__is_content_with_least_privilege)
{
    fixture *f = fixture_for(_i, "least");

    h_sql(sources[_i],
          "CREATE DATABASE least; CREATE TABLE least.t (a INT PRIMARY KEY, iv INT INVISIBLE); "
          "CREATE USER least@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT SELECT ON least.* TO least@'127.0.0.1'; "
          "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO least@'127.0.0.1'");
    h_sql(targets[_i], "CREATE USER least@'127.0.0.1' IDENTIFIED BY 'pw'; "
                       "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES ON least.* TO "
                       "least@'127.0.0.1'; GRANT ALL ON `\\_gfreplica`.* TO least@'127.0.0.1'");
    snprintf(f->source.user, sizeof f->source.user, "least");
    snprintf(f->source.password, sizeof f->source.password, "pw");
    snprintf(f->target.user, sizeof f->target.user, "least");
    snprintf(f->target.password, sizeof f->target.password, "pw");
    run(f);
    assert_fine(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "marker"));
    if (!is_maria(_i))
        assert_warning(f, "GRANT XA_RECOVER_ADMIN ON *.* TO 'least'@'127.0.0.1'");
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "MyServerId"));
    f->config.server_id = 4711;
    run(f);
    assert_fine(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "MyServerId"));
    done(f);
}
END_TEST

START_TEST(check__tells_what_becomes_of_values_inside_documents)
{
    fixture *f = fixture_for(_i, "documents");

    h_sql(sources[_i], "CREATE DATABASE documents; CREATE TABLE documents.t (a INT PRIMARY KEY, j JSON)");
    run(f);
    assert_fine(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "JSON"));
    h_sql(sources[_i], "CREATE TABLE documents.u (j JSON)");
    f->config.lock_keyless = true;
    run(f);
    if (is_maria(_i)) /* a LONGTEXT */
        ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "JSON"));
    else
        assert_warning(f, "JSON columns documents.u.j, of tables without a key");
    h_sql(sources[_i], "DROP TABLE documents.u");
    f->source_version = 50744;
    run(f);
    if (is_maria(_i)) /* a LONGTEXT */
        ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "JSON"));
    else
        assert_warning(f, "JSON columns documents.t.j: documents arrive printing alike");
    done(f);
}
END_TEST

START_TEST(check__names_what_the_target_computes_itself)
{
    fixture *f = fixture_for(_i, "computed");

    h_sql(sources[_i],
          "CREATE DATABASE computed; CREATE TABLE computed.fine (id INT PRIMARY KEY, d DATETIME, ts TIMESTAMP NULL,"
          " y INT AS (YEAR(d)) STORED, s INT AS (id + 1) STORED, v DATE AS (DATE(ts)) VIRTUAL)");
    run(f);
    assert_fine(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "computed"));
    h_sql(sources[_i], "CREATE TABLE computed.z (id INT PRIMARY KEY, ts TIMESTAMP NULL, d DATE AS (DATE(ts)) STORED,"
                       " e DATETIME AS (ts) VIRTUAL, UNIQUE u (e), r VARCHAR(60) AS (id / 7) STORED)");
    run(f);
    assert_fine(f);
    assert_warning(f, "source: computed.z.d: what is computed there names a TIMESTAMP");
    assert_warning(f, "source: unique keys computed.z.u: what is computed there names a TIMESTAMP");
    assert_warning(f, "source: stored columns computed.z.r:");
    if (is_maria(_i)) {
        h_sql(sources[_i], "CREATE TABLE computed.o (id INT PRIMARY KEY, a DATE, b DATE, PERIOD FOR p (a, b),"
                           " UNIQUE w (id, p WITHOUT OVERLAPS))");
        run(f);
        assert_problem(f, "computed.o: rows can't be written again under its key w, WITHOUT OVERLAPS");
    } else {
        h_sql(sources[_i], "CREATE TABLE computed.x (id INT PRIMARY KEY, ts TIMESTAMP NULL,"
                           " UNIQUE g ((CAST(ts AS CHAR(30)))))");
        run(f);
        assert_warning(f, "computed.x.g");
    }
    done(f);
}
END_TEST

START_TEST(check__names_each_missing_grant)
{
    fixture *f = fixture_for(_i, "nogrants");

    h_sql(sources[_i], "CREATE DATABASE nogrants; CREATE TABLE nogrants.t (a INT PRIMARY KEY, b INT); "
                       "CREATE USER nobody@'127.0.0.1' IDENTIFIED BY 'pw'; "
                       "GRANT SELECT (a) ON nogrants.t TO nobody@'127.0.0.1'");
    h_sql(targets[_i], "CREATE USER nobody@'127.0.0.1' IDENTIFIED BY 'pw'");
    snprintf(f->source.user, sizeof f->source.user, "nobody");
    snprintf(f->source.password, sizeof f->source.password, "pw");
    snprintf(f->target.user, sizeof f->target.user, "nobody");
    snprintf(f->target.password, sizeof f->target.password, "pw");
    /* a column grant shows one column only; the whole definition comes from a connection that may see it */
    h_sql(sources[_i], "GRANT INSERT ON nogrants.t TO nobody@'127.0.0.1'");
    run(f);
    assert_problem(f, "GRANT REPLICATION SLAVE ON *.* TO 'nobody'@'127.0.0.1'");
    assert_problem(f, "GRANT REPLICATION CLIENT ON *.* TO 'nobody'@'127.0.0.1'");
    assert_problem(f, "nogrants.t: GRANT SELECT ON `nogrants`.* TO 'nobody'@'127.0.0.1'");
    assert_problem(f, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `nogrants`.* TO 'nobody'@'127.0.0.1'");
    assert_warning(f, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON `_gfreplica`.* TO 'nobody'@'127.0.0.1'");
    done(f);
}
END_TEST

START_TEST(check__names_a_database_that_nothing_is_seen_of)
{
    fixture *f = fixture_for(_i, "unseen");

    h_sql(sources[_i], "CREATE DATABASE unseen; CREATE TABLE unseen.t (a INT PRIMARY KEY); "
                       "CREATE USER blind@'127.0.0.1' IDENTIFIED BY 'pw'");
    h_sql(targets[_i], "CREATE USER blind@'127.0.0.1' IDENTIFIED BY 'pw'");
    snprintf(f->source.user, sizeof f->source.user, "blind");
    snprintf(f->source.password, sizeof f->source.password, "pw");
    snprintf(f->target.user, sizeof f->target.user, "blind");
    snprintf(f->target.password, sizeof f->target.password, "pw");
    run(f);
    assert_problem(f, "GRANT SELECT ON `unseen`.* TO 'blind'@'127.0.0.1'");
    assert_problem(f, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `unseen`.* TO 'blind'@'127.0.0.1'");
    done(f);
}
END_TEST

START_TEST(check__refuses_to_leave_out_tables_that_may_not_be_read)
{
    fixture *f = fixture_for(_i, "partly");

    h_sql(sources[_i], "CREATE DATABASE partly; CREATE TABLE partly.t (a INT PRIMARY KEY); "
                       "CREATE TABLE partly.hidden (a INT PRIMARY KEY); "
                       "CREATE USER partly@'127.0.0.1' IDENTIFIED BY 'pw'; "
                       "GRANT SELECT ON partly.t TO partly@'127.0.0.1'; "
                       "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO partly@'127.0.0.1'");
    snprintf(f->source.user, sizeof f->source.user, "partly");
    snprintf(f->source.password, sizeof f->source.password, "pw");
    run(f);
    assert_problem(f, "GRANT SELECT ON `partly`.* TO 'partly'@'127.0.0.1', or name the tables");
    f->config.filter.table_whitelist = (gf_names){.items = (char *[]){"t"}, .count = 1};
    run(f);
    assert_fine(f);
    f->config.filter.table_whitelist = (gf_names){0};
    done(f);
}
END_TEST

START_TEST(check__refuses_statement_format_and_partial_images)
{
    fixture *f = fixture_for(_i, "settings");

    h_sql(sources[_i], "CREATE DATABASE settings; CREATE TABLE settings.t (a INT PRIMARY KEY); "
                       "SET GLOBAL binlog_format='MIXED'; SET GLOBAL binlog_row_image='MINIMAL'");
    run(f);
    h_sql(sources[_i], "SET GLOBAL binlog_format='ROW'; SET GLOBAL binlog_row_image='FULL'");
    assert_problem(f, "binlog_format is MIXED");
    assert_problem(f, "SET GLOBAL binlog_row_image='FULL'");
    ck_assert_uint_eq(f->report.problem_count, 2);
    done(f);
}
END_TEST

START_TEST(check__tells_about_retention_and_packets)
{
    fixture *f = fixture_for(_i, "packets");

    h_sql(sources[_i], "CREATE DATABASE packets; CREATE TABLE packets.t (a INT PRIMARY KEY); "
                       "SET GLOBAL binlog_expire_logs_seconds=7200");
    h_sql(targets[_i], "SET GLOBAL max_allowed_packet=4194304");
    h_sql(sources[_i], "SET GLOBAL max_allowed_packet=67108864");
    run(f);
    assert_fine(f);
    assert_warning(f, "kept for 2 hours (binlog_expire_logs_seconds=7200)");
    assert_warning(f, "SET GLOBAL max_allowed_packet=67108864");
    f->config.chunk_bytes = 8 << 20;
    run(f);
    assert_problem(f, "max_allowed_packet is 4194304");
    h_sql(targets[_i], "SET GLOBAL max_allowed_packet=67108864");
    done(f);
}
END_TEST

START_TEST(check__refuses_a_target_that_cannot_be_written)
{
    fixture *f = fixture_for(_i, "readonly");

    h_sql(sources[_i], "CREATE DATABASE readonly; CREATE TABLE readonly.t (a INT PRIMARY KEY)");
    h_sql(targets[_i], "SET GLOBAL %s=ON; SET GLOBAL binlog_format='STATEMENT'",
          is_maria(_i) ? "read_only" : "super_read_only");
    run(f);
    h_sql(targets[_i], "SET GLOBAL read_only=OFF; SET GLOBAL binlog_format='ROW'");
    if (is_maria(_i)) /* root has READ ONLY ADMIN there */
        assert_warning(f, "read_only is ON");
    else
        assert_problem(f, "SET GLOBAL super_read_only=OFF");
    assert_problem(f, "binlog_format is STATEMENT");
    done(f);
}
END_TEST

START_TEST(check__refuses_keyless_tables_unless_rule_k_applies)
{
    fixture *f = fixture_for(_i, "keyless");

    h_sql(sources[_i], "CREATE DATABASE keyless; CREATE TABLE keyless.t (a INT, UNIQUE u (a))");
    run(f);
    if (is_maria(_i)) {
        assert_fine(f);
    } else {
        assert_problem(f, "keyless.t has no primary key");
        assert_problem(f, "--lock-keyless-tables");
        f->config.lock_keyless = true;
        run(f);
        assert_fine(f);
    }
    assert_warning(f, "keyless.t");
    f->config.no_marker = true;
    run(f);
    assert_problem(f, "keyless.t has no primary key");
    done(f);
}
END_TEST

/* The marker's row is InnoDB's, and a MySQL target that wants GTIDs consistent takes no mixture in one transaction. */
START_TEST(check__refuses_tables_whose_rows_are_elsewhere)
{
    fixture *f = fixture_for(_i, "borrowing");

    h_sql(sources[_i], "CREATE DATABASE borrowing; USE borrowing; CREATE TABLE base (a INT PRIMARY KEY) ENGINE=MyISAM;"
                       "CREATE TABLE whole (a INT PRIMARY KEY) ENGINE=MERGE UNION=(base)");
    run(f);
    assert_problem(f, "borrowing.whole: engine MRG_M"); /* the families spell it in two ways */
    assert_problem(f, "ISAM keeps no rows of its own");
    done(f);
}
END_TEST

START_TEST(check__names_tables_of_engines_without_transactions)
{
    fixture *f = fixture_for(_i, "engines");

    h_sql(sources[_i], "CREATE DATABASE engines; CREATE TABLE engines.m (a INT PRIMARY KEY) ENGINE=MyISAM");
    run(f);
    if (is_maria(_i))
        assert_warning(f, "engines without transactions: these tables end equal but may differ meanwhile: engines.m");
    else
        assert_problem(f, "can't be written together with others: engines.m");
    h_sql(sources[_i], "CREATE TABLE engines.k (a INT) ENGINE=MyISAM"); /* a retry would write its rows twice */
    run(f);
    assert_problem(f, "engines.k has no primary key and no other unique NOT NULL key to name its rows by, and what was "
                      "written of it in engine MyISAM can't be rolled back");
    done(f);
}
END_TEST

/* What is computed of a row is part of it, whoever has made the table. */
START_TEST(check__refuses_other_expressions_of_tables_that_are_there)
{
    fixture *f = fixture_for(_i, "expressed");

    h_sql(sources[_i],
          "CREATE DATABASE expressed; CREATE TABLE expressed.t (id INT PRIMARY KEY, a INT, g INT AS (a + 1));"
          "CREATE TABLE expressed.same (id INT PRIMARY KEY, a INT, g INT AS (a + 1))");
    h_sql(targets[_i],
          "CREATE DATABASE expressed; CREATE TABLE expressed.t (id INT PRIMARY KEY, a INT, g INT AS (a + 2));"
          "CREATE TABLE expressed.same (id INT PRIMARY KEY, a INT, g INT AS (a + 1))");
    run(f);
    assert_problem(f, "expressed.t is there already, and its expression of column `g` is another one");
    ck_assert_uint_eq(f->report.problem_count, 1);
    done(f);
}
END_TEST

/* Documents that are numbered by the table itself; and a key that MariaDB can't be asked for. */
START_TEST(check__refuses_what_a_server_does_not_stand)
{
    fixture *f = fixture_for(_i, "limits");
    gf_buf sql = {0};

    h_sql(sources[_i],
          "CREATE DATABASE limits; CREATE TABLE limits.numbered (FTS_DOC_ID BIGINT UNSIGNED NOT NULL PRIMARY"
          " KEY, b TEXT, FULLTEXT (b)); CREATE TABLE limits.plain (id INT PRIMARY KEY, b TEXT, FULLTEXT (b));"
          "CREATE TABLE limits.named (FTS_DOC_ID BIGINT UNSIGNED NOT NULL PRIMARY KEY)");
    if (is_maria(_i)) {
        gf_buf_str(&sql, "CREATE TABLE limits.longest (");
        for (int i = 0; i < 32; i++)
            gf_buf_printf(&sql, "c%d INT NOT NULL, ", i);
        for (int i = 0; i < 32; i++)
            gf_buf_printf(&sql, "%sc%d", i == 0 ? "PRIMARY KEY (" : ",", i);
        gf_buf_str(&sql, "))");
        h_sql(sources[_i], "%s", gf_buf_cstr(&sql));
    }
    run(f);
    assert_problem(f, "limits.numbered has a column FTS_DOC_ID");
    if (is_maria(_i))
        assert_problem(f, "limits.longest has a key of 32 columns");
    ck_assert_uint_eq(f->report.problem_count, is_maria(_i) ? 2 : 1);
    gf_buf_free(&sql);
    done(f);
}
END_TEST

START_TEST(check__refuses_tables_with_rows_unless_allowed_or_resuming)
{
    fixture *f = fixture_for(_i, "existing");

    h_sql(sources[_i], "CREATE DATABASE existing; CREATE TABLE existing.t (a INT PRIMARY KEY); "
                       "CREATE TABLE existing.empty (a INT PRIMARY KEY); CREATE TABLE existing.v (a INT PRIMARY KEY)");
    h_sql(targets[_i], "CREATE DATABASE existing; CREATE TABLE existing.t (a INT PRIMARY KEY); "
                       "CREATE TABLE existing.empty (a INT PRIMARY KEY); INSERT INTO existing.t VALUES (1); "
                       "CREATE VIEW existing.v AS SELECT 1");
    run(f);
    assert_problem(f, "tables hold rows already: existing.t: ");
    assert_problem(f, "existing.v is there already and is no table");
    ck_assert_uint_eq(f->report.problem_count, 2);
    f->config.allow_existing = true;
    run(f);
    ck_assert_uint_eq(f->report.problem_count, 1);
    f->config.allow_existing = false;
    f->resuming = true;
    run(f);
    assert_fine(f);
    done(f);
}
END_TEST

START_TEST(check__names_each_table_that_is_unlike_the_sources)
{
    fixture *f = fixture_for(_i, "unlike");

    h_sql(sources[_i], "CREATE DATABASE unlike; USE unlike; CREATE TABLE a (id INT PRIMARY KEY); "
                       "CREATE TABLE k (id INT PRIMARY KEY, v VARCHAR(30), w INT); "
                       "CREATE TABLE k2 (id INT PRIMARY KEY, v VARCHAR(30)); CREATE TABLE k3 LIKE k2; "
                       "CREATE TABLE k4 LIKE k2");
    h_sql(targets[_i], "CREATE DATABASE unlike; USE unlike; CREATE TABLE k (id INT PRIMARY KEY, v VARCHAR(20), w INT "
                       "NOT NULL); CREATE TABLE k2 (id INT PRIMARY KEY, v INT); CREATE TABLE k3 (id INT PRIMARY KEY, v "
                       "VARCHAR(30), UNIQUE KEY u (v)); CREATE TABLE k4 (id INT PRIMARY KEY, v VARCHAR(30), KEY (v))");
    run(f);
    assert_problem(f, "target: unlike.k is not like the source's unlike.k: column `v` is varchar(20), on the source "
                      "varchar(30), column `w` is NOT NULL, on the source NULL: drop it");
    assert_problem(f, "unlike.k2: column `v` is int");
    assert_problem(f, "unlike.k3: it has a unique key `u` that the source has not");
    ck_assert_uint_eq(f->report.problem_count, 3);
    f->config.allow_existing = true;
    run(f);
    ck_assert_uint_eq(f->report.problem_count, 3);
    f->resuming = true; /* what has become of them meanwhile is in the stream */
    run(f);
    assert_fine(f);
    done(f);
}
END_TEST

START_TEST(check__asks_for_what_the_cutover_needs)
{
    fixture *f = fixture_for(_i, "counted");

    h_sql(sources[_i], "CREATE DATABASE counted; CREATE TABLE counted.t (a INT PRIMARY KEY AUTO_INCREMENT)");
    h_sql(targets[_i], "CREATE USER counted@'127.0.0.1' IDENTIFIED BY 'pw'; "
                       "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON counted.* TO counted@'127.0.0.1'");
    snprintf(f->target.user, sizeof f->target.user, "counted");
    snprintf(f->target.password, sizeof f->target.password, "pw");
    run(f);
    assert_problem(f, "GRANT ALTER ON `counted`.* TO 'counted'@'127.0.0.1'");
    assert_warning(f, "GRANT REFERENCES, DROP, INDEX ON `counted`.* TO 'counted'@'127.0.0.1'");
    done(f);
}
END_TEST

START_TEST(check__refuses_triggers_on_the_target)
{
    fixture *f = fixture_for(_i, "triggered");

    h_sql(sources[_i], "CREATE DATABASE triggered; CREATE TABLE triggered.t (a INT PRIMARY KEY, b INT)");
    h_sql(targets[_i], "CREATE DATABASE triggered; CREATE TABLE triggered.t (a INT PRIMARY KEY, b INT); "
                       "CREATE TRIGGER triggered.tr BEFORE INSERT ON triggered.t FOR EACH ROW SET NEW.b = NEW.b + 1; "
                       "CREATE USER sightless@'127.0.0.1' IDENTIFIED BY 'pw'; "
                       "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON triggered.* TO sightless@'127.0.0.1'");
    run(f);
    assert_problem(f, "target: triggered.t has a trigger (tr)");
    f->config.allow_existing = true;
    run(f);
    assert_warning(f, "target: triggered.t has a trigger (tr)");
    f->config.allow_existing = false;
    snprintf(f->target.user, sizeof f->target.user, "sightless");
    snprintf(f->target.password, sizeof f->target.password, "pw");
    run(f);
    if (is_maria(_i))
        assert_problem(f, "target: triggered.t has a trigger (tr)");
    else
        assert_warning(f, "have no triggers, they would change rows once more (`triggered`.`t`)");
    done(f);
}
END_TEST

START_TEST(check__refuses_cascades_that_are_not_logged)
{
    fixture *f = fixture_for(_i, "fk");

    h_sql(sources[_i],
          "CREATE DATABASE fk; CREATE DATABASE fk_other; CREATE TABLE fk_other.o (a INT PRIMARY KEY); "
          "CREATE TABLE fk.p (a INT PRIMARY KEY); "
          "CREATE TABLE fk.c (a INT PRIMARY KEY, `b``)` INT, CONSTRAINT `c``fk` FOREIGN KEY (`b``)`) "
          "REFERENCES fk.p (a) ON DELETE SET NULL); "
          "CREATE TABLE fk.r (a INT PRIMARY KEY, b INT, c INT, CONSTRAINT plain FOREIGN KEY (b) REFERENCES "
          "fk.p (a), CONSTRAINT away FOREIGN KEY (c) REFERENCES fk_other.o (a)) COMMENT 'x ON DELETE CASCADE'");
    run(f);
    assert_warning(f, "foreign key away of fk.r refers to fk_other.o");
    if (!is_maria(_i)) { /* MySQL 9.6 and later logs them */
        assert_fine(f);
        done(f);
        return;
    }
    assert_problem(f, "fk.c (c`fk): leave");
    f->config.skip_foreign_keys_check = true;
    run(f);
    assert_fine(f);
    assert_warning(f, "the target will differ: fk.c (c`fk)");
    done(f);
}
END_TEST

START_TEST(check__refuses_prepared_xa_transactions)
{
    fixture *f = fixture_for(_i, "xa");
    MYSQL *session;

    h_sql(sources[_i], "CREATE DATABASE xa; CREATE TABLE xa.t (a INT PRIMARY KEY)");
    session = h_connect(sources[_i]);
    ck_assert_int_eq(mysql_query(session, "XA START 'trx1'"), 0);
    ck_assert_int_eq(mysql_query(session, "INSERT INTO xa.t VALUES (1)"), 0);
    ck_assert_int_eq(mysql_query(session, "XA END 'trx1'"), 0);
    ck_assert_int_eq(mysql_query(session, "XA PREPARE 'trx1'"), 0);
    run(f);
    ck_assert_int_eq(mysql_query(session, "XA ROLLBACK 'trx1'"), 0);
    mysql_close(session);
    assert_problem(f, is_maria(_i) ? "trx1" : "0x74727831");
    run(f);
    assert_fine(f);
    done(f);
}
END_TEST

START_TEST(check__refuses_to_move_a_server_onto_itself)
{
    fixture *f = fixture_of(sources[_i], sources[_i], "selfmove");

    h_sql(sources[_i], "CREATE DATABASE selfmove; CREATE TABLE selfmove.t (a INT PRIMARY KEY)");
    run(f);
    assert_problem(f, "it is the source itself, under the same names (selfmove.t)");
    f->rename_to[0] = gf_strdup("selfmoved");
    f->config.filter.db_renames = (gf_renames){f->dbs, f->rename_to, 1};
    run(f);
    assert_fine(f);
    f->config.filter.db_whitelist.count = 0; /* now the new name is selected too */
    run(f);
    assert_problem(f, "the new names are selected to be moved again");
    done(f);
}
END_TEST

START_TEST(check__refuses_renames_that_collide)
{
    fixture *f = fixture_for(_i, "collide");
    char *from[] = {"a"}, *to[] = {"b"};

    h_sql(sources[_i], "CREATE DATABASE collide; CREATE TABLE collide.a (a INT PRIMARY KEY); "
                       "CREATE TABLE collide.b (a INT PRIMARY KEY)");
    f->config.filter.table_renames = (gf_renames){from, to, 1};
    run(f);
    assert_problem(f, "both become collide.b");
    f->rename_to[0] = gf_strdup("_gfreplica");
    f->config.filter.table_renames.count = 0;
    f->config.filter.db_renames = (gf_renames){f->dbs, f->rename_to, 1};
    run(f);
    assert_problem(f, "would go into the marker's own database");
    done(f);
}
END_TEST

START_TEST(check__names_what_the_other_family_lacks)
{
    fixture *f = fixture_of(sources[_i], targets[1 - _i], "crossing");
    char *from[1], *to[] = {"utf8mb4_general_ci"};
    const char *collation = is_maria(_i) ? "utf8mb4_uca1400_ai_ci" : "utf8mb4_0900_as_cs";

    from[0] = gf_strdup(collation);
    h_sql(sources[_i],
          "CREATE DATABASE crossing COLLATE utf8mb4_bin; CREATE TABLE crossing.t (a INT PRIMARY KEY, "
          "b VARCHAR(9) CHARACTER SET utf8mb4 COLLATE %s) DEFAULT CHARSET=latin1",
          collation);
    if (is_maria(_i))
        h_sql(sources[0], "CREATE TABLE crossing.u (a UUID PRIMARY KEY); CREATE TABLE crossing.e (a INT PRIMARY KEY) "
                          "ENGINE=Aria; CREATE TABLE crossing.v (a INT PRIMARY KEY) WITH SYSTEM VERSIONING");
    run(f);
    assert_problem(f, collation);
    assert_problem(f, "used by crossing.t.b");
    if (is_maria(_i)) {
        assert_problem(f, "crossing.u");
        assert_problem(f, "no engine Aria, used by crossing.e");
        assert_problem(f, "system-versioned tables can't be moved with their history yet: crossing.v");
    }
    f->config.map_collation = (gf_renames){from, to, 1};
    run(f);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.problems), "has no collation"));
    free(from[0]);
    done(f);
}
END_TEST

/* What --create-objects could not make at the cutover is told before: sessions, collations, packages, renamed databases. */
START_TEST(check__names_the_objects_that_can_not_be_made)
{
    fixture *f = fixture_of(sources[_i], targets[1 - _i], "objcross");

    h_sql(sources[_i],
          "CREATE DATABASE objcross COLLATE %s; USE objcross; CREATE TABLE t (a INT PRIMARY KEY);"
          "SET sql_mode='%s'; CREATE PROCEDURE p() SELECT 1; SET sql_mode=''; SET NAMES utf8mb4 COLLATE "
          "utf8mb4_bin; CREATE VIEW fine AS SELECT 1",
          is_maria(_i) ? "utf8mb4_general_nopad_ci" : "utf8mb4_0900_ai_ci",
          is_maria(_i) ? "EMPTY_STRING_IS_NULL" : "TIME_TRUNCATE_FRACTIONAL");
    if (is_maria(_i))
        h_sql(sources[0], "USE objcross; SET sql_mode='ORACLE'; CREATE PACKAGE pack AS FUNCTION f RETURN INT; END");
    f->config.target = (gf_server_config){
        .role = "target", .host = f->target.host, .port = f->target.port, .user = f->target.user, .connect_timeout = 9};
    f->config.create_objects = true;
    run(f);
    assert_problem(f, is_maria(_i) ? "no collation utf8mb4_general_nopad_ci, used by "
                                   : "no collation utf8mb4_0900_ai_ci, used by ");
    assert_problem(f, "can't have a session like those in which the source's objcross.p were made");
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.problems), "objcross.fine"));
    if (is_maria(_i))
        assert_problem(f, "MySQL has no packages (pack)");
    f->rename_to[0] = gf_strdup("another");
    f->config.filter.db_renames = (gf_renames){f->dbs, f->rename_to, 1};
    run(f);
    assert_problem(f, "of objcross can't be created in another");
    done(f);
}
END_TEST

/* Of one family as well. */
START_TEST(check__tells_of_objects_that_are_broken_there_already_or_name_others)
{
    fixture *f = fixture_for(_i, "objhere");

    h_sql(
        sources[_i],
        "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.e (a INT); CREATE DATABASE objhere; USE objhere; CREATE TABLE t "
        "(a INT PRIMARY KEY); CREATE TABLE gone (a INT); CREATE VIEW broken AS SELECT a FROM gone; DROP TABLE gone;"
        "CREATE VIEW naming AS SELECT a FROM elsewhere.e; CREATE TRIGGER writes AFTER INSERT ON t FOR EACH ROW INSERT INTO "
        "elsewhere.e VALUES (1); CREATE PROCEDURE p() SELECT 'nowhere.elsewhere', 1; CREATE VIEW same AS SELECT 1; CREATE "
        "VIEW istable AS SELECT 1");
    h_sql(targets[_i],
          "CREATE DATABASE objhere; USE objhere; CREATE PROCEDURE p() SELECT 2; CREATE TABLE istable (a INT)");
    f->config.target = (gf_server_config){
        .role = "target", .host = f->target.host, .port = f->target.port, .user = f->target.user, .connect_timeout = 9};
    f->config.create_objects = true;
    run(f);
    assert_warning(f, "view objhere.broken seems to be broken there");
    assert_problem(f, "objhere.istable is there already and is no view (BASE TABLE)");
    assert_warning(f, "kept as they are: procedure objhere.p:");
    assert_warning(f, "trigger objhere.writes (elsewhere)");
    assert_warning(f, "view objhere.naming (elsewhere)");
    ck_assert_ptr_null(strstr(gf_buf_cstr(&f->report.warnings), "procedure objhere.p (elsewhere)"));
    done(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("check");
    TCase *tc = tcase_create("check");

    tcase_add_unchecked_fixture(tc, start_servers, stop_servers);
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, check__is_content_with_an_ordinary_table, 0, 2);
    tcase_add_loop_test(tc, check__is_content_with_least_privilege, 0, 2);
    tcase_add_loop_test(tc, check__tells_what_becomes_of_values_inside_documents, 0, 2);
    tcase_add_loop_test(tc, check__names_what_the_target_computes_itself, 0, 2);
    tcase_add_loop_test(tc, check__names_each_missing_grant, 0, 2);
    tcase_add_loop_test(tc, check__names_a_database_that_nothing_is_seen_of, 0, 2);
    tcase_add_loop_test(tc, check__refuses_to_leave_out_tables_that_may_not_be_read, 0, 2);
    tcase_add_loop_test(tc, check__refuses_statement_format_and_partial_images, 0, 2);
    tcase_add_loop_test(tc, check__tells_about_retention_and_packets, 0, 2);
    tcase_add_loop_test(tc, check__refuses_a_target_that_cannot_be_written, 0, 2);
    tcase_add_loop_test(tc, check__refuses_keyless_tables_unless_rule_k_applies, 0, 2);
    tcase_add_loop_test(tc, check__refuses_tables_whose_rows_are_elsewhere, 0, 2);
    tcase_add_loop_test(tc, check__names_tables_of_engines_without_transactions, 0, 2);
    tcase_add_loop_test(tc, check__refuses_tables_with_rows_unless_allowed_or_resuming, 0, 2);
    tcase_add_loop_test(tc, check__refuses_other_expressions_of_tables_that_are_there, 0, 2);
    tcase_add_loop_test(tc, check__refuses_what_a_server_does_not_stand, 0, 2);
    tcase_add_loop_test(tc, check__names_each_table_that_is_unlike_the_sources, 0, 2);
    tcase_add_loop_test(tc, check__asks_for_what_the_cutover_needs, 0, 2);
    tcase_add_loop_test(tc, check__refuses_triggers_on_the_target, 0, 2);
    tcase_add_loop_test(tc, check__refuses_cascades_that_are_not_logged, 0, 2);
    tcase_add_loop_test(tc, check__refuses_prepared_xa_transactions, 0, 2);
    tcase_add_loop_test(tc, check__refuses_to_move_a_server_onto_itself, 0, 2);
    tcase_add_loop_test(tc, check__refuses_renames_that_collide, 0, 2);
    tcase_add_loop_test(tc, check__names_what_the_other_family_lacks, 0, 2);
    tcase_add_loop_test(tc, check__names_the_objects_that_can_not_be_made, 0, 2);
    tcase_add_loop_test(tc, check__tells_of_objects_that_are_broken_there_already_or_name_others, 0, 2);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_ddl.c - definitions change on the source while its tables are copied and followed (rule C4).
 *
 * What is repeated must leave both servers with the same definitions (h_compare: SHOW CREATE TABLE) and rows, wherever
 * the statement meets the job: chunks in flight, the stream, a kill between any two of its steps. What is not repeated
 * must stop the run before it touches the target, and say why.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "run_suite.h"

enum { FOREVER = 120, MARIADB = 1, MYSQL_ = 2, BOTH = 3 };

static const struct way {
    const char *name, *family, *options;
    int is;
} ways[] = {
    {"mariadb", "mariadb", NULL, MARIADB},
    {"mysql", "mysql", NULL, MYSQL_},
    {"mysql without GTIDs", "mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF", MYSQL_},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const struct way *way; /* of the running case */
static h_server *source, *target;

static void start_way(int i)
{
    way = &ways[i];
    h_server_start_pair(&source, &target, way->family, way->options, NULL);
    h_sql(source, "CREATE DATABASE other");
}

static void end_servers(void)
{
    h_server_free(source);
    h_server_free(target);
    source = target = NULL;
}

static void tell(const h_run *run)
{
    char *log = h_stderr(run);

    fprintf(stderr, "%s\n", log);
    free(log);
}

static void ends(h_run *run, int wanted)
{
    int code = h_wait(run, FOREVER);

    if (code != wanted)
        tell(run);
    ck_assert_int_eq(code, wanted);
}

static void must_log(h_run *run, const char *text)
{
    bool found = h_wait_log(run, text, FOREVER);

    if (!found)
        tell(run);
    ck_assert_msg(found, "no '%s'", text);
}

/* A line of the script is a packet of statements; the session is its own. */
static void run_script(const char *database, const char *script)
{
    char *text = h_format("%s", script), *rest = NULL;
    MYSQL *db = h_connect(source);

    if (mysql_select_db(db, database) != 0)
        h_fail("%s: %s", database, mysql_error(db));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        int more = mysql_query(db, line);

        while (more == 0) {
            mysql_free_result(mysql_store_result(db));
            more = mysql_next_result(db);
        }
        if (more > 0)
            h_fail("%s: %s: %s", database, line, mysql_error(db));
    }
    mysql_close(db);
    free(text);
}

/* ---- every kind of statement ---- */

typedef struct {
    int families;
    const char *name; /* the database */
    const char *before, *during;
} scenario;

#define ITEMS "CREATE TABLE items (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 7, v VARCHAR(20), b TEXT)\n"
#define SOME  "INSERT INTO items VALUES (1,1,'one','text'),(2,2,'two',NULL),(3,3,NULL,''),(4,4,'four','4')\n"

static const scenario repeated[] = {
    {BOTH, "columns", ITEMS SOME,
     "ALTER TABLE items ADD z INT NOT NULL DEFAULT 5, ADD y VARCHAR(10) AFTER id\nINSERT INTO items VALUES (5,'y',5,'v','b',9)\n"
     "ALTER TABLE items DROP COLUMN v\nUPDATE items SET z=z+1 WHERE id<3\nALTER TABLE items CHANGE n m BIGINT UNSIGNED NULL\n"
     "INSERT INTO items (id,m) VALUES (6,18446744073709551615)\nALTER TABLE items MODIFY b LONGTEXT CHARACTER SET latin1\n"
     "UPDATE items SET b=_latin1 X'E9' WHERE id=1\nALTER TABLE items RENAME COLUMN y TO why, ALTER z SET DEFAULT 11\n"
     "INSERT INTO items (id) VALUES (7); DELETE FROM items WHERE id=4"},
    {BOTH, "keys", ITEMS SOME,
     "CREATE UNIQUE INDEX n ON items (n)\nUPDATE items SET n=n+100\nCREATE INDEX v ON items (v, n DESC)\nDROP INDEX v ON items\n"
     "ALTER TABLE items DROP PRIMARY KEY, ADD PRIMARY KEY (n)\nUPDATE items SET id=77, n=5 WHERE n=101\n"
     "ALTER TABLE items DROP PRIMARY KEY, ADD PRIMARY KEY (id, n), ADD KEY user (v)\nDELETE FROM items WHERE n=5\n"
     "ALTER TABLE items RENAME INDEX n TO nn\nINSERT INTO items VALUES (9,9,'9','9')"},
    {BOTH, "counters",
     "CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, v INT)\nINSERT INTO items (v) VALUES (1),(2)",
     "ALTER TABLE items AUTO_INCREMENT=1000\nINSERT INTO items (v) VALUES (3)\nALTER TABLE items MODIFY id BIGINT AUTO_INCREMENT\n"
     "INSERT INTO items (v) VALUES (4); TRUNCATE TABLE items; INSERT INTO items (v) VALUES (5)"},
    {BOTH, "whole_tables", ITEMS SOME "CREATE TABLE gone LIKE items\nINSERT INTO gone SELECT * FROM items",
     "CREATE TABLE made (id INT PRIMARY KEY, v TEXT)\nINSERT INTO made VALUES (1,'x')\nCREATE TABLE copy LIKE items\n"
     "INSERT INTO copy SELECT * FROM items\nTRUNCATE items; INSERT INTO items (id) VALUES (99)\nDROP TABLE gone\n"
     "RENAME TABLE items TO old_items, copy TO items\nUPDATE items SET v='new'; UPDATE old_items SET v='old'\n"
     "RENAME TABLE made TO a, items TO made, a TO items\nINSERT INTO items VALUES (2,'y'); UPDATE made SET v='made'\n"
     "DROP TABLE IF EXISTS nothing, old_items\nCREATE TABLE IF NOT EXISTS items (z INT)\nALTER TABLE made RENAME TO done, ADD q INT\n"
     "INSERT INTO done (id,q) VALUES (50,51)\nCREATE TABLE gone (id INT PRIMARY KEY)\nINSERT INTO gone VALUES (3)\n"
     "CREATE TABLE loose (v INT, w VARCHAR(9))\nINSERT INTO loose VALUES (1,'a'),(1,'a'),(2,NULL)\nDELETE FROM loose WHERE v=1 LIMIT 1"},
    {BOTH, "ghost", ITEMS SOME,
     "CREATE TABLE _items_gho LIKE items\nCREATE TABLE _items_ghc (id BIGINT AUTO_INCREMENT PRIMARY KEY, hint VARCHAR(64) NOT NULL, value VARCHAR(4096) NOT NULL, UNIQUE KEY hint_uidx (hint)) AUTO_INCREMENT=256\n"
     "ALTER TABLE _items_gho ADD COLUMN extra DATETIME(6) NULL, ADD UNIQUE KEY (n)\nINSERT INTO _items_ghc (hint,value) VALUES ('state','x') ON DUPLICATE KEY UPDATE value='y'\n"
     "INSERT IGNORE INTO _items_gho (id,n,v,b) SELECT id,n,v,b FROM items\nREPLACE INTO _items_gho (id,n,v,b) VALUES (8,8,'8','8')\n"
     "CREATE TABLE _items_del (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB COMMENT='ghost-cut-over-sentry'\nDROP TABLE IF EXISTS _items_del\n"
     "RENAME TABLE items TO _items_del, _items_gho TO items\nUPDATE items SET extra=NOW(6)\nDROP TABLE _items_del, _items_ghc\nINSERT INTO items (id,n) VALUES (30,30)"},
    {BOTH, "partitions",
     "CREATE TABLE items (id INT, d INT, v TEXT, PRIMARY KEY (id,d)) PARTITION BY RANGE (d) (PARTITION p0 VALUES LESS THAN (2), PARTITION p1 VALUES LESS THAN (4))\n"
     "INSERT INTO items VALUES (1,1,'a'),(2,2,'b'),(3,3,'c')",
     "ALTER TABLE items ADD PARTITION (PARTITION p2 VALUES LESS THAN (10))\nINSERT INTO items VALUES (7,7,'7')\n"
     "ALTER TABLE items DROP PARTITION p0\nALTER TABLE items TRUNCATE PARTITION p1\nINSERT INTO items VALUES (3,3,'again')\n"
     "ALTER TABLE items REORGANIZE PARTITION p2 INTO (PARTITION p2 VALUES LESS THAN (8), PARTITION p3 VALUES LESS THAN MAXVALUE)\n"
     "INSERT INTO items VALUES (90,90,'90')\nALTER TABLE items REMOVE PARTITIONING\nUPDATE items SET v='x'\n"
     "ALTER TABLE items /*!50100 PARTITION BY HASH (id) PARTITIONS 3 */\nDELETE FROM items WHERE id=7"},
    {BOTH, "sessions",
     ITEMS SOME
     "CREATE TABLE times (id INT PRIMARY KEY, ts TIMESTAMP NULL, dt DATETIME NULL)\nINSERT INTO times VALUES (1,'2024-05-05 05:05:05','2024-05-05 05:05:05')",
     "SET time_zone='+05:30'; ALTER TABLE times MODIFY ts DATETIME NULL, MODIFY dt TIMESTAMP NULL\nINSERT INTO times VALUES (2,'2024-01-01 00:00:00','2024-01-01 00:00:00')\n"
     "SET time_zone='-03:00'; ALTER TABLE times ADD t2 TIMESTAMP NOT NULL DEFAULT '2020-02-02 02:02:02'\n"
     "SET timestamp=1234567890.123456; ALTER TABLE items ADD c1 DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), ADD c2 TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)\n"
     "SET timestamp=DEFAULT; ALTER TABLE items ADD c3 DATETIME NOT NULL DEFAULT NOW(), ADD c4 DATETIME(6) DEFAULT NOW(6)\n"
     "SET NAMES latin1; ALTER TABLE items ADD c5 VARCHAR(9) CHARACTER SET latin1 DEFAULT 'x\xe9y', COMMENT='caf\xe9'\n"
     "SET NAMES utf8mb4; SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'; ALTER TABLE \"items\" ADD \"c 6\" VARCHAR(20) DEFAULT 'a\\'\n"
     "SET sql_mode=''; ALTER TABLE items MODIFY v VARCHAR(2); ALTER TABLE items MODIFY n TINYINT NOT NULL; UPDATE items SET n=3\n"
     "SET sql_mode=DEFAULT; SET collation_connection=utf8mb4_bin; ALTER TABLE items ADD g VARCHAR(30) GENERATED ALWAYS AS (CONCAT(v,'A')) STORED\n"
     "INSERT INTO items (id,n) VALUES (100,100); SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci\nSET collation_server=latin1_bin, character_set_database=DEFAULT; ALTER TABLE items ADD w VARCHAR(5)"},
    {BOTH, "foreign_keys",
     "CREATE TABLE a (id INT PRIMARY KEY)\nCREATE TABLE b (id INT PRIMARY KEY, a INT)\nINSERT INTO a VALUES (1),(2)\nINSERT INTO b VALUES (1,1),(2,2)",
     "ALTER TABLE b ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES a (id)\nINSERT INTO a VALUES (3); INSERT INTO b VALUES (3,3)\n"
     "ALTER TABLE b DROP FOREIGN KEY k\nDELETE FROM a WHERE id=1\nSET foreign_key_checks=0; ALTER TABLE b ADD CONSTRAINT k2 FOREIGN KEY (a) REFERENCES a (id)\n"
     "RENAME TABLE a TO aa\nCREATE TABLE c (id INT PRIMARY KEY, a INT, CONSTRAINT k3 FOREIGN KEY (a) REFERENCES aa (id))\nINSERT INTO c VALUES (1,2)"},
    /* Keys that the server has made for a foreign key go when another one will do, and their names are free again. */
    {BOTH, "spare_keys",
     "CREATE TABLE p (id INT PRIMARY KEY)\nINSERT INTO p VALUES (1),(2)\n"
     "CREATE TABLE c (id INT PRIMARY KEY, pid INT, x INT, FOREIGN KEY (pid) REFERENCES p (id))\nINSERT INTO c VALUES (1,1,1)\n"
     "CREATE TABLE d LIKE c\nALTER TABLE d DROP KEY pid, ADD CONSTRAINT named FOREIGN KEY (pid) REFERENCES p (id)\n"
     "CREATE TABLE e (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (id))\nINSERT INTO e VALUES (1,1)",
     "ALTER TABLE c ADD KEY mine (pid,x)\nINSERT INTO c VALUES (2,2,2)\nALTER TABLE c ADD KEY pid (x)\nUPDATE c SET x=5\n"
     "ALTER TABLE d ADD KEY mine (pid,x)\nCREATE INDEX named ON d (x)\nINSERT INTO d VALUES (2,2,2)\n"
     "ALTER TABLE e ADD UNIQUE KEY a_u (a)\nINSERT INTO e VALUES (2,2)"},
    {BOTH, "checks", "CREATE TABLE items (id INT PRIMARY KEY, n INT)\nINSERT INTO items VALUES (1,1),(2,2)",
     "ALTER TABLE items ADD CONSTRAINT positive CHECK (n > 0)\nINSERT INTO items VALUES (3,3)\nALTER TABLE items DROP CONSTRAINT positive\n"
     "INSERT INTO items VALUES (4,-4)\nALTER TABLE items CONVERT TO CHARACTER SET latin1, COMMENT='it''s', ROW_FORMAT=DYNAMIC\nOPTIMIZE TABLE items; ANALYZE TABLE items\n"
     "ALTER TABLE items ENGINE=InnoDB; ALTER TABLE items FORCE; ALTER TABLE items ORDER BY n\nUPDATE items SET n=5 WHERE id=4"},
    {MARIADB, "maria", ITEMS SOME,
     "ALTER TABLE items ADD COLUMN IF NOT EXISTS q INT, DROP COLUMN IF EXISTS nothing\nCREATE OR REPLACE TABLE items (id INT PRIMARY KEY, u UUID, i INET6)\n"
     "INSERT INTO items VALUES (1,UUID(),'::1')\nALTER TABLE items ADD h TEXT, ADD UNIQUE (h)\nINSERT INTO items VALUES (2,UUID(),'::2',REPEAT('h',9000))\n"
     "SET check_constraint_checks=0; ALTER TABLE items ADD CHECK (id > 1)\nALTER TABLE items ADD z INT INVISIBLE\n"
     "SET collation_database=latin1_german2_ci; ALTER TABLE items ADD own VARCHAR(9); CREATE TABLE more (id INT PRIMARY KEY, s VARCHAR(9))\n"
     "CREATE INDEX IF NOT EXISTS z ON items (z)\nALTER TABLE IF EXISTS items WAIT 5 ADD zz INT\nUPDATE items SET z=1, zz=2"},
    {MYSQL_, "mysql_own", ITEMS SOME,
     "ALTER TABLE items ADD COLUMN j JSON, ALGORITHM=INSTANT\nUPDATE items SET j='{\"a\": 1}'\nALTER TABLE items ADD INDEX f ((n * 2)); ALTER TABLE items ALTER INDEX f INVISIBLE\n"
     "ALTER TABLE items ADD COLUMN hid INT INVISIBLE DEFAULT 4, DROP COLUMN j, ALGORITHM=INSTANT\nINSERT INTO items (id) VALUES (12)\n"
     "SET sql_generate_invisible_primary_key=ON; CREATE TABLE auto (v INT)\nINSERT INTO auto VALUES (5),(6)\nDELETE FROM auto WHERE v=5\n"
     "SET sql_generate_invisible_primary_key=OFF; CREATE TABLE t (id INT PRIMARY KEY, d VARCHAR(40) DEFAULT (UUID()))\nINSERT INTO t (id) VALUES (1),(2)"},
};
enum { REPEATED = sizeof repeated / sizeof repeated[0] };

static char *list_databases(const char *prefix)
{
    char *list = h_format("%s", "");

    for (int i = 0; i < REPEATED; i++) {
        char *longer;

        if ((repeated[i].families & way->is) == 0)
            continue;
        longer = h_format("%s%s%s%s", list, list[0] == '\0' ? "" : ",", prefix, repeated[i].name);
        free(list);
        list = longer;
    }
    return list;
}

static void each_repeated(const char *prefix, bool before)
{
    for (int i = 0; i < REPEATED; i++) {
        char *db = h_format("%s%s", prefix, repeated[i].name);

        if ((repeated[i].families & way->is) != 0) {
            if (before)
                h_sql(source, "CREATE DATABASE %s", db);
            run_script(db, before ? repeated[i].before : repeated[i].during);
        }
        free(db);
    }
}

static void compare_all(const char *prefix)
{
    unsigned differing = 0;

    for (int i = 0; i < REPEATED; i++) {
        char *db = h_format("%s%s", prefix, repeated[i].name);

        if ((repeated[i].families & way->is) != 0 && h_compare(source, target, db) != 0) {
            fprintf(stderr, "%s: %s differs\n", way->name, db);
            differing++;
        }
        free(db);
    }
    ck_assert_uint_eq(differing, 0);
}

static void cut_over(h_run *run, const char *dir)
{
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    ends(run, 0);
}

START_TEST(statement__is_repeated_in_the_stream)
{
    char *dir = h_path("checkpoints"), *databases = list_databases("s_"), *conf;
    h_run *run;

    each_repeated("s_", true);
    conf = h_config(source, target, databases, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "stream", conf);
    must_log(run, "stage streaming");
    each_repeated("s_", false);
    cut_over(run, dir);
    compare_all("s_");
    h_run_free(run);
    free(conf);
    free(databases);
    free(dir);
}
END_TEST

/* ---- while rows are copied ---- */

/* Rows enough for the copy to last, in small chunks. */
static void make_large(const char *database, const char *table)
{
    h_sql(source, "CREATE TABLE %s.%s (id INT PRIMARY KEY, n INT NOT NULL, v VARCHAR(60) NOT NULL)", database, table);
    h_sql(source, "INSERT INTO %s.%s VALUES (1,-1,'one'),(2,-2,'two'),(3,-3,'three')", database, table);
    for (int have = 3; have < 20000; have *= 2)
        h_sql(source, "INSERT INTO %s.%s SELECT id+%d, n-%d, CONCAT('row ',id) FROM %s.%s", database, table, have, have,
              database, table);
}

static const char *const slow =
    "{\"UpdatableConfig\": {\"DataIterationBatchSize\": 60}, \"DataIterationConcurrency\": 2}";

/* Each in the middle of a copy of its tables. The first are those that would go wrong first: servers differ in how a
   chunk is read, not in what the statements do to ranges and windows, so MariaDB has them all. */
static const char *const while_copying[] = {
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (n)",
    "ALTER TABLE t ADD UNIQUE (n); ALTER TABLE t DROP COLUMN id, RENAME COLUMN n TO id; UPDATE t SET v='other' WHERE id>-9",
    "ALTER TABLE u ADD q INT DEFAULT 3; RENAME TABLE t TO x, u TO t, x TO u; UPDATE t SET v='now t' WHERE id%7=0; UPDATE u SET v='now u' WHERE id%5=0",
    "DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY, other TEXT); INSERT INTO t SELECT id, v FROM u WHERE id<300",
    "CREATE TABLE g LIKE t; ALTER TABLE g ADD extra INT DEFAULT 1; INSERT INTO g (id,n,v) SELECT id,n,v FROM t; RENAME TABLE t TO old, g TO t; UPDATE t SET extra=2 WHERE id%3=0; DROP TABLE old",
    "ALTER TABLE t ADD z INT NOT NULL DEFAULT 5, DROP COLUMN v",
    "ALTER TABLE t CHANGE id ident BIGINT NOT NULL, ADD w VARCHAR(9) DEFAULT 'w' FIRST",
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (v, id); ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
    "TRUNCATE TABLE t; INSERT INTO t VALUES (1,1,'after')",
    "RENAME TABLE t TO renamed; UPDATE renamed SET n=n+1 WHERE id<5000; INSERT INTO renamed VALUES (-1,-1,'')",
    "CREATE UNIQUE INDEX nn ON t (n); ALTER TABLE u ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES t (n)",
};
enum { WHILE_COPYING = sizeof while_copying / sizeof while_copying[0], FEWER_COPYING = 5 };

START_TEST(statement__meets_a_copy)
{
    char *db = h_format("c%d", _i), *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;

    h_sql(source, "CREATE DATABASE %s", db);
    make_large(db, "t");
    make_large(db, "u");
    conf = h_config(source, target, db, slow);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    ck_assert(h_wait_rows(run, target, db, "t", 1, FOREVER));
    run_script(db, while_copying[_i]);
    must_log(run, "stage streaming");
    log = h_stderr(run);
    ck_assert_msg(strstr(log, "schema change at") < strstr(log, "stage streaming"), "the copy was over before");
    free(log);
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, db), 0);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

/* ---- under load, with kills ---- */

enum { MOST_ROUNDS = 4 }; /* a slow machine has to pass them all at the end */

/* The DDL thread: a table that is altered again and again, one that is swapped, one that comes and goes. */
typedef struct {
    pthread_t thread;
    atomic_bool stop;
    atomic_uint rounds;
    const char *database;
} changer;

static const char *const round_of_changes[] = {
    "ALTER TABLE w_extra ADD z INT NOT NULL DEFAULT 4",
    "INSERT INTO w_extra (id,v) SELECT COALESCE(MAX(id),0)+1, 'z' FROM w_extra; UPDATE w_extra SET z=z+1",
    "ALTER TABLE w_extra MODIFY z BIGINT NOT NULL DEFAULT 4 FIRST",
    "CREATE TABLE _w_new LIKE w_extra",
    "ALTER TABLE _w_new DROP COLUMN z, ADD KEY (v)",
    "INSERT INTO _w_new (id,v) SELECT id, v FROM w_extra",
    "RENAME TABLE w_extra TO _w_old, _w_new TO w_extra",
    "UPDATE w_extra SET v=CONCAT(LEFT(v,20),'s'); UPDATE _w_old SET v='old'",
    "DROP TABLE _w_old",
    "ALTER TABLE w_extra DROP KEY v",
    "INSERT INTO w_log (v) VALUES ('a'),('b')",
    "TRUNCATE TABLE w_log",
    "INSERT INTO w_log (v) VALUES ('c')",
    "ALTER TABLE w_log COMMENT='again'",
    "CREATE TABLE w_short (id INT PRIMARY KEY)",
    "INSERT INTO w_short VALUES (1),(2)",
    "DROP TABLE w_short",
};

static void *change(void *arg)
{
    changer *c = arg;
    MYSQL *db = h_connect(source);

    if (mysql_select_db(db, c->database) != 0)
        h_fail("%s", mysql_error(db));
    while (!atomic_load(&c->stop) && atomic_load(&c->rounds) < MOST_ROUNDS) {
        for (size_t i = 0; i < sizeof round_of_changes / sizeof round_of_changes[0]; i++) {
            int more = mysql_query(db, round_of_changes[i]);

            while (more == 0)
                more = mysql_next_result(db);
            if (more > 0)
                h_fail("%s: %s", round_of_changes[i], mysql_error(db));
            h_sleep(way->is == MYSQL_ ? 0.8 : 0.2); /* so that the job can catch up with what it has missed */
        }
        atomic_fetch_add(&c->rounds, 1);
    }
    mysql_close(db);
    mysql_thread_end();
    return NULL;
}

static void make_changing(const char *database)
{
    h_sql(source,
          "CREATE TABLE %s.w_extra (id INT PRIMARY KEY, v VARCHAR(40)); CREATE TABLE %s.w_log (id INT"
          " AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9)); INSERT INTO %s.w_extra VALUES (1,'first')",
          database, database, database);
}

static void begin_changes(changer *c, const char *database)
{
    *c = (changer){.database = database};
    if (pthread_create(&c->thread, NULL, change, c) != 0)
        h_fail("no thread");
}

static unsigned end_changes(changer *c)
{
    atomic_store(&c->stop, true);
    pthread_join(c->thread, NULL);
    return atomic_load(&c->rounds);
}

static unsigned seed = 4711;

static double a_moment(double longest)
{
    seed = seed * 1103515245U + 12345U;
    return longest * (double)(seed >> 16) / 65536.0;
}

enum { KILLS = 6 };

START_TEST(statement__survives_kills_at_any_moment)
{
    char *dir = h_path("checkpoints"), *conf;
    unsigned begun = 0, done = 0;
    h_workload *load;
    changer changes;
    h_run *run;

    h_workload_schema(source, "killed");
    h_workload_fill(source, "killed", 3000, 1);
    conf = h_config(source, target, "killed", "{\"UpdatableConfig\": {\"DataIterationBatchSize\": 50}}");
    make_changing("killed");
    load = h_workload_start(source, "killed", 2, 3000, 30, 2);
    for (int i = 0; i < KILLS; i++) {
        char *log;

        run = h_start("--checkpoint-dir", dir, "--job", "killed", conf);
        ck_assert(h_wait_log(run, i == 0 ? "stage copying" : "checkpoint directory", 20));
        if (i == 0) /* before, the start would meet statements that the schema it reads has passed */
            begin_changes(&changes, "killed");
        if (i % 3 == 0 || !h_wait_log(run, "schema change at", 15)) /* else while one runs, or just after it */
            h_sleep(0.3 + a_moment(2.5));
        h_sleep(a_moment(0.06));
        h_signal(run, SIGKILL);
        h_wait(run, 10);
        log = h_stderr(run);
        begun += strstr(log, "earlier run and runs now") != NULL;
        done += strstr(log, "earlier run and is done") != NULL;
        ck_assert_msg(strstr(log, " error: ") == NULL, "%s", log);
        free(log);
        h_run_free(run);
    }
    h_workload_stop(load);
    fprintf(stderr, "%s: %u rounds of DDL, found begun %u times, done %u times\n", way->name, end_changes(&changes),
            begun, done);
    run = h_start("--checkpoint-dir", dir, "--job", "killed", conf);
    ck_assert(h_wait_log(run, "stage streaming", 4 * FOREVER));
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "killed"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* A transaction on the target that an ALTER of that table has to wait for, until it is committed or closed. */
static MYSQL *hold_up(const char *statement)
{
    MYSQL *db = h_connect(target);

    if (mysql_query(db, "BEGIN") != 0 || mysql_query(db, statement) != 0)
        h_fail("%s", mysql_error(db));
    return db;
}

/* A server may go on with a statement whose client is gone: whoever comes next has to wait, and not run it twice. */
START_TEST(statement__outlives_the_process_that_sent_it)
{
    char *dir = h_path("checkpoints"), *conf;
    MYSQL *blocker;
    h_run *run;

    h_sql(source, "CREATE DATABASE outlives");
    run_script("outlives", ITEMS SOME);
    conf = h_config(source, target, "outlives", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "outlives", conf);
    must_log(run, "stage streaming");
    blocker = hold_up("DELETE FROM outlives.items WHERE id=-1");
    run_script("outlives", "ALTER TABLE items ADD z INT DEFAULT 1\nINSERT INTO items (id,z) VALUES (9,9)");
    must_log(run, "schema change at");
    h_sleep(0.5);
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    run = h_start("--checkpoint-dir", dir, "--job", "outlives", conf);
    must_log(run, "stage copying");
    h_sleep(1.5);
    if (mysql_query(blocker, "COMMIT") != 0)
        h_fail("%s", mysql_error(blocker));
    mysql_close(blocker);
    must_log(run, "begun by an earlier run and "); /* some servers see in time that the client is gone */
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "outlives"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* Its host frozen, a run's session stays and holds the lock: whoever comes next says whose it is, and gives up in the end. */
START_TEST(statement__of_a_frozen_instance_is_told_of)
{
    char *dir = h_path("checkpoints"), *other = h_path("others"), *copy, *conf, *log, *at;
    MYSQL *blocker;
    h_run *frozen, *run;

    h_sql(source, "CREATE DATABASE frozen");
    run_script("frozen", ITEMS SOME);
    conf = h_config(source, target, "frozen", NULL);
    frozen = h_start("--checkpoint-dir", dir, "--job", "frozen", conf);
    must_log(frozen, "stage streaming");
    blocker = hold_up("DELETE FROM frozen.items WHERE id=-1");
    run_script("frozen", "ALTER TABLE items ADD z INT DEFAULT 1");
    must_log(frozen, "schema change at");
    h_sleep(0.5);
    h_signal(frozen, SIGSTOP);
    mysql_close(blocker);
    copy = h_format("mkdir '%s' && cp '%s'/checkpoint-* '%s'/relay-* '%s'", other, dir, dir, other);
    ck_assert_int_eq(system(copy), 0);
    free(copy);
    run = h_start("--checkpoint-dir", other, "--job", "frozen", "--retry-timeout", "1", conf);
    must_log(run, "a schema change of another run of this job is not at its end on the target, but its connection");
    ends(run, 4);
    must_log(run, "is not at its end on the target after 1 s");
    log = h_stderr(run);
    at = strstr(log, "does not run any more, KILL ");
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_nonnull(strstr(log, " of 'root'@'"));
    h_sql(target, "KILL %ld", strtol(at + strlen("does not run any more, KILL "), NULL, 10));
    h_run_free(run);
    run = h_start("--checkpoint-dir", other, "--job", "frozen", conf);
    must_log(run, "begun by an earlier run and is done");
    must_log(run, "stage streaming");
    cut_over(run, other);
    ck_assert_uint_eq(h_compare(source, target, "frozen"), 0);
    h_signal(frozen, SIGKILL);
    h_wait(frozen, 10);
    h_run_free(frozen);
    h_run_free(run);
    free(log);
    free(conf);
    free(other);
    free(dir);
}
END_TEST

/* A target from before a schema change that nobody has told it of: what its tables were then is not known any more. */
START_TEST(checkpoint__that_has_passed_more_than_the_marker_is_refused)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE ahead");
    run_script("ahead", ITEMS SOME);
    conf = h_config(source, target, "ahead", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "ahead", conf);
    must_log(run, "stage streaming");
    run_script("ahead", "ALTER TABLE items ADD z INT DEFAULT 1");
    must_log(run, "schema change done");
    h_sleep(1);
    h_signal(run, SIGTERM);
    ends(run, 3);
    h_run_free(run);
    h_sql(target, "UPDATE _gfreplica.ddl SET passed=0 WHERE job='ahead'");
    run = h_start("--checkpoint-dir", dir, "--job", "ahead", conf);
    ends(run, 5);
    must_log(run, "put back to a time before a schema change");
    h_sql(target, "UPDATE _gfreplica.ddl SET passed=1 WHERE job='ahead'");
    h_run_free(run);
    run = h_start("--checkpoint-dir", dir, "--job", "ahead", conf);
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "ahead"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* The target loses what it had not made durable, and the process goes on by itself. */
START_TEST(statement__survives_crashes_of_the_target)
{
    char *dir = h_path("checkpoints"), *conf;
    changer changes;
    h_run *run;

    h_sql(source, "CREATE DATABASE crashed");
    make_large("crashed", "t");
    make_changing("crashed");
    h_sql(target, "SET GLOBAL innodb_flush_log_at_trx_commit=0");
    conf = h_config(source, target, "crashed", "{\"UpdatableConfig\": {\"DataIterationBatchSize\": 100}}");
    run = h_start("--checkpoint-dir", dir, "--job", "crashed", conf);
    must_log(run, "stage copying");
    begin_changes(&changes, "crashed");
    for (int i = 0; i < 3; i++) {
        h_sleep(1 + a_moment(2));
        h_server_kill(target);
        h_server_restart(target, NULL);
    }
    end_changes(&changes);
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "crashed"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* ---- what the target or the source is not ready for ---- */

/* A statement that the target can't execute as the source did is a fault to mend, and then the same command goes on. */
START_TEST(statement__is_tried_again_once_the_target_is_mended)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE mended");
    run_script("mended", ITEMS SOME);
    conf = h_config(source, target, "mended", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "mended", conf);
    must_log(run, "stage streaming");
    h_sql(target, "CREATE TABLE mended.extra (z INT)");
    run_script("mended",
               "CREATE TABLE extra (id INT PRIMARY KEY)\nINSERT INTO extra VALUES (4)\nALTER TABLE extra ADD z INT");
    ends(run, 4);
    must_log(run, "mended.extra is already on the target");
    h_run_free(run);
    h_sql(target, "DROP TABLE mended.extra");
    run = h_start("--checkpoint-dir", dir, "--job", "mended", conf);
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "mended"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

typedef struct {
    pthread_t thread;
    atomic_bool stop;
} swapper;

static void *swap_columns(void *arg)
{
    swapper *s = arg;
    MYSQL *db = h_connect(source);

    while (!atomic_load(&s->stop)) {
        if (mysql_query(db, "ALTER TABLE start.items CHANGE a b INT, CHANGE b a INT") != 0 ||
            mysql_query(db, "INSERT INTO start.items (a,b) VALUES (1,2)") != 0)
            h_fail("%s", mysql_error(db));
        h_sleep(0.005);
    }
    mysql_close(db);
    mysql_thread_end();
    return NULL;
}

/* False when the schema happened to be read between two changes: then all is repeated, and equal. */
static bool stops_at_start(unsigned attempt)
{
    char *dir = h_path("checkpoints"), *job = h_format("start%u", attempt), *conf;
    swapper s = {0};
    h_run *run;
    int code;

    h_sql(source, "CREATE DATABASE start");
    run_script("start", "CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b INT)");
    conf = h_config(source, target, "start", NULL);
    if (pthread_create(&s.thread, NULL, swap_columns, &s) != 0)
        h_fail("no thread");
    run = h_start("--checkpoint-dir", dir, "--job", job, conf);
    h_wait_log(run, "stage copying", 60); /* the schema has been read */
    atomic_store(&s.stop, true);
    pthread_join(s.thread, NULL);
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    code = h_wait(run, 60);
    if (code == 0)
        ck_assert_uint_eq(h_compare(source, target, "start"), 0);
    else
        must_log(run, "the source's definitions were read behind it");
    ck_assert(code == 0 || code == 4);
    h_sql(source, "DROP DATABASE start");
    h_sql(target, "DROP DATABASE IF EXISTS start");
    h_run_free(run);
    free(conf);
    free(job);
    free(dir);
    return code == 4;
}

/* A schema that is read behind a change has it already: repeated, it would turn the columns around once more, unseen. */
START_TEST(start__stops_where_the_schema_was_read_behind_a_change)
{
    unsigned attempt = 0;

    while (!stops_at_start(attempt))
        ck_assert_uint_lt(++attempt, 10);
}
END_TEST

/* The copy goes on before the stream has told what the table is by now: values of other forms than they were. */
START_TEST(statement__is_met_by_the_copy_before_the_stream)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE outrun");
    run_script("outrun",
               "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, b BIT(9), n INT, d DATE, j JSON, f FLOAT)\n"
               "INSERT INTO t (b, n, d, j, f) VALUES (5, 6, '2026-01-02', '[1]', 1.5)\n"
               "INSERT INTO t (b, n, d, j, f) SELECT 7, seq, '2026-01-02', '[2]', 2.5 FROM"
               " (WITH RECURSIVE s AS (SELECT 1 seq UNION ALL SELECT seq+1 FROM s WHERE seq<900) SELECT seq FROM s) q");
    conf = h_config(source, target, "outrun", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "outrun", "--chunk-rows", "1", "--readers", "1", conf);
    must_log(run, "stage copying");
    h_sleep(0.1);
    h_signal(run, SIGTERM);
    ends(run, 3);
    h_run_free(run);
    run_script("outrun",
               "UPDATE t SET n=n+1; UPDATE t SET n=n-1; UPDATE t SET n=n+1; UPDATE t SET n=n-1\n"
               "ALTER TABLE t MODIFY b VARBINARY(20), MODIFY n VARCHAR(20), MODIFY d VARCHAR(20), MODIFY j TEXT,"
               " MODIFY f VARCHAR(20)\n"
               "UPDATE t SET b='0123456789012', n='1),(2', d=\"'\", j='{', f='x'");
    run = h_start("--checkpoint-dir", dir, "--job", "outrun", "--chunk-rows", "1", "--readers", "1", conf);
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "outrun"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* Which utf8 is meant says old_mode, which is not in the event. */
START_TEST(cutover__stops_where_a_repeated_definition_differs)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE modes");
    run_script("modes", ITEMS SOME);
    conf = h_config(source, target, "modes", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "modes", conf);
    must_log(run, "stage streaming");
    run_script("modes", "SET old_mode=''; ALTER TABLE items ADD c VARCHAR(9) CHARACTER SET utf8");
    must_log(run, "schema change done");
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    ends(run, 4);
    must_log(run, "modes.items is not defined on the target as on the source");
    h_run_free(run);
    h_sql(target, "ALTER TABLE modes.items MODIFY c VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    run = h_start("--checkpoint-dir", dir, "--job", "modes", conf);
    must_log(run, "stage streaming");
    cut_over(run, dir);
    ck_assert_uint_eq(h_compare(source, target, "modes"), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* MySQL stores expressions as the session's sql_quote_show_create says, which is not logged either. */
START_TEST(cutover__does_not_mind_how_names_are_quoted)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE quoted");
    run_script("quoted", ITEMS SOME);
    conf = h_config(source, target, "quoted", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "quoted", conf);
    must_log(run, "stage streaming");
    run_script("quoted", "SET sql_quote_show_create=0; ALTER TABLE items ADD CHECK (n > 0), ADD d INT DEFAULT (n + 1)");
    if (way->is == MYSQL_)
        run_script("quoted", "SET sql_quote_show_create=0; ALTER TABLE items ADD INDEX f ((n + 1))");
    cut_over(run, dir);
    ck_assert_int_eq(h_exec(NULL, NULL, FOREVER, "verify", "--checkpoint-dir", dir, "--job", "quoted", conf), 0);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* Another hand on the target, one thing after the other: what the catalog does not hold is compared as well. */
static const struct {
    const char *hand, *says;
} by_hand[] = {
    {"DROP KEY k, ADD KEY k (n, v(3))", "its key `k` is another one on the target"},
    {"DROP KEY k, ADD KEY k (n DESC, v(3)), ALTER n SET DEFAULT 8", "its default of column `n` is another one"},
    {"ALTER n SET DEFAULT 7, ADD KEY more (v), ADD CONSTRAINT c CHECK (n < 900)",
     "its CHECK constraint `c` is there on the target alone"},
};
enum { BY_HAND = sizeof by_hand / sizeof by_hand[0] };

START_TEST(cutover__stops_where_keys_defaults_or_checks_differ)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE hands");
    run_script("hands", ITEMS SOME);
    conf = h_config(source, target, "hands", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "hands", conf);
    must_log(run, "stage streaming");
    run_script("hands", "ALTER TABLE items ADD KEY k (n DESC, v(3)), ADD CONSTRAINT positive CHECK (n > 0)");
    must_log(run, "schema change done");
    for (int i = 0; i < BY_HAND; i++) {
        must_log(run, "stage streaming");
        h_sql(target, "ALTER TABLE hands.items %s", by_hand[i].hand);
        h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
        ends(run, 4);
        must_log(run, by_hand[i].says);
        h_run_free(run);
        run = h_start("--checkpoint-dir", dir, "--job", "hands", conf);
    }
    h_sql(target, "ALTER TABLE hands.items DROP CONSTRAINT c");
    must_log(run, "stage streaming");
    cut_over(run, dir);
    must_log(run, "hands.items has a key `more` on the target that the source's has not");
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* What the binlog does not have. Rows in the same bytes as before would go into other columns. */
static const struct {
    const char *hidden, *says; /* NULL: it changes no row */
} hidden[] = {
    {"ALTER TABLE pairs RENAME COLUMN a TO b, RENAME COLUMN b TO a", ".pairs has another column 2 (`b`) on the source"},
    {"ALTER TABLE pairs MODIFY e ENUM('y','x')", ".pairs has another column 4 (`e`) on the source"},
    {"DROP TABLE pairs", ".pairs is gone on the source"},
    {"CREATE TABLE more (id INT PRIMARY KEY)", ".more is new on the source"},
    {"ALTER TABLE pairs ADD KEY (a), ALTER b SET DEFAULT 7", NULL},
};
enum { HIDDEN = sizeof hidden / sizeof hidden[0] };

static void meet_hidden(unsigned i)
{
    char *dir = h_path("checkpoints"), *db = h_format("hidden%u", i), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE %s", db);
    run_script(db,
               "CREATE TABLE pairs (id INT PRIMARY KEY, a INT, b INT, e ENUM('x','y')); INSERT INTO pairs VALUES (1, "
               "2, 3, 'x')\nCREATE TABLE altered (id INT PRIMARY KEY)");
    conf = h_config(source, target, db, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    must_log(run, "stage streaming");
    run_script(db, "ALTER TABLE altered ADD c INT"); /* is compared, but not as these are */
    must_log(run, "schema change done");
    h_sql(source, "SET sql_log_bin=0; USE %s; %s", db, hidden[i].hidden);
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    ends(run, hidden[i].says != NULL ? 4 : 0);
    if (hidden[i].says != NULL)
        must_log(run, hidden[i].says);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}

START_TEST(cutover__finds_what_the_binlog_does_not_have)
{
    for (unsigned i = 0; i < HIDDEN; i++)
        meet_hidden(i);
}
END_TEST

/* ---- what is not repeated ---- */

static const struct {
    int families;
    const char *before, *during, *extra;
    const char *words[3];
} refused[] = {
    {BOTH,
     ITEMS SOME,
     "ALTER TABLE items DROP PRIMARY KEY, ADD k INT AUTO_INCREMENT PRIMARY KEY",
     NULL,
     {"items", "order on disk"}},
    {MARIADB, ITEMS SOME, "ALTER TABLE items ADD u DOUBLE DEFAULT (RAND())", NULL, {"items", "draw anew"}},
    {MARIADB, ITEMS SOME, "ALTER TABLE items ENGINE=MyISAM", NULL, {"items", "engine"}},
    {BOTH, ITEMS SOME, "CREATE TABLE made SELECT * FROM items", NULL, {"made", "CREATE TABLE"}},
    {BOTH, ITEMS SOME, "RENAME TABLE items TO other.taken", NULL, {"items", "not selected"}},
    {BOTH,
     "CREATE TABLE a (id INT PRIMARY KEY)\nCREATE TABLE b LIKE a",
     "RENAME TABLE a TO c, b TO a, c TO b",
     NULL,
     {"names of equal tables"}},
    {BOTH,
     ITEMS SOME,
     "ALTER TABLE items ADD z INT",
     "{\"TableRewrites\": {\"items\": \"things\"}}",
     {"items", "another name"}},
    {MARIADB, ITEMS SOME, "ALTER TABLE items ADD z INT", "{\"DDL\": \"stop\"}", {"items", "ALTER TABLE"}},
    {MARIADB,
     "CREATE TABLE items (id INT PRIMARY KEY, n INT, v INT)",
     "ALTER TABLE items CHANGE v n INT AFTER id, CHANGE n v INT FIRST",
     NULL,
     {"several columns"}},
    {BOTH,
     "CREATE TABLE items (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2\nCREATE TABLE x (id INT PRIMARY KEY)",
     "ALTER TABLE items EXCHANGE PARTITION p0 WITH TABLE x",
     NULL,
     {"moves rows between tables"}},
    {BOTH, ITEMS SOME, "ALTER DATABASE CHARACTER SET latin1", NULL, {"ALTER DATABASE"}},
    {MARIADB, ITEMS SOME, "ALTER IGNORE TABLE items ADD UNIQUE (n)", NULL, {"items", "order on disk"}},
    {MARIADB, ITEMS SOME, "ALTER TABLE items ADD SYSTEM VERSIONING", NULL, {"items", "versioning"}},
    {MARIADB, ITEMS SOME, "SET binlog_alter_two_phase=ON; ALTER TABLE items ADD z INT", NULL, {"items", "two phases"}},
    {MARIADB,
     "CREATE TABLE a (id INT PRIMARY KEY)\nCREATE TABLE b (id INT PRIMARY KEY, a INT)",
     "ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE",
     NULL,
     {".b", "does not log"}},
    {MARIADB,
     "CREATE TABLE items (id INT PRIMARY KEY, tm TIME, d DATETIME)\nINSERT INTO items VALUES (1,'10:11:12',NULL)",
     "SET old_mode='ZERO_DATE_TIME_CAST'; ALTER TABLE items MODIFY tm DATETIME",
     NULL,
     {"tm of", "old_mode"}},
    {MARIADB,
     "CREATE TABLE items (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8mb4)\nINSERT INTO items VALUES (1,X'F09F988061')",
     "SET old_mode='', sql_mode=''; ALTER TABLE items MODIFY v VARCHAR(20) CHARSET utf8; ALTER TABLE items CONVERT TO CHARACTER SET utf8mb4",
     NULL,
     {"items", "old_mode", "utf8mb3 or utf8mb4"}},
};
enum { REFUSED = sizeof refused / sizeof refused[0] };

START_TEST(statement__stops_the_run_before_it_touches_the_target)
{
    char *db = h_format("r%d", _i), *dir = h_path("checkpoints"), *conf, *log, *before, *after;
    h_run *run;

    if ((refused[_i].families & way->is) == 0)
        return;
    h_sql(source, "CREATE DATABASE %s", db);
    run_script(db, refused[_i].before);
    conf = h_config(source, target, db, refused[_i].extra);
    run = h_start("--checkpoint-dir", dir, "--job", db, conf);
    must_log(run, "stage streaming");
    before = h_scalar(target,
                      "SELECT GROUP_CONCAT(table_name,'.',column_name,'.',column_type ORDER BY 1) FROM "
                      "information_schema.columns WHERE table_schema='%s'",
                      db);
    run_script(db, refused[_i].during);
    ends(run, 4);
    after = h_scalar(target,
                     "SELECT GROUP_CONCAT(table_name,'.',column_name,'.',column_type ORDER BY 1) FROM "
                     "information_schema.columns WHERE table_schema='%s'",
                     db);
    ck_assert_str_eq(before, after);
    log = h_stderr(run);
    for (int i = 0; i < 3 && refused[_i].words[i] != NULL; i++)
        ck_assert_msg(strstr(log, refused[_i].words[i]) != NULL, "no '%s' in %s", refused[_i].words[i], log);
    ck_assert_ptr_nonnull(strstr(log, "binlog.0"));
    free(before);
    free(after);
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}
END_TEST

/* ---- the suite ---- */

#define START_WAY(n)                                                                                                   \
    static void start_way_##n(void)                                                                                    \
    {                                                                                                                  \
        start_way(n);                                                                                                  \
    }
START_WAY(0)
START_WAY(1)
START_WAY(2)

static void add_rest(TCase *t, TCase *broken)
{
    tcase_add_test(t, statement__is_repeated_in_the_stream);
    tcase_add_loop_test(t, statement__stops_the_run_before_it_touches_the_target, 0, REFUSED);
    tcase_add_test(broken, statement__outlives_the_process_that_sent_it);
    tcase_add_test(broken, checkpoint__that_has_passed_more_than_the_marker_is_refused);
    tcase_add_test(broken, statement__survives_crashes_of_the_target);
    tcase_add_test(broken, statement__is_tried_again_once_the_target_is_mended);
    tcase_add_test(broken, start__stops_where_the_schema_was_read_behind_a_change);
    tcase_add_test(broken, cutover__stops_where_keys_defaults_or_checks_differ);
    tcase_add_test(broken, cutover__does_not_mind_how_names_are_quoted);
    tcase_add_test(broken, statement__is_met_by_the_copy_before_the_stream);
    tcase_add_test(broken, cutover__finds_what_the_binlog_does_not_have);
}

static Suite *suite(void)
{
    static void (*const starts[WAYS])(void) = {start_way_0, start_way_1, start_way_2};
    static const char *const broken_names[WAYS] = {"mariadb, broken", "mysql, broken", "mysql without GTIDs, broken"};
    Suite *s = suite_create("ddl");

    for (int i = 0; i < WAYS; i++) {
        TCase *t = tcase_create(ways[i].name), *broken = tcase_create(broken_names[i]);

        tcase_add_unchecked_fixture(t, starts[i], end_servers);
        tcase_add_unchecked_fixture(broken, starts[i], end_servers);
        tcase_set_timeout(t, 300);
        tcase_set_timeout(broken, 600);
        tcase_add_loop_test(t, statement__meets_a_copy, 0, ways[i].is == MARIADB ? WHILE_COPYING : FEWER_COPYING);
        tcase_add_test(broken, statement__survives_kills_at_any_moment);
        if (ways[i].options == NULL) /* nothing of these asks for GTIDs */
            add_rest(t, broken);
        if (ways[i].is == MARIADB) {
            tcase_add_test(broken, statement__of_a_frozen_instance_is_told_of);
            tcase_add_test(broken, cutover__stops_where_a_repeated_definition_differs);
        }
        suite_add_tcase(s, t);
        suite_add_tcase(s, broken);
    }
    return s;
}

int main(void)
{
    return run_suite(suite());
}

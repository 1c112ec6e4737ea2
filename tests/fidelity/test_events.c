/* SPDX-License-Identifier: MIT */
/*
 * test_events.c - whatever a session may do to the binlog is applied exactly, or stops the run by name.
 *
 * A scenario is a database with a session's work in it: before the copy and while the run streams. Those that have to
 * arrive run side by side in one job for each way of configuring a source, and are compared one by one. Those that
 * have to stop it get a job each, which must end with exit code 4 and name transaction, position and table.
 *
 * Scripts: a line is one packet of statements; a line that begins with "!" has to fail on the source. `other` is a
 * database that is not moved.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "run_suite.h"

enum {
    FOREVER = 240,
    NO_GTIDS = 0x10,
    GTIDS = 0x20,
    NEWER = 0x40
}; /* beside ON_MARIADB, ON_MYSQL: what the source must have */

typedef struct {
    int families;
    const char *name; /* the database */
    const char *before, *during;
} scenario;

#define ITEMS "CREATE TABLE items (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 7, v VARCHAR(20), b TEXT)\n"
#define SOME  "INSERT INTO items VALUES (1,1,'one','text'),(2,2,'two',NULL),(3,3,NULL,''),(4,4,'four','4')\n"

static const scenario applied[] = {
    {ON_BOTH, "several_maps",
     ITEMS SOME "CREATE TABLE more LIKE items\nINSERT INTO more SELECT * FROM items\n"
                "CREATE TABLE other.several_maps LIKE items; INSERT INTO other.several_maps SELECT * FROM items",
     "UPDATE items i JOIN more m USING (id) JOIN other.several_maps o USING (id) SET i.v='x', m.b=i.n, o.n=9 WHERE id>1\n"
     "DELETE i, m FROM items i JOIN more m USING (id) WHERE id=2\n"
     "INSERT INTO items SELECT id+10, n, v, b FROM other.several_maps\n"
     "INSERT INTO more (id) SELECT id*100 FROM items ON DUPLICATE KEY UPDATE n=more.n+1\n"
     "REPLACE INTO items SELECT id, n+1, 'replaced', b FROM more"},
    {ON_BOTH, "key_chain", ITEMS SOME "ALTER TABLE items ADD UNIQUE (n)",
     "UPDATE items SET id=id+1, n=n+1 ORDER BY id DESC; UPDATE items SET id=id-1 ORDER BY id\n"
     "BEGIN; UPDATE items SET n=99 WHERE n=2; UPDATE items SET n=2 WHERE n=3; UPDATE items SET n=3 WHERE n=99; COMMIT\n"
     "INSERT IGNORE INTO items VALUES (1,50,'',''),(50,3,'',''),(51,51,'','')\n"
     "!INSERT INTO items VALUES (60,60,'',''),(61,3,'','')"},
    {ON_BOTH, "savepoints", ITEMS SOME,
     "BEGIN; INSERT INTO items (id) VALUES (10); SAVEPOINT a; INSERT INTO items (id) VALUES (11); SAVEPOINT `b``c`;"
     "DELETE FROM items WHERE id=1; ROLLBACK TO `b``c`; UPDATE items SET v='kept' WHERE id=2; ROLLBACK TO SAVEPOINT a;"
     "INSERT INTO items (id) VALUES (12); RELEASE SAVEPOINT a; COMMIT\n"
     "BEGIN; DELETE FROM items; ROLLBACK\n"
     "SET sql_mode='ANSI_QUOTES'; BEGIN; INSERT INTO items (id) VALUES (20); SAVEPOINT \"x\\y\"\"z`\";"
     "INSERT INTO items (id) VALUES (21); ROLLBACK TO \"x\\y\"\"z`\"; INSERT INTO items (id) VALUES (22); COMMIT;"
     "SET sql_mode=DEFAULT"},
    {NEWER, "vectors",
     "CREATE TABLE v (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, w VECTOR(2), VECTOR KEY (v))\n"
     "INSERT INTO v VALUES (1,VEC_FROMTEXT('[1,-2.5,3e-3]'),NULL),(2,X'0000803F0000000000000080',VEC_FROMTEXT('[0,1]'))",
     "INSERT INTO v VALUES (3,VEC_FROMTEXT('[7,8,9]'),NULL); UPDATE v SET w=VEC_FROMTEXT('[3.25,4]') WHERE id=1;"
     "UPDATE v SET v=VEC_FROMTEXT('[0,0,1]') WHERE id=3; DELETE FROM v WHERE id=2"},
    {ON_MARIADB | NO_GTIDS, "two_engines",
     ITEMS SOME
     "CREATE TABLE loose (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM\nINSERT INTO loose VALUES (1,'a')",
     "BEGIN; INSERT INTO items (id) VALUES (10); INSERT INTO loose VALUES (10,'stays'); COMMIT\n"
     "BEGIN; INSERT INTO items (id) VALUES (11); INSERT INTO loose VALUES (11,'stays'); ROLLBACK\n"
     "BEGIN; INSERT INTO items (id) VALUES (12); SAVEPOINT s; INSERT INTO items (id) VALUES (13);"
     "INSERT INTO loose VALUES (12,'stays'); UPDATE loose SET v='changed' WHERE id=1; ROLLBACK TO s;"
     "INSERT INTO items (id) VALUES (14); COMMIT\n"
     "BEGIN; INSERT INTO loose VALUES (20,''); UPDATE items SET v='undone'; DELETE FROM loose WHERE id=10; ROLLBACK\n"
     "!INSERT INTO loose VALUES (30,'stays'),(31,'stays'),(30,'twice'),(32,'never')\n"
     "BEGIN\nINSERT INTO items (id) VALUES (40)\n!INSERT INTO loose VALUES (41,'stays'),(41,'twice')\nROLLBACK\n"
     "!UPDATE loose SET id=id+1\n"
     "BEGIN; SAVEPOINT `a`; INSERT INTO items (id) VALUES (50); SAVEPOINT `A`; INSERT INTO items (id) VALUES (51);"
     "INSERT INTO loose VALUES (51,'stays'); ROLLBACK TO a; COMMIT\n"
     "XA START 'x'; INSERT INTO items (id) VALUES (60); INSERT INTO loose VALUES (60,'stays'); XA END 'x';"
     "XA PREPARE 'x'; XA ROLLBACK 'x'; UPDATE loose SET v='after' WHERE id=60\n"
     "XA START 'x'; INSERT INTO items (id) VALUES (61); INSERT INTO loose VALUES (61,'stays'); XA END 'x';"
     "XA PREPARE 'x'; XA COMMIT 'x'; UPDATE loose SET v='x' WHERE id=61\n"
     "UPDATE items JOIN loose ON items.id=loose.id SET items.v='both', loose.v='both'\n"
     /* One statement that changes both goes into the transaction, also when that is undone. */
     "BEGIN; UPDATE items JOIN loose USING (id) SET items.v='undone', loose.v='stays'; ROLLBACK\n"
     "BEGIN; INSERT INTO items (id) VALUES (70); SAVEPOINT s; UPDATE items JOIN loose USING (id) SET items.v='undone',"
     " loose.v='stays too' WHERE id>10; ROLLBACK TO s; INSERT INTO items (id) VALUES (71); COMMIT\n"
     "CREATE TRIGGER items_i AFTER INSERT ON items FOR EACH ROW INSERT INTO loose VALUES (NEW.id+1000,'of a trigger')\n"
     "BEGIN; INSERT INTO items (id) VALUES (80),(81); ROLLBACK\n"
     "!INSERT INTO items (id) VALUES (82),(83),(82)"},
    {ON_MARIADB, "aria", ITEMS "CREATE TABLE loose (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=Aria\n" SOME,
     "BEGIN; INSERT INTO items (id) VALUES (11); INSERT INTO loose VALUES (11,'stays'); ROLLBACK\n"
     "BEGIN; SAVEPOINT s; INSERT INTO items (id) VALUES (12); INSERT INTO loose VALUES (12,'x'); ROLLBACK TO s; COMMIT"},
    {ON_BOTH, "triggers",
     ITEMS SOME
     "CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(40))\n"
     "CREATE TRIGGER items_i AFTER INSERT ON items FOR EACH ROW INSERT INTO log (what) VALUES (NEW.id)\n"
     "CREATE TRIGGER items_u BEFORE UPDATE ON items FOR EACH ROW BEGIN SET NEW.n=OLD.n+100;"
     " INSERT INTO log (what) VALUES ('u'); INSERT INTO other.triggers VALUES (); END\n"
     "CREATE TABLE other.triggers (id INT AUTO_INCREMENT PRIMARY KEY); CREATE TABLE plain (id INT PRIMARY KEY)\n"
     "CREATE TRIGGER other.t AFTER INSERT ON other.triggers FOR EACH ROW INSERT INTO triggers.log (what)"
     " VALUES ('from other')\n"
     "CREATE PROCEDURE work(IN k INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i<k DO"
     " INSERT INTO items (id,v) VALUES (1000+i,LEFT(UUID(),20)); SET i=i+1; END WHILE;"
     " UPDATE items SET b=RAND() WHERE id>1000; END\n"
     "CREATE FUNCTION touch(k INT) RETURNS INT NOT DETERMINISTIC MODIFIES SQL DATA BEGIN"
     " DELETE FROM items WHERE id=k; RETURN k; END",
     "INSERT INTO items (id) VALUES (20),(21); UPDATE items SET v='t' WHERE id<3; INSERT INTO other.triggers VALUES ()\n"
     "CALL work(20); SELECT touch(1005); INSERT INTO plain SELECT touch(id) FROM log WHERE id<3"},
    {ON_MYSQL, "cascades",
     "CREATE TABLE a (id INT PRIMARY KEY, v INT)\n"
     "CREATE TABLE b (id INT PRIMARY KEY, a INT UNIQUE, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE"
     " ON UPDATE CASCADE)\n"
     "CREATE TABLE c (a INT NOT NULL, b INT, n INT, PRIMARY KEY (a,n), CONSTRAINT c_a FOREIGN KEY (a) REFERENCES b (a)"
     " ON UPDATE CASCADE ON DELETE CASCADE)\n"
     "CREATE TABLE d (id INT PRIMARY KEY, b INT, CONSTRAINT d_b FOREIGN KEY (b) REFERENCES b (id) ON DELETE SET NULL"
     " ON UPDATE SET NULL)\n"
     "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)\n"
     "INSERT INTO a VALUES (1,1),(2,2),(3,3),(4,4); INSERT INTO b VALUES (1,1),(2,2),(3,3),(4,4)\n"
     "INSERT INTO c VALUES (1,1,1),(1,1,2),(2,2,1),(3,3,1),(4,4,1); INSERT INTO d SELECT id, id FROM b\n"
     "INSERT INTO tree VALUES (1,NULL),(2,1),(3,2),(4,3),(5,1),(6,NULL)",
     "UPDATE a SET id=10 WHERE id=1; DELETE FROM a WHERE id=2; UPDATE b SET id=30 WHERE id=3; DELETE FROM tree WHERE id=2\n"
     "BEGIN; UPDATE a SET id=40 WHERE id=4; DELETE FROM a WHERE id=40; COMMIT; REPLACE INTO a VALUES (3,33)\n"
     "BEGIN; DELETE FROM a; ROLLBACK\nDELETE FROM tree WHERE id=1"},
    {ON_BOTH, "no_checks",
     "CREATE TABLE a (id INT PRIMARY KEY)\nCREATE TABLE b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id))\n"
     "INSERT INTO a VALUES (1),(2); INSERT INTO b VALUES (1,1),(2,2)",
     "SET foreign_key_checks=0, unique_checks=0; INSERT INTO b VALUES (7,77); DELETE FROM a WHERE id=1;"
     "UPDATE a SET id=22 WHERE id=2; DELETE FROM b WHERE id=2; SET foreign_key_checks=1, unique_checks=1;"
     "INSERT INTO a VALUES (8); INSERT INTO b VALUES (8,8)"},
    {ON_BOTH, "load",
     "CREATE TABLE items (id INT PRIMARY KEY, v VARBINARY(100), n DOUBLE)\n"
     "INSERT INTO items VALUES (1,'a\\tb\\n\\\\',1.5),(2,X'00FF',-0e0),(3,NULL,1e300)",
     "SELECT id+10, v, n FROM items INTO OUTFILE '%load'; LOAD DATA INFILE '%load' INTO TABLE items CHARACTER SET binary\n"
     "LOAD DATA INFILE '%load' REPLACE INTO TABLE items CHARACTER SET binary SET v='again'"},
    {ON_BOTH, "partitions",
     "CREATE TABLE items (id INT, d INT, v TEXT, PRIMARY KEY (id,d)) PARTITION BY HASH (d) PARTITIONS 3\n"
     "INSERT INTO items VALUES (1,1,'a'),(2,2,'b'),(3,3,'c')",
     "UPDATE items SET d=d+1; DELETE FROM items WHERE id=2; INSERT INTO items VALUES (4,4,REPEAT('x',5000))"},
    {ON_BOTH, "unselected_ddl", ITEMS SOME,
     "CREATE TABLE other.new_one SELECT * FROM items; INSERT INTO items SELECT id+50,n,v,b FROM other.new_one\n"
     "ALTER TABLE other.new_one ADD z INT, ADD PRIMARY KEY (id); CREATE INDEX i ON other.new_one (n)\n"
     "RENAME TABLE other.new_one TO other.renamed; TRUNCATE other.renamed; INSERT INTO other.renamed (id) VALUES (1)\n"
     "ALTER TABLE other.renamed RENAME TO other.again, ADD y INT; DROP TABLE other.again\n"
     "CREATE DATABASE other2; CREATE TABLE other2.items (id INT PRIMARY KEY); INSERT INTO other2.items VALUES (1)\n"
     "ALTER DATABASE other2 CHARACTER SET latin1; DROP DATABASE other2; INSERT INTO items (id) VALUES (99)"},
    /* ALTER and the rest: tests/integration/test_ddl.c. MariaDB's two-phase ALTER, which one of the ways has, stops. */
    {ON_BOTH, "ddl", ITEMS SOME "CREATE TABLE more LIKE items",
     "CREATE TABLE made LIKE items; INSERT INTO made SELECT id+10,n,v,b FROM items; TRUNCATE TABLE items\n"
     "INSERT INTO items (id) VALUES (5); RENAME TABLE items TO kept, made TO items; UPDATE items SET v='now'\n"
     "DROP TABLE more; CREATE TABLE more (id INT PRIMARY KEY, c VARCHAR(5)) ENGINE=InnoDB; INSERT INTO more VALUES (1,'c')"},
    {ON_BOTH, "temporary", ITEMS SOME,
     "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t SELECT id,v FROM items; UPDATE t SET v='x'\n"
     "CREATE TEMPORARY TABLE items (id INT); INSERT INTO items VALUES (1),(1); DELETE FROM items; DROP TABLE items\n"
     "INSERT INTO items SELECT id+10,0,v,'' FROM t; CREATE TEMPORARY TABLE u SELECT * FROM items; ALTER TABLE u ADD z INT\n"
     "TRUNCATE TABLE u; DROP TEMPORARY TABLE IF EXISTS nothing, u; INSERT INTO items (id) VALUES (77)"},
    {ON_BOTH, "administration", ITEMS SOME,
     "CREATE USER IF NOT EXISTS somebody@localhost IDENTIFIED BY 'x'; GRANT SELECT ON administration.* TO somebody@localhost\n"
     "REVOKE SELECT ON administration.* FROM somebody@localhost; ALTER USER somebody@localhost IDENTIFIED BY 'y'\n"
     "CREATE ROLE r; GRANT r TO somebody@localhost; DROP ROLE r; RENAME USER somebody@localhost TO someone@localhost\n"
     "DROP USER someone@localhost; ANALYZE TABLE items; OPTIMIZE TABLE items; CHECK TABLE items; REPAIR TABLE items\n"
     "FLUSH TABLES; FLUSH PRIVILEGES; FLUSH STATUS; FLUSH BINARY LOGS; FLUSH TABLES items; CHECKSUM TABLE items\n"
     "CREATE VIEW v AS SELECT id,n FROM items WHERE id>2; INSERT INTO v VALUES (30,31); UPDATE v SET n=0; DROP VIEW v\n"
     "CREATE TABLE other.administration (id INT); CREATE TRIGGER other.t2 AFTER INSERT ON other.administration FOR EACH"
     " ROW INSERT INTO administration.items (id) VALUES (NEW.id)\n"
     "INSERT INTO other.administration VALUES (500); DROP TRIGGER other.t2\n"
     "CREATE PROCEDURE p() UPDATE items SET n=n+1; CALL p(); DROP PROCEDURE p\n"
     "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; DROP FUNCTION f\n"
     "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM items; ALTER EVENT e DISABLE; DROP EVENT e\n"
     "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x'); DROP SERVER s\n"
     "INSERT INTO items (id) VALUES (100)"},
    {ON_MYSQL, "administration_mysql", ITEMS SOME,
     "ANALYZE TABLE items UPDATE HISTOGRAM ON n; ALTER INSTANCE RELOAD TLS; DO 1; CREATE RESOURCE GROUP rg TYPE=USER; DROP RESOURCE GROUP rg\n"},
    {ON_MARIADB, "administration_mariadb", ITEMS SOME,
     "CREATE SEQUENCE other.s; SELECT NEXTVAL(other.s); ALTER SEQUENCE other.s RESTART 50; DROP SEQUENCE other.s\n"
     "SET sql_mode=ORACLE\nCREATE PACKAGE pk AS PROCEDURE q; END\nDROP PACKAGE pk\nSET sql_mode=DEFAULT\n"
     "ANALYZE FORMAT=JSON UPDATE items SET v='analyzed' WHERE id=1\n"
     "SET STATEMENT max_statement_time=5 FOR UPDATE items SET v='set' WHERE id=2\n"
     "BEGIN NOT ATOMIC INSERT INTO items (id) VALUES (300); INSERT INTO items (id) VALUES (301); END\n"
     "EXECUTE IMMEDIATE 'DELETE FROM items WHERE id=300'; DELETE FROM items WHERE id=3 RETURNING v"},
    {ON_BOTH, "checksums", ITEMS SOME,
     "INSERT INTO items (id) VALUES (10); SET GLOBAL binlog_checksum=NONE; INSERT INTO items (id) VALUES (11)\n"
     "SET GLOBAL binlog_checksum=CRC32; INSERT INTO items (id) VALUES (12); SET GLOBAL binlog_checksum=NONE\n"
     "INSERT INTO items (id) VALUES (13); SET GLOBAL binlog_checksum=CRC32; INSERT INTO items (id) VALUES (14)"},
    {ON_MYSQL, "payloads", ITEMS SOME,
     "SET binlog_transaction_compression=ON; INSERT INTO items (id,b) VALUES (10,REPEAT('long ',2000)); BEGIN;"
     "UPDATE items SET v='payload'; SAVEPOINT s; DELETE FROM items WHERE id=2; ROLLBACK TO s; COMMIT\n"
     "SET binlog_transaction_compression=OFF; UPDATE items SET n=n+1\n"
     "SET binlog_transaction_compression=ON, binlog_rows_query_log_events=ON; DELETE FROM items WHERE id=3;"
     "CREATE TABLE other.payloads (id INT PRIMARY KEY) SELECT id FROM items; UPDATE items JOIN other.payloads USING (id)"
     " SET v='twice'; INSERT INTO items SELECT id+5,1,2,REPEAT(b,50) FROM items WHERE id<5"},
    {ON_MARIADB, "compressed", ITEMS SOME,
     "SET GLOBAL log_bin_compress=ON, log_bin_compress_min_len=10; INSERT INTO items (id,b) VALUES (10,REPEAT('ab',9000))\n"
     "UPDATE items SET b=CONCAT(b,REPEAT('long',500)); DELETE FROM items WHERE id=2; CREATE TABLE other.compressed (id INT)\n"
     "SET GLOBAL log_bin_compress=DEFAULT, log_bin_compress_min_len=DEFAULT; UPDATE items SET v='plain'"},
    {ON_MYSQL | GTIDS, "tagged", ITEMS SOME,
     "SET gtid_next='AUTOMATIC:nightly'; INSERT INTO items (id) VALUES (10); UPDATE items SET v='tag'\n"
     "SET gtid_next='AUTOMATIC:a_1'; DELETE FROM items WHERE id=2; SET gtid_next='AUTOMATIC'; INSERT INTO items (id) VALUES (11)\n"
     "SET gtid_next='5c2241a4-e7d7-11f1-aab8-02fc00000001:t:9'; INSERT INTO items (id) VALUES (12)\n"
     "SET gtid_next='5c2241a4-e7d7-11f1-aab8-02fc00000001:77'; BEGIN; COMMIT; SET gtid_next='AUTOMATIC'"},
    {ON_MARIADB, "domains", ITEMS SOME,
     "SET gtid_domain_id=5; INSERT INTO items (id) VALUES (10); SET server_id=77; UPDATE items SET v='elsewhere' WHERE id=1\n"
     "SET gtid_domain_id=0; UPDATE items SET n=3; SET skip_replication=1; INSERT INTO items (id) VALUES (11)\n"
     "SET gtid_domain_id=4294967295, gtid_seq_no=1000000000000; DELETE FROM items WHERE id=2"},
    {ON_BOTH, "sessions", ITEMS SOME,
     "SET timestamp=1; INSERT INTO items (id,v) VALUES (10,NOW()); SET timestamp=DEFAULT, autocommit=0\n"
     "INSERT INTO items (id) VALUES (11); SET autocommit=1; SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'\n"
     "INSERT INTO \"items\" (\"id\",v) VALUES (12,'\\'||'x'); SET NAMES latin1; INSERT INTO items (id,v) VALUES (13,_latin1 X'E9')\n"
     "CREATE TABLE other.\"sess'ions\" (id INT DEFAULT '1'); SET NAMES gbk; INSERT INTO items (id,v) VALUES (14,X'B0A1')\n"
     "SET NAMES utf8mb4; SET time_zone='+05:30'; INSERT INTO items (id,v) VALUES (15,'zone'); SET sql_log_bin=1\n"
     "START TRANSACTION READ ONLY; SELECT * FROM items; COMMIT; LOCK TABLES items WRITE; UPDATE items SET n=5; UNLOCK TABLES"},
    /* Images that a session makes smaller but that happen to be whole. */
    {ON_BOTH, "image_whole",
     "CREATE TABLE items (id INT, n INT, v VARCHAR(20), PRIMARY KEY (id,n,v))\nINSERT INTO items VALUES (1,1,'1'),(2,2,'2')",
     "SET binlog_row_image=MINIMAL; INSERT INTO items (v,n,id) VALUES ('x',5,5); DELETE FROM items WHERE id=1;"
     "UPDATE items SET id=8, n=8, v='8' WHERE id=2; SET binlog_row_image=NOBLOB; UPDATE items SET v='9' WHERE id=8"},
};
enum { APPLIED = sizeof applied / sizeof applied[0] };

static const struct {
    int families;
    const char *name, *before, *during;
    const char *words[4]; /* of the error */
} stopping[] = {
    {ON_BOTH,
     "minimal_update",
     ITEMS SOME,
     "SET binlog_row_image=MINIMAL; UPDATE items SET v='x' WHERE id=1",
     {"minimal_update.items", "binlog_row_image"}},
    {ON_BOTH,
     "minimal_delete",
     ITEMS SOME,
     "SET binlog_row_image=MINIMAL; DELETE FROM items WHERE id=1",
     {"minimal_delete.items", "binlog_row_image"}},
    {ON_BOTH,
     "minimal_insert",
     ITEMS SOME,
     "SET binlog_row_image=MINIMAL; INSERT INTO items (id) VALUES (10)",
     {"minimal_insert.items", "binlog_row_image"}},
    {ON_BOTH,
     "noblob",
     ITEMS SOME,
     "SET binlog_row_image=NOBLOB; UPDATE items SET v='x' WHERE id=1",
     {"noblob.items", "binlog_row_image", "column b"}},
    {ON_MYSQL,
     "partial_json",
     "CREATE TABLE docs (id INT PRIMARY KEY, d JSON)\nINSERT INTO docs VALUES (1,JSON_OBJECT('a',REPEAT('x',500),'b',2))",
     "SET binlog_row_value_options=PARTIAL_JSON; UPDATE docs SET d=JSON_SET(d,'$.b',3)",
     {"partial_json.docs", "binlog_row_value_options"}},
    {NEWER,
     "full_nodup",
     ITEMS SOME,
     "SET binlog_row_image=FULL_NODUP; INSERT INTO items (id) VALUES (10); UPDATE items SET v='x' WHERE id=1",
     {"full_nodup.items", "binlog_row_image", "column"}},
    {ON_BOTH,
     "stmt_insert",
     ITEMS SOME,
     "SET binlog_format=STATEMENT; INSERT INTO items (id) VALUES (10)",
     {"stmt_insert.items", "INSERT", "statement"}},
    {ON_BOTH,
     "stmt_update",
     ITEMS SOME "CREATE TABLE other.stmt LIKE items",
     "SET binlog_format=STATEMENT; UPDATE other.stmt o LEFT JOIN items i ON i.id=o.id SET o.v='1', i.v='1'",
     {"stmt_update.items", "UPDATE", "statement"}},
    {ON_BOTH,
     "stmt_load",
     ITEMS SOME,
     "SELECT id+10,n,v,b FROM items INTO OUTFILE '%stmt'; SET binlog_format=STATEMENT; LOAD DATA INFILE '%stmt' INTO TABLE items",
     {"stmt_load.items", "LOAD DATA", "statement"}},
    {ON_BOTH,
     "stmt_trigger",
     ITEMS SOME
     "CREATE TABLE other.fires (id INT PRIMARY KEY)\nCREATE TRIGGER other.f AFTER INSERT ON other.fires FOR EACH ROW INSERT INTO stmt_trigger.items (id) VALUES (NEW.id)",
     "SET binlog_format=STATEMENT; INSERT INTO other.fires VALUES (70)",
     {"other.fires", "INSERT", "statement"}},
    {ON_BOTH,
     "stmt_function",
     ITEMS SOME
     "CREATE FUNCTION f() RETURNS INT MODIFIES SQL DATA DETERMINISTIC BEGIN DELETE FROM items WHERE id=1; RETURN 1; END",
     "SET binlog_format=STATEMENT; SELECT f()",
     {"SELECT"}},
    {ON_MARIADB,
     "stmt_analyze",
     ITEMS SOME,
     "SET binlog_format=STATEMENT; ANALYZE UPDATE items SET v='x'",
     {"stmt_analyze.items", "UPDATE", "statement"}},
    {ON_BOTH,
     "ddl_drop",
     ITEMS SOME "CREATE TABLE other.d (id INT)",
     "DROP TABLE other.d, items",
     {"ddl_drop.items", "DROP TABLE"}},
    {ON_BOTH, "ddl_drop_db", ITEMS SOME, "DROP DATABASE ddl_drop_db", {"ddl_drop_db", "DROP DATABASE"}},
    {ON_BOTH, "ddl_rename", ITEMS SOME, "RENAME TABLE items TO other.ddl_rename", {"ddl_rename.items", "RENAME TABLE"}},
    {ON_BOTH,
     "ddl_rename_in",
     ITEMS SOME "CREATE TABLE other.comes (id INT)",
     "RENAME TABLE other.comes TO came",
     {"ddl_rename_in.came", "RENAME TABLE"}},
    {ON_BOTH, "ddl_select", ITEMS SOME, "CREATE TABLE made SELECT * FROM items", {"ddl_select.made", "CREATE TABLE"}},
    {ON_MARIADB,
     "ddl_foreign_key",
     "CREATE TABLE a (id INT PRIMARY KEY)\nCREATE TABLE b (id INT PRIMARY KEY, a INT)\nINSERT INTO a VALUES (1)",
     "ALTER TABLE b ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE",
     {"ddl_foreign_key.b", "ALTER TABLE"}},
    {ON_BOTH,
     "ddl_exchange",
     "CREATE TABLE items (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2\nINSERT INTO items VALUES (1),(2)\n"
     "CREATE TABLE other.exchange (id INT PRIMARY KEY)",
     "ALTER TABLE items EXCHANGE PARTITION p0 WITH TABLE other.exchange",
     {"ddl_exchange.items", "ALTER TABLE"}},
};
enum { STOPPING = sizeof stopping / sizeof stopping[0] };

/* ---- sources ---- */

#define SMALL_FILES "--max-binlog-size=4096 --binlog-row-event-max-size=256 --binlog-row-metadata=FULL "

static const struct way {
    const char *name, *family;
    int has;
    const char *options;
} ways[] = {
    {"mariadb", "mariadb", ON_MARIADB, NULL},
    {"mysql", "mysql", ON_MYSQL | GTIDS, NULL},
    {"mysql without GTIDs", "mysql", ON_MYSQL | NO_GTIDS, "--gtid-mode=OFF --enforce-gtid-consistency=OFF"},
    {"mysql, permissive, all else too", "mysql", ON_MYSQL | GTIDS,
     SMALL_FILES "--gtid-mode=ON_PERMISSIVE --binlog-transaction-compression=ON --binlog-rows-query-log-events=ON "
                 "--binlog-checksum=NONE --sync-binlog=0 --binlog-encryption=ON"},
    {"mariadb, all else too", "mariadb", ON_MARIADB,
     SMALL_FILES
     "--log-bin-compress=ON --log-bin-compress-min-len=10 --binlog-checksum=NONE --binlog-alter-two-phase=ON "
     "--plugin-load-add=file_key_management --file-key-management-filename=%keys --encrypt-binlog=ON"},
    {"mariadb 11.8", "mariadb118", ON_MARIADB | NEWER, NULL},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const struct way *way; /* of the running case */
static h_server *source, *target;

static char *key_file(void)
{
    char *path = h_path("keys");
    FILE *f = fopen(path, "w");

    if (f == NULL || fputs("1;000102030405060708090a0b0c0d0e0f\n", f) < 0 || fclose(f) != 0)
        h_fail("cannot write %s", path);
    return path;
}

static char *replaced(const char *text, const char *what, const char *by)
{
    const char *found = strstr(text, what);

    return found == NULL ? h_format("%s", text)
                         : h_format("%.*s%s%s", (int)(found - text), text, by, found + strlen(what));
}

static void start_way(int i)
{
    char *keys = key_file(), *options = ways[i].options == NULL ? NULL : replaced(ways[i].options, "%keys", keys);

    way = &ways[i];
    h_server_start_pair(&source, &target, way->family, options, way->has & NO_GTIDS ? options : NULL);
    h_sql(source, "CREATE DATABASE other; SET GLOBAL log_bin_trust_function_creators=1");
    free(options);
    free(keys);
}

static void end_servers(void)
{
    h_server_free(source);
    h_server_free(target);
    source = target = NULL;
}

/* ---- scripts ---- */

static bool runs_on(const scenario *s)
{
    int wanted = s->families & (NO_GTIDS | GTIDS | NEWER);

    if ((s->families & ON_BOTH & way->has) != 0)
        return wanted == 0 || (s->families & ON_BOTH) != ON_MYSQL || (wanted & way->has) != 0;
    return (wanted & way->has) != 0;
}

/* All results read; the error number. */
static unsigned query(MYSQL *db, const char *sql)
{
    int more = mysql_query(db, sql);

    while (more == 0) {
        mysql_free_result(mysql_store_result(db));
        more = mysql_next_result(db);
    }
    return more > 0 ? mysql_errno(db) : 0;
}

/* A session of its own, so that what it sets ends with it. */
static void run_script(const scenario *s, const char *script)
{
    char *text = h_format("%s", script), *rest = NULL, *file = h_path("outfile");
    MYSQL *db = h_connect(source);

    if (mysql_select_db(db, s->name) != 0)
        h_fail("%s: %s", s->name, mysql_error(db));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        bool fails = line[0] == '!';
        char *once = replaced(line + fails, "%load", file), *twice = replaced(once, "%load", file);
        char *thrice = replaced(twice, "%stmt", file), *sql = replaced(thrice, "%stmt", file);
        unsigned code = query(db, sql);

        if ((code != 0) != fails)
            h_fail("%s: %s: error %u: %s", s->name, line, code, mysql_error(db));
        free(once);
        free(twice);
        free(thrice);
        free(sql);
    }
    mysql_close(db);
    free(file);
    free(text);
}

static void prepare(const scenario *s)
{
    h_sql(source, "CREATE DATABASE IF NOT EXISTS `%s`", s->name);
    run_script(s, s->before);
}

/* ---- what has to arrive ---- */

static char *all_databases(void)
{
    char *list = h_format("%s", "");

    for (int i = 0; i < APPLIED; i++) {
        char *longer = h_format("%s%s%s", list, list[0] == '\0' ? "" : ",", applied[i].name);

        if (!runs_on(&applied[i])) {
            free(longer);
            continue;
        }
        free(list);
        list = longer;
    }
    return list;
}

static void each_applied(void (*run)(const scenario *s))
{
    for (int i = 0; i < APPLIED; i++)
        if (runs_on(&applied[i]))
            run(&applied[i]);
}

static void work(const scenario *s)
{
    run_script(s, s->during);
}

static unsigned differing;

static void compare(const scenario *s)
{
    if (h_compare(source, target, s->name) == 0)
        return;
    fprintf(stderr, "%s: %s differs\n", way->name, s->name);
    differing++;
}

START_TEST(events__are_applied_exactly)
{
    char *dir = h_path("checkpoints"), *databases = all_databases(), *conf;
    h_run *run;

    each_applied(prepare);
    conf = h_config(source, target, databases, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "applied", conf);
    if (!h_wait_log(run, "stage streaming", FOREVER))
        f_ends(run, 0, 1);
    each_applied(work);
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    f_ends(run, 0, FOREVER);
    differing = 0;
    each_applied(compare);
    ck_assert_uint_eq(differing, 0);
    h_run_free(run);
    free(conf);
    free(databases);
    free(dir);
}
END_TEST

/* ---- what has to stop ---- */

static void expect_words(const scenario *s, const char *const words[4], const char *log)
{
    const char *gtid = way->has & NO_GTIDS ? "binlog.0" : "transaction ";

    for (size_t i = 0; i < 4; i++)
        if (words[i] != NULL && strstr(log, words[i]) == NULL)
            h_fail("%s: %s: no '%s' in:\n%s", way->name, s->name, words[i], log);
    if (strstr(log, gtid) == NULL || strstr(log, "binlog.0") == NULL)
        h_fail("%s: %s: no transaction and position in:\n%s", way->name, s->name, log);
}

START_TEST(event__stops_the_run_by_name)
{
    const scenario of = {stopping[_i].families, stopping[_i].name, stopping[_i].before, stopping[_i].during}, *s = &of;
    char *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;

    if (!runs_on(s))
        return;
    prepare(s);
    conf = h_config(source, target, s->name, NULL);
    run = h_start("--checkpoint-dir", dir, "--job", s->name, conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    run_script(s, s->during);
    f_ends(run, 4, 40);
    log = h_stderr(run);
    expect_words(s, stopping[_i].words, log);
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* ---- settings of the whole server ---- */

static const struct {
    int families;
    const char *variable, *value, *usual;
} refused[] = {
    {ON_BOTH, "binlog_row_image", "MINIMAL", "FULL"},
    {ON_BOTH, "binlog_row_image", "NOBLOB", "FULL"},
    {ON_MYSQL, "binlog_row_value_options", "PARTIAL_JSON", ""},
    {NEWER, "binlog_row_image", "FULL_NODUP", "FULL"},
    {ON_BOTH, "binlog_format", "STATEMENT", "ROW"},
    {ON_BOTH, "binlog_format", "MIXED", "ROW"},
};

START_TEST(setting__is_refused_before_anything_is_copied)
{
    char *conf = h_config(source, target, "refused", NULL), *dir = h_path("checkpoints"), *err;

    if ((refused[_i].families & way->has) == 0)
        return;
    h_sql(source, "CREATE DATABASE IF NOT EXISTS refused; CREATE TABLE IF NOT EXISTS refused.t (id INT PRIMARY KEY)");
    h_sql(source, "SET GLOBAL %s='%s'", refused[_i].variable, refused[_i].value);
    ck_assert_int_eq(h_exec(NULL, &err, 60, "--checkpoint-dir", dir, "--job", "refused", conf), 2);
    ck_assert_ptr_nonnull(strstr(err, refused[_i].variable));
    ck_assert_ptr_nonnull(strstr(err, refused[_i].value));
    h_sql(source, "SET GLOBAL %s='%s'", refused[_i].variable, refused[_i].usual);
    ck_assert_int_eq(h_number(target, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='refused'"),
                     0);
    free(err);
    free(dir);
    free(conf);
}
END_TEST

/* ---- a start in the middle of a file ---- */

static void resume_and_compare(const char *database, char *conf, const char *dir)
{
    h_run *run = h_start("--checkpoint-dir", dir, "--job", database, conf);

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(source, "INSERT INTO %s.items (id) VALUES (1000)", database);
    h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", dir);
    f_ends(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(source, target, database), 0);
    h_run_free(run);
}

START_TEST(stream__goes_on_in_the_middle_of_a_file)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    h_sql(source, "CREATE DATABASE middle; USE middle; CREATE TABLE items (id INT PRIMARY KEY);"
                  "SET GLOBAL binlog_checksum=NONE; FLUSH BINARY LOGS");
    conf = h_config(source, target, "middle", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "middle", conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(source, "INSERT INTO middle.items (id) VALUES (1)");
    while (h_number(target, "SELECT COUNT(*) FROM middle.items") == 0)
        h_sleep(0.05);
    h_signal(run, SIGTERM);
    f_ends(run, 3, 30);
    h_run_free(run);
    h_sql(source, "INSERT INTO middle.items (id) VALUES (2)");
    resume_and_compare("middle", conf, dir);
    free(conf);
    free(dir);
}
END_TEST

/* ---- GTIDs switched while a job runs ---- */

static const char *const steps_up[] = {"OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"};

static void insert_next(int *id)
{
    h_sql(source, "INSERT INTO switched.items (id) VALUES (%d)", (*id)++);
}

START_TEST(gtid_mode__may_be_switched_on_while_it_runs)
{
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;
    int id = 10;

    h_sql(source, "CREATE DATABASE switched; USE switched; CREATE TABLE items (id INT PRIMARY KEY)");
    conf = h_config(source, target, "switched", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "switched", conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    insert_next(&id);
    h_sql(source, "SET GLOBAL enforce_gtid_consistency=ON");
    for (int i = 0; i < 3; i++) {
        h_sql(source, "SET GLOBAL gtid_mode=%s", steps_up[i]);
        insert_next(&id);
    }
    h_signal(run, SIGTERM);
    f_ends(run, 3, 30);
    h_run_free(run);
    insert_next(&id);
    resume_and_compare("switched", conf, dir);
    free(conf);
    free(dir);
}
END_TEST

/* An auto-position dump can't carry transactions without a GTID: the source says so, and so do we. */
START_TEST(gtid_mode__switched_off_stops_the_run)
{
    char *dir = h_path("checkpoints"), *conf, *log;
    h_run *run;
    int id = 10;

    h_sql(source, "CREATE DATABASE switched; USE switched; CREATE TABLE items (id INT PRIMARY KEY)");
    conf = h_config(source, target, "switched", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "switched", conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(source, "SET GLOBAL gtid_mode=ON_PERMISSIVE");
    insert_next(&id);
    h_sql(source, "SET GLOBAL gtid_mode=OFF_PERMISSIVE");
    insert_next(&id);
    ck_assert_int_ne(h_wait(run, 60), 0);
    ck_assert(run->ended);
    log = h_stderr(run);
    fprintf(stderr, "%s\n", log);
    ck_assert_ptr_nonnull(strstr(log, "nonymous"));
    h_sql(source, "SET GLOBAL gtid_mode=ON_PERMISSIVE; SET GLOBAL gtid_mode=ON");
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
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
START_WAY(3)
START_WAY(4)
START_WAY(5)

static const struct {
    const char *name;
    int way;
} stops[] = {{"stops of mariadb", 0}, {"stops of mysql", 1}, {"stops of mariadb 11.8", 5}};
enum { STOPS = sizeof stops / sizeof stops[0] };

static Suite *suite(void)
{
    static void (*const starts[WAYS])(void) = {start_way_0, start_way_1, start_way_2,
                                               start_way_3, start_way_4, start_way_5};
    Suite *s = suite_create("events");

    for (int i = 0; i < WAYS; i++) {
        TCase *t = tcase_create(ways[i].name);

        tcase_add_unchecked_fixture(t, starts[i], end_servers);
        tcase_set_timeout(t, 600);
        tcase_add_test(t, events__are_applied_exactly);
        tcase_add_test(t, stream__goes_on_in_the_middle_of_a_file);
        if (ways[i].has == (ON_MYSQL | NO_GTIDS)) /* last: it changes the source */
            tcase_add_test(t, gtid_mode__may_be_switched_on_while_it_runs);
        suite_add_tcase(s, t);
    }
    for (int i = 0; i < STOPS; i++) {
        TCase *t = tcase_create(stops[i].name);

        tcase_add_unchecked_fixture(t, starts[stops[i].way], end_servers);
        tcase_set_timeout(t, 300);
        tcase_add_loop_test(t, event__stops_the_run_by_name, 0, STOPPING);
        if (i == 1)
            tcase_add_test(t, gtid_mode__switched_off_stops_the_run);
        tcase_add_loop_test(t, setting__is_refused_before_anything_is_copied, 0, sizeof refused / sizeof refused[0]);
        suite_add_tcase(s, t);
    }
    return s;
}

int main(void)
{
    return run_suite(suite());
}

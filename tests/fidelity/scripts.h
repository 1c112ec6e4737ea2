/* SPDX-License-Identifier: MIT */
/*
 * scripts.h - tables that a list of columns can't describe, each with what happens to it before, during and after the
 * copy. f_wide makes the one that would be too long to write down.
 */
#ifndef FIDELITY_SCRIPTS_H
#define FIDELITY_SCRIPTS_H

#include "fidelity/fidelity.h"

static const f_script f_scripts_both[] = {
    {ON_BOTH,
     "computed",
     "CREATE TABLE computed (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL,"
     " s VARCHAR(20) AS (CONCAT('s', a)) STORED, h INT INVISIBLE DEFAULT 7, UNIQUE (s), KEY (v))",
     {"INSERT INTO computed (id,a,h) VALUES (1,5,8),(2,NULL,9),(3,-7,-1),(4,100,0)",
      "INSERT INTO computed (id,a) VALUES (11,50),(12,NULL); UPDATE computed SET a=a+1000, h=h+1 WHERE id<3",
      "INSERT INTO computed (id,a,h) VALUES (21,51,NULL); UPDATE computed SET a=-a WHERE id IN (1,11);"
      "DELETE FROM computed WHERE id IN (3,12)"}},
    {ON_BOTH,
     "defaults",
     "CREATE TABLE defaults (id INT PRIMARY KEY, u VARCHAR(40) DEFAULT (CONCAT('x', '''y')), n INT DEFAULT (1 + 2),"
     " t TEXT DEFAULT ('it''s'), d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),"
     " c INT CHECK (c > -10), CONSTRAINT both_small CHECK (n + c < 1000000))",
     {"INSERT INTO defaults (id) VALUES (1),(2),(3); INSERT INTO defaults VALUES (4,'',0,NULL,NULL,-9)",
      "INSERT INTO defaults (id,c) VALUES (11,5),(12,6); UPDATE defaults SET n=99 WHERE id<3",
      "INSERT INTO defaults (id,c) VALUES (21,5); UPDATE defaults SET c=7 WHERE id>10;"
      "DELETE FROM defaults WHERE id IN (2,12)"}},
    {ON_BOTH,
     "accents", /* in what the target computes: as literals of UTF-8 */
     "CREATE TABLE accents (id INT PRIMARY KEY, a INT, v VARCHAR(30) AS (CONCAT('É', a)) VIRTUAL,"
     " s VARCHAR(30) AS (CONCAT('Ж''\\\\', a)) STORED, d VARCHAR(20) DEFAULT (LOWER('É')), p VARCHAR(20) DEFAULT 'Ж',"
     " c VARCHAR(20) CHECK (c <> 'Ж'))",
     {"INSERT INTO accents (id,a) VALUES (1,5),(2,NULL)", "INSERT INTO accents (id,a,c) VALUES (11,50,'x')",
      "INSERT INTO accents (id,a) VALUES (21,51); UPDATE accents SET a=-a"}},
    {ON_BOTH,
     "raw_defaults", /* of bytes that are no text */
     "CREATE TABLE raw_defaults (id INT PRIMARY KEY, e VARBINARY(10) DEFAULT 0x00FF275C, d BINARY(4) DEFAULT 0xFF,"
     " f VARBINARY(9) DEFAULT 'plain')",
     {"INSERT INTO raw_defaults (id) VALUES (1),(2)", "INSERT INTO raw_defaults (id) VALUES (11)",
      "INSERT INTO raw_defaults (id) VALUES (21); UPDATE raw_defaults SET e=d WHERE id=1"}},
    {ON_BOTH,
     "counter", /* 0 is a value, and the counter is past rows that are gone */
     "CREATE TABLE counter (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10))",
     {"INSERT INTO counter VALUES (0,'zero'),(-5,'minus'),(7,'seven'),(4711,'high'); DELETE FROM counter WHERE id=4711",
      "INSERT INTO counter (v) VALUES ('next'),('after')",
      "INSERT INTO counter (v) VALUES ('x'),('y'),('z'); DELETE FROM counter WHERE v IN ('y','z');"
      "UPDATE counter SET v='0' WHERE id=0"}},
    {ON_BOTH,
     "counter_set", /* the same beside columns that LOAD DATA sets by an expression */
     "CREATE TABLE counter_set (id INT(5) ZEROFILL AUTO_INCREMENT PRIMARY KEY, e ENUM('a','b'), s SET('x','y'), j JSON)",
     {"INSERT INTO counter_set VALUES (0,'a','x','{}'),(7,'b','x,y','[1]'),(1,NULL,'',NULL)",
      "INSERT INTO counter_set (e) VALUES ('b'),('a')",
      "UPDATE counter_set SET e='b' WHERE id=0; DELETE FROM counter_set WHERE id=7; UPDATE counter_set SET j='0' WHERE id<2"}},
    {ON_BOTH,
     "remarks",
     "CREATE TABLE remarks (id INT PRIMARY KEY COMMENT 'it''s \"the\" `key` \\\\ é', v INT COMMENT 'two\\nlines -- /* x */',"
     " KEY k (v) COMMENT 'an index''s') COMMENT 'the table''s; \\\\ ж ENGINE=MyISAM COLLATE utf8mb4_0900_ai_ci'",
     {"INSERT INTO remarks VALUES (1,1),(2,2)", "INSERT INTO remarks VALUES (11,1)", "UPDATE remarks SET v=3"}},
    {ON_BOTH,
     "by_range",
     "CREATE TABLE by_range (id INT, d DATE NOT NULL, v VARCHAR(10), PRIMARY KEY (id,d)) PARTITION BY RANGE"
     " (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN (2020) COMMENT = 'it''s',"
     " PARTITION p2 VALUES LESS THAN MAXVALUE)",
     {"INSERT INTO by_range VALUES (1,'1999-01-01','a'),(2,'2010-01-01','b'),(3,'2024-01-01','c')",
      "INSERT INTO by_range VALUES (11,'1999-01-01','a'); UPDATE by_range SET d='2021-01-01' WHERE id=1",
      "INSERT INTO by_range VALUES (21,'2001-01-01','a'); UPDATE by_range SET d='1980-01-01' WHERE id IN (3,11);"
      "DELETE FROM by_range WHERE id=2"}},
    {ON_BOTH,
     "by_key",
     "CREATE TABLE by_key (id VARCHAR(20) PRIMARY KEY, v INT) PARTITION BY KEY (id) PARTITIONS 3",
     {"INSERT INTO by_key VALUES ('a',1),('B',2),('c ',3)", "INSERT INTO by_key VALUES ('k',1),('l',2)",
      "INSERT INTO by_key VALUES ('m',1); UPDATE by_key SET id='A' WHERE id='a'; DELETE FROM by_key WHERE id='k'"}},
    {ON_BOTH,
     "by_list",
     "CREATE TABLE by_list (id INT PRIMARY KEY, v VARCHAR(10)) PARTITION BY LIST COLUMNS (id)"
     " (PARTITION p0 VALUES IN (1,2,11,21), PARTITION p1 VALUES IN (3,12,22))",
     {"INSERT INTO by_list VALUES (1,'a'),(3,'c')", "INSERT INTO by_list VALUES (11,'x'),(12,'y')",
      "INSERT INTO by_list VALUES (21,'x'),(22,'y'); UPDATE by_list SET id=2 WHERE id=3; DELETE FROM by_list WHERE id=11"}},
    {ON_BOTH,
     "small_pages",
     "CREATE TABLE small_pages (id INT PRIMARY KEY, v VARCHAR(1000)) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
     {"INSERT INTO small_pages VALUES (1,REPEAT('a',1000)),(2,'b')", "INSERT INTO small_pages VALUES (11,'x')",
      "UPDATE small_pages SET v=REPEAT('u',999)"}},
    {ON_BOTH,
     "redundant",
     "CREATE TABLE redundant (id INT PRIMARY KEY, v CHAR(10)) ROW_FORMAT=REDUNDANT",
     {"INSERT INTO redundant VALUES (1,'a'),(2,'b')", "INSERT INTO redundant VALUES (11,'x')",
      "UPDATE redundant SET v='u'"}},
    {ON_BOTH,
     "first_row", /* empty when the copy begins */
     "CREATE TABLE first_row (id INT PRIMARY KEY, v INT)",
     {NULL, "INSERT INTO first_row VALUES (5,5)", "INSERT INTO first_row VALUES (6,6)"}},
    {ON_BOTH,
     "shrinks", /* to nothing while it is copied */
     "CREATE TABLE shrinks (id INT PRIMARY KEY, v INT)",
     {"INSERT INTO shrinks VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8)",
      "DELETE FROM shrinks WHERE id%2=0; DELETE FROM shrinks", NULL}},
    {ON_BOTH,
     "swaps", /* unique values that change places inside a transaction and across several */
     "CREATE TABLE swaps (id INT PRIMARY KEY, u INT, s VARCHAR(10), UNIQUE (u), UNIQUE (s))",
     {"INSERT INTO swaps VALUES (1,1,'a'),(2,2,'b'),(3,3,'c'),(4,4,'d'),(5,NULL,NULL)",
      "BEGIN; UPDATE swaps SET u=NULL, s=NULL WHERE id=1; UPDATE swaps SET u=1, s='a' WHERE id=2;"
      "UPDATE swaps SET u=2, s='B' WHERE id=1; COMMIT;"
      "UPDATE swaps SET u=-3 WHERE id=3; UPDATE swaps SET u=3 WHERE id=4; UPDATE swaps SET u=4 WHERE id=3",
      "BEGIN; UPDATE swaps SET u=-u WHERE id<5; UPDATE swaps SET u=5-id WHERE id<5; COMMIT;"
      "UPDATE swaps SET s='tmp' WHERE id=3; UPDATE swaps SET s='C' WHERE id=4; UPDATE swaps SET s='d' WHERE id=3;"
      "BEGIN; DELETE FROM swaps WHERE id=1; INSERT INTO swaps SELECT 9, 4, 'nine'; COMMIT"}},
    {ON_BOTH,
     "key_swaps", /* rows that exchange their keys */
     "CREATE TABLE key_swaps (id INT PRIMARY KEY, v INT)",
     {"INSERT INTO key_swaps VALUES (1,1),(2,2),(3,3)",
      "BEGIN; UPDATE key_swaps SET id=-1 WHERE id=1; UPDATE key_swaps SET id=1 WHERE id=2;"
      "UPDATE key_swaps SET id=2 WHERE id=-1; COMMIT",
      "UPDATE key_swaps SET id=id+100; UPDATE key_swaps SET id=id-101 ORDER BY id"}},
    {ON_MYSQL,
     "hidden_key",
     "SET sql_generate_invisible_primary_key=ON; CREATE TABLE hidden_key (id INT, v VARCHAR(10));"
     "SET sql_generate_invisible_primary_key=OFF",
     {"INSERT INTO hidden_key VALUES (1,'a'),(1,'a'),(2,'b')", "INSERT INTO hidden_key VALUES (1,'a')",
      "INSERT INTO hidden_key VALUES (1,'a'); UPDATE hidden_key SET v='c' WHERE id=2;"
      "DELETE FROM hidden_key WHERE my_row_id=1"}},
    {ON_MYSQL,
     "empty_json", /* rows that were there when the column came hold a document of no bytes, shown as null */
     "CREATE TABLE empty_json (id INT PRIMARY KEY); INSERT INTO empty_json VALUES (1),(2),(3),(4);"
     "ALTER TABLE empty_json ADD j JSON NOT NULL, ADD n INT",
     {"INSERT IGNORE INTO empty_json (id) VALUES (5)", "UPDATE empty_json SET n=1 WHERE id IN (1,5)",
      "UPDATE empty_json SET n=2 WHERE id IN (2,5); UPDATE empty_json SET id=id+100 WHERE id=3;"
      "DELETE FROM empty_json WHERE id=4; INSERT IGNORE INTO empty_json (id) VALUES (6)"}},
};

static const f_script f_scripts_own[] = {
    {ON_MYSQL,
     "literals", /* of other character sets, which no text that is UTF-8 can show, and beyond three bytes */
     "CREATE TABLE literals (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET latin1,"
     " v VARCHAR(30) CHARACTER SET latin1 AS (CONCAT('É', a)) VIRTUAL,"
     " x VARCHAR(20) CHARACTER SET latin1 AS (CONCAT(_latin1 0xC9275C, id)) VIRTUAL, e VARCHAR(20) AS (CONCAT(_sjis 0x83835C,"
     " id)) VIRTUAL, m VARCHAR(50) AS (CONCAT('😀É', id)) VIRTUAL, d VARCHAR(20) DEFAULT '😀?',"
     " dd VARCHAR(20) DEFAULT (LOWER('😀É')), s VARCHAR(20) AS (CONCAT(_gbk 0xC4E3, id)) STORED,"
     " KEY f ((CONCAT(a, _latin1 0xE9))), CHECK (a <> _latin1 0xFF))",
     {"INSERT INTO literals (id,a) VALUES (1,'x'),(2,NULL)", "INSERT INTO literals (id,a) VALUES (11,X'E9')",
      "INSERT INTO literals (id,a) VALUES (21,'y'); UPDATE literals SET a=X'C9' WHERE id=1"}},
    {ON_MARIADB,
     "exchanged", /* values of a key by hidden hash change places */
     "CREATE TABLE exchanged (id INT PRIMARY KEY, v BLOB UNIQUE)",
     {"INSERT INTO exchanged VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d')",
      "BEGIN; UPDATE exchanged SET v='t' WHERE id=1; UPDATE exchanged SET v='a' WHERE id=2;"
      "UPDATE exchanged SET v='b' WHERE id=1; COMMIT",
      "BEGIN; UPDATE exchanged SET v='t' WHERE id=3; UPDATE exchanged SET v='c' WHERE id=4;"
      "UPDATE exchanged SET v='d' WHERE id=3; DELETE FROM exchanged WHERE id=1; UPDATE exchanged SET v='b' WHERE id=2;"
      "INSERT INTO exchanged VALUES (5,'a'); UPDATE exchanged SET id=6 WHERE id=5; COMMIT"}},
    {ON_MYSQL,
     "functional",
     "CREATE TABLE functional (id INT PRIMARY KEY, s VARCHAR(20), j JSON, a INT, b INT, UNIQUE ((LOWER(s))),"
     " KEY ((a + b) DESC), KEY ((CAST(j->'$.n' AS UNSIGNED ARRAY))))",
     {"INSERT INTO functional VALUES (1,'A','{\"n\":[1,2]}',1,2),(2,'b',NULL,3,4),(3,NULL,'{\"n\":[]}',NULL,1)",
      "INSERT INTO functional VALUES (11,'K',NULL,1,2); UPDATE functional SET s='a' WHERE id=1",
      "BEGIN; UPDATE functional SET s='tmp' WHERE id=1; UPDATE functional SET s='A' WHERE id=2; COMMIT;"
      "DELETE FROM functional WHERE id=3; INSERT INTO functional VALUES (21,NULL,'{\"n\":[7]}',5,6)"}},
    {ON_MARIADB,
     "checked_json",
     "CREATE TABLE checked_json (id INT PRIMARY KEY, j JSON)",
     {"INSERT INTO checked_json VALUES (1,'{\"a\": 1.10}'),(2,'[\"it''s\\\\n\"]'),(3,NULL),(4,' [1 ,2]  ')",
      "INSERT INTO checked_json SELECT id+10,j FROM checked_json",
      "UPDATE checked_json SET j='{\"b\":1e400, \"a\" :  2}' WHERE id<3"}},
    {ON_MARIADB,
     "sequence_default",
     "CREATE TABLE sequence_default (id INT PRIMARY KEY, u UUID DEFAULT UUID(), t TEXT DEFAULT 'x')",
     {"INSERT INTO sequence_default (id) VALUES (1),(2)", "INSERT INTO sequence_default (id) VALUES (11)",
      "INSERT INTO sequence_default (id) VALUES (21); UPDATE sequence_default SET t=NULL"}},
};

/* Engines without transactions: not for a MySQL target that enforces GTIDs. */
static const f_script f_scripts_loose[] = {
    {ON_BOTH,
     "in_myisam",
     "CREATE TABLE in_myisam (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=MyISAM",
     {"INSERT INTO in_myisam VALUES (1,'a'),(2,'b'),(3,NULL)", "INSERT INTO in_myisam VALUES (11,'x'),(12,'y')",
      "INSERT INTO in_myisam VALUES (21,'x'); UPDATE in_myisam SET v='u' WHERE id<3; DELETE FROM in_myisam WHERE id=11"}},
    {ON_BOTH,
     "in_memory",
     "CREATE TABLE in_memory (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=MEMORY",
     {"INSERT INTO in_memory VALUES (1,'a'),(2,'b'),(3,NULL)", "INSERT INTO in_memory VALUES (11,'x'),(12,'y')",
      "INSERT INTO in_memory VALUES (21,'x'); UPDATE in_memory SET v='u' WHERE id<3; DELETE FROM in_memory WHERE id=11"}},
    {ON_MARIADB,
     "in_aria",
     "CREATE TABLE in_aria (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=Aria",
     {"INSERT INTO in_aria VALUES (1,'a'),(2,'b'),(3,NULL)", "INSERT INTO in_aria VALUES (11,'x'),(12,'y')",
      "INSERT INTO in_aria VALUES (21,'x'); UPDATE in_aria SET v='u' WHERE id<3; DELETE FROM in_aria WHERE id=11"}},
};

/* The format before 5.6. The target's columns are of today's: the definitions differ by a remark. */
static const f_script f_scripts_old[] = {
    {ON_MARIADB,
     "old_moments",
     "SET GLOBAL mysql56_temporal_format=OFF;"
     "CREATE TABLE old_moments (id INT PRIMARY KEY, dt0 DATETIME, dt1 DATETIME(1), dt3 DATETIME(3),"
     " dt6 DATETIME(6), ts0 TIMESTAMP NULL, ts2 TIMESTAMP(2) NULL, ts6 TIMESTAMP(6) NULL,"
     " t0 TIME, t1 TIME(1), t3 TIME(3), t6 TIME(6), d DATE); SET GLOBAL mysql56_temporal_format=ON",
     {"INSERT INTO old_moments VALUES (1,0,0,0,0,0,0,0,0,0,0,0,0),"
      "(2,'9999-12-31 23:59:59','9999-12-31 23:59:59.9','9999-12-31 23:59:59.999','9999-12-31 23:59:59.999999',"
      "FROM_UNIXTIME(2147483646),FROM_UNIXTIME(2147483646.99),FROM_UNIXTIME(1729990800.999999),"
      "'838:59:59','838:59:58.9','838:59:58.999','838:59:58.999999','9999-12-31'),(3,NULL,NULL,NULL,NULL,NULL,NULL,"
      "NULL,NULL,NULL,NULL,NULL,NULL)",
      "INSERT INTO old_moments SELECT id+10,dt0,dt1,dt3,dt6,ts0,ts2,ts6,t0,t1,t3,t6,d FROM old_moments",
      "UPDATE old_moments SET dt6='1000-01-01 00:00:00.000001', t6='-00:00:00.000001', ts6=FROM_UNIXTIME(1.000001),"
      "t0='-838:59:59', t3='-838:59:58.999', dt3='2024-01-00 01:02:03.456', ts2=FROM_UNIXTIME(1729994400.01)"
      " WHERE id IN (1,12); DELETE FROM old_moments WHERE id=11"}},
};

#endif

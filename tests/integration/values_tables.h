/* SPDX-License-Identifier: MIT */
/*
 * values_tables.h - hostile tables for test_values.c: every column type, each at its ends.
 *
 * All have `id` as their primary key and no two rows that are equal but for it. Statements run in database v, in
 * utf8mb4, under the mode that test_values.c sets; "relaxed" ones under an empty mode.
 */
#ifndef VALUES_TABLES_H
#define VALUES_TABLES_H

enum { ON_MARIADB = 1, ON_MYSQL = 2, ON_BOTH = 3 };

typedef struct {
    int families;
    const char *sql;
} values_statement;

#define VALUES_SIXTY_FOUR                                                                                              \
    "'a0','a1','a2','a3','a4','a5','a6','a7','a8','a9','b0','b1','b2','b3','b4','b5','b6','b7','b8','b9',"             \
    "'c0','c1','c2','c3','c4','c5','c6','c7','c8','c9','d0','d1','d2','d3','d4','d5','d6','d7','d8','d9',"             \
    "'e0','e1','e2','e3','e4','e5','e6','e7','e8','e9','f0','f1','f2','f3','f4','f5','f6','f7','f8','f9',"             \
    "'g0','g1','g2','g3'"

static const values_statement values_statements[] = {
    /* integers */
    {ON_BOTH,
     "CREATE TABLE ints (id INT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED,"
     " m MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED,"
     " z INT(9) ZEROFILL, zb BIGINT(20) UNSIGNED ZEROFILL, bo BOOL, y YEAR, b1 BIT(1), b9 BIT(9), b64 BIT(64))"},
    {ON_BOTH, "INSERT INTO ints VALUES (1,-128,0,-32768,0,-8388608,0,-2147483648,0,-9223372036854775808,0,0,0,0,0,"
              "b'0',b'0',0)"},
    {ON_BOTH, "INSERT INTO ints VALUES (2,127,255,32767,65535,8388607,16777215,2147483647,4294967295,"
              "9223372036854775807,18446744073709551615,4294967295,18446744073709551615,127,2155,b'1',b'111111111',"
              "18446744073709551615)"},
    {ON_BOTH, "INSERT INTO ints VALUES (3,-1,128,-1,32768,-1,8388608,-1,2147483648,-1,9223372036854775808,42,7,1,1901,"
              "b'1',b'100000000',9223372036854775808)"},
    {ON_BOTH, "INSERT INTO ints (id) VALUES (4)"},
    {ON_BOTH, "INSERT INTO ints (id, y, b64, b9, mu) VALUES (0,2000,X'275C00275C001A0A',b'1',8388607)"},

    /* decimals */
    {ON_BOTH, "CREATE TABLE decimals (id INT PRIMARY KEY, a DECIMAL(65,30), b DECIMAL(65), c DECIMAL(30,30),"
              " d DECIMAL(1), e DECIMAL(10,2) ZEROFILL, f DECIMAL(18,9), g DECIMAL(19,10) UNSIGNED, h DECIMAL(5,5))"},
    {ON_BOTH, "INSERT INTO decimals VALUES (1,99999999999999999999999999999999999.999999999999999999999999999999,"
              "99999999999999999999999999999999999999999999999999999999999999999,0.999999999999999999999999999999,9,"
              "99999999.99,999999999.999999999,999999999.9999999999,0.99999)"},
    {ON_BOTH, "INSERT INTO decimals VALUES (2,-99999999999999999999999999999999999.999999999999999999999999999999,"
              "-99999999999999999999999999999999999999999999999999999999999999999,-0.999999999999999999999999999999,-9,"
              "12.5,-999999999.999999999,0,-0.99999)"},
    {ON_BOTH, "INSERT INTO decimals VALUES (3,-0.000000000000000000000000000001,0,0.000000000000000000000000000001,0,"
              "0,-0.000000001,0.0000000001,-0.00001)"},
    {ON_BOTH, "INSERT INTO decimals VALUES (4,1000000000,-1000000000,0,1,100,1000000.000001,100000000,0)"},
    {ON_BOTH, "INSERT INTO decimals (id) VALUES (5)"},
    /* MariaDB's have up to 38 digits behind the point. */
    {ON_MARIADB,
     "CREATE TABLE deep_decimals (id INT PRIMARY KEY, a DECIMAL(65,38), b DECIMAL(38,38), c DECIMAL(40,31) UNSIGNED)"},
    {ON_MARIADB,
     "INSERT INTO deep_decimals VALUES (1,999999999999999999999999999.99999999999999999999999999999999999999,0.99999999999999999999999999999999999999,0),"
     "(2,-0.00000000000000000000000000000000000001,-0.00000000000000000000000000000000000001,123456789.0000000000000000000000000000001),(3,NULL,0,1.5)"},

    /* approximate numbers */
    {ON_BOTH, "CREATE TABLE floats (id INT PRIMARY KEY, f FLOAT, d DOUBLE, fd FLOAT(7,4), dd DOUBLE(10,3),"
              " fu FLOAT UNSIGNED, dz DOUBLE ZEROFILL, dl DOUBLE(255,30))"},
    {ON_BOTH, "INSERT INTO floats VALUES (1,870941.3125,870941.3125,123.4567,1234567.891,1e30,1.5,1e200)"},
    {ON_BOTH, "INSERT INTO floats VALUES (2,-0e0,-0e0,-0e0,-0e0,0,0,0.000000000000000000000000000001)"},
    {ON_BOTH, "INSERT INTO floats VALUES (3,3.4028234663852886e38,1.7976931348623157e308,999.9999,9999999.999,"
              "3.4028234663852886e38,1.7976931348623157e308,1e224)"},
    {ON_BOTH, "INSERT INTO floats VALUES (4,-3.4028234663852886e38,-1.7976931348623157e308,-999.9999,-9999999.999,"
              "1.4012984643248171e-45,4.9406564584124654e-324,-1e224)"},
    {ON_BOTH, "INSERT INTO floats VALUES (5,1.4012984643248171e-45,4.9406564584124654e-324,0.0001,0.001,"
              "1.1754942106924411e-38,2.2250738585072009e-308,0)"},
    {ON_BOTH, "INSERT INTO floats VALUES (6,16777216,9007199254740993,0.1,0.1,16777215,0.1,0.1)"},
    {ON_BOTH, "INSERT INTO floats VALUES (7,0.1,0.3,-0.1,-0.1,0.3,1e15,123456789012345678)"},
    {ON_BOTH, "INSERT INTO floats VALUES (8,-1.1754943508222875e-38,-2.2250738585072014e-308,1,1,1,1,1)"},
    {ON_BOTH, "INSERT INTO floats (id) VALUES (9)"},
    {ON_BOTH, "INSERT INTO floats (id,d,f) VALUES (10,0,0)"},

    /* dates and times */
    {ON_BOTH, "CREATE TABLE dates (id INT PRIMARY KEY, d DATE, dt0 DATETIME, dt1 DATETIME(1), dt2 DATETIME(2),"
              " dt3 DATETIME(3), dt4 DATETIME(4), dt5 DATETIME(5), dt6 DATETIME(6), ts0 TIMESTAMP NULL,"
              " ts1 TIMESTAMP(1) NULL, ts2 TIMESTAMP(2) NULL, ts3 TIMESTAMP(3) NULL, ts4 TIMESTAMP(4) NULL,"
              " ts5 TIMESTAMP(5) NULL, ts6 TIMESTAMP(6) NULL, t0 TIME, t1 TIME(1), t2 TIME(2), t3 TIME(3), t4 TIME(4),"
              " t5 TIME(5), t6 TIME(6))"},
    {ON_BOTH, "SET time_zone='+00:00'"},
#define VALUES_TIMES(id, date, clock, f1, f2, f3, f4, f5, f6, ts, t)                                                   \
    "INSERT INTO dates VALUES (" id ",'" date "','" date clock "','" date clock f1 "','" date clock f2                 \
    "','" date clock f3 "','" date clock f4 "','" date clock f5 "','" date clock f6 "','" ts "','" ts f1 "','" ts f2   \
    "','" ts f3 "','" ts f4 "','" ts f5 "','" ts f6 "','" t "','" t f1 "','" t f2 "','" t f3 "','" t f4 "','" t f5     \
    "','" t f6 "')"
    {ON_BOTH, VALUES_TIMES("1", "0000-00-00", " 00:00:00", "", "", "", "", "", "", "0000-00-00 00:00:00", "00:00:00")},
    {ON_BOTH, VALUES_TIMES("2", "1000-01-01", " 00:00:00", ".1", ".01", ".001", ".0001", ".00001", ".000001",
                           "1970-01-01 00:00:01", "-00:00:00")},
    {ON_BOTH, VALUES_TIMES("3", "9999-12-31", " 23:59:59", ".9", ".99", ".999", ".9999", ".99999", ".999999",
                           "2038-01-19 03:14:06", "838:59:58")},
    {ON_BOTH, VALUES_TIMES("4", "2024-00-00", " 12:34:56", ".5", ".12", ".789", ".4321", ".98765", ".123456",
                           "2024-03-31 00:59:59", "-838:59:58")},
    {ON_BOTH, VALUES_TIMES("5", "2024-02-31", " 01:02:03", ".2", ".02", ".020", ".0200", ".02000", ".020000",
                           "2024-03-31 01:00:00", "-00:00:01")},
    {ON_BOTH, VALUES_TIMES("6", "2024-02-29", " 00:00:00", ".0", ".10", ".100", ".1000", ".10000", ".100000",
                           "2024-10-27 00:30:00", "-01:00:00")},
    {ON_BOTH, VALUES_TIMES("7", "0001-01-00", " 10:00:00", ".0", ".00", ".000", ".0000", ".00000", ".000000",
                           "2024-10-27 01:30:00", "100:00:00")},
    {ON_BOTH, "INSERT INTO dates (id) VALUES (8)"},

    /* binary strings */
    {ON_BOTH, "CREATE TABLE binaries (id INT PRIMARY KEY, b1 BINARY(1), b8 BINARY(8), b255 BINARY(255),"
              " v5 VARBINARY(5), v300 VARBINARY(300), tb TINYBLOB, bb BLOB, mb MEDIUMBLOB, lb LONGBLOB, b0 BINARY(0))"},
    {ON_BOTH, "INSERT INTO binaries VALUES (1,'','','','','','','','','','')"},
    {ON_BOTH, "INSERT INTO binaries VALUES (2,X'00',X'0000',X'00',X'00',X'0000',X'00',X'00',X'00',X'00','')"},
    {ON_BOTH, "INSERT INTO binaries VALUES (3,X'5C',X'5C27220A0D1A0008',REPEAT(X'5C27',127),X'5C5C275C00',"
              "REPEAT(X'00275C',100),REPEAT(X'FF',255),REPEAT(X'27',255),REPEAT(X'5C',256),REPEAT(X'00',65535),NULL)"},
    {ON_BOTH, "INSERT INTO binaries VALUES (4,' ',' a  ','  ','a  ','a  ','a ',REPEAT('x',65535),REPEAT('y',65536),"
              "REPEAT(X'0127',70000),NULL)"},
    {ON_BOTH, "INSERT INTO binaries (id,b8,v5,bb) VALUES (5,X'6162000000000000',X'61620000',X'61620000')"},
    {ON_BOTH, "INSERT INTO binaries (id,b8,v5,bb) VALUES (6,X'6162000000000020',X'616200',X'616220')"},
    {ON_BOTH, "INSERT INTO binaries (id,b255) VALUES (7,CONCAT(REPEAT(X'AA',254),X'00'))"},
    {ON_BOTH, "INSERT INTO binaries (id) VALUES (8)"},

    /* members */
    {ON_BOTH,
     "CREATE TABLE members (id INT PRIMARY KEY, e ENUM('a','it''s','c,d','back\\\\slash','') ,"
     " el ENUM('é','ß') CHARACTER SET latin1 NOT NULL, s1 SET('x'), s9 SET('1','2','3','4','5','6','7','8','9'),"
     " s17 SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17'),"
     " s25 SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','18','19','20','21',"
     "'22','23','24','25'), s33 SET('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17',"
     "'18','19','20','21','22','23','24','25','26','27','28','29','30','31','32','33'),"
     " s64 SET(" VALUES_SIXTY_FOUR ") NOT NULL, UNIQUE (s64,id), UNIQUE (el,id))"},
    {ON_BOTH, "INSERT INTO members VALUES (1,1,1,0,0,0,0,0,0)"},
    {ON_BOTH, "INSERT INTO members VALUES (2,2,2,1,511,131071,33554431,8589934591,18446744073709551615)"},
    {ON_BOTH, "INSERT INTO members VALUES (3,5,2,1,256,65536,16777216,4294967296,9223372036854775808)"},
    {ON_BOTH, "INSERT INTO members VALUES (4,NULL,1,NULL,NULL,NULL,NULL,NULL,1)"},
    {ON_BOTH, "SET sql_mode=''"},
    {ON_BOTH, "INSERT INTO members (id,e,el,s64) VALUES (5,0,'no such',0),(6,'no such',1,0)"},
    {ON_BOTH, "SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"},

    /* geometry */
    {ON_BOTH, "CREATE TABLE shapes (id INT PRIMARY KEY, g GEOMETRY, p POINT, c GEOMETRYCOLLECTION)"},
    {ON_BOTH, "INSERT INTO shapes VALUES (1,ST_GeomFromText('POINT(0 0)'),ST_GeomFromText('POINT(-0.5 1e300)'),"
              "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'))"},
    {ON_BOTH,
     "INSERT INTO shapes VALUES (2,ST_GeomFromText('POLYGON((0 0,0 5,5 5,5 0,0 0),(1 1,1 2,2 2,2 1,1 1))',4326),"
     "ST_GeomFromText('POINT(39 92)',4326),NULL)"},
    {ON_BOTH, "INSERT INTO shapes VALUES (3,ST_GeomFromText('MULTIPOLYGON(((0 0,0 5,5 5,5 0,0 0)))'),NULL,NULL)"},
    {ON_BOTH, "INSERT INTO shapes (id) VALUES (4)"},

    /* columns of their own kind */
    {ON_BOTH,
     "CREATE TABLE made (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s VARCHAR(20) AS (CONCAT('s', a))"
     " STORED, h INT INVISIBLE DEFAULT 7, UNIQUE (s))"},
    {ON_BOTH, "INSERT INTO made (id,a,h) VALUES (1,5,8),(2,NULL,9),(3,-7,-1)"},

    /* keys */
    {ON_BOTH,
     "CREATE TABLE composite (id INT PRIMARY KEY, a INT NOT NULL, s VARCHAR(10) CHARACTER SET utf8mb4 NOT NULL,"
     " e ENUM('z','y','x') NOT NULL, d DATE NOT NULL, f DOUBLE NOT NULL, n DECIMAL(10,3) NOT NULL,"
     " b BINARY(4) NOT NULL, t TIME(3) NOT NULL, u BIGINT UNSIGNED NOT NULL, bi BIT(10) NOT NULL,"
     " c CHAR(5) CHARACTER SET ucs2 NOT NULL, y YEAR NOT NULL, fl FLOAT NOT NULL, st SET('p','q','r') NOT NULL,"
     " ts TIMESTAMP(2) NOT NULL DEFAULT '2020-01-01 00:00:00',"
     " UNIQUE k1 (s,a), UNIQUE k2 (e,d,f), UNIQUE k3 (n,b), UNIQUE k4 (t,u), UNIQUE k5 (bi,c,id),"
     " UNIQUE k6 (y,fl,id), UNIQUE k7 (st,id), UNIQUE k8 (a DESC,s), UNIQUE k9 (d,t,id), UNIQUE k10 (ts,id))"},
    {ON_BOTH, "INSERT INTO composite VALUES"
              "(1,1,'a',1,'2024-01-01',-1.5,-1.5,'a','-00:00:01.5',0,0,'a',2000,0.1,0,'2020-01-01 00:00:00'),"
              "(2,1,'B',3,'2024-01-01',-1.5,1.5,'a','-00:00:01.499',1,1,'B',0,0.1,1,'2020-01-01 00:00:00.01'),"
              "(3,2,'b',2,'0000-00-00',0,1.5,'a ','00:00:00',18446744073709551615,1023,'b',1999,-1e-40,2,"
              "'2038-01-19 03:14:07.99'),"
              "(4,2,'É',1,'2024-01-00',5e-324,0,X'00',' 100:00:00',9223372036854775808,512,'É',2155,1e38,4,"
              "'0000-00-00 00:00:00'),"
              "(5,-3,'it''s',3,'9999-12-31',1e300,9999999.999,X'FF00FF','-838:59:59',5,27,'it''s',1901,0.2,7,"
              "'2020-01-01 00:00:00.01'),"
              "(6,-3,'',2,'2024-01-01',1e300,-9999999.999,X'5C27','838:59:59',5,92,'',1,0.3,3,'2021-01-01 00:00:00')"},

    /* MySQL's own */
    {ON_MYSQL, "CREATE TABLE documents (id INT PRIMARY KEY, j JSON, n JSON NOT NULL)"},
    {ON_MYSQL,
     "INSERT INTO documents VALUES (1,'{}','[]'),(2,'null','true'),(3,NULL,'false'),(4,'0','-1'),"
     "(5,'18446744073709551615','-9223372036854775808'),(6,'32.0','1e300'),(7,'-0.0','5e-324'),"
     "(8,'\"\"','\"it''s \\\\\\\\ \\\\\" \\\\u0000\\\\u001f\\\\n\\\\t é 😀\"'),"
     "(9,'[1,[2,[3,[]]],{\"a\":{\"b\":[{}]}}]','{\"b\":1,\"a\":2,\"aa\":3,\"\":4,\"é\":5}'),"
     "(10,'[32767,32768,65535,65536,2147483647,2147483648,4294967295,4294967296,-32768,-32769,-2147483649]',"
     "'[0.1,1e15,1e16,123456789012345678.0,1e-14,1e-15,1e-16,1.5e-20,100000000000000.0,1.7976931348623157e308,"
     "2.2250738585072011e-308,1234567890123456.7]')"},
    {ON_MYSQL,
     "INSERT INTO documents SELECT 11,JSON_OBJECT('d',CAST('123456789012345678901234567890.10' AS DECIMAL(40,2)),"
     "'e',CAST(0.5 AS DECIMAL(10,5)),'f',CAST(-5 AS DECIMAL(10,0)),'g',CAST(99999999999999999999 AS DECIMAL(30,0)),"
     "'date',DATE'2024-01-02','dt',CAST('2024-01-02 03:04:05.1' AS DATETIME(1)),'t',CAST('-838:59:58.5' AS TIME(1)),"
     "'t2',TIME'00:00:00.000001','y',CAST(2024 AS YEAR)),"
     "JSON_ARRAY(CAST(REPEAT('x',100) AS BINARY),CAST('' AS BINARY),CAST('x' AS BINARY),CAST('xy' AS BINARY),"
     "b'101',JSON_ARRAY(JSON_OBJECT('it''s \"q\" \\\\ é',CAST(1.10 AS DECIMAL(5,2)))),CAST(0 AS DECIMAL(5,2)),"
     "CAST(1.5 AS DECIMAL(5,1)))"},
    {ON_MYSQL, "INSERT INTO documents SELECT 12,CONCAT('[',REPEAT('1234567,',20000),'0]'),"
               "CONCAT('{\"k\":\"',REPEAT('x',70000),'\"}')"},
    {ON_MYSQL,
     "INSERT INTO documents SELECT 13,CONCAT(REPEAT('[',99),REPEAT(']',99)),CAST(CAST(7.70 AS DECIMAL(4,2)) AS JSON)"},
    {ON_MYSQL, "INSERT INTO documents SELECT 14,JSON_QUOTE(REPEAT('y',127)),JSON_QUOTE(REPEAT('y',16384))"},
    {ON_MYSQL, "CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR(2048))"},
    {ON_MYSQL, "INSERT INTO vectors VALUES (1,TO_VECTOR('[1,2,3]'),NULL),(2,X'0000008001000000FFFF7F7F',"
               "TO_VECTOR('[39,92]')),(3,NULL,NULL)"},

    /* MariaDB's own */
    {ON_MARIADB,
     "CREATE TABLE addresses (id INT PRIMARY KEY, i4 INET4, i6 INET6, u UUID, UNIQUE (i6,id), UNIQUE (u,id),"
     " UNIQUE (i4,id))"},
    {ON_MARIADB,
     "INSERT INTO addresses VALUES (1,'0.0.0.0','::','00000000-0000-0000-0000-000000000000'),"
     "(2,'255.255.255.255','ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff','ffffffff-ffff-ffff-ffff-ffffffffffff'),"
     "(3,'39.92.0.0','275c::','275c2700-e89b-12d3-a456-426655440000'),"
     "(4,'1.2.3.4','::ffff:1.2.3.4','00000001-e89b-11d3-a456-426655440000'),"
     "(5,'10.0.0.0','2001:db8::1','00000002-0000-7000-8000-000000000000'),(6,NULL,NULL,NULL)"},
    {ON_MARIADB,
     "CREATE TABLE keyed_addresses (id INT PRIMARY KEY, i4 INET4 NOT NULL, i6 INET6 NOT NULL, u UUID NOT NULL,"
     " UNIQUE (i6), UNIQUE (u), UNIQUE (i4))"},
    {ON_MARIADB, "INSERT INTO keyed_addresses SELECT * FROM addresses WHERE id < 6"},
    {ON_MARIADB, "CREATE TABLE packed (id INT PRIMARY KEY, v VARCHAR(300) COMPRESSED, s VARCHAR(100) COMPRESSED,"
                 " t TEXT COMPRESSED, tt TINYTEXT COMPRESSED, b LONGBLOB COMPRESSED, vb VARBINARY(1000) COMPRESSED)"},
    {ON_MARIADB, "INSERT INTO packed VALUES (1,'','','','','',''),(2,'a','it''s','\\\\','é','x',X'00'),"
                 "(3,REPEAT('ab',150),REPEAT('x',100),REPEAT('it''s ',10000),REPEAT('z',255),REPEAT(X'005C27',100000),"
                 "REPEAT('q',1000)),(4,NULL,NULL,NULL,NULL,NULL,NULL)"},
    {ON_MARIADB, "CREATE TABLE hashed (id INT PRIMARY KEY, b BLOB, t TEXT, UNIQUE (b), UNIQUE (t))"},
    {ON_MARIADB, "INSERT INTO hashed VALUES (1,'a','b'),(2,NULL,''),(3,'',NULL)"},
    {ON_MARIADB, "CREATE TABLE jsons (id INT PRIMARY KEY, j JSON)"},
    {ON_MARIADB, "INSERT INTO jsons VALUES (1,'{\"a\": 1.10}'),(2,'[\"it''s\\\\n\"]'),(3,NULL)"},
};

/* Tables in the format of MariaDB before 5.6; test_values.c sets mysql56_temporal_format around them. */
static const values_statement values_old_temporals[] = {
    {ON_MARIADB,
     "CREATE TABLE old_dates (id INT PRIMARY KEY, dt0 DATETIME, dt1 DATETIME(1), dt3 DATETIME(3),"
     " dt6 DATETIME(6), ts0 TIMESTAMP NULL, ts2 TIMESTAMP(2) NULL, ts4 TIMESTAMP(4) NULL, ts6 TIMESTAMP(6) NULL,"
     " t0 TIME, t1 TIME(1), t3 TIME(3), t5 TIME(5), t6 TIME(6), d DATE)"},
    {ON_MARIADB,
     "INSERT INTO old_dates VALUES (1,0,0,0,0,0,0,0,0,0,0,0,0,0,0),"
     "(2,'9999-12-31 23:59:59','9999-12-31 23:59:59.9','9999-12-31 23:59:59.999','9999-12-31 23:59:59.999999',"
     "'2038-01-19 03:14:06','2038-01-19 03:14:06.99','2038-01-19 03:14:06.9999','2038-01-19 03:14:06.999999',"
     "'838:59:59','838:59:58.9','838:59:58.999','838:59:58.99999','838:59:58.999999','9999-12-31'),"
     "(3,'2024-00-00 01:02:03','2024-02-30 01:02:03.4','2024-01-00 01:02:03.456','1000-01-01 00:00:00.000001',"
     "'1970-01-01 00:00:01','1970-01-01 00:00:01.01','2024-03-31 01:00:00.0001','2024-10-27 01:00:00.000001',"
     "'-838:59:59','-00:00:00.1','-838:59:58.999','-00:00:00.00001','-00:00:00.000001','2024-00-00'),"
     "(4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)"},
};

/* Strings: one table per character set, each with these texts converted, and some bytes of its own. */
static const char *const values_texts[] = {
    "''",          "'a'", "'A'", "'a '",     "'a  '", "' '", "'it''s'",        "'\\\\'", "'\\\\\\\\'''", "X'6100'",
    "X'1A0A0D22'", "'é'", "'ß'", "'ソ表能'", "'€'",   "'😀'", "REPEAT('x',20)", "'a\\t'", "'ж'",          "'ﾊﾟ'",
};

static const struct {
    int families;
    const char *charset;
    const char *bytes; /* hex, valid in the set, at most 20 characters of it; NULL: none */
} values_charsets[] = {
    {ON_BOTH, "latin1", "80818D8F909D5C27FF00"},
    {ON_BOTH, "ascii", "7F005C27"},
    {ON_BOTH, "latin2", "A1FF"},
    {ON_BOTH, "latin5", "A1FF"},
    {ON_BOTH, "latin7", "B1FF"},
    {ON_BOTH, "cp1250", "80FF"},
    {ON_BOTH, "cp1251", "98FF5C"},
    {ON_BOTH, "cp1256", "80FF"},
    {ON_BOTH, "cp1257", "C0FF"},
    {ON_BOTH, "cp850", "80FF"},
    {ON_BOTH, "cp852", "80FF"},
    {ON_BOTH, "cp866", "80FF"},
    {ON_BOTH, "koi8r", "80FF"},
    {ON_BOTH, "koi8u", "A4FF"},
    {ON_BOTH, "greek", "B6FE"},
    {ON_BOTH, "hebrew", "E0FA"},
    {ON_BOTH, "armscii8", "A2FE"},
    {ON_BOTH, "tis620", "A1FB"},
    {ON_BOTH, "geostd8", "C0E5"},
    {ON_BOTH, "macce", "80FF"},
    {ON_BOTH, "macroman", "80FF"},
    {ON_BOTH, "dec8", "A1FD"},
    {ON_BOTH, "hp8", "A1FE"},
    {ON_BOTH, "keybcs2", "80FE"},
    {ON_BOTH, "swe7", "5C7F"},
    {ON_BOTH, "gbk", "815C905CA15C"},
    {ON_BOTH, "gb2312", "B0A1D7F9"},
    {ON_BOTH, "big5", "A55CB35CC05C"},
    {ON_BOTH, "sjis", "835C8E5C955C"},
    {ON_BOTH, "cp932", "835CFA5C815F"},
    {ON_BOTH, "ujis", "8EA48FB0A1C5C4"},
    {ON_BOTH, "eucjpms", "8EA48FF3F3ADA1"},
    {ON_BOTH, "euckr", "8141B0A1C8FE"},
    {ON_BOTH, "utf8mb3", "EFBFBFC3A9"},
    {ON_BOTH, "utf8mb4", "F48FBFBFF09F9880"},
    {ON_BOTH, "ucs2", "20200120202700275C5C005C"},
    {ON_BOTH, "utf16", "202001200027005CD83DDE005C5C"},
    {ON_BOTH, "utf16le", "2020200127005C003DD800DE5C5C"},
    {ON_BOTH, "utf32", "000020200001F6000000005C0000002700002720"},
    {ON_MYSQL, "gb18030", "815C81308130A2E3"},
};

#endif

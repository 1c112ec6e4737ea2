/* SPDX-License-Identifier: MIT */
/* Loading real tables of both families, and the collations that claims rely on. */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/server.h"
#include "harness/harness.h"
#include "run_suite.h"

static const char *const families[] = {"mariadb", "mysql"};
static h_server *servers[2];

static void start_servers(void)
{
    for (int i = 0; i < 2; i++)
        servers[i] = h_server_start(families[i], NULL);
}

static void stop_servers(void)
{
    for (int i = 0; i < 2; i++)
        h_server_free(servers[i]);
}

static gf_flavor flavor(int i)
{
    return i == 0 ? GF_FLAVOR_MARIADB : GF_FLAVOR_MYSQL;
}

static void assert_ok(bool ok, const gf_error *err)
{
    ck_assert_msg(ok, "%s", err->text);
}

static gf_catalog *load_as(int i, MYSQL *db, const char *database, gf_buf *left_out)
{
    char *names[] = {(char *)(uintptr_t)database};
    gf_filter filter = {.db_whitelist = {names, 1}};
    gf_catalog *c = gf_catalog_new();
    gf_error err = {0};

    assert_ok(gf_catalog_load(c, db, flavor(i), &filter, left_out, &err), &err);
    return c;
}

static gf_catalog *load(int i, const char *database, gf_buf *left_out)
{
    MYSQL *db = h_connect(servers[i]);
    gf_catalog *c = load_as(i, db, database, left_out);

    mysql_close(db);
    return c;
}

static const gf_table *table(gf_catalog *c, const char *db, const char *name)
{
    const gf_table *t = gf_catalog_find(c, db, strlen(db), name, strlen(name));

    ck_assert_msg(t != NULL, "no table %s.%s", db, name);
    return t;
}

static const gf_column *column(const gf_table *t, const char *name)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    ck_abort_msg("no column %s in %s", name, t->label);
    return NULL;
}

static const gf_key *key(const gf_table *t, const char *name)
{
    for (unsigned i = 0; i < t->key_count; i++)
        if (strcmp(t->keys[i].name, name) == 0)
            return &t->keys[i];
    ck_abort_msg("no key %s in %s", name, t->label);
    return NULL;
}

START_TEST(load__reads_the_types_of_both_families)
{
    gf_catalog *c;
    const gf_table *t;

    h_sql(
        servers[_i],
        "CREATE DATABASE types; CREATE TABLE types.t (a INT UNSIGNED ZEROFILL, b BIGINT NOT NULL AUTO_INCREMENT, "
        "y YEAR, bi BIT(5), d DECIMAL(10,3), f FLOAT(7,2), dd DOUBLE, dt DATETIME(3), ti TIME, ts TIMESTAMP(6) NULL, "
        "ch CHAR(5) CHARACTER SET utf8mb4, vc VARCHAR(7) CHARACTER SET latin1, tx TEXT CHARACTER SET utf16, "
        "bn BINARY(4), vb VARBINARY(9), bl LONGBLOB, e ENUM('a','b''c','d,e','\\\\','x\\ny') CHARACTER SET utf8mb4, "
        "s SET('p','q'), g GEOMETRY, g1 INT AS (a+1) VIRTUAL, g2 INT AS (a+2) STORED, iv INT INVISIBLE, PRIMARY KEY (b))");
    c = load(_i, "types", NULL);
    t = table(c, "types", "t");
    ck_assert_uint_eq(t->column_count, 22);
    ck_assert(column(t, "a")->is_unsigned && column(t, "a")->type == GF_T_LONG && column(t, "a")->nullable);
    ck_assert(column(t, "b")->auto_increment && !column(t, "b")->nullable);
    ck_assert_int_eq(column(t, "y")->type, GF_T_YEAR);
    ck_assert_uint_eq(column(t, "bi")->bits, 5);
    ck_assert_uint_eq(column(t, "d")->precision, 10);
    ck_assert_uint_eq(column(t, "d")->scale, 3);
    ck_assert(column(t, "f")->scale_given && column(t, "f")->scale == 2);
    ck_assert(!column(t, "dd")->scale_given);
    ck_assert_uint_eq(column(t, "dt")->fsp, 3);
    ck_assert_uint_eq(column(t, "ti")->fsp, 0);
    ck_assert_uint_eq(column(t, "ts")->fsp, 6);
    ck_assert_uint_eq(column(t, "ch")->char_bytes, 20);
    ck_assert_str_eq(column(t, "vc")->charset, "latin1");
    ck_assert_uint_eq(column(t, "vc")->char_bytes, 7);
    ck_assert_int_eq(column(t, "tx")->type, GF_T_TEXT);
    ck_assert_int_eq(column(t, "bn")->type, GF_T_BINARY);
    ck_assert_ptr_null(column(t, "bn")->charset);
    ck_assert_uint_eq(column(t, "bl")->char_bytes, 4294967295);
    ck_assert_uint_eq(column(t, "e")->member_count, 5);
    ck_assert_str_eq(column(t, "e")->members[1], "b'c");
    ck_assert_str_eq(column(t, "e")->members[3], "\\");
    ck_assert_str_eq(column(t, "e")->members[4], "x\ny");
    ck_assert_int_eq(column(t, "g")->type, GF_T_GEOMETRY);
    ck_assert_int_eq(column(t, "g1")->generated, GF_GEN_VIRTUAL);
    ck_assert_int_eq(column(t, "g2")->generated, GF_GEN_STORED);
    ck_assert(column(t, "iv")->invisible);
    ck_assert_ptr_null(strstr(t->write_columns, "g1"));
    ck_assert_ptr_nonnull(strstr(t->write_columns, "`iv`"));
    ck_assert_str_eq(t->keys[t->identity].name, "PRIMARY");
    ck_assert(t->transactional);
    ck_assert_ptr_nonnull(strstr(t->create_sql, "CREATE TABLE `t`"));
    gf_catalog_free(c);
}
END_TEST

START_TEST(load__reads_what_only_mariadb_has)
{
    gf_catalog *c;
    const gf_table *t;
    gf_buf left_out = {0};

    h_sql(servers[0], "SET GLOBAL mysql56_temporal_format=OFF; CREATE DATABASE only_maria; "
                      "CREATE TABLE only_maria.old (a INT PRIMARY KEY, d DATETIME(3)); "
                      "SET GLOBAL mysql56_temporal_format=ON; "
                      "CREATE TABLE only_maria.t (u UUID PRIMARY KEY, i4 INET4, i6 INET6, c VARCHAR(10) COMPRESSED, "
                      "j JSON, b TEXT NOT NULL, UNIQUE h (b), UNIQUE ig (i4) IGNORED); "
                      "CREATE TABLE only_maria.v (a INT) WITH SYSTEM VERSIONING; "
                      "CREATE TABLE only_maria.wo (id INT NOT NULL, s DATE, e DATE, PERIOD FOR p(s,e), "
                      "UNIQUE u(id, p WITHOUT OVERLAPS)); "
                      "CREATE TABLE only_maria.m (a VARCHAR(10) PRIMARY KEY) ENGINE=MEMORY; "
                      "CREATE SEQUENCE only_maria.sq; CREATE VIEW only_maria.vw AS SELECT 1");
    c = load(0, "only_maria", &left_out);
    ck_assert(column(table(c, "only_maria", "old"), "d")->old_temporal);
    t = table(c, "only_maria", "t");
    ck_assert_int_eq(column(t, "u")->type, GF_T_UUID);
    ck_assert_int_eq(column(t, "i4")->type, GF_T_INET4);
    ck_assert_int_eq(column(t, "i6")->type, GF_T_INET6);
    ck_assert(column(t, "c")->compressed);
    ck_assert_int_eq(column(t, "j")->type, GF_T_TEXT);
    ck_assert(key(t, "h")->hashed && !key(t, "h")->nullable);
    ck_assert(key(t, "ig")->invisible);
    ck_assert(t->hidden_hash && t->hidden_columns == 1);
    ck_assert(table(c, "only_maria", "v")->system_versioned);
    t = table(c, "only_maria", "wo");
    ck_assert(key(t, "u")->functional);
    ck_assert_int_eq(t->identity, -1);
    t = table(c, "only_maria", "m");
    ck_assert(!t->hidden_hash && t->identity == 0 && !t->transactional);
    ck_assert_ptr_null(strstr(gf_buf_cstr(&left_out), "only_maria.sq")); /* moved in a way of its own */
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&left_out), "only_maria.vw: view\n"));
    gf_buf_free(&left_out);
    gf_catalog_free(c);
}
END_TEST

START_TEST(load__reads_what_only_mysql_has)
{
    gf_catalog *c;
    const gf_table *t;
    const gf_key *k;

    h_sql(servers[1], "CREATE DATABASE only_mysql; SET sql_generate_invisible_primary_key=ON; "
                      "CREATE TABLE only_mysql.gi (x INT); SET sql_generate_invisible_primary_key=OFF; "
                      "SET GLOBAL show_gipk_in_create_table_and_information_schema=OFF; "
                      "CREATE TABLE only_mysql.t (a INT PRIMARY KEY, b INT, j JSON, v VECTOR(4), l LONGTEXT, "
                      "y INT NOT NULL, gc GEOMETRYCOLLECTION, UNIQUE fx ((a+1), b), UNIQUE pr (l(10)), "
                      "UNIQUE de (b DESC, a), UNIQUE nv (y) INVISIBLE, "
                      "UNIQUE mv ((CAST(j->'$.a' AS UNSIGNED ARRAY))))");
    c = load(1, "only_mysql", NULL);
    t = table(c, "only_mysql", "gi");
    ck_assert_uint_eq(t->column_count, 2);
    ck_assert_str_eq(t->columns[0].name, "my_row_id");
    ck_assert_int_eq(t->identity, 0);
    ck_assert_ptr_nonnull(strstr(t->create_sql, "my_row_id"));
    t = table(c, "only_mysql", "t");
    ck_assert_int_eq(column(t, "j")->type, GF_T_JSON);
    ck_assert_int_eq(column(t, "v")->type, GF_T_VECTOR);
    ck_assert_int_eq(column(t, "gc")->type, GF_T_GEOMETRY);
    ck_assert(key(t, "fx")->functional && key(t, "fx")->part_count == 1);
    ck_assert(key(t, "mv")->functional && key(t, "mv")->part_count == 0);
    ck_assert_uint_eq(key(t, "pr")->parts[0].prefix, 10);
    ck_assert(key(t, "nv")->invisible);
    k = key(t, "de");
    ck_assert(k->part_count == 2 && k->parts[0].descending && !k->parts[1].descending && k->nullable);
    ck_assert_uint_eq(k->parts[0].column, 1);
    gf_catalog_free(c);
}
END_TEST

START_TEST(load__takes_names_as_they_are)
{
    static const char *const names[] = {"a`b",
                                        "dot.dot",
                                        "quo'te\"",
                                        "sp ace%",
                                        "\xc3\xa4\xe2\x82\xac",
                                        "select",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    gf_catalog *c;

    h_sql(servers[_i], "CREATE DATABASE `od``d'.db`");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        gf_buf sql = {0};

        gf_buf_str(&sql, "CREATE TABLE `od``d'.db`.");
        gf_buf_ident(&sql, names[i]);
        gf_buf_str(&sql, " (`k``'.\xc3\xa4` INT PRIMARY KEY)");
        h_sql(servers[_i], "%s", gf_buf_cstr(&sql));
        gf_buf_free(&sql);
    }
    c = load(_i, "od`d'.db", NULL);
    ck_assert_uint_eq(gf_catalog_count(c), sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_str_eq(table(c, "od`d'.db", names[i])->columns[0].name, "k`'.\xc3\xa4");
    gf_catalog_free(c);
}
END_TEST

START_TEST(load__works_under_a_hostile_sql_mode_and_puts_it_back)
{
    gf_filter all = {0};
    MYSQL *db = h_connect(servers[_i]);
    gf_catalog *c;
    gf_error err = {0};
    gf_table *t = NULL;
    char *mode = NULL;

    h_sql(servers[_i], "CREATE DATABASE mode; CREATE TABLE mode.t (a INT PRIMARY KEY, e ENUM('\\\\'))");
    ck_assert_int_eq(mysql_query(db, "SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"), 0);
    c = load_as(_i, db, "mode", NULL);
    ck_assert_ptr_nonnull(strstr(table(c, "mode", "t")->create_sql, "`a`"));
    assert_ok(gf_catalog_load_table(&t, db, flavor(_i), &all, "src", "orders", "mode", "t", &err), &err);
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->label, "src.orders");
    ck_assert_uint_eq(t->fingerprint, table(c, "mode", "t")->fingerprint);
    assert_ok(gf_server_scalar(&mode, db, "mode", &err, "SELECT @@session.sql_mode"), &err);
    ck_assert_str_eq(mode, "ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
    free(mode);
    gf_table_free(t);
    gf_catalog_free(c);
    mysql_close(db);
}
END_TEST

START_TEST(load_table__gives_none_for_a_missing_table_and_for_a_view)
{
    gf_filter all = {0};
    MYSQL *db = h_connect(servers[_i]);
    gf_error err = {0};
    gf_table *t = NULL;

    h_sql(servers[_i], "CREATE DATABASE gone; CREATE VIEW gone.v AS SELECT 1");
    assert_ok(gf_catalog_load_table(&t, db, flavor(_i), &all, "gone", "t", "gone", "t", &err), &err);
    ck_assert_ptr_null(t);
    assert_ok(gf_catalog_load_table(&t, db, flavor(_i), &all, "gone", "v", "gone", "v", &err), &err);
    ck_assert_ptr_null(t);
    mysql_close(db);
}
END_TEST

START_TEST(load__names_triggers_and_routines_and_applies_filter_and_renames)
{
    char *dbs[] = {"objs"}, *black[] = {"hidden"}, *to_db[] = {"objects"}, *from_t[] = {"t"}, *to_t[] = {"t2"};
    gf_filter filter = {.db_whitelist = {dbs, 1},
                        .table_blacklist = {black, 1},
                        .db_renames = {dbs, to_db, 1},
                        .table_renames = {from_t, to_t, 1}};
    gf_catalog *c = gf_catalog_new();
    MYSQL *db = h_connect(servers[_i]);
    gf_buf left_out = {0};
    gf_error err = {0};

    h_sql(servers[_i], "CREATE DATABASE objs; CREATE TABLE objs.t (a INT PRIMARY KEY); "
                       "CREATE TABLE objs.hidden (a INT); "
                       "CREATE TRIGGER objs.tr BEFORE INSERT ON objs.t FOR EACH ROW SET @x=1; "
                       "CREATE TRIGGER objs.th BEFORE INSERT ON objs.hidden FOR EACH ROW SET @x=1; "
                       "CREATE PROCEDURE objs.p() SELECT 1; "
                       "CREATE EVENT objs.ev ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1");
    assert_ok(gf_catalog_load(c, db, flavor(_i), &filter, &left_out, &err), &err);
    ck_assert_uint_eq(gf_catalog_count(c), 1);
    ck_assert_str_eq(table(c, "objs", "t")->target_sql, "`objects`.`t2`");
    gf_buf_cstr(&left_out);
    ck_assert_ptr_nonnull(strstr((char *)left_out.data, "objs.tr: trigger\n"));
    ck_assert_ptr_null(strstr((char *)left_out.data, "objs.th"));
    ck_assert_ptr_nonnull(strstr((char *)left_out.data, "objs.p: procedure\n"));
    ck_assert_ptr_nonnull(strstr((char *)left_out.data, "objs.ev: event\n"));
    gf_buf_free(&left_out);
    gf_catalog_free(c);
    mysql_close(db);
}
END_TEST

START_TEST(load__needs_no_more_than_select)
{
    h_server user = *servers[_i];
    MYSQL *db;
    gf_catalog *c;

    h_sql(servers[_i],
          "CREATE DATABASE least; CREATE TABLE least.t (a INT PRIMARY KEY, b INT, UNIQUE u (b)); "
          "CREATE USER least@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT SELECT ON least.* TO least@'127.0.0.1'");
    snprintf(user.user, sizeof user.user, "least");
    snprintf(user.password, sizeof user.password, "pw");
    db = h_connect(&user);
    c = load_as(_i, db, "least", NULL);
    ck_assert_uint_eq(table(c, "least", "t")->key_count, 2);
    ck_assert_uint_eq(table(c, "least", "t")->column_count, 2);
    gf_catalog_free(c);
    mysql_close(db);
}
END_TEST

/* Which pairs of one and two printable ASCII characters are equal under each collation, asked from the server itself:
   a collation for which claims fold must hold none equal that fold apart. */
static gf_table *word_table(const char *charset, const char *collation)
{
    gf_table *t = gf_table_new("d", "t");

    t->columns = gf_calloc(1, sizeof *t->columns);
    t->column_count = 1;
    t->columns[0] = (gf_column){.name = gf_strdup("w"),
                                .type_text = gf_strdup("varchar(2)"),
                                .type = GF_T_VARCHAR,
                                .charset = gf_strdup(charset),
                                .collation = gf_strdup(collation)};
    t->keys = gf_calloc(1, sizeof *t->keys);
    t->key_count = 1;
    t->keys[0] = (gf_key){.name = gf_strdup("w"), .unique = true, .part_count = 1};
    t->keys[0].parts = gf_calloc(1, sizeof *t->keys[0].parts);
    gf_table_finish(t, "d", "t");
    return t;
}

/* The claim of a word of the table, 0 when wild. */
static uint64_t claim_of(const gf_table *t, const char *bytes, size_t len)
{
    gf_value v = {.kind = GF_V_BYTES, .bytes = gf_slice_of(bytes, len)};
    uint64_t out[2];
    bool wild = false;

    gf_row_claims(out, &wild, t, &v);
    return wild ? 0 : out[0];
}

/* One group of words that the server holds equal, in hex with commas between. */
static void check_group(const gf_table *t, const char *collation, char *words)
{
    uint64_t first = 0;

    for (char *word = strtok(words, ","); word != NULL; word = strtok(NULL, ",")) {
        char bytes[16];
        size_t len = strlen(word) / 2;
        uint64_t claim;

        for (size_t i = 0; i < len; i++) {
            char digits[3] = {word[2 * i], word[2 * i + 1], '\0'};

            bytes[i] = (char)strtoul(digits, NULL, 16);
        }
        claim = claim_of(t, bytes, len);
        if (claim == 0) /* no ASCII in that character set: wild, conflicts with all */
            continue;
        if (first == 0)
            first = claim;
        ck_assert_msg(first == claim, "%s holds %s equal to another word, claims do not", collation, word);
    }
}

static bool folds(const gf_table *t)
{
    return t->columns[0].fold != 0;
}

static void check_collation(MYSQL *db, const char *charset, const char *collation, unsigned *folding)
{
    gf_table *t = word_table(charset, collation);
    char *group = h_format("SELECT GROUP_CONCAT(HEX(CAST(CONVERT(w USING %s) AS BINARY)) SEPARATOR ',') "
                           "FROM claims.words GROUP BY CONVERT(w USING %s) COLLATE %s HAVING COUNT(*)>1",
                           charset, charset, collation);
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;

    if (folds(t)) {
        (*folding)++;
        ck_assert_msg(mysql_query(db, group) == 0, "%s: %s", collation, mysql_error(db));
        result = mysql_store_result(db);
        while ((row = mysql_fetch_row(result)) != NULL)
            check_group(t, collation, row[0]);
        mysql_free_result(result);
    }
    free(group);
    gf_table_free(t);
}

START_TEST(claims__are_equal_wherever_the_servers_collations_are)
{
    static const char *const lists[] = {
        "SELECT character_set_name, full_collation_name FROM information_schema.collation_character_set_applicability",
        "SELECT character_set_name, collation_name FROM information_schema.collations"};
    MYSQL *db = h_connect(servers[_i]);
    MYSQL_RES *collations;
    MYSQL_ROW row;
    unsigned folding = 0;

    h_sql(servers[_i],
          "CREATE DATABASE claims; CREATE TABLE claims.words (w VARCHAR(2) CHARACTER SET latin1 COLLATE latin1_bin); "
          "INSERT INTO claims.words WITH RECURSIVE n AS (SELECT 32 c UNION ALL SELECT c+1 FROM n WHERE c<126) "
          "SELECT CHAR(c USING latin1) FROM n; "
          "INSERT INTO claims.words WITH RECURSIVE n AS (SELECT 32 c UNION ALL SELECT c+1 FROM n WHERE c<126) "
          "SELECT CHAR(a.c,b.c USING latin1) FROM n a JOIN n b");
    ck_assert_int_eq(mysql_query(db, "SET group_concat_max_len=1000000"), 0);
    ck_assert_int_eq(mysql_query(db, lists[_i]), 0);
    collations = mysql_store_result(db);
    while ((row = mysql_fetch_row(collations)) != NULL)
        if (strcmp(row[1], "binary") != 0)
            check_collation(db, row[0], row[1], &folding);
    ck_assert_uint_gt(folding, 60);
    mysql_free_result(collations);
    mysql_close(db);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("catalog");
    TCase *tc = tcase_create("catalog");

    tcase_add_unchecked_fixture(tc, start_servers, stop_servers);
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, load__reads_the_types_of_both_families, 0, 2);
    tcase_add_test(tc, load__reads_what_only_mariadb_has);
    tcase_add_test(tc, load__reads_what_only_mysql_has);
    tcase_add_loop_test(tc, load__takes_names_as_they_are, 0, 2);
    tcase_add_loop_test(tc, load__works_under_a_hostile_sql_mode_and_puts_it_back, 0, 2);
    tcase_add_loop_test(tc, load_table__gives_none_for_a_missing_table_and_for_a_view, 0, 2);
    tcase_add_loop_test(tc, load__names_triggers_and_routines_and_applies_filter_and_renames, 0, 2);
    tcase_add_loop_test(tc, load__needs_no_more_than_select, 0, 2);
    tcase_add_loop_test(tc, claims__are_equal_wherever_the_servers_collations_are, 0, 2);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_compat.c - state dumps of Ghostferry, of every generation, gone on with; its flags, keys and habits.
 *
 * What Ghostferry has left on the target is made by hand: the rows with keys from 1 to where the state says, as they were
 * at the position that the state names.
 */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "integration/scene.h"
#include "run_suite.h"

/* --- what Ghostferry left ------------------------------------------------------------------------------------------------ */

/* `text` with all of `what` replaced by `by`. Owned by the caller. */
static char *replaced(const char *text, const char *what, const char *by)
{
    char *out = h_format("%s", ""), *more;
    const char *found;

    for (; (found = strstr(text, what)) != NULL; text = found + strlen(what)) {
        more = h_format("%s%.*s%s", out, (int)(found - text), text, by);
        free(out);
        out = more;
    }
    more = h_format("%s%s", out, text);
    free(out);
    return more;
}

static char *state_text(const scene *s, const char *text, const char *at, int family)
{
    char *one = replaced(text, "@DB", s->db), *two = replaced(one, "@AT", at),
         *three = replaced(two, "@INT", family == 0 ? "int(11)" : "int");

    free(one);
    free(two);
    return three;
}

static char *binlog_end(scene *s, int family)
{
    MYSQL *m = h_connect(s->source);
    MYSQL_RES *res;
    MYSQL_ROW row;
    char *text;

    ck_assert_int_eq(mysql_query(m, family == 0 ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS"), 0);
    res = mysql_store_result(m);
    row = mysql_fetch_row(res);
    text = h_format("{\"Name\": \"%s\", \"Pos\": %s}", row[0], row[1]);
    mysql_free_result(res);
    mysql_close(m);
    return text;
}

/* Integer keys with some that Ghostferry never selects, bytes, two columns: the key of a row is made of its number. */
static const struct {
    const char *name, *columns, *key; /* key: of number @N */
    int first;                        /* the least number that is inserted */
} kinds[] = {
    {"table1", "id BIGINT AUTO_INCREMENT PRIMARY KEY, data VARCHAR(16)", "@N", -2},
    {"finished", "id INT PRIMARY KEY, data VARCHAR(16)", "@N", -2},
    {"u", "id INT UNSIGNED PRIMARY KEY, data VARCHAR(16)", "@N", 0},
    {"b", "id VARBINARY(8) PRIMARY KEY, data VARCHAR(16)", "IF(@N=0, '', CHAR(@N))", 0},
    {"two", "id INT, data VARCHAR(16), a INT DEFAULT 1, PRIMARY KEY (a, id)", "@N", -2},
    {"untouched", "id INT PRIMARY KEY, data VARCHAR(16)", "@N", -2},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], ROWS = 60, COPIED = 30 };

static void make_table(h_server *server, const char *db, int kind, int first, int last)
{
    h_sql(server, "CREATE TABLE %s.%s (%s) CHARACTER SET utf8mb4; SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO'", db,
          kinds[kind].name, kinds[kind].columns);
    for (int n = first; n <= last; n++) {
        char *number = h_format("%d", n), *key = replaced(kinds[kind].key, "@N", number);

        h_sql(server, "INSERT INTO %s.%s (id, data) VALUES (%s, 'row %d')", db, kinds[kind].name, key, n);
        free(number);
        free(key);
    }
}

/* On the target: all of `finished`, half of the others, nothing of `untouched`; no key of 0 and below. */
static void make_all(scene *s)
{
    h_sql(s->target, "CREATE DATABASE %s", s->db);
    for (int kind = 0; kind < KINDS; kind++) {
        make_table(s->source, s->db, kind, kinds[kind].first, ROWS);
        make_table(s->target, s->db, kind, 1,
                   strcmp(kinds[kind].name, "finished") == 0    ? ROWS
                   : strcmp(kinds[kind].name, "untouched") == 0 ? 0
                                                                : COPIED);
    }
}

/* Between the dump and the resume: of rows copied and not, changes that a replay from its position has to bring. */
static void change_all(scene *s)
{
    for (int kind = 0; kind < KINDS; kind++)
        h_sql(s->source,
              "USE %s; UPDATE %s SET data='later' WHERE data IN ('row 10', 'row 50', 'row 0');"
              "DELETE FROM %s WHERE data IN ('row 20', 'row 45')",
              s->db, kinds[kind].name, kinds[kind].name);
    h_sql(s->source, "UPDATE table1 SET id=5000 WHERE id=5; UPDATE finished SET id=-77 WHERE id=7;"
                     "INSERT INTO table1 (data) VALUES ('new')");
}

/* --- the generations --------------------------------------------------------------------------------------------------------- */

/* @DB: the database, @AT: the position, @INT: what the server calls an INT. Whether progress is told: then rows that are there are not copied again. */
static const struct generation {
    const char *name, *text;
    bool keys;
} generations[] = {
    {"the manual's page: no keys, nothing completed",
     "{\"GhostferryVersion\": \"1.1.0+20190311205252+88a1c5c\", \"LastKnownTableSchemaCache\": {\"@DB.finished\":"
     " {\"Schema\": \"@DB\", \"Name\": \"finished\", \"Columns\": [{\"Name\": \"id\", \"Type\": 1, \"Collation\": \"\","
     " \"RawType\": \"@INT\", \"IsAuto\": false, \"IsUnsigned\": false, \"EnumValues\": null, \"SetValues\": null},"
     " {\"Name\": \"data\", \"Type\": 5, \"Collation\": \"utf8mb4_unicode_ci\", \"RawType\": \"varchar(16)\","
     " \"IsAuto\": false, \"IsUnsigned\": false, \"EnumValues\": null, \"SetValues\": null}], \"Indexes\": [{\"Name\":"
     " \"PRIMARY\", \"Columns\": [\"id\"], \"Cardinality\": [1]}], \"PKColumns\": [0], \"UnsignedColumns\": null}},"
     " \"CurrentStage\": \"COPY\", \"CopyStage\": {\"LastProcessedBinlogPosition\": @AT, \"CompletedTables\": {}},"
     " \"VerifierStage\": null}\n\n",
     false},
    {"2019: in stages, primary keys",
     "{\"GhostferryVersion\": \"1\", \"LastKnownTableSchemaCache\": null, \"CurrentStage\": \"COPY\", \"CopyStage\":"
     " {\"LastProcessedBinlogPosition\": @AT, \"LastSuccessfulPrimaryKeys\": {\"@DB.table1\": 30, \"@DB.u\": 30},"
     " \"CompletedTables\": {\"@DB.finished\": true, \"@DB.two\": true}}, \"VerifierStage\":"
     " {\"LastProcessedBinlogPosition\": {\"Name\": \"\", \"Pos\": 0}, \"ReverifyStore\": {}}}",
     true},
    {"in stages, pagination keys",
     "{\"GhostferryVersion\": \"1\", \"CurrentStage\": \"COPY\", \"CopyStage\": {\"LastProcessedBinlogPosition\": @AT,"
     " \"LastSuccessfulPaginationKeys\": {\"@DB.table1\": 30, \"@DB.u\": 30}, \"CompletedTables\":"
     " {\"@DB.finished\": true}}}",
     true},
    {"flat, integers",
     "{\"GhostferryVersion\": \"1.1.0\", \"LastKnownTableSchemaCache\": null, \"LastSuccessfulPaginationKeys\":"
     " {\"@DB.table1\": 30, \"@DB.u\": 30}, \"CompletedTables\": {\"@DB.finished\": true},"
     " \"LastWrittenBinlogPosition\": @AT, \"BinlogVerifyStore\": null,"
     " \"LastStoredBinlogPositionForInlineVerifier\": {\"Name\": \"\", \"Pos\": 0}}",
     true},
    {"today: typed keys",
     "{\"GhostferryVersion\": \"1.3.1\", \"LastSuccessfulPaginationKeys\": {\"@DB.table1\": {\"type\": \"uint64\","
     " \"value\": 30, \"column\": \"id\"}, \"@DB.u\": {\"type\": \"uint64\", \"value\": 30, \"column\": \"id\"},"
     " \"@DB.b\": {\"type\": \"binary\", \"value\": \"1e\", \"column\": \"id\"}, \"@DB.two\": {\"type\": \"uint64\","
     " \"value\": 30, \"column\": \"id\"}}, \"CompletedTables\": {\"@DB.finished\": true},"
     " \"LastWrittenBinlogPosition\": @AT, \"BinlogVerifyStore\": {\"@DB\": {\"table1\": {\"3\": 1}}}}",
     true},
    {"ranges of an unmerged branch, maps null",
     "{\"GhostferryVersion\": \"1\", \"CopyStage\": {\"LastProcessedBinlogPosition\": @AT, \"CompletedTables\": null,"
     " \"BatchProgress\": {\"@DB.table1\": {\"0\": {\"StartPaginationKey\": 0, \"EndPaginationKey\": 60,"
     " \"LatestPaginationKey\": 30, \"Completed\": false}}}}}",
     false},
};
enum { GENERATIONS = sizeof generations / sizeof generations[0] };

/* Rows that chunks wrote into a table, as the checkpoint counts them. */
static long long rows_copied(scene *s, const char *table)
{
    char *out;
    json_t *root, *tables;
    long long rows = -1;

    ck_assert_int_eq(h_exec(&out, NULL, 10, "export-state", "--format=native", "--checkpoint-dir", s->dir), 0);
    root = json_loads(out, 0, NULL);
    tables = json_object_get(json_object_get(root, "gfreplica"), "tables");
    for (size_t i = 0; i < json_array_size(tables); i++) {
        const json_t *t = json_array_get(tables, i), *ranges = json_object_get(t, "ranges");

        if (strcmp(json_string_value(json_object_get(t, "name")), table) != 0)
            continue;
        rows = 0;
        for (size_t k = 0; k < json_array_size(ranges); k++)
            rows += json_integer_value(json_object_get(json_array_get(ranges, k), "rows"));
    }
    json_decref(root);
    free(out);
    return rows;
}

static void check_rows(scene *s, const struct generation *g)
{
    bool typed = strstr(g->text, "binary") != NULL;

    ck_assert_int_ge(rows_copied(s, "untouched"), ROWS - 6);
    ck_assert_int_ge(rows_copied(s, "two"), ROWS - 6); /* its key is not the one that Ghostferry went by */
    if (g->keys) {
        ck_assert_int_le(rows_copied(s, "finished"), 4); /* 0 and below, and what came there since */
        ck_assert_int_ge(rows_copied(s, "finished"), 1);
        ck_assert_int_lt(rows_copied(s, "table1"), ROWS - COPIED + 10);
        ck_assert_int_lt(rows_copied(s, "u"), ROWS - COPIED + 5);
    }
    if (typed)
        ck_assert_int_lt(rows_copied(s, "b"), ROWS - COPIED + 5);
}

static void resume_generation(int family, int number, bool by_import)
{
    const struct generation *g = &generations[number];
    char *name = h_format("gen%d%s", number, by_import ? "i" : "r"), *at, *text, *path;
    scene s = begin_scene(family, name, "{\"AutomaticCutover\": true}");
    h_run *run;

    make_all(&s);
    at = binlog_end(&s, family);
    text = state_text(&s, g->text, at, family);
    path = h_format("%s/state-dump.json", s.folder);
    save_text(path, text);
    change_all(&s);
    if (by_import)
        ck_assert_int_eq(h_exec(NULL, NULL, 10, "import-state", "--checkpoint-dir", s.dir, path), 0);
    run = by_import ? h_start("--checkpoint-dir", s.dir, s.conf) : h_start("-verbose", "-resumestate", path, s.conf);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    check_rows(&s, g);
    h_run_free(run);
    free(text);
    free(path);
    free(at);
    free(name);
    end_scene(&s);
}

START_TEST(compat__every_generation_of_state_is_gone_on_with)
{
    resume_generation(_i / GENERATIONS, _i % GENERATIONS, _i % 2 == 1);
}
END_TEST

/* --- states that have to be refused ------------------------------------------------------------------------------------------ */

static void refuse(scene *s, const char *text, int code, const char *said)
{
    char *path = h_format("%s/wrong.json", s->folder), *err, *out;

    save_text(path, text);
    ck_assert_int_eq(h_exec(&out, &err, 30, "-resumestate", path, s->conf), code);
    ck_assert_msg(strstr(err, said) != NULL, "'%s' is not in: %s", said, err);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(
        h_number(s->target, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='%s'", s->db), 0);
    remove_folder(s->dir);
    free(path);
    free(err);
    free(out);
}

static void refuse_at(scene *s, const char *format, const char *at, int code, const char *said)
{
    char *text = state_text(s, format, at, 0);

    refuse(s, text, code, said);
    free(text);
}

START_TEST(compat__states_that_cannot_be_right_are_refused_by_name)
{
    scene s = begin_scene(_i, "wrong", NULL);
    char *at;

    make_table(s.source, s.db, 0, 1, 3);
    at = binlog_end(&s, _i);
    refuse(&s, "", 2, "empty");
    refuse(&s, "[1]", 2, "no JSON object");
    refuse(&s, "{\"a\": ", 2, "no JSON document");
    refuse(&s, "{\"hello\": 1}", 2, "neither");
    refuse(
        &s,
        "{\"GhostferryVersion\": \"1\", \"CopyStage\": {\"LastProcessedBinlogPosition\": {\"Name\": \"\", \"Pos\": 0}}}",
        2, "no binlog position");
    refuse_at(&s, "{\"CompletedTables\": {\"@DB.table1\": 1}, \"LastWrittenBinlogPosition\": @AT}", at, 2,
              "CompletedTables");
    refuse_at(&s, "{\"LastSuccessfulPaginationKeys\": {\"@DB.table1\": -5}, \"LastWrittenBinlogPosition\": @AT}", at, 2,
              "table1");
    refuse_at(&s, "{\"CompletedTables\": {\"@DB.table1\": true}, \"LastWrittenBinlogPosition\": @AT}", at, 2,
              "is this the target");
    refuse_at(
        &s,
        "{\"LastKnownTableSchemaCache\": {\"@DB.table1\": {\"Schema\": \"@DB\", \"Name\": \"table1\", \"Columns\":"
        " [{\"Name\": \"id\", \"RawType\": \"tinyint\"}]}}, \"LastWrittenBinlogPosition\": @AT}",
        at, 2, "tinyint");
    refuse(&s, "{\"LastWrittenBinlogPosition\": {\"Name\": \"elsewhere.000099\", \"Pos\": 4}}", 5, "elsewhere.000099");
    free(at);
    end_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("compat");
    TCase *t = tcase_create("compat");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, compat__every_generation_of_state_is_gone_on_with, 0, FAMILIES * GENERATIONS);
    tcase_add_loop_test(t, compat__states_that_cannot_be_right_are_refused_by_name, 0, FAMILIES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

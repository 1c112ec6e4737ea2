/* SPDX-License-Identifier: MIT */
/*
 * test_state_json.c - states as JSON: ours round, Ghostferry's of every generation in.
 */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/state.h"
#include "gfreplica/version.h"
#include "run_suite.h"
#include "unit/sample_state.h"

static gf_error err;

/* The document of Ghostferry's page on interrupting and resuming, word for word. */
static const char origin_page[] = "{\n"
                                  "  \"GhostferryVersion\": \"1.1.0+20190311205252+88a1c5c\",\n"
                                  "  \"LastKnownTableSchemaCache\": {\n"
                                  "    \"abc.table1\": {\n"
                                  "      \"Schema\": \"abc\",\n"
                                  "      \"Name\": \"table1\",\n"
                                  "      \"Columns\": [\n"
                                  "        {\n"
                                  "          \"Name\": \"id\",\n"
                                  "          \"Type\": 1,\n"
                                  "          \"Collation\": \"\",\n"
                                  "          \"RawType\": \"bigint(20)\",\n"
                                  "          \"IsAuto\": true,\n"
                                  "          \"IsUnsigned\": false,\n"
                                  "          \"EnumValues\": null,\n"
                                  "          \"SetValues\": null\n"
                                  "        },\n"
                                  "        {\n"
                                  "          \"Name\": \"data\",\n"
                                  "          \"Type\": 5,\n"
                                  "          \"Collation\": \"utf8mb4_unicode_ci\",\n"
                                  "          \"RawType\": \"varchar(16)\",\n"
                                  "          \"IsAuto\": false,\n"
                                  "          \"IsUnsigned\": false,\n"
                                  "          \"EnumValues\": null,\n"
                                  "          \"SetValues\": null\n"
                                  "        }\n"
                                  "      ],\n"
                                  "      \"Indexes\": [\n"
                                  "        {\n"
                                  "          \"Name\": \"PRIMARY\",\n"
                                  "          \"Columns\": [\n"
                                  "            \"id\"\n"
                                  "          ],\n"
                                  "          \"Cardinality\": [\n"
                                  "            1\n"
                                  "          ]\n"
                                  "        }\n"
                                  "      ],\n"
                                  "      \"PKColumns\": [\n"
                                  "        0\n"
                                  "      ],\n"
                                  "      \"UnsignedColumns\": null\n"
                                  "    }\n"
                                  "  },\n"
                                  "  \"CurrentStage\": \"COPY\",\n"
                                  "  \"CopyStage\": {\n"
                                  "    \"LastProcessedBinlogPosition\": {\n"
                                  "      \"Name\": \"mysql-bin.000008\",\n"
                                  "      \"Pos\": 193989\n"
                                  "    },\n"
                                  "    \"CompletedTables\": {}\n"
                                  "  },\n"
                                  "  \"VerifierStage\": null\n"
                                  "}\n";

static void setup(void)
{
    gf_log_set_level(GF_LOG_ERROR);
    memset(&err, 0, sizeof err);
}

static gf_state import_text(const char *text)
{
    gf_state s = {0};

    ck_assert_msg(gf_state_from_json(&s, text, strlen(text), &err), "%s", err.text);
    ck_assert(s.imported);
    return s;
}

static void import_fails(const char *text, const char *because)
{
    gf_state s;

    ck_assert(!gf_state_from_json(&s, text, strlen(text), &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\" lacks \"%s\"", err.text, because);
}

static const gf_state_table *find(const gf_state *s, const char *name)
{
    for (size_t i = 0; i < s->table_count; i++) {
        if (strcmp(s->tables[i].name, name) == 0)
            return &s->tables[i];
    }
    ck_abort_msg("no table %s", name);
    return NULL;
}

static json_t *exported(const gf_state *s, gf_state_format format, bool with_schema)
{
    gf_buf out = {0};
    json_error_t why;
    json_t *root;

    gf_state_json(&out, s, format, with_schema);
    ck_assert_int_eq(out.data[out.len - 1], '\n');
    root = json_loadb((const char *)out.data, out.len, JSON_DECODE_INT_AS_REAL, &why);
    ck_assert_msg(root != NULL, "%s at line %d", why.text, why.line);
    gf_buf_free(&out);
    return root;
}

/* ---- ours ---- */

static void round_trip(gf_state_format format)
{
    gf_state s = sample_state(), back;
    gf_buf out = {0};

    gf_state_json(&out, &s, format, true);
    back = import_text(gf_buf_cstr(&out));
    assert_same_state(&s, &back);
    ck_assert_int_eq(back.pid, 0);
    ck_assert_str_eq(back.control, "");
    ck_assert_str_eq(back.cause, "line one \"quoted\" \xEF\xBF\xBD");
    gf_buf_free(&out);
    gf_state_free(&s);
    gf_state_free(&back);
}

START_TEST(native__comes_back_whole)
{
    round_trip(GF_FORMAT_NATIVE);
}
END_TEST

START_TEST(ghostferry__comes_back_whole)
{
    round_trip(GF_FORMAT_GHOSTFERRY);
}
END_TEST

START_TEST(ghostferry__has_the_fields_of_both_generations)
{
    gf_state s = sample_state();
    json_t *root = exported(&s, GF_FORMAT_GHOSTFERRY, true);
    const char *version, *stage, *file, *nested_file, *raw;
    json_t *table = NULL, *column = NULL;
    double pos, type;

    ck_assert_int_eq(json_unpack(root, "{s:s, s:s, s:{s:{s:s, s:F}}, s:n, s:{s:s}}", "GhostferryVersion", &version,
                                 "CurrentStage", &stage, "CopyStage", "LastProcessedBinlogPosition", "Name",
                                 &nested_file, "Pos", &pos, "VerifierStage", "LastWrittenBinlogPosition", "Name",
                                 &file),
                     0);
    ck_assert_str_eq(version, "gfreplica-" GF_VERSION);
    ck_assert_str_eq(stage, "COPY");
    ck_assert_str_eq(file, "mysql-bin.000008");
    ck_assert_str_eq(nested_file, file);
    ck_assert_double_eq(pos, 193989);
    ck_assert_int_eq(json_unpack(root, "{s:{s:o}}", "LastKnownTableSchemaCache", "abc.table1", &table), 0);
    ck_assert_int_eq(json_unpack(table, "{s:o, s:[F]}", "PaginationKeyColumn", &column, "PKColumns", &type), 0);
    ck_assert_int_eq(json_unpack(column, "{s:s, s:F}", "RawType", &raw, "Type", &type), 0);
    ck_assert_str_eq(raw, "bigint(20) unsigned");
    ck_assert_double_eq(type, 1);
    ck_assert(json_is_true(json_object_get(json_object_get(root, "CompletedTables"), "abc.t.2")));
    json_decref(root);
    gf_state_free(&s);
}
END_TEST

/* What the exported document claims of table1; -1 when nothing. */
static double claimed(const gf_state *s, bool typed)
{
    json_t *root = exported(s, GF_FORMAT_GHOSTFERRY, false);
    json_t *keys = json_object_get(typed ? root : json_object_get(root, "CopyStage"), "LastSuccessfulPaginationKeys");
    json_t *key = json_object_get(keys, "abc.table1");
    double value = -1;

    if (typed)
        key = json_object_get(key, "value");
    if (key != NULL)
        value = json_number_value(key);
    json_decref(root);
    return value;
}

START_TEST(ghostferry__claims_no_more_than_is_copied_without_a_gap)
{
    gf_state s = sample_state();
    gf_state_range *r = s.tables[0].ranges;

    ck_assert_double_eq(claimed(&s, true), 150);
    ck_assert_double_eq(claimed(&s, false), 150);
    r[2].frontier = sample_key(s.tables[0].table, UINT64_MAX); /* progress beyond the gap claims nothing */
    ck_assert_double_eq(claimed(&s, true), 150);
    gf_buf_reset(&r[1].frontier);
    ck_assert_double_eq(claimed(&s, true), 100);
    r[1].done = true;
    ck_assert_double_eq(claimed(&s, true), (double)UINT64_MAX);
    r[0].done = false;
    ck_assert_double_eq(claimed(&s, true), 99);
    gf_buf_reset(&r[0].frontier);
    ck_assert_double_eq(claimed(&s, true), -1);
    gf_state_free(&s);
}
END_TEST

START_TEST(ghostferry__claims_nothing_across_ranges_that_do_not_join)
{
    gf_state s = sample_state();
    gf_buf *lower = &s.tables[0].ranges[1].lower;

    gf_buf_free(lower);
    *lower = sample_key(s.tables[0].table, 120);
    ck_assert_double_eq(claimed(&s, true), 100);
    gf_state_free(&s);
}
END_TEST

START_TEST(ghostferry__claims_nothing_of_a_negative_key)
{
    gf_state s = sample_state();
    gf_value row[3] = {{.kind = GF_V_INT, .i = -5}, {.kind = GF_V_NULL}, {.kind = GF_V_NULL}};
    gf_table *t = s.tables[0].table;

    t->columns[0].is_unsigned = false;
    s.tables[0].ranges[0].done = false;
    gf_buf_reset(&s.tables[0].ranges[0].frontier);
    gf_key_encode(&s.tables[0].ranges[0].frontier, t, &t->keys[0], row);
    ck_assert_double_eq(claimed(&s, true), -1);
    gf_state_free(&s);
}
END_TEST

START_TEST(export__leaves_the_schema_out_when_told_to)
{
    gf_state s = sample_state();
    json_t *root = exported(&s, GF_FORMAT_GHOSTFERRY, false);
    json_t *own = json_object_get(root, "gfreplica");

    ck_assert(json_is_null(json_object_get(root, "LastKnownTableSchemaCache")));
    ck_assert_ptr_null(json_object_get(json_array_get(json_object_get(own, "tables"), 0), "schema"));
    json_decref(root);
    root = exported(&s, GF_FORMAT_NATIVE, true);
    ck_assert_uint_eq(json_object_size(root), 1);
    json_decref(root);
    ck_assert_ptr_nonnull(s.tables[0].table);
    gf_state_free(&s);
}
END_TEST

/* ---- Ghostferry's ---- */

START_TEST(import__takes_the_origin_pages_document)
{
    gf_state s = import_text(origin_page);

    ck_assert_str_eq(s.position.file, "mysql-bin.000008");
    ck_assert_uint_eq(s.position.offset, 193989);
    ck_assert_int_eq(s.stage, GF_STAGE_COPYING);
    ck_assert_uint_eq(s.table_count, 1);
    ck_assert_str_eq(s.tables[0].db, "abc");
    ck_assert_str_eq(s.tables[0].name, "table1");
    ck_assert(!s.tables[0].done);
    ck_assert_ptr_null(s.tables[0].import_key);
    ck_assert_str_eq(s.tables[0].import_key_column, "id");
    ck_assert_str_eq(s.tables[0].import_schema, "id\tbigint(20)\ndata\tvarchar(16)\n");
    gf_state_free(&s);
}
END_TEST

START_TEST(import__takes_the_stage_form_with_bare_integers)
{
    static const char *const names[] = {"LastSuccessfulPaginationKeys", "LastSuccessfulPrimaryKeys"};

    for (size_t i = 0; i < 2; i++) {
        char *text = gf_asprintf("{\"CurrentStage\":\"COPY\",\"CopyStage\":{\"LastProcessedBinlogPosition\":"
                                 "{\"Name\":\"b.000001\",\"Pos\":4},\"%s\":{\"abc.t\":18446744073709551615},"
                                 "\"CompletedTables\":{\"abc.u\":true,\"abc.v\":false}}}",
                                 names[i]);
        gf_state s = import_text(text);

        ck_assert_uint_eq(s.table_count, 2);
        ck_assert_str_eq(find(&s, "t")->import_key, "18446744073709551615");
        ck_assert(find(&s, "u")->done);
        ck_assert_uint_eq(find(&s, "u")->range_count, 0);
        gf_state_free(&s);
        free(text);
    }
}
END_TEST

START_TEST(import__takes_todays_typed_keys)
{
    gf_state s = import_text(
        "{\"GhostferryVersion\":\"1.3.1+x+y\",\"LastKnownTableSchemaCache\":null,"
        "\"LastSuccessfulPaginationKeys\":{\"abc.t\":{\"type\":\"uint64\",\"value\":9223372036854775808,"
        "\"column\":\"id\"},\"abc.b\":{\"type\":\"binary\",\"value\":\"0a1b\",\"column\":\"uuid\"}},"
        "\"CompletedTables\":null,\"LastWrittenBinlogPosition\":{\"Name\":\"b.000002\",\"Pos\":5},"
        "\"BinlogVerifyStore\":null,\"LastStoredBinlogPositionForInlineVerifier\":{\"Name\":\"\",\"Pos\":0},"
        "\"LastStoredBinlogPositionForTargetVerifier\":{\"Name\":\"target.000009\",\"Pos\":1}}");

    ck_assert_str_eq(s.position.file, "b.000002");
    ck_assert_str_eq(find(&s, "t")->import_key, "9223372036854775808");
    ck_assert_str_eq(find(&s, "t")->import_key_column, "id");
    ck_assert(!find(&s, "t")->import_key_binary);
    ck_assert_str_eq(find(&s, "b")->import_key, "0a1b");
    ck_assert(find(&s, "b")->import_key_binary);
    gf_state_free(&s);
}
END_TEST

START_TEST(import__takes_missing_maps_and_ignores_batch_progress)
{
    gf_state s = import_text("{\"CopyStage\":{\"LastProcessedBinlogPosition\":{\"Name\":\"b.000002\",\"Pos\":5},"
                             "\"BatchProgress\":{\"abc.t\":{\"0\":{\"StartPaginationKey\":0}}}}}");

    ck_assert_uint_eq(s.table_count, 0);
    ck_assert_uint_eq(s.position.offset, 5);
    gf_state_free(&s);
}
END_TEST

START_TEST(import__starts_from_the_smallest_position)
{
    gf_state s = import_text("{\"CurrentStage\":\"VERIFICATION\",\"CopyStage\":{\"LastProcessedBinlogPosition\":"
                             "{\"Name\":\"b.000010\",\"Pos\":5}},\"VerifierStage\":{\"LastProcessedBinlogPosition\":"
                             "{\"Name\":\"b.000009\",\"Pos\":99}}}");

    ck_assert_str_eq(s.position.file, "b.000009");
    gf_state_free(&s);
}
END_TEST

START_TEST(import__tells_dotted_names_apart_by_the_schema_cache)
{
    gf_state s = import_text("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.000002\",\"Pos\":5},"
                             "\"LastKnownTableSchemaCache\":{\"a.b.c\":{\"Schema\":\"a.b\",\"Name\":\"c\"}},"
                             "\"CompletedTables\":{\"a.b.c\":true}}");

    ck_assert_uint_eq(s.table_count, 1);
    ck_assert_str_eq(s.tables[0].db, "a.b");
    ck_assert_str_eq(s.tables[0].name, "c");
    gf_state_free(&s);
}
END_TEST

START_TEST(import__names_the_field_that_is_wrong)
{
    import_fails("", "empty");
    import_fails(" \n", "empty");
    import_fails("{\"CopyStage\":", "line 1");
    import_fails("[]", "no JSON object");
    import_fails("{\"Source\":{\"Host\":\"db\"}}", "neither gfreplica nor Ghostferry");
    import_fails("{\"CopyStage\":{}}", "no binlog position");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"\",\"Pos\":0}}", "no binlog position");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.1\",\"Pos\":\"x\"}}", "LastWrittenBinlogPosition.Pos");
    import_fails("{\"CopyStage\":7}", "CopyStage: expected an object");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.1\",\"Pos\":4},\"CompletedTables\":{\"a.b\":1}}",
                 "CompletedTables.a.b");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.1\",\"Pos\":4},"
                 "\"LastSuccessfulPaginationKeys\":{\"a.b\":-1}}",
                 "LastSuccessfulPaginationKeys: a.b");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.1\",\"Pos\":4},"
                 "\"LastSuccessfulPaginationKeys\":{\"a.b\":{\"type\":\"binary\",\"value\":\"0g\"}}}",
                 "hex digits");
    import_fails("{\"LastWrittenBinlogPosition\":{\"Name\":\"b.1\",\"Pos\":4},\"CompletedTables\":{\"nodot\":true}}",
                 "nodot");
    import_fails("{\"gfreplica\":{\"stage\":\"flying\"}}", "stage: \"flying\" is not known");
    import_fails("{\"gfreplica\":{\"tables\":[{\"db\":\"a\",\"name\":\"b\",\"ranges\":[{\"lower\":\"x\"}]}]}}",
                 "tables[0]: ranges[0]: lower: expected hex digits");
    import_fails("{\"gfreplica\":{\"tables\":[{}]}}", "db and name are needed");
}
END_TEST

START_TEST(import__survives_a_document_cut_anywhere)
{
    gf_state s = sample_state(), back;
    gf_buf out = {0};

    gf_state_json(&out, &s, GF_FORMAT_GHOSTFERRY, true);
    for (size_t len = 0; len + 2 < out.len; len++)
        ck_assert(!gf_state_from_json(&back, (const char *)out.data, len, &err));
    gf_buf_free(&out);
    gf_state_free(&s);
}
END_TEST

START_TEST(schema_check__names_the_column_that_was_altered)
{
    gf_state s = sample_state();
    gf_state_table st = {.import_schema =
                             gf_strdup("id\tbigint(20) unsigned\ndata\tvarchar(16)\nkind\tenum('a','b''c')\n")};

    ck_assert(gf_state_schema_check(&st, s.tables[0].table, &err));
    free(st.import_schema);
    st.import_schema = gf_strdup("id\tbigint(20) unsigned\nname\tvarchar(16)\nkind\tenum('a','b''c')\n");
    ck_assert(!gf_state_schema_check(&st, s.tables[0].table, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "abc.table1: column 2"));
    free(st.import_schema);
    st.import_schema = gf_strdup("id\tbigint(20) unsigned\n");
    ck_assert(!gf_state_schema_check(&st, s.tables[0].table, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "column 2"));
    free(st.import_schema);
    gf_state_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_json");
    TCase *tc = tcase_create("forms");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, native__comes_back_whole);
    tcase_add_test(tc, ghostferry__comes_back_whole);
    tcase_add_test(tc, ghostferry__has_the_fields_of_both_generations);
    tcase_add_test(tc, ghostferry__claims_no_more_than_is_copied_without_a_gap);
    tcase_add_test(tc, ghostferry__claims_nothing_across_ranges_that_do_not_join);
    tcase_add_test(tc, ghostferry__claims_nothing_of_a_negative_key);
    tcase_add_test(tc, export__leaves_the_schema_out_when_told_to);
    tcase_add_test(tc, import__takes_the_origin_pages_document);
    tcase_add_test(tc, import__takes_the_stage_form_with_bare_integers);
    tcase_add_test(tc, import__takes_todays_typed_keys);
    tcase_add_test(tc, import__takes_missing_maps_and_ignores_batch_progress);
    tcase_add_test(tc, import__starts_from_the_smallest_position);
    tcase_add_test(tc, import__tells_dotted_names_apart_by_the_schema_cache);
    tcase_add_test(tc, import__names_the_field_that_is_wrong);
    tcase_add_test(tc, import__survives_a_document_cut_anywhere);
    tcase_add_test(tc, schema_check__names_the_column_that_was_altered);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

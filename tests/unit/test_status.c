/* SPDX-License-Identifier: MIT */
/* test_status.c - status documents: for scripts written for Ghostferry, for ours, and for people. */
#include "gfreplica/control.h"
#include "run_suite.h"

#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static gf_state state;
static gf_buf out;

/* The canonical key of one signed number; none for 0. */
static void add_key(gf_buf *key, uint8_t number)
{
    static const uint8_t head[] = {GF_V_INT, 8, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0};

    if (number == 0)
        return;
    gf_buf_add(key, head, sizeof head);
    gf_buf_byte(key, number);
}

static gf_state_range range_of(uint8_t upper, uint8_t frontier, bool done, uint64_t rows)
{
    gf_state_range r = {.done = done, .rows = rows};

    add_key(&r.upper, upper);
    add_key(&r.frontier, frontier);
    return r;
}

static void set_table(gf_state_table *t, const char *db, const char *name, size_t ranges)
{
    t->db = gf_strdup(db);
    t->name = gf_strdup(name);
    t->ranges = gf_calloc(ranges + 1, sizeof *t->ranges);
    t->range_count = ranges;
}

/* Two databases: one table done, one half way in three ranges, one not begun. */
static void setup(void)
{
    state = (gf_state){.job = "default",
                       .flavor = GF_FLAVOR_MARIADB,
                       .source_address = "db1:3306",
                       .target_address = "db2:3307",
                       .stage = GF_STAGE_COPYING,
                       .marker = true,
                       .pid = (int)getpid(),
                       .lag_seconds = 2.25,
                       .lag_bytes = 5 * 1024 * 1024,
                       .eta_seconds = 125.5,
                       .rows_copied = 1234567,
                       .rows_estimate = 2000000,
                       .rows_per_second = 4500.7};
    state.started_ms = gf_wall_ms() - 90000;
    state.saved_ms = gf_wall_ms() - 1000;
    strcpy(state.position.file, "binlog.000007");
    state.position.offset = 4711;
    gf_maria_pos_set(&state.position.maria, (gf_maria_gtid){0, 1, 42});
    state.table_count = 3;
    state.tables = gf_calloc(3, sizeof *state.tables);
    set_table(&state.tables[0], "crm", "people", 1);
    state.tables[0].ranges[0] = range_of(0, 99, true, 1000000);
    state.tables[0].done = true;
    set_table(&state.tables[1], "shop", "orders", 3);
    state.tables[1].ranges[0] = range_of(50, 50, true, 200000);
    state.tables[1].ranges[1] = range_of(100, 70, false, 34567);
    state.tables[1].ranges[2] = range_of(0, 0, false, 0);
    set_table(&state.tables[2], "shop", "we\"ird", 1);
    state.tables[2].ranges[0] = range_of(0, 0, false, 0);
}

static void teardown(void)
{
    gf_state_free(&state);
    gf_buf_free(&out);
}

static json_t *status(void)
{
    json_t *root;
    json_error_t why;

    gf_buf_reset(&out);
    gf_control_status_json(&out, &state);
    root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(root != NULL, "%s: %s", why.text, gf_buf_cstr(&out));
    return root;
}

static const char *text_of(json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));

    ck_assert_msg(text != NULL, "%s is no string", key);
    return text;
}

static json_int_t int_of(json_t *root, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(root, key)), "%s is no integer", key);
    return json_integer_value(json_object_get(root, key));
}

START_TEST(json__has_every_field_of_ghostferry_with_its_type)
{
    static const struct {
        const char *key;
        json_type type;
    } fields[] = {
        {"GhostferryVersion", JSON_STRING},
        {"SourceHostPort", JSON_STRING},
        {"TargetHostPort", JSON_STRING},
        {"OverallState", JSON_STRING},
        {"StartTime", JSON_STRING},
        {"CurrentTime", JSON_STRING},
        {"TimeTaken", JSON_INTEGER},
        {"ETA", JSON_INTEGER},
        {"BinlogStreamerLag", JSON_INTEGER},
        {"BinlogWriterLag", JSON_REAL},
        {"TargetBinlogStreamerLag", JSON_REAL},
        {"AutomaticCutover", JSON_FALSE},
        {"BinlogStreamerStopRequested", JSON_FALSE},
        {"CompletedTableCount", JSON_INTEGER},
        {"TotalTableCount", JSON_INTEGER},
        {"TableStatuses", JSON_ARRAY},
        {"AllTableNames", JSON_ARRAY},
        {"AllDatabaseNames", JSON_ARRAY},
        {"VerifierSupport", JSON_FALSE},
        {"VerifierAvailable", JSON_FALSE},
        {"VerificationStarted", JSON_FALSE},
        {"VerificationDone", JSON_FALSE},
        {"VerificationResult", JSON_OBJECT},
        {"VerificationErr", JSON_NULL},
        {"CustomScriptStatuses", JSON_OBJECT},
        {"CurrentState", JSON_STRING},
        {"CustomPayload", JSON_STRING},
        {"Tables", JSON_OBJECT},
        {"LastSuccessfulBinlogPos", JSON_OBJECT},
        {"Throttled", JSON_FALSE},
        {"ActiveDataIterators", JSON_INTEGER},
        {"VerifierType", JSON_STRING},
        {"VerifierMessage", JSON_STRING},
        {"FinalBinlogPos", JSON_OBJECT},
        {"PaginationKeysPerSecond", JSON_INTEGER},
    };
    json_t *root = status();

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        json_t *value = json_object_get(root, fields[i].key);

        ck_assert_msg(value != NULL, "no %s", fields[i].key);
        ck_assert_msg(json_typeof(value) == fields[i].type, "%s has type %d", fields[i].key, json_typeof(value));
    }
    json_decref(root);
}
END_TEST

START_TEST(json__tells_how_far_each_table_is)
{
    static const char *const names[] = {"crm.people", "shop.orders", "shop.we\"ird"};
    static const char *const expected[] = {"completed", "copying", "waiting"};
    static const json_int_t rows[] = {1000000, 234567, 0};
    static const char *const keys[] = {"99", "70", ""};
    json_t *root = status();

    ck_assert_int_eq(int_of(root, "CompletedTableCount"), 1);
    ck_assert_int_eq(int_of(root, "TotalTableCount"), 3);
    ck_assert_int_eq(int_of(root, "ActiveDataIterators"), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "AllDatabaseNames")), 2);
    for (size_t i = 0; i < 3; i++) {
        json_t *row = json_array_get(json_object_get(root, "TableStatuses"), i);
        json_t *entry = json_object_get(json_object_get(root, "Tables"), names[i]);

        ck_assert_str_eq(text_of(row, "TableName"), names[i]);
        ck_assert_str_eq(text_of(row, "Status"), expected[i]);
        ck_assert_str_eq(text_of(entry, "CurrentAction"), expected[i]);
        ck_assert_int_eq(int_of(entry, "RowsWritten"), rows[i]);
        ck_assert_str_eq(text_of(row, "LastSuccessfulPaginationKey"), keys[i]);
        ck_assert_str_eq(text_of(entry, "LastSuccessfulPaginationKey"), keys[i]);
        ck_assert_str_eq(json_string_value(json_array_get(json_object_get(root, "AllTableNames"), i)), names[i]);
    }
    json_decref(root);
}
END_TEST

START_TEST(json__maps_stages_to_ghostferrys_names)
{
    static const char *const expected[][2] = {{"starting", "starting"},
                                              {"copying", "copying"},
                                              {"streaming", "wait-for-cutover"},
                                              {"cutover", "cutover"},
                                              {"done", "done"}};

    for (unsigned i = 0; i < 5; i++) {
        json_t *root;

        state.stage = (gf_stage)i;
        root = status();
        ck_assert_str_eq(text_of(root, "Stage"), expected[i][0]);
        ck_assert_str_eq(text_of(root, "OverallState"), expected[i][1]);
        ck_assert_str_eq(text_of(root, "CurrentState"), expected[i][1]);
        json_decref(root);
    }
}
END_TEST

START_TEST(json__writes_keys_of_any_kind_and_survives_broken_ones)
{
    static const uint8_t composite[] = {GF_V_INT,    8,   0,   0,          0, 0x7F, 255, 255, 255,  255,
                                        255,         255, 255, GF_V_BYTES, 2, 0,    0,   0,   0xAB, 1,
                                        GF_V_NUMBER, 4,   0,   0,          0, '1',  '.', '5', '0'};
    gf_buf *key = &state.tables[0].ranges[0].frontier;
    json_t *root;

    for (size_t len = 0; len <= sizeof composite; len++) {
        gf_buf_reset(key);
        gf_buf_add(key, composite, len);
        root = status();
        if (len == sizeof composite)
            ck_assert_str_eq(
                text_of(json_array_get(json_object_get(root, "TableStatuses"), 0), "LastSuccessfulPaginationKey"),
                "-1,ab01,1.50");
        json_decref(root);
    }
}
END_TEST

START_TEST(json__has_position_gtids_lag_and_eta)
{
    json_t *root = status();
    json_t *pos = json_object_get(root, "LastSuccessfulBinlogPos");

    ck_assert_str_eq(text_of(pos, "Name"), "binlog.000007");
    ck_assert_int_eq(int_of(pos, "Pos"), 4711);
    ck_assert_str_eq(text_of(root, "Position"), "binlog.000007:4711");
    ck_assert_str_eq(text_of(root, "GTIDs"), "0-1-42");
    ck_assert_str_eq(text_of(root, "FinalPosition"), "");
    ck_assert_int_eq(int_of(root, "ETA"), 126);
    ck_assert_int_eq(int_of(root, "BinlogStreamerLag"), 3);
    ck_assert_int_ge(int_of(root, "TimeTaken"), 90);
    ck_assert_int_eq(int_of(root, "LagBytes"), 5 * 1024 * 1024);
    ck_assert_double_eq(json_real_value(json_object_get(root, "LagSeconds")), 2.25);
    ck_assert_double_eq(json_real_value(json_object_get(root, "ETASeconds")), 125.5);
    json_decref(root);
}
END_TEST

START_TEST(json__tells_what_is_not_known)
{
    json_t *root;

    state.lag_seconds = state.eta_seconds = -1;
    root = status();
    ck_assert(json_is_null(json_object_get(root, "LagSeconds")));
    ck_assert(json_is_null(json_object_get(root, "ETASeconds")));
    ck_assert_int_eq(int_of(root, "ETA"), -1);
    ck_assert_int_eq(int_of(root, "BinlogStreamerLag"), -1);
    json_decref(root);
}
END_TEST

START_TEST(json__survives_an_empty_state_and_bytes_that_are_no_text)
{
    json_t *root;

    gf_state_free(&state);
    state.rows_per_second = strtod("inf", NULL);
    strcpy(state.cause, "bad \xC3( \xED\xA0\x80 \xF5 \x01 \"quote\" back\\slash \xE2\x82\xAC");
    root = status();
    ck_assert_str_eq(text_of(root, "Cause"),
                     "bad \xEF\xBF\xBD( \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD \x01 \"quote\" back\\slash "
                     "\xE2\x82\xAC");
    ck_assert(json_is_null(json_object_get(root, "RowsPerSecond")));
    ck_assert_str_eq(text_of(root, "StartTime"), "0001-01-01T00:00:00Z");
    json_decref(root);
}
END_TEST

START_TEST(json__is_one_line_and_is_appended)
{
    gf_buf_str(&out, "before{");
    gf_control_status_json(&out, &state);
    ck_assert_ptr_eq(memchr(out.data, '\n', out.len), out.data + out.len - 1);
    ck_assert_int_eq(memcmp(out.data, "before{{\"", 9), 0);
}
END_TEST

START_TEST(progress__carries_the_payload_and_fractions)
{
    json_t *root;

    gf_control_progress_json(&out, &state, "mine");
    root = json_loadb((const char *)out.data, out.len, 0, NULL);
    ck_assert_str_eq(text_of(root, "CustomPayload"), "mine");
    ck_assert_double_eq(json_real_value(json_object_get(root, "ETA")), 125.5);
    ck_assert_double_eq(json_real_value(json_object_get(root, "BinlogStreamerLag")), 2.25);
    ck_assert_ptr_null(json_object_get(root, "OverallState"));
    json_decref(root);
}
END_TEST

static const char *people(void)
{
    gf_buf_reset(&out);
    gf_control_status_text(&out, &state);
    return gf_buf_cstr(&out);
}

static void assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in\n%s", part, text);
}

START_TEST(text__of_a_running_copy)
{
    const char *text = people();

    assert_has(text, "stage       copying, about 62 %, lag 2.2 s, eta 2 min 5 s, process ");
    assert_has(text, "1,234,567 rows of about 2,000,000, 4,500 a second; 1 of 3 tables done");
    assert_has(text, "shop.orders: 234,567 rows, 1 of 3 ranges");
    assert_has(text, "0 more being copied, 1 waiting");
    assert_has(text, "lag         2.2 s, 5.0 MiB");
    assert_has(text, "eta         2 min 5 s");
    assert_has(text, "binlog.000007:4711");
    assert_has(text, "live replica until `gfreplica cutover`");
}
END_TEST

START_TEST(text__tells_of_indexes_that_are_not_built_yet)
{
    json_t *root;

    ck_assert_ptr_null(strstr(people(), "indexes"));
    state.deferred_tables = 7;
    state.indexed_tables = 3;
    assert_has(people(), "copying, about 62 %, indexes built of 3 of 7 tables, lag 2.2 s");
    root = status();
    ck_assert_int_eq(int_of(root, "DeferredTableCount"), 7);
    ck_assert_int_eq(int_of(root, "IndexedTableCount"), 3);
    json_decref(root);
}
END_TEST

START_TEST(text__of_a_stopped_job_names_the_cause_and_the_way_on)
{
    const char *text;

    strcpy(state.cause, "interrupted by SIGTERM");
    state.resumable = true;
    text = people();
    assert_has(text, "copying, not running");
    assert_has(text, "interrupted by SIGTERM");
    assert_has(text, "run the same command again");
    ck_assert_ptr_null(strstr(text, "eta"));

    state.resumable = false;
    assert_has(people(), "can't go on");
}
END_TEST

START_TEST(text__of_a_killed_job_does_not_call_it_running)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    while (kill(child, 0) == 0) /* reaped: its id is nobody's now */
        waitpid(child, NULL, 0);
    state.pid = (int)child;
    assert_has(people(), "not running");
    assert_has(people(), "run the same command again");
}
END_TEST

START_TEST(text__advises_by_stage)
{
    state.stage = GF_STAGE_STREAMING;
    assert_has(people(), "stop writes on the source, then `gfreplica cutover`");
    state.automatic_cutover = true;
    assert_has(people(), "cuts over by itself");
    state.paused = true;
    assert_has(people(), "`gfreplica resume`");
    state.paused = false;
    state.stage = GF_STAGE_CUTOVER;
    assert_has(people(), "up to the final position");
    state.stage = GF_STAGE_DONE;
    assert_has(people(), "the target has all");
}
END_TEST

START_TEST(text__is_bounded_however_many_tables)
{
    const char *text;
    unsigned lines = 0;

    gf_state_free(&state);
    state.stage = GF_STAGE_COPYING;
    state.table_count = 5000;
    state.tables = gf_calloc(5000, sizeof *state.tables);
    for (size_t i = 0; i < 5000; i++) {
        set_table(&state.tables[i], "many", "t", 1);
        state.tables[i].ranges[0] = range_of(0, 1, false, 1);
    }
    text = people();
    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    ck_assert_uint_le(lines, 40);
    assert_has(text, "4980 more being copied, 0 waiting");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tc = tcase_create("status");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, json__has_every_field_of_ghostferry_with_its_type);
    tcase_add_test(tc, json__tells_how_far_each_table_is);
    tcase_add_test(tc, json__maps_stages_to_ghostferrys_names);
    tcase_add_test(tc, json__writes_keys_of_any_kind_and_survives_broken_ones);
    tcase_add_test(tc, json__has_position_gtids_lag_and_eta);
    tcase_add_test(tc, json__tells_what_is_not_known);
    tcase_add_test(tc, json__survives_an_empty_state_and_bytes_that_are_no_text);
    tcase_add_test(tc, json__is_one_line_and_is_appended);
    tcase_add_test(tc, progress__carries_the_payload_and_fractions);
    tcase_add_test(tc, text__of_a_running_copy);
    tcase_add_test(tc, text__tells_of_indexes_that_are_not_built_yet);
    tcase_add_test(tc, text__of_a_stopped_job_names_the_cause_and_the_way_on);
    tcase_add_test(tc, text__of_a_killed_job_does_not_call_it_running);
    tcase_add_test(tc, text__advises_by_stage);
    tcase_add_test(tc, text__is_bounded_however_many_tables);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

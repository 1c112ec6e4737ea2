/* SPDX-License-Identifier: MIT */
/*
 * test_resume.c - interrupted and gone on with: the way of Ghostferry's manual, dumps without their directory, every
 * stage, and states of every generation.
 */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "integration/listener.h"
#include "integration/scene.h"
#include "run_suite.h"

static const char small_chunks[] =
    "{\"DumpStateOnSignal\": true, \"UpdatableConfig\": {\"DataIterationBatchSize\": 20},"
    " \"DataIterationConcurrency\": 1}";

/* Save what it printed, as the shell's > does. */
static char *save(h_run *run, scene *s, const char *name)
{
    char *text = h_stdout(run), *path = h_format("%s/%s", s->folder, name);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    free(text);
    return path;
}

/* Run until about `rows` are there, then interrupt: within two seconds it ends with a dump, whose path is returned. */
static char *interrupted(scene *s, long long rows, const char *dump, const char *resume)
{
    h_run *run = resume == NULL ? h_start("-verbose", s->conf) : h_start("-verbose", "-resumestate", resume, s->conf);
    double since;
    char *path;

    wait_rows(s, run, rows);
    since = h_now();
    h_signal(run, SIGINT);
    ends_with(run, 3, 10);
    ck_assert_msg(h_now() - since < 2.0, "the stop took %.1f s", h_now() - since);
    path = save(run, s, dump);
    h_run_free(run);
    return path;
}

/* --- the manual's page ------------------------------------------------------------------------------------------------ */

static void check_page_fields(scene *s, const json_t *root)
{
    char *table = h_format("%s.table1", s->db);
    const json_t *copy = json_object_get(root, "CopyStage"),
                 *cache = json_object_get(root, "LastKnownTableSchemaCache");
    const json_t *known = json_object_get(cache, table), *column = json_array_get(json_object_get(known, "Columns"), 0);

    ck_assert_str_eq(json_string_value(json_object_get(root, "CurrentStage")), "COPY");
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(root, "GhostferryVersion")), "gfreplica"));
    ck_assert(json_is_null(json_object_get(root, "VerifierStage")));
    ck_assert(json_is_object(json_object_get(copy, "CompletedTables")));
    ck_assert_ptr_nonnull(text_at(copy, "LastProcessedBinlogPosition", "Name"));
    ck_assert(json_is_integer(json_object_get(json_object_get(copy, "LastProcessedBinlogPosition"), "Pos")));
    ck_assert_str_eq(json_string_value(json_object_get(known, "Schema")), s->db);
    ck_assert_str_eq(json_string_value(json_object_get(known, "Name")), "table1");
    ck_assert_str_eq(json_string_value(json_object_get(column, "Name")), "id");
    ck_assert_int_eq(json_integer_value(json_object_get(column, "Type")), 1);
    ck_assert(json_is_true(json_object_get(column, "IsAuto")));
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(known, "PKColumns"), 0)), 0);
    ck_assert_ptr_nonnull(text_at(root, "LastWrittenBinlogPosition", "Name"));
    free(table);
}

START_TEST(resume__the_manuals_page_works_word_for_word)
{
    scene s = begin_scene(_i, "page", small_chunks);
    char *dump, *log;
    json_t *root;
    h_run *run;

    fill(&s, 3000);
    run = h_start("-verbose", s.conf);
    wait_rows(&s, run, 100);
    h_signal(run, SIGINT);
    h_signal(run, SIGINT); /* as timeout(1) does: no second request */
    ends_with(run, 3, 3);
    log = h_stderr(run);
    ck_assert_msg(strstr(log, s.dir) != NULL, "the checkpoint directory is named on stderr: %s", log);
    root = document(run);
    check_page_fields(&s, root);
    ck_assert_str_eq(text_at(root, "gfreplica", "cause"), "SIGINT");
    dump = save(run, &s, "state-dump.json");
    h_run_free(run);

    h_sql(s.source, "UPDATE %s.table1 SET id = 5000 WHERE id = 2999; DELETE FROM %s.table1 WHERE id = 3", s.db, s.db);
    run = h_start("-verbose", "-resumestate", dump, s.conf);
    cut_over(&s, run);
    free(log);
    log = h_stdout(run);
    ck_assert_str_eq(log, "");
    h_run_free(run);
    json_decref(root);
    free(log);
    free(dump);
    end_scene(&s);
}
END_TEST

START_TEST(resume__a_dump_alone_is_enough_with_the_marker_and_without)
{
    scene s = begin_scene(_i, "alone", small_chunks);
    char *first, *second, *third;
    h_run *run;

    fill(&s, 3000);
    first = interrupted(&s, 100, "1.json", NULL);
    remove_folder(s.dir);
    h_sql(s.source, "UPDATE %s.table1 SET data = 'again' WHERE id < 10; INSERT INTO %s.table1 (data) VALUES ('late')",
          s.db, s.db);
    second = interrupted(&s, 600, "2.json", first);

    remove_folder(s.dir);
    h_sql(s.target,
          "DELETE FROM _gfreplica.job WHERE job='%s'; DELETE FROM _gfreplica.slot WHERE job='%s';"
          "DELETE FROM _gfreplica.table_range WHERE job='%s'",
          s.db, s.db, s.db);
    h_sql(s.source, "DELETE FROM %s.table1 WHERE id BETWEEN 20 AND 40", s.db);
    third = interrupted(&s, 1200, "3.json", second);
    ck_assert_int_lt(h_number(s.target, "SELECT COUNT(*) FROM %s.table1", s.db), 2900);

    run = h_start("-resumestate", third, s.conf);
    cut_over(&s, run);
    h_run_free(run);
    free(first);
    free(second);
    free(third);
    end_scene(&s);
}
END_TEST

START_TEST(resume__a_dump_is_refused_where_its_rows_are_not)
{
    scene s = begin_scene(_i, "elsewhere", small_chunks);
    char *dump, *log;

    fill(&s, 1000);
    dump = interrupted(&s, 100, "1.json", NULL);
    remove_folder(s.dir);
    h_sql(s.target, "DELETE FROM _gfreplica.job WHERE job='%s'; DROP DATABASE %s", s.db, s.db);
    ck_assert_int_eq(h_exec(NULL, &log, 30, "-resumestate", dump, s.conf), 2);
    ck_assert_ptr_nonnull(strstr(log, "table1"));
    ck_assert_ptr_nonnull(strstr(log, "is this the target"));
    free(log);
    free(dump);
    end_scene(&s);
}
END_TEST

START_TEST(resume__a_dump_of_another_configuration_is_refused)
{
    scene s = begin_scene(_i, "otherconf", small_chunks);
    char *dump, *log;

    fill(&s, 1000);
    dump = interrupted(&s, 100, "1.json", NULL);
    remove_folder(s.dir);
    write_conf(&s, "{\"Tables\": {\"Rewrites\": {\"table1\": \"table2\"}}}");
    ck_assert_int_eq(h_exec(NULL, &log, 30, "-resumestate", dump, s.conf), 2);
    ck_assert_ptr_nonnull(strstr(log, "renames"));
    free(log);
    free(dump);
    end_scene(&s);
}
END_TEST

/* --- every stage -------------------------------------------------------------------------------------------------------- */

/* Somebody holds the marker's row: the start waits for it (rule R3). */
static MYSQL *hold_marker(scene *s)
{
    MYSQL *m = h_connect(s->target);
    char *sql = h_format("SELECT * FROM _gfreplica.job WHERE job='%s' FOR UPDATE", s->db);

    ck_assert_int_eq(mysql_query(m, "START TRANSACTION"), 0);
    ck_assert_int_eq(mysql_query(m, sql), 0);
    mysql_free_result(mysql_store_result(m));
    free(sql);
    return m;
}

START_TEST(resume__stopped_while_starting_it_prints_the_state_it_found)
{
    scene s = begin_scene(_i, "starting", small_chunks);
    char *dump, *again;
    MYSQL *holder;
    json_t *root, *before;
    h_run *run;

    fill(&s, 1000);
    dump = interrupted(&s, 100, "1.json", NULL);
    holder = hold_marker(&s);

    run = h_start(s.conf);
    h_sleep(1);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);

    run = h_start(s.conf);
    h_sleep(1);
    h_signal(run, SIGTERM);
    ends_with(run, 3, 2);
    root = document(run);
    before = json_load_file(dump, 0, NULL);
    ck_assert_str_eq(text_at(root, "gfreplica", "cause"), "SIGTERM");
    ck_assert_int_eq(json_equal(json_object_get(root, "CopyStage"), json_object_get(before, "CopyStage")), 1);
    again = save(run, &s, "2.json");
    h_run_free(run);
    mysql_close(holder);

    run = h_start("-resumestate", again, s.conf);
    cut_over(&s, run);
    h_run_free(run);
    json_decref(root);
    json_decref(before);
    free(dump);
    free(again);
    end_scene(&s);
}
END_TEST

/* Only what a run had copied is worth going on from: a document of one that had not begun is a new start. */
START_TEST(resume__stopped_before_it_began_it_says_so_and_starts_anew)
{
    scene s = begin_scene(_i, "unborn", small_chunks);
    char *dump, *empty;
    MYSQL *holder;
    json_t *root;
    h_run *run;

    fill(&s, 1000);
    free(interrupted(&s, 100, "1.json", NULL)); /* so that there is a marker's database */
    remove_folder(s.dir);
    h_sql(s.target,
          "DROP DATABASE %s; DELETE FROM _gfreplica.job WHERE job='%s'; DELETE FROM _gfreplica.slot WHERE job='%s';"
          "DELETE FROM _gfreplica.table_range WHERE job='%s'",
          s.db, s.db, s.db, s.db);
    holder = h_connect(s.target);
    ck_assert_int_eq(mysql_query(holder, "LOCK TABLES _gfreplica.job WRITE"), 0);
    run = h_start(s.conf);
    h_sleep(1.5);
    h_signal(run, SIGINT);
    ends_with(run, 3, 2);
    mysql_close(holder);
    root = document(run);
    ck_assert_str_eq(text_at(root, "gfreplica", "stage"), "starting");
    ck_assert_str_eq(text_at(root, "gfreplica", "cause"), "SIGINT");
    dump = save(run, &s, "2.json");
    h_run_free(run);
    remove_folder(s.dir);

    run = h_start("-resumestate", dump, s.conf);
    wait_rows(&s, run, 100);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    empty = save(run, &s, "3.json"); /* killed: it holds nothing, the directory and the marker know */
    h_run_free(run);
    run = h_start("-resumestate", empty, s.conf);
    cut_over(&s, run);
    h_run_free(run);
    json_decref(root);
    free(dump);
    free(empty);
    end_scene(&s);
}
END_TEST

static char *with_lock_callback(unsigned port)
{
    return h_format("{\"DumpStateOnSignal\": true, \"CutoverLock\": {\"URI\": \"http://127.0.0.1:%u/lock\"}}", port);
}

/* In the cutover, held in its lock callback, and killed or stopped there. */
static void end_in_cutover(scene *s, listener *l, unsigned request, int number)
{
    h_run *run = h_start(s->conf);
    char *body;

    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    if (request == 1)
        ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s->dir), 0);
    body = listener_wait(l, "/lock", request, 20);
    ck_assert_ptr_nonnull(body);
    free(body);
    ck_assert(h_wait_log(run, "stage cutover", 1));
    h_sleep(1.2); /* until the checkpoint has it */
    h_signal(run, number);
    ends_with(run, number == SIGKILL ? 128 + SIGKILL : 3, 2);
    if (number != SIGKILL) {
        json_t *root = document(run);

        ck_assert_str_eq(text_at(root, "gfreplica", "stage"), "cutover");
        json_decref(root);
    }
    h_run_free(run);
}

START_TEST(resume__a_cutover_that_was_killed_goes_on_by_itself)
{
    listener *l = listener_start(0);
    char *extra = with_lock_callback(l->port);
    scene s = begin_scene(_i, "cutover", extra);
    h_run *run;

    fill(&s, 100);
    end_in_cutover(&s, l, 1, SIGKILL);
    end_in_cutover(&s, l, 2, SIGTERM);
    end_in_cutover(&s, l, 3, SIGINT);
    atomic_store(&l->status, 200);
    h_sql(s.source, "INSERT INTO %s.table1 (data) VALUES ('last')", s.db);
    run = h_start(s.conf);
    ends_with(run, 0, 30);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(run);
    listener_stop(l);
    free(extra);
    end_scene(&s);
}
END_TEST

START_TEST(resume__a_cutover_that_failed_or_was_told_to_stop_has_to_be_asked_for_again)
{
    listener *l = listener_start(500);
    char *extra = with_lock_callback(l->port), *body;
    scene s = begin_scene(_i, "calledoff", extra);
    h_run *run;

    fill(&s, 100);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    ends_with(run, 4, 20);
    ck_assert(h_wait_log(run, "called off", 1));
    h_run_free(run);

    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(2);
    ck_assert_int_eq(h_wait(run, 0), -1);
    atomic_store(&l->status, 0);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    body = listener_wait(l, "/lock", 2, 20);
    ck_assert_ptr_nonnull(body);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "stop", "--checkpoint-dir", s.dir), 0);
    ends_with(run, 3, 3);
    h_run_free(run);

    atomic_store(&l->status, 200);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sleep(2);
    cut_over(&s, run);
    h_run_free(run);
    listener_stop(l);
    free(body);
    free(extra);
    end_scene(&s);
}
END_TEST

START_TEST(resume__killed_while_streaming_and_copying)
{
    scene s = begin_scene(_i, "killed", small_chunks);
    h_run *run;

    fill(&s, 2000);
    run = h_start(s.conf);
    wait_rows(&s, run, 200);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    h_sql(s.source, "UPDATE %s.table1 SET id = -id WHERE id %% 7 = 3", s.db);

    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source, "UPDATE %s.table1 SET data = 'x' WHERE id %% 5 = 0", s.db);
    h_signal(run, SIGKILL);
    ends_with(run, 128 + SIGKILL, 5);
    h_run_free(run);
    run = h_start(s.conf);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

START_TEST(resume__a_fatal_error_dumps_the_state_with_its_cause)
{
    scene s = begin_scene(_i, "fatal", "{\"DumpStateToStdoutOnError\": true}");
    json_t *root;
    h_run *run;

    fill(&s, 100);
    run = h_start(s.conf);
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    h_sql(s.source,
          "SET SESSION binlog_format=STATEMENT; UPDATE %s.table1 SET data='y' WHERE id=1;"
          "SET SESSION binlog_format=ROW",
          s.db);
    ends_with(run, 4, 20);
    root = document(run);
    ck_assert_ptr_nonnull(strstr(text_at(root, "gfreplica", "cause"), "table1"));
    ck_assert(json_is_true(json_object_get(json_object_get(root, "gfreplica"), "resumable")));
    json_decref(root);
    h_run_free(run);

    /* It meets the same statement again, and still prints where it is. */
    run = h_start(s.conf);
    ends_with(run, 4, 20);
    root = document(run);
    ck_assert_ptr_nonnull(strstr(text_at(root, "gfreplica", "cause"), "table1"));
    json_decref(root);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* --- export and import -------------------------------------------------------------------------------------------------- */

static json_t *exported(scene *s, const char *format)
{
    char *out, *err;
    json_t *root;

    ck_assert_int_eq(h_exec(&out, &err, 10, "export-state", format, "--checkpoint-dir", s->dir), 0);
    ck_assert_str_eq(err, "");
    root = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    free(out);
    free(err);
    return root;
}

START_TEST(resume__state_is_exported_from_a_running_and_a_stopped_job_and_imported)
{
    scene s = begin_scene(_i, "exported", small_chunks);
    char *state, *err;
    json_t *root;
    h_run *run;

    fill(&s, 2000);
    run = h_start(s.conf);
    wait_rows(&s, run, 200);
    h_sleep(1.2); /* a checkpoint is written every second */
    root = exported(&s, "--format=ghostferry");
    check_page_fields(&s, root);
    json_decref(root);
    h_signal(run, SIGINT);
    ends_with(run, 3, 3);
    h_run_free(run);

    root = exported(&s, "--format=native");
    ck_assert_uint_eq(json_object_size(root), 1);
    state = h_format("%s/native.json", s.folder);
    ck_assert_int_eq(json_dump_file(root, state, 0), 0);
    json_decref(root);
    remove_folder(s.dir);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "import-state", "--checkpoint-dir", s.dir, state), 0);
    ck_assert_int_eq(h_exec(NULL, &err, 10, "import-state", "--checkpoint-dir", s.dir, state), 1);
    ck_assert_ptr_nonnull(strstr(err, "holds a job already"));
    run = h_start(s.conf);
    cut_over(&s, run);
    h_run_free(run);
    free(err);
    free(state);
    end_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("resume");
    TCase *t = tcase_create("resume");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, resume__the_manuals_page_works_word_for_word, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_dump_alone_is_enough_with_the_marker_and_without, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_dump_is_refused_where_its_rows_are_not, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_dump_of_another_configuration_is_refused, 0, FAMILIES);
    tcase_add_loop_test(t, resume__stopped_before_it_began_it_says_so_and_starts_anew, 0, FAMILIES);
    tcase_add_loop_test(t, resume__stopped_while_starting_it_prints_the_state_it_found, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_cutover_that_was_killed_goes_on_by_itself, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_cutover_that_failed_or_was_told_to_stop_has_to_be_asked_for_again, 0, FAMILIES);
    tcase_add_loop_test(t, resume__killed_while_streaming_and_copying, 0, FAMILIES);
    tcase_add_loop_test(t, resume__a_fatal_error_dumps_the_state_with_its_cause, 0, FAMILIES);
    tcase_add_loop_test(t, resume__state_is_exported_from_a_running_and_a_stopped_job_and_imported, 0, FAMILIES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

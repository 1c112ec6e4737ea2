/* SPDX-License-Identifier: MIT */
/*
 * scene.h - what tests of the whole program share: a pair of servers of each family, and for each test a database, a job
 * and a folder with conf.json of its own.
 */
#ifndef GFREPLICA_TESTS_SCENE_H
#define GFREPLICA_TESTS_SCENE_H

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/harness.h"

enum { FOREVER = 90, FAMILIES = 2 };

static const char *const families[] = {"mariadb", "mysql"};
static h_server *sources[FAMILIES], *targets[FAMILIES];

static inline void start_servers(void)
{
    for (int i = 0; i < FAMILIES; i++)
        h_server_start_pair(&sources[i], &targets[i], families[i], NULL, NULL);
}

static inline void end_servers(void)
{
    for (int i = 0; i < FAMILIES; i++) {
        h_server_free(sources[i]);
        h_server_free(targets[i]);
    }
}

/* A database and a job of its own, and a folder with conf.json, as on the manual's page. */
typedef struct {
    h_server *source, *target;
    char *db, *folder, *conf, *dir; /* owned; dir: the checkpoint directory next to conf.json */
} scene;

static inline void write_conf(scene *s, const char *extra)
{
    char *made = h_config(s->source, s->target, s->db, extra);
    char *with_job = h_format("{\"Job\": \"%s\"}", s->db);
    json_t *conf = json_load_file(made, 0, NULL), *more = json_loads(with_job, 0, NULL);

    ck_assert_int_eq(json_object_update(conf, more), 0);
    ck_assert_int_eq(json_dump_file(conf, s->conf, JSON_INDENT(1)), 0);
    json_decref(conf);
    json_decref(more);
    free(with_job);
    free(made);
}

static inline scene begin_scene(int family, const char *name, const char *extra)
{
    scene s = {.source = sources[family], .target = targets[family]};

    s.db = h_format("%s%d", name, family);
    s.folder = h_path(name);
    ck_assert_int_eq(mkdir(s.folder, 0700), 0);
    s.conf = h_format("%s/conf.json", s.folder);
    s.dir = h_format("%s/conf.gfreplica", s.folder);
    h_sql(s.source, "CREATE DATABASE %s", s.db);
    write_conf(&s, extra);
    return s;
}

static inline void end_scene(scene *s)
{
    h_sql(s->source, "DROP DATABASE IF EXISTS %s", s->db);
    h_sql(s->target, "DROP DATABASE IF EXISTS %s", s->db);
    free(s->db);
    free(s->folder);
    free(s->conf);
    free(s->dir);
}

/* The page's table1, with keys that Ghostferry leaves out; at most 10000 rows beside those three. */
static inline void fill(scene *s, unsigned rows)
{
    static const char digits[] =
        "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
        " UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8"
        " UNION ALL SELECT 9)";

    h_sql(s->source,
          "CREATE TABLE %s.table1 (id BIGINT AUTO_INCREMENT PRIMARY KEY, data VARCHAR(16)) CHARACTER SET utf8mb4;"
          "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO';"
          "INSERT INTO %s.table1 SELECT n, CONCAT('row ', n) FROM (SELECT a.d * 1000 + b.d * 100 + c.d * 10 + d.d + 1 n"
          " FROM %s a, %s b, %s c, %s d) x WHERE n <= %u;"
          "INSERT INTO %s.table1 VALUES (0, 'zero'), (-1, 'minus one'), (-9223372036854775808, 'least')",
          s->db, s->db, digits, digits, digits, digits, rows, s->db);
}

static inline void wait_rows(scene *s, h_run *run, long long rows)
{
    ck_assert(h_wait_rows(run, s->target, s->db, "table1", rows, FOREVER));
}

static inline void tell(h_run *run)
{
    char *log = h_stderr(run);

    fprintf(stderr, "%s\n%s\n", run->command, log);
    free(log);
}

static inline void ends_with(h_run *run, int code, double seconds)
{
    int got = h_wait(run, seconds);

    if (got != code)
        tell(run);
    ck_assert_int_eq(got, code);
}

/* stdout is one JSON document and nothing else. Owned by the caller (json_decref). */
static inline json_t *document(h_run *run)
{
    char *text = h_stdout(run);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    ck_assert_msg(root != NULL, "stdout is no JSON document: %s: '%s'", error.text, text);
    ck_assert(json_is_object(root));
    free(text);
    return root;
}

static inline const char *text_at(const json_t *root, const char *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(root, object), key));
}

static inline void save_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static inline void remove_folder(const char *path)
{
    char *command = h_format("rm -rf '%s'", path);

    ck_assert_int_eq(system(command), 0);
    free(command);
}

static inline void cut_over(scene *s, h_run *run)
{
    ck_assert(h_wait_log(run, "stage streaming", FOREVER));
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s->dir), 0);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s->source, s->target, s->db), 0);
}

#endif

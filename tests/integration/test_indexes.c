/* SPDX-License-Identifier: MIT */
/*
 * test_indexes.c - indexes that are built after the rows: all kinds of them, beside writes, through kills.
 */
#include "run_suite.h"
#include "scene.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define ALWAYS "{\"DeferIndexes\": \"always\"}"

/* n: 0 to 99,999. */
#define DIGITS                                                                                                         \
    "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"       \
    " UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
#define NUMBERS                                                                                                        \
    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d n FROM " DIGITS " a, " DIGITS " b, " DIGITS         \
    " c, " DIGITS " e, " DIGITS " f) numbers"

/* A table with so many rows and six indexes that may be built later. */
static void make_big(scene *s, unsigned rows)
{
    h_sql(
        s->source,
        "CREATE TABLE %s.big (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b VARCHAR(40), c CHAR(20),"
        " KEY k1 (a), KEY k2 (b), KEY k3 (b(5), a), KEY k4 (c DESC), KEY k5 (a, c), KEY k6 (c(4), b(4)));"
        "INSERT INTO %s.big (a, b, c) SELECT n * 7919 %% 10007, CONCAT(n * 31 %% 977, REPEAT(CHAR(97 + n %% 26), 30)),"
        " n * 17 %% 90001 FROM " NUMBERS " WHERE n < %u",
        s->db, s->db, rows);
}

static h_run *run_job(scene *s)
{
    return h_start(s->conf);
}

static bool says(h_run *run, const char *text)
{
    char *log = h_stderr(run);
    bool found = strstr(log, text) != NULL;

    free(log);
    return found;
}

static void expect(h_run *run, const char *text)
{
    if (!h_wait_log(run, text, FOREVER)) {
        tell(run);
        ck_abort_msg("the log lacks: %s", text);
    }
}

static long long indexes_of(scene *s, const char *table)
{
    return h_number(s->target,
                    "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema='%s' AND "
                    "table_name='%s'",
                    s->db, table);
}

/* ---- kinds ---- */

static const char *const kinds[FAMILIES] = {
    /* mariadb */
    "CREATE TABLE %s.kinds (id INT AUTO_INCREMENT, u INT NOT NULL, n INT, t TEXT, v VARCHAR(50) CHARACTER SET latin1,"
    " p POINT NOT NULL, g INT AS (n + 1) VIRTUAL, s INT AS (n * 2) STORED, w INT INVISIBLE DEFAULT 3,"
    " PRIMARY KEY (id), KEY k_n (n), KEY k_desc (n DESC, v), UNIQUE KEY u_u (u), KEY k_prefix (t(7), v(3)),"
    " SPATIAL KEY s_p (p), KEY k_virtual (g), KEY k_stored (s) COMMENT 'it''s, (this)', KEY k_ignored (v) IGNORED,"
    " FULLTEXT KEY f_t (t), KEY `we``ird, (name)` (w), KEY k_last (n, v(2)) KEY_BLOCK_SIZE=8)",
    /* mysql */
    "CREATE TABLE %s.kinds (id INT AUTO_INCREMENT, u INT NOT NULL, n INT, t TEXT, v VARCHAR(50) CHARACTER SET latin1,"
    " p POINT NOT NULL SRID 0, j JSON, g INT AS (n + 1) VIRTUAL, s INT AS (n * 2) STORED, w INT DEFAULT 3 INVISIBLE,"
    " PRIMARY KEY (id), KEY k_n (n), KEY k_desc (n DESC, v), UNIQUE KEY u_u (u), KEY k_prefix (t(7), v(3)),"
    " SPATIAL KEY s_p (p), KEY k_expression ((n + 5)), KEY k_array ((CAST(j AS UNSIGNED ARRAY))), KEY k_virtual (g),"
    " KEY k_stored (s) COMMENT 'it''s, (this)', KEY k_invisible (v) INVISIBLE, FULLTEXT KEY f_t (t) WITH PARSER ngram,"
    " KEY `we``ird, (name)` (w), KEY k_last (n, v(2)) USING BTREE)",
};

/* Tables of which some indexes are needed from the beginning. */
static void make_kinds(scene *s, int family)
{
    h_sql(s->source, kinds[family], s->db);
    h_sql(s->source,
          "INSERT INTO %s.kinds (u, n, t, v, p) SELECT n, n %% 50, CONCAT('some words ', n), n * 3, POINT(n, -n)"
          " FROM " NUMBERS " WHERE n < 300;"
          "CREATE TABLE %s.parent (id INT PRIMARY KEY, code INT NOT NULL, other INT, KEY k_other (other),"
          " KEY k_code (code), KEY k_late (other, code));"
          "CREATE TABLE %s.child (id INT PRIMARY KEY, p INT, code INT, x INT, KEY k_p (p), KEY k_x (x),"
          " CONSTRAINT c_p FOREIGN KEY (p) REFERENCES %s.parent (id));"
          "CREATE TABLE %s.counter (n INT AUTO_INCREMENT, k BIGINT PRIMARY KEY, x INT, KEY k_n (n), KEY k_x (x));"
          "CREATE TABLE %s.parts (id INT PRIMARY KEY, x INT, KEY k_x (x)) PARTITION BY HASH (id) PARTITIONS 3;"
          "CREATE TABLE %s.other_engine (id INT PRIMARY KEY, x INT, KEY k_x (x)) ENGINE=MyISAM;"
          "INSERT INTO %s.parent VALUES (1, 10, 100), (2, 20, 200);"
          "INSERT INTO %s.child VALUES (1, 1, 10, 5), (2, 2, 20, 6), (3, NULL, NULL, NULL);"
          "INSERT INTO %s.counter (k, x) VALUES (5, 1), (6, 2);"
          "INSERT INTO %s.parts VALUES (1, 2), (2, 3), (3, 4)",
          s->db, s->db, s->db, s->db, s->db, s->db, s->db, s->db, s->db, s->db, s->db);
}

static const char *const modes[] = {"never", "always", "auto"};

START_TEST(indexes__of_all_kinds_end_as_on_the_source)
{
    int family = _i % FAMILIES;
    const char *mode = modes[_i / FAMILIES];
    char *extra = h_format("{\"AutomaticCutover\": true, \"DeferIndexes\": \"%s\"}", mode);
    scene s = begin_scene(family, mode, extra);
    bool always = strcmp(mode, "always") == 0;
    h_run *run;

    make_kinds(&s, family);
    if (family == 1)
        h_sql(s.source, "DROP TABLE %s.other_engine", s.db); /* its GTIDs allow none */
    run = run_job(&s);
    ends_with(run, 0, FOREVER);
    /* Those behind the SPATIAL one, which stays. */
    ck_assert_int_eq(says(run, ".kinds: 5 indexes built"), always);
    ck_assert_int_eq(says(run, ".parent: 3 indexes built"), always);
    ck_assert_int_eq(says(run, ".child: 1 index built"), always);
    ck_assert_int_eq(says(run, ".counter: 1 index built"), always);
    ck_assert_int_eq(says(run, ".parts: 1 index built"), always);
    ck_assert(!says(run, "other_engine: its rows"));
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(run);
    end_scene(&s);
    free(extra);
}
END_TEST

/* A key that a child refers to by itself, not by PRIMARY, is there from the beginning; so are those of tables without a
   key of their own. */
START_TEST(indexes__that_are_needed_are_there_from_the_beginning)
{
    scene s = begin_scene(_i, "needed", "{\"DeferIndexes\": \"always\", \"LockKeylessTables\": true}");
    h_run *run;

    if (_i == 1) {
        h_sql(s.source, "SET SESSION restrict_fk_on_non_standard_key=OFF");
        h_sql(s.target, "SET GLOBAL restrict_fk_on_non_standard_key=OFF");
    }
    h_sql(s.source,
          "CREATE TABLE %s.parent (id INT PRIMARY KEY, code INT NOT NULL, KEY k_before (id, code), KEY k_code (code),"
          " KEY k_after (id));"
          "CREATE TABLE %s.child (id INT PRIMARY KEY, code INT, FOREIGN KEY (code) REFERENCES %s.parent (code));"
          "CREATE TABLE %s.keyless (a INT, KEY k_a (a));"
          "INSERT INTO %s.parent VALUES (1, 10); INSERT INTO %s.child VALUES (1, 10);"
          "INSERT INTO %s.keyless VALUES (1), (1)",
          s.db, s.db, s.db, s.db, s.db, s.db, s.db);
    run = run_job(&s);
    expect(run, "stage streaming");
    ck_assert(says(run, ".parent: 1 index built"));
    ck_assert(!says(run, ".child: its rows"));
    ck_assert(!says(run, ".keyless: its rows"));
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* ---- size, grants, tables of others ---- */

static long long estimate(scene *s)
{
    return h_number(s->source,
                    "SELECT table_rows FROM information_schema.tables WHERE table_schema='%s' AND table_name='large'",
                    s->db);
}

/* The statistics that decide are the source's own, and it makes them when it likes. */
static void make_large(scene *s)
{
    double deadline = h_now() + FOREVER;

    if (s->source == sources[1])
        h_sql(s->source, "SET SESSION information_schema_stats_expiry=0");
    h_sql(s->source,
          "CREATE TABLE %s.large (id INT PRIMARY KEY, a INT, KEY k_a (a));"
          "INSERT INTO %s.large SELECT n, n * 31 %% 1000 FROM " NUMBERS ";"
          "INSERT INTO %s.large SELECT id + 100000, a FROM %s.large ORDER BY id;"
          "CREATE TABLE %s.small LIKE %s.large; INSERT INTO %s.small VALUES (1, 2); ANALYZE TABLE %s.large",
          s->db, s->db, s->db, s->db, s->db, s->db, s->db, s->db);
    while (estimate(s) < 150000) {
        ck_assert_msg(h_now() < deadline, "%lld rows estimated", estimate(s));
        h_sql(s->source, "ANALYZE TABLE %s.large", s->db);
        h_sleep(0.1);
    }
}

START_TEST(indexes__auto_goes_by_size_and_by_grants)
{
    scene s = begin_scene(_i, "size", NULL);
    char *as_mover = h_format("{\"Target\": {\"User\": \"mover%d\"}}", _i);
    char *always = h_format("{\"DeferIndexes\": \"always\", \"Target\": {\"User\": \"mover%d\"}}", _i), *err;
    h_run *run;

    make_large(&s);
    h_sql(
        s.target,
        "CREATE USER mover%d; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, REFERENCES ON %s.* TO mover%d;"
        "GRANT ALL ON _gfreplica.* TO mover%d",
        _i, s.db, _i, _i);
    write_conf(&s, always);
    ck_assert_int_ne(h_exec(NULL, &err, FOREVER, s.conf), 0);
    ck_assert_msg(strstr(err, "lacks ALTER: GRANT ALTER ON") != NULL, "%s", err);
    free(err);
    write_conf(&s, as_mover);
    run = run_job(&s);
    expect(run, "large tables are made with all their indexes (--defer-indexes): the target's grants lack ALTER");
    cut_over(&s, run);
    ck_assert(!says(run, "built in"));
    h_run_free(run);

    h_sql(s.target, "DROP DATABASE %s; GRANT ALTER ON %s.* TO mover%d; REVOKE INDEX ON %s.* FROM mover%d", s.db, s.db,
          _i, s.db, _i);
    remove_folder(s.dir);
    run = h_start("--take-over", s.conf);
    cut_over(&s, run);
    ck_assert(says(run, ".large: 1 index built in"));
    ck_assert(!says(run, ".small: "));
    h_run_free(run);
    h_sql(s.target, "DROP USER mover%d", _i);
    free(as_mover);
    free(always);
    end_scene(&s);
}
END_TEST

/* Of an earlier job's, or made by hand: `lacks` is completed, of `words` what may follow its rows; `own` has a design of its
   own, and the cutover does not mind. */
START_TEST(indexes__of_tables_that_were_there_are_completed_or_told)
{
    scene s = begin_scene(_i, "there", "{\"AllowExistingTargetTable\": true}");
    h_run *run;

    h_sql(s.source,
          "CREATE TABLE %s.lacks (id INT PRIMARY KEY, a INT, KEY k_a (a)); INSERT INTO %s.lacks VALUES (1, 1);"
          "CREATE TABLE %s.words (id INT PRIMARY KEY, a INT, t TEXT, KEY k_a (a), FULLTEXT KEY f_t (t));"
          "CREATE TABLE %s.own (id INT PRIMARY KEY, a INT, b INT, KEY k_a (a), KEY k_b (b))",
          s.db, s.db, s.db, s.db);
    h_sql(s.target,
          "CREATE DATABASE %s; CREATE TABLE %s.lacks (id INT PRIMARY KEY, a INT);"
          "CREATE TABLE %s.words (id INT PRIMARY KEY, a INT, t TEXT);"
          "CREATE TABLE %s.own (id INT PRIMARY KEY, a INT, b INT, KEY k_a (a, b))",
          s.db, s.db, s.db, s.db);
    run = run_job(&s);
    expect(run, "stage streaming");
    ck_assert(says(run, ".lacks: the target's table was there without the source's `k_a`: 1 of them built after its"));
    ck_assert(says(run, ".words: the target's table was there without the source's `f_t`, `k_a`, which is not built"));
    ck_assert(says(run, ".own: the target's table was there without the source's `k_b`, which is not built"));
    ck_assert(says(run, ".own: the target's table was there, and its `k_a` differs"));
    ck_assert_int_eq(indexes_of(&s, "lacks"), 2);
    ck_assert_int_eq(indexes_of(&s, "words"), 2);
    ck_assert_int_eq(indexes_of(&s, "own"), 2);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    ends_with(run, 0, FOREVER);
    h_run_free(run);

    h_sql(s.target, "ALTER TABLE %s.lacks DROP KEY k_a", s.db);
    remove_folder(s.dir);
    run = h_start("--take-over", "--defer-indexes=never", s.conf);
    expect(run,
           ".lacks: the target's table was there without the source's `k_a`, which is not built (--defer-indexes=");
    expect(run, "stage streaming");
    ck_assert_int_eq(indexes_of(&s, "lacks"), 1);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* ---- beside writes ---- */

struct writing {
    const h_server *source;
    const char *db;
    atomic_bool stop;
    unsigned done;
};

static void *write_rows(void *arg)
{
    struct writing *w = arg;
    MYSQL *m = h_connect(w->source);

    for (unsigned i = 1; !atomic_load(&w->stop); i++) {
        char *sql = i % 5 == 0 ? h_format("DELETE FROM %s.big WHERE id=%u", w->db, i * 13 % 30000)
                    : i % 3 == 0
                        ? h_format("INSERT INTO %s.big (a, b, c) VALUES (%u, 'new %u', 'n')", w->db, i, i)
                        : h_format("UPDATE %s.big SET a=a+1, b=CONCAT('u', %u) WHERE id=%u", w->db, i, i * 7 % 30000);

        if (mysql_query(m, sql) != 0)
            h_fail("%s: %s", sql, mysql_error(m));
        free(sql);
        w->done++;
        h_sleep(0.001);
    }
    mysql_close(m);
    mysql_thread_end();
    return NULL;
}

START_TEST(indexes__are_built_while_rows_change)
{
    scene s = begin_scene(_i, "live", ALWAYS);
    struct writing w = {.source = s.source, .db = s.db};
    pthread_t writer;
    h_run *run;

    make_big(&s, 30000);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_rows, &w), 0);
    run = run_job(&s);
    expect(run, ".big: 6 indexes built in");
    expect(run, "stage streaming");
    atomic_store(&w.stop, true);
    pthread_join(writer, NULL);
    ck_assert_uint_gt(w.done, 0);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* A statement of the source's may drop one of them, or add one behind them: it is repeated on a table that has all. */
START_TEST(indexes__are_there_before_a_schema_change)
{
    scene s = begin_scene(_i, "change",
                          "{\"DeferIndexes\": \"always\", \"DataIterationConcurrency\": 1,"
                          " \"UpdatableConfig\": {\"DataIterationBatchSize\": 20}}");
    h_run *run;

    make_big(&s, 20000);
    run = run_job(&s);
    expect(run, "stage copying");
    h_sql(s.source, "ALTER TABLE %s.big DROP KEY k2, ADD COLUMN z INT DEFAULT 5, ADD KEY k7 (c, a)", s.db);
    h_sql(s.source, "UPDATE %s.big SET z=id, b='after' WHERE id %% 100 = 7", s.db);
    expect(run, "a schema change is next: first 1 tables get the indexes that they lack");
    expect(run, ".big: 6 indexes built in");
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* ---- kills ---- */

/* A session on the target that keeps an ALTER of big from beginning. */
static MYSQL *hold_table(scene *s)
{
    MYSQL *m = h_connect(s->target);
    char *sql = h_format("SELECT id FROM %s.big LIMIT 1", s->db);

    if (mysql_query(m, "START TRANSACTION") != 0 || mysql_query(m, sql) != 0)
        h_fail("%s: %s", sql, mysql_error(m));
    mysql_free_result(mysql_store_result(m));
    free(sql);
    return m;
}

/* Until big is there, to be held before its rows are all there. */
static MYSQL *hold_early(scene *s, h_run *run)
{
    double deadline = h_now() + FOREVER;

    while (h_sql_try(s->target, NULL, "SELECT 1 FROM %s.big LIMIT 0", s->db) != 0) {
        ck_assert_int_eq(h_wait(run, 0), -1);
        ck_assert(h_now() < deadline);
        h_sleep(0.01);
    }
    return hold_table(s);
}

static long long alters(scene *s)
{
    return h_number(s->target,
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE `%s`.`big`%%'",
                    s->db);
}

static void wait_alters(scene *s, long long wanted)
{
    double deadline = h_now() + FOREVER;

    while (alters(s) != wanted) {
        ck_assert_msg(h_now() < deadline, "%lld ALTERs", alters(s));
        h_sleep(0.05);
    }
}

static void status_says(scene *s, const char *text)
{
    double deadline = h_now() + 10; /* it is shown from the checkpoint */
    bool found = false;

    while (!found) {
        char *out = NULL;

        ck_assert_int_eq(h_exec(&out, NULL, 10, "status", "--checkpoint-dir", s->dir), 0);
        found = strstr(out, text) != NULL;
        ck_assert_msg(found || h_now() < deadline, "%s", out);
        free(out);
        h_sleep(0.1);
    }
}

/* The ALTER of the run that was killed goes on, unless its server sees in time that the client is gone: there is one at a
   time. */
START_TEST(indexes__a_kill_in_the_middle_of_an_alter_loses_nothing)
{
    scene s = begin_scene(_i, "kill", ALWAYS);
    h_run *run;
    MYSQL *holder;

    make_big(&s, 3000);
    run = run_job(&s);
    holder = hold_early(&s, run);
    expect(run, ".big: its rows are copied, building 6 indexes");
    wait_alters(&s, 1);
    status_says(&s, ", indexes built of 0 of 1 tables");
    ck_assert(!says(run, "stage streaming"));
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    h_sql(s.source, "UPDATE %s.big SET a=-a WHERE id %% 3 = 0", s.db);
    run = run_job(&s);
    for (int i = 0; i < 15; i++) {
        ck_assert_int_le(alters(&s), 1);
        h_sleep(0.1);
    }
    mysql_close(holder);
    expect(run, "stage streaming");
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* Frozen in its ALTER, the older instance has a session that nobody ends. Thawed, it adds nothing and takes no note away. */
START_TEST(indexes__a_frozen_instance_is_waited_for_and_stops_when_it_thaws)
{
    scene s = begin_scene(_i, "frozen", ALWAYS);
    char *other = h_format("%s/other", s.folder);
    h_run *frozen, *run;
    MYSQL *holder;

    make_big(&s, 3000);
    frozen = run_job(&s);
    holder = hold_early(&s, frozen);
    wait_alters(&s, 1);
    h_signal(frozen, SIGSTOP);
    run = h_start("--checkpoint-dir", other, s.conf);
    expect(run, ".big by another run of this job is still under way on the target, in connection");
    mysql_close(holder);
    expect(run, "is not seen to execute anything: if that instance does not run any more, KILL");
    h_signal(frozen, SIGCONT);
    ends_with(frozen, 4, FOREVER);
    ck_assert(says(frozen, "another instance has taken over job"));
    ck_assert(!says(frozen, ".big: 6 indexes built"));
    h_run_free(frozen);
    expect(run, "stage streaming");
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM _gfreplica.deferred WHERE job='%s'", s.db), 0);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", other), 0);
    ends_with(run, 0, FOREVER);
    ck_assert_uint_eq(h_compare(s.source, s.target, s.db), 0);
    h_run_free(run);
    free(other);
    end_scene(&s);
}
END_TEST

/* What the marker notes is only where to look: a note that a kill has left costs nothing, and the target's own list counts. */
START_TEST(indexes__that_the_target_lacks_are_what_counts)
{
    scene s = begin_scene(_i, "note", ALWAYS);
    h_run *run;

    make_big(&s, 500);
    h_sql(s.source, "CREATE TABLE %s.whole LIKE %s.big", s.db, s.db);
    run = run_job(&s);
    expect(run, "stage streaming");
    ck_assert_int_eq(h_number(s.target, "SELECT COUNT(*) FROM _gfreplica.deferred WHERE job='%s'", s.db), 0);
    h_signal(run, SIGKILL);
    h_wait(run, 10);
    h_run_free(run);
    h_sql(s.target,
          "INSERT INTO _gfreplica.deferred (job, generation, db, name) VALUES ('%s', 1, '%s', 'big'), ('%s', 1, '%s',"
          " 'whole'), ('%s', 1, '%s', 'gone');"
          "ALTER TABLE %s.big DROP KEY k5, DROP KEY k6",
          s.db, s.db, s.db, s.db, s.db, s.db, s.db);
    run = run_job(&s);
    expect(run, ".big: 2 indexes built in");
    expect(run, "stage streaming");
    ck_assert(!says(run, ".whole: "));
    h_sql(s.target, "ALTER TABLE %s.big DROP KEY k6", s.db);
    ck_assert_int_eq(h_exec(NULL, NULL, 10, "cutover", "--checkpoint-dir", s.dir), 0);
    ends_with(run, 4, FOREVER);
    ck_assert(says(run, ".big is not defined on the target as on the source: its key `k6` is not there"));
    h_run_free(run);
    h_sql(s.target, "ALTER TABLE %s.big ADD KEY k6 (c(4), b(4))", s.db);
    run = run_job(&s);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* Killed on the server's side, the ALTER is begun again. */
START_TEST(indexes__an_alter_that_was_ended_is_begun_again)
{
    scene s = begin_scene(_i, "ended", ALWAYS);
    h_run *run;
    MYSQL *holder;
    long long id;

    make_big(&s, 3000);
    run = run_job(&s);
    holder = hold_early(&s, run);
    wait_alters(&s, 1);
    id = h_number(s.target, "SELECT id FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE `%s`.`big`%%'",
                  s.db);
    h_sql(s.target, "KILL QUERY %lld", id);
    mysql_close(holder);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

START_TEST(indexes__a_stop_does_not_wait_for_an_alter)
{
    scene s = begin_scene(_i, "stop", ALWAYS);
    h_run *run;
    MYSQL *holder;

    make_big(&s, 3000);
    run = run_job(&s);
    holder = hold_early(&s, run);
    wait_alters(&s, 1);
    h_signal(run, SIGTERM);
    ends_with(run, 3, 2);
    mysql_close(holder);
    h_run_free(run);
    wait_alters(&s, 0);
    run = run_job(&s);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

/* At many instants: before the tables are there, before the marker knows the job, in the copy, in the ALTER, after it. */
START_TEST(indexes__kills_at_any_time_lose_none)
{
    scene s = begin_scene(_i, "kills", ALWAYS);
    h_run *run;

    make_big(&s, 6000);
    make_kinds(&s, _i);
    if (_i == 1)
        h_sql(s.source, "DROP TABLE %s.other_engine", s.db);
    for (unsigned i = 0; i < 8; i++) {
        run = run_job(&s);
        ck_assert_int_eq(h_wait(run, 0.05 + 0.09 * i), -1);
        h_signal(run, SIGKILL);
        h_wait(run, 10);
        h_run_free(run);
        h_sql(s.source, "UPDATE %s.big SET a=a+1 WHERE id %% 8 = %u", s.db, i);
    }
    run = run_job(&s);
    cut_over(&s, run);
    h_run_free(run);
    end_scene(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("indexes");
    TCase *tc = tcase_create("indexes");

    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, start_servers, end_servers);
    tcase_add_loop_test(tc, indexes__of_all_kinds_end_as_on_the_source, 0, FAMILIES * 3);
    tcase_add_loop_test(tc, indexes__that_are_needed_are_there_from_the_beginning, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__auto_goes_by_size_and_by_grants, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__of_tables_that_were_there_are_completed_or_told, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__are_built_while_rows_change, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__are_there_before_a_schema_change, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__a_kill_in_the_middle_of_an_alter_loses_nothing, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__a_frozen_instance_is_waited_for_and_stops_when_it_thaws, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__that_the_target_lacks_are_what_counts, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__an_alter_that_was_ended_is_begun_again, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__a_stop_does_not_wait_for_an_alter, 0, FAMILIES);
    tcase_add_loop_test(tc, indexes__kills_at_any_time_lose_none, 0, FAMILIES);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

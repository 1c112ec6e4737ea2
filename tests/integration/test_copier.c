/* SPDX-License-Identifier: MIT */
/*
 * test_copier.c - readers, views and merger on real servers, with a stream and a target of the simplest kind.
 *
 * One server holds both databases: `src` is copied and followed, `dst` is written by the test's own thread, one source
 * transaction or chunk at a time, without the binlog. Each test runs for the three ways in which a view is opened.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "gfreplica/literal.h"
#include "gfreplica/log.h"
#include "gfreplica/replica.h"
#include "harness/harness.h"
#include "run_suite.h"

enum { SERVERS = 3 };

static const struct {
    const char *name, *family, *options;
} kinds[SERVERS] = {
    {"MariaDB", "mariadb", NULL},
    {"MySQL with GTIDs", "mysql", NULL},
    {"MySQL without GTIDs", "mysql", "--gtid-mode=OFF --enforce-gtid-consistency=OFF"},
};

static h_server *servers[SERVERS];

static void start_servers(void)
{
    for (int i = 0; i < SERVERS; i++)
        servers[i] = h_server_start(kinds[i].family, kinds[i].options);
}

static void stop_servers(void)
{
    for (int i = 0; i < SERVERS; i++)
        h_server_free(servers[i]);
}

/* ---- a move of the simplest kind ---- */

typedef struct {
    h_server *server;
    gf_config config;
    char *from[1], *to[1];
    gf_server_info info;
    gf_catalog *catalog;
    gf_plan *plan;
    gf_merger *merger;
    gf_copier *copier;
    gf_replica *replica;
    gf_decoder *decoder;
    MYSQL *source, *target;
    gf_position scheduled;
    uint64_t chunks, dropped;
    bool in_transaction;
    atomic_bool kicked; /* a chunk is due though nothing passes */
    gf_error err;
} move;

/* A step that must go well. */
static void must(bool ok, const move *m, const char *step)
{
    if (!ok)
        ck_abort_msg("%s: %s", step, m->err.text);
}

static void configure(move *m, h_server *server)
{
    static char *only_src[] = {(char *)"src"};

    *m = (move){.server = server};
    m->from[0] = (char *)"src";
    m->to[0] = (char *)"dst";
    m->config.source = (gf_server_config){.role = (char *)"source",
                                          .host = server->host,
                                          .port = server->port,
                                          .user = server->user,
                                          .password = server->password};
    m->config.filter.db_whitelist = (gf_names){only_src, 1};
    m->config.filter.db_renames = (gf_renames){m->from, m->to, 1};
    m->config.readers = 3;
    m->config.chunk_bytes = 16 * 1024;
    m->config.chunk_ms = 100;
    m->config.range_rows = 300;
    m->config.retry_timeout = 20;
    m->config.lock_keyless = true;
}

static void load_tables(move *m)
{
    const gf_table **tables;
    gf_buf left_out = {0};
    size_t count;

    m->catalog = gf_catalog_new();
    m->config.filter.json_types = gf_server_json_types(&m->info, &m->info);
    must(gf_catalog_load(m->catalog, m->source, m->info.flavor, &m->config.filter, &left_out, &m->err), m, "load");
    gf_buf_free(&left_out);
    count = gf_catalog_list(m->catalog, &tables);
    h_sql(m->server, "DROP DATABASE IF EXISTS dst; CREATE DATABASE dst");
    for (size_t i = 0; i < count; i++)
        h_sql(m->server, "CREATE TABLE %s LIKE %s", tables[i]->target_sql, tables[i]->source_sql);
    free(tables);
}

static void plan_tables(move *m)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(m->catalog, &tables);
    MYSQL *db = NULL;

    m->plan = gf_plan_new();
    must(gf_server_connect(&db, &m->config.source, GF_CONN_READER, &m->err), m, "connect");
    for (size_t i = 0; i < count; i++)
        must(gf_plan_split(m->plan, tables[i], db, m->config.range_rows, &m->err), m, "split");
    gf_server_close(db);
    free(tables);
}

/* Rules S1 to S3, as far as a quiet start needs them. */
static void find_start(move *m, gf_position *start)
{
    gf_position end = {0};
    char *gtids = NULL;

    must(gf_server_binlog_end(&end, m->source, &m->info, &m->err), m, "end");
    if (m->info.flavor == GF_FLAVOR_MARIADB)
        gtids = h_scalar(m->server, "SELECT BINLOG_GTID_POS('%s', %llu)", end.file, (unsigned long long)end.offset);
    else if (m->info.gtids)
        gtids = h_scalar(m->server, "SELECT @@global.gtid_executed");
    must(gf_position_parse(start, m->info.flavor, end.file, end.offset, gtids != NULL ? gtids : "", &m->err), m,
         "parse");
    free(gtids);
    gf_position_free(&end);
}

static bool run_on_target(move *m, gf_buf *sql, gf_error *err)
{
    bool ok = gf_server_run(m->target, "write", gf_slice_of(sql->data, sql->len), err);

    gf_buf_free(sql);
    return ok;
}

static bool write_chunk(void *ctx, gf_chunk *c, gf_error *err)
{
    move *m = ctx;
    gf_buf sql = {0};
    uint64_t written = 0;
    bool ok = true;

    for (size_t i = 0; i < c->row_count; i++) {
        if (c->rows[i].dropped) {
            m->dropped++;
            continue;
        }
        if (written++ == 0)
            gf_buf_printf(&sql, "REPLACE INTO %s (%s) VALUES ", c->range->table->target_sql,
                          c->range->table->write_columns);
        else
            gf_buf_byte(&sql, ',');
        gf_buf_add(&sql, c->text.data + c->rows[i].tuple, c->rows[i].tuple_len);
    }
    if (written > 0)
        ok = run_on_target(m, &sql, err) && gf_server_exec(m->target, "commit", err, "COMMIT");
    gf_plan_committed(m->plan, c->range, gf_slice_of(c->frontier.data, c->frontier.len), c->last, written);
    if (m->copier != NULL)
        gf_copier_freed(m->copier, c->bytes);
    m->chunks++;
    gf_chunk_free(c);
    return ok;
}

/* ---- the stream ---- */

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    (void)txn;
    (void)err;
    ((move *)ctx)->in_transaction = true;
    gf_merger_enter(((move *)ctx)->merger);
    return true;
}

static void record(move *m, const gf_table *t, const gf_value *row)
{
    gf_buf key = {0};

    gf_key_encode(&key, t, &t->keys[t->identity], row);
    gf_merger_record(m->merger, t, gf_slice_of(key.data, key.len));
    gf_buf_free(&key);
}

static bool delete_row(move *m, const gf_table *t, const gf_value *row, gf_error *err)
{
    gf_buf sql = {0};

    gf_buf_printf(&sql, "DELETE FROM %s WHERE ", t->target_sql);
    if (t->identity >= 0) {
        record(m, t, row);
        if (t->keys[t->identity].part_count == 1) {
            gf_buf_ident(&sql, t->columns[t->keys[t->identity].parts[0].column].name);
            gf_buf_byte(&sql, '=');
        }
    }
    gf_literal_where(&sql, t, row);
    gf_buf_str(&sql, " LIMIT 1");
    return run_on_target(m, &sql, err);
}

static bool write_row(move *m, const gf_table *t, const gf_value *row, gf_error *err)
{
    gf_buf sql = {0};
    bool relaxed = false;

    if (t->identity >= 0)
        record(m, t, row);
    gf_buf_printf(&sql, "REPLACE INTO %s (%s) VALUES ", t->target_sql, t->write_columns);
    gf_literal_tuple(&sql, t, row, &relaxed);
    return run_on_target(m, &sql, err);
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned flags, gf_error *err)
{
    (void)flags;
    return (op == GF_OP_INSERT || delete_row(ctx, t, before, err)) &&
           (op == GF_OP_DELETE || write_row(ctx, t, after, err));
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)ctx;
    (void)name;
    return !rollback_to || gf_fail(err, GF_ERR_DATA, "the workload has no savepoints");
}

static bool on_commit(void *ctx, const gf_position *end, gf_error *err)
{
    move *m = ctx;

    m->in_transaction = false;
    gf_position_copy(&m->scheduled, end);
    return gf_server_exec(m->target, "commit", err, "COMMIT") && gf_merger_leave(m->merger, end, err);
}

static bool on_rollback(void *ctx, const gf_position *end, gf_error *err)
{
    move *m = ctx;

    gf_merger_undone(m->merger);
    m->in_transaction = false;
    gf_position_copy(&m->scheduled, end);
    return gf_server_exec(m->target, "roll back", err, "ROLLBACK") && gf_merger_leave(m->merger, end, err);
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    (void)ctx;
    (void)kind;
    (void)xid;
    (void)end;
    return gf_fail(err, GF_ERR_DATA, "the workload has no XA");
}

static bool on_moved(void *ctx, const gf_position *pos, gf_error *err)
{
    move *m = ctx;

    gf_position_copy(&m->scheduled, pos);
    return gf_merger_leave(m->merger, pos, err);
}

/* A DDL: as the job does it, but that the target's table is changed by hand here. */
static bool on_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    move *m = ctx;

    if (inside)
        return gf_fail(err, GF_ERR_DATA, "the workload has no statement format");
    for (size_t i = 0; i < s->object_count && s->kind == GF_STMT_DDL; i++) {
        const gf_stmt_object *o = &s->objects[i];
        const gf_table *old = gf_catalog_find(m->catalog, o->db, o->db_len, o->table, o->table_len), *now;
        gf_table *loaded;
        gf_buf sql = {0};

        if (old == NULL || strstr(s->verb, "ALTER") == NULL)
            continue;
        gf_merger_invalidate(m->merger, old);
        if (!gf_server_exec(m->target, "use", err, "USE dst"))
            return false;
        gf_buf_slice(&sql, s->sql);
        if (!run_on_target(m, &sql, err) ||
            !gf_catalog_load_table(&loaded, m->target, m->info.flavor, &m->config.filter, old->db, old->name, "dst",
                                   old->target_name, err))
            return false;
        gf_catalog_put(m->catalog, loaded);
        now = loaded;
        if (!gf_plan_renew(m->plan, old, now, true))
            return gf_fail(err, GF_ERR_DATA, "the test keeps its identities");
    }
    return on_moved(ctx, end, err);
}

static void on_kick(void *ctx)
{
    atomic_store(&((move *)ctx)->kicked, true);
}

static void start_stream(move *m, const gf_position *start)
{
    const gf_sink sink = {m, on_begin, on_row, on_savepoint, on_commit, on_rollback, on_xa, on_statement, on_moved};
    const gf_replica_options opt = {.server = &m->config.source,
                                    .info = &m->info,
                                    .server_id = 4711,
                                    .uuid = "5f1b0c62-7f0e-4b43-9a55-2f8de1c4a001",
                                    .report_host = "test",
                                    .heartbeat_ms = 100};

    m->merger = gf_merger_new(m->plan, start, write_chunk, m);
    gf_merger_on_ready(m->merger, on_kick, m);
    m->decoder = gf_decoder_new(m->info.flavor, m->catalog, &m->config.filter, start, &sink);
    must(gf_replica_open(&m->replica, &opt, start, &m->err), m, "open the stream");
}

/* One event: at least a heartbeat. */
static void step(move *m)
{
    gf_slice event;

    must(gf_replica_read(&event, m->replica, &m->err) && gf_decoder_feed(m->decoder, event, &m->err), m, "stream");
    if (!m->in_transaction && atomic_exchange(&m->kicked, false))
        must(gf_merger_leave(m->merger, NULL, &m->err), m, "merge");
    if (m->copier != NULL && gf_copier_failed(m->copier, &m->err))
        ck_abort_msg("copier: %s", m->err.text);
}

/* ---- its life ---- */

static void begin(move *m, h_server *server)
{
    gf_position start = {0};

    configure(m, server);
    must(gf_server_connect(&m->source, &m->config.source, GF_CONN_PLAIN, &m->err), m, "connect");
    must(gf_server_connect(&m->target, &m->config.source, GF_CONN_WRITER, &m->err), m, "connect");
    must(gf_server_info_read(&m->info, m->source, &m->err), m, "info");
    must(gf_server_exec(m->target, "no binlog", &m->err, "SET SESSION sql_log_bin=0"), m, "no binlog");
    load_tables(m);
    find_start(m, &start);
    plan_tables(m);
    start_stream(m, &start);
    gf_position_free(&start);
}

static void start_copier(move *m)
{
    const gf_copier_options opt = {
        .config = &m->config, .info = &m->info, .plan = m->plan, .merger = m->merger, .max_bytes = 1 << 20};

    must(gf_copier_start(&m->copier, &opt, &m->err), m, "start");
}

static void run_until_copied(move *m, double seconds)
{
    double until = h_now() + seconds;

    while (!gf_plan_done(m->plan)) {
        step(m);
        if (h_now() > until)
            ck_abort_msg("the copy did not end within %.0f s", seconds);
    }
}

static void catch_up(move *m)
{
    gf_position end = {0};

    must(gf_server_binlog_end(&end, m->source, &m->info, &m->err), m, "end");
    while (gf_position_cmp(&m->scheduled, &end) < 0)
        step(m);
    gf_position_free(&end);
}

static void end(move *m)
{
    gf_copier_stop(m->copier);
    gf_copier_join(m->copier);
    gf_replica_close(m->replica);
    gf_decoder_free(m->decoder);
    gf_merger_free(m->merger);
    gf_plan_free(m->plan);
    gf_catalog_free(m->catalog);
    gf_position_free(&m->scheduled);
    gf_server_close(m->source);
    gf_server_close(m->target);
}

static void new_source(h_server *s)
{
    h_sql(s, "DROP DATABASE IF EXISTS src; CREATE DATABASE src CHARACTER SET utf8mb4");
}

/* ---- tests ---- */

static const char *const keys[] = {
    "id INT PRIMARY KEY",
    "id BIGINT UNSIGNED PRIMARY KEY",
    "id VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
    "id BINARY(16) PRIMARY KEY",
    "id DECIMAL(20,4) PRIMARY KEY",
    "id DATETIME(3) PRIMARY KEY",
    "id INT NOT NULL, b VARCHAR(10) NOT NULL, PRIMARY KEY (b, id)",
    "id INT NOT NULL, UNIQUE KEY u (id DESC)",
    "id DOUBLE PRIMARY KEY",
};

/* A key's n-th value, as SQL of n. */
static const char *const key_values[] = {
    "n * 7 - 1500",
    "18446744073709551615 - n * 3",
    "CONCAT(IF(n % 2, 'a', 'B'), LEFT(SHA2(n, 256), 30))",
    "UNHEX(LEFT(SHA2(n, 256), 32))",
    "n * 1.25 - 500",
    "TIMESTAMPADD(MINUTE, n, '2020-01-01')",
    "n, CONCAT('k', n % 7)",
    "n - 500",
    "n / 3",
};

enum { KEY_KINDS = sizeof keys / sizeof keys[0], ROWS = 990 };

static void make_keyed_tables(h_server *s)
{
    new_source(s);
    h_sql(s,
          "USE src; CREATE TABLE seed (n INT PRIMARY KEY); INSERT INTO seed WITH RECURSIVE x AS (SELECT 1 n UNION ALL"
          " SELECT n + 1 FROM x WHERE n < %d) SELECT n FROM x; CREATE TABLE nothing (id INT PRIMARY KEY)",
          ROWS);
    for (int k = 0; k < KEY_KINDS; k++)
        h_sql(s,
              "CREATE TABLE k%d (%s, v VARCHAR(40)); INSERT INTO k%d SELECT %s, CONCAT('v', n) FROM seed;"
              " ANALYZE TABLE k%d",
              k, keys[k], k, key_values[k], k);
}

static void count_range(void *ctx, const gf_range *r)
{
    unsigned *counts = ctx;

    if (r->table->name[0] == 'k')
        counts[r->table->name[1] - '0']++;
}

START_TEST(copy__is_whole_for_every_kind_of_key_and_split)
{
    unsigned ranges[KEY_KINDS] = {0};
    move m;

    make_keyed_tables(servers[_i]);
    begin(&m, servers[_i]);
    gf_plan_each(m.plan, count_range, ranges);
    for (int k = 0; k < KEY_KINDS; k++)
        ck_assert_msg(ranges[k] >= 3 && ranges[k] <= 5, "k%d has %u ranges", k, ranges[k]);
    start_copier(&m);
    run_until_copied(&m, 150);
    ck_assert_uint_eq(h_compare(servers[_i], servers[_i], "src=dst"), 0);
    ck_assert_uint_eq(m.dropped, 0);
    end(&m);
}
END_TEST

START_TEST(copy__is_exact_under_writes)
{
    h_workload *load;
    move m;

    h_sql(servers[_i], "DROP DATABASE IF EXISTS src");
    h_workload_schema(servers[_i], "src");
    h_workload_fill(servers[_i], "src", 600, 5);
    h_sql(servers[_i], "USE src; ANALYZE TABLE w_int, w_big, w_name, w_pair, w_uniq, w_text, w_types, w_hot");
    begin(&m, servers[_i]);
    m.config.chunk_bytes = 4096; /* many small chunks */
    load = h_workload_start(servers[_i], "src", 3, 600, 60, 11);
    start_copier(&m);
    run_until_copied(&m, 150);
    h_workload_stop(load);
    catch_up(&m);
    ck_assert_uint_eq(h_compare(servers[_i], servers[_i], "src=dst"), 0);
    ck_assert_uint_gt(m.chunks, 20);
    ck_assert_uint_gt(m.dropped, 0);
    end(&m);
}
END_TEST

/* Columns come and go on the source while it is read; the stream brings the DDL later. */
START_TEST(copy__goes_on_across_ddl)
{
    h_server *s = servers[_i];
    move m;

    new_source(s);
    h_sql(s, "USE src; CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(200)); INSERT INTO t WITH RECURSIVE x AS"
             " (SELECT 1 n UNION ALL SELECT n + 1 FROM x WHERE n < 990) SELECT n, n, REPEAT('x', 150) FROM x;"
             "ANALYZE TABLE t");
    begin(&m, s);
    m.config.chunk_bytes = 2048;
    h_sql(s, "USE src; ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (5000, 'new')"); /* before the readers start */
    start_copier(&m);
    while (m.chunks < 5)
        step(&m);
    h_sql(s, "USE src; ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7; INSERT INTO t VALUES (5001, 'newer', 8)");
    run_until_copied(&m, 150);
    catch_up(&m);
    ck_assert_uint_eq(h_compare(s, s, "src=dst"), 0);
    end(&m);
}
END_TEST

/* A connection that is younger than the test's own two, which is a reader's, or 0. The stream is there as a dump. (A
   SELECT from MySQL's information_schema.processlist trips over the binary text of a reader's statement.) */
static long long reader_connection(move *m)
{
    MYSQL_RES *res = gf_server_query(m->source, "list connections", &m->err, "SHOW PROCESSLIST");
    MYSQL_ROW row;
    long long found = 0;

    must(res != NULL, m, "list connections");
    while ((row = mysql_fetch_row(res)) != NULL) {
        long long id = atoll(row[0]);

        if (id > (long long)mysql_thread_id(m->target) && strncmp(row[4], "Binlog Dump", 11) != 0 &&
            strcmp(row[1], m->server->user) == 0 && id != (long long)mysql_thread_id(m->server->admin))
            found = id;
    }
    mysql_free_result(res);
    return found;
}

START_TEST(reader__goes_on_when_its_connection_is_killed)
{
    h_server *s = servers[_i];
    unsigned killed = 0;
    move m;

    make_keyed_tables(s);
    begin(&m, s);
    m.config.chunk_bytes = 6 * 1024;
    start_copier(&m);
    while (!gf_plan_done(m.plan)) {
        long long id;

        step(&m);
        if (killed >= 6 || m.chunks < 5 * killed)
            continue;
        id = reader_connection(&m);
        if (id > 0)
            killed += h_sql_try(s, NULL, "KILL %lld", id) == 0;
    }
    ck_assert_uint_gt(killed, 0);
    ck_assert_uint_eq(h_compare(s, s, "src=dst"), 0);
    end(&m);
}
END_TEST

START_TEST(stop__ends_a_blocked_read_at_once)
{
    h_server *s = servers[_i];
    MYSQL *locker;
    double since;
    move m;

    new_source(s);
    h_sql(s, "USE src; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    begin(&m, s);
    locker = h_connect(s);
    ck_assert_int_eq(mysql_query(locker, "LOCK TABLES src.t WRITE"), 0);
    start_copier(&m);
    h_sleep(0.5);
    ck_assert(!gf_plan_all_read(m.plan));
    since = h_now();
    gf_copier_stop(m.copier);
    gf_copier_join(m.copier);
    ck_assert_double_lt(h_now() - since, 3.0); /* the lock stays; a busy machine takes its time */
    mysql_close(locker);
    start_copier(&m); /* the merger is stopped for good: nothing is read, nothing fails */
    h_sleep(0.1);
    ck_assert(!gf_copier_failed(m.copier, &m.err));
    end(&m);
}
END_TEST

START_TEST(reader__names_a_table_that_vanished)
{
    h_server *s = servers[_i];
    double until;
    move m;

    new_source(s);
    h_sql(s, "USE src; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    begin(&m, s);
    h_sql(s, "DROP TABLE src.t");
    start_copier(&m);
    for (until = h_now() + 10; h_now() < until && !gf_copier_failed(m.copier, &m.err);) {
        gf_slice event;
        gf_error ignored;

        if (gf_replica_read(&event, m.replica, &ignored) && !gf_decoder_feed(m.decoder, event, &ignored))
            break;
    }
    ck_assert(gf_copier_failed(m.copier, &m.err));
    ck_assert_int_eq(m.err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(m.err.text, "src.t"));
    end(&m);
}
END_TEST

/* ---- rule K ---- */

typedef struct {
    move *move;
    uint64_t rows;
    unsigned positions;
} keyless_copy;

static bool keyless_position(void *ctx, const gf_position *at)
{
    ((keyless_copy *)ctx)->positions++;
    return at->file[0] != '\0';
}

static bool keyless_chunk(void *ctx, gf_chunk *c, gf_error *err)
{
    keyless_copy *k = ctx;

    k->rows += c->row_count;
    return write_chunk(k->move, c, err);
}

typedef struct {
    h_server *server;
    atomic_bool stop;
} keyless_writer;

/* One row a transaction, all alike, so that only an exact count of them is right. */
static void *write_keyless(void *arg)
{
    keyless_writer *w = arg;
    MYSQL *db = h_connect(w->server);

    while (!atomic_load(&w->stop)) {
        if (mysql_query(db, "INSERT INTO src.log VALUES (1, 'same')") != 0 ||
            mysql_query(db, "DELETE FROM src.log WHERE a = 2 LIMIT 1") != 0)
            h_fail("%s", mysql_error(db));
        h_sleep(0.001);
    }
    mysql_close(db);
    return NULL;
}

START_TEST(keyless__snapshot_and_stream_meet_exactly)
{
    h_server *s = servers[_i];
    keyless_writer w = {.server = s};
    keyless_copy k = {0};
    gf_position at = {0}, start = {0};
    gf_range *range;
    pthread_t thread;
    char *gtids = NULL;
    move m;

    new_source(s);
    h_sql(s, "USE src; CREATE TABLE log (a INT, b VARCHAR(40)); INSERT INTO log WITH RECURSIVE x AS (SELECT 1 n UNION"
             " ALL SELECT n + 1 FROM x WHERE n < 999) SELECT 2, REPEAT('y', 20) FROM x");
    configure(&m, s);
    begin(&m, s);
    range = NULL;
    k.move = &m;
    gf_plan_free(m.plan);
    m.plan = gf_plan_new();
    range = gf_plan_add(m.plan, gf_catalog_find(m.catalog, "src", 3, "log", 3), 0, (gf_slice){0}, (gf_slice){0},
                        (gf_slice){0}, false, 0);
    gf_replica_close(m.replica);
    gf_decoder_free(m.decoder);
    gf_merger_free(m.merger);
    pthread_create(&thread, NULL, write_keyless, &w);
    h_sleep(0.3);
    must(gf_copy_keyless(&at, range, &m.config, &m.info, keyless_position, keyless_chunk, &k, &m.err), &m, "copy");
    h_sleep(0.3);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(m.chunks, 1);
    ck_assert(gf_plan_done(m.plan));
    if (m.info.flavor == GF_FLAVOR_MARIADB)
        gtids = h_scalar(s, "SELECT BINLOG_GTID_POS('%s', %llu)", at.file, (unsigned long long)at.offset);
    else if (m.info.gtids)
        gtids = h_scalar(s, "SELECT GTID_SUBTRACT(@@global.gtid_executed, @@global.gtid_executed)");
    /* By file and offset, which is what rule K compares; MySQL takes that with GTIDs as well. */
    must(gf_position_parse(&start, m.info.flavor, at.file, at.offset, gtids != NULL ? gtids : "", &m.err), &m, "parse");
    m.info.gtids = m.info.flavor == GF_FLAVOR_MARIADB;
    start_stream(&m, &start);
    catch_up(&m);
    ck_assert_uint_eq(h_compare(s, s, "src=dst"), 0);
    free(gtids);
    gf_position_free(&at);
    gf_position_free(&start);
    m.copier = NULL;
    start_copier(&m);
    end(&m);
}
END_TEST

START_TEST(keyless__is_refused_by_name_without_leave_to_lock)
{
    h_server *s = servers[_i];
    gf_position at = {0};
    gf_range *range;
    move m;

    new_source(s);
    h_sql(s, "CREATE TABLE src.log (a INT)");
    begin(&m, s);
    m.config.lock_keyless = false;
    range = gf_plan_add(m.plan, gf_catalog_find(m.catalog, "src", 3, "log", 3), 1, (gf_slice){0}, (gf_slice){0},
                        (gf_slice){0}, false, 0);
    ck_assert(!gf_copy_keyless(&at, range, &m.config, &m.info, keyless_position, keyless_chunk, NULL, &m.err));
    ck_assert_int_eq(m.err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(m.err.text, "src.log"));
    start_copier(&m);
    end(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copier");
    TCase *all = tcase_create("all");

    gf_log_set_level(GF_LOG_ERROR);
    tcase_add_unchecked_fixture(all, start_servers, stop_servers);
    tcase_add_loop_test(all, copy__is_whole_for_every_kind_of_key_and_split, 0, SERVERS);
    tcase_add_loop_test(all, copy__is_exact_under_writes, 0, SERVERS);
    tcase_add_loop_test(all, copy__goes_on_across_ddl, 0, SERVERS);
    tcase_add_loop_test(all, reader__goes_on_when_its_connection_is_killed, 0, SERVERS);
    tcase_add_loop_test(all, stop__ends_a_blocked_read_at_once, 0, SERVERS);
    tcase_add_loop_test(all, reader__names_a_table_that_vanished, 0, SERVERS);
    tcase_add_loop_test(all, keyless__snapshot_and_stream_meet_exactly, 0, SERVERS);
    tcase_add_loop_test(all, keyless__is_refused_by_name_without_leave_to_lock, 1, SERVERS);
    tcase_set_timeout(all, 200); /* a busy machine is no failure */
    suite_add_tcase(suite, all);
    return run_suite(suite);
}

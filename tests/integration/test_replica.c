/* SPDX-License-Identifier: MIT */
/*
 * A replica of real servers of both families, started by GTID and by file: what it receives and decodes, where its
 * position ends, how it stops and what it says when it can't go on.
 *
 * Loop tests: _i & 1 is the family, _i & 2 says whether the start is by file.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/decoder.h"
#include "gfreplica/replica.h"
#include "harness/harness.h"
#include "run_suite.h"

enum { VARIANTS = 4, IDS = 64, HEARTBEAT_MS = 300 };

static const char UUID[] = "0dddf1ab-0000-4000-8000-00000000c0de";
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

static void assert_ok(bool ok, const gf_error *err)
{
    ck_assert_msg(ok, "%s", err->text);
}

static void assert_error(bool ok, const gf_error *err, gf_error_kind kind, const char *part)
{
    ck_assert(!ok);
    ck_assert_msg(err->kind == kind && strstr(err->text, part) != NULL, "%s: %s", gf_error_kind_name(err->kind),
                  err->text);
}

/* ---- a mirror of table r.t (id INT PRIMARY KEY, v INT), kept by the sink ---- */

typedef struct {
    bool there[IDS];
    int64_t value[IDS];
    unsigned commits, rollbacks, decided, statements;
    char last_gtid[128];
    bool in_transaction;
} mirror;

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    mirror *m = ctx;

    (void)err;
    ck_assert(!m->in_transaction);
    m->in_transaction = true;
    memcpy(m->last_gtid, txn->gtid, sizeof m->last_gtid);
    return true;
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    mirror *m = ctx;

    (void)event_flags;
    (void)err;
    ck_assert_str_eq(t->label, "r.t");
    if (op != GF_OP_INSERT) {
        ck_assert(m->there[before[0].i] && m->value[before[0].i] == before[1].i);
        m->there[before[0].i] = false;
    }
    if (op != GF_OP_DELETE) {
        m->there[after[0].i] = true;
        m->value[after[0].i] = after[1].i;
    }
    return true;
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)ctx;
    (void)err;
    ck_assert(name.len > 0);
    ck_assert(!rollback_to); /* only transactions with other engines log that */
    return true;
}

static bool ended(mirror *m, unsigned *counter)
{
    ck_assert(m->in_transaction);
    m->in_transaction = false;
    ++*counter;
    return true;
}

static bool on_commit(void *ctx, const gf_position *end, gf_error *err)
{
    mirror *m = ctx;

    (void)end;
    (void)err;
    return ended(m, &m->commits);
}

static bool on_rollback(void *ctx, const gf_position *end, gf_error *err)
{
    mirror *m = ctx;

    (void)end;
    (void)err;
    return ended(m, &m->rollbacks);
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    mirror *m = ctx;

    (void)kind;
    (void)end;
    (void)err;
    ck_assert_uint_eq(xid.len, strlen("X'7831',X'',1"));
    ck_assert_mem_eq(xid.data, "X'7831',X'',1", xid.len);
    return ended(m, &m->decided);
}

static bool on_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    mirror *m = ctx;

    (void)s;
    (void)end;
    (void)err;
    if (inside)
        m->statements++;
    else
        ended(m, &m->statements);
    return true;
}

static bool on_moved(void *ctx, const gf_position *pos, gf_error *err)
{
    mirror *m = ctx;

    (void)pos;
    (void)err;
    ck_assert(!m->in_transaction);
    return true;
}

/* ---- one stream ---- */

typedef struct {
    h_server *server;
    gf_server_config config;
    MYSQL *db;
    gf_server_info info;
    gf_catalog *catalog;
    gf_filter filter;
    gf_replica_options options;
    gf_replica *replica;
    gf_decoder *decoder;
    gf_position from;
    mirror mirror;
} stream;

static char *database[] = {(char *)"r"};

static void set_up(stream *s, int i)
{
    gf_error err;

    memset(s, 0, sizeof *s);
    s->server = servers[i & 1];
    s->config = (gf_server_config){.role = (char *)"source",
                                   .host = s->server->host,
                                   .port = s->server->port,
                                   .user = s->server->user,
                                   .password = s->server->password};
    s->filter.db_whitelist = (gf_names){database, 1};
    h_sql(s->server, "DROP DATABASE IF EXISTS r; CREATE DATABASE r; CREATE TABLE r.t (id INT PRIMARY KEY, v INT)");
    assert_ok(gf_server_connect(&s->db, &s->config, GF_CONN_PLAIN, &err), &err);
    assert_ok(gf_server_info_read(&s->info, s->db, &err), &err);
    s->catalog = gf_catalog_new();
    assert_ok(gf_catalog_load(s->catalog, s->db, s->info.flavor, &s->filter, NULL, &err), &err);
    s->options = (gf_replica_options){.server = &s->config,
                                      .info = &s->info,
                                      .uuid = UUID,
                                      .report_host = "mover",
                                      .report_port = 4711,
                                      .heartbeat_ms = HEARTBEAT_MS};
    assert_ok(gf_replica_choose_id(&s->options.server_id, s->db, &s->info, 0, UUID, 0, &err), &err);
}

/* The server's end now, as a start by GTID or by file. */
static void note_start(stream *s, bool by_file)
{
    bool maria = s->info.flavor == GF_FLAVOR_MARIADB;
    char *gtids = h_scalar(s->server, maria ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed");
    gf_error err;

    if (by_file)
        assert_ok(gf_server_binlog_end(&s->from, s->db, &s->info, &err), &err);
    else
        assert_ok(gf_position_parse(&s->from, s->info.flavor, "", 0, gtids, &err), &err);
    free(gtids);
}

static void open_stream(stream *s)
{
    const gf_sink sink = {&s->mirror,  on_begin, on_row,       on_savepoint, on_commit,
                          on_rollback, on_xa,    on_statement, on_moved};
    gf_error err;

    assert_ok(gf_replica_available(s->db, &s->info, &s->from, &err), &err);
    assert_ok(gf_replica_open(&s->replica, &s->options, &s->from, &err), &err);
    if (s->decoder == NULL)
        s->decoder = gf_decoder_new(s->info.flavor, s->catalog, &s->filter, &s->from, &sink);
    else
        gf_decoder_reset(s->decoder, &s->from);
}

static void start(stream *s, int i)
{
    set_up(s, i);
    note_start(s, (i & 2) != 0);
    open_stream(s);
}

static void close_stream(stream *s)
{
    gf_replica_close(s->replica);
    s->replica = NULL;
}

static void tear_down(stream *s)
{
    close_stream(s);
    gf_decoder_free(s->decoder);
    gf_catalog_free(s->catalog);
    gf_position_free(&s->from);
    gf_server_close(s->db);
}

/* Read until the position is the source's binlog end; events come at least as heartbeats. */
static void catch_up(stream *s)
{
    double deadline = h_now() + 20;
    gf_position end = {0};
    gf_error err;

    assert_ok(gf_server_binlog_end(&end, s->db, &s->info, &err), &err);
    while (gf_position_cmp(gf_decoder_position(s->decoder), &end) < 0) {
        gf_slice event;

        ck_assert_msg(h_now() < deadline, "the position stays at %llu of %llu",
                      (unsigned long long)gf_decoder_position(s->decoder)->offset, (unsigned long long)end.offset);
        assert_ok(gf_replica_read(&event, s->replica, &err), &err);
        assert_ok(gf_decoder_feed(s->decoder, event, &err), &err);
    }
    ck_assert_int_eq(gf_position_cmp(gf_decoder_position(s->decoder), &end), 0);
    gf_position_free(&end);
}

static void assert_mirror(stream *s)
{
    for (int id = 0; id < IDS; id++) {
        bool there = h_number(s->server, "SELECT COUNT(*) FROM r.t WHERE id=%d", id) == 1;

        ck_assert_msg(there == s->mirror.there[id], "row %d", id);
        if (there)
            ck_assert_int_eq(h_number(s->server, "SELECT v FROM r.t WHERE id=%d", id), s->mirror.value[id]);
    }
}

/* What we say is executed is what the source says. */
static void assert_gtids(stream *s)
{
    bool maria = s->info.flavor == GF_FLAVOR_MARIADB;
    char *theirs = h_scalar(s->server, maria ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed");
    gf_position expected = {0};
    gf_buf a = {0}, b = {0};
    gf_error err;

    assert_ok(gf_position_parse(&expected, s->info.flavor, "", 0, theirs, &err), &err);
    gf_position_gtid_text(&expected, &a);
    gf_position_gtid_text(gf_decoder_position(s->decoder), &b);
    ck_assert_str_eq(gf_buf_cstr(&b), gf_buf_cstr(&a));
    gf_position_free(&expected);
    gf_buf_free(&a);
    gf_buf_free(&b);
    free(theirs);
}

/* ---- tests ---- */

START_TEST(stream__gives_every_change)
{
    stream s;

    start(&s, _i);
    h_sql(s.server, "INSERT INTO r.t VALUES (1,10),(2,20),(3,30); UPDATE r.t SET v=v+1; DELETE FROM r.t WHERE id=2");
    h_sql(s.server, "BEGIN; INSERT INTO r.t VALUES (4,40); SAVEPOINT x; INSERT INTO r.t VALUES (5,50); ROLLBACK TO x; "
                    "UPDATE r.t SET id=6 WHERE id=1; COMMIT; BEGIN; DELETE FROM r.t; ROLLBACK");
    h_sql(s.server, "CREATE DATABASE IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.u (id INT); INSERT INTO "
                    "elsewhere.u VALUES (1); DROP DATABASE elsewhere");
    catch_up(&s);
    assert_mirror(&s);
    ck_assert_uint_eq(s.mirror.commits, 4);
    if ((_i & 2) == 0)
        assert_gtids(&s);
    tear_down(&s);
}
END_TEST

START_TEST(stream__gives_compressed_transactions)
{
    bool maria = (_i & 1) == 0;
    stream s;

    start(&s, _i);
    if (maria)
        h_sql(s.server, "SET GLOBAL log_bin_compress=1; SET GLOBAL log_bin_compress_min_len=10");
    h_sql(s.server,
          "%sBEGIN; INSERT INTO r.t VALUES (1,1),(2,2),(3,3),(4,4),(5,5),(6,6),(7,7),(8,8); "
          "UPDATE r.t SET v=v*2; COMMIT",
          maria ? "" : "SET binlog_transaction_compression=1; ");
    if (maria)
        h_sql(s.server, "SET GLOBAL log_bin_compress=0");
    else
        h_sql(s.server, "SET binlog_transaction_compression=0");
    catch_up(&s);
    assert_mirror(&s);
    tear_down(&s);
}
END_TEST

START_TEST(stream__tells_xa_as_prepared_and_decided)
{
    stream s;

    start(&s, _i);
    h_sql(s.server, "XA START 'x1'; INSERT INTO r.t VALUES (1,1); XA END 'x1'; XA PREPARE 'x1'; XA COMMIT 'x1'");
    catch_up(&s);
    ck_assert_uint_eq(s.mirror.decided, 2);
    ck_assert_uint_eq(s.mirror.commits, 0);
    tear_down(&s);
}
END_TEST

START_TEST(idle__position_reaches_the_end_of_the_binlog)
{
    stream s;

    start(&s, _i);
    catch_up(&s);
    h_sql(s.server, "FLUSH BINARY LOGS");
    catch_up(&s);
    close_stream(&s);
    /* and once more from where we are, with nothing new */
    gf_position_copy(&s.from, gf_decoder_position(s.decoder));
    open_stream(&s);
    catch_up(&s);
    tear_down(&s);
}
END_TEST

/* Transactions of others only: still the position has to move, or nobody would ever reach it. */
START_TEST(unselected__moves_the_position)
{
    stream s;

    start(&s, _i);
    h_sql(s.server, "CREATE DATABASE aside; CREATE TABLE aside.u (id INT PRIMARY KEY); INSERT INTO aside.u VALUES (1); "
                    "FLUSH BINARY LOGS; INSERT INTO aside.u VALUES (2); DROP DATABASE aside");
    catch_up(&s);
    ck_assert_uint_eq(s.mirror.commits, 0);
    tear_down(&s);
}
END_TEST

START_TEST(restart_of_the_source__is_ridden_through)
{
    gf_slice event;
    gf_error err;
    stream s;

    start(&s, _i);
    h_sql(s.server, "INSERT INTO r.t VALUES (1,10)");
    catch_up(&s);
    h_server_kill(s.server);
    while (gf_replica_read(&event, s.replica, &err))
        assert_ok(gf_decoder_feed(s.decoder, event, &err), &err);
    ck_assert_msg(err.kind == GF_ERR_RETRY, "%s", err.text);
    close_stream(&s);
    gf_server_close(s.db);
    ck_assert(!gf_server_connect(&s.db, &s.config, GF_CONN_PLAIN, &err));
    ck_assert_msg(err.kind == GF_ERR_RETRY, "%s", err.text);
    h_server_restart(s.server, NULL);
    assert_ok(gf_server_connect(&s.db, &s.config, GF_CONN_PLAIN, &err), &err);
    h_sql(s.server, "INSERT INTO r.t VALUES (2,20)");
    gf_position_copy(&s.from, gf_decoder_position(s.decoder));
    open_stream(&s);
    catch_up(&s);
    assert_mirror(&s);
    tear_down(&s);
}
END_TEST

static void *stop_soon(void *arg)
{
    h_sleep(0.5);
    gf_replica_stop(arg);
    return NULL;
}

START_TEST(stop__wakes_a_blocked_read)
{
    double begin;
    pthread_t thread;
    gf_slice event;
    gf_error err;
    stream s;

    start(&s, _i);
    catch_up(&s);
    begin = h_now();
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, s.replica), 0);
    while (gf_replica_read(&event, s.replica, &err))
        ;
    ck_assert_int_eq(err.kind, GF_ERR_STOPPED);
    ck_assert(h_now() - begin < 1.0);
    pthread_join(thread, NULL);
    tear_down(&s);
}
END_TEST

/* A source that neither sends nor closes: only what does not come tells. */
START_TEST(silence__is_a_broken_link)
{
    double begin;
    gf_slice event;
    gf_error err;
    stream s;

    set_up(&s, _i);
    note_start(&s, false);
    /* Without a heartbeat period an idle source stays silent, as a frozen one would. */
    s.options.heartbeat_ms = 0;
    assert_ok(gf_replica_open(&s.replica, &s.options, &s.from, &err), &err);
    begin = h_now();
    while (gf_replica_read(&event, s.replica, &err))
        ;
    ck_assert_msg(err.kind == GF_ERR_RETRY, "%s", err.text);
    ck_assert(h_now() - begin < 6);
    tear_down(&s);
}
END_TEST

START_TEST(registration__shows_who_we_are)
{
    bool maria = (_i & 1) == 0;
    MYSQL_RES *list;
    MYSQL_ROW row;
    unsigned id = 0;
    gf_error err;
    stream s;

    start(&s, _i);
    catch_up(&s);
    list = gf_server_query(s.db, "list", &err, maria ? "SHOW SLAVE HOSTS" : "SHOW REPLICAS");
    ck_assert_msg(list != NULL, "%s", err.text);
    do {
        row = mysql_fetch_row(list);
        ck_assert_msg(row != NULL, "we are not in the list");
    } while (strtoul(row[0], NULL, 10) != s.options.server_id);
    ck_assert_str_eq(row[1], "mover");
    ck_assert_str_eq(row[2], "4711");
    if (!maria)
        ck_assert_str_eq(row[4], UUID);
    mysql_free_result(list);

    assert_error(gf_replica_choose_id(&id, s.db, &s.info, s.options.server_id, "another-uuid", 0, &err), &err,
                 GF_ERR_CONFIG, "is used by another replica of the source (host 'mover', port 4711");
    assert_error(gf_replica_choose_id(&id, s.db, &s.info, s.info.server_id, UUID, 0, &err), &err, GF_ERR_CONFIG,
                 "is the source's own");
    assert_ok(gf_replica_choose_id(&id, s.db, &s.info, 0, "another-uuid", 0, &err), &err);
    ck_assert(id != s.options.server_id && id != s.info.server_id && id != 0);
    tear_down(&s);
}
END_TEST

static void purge(stream *s)
{
    gf_position end = {0};
    gf_error err;

    h_sql(s->server, "INSERT INTO r.t VALUES (1,1); FLUSH BINARY LOGS");
    assert_ok(gf_server_binlog_end(&end, s->db, &s->info, &err), &err);
    /* MariaDB keeps a file, without a word, as long as its engine may need it for recovery or a dump thread reads it. */
    for (int tries = 0; tries < 100; tries++) {
        char *oldest;
        bool purged;

        h_sql(s->server, "PURGE BINARY LOGS TO '%s'", end.file);
        oldest = h_scalar(s->server, "SHOW BINARY LOGS");
        purged = strcmp(oldest, end.file) == 0;
        free(oldest);
        if (purged)
            break;
        h_sleep(0.1);
    }
    gf_position_free(&end);
}

START_TEST(purged__is_gone_and_says_what_is_missing)
{
    gf_slice event;
    gf_error err;
    stream s;
    bool ok;

    set_up(&s, _i);
    note_start(&s, (_i & 2) != 0);
    purge(&s);
    assert_error(gf_replica_available(s.db, &s.info, &s.from, &err), &err, GF_ERR_GONE, "retention on the source: ");
    ck_assert_msg(strstr(err.text, "binlog_expire_logs_seconds") != NULL, "%s", err.text);
    ok = gf_replica_open(&s.replica, &s.options, &s.from, &err);
    while (ok)
        ok = gf_replica_read(&event, s.replica, &err);
    ck_assert_msg(err.kind == GF_ERR_GONE, "%s", err.text);
    tear_down(&s);
}
END_TEST

START_TEST(another_history__is_gone)
{
    bool maria = (_i & 1) == 0;
    char *uuid = maria ? gf_strdup("") : h_scalar(servers[1], "SELECT @@server_uuid");
    char *gtids = maria ? gf_strdup("0-1-999999999") : h_format("%s:1-999999999", uuid);
    gf_error err;
    stream s;

    set_up(&s, _i);
    if ((_i & 2) != 0)
        assert_ok(gf_position_parse(&s.from, s.info.flavor, "binlog.000001", 999999999, NULL, &err), &err);
    else
        assert_ok(gf_position_parse(&s.from, s.info.flavor, "", 0, gtids, &err), &err);
    assert_error(gf_replica_available(s.db, &s.info, &s.from, &err), &err, GF_ERR_GONE, "no longer has what is needed");
    free(gtids);
    free(uuid);
    tear_down(&s);
}
END_TEST

START_TEST(missing_grant__is_named)
{
    gf_error err;
    stream s;

    set_up(&s, _i);
    note_start(&s, true);
    h_sql(s.server, "CREATE USER IF NOT EXISTS small@'%%' IDENTIFIED BY 'pw'");
    s.config.user = (char *)"small";
    s.config.password = (char *)"pw";
    assert_error(gf_replica_open(&s.replica, &s.options, &s.from, &err), &err, GF_ERR_CONFIG,
                 "GRANT REPLICATION SLAVE ON *.*");
    tear_down(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replica");
    TCase *tc = tcase_create("replica");

    tcase_add_unchecked_fixture(tc, start_servers, stop_servers);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, stream__gives_every_change, 0, VARIANTS);
    tcase_add_loop_test(tc, stream__gives_compressed_transactions, 0, VARIANTS);
    tcase_add_loop_test(tc, stream__tells_xa_as_prepared_and_decided, 0, VARIANTS);
    tcase_add_loop_test(tc, idle__position_reaches_the_end_of_the_binlog, 0, VARIANTS);
    tcase_add_loop_test(tc, unselected__moves_the_position, 0, VARIANTS);
    tcase_add_loop_test(tc, stop__wakes_a_blocked_read, 0, VARIANTS);
    tcase_add_loop_test(tc, silence__is_a_broken_link, 0, 2);
    tcase_add_loop_test(tc, registration__shows_who_we_are, 0, 2);
    tcase_add_loop_test(tc, another_history__is_gone, 0, VARIANTS);
    tcase_add_loop_test(tc, missing_grant__is_named, 0, 2);
    tcase_add_loop_test(tc, purged__is_gone_and_says_what_is_missing, 0, VARIANTS);
    tcase_add_loop_test(tc, restart_of_the_source__is_ridden_through, 0, VARIANTS);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

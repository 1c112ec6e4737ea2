/* SPDX-License-Identifier: MIT */
/*
 * The target room against real servers. The source is a model in memory that makes random transactions; after n
 * batches the target must hold what the model holds after n batches, whatever the writers did meanwhile.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/literal.h"
#include "gfreplica/log.h"
#include "gfreplica/target.h"
#include "harness/harness.h"
#include "run_suite.h"

enum { IDS = 24, UNIQUES = 18, LETTERS = 8, SIDE = 5, VALUES = 6 };

static h_server *server;
static gf_config config;
static gf_server_info info;
static MYSQL *db;    /* GF_CONN_PLAIN, of the running test */
static gf_error err; /* of the last call */

/* --- fixture ------------------------------------------------------------------------------------------------------ */

static void start_server(const char *family)
{
    /* What a server process has written survives its kill -9: durability against power cuts would only cost time. */
    server = h_server_start(family, "--innodb-flush-log-at-trx-commit=2 --sync-binlog=0");
}
static void setup_mariadb(void)
{
    start_server("mariadb");
}
static void setup_mysql(void)
{
    start_server("mysql");
}
static void teardown_server(void)
{
    h_server_free(server);
}

static void connect_plain(void)
{
    if (!gf_server_connect(&db, &config.target, GF_CONN_PLAIN, &err) || !gf_server_info_read(&info, db, &err))
        ck_abort_msg("%s", err.text);
}

static void setup(void)
{
    gf_log_set_level(GF_LOG_WARN);
    config = (gf_config){.marker_db = (char *)"_gfreplica",
                         .job = (char *)"default",
                         .writers = 4,
                         .copy_writers = 2,
                         .retry_timeout = 60};
    config.target = (gf_server_config){.role = (char *)"target",
                                       .host = server->host,
                                       .port = server->port,
                                       .user = server->user,
                                       .password = server->password,
                                       .marginalia = (char *)"application:test",
                                       .tls = GF_TLS_OFF};
    h_sql(server, "DROP DATABASE IF EXISTS d; DROP DATABASE IF EXISTS _gfreplica; CREATE DATABASE d;"
                  "CREATE TABLE d.t_int (id INT PRIMARY KEY, u INT UNIQUE, v INT NOT NULL) ENGINE=InnoDB;"
                  "CREATE TABLE d.t_ci (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY,"
                  " v INT NOT NULL) ENGINE=InnoDB;"
                  "CREATE TABLE d.t_pair (a INT, b VARCHAR(5) CHARACTER SET latin1, v INT NOT NULL, PRIMARY KEY (a, b))"
                  " ENGINE=InnoDB;"
                  "CREATE TABLE d.t_none (v INT NOT NULL) ENGINE=InnoDB;"
                  "CREATE TABLE d.t_enum (id INT PRIMARY KEY, e ENUM('x','y') NOT NULL) ENGINE=InnoDB");
    connect_plain();
}

static void teardown(void)
{
    gf_server_close(db);
}

static gf_table *load(const char *name)
{
    static const gf_filter all = {0};
    gf_table *t = NULL;

    if (!gf_catalog_load_table(&t, db, info.flavor, &all, "d", name, "d", name, &err) || t == NULL)
        ck_abort_msg("load %s: %s", name, t == NULL ? "not there" : err.text);
    return t;
}

/* --- a source in memory ------------------------------------------------------------------------------------------- */

struct source {
    gf_table *t_int, *t_ci, *t_pair, *t_none; /* owned */
    unsigned seed;
    uint64_t batches; /* made so far: the position's offset */
    struct {
        bool there;
        int u, v; /* u < 0: NULL */
    } ints[IDS];
    struct {
        bool there, upper;
        int v;
    } letters[LETTERS];
    struct {
        bool there;
        int v;
    } pairs[SIDE][SIDE];
    int none[VALUES]; /* how many rows of each value */
};

static void source_open(struct source *s, unsigned seed)
{
    *s = (struct source){.seed = seed};
    s->t_int = load("t_int");
    s->t_ci = load("t_ci");
    s->t_pair = load("t_pair");
    s->t_none = load("t_none");
}

static void source_close(struct source *s)
{
    gf_table_free(s->t_int);
    gf_table_free(s->t_ci);
    gf_table_free(s->t_pair);
    gf_table_free(s->t_none);
}

static int roll(struct source *s, int n)
{
    return rand_r(&s->seed) % n;
}

static gf_slice kept(gf_batch *b, gf_buf *text)
{
    gf_slice copy = gf_arena_copy(&b->arena, text->data, text->len);

    gf_buf_reset(text);
    return copy;
}

static gf_slice key_of(gf_batch *b, const gf_table *t, const gf_value *row, gf_buf *text)
{
    if (t->identity < 0)
        return (gf_slice){0};
    gf_key_encode(text, t, &t->keys[t->identity], row);
    return kept(b, text);
}

static void claim(gf_batch *b, const gf_table *t, const gf_value *row)
{
    uint64_t claims[8];

    gf_batch_claim(b, claims, gf_row_claims(claims, &b->wild, t, row));
}

/* What the decoder and the builder make of a row event. */
static gf_change *change(gf_batch *b, const gf_table *t, const gf_value *before, const gf_value *after)
{
    gf_change *c = gf_batch_add(b);
    gf_buf text = {0};

    c->table = t;
    c->op = before == NULL ? GF_OP_INSERT : after == NULL ? GF_OP_DELETE : GF_OP_UPDATE;
    c->claims_from = b->claim_count;
    if (before != NULL) {
        c->before_key = key_of(b, t, before, &text);
        gf_literal_where(&text, t, before);
        c->before_where = kept(b, &text);
        claim(b, t, before);
    }
    if (after != NULL) {
        c->after_key = key_of(b, t, after, &text);
        gf_literal_tuple(&text, t, after, &c->relaxed);
        c->tuple = kept(b, &text);
        claim(b, t, after);
    }
    c->claims_to = b->claim_count;
    gf_buf_free(&text);
    return c;
}

static gf_value number(int i)
{
    return (gf_value){.kind = GF_V_INT, .i = i};
}

static void int_row(gf_value *row, const struct source *s, int id)
{
    row[0] = number(id);
    row[1] = s->ints[id].u < 0 ? (gf_value){.kind = GF_V_NULL} : number(s->ints[id].u);
    row[2] = number(s->ints[id].v);
}

static int free_unique(struct source *s)
{
    int u = roll(s, UNIQUES + 4);

    for (int i = 0; i < IDS; i++)
        if (s->ints[i].there && s->ints[i].u == u)
            return -1;
    return u < UNIQUES ? u : -1;
}

static void set_unique(struct source *s, gf_batch *b, int id, int u)
{
    gf_value before[3], after[3];

    int_row(before, s, id);
    s->ints[id].u = u;
    s->ints[id].v++;
    int_row(after, s, id);
    change(b, s->t_int, before, after);
}

/* As an application does it: by way of NULL. */
static void swap_uniques(struct source *s, gf_batch *b)
{
    int x = roll(s, IDS), y = roll(s, IDS), ux = s->ints[x].u, uy = s->ints[y].u;

    if (x == y || !s->ints[x].there || !s->ints[y].there)
        return;
    set_unique(s, b, x, -1);
    set_unique(s, b, y, ux);
    set_unique(s, b, x, uy);
}

static void move_id(struct source *s, gf_batch *b, int from, int to)
{
    gf_value before[3], after[3];

    int_row(before, s, from);
    s->ints[to] = s->ints[from];
    s->ints[from].there = false;
    int_row(after, s, to);
    change(b, s->t_int, before, after);
}

static void touch_int(struct source *s, gf_batch *b)
{
    int id = roll(s, IDS), other = roll(s, IDS);
    gf_value row[3];

    if (!s->ints[id].there) {
        s->ints[id].u = free_unique(s);
        s->ints[id].v = roll(s, 1000);
        s->ints[id].there = true;
        int_row(row, s, id);
        change(b, s->t_int, NULL, row);
    } else if (roll(s, 4) == 0) {
        int_row(row, s, id);
        s->ints[id].there = false;
        change(b, s->t_int, row, NULL);
    } else if (!s->ints[other].there) {
        move_id(s, b, id, other);
    } else {
        set_unique(s, b, id, roll(s, 2) == 0 ? free_unique(s) : s->ints[id].u);
    }
}

static void letter_row(gf_value *row, const struct source *s, int i)
{
    static const char names[2][LETTERS][2] = {{"a", "b", "c", "d", "e", "f", "g", "h"},
                                              {"A", "B", "C", "D", "E", "F", "G", "H"}};

    row[0] = (gf_value){.kind = GF_V_BYTES, .bytes = gf_slice_of(names[s->letters[i].upper][i], 1)};
    row[1] = number(s->letters[i].v);
}

static void touch_letter(struct source *s, gf_batch *b)
{
    int i = roll(s, LETTERS), what = roll(s, 4);
    gf_value before[2], after[2];
    bool there = s->letters[i].there;

    letter_row(before, s, i);
    s->letters[i].there = what != 0 || !there;
    s->letters[i].upper = what == 1 ? !s->letters[i].upper : s->letters[i].upper;
    s->letters[i].v++;
    letter_row(after, s, i);
    change(b, s->t_ci, there ? before : NULL, s->letters[i].there ? after : NULL);
}

static void pair_row(gf_value *row, const struct source *s, int x, int y)
{
    row[0] = number(x);
    row[1] = (gf_value){.kind = GF_V_BYTES, .bytes = gf_slice_of(&"vwxyz"[y], 1)};
    row[2] = number(s->pairs[x][y].v);
}

static void touch_pair(struct source *s, gf_batch *b)
{
    int x = roll(s, SIDE), y = roll(s, SIDE);
    bool there = s->pairs[x][y].there;
    gf_value before[3], after[3];

    pair_row(before, s, x, y);
    s->pairs[x][y].there = !there || roll(s, 2) == 0;
    s->pairs[x][y].v++;
    pair_row(after, s, x, y);
    change(b, s->t_pair, there ? before : NULL, s->pairs[x][y].there ? after : NULL);
}

static void touch_none(struct source *s, gf_batch *b)
{
    int from = roll(s, VALUES), to = roll(s, VALUES);
    gf_value before = number(from), after = number(to);
    bool remove = s->none[from] > 0 && from != to && roll(s, 2) == 0, add = !remove || roll(s, 2) == 0;

    s->none[from] -= remove;
    s->none[to] += add;
    change(b, s->t_none, remove ? &before : NULL, add ? &after : NULL);
}

static void transaction(struct source *s, gf_batch *b)
{
    static void (*const kinds[])(struct source *, gf_batch *) = {touch_int,    touch_int,  touch_int,  swap_uniques,
                                                                 touch_letter, touch_pair, touch_pair, touch_none};

    for (int n = 1 + roll(s, 4); n > 0; n--)
        kinds[roll(s, 8)](s, b);
    b->transactions++;
}

static gf_batch *next_batch(struct source *s)
{
    gf_batch *b = gf_batch_new();

    for (int n = 1 + roll(s, 3); n > 0; n--)
        transaction(s, b);
    b->exact = true;
    b->end.offset = ++s->batches;
    strcpy(b->end.file, "binlog.000001");
    b->bytes = b->arena.used + b->count * sizeof(gf_change);
    return b;
}

static void dump_model(gf_buf *out, const struct source *s)
{
    for (int i = 0; i < IDS; i++)
        if (s->ints[i].there)
            gf_buf_printf(out, "int %d %d %d\n", i, s->ints[i].u, s->ints[i].v);
    for (int i = 0; i < LETTERS; i++)
        if (s->letters[i].there)
            gf_buf_printf(out, "ci %c %d\n", (s->letters[i].upper ? 'A' : 'a') + i, s->letters[i].v);
    for (int x = 0; x < SIDE; x++)
        for (int y = 0; y < SIDE; y++)
            if (s->pairs[x][y].there)
                gf_buf_printf(out, "pair %d %c %d\n", x, "vwxyz"[y], s -> pairs[x][y].v);
    for (int i = 0; i < VALUES; i++)
        if (s->none[i] > 0)
            gf_buf_printf(out, "none %d %d\n", i, s->none[i]);
}

static void dump_query(gf_buf *out, const char *sql)
{
    MYSQL_RES *res = gf_server_query(db, "dump", &err, "%s", sql);
    MYSQL_ROW row;

    if (res == NULL)
        ck_abort_msg("%s", err.text);
    while ((row = mysql_fetch_row(res)) != NULL)
        gf_buf_printf(out, "%s\n", row[0]);
    mysql_free_result(res);
}

/* The target holds exactly what the model holds. */
static void check_equal(const struct source *s)
{
    gf_buf model = {0}, target = {0};

    dump_model(&model, s);
    dump_query(&target, "SELECT CONCAT_WS(' ', 'int', id, IFNULL(u, -1), v) FROM d.t_int ORDER BY id");
    dump_query(&target, "SELECT CONCAT_WS(' ', 'ci', k, v) FROM d.t_ci ORDER BY k");
    dump_query(&target, "SELECT CONCAT_WS(' ', 'pair', a, b, v) FROM d.t_pair ORDER BY a, b");
    dump_query(&target, "SELECT CONCAT_WS(' ', 'none', v, COUNT(*)) FROM d.t_none GROUP BY v ORDER BY v");
    ck_assert_str_eq(gf_buf_cstr(&target), gf_buf_cstr(&model));
    gf_buf_free(&model);
    gf_buf_free(&target);
}

/* --- applier ------------------------------------------------------------------------------------------------------ */

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if (!(call))                                                                                                   \
            ck_abort_msg("%s: %s", #call, err.text);                                                                   \
    } while (0)

static gf_marker *open_marker(void)
{
    gf_marker *m = NULL;

    OK(gf_marker_open(&m, &config, db, &err));
    return m;
}

static gf_marker *begin_marker(void)
{
    gf_marker *m = open_marker();
    gf_position start = {.file = "binlog.000001"};

    OK(gf_marker_begin(m, db, "source-1", &start, config.writers, &err));
    return m;
}

struct seen {
    uint64_t last;
    bool disorder;
    uint64_t rows, chunks;
    pthread_mutex_t lock;
};

static void on_batch(void *ctx, const gf_batch *b)
{
    struct seen *seen = ctx;

    pthread_mutex_lock(&seen->lock);
    seen->disorder = seen->disorder || b->end.offset <= seen->last;
    seen->last = b->end.offset;
    pthread_mutex_unlock(&seen->lock);
}

static void on_chunk(void *ctx, const gf_chunk *c, uint64_t rows)
{
    struct seen *seen = ctx;

    (void)c;
    pthread_mutex_lock(&seen->lock);
    seen->rows += rows;
    seen->chunks++;
    pthread_mutex_unlock(&seen->lock);
}

static gf_applier *start_applier(const gf_marker *m, uint64_t seq, struct seen *seen)
{
    gf_applier_options opt = {.config = &config,
                              .marker = m,
                              .target = &info,
                              .seq = seq,
                              .max_bytes = 1 << 20,
                              .batch_committed = on_batch,
                              .chunk_committed = on_chunk,
                              .ctx = seen};
    gf_applier *a = NULL;

    *seen = (struct seen){.lock = PTHREAD_MUTEX_INITIALIZER};
    OK(gf_applier_start(&a, &opt, &err));
    return a;
}

START_TEST(applier__parallel_writers_equal_serial_application)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    gf_applier_stats stats;

    source_open(&s, 7 + (unsigned)_i);
    for (int i = 0; i < 1200; i++) {
        OK(gf_applier_batch(a, next_batch(&s), &err));
        if (i % 400 == 399) {
            OK(gf_applier_drain(a, &err));
            check_equal(&s);
        }
    }
    gf_applier_read_stats(a, &stats);
    gf_applier_join(a);
    ck_assert(!seen.disorder);
    ck_assert_uint_eq(seen.last, s.batches);
    ck_assert_uint_eq(stats.bytes_in_flight, 0);
    ck_assert_uint_ge(stats.transactions, s.batches);
    ck_assert_int_eq(h_number(server, "SELECT MAX(file_offset) FROM _gfreplica.slot"), (long long)s.batches);
    fprintf(stderr, "%s: %u rolled back and run again\n", server->family, stats.retries);
    source_close(&s);
    gf_marker_free(m);
}
END_TEST

static void *kill_soon(void *arg)
{
    (void)arg;
    usleep(700000);
    h_server_kill(server);
    return NULL;
}

/* Applies until the server dies under it. */
static void apply_until_killed(struct source *s, gf_applier *a)
{
    pthread_t killer;

    pthread_create(&killer, NULL, kill_soon, NULL);
    while (gf_applier_batch(a, next_batch(s), &err))
        continue;
    pthread_join(killer, NULL);
    ck_assert_msg(err.kind == GF_ERR_RETRY, "%s: %s", gf_error_kind_name(err.kind), err.text);
}

static void make_batches(struct source *s, uint64_t count)
{
    while (s->batches < count)
        gf_batch_free(next_batch(s));
}

START_TEST(applier__goes_on_from_the_marker_after_kill_9_of_the_target)
{
    struct source before, after;
    struct seen seen;
    gf_marker_content found = {0};
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);

    source_open(&before, 99);
    source_open(&after, 99);
    apply_until_killed(&before, a);
    gf_applier_join(a);
    gf_server_close(db);
    h_server_restart(server, NULL);
    connect_plain();

    OK(gf_marker_claim(&found, m, db, &err));
    ck_assert(found.exists);
    ck_assert_uint_ge(found.position.offset, seen.last); /* what was announced is there */
    ck_assert_uint_eq(found.position.offset, found.seq);
    make_batches(&after, found.position.offset);
    check_equal(&after);
    a = start_applier(m, found.seq, &seen);
    for (int i = 0; i < 200; i++)
        OK(gf_applier_batch(a, next_batch(&after), &err));
    OK(gf_applier_drain(a, &err));
    check_equal(&after);
    gf_applier_join(a);
    gf_marker_content_free(&found);
    gf_marker_free(m);
    source_close(&before);
    source_close(&after);
}
END_TEST

START_TEST(applier__writes_a_large_transaction_in_pieces_at_once)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);

    source_open(&s, 5);
    for (int i = 0; i < 50; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    OK(gf_applier_drain(a, &err));
    for (int i = 0; i < 30; i++) {
        gf_batch *piece = next_batch(&s);

        piece->begins = i == 0;
        piece->ends = i == 29;
        OK(gf_applier_batch(a, piece, &err));
        if (i == 20) { /* nothing of it is visible, nothing marked */
            usleep(200000);
            ck_assert_int_eq(h_number(server, "SELECT MAX(file_offset) FROM _gfreplica.slot"), 50);
        }
    }
    for (int i = 0; i < 20; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    OK(gf_applier_drain(a, &err));
    check_equal(&s);
    ck_assert_uint_eq(seen.last, 100);
    gf_applier_join(a);
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

START_TEST(applier__waits_for_a_strangers_lock)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    MYSQL *stranger = h_connect(server);
    gf_applier_stats stats;

    source_open(&s, 5);
    for (int i = 0; i < 30; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    OK(gf_applier_drain(a, &err));
    ck_assert_int_eq(mysql_query(stranger, "BEGIN"), 0);
    ck_assert_int_eq(mysql_query(stranger, "UPDATE d.t_int SET v=v+0"), 0);
    ck_assert_int_eq(mysql_query(stranger, "DELETE FROM d.t_int WHERE id >= 0"), 0);
    for (int i = 0; i < 30; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    sleep(3); /* longer than innodb_lock_wait_timeout */
    ck_assert_int_eq(mysql_query(stranger, "ROLLBACK"), 0);
    mysql_close(stranger);
    OK(gf_applier_drain(a, &err));
    gf_applier_read_stats(a, &stats);
    ck_assert_uint_gt(stats.retries, 0);
    check_equal(&s);
    gf_applier_join(a);
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

START_TEST(applier__names_the_row_that_differs)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    gf_value before[3] = {number(3), number(4), number(5)}, after[3] = {number(3), number(4), number(6)};
    gf_value other[3] = {number(77), number(7), number(7)};
    gf_batch *b = gf_batch_new();

    source_open(&s, 1);
    b->exact = true;
    change(b, s.t_int, NULL, other);
    change(b, s.t_int, before, after); /* there is no such row */
    OK(gf_applier_batch(a, b, &err));
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DIVERGED);
    ck_assert_msg(strstr(err.text, "d.t_int") != NULL && strstr(err.text, "id=3") != NULL, "%s", err.text);
    gf_applier_join(a);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_int"), 0); /* nothing was committed */
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

START_TEST(applier__says_when_a_keyless_row_is_missing)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    gf_value gone = number(3);
    gf_batch *b = gf_batch_new();

    source_open(&s, 1);
    change(b, s.t_none, &gone, NULL);
    OK(gf_applier_batch(a, b, &err));
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DIVERGED);
    gf_applier_join(a);
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

START_TEST(applier__writes_enum_0_and_lets_no_other_warning_pass)
{
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    gf_table *t = load("t_enum");
    gf_value row[2] = {number(1), {.kind = GF_V_UINT, .u = 0}}, good[2] = {number(2), {.kind = GF_V_UINT, .u = 2}};
    gf_batch *b = gf_batch_new();

    change(b, t, NULL, good);
    change(b, t, NULL, row);
    ck_assert(b->changes[1].relaxed);
    OK(gf_applier_batch(a, b, &err));
    OK(gf_applier_drain(a, &err));
    ck_assert_int_eq(h_number(server, "SELECT SUM(e+0)*10+COUNT(*) FROM d.t_enum"), 22);
    b = gf_batch_new();
    change(b, t, NULL, good)->tuple = gf_slice_str("(99999999999,2)");
    b->changes[0].relaxed = true;
    OK(gf_applier_batch(a, b, &err));
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    gf_applier_join(a);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_enum"), 2);
    gf_table_free(t);
    gf_marker_free(m);
}
END_TEST

/* Of several statements in a packet only the last one's warnings can be read: the batch is run again, one by one. */
START_TEST(applier__judges_a_warning_in_the_middle_of_a_packet)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    gf_value row[3] = {number(1), number(1), number(1)}, other[3] = {number(2), number(2), number(2)};
    gf_batch *b = gf_batch_new();

    source_open(&s, 1);
    /* Harmless: MySQL calls the introducer deprecated. */
    change(b, s.t_int, NULL, row)->tuple = gf_slice_str("(1,1,CHAR_LENGTH(_utf8mb3 X'61'))");
    change(b, s.t_none, NULL, &row[2]);
    OK(gf_applier_batch(a, b, &err));
    OK(gf_applier_drain(a, &err));
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) + SUM(v) FROM d.t_int"), 2);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_none"), 1);

    b = gf_batch_new(); /* 1256, an error on MariaDB and a warning on MySQL */
    change(b, s.t_int, NULL, other)->tuple = gf_slice_str("(2,2,IFNULL(UNCOMPRESS('zzzzzz'),2))");
    change(b, s.t_none, NULL, &other[2]);
    OK(gf_applier_batch(a, b, &err));
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    ck_assert_msg(strstr(err.text, "d.t_int") != NULL && strstr(err.text, "1256") != NULL, "%s", err.text);
    gf_applier_join(a);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_none"), 1);
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

/* The process of the server, for SIGSTOP. */
static pid_t server_pid(void)
{
    char *path = h_scalar(server, "SELECT @@pid_file");
    FILE *file = fopen(path, "r");
    int pid = 0;

    ck_assert_msg(file != NULL && fscanf(file, "%d", &pid) == 1, "%s", path);
    fclose(file);
    free(path);
    return pid;
}

START_TEST(applier__stops_in_time_when_the_server_hangs)
{
    struct source s;
    struct seen seen;
    gf_marker *m = begin_marker();
    gf_applier *a = start_applier(m, 0, &seen);
    pid_t pid = server_pid();
    double start;

    source_open(&s, 5);
    for (int i = 0; i < 20; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    kill(pid, SIGSTOP);
    for (int i = 0; i < 20; i++)
        OK(gf_applier_batch(a, next_batch(&s), &err));
    usleep(200000);
    start = h_now();
    gf_applier_stop(a);
    gf_applier_join(a);
    kill(pid, SIGCONT);
    ck_assert_double_lt(h_now() - start, 2);
    gf_marker_free(m);
    source_close(&s);
}
END_TEST

/* --- chunks ------------------------------------------------------------------------------------------------------- */

static void chunk_row(gf_chunk *c, const gf_value *row, bool dropped)
{
    const gf_table *t = c->range->table;
    gf_chunk_row *r;
    uint64_t claims[8];
    unsigned n = gf_row_claims(claims, &c->wild, t, row);

    c->rows = gf_realloc(c->rows, (c->row_count + 1) * sizeof(*c->rows));
    r = &c->rows[c->row_count++];
    *r = (gf_chunk_row){.dropped = dropped, .tuple = (uint32_t)c->text.len, .key = (uint32_t)c->keys.len};
    gf_literal_tuple(&c->text, t, row, &r->relaxed);
    if (t->identity >= 0)
        gf_key_encode(&c->keys, t, &t->keys[t->identity], row);
    r->tuple_len = (uint32_t)c->text.len - r->tuple;
    r->key_len = (uint32_t)c->keys.len - r->key;
    c->claims = gf_realloc(c->claims, (c->claim_count + n) * sizeof(uint64_t));
    memcpy(c->claims + c->claim_count, claims, n * sizeof(uint64_t));
    c->claim_count += n;
    gf_buf_reset(&c->frontier);
    gf_buf_add(&c->frontier, c->keys.data + r->key, r->key_len);
}

static gf_chunk *int_chunk(gf_range *range, int first, int count, bool last)
{
    gf_chunk *c = gf_chunk_new(range);

    for (int id = first; id < first + count; id++) {
        gf_value row[3] = {number(id), {.kind = GF_V_NULL}, number(id * 2)};

        chunk_row(c, row, id % 10 == 9);
    }
    c->last = last;
    c->bytes = c->text.len + c->keys.len;
    return c;
}

START_TEST(chunks__leave_rows_and_frontier_together)
{
    struct seen seen;
    gf_table *t = load("t_int");
    gf_range range = {.table = t}, empty = {.table = t, .index = 1};
    const gf_range *ranges[] = {&range, &empty};
    gf_marker *m = begin_marker();
    gf_marker_content found = {0};
    gf_applier *a;

    OK(gf_marker_add_ranges(m, db, t, ranges, 2, &err));
    OK(gf_marker_add_ranges(m, db, t, ranges, 2, &err)); /* once more: the answer of the first may have been lost */
    a = start_applier(m, 0, &seen);
    for (int i = 0; i < 40; i++)
        OK(gf_applier_chunk(a, int_chunk(&range, i * 50, 50, i == 39), &err));
    OK(gf_applier_chunk(a, int_chunk(&empty, 0, 0, true), &err));
    OK(gf_applier_drain(a, &err));
    gf_applier_join(a);
    ck_assert_uint_eq(seen.rows, 1800);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_int"), 1800);
    OK(gf_marker_claim(&found, m, db, &err));
    ck_assert_uint_eq(found.range_count, 2);
    ck_assert(found.ranges[0].done && found.ranges[1].done);
    ck_assert_uint_eq(found.ranges[0].rows, 1800);
    ck_assert_uint_eq(found.ranges[0].frontier.len, 13);
    ck_assert_uint_eq(found.ranges[1].frontier.len, 0);
    ck_assert_str_eq(found.ranges[0].name, "t_int");
    gf_marker_content_free(&found);
    gf_marker_free(m);
    gf_table_free(t);
}
END_TEST

START_TEST(chunks__keep_the_snapshot_of_a_keyless_table)
{
    struct seen seen;
    gf_table *t = load("t_none");
    gf_range range = {.table = t};
    const gf_range *ranges[] = {&range};
    gf_marker *m = begin_marker();
    gf_marker_content found = {0};
    gf_applier *a = start_applier(m, 0, &seen);
    gf_chunk *c = gf_chunk_new(&range);
    gf_value row = number(5);

    OK(gf_marker_add_ranges(m, db, t, ranges, 1, &err));
    chunk_row(c, &row, false);
    chunk_row(c, &row, false);
    strcpy(c->fence.file, "binlog.000007");
    c->fence.offset = 4711;
    c->last = true;
    OK(gf_applier_chunk(a, c, &err));
    OK(gf_applier_drain(a, &err));
    gf_applier_join(a);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM d.t_none WHERE v=5"), 2);
    OK(gf_marker_claim(&found, m, db, &err));
    ck_assert_str_eq(found.ranges[0].snap_file, "binlog.000007");
    ck_assert_uint_eq(found.ranges[0].snap_offset, 4711);
    gf_marker_content_free(&found);
    gf_marker_free(m);
    gf_table_free(t);
}
END_TEST

static void expect_notes(const gf_marker *m, size_t deferred, size_t indexed)
{
    gf_marker_content c = {0};

    OK(gf_marker_deferred(&c, m, db, &err));
    ck_assert_uint_eq(c.deferred_count, deferred);
    gf_marker_content_free(&c);
    OK(gf_marker_indexed(&c, m, db, &err));
    ck_assert_uint_eq(c.indexed_count, indexed);
    gf_marker_content_free(&c);
}

/* Two first starts at once: neither takes back what the other has noted. The older one's work is over with its job. */
START_TEST(marker__keeps_what_any_start_has_deferred)
{
    gf_table *t = load("t_int"), *u = load("t_none");
    const gf_table *const first[] = {t}, *const second[] = {t, u};
    gf_position start = {.file = "binlog.000001"};
    gf_marker *a = open_marker(), *b = open_marker();

    OK(gf_marker_remove(a, db, &err));
    OK(gf_marker_defer(a, db, second, 2, &err));
    OK(gf_marker_defer(b, db, first, 1, &err));
    expect_notes(b, 2, 0);
    OK(gf_marker_begin(a, db, "source-1", &start, config.writers, &err));
    OK(gf_marker_is_ours(a, db, &err));
    config.take_over = true;
    OK(gf_marker_begin(b, db, "source-1", &start, config.writers, &err));
    config.take_over = false;
    ck_assert(!gf_marker_is_ours(a, db, &err));
    ck_assert(!gf_marker_built(a, db, t, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "another instance has taken over"));
    expect_notes(b, 2, 0);
    OK(gf_marker_built(b, db, t, &err));
    expect_notes(b, 1, 1);
    gf_marker_free(a);
    gf_marker_free(b);
    gf_table_free(t);
    gf_table_free(u);
}
END_TEST

START_TEST(chunks__name_the_row_that_max_allowed_packet_forbids)
{
    struct seen seen;
    gf_table *t = load("t_int");
    gf_range range = {.table = t};
    const gf_range *ranges[] = {&range};
    gf_marker *m = begin_marker();
    gf_applier *a;
    gf_chunk *c = int_chunk(&range, 41, 1, true);

    OK(gf_marker_add_ranges(m, db, t, ranges, 1, &err));
    info.max_allowed_packet = 40;
    a = start_applier(m, 0, &seen);
    OK(gf_applier_chunk(a, c, &err));
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "id=41") != NULL && strstr(err.text, "max_allowed_packet") != NULL, "%s", err.text);
    gf_applier_join(a);
    gf_marker_free(m);
    gf_table_free(t);
}
END_TEST

/* --- marker ------------------------------------------------------------------------------------------------------- */

START_TEST(marker__is_claimed_by_one_instance_at_a_time)
{
    struct source s;
    struct seen seen;
    gf_marker *first = begin_marker(), *second = open_marker();
    gf_applier *a = start_applier(first, 0, &seen);
    gf_marker_content found = {0};

    source_open(&s, 3);
    OK(gf_applier_batch(a, next_batch(&s), &err));
    OK(gf_applier_drain(a, &err));
    OK(gf_marker_claim(&found, second, db, &err));
    ck_assert_uint_eq(found.generation, 2);
    ck_assert_uint_eq(found.position.offset, 1);
    ck_assert_str_eq(found.source_identity, "source-1");
    ck_assert_str_eq(found.stage, "copying");
    OK(gf_applier_batch(a, next_batch(&s), &err)); /* by the first, which has lost the job */
    ck_assert(!gf_applier_drain(a, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    gf_applier_join(a);
    ck_assert(!gf_marker_stage(first, db, "streaming", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    OK(gf_marker_stage(second, db, "streaming", &err));
    ck_assert_int_eq(h_number(server, "SELECT MAX(file_offset) FROM _gfreplica.slot"), 1);
    OK(gf_marker_remove(second, db, &err));
    gf_marker_content_free(&found);
    OK(gf_marker_claim(&found, second, db, &err));
    ck_assert(!found.exists);
    gf_marker_free(first);
    gf_marker_free(second);
    source_close(&s);
}
END_TEST

START_TEST(marker__keeps_gtids_of_both_families)
{
    static const struct {
        gf_flavor flavor;
        const char *gtids;
    } cases[] = {{GF_FLAVOR_MYSQL, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"},
                 {GF_FLAVOR_MYSQL, "-"},
                 {GF_FLAVOR_MYSQL, ""},
                 {GF_FLAVOR_MARIADB, "0-1-42,7-2-9"}};
    gf_marker *m = open_marker();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gf_position start = {0};
        gf_marker_content found = {0};
        gf_buf text = {0};

        OK(gf_position_parse(&start, cases[i].flavor, "binlog.000002", 4, cases[i].gtids, &err));
        OK(gf_marker_remove(m, db, &err)); /* a job that is there is not begun over */
        OK(gf_marker_begin(m, db, "s", &start, 2, &err));
        config.writers = 8;
        gf_marker_free(m);
        m = open_marker();
        OK(gf_marker_claim(&found, m, db, &err));
        gf_position_gtid_text(&found.position, &text);
        ck_assert_str_eq(gf_buf_cstr(&text), cases[i].gtids);
        ck_assert_str_eq(found.position.file, "binlog.000002");
        ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM _gfreplica.slot"), 8);
        gf_buf_free(&text);
        gf_marker_content_free(&found);
        gf_position_free(&start);
    }
    gf_marker_free(m);
}
END_TEST

START_TEST(marker__refuses_other_ranges_of_the_same_table)
{
    gf_table *t = load("t_int");
    gf_range range = {.table = t, .upper = gf_slice_str("abc")}, other = {.table = t, .upper = gf_slice_str("abd")};
    const gf_range *ranges[] = {&range}, *others[] = {&other};
    gf_marker *m = begin_marker();

    OK(gf_marker_add_ranges(m, db, t, ranges, 1, &err));
    ck_assert(!gf_marker_add_ranges(m, db, t, others, 1, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    gf_marker_free(m);
    gf_table_free(t);
}
END_TEST

START_TEST(marker__tells_the_grant_that_it_lacks)
{
    gf_marker *m = NULL;
    MYSQL *poor = NULL;

    h_sql(server, "DROP USER IF EXISTS poor@'%%'; CREATE USER poor@'%%' IDENTIFIED BY 'p';"
                  "GRANT SELECT, INSERT, UPDATE, DELETE ON d.* TO poor@'%%'");
    config.target.user = (char *)"poor";
    config.target.password = (char *)"p";
    config.target.tls = GF_TLS_PREFERRED;
    OK(gf_server_connect(&poor, &config.target, GF_CONN_PLAIN, &err));
    ck_assert(!gf_marker_open(&m, &config, poor, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "GRANT") != NULL, "%s", err.text);
    gf_server_close(poor);
}
END_TEST

/* --- tables ------------------------------------------------------------------------------------------------------- */

static void prepare_copy(gf_table **t, const char *definition)
{
    static char *from[] = {(char *)"d"}, *to[] = {(char *)"e"};

    h_sql(server, "DROP DATABASE IF EXISTS e; DROP TABLE IF EXISTS d.c; DROP TABLE IF EXISTS d.p; %s", definition);
    config.filter.db_renames = (gf_renames){.from = from, .to = to, .count = 1};
    OK(gf_catalog_load_table(t, db, info.flavor, &config.filter, "d", "c", "d", "c", &err));
}

START_TEST(create__makes_the_sources_table_under_its_new_name)
{
    gf_table *t = NULL;
    const gf_table *tables[1];
    char *source, *target;

    prepare_copy(&t, "CREATE TABLE d.p (id INT PRIMARY KEY) ENGINE=InnoDB;"
                     "CREATE TABLE d.c (id INT AUTO_INCREMENT PRIMARY KEY, p INT, s VARCHAR(19) CHARACTER SET latin1"
                     " DEFAULT 'it''s \\\\ `d`.`p`', q INT, g INT AS (q+1) STORED, z TIMESTAMP NOT NULL DEFAULT"
                     " CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (p), CONSTRAINT fk FOREIGN KEY (p) REFERENCES"
                     " d.p (id) ON DELETE CASCADE) ENGINE=InnoDB AUTO_INCREMENT=77 COMMENT='REFERENCES `p`';");
    tables[0] = t;
    OK(gf_target_create(db, &config, &info, &info, tables, 1, NULL, NULL, &err));
    OK(gf_target_create(db, &config, &info, &info, tables, 1, NULL, NULL, &err)); /* empty and alike: used again */
    OK(gf_server_scalar(&source, db, "", &err,
                        "SELECT GROUP_CONCAT(column_name, column_type, IFNULL(column_default, "
                        "''), extra ORDER BY ordinal_position) FROM information_schema.columns "
                        "WHERE table_schema='d' AND table_name='c'"));
    OK(gf_server_scalar(&target, db, "", &err,
                        "SELECT GROUP_CONCAT(column_name, column_type, IFNULL(column_default, "
                        "''), extra ORDER BY ordinal_position) FROM information_schema.columns "
                        "WHERE table_schema='e' AND table_name='c'"));
    ck_assert_str_eq(source, target);
    ck_assert_int_eq(h_number(server, "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE "
                                      "constraint_schema='e' AND unique_constraint_schema='e'"),
                     1);
    free(source);
    free(target);
    gf_table_free(t);
}
END_TEST

START_TEST(create__refuses_what_is_there_and_differs)
{
    static const struct {
        const char *table, *complaint;
        bool allow;
    } cases[] = {
        {"CREATE TABLE e.c (id INT PRIMARY KEY, v INT)", NULL, false},
        {"CREATE TABLE e.c (id INT PRIMARY KEY, v BIGINT)", "column `v` is bigint", false},
        {"CREATE TABLE e.c (id INT PRIMARY KEY)", "1 columns", false},
        {"CREATE TABLE e.c (id INT NOT NULL, v INT)", "lacks", true},
        {"CREATE TABLE e.c (id INT PRIMARY KEY, v INT UNIQUE)", "unique key `v`", true},
        {"CREATE TABLE e.c (id INT PRIMARY KEY, v INT); INSERT INTO e.c VALUES (1, 1)", "holds rows", false},
        {"CREATE TABLE e.c (id INT PRIMARY KEY, v INT); INSERT INTO e.c VALUES (1, 1)", NULL, true},
    };
    gf_table *t = NULL;
    const gf_table *tables[1];

    prepare_copy(&t, "CREATE TABLE d.c (id INT PRIMARY KEY, v INT)");
    tables[0] = t;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        h_sql(server, "DROP DATABASE IF EXISTS e; CREATE DATABASE e; %s", cases[i].table);
        config.allow_existing = cases[i].allow;
        ck_assert_msg(gf_target_create(db, &config, &info, &info, tables, 1, NULL, NULL, &err) ==
                          (cases[i].complaint == NULL),
                      "case %zu: %s", i, err.text);
        if (cases[i].complaint != NULL) {
            ck_assert_msg(strstr(err.text, cases[i].complaint) != NULL, "%s", err.text);
            ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
        }
    }
    gf_table_free(t);
}
END_TEST

START_TEST(auto_increment__is_raised_and_never_lowered)
{
    gf_table *t = NULL;
    const gf_table *tables[1];

    prepare_copy(&t, "CREATE TABLE d.c (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB");
    tables[0] = t;
    OK(gf_target_create(db, &config, &info, &info, tables, 1, NULL, NULL, &err));
    h_sql(server, "INSERT INTO d.c (v) VALUES (1),(2),(3); DELETE FROM d.c");
    OK(gf_target_auto_increment(db, db, tables, 1, &err));
    h_sql(server, "INSERT INTO e.c (v) VALUES (1)");
    ck_assert_int_eq(h_number(server, "SELECT id FROM e.c"), 4);
    h_sql(server, "INSERT INTO e.c VALUES (100, 1)");
    OK(gf_target_auto_increment(db, db, tables, 1, &err));
    h_sql(server, "INSERT INTO e.c (v) VALUES (1)");
    ck_assert_int_eq(h_number(server, "SELECT MAX(id) FROM e.c"), 101);
    gf_table_free(t);
}
END_TEST

/* More than are asked for by name; names that differ by case alone, and beside them those of no concern. */
START_TEST(auto_increment__of_many_tables_is_theirs)
{
    enum { MANY = 130 };
    gf_table *tables[MANY];

    h_sql(server,
          "DROP DATABASE IF EXISTS many; CREATE DATABASE many; DROP DATABASE IF EXISTS many2; CREATE DATABASE many2");
    for (unsigned i = 0; i < MANY; i++) {
        char *name = h_format("%c%u", i % 2 == 0 ? 't' : 'T', i / 2), *to = h_format("new_%s", name);
        gf_table *t = tables[i] = gf_table_new("many", name);

        h_sql(server, "CREATE TABLE many.%s (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=%u;", name, 1000 + i);
        h_sql(server, "CREATE TABLE many2.%s (id INT AUTO_INCREMENT PRIMARY KEY);", to);
        t->columns = gf_calloc(1, sizeof *t->columns);
        t->column_count = 1;
        t->columns[0] = (gf_column){.name = gf_strdup("id"), .type_text = gf_strdup("int"), .auto_increment = true};
        gf_table_finish(t, "many2", to);
        free(name);
        free(to);
    }
    h_sql(server, "CREATE TABLE many.u (id INT PRIMARY KEY); CREATE VIEW many.v AS SELECT 1");
    OK(gf_target_auto_increment(db, db, (const gf_table *const *)tables, MANY, &err));
    for (unsigned i = 0; i < MANY; i++) {
        h_sql(server, "INSERT INTO %s VALUES (NULL)", tables[i]->target_sql);
        ck_assert_int_eq(h_number(server, "SELECT id FROM %s", tables[i]->target_sql), 1000 + i);
        gf_table_free(tables[i]);
    }
    h_sql(server, "DROP DATABASE many; DROP DATABASE many2");
}
END_TEST

static TCase *cases_on(const char *name, void (*start)(void))
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 180);
    tcase_add_unchecked_fixture(tc, start, teardown_server);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, applier__parallel_writers_equal_serial_application, 0, 2);
    tcase_add_test(tc, applier__goes_on_from_the_marker_after_kill_9_of_the_target);
    tcase_add_test(tc, applier__writes_a_large_transaction_in_pieces_at_once);
    tcase_add_test(tc, applier__waits_for_a_strangers_lock);
    tcase_add_test(tc, applier__names_the_row_that_differs);
    tcase_add_test(tc, applier__says_when_a_keyless_row_is_missing);
    tcase_add_test(tc, applier__writes_enum_0_and_lets_no_other_warning_pass);
    tcase_add_test(tc, applier__judges_a_warning_in_the_middle_of_a_packet);
    tcase_add_test(tc, applier__stops_in_time_when_the_server_hangs);
    tcase_add_test(tc, chunks__leave_rows_and_frontier_together);
    tcase_add_test(tc, chunks__keep_the_snapshot_of_a_keyless_table);
    tcase_add_test(tc, chunks__name_the_row_that_max_allowed_packet_forbids);
    tcase_add_test(tc, marker__is_claimed_by_one_instance_at_a_time);
    tcase_add_test(tc, marker__keeps_gtids_of_both_families);
    tcase_add_test(tc, marker__refuses_other_ranges_of_the_same_table);
    tcase_add_test(tc, marker__tells_the_grant_that_it_lacks);
    tcase_add_test(tc, marker__keeps_what_any_start_has_deferred);
    tcase_add_test(tc, create__makes_the_sources_table_under_its_new_name);
    tcase_add_test(tc, create__refuses_what_is_there_and_differs);
    tcase_add_test(tc, auto_increment__is_raised_and_never_lowered);
    tcase_add_test(tc, auto_increment__of_many_tables_is_theirs);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("target");

    suite_add_tcase(suite, cases_on("mariadb", setup_mariadb));
    suite_add_tcase(suite, cases_on("mysql", setup_mysql));
    return run_suite(suite);
}

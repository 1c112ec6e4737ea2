/* SPDX-License-Identifier: MIT */
/*
 * The decoder on recorded events of both families (tests/data) and on hand-made ones.
 *
 * The sink writes down what it is told, one line a call, and the tests compare that text.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/replica/event.h"
#include "catalog_fixture.h"
#include "run_suite.h"

#define UUID "5c2241a4-e7d7-11f1-aab8-02fc00000001"

/* ---- a sink that writes ---- */

static void value_text(gf_buf *out, const gf_value *v)
{
    switch (v->kind) {
    case GF_V_ABSENT: gf_buf_str(out, "?"); break;
    case GF_V_NULL: gf_buf_str(out, "NULL"); break;
    case GF_V_INT: gf_buf_printf(out, "%lld", (long long)v->i); break;
    case GF_V_UINT: gf_buf_printf(out, "%llu", (unsigned long long)v->u); break;
    default: gf_buf_slice(out, v->bytes);
    }
}

static void image_text(gf_buf *out, const gf_table *t, const gf_value *row)
{
    for (unsigned i = 0; row != NULL && i < t->column_count; i++) {
        gf_buf_str(out, i == 0 ? " (" : ",");
        value_text(out, &row[i]);
    }
    gf_buf_str(out, row == NULL ? "" : ")");
}

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    (void)err;
    gf_buf_printf(ctx, "begin %s%s%s\n", txn->gtid, txn->xid == NULL ? "" : " xid ", txn->xid == NULL ? "" : txn->xid);
    return true;
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    static const char *const names[] = {"", "insert", "update", "delete"};

    (void)event_flags;
    (void)err;
    gf_buf_printf(ctx, " %s %s", names[op], t->name);
    image_text(ctx, t, before);
    image_text(ctx, t, after);
    gf_buf_str(ctx, "\n");
    return true;
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)err;
    gf_buf_printf(ctx, " %s %.*s\n", rollback_to ? "rollback to" : "savepoint", (int)name.len, (const char *)name.data);
    return true;
}

static bool on_commit(void *ctx, const gf_position *end, gf_error *err)
{
    (void)end;
    (void)err;
    gf_buf_str(ctx, "commit\n");
    return true;
}

static bool on_rollback(void *ctx, const gf_position *end, gf_error *err)
{
    (void)end;
    (void)err;
    gf_buf_str(ctx, "rollback\n");
    return true;
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    static const char *const names[] = {"prepare", "commit", "rollback"};

    (void)end;
    (void)err;
    gf_buf_printf(ctx, "xa %s %.*s\n", names[kind], (int)xid.len, (const char *)xid.data);
    return true;
}

static bool on_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    static const char *const names[] = {"ddl", "dml", "other", "unknown"};

    (void)end;
    (void)err;
    gf_buf_printf(ctx, "%s%s %s", inside ? " " : "", names[s->kind], s->verb);
    for (size_t i = 0; i < s->object_count; i++)
        gf_buf_printf(ctx, " %.*s.%.*s", (int)s->objects[i].db_len, s->objects[i].db, (int)s->objects[i].table_len,
                      s->objects[i].table);
    gf_buf_str(ctx, "\n");
    return true;
}

static bool on_moved(void *ctx, const gf_position *pos, gf_error *err)
{
    (void)ctx;
    (void)pos;
    (void)err;
    return true;
}

/* ---- decoders and events ---- */

typedef struct {
    gf_catalog *catalog;
    gf_filter filter;
    gf_decoder *decoder;
    gf_buf told;
} fixture;

static char *selected_db[] = {(char *)"shop"};
static char *left_out[] = {(char *)"other", (char *)"counter"};

static void add_orders(gf_catalog *c)
{
    gf_table *t = gf_table_new("shop", "orders");
    gf_column *name;

    add_column(t, "id", GF_T_LONG);
    name = add_text(t, "name", "utf8mb4", "utf8mb4_general_ci");
    name->nullable = true;
    name->char_bytes = 160;
    add_column(t, "amount", GF_T_LONG)->is_unsigned = true;
    t->columns[2].nullable = true;
    add_key(t, "PRIMARY", 0, 0);
    gf_table_finish(t, "shop", "orders");
    gf_catalog_put(c, t);
}

static void add_plain(gf_catalog *c)
{
    gf_table *t = gf_table_new("shop", "plain");
    gf_column *a;

    add_column(t, "id", GF_T_LONG);
    a = add_text(t, "a", "utf8mb4", "utf8mb4_general_ci");
    a->type = GF_T_CHAR;
    a->nullable = true;
    a->char_bytes = 40;
    add_key(t, "PRIMARY", 0, 0);
    gf_table_finish(t, "shop", "plain");
    gf_catalog_put(c, t);
}

/* The table that CREATE TABLE ... SELECT makes in the recordings. */
static void add_made(gf_catalog *c)
{
    gf_table *t = gf_table_new("shop", "made");
    gf_column *name;

    add_column(t, "id", GF_T_LONG);
    name = add_text(t, "name", "utf8mb4", "utf8mb4_general_ci");
    name->nullable = true;
    name->char_bytes = 160;
    gf_table_finish(t, "shop", "made");
    gf_catalog_put(c, t);
}

static void start(fixture *f, gf_flavor flavor, const char *gtids)
{
    gf_sink sink = {&f->told, on_begin, on_row, on_savepoint, on_commit, on_rollback, on_xa, on_statement, on_moved};
    gf_position from = {0};
    gf_error err;

    memset(f, 0, sizeof *f);
    f->filter.db_whitelist = (gf_names){selected_db, 1};
    f->filter.table_blacklist = (gf_names){left_out, 2};
    f->catalog = gf_catalog_new();
    add_orders(f->catalog);
    add_plain(f->catalog);
    add_made(f->catalog);
    ck_assert(gf_position_parse(&from, flavor, "binlog.000001", 4, gtids, &err));
    f->decoder = gf_decoder_new(flavor, f->catalog, &f->filter, &from, &sink);
    gf_position_free(&from);
}

static void finish(fixture *f)
{
    gf_decoder_free(f->decoder);
    gf_catalog_free(f->catalog);
    gf_buf_free(&f->told);
}

static void assert_position(fixture *f, const char *expected)
{
    gf_buf text = {0};

    gf_position_text(gf_decoder_position(f->decoder), &text);
    ck_assert_str_eq(gf_buf_cstr(&text), expected);
    gf_buf_free(&text);
}

static void feed(fixture *f, gf_slice event)
{
    gf_error err;

    ck_assert_msg(gf_decoder_feed(f->decoder, event, &err), "%s", err.text);
}

static void assert_refused(fixture *f, gf_slice event, const char *part)
{
    gf_error err = {0};

    ck_assert(!gf_decoder_feed(f->decoder, event, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' lacks '%s'", err.text, part);
}

/* ---- recordings ---- */

typedef struct {
    gf_buf bytes;
    gf_slice events[256];
    size_t count;
} recording;

static void load(recording *r, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t chunk[4096];
    size_t got;
    gf_cursor in;

    memset(r, 0, sizeof *r);
    ck_assert_msg(file != NULL, "%s is missing", path);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        gf_buf_add(&r->bytes, chunk, got);
    fclose(file);
    in = gf_cursor_of(r->bytes.data, r->bytes.len);
    while (gf_cursor_left(&in) > 0) {
        ck_assert(r->count < 256);
        r->events[r->count++] = gf_cursor_bytes(&in, gf_cursor_u32(&in));
    }
    ck_assert(!in.bad);
}

static const struct {
    gf_flavor flavor;
    const char *path, *from;
    const char *told; /* the file with what the sink must be told */
    const char *position;
} recordings[] = {
    {GF_FLAVOR_MARIADB, "tests/data/mariadb-10.11.bin", "", "tests/data/mariadb-10.11.txt",
     "binlog.000006:395 0-12821-69,3-12821-2"},
    {GF_FLAVOR_MYSQL, "tests/data/mysql-9.7.bin", UUID ":1-40:foo:1", "tests/data/mysql-9.7.txt",
     "binlog.000006:289 " UUID ":1-58:foo:1:tag_1:1"},
};

static void load_text(gf_buf *out, const char *path)
{
    FILE *file = fopen(path, "r");
    char chunk[4096];
    size_t got;

    ck_assert_msg(file != NULL, "%s is missing", path);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        gf_buf_add(out, chunk, got);
    fclose(file);
}

START_TEST(recording__gives_its_transactions)
{
    recording r;
    gf_buf expected = {0};
    fixture f;

    load(&r, recordings[_i].path);
    load_text(&expected, recordings[_i].told);
    start(&f, recordings[_i].flavor, recordings[_i].from);
    for (size_t i = 0; i < r.count; i++)
        feed(&f, r.events[i]);
    ck_assert_str_eq(gf_buf_cstr(&f.told), gf_buf_cstr(&expected));
    assert_position(&f, recordings[_i].position);
    finish(&f);
    gf_buf_free(&expected);
    gf_buf_free(&r.bytes);
}
END_TEST

/* A cut of events[at] behind those of its transaction, which starts at events[first]. */
static void feed_cut(const recording *r, size_t first, size_t at, size_t len, gf_flavor flavor, const char *from)
{
    uint8_t *exact = gf_malloc(len); /* so that reading on is seen */
    gf_error err = {0};
    fixture f;

    start(&f, flavor, from);
    for (size_t k = first; k < at; k++)
        feed(&f, r->events[k]);
    memcpy(exact, r->events[at].data, len);
    if (!gf_decoder_feed(f.decoder, gf_slice_of(exact, len), &err))
        ck_assert(err.kind == GF_ERR_DATA && strstr(err.text, "binlog.0") != NULL);
    finish(&f);
    free(exact);
}

/* Whatever is missing at its end, an event is either refused with its place or needed no more than it had. */
START_TEST(recording__cut_short_at_every_byte_is_refused_or_harmless)
{
    recording r;
    size_t first = 0;
    fixture whole;

    load(&r, recordings[_i].path);
    start(&whole, recordings[_i].flavor, recordings[_i].from);
    for (size_t i = 0; i < r.count; i++) {
        const gf_position *now = gf_decoder_position(whole.decoder);
        uint64_t before = now->offset;

        for (size_t len = 0; len < r.events[i].len; len++)
            feed_cut(&r, first, i, len, recordings[_i].flavor, recordings[_i].from);
        feed(&whole, r.events[i]);
        if (now->offset != before) /* outside of a transaction: what comes next needs nothing before it */
            first = i + 1;
    }
    finish(&whole);
    gf_buf_free(&r.bytes);
}
END_TEST

/* ---- hand-made events ---- */

typedef struct {
    uint8_t type;
    uint32_t log_pos;
    uint16_t flags;
} head;

static gf_slice event(gf_buf *out, head h, const void *body, size_t len)
{
    gf_buf_reset(out);
    gf_buf_u32(out, 1700000000);
    gf_buf_byte(out, h.type);
    gf_buf_u32(out, 1);
    gf_buf_u32(out, (uint32_t)(GF_EVENT_HEADER + len));
    gf_buf_u32(out, h.log_pos);
    gf_buf_u16(out, h.flags);
    gf_buf_add(out, body, len);
    return gf_slice_of(out->data, out->len);
}

static gf_slice query(gf_buf *out, uint32_t log_pos, uint16_t error, const char *sql)
{
    gf_buf body = {0};
    gf_slice ev;

    gf_buf_u32(&body, 1);
    gf_buf_u32(&body, 0);
    gf_buf_byte(&body, 4);
    gf_buf_u16(&body, error);
    gf_buf_u16(&body, 0);
    gf_buf_add(&body, "shop\0", 5);
    gf_buf_str(&body, sql);
    ev = event(out, (head){GF_EV_QUERY, log_pos, 0}, body.data, body.len);
    gf_buf_free(&body);
    return ev;
}

static gf_slice description(gf_buf *out, uint32_t log_pos, uint32_t created)
{
    uint8_t body[2 + 50 + 4 + 1] = {4, 0, '9', '.', '7'};

    memcpy(body + 52, &created, 4);
    body[56] = GF_EVENT_HEADER;
    return event(out, (head){GF_EV_FORMAT_DESCRIPTION, log_pos, 0}, body, sizeof body);
}

static gf_slice rotate(gf_buf *out, head h, uint64_t offset, const char *file)
{
    gf_buf body = {0};
    gf_slice ev;

    gf_buf_u64(&body, offset);
    gf_buf_str(&body, file);
    ev = event(out, h, body.data, body.len);
    gf_buf_free(&body);
    return ev;
}

/* shop.NAME with one INT column, and a row of it: 7. */
static gf_slice table_map(gf_buf *out, uint32_t log_pos, const char *name)
{
    gf_buf body = {0};
    gf_slice ev;

    gf_buf_add(&body, "\x09\0\0\0\0\0\0\0", 8);
    gf_buf_add(&body, "\x04shop\0", 6);
    gf_buf_byte(&body, (uint8_t)strlen(name));
    gf_buf_add(&body, name, strlen(name) + 1);
    gf_buf_add(&body, "\x01\x03\x00\x00", 4);
    ev = event(out, (head){GF_EV_TABLE_MAP, log_pos, 0}, body.data, body.len);
    gf_buf_free(&body);
    return ev;
}

static gf_slice row(gf_buf *out, uint8_t type, uint32_t log_pos)
{
    static const uint8_t body[] = {9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, 7, 0, 0, 0};

    return event(out, (head){type, log_pos, 0}, body, sizeof body);
}

START_TEST(unknown_event__stops_unless_ignorable)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, event(&b, (head){99, 100, GF_EVF_IGNORABLE}, "x", 1));
    assert_position(&f, "binlog.000001:100");
    assert_refused(&f, event(&b, (head){99, 120, 0}, "x", 1),
                   "event of type 99 at binlog.000001:100: an event of unknown");
    assert_position(&f, "binlog.000001:100");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(offset__goes_on_beyond_four_gib)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, event(&b, (head){GF_EV_STOP, 0xfffffff0, 0}, "", 0));
    feed(&f, event(&b, (head){GF_EV_STOP, 0x10, 0}, "", 0));
    assert_position(&f, "binlog.000001:4294967312");
    assert_refused(&f, event(&b, (head){GF_EV_STOP, 0x0f, 0}, "", 0), "before the one before it");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(rotate__is_followed_also_without_a_real_one)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, event(&b, (head){GF_EV_STOP, 500, 0}, "", 0));
    feed(&f, rotate(&b, (head){GF_EV_ROTATE, 0, GF_EVF_ARTIFICIAL}, 4, "binlog.000002"));
    assert_position(&f, "binlog.000002:4");
    feed(&f, description(&b, 126, 0));
    assert_position(&f, "binlog.000002:126");
    feed(&f, rotate(&b, (head){GF_EV_ROTATE, 200, 0}, 4, "binlog.000003"));
    assert_position(&f, "binlog.000003:4");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(heartbeat__moves_the_position)
{
    static const char v2[] = "\x01\x0d"
                             "binlog.000001"
                             "\x02\x09\xfe\x00\x00\x00\x00\x02\x00\x00\x00\x00";
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, event(&b, (head){GF_EV_HEARTBEAT, 700, 0}, "binlog.000001", 13));
    assert_position(&f, "binlog.000001:700");
    feed(&f, event(&b, (head){GF_EV_HEARTBEAT_V2, 0, 0}, v2, sizeof v2 - 1));
    assert_position(&f, "binlog.000001:8589934592");
    feed(&f, event(&b, (head){GF_EV_HEARTBEAT, 800, 0}, "binlog.000002", 13));
    assert_position(&f, "binlog.000002:800");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

/* The source begins with an older place and leaves out what we have: our position must not go back. */
START_TEST(start_by_gtid__stays_until_something_new_comes)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, UUID ":1-5");
    feed(&f, rotate(&b, (head){GF_EV_ROTATE, 0, GF_EVF_ARTIFICIAL}, 4, "binlog.000000"));
    feed(&f, description(&b, 126, 0));
    assert_position(&f, "binlog.000001:4 " UUID ":1-5");
    feed(&f, event(&b, (head){GF_EV_HEARTBEAT, 900, 0}, "binlog.000001", 13));
    assert_position(&f, "binlog.000001:900 " UUID ":1-5");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(crash_of_the_source__undoes_what_was_open)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    feed(&f, query(&b, 300, 0, "SAVEPOINT `a`"));
    feed(&f, rotate(&b, (head){GF_EV_ROTATE, 0, GF_EVF_ARTIFICIAL}, 4, "binlog.000002"));
    feed(&f, description(&b, 126, 1700000000));
    ck_assert_str_eq(gf_buf_cstr(&f.told), "begin \n savepoint a\nrollback\n");
    assert_position(&f, "binlog.000002:126");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    assert_refused(&f, description(&b, 400, 0), "ends inside a transaction");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(position__stays_at_the_last_end_inside_a_transaction)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    feed(&f, event(&b, (head){GF_EV_HEARTBEAT, 200, 0}, "binlog.000001", 13));
    assert_position(&f, "binlog.000001:4");
    feed(&f, query(&b, 300, 0, "COMMIT"));
    assert_position(&f, "binlog.000001:300");
    ck_assert_str_eq(gf_buf_cstr(&f.told), ""); /* nothing of ours in it */
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(grammar__is_enforced)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    assert_refused(&f, query(&b, 100, 0, "COMMIT"), "a commit outside of a transaction");
    assert_refused(&f, event(&b, (head){GF_EV_XID, 110, 0}, "12345678", 8), "a commit outside");
    assert_refused(&f, table_map(&b, 120, "orders"), "a table map outside");
    assert_refused(&f, row(&b, GF_EV_WRITE_ROWS, 130), "a rows event outside");
    assert_refused(&f, event(&b, (head){GF_EV_INCIDENT, 140, 0}, "\1\0\4lost", 7), "missing from its binlog ('lost')");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(failed_statement__stops_when_it_concerns_us)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, query(&b, 100, 1051, "DROP TABLE elsewhere.a"));
    feed(&f, query(&b, 200, 1051, "DROP USER x"));
    assert_refused(&f, query(&b, 300, 1051, "DROP TABLE orders, nothing"),
                   "failed half-way on the source (error 1051)");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

static const struct {
    const char *table;
    uint8_t type;
    const char *refusal; /* NULL: passed over */
} strangers[] = {
    {"other", GF_EV_WRITE_ROWS, NULL},
    {"other", GF_EV_PARTIAL_UPDATE_ROWS, NULL},
    {"unheard", GF_EV_WRITE_ROWS, "shop.unheard changes and is selected"},
    {"unheard", GF_EV_PARTIAL_UPDATE_ROWS, "binlog_row_value_options"},
    {"orders", GF_EV_WRITE_ROWS, "shop.orders"},
};

START_TEST(rows__of_others_are_passed_over_and_of_strangers_refused)
{
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    assert_refused(&f, row(&b, GF_EV_WRITE_ROWS, 210), "table id 9, which was not mapped");
    feed(&f, table_map(&b, 300, strangers[_i].table));
    if (strangers[_i].refusal == NULL)
        feed(&f, row(&b, strangers[_i].type, 400));
    else
        assert_refused(&f, row(&b, strangers[_i].type, 400), strangers[_i].refusal);
    ck_assert_str_eq(gf_buf_cstr(&f.told), "");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

START_TEST(reset__forgets_the_open_transaction)
{
    gf_position from = {.file = "binlog.000005", .offset = 77};
    fixture f;
    gf_buf b = {0};

    start(&f, GF_FLAVOR_MYSQL, "");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    feed(&f, table_map(&b, 300, "other"));
    gf_decoder_reset(f.decoder, &from);
    assert_position(&f, "binlog.000005:77");
    feed(&f, query(&b, 200, 0, "BEGIN"));
    assert_refused(&f, row(&b, GF_EV_WRITE_ROWS, 400), "was not mapped");
    finish(&f);
    gf_buf_free(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decoder");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, recording__gives_its_transactions, 0, 2);
    tcase_add_loop_test(tc, recording__cut_short_at_every_byte_is_refused_or_harmless, 0, 2);
    tcase_add_test(tc, unknown_event__stops_unless_ignorable);
    tcase_add_test(tc, offset__goes_on_beyond_four_gib);
    tcase_add_test(tc, rotate__is_followed_also_without_a_real_one);
    tcase_add_test(tc, heartbeat__moves_the_position);
    tcase_add_test(tc, start_by_gtid__stays_until_something_new_comes);
    tcase_add_test(tc, crash_of_the_source__undoes_what_was_open);
    tcase_add_test(tc, position__stays_at_the_last_end_inside_a_transaction);
    tcase_add_test(tc, grammar__is_enforced);
    tcase_add_test(tc, failed_statement__stops_when_it_concerns_us);
    tcase_add_loop_test(tc, rows__of_others_are_passed_over_and_of_strangers_refused, 0,
                        (int)(sizeof strangers / sizeof strangers[0]));
    tcase_add_test(tc, reset__forgets_the_open_transaction);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

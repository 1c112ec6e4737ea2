/* SPDX-License-Identifier: MIT */
/*
 * fuzz_decoder.c - event streams of any bytes: refused or decoded, never a crash, never a read too far.
 *
 * Input: as tests/data, `length u32 | event` again and again; a wrong length takes what is left. The recordings there
 * are the seeds.
 */
#include <stdlib.h>

#include "gfreplica/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    (void)err;
    *(size_t *)ctx += strlen(txn->gtid) + (txn->xid == NULL ? 0 : strlen(txn->xid));
    return true;
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    (void)event_flags;
    (void)err;
    for (unsigned i = 0; i < t->column_count; i++) /* touch what was promised */
        *(size_t *)ctx += (op == GF_OP_INSERT ? 0U : before[i].kind) + (op == GF_OP_DELETE ? 0U : after[i].kind);
    return true;
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)rollback_to;
    (void)err;
    *(size_t *)ctx += gf_hash(name.data, name.len, 0) & 1;
    return true;
}

static bool on_position(void *ctx, const gf_position *end, gf_error *err)
{
    (void)err;
    *(size_t *)ctx += strlen(end->file);
    return true;
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    (void)kind;
    *(size_t *)ctx += gf_hash(xid.data, xid.len, 0) & 1;
    return on_position(ctx, end, err);
}

static bool on_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    (void)inside;
    for (size_t i = 0; i < s->object_count; i++)
        *(size_t *)ctx += gf_hash(s->objects[i].table, s->objects[i].table_len, 0) & 1;
    *(size_t *)ctx += gf_hash(s->sql.data, s->sql.len, 0) & 1;
    return on_position(ctx, end, err);
}

static void add_column(gf_table *t, unsigned at, const char *name, gf_type type)
{
    t->columns[at].name = gf_strdup(name);
    t->columns[at].type_text = gf_strdup("");
    t->columns[at].type = type;
    t->columns[at].nullable = at > 0;
}

/* shop.orders of the recordings: id INT, name VARCHAR(40), amount INT UNSIGNED. */
static void add_orders(gf_catalog *c)
{
    gf_table *t = gf_table_new("shop", "orders");

    t->columns = gf_calloc(3, sizeof *t->columns);
    t->column_count = 3;
    add_column(t, 0, "id", GF_T_LONG);
    add_column(t, 1, "name", GF_T_VARCHAR);
    t->columns[1].charset = gf_strdup("utf8mb4");
    t->columns[1].collation = gf_strdup("utf8mb4_general_ci");
    t->columns[1].char_bytes = 160;
    add_column(t, 2, "amount", GF_T_LONG);
    t->columns[2].is_unsigned = true;
    gf_table_finish(t, "shop", "orders");
    gf_catalog_put(c, t);
}

/* An event alone in its memory, so that reading on is seen. */
static bool feed(gf_decoder *d, gf_cursor *in)
{
    size_t len = gf_cursor_u32(in), left = gf_cursor_left(in);
    gf_slice bytes = gf_cursor_bytes(in, len < left ? len : left);
    uint8_t *exact = gf_malloc(bytes.len);
    gf_error err;
    bool ok;

    if (bytes.len > 0)
        memcpy(exact, bytes.data, bytes.len);
    ok = gf_decoder_feed(d, gf_slice_of(exact, bytes.len), &err);
    free(exact);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *database[] = {(char *)"shop"};
    size_t seen = 0;
    const gf_sink sink = {&seen,       on_begin, on_row,       on_savepoint, on_position,
                          on_position, on_xa,    on_statement, on_position};
    gf_filter filter = {.db_whitelist = {database, 1}};
    gf_position from = {.file = "binlog.000001", .offset = 4};
    gf_catalog *catalog = gf_catalog_new();
    gf_cursor in = gf_cursor_of(data, size);
    gf_decoder *d;

    add_orders(catalog);
    d = gf_decoder_new(GF_FLAVOR_MYSQL, catalog, &filter, &from, &sink);
    /* A refused event is left out and the stream goes on, to see more of it than a job would. */
    while (gf_cursor_left(&in) > 4)
        (void)feed(d, &in);
    gf_decoder_free(d);
    gf_catalog_free(catalog);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * sample_state.h - a state with something in every field, for the tests of its forms.
 */
#ifndef GFREPLICA_TESTS_SAMPLE_STATE_H
#define GFREPLICA_TESTS_SAMPLE_STATE_H

#include <check.h>
#include <openssl/evp.h>

#include "gfreplica/state.h"

static inline gf_column sample_column(const char *name, const char *text, gf_type type)
{
    return (gf_column){.name = gf_strdup(name), .type_text = gf_strdup(text), .type = type};
}

static inline void sample_columns(gf_table *t)
{
    t->columns = gf_calloc(3, sizeof *t->columns);
    t->column_count = 3;
    t->columns[0] = sample_column("id", "bigint(20) unsigned", GF_T_LONGLONG);
    t->columns[0].is_unsigned = t->columns[0].auto_increment = true;
    t->columns[1] = sample_column("data", "varchar(16)", GF_T_VARCHAR);
    t->columns[1].nullable = true;
    t->columns[1].char_bytes = 64;
    t->columns[1].charset = gf_strdup("utf8mb4");
    t->columns[1].collation = gf_strdup("utf8mb4_unicode_ci");
    t->columns[2] = sample_column("kind", "enum('a','b''c')", GF_T_ENUM);
    t->columns[2].members = gf_calloc(2, sizeof(char *));
    t->columns[2].members[0] = gf_strdup("a");
    t->columns[2].members[1] = gf_strdup("b'c");
    t->columns[2].member_count = 2;
    t->columns[2].generated = GF_GEN_STORED;
}

static inline gf_table *sample_table(void)
{
    gf_table *t = gf_table_new("abc", "table1");

    sample_columns(t);
    t->keys = gf_calloc(1, sizeof *t->keys);
    t->key_count = 1;
    t->keys[0] = (gf_key){.name = gf_strdup("PRIMARY"), .part_count = 1, .unique = true};
    t->keys[0].parts = gf_calloc(1, sizeof *t->keys[0].parts);
    t->engine = gf_strdup("InnoDB");
    t->collation = gf_strdup("utf8mb4_unicode_ci");
    t->create_sql = gf_strdup("CREATE TABLE `table1` (...)");
    t->row_estimate = 1000;
    t->data_bytes = 16384;
    gf_table_finish(t, "abc_new", "table1");
    return t;
}

/* The canonical key of that table for an id. */
static inline gf_buf sample_key(const gf_table *t, uint64_t id)
{
    gf_value row[3] = {{.kind = GF_V_UINT, .u = id}, {.kind = GF_V_NULL}, {.kind = GF_V_NULL}};
    gf_buf key = {0};

    gf_key_encode(&key, t, &t->keys[0], row);
    return key;
}

/* Three ranges: up to 100 done, up to 2^63+5 begun (frontier 150), the rest untouched. */
static inline void sample_ranges(gf_state_table *st)
{
    uint64_t high = ((uint64_t)1 << 63) + 5;

    st->ranges = gf_calloc(3, sizeof *st->ranges);
    st->range_count = 3;
    st->ranges[0] = (gf_state_range){.index = 0, .done = true, .rows = 100};
    st->ranges[0].upper = sample_key(st->table, 100);
    st->ranges[0].frontier = sample_key(st->table, 99);
    st->ranges[1] = (gf_state_range){.index = 1, .rows = 50};
    st->ranges[1].lower = sample_key(st->table, 100);
    st->ranges[1].upper = sample_key(st->table, high);
    st->ranges[1].frontier = sample_key(st->table, 150);
    st->ranges[2] = (gf_state_range){.index = 2};
    st->ranges[2].lower = sample_key(st->table, high);
}

static inline void sample_tables(gf_state *s)
{
    s->tables = gf_calloc(2, sizeof *s->tables);
    s->table_count = 2;
    s->tables[0] = (gf_state_table){.db = gf_strdup("abc"), .name = gf_strdup("table1"), .table = sample_table()};
    sample_ranges(&s->tables[0]);
    s->tables[1] = (gf_state_table){.db = gf_strdup("abc"), .name = gf_strdup("t.2"), .done = true};
    s->tables[1].import_key = gf_strdup("0a1b");
    s->tables[1].import_key_binary = true;
    s->tables[1].import_key_column = gf_strdup("uuid");
    s->tables[1].import_schema = gf_strdup("uuid\tbinary(16)\n");
}

#define SAMPLE_GTIDS "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-17"

static inline gf_state sample_state(void)
{
    gf_error err;
    gf_state s = {.job = "default",
                  .flavor = GF_FLAVOR_MYSQL,
                  .source_identity = "3e11fa47-71ca-11e1-9e33-c80aa9429562",
                  .source_address = "db1:3306",
                  .target_address = "db2:3306",
                  .our_uuid = "11111111-71ca-11e1-9e33-c80aa9429562",
                  .our_server_id = 4000000001u,
                  .config_digest = "00ff",
                  .stage = GF_STAGE_COPYING,
                  .marker = true,
                  .schema_changes = 3,
                  .schema_file = "mysql-bin.000007",
                  .schema_offset = UINT64_MAX,
                  .started_ms = 1700000000000,
                  .saved_ms = 1700000001000,
                  .cause = "line one \"quoted\" \xff",
                  .resumable = true,
                  .pid = 4711,
                  .control = "127.0.0.1:8000",
                  .rows_copied = 150,
                  .rows_estimate = UINT64_MAX,
                  .changes_applied = 3,
                  .transactions_applied = 2,
                  .rows_per_second = 12.5,
                  .lag_seconds = -1,
                  .lag_bytes = 5,
                  .eta_seconds = 0,
                  .paused = true,
                  .automatic_cutover = true,
                  .cutover_requested = true};

    ck_assert_msg(gf_position_parse(&s.position, s.flavor, "mysql-bin.000008", 193989, SAMPLE_GTIDS, &err), "%s",
                  err.text);
    sample_tables(&s);
    return s;
}

static inline void assert_same_range(const gf_state_range *a, const gf_state_range *b)
{
    ck_assert_uint_eq(a->index, b->index);
    ck_assert(gf_slice_eq(gf_slice_of(a->lower.data, a->lower.len), gf_slice_of(b->lower.data, b->lower.len)));
    ck_assert(gf_slice_eq(gf_slice_of(a->upper.data, a->upper.len), gf_slice_of(b->upper.data, b->upper.len)));
    ck_assert(
        gf_slice_eq(gf_slice_of(a->frontier.data, a->frontier.len), gf_slice_of(b->frontier.data, b->frontier.len)));
    ck_assert_int_eq(a->done, b->done);
    ck_assert_uint_eq(a->rows, b->rows);
}

static inline void assert_same_table(const gf_table *a, const gf_table *b)
{
    ck_assert_uint_eq(a->fingerprint, b->fingerprint);
    ck_assert_str_eq(a->target_sql, b->target_sql);
    ck_assert_str_eq(a->source_sql, b->source_sql);
    ck_assert_str_eq(a->write_columns, b->write_columns);
    ck_assert_str_eq(a->create_sql, b->create_sql);
    ck_assert_str_eq(a->collation, b->collation);
    ck_assert_int_eq(a->identity, b->identity);
    ck_assert_int_eq(a->transactional, b->transactional);
    ck_assert_uint_eq(a->row_estimate, b->row_estimate);
    ck_assert_uint_eq(a->data_bytes, b->data_bytes);
    ck_assert_str_eq(a->columns[2].members[1], b->columns[2].members[1]);
}

/* All that belongs to the job; what belongs to a process (pid, control, generation) may differ. */
static inline void assert_same_state(const gf_state *a, const gf_state *b)
{
    gf_buf x = {0}, y = {0};

    ck_assert_str_eq(a->job, b->job);
    ck_assert_int_eq(a->flavor, b->flavor);
    ck_assert_int_eq(a->stage, b->stage);
    ck_assert_str_eq(a->source_identity, b->source_identity);
    ck_assert_uint_eq(a->our_server_id, b->our_server_id);
    ck_assert_uint_eq(a->rows_estimate, b->rows_estimate);
    ck_assert_uint_eq(a->schema_changes, b->schema_changes);
    ck_assert_str_eq(a->schema_file, b->schema_file);
    ck_assert_uint_eq(a->schema_offset, b->schema_offset);
    ck_assert(a->rows_per_second >= b->rows_per_second && a->rows_per_second <= b->rows_per_second);
    ck_assert(b->lag_seconds < 0);
    gf_position_text(&a->position, &x);
    gf_position_text(&b->position, &y);
    ck_assert_str_eq(gf_buf_cstr(&x), gf_buf_cstr(&y));
    gf_buf_free(&x);
    gf_buf_free(&y);
    ck_assert_uint_eq(a->table_count, b->table_count);
    ck_assert_uint_eq(a->tables[0].range_count, b->tables[0].range_count);
    for (size_t i = 0; i < a->tables[0].range_count; i++)
        assert_same_range(&a->tables[0].ranges[i], &b->tables[0].ranges[i]);
    assert_same_table(a->tables[0].table, b->tables[0].table);
    ck_assert(b->tables[1].done);
    ck_assert_str_eq(a->tables[1].import_key, b->tables[1].import_key);
    ck_assert_str_eq(a->tables[1].import_schema, b->tables[1].import_schema);
    ck_assert_ptr_null(b->tables[1].table);
}

/* A checkpoint file of that format version around a body, as checkpoint.c writes it. */
static inline void write_body(gf_buf *out, uint8_t format, const gf_buf *body)
{
    uint8_t sha[32], head[] = {0x93, format, 0xc4, 32};
    unsigned len;

    ck_assert_int_eq(EVP_Digest(body->data, body->len, sha, &len, EVP_sha256(), NULL), 1);
    gf_buf_add(out, head, sizeof head);
    gf_buf_add(out, sha, sizeof sha);
    gf_buf_byte(out, 0xc6);
    for (unsigned i = 0; i < 4; i++)
        gf_buf_byte(out, (uint8_t)(body->len >> (24 - 8 * i)));
    gf_buf_add(out, body->data, body->len);
}

#endif

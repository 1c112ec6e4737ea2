/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "run_suite.h"
#include "values_fixture.h"

static char latin1[] = "latin1";

/* One value in its event form, and what it must become; hex is the value without the row's null bitmap. */
typedef struct {
    gf_column col;
    uint8_t wire;
    uint16_t meta;
    const char *hex;
    const char *text; /* NULL: refused */
} sample;

static gf_slice unhex(gf_arena *arena, const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *out = gf_arena_alloc(arena, len);

    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return gf_slice_of(out, len);
}

static void value_text(gf_buf *out, const gf_value *v)
{
    switch (v->kind) {
    case GF_V_ABSENT: gf_buf_str(out, "absent"); break;
    case GF_V_NULL: gf_buf_str(out, "NULL"); break;
    case GF_V_INT: gf_buf_printf(out, "int %lld", (long long)v->i); break;
    case GF_V_UINT: gf_buf_printf(out, "uint %llu", (unsigned long long)v->u); break;
    case GF_V_DOUBLE: gf_buf_printf(out, "double %.17g", v->d); break;
    case GF_V_BYTES:
        gf_buf_str(out, "bytes ");
        gf_buf_hex(out, v->bytes.data, v->bytes.len);
        break;
    default: gf_buf_slice(out, v->bytes); break;
    }
}

/* Read one column's image, in memory of exactly its size so that ASan sees a byte too far. */
static bool read_one(gf_value *row, const gf_table *t, const sample *s, gf_slice image, gf_arena *arena, gf_error *err)
{
    uint8_t type = s->wire, present = 0xff, *copy = gf_malloc(image.len + 1);
    uint16_t meta = s->meta;
    gf_event_columns cols = {&type, &meta, 1};
    gf_cursor in = gf_cursor_of(copy, image.len + 1);

    copy[0] = 0xfe; /* not NULL; what lies beyond the columns may be set */
    memcpy(copy + 1, image.data, image.len);
    bool ok = gf_rowimage_read(row, &in, t, &cols, &present, arena, err);

    if (ok) { /* strings borrow from the image */
        ck_assert_uint_eq(gf_cursor_left(&in), 0);
        row->bytes = row->kind >= GF_V_NUMBER ? gf_arena_copy(arena, row->bytes.data, row->bytes.len) : row->bytes;
    }
    free(copy);
    return ok;
}

static void check_sample(const sample *s)
{
    gf_table *t = make_table(&s->col, 1);
    gf_arena arena = {0};
    gf_buf text = {0};
    gf_value row;
    gf_error err;

    gf_table_finish(t, "shop", "orders");
    gf_slice image = unhex(&arena, s->hex);
    bool ok = read_one(&row, t, s, image, &arena, &err);

    if (s->text == NULL) {
        ck_assert_msg(!ok, "%s accepted as type %u", s->hex, s->wire);
        ck_assert_int_eq(err.kind, GF_ERR_DATA);
    } else {
        ck_assert_msg(ok, "%s: %s", s->hex, ok ? "" : err.text);
        value_text(&text, &row);
        ck_assert_msg(strcmp(gf_buf_cstr(&text), s->text) == 0, "%s: %s instead of %s", s->hex, gf_buf_cstr(&text),
                      s->text);
        for (size_t cut = 0; cut < image.len; cut++) {
            ck_assert(!read_one(&row, t, s, gf_slice_of(image.data, cut), &arena, &err));
            ck_assert_int_eq(err.kind, GF_ERR_DATA);
        }
    }
    gf_buf_free(&text);
    gf_arena_free(&arena);
    gf_table_free(t);
}

static const sample samples[] = {
    {{.type = GF_T_TINY}, 1, 0, "80", "int -128"},
    {{.type = GF_T_MEDIUM}, 9, 0, "ffffff", "int -1"},
    {{.type = GF_T_MEDIUM, .is_unsigned = true}, 9, 0, "000080", "uint 8388608"},
    {{.type = GF_T_LONGLONG, .is_unsigned = true}, 8, 0, "ffffffffffffffff", "uint 18446744073709551615"},
    {{.type = GF_T_LONGLONG}, 8, 0, "0000000000000080", "int -9223372036854775808"},
    {{.type = GF_T_YEAR}, 13, 0, "00", "uint 0"},
    {{.type = GF_T_YEAR}, 13, 0, "ff", "uint 2155"},
    {{.type = GF_T_FLOAT}, 4, 4, "01000000", "double 1.4012984643248171e-45"},
    {{.type = GF_T_DOUBLE}, 5, 8, "0000000000000080", "double -0"},
    {{.type = GF_T_DECIMAL}, 246, 10 | 2 << 8, "8000000c32", "12.50"},
    {{.type = GF_T_DECIMAL}, 246, 10 | 2 << 8, "7ffffff3cd", "-12.50"},
    {{.type = GF_T_DECIMAL}, 246, 2 | 2 << 8, "85", "0.05"},
    {{.type = GF_T_DECIMAL}, 246, 10 | 2 << 8, "8000000c64", NULL}, /* 100 behind the point of two */
    {{.type = GF_T_DECIMAL}, 246, 66, "80", NULL},
    {{.type = GF_T_BIT}, 16, 1 | 1 << 8, "01ff", "bytes 01FF"},
    {{.type = GF_T_BIT}, 16, 0, "", NULL},
    {{.type = GF_T_ENUM}, 247, 2, "0001", "uint 256"},
    {{.type = GF_T_SET}, 248, 8, "0000000000000080", "uint 9223372036854775808"},
    {{.type = GF_T_DATE}, 10, 0, "000000", "0000-00-00"},
    {{.type = GF_T_DATE}, 10, 0, "9f1f4e", "9999-12-31"},
    {{.type = GF_T_DATETIME}, 18, 0, "8000000000", "0000-00-00 00:00:00"},
    {{.type = GF_T_DATETIME}, 18, 3, "99b27f0cb71edc", "2024-01-31 16:50:55.790"},
    {{.type = GF_T_DATETIME}, 18, 0, "7fffffffff", NULL},
    {{.type = GF_T_DATETIME}, 18, 7, "8000000000", NULL},
    {{.type = GF_T_TIMESTAMP}, 17, 0, "00000000", "0000-00-00 00:00:00"},
    {{.type = GF_T_TIMESTAMP}, 17, 6, "7fffffff0f423f", "2038-01-19 03:14:07.999999"},
    {{.type = GF_T_TIMESTAMP}, 17, 0, "ffffffff", "2106-02-07 06:28:15"},
    {{.type = GF_T_TIME}, 19, 1, "7ffffff6", "-00:00:00.1"},
    {{.type = GF_T_TIME}, 19, 2, "7ffffe9d", "-00:00:01.99"},
    {{.type = GF_T_TIME}, 19, 6, "7fffffffffff", "-00:00:00.000001"},
    {{.type = GF_T_TIME}, 19, 0, "b46efb", "838:59:59"},
    {{.type = GF_T_TIME}, 19, 0, "000000", NULL},        /* -2048 hours */
    {{.type = GF_T_TIME}, 19, 0, "80003c", NULL},        /* 60 seconds */
    {{.type = GF_T_TIME}, 11, 0, "39b0fe", "-08:59:59"}, /* the old formats */
    {{.type = GF_T_TIMESTAMP, .fsp = 2}, 7, 0, "0000000163", "1970-01-01 00:00:01.99"},
    {{.type = GF_T_DATETIME}, 12, 0, "7787d105f15a0000", "9999-12-31 23:59:59"},
    {{.type = GF_T_VARCHAR, .charset = latin1}, 15, 255, "0161", "bytes 61"},
    {{.type = GF_T_VARCHAR, .charset = latin1}, 15, 256, "010061", "bytes 61"},
    {{.type = GF_T_CHAR, .charset = latin1}, 254, 3, "0461626364", NULL},
    {{.type = GF_T_BINARY}, 254, 4, "0161", "bytes 61000000"},
    {{.type = GF_T_INET6}, 254, 16, "00", "bytes 00000000000000000000000000000000"},
    {{.type = GF_T_BLOB}, 252, 2, "02000061", "bytes 0061"},
    {{.type = GF_T_BLOB}, 252, 5, "0000000000", NULL},
    {{.type = GF_T_JSON}, 245, 4, "00000000", "null"},
    {{.type = GF_T_JSON}, 245, 4, "020000000401", "true"},
    {{.type = GF_T_JSON}, 245, 4, "02000000ff01", NULL},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "0000", "bytes "},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "0300006162", "bytes 6162"},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "080089064b4c4a044200", "bytes 616261626162"},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "0e008106789c4b4c4a0442000804024a", "bytes 616261626162"},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "080089054b4c4a044200", NULL}, /* says 5 bytes, holds 6 */
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "080089074b4c4a044200", NULL},
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "06008cffffffff03", NULL}, /* 4 GiB of nothing */
    {{.type = GF_T_TEXT, .charset = latin1}, 140, 2, "02009900", NULL},         /* another method */
    {{.type = GF_T_LONG}, 20, 0, "00", NULL},
};

START_TEST(read__understands_or_refuses_every_form)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        check_sample(&samples[i]);
}
END_TEST

START_TEST(read__leaves_out_what_is_not_present)
{
    const gf_column columns[] = {{.type = GF_T_TINY}, {.type = GF_T_TINY}, {.type = GF_T_TINY}};
    gf_table *t = make_table(columns, 3);
    uint8_t types[] = {1, 1, 1, 8}, present[] = {0xfd}; /* not the second; a hidden fourth */
    uint16_t meta[4] = {0};
    gf_event_columns cols = {types, meta, 4};
    const uint8_t image[] = {0x02, 7, 1, 0, 0, 0, 0, 0, 0, 0, 99};
    gf_cursor in = gf_cursor_of(image, sizeof image);
    gf_arena arena = {0};
    gf_value row[3];
    gf_error err;

    gf_table_finish(t, "shop", "orders");
    ck_assert_msg(gf_rowimage_read(row, &in, t, &cols, present, &arena, &err), "%s", err.text);
    ck_assert_int_eq(row[0].kind, GF_V_INT);
    ck_assert_int_eq((int)row[0].i, 7);
    ck_assert_int_eq(row[1].kind, GF_V_ABSENT);
    ck_assert_int_eq(row[2].kind, GF_V_NULL);
    ck_assert_uint_eq(gf_cursor_left(&in), 1);
    gf_arena_free(&arena);
    gf_table_free(t);
}
END_TEST

START_TEST(check__names_the_column_that_differs)
{
    const gf_column columns[] = {{.type = GF_T_LONG}, {.type = GF_T_VARCHAR, .charset = latin1, .char_bytes = 20}};
    gf_table *t = make_table(columns, 2);
    uint8_t types[] = {3, 15, 8};
    uint16_t meta[] = {0, 20, 0};
    gf_event_columns cols = {types, meta, 2};
    gf_error err;

    gf_table_finish(t, "shop", "orders");
    ck_assert(gf_rowimage_check(t, &cols, &err));
    meta[1] = 21;
    ck_assert(!gf_rowimage_check(t, &cols, &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    ck_assert_str_eq(err.text,
                     "table shop.orders has changed: column b is its type in the definition that we know, but "
                     "comes with type code 15, metadata 21 in the binlog");
    meta[1] = 20;
    cols.count = 3;
    ck_assert(!gf_rowimage_check(t, &cols, &err));
    ck_assert_str_eq(err.text,
                     "table shop.orders has changed: 2 columns in the definition that we know, 3 in the binlog");
    t->hidden_columns = 1;
    ck_assert(gf_rowimage_check(t, &cols, &err));
    gf_table_free(t);
}
END_TEST

static void expect_field(gf_column col, const char *field, const char *expected)
{
    gf_arena arena = {0};
    gf_buf text = {0};
    gf_value v;

    gf_value_from_text(&v, &col, field, field == NULL ? 0 : strlen(field), &arena);
    value_text(&text, &v);
    ck_assert_str_eq(gf_buf_cstr(&text), expected);
    gf_buf_free(&text);
    gf_arena_free(&arena);
}

START_TEST(text__gives_the_kinds_of_events)
{
    expect_field((gf_column){.type = GF_T_LONG}, NULL, "NULL");
    expect_field((gf_column){.type = GF_T_LONG}, "-5", "-5");
    expect_field((gf_column){.type = GF_T_LONG}, "0000", "0");
    expect_field((gf_column){.type = GF_T_DECIMAL}, "0000.50", "0.50");
    expect_field((gf_column){.type = GF_T_FLOAT}, "-0", "double -0");
    expect_field((gf_column){.type = GF_T_SET}, "18446744073709551615", "uint 18446744073709551615");
    expect_field((gf_column){.type = GF_T_DATE}, "0000-00-00", "0000-00-00");
    expect_field((gf_column){.type = GF_T_BLOB}, "a", "bytes 61");
}
END_TEST

START_TEST(select__asks_for_what_text_would_lose)
{
    static char name[] = "a`b";
    static const struct {
        gf_type type;
        const char *sql;
    } cases[] = {{GF_T_LONG, "`a``b`"},
                 {GF_T_FLOAT, "`a``b`*1e0"},
                 {GF_T_ENUM, "`a``b`+0"},
                 {GF_T_SET, "`a``b`|0"},
                 {GF_T_UUID, "CAST(`a``b` AS BINARY(16))"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gf_column col = {.name = name, .type = cases[i].type};
        gf_buf out = {0};

        gf_column_select(&out, &col, GF_FLAVOR_MYSQL);
        ck_assert_str_eq(gf_buf_cstr(&out), cases[i].sql);
        gf_buf_free(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rowimage");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, read__understands_or_refuses_every_form);
    tcase_add_test(tcase, read__leaves_out_what_is_not_present);
    tcase_add_test(tcase, check__names_the_column_that_differs);
    tcase_add_test(tcase, text__gives_the_kinds_of_events);
    tcase_add_test(tcase, select__asks_for_what_text_would_lose);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}

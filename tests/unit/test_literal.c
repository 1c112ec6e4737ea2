/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/target/json_leaf.h"
#include "gfreplica/literal.h"
#include "run_suite.h"
#include "values_fixture.h"

static char latin1[] = "latin1", utf8[] = "utf8", utf16[] = "utf16", binary[] = "binary";

static gf_value bytes_value(gf_value_kind kind, const char *data, size_t len)
{
    return (gf_value){.kind = kind, .bytes = gf_slice_of(data, len)};
}

#define TEXT(s) bytes_value(GF_V_BYTES, s, sizeof(s) - 1)

static void expect_stored(gf_column col, gf_value v, const char *expected)
{
    bool relaxed = false;
    gf_buf out = {0};

    gf_literal_store(&out, &col, &v, &relaxed);
    ck_assert_str_eq(gf_buf_cstr(&out), expected);
    ck_assert(!relaxed);
    gf_buf_free(&out);
}

static void expect_compared(gf_column col, gf_value v, const char *expected)
{
    gf_buf out = {0};

    gf_literal_compare(&out, &col, &v);
    ck_assert_str_eq(gf_buf_cstr(&out), expected);
    gf_buf_free(&out);
}

START_TEST(store__escapes_wherever_the_byte_stands)
{
    gf_column col = {.type = GF_T_VARCHAR, .charset = latin1};
    static const char specials[] = {'\'', '\\', '\0'};
    static const char *const escaped[] = {"\\'", "\\\\", "\\0"};

    for (size_t s = 0; s < 3; s++) {
        for (size_t at = 0; at < 20; at++) {
            char text[21] = "aaaaaaaaaaaaaaaaaaaa", expected[64];

            text[at] = specials[s];
            snprintf(expected, sizeof expected, "'%.*s%s%.*s'", (int)at, "aaaaaaaaaaaaaaaaaaaa", escaped[s],
                     (int)(19 - at), "aaaaaaaaaaaaaaaaaaaa");
            expect_stored(col, bytes_value(GF_V_BYTES, text, 20), expected);
        }
    }
    expect_stored(col, TEXT("\x1a\n\r\"\xff\x80"), "'\x1a\n\r\"\xff\x80'");
    expect_stored(col, TEXT(""), "''");
    expect_stored(col, TEXT("''\\\\\\'"), "'\\'\\'\\\\\\\\\\\\\\''");
}
END_TEST

START_TEST(store__writes_each_kind_in_its_form)
{
    gf_column d = {.type = GF_T_DOUBLE}, n = {.type = GF_T_DECIMAL}, i = {.type = GF_T_LONGLONG};

    expect_stored(i, (gf_value){.kind = GF_V_INT, .i = INT64_MIN}, "-9223372036854775808");
    expect_stored(i, (gf_value){.kind = GF_V_UINT, .u = UINT64_MAX}, "18446744073709551615");
    expect_stored(i, (gf_value){.kind = GF_V_NULL}, "NULL");
    expect_stored(i, (gf_value){.kind = GF_V_ABSENT}, "DEFAULT");
    expect_stored(d, (gf_value){.kind = GF_V_DOUBLE, .d = -0.0},
                  "-0.0000000000000000e+00/*M!100500 +`-0, which MariaDB would store as 0`*/");
    expect_stored(d, (gf_value){.kind = GF_V_DOUBLE, .d = -12}, "-12e0");
    expect_stored(d, (gf_value){.kind = GF_V_DOUBLE, .d = 0.1}, "1.0000000000000001e-01");
    expect_stored(d, (gf_value){.kind = GF_V_DOUBLE, .d = 4.9406564584124654e-324}, "4.9406564584124654e-324");
    expect_stored(n, bytes_value(GF_V_NUMBER, "-12.50", 6), "-12.50");
    expect_stored((gf_column){.type = GF_T_BIT}, TEXT("\x01\xff"), "511");
    expect_stored((gf_column){.type = GF_T_UUID}, TEXT("\x00'ab"), "X'00276162'");
    expect_stored((gf_column){.type = GF_T_TIME}, bytes_value(GF_V_TEMPORAL, "-00:00:00.1", 11), "'-00:00:00.1'");
}
END_TEST

/* A source that lies must not get statements of its own into ours. */
START_TEST(store__quotes_a_number_that_is_none)
{
    gf_column n = {.type = GF_T_DECIMAL};

    expect_stored(n, bytes_value(GF_V_NUMBER, "1),(2", 5), "'1),(2'");
    expect_stored(n, bytes_value(GF_V_NUMBER, "1-1", 3), "'1-1'");
    expect_stored(n, bytes_value(GF_V_NUMBER, "", 0), "''");
}
END_TEST

START_TEST(store__tells_what_strict_mode_refuses)
{
    gf_column e = {.type = GF_T_ENUM}, s = {.type = GF_T_SET};
    gf_value zero = {.kind = GF_V_UINT}, one = {.kind = GF_V_UINT, .u = 1};
    bool relaxed = false;
    gf_buf out = {0};

    gf_literal_store(&out, &s, &zero, &relaxed);
    gf_literal_store(&out, &e, &one, &relaxed);
    ck_assert(!relaxed);
    gf_literal_store(&out, &e, &zero, &relaxed);
    ck_assert(relaxed);
    ck_assert_str_eq(gf_buf_cstr(&out), "010");
    gf_buf_free(&out);
}
END_TEST

START_TEST(store__puts_decimals_back_into_json)
{
    gf_column j = {.type = GF_T_JSON};
    static const char plain[] = "{\"a\": [1, -2.5, 1e300, 32.0], \"b\": \"1.10 [{,\\\" it's\"}";
    static const char mixed[] = "{\"a\": [0.50000, {\"k\\\"'\": 1.10}, 2], \"b\": 123456789012345678901234567890}";

    expect_stored(j, bytes_value(GF_V_JSON, plain, sizeof plain - 1),
                  "_utf8mb4'{\"a\": [1, -2.5, 1e300, 32.0], \"b\": \"1.10 [{,\\\\\" it\\'s\"}'");
    expect_stored(j, bytes_value(GF_V_JSON, mixed, sizeof mixed - 1),
                  "JSON_REPLACE(_utf8mb4'{\"a\": [0, {\"k\\\\\"\\'\": 0}, 2], \"b\": "
                  "0}',_utf8mb4'$.\"a\"[0]',0.50000,_utf8mb4'$.\"a\"[1].\"k\\\\\"\\'\"',1.10,"
                  "_utf8mb4'$.\"b\"',123456789012345678901234567890)");
    expect_stored(j, bytes_value(GF_V_JSON, "7.70", 4), "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',7.70)");
    expect_stored(j, bytes_value(GF_V_JSON, "18446744073709551615", 20), "_utf8mb4'18446744073709551615'");
}
END_TEST

/* What marks tell is put in with its type; without a mark nothing is, for the parser makes the rest of it. */
START_TEST(store__puts_marked_values_into_json)
{
    gf_column j = {.type = GF_T_JSON, .json_types = true};
    static const struct {
        const char *marked, *expected;
    } cases[] = {
        {"[1.10, 4294967296]", "_utf8mb4'[1.10, 4294967296]'"},
        {"[\1"
         "4294967296, \2"
         "5]",
         "JSON_REPLACE(_utf8mb4'[0, 0]',_utf8mb4'$[0]',4294967296,_utf8mb4'$[1]',CAST('5' AS UNSIGNED))"},
        {"\3"
         "1.50",
         "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',1.50)"},
        {"{\"a\": \3"
         "5}",
         "JSON_REPLACE(_utf8mb4'{\"a\": 0}',_utf8mb4'$.\"a\"',5.)"},
        {"[\4\"2024-01-02\", \"x\"]", "JSON_REPLACE(_utf8mb4'[0, \"x\"]',_utf8mb4'$[0]',CAST('2024-01-02' AS DATE))"},
        {"\x08\"base64:type15:Y\\nQ==\"", "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',FROM_BASE64('YQ=='))"},
        {"\x08\"base64:type250:YQ==\"",
         "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',IF(TRUE,FROM_BASE64('YQ=='),CAST(REPEAT('x',70000) AS BINARY)))"},
        {"[\x08\"base64:type16:BQ==\", \x08\"base64:type254:YWI=\", \3"
         "2.0]",
         "(SELECT JSON_REPLACE(_utf8mb4'[0, 0, 0]',_utf8mb4'$[0]',t.c0,_utf8mb4'$[1]',t.c1,_utf8mb4'$[2]',2.0)"
         " FROM JSON_TABLE(JSON_ARRAY(CAST(CONV(HEX(FROM_BASE64('BQ==')),16,10) AS UNSIGNED),FROM_BASE64('YWI=')),"
         "_utf8mb4'$' COLUMNS (c0 BIT(8) PATH _utf8mb4'$[0]' ERROR ON ERROR,c1 BINARY(2) PATH _utf8mb4'$[1]'"
         " ERROR ON ERROR)) t)"},
        {"\7\"1969-12-31 19:00:01.000000\"",
         "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',`JSON holds a TIMESTAMP that none is in UTC, make it a DATETIME`)"},
        {"\x08\"base64:type253:YQ==\"",
         "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',`JSON holds a binary value of type 253, which no SQL makes`)"},
        {"\x08\"base64:type\"",
         "JSON_REPLACE(_utf8mb4'0',_utf8mb4'$',`JSON holds a binary value of type 0, which no SQL makes`)"},
        {"\t{}", "`JSON holds a value of an unknown type`"},
        {"\n{}", "`JSON types were cut: raise the source's max_allowed_packet`"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_stored(j, bytes_value(GF_V_JSON, cases[i].marked, strlen(cases[i].marked)), cases[i].expected);
}
END_TEST

/* `count` values of type 254, BINARY(size). Owned by the caller. */
static char *store_many(unsigned count, unsigned size)
{
    gf_column j = {.type = GF_T_JSON, .json_types = true};
    gf_buf text = {0}, out = {0};
    bool relaxed = false;

    gf_buf_byte(&text, '[');
    for (unsigned i = 0; i < count; i++) {
        gf_buf_str(&text, i > 0 ? ", \x08\"base64:type254:" : "\x08\"base64:type254:");
        for (unsigned k = 0; k < size / 3; k++)
            gf_buf_str(&text, "YWJj");
        gf_buf_byte(&text, '"');
    }
    gf_buf_byte(&text, ']');
    gf_literal_store(&out, &j, &(gf_value){.kind = GF_V_JSON, .bytes = gf_slice_of(text.data, text.len)}, &relaxed);
    gf_buf_free(&text);
    gf_buf_cstr(&out);
    return (char *)out.data;
}

/* A server opens a table for each JSON_TABLE of a statement, all at once: as many values as can be share one. */
START_TEST(store__opens_few_tables_for_many_values)
{
    static const char nested[] = "(SELECT JSON_REPLACE((SELECT JSON_REPLACE(_utf8mb4'[0, 0,";
    char *narrow = store_many(5000, 3), *wide = store_many(500, 255), *many = store_many(240001, 3);

    ck_assert_uint_eq(gf_json_tables_in(gf_slice_str(narrow)), 2);
    ck_assert_int_eq(strncmp(narrow, nested, strlen(nested)), 0);
    ck_assert_ptr_nonnull(strstr(narrow, "_utf8mb4'$[3999]',t.c3999)"));
    ck_assert_ptr_nonnull(strstr(narrow, "_utf8mb4'$[4999]',t.c999)"));
    ck_assert_uint_eq(gf_json_tables_in(gf_slice_str(wide)), 2);
    ck_assert_str_eq(many, "`JSON holds too many binary or TIMESTAMP values for a statement`");
    free(narrow);
    free(wide);
    free(many);
}
END_TEST

START_TEST(compare__introduces_the_character_set)
{
    expect_compared((gf_column){.type = GF_T_VARCHAR, .charset = latin1}, TEXT("it's"), "_latin1'it\\'s'");
    expect_compared((gf_column){.type = GF_T_CHAR, .charset = utf8}, TEXT("x"), "_utf8mb3'x'");
    expect_compared((gf_column){.type = GF_T_TEXT, .charset = utf16}, TEXT("\x00\x27"), "_utf16 X'0027'");
    expect_compared((gf_column){.type = GF_T_VARBINARY, .charset = binary}, TEXT("a\\"), "'a\\\\'");
    expect_compared((gf_column){.type = GF_T_BINARY}, TEXT("a\0"), "'a\\0'");
    expect_compared((gf_column){.type = GF_T_SET}, (gf_value){.kind = GF_V_UINT, .u = UINT64_MAX}, "-1");
}
END_TEST

START_TEST(double__prints_as_the_server_does)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {32, "32.0"},
        {-0.0, "-0.0"},
        {0, "0.0"},
        {1e300, "1e300"},
        {1e14, "100000000000000.0"},
        {1e15, "1e15"},
        {0.1, "0.1"},
        {1e-15, "0.000000000000001"},
        {1e-16, "1e-16"},
        {1.5e-20, "1.5e-20"},
        {5e-324, "5e-324"},
        {123456789012345678.0, "1.2345678901234568e17"},
        {1234567890123456.7, "1234567890123456.8"},
        {-1.7976931348623157e308, "-1.7976931348623157e308"},
        {9007199254740993.0, "9.007199254740992e15"},
        {7.1202363472230444e-307, "7.120236347223045e-307"}, /* 2^-1017: shorter than the nearest 17 digits */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[GF_JSON_DOUBLE_MAX];
        size_t len = gf_json_double(text, cases[i].v);

        ck_assert_msg(len == strlen(cases[i].text) && memcmp(text, cases[i].text, len) == 0, "%.*s instead of %s",
                      (int)len, text, cases[i].text);
    }
}
END_TEST

static gf_table *three_parts(void)
{
    const gf_column columns[] = {
        {.type = GF_T_LONG}, {.type = GF_T_CHAR, .charset = latin1}, {.type = GF_T_SET}, {.type = GF_T_DOUBLE}};
    gf_table *t = make_table(columns, 4);

    add_primary(t, 3, 1 << 1);
    return t;
}

static const gf_value row[] = {{.kind = GF_V_INT, .i = -1},
                               {.kind = GF_V_BYTES, .bytes = {(const uint8_t *)"x", 1}},
                               {.kind = GF_V_UINT, .u = UINT64_MAX},
                               {.kind = GF_V_DOUBLE, .d = 0}};

START_TEST(where__names_a_row_by_its_key)
{
    gf_table *t = three_parts();
    gf_buf out = {0};

    gf_literal_where(&out, t, row);
    ck_assert_str_eq(gf_buf_cstr(&out), "(`a`=-1 AND `b`=_latin1'x' AND `c`=-1)");
    t->keys[0].part_count = 1;
    gf_buf_reset(&out);
    gf_literal_where(&out, t, row);
    ck_assert_str_eq(gf_buf_cstr(&out), "-1");
    gf_buf_free(&out);
    gf_table_free(t);
}
END_TEST

START_TEST(where__names_a_keyless_row_by_its_bytes)
{
    gf_table *t = three_parts();
    gf_value copy[4];
    gf_buf out = {0};

    memcpy(copy, row, sizeof copy);
    copy[0].kind = GF_V_NULL;
    t->identity = -1;
    gf_literal_where(&out, t, copy);
    ck_assert_str_eq(gf_buf_cstr(&out), "(`a` IS NULL AND `b`<=>_latin1'x' AND CAST(`b` AS BINARY)<=>'x' AND `c`<=>-1"
                                        " AND `d`<=>0e0 AND CONCAT(`d`*1e0)<=>'0')");
    gf_buf_free(&out);
    gf_table_free(t);
}
END_TEST

START_TEST(places__turn_round_for_descending_parts)
{
    gf_table *t = three_parts();
    gf_buf key = {0}, out = {0};
    gf_error err;

    gf_key_encode(&key, t, &t->keys[0], row);
    ck_assert(gf_literal_after(&out, t, gf_slice_of(key.data, key.len), &err));
    ck_assert_str_eq(gf_buf_cstr(&out), "((`a`>-1) OR (`a`=-1 AND `b`<_latin1'x') OR (`a`=-1 AND `b`=_latin1'x' AND"
                                        " `c`|0>18446744073709551615))");
    gf_buf_reset(&out);
    ck_assert(gf_literal_upto(&out, t, gf_slice_of(key.data, key.len), &err));
    ck_assert_str_eq(gf_buf_cstr(&out), "((`a`<-1) OR (`a`=-1 AND `b`>_latin1'x') OR (`a`=-1 AND `b`=_latin1'x' AND"
                                        " `c`|0<=18446744073709551615))");
    gf_buf_reset(&out);
    gf_literal_order(&out, t);
    ck_assert_str_eq(gf_buf_cstr(&out), "`a`,`b` DESC,`c`");
    gf_buf_free(&out);
    gf_buf_free(&key);
    gf_table_free(t);
}
END_TEST

START_TEST(places__refuse_a_key_of_another_table)
{
    gf_table *t = three_parts();
    gf_buf out = {0};
    gf_error err;

    ck_assert(!gf_literal_after(&out, t, gf_slice_str("nonsense"), &err));
    ck_assert_int_eq(err.kind, GF_ERR_DATA);
    ck_assert_str_eq(err.text, "table shop.orders: a saved place in its key PRIMARY does not fit the key");
    gf_buf_free(&out);
    gf_table_free(t);
}
END_TEST

START_TEST(tuple__leaves_out_what_is_not_written)
{
    gf_table *t = three_parts();
    bool relaxed = false;
    gf_buf out = {0};

    t->writes[0] = t->writes[2] = false;
    gf_literal_tuple(&out, t, row, &relaxed);
    ck_assert_str_eq(gf_buf_cstr(&out), "('x',0e0)");
    gf_buf_free(&out);
    gf_table_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("literal");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, store__escapes_wherever_the_byte_stands);
    tcase_add_test(tcase, store__writes_each_kind_in_its_form);
    tcase_add_test(tcase, store__quotes_a_number_that_is_none);
    tcase_add_test(tcase, store__tells_what_strict_mode_refuses);
    tcase_add_test(tcase, store__puts_decimals_back_into_json);
    tcase_add_test(tcase, store__puts_marked_values_into_json);
    tcase_add_test(tcase, store__opens_few_tables_for_many_values);
    tcase_add_test(tcase, compare__introduces_the_character_set);
    tcase_add_test(tcase, double__prints_as_the_server_does);
    tcase_add_test(tcase, where__names_a_row_by_its_key);
    tcase_add_test(tcase, where__names_a_keyless_row_by_its_bytes);
    tcase_add_test(tcase, places__turn_round_for_descending_parts);
    tcase_add_test(tcase, places__refuse_a_key_of_another_table);
    tcase_add_test(tcase, tuple__leaves_out_what_is_not_written);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}

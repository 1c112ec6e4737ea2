/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/line.h"
#include "run_suite.h"
#include "values_fixture.h"

static char latin1[] = "latin1";

/* id, and one column of the type. */
static gf_table *table_of(gf_type type)
{
    const gf_column columns[] = {{.type = GF_T_LONG}, {.type = type, .charset = type == GF_T_VARCHAR ? latin1 : NULL}};
    gf_table *t = make_table(columns, 2);

    add_primary(t, 1, 0);
    return t;
}

/* NULL: no line. */
static void expect_line(gf_type type, gf_value v, const char *expected)
{
    gf_table *t = table_of(type);
    const gf_value row[] = {{.kind = GF_V_NUMBER, .bytes = gf_slice_str("7")}, v};
    gf_buf out = {0};

    gf_buf_str(&out, "x");
    ck_assert(gf_line_fits(t));
    ck_assert_msg(gf_line_row(&out, t, row) == (expected != NULL), "%s", gf_buf_cstr(&out));
    ck_assert_str_eq(gf_buf_cstr(&out), expected != NULL ? expected : "x");
    gf_buf_free(&out);
    gf_table_free(t);
}

static gf_value value(gf_value_kind kind, const char *text)
{
    return (gf_value){.kind = kind, .bytes = gf_slice_str(text)};
}

START_TEST(line__escapes_wherever_the_byte_stands)
{
    static const char specials[] = {'\t', '\n', '\\'};
    static const char *const escaped[] = {"\\t", "\\n", "\\\\"};

    for (size_t s = 0; s < 3; s++) {
        for (size_t at = 0; at < 20; at++) {
            char text[] = "aaaaaaaaaaaaaaaaaaaa", expected[64];

            text[at] = specials[s];
            snprintf(expected, sizeof expected, "x7\t%.*s%s%.*s\n", (int)at, "aaaaaaaaaaaaaaaaaaaa", escaped[s],
                     (int)(19 - at), "aaaaaaaaaaaaaaaaaaaa");
            expect_line(GF_T_VARCHAR, value(GF_V_BYTES, text), expected);
        }
    }
    expect_line(GF_T_VARCHAR, value(GF_V_BYTES, ""), "x7\t\n");
    expect_line(GF_T_VARCHAR, value(GF_V_BYTES, "\\N'\"\r\x1a"), "x7\t\\\\N'\"\r\x1a\n");
    expect_line(GF_T_VARCHAR, (gf_value){.kind = GF_V_NULL}, "x7\t\\N\n");
}
END_TEST

START_TEST(line__spells_out_what_a_string_would_change)
{
    expect_line(GF_T_YEAR, value(GF_V_NUMBER, "0"), "x7\t0000\n");
    expect_line(GF_T_YEAR, value(GF_V_NUMBER, "2000"), "x7\t2000\n");
    expect_line(GF_T_SET, (gf_value){.kind = GF_V_UINT, .u = UINT64_MAX}, "x7\t18446744073709551615\n");
    expect_line(GF_T_ENUM, (gf_value){.kind = GF_V_UINT, .u = 3}, "x7\t3\n");
}
END_TEST

static bool takes_key(const char *key)
{
    const gf_column columns[] = {{.type = GF_T_LONG, .auto_increment = true}, {.type = GF_T_SET}};
    const gf_value row[] = {value(GF_V_NUMBER, key), {.kind = GF_V_UINT, .u = 1}};
    gf_table *t = make_table(columns, 2);
    gf_buf out = {0};
    bool taken;

    add_primary(t, 1, 0);
    taken = gf_line_row(&out, t, row);
    gf_buf_free(&out);
    gf_table_free(t);
    return taken;
}

START_TEST(line__leaves_an_auto_increments_zero_to_insert)
{
    ck_assert(!takes_key("0"));
    ck_assert(!takes_key("00000")); /* ZEROFILL */
    ck_assert(takes_key("10"));
    ck_assert(takes_key("-1"));
}
END_TEST

START_TEST(line__leaves_to_insert_what_it_cannot_say)
{
    expect_line(GF_T_ENUM, (gf_value){.kind = GF_V_UINT, .u = 0}, NULL);
    expect_line(GF_T_JSON, value(GF_V_JSON, "{\"a\": 1.10}"), NULL); /* a decimal: as a double it is 1.1 */
    expect_line(GF_T_JSON, value(GF_V_JSON, "{\"a\": \"\\t\"}"), "x7\t{\"a\": \"\\\\t\"}\n");
    expect_line(GF_T_VARCHAR, (gf_value){.kind = GF_V_ABSENT}, NULL);
    expect_line(GF_T_DOUBLE, (gf_value){.kind = GF_V_DOUBLE, .d = -0.0}, NULL); /* LOAD DATA loses its sign unseen */
}
END_TEST

START_TEST(fits__needs_an_identity_and_known_types)
{
    gf_table *t = table_of(GF_T_UNKNOWN);

    ck_assert(!gf_line_fits(t));
    gf_table_free(t);
    t = table_of(GF_T_VARCHAR);
    t->identity = -1;
    ck_assert(!gf_line_fits(t));
    gf_table_free(t);
}
END_TEST

START_TEST(columns__pass_through_expressions_where_needed)
{
    gf_table *plain = table_of(GF_T_VARCHAR), *json = table_of(GF_T_JSON), *set = table_of(GF_T_SET);
    gf_buf out = {0};

    gf_line_columns(&out, plain);
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&out), "CHARACTER SET binary"));
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&out), "(`a`,`b`)"));
    ck_assert_ptr_null(strstr(gf_buf_cstr(&out), "SET `"));
    gf_line_columns(&out, json);
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&out), "(`a`,@c1) SET `b`=CONVERT(@c1 USING utf8mb4)"));
    gf_line_columns(&out, set);
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&out), "(`a`,@c1) SET `b`=CAST(@c1 AS UNSIGNED)"));
    gf_buf_free(&out);
    gf_table_free(plain);
    gf_table_free(json);
    gf_table_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("line");
    TCase *tc = tcase_create("line");

    tcase_add_test(tc, line__escapes_wherever_the_byte_stands);
    tcase_add_test(tc, line__spells_out_what_a_string_would_change);
    tcase_add_test(tc, line__leaves_an_auto_increments_zero_to_insert);
    tcase_add_test(tc, line__leaves_to_insert_what_it_cannot_say);
    tcase_add_test(tc, fits__needs_an_identity_and_known_types);
    tcase_add_test(tc, columns__pass_through_expressions_where_needed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

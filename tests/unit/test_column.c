/* SPDX-License-Identifier: MIT */
/* information_schema.columns to gf_column, as both families print it. */
#include <check.h>
#include <stdlib.h>

#include "../../src/catalog/column.h"
#include "run_suite.h"

static gf_table *fill(gf_column_facts f)
{
    gf_table *t = gf_table_new("d", "t");

    t->columns = gf_calloc(1, sizeof *t->columns);
    t->column_count = 1;
    f.name = "c";
    f.is_nullable = f.is_nullable != NULL ? f.is_nullable : "YES";
    gf_column_fill(&t->columns[0], &f);
    return t;
}

static void assert_members(const char *column_type, unsigned count, const char *const *expected)
{
    char **members;

    ck_assert_uint_eq(gf_column_members(&members, column_type), count);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_str_eq(members[i], expected[i]);
        free(members[i]);
    }
    free(members);
}

START_TEST(members__takes_quotes_commas_and_brackets_as_they_are)
{
    assert_members("enum('a','b''c','d,e',')','(','','''')", 7,
                   (const char *const[]){"a", "b'c", "d,e", ")", "(", "", "'"});
}
END_TEST

START_TEST(members__undoes_the_servers_escapes)
{
    assert_members("set('\\\\','\\n','\\r','x\\\\''y')", 4, (const char *const[]){"\\", "\n", "\r", "x\\'y"});
}
END_TEST

START_TEST(members__survives_text_that_ends_early)
{
    assert_members("enum('a", 1, (const char *const[]){"a"});
    assert_members("enum('a',", 1, (const char *const[]){"a"});
    assert_members("enum('a\\", 1, (const char *const[]){"a\\"});
    assert_members("enum(", 0, NULL);
    assert_members("", 0, NULL);
}
END_TEST

START_TEST(members__keeps_utf8)
{
    assert_members("enum('\xc3\xa4\xe2\x82\xac','\xe2\x80\x99')", 2,
                   (const char *const[]){"\xc3\xa4\xe2\x82\xac", "\xe2\x80\x99"});
}
END_TEST

START_TEST(column__reads_integers_with_and_without_sign)
{
    gf_table *t = fill((gf_column_facts){.data_type = "int",
                                         .column_type = "int(10) unsigned zerofill",
                                         .precision = "10",
                                         .scale = "0",
                                         .extra = "auto_increment INVISIBLE",
                                         .is_nullable = "NO"});

    ck_assert_int_eq(t->columns[0].type, GF_T_LONG);
    ck_assert(t->columns[0].is_unsigned && t->columns[0].auto_increment && t->columns[0].invisible);
    ck_assert(!t->columns[0].nullable);
    gf_table_free(t);
    t = fill((gf_column_facts){.data_type = "mediumint", .column_type = "mediumint(9)"});
    ck_assert_int_eq(t->columns[0].type, GF_T_MEDIUM);
    ck_assert(!t->columns[0].is_unsigned && t->columns[0].nullable);
    gf_table_free(t);
}
END_TEST

START_TEST(column__takes_no_sign_from_a_members_name)
{
    gf_table *t = fill((gf_column_facts){.data_type = "enum",
                                         .column_type = "enum('unsigned','COMPRESSED')",
                                         .octet_length = "40",
                                         .charset = "utf8mb4",
                                         .collation = "utf8mb4_bin"});

    ck_assert(!t->columns[0].is_unsigned && !t->columns[0].compressed);
    ck_assert_uint_eq(t->columns[0].member_count, 2);
    ck_assert_str_eq(t->columns[0].collation, "utf8mb4_bin");
    gf_table_free(t);
}
END_TEST

START_TEST(column__tells_given_scales_from_none)
{
    gf_table *t =
        fill((gf_column_facts){.data_type = "float", .column_type = "float(7,2)", .precision = "7", .scale = "2"});

    ck_assert(t->columns[0].scale_given);
    ck_assert_uint_eq(t->columns[0].precision, 7);
    ck_assert_uint_eq(t->columns[0].scale, 2);
    gf_table_free(t);
    t = fill((gf_column_facts){.data_type = "double", .column_type = "double", .precision = "22"});
    ck_assert(!t->columns[0].scale_given);
    gf_table_free(t);
    t = fill((gf_column_facts){.data_type = "bit", .column_type = "bit(5)", .precision = "5"});
    ck_assert_uint_eq(t->columns[0].bits, 5);
    gf_table_free(t);
}
END_TEST

START_TEST(column__knows_old_temporals_and_compressed_columns)
{
    gf_table *t =
        fill((gf_column_facts){.data_type = "datetime", .column_type = "datetime(3) /* mariadb-5.3 */", .fsp = "3"});

    ck_assert(t->columns[0].old_temporal);
    ck_assert_uint_eq(t->columns[0].fsp, 3);
    gf_table_free(t);
    t = fill((gf_column_facts){.data_type = "varchar",
                               .column_type = "varchar(10) /*M!100301 COMPRESSED*/",
                               .octet_length = "40",
                               .charset = "utf8mb4",
                               .collation = "utf8mb4_general_ci"});
    ck_assert(t->columns[0].compressed);
    ck_assert_uint_eq(t->columns[0].char_bytes, 40);
    gf_table_free(t);
}
END_TEST

START_TEST(column__tells_generated_columns_and_row_periods)
{
    gf_table *t = fill((gf_column_facts){
        .data_type = "int", .column_type = "int", .extra = "VIRTUAL GENERATED", .generation = "(`a` + 1)"});

    ck_assert_int_eq(t->columns[0].generated, GF_GEN_VIRTUAL);
    ck_assert(!t->columns[0].row_period);
    gf_table_free(t);
    t = fill((gf_column_facts){.data_type = "timestamp",
                               .column_type = "timestamp(6)",
                               .extra = "STORED GENERATED, INVISIBLE",
                               .generation = "ROW START",
                               .fsp = "6"});
    ck_assert(t->columns[0].row_period && t->columns[0].invisible);
    gf_table_free(t);
    /* an expression default is none */
    t = fill((gf_column_facts){.data_type = "int", .column_type = "int", .extra = "DEFAULT_GENERATED"});
    ck_assert_int_eq(t->columns[0].generated, GF_GEN_NONE);
    gf_table_free(t);
}
END_TEST

START_TEST(column__leaves_a_type_that_it_does_not_know_unknown)
{
    gf_table *t = fill((gf_column_facts){.data_type = "hologram", .column_type = "hologram"});

    ck_assert_int_eq(t->columns[0].type, GF_T_UNKNOWN);
    ck_assert_str_eq(t->columns[0].type_text, "hologram");
    gf_table_free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("column");
    TCase *tc = tcase_create("column");

    tcase_add_test(tc, members__takes_quotes_commas_and_brackets_as_they_are);
    tcase_add_test(tc, members__undoes_the_servers_escapes);
    tcase_add_test(tc, members__survives_text_that_ends_early);
    tcase_add_test(tc, members__keeps_utf8);
    tcase_add_test(tc, column__reads_integers_with_and_without_sign);
    tcase_add_test(tc, column__takes_no_sign_from_a_members_name);
    tcase_add_test(tc, column__tells_given_scales_from_none);
    tcase_add_test(tc, column__knows_old_temporals_and_compressed_columns);
    tcase_add_test(tc, column__tells_generated_columns_and_row_periods);
    tcase_add_test(tc, column__leaves_a_type_that_it_does_not_know_unknown);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

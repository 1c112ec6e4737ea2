/* SPDX-License-Identifier: MIT */
/* Claims: what the server may hold equal has a claim in common, or the row is wild. */
#include <check.h>
#include <stdlib.h>

#include "catalog_fixture.h"
#include "run_suite.h"

enum { MAX_CLAIMS = 8 };

typedef struct {
    uint64_t hashes[MAX_CLAIMS];
    unsigned count;
    bool wild;
} claims;

static claims claim(const gf_table *t, const gf_value *row)
{
    claims c = {.wild = false};

    c.count = gf_row_claims(c.hashes, &c.wild, t, row);
    return c;
}

/* A table whose only key is one text column. */
static gf_table *text_table(const char *charset, const char *collation, unsigned prefix)
{
    gf_table *t = gf_table_new("shop", "words");

    add_text(t, "w", charset, collation);
    add_key(t, "w", 0, 0)->parts[0].prefix = prefix;
    gf_table_finish(t, "shop", "words");
    return t;
}

typedef enum { EQUAL, DIFFERENT, WILD } relation;

static relation relate(const gf_table *t, gf_slice a, gf_slice b)
{
    gf_value va = {.kind = GF_V_BYTES, .bytes = a}, vb = {.kind = GF_V_BYTES, .bytes = b};
    claims ca = claim(t, &va), cb = claim(t, &vb);
    size_t last = t->identity < 0; /* behind the table's own claim */

    if (ca.wild || cb.wild)
        return WILD;
    return ca.hashes[last] == cb.hashes[last] ? EQUAL : DIFFERENT;
}

static void assert_relation(const char *charset, const char *collation, unsigned prefix, gf_slice a, gf_slice b,
                            relation expected)
{
    gf_table *t = text_table(charset, collation, prefix);

    ck_assert_msg(relate(t, a, b) == expected, "%s prefix %u: %.*s and %.*s", collation, prefix, (int)a.len,
                  (const char *)a.data, (int)b.len, (const char *)b.data);
    gf_table_free(t);
}

#define TEXT(s) gf_slice_of("" s, sizeof(s) - 1)

START_TEST(text__folds_case_and_trailing_spaces_where_the_collation_does)
{
    static const struct {
        const char *charset, *collation;
    } folding[] = {{"utf8mb4", "utf8mb4_general_ci"},
                   {"utf8mb4", "utf8mb4_unicode_ci"},
                   {"utf8mb3", "utf8mb3_unicode_520_ci"},
                   {"utf8mb4", "utf8mb4_0900_ai_ci"},
                   {"utf8mb4", "utf8mb4_0900_as_cs"},
                   {"latin1", "latin1_swedish_ci"},
                   {"cp1251", "cp1251_general_ci"},
                   {"utf8mb4", "utf8mb4_uca1400_ai_ci"},
                   {"utf8mb4", "utf8mb4_uca1400_nopad_as_ci"},
                   {"sjis", "sjis_japanese_ci"}};

    for (size_t i = 0; i < sizeof folding / sizeof folding[0]; i++) {
        assert_relation(folding[i].charset, folding[i].collation, 0, TEXT("Shop"), TEXT("sHOP  "), EQUAL);
        assert_relation(folding[i].charset, folding[i].collation, 0, TEXT("shop"), TEXT("shop1"), DIFFERENT);
        assert_relation(folding[i].charset, folding[i].collation, 0, TEXT("[a"), TEXT("{a"), DIFFERENT);
        assert_relation(folding[i].charset, folding[i].collation, 0, TEXT("caf\xc3\xa9"), TEXT("cafe"), WILD);
        assert_relation(folding[i].charset, folding[i].collation, 0, TEXT("a\x01"), TEXT("a"), WILD);
    }
}
END_TEST

START_TEST(text__is_exact_under_binary_collations_but_for_trailing_spaces)
{
    assert_relation("utf8mb4", "utf8mb4_bin", 0, TEXT("caf\xc3\xa9"), TEXT("caf\xc3\xa9 "), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_bin", 0, TEXT("A"), TEXT("a"), DIFFERENT);
    assert_relation("gbk", "gbk_bin", 0, TEXT("\x81\x40"), TEXT("\x81\x40"), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_0900_bin", 0, TEXT("A"), TEXT("a"), DIFFERENT);
}
END_TEST

START_TEST(text__is_wild_under_collations_that_equate_other_ascii)
{
    assert_relation("utf8mb4", "utf8mb4_lithuanian_ci", 0, TEXT("i"), TEXT("y"), WILD);
    assert_relation("utf8mb4", "utf8mb4_roman_ci", 0, TEXT("i"), TEXT("j"), WILD);
    assert_relation("utf8mb4", "utf8mb4_la_0900_ai_ci", 0, TEXT("i"), TEXT("j"), WILD);
    assert_relation("koi8u", "koi8u_general_ci", 0, TEXT("a"), TEXT("a"), WILD);
    assert_relation("swe7", "swe7_swedish_ci", 0, TEXT("a"), TEXT("a"), WILD);
    assert_relation("utf8mb4", "utf8mb4_swedish_ci", 0, TEXT("a"), TEXT("a"), WILD);
    assert_relation("utf8mb4", "utf8mb4_made_up_ci", 0, TEXT("a"), TEXT("a"), WILD);
}
END_TEST

START_TEST(text__takes_wide_characters_by_their_units)
{
    assert_relation("utf16", "utf16_general_ci", 0, TEXT("\0A\0 "), TEXT("\0a"), EQUAL);
    assert_relation("utf16", "utf16_general_ci", 0, TEXT("\0A"), TEXT("\0b"), DIFFERENT);
    assert_relation("utf16", "utf16_general_ci", 0, TEXT("\x41\0"), TEXT("\0a"), WILD);
    assert_relation("utf16le", "utf16le_general_ci", 0, TEXT("A\0 \0"), TEXT("a\0"), EQUAL);
    assert_relation("utf32", "utf32_unicode_ci", 0, TEXT("\0\0\0A"), TEXT("\0\0\0a\0\0\0 "), EQUAL);
    assert_relation("ucs2", "ucs2_bin", 0, TEXT("\0a\0 "), TEXT("\0a"), EQUAL);
    /* a byte that looks like a space is no trailing space: U+0120 */
    assert_relation("ucs2", "ucs2_bin", 0, TEXT("\0a\x01 "), TEXT("\0a"), DIFFERENT);
    assert_relation("ucs2", "ucs2_general_ci", 0, TEXT("\0a\0"), TEXT("\0a"), WILD);
}
END_TEST

START_TEST(prefix__claims_the_first_characters)
{
    assert_relation("utf8mb4", "utf8mb4_general_ci", 3, TEXT("ABCx"), TEXT("abcy"), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_general_ci", 3, TEXT("abc\xc3\xa9"), TEXT("abc"), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_general_ci", 3, TEXT("ab\xc3\xa9"), TEXT("abe"), WILD);
    assert_relation("utf8mb4", "utf8mb4_general_ci", 3, TEXT("ab "), TEXT("ab"), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_bin", 2, TEXT("\xc3\xa9\xc3\xa8x"), TEXT("\xc3\xa9\xc3\xa8y"), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_bin", 2, TEXT("\xc3\xa9z"), TEXT("\xc3\xa9w"), DIFFERENT);
    assert_relation("latin1", "latin1_bin", 2, TEXT("\xe9\xe8x"), TEXT("\xe9\xe8y"), EQUAL);
    assert_relation("gbk", "gbk_bin", 2, TEXT("\x81\x40\x81\x41x"), TEXT("\x81\x40\x81\x41y"), WILD);
    assert_relation("gbk", "gbk_bin", 2, TEXT("abx"), TEXT("aby"), EQUAL);
    assert_relation("utf16", "utf16_general_ci", 1, TEXT("\0a\0b"), TEXT("\0A\0c"), EQUAL);
    assert_relation("utf16", "utf16_bin", 1, TEXT("\xd8\0\xdc\0\0b"), TEXT("\xd8\0\xdc\0\0c"), WILD);
}
END_TEST

START_TEST(prefix__of_a_blob_is_counted_in_bytes)
{
    gf_table *t = gf_table_new("shop", "blobs");

    add_column(t, "b", GF_T_BLOB);
    add_key(t, "b", 0, 0)->parts[0].prefix = 2;
    gf_table_finish(t, "shop", "blobs");
    ck_assert_int_eq(relate(t, TEXT("\xff\xfe\x01"), TEXT("\xff\xfe\x02")), EQUAL);
    ck_assert_int_eq(relate(t, TEXT("a "), TEXT("a")), DIFFERENT); /* no padding in binary strings */
    gf_table_free(t);
}
END_TEST

static gf_table *two_keys(void)
{
    gf_table *t = gf_table_new("shop", "orders");

    add_column(t, "id", GF_T_LONG);
    add_column(t, "ref", GF_T_LONG)->nullable = true;
    add_key(t, "PRIMARY", 0, 0);
    add_key(t, "ref", 1, 1);
    gf_table_finish(t, "shop", "orders");
    return t;
}

START_TEST(row__claims_the_same_from_event_and_chunk)
{
    gf_table *t = two_keys();
    gf_value event[2] = {v_int(-7), v_int(9)}, chunk[2] = {v_number("-7"), v_number("9")};
    claims a = claim(t, event), b = claim(t, chunk);

    ck_assert_uint_eq(a.count, 2);
    ck_assert_mem_eq(a.hashes, b.hashes, 2 * sizeof a.hashes[0]);
    gf_table_free(t);
}
END_TEST

START_TEST(row__claims_nothing_for_a_null_and_keys_do_not_mix)
{
    gf_table *t = two_keys();
    gf_value null[2] = {v_int(1), v_null()}, same[2] = {v_int(1), v_int(1)};
    claims a = claim(t, null), b = claim(t, same);

    ck_assert_uint_eq(a.count, 1);
    ck_assert(!a.wild);
    ck_assert_uint_ne(b.hashes[0], b.hashes[1]);
    ck_assert_uint_eq(a.hashes[0], b.hashes[0]);
    gf_table_free(t);
}
END_TEST

START_TEST(row__is_wild_for_an_absent_part_and_for_an_expression)
{
    gf_table *t = two_keys();
    gf_value absent[2] = {v_int(1), {.kind = GF_V_ABSENT}}, whole[2] = {v_int(1), v_int(2)};

    ck_assert(claim(t, absent).wild);
    ck_assert(!claim(t, whole).wild);
    t->keys[1].functional = true;
    ck_assert(claim(t, whole).wild);
    ck_assert_uint_eq(claim(t, whole).count, 1);
    gf_table_free(t);
}
END_TEST

START_TEST(row__of_a_keyless_table_claims_the_table)
{
    gf_table *t = gf_table_new("shop", "log");
    gf_value row = v_int(1);
    claims c;

    add_column(t, "a", GF_T_LONG);
    gf_table_finish(t, "shop", "log");
    c = claim(t, &row);
    ck_assert_uint_eq(c.count, 1);
    ck_assert_uint_eq(c.hashes[0], gf_table_claim(t));
    gf_table_free(t);
}
END_TEST

START_TEST(row__puts_the_identity_first)
{
    gf_table *t = gf_table_new("shop", "u");
    gf_value row[3] = {v_int(1), v_int(2), v_int(3)}, other[3] = {v_int(1), v_int(2), v_int(4)};
    claims a, b;

    add_column(t, "a", GF_T_LONG)->nullable = true;
    add_column(t, "b", GF_T_LONG)->nullable = true;
    add_column(t, "c", GF_T_LONG);
    add_key(t, "a", 0, 0);
    add_key(t, "b", 1, 1);
    add_key(t, "c", 2, 2);
    gf_table_finish(t, "shop", "u");
    ck_assert_int_eq(t->identity, 2);
    a = claim(t, row);
    b = claim(t, other);
    ck_assert_uint_eq(a.count, 3);
    ck_assert_uint_ne(a.hashes[0], b.hashes[0]);
    ck_assert_mem_eq(&a.hashes[1], &b.hashes[1], 2 * sizeof a.hashes[0]);
    gf_table_free(t);
}
END_TEST

START_TEST(row__claims_the_same_for_minus_zero_and_zero)
{
    gf_table *t = gf_table_new("shop", "f");
    gf_value minus = v_double(-0.0), plus = v_double(0.0);

    add_column(t, "f", GF_T_FLOAT);
    add_key(t, "PRIMARY", 0, 0);
    gf_table_finish(t, "shop", "f");
    ck_assert_uint_eq(claim(t, &minus).hashes[0], claim(t, &plus).hashes[0]);
    gf_table_free(t);
}
END_TEST

START_TEST(row__folds_text_longer_than_a_piece)
{
    char upper[600], lower[602];

    memset(upper, 'A', sizeof upper);
    memset(lower, 'a', 600);
    lower[600] = lower[601] = ' ';
    assert_relation("utf8mb4", "utf8mb4_general_ci", 0, gf_slice_of(upper, 600), gf_slice_of(lower, 602), EQUAL);
    assert_relation("utf8mb4", "utf8mb4_general_ci", 0, gf_slice_of(upper, 600), gf_slice_of(lower, 599), DIFFERENT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("claims");
    TCase *tc = tcase_create("claims");

    tcase_add_test(tc, text__folds_case_and_trailing_spaces_where_the_collation_does);
    tcase_add_test(tc, text__is_exact_under_binary_collations_but_for_trailing_spaces);
    tcase_add_test(tc, text__is_wild_under_collations_that_equate_other_ascii);
    tcase_add_test(tc, text__takes_wide_characters_by_their_units);
    tcase_add_test(tc, prefix__claims_the_first_characters);
    tcase_add_test(tc, prefix__of_a_blob_is_counted_in_bytes);
    tcase_add_test(tc, row__claims_the_same_from_event_and_chunk);
    tcase_add_test(tc, row__claims_nothing_for_a_null_and_keys_do_not_mix);
    tcase_add_test(tc, row__is_wild_for_an_absent_part_and_for_an_expression);
    tcase_add_test(tc, row__of_a_keyless_table_claims_the_table);
    tcase_add_test(tc, row__puts_the_identity_first);
    tcase_add_test(tc, row__claims_the_same_for_minus_zero_and_zero);
    tcase_add_test(tc, row__folds_text_longer_than_a_piece);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

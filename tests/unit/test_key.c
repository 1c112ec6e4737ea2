/* SPDX-License-Identifier: MIT */
/* Canonical keys: the same from events and chunks, reversible, never read past their end. */
#include <check.h>
#include <stdlib.h>

#include "catalog_fixture.h"
#include "run_suite.h"

static gf_buf encode(const gf_table *t, const gf_value *row)
{
    gf_buf b = {0};

    gf_key_encode(&b, t, &t->keys[0], row);
    return b;
}

static bool same_key(const gf_table *t, gf_value a, gf_value b)
{
    gf_buf ka = encode(t, &a), kb = encode(t, &b);
    bool same = gf_slice_eq(gf_slice_of(ka.data, ka.len), gf_slice_of(kb.data, kb.len));

    gf_buf_free(&ka);
    gf_buf_free(&kb);
    return same;
}

static gf_table *one_column(gf_type type, bool is_unsigned)
{
    gf_table *t = gf_table_new("shop", "orders");

    add_column(t, "id", type)->is_unsigned = is_unsigned;
    add_key(t, "PRIMARY", 0, 0);
    gf_table_finish(t, "shop", "orders");
    return t;
}

START_TEST(encode__gives_digits_and_integers_the_same_bytes)
{
    gf_table *t = one_column(GF_T_LONGLONG, false);

    ck_assert(same_key(t, v_int(-5), v_number("-5")));
    ck_assert(same_key(t, v_int(INT64_MIN), v_number("-9223372036854775808")));
    ck_assert(same_key(t, v_int(INT64_MAX), v_number("9223372036854775807")));
    ck_assert(same_key(t, v_int(0), v_number("0")));
    ck_assert(!same_key(t, v_int(1), v_int(-1)));
    gf_table_free(t);
    t = one_column(GF_T_LONGLONG, true);
    ck_assert(same_key(t, v_uint(UINT64_MAX), v_number("18446744073709551615")));
    ck_assert(same_key(t, v_uint(42), v_number("0000000042"))); /* zerofill */
    ck_assert(same_key(t, v_uint(42), v_int(42)));
    gf_table_free(t);
}
END_TEST

START_TEST(encode__gives_years_and_enums_the_same_bytes_from_both_ways)
{
    gf_table *t = one_column(GF_T_YEAR, false);

    ck_assert(same_key(t, v_uint(0), v_number("0000")));
    ck_assert(same_key(t, v_int(1901), v_number("1901")));
    gf_table_free(t);
    t = one_column(GF_T_ENUM, false);
    ck_assert(same_key(t, v_uint(300), v_number("300")));
    gf_table_free(t);
}
END_TEST

START_TEST(encode__orders_signed_integers_as_bytes)
{
    gf_table *t = one_column(GF_T_LONG, false);
    gf_value low = v_int(-3), high = v_int(2);
    gf_buf a = encode(t, &low), b = encode(t, &high);

    ck_assert_int_lt(memcmp(a.data, b.data, a.len), 0);
    gf_buf_free(&a);
    gf_buf_free(&b);
    gf_table_free(t);
}
END_TEST

START_TEST(encode__makes_minus_zero_zero)
{
    gf_table *t = one_column(GF_T_DOUBLE, false);

    ck_assert(same_key(t, v_double(-0.0), v_double(0.0)));
    ck_assert(!same_key(t, v_double(-1.5), v_double(1.5)));
    gf_table_free(t);
}
END_TEST

START_TEST(encode__takes_a_decimals_zerofill_away)
{
    gf_table *t = one_column(GF_T_DECIMAL, true);

    ck_assert(same_key(t, v_number("0000012.50"), v_number("12.50")));
    ck_assert(same_key(t, v_number("0000000.50"), v_number("0.50")));
    ck_assert(same_key(t, v_number("00"), v_number("0")));
    gf_table_free(t);
}
END_TEST

static gf_table *composite(void)
{
    gf_table *t = gf_table_new("shop", "orders");

    add_column(t, "id", GF_T_LONG);
    add_text(t, "name", "utf8mb4", "utf8mb4_general_ci");
    add_column(t, "f", GF_T_DOUBLE);
    add_column(t, "d", GF_T_DECIMAL);
    add_column(t, "u", GF_T_LONGLONG)->is_unsigned = true;
    add_key(t, "PRIMARY", 0, 4);
    gf_table_finish(t, "shop", "orders");
    return t;
}

START_TEST(decode__gives_back_what_was_encoded)
{
    gf_table *t = composite();
    gf_value row[5] = {v_number("-42"), v_bytes("x'y"), v_double(2.5), v_number("-12.50"), v_uint(UINT64_MAX)};
    gf_value back[5];
    gf_buf key = encode(t, row), text = {0};

    ck_assert(gf_key_decode(back, t, &t->keys[0], gf_slice_of(key.data, key.len)));
    ck_assert_int_eq(back[0].kind, GF_V_INT);
    ck_assert_int_eq(back[0].i, -42);
    ck_assert(gf_slice_eq(back[1].bytes, gf_slice_str("x'y")));
    ck_assert_double_eq(back[2].d, 2.5);
    ck_assert(gf_slice_eq(back[3].bytes, gf_slice_str("-12.50")));
    ck_assert_uint_eq(back[4].u, UINT64_MAX);
    gf_key_text(&text, t, &t->keys[0], gf_slice_of(key.data, key.len));
    ck_assert_str_eq(gf_buf_cstr(&text), "id=-42, name='x''y', f=2.5, d=-12.50, u=18446744073709551615");
    gf_buf_free(&text);
    gf_buf_free(&key);
    gf_table_free(t);
}
END_TEST

START_TEST(decode__refuses_a_key_cut_short_at_any_byte_or_too_long)
{
    gf_table *t = composite();
    gf_value row[5] = {v_int(1), v_bytes("abc"), v_double(1), v_number("1"), v_uint(1)}, back[5];
    gf_buf key = encode(t, row);

    for (size_t len = 0; len < key.len; len++) {
        uint8_t *exact = gf_malloc(len + 1); /* so that the sanitizer sees a read behind the end */

        memcpy(exact, key.data, len);
        exact = gf_realloc(exact, len > 0 ? len : 1);
        ck_assert(!gf_key_decode(back, t, &t->keys[0], gf_slice_of(exact, len)));
        free(exact);
    }
    gf_buf_byte(&key, 0);
    ck_assert(!gf_key_decode(back, t, &t->keys[0], gf_slice_of(key.data, key.len)));
    gf_buf_free(&key);
    gf_table_free(t);
}
END_TEST

START_TEST(decode__refuses_a_key_of_another_type)
{
    gf_table *numbers = one_column(GF_T_LONG, false), *texts = one_column(GF_T_VARBINARY, false);
    gf_value number = v_int(1), text = v_bytes("12345678"), back;
    gf_buf a = encode(numbers, &number), b = encode(texts, &text);

    ck_assert(!gf_key_decode(&back, texts, &texts->keys[0], gf_slice_of(a.data, a.len)));
    ck_assert(!gf_key_decode(&back, numbers, &numbers->keys[0], gf_slice_of(b.data, b.len)));
    gf_buf_free(&a);
    gf_buf_free(&b);
    gf_table_free(numbers);
    gf_table_free(texts);
}
END_TEST

START_TEST(text__cuts_long_values_and_shows_bytes_as_hex)
{
    gf_table *t = one_column(GF_T_VARBINARY, false);
    char bytes[101];
    gf_value v;
    gf_buf key, text = {0};

    memset(bytes, 'a', 100);
    bytes[100] = '\0';
    v = v_bytes(bytes);
    key = encode(t, &v);
    gf_key_text(&text, t, &t->keys[0], gf_slice_of(key.data, key.len));
    ck_assert_uint_eq(text.len, strlen("id=''...") + 64);
    gf_buf_free(&key);
    gf_buf_reset(&text);
    v = v_bytes("\x01\xff");
    key = encode(t, &v);
    gf_key_text(&text, t, &t->keys[0], gf_slice_of(key.data, key.len));
    ck_assert_str_eq(gf_buf_cstr(&text), "id=0x01FF");
    gf_buf_reset(&text);
    gf_key_text(&text, t, &t->keys[0], gf_slice_of(key.data, 3));
    ck_assert_str_eq(gf_buf_cstr(&text), "(malformed key)");
    gf_buf_free(&key);
    gf_buf_free(&text);
    gf_table_free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("key");
    TCase *tc = tcase_create("key");

    tcase_add_test(tc, encode__gives_digits_and_integers_the_same_bytes);
    tcase_add_test(tc, encode__gives_years_and_enums_the_same_bytes_from_both_ways);
    tcase_add_test(tc, encode__orders_signed_integers_as_bytes);
    tcase_add_test(tc, encode__makes_minus_zero_zero);
    tcase_add_test(tc, encode__takes_a_decimals_zerofill_away);
    tcase_add_test(tc, decode__gives_back_what_was_encoded);
    tcase_add_test(tc, decode__refuses_a_key_cut_short_at_any_byte_or_too_long);
    tcase_add_test(tc, decode__refuses_a_key_of_another_type);
    tcase_add_test(tc, text__cuts_long_values_and_shows_bytes_as_hex);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

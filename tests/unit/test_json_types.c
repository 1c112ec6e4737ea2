/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gfreplica/json_types.h"
#include "run_suite.h"

/* Members and elements are numbered container after container, as they open; the server's own numbering is what
   tests/integration/test_values.c asks. */
static const struct {
    const char *text, *types,
        *marked; /* marks as digits behind a '#'; "?": not told, "!": of a type that is not known */
} cases[] = {
    {"{}", "0:|0:|OBJECT", "{}"},
    {"null", "0:|0:|NULL", "null"},
    {"1.50", "0:|0:|DECIMAL", "#31.50"},
    {"\"2024-01-02\"", "0:|0:|DATE", "#4\"2024-01-02\""},
    {"5", "0:|0:|UNSIGNED INTEGER", "#25"},
    {"[1, 2.5, \"a\"]", "0:|1:2 DECIMAL|ARRAY", "[1, #32.5, \"a\"]"},
    {"{\"a\": [1.50, 2], \"b\": \"2024-01-02\", \"c\": {\"d\": 3}}", "1:2 DATE|1:1 DECIMAL|OBJECT",
     "{\"a\": [#31.50, 2], \"b\": #4\"2024-01-02\", \"c\": {\"d\": 3}}"},
    {"{\"a\": {\"x\": 1, \"y\": {\"z\": 2}}, \"b\": 3}", "3:2 DECIMAL,3 DECIMAL,5 UNSIGNED INTEGER|0:|OBJECT",
     "{\"a\": {\"x\": #31, \"y\": {\"z\": #22}}, \"b\": #33}"},
    {"[[1, [2]], [3]]", "0:|2:5 DECIMAL,6 UNSIGNED INTEGER|ARRAY", "[[1, [#32]], [#23]]"},
    {"{\"q\\\"]}\": \"[{\\\"\", \"r\": 1}", "1:2 DECIMAL|0:|OBJECT", "{\"q\\\"]}\": \"[{\\\"\", \"r\": #31}"},
    {"[4294967295, 4294967296, 4294967296, -4294967296, 9223372036854775807]", "0:|1:3 UNSIGNED INTEGER|ARRAY",
     "[4294967295, #14294967296, 4294967296, -4294967296, #19223372036854775807]"},
    {"[12345678901.5, 1e22, \"4294967296\"]", "0:|0:|ARRAY", "[12345678901.5, 1e22, \"4294967296\"]"},
    {"[4294967296, 1]", "0:|1:1 DECIMAL|ARRAY", "[#34294967296, 1]"},
    {"[1]", NULL, "?"},
    {"[1]", "", "?"},
    {"[1]", "0:|", "?"},
    {"[1]", "0:|1:1 DATE|ARRAY", "?"}, /* a number */
    {"[\"a\"]", "0:|1:1 DECIMAL|ARRAY", "?"},
    {"[\"a\"]", "0:|1:1 UNSIGNED INTEGER|ARRAY", "?"},
    {"[1]", "0:|1:2 DECIMAL|ARRAY", "?"}, /* there is no second */
    {"[1, 2]", "0:|2:2 DECIMAL,1 DECIMAL|ARRAY", "?"},
    {"[1, 2]", "0:|2:1 DECIMAL|ARRAY", "?"}, /* cut short */
    {"[[1]]", "0:|1:1 DECIMAL|ARRAY", "?"},  /* an array is no decimal */
    {"[1]", "0:|1:1 TENSOR|ARRAY", "!"},
    {"[1]", "0:|0:|TENSOR", "!"},
    {"[4294967296", "0:|0:|ARRAY", "?"},
    {"4294967296]", "0:|0:|ARRAY", "?"},
};

START_TEST(types__are_marked)
{
    gf_arena arena = {0};
    gf_buf shown = {0};
    gf_slice out = gf_json_types_mark(gf_slice_str(cases[_i].text), cases[_i].types, &arena);

    for (size_t i = 0; i < out.len; i++) {
        if (out.data[i] < ' ')
            gf_buf_printf(&shown, "#%u", out.data[i]);
        else
            gf_buf_byte(&shown, out.data[i]);
    }
    if (strchr("?!", cases[_i].marked[0]) != NULL)
        ck_assert_msg(out.data[0] == (cases[_i].marked[0] == '?' ? GF_JSON_UNTOLD : GF_JSON_UNKNOWN) &&
                          gf_slice_eq(gf_slice_of(out.data + 1, out.len - 1), gf_slice_str(cases[_i].text)),
                      "%s", gf_buf_cstr(&shown));
    else
        ck_assert_str_eq(gf_buf_cstr(&shown), cases[_i].marked);
    gf_buf_free(&shown);
    gf_arena_free(&arena);
}
END_TEST

START_TEST(types__are_not_told_of_what_is_too_deep)
{
    gf_arena arena = {0};
    gf_buf text = {0};

    for (unsigned i = 0; i < 200; i++)
        gf_buf_byte(&text, '[');
    gf_buf_str(&text, "4294967296");
    for (unsigned i = 0; i < 200; i++)
        gf_buf_byte(&text, ']');
    ck_assert_uint_eq(gf_json_types_mark(gf_slice_of(text.data, text.len), "0:|0:|ARRAY", &arena).data[0],
                      GF_JSON_UNTOLD);
    gf_buf_free(&text);
    gf_arena_free(&arena);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json_types");
    TCase *t = tcase_create("json_types");

    tcase_add_loop_test(t, types__are_marked, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(t, types__are_not_told_of_what_is_too_deep);
    suite_add_tcase(s, t);
    return run_suite(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_literals.c - definitions as they are stored become UTF-8.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/catalog/literals.h"
#include "run_suite.h"

/* utf8 NULL: there is something else that is no UTF-8. */
static const struct {
    const char *stored, *utf8;
} cases[] = {
    {"", ""},
    {"CREATE TABLE `t` (`a` int DEFAULT '5')", "CREATE TABLE `t` (`a` int DEFAULT '5')"},
    {"_latin1'abc'", "_latin1'abc'"},
    {"concat(_latin1'\xC9',`a`)", "concat(_latin1 X'C9',`a`)"},
    {"_latin1'\xC9\\'\\\\\\n\\0'", "_latin1 X'C9275C0A00'"},
    {"_latin1'\xC9''x'", "_latin1 X'C92778'"},
    {"_sjis'\x83\x83\\\\'", "_sjis X'83835C'"},
    {"_utf8mb4'\xC3\x89' _utf8mb3'\xC3\x89'", "_utf8mb4'\xC3\x89' _utf8mb3'\xC3\x89'"},
    {"'\xC3\x89' COMMENT '_latin1 it''s \xC3\x89'", "'\xC3\x89' COMMENT '_latin1 it''s \xC3\x89'"},
    {"`_latin1'\xC3\x89` int", "`_latin1'\xC3\x89` int"},
    {"a_latin1'\xC3\x89'", "a_latin1'\xC3\x89'"},
    {"DEFAULT '\xC9'", "DEFAULT X'C9'"},
    {"DEFAULT '\\0\xFF\'\''", "DEFAULT X'00FF27'"},
    {"`\xC9` int", NULL},
    {"_utf8mb4'\xF0\x9F\x98'", "_utf8mb4 X'F09F98'"},
    {"_latin1'\xC9", "_latin1 X''"}, /* cut off: whatever it is, it ends */
};

START_TEST(literals__become_utf8)
{
    gf_buf out = {0};
    bool ok = gf_literals_to_utf8(&out, cases[_i].stored);

    ck_assert_int_eq(ok, cases[_i].utf8 != NULL);
    if (ok)
        ck_assert_str_eq(gf_buf_cstr(&out), cases[_i].utf8);
    gf_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("literals");
    TCase *t = tcase_create("literals");

    tcase_add_loop_test(t, literals__become_utf8, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}

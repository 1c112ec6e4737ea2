/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/position.h"
#include "run_suite.h"

#define UUID_A "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define UUID_B "4f22ab58-71ca-11e1-9e33-c80aa9429562"

static gf_gtid_set *set_of(const char *text)
{
    gf_gtid_set *set = gf_gtid_set_new();
    gf_error err;

    ck_assert_msg(gf_gtid_set_parse(set, text, &err), "%s", err.text);
    return set;
}

static void assert_set(const gf_gtid_set *set, const char *expected)
{
    gf_buf text = {0};

    gf_gtid_set_text(set, &text);
    ck_assert_str_eq(gf_buf_cstr(&text), expected);
    gf_buf_free(&text);
}

static const struct {
    const char *text, *normal;
} readings[] = {
    {"", ""},
    {" , ,", ""},
    {UUID_A ":1", UUID_A ":1"},
    {"3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3", UUID_A ":1-3"},
    {UUID_A ":1-3:4:7-9", UUID_A ":1-4:7-9"},
    {UUID_A ":7-9:1-3:2-8", UUID_A ":1-9"},
    {UUID_B ":1,\n" UUID_A ":5", UUID_A ":5," UUID_B ":1"},
    {UUID_A ":1-3:Tag_1:5:7-8", UUID_A ":1-3:tag_1:5:7-8"},
    {UUID_A ":b:1:a:1:1-2", UUID_A ":a:1-2:b:1"},
    {UUID_A ":1," UUID_A ":2", UUID_A ":1-2"},
    {UUID_A ":9223372036854775806", UUID_A ":9223372036854775806"},
};

START_TEST(parse__gives_the_normal_form)
{
    gf_gtid_set *set = set_of(readings[_i].text);

    assert_set(set, readings[_i].normal);
    ck_assert(gf_gtid_set_empty(set) == (readings[_i].normal[0] == '\0'));
    gf_gtid_set_free(set);
}
END_TEST

static const char *const malformed[] = {
    "x",
    UUID_A,
    UUID_A ":",
    UUID_A ":0",
    UUID_A ":3-2",
    UUID_A ":1-",
    UUID_A ":tag",
    UUID_A ":1:tag",
    UUID_A ":9223372036854775807",
    UUID_A ":99999999999999999999999",
    UUID_A ":abcdefghijklmnopqrstuvwxyz1234567:1",
    UUID_A ":1 " UUID_B ":1",
    "3e11fa4771ca11e19e33c80aa9429562:1",
    UUID_A ":1,z",
};

START_TEST(parse__refuses_and_keeps_what_was_there)
{
    gf_gtid_set *set = set_of(UUID_A ":5");
    gf_error err;

    ck_assert(!gf_gtid_set_parse(set, malformed[_i], &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    assert_set(set, UUID_A ":5");
    gf_gtid_set_free(set);
}
END_TEST

START_TEST(add__joins_neighbours_in_any_order)
{
    static const uint8_t uuid[16] = {1, 2, 3};
    static const unsigned order[] = {5, 1, 9, 3, 2, 8, 4, 10, 6, 7};
    gf_gtid_set *set = gf_gtid_set_new();

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        ck_assert(!gf_gtid_set_has(set, uuid, "", order[i]));
        gf_gtid_set_add(set, uuid, "", order[i]);
        ck_assert(gf_gtid_set_has(set, uuid, "", order[i]));
    }
    assert_set(set, "01020300-0000-0000-0000-000000000000:1-10");
    ck_assert(!gf_gtid_set_has(set, uuid, "t", 5));
    ck_assert(!gf_gtid_set_has(set, uuid, "", 11));
    gf_gtid_set_free(set);
}
END_TEST

static const struct {
    const char *set, *subset;
    bool contains;
} containments[] = {
    {UUID_A ":1-10", "", true},
    {"", "", true},
    {"", UUID_A ":1", false},
    {UUID_A ":1-10", UUID_A ":3-5:10", true},
    {UUID_A ":1-10", UUID_A ":3-11", false},
    {UUID_A ":1-3:5-9", UUID_A ":3-5", false},
    {UUID_A ":1-10", UUID_B ":1", false},
    {UUID_A ":1-10", UUID_A ":t:1", false},
    {UUID_A ":1-10:t:1-2", UUID_A ":t:2", true},
};

START_TEST(contains__compares_every_interval)
{
    gf_gtid_set *set = set_of(containments[_i].set), *subset = set_of(containments[_i].subset);

    ck_assert(gf_gtid_set_contains(set, subset) == containments[_i].contains);
    gf_gtid_set_free(set);
    gf_gtid_set_free(subset);
}
END_TEST

START_TEST(copy_and_union__are_independent)
{
    gf_gtid_set *a = set_of(UUID_A ":1-3"), *b = gf_gtid_set_copy(a), *c = set_of(UUID_A ":4," UUID_B ":x:9");

    gf_gtid_set_union(b, c);
    assert_set(a, UUID_A ":1-3");
    assert_set(b, UUID_A ":1-4," UUID_B ":x:9");
    gf_gtid_set_free(a);
    gf_gtid_set_free(b);
    gf_gtid_set_free(c);
}
END_TEST

START_TEST(encode__is_read_back)
{
    gf_gtid_set *set = set_of(readings[_i].text), *back = gf_gtid_set_new();
    gf_buf bytes = {0};
    gf_error err;

    gf_gtid_set_encode(set, &bytes);
    ck_assert_msg(gf_gtid_set_decode(back, gf_slice_of(bytes.data, bytes.len), &err), "%s", err.text);
    assert_set(back, readings[_i].normal);
    gf_gtid_set_free(set);
    gf_gtid_set_free(back);
    gf_buf_free(&bytes);
}
END_TEST

START_TEST(encode__has_the_servers_layout)
{
    static const uint8_t untagged[] = {1, 0, 0, 0, 0, 0, 0, 0}, tagged[] = {1, 2, 0, 0, 0, 0, 0, 1};
    gf_gtid_set *set = set_of(UUID_A ":1-3");
    gf_buf bytes = {0};

    gf_gtid_set_encode(set, &bytes);
    ck_assert_uint_eq(bytes.len, 8 + 16 + 8 + 16);
    ck_assert_mem_eq(bytes.data, untagged, 8);
    ck_assert_uint_eq(bytes.data[40], 4); /* the end is exclusive */
    gf_gtid_set_free(set);
    gf_buf_reset(&bytes);
    set = set_of(UUID_A ":1:ab:1");
    gf_gtid_set_encode(set, &bytes);
    ck_assert_mem_eq(bytes.data, tagged, 8);
    ck_assert_uint_eq(bytes.data[24], 0);                       /* first entry: no tag */
    ck_assert_uint_eq(bytes.data[8 + 16 + 1 + 8 + 16 + 16], 4); /* second: length 2, doubled */
    gf_gtid_set_free(set);
    gf_buf_free(&bytes);
}
END_TEST

START_TEST(decode__refuses_every_cut)
{
    gf_gtid_set *set = set_of(UUID_A ":1-3:9:tag:4," UUID_B ":7"), *back = gf_gtid_set_new();
    gf_buf bytes = {0};
    gf_error err;

    gf_gtid_set_encode(set, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = gf_malloc(len); /* so that reading on is seen */

        memcpy(exact, bytes.data, len);
        ck_assert(!gf_gtid_set_decode(back, gf_slice_of(exact, len), &err));
        free(exact);
    }
    ck_assert(gf_gtid_set_empty(back));
    gf_gtid_set_free(set);
    gf_gtid_set_free(back);
    gf_buf_free(&bytes);
}
END_TEST

static const struct {
    const char *text, *normal; /* NULL: refused */
} maria_readings[] = {
    {"", ""},
    {"0-1-100", "0-1-100"},
    {" 3-2-1 , 0-4294967295-18446744073709551615", "0-4294967295-18446744073709551615,3-2-1"},
    {"0-1-5,0-2-7", "0-2-7"},
    {"0-1", NULL},
    {"0-1-2-3", NULL},
    {"4294967296-1-1", NULL},
    {"0-1-18446744073709551616", NULL},
    {"0-1-1 0-1-2", NULL},
    {"a-1-1", NULL},
    {"0-1-1,,", NULL},
};

START_TEST(maria_parse__gives_the_last_of_each_domain)
{
    gf_maria_pos pos = {0};
    gf_buf text = {0};
    gf_error err;
    bool ok = gf_maria_pos_parse(&pos, maria_readings[_i].text, &err);

    ck_assert(ok == (maria_readings[_i].normal != NULL));
    gf_maria_pos_text(&pos, &text);
    ck_assert_str_eq(gf_buf_cstr(&text), ok ? maria_readings[_i].normal : "");
    gf_buf_free(&text);
    gf_maria_pos_free(&pos);
}
END_TEST

static const struct {
    const char *file_a;
    uint64_t offset_a;
    const char *file_b;
    uint64_t offset_b;
    int order;
} orders[] = {
    {"binlog.000001", 4, "binlog.000001", 4, 0},
    {"binlog.000001", 5, "binlog.000001", 4, 1},
    {"binlog.000009", 900, "binlog.000010", 4, -1},
    {"binlog.999999", 900, "binlog.1000000", 4, -1},
    {"a.b.000002", 4, "a.b.000001", 4, 1},
    {"", 0, "binlog.000001", 4, -1},
    {"", 900, "", 4, 1},
    {"binlog.000001", 0x1ffffffffULL, "binlog.000001", 0xffffffffULL, 1},
};

START_TEST(cmp__orders_by_number_then_offset)
{
    int order = gf_binlog_cmp(orders[_i].file_a, orders[_i].offset_a, orders[_i].file_b, orders[_i].offset_b);
    int back = gf_binlog_cmp(orders[_i].file_b, orders[_i].offset_b, orders[_i].file_a, orders[_i].offset_a);

    ck_assert_int_eq((order > 0) - (order < 0), orders[_i].order);
    ck_assert_int_eq((back > 0) - (back < 0), -orders[_i].order);
}
END_TEST

static const struct {
    gf_flavor flavor;
    const char *gtids;
} kept[] = {
    {GF_FLAVOR_MYSQL, ""},
    {GF_FLAVOR_MYSQL, "-"},
    {GF_FLAVOR_MYSQL, UUID_A ":1-3:t:1"},
    {GF_FLAVOR_MARIADB, ""},
    {GF_FLAVOR_MARIADB, "0-1-2,5-1-1"},
};

START_TEST(position__survives_text)
{
    gf_position pos = {0}, copy = {0};
    gf_buf text = {0};
    gf_error err;

    ck_assert(gf_position_parse(&pos, kept[_i].flavor, "binlog.000007", 4711, kept[_i].gtids, &err));
    gf_position_copy(&copy, &pos);
    gf_position_gtid_text(&copy, &text);
    ck_assert_str_eq(gf_buf_cstr(&text), kept[_i].gtids);
    ck_assert(gf_position_cmp(&pos, &copy) == 0);
    /* "no GTIDs" and "GTIDs, none yet" are two things: a start by file, a start by GTID. */
    ck_assert((copy.gtids != NULL) == (kept[_i].flavor == GF_FLAVOR_MYSQL && kept[_i].gtids[0] != '\0'));
    gf_position_free(&pos);
    gf_position_free(&copy);
    gf_buf_free(&text);
}
END_TEST

#define ADD_EACH(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("position");
    TCase *tc = tcase_create("all");

    ADD_EACH(tc, parse__gives_the_normal_form, readings);
    ADD_EACH(tc, parse__refuses_and_keeps_what_was_there, malformed);
    tcase_add_test(tc, add__joins_neighbours_in_any_order);
    ADD_EACH(tc, contains__compares_every_interval, containments);
    tcase_add_test(tc, copy_and_union__are_independent);
    ADD_EACH(tc, encode__is_read_back, readings);
    tcase_add_test(tc, encode__has_the_servers_layout);
    tcase_add_test(tc, decode__refuses_every_cut);
    ADD_EACH(tc, maria_parse__gives_the_last_of_each_domain, maria_readings);
    ADD_EACH(tc, cmp__orders_by_number_then_offset, orders);
    ADD_EACH(tc, position__survives_text, kept);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

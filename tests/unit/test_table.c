/* SPDX-License-Identifier: MIT */
/* What a table derives from its columns and keys, and the map of tables. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "catalog_fixture.h"
#include "run_suite.h"

static gf_table *sample(const char *engine)
{
    gf_table *t = gf_table_new("sh`op", "ord.ers");

    t->engine = gf_strdup(engine);
    add_column(t, "id", GF_T_LONG);
    add_column(t, "n`o", GF_T_LONG)->nullable = true;
    add_column(t, "twice", GF_T_LONG)->generated = GF_GEN_VIRTUAL;
    add_column(t, "since", GF_T_TIMESTAMP)->row_period = true;
    return t;
}

START_TEST(finish__quotes_names_and_leaves_generated_columns_unwritten)
{
    gf_table *t = sample("InnoDB");

    gf_table_finish(t, "store", "x");
    ck_assert_str_eq(t->source_sql, "`sh``op`.`ord.ers`");
    ck_assert_str_eq(t->target_sql, "`store`.`x`");
    ck_assert_str_eq(t->label, "sh`op.ord.ers");
    ck_assert_str_eq(t->write_columns, "`id`,`n``o`");
    ck_assert(t->writes[0] && t->writes[1] && !t->writes[2] && !t->writes[3]);
    ck_assert(t->transactional);
    gf_table_free(t);
}
END_TEST

START_TEST(finish__takes_only_known_engines_for_transactional)
{
    gf_table *t = sample("MyISAM");

    gf_table_finish(t, "a", "b");
    ck_assert(!t->transactional);
    gf_table_free(t);
}
END_TEST

static int identity_with(void (*change)(gf_table *t))
{
    gf_table *t = sample("InnoDB");
    int identity;

    add_key(t, "a", 0, 0);
    add_key(t, "b", 0, 0);
    change(t);
    gf_table_finish(t, "a", "b");
    identity = t->identity;
    gf_table_free(t);
    return identity;
}

static void nothing(gf_table *t)
{
    (void)t;
}
static void nullable(gf_table *t)
{
    t->columns[0].nullable = true;
}
static void prefix(gf_table *t)
{
    t->keys[0].parts[0].prefix = 3;
}
static void functional(gf_table *t)
{
    t->keys[0].functional = true;
}
static void hashed(gf_table *t)
{
    t->keys[0].hashed = true;
}
static void invisible(gf_table *t)
{
    t->keys[0].invisible = true;
}
static void all_invisible(gf_table *t)
{
    t->keys[0].invisible = t->keys[1].invisible = true;
}
static void none(gf_table *t)
{
    hashed(t);
    t->keys[1].functional = true;
}

START_TEST(identity__is_the_first_key_that_names_and_orders_every_row)
{
    static const struct {
        void (*change)(gf_table *t);
        int expected;
    } cases[] = {{nothing, 0}, {nullable, -1}, {prefix, 1},        {functional, 1},
                 {hashed, 1},  {invisible, 1}, {all_invisible, 0}, {none, -1}};

    ck_assert_int_eq(identity_with(cases[_i].change), cases[_i].expected);
}
END_TEST

static uint64_t fingerprint_with(void (*change)(gf_table *t))
{
    gf_table *t = sample("InnoDB");
    uint64_t f;

    add_key(t, "a", 0, 0);
    change(t);
    gf_table_finish(t, "a", "b");
    f = t->fingerprint;
    gf_table_free(t);
    return f;
}

static void retype(gf_table *t)
{
    free(t->columns[0].type_text);
    t->columns[0].type_text = gf_strdup("bigint");
}

START_TEST(fingerprint__changes_with_columns_and_keys_only)
{
    ck_assert_uint_eq(fingerprint_with(nothing), fingerprint_with(nothing));
    ck_assert_uint_ne(fingerprint_with(nothing), fingerprint_with(nullable));
    ck_assert_uint_ne(fingerprint_with(nothing), fingerprint_with(retype));
    ck_assert_uint_ne(fingerprint_with(nothing), fingerprint_with(prefix));
}
END_TEST

static gf_table *plain(const char *db, const char *name)
{
    gf_table *t = gf_table_new(db, name);

    gf_table_finish(t, db, name);
    return t;
}

static const gf_table *find(gf_catalog *c, const char *db, const char *name)
{
    return gf_catalog_find(c, db, strlen(db), name, strlen(name));
}

START_TEST(catalog__replaces_an_entry_and_keeps_the_old_table)
{
    gf_catalog *c = gf_catalog_new();
    const gf_table *first, *second;

    gf_catalog_put(c, plain("a", "t"));
    first = find(c, "a", "t");
    gf_catalog_put(c, plain("a", "t"));
    second = find(c, "a", "t");
    ck_assert_ptr_ne(first, second);
    ck_assert_uint_ne(first->id, second->id);
    ck_assert_str_eq(first->label, "a.t"); /* still there */
    ck_assert_uint_eq(gf_catalog_count(c), 1);
    gf_catalog_remove(c, "a", "t");
    ck_assert_ptr_null(find(c, "a", "t"));
    gf_catalog_remove(c, "a", "t");
    ck_assert_str_eq(second->label, "a.t");
    gf_catalog_free(c);
}
END_TEST

START_TEST(catalog__tells_names_apart_that_join_to_the_same_text)
{
    gf_catalog *c = gf_catalog_new();
    char huge[600];

    gf_catalog_put(c, plain("a.b", "c"));
    gf_catalog_put(c, plain("a", "b.c"));
    ck_assert_ptr_ne(find(c, "a.b", "c"), find(c, "a", "b.c"));
    ck_assert_ptr_null(find(c, "A.b", "c"));
    memset(huge, 'x', sizeof huge);
    ck_assert_ptr_null(gf_catalog_find(c, huge, sizeof huge, "t", 1));
    gf_catalog_free(c);
}
END_TEST

START_TEST(catalog__finds_names_in_any_case_when_told_so)
{
    gf_catalog *c = gf_catalog_new();

    gf_catalog_fold_case(c);
    gf_catalog_put(c, plain("Shop", "Orders"));
    ck_assert_ptr_nonnull(find(c, "SHOP", "orders"));
    ck_assert_str_eq(find(c, "shop", "orders")->name, "Orders");
    gf_catalog_free(c);
}
END_TEST

START_TEST(catalog__lists_in_order_of_names)
{
    gf_catalog *c = gf_catalog_new();
    const gf_table **list;

    gf_catalog_put(c, plain("b", "a"));
    gf_catalog_put(c, plain("a", "z"));
    gf_catalog_put(c, plain("a", "b"));
    ck_assert_uint_eq(gf_catalog_list(c, &list), 3);
    ck_assert_str_eq(list[0]->label, "a.b");
    ck_assert_str_eq(list[1]->label, "a.z");
    ck_assert_str_eq(list[2]->label, "b.a");
    free(list);
    gf_catalog_free(c);
}
END_TEST

static void *look_up(void *arg)
{
    for (int i = 0; i < 20000; i++)
        ck_assert_str_eq(find(arg, "a", "t")->label, "a.t");
    return NULL;
}

START_TEST(catalog__serves_readers_while_definitions_are_replaced)
{
    gf_catalog *c = gf_catalog_new();
    pthread_t readers[2];

    gf_catalog_put(c, plain("a", "t"));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, look_up, c), 0);
    for (int i = 0; i < 2000; i++)
        gf_catalog_put(c, plain("a", "t"));
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    gf_catalog_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("table");
    TCase *tc = tcase_create("table");

    tcase_add_test(tc, finish__quotes_names_and_leaves_generated_columns_unwritten);
    tcase_add_test(tc, finish__takes_only_known_engines_for_transactional);
    tcase_add_loop_test(tc, identity__is_the_first_key_that_names_and_orders_every_row, 0, 8);
    tcase_add_test(tc, fingerprint__changes_with_columns_and_keys_only);
    tcase_add_test(tc, catalog__replaces_an_entry_and_keeps_the_old_table);
    tcase_add_test(tc, catalog__tells_names_apart_that_join_to_the_same_text);
    tcase_add_test(tc, catalog__finds_names_in_any_case_when_told_so);
    tcase_add_test(tc, catalog__lists_in_order_of_names);
    tcase_add_test(tc, catalog__serves_readers_while_definitions_are_replaced);
    suite_add_tcase(s, tc);
    return run_suite(s);
}

/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/target/batch_sql.h"
#include "run_suite.h"

/* d.t (k, v) with the key k; d.p (a, b, v) with the key (a, b); d.n (k) without. */
static gf_table *single, *pair, *none;

static gf_table *make(const char *name, unsigned columns, unsigned key_parts)
{
    static const char *const names[] = {"k", "b", "v"};
    gf_table *t = gf_table_new("d", name);

    t->columns = gf_calloc(columns, sizeof(*t->columns));
    t->column_count = columns;
    for (unsigned i = 0; i < columns; i++) {
        gf_column *c = &t->columns[i];

        c->name = gf_strdup(names[columns == 3 ? i : i * 2]);
        c->type_text = gf_strdup("int");
        c->type = GF_T_LONG;
    }
    t->engine = gf_strdup("InnoDB");
    t->transactional = true;
    if (key_parts > 0) {
        t->keys = gf_calloc(1, sizeof(*t->keys));
        t->key_count = 1;
        t->keys[0] = (gf_key){.name = gf_strdup("PRIMARY"), .part_count = key_parts, .unique = true};
        t->keys[0].parts = gf_calloc(key_parts, sizeof(gf_key_part));
        for (unsigned i = 0; i < key_parts; i++)
            t->keys[0].parts[i].column = i;
    }
    gf_table_finish(t, "e", name);
    return t;
}

static void setup(void)
{
    single = make("t", 2, 1);
    pair = make("p", 3, 2);
    none = make("n", 1, 0);
}

static void teardown(void)
{
    gf_table_free(single);
    gf_table_free(pair);
    gf_table_free(none);
}

static gf_slice text(const char *s)
{
    return s == NULL ? (gf_slice){0} : gf_slice_str(s);
}

/* The key's text serves as its canonical form and as the literal that names the row. */
static void change(gf_batch *b, const gf_table *t, const char *before, const char *after, const char *tuple)
{
    gf_change *c = gf_batch_add(b);

    c->table = t;
    c->op = before == NULL ? GF_OP_INSERT : after == NULL ? GF_OP_DELETE : GF_OP_UPDATE;
    c->before_key = c->before_where = text(before);
    c->after_key = text(after);
    c->tuple = text(tuple);
}

static bool collect(void *ctx, const gf_stmt *s, gf_error *err)
{
    (void)err;
    gf_buf_printf(ctx, "%.*s  -- %u rows, %d..%d%s%s%s\n", (int)s->sql.len, (const char *)s->sql.data, s->rows,
                  (int)s->least, (int)s->most, s->relaxed ? " relaxed" : "", s->alone ? " alone" : "",
                  s->last ? " last" : "");
    return true;
}

static const gf_sql_options usual = {.aim = 1 << 20, .packet = 1 << 24, .prefix = ""};

static void check(gf_batch *b, const gf_sql_options *o, const char *expected)
{
    gf_buf out = {0};
    gf_error err = {0};

    ck_assert_msg(gf_batch_sql(b, o, collect, &out, &err), "%s", err.text);
    ck_assert_str_eq(gf_buf_cstr(&out), expected);
    gf_buf_free(&out);
    gf_batch_free(b);
}

START_TEST(batch__deletes_before_it_replaces_and_writes_last_images_only)
{
    gf_batch *b = gf_batch_new();

    change(b, single, NULL, "1", "(1,10)");
    change(b, single, "2", "2", "(2,20)");
    change(b, single, "2", "2", "(2,21)");
    change(b, single, "3", NULL, NULL);
    change(b, single, "4", "5", "(5,40)"); /* the key changes */
    change(b, single, "1", "1", "(1,11)");
    change(b, single, "6", "6", "(6,60)");
    check(b, &usual,
          "DELETE FROM `e`.`t` WHERE `k` IN (3,4)  -- 2 rows, 2..2 last\n"
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,11),(2,21),(5,40),(6,60)  -- 4 rows, 5..6 last\n");
}
END_TEST

START_TEST(batch__of_a_row_that_came_and_went_expects_nothing)
{
    gf_batch *b = gf_batch_new();

    change(b, single, NULL, "1", "(1,10)");
    change(b, single, "1", NULL, NULL);
    change(b, single, "2", NULL, NULL);
    change(b, single, NULL, "2", "(2,20)"); /* may be as it was */
    check(b, &usual,
          "DELETE FROM `e`.`t` WHERE `k` IN (1)  -- 1 rows, 0..1 last\n"
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (2,20)  -- 1 rows, 1..2 last\n");
}
END_TEST

START_TEST(batch__names_rows_of_longer_keys_by_predicates)
{
    gf_batch *b = gf_batch_new();

    change(b, pair, "(`k`=1 AND `b`=2)", NULL, NULL);
    change(b, pair, "(`k`=1 AND `b`=3)", NULL, NULL);
    change(b, single, NULL, "1", "(1,1)");
    check(b, &usual,
          "DELETE FROM `e`.`p` WHERE (`k`=1 AND `b`=2) OR (`k`=1 AND `b`=3)  -- 2 rows, 2..2 last\n"
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,1)  -- 1 rows, 1..1 last\n");
}
END_TEST

START_TEST(batch__keeps_the_order_of_keyless_changes)
{
    gf_batch *b = gf_batch_new();

    change(b, none, NULL, "", "(1)");
    change(b, none, NULL, "", "(1)");
    change(b, none, "(`k`<=>1)", "", "(2)");
    change(b, none, "(`k`<=>2)", NULL, NULL);
    check(b, &usual,
          "INSERT INTO `e`.`n` (`k`) VALUES (1),(1)  -- 2 rows, 2..2 alone last\n"
          "DELETE FROM `e`.`n` WHERE (`k`<=>1) LIMIT 1  -- 1 rows, 1..1 alone last\n"
          "INSERT INTO `e`.`n` (`k`) VALUES (2)  -- 1 rows, 1..1 alone last\n"
          "DELETE FROM `e`.`n` WHERE (`k`<=>2) LIMIT 1  -- 1 rows, 1..1 alone last\n");
}
END_TEST

START_TEST(batch__gives_relaxed_rows_statements_of_their_own)
{
    gf_batch *b = gf_batch_new();

    change(b, single, NULL, "1", "(1,1)");
    change(b, single, NULL, "2", "(2,2)");
    b->changes[1].relaxed = true;
    change(b, single, NULL, "3", "(3,3)");
    check(b, &usual,
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,1)  -- 1 rows, 1..1\n"
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (2,2)  -- 1 rows, 1..1 relaxed\n"
          "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (3,3)  -- 1 rows, 1..1 last\n");
}
END_TEST

START_TEST(batch__splits_where_a_statement_would_grow_too_long)
{
    gf_sql_options small = {.aim = 54, .packet = 1000, .prefix = "/*x*/ "};
    gf_batch *b = gf_batch_new();

    change(b, single, NULL, "1", "(1,1)");
    change(b, single, NULL, "2", "(2,2)");
    change(b, single, NULL, "3", "(3,3)");
    check(b, &small,
          "/*x*/ REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,1)  -- 1 rows, 1..1\n"
          "/*x*/ REPLACE INTO `e`.`t` (`k`,`v`) VALUES (2,2)  -- 1 rows, 1..1\n"
          "/*x*/ REPLACE INTO `e`.`t` (`k`,`v`) VALUES (3,3)  -- 1 rows, 1..1 last\n");
}
END_TEST

START_TEST(batch__expects_less_of_columns_whose_form_is_the_servers_choice)
{
    gf_batch *b = gf_batch_new();

    single->columns[1].type = GF_T_JSON;
    change(b, single, "1", "1", "(1,'{}')");
    check(b, &usual, "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,'{}')  -- 1 rows, 1..2 last\n");
}
END_TEST

START_TEST(batch__refuses_a_row_that_the_packet_forbids)
{
    gf_sql_options tiny = {.aim = 1 << 20, .packet = 60, .prefix = ""};
    gf_batch *b = gf_batch_new();
    gf_buf out = {0};
    gf_error err = {0};

    change(b, single, NULL, "1", "(1,1)");
    change(b, single, NULL, "2", "(2,1234567890123456789012345678)");
    ck_assert(!gf_batch_sql(b, &tiny, collect, &out, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "d.t"));
    ck_assert_ptr_nonnull(strstr(err.text, "max_allowed_packet"));
    gf_buf_free(&out);
    gf_batch_free(b);
}
END_TEST

/* ---- net effect against a model, with keys that the target's collation holds equal ---- */

enum { KEYS = 6 };

/* What a server does with the statements: keys 'a' and 'A' are one row. */
struct table {
    char key[KEYS]; /* 0 = no row; else the key's byte */
    int value[KEYS];
    uint64_t affected;
    bool bad;
};

static void play_delete(struct table *t, const char *p)
{
    for (; *p != '\0' && *p != ')'; p++) {
        int i = *p == ',' ? -1 : (*p | 0x20) - 'a';

        if (i >= 0 && t->key[i] != 0) {
            t->key[i] = 0;
            t->affected++;
        }
    }
}

static void play_replace(struct table *t, const char *p)
{
    char key;
    int value, used;

    while (sscanf(p, "(%c,%d)%n", &key, &value, &used) == 2) {
        int i = (key | 0x20) - 'a';
        bool there = t->key[i] != 0, same = there && t->key[i] == key && t->value[i] == value;

        t->affected += there && !same ? 2 : 1;
        t->key[i] = key;
        t->value[i] = value;
        p += used + (p[used] == ',');
    }
}

static bool play(void *ctx, const gf_stmt *s, gf_error *err)
{
    struct table *t = ctx;
    char *sql = gf_strndup((const char *)s->sql.data, s->sql.len);

    (void)err;
    t->affected = 0;
    if (s->deletes)
        play_delete(t, strstr(sql, "IN (") + 4);
    else
        play_replace(t, strstr(sql, "VALUES ") + 7);
    if (!s->last || t->affected < s->least || t->affected > s->most)
        t->bad = true;
    free(sql);
    return true;
}

static gf_slice kept(gf_batch *b, const char *s)
{
    return gf_arena_copy(&b->arena, s, strlen(s));
}

/* One row event on a source with the same collation. */
static void random_change(gf_batch *b, struct table *source, unsigned *seed)
{
    int i = rand_r(seed) % KEYS, to = rand_r(seed) % KEYS, what = rand_r(seed) % 4;
    char old[2] = {source->key[i], 0}, new[2] = {(char)((rand_r(seed) % 2 ? 'A' : 'a') + i), 0}, tuple[32];
    bool there = old[0] != 0;
    gf_change *c;

    if (there && what == 0 && source->key[to] == 0) {
        new[0] = (char)('a' + to);
        source->key[i] = 0;
        i = to;
    }
    c = gf_batch_add(b);
    c->table = single;
    c->op = !there ? GF_OP_INSERT : what == 1 ? GF_OP_DELETE : GF_OP_UPDATE;
    if (there)
        c->before_key = c->before_where = kept(b, old);
    source->key[i] = 0;
    if (c->op == GF_OP_DELETE)
        return;
    source->key[i] = new[0];
    source->value[i] = source->value[i] + 1 + rand_r(seed) % 2; /* an update changes something */
    snprintf(tuple, sizeof(tuple), "(%s,%d)", new, source->value[i]);
    c->after_key = kept(b, new);
    c->tuple = kept(b, tuple);
}

START_TEST(batch__has_the_sources_effect_and_never_alarms_falsely)
{
    struct table source = {0}, target = {0};
    unsigned seed = 17;

    for (int round = 0; round < 20000; round++) {
        gf_batch *b = gf_batch_new();
        bool same;

        for (int n = 1 + rand_r(&seed) % 8; n > 0; n--)
            random_change(b, &source, &seed);
        same = gf_batch_sql(b, &usual, play, &target, NULL) && !target.bad;
        gf_batch_free(b);
        for (int i = 0; i < KEYS; i++)
            same = same && source.key[i] == target.key[i] && (source.key[i] == 0 || source.value[i] == target.value[i]);
        if (!same)
            ck_abort_msg("round %d: other rows, or affected rows out of bounds", round);
    }
}
END_TEST

START_TEST(chunk__leaves_out_dropped_rows)
{
    gf_range range = {.table = single};
    gf_chunk *c = gf_chunk_new(&range);
    gf_buf out = {0};

    gf_buf_str(&c->text, "(1,1)(2,2)(3,3)");
    c->rows = gf_calloc(3, sizeof(*c->rows));
    c->row_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        c->rows[i] = (gf_chunk_row){.tuple = i * 5, .tuple_len = 5, .dropped = i == 1};
    ck_assert(gf_chunk_sql(c, &usual, collect, &out, NULL));
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&out), "REPLACE INTO `e`.`t` (`k`,`v`) VALUES (1,1),(3,3)  -- 2 rows"));
    gf_buf_free(&out);
    gf_chunk_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch_sql");
    TCase *tc = tcase_create("all");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, batch__deletes_before_it_replaces_and_writes_last_images_only);
    tcase_add_test(tc, batch__of_a_row_that_came_and_went_expects_nothing);
    tcase_add_test(tc, batch__names_rows_of_longer_keys_by_predicates);
    tcase_add_test(tc, batch__keeps_the_order_of_keyless_changes);
    tcase_add_test(tc, batch__gives_relaxed_rows_statements_of_their_own);
    tcase_add_test(tc, batch__splits_where_a_statement_would_grow_too_long);
    tcase_add_test(tc, batch__expects_less_of_columns_whose_form_is_the_servers_choice);
    tcase_add_test(tc, batch__refuses_a_row_that_the_packet_forbids);
    tcase_add_test(tc, batch__has_the_sources_effect_and_never_alarms_falsely);
    tcase_add_test(tc, chunk__leaves_out_dropped_rows);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * batch_sql.c - net effect of a batch, table by table.
 *
 * With foreign_key_checks=0 the order of tables does not matter, and of a row only the last image does. So per table:
 * first DELETE of the keys that are gone at the end, then REPLACE of the final images. The deletes go first because a
 * final image may hold a unique value, or a key that the collation holds equal, of a row that is gone. Among the
 * final images the order is free: all of them stand together in a state that the source has had.
 *
 * A table without keys has no net effect: its changes are written one by one, in their order.
 *
 * Affected rows. A REPLACE counts 1 for every row written and 1 for every row it removed to make room (seen on MySQL 9
 * and MariaDB 10.11, also with several unique keys); but when the old row is the same, byte for byte, it may count 1
 * in all. A row that was changed once in the batch cannot be the same; one that was changed twice may have come back.
 *
 * While tables are copied nobody knows which rows are there already, so counts prove nothing, and a REPLACE could take
 * another row's place where the target holds equal what the source does not. Tables with such keys get their rows in two
 * steps then: away with what is there under the same bytes, and what follows must meet none.
 */
#include "batch_sql.h"

#include <stdlib.h>

#include "gfreplica/literal.h"
#include "json_leaf.h"

/* ---- statements ---- */

typedef enum { FORM_REPLACE, FORM_INSERT, FORM_DELETE_IN, FORM_DELETE_OR, FORM_DELETE_ONE, FORM_COMPARE } form;

static const struct {
    const char *head, *separator, *tail;
    unsigned max_rows;
} forms[] = {
    [FORM_REPLACE] = {"REPLACE INTO ", ",", "", 100000},
    [FORM_INSERT] = {"INSERT INTO ", ",", "", 100000},
    /* Beyond some thousand ranges (range_optimizer_max_mem_size, optimizer_max_sel_arg_weight) the optimizers give
       up and read the whole table. */
    [FORM_DELETE_IN] = {"DELETE FROM ", ",", ")", 1000},
    [FORM_DELETE_OR] = {"DELETE FROM ", " OR ", "", 200},
    [FORM_DELETE_ONE] = {"DELETE FROM ", "", " LIMIT 1", 1},
    /* One by its key: of several a small table is read whole, which waits for the rows of all other writers. */
    [FORM_COMPARE] = {"DELETE FROM ", "", "", 1},
};

/* Of tables in JSON documents (json_leaf.h), in one statement. */
enum { TABLES_MOST = 64 };

struct out {
    const gf_sql_options *o;
    gf_stmt_fn *fn;
    void *ctx;
    form form;
    gf_buf sql;           /* owned; empty between statements */
    gf_stmt stmt;         /* of the statement in sql */
    unsigned tables;      /* that it opens */
    const gf_table *last; /* whose rows came last, and whether they may open any */
    bool last_opens;
};

struct row {
    gf_slice text, key;
    bool relaxed, alone, sure;
    unsigned tables;
    uint64_t least, most;
};

void gf_row_label(gf_buf *out, const gf_table *t, gf_slice key)
{
    gf_buf_str(out, t->label);
    if (t->identity < 0 || key.len == 0)
        return;
    gf_buf_str(out, " (");
    gf_key_text(out, t, &t->keys[t->identity], key);
    gf_buf_str(out, ")");
}

/* Ends the open statement, if any, and hands it out. */
static bool flush(struct out *w, bool last, gf_error *err)
{
    bool ok;

    if (w->sql.len == 0)
        return true;
    gf_buf_str(&w->sql, forms[w->form].tail);
    w->stmt.last = last;
    w->stmt.sql = gf_slice_of(w->sql.data, w->sql.len);
    ok = w->fn(w->ctx, &w->stmt, err);
    gf_buf_reset(&w->sql);
    return ok;
}

static void start(struct out *w, const gf_table *t, const struct row *r)
{
    w->tables = 0;
    gf_buf_str(&w->sql, w->o->prefix);
    gf_buf_str(&w->sql, forms[w->form].head);
    gf_buf_str(&w->sql, t->target_sql);
    if (w->form == FORM_REPLACE || w->form == FORM_INSERT) {
        gf_buf_str(&w->sql, " (");
        gf_buf_str(&w->sql, t->write_columns);
        gf_buf_str(&w->sql, ") VALUES ");
    } else {
        gf_buf_str(&w->sql, " WHERE ");
    }
    if (w->form == FORM_DELETE_IN) {
        gf_buf_ident(&w->sql, t->columns[t->keys[t->identity].parts[0].column].name);
        gf_buf_str(&w->sql, " IN (");
    }
    w->stmt = (gf_stmt){.table = t,
                        .key = r->key,
                        .deletes = w->form >= FORM_DELETE_IN,
                        .relaxed = r->relaxed,
                        .alone = r->alone,
                        .sure = r->sure,
                        .compares = w->form == FORM_COMPARE};
}

static bool fits(const struct out *w, const struct row *r, form f)
{
    if (w->form != f || w->o->single || r->relaxed || w->stmt.relaxed || w->stmt.rows >= forms[f].max_rows)
        return false;
    return w->tables + r->tables <= TABLES_MOST && w->sql.len + r->text.len + 8 <= w->o->aim;
}

static bool too_large(const struct out *w, const gf_table *t, const struct row *r, gf_error *err)
{
    gf_buf label = {0};

    gf_row_label(&label, t, r->key);
    gf_fail(err, GF_ERR_CONFIG,
            "write %s: the row needs a statement of %zu bytes, the target allows %zu: raise max_allowed_packet there",
            gf_buf_cstr(&label), w->sql.len, w->o->packet);
    gf_buf_free(&label);
    return false;
}

static unsigned tables_in(struct out *w, const gf_table *t, gf_slice text)
{
    if (t != w->last) {
        w->last = t;
        w->last_opens = false;
        for (unsigned i = 0; i < t->column_count; i++)
            w->last_opens = w->last_opens || t->columns[i].json_types;
    }
    return w->last_opens ? gf_json_tables_in(text) : 0;
}

static bool add(struct out *w, const gf_table *t, form f, struct row *r, gf_error *err)
{
    r->tables = tables_in(w, t, r->text);
    if (w->sql.len > 0 && !fits(w, r, f) && !flush(w, w->form != f, err))
        return false;
    if (w->sql.len == 0) {
        w->form = f;
        start(w, t, r);
    } else {
        gf_buf_str(&w->sql, forms[f].separator);
    }
    gf_buf_slice(&w->sql, r->text);
    w->tables += r->tables;
    w->stmt.rows++;
    w->stmt.least += r->least;
    w->stmt.most += r->most;
    /* The protocol puts a command byte in front; a few more for the tail. */
    return w->sql.len + 16 <= w->o->packet || too_large(w, t, r, err);
}

/* A DELETE of the row of row->key; scratch: for its text, the caller's. */
static bool add_delete(struct out *w, const gf_table *t, struct row *row, bool by_bytes, gf_buf *scratch, gf_error *err)
{
    gf_buf_reset(scratch);
    if (!gf_literal_identity(scratch, t, row->key, by_bytes, err))
        return false;
    row->text = gf_slice_of(scratch->data, scratch->len);
    return add(w, t, FORM_DELETE_OR, row, err);
}

/* ---- net effect ---- */

typedef struct {
    const gf_table *table;
    gf_slice key;
    const gf_change *gone;  /* the last change that took the key away: its before_where names the row */
    const gf_change *image; /* the final image; NULL when the key is gone */
    bool existed;           /* before the batch */
    unsigned touches;
    uint32_t next; /* of the same table, in order of appearance; index + 1, 0 = none */
} net_row;

typedef struct {
    const gf_table *table;
    uint32_t first, last; /* rows, index + 1 */
} net_table;

struct net {
    net_row *rows;     /* owned */
    net_table *tables; /* owned */
    uint32_t row_count, table_count;
    uint32_t *row_slots, *table_slots; /* owned: open addressing, index + 1 */
    size_t mask;
};

static void net_init(struct net *n, size_t changes)
{
    size_t slots = 64;

    while (slots < changes * 4) /* a change has at most two keys */
        slots *= 2;
    n->mask = slots - 1;
    n->rows = gf_calloc(changes * 2 + 1, sizeof(*n->rows));
    n->tables = gf_calloc(changes + 1, sizeof(*n->tables));
    n->row_slots = gf_calloc(slots, sizeof(uint32_t));
    n->table_slots = gf_calloc(slots, sizeof(uint32_t));
}

static void net_free(struct net *n)
{
    free(n->rows);
    free(n->tables);
    free(n->row_slots);
    free(n->table_slots);
}

static net_table *net_find_table(struct net *n, const gf_table *t)
{
    size_t at = gf_hash(&t, sizeof(t), 0) & n->mask;

    while (n->table_slots[at] != 0) {
        net_table *found = &n->tables[n->table_slots[at] - 1];

        if (found->table == t)
            return found;
        at = (at + 1) & n->mask;
    }
    n->tables[n->table_count].table = t;
    n->table_slots[at] = ++n->table_count;
    return &n->tables[n->table_count - 1];
}

static net_row *net_append(struct net *n, const gf_table *t, gf_slice key)
{
    net_table *table = net_find_table(n, t);
    net_row *row = &n->rows[n->row_count++];

    row->table = t;
    row->key = key;
    if (table->last != 0)
        n->rows[table->last - 1].next = n->row_count;
    else
        table->first = n->row_count;
    table->last = n->row_count;
    return row;
}

static net_row *net_find_row(struct net *n, const gf_table *t, gf_slice key)
{
    size_t at = gf_hash(key.data, key.len, (uint64_t)(uintptr_t)t) & n->mask;

    while (n->row_slots[at] != 0) {
        net_row *found = &n->rows[n->row_slots[at] - 1];

        if (found->table == t && gf_slice_eq(found->key, key))
            return found;
        at = (at + 1) & n->mask;
    }
    n->row_slots[at] = n->row_count + 1;
    return net_append(n, t, key);
}

static void touch(struct net *n, const gf_change *c, gf_slice key, bool had_row, bool has_row)
{
    net_row *row = net_find_row(n, c->table, key);

    if (row->touches++ == 0)
        row->existed = had_row;
    row->image = has_row ? c : NULL;
    if (!has_row)
        row->gone = c;
}

static void net_change(struct net *n, const gf_change *c)
{
    bool same_key = c->op == GF_OP_UPDATE && gf_slice_eq(c->before_key, c->after_key);

    if (c->table->identity < 0) {
        net_append(n, c->table, (gf_slice){0})->image = c;
        return;
    }
    if (c->op != GF_OP_INSERT && !same_key)
        touch(n, c, c->before_key, true, false);
    if (c->op != GF_OP_DELETE)
        touch(n, c, c->after_key, same_key, true);
}

/* ---- a table's statements ---- */

/* A row whose source image changed may come out the same here where the binary form is the server's own choice. */
static bool has_loose_columns(const gf_table *t)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (t->columns[i].type == GF_T_JSON || t->columns[i].compressed)
            return true;
    return false;
}

static bool has_text(const gf_table *t, const gf_key *k)
{
    for (unsigned i = 0; i < k->part_count; i++)
        if (t->columns[k->parts[i].column].charset != NULL)
            return true;
    return false;
}

static bool is_computed(const gf_table *t, const gf_key *k)
{
    for (unsigned i = 0; i < k->part_count; i++)
        if (t->columns[k->parts[i].column].generated != GF_GEN_NONE)
            return true;
    return k->functional;
}

/* Could two rows of the source's meet in a unique key here? By another collation, or by what the target computes. */
static bool may_meet(const struct out *w, const gf_table *t)
{
    for (unsigned i = 0; i < t->key_count; i++)
        if ((w->o->unlike && has_text(t, &t->keys[i])) || is_computed(t, &t->keys[i]))
            return true;
    return false;
}

static bool delete_gone(struct out *w, const struct net *n, const net_table *t, gf_error *err)
{
    const gf_key *key = &t->table->keys[t->table->identity];
    bool by_bytes = w->o->unlike && has_text(t->table, key), ok = true;
    form f = key->part_count == 1 ? FORM_DELETE_IN : FORM_DELETE_OR;
    gf_buf where = {0};

    for (uint32_t i = t->first; i != 0 && ok; i = n->rows[i - 1].next) {
        const net_row *r = &n->rows[i - 1];
        struct row row = {.key = r->key, .most = 1};

        if (r->image != NULL)
            continue;
        row.text = r->gone->before_where;
        row.least = r->existed && r->touches == 1;
        ok = by_bytes ? add_delete(w, t->table, &row, true, &where, err) : add(w, t->table, f, &row, err);
    }
    gf_buf_free(&where);
    return ok && flush(w, true, err);
}

static bool is_hashed(const gf_table *t)
{
    for (unsigned i = 0; i < t->key_count; i++)
        if (t->keys[i].hashed)
            return true;
    return false;
}

/* MariaDB's REPLACE fails when rows exchange values of a key by hidden hash: there the rows that change go first. So they do
   where no other row may be met. */
static bool delete_changed(struct out *w, const struct net *n, const net_table *t, bool guarded, gf_error *err)
{
    gf_buf where = {0};
    bool ok = true;

    for (uint32_t i = t->first; i != 0 && ok; i = n->rows[i - 1].next) {
        const net_row *r = &n->rows[i - 1];
        struct row row = {.key = r->key, .least = r->touches == 1, .most = 1};

        if (r->image == NULL || (!r->existed && (!guarded || w->o->fresh)))
            continue;
        ok = add_delete(w, t->table, &row, w->o->unlike, &where, err);
    }
    gf_buf_free(&where);
    return ok && flush(w, true, err);
}

/* cleared: the rows of these keys have gone before; guarded: and no others may be met. */
static bool replace_images(struct out *w, const struct net *n, const net_table *t, bool cleared, bool guarded,
                           gf_error *err)
{
    bool loose = has_loose_columns(t->table);

    for (uint32_t i = t->first; i != 0; i = n->rows[i - 1].next) {
        const net_row *r = &n->rows[i - 1];
        struct row row = {.key = r->key, .least = 1, .most = 1, .sure = guarded};

        if (r->image == NULL)
            continue;
        row.text = r->image->tuple;
        row.relaxed = r->image->relaxed;
        if (r->existed && !cleared) {
            row.least = r->touches == 1 && !loose ? 2 : 1;
            row.most = 2;
        }
        if (!add(w, t->table, FORM_REPLACE, &row, err))
            return false;
    }
    return flush(w, true, err);
}

/* A row that is found is a difference, and the transaction is rolled back. */
static bool compare_row(struct out *w, gf_buf *text, const gf_table *t, gf_slice key, gf_slice computed, gf_error *err)
{
    struct row row = {.key = key, .alone = true};

    if (computed.len == 0)
        return true;
    gf_buf_reset(text);
    gf_buf_byte(text, '(');
    if (!gf_literal_identity(text, t, key, false, err))
        return false;
    gf_buf_str(text, " AND NOT (");
    gf_buf_slice(text, computed);
    gf_buf_str(text, "))");
    row.text = gf_slice_of(text->data, text->len);
    return add(w, t, FORM_COMPARE, &row, err);
}

static bool compare_computed(struct out *w, const struct net *n, const net_table *t, gf_error *err)
{
    gf_buf text = {0};
    bool ok = true;

    for (uint32_t i = t->first; i != 0 && ok; i = n->rows[i - 1].next) {
        const net_row *r = &n->rows[i - 1];

        ok = r->image == NULL || compare_row(w, &text, t->table, r->key, r->image->computed, err);
    }
    gf_buf_free(&text);
    return ok && flush(w, true, err);
}

static bool write_keyless(struct out *w, const struct net *n, const net_table *t, gf_error *err)
{
    for (uint32_t i = t->first; i != 0; i = n->rows[i - 1].next) {
        const gf_change *c = n->rows[i - 1].image;
        struct row row = {.alone = true, .least = 1, .most = 1};

        row.text = c->before_where;
        if (c->op != GF_OP_INSERT && !add(w, t->table, FORM_DELETE_ONE, &row, err))
            return false;
        row.text = c->tuple;
        row.relaxed = c->relaxed;
        if (c->op != GF_OP_DELETE && !add(w, t->table, FORM_INSERT, &row, err))
            return false;
    }
    return flush(w, true, err);
}

static bool write_table(struct out *w, const struct net *n, const net_table *t, gf_error *err)
{
    bool guarded, cleared;

    if (t->table->identity < 0)
        return write_keyless(w, n, t, err);
    guarded = w->o->guards && may_meet(w, t->table);
    cleared = guarded || is_hashed(t->table);
    return delete_gone(w, n, t, err) && (!cleared || delete_changed(w, n, t, guarded, err)) &&
           replace_images(w, n, t, cleared, guarded, err) && (!t->table->computes || compare_computed(w, n, t, err));
}

bool gf_batch_sql(const gf_batch *b, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err)
{
    struct out w = {.o = o, .fn = fn, .ctx = ctx};
    struct net n = {0};
    bool ok = true;

    net_init(&n, b->count);
    for (size_t i = 0; i < b->count; i++)
        if (o->held == NULL || o->held[i] == o->want)
            net_change(&n, &b->changes[i]);
    for (uint32_t i = 0; i < n.table_count && ok; i++)
        ok = write_table(&w, &n, &n.tables[i], err);
    net_free(&n);
    gf_buf_free(&w.sql);
    return ok;
}

bool gf_chunk_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err)
{
    const gf_table *t = c->range->table;
    struct out w = {.o = o, .fn = fn, .ctx = ctx};
    form f = t->identity < 0 ? FORM_INSERT : FORM_REPLACE;
    bool ok = true;

    for (size_t i = 0; i < c->row_count && ok; i++) {
        const gf_chunk_row *from = &c->rows[i];
        struct row row = {.least = 1, .most = 1, .relaxed = from->relaxed};

        if (from->dropped || (c->lines && !from->sql))
            continue;
        row.text = gf_slice_of(c->text.data + from->tuple, from->tuple_len);
        row.key = gf_slice_of(c->keys.data + from->key, from->key_len);
        ok = add(&w, t, f, &row, err);
    }
    ok = ok && flush(&w, true, err);
    gf_buf_free(&w.sql);
    return ok;
}

bool gf_chunk_clear_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err)
{
    const gf_table *t = c->range->table;
    struct out w = {.o = o, .fn = fn, .ctx = ctx};
    gf_buf where = {0};
    bool ok = true;

    for (size_t i = 0; i < c->row_count && ok; i++) {
        const gf_chunk_row *from = &c->rows[i];
        struct row row = {.most = UINT32_MAX};

        if (from->dropped)
            continue;
        row.key = gf_slice_of(c->keys.data + from->key, from->key_len);
        ok = add_delete(&w, t, &row, true, &where, err);
    }
    ok = ok && flush(&w, true, err);
    gf_buf_free(&where);
    gf_buf_free(&w.sql);
    return ok;
}

bool gf_chunk_computed_sql(const gf_chunk *c, const gf_sql_options *o, gf_stmt_fn *fn, void *ctx, gf_error *err)
{
    struct out w = {.o = o, .fn = fn, .ctx = ctx};
    gf_buf text = {0};
    bool ok = true;

    for (size_t i = 0; c->range->table->computes && i < c->row_count && ok; i++) {
        const gf_chunk_row *r = &c->rows[i];
        gf_slice key = gf_slice_of(c->keys.data + r->key, r->key_len);

        ok = r->dropped || compare_row(&w, &text, c->range->table, key,
                                       gf_slice_of(c->keys.data + r->key + r->key_len, r->computed_len), err);
    }
    ok = ok && flush(&w, true, err);
    gf_buf_free(&text);
    gf_buf_free(&w.sql);
    return ok;
}

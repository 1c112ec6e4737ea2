/* SPDX-License-Identifier: MIT */
/*
 * rows.c - one pass over a result row: text -> value -> SQL literal, canonical key, claims. Nothing of a row is kept
 * but those, so a reader holds one row of values whatever the size of its chunk.
 */
#include "rows.h"

#include <mysqld_error.h>
#include <stdlib.h>

#include "gfreplica/json_types.h"
#include "gfreplica/line.h"
#include "gfreplica/literal.h"

static bool part_of(const gf_key *key, unsigned column)
{
    for (unsigned i = 0; i < key->part_count; i++) {
        if (key->parts[i].column == column)
            return true;
    }
    return false;
}

static bool is_read(const gf_table *t, const gf_key *key, unsigned column)
{
    if (key != NULL)
        return part_of(key, column);
    if (t->writes[column] || (t->computes && t->columns[column].generated == GF_GEN_STORED))
        return true;
    for (unsigned i = 0; i < t->key_count; i++) { /* a generated column can be part of a key */
        if (part_of(&t->keys[i], column))
            return true;
    }
    return false;
}

void gf_rows_init(gf_rows *r, const gf_table *t, const gf_key *key, gf_flavor flavor, bool lines)
{
    *r = (gf_rows){.table = t, .lines = lines && gf_line_fits(t)};
    r->columns = gf_calloc(t->column_count, sizeof *r->columns);
    r->row = gf_calloc(t->column_count, sizeof *r->row);
    r->claims = gf_calloc(t->key_count + 1, sizeof *r->claims);
    for (unsigned i = 0; i < t->column_count; i++) {
        r->row[i].kind = GF_V_ABSENT;
        if (!is_read(t, key, i))
            continue;
        if (r->count > 0)
            gf_buf_byte(&r->fields, ',');
        gf_column_select(&r->fields, &t->columns[i], flavor);
        if (t->columns[i].json_types) {
            gf_buf_byte(&r->fields, ',');
            gf_json_types_select(&r->fields, &t->columns[i]);
        }
        r->columns[r->count++] = i;
    }
}

void gf_rows_free(gf_rows *r)
{
    gf_buf_free(&r->fields);
    free(r->columns);
    free(r->row);
    free(r->claims);
    gf_arena_free(&r->arena);
    *r = (gf_rows){0};
}

/* Digits go into statements as they are: they have to be digits. */
bool gf_rows_fit(const gf_rows *r, MYSQL_RES *res, gf_error *err)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(res);

    for (unsigned i = 0, field = 0; i < r->count; i++, field++) {
        const gf_column *col = &r->table->columns[r->columns[i]];

        if (!gf_column_fits(col, fields[field].type)) {
            gf_fail(err, GF_ERR_DATA, "read %s: column `%s` is not of type %s any more", r->table->label, col->name,
                    col->type_text);
            err->native = ER_TABLE_DEF_CHANGED;
            return false;
        }
        field += col->json_types;
    }
    return true;
}

void gf_rows_parse(gf_rows *r, MYSQL_ROW row, const unsigned long *lengths)
{
    gf_arena_reset(&r->arena);
    for (unsigned i = 0, field = 0; i < r->count; i++, field++) {
        const gf_column *col = &r->table->columns[r->columns[i]];
        gf_value *v = &r->row[r->columns[i]];

        gf_value_from_text(v, col, row[field], lengths[field], &r->arena);
        if (col->json_types && row[field++] != NULL)
            v->bytes = gf_json_types_mark(v->bytes, row[field], &r->arena);
    }
}

/* Rule C1; of every row that is read, since those that are dropped later claim as well (rule C2). */
static void add_claims(gf_chunk *c, gf_rows *r)
{
    unsigned n = gf_row_claims(r->claims, &c->wild, r->table, r->row);

    if (n == 0) /* wild */
        return;
    if (c->claim_count + n > c->claim_cap) {
        c->claim_cap = 2 * (c->claim_count + n);
        c->claims = gf_realloc(c->claims, c->claim_cap * sizeof *c->claims);
    }
    memcpy(c->claims + c->claim_count, r->claims, n * sizeof *r->claims);
    c->claim_count += n;
}

static gf_chunk_row *new_row(gf_chunk *c)
{
    if (c->row_count == c->row_cap) {
        c->row_cap = c->row_cap > 0 ? 2 * c->row_cap : 64;
        c->rows = gf_realloc(c->rows, c->row_cap * sizeof *c->rows);
    }
    return memset(&c->rows[c->row_count++], 0, sizeof *c->rows);
}

void gf_rows_add(gf_chunk *c, gf_rows *r, MYSQL_ROW row, const unsigned long *lengths)
{
    const gf_table *t = r->table;
    gf_chunk_row *out = new_row(c);

    gf_rows_parse(r, row, lengths);
    c->lines = r->lines;
    out->tuple = (uint32_t)c->text.len;
    out->sql = !r->lines || !gf_line_row(&c->text, t, r->row);
    if (out->sql)
        gf_literal_tuple(&c->text, t, r->row, &out->relaxed);
    out->tuple_len = (uint32_t)(c->text.len - out->tuple);
    out->key = (uint32_t)c->keys.len;
    if (t->identity < 0)
        return;
    gf_key_encode(&c->keys, t, &t->keys[t->identity], r->row);
    out->key_len = (uint32_t)(c->keys.len - out->key);
    gf_literal_computed(&c->keys, t, r->row);
    out->computed_len = (uint32_t)(c->keys.len - out->key - out->key_len);
    add_claims(c, r);
}

size_t gf_chunk_memory(const gf_chunk *c)
{
    return sizeof *c + c->text.cap + c->keys.cap + c->row_cap * sizeof *c->rows + c->claim_cap * sizeof *c->claims;
}

static void trim(gf_buf *b)
{
    if (b->len == 0 || b->cap - b->len < b->cap / 8)
        return;
    b->data = gf_realloc(b->data, b->len);
    b->cap = b->len;
}

void gf_chunk_trim(gf_chunk *c)
{
    trim(&c->text);
    trim(&c->keys);
    c->bytes = gf_chunk_memory(c);
}

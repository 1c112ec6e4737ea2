/* SPDX-License-Identifier: MIT */
/*
 * Rows and places in key order as SQL predicates.
 *
 * A row with an identity is named by the server's own comparison of its key. A row of a table without one (rule K)
 * has to be found by its bytes: 'a' must not match 'A' or 'a ', though their collation holds them equal. There the
 * server's comparison only leads to the rows by whatever index there is, and a comparison of bytes decides.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "gfreplica/literal.h"
#include "literal_json.h"

static void put_compare(gf_buf *out, const gf_column *col, const char *op, const gf_value *v)
{
    gf_buf_ident(out, col->name);
    gf_buf_str(out, op);
    gf_literal_compare(out, col, v);
}

/* ---- a row ---- */

enum { INDEXED_MAX = 255 }; /* longer strings are not worth writing twice for an index's sake */

static void put_cast(gf_buf *out, const gf_column *col, gf_slice bytes)
{
    gf_buf text = {0};

    gf_buf_str(out, "CAST(");
    gf_buf_ident(out, col->name);
    gf_buf_str(out, " AS BINARY)<=>");
    if (col->json_types) {
        gf_json_unmarked(&text, bytes);
        bytes = gf_slice_of(text.data, text.len);
    }
    gf_literal_quoted(out, bytes);
    gf_buf_free(&text);
}

static void put_exact(gf_buf *out, const gf_column *col, const gf_value *v)
{
    bool text = v->kind == GF_V_BYTES && col->charset != NULL;
    bool bytes_only = v->kind == GF_V_JSON || (v->kind == GF_V_BYTES && col->type == GF_T_VECTOR) ||
                      (text && v->bytes.len > INDEXED_MAX);

    if (v->kind == GF_V_NULL) { /* IS NULL: a VECTOR refuses <=> */
        gf_buf_ident(out, col->name);
        gf_buf_str(out, " IS NULL");
        return;
    }
    if (!bytes_only)
        put_compare(out, col, "<=>", v);
    if (text && !bytes_only)
        gf_buf_str(out, " AND ");
    if (text || bytes_only)
        put_cast(out, col, v->bytes);
    if (v->kind == GF_V_DOUBLE && v->d == 0) { /* 0 and -0 compare equal but print apart */
        gf_buf_str(out, " AND CONCAT(");
        gf_buf_ident(out, col->name);
        gf_buf_str(out, signbit(v->d) ? "*1e0)<=>'-0'" : "*1e0)<=>'0'");
    }
}

static void put_whole_row(gf_buf *out, const gf_table *t, const gf_value *row)
{
    const char *before = "(";

    for (unsigned i = 0; i < t->column_count; i++) {
        if (!t->writes[i] || row[i].kind == GF_V_ABSENT)
            continue;
        gf_buf_str(out, before);
        put_exact(out, &t->columns[i], &row[i]);
        before = " AND ";
    }
    gf_buf_str(out, *before == '(' ? "(TRUE)" : ")");
}

void gf_literal_where(gf_buf *out, const gf_table *t, const gf_value *row)
{
    if (t->identity < 0) {
        put_whole_row(out, t, row);
        return;
    }
    const gf_key *key = &t->keys[t->identity];

    if (key->part_count == 1) {
        gf_literal_compare(out, &t->columns[key->parts[0].column], &row[key->parts[0].column]);
        return;
    }
    for (unsigned i = 0; i < key->part_count; i++) {
        unsigned c = key->parts[i].column;

        gf_buf_str(out, i == 0 ? "(" : " AND ");
        put_compare(out, &t->columns[c], "=", &row[c]);
    }
    gf_buf_byte(out, ')');
}

void gf_literal_computed(gf_buf *out, const gf_table *t, const gf_value *row)
{
    const char *before = "";

    for (unsigned i = 0; t->computes && i < t->column_count; i++) {
        if (t->columns[i].generated != GF_GEN_STORED || row[i].kind == GF_V_ABSENT)
            continue;
        gf_buf_str(out, before);
        put_exact(out, &t->columns[i], &row[i]);
        before = " AND ";
    }
}

/* Under the collation that a column has on the target other values may be equal than on the source. */
static void put_same(gf_buf *out, const gf_column *col, const gf_value *v, bool by_bytes)
{
    put_compare(out, col, "=", v);
    if (by_bytes && v->kind == GF_V_BYTES && col->charset != NULL) {
        gf_buf_str(out, " AND ");
        put_cast(out, col, v->bytes);
    }
}

bool gf_literal_identity(gf_buf *out, const gf_table *t, gf_slice encoded, bool by_bytes, gf_error *err)
{
    assert(t->identity >= 0);
    const gf_key *key = &t->keys[t->identity];
    gf_value *values = gf_calloc(key->part_count, sizeof *values);
    bool ok = gf_key_decode(values, t, key, encoded) ||
              gf_fail(err, GF_ERR_DATA, "table %s: a row's key %s can't be read", t->label, key->name);

    for (unsigned i = 0; ok && i < key->part_count; i++) {
        gf_buf_str(out, i == 0 ? "(" : " AND ");
        put_same(out, &t->columns[key->parts[i].column], &values[i], by_bytes);
    }
    gf_buf_str(out, ok ? ")" : "");
    free(values);
    return ok;
}

/* ---- a place in key order ---- */

/* Each operator by the part's direction, and what the last part adds to it: "" or "=". */
typedef struct {
    const char *up, *down, *suffix;
} direction;

static void put_beyond(gf_buf *out, const gf_column *col, const char *op, const char *suffix, const gf_value *v)
{
    bool relaxed = false;

    gf_buf_ident(out, col->name);
    if (col->type == GF_T_SET) /* ordered as an unsigned number, but compared as a signed one: make it unsigned */
        gf_buf_str(out, "|0");
    gf_buf_str(out, op);
    gf_buf_str(out, suffix);
    if (col->type == GF_T_SET)
        gf_literal_store(out, col, v, &relaxed);
    else
        gf_literal_compare(out, col, v);
}

/* (first parts equal AND part i beyond), for each i, with OR between: the form whose ranges both servers find. */
static void put_ranges(gf_buf *out, const gf_table *t, const gf_key *key, const gf_value *values, const direction *d)
{
    for (unsigned last = 0; last < key->part_count; last++) {
        gf_buf_str(out, last == 0 ? "((" : " OR (");
        for (unsigned i = 0; i < last; i++) {
            put_compare(out, &t->columns[key->parts[i].column], "=", &values[i]);
            gf_buf_str(out, " AND ");
        }
        const gf_key_part *part = &key->parts[last];

        put_beyond(out, &t->columns[part->column], part->descending ? d->down : d->up,
                   last + 1 == key->part_count ? d->suffix : "", &values[last]);
        gf_buf_byte(out, ')');
    }
    gf_buf_byte(out, ')');
}

static bool put_place(gf_buf *out, const gf_table *t, gf_slice encoded, const direction *d, gf_error *err)
{
    assert(t->identity >= 0);
    const gf_key *key = &t->keys[t->identity];
    gf_value *values = gf_calloc(key->part_count, sizeof *values);
    bool ok = gf_key_decode(values, t, key, encoded);

    if (ok)
        put_ranges(out, t, key, values, d);
    else
        gf_fail(err, GF_ERR_DATA, "table %s: a saved place in its key %s does not fit the key", t->label, key->name);
    free(values);
    return ok;
}

bool gf_literal_after(gf_buf *out, const gf_table *t, gf_slice encoded, gf_error *err)
{
    return put_place(out, t, encoded, &(direction){">", "<", ""}, err);
}

bool gf_literal_upto(gf_buf *out, const gf_table *t, gf_slice encoded, gf_error *err)
{
    return put_place(out, t, encoded, &(direction){"<", ">", "="}, err);
}

void gf_literal_order(gf_buf *out, const gf_table *t)
{
    assert(t->identity >= 0);
    const gf_key *key = &t->keys[t->identity];

    for (unsigned i = 0; i < key->part_count; i++) {
        if (i > 0)
            gf_buf_byte(out, ',');
        gf_buf_ident(out, t->columns[key->parts[i].column].name);
        if (key->parts[i].descending)
            gf_buf_str(out, " DESC");
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * form.c - columns are read as the copy reads them (copier.h), so that text is exact: each value becomes the bytes that
 * tell it from all others, each column a digest of them, the row a digest of its columns'.
 *
 * All columns count, generated ones too, but those of a system-versioned row's period, which are a server's own clock.
 * A text column whose character set differs on the two sides is read as utf8mb4 on both, which all others fit in; the
 * key it is part of is made of its bytes in the source's character set.
 */
#include "form.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

#include "gfreplica/copier.h"
#include "gfreplica/json_types.h"

struct gf_form_field {
    unsigned column;     /* of form->table */
    const gf_column *as; /* borrowed: the column on the server that is read */
    bool recoded;        /* as utf8mb4 */
    bool key_only;       /* for the key, not for the digest */
};

static const gf_column *find_column(const gf_table *t, const char *name)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        if (strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    }
    return NULL;
}

static bool is_key_part(const gf_table *t, unsigned column)
{
    const gf_key *key = t->identity < 0 ? NULL : &t->keys[t->identity];

    for (unsigned i = 0; key != NULL && i < key->part_count; i++) {
        if (key->parts[i].column == column)
            return true;
    }
    return false;
}

static bool is_text(const gf_column *c)
{
    return c->charset != NULL && (c->type == GF_T_CHAR || c->type == GF_T_VARCHAR || c->type == GF_T_TEXT);
}

static bool other_charset(const gf_column *a, const gf_column *b)
{
    return is_text(a) && is_text(b) && strcmp(a->charset, b->charset) != 0;
}

static void add_converted(gf_form *f, const gf_column *c, const char *charset)
{
    gf_buf_str(&f->fields, "CONVERT(");
    gf_buf_ident(&f->fields, c->name);
    gf_buf_printf(&f->fields, " USING %s)", charset);
}

static gf_form_field *add_field(gf_form *f, unsigned column, const gf_column *as)
{
    if (f->count > 0)
        gf_buf_byte(&f->fields, ',');
    f->list[f->count] = (gf_form_field){.column = column, .as = as};
    return &f->list[f->count++];
}

static void add_column(gf_form *f, unsigned i, const gf_column *here, const gf_column *there, gf_flavor flavor)
{
    const gf_column *source = &f->table->columns[i];

    if (!other_charset(here, there)) {
        add_field(f, i, here);
        gf_column_select(&f->fields, here, flavor);
        if (source->json_types) {
            gf_buf_byte(&f->fields, ',');
            gf_json_types_select(&f->fields, here);
        }
        return;
    }
    if (is_key_part(f->table, i)) {
        add_field(f, i, here)->key_only = true;
        add_converted(f, here, source->charset);
    }
    add_field(f, i, here)->recoded = true;
    add_converted(f, here, "utf8mb4");
}

bool gf_form_init(gf_form *f, const gf_table *t, const gf_table *here, const gf_table *there, gf_flavor flavor,
                  gf_error *err)
{
    *f = (gf_form){.table = t};
    f->list = gf_calloc(2 * (size_t)t->column_count, sizeof *f->list);
    f->columns = gf_calloc(t->column_count, sizeof *f->columns);
    f->row = gf_calloc(t->column_count, sizeof *f->row);
    for (unsigned i = 0; i < t->column_count; i++) {
        const char *name = t->columns[i].name;
        const gf_column *a = find_column(here, name), *b = find_column(there, name);

        f->row[i].kind = GF_V_ABSENT;
        if (a == NULL || b == NULL)
            return gf_fail(err, GF_ERR_DIVERGED, "column `%s` is missing on one side", name);
        if (!t->columns[i].row_period)
            add_column(f, i, a, b, flavor);
    }
    return true;
}

void gf_form_free(gf_form *f)
{
    gf_buf_free(&f->fields);
    free(f->list);
    free(f->columns);
    free(f->row);
    gf_arena_free(&f->arena);
    *f = (gf_form){0};
}

static bool has_marks(const gf_form *f, const gf_form_field *field)
{
    return f->table->columns[field->column].json_types && !field->recoded && !field->key_only;
}

bool gf_form_fits(const gf_form *f, MYSQL_RES *res, gf_error *err)
{
    const MYSQL_FIELD *given = mysql_fetch_fields(res);

    for (unsigned i = 0, at = 0; i < f->count; i++, at++) {
        if (!gf_column_fits(f->list[i].as, given[at].type)) {
            gf_fail(err, GF_ERR_DATA, "column `%s` is not of type %s any more", f->list[i].as->name,
                    f->list[i].as->type_text);
            err->native = ER_TABLE_DEF_CHANGED;
            return false;
        }
        at += has_marks(f, &f->list[i]);
    }
    return true;
}

static gf_digest digest_of(const void *data, size_t len)
{
    XXH128_hash_t h = XXH3_128bits(data, len);

    return (gf_digest){.low = h.low64 | (h.high64 == 0), .high = h.high64};
}

static gf_digest digest_value(const gf_value *v)
{
    switch (v->kind) {
    case GF_V_ABSENT:
    case GF_V_NULL: return (gf_digest){0};
    case GF_V_INT:
    case GF_V_UINT: return digest_of(&v->u, sizeof v->u);
    case GF_V_DOUBLE: return digest_of(&v->d, sizeof v->d);
    case GF_V_NUMBER:
    case GF_V_TEMPORAL:
    case GF_V_BYTES:
    case GF_V_JSON: break;
    }
    return digest_of(v->bytes.data, v->bytes.len);
}

static void take_field(gf_form *f, const gf_form_field *field, char *const *data, size_t len)
{
    gf_value v;

    gf_value_from_text(&v, field->as, data[0], len, &f->arena);
    if (data[0] != NULL && has_marks(f, field))
        v.bytes = gf_json_types_mark(v.bytes, data[1], &f->arena);
    if (!field->recoded) /* keys are made of the source's bytes */
        f->row[field->column] = v;
    if (!field->key_only)
        f->columns[field->column] = digest_value(&v);
}

gf_digest gf_form_row(gf_form *f, gf_buf *key, MYSQL_ROW row, const unsigned long *lengths)
{
    const gf_table *t = f->table;

    gf_arena_reset(&f->arena);
    for (unsigned i = 0, at = 0; i < f->count; i++, at++) {
        take_field(f, &f->list[i], row + at, lengths[at]);
        at += has_marks(f, &f->list[i]);
    }
    if (t->identity >= 0)
        gf_key_encode(key, t, &t->keys[t->identity], f->row);
    return digest_of(f->columns, t->column_count * sizeof *f->columns);
}

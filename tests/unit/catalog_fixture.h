/* SPDX-License-Identifier: MIT */
/*
 * catalog_fixture.h - small tables and values for the unit tests of the catalog room.
 */
#ifndef CATALOG_FIXTURE_H
#define CATALOG_FIXTURE_H

#include "gfreplica/catalog.h"

__attribute__((unused)) static gf_column *add_column(gf_table *t, const char *name, gf_type type)
{
    gf_column *c;

    t->columns = gf_realloc(t->columns, (t->column_count + 1) * sizeof *t->columns);
    c = &t->columns[t->column_count++];
    *c = (gf_column){.name = gf_strdup(name), .type_text = gf_strdup(""), .type = type};
    return c;
}

__attribute__((unused)) static gf_column *add_text(gf_table *t, const char *name, const char *charset,
                                                   const char *collation)
{
    gf_column *c = add_column(t, name, GF_T_VARCHAR);

    c->charset = gf_strdup(charset);
    c->collation = gf_strdup(collation);
    return c;
}

/* A unique key over columns `first` to `last`. */
__attribute__((unused)) static gf_key *add_key(gf_table *t, const char *name, unsigned first, unsigned last)
{
    gf_key *k;

    t->keys = gf_realloc(t->keys, (t->key_count + 1) * sizeof *t->keys);
    k = &t->keys[t->key_count++];
    *k = (gf_key){.name = gf_strdup(name), .unique = true, .part_count = last - first + 1};
    k->parts = gf_calloc(k->part_count, sizeof *k->parts);
    for (unsigned i = 0; i < k->part_count; i++)
        k->parts[i].column = first + i;
    return k;
}

static inline gf_value v_bytes(const char *s)
{
    return (gf_value){.kind = GF_V_BYTES, .bytes = gf_slice_str(s)};
}

static inline gf_value v_number(const char *s)
{
    return (gf_value){.kind = GF_V_NUMBER, .bytes = gf_slice_str(s)};
}

static inline gf_value v_int(int64_t i)
{
    return (gf_value){.kind = GF_V_INT, .i = i};
}

static inline gf_value v_uint(uint64_t u)
{
    return (gf_value){.kind = GF_V_UINT, .u = u};
}

static inline gf_value v_double(double d)
{
    return (gf_value){.kind = GF_V_DOUBLE, .d = d};
}

static inline gf_value v_null(void)
{
    return (gf_value){.kind = GF_V_NULL};
}

#endif

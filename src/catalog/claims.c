/* SPDX-License-Identifier: MIT */
/*
 * claims.c - what a row claims, so that rows which share a unique value are never written side by side (rule C1).
 *
 * A claim is a hash: rows that do not share the value may have the same one by chance, which costs them a wait. The
 * reverse must not happen, so values are brought into one form first: numbers and times into their canonical form,
 * text folded by its collation (fold.c). What can't be folded with certainty makes the row wild.
 */
#include "gfreplica/catalog.h"

#include "fold.h"
#include "scalar.h"

typedef enum { CLAIM_NONE, CLAIM_HASH, CLAIM_WILD } claim;

uint64_t gf_table_claim(const gf_table *t)
{
    return gf_hash(t->source_sql, strlen(t->source_sql), 0);
}

/* A prefix of a BLOB or of a binary string is counted in bytes. */
static gf_slice cut(gf_slice bytes, unsigned prefix)
{
    if (prefix > 0 && bytes.len > prefix)
        bytes.len = prefix;
    return bytes;
}

static claim claim_part(uint64_t *hash, const gf_column *col, const gf_value *v, unsigned prefix)
{
    gf_scalar s;

    if (v->kind == GF_V_ABSENT) /* a generated column's value isn't part of a chunk's row */
        return CLAIM_WILD;
    if (gf_type_is_text(col->type))
        return gf_fold_hash(hash, col, v->bytes, prefix) ? CLAIM_HASH : CLAIM_WILD;
    gf_scalar_of(&s, col, v);
    s.bytes = cut(s.bytes, prefix);
    *hash = gf_hash(s.bytes.data, s.bytes.len, *hash);
    return CLAIM_HASH;
}

static bool has_null(const gf_key *key, const gf_value *row)
{
    for (unsigned i = 0; i < key->part_count; i++)
        if (row[key->parts[i].column].kind == GF_V_NULL)
            return true;
    return false;
}

static claim claim_key(uint64_t *hash, const gf_table *t, const gf_key *key, const gf_value *row)
{
    if (has_null(key, row)) /* NULL equals nothing, whatever the other parts are */
        return CLAIM_NONE;
    if (key->functional)
        return CLAIM_WILD;
    for (unsigned i = 0; i < key->part_count; i++) {
        const gf_key_part *part = &key->parts[i];

        if (claim_part(hash, &t->columns[part->column], &row[part->column], part->prefix) == CLAIM_WILD)
            return CLAIM_WILD;
    }
    return CLAIM_HASH;
}

unsigned gf_row_claims(uint64_t *out, bool *wild, const gf_table *t, const gf_value *row)
{
    unsigned count = 0, first = t->identity > 0 ? (unsigned)t->identity : 0;
    uint64_t table = gf_table_claim(t);

    if (t->identity < 0)
        out[count++] = table;
    for (unsigned n = 0; n < t->key_count; n++) {
        unsigned i = n == 0 ? first : n <= first ? n - 1 : n; /* the identity comes first */
        uint64_t hash = table + i + 1;

        switch (claim_key(&hash, t, &t->keys[i], row)) {
        case CLAIM_HASH: out[count++] = hash; break;
        case CLAIM_WILD: *wild = true; break;
        case CLAIM_NONE: break;
        }
    }
    return count;
}

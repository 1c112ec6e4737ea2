/* SPDX-License-Identifier: MIT */
/*
 * json_out.c - a state as JSON: {"gfreplica": {...}} alone (native), or in Ghostferry's form with that object inside.
 *
 * Ghostferry's form serves readers of both of its generations: the documented one (CurrentStage, CopyStage, integer
 * keys) and today's flat one (typed keys). Both claim progress by one key a table, "all rows up to it are there",
 * which a reader that copies in key order relies on. Several ranges of a table are copied side by side here, so only
 * the first unfinished one may speak, and only when all before it are done. What can't be said so (composite keys,
 * text, negative numbers) is left out: such a table is copied anew by others, and loses nothing in "gfreplica".
 */
#include <errno.h>
#include <stdlib.h>

#include "gfreplica/version.h"
#include "json_shape.h"

/* Ghostferry's column type codes. */
static const unsigned foreign_types[] = {
    [GF_T_UNKNOWN] = 5,  [GF_T_TINY] = 1,    [GF_T_SHORT] = 1, [GF_T_MEDIUM] = 13,  [GF_T_LONG] = 1,
    [GF_T_LONGLONG] = 1, [GF_T_YEAR] = 1,    [GF_T_BIT] = 10,  [GF_T_DECIMAL] = 12, [GF_T_FLOAT] = 2,
    [GF_T_DOUBLE] = 2,   [GF_T_DATE] = 8,    [GF_T_TIME] = 9,  [GF_T_DATETIME] = 6, [GF_T_TIMESTAMP] = 7,
    [GF_T_CHAR] = 5,     [GF_T_VARCHAR] = 5, [GF_T_TEXT] = 5,  [GF_T_BINARY] = 14,  [GF_T_VARBINARY] = 14,
    [GF_T_BLOB] = 5,     [GF_T_ENUM] = 3,    [GF_T_SET] = 4,   [GF_T_JSON] = 11,    [GF_T_GEOMETRY] = 15,
    [GF_T_VECTOR] = 5,   [GF_T_INET4] = 5,   [GF_T_INET6] = 5, [GF_T_UUID] = 5,
};

/* What one key may claim of a table. */
typedef struct {
    enum { CLAIM_NONE, CLAIM_NUMBER, CLAIM_BINARY } kind;
    uint64_t number;
    gf_buf bytes;       /* owned */
    const char *column; /* borrowed; NULL when not known */
} claim;

static const gf_key_part *single_part(const gf_table *t)
{
    const gf_key *key = t == NULL || t->identity < 0 ? NULL : &t->keys[t->identity];

    if (key == NULL || key->part_count != 1 || key->functional || key->parts[0].prefix != 0 || key->parts[0].descending)
        return NULL;
    return &key->parts[0];
}

/* The canonical key up to which everything is copied: none, or the end of the last range that is done or begun. */
static gf_slice settled_key(const gf_state_table *st)
{
    gf_slice at = {NULL, 0};

    for (size_t i = 0; i < st->range_count; i++) {
        const gf_state_range *r = &st->ranges[i];
        gf_slice lower = {r->lower.data, r->lower.len}, upper = {r->upper.data, r->upper.len};

        /* Ranges that don't join prove nothing about what lies between them. */
        if (i == 0 ? lower.len != 0
                   : !gf_slice_eq(lower, gf_slice_of(st->ranges[i - 1].upper.data, st->ranges[i - 1].upper.len)))
            break;
        if (r->done && upper.len > 0) {
            at = upper;
            continue;
        }
        if (r->frontier.len > 0)
            at = gf_slice_of(r->frontier.data, r->frontier.len);
        break;
    }
    return at;
}

static void claim_value(claim *c, const gf_column *col, const gf_value *v)
{
    char *end, digits[32];

    switch (v->kind) {
    case GF_V_INT:
        if (v->i < 0)
            return;
        c->number = (uint64_t)v->i;
        break;
    case GF_V_UINT: c->number = v->u; break;
    case GF_V_NUMBER:
        if (v->bytes.len == 0 || v->bytes.len >= sizeof digits)
            return;
        memcpy(digits, v->bytes.data, v->bytes.len);
        digits[v->bytes.len] = '\0';
        errno = 0;
        c->number = strtoull(digits, &end, 10);
        if (errno != 0 || *end != '\0' || digits[0] == '-')
            return;
        break;
    default:
        if (col->type != GF_T_BINARY && col->type != GF_T_VARBINARY)
            return;
        gf_buf_slice(&c->bytes, v->bytes);
        c->kind = CLAIM_BINARY;
        return;
    }
    if (col->type >= GF_T_TINY && col->type <= GF_T_LONGLONG)
        c->kind = CLAIM_NUMBER;
}

/* An imported state that has not run yet hands on what it was given. */
static void claim_import(claim *c, const gf_state_table *st)
{
    char *end;

    c->column = st->import_key_column;
    if (!st->import_key_binary) {
        c->number = strtoull(st->import_key, &end, 10);
        c->kind = *end == '\0' ? CLAIM_NUMBER : CLAIM_NONE;
        return;
    }
    for (const char *p = st->import_key; p[0] != '\0' && p[1] != '\0'; p += 2) {
        char two[3] = {p[0], p[1], '\0'};

        gf_buf_byte(&c->bytes, (uint8_t)strtoul(two, NULL, 16));
    }
    c->kind = CLAIM_BINARY;
}

static claim claim_of(const gf_state_table *st)
{
    claim c = {0};
    const gf_key_part *part = single_part(st->table);
    gf_slice key = settled_key(st);
    gf_value v;

    if (st->import_key != NULL && st->range_count == 0) {
        claim_import(&c, st);
    } else if (part != NULL && key.len > 0 &&
               gf_key_decode(&v, st->table, &st->table->keys[st->table->identity], key)) {
        c.column = st->table->columns[part->column].name;
        claim_value(&c, &st->table->columns[part->column], &v);
    }
    return c;
}

static char *table_key(const gf_state_table *st)
{
    return gf_asprintf("%s.%s", st->db, st->name);
}

/* typed: today's {"type","value","column"}; otherwise the documented bare integers, which have no form for bytes. */
static void put_keys(gf_json *j, const gf_state *s, bool typed)
{
    gf_json_begin(j, "LastSuccessfulPaginationKeys", '{');
    for (size_t i = 0; i < s->table_count; i++) {
        claim c = claim_of(&s->tables[i]);
        char *key = table_key(&s->tables[i]);

        if (!typed && c.kind == CLAIM_NUMBER) {
            gf_json_put_uint(j, key, c.number);
        } else if (typed && c.kind != CLAIM_NONE) {
            gf_json_begin(j, key, '{');
            gf_json_put_text(j, "type", c.kind == CLAIM_NUMBER ? "uint64" : "binary");
            if (c.kind == CLAIM_NUMBER)
                gf_json_put_uint(j, "value", c.number);
            else
                gf_json_put_hex(j, "value", gf_slice_of(c.bytes.data, c.bytes.len));
            gf_json_put_text(j, "column", c.column == NULL ? "" : c.column);
            gf_json_end(j, '}');
        }
        gf_buf_free(&c.bytes);
        free(key);
    }
    gf_json_end(j, '}');
}

static void put_completed(gf_json *j, const gf_state *s)
{
    gf_json_begin(j, "CompletedTables", '{');
    for (size_t i = 0; i < s->table_count; i++) {
        char *key = table_key(&s->tables[i]);

        if (s->tables[i].done)
            gf_json_put_bool(j, key, true);
        free(key);
    }
    gf_json_end(j, '}');
}

static void put_position(gf_json *j, const char *key, const char *file, uint64_t offset)
{
    gf_json_begin(j, key, '{');
    gf_json_put_text(j, "Name", file);
    gf_json_put_uint(j, "Pos", offset);
    gf_json_end(j, '}');
}

/* ---- the schema cache ---- */

static void put_members(gf_json *j, const char *key, const gf_column *col, gf_type type)
{
    if (col->type != type) {
        gf_json_put_null(j, key);
        return;
    }
    gf_json_begin(j, key, '[');
    for (unsigned i = 0; i < col->member_count; i++)
        gf_json_put_text(j, NULL, col->members[i]);
    gf_json_end(j, ']');
}

static void put_column(gf_json *j, const char *key, const gf_column *col)
{
    bool fixed = col->type == GF_T_BINARY;
    bool sized = fixed || col->type == GF_T_VARBINARY || col->type == GF_T_CHAR || col->type == GF_T_VARCHAR;

    gf_json_begin(j, key, '{');
    gf_json_put_text(j, "Name", col->name);
    gf_json_put_uint(j, "Type", foreign_types[col->type]);
    gf_json_put_text(j, "Collation", col->collation == NULL ? "" : col->collation);
    gf_json_put_text(j, "RawType", col->type_text);
    gf_json_put_bool(j, "IsAuto", col->auto_increment);
    gf_json_put_bool(j, "IsUnsigned", col->is_unsigned);
    gf_json_put_bool(j, "IsVirtual", col->generated == GF_GEN_VIRTUAL);
    gf_json_put_bool(j, "IsStored", col->generated == GF_GEN_STORED);
    put_members(j, "EnumValues", col, GF_T_ENUM);
    put_members(j, "SetValues", col, GF_T_SET);
    gf_json_put_uint(j, "FixedSize", fixed ? col->char_bytes : 0);
    gf_json_put_uint(j, "MaxSize", sized ? col->char_bytes : 0);
    gf_json_end(j, '}');
}

static void put_index(gf_json *j, const gf_table *t, const gf_key *key)
{
    gf_json_begin(j, NULL, '{');
    gf_json_put_text(j, "Name", key->name);
    gf_json_begin(j, "Columns", '[');
    for (unsigned i = 0; i < key->part_count; i++)
        gf_json_put_text(j, NULL, t->columns[key->parts[i].column].name);
    gf_json_end(j, ']');
    gf_json_begin(j, "Cardinality", '[');
    for (unsigned i = 0; i < key->part_count; i++)
        gf_json_put_uint(j, NULL, t->row_estimate);
    gf_json_end(j, ']');
    gf_json_put_uint(j, "NoneUnique", key->unique ? 0 : 1);
    gf_json_put_bool(j, "Visible", !key->invisible);
    gf_json_end(j, '}');
}

static void put_key_columns(gf_json *j, const gf_table *t)
{
    const gf_key *key = t->identity < 0 ? NULL : &t->keys[t->identity];

    gf_json_begin(j, "PKColumns", '[');
    for (unsigned i = 0; key != NULL && i < key->part_count; i++)
        gf_json_put_uint(j, NULL, key->parts[i].column);
    gf_json_end(j, ']');
    gf_json_begin(j, "UnsignedColumns", '[');
    for (unsigned i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_unsigned)
            gf_json_put_uint(j, NULL, i);
    }
    gf_json_end(j, ']');
    gf_json_put_null(j, "CompressedColumnsForVerification");
    gf_json_put_null(j, "IgnoredColumnsForVerification");
    gf_json_put_text(j, "ForcedIndexForVerification", "");
    if (key == NULL || key->part_count == 0) {
        gf_json_put_null(j, "PaginationKeyColumn");
        return;
    }
    put_column(j, "PaginationKeyColumn", &t->columns[key->parts[0].column]);
    gf_json_put_uint(j, "PaginationKeyIndex", key->parts[0].column);
}

static void put_table(gf_json *j, const gf_table *t)
{
    char *key = gf_asprintf("%s.%s", t->db, t->name);

    gf_json_begin(j, key, '{');
    gf_json_put_text(j, "Schema", t->db);
    gf_json_put_text(j, "Name", t->name);
    gf_json_begin(j, "Columns", '[');
    for (unsigned i = 0; i < t->column_count; i++)
        put_column(j, NULL, &t->columns[i]);
    gf_json_end(j, ']');
    gf_json_begin(j, "Indexes", '[');
    for (unsigned i = 0; i < t->key_count; i++)
        put_index(j, t, &t->keys[i]);
    gf_json_end(j, ']');
    put_key_columns(j, t);
    gf_json_end(j, '}');
    free(key);
}

static void put_schema_cache(gf_json *j, const gf_state *s, bool with_schema)
{
    if (!with_schema) {
        gf_json_put_null(j, "LastKnownTableSchemaCache");
        return;
    }
    gf_json_begin(j, "LastKnownTableSchemaCache", '{');
    for (size_t i = 0; i < s->table_count; i++) {
        if (s->tables[i].table != NULL)
            put_table(j, s->tables[i].table);
    }
    gf_json_end(j, '}');
}

/* ---- documents ---- */

static void put_ghostferry(gf_json *j, const gf_state *s, bool with_schema)
{
    const gf_position *pos = &s->position;

    gf_json_put_text(j, "GhostferryVersion", "gfreplica-" GF_VERSION);
    put_schema_cache(j, s, with_schema);
    gf_json_put_text(j, "CurrentStage", "COPY");
    gf_json_begin(j, "CopyStage", '{');
    put_position(j, "LastProcessedBinlogPosition", pos->file, pos->offset);
    put_keys(j, s, false);
    put_completed(j, s);
    gf_json_end(j, '}');
    gf_json_put_null(j, "VerifierStage");
    put_keys(j, s, true);
    put_completed(j, s);
    put_position(j, "LastWrittenBinlogPosition", pos->file, pos->offset);
    gf_json_put_null(j, "BinlogVerifyStore");
    put_position(j, "LastStoredBinlogPositionForInlineVerifier", "", 0);
    put_position(j, "LastStoredBinlogPositionForTargetVerifier", "", 0);
}

void gf_state_json(gf_buf *out, const gf_state *s, gf_state_format format, bool with_schema)
{
    gf_json j = {.out = out};
    gf_state_image img;

    gf_json_begin(&j, NULL, '{');
    if (format == GF_FORMAT_GHOSTFERRY)
        put_ghostferry(&j, s, with_schema);
    gf_state_image_of(&img, s, with_schema);
    img.format = 1;
    gf_shape_to_json(&j, "gfreplica", &gf_state_shape, &img);
    gf_state_image_forget(&img);
    gf_json_end(&j, '}');
    gf_buf_byte(out, '\n');
}

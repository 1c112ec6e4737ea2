/* SPDX-License-Identifier: MIT */
/*
 * shape.c - the tables behind every form of a state, and what all forms need of them.
 *
 * Enums are kept by name and not by number: the order of an enum may change between versions of the program,
 * and a checkpoint outlives them.
 */
#include "shape.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SHAPE(f)                                                                                                       \
    {                                                                                                                  \
        (f), COUNT(f)                                                                                                  \
    }

/* clang-format off */
#define FIELD(k, type, member) {.name = #member, .kind = (k), .offset = offsetof(type, member)}
#define NAMED(n, k, type, member) {.name = (n), .kind = (k), .offset = offsetof(type, member)}
#define TEXT(n, type, member) {.name = (n), .kind = F_TEXT, .offset = offsetof(type, member), \
                               .size = sizeof(((type *)NULL)->member)}
#define ENUM(n, type, member, table) {.name = (n), .kind = F_ENUM, .offset = offsetof(type, member), \
                                   .names = (table), .max = COUNT(table)}
#define LIST(type, member, counter, wide, limit, of) {.name = #member, .kind = F_LIST, \
    .offset = offsetof(type, member), .count_offset = offsetof(type, counter), .wide_count = (wide), .max = (limit), \
    .size = sizeof(*((type *)NULL)->member), .shape = &(of)}
#define GROUP(n, of) {.name = (n), .kind = F_OBJECT, .shape = &(of)}

static const char *const flavor_names[] = {"", "mysql", "mariadb"};
static const char *const stage_names[] = {"starting", "copying", "streaming", "cutover", "done"};
static const char *const generated_names[] = {"none", "virtual", "stored"};
static const char *const type_names[] = {
    [GF_T_UNKNOWN] = "unknown",     [GF_T_TINY] = "tinyint",       [GF_T_SHORT] = "smallint",
    [GF_T_MEDIUM] = "mediumint",    [GF_T_LONG] = "int",           [GF_T_LONGLONG] = "bigint",
    [GF_T_YEAR] = "year",           [GF_T_BIT] = "bit",            [GF_T_DECIMAL] = "decimal",
    [GF_T_FLOAT] = "float",         [GF_T_DOUBLE] = "double",      [GF_T_DATE] = "date",
    [GF_T_TIME] = "time",           [GF_T_DATETIME] = "datetime",  [GF_T_TIMESTAMP] = "timestamp",
    [GF_T_CHAR] = "char",           [GF_T_VARCHAR] = "varchar",    [GF_T_TEXT] = "text",
    [GF_T_BINARY] = "binary",       [GF_T_VARBINARY] = "varbinary", [GF_T_BLOB] = "blob",
    [GF_T_ENUM] = "enum",           [GF_T_SET] = "set",            [GF_T_JSON] = "json",
    [GF_T_GEOMETRY] = "geometry",   [GF_T_VECTOR] = "vector",      [GF_T_INET4] = "inet4",
    [GF_T_INET6] = "inet6",         [GF_T_UUID] = "uuid",
};

static const gf_field column_fields[] = {
    FIELD(F_STRING, gf_column, name),
    FIELD(F_STRING, gf_column, type_text),
    ENUM("type", gf_column, type, type_names),
    FIELD(F_BOOL, gf_column, is_unsigned),
    FIELD(F_BOOL, gf_column, nullable),
    FIELD(F_BOOL, gf_column, auto_increment),
    FIELD(F_BOOL, gf_column, invisible),
    FIELD(F_BOOL, gf_column, row_period),
    FIELD(F_BOOL, gf_column, old_temporal),
    FIELD(F_BOOL, gf_column, compressed),
    FIELD(F_BOOL, gf_column, json_types),
    ENUM("generated", gf_column, generated, generated_names),
    FIELD(F_U64, gf_column, char_bytes),
    FIELD(F_UINT, gf_column, precision),
    FIELD(F_UINT, gf_column, scale),
    FIELD(F_BOOL, gf_column, scale_given),
    FIELD(F_UINT, gf_column, fsp),
    FIELD(F_UINT, gf_column, bits),
    FIELD(F_STRING, gf_column, charset),
    FIELD(F_STRING, gf_column, collation),
    {.name = "members", .kind = F_STRINGS, .offset = offsetof(gf_column, members),
     .count_offset = offsetof(gf_column, member_count), .max = 65535},
};
static const gf_shape column_shape = SHAPE(column_fields);

static const gf_field part_fields[] = {
    FIELD(F_UINT, gf_key_part, column),
    FIELD(F_UINT, gf_key_part, prefix),
    FIELD(F_BOOL, gf_key_part, descending),
};
static const gf_shape part_shape = SHAPE(part_fields);

static const gf_field key_fields[] = {
    FIELD(F_STRING, gf_key, name),
    LIST(gf_key, parts, part_count, false, 64, part_shape),
    FIELD(F_BOOL, gf_key, unique),
    FIELD(F_BOOL, gf_key, nullable),
    FIELD(F_BOOL, gf_key, functional),
    FIELD(F_BOOL, gf_key, hashed),
    FIELD(F_BOOL, gf_key, invisible),
};
static const gf_shape key_shape = SHAPE(key_fields);

/* Only what is not derived: gf_table_finish makes the rest anew. 4096 columns are the servers' own limit. */
static const gf_field table_fields[] = {
    FIELD(F_STRING, gf_table, db),
    FIELD(F_STRING, gf_table, name),
    FIELD(F_STRING, gf_table, target_db),
    FIELD(F_STRING, gf_table, target_name),
    LIST(gf_table, columns, column_count, false, 4096, column_shape),
    LIST(gf_table, keys, key_count, false, 1024, key_shape),
    FIELD(F_STRING, gf_table, engine),
    FIELD(F_STRING, gf_table, collation),
    FIELD(F_BOOL, gf_table, system_versioned),
    FIELD(F_UINT, gf_table, hidden_columns),
    FIELD(F_STRING, gf_table, create_sql),
    FIELD(F_U64, gf_table, row_estimate),
    FIELD(F_U64, gf_table, data_bytes),
};
const gf_shape gf_table_shape = SHAPE(table_fields);

static const gf_field range_fields[] = {
    FIELD(F_UINT, gf_state_range, index),
    FIELD(F_BYTES, gf_state_range, lower),
    FIELD(F_BYTES, gf_state_range, upper),
    FIELD(F_BYTES, gf_state_range, frontier),
    FIELD(F_BOOL, gf_state_range, done),
    FIELD(F_U64, gf_state_range, rows),
};
static const gf_shape range_shape = SHAPE(range_fields);

static const gf_field state_table_fields[] = {
    FIELD(F_STRING, gf_state_table, db),
    FIELD(F_STRING, gf_state_table, name),
    FIELD(F_BOOL, gf_state_table, done),
    LIST(gf_state_table, ranges, range_count, true, 4u << 20, range_shape),
    FIELD(F_STRING, gf_state_table, import_key),
    FIELD(F_BOOL, gf_state_table, import_key_binary),
    FIELD(F_STRING, gf_state_table, import_key_column),
    FIELD(F_STRING, gf_state_table, import_schema),
    {.name = "schema", .kind = F_TABLE, .offset = offsetof(gf_state_table, table), .shape = &gf_table_shape},
};
static const gf_shape state_table_shape = SHAPE(state_table_fields);

static const gf_field position_fields[] = {
    TEXT("file", gf_state_image, state.position.file),
    NAMED("offset", F_U64, gf_state_image, state.position.offset),
    NAMED("gtids", F_STRING, gf_state_image, position_gtids),
};
static const gf_shape position_shape = SHAPE(position_fields);

static const gf_field final_fields[] = {
    TEXT("file", gf_state_image, state.final.file),
    NAMED("offset", F_U64, gf_state_image, state.final.offset),
    NAMED("gtids", F_STRING, gf_state_image, final_gtids),
};
static const gf_shape final_shape = SHAPE(final_fields);

#define STATE(k, member) NAMED(#member, k, gf_state_image, state.member)
#define STATE_TEXT(member) TEXT(#member, gf_state_image, state.member)

static const gf_field state_fields[] = {
    FIELD(F_UINT, gf_state_image, format),
    STATE(F_UINT, generation),
    STATE_TEXT(job),
    ENUM("flavor", gf_state_image, state.flavor, flavor_names),
    STATE_TEXT(source_identity),
    STATE_TEXT(source_address),
    STATE_TEXT(target_address),
    STATE_TEXT(our_uuid),
    STATE(F_UINT, our_server_id),
    STATE_TEXT(config_digest),
    ENUM("stage", gf_state_image, state.stage, stage_names),
    GROUP("position", position_shape),
    GROUP("final", final_shape),
    STATE(F_BOOL, imported),
    STATE(F_BOOL, marker),
    STATE(F_U64, schema_changes),
    STATE_TEXT(schema_file),
    STATE(F_U64, schema_offset),
    STATE(F_U64, started_ms),
    STATE(F_U64, saved_ms),
    STATE_TEXT(cause),
    STATE(F_BOOL, resumable),
    STATE(F_INT, pid),
    STATE_TEXT(control),
    STATE(F_U64, indexed_tables),
    STATE(F_U64, deferred_tables),
    STATE(F_U64, rows_copied),
    STATE(F_U64, rows_estimate),
    STATE(F_U64, changes_applied),
    STATE(F_U64, transactions_applied),
    STATE(F_DOUBLE, rows_per_second),
    STATE(F_DOUBLE, lag_seconds),
    STATE(F_U64, lag_bytes),
    STATE(F_DOUBLE, eta_seconds),
    STATE(F_U64, relay_bytes),
    STATE(F_BOOL, relay_full),
    STATE(F_BOOL, receiving),
    STATE_TEXT(received_file),
    STATE(F_U64, received_offset),
    STATE(F_U64, needed_ms),
    STATE(F_BOOL, retention_known),
    STATE(F_U64, source_keeps_s),
    STATE(F_BOOL, paused),
    STATE(F_BOOL, automatic_cutover),
    STATE(F_BOOL, cutover_requested),
    {.name = "tables", .kind = F_LIST, .offset = offsetof(gf_state_image, state.tables),
     .count_offset = offsetof(gf_state_image, state.table_count), .wide_count = true, .max = 4u << 20,
     .size = sizeof(gf_state_table), .shape = &state_table_shape},
};
const gf_shape gf_state_shape = SHAPE(state_fields);
/* clang-format on */

const char *gf_stage_name(gf_stage s)
{
    return (size_t)s < COUNT(stage_names) ? stage_names[s] : "unknown";
}

bool gf_stage_parse(gf_stage *out, const char *name)
{
    for (size_t i = 0; i < COUNT(stage_names); i++) {
        if (strcmp(stage_names[i], name) == 0) {
            *out = (gf_stage)i;
            return true;
        }
    }
    return false;
}

size_t gf_field_count_of(const gf_field *f, const void *base)
{
    const char *at = (const char *)base + f->count_offset;

    return f->wide_count ? *(const size_t *)(const void *)at : *(const unsigned *)(const void *)at;
}

void gf_field_set_count(const gf_field *f, void *base, size_t count)
{
    char *at = (char *)base + f->count_offset;

    if (f->wide_count)
        *(size_t *)(void *)at = count;
    else
        *(unsigned *)(void *)at = (unsigned)count;
}

static bool group_is_zero(const gf_shape *shape, const void *base)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (!gf_field_is_zero(&shape->fields[i], base))
            return false;
    }
    return true;
}

bool gf_field_is_zero(const gf_field *f, const void *base)
{
    const void *at = (const char *)base + f->offset;

    switch (f->kind) {
    case F_BOOL: return !*(const bool *)at;
    case F_INT: return *(const int *)at == 0;
    case F_UINT:
    case F_ENUM: return *(const unsigned *)at == 0;
    case F_U64: return *(const uint64_t *)at == 0;
    case F_DOUBLE: return false;
    case F_TEXT: return *(const char *)at == '\0';
    case F_STRING: return *(char *const *)at == NULL;
    case F_BYTES: return ((const gf_buf *)at)->len == 0;
    case F_STRINGS:
    case F_LIST: return gf_field_count_of(f, base) == 0;
    case F_TABLE: return *(gf_table *const *)at == NULL;
    case F_OBJECT: return group_is_zero(f->shape, base);
    }
    return true;
}

/* ---- images ---- */

static char *gtid_text(const gf_position *pos)
{
    gf_buf text = {0};
    char *copy = NULL;

    gf_position_gtid_text(pos, &text);
    if (text.len > 0)
        copy = gf_strndup((const char *)text.data, text.len);
    gf_buf_free(&text);
    return copy;
}

void gf_state_image_of(gf_state_image *img, const gf_state *s, bool with_schema)
{
    memset(img, 0, sizeof *img);
    img->state = *s;
    img->position_gtids = gtid_text(&s->position);
    img->final_gtids = gtid_text(&s->final);
    if (with_schema || s->table_count == 0)
        return;
    /* The tables again, without their definitions. */
    img->state.tables = gf_malloc(s->table_count * sizeof *img->state.tables);
    memcpy(img->state.tables, s->tables, s->table_count * sizeof *img->state.tables);
    for (size_t i = 0; i < s->table_count; i++)
        img->state.tables[i].table = NULL;
    img->owns_tables = true;
}

void gf_state_image_forget(gf_state_image *img)
{
    if (img->owns_tables)
        free(img->state.tables);
    free(img->position_gtids);
    free(img->final_gtids);
    memset(img, 0, sizeof *img);
}

void gf_state_image_free(gf_state_image *img)
{
    gf_state_free(&img->state);
    free(img->position_gtids);
    free(img->final_gtids);
    memset(img, 0, sizeof *img);
}

/* Builds the position out of the parts that were read into it. */
static bool read_position(gf_position *pos, gf_flavor flavor, const char *gtids, const char *which, gf_error *err)
{
    gf_position read = {0};

    if (gtids != NULL && flavor != GF_FLAVOR_MYSQL && flavor != GF_FLAVOR_MARIADB)
        return gf_fail(err, GF_ERR_CONFIG, "%s has GTIDs, but the flavor is missing", which);
    if (!gf_position_parse(&read, flavor, pos->file, pos->offset, gtids == NULL ? "" : gtids, err))
        return gf_fail_context(err, "%s", which);
    *pos = read;
    return true;
}

bool gf_state_image_take(gf_state *out, gf_state_image *img, gf_error *err)
{
    gf_state *s = &img->state;

    if (!read_position(&s->position, s->flavor, img->position_gtids, "position", err) ||
        !read_position(&s->final, s->flavor, img->final_gtids, "final", err)) {
        gf_state_image_free(img);
        return false;
    }
    *out = *s;
    free(img->position_gtids);
    free(img->final_gtids);
    memset(img, 0, sizeof *img);
    return true;
}

/* ---- tables ---- */

static bool columns_fit(const gf_table *t)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        if (t->columns[i].name == NULL || t->columns[i].type_text == NULL)
            return false;
    }
    return t->column_count > 0;
}

static bool keys_fit(const gf_table *t)
{
    for (unsigned k = 0; k < t->key_count; k++) {
        const gf_key *key = &t->keys[k];

        if (key->name == NULL)
            return false;
        for (unsigned p = 0; p < key->part_count; p++) {
            if (key->parts[p].column >= t->column_count)
                return false;
        }
    }
    return true;
}

bool gf_table_complete(gf_table *t)
{
    char *db = t->target_db, *name = t->target_name;
    bool fits = t->db != NULL && t->name != NULL && db != NULL && name != NULL && columns_fit(t) && keys_fit(t);

    if (!fits)
        return false;
    t->target_db = t->target_name = NULL; /* finish sets them with all that hangs on them */
    gf_table_finish(t, db, name);
    free(db);
    free(name);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * json_in.c - a state from JSON: ours in either form, or Ghostferry's of any generation.
 *
 * Where the object "gfreplica" is present it holds everything, and the rest of the document is for other readers.
 * Otherwise the document is Ghostferry's, and its parts have stood in different places and forms over the years:
 *
 *     position    LastWrittenBinlogPosition | CopyStage.LastProcessedBinlogPosition | VerifierStage.(same)
 *     keys        LastSuccessfulPaginationKeys | LastSuccessfulPrimaryKeys, flat or in CopyStage;
 *                 17 | {"type": "uint64", "value": 17, "column": "id"} | {"type": "binary", "value": "0a1b"}
 *     completed   CompletedTables, flat or in CopyStage
 *
 * Any of the maps may be missing or null. With several positions the smallest counts: replaying what is there already
 * converges, skipping does not.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "json_shape.h"

/* ---- integers that the JSON library can't hold ---- */

/* The length of the number at p, 0 when it is no plain integer of 19 digits or more (2^63 - 1 has 19). */
static size_t long_integer(const char *p, size_t left)
{
    size_t n = 0;

    while (n < left && isdigit((unsigned char)p[n]))
        n++;
    return n >= 19 && (n == left || strchr(".eE", p[n]) == NULL) ? n : 0;
}

/* Copies the document and puts quotes round large integers outside of strings, so that they arrive as their digits. */
static void quote_large_integers(gf_buf *out, const char *text, size_t len)
{
    bool inside = false, in_number = false;

    for (size_t i = 0; i < len; i++) {
        size_t n = inside || in_number ? 0 : long_integer(text + i, len - i);

        if (n > 0) {
            gf_buf_printf(out, "\"%.*s\"", (int)n, text + i);
            i += n - 1;
            continue;
        }
        gf_buf_byte(out, (uint8_t)text[i]);
        if (inside && text[i] == '\\' && i + 1 < len)
            gf_buf_byte(out, (uint8_t)text[++i]);
        else if (text[i] == '"')
            inside = !inside;
        in_number = text[i] != '\0' && strchr("+-.0123456789eE", text[i]) != NULL;
    }
}

static json_t *parse(const char *text, size_t len, gf_error *err)
{
    gf_buf quoted = {0};
    json_error_t why;
    json_t *root;

    quote_large_integers(&quoted, text, len);
    root = json_loadb((const char *)quoted.data, quoted.len, 0, &why);
    gf_buf_free(&quoted);
    if (root == NULL)
        gf_fail(err, GF_ERR_CONFIG, "the state is no JSON document: line %d, column %d: %s", why.line, why.column,
                why.text);
    else if (!json_is_object(root))
        gf_fail(err, GF_ERR_CONFIG, "the state is no JSON object");
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

/* ---- our own ---- */

static bool from_native(gf_state *out, const json_t *object, gf_error *err)
{
    gf_state_image img = {0};
    gf_state *s = &img.state;

    if (!gf_shape_from_json(&img, &gf_state_shape, object, err)) {
        gf_state_image_free(&img);
        return gf_fail_context(err, "gfreplica");
    }
    for (size_t i = 0; i < s->table_count; i++) {
        if (s->tables[i].db == NULL || s->tables[i].name == NULL) {
            gf_state_image_free(&img);
            return gf_fail(err, GF_ERR_CONFIG, "gfreplica: tables[%zu]: db and name are needed", i);
        }
    }
    if (!gf_state_image_take(out, &img, err))
        return gf_fail_context(err, "gfreplica");
    /* What belongs to the process that wrote it, not to the job. */
    out->pid = 0;
    out->control[0] = '\0';
    out->generation = 0;
    out->paused = false;
    out->imported = true;
    return true;
}

/* ---- Ghostferry's ---- */

typedef struct {
    gf_state *state;
    const json_t *root, *copy; /* the document and its CopyStage; borrowed, copy may be NULL */
    const json_t *schema;      /* LastKnownTableSchemaCache or NULL */
    json_t *index;             /* owned: "db.table" -> number in state->tables */
} import;

/* The member, or NULL when it is missing or null; wrong types are errors that name `path`.key. */
static bool member(const json_t **out, const json_t *object, const char *path, const char *key, json_type type,
                   gf_error *err)
{
    static const char *const kinds[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "a list",
                                        [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "an integer"};
    const json_t *v = json_object_get(object, key);

    *out = NULL;
    if (v == NULL || json_is_null(v))
        return true;
    if (json_typeof(v) != type)
        return gf_fail(err, GF_ERR_CONFIG, "%s%s%s: expected %s", path, *path == '\0' ? "" : ".", key, kinds[type]);
    *out = v;
    return true;
}

/* Lowers the state's position to the one at owner.key, if there is one. */
static bool read_position(gf_state *s, const json_t *owner, const char *path, const char *key, gf_error *err)
{
    const json_t *pos, *name;
    const char *file;
    uint64_t offset = 0;

    if (owner == NULL || !member(&pos, owner, path, key, JSON_OBJECT, err))
        return owner == NULL;
    if (pos == NULL)
        return true;
    if (!member(&name, pos, key, "Name", JSON_STRING, err))
        return false;
    file = name == NULL ? "" : json_string_value(name);
    if (*file == '\0') /* what Ghostferry dumps before it has one */
        return true;
    if (strlen(file) >= sizeof s->position.file)
        return gf_fail(err, GF_ERR_CONFIG, "%s.Name: longer than a binlog's name can be", key);
    if (!gf_json_get_u64(&offset, json_object_get(pos, "Pos")))
        return gf_fail(err, GF_ERR_CONFIG, "%s.Pos: expected an integer", key);
    if (s->position.file[0] == '\0' || gf_binlog_cmp(file, offset, s->position.file, s->position.offset) < 0) {
        snprintf(s->position.file, sizeof s->position.file, "%s", file);
        s->position.offset = offset;
    }
    return true;
}

/* "db.table": told apart by the schema cache where it knows the name, else at the first dot. */
static bool split_name(char **db, char **name, const import *im, const char *key, gf_error *err)
{
    const json_t *entry = json_object_get(im->schema, key);
    const char *dot = strchr(key, '.');
    const char *schema = json_string_value(json_object_get(entry, "Schema"));
    const char *table = json_string_value(json_object_get(entry, "Name"));

    if (schema != NULL && table != NULL) {
        *db = gf_strdup(schema);
        *name = gf_strdup(table);
        return true;
    }
    if (dot == NULL || dot == key || dot[1] == '\0')
        return gf_fail(err, GF_ERR_CONFIG, "\"%s\" is no name of the form database.table", key);
    if (strchr(dot + 1, '.') != NULL)
        gf_log_warn("state: \"%s\" has several dots and no schema cache entry; taken as database \"%.*s\"", key,
                    (int)(dot - key), key);
    *db = gf_strndup(key, (size_t)(dot - key));
    *name = gf_strdup(dot + 1);
    return true;
}

/* The state's entry for "db.table", made when it is not there yet. NULL on error. */
static gf_state_table *entry_of(import *im, const char *key, gf_error *err)
{
    gf_state *s = im->state;
    const json_t *known = json_object_get(im->index, key);
    char *db = NULL, *name = NULL;

    if (known != NULL)
        return &s->tables[json_integer_value(known)];
    if (!split_name(&db, &name, im, key, err))
        return NULL;
    s->tables = gf_realloc(s->tables, (s->table_count + 1) * sizeof *s->tables);
    s->tables[s->table_count] = (gf_state_table){.db = db, .name = name};
    if (json_object_set_new(im->index, key, json_integer((json_int_t)s->table_count)) != 0)
        gf_oom();
    return &s->tables[s->table_count++];
}

static bool read_completed(import *im, const json_t *owner, const char *path, gf_error *err)
{
    const json_t *map;
    const char *key;
    json_t *v;

    if (owner == NULL || !member(&map, owner, path, "CompletedTables", JSON_OBJECT, err))
        return owner == NULL;
    json_object_foreach ((json_t *)(uintptr_t)map, key, v) {
        gf_state_table *st;

        if (!json_is_boolean(v))
            return gf_fail(err, GF_ERR_CONFIG, "CompletedTables.%s: expected true or false", key);
        if (!json_is_true(v))
            continue;
        st = entry_of(im, key, err);
        if (st == NULL)
            return gf_fail_context(err, "CompletedTables");
        st->done = true;
    }
    return true;
}

static bool set_number(gf_state_table *st, const json_t *v)
{
    uint64_t n;

    if (!gf_json_get_u64(&n, v))
        return false;
    st->import_key = gf_asprintf("%llu", (unsigned long long)n);
    return true;
}

static bool set_binary(gf_state_table *st, const json_t *v)
{
    const char *hex = json_string_value(v);

    if (hex == NULL || strlen(hex) % 2 != 0 || strspn(hex, "0123456789abcdefABCDEF") != strlen(hex))
        return false;
    st->import_key = gf_strdup(hex);
    st->import_key_binary = true;
    return true;
}

static bool read_key(gf_state_table *st, const char *key, const json_t *v, gf_error *err)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    const char *column = json_string_value(json_object_get(v, "column"));
    const json_t *value = json_object_get(v, "value");

    if (st->import_key != NULL) /* today's form has been read already */
        return true;
    if (!json_is_object(v))
        return set_number(st, v) || gf_fail(err, GF_ERR_CONFIG, "%s: expected a whole number, 0 or more", key);
    if (column != NULL && *column != '\0')
        st->import_key_column = gf_strdup(column);
    if (type != NULL && strcmp(type, "uint64") == 0)
        return set_number(st, value) || gf_fail(err, GF_ERR_CONFIG, "%s.value: expected a whole number", key);
    if (type != NULL && strcmp(type, "binary") == 0)
        return set_binary(st, value) || gf_fail(err, GF_ERR_CONFIG, "%s.value: expected hex digits", key);
    return gf_fail(err, GF_ERR_CONFIG, "%s.type: expected \"uint64\" or \"binary\"", key);
}

static bool read_keys(import *im, const json_t *owner, const char *path, const char *map_name, gf_error *err)
{
    const json_t *map;
    const char *key;
    json_t *v;

    if (owner == NULL || !member(&map, owner, path, map_name, JSON_OBJECT, err))
        return owner == NULL;
    json_object_foreach ((json_t *)(uintptr_t)map, key, v) {
        gf_state_table *st;

        if (json_is_null(v))
            continue;
        st = entry_of(im, key, err);
        if (st == NULL || !read_key(st, key, v, err))
            return gf_fail_context(err, "%s", map_name);
    }
    return true;
}

/* ---- its schema cache ---- */

/* The column that its keys are of: told since 2022, before that the only column of the primary key. */
static const char *pagination_column(const json_t *table)
{
    const json_t *pk = json_object_get(table, "PKColumns");
    const char *told = json_string_value(json_object_get(json_object_get(table, "PaginationKeyColumn"), "Name"));
    json_int_t i = json_integer_value(json_array_get(pk, 0));

    if (told != NULL)
        return told;
    if (json_array_size(pk) != 1 || i < 0)
        return NULL;
    return json_string_value(json_object_get(json_array_get(json_object_get(table, "Columns"), (size_t)i), "Name"));
}

static bool read_columns(gf_state_table *st, const json_t *columns, gf_error *err)
{
    gf_buf text = {0};

    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(columns, i), "Name"));
        const char *type = json_string_value(json_object_get(json_array_get(columns, i), "RawType"));

        if (name == NULL || type == NULL) {
            gf_buf_free(&text);
            return gf_fail(err, GF_ERR_CONFIG, "Columns[%zu]: Name and RawType are needed", i);
        }
        gf_buf_printf(&text, "%s\t%s\n", name, type);
    }
    if (text.len > 0)
        st->import_schema = gf_strdup(gf_buf_cstr(&text));
    gf_buf_free(&text);
    return true;
}

static bool read_schema(import *im, gf_error *err)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)(uintptr_t)im->schema, key, v) {
        gf_state_table *st = entry_of(im, key, err);
        const json_t *columns;
        const char *column;

        if (st == NULL || !member(&columns, v, key, "Columns", JSON_ARRAY, err) || !read_columns(st, columns, err))
            return gf_fail_context(err, "LastKnownTableSchemaCache.%s", key);
        column = pagination_column(v);
        if (column != NULL && st->import_key_column == NULL)
            st->import_key_column = gf_strdup(column);
    }
    return true;
}

/* ---- the whole ---- */

static bool has_content(const json_t *owner, const char *key)
{
    return json_object_size(json_object_get(owner, key)) > 0;
}

static void warn_of_left_out(const import *im, const json_t *verifier)
{
    if (has_content(im->root, "BatchProgress") || has_content(im->copy, "BatchProgress"))
        gf_log_warn("state: BatchProgress is not used; tables that it alone speaks of are copied from their beginning");
    if (has_content(im->root, "BinlogVerifyStore") || has_content(verifier, "ReverifyStore"))
        gf_log_warn(
            "state: rows that a verifier had still to look at are not taken over; verify when the move is done");
}

/* A document without any of these is something else, and an empty state would begin a copy anew. */
static bool looks_like_a_state(const json_t *root)
{
    static const char *const marks[] = {"CopyStage", "VerifierStage", "LastWrittenBinlogPosition",
                                        "LastKnownTableSchemaCache", "CompletedTables"};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (json_object_get(root, marks[i]) != NULL)
            return true;
    }
    return false;
}

static bool read_foreign(import *im, gf_error *err)
{
    gf_state *s = im->state;
    const json_t *verifier;

    if (!member(&im->copy, im->root, "", "CopyStage", JSON_OBJECT, err) ||
        !member(&verifier, im->root, "", "VerifierStage", JSON_OBJECT, err) ||
        !member(&im->schema, im->root, "", "LastKnownTableSchemaCache", JSON_OBJECT, err))
        return false;
    if (!read_position(s, im->root, "", "LastWrittenBinlogPosition", err) ||
        !read_position(s, im->copy, "CopyStage", "LastProcessedBinlogPosition", err) ||
        !read_position(s, verifier, "VerifierStage", "LastProcessedBinlogPosition", err))
        return false;
    if (s->position.file[0] == '\0')
        return gf_fail(
            err, GF_ERR_CONFIG,
            "it has no binlog position (LastWrittenBinlogPosition or CopyStage.LastProcessedBinlogPosition): "
            "it was dumped before the copy began, and there is nothing to resume");
    /* Flat maps first: they are today's, with types and columns. */
    if (!read_keys(im, im->root, "", "LastSuccessfulPaginationKeys", err) ||
        !read_keys(im, im->root, "", "LastSuccessfulPrimaryKeys", err) ||
        !read_keys(im, im->copy, "CopyStage", "LastSuccessfulPaginationKeys", err) ||
        !read_keys(im, im->copy, "CopyStage", "LastSuccessfulPrimaryKeys", err) ||
        !read_completed(im, im->root, "", err) || !read_completed(im, im->copy, "CopyStage", err) ||
        !read_schema(im, err))
        return false;
    warn_of_left_out(im, verifier);
    s->stage = GF_STAGE_COPYING;
    s->imported = s->resumable = true;
    s->lag_seconds = s->eta_seconds = -1;
    return true;
}

static bool from_foreign(gf_state *out, const json_t *root, gf_error *err)
{
    gf_state s = {0};
import im = {.state = & s, .root = root, .index = json_object() };
    bool ok;

    if (im.index == NULL)
        gf_oom();
    if (!looks_like_a_state(root))
        ok = gf_fail(err, GF_ERR_CONFIG, "neither gfreplica nor Ghostferry wrote it: none of their fields is there");
    else
        ok = read_foreign(&im, err);
    json_decref(im.index);
    if (ok)
        *out = s;
    else
        gf_state_free(&s);
    return ok;
}

bool gf_state_from_json(gf_state *out, const char *text, size_t len, gf_error *err)
{
    json_t *root;
    const json_t *own;
    bool ok;

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len == 0)
        return gf_fail(err, GF_ERR_CONFIG, "the state is empty");
    root = parse(text, len, err);
    if (root == NULL)
        return false;
    own = json_object_get(root, "gfreplica");
    ok = own != NULL ? from_native(out, own, err) : from_foreign(out, root, err);
    json_decref(root);
    return ok || gf_fail_context(err, "state");
}

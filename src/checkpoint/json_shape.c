/* SPDX-License-Identifier: MIT */
/*
 * json_shape.c - native JSON both ways. Bytes are hex, GTIDs the servers' own text, enums their names.
 */
#include "json_shape.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* ---- writing ---- */

static void put_strings(gf_json *j, const gf_field *f, const void *base)
{
    char *const *items = *(char **const *)(const void *)((const char *)base + f->offset);
    size_t count = gf_field_count_of(f, base);

    gf_json_begin(j, f->name, '[');
    for (size_t i = 0; i < count; i++)
        gf_json_put_text(j, NULL, items[i]);
    gf_json_end(j, ']');
}

static void put_list(gf_json *j, const gf_field *f, const void *base)
{
    const char *items = *(const char *const *)(const void *)((const char *)base + f->offset);
    size_t count = gf_field_count_of(f, base);

    gf_json_begin(j, f->name, '[');
    for (size_t i = 0; i < count; i++)
        gf_shape_to_json(j, NULL, f->shape, items + i * f->size);
    gf_json_end(j, ']');
}

static void put_value(gf_json *j, const gf_field *f, const void *base)
{
    const void *at = (const char *)base + f->offset;
    const gf_buf *b = at;

    switch (f->kind) {
    case F_BOOL: gf_json_put_bool(j, f->name, *(const bool *)at); break;
    case F_INT: gf_json_put_int(j, f->name, *(const int *)at); break;
    case F_UINT: gf_json_put_uint(j, f->name, *(const unsigned *)at); break;
    case F_U64: gf_json_put_uint(j, f->name, *(const uint64_t *)at); break;
    case F_DOUBLE: gf_json_put_double(j, f->name, *(const double *)at); break;
    case F_TEXT: gf_json_put_text(j, f->name, at); break;
    case F_STRING: gf_json_put_text(j, f->name, *(char *const *)at); break;
    case F_BYTES: gf_json_put_hex(j, f->name, gf_slice_of(b->data, b->len)); break;
    case F_ENUM: gf_json_put_text(j, f->name, f->names[*(const unsigned *)at]); break;
    case F_STRINGS: put_strings(j, f, base); break;
    case F_LIST: put_list(j, f, base); break;
    case F_OBJECT: gf_shape_to_json(j, f->name, f->shape, base); break;
    case F_TABLE: gf_shape_to_json(j, f->name, f->shape, *(gf_table *const *)at); break;
    }
}

void gf_shape_to_json(gf_json *j, const char *key, const gf_shape *shape, const void *base)
{
    gf_json_begin(j, key, '{');
    for (size_t i = 0; i < shape->count; i++) {
        /* Enums are always told: "starting" is worth reading although it is zero. */
        if (shape->fields[i].kind == F_ENUM || !gf_field_is_zero(&shape->fields[i], base))
            put_value(j, &shape->fields[i], base);
    }
    gf_json_end(j, '}');
}

/* ---- reading ---- */

static bool wrong(const gf_field *f, const char *expected, gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG, "%s: expected %s", f->name, expected);
}

bool gf_json_get_u64(uint64_t *out, const json_t *v)
{
    const char *text = json_string_value(v);
    char *end;

    if (json_is_integer(v) && json_integer_value(v) >= 0) {
        *out = (uint64_t)json_integer_value(v);
        return true;
    }
    if (text == NULL || !isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool get_uint(unsigned *out, const gf_field *f, const json_t *v, gf_error *err)
{
    uint64_t n;

    if (!gf_json_get_u64(&n, v) || n > UINT32_MAX)
        return wrong(f, "an integer from 0 to 4294967295", err);
    *out = (unsigned)n;
    return true;
}

static bool get_int(int *out, const gf_field *f, const json_t *v, gf_error *err)
{
    json_int_t n = json_integer_value(v);

    if (!json_is_integer(v) || n < INT32_MIN || n > INT32_MAX)
        return wrong(f, "an integer of 32 bits", err);
    *out = (int)n;
    return true;
}

static bool get_text(char *to, const gf_field *f, const json_t *v, gf_error *err)
{
    const char *text = json_string_value(v);

    if (text == NULL)
        return wrong(f, "a string", err);
    if (strlen(text) >= f->size)
        return gf_fail(err, GF_ERR_CONFIG, "%s: longer than %zu bytes", f->name, f->size - 1);
    memcpy(to, text, strlen(text) + 1);
    return true;
}

static bool get_string(char **to, const gf_field *f, const json_t *v, gf_error *err)
{
    if (!json_is_string(v))
        return wrong(f, "a string", err);
    *to = gf_strdup(json_string_value(v));
    return true;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));

    return at == NULL ? -1 : (int)(at - digits);
}

static bool get_hex(gf_buf *to, const gf_field *f, const json_t *v, gf_error *err)
{
    const char *text = json_string_value(v);

    if (text == NULL || strlen(text) % 2 != 0)
        return wrong(f, "hex digits", err);
    for (; *text != '\0'; text += 2) {
        int high = digit(text[0]), low = digit(text[1]);

        if (high < 0 || low < 0)
            return wrong(f, "hex digits", err);
        gf_buf_byte(to, (uint8_t)(high << 4 | low));
    }
    return true;
}

static bool get_enum(unsigned *to, const gf_field *f, const json_t *v, gf_error *err)
{
    const char *text = json_string_value(v);

    for (size_t i = 0; text != NULL && i < f->max; i++) {
        if (strcmp(text, f->names[i]) == 0) {
            *to = (unsigned)i;
            return true;
        }
    }
    return text == NULL ? wrong(f, "a name", err)
                        : gf_fail(err, GF_ERR_CONFIG, "%s: \"%s\" is not known", f->name, text);
}

static bool get_strings(const gf_field *f, void *base, const json_t *v, gf_error *err)
{
    char ***items = (char ***)(void *)((char *)base + f->offset);
    size_t n = json_array_size(v);

    if (!json_is_array(v) || n > f->max)
        return wrong(f, "a list of strings", err);
    *items = gf_calloc(n, sizeof **items);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);

        if (!json_is_string(item))
            return wrong(f, "a list of strings", err);
        (*items)[i] = gf_strdup(json_string_value(item));
        gf_field_set_count(f, base, i + 1);
    }
    return true;
}

static bool get_list(const gf_field *f, void *base, const json_t *v, gf_error *err)
{
    char **items = (char **)(void *)((char *)base + f->offset);
    size_t n = json_array_size(v);

    if (!json_is_array(v) || n > f->max)
        return wrong(f, "a list of objects", err);
    *items = gf_calloc(n, f->size);
    for (size_t i = 0; i < n; i++) {
        gf_field_set_count(f, base, i + 1);
        if (!gf_shape_from_json(*items + i * f->size, f->shape, json_array_get(v, i), err))
            return gf_fail_context(err, "%s[%zu]", f->name, i);
    }
    return true;
}

static bool get_table(gf_table **to, const gf_field *f, const json_t *v, gf_error *err)
{
    *to = gf_table_new("", "");
    free((*to)->db);
    free((*to)->name);
    (*to)->db = (*to)->name = NULL;
    if (!gf_shape_from_json(*to, f->shape, v, err))
        return gf_fail_context(err, "%s", f->name);
    return gf_table_complete(*to) || gf_fail(err, GF_ERR_CONFIG, "%s: its parts do not fit together", f->name);
}

static bool get_value(const gf_field *f, void *base, const json_t *v, gf_error *err)
{
    void *at = (char *)base + f->offset;

    switch (f->kind) {
    case F_BOOL: *(bool *)at = json_is_true(v); return json_is_boolean(v) || wrong(f, "true or false", err);
    case F_INT: return get_int(at, f, v, err);
    case F_UINT: return get_uint(at, f, v, err);
    case F_U64: return gf_json_get_u64(at, v) || wrong(f, "a whole number", err);
    case F_DOUBLE: *(double *)at = json_number_value(v); return json_is_number(v) || wrong(f, "a number", err);
    case F_TEXT: return get_text(at, f, v, err);
    case F_STRING: return get_string(at, f, v, err);
    case F_BYTES: return get_hex(at, f, v, err);
    case F_ENUM: return get_enum(at, f, v, err);
    case F_STRINGS: return get_strings(f, base, v, err);
    case F_LIST: return get_list(f, base, v, err);
    case F_OBJECT: return gf_shape_from_json(base, f->shape, v, err) || gf_fail_context(err, "%s", f->name);
    case F_TABLE: return get_table(at, f, v, err);
    }
    return false;
}

bool gf_shape_from_json(void *base, const gf_shape *shape, const json_t *object, gf_error *err)
{
    if (!json_is_object(object))
        return gf_fail(err, GF_ERR_CONFIG, "expected an object");
    for (size_t i = 0; i < shape->count; i++) {
        const json_t *v = json_object_get(object, shape->fields[i].name);

        if (v != NULL && !json_is_null(v) && !get_value(&shape->fields[i], base, v, err))
            return false;
    }
    return true;
}

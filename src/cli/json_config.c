/* SPDX-License-Identifier: MIT */
/*
 * json_config.c - CONF.json, read as ghostferry-copydb's parser (Go's encoding/json) reads it, but not silently.
 *
 * Alike: keys in either case, the last of equal keys counts, null leaves a field as it is, a wrong type is an error,
 * only the first JSON value of the file is looked at. Unlike: a key that nothing knows, or that has no effect here, is
 * warned about by name.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/log.h"
#include "options.h"

typedef struct {
    cli_input *in;
    const char *file;
} reader;

static const char *type_name(const json_t *v)
{
    static const char *const names[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "a list",
                                        [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "a number",
                                        [JSON_REAL] = "a number with a fraction",
                                        [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false",
                                        [JSON_NULL] = "null"};

    return names[json_typeof(v)];
}

static bool wrong_type(const reader *r, const char *path, const char *expected, const json_t *v, gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG, "%s: %s: expected %s, found %s", r->file, path, expected, type_name(v));
}

static bool set_text(const reader *r, const cli_option *o, const char *path, const char *text, gf_error *err)
{
    char *where = gf_asprintf("%s: %s", r->file, path);
    bool ok = cli_set(r->in, o, o->old ? FROM_JSON_OLD : FROM_JSON, text, where, err);

    free(where);
    return ok;
}

static bool read_names(const reader *r, const cli_option *o, const char *path, const json_t *v, gf_error *err)
{
    bool mine = cli_begin(r->in, o, o->old ? FROM_JSON_OLD : FROM_JSON);
    const json_t *item;
    size_t i;

    if (!json_is_array(v))
        return wrong_type(r, path, "a list of strings", v, err);
    json_array_foreach (v, i, item) {
        if (!json_is_string(item))
            return wrong_type(r, path, "a list of strings", item, err);
        if (mine)
            cli_add_name(cli_at(r->in, o), json_string_value(item));
    }
    return true;
}

static bool read_map(const reader *r, const cli_option *o, const char *path, json_t *v, gf_error *err)
{
    bool mine = cli_begin(r->in, o, o->old ? FROM_JSON_OLD : FROM_JSON);
    const char *key;
    json_t *item;

    if (!json_is_object(v))
        return wrong_type(r, path, "an object of strings", v, err);
    json_object_foreach (v, key, item) {
        if (!json_is_string(item))
            return wrong_type(r, path, "an object of strings", item, err);
        if (mine)
            cli_add_pair(cli_at(r->in, o), key, json_string_value(item));
    }
    return true;
}

/* Integers always; text where a unit may follow. */
static bool read_quantity(const reader *r, const cli_option *o, const char *path, const json_t *v, gf_error *err)
{
    bool units = o->type != OPT_UINT && o->type != OPT_ATOMIC_UINT;
    char number[32];

    if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return set_text(r, o, path, number, err);
    }
    if (units && json_is_string(v)) /* Go's zero duration is "" */
        return set_text(r, o, path, json_string_length(v) == 0 ? "0" : json_string_value(v), err);
    return wrong_type(r, path, units ? "a number or a string like \"1.5s\" or \"2M\"" : "a whole number", v, err);
}

static bool read_document(const reader *r, const cli_option *o, const char *path, const json_t *v, gf_error *err)
{
    char *text;
    bool ok;

    if (!json_is_object(v))
        return wrong_type(r, path, "an object", v, err);
    text = json_dumps(v, JSON_COMPACT);
    if (text == NULL)
        gf_oom();
    ok = set_text(r, o, path, text, err);
    free(text);
    return ok;
}

static bool is_nothing(const json_t *v)
{
    return json_is_false(v) || (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_integer(v) && json_integer_value(v) == 0) || (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0);
}

static bool is_choice(const cli_option *o, const json_t *v)
{
    for (unsigned i = 0; o->choices != NULL && o->choices[i] != NULL; i++)
        if (json_is_string(v) && strcmp(json_string_value(v), o->choices[i]) == 0)
            return true;
    return o->choices == NULL;
}

static bool read_without_effect(const reader *r, const cli_option *o, const char *path, const json_t *v, gf_error *err)
{
    if (o->type == OPT_REFUSED)
        return gf_fail(err, GF_ERR_CONFIG, "%s: %s: %s", r->file, path, o->help);
    if (is_nothing(v))
        return true;
    if (!is_choice(o, v))
        return gf_fail(err, GF_ERR_CONFIG, "%s: %s: not one of the values that it may have", r->file, path);
    gf_log_warn("%s: %s has no effect here: %s", r->file, path, o->help);
    return true;
}

static bool read_value(const reader *r, const cli_option *o, const char *path, json_t *v, gf_error *err)
{
    switch (o->type) {
    case OPT_BOOL:
    case OPT_ATOMIC_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(r, path, "true or false", v, err);
        return set_text(r, o, path, json_is_true(v) ? "true" : "false", err);
    case OPT_UINT:
    case OPT_ATOMIC_UINT:
    case OPT_SIZE:
    case OPT_BYTES:
    case OPT_SECONDS:
    case OPT_MILLIS: return read_quantity(r, o, path, v, err);
    case OPT_STRING:
    case OPT_SECRET:
    case OPT_URL:
    case OPT_CHOICE:
        if (!json_is_string(v))
            return wrong_type(r, path, "a string", v, err);
        return (o->type == OPT_CHOICE && json_string_length(v) == 0) || set_text(r, o, path, json_string_value(v), err);
    case OPT_NAMES: return read_names(r, o, path, v, err);
    case OPT_MAP: return read_map(r, o, path, v, err);
    case OPT_JSON: return read_document(r, o, path, v, err);
    case OPT_IGNORED:
    case OPT_REFUSED: return read_without_effect(r, o, path, v, err);
    }
    return false;
}

static void warn_unknown(const reader *r, const char *path)
{
    char near[64];

    if (cli_nearest(near, path, true))
        gf_log_warn("%s: unknown key \"%s\" is ignored; the nearest known one is \"%s\"", r->file, path, near);
    else
        gf_log_warn("%s: unknown key \"%s\" is ignored", r->file, path);
}

static bool read_object(const reader *r, const char *prefix, json_t *object, gf_error *err);

static bool read_member(const reader *r, const char *path, bool plain, json_t *v, gf_error *err)
{
    bool group = false;
    const cli_option *o = plain ? cli_find_json(path, &group) : NULL;

    if (o == NULL && !group) {
        warn_unknown(r, path);
        return true;
    }
    if (json_is_null(v))
        return true;
    if (o != NULL)
        return read_value(r, o, path, v, err);
    return json_is_object(v) ? read_object(r, path, v, err) : wrong_type(r, path, "an object", v, err);
}

/* As deep as the table's paths are: an object below a known group is read only if the table goes on there. */
static bool read_object(const reader *r, const char *prefix, json_t *object, gf_error *err)
{
    const char *key;
    json_t *v;

    json_object_foreach (object, key, v) {
        char *path = gf_asprintf("%s%s%s", prefix, *prefix == '\0' ? "" : ".", key);
        bool ok = read_member(r, path, *key != '\0' && strchr(key, '.') == NULL, v, err);

        free(path);
        if (!ok)
            return false;
    }
    return true;
}

bool cli_read_json(cli_input *in, const char *path, gf_error *err)
{
    const reader r = {.in = in, .file = path};
    gf_buf text = {0};
    json_error_t why;
    json_t *root = NULL;
    bool ok = false;

    if (!cli_read_file(&text, path, (size_t)64 << 20, err))
        goto out;
    root = json_loadb((const char *)text.data, text.len, JSON_DISABLE_EOF_CHECK, &why);
    if (root == NULL)
        gf_fail(err, GF_ERR_CONFIG, "%s: line %d, column %d: %s", path, why.line, why.column, why.text);
    else if (!json_is_object(root))
        gf_fail(err, GF_ERR_CONFIG, "%s: expected a JSON object, found %s", path, type_name(root));
    else
        ok = read_object(&r, "", root, err);
out:
    json_decref(root);
    gf_buf_free(&text);
    return ok;
}

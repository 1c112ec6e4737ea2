/* SPDX-License-Identifier: MIT */
/*
 * decode.c - msgpack to state, driven by the shapes.
 *
 * Read straight from the bytes rather than through msgpack-c's unpacker: that one builds a tree of some 50 bytes a
 * value (gigabytes for 60,000 tables) and allocates what a header claims before it looks whether it can be true.
 * Here no count is believed: arrays grow as elements really come, what is skipped is counted down without recursion,
 * and what is read is no deeper than the shapes are.
 */
#include <stdlib.h>

#include "pack.h"
#include "shape.h"

typedef enum { M_NIL, M_BOOL, M_UINT, M_INT, M_DOUBLE, M_STR, M_BIN, M_ARRAY, M_MAP, M_EXT, M_BAD } kind;

/* The head of one value. For STR, BIN and EXT n bytes follow, for ARRAY n values, for MAP 2n. */
typedef struct {
    kind kind;
    uint64_t n; /* length, count, or the value of BOOL, UINT, INT (two's complement), DOUBLE (bits) */
} head;

/* First bytes c0 to df: what they open and how many bytes of length or value follow. */
static const struct {
    kind kind;
    uint8_t width;
    uint8_t fixed; /* with width 0: the value itself */
} heads[] = {
    {M_NIL, 0, 0},   {M_BAD, 0, 0},    {M_BOOL, 0, 0}, {M_BOOL, 0, 1},                 /* c0 nil .. c3 true */
    {M_BIN, 1, 0},   {M_BIN, 2, 0},    {M_BIN, 4, 0},                                  /* c4 bin */
    {M_EXT, 1, 0},   {M_EXT, 2, 0},    {M_EXT, 4, 0},                                  /* c7 ext */
    {M_BAD, 0, 0},   {M_DOUBLE, 8, 0},                                                 /* ca float32: never ours */
    {M_UINT, 1, 0},  {M_UINT, 2, 0},   {M_UINT, 4, 0}, {M_UINT, 8, 0},                 /* cc uint */
    {M_INT, 1, 0},   {M_INT, 2, 0},    {M_INT, 4, 0},  {M_INT, 8, 0},                  /* d0 int */
    {M_EXT, 0, 1},   {M_EXT, 0, 2},    {M_EXT, 0, 4},  {M_EXT, 0, 8},  {M_EXT, 0, 16}, /* d4 fixext */
    {M_STR, 1, 0},   {M_STR, 2, 0},    {M_STR, 4, 0},                                  /* d9 str */
    {M_ARRAY, 2, 0}, {M_ARRAY, 4, 0},  {M_MAP, 2, 0},  {M_MAP, 4, 0},                  /* dc array, de map */
};

static uint64_t sign_extend(uint64_t v, unsigned width)
{
    unsigned shift = 64 - 8 * width;

    return shift == 0 ? v : (uint64_t)((int64_t)(v << shift) >> shift);
}

static head read_head(gf_cursor *in)
{
    uint8_t b = gf_cursor_u8(in);
    head h = {M_BAD, 0};

    if (in->bad)
        return h;
    if (b < 0x80)
        return (head){M_UINT, b};
    if (b >= 0xe0)
        return (head){M_INT, sign_extend(b, 1)};
    if (b < 0x90)
        return (head){M_MAP, b & 0x0fu};
    if (b < 0xa0)
        return (head){M_ARRAY, b & 0x0fu};
    if (b < 0xc0)
        return (head){M_STR, b & 0x1fu};
    h.kind = heads[b - 0xc0].kind;
    if (heads[b - 0xc0].width == 0) {
        h.n = heads[b - 0xc0].fixed;
    } else {
        h.n = gf_cursor_be(in, heads[b - 0xc0].width);
        if (h.kind == M_INT)
            h.n = sign_extend(h.n, heads[b - 0xc0].width);
    }
    if (h.kind == M_EXT)
        h.n += 1; /* its type byte */
    if (in->bad)
        h.kind = M_BAD;
    return h;
}

static gf_slice take(gf_cursor *in, uint64_t len)
{
    if (len > gf_cursor_left(in)) {
        in->bad = true;
        return gf_slice_of(NULL, 0);
    }
    return gf_cursor_bytes(in, (size_t)len);
}

/* Passes over one value whatever it is; `pending` counts the values still owed. */
static bool skip(gf_cursor *in)
{
    uint64_t pending = 1;

    while (pending > 0 && !in->bad) {
        head h = read_head(in);

        pending--;
        if (h.kind == M_BAD)
            return false;
        if (h.kind == M_STR || h.kind == M_BIN || h.kind == M_EXT)
            (void)take(in, h.n);
        else if (h.kind == M_ARRAY)
            pending += h.n;
        else if (h.kind == M_MAP)
            pending += 2 * h.n;
        if (pending > gf_cursor_left(in)) /* each needs a byte at least */
            return false;
    }
    return !in->bad;
}

static bool read_map(gf_cursor *in, const gf_shape *shape, void *base, gf_error *err);

static bool wrong(const gf_field *f, gf_error *err)
{
    return gf_fail(err, GF_ERR_DATA, "%s: malformed", f->name);
}

static bool read_uint(uint64_t *out, gf_cursor *in, uint64_t max)
{
    head h = read_head(in);

    *out = h.n;
    return h.kind == M_UINT && h.n <= max;
}

static bool read_int(int *out, gf_cursor *in)
{
    head h = read_head(in);
    int64_t v = (int64_t)h.n;

    if ((h.kind != M_UINT && h.kind != M_INT) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int)v;
    return true;
}

static bool read_double(double *out, gf_cursor *in)
{
    head h = read_head(in);

    memcpy(out, &h.n, sizeof *out);
    return h.kind == M_DOUBLE;
}

/* A string without NUL inside. */
static bool read_str(gf_slice *out, gf_cursor *in)
{
    head h = read_head(in);

    if (h.kind != M_STR)
        return false;
    *out = take(in, h.n);
    return !in->bad && (out->len == 0 || memchr(out->data, 0, out->len) == NULL);
}

static bool read_text(char *to, size_t size, gf_cursor *in)
{
    gf_slice s;

    if (!read_str(&s, in) || s.len >= size)
        return false;
    if (s.len > 0)
        memcpy(to, s.data, s.len);
    to[s.len] = '\0';
    return true;
}

static bool read_string(char **to, gf_cursor *in)
{
    gf_slice s;

    if (!read_str(&s, in))
        return false;
    free(*to); /* the same key twice: the last one counts */
    *to = gf_strndup((const char *)s.data, s.len);
    return true;
}

static bool read_bytes(gf_buf *to, gf_cursor *in)
{
    head h = read_head(in);
    gf_slice s = take(in, h.kind == M_BIN ? h.n : 0);

    gf_buf_reset(to);
    gf_buf_slice(to, s);
    return h.kind == M_BIN && !in->bad;
}

static bool read_enum(unsigned *to, const gf_field *f, gf_cursor *in)
{
    gf_slice s;

    if (!read_str(&s, in))
        return false;
    for (size_t i = 0; i < f->max; i++) {
        if (gf_slice_eq(s, gf_slice_str(f->names[i]))) {
            *to = (unsigned)i;
            return true;
        }
    }
    return false;
}

/* An array's count, and that its field is still empty: a second one of the same name would leak the first. */
static bool read_count(uint64_t *n, const gf_field *f, const void *base, gf_cursor *in)
{
    head h = read_head(in);

    *n = h.n;
    return h.kind == M_ARRAY && h.n <= f->max && h.n <= gf_cursor_left(in) && gf_field_count_of(f, base) == 0;
}

/* Room for one more at the end, zeroed; doubles as elements come. */
static char *grow(char *items, size_t count, size_t size)
{
    if ((count & (count - 1)) == 0) /* 0, 1, 2, 4, 8, ...: full */
        items = gf_realloc(items, (count == 0 ? 1 : 2 * count) * size);
    memset(items + count * size, 0, size);
    return items;
}

static bool read_list(const gf_field *f, void *base, gf_cursor *in, gf_error *err)
{
    char **items = (char **)(void *)((char *)base + f->offset);
    uint64_t n;

    if (!read_count(&n, f, base, in))
        return wrong(f, err);
    for (size_t i = 0; i < n; i++) {
        *items = grow(*items, i, f->size);
        gf_field_set_count(f, base, i + 1); /* now, so that a failure frees it */
        if (!read_map(in, f->shape, *items + i * f->size, err))
            return gf_fail_context(err, "%s[%zu]", f->name, i);
    }
    return true;
}

static bool read_strings(const gf_field *f, void *base, gf_cursor *in)
{
    char ***items = (char ***)(void *)((char *)base + f->offset);
    uint64_t n;

    if (!read_count(&n, f, base, in))
        return false;
    for (size_t i = 0; i < n; i++) {
        *items = (char **)(void *)grow((char *)*items, i, sizeof **items);
        gf_field_set_count(f, base, i + 1);
        if (!read_string(&(*items)[i], in))
            return false;
    }
    return true;
}

static gf_table *nameless_table(void)
{
    gf_table *t = gf_table_new("", "");

    free(t->db);
    free(t->name);
    t->db = t->name = NULL;
    return t;
}

static bool read_table(const gf_field *f, void *base, gf_cursor *in, gf_error *err)
{
    gf_table **to = (gf_table **)(void *)((char *)base + f->offset);

    if (*to != NULL)
        return wrong(f, err);
    *to = nameless_table();
    if (!read_map(in, f->shape, *to, err))
        return gf_fail_context(err, "%s", f->name);
    return gf_table_complete(*to) || wrong(f, err);
}

static bool read_scalar(const gf_field *f, void *at, gf_cursor *in)
{
    uint64_t n = 0;
    head h;

    switch (f->kind) {
    case F_BOOL:
        h = read_head(in);
        *(bool *)at = h.n != 0;
        return h.kind == M_BOOL;
    case F_INT: return read_int(at, in);
    case F_UINT:
        if (!read_uint(&n, in, UINT32_MAX))
            return false;
        *(unsigned *)at = (unsigned)n;
        return true;
    case F_U64: return read_uint(at, in, UINT64_MAX);
    case F_DOUBLE: return read_double(at, in);
    case F_TEXT: return read_text(at, f->size, in);
    case F_STRING: return read_string(at, in);
    case F_BYTES: return read_bytes(at, in);
    case F_ENUM: return read_enum(at, f, in);
    default: return false;
    }
}

static bool read_value(const gf_field *f, void *base, gf_cursor *in, gf_error *err)
{
    switch (f->kind) {
    case F_STRINGS: return read_strings(f, base, in) || wrong(f, err);
    case F_LIST: return read_list(f, base, in, err);
    case F_OBJECT: return read_map(in, f->shape, base, err) || gf_fail_context(err, "%s", f->name);
    case F_TABLE: return read_table(f, base, in, err);
    default: return read_scalar(f, (char *)base + f->offset, in) || wrong(f, err);
    }
}

static const gf_field *find_field(const gf_shape *shape, gf_slice name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (gf_slice_eq(name, gf_slice_str(shape->fields[i].name)))
            return &shape->fields[i];
    }
    return NULL;
}

static bool read_map(gf_cursor *in, const gf_shape *shape, void *base, gf_error *err)
{
    head h = read_head(in);

    if (h.kind != M_MAP || 2 * h.n > gf_cursor_left(in))
        return gf_fail(err, GF_ERR_DATA, "a map is expected %zu bytes before the end", gf_cursor_left(in));
    for (uint64_t i = 0; i < h.n; i++) {
        const gf_field *f;
        gf_slice name;

        if (!read_str(&name, in))
            return gf_fail(err, GF_ERR_DATA, "a key is malformed %zu bytes before the end", gf_cursor_left(in));
        f = find_field(shape, name);
        if (f == NULL) {
            if (!skip(in))
                return gf_fail(err, GF_ERR_DATA, "%.*s: malformed", (int)(name.len < 64 ? name.len : 64),
                               (const char *)name.data);
        } else if (!read_value(f, base, in, err)) {
            return false;
        }
    }
    return true;
}

/* A state table without its names would break whoever looks for it. */
static bool tables_named(const gf_state *s)
{
    for (size_t i = 0; i < s->table_count; i++) {
        if (s->tables[i].db == NULL || s->tables[i].name == NULL)
            return false;
    }
    return true;
}

bool gf_state_decode(gf_state *out, unsigned *format, gf_slice body, gf_error *err)
{
    gf_cursor in = gf_cursor_of(body.data, body.len);
    gf_state_image img = {0};
    bool ok = false;

    if (!read_map(&in, &gf_state_shape, &img, err))
        goto out;
    if (gf_cursor_left(&in) != 0) {
        gf_fail(err, GF_ERR_DATA, "%zu bytes too many", gf_cursor_left(&in));
        goto out;
    }
    if (!tables_named(&img.state)) {
        gf_fail(err, GF_ERR_DATA, "tables: one has no name");
        goto out;
    }
    *format = img.format;
    ok = gf_state_image_take(out, &img, err);
out:
    gf_state_image_free(&img);
    return ok;
}

bool gf_schema_decode(gf_table **out, gf_slice body, gf_error *err)
{
    gf_cursor in = gf_cursor_of(body.data, body.len);
    gf_table *t = nameless_table();

    *out = NULL;
    if (!read_map(&in, &gf_table_shape, t, err) || gf_cursor_left(&in) != 0 || !gf_table_complete(t)) {
        gf_table_free(t);
        return gf_fail(err, GF_ERR_DATA, "a table's definition is malformed");
    }
    *out = t;
    return true;
}

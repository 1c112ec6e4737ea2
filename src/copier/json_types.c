/* SPDX-License-Identifier: MIT */
/*
 * MySQL lists all values inside a document by two paths, `$**.*` (members of objects) and `$**[*]` (elements of
 * arrays), each in its own order: container after container as they open in the text, the outer before the inner,
 * and of each container all its values in a row. JSON_TABLE numbers them, so a type is told by a path and a number:
 *
 *     {"a": [1.50, 2], "b": "2024-01-02", "c": {"d": 3}}      made of a decimal and a date
 *     members: 1 a, 2 b, 3 c, 4 c.d;  elements: 1 a[0], 2 a[1]
 *     field:   "1:2 DATE|1:1 DECIMAL|OBJECT"                  how many, which; the last is the document's own
 *
 * Types that the parser gives by itself are left out by the server. Whole numbers beyond 32 bits are the other way
 * round: the parser makes UNSIGNED of them, which is told, so one that is not told is an INTEGER.
 *
 * To find a value's number while reading the text from left to right, a first pass counts what each container holds.
 */
#include "gfreplica/json_types.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS, ELEMENTS, PATHS };

static void select_path(gf_buf *out, const gf_column *col, const char *path)
{
    gf_buf_str(out, "(SELECT CONCAT(COUNT(*),':',IFNULL(GROUP_CONCAT(n,' ',JSON_TYPE(v)),'')) FROM JSON_TABLE(");
    gf_buf_ident(out, col->name);
    gf_buf_printf(out,
                  ",_utf8mb4'%s' COLUMNS (n FOR ORDINALITY,v JSON PATH _utf8mb4'$')) t WHERE JSON_TYPE(v) NOT IN "
                  "('OBJECT','ARRAY','STRING','INTEGER','DOUBLE','BOOLEAN','NULL'))",
                  path);
}

void gf_json_types_select(gf_buf *out, const gf_column *col)
{
    gf_buf_str(out, "CONCAT(");
    select_path(out, col, "$**.*");
    gf_buf_str(out, ",'|',");
    select_path(out, col, "$**[*]");
    gf_buf_str(out, ",'|',JSON_TYPE(");
    gf_buf_ident(out, col->name);
    gf_buf_str(out, "))");
}

/* ---- the field ---- */

typedef struct {
    uint64_t number;
    gf_json_mark mark;
} told;

typedef struct {
    told *items; /* owned, by number */
    size_t count, used;
} told_list;

static gf_json_mark mark_of(const char *name, size_t len)
{
    static const struct {
        const char *name;
        gf_json_mark mark;
    } types[] = {
        {"UNSIGNED INTEGER", GF_JSON_UNSIGNED},
        {"DECIMAL", GF_JSON_DECIMAL},
        {"DATE", GF_JSON_DATE},
        {"TIME", GF_JSON_TIME},
        {"DATETIME", GF_JSON_DATETIME},
        {"TIMESTAMP", GF_JSON_TIMESTAMP},
        {"BLOB", GF_JSON_OPAQUE},
        {"BIT", GF_JSON_OPAQUE},
        {"OPAQUE", GF_JSON_OPAQUE},
        /* a document's own type is told in any case */
        {"OBJECT", GF_JSON_PLAIN},
        {"ARRAY", GF_JSON_PLAIN},
        {"STRING", GF_JSON_PLAIN},
        {"INTEGER", GF_JSON_PLAIN},
        {"DOUBLE", GF_JSON_PLAIN},
        {"BOOLEAN", GF_JSON_PLAIN},
        {"NULL", GF_JSON_PLAIN},
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].name) == len && memcmp(types[i].name, name, len) == 0)
            return types[i].mark;
    return GF_JSON_UNKNOWN;
}

/* "2:1 DATE,7 DECIMAL|"; *p ends behind the bar. */
static bool read_list(told_list *l, const char **p)
{
    char *end;
    unsigned long long count = strtoull(*p, &end, 10);

    *p = end + 1;
    if (*end != ':' || count > strlen(*p))
        return false;
    l->items = gf_calloc((size_t)count + 1, sizeof *l->items);
    while (l->count < count) {
        told *t = &l->items[l->count++];

        t->number = strtoull(*p, &end, 10);
        if (*end != ' ' || (l->count > 1 && t->number <= t[-1].number))
            return false;
        size_t len = strcspn(++end, ",|");

        t->mark = mark_of(end, len);
        if (end[len] != (l->count < count ? ',' : '|'))
            return false;
        *p = end + len + (l->count < count);
    }
    return *(*p)++ == '|';
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const told *)a)->number, y = ((const told *)b)->number;

    return (x > y) - (x < y);
}

static gf_json_mark find_told(told_list *l, uint64_t number)
{
    const told *found = bsearch(&(told){.number = number}, l->items, l->count, sizeof *l->items, by_number);

    if (found == NULL)
        return GF_JSON_PLAIN;
    l->used++;
    return found->mark;
}

/* ---- the text ---- */

typedef enum { T_END, T_OPEN, T_CLOSE, T_NAME, T_STRING, T_NUMBER, T_WORD } token_kind;

typedef struct {
    const uint8_t *start, *end; /* of the token at hand */
    const uint8_t *last;        /* behind the document */
} tokens;

static token_kind next_token(tokens *t)
{
    const uint8_t *p = t->end;

    while (p < t->last && (*p == ' ' || *p == ',' || *p == ':'))
        p++;
    t->start = p;
    t->end = p + 1;
    if (p >= t->last) {
        t->end = t->last;
        return T_END;
    }
    if (*p == '{' || *p == '[')
        return T_OPEN;
    if (*p == '}' || *p == ']')
        return T_CLOSE;
    if (*p == '"') {
        t->end = p + gf_json_string_end(gf_slice_of(p, (size_t)(t->last - p)), 0);
        return t->end < t->last && *t->end == ':' ? T_NAME : T_STRING;
    }
    while (t->end < t->last && strchr(" ,]}", *t->end) == NULL)
        t->end++;
    return isalpha(*p) ? T_WORD : T_NUMBER;
}

/* ---- both ---- */

typedef struct {
    uint64_t *next; /* owned: of each container, in the order in which they open, the number of its next value */
    uint8_t *path;  /* owned: which numbers they are */
    size_t count, cap;
    size_t open[GF_JSON_DEPTH_MAX];
    unsigned depth;
} containers;

static bool enter(containers *c, size_t which)
{
    if (c->depth == GF_JSON_DEPTH_MAX)
        return false;
    c->open[c->depth++] = which;
    return true;
}

static size_t add_container(containers *c, bool array)
{
    if (c->count == c->cap) {
        c->cap = c->cap > 0 ? 2 * c->cap : 64;
        c->next = gf_realloc(c->next, c->cap * sizeof *c->next);
        c->path = gf_realloc(c->path, c->cap);
    }
    c->next[c->count] = 0;
    c->path[c->count] = array ? ELEMENTS : MEMBERS;
    return c->count++;
}

/* Counts, and turns the counts into first numbers. */
static bool number_containers(containers *c, gf_slice text)
{
    tokens t = {.end = text.data, .last = text.data + text.len};
    uint64_t first[PATHS] = {1, 1};

    for (token_kind kind; (kind = next_token(&t)) != T_END;) {
        if (kind == T_CLOSE && c->depth-- == 0)
            return false;
        if (kind == T_CLOSE || kind == T_NAME)
            continue;
        if (c->depth > 0)
            c->next[c->open[c->depth - 1]]++;
        if (kind == T_OPEN && !enter(c, add_container(c, *t.start == '[')))
            return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        uint64_t held = c->next[i];

        c->next[i] = first[c->path[i]];
        first[c->path[i]] += held;
    }
    return c->depth == 0;
}

/* A whole number that the parser takes for unsigned: it has more than 32 bits. */
static bool is_long_whole(const tokens *t)
{
    static const char most[] = "4294967295";
    size_t len = (size_t)(t->end - t->start);

    for (size_t i = 0; i < len; i++)
        if (t->start[i] < '0' || t->start[i] > '9')
            return false;
    return len > strlen(most) || (len == strlen(most) && memcmp(t->start, most, len) > 0);
}

/* Does a scalar look like what is told of it? Else the text and the types are not of one document. */
static bool fits(gf_json_mark mark, token_kind kind)
{
    if (mark == GF_JSON_PLAIN)
        return true;
    return kind == (mark == GF_JSON_UNSIGNED || mark == GF_JSON_DECIMAL ? T_NUMBER : T_STRING);
}

/* UNSIGNED is what the parser makes of a long number by itself; one of which that is not told is an INTEGER. */
static gf_json_mark settle(gf_json_mark mark, token_kind kind, const tokens *t)
{
    if (kind != T_NUMBER || mark == GF_JSON_DECIMAL || !is_long_whole(t))
        return mark;
    return mark == GF_JSON_UNSIGNED ? GF_JSON_PLAIN : GF_JSON_INTEGER;
}

typedef struct {
    gf_slice text;
    told_list lists[PATHS];
    containers c;
    gf_json_mark own; /* the document's */
    gf_buf out;       /* owned */
} marking;

static gf_json_mark told_of(marking *m)
{
    size_t in;

    if (m->c.depth == 0)
        return m->own;
    in = m->c.open[m->c.depth - 1];
    return find_told(&m->lists[m->c.path[in]], m->c.next[in]++);
}

/* PLAIN, or what is wrong with the whole. Each type that is told has to be of some value. */
static gf_json_mark mark_all(marking *m)
{
    tokens t = {.end = m->text.data, .last = m->text.data + m->text.len};
    const uint8_t *copied = m->text.data;
    size_t opened = 0;

    for (token_kind kind; (kind = next_token(&t)) != T_END;) {
        if (kind == T_CLOSE)
            m->c.depth--;
        if (kind == T_CLOSE || kind == T_NAME)
            continue;
        gf_json_mark mark = told_of(m);

        if (mark == GF_JSON_UNKNOWN)
            return mark;
        if (!fits(mark, kind) || (kind == T_OPEN && !enter(&m->c, opened++)))
            return GF_JSON_UNTOLD;
        mark = settle(mark, kind, &t);
        if (mark == GF_JSON_PLAIN)
            continue;
        gf_buf_add(&m->out, copied, (size_t)(t.start - copied));
        gf_buf_byte(&m->out, (uint8_t)mark);
        copied = t.start;
    }
    gf_buf_add(&m->out, copied, (size_t)(t.last - copied));
    return m->lists[MEMBERS].used == m->lists[MEMBERS].count && m->lists[ELEMENTS].used == m->lists[ELEMENTS].count
               ? GF_JSON_PLAIN
               : GF_JSON_UNTOLD;
}

static gf_json_mark read_and_mark(marking *m, const char *types)
{
    if (types == NULL || !read_list(&m->lists[MEMBERS], &types) || !read_list(&m->lists[ELEMENTS], &types) ||
        !number_containers(&m->c, m->text))
        return GF_JSON_UNTOLD;
    m->own = mark_of(types, strlen(types));
    return mark_all(m);
}

static bool has_long_number(gf_slice text)
{
    unsigned digits = 0;

    for (size_t i = 0; i < text.len && digits < 10; i++)
        digits = text.data[i] >= '0' && text.data[i] <= '9' ? digits + 1 : 0;
    return digits == 10;
}

/* Most documents: nothing is told that the parser does not make by itself. */
static bool is_plain(gf_slice text, const char *types)
{
    static const char nothing[] = "0:|0:|";

    return types != NULL && strncmp(types, nothing, strlen(nothing)) == 0 &&
           mark_of(types + strlen(nothing), strlen(types) - strlen(nothing)) == GF_JSON_PLAIN && !has_long_number(text);
}

gf_slice gf_json_types_mark(gf_slice text, const char *types, gf_arena *arena)
{
    marking m = {.text = text};
    gf_json_mark wrong;
    gf_slice marked;

    if (is_plain(text, types))
        return text;
    wrong = read_and_mark(&m, types);
    if (wrong != GF_JSON_PLAIN) {
        gf_buf_reset(&m.out);
        gf_buf_byte(&m.out, (uint8_t)wrong);
        gf_buf_slice(&m.out, text);
    }
    marked = gf_arena_copy(arena, m.out.data, m.out.len);
    gf_buf_free(&m.out);
    free(m.c.next);
    free(m.c.path);
    free(m.lists[MEMBERS].items);
    free(m.lists[ELEMENTS].items);
    return marked;
}

/* SPDX-License-Identifier: MIT */
/*
 * An SQL value that becomes part of a document brings its type along. Numbers, dates, times and the longer BLOBs have an
 * expression; a TIMESTAMP, BIT, BINARY, TINYBLOB and BLOB are types of columns only, so JSON_TABLE makes columns, of one
 * table for all of a document (seen on MySQL 9: a table for each of 10,000 values stops the server; and through a
 * scalar subquery of its own a BLOB would come as the BLOB that its length asks for).
 *
 * What can't be made is written as the name of a column that no table has: the row fails, and the server's message is
 * our explanation.
 */
#include "json_leaf.h"

#include <stdio.h>
#include <string.h>

#include "literal_json.h"

enum { /* of columns, in opaque values */
       TYPE_VARCHAR = 15,
       TYPE_BIT = 16,
       TYPE_TINY_BLOB = 249,
       TYPE_MEDIUM_BLOB = 250,
       TYPE_LONG_BLOB = 251,
       TYPE_BLOB = 252,
       TYPE_STRING = 254
};

enum { BINARY_MAX = 255, SHORT_MAX = 65535 };

/* A table has 4096 columns at most, and a row of 65535 bytes, of which other types than BINARY take fewer than 16. */
enum { COLUMNS_MOST = 4000, WIDTH_MOST = 65000, COLUMN_WIDTH = 16 };

static const char table_head[] = " FROM JSON_TABLE(JSON_ARRAY(";

/* The text between the quotes; what MySQL prints there for a date has nothing to escape. */
static gf_slice inside(gf_slice leaf)
{
    return leaf.len < 2 ? (gf_slice){0} : gf_slice_of(leaf.data + 1, leaf.len - 2);
}

static void put_cast(gf_buf *out, gf_slice text, const char *type)
{
    gf_buf_str(out, "CAST(");
    gf_literal_quoted(out, text);
    gf_buf_printf(out, " AS %s)", type);
}

/* With a point it is a DECIMAL and no integer. */
static void put_decimal(gf_buf *out, gf_slice digits)
{
    gf_buf_slice(out, digits);
    if (memchr(digits.data, '.', digits.len) == NULL)
        gf_buf_byte(out, '.');
}

/* ---- columns ---- */

/* The value that follows in c->values. */
static void add_column(gf_buf *out, gf_json_columns *c, const char *type, size_t width)
{
    c->width += width;
    gf_buf_str(&c->values, c->count > 0 ? "," : "");
    gf_buf_printf(&c->columns, "%sc%u %s PATH _utf8mb4'$[%u]' ERROR ON ERROR", c->count > 0 ? "," : "", c->count, type,
                  c->count);
    gf_buf_printf(out, "t.c%u", c->count++);
}

void gf_json_columns_put(gf_buf *out, const gf_json_columns *c)
{
    gf_buf_str(out, table_head);
    gf_buf_slice(out, gf_slice_of(c->values.data, c->values.len));
    gf_buf_str(out, "),_utf8mb4'$' COLUMNS (");
    gf_buf_slice(out, gf_slice_of(c->columns.data, c->columns.len));
    gf_buf_str(out, ")) t)");
}

void gf_json_columns_free(gf_json_columns *c)
{
    gf_buf_free(&c->values);
    gf_buf_free(&c->columns);
    c->count = 0;
    c->width = 0;
}

bool gf_json_columns_full(const gf_json_columns *c)
{
    return c->count >= COLUMNS_MOST || c->width + BINARY_MAX + 1 > WIDTH_MOST;
}

unsigned gf_json_tables_in(gf_slice text)
{
    const uint8_t *p = text.data;
    size_t left = text.len;
    unsigned count = 0;

    for (; left > 0 && (p = memmem(p, left, table_head, strlen(table_head))) != NULL; count++) {
        p += strlen(table_head);
        left = (size_t)(text.data + text.len - p);
    }
    return count;
}

/* Of the session's zone, which is UTC, a column takes what TIMESTAMP holds; the text may be of another zone's clock. */
static void put_timestamp(gf_buf *out, gf_json_columns *c, gf_slice text)
{
    static const char zero[] = "0000-00-00 00:00:00.000000", first[] = "1970-01-01 00:00:01.000000",
                      last[] = "2038-01-19 03:14:07.999999";

    if (text.len != strlen(first) ||
        (memcmp(text.data, zero, text.len) != 0 &&
         (memcmp(text.data, first, text.len) < 0 || memcmp(text.data, last, text.len) > 0))) {
        gf_buf_str(out, "`JSON holds a TIMESTAMP that none is in UTC, make it a DATETIME`");
        return;
    }
    add_column(out, c, "TIMESTAMP(6)", COLUMN_WIDTH);
    gf_buf_str(&c->values, "_utf8mb4");
    gf_literal_quoted(&c->values, text);
}

/* ---- opaque values ---- */

typedef struct {
    unsigned type;
    gf_buf base64; /* owned; without the \n that breaks its lines */
    size_t size;   /* of the value */
} opaque;

static bool read_opaque(opaque *o, gf_slice leaf)
{
    static const char head[] = "base64:type";
    gf_slice text = inside(leaf);
    size_t at = strlen(head), pads = 0;

    *o = (opaque){0};
    if (text.len <= at || memcmp(text.data, head, at) != 0)
        return false;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9' && o->type < 256; at++)
        o->type = 10 * o->type + (unsigned)(text.data[at] - '0');
    for (at++; at < text.len; at++) {
        if (text.data[at] == '\\')
            at++;
        else
            gf_buf_byte(&o->base64, text.data[at]);
    }
    while (pads < 2 && pads < o->base64.len && o->base64.data[o->base64.len - 1 - pads] == '=')
        pads++;
    o->size = o->base64.len / 4 * 3 - (o->base64.len >= 4 ? pads : 0);
    return true;
}

static void put_bytes(gf_buf *out, const opaque *o)
{
    gf_buf_str(out, "FROM_BASE64(");
    gf_literal_quoted(out, gf_slice_of(o->base64.data, o->base64.len));
    gf_buf_byte(out, ')');
}

/* Of the type of `other`, which is not evaluated. */
static void put_as(gf_buf *out, const opaque *o, const char *other)
{
    gf_buf_str(out, "IF(TRUE,");
    put_bytes(out, o);
    gf_buf_printf(out, ",%s)", other);
}

/* JSON_TABLE does not take so long a value; what a derived table gives is a BLOB. There are few in a statement. */
static void put_long_blob(gf_buf *out, const opaque *o)
{
    gf_buf_str(out, "(SELECT x FROM (SELECT ");
    put_bytes(out, o);
    gf_buf_str(out, " x LIMIT 1) q)");
}

/* JSON_TABLE makes a BIT of a number only. */
static void put_bits(gf_buf *out, gf_json_columns *c, const opaque *o)
{
    char type[24];

    snprintf(type, sizeof type, "BIT(%zu)", 8 * o->size);
    add_column(out, c, type, COLUMN_WIDTH);
    gf_buf_str(&c->values, "CAST(CONV(HEX(");
    put_bytes(&c->values, o);
    gf_buf_str(&c->values, "),16,10) AS UNSIGNED)");
}

static void put_column(gf_buf *out, gf_json_columns *c, const opaque *o, const char *type, size_t width)
{
    add_column(out, c, type, width);
    put_bytes(&c->values, o);
}

static void put_binary(gf_buf *out, gf_json_columns *c, const opaque *o)
{
    char type[24];

    snprintf(type, sizeof type, "BINARY(%zu)", o->size);
    put_column(out, c, o, type, o->size + 1);
}

static bool put_made(gf_buf *out, gf_json_columns *c, const opaque *o)
{
    bool is_short = o->size <= SHORT_MAX;

    if (o->type == TYPE_VARCHAR && is_short)
        put_bytes(out, o);
    else if (o->type == TYPE_MEDIUM_BLOB)
        put_as(out, o, "CAST(REPEAT('x',70000) AS BINARY)");
    else if (o->type == TYPE_LONG_BLOB)
        put_as(out, o, "UNCOMPRESS('')");
    else if (o->type == TYPE_BIT && o->size > 0 && o->size <= 8)
        put_bits(out, c, o);
    else if (o->type == TYPE_STRING && o->size > 0 && o->size <= BINARY_MAX)
        put_binary(out, c, o);
    else if (o->type == TYPE_TINY_BLOB && is_short)
        put_column(out, c, o, "TINYBLOB", COLUMN_WIDTH);
    else if (o->type == TYPE_BLOB && is_short)
        put_column(out, c, o, "BLOB", COLUMN_WIDTH);
    else if (o->type == TYPE_BLOB)
        put_long_blob(out, o);
    else
        return false;
    return true;
}

static void put_opaque(gf_buf *out, gf_json_columns *c, gf_slice leaf)
{
    opaque o;

    if (!read_opaque(&o, leaf) || !put_made(out, c, &o))
        gf_buf_printf(out, "`JSON holds a binary value of type %u, which no SQL makes`", o.type);
    gf_buf_free(&o.base64);
}

/* ---- all ---- */

void gf_json_leaf(gf_buf *out, gf_json_columns *c, gf_json_mark mark, gf_slice leaf)
{
    switch (mark) {
    case GF_JSON_INTEGER: gf_buf_slice(out, leaf); return;
    case GF_JSON_UNSIGNED: put_cast(out, leaf, "UNSIGNED"); return;
    case GF_JSON_DECIMAL: put_decimal(out, leaf); return;
    case GF_JSON_DATE: put_cast(out, inside(leaf), "DATE"); return;
    case GF_JSON_TIME: put_cast(out, inside(leaf), "TIME(6)"); return;
    case GF_JSON_DATETIME: put_cast(out, inside(leaf), "DATETIME(6)"); return;
    case GF_JSON_TIMESTAMP: put_timestamp(out, c, inside(leaf)); return;
    case GF_JSON_OPAQUE: put_opaque(out, c, leaf); return;
    case GF_JSON_UNTOLD: gf_buf_str(out, "`JSON types were cut: raise the source's max_allowed_packet`"); return;
    case GF_JSON_PLAIN:
    case GF_JSON_UNKNOWN: break;
    }
    gf_buf_str(out, "`JSON holds a value of an unknown type`");
}

/* SPDX-License-Identifier: MIT */
/*
 * An SQL value that becomes part of a document brings its type along. Numbers, dates and times have a CAST; a TIMESTAMP,
 * BIT, BINARY and the BLOBs are types of columns only, so a JSON_TABLE of one row makes such a column. Through a scalar
 * subquery a BLOB would come as the BLOB that its length asks for, so it is put into a document inside.
 *
 * What can't be made is written as the name of a column that no table has: the row fails, and the server's message is
 * our explanation.
 */
#include "json_leaf.h"

#include <stdio.h>
#include <stdlib.h>
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

static void put_decimal(gf_buf *out, gf_slice digits)
{
    bool whole = memchr(digits.data, '.', digits.len) == NULL;

    gf_buf_slice(out, digits);
    if (whole) /* with a point it is a DECIMAL and no integer */
        gf_buf_byte(out, '.');
}

static void put_refusal(gf_buf *out, unsigned type)
{
    if (type == 0)
        gf_buf_str(out, "`JSON holds a value of an unknown type`");
    else
        gf_buf_printf(out, "`JSON holds a binary value of type %u, which no SQL makes`", type);
}

/* ---- opaque values ---- */

typedef struct {
    unsigned type;
    gf_buf base64; /* owned; without the \n that breaks its lines */
    size_t size;   /* of the value */
} opaque;

static bool read_opaque(opaque *o, gf_slice leaf)
{
    static const char head[] = "\"base64:type";
    char *end;

    *o = (opaque){0};
    if (leaf.len < sizeof head || memcmp(leaf.data, head, sizeof head - 1) != 0)
        return false;
    o->type = (unsigned)strtoul((const char *)leaf.data + sizeof head - 1, &end, 10);
    for (const uint8_t *p = (const uint8_t *)end + 1; p < leaf.data + leaf.len - 1; p++) {
        if (*p == '\\')
            p++;
        else
            gf_buf_byte(&o->base64, *p);
    }
    size_t len = o->base64.len, pads = 0;

    while (pads < len && o->base64.data[len - 1 - pads] == '=')
        pads++;
    o->size = len / 4 * 3 - pads;
    return true;
}

static void put_bytes(gf_buf *out, const opaque *o)
{
    gf_buf_str(out, "FROM_BASE64(");
    gf_literal_quoted(out, gf_slice_of(o->base64.data, o->base64.len));
    gf_buf_byte(out, ')');
}

static void put_blob(gf_buf *out, const opaque *o, const char *type)
{
    gf_buf_str(out, "(SELECT JSON_EXTRACT(JSON_ARRAY(b),_utf8mb4'$[0]') FROM JSON_TABLE(JSON_ARRAY(");
    put_bytes(out, o);
    gf_buf_printf(out, "),_utf8mb4'$[*]' COLUMNS (b %s PATH _utf8mb4'$' ERROR ON ERROR)) t)", type);
}

/* JSON_TABLE makes a BIT of a number only. */
static void put_bits(gf_buf *out, const opaque *o)
{
    gf_buf_str(out, "(SELECT b FROM JSON_TABLE(JSON_ARRAY(CAST(CONV(HEX(");
    put_bytes(out, o);
    gf_buf_printf(out, "),16,10) AS UNSIGNED)),_utf8mb4'$[*]' COLUMNS (b BIT(%zu) PATH _utf8mb4'$' ERROR ON ERROR)) t)",
                  8 * o->size);
}

/* JSON_TABLE does not take binary values of 64 KiB, but there FROM_BASE64 gives a MEDIUMBLOB, and UNCOMPRESS a LONGBLOB. */
static bool put_long_blob(gf_buf *out, const opaque *o)
{
    if (o->type != TYPE_MEDIUM_BLOB && o->type != TYPE_LONG_BLOB)
        return false;
    gf_buf_str(out, o->type == TYPE_LONG_BLOB ? "IF(TRUE," : "");
    put_bytes(out, o);
    gf_buf_str(out, o->type == TYPE_LONG_BLOB ? ",UNCOMPRESS(''))" : "");
    return true;
}

static bool put_made(gf_buf *out, const opaque *o)
{
    static const char *const blobs[] = {"TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BLOB"};
    char binary[24];

    if (o->size > SHORT_MAX)
        return put_long_blob(out, o);
    if (o->type == TYPE_VARCHAR) {
        put_bytes(out, o);
    } else if (o->type == TYPE_BIT && o->size > 0 && o->size <= 8) {
        put_bits(out, o);
    } else if (o->type == TYPE_STRING && o->size > 0 && o->size <= BINARY_MAX) {
        snprintf(binary, sizeof binary, "BINARY(%zu)", o->size);
        put_blob(out, o, binary);
    } else if (o->type >= TYPE_TINY_BLOB && o->type <= TYPE_BLOB) {
        put_blob(out, o, blobs[o->type - TYPE_TINY_BLOB]);
    } else {
        return false;
    }
    return true;
}

static void put_opaque(gf_buf *out, gf_slice leaf)
{
    opaque o;

    if (!read_opaque(&o, leaf) || !put_made(out, &o))
        put_refusal(out, o.type);
    gf_buf_free(&o.base64);
}

/* ---- all ---- */

void gf_json_leaf(gf_buf *out, gf_json_mark mark, gf_slice leaf)
{
    switch (mark) {
    case GF_JSON_INTEGER: gf_buf_slice(out, leaf); return;
    case GF_JSON_UNSIGNED: put_cast(out, leaf, "UNSIGNED"); return;
    case GF_JSON_DECIMAL: put_decimal(out, leaf); return;
    case GF_JSON_DATE: put_cast(out, inside(leaf), "DATE"); return;
    case GF_JSON_TIME: put_cast(out, inside(leaf), "TIME(6)"); return;
    case GF_JSON_DATETIME: put_cast(out, inside(leaf), "DATETIME(6)"); return;
    case GF_JSON_TIMESTAMP:
        gf_buf_str(out, "(SELECT b FROM JSON_TABLE(JSON_ARRAY(_utf8mb4");
        gf_literal_quoted(out, inside(leaf));
        gf_buf_str(out, "),_utf8mb4'$[*]' COLUMNS (b TIMESTAMP(6) PATH _utf8mb4'$' ERROR ON ERROR)) t)");
        return;
    case GF_JSON_OPAQUE: put_opaque(out, leaf); return;
    case GF_JSON_PLAIN:
    case GF_JSON_UNKNOWN: break;
    }
    put_refusal(out, 0);
}

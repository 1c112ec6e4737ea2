/* SPDX-License-Identifier: MIT */
/*
 * Chunk reads use the text protocol under SET NAMES binary: strings come as they are stored, everything else as
 * digits. Where a server's text for a column is not the whole truth the column is selected through an expression:
 *
 *   FLOAT           prints 6 digits; as a DOUBLE it prints all that tell it from its neighbours. So does a
 *                   DOUBLE(m,d), which prints d digits behind the point
 *   ENUM, SET       the index, as events have it. SET by `|`, which is unsigned on both servers with 64 members
 *   INET4, INET6,   the raw bytes instead of a text
 *   UUID
 */
#include "gfreplica/copier.h"

#include <stdlib.h>

void gf_column_select(gf_buf *out, const gf_column *col, gf_flavor flavor)
{
    const char *before = "", *after = "";

    (void)flavor; /* one form serves both so far */
    switch (col->type) {
    case GF_T_FLOAT: after = "*1e0"; break;
    case GF_T_DOUBLE: after = col->scale_given ? "*1e0" : ""; break;
    case GF_T_ENUM: after = "+0"; break;
    case GF_T_SET: after = "|0"; break;
    case GF_T_INET4: before = "CAST(", after = " AS BINARY(4))"; break;
    case GF_T_INET6:
    case GF_T_UUID: before = "CAST(", after = " AS BINARY(16))"; break;
    default: break;
    }
    gf_buf_str(out, before);
    gf_buf_ident(out, col->name);
    gf_buf_str(out, after);
}

/* What the text of a column looks like; the expressions of gf_column_select have one form whatever the column is by now. */
typedef enum { ANY_BYTES, WHOLE, EXACT, BITS, A_DATE, A_TIME, A_DATETIME, A_TIMESTAMP, EXPRESSION } form;

static form form_wanted(const gf_column *col)
{
    switch (col->type) {
    case GF_T_TINY:
    case GF_T_SHORT:
    case GF_T_MEDIUM:
    case GF_T_LONG:
    case GF_T_LONGLONG:
    case GF_T_YEAR: return WHOLE;
    case GF_T_DECIMAL: return EXACT;
    case GF_T_BIT: return BITS;
    case GF_T_DATE: return A_DATE;
    case GF_T_TIME: return A_TIME;
    case GF_T_DATETIME: return A_DATETIME;
    case GF_T_TIMESTAMP: return A_TIMESTAMP;
    case GF_T_FLOAT:
    case GF_T_DOUBLE:
    case GF_T_ENUM:
    case GF_T_SET:
    case GF_T_INET4:
    case GF_T_INET6:
    case GF_T_UUID: return EXPRESSION;
    default: return ANY_BYTES;
    }
}

static form form_given(enum enum_field_types type)
{
    switch ((int)type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR: return WHOLE;
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL: return EXACT;
    case MYSQL_TYPE_BIT: return BITS;
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_DATE: return A_DATE;
    case MYSQL_TYPE_TIME: return A_TIME;
    case MYSQL_TYPE_DATETIME: return A_DATETIME;
    case MYSQL_TYPE_TIMESTAMP: return A_TIMESTAMP;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE: return EXPRESSION;
    default: return ANY_BYTES;
    }
}

bool gf_column_fits(const gf_column *col, enum enum_field_types given)
{
    form wanted = form_wanted(col);

    return wanted == EXPRESSION || wanted == form_given(given);
}

/* Without the leading zeros of ZEROFILL columns and of YEAR 0000, which events do not have. */
static gf_slice trim_zeros(const char *digits, size_t len)
{
    while (len > 1 && digits[0] == '0' && digits[1] != '.') {
        digits++;
        len--;
    }
    return gf_slice_of(digits, len);
}

static double parse_double(const char *data, size_t len)
{
    char text[512]; /* the longest is a DOUBLE ZEROFILL of 255 characters */

    if (len >= sizeof text)
        len = sizeof text - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    return strtod(text, NULL);
}

static uint64_t parse_uint(const char *data, size_t len)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++)
        v = v * 10 + (uint64_t)(data[i] - '0');
    return v;
}

static gf_value_kind string_kind(gf_type type)
{
    switch (type) {
    case GF_T_DATE:
    case GF_T_TIME:
    case GF_T_DATETIME:
    case GF_T_TIMESTAMP: return GF_V_TEMPORAL;
    case GF_T_JSON: return GF_V_JSON;
    default: return GF_V_BYTES;
    }
}

void gf_value_from_text(gf_value *out, const gf_column *col, const char *data, size_t len, gf_arena *arena)
{
    (void)arena; /* every form so far is a number or borrows from the row */
    if (data == NULL) {
        *out = (gf_value){.kind = GF_V_NULL};
        return;
    }
    switch (col->type) {
    case GF_T_TINY:
    case GF_T_SHORT:
    case GF_T_MEDIUM:
    case GF_T_LONG:
    case GF_T_LONGLONG:
    case GF_T_YEAR:
    case GF_T_DECIMAL: *out = (gf_value){.kind = GF_V_NUMBER, .bytes = trim_zeros(data, len)}; break;
    case GF_T_FLOAT:
    case GF_T_DOUBLE: *out = (gf_value){.kind = GF_V_DOUBLE, .d = parse_double(data, len)}; break;
    case GF_T_ENUM:
    case GF_T_SET: *out = (gf_value){.kind = GF_V_UINT, .u = parse_uint(data, len)}; break;
    default: *out = (gf_value){.kind = string_kind(col->type), .bytes = gf_slice_of(data, len)}; break;
    }
}

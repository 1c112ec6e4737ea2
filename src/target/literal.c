/* SPDX-License-Identifier: MIT */
/*
 * Values as SQL text. What each form must survive was tried on MySQL 9 and MariaDB 10.11 (tests/integration/
 * test_values.c does it again):
 *
 *   ENUM, SET, BIT   as numbers, stored and compared: a member's name would pass through the connection's character
 *                    set, and 0, the invalid value, has no name. Equality by number uses the index on both servers.
 *   DOUBLE, FLOAT    17 significant digits with an exponent: a number with a point alone would be a DECIMAL, which
 *                    has no -0 and no 1e-320.
 *   strings          stored as plain '...' (binary under SET NAMES binary, taken byte for byte). Compared with an
 *                    introducer, so that column and literal have one character set and the column's collation and
 *                    index serve. Character sets whose units are wider than a byte take hex digits.
 *   INET4, INET6,    their raw bytes, as X'...': MariaDB takes a binary string of the right length for the value.
 *   UUID
 *   temporals        quoted; a session without NO_ZERO_DATE and NO_ZERO_IN_DATE but with ALLOW_INVALID_DATES takes
 *                    whatever a server holds.
 */
#include "gfreplica/literal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "literal_json.h"

/* ---- strings ---- */

/* A word with the top bit set in (at least) the lowest byte of w that is zero: the classic test, 8 bytes at a time. */
static uint64_t zero_bytes(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);

    return (w - ones) & ~w & tops;
}

/* How many bytes from p on need no escape. */
static size_t plain_run(const uint8_t *p, size_t len)
{
    const uint64_t quotes = UINT64_C(0x2727272727272727), backslashes = UINT64_C(0x5c5c5c5c5c5c5c5c);
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        uint64_t w;

        memcpy(&w, p + i, sizeof w);
        if ((zero_bytes(w) | zero_bytes(w ^ quotes) | zero_bytes(w ^ backslashes)) != 0)
            break;
    }
    while (i < len && p[i] != 0 && p[i] != '\'' && p[i] != '\\')
        i++;
    return i;
}

/* The servers need quote and backslash escaped; NUL is too, for whatever stands between us and them. */
void gf_literal_quoted(gf_buf *out, gf_slice bytes)
{
    const uint8_t *p = bytes.data, *end = bytes.len == 0 ? p : p + bytes.len;

    gf_buf_reserve(out, bytes.len + bytes.len / 64 + 2); /* random bytes: 3 of 256 are escaped */
    gf_buf_byte(out, '\'');
    while (p < end) {
        size_t run = plain_run(p, (size_t)(end - p));

        gf_buf_add(out, p, run);
        p += run;
        if (p == end)
            break;
        gf_buf_byte(out, '\\');
        gf_buf_byte(out, *p == 0 ? '0' : *p);
        p++;
    }
    gf_buf_byte(out, '\'');
}

static void put_hex(gf_buf *out, gf_slice bytes)
{
    gf_buf_str(out, "X'");
    gf_buf_hex(out, bytes.data, bytes.len);
    gf_buf_byte(out, '\'');
}

static bool is_wide(const char *charset)
{
    static const char *const wide[] = {"ucs2", "utf16", "utf16le", "utf32"};

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strcmp(charset, wide[i]) == 0)
            return true;
    return false;
}

static void put_introduced(gf_buf *out, const char *charset, gf_slice bytes)
{
    /* "utf8" means utf8mb3 in the schemas of older servers, but not to every newer one. */
    const char *name = strcmp(charset, "utf8") == 0 ? "utf8mb3" : charset;

    gf_buf_byte(out, '_');
    gf_buf_str(out, name);
    if (is_wide(name)) {
        gf_buf_byte(out, ' ');
        put_hex(out, bytes);
    } else {
        gf_literal_quoted(out, bytes);
    }
}

/* ---- numbers ---- */

static void put_uint(gf_buf *out, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    gf_buf_add(out, digits + at, sizeof digits - at);
}

static void put_int(gf_buf *out, int64_t v)
{
    if (v < 0)
        gf_buf_byte(out, '-');
    put_uint(out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void put_double(gf_buf *out, double v)
{
    char text[40];

    /* Whole numbers are common and printf is slow. */
    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        put_int(out, (int64_t)v);
        gf_buf_str(out, "e0");
        return;
    }
    int len = snprintf(text, sizeof text, "%.16e", v);

    gf_buf_add(out, text, (size_t)len);
}

void gf_literal_number(gf_buf *out, const gf_value *v)
{
    if (v->kind == GF_V_DOUBLE)
        put_double(out, v->d);
    else if (v->kind == GF_V_INT)
        put_int(out, v->i);
    else
        put_uint(out, v->u);
}

/* The server's own digits. Should it ever send anything else, it becomes a string and not part of our SQL. */
static void put_number(gf_buf *out, gf_slice digits)
{
    bool good = digits.len > 0;

    for (size_t i = 0; i < digits.len && good; i++) {
        uint8_t c = digits.data[i];

        good = (c >= '0' && c <= '9') || c == '.' || (c == '-' && i == 0);
    }
    if (good)
        gf_buf_slice(out, digits);
    else
        gf_literal_quoted(out, digits);
}

static void put_bits(gf_buf *out, gf_slice bytes)
{
    uint64_t v = 0;

    assert(bytes.len <= 8);
    for (size_t i = 0; i < bytes.len; i++)
        v = v << 8 | bytes.data[i];
    put_uint(out, v);
}

/* ---- one value ---- */

/* BYTES that mean the same stored and compared; false for those that do not. */
static bool put_plain_bytes(gf_buf *out, const gf_column *col, gf_slice bytes)
{
    switch (col->type) {
    case GF_T_BIT: put_bits(out, bytes); return true;
    case GF_T_INET4:
    case GF_T_INET6:
    case GF_T_UUID:
    case GF_T_GEOMETRY:
    case GF_T_VECTOR: put_hex(out, bytes); return true;
    default: break;
    }
    if (col->charset != NULL && strcmp(col->charset, "binary") != 0)
        return false;
    gf_literal_quoted(out, bytes);
    return true;
}

/* The kinds that have one form only; false for BYTES and JSON. */
static bool put_simple(gf_buf *out, const gf_value *v)
{
    switch (v->kind) {
    case GF_V_NULL: gf_buf_str(out, "NULL"); return true;
    case GF_V_INT: put_int(out, v->i); return true;
    case GF_V_UINT: put_uint(out, v->u); return true;
    case GF_V_DOUBLE: put_double(out, v->d); return true;
    case GF_V_NUMBER: put_number(out, v->bytes); return true;
    case GF_V_TEMPORAL: gf_literal_quoted(out, v->bytes); return true;
    case GF_V_ABSENT: /* a row image without the column: the statement did not name it */
        gf_buf_str(out, "DEFAULT");
        return true;
    case GF_V_BYTES:
    case GF_V_JSON: break;
    }
    return false;
}

/*
 * MariaDB stores -0 as 0 and says nothing (seen on 10.11 and 11.8), so there the row must fail: what it alone reads in
 * this literal is the name of a column that no table has, and its error message is our explanation.
 */
static void put_stored_double(gf_buf *out, double v)
{
    put_double(out, v);
    if (v == 0 && signbit(v))
        gf_buf_str(out, "/*M!100500 +`-0, which MariaDB would store as 0`*/");
}

void gf_literal_store(gf_buf *out, const gf_column *col, const gf_value *v, bool *relaxed)
{
    if (v->kind == GF_V_DOUBLE) {
        put_stored_double(out, v->d);
        return;
    }
    if (col->type == GF_T_ENUM && v->kind == GF_V_UINT && v->u == 0)
        *relaxed = true;
    if (put_simple(out, v))
        return;
    if (v->kind == GF_V_JSON)
        gf_literal_json(out, v->bytes, col->json_types);
    else if (!put_plain_bytes(out, col, v->bytes))
        gf_literal_quoted(out, v->bytes);
}

void gf_literal_compare(gf_buf *out, const gf_column *col, const gf_value *v)
{
    if (col->type == GF_T_SET && v->kind == GF_V_UINT) {
        put_int(out, (int64_t)v->u); /* both servers take a SET's 64 bits for a signed number when they compare it */
        return;
    }
    if (put_simple(out, v))
        return;
    if (v->kind == GF_V_JSON) {
        gf_buf_str(out, "CAST(");
        gf_literal_json(out, v->bytes, col->json_types);
        gf_buf_str(out, " AS JSON)");
    } else if (!put_plain_bytes(out, col, v->bytes)) {
        put_introduced(out, col->charset, v->bytes);
    }
}

void gf_literal_tuple(gf_buf *out, const gf_table *t, const gf_value *row, bool *relaxed)
{
    char before = '(';

    for (unsigned i = 0; i < t->column_count; i++) {
        if (!t->writes[i])
            continue;
        gf_buf_byte(out, (uint8_t)before);
        gf_literal_store(out, &t->columns[i], &row[i], relaxed);
        before = ',';
    }
    if (before == '(') /* no column is written: "() VALUES ()" makes a row of defaults */
        gf_buf_byte(out, '(');
    gf_buf_byte(out, ')');
}

/* SPDX-License-Identifier: MIT */
/*
 * key.c - keys as canonical bytes and back.
 *
 * Per part `kind u8 | length u32 LE | bytes`:
 *
 *     INT       signed integers            8 bytes BE, sign bit flipped: memcmp orders them
 *     UINT      unsigned, YEAR, ENUM, SET  8 bytes BE
 *     DOUBLE    FLOAT, DOUBLE              8 IEEE bytes BE; -0 is 0, for the server holds them equal
 *     NUMBER    DECIMAL                    the server's text without a zerofill's leading zeros
 *     the rest                             its bytes, under the kind of the value
 *     NULL, ABSENT                         no bytes
 *
 * Chunks give integers as digits, events as numbers: both become the same eight bytes, by the column's type alone.
 */
#include "gfreplica/catalog.h"

#include <inttypes.h>

#include "scalar.h"

#define TEXT_SHOWN 64u
#define SIGN_BIT   (UINT64_C(1) << 63)

/* --- canonical form ----------------------------------------------------------------------------------------------- */

/* INT or UINT for columns whose values are whole numbers, else NULL. */
static gf_value_kind whole_kind(const gf_column *col)
{
    switch (col->type) {
    case GF_T_TINY:
    case GF_T_SHORT:
    case GF_T_MEDIUM:
    case GF_T_LONG:
    case GF_T_LONGLONG: return col->is_unsigned ? GF_V_UINT : GF_V_INT;
    case GF_T_YEAR:
    case GF_T_ENUM:
    case GF_T_SET: return GF_V_UINT;
    default: return GF_V_NULL;
    }
}

static uint64_t parse_digits(gf_slice text)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t n = 0;

    for (size_t i = negative ? 1 : 0; i < text.len; i++)
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    return negative ? -n : n;
}

static uint64_t whole_bits(const gf_value *v)
{
    if (v->kind == GF_V_NUMBER)
        return parse_digits(v->bytes);
    return v->kind == GF_V_INT ? (uint64_t)v->i : v->u;
}

static bool is_whole_value(const gf_value *v)
{
    return v->kind == GF_V_INT || v->kind == GF_V_UINT || v->kind == GF_V_NUMBER;
}

static void set_number(gf_scalar *out, gf_value_kind kind, uint64_t bits)
{
    for (int i = 0; i < 8; i++)
        out->number[i] = (uint8_t)(bits >> (56 - 8 * i));
    out->kind = kind;
    out->bytes = gf_slice_of(out->number, sizeof out->number);
}

static void set_double(gf_scalar *out, double d)
{
    uint64_t bits;

    if (d == 0)
        d = 0; /* -0 too */
    memcpy(&bits, &d, sizeof bits);
    set_number(out, GF_V_DOUBLE, bits);
}

/* Only unsigned columns are zero-filled, so there is no sign in front of the zeros. */
static gf_slice without_zerofill(gf_slice text)
{
    while (text.len > 1 && text.data[0] == '0' && text.data[1] != '.') {
        text.data++;
        text.len--;
    }
    return text;
}

void gf_scalar_of(gf_scalar *out, const gf_column *col, const gf_value *v)
{
    gf_value_kind whole = whole_kind(col);

    out->kind = v->kind;
    out->bytes = (gf_slice){0};
    if (v->kind == GF_V_NULL || v->kind == GF_V_ABSENT)
        return;
    if (whole != GF_V_NULL && is_whole_value(v))
        set_number(out, whole, whole == GF_V_INT ? whole_bits(v) ^ SIGN_BIT : whole_bits(v));
    else if (v->kind == GF_V_DOUBLE)
        set_double(out, v->d);
    else if (v->kind == GF_V_NUMBER)
        out->bytes = without_zerofill(v->bytes);
    else
        out->bytes = v->bytes;
}

void gf_key_encode(gf_buf *out, const gf_table *t, const gf_key *key, const gf_value *row)
{
    for (unsigned i = 0; i < key->part_count; i++) {
        unsigned column = key->parts[i].column;
        gf_scalar s;

        gf_scalar_of(&s, &t->columns[column], &row[column]);
        gf_buf_byte(out, (uint8_t)s.kind);
        gf_buf_u32(out, (uint32_t)s.bytes.len);
        gf_buf_slice(out, s.bytes);
    }
}

/* --- and back ----------------------------------------------------------------------------------------------------- */

static uint64_t big_endian(gf_slice bytes)
{
    uint64_t n = 0;

    for (size_t i = 0; i < bytes.len; i++)
        n = n << 8 | bytes.data[i];
    return n;
}

static bool decode_number(gf_value *out, gf_slice bytes)
{
    uint64_t bits = big_endian(bytes);

    if (bytes.len != 8)
        return false;
    if (out->kind == GF_V_INT)
        out->i = (int64_t)(bits ^ SIGN_BIT);
    else if (out->kind == GF_V_UINT)
        out->u = bits;
    else
        memcpy(&out->d, &bits, sizeof out->d);
    return true;
}

/* The kinds that a column's key can have: a frontier of another definition of the table must not pass. */
static bool kind_fits(const gf_column *col, unsigned kind)
{
    gf_value_kind whole = whole_kind(col);

    if (kind == GF_V_NULL || kind == GF_V_ABSENT)
        return true;
    if (whole != GF_V_NULL)
        return kind == (unsigned)whole;
    switch (col->type) {
    case GF_T_FLOAT:
    case GF_T_DOUBLE: return kind == GF_V_DOUBLE;
    case GF_T_DECIMAL: return kind == GF_V_NUMBER;
    case GF_T_DATE:
    case GF_T_TIME:
    case GF_T_DATETIME:
    case GF_T_TIMESTAMP: return kind == GF_V_TEMPORAL;
    case GF_T_JSON: return kind == GF_V_JSON;
    default: return kind == GF_V_BYTES;
    }
}

static bool decode_part(gf_value *out, const gf_column *col, gf_cursor *c)
{
    unsigned kind = gf_cursor_u8(c);
    gf_slice bytes = gf_cursor_bytes(c, gf_cursor_u32(c));

    if (c->bad || !kind_fits(col, kind))
        return false;
    *out = (gf_value){.kind = (gf_value_kind)kind};
    switch (out->kind) {
    case GF_V_ABSENT:
    case GF_V_NULL: return bytes.len == 0;
    case GF_V_INT:
    case GF_V_UINT:
    case GF_V_DOUBLE: return decode_number(out, bytes);
    default: out->bytes = bytes; return true;
    }
}

bool gf_key_decode(gf_value *values, const gf_table *t, const gf_key *key, gf_slice encoded)
{
    gf_cursor c = gf_cursor_of(encoded.data, encoded.len);

    for (unsigned i = 0; i < key->part_count; i++)
        if (!decode_part(&values[i], &t->columns[key->parts[i].column], &c))
            return false;
    return gf_cursor_left(&c) == 0;
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static bool printable(gf_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

static void show_text(gf_buf *out, gf_slice text)
{
    bool cut = text.len > TEXT_SHOWN;

    if (cut)
        text.len = TEXT_SHOWN;
    if (printable(text)) {
        gf_buf_byte(out, '\'');
        for (size_t i = 0; i < text.len; i++) {
            if (text.data[i] == '\'')
                gf_buf_byte(out, '\'');
            gf_buf_byte(out, text.data[i]);
        }
        gf_buf_byte(out, '\'');
    } else {
        gf_buf_str(out, "0x");
        gf_buf_hex(out, text.data, text.len);
    }
    if (cut)
        gf_buf_str(out, "...");
}

static void show_value(gf_buf *out, const gf_value *v)
{
    switch (v->kind) {
    case GF_V_ABSENT: gf_buf_str(out, "?"); break;
    case GF_V_NULL: gf_buf_str(out, "NULL"); break;
    case GF_V_INT: gf_buf_printf(out, "%" PRId64, v->i); break;
    case GF_V_UINT: gf_buf_printf(out, "%" PRIu64, v->u); break;
    case GF_V_DOUBLE: gf_buf_printf(out, "%.17g", v->d); break;
    case GF_V_NUMBER: gf_buf_slice(out, v->bytes); break;
    default: show_text(out, v->bytes); break;
    }
}

void gf_key_text(gf_buf *out, const gf_table *t, const gf_key *key, gf_slice encoded)
{
    gf_cursor c = gf_cursor_of(encoded.data, encoded.len);

    for (unsigned i = 0; i < key->part_count; i++) {
        const gf_column *col = &t->columns[key->parts[i].column];
        gf_value v;

        if (!decode_part(&v, col, &c)) {
            gf_buf_str(out, "(malformed key)");
            return;
        }
        gf_buf_printf(out, "%s%s=", i > 0 ? ", " : "", col->name);
        show_value(out, &v);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * line.c - which types a field of LOAD DATA stores to the bit, tried on both families (tests/integration/
 * test_values.c does it again with every type at its ends):
 *
 *   numbers, temporals   the same text as in SQL; FLOAT and DOUBLE with 17 digits. Only YEAR 0000 has to be spelled
 *                        out: as a string, 0 would be 2000
 *   strings, BLOB        their bytes: a binary string goes into a column of any character set unconverted
 *   BIT, GEOMETRY,       their bytes too; here a string of bits is what the column takes
 *   VECTOR, INET, UUID
 *   ENUM, SET            index and bits through CAST: as strings they would be looked up among the members first
 *   JSON                 through CONVERT: MySQL makes no document of a binary string
 */
#include "gfreplica/line.h"

#include <math.h>
#include <stdio.h>

#include "literal_json.h"

typedef enum { LINE_NEVER, LINE_PLAIN, LINE_YEAR, LINE_NUMBER, LINE_JSON } line_form;

static const line_form forms[] = {
    [GF_T_TINY] = LINE_PLAIN,      [GF_T_SHORT] = LINE_PLAIN,     [GF_T_MEDIUM] = LINE_PLAIN,
    [GF_T_LONG] = LINE_PLAIN,      [GF_T_LONGLONG] = LINE_PLAIN,  [GF_T_YEAR] = LINE_YEAR,
    [GF_T_BIT] = LINE_PLAIN,       [GF_T_DECIMAL] = LINE_PLAIN,   [GF_T_FLOAT] = LINE_PLAIN,
    [GF_T_DOUBLE] = LINE_PLAIN,    [GF_T_DATE] = LINE_PLAIN,      [GF_T_TIME] = LINE_PLAIN,
    [GF_T_DATETIME] = LINE_PLAIN,  [GF_T_TIMESTAMP] = LINE_PLAIN, [GF_T_CHAR] = LINE_PLAIN,
    [GF_T_VARCHAR] = LINE_PLAIN,   [GF_T_TEXT] = LINE_PLAIN,      [GF_T_BINARY] = LINE_PLAIN,
    [GF_T_VARBINARY] = LINE_PLAIN, [GF_T_BLOB] = LINE_PLAIN,      [GF_T_ENUM] = LINE_NUMBER,
    [GF_T_SET] = LINE_NUMBER,      [GF_T_JSON] = LINE_JSON,       [GF_T_GEOMETRY] = LINE_PLAIN,
    [GF_T_VECTOR] = LINE_PLAIN,    [GF_T_INET4] = LINE_PLAIN,     [GF_T_INET6] = LINE_PLAIN,
    [GF_T_UUID] = LINE_PLAIN,
};

static line_form form_of(const gf_column *col)
{
    return (size_t)col->type < sizeof forms / sizeof forms[0] ? forms[col->type] : LINE_NEVER;
}

bool gf_line_fits(const gf_table *t)
{
    unsigned written = 0;

    if (t->identity < 0 || t->system_versioned)
        return false;
    for (unsigned i = 0; i < t->column_count; i++) {
        if (!t->writes[i])
            continue;
        if (form_of(&t->columns[i]) == LINE_NEVER)
            return false;
        written++;
    }
    return written > 0;
}

/* ---- fields ---- */

/* A word with a bit set in every byte of w that is zero (and perhaps in one above such a byte). */
static uint64_t zero_bytes(uint64_t w)
{
    return (w - UINT64_C(0x0101010101010101)) & ~w & UINT64_C(0x8080808080808080);
}

static bool is_special(uint8_t c)
{
    return c == '\t' || c == '\n' || c == '\\';
}

/* How many bytes from p on need no escape. */
static size_t plain_run(const uint8_t *p, size_t len)
{
    const uint64_t tabs = UINT64_C(0x0909090909090909), newlines = UINT64_C(0x0a0a0a0a0a0a0a0a),
                   backslashes = UINT64_C(0x5c5c5c5c5c5c5c5c);
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        uint64_t w;

        memcpy(&w, p + i, sizeof w);
        if ((zero_bytes(w ^ tabs) | zero_bytes(w ^ newlines) | zero_bytes(w ^ backslashes)) != 0)
            break;
    }
    while (i < len && !is_special(p[i]))
        i++;
    return i;
}

static void put_bytes(gf_buf *out, gf_slice bytes)
{
    const uint8_t *p = bytes.data, *end = bytes.len == 0 ? p : p + bytes.len;

    while (p < end) {
        size_t run = plain_run(p, (size_t)(end - p));

        gf_buf_add(out, p, run);
        p += run;
        if (p == end)
            break;
        gf_buf_byte(out, '\\');
        gf_buf_byte(out, *p == '\t' ? 't' : *p == '\n' ? 'n' : '\\');
        p++;
    }
}

static bool is_zero(const gf_value *v)
{
    if (v->kind == GF_V_NUMBER) { /* ZEROFILL: more than one digit */
        for (size_t i = 0; i < v->bytes.len; i++) {
            if (v->bytes.data[i] >= '1' && v->bytes.data[i] <= '9')
                return false;
        }
        return true;
    }
    return v->kind == GF_V_DOUBLE ? v->d == 0 : (v->kind == GF_V_INT || v->kind == GF_V_UINT) && v->u == 0;
}

/* False: not as a field. */
static bool put_field(gf_buf *out, const gf_column *col, const gf_value *v)
{
    line_form form = form_of(col);

    /* MariaDB gives it a new number as soon as the statement has a SET part, whatever sql_mode. */
    if (col->auto_increment && is_zero(v))
        return false;
    if (form == LINE_YEAR && is_zero(v)) {
        gf_buf_str(out, "0000");
        return true;
    }
    switch (v->kind) {
    case GF_V_NULL: gf_buf_str(out, "\\N"); return true;
    case GF_V_ABSENT: return false;
    case GF_V_NUMBER:
    case GF_V_TEMPORAL:
    case GF_V_BYTES: put_bytes(out, v->bytes); return true;
    case GF_V_JSON:
        if (!gf_json_is_plain(v->bytes, col->json_types))
            return false;
        put_bytes(out, v->bytes);
        return true;
    case GF_V_INT:
    case GF_V_UINT:
    case GF_V_DOUBLE: break;
    }
    if (form == LINE_NUMBER && col->type == GF_T_ENUM && v->u == 0) /* strict mode refuses the invalid value */
        return false;
    if (v->kind == GF_V_DOUBLE && v->d == 0 && signbit(v->d)) /* its literal says what MariaDB does to it */
        return false;
    gf_literal_number(out, v);
    return true;
}

bool gf_line_row(gf_buf *out, const gf_table *t, const gf_value *row)
{
    size_t start = out->len;

    for (unsigned i = 0; i < t->column_count; i++) {
        if (!t->writes[i])
            continue;
        if (!put_field(out, &t->columns[i], &row[i])) {
            out->len = start;
            return false;
        }
        gf_buf_byte(out, '\t');
    }
    out->data[out->len - 1] = '\n'; /* gf_line_fits: there is a field */
    return true;
}

/* ---- the statement ---- */

void gf_line_columns(gf_buf *out, const gf_table *t)
{
    const char *before = " (";

    gf_buf_str(out, " CHARACTER SET binary FIELDS TERMINATED BY '\\t' ENCLOSED BY '' ESCAPED BY '\\\\'"
                    " LINES TERMINATED BY '\\n' STARTING BY ''");
    for (unsigned i = 0; i < t->column_count; i++) {
        line_form form = form_of(&t->columns[i]);

        if (!t->writes[i])
            continue;
        gf_buf_str(out, before);
        if (form == LINE_NUMBER || form == LINE_JSON)
            gf_buf_printf(out, "@c%u", i);
        else
            gf_buf_ident(out, t->columns[i].name);
        before = ",";
    }
    gf_buf_byte(out, ')');
    before = " SET ";
    for (unsigned i = 0; i < t->column_count; i++) {
        line_form form = form_of(&t->columns[i]);

        if (!t->writes[i] || (form != LINE_NUMBER && form != LINE_JSON))
            continue;
        gf_buf_str(out, before);
        gf_buf_ident(out, t->columns[i].name);
        gf_buf_printf(out, form == LINE_JSON ? "=CONVERT(@c%u USING utf8mb4)" : "=CAST(@c%u AS UNSIGNED)", i);
        before = ",";
    }
}

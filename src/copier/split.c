/* SPDX-License-Identifier: MIT */
/*
 * split.c - cutting a large table into ranges that several readers can take.
 *
 * Where the cuts are decides nothing but speed, since the ranges are open at both ends of the table (rule M7) and each
 * cut is a key that exists, in the server's own order. So cuts are found as cheaply as the leading key column allows:
 *
 * numbers, text, bytes: points are spread evenly between the column's MIN and MAX (text and bytes as numbers of a few
 *     digits behind their common prefix), and each is replaced by the first key at or behind it: one dive into the
 *     index per cut. The points need not be in the collation's order; the server sorts the keys that they led to.
 * the rest (DECIMAL, temporal, ...): the index is walked, range_rows entries at a time, up to WALK_ROWS in all; what
 *     is behind stays one range.
 */
#include <ctype.h>
#include <stdlib.h>

#include "gfreplica/literal.h"
#include "gfreplica/log.h"
#include "rows.h"

enum {
    MAX_RANGES = 256,
    WALK_ROWS = 2 * 1000 * 1000,
    DIGITS = 6 /* of text and bytes, behind the common prefix */
};

typedef struct {
    const gf_table *table;
    const gf_key *key;
    const gf_column *lead; /* the leading key column */
    MYSQL *source;
    gf_rows rows;    /* reads the key columns */
    unsigned wanted; /* ranges */
    unsigned range_rows;
    gf_buf cuts[MAX_RANGES]; /* canonical keys */
    unsigned count;
} splitter;

/* ---- asking for keys ---- */

static void select_keys(gf_buf *sql, const splitter *s)
{
    gf_buf_str(sql, "SELECT ");
    gf_buf_slice(sql, gf_slice_of(s->rows.fields.data, s->rows.fields.len));
    gf_buf_printf(sql, " FROM %s WHERE ", s->table->source_sql);
}

static void order_keys(gf_buf *sql, const splitter *s)
{
    gf_buf_str(sql, " ORDER BY ");
    gf_literal_order(sql, s->table);
}

/* Adds the keys of the result to the cuts. */
static bool add_cuts(splitter *s, const gf_buf *sql, gf_error *err)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row;
    bool ok;

    if (mysql_real_query(s->source, (const char *)sql->data, sql->len) != 0 ||
        (res = mysql_store_result(s->source)) == NULL)
        return gf_fail_mysql(err, s->source, "sample the keys of %s", s->table->label);
    ok = gf_rows_fit(&s->rows, res, err);
    while (ok && s->count < MAX_RANGES && (row = mysql_fetch_row(res)) != NULL) {
        gf_rows_parse(&s->rows, row, mysql_fetch_lengths(res));
        gf_key_encode(&s->cuts[s->count++], s->table, s->key, s->rows.row);
    }
    mysql_free_result(res);
    return ok;
}

static void forget_cuts(splitter *s)
{
    while (s->count > 0)
        gf_buf_free(&s->cuts[--s->count]);
}

/* ---- points ---- */

typedef enum { SPREAD_NONE, SPREAD_SIGNED, SPREAD_UNSIGNED, SPREAD_BYTES, SPREAD_TEXT } spread;

static spread spread_of(const gf_column *col)
{
    switch (col->type) {
    case GF_T_TINY:
    case GF_T_SHORT:
    case GF_T_MEDIUM:
    case GF_T_LONG:
    case GF_T_LONGLONG: return col->is_unsigned ? SPREAD_UNSIGNED : SPREAD_SIGNED;
    case GF_T_BINARY:
    case GF_T_VARBINARY: return SPREAD_BYTES;
    case GF_T_CHAR:
    case GF_T_VARCHAR: return SPREAD_TEXT;
    default: return SPREAD_NONE;
    }
}

/* Text is spread over printable ASCII, which is valid in every character set of single or variable width. */
static unsigned digit_base(spread how)
{
    return how == SPREAD_TEXT ? 95 : 256;
}

static unsigned first_digit(spread how)
{
    return how == SPREAD_TEXT ? ' ' : 0;
}

static uint64_t digits_at(gf_slice s, size_t at, spread how)
{
    uint64_t n = 0;

    for (size_t i = at; i < at + DIGITS; i++) {
        unsigned c = i < s.len ? s.data[i] : 0, first = first_digit(how), last = first + digit_base(how) - 1;

        n = n * digit_base(how) + (c < first ? 0 : c > last ? last - first : c - first);
    }
    return n;
}

static size_t common_prefix(gf_slice a, gf_slice b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.data[n] == b.data[n])
        n++;
    return n;
}

static bool printable(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] < ' ' || s[i] > '~')
            return false;
    }
    return true;
}

static void to_lower(char *s)
{
    for (; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
}

/* The i-th of n points between low and high. */
static uint64_t between(uint64_t low, uint64_t high, unsigned i, unsigned n)
{
    return low + (high - low) / n * i + (high - low) % n * i / n;
}

static void text_point(gf_buf *out, gf_slice low, gf_slice high, spread how, unsigned i, unsigned n)
{
    size_t prefix = common_prefix(low, high);
    uint64_t a = digits_at(low, prefix, how), b = digits_at(high, prefix, how);
    uint64_t v = a <= b ? between(a, b, i, n) : between(b, a, i, n);
    uint8_t digits[DIGITS];

    for (unsigned d = DIGITS; d > 0; d--, v /= digit_base(how))
        digits[d - 1] = (uint8_t)(first_digit(how) + v % digit_base(how));
    gf_buf_reset(out);
    gf_buf_add(out, low.data, prefix);
    gf_buf_add(out, digits, DIGITS);
}

/* MIN and MAX of the leading column, as the server's text. */
typedef struct {
    char low[256], high[256];
    size_t low_len, high_len;
    bool empty; /* or too long to be of use: no cuts */
} extent;

static bool read_extent(extent *e, splitter *s, gf_error *err)
{
    gf_buf name = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;
    unsigned long *lengths;

    gf_buf_ident(&name, s->lead->name);
    res = gf_server_query(s->source, "sample keys", err, "SELECT MIN(%s),MAX(%s) FROM %s", gf_buf_cstr(&name),
                          gf_buf_cstr(&name), s->table->source_sql);
    gf_buf_free(&name);
    if (res == NULL)
        return gf_fail_context(err, "%s", s->table->label);
    row = mysql_fetch_row(res);
    lengths = row != NULL ? mysql_fetch_lengths(res) : NULL;
    e->empty =
        row == NULL || row[0] == NULL || row[1] == NULL || lengths[0] >= sizeof e->low || lengths[1] >= sizeof e->high;
    if (!e->empty) {
        e->low_len = lengths[0];
        e->high_len = lengths[1];
        memcpy(e->low, row[0], e->low_len + 1);
        memcpy(e->high, row[1], e->high_len + 1);
    }
    mysql_free_result(res);
    return true;
}

/* False: not to be spread as text. MIN behind MAX in bytes shows a collation that ignores case. */
static bool prepare_text(extent *e)
{
    if (!printable(e->low, e->low_len) || !printable(e->high, e->high_len))
        return false;
    if (strcmp(e->low, e->high) > 0) {
        to_lower(e->low);
        to_lower(e->high);
    }
    return true;
}

/* A number's place in the order of unsigned ones, and back. */
static const uint64_t SIGN = (uint64_t)1 << 63;

static void make_point(gf_value *v, gf_buf *bytes, const extent *e, spread how, unsigned i, unsigned n)
{
    switch (how) {
    case SPREAD_SIGNED:
        v->kind = GF_V_INT;
        v->i = (int64_t)(between((uint64_t)strtoll(e->low, NULL, 10) ^ SIGN,
                                 (uint64_t)strtoll(e->high, NULL, 10) ^ SIGN, i, n) ^
                         SIGN);
        break;
    case SPREAD_UNSIGNED:
        v->kind = GF_V_UINT;
        v->u = between(strtoull(e->low, NULL, 10), strtoull(e->high, NULL, 10), i, n);
        break;
    default:
        text_point(bytes, gf_slice_of(e->low, e->low_len), gf_slice_of(e->high, e->high_len), how, i, n);
        v->kind = GF_V_BYTES;
        v->bytes = gf_slice_of(bytes->data, bytes->len);
    }
}

/* The first key at or behind the point becomes a cut. */
static bool cut_at(splitter *s, const gf_value *point, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    select_keys(&sql, s);
    gf_buf_ident(&sql, s->lead->name);
    gf_buf_str(&sql, s->key->parts[0].descending ? "<=" : ">=");
    gf_literal_compare(&sql, s->lead, point);
    order_keys(&sql, s);
    gf_buf_str(&sql, " LIMIT 1");
    ok = add_cuts(s, &sql, err);
    gf_buf_free(&sql);
    return ok;
}

/* The row of one key as predicate. gf_literal_where gives only the literal for a key of one part. */
static void name_key(gf_buf *sql, splitter *s, const gf_buf *key)
{
    gf_value parts[GF_KEY_PARTS_MAX];

    if (!gf_key_decode(parts, s->table, s->key, gf_slice_of(key->data, key->len)))
        abort(); /* we have encoded it a moment ago */
    for (unsigned i = 0; i < s->key->part_count; i++)
        s->rows.row[s->key->parts[i].column] = parts[i];
    if (s->key->part_count == 1) {
        gf_buf_ident(sql, s->lead->name);
        gf_buf_byte(sql, '=');
    }
    gf_literal_where(sql, s->table, s->rows.row);
}

/* The server knows its order, and which keys are the same. */
static bool sort_cuts(splitter *s, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    if (s->count == 0)
        return true;
    select_keys(&sql, s);
    for (unsigned i = 0; i < s->count; i++) {
        if (i > 0)
            gf_buf_str(&sql, " OR ");
        name_key(&sql, s, &s->cuts[i]);
    }
    order_keys(&sql, s);
    forget_cuts(s);
    ok = add_cuts(s, &sql, err);
    gf_buf_free(&sql);
    return ok;
}

static bool spread_cuts(splitter *s, const extent *e, spread how, gf_error *err)
{
    gf_buf bytes = {0};
    bool ok = true;

    for (unsigned i = 1; ok && i < s->wanted; i++) {
        gf_value point;

        make_point(&point, &bytes, e, how, i, s->wanted);
        ok = cut_at(s, &point, err);
    }
    gf_buf_free(&bytes);
    return ok && sort_cuts(s, err);
}

/* ---- walking ---- */

static bool walk_cuts(splitter *s, gf_error *err)
{
    uint64_t walked = 0;
    bool ok = true, more = true;

    while (ok && more && s->count + 1 < s->wanted && walked + s->range_rows <= WALK_ROWS) {
        unsigned before = s->count;
        gf_buf sql = {0};

        select_keys(&sql, s);
        if (before == 0) {
            gf_buf_str(&sql, "1");
        } else {
            const gf_buf *last = &s->cuts[before - 1];

            ok = gf_literal_after(&sql, s->table, gf_slice_of(last->data, last->len), err);
        }
        order_keys(&sql, s);
        gf_buf_printf(&sql, " LIMIT 1 OFFSET %u", s->range_rows - 1);
        ok = ok && add_cuts(s, &sql, err);
        more = s->count > before;
        walked += s->range_rows;
        gf_buf_free(&sql);
    }
    return ok;
}

/* ---- all ---- */

static bool find_cuts(splitter *s, gf_error *err)
{
    spread how = spread_of(s->lead);
    extent e = {0};

    if (how == SPREAD_NONE)
        return walk_cuts(s, err);
    if (!read_extent(&e, s, err))
        return false;
    if (how == SPREAD_TEXT && !prepare_text(&e))
        return walk_cuts(s, err);
    return e.empty || spread_cuts(s, &e, how, err);
}

/* Range i is (cut i-1, cut i]; the first is open below, the last above (rule M7). */
static void add_ranges(gf_plan *p, const splitter *s)
{
    const gf_slice none = {NULL, 0};
    gf_slice lower = none;

    for (unsigned i = 0; i <= s->count; i++) {
        gf_slice upper = i < s->count ? gf_slice_of(s->cuts[i].data, s->cuts[i].len) : none;

        gf_plan_add(p, s->table, i, lower, upper, none, false, 0);
        lower = upper;
    }
}

bool gf_plan_split(gf_plan *p, const gf_table *t, MYSQL *source, unsigned range_rows, gf_error *err)
{
    splitter *s;
    uint64_t ranges = range_rows > 0 ? t->row_estimate / range_rows + 1 : 1;
    bool ok = true;

    s = gf_calloc(1, sizeof *s);
    s->table = t;
    s->source = source;
    s->range_rows = range_rows;
    s->wanted = ranges < MAX_RANGES ? (unsigned)ranges : MAX_RANGES;
    if (t->identity >= 0 && s->wanted > 1) {
        s->key = &t->keys[t->identity];
        s->lead = &t->columns[s->key->parts[0].column];
        gf_rows_init(&s->rows, t, s->key, mariadb_connection(source) ? GF_FLAVOR_MARIADB : GF_FLAVOR_MYSQL, false);
        ok = find_cuts(s, err);
    }
    if (!ok && err->native != 0 && err->kind != GF_ERR_RETRY) { /* the copier waits for what the stream tells of it */
        gf_log_info("%s: one reader alone will copy it", err->text);
        forget_cuts(s);
        ok = true;
    }
    if (ok)
        add_ranges(p, s);
    forget_cuts(s);
    gf_rows_free(&s->rows);
    free(s);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * MySQL's binary JSON, printed as the server prints it (SELECT json_col): members as they are stored, ", " and ": "
 * between them, doubles with a point or an exponent, opaque values by their column type.
 *
 *   document   type u8, value
 *   array      count, size, then per element an entry
 *   object     count, size, then per member a key entry (offset, length u16), then per member an entry
 *   entry      type u8, then the value itself when it fits, else its offset
 *
 * count, size and offsets are u16 in the small form of arrays and objects, u32 in the large one; offsets count from
 * the first byte of count. Layout: "JSON value binary format" in MySQL's json_binary.h.
 */
#include "gfreplica/decoder.h"

#include "gfreplica/literal.h"
#include "packed.h"

enum {
    SMALL_OBJECT = 0,
    LARGE_OBJECT = 1,
    SMALL_ARRAY = 2,
    LARGE_ARRAY = 3,
    LITERAL = 4,
    INT16 = 5,
    UINT16 = 6,
    INT32 = 7,
    UINT32 = 8,
    INT64 = 9,
    UINT64 = 10,
    DOUBLE = 11,
    STRING = 12,
    OPAQUE = 15
};

enum { /* column types of opaque values that have a text of their own */
       OPAQUE_TIMESTAMP = 7,
       OPAQUE_DATE = 10,
       OPAQUE_TIME = 11,
       OPAQUE_DATETIME = 12,
       OPAQUE_DECIMAL = 246
};

/*
 * No honest document grows more than twelvefold in print (a control character, 1 byte, prints as 6; an empty array
 * in a small one, 7 bytes, as 4). But offsets may point anywhere, so a forged one could hold the same array thousands
 * of times on each of its levels: the limit ends that.
 */
enum { MAX_GROWTH = 32 };

typedef struct {
    gf_buf *out;
    size_t limit; /* of out->len */
    bool marks;
} printer;

static bool put_value(printer *p, uint8_t type, gf_cursor at, unsigned depth);

/* ---- scalars ---- */

/* Quotes and escapes as the server does: what JSON demands, and nothing else. */
static void put_string(gf_buf *out, gf_slice s)
{
    static const char letters[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    size_t run = 0;

    gf_buf_byte(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        gf_buf_add(out, s.data + run, i - run);
        run = i + 1;
        if (c >= 0x20 || letters[c] != 0) {
            gf_buf_byte(out, '\\');
            gf_buf_byte(out, c >= 0x20 ? c : (uint8_t)letters[c]);
        } else {
            gf_buf_printf(out, "\\u%04x", c);
        }
    }
    gf_buf_add(out, s.len == 0 ? NULL : s.data + run, s.len - run);
    gf_buf_byte(out, '"');
}

/* A length of 7 bits a byte, low ones first, then so many bytes. */
static gf_slice take_sized(gf_cursor *at)
{
    uint64_t len = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t c = gf_cursor_u8(at);

        len |= (uint64_t)(c & 0x7f) << shift;
        if ((c & 0x80) == 0)
            return gf_cursor_bytes(at, (size_t)len);
    }
    at->bad = true;
    return (gf_slice){NULL, 0};
}

static void put_mark(printer *p, gf_json_mark mark)
{
    if (p->marks)
        gf_buf_byte(p->out, (uint8_t)mark);
}

static bool put_literal(gf_buf *out, uint64_t v)
{
    static const char *const names[] = {"null", "true", "false"};

    if (v > 2)
        return false;
    gf_buf_str(out, names[v]);
    return true;
}

/* MySQL's parser takes a whole number for unsigned when it has more than 32 bits and no sign. */
static bool put_int(printer *p, uint64_t v, unsigned bytes)
{
    unsigned unused = 64 - 8 * bytes;
    int64_t value = (int64_t)(v << unused) >> unused;

    if (value > UINT32_MAX)
        put_mark(p, GF_JSON_INTEGER);
    gf_buf_printf(p->out, "%lld", (long long)value);
    return true;
}

static bool put_uint(printer *p, uint64_t v)
{
    if (v <= UINT32_MAX)
        put_mark(p, GF_JSON_UNSIGNED);
    gf_buf_printf(p->out, "%llu", (unsigned long long)v);
    return true;
}

static bool put_double(gf_buf *out, uint64_t bits)
{
    char text[GF_JSON_DOUBLE_MAX];
    double v;

    memcpy(&v, &bits, sizeof v);
    gf_buf_add(out, text, gf_json_double(text, v));
    return true;
}

/* ---- opaque values ---- */

static bool put_opaque_decimal(gf_buf *out, gf_slice data)
{
    gf_cursor in = gf_cursor_of(data.data, data.len);
    unsigned precision = gf_cursor_u8(&in), scale = gf_cursor_u8(&in);
    size_t size = gf_decimal_size(precision, scale);
    char text[GF_DECIMAL_TEXT_MAX];

    if (in.bad || size == 0 || gf_cursor_left(&in) != size)
        return false;
    size_t len = gf_decimal_text(text, in.p, precision, scale);

    gf_buf_add(out, text, len);
    return len > 0;
}

/* One number: microseconds in its low 24 bits, the clock in the 17 above (a TIME: up to 838 hours), then the date. */
static bool put_opaque_civil(gf_buf *out, gf_slice data, uint8_t type)
{
    gf_cursor in = gf_cursor_of(data.data, data.len);
    int64_t v = (int64_t)gf_cursor_u64(&in);
    uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v, whole = size >> 24, date = whole >> 17;
    gf_civil when = {.negative = v < 0, .minute = whole >> 6 & 63, .second = whole & 63, .micro = size & 0xffffff};
    gf_civil_form form = type == OPAQUE_DATE ? GF_CIVIL_DATE : type == OPAQUE_TIME ? GF_CIVIL_TIME : GF_CIVIL_DATETIME;
    char text[GF_CIVIL_TEXT_MAX + 2] = {'"'};

    if (data.len != 8 || (v < 0 && form != GF_CIVIL_TIME))
        return false;
    if (form == GF_CIVIL_TIME) {
        when.hour = whole >> 12 > 838 ? 839 : (unsigned)(whole >> 12); /* 839 is refused when printed */
    } else {
        when.hour = (unsigned)(whole >> 12 & 31);
        when.day = date & 31;
        when.month = (unsigned)((date >> 5) % 13);
        when.year = (unsigned)((date >> 5) / 13);
    }
    size_t len = gf_civil_text(text + 1, form, &when, 6);

    text[1 + len] = '"';
    gf_buf_add(out, text, len + 2);
    return len > 0;
}

/* The server breaks base64 into lines of 76, and then prints each break as JSON must: \n. */
static void put_base64(gf_buf *out, gf_slice data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned column = 0;

    for (size_t i = 0; i < data.len; i += 3) {
        size_t have = data.len - i;
        unsigned v = (unsigned)data.data[i] << 16 | (have > 1 ? (unsigned)data.data[i + 1] << 8 : 0) |
                     (have > 2 ? data.data[i + 2] : 0);
        char group[4] = {digits[v >> 18], digits[v >> 12 & 63], have > 1 ? digits[v >> 6 & 63] : '=',
                         have > 2 ? digits[v & 63] : '='};

        if (column == 76) {
            gf_buf_add(out, "\\n", 2);
            column = 0;
        }
        gf_buf_add(out, group, sizeof group);
        column += 4;
    }
}

static bool put_opaque(printer *p, gf_cursor *at)
{
    static const uint8_t marks[256] = {
        [OPAQUE_TIMESTAMP] = GF_JSON_TIMESTAMP, [OPAQUE_DATE] = GF_JSON_DATE,       [OPAQUE_TIME] = GF_JSON_TIME,
        [OPAQUE_DATETIME] = GF_JSON_DATETIME,   [OPAQUE_DECIMAL] = GF_JSON_DECIMAL,
    };
    uint8_t type = gf_cursor_u8(at);
    gf_slice data = take_sized(at);

    if (at->bad)
        return false;
    put_mark(p, marks[type] != 0 ? marks[type] : GF_JSON_OPAQUE);
    if (type == OPAQUE_DECIMAL)
        return put_opaque_decimal(p->out, data);
    if (marks[type] != 0)
        return put_opaque_civil(p->out, data, type);
    gf_buf_printf(p->out, "\"base64:type%u:", type);
    put_base64(p->out, data);
    gf_buf_byte(p->out, '"');
    return true;
}

/* ---- arrays and objects ---- */

/* `at` stands on count: all that the container holds lies between it and its size. */
typedef struct {
    gf_cursor all;     /* from count on */
    gf_cursor keys;    /* key entries; objects only */
    gf_cursor entries; /* value entries */
    unsigned width;    /* of offsets: 2 or 4 */
    uint64_t count;
} container;

static bool open_container(container *c, gf_cursor at, bool object, unsigned width)
{
    *c = (container){.all = at, .width = width};
    c->count = gf_cursor_le(&at, width);
    uint64_t size = gf_cursor_le(&at, width);
    uint64_t key_bytes = object ? c->count * (width + 2) : 0;

    if (at.bad || size > gf_cursor_left(&c->all))
        return false;
    c->all.end = c->all.p + size;
    at.end = c->all.end;
    if (size < 2 * width)
        return false;
    gf_slice keys = gf_cursor_bytes(&at, (size_t)key_bytes);
    gf_slice entries = gf_cursor_bytes(&at, (size_t)(c->count * (width + 1)));

    if (at.bad)
        return false;
    c->keys = gf_cursor_of(keys.data, keys.len);
    c->entries = gf_cursor_of(entries.data, entries.len);
    return true;
}

static bool is_inline(uint8_t type, unsigned width)
{
    return type == LITERAL || type == INT16 || type == UINT16 || (width == 4 && (type == INT32 || type == UINT32));
}

static gf_cursor at_offset(const container *c, uint64_t offset)
{
    gf_cursor at = c->all;

    gf_cursor_bytes(&at, (size_t)offset);
    return at;
}

static bool put_element(printer *p, container *c, unsigned depth)
{
    uint8_t type = gf_cursor_u8(&c->entries);
    gf_cursor field = c->entries;
    uint64_t offset = gf_cursor_le(&c->entries, c->width);

    return put_value(p, type, is_inline(type, c->width) ? field : at_offset(c, offset), depth);
}

static bool put_key(gf_buf *out, container *c)
{
    uint64_t offset = gf_cursor_le(&c->keys, c->width);
    size_t len = gf_cursor_u16(&c->keys);
    gf_cursor at = at_offset(c, offset);
    gf_slice key = gf_cursor_bytes(&at, len);

    if (at.bad)
        return false;
    put_string(out, key);
    gf_buf_add(out, ": ", 2);
    return true;
}

static bool put_container(printer *p, gf_cursor at, bool object, unsigned width, unsigned depth)
{
    container c;

    if (depth == GF_JSON_DEPTH_MAX || at.bad || !open_container(&c, at, object, width))
        return false;
    gf_buf_byte(p->out, object ? '{' : '[');
    for (uint64_t i = 0; i < c.count; i++) {
        if (i > 0)
            gf_buf_add(p->out, ", ", 2);
        if ((object && !put_key(p->out, &c)) || !put_element(p, &c, depth + 1) || p->out->len > p->limit)
            return false;
    }
    gf_buf_byte(p->out, object ? '}' : ']');
    return true;
}

static bool put_scalar(printer *p, uint8_t type, gf_cursor *at)
{
    static const uint8_t sizes[] = {
        [LITERAL] = 1, [INT16] = 2, [UINT16] = 2, [INT32] = 4, [UINT32] = 4, [INT64] = 8, [UINT64] = 8, [DOUBLE] = 8};
    unsigned size = type < sizeof sizes ? sizes[type] : 0;

    if (size == 0)
        return false;
    uint64_t v = gf_cursor_le(at, size);

    if (at->bad)
        return false;
    switch (type) {
    case LITERAL: return put_literal(p->out, v);
    case DOUBLE: return put_double(p->out, v);
    case UINT16:
    case UINT32:
    case UINT64: return put_uint(p, v);
    default: return put_int(p, v, size);
    }
}

static bool put_value(printer *p, uint8_t type, gf_cursor at, unsigned depth)
{
    switch (type) {
    case SMALL_OBJECT: return put_container(p, at, true, 2, depth);
    case LARGE_OBJECT: return put_container(p, at, true, 4, depth);
    case SMALL_ARRAY: return put_container(p, at, false, 2, depth);
    case LARGE_ARRAY: return put_container(p, at, false, 4, depth);
    case OPAQUE: return put_opaque(p, &at);
    case STRING: {
        gf_slice s = take_sized(&at);

        if (!at.bad)
            put_string(p->out, s);
        return !at.bad;
    }
    default: return put_scalar(p, type, &at);
    }
}

bool gf_json_text(gf_buf *out, gf_slice binary, bool marks)
{
    /* No bytes at all: a NOT NULL column that was never given a value (IGNORE, ALTER TABLE), printed as null. */
    if (binary.len == 0)
        return put_literal(out, 0);
    printer p = {out, out->len + MAX_GROWTH * (binary.len + 8), marks};
    gf_cursor at = gf_cursor_of(binary.data, binary.len);
    uint8_t type = gf_cursor_u8(&at);

    return put_value(&p, type, at, 0);
}

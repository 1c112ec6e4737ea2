/* SPDX-License-Identifier: MIT */
/*
 * One row image: a null bitmap over the columns that are present, then the values of those that are not NULL.
 * A value's length and form follow from the table map's type code and metadata; our definition of the table adds what
 * the map does not say: signedness, padding, and how many fraction digits MariaDB's old temporal types have.
 *
 * gf_event_columns, as the table map gives it and this file expects it:
 *   types[i]  the type code, but for STRING (254): ENUM (247) or SET (248) where that is its real type
 *   meta[i]   the metadata bytes as a little-endian number, 0 where there are none; for ENUM and SET the pack
 *             length, for other STRINGs the maximum length in bytes (both already taken apart, see below)
 *
 * STRING's two metadata bytes: the first is the real type, 247 or 248, and the second the pack length; else the
 * length is `second | ((first & 0x30) ^ 0x30) << 4`.
 *
 * Readers are chosen by the event's type code alone and safe for any combination with a column, so that even a table
 * map that gf_rowimage_check never saw cannot make one read past the row.
 */
#include "gfreplica/decoder.h"

#include <zlib.h>

#include "packed.h"

enum {
    WIRE_TINY = 1,
    WIRE_SHORT = 2,
    WIRE_LONG = 3,
    WIRE_FLOAT = 4,
    WIRE_DOUBLE = 5,
    WIRE_TIMESTAMP_OLD = 7,
    WIRE_LONGLONG = 8,
    WIRE_INT24 = 9,
    WIRE_DATE = 10,
    WIRE_TIME_OLD = 11,
    WIRE_DATETIME_OLD = 12,
    WIRE_YEAR = 13,
    WIRE_NEWDATE = 14,
    WIRE_VARCHAR = 15,
    WIRE_BIT = 16,
    WIRE_TIMESTAMP2 = 17,
    WIRE_DATETIME2 = 18,
    WIRE_TIME2 = 19,
    WIRE_BLOB_COMPRESSED = 140,
    WIRE_VARCHAR_COMPRESSED = 141,
    WIRE_VECTOR = 242,
    WIRE_JSON = 245,
    WIRE_NEWDECIMAL = 246,
    WIRE_ENUM = 247,
    WIRE_SET = 248,
    WIRE_BLOB = 252,
    WIRE_VAR_STRING = 253,
    WIRE_STRING = 254,
    WIRE_GEOMETRY = 255
};

/* What a reader knows of the value that it reads. */
typedef struct {
    const gf_column *col;
    uint8_t wire;
    unsigned meta;
    gf_arena *arena;
} field;

/* False, or in->bad, when the bytes are no value of that type. */
typedef bool reader(gf_value *out, gf_cursor *in, const field *f);

static gf_value text_value(gf_value_kind kind, const field *f, const char *text, size_t len)
{
    return (gf_value){.kind = kind, .bytes = gf_arena_copy(f->arena, text, len)};
}

static bool set_bytes(gf_value *out, gf_slice bytes)
{
    *out = (gf_value){.kind = GF_V_BYTES, .bytes = bytes};
    return true;
}

/* ---- numbers ---- */

static bool read_int(gf_value *out, gf_cursor *in, const field *f)
{
    static const uint8_t sizes[] = {
        [WIRE_TINY] = 1, [WIRE_SHORT] = 2, [WIRE_LONG] = 4, [WIRE_LONGLONG] = 8, [WIRE_INT24] = 3};
    unsigned size = sizes[f->wire], unused = 64 - 8 * size;
    uint64_t v = gf_cursor_le(in, size);

    if (f->col->is_unsigned)
        *out = (gf_value){.kind = GF_V_UINT, .u = v};
    else /* the sign bit to the top and back spreads it */
        *out = (gf_value){.kind = GF_V_INT, .i = (int64_t)(v << unused) >> unused};
    return true;
}

static bool read_year(gf_value *out, gf_cursor *in, const field *f)
{
    uint8_t v = gf_cursor_u8(in);

    (void)f;
    *out = (gf_value){.kind = GF_V_UINT, .u = v == 0 ? 0 : 1900u + v};
    return true;
}

static bool read_float(gf_value *out, gf_cursor *in, const field *f)
{
    uint32_t bits = gf_cursor_u32(in);
    float v;

    (void)f;
    memcpy(&v, &bits, sizeof v);
    *out = (gf_value){.kind = GF_V_DOUBLE, .d = (double)v};
    return true;
}

static bool read_double(gf_value *out, gf_cursor *in, const field *f)
{
    uint64_t bits = gf_cursor_u64(in);

    (void)f;
    *out = (gf_value){.kind = GF_V_DOUBLE};
    memcpy(&out->d, &bits, sizeof bits);
    return true;
}

static bool read_decimal(gf_value *out, gf_cursor *in, const field *f)
{
    enum { COLUMN_PRECISION_MAX = 65 };
    unsigned precision = f->meta & 0xff, scale = f->meta >> 8;
    size_t size = precision <= COLUMN_PRECISION_MAX ? gf_decimal_size(precision, scale) : 0;
    gf_slice packed = gf_cursor_bytes(in, size);
    char text[GF_DECIMAL_TEXT_MAX];

    if (size == 0 || packed.len != size)
        return false;
    size_t len = gf_decimal_text(text, packed.data, precision, scale);

    *out = text_value(GF_V_NUMBER, f, text, len);
    return len > 0;
}

static unsigned bit_count(unsigned meta)
{
    return (meta >> 8) * 8 + (meta & 0xff);
}

static bool read_bit(gf_value *out, gf_cursor *in, const field *f)
{
    unsigned bits = bit_count(f->meta);

    return bits >= 1 && bits <= 64 && set_bytes(out, gf_cursor_bytes(in, (bits + 7) / 8));
}

static bool read_member(gf_value *out, gf_cursor *in, const field *f)
{
    unsigned size = f->meta;

    if (size < 1 || size > 8)
        return false;
    *out = (gf_value){.kind = GF_V_UINT, .u = gf_cursor_le(in, size)};
    return true;
}

/* ---- dates and times ---- */

static bool set_civil(gf_value *out, const field *f, gf_civil_form form, const gf_civil *when, unsigned fsp)
{
    char text[GF_CIVIL_TEXT_MAX];
    size_t len = gf_civil_text(text, form, when, fsp);

    *out = text_value(GF_V_TEMPORAL, f, text, len);
    return len > 0;
}

static unsigned power10(unsigned n)
{
    static const unsigned powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

    return powers[n];
}

/* The fraction behind a TIMESTAMP2 or DATETIME2, in units of 10^-(2 * bytes). */
static unsigned read_fraction(gf_cursor *in, unsigned fsp)
{
    unsigned bytes = (fsp + 1) / 2;

    return bytes == 0 ? 0 : (unsigned)gf_cursor_be(in, bytes) * power10(6 - 2 * bytes);
}

static bool read_date(gf_value *out, gf_cursor *in, const field *f)
{
    unsigned v = (unsigned)gf_cursor_le(in, 3);
    gf_civil when = {.year = v >> 9, .month = v >> 5 & 15, .day = v & 31};

    return set_civil(out, f, GF_CIVIL_DATE, &when, 0);
}

static bool read_datetime2(gf_value *out, gf_cursor *in, const field *f)
{
    uint64_t v = gf_cursor_be(in, 5);
    unsigned months = (unsigned)(v >> 22 & 0x1ffff);

    if (f->meta > 6 || v < 0x8000000000u) /* below are negative ones, which no DATETIME is */
        return false;
    gf_civil when = {.year = months / 13,
                     .month = months % 13,
                     .day = v >> 17 & 31,
                     .hour = v >> 12 & 31,
                     .minute = v >> 6 & 63,
                     .second = v & 63};

    when.micro = read_fraction(in, f->meta);
    return set_civil(out, f, GF_CIVIL_DATETIME, &when, f->meta);
}

static bool read_timestamp2(gf_value *out, gf_cursor *in, const field *f)
{
    gf_civil when = {0};

    if (f->meta > 6)
        return false;
    gf_civil_of_unix(&when, gf_cursor_be(in, 4));
    when.micro = read_fraction(in, f->meta);
    return set_civil(out, f, GF_CIVIL_DATETIME, &when, f->meta);
}

/* Integer part and fraction are one number: -0.1 s is 7f ff ff f6, which read apart would be -1 s and something. */
static bool read_time2(gf_value *out, gf_cursor *in, const field *f)
{
    if (f->meta > 6)
        return false;
    unsigned fraction_bytes = (f->meta + 1) / 2, shift = 8 * fraction_bytes;
    int64_t v = (int64_t)gf_cursor_be(in, 3 + fraction_bytes) - (INT64_C(0x800000) << shift);
    uint64_t size = v < 0 ? (uint64_t)-v : (uint64_t)v, whole = size >> shift;
    gf_civil when = {
        .negative = v < 0, .hour = (unsigned)(whole >> 12), .minute = whole >> 6 & 63, .second = whole & 63};

    when.micro = (unsigned)(size & ((UINT64_C(1) << shift) - 1)) * power10(6 - 2 * fraction_bytes);
    return set_civil(out, f, GF_CIVIL_TIME, &when, f->meta);
}

/*
 * MariaDB's temporal types from before 5.6 (tables made with mysql56_temporal_format=OFF, or upgraded). They have no
 * metadata: length and fraction digits follow from the definition. Values with a fraction count 10^-fsp seconds.
 */
static bool read_timestamp_old(gf_value *out, gf_cursor *in, const field *f)
{
    static const uint8_t fraction_bytes[] = {0, 1, 1, 2, 2, 3, 3};
    unsigned fsp = f->col->fsp;
    gf_civil when = {0};

    if (fsp > 6)
        return false;
    gf_civil_of_unix(&when, fsp == 0 ? gf_cursor_le(in, 4) : gf_cursor_be(in, 4));
    if (fsp > 0)
        when.micro = (unsigned)gf_cursor_be(in, fraction_bytes[fsp]) * power10(6 - fsp);
    return set_civil(out, f, GF_CIVIL_DATETIME, &when, fsp);
}

/* Takes the fraction and hour, minute, second off the low end of a count of 10^-fsp seconds; returns the rest. */
static uint64_t take_clock(gf_civil *when, uint64_t units, unsigned fsp, unsigned hours)
{
    when->micro = (unsigned)(units % power10(fsp)) * power10(6 - fsp);
    units /= power10(fsp);
    when->second = (unsigned)(units % 60);
    when->minute = (unsigned)(units / 60 % 60);
    when->hour = (unsigned)(units / 3600 % hours);
    return units / 3600 / hours;
}

static bool read_time_old(gf_value *out, gf_cursor *in, const field *f)
{
    static const uint8_t bytes[] = {3, 4, 4, 5, 5, 5, 6};
    unsigned fsp = f->col->fsp;
    gf_civil when = {0};

    if (fsp > 6)
        return false;
    if (fsp == 0) { /* HHMMSS as a signed decimal number */
        int32_t v = (int32_t)((uint32_t)gf_cursor_le(in, 3) << 8) >> 8;
        unsigned size = (unsigned)(v < 0 ? -v : v);

        when = (gf_civil){.negative = v < 0, .hour = size / 10000, .minute = size / 100 % 100, .second = size % 100};
        return set_civil(out, f, GF_CIVIL_TIME, &when, 0);
    }
    int64_t zero = INT64_C(3020400) * power10(fsp); /* 838:59:59 and one second */
    int64_t v = (int64_t)gf_cursor_be(in, bytes[fsp]) - zero;

    when.negative = v < 0;
    return take_clock(&when, (uint64_t)(v < 0 ? -v : v), fsp, 1000) == 0 &&
           set_civil(out, f, GF_CIVIL_TIME, &when, fsp);
}

static bool read_datetime_old(gf_value *out, gf_cursor *in, const field *f)
{
    static const uint8_t bytes[] = {8, 6, 6, 7, 7, 7, 8};
    unsigned fsp = f->col->fsp;
    gf_civil when = {0};

    if (fsp > 6)
        return false;
    if (fsp == 0) { /* YYYYMMDDhhmmss as a decimal number */
        uint64_t v = gf_cursor_le(in, 8), date = v / 1000000;

        if (date > 99991231)
            return false;
        when = (gf_civil){.year = (unsigned)(date / 10000),
                          .month = (unsigned)(date / 100 % 100),
                          .day = (unsigned)(date % 100),
                          .hour = (unsigned)(v / 10000 % 100),
                          .minute = (unsigned)(v / 100 % 100),
                          .second = (unsigned)(v % 100)};
        return set_civil(out, f, GF_CIVIL_DATETIME, &when, 0);
    }
    uint64_t days = take_clock(&when, gf_cursor_be(in, bytes[fsp]), fsp, 24);

    when.day = (unsigned)(days % 32);
    when.month = (unsigned)(days / 32 % 13);
    when.year = (unsigned)(days / 32 / 13 > 9999 ? 10000 : days / 32 / 13);
    return set_civil(out, f, GF_CIVIL_DATETIME, &when, fsp);
}

/* ---- strings ---- */

static bool is_padded(gf_type type)
{
    return type == GF_T_BINARY || type == GF_T_INET4 || type == GF_T_INET6 || type == GF_T_UUID;
}

/* The servers cut trailing 00 bytes off what has a fixed length. */
static bool set_padded(gf_value *out, const field *f, gf_slice bytes)
{
    uint8_t *all = gf_arena_alloc(f->arena, f->meta);

    if (bytes.len > 0)
        memcpy(all, bytes.data, bytes.len);
    memset(all + bytes.len, 0, f->meta - bytes.len);
    return set_bytes(out, gf_slice_of(all, f->meta));
}

static bool read_string(gf_value *out, gf_cursor *in, const field *f)
{
    /* The declared maximum decides the size of the length, not the length itself. */
    size_t len = (size_t)gf_cursor_le(in, f->meta > 255 ? 2 : 1);
    gf_slice bytes = gf_cursor_bytes(in, len);

    if (len > f->meta)
        return false;
    if (is_padded(f->col->type) && bytes.len < f->meta)
        return set_padded(out, f, bytes);
    return set_bytes(out, bytes);
}

static bool read_blob(gf_value *out, gf_cursor *in, const field *f)
{
    if (f->meta < 1 || f->meta > 4)
        return false;
    return set_bytes(out, gf_cursor_bytes(in, (size_t)gf_cursor_le(in, f->meta)));
}

static bool read_json(gf_value *out, gf_cursor *in, const field *f)
{
    gf_value binary;
    gf_buf text = {0};
    bool ok = read_blob(&binary, in, f) && !in->bad && gf_json_text(&text, binary.bytes, f->col->json_types);

    if (ok)
        *out = (gf_value){.kind = GF_V_JSON, .bytes = gf_arena_copy(f->arena, text.data, text.len)};
    gf_buf_free(&text);
    return ok;
}

static bool inflate_into(uint8_t *out, size_t out_len, gf_slice packed, bool raw)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.data, .next_out = out};

    if (packed.len > UINT32_MAX || out_len > UINT32_MAX || inflateInit2(&z, raw ? -MAX_WBITS : MAX_WBITS) != Z_OK)
        return false;
    z.avail_in = (uInt)packed.len;
    z.avail_out = (uInt)out_len;
    bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;

    inflateEnd(&z);
    return ok;
}

/*
 * A value of MariaDB's COMPRESSED columns: nothing is ''; else a byte, 0 = plain bytes follow, or 0x80 (zlib) + 8
 * (no zlib header) + n, then n bytes big-endian length, then the deflate stream.
 */
static bool unpack(gf_value *out, gf_slice stored, gf_arena *arena)
{
    if (stored.len == 0)
        return set_bytes(out, stored);
    gf_cursor in = gf_cursor_of(stored.data, stored.len);
    uint8_t head = gf_cursor_u8(&in);

    if (head == 0)
        return set_bytes(out, gf_cursor_bytes(&in, gf_cursor_left(&in)));
    unsigned size = head & 7;

    if ((head & 0xf0) != 0x80 || size < 1 || size > 4)
        return false;
    size_t len = (size_t)gf_cursor_be(&in, size), left = gf_cursor_left(&in);

    /* deflate gains at most 1032:1, so a larger length is a lie and not worth its memory */
    if (in.bad || len / 1032 > left)
        return false;
    uint8_t *data = gf_arena_alloc(arena, len);

    return inflate_into(data, len, gf_cursor_bytes(&in, left), (head & 8) != 0) &&
           set_bytes(out, gf_slice_of(data, len));
}

static bool read_compressed(gf_value *out, gf_cursor *in, const field *f)
{
    gf_value stored;
    bool blob = f->wire == WIRE_BLOB_COMPRESSED;

    return (blob ? read_blob : read_string)(&stored, in, f) && !in->bad && unpack(out, stored.bytes, f->arena);
}

static reader *const readers[256] = {
    /* empty slot: no type that a binlog has */
    [WIRE_TINY] = read_int,
    [WIRE_SHORT] = read_int,
    [WIRE_INT24] = read_int,
    [WIRE_LONG] = read_int,
    [WIRE_LONGLONG] = read_int,
    [WIRE_YEAR] = read_year,
    [WIRE_FLOAT] = read_float,
    [WIRE_DOUBLE] = read_double,
    [WIRE_NEWDECIMAL] = read_decimal,
    [WIRE_BIT] = read_bit,
    [WIRE_ENUM] = read_member,
    [WIRE_SET] = read_member,
    [WIRE_DATE] = read_date,
    [WIRE_NEWDATE] = read_date,
    [WIRE_TIME2] = read_time2,
    [WIRE_DATETIME2] = read_datetime2,
    [WIRE_TIMESTAMP2] = read_timestamp2,
    [WIRE_TIME_OLD] = read_time_old,
    [WIRE_DATETIME_OLD] = read_datetime_old,
    [WIRE_TIMESTAMP_OLD] = read_timestamp_old,
    [WIRE_VARCHAR] = read_string,
    [WIRE_VAR_STRING] = read_string,
    [WIRE_STRING] = read_string,
    [WIRE_BLOB] = read_blob,
    [WIRE_GEOMETRY] = read_blob,
    [WIRE_VECTOR] = read_blob,
    [WIRE_JSON] = read_json,
    [WIRE_BLOB_COMPRESSED] = read_compressed,
    [WIRE_VARCHAR_COMPRESSED] = read_compressed,
};

/* ---- the row ---- */

static bool bit_set(const uint8_t *bitmap, unsigned i)
{
    return (bitmap[i / 8] >> (i % 8) & 1) != 0;
}

static bool read_field(gf_value *out, gf_cursor *in, const field *f, const gf_table *t, gf_error *err)
{
    reader *read = readers[f->wire];

    if (read != NULL && read(out, in, f) && !in->bad)
        return true;
    *out = (gf_value){.kind = GF_V_NULL};
    if (in->bad)
        return gf_fail(err, GF_ERR_DATA, "row of %s ends within column %s", t->label, f->col->name);
    return gf_fail(err, GF_ERR_DATA, "row of %s: column %s holds no value of its type (type code %u, metadata %u)",
                   t->label, f->col->name, f->wire, f->meta);
}

/* Column i of the event. MariaDB's hash columns come behind the table's own; they are read and forgotten. */
static const gf_column *column_at(const gf_table *t, unsigned i)
{
    static char hidden_name[] = "DB_ROW_HASH";
    static const gf_column hidden = {.name = hidden_name, .type = GF_T_LONGLONG, .is_unsigned = true};

    return i < t->column_count ? &t->columns[i] : &hidden;
}

static unsigned count_present(const uint8_t *present, unsigned count)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++) /* bit by bit: bits beyond the last column may be set */
        n += bit_set(present, i);
    return n;
}

bool gf_rowimage_read(gf_value *row, gf_cursor *in, const gf_table *t, const gf_event_columns *cols,
                      const uint8_t *present, gf_arena *arena, gf_error *err)
{
    gf_slice nulls = gf_cursor_bytes(in, (count_present(present, cols->count) + 7) / 8);
    unsigned seen = 0;

    if (in->bad)
        return gf_fail(err, GF_ERR_DATA, "row of %s ends within its null bitmap", t->label);
    for (unsigned i = 0; i < t->column_count; i++)
        row[i] = (gf_value){.kind = GF_V_ABSENT};
    for (unsigned i = 0; i < cols->count; i++) {
        field f = {column_at(t, i), cols->types[i], cols->meta[i], arena};
        gf_value forgotten, *out = i < t->column_count ? &row[i] : &forgotten;

        if (!bit_set(present, i))
            continue;
        if (bit_set(nulls.data, seen++))
            *out = (gf_value){.kind = GF_V_NULL};
        else if (!read_field(out, in, &f, t, err))
            return false;
    }
    return true;
}

/* ---- does the table map fit? ---- */

typedef bool meta_check(const gf_column *col, unsigned meta);

static bool check_decimal(const gf_column *col, unsigned meta)
{
    return meta == (col->precision | col->scale << 8);
}

static bool check_fsp(const gf_column *col, unsigned meta)
{
    return meta == col->fsp;
}

static bool check_old(const gf_column *col, unsigned meta)
{
    return meta == 0 && col->fsp <= 6;
}

static bool check_bit(const gf_column *col, unsigned meta)
{
    return bit_count(meta) == col->bits;
}

static bool check_length(const gf_column *col, unsigned meta)
{
    return meta == col->char_bytes;
}

static bool check_compressed_length(const gf_column *col, unsigned meta)
{
    return meta == col->char_bytes + 1; /* room for the first byte of the stored form */
}

static bool check_blob(const gf_column *col, unsigned meta)
{
    uint64_t n = col->char_bytes;

    return meta == (n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffff ? 3 : 4);
}

static bool check_enum(const gf_column *col, unsigned meta)
{
    return meta == (col->member_count < 256 ? 1 : 2);
}

static bool check_set(const gf_column *col, unsigned meta)
{
    unsigned bytes = (col->member_count + 7) / 8;

    return meta == (bytes > 4 ? 8 : bytes);
}

static bool check_4(const gf_column *col, unsigned meta)
{
    (void)col;
    return meta == 4;
}

static bool check_8(const gf_column *col, unsigned meta)
{
    (void)col;
    return meta == 8;
}

static bool check_16(const gf_column *col, unsigned meta)
{
    (void)col;
    return meta == 16;
}

/* The forms in which each type may come; no check where there is no metadata. */
static const struct {
    gf_type type;
    uint8_t wire;
    meta_check *check;
} forms[] = {
    {GF_T_TINY, WIRE_TINY, NULL},
    {GF_T_SHORT, WIRE_SHORT, NULL},
    {GF_T_MEDIUM, WIRE_INT24, NULL},
    {GF_T_LONG, WIRE_LONG, NULL},
    {GF_T_LONGLONG, WIRE_LONGLONG, NULL},
    {GF_T_YEAR, WIRE_YEAR, NULL},
    {GF_T_BIT, WIRE_BIT, check_bit},
    {GF_T_DECIMAL, WIRE_NEWDECIMAL, check_decimal},
    {GF_T_FLOAT, WIRE_FLOAT, check_4},
    {GF_T_DOUBLE, WIRE_DOUBLE, check_8},
    {GF_T_DATE, WIRE_DATE, NULL},
    {GF_T_DATE, WIRE_NEWDATE, NULL},
    {GF_T_TIME, WIRE_TIME2, check_fsp},
    {GF_T_TIME, WIRE_TIME_OLD, check_old},
    {GF_T_DATETIME, WIRE_DATETIME2, check_fsp},
    {GF_T_DATETIME, WIRE_DATETIME_OLD, check_old},
    {GF_T_TIMESTAMP, WIRE_TIMESTAMP2, check_fsp},
    {GF_T_TIMESTAMP, WIRE_TIMESTAMP_OLD, check_old},
    {GF_T_CHAR, WIRE_STRING, check_length},
    {GF_T_BINARY, WIRE_STRING, check_length},
    {GF_T_VARCHAR, WIRE_VARCHAR, check_length},
    {GF_T_VARCHAR, WIRE_VAR_STRING, check_length},
    {GF_T_VARCHAR, WIRE_VARCHAR_COMPRESSED, check_compressed_length},
    {GF_T_VARBINARY, WIRE_VARCHAR, check_length},
    {GF_T_VARBINARY, WIRE_VAR_STRING, check_length},
    {GF_T_VARBINARY, WIRE_VARCHAR_COMPRESSED, check_compressed_length},
    {GF_T_TEXT, WIRE_BLOB, check_blob},
    {GF_T_TEXT, WIRE_BLOB_COMPRESSED, check_blob},
    {GF_T_BLOB, WIRE_BLOB, check_blob},
    {GF_T_BLOB, WIRE_BLOB_COMPRESSED, check_blob},
    {GF_T_ENUM, WIRE_ENUM, check_enum},
    {GF_T_SET, WIRE_SET, check_set},
    {GF_T_JSON, WIRE_JSON, check_4},
    {GF_T_GEOMETRY, WIRE_GEOMETRY, check_4},
    {GF_T_VECTOR, WIRE_VECTOR, check_4},
    {GF_T_VECTOR, WIRE_VARCHAR, NULL}, /* MariaDB: 4 bytes a dimension; the map is the only one to know how many */
    {GF_T_INET4, WIRE_STRING, check_4},
    {GF_T_INET6, WIRE_STRING, check_16},
    {GF_T_UUID, WIRE_STRING, check_16},
};

static bool column_fits(const gf_column *col, uint8_t wire, unsigned meta)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].type == col->type && forms[i].wire == wire)
            return forms[i].check == NULL || forms[i].check(col, meta);
    return false;
}

bool gf_rowimage_check(const gf_table *t, const gf_event_columns *cols, gf_error *err)
{
    unsigned expected = t->column_count + t->hidden_columns;

    for (unsigned i = 0; i < cols->count && i < t->column_count; i++) {
        const gf_column *col = &t->columns[i];

        if (!column_fits(col, cols->types[i], cols->meta[i]))
            return gf_fail(err, GF_ERR_DATA,
                           "table %s has changed: column %s is %s in the definition that we know, but comes with type "
                           "code %u, metadata %u in the binlog",
                           t->label, col->name, col->type_text, cols->types[i], cols->meta[i]);
    }
    if (cols->count == expected)
        return true;
    return gf_fail(err, GF_ERR_DATA,
                   "table %s has changed: %u columns in the definition that we know, %u in the binlog", t->label,
                   expected, cols->count);
}

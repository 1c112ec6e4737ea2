/* SPDX-License-Identifier: MIT */
/*
 * rows.c - TABLE_MAP and rows events taken apart; the row images themselves are rowimage.c's.
 */
#include "event.h"

enum { TABLE_ID_BYTES = 6 };

/* ---- TABLE_MAP ---- */

static gf_slice counted_name(gf_cursor *in)
{
    gf_slice name = gf_cursor_bytes(in, gf_cursor_u8(in));

    /* A NUL inside would make two names of it. */
    if (gf_cursor_u8(in) != 0 || (name.len > 0 && memchr(name.data, '\0', name.len) != NULL))
        in->bad = true;
    return name;
}

bool gf_event_table_map(gf_ev_table_map *out, const gf_event *ev)
{
    gf_cursor in = gf_cursor_of(ev->body.data, ev->body.len);
    uint64_t columns;

    out->id = gf_cursor_le(&in, TABLE_ID_BYTES);
    gf_cursor_u16(&in); /* flags */
    out->db = counted_name(&in);
    out->table = counted_name(&in);
    columns = gf_cursor_lenenc(&in);
    if (in.bad || columns > gf_cursor_left(&in))
        return false;
    out->columns = (uint32_t)columns;
    out->types = gf_cursor_bytes(&in, columns);
    out->metadata = gf_cursor_bytes(&in, gf_cursor_lenenc(&in));
    gf_cursor_bytes(&in, (columns + 7) / 8); /* which columns may be NULL; optional metadata behind it */
    return !in.bad;
}

/* Bytes of metadata by type code; types that are not listed have none. */
static const uint8_t meta_bytes[256] = {
    [4] = 1,   /* FLOAT */
    [5] = 1,   /* DOUBLE */
    [15] = 2,  /* VARCHAR */
    [16] = 2,  /* BIT */
    [17] = 1,  /* TIMESTAMP2 */
    [18] = 1,  /* DATETIME2 */
    [19] = 1,  /* TIME2 */
    [140] = 1, /* MariaDB's compressed BLOB */
    [141] = 2, /* and VARCHAR */
    [242] = 1, /* VECTOR */
    [245] = 1, /* JSON */
    [246] = 2, /* NEWDECIMAL */
    [247] = 2, /* ENUM */
    [248] = 2, /* SET */
    [249] = 1, /* TINY_BLOB */
    [250] = 1, /* MEDIUM_BLOB */
    [251] = 1, /* LONG_BLOB */
    [252] = 1, /* BLOB */
    [253] = 2, /* VAR_STRING */
    [254] = 2, /* STRING */
    [255] = 1, /* GEOMETRY */
};

enum { TYPE_ENUM = 247, TYPE_SET = 248, TYPE_STRING = 254 };

/* STRING's two bytes: the real type and its pack length, or a length whose upper bits hide in the first byte. */
static void split_string(uint8_t *type, uint16_t *meta)
{
    unsigned first = *meta & 0xff, second = *meta >> 8;

    if (first == TYPE_ENUM || first == TYPE_SET) {
        *type = (uint8_t)first;
        *meta = (uint16_t)second;
    } else {
        *meta = (uint16_t)(second | ((first & 0x30) ^ 0x30) << 4);
    }
}

bool gf_event_columns_read(gf_event_columns *out, const gf_ev_table_map *map, gf_arena *arena)
{
    gf_cursor in = gf_cursor_of(map->metadata.data, map->metadata.len);

    out->count = map->columns;
    out->types = gf_arena_alloc(arena, map->columns);
    out->meta = gf_arena_alloc(arena, map->columns * sizeof *out->meta);
    for (uint32_t i = 0; i < map->columns; i++) {
        unsigned bytes;

        out->types[i] = map->types.data[i];
        bytes = meta_bytes[out->types[i]];
        out->meta[i] = bytes == 0 ? 0 : (uint16_t)gf_cursor_le(&in, bytes);
        if (out->types[i] == TYPE_STRING)
            split_string(&out->types[i], &out->meta[i]);
    }
    return !in.bad && gf_cursor_left(&in) == 0;
}

/* ---- rows ---- */

static const struct {
    gf_op op;
    bool v2, compressed, partial;
} kinds[256] = {
    [GF_EV_WRITE_ROWS_V1] = {GF_OP_INSERT, false, false, false},
    [GF_EV_UPDATE_ROWS_V1] = {GF_OP_UPDATE, false, false, false},
    [GF_EV_DELETE_ROWS_V1] = {GF_OP_DELETE, false, false, false},
    [GF_EV_WRITE_ROWS] = {GF_OP_INSERT, true, false, false},
    [GF_EV_UPDATE_ROWS] = {GF_OP_UPDATE, true, false, false},
    [GF_EV_DELETE_ROWS] = {GF_OP_DELETE, true, false, false},
    [GF_EV_PARTIAL_UPDATE_ROWS] = {GF_OP_UPDATE, true, false, true},
    [GF_EV_MARIA_WRITE_COMPRESSED_V1] = {GF_OP_INSERT, false, true, false},
    [GF_EV_MARIA_UPDATE_COMPRESSED_V1] = {GF_OP_UPDATE, false, true, false},
    [GF_EV_MARIA_DELETE_COMPRESSED_V1] = {GF_OP_DELETE, false, true, false},
    [GF_EV_MARIA_WRITE_COMPRESSED] = {GF_OP_INSERT, true, true, false},
    [GF_EV_MARIA_UPDATE_COMPRESSED] = {GF_OP_UPDATE, true, true, false},
    [GF_EV_MARIA_DELETE_COMPRESSED] = {GF_OP_DELETE, true, true, false},
};

bool gf_event_is_rows(uint8_t type)
{
    return kinds[type].op != 0;
}

static bool read_bitmaps(gf_ev_rows *out, gf_cursor *in)
{
    uint64_t columns = gf_cursor_lenenc(in);
    gf_slice first;

    if (in->bad || columns / 8 > gf_cursor_left(in))
        return false;
    out->columns = (uint32_t)columns;
    first = gf_cursor_bytes(in, (columns + 7) / 8);
    if (out->op != GF_OP_INSERT)
        out->before = first;
    if (out->op == GF_OP_INSERT)
        out->after = first;
    if (out->op == GF_OP_UPDATE)
        out->after = gf_cursor_bytes(in, (columns + 7) / 8);
    return !in->bad;
}

bool gf_event_rows(gf_ev_rows *out, const gf_event *ev)
{
    gf_cursor in = gf_cursor_of(ev->body.data, ev->body.len);

    memset(out, 0, sizeof *out);
    out->op = kinds[ev->type].op;
    out->compressed = kinds[ev->type].compressed;
    out->partial = kinds[ev->type].partial;
    out->table_id = gf_cursor_le(&in, TABLE_ID_BYTES);
    out->flags = gf_cursor_u16(&in);
    if (kinds[ev->type].v2) {
        uint16_t extra = gf_cursor_u16(&in); /* counts its own two bytes; partition numbers */

        if (extra < 2)
            return false;
        gf_cursor_bytes(&in, extra - 2U);
    }
    if (in.bad || !read_bitmaps(out, &in))
        return false;
    out->rows = gf_slice_of(in.p, gf_cursor_left(&in));
    return true;
}

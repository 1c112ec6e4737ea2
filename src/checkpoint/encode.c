/* SPDX-License-Identifier: MIT */
/*
 * encode.c - state to msgpack, driven by the shapes. Specification: the msgpack format description, 2013 (str and bin).
 */
#include <msgpack.h>

#include "pack.h"
#include "shape.h"

static int append(void *buf, const char *data, size_t len)
{
    gf_buf_add(buf, data, len);
    return 0;
}

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void pack_map(msgpack_packer *pk, const gf_shape *shape, const void *base);

static void pack_strings(msgpack_packer *pk, const gf_field *f, const void *base)
{
    char *const *items = *(char **const *)(const void *)((const char *)base + f->offset);
    size_t count = gf_field_count_of(f, base);

    msgpack_pack_array(pk, count);
    for (size_t i = 0; i < count; i++)
        pack_text(pk, items[i]);
}

static void pack_list(msgpack_packer *pk, const gf_field *f, const void *base)
{
    const char *items = *(const char *const *)(const void *)((const char *)base + f->offset);
    size_t count = gf_field_count_of(f, base);

    msgpack_pack_array(pk, count);
    for (size_t i = 0; i < count; i++)
        pack_map(pk, f->shape, items + i * f->size);
}

static void pack_bytes(msgpack_packer *pk, const gf_buf *b)
{
    msgpack_pack_bin_with_body(pk, b->data, b->len);
}

static void pack_value(msgpack_packer *pk, const gf_field *f, const void *base)
{
    const void *at = (const char *)base + f->offset;

    switch (f->kind) {
    case F_BOOL: *(const bool *)at ? msgpack_pack_true(pk) : msgpack_pack_false(pk); break;
    case F_INT: msgpack_pack_int(pk, *(const int *)at); break;
    case F_UINT: msgpack_pack_unsigned_int(pk, *(const unsigned *)at); break;
    case F_U64: msgpack_pack_uint64(pk, *(const uint64_t *)at); break;
    case F_DOUBLE: msgpack_pack_double(pk, *(const double *)at); break;
    case F_TEXT: pack_text(pk, at); break;
    case F_STRING: pack_text(pk, *(char *const *)at); break;
    case F_BYTES: pack_bytes(pk, at); break;
    case F_ENUM: pack_text(pk, f->names[*(const unsigned *)at]); break;
    case F_STRINGS: pack_strings(pk, f, base); break;
    case F_LIST: pack_list(pk, f, base); break;
    case F_OBJECT: pack_map(pk, f->shape, base); break;
    case F_TABLE: pack_map(pk, f->shape, *(gf_table *const *)at); break;
    }
}

static void pack_map(msgpack_packer *pk, const gf_shape *shape, const void *base)
{
    size_t present = 0;

    for (size_t i = 0; i < shape->count; i++)
        present += gf_field_is_zero(&shape->fields[i], base) ? 0 : 1;
    msgpack_pack_map(pk, present);
    for (size_t i = 0; i < shape->count; i++) {
        const gf_field *f = &shape->fields[i];

        if (gf_field_is_zero(f, base))
            continue;
        pack_text(pk, f->name);
        pack_value(pk, f, base);
    }
}

void gf_state_encode(gf_buf *out, const gf_state *s)
{
    msgpack_packer pk;
    gf_state_image img;

    gf_state_image_of(&img, s, true);
    img.format = GF_STATE_FORMAT;
    msgpack_packer_init(&pk, out, append);
    pack_map(&pk, &gf_state_shape, &img);
    gf_state_image_forget(&img);
}

void gf_schema_encode(gf_buf *out, const gf_table *t)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, append);
    pack_map(&pk, &gf_table_shape, t);
}

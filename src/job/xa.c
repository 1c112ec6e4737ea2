/* SPDX-License-Identifier: MIT */
/*
 * xa.c - a list, and changes as bytes.
 *
 * Block: flags u8, claims u32, claim u64 each, changes u32, then per change op u8, relaxed u8 and byte strings
 * (length u32 LE): db, table, before key, after key, WHERE, tuple, and with HAS_COMPUTED what the target computes. A table that XA has prepared changes of can't be
 * altered before they are decided, so names are enough.
 */
#include "xa.h"

#include <stdlib.h>

enum { LIMIT = 64 << 20, WILD = 1, HAS_COMPUTED = 2 };

static gf_slice bytes_of(const gf_buf *b)
{
    return gf_slice_of(b->data, b->len);
}

static void add(gf_xa_store *s, gf_slice xid, gf_slice block)
{
    gf_marker_xa *x;

    s->items = gf_realloc(s->items, (s->count + 1) * sizeof *s->items);
    x = &s->items[s->count++];
    *x = (gf_marker_xa){0};
    gf_buf_slice(&x->xid, xid);
    gf_buf_slice(&x->block, block);
    s->bytes += block.len;
}

void gf_xa_load(gf_xa_store *s, const gf_marker_xa *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(s, bytes_of(&items[i].xid), bytes_of(&items[i].block));
}

static gf_marker_xa *find(const gf_xa_store *s, gf_slice xid)
{
    for (size_t i = 0; i < s->count; i++) {
        if (gf_slice_eq(bytes_of(&s->items[i].xid), xid))
            return &s->items[i];
    }
    return NULL;
}

gf_slice gf_xa_find(const gf_xa_store *s, gf_slice xid)
{
    const gf_marker_xa *x = find(s, xid);

    return x == NULL ? (gf_slice){NULL, 0} : bytes_of(&x->block);
}

void gf_xa_drop(gf_xa_store *s, gf_slice xid)
{
    gf_marker_xa *x = find(s, xid);

    if (x == NULL)
        return;
    s->bytes -= x->block.len;
    gf_buf_free(&x->xid);
    gf_buf_free(&x->block);
    *x = s->items[--s->count];
}

void gf_xa_free(gf_xa_store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        gf_buf_free(&s->items[i].xid);
        gf_buf_free(&s->items[i].block);
    }
    free(s->items);
    *s = (gf_xa_store){0};
}

/* ---- changes as bytes ---- */

static void pack_bytes(gf_buf *out, gf_slice s)
{
    gf_buf_u32(out, (uint32_t)s.len);
    gf_buf_slice(out, s);
}

static void pack_change(gf_buf *out, const gf_change *c)
{
    gf_buf_byte(out, (uint8_t)c->op);
    gf_buf_byte(out, c->relaxed);
    pack_bytes(out, gf_slice_str(c->table->db));
    pack_bytes(out, gf_slice_str(c->table->name));
    pack_bytes(out, c->before_key);
    pack_bytes(out, c->after_key);
    pack_bytes(out, c->before_where);
    pack_bytes(out, c->tuple);
    pack_bytes(out, c->computed);
}

bool gf_xa_keep(gf_xa_store *s, gf_slice xid, const gf_batch *b, size_t change, size_t claim, gf_error *err)
{
    gf_buf block = {0};

    gf_buf_byte(&block, HAS_COMPUTED | (b->wild ? WILD : 0));
    gf_buf_u32(&block, (uint32_t)(b->claim_count - claim));
    for (size_t i = claim; i < b->claim_count; i++)
        gf_buf_u64(&block, b->claims[i]);
    gf_buf_u32(&block, (uint32_t)(b->count - change));
    for (size_t i = change; i < b->count; i++)
        pack_change(&block, &b->changes[i]);
    add(s, xid, bytes_of(&block));
    gf_buf_free(&block);
    return s->bytes <= LIMIT ||
           gf_fail(err, GF_ERR_DATA, "prepared XA transactions hold more than %d MiB of changes: decide some of them",
                   LIMIT >> 20);
}

static gf_slice unpack_bytes(gf_arena *arena, gf_cursor *in)
{
    gf_slice s = gf_cursor_bytes(in, gf_cursor_u32(in));

    return s.len == 0 ? (gf_slice){NULL, 0} : gf_arena_copy(arena, s.data, s.len);
}

static bool unpack_change(gf_batch *b, gf_cursor *in, unsigned flags, gf_catalog *catalog, gf_error *err)
{
    gf_op op = (gf_op)gf_cursor_u8(in);
    bool relaxed = gf_cursor_u8(in) != 0;
    gf_slice db = gf_cursor_bytes(in, gf_cursor_u32(in)), name = gf_cursor_bytes(in, gf_cursor_u32(in));
    const gf_table *t =
        in->bad ? NULL : gf_catalog_find(catalog, (const char *)db.data, db.len, (const char *)name.data, name.len);
    gf_change *c;

    if (t == NULL)
        return gf_fail(err, GF_ERR_DATA,
                       "a prepared XA transaction's changes are of a table that is not known: %.*s.%.*s", (int)db.len,
                       (const char *)db.data, (int)name.len, (const char *)name.data);
    c = gf_batch_add(b);
    c->table = t;
    c->op = op;
    c->relaxed = relaxed;
    c->before_key = unpack_bytes(&b->arena, in);
    c->after_key = unpack_bytes(&b->arena, in);
    c->before_where = unpack_bytes(&b->arena, in);
    c->tuple = unpack_bytes(&b->arena, in);
    if ((flags & HAS_COMPUTED) != 0)
        c->computed = unpack_bytes(&b->arena, in);
    return !in->bad || gf_fail(err, GF_ERR_DATA, "a prepared XA transaction's changes are cut short");
}

bool gf_xa_unpack(gf_batch *b, gf_slice block, gf_catalog *catalog, gf_error *err)
{
    gf_cursor in = gf_cursor_of(block.data, block.len);
    size_t first = b->claim_count, change = b->count;
    bool ok = true;
    unsigned flags = gf_cursor_u8(&in);
    uint32_t n;

    b->wild = (flags & WILD) != 0 || b->wild;
    for (n = gf_cursor_u32(&in); n > 0 && !in.bad; n--) {
        uint64_t claim = gf_cursor_u64(&in);

        gf_batch_claim(b, &claim, 1);
    }
    for (n = gf_cursor_u32(&in); ok && n > 0; n--)
        ok = unpack_change(b, &in, flags, catalog, err);
    for (; change < b->count; change++) { /* whose they are is not kept: all are everybody's */
        b->changes[change].claims_from = first;
        b->changes[change].claims_to = b->claim_count;
    }
    return ok;
}

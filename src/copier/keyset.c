/* SPDX-License-Identifier: MIT */
/*
 * keyset.c - open addressing; a slot is found by hash and then compared byte by byte, because two keys of one hash
 * taken for one would drop a row (rule M4).
 */
#include "keyset.h"

#include <stdlib.h>

struct gf_keyset_entry {
    uint64_t hash, stamp; /* stamp 0: a free slot */
    gf_slice key;         /* in the arena */
};

enum { FIRST_CAP = 64 };

/* The slot of the key, or the free one where it belongs. At most 3/4 of the slots are used, so there is one. */
static gf_keyset_entry *slot_of(const gf_keyset *s, uint64_t hash, gf_slice key)
{
    size_t i = hash & (s->cap - 1);

    while (s->entries[i].stamp != 0 && (s->entries[i].hash != hash || !gf_slice_eq(s->entries[i].key, key)))
        i = (i + 1) & (s->cap - 1);
    return &s->entries[i];
}

static void grow(gf_keyset *s)
{
    gf_keyset old = *s;

    s->cap = old.cap > 0 ? 2 * old.cap : FIRST_CAP;
    s->entries = gf_calloc(s->cap, sizeof *s->entries);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.entries[i].stamp != 0)
            *slot_of(s, old.entries[i].hash, old.entries[i].key) = old.entries[i];
    }
    free(old.entries);
}

void gf_keyset_touch(gf_keyset *s, gf_slice key, uint64_t stamp)
{
    uint64_t hash = gf_hash(key.data, key.len, 0);
    gf_keyset_entry *e;

    if (4 * (s->count + 1) > 3 * s->cap)
        grow(s);
    e = slot_of(s, hash, key);
    if (e->stamp == 0) {
        e->hash = hash;
        e->key = gf_arena_copy(&s->keys, key.data, key.len);
        s->count++;
    }
    e->stamp = stamp;
}

uint64_t gf_keyset_stamp(const gf_keyset *s, gf_slice key)
{
    if (s->count == 0)
        return 0;
    return slot_of(s, gf_hash(key.data, key.len, 0), key)->stamp;
}

void gf_keyset_purge(gf_keyset *s, uint64_t before)
{
    gf_keyset kept = {0};

    for (size_t i = 0; i < s->cap; i++) {
        if (s->entries[i].stamp != 0 && s->entries[i].stamp >= before)
            gf_keyset_touch(&kept, s->entries[i].key, s->entries[i].stamp);
    }
    gf_keyset_free(s);
    *s = kept;
}

size_t gf_keyset_bytes(const gf_keyset *s)
{
    return s->cap * sizeof *s->entries + s->keys.used;
}

void gf_keyset_free(gf_keyset *s)
{
    free(s->entries);
    gf_arena_free(&s->keys);
    *s = (gf_keyset){0};
}

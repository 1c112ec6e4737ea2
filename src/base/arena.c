/* SPDX-License-Identifier: MIT */
/*
 * arena.c - a list of blocks, the newest first; allocation moves a mark forward.
 */
#include "gfreplica/arena.h"

#include <stdlib.h>

enum { BLOCK = 64 * 1024, ALIGN = 8 };

struct gf_arena_block {
    gf_arena_block *next; /* older */
    size_t used, size;
    _Alignas(ALIGN) uint8_t data[];
};

static gf_arena_block *new_block(size_t size)
{
    gf_arena_block *b = gf_malloc(sizeof *b + size);

    b->next = NULL;
    b->used = 0;
    b->size = size;
    return b;
}

void *gf_arena_alloc(gf_arena *a, size_t size)
{
    gf_arena_block *b = a->blocks;
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    if (b == NULL || b->size - b->used < need) {
        b = new_block(need > BLOCK ? need : BLOCK);
        if (a->blocks != NULL && need > BLOCK / 4) {
            /* A large piece gets a block of its own behind the current one, which still has room. */
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    a->used += need;
    b->used += need;
    return b->data + b->used - need;
}

gf_slice gf_arena_copy(gf_arena *a, const void *data, size_t len)
{
    uint8_t *p = gf_arena_alloc(a, len);

    if (len > 0)
        memcpy(p, data, len);
    return gf_slice_of(p, len);
}

static void free_from(gf_arena_block *b)
{
    while (b != NULL) {
        gf_arena_block *next = b->next;

        free(b);
        b = next;
    }
}

void gf_arena_reset(gf_arena *a)
{
    gf_arena_block *keep = a->blocks;

    a->used = 0;
    if (keep == NULL)
        return;
    if (keep->size > BLOCK) {
        gf_arena_free(a);
        return;
    }
    free_from(keep->next);
    keep->next = NULL;
    keep->used = 0;
}

void gf_arena_free(gf_arena *a)
{
    free_from(a->blocks);
    *a = (gf_arena){0};
}

/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that dies together: one event, one batch, one chunk.
 *
 * {0} is an empty arena. Threads: none; it travels with the object that owns it.
 */
#ifndef GFREPLICA_ARENA_H
#define GFREPLICA_ARENA_H

#include "gfreplica/bytes.h"

typedef struct gf_arena_block gf_arena_block;

typedef struct {
    gf_arena_block *blocks; /* owned, newest first */
    size_t used;            /* bytes handed out since the last reset */
} gf_arena;

void *gf_arena_alloc(gf_arena *a, size_t size); /* 8-byte aligned, not zeroed, valid until reset or free */
gf_slice gf_arena_copy(gf_arena *a, const void *data, size_t len);
void gf_arena_reset(gf_arena *a); /* keeps one block of ordinary size for the next use */
void gf_arena_free(gf_arena *a);

#endif

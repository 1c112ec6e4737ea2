/* SPDX-License-Identifier: MIT */
/*
 * keyset.h - the keys that passed, whole, each with the stamp of its latest passing (rules M1, M4).
 *
 * One set serves all open windows of a table: a window remembers the stamp at which it opened, and a key is in the
 * window when it passed at that stamp or later. So recording costs one look-up however many windows are open.
 *
 * Threads: one at a time.
 */
#ifndef GFREPLICA_COPIER_KEYSET_H
#define GFREPLICA_COPIER_KEYSET_H

#include "gfreplica/arena.h"

typedef struct gf_keyset_entry gf_keyset_entry;

/* {0} is an empty set. */
typedef struct {
    gf_keyset_entry *entries; /* owned, open addressing with linear probing; cap is a power of two or 0 */
    size_t count, cap;
    gf_arena keys; /* the keys' bytes */
} gf_keyset;

void gf_keyset_touch(gf_keyset *s, gf_slice key, uint64_t stamp); /* stamp > 0, never less than one given before */
uint64_t gf_keyset_stamp(const gf_keyset *s, gf_slice key);       /* 0: never passed */
void gf_keyset_purge(gf_keyset *s, uint64_t before);              /* forgets what passed last before that stamp */
size_t gf_keyset_bytes(const gf_keyset *s);
void gf_keyset_free(gf_keyset *s); /* back to {0} */

#endif

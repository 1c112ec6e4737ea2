/* SPDX-License-Identifier: MIT */
/*
 * fold.h - how the claims of a text column are folded; private to the catalog room.
 */
#ifndef CATALOG_FOLD_H
#define CATALOG_FOLD_H

#include "gfreplica/catalog.h"

typedef enum {
    GF_FOLD_WILD,  /* an order that we do not know */
    GF_FOLD_EXACT, /* equal = the same bytes, but for trailing spaces */
    GF_FOLD_ASCII  /* printable ASCII is equal when its lower-case forms are; nothing is known of the rest */
} gf_fold;

bool gf_type_is_text(gf_type type); /* with a character set of its own and compared by collation */

/* Sets col->fold and col->unit from its collation. */
void gf_fold_choose(gf_column *col);

/*
 * Chains the folded form of a text value into *hash, of its first `prefix` characters when that is not 0. False when
 * that can't be told: the row is wild.
 */
bool gf_fold_hash(uint64_t *hash, const gf_column *col, gf_slice text, unsigned prefix);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * scalar.h - the canonical bytes of one value, as keys hold them and claims hash them; private to the catalog room.
 */
#ifndef CATALOG_SCALAR_H
#define CATALOG_SCALAR_H

#include "gfreplica/catalog.h"

typedef struct {
    gf_value_kind kind;
    gf_slice bytes; /* borrowed from `number` or from the value */
    uint8_t number[8];
} gf_scalar;

/* Events and chunks give an equal scalar for the same value of the column. */
void gf_scalar_of(gf_scalar *out, const gf_column *col, const gf_value *v);

#endif

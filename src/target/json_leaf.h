/* SPDX-License-Identifier: MIT */
/*
 * json_leaf.h - a scalar of a MySQL JSON document as an SQL expression of the type that its mark tells.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_TARGET_JSON_LEAF_H
#define GFREPLICA_TARGET_JSON_LEAF_H

#include "gfreplica/value.h"

/* `leaf` as it stands in the document's text, a string with its quotes. Appended. */
void gf_json_leaf(gf_buf *out, gf_json_mark mark, gf_slice leaf);

#endif

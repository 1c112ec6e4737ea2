/* SPDX-License-Identifier: MIT */
/*
 * literals.h - string literals of other character sets in a table's definition.
 *
 * Threads: none.
 */
#ifndef GFREPLICA_CATALOG_LITERALS_H
#define GFREPLICA_CATALOG_LITERALS_H

#include "gfreplica/bytes.h"

/* Appends a text of SHOW CREATE TABLE, as it is stored (character_set_results=NULL), as UTF-8: literals of other character
   sets, and of bytes that are no UTF-8, become hex digits. False: there are other bytes in it that are no UTF-8. */
GF_MUST_CHECK bool gf_literals_to_utf8(gf_buf *out, const char *text);

#endif

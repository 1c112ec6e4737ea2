/* SPDX-License-Identifier: MIT */
/*
 * literal_json.h - a MySQL JSON document as an SQL expression whose value is exactly that document.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_TARGET_LITERAL_JSON_H
#define GFREPLICA_TARGET_LITERAL_JSON_H

#include "gfreplica/value.h"

/* `text` as value.h has it; marked: its column has json_types. Appended. */
void gf_literal_json(gf_buf *out, gf_slice text, bool marked);

/* The text alone, parsed by a server, gives the document again. */
bool gf_json_is_plain(gf_slice text, bool marked);

/* The text without its marks. Appended. */
void gf_json_unmarked(gf_buf *out, gf_slice text);

/* '...' with what must be escaped escaped. Appended. */
void gf_literal_quoted(gf_buf *out, gf_slice bytes);

/* INT, UINT or DOUBLE as digits. Appended. */
void gf_literal_number(gf_buf *out, const gf_value *v);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * json_line.h - JSON written straight into a buffer.
 *
 * A status document may name 60,000 tables: as a tree of objects it would cost more memory than a whole run may
 * have. A comma is due when the byte before is no opening bracket, so there is nothing to carry along: key NULL is
 * for array elements, and a document begins with gf_buf_byte(out, '{').
 */
#ifndef GFREPLICA_CONTROL_JSON_LINE_H
#define GFREPLICA_CONTROL_JSON_LINE_H

#include "gfreplica/bytes.h"

void gf_jline_open(gf_buf *out, const char *key, char bracket); /* '{' or '[' */
void gf_jline_close(gf_buf *out, char bracket);                 /* '}' or ']' */
void gf_jline_text(gf_buf *out, const char *key, const char *text);
/* "db.table" as a value, and as the key of an object or array. */
void gf_jline_name(gf_buf *out, const char *key, const char *db, const char *table);
void gf_jline_open_name(gf_buf *out, const char *db, const char *table, char bracket);
void gf_jline_bytes(gf_buf *out, const char *key, gf_slice text);
void gf_jline_uint(gf_buf *out, const char *key, uint64_t n);
void gf_jline_int(gf_buf *out, const char *key, int64_t n);
void gf_jline_real(gf_buf *out, const char *key, double x); /* null when it is no number */
void gf_jline_bool(gf_buf *out, const char *key, bool yes);
void gf_jline_null(gf_buf *out, const char *key);

/* The text between quotes: escaped; bytes that are not UTF-8 become U+FFFD. Appended without the quotes. */
void gf_jline_escape(gf_buf *out, gf_slice text);

#endif

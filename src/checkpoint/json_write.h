/* SPDX-License-Identifier: MIT */
/*
 * json_write.h - JSON straight into a buffer, indented by one space a level.
 *
 * Not by a tree: a library's integers end at 2^63 - 1, keys of BIGINT UNSIGNED do not. Threads: none.
 */
#ifndef GFREPLICA_CHECKPOINT_JSON_WRITE_H
#define GFREPLICA_CHECKPOINT_JSON_WRITE_H

#include "gfreplica/bytes.h"

typedef struct {
    gf_buf *out; /* borrowed */
    unsigned depth;
    bool fresh; /* nothing stands behind the last bracket or key yet */
} gf_json;

/* key NULL: an element of an array, or the document itself. */
void gf_json_begin(gf_json *j, const char *key, char bracket);        /* '{' or '[' */
void gf_json_end(gf_json *j, char bracket);                           /* '}' or ']' */
void gf_json_put_text(gf_json *j, const char *key, const char *text); /* NULL gives null */
void gf_json_put_uint(gf_json *j, const char *key, uint64_t v);
void gf_json_put_int(gf_json *j, const char *key, int64_t v);
void gf_json_put_double(gf_json *j, const char *key, double v);
void gf_json_put_bool(gf_json *j, const char *key, bool v);
void gf_json_put_null(gf_json *j, const char *key);
void gf_json_put_hex(gf_json *j, const char *key, gf_slice bytes); /* lower-case digits */

#endif

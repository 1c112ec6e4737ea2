/* SPDX-License-Identifier: MIT */
/*
 * value.h - one column's value between source and target.
 *
 * Both ways (row events and chunk reads) give the same kinds for the same column, so that one function
 * writes literals and one makes keys. Text is never converted: strings are the source's bytes in the
 * column's own character set.
 *
 * kind by column type:
 *   integers, YEAR           INT / UINT from events, NUMBER (the server's digits) from chunks
 *   ENUM (index), SET (mask) UINT
 *   FLOAT, DOUBLE            DOUBLE (a FLOAT is promoted, which is exact)
 *   DECIMAL                  NUMBER: "-12.50", as the server prints it
 *   DATE TIME DATETIME       TEMPORAL: the server's text with the column's fraction digits, TIMESTAMP in UTC
 *   TIMESTAMP
 *   CHAR VARCHAR TEXT        BYTES in the column's character set; CHAR without trailing spaces
 *   BINARY VARBINARY BLOB    BYTES; BINARY(n) padded to n with 00
 *   BIT(n)                   BYTES: (n+7)/8 bytes, big-endian
 *   GEOMETRY, VECTOR         BYTES: SRID + WKB; little-endian floats
 *   INET4 INET6 UUID         BYTES: 4 / 16 / 16 raw bytes in text order
 *   JSON of MySQL            JSON: utf8mb4 text as the server prints it; in a column with json_types (catalog.h) with
 *                            a mark in front of each scalar that the text alone does not tell
 */
#ifndef GFREPLICA_VALUE_H
#define GFREPLICA_VALUE_H

#include "gfreplica/bytes.h"

typedef enum {
    GF_V_ABSENT, /* not part of this row image */
    GF_V_NULL,
    GF_V_INT,
    GF_V_UINT,
    GF_V_DOUBLE,
    GF_V_NUMBER,
    GF_V_TEMPORAL,
    GF_V_BYTES,
    GF_V_JSON
} gf_value_kind;

/*
 * A scalar inside a document that MySQL's parser would make something else of: 5 is an INTEGER, 4294967296 an UNSIGNED,
 * 1.5 a DOUBLE, "2024-01-02" a STRING unless they are marked. One byte; the text itself never holds bytes below 0x20.
 */
typedef enum {
    GF_JSON_PLAIN, /* no mark: what the parser makes of it */
    GF_JSON_INTEGER,
    GF_JSON_UNSIGNED,
    GF_JSON_DECIMAL,
    GF_JSON_DATE,
    GF_JSON_TIME,
    GF_JSON_DATETIME,
    GF_JSON_TIMESTAMP,
    GF_JSON_OPAQUE, /* "base64:typeN:...", N: a column type */
    /* In front of a whole document, which can't be written then: */
    GF_JSON_UNKNOWN, /* it holds a type that we don't know */
    GF_JSON_UNTOLD   /* the source did not tell all types, or others than the text has */
} gf_json_mark;

enum { GF_JSON_DEPTH_MAX = 128 }; /* MySQL refuses documents deeper than 100 */

/* Behind the string whose opening quote is at `at`; the text's end when it is not closed. */
static inline size_t gf_json_string_end(gf_slice text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        if (text.data[at] == '\\')
            at++;
    return at < text.len ? at + 1 : text.len;
}

typedef struct {
    gf_value_kind kind;
    union {
        int64_t i;
        uint64_t u;
        double d;
    };
    gf_slice bytes; /* borrowed from the event, the result row or an arena; NUMBER and the kinds behind it */
} gf_value;

#endif

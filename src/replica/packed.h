/* SPDX-License-Identifier: MIT */
/*
 * packed.h - the servers' packed decimals and times, as the text that the server prints.
 *
 * Row images and binary JSON hold the same packed forms; this is where they become text. Nothing here trusts its
 * input: what no server writes (digits above 9, a minute 61) is told by a return value and never printed.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_REPLICA_PACKED_H
#define GFREPLICA_REPLICA_PACKED_H

#include "gfreplica/bytes.h"

#define GF_DECIMAL_TEXT_MAX 84 /* sign, 81 digits, a leading 0, the point */
#define GF_CIVIL_TEXT_MAX   48

/* Bytes of a DECIMAL(precision, scale); 0 when no server makes such a number. A column has at most 65 digits; inside
   JSON they are counted in whole groups of nine before the point, up to the nine groups of a server's own form. */
size_t gf_decimal_size(unsigned precision, unsigned scale);

/* "-12.50" of gf_decimal_size() bytes. Returns the length, 0 when malformed. */
size_t gf_decimal_text(char out[GF_DECIMAL_TEXT_MAX], const uint8_t *packed, unsigned precision, unsigned scale);

/* A moment or a span by its parts, any of which may be zero ("2024-00-00"). */
typedef struct {
    bool negative; /* TIME only */
    unsigned year, month, day;
    unsigned hour; /* TIME: up to 838 */
    unsigned minute, second, micro;
} gf_civil;

typedef enum { GF_CIVIL_DATE, GF_CIVIL_TIME, GF_CIVIL_DATETIME } gf_civil_form;

/* The UTC date and time of Unix seconds; 0 is the servers' zero date. micro is left alone. */
void gf_civil_of_unix(gf_civil *out, uint64_t seconds);

/* With `fsp` fraction digits. Returns the length, 0 when a part is out of its range. */
size_t gf_civil_text(char out[GF_CIVIL_TEXT_MAX], gf_civil_form form, const gf_civil *when, unsigned fsp);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * random.h - chance that a seed repeats, and values made by it.
 *
 * Values are written as SQL literals, text as hex with its character set: nothing depends on escaping. The same seed
 * gives the same values on every machine. Threads: an h_rng is used by one thread at a time.
 */
#ifndef HARNESS_RANDOM_H
#define HARNESS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    uint64_t state;
} h_rng;

h_rng h_seeded(uint64_t seed);
uint64_t h_next(h_rng *r);
unsigned h_below(h_rng *r, unsigned limit); /* 0 .. limit - 1 */
bool h_chance(h_rng *r, unsigned percent);

void h_put_hex(FILE *out, const void *bytes, size_t len); /* the digits alone */
void h_put_bytes(FILE *out, h_rng *r, unsigned longest);
void h_put_text(FILE *out, h_rng *r, unsigned words);
void h_put_name(FILE *out, h_rng *r, unsigned number); /* one name a number, in several cases */
void h_put_latin1(FILE *out, unsigned number);         /* one text a number; numbers share texts */
void h_put_json(FILE *out, h_rng *r);
void h_put_date(FILE *out, h_rng *r, unsigned from_year, unsigned years); /* 2000-01-31, no quotes */
void h_put_clock(FILE *out, h_rng *r, unsigned digits);                   /* 13:00:59.123456, no quotes */

#endif

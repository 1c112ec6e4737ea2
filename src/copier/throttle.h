/* SPDX-License-Identifier: MIT */
/*
 * throttle.h - how much the copy may ask of a source that others use (--max-source-load).
 *
 * While more sessions than the limit run on the source besides ours, one reader at a time reads, and rests nine times as
 * long as it read: the copy takes about a tenth of what it could, but it never stands still.
 *
 * Times are milliseconds of gf_now_ms. Threads: all functions take an inner lock, the innermost of all.
 */
#ifndef GFREPLICA_COPIER_THROTTLE_H
#define GFREPLICA_COPIER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gf_throttle gf_throttle;

gf_throttle *gf_throttle_new(unsigned limit); /* sessions; 0 = no limit */
void gf_throttle_free(gf_throttle *t);        /* NULL is fine */

/* True for one reader now and then: it shall ask the source for Threads_running and give the answer. */
bool gf_throttle_asks(gf_throttle *t, uint64_t now);
void gf_throttle_answer(gf_throttle *t, unsigned threads_running);
/* May a reader read now? After true, gf_throttle_end has to follow, with how long it took. */
bool gf_throttle_begin(gf_throttle *t, uint64_t now);
void gf_throttle_end(gf_throttle *t, uint64_t now, uint64_t took);

#endif

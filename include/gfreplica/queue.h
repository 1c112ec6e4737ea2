/* SPDX-License-Identifier: MIT */
/*
 * queue.h - a bounded queue of byte blocks between two threads, counted in bytes.
 *
 * One thread pushes, one takes; anybody may kick or close.
 */
#ifndef GFREPLICA_QUEUE_H
#define GFREPLICA_QUEUE_H

#include "gfreplica/bytes.h"

typedef struct gf_queue gf_queue;

typedef struct gf_queue_item {
    struct gf_queue_item *next;
    size_t len;
    uint8_t data[];
} gf_queue_item;

gf_queue *gf_queue_new(size_t max_bytes);
void gf_queue_free(gf_queue *q); /* with what is left in it; NULL is fine */

/* Copies the block in; waits while max_bytes are queued (a larger block passes alone). False once closed. */
GF_MUST_CHECK bool gf_queue_push(gf_queue *q, gf_slice block);
/* Everything that is queued, in order, owned by the caller (free each); NULL after `wait_ms`, a kick or a close. */
gf_queue_item *gf_queue_take(gf_queue *q, unsigned wait_ms);
void gf_queue_kick(gf_queue *q);  /* a waiting or the next take returns at once */
void gf_queue_close(gf_queue *q); /* push fails from now on; take still gives what is queued */
bool gf_queue_empty(gf_queue *q);

#endif

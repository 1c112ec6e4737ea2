/* SPDX-License-Identifier: MIT */
/*
 * queue.c - a linked list under one lock. The taker takes the whole list, so the lock is touched once per burst.
 */
#include "gfreplica/queue.h"

#include <stdlib.h>

#include "gfreplica/thread.h"

struct gf_queue {
    size_t max_bytes; /* set at creation */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    gf_queue_item *first, **last;
    size_t bytes;
    bool kicked, closed;
};

gf_queue *gf_queue_new(size_t max_bytes)
{
    gf_queue *q = gf_calloc(1, sizeof *q);

    q->max_bytes = max_bytes;
    q->last = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    gf_cond_init(&q->changed);
    return q;
}

void gf_queue_free(gf_queue *q)
{
    if (q == NULL)
        return;
    while (q->first != NULL) {
        gf_queue_item *next = q->first->next;

        free(q->first);
        q->first = next;
    }
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool gf_queue_push(gf_queue *q, gf_slice block)
{
    gf_queue_item *item = gf_malloc(sizeof *item + block.len);
    bool open;

    item->next = NULL;
    item->len = block.len;
    if (block.len > 0)
        memcpy(item->data, block.data, block.len);
    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->bytes > 0 && q->bytes + block.len > q->max_bytes)
        pthread_cond_wait(&q->changed, &q->lock);
    open = !q->closed;
    if (open) {
        if (q->first == NULL)
            pthread_cond_broadcast(&q->changed);
        *q->last = item;
        q->last = &item->next;
        q->bytes += block.len;
    }
    pthread_mutex_unlock(&q->lock);
    if (!open)
        free(item);
    return open;
}

gf_queue_item *gf_queue_take(gf_queue *q, unsigned wait_ms)
{
    uint64_t until = gf_now_ms() + wait_ms, now;
    gf_queue_item *list;

    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->kicked && !q->closed && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&q->changed, &q->lock, (unsigned)(until - now));
    list = q->first;
    q->first = NULL;
    q->last = &q->first;
    if (q->bytes > 0)
        pthread_cond_broadcast(&q->changed);
    q->bytes = 0;
    q->kicked = false;
    pthread_mutex_unlock(&q->lock);
    return list;
}

static void set_and_wake(gf_queue *q, bool *flag)
{
    pthread_mutex_lock(&q->lock);
    *flag = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void gf_queue_kick(gf_queue *q)
{
    set_and_wake(q, &q->kicked);
}
void gf_queue_close(gf_queue *q)
{
    set_and_wake(q, &q->closed);
}

bool gf_queue_empty(gf_queue *q)
{
    bool empty;

    pthread_mutex_lock(&q->lock);
    empty = q->first == NULL;
    pthread_mutex_unlock(&q->lock);
    return empty;
}

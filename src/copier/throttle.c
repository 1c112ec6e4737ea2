/* SPDX-License-Identifier: MIT */
/*
 * throttle.c - counts who reads, compares what runs on the source with the limit.
 *
 * Threads_running counts our own sessions too: the one that asks, the binlog dump, and the readers that are reading.
 * They are taken off, so that the limit means the same with any number of readers.
 */
#include "throttle.h"

#include <pthread.h>
#include <stdlib.h>

#include "gfreplica/bytes.h"
#include "gfreplica/log.h"

enum { ASK_EVERY_MS = 100, REST_TIMES = 9, OURS = 2 /* who asks, and the dump */ };

struct gf_throttle {
    unsigned limit; /* set once */

    pthread_mutex_t lock; /* guards all below */
    uint64_t next_ask, rest_until;
    unsigned reading;
    bool busy; /* by the last answer */
};

gf_throttle *gf_throttle_new(unsigned limit)
{
    gf_throttle *t = gf_calloc(1, sizeof(*t));

    t->limit = limit;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void gf_throttle_free(gf_throttle *t)
{
    if (t == NULL)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

bool gf_throttle_asks(gf_throttle *t, uint64_t now)
{
    bool ask;

    if (t->limit == 0)
        return false;
    pthread_mutex_lock(&t->lock);
    ask = now >= t->next_ask;
    if (ask)
        t->next_ask = now + ASK_EVERY_MS;
    pthread_mutex_unlock(&t->lock);
    return ask;
}

void gf_throttle_answer(gf_throttle *t, unsigned threads_running)
{
    unsigned ours, others;
    bool changed;

    pthread_mutex_lock(&t->lock);
    ours = OURS + t->reading;
    others = threads_running > ours ? threads_running - ours : 0;
    changed = t->busy != (others > t->limit);
    t->busy = others > t->limit;
    pthread_mutex_unlock(&t->lock);
    if (changed)
        gf_log_debug("%u sessions run on the source besides ours, --max-source-load is %u: the copy %s", others,
                     t->limit, others > t->limit ? "slows down" : "goes on at full speed");
}

bool gf_throttle_begin(gf_throttle *t, uint64_t now)
{
    bool go;

    pthread_mutex_lock(&t->lock);
    go = !t->busy || (t->reading == 0 && now >= t->rest_until);
    t->reading += go;
    pthread_mutex_unlock(&t->lock);
    return go;
}

void gf_throttle_end(gf_throttle *t, uint64_t now, uint64_t took)
{
    pthread_mutex_lock(&t->lock);
    t->reading--;
    t->rest_until = now + REST_TIMES * took;
    pthread_mutex_unlock(&t->lock);
}

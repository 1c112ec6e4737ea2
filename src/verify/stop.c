/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <pthread.h>
#include <stdlib.h>

#include "gfreplica/thread.h"

struct gf_stop {
    size_t count; /* set once, like the next one */
    gf_lifeline *links;

    pthread_mutex_t lock; /* guards the links' contents and what follows */
    pthread_cond_t changed;
    bool broken, over;
};

gf_stop *gf_stop_new(size_t links)
{
    gf_stop *s = gf_calloc(1, sizeof *s);

    s->count = links;
    s->links = gf_calloc(links, sizeof *s->links);
    pthread_mutex_init(&s->lock, NULL);
    gf_cond_init(&s->changed);
    return s;
}

void gf_stop_free(gf_stop *s)
{
    if (s == NULL)
        return;
    free(s->links);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void gf_stop_hold(gf_stop *s, size_t slot, MYSQL *db)
{
    pthread_mutex_lock(&s->lock);
    gf_lifeline_hold(&s->links[slot], db == NULL ? -1 : (int)mysql_get_socket(db), s->broken);
    pthread_mutex_unlock(&s->lock);
}

void gf_stop_break(gf_stop *s)
{
    pthread_mutex_lock(&s->lock);
    s->broken = true;
    for (size_t i = 0; i < s->count; i++)
        gf_lifeline_break(&s->links[i]);
    pthread_mutex_unlock(&s->lock);
}

void gf_stop_end(gf_stop *s)
{
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool gf_stop_wait(gf_stop *s, unsigned ms)
{
    uint64_t until = gf_now_ms() + ms, now;
    bool over;

    pthread_mutex_lock(&s->lock);
    while (!s->over && (now = gf_now_ms()) < until)
        gf_cond_wait_ms(&s->changed, &s->lock, (unsigned)(until - now));
    over = s->over;
    pthread_mutex_unlock(&s->lock);
    return over;
}

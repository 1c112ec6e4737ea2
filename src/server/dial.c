/* SPDX-License-Identifier: MIT */
/*
 * dial.c - the list of connections that are coming about, and the library's connect in steps.
 *
 * mysql_real_connect hides its socket until it is done, so it is run through the library's non-blocking calls: between
 * two steps the socket can be asked for, and we do the waiting. The connection is an ordinary blocking one afterwards;
 * the library switches its socket back by itself. Name resolution is the one wait that cannot be ended.
 *
 * The list is file scope, because a stop is one for the whole process: whoever asks for it knows no connection.
 */
#include "dial.h"

#include <poll.h>
#include <pthread.h>

/* The library runs its steps on a stack of its own, and a TLS handshake with its certificates needs more than its
   default of 60 KiB. Given back when the connection is closed. */
static const size_t STACK = 256 << 10;

static struct {
    pthread_mutex_t lock; /* guards all below, and the lifeline of each dial */
    bool interrupted;
    gf_dial *first;
} coming = {.lock = PTHREAD_MUTEX_INITIALIZER};

void gf_dial_begin(gf_dial *d)
{
    d->lifeline = (gf_lifeline){0};
    pthread_mutex_lock(&coming.lock);
    d->next = coming.first;
    coming.first = d;
    pthread_mutex_unlock(&coming.lock);
}

void gf_dial_end(gf_dial *d)
{
    gf_dial **at = &coming.first;

    pthread_mutex_lock(&coming.lock);
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    pthread_mutex_unlock(&coming.lock);
    gf_lifeline_hold(&d->lifeline, -1, false);
}

void gf_dial_socket(gf_dial *d, int fd)
{
    pthread_mutex_lock(&coming.lock);
    gf_lifeline_hold(&d->lifeline, fd, coming.interrupted);
    pthread_mutex_unlock(&coming.lock);
}

bool gf_dial_interrupted(void)
{
    bool interrupted;

    pthread_mutex_lock(&coming.lock);
    interrupted = coming.interrupted;
    pthread_mutex_unlock(&coming.lock);
    return interrupted;
}

void gf_server_interrupt(void)
{
    pthread_mutex_lock(&coming.lock);
    coming.interrupted = true;
    for (gf_dial *d = coming.first; d != NULL; d = d->next)
        gf_lifeline_break(&d->lifeline);
    pthread_mutex_unlock(&coming.lock);
}

/* ---- connecting ---- */

static short events_of(int waits)
{
    return (short)(((waits & MYSQL_WAIT_READ) != 0 ? POLLIN : 0) | ((waits & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0) |
                   ((waits & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0));
}

/* What the library waits for, or that its time is over. A broken socket is "ready": the next call tells the error. */
static int wait_for(gf_dial *d, MYSQL *db, int waits, uint64_t until)
{
    struct pollfd fd = {.fd = (int)mysql_get_socket(db), .events = events_of(waits)};
    uint64_t now = gf_now_ms();
    int ready;

    gf_dial_socket(d, fd.fd); /* each time: a host may have several addresses */
    ready = now >= until ? 0 : poll(&fd, 1, (int)(until - now));
    if (ready < 0)
        return 0; /* a signal: ask again */
    return ready == 0 ? MYSQL_WAIT_TIMEOUT : waits & ~MYSQL_WAIT_TIMEOUT;
}

bool gf_dial_connect(gf_dial *d, MYSQL *db, const gf_server_config *cfg)
{
    unsigned seconds = cfg->connect_timeout > 0 ? cfg->connect_timeout : GF_CONNECT_TIMEOUT;
    uint64_t until = gf_now_ms() + 1000ULL * seconds;
    const char *host = cfg->socket != NULL ? "localhost" : cfg->host;
    MYSQL *connected = NULL;
    int waits;

    mysql_optionsv(db, MYSQL_OPT_NONBLOCK, &STACK);
    waits = mysql_real_connect_start(&connected, db, host, cfg->user, cfg->password, NULL, cfg->port, cfg->socket, 0);
    while (waits != 0)
        waits = mysql_real_connect_cont(&connected, db, wait_for(d, db, waits, until));
    return connected != NULL;
}

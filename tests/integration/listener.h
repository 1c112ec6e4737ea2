/* SPDX-License-Identifier: MIT */
/*
 * listener.h - a tiny HTTP server in the test's own process: what callbacks are posted to.
 *
 * One thread, one request after the other. It keeps every request and answers as it was last told: a status, or with
 * silence (status 0) until that changes or the other side hangs up.
 */
#ifndef GFREPLICA_TESTS_LISTENER_H
#define GFREPLICA_TESTS_LISTENER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/harness.h"

typedef struct {
    pthread_t thread;
    int fd;
    unsigned port;
    atomic_uint status;
    atomic_bool stopping;

    pthread_mutex_t lock; /* guards all below */
    char *paths[256], *bodies[256];
    size_t count; /* the first 256 are kept */
} listener;

/* The request so far is whole: its head and as much body as it says. */
static inline bool listener_whole(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "Content-Length:");

    return body != NULL && (length == NULL || strlen(body + 4) >= strtoul(length + 15, NULL, 10));
}

static inline void listener_keep(listener *l, char *text)
{
    char *path = strchr(text, ' '), *end = path == NULL ? NULL : strchr(path + 1, ' ');
    const char *body = strstr(text, "\r\n\r\n");

    if (end != NULL)
        *end = '\0';
    pthread_mutex_lock(&l->lock);
    if (l->count < sizeof l->paths / sizeof l->paths[0]) {
        l->paths[l->count] = h_format("%s", path == NULL ? "" : path + 1);
        l->bodies[l->count++] = h_format("%s", body == NULL ? "" : body + 4);
    }
    pthread_mutex_unlock(&l->lock);
}

static inline void listener_answer(listener *l, int client)
{
    struct pollfd fd = {.fd = client, .events = POLLIN};
    char *answer, byte;
    unsigned status;

    while ((status = atomic_load(&l->status)) == 0 && !atomic_load(&l->stopping)) {
        if (poll(&fd, 1, 20) > 0 && recv(client, &byte, 1, MSG_DONTWAIT) == 0)
            return;
    }
    answer = h_format("HTTP/1.1 %u Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
    (void)!send(client, answer, strlen(answer), MSG_NOSIGNAL);
    free(answer);
}

static inline void listener_serve(listener *l, int client)
{
    size_t cap = 1 << 16, len = 0;
    char *text = calloc(1, cap);
    ssize_t n;

    while (!listener_whole(text) && (n = recv(client, text + len, cap - 1 - len, 0)) > 0) {
        len += (size_t)n;
        if (cap - 1 - len < cap / 2) {
            cap *= 2;
            text = realloc(text, cap);
        }
        text[len] = '\0';
    }
    listener_keep(l, text);
    listener_answer(l, client);
    free(text);
}

static inline void *listener_run(void *arg)
{
    listener *l = arg;
    struct pollfd fd = {.fd = l->fd, .events = POLLIN};

    while (!atomic_load(&l->stopping)) {
        int client = poll(&fd, 1, 20) > 0 ? accept(l->fd, NULL, NULL) : -1;

        if (client < 0)
            continue;
        listener_serve(l, client);
        close(client);
    }
    return NULL;
}

static inline listener *listener_start(unsigned status)
{
    listener *l = calloc(1, sizeof *l);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    atomic_store(&l->status, status);
    pthread_mutex_init(&l->lock, NULL);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(l->fd, 16) != 0 ||
        getsockname(l->fd, (struct sockaddr *)&address, &len) != 0)
        h_fail("listener: no port");
    l->port = ntohs(address.sin_port);
    if (pthread_create(&l->thread, NULL, listener_run, l) != 0)
        h_fail("listener: no thread");
    return l;
}

static inline void listener_stop(listener *l)
{
    atomic_store(&l->stopping, true);
    pthread_join(l->thread, NULL);
    close(l->fd);
    for (size_t i = 0; i < l->count; i++) {
        free(l->paths[i]);
        free(l->bodies[i]);
    }
    free(l);
}

/* The body of the n-th request (from 1) for `path`, waited for; NULL when it does not come. Owned by the caller. */
static inline char *listener_wait(listener *l, const char *path, unsigned n, double seconds)
{
    double deadline = h_now() + seconds;

    for (;;) {
        char *found = NULL;
        unsigned seen = 0;

        pthread_mutex_lock(&l->lock);
        for (size_t i = 0; i < l->count && found == NULL; i++)
            if (strcmp(l->paths[i], path) == 0 && ++seen == n)
                found = h_format("%s", l->bodies[i]);
        pthread_mutex_unlock(&l->lock);
        if (found != NULL || h_now() > deadline)
            return found;
        h_sleep(0.02);
    }
}

#endif

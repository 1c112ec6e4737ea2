/* SPDX-License-Identifier: MIT */
/* listen.c - the socket is made here, not by libmicrohttpd, to have the reason of a failure and the port found. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Cuts "host:port" at its last colon; brackets around an IPv6 address fall away. */
static bool split(char *host, size_t size, const char **port, const char *text, gf_error *err)
{
    const char *colon = strrchr(text, ':'), *begin = text;
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return gf_fail(err, GF_ERR_CONFIG, "control address %s: should be host:port, as in 127.0.0.1:8000", text);
    if (len >= 2 && begin[0] == '[' && begin[len - 1] == ']') {
        begin++;
        len -= 2;
    }
    if (len >= size)
        return gf_fail(err, GF_ERR_CONFIG, "control address: the host name is too long");
    memcpy(host, begin, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->sa_family == AF_INET)
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool describe(gf_listener *l)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getsockname(l->fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    l->loopback = is_loopback((struct sockaddr *)&address);
    snprintf(l->address, sizeof l->address, address.ss_family == AF_INET6 ? "[%.250s]:%.16s" : "%.250s:%.16s", host,
             port);
    return true;
}

static bool listen_on(gf_listener *l, const struct addrinfo *info)
{
    static const int on = 1;

    l->fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
    /* Without the option a new run would have to wait until the last one's connections are forgotten. */
    if (l->fd >= 0 && setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(l->fd, info->ai_addr, info->ai_addrlen) == 0 && listen(l->fd, 16) == 0 && describe(l))
        return true;
    if (l->fd >= 0) {
        int saved = errno;

        close(l->fd);
        errno = saved;
    }
    l->fd = -1;
    return false;
}

bool gf_listen(gf_listener *out, const char *bind_to, gf_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const char *port = NULL;
    int rc;

    *out = (gf_listener){.fd = -1};
    if (!split(out->host, sizeof out->host, &port, bind_to, err))
        return false;
    rc = getaddrinfo(out->host[0] != '\0' ? out->host : NULL, port, &hints, &found);
    if (rc != 0)
        return gf_fail(err, GF_ERR_CONFIG, "control address %s: %s", bind_to, gai_strerror(rc));
    for (const struct addrinfo *each = found; each != NULL && out->fd < 0; each = each->ai_next)
        if (!listen_on(out, each))
            rc = errno;
    freeaddrinfo(found);
    if (out->fd < 0) {
        gf_fail(err, GF_ERR_CONFIG, "listen on control address %s: %s", bind_to, strerror(rc));
        if (err != NULL)
            err->native = (unsigned)rc;
    }
    return out->fd >= 0;
}

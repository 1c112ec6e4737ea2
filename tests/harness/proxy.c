/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - a network that misbehaves on purpose.
 *
 * One thread moves bytes between pairs of sockets. Each way of a link is a queue of pieces with the time at which they
 * are due, which makes latency; a link's allowance of bytes grows with time, which makes a narrow line.
 *
 * A silent link is made by the kernel: a socket filter that drops every segment before TCP sees it. So nothing is
 * acknowledged and nothing refused, as when a cable is pulled, and the peer's own timers have to notice. With the
 * filter on the listening socket not even a connection comes about.
 *
 * A link's kind is read from its first packets: the statements that set up its session, or the dump command.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/harness.h"

enum { LINKS = 64, PIECE = 16384, QUEUE_MAX = 256, KINDS = 4, HEAD = 65536 };

typedef struct piece {
    struct piece *next;
    double due;
    size_t len, sent;
    char bytes[PIECE];
} piece;

typedef struct {
    int from, to; /* sockets; the link's */
    piece *first, *last;
    unsigned count;   /* of pieces */
    double allowance; /* bytes that may go now */
    double counted;   /* until when it has grown */
    bool ended;       /* `from` sends no more */
} way;

typedef struct {
    bool used;
    int client, server; /* sockets */
    unsigned kind;
    size_t seen; /* bytes of the client's looked at for the kind */
    way up, down;
    bool silenced, reset_next;
} link_pair;

struct h_proxy {
    int listener, wake[2];
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;   /* guards all below */
    const h_server *server; /* borrowed */
    bool stopping;
    h_weather weather[KINDS];
    link_pair links[LINKS];
};

/* --- sockets ------------------------------------------------------------------------------------------------------ */

/* Drop all that arrives, or let it pass again. */
static void set_deaf(int fd, bool deaf)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};
    int none = 0;

    if (deaf && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        h_fail("proxy: cannot attach a filter: %s", strerror(errno));
    if (!deaf)
        (void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
}

static void prepare(int fd)
{
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* -1 when the server does not listen now. */
static int connect_server(const h_proxy *p)
{
    struct sockaddr_in address = loopback(p->server->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void close_hard(int fd)
{
    struct linger hard = {1, 0}; /* a RST rather than a FIN */

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

/* --- links -------------------------------------------------------------------------------------------------------- */

static const h_weather *weather_of(const h_proxy *p, const link_pair *l)
{
    unsigned i = 0;

    while (l->kind >> (i + 1) != 0)
        i++;
    return &p->weather[i];
}

static void drop_pieces(way *w)
{
    while (w->first != NULL) {
        piece *next = w->first->next;

        free(w->first);
        w->first = next;
    }
    w->last = NULL;
    w->count = 0;
}

static void end_link(link_pair *l, bool hard)
{
    drop_pieces(&l->up);
    drop_pieces(&l->down);
    if (l->silenced) { /* or the end would never be acknowledged */
        set_deaf(l->client, false);
        set_deaf(l->server, false);
    }
    if (hard) {
        close_hard(l->client);
        close_hard(l->server);
    } else {
        close(l->client);
        close(l->server);
    }
    l->used = false;
}

static link_pair *free_link(h_proxy *p)
{
    for (unsigned i = 0; i < LINKS; i++)
        if (!p->links[i].used)
            return &p->links[i];
    return NULL;
}

static void accept_link(h_proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    link_pair *l = free_link(p);
    int server = client >= 0 && l != NULL ? connect_server(p) : -1;

    if (server < 0) {
        if (client >= 0)
            close_hard(client); /* as the server's own port would refuse */
        return;
    }
    prepare(client);
    prepare(server);
    *l = (link_pair){.used = true, .client = client, .server = server, .kind = H_LINK_PLAIN};
    l->up = (way){.from = client, .to = server, .counted = h_now()};
    l->down = (way){.from = server, .to = client, .counted = h_now()};
}

/* What gives a connection away: the session that it sets up, or its command. */
static void look_for_kind(link_pair *l, const char *bytes, size_t len)
{
    static const struct {
        const char *text;
        unsigned kind;
    } signs[] = {
        {"@source_heartbeat_period", H_LINK_DUMP},
        {"READ COMMITTED", H_LINK_WRITER},
        {"SET NAMES binary", H_LINK_READER}, /* writers say so too, and then the line above */
    };

    l->seen += len;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0] && l->seen < HEAD; i++) {
        if (memmem(bytes, len, signs[i].text, strlen(signs[i].text)) != NULL) {
            l->kind = signs[i].kind;
            return;
        }
    }
}

/* --- moving bytes ------------------------------------------------------------------------------------------------- */

static void add_piece(way *w, const char *bytes, size_t len, double due)
{
    piece *n = malloc(sizeof *n);

    if (n == NULL)
        h_fail("out of memory");
    n->next = NULL;
    n->due = due;
    n->len = len;
    n->sent = 0;
    memcpy(n->bytes, bytes, len);
    if (w->last != NULL)
        w->last->next = n;
    else
        w->first = n;
    w->last = n;
    w->count++;
}

/* False when the link is over. */
static bool take_in(h_proxy *p, link_pair *l, way *w)
{
    char bytes[PIECE];
    ssize_t got = read(w->from, bytes, sizeof bytes);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        w->ended = true;
        return true;
    }
    if (w == &l->up)
        look_for_kind(l, bytes, (size_t)got);
    if (w == &l->down && l->reset_next && got > 1) {
        (void)!write(w->to, bytes, (size_t)got / 2);
        end_link(l, true);
        return true;
    }
    add_piece(w, bytes, (size_t)got, h_now() + weather_of(p, l)->latency);
    return true;
}

static void grow_allowance(way *w, const h_weather *weather)
{
    double now = h_now();

    w->allowance += (now - w->counted) * weather->bytes_per_second;
    if (w->allowance > weather->bytes_per_second / 10.0)
        w->allowance = weather->bytes_per_second / 10.0;
    w->counted = now;
}

/* Bytes of the piece that may go in one write now. */
static size_t sendable(const way *w, const h_weather *weather)
{
    size_t len = w->first->len - w->first->sent;

    if (weather->byte_by_byte && len > 1)
        len = 1;
    if (weather->bytes_per_second > 0 && (double)len > w->allowance)
        len = (size_t)w->allowance;
    return len;
}

static void drop_first(way *w)
{
    piece *done = w->first;

    w->first = done->next;
    if (w->first == NULL)
        w->last = NULL;
    w->count--;
    free(done);
}

/* False when the link is over. */
static bool let_out(way *w, const h_weather *weather)
{
    grow_allowance(w, weather);
    while (w->first != NULL && w->first->due <= h_now()) {
        size_t len = sendable(w, weather);
        ssize_t put = len > 0 ? send(w->to, w->first->bytes + w->first->sent, len, MSG_NOSIGNAL) : 0;

        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        if (put == 0)
            return true;
        w->allowance -= weather->bytes_per_second > 0 ? (double)put : 0;
        w->first->sent += (size_t)put;
        if (w->first->sent == w->first->len)
            drop_first(w);
    }
    return !(w->ended && w->first == NULL);
}

static void set_silence(h_proxy *p, link_pair *l)
{
    bool silent = weather_of(p, l)->silent;

    if (silent == l->silenced)
        return;
    set_deaf(l->client, silent);
    set_deaf(l->server, silent);
    l->silenced = silent;
}

static void serve(h_proxy *p, link_pair *l)
{
    way *const ways[] = {&l->up, &l->down};

    set_silence(p, l);
    for (unsigned i = 0; i < 2 && l->used && !l->silenced; i++) {
        bool ok = ways[i]->ended || ways[i]->count >= QUEUE_MAX || take_in(p, l, ways[i]);

        if (l->used && (!ok || !let_out(ways[i], weather_of(p, l))))
            end_link(l, false);
    }
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

/* What waits for time rather than for a socket is looked at every millisecond. */
static int patience(const h_proxy *p)
{
    for (unsigned i = 0; i < LINKS; i++)
        if (p->links[i].used && (p->links[i].up.first != NULL || p->links[i].down.first != NULL))
            return 1;
    return 50;
}

static nfds_t watch(const h_proxy *p, struct pollfd *fds)
{
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = p->wake[0], .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = p->weather[0].silent ? -1 : p->listener, .events = POLLIN};
    for (unsigned i = 0; i < LINKS; i++) {
        const link_pair *l = &p->links[i];

        if (!l->used || l->silenced)
            continue;
        if (!l->up.ended && l->up.count < QUEUE_MAX)
            fds[n++] = (struct pollfd){.fd = l->client, .events = POLLIN};
        if (!l->down.ended && l->down.count < QUEUE_MAX)
            fds[n++] = (struct pollfd){.fd = l->server, .events = POLLIN};
    }
    return n;
}

static void *proxy_main(void *arg)
{
    h_proxy *p = arg;
    struct pollfd fds[2 + 2 * LINKS];
    char byte[64];

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        nfds_t n = watch(p, fds);
        int wait_ms = patience(p);

        pthread_mutex_unlock(&p->lock);
        poll(fds, n, wait_ms);
        pthread_mutex_lock(&p->lock);
        if (fds[0].revents != 0)
            (void)!read(p->wake[0], byte, sizeof byte);
        if (fds[1].revents != 0 && !p->weather[0].silent)
            accept_link(p);
        for (unsigned i = 0; i < LINKS; i++)
            if (p->links[i].used)
                serve(p, &p->links[i]);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void wake_up(h_proxy *p)
{
    (void)!write(p->wake[1], "", 1);
}

/* --- what tests call ---------------------------------------------------------------------------------------------- */

h_proxy *h_proxy_start(const h_server *server)
{
    h_proxy *p = calloc(1, sizeof *p);
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;

    if (p == NULL)
        h_fail("out of memory");
    p->server = server;
    pthread_mutex_init(&p->lock, NULL);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(p->listener, LINKS) != 0 || getsockname(p->listener, (struct sockaddr *)&address, &len) != 0 ||
        pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) != 0)
        h_fail("proxy: %s", strerror(errno));
    p->port = ntohs(address.sin_port);
    if (pthread_create(&p->thread, NULL, proxy_main, p) != 0)
        h_fail("cannot create a thread");
    return p;
}

void h_proxy_free(h_proxy *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    wake_up(p);
    pthread_join(p->thread, NULL);
    for (unsigned i = 0; i < LINKS; i++)
        if (p->links[i].used)
            end_link(&p->links[i], false);
    close(p->listener);
    close(p->wake[0]);
    close(p->wake[1]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

h_server h_proxy_view(const h_proxy *p)
{
    h_server view = *p->server;

    view.admin = NULL;
    view.name[0] = '\0';
    view.port = p->port;
    return view;
}

void h_proxy_weather(h_proxy *p, unsigned kinds, h_weather weather)
{
    pthread_mutex_lock(&p->lock);
    if ((kinds & H_LINK_PLAIN) != 0 && weather.silent != p->weather[0].silent)
        set_deaf(p->listener, weather.silent);
    for (unsigned i = 0; i < KINDS; i++)
        if ((kinds & 1U << i) != 0)
            p->weather[i] = weather;
    pthread_mutex_unlock(&p->lock);
    wake_up(p);
}

static bool is_of(const link_pair *l, unsigned kinds)
{
    return l->used && (l->kind & kinds) != 0;
}

unsigned h_proxy_cut(h_proxy *p, unsigned kinds)
{
    unsigned count = 0;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < LINKS; i++) {
        if (is_of(&p->links[i], kinds)) {
            end_link(&p->links[i], false);
            count++;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return count;
}

void h_proxy_retarget(h_proxy *p, const h_server *server)
{
    pthread_mutex_lock(&p->lock);
    p->server = server;
    pthread_mutex_unlock(&p->lock);
    h_proxy_cut(p, H_LINK_ALL);
}

void h_proxy_reset(h_proxy *p, unsigned kinds)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < LINKS; i++)
        if (is_of(&p->links[i], kinds))
            p->links[i].reset_next = true;
    pthread_mutex_unlock(&p->lock);
}

unsigned h_proxy_links(h_proxy *p, unsigned kinds)
{
    unsigned count = 0;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < LINKS; i++)
        count += is_of(&p->links[i], kinds) ? 1 : 0;
    pthread_mutex_unlock(&p->lock);
    return count;
}

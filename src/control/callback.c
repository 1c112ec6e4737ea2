/* SPDX-License-Identifier: MIT */
/*
 * callback.c - POST {"Payload": ...} to a URI of the operator's.
 *
 * One request on one connection, HTTP/1.1 with Connection: close; only the status line of the answer is read, and
 * redirects are no success. All of it, TLS included, has TIMEOUT_MS (only the name's look-up has the resolver's own
 * time). https:// is verified against the system's certificates, name included. Writing to a connection that the
 * other side has closed raises SIGPIPE under TLS; libmariadb has it ignored in the whole process.
 */
#include "gfreplica/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gfreplica/version.h"
#include "json_line.h"

enum { TIMEOUT_MS = 10000, STOP_POLL_MS = 50 };

struct uri {
    bool tls;
    char host[256];      /* without brackets */
    char authority[300]; /* as written: what the Host header says */
    char port[8];
    const char *path; /* borrowed: path and query, "" or "?..." without a path */
};

struct link {
    const char *what; /* borrowed: for errors, without the query, which may hold a secret */
    int fd;
    SSL_CTX *tls_context;
    SSL *tls; /* NULL: plain */
    uint64_t deadline;
    const atomic_uint *stop; /* borrowed; NULL: nothing ends it before its time */
};

/* --- the URI ---------------------------------------------------------------------------------------------------- */

static bool split_authority(struct uri *u, const char *what, gf_error *err)
{
    const char *host = u->authority, *end, *port;
    size_t len;

    if (strchr(u->authority, '@') != NULL)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: user and password in a URI are not supported", what);
    end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":");
    if (end == NULL)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: no ] behind the address", what);
    port = *end == ']' ? end + 1 : end;
    host += host[0] == '[';
    len = (size_t)(end - host);
    if (len == 0 || len >= sizeof u->host)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: no host name", what);
    memcpy(u->host, host, len);
    u->host[len] = '\0';
    if (*port != '\0' && (*port != ':' || strlen(port) > 6 || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: the port is no number", what);
    snprintf(u->port, sizeof u->port, "%.5s", port[0] != '\0' && port[1] != '\0' ? port + 1 : u->tls ? "443" : "80");
    return true;
}

static bool parse_uri(struct uri *u, const char *text, const char *what, gf_error *err)
{
    const char *rest;
    size_t len;

    *u = (struct uri){.tls = strncasecmp(text, "https://", 8) == 0};
    if (!u->tls && strncasecmp(text, "http://", 7) != 0)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: should begin with http:// or https://", what);
    if (strpbrk(text, " \r\n\t") != NULL)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: no blanks in a URI", what);
    rest = text + (u->tls ? 8 : 7);
    len = strcspn(rest, "/?#");
    if (len >= sizeof u->authority)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: the host name is too long", what);
    memcpy(u->authority, rest, len);
    u->authority[len] = '\0';
    u->path = rest + len;
    return split_authority(u, what, err);
}

/* --- the connection --------------------------------------------------------------------------------------------- */

static bool wait_for(const struct link *l, short events, gf_error *err)
{
    struct pollfd fd = {.fd = l->fd, .events = events};

    for (uint64_t now = gf_now_ms(); now < l->deadline; now = gf_now_ms()) {
        uint64_t left = l->deadline - now;

        if (l->stop != NULL && atomic_load(l->stop) > 0)
            return gf_fail(err, GF_ERR_STOPPED, "callback %s: given up", l->what);
        if (poll(&fd, 1, (int)(l->stop != NULL && left > STOP_POLL_MS ? STOP_POLL_MS : left)) > 0)
            return true;
    }
    return gf_fail(err, GF_ERR_RETRY, "callback %s: no answer in %d s", l->what, TIMEOUT_MS / 1000);
}

static bool connect_address(struct link *l, const struct addrinfo *info, gf_error *err)
{
    int failure = 0;
    socklen_t len = sizeof failure;

    l->fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
    if (l->fd < 0)
        return gf_fail_errno(err, "callback %s: make a socket", l->what);
    if (connect(l->fd, info->ai_addr, info->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        failure = errno;
    else if (!wait_for(l, POLLOUT, err))
        return false;
    else if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
        failure = errno;
    return failure == 0 || gf_fail(err, GF_ERR_RETRY, "callback %s: connect: %s", l->what, strerror(failure));
}

static bool connect_host(struct link *l, const struct uri *u, gf_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(u->host, u->port, &hints, &found);
    bool ok = false;

    if (rc != 0)
        return gf_fail(err, GF_ERR_RETRY, "callback %s: look up %s: %s", l->what, u->host, gai_strerror(rc));
    for (const struct addrinfo *each = found; each != NULL && !ok; each = each->ai_next) {
        if (l->fd >= 0)
            close(l->fd);
        ok = connect_address(l, each, err);
    }
    freeaddrinfo(found);
    return ok;
}

static bool fail_tls(const struct link *l, const char *doing, gf_error *err)
{
    unsigned long code = ERR_get_error();
    long verdict = l->tls != NULL ? SSL_get_verify_result(l->tls) : X509_V_OK;

    if (verdict != X509_V_OK)
        return gf_fail(err, GF_ERR_CONFIG, "callback %s: certificate refused: %s", l->what,
                       X509_verify_cert_error_string(verdict));
    return gf_fail(err, GF_ERR_RETRY, "callback %s: %s: %s", l->what, doing,
                   code != 0 ? ERR_reason_error_string(code) : "connection lost");
}

/* After an SSL call that returned rc <= 0: waits if it may be called again. */
static bool tls_again(const struct link *l, int rc, const char *doing, gf_error *err)
{
    int why = SSL_get_error(l->tls, rc);

    if (why == SSL_ERROR_WANT_READ)
        return wait_for(l, POLLIN, err);
    if (why == SSL_ERROR_WANT_WRITE)
        return wait_for(l, POLLOUT, err);
    return fail_tls(l, doing, err);
}

static bool start_tls(struct link *l, const struct uri *u, gf_error *err)
{
    struct in6_addr address;
    bool numeric = inet_pton(AF_INET, u->host, &address) == 1 || inet_pton(AF_INET6, u->host, &address) == 1;
    int rc;

    l->tls_context = SSL_CTX_new(TLS_client_method());
    if (l->tls_context == NULL || SSL_CTX_set_default_verify_paths(l->tls_context) != 1)
        return fail_tls(l, "read the system's certificates", err);
    SSL_CTX_set_verify(l->tls_context, SSL_VERIFY_PEER, NULL);
    l->tls = SSL_new(l->tls_context);
    if (l->tls == NULL || SSL_set_fd(l->tls, l->fd) != 1)
        return fail_tls(l, "begin TLS", err);
    /* Certificates name addresses in a field of their own, and SNI is for names only. */
    rc = numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->tls), u->host)
                 : SSL_set1_host(l->tls, u->host) == 1 && SSL_set_tlsext_host_name(l->tls, u->host) == 1;
    if (rc != 1)
        return fail_tls(l, "begin TLS", err);
    while ((rc = SSL_connect(l->tls)) <= 0)
        if (!tls_again(l, rc, "TLS handshake", err))
            return false;
    return true;
}

static bool send_all(struct link *l, gf_slice text, gf_error *err)
{
    while (text.len > 0) {
        size_t n = 0;
        ssize_t sent;

        if (l->tls != NULL) {
            int rc = SSL_write_ex(l->tls, text.data, text.len, &n);

            if (rc <= 0 && !tls_again(l, rc, "send", err))
                return false;
        } else if ((sent = send(l->fd, text.data, text.len, MSG_NOSIGNAL)) >= 0) {
            n = (size_t)sent;
        } else if (errno != EAGAIN) {
            return gf_fail(err, GF_ERR_RETRY, "callback %s: send: %s", l->what, strerror(errno));
        } else if (!wait_for(l, POLLOUT, err)) {
            return false;
        }
        text = gf_slice_of(text.data + n, text.len - n);
    }
    return true;
}

/* Some bytes of the answer; *len 0 for "not yet". */
static bool receive(struct link *l, char *to, size_t size, size_t *len, gf_error *err)
{
    ssize_t n;

    *len = 0;
    if (l->tls != NULL) {
        int rc = SSL_read_ex(l->tls, to, size, len);

        return rc > 0 || tls_again(l, rc, "receive", err);
    }
    n = recv(l->fd, to, size, 0);
    if (n < 0 && errno == EAGAIN)
        return wait_for(l, POLLIN, err);
    if (n <= 0)
        return gf_fail(err, GF_ERR_RETRY, "callback %s: receive: %s", l->what, n == 0 ? "closed" : strerror(errno));
    *len = (size_t)n;
    return true;
}

static void close_link(struct link *l)
{
    SSL_free(l->tls);
    SSL_CTX_free(l->tls_context);
    if (l->fd >= 0)
        close(l->fd);
    ERR_clear_error(); /* it is the thread's, and the next one to ask would take it for its own */
}

/* --- the request ------------------------------------------------------------------------------------------------ */

static void write_request(gf_buf *out, const struct uri *u, const char *payload)
{
    gf_buf body = {0};
    size_t path_len = strcspn(u->path, "#");

    gf_buf_byte(&body, '{');
    gf_jline_text(&body, "Payload", payload);
    gf_buf_byte(&body, '}');
    gf_buf_printf(out, "POST %s%.*s HTTP/1.1\r\nHost: %s\r\n", u->path[0] == '/' ? "" : "/", (int)path_len, u->path,
                  u->authority);
    gf_buf_printf(out, "User-Agent: gfreplica/%s\r\nContent-Type: application/json\r\n", GF_VERSION);
    gf_buf_printf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body.len);
    gf_buf_add(out, body.data, body.len);
    gf_buf_free(&body);
}

static bool read_status(struct link *l, gf_error *err)
{
    char line[128];
    size_t len = 0, n;
    unsigned status = 0;

    do {
        if (!receive(l, line + len, sizeof line - 1 - len, &n, err))
            return false;
        len += n;
        line[len] = '\0';
    } while (len < sizeof line - 1 && strchr(line, '\n') == NULL);
    line[strcspn(line, "\r\n")] = '\0';
    if (sscanf(line, "HTTP/1.%*1[01] %3u", &status) != 1)
        return gf_fail(err, GF_ERR_RETRY, "callback %s: the answer is no HTTP/1.1", l->what);
    return status == 200 || gf_fail(err, GF_ERR_RETRY, "callback %s: answered %s", l->what, line + 9);
}

bool gf_callback_post(const gf_callback_config *cb, const char *payload_json, gf_error *err)
{
    return gf_callback_post_unless(cb, payload_json, NULL, err);
}

bool gf_callback_post_unless(const gf_callback_config *cb, const char *payload_json, const atomic_uint *stop,
                             gf_error *err)
{
    char *what = gf_strndup(cb->uri, strcspn(cb->uri, "?#"));
    struct link l = {.what = what, .fd = -1, .deadline = gf_now_ms() + TIMEOUT_MS, .stop = stop};
    struct uri u;
    gf_buf request = {0};
    bool ok = false;

    if (!parse_uri(&u, cb->uri, what, err) || !connect_host(&l, &u, err) || (u.tls && !start_tls(&l, &u, err)))
        goto out;
    write_request(&request, &u, payload_json != NULL ? payload_json : cb->payload != NULL ? cb->payload : "");
    ok = send_all(&l, gf_slice_of(request.data, request.len), err) && read_status(&l, err);
out:
    close_link(&l);
    gf_buf_free(&request);
    free(what);
    return ok;
}

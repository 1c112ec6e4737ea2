/* SPDX-License-Identifier: MIT */
/*
 * tls_probe.c - greeting, SSLRequest, TLS handshake; nothing of a login is ever sent.
 *
 * Protocol: MySQL internals manual, "Connection Phase": Protocol::HandshakeV10, Protocol::SSLRequest. Packets are
 * `length 3 bytes | sequence number | body`.
 */
#include "tls_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CAPABILITIES = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH | CLIENT_SSL,
    UTF8MB4 = 45,
    PACKET_HEADER = 4,
    GREETING_MAX = 4096
};

/* ---- the socket ---- */

static void limit_time(int fd, const gf_server_config *cfg)
{
    struct timeval limit = {.tv_sec = cfg->connect_timeout > 0 ? cfg->connect_timeout : GF_CONNECT_TIMEOUT};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* bounds connect() too */
}

static bool fail_retry(gf_error *err, const char *what)
{
    gf_fail_errno(err, "%s", what);
    if (err != NULL)
        err->kind = GF_ERR_RETRY;
    return false;
}

static int connect_one(const struct sockaddr *address, socklen_t len, int family, gf_dial *dial,
                       const gf_server_config *cfg)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    limit_time(fd, cfg);
    gf_dial_socket(dial, fd);
    if (connect(fd, address, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_unix(gf_dial *dial, const gf_server_config *cfg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(cfg->socket) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, cfg->socket, strlen(cfg->socket));
    return connect_one((const struct sockaddr *)&address, sizeof address, AF_UNIX, dial, cfg);
}

static int connect_tcp(gf_dial *dial, const gf_server_config *cfg, gf_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[16];
    int fd = -1, code;

    snprintf(port, sizeof port, "%u", cfg->port);
    code = getaddrinfo(cfg->host, port, &hints, &list);
    if (code != 0) {
        gf_fail(err, GF_ERR_RETRY, "find the address of %s: %s", cfg->host, gai_strerror(code));
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
        fd = connect_one(a->ai_addr, a->ai_addrlen, a->ai_family, dial, cfg);
    freeaddrinfo(list);
    if (fd < 0)
        fail_retry(err, "reach the server");
    return fd;
}

static int open_socket(gf_dial *dial, const gf_server_config *cfg, gf_error *err)
{
    int fd;

    if (cfg->socket == NULL)
        return connect_tcp(dial, cfg, err);
    fd = connect_unix(dial, cfg);
    if (fd < 0)
        fail_retry(err, "reach the server's socket");
    return fd;
}

static bool receive(int fd, uint8_t *to, size_t len, gf_error *err)
{
    while (len > 0) {
        ssize_t got = recv(fd, to, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_retry(err, "read the server's greeting");
        if (got == 0)
            return gf_fail(err, GF_ERR_RETRY, "read the server's greeting: the server closed the connection");
        to += got;
        len -= (size_t)got;
    }
    return true;
}

/* ---- greeting and request ---- */

/* `ff | code u16 | text`: too many connections, host blocked, ... */
static bool fail_refused(gf_cursor *in, gf_error *err)
{
    unsigned code = gf_cursor_u16(in);
    gf_slice text = gf_cursor_bytes(in, gf_cursor_left(in));

    gf_fail(err, gf_mysql_error_kind(code), "error %u: %.*s", code, (int)text.len,
            text.data == NULL ? "" : (const char *)text.data);
    if (err != NULL)
        err->native = code;
    return false;
}

/* Does the server offer TLS? */
static bool read_greeting(bool *tls, int fd, gf_error *err)
{
    uint8_t head[PACKET_HEADER], body[GREETING_MAX];
    gf_cursor in;
    size_t len;
    uint8_t version;

    if (!receive(fd, head, sizeof head, err))
        return false;
    len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    if (len == 0 || len > sizeof body)
        return gf_fail(err, GF_ERR_CONFIG, "this is no MySQL or MariaDB server");
    if (!receive(fd, body, len, err))
        return false;
    in = gf_cursor_of(body, len);
    version = gf_cursor_u8(&in);
    if (version == 0xff)
        return fail_refused(&in, err);
    while (gf_cursor_u8(&in) != 0 && !in.bad) /* the server's version */
        ;
    gf_cursor_bytes(&in, 4 + 8 + 1); /* thread, start of the scramble, filler */
    *tls = (gf_cursor_u16(&in) & CLIENT_SSL) != 0;
    return (version == 10 && !in.bad) || gf_fail(err, GF_ERR_CONFIG, "this is no MySQL or MariaDB server");
}

static bool request_tls(int fd, gf_error *err)
{
    gf_buf packet = {0};
    static const uint8_t filler[23];
    bool ok;

    gf_buf_u32(&packet, 32 | 1U << 24); /* body of 32 bytes, sequence number 1 */
    gf_buf_u32(&packet, CAPABILITIES);
    gf_buf_u32(&packet, 1U << 24); /* largest packet */
    gf_buf_byte(&packet, UTF8MB4);
    gf_buf_add(&packet, filler, sizeof filler);
    ok = send(fd, packet.data, packet.len, MSG_NOSIGNAL) == (ssize_t)packet.len;
    gf_buf_free(&packet);
    return ok || fail_retry(err, "ask the server for TLS");
}

/* ---- TLS ---- */

static bool fail_openssl(gf_error *err, gf_error_kind kind, const char *what)
{
    char text[256] = "unknown error";
    unsigned long code = ERR_get_error();

    if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return gf_fail(err, kind, "%s: %s", what, text);
}

static bool set_trust(SSL_CTX *ctx, const gf_server_config *cfg, gf_error *err)
{
    bool ca_given = cfg->tls_ca != NULL && cfg->tls_ca[0] != '\0';

    if (cfg->tls < GF_TLS_VERIFY_CA)
        return true;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (ca_given ? SSL_CTX_load_verify_locations(ctx, cfg->tls_ca, NULL) == 1
                 : SSL_CTX_set_default_verify_paths(ctx) == 1)
        return true;
    return fail_openssl(err, GF_ERR_CONFIG, "load the TLS certificate authority");
}

static bool set_own_certificate(SSL_CTX *ctx, const gf_server_config *cfg, gf_error *err)
{
    if (cfg->tls_cert == NULL || cfg->tls_cert[0] == '\0')
        return true;
    if (SSL_CTX_use_certificate_chain_file(ctx, cfg->tls_cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, cfg->tls_key, SSL_FILETYPE_PEM) == 1)
        return true;
    return fail_openssl(err, GF_ERR_CONFIG, "load the TLS client certificate and its key");
}

static bool is_address(const char *name)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* The name that the certificate has to hold. */
static const char *expected_name(const gf_server_config *cfg)
{
    if (cfg->tls_server_name != NULL && cfg->tls_server_name[0] != '\0')
        return cfg->tls_server_name;
    return cfg->host == NULL || cfg->socket != NULL ? "localhost" : cfg->host;
}

static bool set_expected_name(SSL *ssl, const gf_server_config *cfg, gf_error *err)
{
    const char *name = expected_name(cfg);
    bool address = is_address(name);

    if (!address)
        SSL_set_tlsext_host_name(ssl, name);
    if (cfg->tls != GF_TLS_VERIFY_IDENTITY)
        return true;
    if (address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 : SSL_set1_host(ssl, name) == 1)
        return true;
    return fail_openssl(err, GF_ERR_CONFIG, "set the expected name of the server's certificate");
}

static bool fail_handshake(SSL *ssl, const gf_server_config *cfg, gf_error *err)
{
    long verdict = SSL_get_verify_result(ssl);

    if (cfg->tls >= GF_TLS_VERIFY_CA && verdict != X509_V_OK)
        return gf_fail(err, GF_ERR_CONFIG, "the server's TLS certificate does not hold for %s: %s",
                       cfg->tls == GF_TLS_VERIFY_IDENTITY ? expected_name(cfg) : "the trusted authorities",
                       X509_verify_cert_error_string(verdict));
    if (ERR_peek_error() == 0)
        return fail_retry(err, "TLS handshake");
    return fail_openssl(err, GF_ERR_CONFIG, "TLS handshake");
}

static bool take_fingerprint(char fingerprint[GF_FINGERPRINT_MAX], SSL *ssl, gf_error *err)
{
    /* Which kind the library takes: SHA-1 alone before 3.4, SHA-256 since. */
    const EVP_MD *digest = mysql_get_client_version() >= 30400 ? EVP_sha256() : EVP_sha1();
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (certificate == NULL || X509_digest(certificate, digest, bytes, &len) != 1) {
        X509_free(certificate);
        return fail_openssl(err, GF_ERR_CONFIG, "read the server's TLS certificate");
    }
    X509_free(certificate);
    for (unsigned i = 0; i < len; i++)
        snprintf(fingerprint + (size_t)3 * i, 4, i + 1 < len ? "%02X:" : "%02X", bytes[i]);
    return true;
}

static bool shake_hands(char fingerprint[GF_FINGERPRINT_MAX], int fd, const gf_server_config *cfg, gf_error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    bool ok = false;

    ERR_clear_error();
    if (ctx == NULL)
        return fail_openssl(err, GF_ERR_SYSTEM, "set up TLS");
    if (!set_trust(ctx, cfg, err) || !set_own_certificate(ctx, cfg, err))
        goto out;
    ssl = SSL_new(ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        fail_openssl(err, GF_ERR_SYSTEM, "set up TLS");
        goto out;
    }
    if (!set_expected_name(ssl, cfg, err))
        goto out;
    if (SSL_connect(ssl) != 1)
        fail_handshake(ssl, cfg, err);
    else
        ok = take_fingerprint(fingerprint, ssl, err);
out:
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return ok;
}

bool gf_tls_probe(char fingerprint[GF_FINGERPRINT_MAX], gf_dial *dial, const gf_server_config *cfg, gf_error *err)
{
    int fd = open_socket(dial, cfg, err);
    bool tls = false, ok;

    if (fd < 0)
        return false;
    ok = read_greeting(&tls, fd, err);
    if (ok && !tls)
        ok = gf_fail(err, GF_ERR_CONFIG,
                     "the server has no TLS: give it a certificate, or set its TLS mode to preferred or off");
    ok = ok && request_tls(fd, err) && shake_hands(fingerprint, fd, cfg, err);
    close(fd);
    return ok;
}

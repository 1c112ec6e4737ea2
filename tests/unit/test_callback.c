/* SPDX-License-Identifier: MIT */
/* test_callback.c - callbacks against a tiny server with a written part, plain and under TLS. */
#include "gfreplica/control.h"
#include "run_suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    pthread_t thread;
    int fd;
    unsigned port;
    SSL_CTX *tls;      /* NULL: plain */
    const char *reply; /* sent after the request is whole; NULL: nothing, and closed */
    gf_buf request;    /* what came; read after the join */
} server;

static gf_error err;
static char uri[128];

static ssize_t receive(int fd, SSL *tls, char *to, int size)
{
    return tls != NULL ? SSL_read(tls, to, size) : recv(fd, to, (size_t)size, 0);
}

static bool request_is_whole(void)
{
    const char *text = gf_buf_cstr(&server.request), *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");

    return end != NULL && length != NULL && strlen(end + 4) >= strtoul(length + 16, NULL, 10);
}

static void *serve(void *arg)
{
    int fd = accept(server.fd, NULL, NULL);
    SSL *tls = server.tls != NULL ? SSL_new(server.tls) : NULL;
    char bytes[4096];
    ssize_t n = 1;

    (void)arg;
    if (tls != NULL && (SSL_set_fd(tls, fd) != 1 || SSL_accept(tls) != 1))
        n = 0;
    while (n > 0 && !request_is_whole())
        if ((n = receive(fd, tls, bytes, sizeof bytes)) > 0)
            gf_buf_add(&server.request, bytes, (size_t)n);
    if (n > 0 && server.reply != NULL) {
        if (tls != NULL)
            SSL_write(tls, server.reply, (int)strlen(server.reply));
        else if (send(fd, server.reply, strlen(server.reply), MSG_NOSIGNAL) < 0)
            n = 0;
    }
    SSL_free(tls);
    close(fd);
    return NULL;
}

static void start(const char *reply)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    server.reply = reply;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(server.fd, 4), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&at, &len), 0);
    server.port = ntohs(at.sin_port);
    pthread_create(&server.thread, NULL, serve, NULL);
}

static bool post(const char *scheme, const char *host, const char *path, const char *payload)
{
    gf_callback_config cb = {.uri = uri, .payload = (char *)"configured"};
    bool ok;

    snprintf(uri, sizeof uri, "%s://%s:%u%s", scheme, host, server.port, path);
    ok = gf_callback_post(&cb, payload, &err);
    pthread_join(server.thread, NULL);
    return ok;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as libmariadb does in the program */
}

static void teardown(void)
{
    gf_buf_free(&server.request);
    SSL_CTX_free(server.tls);
    server.tls = NULL;
    if (server.fd > 0)
        close(server.fd);
}

START_TEST(post__sends_the_payload_as_a_string)
{
    json_t *body;
    const char *text;

    start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ck_assert_msg(post("http", "127.0.0.1", "/hook?a=b#here", "{\"a\": \"b\xC3\xA4\"}\n"), "%s", err.text);
    text = gf_buf_cstr(&server.request);
    ck_assert_int_eq(strncmp(text, "POST /hook?a=b HTTP/1.1\r\nHost: 127.0.0.1:", 41), 0);
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: application/json\r\n"));
    body = json_loads(strstr(text, "\r\n\r\n") + 4, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(body, "Payload")), "{\"a\": \"b\xC3\xA4\"}\n");
    json_decref(body);
}
END_TEST

START_TEST(post__without_a_payload_sends_the_configured_one)
{
    start("HTTP/1.0 200 OK\r\n\r\n");
    ck_assert_msg(post("http", "localhost", "", NULL), "%s", err.text);
    ck_assert_int_eq(strncmp(gf_buf_cstr(&server.request), "POST / HTTP/1.1\r\n", 17), 0);
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&server.request), "{\"Payload\":\"configured\"}"));
}
END_TEST

START_TEST(post__a_large_payload_goes_whole)
{
    char *large = gf_malloc(3000001);

    memset(large, 'x', 3000000);
    large[3000000] = '\0';
    start("HTTP/1.1 200 OK\r\n\r\n");
    ck_assert_msg(post("http", "127.0.0.1", "/", large), "%s", err.text);
    ck_assert_uint_gt(server.request.len, 3000000);
    free(large);
}
END_TEST

static const struct {
    const char *reply, *says;
} failures[] = {
    {"HTTP/1.1 500 Broken\r\n\r\n", "answered 500 Broken"},
    {"HTTP/1.1 204 No Content\r\n\r\n", "answered 204"},
    {"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n", "answered 302"},
    {"SSH-2.0-OpenSSH\r\n", "no HTTP/1.1"},
    {"HTTP/1.1 2", "closed"},
    {NULL, "closed"},
};

START_TEST(post__all_but_200_is_a_failure_to_retry)
{
    start(failures[_i].reply);
    ck_assert(!post("http", "127.0.0.1", "/hook?secret=1", "x"));
    ck_assert_int_eq(err.kind, GF_ERR_RETRY);
    ck_assert_msg(strstr(err.text, failures[_i].says) != NULL, "%s", err.text);
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(post__nobody_there_is_a_failure_to_retry)
{
    gf_callback_config cb = {.uri = uri};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    server.fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, so that nobody else is there either */
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&at, &len), 0);
    snprintf(uri, sizeof uri, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    ck_assert(!gf_callback_post(&cb, "x", &err));
    ck_assert_int_eq(err.kind, GF_ERR_RETRY);
    ck_assert_ptr_nonnull(strstr(err.text, "refused"));
}
END_TEST

static const char *const wrong_uris[] = {"ftp://host/",       "host:80/path",     "http://",
                                         "http:///path",      "http://u:p@host/", "http://[::1/",
                                         "http://host:port/", "http://host/a b",  "http://h:999999/"};

START_TEST(uri__that_is_wrong_is_the_operators)
{
    gf_callback_config cb = {.uri = (char *)wrong_uris[_i]};

    ck_assert(!gf_callback_post(&cb, "x", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
}
END_TEST

/* --- TLS: a certificate of its own, that the client trusts by SSL_CERT_FILE or does not ------------------------- */

static X509 *make_certificate(EVP_PKEY *key, const char *names)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"gfreplica test", -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    return cert;
}

static void start_tls(const char *names, bool trusted, const char *reply)
{
    static const char path[] = "/tmp/gfreplica-callback-ca.pem.XXXXXX";
    char name[sizeof path];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key, names);
    FILE *file;

    memcpy(name, path, sizeof path);
    file = fdopen(mkstemp(name), "w");
    if (trusted)
        PEM_write_X509(file, cert);
    fclose(file);
    setenv("SSL_CERT_FILE", name, 1);
    server.tls = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(server.tls, cert), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(server.tls, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    start(reply);
}

static void end_tls(void)
{
    unlink(getenv("SSL_CERT_FILE"));
    unsetenv("SSL_CERT_FILE");
}

START_TEST(tls__trusted_and_rightly_named_is_fine)
{
    start_tls("DNS:localhost,IP:127.0.0.1", true, "HTTP/1.1 200 OK\r\n\r\n");
    ck_assert_msg(post("https", _i == 0 ? "localhost" : "127.0.0.1", "/hook", "x"), "%s", err.text);
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&server.request), "{\"Payload\":\"x\"}"));
    end_tls();
}
END_TEST

START_TEST(tls__untrusted_is_refused)
{
    start_tls("DNS:localhost,IP:127.0.0.1", false, "HTTP/1.1 200 OK\r\n\r\n");
    ck_assert(!post("https", "localhost", "/hook", "x"));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "certificate refused"));
    ck_assert_uint_eq(server.request.len, 0);
    end_tls();
}
END_TEST

START_TEST(tls__another_name_is_refused)
{
    start_tls("DNS:elsewhere.invalid,IP:192.0.2.1", true, "HTTP/1.1 200 OK\r\n\r\n");
    ck_assert(!post("https", _i == 0 ? "localhost" : "127.0.0.1", "/hook", "x"));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "mismatch"));
    end_tls();
}
END_TEST

START_TEST(tls__a_failure_of_the_server_is_to_retry)
{
    start_tls("DNS:localhost", true, _i == 0 ? "HTTP/1.1 503 Later\r\n\r\n" : NULL);
    ck_assert(!post("https", "localhost", "/hook", "x"));
    ck_assert_msg(err.kind == GF_ERR_RETRY, "%s", err.text);
    end_tls();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callback");
    TCase *tc = tcase_create("callback");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, post__sends_the_payload_as_a_string);
    tcase_add_test(tc, post__without_a_payload_sends_the_configured_one);
    tcase_add_test(tc, post__a_large_payload_goes_whole);
    tcase_add_loop_test(tc, post__all_but_200_is_a_failure_to_retry, 0, sizeof failures / sizeof failures[0]);
    tcase_add_test(tc, post__nobody_there_is_a_failure_to_retry);
    tcase_add_loop_test(tc, uri__that_is_wrong_is_the_operators, 0, sizeof wrong_uris / sizeof wrong_uris[0]);
    tcase_add_loop_test(tc, tls__trusted_and_rightly_named_is_fine, 0, 2);
    tcase_add_test(tc, tls__untrusted_is_refused);
    tcase_add_loop_test(tc, tls__another_name_is_refused, 0, 2);
    tcase_add_loop_test(tc, tls__a_failure_of_the_server_is_to_retry, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

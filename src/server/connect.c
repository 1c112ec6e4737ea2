/* SPDX-License-Identifier: MIT */
/*
 * connect.c - opening a connection: transport, TLS, authentication, limits.
 *
 * TLS. MYSQL_OPT_SSL_ENFORCE promises more than it keeps: against a server without TLS libmariadb 3.3 goes on in clear
 * text, other versions refuse. That is what "preferred" means, the refusal being answered by one more attempt in clear
 * text; a handshake that fails in another way stays an error, or anybody in the middle could switch TLS off. All
 * stricter modes go through tls_probe.h first.
 */
#include <errmsg.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "session.h"
#include "tls_probe.h"

enum {
    SILENCE_MS = 10000,
    SILENCE_MIN_MS = 3000, /* a busy machine is no dead one */
    PROBES = 4             /* questions to a silent peer within that time */
};

/* Servers send packets of up to 1 GiB and a status byte, and libmariadb wants its limit above that. */
static const unsigned long MAX_PACKET = 0x7fffffffUL;

/* libmariadb's own initialisation is not safe against a second thread. Its TLS writes raise SIGPIPE when the server
   is gone: as an error code we learn it just as well. Process-wide, hence here and only once. */
static void initialise_library(void)
{
    struct sigaction now;
    /* The library writes packets of a LOAD DATA, 4 KiB each, when so much has come together. Global in the library. */
    size_t net_buffer = 64 << 10;
    MYSQL *any;

    mysql_library_init(0, NULL, NULL);
    any = mysql_init(NULL);
    if (any == NULL)
        gf_oom();
    mysql_optionsv(any, MYSQL_OPT_NET_BUFFER_LENGTH, &net_buffer);
    mysql_close(any);
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static void address_text(gf_buf *out, const gf_server_config *cfg)
{
    if (cfg->socket != NULL)
        gf_buf_printf(out, "%s %s", cfg->role == NULL ? "server" : cfg->role, cfg->socket);
    else
        gf_buf_printf(out, "%s %s:%u", cfg->role == NULL ? "server" : cfg->role, cfg->host, cfg->port);
}

/* ---- TLS ---- */

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static void set_flag(MYSQL *db, enum mysql_option option, bool on)
{
    my_bool value = on ? 1 : 0;

    mysql_optionsv(db, option, &value);
}

static bool check_tls_config(const gf_server_config *cfg, gf_error *err)
{
    const char *const files[][2] = {
        {"certificate authority", cfg->tls_ca}, {"client certificate", cfg->tls_cert}, {"client key", cfg->tls_key}};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (given(files[i][1]) && access(files[i][1], R_OK) != 0) {
            gf_fail_errno(err, "read the TLS %s %s", files[i][0], files[i][1]);
            err->kind = GF_ERR_CONFIG;
            return false;
        }
    }
    if (given(cfg->tls_cert) != given(cfg->tls_key))
        return gf_fail(err, GF_ERR_CONFIG, "a TLS client certificate needs its key and the other way round");
    return true;
}

/* fingerprint: "" when the server's certificate need not be proved. */
static void set_tls(MYSQL *db, const gf_server_config *cfg, bool tls, const char *fingerprint)
{
    /* Versions of the library differ in what they verify unasked, so it is always said. */
    set_flag(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, false);
    set_flag(db, MYSQL_OPT_SSL_ENFORCE, tls);
    if (tls && given(cfg->tls_cert)) {
        mysql_optionsv(db, MYSQL_OPT_SSL_CERT, cfg->tls_cert);
        mysql_optionsv(db, MYSQL_OPT_SSL_KEY, cfg->tls_key);
    }
    if (fingerprint[0] != '\0')
        mysql_optionsv(db, MARIADB_OPT_TLS_PEER_FP, fingerprint);
}

/* The library's own refusal, made before anything was sent to the server. */
static bool server_has_no_tls(MYSQL *db)
{
    return mysql_errno(db) == CR_SSL_CONNECTION_ERROR && strstr(mysql_error(db), "does not support it") != NULL;
}

/* ---- one attempt ---- */

static void set_timeout(MYSQL *db, enum mysql_option option, unsigned seconds)
{
    if (seconds > 0)
        mysql_optionsv(db, option, &seconds);
}

/* A server may answer any statement by asking for a file of ours. Only a writer's connection has files at all, and
   those are rows in memory (src/target/load.c); until it has them, there are none. */
static int refuse_file(void **out, const char *name, void *ctx)
{
    (void)name;
    *out = ctx;
    return 1;
}

static int read_nothing(void *ctx, char *to, unsigned int size)
{
    (void)ctx;
    (void)to;
    (void)size;
    return 0;
}

static void close_nothing(void *ctx)
{
    (void)ctx;
}

static int say_refused(void *ctx, char *text, unsigned int size)
{
    (void)ctx;
    snprintf(text, size, "the server asked for a file that it was not offered");
    return CR_UNKNOWN_ERROR;
}

static void set_files(MYSQL *db, gf_conn_use use)
{
    unsigned files = use == GF_CONN_WRITER;

    mysql_optionsv(db, MYSQL_OPT_LOCAL_INFILE, &files);
    mysql_set_local_infile_handler(db, refuse_file, read_nothing, close_nothing, say_refused, NULL);
}

static void set_options(MYSQL *db, const gf_server_config *cfg, gf_conn_use use)
{
    unsigned connect_timeout = cfg->connect_timeout > 0 ? cfg->connect_timeout : GF_CONNECT_TIMEOUT;
    my_bool reconnect = 0; /* it would come back with another session and never say so */
    unsigned protocol = cfg->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP; /* also for "localhost" */

    set_files(db, use);
    set_timeout(db, MYSQL_OPT_CONNECT_TIMEOUT, connect_timeout);
    set_timeout(db, MYSQL_OPT_READ_TIMEOUT, cfg->read_timeout);
    set_timeout(db, MYSQL_OPT_WRITE_TIMEOUT, cfg->write_timeout);
    mysql_optionsv(db, MYSQL_OPT_MAX_ALLOWED_PACKET, &MAX_PACKET);
    mysql_optionsv(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(db, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(db, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(db, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "gfreplica");
    if (use == GF_CONN_STREAM)
        mysql_optionsv(db, MYSQL_OPT_CONNECT_ATTR_ADD, "_client_role", "binary_log_listener");
}

static bool attempt(MYSQL **db, gf_dial *dial, const gf_server_config *cfg, gf_conn_use use, bool tls,
                    const char *fingerprint)
{
    *db = mysql_init(NULL);
    if (*db == NULL)
        gf_oom();
    set_options(*db, cfg, use);
    set_tls(*db, cfg, tls, fingerprint);
    return gf_dial_connect(dial, *db, cfg);
}

/* A peer that vanished without a word is noticed by what TCP no longer acknowledges, be it our data or our questions.
   A statement may take hours, so the silence of the server itself says nothing on connections other than the stream's. */
static void watch_peer(MYSQL *db, const gf_server_config *cfg)
{
    int silence = cfg->silence_ms == 0 ? SILENCE_MS : (int)cfg->silence_ms;
    int limit = silence < SILENCE_MIN_MS ? SILENCE_MIN_MS : silence;
    int pause = limit / PROBES < 1000 ? 1 : limit / PROBES / 1000;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},      {IPPROTO_TCP, TCP_KEEPIDLE, pause},     {IPPROTO_TCP, TCP_KEEPINTVL, pause},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES}, {IPPROTO_TCP, TCP_USER_TIMEOUT, limit},
    };
    int fd = (int)mysql_get_socket(db);

    /* A refusal costs nothing but a later notice. */
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* ---- errors ---- */

static void fail_connect(gf_error *err, MYSQL *db, const gf_server_config *cfg, const char *address)
{
    gf_fail_mysql(err, db, "connect to %s as %s", address, cfg->user == NULL ? "(no user)" : cfg->user);
}

/* Everything but the list that an interrupt looks at. On failure *db may be there too, for its error. */
static bool connect_as(MYSQL **db, gf_dial *dial, const gf_server_config *cfg, gf_conn_use use, const char *address,
                       gf_error *err)
{
    /* Nobody can listen on a unix socket: there "preferred" means without. */
    bool tls = cfg->tls != GF_TLS_OFF && (cfg->tls != GF_TLS_PREFERRED || cfg->socket == NULL);
    char fingerprint[GF_FINGERPRINT_MAX] = "";
    bool ok;

    if (tls &&
        (!check_tls_config(cfg, err) || (cfg->tls >= GF_TLS_REQUIRED && !gf_tls_probe(fingerprint, dial, cfg, err))))
        return gf_fail_context(err, "connect to %s", address);
    ok = attempt(db, dial, cfg, use, tls, fingerprint);
    if (!ok && tls && cfg->tls == GF_TLS_PREFERRED && server_has_no_tls(*db)) {
        mysql_close(*db);
        ok = attempt(db, dial, cfg, use, false, fingerprint);
    }
    if (!ok) {
        fail_connect(err, *db, cfg, address);
        return false;
    }
    if (cfg->socket == NULL)
        watch_peer(*db, cfg);
    return gf_session_setup(*db, cfg, use, err) || gf_fail_context(err, "%s", address);
}

bool gf_server_connect(MYSQL **out, const gf_server_config *cfg, gf_conn_use use, gf_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    gf_buf address = {0};
    MYSQL *db = NULL;
    gf_dial dial;
    bool ok;

    *out = NULL;
    pthread_once(&once, initialise_library);
    mysql_thread_init();
    address_text(&address, cfg);
    gf_dial_begin(&dial);
    ok = connect_as(&db, &dial, cfg, use, gf_buf_cstr(&address), err);
    gf_dial_end(&dial);
    if (!ok && gf_dial_interrupted()) /* whatever broke, the stop broke it */
        gf_fail(err, GF_ERR_STOPPED, "connect to %s: stopped", gf_buf_cstr(&address));
    if (ok) {
        *out = db;
        db = NULL;
    }
    gf_server_close(db);
    gf_buf_free(&address);
    return ok;
}

void gf_server_close(MYSQL *db)
{
    if (db != NULL)
        mysql_close(db);
}

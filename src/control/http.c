/* SPDX-License-Identifier: MIT */
/*
 * http.c - requests, replies, and who may ask.
 *
 * A request's body is collected first (at most BODY_MAX bytes), then the route answers. Every connection is closed
 * after its answer: askers are scripts and people, and a stopping job has no idle connections to wait for.
 *
 * There are no passwords, so what a browser may be tricked into is refused: a page of another site can post a form to
 * 127.0.0.1 (its Origin is another than our Host), or come under a name of its own that it points here (its Host is
 * neither an address nor a name of ours). Scripts send no Origin and are let through.
 */
#include "http.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "json_line.h"

#define BODY_MAX        (64 * 1024)
#define CONNECTIONS_MAX 32
#define IDLE_SECONDS    10
#define STOP_MS         1000

struct gf_http {
    gf_asked asked;
    gf_listener listener; /* its fd belongs to the daemon */
    struct MHD_Daemon *daemon;
    atomic_uint in_flight; /* requests whose headers are here and that are not answered to the last byte */
};

/* One request from its first header to the answer; libmicrohttpd keeps the pointer. */
struct request {
    gf_http *http;
    struct MHD_Connection *connection;
    gf_buf body;
    bool form; /* of a web page: answered with the way back to it */
};

typedef enum MHD_Result mhd_result;

/* --- replies --------------------------------------------------------------------------------------------------- */

/* Takes *text. */
static mhd_result reply(struct request *r, unsigned status, const char *type, gf_buf *text, const char *header,
                        const char *value)
{
    struct MHD_Response *response;
    mhd_result queued = MHD_NO;

    gf_buf_reserve(text, 1); /* no body is still a buffer */
    response = MHD_create_response_from_buffer(text->len, text->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        gf_buf_free(text);
        return MHD_NO;
    }
    *text = (gf_buf){0};
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (header != NULL)
        MHD_add_response_header(response, header, value);
    queued = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Told by the body itself: `curl -d '{...}'` calls JSON a form. */
static bool is_json(const struct request *r)
{
    size_t i = 0;

    while (i < r->body.len && strchr(" \t\r\n", r->body.data[i]) != NULL)
        i++;
    return i < r->body.len && r->body.data[i] == '{';
}

/* Takes *json. A web form is sent back to the page that it came from. */
static mhd_result reply_json(struct request *r, gf_buf *json)
{
    if (r->form && !is_json(r))
        return reply(r, MHD_HTTP_SEE_OTHER, "application/json", json, MHD_HTTP_HEADER_LOCATION, "/");
    return reply(r, MHD_HTTP_OK, "application/json", json, NULL, NULL);
}

static mhd_result refuse(struct request *r, unsigned status, const char *text)
{
    gf_buf json = {0};

    gf_ask_refusal(&json, text);
    return reply(r, status, "application/json", &json, NULL, NULL);
}

static mhd_result reply_ask(struct request *r, gf_ask ask)
{
    gf_error err;
    gf_buf json = {0};

    if (gf_ask_do(&json, &r->http->asked, ask, "http", &err))
        return reply_json(r, &json);
    gf_buf_free(&json);
    return refuse(r, MHD_HTTP_CONFLICT, err.text);
}

/* --- bodies ---------------------------------------------------------------------------------------------------- */

static const char *request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static json_t *parse_json(const struct request *r)
{
    return json_loadb((const char *)r->body.data, r->body.len, JSON_REJECT_DUPLICATES, NULL);
}

static mhd_result collect_type(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename,
                               const char *content_type, const char *encoding, const char *data, uint64_t offset,
                               size_t size)
{
    gf_buf *type = cls;

    (void)kind, (void)filename, (void)content_type, (void)encoding;
    if (strcmp(key, "type") != 0)
        return MHD_YES;
    if (offset == 0)
        gf_buf_reset(type);
    gf_buf_add(type, data, size);
    return MHD_YES;
}

/* False when it is no form that can be read. */
static bool type_of_form(gf_buf *type, const struct request *r)
{
    struct MHD_PostProcessor *processor = MHD_create_post_processor(r->connection, 1024, collect_type, type);
    bool ok;

    if (processor == NULL)
        return false;
    ok = MHD_post_process(processor, (const char *)r->body.data, r->body.len) == MHD_YES;
    return MHD_destroy_post_processor(processor) == MHD_YES && ok;
}

static bool type_of_json(gf_buf *type, const struct request *r)
{
    json_t *root = parse_json(r), *wanted = json_object_get(root, "type");
    const char *text = json_is_object(root) && wanted == NULL ? "now" : json_string_value(wanted);

    if (text != NULL)
        gf_buf_str(type, text);
    json_decref(root);
    return text != NULL;
}

/* --- routes ---------------------------------------------------------------------------------------------------- */

static mhd_result get_index(struct request *r)
{
    gf_buf page = {0};

    gf_buf_str(&page, "<!DOCTYPE html>\n<meta charset=\"utf-8\"><title>gfreplica</title>\n"
                      "<h1>gfreplica</h1>\n<p>This job answers at:</p>\n<pre>\n"
                      "GET  <a href=\"/api/status\">/api/status</a>\n"
                      "GET  <a href=\"/api/config\">/api/config</a>\n"
                      "POST /api/config    {\"DataIterationBatchSize\": N}\n"
                      "POST /api/pause\n"
                      "POST /api/unpause\n"
                      "POST /api/cutover   type=automatic or type=manual; without: now, or when caught up\n"
                      "POST /api/stop      the same command resumes\n"
                      "</pre>\n");
    return reply(r, MHD_HTTP_OK, "text/html; charset=utf-8", &page, NULL, NULL);
}

static mhd_result get_status(struct request *r)
{
    return reply_ask(r, GF_ASK_STATUS);
}

static mhd_result post_pause(struct request *r)
{
    return reply_ask(r, GF_ASK_PAUSE);
}

static mhd_result post_unpause(struct request *r)
{
    return reply_ask(r, GF_ASK_RESUME);
}

static mhd_result post_stop(struct request *r)
{
    return reply_ask(r, GF_ASK_STOP);
}

/* The wanted type, from where Ghostferry takes it: the body, else the query. False when it can't be read. */
static bool cutover_type(gf_buf *type, const struct request *r)
{
    const char *query = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "type");

    if (r->body.len > 0)
        return is_json(r) ? type_of_json(type, r) : type_of_form(type, r);
    gf_buf_str(type, query != NULL ? query : "now");
    return true;
}

static mhd_result post_cutover(struct request *r)
{
    static const struct {
        const char *type;
        gf_ask ask;
    } types[] = {{"automatic", GF_ASK_AUTOMATIC}, {"manual", GF_ASK_MANUAL}, {"now", GF_ASK_CUTOVER}};
    gf_buf type = {0};
    bool read = cutover_type(&type, r);
    size_t i = 0;

    while (i < 3 && !(read && gf_slice_eq(gf_slice_of(type.data, type.len), gf_slice_str(types[i].type))))
        i++;
    gf_buf_free(&type);
    if (i == 3)
        return refuse(r, MHD_HTTP_BAD_REQUEST, "type has to be automatic or manual, as a form or as JSON");
    return reply_ask(r, types[i].ask);
}

static mhd_result reply_config(struct request *r)
{
    gf_buf json = {0};

    gf_buf_byte(&json, '{');
    gf_jline_uint(&json, "DataIterationBatchSize", atomic_load(&r->http->asked.config->live.chunk_rows));
    gf_buf_str(&json, "}\n");
    return reply_json(r, &json);
}

/* What is wrong with it, or NULL; *rows 0 when it is not to change. */
static const char *parse_config(unsigned *rows, const json_t *root)
{
    const char *key;
    json_t *value;

    *rows = 0;
    if (!json_is_object(root))
        return "the body has to be a JSON object, as in {\"DataIterationBatchSize\": 500}";
    json_object_foreach ((json_t *)root, key, value) {
        if (strcmp(key, "DataIterationBatchSize") != 0)
            return "unknown field: only DataIterationBatchSize can be changed while the job runs";
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT_MAX)
            return "DataIterationBatchSize has to be a number of rows; 0 changes nothing";
        *rows = (unsigned)json_integer_value(value);
    }
    return NULL;
}

static mhd_result post_config(struct request *r)
{
    json_t *root = parse_json(r);
    unsigned rows;
    const char *wrong = parse_config(&rows, root);

    json_decref(root);
    if (wrong != NULL)
        return refuse(r, MHD_HTTP_BAD_REQUEST, wrong);
    if (rows > 0) {
        atomic_store(&r->http->asked.config->live.chunk_rows, rows);
        gf_log_info("chunks of at most %u rows, asked over http", rows);
    }
    return reply_config(r);
}

static mhd_result post_verify(struct request *r)
{
    return refuse(r, MHD_HTTP_NOT_IMPLEMENTED,
                  "rows are compared by the command gfreplica verify, and at the cutover with VerifyAtCutover");
}

static mhd_result post_script(struct request *r)
{
    return refuse(r, MHD_HTTP_NOT_IMPLEMENTED, "gfreplica runs no custom scripts");
}

static const struct route {
    const char *path, *method;
    mhd_result (*answer)(struct request *r);
} routes[] = {
    {"/", "GET", get_index},
    {"/api/status", "GET", get_status},
    {"/api/config", "GET", reply_config},
    {"/api/config", "POST", post_config},
    {"/api/pause", "POST", post_pause},
    {"/api/unpause", "POST", post_unpause},
    {"/api/cutover", "POST", post_cutover},
    {"/api/stop", "POST", post_stop},
    {"/api/verify", "POST", post_verify},
    {"/api/script", "POST", post_script},
};

static mhd_result answer(struct request *r, const char *path, const char *method)
{
    gf_buf allowed = {0}, json = {0};
    mhd_result result;

    if (strcmp(method, "HEAD") == 0)
        method = "GET"; /* libmicrohttpd leaves the body out */
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            gf_buf_free(&allowed);
            return routes[i].answer(r);
        }
        gf_buf_printf(&allowed, "%s%s", allowed.len > 0 ? ", " : "", routes[i].method);
    }
    if (allowed.len == 0)
        return refuse(r, MHD_HTTP_NOT_FOUND, "no such path; GET / names all");
    gf_ask_refusal(&json, "another method is needed here, see the Allow header");
    result =
        reply(r, MHD_HTTP_METHOD_NOT_ALLOWED, "application/json", &json, MHD_HTTP_HEADER_ALLOW, gf_buf_cstr(&allowed));
    gf_buf_free(&allowed);
    return result;
}

/* --- who may ask ----------------------------------------------------------------------------------------------- */

/* The host of "host:port", "[::1]:port" or "host". */
static void host_only(char *out, size_t size, const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host + 1, "]") : strcspn(host, ":");

    snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), host[0] == '[' ? host + 1 : host);
}

/* An address, localhost, or a name that this machine or the operator has given. */
static bool is_our_name(const gf_http *h, const char *host_header)
{
    char host[256], machine[256] = "";
    struct in6_addr address;

    host_only(host, sizeof host, host_header);
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return true;
    if (gethostname(machine, sizeof machine - 1) != 0)
        machine[0] = '\0';
    return strcasecmp(host, "localhost") == 0 || strcasecmp(host, h->listener.host) == 0 ||
           (machine[0] != '\0' && strcasecmp(host, machine) == 0);
}

static bool same_origin(const char *origin, const char *host)
{
    return strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

/* Why the request is refused, or NULL. Reading is harmless from a link elsewhere: the other page sees no answer. */
static const char *not_welcome(const struct request *r, bool reads)
{
    const char *host = request_header(r, MHD_HTTP_HEADER_HOST);
    const char *origin = reads ? NULL : request_header(r, MHD_HTTP_HEADER_ORIGIN);
    const char *site = reads ? NULL : request_header(r, "Sec-Fetch-Site");

    if (host == NULL)
        return origin == NULL ? NULL : "a request of a web page needs a Host header";
    if ((r->http->listener.loopback || origin != NULL) && !is_our_name(r->http, host))
        return "unknown host name: use the address of this machine instead";
    if (origin != NULL && !same_origin(origin, host))
        return "requests from pages of other sites are refused";
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return "requests from pages of other sites are refused";
    return NULL;
}

/* --- a request's life ------------------------------------------------------------------------------------------ */

static bool starts_with(const char *text, const char *prefix)
{
    return text != NULL && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* The headers are here, the body is not: what can be refused now need not be read. */
static mhd_result look_at_headers(struct request *r, const char *method)
{
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *length = request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *type = request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *why = not_welcome(r, reads);

    r->form = !reads && (starts_with(type, MHD_HTTP_POST_ENCODING_FORM_URLENCODED) ||
                         starts_with(type, MHD_HTTP_POST_ENCODING_MULTIPART_FORMDATA));
    if (why != NULL)
        return refuse(r, MHD_HTTP_FORBIDDEN, why);
    if (length != NULL && strtoull(length, NULL, 10) > BODY_MAX)
        return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
    return MHD_YES;
}

static struct request *request_new(gf_http *h, struct MHD_Connection *connection)
{
    struct request *r = gf_calloc(1, sizeof *r);

    r->http = h;
    r->connection = connection;
    atomic_fetch_add(&h->in_flight, 1);
    return r;
}

/* Called once with the headers, then with pieces of the body, then with an empty piece. */
static mhd_result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *data, size_t *size, void **state)
{
    struct request *r = *state;

    (void)version;
    if (r == NULL) {
        *state = r = request_new(cls, connection);
        return look_at_headers(r, method);
    }
    if (*size == 0)
        return answer(r, path, method);
    if (r->body.len + *size > BODY_MAX)
        return MHD_NO; /* chunked without an end: closing is the only answer that stops it */
    gf_buf_add(&r->body, data, *size);
    *size = 0;
    return MHD_YES;
}

static void on_end(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct request *r = *state;

    (void)cls, (void)connection, (void)why;
    if (r == NULL)
        return;
    atomic_fetch_sub(&r->http->in_flight, 1);
    gf_buf_free(&r->body);
    free(r);
    *state = NULL;
}

static void on_log(void *cls, const char *fmt, va_list args)
{
    char text[512];

    (void)cls;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    gf_log_debug("http: %s", text);
}

bool gf_http_start(gf_http **out, const gf_listener *listener, const gf_asked *asked, gf_error *err)
{
    gf_http *h = gf_calloc(1, sizeof *h);

    h->asked = *asked;
    h->listener = *listener;
    h->daemon =
        MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
                         MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_LISTEN_SOCKET, listener->fd,
                         MHD_OPTION_NOTIFY_COMPLETED, on_end, h, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (h->daemon == NULL) {
        close(listener->fd);
        free(h);
        return gf_fail(err, GF_ERR_SYSTEM, "start the http server on %s: libmicrohttpd refused", listener->address);
    }
    *out = h;
    return true;
}

const char *gf_http_address(const gf_http *h)
{
    return h->listener.address;
}

void gf_http_stop(gf_http *h)
{
    static const struct timespec nap = {.tv_nsec = 5 * 1000 * 1000};
    uint64_t until = gf_now_ms() + STOP_MS;
    int fd;

    if (h == NULL)
        return;
    fd = MHD_quiesce_daemon(h->daemon);
    while (atomic_load(&h->in_flight) > 0 && gf_now_ms() < until)
        nanosleep(&nap, NULL);
    MHD_stop_daemon(h->daemon);
    if (fd >= 0)
        close(fd);
    free(h);
}

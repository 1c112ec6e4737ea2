/* SPDX-License-Identifier: MIT */
/* test_http.c - the control port, asked with raw bytes as scripts, people and hostile web pages would. */
#include "gfreplica/control.h"

#include <arpa/inet.h>
#include <check.h>
#include <jansson.h>
#include <sys/socket.h>

#include "run_suite.h"
#include "unit/fake_job.h"

static char dir[] = "/tmp/gfreplica-http-XXXXXX";
static gf_config config;
static gf_control *control;
static gf_buf answer;

static void start(const char *bind_to)
{
    gf_error err;

    fake_job_reset();
    strcpy(strrchr(dir, '-') + 1, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    memset(&config, 0, sizeof config);
    config.checkpoint_dir = dir;
    config.control_enabled = true;
    config.control_bind = gf_strdup(bind_to);
    ck_assert_msg(gf_control_start(&control, &config, &fake_job, &err), "%s", err.text);
}

static void setup(void)
{
    start("127.0.0.1:0");
}

static void teardown(void)
{
    gf_control_stop(control);
    control = NULL;
    free(config.control_bind);
    gf_buf_free(&answer);
    ck_assert_int_eq(rmdir(dir), 0); /* the socket is gone */
}

static int connect_to_control(void)
{
    const char *address = gf_control_address(control);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void read_all(int fd)
{
    char bytes[4096];
    ssize_t n;

    gf_buf_reset(&answer);
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        gf_buf_add(&answer, bytes, (size_t)n);
    close(fd);
}

/* Sends the request line, headers and body, and returns the status. */
static int ask(const char *line, const char *headers, const char *body)
{
    int fd = connect_to_control(), status = 0;
    char *request = gf_asprintf("%s HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n%s", line, headers, strlen(body), body);

    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    free(request);
    read_all(fd);
    sscanf(gf_buf_cstr(&answer), "HTTP/1.1 %d", &status);
    return status;
}

static const char host[] = "Host: 127.0.0.1\r\n";
static const char form[] = "Host: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n";
static const char json[] = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n";

static json_t *answer_json(void)
{
    const char *body = strstr(gf_buf_cstr(&answer), "\r\n\r\n");

    return body != NULL ? json_loads(body + 4, 0, NULL) : NULL;
}

static void assert_answer_has(const char *part)
{
    ck_assert_msg(strstr(gf_buf_cstr(&answer), part) != NULL, "no \"%s\" in\n%s", part, gf_buf_cstr(&answer));
}

START_TEST(status__is_json_with_and_without_content_type)
{
    json_t *root;

    ck_assert_int_eq(ask("GET /api/status", host, ""), 200);
    assert_answer_has("Content-Type: application/json");
    root = answer_json();
    ck_assert_str_eq(json_string_value(json_object_get(root, "OverallState")), "copying");
    json_decref(root);
    ck_assert_int_eq(ask("GET /api/status", json, ""), 200);
}
END_TEST

START_TEST(status__of_many_tables_arrives_whole)
{
    json_t *root;

    pthread_mutex_lock(&fake_job.lock);
    fake_job.tables = 20000;
    pthread_mutex_unlock(&fake_job.lock);
    ck_assert_int_eq(ask("GET /api/status", host, ""), 200);
    root = answer_json();
    ck_assert_uint_eq(json_array_size(json_object_get(root, "AllTableNames")), 20000);
    json_decref(root);
}
END_TEST

START_TEST(pause_unpause_stop__reach_the_job)
{
    ck_assert_int_eq(ask("POST /api/pause", host, ""), 200);
    ck_assert_uint_eq(fake_job_read(&fake_job.pauses), 1);
    ck_assert_int_eq(ask("POST /api/unpause", host, ""), 200);
    ck_assert_uint_eq(fake_job_read(&fake_job.resumes), 1);
    ck_assert_int_eq(ask("POST /api/stop", json, ""), 200);
    ck_assert_uint_eq(fake_job_read(&fake_job.stops), 1);
    ck_assert_str_eq(fake_job.why, "asked to stop");
    ck_assert_uint_eq(fake_job_read(&fake_job.no_cutovers), 1);
}
END_TEST

START_TEST(form__is_sent_back_to_the_page)
{
    ck_assert_int_eq(ask("POST /api/pause", form, ""), 303);
    assert_answer_has("Location: /\r\n");
    ck_assert_uint_eq(fake_job_read(&fake_job.pauses), 1);
}
END_TEST

static const struct {
    const char *line, *headers, *body;
    int status;
    unsigned cutovers;
    int automatic; /* what AutomaticCutover becomes; -1: as it was */
} cutovers[] = {
    {"POST /api/cutover", host, "", 200, 1, -1},
    {"POST /api/cutover", json, "{}", 200, 1, -1},
    {"POST /api/cutover", form, "type=automatic", 303, 0, 1},
    {"POST /api/cutover", form, "other=1&type=auto%6datic", 303, 0, 1},
    {"POST /api/cutover", json, "{\"type\": \"automatic\"}", 200, 0, 1},
    {"POST /api/cutover", form, " {\"type\": \"automatic\"}", 200, 0, 1},
    {"POST /api/cutover?type=automatic", host, "", 200, 0, 1},
    {"POST /api/cutover", form, "type=manual", 303, 0, 0},
    {"POST /api/cutover", json, "{\"type\": \"manual\"}", 200, 0, 0},
    {"POST /api/cutover?type=manual", host, "", 200, 0, 0},
    {"POST /api/cutover", form, "type=never", 400, 0, -1},
    {"POST /api/cutover", form, "typ=automatic", 400, 0, -1},
    {"POST /api/cutover", json, "{\"type\": 1}", 400, 0, -1},
    {"POST /api/cutover", json, "[]", 400, 0, -1},
    {"POST /api/cutover", json, "{\"type\": \"automatic\"", 400, 0, -1},
    {"POST /api/cutover", json, "automatic", 400, 0, -1},
    {"POST /api/cutover", host, "type=automatic", 400, 0, -1},
};

START_TEST(cutover__by_every_way_of_asking)
{
    for (int before = 0; before < 2; before++) {
        bool after = cutovers[_i].automatic >= 0 ? cutovers[_i].automatic : before;

        atomic_store(&config.live.automatic_cutover, before);
        ck_assert_int_eq(ask(cutovers[_i].line, cutovers[_i].headers, cutovers[_i].body), cutovers[_i].status);
        ck_assert(atomic_load(&config.live.automatic_cutover) == after);
    }
    ck_assert_uint_eq(fake_job_read(&fake_job.cutovers), 2 * cutovers[_i].cutovers);
}
END_TEST

START_TEST(cutover__that_has_begun_is_not_held)
{
    fake_job_stage(GF_STAGE_CUTOVER);
    atomic_store(&config.live.automatic_cutover, true);
    ck_assert_int_eq(ask("POST /api/cutover", json, "{\"type\": \"manual\"}"), 409);
    assert_answer_has("has begun already");
    ck_assert(atomic_load(&config.live.automatic_cutover));
}
END_TEST

START_TEST(config__is_read_and_changed)
{
    ck_assert_int_eq(ask("POST /api/config", json, "{\"DataIterationBatchSize\": 500}"), 200);
    ck_assert_uint_eq(atomic_load(&config.live.chunk_rows), 500);
    ck_assert_int_eq(ask("POST /api/config", json, "{\"DataIterationBatchSize\": 0}"), 200);
    ck_assert_int_eq(ask("GET /api/config", host, ""), 200);
    assert_answer_has("{\"DataIterationBatchSize\":500}");
}
END_TEST

START_TEST(config__refuses_what_it_does_not_know)
{
    static const char *const wrong[] = {"{\"BatchSize\": 1}",
                                        "{\"DataIterationBatchSize\": -1}",
                                        "{\"DataIterationBatchSize\": \"1\"}",
                                        "{\"DataIterationBatchSize\": 99999999999}",
                                        "[1]",
                                        "",
                                        "{"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_int_eq(ask("POST /api/config", json, wrong[i]), 400);
    ck_assert_uint_eq(atomic_load(&config.live.chunk_rows), 0);
}
END_TEST

START_TEST(paths__that_are_none_and_methods_that_are_others)
{
    ck_assert_int_eq(ask("GET /", host, ""), 200);
    assert_answer_has("/api/status");
    ck_assert_int_eq(ask("HEAD /api/status", host, ""), 200);
    ck_assert_int_eq(ask("GET /nowhere", host, ""), 404);
    ck_assert_int_eq(ask("POST /api/status/", host, ""), 404);
    ck_assert_int_eq(ask("GET /api/cutover", host, ""), 405);
    assert_answer_has("Allow: POST\r\n");
    ck_assert_int_eq(ask("DELETE /api/config", host, ""), 405);
    assert_answer_has("Allow: GET, POST\r\n");
    ck_assert_int_eq(ask("POST /api/verify", host, ""), 501);
    ck_assert_int_eq(ask("POST /api/script", form, "script=x"), 501);
    ck_assert_uint_eq(fake_job_read(&fake_job.cutovers), 0);
}
END_TEST

static const struct {
    const char *headers;
    int status;
} origins[] = {
    {"Host: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:80\r\n", 200},
    {"Host: localhost:80\r\nOrigin: http://localhost:80\r\nSec-Fetch-Site: same-origin\r\n", 200},
    {"Host: [::1]:80\r\n", 200},
    {"Host: 127.0.0.1:80\r\nOrigin: http://evil.example\r\n", 403},
    {"Host: 127.0.0.1:80\r\nOrigin: null\r\n", 403},
    {"Host: 127.0.0.1:80\r\nOrigin: https://127.0.0.1:80\r\n", 403},
    {"Host: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:81\r\n", 403},
    {"Host: 127.0.0.1:80\r\nSec-Fetch-Site: cross-site\r\n", 403},
    {"Host: evil.example\r\nOrigin: http://evil.example\r\n", 403},
    {"Host: evil.example\r\n", 403},
};

START_TEST(origin__of_another_site_is_refused)
{
    ck_assert_int_eq(ask("POST /api/cutover", origins[_i].headers, ""), origins[_i].status);
    ck_assert_uint_eq(fake_job_read(&fake_job.cutovers), origins[_i].status == 200);
}
END_TEST

START_TEST(body__too_large_is_refused)
{
    int fd;
    char piece[8193 + 16];
    ssize_t n = 1;

    ck_assert_int_eq(ask("POST /api/cutover", "Host: 127.0.0.1\r\nContent-Length: 10000000\r\nX-", ""), 413);

    /* Without an end and without a length: closed after a while. */
    fd = connect_to_control();
    snprintf(piece, sizeof piece, "POST /api/cutover HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n", host);
    ck_assert_int_gt(send(fd, piece, strlen(piece), MSG_NOSIGNAL), 0);
    snprintf(piece, sizeof piece, "1000\r\n%04096d\r\n", 0);
    for (int i = 0; i < 2000 && n > 0; i++)
        n = send(fd, piece, strlen(piece), MSG_NOSIGNAL);
    ck_assert_int_le(n, 0);
    close(fd);
    ck_assert_uint_eq(fake_job_read(&fake_job.cutovers), 0);
    ck_assert_int_eq(ask("GET /api/status", host, ""), 200);
}
END_TEST

START_TEST(silent_connections__do_not_keep_others_out)
{
    int idle[20];

    for (int i = 0; i < 20; i++)
        idle[i] = connect_to_control();
    ck_assert_int_eq(ask("GET /api/status", host, ""), 200);
    for (int i = 0; i < 20; i++)
        close(idle[i]);
}
END_TEST

static void *stop_soon(void *arg)
{
    while (fake_job_read(&fake_job.stops) == 0)
        usleep(100);
    gf_control_stop(arg);
    return NULL;
}

START_TEST(stop__answers_before_the_port_is_gone)
{
    pthread_t stopper;

    for (int i = 0; i < 20; i++) {
        pthread_create(&stopper, NULL, stop_soon, control);
        ck_assert_int_eq(ask("POST /api/stop", host, ""), 200);
        pthread_join(stopper, NULL);
        free(config.control_bind);
        rmdir(dir);
        start("127.0.0.1:0");
    }
}
END_TEST

START_TEST(start__goes_without_http_when_the_default_port_is_in_use)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    gf_config other = {.checkpoint_dir = dir, .control_enabled = true};
    gf_control *second = NULL;
    gf_error err;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_port = htons(8000);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0) /* else it is somebody else's, which is as good */
        ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_msg(gf_control_start(&second, &other, &fake_job, &err), "%s", err.text);
    ck_assert_str_eq(gf_control_address(second), "");
    gf_control_stop(second);
    close(fd);
}
END_TEST

START_TEST(start__refuses_a_configured_port_that_is_in_use_or_none)
{
    gf_control *second = NULL;
    gf_error err;
    gf_config other = {.checkpoint_dir = dir, .control_enabled = true};

    other.control_bind = gf_strdup(gf_control_address(control));
    ck_assert(!gf_control_start(&second, &other, &fake_job, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, other.control_bind));
    free(other.control_bind);

    other.control_bind = gf_strdup("nonsense");
    ck_assert(!gf_control_start(&second, &other, &fake_job, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    free(other.control_bind);

    other.control_enabled = false;
    other.control_bind = NULL;
    ck_assert(gf_control_start(&second, &other, &fake_job, &err));
    ck_assert_str_eq(gf_control_address(second), "");
    gf_control_stop(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tc = tcase_create("http");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, status__is_json_with_and_without_content_type);
    tcase_add_test(tc, status__of_many_tables_arrives_whole);
    tcase_add_test(tc, pause_unpause_stop__reach_the_job);
    tcase_add_test(tc, form__is_sent_back_to_the_page);
    tcase_add_loop_test(tc, cutover__by_every_way_of_asking, 0, sizeof cutovers / sizeof cutovers[0]);
    tcase_add_test(tc, cutover__that_has_begun_is_not_held);
    tcase_add_test(tc, config__is_read_and_changed);
    tcase_add_test(tc, config__refuses_what_it_does_not_know);
    tcase_add_test(tc, paths__that_are_none_and_methods_that_are_others);
    tcase_add_loop_test(tc, origin__of_another_site_is_refused, 0, sizeof origins / sizeof origins[0]);
    tcase_add_test(tc, body__too_large_is_refused);
    tcase_add_test(tc, silent_connections__do_not_keep_others_out);
    tcase_add_test(tc, stop__answers_before_the_port_is_gone);
    tcase_add_test(tc, start__goes_without_http_when_the_default_port_is_in_use);
    tcase_add_test(tc, start__refuses_a_configured_port_that_is_in_use_or_none);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

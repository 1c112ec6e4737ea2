/* SPDX-License-Identifier: MIT */
/* test_control_socket.c - control.sock and its client: one line asked, one line answered. */
#include "gfreplica/control.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "run_suite.h"
#include "unit/fake_job.h"

static char root[] = "/tmp/gfreplica-sock-XXXXXX";
static char *dir;
static gf_config config;
static gf_control *control;
static gf_buf answer;
static gf_error err;

static void setup(void)
{
    fake_job_reset();
    strcpy(strrchr(root, '-') + 1, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    dir = gf_strdup(root);
}

static void teardown(void)
{
    gf_control_stop(control);
    control = NULL;
    gf_buf_free(&answer);
    ck_assert_int_eq(rmdir(dir), 0); /* the socket is gone */
    free(dir);
}

static void start(void)
{
    memset(&config, 0, sizeof config);
    config.checkpoint_dir = dir;
    ck_assert_msg(gf_control_start(&control, &config, &fake_job, &err), "%s", err.text);
}

static int connect_raw(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%.80s/control.sock", dir);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

START_TEST(request__reaches_the_job)
{
    start();
    ck_assert(gf_control_request(NULL, dir, "pause", &err));
    ck_assert(gf_control_request(NULL, dir, "resume", &err));
    ck_assert(gf_control_request(&answer, dir, "cutover", &err));
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&answer), "\"Stage\":\"copying\""));
    ck_assert(gf_control_request(NULL, dir, "stop", &err));
    ck_assert_uint_eq(fake_job_read(&fake_job.pauses), 1);
    ck_assert_uint_eq(fake_job_read(&fake_job.resumes), 1);
    ck_assert_uint_eq(fake_job_read(&fake_job.cutovers), 1);
    ck_assert_uint_eq(fake_job_read(&fake_job.stops), 1);
}
END_TEST

START_TEST(cutover__says_when_a_crash_would_forget_it)
{
    start();
    ck_assert(gf_control_request(&answer, dir, "cutover", &err));
    ck_assert_ptr_null(strstr(gf_buf_cstr(&answer), "ask again"));
    count(&fake_job, &fake_job.forgetful);
    ck_assert(gf_control_request(&answer, dir, "cutover", &err));
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&answer), "ask again"));
}
END_TEST

START_TEST(status__is_the_document_however_long)
{
    json_t *doc;

    start();
    pthread_mutex_lock(&fake_job.lock);
    fake_job.tables = 20000;
    pthread_mutex_unlock(&fake_job.lock);
    ck_assert_msg(gf_control_request(&answer, dir, "status", &err), "%s", err.text);
    doc = json_loadb((const char *)answer.data, answer.len, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(doc, "TotalTableCount")), 20000);
    json_decref(doc);
}
END_TEST

START_TEST(unknown_request__is_an_error_at_the_client)
{
    start();
    ck_assert(!gf_control_request(&answer, dir, "explode", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_str_eq(err.text, "unknown request: status, pause, resume, cutover or stop");
    ck_assert_uint_eq(answer.len, 0);
}
END_TEST

START_TEST(client__names_the_directory_when_no_job_runs)
{
    ck_assert(!gf_control_request(&answer, dir, "status", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    ck_assert(!gf_control_request(&answer, "/nonexistent", "status", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
}
END_TEST

/* What a killed process leaves: a socket that nobody listens on. */
START_TEST(stale_socket__is_told_from_a_running_job_and_replaced)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%.80s/control.sock", dir);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    ck_assert(!gf_control_request(&answer, dir, "status", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "no job runs"));
    start();
    ck_assert(gf_control_request(&answer, dir, "status", &err));
}
END_TEST

START_TEST(socket__is_for_its_user_alone)
{
    struct stat st;
    char *path = gf_asprintf("%s/control.sock", dir);
    mode_t before = umask(0);

    start();
    umask(before);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    free(path);
}
END_TEST

static void remove_up_to_root(char *path)
{
    while (strlen(path) > strlen(root)) {
        ck_assert_int_eq(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
}

START_TEST(path__longer_than_a_sockets_is_fine)
{
    gf_buf path = {0};

    gf_buf_str(&path, root);
    for (int i = 0; i < 10; i++) {
        gf_buf_printf(&path, "/%040d", i);
        ck_assert_int_eq(mkdir(gf_buf_cstr(&path), 0700), 0);
    }
    free(dir);
    dir = gf_strdup(gf_buf_cstr(&path));
    start();
    ck_assert_msg(gf_control_request(&answer, dir, "status", &err), "%s", err.text);
    gf_control_stop(control);
    control = NULL;
    ck_assert(!gf_control_request(&answer, dir, "status", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "no job runs"));
    remove_up_to_root(dir);
    gf_buf_free(&path);
}
END_TEST

START_TEST(line__may_come_in_pieces_or_without_its_end)
{
    char bytes[4096];
    int fd;

    start();
    fd = connect_raw();
    ck_assert_int_eq(send(fd, "pa", 2, 0), 2);
    usleep(20000);
    ck_assert_int_eq(send(fd, "use\r\n", 5, 0), 5);
    ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
    close(fd);
    fd = connect_raw();
    ck_assert_int_eq(send(fd, "pause", 5, 0), 5);
    shutdown(fd, SHUT_WR);
    ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
    close(fd);
    ck_assert_uint_eq(fake_job_read(&fake_job.pauses), 2);
}
END_TEST

START_TEST(bad_clients__leave_it_working)
{
    char noise[1000];
    int fd;

    memset(noise, 'x', sizeof noise);
    start();
    fd = connect_raw(); /* too long a line */
    ck_assert_int_gt(send(fd, noise, sizeof noise, 0), 0);
    close(connect_raw()); /* asks nothing */
    close(fd);
    fd = connect_raw(); /* does not wait for its answer */
    ck_assert_int_gt(send(fd, "status\n", 7, 0), 0);
    close(fd);
    ck_assert(gf_control_request(&answer, dir, "status", &err));
}
END_TEST

START_TEST(stop__does_not_wait_for_a_silent_client)
{
    uint64_t begin;
    int fd;

    start();
    fd = connect_raw();
    usleep(20000); /* it is being served */
    begin = gf_now_ms();
    gf_control_stop(control);
    control = NULL;
    ck_assert_uint_lt(gf_now_ms() - begin, 1000);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control_socket");
    TCase *tc = tcase_create("control_socket");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, request__reaches_the_job);
    tcase_add_test(tc, cutover__says_when_a_crash_would_forget_it);
    tcase_add_test(tc, status__is_the_document_however_long);
    tcase_add_test(tc, unknown_request__is_an_error_at_the_client);
    tcase_add_test(tc, client__names_the_directory_when_no_job_runs);
    tcase_add_test(tc, stale_socket__is_told_from_a_running_job_and_replaced);
    tcase_add_test(tc, socket__is_for_its_user_alone);
    tcase_add_test(tc, path__longer_than_a_sockets_is_fine);
    tcase_add_test(tc, line__may_come_in_pieces_or_without_its_end);
    tcase_add_test(tc, bad_clients__leave_it_working);
    tcase_add_test(tc, stop__does_not_wait_for_a_silent_client);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

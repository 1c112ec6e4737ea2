/* SPDX-License-Identifier: MIT */
/*
 * client.c - the asking side of control.sock.
 *
 * The request is one line, the answer is read until the job closes; {"Error": ...} becomes an error here.
 */
#include "gfreplica/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "socket.h"

#define SILENCE_SECONDS 30

static bool connect_to(int *fd, const char *dir, gf_error *err)
{
    const struct timeval silence = {.tv_sec = SILENCE_SECONDS};
    struct sockaddr_un address;
    int dir_fd, rc = 0;

    if (!gf_socket_address(&address, &dir_fd, dir, err))
        return false;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) != 0 ||
        setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence) != 0 ||
        connect(*fd, (struct sockaddr *)&address, sizeof address) != 0)
        rc = errno;
    if (dir_fd >= 0)
        close(dir_fd);
    if (rc == 0)
        return true;
    if (*fd >= 0)
        close(*fd);
    errno = rc;
    if (rc == ENOENT || rc == ECONNREFUSED)
        return gf_fail(err, GF_ERR_CONFIG, "no job runs on checkpoint directory %s", dir);
    return gf_fail_errno(err, "connect to %s/%s", dir, GF_CONTROL_SOCKET);
}

static bool send_line(int fd, const char *request, gf_error *err)
{
    char *line = gf_asprintf("%s\n", request);
    size_t len = strlen(line), done = 0;
    ssize_t n = 0;

    while (done < len && (n = send(fd, line + done, len - done, MSG_NOSIGNAL)) > 0)
        done += (size_t)n;
    free(line);
    return done == len || gf_fail_errno(err, "ask the running job");
}

static bool receive_all(gf_buf *answer, int fd, gf_error *err)
{
    ssize_t n;

    do {
        gf_buf_reserve(answer, 4096);
        n = recv(fd, answer->data + answer->len, answer->cap - answer->len, 0);
        if (n > 0)
            answer->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 || gf_fail_errno(err, "hear from the running job");
}

/* A whole answer is a line; the job may have ended while it wrote. */
static bool check_answer(const gf_buf *answer, gf_error *err)
{
    static const char refusal[] = "{\"Error\":";
    json_t *root;
    const char *text;

    if (answer->len == 0 || answer->data[answer->len - 1] != '\n')
        return gf_fail(err, GF_ERR_SYSTEM, "the running job ended before it had answered");
    if (answer->len < sizeof refusal || memcmp(answer->data, refusal, sizeof refusal - 1) != 0)
        return true;
    root = json_loadb((const char *)answer->data, answer->len, 0, NULL);
    text = json_string_value(json_object_get(root, "Error"));
    gf_fail(err, GF_ERR_CONFIG, "%s", text != NULL ? text : "the running job refused");
    json_decref(root);
    return false;
}

bool gf_control_request(gf_buf *answer, const char *dir, const char *request, gf_error *err)
{
    gf_buf text = {0};
    int fd;
    bool ok;

    if (!connect_to(&fd, dir, err))
        return false;
    ok = send_line(fd, request, err) && receive_all(&text, fd, err) && check_answer(&text, err);
    if (ok && answer != NULL)
        gf_buf_add(answer, text.data, text.len);
    close(fd);
    gf_buf_free(&text);
    return ok;
}

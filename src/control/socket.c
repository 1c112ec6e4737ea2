/* SPDX-License-Identifier: MIT */
/*
 * socket.c - a unix socket in the checkpoint directory.
 *
 * A socket's path has 107 bytes, a directory's may have thousands: a long one is named by way of
 * /proc/self/fd/N/control.sock, where N is the directory, opened.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gfreplica/log.h"

#define LINE_MAX_BYTES 256
#define READ_MS        2000
#define WRITE_MS       1000 /* without any progress */

struct gf_socket {
    gf_asked asked;
    int dir_fd; /* -1 for a short path */
    struct sockaddr_un address;
    int listen_fd;
    int wake_fd; /* readable once the thread is to end */
    pthread_t thread;
};

bool gf_socket_address(struct sockaddr_un *out, int *dir_fd, const char *dir, gf_error *err)
{
    int len;

    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    *dir_fd = -1;
    len = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", dir, GF_CONTROL_SOCKET);
    if (len >= 0 && (size_t)len < sizeof out->sun_path)
        return true;
    *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0)
        return gf_fail_errno(err, "open checkpoint directory %s", dir);
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", *dir_fd, GF_CONTROL_SOCKET);
    return true;
}

/* --- one request ------------------------------------------------------------------------------------------------ */

/* Until fd is ready; false after `ms` without, or when the thread is to end (if it may be interrupted). */
static bool wait_for(const gf_socket *s, int fd, short events, int ms, bool interruptible)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = s->wake_fd, .events = POLLIN}};
    int ready;

    do {
        ready = poll(fds, interruptible ? 2 : 1, ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && fds[0].revents != 0 && fds[1].revents == 0;
}

/* The line without its end; false when there is none in time. A closed writing side ends it too. */
static bool read_line(char line[LINE_MAX_BYTES], const gf_socket *s, int fd)
{
    size_t len = 0;
    char *end;

    while (len < LINE_MAX_BYTES - 1 && wait_for(s, fd, POLLIN, READ_MS, true)) {
        ssize_t n = recv(fd, line + len, LINE_MAX_BYTES - 1 - len, 0);

        if (n < 0)
            return false;
        len += (size_t)n;
        line[len] = '\0';
        end = strpbrk(line, "\r\n");
        if (end != NULL)
            *end = '\0';
        if (end != NULL || n == 0)
            return true;
    }
    return false;
}

static void write_all(const gf_socket *s, int fd, gf_slice text)
{
    size_t done = 0;

    while (done < text.len && wait_for(s, fd, POLLOUT, WRITE_MS, false)) {
        ssize_t n = send(fd, text.data + done, text.len - done, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return; /* who asked is gone */
        done += n > 0 ? (size_t)n : 0;
    }
}

static void serve(const gf_socket *s, int fd)
{
    char line[LINE_MAX_BYTES];
    gf_buf answer = {0};
    gf_ask ask;
    gf_error err;

    if (!read_line(line, s, fd))
        return;
    if (!gf_ask_parse(&ask, line))
        gf_ask_refusal(&answer, "unknown request: status, pause, resume, cutover or stop");
    else if (!gf_ask_do(&answer, &s->asked, ask, GF_CONTROL_SOCKET, &err))
        gf_ask_refusal(&answer, err.text);
    write_all(s, fd, gf_slice_of(answer.data, answer.len));
    gf_buf_free(&answer);
}

static void *run(void *arg)
{
    const gf_socket *s = arg;

    gf_log_thread("control");
    while (wait_for(s, s->listen_fd, POLLIN, -1, true)) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            serve(s, fd);
            close(fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            wait_for(s, s->wake_fd, POLLIN, 100, true); /* the connection stays queued: don't spin */
        }
    }
    return NULL;
}

/* --- its life --------------------------------------------------------------------------------------------------- */

static bool open_socket(gf_socket *s, const char *dir, gf_error *err)
{
    if (!gf_socket_address(&s->address, &s->dir_fd, dir, err))
        return false;
    if (unlink(s->address.sun_path) != 0 && errno != ENOENT)
        return gf_fail_errno(err, "remove the stale %s/%s", dir, GF_CONTROL_SOCKET);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0)
        return gf_fail_errno(err, "make a unix socket");
    /* Linux gives the file the mode of its socket, so it never has another one. */
    if (fchmod(s->listen_fd, 0600) != 0 || bind(s->listen_fd, (struct sockaddr *)&s->address, sizeof s->address) != 0)
        return gf_fail_errno(err, "bind %s/%s", dir, GF_CONTROL_SOCKET);
    if (chmod(s->address.sun_path, 0600) != 0 || listen(s->listen_fd, 16) != 0)
        return gf_fail_errno(err, "listen on %s/%s", dir, GF_CONTROL_SOCKET);
    s->wake_fd = eventfd(0, EFD_CLOEXEC);
    return s->wake_fd >= 0 || gf_fail_errno(err, "make an eventfd");
}

static void close_socket(gf_socket *s)
{
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s);
}

/* Signals are for the thread that waits for them (house rule), so this one has none. */
static bool start_thread(gf_socket *s, gf_error *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 || gf_fail(err, GF_ERR_SYSTEM, "start the thread of %s: %s", GF_CONTROL_SOCKET, strerror(rc));
}

bool gf_socket_start(gf_socket **out, const char *dir, const gf_asked *asked, gf_error *err)
{
    gf_socket *s = gf_calloc(1, sizeof *s);

    s->asked = *asked;
    s->dir_fd = s->listen_fd = s->wake_fd = -1;
    if (!open_socket(s, dir, err) || !start_thread(s, err)) {
        close_socket(s);
        return false;
    }
    *out = s;
    return true;
}

void gf_socket_stop(gf_socket *s)
{
    if (s == NULL)
        return;
    if (eventfd_write(s->wake_fd, 1) == 0)
        pthread_join(s->thread, NULL);
    unlink(s->address.sun_path);
    close_socket(s);
}

/* SPDX-License-Identifier: MIT */
/* control.c - the two ways in to a running job, started and stopped together. */
#include "gfreplica/control.h"

#include <errno.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "http.h"
#include "socket.h"

#define DEFAULT_BIND "127.0.0.1:8000"

struct gf_control {
    gf_http *http;     /* owned; NULL when off or its default port is taken */
    gf_socket *socket; /* owned */
};

/* Two jobs on one machine both have the default port: the second one does without. */
static bool start_http(gf_control *c, const gf_asked *asked, gf_error *err)
{
    const char *bind_to = asked->config->control_bind != NULL ? asked->config->control_bind : DEFAULT_BIND;
    gf_listener listener;

    if (!gf_listen(&listener, bind_to, err)) {
        if (err->native != EADDRINUSE || strcmp(bind_to, DEFAULT_BIND) != 0)
            return false;
        gf_log_warn("no http for this job: %s; use `gfreplica status`, or another address", err->text);
        return true;
    }
    if (!listener.loopback)
        gf_log_warn("control port %s is open to other machines and has no passwords", listener.address);
    if (!gf_http_start(&c->http, &listener, asked, err))
        return false;
    gf_log_info("http on %s", gf_http_address(c->http));
    return true;
}

bool gf_control_start(gf_control **out, gf_config *config, gf_job *job, gf_error *err)
{
    const gf_asked asked = {.config = config, .job = job};
    gf_control *c = gf_calloc(1, sizeof *c);
    gf_error own; /* start_http looks at it */

    err = err != NULL ? err : &own;
    if (!gf_socket_start(&c->socket, config->checkpoint_dir, &asked, err) ||
        (config->control_enabled && !start_http(c, &asked, err))) {
        gf_control_stop(c);
        return false;
    }
    *out = c;
    return true;
}

const char *gf_control_address(const gf_control *c)
{
    return c->http != NULL ? gf_http_address(c->http) : "";
}

void gf_control_stop(gf_control *c)
{
    if (c == NULL)
        return;
    gf_http_stop(c->http);
    gf_socket_stop(c->socket);
    free(c);
}

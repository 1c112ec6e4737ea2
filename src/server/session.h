/* SPDX-License-Identifier: MIT */
/*
 * session.h - what a connection's session is set to before anybody uses it.
 */
#ifndef GFREPLICA_SERVER_SESSION_H
#define GFREPLICA_SERVER_SESSION_H

#include "gfreplica/server.h"

/* Sets the operator's own session variables (cfg->params), then all that `use` needs: on those rows depend, and they win. */
GF_MUST_CHECK bool gf_session_setup(MYSQL *db, const gf_server_config *cfg, gf_conn_use use, gf_error *err);

#endif

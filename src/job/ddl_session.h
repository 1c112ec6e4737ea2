/* SPDX-License-Identifier: MIT */
/*
 * ddl_session.h - a session on the target like the one in which the source ran a statement.
 *
 * Threads: the stream thread's alone.
 */
#ifndef GFREPLICA_JOB_DDL_SESSION_H
#define GFREPLICA_JOB_DDL_SESSION_H

#include "gfreplica/decoder.h"
#include "gfreplica/server.h"

typedef struct {
    const gf_server_info *source, *target; /* borrowed */
    MYSQL *source_db, *target_db; /* borrowed; plain connections, to ask; the source's for MariaDB and a zone SYSTEM */
    bool lax;                     /* foreign keys are not checked: rows that they refer to may not be there yet */
} gf_ddl_place;

/* What can be told before anything is done: DATA error when the event does not tell what the statement may depend on. */
GF_MUST_CHECK bool gf_ddl_session_known(const gf_ddl_place *p, const gf_statement *s, gf_error *err);
/* Sets `db` up for the statement, which is run in it next and nothing else ever. Its default database is `database`,
   NULL: none. */
GF_MUST_CHECK bool gf_ddl_session_setup(MYSQL *db, const gf_ddl_place *p, const gf_statement *s, const char *database,
                                        gf_error *err);

#endif

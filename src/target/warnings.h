/* SPDX-License-Identifier: MIT */
/*
 * warnings.h - what a statement is called in a message, and whether what it warned of may be a difference.
 *
 * Threads: as the connection's.
 */
#ifndef GFREPLICA_TARGET_WARNINGS_H
#define GFREPLICA_TARGET_WARNINGS_H

#include "batch_sql.h"
#include "gfreplica/server.h"

/* Of the connection's last statement. DATA, with the statement in front, for a warning that is not known to be
   harmless, and when there are more than the server lists. */
GF_MUST_CHECK bool gf_warnings_check(MYSQL *db, const gf_stmt *stmt, gf_error *err);

/* "write db.t (id=5)" in front of *err, with the key where the statement holds one row; false. */
bool gf_stmt_context(const gf_stmt *stmt, gf_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * databases.h - the target's databases, with the source's default character sets.
 */
#ifndef GFREPLICA_JOB_DATABASES_H
#define GFREPLICA_JOB_DATABASES_H

#include "gfreplica/server.h"

/* Creates the target database of the source's `db` where it is missing. One that is there keeps its defaults: they matter
   only for tables that are created later. Both connections are GF_CONN_PLAIN. */
GF_MUST_CHECK bool gf_databases_create(MYSQL *source, MYSQL *target, const gf_config *config, const char *db,
                                       const char *target_db, gf_error *err);
/* Those of all tables. */
GF_MUST_CHECK bool gf_databases_create_all(MYSQL *source, MYSQL *target, const gf_config *config,
                                           const gf_table *const *tables, size_t count, gf_error *err);

/* The default collation of a database, owned by the caller; NULL where there is no such database. */
GF_MUST_CHECK bool gf_databases_default(char **out, MYSQL *server, const char *db, gf_error *err);
/* What a collation of the source becomes on the target (--map-collation): borrowed from config, or the same. */
const char *gf_databases_collation(const gf_config *config, const char *collation);

#endif

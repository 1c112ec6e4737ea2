/* SPDX-License-Identifier: MIT */
/*
 * databases.h - the target's databases, with the source's default character sets.
 */
#ifndef GFREPLICA_JOB_DATABASES_H
#define GFREPLICA_JOB_DATABASES_H

#include "gfreplica/server.h"

/* Creates the target database of every table where it is missing. One that is there keeps its defaults: they matter
   only for tables that are created later. Both connections are GF_CONN_PLAIN. */
GF_MUST_CHECK bool gf_databases_create(MYSQL *source, MYSQL *target, const gf_config *config,
                                       const gf_table *const *tables, size_t count, gf_error *err);

#endif

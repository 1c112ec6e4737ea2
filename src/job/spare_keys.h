/* SPDX-License-Identifier: MIT */
/*
 * spare_keys.h - keys that a server makes for a foreign key by itself, and drops by itself when another one will do.
 *
 * Threads: no state.
 */
#ifndef GFREPLICA_JOB_SPARE_KEYS_H
#define GFREPLICA_JOB_SPARE_KEYS_H

#include <mysql.h>

#include "gfreplica/error.h"

/* A key that the source does not have: drops it from the target's table if it may be one that the source's server has dropped
   by itself, and says so. *dropped false: it is none, and stays. */
GF_MUST_CHECK bool gf_spare_key_drop(bool *dropped, MYSQL *target, const char *db, const char *name, const char *key,
                                     gf_error *err);

#endif

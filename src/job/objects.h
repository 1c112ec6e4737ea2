/* SPDX-License-Identifier: MIT */
/*
 * objects.h - views, triggers, routines and events: listed as left out, or created at the cutover.
 *
 * Only what the source's user may see is known. Threads: the caller's; source and target are plain connections.
 */
#ifndef GFREPLICA_JOB_OBJECTS_H
#define GFREPLICA_JOB_OBJECTS_H

#include "gfreplica/server.h"

/* A line "VIEW db.name" each, appended. */
GF_MUST_CHECK bool gf_objects_list(gf_buf *lines, MYSQL *source, const gf_filter *f, gf_error *err);
/* Creates all that are not there yet, with their own sql_mode, character sets, time zone and definer. CONFIG error when some could not be created; each is logged with its reason. */
GF_MUST_CHECK bool gf_objects_create(MYSQL *source, MYSQL *target, const gf_config *config, gf_error *err);

#endif

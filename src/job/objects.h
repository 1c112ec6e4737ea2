/* SPDX-License-Identifier: MIT */
/*
 * objects.h - views, triggers, routines and events: listed as left out, or created at the cutover.
 *
 * Only what the source's user may see is known. Threads: the caller's; source and target are plain connections.
 */
#ifndef GFREPLICA_JOB_OBJECTS_H
#define GFREPLICA_JOB_OBJECTS_H

#include "gfreplica/target.h"

/* A line "VIEW db.name" each, appended. */
GF_MUST_CHECK bool gf_objects_list(gf_buf *lines, MYSQL *source, const gf_filter *f, gf_error *err);
/* What an object's text means, and what is kept with it, is decided by the session in which it is made. Borrowed texts;
   NULL: the source does not keep it for this kind. */
typedef struct {
    const char *mode, *zone, *charset, *collation;
} gf_objects_author;

/* This session becomes one like that. */
GF_MUST_CHECK bool gf_objects_session(MYSQL *target, const gf_objects_author *a, gf_error *err);
/* Whose objects are created, and what is asked of it. Borrowed. */
typedef struct {
    MYSQL *source, *target;
    const gf_config *config;
    /* All else is made, and these triggers and events (or none) are going to be: true when that is remembered whatever dies. */
    bool (*announced)(void *ctx, const gf_marker_object *acting, size_t count, gf_error *err);
    bool (*still_ours)(void *ctx, gf_error *err); /* before each of them */
    void *ctx;
} gf_objects_job;

/* Creates all that are not there yet, with their own sql_mode, character sets, time zone and definer. CONFIG error when some
   could not be created; each is logged with its reason. RETRY when a link was lost. */
GF_MUST_CHECK bool gf_objects_create(const gf_objects_job *job, gf_error *err);
/* One that was announced, if it is there. */
GF_MUST_CHECK bool gf_objects_drop(MYSQL *target, const gf_marker_object *o, gf_error *err);

#endif

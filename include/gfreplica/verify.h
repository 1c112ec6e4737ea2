/* SPDX-License-Identifier: MIT */
/*
 * verify.h - compare the rows of source and target, byte for byte, also while both change.
 *
 * Only reads. Each row is read on both sides; what is unlike is read again until it is alike, or is surely different
 * (rule V of docs/ARCHITECTURE.md).
 */
#ifndef GFREPLICA_VERIFY_H
#define GFREPLICA_VERIFY_H

#include "gfreplica/catalog.h"
#include "gfreplica/server.h"

typedef struct {
    const gf_config *config;               /* borrowed, like all here; its filter as the source's names want it */
    const gf_server_info *source, *target; /* of these servers */
    const gf_table *const *tables;
    size_t count;
    /* Waits until the target has all that is in the source's binlog before `end`, or until nothing writes to it any more.
       control: the calling thread's connection to the target (GF_CONN_PLAIN). Called by any thread of the comparison. */
    bool (*reached)(void *ctx, MYSQL *control, const gf_position *end, gf_error *err);
    bool (*stopped)(void *ctx); /* called often, by any thread of the comparison; NULL: never */
    void *ctx;
} gf_verify_options;

typedef enum {
    GF_VERIFY_DIFFERS, /* on both sides, unlike */
    GF_VERIFY_MISSING, /* not on the target */
    GF_VERIFY_EXTRA,   /* on the target alone */
    GF_VERIFY_TABLE,   /* the table itself: `what` says it */
} gf_verify_kind;
const char *gf_verify_kind_name(gf_verify_kind kind); /* "differs", "missing", ... */

typedef struct {
    gf_verify_kind kind;
    char *table; /* owned, like all here: "db.name" on the source */
    char *key;   /* "id=42"; NULL when it is about the table */
    char *what;  /* the columns, "`a`, `b`", or what of the table; NULL: none to name */
} gf_verify_difference;

typedef struct {
    uint64_t tables, rows;      /* compared; rows of the source */
    uint64_t differences;       /* found: rows, and tables as such */
    uint64_t unsettled;         /* rows, and keyless tables, that changed too often to be compared */
    gf_verify_difference *list; /* owned: the first ones of each table, in no order */
    size_t list_count, list_cap;
    bool cut_short; /* of some table only the first part was compared: it had too many differences */
} gf_verify_result;

/* Runs in config->readers threads with three connections each. False when the comparison itself failed. *out is owned by the caller in
   either case (gf_verify_free). With config->allow_existing rows on the target alone are no difference. */
GF_MUST_CHECK bool gf_verify_run(gf_verify_result *out, const gf_verify_options *opt, gf_error *err);
void gf_verify_free(gf_verify_result *r); /* back to {0} */

#endif

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
    /* How many schema changes the target has passed, of this table or (NULL) in all. NULL: none can pass. As reached. */
    bool (*passed)(void *ctx, uint64_t *count, MYSQL *control, const gf_table *t, gf_error *err);
    uint64_t passed_before;     /* in all, before `tables` were read */
    bool (*stopped)(void *ctx); /* called often, by any thread of the comparison; NULL: never */
    void *ctx;
} gf_verify_options;

typedef enum {
    GF_VERIFY_DIFFERS, /* on both sides, unlike */
    GF_VERIFY_MISSING, /* not on the target */
    GF_VERIFY_EXTRA,   /* on the target alone */
    GF_VERIFY_TABLE,   /* the table itself: `what` says it */
    GF_VERIFY_UNSETTLED /* no difference: it could not be compared; a row that changed too often, or a table: `what` says why */
} gf_verify_kind;
const char *gf_verify_kind_name(gf_verify_kind kind); /* "differs", "missing", ... */

typedef struct {
    gf_verify_kind kind;
    char *table; /* owned, like all here: "db.name" on the source */
    char *key;   /* "id=42"; NULL when it is about the table */
    char *what;  /* the columns, "`a`, `b`", or what of the table; NULL: none to name */
    uint64_t id; /* of the whole key */
} gf_verify_difference;

typedef struct {
    uint64_t tables, rows;      /* looked at; rows of the source */
    gf_verify_difference *list; /* owned: the first hundred of each table, in no order */
    size_t list_count, list_cap;
    uint64_t differences, unsettled; /* how many of each are in the list: rows, and tables as such */
    bool cut_short;                  /* of some table only a part was compared: it had a hundred */
} gf_verify_result;

/* Runs in config->readers threads with three connections each, and in one that plans, with four. False when the comparison could not
   be ended; *out has what was found by then, and is owned by the caller in either case (gf_verify_free). With config->allow_existing rows on the target alone are no difference. */
GF_MUST_CHECK bool gf_verify_run(gf_verify_result *out, const gf_verify_options *opt, gf_error *err);
void gf_verify_free(gf_verify_result *r); /* back to {0} */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * state.h - a job's whole state as a value: what the checkpoint keeps, status shows and export-state prints.
 *
 * Files: DIR/checkpoint-N.msgpack, the newest few generations, each a msgpack array
 * [format version, SHA-256 of the body, body (bin)]; the body is a map with string keys (docs/state.md).
 *
 * Threads: plain values without locks.
 */
#ifndef GFREPLICA_STATE_H
#define GFREPLICA_STATE_H

#include "gfreplica/catalog.h"
#include "gfreplica/config.h"

typedef enum {
    GF_STAGE_STARTING,
    GF_STAGE_COPYING,
    GF_STAGE_STREAMING, /* copy complete, live replica */
    GF_STAGE_CUTOVER,
    GF_STAGE_DONE
} gf_stage;
const char *gf_stage_name(gf_stage s); /* "starting", "copying", ... */
bool gf_stage_parse(gf_stage *out, const char *name);

typedef struct {
    unsigned index;
    gf_buf lower, upper, frontier; /* canonical keys */
    bool done;
    uint64_t rows;
} gf_state_range;

typedef struct {
    gf_table *table; /* owned copy of the schema that was in force at the position; NULL when not known (imports) */
    char *db, *name; /* owned */
    gf_state_range *ranges; /* owned */
    size_t range_count;
    bool done; /* every range is */
    /* From a foreign state (Ghostferry): the key as written there, to be turned into a frontier at the start. It
       speaks of keys above 0 only, and so does done: Ghostferry never selects integer keys of 0 and below, so
       whoever uses it must copy those. done with range_count 0 = complete as far as Ghostferry goes. */
    char *import_key; /* decimal or hex, NULL */
    bool import_key_binary;
    char *import_key_column; /* the column it is of, NULL when not told: if it is not our key, it claims nothing */
    char *import_schema;     /* the foreign schema cache: a line "name<TAB>type" per column, NULL when it has none */
} gf_state_table;

typedef struct {
    unsigned generation; /* of the checkpoint file */
    char job[65];
    gf_flavor flavor;
    char source_identity[128], source_address[300], target_address[300];
    char our_uuid[40];
    unsigned our_server_id;
    char config_digest[65]; /* SHA-256 hex over what decides the data: servers, filter, renames */
    gf_stage stage;
    gf_position position;   /* owned: applied up to here on the target */
    gf_position final;      /* owned: the cutover's end position; file "" before */
    gf_state_table *tables; /* owned */
    size_t table_count;
    bool imported;           /* came from import-state / -resumestate, not from our own checkpoint */
    bool marker;             /* a marker on the target is in use */
    uint64_t schema_changes; /* DDL that the tables' schemas have passed */
    /* The source's binlog ended here when its schema was read: DDL before this is in it already. file "": there was
       no such reading, the schema is the position's own. */
    char schema_file[GF_BINLOG_NAME_MAX];
    uint64_t schema_offset;
    uint64_t started_ms, saved_ms; /* wall clock */
    char cause[1024];              /* of the last stop, "" when running */
    bool resumable;
    int pid;           /* of the running process */
    char control[300]; /* where its HTTP port listens, "" if none */

    /* progress, for status */
    uint64_t indexed_tables, deferred_tables; /* of this attempt's tables whose indexes are built after the rows */
    uint64_t rows_copied, rows_estimate, changes_applied, transactions_applied;
    double rows_per_second;
    double lag_seconds; /* < 0: not known */
    uint64_t lag_bytes; /* source binlog end - applied, when in the same file or its successors */
    double eta_seconds; /* < 0: not known */
    /* The relay: what of the source's binlog has been received, and how long the source keeps what comes next. */
    uint64_t relay_bytes;
    bool relay_full;                        /* receiving waits for room */
    bool receiving;                         /* the running process does nothing else */
    char received_file[GF_BINLOG_NAME_MAX]; /* "": nothing is known */
    uint64_t received_offset;
    uint64_t needed_ms;      /* wall clock: up to then, at least, the source was writing that file */
    bool retention_known;    /* source_keeps_s is */
    uint64_t source_keeps_s; /* how long it keeps a file after that; 0: for ever */
    bool needed_gone;        /* asked: it has purged that file; not kept in the checkpoint */
    bool paused, automatic_cutover;
    bool cutover_requested; /* by `gfreplica cutover`: a resumed run goes on with it */
} gf_state;

void gf_state_free(gf_state *s); /* back to {0} */
/* Is the imported schema the one that the source has now? Rows are mapped by position, so a table that was altered
   since the dump would be mapped wrongly. CONFIG error naming the first column that differs. True when none is known. */
GF_MUST_CHECK bool gf_state_schema_check(const gf_state_table *st, const gf_table *now, gf_error *err);

/* ---- checkpoint directory ---- */
typedef struct gf_checkpoint gf_checkpoint;

/* Creates the directory (0700) if missing and takes its lock; CONFIG error naming the process that has it. */
GF_MUST_CHECK bool gf_checkpoint_open(gf_checkpoint **out, const char *dir, gf_error *err);
/* The newest whole generation; *found false in an empty directory. Torn or foreign files are logged by name and the
   one before is used; SYSTEM error when there are files but none is whole. */
GF_MUST_CHECK bool gf_checkpoint_load(gf_state *out, bool *found, gf_checkpoint *cp, gf_error *err);
/* temporary file, fsync, rename, fsync of the folder; keeps the previous generations. Mode 0600. */
GF_MUST_CHECK bool gf_checkpoint_save(gf_checkpoint *cp, const gf_state *s, gf_error *err);
void gf_checkpoint_close(gf_checkpoint *cp); /* NULL is fine */
/* Load without the lock, for status and export-state beside a running job. */
GF_MUST_CHECK bool gf_checkpoint_peek(gf_state *out, bool *found, const char *dir, gf_error *err);

/* One table's definition by itself, as the marker keeps those that DDL has changed. Appended. */
void gf_schema_encode(gf_buf *out, const gf_table *t);
/* *out: owned by the caller, not in a catalog yet. DATA error for anything malformed. */
GF_MUST_CHECK bool gf_schema_decode(gf_table **out, gf_slice body, gf_error *err);

/* ---- JSON ---- */
typedef enum { GF_FORMAT_GHOSTFERRY, GF_FORMAT_NATIVE } gf_state_format;
/* One JSON document with a newline, appended. */
void gf_state_json(gf_buf *out, const gf_state *s, gf_state_format format, bool with_schema);
/* Any generation of Ghostferry's form or ours. CONFIG error naming the field that is wrong. */
GF_MUST_CHECK bool gf_state_from_json(gf_state *out, const char *text, size_t len, gf_error *err);

#endif

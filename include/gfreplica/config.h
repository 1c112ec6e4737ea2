/* SPDX-License-Identifier: MIT */
/*
 * config.h - everything an operator can set, from flags, CONF.json, the environment and option files.
 *
 * Built once by gf_cli (src/cli) before any thread starts; only read afterwards, except the members of
 * gf_live, which the control room may change while the job runs.
 */
#ifndef GFREPLICA_CONFIG_H
#define GFREPLICA_CONFIG_H

#include <stdatomic.h>

#include "gfreplica/catalog.h"

typedef enum {
    GF_TLS_PREFERRED, /* when the server offers it (default) */
    GF_TLS_OFF,
    GF_TLS_REQUIRED,
    GF_TLS_VERIFY_CA,
    GF_TLS_VERIFY_IDENTITY
} gf_tls_mode;

typedef enum {
    GF_COPY_AUTO, /* LOAD DATA LOCAL where the target allows it */
    GF_COPY_LOAD,
    GF_COPY_INSERT
} gf_copy_method;

typedef enum {
    GF_DDL_APPLY, /* definition statements are repeated on the target where that is exact; else they stop the run */
    GF_DDL_STOP   /* they stop the run */
} gf_ddl_mode;

typedef enum {
    GF_DEFER_AUTO, /* of large tables */
    GF_DEFER_ALWAYS,
    GF_DEFER_NEVER
} gf_defer;

typedef struct {
    char *role; /* "source", "target", "source primary": for messages */
    char *host; /* owned like all strings here; NULL with a socket */
    unsigned port;
    char *socket;          /* unix socket, NULL = TCP */
    char *user, *password; /* password never printed */
    char *collation;
    gf_renames params; /* session variables to SET on SQL connections: from = name, to = value */
    gf_tls_mode tls;
    char *tls_ca, *tls_cert, *tls_key, *tls_server_name;
    unsigned connect_timeout, read_timeout, write_timeout; /* seconds, 0 = default */
    unsigned silence_ms; /* a peer that acknowledges nothing for so long is gone: two heartbeats; 0 = 10 s */
    char *marginalia;    /* comment in front of every write */
} gf_server_config;

typedef struct {
    char *uri, *payload; /* NULL uri = not used */
} gf_callback_config;

/* What may change while the job runs: atomics, set by control, read by the others. */
typedef struct {
    atomic_bool automatic_cutover; /* cut over as soon as the copy is complete and the stream has caught up */
    atomic_bool paused;            /* readers and writers hold; the stream stays connected */
    atomic_uint chunk_rows; /* DataIterationBatchSize when set: upper bound of rows a chunk; 0 = by bytes and time */
} gf_live;

typedef struct {
    gf_server_config source, target, source_primary; /* source_primary.host NULL = source is the writer itself */
    gf_filter filter;
    gf_live live;

    /* where things are */
    char *checkpoint_dir;
    char *config_path;  /* NULL when all came by flags */
    char *resume_state; /* -resumestate file, NULL */
    char *resume_text;  /* StateToResumeFrom: the state itself as JSON text, NULL; resume_state wins */
    char *marker_db;    /* "_gfreplica" */
    char *job;          /* name of this job in the marker, "default" */
    char digest[65];    /* gf_config_digest of all the rest: who may share a checkpoint and a marker */

    /* replica */
    unsigned server_id; /* 0 = choose a free one */
    char *server_uuid;  /* NULL = made once and kept in the checkpoint */
    char *report_host;
    unsigned report_port;
    unsigned heartbeat_ms;

    /* copying */
    unsigned readers, writers, copy_writers;
    unsigned chunk_bytes, chunk_ms; /* aim of a chunk's size and of its read time */
    unsigned range_rows;            /* tables larger than this are split into ranges */
    unsigned max_source_load;       /* sessions running on the source beyond which the copy slows down; 0 = any */
    gf_copy_method copy_method;
    gf_ddl_mode ddl; /* of selected tables */
    gf_defer defer_indexes;
    bool allow_existing;   /* AllowExistingTargetTable */
    bool allow_statements; /* statement-format changes of unselected tables do not stop the run */
    bool lock_keyless;     /* MySQL: FLUSH TABLES t WITH READ LOCK for keyless tables is allowed */
    bool no_marker;        /* never use a marker, checkpoint only */
    bool take_over;        /* a marker of another job in our tables is replaced */
    bool skip_target_verification, skip_foreign_keys_check;
    bool allow_super_on_read_only; /* AllowSuperUserOnReadOnly: target's read_only is no obstacle */
    gf_names create_first;         /* TablesToBeCreatedFirst, "db.table" */
    gf_renames map_collation;      /* --map-collation A=B */
    bool verify;                   /* all rows are compared at the cutover */
    bool create_objects;           /* triggers, views, routines, events are created at the cutover */

    /* limits */
    size_t memory_bytes;              /* queues and batches in all */
    size_t relay_bytes;               /* most of the relay on disk */
    unsigned batch_rows, batch_bytes; /* row changes, bytes of one target transaction while behind */
    unsigned retry_timeout;           /* seconds a transient fault is ridden through */
    unsigned cutover_timeout;

    /* state, control, callbacks */
    bool dump_on_signal, dump_on_error; /* DumpStateOnSignal, DumpStateToStdoutOnError */
    bool dump_without_schema;           /* DoNotIncludeSchemaCacheInStateDump */
    bool control_enabled;
    char *control_bind; /* "127.0.0.1:8000" */
    gf_callback_config on_progress, on_state, on_error, cutover_lock, cutover_unlock;
    unsigned progress_ms, state_ms; /* how often the callbacks are called */
    unsigned cutover_retries, cutover_retry_wait;
    char *replicated_position_query; /* ReplicatedMasterPositionQuery */
    unsigned wait_for_replication;   /* seconds, 0 = forever */

    bool verbose, dry_run, log_json, progress_line;
    unsigned log_level; /* a gf_log_level; verbose has made it debug already */
} gf_config;

#endif

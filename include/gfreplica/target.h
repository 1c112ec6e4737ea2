/* SPDX-License-Identifier: MIT */
/*
 * target.h - write batches and chunks to the target, each in one transaction with its marker.
 *
 * marker   the tables in the marker database; generation; reading it back with a lock (rules C3, R1-R3)
 * applier  scheduler (rule C1) + writer threads; commits in source order (C2); retries deadlocks by itself
 */
#ifndef GFREPLICA_TARGET_H
#define GFREPLICA_TARGET_H

#include "gfreplica/batch.h"
#include "gfreplica/server.h"

/* ---- marker ---- */
typedef struct gf_marker gf_marker;

typedef struct {
    char *db, *name; /* owned: source names of the table */
    unsigned index;
    gf_buf lower, upper, frontier; /* canonical keys; empty = open / none */
    bool done;
    uint64_t rows;
    char snap_file[GF_BINLOG_NAME_MAX]; /* keyless tables: position of their snapshot (rule K); "" otherwise */
    uint64_t snap_offset;
} gf_marker_range;

/* A prepared XA transaction (rule S4): its XID as the source writes it, its changes as src/job/xa.c packs them. */
typedef struct {
    gf_buf xid, block; /* owned */
} gf_marker_xa;

/* A table that DDL has touched, as it was at the marker's position. */
typedef struct {
    char *db, *name; /* owned: source names */
    gf_buf schema;   /* owned: gf_schema_encode's bytes; empty: there is no such table */
} gf_marker_schema;

typedef struct {
    char *db, *name; /* owned: source names of a table */
} gf_marker_table;

typedef struct {
    bool exists;     /* the job is known to the marker */
    bool of_another; /* but it is another configuration's (never after gf_marker_claim) */
    char source_identity[128];
    uint64_t generation;     /* ours, after gf_marker_claim */
    gf_position position;    /* owned: the newest of all writer slots */
    uint64_t seq;            /* its sequence number */
    char stage[32];          /* "copying", "streaming", "done" */
    gf_marker_range *ranges; /* owned */
    size_t range_count;
    gf_marker_xa *xas; /* owned */
    size_t xa_count;
    uint64_t schema_changes;   /* DDL passed */
    gf_buf pending;            /* owned: the DDL that was about to run, as src/job/barrier.c writes it; empty: none */
    gf_marker_schema *schemas; /* owned: of all tables that DDL has ever touched */
    size_t schema_count;
    gf_marker_table
        *deferred; /* owned: may lack indexes that are built after the rows; also of a job that has not begun */
    size_t deferred_count;
    gf_marker_table *indexed; /* owned: have got such indexes from us; by gf_marker_indexed alone */
    size_t indexed_count;
} gf_marker_content;

/* Creates database and tables if missing. CONFIG error when grants do not allow it. config stays borrowed. */
GF_MUST_CHECK bool gf_marker_open(gf_marker **out, const gf_config *config, MYSQL *target, gf_error *err);
/* One transaction with locking reads (rule R3): waits for a commit in flight, raises the generation so that any
   other instance stops, returns what is there. CONFIG error, with nothing touched, when a job of the same name has
   another configuration; with config->take_over that one, or one that is done, counts as not there. */
GF_MUST_CHECK bool gf_marker_claim(gf_marker_content *out, gf_marker *m, MYSQL *target, gf_error *err);
/* Of the job's name and its marker's database: for names of locks, which no other job on that target may share. */
uint64_t gf_marker_hash(const gf_config *config);
/* First start (rule S6): job row, `slots` slot rows, start position, before any row is written. */
GF_MUST_CHECK bool gf_marker_begin(gf_marker *m, MYSQL *target, const char *source_identity, const gf_position *start,
                                   unsigned slots, gf_error *err);
/* Before gf_marker_begin, which leaves them, and before they are made: these tables, beside those noted already, are made
   without some of their indexes. */
GF_MUST_CHECK bool gf_marker_defer(gf_marker *m, MYSQL *target, const gf_table *const *tables, size_t count,
                                   gf_error *err);
/* Only out->deferred, out->indexed. End with gf_marker_content_free. */
GF_MUST_CHECK bool gf_marker_deferred(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err);
GF_MUST_CHECK bool gf_marker_indexed(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err);
/* We are still the job's instance (R3): CONFIG error when not. From any thread with a connection of its own. */
GF_MUST_CHECK bool gf_marker_is_ours(const gf_marker *m, MYSQL *target, gf_error *err);
/* The table has all its indexes: noted if we are still the job's instance (R3). From any thread with a connection of its
   own. */
GF_MUST_CHECK bool gf_marker_built(const gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err);
/* Insert range rows in one transaction; idempotent, DATA error when there are others. The ranges may be of many tables
   (t is not looked at): one call for thousands of small tables is what is fast. */
GF_MUST_CHECK bool gf_marker_add_ranges(gf_marker *m, MYSQL *target, const gf_table *t, const gf_range *const *ranges,
                                        size_t count, gf_error *err);
GF_MUST_CHECK bool gf_marker_stage(gf_marker *m, MYSQL *target, const char *stage, gf_error *err);

/* A trigger or an event that the cutover is about to create: should the job have to go on, it has to go again. */
typedef struct {
    char *kind, *db, *name; /* owned */
} gf_marker_object;

GF_MUST_CHECK bool gf_marker_note_objects(const gf_marker *m, MYSQL *target, const gf_marker_object *objects,
                                          size_t count, gf_error *err);
/* Those noted; owned by the caller. */
GF_MUST_CHECK bool gf_marker_objects(gf_marker_object **out, size_t *count, const gf_marker *m, MYSQL *target,
                                     gf_error *err);
GF_MUST_CHECK bool gf_marker_forget_objects(const gf_marker *m, MYSQL *target, gf_error *err);
void gf_marker_objects_free(gf_marker_object *objects, size_t count);

/* Another server is the source from here on: its identity. Unless it has the same binlog, snapshot positions (rule K),
   which the marker's position must have passed, are forgotten. */
GF_MUST_CHECK bool gf_marker_source(gf_marker *m, MYSQL *target, const char *source_identity, bool same_binlog,
                                    gf_error *err);
/*
 * Tables of the engine MEMORY are empty after a restart of the target's, and nothing of the marker that is on disk tells.
 * open makes a table of that engine beside the marker; a row that is noted there is lost with theirs, or was forgotten.
 * restart empties a table (but for rows that were there before, allow_existing) and has all of it copied again, if we are
 * still the job's instance (R3); note comes after that, before a row.
 */
GF_MUST_CHECK bool gf_marker_memory_open(const gf_marker *m, MYSQL *target, gf_error *err);
GF_MUST_CHECK bool gf_marker_memory_lost(bool *lost, const gf_marker *m, MYSQL *target, gf_error *err);
GF_MUST_CHECK bool gf_marker_memory_restart(gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err);
GF_MUST_CHECK bool gf_marker_memory_note(const gf_marker *m, MYSQL *target, gf_error *err);
GF_MUST_CHECK bool gf_marker_memory_forget(const gf_marker *m, MYSQL *target, gf_error *err);
/* Rule K: away with what an interrupted copy has left in a keyless table, if we are still the job's instance (R3). */
GF_MUST_CHECK bool gf_marker_empty_table(gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err);
/* The job's position, from outside and without locks: what is committed now. flavor: the source's. CONFIG error when the
   marker does not know the job. target: in autocommit. */
GF_MUST_CHECK bool gf_marker_look(gf_position *out, MYSQL *target, const gf_config *config, gf_flavor flavor,
                                  gf_error *err);
/* The schema changes that it has passed, of one table (by its source names) or, t NULL, in all. As above. */
GF_MUST_CHECK bool gf_marker_look_passed(uint64_t *out, MYSQL *target, const gf_config *config, const gf_table *t,
                                         gf_error *err);
/* Remove the job's rows (a finished or abandoned job). */
GF_MUST_CHECK bool gf_marker_remove(gf_marker *m, MYSQL *target, gf_error *err);
void gf_marker_content_free(gf_marker_content *c); /* back to {0} */
void gf_marker_free(gf_marker *m);

/* The two statements that travel with rows; `UPDATE ... WHERE generation = mine`: exactly 1 row or another
   instance took over. Appended. */
void gf_marker_position_sql(gf_buf *out, const gf_marker *m, unsigned slot, uint64_t seq, const gf_position *pos);
void gf_marker_range_sql(gf_buf *out, const gf_marker *m, const gf_range *r, gf_slice frontier, bool last,
                         uint64_t rows_added, const gf_position *snapshot /* NULL but for keyless */);

/* For gf_batch_statement: keep a prepared XA transaction, forget it. Appended. */
void gf_marker_xa_keep_sql(gf_buf *out, const gf_marker *m, gf_slice xid, gf_slice block);
void gf_marker_xa_drop_sql(gf_buf *out, const gf_marker *m, gf_slice xid);

/*
 * DDL (rule C4). Before it runs: `pending` and the tables it touches as they are, in a transaction of its own, if we are
 * still the job's instance (R3). When it has run, with the position behind it, by gf_batch_statement: the tables as they
 * are now (of those given before), their ranges where those have changed, and that nothing is pending. Appended.
 */
GF_MUST_CHECK bool gf_marker_schema_begin(gf_marker *m, MYSQL *target, gf_slice pending,
                                          const gf_marker_schema *touched, size_t count, gf_error *err);
/* Only out->schemas, of all tables that DDL has ever touched. End with gf_marker_content_free. */
GF_MUST_CHECK bool gf_marker_schemas(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err);
void gf_marker_schema_sql(gf_buf *out, const gf_marker *m, const gf_marker_schema *table);
void gf_marker_schema_end_sql(gf_buf *out, const gf_marker *m);
void gf_marker_range_add_sql(gf_buf *out, const gf_marker *m, const gf_range *r);
void gf_marker_range_drop_sql(gf_buf *out, const gf_marker *m, const gf_range *r);

/* ---- tables on the target ---- */
/* The source's definition under the target's name: rewritten names, mapped collations, no AUTO_INCREMENT change,
   foreign keys to renamed tables follow. Owned by the caller. */
GF_MUST_CHECK bool gf_target_create_sql(char **out, const gf_table *t, const gf_config *config,
                                        const gf_server_info *source, const gf_server_info *target, gf_error *err);
/*
 * Indexes that are built after the rows: plain keys over columns that nothing needs before (src/target/defer.c).
 * Set up by one thread, then only read. Config and infos are borrowed; the tables are all that are moved.
 */
typedef struct gf_deferral gf_deferral;
gf_deferral *gf_deferral_new(const gf_config *config, const gf_server_info *source, const gf_server_info *target,
                             const gf_table *const *tables, size_t count);
void gf_deferral_free(gf_deferral *d); /* NULL is fine */
/* By the configuration, and by the table's size and kind: its indexes, if it has such ones, are better built later. */
bool gf_deferral_pays(const gf_config *config, const gf_table *t);
/* How many the table has. */
GF_MUST_CHECK bool gf_deferral_count(unsigned *count, const gf_deferral *d, const gf_table *t, gf_error *err);
/* gf_target_create_sql without them. Owned by the caller. */
GF_MUST_CHECK bool gf_deferral_create_sql(char **out, const gf_deferral *d, const gf_table *t, gf_error *err);
/* How many of them the target's table lacks. */
GF_MUST_CHECK bool gf_deferral_missing(unsigned *count, MYSQL *target, const gf_deferral *d, const gf_table *t,
                                       gf_error *err);
/*
 * Finishes the table: builds, in one ALTER, what it lacks of them, and notes it in the marker. Another instance that is at
 * it, or an ALTER that an earlier run has left behind, is waited for; CONFIG error when the job is another instance's (R3).
 * Runs for as long as that takes; break the link to interrupt it. target: GF_CONN_PLAIN. STOPPED when *stop.
 */
GF_MUST_CHECK bool gf_deferral_build(MYSQL *target, const gf_deferral *d, const gf_marker *m, const gf_table *t,
                                     const atomic_bool *stop, gf_error *err);

/* Does the target's table hold any row? */
GF_MUST_CHECK bool gf_target_has_rows(bool *rows, MYSQL *target, const gf_table *t, gf_error *err);
/* missing[i]: the target has no table by the name of tables[i], in whatever case. */
GF_MUST_CHECK bool gf_target_missing(bool *missing, MYSQL *target, const gf_config *config,
                                     const gf_table *const *tables, size_t count, gf_error *err);
/* What of the target's table is unlike the source's and would harm its rows, "column `v` is ..., column `w` is ...",
   appended; nothing when they are alike, or when it is not there. info is the target's. */
GF_MUST_CHECK bool gf_target_differences(gf_buf *out, MYSQL *target, const gf_config *config,
                                         const gf_server_info *info, const gf_table *t, gf_error *err);
/* Create databases and tables; an existing non-empty table is refused unless allowed. deferral NULL: with all indexes;
   else tables[i] is made without those to be built later where deferred[i]. */
GF_MUST_CHECK bool gf_target_create(MYSQL *target, const gf_config *config, const gf_server_info *source,
                                    const gf_server_info *info, const gf_table *const *tables, size_t count,
                                    const gf_deferral *deferral, const bool *deferred, gf_error *err);

/* Cutover: raise the target's AUTO_INCREMENT counters to the source's where they are lower (rows that were deleted
   since count there). Both connections are GF_CONN_PLAIN; may be repeated. */
GF_MUST_CHECK bool gf_target_auto_increment(MYSQL *source, MYSQL *target, const gf_table *const *tables, size_t count,
                                            gf_error *err);

/* ---- applier ---- */
typedef struct gf_applier gf_applier;

typedef struct {
    const gf_config *config; /* borrowed, like all here */
    const gf_marker *marker; /* NULL: no marker */
    const gf_server_info *target;
    bool unlike;      /* strings may compare otherwise than on the source: another family, or --map-collation */
    uint64_t seq;     /* last sequence number in the marker */
    size_t max_bytes; /* of batches in flight; submit blocks beyond it */
    /* Called by writer threads after the commit, in any order for chunks, in source order for batches. Of a large
       transaction in pieces the last one stands for all. */
    void (*batch_committed)(void *ctx, const gf_batch *b);
    void (*batch_gone)(void *ctx); /* after that, when the next one may commit */
    void (*chunk_committed)(void *ctx, const gf_chunk *c, uint64_t rows_written);
    void *ctx;
} gf_applier_options;

GF_MUST_CHECK bool gf_applier_start(gf_applier **out, const gf_applier_options *opt, gf_error *err);
/* Stream thread only. Both take their argument, also on failure; block while too much is in flight. Fails with the
   first writer's error, STOPPED after gf_applier_stop. */
GF_MUST_CHECK bool gf_applier_batch(gf_applier *a, gf_batch *b, gf_error *err);
GF_MUST_CHECK bool gf_applier_chunk(gf_applier *a, gf_chunk *c, gf_error *err);
/* Waits until everything submitted is committed. */
GF_MUST_CHECK bool gf_applier_drain(gf_applier *a, gf_error *err);
/* Batches that are written and wait for their COMMIT or its answer. */
unsigned gf_applier_written(gf_applier *a);
bool gf_applier_failed(gf_applier *a, gf_error *err); /* copies the first error */
/* Writers end at once: transactions not yet at COMMIT are rolled back. From any thread. */
void gf_applier_stop(gf_applier *a);
void gf_applier_join(gf_applier *a); /* joins, closes, frees; NULL is fine */

typedef struct {
    uint64_t transactions, changes, chunks, rows; /* committed since the start */
    size_t bytes_in_flight;
    unsigned retries; /* deadlocks and lock waits ridden through */
} gf_applier_stats;
void gf_applier_read_stats(gf_applier *a, gf_applier_stats *out);

#endif

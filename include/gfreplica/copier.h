/* SPDX-License-Identifier: MIT */
/*
 * copier.h - read the rows that exist, and merge them into the stream (design section 4, rules M1-M7, S, K).
 *
 * plan    tables -> ranges -> chunks; what is durable of each
 * merger  windows, fences and drops: the only place that knows both the stream and the copy
 * copier  the reader threads
 */
#ifndef GFREPLICA_COPIER_H
#define GFREPLICA_COPIER_H

#include "gfreplica/batch.h"
#include "gfreplica/server.h"

/* ---- plan: all functions may be called from any thread (inner lock) ---- */
typedef struct gf_plan gf_plan;

gf_plan *gf_plan_new(void);
void gf_plan_free(gf_plan *p);
/* Adds a range with what the marker or checkpoint knows of it; keys are copied. The range lives as long as the plan. */
gf_range *gf_plan_add(gf_plan *p, const gf_table *t, unsigned index, gf_slice lower, gf_slice upper, gf_slice frontier,
                      bool done, uint64_t rows);
/* Splits `t` into ranges of about range_rows rows by sampled keys and adds them (not yet durable); a table that is
   small, empty or keyless gets one open range. source: a GF_CONN_READER connection. */
GF_MUST_CHECK bool gf_plan_split(gf_plan *p, const gf_table *t, MYSQL *source, unsigned range_rows, gf_error *err);
/* A range that nobody reads, of keyless tables never; NULL when there is none now. Given back by gf_plan_release. */
gf_range *gf_plan_take(gf_plan *p);
void gf_plan_release(gf_plan *p, gf_range *r);
/* The chunk with this frontier is committed on the target. */
void gf_plan_committed(gf_plan *p, gf_range *r, gf_slice frontier, bool last, uint64_t rows);
bool gf_plan_all_read(gf_plan *p); /* every range was read to its end; can turn false again when a chunk is thrown */
bool gf_plan_done(gf_plan *p);     /* and every chunk is committed */
/* Forget what was read but is not committed: cursors go back to frontiers (before a retry of the pipeline). */
void gf_plan_rewind(gf_plan *p);
bool gf_plan_whole(gf_plan *p, const gf_table *t); /* every range of this definition is done */
/* A DDL was passed: the ranges of `old` are of `now` from here on; NULL: the table is gone, and its ranges with it. Call
   it after gf_merger_invalidate, before gf_merger_leave, when no chunk of the table is between merger and target.
   same_values: the identity's columns hold what they held, if they have the same names and types.
   False: the columns of the identity changed, so that keys mean nothing any more: the first range is open on both sides,
   the others go; unless the whole table was copied it starts anew. Make that durable. */
GF_MUST_CHECK bool gf_plan_renew(gf_plan *p, const gf_table *old, const gf_table *now, bool same_values);
/* Calls fn for each range that is not gone, in the order in which they were added, under the plan's lock: copy what you need, block on
   nothing. */
void gf_plan_each(gf_plan *p, void (*fn)(void *ctx, const gf_range *r), void *ctx);

/* ---- merger ---- */
typedef struct gf_merger gf_merger;
typedef struct gf_window gf_window;

/* plan: borrowed; the ranges of thrown chunks go back to it. due: called by the stream thread between transactions
   with a merged chunk (taken by it) whose place is now. */
gf_merger *gf_merger_new(gf_plan *plan, const gf_position *start,
                         bool (*due)(void *ctx, gf_chunk *chunk, gf_error *err), void *ctx);
void gf_merger_free(gf_merger *m); /* the copier has been joined; NULL is fine */

/*
 * Stream thread. A transaction passes between enter and leave; windows open only outside (rule M1). What is recorded
 * makes copied rows go away (rule M4), so only what the stream surely writes may be recorded.
 */
void gf_merger_enter(gf_merger *m);
void gf_merger_record(gf_merger *m, const gf_table *t, gf_slice key); /* each whole key that passes */
/* What was recorded since enter was rolled back: chunks that it may have touched are thrown away. */
void gf_merger_undone(gf_merger *m);
/* Merges what is due at `scheduled`; NULL: where it is already. It may be called without enter, as after a kick. */
GF_MUST_CHECK bool gf_merger_leave(gf_merger *m, const gf_position *scheduled, gf_error *err);
bool gf_merger_idle(gf_merger *m); /* no window open, nothing waiting */
/* kick: called by a reader thread when a chunk is due at the position of the last leave: the stream thread, which may
   be idle, should call gf_merger_leave. Without locks held. */
void gf_merger_on_ready(gf_merger *m, void (*kick)(void *ctx), void *ctx);
/* DDL, between enter and leave: chunks of that table in flight are thrown away and read again. */
void gf_merger_invalidate(gf_merger *m, const gf_table *t);

/*
 * Reader threads. A chunk that is thrown away (DDL, undone, too much recorded) puts its range's cursor back to its own
 * start; chunks of that range behind it go with it, those still being read included. So a reader never asks: it opens
 * the next window, which says where the range goes on.
 */
/* r is taken from the plan. Waits until no transaction is passing. A copy of A goes to *a. NULL when stopped or when
   nothing of the range is left to read. */
gf_window *gf_merger_open(gf_position *a, gf_merger *m, gf_range *r);
gf_slice gf_window_cursor(const gf_window *w);       /* read behind this key; empty: from the range's lower */
const gf_table *gf_window_table(const gf_window *w); /* the definition to read with; borrowed from the catalog */
void gf_merger_hand_over(gf_merger *m, gf_window *w, gf_chunk *chunk); /* takes both; chunk->fence is set */
void gf_merger_abandon(gf_merger *m, gf_window *w);                    /* the read failed; takes w */
/* Waits until the stream has scheduled everything up to `pos`; false when stopped. */
GF_MUST_CHECK bool gf_merger_wait(gf_merger *m, const gf_position *pos);
void gf_merger_stop(gf_merger *m); /* wakes and refuses all waiters */

/* ---- copier ---- */
typedef struct gf_copier gf_copier;

typedef struct {
    const gf_config *config; /* borrowed, like all here */
    bool lines;              /* the target takes LOAD DATA LOCAL */
    const gf_server_info *info;
    gf_plan *plan;
    gf_merger *merger;
    size_t max_bytes;           /* chunks between reader and target, in all */
    const atomic_bool *xa_seen; /* MariaDB: an XA transaction has been committed; NULL: none ever is */
} gf_copier_options;

/* Starts config->readers threads. They end when every range is read, or at gf_copier_stop, or at the first error. */
GF_MUST_CHECK bool gf_copier_start(gf_copier **out, const gf_copier_options *opt, gf_error *err);
/* A chunk that `due` got has left the memory: readers may go on. (Those that the merger throws it tells by itself.) */
void gf_copier_freed(gf_copier *c, size_t bytes);
/* True when a reader failed; *err is its error. */
bool gf_copier_failed(gf_copier *c, gf_error *err);
/* Interrupts reads and returns at once; stops the merger too: it opens no window any more. From any thread. */
void gf_copier_stop(gf_copier *c);
/* Waits for the threads and frees; NULL is fine. Afterwards no chunk may be given to gf_copier_freed: the applier ends
   first. */
void gf_copier_join(gf_copier *c);

/*
 * Rule K. Reads a keyless table in one exact snapshot: MariaDB's binlog_snapshot position, or on MySQL a short
 * FLUSH TABLES ... WITH READ LOCK. *at is the position of that view; `each` gets its rows as chunks in order
 * (taken), the last one with last set. Runs in the caller's thread.
 */
GF_MUST_CHECK bool gf_copy_keyless(gf_position *at, gf_range *range, const gf_config *config,
                                   const gf_server_info *info, bool (*at_position)(void *ctx, const gf_position *),
                                   bool (*each)(void *ctx, gf_chunk *chunk, gf_error *err), void *ctx, gf_error *err);

/* A field of the text protocol as a value of `col` (value.h); len from mysql_fetch_lengths; data NULL = NULL.
   The chunk's SELECT uses gf_column_select for each column, so that the text is exact. */
void gf_value_from_text(gf_value *out, const gf_column *col, const char *data, size_t len, gf_arena *arena);
/* "`a`", "`f`*1e0", "`e`+0", ... : how a column is selected. Appended. */
void gf_column_select(gf_buf *out, const gf_column *col, gf_flavor flavor);
/* Is a field of this type, selected so, of a column like that? */
bool gf_column_fits(const gf_column *col, enum enum_field_types given);

#endif

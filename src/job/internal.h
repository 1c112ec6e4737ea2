/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of this room share: the job, and the pipeline of one attempt.
 *
 *   job.c       requests from outside, the loop of attempts, exit codes, state dumps
 *   start.c     everything before the first thread: servers, identity, catalog, preflight, target tables, marker, plan
 *   barrier.c   DDL, repeated on the target, with barrier_*.c; ddl_session.c the session in which it runs
 *   definitions.c both servers' definitions compared
 *   anew.c      a job whose very beginning the target has lost
 *   import.c    a state given with the command: does it fit, and what does it say of each table
 *   indexes.c   indexes that are built after the rows
 *   pipeline.c  the threads of one attempt: start, watch, stop; rule K
 *   durable.c   the target's last commits
 *   cutover.c   the end position, callbacks, what is done after the last change
 *   verifying.c rows compared, at the cutover and by a command of its own
 *   receiving.c the relay and the receiver, which outlive the attempts; receiving alone
 *   progress.c  lag, rates, ETA, the checkpoint
 */
#ifndef GFREPLICA_JOB_INTERNAL_H
#define GFREPLICA_JOB_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "gfreplica/control.h"
#include "gfreplica/copier.h"
#include "gfreplica/job.h"
#include "gfreplica/receiver.h"
#include "gfreplica/target.h"
#include "gfreplica/thread.h"
#include "indexes.h"
#include "stream.h"

/* Where the snapshot of a keyless table was taken (rule K). */
struct snapshot {
    const gf_table *table; /* borrowed */
    char file[GF_BINLOG_NAME_MAX];
    uint64_t offset;
};

struct gf_job {
    /* Set before any thread starts. */
    gf_config *config; /* borrowed */
    bool receive_only; /* `gfreplica receive` */

    /* The main thread's alone. */
    gf_checkpoint *checkpoint;
    gf_control *control;
    gf_catalog *catalog;
    gf_plan *plan;
    gf_marker *marker; /* NULL without one */
    gf_server_info source_info, target_info;
    MYSQL *source, *target;  /* plain connections of the current attempt */
    gf_relay *relay;         /* from opening on; NULL in a dry run */
    gf_receiver *receiver;   /* NULL while nobody receives */
    gf_relay_reader *reader; /* the current attempt's stream reads it; NULL between attempts */
    uint64_t next_retention_ms;
    bool named;             /* server id and UUID are chosen: once a process */
    bool prepared;          /* catalog and plan are there: later attempts only connect again */
    bool has_loaded_schema; /* the catalog is the checkpoint's */
    gf_state loaded;        /* from the checkpoint or an import; its schemas move to the catalog */
    bool resumed;           /* loaded is there */
    bool plan_ready;        /* catalog and plan are whole: the state may be saved */
    bool had_attempt;       /* this process has started the pipeline before */
    bool memory_counted;    /* tables of the engine MEMORY were found unlike at the cutover, and are copied again */
    bool mismatch;          /* the comparison at the cutover has found a difference */
    bool begun;             /* the target has our start position: from here on the marker decides */
    gf_buf left_out;        /* objects that are not moved, for the summary */
    gf_position start;      /* where the current attempt's stream starts */
    uint64_t seq;           /* the marker's last sequence number */
    gf_position first;      /* where a new job starts: taken before its schema is read */
    atomic_bool xa_seen;    /* MariaDB: the source commits XA transactions, see copier/view.c */
    gf_buf pending_ddl;     /* owned: DDL that the marker says was about to run when the attempt began */
    gf_marker_xa *xas;      /* owned: prepared XA transactions when the attempt began */
    size_t xa_count;
    struct snapshot *snapshots; /* owned; written before the stream starts, then only read */
    size_t snapshot_count;

    bool may_alter;            /* preflight: the target's grants let us build indexes later */
    gf_deferral *deferral;     /* owned; NULL while no table may lack indexes */
    const gf_table **deferred; /* owned list: tables that may lack some when the attempt begins */
    size_t deferred_count;

    atomic_uint stop_requests;
    atomic_bool cutover_requested;

    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t changed;  /* something in state or the requests has changed */
    gf_position emptied_at;  /* where the source has emptied its tables of the engine MEMORY; no file: nowhere */
    bool cutover_kept;       /* the last checkpoint has cutover_requested */
    gf_state state;          /* without tables: those are made from catalog and plan (progress.c) */
    uint64_t last_commit_us; /* commit time on the source of the last transaction applied */
    uint64_t caught_up_ms;   /* wall clock: when nothing was missing the last time we looked */
    gf_lifeline links[2];    /* of source and target, so that a stop can break a hung query */
    char stop_reason[128];
};

/* One attempt: everything that a lost link throws away. */
struct pipeline {
    gf_job *job;
    gf_stream *stream;
    gf_barrier *barrier; /* owned; NULL: DDL stops the run */
    gf_applier *applier;
    gf_copier *copier;
    gf_indexes *indexes; /* NULL: no table lacks any */
    uint64_t next_poll_ms, next_save_ms, next_rate_ms, next_callback_ms, next_state_ms, next_line_ms;
    gf_stage saved_stage;    /* as in the last checkpoint */
    bool saved_request;      /* and cutover_requested */
    bool copy_complete;      /* stage is streaming or later */
    gf_position exact_after; /* replays are behind us from here on */
    gf_position copied_at;   /* scheduled when the last chunk was committed */
    bool limit_set, lock_called;
    uint64_t limit_ms;      /* when it was set */
    gf_position source_end; /* polled */
    bool has_end;
    gf_position moved_to;        /* the position as it was polled, and since when it stands there or at the end */
    uint64_t moved_ms, still_ms; /* still_ms: after how long standing still is looked into */
    /* for rates */
    uint64_t rate_rows, rate_lag, rate_ms;
};

/* ---- start.c ---- */
GF_MUST_CHECK bool gf_start_source(gf_job *j, gf_error *err);   /* every attempt: connect, is it the one we know */
GF_MUST_CHECK bool gf_start_target(gf_job *j, gf_error *err);   /* every attempt: connect */
GF_MUST_CHECK bool gf_start_prepare(gf_job *j, gf_error *err);  /* once a process */
GF_MUST_CHECK bool gf_start_position(gf_job *j, gf_error *err); /* every attempt: rules R1-R5 */
void gf_start_disconnect(gf_job *j);
void gf_start_snapshot(gf_job *j, const gf_table *t, const char *file, uint64_t offset); /* rule K */
void gf_start_forget_xas(gf_job *j);
void gf_start_forget_deferred(gf_job *j);

/* ---- receiving.c ---- */
GF_MUST_CHECK bool gf_receiving_open(gf_job *j, gf_error *err);
/* The source is connected, the target may be away: pull on from where we were. */
GF_MUST_CHECK bool gf_receiving_resume(gf_job *j, gf_error *err);
/* j->start is known: j->reader stands there and the receiver runs. GONE when neither relay nor source has it. */
GF_MUST_CHECK bool gf_receiving_from(gf_job *j, gf_error *err);
void gf_receiving_close_reader(gf_job *j);
bool gf_receiving_failed(gf_job *j, gf_error *err); /* the receiver has ended */
GF_MUST_CHECK bool gf_receiving_tick(gf_job *j, const gf_position *source_end, gf_error *err); /* for status */
void gf_receiving_passed(gf_job *j);           /* what the target has need not be kept */
void gf_receiving_leave(gf_job *j);            /* all is done: the source may forget us at once */
void gf_receiving_end(gf_job *j);              /* the process's end */
bool gf_receive_run(gf_job *j, gf_error *err); /* until a stop or a failure: always false */

/* ---- import.c ---- */
bool gf_import_given(const gf_config *c);
/* One is given. That of a run that had not begun leaves *out empty: out->imported is false. */
GF_MUST_CHECK bool gf_import_read(gf_state *out, const gf_config *c, gf_error *err);
bool gf_import_foreign(const gf_state *s); /* it is another program's, which knows less than ours */
const gf_state_table *gf_import_table(const gf_state *s, const gf_table *t); /* NULL: it says nothing of t */
/* Before anything is changed: tables as they were when it was dumped, and on the target where rows were copied. */
GF_MUST_CHECK bool gf_import_check(const gf_state *s, gf_catalog *catalog, MYSQL *target, gf_error *err);
/* Adds the table's ranges; false when the state tells no progress that could be gone on from. */
bool gf_import_plan(gf_plan *plan, const gf_table *t, const gf_state_table *st);

/* ---- pipeline.c ---- */
GF_MUST_CHECK bool gf_pipeline_run(gf_job *j, gf_error *err); /* true: the job is done; false: *err (STOPPED too) */

/* ---- cutover.c ---- */
GF_MUST_CHECK bool gf_cutover_step(struct pipeline *p, bool *done, gf_error *err);
GF_MUST_CHECK bool gf_cutover_finish(gf_job *j, gf_error *err); /* after the pipeline */
/* Triggers and events that an earlier cutover has begun to create are dropped: rows are going to be written. */
GF_MUST_CHECK bool gf_cutover_take_back(gf_job *j, gf_error *err);

/* ---- verifying.c ---- */
/* With config->verify: DIVERGED when a row differs, each named in the log. After the last change. */
GF_MUST_CHECK bool gf_verifying_at_cutover(gf_job *j, gf_error *err);

/* ---- durable.c ---- */
/* After the last commit: true when a crash of the target loses nothing of it any more. CONFIG when it keeps nothing safe. */
GF_MUST_CHECK bool gf_durable_wait(gf_job *j, gf_error *err);

/* ---- progress.c ---- */
/* Is the place that was reached still in the source's binlog? Not after RESET MASTER: GONE. */
GF_MUST_CHECK bool gf_progress_same_binlog(gf_job *j, gf_error *err);
GF_MUST_CHECK bool gf_progress_tick(struct pipeline *p, gf_error *err); /* polls, saves, calls back, when it is time */
GF_MUST_CHECK bool gf_progress_save(gf_job *j, gf_error *err);
void gf_progress_callbacks(gf_job *j);
void gf_job_json(gf_job *j, gf_buf *out, bool with_schema); /* the state dump, Ghostferry's form */
void gf_stage_enter(gf_job *j, gf_stage stage);             /* logs it; alone writes the stage */
gf_stage gf_stage_now(gf_job *j);
bool gf_stop_wanted(gf_job *j, gf_error *err);    /* *err is then STOPPED with the reason */
void gf_snapshot_state(gf_job *j, gf_state *out); /* state without tables, copied */

#endif

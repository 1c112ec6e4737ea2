/* SPDX-License-Identifier: MIT */
/*
 * stream.h - the live half of a running job: decoder, merger, batch builder.
 *
 * One thread reads the relay, which the receiver fills; it decodes, records keys in the merger, gathers neighbouring
 * transactions into batches, and hands batches and merged chunks to the applier, in order.
 *
 * A stream is made for one attempt of the pipeline and thrown away with it; nothing in it outlives a lost target.
 */
#ifndef GFREPLICA_JOB_STREAM_H
#define GFREPLICA_JOB_STREAM_H

#include "barrier.h"
#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "gfreplica/relay.h"
#include "gfreplica/target.h"

typedef struct gf_stream gf_stream;

typedef struct {
    const gf_config *config; /* borrowed, like all here, and outlives the stream */
    const gf_server_info *source;
    gf_catalog *catalog;
    gf_relay_reader *reader; /* stands at `from` */
    const gf_position *from;
    gf_applier *applier;
    gf_plan *plan;
    const gf_marker *marker; /* NULL without one */
    atomic_bool *xa_seen;    /* set when an XA COMMIT passes */
    const gf_marker_xa *xas; /* prepared transactions that it knows */
    size_t xa_count;
    gf_barrier *barrier; /* NULL: DDL of selected tables stops the run */
    /* Events of this keyless table that start before its snapshot are in it already (rule K). */
    bool (*in_snapshot)(void *ctx, const gf_table *t, const char *file, uint64_t offset);
    /* The source has emptied tables of the engine MEMORY there (in_memory.h). */
    void (*emptied)(void *ctx, const gf_position *end);
    void *ctx;
} gf_stream_options;

gf_stream *gf_stream_new(const gf_stream_options *opt); /* no thread yet; the merger exists */
gf_merger *gf_stream_merger(gf_stream *s);              /* borrowed */
GF_MUST_CHECK bool gf_stream_start(gf_stream *s, gf_error *err);

/* From the applier's callback: one batch is committed. */
void gf_stream_batch_done(gf_stream *s);
/* Every chunk is committed and replays are behind us: affected rows must be exact from here on. */
void gf_stream_exact(gf_stream *s, bool exact);
/* Ask it to stand still between transactions, or let it go; true when it stands still now. Waits 20 ms at most: ask
   again. */
bool gf_stream_hold(gf_stream *s, bool wanted);
/* Nothing behind `end` is applied. Call while it holds. */
void gf_stream_limit(gf_stream *s, const gf_position *end);
bool gf_stream_at_limit(gf_stream *s); /* everything up to the limit has been handed to the applier */
void gf_stream_scheduled(gf_stream *s, gf_position *out); /* a copy; owned by the caller */
bool gf_stream_failed(gf_stream *s, gf_error *err);
void gf_stream_stop(gf_stream *s); /* returns at once */
void gf_stream_join(gf_stream *s); /* waits for its threads; NULL is fine */
void gf_stream_free(gf_stream *s); /* joins; after the applier is gone; NULL is fine */

#endif

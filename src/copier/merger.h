/* SPDX-License-Identifier: MIT */
/*
 * merger.h - what the copier needs of the merger and nobody else.
 */
#ifndef GFREPLICA_COPIER_MERGER_H
#define GFREPLICA_COPIER_MERGER_H

#include "gfreplica/copier.h"

/* thrown: called with each chunk that is thrown away, before it is freed, under the merger's lock; NULL: nobody. */
void gf_merger_on_thrown(gf_merger *m, void (*thrown)(void *ctx, const gf_chunk *chunk), void *ctx);

/* True once after a chunk of the range was thrown: the reader should let the stream catch up before it reads. */
bool gf_window_again(const gf_window *w);

bool gf_merger_stopped(gf_merger *m);

/* Every range is read and every chunk is merged: nothing can come back. One question, because between two of them a
   chunk may be thrown. */
bool gf_merger_finished(gf_merger *m);

/* How many bytes of recorded keys are kept in all before chunks are thrown to make room. Before the first window. */
void gf_merger_limit(gf_merger *m, size_t bytes);

#endif

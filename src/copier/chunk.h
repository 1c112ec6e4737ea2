/* SPDX-License-Identifier: MIT */
/*
 * chunk.h - read one chunk: the SELECT, its rows, and how large the next one may be.
 *
 * Threads: one at a time.
 */
#ifndef GFREPLICA_COPIER_CHUNK_H
#define GFREPLICA_COPIER_CHUNK_H

#include "rows.h"
#include "view.h"

/* How chunks of one table are read, and what was learnt from the last ones. */
typedef struct {
    gf_rows rows;
    bool any_index;            /* the server does not know the identity's index by name: let it choose */
    unsigned limit;            /* rows of the next chunk */
    size_t text_len, keys_len; /* of the last chunk, see make_room */
} gf_chunk_reader;

void gf_chunk_reader_init(gf_chunk_reader *r, const gf_table *t, const gf_config *config, gf_flavor flavor, bool lines);
void gf_chunk_reader_free(gf_chunk_reader *r); /* back to {0} */

/*
 * Reads rows behind `cursor` (empty: from the range's lower) in the open view into c, and sets its frontier, last and
 * bytes. A chunk that grows far beyond config->chunk_bytes ends early; *broken is set when the rest was too much to
 * read and throw away: the connection is unusable then, but what was read is good.
 */
GF_MUST_CHECK bool gf_chunk_read(gf_chunk *c, bool *broken, gf_chunk_reader *r, gf_view *view, gf_slice cursor,
                                 const gf_config *config, gf_error *err);

#endif

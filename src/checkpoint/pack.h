/* SPDX-License-Identifier: MIT */
/*
 * pack.h - a state as msgpack (a map with string keys) and back.
 */
#ifndef GFREPLICA_CHECKPOINT_PACK_H
#define GFREPLICA_CHECKPOINT_PACK_H

#include "gfreplica/state.h"

#define GF_STATE_FORMAT 1u /* raised only when an older program would misread what it does not know */

void gf_state_encode(gf_buf *out, const gf_state *s); /* appended */
/* Keys that are not known are skipped, whatever they hold. DATA error for anything malformed: input is not trusted,
   neither its sizes nor its depth. *format is what the body itself says. */
GF_MUST_CHECK bool gf_state_decode(gf_state *out, unsigned *format, gf_slice body, gf_error *err);

#endif

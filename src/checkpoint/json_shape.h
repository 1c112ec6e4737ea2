/* SPDX-License-Identifier: MIT */
/*
 * json_shape.h - the native JSON form: the shapes of shape.h, member by member.
 */
#ifndef GFREPLICA_CHECKPOINT_JSON_SHAPE_H
#define GFREPLICA_CHECKPOINT_JSON_SHAPE_H

#include <jansson.h>

#include "json_write.h"
#include "shape.h"

void gf_shape_to_json(gf_json *j, const char *key, const gf_shape *shape, const void *base);
/* Fills a zeroed struct. Members that are not known are passed over; CONFIG error naming the one that is wrong.
   What was read before a failure stays in *base and is the caller's to free. */
GF_MUST_CHECK bool gf_shape_from_json(void *base, const gf_shape *shape, const json_t *object, gf_error *err);

/* An integer, or one too large for the JSON library that was quoted before parsing (json_in.c). */
GF_MUST_CHECK bool gf_json_get_u64(uint64_t *out, const json_t *v);

#endif

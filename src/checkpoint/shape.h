/* SPDX-License-Identifier: MIT */
/*
 * shape.h - the fields of a state as tables, so that msgpack and JSON, reading and writing, cannot disagree.
 *
 * A shape describes one struct: which members are kept, under which name, of which kind. A member that is zero,
 * empty or NULL is not written, and one that is missing reads as zero: adding a field never breaks an old file.
 */
#ifndef GFREPLICA_CHECKPOINT_SHAPE_H
#define GFREPLICA_CHECKPOINT_SHAPE_H

#include "gfreplica/state.h"

typedef enum {
    F_BOOL,
    F_INT,     /* int */
    F_UINT,    /* unsigned */
    F_U64,     /* uint64_t */
    F_DOUBLE,  /* double, written although zero: a lag of 0 is not "unknown" */
    F_TEXT,    /* char[size], NUL-terminated */
    F_STRING,  /* char *, owned */
    F_BYTES,   /* gf_buf; hex in JSON */
    F_ENUM,    /* an enum, kept by name */
    F_STRINGS, /* char ** with an unsigned count, both owned */
    F_LIST,    /* array of structs with a count, owned */
    F_OBJECT,  /* a group of members of the same struct */
    F_TABLE    /* gf_table *, owned; shape describes gf_table */
} gf_field_kind;

typedef struct gf_shape gf_shape;

typedef struct {
    const char *name;
    gf_field_kind kind;
    size_t offset;
    size_t size;              /* TEXT: of the array; LIST: of one element */
    size_t count_offset;      /* LIST, STRINGS */
    bool wide_count;          /* LIST: the count is a size_t, otherwise an unsigned */
    size_t max;               /* LIST, STRINGS: more is malformed; ENUM: number of names */
    const char *const *names; /* ENUM, by value */
    const gf_shape *shape;    /* LIST, OBJECT, TABLE */
} gf_field;

struct gf_shape {
    const gf_field *fields;
    size_t count;
};

/* What is kept of a state. GTIDs are text here: reading them needs the flavour, which may come later in the map. */
typedef struct {
    gf_state state;
    unsigned format; /* format version, again: the one in the file's head is outside of its checksum */
    char *position_gtids, *final_gtids; /* owned */
    bool owns_tables;                   /* state.tables is the image's own array of borrowed tables */
} gf_state_image;

extern const gf_shape gf_state_shape; /* of a gf_state_image */
extern const gf_shape gf_table_shape; /* of a gf_table */

/* An image that borrows all of s but the two GTID texts. End with gf_state_image_forget. */
void gf_state_image_of(gf_state_image *img, const gf_state *s, bool with_schema);
void gf_state_image_forget(gf_state_image *img);
/* The image's state, with its positions; *img is spent, also on failure. CONFIG error on GTIDs that can't be read. */
GF_MUST_CHECK bool gf_state_image_take(gf_state *out, gf_state_image *img, gf_error *err);
void gf_state_image_free(gf_state_image *img);

size_t gf_field_count_of(const gf_field *f, const void *base);
void gf_field_set_count(const gf_field *f, void *base, size_t count);
bool gf_field_is_zero(const gf_field *f, const void *base);
/* Turns a freshly read table into one that may be published. False when its parts do not fit together. */
GF_MUST_CHECK bool gf_table_complete(gf_table *t);

#endif

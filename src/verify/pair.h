/* SPDX-License-Identifier: MIT */
/*
 * pair.h - one table on both servers, as one thread of a comparison reads it.
 *
 * Threads: one at a time, the thread that opened it.
 */
#ifndef GFREPLICA_VERIFY_PAIR_H
#define GFREPLICA_VERIFY_PAIR_H

#include "form.h"
#include "gfreplica/verify.h"
#include "stop.h"

typedef enum { GF_AT_SOURCE, GF_AT_TARGET } gf_place;

typedef struct {
    MYSQL *db; /* owned; a GF_CONN_READER connection */
    gf_form form;
    const char *name;  /* borrowed: "`db`.`t`" there */
    const char *index; /* borrowed: the identity's, if the server knows it by name; NULL: let it choose */
} gf_side;

typedef struct {
    const gf_verify_options *opt; /* borrowed */
    gf_stop *stop;                /* borrowed: may break our connections, which are in its slots from `slot` on */
    size_t slot;
    gf_side sides[2];      /* by gf_place */
    MYSQL *control;        /* owned: to the target, GF_CONN_PLAIN */
    const gf_table *table; /* borrowed: the source's; NULL: none is set */
    gf_table *on_target;   /* owned */
} gf_pair;

enum { GF_PAIR_LINKS = 3 };

GF_MUST_CHECK bool gf_pair_open(gf_pair *p, const gf_verify_options *opt, gf_stop *stop, size_t slot, gf_error *err);
void gf_pair_close(gf_pair *p); /* back to {0} */
/* A connection has grown for a large row, and would stay so large. */
bool gf_pair_is_large(const gf_pair *p);

bool gf_pair_stopped(const gf_pair *p, gf_error *err); /* by opt->stopped: STOPPED error */

/* The table that is read from now on. DIVERGED error when the target's is not there or lacks a column. */
GF_MUST_CHECK bool gf_pair_table(gf_pair *p, const gf_table *t, gf_error *err);
/* Do both servers have the rows in one order of the identity? Text may be ordered otherwise by another collation or family. */
bool gf_pair_ordered(const gf_pair *p);

/* Rows that were read: canonical keys and digests. */
typedef struct {
    size_t key, key_len; /* into keys */
    gf_digest digest;
} gf_row;

typedef struct {
    gf_buf keys; /* owned, like rows */
    gf_row *rows;
    size_t count, cap;
} gf_rowset;

static inline gf_slice gf_rowset_key(const gf_rowset *s, const gf_row *row)
{
    return gf_slice_of(s->keys.data + row->key, row->key_len);
}
/* By their bytes, as memcmp. */
int gf_key_order(gf_slice a, gf_slice b);
void gf_rowset_clear(gf_rowset *s);
void gf_rowset_sort(gf_rowset *s); /* by gf_key_order, then by digest */
void gf_rowset_free(gf_rowset *s); /* back to {0} */

/* " FORCE INDEX (...)", what stands behind the table's name. Appended. */
void gf_pair_add_index(gf_buf *rest, const gf_pair *p, gf_place at);
/* SELECT ... FROM the table `rest`; rows are added. STOPPED when opt->stopped says so between two rows. After a failure,
   here and below, that was not the server's own answer (err->native below CR_MIN_ERROR) the pair is good for gf_pair_close alone. */
GF_MUST_CHECK bool gf_pair_read(gf_rowset *out, gf_pair *p, gf_place at, gf_slice rest, gf_error *err);
/* One digest of all rows, in whatever order they come; *rows of them. clause: behind the SELECT. */
GF_MUST_CHECK bool gf_pair_read_all(gf_digest *out, uint64_t *rows, gf_pair *p, gf_place at, const char *clause,
                                    gf_error *err);

#endif

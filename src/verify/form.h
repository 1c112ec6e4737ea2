/* SPDX-License-Identifier: MIT */
/*
 * form.h - rows of one table on one server, in the form in which both sides' are compared: a canonical key and a digest.
 *
 * Threads: one at a time.
 */
#ifndef GFREPLICA_VERIFY_FORM_H
#define GFREPLICA_VERIFY_FORM_H

#include <mysql.h>

#include "gfreplica/arena.h"
#include "gfreplica/catalog.h"

/* XXH3's 128 bits; {0} stands for a row that is not there, and no row has it. */
typedef struct {
    uint64_t low, high;
} gf_digest;

static inline bool gf_digest_eq(gf_digest a, gf_digest b)
{
    return a.low == b.low && a.high == b.high;
}
static inline bool gf_digest_none(gf_digest d)
{
    return d.low == 0 && d.high == 0;
}

typedef struct gf_form_field gf_form_field;

typedef struct {
    const gf_table *table; /* borrowed: the source's definition, which keys are made by */
    gf_buf fields;         /* owned: what stands between SELECT and FROM */
    gf_form_field *list;   /* owned */
    unsigned count;
    gf_digest *columns; /* owned: of each column of the last row; {0}: NULL, or not compared */
    gf_value *row;      /* owned: of the last row */
    gf_arena arena;
} gf_form;

/* `here` is the table on the server that is read, `there` on the other one; t is one of them. DIVERGED error when a column of t
   is on neither. */
GF_MUST_CHECK bool gf_form_init(gf_form *f, const gf_table *t, const gf_table *here, const gf_table *there,
                                gf_flavor flavor, gf_error *err);
void gf_form_free(gf_form *f); /* back to {0} */
/* Do the result's fields hold what the definition says? DATA error ER_TABLE_DEF_CHANGED. */
GF_MUST_CHECK bool gf_form_fits(const gf_form *f, MYSQL_RES *res, gf_error *err);
/* The row's digest; its canonical key is appended to *key (nothing for a table without identity). */
gf_digest gf_form_row(gf_form *f, gf_buf *key, MYSQL_ROW row, const unsigned long *lengths);

#endif

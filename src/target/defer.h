/* SPDX-License-Identifier: MIT */
/*
 * defer.h - which indexes of a definition may be built after the rows, and the definition without them.
 *
 * Pure: texts in, texts out. Threads: a gf_references is filled by one thread, then only read.
 */
#ifndef GFREPLICA_TARGET_DEFER_H
#define GFREPLICA_TARGET_DEFER_H

#include "gfreplica/catalog.h"

/* Columns of the target that some foreign key refers to. {0} is empty. */
typedef struct {
    struct gf_reference {
        char *db, *table, *column; /* owned */
    } * items;                     /* owned */
    size_t count;
} gf_references;

/* Those of the foreign keys in `sql`, the target's definition of t. */
void gf_references_add(gf_references *r, const gf_table *t, const char *sql);
void gf_references_free(gf_references *r);

/*
 * Takes from `sql`, the target's definition of t, what may be built later: appends the definition without it to
 * `create`, and "ADD KEY ..., ADD KEY ..." to `add`; either may be NULL. An index whose name is in `there` (NULL: none)
 * is not added. Returns how many are.
 */
unsigned gf_defer_split(gf_buf *create, gf_buf *add, const gf_table *t, const char *sql, const gf_references *refs,
                        const gf_names *there);

#endif

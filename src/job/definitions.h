/* SPDX-License-Identifier: MIT */
/*
 * definitions.h - is a table on the target defined as on the source, as far as repeated DDL and rows go?
 *
 * Both sides are of one family; versions may differ, so texts of SHOW CREATE TABLE are not compared as a whole.
 *
 * Threads: definitions_agree belongs to the main thread, the others to whoever has the tables.
 */
#ifndef GFREPLICA_JOB_DEFINITIONS_H
#define GFREPLICA_JOB_DEFINITIONS_H

#include "internal.h"

/* SHOW CREATE TABLE without AUTO_INCREMENT=n, which moves with the rows. Appended. */
void gf_definition_text(gf_buf *out, const char *create_sql);
/* Columns, keys, collation, partitions. */
bool gf_definition_same(const gf_table *a, const gf_table *b);
/* At the cutover's end position: every table is there on the target; every one that DDL has touched, and the plain keys
   of every table whose indexes we have built, are the same on both servers. DATA error that names the first that is not,
   and its key, default or CHECK constraint. A further key on the target is only told. */
GF_MUST_CHECK bool gf_definitions_agree(gf_job *j, gf_error *err);

#endif

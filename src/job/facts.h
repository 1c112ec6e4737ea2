/* SPDX-License-Identifier: MIT */
/*
 * facts.h - what the catalog does not hold of a definition, compared between the servers: keys of all kinds, defaults,
 * CHECK constraints.
 *
 * Read from information_schema on both, and only as far as both tell the same thing in the same words: no false alarms.
 *
 * Threads: the main thread's alone.
 */
#ifndef GFREPLICA_JOB_FACTS_H
#define GFREPLICA_JOB_FACTS_H

#include "internal.h"

/* PLAIN_KEYS: those that are built after the rows. OTHER_KEYS: all but unique ones; of servers of two families, which have
   other kinds each, the plain ones. BUT_KEYS: defaults, expressions and CHECK constraints. ALL: these and keys of any kind; for servers of one family. */
typedef enum { GF_FACTS_PLAIN_KEYS, GF_FACTS_OTHER_KEYS, GF_FACTS_BUT_KEYS, GF_FACTS_ALL } gf_facts_scope;

/* Borrowed. */
typedef struct {
    MYSQL *source, *target;
    const gf_server_info *source_info, *target_info;
} gf_facts_servers;

static inline gf_facts_servers gf_facts_servers_of(const gf_job *j)
{
    return (gf_facts_servers){j->source, j->target, &j->source_info, &j->target_info};
}

typedef enum { GF_FACT_LACKING, GF_FACT_DIFFERENT, GF_FACT_FURTHER } gf_fact_difference; /* on the target */

#define GF_FACT_EXPRESSION "expression of column" /* a generated one */

/* `what` is "key", "default of column", GF_FACT_EXPRESSION or "CHECK constraint"; static. `name` is borrowed. */
typedef void gf_fact_fn(void *ctx, const char *what, const char *name, gf_fact_difference how);

/* Calls fn for each difference between the source's and the target's table. */
GF_MUST_CHECK bool gf_facts_compare(const gf_facts_servers *servers, const gf_table *t, gf_facts_scope scope,
                                    gf_fact_fn *fn, void *ctx, gf_error *err);

#endif

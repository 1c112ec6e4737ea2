/* SPDX-License-Identifier: MIT */
/*
 * check_limits.c - tables that a server itself can't have read or written as we do.
 */
#include <string.h>

#include "check_parts.h"

/* InnoDB takes documents of a fulltext index only in the order of these numbers, and remembers the highest for ever. */
static bool numbers_documents(const gf_table *t)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, "FTS_DOC_ID") == 0)
            return t->create_sql != NULL && strstr(t->create_sql, "FULLTEXT KEY") != NULL;
    return false;
}

/* MariaDB ends with signal 11 when it is asked for a range of such a key (seen on 10.11.19). */
static bool has_longest_key(const gf_check *c, const gf_table *t)
{
    return c->source_info->flavor == GF_FLAVOR_MARIADB && t->identity >= 0 &&
           t->keys[t->identity].part_count >= GF_KEY_PARTS_MAX;
}

void gf_check_limits(gf_check *c)
{
    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        if (numbers_documents(t))
            gf_check_problem(
                c,
                "source: %s has a column FTS_DOC_ID for its fulltext index, which takes rows in that order "
                "only: leave it out",
                t->label);
        if (has_longest_key(c, t))
            gf_check_problem(c,
                             "source: %s has a key of %d columns, which the server does not survive being read by: "
                             "leave it out",
                             t->label, GF_KEY_PARTS_MAX);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * filter.c - which databases and tables are moved, and their names on the target.
 *
 * An empty whitelist selects all; a blacklist takes away. Names are compared exactly, without patterns.
 */
#include "gfreplica/catalog.h"

#include "names.h"

#define DEFAULT_MARKER_DB "_gfreplica"

/* The servers' own. Their names are compared without case on every platform. */
static const char *const system_schemas[] = {"mysql", "information_schema", "performance_schema", "sys"};

static bool contains(const gf_names *names, const char *name, bool fold_case)
{
    for (size_t i = 0; i < names->count; i++)
        if (same_name(names->items[i], name, fold_case))
            return true;
    return false;
}

static bool selected(const gf_names *white, const gf_names *black, const char *name, bool fold_case)
{
    return (white->count == 0 || contains(white, name, fold_case)) && !contains(black, name, fold_case);
}

static bool is_system_schema(const char *db)
{
    for (size_t i = 0; i < sizeof system_schemas / sizeof system_schemas[0]; i++)
        if (strcasecmp(system_schemas[i], db) == 0)
            return true;
    return false;
}

bool gf_filter_db(const gf_filter *f, const char *db)
{
    const char *marker = f->marker_db != NULL ? f->marker_db : DEFAULT_MARKER_DB;

    if (is_system_schema(db) || same_name(marker, db, f->fold_case))
        return false;
    return selected(&f->db_whitelist, &f->db_blacklist, db, f->fold_case);
}

bool gf_filter_table(const gf_filter *f, const char *db, const char *table)
{
    return gf_filter_db(f, db) && selected(&f->table_whitelist, &f->table_blacklist, table, f->fold_case);
}

static const char *renamed(const gf_renames *renames, const char *name, bool fold_case)
{
    for (size_t i = 0; i < renames->count; i++)
        if (same_name(renames->from[i], name, fold_case))
            return renames->to[i];
    return name;
}

const char *gf_filter_target_db(const gf_filter *f, const char *db)
{
    return renamed(&f->db_renames, db, f->fold_case);
}

const char *gf_filter_target_table(const gf_filter *f, const char *table)
{
    return renamed(&f->table_renames, table, f->fold_case);
}

/* SPDX-License-Identifier: MIT */
/*
 * in_memory.c - tables of the engine MEMORY: emptied by a restart of the source (it says so in its binlog, late), and of
 * the target, where all else goes on from the marker.
 *
 * A row in a table of the same engine beside the marker has the same fate, also on the target's replicas. When it is gone
 * the tables' ranges go back to their beginnings and are copied as in a new job. The row is written after that and before
 * any row of theirs, so a crash in between does no harm.
 */
#include "in_memory.h"

#include <stdlib.h>
#include <string.h>

#include "gfreplica/log.h"

#define NO_SUCH_TABLE 1146u

static bool is_in_memory(const gf_table *t)
{
    return t->engine != NULL && strcasecmp(t->engine, "MEMORY") == 0;
}

/* Borrowed tables in a list that is the caller's. */
static size_t list_all(gf_job *j, const gf_table ***out)
{
    size_t all = gf_catalog_list(j->catalog, out), count = 0;

    for (size_t i = 0; i < all; i++)
        if (is_in_memory((*out)[i]))
            (*out)[count++] = (*out)[i];
    return count;
}

bool gf_memory_open_all(gf_job *j, gf_error *err)
{
    const gf_table **tables;
    size_t count = list_all(j, &tables);
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++)
        ok = gf_server_exec(j->source, tables[i]->label, err, "DO (SELECT 1 FROM %s LIMIT 0)", tables[i]->source_sql) ||
             err->native == NO_SUCH_TABLE; /* what has become of it is in the stream */
    free(tables);
    return ok;
}

bool gf_memory_begin(gf_job *j, gf_error *err)
{
    const gf_table **tables;
    size_t count = list_all(j, &tables);
    bool lost;

    free(tables);
    return count == 0 || j->marker == NULL ||
           (gf_marker_memory_lost(&lost, j->marker, j->target, err) &&
            gf_marker_memory_note(j->marker, j->target, err));
}

/* A table of the operator's making may be on disk there. */
static bool is_in_memory_there(bool *yes, gf_job *j, const gf_table *t, gf_error *err)
{
    gf_buf db = {0}, name = {0};
    char *found = NULL;
    bool ok;

    gf_buf_quote(&db, t->target_db, strlen(t->target_db));
    gf_buf_quote(&name, t->target_name, strlen(t->target_name));
    ok = gf_server_scalar(&found, j->target, t->label, err,
                          "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s AND "
                          "ENGINE='MEMORY'",
                          gf_buf_cstr(&db), gf_buf_cstr(&name));
    *yes = found != NULL;
    free(found);
    gf_buf_free(&name);
    gf_buf_free(&db);
    return ok;
}

static void restart_ranges(gf_marker_content *m, const gf_table *t)
{
    for (size_t i = 0; i < m->range_count; i++) {
        gf_marker_range *r = &m->ranges[i];

        if (strcmp(r->db, t->db) != 0 || strcmp(r->name, t->name) != 0)
            continue;
        gf_buf_reset(&r->frontier);
        r->done = false;
        r->rows = 0;
    }
}

static bool copy_again(gf_job *j, gf_marker_content *m, const gf_table *t, gf_error *err)
{
    bool there;

    if (!is_in_memory_there(&there, j, t, err) || (there && !gf_marker_memory_restart(j->marker, j->target, t, err)))
        return false;
    if (there) {
        gf_log_warn("%s lives in the target's memory and has been lost in a restart: it is copied again", t->label);
        restart_ranges(m, t);
    }
    return true;
}

bool gf_memory_resume(gf_job *j, gf_marker_content *m, gf_error *err)
{
    const gf_table **tables;
    size_t count = list_all(j, &tables);
    bool lost = false, ok = count == 0 || gf_marker_memory_lost(&lost, j->marker, j->target, err);

    for (size_t i = 0; ok && lost && i < count; i++)
        ok = copy_again(j, m, tables[i], err);
    free(tables);
    return ok && (!lost || gf_marker_memory_note(j->marker, j->target, err));
}

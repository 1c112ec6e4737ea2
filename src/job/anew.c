/* SPDX-License-Identifier: MIT */
/*
 * anew.c - a job whose very beginning the target has lost.
 *
 * A target without durable commits (innodb_flush_log_at_trx_commit=0 or 2) forgets the last second in a crash of its own.
 * Its redo log is a sequence: with the job's first commit, the marker's, all later ones are gone, while its tables, made
 * before, are there. They are as empty as they were made, so the job may begin once more, with the schema and the position
 * of now. Any row in any of them, or a table that is not there, says that it is not that.
 */
#include "anew.h"

#include <stdlib.h>

#include "gfreplica/log.h"

static bool all_empty(bool *yes, const gf_job *j, const gf_table *const *tables, size_t count, gf_error *err)
{
    bool *missing = gf_calloc(count + 1, sizeof *missing), rows = false;
    bool ok = gf_target_missing(missing, j->target, j->config, tables, count, err);

    *yes = ok && count > 0;
    for (size_t i = 0; ok && *yes && i < count; i++) {
        *yes = !missing[i];
        ok = missing[i] || gf_target_has_rows(&rows, j->target, tables[i], err);
        *yes = *yes && !rows;
    }
    free(missing);
    return ok;
}

bool gf_anew_possible(bool *yes, gf_job *j, gf_error *err)
{
    const gf_table **tables;
    size_t count;
    bool ok;

    *yes = false;
    if (j->state.schema_changes > 0 || j->config->allow_existing || j->loaded.imported)
        return true;
    count = gf_catalog_list(j->catalog, &tables);
    ok = all_empty(yes, j, tables, count, err);
    free(tables);
    return ok;
}

/* The schema and the progress of the first beginning must not be met with the marker of the second. */
static bool keep_identity(gf_job *j, gf_error *err)
{
    gf_state s = {0};
    bool ok;

    gf_snapshot_state(j, &s);
    s.saved_ms = gf_wall_ms();
    ok = gf_checkpoint_save(j->checkpoint, &s, err);
    gf_state_free(&s);
    return ok;
}

bool gf_anew_forget(gf_job *j, gf_error *err)
{
    gf_log_warn(
        "the target has lost the very beginning of job '%s' (a crash without durable commits), and all rows with "
        "it: beginning once more",
        j->config->job);
    gf_job_no_cutover(j);
    gf_stage_enter(j, GF_STAGE_STARTING);
    pthread_mutex_lock(&j->lock);
    j->state.changes_applied = j->state.transactions_applied = 0;
    j->state.rows_copied = 0;
    pthread_mutex_unlock(&j->lock);
    j->begun = j->resumed = j->prepared = j->has_loaded_schema = false;
    return keep_identity(j, err);
}

void gf_anew_tell_dropped(const gf_job *j, gf_catalog *before)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(before, &tables);

    for (size_t i = 0; i < count; i++) {
        const gf_table *t = tables[i];

        if (gf_catalog_find(j->catalog, t->db, strlen(t->db), t->name, strlen(t->name)) == NULL)
            gf_log_warn("the source has no table %s any more: the empty one on the target, %s, is left there: drop it",
                        t->label, t->target_sql);
    }
    free(tables);
}

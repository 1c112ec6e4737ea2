/* SPDX-License-Identifier: MIT */
/*
 * import.c - a state given with the command (-resumestate, StateToResumeFrom, import-state).
 *
 * A dump of ours knows everything that a checkpoint knows. One of Ghostferry's speaks of one key a table, "all up to
 * here is copied", and of keys above 0 alone: it asks for `key > 0` first (for bytes: > ''), and never for what is
 * below. So such a table becomes two ranges, and the first one is still to do:
 *
 *     (open, 0]  nothing copied        (0, open)  copied up to the state's key, or done
 *
 * Where its key is not the one by which we read the table, nothing is known: the table is copied anew.
 */
#include <errno.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "internal.h"

enum { ER_BAD_DB = 1049, ER_NO_SUCH_TABLE = 1146 };

/* ---- reading it ---- */

bool gf_import_given(const gf_config *c)
{
    return c->resume_state != NULL || c->resume_text != NULL;
}

/* What a run of ours (one that says when it was saved) prints that was interrupted before it knew where to start. */
static bool has_begun(const gf_state *s)
{
    return s->saved_ms == 0 || s->stage != GF_STAGE_STARTING || s->position.file[0] != '\0' ||
           s->position.gtids != NULL || s->position.maria.count > 0;
}

bool gf_import_read(gf_state *out, const gf_config *c, gf_error *err)
{
    gf_buf text = {0};
    bool ok = true;

    if (c->resume_state != NULL)
        ok = gf_buf_read_file(&text, c->resume_state, err);
    else
        gf_buf_str(&text, c->resume_text);
    ok = ok && (gf_state_from_json(out, (const char *)text.data, text.len, err) ||
                gf_fail_context(err, "%s", c->resume_state != NULL ? c->resume_state : "StateToResumeFrom"));
    gf_buf_free(&text);
    if (!ok)
        return false;
    out->imported = has_begun(out);
    if (!out->imported) {
        gf_log_warn("the state given is of a run that ended before it had begun to copy: starting from the beginning");
        gf_state_free(out);
        *out = (gf_state){0};
    }
    return true;
}

bool gf_import_foreign(const gf_state *s)
{
    return s->imported && s->config_digest[0] == '\0';
}

const gf_state_table *gf_import_table(const gf_state *s, const gf_table *t)
{
    for (size_t i = 0; i < s->table_count; i++) {
        if (strcmp(s->tables[i].db, t->db) == 0 && strcmp(s->tables[i].name, t->name) == 0)
            return &s->tables[i];
    }
    return NULL;
}

/* ---- does it fit what is there? ---- */

static bool has_progress(const gf_state_table *st)
{
    bool some = st->done || st->import_key != NULL;

    for (size_t i = 0; i < st->range_count; i++)
        some = some || st->ranges[i].done || st->ranges[i].frontier.len > 0;
    return some;
}

/* Another target, or one that was emptied, would get the rows that are still to copy and no others. */
static bool is_on_target(MYSQL *target, const gf_table *t, gf_error *err)
{
    if (gf_server_exec(target, t->label, err, "SELECT 1 FROM %s LIMIT 0", t->target_sql))
        return true;
    if (mysql_errno(target) != ER_NO_SUCH_TABLE && mysql_errno(target) != ER_BAD_DB)
        return false;
    return gf_fail(
        err, GF_ERR_CONFIG,
        "the state says that rows of %s were copied, but the target has no table %s: is this the target that "
        "they were copied to?",
        t->label, t->target_sql);
}

bool gf_import_check(const gf_state *s, gf_catalog *catalog, MYSQL *target, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(catalog, &tables);
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++) {
        const gf_state_table *st = gf_import_table(s, tables[i]);

        ok = st == NULL ||
             (gf_state_schema_check(st, tables[i], err) && (!has_progress(st) || is_on_target(target, tables[i], err)));
    }
    free(tables);
    return ok;
}

/* ---- ranges ---- */

/* The column of a one-column key whose order Ghostferry and the canonical form agree on, or NULL. */
static const gf_column *key_column(const gf_table *t, unsigned *at)
{
    const gf_key *key = &t->keys[t->identity];
    const gf_column *col = &t->columns[key->parts[0].column];

    *at = key->parts[0].column;
    if (key->part_count != 1 || key->parts[0].descending)
        return NULL;
    if ((col->type >= GF_T_TINY && col->type <= GF_T_LONGLONG) || col->type == GF_T_BINARY ||
        col->type == GF_T_VARBINARY)
        return col;
    return NULL;
}

static bool is_integer(const gf_column *col)
{
    return col->type >= GF_T_TINY && col->type <= GF_T_LONGLONG;
}

/* Its keys are unsigned 64-bit numbers, whatever the column: beyond the column's own type one means nothing. */
static bool key_fits(const gf_state_table *st, const gf_column *col)
{
    if (st->import_key_column != NULL && strcmp(st->import_key_column, col->name) != 0)
        return false;
    if (st->import_key == NULL)
        return true;
    if (is_integer(col) == st->import_key_binary)
        return false;
    errno = 0;
    if (is_integer(col) && !col->is_unsigned)
        (void)strtoll(st->import_key, NULL, 10);
    return errno == 0;
}

static void encode(gf_buf *out, const gf_table *t, unsigned column, bool integer, gf_slice text)
{
    gf_value *row = gf_calloc(t->column_count, sizeof *row);

    row[column].kind = integer ? GF_V_NUMBER : GF_V_BYTES;
    row[column].bytes = text;
    gf_key_encode(out, t, &t->keys[t->identity], row);
    free(row);
}

static void add_foreign(gf_plan *plan, const gf_table *t, const gf_state_table *st, unsigned column, bool integer)
{
    const gf_slice open = {NULL, 0};
    gf_buf floor = {0}, frontier = {0}, bytes = {0};

    encode(&floor, t, column, integer, integer ? gf_slice_str("0") : gf_slice_str(""));
    if (st->import_key != NULL && !st->done) {
        if (integer)
            gf_buf_str(&bytes, st->import_key);
        else if (!gf_buf_unhex(&bytes, st->import_key))
            gf_buf_reset(&bytes); /* json_in.c has seen to it */
        encode(&frontier, t, column, integer, gf_slice_of(bytes.data, bytes.len));
    }
    gf_plan_add(plan, t, 0, open, gf_slice_of(floor.data, floor.len), open, false, 0);
    gf_plan_add(plan, t, 1, gf_slice_of(floor.data, floor.len), open, gf_slice_of(frontier.data, frontier.len),
                st->done, 0);
    gf_buf_free(&bytes);
    gf_buf_free(&frontier);
    gf_buf_free(&floor);
}

static bool plan_foreign(gf_plan *plan, const gf_table *t, const gf_state_table *st)
{
    unsigned column;
    const gf_column *col = key_column(t, &column);

    if (col == NULL || !key_fits(st, col)) {
        gf_log_warn("%s: the state's progress is not by a key that we could go on from: copied from the beginning",
                    t->label);
        return false;
    }
    add_foreign(plan, t, st, column, is_integer(col));
    return true;
}

/* A table without a key is copied anew: without the marker nothing tells which changes it has seen. */
bool gf_import_plan(gf_plan *plan, const gf_table *t, const gf_state_table *st)
{
    if (t->identity < 0)
        return false;
    for (size_t i = 0; i < st->range_count; i++) {
        const gf_state_range *r = &st->ranges[i];

        gf_plan_add(plan, t, r->index, gf_slice_of(r->lower.data, r->lower.len),
                    gf_slice_of(r->upper.data, r->upper.len), gf_slice_of(r->frontier.data, r->frontier.len), r->done,
                    r->rows);
    }
    if (st->range_count > 0)
        return true;
    return (st->done || st->import_key != NULL) && plan_foreign(plan, t, st);
}

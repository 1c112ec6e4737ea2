/* SPDX-License-Identifier: MIT */
/*
 * hidden_ddl.c - schema changes that the source's binlog does not have.
 *
 * SET sql_log_bin=0 hides a statement. Row events name no columns: after two were given each other's names, or an ENUM's
 * members another order, values would go into the wrong ones and no event would tell. So at the cutover the columns of
 * every table that no logged DDL has touched are compared with those by which its rows were read. What hidden DDL does
 * to defaults or keys changes no row.
 */
#include "hidden_ddl.h"

#include <stdlib.h>
#include <string.h>

/* The old three-byte set has two names, and a newer version of the source may change to the other. */
static const char *charset_of(const gf_column *c)
{
    if (c->charset == NULL)
        return "";
    return strcmp(c->charset, "utf8") == 0 ? "utf8mb3" : c->charset;
}

static bool same_members(const gf_column *a, const gf_column *b)
{
    if (a->member_count != b->member_count)
        return false;
    for (unsigned i = 0; i < a->member_count; i++)
        if (strcmp(a->members[i], b->members[i]) != 0)
            return false;
    return true;
}

/* What decides how a value is read. Texts of types are not compared: a source that was upgraded may print them otherwise. */
static bool same_column(const gf_column *a, const gf_column *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->is_unsigned == b->is_unsigned &&
           a->generated == b->generated && a->char_bytes == b->char_bytes && a->precision == b->precision &&
           a->scale == b->scale && a->fsp == b->fsp && a->bits == b->bits &&
           strcmp(charset_of(a), charset_of(b)) == 0 && same_members(a, b);
}

/* *column: the first that differs, by its number from 1. */
static bool same_layout(unsigned *column, const gf_table *a, const gf_table *b)
{
    unsigned i = 0;

    while (i < a->column_count && i < b->column_count && same_column(&a->columns[i], &b->columns[i]))
        i++;
    *column = i + 1;
    return i == a->column_count && i == b->column_count;
}

static bool was_altered(const gf_marker_content *m, const gf_table *t)
{
    for (size_t i = 0; i < m->schema_count; i++)
        if (strcmp(m->schemas[i].db, t->db) == 0 && strcmp(m->schemas[i].name, t->name) == 0)
            return true;
    return false;
}

static bool unlike(const gf_table *t, const char *what, gf_error *err)
{
    return gf_fail(
        err, GF_ERR_DATA,
        "%s %s on the source, and no statement in its binlog up to the cutover's end position did that: it was "
        "hidden by sql_log_bin=0, or came later. If it came later, run and cut over again; if it was hidden, "
        "rows may be in wrong columns or missing: start the job anew",
        t->label, what);
}

static bool one_agrees(const gf_table *known, const gf_table *now, gf_error *err)
{
    unsigned column;
    gf_buf what = {0};

    if (now == NULL)
        return unlike(known, "is gone", err);
    if (same_layout(&column, known, now))
        return true;
    gf_buf_printf(&what, "has another column %u (`%s`)", column,
                  column <= now->column_count ? now->columns[column - 1].name : known->columns[column - 1].name);
    (void)unlike(known, gf_buf_cstr(&what), err);
    gf_buf_free(&what);
    return false;
}

static const gf_table *same_name_in(gf_catalog *c, const gf_table *t)
{
    return gf_catalog_find(c, t->db, strlen(t->db), t->name, strlen(t->name));
}

static bool known_agree(gf_job *j, gf_catalog *now, const gf_marker_content *m, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(j->catalog, &tables);
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++)
        ok = was_altered(m, tables[i]) || one_agrees(tables[i], same_name_in(now, tables[i]), err);
    free(tables);
    return ok;
}

static bool all_known(gf_job *j, gf_catalog *now, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(now, &tables);
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++)
        ok = same_name_in(j->catalog, tables[i]) != NULL || unlike(tables[i], "is new", err);
    free(tables);
    return ok;
}

bool gf_hidden_ddl_none(gf_job *j, gf_error *err)
{
    gf_catalog *now = gf_catalog_new();
    gf_marker_content m = {0};
    bool ok = gf_catalog_load_layouts(now, j->source, j->source_info.flavor, &j->config->filter, err);

    if (ok && j->marker != NULL && j->state.schema_changes > 0) /* no thread but ours writes it any more */
        ok = gf_marker_schemas(&m, j->marker, j->target, err);
    ok = ok && known_agree(j, now, &m, err) && all_known(j, now, err);
    gf_marker_content_free(&m);
    gf_catalog_free(now);
    return ok;
}

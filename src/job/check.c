/* SPDX-License-Identifier: MIT */
/*
 * check.c - the preflight: runs all parts and keeps what they find.
 *
 * Nothing stops at the first finding: an operator who has to ask somebody else for grants and a restart wants to ask
 * once. Nothing is changed on either server.
 */
#include "gfreplica/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_parts.h"

enum { NAMES_SHOWN = 40 };

/* ---- report ---- */

static void add_line(gf_buf *lines, unsigned *count, const char *fmt, va_list ap) GF_PRINTF(3, 0);

static void add_line(gf_buf *lines, unsigned *count, const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0)
        gf_oom();
    gf_buf_str(lines, text);
    gf_buf_byte(lines, '\n');
    (*count)++;
    free(text);
}

void gf_check_problem(gf_check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_line(&c->report->problems, &c->report->problem_count, fmt, ap);
    va_end(ap);
}

void gf_check_warning(gf_check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_line(&c->report->warnings, &c->report->warning_count, fmt, ap);
    va_end(ap);
}

void gf_check_free(gf_check_report *r)
{
    gf_buf_free(&r->problems);
    gf_buf_free(&r->warnings);
    *r = (gf_check_report){0};
}

/* ---- names ---- */

void gf_check_name(gf_check_names *list, const char *name)
{
    if (list->count++ >= NAMES_SHOWN)
        return;
    if (list->text.len > 0)
        gf_buf_str(&list->text, ", ");
    gf_buf_str(&list->text, name);
}

void gf_check_name_of(gf_check_names *list, const gf_table *t, const char *name)
{
    char *full = gf_asprintf("%s.%s", t->label, name);

    gf_check_name(list, full);
    free(full);
}

const char *gf_check_names_text(gf_check_names *list)
{
    if (list->count > NAMES_SHOWN)
        gf_buf_printf(&list->text, " and %zu more", list->count - NAMES_SHOWN);
    return gf_buf_cstr(&list->text);
}

void gf_check_names_free(gf_check_names *list)
{
    gf_buf_free(&list->text);
    list->count = 0;
}

/* ---- usages ---- */

const gf_check_usage *gf_check_used(const gf_check_usages *u, const char *name)
{
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->items[i].name, name) == 0)
            return &u->items[i];
    return NULL;
}

void gf_check_use(gf_check_usages *u, const char *name, const char *user)
{
    const gf_check_usage *known = gf_check_used(u, name);
    size_t i = known == NULL ? u->count : (size_t)(known - u->items);

    if (known == NULL) {
        u->items = gf_realloc(u->items, (u->count + 1) * sizeof *u->items);
        u->items[u->count++] = (gf_check_usage){.name = gf_strdup(name)};
    }
    gf_check_name(&u->items[i].users, user);
}

void gf_check_usages_free(gf_check_usages *u)
{
    for (size_t i = 0; i < u->count; i++) {
        free(u->items[i].name);
        gf_check_names_free(&u->items[i].users);
    }
    free(u->items);
    *u = (gf_check_usages){0};
}

bool gf_check_variable(char **out, MYSQL *db, const char *name, gf_error *err)
{
    MYSQL_RES *result;
    MYSQL_ROW row;

    *out = NULL;
    result = gf_server_query(db, "read a setting", err, "SHOW GLOBAL VARIABLES WHERE Variable_name='%s'", name);
    if (result == NULL)
        return false;
    row = mysql_fetch_row(result);
    if (row != NULL && row[1] != NULL)
        *out = gf_strdup(row[1]);
    mysql_free_result(result);
    return true;
}

/* ---- the run ---- */

/* The name comes first, which says whether the job has begun, then grants: later parts ask what they allow. */
static bool run_parts(gf_check *c, gf_error *err)
{
    gf_check_job_name(c);
    if (!gf_check_grants(c, err) || !gf_check_server_id(c, err) || !gf_check_objects(c, err) ||
        !gf_check_servers(c, err) || !gf_check_tables(c, err))
        return false;
    if (!c->begun)
        gf_check_generated(c);
    gf_check_foreign_keys(c);
    return true;
}

bool gf_check_run(gf_check_report *out, const gf_config *config, MYSQL *source, const gf_server_info *source_info,
                  MYSQL *target, const gf_server_info *target_info, gf_catalog *catalog, bool resuming, gf_error *err)
{
    gf_check c = {.report = out,
                  .config = config,
                  .source = source,
                  .source_info = source_info,
                  .target = target,
                  .target_info = target_info,
                  .catalog = catalog,
                  .resuming = resuming};
    bool ok;

    *out = (gf_check_report){0};
    c.table_count = gf_catalog_list(catalog, &c.tables);
    ok = run_parts(&c, err);
    if (!ok) {
        gf_check_free(out);
        gf_fail_context(err, "preflight");
    }
    gf_grants_free(&c.source_grants);
    gf_grants_free(&c.target_grants);
    free(c.tables);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * definitions.c - definitions of both servers compared.
 *
 * What an event does not tell of its session (MariaDB's old_mode, a default that somebody has set) may give a repeated
 * statement another outcome in spite of all that was looked at before. The source's definition can be looked at only when no
 * later statement can have changed it: that is at the end. Nor is anything else looked at again before, so a table that has
 * gone meanwhile is found missing there as well.
 */
#include "definitions.h"

#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "gfreplica/log.h"
#include "spare_keys.h"

/* Behind the columns: "\n) ENGINE=...". */
static const char *options_of(const char *create_sql)
{
    const char *options = create_sql;

    for (const char *p = strstr(create_sql, "\n)"); p != NULL; p = strstr(p + 1, "\n)"))
        options = p;
    return options;
}

void gf_definition_text(gf_buf *out, const char *create_sql)
{
    static const char counter[] = " AUTO_INCREMENT=";
    const char *found = strstr(options_of(create_sql), counter);

    if (found == NULL) {
        gf_buf_str(out, create_sql);
        return;
    }
    gf_buf_add(out, create_sql, (size_t)(found - create_sql));
    found += strlen(counter);
    gf_buf_str(out, found + strspn(found, "0123456789"));
}

static const char *partitions_of(const gf_table *t)
{
    const char *found = t->create_sql != NULL ? strstr(options_of(t->create_sql), "PARTITION BY ") : NULL;

    return found != NULL ? found : "";
}

static const char *text_of(const char *s)
{
    return s != NULL ? s : "";
}

bool gf_definition_same(const gf_table *a, const gf_table *b)
{
    return a->fingerprint == b->fingerprint && strcmp(text_of(a->collation), text_of(b->collation)) == 0 &&
           strcmp(partitions_of(a), partitions_of(b)) == 0;
}

/* The first difference of a table that matters. */
struct finding {
    const char *db, *name, *what;
    char *of; /* owned; NULL: none */
    gf_fact_difference how;
    gf_buf further; /* names of keys that the target has alone, each with its NUL */
};

/* A further key changes no row, unless it is unique: then the tables' fingerprints differ. */
static void on_difference(void *ctx, const char *what, const char *name, gf_fact_difference how)
{
    struct finding *f = ctx;

    if (how == GF_FACT_FURTHER && strcmp(what, "key") == 0) {
        gf_buf_add(&f->further, name, strlen(name) + 1);
    } else if (f->of == NULL) {
        f->what = what;
        f->of = gf_strdup(name);
        f->how = how;
    }
}

static bool drop_further(const struct finding *f, MYSQL *target, gf_error *err)
{
    const char *key = (const char *)f->further.data, *end = key + f->further.len;

    for (; f->further.len > 0 && key < end; key += strlen(key) + 1) {
        bool dropped;

        if (!gf_spare_key_drop(&dropped, target, f->db, f->name, key, err))
            return false;
        if (!dropped)
            gf_log_warn("%s.%s has a key `%s` on the target that the source's has not: it stays", f->db, f->name, key);
    }
    return true;
}

static bool facts_agree(gf_job *j, const gf_table *t, gf_facts_scope scope, gf_error *err)
{
    static const char *const how[] = {[GF_FACT_LACKING] = "is not there on the target",
                                      [GF_FACT_DIFFERENT] = "is another one on the target",
                                      [GF_FACT_FURTHER] = "is there on the target alone"};
    const gf_facts_servers servers = gf_facts_servers_of(j);
    struct finding f = {.db = t->db, .name = t->name};
    bool ok = gf_facts_compare(&servers, t, scope, on_difference, &f, err);

    f.db = t->target_db, f.name = t->target_name;
    ok = ok && drop_further(&f, j->target, err);
    if (ok && f.of != NULL)
        ok = gf_fail(err, GF_ERR_DATA,
                     "%s.%s is not defined on the target as on the source: its %s `%s` %s, through another hand than "
                     "ours or a change after the cutover's end position. Compare SHOW CREATE TABLE of both, alter the "
                     "target's, run and cut over again",
                     t->db, t->name, f.what, f.of, how[f.how]);
    free(f.of);
    gf_buf_free(&f.further);
    return ok;
}

/* Engine, comment, row format, encryption ...: a session's variables may have decided some. Rows do not depend on them, and
   only one version prints them in the same words. */
static void tell_options(const gf_job *j, const gf_table *there, const gf_table *here)
{
    gf_buf a = {0}, b = {0};

    if (strcmp(j->source_info.version_text, j->target_info.version_text) != 0 || there->create_sql == NULL ||
        here->create_sql == NULL)
        return;
    gf_definition_text(&a, there->create_sql);
    gf_definition_text(&b, here->create_sql);
    const char *source = options_of(gf_buf_cstr(&a)) + 1, *target = options_of(gf_buf_cstr(&b)) + 1;

    if (strcmp(source, target) != 0)
        gf_log_warn("%s has other options on the target: %.*s; on the source: %.*s", there->label,
                    (int)strcspn(target, "\n"), target, (int)strcspn(source, "\n"), source);
    gf_buf_free(&a);
    gf_buf_free(&b);
}

static bool agrees(gf_job *j, const char *db, const char *name, gf_error *err)
{
    const gf_filter *f = &j->config->filter;
    gf_table *there = NULL, *here = NULL;
    bool ok = gf_catalog_load_table(&there, j->source, j->source_info.flavor, f, db, name, db, name, err) &&
              gf_catalog_load_table(&here, j->target, j->target_info.flavor, f, db, name, db, name, err);

    if (ok && ((there == NULL) != (here == NULL) || (there != NULL && !gf_definition_same(there, here))))
        ok = gf_fail(
            err, GF_ERR_DATA,
            "%s.%s is not defined on the target as on the source, though its schema changes were repeated: a "
            "session variable that the source does not log, or a change after the cutover's end position? "
            "Compare SHOW CREATE TABLE of both, alter the target's if its rows are right, run and cut over again",
            db, name);
    ok = ok && (there == NULL || facts_agree(j, there, GF_FACTS_ALL, err));
    if (ok && there != NULL)
        tell_options(j, there, here);
    gf_table_free(there);
    gf_table_free(here);
    return ok;
}

static bool changed_agree(gf_job *j, gf_error *err)
{
    gf_marker_content m = {0};
    bool ok = true;

    if (j->state.schema_changes == 0) /* no thread but ours writes it any more */
        return true;
    ok = gf_marker_schemas(&m, j->marker, j->target, err);
    for (size_t i = 0; ok && i < m.schema_count; i++)
        ok = agrees(j, m.schemas[i].db, m.schemas[i].name, err);
    gf_marker_content_free(&m);
    return ok;
}

/* One that was dropped or renamed since is no business of ours, or it is among those with DDL. */
static bool indexed_agree(gf_job *j, gf_error *err)
{
    gf_marker_content m = {0};
    bool ok = gf_marker_indexed(&m, j->marker, j->target, err);

    for (size_t i = 0; ok && i < m.indexed_count; i++) {
        const gf_marker_table *d = &m.indexed[i];
        const gf_table *t = gf_catalog_find(j->catalog, d->db, strlen(d->db), d->name, strlen(d->name));

        ok = t == NULL || facts_agree(j, t, GF_FACTS_PLAIN_KEYS, err);
    }
    gf_marker_content_free(&m);
    return ok;
}

/* Of a table that somebody else has dropped only a change would tell, and none may have come since. */
static bool all_there(gf_job *j, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(j->catalog, &tables);
    bool *missing = gf_calloc(count + 1, sizeof *missing);
    bool ok = gf_target_missing(missing, j->target, j->config, tables, count, err);

    for (size_t i = 0; ok && i < count; i++)
        if (missing[i])
            ok =
                gf_fail(err, GF_ERR_DATA,
                        "%s: the target has no table %s any more: somebody else has dropped or renamed it. Give it its "
                        "name back, run and cut over again; if it is gone, start the job anew",
                        tables[i]->label, tables[i]->target_sql);
    free(missing);
    free(tables);
    return ok;
}

bool gf_definitions_agree(gf_job *j, gf_error *err)
{
    return all_there(j, err) && (j->marker == NULL || (changed_agree(j, err) && indexed_agree(j, err)));
}

/* SPDX-License-Identifier: MIT */
/*
 * found.c - tables that were there: what they lack is built like what was left out of those that we make.
 *
 * A table in which a key has the source's name and other columns is somebody's own design: it is told and left alone. So is
 * one of whose plain keys not all can be built, because the cutover asks for all of those of a table that got any.
 */
#include "found.h"

#include <stdlib.h>
#include <strings.h>

#include "facts.h"
#include "gfreplica/log.h"

struct lacks {
    gf_buf lacking, different; /* names, for people */
    unsigned lacking_count;
};

static void add_name(gf_buf *out, const char *name)
{
    gf_buf_str(out, out->len > 0 ? ", " : "");
    gf_buf_ident(out, name);
}

static void on_difference(void *ctx, const char *what, const char *name, gf_fact_difference how)
{
    struct lacks *l = ctx;

    (void)what;
    if (how == GF_FACT_DIFFERENT)
        add_name(&l->different, name);
    if (how == GF_FACT_LACKING) {
        add_name(&l->lacking, name);
        l->lacking_count++;
    }
}

static const char *why_not(const gf_job *j, const gf_found *f, const gf_table *t, const struct lacks *l)
{
    if (j->config->defer_indexes == GF_DEFER_NEVER)
        return "--defer-indexes=never";
    if (f->why_not != NULL)
        return f->why_not;
    if (t->system_versioned || t->engine == NULL || strcasecmp(t->engine, "InnoDB") != 0)
        return "only tables of InnoDB without versions get indexes later";
    return l->different.len > 0 ? "others of its keys are not the source's" : NULL;
}

static void warn(const gf_table *t, struct lacks *l, const char *reason)
{
    if (l->different.len > 0)
        gf_log_warn("%s: the target's table was there, and its %s differs from the source's key of that name: it stays",
                    t->label, gf_buf_cstr(&l->different));
    if (l->lacking_count > 0)
        gf_log_warn("%s: the target's table was there without the source's %s, which is not built (%s): add it by hand",
                    t->label, gf_buf_cstr(&l->lacking), reason);
}

static void count_lacking(void *ctx, const char *what, const char *name, gf_fact_difference how)
{
    unsigned *count = ctx;

    (void)what;
    (void)name;
    *count += how == GF_FACT_LACKING;
}

/* How many can follow the rows; 0 unless all plain ones can. */
static bool count_later(unsigned *count, gf_job *j, const gf_table *t, gf_error *err)
{
    const gf_facts_servers servers = gf_facts_servers_of(j);
    unsigned plain = 0;

    *count = 0;
    if (!gf_facts_compare(&servers, t, GF_FACTS_PLAIN_KEYS, count_lacking, &plain, err) ||
        (plain > 0 && !gf_deferral_missing(count, j->target, j->deferral, t, err)))
        return false;
    if (*count != plain)
        *count = 0;
    return true;
}

static bool decide(bool *later, gf_job *j, const gf_found *f, const gf_table *t, struct lacks *l, gf_error *err)
{
    const char *reason = why_not(j, f, t, l);
    unsigned count = 0;

    if (reason == NULL && l->lacking_count > 0 && !count_later(&count, j, t, err))
        return false;
    *later = count > 0;
    if (count > 0)
        gf_log_info("%s: the target's table was there without the source's %s: %u of them built after its rows",
                    t->label, gf_buf_cstr(&l->lacking), count);
    if (count < l->lacking_count || l->different.len > 0)
        warn(t, l, reason != NULL ? reason : "not all of them can be added while rows change");
    return true;
}

static bool look(bool *later, gf_job *j, const gf_found *f, const gf_table *t, gf_error *err)
{
    const gf_facts_servers servers = gf_facts_servers_of(j);
    struct lacks l = {0};
    bool ok =
        gf_facts_compare(&servers, t, GF_FACTS_OTHER_KEYS, on_difference, &l, err) && decide(later, j, f, t, &l, err);

    gf_buf_free(&l.lacking);
    gf_buf_free(&l.different);
    return ok;
}

static bool has_keys(const gf_table *t)
{
    return t->create_sql != NULL && strstr(t->create_sql, "KEY `") != NULL;
}

bool gf_found_choose(bool *deferred, gf_job *j, const gf_found *f, gf_error *err)
{
    for (size_t i = 0; i < f->count; i++)
        if (!f->missing[i] && !deferred[i] && has_keys(f->tables[i]) && !look(&deferred[i], j, f, f->tables[i], err))
            return gf_fail_context(err, "%s", f->tables[i]->label);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * check_collations.c - collations of databases, tables and columns that the target lacks (--map-collation).
 */
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"
#include "databases.h"

static void collect_collations(const gf_check *c, gf_check_usages *out)
{
    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        if (t->collation != NULL)
            gf_check_use(out, gf_databases_collation(c->config, t->collation), t->label);
        for (unsigned k = 0; k < t->column_count; k++) {
            const gf_column *col = &t->columns[k];
            char *user;

            if (col->collation == NULL || (t->collation != NULL && strcmp(col->collation, t->collation) == 0))
                continue;
            user = gf_asprintf("%s.%s", t->label, col->name);
            gf_check_use(out, gf_databases_collation(c->config, col->collation), user);
            free(user);
        }
    }
}

/* utf8mb3_x was called utf8_x before; the target's definition takes the name that it knows. */
static bool collation_known(gf_check *c, bool *known, const char *name, gf_error *err)
{
    const gf_server_info *info = c->target_info;
    bool full = info->flavor == GF_FLAVOR_MARIADB && info->version >= 101001;
    const char *rest = strncasecmp(name, "utf8mb3_", 8) == 0 ? name + 8
                       : strncasecmp(name, "utf8_", 5) == 0  ? name + 5
                                                             : NULL;
    gf_buf sql = {0};
    char *found = NULL;
    bool ok;

    gf_buf_printf(&sql, "SELECT 1 FROM information_schema.%s WHERE %s IN (",
                  full ? "COLLATION_CHARACTER_SET_APPLICABILITY" : "COLLATIONS",
                  full ? "FULL_COLLATION_NAME" : "COLLATION_NAME");
    gf_buf_quote(&sql, name, strlen(name));
    if (rest != NULL)
        gf_buf_printf(&sql, ",'utf8_%s','utf8mb3_%s'", rest, rest);
    gf_buf_str(&sql, ")");
    ok = gf_server_scalar(&found, c->target, "look for a collation", err, "%s", gf_buf_cstr(&sql));
    *known = found != NULL;
    free(found);
    gf_buf_free(&sql);
    return ok;
}

bool gf_check_collations_known(gf_check *c, gf_check_usages *used, gf_error *err)
{
    bool known, ok = true;

    for (size_t i = 0; ok && i < used->count; i++) {
        gf_check_usage *u = &used->items[i];

        ok = collation_known(c, &known, u->name, err);
        if (ok && !known)
            gf_check_problem(c,
                             "target: it has no collation %s, used by %s: name one to use instead "
                             "(--map-collation %s=OTHER of the same character set)",
                             u->name, gf_check_names_text(&u->users), u->name);
    }
    return ok;
}

bool gf_check_use_default(gf_check_usages *out, gf_check *c, const char *db, const char *target_db, gf_error *err)
{
    char *there = NULL, *here = NULL;
    bool ok = gf_databases_default(&here, c->target, target_db, err) &&
              (here != NULL || gf_databases_default(&there, c->source, db, err));

    if (there != NULL)
        gf_check_use(out, gf_databases_collation(c->config, there), db);
    free(there);
    free(here);
    return ok;
}

static bool collect_defaults(gf_check *c, gf_check_usages *out, gf_error *err)
{
    const char *last = NULL; /* tables come ordered by database */
    bool ok = true;

    for (size_t i = 0; ok && i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        if (last == NULL || strcmp(last, t->db) != 0)
            ok = gf_check_use_default(out, c, t->db, t->target_db, err);
        last = t->db;
    }
    return ok;
}

static bool is_binary(const char *collation)
{
    size_t len = strlen(collation);

    return len >= 4 && strcasecmp(collation + len - 4, "_bin") == 0;
}

/* Which rows may be written side by side is told by the source's comparison: a coarser one lets neighbours meet. And without
   a marker nobody can tell a row that comes again from one that takes another's place. */
static void check_mapped_key(gf_check *c, const gf_table *t, const gf_key *key, const gf_column *col)
{
    const char *to = gf_databases_collation(c->config, col->collation);

    if (strcasecmp(to, col->collation) == 0)
        return;
    if (is_binary(col->collation) && !is_binary(to))
        gf_check_problem(c,
                         "target: %s.%s is part of the unique key %s: its %s can't become %s, which holds more values "
                         "equal: map it to a collation that ends in _bin",
                         t->label, col->name, key->name, col->collation, to);
    else if (!c->marker)
        gf_check_problem(c,
                         "target: %s.%s is part of the unique key %s: without a marker, %s can't become %s: a row that "
                         "meets another one there would take its place unseen",
                         t->label, col->name, key->name, col->collation, to);
}

static void check_mapped_keys(gf_check *c)
{
    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        for (unsigned k = 0; k < t->key_count; k++) {
            for (unsigned p = 0; p < t->keys[k].part_count; p++) {
                const gf_column *col = &t->columns[t->keys[k].parts[p].column];

                if (col->collation != NULL)
                    check_mapped_key(c, t, &t->keys[k], col);
            }
        }
    }
}

static bool starts(const char *name, const char *with)
{
    return strncasecmp(name, with, strlen(with)) == 0;
}

static bool is_utf8mb3(const char *collation)
{
    return starts(collation, "utf8_") || starts(collation, "utf8mb3_");
}

/* By what stands before the first underscore; MariaDB's uca1400_... are of every Unicode set. */
static bool same_charset(const char *a, const char *b)
{
    size_t len = strcspn(a, "_");

    if (starts(a, "uca1400_") || starts(b, "uca1400_"))
        return true;
    if (is_utf8mb3(a) || is_utf8mb3(b))
        return is_utf8mb3(a) && is_utf8mb3(b);
    return len == strcspn(b, "_") && strncasecmp(a, b, len) == 0;
}

/* Rows travel as bytes: in another character set they would be other text. */
static void check_mapped_sets(gf_check *c)
{
    const gf_renames *map = &c->config->map_collation;

    for (size_t i = 0; i < map->count; i++)
        if (!same_charset(map->from[i], map->to[i]))
            gf_check_problem(c,
                             "--map-collation %s=%s: they are of two character sets, and text is not converted: name a "
                             "collation of the same one, or leave such tables out",
                             map->from[i], map->to[i]);
}

bool gf_check_collations(gf_check *c, gf_error *err)
{
    gf_check_usages used = {0};
    bool ok;

    check_mapped_sets(c);
    check_mapped_keys(c);
    collect_collations(c, &used);
    ok = collect_defaults(c, &used, err) && gf_check_collations_known(c, &used, err);
    gf_check_usages_free(&used);
    return ok;
}

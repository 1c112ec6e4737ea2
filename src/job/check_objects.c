/* SPDX-License-Identifier: MIT */
/*
 * check_objects.c - what --create-objects needs: the cutover is too late to learn it, the applications stand still then.
 *
 * Here the databases: who may see and make what, and what can't be made at all. check_definers.c looks at the account,
 * check_sessions.c at how the objects were made.
 */
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"

/* ---- which there are ---- */

/* found: the objects of each selected database. What is not seen may be there all the same. */
static bool list_objects(gf_check_usages *found, gf_check_names *packages, gf_check *c, gf_error *err)
{
    static const char sql[] =
        "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE='PACKAGE' FROM information_schema.ROUTINES "
        "UNION ALL SELECT TRIGGER_SCHEMA, TRIGGER_NAME, 0 FROM information_schema.TRIGGERS "
        "UNION ALL SELECT EVENT_SCHEMA, EVENT_NAME, 0 FROM information_schema.EVENTS "
        "UNION ALL SELECT TABLE_SCHEMA, TABLE_NAME, 0 FROM information_schema.VIEWS";
    MYSQL_RES *res = gf_server_query(c->source, "list views, triggers, routines and events", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (!gf_filter_db(&c->config->filter, row[0]))
            continue;
        gf_check_use(found, row[0], row[1]);
        if (strcmp(row[2], "1") == 0)
            gf_check_name(packages, row[1]);
    }
    mysql_free_result(res);
    return res != NULL;
}

/* ---- grants ---- */

static void require(gf_check *c, const gf_grants *have, const char *const *wanted, const char *db, const char *no_right)
{
    gf_check_names missing = {0};
    char *name = gf_check_quoted(db);

    for (; *wanted != NULL; wanted++)
        if (!gf_grants_have(have, *wanted, db, NULL))
            gf_check_name(&missing, *wanted);
    if (missing.count > 0)
        gf_check_problem(c, "%s --create-objects should create: GRANT %s ON %s.* TO %s", no_right,
                         gf_check_names_text(&missing), name, have->user);
    gf_check_names_free(&missing);
    free(name);
}

/* What may not be seen would be left out without a word. */
static void require_to_see(gf_check *c, const char *db)
{
    static const char *const wanted[] = {"SHOW VIEW", "TRIGGER", "EVENT", NULL};

    require(c, &c->source_grants, wanted, db, "source: no right to see all that");
}

static void require_to_make(gf_check *c, const char *target_db)
{
    static const char *const wanted[] = {"CREATE", "CREATE VIEW", "TRIGGER", "CREATE ROUTINE", "EVENT", "ALTER", NULL};

    require(c, &c->target_grants, wanted, target_db, "target: no right to create what");
}

static bool may_see_routines(const gf_check *c)
{
    const gf_grants *g = &c->source_grants;

    if (c->source_info->flavor == GF_FLAVOR_MARIADB)
        return gf_grants_have(g, "SELECT", "mysql", "proc");
    return gf_grants_have(g, "SHOW ROUTINE", NULL, NULL) || gf_grants_have(g, "SELECT", NULL, NULL);
}

static bool has_tables(const gf_check *c, const char *db)
{
    for (size_t i = 0; i < c->table_count; i++)
        if (strcmp(c->tables[i]->db, db) == 0)
            return true;
    return false;
}

/* Who selects all databases hardly means those of which he may see nothing: they are told of. */
static bool is_meant(const gf_check *c, const gf_check_usages *found, const char *db)
{
    return gf_check_used(found, db) != NULL || has_tables(c, db) || c->config->filter.db_whitelist.count > 0;
}

/* A selected database without a table may hold routines all the same. */
static bool check_grants(gf_check *c, const gf_check_usages *found, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(c->source, "list databases", err,
                                     "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1");
    gf_check_names unseen = {0};
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (!gf_filter_db(&c->config->filter, row[0]))
            continue;
        if (is_meant(c, found, row[0]))
            require_to_see(c, row[0]);
        else if (!gf_grants_have(&c->source_grants, "EVENT", row[0], NULL))
            gf_check_name(&unseen, row[0]);
        if (gf_check_used(found, row[0]) != NULL || has_tables(c, row[0]))
            require_to_make(c, gf_filter_target_db(&c->config->filter, row[0]));
    }
    mysql_free_result(res);
    if (unseen.count > 0)
        gf_check_warning(c, "source: no right to see what objects there may be in %s, which have no tables",
                         gf_check_names_text(&unseen));
    gf_check_names_free(&unseen);
    if (res != NULL && !may_see_routines(c))
        gf_check_problem(c, "source: no right to see the routines that --create-objects should create: GRANT %s TO %s",
                         c->source_info->flavor == GF_FLAVOR_MARIADB ? "SELECT ON mysql.proc" : "SHOW_ROUTINE ON *.*",
                         c->source_grants.user);
    return res != NULL;
}

/* ---- what can't be made ---- */

static void check_renamed(gf_check *c, const gf_check_usages *found)
{
    for (size_t i = 0; i < found->count; i++) {
        gf_check_usage *u = &found->items[i];
        const char *target_db = gf_filter_target_db(&c->config->filter, u->name);

        if (strcmp(target_db, u->name) != 0)
            gf_check_problem(
                c,
                "source: views, triggers, routines and events of %s can't be created in %s, their text may "
                "name the old database (%s): drop them there, or do without --create-objects and create "
                "them by hand",
                u->name, target_db, gf_check_names_text(&u->users));
    }
}

static void check_packages(gf_check *c, gf_check_names *packages)
{
    if (packages->count > 0 && c->target_info->flavor != GF_FLAVOR_MARIADB)
        gf_check_problem(c,
                         "target: MySQL has no packages (%s): drop them on the source, or do without --create-objects",
                         gf_check_names_text(packages));
}

/* The defaults of databases that are made for their objects' sake; those of tables are looked at anyway. */
static bool check_defaults(gf_check *c, const gf_check_usages *found, gf_error *err)
{
    gf_check_usages used = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < found->count; i++)
        if (!has_tables(c, found->items[i].name))
            ok = gf_check_use_default(&used, c, found->items[i].name, found->items[i].name, err);
    ok = ok && gf_check_collations_known(c, &used, err);
    gf_check_usages_free(&used);
    return ok;
}

bool gf_check_objects(gf_check *c, gf_error *err)
{
    gf_check_usages found = {0};
    gf_check_names packages = {0};
    bool ok;

    if (!c->config->create_objects)
        return true;
    ok = list_objects(&found, &packages, c, err) && check_grants(c, &found, err) && check_defaults(c, &found, err);
    if (ok) {
        check_renamed(c, &found);
        check_packages(c, &packages);
    }
    gf_check_usages_free(&found);
    gf_check_names_free(&packages);
    return ok && gf_check_definers(c, err) && gf_check_sessions(c, err);
}

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

typedef struct {
    gf_check_usages databases;               /* and the objects of each */
    gf_check_usages objects;                 /* "view db.name" */
    gf_check_names packages, acting, naming; /* acting: triggers and events; naming: see look_into */
} objects;

static void free_objects(objects *o)
{
    gf_check_usages_free(&o->databases);
    gf_check_usages_free(&o->objects);
    gf_check_names_free(&o->packages);
    gf_check_names_free(&o->acting);
    gf_check_names_free(&o->naming);
}

/* Kind, database, name, text; a trigger's table. */
static const char list[] =
    "SELECT LOWER(ROUTINE_TYPE), ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION, NULL FROM information_schema.ROUTINES "
    "UNION ALL SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT, EVENT_OBJECT_TABLE "
    "FROM information_schema.TRIGGERS "
    "UNION ALL SELECT 'event', EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION, NULL FROM information_schema.EVENTS "
    "UNION ALL SELECT 'view', TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, NULL FROM information_schema.VIEWS";

bool gf_check_object_moved(const gf_check *c, const char *db, const char *table)
{
    return gf_filter_db(&c->config->filter, db) && (table == NULL || gf_filter_table(&c->config->filter, db, table));
}

/* Databases that the target may not have, or not by that name. */
static bool list_others(gf_check_usages *others, gf_check *c, gf_error *err)
{
    static const char sql[] = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', "
                              "'information_schema', 'performance_schema', 'sys')";
    MYSQL_RES *res = gf_server_query(c->source, "list databases", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        const gf_filter *f = &c->config->filter;

        if (!gf_filter_db(f, row[0]) || strcmp(gf_filter_target_db(f, row[0]), row[0]) != 0)
            gf_check_use(others, row[0], "");
    }
    mysql_free_result(res);
    return res != NULL;
}

static bool is_word(char c)
{
    return c == '_' || c == '$' || (c & 0x80) != 0 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* "db.", quoted or not, and not at the end of a longer name. It may be an alias or a word in a string. */
static bool names(const char *text, const char *db)
{
    size_t len = strlen(db);

    for (const char *at = text; (at = strcasestr(at, db)) != NULL; at++) {
        const char *behind = at + len;

        if (*behind == '`' || *behind == '"')
            behind++;
        if (*behind == '.' && (at == text || !is_word(at[-1])))
            return true;
    }
    return false;
}

static void look_into(objects *o, const gf_check_usages *others, const char *object, const char *text)
{
    for (size_t i = 0; i < others->count; i++) {
        char *name;

        if (!names(text, others->items[i].name))
            continue;
        name = gf_asprintf("%s (%s)", object, others->items[i].name);
        gf_check_name(&o->naming, name);
        free(name);
    }
}

static void add_object(objects *o, const gf_check_usages *others, MYSQL_ROW row)
{
    char *name = gf_asprintf("%s %s.%s", row[0], row[1], row[2]);

    gf_check_use(&o->databases, row[1], row[2]);
    gf_check_use(&o->objects, name, row[2]);
    if (strcmp(row[0], "package") == 0)
        gf_check_name(&o->packages, row[2]);
    if (strcmp(row[0], "trigger") == 0 || strcmp(row[0], "event") == 0)
        gf_check_name(&o->acting, name);
    if (row[3] != NULL)
        look_into(o, others, name, row[3]);
    free(name);
}

/* What is not seen may be there all the same. */
static bool list_objects(objects *o, gf_check *c, MYSQL *server, const gf_check_usages *others, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(server, "list views, triggers, routines and events", err, "%s", list);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        if (gf_check_object_moved(c, row[1], row[4]))
            add_object(o, others, row);
    mysql_free_result(res);
    return res != NULL;
}

static bool list_source(objects *o, gf_check *c, gf_error *err)
{
    gf_check_usages others = {0};
    bool ok = list_others(&others, c, err) && list_objects(o, c, c->source, &others, err);

    gf_check_usages_free(&others);
    return ok;
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

/* Both families say in a view's comment what is wrong with it, MariaDB when it has to open it (TABLE_ROWS). It may be no
   more than a right that this account lacks. */
static bool check_broken(gf_check *c, gf_error *err)
{
    static const char sql[] =
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT, TABLE_ROWS FROM information_schema.TABLES "
        "WHERE TABLE_TYPE='VIEW' AND TABLE_COMMENT LIKE '%references invalid%'";
    MYSQL_RES *res = gf_server_query(c->source, "look for broken views", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        if (gf_filter_db(&c->config->filter, row[0]))
            gf_check_warning(c, "source: view %s.%s seems to be broken there, then it can't be made on the target: %s",
                             row[0], row[1], row[2]);
    mysql_free_result(res);
    return res != NULL;
}

/* What is there is kept, so that a resumed cutover does not fail over what it has made. */
static bool check_existing(gf_check *c, const objects *source, gf_error *err)
{
    objects target = {0};
    const gf_check_usages none = {0};
    gf_check_names both = {0};
    bool ok = list_objects(&target, c, c->target, &none, err);

    for (size_t i = 0; ok && i < source->objects.count; i++)
        if (gf_check_used(&target.objects, source->objects.items[i].name) != NULL)
            gf_check_name(&both, source->objects.items[i].name);
    if (both.count > 0)
        gf_check_warning(
            c,
            "target: it has objects by the names of some that --create-objects should create, and they are "
            "kept as they are: %s: drop them there to have the source's",
            gf_check_names_text(&both));
    gf_check_names_free(&both);
    free_objects(&target);
    return ok;
}

static bool check_view_name(gf_check *c, const char *db, const char *name, gf_error *err)
{
    gf_buf where = {0};
    char *type = NULL;
    bool ok;

    gf_buf_str(&where, "TABLE_SCHEMA=");
    gf_buf_quote(&where, db, strlen(db));
    gf_buf_str(&where, " AND TABLE_NAME=");
    gf_buf_quote(&where, name, strlen(name));
    ok = gf_server_scalar(&type, c->target, "look for a view's name", err,
                          "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE %s", gf_buf_cstr(&where));
    if (ok && type != NULL && strcmp(type, "VIEW") != 0)
        gf_check_problem(c, "target: %s.%s is there already and is no view (%s): drop it", db, name, type);
    free(type);
    gf_buf_free(&where);
    return ok;
}

/* A table of that name may be the job's own, to be renamed, once it has begun. */
static bool check_view_names(gf_check *c, gf_error *err)
{
    MYSQL_RES *res =
        gf_server_query(c->source, "list views", err, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS");
    bool ok = res != NULL;
    MYSQL_ROW row;

    while (ok && (row = mysql_fetch_row(res)) != NULL)
        if (gf_check_object_moved(c, row[0], NULL) &&
            strcmp(gf_filter_target_db(&c->config->filter, row[0]), row[0]) == 0)
            ok = check_view_name(c, row[0], row[1], err);
    mysql_free_result(res);
    return ok;
}

/* They are noted in the marker before they are made, or a run that has to go on would not know them. */
static void check_marker(gf_check *c, objects *o)
{
    if (o->acting.count > 0 && !c->marker)
        gf_check_problem(
            c,
            "target: --create-objects makes triggers and events (%s) only where there is a marker: grant what "
            "it needs, or do without one of the two",
            gf_check_names_text(&o->acting));
}

static void check_naming(gf_check *c, objects *o)
{
    if (o->naming.count > 0)
        gf_check_warning(
            c,
            "source: objects seem to name databases that are not moved, or not by that name: %s: the target "
            "has to have what they need, and its user the right to it, or their creation or use fails there",
            gf_check_names_text(&o->naming));
}

static void check_families(gf_check *c, const objects *o)
{
    if (o->objects.count > 0 && c->source_info->flavor != c->target_info->flavor)
        gf_check_warning(
            c, "source and target are of different families: views, triggers, routines and events are not "
               "translated, and what the target does not understand fails at the cutover: try them there before");
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

static bool check_all(gf_check *c, objects *o, gf_error *err)
{
    if (!list_source(o, c, err) || !check_grants(c, &o->databases, err) || !check_defaults(c, &o->databases, err) ||
        !check_broken(c, err) || (!c->begun && !(check_view_names(c, err) && check_existing(c, o, err))))
        return false;
    check_renamed(c, &o->databases);
    check_packages(c, &o->packages);
    check_families(c, o);
    check_marker(c, o);
    check_naming(c, o);
    return gf_check_definers(c, err) && gf_check_sessions(c, err);
}

bool gf_check_objects(gf_check *c, gf_error *err)
{
    objects o = {0};
    bool ok = !c->config->create_objects || check_all(c, &o, err);

    free_objects(&o);
    return ok;
}

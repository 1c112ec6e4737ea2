/* SPDX-License-Identifier: MIT */
/*
 * check_objects.c - what --create-objects needs: the cutover is too late to learn it, the applications stand still then.
 */
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"

/* ---- grants ---- */

/* What may not be seen would be left out without a word. */
static void check_objects_of(gf_check *c, const gf_table *t)
{
    static const char *const source[] = {"SHOW VIEW", "TRIGGER", "EVENT"}, *const target[] = {"CREATE VIEW", "TRIGGER",
                                                                                              "CREATE ROUTINE",
                                                                                              "EVENT"};
    gf_check_names missing = {0};
    char *name = gf_check_quoted(t->db);

    for (size_t i = 0; i < sizeof source / sizeof source[0]; i++)
        if (!gf_grants_have(&c->source_grants, source[i], t->db, NULL))
            gf_check_name(&missing, source[i]);
    if (missing.count > 0) {
        const char *list = gf_check_names_text(&missing);

        gf_check_problem(c, "source: no right to see all that --create-objects should create: GRANT %s ON %s.* TO %s",
                         list, name, c->source_grants.user);
    }
    gf_check_names_free(&missing);
    free(name);
    name = gf_check_quoted(t->target_db);
    for (size_t i = 0; i < sizeof target / sizeof target[0]; i++)
        if (!gf_grants_have(&c->target_grants, target[i], t->target_db, NULL))
            gf_check_name(&missing, target[i]);
    if (missing.count > 0) {
        const char *list = gf_check_names_text(&missing);

        gf_check_problem(c, "target: no right to create what --create-objects should create: GRANT %s ON %s.* TO %s",
                         list, name, c->target_grants.user);
    }
    gf_check_names_free(&missing);
    free(name);
}

static bool may_see_routines(const gf_check *c)
{
    const gf_grants *g = &c->source_grants;

    if (c->source_info->flavor == GF_FLAVOR_MARIADB)
        return gf_grants_have(g, "SELECT", "mysql", "proc");
    return gf_grants_have(g, "SHOW ROUTINE", NULL, NULL) || gf_grants_have(g, "SELECT", NULL, NULL);
}

static void check_grants(gf_check *c)
{
    const char *last = NULL;

    for (size_t i = 0; i < c->table_count; i++) {
        if (last == NULL || strcmp(last, c->tables[i]->db) != 0)
            check_objects_of(c, c->tables[i]);
        last = c->tables[i]->db;
    }
    if (!may_see_routines(c))
        gf_check_problem(c, "source: no right to see the routines that --create-objects should create: GRANT %s TO %s",
                         c->source_info->flavor == GF_FLAVOR_MARIADB ? "SELECT ON mysql.proc" : "SHOW_ROUTINE ON *.*",
                         c->source_grants.user);
}

/* ---- events ---- */

static bool zone_known(gf_check *c, bool *known, const char *zone, gf_error *err)
{
    gf_buf quoted = {0};
    char *text = NULL;
    bool ok;

    gf_buf_quote(&quoted, zone, strlen(zone));
    ok = gf_server_scalar(&text, c->target, "look for a time zone", err,
                          "SELECT CONVERT_TZ('2030-01-01 00:00:00', '+00:00', %s)", gf_buf_cstr(&quoted));
    *known = text != NULL;
    free(text);
    gf_buf_free(&quoted);
    return ok;
}

/* Events with the zone SYSTEM follow their server's clock. */
static bool check_system_zone(gf_check *c, const char *event, gf_error *err)
{
    char *source = NULL, *target = NULL;
    bool ok = gf_check_variable(&source, c->source, "system_time_zone", err) &&
              gf_check_variable(&target, c->target, "system_time_zone", err);

    if (ok && source != NULL && target != NULL && strcasecmp(source, target) != 0)
        gf_check_warning(c,
                         "event %s has the time zone SYSTEM, which is %s on the source and %s on the target: it will "
                         "run by the target's clock: give it a zone of its own (SET time_zone, ALTER EVENT)",
                         event, source, target);
    free(source);
    free(target);
    return ok;
}

static bool check_zone(gf_check *c, const char *event, const char *zone, gf_error *err)
{
    bool known;

    if (strcasecmp(zone, "SYSTEM") == 0)
        return check_system_zone(c, event, err);
    if (!zone_known(c, &known, zone, err))
        return false;
    if (!known)
        gf_check_problem(c,
                         "target: it does not know the time zone %s of event %s: load the time zone tables there "
                         "(mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql), or alter the event",
                         zone, event);
    return true;
}

static bool check_events(gf_check *c, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(c->source, "list events", err,
                                     "SELECT EVENT_SCHEMA, EVENT_NAME, TIME_ZONE FROM information_schema.EVENTS "
                                     "ORDER BY 1, 2");
    bool ok = res != NULL;
    MYSQL_ROW row;

    while (ok && (row = mysql_fetch_row(res)) != NULL) {
        char *name;

        if (!gf_filter_db(&c->config->filter, row[0]))
            continue;
        name = gf_asprintf("%s.%s", row[0], row[1]);
        ok = check_zone(c, name, row[2], err);
        free(name);
    }
    mysql_free_result(res);
    return ok;
}

bool gf_check_objects(gf_check *c, gf_error *err)
{
    if (!c->config->create_objects)
        return true;
    check_grants(c);
    return check_events(c, err);
}

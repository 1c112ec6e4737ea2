/* SPDX-License-Identifier: MIT */
/*
 * check_objects.c - what --create-objects needs: the cutover is too late to learn it, the applications stand still then.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"

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
static void check_objects_of(gf_check *c, const gf_table *t)
{
    static const char *const source[] = {"SHOW VIEW", "TRIGGER", "EVENT", NULL}, *const target[] = {
                                                                                     "CREATE VIEW",    "TRIGGER",
                                                                                     "CREATE ROUTINE", "EVENT",
                                                                                     "ALTER",          NULL};

    require(c, &c->source_grants, source, t->db, "source: no right to see all that");
    require(c, &c->target_grants, target, t->target_db, "target: no right to create what");
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

/* ---- functions and definers ---- */

/* What the objects of the moved databases ask of whoever creates them. */
struct needs {
    bool functions;  /* or triggers: with a binlog the servers want trust in their author */
    bool undeclared; /* a function that says neither DETERMINISTIC nor that it changes nothing */
    char **definers; /* owned, each 'user'@'host', once, without the target's own account */
    size_t definer_count;
};

static void free_needs(struct needs *n)
{
    for (size_t i = 0; i < n->definer_count; i++)
        free(n->definers[i]);
    free(n->definers);
}

/* definer: user@host, as the servers show it; the host has no @. */
static void add_definer(struct needs *n, const char *definer, const char *own)
{
    const char *at = strrchr(definer, '@');
    gf_buf quoted = {0};
    bool known;

    if (at == NULL)
        return;
    gf_buf_quote(&quoted, definer, (size_t)(at - definer));
    gf_buf_byte(&quoted, '@');
    gf_buf_quote(&quoted, at + 1, strlen(at + 1));
    known = strcmp(gf_buf_cstr(&quoted), own) == 0;
    for (size_t i = 0; i < n->definer_count && !known; i++)
        known = strcmp(n->definers[i], gf_buf_cstr(&quoted)) == 0;
    if (!known) {
        n->definers = gf_realloc(n->definers, (n->definer_count + 1) * sizeof *n->definers);
        n->definers[n->definer_count++] = gf_strdup(gf_buf_cstr(&quoted));
    }
    gf_buf_free(&quoted);
}

static bool read_needs(struct needs *n, gf_check *c, gf_error *err)
{
    static const char sql[] =
        "SELECT ROUTINE_SCHEMA, DEFINER, ROUTINE_TYPE='FUNCTION', ROUTINE_TYPE='FUNCTION' AND IS_DETERMINISTIC='NO' AND "
        "SQL_DATA_ACCESS NOT IN ('NO SQL','READS SQL DATA') FROM information_schema.ROUTINES UNION "
        "SELECT TRIGGER_SCHEMA, DEFINER, 1, 0 FROM information_schema.TRIGGERS UNION "
        "SELECT EVENT_SCHEMA, DEFINER, 0, 0 FROM information_schema.EVENTS UNION "
        "SELECT TABLE_SCHEMA, DEFINER, 0, 0 FROM information_schema.VIEWS";
    MYSQL_RES *res = gf_server_query(c->source, "list views, triggers, routines and events", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (!gf_filter_db(&c->config->filter, row[0]))
            continue;
        n->functions = n->functions || strcmp(row[2], "1") == 0;
        n->undeclared = n->undeclared || strcmp(row[3], "1") == 0;
        add_definer(n, row[1], c->target_grants.user);
    }
    mysql_free_result(res);
    return res != NULL;
}

/* Measured: MariaDB's BINLOG ADMIN does not replace SUPER here, and SUPER not the declaration. */
static bool check_trust(gf_check *c, const struct needs *n, gf_error *err)
{
    static const char name[] = "log_bin_trust_function_creators";
    bool super = gf_grants_have(&c->target_grants, "SUPER", NULL, NULL);
    char *value = NULL;

    if (!c->target_info->log_bin || !(n->undeclared || (n->functions && !super)))
        return true;
    if (!gf_check_variable(&value, c->target, name, err))
        return false;
    if (value != NULL && strcasecmp(value, "ON") != 0 && n->undeclared)
        gf_check_problem(
            c,
            "target: %s is OFF, under which functions that are declared neither DETERMINISTIC nor NO SQL or "
            "READS SQL DATA can't be created: SET GLOBAL %s=ON until the move is done",
            name, name);
    else if (value != NULL && strcasecmp(value, "ON") != 0)
        gf_check_problem(c,
                         "target: %s is OFF, under which this account may create no functions and triggers: SET GLOBAL "
                         "%s=ON until the move is done, or GRANT SUPER ON *.* TO %s",
                         name, name, c->target_grants.user);
    free(value);
    return true;
}

/* What lets an account make objects of another definer, by family and version; the older names come first. */
static const struct {
    gf_flavor flavor;
    unsigned first, next; /* first <= version < next */
    const char *privilege;
    bool super; /* SUPER is as good */
} definer_rights[] = {
    {GF_FLAVOR_MYSQL, 0, 80000, "SUPER", true},
    {GF_FLAVOR_MYSQL, 80000, 80200, "SET_USER_ID", true},
    {GF_FLAVOR_MYSQL, 80200, UINT_MAX, "SET_ANY_DEFINER", false},
    {GF_FLAVOR_MARIADB, 0, 110001, "SET USER", true},
    {GF_FLAVOR_MARIADB, 110001, UINT_MAX, "SET USER", false},
};

/* SHOW GRANTS is read with '_' as ' '. */
static bool target_has(const gf_check *c, const char *privilege)
{
    char word[64];

    snprintf(word, sizeof word, "%s", privilege);
    for (char *p = word; *p != '\0'; p++)
        if (*p == '_')
            *p = ' ';
    return gf_grants_have(&c->target_grants, word, NULL, NULL);
}

static void check_definer_right(gf_check *c)
{
    const gf_server_info *info = c->target_info;

    for (size_t i = 0; i < sizeof definer_rights / sizeof definer_rights[0]; i++) {
        const char *privilege = definer_rights[i].privilege;

        if (definer_rights[i].flavor != info->flavor || info->version < definer_rights[i].first ||
            info->version >= definer_rights[i].next || target_has(c, privilege) ||
            (definer_rights[i].super && target_has(c, "SUPER")))
            continue;
        gf_check_problem(c,
                         "target: no right to create views, triggers, routines and events with their own definers: "
                         "GRANT %s ON *.* TO %s",
                         privilege, c->target_grants.user);
    }
}

/* MySQL's accounts, of which those without SELECT on mysql.* see their own only. */
static bool look_at_definer(bool *exists, bool *system, gf_check *c, const char *definer, gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    *exists = *system = false;
    gf_buf_quote(&quoted, definer, strlen(definer));
    res = gf_server_query(c->target, "look for a definer", err,
                          "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE=%s",
                          gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        *exists = true;
        *system = *system || strcmp(row[0], "SYSTEM_USER") == 0;
    }
    mysql_free_result(res);
    return res != NULL;
}

static void report_definers(gf_check *c, gf_check_names *list, const char *what, const char *privilege)
{
    if (list->count > 0)
        gf_check_problem(c, "target: definers %s (%s): GRANT %s ON *.* TO %s", what, gf_check_names_text(list),
                         privilege, c->target_grants.user);
    gf_check_names_free(list);
}

/* MySQL protects accounts with SYSTEM_USER, and since 8.2 asks for a right to name one that does not exist. */
static bool check_mysql_definers(gf_check *c, const struct needs *n, gf_error *err)
{
    bool seen = gf_grants_have(&c->target_grants, "SELECT", "mysql", NULL);
    bool may_system = c->target_info->version < 80016 || target_has(c, "SYSTEM_USER"),
         may_missing = c->target_info->version < 80200 || target_has(c, "ALLOW_NONEXISTENT_DEFINER");
    gf_check_names system = {0}, missing = {0}, unseen = {0};
    bool ok = true, exists, is_system;

    for (size_t i = 0; ok && i < n->definer_count; i++) {
        if (!seen) {
            gf_check_name(&unseen, n->definers[i]);
            continue;
        }
        ok = look_at_definer(&exists, &is_system, c, n->definers[i], err);
        if (ok && !may_system && is_system)
            gf_check_name(&system, n->definers[i]);
        if (ok && !may_missing && !exists)
            gf_check_name(&missing, n->definers[i]);
    }
    if (unseen.count > 0 && !(may_system && may_missing))
        gf_check_problem(c,
                         "target: definers (%s) need further rights if they have SYSTEM_USER there, or do not exist, "
                         "which this account can't see: GRANT SELECT ON mysql.* TO %s to have it looked at, or GRANT "
                         "SYSTEM_USER%s ON *.* TO %s",
                         gf_check_names_text(&unseen), c->target_grants.user,
                         c->target_info->version < 80200 ? "" : ", ALLOW_NONEXISTENT_DEFINER", c->target_grants.user);
    report_definers(c, &system, "have SYSTEM_USER, and are named only by those who have it", "SYSTEM_USER");
    report_definers(c, &missing, "do not exist: create these accounts, or", "ALLOW_NONEXISTENT_DEFINER");
    gf_check_names_free(&unseen);
    return ok;
}

static bool check_needs(gf_check *c, gf_error *err)
{
    struct needs n = {0};
    bool ok = read_needs(&n, c, err) && check_trust(c, &n, err);

    if (ok && n.definer_count > 0) {
        check_definer_right(c);
        ok = c->target_info->flavor != GF_FLAVOR_MYSQL || check_mysql_definers(c, &n, err);
    }
    free_needs(&n);
    return ok;
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
    return check_needs(c, err) && check_events(c, err);
}

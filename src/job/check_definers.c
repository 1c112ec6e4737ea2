/* SPDX-License-Identifier: MIT */
/*
 * check_definers.c - what --create-objects asks of the target's account: trust in the author of functions and triggers, and
 * the rights to create in the name of other definers.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"

/* What the objects of the moved databases ask of whoever creates them. */
struct needs {
    bool functions;           /* or triggers: with a binlog the servers want trust in their author */
    bool undeclared;          /* a function that says neither DETERMINISTIC nor that it changes nothing */
    gf_check_usages definers; /* each 'user'@'host' without the target's own account */
};

/* definer: user@host, as the servers show it; the host has no @. */
static void add_definer(struct needs *n, const char *definer, const char *own)
{
    const char *at = strrchr(definer, '@');
    gf_buf quoted = {0};

    if (at == NULL)
        return;
    gf_buf_quote(&quoted, definer, (size_t)(at - definer));
    gf_buf_byte(&quoted, '@');
    gf_buf_quote(&quoted, at + 1, strlen(at + 1));
    if (strcmp(gf_buf_cstr(&quoted), own) != 0)
        gf_check_use(&n->definers, gf_buf_cstr(&quoted), "");
    gf_buf_free(&quoted);
}

static bool read_needs(struct needs *n, gf_check *c, gf_error *err)
{
    static const char sql[] =
        "SELECT ROUTINE_SCHEMA, DEFINER, ROUTINE_TYPE='FUNCTION', ROUTINE_TYPE='FUNCTION' AND IS_DETERMINISTIC='NO' AND "
        "SQL_DATA_ACCESS NOT IN ('NO SQL','READS SQL DATA'), NULL FROM information_schema.ROUTINES UNION "
        "SELECT TRIGGER_SCHEMA, DEFINER, 1, 0, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS UNION "
        "SELECT EVENT_SCHEMA, DEFINER, 0, 0, NULL FROM information_schema.EVENTS UNION "
        "SELECT TABLE_SCHEMA, DEFINER, 0, 0, NULL FROM information_schema.VIEWS";
    MYSQL_RES *res = gf_server_query(c->source, "list views, triggers, routines and events", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        if (!gf_check_object_moved(c, row[0], row[4]))
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

    for (size_t i = 0; ok && i < n->definers.count; i++) {
        if (!seen) {
            gf_check_name(&unseen, n->definers.items[i].name);
            continue;
        }
        ok = look_at_definer(&exists, &is_system, c, n->definers.items[i].name, err);
        if (ok && !may_system && is_system)
            gf_check_name(&system, n->definers.items[i].name);
        if (ok && !may_missing && !exists)
            gf_check_name(&missing, n->definers.items[i].name);
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

bool gf_check_definers(gf_check *c, gf_error *err)
{
    struct needs n = {0};
    bool ok = read_needs(&n, c, err) && check_trust(c, &n, err);

    if (ok && n.definers.count > 0) {
        check_definer_right(c);
        ok = c->target_info->flavor != GF_FLAVOR_MYSQL || check_mysql_definers(c, &n, err);
    }
    gf_check_usages_free(&n.definers);
    return ok;
}

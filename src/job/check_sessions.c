/* SPDX-License-Identifier: MIT */
/*
 * check_sessions.c - can the target have the sessions in which the source's views, triggers, routines and events were made?
 * --create-objects makes each in one like its author's: sql_mode, character sets, collations, an event's time zone.
 */
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"
#include "databases.h"
#include "objects.h"

/* ---- time zones ---- */

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

/* ---- sql_mode, character sets, collations ---- */

/* One of each kind is tried; what needs it is told by name. */
typedef struct {
    char *mode, *charset; /* owned; mode NULL: a view's, of which the server does not keep it */
    gf_check_names users;
} session;

typedef struct {
    session *items; /* owned */
    size_t count;
} sessions;

static void add_session(sessions *l, const char *mode, const char *charset, const char *user)
{
    size_t i;

    for (i = 0; i < l->count; i++) {
        const session *s = &l->items[i];

        if (strcmp(s->charset, charset) == 0 &&
            (mode == NULL || s->mode == NULL ? mode == s->mode : strcmp(s->mode, mode) == 0))
            break;
    }
    if (i == l->count) {
        l->items = gf_realloc(l->items, (i + 1) * sizeof *l->items);
        l->items[l->count++] = (session){.mode = mode == NULL ? NULL : gf_strdup(mode), .charset = gf_strdup(charset)};
    }
    gf_check_name(&l->items[i].users, user);
}

static void free_sessions(sessions *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].mode);
        free(l->items[i].charset);
        gf_check_names_free(&l->items[i].users);
    }
    free(l->items);
}

static void use_collation(gf_check_usages *collations, const gf_check *c, const char *collation, const char *user)
{
    if (collation != NULL)
        gf_check_use(collations, gf_databases_collation(c->config, collation), user);
}

static bool read_sessions(sessions *l, gf_check_usages *collations, gf_check *c, gf_error *err)
{
    static const char sql[] =
        "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION "
        "FROM information_schema.ROUTINES UNION ALL "
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION "
        "FROM information_schema.TRIGGERS UNION ALL "
        "SELECT EVENT_SCHEMA, EVENT_NAME, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION "
        "FROM information_schema.EVENTS UNION ALL "
        "SELECT TABLE_SCHEMA, TABLE_NAME, NULL, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, NULL "
        "FROM information_schema.VIEWS";
    MYSQL_RES *res =
        gf_server_query(c->source, "read how views, triggers, routines and events were made", err, "%s", sql);
    MYSQL_ROW row;

    while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
        char *name;

        if (!gf_filter_db(&c->config->filter, row[0]))
            continue;
        name = gf_asprintf("%s.%s", row[0], row[1]);
        if (row[3] != NULL)
            add_session(l, row[2], row[3], name);
        use_collation(collations, c, row[4], name);
        if (row[5] != NULL && (row[4] == NULL || strcmp(row[4], row[5]) != 0))
            use_collation(collations, c, row[5], name);
        free(name);
    }
    mysql_free_result(res);
    return res != NULL;
}

/* In a connection of its own: the settings stay with it. */
static bool try_sessions(gf_check *c, sessions *l, gf_error *err)
{
    MYSQL *db = NULL;
    bool ok = l->count == 0 || gf_server_connect(&db, &c->config->target, GF_CONN_PLAIN, err);

    for (size_t i = 0; ok && i < l->count; i++) {
        session *s = &l->items[i];

        if (gf_objects_session(db, &(gf_objects_author){.mode = s->mode, .charset = s->charset}, err))
            continue;
        ok = err->kind != GF_ERR_RETRY;
        if (ok)
            gf_check_problem(c,
                             "target: it can't have a session like those in which the source's %s were made (%s): make "
                             "them anew on the source in another one, or do without --create-objects",
                             gf_check_names_text(&s->users), err->text);
    }
    gf_server_close(db);
    return ok;
}

bool gf_check_sessions(gf_check *c, gf_error *err)
{
    gf_check_usages collations = {0};
    sessions l = {0};
    bool ok = read_sessions(&l, &collations, c, err) && gf_check_collations_known(c, &collations, err) &&
              try_sessions(c, &l, err) && check_events(c, err);

    free_sessions(&l);
    gf_check_usages_free(&collations);
    return ok;
}

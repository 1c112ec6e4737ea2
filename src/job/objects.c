/* SPDX-License-Identifier: MIT */
/*
 * objects.c - views, triggers, routines and events of the moved databases.
 *
 * They are not there while rows arrive: what a trigger does on the source is in the binlog already and must not be
 * done twice. At the cutover they are created when the operator asked for it, else they are listed.
 * A view may need another view or a function, so what fails is tried again as long as something else succeeds.
 */
#include "objects.h"

#include <stdlib.h>

#include "check_parts.h"
#include "gfreplica/log.h"

static const struct kind {
    const char *name;   /* as in CREATE and SHOW CREATE */
    const char *list;   /* names of one database, given quoted */
    const char *column; /* of SHOW CREATE that holds the statement */
} kinds[] = {
    {"FUNCTION",
     "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='FUNCTION' AND ROUTINE_SCHEMA=",
     "Create Function"},
    {"PROCEDURE",
     "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='PROCEDURE' AND ROUTINE_SCHEMA=",
     "Create Procedure"},
    {"VIEW", "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA=", "Create View"},
    {"TRIGGER", "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=", "SQL Original Statement"},
    {"EVENT", "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA=", "Create Event"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct object {
    const struct kind *kind;
    char *db, *name; /* owned */
    bool created;
    gf_error failure; /* of the last try */
};

struct objects {
    struct object *items; /* owned */
    size_t count;
};

static void free_objects(struct objects *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->items[i].db);
        free(o->items[i].name);
    }
    free(o->items);
}

static void add(struct objects *o, const struct kind *kind, const char *db, const char *name)
{
    o->items = gf_realloc(o->items, (o->count + 1) * sizeof *o->items);
    o->items[o->count++] = (struct object){.kind = kind, .db = gf_strdup(db), .name = gf_strdup(name)};
}

static bool list_one(struct objects *o, MYSQL *source, const struct kind *kind, const char *db, gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    gf_buf_quote(&quoted, db, strlen(db));
    res = gf_server_query(source, "list views, triggers, routines and events", err, "%s%s", kind->list,
                          gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    if (res == NULL)
        return false;
    while ((row = mysql_fetch_row(res)) != NULL)
        add(o, kind, db, row[0]);
    mysql_free_result(res);
    return true;
}

static bool list_all(struct objects *o, MYSQL *source, const gf_filter *f, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(source, "list databases", err,
                                     "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1");
    bool ok = res != NULL;
    MYSQL_ROW row;

    while (ok && (row = mysql_fetch_row(res)) != NULL) {
        for (int k = 0; ok && k < KINDS && gf_filter_db(f, row[0]); k++)
            ok = list_one(o, source, &kinds[k], row[0], err);
    }
    mysql_free_result(res);
    return ok;
}

/* The servers show nobody what he has no grant for: a list that may be short says so. */
static bool note_unseen(gf_buf *lines, MYSQL *source, const gf_filter *f, gf_error *err)
{
    gf_grants g = {0};
    bool ok = gf_grants_read(&g, source, err), all = true;

    for (size_t i = 0; ok && i < f->db_whitelist.count; i++)
        all = all && gf_grants_have(&g, "TRIGGER", f->db_whitelist.items[i], NULL) &&
              gf_grants_have(&g, "EVENT", f->db_whitelist.items[i], NULL);
    if (f->db_whitelist.count == 0)
        all = ok && gf_grants_have(&g, "TRIGGER", NULL, NULL) && gf_grants_have(&g, "EVENT", NULL, NULL);
    if (ok && !all)
        gf_buf_str(lines,
                   "triggers, routines and events, if there are any: the source's user has no right to see them\n");
    gf_grants_free(&g);
    return ok;
}

bool gf_objects_list(gf_buf *lines, MYSQL *source, const gf_filter *f, gf_error *err)
{
    struct objects o = {0};
    bool ok = list_all(&o, source, f, err);

    for (size_t i = 0; ok && i < o.count; i++)
        gf_buf_printf(lines, "%s %s.%s\n", o.items[i].kind->name, o.items[i].db, o.items[i].name);
    free_objects(&o);
    return ok && note_unseen(lines, source, f, err);
}

/* The value of a column of the result's only row; NULL when there is no such column. */
static const char *field(MYSQL_RES *res, MYSQL_ROW row, const char *name)
{
    MYSQL_FIELD *fields = mysql_fetch_fields(res);

    for (unsigned i = 0; i < mysql_num_fields(res); i++) {
        if (strcasecmp(fields[i].name, name) == 0)
            return row[i];
    }
    return NULL;
}

/* Body and sql_mode belong together: the target must read the text as the source did. */
static bool set_session(MYSQL *target, MYSQL_RES *res, MYSQL_ROW row, gf_error *err)
{
    const char *mode = field(res, row, "sql_mode"), *charset = field(res, row, "character_set_client"),
               *collation = field(res, row, "collation_connection");
    gf_buf quoted = {0};
    bool ok = true;

    if (mode != NULL) {
        gf_buf_quote(&quoted, mode, strlen(mode));
        ok = gf_server_exec(target, "set sql_mode", err, "SET SESSION sql_mode = %s", gf_buf_cstr(&quoted));
    }
    /* The text arrives as utf8mb4; what is stored with it is the character set of its author's session. */
    if (ok && charset != NULL && collation != NULL && strncmp(charset, "utf8", 4) == 0)
        ok = gf_server_exec(target, "set names", err, "SET NAMES %s COLLATE %s", charset, collation);
    gf_buf_free(&quoted);
    return ok;
}

static bool create_one(struct object *o, MYSQL *source, MYSQL *target, gf_error *err)
{
    gf_buf db = {0}, name = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;
    const char *sql;
    bool ok = false;

    gf_buf_ident(&db, o->db);
    gf_buf_ident(&name, o->name);
    res = gf_server_query(source, "read its definition", err, "SHOW CREATE %s %s.%s", o->kind->name, gf_buf_cstr(&db),
                          gf_buf_cstr(&name));
    row = res == NULL ? NULL : mysql_fetch_row(res);
    sql = row == NULL ? NULL : field(res, row, o->kind->column);
    if (res != NULL && sql == NULL)
        gf_fail(err, GF_ERR_CONFIG,
                "the source does not show its definition: grant the source's user SHOW VIEW, "
                "TRIGGER, EVENT and SHOW_ROUTINE (or SELECT on mysql.proc)");
    else if (res != NULL)
        ok = gf_server_exec(target, "choose database", err, "USE %s", gf_buf_cstr(&db)) &&
             set_session(target, res, row, err) && gf_server_run(target, "create it", gf_slice_str(sql), err);
    mysql_free_result(res);
    gf_buf_free(&db);
    gf_buf_free(&name);
    return ok;
}

static bool there_already(struct object *o, MYSQL *target)
{
    struct objects there = {0};
    bool found = false;

    if (list_one(&there, target, o->kind, o->db, NULL)) {
        for (size_t i = 0; i < there.count && !found; i++)
            found = strcmp(there.items[i].name, o->name) == 0;
    }
    free_objects(&there);
    return found;
}

static unsigned create_round(struct objects *o, MYSQL *source, MYSQL *target, const gf_filter *f)
{
    unsigned created = 0;

    for (size_t i = 0; i < o->count; i++) {
        struct object *item = &o->items[i];

        if (item->created)
            continue;
        if (strcmp(gf_filter_target_db(f, item->db), item->db) != 0)
            gf_fail(&item->failure, GF_ERR_CONFIG, "its database is renamed, its text may name the old one");
        else if (there_already(item, target) || create_one(item, source, target, &item->failure))
            item->created = true;
        created += item->created;
    }
    return created;
}

bool gf_objects_create(MYSQL *source, MYSQL *target, const gf_filter *f, gf_error *err)
{
    struct objects o = {0};
    size_t left = 0;

    if (!list_all(&o, source, f, err)) {
        free_objects(&o);
        return false;
    }
    while (create_round(&o, source, target, f) > 0)
        continue;
    for (size_t i = 0; i < o.count; i++) {
        if (o.items[i].created)
            continue;
        left++;
        gf_log_error("%s %s.%s was not created: %s", o.items[i].kind->name, o.items[i].db, o.items[i].name,
                     o.items[i].failure.text);
    }
    free_objects(&o);
    return left == 0 || gf_fail(err, GF_ERR_CONFIG,
                                "%zu views, triggers, routines or events could not be created, "
                                "listed above: mend that and run the same command, or create them "
                                "by hand and run it without --create-objects",
                                left);
}

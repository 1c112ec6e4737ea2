/* SPDX-License-Identifier: MIT */
/*
 * objects.c - views, triggers, routines and events of the moved databases.
 *
 * They are not there while rows arrive: what a trigger does on the source is in the binlog already and must not be
 * done twice. At the cutover they are created when the operator asked for it, else they are listed.
 * Each is made in a session as its author's was, the way of mysqldump: the session decides what the text means (sql_mode,
 * character sets, an event's time zone) and is kept with it.
 * A view may need another view or a function, so what fails is tried again as long as something else succeeds.
 * Triggers and events are noted in the marker before they are made, and go again when the job has to go on.
 */
#include "objects.h"

#include <stdlib.h>

#include "check_parts.h"
#include "databases.h"
#include "gfreplica/log.h"

static const struct kind {
    const char *name;   /* as in CREATE and SHOW CREATE */
    const char *list;   /* names of one database, given quoted, and whose table's they are */
    const char *order;  /* behind it */
    const char *column; /* of SHOW CREATE that holds the statement */
    bool acts;          /* it changes rows by itself: the very last to be made */
} kinds[] = {
    {"FUNCTION",
     "SELECT ROUTINE_NAME, NULL FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='FUNCTION' AND ROUTINE_SCHEMA=", "",
     "Create Function", false},
    {"PROCEDURE",
     "SELECT ROUTINE_NAME, NULL FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='PROCEDURE' AND ROUTINE_SCHEMA=",
     "", "Create Procedure", false},
    {"PACKAGE", /* of MariaDB; before its body */
     "SELECT ROUTINE_NAME, NULL FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='PACKAGE' AND ROUTINE_SCHEMA=", "",
     "Create Package", false},
    {"PACKAGE BODY",
     "SELECT ROUTINE_NAME, NULL FROM information_schema.ROUTINES WHERE ROUTINE_TYPE='PACKAGE BODY' AND ROUTINE_SCHEMA=",
     "", "Create Package Body", false},
    {"VIEW", "SELECT TABLE_NAME, NULL FROM information_schema.VIEWS WHERE TABLE_SCHEMA=", "", "Create View", false},
    {"TRIGGER", "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=",
     " ORDER BY ACTION_ORDER", /* several of one kind on one table run in the order of their creation */
     "SQL Original Statement", true},
    {"EVENT", "SELECT EVENT_NAME, NULL FROM information_schema.EVENTS WHERE EVENT_SCHEMA=", "", "Create Event", true},
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

/* Triggers of tables that are not moved stay with them. */
static bool list_one(struct objects *o, MYSQL *server, const gf_filter *f, const struct kind *kind, const char *db,
                     gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    gf_buf_quote(&quoted, db, strlen(db));
    res = gf_server_query(server, "list views, triggers, routines and events", err, "%s%s%s", kind->list,
                          gf_buf_cstr(&quoted), kind->order);
    gf_buf_free(&quoted);
    if (res == NULL)
        return false;
    while ((row = mysql_fetch_row(res)) != NULL)
        if (row[1] == NULL || gf_filter_table(f, db, row[1]))
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
            ok = list_one(o, source, f, &kinds[k], row[0], err);
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

/* ---- one definition ---- */

/* What SHOW CREATE says of an object; borrowed from res. NULL: the server does not keep that for this kind. */
struct definition {
    MYSQL_RES *res; /* owned */
    gf_slice sql;
    gf_objects_author author;
    const char *db_collation;
};

static const char *field(MYSQL_RES *res, MYSQL_ROW row, const char *name, unsigned long *len)
{
    MYSQL_FIELD *fields = mysql_fetch_fields(res);

    for (unsigned i = 0; i < mysql_num_fields(res); i++) {
        if (strcasecmp(fields[i].name, name) != 0)
            continue;
        if (len != NULL)
            *len = mysql_fetch_lengths(res)[i];
        return row[i];
    }
    return NULL;
}

static bool fill_definition(struct definition *d, const struct kind *kind, gf_error *err)
{
    MYSQL_ROW row = mysql_fetch_row(d->res);
    unsigned long len = 0;
    const char *sql = row == NULL ? NULL : field(d->res, row, kind->column, &len);

    if (sql == NULL)
        return gf_fail(err, GF_ERR_CONFIG,
                       "the source does not show its definition: grant the source's user SHOW VIEW, "
                       "TRIGGER, EVENT and SHOW_ROUTINE (or SELECT on mysql.proc)");
    d->sql = gf_slice_of(sql, len);
    d->author = (gf_objects_author){.mode = field(d->res, row, "sql_mode", NULL),
                                    .zone = field(d->res, row, "time_zone", NULL),
                                    .charset = field(d->res, row, "character_set_client", NULL),
                                    .collation = field(d->res, row, "collation_connection", NULL)};
    d->db_collation = field(d->res, row, "Database Collation", NULL);
    return true;
}

/* results: the character set to have it in; NULL is the one of its author's session, byte by byte. */
static bool read_definition(struct definition *d, const struct object *o, MYSQL *source, const char *results,
                            gf_error *err)
{
    gf_buf db = {0}, name = {0};
    gf_error second;

    gf_buf_ident(&db, o->db);
    gf_buf_ident(&name, o->name);
    *d = (struct definition){0};
    if (gf_server_exec(source, "set the results' character set", err, "SET SESSION character_set_results=%s", results))
        d->res = gf_server_query(source, "read its definition", err, "SHOW CREATE %s %s.%s", o->kind->name,
                                 gf_buf_cstr(&db), gf_buf_cstr(&name));
    gf_buf_free(&db);
    gf_buf_free(&name);
    return gf_server_exec(source, "set the results' character set", d->res != NULL ? err : &second,
                          "SET SESSION character_set_results=utf8mb4") &&
           d->res != NULL && fill_definition(d, o->kind, err);
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((*text & 0x80) != 0)
            return false;
    return true;
}

/* MySQL prints names in UTF-8 into a text of another character set: read back, they would be others. */
static bool prints_its_name(const struct object *o, MYSQL *source, gf_error *err)
{
    struct definition d = {0};
    bool ok;

    if (is_ascii(o->name))
        return true;
    ok = read_definition(&d, o, source, "utf8mb4", err);
    if (ok && memmem(d.sql.data, d.sql.len, o->name, strlen(o->name)) == NULL)
        ok = gf_fail(err, GF_ERR_CONFIG,
                     "the source prints its name garbled, because its author's session had the character set %s: drop "
                     "and create it on the source in a session with utf8mb4",
                     d.author.charset);
    mysql_free_result(d.res);
    return ok;
}

/* ---- creating one as its author did ---- */

/* Servers of MySQL since 8.0 refuse that mode; it is about GRANT alone. */
static char *known_modes(const char *modes, const char *target_version)
{
    static const char gone[] = "NO_AUTO_CREATE_USER";
    char *known = gf_strdup(modes), *at = strstr(known, gone);

    if (at != NULL && strstr(target_version, "MariaDB") == NULL && strtoul(target_version, NULL, 10) >= 8) {
        char *behind = at + sizeof gone - 1;

        if (*behind == ',')
            behind++;
        else if (at > known)
            at--;
        memmove(at, behind, strlen(behind) + 1);
    }
    return known;
}

static bool set_mode(MYSQL *target, const char *modes, gf_error *err)
{
    char *known = known_modes(modes, mysql_get_server_info(target));
    bool ok = gf_server_exec(target, "set its sql_mode", err, "SET SESSION sql_mode='%s'", known);

    free(known);
    return ok;
}

static bool set_zone(MYSQL *target, const char *zone, gf_error *err)
{
    enum { ER_UNKNOWN_TIME_ZONE = 1298 };
    gf_buf quoted = {0};
    bool ok;

    gf_buf_quote(&quoted, zone, strlen(zone));
    ok = gf_server_exec(target, "set its time zone", err, "SET SESSION time_zone=%s", gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    if (!ok && mysql_errno(target) == ER_UNKNOWN_TIME_ZONE)
        gf_fail(err, GF_ERR_CONFIG,
                "the target does not know its time zone %s: load the time zone tables there (mysql_tzinfo_to_sql "
                "/usr/share/zoneinfo | mysql mysql)",
                zone);
    return ok;
}

static bool set_charset(MYSQL *target, const char *charset, gf_error *err)
{
    return gf_server_exec(target, "set its character set", err, "SET SESSION character_set_client=%s", charset);
}

static bool set_collation(MYSQL *target, const char *collation, gf_error *err)
{
    return gf_server_exec(target, "set its collation (one that the target lacks: --map-collation A=B)", err,
                          "SET SESSION collation_connection=%s", collation);
}

bool gf_objects_session(MYSQL *target, const gf_objects_author *a, gf_error *err)
{
    return (a->mode == NULL || set_mode(target, a->mode, err)) && (a->zone == NULL || set_zone(target, a->zone, err)) &&
           (a->charset == NULL || set_charset(target, a->charset, err)) &&
           (a->collation == NULL || set_collation(target, a->collation, err));
}

/* Back to what all others of this connection expect. */
static bool leave_session(MYSQL *target, gf_error *err)
{
    return gf_server_exec(target, "restore the session", err, "SET NAMES utf8mb4") &&
           gf_server_exec(target, "restore the session", err,
                          "SET SESSION sql_mode=@gfreplica_sql_mode, time_zone='+00:00'");
}

static bool run_definition(MYSQL *target, const struct definition *d, const gf_config *config, gf_error *err)
{
    gf_objects_author author = d->author;
    gf_error second;
    bool ok;

    if (author.collation != NULL)
        author.collation = gf_databases_collation(config, author.collation);
    ok = gf_objects_session(target, &author, err) && gf_server_run(target, "create it", d->sql, err);
    return leave_session(target, ok ? err : &second) && ok;
}

static bool alter_collation(MYSQL *target, const char *db, const char *collation, gf_error *err)
{
    gf_buf name = {0};
    bool ok;

    gf_buf_ident(&name, db);
    ok = gf_server_exec(target, "set its database's collation for a moment (ALTER)", err,
                        "ALTER DATABASE %s COLLATE %s", gf_buf_cstr(&name), collation);
    gf_buf_free(&name);
    return ok;
}

/* The collation that its database had then is that of its variables and parameters. There is no other way to say it than
   to give the database that collation meanwhile; after a kill in here, settle_collation puts it back. */
static bool create_in_database(MYSQL *target, const struct object *o, const struct definition *d,
                               const gf_config *config, gf_error *err)
{
    const char *wanted = d->db_collation == NULL ? NULL : gf_databases_collation(config, d->db_collation);
    char *now = NULL;
    gf_error second;
    bool ok;

    if (wanted == NULL)
        return run_definition(target, d, config, err);
    if (!gf_databases_default(&now, target, o->db, err))
        return false;
    if (now == NULL || strcasecmp(now, wanted) == 0)
        ok = run_definition(target, d, config, err);
    else {
        ok = alter_collation(target, o->db, wanted, err) && run_definition(target, d, config, err);
        ok = alter_collation(target, o->db, now, ok ? err : &second) && ok;
    }
    free(now);
    return ok;
}

static bool create_one(struct object *o, MYSQL *source, MYSQL *target, const gf_config *config, gf_error *err)
{
    struct definition d = {0};
    gf_buf db = {0};
    bool ok;

    gf_buf_ident(&db, o->db);
    ok = prints_its_name(o, source, err) && read_definition(&d, o, source, "NULL", err) &&
         gf_server_exec(target, "choose database", err, "USE %s", gf_buf_cstr(&db)) &&
         create_in_database(target, o, &d, config, err);
    mysql_free_result(d.res);
    gf_buf_free(&db);
    return ok;
}

/* ---- all of them ---- */

/* Is this the collation that the database had when one of its routines, triggers or events was made? */
static bool some_object_has(bool *found, MYSQL *source, const char *db, const char *collation, const gf_config *config,
                            gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    *found = false;
    gf_buf_quote(&quoted, db, strlen(db));
    res = gf_server_query(source, "read the collations of routines, triggers and events", err,
                          "SELECT DATABASE_COLLATION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=%s UNION "
                          "SELECT DATABASE_COLLATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=%s UNION "
                          "SELECT DATABASE_COLLATION FROM information_schema.EVENTS WHERE EVENT_SCHEMA=%s",
                          gf_buf_cstr(&quoted), gf_buf_cstr(&quoted), gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        *found = *found || (row[0] != NULL && strcasecmp(gf_databases_collation(config, row[0]), collation) == 0);
    mysql_free_result(res);
    return res != NULL;
}

/* A run that was killed in create_in_database has left a default that is neither the source's nor, most likely, anybody's
   choice: tables that are made later would get it. */
static bool settle_collation(MYSQL *source, MYSQL *target, const char *db, const gf_config *config, gf_error *err)
{
    char *here = NULL, *there = NULL;
    bool left = false, ok;

    ok = gf_databases_default(&here, target, db, err) && gf_databases_default(&there, source, db, err);
    if (ok && here != NULL && there != NULL && strcasecmp(here, gf_databases_collation(config, there)) != 0)
        ok = some_object_has(&left, source, db, here, config, err);
    if (ok && left) {
        gf_log_warn("the target's database %s has the default collation %s, which a run that was killed may have left "
                    "there: it gets the source's, %s",
                    db, here, gf_databases_collation(config, there));
        ok = alter_collation(target, db, gf_databases_collation(config, there), err);
    }
    free(here);
    free(there);
    return ok;
}

static bool keeps_its_name(const struct object *o, const gf_config *config)
{
    return strcmp(gf_filter_target_db(&config->filter, o->db), o->db) == 0;
}

/* A database may hold objects and no table. */
static bool settle_databases(const struct objects *o, const gf_objects_job *job, gf_error *err)
{
    const char *last = NULL; /* they come ordered by database */

    for (size_t i = 0; i < o->count; i++) {
        const char *db = o->items[i].db;

        if ((last == NULL || strcmp(last, db) != 0) && keeps_its_name(&o->items[i], job->config) &&
            (!gf_databases_create(job->source, job->target, job->config, db, db, err) ||
             !settle_collation(job->source, job->target, db, job->config, err)))
            return false;
        last = db;
    }
    return true;
}

static bool has(const struct objects *list, const struct object *o)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == o->kind && strcmp(list->items[i].db, o->db) == 0 &&
            strcmp(list->items[i].name, o->name) == 0)
            return true;
    return false;
}

/* What the target has already is kept as it is. */
static bool mark_existing(struct objects *o, const gf_objects_job *job, gf_error *err)
{
    struct objects there = {0};
    bool ok = list_all(&there, job->target, &job->config->filter, err);

    for (size_t i = 0; ok && i < o->count; i++)
        o->items[i].created = keeps_its_name(&o->items[i], job->config) && has(&there, &o->items[i]);
    free_objects(&there);
    return ok;
}

/* One look at each; *created counts. False when it is not the object's fault: a lost link, another instance. */
static bool create_round(unsigned *created, struct objects *o, bool acting, const gf_objects_job *job, gf_error *err)
{
    *created = 0;
    for (size_t i = 0; i < o->count; i++) {
        struct object *item = &o->items[i];

        if (item->created || item->kind->acts != acting)
            continue;
        if (acting && !job->still_ours(job->ctx, err))
            return false;
        if (!keeps_its_name(item, job->config))
            gf_fail(&item->failure, GF_ERR_CONFIG, "its database is renamed, its text may name the old one");
        else
            item->created = create_one(item, job->source, job->target, job->config, &item->failure);
        if (!item->created && item->failure.kind == GF_ERR_RETRY) {
            *err = item->failure;
            return false;
        }
        *created += item->created;
    }
    return true;
}

/* *left: how many of them are not made. */
static bool create_kinds(size_t *left, struct objects *o, bool acting, const gf_objects_job *job, gf_error *err)
{
    unsigned created;

    do
        if (!create_round(&created, o, acting, job, err))
            return false;
    while (created > 0);
    *left = 0;
    for (size_t i = 0; i < o->count; i++) {
        if (o->items[i].created || o->items[i].kind->acts != acting)
            continue;
        ++*left;
        gf_log_error("%s %s.%s was not created: %s", o->items[i].kind->name, o->items[i].db, o->items[i].name,
                     o->items[i].failure.text);
    }
    return true;
}

/* Those that are going to be made are noted before. */
static bool announce(const struct objects *o, const gf_objects_job *job, gf_error *err)
{
    gf_marker_object *acting = gf_calloc(o->count + 1, sizeof *acting);
    size_t count = 0;
    bool ok;

    for (size_t i = 0; i < o->count; i++) {
        const struct object *item = &o->items[i];

        if (item->kind->acts && !item->created)
            acting[count++] =
                (gf_marker_object){gf_strdup(item->kind->name), gf_strdup(item->db), gf_strdup(item->name)};
    }
    ok = job->announced(job->ctx, acting, count, err);
    gf_marker_objects_free(acting, count);
    return ok;
}

/* Triggers and events come last, and only when all else is there: should the job have to go on, they would write. */
static bool create_in_order(size_t *left, struct objects *o, const gf_objects_job *job, gf_error *err)
{
    if (!create_kinds(left, o, false, job, err))
        return false;
    return *left > 0 || (announce(o, job, err) && create_kinds(left, o, true, job, err));
}

bool gf_objects_create(const gf_objects_job *job, gf_error *err)
{
    struct objects o = {0};
    size_t left = 0;
    bool ok = list_all(&o, job->source, &job->config->filter, err) && settle_databases(&o, job, err) &&
              mark_existing(&o, job, err) &&
              gf_server_exec(job->target, "remember the session", err, "SET @gfreplica_sql_mode=@@SESSION.sql_mode") &&
              create_in_order(&left, &o, job, err);

    free_objects(&o);
    return ok &&
           (left == 0 ||
            gf_fail(err, GF_ERR_CONFIG,
                    "%zu views, triggers, routines or events could not be created, listed above: mend that and run the "
                    "same command, or run it without --create-objects and create by hand what is missing, triggers and "
                    "events too",
                    left));
}

bool gf_objects_drop(MYSQL *target, const gf_marker_object *o, gf_error *err)
{
    gf_buf db = {0}, name = {0};
    bool ok;

    gf_buf_ident(&db, o->db);
    gf_buf_ident(&name, o->name);
    ok = gf_server_exec(target, "drop what must not act yet", err, "DROP %s IF EXISTS %s.%s", o->kind, gf_buf_cstr(&db),
                        gf_buf_cstr(&name));
    if (ok)
        gf_log_info(
            "the target's %s %s.%s, which an earlier cutover was to make, is dropped until the next one: it would "
            "change rows once more",
            o->kind, o->db, o->name);
    gf_buf_free(&db);
    gf_buf_free(&name);
    return ok;
}

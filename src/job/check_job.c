/* SPDX-License-Identifier: MIT */
/*
 * check_job.c - are the job's name on the target and its server id on the source free?
 *
 * `check` may be asked beside a job that runs or has run: what that has in the checkpoint directory says whether an entry
 * on a server is this job's own.
 */
#include <stdlib.h>

#include "check_parts.h"
#include "gfreplica/control.h"
#include "gfreplica/replica.h"
#include "gfreplica/state.h"

enum { ER_SPECIFIC_ACCESS_DENIED = 1227 };

/* A directory that can't be read is told by the start, which opens it first. */
static void read_own(gf_check_own *own, const gf_config *config)
{
    gf_state s = {0};
    bool found;
    gf_error ignored;

    *own = (gf_check_own){0};
    if (config->checkpoint_dir == NULL || !gf_checkpoint_peek(&s, &found, config->checkpoint_dir, &ignored))
        return;
    own->begun = found && s.stage != GF_STAGE_STARTING;
    own->running = found && gf_status_alive(&s);
    if (found)
        memcpy(own->uuid, s.our_uuid, sizeof own->uuid);
    gf_state_free(&s);
}

/* ---- the marker ---- */

/* What the target's marker says of a job of this name. */
struct marked {
    bool exists, same, done; /* same: of the same servers, databases, tables and renames */
};

/* Not to be allowed to look, or nothing to look at, means that there is none. */
static void read_marked(struct marked *out, const gf_check *c)
{
    gf_buf sql = {0};
    gf_error ignored;
    MYSQL_RES *res;
    MYSQL_ROW row;

    *out = (struct marked){0};
    if (c->config->no_marker)
        return;
    gf_buf_str(&sql, "SELECT config_digest, stage FROM ");
    gf_buf_ident(&sql, c->config->marker_db);
    gf_buf_str(&sql, ".job WHERE job=");
    gf_buf_quote(&sql, c->config->job, strlen(c->config->job));
    res = gf_server_query(c->target, "look for the job's marker", &ignored, "%s", gf_buf_cstr(&sql));
    row = res == NULL ? NULL : mysql_fetch_row(res);
    if (row != NULL)
        *out = (struct marked){
            .exists = true, .same = strcmp(row[0], c->config->digest) == 0, .done = strcmp(row[1], "done") == 0};
    mysql_free_result(res);
    gf_buf_free(&sql);
}

/* The start refuses the same, once it holds the marker's lock: this is to be told with all else. */
static void check_name(gf_check *c, const struct marked *m, bool own)
{
    if (!m->exists || c->config->take_over)
        return;
    if (!m->same)
        gf_check_problem(c,
                         "target: %s holds a job '%s' of other servers, databases, tables or renames: give this one a "
                         "name of its own (--job), or --take-over its place if that job is given up",
                         c->config->marker_db, c->config->job);
    else if (m->done && !own)
        gf_check_problem(c,
                         "target: %s holds a finished job '%s': give this one another name (--job), or --take-over its "
                         "place",
                         c->config->marker_db, c->config->job);
}

void gf_check_job_name(gf_check *c)
{
    struct marked m;
    bool own;

    read_own(&c->own, c->config);
    read_marked(&m, c);
    own = c->resuming || c->own.begun;
    check_name(c, &m, own);
    /* A run that was killed before its first checkpoint is known to the target's marker alone. */
    c->begun = c->resuming || (m.same && (!m.done || (own && !c->config->take_over)));
}

/* ---- the server id ---- */

static bool may_list(bool *may, gf_check *c, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(c->source, "list the source's replicas", err, "SHOW SLAVE HOSTS");

    *may = res != NULL;
    mysql_free_result(res);
    return *may || mysql_errno(c->source) == ER_SPECIFIC_ACCESS_DENIED;
}

/* How many are registered, anybody may know. This job's own stream may be one of them. */
static bool any_other(bool *any, gf_check *c, gf_error *err)
{
    MYSQL_RES *res =
        gf_server_query(c->source, "count the source's replicas", err, "SHOW GLOBAL STATUS LIKE 'Slaves_connected'");
    MYSQL_ROW row = res == NULL ? NULL : mysql_fetch_row(res);

    *any = row == NULL || row[1] == NULL || strtoul(row[1], NULL, 10) > (c->resuming || c->own.running ? 1 : 0);
    mysql_free_result(res);
    return res != NULL;
}

/* MariaDB shows its replicas to few, and ends the older one's link when a second comes with the same id. Ours are known by
   their locks all the same. */
static bool check_replicas_seen(gf_check *c, gf_error *err)
{
    bool may, any;

    if (c->source_info->flavor != GF_FLAVOR_MARIADB)
        return true;
    if (!may_list(&may, c, err) || (!may && !any_other(&any, c, err)))
        return false;
    if (!may && any)
        gf_check_warning(c,
                         "source: it has replicas, and no right to see whether one has server id %u (MyServerId): the "
                         "source would cut one of the two off: GRANT REPLICATION MASTER ADMIN ON *.* TO %s to have it "
                         "looked at, or leave MyServerId out to have one chosen",
                         c->config->server_id, c->source_grants.user);
    return true;
}

bool gf_check_server_id(gf_check *c, gf_error *err)
{
    const char *uuid = c->config->server_uuid;
    unsigned id;

    if (c->config->server_id == 0)
        return true;
    if (uuid == NULL && c->own.uuid[0] != '\0')
        uuid = c->own.uuid;
    /* A job that runs is listed itself, by MariaDB without a UUID to know it by. One that resumes has asked before its
       receiver came to be listed. */
    if (!c->resuming && !c->own.running &&
        !gf_replica_choose_id(&id, c->source, c->source_info, c->config->server_id, uuid, 0, err)) {
        if (err->kind != GF_ERR_CONFIG)
            return false;
        gf_check_problem(c, "source: %s (MyServerId)", err->text);
        return true;
    }
    return check_replicas_seen(c, err);
}

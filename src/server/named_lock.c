/* SPDX-License-Identifier: MIT */
/*
 * named_lock.c - user-level locks, which last as long as a session on the server, not as long as the client that we see.
 *
 * Whoever holds one may be dead with its statement still running, which ends by itself and is waited for without limit;
 * or frozen with its host, its session idle, which may last for hours: then only people can tell that it is not to come
 * back, so they are told which connection it is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/server.h"
#include "gfreplica/thread.h"

enum { POLL_SECONDS = 1, SAY_SO_MS = 2 * 1000 };

struct holder {
    char id[24];    /* "": nobody */
    char who[400];  /* 'user'@'host', where we may see it */
    bool executing; /* seen to */
};

static bool ask(bool *yes, MYSQL *db, const gf_server_lock *l, gf_error *err)
{
    char *answer = NULL;
    bool ok = gf_server_scalar(&answer, db, l->what, err, "SELECT GET_LOCK('%s', %d)", l->name, POLL_SECONDS);

    *yes = ok && answer != NULL && strcmp(answer, "1") == 0;
    free(answer);
    return ok;
}

/* Id, User, Host, db, Command, ...: one's own sessions are shown without any right. */
static void read_session(struct holder *h, MYSQL_ROW row)
{
    snprintf(h->who, sizeof h->who, " of '%s'@'%s'", row[1] != NULL ? row[1] : "", row[2] != NULL ? row[2] : "");
    h->executing = row[4] != NULL && strcmp(row[4], "Sleep") != 0;
}

static bool find_holder(struct holder *h, MYSQL *db, const gf_server_lock *l, gf_error *err)
{
    char *id = NULL;
    MYSQL_RES *res;
    MYSQL_ROW row;

    *h = (struct holder){.id = ""};
    if (!gf_server_scalar(&id, db, l->what, err, "SELECT IS_USED_LOCK('%s')", l->name))
        return false;
    snprintf(h->id, sizeof h->id, "%s", id != NULL ? id : "");
    free(id);
    res = gf_server_query(db, l->what, err, "SHOW PROCESSLIST");
    if (res == NULL)
        return false;
    while ((row = mysql_fetch_row(res)) != NULL)
        if (row[0] != NULL && strcmp(row[0], h->id) == 0)
            read_session(h, row);
    mysql_free_result(res);
    return true;
}

static void tell(const gf_server_lock *l, const struct holder *h)
{
    if (h->executing)
        gf_log_info("%s is still under way on the target, in connection %s%s: waiting for its end", l->what, h->id,
                    h->who);
    else
        gf_log_warn("%s is not at its end on the target, but its connection %s%s is not seen to execute anything: if "
                    "that instance does not run any more, KILL %s there; waiting for %u s",
                    l->what, h->id, h->who, h->id, l->timeout);
}

/* What is known of a wait. */
struct wait {
    uint64_t idle_since; /* nobody was seen to execute anything since then */
    int told;            /* the last line was of a holder that executes (1), of one that does not (0), none was (-1) */
};

/* Somebody else has it. False when that has lasted for too long. */
static bool look(struct wait *w, MYSQL *db, const gf_server_lock *l, gf_error *err)
{
    struct holder h;

    if (!find_holder(&h, db, l, err))
        return false;
    if (h.id[0] == '\0' || h.executing)
        w->idle_since = gf_now_ms();
    if (h.id[0] != '\0' && w->told != h.executing) {
        tell(l, &h);
        w->told = h.executing;
    }
    return gf_now_ms() - w->idle_since <= 1000ULL * l->timeout ||
           gf_fail(err, GF_ERR_CONFIG,
                   "%s is not at its end on the target after %u s: its connection %s%s does not execute anything; when "
                   "that instance does not run any more, KILL %s there",
                   l->what, l->timeout, h.id, h.who, h.id);
}

bool gf_server_lock_take(MYSQL *db, const gf_server_lock *l, gf_error *err)
{
    const uint64_t began = gf_now_ms();
    struct wait w = {.idle_since = began, .told = -1};
    bool taken = false;

    while (!taken) {
        if (l->stopped(l->ctx))
            return gf_fail(err, GF_ERR_STOPPED, "stopped");
        if (!ask(&taken, db, l, err) || (!taken && gf_now_ms() - began >= SAY_SO_MS && !look(&w, db, l, err)))
            return false;
    }
    return true;
}

bool gf_server_lock_release(MYSQL *db, const gf_server_lock *l, gf_error *err)
{
    return gf_server_exec(db, l->what, err, "DO RELEASE_LOCK('%s')", l->name);
}

/* SPDX-License-Identifier: MIT */
/*
 * identity.c - a server id that no other replica of the source has.
 *
 * MySQL lists its replicas with their UUIDs to whoever may replicate. MariaDB lists them without, and only to those with
 * REPLICATION MASTER ADMIN; the older one of two with one id loses its link without a question. So there each of us
 * holds two user-level locks in the session of its stream, one named by its server id and one by id and UUID, which
 * anybody may look at: an id that is held by a session without the other lock is another's. Replicas of other programs
 * have none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "gfreplica/replica.h"

enum {
    ER_PRIVILEGE = 1227,
    LOOKS = 3,
    ENDING_SECONDS = 2, /* in which a session that is killed lets go of its locks */
    POLL_US = 250000
};

/* ---- MariaDB: the locks ---- */

#define ID_LOCK  "'gfreplica server id %u'"
#define OUR_LOCK "'gfreplica %u %s'"

/* The sessions that hold them; 0: none does. */
struct holders {
    unsigned long id, ours;
};

static unsigned long number(const char *text)
{
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

static bool find_holders(struct holders *h, MYSQL *source, unsigned id, const char *uuid, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(source, "look who has a server id", err,
                                     "SELECT IS_USED_LOCK(" ID_LOCK "), IS_USED_LOCK(" OUR_LOCK ")", id, id,
                                     uuid == NULL ? "" : uuid);
    MYSQL_ROW row = res == NULL ? NULL : mysql_fetch_row(res);

    *h = (struct holders){0};
    if (row != NULL)
        *h = (struct holders){number(row[0]), number(row[1])};
    mysql_free_result(res);
    return row != NULL;
}

static bool take(bool *taken, MYSQL *stream, unsigned id, const char *uuid, gf_error *err)
{
    char *both = NULL;
    bool ok = gf_server_scalar(&both, stream, "take a server id", err,
                               "SELECT GET_LOCK(" ID_LOCK ", %d) AND GET_LOCK(" OUR_LOCK ", %d)", id, ENDING_SECONDS,
                               id, uuid, ENDING_SECONDS);

    *taken = both != NULL && strcmp(both, "1") == 0;
    free(both);
    return ok;
}

/* What a cut link or a kill has left of us: the source would find out with its heartbeats. It may be of another account,
   which only the source itself may end. */
static void end_own(MYSQL *stream, unsigned long session)
{
    gf_error err;

    if (!gf_server_exec(stream, "end the stream that we have lost", &err, "KILL CONNECTION %lu", session))
        gf_log_debug("%s", err.text);
}

/* Sessions are numbered in their order: one under our UUID that has come after our last is another instance's. */
static bool is_anothers(const struct holders *h, unsigned long last)
{
    return last != 0 && h->ours > last;
}

/* One that is about to end lets go of its locks one after the other, so another's is looked at more than once. */
static bool try_hold(bool *taken, struct holders *h, MYSQL *stream, const gf_replica_options *opt, unsigned long last,
                     gf_error *err)
{
    *taken = false;
    if (!find_holders(h, stream, opt->server_id, opt->uuid, err))
        return false;
    if (h->id != 0 && h->id != h->ours) {
        usleep(POLL_US);
        return true;
    }
    if (h->id != 0 && is_anothers(h, last))
        return gf_fail(err, GF_ERR_CONFIG,
                       "another gfreplica with server id %u and UUID %s has linked to the source (its connection %lu): "
                       "is this job running twice, or its checkpoint directory or ServerUUID copied?",
                       opt->server_id, opt->uuid, h->id);
    if (h->id != 0)
        end_own(stream, h->id);
    return take(taken, stream, opt->server_id, opt->uuid, err);
}

/* What our last link's session was; 0: there was none, or the source has begun to number anew. */
static unsigned long exchange_session(MYSQL *stream, const gf_replica_options *opt)
{
    unsigned long now = mysql_thread_id(stream), last;

    if (opt->session == NULL)
        return 0;
    last = *opt->session;
    *opt->session = now;
    return last < now ? last : 0;
}

bool gf_replica_hold_id(MYSQL *stream, const gf_replica_options *opt, gf_error *err)
{
    unsigned long last = exchange_session(stream, opt);
    struct holders h = {0};
    bool taken = opt->info->flavor != GF_FLAVOR_MARIADB;

    for (int i = 0; i < LOOKS && !taken; i++)
        if (!try_hold(&taken, &h, stream, opt, last, err))
            return false;
    if (!taken && h.id != h.ours)
        return gf_fail(err, GF_ERR_CONFIG,
                       "server id %u is used by another gfreplica (the source's connection %lu): choose a free one, or "
                       "0 to have one chosen",
                       opt->server_id, h.id);
    if (!taken)
        gf_log_debug("server id %u: our connection %lu does not end", opt->server_id, h.id);
    return true;
}

/* ---- the list ---- */

static const char *list_statement(const gf_server_info *info)
{
    return info->flavor == GF_FLAVOR_MYSQL && info->version >= 80022 ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS";
}

/* Registered replicas; *out = NULL, still true, when we may not list them. Columns: id, host, port, source id, UUID. */
static bool list_replicas(MYSQL_RES **out, MYSQL *source, const gf_server_info *info, gf_error *err)
{
    *out = gf_server_query(source, "list the source's replicas", err, "%s", list_statement(info));
    if (*out != NULL)
        return true;
    if (mysql_errno(source) != ER_PRIVILEGE)
        return false;
    gf_log_debug("the source's replicas can't be listed: %s", err->text);
    return true;
}

/* The entry that uses `id`, of another replica than ours as far as that can be told; NULL when there is none. */
static MYSQL_ROW other_user(MYSQL_RES *list, unsigned id, const char *our_uuid)
{
    MYSQL_ROW row;

    if (list == NULL)
        return NULL;
    mysql_data_seek(list, 0);
    while ((row = mysql_fetch_row(list)) != NULL) {
        const char *uuid = mysql_num_fields(list) > 4 ? row[4] : NULL;

        if (row[0] == NULL || strtoul(row[0], NULL, 10) != id)
            continue;
        if (uuid == NULL || our_uuid == NULL || strcasecmp(uuid, our_uuid) != 0)
            return row;
    }
    return NULL;
}

/* ---- a free one ---- */

/* Who else has the id; "" when nobody is seen to. */
struct user {
    char who[200];
};

/* With the locks a MariaDB tells ours from others', whether it lists them or not. */
static bool find_locker(struct user *u, bool *ours, MYSQL *source, unsigned id, const char *our_uuid, gf_error *err)
{
    struct holders h;

    if (!find_holders(&h, source, id, our_uuid, err))
        return false;
    *ours = our_uuid != NULL && h.id != 0 && h.id == h.ours;
    if (h.id != 0 && !*ours)
        snprintf(u->who, sizeof u->who, "the source's connection %lu", h.id);
    return true;
}

static bool find_user(struct user *u, MYSQL *source, const gf_server_info *info, unsigned id, const char *our_uuid,
                      gf_error *err)
{
    MYSQL_RES *list;
    MYSQL_ROW row;
    bool ours = false;

    *u = (struct user){.who = ""};
    if (info->flavor == GF_FLAVOR_MARIADB && !find_locker(u, &ours, source, id, our_uuid, err))
        return false;
    if (ours)
        return true;
    if (!list_replicas(&list, source, info, err))
        return false;
    row = other_user(list, id, our_uuid);
    if (row != NULL)
        snprintf(u->who, sizeof u->who, "host '%.100s', port %.20s%s%.40s", row[1] == NULL ? "" : row[1],
                 row[2] == NULL ? "0" : row[2], mysql_num_fields(list) > 4 && row[4] != NULL ? ", UUID " : "",
                 mysql_num_fields(list) > 4 && row[4] != NULL ? row[4] : "");
    mysql_free_result(list);
    return true;
}

/* The entry may be of one that has ended a moment ago, which the source notices with its heartbeats: a real clash is one
   that stays. */
static bool wait_for_id(MYSQL *source, const gf_server_info *info, unsigned id, const char *our_uuid,
                        unsigned patience_ms, gf_error *err)
{
    uint64_t until = gf_now_ms() + patience_ms;
    bool told = false;
    struct user u;

    for (;;) {
        if (!find_user(&u, source, info, id, our_uuid, err))
            return false;
        if (u.who[0] == '\0')
            return true;
        if (gf_now_ms() >= until)
            return gf_fail(
                err, GF_ERR_CONFIG,
                "server id %u is used by another replica of the source (%s): choose a free one, or 0 to have "
                "one chosen",
                id, u.who);
        if (!told)
            gf_log_info(
                "the source still has a replica with server id %u (%s): waiting until it notices that it is gone", id,
                u.who);
        told = true;
        usleep(POLL_US);
    }
}

/* The same UUID tries the same ids, so a restarted job without a remembered id comes back as itself. */
static unsigned candidate(const char *our_uuid, unsigned attempt)
{
    uint64_t hash = our_uuid == NULL ? 0 : gf_hash(our_uuid, strlen(our_uuid), attempt);

    return 0x40000000U | (unsigned)(hash & 0x3fffffffU);
}

static bool draw_id(unsigned *out, MYSQL *source, const gf_server_info *info, const char *our_uuid, gf_error *err)
{
    struct user u = {.who = "?"};

    for (unsigned attempt = 0; u.who[0] != '\0'; attempt++) {
        *out = candidate(our_uuid, attempt);
        if (*out != info->server_id && !find_user(&u, source, info, *out, our_uuid, err))
            return false;
    }
    return true;
}

bool gf_replica_choose_id(unsigned *out, MYSQL *source, const gf_server_info *info, unsigned wanted,
                          const char *our_uuid, unsigned patience_ms, gf_error *err)
{
    if (wanted == 0)
        return draw_id(out, source, info, our_uuid, err);
    if (wanted == info->server_id)
        return gf_fail(err, GF_ERR_CONFIG,
                       "server id %u is the source's own: choose a free one, or 0 to have one chosen", wanted);
    *out = wanted;
    return wait_for_id(source, info, wanted, our_uuid, patience_ms, err);
}

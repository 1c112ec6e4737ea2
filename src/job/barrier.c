/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - DDL at its place in the stream (rule C4).
 *
 * No ALTER is understood here. The target executes the source's own statement at the place where the source did, so its
 * definitions afterwards *are* the schema at that position, and are read back. That holds as long as the tables were the
 * same before, which is compared, and as long as the statement's outcome depends on nothing but them and its session,
 * which is what gf_barrier_allows refuses by.
 *
 * A server's DDL is no part of any transaction of ours, so the marker learns of it in two steps:
 *
 *   1. before: "this statement is about to run", the tables' definitions (ours, for decoding) and what SHOW CREATE TABLE
 *      prints of them on the target, hashed
 *   2. after: the definitions as they are now, the ranges, and the position behind the statement, in one transaction
 *
 * Whoever finds step 1 without step 2 looks at the target: as it was then, and the statement runs (again: all that is
 * repeated leaves definitions that differ, or may be done twice); changed, and it has been done. For RENAME that is why
 * one that only permutes equal tables is refused.
 *
 * A statement outlives the connection that sent it. So does the session's user-level lock, which every instance takes
 * before it looks: whoever has it knows that no ALTER of a dead or a paused instance is still under way.
 */
#include "barrier.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

#include "barrier_parts.h"
#include "ddl_session.h"
#include "gfreplica/log.h"
#include "gfreplica/state.h"
#include "spare_keys.h"

gf_barrier *gf_barrier_new(const gf_barrier_options *opt)
{
    gf_barrier *b = gf_calloc(1, sizeof *b);

    b->opt = *opt;
    gf_buf_slice(&b->pending, opt->pending);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

/* ---- connections ---- */

static void keep_socket(gf_barrier *b, int slot, int fd)
{
    pthread_mutex_lock(&b->lock);
    gf_lifeline_hold(&b->lifelines[slot], fd, b->stopping);
    pthread_mutex_unlock(&b->lock);
}

/* A statement may take hours: no limit of ours ends it. */
static bool connect_one(gf_barrier *b, int slot, const gf_server_config *server, gf_error *err)
{
    gf_server_config patient = *server;

    patient.read_timeout = 0;
    if (!gf_server_connect(&b->links[slot], &patient, GF_CONN_PLAIN, err))
        return false;
    keep_socket(b, slot, (int)mysql_get_socket(b->links[slot]));
    return true;
}

void gf_barrier_stop(gf_barrier *b)
{
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    for (int i = 0; i < GF_LINKS; i++)
        gf_lifeline_break(&b->lifelines[i]);
    pthread_mutex_unlock(&b->lock);
}

static bool stopping(gf_barrier *b)
{
    bool yes;

    pthread_mutex_lock(&b->lock);
    yes = b->stopping;
    pthread_mutex_unlock(&b->lock);
    return yes;
}

void gf_barrier_end(gf_barrier *b)
{
    gf_barrier_forget_tables(b);
    for (int i = 0; i < GF_LINKS; i++) {
        keep_socket(b, i, -1);
        gf_server_close(b->links[i]);
        b->links[i] = NULL;
    }
}

void gf_barrier_free(gf_barrier *b)
{
    if (b == NULL)
        return;
    gf_barrier_end(b);
    gf_buf_free(&b->pending);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- before: step 1 ---- */

static bool is_stopped(void *ctx)
{
    return stopping(ctx);
}

static bool take_lock(gf_barrier *b, gf_error *err)
{
    const gf_config *c = b->opt.config;
    char name[64];
    const gf_server_lock lock = {.name = name,
                                 .what = "a schema change of another run of this job",
                                 .timeout = c->retry_timeout,
                                 .stopped = is_stopped,
                                 .ctx = b};

    snprintf(name, sizeof name, "gfreplica.ddl.%016llx", (unsigned long long)gf_marker_hash(c));
    return gf_server_lock_take(b->links[GF_LINK_WORK], &lock, err);
}

static void free_schemas(gf_marker_schema *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gf_buf_free(&list[i].schema);
    free(list);
}

static bool note_begin(const gf_barrier *b, const gf_buf *pending, gf_error *err)
{
    gf_marker_schema *list = gf_calloc(b->count + 1, sizeof *list);
    bool ok;

    for (size_t i = 0; i < b->count; i++) {
        list[i].db = b->tables[i].db;
        list[i].name = b->tables[i].name;
        if (b->tables[i].old != NULL)
            gf_schema_encode(&list[i].schema, b->tables[i].old);
    }
    ok = gf_marker_schema_begin(b->opt.marker, b->links[GF_LINK_CONTROL], gf_slice_of(pending->data, pending->len),
                                list, b->count, err);
    free_schemas(list, b->count);
    return ok;
}

/* RENAME alone can put things so that they look as before. Definitions that move along are the same text but for the
   name in their first line, so columns and keys are what is compared. */
static bool leaves_a_trace(const gf_barrier *b)
{
    if (b->ddl.kind != GF_DDL_RENAME)
        return true;
    for (size_t i = 0; i < b->count; i++) {
        const gf_touched *t = &b->tables[i];
        const gf_table *then = t->from >= 0 ? b->tables[t->from].old : NULL;

        if ((t->old == NULL) != (then == NULL) || (then != NULL && then->fingerprint != t->old->fingerprint))
            return true;
    }
    return false;
}

/* Step 1. *run: the statement has still to be executed. */
static bool prepare(gf_barrier *b, bool *run, gf_error *err)
{
    bool recovering = b->pending.len > 0;
    gf_buf wanted = {0};
    bool ok;

    *run = true;
    gf_barrier_print_statement(&wanted, b);
    if (recovering && strncmp(gf_buf_cstr(&b->pending), gf_buf_cstr(&wanted), wanted.len) != 0) {
        gf_buf_free(&wanted);
        return gf_fail(err, GF_ERR_DATA, "the marker says that another schema change was about to run here");
    }
    ok = gf_barrier_look(&wanted, b, !recovering, err);
    if (ok && recovering) {
        /* An emptied table looks as before, and may have been altered by somebody since. */
        *run = b->ddl.kind == GF_DDL_TRUNCATE || strcmp(gf_buf_cstr(&b->pending), gf_buf_cstr(&wanted)) == 0;
        gf_log_info("the schema change was begun by an earlier run and %s", *run ? "runs now" : "is done");
    } else if (ok) {
        ok = leaves_a_trace(b) || gf_fail(err, GF_ERR_DATA, "it only changes the names of equal tables around");
        ok = ok && gf_barrier_surroundings_allow(b, err) && note_begin(b, &wanted, err);
    }
    gf_buf_free(&wanted);
    return ok;
}

/* ---- running it ---- */

/* What is seen of it: the session's default database is named where it is one of ours. */
static const char *session_database(const gf_barrier *b)
{
    const char *db = b->s->db;

    return db[0] != '\0' && gf_filter_db(&b->opt.config->filter, db) ? db : NULL;
}

/* While rows are missing on the target, a new foreign key would find parents missing that the source had. */
static bool is_lax(const gf_barrier *b)
{
    return b->ddl.kind == GF_DDL_CHANGE && b->s->object_count == 1 && !gf_plan_done(b->opt.plan);
}

static gf_ddl_place place_of(const gf_barrier *b)
{
    return (gf_ddl_place){.source = b->opt.source,
                          .target = b->opt.target,
                          .source_db = b->links[GF_LINK_SOURCE],
                          .target_db = b->links[GF_LINK_CONTROL],
                          .lax = is_lax(b)};
}

static void name_position(gf_buf *out, const gf_barrier *b)
{
    gf_buf_printf(out, "%s:%llu%s%s", b->txn->file, (unsigned long long)b->txn->offset,
                  b->txn->gtid[0] != '\0' ? " " : "", b->txn->gtid);
}

/* Its text may hold values, and a connection's password. */
static void log_statement(const gf_barrier *b)
{
    const gf_stmt_object *o = &b->s->objects[0];
    gf_buf at = {0};

    name_position(&at, b);
    gf_log_info("schema change at %s: %s of %.*s.%.*s%s", gf_buf_cstr(&at), b->s->verb, (int)o->db_len, o->db,
                (int)o->table_len, o->table, b->s->object_count > 1 ? " and others" : "");
    gf_buf_free(&at);
}

/* Refused by the target, the statement has left nothing behind: pending is taken back, or whatever is done to the table
   before the next attempt would look like its work. Of several tables some may be done: then pending stays, as it does
   with a link that broke. */
static void withdraw(gf_barrier *b, const gf_error *err)
{
    enum { CLIENT_ERRORS = 2000, CLIENT_ERRORS_END = 3000 };
    gf_error second;

    if (err->native == 0 || (err->native >= CLIENT_ERRORS && err->native < CLIENT_ERRORS_END) || b->s->object_count > 1)
        return;
    if (!gf_marker_schema_begin(b->opt.marker, b->links[GF_LINK_CONTROL], (gf_slice){NULL, 0}, NULL, 0, &second))
        gf_log_debug("%s", second.text);
}

static bool execute(gf_barrier *b, gf_error *err)
{
    const gf_ddl_place place = place_of(b);
    uint64_t began = gf_now_ms();

    log_statement(b);
    if (!gf_ddl_session_setup(b->links[GF_LINK_WORK], &place, b->s, session_database(b), err) ||
        !gf_server_run(b->links[GF_LINK_WORK], "the target", b->s->sql, err)) {
        withdraw(b, err);
        return false;
    }
    gf_log_info("schema change done in %.1f s", (double)(gf_now_ms() - began) / 1000);
    return true;
}

/* The name of the key in "Duplicate key name 'k'"; owned, NULL: there is none. */
static char *key_in_message(const char *message)
{
    const char *from = strchr(message, '\''), *to = strrchr(message, '\'');

    return from != NULL && to > from ? gf_strndup(from + 1, (size_t)(to - from - 1)) : NULL;
}

/* The source had no key of that name, or it would have failed there: after the key has gone the statement may come again. */
static bool make_way(gf_barrier *b, const gf_error *err)
{
    const gf_touched *t = &b->tables[0];
    bool dropped = false;
    gf_error second;
    char *key;

    if (err->native != ER_DUP_KEYNAME || b->s->object_count > 1)
        return false;
    key = key_in_message(mysql_error(b->links[GF_LINK_WORK]));
    if (key != NULL && !gf_spare_key_drop(&dropped, b->links[GF_LINK_CONTROL], t->db, t->name, key, &second))
        gf_log_warn("%s", second.text);
    free(key);
    return dropped;
}

/* MariaDB drops several tables one by one, and a crash of its own may leave some. */
static bool drop_rest(gf_barrier *b, gf_error *err)
{
    gf_buf sql = {0};
    bool ok = true;

    for (size_t i = 0; ok && b->ddl.kind == GF_DDL_DROP && i < b->count; i++) {
        gf_buf_reset(&sql);
        gf_buf_str(&sql, "DROP TABLE IF EXISTS ");
        gf_buf_ident(&sql, b->tables[i].db);
        gf_buf_byte(&sql, '.');
        gf_buf_ident(&sql, b->tables[i].name);
        ok = gf_server_exec(b->links[GF_LINK_WORK], "drop what is left", err, "SET SESSION foreign_key_checks=0") &&
             gf_server_run(b->links[GF_LINK_WORK], "drop what is left", gf_slice_of(sql.data, sql.len), err);
    }
    gf_buf_free(&sql);
    return ok;
}

/* ---- all of it ---- */

/* What an event does not tell: MariaDB's old_mode, what a new table takes over, a zone that is the machine's. */
static bool asks_source(const gf_barrier *b)
{
    return b->opt.source->flavor == GF_FLAVOR_MARIADB || b->s->session.time_zone.len == strlen("SYSTEM") ||
           (b->ddl.kind == GF_DDL_CREATE && b->s->like == NULL);
}

static bool connect_all(gf_barrier *b, gf_error *err)
{
    return (!asks_source(b) || connect_one(b, GF_LINK_SOURCE, &b->opt.config->source, err)) &&
           connect_one(b, GF_LINK_CONTROL, &b->opt.config->target, err) &&
           connect_one(b, GF_LINK_WORK, &b->opt.config->target, err) && take_lock(b, err);
}

static bool repeat(gf_barrier *b, gf_error *err)
{
    bool todo;

    do {
        if (!prepare(b, &todo, err))
            return false;
        if (todo ? execute(b, err) : drop_rest(b, err))
            return true;
        gf_buf_reset(&b->pending); /* it is taken back, if this is to go on */
    } while (make_way(b, err));
    return false;
}

static bool run(gf_barrier *b, gf_merger *merger, gf_batch *batch, gf_error *err)
{
    gf_ddl_place place;

    if (!gf_indexes_finish(b->opt.indexes, err) || !connect_all(b, err))
        return false;
    place = place_of(b);
    if (!gf_ddl_session_known(&place, b->s, err) || !repeat(b, err) || !gf_barrier_load_results(b, err))
        return false;
    gf_buf_reset(&b->pending);
    gf_barrier_pass(b, merger, batch);
    return true;
}

bool gf_barrier_run(gf_barrier *b, const gf_statement *s, const gf_txn_info *txn, gf_merger *merger, gf_batch *batch,
                    gf_error *err)
{
    bool ok;

    b->s = s;
    b->txn = txn;
    gf_ddl_read(&b->ddl, s);
    gf_barrier_list_tables(b);
    gf_barrier_foresee(b);
    ok = run(b, merger, batch, err);
    b->s = NULL;
    b->txn = NULL;
    if (!ok && stopping(b))
        return gf_fail(err, GF_ERR_STOPPED, "stopped");
    return ok;
}

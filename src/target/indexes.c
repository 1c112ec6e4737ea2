/* SPDX-License-Identifier: MIT */
/*
 * indexes.c - indexes that are built after the rows: for which tables, and the ALTER that builds them.
 *
 * The target's own indexes are the truth: what a table lacks of its definition is built, whatever an earlier run has or
 * has not done. An ALTER outlives the client that sent it, so one that a dead run left behind is waited for; and so is a
 * living one: who builds has a lock of the table's for as long as its session lasts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "defer.h"
#include "gfreplica/log.h"
#include "gfreplica/target.h"

/* Below both, a table's rows fit into memory and are written with all their indexes faster than an ALTER's own costs are
   paid back (docs/benchmarks.md). */
enum { AUTO_ROWS = 100 * 1000, AUTO_BYTES = 64 << 20 };

enum {
    DUP_KEYNAME = 1061,        /* somebody was faster */
    NOT_ONLINE = 1845,         /* ER_ALTER_OPERATION_NOT_SUPPORTED */
    NOT_ONLINE_REASON = 1846,  /* and with its reason */
    ONLINE_LOG_TOO_BIG = 1799, /* more changes meanwhile than innodb_online_alter_log_max_size */
    LOCK_WAIT_TIMEOUT = 1205,
    LOOK_EVERY_MS = 200,
    MOST_TRIES = 10
};

struct gf_deferral {
    const gf_config *config; /* borrowed, like the next two */
    const gf_server_info *source, *target;
    gf_references refs; /* of all tables */
};

/* A definition that can't be had on the target is that of a table made by hand, or it is refused when its turn comes: its
   foreign keys count as they stand. */
static void add_references(gf_deferral *d, const gf_table *t)
{
    char *sql = NULL;
    gf_error ignored;
    bool ok = gf_target_create_sql(&sql, t, d->config, d->source, d->target, &ignored);

    gf_references_add(&d->refs, t, ok ? sql : t->create_sql);
    free(sql);
}

gf_deferral *gf_deferral_new(const gf_config *config, const gf_server_info *source, const gf_server_info *target,
                             const gf_table *const *tables, size_t count)
{
    gf_deferral *d = gf_calloc(1, sizeof *d);

    *d = (gf_deferral){.config = config, .source = source, .target = target};
    for (size_t i = 0; i < count; i++)
        if (tables[i]->create_sql != NULL && strstr(tables[i]->create_sql, "FOREIGN KEY") != NULL)
            add_references(d, tables[i]);
    return d;
}

void gf_deferral_free(gf_deferral *d)
{
    if (d == NULL)
        return;
    gf_references_free(&d->refs);
    free(d);
}

/* A table without identity is searched by whole rows: any index helps there, from the beginning. */
bool gf_deferral_pays(const gf_config *config, const gf_table *t)
{
    if (config->defer_indexes == GF_DEFER_NEVER || t->identity < 0 || t->system_versioned || t->create_sql == NULL ||
        t->engine == NULL || strcasecmp(t->engine, "InnoDB") != 0 || strstr(t->create_sql, "\n  KEY ") == NULL)
        return false;
    return config->defer_indexes == GF_DEFER_ALWAYS || t->row_estimate >= AUTO_ROWS || t->data_bytes >= AUTO_BYTES;
}

static bool split(gf_buf *create, gf_buf *add, unsigned *count, const gf_deferral *d, const gf_table *t,
                  const gf_names *there, gf_error *err)
{
    char *sql = NULL;

    if (!gf_target_create_sql(&sql, t, d->config, d->source, d->target, err))
        return false;
    *count = gf_defer_split(create, add, t, sql, &d->refs, there);
    free(sql);
    return true;
}

bool gf_deferral_count(unsigned *count, const gf_deferral *d, const gf_table *t, gf_error *err)
{
    return split(NULL, NULL, count, d, t, NULL, err);
}

bool gf_deferral_create_sql(char **out, const gf_deferral *d, const gf_table *t, gf_error *err)
{
    gf_buf create = {0};
    unsigned count;
    bool ok = split(&create, NULL, &count, d, t, NULL, err);

    if (ok)
        *out = gf_strdup(gf_buf_cstr(&create));
    gf_buf_free(&create);
    return ok;
}

/* ---- building ---- */

static void free_names(gf_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i]);
    free(n->items);
    *n = (gf_names){0};
}

static bool read_names(gf_names *out, MYSQL *db, const gf_table *t, gf_error *err)
{
    gf_buf sql = {0};
    MYSQL_RES *res;
    MYSQL_ROW row;

    gf_buf_str(&sql, "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema=");
    gf_buf_quote(&sql, t->target_db, strlen(t->target_db));
    gf_buf_str(&sql, " AND table_name=");
    gf_buf_quote(&sql, t->target_name, strlen(t->target_name));
    res = gf_server_query(db, "list a table's indexes on the target", err, "%s", gf_buf_cstr(&sql));
    gf_buf_free(&sql);
    if (res == NULL)
        return false;
    out->items = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof *out->items);
    while ((row = mysql_fetch_row(res)) != NULL)
        out->items[out->count++] = gf_strdup(row[0] != NULL ? row[0] : "");
    mysql_free_result(res);
    return true;
}

/* "ADD KEY ..." of what the table lacks. */
static bool find_missing(gf_buf *add, unsigned *count, MYSQL *db, const gf_deferral *d, const gf_table *t,
                         gf_error *err)
{
    gf_names there = {0};
    bool ok = read_names(&there, db, t, err) && split(NULL, add, count, d, t, &there, err);

    free_names(&there);
    return ok;
}

bool gf_deferral_missing(unsigned *count, MYSQL *target, const gf_deferral *d, const gf_table *t, gf_error *err)
{
    return find_missing(NULL, count, target, d, t, err);
}

static void alter_head(gf_buf *sql, const gf_table *t)
{
    gf_buf_printf(sql, "ALTER TABLE %s ADD KEY ", t->target_sql);
}

/* Of another session: a run of ours that is dead has left it. One's own sessions are shown without any right. */
static bool is_being_altered(bool *yes, MYSQL *db, const gf_table *t, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(db, "list the target's sessions", err, "SHOW FULL PROCESSLIST");
    gf_buf head = {0};
    MYSQL_ROW row;

    *yes = false;
    if (res == NULL)
        return false;
    alter_head(&head, t);
    while ((row = mysql_fetch_row(res)) != NULL)
        *yes = *yes || (row[7] != NULL && strstr(row[7], gf_buf_cstr(&head)) != NULL &&
                        strtoul(row[0], NULL, 10) != mysql_thread_id(db));
    mysql_free_result(res);
    gf_buf_free(&head);
    return true;
}

static bool wait_for_others(MYSQL *db, const gf_table *t, const atomic_bool *stop, gf_error *err)
{
    bool busy = true, told = false;

    while (busy) {
        if (atomic_load(stop))
            return gf_fail(err, GF_ERR_STOPPED, "building indexes was stopped");
        if (!is_being_altered(&busy, db, t, err))
            return false;
        if (busy && !told)
            gf_log_info("%s: its indexes are being built already, by what an earlier run began", t->label);
        told = told || busy;
        if (busy)
            usleep(LOOK_EVERY_MS * 1000);
    }
    return true;
}

/* How an ALTER is asked for: each is tried when the one before was refused or failed. */
static const struct {
    const char *how, *why;
} manners[] = {
    {", ALGORITHM=INPLACE, LOCK=NONE", NULL},
    {", ALGORITHM=INPLACE, LOCK=SHARED", "writes to it wait meanwhile"},
    {"", "writes to it wait meanwhile"},
};
enum { MANNERS = sizeof manners / sizeof manners[0] };

static bool may_be_otherwise(unsigned code)
{
    return code == NOT_ONLINE || code == NOT_ONLINE_REASON || code == ONLINE_LOG_TOO_BIG;
}

/* One table's way from lacking indexes to having them. */
struct building {
    MYSQL *db;
    const gf_deferral *d;
    const gf_marker *m;
    const gf_table *t;
    size_t manner;
    unsigned tries, count; /* ALTERs sent; what the last one adds */
};

static bool alter(const struct building *b, const gf_buf *add, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "ALTER TABLE %s %.*s%s", b->t->target_sql, (int)add->len, (const char *)add->data,
                  manners[b->manner].how);
    ok = gf_server_run(b->db, b->t->label, gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    return ok;
}

/* After an ALTER that failed: is it worth looking anew at what is missing? */
static bool may_try_again(struct building *b, const gf_error *err)
{
    gf_error second;
    bool busy = false;

    if (b->tries > MOST_TRIES)
        return false;
    if (err->native == DUP_KEYNAME)
        return true;
    if (err->native == LOCK_WAIT_TIMEOUT)
        return is_being_altered(&busy, b->db, b->t, &second) && busy;
    if (!may_be_otherwise(err->native) || b->manner + 1 == MANNERS)
        return false;
    b->manner++;
    gf_log_warn("%s; again, and %s", err->text, manners[b->manner].why);
    return true;
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "es";
}

/* An instance that was frozen since it looked for its work adds no index to a table that another one has altered since
   (R3): that one waits for our lock. */
static bool add_missing(bool *done, struct building *b, const gf_buf *add, gf_error *err)
{
    if (!gf_marker_is_ours(b->m, b->db, err))
        return false;
    if (b->tries++ == 0)
        gf_log_info("%s: its rows are copied, building %u index%s", b->t->label, b->count, plural(b->count));
    *done = alter(b, add, err);
    return *done || may_try_again(b, err) || gf_fail_context(err, "build the indexes that were left for later");
}

/* *done: nothing is missing any more. */
static bool build_once(bool *done, struct building *b, const atomic_bool *stop, gf_error *err)
{
    gf_buf add = {0};
    unsigned count = 0;
    bool ok = wait_for_others(b->db, b->t, stop, err) && find_missing(&add, &count, b->db, b->d, b->t, err);

    *done = ok && count == 0;
    if (ok && !*done) {
        b->count = count;
        ok = add_missing(done, b, &add, err);
    }
    gf_buf_free(&add);
    return ok;
}

static bool build(struct building *b, const atomic_bool *stop, gf_error *err)
{
    uint64_t began = gf_now_ms();
    bool done = false, ok = true;

    while (ok && !done)
        ok = build_once(&done, b, stop, err);
    ok = ok && gf_marker_built(b->m, b->db, b->t, err);
    if (ok && b->tries > 0)
        gf_log_info("%s: %u index%s built in %.1f s", b->t->label, b->count, plural(b->count),
                    (double)(gf_now_ms() - began) / 1000);
    return ok;
}

/* ---- one instance at a time ---- */

static bool is_set(void *ctx)
{
    return atomic_load((const atomic_bool *)ctx);
}

/* Of the marker, the job and the table. */
static void name_lock(char name[64], const gf_config *c, const gf_table *t)
{
    uint64_t hash = gf_hash(t->target_sql, strlen(t->target_sql), gf_marker_hash(c));

    snprintf(name, 64, "gfreplica.keys.%016llx", (unsigned long long)hash);
}

bool gf_deferral_build(MYSQL *db, const gf_deferral *d, const gf_marker *m, const gf_table *t, const atomic_bool *stop,
                       gf_error *err)
{
    struct building b = {.db = db, .d = d, .m = m, .t = t};
    char name[64], *what = gf_asprintf("building the indexes of %s by another run of this job", t->label);
    const gf_server_lock lock = {
        .name = name, .what = what, .timeout = d->config->retry_timeout, .stopped = is_set, .ctx = (void *)stop};
    bool ok;

    name_lock(name, d->config, t);
    /* As long as writers bear a lock. */
    ok = gf_server_exec(db, "build indexes", err, "SET SESSION lock_wait_timeout=%u", d->config->retry_timeout + 1) &&
         gf_server_lock_take(db, &lock, err) && build(&b, stop, err) && gf_server_lock_release(db, &lock, err);
    free(what);
    return ok;
}

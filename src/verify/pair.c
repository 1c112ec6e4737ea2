/* SPDX-License-Identifier: MIT */
/*
 * pair.c - connections, definitions and SELECTs of a table on both servers. Results are streamed: what stays of a row
 * is its key and 16 bytes.
 */
#include "pair.h"

#include <errmsg.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum { LOCK_WAIT_SECONDS = 1, LARGE_BUFFER = 8 << 20 };

/* ---- rows ---- */

void gf_rowset_clear(gf_rowset *s)
{
    gf_buf_reset(&s->keys);
    s->count = 0;
}

static gf_row *new_row(gf_rowset *s)
{
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? 2 * s->cap : 256;
        s->rows = gf_realloc(s->rows, s->cap * sizeof *s->rows);
    }
    return &s->rows[s->count++];
}

int gf_key_order(gf_slice a, gf_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b, void *set)
{
    const gf_row *x = a, *y = b;
    int order = gf_key_order(gf_rowset_key(set, x), gf_rowset_key(set, y));

    if (order == 0)
        order = (x->digest.high > y->digest.high) - (x->digest.high < y->digest.high);
    return order != 0 ? order : (x->digest.low > y->digest.low) - (x->digest.low < y->digest.low);
}

void gf_rowset_sort(gf_rowset *s)
{
    if (s->count > 0)
        qsort_r(s->rows, s->count, sizeof *s->rows, by_key, s);
}

void gf_rowset_free(gf_rowset *s)
{
    gf_buf_free(&s->keys);
    free(s->rows);
    *s = (gf_rowset){0};
}

/* ---- connections ---- */

/* For the few rows that are read with a lock in the end (settle.c): no gaps, and no long wait for a writer. */
static bool set_up_locks(MYSQL *source, gf_error *err)
{
    return gf_server_exec(source, "set the isolation of a comparison", err,
                          "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED") &&
           gf_server_exec(source, "set innodb_lock_wait_timeout", err, "SET SESSION innodb_lock_wait_timeout=%d",
                          LOCK_WAIT_SECONDS);
}

/* After a reconnect too: another server behind the same address may lack what this one has shown. */
static bool is_known(MYSQL *db, const gf_server_info *wanted, gf_error *err)
{
    gf_server_info now;

    if (!gf_server_info_read(&now, db, err))
        return false;
    return strcmp(now.identity, wanted->identity) == 0 ||
           gf_fail(err, GF_ERR_RETRY, "another server answers (%s, not %s)", now.identity, wanted->identity);
}

static bool open_one(MYSQL **db, gf_pair *p, int link, const gf_server_config *server, gf_conn_use use, gf_error *err)
{
    if (!gf_server_connect(db, server, use, err))
        return false;
    gf_stop_hold(p->stop, p->slot + (size_t)link, *db);
    return true;
}

bool gf_pair_open(gf_pair *p, const gf_verify_options *opt, gf_stop *stop, size_t slot, gf_error *err)
{
    *p = (gf_pair){.opt = opt, .stop = stop, .slot = slot};
    return open_one(&p->sides[GF_AT_SOURCE].db, p, 0, &opt->config->source, GF_CONN_READER, err) &&
           is_known(p->sides[GF_AT_SOURCE].db, opt->source, err) && set_up_locks(p->sides[GF_AT_SOURCE].db, err) &&
           open_one(&p->sides[GF_AT_TARGET].db, p, 1, &opt->config->target, GF_CONN_READER, err) &&
           open_one(&p->control, p, 2, &opt->config->target, GF_CONN_PLAIN, err);
}

static void forget_table(gf_pair *p)
{
    for (int i = 0; i < 2; i++)
        gf_form_free(&p->sides[i].form);
    gf_table_free(p->on_target);
    p->on_target = NULL;
    p->table = NULL;
}

void gf_pair_close(gf_pair *p)
{
    if (p->stop == NULL) /* never opened */
        return;
    forget_table(p);
    for (size_t i = 0; i < GF_PAIR_LINKS; i++)
        gf_stop_hold(p->stop, p->slot + i, NULL);
    for (int i = 0; i < 2; i++)
        gf_server_close(p->sides[i].db);
    gf_server_close(p->control);
    *p = (gf_pair){0};
}

bool gf_pair_is_large(const gf_pair *p)
{
    return p->sides[0].db->net.max_packet > LARGE_BUFFER || p->sides[1].db->net.max_packet > LARGE_BUFFER;
}

/* ---- the table ---- */

static const char *known_index(const gf_table *t, const char *name)
{
    for (unsigned i = 0; i < t->key_count; i++) {
        if (strcmp(t->keys[i].name, name) == 0)
            return t->keys[i].invisible ? NULL : t->keys[i].name;
    }
    return NULL;
}

static void name_sides(gf_pair *p)
{
    const gf_table *t = p->table;
    const char *key = t->identity < 0 ? NULL : t->keys[t->identity].name;

    p->sides[GF_AT_SOURCE].name = t->source_sql;
    p->sides[GF_AT_TARGET].name = t->target_sql;
    p->sides[GF_AT_SOURCE].index = key == NULL ? NULL : known_index(t, key);
    p->sides[GF_AT_TARGET].index = key == NULL ? NULL : known_index(p->on_target, key);
}

bool gf_pair_table(gf_pair *p, const gf_table *t, gf_error *err)
{
    const gf_verify_options *o = p->opt;

    if (p->table == t)
        return true;
    forget_table(p);
    if (!gf_catalog_load_table(&p->on_target, p->control, o->target->flavor, &o->config->filter, t->db, t->name,
                               t->target_db, t->target_name, err))
        return false;
    if (p->on_target == NULL)
        return gf_fail(err, GF_ERR_DIVERGED, "the target has no such table");
    if (!gf_form_init(&p->sides[GF_AT_SOURCE].form, t, t, p->on_target, o->source->flavor, err) ||
        !gf_form_init(&p->sides[GF_AT_TARGET].form, t, p->on_target, t, o->target->flavor, err)) {
        forget_table(p);
        return false;
    }
    p->table = t;
    name_sides(p);
    return true;
}

static const gf_column *column_on_target(const gf_pair *p, const char *name)
{
    for (unsigned i = 0; i < p->on_target->column_count; i++) {
        if (strcasecmp(p->on_target->columns[i].name, name) == 0)
            return &p->on_target->columns[i];
    }
    return NULL;
}

static bool is_binary(const char *collation)
{
    const char *end = strrchr(collation, '_');

    return strcmp(collation, "binary") == 0 || (end != NULL && strcmp(end, "_bin") == 0);
}

bool gf_pair_ordered(const gf_pair *p)
{
    const gf_table *t = p->table;
    const gf_key *key = &t->keys[t->identity];

    for (unsigned i = 0; i < key->part_count; i++) {
        const gf_column *c = &t->columns[key->parts[i].column], *there = column_on_target(p, c->name);

        if (c->collation == NULL || c->type == GF_T_ENUM || c->type == GF_T_SET)
            continue;
        if (there == NULL || there->collation == NULL || strcmp(c->collation, there->collation) != 0)
            return false;
        if (p->opt->source->flavor != p->opt->target->flavor && !is_binary(c->collation))
            return false;
    }
    return true;
}

/* ---- reading ---- */

bool gf_pair_stopped(const gf_pair *p, gf_error *err)
{
    return p->opt->stopped != NULL && p->opt->stopped(p->opt->ctx) && !gf_fail(err, GF_ERR_STOPPED, "stopped");
}

typedef void row_taker(void *ctx, gf_form *form, MYSQL_ROW row, const unsigned long *lengths);

static bool each_row(gf_pair *p, gf_side *s, MYSQL_RES *res, row_taker *take, void *ctx, gf_error *err)
{
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(res)) != NULL) {
        if (gf_pair_stopped(p, err))
            return false;
        take(ctx, &s->form, row, mysql_fetch_lengths(res));
    }
    return mysql_errno(s->db) == 0 || gf_fail_mysql(err, s->db, "read %s", p->table->label);
}

/* The server ended the result itself: the connection is as good as before. */
static bool is_answer(MYSQL *db)
{
    return mysql_errno(db) != 0 && mysql_errno(db) < CR_MIN_ERROR;
}

void gf_pair_add_index(gf_buf *rest, const gf_pair *p, gf_place at)
{
    if (p->sides[at].index == NULL)
        return;
    gf_buf_str(rest, " FORCE INDEX (");
    gf_buf_ident(rest, p->sides[at].index);
    gf_buf_byte(rest, ')');
}

static bool read_rows(gf_pair *p, gf_place at, gf_slice rest, row_taker *take, void *ctx, gf_error *err)
{
    gf_side *s = &p->sides[at];
    MYSQL_RES *res = NULL;
    gf_buf sql = {0};
    bool ok = false;

    gf_buf_str(&sql, "SELECT ");
    gf_buf_slice(&sql, gf_slice_of(s->form.fields.data, s->form.fields.len));
    gf_buf_printf(&sql, " FROM %s", s->name);
    gf_buf_slice(&sql, rest);
    if (mysql_real_query(s->db, (const char *)sql.data, sql.len) != 0 || (res = mysql_use_result(s->db)) == NULL)
        gf_fail_mysql(err, s->db, "read %s", p->table->label);
    else
        ok = gf_form_fits(&s->form, res, err) && each_row(p, s, res, take, ctx, err);
    if (!ok && res != NULL && !is_answer(s->db)) /* so that freeing the result does not read the rest */
        shutdown((int)mysql_get_socket(s->db), SHUT_RDWR);
    if (res != NULL)
        mysql_free_result(res);
    gf_buf_free(&sql);
    return ok || gf_fail_context(err, "%s", at == GF_AT_SOURCE ? "source" : "target");
}

static void add_row(void *ctx, gf_form *form, MYSQL_ROW row, const unsigned long *lengths)
{
    gf_rowset *out = ctx;
    gf_row *r = new_row(out);

    r->key = out->keys.len;
    r->digest = gf_form_row(form, &out->keys, row, lengths);
    r->key_len = out->keys.len - r->key;
}

bool gf_pair_read(gf_rowset *out, gf_pair *p, gf_place at, gf_slice rest, gf_error *err)
{
    return read_rows(p, at, rest, add_row, out, err);
}

typedef struct {
    gf_digest sum;
    uint64_t rows;
} table_sum;

static void sum_row(void *ctx, gf_form *form, MYSQL_ROW row, const unsigned long *lengths)
{
    table_sum *t = ctx;
    gf_digest d = gf_form_row(form, NULL, row, lengths);

    t->sum.low += d.low;
    t->sum.high += d.high;
    t->rows++;
}

bool gf_pair_read_all(gf_digest *out, uint64_t *rows, gf_pair *p, gf_place at, const char *clause, gf_error *err)
{
    table_sum t = {0};

    if (!read_rows(p, at, gf_slice_str(clause), sum_row, &t, err))
        return false;
    /* An empty table is one, too: not the digest of what is not there. */
    *out = (gf_digest){.low = t.sum.low + t.rows, .high = t.sum.high | (t.rows == 0)};
    *rows = t.rows;
    return true;
}

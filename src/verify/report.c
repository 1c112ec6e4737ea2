/* SPDX-License-Identifier: MIT */
/*
 * report.c - differences are named by table and key, and by columns, never by values. A table with very many is not
 * compared to its end: the first hundred tell what is wrong with it.
 */
#include "report.h"

#include <pthread.h>
#include <stdlib.h>

#include "gfreplica/log.h"

enum { PROGRESS_MS = 10 * 1000 };

struct gf_report {
    const gf_verify_options *opt; /* borrowed */

    pthread_mutex_t lock; /* guards all below */
    gf_verify_result result;
    uint64_t told_ms;
};

gf_report *gf_report_new(const gf_verify_options *opt)
{
    gf_report *r = gf_calloc(1, sizeof *r);

    r->opt = opt;
    r->told_ms = gf_now_ms();
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void gf_report_rows(gf_report *r, uint64_t rows)
{
    uint64_t now = gf_now_ms(), total, tables;
    bool tell;

    pthread_mutex_lock(&r->lock);
    total = r->result.rows += rows;
    tables = r->result.tables;
    tell = now - r->told_ms >= PROGRESS_MS;
    if (tell)
        r->told_ms = now;
    pthread_mutex_unlock(&r->lock);
    if (tell)
        gf_log_info("compared %llu of %zu tables, %llu rows", (unsigned long long)tables, r->opt->count,
                    (unsigned long long)total);
}

void gf_report_table(gf_report *r)
{
    pthread_mutex_lock(&r->lock);
    r->result.tables++;
    pthread_mutex_unlock(&r->lock);
}

static bool is_listed_locked(const gf_verify_result *out, const char *label, uint64_t id)
{
    for (size_t i = 0; i < out->list_count; i++) {
        if (out->list[i].id == id && strcmp(out->list[i].table, label) == 0)
            return true;
    }
    return false;
}

static void free_difference(gf_verify_difference *d)
{
    free(d->table);
    free(d->key);
    free(d->what);
}

/* Takes what d owns. */
static void add(gf_report *r, gf_verify_difference d)
{
    gf_verify_result *out = &r->result;

    pthread_mutex_lock(&r->lock);
    if (is_listed_locked(out, d.table, d.id)) {
        free_difference(&d);
    } else {
        if (out->list_count == out->list_cap) {
            out->list_cap = out->list_cap > 0 ? 2 * out->list_cap : 16;
            out->list = gf_realloc(out->list, out->list_cap * sizeof *out->list);
        }
        out->list[out->list_count++] = d;
    }
    pthread_mutex_unlock(&r->lock);
}

void gf_report_whole(gf_report *r, gf_verify_kind kind, const char *label, const char *what)
{
    add(r, (gf_verify_difference){.kind = kind, .table = gf_strdup(label), .what = gf_strdup(what)});
}

static size_t listed_locked(const gf_verify_result *out, const char *label)
{
    size_t n = 0;

    for (size_t i = 0; i < out->list_count; i++)
        n += strcmp(out->list[i].table, label) == 0;
    return n;
}

static size_t listed(gf_report *r, const char *label)
{
    size_t n;

    pthread_mutex_lock(&r->lock);
    n = listed_locked(&r->result, label);
    pthread_mutex_unlock(&r->lock);
    return n;
}

void gf_report_forget(gf_report *r, const char *label)
{
    gf_verify_result *out = &r->result;
    size_t kept = 0;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < out->list_count; i++) {
        if (strcmp(out->list[i].table, label) != 0)
            out->list[kept++] = out->list[i];
        else
            free_difference(&out->list[i]);
    }
    out->list_count = kept;
    pthread_mutex_unlock(&r->lock);
}

void gf_report_end(gf_verify_result *out, gf_report *r)
{
    *out = r->result;
    for (size_t i = 0; i < out->list_count; i++) {
        *(out->list[i].kind == GF_VERIFY_UNSETTLED ? &out->unsettled : &out->differences) += 1;
        out->cut_short = out->cut_short || listed_locked(out, out->list[i].table) >= GF_LISTED_MAX;
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static gf_verify_kind kind_of(const gf_suspect *s)
{
    if (s->verdict == GF_OPEN)
        return GF_VERIFY_UNSETTLED;
    if (gf_digest_none(s->struck_target))
        return GF_VERIFY_MISSING;
    return gf_digest_none(s->struck_source) ? GF_VERIFY_EXTRA : GF_VERIFY_DIFFERS;
}

static bool add_row(gf_report *r, gf_pair *p, const gf_suspect *s, gf_error *err)
{
    const gf_table *t = p->table;
    gf_verify_difference d = {.kind = kind_of(s), .id = gf_hash(s->key.data, s->key.len, 1)};
    gf_buf key = {0}, columns = {0};
    bool ok = true;

    gf_key_text(&key, t, &t->keys[t->identity], s->key);
    if (d.kind == GF_VERIFY_DIFFERS)
        ok = gf_settle_columns(&columns, p, s->key, err);
    if (ok) {
        d.table = gf_strdup(t->label);
        d.key = gf_strdup(gf_buf_cstr(&key));
        d.what = columns.len > 0 ? gf_strdup(gf_buf_cstr(&columns)) : NULL;
        add(r, d);
    }
    gf_buf_free(&key);
    gf_buf_free(&columns);
    return ok;
}

static bool add_suspect(gf_report *r, gf_pair *p, const gf_suspect *s, gf_error *err)
{
    const char *label = p->table->label;

    if (p->table->identity >= 0)
        return add_row(r, p, s, err);
    if (s->verdict == GF_OPEN)
        gf_report_whole(r, GF_VERIFY_UNSETTLED, label, "it has no key, and was written to all the time");
    else
        gf_report_whole(r, GF_VERIFY_TABLE, label, "its rows (it has no key to name them by)");
    return true;
}

bool gf_report_suspects(bool *enough, gf_report *r, gf_pair *p, const gf_suspects *s, gf_error *err)
{
    static const gf_verdict order[] = {GF_UNLIKE, GF_OPEN};
    size_t count = listed(r, p->table->label);

    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < s->count && count < GF_LISTED_MAX; i++) {
            if (s->list[i].verdict != order[k])
                continue;
            if (!add_suspect(r, p, &s->list[i], err))
                return false;
            count = listed(r, p->table->label);
        }
    }
    *enough = count >= GF_LISTED_MAX;
    return true;
}

const char *gf_verify_kind_name(gf_verify_kind kind)
{
    static const char *const names[] = {[GF_VERIFY_DIFFERS] = "differs",
                                        [GF_VERIFY_MISSING] = "missing",
                                        [GF_VERIFY_EXTRA] = "extra",
                                        [GF_VERIFY_TABLE] = "table",
                                        [GF_VERIFY_UNSETTLED] = "unsettled"};

    return names[kind];
}

void gf_verify_free(gf_verify_result *r)
{
    for (size_t i = 0; i < r->list_count; i++)
        free_difference(&r->list[i]);
    free(r->list);
    *r = (gf_verify_result){0};
}

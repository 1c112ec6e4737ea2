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

void gf_report_end(gf_verify_result *out, gf_report *r)
{
    *out = r->result;
    pthread_mutex_destroy(&r->lock);
    free(r);
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

void gf_report_table(gf_report *r, const char *label)
{
    gf_log_debug("%s is compared", label);
    pthread_mutex_lock(&r->lock);
    r->result.tables++;
    pthread_mutex_unlock(&r->lock);
}

/* Takes `key` and `what`. */
static void add(gf_report *r, gf_verify_kind kind, const char *label, char *key, char *what)
{
    gf_verify_result *out = &r->result;

    pthread_mutex_lock(&r->lock);
    if (out->list_count == out->list_cap) {
        out->list_cap = out->list_cap > 0 ? 2 * out->list_cap : 16;
        out->list = gf_realloc(out->list, out->list_cap * sizeof *out->list);
    }
    out->list[out->list_count++] = (gf_verify_difference){kind, gf_strdup(label), key, what};
    out->differences++;
    pthread_mutex_unlock(&r->lock);
}

void gf_report_unlike(gf_report *r, const char *label, const char *what)
{
    add(r, GF_VERIFY_TABLE, label, NULL, gf_strdup(what));
}

static size_t listed(gf_report *r, const char *label)
{
    size_t n = 0;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->result.list_count; i++)
        n += strcmp(r->result.list[i].table, label) == 0;
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void free_difference(gf_verify_difference *d)
{
    free(d->table);
    free(d->key);
    free(d->what);
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
    out->differences -= out->list_count - kept;
    out->list_count = kept;
    pthread_mutex_unlock(&r->lock);
}

static gf_verify_kind kind_of(const gf_suspect *s)
{
    if (gf_digest_none(s->struck_target))
        return GF_VERIFY_MISSING;
    return gf_digest_none(s->struck_source) ? GF_VERIFY_EXTRA : GF_VERIFY_DIFFERS;
}

static bool add_row(gf_report *r, gf_pair *p, const gf_suspect *s, gf_error *err)
{
    const gf_table *t = p->table;
    gf_verify_kind kind = kind_of(s);
    gf_buf key = {0}, columns = {0};
    bool ok = true;

    gf_key_text(&key, t, &t->keys[t->identity], s->key);
    if (kind == GF_VERIFY_DIFFERS)
        ok = gf_settle_columns(&columns, p, s->key, err);
    if (ok)
        add(r, kind, t->label, gf_strdup(gf_buf_cstr(&key)), columns.len > 0 ? gf_strdup(gf_buf_cstr(&columns)) : NULL);
    gf_buf_free(&key);
    gf_buf_free(&columns);
    return ok;
}

static bool add_suspect(gf_report *r, gf_pair *p, const gf_suspect *s, gf_error *err)
{
    if (s->verdict == GF_OPEN) {
        pthread_mutex_lock(&r->lock);
        r->result.unsettled++;
        pthread_mutex_unlock(&r->lock);
        return true;
    }
    if (p->table->identity < 0) {
        gf_report_unlike(r, p->table->label, "its rows (it has no key to name them by)");
        return true;
    }
    if (r->opt->config->allow_existing && kind_of(s) == GF_VERIFY_EXTRA)
        return true;
    return add_row(r, p, s, err);
}

bool gf_report_suspects(bool *enough, gf_report *r, gf_pair *p, const gf_suspects *s, gf_error *err)
{
    size_t count = listed(r, p->table->label);

    for (size_t i = 0; i < s->count && count < GF_LISTED_MAX; i++) {
        if (s->list[i].verdict == GF_ALIKE)
            continue;
        if (!add_suspect(r, p, &s->list[i], err))
            return false;
        count = listed(r, p->table->label);
    }
    *enough = count >= GF_LISTED_MAX;
    if (*enough) {
        pthread_mutex_lock(&r->lock);
        r->result.cut_short = true;
        pthread_mutex_unlock(&r->lock);
    }
    return true;
}

const char *gf_verify_kind_name(gf_verify_kind kind)
{
    static const char *const names[] = {[GF_VERIFY_DIFFERS] = "differs",
                                        [GF_VERIFY_MISSING] = "missing",
                                        [GF_VERIFY_EXTRA] = "extra",
                                        [GF_VERIFY_TABLE] = "table"};

    return names[kind];
}

void gf_verify_free(gf_verify_result *r)
{
    for (size_t i = 0; i < r->list_count; i++)
        free_difference(&r->list[i]);
    free(r->list);
    *r = (gf_verify_result){0};
}

/* SPDX-License-Identifier: MIT */
/*
 * pass.c - a chunk is the next rows of the leading side in its key order, and all rows of the other side between the same
 * two keys. Both are matched by the bytes of their keys, so nothing depends on the order in which the other side has them.
 *
 * No view and no lock: what changes between the two readings only looks unlike (settle.c).
 */
#include "pass.h"

#include "gfreplica/literal.h"

enum { FIRST_LIMIT = 500, MAX_LIMIT = 20000, CHUNK_MS = 200, KEY_BYTES = 2 << 20, SURPLUS = 1000 };

/* WHERE the key is in (lower, upper]. */
static bool add_bounds(gf_buf *rest, const gf_table *t, gf_slice lower, gf_slice upper, gf_error *err)
{
    const char *before = " WHERE ";

    if (lower.len > 0) {
        gf_buf_str(rest, before);
        if (!gf_literal_after(rest, t, lower, err))
            return false;
        before = " AND ";
    }
    if (upper.len > 0) {
        gf_buf_str(rest, before);
        if (!gf_literal_upto(rest, t, upper, err))
            return false;
    }
    return true;
}

static gf_slice start_of(const gf_pass *w)
{
    return w->cursor.len > 0 ? gf_slice_of(w->cursor.data, w->cursor.len) : w->lower;
}

static bool read_lead(gf_pass *w, gf_pair *p, gf_error *err)
{
    gf_buf rest = {0};
    bool ok;

    gf_rowset_clear(&w->rows[w->lead]);
    gf_pair_add_index(&rest, p, w->lead);
    ok = add_bounds(&rest, p->table, start_of(w), w->upper, err);
    gf_buf_str(&rest, " ORDER BY ");
    gf_literal_order(&rest, p->table);
    gf_buf_printf(&rest, " LIMIT %u", w->limit);
    ok = ok && gf_pair_read(&w->rows[w->lead], p, w->lead, gf_slice_of(rest.data, rest.len), err);
    gf_buf_free(&rest);
    return ok;
}

/* The other side's rows up to `end`: it may hold any number that are not here, and then they end the walk (GF_LISTED_MAX). */
static bool read_other(gf_pass *w, gf_pair *p, gf_slice end, gf_error *err)
{
    gf_place other = w->lead == GF_AT_SOURCE ? GF_AT_TARGET : GF_AT_SOURCE;
    unsigned most = 2 * w->limit + SURPLUS;
    gf_buf rest = {0};
    bool ok;

    gf_rowset_clear(&w->rows[other]);
    gf_pair_add_index(&rest, p, other);
    ok = add_bounds(&rest, p->table, start_of(w), end, err);
    gf_buf_printf(&rest, " LIMIT %u", most);
    ok = ok && gf_pair_read(&w->rows[other], p, other, gf_slice_of(rest.data, rest.len), err);
    w->overflow = w->rows[other].count == most && w->ordered && !p->opt->config->allow_existing;
    gf_buf_free(&rest);
    return ok;
}

/* Walks in two orders share the work: the source's finds what the target lacks or has otherwise, the target's what it
   has alone. */
static bool is_asked(const gf_pass *w, bool allow_existing, int order)
{
    if (w->lead == GF_AT_TARGET)
        return order < 0;
    return order <= 0 || (w->ordered && !allow_existing);
}

/* Both are sorted: keys that one side lacks, and those whose rows are unlike. */
static void match(gf_suspects *out, const gf_pass *w, bool allow_existing)
{
    const gf_rowset *a = &w->rows[w->lead], *b = &w->rows[w->lead == GF_AT_SOURCE ? GF_AT_TARGET : GF_AT_SOURCE];
    size_t i = 0, j = 0;

    while (i < a->count || j < b->count) {
        gf_slice x = i < a->count ? gf_rowset_key(a, &a->rows[i]) : (gf_slice){0};
        gf_slice y = j < b->count ? gf_rowset_key(b, &b->rows[j]) : (gf_slice){0};
        int order = i == a->count ? 1 : j == b->count ? -1 : gf_key_order(x, y);

        if (is_asked(w, allow_existing, order) && (order != 0 || !gf_digest_eq(a->rows[i].digest, b->rows[j].digest)))
            gf_suspects_add(out, order <= 0 ? x : y);
        i += order <= 0;
        j += order >= 0;
    }
}

/* By time, and by the keys, which stay in memory. At most doubled: one chunk's luck must not decide the next one's size. */
static void adapt(gf_pass *w, uint64_t took_ms)
{
    uint64_t fit = (uint64_t)w->limit * CHUNK_MS / (took_ms + 1);
    uint64_t by_keys = (uint64_t)w->limit * KEY_BYTES / (w->rows[w->lead].keys.len + 1);

    if (by_keys < fit)
        fit = by_keys;
    if (fit > 2ULL * w->limit)
        fit = 2ULL * w->limit;
    w->limit = fit < 1 ? 1 : fit > MAX_LIMIT ? MAX_LIMIT : (unsigned)fit;
}

bool gf_pass_chunk(gf_suspects *out, gf_pass *w, gf_pair *p, gf_error *err)
{
    gf_rowset *lead = &w->rows[w->lead];
    uint64_t started = gf_now_ms();
    gf_buf end = {0};
    bool last, ok;

    if (w->limit == 0)
        w->limit = FIRST_LIMIT;
    if (!read_lead(w, p, err))
        return false;
    last = lead->count < w->limit;
    if (!last)
        gf_buf_slice(&end, gf_rowset_key(lead, &lead->rows[lead->count - 1]));
    ok = read_other(w, p, last ? w->upper : gf_slice_of(end.data, end.len), err);
    if (ok) {
        gf_rowset_sort(&w->rows[0]);
        gf_rowset_sort(&w->rows[1]);
        match(out, w, p->opt->config->allow_existing);
    }
    if (ok && !w->overflow) {
        w->last = last;
        w->compared += lead->count;
        gf_buf_reset(&w->cursor);
        gf_buf_slice(&w->cursor, gf_slice_of(end.data, end.len));
        adapt(w, gf_now_ms() - started);
    }
    gf_buf_free(&end);
    return ok;
}

void gf_pass_free(gf_pass *w)
{
    gf_buf_free(&w->cursor);
    gf_rowset_free(&w->rows[0]);
    gf_rowset_free(&w->rows[1]);
    *w = (gf_pass){0};
}

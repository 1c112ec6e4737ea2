/* SPDX-License-Identifier: MIT */
/*
 * settle.c - rule V: a row is different only when the target, which has had time to follow, is unlike a source that stood
 * still meanwhile.
 *
 * A round: the source's row is read, the target is waited for until it has all that the source's binlog holds by then, the
 * target's row is read, and the source's again. So the target's row is not older than the first reading:
 *
 *     target = either reading              alike
 *     target <> both, and both are equal   a strike
 *     else                                 the row changes: the next round
 *
 * Three strikes in a row, with the very same rows, are a difference. Two things could make strikes of rows that are not: a row
 * that changes to and fro just so, three times; and a source that does not show yet what it has sent (rule M2: under semi-sync
 * for seconds). So the third strike's last reading is a locking one, which waits for every earlier writer of that row:
 * only rows that are all but sure to differ are ever locked, each for an instant.
 *
 * What never stands still that long (a counter that everybody raises) is alike as soon as one reading meets it; after ROUNDS it
 * is said to be unsettled.
 *
 * The whole of a table without identity is settled in the same way, by one digest.
 */
#include "settle.h"

#include <stdlib.h>

#include "gfreplica/literal.h"

enum { STRIKES = 3, ROUNDS = 60, GROUP = 200 /* keys of one SELECT */ };

/* ---- the list ---- */

void gf_suspects_add(gf_suspects *s, gf_slice key)
{
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? 2 * s->cap : 64;
        s->list = gf_realloc(s->list, s->cap * sizeof *s->list);
    }
    s->list[s->count++] = (gf_suspect){.key = gf_arena_copy(&s->keys, key.data, key.len)};
}

void gf_suspects_clear(gf_suspects *s)
{
    s->count = 0;
    gf_arena_reset(&s->keys);
}

void gf_suspects_free(gf_suspects *s)
{
    free(s->list);
    gf_arena_free(&s->keys);
    *s = (gf_suspects){0};
}

static int by_key(const void *a, const void *b)
{
    return gf_key_order(((const gf_suspect *)a)->key, ((const gf_suspect *)b)->key);
}

/* ---- reading ---- */

/* Where a reading goes: before, there or after. */
typedef size_t reading;
#define READING(member) offsetof(gf_suspect, member)

static gf_digest *digest_at(gf_suspect *s, reading r)
{
    return (gf_digest *)((char *)s + r);
}

typedef enum { ALL, CERTAIN, UNCERTAIN } choice; /* of those that are open: CERTAIN are about to be struck out */

static bool is_chosen(const gf_suspect *s, choice which)
{
    if (s->verdict != GF_OPEN)
        return false;
    return which == ALL || (s->strikes == STRIKES - 1) == (which == CERTAIN);
}

/* Up to GROUP of them, from *from on. */
static size_t gather(gf_suspect *out[GROUP], gf_suspects *s, choice which, size_t *from)
{
    size_t n = 0;

    for (; *from < s->count && n < GROUP; (*from)++) {
        if (is_chosen(&s->list[*from], which))
            out[n++] = &s->list[*from];
    }
    return n;
}

/* Both in the keys' order. A row that is equal to a key for the server, but of other bytes, is none of ours. */
static void take_rows(gf_suspect *const group[], size_t n, const gf_rowset *rows, reading r)
{
    for (size_t i = 0, at = 0; i < n; i++) {
        int order = -1;

        while (at < rows->count && (order = gf_key_order(gf_rowset_key(rows, &rows->rows[at]), group[i]->key)) < 0)
            at++;
        *digest_at(group[i], r) = at < rows->count && order == 0 ? rows->rows[at].digest : (gf_digest){0};
    }
}

static bool read_group(gf_suspect *const group[], size_t n, gf_pair *p, gf_place at, const char *clause, reading r,
                       gf_error *err)
{
    gf_rowset rows = {0};
    gf_buf rest = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        gf_buf_str(&rest, i == 0 ? " WHERE " : " OR ");
        ok = gf_literal_identity(&rest, p->table, group[i]->key, false, err);
    }
    gf_buf_str(&rest, clause);
    ok = ok && gf_pair_read(&rows, p, at, gf_slice_of(rest.data, rest.len), err);
    gf_rowset_sort(&rows);
    if (ok)
        take_rows(group, n, &rows, r);
    gf_rowset_free(&rows);
    gf_buf_free(&rest);
    return ok;
}

static bool read_some(gf_suspects *s, choice which, gf_pair *p, gf_place at, reading r, gf_error *err)
{
    const char *clause = which == CERTAIN ? " LOCK IN SHARE MODE" : "";
    gf_suspect *group[GROUP];
    size_t n, from = 0;

    while ((n = gather(group, s, which, &from)) > 0) {
        uint64_t rows;
        bool ok = p->table->identity < 0 ? gf_pair_read_all(digest_at(group[0], r), &rows, p, at, clause, err)
                                         : read_group(group, n, p, at, clause, r, err);

        if (!ok)
            return false;
    }
    return true;
}

/* ---- rounds ---- */

static void judge(gf_suspect *s)
{
    bool same = gf_digest_eq(s->before, s->after);

    if (gf_digest_eq(s->there, s->before) || gf_digest_eq(s->there, s->after)) {
        s->verdict = GF_ALIKE;
        return;
    }
    if (s->strikes > 0 && (!gf_digest_eq(s->after, s->struck_source) || !gf_digest_eq(s->there, s->struck_target)))
        s->strikes = 0;
    s->strikes = same ? s->strikes + 1 : 0;
    s->struck_source = s->after;
    s->struck_target = s->there;
    if (s->strikes == STRIKES)
        s->verdict = GF_UNLIKE;
    s->before = s->after; /* the next round begins with it */
}

/* Waits until the target is not behind what was just read of the source. */
static bool let_follow(gf_pair *p, gf_error *err)
{
    gf_position end = {0};
    bool ok;

    ok = gf_server_binlog_end(&end, p->sides[GF_AT_SOURCE].db, p->opt->source, err) &&
         p->opt->reached(p->opt->ctx, p->control, &end, err);
    gf_position_free(&end);
    return ok;
}

static bool play_round(gf_suspects *s, gf_pair *p, gf_error *err)
{
    if (!let_follow(p, err) || !read_some(s, ALL, p, GF_AT_TARGET, READING(there), err) ||
        !read_some(s, UNCERTAIN, p, GF_AT_SOURCE, READING(after), err) ||
        !read_some(s, CERTAIN, p, GF_AT_SOURCE, READING(after), err))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].verdict == GF_OPEN)
            judge(&s->list[i]);
    }
    return true;
}

static bool any_open(const gf_suspects *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].verdict == GF_OPEN)
            return true;
    }
    return false;
}

bool gf_settle(gf_suspects *s, gf_pair *p, gf_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        s->list[i].verdict = GF_OPEN;
        s->list[i].strikes = 0;
    }
    if (s->count > 1)
        qsort(s->list, s->count, sizeof *s->list, by_key);
    if (!read_some(s, ALL, p, GF_AT_SOURCE, READING(before), err))
        return false;
    for (int i = 0; i < ROUNDS && any_open(s); i++) {
        if (!play_round(s, p, err))
            return false;
    }
    return true;
}

/* ---- columns ---- */

/* The digests of the columns of one row as it is now; false when it is not there. */
static bool read_row(bool *there, gf_pair *p, gf_place at, gf_slice key, gf_error *err)
{
    gf_rowset rows = {0};
    gf_buf rest = {0};
    bool ok;

    gf_buf_str(&rest, " WHERE ");
    ok = gf_literal_identity(&rest, p->table, key, false, err) &&
         gf_pair_read(&rows, p, at, gf_slice_of(rest.data, rest.len), err);
    *there = rows.count == 1;
    gf_rowset_free(&rows);
    gf_buf_free(&rest);
    return ok;
}

bool gf_settle_columns(gf_buf *out, gf_pair *p, gf_slice key, gf_error *err)
{
    const gf_digest *a = p->sides[GF_AT_SOURCE].form.columns, *b = p->sides[GF_AT_TARGET].form.columns;
    bool here, there;
    const char *comma = "";

    if (!read_row(&here, p, GF_AT_SOURCE, key, err) || !read_row(&there, p, GF_AT_TARGET, key, err))
        return false;
    for (unsigned i = 0; here && there && i < p->table->column_count; i++) {
        if (gf_digest_eq(a[i], b[i]))
            continue;
        gf_buf_str(out, comma);
        gf_buf_ident(out, p->table->columns[i].name);
        comma = ", ";
    }
    return true;
}

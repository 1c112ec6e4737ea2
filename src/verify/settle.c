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
 * Eight strikes in a row, with the very same rows, are a difference. Two things could make strikes of rows that are not: a row
 * that changes to and fro, which has to do so just in time eight times over, between pauses by chance; and a source that does
 * not show yet what it has sent (rule M2: under semi-sync for seconds). So the last strike's last reading is a locking one, which
 * waits for every earlier writer of that row: row by row, by the key's index, only of rows that are all but sure to differ. One
 * whose writer takes longer has no verdict in this round.
 *
 * What never stands still that long (a counter that everybody raises) is alike as soon as one reading meets it; after ROUNDS it
 * is said to be unsettled.
 *
 * The whole of a table without identity is settled in the same way, by one digest, but never locked: three strikes have to do,
 * with pauses that are longer than a commit is usually held.
 */
#include "settle.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/literal.h"

enum {
    STRIKES = 8,
    ROUNDS = 60,
    GROUP = 200, /* keys of one SELECT */
    PAUSE_MS = 40,
    KEYLESS_STRIKES = 3,
    KEYLESS_ROUNDS = 5,
    KEYLESS_PAUSE_MS = 6000,
    ENOUGH = 100, /* differences: what is left has no verdict */
    STEP_MS = 50
};

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

/* Up to `most` of them, from *from on. */
static size_t gather(gf_suspect *out[GROUP], gf_suspects *s, choice which, size_t most, size_t *from)
{
    size_t n = 0;

    for (; *from < s->count && n < most; (*from)++) {
        if (is_chosen(&s->list[*from], which))
            out[n++] = &s->list[*from];
    }
    return n;
}

/* Several rows of one key, on a target that has lost its key, are no row that the source can have. */
static gf_digest add_digests(gf_digest a, gf_digest b)
{
    return (gf_digest){.low = a.low + b.low, .high = (a.high + b.high) | 1};
}

/* Both in the keys' order. A row that is equal to a key for the server, but of other bytes, is none of ours. */
static void take_rows(gf_suspect *const group[], size_t n, const gf_rowset *rows, reading r)
{
    for (size_t i = 0, at = 0; i < n; i++) {
        gf_digest *out = digest_at(group[i], r);
        int order = -1;

        *out = (gf_digest){0};
        while (at < rows->count && (order = gf_key_order(gf_rowset_key(rows, &rows->rows[at]), group[i]->key)) < 0)
            at++;
        for (; at < rows->count && gf_key_order(gf_rowset_key(rows, &rows->rows[at]), group[i]->key) == 0; at++)
            *out = gf_digest_none(*out) ? rows->rows[at].digest : add_digests(*out, rows->rows[at].digest);
    }
}

static bool read_group(gf_suspect *const group[], size_t n, gf_pair *p, gf_place at, const char *clause, reading r,
                       gf_error *err)
{
    gf_rowset rows = {0};
    gf_buf rest = {0};
    bool ok = true;

    gf_pair_add_index(&rest, p, at);
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
    gf_suspect *group[GROUP];
    uint64_t rows;
    size_t n, from = 0;

    if (p->table->identity < 0)
        return gf_pair_read_all(digest_at(&s->list[0], r), &rows, p, at, "", err);
    while ((n = gather(group, s, which, GROUP, &from)) > 0) {
        if (!read_group(group, n, p, at, "", r, err))
            return false;
    }
    return true;
}

/* One by one: a row that somebody holds must hold up no other. No more than are wanted. */
static bool read_certain(gf_suspects *s, gf_pair *p, gf_error *err)
{
    gf_suspect *one[GROUP];
    size_t from = 0;

    for (unsigned n = 0; n < ENOUGH && gather(one, s, CERTAIN, 1, &from) > 0; n++) {
        one[0]->read = read_group(one, 1, p, GF_AT_SOURCE, " LOCK IN SHARE MODE", READING(after), err);
        if (!one[0]->read && err->native != ER_LOCK_WAIT_TIMEOUT)
            return false;
    }
    return true;
}

/* ---- rounds ---- */

static void judge(gf_suspect *s, unsigned strikes)
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
    if (s->strikes == strikes)
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
    bool keyless = p->table->identity < 0;

    if (!let_follow(p, err) || !read_some(s, ALL, p, GF_AT_TARGET, READING(there), err) ||
        !read_some(s, keyless ? ALL : UNCERTAIN, p, GF_AT_SOURCE, READING(after), err))
        return false;
    for (size_t i = 0; i < s->count; i++)
        s->list[i].read = keyless || !is_chosen(&s->list[i], CERTAIN);
    if (!keyless && !read_certain(s, p, err))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].verdict == GF_OPEN && s->list[i].read)
            judge(&s->list[i], keyless ? KEYLESS_STRIKES : STRIKES);
    }
    return true;
}

static size_t count(const gf_suspects *s, gf_verdict verdict)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->list[i].verdict == verdict;
    return n;
}

static bool pause_for(gf_pair *p, unsigned ms, gf_error *err)
{
    for (uint64_t until = gf_now_ms() + ms, now; (now = gf_now_ms()) < until;) {
        if (gf_pair_stopped(p, err))
            return false;
        usleep(1000 * (unsigned)(until - now < STEP_MS ? until - now : STEP_MS));
    }
    return true;
}

/* Of a length by chance, so that nothing on the source keeps step. */
static bool pause_between(gf_pair *p, gf_error *err)
{
    if (p->table->identity < 0)
        return pause_for(p, KEYLESS_PAUSE_MS, err);
    return pause_for(p, (unsigned)(gf_now_us() % PAUSE_MS), err);
}

bool gf_settle(gf_suspects *s, gf_pair *p, gf_error *err)
{
    int rounds = p->table->identity < 0 ? KEYLESS_ROUNDS : ROUNDS;

    for (size_t i = 0; i < s->count; i++) {
        s->list[i].verdict = GF_OPEN;
        s->list[i].strikes = 0;
    }
    if (s->count > 1)
        qsort(s->list, s->count, sizeof *s->list, by_key);
    if (!read_some(s, ALL, p, GF_AT_SOURCE, READING(before), err))
        return false;
    for (int i = 0; i < rounds && count(s, GF_OPEN) > 0 && count(s, GF_UNLIKE) < ENOUGH; i++) {
        if ((i > 0 && !pause_between(p, err)) || !play_round(s, p, err))
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

    gf_pair_add_index(&rest, p, at);
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

/* SPDX-License-Identifier: MIT */
/*
 * builder.c - row images become changes: keys, claims, SQL text; transactions become batches.
 *
 * Everything of a batch lives in the batch's arena, so that building one costs no allocation per row and freeing one
 * is a single step. A transaction that is undone (ROLLBACK) only moves the counts back.
 */
#include "builder.h"

#include <stdlib.h>
#include <strings.h>

#include "gfreplica/literal.h"

/* A change costs its arena bytes and this; claims and list entries included. */
enum { CHANGE_COST = sizeof(gf_change) + 4 * sizeof(uint64_t) };

/* A transaction leaves in pieces when it alone is as large as this many full batches: pieces make everything else
   wait, so an ordinary bulk insert should not. */
enum { PIECE_BATCHES = 8 };

struct gf_savepoint {
    gf_buf name;
    size_t changes; /* how many the batch had */
};

static void drop_savepoints(gf_builder *b, size_t keep)
{
    while (b->savepoint_count > keep)
        gf_buf_free(&b->savepoints[--b->savepoint_count].name);
}

void gf_builder_begin(gf_builder *b, const gf_txn_info *txn)
{
    if (b->batch == NULL)
        b->batch = gf_batch_new();
    if (b->batch->transactions == 0)
        memcpy(b->batch->first_gtid, txn->gtid, sizeof b->batch->first_gtid);
    b->txn_bytes = b->batch->arena.used;
    b->txn_changes = b->batch->count;
    b->txn_claims = b->batch->claim_count;
    drop_savepoints(b, 0);
}

static gf_slice keep(gf_builder *b)
{
    return gf_arena_copy(&b->batch->arena, b->scratch.data, b->scratch.len);
}

static gf_slice make_key(gf_builder *b, const gf_table *t, const gf_value *row)
{
    if (t->identity < 0)
        return (gf_slice){NULL, 0};
    gf_buf_reset(&b->scratch);
    gf_key_encode(&b->scratch, t, &t->keys[t->identity], row);
    return keep(b);
}

static gf_slice make_where(gf_builder *b, const gf_table *t, const gf_value *row)
{
    gf_buf_reset(&b->scratch);
    gf_literal_where(&b->scratch, t, row);
    return keep(b);
}

static gf_slice make_tuple(gf_builder *b, const gf_table *t, const gf_value *row, bool *relaxed)
{
    gf_buf_reset(&b->scratch);
    gf_literal_tuple(&b->scratch, t, row, relaxed);
    return keep(b);
}

static gf_slice make_computed(gf_builder *b, const gf_table *t, const gf_value *row)
{
    if (!t->computes)
        return (gf_slice){0};
    gf_buf_reset(&b->scratch);
    gf_literal_computed(&b->scratch, t, row);
    return keep(b);
}

/* Rule C1: called for the before and for the after image. */
static void claim(gf_builder *b, const gf_table *t, const gf_value *row)
{
    uint64_t claims[t->key_count + 1];
    unsigned n = gf_row_claims(claims, &b->batch->wild, t, row);

    gf_batch_claim(b->batch, claims, n);
}

/* What is gathered leaves with the transaction unfinished; the rest follows in further pieces. */
static bool send_piece(gf_builder *b, gf_error *err)
{
    gf_batch *piece = b->batch;
    gf_batch *next = gf_batch_new();

    piece->ends = false;
    piece->bytes = piece->arena.used + piece->count * CHANGE_COST;
    next->begins = false;
    next->earlier = piece->earlier + piece->count;
    memcpy(next->first_gtid, piece->first_gtid, sizeof next->first_gtid);
    next->transactions = piece->transactions;
    b->batch = next;
    b->txn_changes = b->txn_claims = b->txn_bytes = 0;
    b->in_pieces = true;
    return gf_applier_batch(b->applier, piece, err);
}

static bool too_large(const gf_builder *b)
{
    return b->batch->count - b->txn_changes >= (size_t)PIECE_BATCHES * b->max_rows ||
           b->batch->arena.used - b->txn_bytes >= (size_t)PIECE_BATCHES * b->max_bytes;
}

bool gf_builder_row(gf_builder *b, gf_merger *merger, const gf_table *t, gf_op op, const gf_value *before,
                    const gf_value *after, gf_error *err)
{
    gf_change *c = gf_batch_add(b->batch);

    c->table = t;
    c->op = op;
    c->claims_from = b->batch->claim_count;
    if (op != GF_OP_INSERT) {
        c->before_key = make_key(b, t, before);
        c->before_where = make_where(b, t, before);
        claim(b, t, before);
        gf_merger_record(merger, t, c->before_key); /* rule M1: before and after image */
    }
    if (op != GF_OP_DELETE) {
        c->after_key = make_key(b, t, after);
        c->tuple = make_tuple(b, t, after, &c->relaxed);
        c->computed = make_computed(b, t, after);
        claim(b, t, after);
        gf_merger_record(merger, t, c->after_key);
    }
    c->claims_to = b->batch->claim_count;
    return !too_large(b) || send_piece(b, err);
}

/* From change `first` on, what the source has undone: tables of engines without transactions stay as they were. */
static void undo(gf_builder *b, size_t first)
{
    size_t kept = first;

    for (size_t i = first; i < b->batch->count; i++) {
        if (!b->batch->changes[i].table->transactional)
            b->batch->changes[kept++] = b->batch->changes[i];
    }
    b->batch->count = kept;
}

static bool is_ascii(gf_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] >= 0x80)
            return false;
    }
    return true;
}

/* The servers compare names without regard to case (and accents); *unsure when only they can tell. */
static bool same_name(gf_slice a, gf_slice b, bool *unsure)
{
    if (gf_slice_eq(a, b))
        return true;
    *unsure = *unsure || !is_ascii(a) || !is_ascii(b);
    return a.len == b.len && strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0;
}

/* How many savepoints there are up to the last of that name; 0 when it is not known. */
static size_t find_savepoint(const gf_builder *b, gf_slice name)
{
    bool unsure = false;

    for (size_t i = b->savepoint_count; i > 0; i--) {
        const gf_buf *other = &b->savepoints[i - 1].name;

        if (same_name(name, gf_slice_of(other->data, other->len), &unsure))
            return unsure ? 0 : i;
    }
    return 0;
}

static bool undo_to_savepoint(gf_builder *b, gf_slice name, gf_error *err)
{
    size_t found = find_savepoint(b, name);

    if (found == 0 || b->in_pieces)
        return gf_fail(err, GF_ERR_DATA, "ROLLBACK TO a savepoint %s: cannot be applied exactly",
                       found == 0 ? "that was not seen" : "in a transaction larger than a batch");
    undo(b, b->savepoints[found - 1].changes);
    drop_savepoints(b, found);
    return true;
}

bool gf_builder_savepoint(gf_builder *b, gf_slice name, bool rollback_to, gf_error *err)
{
    if (rollback_to)
        return undo_to_savepoint(b, name, err);
    if (b->savepoint_count == b->savepoint_cap) {
        b->savepoint_cap = b->savepoint_cap == 0 ? 8 : 2 * b->savepoint_cap;
        b->savepoints = gf_realloc(b->savepoints, b->savepoint_cap * sizeof *b->savepoints);
    }
    b->savepoints[b->savepoint_count] = (struct gf_savepoint){.changes = b->batch->count};
    gf_buf_slice(&b->savepoints[b->savepoint_count++].name, name);
    return true;
}

bool gf_builder_commit(gf_builder *b, const gf_position *end, uint64_t commit_us, gf_error *err)
{
    b->batch->transactions++;
    gf_position_copy(&b->batch->end, end);
    if (commit_us > 0)
        b->batch->commit_us = commit_us;
    b->txn_changes = b->batch->count;
    b->txn_claims = b->batch->claim_count;
    if (!b->in_pieces)
        return true;
    b->in_pieces = false;
    return gf_builder_submit(b, err);
}

bool gf_builder_rollback(gf_builder *b, gf_error *err)
{
    if (b->in_pieces)
        return gf_fail(err, GF_ERR_DATA,
                       "a transaction larger than a batch was rolled back: cannot be undone exactly; "
                       "start again with a larger --batch-bytes");
    undo(b, b->txn_changes);
    if (b->batch->count == b->txn_changes)
        b->batch->claim_count = b->txn_claims;
    return true;
}

void gf_builder_withdraw(gf_builder *b)
{
    b->batch->count = b->txn_changes;
    b->batch->claim_count = b->txn_claims;
}

void gf_builder_moved(gf_builder *b, const gf_position *pos)
{
    if (b->batch == NULL)
        b->batch = gf_batch_new();
    gf_position_copy(&b->batch->end, pos);
}

void gf_builder_record(gf_builder *b, gf_merger *merger, size_t change)
{
    for (; change < b->batch->count; change++) {
        const gf_change *c = &b->batch->changes[change];

        if (c->op != GF_OP_INSERT)
            gf_merger_record(merger, c->table, c->before_key);
        if (c->op != GF_OP_DELETE)
            gf_merger_record(merger, c->table, c->after_key);
    }
}

bool gf_builder_full(const gf_builder *b)
{
    return b->batch != NULL && (b->batch->count >= b->max_rows || b->batch->arena.used >= b->max_bytes);
}

bool gf_builder_untouched(const gf_builder *b)
{
    return !b->in_pieces && (b->batch == NULL || b->batch->count == b->txn_changes);
}

bool gf_builder_fresh(const gf_builder *b)
{
    const gf_batch *batch = b->batch;

    return batch == NULL ||
           (batch->count == 0 && batch->statement_count == 0 && batch->transactions == 0 && batch->end.file[0] == '\0');
}

bool gf_builder_changes(const gf_builder *b)
{
    return b->batch != NULL && b->batch->count > 0;
}

bool gf_builder_submit(gf_builder *b, gf_error *err)
{
    gf_batch *ready = b->batch;

    if (ready == NULL)
        return true;
    ready->exact = b->exact;
    ready->bytes = ready->arena.used + ready->count * CHANGE_COST;
    b->batch = NULL;
    return gf_applier_batch(b->applier, ready, err);
}

void gf_builder_free(gf_builder *b)
{
    drop_savepoints(b, 0);
    free(b->savepoints);
    gf_batch_free(b->batch);
    gf_buf_free(&b->scratch);
    *b = (gf_builder){0};
}

/* SPDX-License-Identifier: MIT */
/*
 * batch.h - what goes to the target: batches of the stream's transactions and chunks of copied rows.
 *
 * Rows are ready-made SQL: tuples "(1,_utf8mb4'x',...)" in the order of gf_table.write_columns. Whoever makes
 * one fills it alone, then hands it over; the taker frees it.
 */
#ifndef GFREPLICA_BATCH_H
#define GFREPLICA_BATCH_H

#include "gfreplica/arena.h"
#include "gfreplica/catalog.h"

typedef enum { GF_OP_INSERT = 1, GF_OP_UPDATE, GF_OP_DELETE } gf_op;

/* One row change, in the stream's order. All slices live in the batch's arena. */
typedef struct {
    const gf_table *table; /* borrowed from the catalog, lives as long as it */
    gf_op op;
    gf_slice before_key;   /* canonical identity of the before image (UPDATE, DELETE); none for keyless tables */
    gf_slice after_key;    /* of the after image (INSERT, UPDATE) */
    gf_slice before_where; /* SQL predicate that names exactly the before row: by key "(`a`=1 AND `b`=2)", for
                              single-part keys just the literal; keyless: all columns with <=> */
    gf_slice tuple;        /* after image (INSERT, UPDATE) */
    gf_slice computed;     /* what the target has to compute for it (gf_literal_computed); no data: not compared */
    size_t claims_from, claims_to; /* its claims within the batch's, [from, to); none = not known */
    bool relaxed;                  /* holds a value that strict mode refuses though the source has it (ENUM index 0) */
} gf_change;

typedef struct gf_batch {
    gf_arena arena;
    gf_change *changes; /* owned */
    size_t count, cap;
    uint64_t *claims; /* owned: hashes of rule C1, of before and after images */
    size_t claim_count, claim_cap;
    gf_slice *statements; /* owned list, bytes in the arena: SQL of the marker's that travels along; 1 row each */
    size_t statement_count;
    bool wild;             /* conflicts with everything */
    bool exact;            /* no chunk is in play any more: affected rows must be what the stream promises */
    uint64_t transactions; /* source transactions that end in it */
    gf_position end;       /* owned: position after the last of them */
    uint64_t commit_us;    /* the last one's commit time on the source, wall clock; 0 unknown */
    char first_gtid[128];  /* first transaction, for errors */
    /* A transaction too large for one batch comes as pieces: begin..., middle..., end. A whole batch is both. */
    bool begins, ends;
    size_t earlier; /* changes in the pieces before it */
    size_t bytes;   /* what it costs in memory */
} gf_batch;

gf_batch *gf_batch_new(void);         /* empty, begins and ends set */
gf_change *gf_batch_add(gf_batch *b); /* a zeroed change at the end, valid until the next add */
void gf_batch_claim(gf_batch *b, const uint64_t *claims, size_t count);
void gf_batch_statement(gf_batch *b, gf_slice sql); /* copied */
void gf_batch_free(gf_batch *b);

/* A piece of a table's key order that is read by one reader at a time. */
typedef struct gf_range {
    const gf_table *table; /* borrowed; changed by gf_plan_renew alone, when no chunk of the range is in flight */
    unsigned index;        /* within its table */
    gf_slice lower, upper; /* canonical keys, owned copies: (lower, upper]; no data = open (rule M7) */
    /* Guarded by the plan's lock, as all below: what was read. */
    gf_buf cursor; /* canonical key of the last row handed over; empty = at lower */
    bool read_all;
    bool again; /* a chunk was thrown: the cursor has moved back */
    /* What is durable on the target. */
    gf_buf frontier; /* canonical key up to which rows are committed; empty = none */
    bool done;
    uint64_t rows; /* committed */
    bool taken;
    bool gone; /* its table, or this way of cutting it, is no more: it counts as done and is in no list */
} gf_range;

typedef struct {
    uint32_t tuple, tuple_len; /* offsets into gf_chunk.text */
    uint32_t key, key_len;     /* into gf_chunk.keys */
    uint32_t computed_len;     /* behind the key there: as in gf_change */
    bool dropped;              /* by rule M4; its claims stay */
    bool relaxed;
    bool sql; /* a tuple, though the chunk's rows are lines */
} gf_chunk_row;

typedef struct gf_chunk {
    gf_range *range;    /* borrowed from the plan */
    gf_buf text, keys;  /* owned: tuples or lines; canonical keys (empty for keyless tables) */
    gf_chunk_row *rows; /* owned */
    size_t row_count, row_cap;
    uint64_t *claims; /* owned: of all its rows, those dropped included (rules C1, C2) */
    size_t claim_count, claim_cap;
    bool wild;
    bool lines;               /* rows are lines of LOAD DATA (line.h), those marked sql apart */
    bool last;                /* the range is complete with it */
    gf_buf frontier;          /* owned: canonical key of the last row */
    gf_position start, fence; /* owned: A and H of rules M1 and M3 */
    size_t bytes;
    uint64_t read_us;
} gf_chunk;

gf_chunk *gf_chunk_new(gf_range *range);
void gf_chunk_free(gf_chunk *c);

#endif

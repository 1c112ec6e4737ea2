/* SPDX-License-Identifier: MIT */
/* batch.c - making and freeing what goes to the target. */
#include "gfreplica/batch.h"

#include <stdlib.h>

gf_batch *gf_batch_new(void)
{
    gf_batch *b = gf_calloc(1, sizeof(*b));

    b->begins = b->ends = true;
    return b;
}

/* Room for `more` elements behind `count`; doubling keeps the cost of many adds linear. */
static void *grow(void *items, size_t count, size_t *cap, size_t more, size_t size)
{
    size_t want = *cap == 0 ? 16 : *cap;

    if (count + more <= *cap)
        return items;
    while (want < count + more)
        want *= 2;
    *cap = want;
    return gf_realloc(items, want * size);
}

gf_change *gf_batch_add(gf_batch *b)
{
    gf_change *c;

    b->changes = grow(b->changes, b->count, &b->cap, 1, sizeof(*b->changes));
    c = &b->changes[b->count++];
    memset(c, 0, sizeof(*c));
    return c;
}

void gf_batch_claim(gf_batch *b, const uint64_t *claims, size_t count)
{
    if (count == 0)
        return;
    b->claims = grow(b->claims, b->claim_count, &b->claim_cap, count, sizeof(*b->claims));
    memcpy(b->claims + b->claim_count, claims, count * sizeof(*claims));
    b->claim_count += count;
}

void gf_batch_statement(gf_batch *b, gf_slice sql)
{
    b->statements = gf_realloc(b->statements, (b->statement_count + 1) * sizeof(*b->statements));
    b->statements[b->statement_count++] = gf_arena_copy(&b->arena, sql.data, sql.len);
}

void gf_batch_free(gf_batch *b)
{
    if (b == NULL)
        return;
    gf_arena_free(&b->arena);
    free(b->changes);
    free(b->claims);
    free(b->statements);
    gf_position_free(&b->end);
    free(b);
}

gf_chunk *gf_chunk_new(gf_range *range)
{
    gf_chunk *c = gf_calloc(1, sizeof(*c));

    c->range = range;
    return c;
}

void gf_chunk_free(gf_chunk *c)
{
    if (c == NULL)
        return;
    gf_buf_free(&c->text);
    gf_buf_free(&c->keys);
    free(c->rows);
    free(c->claims);
    gf_buf_free(&c->frontier);
    gf_position_free(&c->start);
    gf_position_free(&c->fence);
    free(c);
}

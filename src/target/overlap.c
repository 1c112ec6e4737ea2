/* SPDX-License-Identifier: MIT */
/*
 * overlap.c - a set of claims that grows until no change adds to it.
 *
 * A change that is held brings its other claims along: the same row's other changes, and rows that took over a unique
 * value from it, must stay in their order. Each pass over the changes follows chains forwards; a second pass is needed
 * only where a chain leads back.
 */
#include "overlap.h"

#include <stdlib.h>

struct set {
    uint64_t *slots; /* owned: open addressing */
    bool *used;      /* owned */
    size_t mask;
};

static size_t slot_of(const struct set *s, uint64_t claim)
{
    size_t at = (claim ^ (claim >> 32)) & s->mask;

    while (s->used[at] && s->slots[at] != claim)
        at = (at + 1) & s->mask;
    return at;
}

static bool has(const struct set *s, uint64_t claim)
{
    return s->used[slot_of(s, claim)];
}

static void put(struct set *s, uint64_t claim)
{
    size_t at = slot_of(s, claim);

    s->used[at] = true;
    s->slots[at] = claim;
}

/* Every claim of the batch may end up in it. */
static void set_init(struct set *s, size_t claims)
{
    size_t size = 64;

    while (size < claims * 2)
        size *= 2;
    s->mask = size - 1;
    s->slots = gf_calloc(size, sizeof(*s->slots));
    s->used = gf_calloc(size, sizeof(*s->used));
}

static bool is_touched(const struct set *s, const gf_batch *b, const gf_change *c)
{
    if (c->claims_from == c->claims_to) /* nobody has told what it shares */
        return true;
    for (size_t i = c->claims_from; i < c->claims_to; i++)
        if (has(s, b->claims[i]))
            return true;
    return false;
}

/* True when a change was added. */
static bool pass(bool *held, struct set *s, const gf_batch *b)
{
    bool more = false;

    for (size_t i = 0; i < b->count; i++) {
        const gf_change *c = &b->changes[i];

        if (held[i] || !is_touched(s, b, c))
            continue;
        held[i] = more = true;
        for (size_t n = c->claims_from; n < c->claims_to; n++)
            put(s, b->claims[n]);
    }
    return more;
}

bool *gf_overlap(const gf_batch *b, const uint64_t *contested, size_t count)
{
    bool *held = gf_calloc(b->count + 1, sizeof(*held));
    struct set s;

    set_init(&s, b->claim_count + count);
    for (size_t i = 0; i < count; i++)
        put(&s, contested[i]);
    while (pass(held, &s, b)) {}
    free(s.slots);
    free(s.used);
    return held;
}

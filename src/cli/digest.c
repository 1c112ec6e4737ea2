/* SPDX-License-Identifier: MIT */
/*
 * digest.c - one number for what decides the data: which servers, which tables, under which names.
 *
 * Two runs with equal digests may share a checkpoint. Users, passwords, sizes and limits may change between them.
 * Each text goes in with its length in front, so that no two settings run together to the same bytes; lists are
 * ordered first, because their order means nothing.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/cli.h"

static void add_text(gf_buf *b, const char *text)
{
    gf_buf_u32(b, text == NULL ? UINT32_MAX : (uint32_t)strlen(text));
    gf_buf_str(b, text == NULL ? "" : text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_sorted(gf_buf *b, char **items, size_t count)
{
    if (count > 1)
        qsort(items, count, sizeof *items, by_text);
    gf_buf_u64(b, count);
    for (size_t i = 0; i < count; i++)
        add_text(b, items[i]);
}

static void add_names(gf_buf *b, const gf_names *names)
{
    char **items = gf_calloc(names->count, sizeof *items);

    for (size_t i = 0; i < names->count; i++)
        items[i] = names->items[i];
    add_sorted(b, items, names->count);
    free(items);
}

static void add_renames(gf_buf *b, const gf_renames *map)
{
    char **items = gf_calloc(map->count, sizeof *items);

    for (size_t i = 0; i < map->count; i++)
        items[i] = gf_asprintf("%zu:%s=%s", strlen(map->from[i]), map->from[i], map->to[i]);
    add_sorted(b, items, map->count);
    for (size_t i = 0; i < map->count; i++)
        free(items[i]);
    free(items);
}

static void add_server(gf_buf *b, const gf_server_config *s)
{
    add_text(b, s->host);
    add_text(b, s->socket);
    gf_buf_u32(b, s->socket == NULL ? s->port : 0);
}

void gf_config_digest(char out[65], const gf_config *c)
{
    const gf_filter *f = &c->filter;
    uint8_t sha[32];
    gf_buf b = {0};

    add_server(&b, &c->source);
    add_server(&b, &c->target);
    add_names(&b, &f->db_whitelist);
    add_names(&b, &f->db_blacklist);
    add_names(&b, &f->table_whitelist);
    add_names(&b, &f->table_blacklist);
    add_renames(&b, &f->db_renames);
    add_renames(&b, &f->table_renames);
    if (EVP_Digest(b.data, b.len, sha, NULL, EVP_sha256(), NULL) != 1)
        gf_oom(); /* SHA-256 itself can't fail */
    for (unsigned i = 0; i < sizeof sha; i++)
        snprintf(out + 2 * i, 3, "%02x", sha[i]);
    gf_buf_free(&b);
}

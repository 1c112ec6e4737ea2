/* SPDX-License-Identifier: MIT */
/*
 * table.c - a gf_table from empty to finished, and its end.
 *
 * Which key is the identity decides how rows are named on the target, how the table is paged through, and what
 * windows compare. So it has to be unique without exception (no NULL part), whole (no prefix, no expression), and
 * have an order that the server can walk (no hidden hash). Among such keys PRIMARY comes first; keys that the
 * optimizer may not use come last, for paging by them would sort the whole table for each chunk.
 */
#include "gfreplica/catalog.h"

#include <stdlib.h>
#include <strings.h>

#include "fold.h"

static const char *const transactional_engines[] = {"InnoDB", "XtraDB", "TokuDB", "RocksDB"};

gf_table *gf_table_new(const char *db, const char *name)
{
    gf_table *t = gf_calloc(1, sizeof *t);

    t->db = gf_strdup(db);
    t->name = gf_strdup(name);
    t->identity = -1;
    return t;
}

static char *quoted_pair(const char *db, const char *name)
{
    gf_buf b = {0};
    char *text;

    gf_buf_ident(&b, db);
    gf_buf_byte(&b, '.');
    gf_buf_ident(&b, name);
    text = gf_strndup((const char *)b.data, b.len);
    gf_buf_free(&b);
    return text;
}

static bool in_list(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; name != NULL && i < count; i++)
        if (strcasecmp(list[i], name) == 0)
            return true;
    return false;
}

static void finish_key(const gf_table *t, gf_key *key)
{
    key->nullable = false;
    for (unsigned i = 0; i < key->part_count; i++)
        if (t->columns[key->parts[i].column].nullable)
            key->nullable = true;
}

static bool is_usable(const gf_key *key)
{
    if (!key->unique || key->nullable || key->functional || key->hashed || key->part_count == 0)
        return false;
    for (unsigned i = 0; i < key->part_count; i++)
        if (key->parts[i].prefix != 0)
            return false;
    return true;
}

static int choose_identity(const gf_table *t)
{
    int hidden = -1;

    for (unsigned i = 0; i < t->key_count; i++) {
        if (!is_usable(&t->keys[i]))
            continue;
        if (!t->keys[i].invisible)
            return (int)i;
        if (hidden < 0)
            hidden = (int)i;
    }
    return hidden;
}

/* Generated columns are computed by the target itself; a row period belongs to its system versioning. */
static void choose_written(gf_table *t)
{
    gf_buf list = {0};

    t->writes = gf_calloc(t->column_count + 1, sizeof *t->writes);
    for (unsigned i = 0; i < t->column_count; i++) {
        const gf_column *c = &t->columns[i];

        t->writes[i] = c->generated == GF_GEN_NONE && !c->row_period;
        if (!t->writes[i])
            continue;
        if (list.len > 0)
            gf_buf_byte(&list, ',');
        gf_buf_ident(&list, c->name);
    }
    t->write_columns = gf_strndup(list.len > 0 ? (const char *)list.data : "", list.len);
    gf_buf_free(&list);
}

/* Strings with their length, so that no two lists of strings give the same bytes. */
static void add_text(gf_buf *b, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    gf_buf_byte(b, text != NULL);
    gf_buf_u32(b, (uint32_t)len);
    gf_buf_add(b, text, len);
}

static void add_column(gf_buf *b, const gf_column *c)
{
    add_text(b, c->name);
    add_text(b, c->type_text);
    add_text(b, c->charset);
    add_text(b, c->collation);
    gf_buf_u32(b, c->type);
    gf_buf_u32(b, c->generated);
    gf_buf_u32(b, c->fsp);
    gf_buf_u64(b, c->char_bytes);
    gf_buf_byte(b, c->nullable);
    gf_buf_byte(b, c->auto_increment);
    gf_buf_byte(b, c->invisible);
    gf_buf_byte(b, c->row_period);
    gf_buf_byte(b, c->old_temporal);
    gf_buf_byte(b, c->compressed);
}

static void add_key(gf_buf *b, const gf_key *k)
{
    add_text(b, k->name);
    gf_buf_byte(b, k->functional);
    gf_buf_byte(b, k->hashed);
    gf_buf_byte(b, k->invisible);
    gf_buf_u32(b, k->part_count);
    for (unsigned i = 0; i < k->part_count; i++) {
        gf_buf_u32(b, k->parts[i].column);
        gf_buf_u32(b, k->parts[i].prefix);
        gf_buf_byte(b, k->parts[i].descending);
    }
}

static uint64_t fingerprint(const gf_table *t)
{
    gf_buf b = {0};
    uint64_t hash;

    add_text(&b, t->engine);
    gf_buf_u32(&b, t->hidden_columns);
    gf_buf_u32(&b, t->column_count);
    for (unsigned i = 0; i < t->column_count; i++)
        add_column(&b, &t->columns[i]);
    for (unsigned i = 0; i < t->key_count; i++)
        add_key(&b, &t->keys[i]);
    hash = gf_hash(b.data, b.len, 0);
    gf_buf_free(&b);
    return hash;
}

/* Where a row has a name, and a statement that finds a difference can be taken back. */
static bool can_compare(const gf_table *t)
{
    bool stored = false;

    for (unsigned i = 0; i < t->column_count; i++)
        stored = stored || t->columns[i].generated == GF_GEN_STORED;
    return stored && t->identity >= 0 && gf_is_countable(t);
}

void gf_table_finish(gf_table *t, const char *target_db, const char *target_name)
{
    t->target_db = gf_strdup(target_db);
    t->target_name = gf_strdup(target_name);
    t->source_sql = quoted_pair(t->db, t->name);
    t->target_sql = quoted_pair(target_db, target_name);
    t->label = gf_asprintf("%s.%s", t->db, t->name);
    t->transactional =
        in_list(transactional_engines, sizeof transactional_engines / sizeof transactional_engines[0], t->engine);
    t->hidden_hash = t->hidden_columns > 0;
    for (unsigned i = 0; i < t->column_count; i++)
        gf_fold_choose(&t->columns[i]);
    for (unsigned i = 0; i < t->key_count; i++)
        finish_key(t, &t->keys[i]);
    t->identity = choose_identity(t);
    choose_written(t);
    t->computes = can_compare(t);
    t->fingerprint = fingerprint(t);
}

static void free_column(gf_column *c)
{
    for (unsigned i = 0; i < c->member_count; i++)
        free(c->members[i]);
    free(c->members);
    free(c->name);
    free(c->type_text);
    free(c->charset);
    free(c->collation);
}

void gf_table_free(gf_table *t)
{
    if (t == NULL)
        return;
    for (unsigned i = 0; i < t->column_count; i++)
        free_column(&t->columns[i]);
    for (unsigned i = 0; i < t->key_count; i++) {
        free(t->keys[i].name);
        free(t->keys[i].parts);
    }
    free(t->columns);
    free(t->keys);
    free(t->writes);
    free(t->write_columns);
    free(t->create_sql);
    free(t->collation);
    free(t->engine);
    free(t->label);
    free(t->target_sql);
    free(t->source_sql);
    free(t->target_name);
    free(t->target_db);
    free(t->name);
    free(t->db);
    free(t);
}
